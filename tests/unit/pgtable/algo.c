/* SPDX-License-Identifier: MIT */
/* The algorithms, behaviour by behaviour, over every format and geometry (src/pgtable/pgtable.h says what is promised). */
#include "common.h"

#define RW (UI_PROT_READ | UI_PROT_WRITE)

struct ctx {
	struct test_pages *tp;
	struct ui_pt_cfg cfg;
	struct ui_pt pt;
	struct model m;
	struct ui_pt_gather g;
	u64 granule, limit, oa_limit;
	unsigned lg2[UI_PT_MAX_LEVELS], n_sizes;
};

typedef void (*test_fn)(struct ctx *x);

/* Runs @test on an empty table of every geometry; afterwards nothing may be left over. */
static void each(test_fn test)
{
	for (size_t i = 0; i < test_n_geometries; i++) {
		struct ctx x = { .tp = test_pages_create(), .cfg = test_geometries[i] };

		x.cfg.pages = &x.tp->pages;
		assert_int_equal(test_init(&x.pt, &x.cfg), 0);
		model_init(&x.m, &x.cfg, &x.pt);
		x.granule = UI_BIT(x.cfg.granule_lg2);
		x.limit = test_limit(&x.cfg);
		x.oa_limit = ui_mask_lg2(x.cfg.oa_bits);
		for (u64 sizes = x.m.sizes; sizes; sizes &= sizes - 1)
			x.lg2[x.n_sizes++] = ui_ffs64(sizes);
		test(&x);
		ui_pt_gather_free(&x.pt, &x.g);
		assert_int_equal(x.tp->live_bytes, x.pt.n_table_bytes);
		ui_pt_fini(&x.pt);
		model_fini(&x.m);
		test_pages_destroy(x.tp);
	}
}

static int map(struct ctx *x, u64 iova, u64 oa, u64 length, unsigned prot)
{
	int ret = x->pt.ops->map(&x->pt, iova, oa, length, prot, &x->g);

	if (!ret)
		assert_int_equal(model_map(&x->m, iova, oa, length, prot), 0);
	return ret;
}

static void unmap(struct ctx *x, u64 start, u64 last, enum ui_pt_partial partial)
{
	s64 expect = model_unmap(&x->m, start, last, partial);

	assert_int_equal(x->pt.ops->unmap(&x->pt, start, last, partial, &x->g), expect);
	check_table(&x->pt, &x->m);
}

static void first_and_last(struct ctx *x)
{
	assert_int_equal(map(x, 0, x->oa_limit - x->granule + 1, x->granule, RW), 0);
	assert_int_equal(map(x, x->limit - x->granule + 1, 0, x->granule, RW), 0);
	check_table(&x->pt, &x->m);
	check_access(&x->pt, &x->m, 0, UI_PROT_READ);
	check_access(&x->pt, &x->m, x->granule - 1, UI_PROT_WRITE);
	check_access(&x->pt, &x->m, x->granule, UI_PROT_READ);
	check_access(&x->pt, &x->m, x->limit, UI_PROT_WRITE);
	check_access(&x->pt, &x->m, x->limit - x->granule, UI_PROT_READ);
	unmap(x, x->limit - x->granule + 1, x->limit, UI_PT_REFUSE);
	unmap(x, 0, ~(u64)0, UI_PT_REFUSE);
	assert_int_equal(x->m.n, 0);
}

static void edges_of_the_address_space_work(void **state)
{
	each(first_and_last);
}

