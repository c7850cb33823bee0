/* SPDX-License-Identifier: MIT */
/*
 * GET_HW_INFO of the kind `vtd`: every bit that the capability registers have set stands in the table below with a test that it
 * works. Positions are the specification's (chapter 11.4), written down here once more. (issue 3, point 2)
 */
#include "common.h"
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define IOVA 0x40000000u

/* struct iommu_hw_info_vtd. */
struct info {
	u32 flags, __reserved;
	u64 cap, ecap;
};

static struct guest g;
static struct ui_domain *nested;
static u64 top, data;

static int setup(void **state)
{
	if (!guest_open(&g, UI_DOMAIN_F_PASID | UI_DOMAIN_F_DIRTY))
		return -1;
	top = guest_page(&g);
	data = guest_page(&g);
	*entry_of(&g, data) = 'd';
	nested = nested_new(&g, top, 4, 0);
	return ui_device_attach(g.w.dev, 0, false, nested, false, NULL);
}

static int teardown(void **state)
{
	ui_device_detach(g.w.dev, 0, false);
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

static void use(struct ui_domain *domain)
{
	assert_int_equal(ui_device_attach(g.w.dev, 0, false, domain, true, NULL), 0);
}

/* Back to the nested domain of the set-up. */
static void drop(struct ui_domain *domain)
{
	use(nested);
	ui_domain_destroy(domain);
}

static struct ui_domain *paging(unsigned flags)
{
	struct ui_domain *domain = NULL;

	assert_int_equal(ui_domain_create_paging(g.w.dev, flags, NULL, &domain), 0);
	return domain;
}

/* 2^16 domains at a time. Without a port: whose TLB is empty need not be cleaned of a tag. */
static void many_domains(void)
{
	static struct ui_domain *domains[1 << 16];

	ui_dma_close(g.w.dma);
	for (unsigned i = 0; i < ui_array_size(domains); i++)
		domains[i] = nested_new(&g, top, 4, 0);
	for (unsigned i = 0; i < ui_array_size(domains); i++)
		ui_domain_destroy(domains[i]);
	g.w.dma = ui_device_port_open(g.w.dev);
	assert_non_null(g.w.dma);
}

static void second_stage_of_48_bits(void)
{
	const u64 last_page = ui_mask_lg2(48) - (PAGE - 1);
	u64 start, last, val;

	use(g.parent);
	ui_domain_aperture(g.parent, &start, &last);
	assert_int_equal(start, 0);
	assert_int_equal(last, ui_mask_lg2(48));
	assert_int_equal(ui_domain_map(g.parent, last_page, pa_of(g.mem[1]), PAGE, RW, 64), 0);
	assert_int_equal(must_read(at(last_page)), 'd');
	assert_int_equal(read_at(&g, at(last_page + UI_BIT(48)), &val, NULL), UI_DMA_ADDR_SIZE);
	assert_int_equal(ui_domain_map(g.parent, UI_BIT(48), pa_of(g.mem[1]), PAGE, RW, 64), -ERANGE);
	use(nested);
}

static void large_leaves_of_the_second_stage(void)
{
	for (unsigned lg2 = 21; lg2 <= 30; lg2 += 9) {
		const u64 base = ui_align_down(pa_of(g.mem[1]), UI_BIT(lg2)), iova = UI_BIT(40);
		struct ui_walk walk;

		assert_int_equal(ui_domain_map(g.parent, iova, base, UI_BIT(lg2), UI_PROT_READ, 64), 0);
		assert_int_equal(ui_domain_lookup(g.parent, iova, &walk), 0);
		assert_int_equal(walk.leaf_lg2, lg2);
		use(g.parent);
		assert_int_equal(must_read(at(iova + pa_of(g.mem[1]) - base)), 'd');
		use(nested);
		assert_int_equal(ui_domain_unmap(g.parent, iova, iova + ui_mask_lg2(lg2), UI_PT_REFUSE), UI_BIT(lg2));
	}
}

/* 2^@lg2 pages from IOVA leave the TLB, what lies beside them stays: a hit says so. */
static void invalidate_pages(unsigned lg2)
{
	const u64 iovas[] = { IOVA - PAGE, IOVA, IOVA + (UI_BIT(lg2) - 1) * PAGE, IOVA + UI_BIT(lg2) * PAGE };
	struct ui_dma_stats before, after;
	unsigned n_missed = 0;

	for (unsigned i = 0; i < 4; i++)
		guest_map(&g, top, 4, iovas[i], data, FREE);
	for (unsigned i = 0; i < 4; i++)
		must_read(at(iovas[i]));
	assert_int_equal(invalidate(nested, IOVA, UI_BIT(lg2), 0), 0);
	for (unsigned i = 0; i < 4; i++) {
		ui_dma_stats(g.w.dma, &before);
		must_read(at(iovas[i]));
		ui_dma_stats(g.w.dma, &after);
		n_missed += after.tlb_misses != before.tlb_misses;
		if (i == 0 || i == 3)
			assert_int_equal(after.tlb_hits, before.tlb_hits + 1);
	}
	assert_int_equal(n_missed, lg2 ? 2 : 1);
}

static void invalidation_by_page(void)
{
	invalidate_pages(0);
}

static void invalidation_of_2_18_pages(void)
{
	invalidate_pages(18);
}

/* Who is inside a read or write keeps the invalidation waiting: race_test.c, which needs threads. Here: the same thread is told. */
static void draining(void)
{
	static const unsigned rights[] = { UI_PROT_READ, UI_PROT_WRITE };
	struct ui_dma_addr where = at(IOVA);
	struct ui_mem_span span;

	guest_map(&g, top, 4, IOVA, data, FREE);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(ui_dma_begin(g.w.dma, &where, rights[i], 8, &span, NULL), UI_DMA_OK);
		assert_int_equal(invalidate(nested, IOVA, 1, 0), -EDEADLK);
		ui_dma_end(g.w.dma);
		assert_int_equal(invalidate(nested, IOVA, 1, 0), 0);
	}
}

