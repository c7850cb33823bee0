/* SPDX-License-Identifier: MIT */
/*
 * Registers of an SMMUv3.2's non-secure interface (Arm IHI 0070, chapter 6): where they lie and what is in them. Each is a structure
 * of one word; the accessors take a u64 that holds the register.
 */
#ifndef UI_HW_SMMUV3_REGS_H
#define UI_HW_SMMUV3_REGS_H

#include "hw/field.h"

/* Two pages of 64 KiB. */
enum { UI_SMMUV3_PAGE1 = 0x10000, UI_SMMUV3_MMIO_BYTES = 0x20000 };

/*
 * R(name, offset, bytes, table of fields): 6.2.1, 6.2.2. PROD and CONS of the event and PRI queues lie in page 1; their offsets in
 * page 0 are aliases where an implementation has them.
 */
#define UI_SMMUV3_REGS(R)								\
	R(IDR0, 0x00, 4, IDR0) R(IDR1, 0x04, 4, IDR1) R(IDR2, 0x08, 4, IDR2) R(IDR3, 0x0c, 4, IDR3) R(IDR4, 0x10, 4, IDR4) \
	R(IDR5, 0x14, 4, IDR5) R(IIDR, 0x18, 4, IIDR) R(AIDR, 0x1c, 4, AIDR)		\
	R(CR0, 0x20, 4, CR0) R(CR0ACK, 0x24, 4, CR0) R(CR1, 0x28, 4, CR1) R(CR2, 0x2c, 4, CR2) \
	R(STATUSR, 0x40, 4, STATUSR) R(GBPA, 0x44, 4, GBPA) R(AGBPA, 0x48, 4, AGBPA)	\
	R(IRQ_CTRL, 0x50, 4, IRQ_CTRL) R(IRQ_CTRLACK, 0x54, 4, IRQ_CTRL)		\
	R(GERROR, 0x60, 4, GERROR) R(GERRORN, 0x64, 4, GERROR)				\
	R(GERROR_IRQ_CFG0, 0x68, 8, MSI_CFG0) R(GERROR_IRQ_CFG1, 0x70, 4, MSI_CFG1) R(GERROR_IRQ_CFG2, 0x74, 4, MSI_CFG2) \
	R(STRTAB_BASE, 0x80, 8, STRTAB_BASE) R(STRTAB_BASE_CFG, 0x88, 4, STRTAB_BASE_CFG) \
	R(CMDQ_BASE, 0x90, 8, CMDQ_BASE) R(CMDQ_PROD, 0x98, 4, CMDQ_PROD) R(CMDQ_CONS, 0x9c, 4, CMDQ_CONS) \
	R(EVENTQ_BASE, 0xa0, 8, Q_BASE) R(EVENTQ_PROD, 0x100a8, 4, Q_PROD) R(EVENTQ_CONS, 0x100ac, 4, Q_CONS) \
	R(EVENTQ_IRQ_CFG0, 0xb0, 8, MSI_CFG0) R(EVENTQ_IRQ_CFG1, 0xb8, 4, MSI_CFG1) R(EVENTQ_IRQ_CFG2, 0xbc, 4, MSI_CFG2) \
	R(PRIQ_BASE, 0xc0, 8, Q_BASE) R(PRIQ_PROD, 0x100c8, 4, Q_PROD) R(PRIQ_CONS, 0x100cc, 4, Q_CONS) \
	R(PRIQ_IRQ_CFG0, 0xd0, 8, MSI_CFG0) R(PRIQ_IRQ_CFG1, 0xd8, 4, MSI_CFG1) R(PRIQ_IRQ_CFG2, 0xdc, 4, PRIQ_MSI_CFG2) \
	R(GATOS_CTRL, 0x100, 4, GATOS_CTRL) R(GATOS_SID, 0x108, 8, GATOS_SID) R(GATOS_ADDR, 0x110, 8, GATOS_ADDR) \
	R(GATOS_PAR, 0x118, 8, GATOS_PAR)

/* Identification bytes, one in each of the twelve words from here (6.2.1). */
enum { UI_SMMUV3_REG_ID_REGS = 0xfd0, UI_SMMUV3_ID_REGS_BYTES = 0x30 };

