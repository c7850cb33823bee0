/* SPDX-License-Identifier: MIT */
/* Interval index, and the multiset of intervals that may overlap. */
#include "base/alloc.h"
#include "base/ivl.h"
#include "base/ivm.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define MAX (~(u64)0)

static u64 rnd(u64 below)
{
	u64 x = (u64)rand() << 42 ^ (u64)rand() << 21 ^ (u64)rand();

	return x % below;
}

static void seed_from_time(void)
{
	unsigned seed = (unsigned)time(NULL);

	print_message("seed %u\n", seed);
	srand(seed);
}

static void neighbours_may_touch_but_not_overlap(void **state)
{
	struct ui_ivl ivl = { 0 };
	struct ui_ivl_item item;

	assert_int_equal(ui_ivl_insert(&ivl, 10, 19, "a"), 0);
	assert_int_equal(ui_ivl_insert(&ivl, 20, 20, "b"), 0);
	assert_int_equal(ui_ivl_insert(&ivl, 0, 9, "c"), 0);
	assert_int_equal(ui_ivl_insert(&ivl, 15, 15, "x"), -EEXIST);
	assert_int_equal(ui_ivl_insert(&ivl, 20, 25, "x"), -EEXIST);
	assert_int_equal(ui_ivl_insert(&ivl, 5, 12, "x"), -EEXIST);
	assert_int_equal(ui_ivl_insert(&ivl, 0, MAX, "x"), -EEXIST);
	assert_int_equal(ivl.n, 3);
	assert_true(ui_ivl_first(&ivl, 20, &item));
	assert_string_equal(item.ptr, "b");
	assert_false(ui_ivl_next(&ivl, &item));
	assert_false(ui_ivl_meets(&ivl, 21, MAX, NULL));
	ui_ivl_fini(&ivl);
}

static void the_whole_of_64_bits_is_an_interval(void **state)
{
	struct ui_ivl_want want = { .length = 1, .align = 1 };
	struct ui_ivl ivl = { 0 };
	struct ui_ivl_item item;
	u64 at;

	assert_true(ui_ivl_find_gap(&ivl, 0, MAX, &(struct ui_ivl_want){ .length = MAX, .align = 1 }, &at));
	assert_int_equal(ui_ivl_insert(&ivl, 0, MAX, "a"), 0);
	assert_false(ui_ivl_find_gap(&ivl, 0, MAX, &want, &at));
	assert_true(ui_ivl_first(&ivl, MAX, &item));
	assert_false(ui_ivl_next(&ivl, &item));
	assert_string_equal(ui_ivl_erase(&ivl, 0), "a");
	assert_int_equal(ui_ivl_insert(&ivl, MAX, MAX, "b"), 0);
	assert_true(ui_ivl_find_gap(&ivl, MAX - 1, MAX, &want, &at));
	assert_int_equal(at, MAX - 1);
	ui_ivl_fini(&ivl);
}

/* Alignment must not wrap at the upper end. */
static void aligning_near_the_end_does_not_wrap(void **state)
{
	struct ui_ivl ivl = { 0 };
	u64 at;

	assert_false(ui_ivl_find_gap(&ivl, MAX - 100, MAX, &(struct ui_ivl_want){ .length = 1, .align = 4096 }, &at));
	assert_false(ui_ivl_find_gap(&ivl, MAX - 5000, MAX, &(struct ui_ivl_want){ .length = 4097, .align = 4096 }, &at));
	assert_true(ui_ivl_find_gap(&ivl, MAX - 5000, MAX, &(struct ui_ivl_want){ .length = 4096, .align = 4096 }, &at));
	assert_int_equal(at, MAX - 4095);
	ui_ivl_fini(&ivl);
}

enum { N_MODEL = 3000 };

/* A plain sorted array. */
static struct {
	u64 start, last;
} model[N_MODEL];
static unsigned n_model;

static unsigned model_first(u64 at)
{
	unsigned i = 0;

	while (i < n_model && model[i].last < at)
		i++;
	return i;
}

static void model_insert(struct ui_ivl *ivl, u64 start, u64 last)
{
	unsigned i = model_first(start);
	bool meets = i < n_model && model[i].start <= last;

	assert_int_equal(ui_ivl_insert(ivl, start, last, (void *)(uintptr_t)(start + 1)), meets ? -EEXIST : 0);
	if (meets)
		return;
	memmove(&model[i + 1], &model[i], (n_model - i) * sizeof(model[0]));
	model[i].start = start;
	model[i].last = last;
	n_model++;
}

