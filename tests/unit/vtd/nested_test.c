/* SPDX-License-Identifier: MIT */
/* Nested domains of the kind `vtd`: what can be made and attached, and which walks see what. (issue 3, point 2) */
#include "common.h"
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define IOVA 0x7f0000005000u
#define IOVA_UPPER (~(u64)0 << 47 | 0x5000)

static struct guest g;
static struct ui_domain *nested;
static u64 top, data, other, leaf; /* gpas: of the table, two pages of data, the leaf entry for IOVA */

static int setup(void **state)
{
	if (!guest_open(&g, UI_DOMAIN_F_PASID | UI_DOMAIN_F_DIRTY))
		return -1;
	top = guest_page(&g);
	data = guest_page(&g);
	other = guest_page(&g);
	*entry_of(&g, data) = 'd';
	*entry_of(&g, other) = 'o';
	leaf = guest_map(&g, top, 4, IOVA, data, FREE);
	nested = nested_new(&g, top, 4, 0);
	return ui_device_attach(g.w.dev, 0, false, nested, false, NULL);
}

static int teardown(void **state)
{
	ui_device_detach(g.w.dev, 0, false);
	ui_device_detach(g.w.dev, 7, true);
	ui_domain_destroy(nested);
	guest_close(&g);
	return ui_alloc_live() ? -1 : 0;
}

static u64 must_read(struct ui_dma_addr where)
{
	u64 val = 0;

	assert_int_equal(read_at(&g, where, &val, NULL), UI_DMA_OK);
	return val;
}

static int make(unsigned flags, u32 type, const void *uptr, u32 n_bytes)
{
	const struct ui_user_data user = { .type = type, .n_bytes = n_bytes, .uptr = (uintptr_t)uptr };
	struct ui_domain *out = NULL;
	int ret = ui_device_driver(g.w.dev)->nested(g.w.dev, g.parent, flags, &user, &out);

	if (!ret)
		ui_domain_destroy(out);
	return ret;
}

/* iommufd-semantics 4, HWPT_ALLOC 6. */
static void data_that_is_not_vtd_s1_is_refused(void **state)
{
	struct { struct vtd_s1_data s1; u64 more; } d = { .s1 = { .pgtbl_addr = top, .addr_width = 48 } };

	assert_int_equal(make(0, TYPE_VTD_S1, &d, 24), 0);
	assert_int_equal(make(UI_DOMAIN_F_PASID, TYPE_VTD_S1, &d, 24), 0);
	assert_int_equal(make(UI_DOMAIN_F_DIRTY, TYPE_VTD_S1, &d, 24), -EOPNOTSUPP);
	assert_int_equal(make(UI_DOMAIN_F_NEST_PARENT, TYPE_VTD_S1, &d, 24), -EOPNOTSUPP);
	assert_int_equal(make(0, 0, &d, 24), -EOPNOTSUPP);
	assert_int_equal(make(0, 2, &d, 24), -EOPNOTSUPP);
	assert_int_equal(make(0, TYPE_VTD_S1, &d, 23), -EINVAL);
	assert_int_equal(make(0, TYPE_VTD_S1, &d, 25), -EINVAL);
	assert_int_equal(make(0, TYPE_VTD_S1, &d, 32), -EINVAL);
	assert_int_equal(ui_safe_install(), 0);
	assert_int_equal(make(0, TYPE_VTD_S1, NULL, 24), -EFAULT);
	d.s1.flags = 8;
	assert_int_equal(make(0, TYPE_VTD_S1, &d, 24), -EOPNOTSUPP);
	d.s1.flags = UI_BIT(63);
	assert_int_equal(make(0, TYPE_VTD_S1, &d, 24), -EOPNOTSUPP);
	d.s1.flags = 0;
	d.s1.__reserved = 1;
	assert_int_equal(make(0, TYPE_VTD_S1, &d, 24), -EOPNOTSUPP);
}

