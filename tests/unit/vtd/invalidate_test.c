/* SPDX-License-Identifier: MIT */
/* IOMMU_HWPT_INVALIDATE with VT-d entries, as the driver half does it. (iommufd-semantics 5) */
#include "common.h"
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* The first bytes under a table of the lowest level; that table is the one for IOVA + 2 MiB, too, in no test. */
#define IOVA 0x40000000u

static struct guest g;
static struct ui_domain *nested;
static u64 top, data, other;

static int setup(void **state)
{
	if (!guest_open(&g, 0))
		return -1;
	top = guest_page(&g);
	data = guest_page(&g);
	other = guest_page(&g);
	*entry_of(&g, data) = 'd';
	*entry_of(&g, other) = 'o';
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

static u64 must_read(u64 iova)
{
	u64 val = 0;

	assert_int_equal(read_at(&g, at(iova), &val, NULL), UI_DMA_OK);
	return val;
}

static int run(u32 type, u32 entry_bytes, u32 n, const void *uptr, u32 *n_done)
{
	struct ui_user_array array = { .type = type, .entry_bytes = entry_bytes, .n = n, .uptr = (uintptr_t)uptr, .n_done = 99 };
	int ret = ui_driver_find("vtd")->invalidate(nested, &array);

	*n_done = array.n_done;
	return ret;
}

static void only_whole_entries_of_the_type_are_taken(void **state)
{
	struct { struct vtd_inv_data inv; u64 more; } d = { .inv = { .npages = 1 } };
	u32 n_done;

	assert_int_equal(run(TYPE_INV_VTD_S1, 24, 1, &d, &n_done), 0);
	assert_int_equal(n_done, 1);
	assert_int_equal(run(1, 24, 1, &d, &n_done), -EINVAL);
	assert_int_equal(n_done, 0);
	/* No entries: a question about the type. */
	assert_int_equal(run(TYPE_INV_VTD_S1, 0, 0, NULL, &n_done), 0);
	assert_int_equal(run(1, 0, 0, NULL, &n_done), -EINVAL);
	assert_int_equal(run(0xdeadbeef, 0, 0, NULL, &n_done), -EINVAL);
	assert_int_equal(run(TYPE_INV_VTD_S1, 23, 1, &d, &n_done), -EINVAL);
	assert_int_equal(run(TYPE_INV_VTD_S1, 32, 1, &d, &n_done), -EINVAL);
	assert_int_equal(n_done, 0);
	assert_int_equal(ui_safe_install(), 0);
	assert_int_equal(run(TYPE_INV_VTD_S1, 24, 1, NULL, &n_done), -EFAULT);
	assert_int_equal(n_done, 0);
}

static void malformed_entries_are_refused(void **state)
{
	static const struct {
		struct vtd_inv_data inv;
		int ret;
	} cases[] = {
		{ { .addr = 0, .npages = ALL_PAGES }, 0 },
		{ { .addr = 0, .npages = ALL_PAGES, .flags = LEAF }, 0 },
		{ { .addr = 0x1000, .npages = ALL_PAGES - 1 }, 0 },
		{ { .addr = ~(u64)0xfff, .npages = 2 }, 0 },
		{ { .addr = 0x1000, .npages = 0 }, 0 },
		{ { .addr = 0x1000, .npages = ALL_PAGES }, -EINVAL },
		{ { .addr = 0x800, .npages = 1 }, -EINVAL },
		{ { .addr = 1, .npages = ALL_PAGES }, -EINVAL },
		{ { .addr = 0, .npages = 1, .flags = 2 }, -EOPNOTSUPP },
		{ { .addr = 0, .npages = 1, .flags = UI_BIT(31) | LEAF }, -EOPNOTSUPP },
		{ { .addr = 0, .npages = 1, .__reserved = 1 }, -EOPNOTSUPP },
		{ { .addr = 1, .npages = 1, .flags = 2 }, -EOPNOTSUPP },
	};

	for (unsigned i = 0; i < ui_array_size(cases); i++) {
		u32 n_done;

		assert_int_equal(invalidate_n(nested, &cases[i].inv, 1, &n_done), cases[i].ret);
		assert_int_equal(n_done, !cases[i].ret);
	}
}

/* Makes pages @n from IOVA on lead to data, lets the device read each, and then changes them to other: all from the TLB still. */
static void change_pages(u64 *entries, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		entries[i] = guest_map(&g, top, 4, IOVA + i * PAGE, data, FREE);
		assert_int_equal(must_read(IOVA + i * PAGE), 'd');
	}
	for (unsigned i = 0; i < n; i++) {
		store_entry(&g, entries[i], other | FREE);
		/* Allowed, not required, by the specification; that it is so here shows that the rest means something. */
		assert_int_equal(must_read(IOVA + i * PAGE), 'd');
	}
}

