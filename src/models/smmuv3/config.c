/* SPDX-License-Identifier: MIT */
#include "models/smmuv3/config.h"

#include "base/bits.h"
#include "base/safe.h"
#include "pgtable/arm.h"

#include <string.h>

#define STE(name) ui_hw_get(c->ste, UI_SMMUV3_STE_##name)
#define CD(name) ui_hw_get(c->cd, UI_SMMUV3_CD_##name)

struct reader {
	const struct ui_smmuv3_tables *tables;
	struct ui_smmuv3_config *c;
	u32 sid, ssid;
	bool ssv;
	u64 *evt;
	u64 failed_pa; /* stage 2's entry that memory failed at */
};

static void tell(const struct reader *r, const struct ui_hw_struct *what, u64 addr, bool through_s2, u64 pa, const u64 *words,
		 const char *bad, unsigned event)
{
	const struct ui_smmuv3_step step = {
		.what = what, .addr = addr, .pa = pa, .through_s2 = through_s2, .words = words, .bad = bad, .event = event,
	};

	if (r->tables->step)
		r->tables->step(r->tables->arg, &step);
}

/* 7.3: each event's header. C_BAD_SUBSTREAMID has a SubstreamID without SSV, F_STREAM_DISABLED has neither. */
static unsigned event(const struct reader *r, unsigned type)
{
	memset(r->evt, 0, UI_SMMUV3_EVT_BYTES);
	ui_hw_set(r->evt, UI_SMMUV3_EVT_Type, type);
	ui_hw_set(r->evt, UI_SMMUV3_EVT_StreamID, r->sid);
	if (r->ssv && type != UI_SMMUV3_F_STREAM_DISABLED) {
		ui_hw_set(r->evt, UI_SMMUV3_EVT_SSV, type != UI_SMMUV3_C_BAD_SUBSTREAMID);
		ui_hw_set(r->evt, UI_SMMUV3_EVT_SubstreamID, r->ssid);
	}
	return type;
}

static unsigned fetch_event(const struct reader *r, unsigned type, u64 addr)
{
	event(r, type);
	ui_hw_set_addr(r->evt, UI_SMMUV3_EVT_FetchAddr, addr);
	return type;
}

/* Each word once. */
static bool load(const struct reader *r, u64 pa, u64 *words, unsigned n)
{
	const struct ui_walk_mem *from = r->tables->words;
	struct ui_mem_span span;

	for (unsigned i = 0; from && i < n; i++)
		if (from->load(from->arg, pa + i * 8, &words[i]) != UI_WALK_OK)
			return false;
	if (from)
		return true;
	if (!ui_mem_resolve(r->tables->mem, pa, &span) || !span.host || span.n_bytes < n * 8)
		return false;
	for (unsigned i = 0; i < n; i++)
		if (ui_safe_load64(span.host + i * 8, &words[i]))
			return false;
	return true;
}

/* ---- Stage 2 ---- */

static enum ui_walk_status s2_load(void *arg, u64 pa, u64 *entry)
{
	struct reader *r = arg;

	r->failed_pa = pa;
	return load(r, pa, entry, 1) ? UI_WALK_OK : UI_WALK_ABORT;
}

static enum ui_walk_status s2_cmpxchg(void *arg, u64 pa, u64 expected, u64 desired, bool *swapped)
{
	struct reader *r = arg;
	struct ui_mem_span span;
	int ret;

	*swapped = true;
	if (r->tables->only_look)
		return UI_WALK_OK;
	r->failed_pa = pa;
	if (!ui_mem_resolve(r->tables->mem, pa, &span) || !span.host || span.n_bytes < 8 || !span.writable)
		return UI_WALK_ABORT;
	ret = ui_safe_cmpxchg64(span.host, &expected, desired);
	*swapped = !ret;
	return ret < 0 ? UI_WALK_ABORT : UI_WALK_OK;
}

static unsigned walk_event(enum ui_walk_status status)
{
	switch (status) {
	case UI_WALK_ADDR_SIZE:
		return UI_SMMUV3_F_ADDR_SIZE;
	case UI_WALK_ACCESS:
		return UI_SMMUV3_F_ACCESS;
	case UI_WALK_PERMISSION:
		return UI_SMMUV3_F_PERMISSION;
	case UI_WALK_ABORT:
		return UI_SMMUV3_F_WALK_EABT;
	case UI_WALK_TRANSLATION:
	case UI_WALK_RESERVED:
	case UI_WALK_OK:
		break;
	}
	return UI_SMMUV3_F_TRANSLATION;
}

