/* SPDX-License-Identifier: MIT */
/*
 * Which STEs, CDs and L1CDs an SMMUv3.2 takes (Arm IHI 0070, 5.2.2, 5.4.2): in the order of the specification, so that the field that
 * is named is the first that it would refuse.
 */
#include "hw/smmuv3.h"

#define STE(name) ui_hw_get(ste, UI_SMMUV3_STE_##name)
#define CD(name) ui_hw_get(cd, UI_SMMUV3_CD_##name)

unsigned ui_smmuv3_ps_bits(u64 code)
{
	static const u8 bits[] = { 32, 36, 40, 42, 44, 48, 52 };

	/* 7 behaves as 6 up to SMMUv3.3. */
	return bits[ui_min(code, ui_array_size(bits) - 1)];
}

unsigned ui_smmuv3_oas_bits(const struct ui_smmuv3_feat *feat)
{
	return ui_smmuv3_ps_bits(feat->oas);
}

unsigned ui_smmuv3_ias_bits(const struct ui_smmuv3_feat *feat)
{
	unsigned aa64 = feat->ttf & UI_SMMUV3_TTF_AA64 ? ui_smmuv3_oas_bits(feat) : 0;

	return (unsigned)ui_max(feat->ttf & UI_SMMUV3_TTF_AA32 ? 40 : 0, aa64);
}

unsigned ui_smmuv3_out_bits(const struct ui_smmuv3_feat *feat, u64 code, bool aa64)
{
	return aa64 ? (unsigned)ui_min(ui_smmuv3_ps_bits(code), ui_smmuv3_oas_bits(feat)) : 40;
}

unsigned ui_smmuv3_tg0_lg2(const struct ui_smmuv3_feat *feat, u64 tg0)
{
	switch (tg0) {
	case UI_SMMUV3_TG0_4K:
		return feat->gran4k ? 12 : 0;
	case UI_SMMUV3_TG0_16K:
		return feat->gran16k ? 14 : 0;
	case UI_SMMUV3_TG0_64K:
		return feat->gran64k ? 16 : 0;
	default:
		return 0;
	}
}

unsigned ui_smmuv3_tg1_lg2(const struct ui_smmuv3_feat *feat, u64 tg1)
{
	static const u8 as_tg0[] = { UI_SMMUV3_TG0_RES_3, UI_SMMUV3_TG0_16K, UI_SMMUV3_TG0_4K, UI_SMMUV3_TG0_64K };

	return ui_smmuv3_tg0_lg2(feat, as_tg0[tg1 & 3]);
}

/*
 * Arm ARM, stage 2 translation tables: the start level's table has two entries at least and sixteen tables' worth, concatenated, at
 * most; the first level that a granule can start at needs an output size that has a use for it.
 */
int ui_smmuv3_s2_start_level(const struct ui_smmuv3_feat *feat, unsigned granule_lg2, unsigned t0sz, unsigned sl0)
{
	unsigned stride_lg2 = granule_lg2 - 3, oas = ui_smmuv3_oas_bits(feat), first = granule_lg2 == 12 ? 0 : 1;
	unsigned worth = granule_lg2 == 14 ? 41 : 43;
	int level, entries_lg2;

	if (sl0 == 3) {
		/* Only 4K granules have a use for it, with small tables (FEAT_TTST). */
		if (granule_lg2 != 12 || !feat->stt)
			return -1;
		level = 3;
	} else {
		level = (granule_lg2 == 12 ? 2 : 3) - (int)sl0;
	}
	if (level == (int)first && oas < worth)
		return -1;
	entries_lg2 = 64 - (int)t0sz - (3 - level) * (int)stride_lg2 - (int)granule_lg2;
	return entries_lg2 < 1 || entries_lg2 > (int)stride_lg2 + 4 ? -1 : level;
}