static void first_stage_leaves_of_1_gib(void)
{
	struct ui_dma_addr where = at(UI_BIT(39) + data);
	struct ui_walk walk;

	store_entry(&g, guest_entry(&g, top, 4, UI_BIT(39), 3), 0 | PS | FREE);
	assert_int_equal(must_read(where), 'd');
	assert_int_equal(ui_dma_translate(g.w.dma, &where, UI_PROT_READ, &walk, NULL), UI_DMA_OK);
	assert_int_equal(walk.oa, pa_of(g.mem[1]));
}

static void first_stage_of_5_levels(void)
{
	struct ui_domain *five = nested_new(&g, top, 5, 0);
	const u64 iova = UI_BIT(55) + IOVA;
	u64 val;

	guest_map(&g, top, 5, iova, data, FREE);
	use(five);
	assert_int_equal(must_read(at(iova)), 'd');
	assert_int_equal(read_at(&g, at(UI_BIT(57)), &val, NULL), UI_DMA_ADDR_SIZE);
	drop(five);
}

/* Tables and data are seen as the processor writes them, and the other way round: nobody flushes anything. */
static void coherency(void)
{
	u64 val;

	assert_int_equal(read_at(&g, at(IOVA), &val, NULL), UI_DMA_TRANSLATION);
	guest_map(&g, top, 4, IOVA, data, FREE);
	assert_int_equal(must_read(at(IOVA)), 'd');
	*entry_of(&g, data) = 'e';
	assert_int_equal(must_read(at(IOVA)), 'e');
	assert_int_equal(write_at(&g, at(IOVA), 'f', NULL), UI_DMA_OK);
	assert_int_equal(*entry_of(&g, data), 'f');
}

static void queued_invalidation(void)
{
	const struct vtd_inv_data inv[] = { { .addr = IOVA, .npages = 1 }, { .addr = 0, .npages = ALL_PAGES } };
	u64 other = guest_page(&g), entry = guest_map(&g, top, 4, IOVA, data, FREE);
	u32 n_done;

	must_read(at(IOVA));
	store_entry(&g, entry, other | FREE);
	assert_int_equal(invalidate_n(nested, inv, 2, &n_done), 0);
	assert_int_equal(n_done, 2);
	assert_int_equal(must_read(at(IOVA)), 0);
}

static void pass_through(void)
{
	use(ui_domain_identity(g.w.iommu));
	assert_int_equal(must_read(at(pa_of(g.mem[1]))), 'd');
	use(nested);
}

static void nesting(void)
{
	struct ui_dma_stats stats;

	guest_map(&g, top, 4, IOVA, data, FREE);
	assert_int_equal(must_read(at(IOVA)), 'd');
	assert_int_equal(must_read(at(IOVA)), 'd');
	use(g.parent);
	assert_int_equal(must_read(at(data)), 'd');
	use(nested);
	ui_dma_stats(g.w.dma, &stats);
	assert_int_equal(stats.nested_walks, 1);
	assert_int_equal(stats.walks, 2);
}

