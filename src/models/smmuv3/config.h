/* SPDX-License-Identifier: MIT */
/*
 * From a StreamID and a SubstreamID to what is done with the stream's accesses: the structures are read as the hardware reads them
 * (Arm IHI 0070, 3.3, 5, 7.3), and nothing is remembered.
 */
#ifndef UI_MODELS_SMMUV3_CONFIG_H
#define UI_MODELS_SMMUV3_CONFIG_H

#include "hw/smmuv3.h"
#include "translate/dma.h"

/* One structure that was looked at, for who wants to tell about it. */
struct ui_smmuv3_step {
	const struct ui_hw_struct *what; /* ui_smmuv3_l1std, ui_smmuv3_ste, ui_smmuv3_l1cd, ui_smmuv3_cd */
	u64 addr;         /* where it was asked for: an ipa if @through_s2 */
	u64 pa;           /* where it lies; not known when @through_s2 and @event */
	bool through_s2;
	const u64 *words; /* NULL: it could not be read */
	const char *bad;  /* the field that makes it illegal, or NULL */
	unsigned event;   /* the event that ends the walk here, or 0 */
};

/* Where the structures are. */
struct ui_smmuv3_tables {
	const struct ui_mem *mem;
	const struct ui_walk_mem *words; /* not NULL: its load reads all words, instead of @mem; with @only_look */
	const struct ui_smmuv3_feat *feat;
	u64 strtab_base; /* the register */
	u32 strtab_cfg;
	bool only_look;  /* stage 2 entries are not marked as accessed on the way to a CD */
	void (*step)(void *arg, const struct ui_smmuv3_step *step); /* NULL: nobody wants to know */
	void *arg;
};

struct ui_smmuv3_config {
	struct ui_stage_config stages; /* kind BLOCKED: terminate without an event. Its tag and gate are 0 */
	u64 ste[UI_SMMUV3_STE_WORDS];
	u64 cd[UI_SMMUV3_CD_WORDS];    /* with @has_cd */
	bool has_cd;
	bool quiet; /* with an event: STE.S2R keeps it from being recorded */
	u32 cd_index;
	u16 vmid, asid; /* what TLB entries are tagged with; 0 where there is nothing to tag */
};

/*
 * 0 with *@out. Else the event to record, whose words are in @evt, but for what only the access knows (InputAddr, PnU, InD, RnW).
 * Where *@out is not complete, it holds what was read up to there. Memory is read as in a DMA section.
 */
unsigned ui_smmuv3_config_read(const struct ui_smmuv3_tables *tables, u32 sid, bool ssv, u32 ssid, struct ui_smmuv3_config *out,
			       u64 evt[UI_SMMUV3_EVT_WORDS]);

#endif
