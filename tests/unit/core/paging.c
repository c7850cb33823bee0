/* SPDX-License-Identifier: MIT */
/* Paging domains, one thread: map, unmap, look up, dirty state, moving pages. */
#include "common.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define BIG (2u << 20)

static struct world w;
static struct ui_domain *dom, *dirty_dom;
static u8 big[2 * BIG] __attribute__((aligned(2 << 20)));

static int setup(void **state)
{
	memset(big, 0, sizeof(big));
	if (!world_open(&w, NULL, 8) || ui_domain_create_paging(w.dev, 0, NULL, &dom) ||
	    ui_domain_create_paging(w.dev, UI_DOMAIN_F_DIRTY | UI_DOMAIN_F_PASID, NULL, &dirty_dom))
		return -1;
	return ui_device_attach(w.dev, 0, false, dom, false, NULL);
}

static int teardown(void **state)
{
	ui_device_detach(w.dev, 0, false);
	ui_domain_destroy(dom);
	ui_domain_destroy(dirty_dom);
	world_close(&w);
	return ui_alloc_live() ? -1 : 0;
}

static enum ui_dma_status write8(u64 iova, u64 val)
{
	struct ui_dma_addr where = at(iova);

	return ui_dma_write(w.dma, &where, &val, sizeof(val), NULL, NULL);
}

static unsigned leaf_lg2(struct ui_domain *domain, u64 iova)
{
	struct ui_walk walk;

	return ui_domain_lookup(domain, iova, &walk) ? 0 : walk.leaf_lg2;
}

static void generic_makes_x86_tables_of_48_bits(void **state)
{
	struct ui_domain *out;
	u64 start, last;
	const struct ui_user_data data = { .type = 1, .n_bytes = 1 };

	assert_int_equal(ui_domain_kind(dom), UI_DOMAIN_PAGING);
	assert_int_equal(ui_domain_page_sizes(dom), 0x40201000);
	ui_domain_aperture(dom, &start, &last);
	assert_int_equal(start, 0);
	assert_int_equal(last, 0xffffffffffff);
	assert_int_equal(ui_domain_flags(dom), 0);
	assert_int_equal(ui_domain_flags(dirty_dom), UI_DOMAIN_F_DIRTY | UI_DOMAIN_F_PASID);
	assert_ptr_equal(ui_domain_iommu(dom), w.iommu);
	assert_int_equal(ui_domain_create_paging(w.dev, UI_DOMAIN_F_NEST_PARENT, NULL, &out), -EOPNOTSUPP);
	assert_int_equal(ui_domain_create_paging(w.dev, 1u << 30, NULL, &out), -EOPNOTSUPP);
	assert_int_equal(ui_domain_create_paging(w.dev, 0, &data, &out), -EOPNOTSUPP);
	ui_domain_destroy(NULL);
}

static void flags_the_kind_does_not_have_are_refused(void **state)
{
	struct ui_driver_ops ops = *ui_driver_find("generic");
	struct ui_domain *out;
	struct world poor;

	ops.dirty = false;
	ops.pasid_bits = 0;
	assert_true(world_open(&poor, &ops, 0));
	assert_false(ui_device_dirty_capable(poor.dev));
	assert_int_equal(ui_domain_create_paging(poor.dev, UI_DOMAIN_F_DIRTY, NULL, &out), -EOPNOTSUPP);
	assert_int_equal(ui_domain_create_paging(poor.dev, UI_DOMAIN_F_PASID, NULL, &out), -EOPNOTSUPP);
	world_close(&poor);
}