static void supervisor_requests(void)
{
	struct ui_domain *sre = nested_new(&g, top, 4, SRE);
	struct ui_dma_addr where = at(IOVA);
	u64 val;

	where.priv = true;
	guest_map(&g, top, 4, IOVA, data, P);
	assert_int_equal(read_at(&g, where, &val, NULL), UI_DMA_PERMISSION);
	use(sre);
	assert_int_equal(must_read(where), 'd');
	assert_int_equal(read_at(&g, at(IOVA), &val, NULL), UI_DMA_PERMISSION);
	drop(sre);
}

static void pasids_of_20_bits(void)
{
	const u32 pasid = (1u << 20) - 1;

	guest_map(&g, top, 4, IOVA, data, FREE);
	assert_int_equal(ui_device_pasid_bits(g.w.dev), 20);
	assert_int_equal(ui_device_attach(g.w.dev, pasid, true, nested, false, NULL), 0);
	assert_int_equal(must_read(at_pasid(IOVA, pasid)), 'd');
	assert_int_equal(ui_device_attach(g.w.dev, pasid + 1, true, nested, false, NULL), -EINVAL);
	ui_device_detach(g.w.dev, pasid, true);
}

/* Nested without PASID, first stage and second stage each with one, side by side. */
static void scalable_mode(void)
{
	struct ui_domain *first = paging(UI_DOMAIN_F_PASID);

	guest_map(&g, top, 4, IOVA, data, FREE);
	assert_int_equal(ui_domain_map(first, IOVA + PAGE, pa_of(g.mem[1]), PAGE, RW, 64), 0);
	assert_int_equal(ui_device_attach(g.w.dev, 1, true, first, false, NULL), 0);
	assert_int_equal(ui_device_attach(g.w.dev, 2, true, g.parent, false, NULL), 0);
	assert_int_equal(must_read(at(IOVA)), 'd');
	assert_int_equal(must_read(at_pasid(IOVA + PAGE, 1)), 'd');
	assert_int_equal(must_read(at_pasid(data, 2)), 'd');
	ui_device_detach(g.w.dev, 1, true);
	ui_device_detach(g.w.dev, 2, true);
	ui_domain_destroy(first);
}

static int only_data(void *arg, u64 start, u64 last)
{
	*(unsigned *)arg += start == data && last == data + PAGE - 1 ? 1 : 100;
	return 0;
}

static void dirty_tracking(void)
{
	struct ui_domain *domain;
	unsigned n_seen = 0;
	u64 start, last;

	assert_true(ui_device_dirty_capable(g.w.dev));
	use(g.parent);
	assert_int_equal(ui_domain_set_dirty_tracking(g.parent, true), 0);
	assert_int_equal(must_read(at(data + PAGE)), 0);
	assert_int_equal(write_at(&g, at(data), 1, NULL), UI_DMA_OK);
	assert_int_equal(ui_domain_read_dirty(g.parent, 0, ~(u64)0, false, only_data, &n_seen), 0);
	assert_int_equal(n_seen, 1);
	use(nested);
	/* Linux's choice: what tracks is second stage, also where nothing will be nested over it. */
	domain = paging(UI_DOMAIN_F_DIRTY);
	ui_domain_aperture(domain, &start, &last);
	assert_int_equal(last, ui_mask_lg2(48));
	ui_domain_destroy(domain);
}

static void second_stage_alone(void)
{
	struct ui_fault fault;
	u64 val;

	use(g.parent);
	assert_int_equal(must_read(at(data)), 'd');
	assert_int_equal(read_at(&g, at(0x1000), &val, &fault), UI_DMA_TRANSLATION);
	assert_int_equal(fault.stage, 2);
	use(nested);
}

/* Linux's choice for a domain that neither nests nor tracks: its lower half can be mapped. */
static void first_stage_alone(void)
{
	const u64 last_page = ui_mask_lg2(47) - (PAGE - 1);
	struct ui_domain *first = paging(0);
	struct ui_fault fault;
	u64 start, last, val;

	ui_domain_aperture(first, &start, &last);
	assert_int_equal(last, ui_mask_lg2(47));
	assert_int_equal(ui_domain_map(first, last_page, pa_of(g.mem[1]), PAGE, UI_PROT_WRITE, 64), 0);
	assert_int_equal(ui_domain_map(first, UI_BIT(47), pa_of(g.mem[1]), PAGE, RW, 64), -ERANGE);
	use(first);
	/* This format cannot say "write only". */
	assert_int_equal(must_read(at(last_page)), 'd');
	assert_int_equal(read_at(&g, at(0x1000), &val, &fault), UI_DMA_TRANSLATION);
	assert_int_equal(fault.stage, 1);
	drop(first);
}