/* V(set, name, value, what it means). */
#define UI_SMMUV3_TTF_VALUES(V)								\
	V(TTF, RES_0, 0, "reserved") V(TTF, LPAE, 1, "AArch32") V(TTF, 64, 2, "AArch64") V(TTF, BOTH, 3, "AArch32 and AArch64")
#define UI_SMMUV3_HTTU_VALUES(V)							\
	V(HTTU, NONE, 0, "none") V(HTTU, AF, 1, "access flag") V(HTTU, AF_DIRTY, 2, "access flag and dirty state") \
	V(HTTU, AF_DIRTY_3, 3, "access flag and dirty state, also in tables")
#define UI_SMMUV3_TTENDIAN_VALUES(V)							\
	V(TTENDIAN, MIXED, 0, "mixed") V(TTENDIAN, RES_1, 1, "reserved") V(TTENDIAN, LE, 2, "little") V(TTENDIAN, BE, 3, "big")
#define UI_SMMUV3_STALL_VALUES(V)							\
	V(STALL, BOTH, 0, "stall and terminate") V(STALL, TERMINATE, 1, "terminate") V(STALL, FORCED, 2, "stall") \
	V(STALL, RES_3, 3, "reserved")
#define UI_SMMUV3_ST_LEVEL_VALUES(V)							\
	V(ST_LEVEL, LINEAR, 0, "linear") V(ST_LEVEL, 2LVL, 1, "linear and 2-level")
#define UI_SMMUV3_VAX_VALUES(V)								\
	V(VAX, 48, 0, "48 bits") V(VAX, 52, 1, "52 bits") V(VAX, 56, 2, "56 bits")
/* Codes of address sizes: OAS, and 5.2 S2PS, 5.4 IPS. */
#define UI_SMMUV3_PS_VALUES(V)								\
	V(PS, 32, 0, "32 bits") V(PS, 36, 1, "36 bits") V(PS, 40, 2, "40 bits") V(PS, 42, 3, "42 bits")	\
	V(PS, 44, 4, "44 bits") V(PS, 48, 5, "48 bits") V(PS, 52, 6, "52 bits") V(PS, 52_7, 7, "reserved, 52 bits")
/* CR1: not the encoding that STEs and CDs have. */
#define UI_SMMUV3_CACHE_VALUES(V)							\
	V(CACHE, NC, 0, "non-cacheable") V(CACHE, WB, 1, "WB") V(CACHE, WT, 2, "WT") V(CACHE, RES_3, 3, "reserved")
#define UI_SMMUV3_FMT_VALUES(V)								\
	V(FMT, LINEAR, 0, "linear") V(FMT, 2LVL, 1, "2-level") V(FMT, LINEAR_2, 2, "reserved, linear") \
	V(FMT, LINEAR_3, 3, "reserved, linear")
#define UI_SMMUV3_CERR_VALUES(V)							\
	V(CERR, NONE, 0, "CERROR_NONE") V(CERR, ILL, 1, "CERROR_ILL") V(CERR, ABT, 2, "CERROR_ABT") \
	V(CERR, ATC_INV_SYNC, 3, "CERROR_ATC_INV_SYNC")

/* F(field, high, low, how it is shown): 6.3. */
#define UI_SMMUV3_IDR0_FIELDS(F)							\
	F(S2P, 0, 0, DEC) F(S1P, 1, 1, DEC) F(TTF, 3, 2, TTF) F(COHACC, 4, 4, DEC) F(BTM, 5, 5, DEC) F(HTTU, 7, 6, HTTU) \
	F(DORMHINT, 8, 8, DEC) F(Hyp, 9, 9, DEC) F(ATS, 10, 10, DEC) F(NS1ATS, 11, 11, DEC) F(ASID16, 12, 12, DEC) \
	F(MSI, 13, 13, DEC) F(SEV, 14, 14, DEC) F(ATOS, 15, 15, DEC) F(PRI, 16, 16, DEC) F(VMW, 17, 17, DEC) \
	F(VMID16, 18, 18, DEC) F(CD2L, 19, 19, DEC) F(VATOS, 20, 20, DEC) F(TTENDIAN, 22, 21, TTENDIAN) \
	F(ATSRECERR, 23, 23, DEC) F(STALL_MODEL, 25, 24, STALL) F(TERM_MODEL, 26, 26, DEC) F(ST_LEVEL, 28, 27, ST_LEVEL)
