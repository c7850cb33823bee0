/* SPDX-License-Identifier: MIT */
#include "hw/pte.h"

static const struct ui_hw_value values_ap[] = {
	{ 0, "privileged RW" }, { 1, "RW" }, { 2, "privileged RO" }, { 3, "RO" }, { 0, NULL },
};
static const struct ui_hw_value values_s2ap[] = { { 0, "none" }, { 1, "RO" }, { 2, "WO" }, { 3, "RW" }, { 0, NULL } };
static const struct ui_hw_value values_sh[] = {
	{ 0, "non-shareable" }, { 1, "reserved" }, { 2, "outer shareable" }, { 3, "inner shareable" }, { 0, NULL },
};
static const struct ui_hw_value values_xn[] = {
	{ 0, "executable" }, { 1, "not by EL1" }, { 2, "never" }, { 3, "not by EL0" }, { 0, NULL },
};

#define HOW_DEC NULL
#define HOW_HEX ui_hw_hex
#define HOW_ARM_AP values_ap
#define HOW_ARM_S2AP values_s2ap
#define HOW_ARM_SH values_sh
#define HOW_ARM_XN values_xn
#define ROW(name, high, low, how) { #name, UI_HW_FIELD(0, high, low), HOW_##how },

static const struct ui_hw_name arm_table_names[] = { UI_PTE_ARM_TABLE_FIELDS(ROW) };
static const struct ui_hw_name arm_s1_names[] = { UI_PTE_ARM_S1_FIELDS(ROW) };
static const struct ui_hw_name arm_s2_names[] = { UI_PTE_ARM_S2_FIELDS(ROW) };
static const struct ui_hw_name x86_names[] = { UI_PTE_X86_FIELDS(ROW) };
static const struct ui_hw_name vtdss_names[] = { UI_PTE_VTDSS_FIELDS(ROW) };

#define PTE(symbol, text, names) const struct ui_hw_struct symbol = { (text), 1, (names), ui_array_size(names), 0 }

PTE(ui_pte_arm_table, "table", arm_table_names);
PTE(ui_pte_arm_s1, "stage 1", arm_s1_names);
PTE(ui_pte_arm_s2, "stage 2", arm_s2_names);
PTE(ui_pte_x86, "x86-64", x86_names);
PTE(ui_pte_vtdss, "VT-d second stage", vtdss_names);
