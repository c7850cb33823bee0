/* SPDX-License-Identifier: MIT */
/* Making a machine with each allocation failing in turn: an error, nothing left behind, or success (anchors: fault injection). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "machine/instance.h"

#include <string.h>

static void a_failed_allocation_leaves_nothing(void **state)
{
	struct ui_machine_desc desc;
	char err[256];
	u64 n = 0, live;

	ui_machine_desc_init(&desc);
	assert_int_equal(ui_machine_desc_add(&desc, "dma", err, sizeof(err)), 0);
	assert_int_equal(ui_machine_desc_add(&desc, "dma", err, sizeof(err)), 0);
	live = ui_alloc_live();
	for (;;) {
		struct ui_machine *machine = NULL;
		int ret;

		ui_inject_arm(++n);
		ret = ui_machine_create(&desc, &machine, err, sizeof(err));
		if (ui_inject_left()) {
			ui_inject_arm(0);
			assert_int_equal(ret, 0);
			ui_machine_destroy(machine);
			break;
		}
		if (!ret)
			ui_machine_destroy(machine);
		else
			assert_true(strlen(err) > 0);
		assert_int_equal(ui_alloc_live(), live);
	}
	assert_int_equal(ui_alloc_live(), live);
	assert_true(n > 4);
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(a_failed_allocation_leaves_nothing) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
