/* SPDX-License-Identifier: MIT */
/* Entries of the three queues of an SMMUv3.2: commands (chapter 4), events (7.3), page requests (8). */
#ifndef UI_HW_SMMUV3_QUEUE_H
#define UI_HW_SMMUV3_QUEUE_H

#include "hw/field.h"

enum { UI_SMMUV3_CMD_WORDS = 2, UI_SMMUV3_EVT_WORDS = 4, UI_SMMUV3_PRI_WORDS = 2 };
enum { UI_SMMUV3_CMD_BYTES = 16, UI_SMMUV3_EVT_BYTES = 32, UI_SMMUV3_PRI_BYTES = 16 };

/* O(name, opcode): 4.1.1, those of the non-secure queue. CFGI_ALL is CFGI_STE_RANGE with a Range of 31. */
#define UI_SMMUV3_OPCODES(O)								\
	O(PREFETCH_CONFIG, 0x01) O(PREFETCH_ADDR, 0x02)					\
	O(CFGI_STE, 0x03) O(CFGI_STE_RANGE, 0x04) O(CFGI_CD, 0x05) O(CFGI_CD_ALL, 0x06) O(CFGI_VMS_PIDM, 0x07) \
	O(TLBI_NH_ALL, 0x10) O(TLBI_NH_ASID, 0x11) O(TLBI_NH_VA, 0x12) O(TLBI_NH_VAA, 0x13) \
	O(TLBI_EL2_ALL, 0x20) O(TLBI_EL2_ASID, 0x21) O(TLBI_EL2_VA, 0x22) O(TLBI_EL2_VAA, 0x23) \
	O(TLBI_S12_VMALL, 0x28) O(TLBI_S2_IPA, 0x2a) O(TLBI_NSNH_ALL, 0x30)		\
	O(ATC_INV, 0x40) O(PRI_RESP, 0x41) O(RESUME, 0x44) O(STALL_TERM, 0x45) O(SYNC, 0x46)

/* 4.4.1.1 TG of range invalidation, 4.5.2 Resp, 4.7.3 CS. */
#define UI_SMMUV3_CMD_TG_VALUES(V)							\
	V(CMD_TG, NONE, 0, "no range") V(CMD_TG, 4K, 1, "4K") V(CMD_TG, 16K, 2, "16K") V(CMD_TG, 64K, 3, "64K")
#define UI_SMMUV3_RESP_VALUES(V)							\
	V(RESP, FAILURE, 0, "response failure") V(RESP, INVALID, 1, "invalid request") V(RESP, SUCCESS, 2, "success") \
	V(RESP, RES_3, 3, "reserved")
#define UI_SMMUV3_CS_VALUES(V)								\
	V(CS, NONE, 0, "none") V(CS, IRQ, 1, "interrupt") V(CS, SEV, 2, "event to the PE") V(CS, RES_3, 3, "reserved")
/* Shareability: 4.7.3 MSH, 5.2 S1CSH, S2SH0, 5.4 SH0, SH1, 6.3 of queues, tables and MSIs. */
#define UI_SMMUV3_SH_VALUES(V)								\
	V(SH, NSH, 0, "non-shareable") V(SH, NSH_1, 1, "reserved, non-shareable")	\
	V(SH, OSH, 2, "outer shareable") V(SH, ISH, 3, "inner shareable")

/*
 * Fields of commands: F(name in code, name in print, word, high, low, how). Which of them a command has is said in smmuv3_queue.c;
 * ui_smmuv3_command() gives the command's own table.
 */