static void map_says_what_is_wrong(void **state)
{
	assert_int_equal(ui_domain_map(dom, 0x1000, pa_of(big), PAGE, RW, 64), 0);
	assert_int_equal(ui_domain_map(dom, 0x1000, pa_of(big), PAGE, RW, 64), -EEXIST);
	assert_int_equal(ui_domain_map(dom, 0, pa_of(big), 4 * PAGE, RW, 64), -EEXIST);
	assert_int_equal(leaf_lg2(dom, 0), 0);
	assert_int_equal(leaf_lg2(dom, 0x2000), 0);
	assert_int_equal(ui_domain_map(dom, 0x2001, pa_of(big), PAGE, RW, 64), -EINVAL);
	assert_int_equal(ui_domain_map(dom, 0x2000, pa_of(big) + 1, PAGE, RW, 64), -EINVAL);
	assert_int_equal(ui_domain_map(dom, 0x2000, pa_of(big), PAGE / 2, RW, 64), -EINVAL);
	assert_int_equal(ui_domain_map(dom, 0x2000, pa_of(big), 0, RW, 64), -EINVAL);
	assert_int_equal(ui_domain_map(dom, 0x2000, pa_of(big), PAGE, RW, 11), -EINVAL);
	assert_int_equal(ui_domain_map(dom, UI_BIT(48), pa_of(big), PAGE, RW, 64), -ERANGE);
	assert_int_equal(ui_domain_map(dom, UI_BIT(48) - PAGE, pa_of(big), 2 * PAGE, RW, 64), -ERANGE);
	assert_int_equal(ui_domain_map(dom, ~(u64)0 - PAGE + 1, pa_of(big), 2 * PAGE, RW, 64), -ERANGE);
	assert_int_equal(ui_domain_map(dom, 0x2000, UI_BIT(52), PAGE, RW, 64), -ERANGE);
	assert_int_equal(ui_domain_map(dom, UI_BIT(48) - PAGE, pa_of(big), PAGE, RW, 64), 0);
	assert_int_equal(ui_domain_unmap(dom, 0, ~(u64)0, UI_PT_SPLIT), 2 * PAGE);
}

static void unmap_removes_and_says_how_much(void **state)
{
	assert_int_equal(ui_domain_map(dom, 0x10000, pa_of(big), 4 * PAGE, RW, 64), 0);
	assert_int_equal(write8(0x11000, 1), UI_DMA_OK);
	assert_int_equal(ui_domain_unmap(dom, 0x11000, 0x12fff, UI_PT_SPLIT), 2 * PAGE);
	assert_int_equal(write8(0x11000, 2), UI_DMA_TRANSLATION);
	assert_int_equal(write8(0x10000, 2), UI_DMA_OK);
	assert_int_equal(ui_domain_unmap(dom, 0x11000, 0x12fff, UI_PT_SPLIT), 0);
	assert_int_equal(ui_domain_unmap(dom, 0x10001, 0x10fff, UI_PT_SPLIT), -EINVAL);
	assert_int_equal(ui_domain_unmap(dom, 0x10000, 0x10ffe, UI_PT_SPLIT), -EINVAL);
	assert_int_equal(ui_domain_unmap(dom, UI_BIT(48), ~(u64)0, UI_PT_SPLIT), 0);
	assert_int_equal(ui_domain_unmap(dom, 0, ~(u64)0, UI_PT_REFUSE), 2 * PAGE);
}

static void the_largest_leaf_is_used_up_to_the_callers_limit(void **state)
{
	assert_int_equal(ui_domain_map(dom, BIG, pa_of(big), BIG, RW, 64), 0);
	assert_int_equal(leaf_lg2(dom, BIG), 21);
	assert_int_equal(ui_domain_map(dom, 2 * BIG, pa_of(big), BIG, RW, 12), 0);
	assert_int_equal(leaf_lg2(dom, 2 * BIG), 12);
	assert_int_equal(ui_domain_page_sizes(dom), 0x40201000);
	assert_int_equal(ui_domain_map(dom, 4 * BIG, pa_of(big), BIG, RW, 21), 0);
	assert_int_equal(leaf_lg2(dom, 4 * BIG), 21);
	assert_int_equal(ui_domain_unmap(dom, BIG, BIG + PAGE - 1, UI_PT_REFUSE), -EBUSY);
	assert_int_equal(leaf_lg2(dom, BIG), 21);
	assert_int_equal(ui_domain_unmap(dom, BIG, BIG + PAGE - 1, UI_PT_SPLIT), PAGE);
	assert_int_equal(write8(BIG, 1), UI_DMA_TRANSLATION);
	assert_int_equal(write8(BIG + PAGE, 0x55), UI_DMA_OK);
	assert_int_equal(*(u64 *)(void *)(big + PAGE), 0x55);
}

static void lookup_finds_the_exact_byte(void **state)
{
	struct ui_walk walk;

	assert_int_equal(ui_domain_map(dom, BIG, pa_of(big), BIG, UI_PROT_READ, 64), 0);
	assert_int_equal(ui_domain_lookup(dom, BIG + 0x12345, &walk), 0);
	assert_int_equal(walk.oa, pa_of(big) + 0x12345);
	assert_int_equal(walk.prot & UI_PROT_WRITE, 0);
	assert_int_equal(ui_domain_lookup(dom, BIG - 1, &walk), -ENOENT);
	assert_int_equal(ui_domain_lookup(dom, ~(u64)0, &walk), -ENOENT);
}

