/* SPDX-License-Identifier: MIT */
/* Ports: sections from the device's side, and the accesses made in them. */
#include "translate/dma.h"
#include "base/alloc.h"
#include "base/safe.h"
#include "translate/priv.h"

#include <string.h>

enum {
	SECTION_BYTES = 64 * 1024,
	BOUNCE_BYTES = 512,
	MMIO_BYTES = 8,
	/* After each SPARSE_WINDOW misses: fewer than SPARSE_HITS hits among them, and one miss of SPARSE_SAMPLE is cached. */
	SPARSE_WINDOW = 1024,
	SPARSE_HITS = 128,
	SPARSE_SAMPLE = 16,
};

/*
 * What the resolver said for @of, in a section that read @epoch. Good for sections that read the same: a changer of
 * attachments or gates who has not counted yet meets and waits for them, exactly as if they had just asked.
 */
struct answer {
	struct ui_stage_config *cfg; /* its gate was open */
	u64 epoch;
	u64 of; /* who(), or NOBODY */
};

#define NOBODY (~(u64)0)

struct ui_dma {
	struct ui_tr *tr;
	struct ui_slot *slot;
	struct answer answers[2]; /* of each side of a copy; all else uses the first */
	bool handle; /* between begin and end */
	bool large;  /* the TLB has had an entry of the larger size */
	bool sparse; /* few accesses hit: see worth_caching() */
	unsigned victim; /* the TLB's */
	_Atomic u64 misses; /* this and those at the end: written by the port's thread only */
	u64 hits_before;
	ui_resolve_fn resolve;
	void *arg;
	u32 rid;
	ui_fault_fn sink;
	void *sink_arg;
	struct ui_fault last; /* with a sink: the latest fault */
	_Atomic u64 faults, bytes;
};

/* A contiguous piece of what an access covers. */
struct piece {
	u8 *host;    /* NULL: @mmio */
	u64 n_bytes; /* at least 1 */
	struct ui_mem_span mmio;
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
	atomic_store_explicit(&dma->slot->hits, 0, memory_order_relaxed);
	dma->answers[0].of = dma->answers[1].of = NOBODY;
	return dma;
}

void ui_dma_close(struct ui_dma *dma)
{
	if (!dma)
		return;
	ui_slot_put(dma->tr, dma->slot);
	ui_free(dma);
}

/* A plain increment for the one writer, whole for readers. */
UI_ALWAYS_INLINE void count(_Atomic u64 *n, u64 by)
{
	atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + by, memory_order_relaxed);
}

void ui_dma_stats(const struct ui_dma *dma, struct ui_dma_stats *out)
{
	*out = (struct ui_dma_stats){
		.tlb_hits = atomic_load_explicit(&dma->slot->hits, memory_order_relaxed),
		.tlb_misses = atomic_load_explicit(&dma->misses, memory_order_relaxed),
		.walks = atomic_load_explicit(&dma->misses, memory_order_relaxed),
		.faults = atomic_load_explicit(&dma->faults, memory_order_relaxed),
		.bytes = atomic_load_explicit(&dma->bytes, memory_order_relaxed),
	};
}

