/* SPDX-License-Identifier: MIT */
/*
 * Arm SMMUv3.2 as the non-secure programming interface has it (Arm IHI 0070): what a driver writes into memory and the hardware
 * reads, as tables of fields. Names are the specification's, letter by letter, so that a constant, the printer's output and the
 * book can be compared. Fields of later versions (DPT, permission indirection, 128-bit descriptors, 52-bit addresses with small
 * granules) and of the Secure and Realm interfaces are not in the lists and so count as reserved.
 *
 * Reserved bits: an implementation may ignore them or call the structure invalid (chapter 5, 4.1.5). Ours ignore them, as QEMU
 * does: no rule below looks at them. ui_hw_reserved() tells which they are.
 */
#ifndef UI_HW_SMMUV3_H
#define UI_HW_SMMUV3_H

#include "hw/field.h"
#include "hw/smmuv3_queue.h"
#include "hw/smmuv3_regs.h"

/* Words of 64 bits. */
enum { UI_SMMUV3_STE_WORDS = 8, UI_SMMUV3_CD_WORDS = 8 };
enum { UI_SMMUV3_STE_BYTES = 64, UI_SMMUV3_CD_BYTES = 64, UI_SMMUV3_L1STD_BYTES = 8, UI_SMMUV3_L1CD_BYTES = 8 };

/*
 * Values that have names: V(set, name, value, what it means).
 */

/* 5.2 Config. 1 to 3 are reserved and behave as 0; they are not ILLEGAL. */
#define UI_SMMUV3_CONFIG_VALUES(V)							\
	V(CONFIG, ABORT, 0, "abort") V(CONFIG, ABORT_1, 1, "reserved, abort")		\
	V(CONFIG, ABORT_2, 2, "reserved, abort") V(CONFIG, ABORT_3, 3, "reserved, abort") \
	V(CONFIG, BYPASS, 4, "bypass") V(CONFIG, S1, 5, "S1 translate, S2 bypass")	\
	V(CONFIG, S2, 6, "S1 bypass, S2 translate") V(CONFIG, NESTED, 7, "S1 and S2 translate")
/* 5.2 S1Fmt. */
#define UI_SMMUV3_S1FMT_VALUES(V)							\
	V(S1FMT, LINEAR, 0, "linear") V(S1FMT, 4K, 1, "2-level, 4K leaves")		\
	V(S1FMT, 64K, 2, "2-level, 64K leaves") V(S1FMT, LINEAR_3, 3, "reserved, linear")
/* 5.2 S1DSS: what becomes of a transaction without SubstreamID where S1CDMax is not 0. */
#define UI_SMMUV3_S1DSS_VALUES(V)							\
	V(S1DSS, TERMINATE, 0, "terminate") V(S1DSS, BYPASS, 1, "bypass S1")		\
	V(S1DSS, SSID0, 2, "substream 0") V(S1DSS, TERMINATE_3, 3, "reserved, terminate")
/* 5.2 S1CIR, S1COR: cacheability of fetches of CDs. */
#define UI_SMMUV3_S1C_VALUES(V)								\
	V(S1C, NC, 0, "non-cacheable") V(S1C, WBRA, 1, "WB, RA") V(S1C, WTRA, 2, "WT, RA") V(S1C, WB, 3, "WB, no RA")
/* 5.2 S2IR0, S2OR0; 5.4 IR0, OR0, IR1, OR1: cacheability of table walks. */
#define UI_SMMUV3_RGN_VALUES(V)								\
	V(RGN, NC, 0, "non-cacheable") V(RGN, WBRAWA, 1, "WB, RA, WA") V(RGN, WTRA, 2, "WT, RA") V(RGN, WBRA, 3, "WB, RA")
/* 5.2 SHCFG. */
#define UI_SMMUV3_SHCFG_VALUES(V)							\
	V(SHCFG, NSH, 0, "non-shareable") V(SHCFG, INCOMING, 1, "incoming")		\
	V(SHCFG, OSH, 2, "outer shareable") V(SHCFG, ISH, 3, "inner shareable")
