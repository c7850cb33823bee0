/* SPDX-License-Identifier: MIT */
/* Walks of one or two stages: any stage 1 over any stage 2. */
#include "base/bits.h"
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
	struct ui_walk_table *known; /* NULL: no table is */
	struct ui_fault *fault;
	bool s2_refused; /* @fault is filled */
	u64 failed_pa;   /* with UI_WALK_ABORT: of the entry that memory failed at */
};

static enum ui_walk_status mem_load(void *arg, u64 pa, u64 *entry)
{
	struct walk *walk = arg;
	struct ui_mem_span span;

	if (ui_mem_resolve(walk->mem, pa, &span) && span.host && span.n_bytes >= 8 && !ui_safe_load64(span.host, entry))
		return UI_WALK_OK;
	walk->failed_pa = pa;
	return UI_WALK_ABORT;
}

static enum ui_walk_status mem_cmpxchg(void *arg, u64 pa, u64 expected, u64 desired, bool *swapped)
{
	struct walk *walk = arg;
	struct ui_mem_span span;
	int ret;

	walk->failed_pa = pa;
	if (!ui_mem_resolve(walk->mem, pa, &span) || !span.host || span.n_bytes < 8 || !span.writable)
		return UI_WALK_ABORT;
	ret = ui_safe_cmpxchg64(span.host, &expected, desired);
	*swapped = !ret;
	return ret < 0 ? UI_WALK_ABORT : UI_WALK_OK;
}

static enum ui_walk_status walk_stage(struct walk *walk, const struct ui_stage *stage, u64 addr, unsigned access, struct ui_walk *out);

/* Stage 2 for a stage-1 table entry, or a table. */
static enum ui_walk_status walk_to_entry(struct walk *walk, u64 ipa, unsigned access, struct ui_walk *w)
{
	return walk_stage(walk, walk->s2, ipa, access | (walk->s2->no_device_walks ? UI_PROT_MMIO : 0u), w);
}

/* The pa of a stage-1 table entry. */
static enum ui_walk_status entry_pa(struct walk *walk, u64 ipa, unsigned access, struct ui_walk *w)
{
	enum ui_walk_status status = walk_to_entry(walk, ipa, access, w);

	if (status != UI_WALK_OK) {
		walk->s2_refused = true;
		*walk->fault = (struct ui_fault){
			.reason = to_dma(status), .stage = 2, .level = w->level, .on_walk = true,
			.walk_write = access & UI_PROT_WRITE, .ipa = ipa, .fetch_pa = walk->failed_pa,
		};
	}
	return status;
}

/* In the table that is known? */
UI_ALWAYS_INLINE bool is_known(const struct walk *walk, u64 ipa)
{
	return walk->known && ui_align_down(ipa, UI_PAGE_BYTES) == walk->known->at.table;
}

static enum ui_walk_status s2_load(void *arg, u64 ipa, u64 *entry)
{
	struct walk *walk = arg;
	struct ui_walk w = { 0 };
	enum ui_walk_status status;

	/* Where memory fails, it fails again below, and is told. */
	if (ui_likely(is_known(walk, ipa)) && !ui_safe_load64(walk->known->host + (ipa & (UI_PAGE_BYTES - 1)), entry))
		return UI_WALK_OK;
	status = entry_pa(walk, ipa, UI_PROT_READ, &w);
	return status == UI_WALK_OK ? mem_load(walk, w.oa, entry) : status;
}

/* Any update of an entry needs stage 2 to grant the write too, which then counts as one there: the page becomes dirty. */
static enum ui_walk_status s2_cmpxchg(void *arg, u64 ipa, u64 expected, u64 desired, bool *swapped)
{
	struct walk *walk = arg;
	struct ui_walk w = { 0 };
	enum ui_walk_status status;
	int ret;

