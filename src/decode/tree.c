/* SPDX-License-Identifier: MIT */
#include "decode/tree.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Width of the column of names. */
enum { NAME_WIDTH = 13 };

struct json_object *ui_tree_add(struct ui_tree *tree, struct json_object *to, const char *key, struct json_object *val)
{
	if (to && val && !json_object_object_add(to, key, val))
		return val;
	json_object_put(val);
	tree->failed = true;
	return NULL;
}

struct json_object *ui_tree_append(struct ui_tree *tree, struct json_object *to, struct json_object *val)
{
	if (to && val && !json_object_array_add(to, val))
		return val;
	json_object_put(val);
	tree->failed = true;
	return NULL;
}

struct json_object *ui_tree_hex(u64 val)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, val);
	return json_object_new_string(text);
}

void ui_tree_text(struct ui_tree *tree, struct json_object *to, const char *key, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ui_tree_add(tree, to, key, json_object_new_string(text));
}

void ui_tree_number(struct ui_tree *tree, struct json_object *to, const char *key, u64 val)
{
	ui_tree_add(tree, to, key, json_object_new_int64((s64)val));
}

static void add_field(struct ui_tree *tree, struct json_object *fields, struct json_object *meanings, const struct ui_hw_name *name,
		      const u64 *words)
{
	u64 val = ui_hw_get(words, name->field);
	const char *meaning = ui_hw_meaning(name, val);

	struct json_object *shown;

	if (name->values == ui_hw_addr)
		shown = ui_tree_hex(ui_hw_get_addr(words, name->field));
	else if (name->values == ui_hw_hex)
		shown = ui_tree_hex(val);
	else
		shown = json_object_new_int64((s64)val);
	shown = ui_tree_add(tree, fields, name->name, shown);
	/* For the text, which leaves out zeros. */
	if (shown && ui_hw_shows_zero(name))
		json_object_set_userdata(shown, (void *)(uintptr_t)name, NULL);
	if (meaning)
		ui_tree_text(tree, meanings, name->name, "%s", meaning);
}

void ui_tree_struct(struct ui_tree *tree, struct json_object *to, const struct ui_hw_struct *s, u64 addr, const u64 *words,
		    unsigned n_words)
{
	struct json_object *list, *fields, *meanings, *reserved = NULL;

	ui_tree_add(tree, to, "address", ui_tree_hex(addr));
	list = ui_tree_add(tree, to, "words", json_object_new_array());
	for (unsigned i = 0; i < n_words; i++)
		ui_tree_append(tree, list, ui_tree_hex(words[i]));
	if (!s)
		return;
	fields = ui_tree_add(tree, to, "fields", json_object_new_object());
	meanings = ui_tree_add(tree, to, "meaning", json_object_new_object());
	for (size_t i = 0; i < s->n_fields; i++) {
		if (ui_hw_has(s, i))
			add_field(tree, fields, meanings, &s->fields[i], words);
	}
	for (unsigned i = 0; i < n_words; i++) {
		u64 rest = words[i] & ui_hw_reserved(s, i);
		char key[24];

		if (!rest)
			continue;
		if (!reserved)
			reserved = ui_tree_add(tree, to, "reserved", json_object_new_object());
		snprintf(key, sizeof(key), "word %u", i);
		ui_tree_add(tree, reserved, key, ui_tree_hex(rest));
	}
}

/* Text. */

struct text {
	FILE *to;
	bool all;
};

static bool is_zero(struct json_object *val)
{
	return json_object_is_type(val, json_type_int) ? !json_object_get_int64(val) : !strcmp(json_object_get_string(val), "0x0");
}

