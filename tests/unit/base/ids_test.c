/* SPDX-License-Identifier: MIT */
/* Numbers of objects: iommufd-semantics.md section 1, rules 10 to 12. */
#include "base/alloc.h"
#include "base/ids.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static char objs[16];

/* 1.10: ids begin at 1, the lowest free one is taken, a freed one is next. */
static void the_lowest_free_number_comes_first(void **state)
{
	struct ui_ids ids;
	u32 id;

	ui_ids_init(&ids, UI_IDS_LAST);
	for (u32 want = 1; want <= 200; want++) {
		assert_int_equal(ui_ids_reserve(&ids, &id), 0);
		assert_int_equal(id, want);
		ui_ids_finalize(&ids, id, objs);
	}
	ui_ids_free(&ids, 150);
	ui_ids_free(&ids, 3);
	ui_ids_free(&ids, 64);
	for (unsigned i = 0; i < 4; i++) {
		static const u32 want[] = { 3, 64, 150, 201 };

		assert_int_equal(ui_ids_reserve(&ids, &id), 0);
		assert_int_equal(id, want[i]);
	}
	ui_ids_fini(&ids);
}

/* 1.10: numbers under construction look non-existent and are nobody else's. */
static void a_reserved_number_is_not_found(void **state)
{
	struct ui_ids ids;
	u32 a, b, at = 0;

	ui_ids_init(&ids, UI_IDS_LAST);
	assert_int_equal(ui_ids_reserve(&ids, &a), 0);
	assert_null(ui_ids_find(&ids, a));
	assert_null(ui_ids_next(&ids, &at));
	assert_int_equal(ui_ids_reserve(&ids, &b), 0);
	assert_int_not_equal(a, b);
	ui_ids_finalize(&ids, a, &objs[1]);
	assert_ptr_equal(ui_ids_find(&ids, a), &objs[1]);
	ui_ids_free(&ids, b);
	assert_int_equal(ui_ids_reserve(&ids, &b), 0);
	assert_int_equal(b, 2);
	ui_ids_fini(&ids);
}

static void numbers_out_of_range_are_not_found(void **state)
{
	static const u32 bad[] = { 0, 2, 63, 64, 65, 4096, 0x7fffffff, 0x80000000, 0xffffffff };
	struct ui_ids ids;
	u32 id;

	ui_ids_init(&ids, UI_IDS_LAST);
	assert_null(ui_ids_find(&ids, 1));
	assert_int_equal(ui_ids_reserve(&ids, &id), 0);
	ui_ids_finalize(&ids, id, objs);
	for (size_t i = 0; i < ui_array_size(bad); i++)
		assert_null(ui_ids_find(&ids, bad[i]));
	ui_ids_fini(&ids);
}

/* Section 7, VDEVICE: an id that became a tombstone is neither found nor used again. */
static void a_tombstone_stays(void **state)
{
	struct ui_ids ids;
	u32 id;

	ui_ids_init(&ids, UI_IDS_LAST);
	for (u32 i = 0; i < 3; i++) {
		assert_int_equal(ui_ids_reserve(&ids, &id), 0);
		ui_ids_finalize(&ids, id, objs);
	}
	ui_ids_bury(&ids, 2);
	assert_null(ui_ids_find(&ids, 2));
	ui_ids_free(&ids, 1);
	ui_ids_free(&ids, 3);
	assert_int_equal(ui_ids_reserve(&ids, &id), 0);
	assert_int_equal(id, 1);
	assert_int_equal(ui_ids_reserve(&ids, &id), 0);
	assert_int_equal(id, 3);
	ui_ids_fini(&ids);
}

static void all_taken_is_enospc(void **state)
{
	static const u32 lasts[] = { 1, 2, 63, 64, 65, 100, 4096, 4097 };

	for (size_t i = 0; i < ui_array_size(lasts); i++) {
		struct ui_ids ids;
		u32 id = 0;

		ui_ids_init(&ids, lasts[i]);
		for (u32 n = 1; n <= lasts[i]; n++) {
			assert_int_equal(ui_ids_reserve(&ids, &id), 0);
			assert_int_equal(id, n);
		}
		assert_int_equal(ui_ids_reserve(&ids, &id), -ENOSPC);
		assert_int_equal(ui_ids_reserve(&ids, &id), -ENOSPC);
		ui_ids_free(&ids, lasts[i]);
		assert_int_equal(ui_ids_reserve(&ids, &id), 0);
		assert_int_equal(id, lasts[i]);
		ui_ids_fini(&ids);
	}
}

/* Each allocation fails in turn: the number comes out the same at the next try, and nothing is left behind. */
static void a_failed_allocation_changes_nothing(void **state)
{
	u64 live = ui_alloc_live();

	for (u32 before = 0; before < 70; before += 1) {
		struct ui_ids ids;
		u32 id;

		ui_ids_init(&ids, UI_IDS_LAST);
		for (u32 i = 0; i < before; i++)
			assert_int_equal(ui_ids_reserve(&ids, &id), 0);
		for (u64 nth = 1;; nth++) {
			int ret;

			ui_inject_arm(nth);
			ret = ui_ids_reserve(&ids, &id);
			if (!ret)
				break;
			assert_int_equal(ret, -ENOMEM);
			assert_int_equal(ui_inject_left(), 0);
		}
		ui_inject_arm(0);
		assert_int_equal(id, before + 1);
		ui_ids_fini(&ids);
	}
	assert_int_equal(ui_alloc_live(), live);
}

enum { MODEL = 9000 };

/* Everything at random against an array. */
static void random_operations_match_an_array(void **state)
{
	static u8 model[MODEL + 2]; /* 0 free, 1 reserved, 2 object, 3 tombstone */
	unsigned seed = (unsigned)time(NULL);
	struct ui_ids ids;

	print_message("seed %u\n", seed);
	srand(seed);
	ui_ids_init(&ids, UI_IDS_LAST);
	for (unsigned step = 0; step < 60000; step++) {
		u32 id, want = 1, at = (u32)rand() % (step % 20000 < 10000 ? MODEL : 300) + 1, next = at;

		if (rand() % 3) {
			while (model[want])
				want++;
			if (want > MODEL)
				continue;
			assert_int_equal(ui_ids_reserve(&ids, &id), 0);
			assert_int_equal(id, want);
			model[id] = 1;
			if (rand() % 8) {
				ui_ids_finalize(&ids, id, &objs[id % sizeof(objs)]);
				model[id] = 2;
			}
		} else if (model[at] == 2 && !(rand() % 200)) {
			ui_ids_bury(&ids, at);
			model[at] = 3;
		} else if (model[at] == 1 || model[at] == 2) {
			ui_ids_free(&ids, at);
			model[at] = 0;
		}
		assert_ptr_equal(ui_ids_find(&ids, at), model[at] == 2 ? &objs[at % sizeof(objs)] : NULL);
		for (want = at + 1; want <= MODEL && model[want] != 2;)
			want++;
		assert_int_equal(ui_ids_next(&ids, &next) != NULL, want <= MODEL);
		if (want <= MODEL)
			assert_int_equal(next, want);
	}
	ui_ids_fini(&ids);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_lowest_free_number_comes_first),
		cmocka_unit_test(a_reserved_number_is_not_found),
		cmocka_unit_test(numbers_out_of_range_are_not_found),
		cmocka_unit_test(a_tombstone_stays),
		cmocka_unit_test(all_taken_is_enospc),
		cmocka_unit_test(a_failed_allocation_changes_nothing),
		cmocka_unit_test(random_operations_match_an_array),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
