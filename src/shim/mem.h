/* SPDX-License-Identifier: MIT */
/* Memory in use by devices, as the wrappers of the memory calls (wrap_mem.c) need it. See mem.c. */
#ifndef UI_SHIM_MEM_H
#define UI_SHIM_MEM_H

#include "base/types.h"

/* False: nothing is in use, nothing to do. No lock. */
bool ui_mem_watching(void);
/* Around a change of the address space. Inside an entry. */
void ui_mem_lock(void);
void ui_mem_unlock(void);

struct ui_mem_run {
	u64 from, to, n_bytes;
};

/* What ui_mem_aside() did, for the case that the program's call then fails; a call that moves more runs cannot be undone. */
struct ui_mem_undo {
	unsigned n;
	struct ui_mem_run runs[64];
};

/* Moves aside what devices use of [@start, @last] (page-aligned). 0; or what mremap
 * says, part of it moved: ui_mem_undo(). */
int ui_mem_aside(u64 start, u64 last, struct ui_mem_undo *undo);
void ui_mem_undo(const struct ui_mem_undo *undo);
bool ui_mem_next_pinned(u64 start, u64 last, u64 *run_start, u64 *run_last);

/* An mremap() of the program's: the mappings of devices follow the pages to @to. All page-aligned. 0 or mremap's error. */
struct ui_mem_remap {
	u64 old, old_bytes, to, new_bytes;
	int flags;
};
int ui_mem_follow(struct ui_mem_remap *remap);
/* A free range of addresses that nobody else gets. */
int ui_mem_reserve(u64 n_bytes, u64 *at);

/* The program mapped a BAR there; or something else (false: no BAR was there). */
void ui_mem_bar_add(u64 start, u64 last);
/* BARs all over? As ui_iommufd_env.registers. */
bool ui_mem_all_bars(void *arg, u64 va, u64 n_bytes);
bool ui_mem_next_bar(u64 start, u64 last, u64 *run_start, u64 *run_last);
bool ui_mem_bar_remove(u64 start, u64 last);

#endif
