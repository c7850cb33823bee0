/* SPDX-License-Identifier: MIT */
/*
 * Mappings of an iommufd descriptor: memory that a vIOMMU shares with the program. As in a kernel, each keeps the
 * vIOMMU busy and the context open until its last page is gone; but not the copies that forked children have, which
 * go unnoticed.
 */
#ifndef UI_SHIM_REGION_H
#define UI_SHIM_REGION_H

#include "shim/shim.h"

struct ui_region;

/* For a mapping of @n_bytes (whole pages) with the @token of ui_iommufd_mmap(): NULL without memory. Holds @file. */
struct ui_region *ui_region_new(struct ui_file *file, void *token, u64 n_bytes);
/* It is mapped at @start. NULL: it is not mapped after all, and goes (no lock held). */
void ui_region_place(struct ui_region *region, void *start);
/* None exists: nothing to do. */
bool ui_region_none(void);
/* Is a page of [@start, @last] of a region? */
bool ui_region_at(u64 start, u64 last);
/* The pages of [@start, @last] are not mapped any more. */
void ui_region_cut(u64 start, u64 last);
/* Pages moved. */
void ui_region_move(u64 from, u64 to, u64 n_bytes);
/* Lets go of those without pages. Inside an entry, no lock held. */
void ui_region_settle(void);
void ui_regions_forked(void);

#endif
