/* SPDX-License-Identifier: MIT */
/*
 * A second reader of Arm's VMSAv8-64 tables, as plain as it can be: stage 1 with both halves, stage 2, or one through the other. It
 * shares no code with src and follows the Arm ARM, chapter D8, step by step; levels are Arm's, 0 the highest. For tests.
 */
#ifndef REF_ARM_WALK_H
#define REF_ARM_WALK_H

#include <stdbool.h>
#include <stdint.h>

enum ref_arm_result { REF_ARM_OK, REF_ARM_TRANSLATION, REF_ARM_ADDRESS_SIZE, REF_ARM_ACCESS_FLAG, REF_ARM_PERMISSION, REF_ARM_ABORT };

struct ref_arm_stage {
	int granule_kb; /* 4, 16, 64 */
	int start_level;
	int input_bits, output_bits;
	uint64_t ttb;
	bool pa52;                /* the hardware has 52 bits of physical address */
	bool ha, hd, affd;
	bool hpd, wxn, pan, el2;  /* stage 1 */
	bool ptw;                 /* stage 2 */
};

struct ref_arm {
	bool has_s1, has_s2;
	struct ref_arm_stage s1[2]; /* TTB0's and TTB1's */
	bool epd[2], tbi[2];
	struct ref_arm_stage s2;
	int ias; /* bits of an intermediate address */
	/* 8 bytes of memory; false: an external abort. */
	bool (*read)(void *arg, uint64_t pa, uint64_t *val);
	bool (*write)(void *arg, uint64_t pa, uint64_t val);
	void *arg;
};

struct ref_arm_access {
	bool read, write, exec, privileged;
};

struct ref_arm_answer {
	enum ref_arm_result result;
	uint64_t pa, ipa; /* ipa: of a fault of stage 2 */
	int stage, level; /* level: of the descriptor to blame, -1 none; or of the leaf of the last stage */
	bool on_walk, walk_write;
};

struct ref_arm_answer ref_arm_translate(struct ref_arm *arm, uint64_t address, struct ref_arm_access access);

#endif