static bool model_gap(u64 start, u64 last, const struct ui_ivl_want *want, u64 *out)
{
	u64 at = start;

	for (unsigned i = model_first(start); i <= n_model; i++) {
		bool end = i == n_model || model[i].start > last;

		if ((end || model[i].start > at) && ui_ivl_fit(at, end ? last : model[i].start - 1, want, out))
			return true;
		if (end || model[i].last >= last)
			return false;
		at = model[i].last + 1;
	}
	return false;
}

static void check_all(const struct ui_ivl *ivl)
{
	struct ui_ivl_item item = { 0 };
	bool more = ui_ivl_first(ivl, 0, &item);

	assert_int_equal(ivl->n, n_model);
	for (unsigned i = 0; i < n_model; i++, more = ui_ivl_next(ivl, &item)) {
		assert_true(more);
		assert_int_equal(item.start, model[i].start);
		assert_int_equal(item.last, model[i].last);
	}
	assert_false(more);
}

static void check_gap(const struct ui_ivl *ivl, u64 space)
{
	struct ui_ivl_want want = { .length = rnd(space / 64) + 1, .align = (u64)1 << rnd(24) };
	u64 start = rnd(space), last = start + rnd(space), a = 0, b = 0;
	bool expected;

	if (rand() % 2)
		want.length = (u64)1 << rnd(22);
	if (!(rand() % 4))
		want.offset = rnd(4096) & ~(want.align - 1);
	expected = model_gap(start, last, &want, &a);
	assert_int_equal(ui_ivl_find_gap(ivl, start, last, &want, &b), expected);
	if (expected)
		assert_int_equal(a, b);
}

static void random_step(struct ui_ivl *ivl, u64 space, u64 unit, bool grow)
{
	u64 start = rnd(space) & ~(unit - 1), at = rnd(space);
	unsigned i = model_first(at);

	if (n_model < N_MODEL - 1 && (grow || rand() % 3 == 0)) {
		model_insert(ivl, start, start + unit * (rnd(8) + 1) - 1);
	} else if (i < n_model && rand() % 8 == 0) {
		/* To anywhere between its start and the next. */
		u64 limit = i + 1 < n_model ? model[i + 1].start - 1 : model[i].last + unit;

		model[i].last = model[i].start + rnd(limit - model[i].start + 1);
		ui_ivl_set_last(ivl, model[i].start, model[i].last);
	} else if (i < n_model) {
		assert_int_equal((uintptr_t)ui_ivl_erase(ivl, model[i].start), model[i].start + 1);
		memmove(&model[i], &model[i + 1], (n_model - i - 1) * sizeof(model[0]));
		n_model--;
	}
}

static void random_operations_match_an_array(void **state)
{
	static const u64 units[] = { 1, 2048, 4096, 1 << 20 };
	u64 live = ui_alloc_live();

	seed_from_time();
	for (size_t u = 0; u < ui_array_size(units); u++) {
		struct ui_ivl ivl = { 0 };

		n_model = 0;
		for (unsigned step = 0; step < 24000; step++) {
			u64 space = units[u] * 12000;

			random_step(&ivl, space, units[u], step % 8000 < 5000);
			if (step % 3 == 0)
				check_gap(&ivl, space);
			if (step % 1000 == 0)
				check_all(&ivl);
		}
		check_all(&ivl);
		while (n_model)
			ui_ivl_erase(&ivl, model[--n_model].start);
		assert_null(ivl.root);
	}
	assert_int_equal(ui_alloc_live(), live);
}

/* Ascending and descending runs, as programs make them. */
static void runs_in_order_match_an_array(void **state)
{
	for (int down = 0; down < 2; down++) {
		struct ui_ivl ivl = { 0 };

		n_model = 0;
		for (u64 i = 0; i < 2500; i++) {
			u64 at = (down ? 2500 - i : i) * 8192;

			model_insert(&ivl, at, at + 4095);
			if (i % 100 == 0)
				check_gap(&ivl, 2500 * 8192);
		}
		check_all(&ivl);
		while (n_model) {
			unsigned i = down ? n_model - 1 : 0;

			ui_ivl_erase(&ivl, model[i].start);
			memmove(&model[i], &model[i + 1], (n_model - i - 1) * sizeof(model[0]));
			n_model--;
			if (n_model % 100 == 0)
				check_gap(&ivl, 2500 * 8192);
		}
		assert_null(ivl.root);
	}
}