	if (is_known(walk, ipa) && walk->known->written) {
		ret = ui_safe_cmpxchg64(walk->known->host + (ipa & (UI_PAGE_BYTES - 1)), &expected, desired);
		*swapped = !ret;
		if (ret >= 0)
			return UI_WALK_OK;
	}
	status = entry_pa(walk, ipa, UI_PROT_READ | UI_PROT_WRITE, &w);
	if (status == UI_WALK_OK)
		status = mem_cmpxchg(walk, w.oa, expected, desired, swapped);
	if (status == UI_WALK_OK && is_known(walk, ipa))
		walk->known->written = w.dirty;
	return status;
}

static enum ui_walk_status walk_stage(struct walk *walk, const struct ui_stage *stage, u64 addr, unsigned access, struct ui_walk *out)
{
	const struct ui_walk_mem wm = { .load = mem_load, .cmpxchg = mem_cmpxchg, .arg = walk };

	if (stage->pt)
		return stage->pt->ops->walk(stage->pt, addr, access, out);
	return ui_walk_table(&stage->walk, &wm, addr, access, out);
}

/* After a walk that an access made: the tables above were marked for it. */
static void learn(struct walk *walk, struct ui_walk_table *table, const struct ui_walk_at *at, u64 iova, u64 epoch, u32 tag)
{
	struct ui_walk w = { 0 };
	u8 *host;

	if (at->level || at->lg2 != UI_WALK_TABLE_LG2 || !ui_is_aligned(at->table, UI_PAGE_BYTES))
		return;
	if (walk_to_entry(walk, at->table, UI_PROT_READ, &w) != UI_WALK_OK || w.leaf_lg2 < UI_PAGE_LG2)
		return;
	host = ui_mem_host_page(walk->mem, w.oa, UI_PAGE_LG2, UI_PROT_READ);
	if (host)
		*table = (struct ui_walk_table){
			.at = *at, .iova = ui_align_down(iova, UI_BIT(UI_WALK_TABLE_LG2)), .epoch = epoch, .host = host, .tag = tag,
		};
}

/* Stage 1, or its half @s1, through stage 2. */
static enum ui_walk_status walk_nested(struct walk *walk, struct ui_walk_cache *cache, const struct ui_stage_config *cfg,
				       const struct ui_stage *s1, u64 iova, unsigned access, struct ui_walk *out)
{
	const struct ui_walk_mem wm = { .load = s2_load, .cmpxchg = s2_cmpxchg, .arg = walk };
	u64 at_table = (iova >> UI_WALK_TABLE_LG2) + cfg->tag * (u64)619;
	struct ui_walk_table *table = &cache->tables[at_table % UI_WALK_TABLES];
	struct ui_walk_at at = { .lg2 = 0 };
	enum ui_walk_status status;

	if (ui_likely(table->tag == cfg->tag && table->epoch == cache->epoch && !((table->iova ^ iova) >> UI_WALK_TABLE_LG2))) {
		walk->known = table;
		at = table->at;
	}
	status = ui_walk_table_at(&s1->walk, &wm, iova, access, out, &at);
	if (ui_unlikely(!walk->known) && status == UI_WALK_OK && (access & UI_ACCESS_RIGHTS))
		learn(walk, table, &at, iova, cache->epoch, cfg->tag);
	return status;
}

enum ui_dma_status ui_walk_refused(struct ui_fault *fault, enum ui_walk_status status, u8 stage, u8 level, u64 ipa)
{
	*fault = (struct ui_fault){ .reason = to_dma(status), .stage = stage, .level = level, .ipa = ipa };
	return fault->reason;
}

static enum ui_dma_status refused(const struct walk *walk, enum ui_walk_status status, u8 stage, u8 level, u64 ipa)
{
	ui_walk_refused(walk->fault, status, stage, level, ipa);
	walk->fault->fetch_pa = walk->failed_pa;
	return walk->fault->reason;
}

/* @out says what stage 1 answered; it becomes the answer of both. */
static enum ui_dma_status add_stage2(struct walk *walk, unsigned access, struct ui_walk *out, struct ui_fault *fault)
{
	struct ui_walk w = { 0 };
	enum ui_walk_status status = walk_stage(walk, walk->s2, out->oa, access, &w);

