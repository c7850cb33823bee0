/* SPDX-License-Identifier: MIT */
/*
 * Hardware structures as tables of fields: one list says where each field of a register or of a structure in memory lies;
 * accessors, the reserved bits and what a reader gets to see all come from it. A structure is an array of 64-bit words, copied
 * out of shared memory before anybody looks at its fields.
 */
#ifndef UI_HW_FIELD_H
#define UI_HW_FIELD_H

#include "base/bits.h"
#include "base/types.h"

/* A field's name in code: bits @high to @low of word @word, as specifications print it; an integer constant. */
#define UI_HW_FIELD(word, high, low) ((word) << 16 | (low) << 8 | ((high) - (low) + 1))
/* A constant with @val in @field, for structures of one word. */
#define UI_HW_VAL(field, val) ((u64)(val) << ((field) >> 8 & 0xff))

struct ui_hw_name {
	const char *name;
	u32 field;
};

struct ui_hw_struct {
	const char *name;
	unsigned n_words;
	const struct ui_hw_name *fields;
	size_t n_fields;
};

UI_ALWAYS_INLINE u64 ui_hw_get(const u64 *words, u32 field)
{
	return words[field >> 16] >> (field >> 8 & 0xff) & ui_mask_lg2(field & 0xff);
}

/* Bits of word @word that belong to no field. */
u64 ui_hw_reserved(const struct ui_hw_struct *s, unsigned word);
/* "NAME A B=3": the fields that are not zero, with their values where they have more than one bit. Cut to @n_bytes, 0 included;
 * returns @text. */
const char *ui_hw_print(const struct ui_hw_struct *s, const u64 *words, char *text, size_t n_bytes);

#endif
