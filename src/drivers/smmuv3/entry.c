/* SPDX-License-Identifier: MIT */
#include "drivers/smmuv3/entry.h"

#include <stdatomic.h>
#include <string.h>

#define STE(name) ui_hw_get(ste, UI_SMMUV3_STE_##name)
#define STE_MASK(name) ui_hw_mask(UI_SMMUV3_STE_##name)
#define CD_MASK(name) ui_hw_mask(UI_SMMUV3_CD_##name)

/* 5.2; 13.5 says when SHCFG has a meaning: for what stage 1 does not translate. */
void ui_smmuv3_ste_used(const u64 *ste, u64 *used)
{
	u64 config = STE(Config);

	memset(used, 0, UI_SMMUV3_STE_BYTES);
	used[0] = STE_MASK(V);
	if (!STE(V))
		return;
	used[0] |= STE_MASK(Config);
	if (config == UI_SMMUV3_CONFIG_BYPASS)
		used[1] |= STE_MASK(SHCFG);
	if (config & 1) {
		used[0] |= STE_MASK(S1Fmt) | STE_MASK(S1ContextPtr) | STE_MASK(S1CDMax);
		used[1] |= STE_MASK(S1DSS) | STE_MASK(S1CIR) | STE_MASK(S1COR) | STE_MASK(S1CSH) | STE_MASK(S1STALLD) |
			   STE_MASK(STRW) | STE_MASK(EATS) | STE_MASK(MEV);
		used[2] |= STE_MASK(S2VMID);
		if (STE(S1DSS) == UI_SMMUV3_S1DSS_BYPASS)
			used[1] |= STE_MASK(SHCFG);
	}
	if (config & 2) {
		used[1] |= STE_MASK(S2FWB) | STE_MASK(EATS) | STE_MASK(SHCFG) | STE_MASK(MEV);
		used[2] |= STE_MASK(S2VMID) | STE_MASK(S2T0SZ) | STE_MASK(S2SL0) | STE_MASK(S2IR0) | STE_MASK(S2OR0) |
			   STE_MASK(S2SH0) | STE_MASK(S2TG) | STE_MASK(S2PS) | STE_MASK(S2AA64) | STE_MASK(S2ENDI) |
			   STE_MASK(S2AFFD) | STE_MASK(S2PTW) | STE_MASK(S2HD) | STE_MASK(S2HA) | STE_MASK(S2S) | STE_MASK(S2R);
		used[3] |= STE_MASK(S2TTB);
	}
}

/*
 * Merging events or not changes no translation. Full ATS on or off harms nobody as the device's own ATS is off meanwhile; but with
 * split-stage ATS or stalls of stage 2 some combinations are ILLEGAL.
 */
void ui_smmuv3_ste_safe(const u64 *current, const u64 *target, u64 *safe)
{
	const u64 either[] = { 0, current[1] | target[1], current[2] | target[2] };

	memset(safe, 0, UI_SMMUV3_STE_BYTES);
	safe[1] = STE_MASK(MEV);
	if (!(ui_hw_get(either, UI_SMMUV3_STE_EATS) & UI_SMMUV3_EATS_SPLIT) && !ui_hw_get(either, UI_SMMUV3_STE_S2S))
		safe[1] |= STE_MASK(EATS) & ~(STE_MASK(EATS) << 1);
}

/* 5.4: without walks by TTB0 what describes them means nothing. */
void ui_smmuv3_cd_used(const u64 *cd, u64 *used)
{
	memset(used, 0, UI_SMMUV3_CD_BYTES);
	used[0] = CD_MASK(V);
	if (!ui_hw_get(cd, UI_SMMUV3_CD_V))
		return;
	memset(used, 0xff, UI_SMMUV3_CD_BYTES);
	if (ui_hw_get(cd, UI_SMMUV3_CD_EPD0)) {
		used[0] &= ~(CD_MASK(T0SZ) | CD_MASK(TG0) | CD_MASK(IR0) | CD_MASK(OR0) | CD_MASK(SH0));
		used[1] &= ~CD_MASK(TTB0);
	}
}

/* *@ahead: the entry with all that may be written at once. Returns the words, as bits, in which it is not @target's equal yet. */
static unsigned differing(const struct ui_smmuv3_writer *writer, const u64 *entry, const u64 *target, u64 *ahead)
{
	u64 now[UI_SMMUV3_ENTRY_WORDS], then[UI_SMMUV3_ENTRY_WORDS], safe[UI_SMMUV3_ENTRY_WORDS] = { 0 };
	unsigned differ = 0;

	writer->used(entry, now);
	writer->used(target, then);
	if (writer->safe)
		writer->safe(entry, target, safe);
	for (unsigned i = 0; i < UI_SMMUV3_ENTRY_WORDS; i++) {
		u64 fixed = now[i] & ~(safe[i] & then[i]);

		ahead[i] = (entry[i] & fixed) | (target[i] & ~fixed);
		if ((ahead[i] & then[i]) != target[i])
			differ |= 1u << i;
	}
	return differ;
}

/* Words @first to @first + @n - 1; a sync if there was anything to write. */
static void store(const struct ui_smmuv3_writer *writer, u64 *entry, const u64 *words, unsigned first, unsigned n)
{
	bool changed = false;

	for (unsigned i = first; i < first + n; i++) {
		if (entry[i] == words[i])
			continue;
		/* Release: pairs with the load of whoever reads structures as hardware does. */
		atomic_store_explicit((_Atomic u64 *)&entry[i], words[i], memory_order_release);
		changed = true;
		if (writer->stored)
			writer->stored(writer->arg);
	}
	if (changed)
		writer->sync(writer->arg);
}

bool ui_smmuv3_entry_breaks(const struct ui_smmuv3_writer *writer, const u64 *entry, const u64 *target)
{
	u64 ahead[UI_SMMUV3_ENTRY_WORDS];
	unsigned differ = differing(writer, entry, target, ahead);

	return differ & (differ - 1);
}

void ui_smmuv3_entry_write(const struct ui_smmuv3_writer *writer, u64 *entry, const u64 *target)
{
	u64 ahead[UI_SMMUV3_ENTRY_WORDS];
	unsigned differ = differing(writer, entry, target, ahead), word;

	if (!differ) {
		store(writer, entry, target, 0, UI_SMMUV3_ENTRY_WORDS);
	} else if (differ & (differ - 1)) {
		ahead[0] = 0;
		store(writer, entry, ahead, 0, 1);
		store(writer, entry, target, 1, UI_SMMUV3_ENTRY_WORDS - 1);
		store(writer, entry, target, 0, 1);
	} else {
		/* The word that matters is written as a whole, once. */
		word = ui_ffs64(differ);
		ahead[word] = entry[word];
		store(writer, entry, ahead, 0, UI_SMMUV3_ENTRY_WORDS);
		store(writer, entry, target, word, 1);
		store(writer, entry, target, 0, UI_SMMUV3_ENTRY_WORDS);
	}
}
