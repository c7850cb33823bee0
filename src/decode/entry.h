/* SPDX-License-Identifier: MIT */
/* What an entry of a page table says, in words; and why a walk of an Arm table ended at it. */
#ifndef UI_DECODE_ENTRY_H
#define UI_DECODE_ENTRY_H

#include "pgtable/pgtable.h"

/* "4K", "2M", "512G": of 2^@lg2 bytes, 10 to 62. */
const char *ui_entry_size(unsigned lg2, char text[16]);
/* "rwx", with "-" for what is not granted; ", privileged" where only privileged accesses are. */
const char *ui_entry_rights(unsigned prot, char text[24]);
/* The fields of an entry that is not absent, but for its address: "AttrIndx=1 AF nG"; may be "". Returns @text. */
const char *ui_entry_attrs(const struct ui_walk_cfg *cfg, const struct ui_walk_look *look, char *text, size_t n_bytes);

/* Arm. */
struct ui_entry_path {
	const struct ui_walk_cfg *cfg;
	unsigned access;
	u64 tables[4]; /* the table entries that were passed, by level; 0: none was at this one */
	const struct ui_walk_look *last; /* the entry that ended the walk; NULL: none was read */
};

/* The field to blame, and the sentence. */
struct ui_entry_why {
	const char *field;
	char text[200];
};

/* Of a walk that ended with @status, which is neither UI_WALK_OK nor UI_WALK_ABORT, for input @addr. */
void ui_entry_why(const struct ui_entry_path *path, enum ui_walk_status status, u64 addr, struct ui_entry_why *why);

#endif
