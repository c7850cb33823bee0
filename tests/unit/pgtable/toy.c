/* SPDX-License-Identifier: MIT */
/*
 * The toy format, completely: every state that any sequence of operations can reach, and in each of them every operation
 * over the whole address space, with each of its allocations failing in turn. A sequence of any length is a path
 * through these states.
 */
#include "common.h"

#define N_GRANULES 4u
#define GRANULE 16u
#define SPACE (N_GRANULES * GRANULE)

struct op {
	enum { MAP, UNMAP, REPOINT, DIRTY, WRITE, MARK } what;
	u64 start, last;
	u64 oa;
	unsigned prot;
	bool flag; /* UNMAP: refuse; DIRTY: keep */
};

#define MAX_OPS 256u
#define MAX_STATES 60000u

struct walker {
	struct test_pages *tp;
	struct ui_pt_cfg cfg;
	struct op op[MAX_OPS];
	unsigned n_ops;
	/* Reached states, each a list of at most four leaves; found again by a hash of them. */
	struct state {
		struct model_leaf leaf[N_GRANULES];
		u8 n;
	} *states;
	unsigned n_states;
	u32 hash[1 << 17];
	u64 n_runs;
};

static void add_op(struct walker *w, struct op op)
{
	assert_true(w->n_ops < MAX_OPS);
	w->op[w->n_ops++] = op;
}

/* Two output windows: one congruent to the input, so that large leaves fit, one a granule off. */
static void add_ops(struct walker *w)
{
	for (u64 start = 0; start < SPACE; start += GRANULE) {
		add_op(w, (struct op){ .what = WRITE, .start = start });
		add_op(w, (struct op){ .what = MARK, .start = start });
		for (u64 last = start + GRANULE - 1; last < SPACE; last += GRANULE) {
			for (unsigned off = 0; off < 2; off++) {
				u64 oa = 0x1000 + start + off * (0x1000 + GRANULE);

				for (unsigned prot = 1; prot <= 3; prot += 2)
					add_op(w, (struct op){ .what = MAP, .start = start, .last = last, .oa = oa, .prot = prot });
				add_op(w, (struct op){ .what = UNMAP, .start = start, .last = last, .flag = off });
				add_op(w, (struct op){ .what = REPOINT, .start = start, .last = last, .oa = oa });
				add_op(w, (struct op){ .what = DIRTY, .start = start, .last = last, .flag = off });
			}
		}
	}
}

static u64 hash_state(const struct state *s)
{
	u64 h = s->n;

	for (unsigned i = 0; i < s->n; i++) {
		const struct model_leaf *l = &s->leaf[i];

		h = (h ^ l->start ^ l->oa << 8 ^ (u64)l->lg2 << 32 ^ (u64)l->prot << 40 ^ (u64)l->dirty << 44) * 0x9e3779b97f4a7c15;
		h ^= h >> 29;
	}
	return h;
}

static bool same_state(const struct state *a, const struct state *b)
{
	if (a->n != b->n)
		return false;
	for (unsigned i = 0; i < a->n; i++) {
		const struct model_leaf *x = &a->leaf[i], *y = &b->leaf[i];

		if (x->start != y->start || x->oa != y->oa || x->lg2 != y->lg2 || x->prot != y->prot || x->dirty != y->dirty)
			return false;
	}
	return true;
}

static void remember(struct walker *w, const struct model *m)
{
	struct state s = { .n = (u8)m->n };
	u64 slot;

	assert_true(m->n <= N_GRANULES);
	if (m->n)
		memcpy(s.leaf, m->leaf, m->n * sizeof(s.leaf[0]));
	for (slot = hash_state(&s); w->hash[slot % ui_array_size(w->hash)]; slot++)
		if (same_state(&s, &w->states[w->hash[slot % ui_array_size(w->hash)] - 1]))
			return;
	assert_true(w->n_states < MAX_STATES);
	w->states[w->n_states++] = s;
	w->hash[slot % ui_array_size(w->hash)] = w->n_states;
}

/* A table in state @s, leaf by leaf: smaller sizes only where the leaf is small. */
static void build(struct walker *w, const struct state *s, struct ui_pt *pt, struct model *m)
{
	assert_int_equal(ui_pt_init(pt, &w->cfg), 0);
	m->n = 0;
	for (unsigned i = 0; i < s->n; i++) {
		const struct model_leaf *l = &s->leaf[i];

		assert_int_equal(pt->ops->map(pt, l->start, l->oa, UI_BIT(l->lg2), l->prot, NULL), 0);
		assert_int_equal(model_map(m, l->start, l->oa, UI_BIT(l->lg2), l->prot), 0);
		if (l->dirty)
			assert_int_equal(pt->ops->mark_dirty(pt, l->start), 0);
		m->leaf[i].dirty = l->dirty;
	}
}

static int clean_model(void *arg, u64 start, u64 last)
{
	struct model *m = arg;
	struct model_leaf *l = model_find(m, start);

	assert_true(l && l->dirty);
	if (l->start == start && l->start + UI_BIT(l->lg2) - 1 == last)
		l->dirty = false;
	return 0;
}

static int see_dirty(void *arg, u64 start, u64 last)
{
	const struct model_leaf *l = model_find(arg, start);

	assert_true(l && l->dirty);
	return 0;
}

