/* SPDX-License-Identifier: MIT */
#include "hw/field.h"

#include <inttypes.h>
#include <stdio.h>

u64 ui_hw_reserved(const struct ui_hw_struct *s, unsigned word)
{
	u64 known = 0;

	for (size_t i = 0; i < s->n_fields; i++) {
		u32 field = s->fields[i].field;

		if (field >> 16 == word)
			known |= ui_mask_lg2(field & 0xff) << (field >> 8 & 0xff);
	}
	return ~known;
}

const char *ui_hw_print(const struct ui_hw_struct *s, const u64 *words, char *text, size_t n_bytes)
{
	int at = snprintf(text, n_bytes, "%s", s->name);

	for (size_t i = 0; i < s->n_fields && at >= 0 && (size_t)at < n_bytes; i++) {
		u32 field = s->fields[i].field;
		u64 val = ui_hw_get(words, field);

		if (!val)
			continue;
		if ((field & 0xff) == 1)
			at += snprintf(text + at, n_bytes - (size_t)at, " %s", s->fields[i].name);
		else
			at += snprintf(text + at, n_bytes - (size_t)at, " %s=%" PRIu64, s->fields[i].name, val);
	}
	return text;
}