/* Completes @fault, whose reason, stage, level, on_walk and ipa are set. */
static UI_NOINLINE enum ui_dma_status report(struct ui_dma *dma, const struct ui_dma_addr *at, unsigned access, u64 iova,
					     const struct ui_fault *why, struct ui_fault *fault)
{
	struct ui_fault full = *why;

	count(&dma->faults, 1);
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

static enum ui_dma_status report_plain(struct ui_dma *dma, const struct ui_dma_addr *at, unsigned access, u64 iova,
				       enum ui_dma_status reason, struct ui_fault *fault)
{
	struct ui_fault why = { .reason = reason };

	return report(dma, at, access, iova, &why, fault);
}

void ui_dma_set_fault_sink(struct ui_dma *dma, ui_fault_fn fn, void *arg)
{
	dma->sink = fn;
	dma->sink_arg = arg;
}

/* Outside sections: the end of an access, with the sink told if it is a fault. */
UI_ALWAYS_INLINE enum ui_dma_status tell(struct ui_dma *dma, enum ui_dma_status status)
{
	if (ui_unlikely(status != UI_DMA_OK) && dma->sink) {
		const struct ui_fault fault = dma->last; /* the sink may use the port */

		dma->sink(dma->sink_arg, &fault);
	}
	return status;
}

/* Release throughout: partners are wait_slot() and meets() in section.c. */
UI_ALWAYS_INLINE void leave(struct ui_dma *dma, unsigned n_cfgs)
{
	if (n_cfgs > 1)
		atomic_store_explicit(&dma->slot->second, 0, memory_order_release);
	atomic_store_explicit(&dma->slot->state, UI_SLOT_IDLE, memory_order_release);
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

UI_ALWAYS_INLINE u64 who(const struct ui_dma_addr *at)
{
	return at->pasid | (u64)at->has_pasid << 32;
}

/* Begins a section: the slot says @state. Returns the epoch. */
UI_ALWAYS_INLINE u64 publish(struct ui_dma *dma, uintptr_t state)
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

/*
 * Enters as enter() does when nothing was changed since the resolver was asked the same: no call, one store. False when
 * that is not so; then the slot may say something, and enter_anew() must follow.
 */
UI_ALWAYS_INLINE bool enter_again(struct ui_dma *dma, const struct ui_dma_addr *const at[], unsigned n_cfgs,
				  struct ui_stage_config *cfgs[])
{
	u64 epoch;

	for (unsigned i = 0; i < n_cfgs; i++) {
		if (ui_unlikely(dma->answers[i].of != who(at[i])))
			return false;
		cfgs[i] = dma->answers[i].cfg;
	}
	/* Release: partner is meets(). */
	if (n_cfgs > 1)
		atomic_store_explicit(&dma->slot->second, (uintptr_t)cfgs[1], memory_order_release);
	epoch = publish(dma, (uintptr_t)cfgs[0]);
	if (n_cfgs > 1 && ui_unlikely(dma->answers[1].epoch != epoch))
		return false;
	return ui_likely(dma->answers[0].epoch == epoch);
}

static UI_NOINLINE enum ui_dma_status enter_anew(struct ui_dma *dma, const struct ui_dma_addr *const at[], unsigned n_cfgs,
						 struct ui_stage_config *cfgs[], unsigned *failed)
{
	struct ui_slot *slot = dma->slot;

	for (;;) {
		u64 epoch = publish(dma, UI_SLOT_RESOLVING);
		bool shut = false;
		u32 opened;

		for (unsigned i = 0; i < n_cfgs; i++) {
			enum ui_dma_status reason = UI_DMA_BLOCKED;

			dma->answers[i].of = NOBODY;
			cfgs[i] = dma->resolve(dma->arg, at[i]->pasid, at[i]->has_pasid, &reason);
			if (ui_unlikely(!cfgs[i])) {
				leave(dma, n_cfgs);
				*failed = i;
				return reason;
			}
			shut = shut || gate_shut(dma, cfgs[i], &opened);
		}
		if (ui_unlikely(shut)) {
			leave(dma, n_cfgs);
			ui_tr_gate_wait(dma->tr, opened);
			continue;
		}
		for (unsigned i = 0; i < n_cfgs; i++)
			dma->answers[i] = (struct answer){ .cfg = cfgs[i], .epoch = epoch, .of = who(at[i]) };
		/* Release: partner is meets(); the second config before the first, which ends the time when all are met. */
		if (n_cfgs > 1)
			atomic_store_explicit(&slot->second, (uintptr_t)cfgs[1], memory_order_release);
		atomic_store_explicit(&slot->state, (uintptr_t)cfgs[0], memory_order_release);
		return UI_DMA_OK;
	}
}

/*
 * Enters a section that uses the address spaces of @at[0] and, with @n_cfgs 2, of @at[1]. On anything but UI_DMA_OK the
 * section has ended and *@failed says whose fault it was. A shut gate is waited for outside.
 */
UI_ALWAYS_INLINE enum ui_dma_status enter(struct ui_dma *dma, const struct ui_dma_addr *const at[], unsigned n_cfgs,
					  struct ui_stage_config *cfgs[], unsigned *failed)
{
	return enter_again(dma, at, n_cfgs, cfgs) ? UI_DMA_OK : enter_anew(dma, at, n_cfgs, cfgs, failed);
}

/* @w answers for @iova; returns the host address when its whole page is RAM. */
static u8 *fill(struct ui_dma *dma, const struct ui_stage_config *cfg, u64 iova, unsigned access, const struct ui_walk *w)
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
	ui_tlb_fill(&dma->slot->tlb, lg2, iova, cfg->tag, access, w, host, &dma->victim);
	return host ? host + (w->oa & ui_mask_lg2(lg2)) : NULL;
}

/* The common case: a walk is a few direct loads. */
UI_ALWAYS_INLINE bool one_own_table(const struct ui_stage_config *cfg)
{
	return cfg->s1.present && cfg->s1.pt && !cfg->s2.present;
}

UI_ALWAYS_INLINE enum ui_dma_status walk(struct ui_dma *dma, const struct ui_stage_config *cfg, u64 iova, unsigned access,
					 struct ui_walk *out, struct ui_fault *why)
{
	count(&dma->misses, 1);
	if (ui_likely(one_own_table(cfg))) {
		enum ui_walk_status status = cfg->s1.pt->ops->walk(cfg->s1.pt, iova, access, out);

		return ui_likely(status == UI_WALK_OK) ? UI_DMA_OK : ui_walk_refused(why, status, 1, out->level, 0);
	}
	return ui_walk_config(dma->tr->mem, cfg, iova, access, out, why);
}

/*
 * After a miss that was walked: shall the answer be cached? Where one direct walk answers, and accesses are spread over so
 * many pages that entries are thrown out before they serve, filling costs more than it gives: then only now and then,
 * until hits return.
 */
UI_ALWAYS_INLINE bool worth_caching(struct ui_dma *dma, const struct ui_stage_config *cfg)
{
	u64 n = atomic_load_explicit(&dma->misses, memory_order_relaxed);

	if (ui_unlikely(!(n % SPARSE_WINDOW))) {
		u64 hits = atomic_load_explicit(&dma->slot->hits, memory_order_relaxed);

		dma->sparse = hits - dma->hits_before < SPARSE_HITS;
		dma->hits_before = hits;
	}
	return !dma->sparse || !(n % SPARSE_SAMPLE) || !one_own_table(cfg);
}

/* From a pa to its memory, when no TLB entry knows the host address. At most @n_bytes. */
static enum ui_dma_status at_pa(struct ui_dma *dma, u64 pa, unsigned access, u64 n_bytes, struct piece *p,
				struct ui_fault *why)
{
	if (!ui_mem_resolve(dma->tr->mem, pa, &p->mmio) || ((access & UI_PROT_WRITE) && !p->mmio.writable)) {
		*why = (struct ui_fault){ .reason = UI_DMA_ABORT };
		return UI_DMA_ABORT;
	}
	p->host = p->mmio.host;
	p->n_bytes = ui_min(n_bytes, p->mmio.n_bytes);
	return UI_DMA_OK;
}

static UI_NOINLINE enum ui_dma_status miss(struct ui_dma *dma, const struct ui_stage_config *cfg, u64 iova, unsigned access,
					   u64 n_bytes, struct piece *p, struct ui_fault *why)
{
	u64 room = UI_PAGE_BYTES - (iova & (UI_PAGE_BYTES - 1));
	enum ui_dma_status status;
	struct ui_walk w;

	status = walk(dma, cfg, iova, access, &w, why);
	if (status != UI_DMA_OK)
		return status;
	p->n_bytes = ui_min(n_bytes, ui_min(room, ui_mask_lg2(w.leaf_lg2) - (iova & ui_mask_lg2(w.leaf_lg2)) + 1));
	p->host = worth_caching(dma, cfg) ? fill(dma, cfg, iova, access, &w) : NULL;
	return p->host ? UI_DMA_OK : at_pa(dma, w.oa, access, p->n_bytes, p, why);
}

/* The entry that answers, with *@mask of the offset in its page, or NULL. */
UI_ALWAYS_INLINE struct ui_tlb_entry *cached(struct ui_dma *dma, const struct ui_stage_config *cfg, u64 iova,
					     unsigned access, u64 *mask)
{
	struct ui_tlb_entry *e;

	*mask = ui_mask_lg2(UI_TLB_SMALL_LG2);
	e = ui_tlb_find(&dma->slot->tlb, UI_TLB_SMALL_LG2, iova, cfg->tag, access);
	if (ui_likely(e) || !dma->large)
		return e;
	*mask = ui_mask_lg2(UI_TLB_LARGE_LG2);
	return ui_tlb_find(&dma->slot->tlb, UI_TLB_LARGE_LG2, iova, cfg->tag, access);
}

static UI_NOINLINE enum ui_dma_status locate_other(struct ui_dma *dma, const struct ui_stage_config *cfg, u64 iova,
						   unsigned access, u64 n_bytes, struct piece *p, struct ui_fault *why)
{
	if (cfg->kind == UI_CFG_BYPASS)
		return at_pa(dma, iova, access, n_bytes, p, why);
	*why = (struct ui_fault){ .reason = UI_DMA_BLOCKED };
	return UI_DMA_BLOCKED;
}

/* Inside a section: what lies at @iova, up to the end of its page, at most @n_bytes (at least 1). */
UI_ALWAYS_INLINE enum ui_dma_status locate(struct ui_dma *dma, const struct ui_stage_config *cfg, u64 iova, unsigned access,
					   u64 n_bytes, struct piece *p, struct ui_fault *why)
{
	struct ui_tlb_entry *e;
	u64 mask;

	if (ui_unlikely(cfg->kind != UI_CFG_TRANSLATE))
		return locate_other(dma, cfg, iova, access, n_bytes, p, why);
	e = cached(dma, cfg, iova, access, &mask);
	if (ui_unlikely(!e))
		return miss(dma, cfg, iova, access, n_bytes, p, why);
	count(&dma->slot->hits, 1);
	p->n_bytes = ui_min(n_bytes, mask - (iova & mask) + 1);
	if (ui_unlikely(!(atomic_load_explicit(&e->key, memory_order_relaxed) & UI_TLB_RAM)))
		return at_pa(dma, atomic_load_explicit(&e->pa, memory_order_relaxed) + (iova & mask), access, p->n_bytes, p, why);
	p->host = (u8 *)atomic_load_explicit(&e->host, memory_order_relaxed) + (iova & mask);
	return UI_DMA_OK;
}

/* Lengthens a RAM piece by pages that follow it in host memory too. What stops it is met again by who goes on from there. */
static UI_NOINLINE void extend(struct ui_dma *dma, const struct ui_stage_config *cfg, u64 iova, unsigned access, u64 n_bytes,
			       struct piece *p)
{
	while (p->n_bytes < n_bytes) {
		struct ui_fault why;
		struct piece next;

		if (locate(dma, cfg, iova + p->n_bytes, access, n_bytes - p->n_bytes, &next, &why) != UI_DMA_OK)
			return;
		if (!next.host || next.host != p->host + p->n_bytes)
			return;
		p->n_bytes += next.n_bytes;
	}
}

UI_ALWAYS_INLINE enum ui_dma_status locate_long(struct ui_dma *dma, const struct ui_stage_config *cfg, u64 iova,
						unsigned access, u64 n_bytes, struct piece *p, struct ui_fault *why)
{
	enum ui_dma_status status = locate(dma, cfg, iova, access, n_bytes, p, why);

	if (status == UI_DMA_OK && p->n_bytes < n_bytes && p->host)
		extend(dma, cfg, iova, access, n_bytes, p);
	return status;
}

UI_ALWAYS_INLINE unsigned wanted(const struct ui_dma_addr *at, unsigned access)
{
	return (access & UI_ACCESS_RIGHTS) | (at->priv ? UI_PROT_PRIV : 0);
}

static bool wraps(const struct ui_dma_addr *at, u64 n_bytes)
{
	u64 last;

	return !ui_range_last(at->iova, n_bytes, &last);
}

enum ui_dma_status ui_dma_begin(struct ui_dma *dma, const struct ui_dma_addr *at, unsigned access, u64 n_bytes,
				struct ui_mem_span *span, struct ui_fault *fault)
{
	unsigned failed, want = wanted(at, access);
	struct ui_stage_config *cfg;
	enum ui_dma_status status;
	struct ui_fault why;
	struct piece p;

	ui_assert(!dma->handle);
	if (ui_unlikely(wraps(at, n_bytes)) && n_bytes)
		return tell(dma, report_plain(dma, at, access, at->iova, UI_DMA_ADDR_SIZE, fault));
	status = enter(dma, &at, 1, &cfg, &failed);
	if (ui_unlikely(status != UI_DMA_OK))
		return tell(dma, report_plain(dma, at, access, at->iova, status, fault));
	status = locate_long(dma, cfg, at->iova, want, ui_max(1, ui_min(n_bytes, SECTION_BYTES)), &p, &why);
	if (ui_unlikely(status != UI_DMA_OK)) {
		leave(dma, 1);
		return tell(dma, report(dma, at, access, at->iova, &why, fault));
	}
	dma->handle = true;
	if (ui_unlikely(!p.host))
		*span = p.mmio;
	else
		*span = (struct ui_mem_span){ .host = p.host, .writable = access & UI_PROT_WRITE };
	span->n_bytes = p.n_bytes;
	return UI_DMA_OK;
}

void ui_dma_end(struct ui_dma *dma)
{
	ui_assert(dma->handle);
	dma->handle = false;
	leave(dma, 1);
}

/* What is done with each piece of a range: read into @buf, write from it, or fill. */
enum verb { READ, WRITE, FILL };

struct job {
	enum verb verb;
	u8 *to;
	const u8 *from;
	u64 pattern;
};

/* Byte @done of the job stands at @host; returns the bytes moved. */
UI_ALWAYS_INLINE u64 move(const struct job *job, u64 done, u8 *host, u64 n_bytes)
{
	switch (job->verb) {
	case READ:
		return ui_safe_copy_some(job->to + done, host, n_bytes);
	case WRITE:
		return ui_safe_copy_some(host, job->from + done, n_bytes);
	case FILL:
		break;
	}
	return ui_safe_fill_some(host, job->pattern, (unsigned)done & 7, n_bytes);
}

/* The widest naturally aligned access at @span->offset, at most @n_bytes. */
static unsigned mmio_width(const struct ui_mem_span *span, u64 n_bytes)
{
	unsigned width = MMIO_BYTES;

	while (width > n_bytes || (span->offset & (width - 1)))
		width >>= 1;
	return width;
}

/*
 * Inside a section, which it ends: one access to registers. The slot names the region before the section ends, so that
 * a removal of the region waits for the call. Returns the bytes moved, 0 when nobody answered.
 */
static u64 move_mmio(struct ui_dma *dma, const struct job *job, u64 done, const struct ui_mem_span *span, u64 n_bytes)
{
	unsigned width = mmio_width(span, n_bytes);
	u64 val = 0;
	bool ok;

	/* Release, like the store below: partner is ui_tr_wait_mmio(). */
	atomic_store_explicit(&dma->slot->mmio, ui_mem_mmio_key(span->ops, span->arg), memory_order_release);
	leave(dma, 1);
	if (job->verb == READ) {
		ok = span->ops->read(span->arg, span->offset, width, &val);
		for (unsigned i = 0; ok && i < width; i++)
			job->to[done + i] = (u8)(val >> (8 * i));
	} else {
		for (unsigned i = 0; i < width; i++) {
			u64 byte = job->verb == WRITE ? (u64)job->from[done + i] : (job->pattern >> (8 * ((done + i) & 7))) & 0xff;

			val |= byte << (8 * i);
		}
		ok = span->ops->write(span->arg, span->offset, width, val);
	}
	atomic_store_explicit(&dma->slot->mmio, 0, memory_order_release);
	return ok ? width : 0;
}

/* One section of a job that has got to *@done. */
UI_ALWAYS_INLINE enum ui_dma_status job_section(struct ui_dma *dma, const struct ui_dma_addr *at, const struct job *job,
						u64 n_bytes, u64 *done, struct ui_fault *fault)
{
	unsigned failed, access = job->verb == READ ? UI_PROT_READ : UI_PROT_WRITE, want = wanted(at, access);
	u64 end = *done + ui_min(n_bytes - *done, SECTION_BYTES);
	struct ui_stage_config *cfg;
	enum ui_dma_status status = enter(dma, &at, 1, &cfg, &failed);
	struct ui_fault why;
	struct piece p;

	if (ui_unlikely(status != UI_DMA_OK))
		return report_plain(dma, at, access, at->iova + *done, status, fault);
	while (*done < end) {
		u64 moved, part;

		status = locate_long(dma, cfg, at->iova + *done, want, end - *done, &p, &why);
		if (ui_unlikely(status != UI_DMA_OK)) {
			leave(dma, 1);
			return report(dma, at, access, at->iova + *done, &why, fault);
		}
		if (ui_unlikely(!p.host)) {
			moved = move_mmio(dma, job, *done, &p.mmio, p.n_bytes);
			*done += moved;
			return moved ? UI_DMA_OK : report_plain(dma, at, access, at->iova + *done, UI_DMA_ABORT, fault);
		}
		part = p.n_bytes;
		moved = move(job, *done, p.host, part);
		*done += moved;
		if (ui_unlikely(moved < part)) {
			leave(dma, 1);
			return report_plain(dma, at, access, at->iova + *done, UI_DMA_ABORT, fault);
		}
	}
	leave(dma, 1);
	return UI_DMA_OK;
}

UI_ALWAYS_INLINE enum ui_dma_status run_job(struct ui_dma *dma, const struct ui_dma_addr *at, const struct job *job,
					    u64 n_bytes, u64 *done_out, struct ui_fault *fault)
{
	enum ui_dma_status status = UI_DMA_OK;
	u64 done = 0;

	ui_assert(!dma->handle);
	if (n_bytes && wraps(at, n_bytes))
		status = report_plain(dma, at, job->verb == READ ? UI_PROT_READ : UI_PROT_WRITE, at->iova, UI_DMA_ADDR_SIZE, fault);
	while (status == UI_DMA_OK && done < n_bytes)
		status = job_section(dma, at, job, n_bytes, &done, fault);
	*done_out = done;
	return status;
}

UI_ALWAYS_INLINE enum ui_dma_status run_counted(struct ui_dma *dma, const struct ui_dma_addr *at, const struct job *job,
						u64 n_bytes, u64 *done_out, struct ui_fault *fault)
{
	u64 done;
	enum ui_dma_status status = run_job(dma, at, job, n_bytes, &done, fault);

	count(&dma->bytes, done);
	if (done_out)
		*done_out = done;
	return tell(dma, status);
}

enum ui_dma_status ui_dma_read(struct ui_dma *dma, const struct ui_dma_addr *at, void *buf, u64 n_bytes, u64 *done,
			       struct ui_fault *fault)
{
	const struct job job = { .verb = READ, .to = buf };

	return run_counted(dma, at, &job, n_bytes, done, fault);
}

enum ui_dma_status ui_dma_write(struct ui_dma *dma, const struct ui_dma_addr *at, const void *buf, u64 n_bytes, u64 *done,
				struct ui_fault *fault)
{
	const struct job job = { .verb = WRITE, .from = buf };

	return run_counted(dma, at, &job, n_bytes, done, fault);
}

enum ui_dma_status ui_dma_fill(struct ui_dma *dma, const struct ui_dma_addr *dst, u64 pattern, u64 n_bytes, u64 *done,
			       struct ui_fault *fault)
{
	const struct job job = { .verb = FILL, .pattern = pattern };

	return run_counted(dma, dst, &job, n_bytes, done, fault);
}

/* A job over two ranges: copy from the first to the second, or compare. */
struct pair {
	const struct ui_dma_addr *at[2];
	unsigned access[2];
	bool compare, differs;
};

static struct ui_dma_addr further(const struct ui_dma_addr *at, u64 n_bytes)
{
	struct ui_dma_addr to = *at;

	to.iova += n_bytes;
	return to;
}

/*
 * A piece with registers on one side or both, outside sections: through a buffer. Reads no more than it can place, since
 * reading a register may take something out of it.
 */
static enum ui_dma_status bounce(struct ui_dma *dma, struct pair *pair, u64 n_bytes, u64 *done, struct ui_fault *fault)
{
	struct ui_dma_addr from = further(pair->at[0], *done), to = further(pair->at[1], *done);
	u8 a[BOUNCE_BYTES], b[BOUNCE_BYTES];
	enum ui_dma_status status;
	u64 got, n = ui_min(n_bytes, BOUNCE_BYTES);

	status = run_job(dma, &from, &(struct job){ .verb = READ, .to = a }, n, &got, fault);
	if (!got)
		return status;
	if (!pair->compare) {
		const struct job job = { .verb = WRITE, .from = a };
		enum ui_dma_status written = run_job(dma, &to, &job, got, &n, fault);

		*done += n;
		return written == UI_DMA_OK ? status : written;
	}
	n = got;
	got = 0;
	status = run_job(dma, &to, &(struct job){ .verb = READ, .to = b }, n, &got, fault);
	for (u64 i = 0; i < got; i++) {
		if (a[i] != b[i]) {
			pair->differs = true;
			*done += i;
			return UI_DMA_OK;
		}
	}
	*done += got;
	return status;
}

/* @p's bytes at @moved could not be accessed: says which side it was. */
static unsigned bad_side(const struct piece p[2], u64 moved)
{
	return ui_safe_probe(p[0].host + moved, 1, false) ? 0 : 1;
}

/* One step of a section on RAM; *@done moves on. False when the section is over: a failure, or a difference. */
static bool pair_step(struct ui_dma *dma, struct pair *pair, const struct piece p[2], u64 *done, enum ui_dma_status *status,
		      struct ui_fault *fault)
{
	u64 n = ui_min(p[0].n_bytes, p[1].n_bytes), moved = n;
	unsigned bad;

	if (pair->compare) {
		size_t at = n;
		int ret = ui_safe_compare(p[0].host, p[1].host, n, &at);

		if (ret) {
			pair->differs = ret == 1;
			moved = at;
		}
	} else {
		moved = ui_safe_copy_some(p[1].host, p[0].host, n);
	}
	*done += moved;
	if (ui_likely(moved == n))
		return true;
	if (pair->differs)
		return false;
	bad = bad_side(p, moved);
	*status = report_plain(dma, pair->at[bad], pair->access[bad], pair->at[bad]->iova + *done, UI_DMA_ABORT, fault);
	return false;
}

static enum ui_dma_status pair_section(struct ui_dma *dma, struct pair *pair, u64 n_bytes, u64 *done, struct ui_fault *fault)
{
	u64 end = *done + ui_min(n_bytes - *done, SECTION_BYTES), bounced = 0;
	struct ui_stage_config *cfgs[2];
	unsigned side = 0;
	enum ui_dma_status status = enter(dma, pair->at, 2, cfgs, &side);
	struct piece p[2];

	if (ui_unlikely(status != UI_DMA_OK))
		return report_plain(dma, pair->at[side], pair->access[side], pair->at[side]->iova + *done, status, fault);
	while (*done < end) {
		struct ui_fault why;

		for (side = 0; side < 2 && status == UI_DMA_OK; side++) {
			const struct ui_dma_addr *at = pair->at[side];
			unsigned access = pair->access[side];

			status = locate_long(dma, cfgs[side], at->iova + *done, wanted(at, access), end - *done, &p[side], &why);
			if (status != UI_DMA_OK)
				report(dma, at, access, at->iova + *done, &why, fault);
		}
		if (status != UI_DMA_OK)
			break;
		if (ui_unlikely(!p[0].host || !p[1].host)) {
			bounced = ui_min(p[0].n_bytes, p[1].n_bytes);
			break;
		}
		if (!pair_step(dma, pair, p, done, &status, fault))
			break;
	}
	leave(dma, 2);
	return bounced ? bounce(dma, pair, bounced, done, fault) : status;
}

static enum ui_dma_status run_pair(struct ui_dma *dma, struct pair *pair, u64 n_bytes, u64 *done_out, struct ui_fault *fault)
{
	enum ui_dma_status status = UI_DMA_OK;
	u64 done = 0;

	ui_assert(!dma->handle);
	for (unsigned side = 0; side < 2 && n_bytes && status == UI_DMA_OK; side++) {
		const struct ui_dma_addr *at = pair->at[side];

		if (wraps(at, n_bytes))
			status = report_plain(dma, at, pair->access[side], at->iova, UI_DMA_ADDR_SIZE, fault);
	}
	while (status == UI_DMA_OK && done < n_bytes && !pair->differs)
		status = pair_section(dma, pair, n_bytes, &done, fault);
	count(&dma->bytes, done);
	if (done_out)
		*done_out = done;
	return tell(dma, status);
}

enum ui_dma_status ui_dma_copy(struct ui_dma *dma, const struct ui_dma_addr *src, const struct ui_dma_addr *dst, u64 n_bytes,
			       u64 *done, struct ui_fault *fault)
{
	struct pair pair = { .at = { src, dst }, .access = { UI_PROT_READ, UI_PROT_WRITE } };

	return run_pair(dma, &pair, n_bytes, done, fault);
}

enum ui_dma_status ui_dma_compare(struct ui_dma *dma, const struct ui_dma_addr *a, const struct ui_dma_addr *b, u64 n_bytes,
				  bool *differs, u64 *done, struct ui_fault *fault)
{
	struct pair pair = { .at = { a, b }, .access = { UI_PROT_READ, UI_PROT_READ }, .compare = true };
	enum ui_dma_status status = run_pair(dma, &pair, n_bytes, done, fault);

	*differs = pair.differs;
	return status;
}

UI_ALWAYS_INLINE void from_entry(const struct ui_tlb_entry *e, u64 iova, u64 mask, struct ui_walk *out)
{
	u64 meta = atomic_load_explicit(&e->meta, memory_order_relaxed);

	/* The tag falls into padding. */
	out->oa = atomic_load_explicit(&e->pa, memory_order_relaxed) + (iova & mask);
	memcpy(&out->leaf_lg2, &meta, sizeof(meta));
}

/* Inside a section. The TLB's @lg2 pages have it. */
UI_ALWAYS_INLINE bool translate_hit(struct ui_dma *dma, const struct ui_stage_config *cfg, unsigned lg2, u64 iova,
				    unsigned access, struct ui_walk *out)
{
	struct ui_tlb_entry *e = ui_tlb_find(&dma->slot->tlb, lg2, iova, cfg->tag, access);

	if (ui_unlikely(!e))
		return false;
	count(&dma->slot->hits, 1);
	from_entry(e, iova, ui_mask_lg2(lg2), out);
	return true;
}

/* Inside a section. */
static enum ui_dma_status translate_in(struct ui_dma *dma, const struct ui_stage_config *cfg, u64 iova, unsigned access,
				       struct ui_walk *out, struct ui_fault *why)
{
	enum ui_dma_status status;

	if (cfg->kind == UI_CFG_BYPASS) {
		*out = (struct ui_walk){ .oa = iova, .leaf_lg2 = 64, .dirty = true, .prot = UI_ACCESS_RIGHTS };
		return UI_DMA_OK;
	}
	if (cfg->kind != UI_CFG_TRANSLATE) {
		*why = (struct ui_fault){ .reason = UI_DMA_BLOCKED };
		return UI_DMA_BLOCKED;
	}
	if (translate_hit(dma, cfg, UI_TLB_SMALL_LG2, iova, access, out) ||
	    (dma->large && translate_hit(dma, cfg, UI_TLB_LARGE_LG2, iova, access, out)))
		return UI_DMA_OK;
	status = walk(dma, cfg, iova, access, out, why);
	if (status == UI_DMA_OK && worth_caching(dma, cfg))
		fill(dma, cfg, iova, access, out);
	return status;
}

/* What ui_dma_translate() does besides its straight way, in the section of @cfg, or with @cfg NULL in none yet. */
static UI_NOINLINE enum ui_dma_status translate_rest(struct ui_dma *dma, const struct ui_dma_addr *at, unsigned access,
						     struct ui_walk *out, struct ui_fault *fault, struct ui_stage_config *cfg)
{
	enum ui_dma_status status;
	struct ui_fault why;
	unsigned failed;

	if (!cfg) {
		status = enter_anew(dma, &at, 1, &cfg, &failed);
		if (status != UI_DMA_OK)
			return report_plain(dma, at, access, at->iova, status, fault);
	}
	status = translate_in(dma, cfg, at->iova, wanted(at, access), out, &why);
	leave(dma, 1);
	return status == UI_DMA_OK ? UI_DMA_OK : report(dma, at, access, at->iova, &why, fault);
}

enum ui_dma_status ui_dma_translate(struct ui_dma *dma, const struct ui_dma_addr *at, unsigned access, struct ui_walk *out,
				    struct ui_fault *fault)
{
	struct ui_stage_config *cfg;

	ui_assert(!dma->handle);
	/* The straight way makes no call and needs few registers. */
	if (ui_unlikely(!enter_again(dma, &at, 1, &cfg)))
		return translate_rest(dma, at, access, out, fault, NULL);
	if (ui_unlikely(cfg->kind != UI_CFG_TRANSLATE ||
			!translate_hit(dma, cfg, UI_TLB_SMALL_LG2, at->iova, wanted(at, access), out)))
		return translate_rest(dma, at, access, out, fault, cfg);
	leave(dma, 1);
	return UI_DMA_OK;
}
