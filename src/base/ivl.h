/* SPDX-License-Identifier: MIT */
/*
 * Interval index: intervals [start, last] of 64-bit numbers that do not overlap, each with a pointer. A B+tree that also
 * knows, below each node, the largest gap per alignment, so that the first gap of a wanted size is found without a search
 * through smaller ones.
 *
 * Threads: the caller's lock; any number of readers at a time.
 */
#ifndef UI_BASE_IVL_H
#define UI_BASE_IVL_H

#include "base/types.h"

struct ui_ivl_node;

/* All zero: empty. */
struct ui_ivl {
	struct ui_ivl_node *root;
	u64 n; /* intervals */
};

struct ui_ivl_item {
	u64 start, last;
	void *ptr;
};

/* Empties it; what the pointers point at is the caller's. */
void ui_ivl_fini(struct ui_ivl *ivl);
/* @start <= @last. 0; -EEXIST meets an interval; -ENOMEM; then nothing is changed. */
int ui_ivl_insert(struct ui_ivl *ivl, u64 start, u64 last, void *ptr);
/* Takes out the interval that begins exactly at @start. Returns its pointer. Needs no memory. */
void *ui_ivl_erase(struct ui_ivl *ivl, u64 start);
/* The interval that begins exactly at @start ends at @last from now on (at least @start, not into the next interval). Needs
 * no memory. */
void ui_ivl_set_last(struct ui_ivl *ivl, u64 start, u64 last);
/* The interval that begins exactly at @start points to @ptr from now on. */
void ui_ivl_set_ptr(struct ui_ivl *ivl, u64 start, void *ptr);
/* The first interval in ascending order that ends at or after @at. False: none. */
bool ui_ivl_first(const struct ui_ivl *ivl, u64 at, struct ui_ivl_item *item);
/* True when an interval meets [@start, @last]; *@item (may be NULL) is the first. */
bool ui_ivl_meets(const struct ui_ivl *ivl, u64 start, u64 last, struct ui_ivl_item *item);
/* Moves *@item on to the next interval, also when the tree changed meanwhile. False: there is none. */
bool ui_ivl_next(const struct ui_ivl *ivl, struct ui_ivl_item *item);

struct ui_ivl_want {
	u64 length; /* at least 1 */
	u64 align;  /* a power of two, at least 1 */
	u64 offset; /* is OR-ed into the aligned start */
};

/* Where in the gap [@start, @last] the wanted space lies: its first aligned address with the offset in it. False: it does not fit. */
bool ui_ivl_fit(u64 start, u64 last, const struct ui_ivl_want *want, u64 *out);
/* The same for the first gap that has room inside [@start, @last], a gap being free space cut to that range. */
bool ui_ivl_find_gap(const struct ui_ivl *ivl, u64 start, u64 last, const struct ui_ivl_want *want, u64 *out);

#endif
