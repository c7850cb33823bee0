/* SPDX-License-Identifier: MIT */
/*
 * Counters, by device and PASID. A block of them is plain memory with nothing but numbers in it, zeros at the beginning: the
 * library's own, or an embedder's, which may be shared with other processes and read by them at any time. It outlives
 * whoever counts in it.
 *
 * What a DMA counts is written by one thread only, that of the port, with plain increments; everything else by any thread.
 * All are relaxed: a reader gets whole numbers, each a moment old.
 */
#ifndef UI_TRANSLATE_STATS_H
#define UI_TRANSLATE_STATS_H

#include "base/types.h"

#include <stdatomic.h>

struct ui_stats_row {
	/* By the port's thread. */
	_Atomic u64 dmas;         /* accesses begun, refused ones too; a copy or compare is one on each side */
	_Atomic u64 bytes;        /* moved or compared, likewise; of a handle: those that it gives access to */
	_Atomic u64 tlb_hits;     /* look-ups of a page */
	_Atomic u64 tlb_misses;
	_Atomic u64 walks;        /* those after misses, and those of accesses that go by the TLB */
	_Atomic u64 nested_walks; /* of those: of a stage 1 through a stage 2 */
	_Atomic u64 faults;
	/* By any thread, while something is attached there. */
	_Atomic u64 maps __attribute__((aligned(64))); /* ranges entered into its page table, or its parent's */
	_Atomic u64 unmaps;                            /* ranges taken out */
	_Atomic u64 invalidations;                     /* ranges, or all of it, that TLBs had to forget */
} __attribute__((aligned(64)));

/* The first row is no PASID, the last all PASIDs that came when the others were taken. Rows stay whose they are. */
enum { UI_STATS_ROWS = 64, UI_STATS_NO_PASID = 0, UI_STATS_OTHER = UI_STATS_ROWS - 1 };

struct ui_stats_dev {
	_Atomic u64 whose;               /* in a block: 2^32 + RID; 0: nobody's */
	_Atomic u32 pasids[UI_STATS_ROWS]; /* of the rows between: PASID + 1; taken in order, 0: free, as are those behind */
	struct ui_stats_row rows[UI_STATS_ROWS];
};

struct ui_stats {
	struct ui_stats_row detached; /* what happened to domains while nothing was attached to them */
	struct ui_stats_dev devices[] __attribute__((aligned(64)));
};

/* The row of a PASID, or of none; a PASID that has no row gets one if any is free. Never fails. Any thread. */
struct ui_stats_row *ui_stats_row(struct ui_stats_dev *dev, u32 pasid, bool has_pasid);
/* The rows that are in use, one after the other: *@i starts at 0. NULL at the end. The row's index is *@i - 1. */
const struct ui_stats_row *ui_stats_next(const struct ui_stats_dev *dev, unsigned *i);
/* The counters of @rid, which has the same ones each time, among @n_devices. NULL: no room left. Any thread. */
struct ui_stats_dev *ui_stats_device(struct ui_stats *stats, u32 n_devices, u32 rid);

/* A plain increment for the one writer, whole for readers. */
UI_ALWAYS_INLINE void ui_stats_count(_Atomic u64 *n, u64 by)
{
	atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + by, memory_order_relaxed);
}

/* One more, whoever else counts there. */
UI_ALWAYS_INLINE void ui_stats_add(_Atomic u64 *n)
{
	atomic_fetch_add_explicit(n, 1, memory_order_relaxed);
}

UI_ALWAYS_INLINE u64 ui_stats_get(const _Atomic u64 *n)
{
	return atomic_load_explicit(n, memory_order_relaxed);
}

#endif