/* 5.2 PRIVCFG, INSTCFG. */
#define UI_SMMUV3_PRIVCFG_VALUES(V)							\
	V(PRIVCFG, INCOMING, 0, "incoming") V(PRIVCFG, INCOMING_1, 1, "reserved, incoming") \
	V(PRIVCFG, UNPRIV, 2, "unprivileged") V(PRIVCFG, PRIV, 3, "privileged")
#define UI_SMMUV3_INSTCFG_VALUES(V)							\
	V(INSTCFG, INCOMING, 0, "incoming") V(INSTCFG, INCOMING_1, 1, "reserved, incoming") \
	V(INSTCFG, DATA, 2, "data") V(INSTCFG, INST, 3, "instruction")
/* 5.2 EATS. 3 needs DPT, which SMMUv3.2 has not: reserved, behaves as 0. */
#define UI_SMMUV3_EATS_VALUES(V)							\
	V(EATS, ABORT, 0, "ATS refused") V(EATS, FULL, 1, "full ATS") V(EATS, SPLIT, 2, "split-stage ATS") \
	V(EATS, ABORT_3, 3, "reserved, ATS refused")
/* 5.2 STRW: used only with Config S1 and IDR0.Hyp. */
#define UI_SMMUV3_STRW_VALUES(V)							\
	V(STRW, EL1, 0, "NS-EL1") V(STRW, RES_1, 1, "reserved") V(STRW, EL2, 2, "NS-EL2") V(STRW, RES_3, 3, "reserved")
/* 5.2 S2TG, 5.4 TG0; TG1 has an order of its own. */
#define UI_SMMUV3_TG0_VALUES(V)								\
	V(TG0, 4K, 0, "4K") V(TG0, 64K, 1, "64K") V(TG0, 16K, 2, "16K") V(TG0, RES_3, 3, "reserved")
#define UI_SMMUV3_TG1_VALUES(V)								\
	V(TG1, RES_0, 0, "reserved") V(TG1, 16K, 1, "16K") V(TG1, 4K, 2, "4K") V(TG1, 64K, 3, "64K")

/*
 * Structures: F(field, word, high, low, how it is shown).
 */

/* 5.1. Span 12 to 31 behaves as 0: no STEs. */
#define UI_SMMUV3_L1STD_FIELDS(F)							\
	F(Span, 0, 4, 0, DEC) F(L2Ptr, 0, 51, 6, ADDR)

/* 5.2. */
#define UI_SMMUV3_STE_FIELDS(F)								\
	F(V, 0, 0, 0, DEC) F(Config, 0, 3, 1, CONFIG) F(S1Fmt, 0, 5, 4, S1FMT)		\
	F(S1ContextPtr, 0, 51, 6, ADDR) F(S1CDMax, 0, 63, 59, DEC)			\
	F(S1DSS, 1, 1, 0, S1DSS) F(S1CIR, 1, 3, 2, S1C) F(S1COR, 1, 5, 4, S1C) F(S1CSH, 1, 7, 6, SH) \
	F(S2HWU59, 1, 8, 8, DEC) F(S2HWU60, 1, 9, 9, DEC) F(S2HWU61, 1, 10, 10, DEC) F(S2HWU62, 1, 11, 11, DEC) \
	F(DRE, 1, 12, 12, DEC) F(CONT, 1, 16, 13, DEC) F(DCP, 1, 17, 17, DEC) F(PPAR, 1, 18, 18, DEC) \
	F(MEV, 1, 19, 19, DEC) F(SW_RESERVED, 1, 23, 20, HEX) F(S2FWB, 1, 25, 25, DEC) F(S1MPAM, 1, 26, 26, DEC) \
	F(S1STALLD, 1, 27, 27, DEC) F(EATS, 1, 29, 28, EATS) F(STRW, 1, 31, 30, STRW)	\
	F(MemAttr, 1, 35, 32, HEX) F(MTCFG, 1, 36, 36, DEC) F(ALLOCCFG, 1, 40, 37, HEX)	\
	F(SHCFG, 1, 45, 44, SHCFG) F(NSCFG, 1, 47, 46, DEC) F(PRIVCFG, 1, 49, 48, PRIVCFG) \
	F(INSTCFG, 1, 51, 50, INSTCFG) F(IMPDEF1, 1, 63, 52, HEX)			\
	F(S2VMID, 2, 15, 0, DEC) F(IMPDEF2, 2, 31, 16, HEX)				\
	F(S2T0SZ, 2, 37, 32, DEC) F(S2SL0, 2, 39, 38, DEC) F(S2IR0, 2, 41, 40, RGN) F(S2OR0, 2, 43, 42, RGN) \
	F(S2SH0, 2, 45, 44, SH) F(S2TG, 2, 47, 46, TG0) F(S2PS, 2, 50, 48, PS)		\
	F(S2AA64, 2, 51, 51, DEC) F(S2ENDI, 2, 52, 52, DEC) F(S2AFFD, 2, 53, 53, DEC) F(S2PTW, 2, 54, 54, DEC) \
	F(S2HD, 2, 55, 55, DEC) F(S2HA, 2, 56, 56, DEC) F(S2S, 2, 57, 57, DEC) F(S2R, 2, 58, 58, DEC) \
	F(S2TTB, 3, 51, 4, ADDR)							\
	F(IMPDEF4, 4, 15, 0, HEX) F(PARTID, 4, 31, 16, DEC)				\
	F(PMG, 5, 7, 0, DEC) F(VMSPtr, 5, 51, 12, ADDR)

