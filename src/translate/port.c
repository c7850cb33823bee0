/* SPDX-License-Identifier: MIT */
/* Ports: opening, and the rare side of sections and look-ups. */
#include "translate/port.h"
#include "base/alloc.h"

/* See ui_port_passes(). */
enum {
	FULL_WINDOW = UI_TLB_SMALL_SETS * UI_TLB_WAYS,
	SPARSE_WINDOW = 64,
	SPARSE_SKIP = 15,
	FEW_HITS = 8, /* a part of this in the misses */
};

const char *ui_dma_status_name(enum ui_dma_status status)
{
	static const char *const names[] = {
		[UI_DMA_OK] = "ok",
		[UI_DMA_BLOCKED] = "blocked",
		[UI_DMA_BAD_PASID] = "bad PASID",
		[UI_DMA_TRANSLATION] = "not mapped",
		[UI_DMA_ADDR_SIZE] = "address size",
		[UI_DMA_ACCESS] = "access flag",
		[UI_DMA_PERMISSION] = "permission",
		[UI_DMA_MALFORMED] = "malformed entry",
		[UI_DMA_WALK_ABORT] = "abort on walk",
		[UI_DMA_ABORT] = "abort",
	};

	_Static_assert(ui_array_size(names) == UI_DMA_N_STATUS, "a name for each status");
	return (unsigned)status < UI_DMA_N_STATUS ? names[status] : "unknown";
}

struct ui_dma *ui_dma_open(struct ui_tr *tr, u32 rid, ui_resolve_fn resolve, void *arg)
{
	struct ui_dma *dma = ui_zalloc(sizeof(*dma));

	if (!dma)
		return NULL;
	dma->slot = ui_slot_get(tr);
	if (!dma->slot) {
		ui_free(dma);
		return NULL;
	}
	dma->tr = tr;
	dma->rid = rid;
	dma->resolve = resolve;
	dma->arg = arg;
	dma->stats = &dma->own_stats;
	dma->answers[0].of = dma->answers[1].of = UI_PORT_NOBODY;
	return dma;
}

u32 ui_dma_rid(const struct ui_dma *dma)
{
	return dma->rid;
}

void ui_dma_close(struct ui_dma *dma)
{
	if (!dma)
		return;
	ui_slot_put(dma->tr, dma->slot);
	/* Release: partner is the exchange in ui_dma_set_stats(), for the next port that counts there. */
	if (dma->taken)
		atomic_store_explicit(dma->taken, false, memory_order_release);
	ui_free(dma);
}

bool ui_dma_set_stats(struct ui_dma *dma, struct ui_stats_dev *stats, atomic_bool *taken)
{
	/* Acquire: partner is the store in ui_dma_close(). */
	if (atomic_exchange_explicit(taken, true, memory_order_acquire))
		return false;
	dma->stats = stats;
	dma->taken = taken;
	return true;
}

void ui_dma_stats(const struct ui_dma *dma, struct ui_dma_stats *out)
{
	const struct ui_stats_row *row;
	unsigned i = 0;

	*out = (struct ui_dma_stats){ 0 };
	while ((row = ui_stats_next(dma->stats, &i))) {
		out->dmas += ui_stats_get(&row->dmas);
		out->bytes += ui_stats_get(&row->bytes);
		out->tlb_hits += ui_stats_get(&row->tlb_hits);
		out->tlb_misses += ui_stats_get(&row->tlb_misses);
		out->walks += ui_stats_get(&row->walks);
		out->nested_walks += ui_stats_get(&row->nested_walks);
		out->faults += ui_stats_get(&row->faults);
	}
}

enum ui_dma_status ui_port_report(struct ui_dma *dma, const struct ui_dma_addr *at, unsigned access, u64 iova,
				  const struct ui_fault *why, struct ui_fault *fault)
{
	struct ui_fault full = *why;

	ui_stats_count(&ui_stats_row(dma->stats, at->pasid, at->has_pasid)->faults, 1);
	full.rid = dma->rid;
	full.pasid = at->pasid;
	full.has_pasid = at->has_pasid;
	full.access = (u8)(access | (at->priv ? UI_PROT_PRIV : 0));
	full.iova = iova;
	if (dma->sink)
		dma->last = full;
	if (fault)
		*fault = full;
	return why->reason;
}

enum ui_dma_status ui_port_report_plain(struct ui_dma *dma, const struct ui_dma_addr *at, unsigned access, u64 iova,
					enum ui_dma_status reason, struct ui_fault *fault)
{
	struct ui_fault why = { .reason = reason };

	return ui_port_report(dma, at, access, iova, &why, fault);
}

void ui_dma_set_fault_sink(struct ui_dma *dma, ui_fault_fn fn, void *arg)
{
	dma->sink = fn;
	dma->sink_arg = arg;
}

