/* SPDX-License-Identifier: MIT */
/* Nested domains: a stage-1 table written by hand, whose addresses are inputs of a paging parent. */
#include "common.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* x86-64 entries: present, writable, user; accessed and dirty in leaves. */
enum { TABLE = 0x7, LEAF = 0x67, IPA_TABLES = 0x100000, IPA_DATA = 0x200000, IOVA = 0x5000 };

static struct ui_driver_ops nesting;
static struct world w;
static u64 tables[4][512] __attribute__((aligned(4096)));
static u8 data[2][PAGE] __attribute__((aligned(4096)));
static struct ui_domain *parent, *nested;

static struct ui_walk_cfg stage1(void)
{
	return (struct ui_walk_cfg){
		.format = UI_PT_X86_64, .granule_lg2 = 12, .ia_bits = 48, .oa_bits = 52, .top_level = 3, .top_lg2 = 9,
		.write_protect = true, .top_pa = IPA_TABLES,
	};
}

static int setup(void **state)
{
	const struct ui_walk_cfg s1 = stage1();

	memset(tables, 0, sizeof(tables));
	memset(data[0], 'a', PAGE);
	memset(data[1], 'b', PAGE);
	for (unsigned i = 0; i < 3; i++)
		tables[i][0] = (IPA_TABLES + (i + 1) * PAGE) | TABLE;
	tables[3][IOVA / PAGE] = IPA_DATA | LEAF;
	nesting = nesting_driver();
	if (!world_open(&w, &nesting, 8) ||
	    ui_domain_create_paging(w.dev, UI_DOMAIN_F_NEST_PARENT | UI_DOMAIN_F_PASID, NULL, &parent) ||
	    ui_domain_map(parent, IPA_TABLES, pa_of(tables), sizeof(tables), UI_PROT_READ, 64) ||
	    ui_domain_map(parent, IPA_DATA, pa_of(data), sizeof(data), RW, 64) || ui_domain_create_nested(parent, &s1, &nested))
		return -1;
	return ui_device_attach(w.dev, 3, true, nested, false, NULL);
}

static int teardown(void **state)
{
	ui_device_detach(w.dev, 3, true);
	ui_device_detach(w.dev, 0, false);
	ui_domain_destroy(nested);
	ui_domain_destroy(parent);
	world_close(&w);
	return ui_alloc_live() ? -1 : 0;
}

static enum ui_dma_status read1(struct ui_dma_addr where, char *c)
{
	return ui_dma_read(w.dma, &where, c, 1, NULL, NULL);
}

static void both_stages_translate(void **state)
{
	struct ui_dma_addr over = at_pasid(IOVA - 1, 3);
	struct ui_fault fault;
	struct ui_walk walk;
	char c = 0;

	assert_int_equal(ui_domain_kind(nested), UI_DOMAIN_NESTED);
	assert_int_equal(ui_domain_page_sizes(nested), 0);
	assert_int_equal(ui_domain_lookup(nested, IOVA, &walk), -EOPNOTSUPP);
	assert_int_equal(read1(at_pasid(IOVA + 5, 3), &c), UI_DMA_OK);
	assert_int_equal(c, 'a');
	assert_int_equal(ui_dma_read(w.dma, &over, &c, 1, NULL, &fault), UI_DMA_TRANSLATION);
	assert_int_equal(fault.stage, 1);
	/* The parent alone, for the same device without PASID: its inputs are ipas. */
	assert_int_equal(ui_device_attach(w.dev, 0, false, parent, false, NULL), 0);
	assert_int_equal(read1(at(IPA_DATA + PAGE), &c), UI_DMA_OK);
	assert_int_equal(c, 'b');
}

static void a_changed_stage_1_counts_after_invalidate(void **state)
{
	struct ui_dma_addr where = at_pasid(IOVA, 3);
	struct ui_mem_span span;
	char c = 0;

	assert_int_equal(read1(where, &c), UI_DMA_OK);
	tables[3][IOVA / PAGE] = (IPA_DATA + PAGE) | LEAF;
	assert_int_equal(ui_dma_begin(w.dma, &where, UI_PROT_READ, 1, &span, NULL), UI_DMA_OK);
	assert_int_equal(ui_domain_invalidate(nested, IOVA, IOVA + PAGE - 1), -EDEADLK);
	ui_dma_end(w.dma);
	assert_int_equal(ui_domain_invalidate(nested, IOVA, IOVA + PAGE - 1), 0);
	assert_int_equal(read1(where, &c), UI_DMA_OK);
	assert_int_equal(c, 'b');
}