static void outside(struct ctx *x)
{
	const enum ui_walk_status status = test_instance(x->cfg.format)->fmt->range_status;
	const struct ui_walk_mem mem = test_walk_mem(&x->pt);
	u64 bad[] = { UI_BIT(x->cfg.ia_bits), ~(u64)0, UI_BIT(63) };
	struct ui_walk_cfg cfg;
	struct ui_walk out;

	ui_pt_walk_cfg(&x->pt, &cfg);
	for (unsigned i = 0; i < ui_array_size(bad); i++) {
		/* With canonical addresses the very last ones are in range, only never mapped. */
		enum ui_walk_status expect = x->cfg.sign_extend && bad[i] == ~(u64)0 ? UI_WALK_TRANSLATION : status;

		assert_int_equal(x->pt.ops->walk(&x->pt, bad[i], UI_PROT_READ, &out), expect);
		assert_int_equal(test_walk_table(&cfg, &mem, bad[i], UI_PROT_READ, &out), expect);
	}
	assert_int_equal(map(x, x->limit + 1, 0, x->granule, RW), -ERANGE);
	assert_int_equal(map(x, x->limit + 1 - x->granule, 0, 2 * x->granule, RW), -ERANGE);
	assert_int_equal(map(x, 0, x->oa_limit + 1 - x->granule, 2 * x->granule, RW), -ERANGE);
	if (x->cfg.oa_bits < 64)
		assert_int_equal(map(x, 0, x->oa_limit + 1, x->granule, RW), -ERANGE);
	assert_int_equal(map(x, ui_align_down(~(u64)0, x->granule), 0, 2 * x->granule, RW), -ERANGE);
	assert_int_equal(map(x, 0, ui_align_down(~(u64)0, x->granule), 2 * x->granule, RW), -ERANGE);
	assert_int_equal(x->pt.ops->unmap(&x->pt, x->limit + 1, ~(u64)0, UI_PT_SPLIT, &x->g), 0);
	assert_int_equal(x->pt.ops->repoint(&x->pt, x->limit + 1, ~(u64)0, 0), -ERANGE);
	assert_int_equal(x->pt.ops->repoint(&x->pt, x->limit + 1 - x->granule, x->limit + x->granule, 0), -ERANGE);
	check_table(&x->pt, &x->m);
}

static void outside_the_address_space_is_refused(void **state)
{
	each(outside);
}

static int no_dirty(void *arg, u64 start, u64 last)
{
	return -1;
}

static void malformed(struct ctx *x)
{
	const struct ui_pt_ops *ops = x->pt.ops;
	u64 g = x->granule;

	assert_int_equal(map(x, 0, 0, 0, RW), -EINVAL);
	assert_int_equal(map(x, 1, 0, g, RW), -EINVAL);
	assert_int_equal(map(x, 0, g / 2, g, RW), -EINVAL);
	assert_int_equal(map(x, 0, 0, g + g / 2, RW), -EINVAL);
	assert_int_equal(map(x, 0, 0, g, 0), -EINVAL);
	assert_int_equal(map(x, 0, 0, g, UI_PROT_EXEC), -EINVAL);
	assert_int_equal(ops->unmap(&x->pt, g, g - 1, UI_PT_SPLIT, &x->g), -EINVAL);
	assert_int_equal(ops->unmap(&x->pt, 1, g - 1, UI_PT_SPLIT, &x->g), -EINVAL);
	assert_int_equal(ops->unmap(&x->pt, 0, g, UI_PT_SPLIT, &x->g), -EINVAL);
	assert_int_equal(ops->repoint(&x->pt, 0, g - 1, g / 2), -EINVAL);
	assert_int_equal(ops->repoint(&x->pt, 0, g - 2, 0), -EINVAL);
	assert_int_equal(ops->dirty(&x->pt, 1, g - 1, true, no_dirty, NULL), -EINVAL);
	assert_int_equal(ops->dirty(&x->pt, 0, g - 1, true, no_dirty, NULL), x->cfg.dirty_track ? 0 : -EOPNOTSUPP);
	assert_int_equal(ops->mark_dirty(&x->pt, 0), x->cfg.dirty_track ? -ENOENT : -EOPNOTSUPP);
	assert_int_equal(ops->mark_dirty(&x->pt, ~(u64)0), x->cfg.dirty_track ? -ENOENT : -EOPNOTSUPP);
	check_table(&x->pt, &x->m);
}

static void malformed_requests_are_refused(void **state)
{
	each(malformed);
}