static void a_failed_allocation_changes_nothing(void **state)
{
	struct ui_ivl ivl = { 0 };
	u64 live = ui_alloc_live();

	n_model = 0;
	for (u64 i = 0; i < 1500; i++) {
		u64 start = (i * 7919) % 1500 * 16;

		for (u64 nth = 1;; nth++) {
			int ret;

			ui_inject_arm(nth);
			ret = ui_ivl_insert(&ivl, start, start + 7, (void *)(uintptr_t)(start + 1));
			if (!ret)
				break;
			assert_int_equal(ret, -ENOMEM);
			assert_int_equal(ivl.n, i);
		}
		ui_inject_arm(0);
		ui_ivl_erase(&ivl, start);
		model_insert(&ivl, start, start + 7);
	}
	check_all(&ivl);
	ui_ivl_fini(&ivl);
	assert_int_equal(ui_alloc_live(), live);
}

/* 20000 searches past 200000 gaps each: a search through the gaps would not end within the test's time. */
static void a_gap_is_found_without_looking_at_smaller_ones(void **state)
{
	enum { N = 200000 };
	struct ui_ivl ivl = { 0 };
	u64 at;

	/* Gaps of a page everywhere, one of three pages near the end. */
	for (u64 i = 0; i < N; i++)
		assert_int_equal(ui_ivl_insert(&ivl, i * 8192, i * 8192 + 4095, "x"), 0);
	ui_ivl_erase(&ivl, (u64)(N - 2) * 8192);
	for (unsigned i = 0; i < 20000; i++) {
		assert_true(ui_ivl_find_gap(&ivl, 0, MAX, &(struct ui_ivl_want){ .length = 8192, .align = 4096 }, &at));
		assert_int_equal(at, (u64)(N - 3) * 8192 + 4096);
	}
	ui_ivl_fini(&ivl);
}

enum { N_NODES = 600 };

static struct ui_ivm_node nodes[N_NODES];
static bool used[N_NODES];

static int by_start(const void *a, const void *b)
{
	const struct ui_ivm_node *x = *(struct ui_ivm_node *const *)a, *y = *(struct ui_ivm_node *const *)b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x < y ? -1 : 1;
}

static void check_meets(const struct ui_ivm *ivm, u64 start, u64 last)
{
	struct ui_ivm_node *want[N_NODES], *at = NULL;
	size_t n = 0;

	for (unsigned i = 0; i < N_NODES; i++) {
		if (used[i] && nodes[i].start <= last && nodes[i].last >= start)
			want[n++] = &nodes[i];
	}
	qsort(want, n, sizeof(want[0]), by_start);
	for (size_t i = 0; i < n; i++) {
		at = ui_ivm_next(ivm, start, last, at);
		assert_ptr_equal(at, want[i]);
	}
	assert_null(ui_ivm_next(ivm, start, last, at));
}

static void the_multiset_finds_what_meets_a_range(void **state)
{
	struct ui_ivm ivm = { 0 };

	seed_from_time();
	for (unsigned step = 0; step < 20000; step++) {
		unsigned i = (unsigned)rnd(N_NODES);
		u64 at = rnd(5000);

		if (used[i]) {
			ui_ivm_erase(&ivm, &nodes[i]);
		} else {
			nodes[i].start = rnd(5000);
			nodes[i].last = nodes[i].start + (rand() % 10 ? rnd(20) : rnd(4000));
			ui_ivm_insert(&ivm, &nodes[i]);
		}
		used[i] = !used[i];
		if (step % 10 == 0)
			check_meets(&ivm, at, at + rnd(50));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(neighbours_may_touch_but_not_overlap),
		cmocka_unit_test(the_whole_of_64_bits_is_an_interval),
		cmocka_unit_test(aligning_near_the_end_does_not_wrap),
		cmocka_unit_test(random_operations_match_an_array),
		cmocka_unit_test(runs_in_order_match_an_array),
		cmocka_unit_test(a_failed_allocation_changes_nothing),
		cmocka_unit_test(a_gap_is_found_without_looking_at_smaller_ones),
		cmocka_unit_test(the_multiset_finds_what_meets_a_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