#define UI_SMMUV3_CMD_FIELDS(F)								\
	F(Opcode, Opcode, 0, 7, 0, HEX) F(Global, Global, 0, 9, 9, DEC) F(SSec, SSec, 0, 10, 10, DEC) \
	F(SSV, SSV, 0, 11, 11, DEC) F(SubstreamID, SubstreamID, 0, 31, 12, HEX) F(StreamID, StreamID, 0, 63, 32, HEX) \
	F(NUM, NUM, 0, 16, 12, DEC) F(SCALE, SCALE, 0, 24, 20, DEC) F(VMID, VMID, 0, 47, 32, DEC) F(ASID, ASID, 0, 63, 48, DEC) \
	F(Leaf, Leaf, 1, 0, 0, DEC) F(Range, Range, 1, 4, 0, DEC) F(TTL, TTL, 1, 9, 8, DEC) F(TG, TG, 1, 11, 10, CMD_TG) \
	F(Address, Address, 1, 63, 12, ADDR) F(IPA, Address, 1, 51, 12, ADDR)		\
	F(PrefetchSize, Size, 1, 4, 0, DEC) F(Stride, Stride, 1, 9, 5, DEC) F(AtcSize, Size, 1, 5, 0, DEC) \
	F(PRGIndex, PRGIndex, 1, 8, 0, DEC) F(Resp, Resp, 1, 13, 12, RESP)		\
	F(Ac, Ac, 0, 12, 12, DEC) F(Ab, Ab, 0, 13, 13, DEC) F(STAG, STAG, 1, 15, 0, HEX) \
	F(CS, CS, 0, 13, 12, CS) F(MSH, MSH, 0, 23, 22, SH) F(MSIAttr, MSIAttr, 0, 27, 24, HEX) \
	F(MSIData, MSIData, 0, 63, 32, HEX) F(MSIAddress, MSIAddress, 1, 51, 2, ADDR)

/* E(name, number): 7.3. */
#define UI_SMMUV3_EVENTS(E)								\
	E(F_UUT, 0x01) E(C_BAD_STREAMID, 0x02) E(F_STE_FETCH, 0x03) E(C_BAD_STE, 0x04) E(F_BAD_ATS_TREQ, 0x05) \
	E(F_STREAM_DISABLED, 0x06) E(F_TRANSL_FORBIDDEN, 0x07) E(C_BAD_SUBSTREAMID, 0x08) E(F_CD_FETCH, 0x09) \
	E(C_BAD_CD, 0x0a) E(F_WALK_EABT, 0x0b) E(F_TRANSLATION, 0x10) E(F_ADDR_SIZE, 0x11) E(F_ACCESS, 0x12) \
	E(F_PERMISSION, 0x13) E(F_TLB_CONFLICT, 0x20) E(F_CFG_CONFLICT, 0x21) E(E_PAGE_REQUEST, 0x24) E(F_VMS_FETCH, 0x25)

/* 7.3 RnW, S2, CLASS. */
#define UI_SMMUV3_RNW_VALUES(V) V(RNW, WRITE, 0, "write") V(RNW, READ, 1, "read")
#define UI_SMMUV3_CLASS_VALUES(V)							\
	V(CLASS, CD, 0, "CD fetch") V(CLASS, TT, 1, "stage 1 table") V(CLASS, IN, 2, "input address") V(CLASS, RES_3, 3, "reserved")

/* F(name, word, high, low, how). GPCF, NSIPA and other bits of Realm and Secure queues and of later versions are left out; so are the
 * rights and the span of F_BAD_ATS_TREQ. */
#define UI_SMMUV3_EVT_FIELDS(F)								\
	F(Type, 0, 7, 0, HEX) F(SSV, 0, 11, 11, DEC) F(SubstreamID, 0, 31, 12, HEX) F(StreamID, 0, 63, 32, HEX) \
	F(Reason, 1, 15, 0, HEX) F(STAG, 1, 15, 0, HEX) F(Stall, 1, 31, 31, DEC)	\
	F(PnU, 1, 33, 33, DEC) F(InD, 1, 34, 34, DEC) F(RnW, 1, 35, 35, RNW) F(S2, 1, 39, 39, DEC) \
	F(CLASS, 1, 41, 40, CLASS) F(TTRnW, 1, 44, 44, RNW)				\
	F(uX, 1, 33, 33, DEC) F(uW, 1, 34, 34, DEC) F(uR, 1, 35, 35, DEC) F(pX, 1, 37, 37, DEC) F(pW, 1, 38, 38, DEC) \
	F(pR, 1, 39, 39, DEC) F(Span, 1, 51, 44, DEC)					\
	F(InputAddr, 2, 63, 0, HEX) F(PageAddr, 2, 63, 12, ADDR)			\
	F(IPA, 3, 51, 12, ADDR) F(FetchAddr, 3, 51, 3, ADDR)

