/* SPDX-License-Identifier: MIT */
/*
 * What GET_HW_INFO says of the kind `vtd`. A bit is set only if a user who relies on it gets what the specification says, and
 * each set bit has a test (tests/unit/vtd). What only somebody at the registers could notice is 0, as there are none.
 */
#include "drivers/vtd/vtd.h"
#include "hw/vtd.h"

#include "base/log.h"

#include <assert.h>

/* IOMMU_HW_INFO_TYPE_INTEL_VTD; IOMMU_HW_CAP_DIRTY_TRACKING and _PCI_ATS_NOT_SUPPORTED. IOMMU_HW_CAP_PCI_PASID_EXEC and _PRIV tell of
 * a device's PASID capability; none here has these. */
enum { HW_INFO_VTD = 1, HW_CAP_DIRTY = 1 << 0, HW_CAP_NO_ATS = 1 << 3 };

/* struct iommu_hw_info_vtd. */
struct hw_info_vtd {
	u32 flags, __reserved;
	u64 cap, ecap;
};

static_assert(sizeof(struct hw_info_vtd) == 24, "as the user API has it");

#define CAP(field, val) UI_HW_VAL(UI_VTD_CAP_##field, val)
#define ECAP(field, val) UI_HW_VAL(UI_VTD_ECAP_##field, val)

/*
 * Capability register.
 *
 * field    value  why
 * ND       6      2^16 domains at a time; there is room for 2^22
 * RWBF     0      no write buffer to flush
 * PLMR PHMR 0     no protected memory registers
 * CM       0      entries that are not present are never cached
 * SAGAW    4      second stage of 4 levels. It could be 3 or 5, but no call makes such a table
 * MGAW     47     48 bits
 * ZLR      0      a read of no bytes is not looked at by the IOMMU at all
 * FRO NFR  0      no fault registers: faults go to the log and to fault queues
 * SSLPS    3      second stage has leaves of 2 MiB and 1 GiB
 * PSI      1      invalidation by page,
 * MAMV     18     in ranges of up to 2^18 (in truth of any number of) pages
 * DWD DRD  1      an invalidation waits for the reads and writes that went by the old translation
 * FS1GP    1      first stage has leaves of 1 GiB
 * PI       0      no interrupts at all
 * FS5LP    1      first stage may have 5 levels
 * ECMDS ESIRTPS ESRTPS 0   no command registers, no root table pointer
 *
 * Extended capability register.
 *
 * C        1      tables of the caller's are read as the processor sees them (legacy mode),
 * SMPWCS   1      likewise in scalable mode
 * QI       1      invalidation is by descriptors: the entries of HWPT_INVALIDATE
 * DT DIT NWFS 0   no device TLBs: no translation requests
 * IR EIM MHMV EIMER IRREQ 0   no interrupt remapping
 * PT       1      identity domains pass addresses through
 * SC       1      all accesses snoop
 * IRO      0      no invalidation registers
 * MTS      0      memory types are not told apart
 * NEST     1      nested domains
 * PRS PDS  0      no page requests
 * ERS      0      requests to execute are refused in nested domains
 * SRS      1      privileged requests, as the flag SRE of a nested domain says; with WPE
 * EAFS     0      bit 10 of first-stage entries is ignored
 * PSS      19     PASIDs of 20 bits
 * PASID    1
 * SMTS     1      scalable mode: what is said of PASIDs, of first stage and of nesting
 * VCS      0      no virtual commands
 * SSADS    1      dirty tracking by the dirty bits of second-stage entries
 * SSTS     1      second stage alone: the parents of nested domains may be attached
 * FSTS     1      first stage alone: plain paging domains
 * RPS RPRIVS 0    requests without PASID are never privileged, their PASID cannot be chosen
 * TDXCS PMS ADMS HPTS PTRS SSIRWS SMS HPT1GPS RDTS 0   not there
 */
static const struct hw_info_vtd info = {
	.cap = CAP(ND, 6) | CAP(SAGAW, 4) | CAP(MGAW, UI_VTD_GPA_BITS - 1) | CAP(SSLPS, 3) | CAP(PSI, 1) | CAP(MAMV, 18) |
	       CAP(DWD, 1) | CAP(DRD, 1) | CAP(FS1GP, 1) | CAP(FS5LP, 1),
	.ecap = ECAP(C, 1) | ECAP(QI, 1) | ECAP(PT, 1) | ECAP(SC, 1) | ECAP(NEST, 1) | ECAP(SRS, 1) | ECAP(PSS, 19) |
		ECAP(PASID, 1) | ECAP(SMTS, 1) | ECAP(SSADS, 1) | ECAP(SSTS, 1) | ECAP(FSTS, 1) | ECAP(SMPWCS, 1),
};

void ui_vtd_hw_info(struct ui_device *dev, struct ui_hw_info *out)
{
	char cap[256], ecap[256];

	*out = (struct ui_hw_info){
		.type = HW_INFO_VTD, .data = &info, .data_bytes = sizeof(info), .capabilities = HW_CAP_DIRTY | HW_CAP_NO_ATS,
	};
	if (ui_log_wants(UI_LOG_DEBUG))
		ui_log(UI_LOG_DEBUG, "device %s: %s; %s", ui_device_name(dev), ui_hw_print(&ui_vtd_cap, &info.cap, cap, sizeof(cap)),
		       ui_hw_print(&ui_vtd_ecap, &info.ecap, ecap, sizeof(ecap)));
}
