/* SPDX-License-Identifier: MIT */
/* Registers of Intel VT-d, revision 5, as tables of fields (specification chapter 11.4). */
#ifndef UI_HW_VTD_H
#define UI_HW_VTD_H

#include "hw/field.h"

/* F(name, high, low). Fields that older revisions had and this one reserves are not in the lists. */
#define UI_VTD_CAP_FIELDS(F)									\
	F(ND, 2, 0) F(RWBF, 4, 4) F(PLMR, 5, 5) F(PHMR, 6, 6) F(CM, 7, 7) F(SAGAW, 12, 8)	\
	F(MGAW, 21, 16) F(ZLR, 22, 22) F(FRO, 33, 24) F(SSLPS, 37, 34) F(PSI, 39, 39)		\
	F(NFR, 47, 40) F(MAMV, 53, 48) F(DWD, 54, 54) F(DRD, 55, 55) F(FS1GP, 56, 56)		\
	F(PI, 59, 59) F(FS5LP, 60, 60) F(ECMDS, 61, 61) F(ESIRTPS, 62, 62) F(ESRTPS, 63, 63)

#define UI_VTD_ECAP_FIELDS(F)									\
	F(C, 0, 0) F(QI, 1, 1) F(DT, 2, 2) F(IR, 3, 3) F(EIM, 4, 4) F(PT, 6, 6) F(SC, 7, 7)	\
	F(IRO, 17, 8) F(MHMV, 23, 20) F(MTS, 25, 25) F(NEST, 26, 26) F(PRS, 29, 29)		\
	F(ERS, 30, 30) F(SRS, 31, 31) F(NWFS, 33, 33) F(EAFS, 34, 34) F(PSS, 39, 35)		\
	F(PASID, 40, 40) F(DIT, 41, 41) F(PDS, 42, 42) F(SMTS, 43, 43) F(VCS, 44, 44)		\
	F(SSADS, 45, 45) F(SSTS, 46, 46) F(FSTS, 47, 47) F(SMPWCS, 48, 48) F(RPS, 49, 49)	\
	F(TDXCS, 50, 50) F(PMS, 51, 51) F(ADMS, 52, 52) F(RPRIVS, 53, 53) F(HPTS, 55, 55)	\
	F(PTRS, 56, 56) F(SSIRWS, 57, 57) F(SMS, 58, 58) F(HPT1GPS, 59, 59) F(RDTS, 60, 60)	\
	F(EIMER, 61, 61) F(IRREQ, 62, 62)

#define UI_VTD_CAP_FIELD(name, high, low) UI_VTD_CAP_##name = UI_HW_FIELD(0, high, low),
#define UI_VTD_ECAP_FIELD(name, high, low) UI_VTD_ECAP_##name = UI_HW_FIELD(0, high, low),

enum { UI_VTD_CAP_FIELDS(UI_VTD_CAP_FIELD) };
enum { UI_VTD_ECAP_FIELDS(UI_VTD_ECAP_FIELD) };

extern const struct ui_hw_struct ui_vtd_cap, ui_vtd_ecap;

#endif
