/* SPDX-License-Identifier: MIT */
/* STEs and CDs from what is attached (IHI 0070, 5.2, 5.4). Nothing is kept of them: an attach makes them anew. */
#include "drivers/smmuv3/priv.h"

#include "pgtable/arm.h"

#include <string.h>

/* MAIR as the table format numbers memory: 0 non-cacheable, 1 write-back, 2 device. */
#define MAIR ((u64)0x44 | (u64)0xff << 8 | (u64)0x04 << 16)

static void ste_config(u64 *ste, unsigned config)
{
	memset(ste, 0, UI_SMMUV3_STE_BYTES);
	ui_hw_set(ste, UI_SMMUV3_STE_V, 1);
	ui_hw_set(ste, UI_SMMUV3_STE_Config, config);
}

/* What passes stage 1 untranslated keeps the shareability that it came with. */
static void incoming_shareability(const struct ui_smmuv3_drv *drv, u64 *ste)
{
	if (drv->cfg.feat.attr_types_ovr)
		ui_hw_set(ste, UI_SMMUV3_STE_SHCFG, UI_SMMUV3_SHCFG_INCOMING);
}

void ui_smmuv3_make_abort(u64 *ste)
{
	ste_config(ste, UI_SMMUV3_CONFIG_ABORT);
}

void ui_smmuv3_make_bypass(const struct ui_smmuv3_drv *drv, u64 *ste)
{
	ste_config(ste, UI_SMMUV3_CONFIG_BYPASS);
	incoming_shareability(drv, ste);
}

void ui_smmuv3_make_s1(const struct ui_smmuv3_client *client, unsigned s1dss, u64 *ste)
{
	unsigned fmt = client->leaf_lg2 == 10 ? UI_SMMUV3_S1FMT_64K : client->leaf_lg2 ? UI_SMMUV3_S1FMT_4K : UI_SMMUV3_S1FMT_LINEAR;

	ste_config(ste, UI_SMMUV3_CONFIG_S1);
	ui_hw_set(ste, UI_SMMUV3_STE_S1Fmt, fmt);
	ui_hw_set_addr(ste, UI_SMMUV3_STE_S1ContextPtr, ui_smmuv3_pa(client->drv, client->cds));
	ui_hw_set(ste, UI_SMMUV3_STE_S1CDMax, client->ssid_bits);
	ui_hw_set(ste, UI_SMMUV3_STE_S1DSS, s1dss);
	ui_hw_set(ste, UI_SMMUV3_STE_S1CIR, UI_SMMUV3_S1C_WBRA);
	ui_hw_set(ste, UI_SMMUV3_STE_S1COR, UI_SMMUV3_S1C_WBRA);
	ui_hw_set(ste, UI_SMMUV3_STE_S1CSH, UI_SMMUV3_SH_ISH);
	ui_hw_set(ste, UI_SMMUV3_STE_STRW, UI_SMMUV3_STRW_EL1);
	if (client->drv->cfg.feat.stall_model == UI_SMMUV3_STALL_BOTH)
		ui_hw_set(ste, UI_SMMUV3_STE_S1STALLD, 1);
	if (s1dss == UI_SMMUV3_S1DSS_BYPASS)
		incoming_shareability(client->drv, ste);
}

static unsigned tg_code(unsigned granule_lg2)
{
	return granule_lg2 == 16 ? UI_SMMUV3_TG0_64K : granule_lg2 == 14 ? UI_SMMUV3_TG0_16K : UI_SMMUV3_TG0_4K;
}

static unsigned ps_code(unsigned bits)
{
	unsigned code = 0;

	while (ui_smmuv3_ps_bits(code) < bits)
		code++;
	return code;
}

/* S2SL0 counts from level 2 with 4K granules, from level 3 with others, upwards. */
void ui_smmuv3_make_s2(const struct ui_smmuv3_dom *dom, u64 *ste)
{
	const struct ui_pt_cfg *cfg = &dom->pt->cfg;
	unsigned lowest = cfg->granule_lg2 == 12 ? 2 : 3;

	ste_config(ste, UI_SMMUV3_CONFIG_S2);
	incoming_shareability(dom->drv, ste);
	ui_hw_set(ste, UI_SMMUV3_STE_S2VMID, dom->tag);
	ui_hw_set(ste, UI_SMMUV3_STE_S2T0SZ, 64u - cfg->ia_bits);
	ui_hw_set(ste, UI_SMMUV3_STE_S2SL0, lowest - ui_arm_level(dom->pt->top_level));
	ui_hw_set(ste, UI_SMMUV3_STE_S2IR0, UI_SMMUV3_RGN_WBRAWA);
	ui_hw_set(ste, UI_SMMUV3_STE_S2OR0, UI_SMMUV3_RGN_WBRAWA);
	ui_hw_set(ste, UI_SMMUV3_STE_S2SH0, UI_SMMUV3_SH_ISH);
	ui_hw_set(ste, UI_SMMUV3_STE_S2TG, tg_code(cfg->granule_lg2));
	ui_hw_set(ste, UI_SMMUV3_STE_S2PS, ps_code(cfg->oa_bits));
	ui_hw_set(ste, UI_SMMUV3_STE_S2AA64, 1);
	ui_hw_set(ste, UI_SMMUV3_STE_S2PTW, 1);
	ui_hw_set(ste, UI_SMMUV3_STE_S2R, 1);
	ui_hw_set_addr(ste, UI_SMMUV3_STE_S2TTB, dom->pt->top_pa);
}

/* The lower half only; what a transaction may not do ends it and is recorded (A, R). */
void ui_smmuv3_make_cd(const struct ui_smmuv3_dom *dom, u64 *cd)
{
	const struct ui_pt_cfg *cfg = &dom->pt->cfg;

	memset(cd, 0, UI_SMMUV3_CD_BYTES);
	ui_hw_set(cd, UI_SMMUV3_CD_T0SZ, 64u - cfg->ia_bits);
	ui_hw_set(cd, UI_SMMUV3_CD_TG0, tg_code(cfg->granule_lg2));
	ui_hw_set(cd, UI_SMMUV3_CD_IR0, UI_SMMUV3_RGN_WBRAWA);
	ui_hw_set(cd, UI_SMMUV3_CD_OR0, UI_SMMUV3_RGN_WBRAWA);
	ui_hw_set(cd, UI_SMMUV3_CD_SH0, UI_SMMUV3_SH_ISH);
	ui_hw_set(cd, UI_SMMUV3_CD_EPD1, 1);
	ui_hw_set(cd, UI_SMMUV3_CD_V, 1);
	ui_hw_set(cd, UI_SMMUV3_CD_IPS, ps_code(cfg->oa_bits));
	ui_hw_set(cd, UI_SMMUV3_CD_AA64, 1);
	ui_hw_set(cd, UI_SMMUV3_CD_HA, cfg->dirty_track);
	ui_hw_set(cd, UI_SMMUV3_CD_HD, cfg->dirty_track);
	ui_hw_set(cd, UI_SMMUV3_CD_R, 1);
	ui_hw_set(cd, UI_SMMUV3_CD_A, 1);
	ui_hw_set(cd, UI_SMMUV3_CD_ASET, 1);
	ui_hw_set(cd, UI_SMMUV3_CD_ASID, dom->tag);
	ui_hw_set_addr(cd, UI_SMMUV3_CD_TTB0, dom->pt->top_pa);
	ui_hw_set(cd, UI_SMMUV3_CD_MAIR, MAIR);
}
