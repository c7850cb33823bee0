/* SPDX-License-Identifier: MIT */
/* A port from inside: what port.c, dma.c and translate.c share. Short things that every access passes are inline. */
#ifndef UI_TRANSLATE_PORT_H
#define UI_TRANSLATE_PORT_H

#include "translate/priv.h"

/*
 * What the resolver said for @of, in a section that read @epoch. Good for sections that read the same: a changer of
 * attachments or gates who has not counted yet meets and waits for them, exactly as if they had just asked.
 */
struct ui_port_answer {
	struct ui_stage_config *cfg; /* its gate was open */
	u64 epoch;
	u64 of; /* ui_port_who(), or UI_PORT_NOBODY */
	u32 tag; /* of a config that translates; else 0, which no TLB entry has */
	struct ui_stats_row *row; /* its counters */
};

#define UI_PORT_NOBODY (~(u64)0)

struct ui_dma {
	struct ui_tr *tr;
	struct ui_slot *slot;
	struct ui_port_answer answers[2]; /* of each side of a copy; all else uses the first */
	bool handle; /* between begin and end */
	bool large;  /* the TLB has had an entry of the larger size */
	bool sparse; /* few accesses hit: see ui_port_passes() */
	u16 skip;    /* so many accesses go by the TLB: see ui_port_passes() */
	u16 n_missed;
	unsigned victim; /* the TLB's */
	u64 hits_before;
	struct ui_stats_dev *stats; /* constant from the first access on */
	atomic_bool *taken;         /* NULL: stats is own_stats */
	ui_resolve_fn resolve;
	void *arg;
	u32 rid;
	ui_fault_fn sink;
	void *sink_arg;
	struct ui_fault last; /* with a sink: the latest fault */
	struct ui_walk_cache walk_cache;
	struct ui_stats_dev own_stats;
};

/* Completes @why, whose reason, stage, level, on_walk and ipa are set, and returns the reason. */
enum ui_dma_status ui_port_report(struct ui_dma *dma, const struct ui_dma_addr *at, unsigned access, u64 iova,
				  const struct ui_fault *why, struct ui_fault *fault);
enum ui_dma_status ui_port_report_plain(struct ui_dma *dma, const struct ui_dma_addr *at, unsigned access, u64 iova,
					enum ui_dma_status reason, struct ui_fault *fault);
/* Enters by asking the resolver. */
enum ui_dma_status ui_port_enter_anew(struct ui_dma *dma, const struct ui_dma_addr *const at[], unsigned n_cfgs,
				      struct ui_stage_config *cfgs[], unsigned *failed);
/* @w answers for @iova; returns the host address when its whole page is RAM. */
u8 *ui_port_fill(struct ui_dma *dma, const struct ui_stage_config *cfg, u64 iova, unsigned access, const struct ui_walk *w);

/* Outside sections: the end of an access, with the sink told if it is a fault. */
UI_ALWAYS_INLINE enum ui_dma_status ui_port_tell(struct ui_dma *dma, enum ui_dma_status status)
{
	if (ui_unlikely(status != UI_DMA_OK) && dma->sink) {
		const struct ui_fault fault = dma->last; /* the sink may use the port */

		dma->sink(dma->sink_arg, &fault);
	}
	return status;
}

/* Release throughout: partners are wait_slot() and meets() in section.c. */
UI_ALWAYS_INLINE void ui_port_leave(struct ui_dma *dma, unsigned n_cfgs)
{
	if (n_cfgs > 1)
		atomic_store_explicit(&dma->slot->second, 0, memory_order_release);
	atomic_store_explicit(&dma->slot->state, UI_SLOT_IDLE, memory_order_release);
}

UI_ALWAYS_INLINE u64 ui_port_who(const struct ui_dma_addr *at)
{
	return at->pasid | (u64)at->has_pasid << 32;
}

/* Begins a section: the slot says @state. Returns the epoch. */
UI_ALWAYS_INLINE u64 ui_port_publish(struct ui_dma *dma, uintptr_t state)
{
	struct ui_slot *slot = dma->slot;
	u64 seq = atomic_load_explicit(&slot->seq, memory_order_relaxed) + 1;

	if (ui_unlikely(atomic_load_explicit(&slot->owner, memory_order_relaxed) != (uintptr_t)&ui_thread_marker))
		atomic_store_explicit(&slot->owner, (uintptr_t)&ui_thread_marker, memory_order_relaxed);
	/* Release: partner is wait_slot(). */
	atomic_store_explicit(&slot->seq, seq, memory_order_release);
	/* These two stand in the order that dma.h tells of; partners are wait_slot() and ui_tr_changed(). */
	atomic_exchange_explicit(&slot->state, state, memory_order_seq_cst);
	return atomic_load_explicit(&dma->tr->epoch, memory_order_seq_cst);
}