/* 5.3. */
#define UI_SMMUV3_L1CD_FIELDS(F)							\
	F(V, 0, 0, 0, DEC) F(L2Ptr, 0, 51, 12, ADDR)

/* 5.4. MAIR and AMAIR stand for the pairs MAIR0, MAIR1 and AMAIR0, AMAIR1. */
#define UI_SMMUV3_CD_FIELDS(F)								\
	F(T0SZ, 0, 5, 0, DEC) F(TG0, 0, 7, 6, TG0) F(IR0, 0, 9, 8, RGN) F(OR0, 0, 11, 10, RGN) \
	F(SH0, 0, 13, 12, SH) F(EPD0, 0, 14, 14, DEC) F(ENDI, 0, 15, 15, DEC)		\
	F(T1SZ, 0, 21, 16, DEC) F(TG1, 0, 23, 22, TG1) F(IR1, 0, 25, 24, RGN) F(OR1, 0, 27, 26, RGN) \
	F(SH1, 0, 29, 28, SH) F(EPD1, 0, 30, 30, DEC) F(V, 0, 31, 31, DEC)		\
	F(IPS, 0, 34, 32, PS) F(AFFD, 0, 35, 35, DEC) F(WXN, 0, 36, 36, DEC) F(UWXN, 0, 37, 37, DEC) \
	F(TBI0, 0, 38, 38, DEC) F(TBI1, 0, 39, 39, DEC) F(PAN, 0, 40, 40, DEC) F(AA64, 0, 41, 41, DEC) \
	F(HD, 0, 42, 42, DEC) F(HA, 0, 43, 43, DEC) F(S, 0, 44, 44, DEC) F(R, 0, 45, 45, DEC) \
	F(A, 0, 46, 46, DEC) F(ASET, 0, 47, 47, DEC) F(ASID, 0, 63, 48, DEC)		\
	F(NSCFG0, 1, 0, 0, DEC) F(HAD0, 1, 1, 1, DEC) F(TTB0, 1, 51, 4, ADDR)		\
	F(HWU059, 1, 60, 60, DEC) F(HWU060, 1, 61, 61, DEC) F(HWU061, 1, 62, 62, DEC) F(HWU062, 1, 63, 63, DEC) \
	F(NSCFG1, 2, 0, 0, DEC) F(HAD1, 2, 1, 1, DEC) F(TTB1, 2, 51, 4, ADDR)		\
	F(HWU159, 2, 60, 60, DEC) F(HWU160, 2, 61, 61, DEC) F(HWU161, 2, 62, 62, DEC) F(HWU162, 2, 63, 63, DEC) \
	F(MAIR, 3, 63, 0, HEX) F(AMAIR, 4, 63, 0, HEX)					\
	F(IMPDEF5, 5, 31, 0, HEX) F(PARTID, 5, 47, 32, DEC) F(PMG, 5, 55, 48, DEC)