static void the_pages_of_an_entry_are_forgotten_and_no_others(void **state)
{
	u64 entries[6];

	change_pages(entries, 6);
	assert_int_equal(invalidate(nested, IOVA + 2 * PAGE, 2, LEAF), 0);
	assert_int_equal(must_read(IOVA + PAGE), 'd');
	assert_int_equal(must_read(IOVA + 2 * PAGE), 'o');
	assert_int_equal(must_read(IOVA + 3 * PAGE), 'o');
	assert_int_equal(must_read(IOVA + 4 * PAGE), 'd');
	assert_int_equal(invalidate(nested, IOVA + 5 * PAGE, ALL_PAGES >> 13, 0), 0);
	assert_int_equal(must_read(IOVA + 4 * PAGE), 'd');
	assert_int_equal(must_read(IOVA + 5 * PAGE), 'o');
	assert_int_equal(invalidate(nested, 0, ALL_PAGES, 0), 0);
	assert_int_equal(must_read(IOVA), 'o');
	assert_int_equal(must_read(IOVA + 4 * PAGE), 'o');
}

static void a_count_that_reaches_beyond_all_addresses_means_the_rest(void **state)
{
	u64 entries[2];

	change_pages(entries, 2);
	assert_int_equal(invalidate(nested, IOVA + PAGE, ALL_PAGES - 1, 0), 0);
	assert_int_equal(must_read(IOVA), 'd');
	assert_int_equal(must_read(IOVA + PAGE), 'o');
}

static void entries_take_effect_in_order_up_to_the_first_bad_one(void **state)
{
	const struct vtd_inv_data inv[] = { { .addr = IOVA, .npages = 1 }, { .addr = IOVA + PAGE, .npages = 1 }, { .addr = 1 },
					    { .addr = IOVA + 2 * PAGE, .npages = 1 } };
	u64 entries[3];
	u32 n_done;

	change_pages(entries, 3);
	assert_int_equal(invalidate_n(nested, inv, 4, &n_done), -EINVAL);
	assert_int_equal(n_done, 2);
	assert_int_equal(must_read(IOVA), 'o');
	assert_int_equal(must_read(IOVA + PAGE), 'o');
	assert_int_equal(must_read(IOVA + 2 * PAGE), 'd');
}

/* Entries above the leaves: the walker remembers lowest tables, and must forget them. */
static void a_changed_upper_entry_counts_after_the_invalidation(void **state)
{
	u64 table = guest_page(&g), pde;

	guest_map(&g, top, 4, IOVA, data, FREE);
	guest_map(&g, top, 4, IOVA + PAGE, data, FREE);
	assert_int_equal(must_read(IOVA), 'd');
	assert_int_equal(must_read(IOVA + PAGE), 'd');
	pde = guest_entry(&g, top, 4, IOVA, 2);
	store_entry(&g, table, other | FREE);
	store_entry(&g, table + 8, other | FREE);
	store_entry(&g, pde, table | FREE);
	assert_int_equal(invalidate(nested, IOVA, 1, 0), 0);
	assert_int_equal(must_read(IOVA), 'o');
	assert_int_equal(must_read(IOVA + PAGE), 'd'); /* from the TLB: nobody spoke of it */
	assert_int_equal(invalidate(nested, IOVA + PAGE, 1, 0), 0);
	assert_int_equal(must_read(IOVA + PAGE), 'o');
	store_entry(&g, pde, 0);
	assert_int_equal(invalidate(nested, 0, ALL_PAGES, 0), 0);
	assert_int_equal(read_at(&g, at(IOVA), &table, NULL), UI_DMA_TRANSLATION);
}

