/* SPDX-License-Identifier: MIT */
#include "hw/field.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

const struct ui_hw_value ui_hw_hex[] = { { 0, NULL } }, ui_hw_addr[] = { { 0, NULL } };

struct line {
	char *text;
	size_t n_bytes, at;
};

u64 ui_hw_reserved(const struct ui_hw_struct *s, unsigned word)
{
	u64 known = 0;

	for (size_t i = 0; i < s->n_fields; i++) {
		if (ui_hw_has(s, i) && s->fields[i].field >> 16 == word)
			known |= ui_hw_mask(s->fields[i].field);
	}
	return ~known;
}

const char *ui_hw_meaning(const struct ui_hw_name *name, u64 val)
{
	for (const struct ui_hw_value *v = name->values; v && v->text; v++) {
		if (v->value == val)
			return v->text;
	}
	return NULL;
}

static void UI_PRINTF(2, 3) put(struct line *line, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (line->at >= line->n_bytes)
		return;
	va_start(ap, fmt);
	n = vsnprintf(line->text + line->at, line->n_bytes - line->at, fmt, ap);
	va_end(ap);
	line->at = n < 0 ? line->n_bytes : line->at + (size_t)n;
}

static void put_field(struct line *line, const struct ui_hw_name *name, const u64 *words)
{
	u64 val = ui_hw_get(words, name->field);
	const char *meaning = ui_hw_meaning(name, val);

	if (!val && !ui_hw_shows_zero(name))
		return;
	if (name->values == ui_hw_addr)
		put(line, " %s=0x%" PRIx64, name->name, ui_hw_get_addr(words, name->field));
	else if (name->values == ui_hw_hex)
		put(line, " %s=0x%" PRIx64, name->name, val);
	else if ((name->field & 0xff) == 1 && val)
		put(line, " %s", name->name);
	else
		put(line, " %s=%" PRIu64, name->name, val);
	if (meaning)
		put(line, " (%s)", meaning);
}

const char *ui_hw_print(const struct ui_hw_struct *s, const u64 *words, char *text, size_t n_bytes)
{
	struct line line = { text, n_bytes, 0 };

	put(&line, "%s", s->name);
	for (size_t i = 0; i < s->n_fields; i++) {
		if (ui_hw_has(s, i))
			put_field(&line, &s->fields[i], words);
	}
	for (unsigned i = 0; i < s->n_words; i++) {
		u64 rest = words[i] & ui_hw_reserved(s, i);

		if (rest)
			put(&line, " reserved[%u]=0x%" PRIx64, i, rest);
	}
	return text;
}