/* The same for 32-bit tables: S2T0SZ is a signed number of four bits, S2SL0 0 or 1 for level 2 or 1. */
static bool s2_walk32_consistent(u64 t0sz, u64 sl0)
{
	int size = 32 - (int)((t0sz & 7) - (t0sz & 8)), entries_lg2 = size - (1 + (int)sl0) * 9 - 12;

	return sl0 < 2 && entries_lg2 >= 1 && entries_lg2 <= 13;
}

/* 5.2 STRW: is it a field at all? */
static bool strw_used(const u64 *ste, const struct ui_smmuv3_feat *feat)
{
	return feat->s1p && feat->hyp && STE(Config) == UI_SMMUV3_CONFIG_S1;
}

enum ui_smmuv3_world ui_smmuv3_ste_world(const u64 *ste, const struct ui_smmuv3_feat *feat, bool e2h)
{
	if (!strw_used(ste, feat) || STE(STRW) == UI_SMMUV3_STRW_EL1)
		return UI_SMMUV3_NS_EL1;
	return e2h ? UI_SMMUV3_NS_EL2_E2H : UI_SMMUV3_NS_EL2;
}

/* 5.2 EATS. CR0.ATSCHK has no part in it: without it split-stage ATS behaves as none. */
static bool eats_illegal(const u64 *ste, const struct ui_smmuv3_feat *feat)
{
	u64 config = STE(Config);

	if (!feat->ats || config == UI_SMMUV3_CONFIG_BYPASS)
		return false;
	switch (STE(EATS)) {
	case UI_SMMUV3_EATS_FULL:
		return (config & 2) && STE(S2S);
	case UI_SMMUV3_EATS_SPLIT:
		return config != UI_SMMUV3_CONFIG_NESTED || STE(S2S) || feat->ns1ats;
	default:
		return false;
	}
}

/* A stage that is not there, ATS, StreamWorld. */
static const char *ste_top_illegal(const u64 *ste, const struct ui_smmuv3_feat *feat)
{
	u64 config = STE(Config);

	if (((config & 1) && !feat->s1p) || ((config & 2) && !feat->s2p))
		return "Config";
	if (eats_illegal(ste, feat))
		return "EATS";
	if (strw_used(ste, feat) && (STE(STRW) & 1))
		return "STRW";
	return NULL;
}

static const char *ste_s1_illegal(const u64 *ste, const struct ui_smmuv3_feat *feat)
{
	u64 fmt = STE(S1Fmt), cdmax = STE(S1CDMax);

	if (STE(S1STALLD) && feat->stall_model != UI_SMMUV3_STALL_BOTH)
		return "S1STALLD";
	if (feat->ssidsize && cdmax > feat->ssidsize)
		return "S1CDMax";
	if (feat->ssidsize && cdmax && !feat->cd2l && (fmt == UI_SMMUV3_S1FMT_4K || fmt == UI_SMMUV3_S1FMT_64K))
		return "S1Fmt";
	/* 3.4.3 (1). As an IPA it may be refused here or by stage 2 (2): ours leave it to stage 2, which tells the address. */
	if (STE(Config) == UI_SMMUV3_CONFIG_S1 &&
	    ui_hw_get_addr(ste, UI_SMMUV3_STE_S1ContextPtr) >> ui_smmuv3_oas_bits(feat))
		return "S1ContextPtr";
	return NULL;
}