static void a_read_only_mapping_is_never_written(void **state)
{
	assert_int_equal(ui_domain_map(dom, 0x1000, pa_of(big), PAGE, UI_PROT_READ, 64), 0);
	assert_int_equal(write8(0x1000, ~(u64)0), UI_DMA_PERMISSION);
	assert_int_equal(*(u64 *)(void *)big, 0);
}

/* ---- dirty state ---- */

struct ranges {
	unsigned n;
	u64 start[8], last[8];
};

static int add_range(void *arg, u64 start, u64 last)
{
	struct ranges *r = arg;

	assert_true(r->n < 8);
	r->start[r->n] = start;
	r->last[r->n++] = last;
	return 0;
}

static unsigned dirty(u64 start, u64 last, bool keep, struct ranges *r)
{
	r->n = 0;
	assert_int_equal(ui_domain_read_dirty(dirty_dom, start, last, keep, add_range, r), 0);
	return r->n;
}

/* Design 12: a dirty bit is never lost in a TLB. */
static void a_write_after_clearing_is_dirty_again(void **state)
{
	struct ranges r;

	assert_int_equal(ui_device_attach(w.dev, 0, false, dirty_dom, true, NULL), 0);
	assert_int_equal(ui_domain_map(dirty_dom, 0x10000, pa_of(big), 4 * PAGE, RW, 64), 0);
	assert_int_equal(dirty(0, ~(u64)0, false, &r), 0);
	assert_int_equal(write8(0x11008, 1), UI_DMA_OK);
	assert_int_equal(dirty(0x10000, 0x13fff, true, &r), 1);
	assert_int_equal(dirty(0x10000, 0x13fff, false, &r), 1);
	assert_int_equal(r.start[0], 0x11000);
	assert_int_equal(r.last[0], 0x11fff);
	assert_int_equal(dirty(0x10000, 0x13fff, false, &r), 0);
	for (u64 round = 0; round < 4; round++) {
		assert_int_equal(write8(0x11008, round), UI_DMA_OK);
		assert_int_equal(write8(0x11010, round), UI_DMA_OK);
		assert_int_equal(dirty(0x10000, 0x13fff, false, &r), 1);
	}
	/* Calls are clipped to what was asked for, which needs no alignment. */
	assert_int_equal(write8(0x12000, 1), UI_DMA_OK);
	assert_int_equal(dirty(0x12010, 0x12020, true, &r), 1);
	assert_int_equal(r.start[0], 0x12010);
	assert_int_equal(r.last[0], 0x12020);
	assert_int_equal(dirty(0x13000, ~(u64)0, true, &r), 0);
	assert_int_equal(dirty(UI_BIT(50), ~(u64)0, true, &r), 0);
}

static void reads_do_not_make_dirty(void **state)
{
	struct ui_dma_addr where = at(0x10000);
	struct ranges r;
	u64 val;

	assert_int_equal(ui_device_attach(w.dev, 0, false, dirty_dom, true, NULL), 0);
	assert_int_equal(ui_domain_map(dirty_dom, 0x10000, pa_of(big), PAGE, RW, 64), 0);
	assert_int_equal(ui_dma_read(w.dma, &where, &val, 8, NULL, NULL), UI_DMA_OK);
	assert_int_equal(dirty(0, ~(u64)0, true, &r), 0);
	assert_int_equal(ui_domain_mark_dirty(dirty_dom, 0x10123), 0);
	assert_int_equal(dirty(0, ~(u64)0, true, &r), 1);
	assert_int_equal(ui_domain_mark_dirty(dirty_dom, 0x11000), -ENOENT);
	assert_int_equal(ui_domain_mark_dirty(dirty_dom, UI_BIT(48)), -ENOENT);
}

static int stop(void *arg, u64 start, u64 last)
{
	++*(unsigned *)arg;
	return -EFAULT;
}

/* Takes the first @arg reports, refuses the rest. */
static int stop_later(void *arg, u64 start, u64 last)
{
	return (*(unsigned *)arg)-- ? 0 : -EFAULT;
}

