/* SPDX-License-Identifier: MIT */
/* Random operations on every format and geometry, against the model of leaves. */
#include "common.h"

#define N_OPS 250u
#define MAX_LEAVES 6000u

struct run {
	struct test_pages *tp;
	struct ui_pt_cfg cfg;
	struct ui_pt pt;
	struct model m;
	struct ui_pt_gather gather;
	unsigned n_sizes;
	unsigned lg2[UI_PT_MAX_LEVELS]; /* the leaf sizes */
};

/* An address with a liking for boundaries: of leaves that are there, of sizes, of the address space. */
static u64 pick_iova(const struct run *r)
{
	u64 limit = test_limit(&r->cfg), at, align = UI_BIT(r->lg2[test_below(r->n_sizes)]);

	switch (test_below(4)) {
	case 0:
		at = r->m.n ? r->m.leaf[test_below(r->m.n)].start : 0;
		at += test_below(2) ? align : (u64)0 - align;
		break;
	case 1:
		at = limit - test_below(4) * align;
		break;
	case 2: /* a small place, where things meet */
		at = UI_BIT(r->cfg.ia_bits - 2) + test_below(16) * align;
		break;
	default:
		at = test_rand();
	}
	return ui_align_down(at & limit, test_below(2) ? align : UI_BIT(r->cfg.granule_lg2));
}

static u64 pick_length(const struct run *r)
{
	u64 granule = UI_BIT(r->cfg.granule_lg2), len = (1 + test_below(6)) * UI_BIT(r->lg2[test_below(r->n_sizes)]);

	return test_below(3) ? len : len + test_below(5) * granule;
}

static u64 pick_oa(const struct run *r, u64 iova)
{
	u64 granule = UI_BIT(r->cfg.granule_lg2), oa = test_rand() & ui_mask_lg2(r->cfg.oa_bits);
	unsigned lg2 = r->lg2[test_below(r->n_sizes)];

	if (!test_below(4))
		return ui_align_down(oa, granule);
	return (ui_align_down(oa, UI_BIT(lg2)) | (iova & ui_mask_lg2(lg2))) & ui_mask_lg2(r->cfg.oa_bits);
}

/* Leaves that the mapping would make, not counted beyond what a run can bear. */
static u64 count_leaves(const struct run *r, u64 iova, u64 last, u64 oa)
{
	u64 n = 0;

	for (u64 at = iova; at <= last && n <= MAX_LEAVES; n++)
		at += UI_BIT(model_leaf_lg2(r->m.sizes, iova, last, oa, at));
	return n;
}

static void op_map(struct run *r)
{
	u64 iova = pick_iova(r), length = pick_length(r), oa = pick_oa(r, iova), last, oa_last;
	unsigned prot = 1 + (unsigned)test_below(31);
	int ret, expect;

	if (count_leaves(r, iova, iova + length - 1, oa) + r->m.n > MAX_LEAVES)
		return;
	if (!test_prot_ok(r->cfg.format, prot))
		expect = -EINVAL;
	else if (!ui_range_last(iova, length, &last) || last > test_limit(&r->cfg) || !ui_range_last(oa, length, &oa_last) ||
		 (oa_last & ~ui_mask_lg2(r->cfg.oa_bits)))
		expect = -ERANGE;
	else
		expect = model_map(&r->m, iova, oa, length, prot);
	ret = r->pt.ops->map(&r->pt, iova, oa, length, prot, &r->gather);
	assert_int_equal(ret, expect);
}

static u64 cut_cost(const struct run *r, u64 at)
{
	const struct model_leaf *l = model_find(&r->m, at);

	return l && l->start != at ? UI_BIT(l->lg2 - r->cfg.granule_lg2 > 18 ? 15 : 14) : 0;
}

static void op_unmap(struct run *r)
{
	u64 start = pick_iova(r), last = start + pick_length(r) - 1;
	enum ui_pt_partial partial = test_below(3) ? UI_PT_SPLIT : UI_PT_REFUSE;
	s64 expect;

	if (partial == UI_PT_SPLIT && cut_cost(r, start) + cut_cost(r, last + 1) + r->m.n > 8 * MAX_LEAVES)
		partial = UI_PT_REFUSE;
	expect = model_unmap(&r->m, start, last, partial);
	assert_int_equal(r->pt.ops->unmap(&r->pt, start, last, partial, &r->gather), expect);
}

static void op_repoint(struct run *r)
{
	u64 start, length, oa, last;

	if (!r->m.n)
		return;
	start = r->m.leaf[test_below(r->m.n)].start;
	length = pick_length(r);
	oa = pick_oa(r, start);
	if (!ui_range_last(start, length, &last) || last > test_limit(&r->cfg) || (oa + length - 1) & ~ui_mask_lg2(r->cfg.oa_bits) ||
	    oa + length < oa || length > UI_BIT(r->cfg.granule_lg2 + 11))
		return;
	assert_int_equal(r->pt.ops->repoint(&r->pt, start, last, oa), model_repoint(&r->m, start, last, oa));
}