/* Linux refuses these when they are attached; what was attached before stays. */
static void tables_that_no_hardware_walks_are_not_attached(void **state)
{
	const struct vtd_s1_data bad[] = {
		{ .pgtbl_addr = top, .addr_width = 39 },
		{ .pgtbl_addr = top, .addr_width = 0 },
		{ .pgtbl_addr = top, .addr_width = 64 },
		{ .pgtbl_addr = top, .addr_width = 0xffffffff },
		{ .pgtbl_addr = top, .addr_width = 48, .flags = EAFE },
		{ .pgtbl_addr = UI_BIT(48), .addr_width = 48 },
		{ .pgtbl_addr = ~(u64)0, .addr_width = 57 },
	};

	for (unsigned i = 0; i < ui_array_size(bad); i++) {
		struct ui_domain *domain;

		assert_int_equal(nested_data(&g, UI_DOMAIN_F_PASID, &bad[i], &domain), 0);
		assert_int_equal(ui_device_attach(g.w.dev, 0, false, domain, true, NULL), -EINVAL);
		assert_int_equal(ui_device_attach(g.w.dev, 7, true, domain, false, NULL), -EINVAL);
		ui_domain_destroy(domain);
		assert_ptr_equal(ui_device_attached(g.w.dev, 0, false, NULL), nested);
		assert_int_equal(must_read(at(IOVA)), 'd');
	}
}

/* Specification, PASID entry: bits 11:0 of FSPTPTR's word are no address. */
static void the_low_bits_of_the_table_pointer_mean_nothing(void **state)
{
	struct ui_domain *domain = nested_new(&g, top | 0xfff, 4, 0);

	assert_int_equal(ui_device_attach(g.w.dev, 0, false, domain, true, NULL), 0);
	assert_int_equal(must_read(at(IOVA)), 'd');
	assert_int_equal(ui_device_attach(g.w.dev, 0, false, nested, true, NULL), 0);
	ui_domain_destroy(domain);
}

static void both_halves_of_canonical_addresses_are_walked(void **state)
{
	struct ui_fault fault;
	u64 val;

	guest_map(&g, top, 4, IOVA_UPPER, other, FREE);
	assert_int_equal(must_read(at(IOVA_UPPER)), 'o');
	assert_int_equal(read_at(&g, at(IOVA_UPPER & ui_mask_lg2(48)), &val, &fault), UI_DMA_ADDR_SIZE);
	assert_int_equal(fault.stage, 1);
	assert_int_equal(read_at(&g, at(IOVA | UI_BIT(48)), &val, &fault), UI_DMA_ADDR_SIZE);
}

static void reads_mark_accessed_and_writes_dirty(void **state)
{
	u64 val = 0;

	assert_int_equal(load_entry(&g, leaf) & (A_BIT | D_BIT), 0);
	assert_int_equal(read_at(&g, at(IOVA), &val, NULL), UI_DMA_OK);
	assert_int_equal(load_entry(&g, leaf) & (A_BIT | D_BIT), A_BIT);
	for (unsigned level = 2; level <= 4; level++)
		assert_int_equal(load_entry(&g, guest_entry(&g, top, 4, IOVA, level)) & (A_BIT | D_BIT), A_BIT);
	/* From the TLB now, which must not know the page as writable: promise 12. */
	assert_int_equal(write_at(&g, at(IOVA), 1, NULL), UI_DMA_OK);
	assert_int_equal(load_entry(&g, leaf) & (A_BIT | D_BIT), A_BIT | D_BIT);
}

/* What a walk to one page teaches the walker must not spare another the marks and rights above. */
static void a_look_marks_nothing_and_spares_nothing(void **state)
{
	struct ui_dma_addr where = at(IOVA);
	struct ui_walk walk;

	assert_int_equal(ui_dma_translate(g.w.dma, &where, 0, &walk, NULL), UI_DMA_OK);
	for (unsigned level = 1; level <= 4; level++)
		assert_false(load_entry(&g, guest_entry(&g, top, 4, IOVA, level)) & A_BIT);
	assert_int_equal(must_read(at(IOVA)), 'd');
	for (unsigned level = 1; level <= 4; level++)
		assert_true(load_entry(&g, guest_entry(&g, top, 4, IOVA, level)) & A_BIT);
}

