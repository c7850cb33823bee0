/* SPDX-License-Identifier: MIT */
#include "hw/smmuv3_names.h"

UI_VALUES(CONFIG);
UI_VALUES(S1FMT);
UI_VALUES(S1DSS);
UI_VALUES(S1C);
UI_VALUES(RGN);
UI_VALUES(SH);
UI_VALUES(SHCFG);
UI_VALUES(PRIVCFG);
UI_VALUES(INSTCFG);
UI_VALUES(EATS);
UI_VALUES(STRW);
UI_VALUES(TG0);
UI_VALUES(TG1);
UI_VALUES(PS);

#define UI_HOW_CONFIG values_CONFIG
#define UI_HOW_S1FMT values_S1FMT
#define UI_HOW_S1DSS values_S1DSS
#define UI_HOW_S1C values_S1C
#define UI_HOW_RGN values_RGN
#define UI_HOW_SH values_SH
#define UI_HOW_SHCFG values_SHCFG
#define UI_HOW_PRIVCFG values_PRIVCFG
#define UI_HOW_INSTCFG values_INSTCFG
#define UI_HOW_EATS values_EATS
#define UI_HOW_STRW values_STRW
#define UI_HOW_TG0 values_TG0
#define UI_HOW_TG1 values_TG1
#define UI_HOW_PS values_PS

#define ROW(name, word, high, low, how) { #name, UI_HW_FIELD(word, high, low), UI_HOW_##how },
static const struct ui_hw_name l1std_names[] = { UI_SMMUV3_L1STD_FIELDS(ROW) };
static const struct ui_hw_name ste_names[] = { UI_SMMUV3_STE_FIELDS(ROW) };
static const struct ui_hw_name l1cd_names[] = { UI_SMMUV3_L1CD_FIELDS(ROW) };
static const struct ui_hw_name cd_names[] = { UI_SMMUV3_CD_FIELDS(ROW) };

UI_STRUCT(ui_smmuv3_l1std, "L1STD", 1, l1std_names);
UI_STRUCT(ui_smmuv3_ste, "STE", UI_SMMUV3_STE_WORDS, ste_names);
UI_STRUCT(ui_smmuv3_l1cd, "L1CD", 1, l1cd_names);
UI_STRUCT(ui_smmuv3_cd, "CD", UI_SMMUV3_CD_WORDS, cd_names);

#define STE(name) ui_hw_get(ste, UI_SMMUV3_STE_##name)

unsigned ui_smmuv3_substream(const u64 *ste, const struct ui_smmuv3_feat *feat, bool ssv, u32 ssid, bool *no_s1, u32 *index)
{
	u64 config = STE(Config), dss = STE(S1DSS);
	unsigned table_lg2 = ui_smmuv3_cd_table_lg2(ste, feat);

	*no_s1 = !(config & 1);
	*index = 0;
	if (*no_s1 || !table_lg2)
		return ssv ? UI_SMMUV3_C_BAD_SUBSTREAMID : 0;
	if (ssv) {
		*index = ssid;
		if (ssid >> table_lg2)
			return UI_SMMUV3_C_BAD_SUBSTREAMID;
		return dss == UI_SMMUV3_S1DSS_SSID0 && !ssid ? UI_SMMUV3_F_STREAM_DISABLED : 0;
	}
	*no_s1 = dss == UI_SMMUV3_S1DSS_BYPASS;
	return *no_s1 || dss == UI_SMMUV3_S1DSS_SSID0 ? 0 : UI_SMMUV3_F_STREAM_DISABLED;
}

unsigned ui_smmuv3_cd_table_lg2(const u64 *ste, const struct ui_smmuv3_feat *feat)
{
	return feat->ssidsize ? (unsigned)STE(S1CDMax) : 0;
}

unsigned ui_smmuv3_cd_leaf_lg2(const u64 *ste, const struct ui_smmuv3_feat *feat)
{
	u64 fmt = STE(S1Fmt);

	if (!ui_smmuv3_cd_table_lg2(ste, feat))
		return 0;
	return fmt == UI_SMMUV3_S1FMT_4K ? 6 : fmt == UI_SMMUV3_S1FMT_64K ? 10 : 0;
}