/* Rights in upper entries too. */
static void a_right_taken_away_above_counts_after_the_invalidation(void **state)
{
	u64 pde;

	guest_map(&g, top, 4, IOVA, data, FREE);
	assert_int_equal(write_at(&g, at(IOVA), 1, NULL), UI_DMA_OK);
	pde = guest_entry(&g, top, 4, IOVA, 2);
	store_entry(&g, pde, load_entry(&g, pde) & ~(u64)RW_BIT);
	assert_int_equal(invalidate(nested, IOVA, 1, 0), 0);
	assert_int_equal(write_at(&g, at(IOVA), 2, NULL), UI_DMA_PERMISSION);
}

/* CAP.CM = 0: what is not present is not cached, so nobody need say that it is there now. */
static void new_entries_need_no_invalidation(void **state)
{
	u64 val;

	guest_map(&g, top, 4, IOVA, data, FREE);
	assert_int_equal(must_read(IOVA), 'd');
	assert_int_equal(read_at(&g, at(IOVA + PAGE), &val, NULL), UI_DMA_TRANSLATION);
	guest_map(&g, top, 4, IOVA + PAGE, other, FREE);
	assert_int_equal(must_read(IOVA + PAGE), 'o');
	assert_int_equal(read_at(&g, at(IOVA + (1u << 21)), &val, NULL), UI_DMA_TRANSLATION);
	guest_map(&g, top, 4, IOVA + (1u << 21), other, FREE);
	assert_int_equal(must_read(IOVA + (1u << 21)), 'o');
}

static void large_pages_are_forgotten_by_any_page_of_theirs(void **state)
{
	static u8 large[2 << 21] __attribute__((aligned(1 << 21)));
	u64 pde = guest_entry(&g, top, 4, IOVA, 2);
	const u64 gpa = 0x80000000;

	assert_int_equal(ui_domain_map(g.parent, gpa, pa_of(large), sizeof(large), RW, 64), 0);
	memset(large, 1, 1 << 21);
	memset(large + (1 << 21), 2, 1 << 21);
	store_entry(&g, pde, gpa | PS | FREE);
	assert_int_equal(must_read(IOVA + 0x1ff000), 0x0101010101010101);
	store_entry(&g, pde, (gpa + (1u << 21)) | PS | FREE);
	assert_int_equal(invalidate(nested, IOVA + 0x3000, 1, LEAF), 0);
	assert_int_equal(must_read(IOVA + 0x1ff000), 0x0202020202020202);
}

static void dirty_and_accessed_are_set_again_after_the_invalidation(void **state)
{
	u64 entry = guest_map(&g, top, 4, IOVA, data, FREE);

	assert_int_equal(write_at(&g, at(IOVA), 1, NULL), UI_DMA_OK);
	assert_int_equal(load_entry(&g, entry) & (A_BIT | D_BIT), A_BIT | D_BIT);
	store_entry(&g, entry, data | FREE);
	assert_int_equal(invalidate(nested, IOVA, 1, LEAF), 0);
	assert_int_equal(write_at(&g, at(IOVA), 1, NULL), UI_DMA_OK);
	assert_int_equal(load_entry(&g, entry) & (A_BIT | D_BIT), A_BIT | D_BIT);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(only_whole_entries_of_the_type_are_taken),
		T(malformed_entries_are_refused),
		T(the_pages_of_an_entry_are_forgotten_and_no_others),
		T(a_count_that_reaches_beyond_all_addresses_means_the_rest),
		T(entries_take_effect_in_order_up_to_the_first_bad_one),
		T(a_changed_upper_entry_counts_after_the_invalidation),
		T(a_right_taken_away_above_counts_after_the_invalidation),
		T(new_entries_need_no_invalidation),
		T(large_pages_are_forgotten_by_any_page_of_theirs),
		T(dirty_and_accessed_are_set_again_after_the_invalidation),
	};

	ui_log_set(UI_LOG_ERROR, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
