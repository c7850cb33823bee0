/* SPDX-License-Identifier: MIT */
/*
 * What was decoded, as a tree that is printed as JSON or as text: one description for both.
 *
 * An object's "title" is the text's line for it. An entry has "address", "words", "fields" (numbers, or strings in base 16), "meaning" of
 * those whose values have names, "reserved" bits that are set, "illegal": the field for which the hardware refuses it.
 */
#ifndef UI_DECODE_TREE_H
#define UI_DECODE_TREE_H

#include "hw/field.h"

#include <json-c/json.h>

struct ui_tree {
	struct json_object *root;
	bool failed; /* memory ran out: what is there is not complete */
};

/* All take what they add; NULL is memory that ran out. They return what was added (or NULL, which all of them bear). */
struct json_object *ui_tree_add(struct ui_tree *tree, struct json_object *to, const char *key, struct json_object *val);
struct json_object *ui_tree_append(struct ui_tree *tree, struct json_object *to, struct json_object *val);
struct json_object *ui_tree_hex(u64 val);
void ui_tree_text(struct ui_tree *tree, struct json_object *to, const char *key, const char *fmt, ...) UI_PRINTF(4, 5);
void ui_tree_number(struct ui_tree *tree, struct json_object *to, const char *key, u64 val);
/* "address", "words", "fields", "meaning", "reserved" of a structure, into @to. @s NULL: only the first two of @n_words words. */
void ui_tree_struct(struct ui_tree *tree, struct json_object *to, const struct ui_hw_struct *s, u64 addr, const u64 *words,
		    unsigned n_words);

/* Both return text to be freed with free(), or NULL without memory. @all: fields that are zero as well. */
char *ui_tree_print_text(const struct ui_tree *tree, bool all);
char *ui_tree_print_json(const struct ui_tree *tree);

#endif