static void rights_above_hold_for_every_page_of_a_table(void **state)
{
	u64 pde = guest_entry(&g, top, 4, IOVA, 2);

	guest_map(&g, top, 4, IOVA + PAGE, other, FREE);
	store_entry(&g, pde, load_entry(&g, pde) & ~(u64)RW_BIT);
	assert_int_equal(must_read(at(IOVA)), 'd');
	assert_int_equal(write_at(&g, at(IOVA + PAGE), 1, NULL), UI_DMA_PERMISSION);
	assert_int_equal(must_read(at(IOVA + PAGE)), 'o');
}

/* More domains than a walker remembers tables, so that some share a place there. */
static void many_domains_do_not_mix(void **state)
{
	enum { N = 2100 };
	static struct ui_domain *domains[N];
	u64 top2 = guest_page(&g);

	guest_map(&g, top2, 4, IOVA, other, FREE);
	for (u32 i = 0; i < N; i++) {
		domains[i] = nested_new(&g, top2, 4, 0);
		assert_int_equal(ui_device_attach(g.w.dev, 1 + i, true, domains[i], false, NULL), 0);
	}
	assert_int_equal(must_read(at(IOVA)), 'd');
	for (u32 i = 0; i < N; i++)
		assert_int_equal(must_read(at_pasid(IOVA, 1 + i)), 'o');
	for (u32 i = 0; i < N; i++) {
		ui_device_detach(g.w.dev, 1 + i, true);
		ui_domain_destroy(domains[i]);
	}
}

/* Fault 77h: stage 2 refuses the write that would mark an entry. */
static void a_read_only_stage_2_refuses_the_mark_and_stores_nothing(void **state)
{
	const u64 page = leaf & ~(u64)(PAGE - 1), entry = load_entry(&g, leaf);
	struct ui_fault fault = { 0 };
	u64 val;

	assert_int_equal(ui_domain_unmap(g.parent, page, page + PAGE - 1, UI_PT_SPLIT), PAGE);
	assert_int_equal(ui_domain_map(g.parent, page, pa_of(entry_of(&g, page)), PAGE, UI_PROT_READ, 64), 0);
	assert_int_equal(read_at(&g, at(IOVA), &val, &fault), UI_DMA_PERMISSION);
	assert_int_equal(fault.stage, 2);
	assert_true(fault.on_walk);
	assert_int_equal(fault.ipa, leaf);
	assert_int_equal(load_entry(&g, leaf), entry);
	/* With the bit set already there is nothing to write. */
	store_entry(&g, leaf, entry | A_BIT);
	assert_int_equal(must_read(at(IOVA)), 'd');
	assert_int_equal(write_at(&g, at(IOVA), 1, &fault), UI_DMA_PERMISSION);
	assert_true(fault.on_walk);
	assert_int_equal(load_entry(&g, leaf), entry | A_BIT);
	assert_int_equal(*entry_of(&g, data), 'd');
}

/* Marks go through stage 2 as writes: migration must see the tables change. */
static void marked_tables_are_dirty_in_the_parent(void **state)
{
	struct ui_walk walk;

	assert_int_equal(ui_domain_set_dirty_tracking(g.parent, true), 0);
	assert_int_equal(ui_domain_lookup(g.parent, leaf, &walk), 0);
	assert_false(walk.dirty);
	assert_int_equal(must_read(at(IOVA)), 'd');
	assert_int_equal(ui_domain_lookup(g.parent, leaf, &walk), 0);
	assert_true(walk.dirty);
	assert_int_equal(ui_domain_lookup(g.parent, data, &walk), 0);
	assert_false(walk.dirty); /* only read */
}

