/* SPDX-License-Identifier: MIT */
/* The command queue (chapter 4). What a command invalidates is gone when CONS has passed it. */
#include "base/bits.h"
#include "models/smmuv3/priv.h"

#define CMD(name) ui_hw_get(cmd, UI_SMMUV3_CMD_##name)
#define ALL (~(u64)0)

/* ---- Configuration ---- */

struct cfgi {
	u32 sid, sid_mask; /* StreamIDs that agree with @sid in the bits of @sid_mask */
	u32 cd_index;
	bool one_cd;
};

static bool cfgi_matches(const struct ui_smmuv3_cached_config *c, const void *arg)
{
	const struct cfgi *cfgi = arg;

	if (((u32)(c->who >> 32) ^ cfgi->sid) & cfgi->sid_mask)
		return false;
	return !cfgi->one_cd || (c->config.has_cd && c->config.cd_index == cfgi->cd_index);
}

static void invalidate_config(struct ui_smmuv3 *smmu, const u64 *cmd)
{
	struct cfgi cfgi = { .sid = (u32)CMD(StreamID), .sid_mask = ~(u32)0 };

	switch (CMD(Opcode)) {
	case UI_SMMUV3_OP_CFGI_STE_RANGE:
		/* 4.3.2: 2^(Range + 1) of them. */
		cfgi.sid_mask = (u32)~ui_mask_lg2((unsigned)CMD(Range) + 1);
		break;
	case UI_SMMUV3_OP_CFGI_CD:
		cfgi.one_cd = true;
		cfgi.cd_index = (u32)CMD(SubstreamID);
		break;
	default:
		break;
	}
	ui_smmuv3_cache_drop(smmu, cfgi_matches, &cfgi);
}

/* ---- Translations ---- */

/* Which addresses: all, or those that a command names (4.4.1.1). */
struct range {
	u64 start, last;
};

static struct range range_of(const struct ui_smmuv3_feat *feat, const u64 *cmd, u64 addr)
{
	u64 tg = feat->ril ? CMD(TG) : 0, granule_lg2 = tg * 2 + 10, n_bytes, last;

	if (!tg)
		return (struct range){ addr, addr | (UI_PAGE_BYTES - 1) };
	n_bytes = ((CMD(NUM) + 1) << CMD(SCALE)) << granule_lg2;
	addr = ui_align_down(addr, UI_BIT(granule_lg2));
	if (__builtin_add_overflow(addr, n_bytes - 1, &last))
		last = ALL;
	return (struct range){ addr, last };
}

enum { S1_ONLY = 1, S2_ONLY = 2 };

struct tlbi {
	unsigned what; /* S1_ONLY: what a stage 1 translated; S2_ONLY: what stage 2 alone did; 0: both */
	bool any_vmid, any_asid;
	u16 vmid, asid;
	struct range range;
};

/*
 * Goes over the configurations, not over the TLBs: an address is looked for where it would be. An entry without nG belongs to all
 * ASIDs, and the TLB does not tell it from others; so an address is invalidated for all ASIDs of the VMID (4.4.1.2 asks for global
 * ones), while an ASID as a whole is only its own (global entries may stay). An address stands for the whole leaf that translates
 * it (4.4), which the TLBs may hold in pieces.
 */
static void invalidate_tlb(struct ui_smmuv3 *smmu, const struct tlbi *tlbi)
{
	bool all = !tlbi->range.start && tlbi->range.last == ALL;
	struct ui_list *item;

	/* Configurations come and go under cache_lock; those that leave do so under smmu->lock, which we hold. */
	pthread_mutex_lock(&smmu->cache_lock);
	item = smmu->configs.next;
	pthread_mutex_unlock(&smmu->cache_lock);
	while (item != &smmu->configs) {
		struct ui_smmuv3_cached_config *c = ui_container_of(item, struct ui_smmuv3_cached_config, link);
		struct ui_stage_config *stages = &c->config.stages;
		bool has_s1 = c->config.has_cd;

		if (stages->kind == UI_CFG_TRANSLATE && (tlbi->what != S1_ONLY || has_s1) && (tlbi->what != S2_ONLY || !has_s1) &&
		    (tlbi->any_vmid || tlbi->vmid == c->config.vmid) && (tlbi->any_asid || tlbi->asid == c->config.asid)) {
			if (all)
				ui_tr_invalidate_tag(smmu->tr, stages);
			else
				ui_tr_invalidate_leaves(smmu->tr, stages, tlbi->range.start, tlbi->range.last);
		}
		pthread_mutex_lock(&smmu->cache_lock);
		item = item->next;
		pthread_mutex_unlock(&smmu->cache_lock);
	}
}