/* Design 12: what the caller could not take is told again. Leaves in a row are one report. */
static void what_a_report_does_not_take_stays_dirty(void **state)
{
	unsigned n_taken = 1;
	struct ranges r;

	assert_int_equal(ui_device_attach(w.dev, 0, false, dirty_dom, true, NULL), 0);
	assert_int_equal(ui_domain_map(dirty_dom, 0x10000, pa_of(big), 8 * PAGE, RW, 12), 0);
	for (u64 iova = 0x10000; iova < 0x17000; iova += PAGE)
		assert_int_equal(iova == 0x12000 || write8(iova, 1) == UI_DMA_OK, true);
	assert_int_equal(ui_domain_read_dirty(dirty_dom, 0, ~(u64)0, false, stop_later, &n_taken), -EFAULT);
	assert_int_equal(dirty(0, ~(u64)0, true, &r), 1);
	assert_int_equal(r.start[0], 0x13000);
	assert_int_equal(r.last[0], 0x16fff);
	n_taken = 0;
	assert_int_equal(ui_domain_read_dirty(dirty_dom, 0x14000, 0x15fff, false, stop_later, &n_taken), -EFAULT);
	assert_int_equal(dirty(0, ~(u64)0, false, &r), 1);
	assert_int_equal(r.start[0], 0x13000);
	assert_int_equal(r.last[0], 0x16fff);
	assert_int_equal(dirty(0, ~(u64)0, false, &r), 0);
}

static void switching_tracking_on_starts_clean(void **state)
{
	struct ui_dma_addr where = at(0x10000);
	struct ui_mem_span span;
	struct ranges r;
	unsigned n = 0;

	assert_int_equal(ui_domain_set_dirty_tracking(dom, true), -EOPNOTSUPP);
	assert_int_equal(ui_domain_read_dirty(dom, 0, PAGE, true, add_range, &r), -EOPNOTSUPP);
	assert_int_equal(ui_domain_mark_dirty(dom, 0), -EOPNOTSUPP);
	assert_int_equal(ui_domain_set_dirty_tracking(ui_domain_identity(w.iommu), true), -EOPNOTSUPP);
	assert_int_equal(ui_device_attach(w.dev, 0, false, dirty_dom, true, NULL), 0);
	assert_int_equal(ui_domain_map(dirty_dom, 0x10000, pa_of(big), 2 * PAGE, RW, 64), 0);
	assert_int_equal(write8(0x10000, 1), UI_DMA_OK);
	assert_int_equal(write8(0x11000, 1), UI_DMA_OK);
	assert_int_equal(ui_domain_read_dirty(dirty_dom, 0, ~(u64)0, true, stop, &n), -EFAULT);
	assert_int_equal(n, 1);
	assert_int_equal(ui_dma_begin(w.dma, &where, UI_PROT_READ, 1, &span, NULL), UI_DMA_OK);
	assert_int_equal(ui_domain_set_dirty_tracking(dirty_dom, true), -EDEADLK);
	assert_false(ui_domain_dirty_tracking(dirty_dom));
	assert_int_equal(dirty(0, ~(u64)0, true, &r), 1);
	assert_int_equal(r.last[0], 0x11fff);
	ui_dma_end(w.dma);
	assert_int_equal(ui_domain_set_dirty_tracking(dirty_dom, true), 0);
	assert_true(ui_domain_dirty_tracking(dirty_dom));
	assert_int_equal(dirty(0, ~(u64)0, true, &r), 0);
	assert_int_equal(write8(0x10000, 1), UI_DMA_OK);
	assert_int_equal(ui_domain_set_dirty_tracking(dirty_dom, true), 0);
	assert_int_equal(dirty(0, ~(u64)0, true, &r), 1);
	assert_int_equal(ui_domain_set_dirty_tracking(dirty_dom, false), 0);
	assert_int_equal(ui_domain_set_dirty_tracking(dirty_dom, false), 0);
	assert_int_equal(dirty(0, ~(u64)0, true, &r), 1);
}

/* ---- moving pages ---- */

static int repoint(struct ui_domain *domain, u64 start, u64 last, void *to)
{
	int ret = ui_domain_gate_close(domain);

	if (ret)
		return ret;
	ret = ui_domain_repoint(domain, start, last, pa_of(to));
	ui_domain_gate_open(domain);
	return ret;
}