static void print_fields(struct text *text, struct json_object *obj, unsigned depth)
{
	struct json_object *fields, *meanings = NULL, *reserved = NULL, *val;

	if (!json_object_object_get_ex(obj, "fields", &fields))
		return;
	json_object_object_get_ex(obj, "meaning", &meanings);
	json_object_object_get_ex(obj, "reserved", &reserved);
	json_object_object_foreach(fields, name, field) {
		if (!text->all && is_zero(field) && !json_object_get_userdata(field))
			continue;
		fprintf(text->to, "%*s%-*s %s", (int)depth * 2, "", NAME_WIDTH, name, json_object_get_string(field));
		if (json_object_object_get_ex(meanings, name, &val))
			fprintf(text->to, "  %s", json_object_get_string(val));
		fputc('\n', text->to);
	}
	if (reserved) {
		json_object_object_foreach(reserved, word, bits)
			fprintf(text->to, "%*s%-*s %s of %s\n", (int)depth * 2, "", NAME_WIDTH, "reserved", json_object_get_string(bits), word);
	}
}

static void print_words(struct text *text, struct json_object *obj, unsigned depth)
{
	struct json_object *words;

	if (json_object_object_get_ex(obj, "fields", NULL) || !json_object_object_get_ex(obj, "words", &words))
		return;
	fprintf(text->to, "%*s%-*s", (int)depth * 2, "", NAME_WIDTH, "words");
	for (size_t i = 0; i < json_object_array_length(words); i++)
		fprintf(text->to, " %s", json_object_get_string(json_object_array_get_idx(words, i)));
	fputc('\n', text->to);
}

/* Its title, what it consists of, then what lies in it, one step further in; what is left to say comes last. */
static void print_object(struct text *text, struct json_object *obj, unsigned depth)
{
	static const char *const parts[] = { "level1", "entries", "cds", "steps", "result", "event" };
	static const struct {
		const char *key, *text;
	} counts[] = { { "not_valid", "not valid" }, { "empty", "all zero" }, { "not_in_dump", "not in the dump" } };
	struct json_object *val;

	if (json_object_object_get_ex(obj, "title", &val))
		fprintf(text->to, "%*s%s\n", (int)depth * 2, "", json_object_get_string(val));
	/* What was read on the way to it. */
	if (json_object_object_get_ex(obj, "stage2", &val))
		print_object(text, val, depth + 1);
	print_fields(text, obj, depth + 1);
	print_words(text, obj, depth + 1);
	if (json_object_object_get_ex(obj, "illegal", &val))
		fprintf(text->to, "%*s%-*s %s\n", (int)depth * 2 + 2, "", NAME_WIDTH, "ILLEGAL", json_object_get_string(val));
	for (size_t i = 0; i < ui_array_size(parts); i++) {
		if (!json_object_object_get_ex(obj, parts[i], &val))
			continue;
		if (json_object_is_type(val, json_type_object))
			print_object(text, val, depth + 1);
		for (size_t n = 0; json_object_is_type(val, json_type_array) && n < json_object_array_length(val); n++)
			print_object(text, json_object_array_get_idx(val, n), depth + 1);
	}
	for (size_t i = 0; i < ui_array_size(counts); i++) {
		if (json_object_object_get_ex(obj, counts[i].key, &val) && !is_zero(val))
			fprintf(text->to, "%*s%s: %s\n", (int)depth * 2 + 2, "", counts[i].text, json_object_get_string(val));
	}
}

char *ui_tree_print_text(const struct ui_tree *tree, bool all)
{
	char *out = NULL;
	size_t n_bytes = 0;
	struct text text = { .to = open_memstream(&out, &n_bytes), .all = all };
	bool ok;

	if (!text.to)
		return NULL;
	print_object(&text, tree->root, 0);
	ok = !ferror(text.to);
	if (fclose(text.to) || !ok) {
		free(out);
		return NULL;
	}
	return out;
}

char *ui_tree_print_json(const struct ui_tree *tree)
{
	const char *text = json_object_to_json_string_ext(tree->root, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);
	char *out = NULL;

	return text && asprintf(&out, "%s\n", text) >= 0 ? out : NULL;
}