#define UI_SMMUV3_IDR1_FIELDS(F)							\
	F(SIDSIZE, 5, 0, DEC) F(SSIDSIZE, 10, 6, DEC) F(PRIQS, 15, 11, DEC) F(EVENTQS, 20, 16, DEC) F(CMDQS, 25, 21, DEC) \
	F(ATTR_PERMS_OVR, 26, 26, DEC) F(ATTR_TYPES_OVR, 27, 27, DEC) F(REL, 28, 28, DEC) F(QUEUES_PRESET, 29, 29, DEC) \
	F(TABLES_PRESET, 30, 30, DEC)
#define UI_SMMUV3_IDR2_FIELDS(F) F(BA_VATOS, 9, 0, DEC)
#define UI_SMMUV3_IDR3_FIELDS(F)							\
	F(HAD, 2, 2, DEC) F(PBHA, 3, 3, DEC) F(XNX, 4, 4, DEC) F(PPS, 5, 5, DEC) F(MPAM, 7, 7, DEC) F(FWB, 8, 8, DEC) \
	F(STT, 9, 9, DEC) F(RIL, 10, 10, DEC) F(BBML, 12, 11, DEC)
#define UI_SMMUV3_IDR4_FIELDS(F) F(IMPDEF, 31, 0, HEX)
#define UI_SMMUV3_IDR5_FIELDS(F)							\
	F(OAS, 2, 0, PS) F(GRAN4K, 4, 4, DEC) F(GRAN16K, 5, 5, DEC) F(GRAN64K, 6, 6, DEC) F(VAX, 11, 10, VAX) \
	F(STALL_MAX, 31, 16, DEC)
#define UI_SMMUV3_IIDR_FIELDS(F)							\
	F(Implementer, 11, 0, HEX) F(Revision, 15, 12, DEC) F(Variant, 19, 16, DEC) F(ProductID, 31, 20, HEX)
/* 0x02: SMMUv3.2. */
#define UI_SMMUV3_AIDR_FIELDS(F) F(ArchMinorRev, 3, 0, DEC) F(ArchMajorRev, 7, 4, DEC)
#define UI_SMMUV3_CR0_FIELDS(F)								\
	F(SMMUEN, 0, 0, DEC) F(PRIQEN, 1, 1, DEC) F(EVENTQEN, 2, 2, DEC) F(CMDQEN, 3, 3, DEC) F(ATSCHK, 4, 4, DEC) \
	F(VMW, 8, 6, DEC)
#define UI_SMMUV3_CR1_FIELDS(F)								\
	F(QUEUE_IC, 1, 0, CACHE) F(QUEUE_OC, 3, 2, CACHE) F(QUEUE_SH, 5, 4, SH)		\
	F(TABLE_IC, 7, 6, CACHE) F(TABLE_OC, 9, 8, CACHE) F(TABLE_SH, 11, 10, SH)
#define UI_SMMUV3_CR2_FIELDS(F)								\
	F(E2H, 0, 0, DEC) F(RECINVSID, 1, 1, DEC) F(PTM, 2, 2, DEC) F(REC_CFG_ATS, 3, 3, DEC)
#define UI_SMMUV3_STATUSR_FIELDS(F) F(DORMANT, 0, 0, DEC)
#define UI_SMMUV3_GBPA_FIELDS(F)							\
	F(MemAttr, 3, 0, HEX) F(MTCFG, 4, 4, DEC) F(ALLOCCFG, 11, 8, HEX) F(SHCFG, 13, 12, SHCFG) F(PRIVCFG, 17, 16, PRIVCFG) \
	F(INSTCFG, 19, 18, INSTCFG) F(ABORT, 20, 20, DEC) F(UPDATE, 31, 31, DEC)
#define UI_SMMUV3_AGBPA_FIELDS(F) F(IMPDEF, 31, 0, HEX)
#define UI_SMMUV3_IRQ_CTRL_FIELDS(F)							\
	F(GERROR_IRQEN, 0, 0, DEC) F(PRIQ_IRQEN, 1, 1, DEC) F(EVENTQ_IRQEN, 2, 2, DEC)