/* 8: a page request. */
#define UI_SMMUV3_PRI_FIELDS(F)								\
	F(StreamID, 0, 31, 0, HEX) F(SubstreamID, 0, 51, 32, HEX) F(Priv, 0, 58, 58, DEC) F(X, 0, 59, 59, DEC) \
	F(R, 0, 60, 60, DEC) F(W, 0, 61, 61, DEC) F(Last, 0, 62, 62, DEC) F(SSV, 0, 63, 63, DEC) \
	F(PRGIndex, 1, 8, 0, DEC) F(PageAddr, 1, 63, 12, ADDR)

#define UI_SMMUV3_QUEUE_VALUE_ENUM(set, name, val, text) UI_SMMUV3_##set##_##name = (val),
#define UI_SMMUV3_OP_ENUM(name, val) UI_SMMUV3_OP_##name = (val),
#define UI_SMMUV3_EVENT_ENUM(name, val) UI_SMMUV3_##name = (val),
#define UI_SMMUV3_CMD_ENUM(name, shown, word, high, low, how) UI_SMMUV3_CMD_##name = UI_HW_FIELD(word, high, low),
#define UI_SMMUV3_EVT_ENUM(name, word, high, low, how) UI_SMMUV3_EVT_##name = UI_HW_FIELD(word, high, low),
#define UI_SMMUV3_PRI_ENUM(name, word, high, low, how) UI_SMMUV3_PRI_##name = UI_HW_FIELD(word, high, low),

enum { UI_SMMUV3_CMD_TG_VALUES(UI_SMMUV3_QUEUE_VALUE_ENUM) };
enum { UI_SMMUV3_RESP_VALUES(UI_SMMUV3_QUEUE_VALUE_ENUM) };
enum { UI_SMMUV3_CS_VALUES(UI_SMMUV3_QUEUE_VALUE_ENUM) };
enum { UI_SMMUV3_SH_VALUES(UI_SMMUV3_QUEUE_VALUE_ENUM) };
enum { UI_SMMUV3_RNW_VALUES(UI_SMMUV3_QUEUE_VALUE_ENUM) };
enum { UI_SMMUV3_CLASS_VALUES(UI_SMMUV3_QUEUE_VALUE_ENUM) };
enum { UI_SMMUV3_OPCODES(UI_SMMUV3_OP_ENUM) };
enum { UI_SMMUV3_EVENTS(UI_SMMUV3_EVENT_ENUM) };
enum { UI_SMMUV3_CMD_FIELDS(UI_SMMUV3_CMD_ENUM) };
enum { UI_SMMUV3_EVT_FIELDS(UI_SMMUV3_EVT_ENUM) };
enum { UI_SMMUV3_PRI_FIELDS(UI_SMMUV3_PRI_ENUM) };

/* CMDQ_CONS.ERR (7.1). */
enum { UI_SMMUV3_CERROR_NONE, UI_SMMUV3_CERROR_ILL, UI_SMMUV3_CERROR_ABT, UI_SMMUV3_CERROR_ATC_INV_SYNC };
/* CFGI_STE_RANGE with this Range is CFGI_ALL (4.3.6); ATC_INV with this Size is everything (4.5.1). */
enum { UI_SMMUV3_RANGE_ALL = 31, UI_SMMUV3_ATC_SIZE_ALL = 52 };

/* The table of the entry's own kind, named "CMD_SYNC", "F_TRANSLATION"; NULL: no such opcode or event. */
const struct ui_hw_struct *ui_smmuv3_command(const u64 *cmd);
const struct ui_hw_struct *ui_smmuv3_event(const u64 *evt);
extern const struct ui_hw_struct ui_smmuv3_pri;

#endif