/* 3.3.3, 7.3.13 and on: where a CD or L1CD lies; stage 2 may refuse to say. */
static unsigned cd_pa(struct reader *r, u64 addr, u64 *pa)
{
	const struct ui_stage *s2 = &r->c->stages.s2;
	const struct ui_walk_mem mem = { .load = s2_load, .cmpxchg = s2_cmpxchg, .arg = r };
	enum ui_walk_status status;
	struct ui_walk w = { 0 };
	unsigned type;

	*pa = addr;
	if (!s2->present)
		return 0;
	/* Above the IAS stage 2 has nothing to translate (3.4.3). */
	if (addr >> ui_smmuv3_ias_bits(r->tables->feat))
		status = UI_WALK_TRANSLATION;
	else
		status = ui_walk_table(&s2->walk, &mem, addr, UI_PROT_READ | (s2->no_device_walks ? UI_PROT_MMIO : 0u), &w);
	*pa = w.oa;
	if (status == UI_WALK_OK)
		return 0;
	type = event(r, walk_event(status));
	ui_hw_set(r->evt, UI_SMMUV3_EVT_S2, 1);
	ui_hw_set(r->evt, UI_SMMUV3_EVT_CLASS, UI_SMMUV3_CLASS_CD);
	if (type == UI_SMMUV3_F_WALK_EABT) {
		ui_hw_set_addr(r->evt, UI_SMMUV3_EVT_FetchAddr, r->failed_pa);
	} else {
		ui_hw_set_addr(r->evt, UI_SMMUV3_EVT_IPA, addr);
		r->c->quiet = s2->quiet;
	}
	return type;
}

static bool s2_stage(struct reader *r)
{
	struct ui_smmuv3_config *c = r->c;
	const struct ui_arm_s2 s2 = {
		.granule_lg2 = ui_arm_tg0((unsigned)STE(S2TG)),
		.t0sz = (u8)STE(S2T0SZ),
		.sl0 = (u8)STE(S2SL0),
		.ps_bits = ui_arm_ps_bits((unsigned)STE(S2PS)),
		.oas_bits = (u8)ui_smmuv3_oas_bits(r->tables->feat),
		.ttb = ui_hw_get_addr(c->ste, UI_SMMUV3_STE_S2TTB),
	};

	c->stages.s2 = (struct ui_stage){ .present = true, .no_device_walks = STE(S2PTW), .quiet = !STE(S2R) };
	if (ui_arm_s2_start(&s2, &c->stages.s2.walk))
		return false;
	c->stages.s2.walk.set_accessed = STE(S2HA);
	/* 5.2 S2HD: nothing without S2HA. */
	c->stages.s2.walk.set_dirty = STE(S2HA) && STE(S2HD);
	c->stages.s2.walk.no_access_fault = STE(S2AFFD);
	return true;
}

/* ---- Stage 1 ---- */

static bool s1_half(const struct reader *r, bool upper, struct ui_stage *out)
{
	const struct ui_smmuv3_config *c = r->c;
	const struct ui_arm_s1 s1 = {
		.granule_lg2 = upper ? ui_arm_tg1((unsigned)CD(TG1)) : ui_arm_tg0((unsigned)CD(TG0)),
		.txsz = (u8)(upper ? CD(T1SZ) : CD(T0SZ)),
		.ips_bits = ui_arm_ps_bits((unsigned)CD(IPS)),
		.oas_bits = (u8)ui_smmuv3_oas_bits(r->tables->feat),
		.va52 = r->tables->feat->vax,
		.upper = upper,
		.ttb = ui_hw_get_addr(c->cd, upper ? UI_SMMUV3_CD_TTB1 : UI_SMMUV3_CD_TTB0),
	};

	*out = (struct ui_stage){ .present = true };
	if (ui_arm_s1_start(&s1, &out->walk))
		return false;
	out->walk.set_accessed = CD(HA);
	out->walk.set_dirty = CD(HA) && CD(HD);
	out->walk.no_access_fault = CD(AFFD);
	out->walk.no_table_attrs = r->tables->feat->had && (upper ? CD(HAD1) : CD(HAD0));
	out->walk.write_no_exec = CD(WXN);
	out->walk.priv_no_user = CD(PAN);
	return true;
}

/* Of a valid CD. */
static bool s1_stage(struct reader *r)
{
	struct ui_smmuv3_config *c = r->c;
	struct ui_stage_config *s = &c->stages;

	s->halves = UI_HALVES | (CD(TBI0) ? UI_HALVES_LOWER_TBI : 0) | (CD(TBI1) ? UI_HALVES_UPPER_TBI : 0);
	s->s1.present = true;
	if (CD(EPD0))
		s->halves |= UI_HALVES_NO_LOWER;
	else if (!s1_half(r, false, &s->s1))
		return false;
	s->s1.quiet = !CD(R);
	if (CD(EPD1))
		s->halves |= UI_HALVES_NO_UPPER;
	else if (!s1_half(r, true, &s->s1_upper))
		return false;
	return true;
}

/* ---- The way ---- */