/* For every leaf size: ranges that end before, at and after its boundaries, with output that fits every size and none. */
static void leaf_sizes(struct ctx *x)
{
	static const int jitter[] = { 0, 1, -1 };

	for (unsigned s = 0; s < x->n_sizes; s++) {
		u64 size = UI_BIT(x->lg2[s]), base = size == UI_BIT(x->lg2[x->n_sizes - 1]) ? 0 : UI_BIT(x->lg2[s + 1]) - size;

		for (unsigned i = 0; i < 27; i++) {
			u64 from = base + (u64)jitter[i % 3] * x->granule, len = 2 * size + (u64)jitter[i / 3 % 3] * x->granule;
			u64 oa = from + (i / 9) * (i / 9 == 1 ? size : x->granule);
			unsigned other = s && i / 9 == 2 ? 8 : 0; /* so many leaves as not to take all day */

			if (base < x->granule && jitter[i % 3] < 0)
				continue;
			if (x->lg2[s] - x->cfg.granule_lg2 > 13 && (other || jitter[i % 3] || jitter[i / 3 % 3] || i / 9 == 2))
				continue;
			if (!len || from + len - 1 > x->limit || ((oa + len - 1) & ~x->oa_limit))
				continue;
			assert_int_equal(map(x, from, oa, len, RW), 0);
			check_table(&x->pt, &x->m);
			unmap(x, from, from + len - 1, UI_PT_REFUSE);
		}
	}
}

static void largest_leaf_that_fits_is_used(void **state)
{
	each(leaf_sizes);
}

static void taken(struct ctx *x)
{
	u64 g = x->granule, at = 2 * g, size = UI_BIT(x->lg2[x->n_sizes - 1]);

	assert_int_equal(map(x, at, 4 * g, g, UI_PROT_READ), 0);
	assert_int_equal(map(x, at, 0, g, RW), -EEXIST);
	assert_int_equal(map(x, at - g, 0, 2 * g, RW), -EEXIST);
	assert_int_equal(map(x, at, 0, 2 * g, RW), -EEXIST);
	assert_int_equal(map(x, 0, 0, 4 * g, RW), -EEXIST);
	/* A large leaf where a table stands; and beginning before it. */
	if (size > at && size - 1 <= x->limit)
		assert_int_equal(map(x, 0, 0, size, RW), -EEXIST);
	check_table(&x->pt, &x->m);
	/* The same place is free for a large leaf when the small ones are gone. */
	unmap(x, 0, x->limit, UI_PT_REFUSE);
	if (size - 1 > x->limit || size - 1 > x->oa_limit)
		return;
	assert_int_equal(map(x, 0, 0, size, RW), 0);
	check_table(&x->pt, &x->m);
	assert_int_equal(map(x, g, 0, g, RW), x->n_sizes > 1 ? -EEXIST : 0);
	check_table(&x->pt, &x->m);
}

static void what_is_mapped_is_not_mapped_again(void **state)
{
	each(taken);
}

/* Every way to unmap a part of a leaf of every size: its start, end, middle; across two leaves. */
static void partial(struct ctx *x)
{
	for (unsigned s = 1; s < x->n_sizes; s++) {
		u64 size = UI_BIT(x->lg2[s]), g = x->granule, small = UI_BIT(x->lg2[s - 1]);
		u64 part[][2] = { { 0, g - 1 }, { size - g, size - 1 }, { small, 2 * small - 1 }, { size / 2, size / 2 + g - 1 },
				  { size - small, size + small - 1 }, { size - g, size + g - 1 }, { 0, size + g - 1 },
				  { g, 2 * size - g - 1 }, { 0, 2 * size - 1 } };

		for (unsigned i = 0; i < ui_array_size(part); i++) {
			u64 before = x->pt.n_table_bytes;

			if (2 * size - 1 > x->limit || 2 * size - 1 > x->oa_limit)
				continue;
			assert_int_equal(map(x, 0, 0, 2 * size, RW), 0);
			unmap(x, part[i][0], part[i][1], UI_PT_REFUSE);
			check_lookup(&x->pt, &x->m, part[i][0]);
			if (x->m.n)
				unmap(x, part[i][0], part[i][1], UI_PT_SPLIT);
			check_lookup(&x->pt, &x->m, part[i][0]);
			check_lookup(&x->pt, &x->m, part[i][1]);
			check_lookup(&x->pt, &x->m, 2 * size - 1);
			unmap(x, 0, 2 * size - 1, UI_PT_REFUSE);
			assert_int_equal(x->pt.n_table_bytes, before);
			ui_pt_gather_free(&x->pt, &x->g);
		}
	}
}

