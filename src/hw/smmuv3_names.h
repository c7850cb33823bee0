/* SPDX-License-Identifier: MIT */
/* How tables of fields are made from the lists in the headers; for the files of this folder that hold the tables. */
#ifndef UI_HW_SMMUV3_NAMES_H
#define UI_HW_SMMUV3_NAMES_H

#include "hw/smmuv3.h"

/* What a list's "how" stands for. */
#define UI_HOW_DEC NULL
#define UI_HOW_HEX ui_hw_hex
#define UI_HOW_ADDR ui_hw_addr

#define UI_VALUE_ROW(set, name, val, text) { (val), (text) },
/* static const: the values of a set that this file uses. */
#define UI_VALUES(set) static const struct ui_hw_value values_##set[] = { UI_SMMUV3_##set##_VALUES(UI_VALUE_ROW) { 0, NULL } }

#define UI_STRUCT(symbol, text, words, names) \
	const struct ui_hw_struct symbol = { (text), (words), (names), ui_array_size(names), 0 }

#endif
