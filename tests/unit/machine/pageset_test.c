/* SPDX-License-Identifier: MIT */
/* Page counts of the shim (src/shim/pageset.h) against a plain array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/bits.h"
#include "shim/pageset.h"

#include <stdlib.h>
#include <string.h>

enum { N_PAGES = 3 * 512, BASE = 0x40000000 };

static struct ui_pageset set;
static unsigned shadow[N_PAGES];

static u64 at(u64 page)
{
	return BASE + (page << UI_PAGE_LG2);
}

static void same_as_shadow(u64 first, u64 last)
{
	u64 start, end, page = first;

	while (page <= last && !shadow[page])
		page++;
	if (page > last) {
		assert_false(ui_pageset_next(&set, at(first), at(last), &start, &end));
		return;
	}
	assert_true(ui_pageset_next(&set, at(first), at(last), &start, &end));
	assert_int_equal(start, at(page));
	while (page <= last && shadow[page])
		page++;
	assert_int_equal(end, at(page) - 1);
}

static void random_changes_agree_with_an_array(void **state)
{
	unsigned seed = 20261121;

	print_message("seed %u\n", seed);
	srand(seed);
	for (unsigned round = 0; round < 4000; round++) {
		u64 a = (unsigned)rand() % N_PAGES, b = (unsigned)rand() % N_PAGES, first = ui_min(a, b), last = ui_max(a, b);
		bool some = true;

		if (rand() % 4 == 0) {
			first &= ~(u64)511;
			last |= 511;
		}
		for (u64 i = first; i <= last; i++)
			some = some && shadow[i];
		if (rand() % 20 == 0) {
			ui_pageset_clear(&set, at(first), at(last) + 5);
			memset(shadow + first, 0, (last - first + 1) * sizeof(shadow[0]));
		} else if (some && rand() % 2) {
			ui_pageset_add(&set, at(first), at(last) + 4095, -1);
			for (u64 i = first; i <= last; i++)
				shadow[i]--;
		} else {
			assert_int_equal(ui_pageset_add(&set, at(first) + 17, at(last) + 100, 1), 0);
			for (u64 i = first; i <= last; i++)
				shadow[i]++;
		}
		same_as_shadow(0, N_PAGES - 1);
		same_as_shadow(first, last);
	}
	ui_pageset_clear(&set, 0, ~(u64)0);
	assert_true(ui_pageset_empty(&set));
	ui_pageset_reset(&set, false);
}

static void counts_move_with_their_pages(void **state)
{
	u64 start, last;

	assert_int_equal(ui_pageset_add(&set, at(10), at(20), 1), 0);
	assert_int_equal(ui_pageset_add(&set, at(12), at(12), 1), 0);
	assert_int_equal(ui_pageset_move(&set, at(8), at(1000), 8 * UI_PAGE_BYTES), 0);
	assert_true(ui_pageset_next(&set, 0, ~(u64)0, &start, &last));
	assert_int_equal(start, at(16));
	assert_int_equal(last, at(21) - 1);
	ui_pageset_add(&set, at(1002), at(1007), -1);
	assert_true(ui_pageset_next(&set, at(1000), ~(u64)0, &start, &last));
	assert_int_equal(start, at(1004));
	assert_int_equal(last, at(1005) - 1);
	ui_pageset_clear(&set, 0, ~(u64)0);
	assert_true(ui_pageset_empty(&set));
	ui_pageset_reset(&set, false);
}

static void a_gigabyte_is_one_range(void **state)
{
	u64 start, last;

	assert_int_equal(ui_pageset_add(&set, (u64)1 << 40, ((u64)1 << 40) + (1 << 30) - 1, 1), 0);
	assert_true(set.n_blocks == 512);
	assert_true(ui_pageset_next(&set, 0, ~(u64)0, &start, &last));
	assert_int_equal(start, (u64)1 << 40);
	assert_int_equal(last, ((u64)1 << 40) + (1 << 30) - 1);
	ui_pageset_add(&set, start, last, -1);
	assert_true(ui_pageset_empty(&set));
	ui_pageset_reset(&set, false);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_changes_agree_with_an_array),
		cmocka_unit_test(counts_move_with_their_pages),
		cmocka_unit_test(a_gigabyte_is_one_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
