/* SPDX-License-Identifier: MIT */
/*
 * How an STE or CD changes while the SMMU may read it (IHI 0070, 3.21.3): word by word, so that whoever reads in between finds the
 * old entry, the new one, or one with V = 0. Bits that the current configuration makes the SMMU ignore are written ahead; if
 * the rest fits into one word the change is hitless.
 */
#ifndef UI_DRIVERS_SMMUV3_ENTRY_H
#define UI_DRIVERS_SMMUV3_ENTRY_H

#include "hw/smmuv3.h"

/* Both structures are as large. */
enum { UI_SMMUV3_ENTRY_WORDS = 8 };

struct ui_smmuv3_writer {
	/* The bits of @entry that the SMMU looks at. */
	void (*used)(const u64 *entry, u64 *used);
	/* Bits that may change early although both use them. NULL: none. */
	void (*safe)(const u64 *current, const u64 *target, u64 *safe);
	/* Everything stored so far is what the SMMU goes by when this returns. */
	void (*sync)(void *arg);
	/* Called after each store, for tests that play the reader. NULL: none. */
	void (*stored)(void *arg);
	void *arg;
};

void ui_smmuv3_ste_used(const u64 *ste, u64 *used);
void ui_smmuv3_ste_safe(const u64 *current, const u64 *target, u64 *safe);
void ui_smmuv3_cd_used(const u64 *cd, u64 *used);

/* Must the entry be invalid for a while on its way to @target? */
bool ui_smmuv3_entry_breaks(const struct ui_smmuv3_writer *writer, const u64 *entry, const u64 *target);
/* @entry becomes @target, which has no bit set that it does not use. One writer of an entry at a time. */
void ui_smmuv3_entry_write(const struct ui_smmuv3_writer *writer, u64 *entry, const u64 *target);

#endif
