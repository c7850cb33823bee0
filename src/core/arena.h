/* SPDX-License-Identifier: MIT */
/*
 * Where an iommu's table pages come from: chunks of memory mapped for this alone, carved into naturally aligned powers of two,
 * with a free list per size. Chunks go back to the system with the arena, not before.
 *
 * The pa of a page is its address plus one constant (the arena's shift), so that a table walk never looks anything up. In the
 * memory of this process the shift is 0 and nothing more is needed. In an embedder's memory object each chunk becomes a region at
 * address + 2^(pa_bits - 1): above anything an embedder uses, collision-free among iommus that share the memory because host
 * addresses are, and read-only, because what a guest maps there must not become a way to write tables that we trust.
 */
#ifndef UI_CORE_ARENA_H
#define UI_CORE_ARENA_H

#include "base/list.h"
#include "base/types.h"

#include <pthread.h>

struct ui_mem;

enum { UI_ARENA_MIN_LG2 = 4, UI_ARENA_CHUNK_LG2 = 21 };

struct ui_arena {
	struct ui_mem *mem;
	u64 shift;    /* pa = address + shift */
	bool regions; /* chunks are regions of mem that we added */
	pthread_mutex_t lock;
	struct ui_list chunks;                                          /* lock */
	u8 *next, *end;                                                 /* lock: the rest of the newest chunk */
	void *free[UI_ARENA_CHUNK_LG2 - UI_ARENA_MIN_LG2 + 1];          /* lock: chained through their first word */
	u64 n_used_bytes;                                               /* lock */
};

/* 0 or -ENOMEM. */
int ui_arena_init(struct ui_arena *arena, struct ui_mem *mem, unsigned pa_bits);
/* Every page was freed, the caller is not inside a section over mem. */
void ui_arena_fini(struct ui_arena *arena);
/* @n_bytes: a power of two from 16 to 2 MiB. Zeroed, aligned to its size; NULL without memory. Any thread. */
void *ui_arena_alloc(struct ui_arena *arena, size_t n_bytes);
void ui_arena_free(struct ui_arena *arena, void *page, size_t n_bytes);

#endif