static void partial_unmap_splits_or_refuses(void **state)
{
	each(partial);
}

enum sweep_op { SWEEP_MAP, SWEEP_UNMAP, SWEEP_REPOINT };

/* The @n-th allocation fails for every n: the operation says -ENOMEM and has changed nothing, until it has no more. */
static void sweep(struct ctx *x, enum sweep_op what, u64 start, u64 last, u64 oa)
{
	u64 live = x->tp->live_bytes;
	s64 ret;

	for (u64 n = 1;; n++) {
		bool failed;

		ui_inject_arm(n);
		if (what == SWEEP_MAP)
			ret = x->pt.ops->map(&x->pt, start, oa, last - start + 1, RW, &x->g);
		else if (what == SWEEP_UNMAP)
			ret = x->pt.ops->unmap(&x->pt, start, last, UI_PT_SPLIT, &x->g);
		else
			ret = x->pt.ops->repoint(&x->pt, start, last, oa);
		failed = !ui_inject_left();
		ui_inject_arm(0);
		if (!failed)
			break;
		assert_int_equal(ret, -ENOMEM);
		assert_null(x->g.first);
		if (what != SWEEP_REPOINT) {
			assert_int_equal(x->tp->live_bytes, live);
			check_table(&x->pt, &x->m);
		}
		for (size_t i = 0; i < x->m.n; i++)
			check_access(&x->pt, &(struct model){ .cfg = &x->cfg, .leaf = x->m.leaf, .n = x->m.n }, x->m.leaf[i].start, 0);
	}
	if (what == SWEEP_MAP)
		assert_int_equal(model_map(&x->m, start, oa, last - start + 1, RW), ret);
	else if (what == SWEEP_UNMAP)
		assert_int_equal(model_unmap(&x->m, start, last, UI_PT_SPLIT), ret);
	else
		assert_int_equal(model_repoint(&x->m, start, last, oa), ret);
	check_table(&x->pt, &x->m);
}

static void no_memory(struct ctx *x)
{
	u64 g = x->granule, size = UI_BIT(x->m.n_levels > 1 ? x->m.shift[1] : 0), live = x->tp->live_bytes;

	if (size == 1 || 2 * size - 1 > x->limit || 3 * size - 1 > x->oa_limit)
		return;
	/* Two leaves, or what lies about them, that a granule at each end makes need tables. */
	sweep(x, SWEEP_MAP, g, 2 * size - g - 1, g);
	unmap(x, 0, x->limit, UI_PT_REFUSE);
	ui_pt_gather_free(&x->pt, &x->g);
	assert_int_equal(x->tp->live_bytes, live);
	sweep(x, SWEEP_MAP, 0, 2 * size - 1, 0);
	sweep(x, SWEEP_UNMAP, size - g, size + g - 1, 0);
	unmap(x, 0, x->limit, UI_PT_REFUSE);
	ui_pt_gather_free(&x->pt, &x->g);
	assert_int_equal(map(x, 0, 0, 2 * size, RW), 0);
	sweep(x, SWEEP_UNMAP, g, size - 1, 0);
	ui_pt_gather_free(&x->pt, &x->g);
}

static void without_memory_nothing_changes(void **state)
{
	each(no_memory);
}

static void init_without_memory(void **state)
{
	struct test_pages *tp = test_pages_create();
	struct ui_pt_cfg cfg = { .format = UI_PT_X86_64, .granule_lg2 = 12, .ia_bits = 48, .oa_bits = 48, .pages = &tp->pages };
	struct ui_pt pt;

	ui_inject_arm(1);
	assert_int_equal(ui_pt_init(&pt, &cfg), -ENOMEM);
	/* A table page that lies beyond the output addresses is no page. */
	tp->pages.delta -= UI_BIT(48);
	assert_int_equal(ui_pt_init(&pt, &cfg), -ENOMEM);
	test_pages_destroy(tp);
}

