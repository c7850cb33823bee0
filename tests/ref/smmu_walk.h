/* SPDX-License-Identifier: MIT */
/*
 * A second reader of an SMMUv3's stream tables, context descriptors and SubstreamIDs (Arm IHI 0070, 3.3, 3.4, 5, 7.3), as plain as
 * it can be and sharing no code with src: from a StreamID and a SubstreamID to an address, or to the four words of the event. It
 * takes legal structures, but for what is said to be not valid or lies where no memory is; no stalls, no EL2. For tests.
 */
#ifndef REF_SMMU_WALK_H
#define REF_SMMU_WALK_H

#include "arm_walk.h"

struct ref_smmu {
	uint64_t strtab_base; /* the registers */
	uint32_t strtab_cfg;
	int ssid_bits;        /* IDR1.SSIDSIZE */
	int oas_bits;
	bool (*read)(void *arg, uint64_t pa, uint64_t *val);
	bool (*write)(void *arg, uint64_t pa, uint64_t val);
	void *arg;
};

struct ref_smmu_access {
	uint32_t sid, ssid;
	bool has_ssid;
	uint64_t address;
	struct ref_arm_access access;
};

struct ref_smmu_answer {
	bool ok;          /* @pa; else: terminated, and recorded if event[0] is not 0 */
	uint64_t pa;
	uint64_t event[4];
};

struct ref_smmu_answer ref_smmu_access(struct ref_smmu *smmu, const struct ref_smmu_access *a);

#endif