/* GERROR and GERRORN: an error is active where the two differ (7.5). */
#define UI_SMMUV3_GERROR_FIELDS(F)							\
	F(CMDQ_ERR, 0, 0, DEC) F(EVENTQ_ABT_ERR, 2, 2, DEC) F(PRIQ_ABT_ERR, 3, 3, DEC) F(MSI_CMDQ_ABT_ERR, 4, 4, DEC) \
	F(MSI_EVENTQ_ABT_ERR, 5, 5, DEC) F(MSI_PRIQ_ABT_ERR, 6, 6, DEC) F(MSI_GERROR_ABT_ERR, 7, 7, DEC) F(SFM_ERR, 8, 8, DEC)
#define UI_SMMUV3_MSI_CFG0_FIELDS(F) F(ADDR, 51, 2, ADDR)
#define UI_SMMUV3_MSI_CFG1_FIELDS(F) F(DATA, 31, 0, HEX)
#define UI_SMMUV3_MSI_CFG2_FIELDS(F) F(MEMATTR, 3, 0, HEX) F(SH, 5, 4, SH)
#define UI_SMMUV3_PRIQ_MSI_CFG2_FIELDS(F) F(MEMATTR, 3, 0, HEX) F(SH, 5, 4, SH) F(LO, 31, 31, DEC)
#define UI_SMMUV3_STRTAB_BASE_FIELDS(F) F(ADDR, 51, 6, ADDR) F(RA, 62, 62, DEC)
#define UI_SMMUV3_STRTAB_BASE_CFG_FIELDS(F)						\
	F(LOG2SIZE, 5, 0, DEC) F(SPLIT, 10, 6, DEC) F(FMT, 17, 16, FMT)
#define UI_SMMUV3_CMDQ_BASE_FIELDS(F) F(LOG2SIZE, 4, 0, DEC) F(ADDR, 51, 5, ADDR) F(RA, 62, 62, DEC)
/* Q_: event and PRI queue. */
#define UI_SMMUV3_Q_BASE_FIELDS(F) F(LOG2SIZE, 4, 0, DEC) F(ADDR, 51, 5, ADDR) F(WA, 62, 62, DEC)
/* WR and RD have an index and above it, at bit LOG2SIZE, the wrap bit. */
#define UI_SMMUV3_CMDQ_PROD_FIELDS(F) F(WR, 19, 0, HEX)
#define UI_SMMUV3_CMDQ_CONS_FIELDS(F) F(RD, 19, 0, HEX) F(ERR, 30, 24, CERR)
#define UI_SMMUV3_Q_PROD_FIELDS(F) F(WR, 19, 0, HEX) F(OVFLG, 31, 31, DEC)
#define UI_SMMUV3_Q_CONS_FIELDS(F) F(RD, 19, 0, HEX) F(OVACKFLG, 31, 31, DEC)
#define UI_SMMUV3_GATOS_CTRL_FIELDS(F) F(RUN, 0, 0, DEC)
#define UI_SMMUV3_GATOS_SID_FIELDS(F) F(STREAMID, 31, 0, HEX) F(SUBSTREAMID, 51, 32, HEX) F(SSID_VALID, 52, 52, DEC)
#define UI_SMMUV3_GATOS_ADDR_FIELDS(F)							\
	F(HTTUI, 6, 6, DEC) F(InD, 7, 7, DEC) F(RnW, 8, 8, RNW) F(PnU, 9, 9, DEC) F(TYPE, 11, 10, DEC) F(ADDR, 63, 12, ADDR)
/* As it is with FAULT=1; with FAULT=0 ADDR is the result. */
#define UI_SMMUV3_GATOS_PAR_FIELDS(F)							\
	F(FAULT, 0, 0, DEC) F(REASON, 2, 1, DEC) F(FAULTCODE, 11, 4, HEX) F(ADDR, 51, 12, ADDR)