/* 5.2 S1Fmt: tables are aligned to their size, of L1CDs to 64 bytes at least. */
u64 ui_smmuv3_cd_first_addr(const u64 *ste, const struct ui_smmuv3_feat *feat, u32 index)
{
	u64 base = ui_hw_get_addr(ste, UI_SMMUV3_STE_S1ContextPtr);
	unsigned table_lg2 = ui_smmuv3_cd_table_lg2(ste, feat), leaf_lg2 = ui_smmuv3_cd_leaf_lg2(ste, feat), l1_lg2;

	if (!leaf_lg2)
		return (base & ~ui_mask_lg2(table_lg2 + 6)) + (u64)index * UI_SMMUV3_CD_BYTES;
	l1_lg2 = table_lg2 > leaf_lg2 ? table_lg2 - leaf_lg2 : 0;
	return (base & ~ui_mask_lg2(l1_lg2 + 3)) + (u64)(index >> leaf_lg2) * UI_SMMUV3_L1CD_BYTES;
}

u64 ui_smmuv3_cd_second_addr(const u64 *l1cd, unsigned leaf_lg2, u32 index)
{
	return (ui_hw_get_addr(l1cd, UI_SMMUV3_L1CD_L2Ptr) & ~ui_mask_lg2(leaf_lg2 + 6)) +
	       (index & ui_mask_lg2(leaf_lg2)) * UI_SMMUV3_CD_BYTES;
}

unsigned ui_smmuv3_strtab_split(u32 cfg, const struct ui_smmuv3_feat *feat)
{
	const u64 word = cfg;
	u64 split = ui_hw_get(&word, UI_SMMUV3_STRTAB_BASE_CFG_SPLIT);

	if (!feat->st_level || ui_hw_get(&word, UI_SMMUV3_STRTAB_BASE_CFG_FMT) != UI_SMMUV3_FMT_2LVL)
		return 0;
	return split == 8 || split == 10 ? (unsigned)split : 6;
}

unsigned ui_smmuv3_strtab_lg2(u32 cfg, const struct ui_smmuv3_feat *feat)
{
	const u64 word = cfg;

	return (unsigned)ui_min(ui_hw_get(&word, UI_SMMUV3_STRTAB_BASE_CFG_LOG2SIZE), feat->sidsize);
}

/* 6.3.24: the alignment goes by LOG2SIZE as it is written, even beyond SIDSIZE. */
u64 ui_smmuv3_ste_first_addr(u64 base, u32 cfg, const struct ui_smmuv3_feat *feat, u32 sid)
{
	const u64 word = cfg;
	unsigned lg2 = (unsigned)ui_hw_get(&word, UI_SMMUV3_STRTAB_BASE_CFG_LOG2SIZE);
	unsigned split = ui_smmuv3_strtab_split(cfg, feat);
	u64 addr = ui_hw_get_addr(&base, UI_SMMUV3_STRTAB_BASE_ADDR);

	if (!split)
		return (addr & ~ui_mask_lg2(lg2 + 6)) + (u64)sid * UI_SMMUV3_STE_BYTES;
	lg2 = lg2 > split ? lg2 - split : 0;
	return (addr & ~ui_mask_lg2(lg2 + 3)) + (u64)(sid >> split) * UI_SMMUV3_L1STD_BYTES;
}

int ui_smmuv3_l1std_lg2(const u64 *l1std, unsigned split)
{
	u64 span = ui_hw_get(l1std, UI_SMMUV3_L1STD_Span);

	return !span || span > split + 1 ? -1 : (int)span - 1;
}

bool ui_smmuv3_ste_second_addr(const u64 *l1std, unsigned split, u32 sid, u64 *addr)
{
	int lg2 = ui_smmuv3_l1std_lg2(l1std, split);
	u64 index = sid & ui_mask_lg2(split);

	if (lg2 < 0 || index >> lg2)
		return false;
	*addr = (ui_hw_get_addr(l1std, UI_SMMUV3_L1STD_L2Ptr) & ~ui_mask_lg2((unsigned)lg2 + 6)) + index * UI_SMMUV3_STE_BYTES;
	return true;
}