static s64 apply(const struct op *op, struct ui_pt *pt, struct ui_pt_gather *g, struct model *dirty)
{
	struct ui_walk out;

	switch (op->what) {
	case MAP:
		return pt->ops->map(pt, op->start, op->oa, op->last - op->start + 1, op->prot, NULL);
	case UNMAP:
		return pt->ops->unmap(pt, op->start, op->last, op->flag ? UI_PT_REFUSE : UI_PT_SPLIT, g);
	case REPOINT:
		return pt->ops->repoint(pt, op->start, op->last, op->oa);
	case DIRTY:
		return pt->ops->dirty(pt, op->start, op->last, op->flag, op->flag ? see_dirty : clean_model, dirty);
	case MARK:
		return pt->ops->mark_dirty(pt, op->start);
	default:
		return pt->ops->walk(pt, op->start, UI_PROT_WRITE, &out);
	}
}

static s64 apply_model(const struct op *op, struct model *m)
{
	struct model_leaf *l;

	switch (op->what) {
	case MAP:
		return model_map(m, op->start, op->oa, op->last - op->start + 1, op->prot);
	case UNMAP:
		return model_unmap(m, op->start, op->last, op->flag ? UI_PT_REFUSE : UI_PT_SPLIT);
	case REPOINT:
		return model_repoint(m, op->start, op->last, op->oa);
	case DIRTY: /* the leaves are made clean as they are reported */
		return 0;
	default:
		l = model_find(m, op->start);
		if (l && (l->prot & UI_PROT_WRITE)) {
			l->dirty = true;
			return 0;
		}
		return op->what == MARK ? -ENOENT : l ? UI_WALK_PERMISSION : UI_WALK_TRANSLATION;
	}
}

static void check_dirty_complete(const struct op *op, const struct model *m)
{
	for (size_t i = 0; op->what == DIRTY && !op->flag && i < m->n; i++) {
		const struct model_leaf *l = &m->leaf[i];

		if (l->start >= op->start && l->start + UI_BIT(l->lg2) - 1 <= op->last)
			assert_false(l->dirty);
	}
}

/* @op in state @s; its n-th allocation fails first, for n from 1 until it has no more. */
static void run_op(struct walker *w, const struct state *s, const struct op *op, struct model *m, struct model *before)
{
	struct ui_pt_gather g = { .first = NULL };
	u64 bytes, live;
	struct ui_pt pt;
	s64 ret;

	build(w, s, &pt, m);
	bytes = pt.n_table_bytes;
	live = w->tp->live_bytes;
	for (u64 n = 1;; n++) {
		bool failed;

		model_copy(before, m);
		ui_inject_arm(n);
		ret = apply(op, &pt, &g, m);
		failed = !ui_inject_left();
		ui_inject_arm(0);
		if (!failed)
			break;
		assert_int_equal(ret, -ENOMEM);
		assert_null(g.first);
		if (op->what == REPOINT) {
			/* Leaves may be smaller now; no address has changed. Begin again from the state. */
			for (u64 at = 0; at < SPACE; at += GRANULE) {
				struct model_leaf *l = model_find(m, at);
				struct ui_walk out;

				assert_int_equal(pt.ops->walk(&pt, at, 0, &out), l ? UI_WALK_OK : UI_WALK_TRANSLATION);
				if (l)
					assert_int_equal(out.oa, l->oa + at - l->start);
			}
			ui_pt_fini(&pt);
			build(w, s, &pt, m);
			continue;
		}
		assert_int_equal(pt.n_table_bytes, bytes);
		assert_int_equal(w->tp->live_bytes, live);
		check_table(&pt, before);
	}
	assert_int_equal(ret, apply_model(op, m));
	check_dirty_complete(op, m);
	check_table(&pt, m);
	for (u64 at = 0; at < SPACE; at += GRANULE)
		check_lookup(&pt, m, at + 7);
	remember(w, m);
	ui_pt_gather_free(&pt, &g);
	assert_int_equal(w->tp->live_bytes, pt.n_table_bytes);
	ui_pt_fini(&pt);
	assert_int_equal(w->tp->live_bytes, 0);
	w->n_runs++;
}

static void every_reachable_state_and_operation(void **state)
{
	struct walker *w = calloc(1, sizeof(*w));
	struct model m, before = { .n = 0 };
	struct ui_pt pt;

	w->states = calloc(MAX_STATES, sizeof(*w->states));
	w->tp = test_pages_create();
	w->cfg = (struct ui_pt_cfg){ .format = UI_PT_TOY, .granule_lg2 = 4, .ia_bits = 6, .oa_bits = 40, .dirty_track = true };
	w->cfg.pages = &w->tp->pages;
	assert_int_equal(ui_pt_init(&pt, &w->cfg), 0);
	model_init(&m, &w->cfg, &pt);
	ui_pt_fini(&pt);
	add_ops(w);
	remember(w, &m);
	for (unsigned s = 0; s < w->n_states; s++) {
		struct state from = w->states[s];

		for (unsigned i = 0; i < w->n_ops; i++)
			run_op(w, &from, &w->op[i], &m, &before);
	}
	printf("%u states, %u operations, %llu runs\n", w->n_states, w->n_ops, (unsigned long long)w->n_runs);
	/* Each half: nothing, a large leaf, or two places with nothing or a small leaf. A small leaf: two windows; read-only, clean
	 * or dirty. A large leaf lies in the first window. */
	assert_int_equal(w->n_states, (7 * 7 + 3) * (7 * 7 + 3));
	model_fini(&m);
	model_fini(&before);
	test_pages_destroy(w->tp);
	free(w->states);
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_reachable_state_and_operation),
	};

	return cmocka_run_group_tests_name("pgtable toy", tests, NULL, NULL);
}