static void an_unmap_in_the_parent_reaches_the_nested_domain(void **state)
{
	struct ui_dma_addr where = at_pasid(IOVA, 3);
	struct ui_mem_span span;
	struct ui_fault fault;
	char c = 0;

	assert_int_equal(read1(where, &c), UI_DMA_OK);
	assert_int_equal(ui_dma_begin(w.dma, &where, UI_PROT_READ, 1, &span, NULL), UI_DMA_OK);
	assert_int_equal(ui_domain_unmap(parent, IPA_DATA, IPA_DATA + PAGE - 1, UI_PT_SPLIT), -EDEADLK);
	assert_int_equal(ui_domain_gate_close(parent), -EDEADLK);
	ui_dma_end(w.dma);
	assert_int_equal(ui_domain_unmap(parent, IPA_DATA, IPA_DATA + PAGE - 1, UI_PT_SPLIT), PAGE);
	assert_int_equal(ui_dma_read(w.dma, &where, &c, 1, NULL, &fault), UI_DMA_TRANSLATION);
	assert_int_equal(fault.stage, 2);
	assert_int_equal(fault.ipa, IPA_DATA);
	assert_int_equal(ui_domain_map(parent, IPA_DATA, pa_of(data[1]), PAGE, RW, 64), 0);
	assert_int_equal(read1(where, &c), UI_DMA_OK);
	assert_int_equal(c, 'b');
}

static void the_parents_gate_moves_pages_under_the_nested_domain(void **state)
{
	char c = 0;

	assert_int_equal(read1(at_pasid(IOVA, 3), &c), UI_DMA_OK);
	assert_int_equal(ui_domain_gate_close(parent), 0);
	assert_int_equal(ui_domain_repoint(parent, IPA_DATA, IPA_DATA + PAGE - 1, pa_of(data[1])), 0);
	ui_domain_gate_open(parent);
	assert_int_equal(read1(at_pasid(IOVA, 3), &c), UI_DMA_OK);
	assert_int_equal(c, 'b');
}

static void a_stage_1_table_that_lies_nowhere_faults_in_stage_2(void **state)
{
	struct ui_dma_addr where = at_pasid(IOVA, 4);
	struct ui_walk_cfg s1 = stage1();
	struct ui_domain *lost;
	struct ui_fault fault;
	char c;

	s1.top_pa = 0x900000;
	assert_int_equal(ui_domain_create_nested(parent, &s1, &lost), 0);
	assert_int_equal(ui_device_attach(w.dev, 4, true, lost, false, NULL), 0);
	assert_int_not_equal(ui_dma_read(w.dma, &where, &c, 1, NULL, &fault), UI_DMA_OK);
	assert_int_equal(fault.stage, 2);
	assert_int_equal(fault.ipa, 0x900000);
	ui_device_detach(w.dev, 4, true);
	ui_domain_destroy(lost);
}

static void only_a_nest_parent_carries_nested_domains(void **state)
{
	struct ui_walk_cfg s1 = stage1();
	struct ui_domain *plain, *out;

	assert_int_equal(ui_domain_create_paging(w.dev, 0, NULL, &plain), 0);
	assert_int_equal(ui_domain_create_nested(plain, &s1, &out), -EINVAL);
	assert_int_equal(ui_domain_create_nested(nested, &s1, &out), -EINVAL);
	assert_int_equal(ui_domain_create_nested(ui_domain_identity(w.iommu), &s1, &out), -EINVAL);
	s1.ia_bits = 13;
	assert_int_equal(ui_domain_create_nested(parent, &s1, &out), -EINVAL);
	s1 = stage1();
	s1.format = UI_PT_N_FORMATS;
	assert_int_equal(ui_domain_create_nested(parent, &s1, &out), -EINVAL);
	ui_domain_destroy(plain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(both_stages_translate, setup, teardown),
		cmocka_unit_test_setup_teardown(a_changed_stage_1_counts_after_invalidate, setup, teardown),
		cmocka_unit_test_setup_teardown(an_unmap_in_the_parent_reaches_the_nested_domain, setup, teardown),
		cmocka_unit_test_setup_teardown(the_parents_gate_moves_pages_under_the_nested_domain, setup, teardown),
		cmocka_unit_test_setup_teardown(a_stage_1_table_that_lies_nowhere_faults_in_stage_2, setup, teardown),
		cmocka_unit_test_setup_teardown(only_a_nest_parent_carries_nested_domains, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