static void invalidate_translations(struct ui_smmuv3 *smmu, const u64 *cmd)
{
	struct tlbi tlbi = {
		.vmid = smmu->cfg.feat.s2p ? (u16)CMD(VMID) : 0, .asid = (u16)CMD(ASID), .range = { 0, ALL },
	};

	switch (CMD(Opcode)) {
	case UI_SMMUV3_OP_TLBI_NH_ALL:
		tlbi.what = S1_ONLY;
		tlbi.any_asid = true;
		break;
	case UI_SMMUV3_OP_TLBI_NH_ASID:
		tlbi.what = S1_ONLY;
		break;
	case UI_SMMUV3_OP_TLBI_NH_VA:
	case UI_SMMUV3_OP_TLBI_NH_VAA:
		tlbi.what = S1_ONLY;
		tlbi.any_asid = true; /* for global entries */
		tlbi.range = range_of(&smmu->cfg.feat, cmd, ui_hw_get_addr(cmd, UI_SMMUV3_CMD_Address));
		break;
	case UI_SMMUV3_OP_TLBI_S2_IPA:
		/* 4.4.3.4: combined entries are NH_ALL's. */
		tlbi.what = S2_ONLY;
		tlbi.any_asid = true;
		tlbi.range = range_of(&smmu->cfg.feat, cmd, ui_hw_get_addr(cmd, UI_SMMUV3_CMD_IPA));
		break;
	case UI_SMMUV3_OP_TLBI_S12_VMALL:
		tlbi.any_asid = true;
		break;
	case UI_SMMUV3_OP_TLBI_NSNH_ALL:
		tlbi.any_asid = tlbi.any_vmid = true;
		break;
	default:
		return;
	}
	invalidate_tlb(smmu, &tlbi);
}

/* ---- The queue ---- */

static void run(struct ui_smmuv3 *smmu, const u64 *cmd)
{
	switch (CMD(Opcode)) {
	case UI_SMMUV3_OP_CFGI_STE:
	case UI_SMMUV3_OP_CFGI_STE_RANGE:
	case UI_SMMUV3_OP_CFGI_CD:
	case UI_SMMUV3_OP_CFGI_CD_ALL:
		invalidate_config(smmu, cmd);
		break;
	default:
		/* Prefetches are hints (4.2); SYNC is done when all before it is, and that is when it is met. */
		invalidate_translations(smmu, cmd);
		break;
	}
}

/* 7.1: CONS stays where it is, with the reason, until the error is acknowledged. */
static void stop(struct ui_smmuv3 *smmu, unsigned error)
{
	u64 cons = smmu->cmdq.cons;

	ui_hw_set(&cons, UI_SMMUV3_CMDQ_CONS_ERR, error);
	smmu->cmdq.cons = (u32)cons;
	ui_smmuv3_gerror(smmu, UI_SMMUV3_REG(GERROR, CMDQ_ERR));
}

static bool may_run(const struct ui_smmuv3 *smmu)
{
	const struct ui_smmuv3_q *q = &smmu->cmdq;

	return (atomic_load_explicit(&smmu->cr0, memory_order_relaxed) & UI_SMMUV3_REG(CR0, CMDQEN)) &&
	       !((smmu->gerror ^ smmu->gerrorn) & UI_SMMUV3_REG(GERROR, CMDQ_ERR)) &&
	       ((q->prod ^ q->cons) & ui_mask_lg2(ui_smmuv3_queue_lg2(q) + 1));
}

/* Under lock, which a message of a SYNC gives up for a moment. */
static void run_next(struct ui_smmuv3 *smmu)
{
	struct ui_smmuv3_q *q = &smmu->cmdq;
	u32 err = q->cons & (u32)UI_SMMUV3_REG(CMDQ_CONS, ERR);
	u64 cmd[UI_SMMUV3_CMD_WORDS], addr;
	u32 n_resets = smmu->n_resets;

	if (!ui_smmuv3_queue_read(smmu, ui_smmuv3_queue_addr(q, q->cons, UI_SMMUV3_CMD_BYTES), cmd, UI_SMMUV3_CMD_WORDS)) {
		stop(smmu, UI_SMMUV3_CERROR_ABT);
		return;
	}
	if (ui_smmuv3_cmd_illegal(cmd, &smmu->cfg.feat)) {
		stop(smmu, UI_SMMUV3_CERROR_ILL);
		return;
	}
	run(smmu, cmd);
	q->cons = ui_smmuv3_queue_next(q, q->cons) | err;
	if (ui_hw_get(cmd, UI_SMMUV3_CMD_Opcode) != UI_SMMUV3_OP_SYNC || ui_hw_get(cmd, UI_SMMUV3_CMD_CS) != UI_SMMUV3_CS_IRQ)
		return;
	/* 4.7.3: a message if there is an address. */
	addr = smmu->cfg.feat.msi ? ui_hw_get_addr(cmd, UI_SMMUV3_CMD_MSIAddress) : 0;
	if (!addr) {
		ui_smmuv3_raise(smmu, UI_SMMUV3_IRQ_CMD_SYNC);
		return;
	}
	pthread_mutex_unlock(&smmu->lock);
	if (!ui_smmuv3_send(smmu, smmu->sync_port, &smmu->sync_sender, addr, (u32)ui_hw_get(cmd, UI_SMMUV3_CMD_MSIData)))
		addr = 0;
	pthread_mutex_lock(&smmu->lock);
	if (!addr && n_resets == smmu->n_resets)
		ui_smmuv3_gerror(smmu, UI_SMMUV3_REG(GERROR, MSI_CMDQ_ABT_ERR));
}

void ui_smmuv3_consume(struct ui_smmuv3 *smmu)
{
	pthread_mutex_lock(&smmu->lock);
	if (!smmu->consuming) {
		smmu->consuming = true;
		while (may_run(smmu))
			run_next(smmu);
		smmu->consuming = false;
	}
	pthread_mutex_unlock(&smmu->lock);
	ui_smmuv3_deliver(smmu);
}