static void repoint(struct ctx *x)
{
	u64 g = x->granule, size = UI_BIT(x->lg2[x->n_sizes > 1]);

	if (2 * size - 1 > x->limit || 4 * size - 1 > x->oa_limit || size <= g)
		return;
	assert_int_equal(map(x, 0, 0, 2 * size, RW), 0);
	/* Whole leaves to a place as well aligned: they stay whole. */
	sweep(x, SWEEP_REPOINT, 0, size - 1, 2 * size);
	assert_int_equal(x->m.n, 2);
	if (x->cfg.dirty_track)
		check_access(&x->pt, &x->m, size, UI_PROT_WRITE);
	/* A part of a leaf, to a place aligned to granules only; its mark stays on every piece. */
	sweep(x, SWEEP_REPOINT, size + g, 2 * size - 1, g);
	check_lookup(&x->pt, &x->m, size);
	check_lookup(&x->pt, &x->m, 2 * size - 1);
	/* A whole leaf to a place that does not fit it. */
	sweep(x, SWEEP_REPOINT, 0, size - 1, 3 * size - g);
	check_lookup(&x->pt, &x->m, 0);
}

static void repoint_keeps_leaves_rights_and_marks(void **state)
{
	each(repoint);
}

struct report {
	u64 start, last;
	unsigned n;
	int ret;
};

static int take_report(void *arg, u64 start, u64 last)
{
	struct report *r = arg;

	r->start = start;
	r->last = last;
	r->n++;
	return r->ret;
}

static struct report read_dirty(struct ctx *x, u64 start, u64 last, bool keep)
{
	struct report r = { .n = 0 };

	assert_int_equal(x->pt.ops->dirty(&x->pt, start, last, keep, take_report, &r), 0);
	return r;
}

static void dirty(struct ctx *x)
{
	u64 g = x->granule, size = UI_BIT(x->lg2[x->n_sizes - 1]);
	struct report r = { .ret = -7 };
	struct ui_walk out;

	if (!x->cfg.dirty_track || size - 1 > x->limit || size - 1 > x->oa_limit)
		return;
	assert_int_equal(map(x, 0, 0, size, RW), 0);
	assert_int_equal(x->pt.ops->walk(&x->pt, 0, UI_PROT_READ, &out), UI_WALK_OK);
	assert_false(out.dirty);
	assert_int_equal(read_dirty(x, 0, x->limit, false).n, 0);
	check_access(&x->pt, &x->m, size - 1, UI_PROT_WRITE);
	/* Kept, kept because a part lies outside, stopped by the caller: still there. */
	assert_int_equal(read_dirty(x, 0, x->limit, true).n, 1);
	if (size > g) {
		assert_int_equal(read_dirty(x, 0, g - 1, false).last, g - 1);
		assert_int_equal(read_dirty(x, size - g, x->limit, false).start, size - g);
	}
	assert_int_equal(read_dirty(x, 0, size - 1, false).last, size - 1);
	assert_int_equal(read_dirty(x, 0, ~(u64)0, false).n, 0);
	assert_int_equal(x->pt.ops->mark_dirty(&x->pt, size - 1), 0);
	assert_int_equal(x->pt.ops->dirty(&x->pt, 0, x->limit, true, take_report, &r), -7);
	assert_int_equal(x->pt.ops->walk(&x->pt, 0, UI_PROT_READ, &out), UI_WALK_OK);
	assert_true(out.dirty);
	unmap(x, 0, x->limit, UI_PT_REFUSE);
	assert_int_equal(map(x, 0, 0, g, UI_PROT_READ), 0);
	assert_int_equal(x->pt.ops->walk(&x->pt, 0, UI_PROT_WRITE, &out), UI_WALK_PERMISSION);
	assert_int_equal(x->pt.ops->mark_dirty(&x->pt, 0), -ENOENT);
	assert_int_equal(read_dirty(x, 0, x->limit, true).n, 0);
}