/* The S2 fields that say where and how far stage 2 walks. */
static const char *ste_s2_walk_illegal(const u64 *ste, const struct ui_smmuv3_feat *feat)
{
	bool aa64 = STE(S2AA64);
	unsigned granule_lg2 = aa64 ? ui_smmuv3_tg0_lg2(feat, STE(S2TG)) : 12, out = ui_smmuv3_out_bits(feat, STE(S2PS), aa64);
	unsigned t0sz = (unsigned)STE(S2T0SZ), max = !feat->stt ? 39 : granule_lg2 == 16 ? 47 : 48;

	if (!granule_lg2)
		return "S2TG";
	/* 52 bits of address exist with 64K granules only. */
	if (ui_hw_get_addr(ste, UI_SMMUV3_STE_S2TTB) >> ui_min(out, aa64 && granule_lg2 < 16 ? 48 : 64))
		return "S2TTB";
	if (!aa64)
		return s2_walk32_consistent(t0sz, STE(S2SL0)) ? NULL : "S2SL0";
	if (t0sz < ui_max(granule_lg2 == 16 ? 12 : 16, 64 - ui_smmuv3_ias_bits(feat)) || t0sz > max)
		return "S2T0SZ";
	return ui_smmuv3_s2_start_level(feat, granule_lg2, t0sz, (unsigned)STE(S2SL0)) < 0 ? "S2SL0" : NULL;
}

static const char *ste_s2_illegal(const u64 *ste, const struct ui_smmuv3_feat *feat)
{
	bool aa64 = STE(S2AA64);
	const char *bad;

	if (STE(S2FWB) && feat->fwb && !aa64)
		return "S2FWB";
	if ((STE(S2S) && feat->stall_model == UI_SMMUV3_STALL_TERMINATE) ||
	    (!STE(S2S) && feat->stall_model == UI_SMMUV3_STALL_FORCED))
		return "S2S";
	if (!(feat->ttf & (aa64 ? UI_SMMUV3_TTF_AA64 : UI_SMMUV3_TTF_AA32)))
		return "S2AA64";
	if (STE(S2HA) && (!aa64 || !feat->httu))
		return "S2HA";
	if (STE(S2HD) && (!aa64 || feat->httu < UI_SMMUV3_HTTU_AF_DIRTY))
		return "S2HD";
	bad = ste_s2_walk_illegal(ste, feat);
	if (bad)
		return bad;
	if ((STE(S2ENDI) && feat->ttendian == UI_SMMUV3_TTENDIAN_LE) || (!STE(S2ENDI) && feat->ttendian == UI_SMMUV3_TTENDIAN_BE))
		return "S2ENDI";
	return NULL;
}

const char *ui_smmuv3_ste_illegal(const u64 *ste, const struct ui_smmuv3_feat *feat)
{
	u64 config = STE(Config);
	const char *bad;

	if (!STE(V))
		return "V";
	if (!(config & 4))
		return NULL;
	bad = ste_top_illegal(ste, feat);
	if (!bad && (config & 1))
		bad = ste_s1_illegal(ste, feat);
	if (!bad && (config & 2))
		bad = ste_s2_illegal(ste, feat);
	if (bad)
		return bad;
	/* S2VMID also tags what stage 1 alone translates for NS-EL1. */
	if (config != UI_SMMUV3_CONFIG_BYPASS && feat->s2p && !feat->vmid16 && STE(S2VMID) >> 8 &&
	    ui_smmuv3_ste_world(ste, feat, false) == UI_SMMUV3_NS_EL1)
		return "S2VMID";
	if (config == UI_SMMUV3_CONFIG_NESTED && feat->mpam && STE(S1MPAM) &&
	    ui_hw_get_addr(ste, UI_SMMUV3_STE_VMSPtr) >> ui_smmuv3_oas_bits(feat))
		return "VMSPtr";
	return NULL;
}

const char *ui_smmuv3_l1cd_illegal(const u64 *l1cd, const u64 *ste, const struct ui_smmuv3_feat *feat)
{
	if (!ui_hw_get(l1cd, UI_SMMUV3_L1CD_V))
		return "V";
	if (STE(Config) == UI_SMMUV3_CONFIG_S1 && ui_hw_get_addr(l1cd, UI_SMMUV3_L1CD_L2Ptr) >> ui_smmuv3_oas_bits(feat))
		return "L2Ptr";
	return NULL;
}

