/* SPDX-License-Identifier: MIT */
/* Tables of fields: what lies where, what is reserved, what is printed. */
#include "hw/vtd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static void fields_are_read_where_they_lie(void **state)
{
	const u64 words[] = { 0x123456789abcdef0, 0xfedcba9876543210 };

	assert_int_equal(ui_hw_get(words, UI_HW_FIELD(0, 3, 0)), 0);
	assert_int_equal(ui_hw_get(words, UI_HW_FIELD(0, 11, 4)), 0xef);
	assert_int_equal(ui_hw_get(words, UI_HW_FIELD(1, 63, 60)), 0xf);
	assert_int_equal(ui_hw_get(words, UI_HW_FIELD(1, 63, 0)), 0xfedcba9876543210);
	assert_int_equal(UI_HW_VAL(UI_HW_FIELD(0, 53, 48), 18), UI_BIT(49) | UI_BIT(52));
}

/* Specification, revision 5, chapters 11.4.2 and 11.4.3; older revisions' bits count as reserved. */
static void what_is_no_field_is_reserved(void **state)
{
	assert_int_equal(ui_hw_reserved(&ui_vtd_cap, 0), UI_BIT(3) | ui_mask_range(15, 13) | UI_BIT(23) | UI_BIT(38) | UI_BIT(57) | UI_BIT(58));
	assert_int_equal(ui_hw_reserved(&ui_vtd_ecap, 0),
			 UI_BIT(5) | UI_BIT(18) | UI_BIT(19) | UI_BIT(24) | UI_BIT(27) | UI_BIT(28) | UI_BIT(32) | UI_BIT(54) | UI_BIT(63));
	assert_int_equal(ui_hw_reserved(&ui_vtd_cap, 1), ~(u64)0);
}

static void what_is_set_is_printed(void **state)
{
	const u64 cap = UI_HW_VAL(UI_VTD_CAP_ND, 6) | UI_HW_VAL(UI_VTD_CAP_PSI, 1), none = 0;
	char text[64], tight[8];

	assert_string_equal(ui_hw_print(&ui_vtd_cap, &cap, text, sizeof(text)), "CAP ND=6 PSI");
	assert_string_equal(ui_hw_print(&ui_vtd_ecap, &none, text, sizeof(text)), "ECAP");
	assert_string_equal(ui_hw_print(&ui_vtd_cap, &cap, tight, sizeof(tight)), "CAP ND=");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_read_where_they_lie),
		cmocka_unit_test(what_is_no_field_is_reserved),
		cmocka_unit_test(what_is_set_is_printed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