static const struct {
	unsigned high, low;
	u64 val;
	void (*works)(void);
} cap_fields[] = {
	{ 2, 0, 6, many_domains },
	{ 12, 8, 4, second_stage_of_48_bits },
	{ 21, 16, 47, second_stage_of_48_bits },
	{ 37, 34, 3, large_leaves_of_the_second_stage },
	{ 39, 39, 1, invalidation_by_page },
	{ 53, 48, 18, invalidation_of_2_18_pages },
	{ 54, 54, 1, draining },
	{ 55, 55, 1, draining },
	{ 56, 56, 1, first_stage_leaves_of_1_gib },
	{ 60, 60, 1, first_stage_of_5_levels },
}, ecap_fields[] = {
	{ 0, 0, 1, coherency },
	{ 1, 1, 1, queued_invalidation },
	{ 6, 6, 1, pass_through },
	{ 7, 7, 1, coherency },
	{ 26, 26, 1, nesting },
	{ 31, 31, 1, supervisor_requests },
	{ 39, 35, 19, pasids_of_20_bits },
	{ 40, 40, 1, pasids_of_20_bits },
	{ 43, 43, 1, scalable_mode },
	{ 45, 45, 1, dirty_tracking },
	{ 46, 46, 1, second_stage_alone },
	{ 47, 47, 1, first_stage_alone },
	{ 48, 48, 1, coherency },
};

static struct info get_info(void)
{
	struct ui_hw_info hw = { 0 };
	struct info info;

	ui_device_driver(g.w.dev)->hw_info(g.w.dev, &hw);
	assert_int_equal(hw.type, 1);
	assert_int_equal(hw.data_bytes, sizeof(info));
	/* Dirty tracking; ATS not supported. Rights of PASIDs to execute or to be privileged are the device's to have. */
	assert_int_equal(hw.capabilities, 1 | 8);
	memcpy(&info, hw.data, sizeof(info));
	assert_int_equal(info.flags, 0);
	assert_int_equal(info.__reserved, 0);
	return info;
}

/* Runs each test from a fresh start. */
#define CHECK_FIELDS(fields, reg)                                                                                         \
	do {                                                                                                               \
		u64 known = 0;                                                                                             \
                                                                                                                           \
		for (unsigned i = 0; i < ui_array_size(fields); i++) {                                                     \
			known |= ui_mask_range((fields)[i].high, (fields)[i].low);                                         \
			assert_int_equal(ui_field(reg, (fields)[i].high, (fields)[i].low), (fields)[i].val);               \
			assert_int_equal(teardown(state), 0);                                                              \
			assert_int_equal(setup(state), 0);                                                                 \
			(fields)[i].works();                                                                               \
		}                                                                                                          \
		assert_int_equal((reg) & ~known, 0);                                                                       \
	} while (0)

static void each_bit_of_the_capability_register_works(void **state)
{
	struct info info = get_info();

	CHECK_FIELDS(cap_fields, info.cap);
}

static void each_bit_of_the_extended_capability_register_works(void **state)
{
	struct info info = get_info();

	CHECK_FIELDS(ecap_fields, info.ecap);
}

static void the_interrupt_window_is_reserved(void **state)
{
	const struct ui_resv *resv;
	size_t n;

	resv = ui_device_reserved(g.w.dev, &n);
	assert_int_equal(n, 1);
	assert_int_equal(resv[0].start, 0xfee00000);
	assert_int_equal(resv[0].last, 0xfeefffff);
	assert_true(resv[0].msi);
}

static void paging_domains_take_no_data(void **state)
{
	const struct ui_user_data some = { .type = 1, .n_bytes = 24, .uptr = (uintptr_t)&some }, typed = { .type = 1 };
	struct ui_domain *domain;

	assert_int_equal(ui_domain_create_paging(g.w.dev, 0, &some, &domain), -EOPNOTSUPP);
	assert_int_equal(ui_domain_create_paging(g.w.dev, 0, &typed, &domain), -EOPNOTSUPP);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(each_bit_of_the_capability_register_works),
		T(each_bit_of_the_extended_capability_register_works),
		T(the_interrupt_window_is_reserved),
		T(paging_domains_take_no_data),
	};

	ui_log_set(UI_LOG_ERROR, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