static void a_moved_page_is_reached_at_its_new_place_only(void **state)
{
	assert_int_equal(ui_domain_map(dom, BIG, pa_of(big), BIG, RW, 64), 0);
	assert_int_equal(write8(BIG + PAGE, 1), UI_DMA_OK);
	assert_int_equal(repoint(dom, BIG + PAGE, BIG + 2 * PAGE - 1, big + BIG), 0);
	assert_int_equal(write8(BIG + PAGE, 2), UI_DMA_OK);
	assert_int_equal(write8(BIG, 3), UI_DMA_OK);
	assert_int_equal(*(u64 *)(void *)(big + PAGE), 1);
	assert_int_equal(*(u64 *)(void *)(big + BIG), 2);
	assert_int_equal(*(u64 *)(void *)big, 3);
	assert_int_equal(repoint(dom, BIG + 1, BIG + PAGE, big), -EINVAL);
	assert_int_equal(repoint(dom, UI_BIT(48), UI_BIT(48) + PAGE - 1, big), -ERANGE);
	assert_int_equal(ui_domain_unmap(dom, 0, ~(u64)0, UI_PT_REFUSE), BIG);
}

static void a_moved_page_keeps_rights_and_dirty_state(void **state)
{
	struct ranges r;

	assert_int_equal(ui_device_attach(w.dev, 0, false, dirty_dom, true, NULL), 0);
	assert_int_equal(ui_domain_map(dirty_dom, 0x10000, pa_of(big), 2 * PAGE, RW, 64), 0);
	assert_int_equal(ui_domain_map(dirty_dom, 0x20000, pa_of(big), PAGE, UI_PROT_READ, 64), 0);
	assert_int_equal(write8(0x11000, 1), UI_DMA_OK);
	assert_int_equal(repoint(dirty_dom, 0x10000, 0x20fff, big + BIG), 0);
	assert_int_equal(dirty(0, ~(u64)0, true, &r), 1);
	assert_int_equal(r.start[0], 0x11000);
	assert_int_equal(write8(0x20000, 1), UI_DMA_PERMISSION);
	assert_int_equal(leaf_lg2(dirty_dom, 0x12000), 0);
}

static void a_repoint_without_memory_leaves_every_address_where_it_was(void **state)
{
	u64 n = 0;
	int ret;

	assert_int_equal(ui_domain_map(dom, BIG, pa_of(big), BIG, RW, 64), 0);
	do {
		struct ui_walk walk;

		ui_inject_arm(++n);
		ret = repoint(dom, BIG, 2 * BIG - 1, big + PAGE);
		if (ret) {
			assert_int_equal(ret, -ENOMEM);
			for (u64 off = 0; off < BIG; off += PAGE) {
				assert_int_equal(ui_domain_lookup(dom, BIG + off, &walk), 0);
				assert_int_equal(walk.oa, pa_of(big) + off);
			}
		}
	} while (ret);
	ui_inject_arm(0);
	assert_true(n > 1);
	assert_int_equal(write8(BIG, 9), UI_DMA_OK);
	assert_int_equal(*(u64 *)(void *)(big + PAGE), 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(generic_makes_x86_tables_of_48_bits, setup, teardown),
		cmocka_unit_test_setup_teardown(flags_the_kind_does_not_have_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(map_says_what_is_wrong, setup, teardown),
		cmocka_unit_test_setup_teardown(unmap_removes_and_says_how_much, setup, teardown),
		cmocka_unit_test_setup_teardown(the_largest_leaf_is_used_up_to_the_callers_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(lookup_finds_the_exact_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(a_read_only_mapping_is_never_written, setup, teardown),
		cmocka_unit_test_setup_teardown(a_write_after_clearing_is_dirty_again, setup, teardown),
		cmocka_unit_test_setup_teardown(reads_do_not_make_dirty, setup, teardown),
		cmocka_unit_test_setup_teardown(what_a_report_does_not_take_stays_dirty, setup, teardown),
		cmocka_unit_test_setup_teardown(switching_tracking_on_starts_clean, setup, teardown),
		cmocka_unit_test_setup_teardown(a_moved_page_is_reached_at_its_new_place_only, setup, teardown),
		cmocka_unit_test_setup_teardown(a_moved_page_keeps_rights_and_dirty_state, setup, teardown),
		cmocka_unit_test_setup_teardown(a_repoint_without_memory_leaves_every_address_where_it_was, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