#define UI_SMMUV3_VALUE_ENUM(set, name, val, text) UI_SMMUV3_##set##_##name = (val),
#define UI_SMMUV3_L1STD_ENUM(name, word, high, low, how) UI_SMMUV3_L1STD_##name = UI_HW_FIELD(word, high, low),
#define UI_SMMUV3_STE_ENUM(name, word, high, low, how) UI_SMMUV3_STE_##name = UI_HW_FIELD(word, high, low),
#define UI_SMMUV3_L1CD_ENUM(name, word, high, low, how) UI_SMMUV3_L1CD_##name = UI_HW_FIELD(word, high, low),
#define UI_SMMUV3_CD_ENUM(name, word, high, low, how) UI_SMMUV3_CD_##name = UI_HW_FIELD(word, high, low),

enum { UI_SMMUV3_CONFIG_VALUES(UI_SMMUV3_VALUE_ENUM) };
enum { UI_SMMUV3_S1FMT_VALUES(UI_SMMUV3_VALUE_ENUM) };
enum { UI_SMMUV3_S1DSS_VALUES(UI_SMMUV3_VALUE_ENUM) };
enum { UI_SMMUV3_S1C_VALUES(UI_SMMUV3_VALUE_ENUM) };
enum { UI_SMMUV3_RGN_VALUES(UI_SMMUV3_VALUE_ENUM) };
enum { UI_SMMUV3_SHCFG_VALUES(UI_SMMUV3_VALUE_ENUM) };
enum { UI_SMMUV3_PRIVCFG_VALUES(UI_SMMUV3_VALUE_ENUM) };
enum { UI_SMMUV3_INSTCFG_VALUES(UI_SMMUV3_VALUE_ENUM) };
enum { UI_SMMUV3_EATS_VALUES(UI_SMMUV3_VALUE_ENUM) };
enum { UI_SMMUV3_STRW_VALUES(UI_SMMUV3_VALUE_ENUM) };
enum { UI_SMMUV3_TG0_VALUES(UI_SMMUV3_VALUE_ENUM) };
enum { UI_SMMUV3_TG1_VALUES(UI_SMMUV3_VALUE_ENUM) };

enum { UI_SMMUV3_L1STD_FIELDS(UI_SMMUV3_L1STD_ENUM) };
enum { UI_SMMUV3_STE_FIELDS(UI_SMMUV3_STE_ENUM) };
enum { UI_SMMUV3_L1CD_FIELDS(UI_SMMUV3_L1CD_ENUM) };
enum { UI_SMMUV3_CD_FIELDS(UI_SMMUV3_CD_ENUM) };

extern const struct ui_hw_struct ui_smmuv3_l1std, ui_smmuv3_ste, ui_smmuv3_l1cd, ui_smmuv3_cd;

/*
 * What an SMMU can do: M(member, ID register, field); each member holds what the field holds (OAS, say, is a code).
 */
