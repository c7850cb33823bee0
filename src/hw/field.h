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

/* A value of a field and what the specification says it means; the end of a list has no text. */
struct ui_hw_value {
	u32 value;
	const char *text;
};

struct ui_hw_name {
	const char *name;
	u32 field;
	/* How its value is shown: NULL as a number, ui_hw_hex, ui_hw_addr, or the values that have names. */
	const struct ui_hw_value *values;
};

/* Shown in base 16; shown as the address whose bits lie where they lie in the word. Lists without an entry. */
extern const struct ui_hw_value ui_hw_hex[], ui_hw_addr[];

struct ui_hw_struct {
	const char *name;
	unsigned n_words;
	const struct ui_hw_name *fields;
	size_t n_fields;
	/* Structures that share a list: bit i says that this one has field i. 0: it has all. */
	u64 only;
};

UI_ALWAYS_INLINE bool ui_hw_has(const struct ui_hw_struct *s, size_t i)
{
	return !s->only || (s->only >> i & 1);
}

UI_ALWAYS_INLINE u64 ui_hw_get(const u64 *words, u32 field)
{
	return words[field >> 16] >> (field >> 8 & 0xff) & ui_mask_lg2(field & 0xff);
}

/* The field's bits in their word. */
UI_ALWAYS_INLINE u64 ui_hw_mask(u32 field)
{
	return ui_mask_lg2(field & 0xff) << (field >> 8 & 0xff);
}

/* Bits of @val beyond the field are dropped. */
UI_ALWAYS_INLINE void ui_hw_set(u64 *words, u32 field, u64 val)
{
	u64 *word = &words[field >> 16];

	*word = (*word & ~ui_hw_mask(field)) | (val << (field >> 8 & 0xff) & ui_hw_mask(field));
}

/* The address that a field holds: its bits where they are, all others zero; and the other way. */
UI_ALWAYS_INLINE u64 ui_hw_get_addr(const u64 *words, u32 field)
{
	return words[field >> 16] & ui_hw_mask(field);
}

UI_ALWAYS_INLINE void ui_hw_set_addr(u64 *words, u32 field, u64 addr)
{
	u64 *word = &words[field >> 16];

	*word = (*word & ~ui_hw_mask(field)) | (addr & ui_hw_mask(field));
}

/* Bits of word @word that belong to no field. */
u64 ui_hw_reserved(const struct ui_hw_struct *s, unsigned word);
/* What the field's value means, or NULL where it has no name. */
const char *ui_hw_meaning(const struct ui_hw_name *name, u64 val);
/* Is 0 worth showing? It is where a single bit says which of two things it is. */
UI_ALWAYS_INLINE bool ui_hw_shows_zero(const struct ui_hw_name *name)
{
	return (name->field & 0xff) == 1 && name->values;
}
/* "NAME A B=3 C=5 (meaning)": the fields that are worth it (ui_hw_shows_zero()) or not zero, with their values where they have more than one bit; what lies in no
 * field comes last, word by word. Cut to @n_bytes, 0 included; returns @text. */
const char *ui_hw_print(const struct ui_hw_struct *s, const u64 *words, char *text, size_t n_bytes);

#endif