/* L(table): every table of fields. */
#define UI_SMMUV3_REG_TABLES(L)								\
	L(IDR0) L(IDR1) L(IDR2) L(IDR3) L(IDR4) L(IDR5) L(IIDR) L(AIDR) L(CR0) L(CR1) L(CR2) L(STATUSR) L(GBPA) L(AGBPA)	\
	L(IRQ_CTRL) L(GERROR) L(MSI_CFG0) L(MSI_CFG1) L(MSI_CFG2) L(PRIQ_MSI_CFG2) L(STRTAB_BASE) L(STRTAB_BASE_CFG) L(CMDQ_BASE) \
	L(Q_BASE) L(CMDQ_PROD) L(CMDQ_CONS) L(Q_PROD) L(Q_CONS) L(GATOS_CTRL) L(GATOS_SID) L(GATOS_ADDR) L(GATOS_PAR)

#define UI_SMMUV3_REG_ENUM(name, offset, n_bytes, table) UI_SMMUV3_REG_##name = (offset),
#define UI_SMMUV3_REG_VALUE_ENUM(set, name, val, text) UI_SMMUV3_##set##_##name = (val),
enum { UI_SMMUV3_REGS(UI_SMMUV3_REG_ENUM) };
enum { UI_SMMUV3_TTF_VALUES(UI_SMMUV3_REG_VALUE_ENUM) };
enum { UI_SMMUV3_HTTU_VALUES(UI_SMMUV3_REG_VALUE_ENUM) };
enum { UI_SMMUV3_TTENDIAN_VALUES(UI_SMMUV3_REG_VALUE_ENUM) };
enum { UI_SMMUV3_STALL_VALUES(UI_SMMUV3_REG_VALUE_ENUM) };
enum { UI_SMMUV3_ST_LEVEL_VALUES(UI_SMMUV3_REG_VALUE_ENUM) };
enum { UI_SMMUV3_VAX_VALUES(UI_SMMUV3_REG_VALUE_ENUM) };
enum { UI_SMMUV3_PS_VALUES(UI_SMMUV3_REG_VALUE_ENUM) };
enum { UI_SMMUV3_CACHE_VALUES(UI_SMMUV3_REG_VALUE_ENUM) };
enum { UI_SMMUV3_FMT_VALUES(UI_SMMUV3_REG_VALUE_ENUM) };
enum { UI_SMMUV3_CERR_VALUES(UI_SMMUV3_REG_VALUE_ENUM) };