struct collect {
	struct run *r;
	u64 start, last, prev;
	size_t n;
	bool keep;
};

static int collect_dirty(void *arg, u64 start, u64 last)
{
	struct collect *c = arg;
	struct model_leaf *l = model_find(&c->r->m, start);
	u64 leaf_last;

	assert_true(!c->n++ || start > c->prev);
	c->prev = last;
	assert_non_null(l);
	assert_true(l->dirty);
	leaf_last = l->start + UI_BIT(l->lg2) - 1;
	assert_int_equal(start, ui_max(l->start, c->start));
	assert_int_equal(last, ui_min(leaf_last, c->last));
	if (!c->keep && l->start >= c->start && leaf_last <= c->last)
		l->dirty = false;
	return 0;
}

static void op_dirty(struct run *r)
{
	struct collect c = { .r = r, .start = pick_iova(r), .keep = test_below(2) };
	size_t expect = 0;

	c.last = test_below(3) ? c.start + pick_length(r) - 1 : test_limit(&r->cfg);
	if (!r->cfg.dirty_track) {
		assert_int_equal(r->pt.ops->dirty(&r->pt, c.start, c.last, c.keep, collect_dirty, &c), -EOPNOTSUPP);
		return;
	}
	for (size_t i = 0; i < r->m.n; i++)
		expect += r->m.leaf[i].dirty && r->m.leaf[i].start <= c.last && r->m.leaf[i].start + UI_BIT(r->m.leaf[i].lg2) - 1 >= c.start;
	assert_int_equal(r->pt.ops->dirty(&r->pt, c.start, c.last, c.keep, collect_dirty, &c), 0);
	assert_int_equal(c.n, expect);
}

static void op_access(struct run *r)
{
	for (unsigned i = 0; i < 20; i++) {
		u64 at = pick_iova(r) + test_below(UI_BIT(r->cfg.granule_lg2));

		if (r->m.n && test_below(2)) {
			const struct model_leaf *l = &r->m.leaf[test_below(r->m.n)];

			at = l->start + test_below(UI_BIT(l->lg2));
		}
		check_lookup(&r->pt, &r->m, at);
		check_access(&r->pt, &r->m, at, (unsigned)test_below(16));
	}
}

static void op_mark(struct run *r)
{
	u64 at = pick_iova(r);
	struct model_leaf *l = model_find(&r->m, at);
	int expect = !r->cfg.dirty_track ? -EOPNOTSUPP : l && (l->prot & UI_PROT_WRITE) ? 0 : -ENOENT;

	assert_int_equal(r->pt.ops->mark_dirty(&r->pt, at), expect);
	if (!expect)
		l->dirty = true;
}

static void run_geometry(const struct ui_pt_cfg *geometry)
{
	static void (*const op[])(struct run *) = { op_map, op_map, op_map, op_unmap, op_unmap,
						    op_repoint, op_dirty, op_access, op_mark };
	struct run r = { .tp = test_pages_create(), .cfg = *geometry };
	u64 sizes;

	r.cfg.pages = &r.tp->pages;
	assert_int_equal(test_init(&r.pt, &r.cfg), 0);
	model_init(&r.m, &r.cfg, &r.pt);
	for (sizes = r.m.sizes; sizes; sizes &= sizes - 1)
		r.lg2[r.n_sizes++] = ui_ffs64(sizes);
	for (unsigned i = 0; i < N_OPS; i++) {
		op[test_below(ui_array_size(op))](&r);
		if (i % 8 == 0) {
			check_table(&r.pt, &r.m);
			ui_pt_gather_free(&r.pt, &r.gather);
			assert_int_equal(r.tp->live_bytes, r.pt.n_table_bytes);
		}
	}
	check_table(&r.pt, &r.m);
	ui_pt_gather_free(&r.pt, &r.gather);
	model_unmap(&r.m, 0, test_limit(&r.cfg), UI_PT_SPLIT);
	r.pt.ops->unmap(&r.pt, 0, ~(u64)0, UI_PT_REFUSE, &r.gather);
	check_table(&r.pt, &r.m);
	ui_pt_gather_free(&r.pt, &r.gather);
	ui_pt_fini(&r.pt);
	model_fini(&r.m);
	test_pages_destroy(r.tp);
}

static void random_operations_match_the_model(void **state)
{
	test_seed();
	for (size_t g = 0; g < test_n_geometries; g++)
		run_geometry(&test_geometries[g]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_operations_match_the_model),
	};

	return cmocka_run_group_tests_name("pgtable random", tests, NULL, NULL);
}
