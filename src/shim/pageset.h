/* SPDX-License-Identifier: MIT */
/*
 * Counts per page of this process's address space: how many mappings use it. Kept in blocks of 2 MiB, whole blocks by one
 * number, so that a gigabyte costs as much as a few pages, and looking up a range costs what lies in it.
 * Threads: the caller's lock, but for ui_pageset_empty().
 */
#ifndef UI_SHIM_PAGESET_H
#define UI_SHIM_PAGESET_H

#include "base/types.h"

#include <stdatomic.h>

struct ui_pageset_block;

struct ui_pageset {
	struct ui_pageset_block **table; /* open addressing, a power of two */
	u64 n_table, n_blocks;
	_Atomic u64 n_pages; /* sum of all counts; relaxed: a hint */
};

/* Nothing in it: one load, no lock. */
UI_ALWAYS_INLINE bool ui_pageset_empty(struct ui_pageset *set)
{
	return !atomic_load_explicit(&set->n_pages, memory_order_relaxed);
}

/* Adds @delta to the count of every page that [@start, @last] touches; counts do not go below 0. 0; or -ENOMEM: some
 * pages have none yet, so that taking all away again leaves what was. */
int ui_pageset_add(struct ui_pageset *set, u64 start, u64 last, int delta);
/* Sets the counts to 0. */
void ui_pageset_clear(struct ui_pageset *set, u64 start, u64 last);
/* Moves the counts of [@from, @from + @n_bytes) on top of those at @to; page-aligned. 0 or -ENOMEM. */
int ui_pageset_move(struct ui_pageset *set, u64 from, u64 to, u64 n_bytes);
/* The first run of pages in use within [@start, @last]: false when there is none. Page-aligned, clamped to whole pages. */
bool ui_pageset_next(struct ui_pageset *set, u64 start, u64 last, u64 *run_start, u64 *run_last);
/* Forgets everything. The memory stays behind when @lost (its allocator's state is not to be trusted). */
void ui_pageset_reset(struct ui_pageset *set, bool lost);

#endif
