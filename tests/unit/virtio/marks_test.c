/* SPDX-License-Identifier: MIT */
/* The index of mappings against the one in base: random intervals, dense and far apart, every operation; memory that fails. */
#include "base/alloc.h"
#include "base/bits.h"
#include "base/ivl.h"
#include "virtio/marks.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static u64 seed;

static u64 rnd(u64 below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % below;
}

/* A number near one of the places where nodes meet, or anywhere. */
static u64 place(u64 last)
{
	static const u64 borders[] = { 0, 64, 4096, 4096 * 64, (u64)1 << 24, (u64)1 << 36, (u64)1 << 60, ~(u64)0 };
	u64 at = borders[rnd(ui_array_size(borders))] + rnd(100) - 50;

	if (!rnd(4))
		at = rnd(600);
	return last == ~(u64)0 ? at : at % (last + 1);
}

/* The model's interval that holds both @page - 1 and @page? */
static bool joins(const struct ui_ivl *ivl, u64 page)
{
	struct ui_ivl_item item;

	return page && ui_ivl_meets(ivl, page, page, &item) && item.start < page;
}

static void compare(struct ui_marks *m, const struct ui_ivl *ivl, u64 last)
{
	for (unsigned i = 0; i < 8; i++) {
		u64 a = place(last), b = place(last);

		assert_int_equal(ui_marks_meets(m, a, b), a <= b && ui_ivl_meets(ivl, a, b, NULL));
		assert_int_equal(ui_marks_joins(m, a), joins(ivl, a));
	}
}

static void run(u64 last, unsigned rounds)
{
	struct ui_ivl ivl = { 0 };
	struct ui_ivl_item item;
	struct ui_marks m;
	unsigned n_refused = 0;

	ui_marks_init(&m, last);
	for (unsigned i = 0; i < rounds; i++) {
		u64 first = place(last), end = rnd(3) ? first + rnd(ui_min(last - first, 40) + 1) : place(last);

		if (end < first)
			continue;
		if (rnd(3)) {
			int want = ui_ivl_insert(&ivl, first, end, NULL);

			assert_int_equal(ui_marks_add(&m, first, end), want);
			n_refused += want != 0;
		} else if (!joins(&ivl, first) && (end == ~(u64)0 || !joins(&ivl, end + 1))) {
			while (ui_ivl_meets(&ivl, first, end, &item))
				ui_ivl_erase(&ivl, item.start);
			ui_marks_remove(&m, first, end);
		}
		compare(&m, &ivl, last);
	}
	assert_true(n_refused > rounds / 20);
	ui_marks_fini(&m);
	ui_ivl_fini(&ivl);
}

static void it_agrees_with_the_index_of_base(void **state)
{
	const char *env = getenv("UI_SEED");
	u64 live = ui_alloc_live();

	seed = env ? strtoull(env, NULL, 0) : 0x2545f4914f6cdd1d;
	printf("seed %#llx\n", (unsigned long long)seed);
	run(700, 20000);
	run(4095, 5000);
	run(4096, 5000);
	run(ui_mask_lg2(36), 20000);
	run(~(u64)0, 20000);
	assert_int_equal(ui_alloc_live(), live);
}

/* Nothing is left of what had no memory, and what is empty needs none, but for one spare leaf. */
static void memory_that_fails(void **state)
{
	u64 live = ui_alloc_live();
	struct ui_marks m;

	for (u64 n = 1; n < 12; n++) {
		int ret;

		ui_marks_init(&m, ui_mask_lg2(36));
		ui_inject_arm(n);
		ret = ui_marks_add(&m, 5, (u64)1 << 35);
		ui_inject_arm(0);
		assert_int_equal(ret, n <= 9 ? -ENOMEM : 0); /* ways of five nodes that share the root */
		if (ret) {
			assert_null(m.root);
			assert_false(ui_marks_meets(&m, 0, ~(u64)0));
			assert_in_range(ui_alloc_live(), live, live + 1);
			assert_int_equal(ui_marks_add(&m, 5, (u64)1 << 35), 0);
		}
		assert_true(ui_marks_meets(&m, 1000, 1000));
		ui_marks_remove(&m, 0, ui_mask_lg2(36));
		assert_null(m.root);
		assert_int_equal(ui_alloc_live(), live + 1);
		ui_marks_fini(&m);
		assert_int_equal(ui_alloc_live(), live);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_agrees_with_the_index_of_base),
		cmocka_unit_test(memory_that_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
