/* SPDX-License-Identifier: MIT */
/*
 * Arm VMSAv8-64 beyond the contract of pgtable.h: from the fields of an SMMUv3's STE and CD to a walk configuration (IHI 0070,
 * 5.2 "Stream Table Entry", 5.4 "Context Descriptor", 3.4 "Address sizes"; Arm ARM, D8.2 "Translation process").
 *
 * What ui_arm_s1_start() and ui_arm_s2_start() leave at false in struct ui_walk_cfg, and whoever reads the structures sets:
 *
 *   field            CD                           STE (stage 2)
 *   set_accessed     HA                           S2HA
 *   set_dirty        HD                           S2HD
 *   no_access_fault  AFFD                         S2AFFD
 *   no_table_attrs   HAD0, HAD1                   -
 *   write_no_exec    WXN                          -
 *   priv_no_user     PAN                          -
 *   one_privilege    STE.STRW: EL2 or EL3         -
 *
 * Likewise in struct ui_stage_config (translate/dma.h): halves from EPD0, EPD1, TBI0, TBI1; s2.no_device_walks from S2PTW;
 * in_bits from the hardware's IAS.
 *
 * Levels. Ours count from the bottom, Arm's from the top: ui_arm_level(). An address out of range faults at the level where
 * the walk would have begun (Arm's own reports say 0 there, and an SMMU's events none at all).
 */
#ifndef UI_PGTABLE_ARM_H
#define UI_PGTABLE_ARM_H

#include "pgtable/pgtable.h"

struct ui_arm_s1 {
	u8 granule_lg2; /* ui_arm_tg0() or ui_arm_tg1(); 0: -EINVAL */
	u8 txsz;        /* T0SZ or T1SZ */
	u8 ips_bits;    /* ui_arm_ps_bits() of IPS */
	u8 oas_bits;    /* what the hardware has: ui_arm_ps_bits() of IDR5.OAS */
	bool va52;      /* IDR5.VAX: input addresses of 52 bits, with 64K only */
	bool upper;     /* TTB1 */
	u64 ttb;        /* an address; of which bits below the table's size are not looked at */
};

struct ui_arm_s2 {
	u8 granule_lg2; /* ui_arm_tg0() */
	u8 t0sz, sl0;
	u8 ps_bits;     /* ui_arm_ps_bits() of S2PS */
	u8 oas_bits;    /* as above; input addresses (IAS) have as many */
	u64 ttb;
};

/* 0 with *@out; -EINVAL, and *@out as it was, for what the structures call illegal: no such granule, TxSZ outside 16 (12) to 39,
 * a TTB beyond the output addresses. */
int ui_arm_s1_start(const struct ui_arm_s1 *s1, struct ui_walk_cfg *out);
/* Likewise; also S2T0SZ below 64 - IAS, no such start level, a start level that does not fit S2T0SZ (more than 16 tables side by
 * side, or fewer than two entries). */
int ui_arm_s2_start(const struct ui_arm_s2 *s2, struct ui_walk_cfg *out);

/* CD.TG0 and STE.S2TG; CD.TG1, whose order is another. log2 bytes; 0: reserved. */
UI_ALWAYS_INLINE u8 ui_arm_tg0(unsigned tg)
{
	return tg == 0 ? 12 : tg == 1 ? 16 : tg == 2 ? 14 : 0;
}

UI_ALWAYS_INLINE u8 ui_arm_tg1(unsigned tg)
{
	return tg == 1 ? 14 : tg == 2 ? 12 : tg == 3 ? 16 : 0;
}

/* CD.IPS, STE.S2PS, IDR5.OAS: bits of an output address. The reserved value asks for all that there is. */
UI_ALWAYS_INLINE u8 ui_arm_ps_bits(unsigned ps)
{
	static const u8 bits[8] = { 32, 36, 40, 42, 44, 48, 52, 52 };

	return bits[ps & 7];
}

/* Arm's number of our @level, and the other way round. */
UI_ALWAYS_INLINE unsigned ui_arm_level(unsigned level)
{
	return 3 - level;
}

#endif
