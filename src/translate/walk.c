/* SPDX-License-Identifier: MIT */
/* Walks of one or two stages: any stage 1 over any stage 2. */
#include "base/safe.h"
#include "translate/priv.h"

static enum ui_dma_status to_dma(enum ui_walk_status status)
{
	switch (status) {
	case UI_WALK_OK:
		return UI_DMA_OK;
	case UI_WALK_TRANSLATION:
		return UI_DMA_TRANSLATION;
	case UI_WALK_ADDR_SIZE:
		return UI_DMA_ADDR_SIZE;
	case UI_WALK_ACCESS:
		return UI_DMA_ACCESS;
	case UI_WALK_PERMISSION:
		return UI_DMA_PERMISSION;
	case UI_WALK_RESERVED:
		return UI_DMA_MALFORMED;
	case UI_WALK_ABORT:
		break;
	}
	return UI_DMA_WALK_ABORT;
}

/* Where a stage's table entries are read: in memory, or for stage 1 over stage 2 through the latter. */
struct walk {
	const struct ui_mem *mem;
	const struct ui_stage *s2;
	struct ui_fault *fault;
	bool s2_refused; /* @fault is filled */
};

static enum ui_walk_status mem_load(void *arg, u64 pa, u64 *entry)
{
	struct walk *walk = arg;
	struct ui_mem_span span;

	if (!ui_mem_resolve(walk->mem, pa, &span) || !span.host || span.n_bytes < 8 || ui_safe_load64(span.host, entry))
		return UI_WALK_ABORT;
	return UI_WALK_OK;
}

static enum ui_walk_status mem_cmpxchg(void *arg, u64 pa, u64 expected, u64 desired, bool *swapped)
{
	struct walk *walk = arg;
	struct ui_mem_span span;
	int ret;

	if (!ui_mem_resolve(walk->mem, pa, &span) || !span.host || span.n_bytes < 8 || !span.writable)
		return UI_WALK_ABORT;
	ret = ui_safe_cmpxchg64(span.host, &expected, desired);
	*swapped = !ret;
	return ret < 0 ? UI_WALK_ABORT : UI_WALK_OK;
}

static enum ui_walk_status walk_stage(struct walk *walk, const struct ui_stage *stage, bool through_s2, u64 addr,
				      unsigned access, struct ui_walk *out);

/* The pa of a stage-1 table entry. */
static enum ui_walk_status entry_pa(struct walk *walk, u64 ipa, unsigned access, u64 *pa)
{
	struct ui_walk w = { 0 };
	enum ui_walk_status status = walk_stage(walk, walk->s2, false, ipa, access, &w);

	if (status != UI_WALK_OK) {
		walk->s2_refused = true;
		*walk->fault = (struct ui_fault){ .reason = to_dma(status), .stage = 2, .level = w.level, .on_walk = true, .ipa = ipa };
	}
	*pa = w.oa;
	return status;
}

static enum ui_walk_status s2_load(void *arg, u64 ipa, u64 *entry)
{
	u64 pa;
	enum ui_walk_status status = entry_pa(arg, ipa, UI_PROT_READ, &pa);

	return status == UI_WALK_OK ? mem_load(arg, pa, entry) : status;
}

static enum ui_walk_status s2_cmpxchg(void *arg, u64 ipa, u64 expected, u64 desired, bool *swapped)
{
	u64 pa;
	enum ui_walk_status status = entry_pa(arg, ipa, UI_PROT_READ | UI_PROT_WRITE, &pa);

	return status == UI_WALK_OK ? mem_cmpxchg(arg, pa, expected, desired, swapped) : status;
}

static enum ui_walk_status walk_stage(struct walk *walk, const struct ui_stage *stage, bool through_s2, u64 addr,
				      unsigned access, struct ui_walk *out)
{
	struct ui_walk_mem wm = {
		.load = through_s2 ? s2_load : mem_load,
		.cmpxchg = through_s2 ? s2_cmpxchg : mem_cmpxchg,
		.arg = walk,
	};

	if (stage->pt)
		return stage->pt->ops->walk(stage->pt, addr, access, out);
	return ui_walk_table(&stage->walk, &wm, addr, access, out);
}

enum ui_dma_status ui_walk_refused(struct ui_fault *fault, enum ui_walk_status status, u8 stage, u8 level, u64 ipa)
{
	*fault = (struct ui_fault){ .reason = to_dma(status), .stage = stage, .level = level, .ipa = ipa };
	return fault->reason;
}

/* @out says what stage 1 answered; it becomes the answer of both. */
static enum ui_dma_status add_stage2(struct walk *walk, unsigned access, struct ui_walk *out, struct ui_fault *fault)
{
	struct ui_walk w = { 0 };
	enum ui_walk_status status = walk_stage(walk, walk->s2, false, out->oa, access, &w);

	if (status != UI_WALK_OK)
		return ui_walk_refused(fault, status, 2, w.level, out->oa);
	out->oa = w.oa;
	out->dirty = out->dirty && w.dirty;
	out->prot = (u8)((out->prot & w.prot & UI_ACCESS_RIGHTS) | ((out->prot | w.prot) & (UI_PROT_PRIV | UI_PROT_MMIO)));
	if (w.leaf_lg2 < out->leaf_lg2) {
		out->leaf_lg2 = w.leaf_lg2;
		out->level = w.level;
	}
	return UI_DMA_OK;
}

enum ui_dma_status ui_walk_config(const struct ui_mem *mem, const struct ui_stage_config *cfg, u64 iova, unsigned access,
				  struct ui_walk *out, struct ui_fault *fault)
{
	struct walk walk = { .mem = mem, .s2 = &cfg->s2, .fault = fault };
	enum ui_walk_status status;

	if (!cfg->s1.present) {
		*out = (struct ui_walk){ 0 };
		status = walk_stage(&walk, &cfg->s2, false, iova, access, out);
		return status == UI_WALK_OK ? UI_DMA_OK : ui_walk_refused(fault, status, 2, out->level, iova);
	}
	*out = (struct ui_walk){ 0 };
	status = walk_stage(&walk, &cfg->s1, cfg->s2.present, iova, access, out);
	if (walk.s2_refused)
		return fault->reason;
	if (status != UI_WALK_OK)
		return ui_walk_refused(fault, status, 1, out->level, 0);
	return cfg->s2.present ? add_stage2(&walk, access, out, fault) : UI_DMA_OK;
}
