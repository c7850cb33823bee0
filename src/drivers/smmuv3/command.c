/* SPDX-License-Identifier: MIT */
/* Commands for the SMMU (IHI 0070, chapter 4): batches that end with a CMD_SYNC, which is then waited for. */
#include "drivers/smmuv3/priv.h"

#include "base/bits.h"

/* Pages by which commands that name single ones are worth it; beyond, the tag goes as a whole. */
enum { SINGLE_MAX = 512, RANGE_MAX_LG2 = 30, NUM_MAX = 31 };

static void submit(struct ui_smmuv3_drv *drv)
{
	if (drv->n_batch)
		drv->cfg.sink->submit(drv->cfg.sink->arg, drv->batch, drv->n_batch);
	drv->n_batch = 0;
}

void ui_smmuv3_cmd_add(struct ui_smmuv3_drv *drv, const u64 *cmd)
{
	u64 *to = &drv->batch[drv->n_batch * UI_SMMUV3_CMD_WORDS];

	if (!drv->cfg.sink)
		return;
	for (unsigned i = 0; i < UI_SMMUV3_CMD_WORDS; i++)
		to[i] = cmd[i];
	if (++drv->n_batch == UI_SMMUV3_BATCH)
		submit(drv);
}

void ui_smmuv3_cmd_sync(struct ui_smmuv3_drv *drv)
{
	u64 cmd[UI_SMMUV3_CMD_WORDS] = { 0 };

	if (!drv->cfg.sink)
		return;
	ui_hw_set(cmd, UI_SMMUV3_CMD_Opcode, UI_SMMUV3_OP_SYNC);
	ui_smmuv3_cmd_add(drv, cmd);
	submit(drv);
	drv->cfg.sink->sync(drv->cfg.sink->arg);
}

static void cfgi(struct ui_smmuv3_drv *drv, unsigned op, u32 sid, u32 ssid, bool leaf)
{
	u64 cmd[UI_SMMUV3_CMD_WORDS] = { 0 };

	ui_hw_set(cmd, UI_SMMUV3_CMD_Opcode, op);
	ui_hw_set(cmd, UI_SMMUV3_CMD_StreamID, sid);
	ui_hw_set(cmd, UI_SMMUV3_CMD_SubstreamID, ssid);
	ui_hw_set(cmd, UI_SMMUV3_CMD_Leaf, leaf);
	ui_smmuv3_cmd_add(drv, cmd);
	ui_smmuv3_cmd_sync(drv);
}

void ui_smmuv3_cfgi_ste(struct ui_smmuv3_drv *drv, u32 sid, bool leaf)
{
	cfgi(drv, UI_SMMUV3_OP_CFGI_STE, sid, 0, leaf);
}

void ui_smmuv3_cfgi_cd(struct ui_smmuv3_drv *drv, u32 sid, u32 ssid, bool leaf)
{
	cfgi(drv, UI_SMMUV3_OP_CFGI_CD, sid, ssid, leaf);
}

void ui_smmuv3_cfgi_cd_all(struct ui_smmuv3_drv *drv, u32 sid)
{
	cfgi(drv, UI_SMMUV3_OP_CFGI_CD_ALL, sid, 0, false);
}

void ui_smmuv3_cfgi_all(struct ui_smmuv3_drv *drv)
{
	u64 cmd[UI_SMMUV3_CMD_WORDS] = { 0 };

	ui_hw_set(cmd, UI_SMMUV3_CMD_Opcode, UI_SMMUV3_OP_CFGI_STE_RANGE);
	ui_hw_set(cmd, UI_SMMUV3_CMD_Range, UI_SMMUV3_RANGE_ALL);
	ui_smmuv3_cmd_add(drv, cmd);
	ui_smmuv3_cmd_sync(drv);
}

static void tlbi(const struct ui_smmuv3_dom *dom, unsigned op1, unsigned op2, u64 *cmd)
{
	cmd[0] = cmd[1] = 0;
	ui_hw_set(cmd, UI_SMMUV3_CMD_Opcode, dom->stage == 1 ? op1 : op2);
	ui_hw_set(cmd, dom->stage == 1 ? UI_SMMUV3_CMD_ASID : UI_SMMUV3_CMD_VMID, dom->tag);
}

void ui_smmuv3_tlbi_all(struct ui_smmuv3_dom *dom)
{
	u64 cmd[UI_SMMUV3_CMD_WORDS];

	tlbi(dom, UI_SMMUV3_OP_TLBI_NH_ASID, UI_SMMUV3_OP_TLBI_S12_VMALL, cmd);
	ui_smmuv3_cmd_add(dom->drv, cmd);
	ui_smmuv3_cmd_sync(dom->drv);
}

/*
 * 4.4.1.1: (NUM + 1) << SCALE granules from an address on, so a few commands do for any number. One granule of no known level has
 * no encoding as a range: it is named alone.
 */
static void add_ranges(struct ui_smmuv3_dom *dom, u64 start, u64 n)
{
	unsigned lg2 = dom->pt->cfg.granule_lg2, scale;
	bool ril = dom->drv->cfg.feat.ril;
	u64 cmd[UI_SMMUV3_CMD_WORDS], num;

	while (n) {
		scale = ril ? ui_ffs64(n) : 0;
		num = ril ? n >> scale & NUM_MAX : 1;
		tlbi(dom, UI_SMMUV3_OP_TLBI_NH_VA, UI_SMMUV3_OP_TLBI_S2_IPA, cmd);
		ui_hw_set_addr(cmd, dom->stage == 1 ? UI_SMMUV3_CMD_Address : UI_SMMUV3_CMD_IPA, start);
		if (num > 1 || scale) {
			ui_hw_set(cmd, UI_SMMUV3_CMD_TG, (lg2 - 10) / 2);
			ui_hw_set(cmd, UI_SMMUV3_CMD_NUM, num - 1);
			ui_hw_set(cmd, UI_SMMUV3_CMD_SCALE, scale);
		}
		ui_smmuv3_cmd_add(dom->drv, cmd);
		start += num << scale << lg2;
		n -= num << scale;
	}
}

void ui_smmuv3_tlbi_range(struct ui_smmuv3_dom *dom, u64 start, u64 last)
{
	unsigned lg2 = dom->pt->cfg.granule_lg2;
	u64 n;

	last = ui_min(last, ui_mask_lg2(dom->pt->cfg.ia_bits));
	start = ui_align_down(start, UI_BIT(lg2));
	if (start > last)
		return;
	n = ((last - start) >> lg2) + 1;
	if (n > (dom->drv->cfg.feat.ril ? UI_BIT(RANGE_MAX_LG2) : SINGLE_MAX)) {
		ui_smmuv3_tlbi_all(dom);
		return;
	}
	add_ranges(dom, start, n);
	ui_smmuv3_cmd_sync(dom->drv);
}