static unsigned read_cd(struct reader *r)
{
	const struct ui_smmuv3_feat *feat = r->tables->feat;
	struct ui_smmuv3_config *c = r->c;
	unsigned leaf_lg2 = ui_smmuv3_cd_leaf_lg2(c->ste, feat), type;
	u64 addr = ui_smmuv3_cd_first_addr(c->ste, feat, c->cd_index), pa, l1cd;
	bool through_s2 = c->stages.s2.present;
	const char *bad;

	if (leaf_lg2) {
		type = cd_pa(r, addr, &pa);
		if (!type && !load(r, pa, &l1cd, 1))
			type = fetch_event(r, UI_SMMUV3_F_CD_FETCH, pa);
		if (type) {
			tell(r, &ui_smmuv3_l1cd, addr, through_s2, pa, NULL, NULL, type);
			return type;
		}
		bad = ui_smmuv3_l1cd_illegal(&l1cd, c->ste, feat);
		type = bad ? event(r, UI_SMMUV3_C_BAD_SUBSTREAMID) : 0;
		tell(r, &ui_smmuv3_l1cd, addr, through_s2, pa, &l1cd, bad, type);
		if (type)
			return type;
		addr = ui_smmuv3_cd_second_addr(&l1cd, leaf_lg2, c->cd_index);
	}
	type = cd_pa(r, addr, &pa);
	if (!type && !load(r, pa, c->cd, UI_SMMUV3_CD_WORDS))
		type = fetch_event(r, UI_SMMUV3_F_CD_FETCH, pa);
	if (type) {
		tell(r, &ui_smmuv3_cd, addr, through_s2, pa, NULL, NULL, type);
		return type;
	}
	c->has_cd = true;
	bad = ui_smmuv3_cd_illegal(c->cd, c->ste, feat, false);
	if (!bad && !s1_stage(r))
		bad = "TTB0";
	type = bad ? event(r, UI_SMMUV3_C_BAD_CD) : 0;
	tell(r, &ui_smmuv3_cd, addr, through_s2, pa, c->cd, bad, type);
	return type;
}

/* 3.3.2: the STE of the stream. */
static unsigned read_ste(struct reader *r)
{
	const struct ui_smmuv3_tables *t = r->tables;
	unsigned split = ui_smmuv3_strtab_split(t->strtab_cfg, t->feat), type;
	u64 addr = ui_smmuv3_ste_first_addr(t->strtab_base, t->strtab_cfg, t->feat, r->sid), l1std;
	const char *bad;

	if ((u64)r->sid >> ui_smmuv3_strtab_lg2(t->strtab_cfg, t->feat))
		return event(r, UI_SMMUV3_C_BAD_STREAMID);
	if (split) {
		u64 at = addr;

		if (!load(r, at, &l1std, 1)) {
			type = fetch_event(r, UI_SMMUV3_F_STE_FETCH, at);
			tell(r, &ui_smmuv3_l1std, at, false, at, NULL, NULL, type);
			return type;
		}
		type = ui_smmuv3_ste_second_addr(&l1std, split, r->sid, &addr) ? 0 : event(r, UI_SMMUV3_C_BAD_STREAMID);
		tell(r, &ui_smmuv3_l1std, at, false, at, &l1std, type ? "Span" : NULL, type);
		if (type)
			return type;
	}
	if (!load(r, addr, r->c->ste, UI_SMMUV3_STE_WORDS)) {
		type = fetch_event(r, UI_SMMUV3_F_STE_FETCH, addr);
		tell(r, &ui_smmuv3_ste, addr, false, addr, NULL, NULL, type);
		return type;
	}
	bad = ui_smmuv3_ste_illegal(r->c->ste, t->feat);
	type = bad ? event(r, UI_SMMUV3_C_BAD_STE) : 0;
	tell(r, &ui_smmuv3_ste, addr, false, addr, r->c->ste, bad, type);
	return type;
}

unsigned ui_smmuv3_config_read(const struct ui_smmuv3_tables *tables, u32 sid, bool ssv, u32 ssid, struct ui_smmuv3_config *out,
			       u64 evt[UI_SMMUV3_EVT_WORDS])
{
	struct reader r = { .tables = tables, .c = out, .sid = sid, .ssid = ssid, .ssv = ssv, .evt = evt };
	const struct ui_smmuv3_feat *feat = tables->feat;
	struct ui_smmuv3_config *c = out;
	bool no_s1 = false;
	unsigned type;

	memset(c, 0, sizeof(*c));
	c->stages.kind = UI_CFG_BLOCKED;
	type = read_ste(&r);
	if (type || !(STE(Config) & 4))
		return type;
	type = ui_smmuv3_substream(c->ste, feat, ssv, ssid, &no_s1, &c->cd_index);
	if (type)
		return event(&r, type);
	if (STE(Config) & 2 && !s2_stage(&r))
		return event(&r, UI_SMMUV3_C_BAD_STE);
	if (STE(Config) & 1 && !no_s1) {
		type = read_cd(&r);
		if (type)
			return type;
	}
	/* 5.2 S2VMID: stage 1 for NS-EL1 is tagged with it where there is a stage 2 at all. */
	c->vmid = feat->s2p ? (u16)STE(S2VMID) : 0;
	c->asid = c->has_cd ? (u16)CD(ASID) : 0;
	/* 3.4: what stage 1 would refuse, had it been there. */
	c->stages.in_bits = c->has_cd ? 0 : (u8)(c->stages.s2.present ? ui_smmuv3_ias_bits(feat) : ui_smmuv3_oas_bits(feat));
	c->stages.kind = c->has_cd || c->stages.s2.present ? UI_CFG_TRANSLATE : UI_CFG_BYPASS;
	return 0;
}