/* 5.5. */
static const char *cd_fault_illegal(const u64 *cd, const u64 *ste, const struct ui_smmuv3_feat *feat)
{
	if (CD(S) ? STE(S1STALLD) || feat->stall_model == UI_SMMUV3_STALL_TERMINATE : feat->stall_model == UI_SMMUV3_STALL_FORCED)
		return "S";
	if (feat->term_model && !CD(A))
		return "A";
	return NULL;
}

/* Formats and flag updates, which both halves share. */
static const char *cd_shared_illegal(const u64 *cd, const u64 *ste, const struct ui_smmuv3_feat *feat, enum ui_smmuv3_world world)
{
	if (!CD(AA64) && (!(feat->ttf & UI_SMMUV3_TTF_AA32) || world == UI_SMMUV3_NS_EL2_E2H))
		return "AA64";
	if (CD(AA64) && (!(feat->ttf & UI_SMMUV3_TTF_AA64) || ((STE(Config) & 2) && !STE(S2AA64))))
		return "AA64";
	if (CD(AA64) && CD(HA) && !feat->httu)
		return "HA";
	if (CD(AA64) && CD(HD) && feat->httu < UI_SMMUV3_HTTU_AF_DIRTY)
		return "HD";
	if (world != UI_SMMUV3_NS_EL2 && !feat->asid16 && CD(ASID) >> 8)
		return "ASID";
	return NULL;
}

/* One half; @granule_lg2 as its TGx selects it. */
static const char *cd_half_illegal(const struct ui_smmuv3_feat *feat, bool aa64, unsigned granule_lg2, u64 txsz, u64 ttb, unsigned out,
				   const char *const names[3])
{
	unsigned min = granule_lg2 == 16 && feat->vax ? 12 : 16, max = !feat->stt ? 39 : granule_lg2 == 16 ? 47 : 48;

	if (aa64 && !granule_lg2)
		return names[0];
	if (aa64 && (txsz < min || txsz > max))
		return names[1];
	return ttb >> ui_min(out, aa64 && granule_lg2 < 16 ? 48 : 64) ? names[2] : NULL;
}

const char *ui_smmuv3_cd_illegal(const u64 *cd, const u64 *ste, const struct ui_smmuv3_feat *feat, bool e2h)
{
	static const char *const lower[] = { "TG0", "T0SZ", "TTB0" }, *const upper[] = { "TG1", "T1SZ", "TTB1" };
	enum ui_smmuv3_world world = ui_smmuv3_ste_world(ste, feat, e2h);
	/* 5.4 EPD0: EL2 without E2H has one table, and nothing to switch it off. */
	bool aa64 = CD(AA64), use0 = world == UI_SMMUV3_NS_EL2 || !CD(EPD0), use1 = world != UI_SMMUV3_NS_EL2 && !CD(EPD1);
	unsigned out = ui_smmuv3_out_bits(feat, CD(IPS), aa64);
	const char *bad;

	if (!CD(V))
		return "V";
	bad = cd_fault_illegal(cd, ste, feat);
	if (bad)
		return bad;
	if ((use0 || use1) && ((CD(ENDI) && feat->ttendian == UI_SMMUV3_TTENDIAN_LE) ||
			       (!CD(ENDI) && feat->ttendian == UI_SMMUV3_TTENDIAN_BE)))
		return "ENDI";
	bad = cd_shared_illegal(cd, ste, feat, world);
	if (!bad && use0)
		bad = cd_half_illegal(feat, aa64, ui_smmuv3_tg0_lg2(feat, CD(TG0)), CD(T0SZ), ui_hw_get_addr(cd, UI_SMMUV3_CD_TTB0),
				      out, lower);
	if (!bad && use1)
		bad = cd_half_illegal(feat, aa64, ui_smmuv3_tg1_lg2(feat, CD(TG1)), CD(T1SZ), ui_hw_get_addr(cd, UI_SMMUV3_CD_TTB1),
				      out, upper);
	return bad;
}
