/* SPDX-License-Identifier: MIT */
/*
 * Entries of page tables as tables of fields, for who prints them (what they do is src/pgtable's): VMSAv8-64 (Arm ARM, D8.3
 * "Translation table descriptor formats"), x86-64 (VT-d 9.7) and VT-d's second stage (9.8). The address of an entry depends on its level
 * and granule and so is in no list; nor are the bits that say what kind of entry it is.
 */
#ifndef UI_HW_PTE_H
#define UI_HW_PTE_H

#include "hw/field.h"

/* F(field, high, low, how it is shown). */
#define UI_PTE_ARM_TABLE_FIELDS(F)								\
	F(PXNTable, 59, 59, DEC) F(UXNTable, 60, 60, DEC) F(APTable, 62, 61, DEC) F(NSTable, 63, 63, DEC)
#define UI_PTE_ARM_S1_FIELDS(F)									\
	F(AttrIndx, 4, 2, DEC) F(NS, 5, 5, DEC) F(AP, 7, 6, ARM_AP) F(SH, 9, 8, ARM_SH) F(AF, 10, 10, DEC) F(nG, 11, 11, DEC) \
	F(DBM, 51, 51, DEC) F(Contiguous, 52, 52, DEC) F(PXN, 53, 53, DEC) F(UXN, 54, 54, DEC) F(SW, 58, 55, HEX) \
	F(PBHA, 62, 59, HEX)
#define UI_PTE_ARM_S2_FIELDS(F)									\
	F(MemAttr, 5, 2, HEX) F(S2AP, 7, 6, ARM_S2AP) F(SH, 9, 8, ARM_SH) F(AF, 10, 10, DEC) F(FnXS, 11, 11, DEC) \
	F(DBM, 51, 51, DEC) F(Contiguous, 52, 52, DEC) F(XN, 54, 53, ARM_XN) F(SW, 58, 55, HEX) F(PBHA, 62, 59, HEX)
#define UI_PTE_X86_FIELDS(F)									\
	F(RW, 1, 1, DEC) F(US, 2, 2, DEC) F(PWT, 3, 3, DEC) F(PCD, 4, 4, DEC) F(A, 5, 5, DEC) F(D, 6, 6, DEC) F(PAT, 7, 7, DEC) F(G, 8, 8, DEC) \
	F(SW, 11, 9, HEX) F(SWH, 62, 52, HEX) F(XD, 63, 63, DEC)
#define UI_PTE_VTDSS_FIELDS(F)									\
	F(R, 0, 0, DEC) F(W, 1, 1, DEC) F(X, 2, 2, DEC) F(EMT, 5, 3, DEC) F(IPAT, 6, 6, DEC) F(A, 8, 8, DEC) F(D, 9, 9, DEC) \
	F(SNP, 11, 11, DEC)

extern const struct ui_hw_struct ui_pte_arm_table, ui_pte_arm_s1, ui_pte_arm_s2, ui_pte_x86, ui_pte_vtdss;

#endif