	if (status != UI_WALK_OK)
		return refused(walk, status, 2, w.level, out->oa);
	out->oa = w.oa;
	out->dirty = out->dirty && w.dirty;
	out->prot = (u8)((out->prot & w.prot & UI_ACCESS_RIGHTS) | ((out->prot | w.prot) & (UI_PROT_PRIV | UI_PROT_MMIO)));
	if (w.leaf_lg2 < out->leaf_lg2) {
		out->leaf_lg2 = w.leaf_lg2;
		out->level = w.level;
	}
	return UI_DMA_OK;
}

/* The half of stage 1 that an address without top byte is for; NULL: it is disabled. */
static const struct ui_stage *half_of(const struct ui_stage_config *cfg, u64 iova)
{
	if (iova >> 55 & 1)
		return cfg->halves & UI_HALVES_NO_UPPER ? NULL : &cfg->s1_upper;
	return cfg->halves & UI_HALVES_NO_LOWER ? NULL : &cfg->s1;
}

/* Before stage 2 cuts it into pieces. */
UI_ALWAYS_INLINE void note_leaf(const struct ui_stage_config *cfg, unsigned leaf_lg2)
{
	/* Relaxed: who reads it has waited for the section. Another port may note more meanwhile. */
	u32 most = cfg->largest_leaf ? atomic_load_explicit(cfg->largest_leaf, memory_order_relaxed) : leaf_lg2;

	while (ui_unlikely(most < leaf_lg2) &&
	       !atomic_compare_exchange_weak_explicit(cfg->largest_leaf, &most, leaf_lg2, memory_order_relaxed, memory_order_relaxed))
		;
}

static enum ui_dma_status walk_stage2_only(struct walk *walk, const struct ui_stage_config *cfg, u64 iova, unsigned access,
					   struct ui_walk *out)
{
	enum ui_walk_status status;

	if (ui_cfg_too_large(cfg, iova))
		return refused(walk, UI_WALK_ADDR_SIZE, 1, 3, 0);
	status = walk_stage(walk, &cfg->s2, iova, access, out);
	if (status != UI_WALK_OK)
		return refused(walk, status, 2, out->level, iova);
	note_leaf(cfg, out->leaf_lg2);
	return UI_DMA_OK;
}

static enum ui_dma_status walk_config(const struct ui_mem *mem, struct ui_walk_cache *cache, const struct ui_stage_config *cfg, u64 iova,
				      unsigned access, struct ui_walk *out, struct ui_fault *fault)
{
	struct walk walk = { .mem = mem, .s2 = &cfg->s2, .fault = fault };
	bool nested = cfg->s1.present && cfg->s2.present;
	const struct ui_stage *s1 = &cfg->s1;
	enum ui_walk_status status;

	*out = (struct ui_walk){ 0 };
	if (!cfg->s1.present)
		return walk_stage2_only(&walk, cfg, iova, access, out);
	if (ui_unlikely(cfg->halves)) {
		iova = ui_cfg_untagged(cfg, iova);
		s1 = half_of(cfg, iova);
		if (!s1)
			return refused(&walk, UI_WALK_TRANSLATION, 1, 3, 0);
	}
	if (nested && !s1->pt)
		status = walk_nested(&walk, cache, cfg, s1, iova, access, out);
	else
		status = walk_stage(&walk, s1, iova, access, out);
	if (walk.s2_refused)
		return fault->reason;
	if (status != UI_WALK_OK)
		return refused(&walk, status, 1, out->level, 0);
	note_leaf(cfg, out->leaf_lg2);
	return nested ? add_stage2(&walk, access, out, fault) : UI_DMA_OK;
}

enum ui_dma_status ui_walk_config(const struct ui_mem *mem, struct ui_walk_cache *cache, const struct ui_stage_config *cfg, u64 iova,
				  unsigned access, struct ui_walk *out, struct ui_fault *fault)
{
	enum ui_dma_status status = walk_config(mem, cache, cfg, iova, access, out, fault);

	if (ui_unlikely(status != UI_DMA_OK))
		fault->quiet = fault->stage == 2 ? cfg->s2.quiet : fault->stage == 1 && cfg->s1.quiet;
	return status;
}