static void a_user_request_needs_the_user_bit_and_a_privileged_one_sre(void **state)
{
	struct ui_domain *sre = nested_new(&g, top, 4, SRE), *wpe = nested_new(&g, top, 4, SRE | WPE);
	struct ui_dma_addr privileged = at(IOVA);
	u64 val;

	privileged.priv = true;
	store_entry(&g, leaf, data | P); /* privileged only, read only */
	assert_int_equal(read_at(&g, at(IOVA), &val, NULL), UI_DMA_PERMISSION);
	assert_int_equal(read_at(&g, privileged, &val, NULL), UI_DMA_PERMISSION);
	assert_int_equal(ui_device_attach(g.w.dev, 0, false, sre, true, NULL), 0);
	assert_int_equal(read_at(&g, at(IOVA), &val, NULL), UI_DMA_PERMISSION);
	assert_int_equal(read_at(&g, privileged, &val, NULL), UI_DMA_OK);
	assert_int_equal(write_at(&g, privileged, 1, NULL), UI_DMA_OK);
	assert_int_equal(ui_device_attach(g.w.dev, 0, false, wpe, true, NULL), 0);
	assert_int_equal(read_at(&g, privileged, &val, NULL), UI_DMA_OK);
	assert_int_equal(write_at(&g, privileged, 1, NULL), UI_DMA_PERMISSION);
	ui_device_detach(g.w.dev, 0, false);
	ui_domain_destroy(sre);
	ui_domain_destroy(wpe);
}

/* ECAP.ERS = 0: fault 5Ch. */
static void requests_to_execute_are_refused(void **state)
{
	struct ui_dma_addr where = at(IOVA);
	struct ui_mem_span span;

	assert_int_equal(must_read(where), 'd');
	assert_int_equal(ui_dma_begin(g.w.dma, &where, UI_PROT_EXEC, 8, &span, NULL), UI_DMA_PERMISSION);
}

static void pasids_have_nested_domains_of_their_own(void **state)
{
	u64 top2 = guest_page(&g);
	struct ui_domain *second = nested_new(&g, top2, 5, 0);
	u64 val;

	guest_map(&g, top2, 5, IOVA, other, FREE);
	assert_int_equal(ui_device_attach(g.w.dev, 7, true, second, false, NULL), 0);
	assert_int_equal(must_read(at(IOVA)), 'd');
	assert_int_equal(must_read(at_pasid(IOVA, 7)), 'o');
	assert_int_equal(read_at(&g, at_pasid(IOVA, 8), &val, NULL), UI_DMA_BLOCKED);
	/* Replaced by the other, then by the parent, then by a plain domain. */
	assert_int_equal(ui_device_attach(g.w.dev, 7, true, nested, true, NULL), 0);
	assert_int_equal(must_read(at_pasid(IOVA, 7)), 'd');
	assert_int_equal(ui_device_attach(g.w.dev, 7, true, g.parent, true, NULL), 0);
	assert_int_equal(must_read(at_pasid(other, 7)), 'o');
	assert_int_equal(ui_device_attach(g.w.dev, 7, true, second, true, NULL), 0);
	assert_int_equal(must_read(at_pasid(IOVA, 7)), 'o');
	assert_int_equal(ui_device_detach(g.w.dev, 7, true), 0);
	assert_int_equal(read_at(&g, at_pasid(IOVA, 7), &val, NULL), UI_DMA_BLOCKED);
	assert_int_equal(must_read(at(IOVA)), 'd');
	ui_domain_destroy(second);
}

/* iommufd-semantics 4, PASID rules: the flag is the nested domain's own. */
static void without_the_flag_a_nested_domain_takes_no_pasid(void **state)
{
	const struct vtd_s1_data s1 = { .pgtbl_addr = top, .addr_width = 48 };
	struct ui_domain *plain;

	assert_int_equal(nested_data(&g, 0, &s1, &plain), 0);
	assert_int_equal(ui_device_attach(g.w.dev, 7, true, plain, false, NULL), -EINVAL);
	ui_domain_destroy(plain);
}