#define UI_SMMUV3_FEATURES(M)								\
	M(s2p, 0, S2P) M(s1p, 0, S1P) M(ttf, 0, TTF) M(cohacc, 0, COHACC) M(btm, 0, BTM) M(httu, 0, HTTU) \
	M(dormhint, 0, DORMHINT) M(hyp, 0, Hyp) M(ats, 0, ATS) M(ns1ats, 0, NS1ATS) M(asid16, 0, ASID16) M(msi, 0, MSI) \
	M(sev, 0, SEV) M(atos, 0, ATOS) M(pri, 0, PRI) M(vmw, 0, VMW) M(vmid16, 0, VMID16) M(cd2l, 0, CD2L) \
	M(vatos, 0, VATOS) M(ttendian, 0, TTENDIAN) M(atsrecerr, 0, ATSRECERR) M(stall_model, 0, STALL_MODEL) \
	M(term_model, 0, TERM_MODEL) M(st_level, 0, ST_LEVEL)				\
	M(sidsize, 1, SIDSIZE) M(ssidsize, 1, SSIDSIZE) M(priqs, 1, PRIQS) M(eventqs, 1, EVENTQS) M(cmdqs, 1, CMDQS) \
	M(attr_perms_ovr, 1, ATTR_PERMS_OVR) M(attr_types_ovr, 1, ATTR_TYPES_OVR) M(rel, 1, REL) \
	M(queues_preset, 1, QUEUES_PRESET) M(tables_preset, 1, TABLES_PRESET)		\
	M(ba_vatos, 2, BA_VATOS)							\
	M(had, 3, HAD) M(pbha, 3, PBHA) M(xnx, 3, XNX) M(pps, 3, PPS) M(mpam, 3, MPAM) M(fwb, 3, FWB) M(stt, 3, STT) \
	M(ril, 3, RIL) M(bbml, 3, BBML)							\
	M(oas, 5, OAS) M(gran4k, 5, GRAN4K) M(gran16k, 5, GRAN16K) M(gran64k, 5, GRAN64K) M(vax, 5, VAX) \
	M(stall_max, 5, STALL_MAX)

#define UI_SMMUV3_FEATURE_MEMBER(member, reg, field) u16 member;
struct ui_smmuv3_feat {
	UI_SMMUV3_FEATURES(UI_SMMUV3_FEATURE_MEMBER)
};

enum { UI_SMMUV3_N_IDR = 6 };
/* Bits of TTF. */
enum { UI_SMMUV3_TTF_AA32 = 1, UI_SMMUV3_TTF_AA64 = 2 };

/* From and to IDR0 to IDR5. What no feature stands for (IDR4, bits of later versions) is dropped, and zero. */
void ui_smmuv3_feat_from_idr(struct ui_smmuv3_feat *feat, const u32 idr[UI_SMMUV3_N_IDR]);
void ui_smmuv3_feat_to_idr(const struct ui_smmuv3_feat *feat, u32 idr[UI_SMMUV3_N_IDR]);
/* Everything that SMMUv3.2 may have, in its widest form: nothing is ILLEGAL for want of a feature. */
void ui_smmuv3_feat_all(struct ui_smmuv3_feat *feat);

/* Address bits of a PS code (S2PS, IPS, OAS): 32 to 52. */
unsigned ui_smmuv3_ps_bits(u64 code);
/* 3.4: bits of a physical address; of an IPA between the stages. */
unsigned ui_smmuv3_oas_bits(const struct ui_smmuv3_feat *feat);
unsigned ui_smmuv3_ias_bits(const struct ui_smmuv3_feat *feat);
/* Output bits of a stage: min(code, OAS), 40 for 32-bit tables (5.2 S2PS, 5.4 IPS). */
unsigned ui_smmuv3_out_bits(const struct ui_smmuv3_feat *feat, u64 code, bool aa64);
/* log2 of the granule that S2TG or TG0, or TG1 selects; 0: reserved or not supported. */
unsigned ui_smmuv3_tg0_lg2(const struct ui_smmuv3_feat *feat, u64 tg0);
unsigned ui_smmuv3_tg1_lg2(const struct ui_smmuv3_feat *feat, u64 tg1);
/* First level of a stage 2 walk (0 to 3, as Arm counts), or -1 where S2T0SZ, S2SL0 and the granule contradict each other. */
int ui_smmuv3_s2_start_level(const struct ui_smmuv3_feat *feat, unsigned granule_lg2, unsigned t0sz, unsigned sl0);

/* 3.3.3: whose translations a stream's stage 1 holds. */
enum ui_smmuv3_world { UI_SMMUV3_NS_EL1, UI_SMMUV3_NS_EL2, UI_SMMUV3_NS_EL2_E2H };
/* Of a valid STE; @e2h: CR2.E2H. */
enum ui_smmuv3_world ui_smmuv3_ste_world(const u64 *ste, const struct ui_smmuv3_feat *feat, bool e2h);

