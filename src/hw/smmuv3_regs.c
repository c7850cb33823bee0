/* SPDX-License-Identifier: MIT */
#include "hw/smmuv3_names.h"

UI_VALUES(TTF);
UI_VALUES(HTTU);
UI_VALUES(TTENDIAN);
UI_VALUES(STALL);
UI_VALUES(ST_LEVEL);
UI_VALUES(VAX);
UI_VALUES(PS);
UI_VALUES(CACHE);
UI_VALUES(SH);
UI_VALUES(SHCFG);
UI_VALUES(PRIVCFG);
UI_VALUES(INSTCFG);
UI_VALUES(FMT);
UI_VALUES(CERR);
UI_VALUES(RNW);

#define UI_HOW_TTF values_TTF
#define UI_HOW_HTTU values_HTTU
#define UI_HOW_TTENDIAN values_TTENDIAN
#define UI_HOW_STALL values_STALL
#define UI_HOW_ST_LEVEL values_ST_LEVEL
#define UI_HOW_VAX values_VAX
#define UI_HOW_PS values_PS
#define UI_HOW_CACHE values_CACHE
#define UI_HOW_SH values_SH
#define UI_HOW_SHCFG values_SHCFG
#define UI_HOW_PRIVCFG values_PRIVCFG
#define UI_HOW_INSTCFG values_INSTCFG
#define UI_HOW_FMT values_FMT
#define UI_HOW_CERR values_CERR
#define UI_HOW_RNW values_RNW

#define NAME(name, high, low, how) { #name, UI_HW_FIELD(0, high, low), UI_HOW_##how },
#define NAMES(table) static const struct ui_hw_name names_##table[] = { UI_SMMUV3_##table##_FIELDS(NAME) };
UI_SMMUV3_REG_TABLES(NAMES)

/* One for each register, since what is printed bears its name. */
#define TABLE(name, offset, n_bytes, table) static UI_STRUCT(reg_##name, #name, 1, names_##table);
UI_SMMUV3_REGS(TABLE)

#define REG(name, offset, n_bytes, table) { offset, n_bytes, &reg_##name },
const struct ui_smmuv3_reg ui_smmuv3_regs[] = { UI_SMMUV3_REGS(REG) };
const size_t ui_smmuv3_n_regs = ui_array_size(ui_smmuv3_regs);

#define FROM(member, reg, name) feat->member = (u16)ui_hw_get(&words[reg], UI_SMMUV3_IDR##reg##_##name);
#define TO(member, reg, name) ui_hw_set(&words[reg], UI_SMMUV3_IDR##reg##_##name, feat->member);

void ui_smmuv3_feat_from_idr(struct ui_smmuv3_feat *feat, const u32 idr[UI_SMMUV3_N_IDR])
{
	u64 words[UI_SMMUV3_N_IDR];

	for (unsigned i = 0; i < UI_SMMUV3_N_IDR; i++)
		words[i] = idr[i];
	UI_SMMUV3_FEATURES(FROM)
}

void ui_smmuv3_feat_to_idr(const struct ui_smmuv3_feat *feat, u32 idr[UI_SMMUV3_N_IDR])
{
	u64 words[UI_SMMUV3_N_IDR] = { 0 };

	UI_SMMUV3_FEATURES(TO)
	for (unsigned i = 0; i < UI_SMMUV3_N_IDR; i++)
		idr[i] = (u32)words[i];
}

void ui_smmuv3_feat_all(struct ui_smmuv3_feat *feat)
{
	*feat = (struct ui_smmuv3_feat){
		.s2p = 1, .s1p = 1, .ttf = UI_SMMUV3_TTF_BOTH, .cohacc = 1, .btm = 1, .httu = UI_SMMUV3_HTTU_AF_DIRTY, .hyp = 1,
		.ats = 1, .asid16 = 1, .msi = 1, .sev = 1, .atos = 1, .pri = 1, .vmw = 1, .vmid16 = 1, .cd2l = 1, .vatos = 1,
		.ttendian = UI_SMMUV3_TTENDIAN_MIXED, .atsrecerr = 1, .stall_model = UI_SMMUV3_STALL_BOTH,
		.st_level = UI_SMMUV3_ST_LEVEL_2LVL,
		.sidsize = 32, .ssidsize = 20, .priqs = 19, .eventqs = 19, .cmdqs = 19, .attr_perms_ovr = 1, .attr_types_ovr = 1,
		.had = 1, .pbha = 1, .xnx = 1, .pps = 1, .mpam = 1, .fwb = 1, .stt = 1, .ril = 1, .bbml = 2,
		.oas = UI_SMMUV3_PS_52, .gran4k = 1, .gran16k = 1, .gran64k = 1, .vax = UI_SMMUV3_VAX_52, .stall_max = 0xffff,
	};
}