static void an_unmap_in_the_parent_reaches_tables_and_data(void **state)
{
	const u64 table = leaf & ~(u64)(PAGE - 1);
	struct ui_fault fault;
	u64 val;

	assert_int_equal(must_read(at(IOVA)), 'd');
	assert_int_equal(ui_domain_unmap(g.parent, data, data + PAGE - 1, UI_PT_SPLIT), PAGE);
	assert_int_equal(read_at(&g, at(IOVA), &val, &fault), UI_DMA_TRANSLATION);
	assert_int_equal(fault.stage, 2);
	assert_int_equal(fault.ipa, data);
	assert_false(fault.on_walk);
	assert_int_equal(ui_domain_map(g.parent, data, pa_of(entry_of(&g, other)), PAGE, RW, 64), 0);
	assert_int_equal(must_read(at(IOVA)), 'o');
	/* The table that the walker knows by heart. */
	guest_map(&g, top, 4, IOVA + PAGE, other, FREE);
	assert_int_equal(ui_domain_unmap(g.parent, table, table + PAGE - 1, UI_PT_SPLIT), PAGE);
	assert_int_equal(read_at(&g, at(IOVA + PAGE), &val, &fault), UI_DMA_TRANSLATION);
	assert_int_equal(fault.stage, 2);
	assert_true(fault.on_walk);
	assert_int_equal(fault.ipa & ~(u64)(PAGE - 1), table);
}

/* The parent's pages move, tables among them: what was known of them is known no longer. */
static void tables_move_under_the_parents_gate(void **state)
{
	const u64 table = leaf & ~(u64)(PAGE - 1);
	u8 *moved = g.mem[GUEST_PAGES - 1];

	guest_map(&g, top, 4, IOVA + PAGE, other, FREE);
	assert_int_equal(must_read(at(IOVA)), 'd');
	assert_int_equal(ui_domain_gate_close(g.parent), 0);
	memcpy(moved, entry_of(&g, table), PAGE);
	memset(entry_of(&g, table), 0, PAGE);
	assert_int_equal(ui_domain_repoint(g.parent, table, table + PAGE - 1, pa_of(moved)), 0);
	ui_domain_gate_open(g.parent);
	assert_int_equal(must_read(at(IOVA + PAGE)), 'o');
	assert_true(*(u64 *)(void *)(moved + (leaf & (PAGE - 1)) + 8) & A_BIT);
}

/* Each allocation fails in turn: nothing stays behind, and what was attached stays. */
static void a_failed_allocation_changes_nothing(void **state)
{
	const struct vtd_s1_data s1 = { .pgtbl_addr = top, .addr_width = 48 };
	struct ui_domain *domain = NULL;
	const u64 live = ui_alloc_live();
	int ret = -ENOMEM;

	for (u64 n = 1; ret; n++) {
		ui_inject_arm(n);
		ret = nested_data(&g, UI_DOMAIN_F_PASID, &s1, &domain);
		if (!ret)
			ret = ui_device_attach(g.w.dev, 7, true, domain, false, NULL);
		ui_inject_arm(0);
		if (!ret)
			break;
		assert_int_equal(ret, -ENOMEM);
		assert_true(n < 100);
		ui_domain_destroy(domain);
		domain = NULL;
		assert_true(ui_alloc_live() <= live + 1); /* leaves of the PASID table stay with the group */
		assert_int_equal(must_read(at(IOVA)), 'd');
	}
	assert_int_equal(must_read(at_pasid(IOVA, 7)), 'd');
	ui_device_detach(g.w.dev, 7, true);
	ui_domain_destroy(domain);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(data_that_is_not_vtd_s1_is_refused),
		T(tables_that_no_hardware_walks_are_not_attached),
		T(the_low_bits_of_the_table_pointer_mean_nothing),
		T(both_halves_of_canonical_addresses_are_walked),
		T(reads_mark_accessed_and_writes_dirty),
		T(a_look_marks_nothing_and_spares_nothing),
		T(rights_above_hold_for_every_page_of_a_table),
		T(many_domains_do_not_mix),
		T(a_read_only_stage_2_refuses_the_mark_and_stores_nothing),
		T(marked_tables_are_dirty_in_the_parent),
		T(a_user_request_needs_the_user_bit_and_a_privileged_one_sre),
		T(requests_to_execute_are_refused),
		T(pasids_have_nested_domains_of_their_own),
		T(without_the_flag_a_nested_domain_takes_no_pasid),
		T(an_unmap_in_the_parent_reaches_tables_and_data),
		T(tables_move_under_the_parents_gate),
		T(a_failed_allocation_changes_nothing),
	};

	ui_log_set(UI_LOG_ERROR, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