static void dirty_marks_are_read_and_cleared(void **state)
{
	each(dirty);
}

/* Gathered tables are whole, chained, and look empty to a walker that still stands on one. */
static void gather(struct ctx *x)
{
	struct ui_walk_cfg c = ui_pt_view(&x->pt);
	const struct ui_pt_fmt *f = test_instance(x->cfg.format)->fmt;
	u64 g = x->granule, before = x->pt.n_table_bytes, n = 0;

	assert_int_equal(map(x, 0, g, 2 * g, RW), 0);
	if (x->pt.n_table_bytes == before)
		return; /* one level: nothing below the top */
	assert_int_equal(x->pt.ops->unmap(&x->pt, 0, g - 1, UI_PT_REFUSE, &x->g), g);
	assert_null(x->g.first);
	assert_false(x->g.cut);
	assert_int_equal(x->pt.ops->unmap(&x->pt, g, 2 * g - 1, UI_PT_REFUSE, &x->g), g);
	assert_true(x->g.cut);
	for (u64 *table = x->g.first; table; table = (u64 *)(uintptr_t)table[0], n++)
		for (u64 i = 0; i < ui_pt_table_bytes(f, &c) / 8; i++)
			for (unsigned level = 0; level <= c.top_level; level++)
				assert_int_equal(f->kind(&c, table[i], level), UI_PT_ABSENT);
	assert_int_equal(n, x->g.n_pages);
	assert_int_equal(n, c.top_level);
	ui_pt_gather_free(&x->pt, &x->g);
	assert_null(x->g.first);
	assert_int_equal(x->g.n_pages, 0);
	assert_false(x->g.cut);
	assert_int_equal(x->tp->live_bytes, before);
	model_unmap(&x->m, 0, x->limit, UI_PT_SPLIT);
}

static void emptied_tables_are_gathered(void **state)
{
	each(gather);
}

static int stop_at(void *arg, const struct ui_pt_dump_entry *entry)
{
	unsigned *left = arg;

	return (*left)-- ? 0 : -3;
}

static void dump_stops(struct ctx *x)
{
	unsigned n = 1;

	assert_int_equal(map(x, 0, 0, x->granule, RW), 0);
	assert_int_equal(map(x, 2 * x->granule, 0, x->granule, RW), 0);
	assert_int_equal(x->pt.ops->dump(&x->pt, stop_at, &n), -3);
}

static void dump_stops_when_told(void **state)
{
	each(dump_stops);
}

static void fini_frees_what_is_mapped(void **state)
{
	for (size_t i = 0; i < test_n_geometries; i++) {
		struct test_pages *tp = test_pages_create();
		struct ui_pt_cfg cfg = test_geometries[i];
		struct ui_pt pt;

		cfg.pages = &tp->pages;
		assert_int_equal(test_init(&pt, &cfg), 0);
		for (u64 at = 0; at <= test_limit(&cfg); at += (test_limit(&cfg) + 1) / 4)
			assert_int_equal(pt.ops->map(&pt, at, 0, UI_BIT(cfg.granule_lg2), RW, NULL), 0);
		ui_pt_fini(&pt);
		test_pages_destroy(tp);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(edges_of_the_address_space_work),
		cmocka_unit_test(outside_the_address_space_is_refused),
		cmocka_unit_test(malformed_requests_are_refused),
		cmocka_unit_test(largest_leaf_that_fits_is_used),
		cmocka_unit_test(what_is_mapped_is_not_mapped_again),
		cmocka_unit_test(partial_unmap_splits_or_refuses),
		cmocka_unit_test(without_memory_nothing_changes),
		cmocka_unit_test(init_without_memory),
		cmocka_unit_test(repoint_keeps_leaves_rights_and_marks),
		cmocka_unit_test(dirty_marks_are_read_and_cleared),
		cmocka_unit_test(emptied_tables_are_gathered),
		cmocka_unit_test(dump_stops_when_told),
		cmocka_unit_test(fini_frees_what_is_mapped),
	};

	return cmocka_run_group_tests_name("pgtable algorithms", tests, NULL, NULL);
}
