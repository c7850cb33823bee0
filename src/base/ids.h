/* SPDX-License-Identifier: MIT */
/*
 * Numbers for objects: the lowest free one first. A number is reserved while its object is being made, when nobody finds it
 * yet, and either finalized or given back. A tombstone is a number that nobody finds and that is never used again.
 *
 * Threads: the caller's lock.
 */
#ifndef UI_BASE_IDS_H
#define UI_BASE_IDS_H

#include "base/types.h"

#define UI_IDS_LAST 0x7fffffffu

struct ui_ids_node;

struct ui_ids {
	struct ui_ids_node *root;
	unsigned levels; /* of nodes; 0 without root */
	u32 last;        /* highest number */
};

/* Numbers 1 to @last, which is at most UI_IDS_LAST. */
void ui_ids_init(struct ui_ids *ids, u32 last);
/* Forgets all numbers; the objects are the caller's. */
void ui_ids_fini(struct ui_ids *ids);
/* The lowest free number. 0; -ENOSPC all are taken; -ENOMEM. */
int ui_ids_reserve(struct ui_ids *ids, u32 *id);
/* A reserved number becomes @obj's (not NULL). */
void ui_ids_finalize(struct ui_ids *ids, u32 id, void *obj);
/* Frees a number that is reserved or an object's. */
void ui_ids_free(struct ui_ids *ids, u32 id);
/* Leaves a tombstone in the place of an object. */
void ui_ids_bury(struct ui_ids *ids, u32 id);
/* NULL: free, reserved, a tombstone or out of range. Any @id. */
void *ui_ids_find(const struct ui_ids *ids, u32 id);
/* The object with the lowest number above *@id, which is updated; NULL at the end. Start with 0. */
void *ui_ids_next(const struct ui_ids *ids, u32 *id);

#endif