/* The counters of an access on side @side. */
UI_ALWAYS_INLINE struct ui_stats_row *ui_port_row(struct ui_dma *dma, unsigned side, const struct ui_dma_addr *at)
{
	if (ui_likely(dma->answers[side].of == ui_port_who(at)))
		return dma->answers[side].row;
	return ui_stats_row(dma->stats, at->pasid, at->has_pasid);
}

/*
 * Enters as ui_port_enter() does, without a call, when nothing was changed since the resolver was asked the same. False when
 * that is not so; then the slot may say something, and ui_port_enter_anew() must follow.
 */
UI_ALWAYS_INLINE bool ui_port_enter_again(struct ui_dma *dma, const struct ui_dma_addr *const at[], unsigned n_cfgs,
					  struct ui_stage_config *cfgs[])
{
	u64 epoch;

	for (unsigned i = 0; i < n_cfgs; i++) {
		if (ui_unlikely(dma->answers[i].of != ui_port_who(at[i])))
			return false;
		cfgs[i] = dma->answers[i].cfg;
	}
	/* Release: partner is meets(). */
	if (n_cfgs > 1)
		atomic_store_explicit(&dma->slot->second, (uintptr_t)cfgs[1], memory_order_release);
	epoch = ui_port_publish(dma, (uintptr_t)cfgs[0]);
	if (n_cfgs > 1 && ui_unlikely(dma->answers[1].epoch != epoch))
		return false;
	return ui_likely(dma->answers[0].epoch == epoch);
}

/*
 * Enters a section that uses the address spaces of @at[0] and, with @n_cfgs 2, of @at[1]. On anything but UI_DMA_OK the
 * section has ended and *@failed says whose fault it was. A shut gate is waited for outside.
 */
UI_ALWAYS_INLINE enum ui_dma_status ui_port_enter(struct ui_dma *dma, const struct ui_dma_addr *const at[],
						  unsigned n_cfgs, struct ui_stage_config *cfgs[], unsigned *failed)
{
	return ui_port_enter_again(dma, at, n_cfgs, cfgs) ? UI_DMA_OK : ui_port_enter_anew(dma, at, n_cfgs, cfgs, failed);
}

/* The common case, of either stage: a walk is a few direct loads. NULL: another. */
UI_ALWAYS_INLINE const struct ui_pt *ui_port_one_own_table(const struct ui_stage_config *cfg)
{
	if (!cfg->s1.present)
		return cfg->s2.pt;
	return cfg->s2.present | cfg->halves ? NULL : cfg->s1.pt;
}

/*
 * Where accesses are spread over so many pages that entries are thrown out before they serve, looking and filling cost more
 * than they give: what they could save is a few loads. So when as many misses as the TLB has entries come with few
 * hits, only a sample of the accesses uses the TLB, until it finds again what it looks for. This says whether an access
 * goes by it.
 */
UI_ALWAYS_INLINE bool ui_port_passes(const struct ui_dma *dma)
{
	return ui_unlikely(dma->skip);
}

UI_ALWAYS_INLINE enum ui_dma_status ui_port_walk(struct ui_dma *dma, struct ui_stats_row *row,
						 const struct ui_stage_config *cfg, u64 iova, unsigned access,
						 struct ui_walk *out, struct ui_fault *why)
{
	const struct ui_pt *pt = ui_port_one_own_table(cfg);

	ui_stats_count(&row->walks, 1);
	if (ui_likely(pt)) {
		enum ui_walk_status status = pt->ops->walk(pt, iova, access, out);

		if (ui_likely(status == UI_WALK_OK))
			return UI_DMA_OK;
		if (cfg->s1.present)
			return ui_walk_refused(why, status, 1, out->level, 0);
		/* It is out of the table's range then too. */
		if (ui_cfg_too_large(cfg, iova))
			return ui_walk_refused(why, UI_WALK_ADDR_SIZE, 1, 3, 0);
		return ui_walk_refused(why, status, 2, out->level, iova);
	}
	if (cfg->s1.present && cfg->s2.present)
		ui_stats_count(&row->nested_walks, 1);
	dma->walk_cache.epoch = dma->answers[0].epoch;
	return ui_walk_config(dma->tr->mem, &dma->walk_cache, cfg, iova, access, out, why);
}

UI_ALWAYS_INLINE unsigned ui_port_wanted(const struct ui_dma_addr *at, unsigned access)
{
	return (access & UI_ACCESS_RIGHTS) | (at->priv ? UI_PROT_PRIV : 0);
}

#endif
