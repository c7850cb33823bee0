/* SPDX-License-Identifier: MIT */
/* Translation without an access. */
#include "translate/port.h"

#include <string.h>

UI_ALWAYS_INLINE void from_entry(const struct ui_tlb_entry *e, u64 iova, u64 mask, struct ui_walk *out)
{
	u64 meta = atomic_load_explicit(&e->meta, memory_order_relaxed);

	/* The tag falls into padding. */
	out->oa = atomic_load_explicit(&e->pa, memory_order_relaxed) + (iova & mask);
	memcpy((u8 *)out + offsetof(struct ui_walk, leaf_lg2), &meta, sizeof(meta));
}

/* Inside a section. The TLB's @lg2 pages have it. */
UI_ALWAYS_INLINE bool translate_hit(struct ui_dma *dma, u32 tag, unsigned lg2, u64 iova, unsigned access,
				    struct ui_walk *out)
{
	struct ui_tlb_entry *e = ui_tlb_find(&dma->slot->tlb, lg2, iova, tag, access);

	if (ui_unlikely(!e))
		return false;
	ui_stats_count(&dma->answers[0].row->tlb_hits, 1);
	from_entry(e, iova, ui_mask_lg2(lg2), out);
	return true;
}

/* The TLB knows addresses without tags only, so those with one come here after it has been asked in vain. */
static UI_NOINLINE bool hit_untagged(struct ui_dma *dma, u32 tag, u64 iova, unsigned access, struct ui_walk *out)
{
	return translate_hit(dma, tag, UI_TLB_SMALL_LG2, iova, access, out) ||
	       (dma->large && translate_hit(dma, tag, UI_TLB_LARGE_LG2, iova, access, out));
}

/* Inside a section, after the TLB's small pages. */
static enum ui_dma_status translate_miss(struct ui_dma *dma, const struct ui_stage_config *cfg, u64 iova, unsigned access,
					 struct ui_walk *out, struct ui_fault *why)
{
	enum ui_dma_status status;

	if (ui_unlikely(cfg->kind == UI_CFG_BYPASS)) {
		if (ui_cfg_too_large(cfg, iova))
			return ui_walk_refused(why, UI_WALK_ADDR_SIZE, 1, 3, 0);
		*out = (struct ui_walk){ .oa = iova, .leaf_lg2 = 64, .dirty = true, .prot = UI_ACCESS_RIGHTS };
		return UI_DMA_OK;
	}
	if (ui_unlikely(cfg->kind != UI_CFG_TRANSLATE)) {
		*why = (struct ui_fault){ .reason = UI_DMA_BLOCKED };
		return UI_DMA_BLOCKED;
	}
	if (ui_port_passes(dma)) {
		dma->skip--;
		return ui_port_walk(dma, dma->answers[0].row, cfg, iova, access, out, why);
	}
	if (ui_unlikely(dma->skip) && translate_hit(dma, cfg->tag, UI_TLB_SMALL_LG2, iova, access, out))
		return UI_DMA_OK;
	if (dma->large && translate_hit(dma, cfg->tag, UI_TLB_LARGE_LG2, iova, access, out))
		return UI_DMA_OK;
	if (ui_unlikely(cfg->halves)) {
		u64 tagged = iova;

		iova = ui_cfg_untagged(cfg, iova);
		if (iova != tagged && hit_untagged(dma, cfg->tag, iova, access, out))
			return UI_DMA_OK;
	}
	ui_stats_count(&dma->answers[0].row->tlb_misses, 1);
	status = ui_port_walk(dma, dma->answers[0].row, cfg, iova, access, out, why);
	if (status == UI_DMA_OK)
		ui_port_fill(dma, cfg, iova, access, out);
	return status;
}

/* In a section: what ui_dma_translate() does besides its straight way. */
static UI_NOINLINE enum ui_dma_status translate_rest(struct ui_dma *dma, const struct ui_dma_addr *at, unsigned access,
						     struct ui_walk *out, struct ui_fault *fault)
{
	const struct ui_stage_config *cfg = dma->answers[0].cfg;
	unsigned want = ui_port_wanted(at, access);
	enum ui_dma_status status;
	struct ui_fault why;

	status = translate_miss(dma, cfg, at->iova, want, out, &why);
	ui_port_leave(dma, 1);
	return ui_likely(status == UI_DMA_OK) ? UI_DMA_OK : ui_port_report(dma, at, access, at->iova, &why, fault);
}

/* Not in a section yet, or in one that came too late. */
static UI_NOINLINE enum ui_dma_status translate_anew(struct ui_dma *dma, const struct ui_dma_addr *at, unsigned access,
						     struct ui_walk *out, struct ui_fault *fault)
{
	struct ui_stage_config *cfg;
	enum ui_dma_status status;
	unsigned failed;

	status = ui_port_enter_anew(dma, &at, 1, &cfg, &failed);
	if (status != UI_DMA_OK)
		return ui_port_report_plain(dma, at, access, at->iova, status, fault);
	if (!translate_hit(dma, dma->answers[0].tag, UI_TLB_SMALL_LG2, at->iova, ui_port_wanted(at, access), out))
		return translate_rest(dma, at, access, out, fault);
	ui_port_leave(dma, 1);
	return UI_DMA_OK;
}

enum ui_dma_status ui_dma_translate(struct ui_dma *dma, const struct ui_dma_addr *at, unsigned access, struct ui_walk *out,
				    struct ui_fault *fault)
{
	struct ui_stage_config *cfg;

	/* The straight way makes no call and needs few registers. */
	ui_assert(!dma->handle);
	if (ui_unlikely(!ui_port_enter_again(dma, &at, 1, &cfg)))
		return translate_anew(dma, at, access, out, fault);
	if (ui_unlikely(dma->skip) ||
	    !translate_hit(dma, dma->answers[0].tag, UI_TLB_SMALL_LG2, at->iova, ui_port_wanted(at, access), out))
		return translate_rest(dma, at, access, out, fault);
	ui_port_leave(dma, 1);
	return UI_DMA_OK;
}