/*
 * The validity rules (5.2.2, 5.4.2). NULL: nothing is wrong. Else the name of the first field that is, for which the specification
 * demands C_BAD_STE or C_BAD_CD. Fields that the rest of the structure makes IGNORED are not looked at: a stage's fields while it
 * is bypassed, TTBx, TxSZ, TGx under EPDx, all under V=0 ("V" itself is named then). @ste of ui_smmuv3_cd_illegal() is the valid STE
 * that the CD was found by.
 */
const char *ui_smmuv3_ste_illegal(const u64 *ste, const struct ui_smmuv3_feat *feat);
const char *ui_smmuv3_cd_illegal(const u64 *cd, const u64 *ste, const struct ui_smmuv3_feat *feat, bool e2h);
/* 5.3, 3.4.3: "V" or "L2Ptr", for which C_BAD_SUBSTREAMID is recorded (not C_BAD_CD). With stage 2, the pointer is an IPA and stage 2
 * refuses what is too large. */
const char *ui_smmuv3_l1cd_illegal(const u64 *l1cd, const u64 *ste, const struct ui_smmuv3_feat *feat);
/* 4.1.3 and each command's description: the field for which CERROR_ILL is raised, in the non-secure command queue. */
const char *ui_smmuv3_cmd_illegal(const u64 *cmd, const struct ui_smmuv3_feat *feat);

/*
 * 5.2 S1CDMax, S1DSS, 7.3.7, 7.3.9: which CD a transaction takes. @ste is valid and its Config is 4 to 7.
 * 0: *@index is the CD's number, or *@no_s1 says that stage 1 is bypassed. Else the event: UI_SMMUV3_C_BAD_SUBSTREAMID or
 * UI_SMMUV3_F_STREAM_DISABLED.
 */
unsigned ui_smmuv3_substream(const u64 *ste, const struct ui_smmuv3_feat *feat, bool ssv, u32 ssid, bool *no_s1, u32 *index);

/*
 * Where entries lie. Addresses are aligned as the hardware does it: bits that the table's size makes RES0 count as zero.
 */

/* CDs of a leaf as log2: 6 or 10; 0: the table is linear, or one CD. */
unsigned ui_smmuv3_cd_leaf_lg2(const u64 *ste, const struct ui_smmuv3_feat *feat);
/* CDs of the whole table as log2: S1CDMax, 0 where the SMMU has no substreams. */
unsigned ui_smmuv3_cd_table_lg2(const u64 *ste, const struct ui_smmuv3_feat *feat);
/* Address of CD @index of a linear table, or of the L1CD that leads to it. */
u64 ui_smmuv3_cd_first_addr(const u64 *ste, const struct ui_smmuv3_feat *feat, u32 index);
/* Address of CD @index in the leaf that a valid @l1cd points at; @leaf_lg2 as above. */
u64 ui_smmuv3_cd_second_addr(const u64 *l1cd, unsigned leaf_lg2, u32 index);

/* STRTAB_BASE_CFG: StreamID bits that the second level takes (6, 8, 10; other values behave as 6); 0: linear. */
unsigned ui_smmuv3_strtab_split(u32 cfg, const struct ui_smmuv3_feat *feat);
/* log2 of how many StreamIDs there are: min(LOG2SIZE, SIDSIZE). */
unsigned ui_smmuv3_strtab_lg2(u32 cfg, const struct ui_smmuv3_feat *feat);
/* Address of STE @sid of a linear table, or of the L1STD that leads to it; @base: STRTAB_BASE. */
u64 ui_smmuv3_ste_first_addr(u64 base, u32 cfg, const struct ui_smmuv3_feat *feat, u32 sid);
/* STEs behind an L1STD as log2, 0 to @split; -1: none (7.3.3, cases 2a to 2c). */
int ui_smmuv3_l1std_lg2(const u64 *l1std, unsigned split);
/* Address of the STE of @sid behind a valid @l1std; false: it lies beyond the span (7.3.3, case 2d). */
bool ui_smmuv3_ste_second_addr(const u64 *l1std, unsigned split, u32 sid, u64 *addr);

#endif
