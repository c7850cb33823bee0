/* SPDX-License-Identifier: MIT */
/* Memory dumps: bytes of a file by physical address. */
#ifndef UI_DECODE_DUMP_H
#define UI_DECODE_DUMP_H

#include "base/types.h"

struct uiommu_dump;

/*
 * 64-bit little-endian words from @addr on, which is aligned to 8, in the host's order. False unless all of them are there.
 */
bool ui_dump_read(struct uiommu_dump *dump, u64 addr, u64 *words, unsigned n_words);
/* The first address from @addr on that the dump holds, or false. */
bool ui_dump_next(const struct uiommu_dump *dump, u64 addr, u64 *next);

#endif