/* Whether the gate is shut; then *@opened is a count to wait with. */
UI_ALWAYS_INLINE bool gate_shut(struct ui_dma *dma, struct ui_stage_config *cfg, u32 *opened)
{
	/* Acquire: partner is ui_tr_gate_open(). Seen shut when it was closed before this section's load of the epoch. */
	if (ui_likely(!atomic_load_explicit(&cfg->gate, memory_order_acquire)))
		return false;
	/* The count first: an opening that the look at the gate misses changes it. Partner is ui_tr_gate_open(). */
	*opened = atomic_load_explicit(&dma->tr->gate_opened, memory_order_seq_cst);
	return atomic_load_explicit(&cfg->gate, memory_order_seq_cst);
}

enum ui_dma_status ui_port_enter_anew(struct ui_dma *dma, const struct ui_dma_addr *const at[], unsigned n_cfgs,
				      struct ui_stage_config *cfgs[], unsigned *failed)
{
	struct ui_slot *slot = dma->slot;

	for (;;) {
		u64 epoch = ui_port_publish(dma, UI_SLOT_RESOLVING);
		bool shut = false;
		u32 opened;

		for (unsigned i = 0; i < n_cfgs; i++) {
			enum ui_dma_status reason = UI_DMA_BLOCKED;

			dma->answers[i].of = UI_PORT_NOBODY;
			cfgs[i] = dma->resolve(dma->arg, at[i]->pasid, at[i]->has_pasid, &reason);
			if (ui_unlikely(!cfgs[i])) {
				ui_port_leave(dma, n_cfgs);
				*failed = i;
				return reason;
			}
			shut = shut || gate_shut(dma, cfgs[i], &opened);
		}
		if (ui_unlikely(shut)) {
			ui_port_leave(dma, n_cfgs);
			ui_tr_gate_wait(dma->tr, opened);
			continue;
		}
		for (unsigned i = 0; i < n_cfgs; i++) {
			u32 tag = cfgs[i]->kind == UI_CFG_TRANSLATE ? cfgs[i]->tag : 0;
			struct ui_stats_row *row = ui_stats_row(dma->stats, at[i]->pasid, at[i]->has_pasid);

			dma->answers[i] = (struct ui_port_answer){ cfgs[i], epoch, ui_port_who(at[i]), tag, row };
		}
		/* Release: partner is meets(); the second config before the first, which ends the time when all are met. */
		if (n_cfgs > 1)
			atomic_store_explicit(&slot->second, (uintptr_t)cfgs[1], memory_order_release);
		atomic_store_explicit(&slot->state, (uintptr_t)cfgs[0], memory_order_release);
		return UI_DMA_OK;
	}
}

static u64 all_hits(const struct ui_dma *dma)
{
	const struct ui_stats_row *row;
	unsigned i = 0;
	u64 hits = 0;

	while ((row = ui_stats_next(dma->stats, &i)))
		hits += ui_stats_get(&row->tlb_hits);
	return hits;
}

/* After each miss that was filled. */
static void missed(struct ui_dma *dma)
{
	unsigned window = dma->sparse ? SPARSE_WINDOW : FULL_WINDOW;

	if (ui_unlikely(++dma->n_missed >= window)) {
		u64 hits = all_hits(dma);

		dma->sparse = hits - dma->hits_before < window / FEW_HITS;
		dma->hits_before = hits;
		dma->n_missed = 0;
	}
	dma->skip = dma->sparse ? SPARSE_SKIP : 0;
}

u8 *ui_port_fill(struct ui_dma *dma, const struct ui_stage_config *cfg, u64 iova, unsigned access, const struct ui_walk *w)
{
	unsigned lg2 = UI_TLB_LARGE_LG2, rights = w->prot | access;
	u8 *host = NULL;

	/* A look without an access passes no access flag and marks nothing: it vouches for no later access. */
	if (w->leaf_lg2 < UI_TLB_SMALL_LG2 || !(access & UI_ACCESS_RIGHTS))
		return NULL;
	if (w->leaf_lg2 >= lg2)
		host = ui_mem_host_page(dma->tr->mem, w->oa, lg2, rights);
	if (!host) {
		lg2 = UI_TLB_SMALL_LG2;
		host = ui_mem_host_page(dma->tr->mem, w->oa, lg2, rights);
	}
	if (lg2 == UI_TLB_LARGE_LG2)
		dma->large = true;
	/* Partner is remove_entries(). */
	if (ui_unlikely(!atomic_load_explicit(&dma->slot->filled, memory_order_relaxed)))
		atomic_store_explicit(&dma->slot->filled, 1, memory_order_relaxed);
	ui_tlb_fill(&dma->slot->tlb, lg2, iova, cfg->tag, access, w, host, &dma->victim);
	missed(dma);
	return host ? host + (w->oa & ui_mask_lg2(lg2)) : NULL;
}