/* UI_SMMUV3_<table>_<field>. */
#define UI_SMMUV3_IDR0_ENUM(name, high, low, how) UI_SMMUV3_IDR0_##name = UI_HW_FIELD(0, high, low),
#define UI_SMMUV3_IDR1_ENUM(name, high, low, how) UI_SMMUV3_IDR1_##name = UI_HW_FIELD(0, high, low),
#define UI_SMMUV3_IDR2_ENUM(name, high, low, how) UI_SMMUV3_IDR2_##name = UI_HW_FIELD(0, high, low),
#define UI_SMMUV3_IDR3_ENUM(name, high, low, how) UI_SMMUV3_IDR3_##name = UI_HW_FIELD(0, high, low),
#define UI_SMMUV3_IDR4_ENUM(name, high, low, how) UI_SMMUV3_IDR4_##name = UI_HW_FIELD(0, high, low),
#define UI_SMMUV3_IDR5_ENUM(name, high, low, how) UI_SMMUV3_IDR5_##name = UI_HW_FIELD(0, high, low),
#define UI_SMMUV3_IIDR_ENUM(name, high, low, how) UI_SMMUV3_IIDR_##name = UI_HW_FIELD(0, high, low),
#define UI_SMMUV3_AIDR_ENUM(name, high, low, how) UI_SMMUV3_AIDR_##name = UI_HW_FIELD(0, high, low),
#define UI_SMMUV3_CR0_ENUM(name, high, low, how) UI_SMMUV3_CR0_##name = UI_HW_FIELD(0, high, low),
#define UI_SMMUV3_CR1_ENUM(name, high, low, how) UI_SMMUV3_CR1_##name = UI_HW_FIELD(0, high, low),
#define UI_SMMUV3_CR2_ENUM(name, high, low, how) UI_SMMUV3_CR2_##name = UI_HW_FIELD(0, high, low),
#define UI_SMMUV3_STATUSR_ENUM(name, high, low, how) UI_SMMUV3_STATUSR_##name = UI_HW_FIELD(0, high, low),
#define UI_SMMUV3_GBPA_ENUM(name, high, low, how) UI_SMMUV3_GBPA_##name = UI_HW_FIELD(0, high, low),
#define UI_SMMUV3_AGBPA_ENUM(name, high, low, how) UI_SMMUV3_AGBPA_##name = UI_HW_FIELD(0, high, low),
#define UI_SMMUV3_IRQ_CTRL_ENUM(name, high, low, how) UI_SMMUV3_IRQ_CTRL_##name = UI_HW_FIELD(0, high, low),
#define UI_SMMUV3_GERROR_ENUM(name, high, low, how) UI_SMMUV3_GERROR_##name = UI_HW_FIELD(0, high, low),
#define UI_SMMUV3_MSI_CFG0_ENUM(name, high, low, how) UI_SMMUV3_MSI_CFG0_##name = UI_HW_FIELD(0, high, low),
#define UI_SMMUV3_MSI_CFG1_ENUM(name, high, low, how) UI_SMMUV3_MSI_CFG1_##name = UI_HW_FIELD(0, high, low),
#define UI_SMMUV3_MSI_CFG2_ENUM(name, high, low, how) UI_SMMUV3_MSI_CFG2_##name = UI_HW_FIELD(0, high, low),
#define UI_SMMUV3_PRIQ_MSI_CFG2_ENUM(name, high, low, how) UI_SMMUV3_PRIQ_MSI_CFG2_##name = UI_HW_FIELD(0, high, low),
#define UI_SMMUV3_STRTAB_BASE_ENUM(name, high, low, how) UI_SMMUV3_STRTAB_BASE_##name = UI_HW_FIELD(0, high, low),
#define UI_SMMUV3_STRTAB_BASE_CFG_ENUM(name, high, low, how) UI_SMMUV3_STRTAB_BASE_CFG_##name = UI_HW_FIELD(0, high, low),
#define UI_SMMUV3_CMDQ_BASE_ENUM(name, high, low, how) UI_SMMUV3_CMDQ_BASE_##name = UI_HW_FIELD(0, high, low),
#define UI_SMMUV3_Q_BASE_ENUM(name, high, low, how) UI_SMMUV3_Q_BASE_##name = UI_HW_FIELD(0, high, low),
#define UI_SMMUV3_CMDQ_PROD_ENUM(name, high, low, how) UI_SMMUV3_CMDQ_PROD_##name = UI_HW_FIELD(0, high, low),
#define UI_SMMUV3_CMDQ_CONS_ENUM(name, high, low, how) UI_SMMUV3_CMDQ_CONS_##name = UI_HW_FIELD(0, high, low),
#define UI_SMMUV3_Q_PROD_ENUM(name, high, low, how) UI_SMMUV3_Q_PROD_##name = UI_HW_FIELD(0, high, low),
#define UI_SMMUV3_Q_CONS_ENUM(name, high, low, how) UI_SMMUV3_Q_CONS_##name = UI_HW_FIELD(0, high, low),
#define UI_SMMUV3_GATOS_CTRL_ENUM(name, high, low, how) UI_SMMUV3_GATOS_CTRL_##name = UI_HW_FIELD(0, high, low),
#define UI_SMMUV3_GATOS_SID_ENUM(name, high, low, how) UI_SMMUV3_GATOS_SID_##name = UI_HW_FIELD(0, high, low),
#define UI_SMMUV3_GATOS_ADDR_ENUM(name, high, low, how) UI_SMMUV3_GATOS_ADDR_##name = UI_HW_FIELD(0, high, low),
#define UI_SMMUV3_GATOS_PAR_ENUM(name, high, low, how) UI_SMMUV3_GATOS_PAR_##name = UI_HW_FIELD(0, high, low),

