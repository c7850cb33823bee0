/* SPDX-License-Identifier: MIT */
/*
 * The driver half of an Arm SMMUv3 (IHI 0070) for those who give it hardware to drive: what the SMMU can do, where its commands go,
 * and where it finds the stream table. Without hardware the structures are written all the same, and nobody is told.
 */
#ifndef UI_DRIVERS_SMMUV3_H
#define UI_DRIVERS_SMMUV3_H

#include "core/driver.h"
#include "hw/smmuv3.h"

/* Takes commands, in order. Calls come one at a time, with the driver half's lock held, and must not call it. */
struct ui_smmuv3_sink {
	/* @n commands (1 to UI_SMMUV3_BATCH) of UI_SMMUV3_CMD_WORDS words; the last may be a CMD_SYNC. */
	void (*submit)(void *arg, const u64 *cmds, unsigned n);
	/* Returns when the CMD_SYNC submitted last is complete. */
	void (*sync)(void *arg);
	void *arg;
};

enum { UI_SMMUV3_BATCH = 64 };

struct ui_smmuv3_drv_cfg {
	struct ui_smmuv3_feat feat;
	const struct ui_smmuv3_sink *sink; /* NULL: no hardware; outlives the iommu */
	u8 cd_leaf_lg2;                    /* CDs of a leaf of a two-level CD table, log2: 6 or 10 */
	/* Called with @arg after each store to an STE or CD that the SMMU may be reading, for tests that play it. NULL: none. */
	void (*stored)(void *arg);
	void *arg;
};

/* What the driver half goes by if it is told nothing. */
void ui_smmuv3_drv_cfg_init(struct ui_smmuv3_drv_cfg *cfg);
/* Before the iommu's first device. 0; -EINVAL features that it cannot drive (no stage, no 4K granule, addresses of fewer bits than
 * the kind has); -ENOMEM: then as it was. */
int ui_smmuv3_drv_configure(struct ui_iommu *iommu, const struct ui_smmuv3_drv_cfg *cfg);
/* For the registers STRTAB_BASE and STRTAB_BASE_CFG; constant from the first device on. */
void ui_smmuv3_drv_strtab(struct ui_iommu *iommu, u64 *base, u32 *base_cfg);

#endif