enum { UI_SMMUV3_IDR0_FIELDS(UI_SMMUV3_IDR0_ENUM) };
enum { UI_SMMUV3_IDR1_FIELDS(UI_SMMUV3_IDR1_ENUM) };
enum { UI_SMMUV3_IDR2_FIELDS(UI_SMMUV3_IDR2_ENUM) };
enum { UI_SMMUV3_IDR3_FIELDS(UI_SMMUV3_IDR3_ENUM) };
enum { UI_SMMUV3_IDR4_FIELDS(UI_SMMUV3_IDR4_ENUM) };
enum { UI_SMMUV3_IDR5_FIELDS(UI_SMMUV3_IDR5_ENUM) };
enum { UI_SMMUV3_IIDR_FIELDS(UI_SMMUV3_IIDR_ENUM) };
enum { UI_SMMUV3_AIDR_FIELDS(UI_SMMUV3_AIDR_ENUM) };
enum { UI_SMMUV3_CR0_FIELDS(UI_SMMUV3_CR0_ENUM) };
enum { UI_SMMUV3_CR1_FIELDS(UI_SMMUV3_CR1_ENUM) };
enum { UI_SMMUV3_CR2_FIELDS(UI_SMMUV3_CR2_ENUM) };
enum { UI_SMMUV3_STATUSR_FIELDS(UI_SMMUV3_STATUSR_ENUM) };
enum { UI_SMMUV3_GBPA_FIELDS(UI_SMMUV3_GBPA_ENUM) };
enum { UI_SMMUV3_AGBPA_FIELDS(UI_SMMUV3_AGBPA_ENUM) };
enum { UI_SMMUV3_IRQ_CTRL_FIELDS(UI_SMMUV3_IRQ_CTRL_ENUM) };
enum { UI_SMMUV3_GERROR_FIELDS(UI_SMMUV3_GERROR_ENUM) };
enum { UI_SMMUV3_MSI_CFG0_FIELDS(UI_SMMUV3_MSI_CFG0_ENUM) };
enum { UI_SMMUV3_MSI_CFG1_FIELDS(UI_SMMUV3_MSI_CFG1_ENUM) };
enum { UI_SMMUV3_MSI_CFG2_FIELDS(UI_SMMUV3_MSI_CFG2_ENUM) };
enum { UI_SMMUV3_PRIQ_MSI_CFG2_FIELDS(UI_SMMUV3_PRIQ_MSI_CFG2_ENUM) };
enum { UI_SMMUV3_STRTAB_BASE_FIELDS(UI_SMMUV3_STRTAB_BASE_ENUM) };
enum { UI_SMMUV3_STRTAB_BASE_CFG_FIELDS(UI_SMMUV3_STRTAB_BASE_CFG_ENUM) };
enum { UI_SMMUV3_CMDQ_BASE_FIELDS(UI_SMMUV3_CMDQ_BASE_ENUM) };
enum { UI_SMMUV3_Q_BASE_FIELDS(UI_SMMUV3_Q_BASE_ENUM) };
enum { UI_SMMUV3_CMDQ_PROD_FIELDS(UI_SMMUV3_CMDQ_PROD_ENUM) };
enum { UI_SMMUV3_CMDQ_CONS_FIELDS(UI_SMMUV3_CMDQ_CONS_ENUM) };
enum { UI_SMMUV3_Q_PROD_FIELDS(UI_SMMUV3_Q_PROD_ENUM) };
enum { UI_SMMUV3_Q_CONS_FIELDS(UI_SMMUV3_Q_CONS_ENUM) };
enum { UI_SMMUV3_GATOS_CTRL_FIELDS(UI_SMMUV3_GATOS_CTRL_ENUM) };
enum { UI_SMMUV3_GATOS_SID_FIELDS(UI_SMMUV3_GATOS_SID_ENUM) };
enum { UI_SMMUV3_GATOS_ADDR_FIELDS(UI_SMMUV3_GATOS_ADDR_ENUM) };
enum { UI_SMMUV3_GATOS_PAR_FIELDS(UI_SMMUV3_GATOS_PAR_ENUM) };

struct ui_smmuv3_reg {
	u32 offset, n_bytes;
	const struct ui_hw_struct *fields;
};

/* All of UI_SMMUV3_REGS(), in rising order of offsets within each page. */
extern const struct ui_smmuv3_reg ui_smmuv3_regs[];
extern const size_t ui_smmuv3_n_regs;

#endif
