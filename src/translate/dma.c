/* SPDX-License-Identifier: MIT */
/* The accesses that a port makes in sections. */
#include "base/safe.h"
#include "translate/port.h"

enum {
	SECTION_BYTES = 64 * 1024,
	BOUNCE_BYTES = 512,
	MMIO_BYTES = 8,
};

/* A contiguous piece of what an access covers. */
struct piece {
	u8 *host;    /* NULL: @mmio */
	u64 n_bytes; /* at least 1 */
	struct ui_mem_span mmio;
};

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

static UI_NOINLINE enum ui_dma_status locate_untagged(struct ui_dma *dma, unsigned side, const struct ui_stage_config *cfg,
						      u64 iova, unsigned access, u64 n_bytes, struct piece *p,
						      struct ui_fault *why);

static UI_NOINLINE enum ui_dma_status miss(struct ui_dma *dma, unsigned side, const struct ui_stage_config *cfg, u64 iova,
					   unsigned access, u64 n_bytes, struct piece *p, struct ui_fault *why)
{
	u64 room = UI_PAGE_BYTES - (iova & (UI_PAGE_BYTES - 1));
	struct ui_stats_row *row = dma->answers[side].row;
	bool passes = ui_port_passes(dma);
	enum ui_dma_status status;
	struct ui_walk w;

	if (ui_unlikely(ui_cfg_untagged(cfg, iova) != iova))
		return locate_untagged(dma, side, cfg, ui_cfg_untagged(cfg, iova), access, n_bytes, p, why);
	if (!passes)
		ui_stats_count(&row->tlb_misses, 1);
	status = ui_port_walk(dma, row, cfg, iova, access, &w, why);
	if (status != UI_DMA_OK)
		return status;
	p->n_bytes = ui_min(n_bytes, ui_min(room, ui_mask_lg2(w.leaf_lg2) - (iova & ui_mask_lg2(w.leaf_lg2)) + 1));
	if (passes) {
		dma->skip--;
		return at_pa(dma, w.oa, access, p->n_bytes, p, why);
	}
	p->host = ui_port_fill(dma, cfg, iova, access, &w);
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
	if (cfg->kind == UI_CFG_BYPASS && ui_cfg_too_large(cfg, iova))
		return ui_walk_refused(why, UI_WALK_ADDR_SIZE, 1, 3, 0);
	if (cfg->kind == UI_CFG_BYPASS)
		return at_pa(dma, iova, access, n_bytes, p, why);
	*why = (struct ui_fault){ .reason = UI_DMA_BLOCKED };
	return UI_DMA_BLOCKED;
}

/*
 * Inside a section, which side @side entered with @cfg: what lies at @iova, up to the end of its page, at most @n_bytes (at
 * least 1).
 */
UI_ALWAYS_INLINE enum ui_dma_status locate(struct ui_dma *dma, unsigned side, const struct ui_stage_config *cfg, u64 iova,
					   unsigned access, u64 n_bytes, struct piece *p, struct ui_fault *why)
{
	struct ui_tlb_entry *e;
	u64 mask;

	if (ui_unlikely(cfg->kind != UI_CFG_TRANSLATE))
		return locate_other(dma, cfg, iova, access, n_bytes, p, why);
	e = ui_port_passes(dma) ? NULL : cached(dma, cfg, iova, access, &mask);
	if (ui_unlikely(!e))
		return miss(dma, side, cfg, iova, access, n_bytes, p, why);
	ui_stats_count(&dma->answers[side].row->tlb_hits, 1);
	p->n_bytes = ui_min(n_bytes, mask - (iova & mask) + 1);
	if (ui_unlikely(!(atomic_load_explicit(&e->key, memory_order_relaxed) & UI_TLB_RAM)))
		return at_pa(dma, atomic_load_explicit(&e->pa, memory_order_relaxed) + (iova & mask), access, p->n_bytes, p, why);
	p->host = (u8 *)atomic_load_explicit(&e->host, memory_order_relaxed) + (iova & mask);
	return UI_DMA_OK;
}

/* The TLB knows addresses without tags only, so those with one come here after it has been asked in vain. */
static UI_NOINLINE enum ui_dma_status locate_untagged(struct ui_dma *dma, unsigned side, const struct ui_stage_config *cfg,
						      u64 iova, unsigned access, u64 n_bytes, struct piece *p,
						      struct ui_fault *why)
{
	return locate(dma, side, cfg, iova, access, n_bytes, p, why);
}

/* Lengthens a RAM piece by pages that follow it in host memory too. What stops it is met again by who goes on from there. */
static UI_NOINLINE void extend(struct ui_dma *dma, unsigned side, const struct ui_stage_config *cfg, u64 iova,
			       unsigned access, u64 n_bytes, struct piece *p)
{
	while (p->n_bytes < n_bytes) {
		struct ui_fault why;
		struct piece next;

		if (locate(dma, side, cfg, iova + p->n_bytes, access, n_bytes - p->n_bytes, &next, &why) != UI_DMA_OK)
			return;
		if (!next.host || next.host != p->host + p->n_bytes)
			return;
		p->n_bytes += next.n_bytes;
	}
}

UI_ALWAYS_INLINE enum ui_dma_status locate_long(struct ui_dma *dma, unsigned side, const struct ui_stage_config *cfg,
						u64 iova, unsigned access, u64 n_bytes, struct piece *p,
						struct ui_fault *why)
{
	enum ui_dma_status status = locate(dma, side, cfg, iova, access, n_bytes, p, why);

	if (status == UI_DMA_OK && p->n_bytes < n_bytes && p->host)
		extend(dma, side, cfg, iova, access, n_bytes, p);
	return status;
}

static bool wraps(const struct ui_dma_addr *at, u64 n_bytes)
{
	u64 last;

	return !ui_range_last(at->iova, n_bytes, &last);
}

/* An access to @at has come to its end. */
UI_ALWAYS_INLINE void count(struct ui_dma *dma, unsigned side, const struct ui_dma_addr *at, u64 n_bytes)
{
	struct ui_stats_row *row = ui_port_row(dma, side, at);

	ui_stats_count(&row->dmas, 1);
	ui_stats_count(&row->bytes, n_bytes);
}

static enum ui_dma_status begin(struct ui_dma *dma, const struct ui_dma_addr *at, unsigned access, u64 n_bytes,
				struct ui_mem_span *span, struct ui_fault *fault)
{
	unsigned failed, want = ui_port_wanted(at, access);
	struct ui_stage_config *cfg;
	enum ui_dma_status status;
	struct ui_fault why;
	struct piece p;

	if (ui_unlikely(wraps(at, n_bytes)) && n_bytes)
		return ui_port_report_plain(dma, at, access, at->iova, UI_DMA_ADDR_SIZE, fault);
	status = ui_port_enter(dma, &at, 1, &cfg, &failed);
	if (ui_unlikely(status != UI_DMA_OK))
		return ui_port_report_plain(dma, at, access, at->iova, status, fault);
	status = locate_long(dma, 0, cfg, at->iova, want, ui_max(1, ui_min(n_bytes, SECTION_BYTES)), &p, &why);
	if (ui_unlikely(status != UI_DMA_OK)) {
		ui_port_leave(dma, 1);
		return ui_port_report(dma, at, access, at->iova, &why, fault);
	}
	dma->handle = true;
	if (ui_unlikely(!p.host))
		*span = p.mmio;
	else
		*span = (struct ui_mem_span){ .host = p.host, .writable = access & UI_PROT_WRITE };
	span->n_bytes = p.n_bytes;
	return UI_DMA_OK;
}

enum ui_dma_status ui_dma_begin(struct ui_dma *dma, const struct ui_dma_addr *at, unsigned access, u64 n_bytes,
				struct ui_mem_span *span, struct ui_fault *fault)
{
	enum ui_dma_status status;

	ui_assert(!dma->handle);
	status = begin(dma, at, access, n_bytes, span, fault);
	count(dma, 0, at, status == UI_DMA_OK ? span->n_bytes : 0);
	return ui_port_tell(dma, status);
}

void ui_dma_end(struct ui_dma *dma)
{
	ui_assert(dma->handle);
	dma->handle = false;
	ui_port_leave(dma, 1);
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
	ui_port_leave(dma, 1);
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
	unsigned failed, access = job->verb == READ ? UI_PROT_READ : UI_PROT_WRITE, want = ui_port_wanted(at, access);
	u64 end = *done + ui_min(n_bytes - *done, SECTION_BYTES);
	struct ui_stage_config *cfg;
	enum ui_dma_status status = ui_port_enter(dma, &at, 1, &cfg, &failed);
	struct ui_fault why;
	struct piece p;

	if (ui_unlikely(status != UI_DMA_OK))
		return ui_port_report_plain(dma, at, access, at->iova + *done, status, fault);
	while (*done < end) {
		u64 moved, part;

		status = locate_long(dma, 0, cfg, at->iova + *done, want, end - *done, &p, &why);
		if (ui_unlikely(status != UI_DMA_OK)) {
			ui_port_leave(dma, 1);
			return ui_port_report(dma, at, access, at->iova + *done, &why, fault);
		}
		if (ui_unlikely(!p.host)) {
			moved = move_mmio(dma, job, *done, &p.mmio, p.n_bytes);
			*done += moved;
			return moved ? UI_DMA_OK : ui_port_report_plain(dma, at, access, at->iova + *done, UI_DMA_ABORT, fault);
		}
		part = p.n_bytes;
		moved = move(job, *done, p.host, part);
		*done += moved;
		if (ui_unlikely(moved < part)) {
			ui_port_leave(dma, 1);
			return ui_port_report_plain(dma, at, access, at->iova + *done, UI_DMA_ABORT, fault);
		}
	}
	ui_port_leave(dma, 1);
	return UI_DMA_OK;
}

UI_ALWAYS_INLINE enum ui_dma_status run_job(struct ui_dma *dma, const struct ui_dma_addr *at, const struct job *job,
					    u64 n_bytes, u64 *done_out, struct ui_fault *fault)
{
	enum ui_dma_status status = UI_DMA_OK;
	u64 done = 0;

	ui_assert(!dma->handle);
	if (n_bytes && wraps(at, n_bytes))
		status = ui_port_report_plain(dma, at, job->verb == READ ? UI_PROT_READ : UI_PROT_WRITE, at->iova,
					      UI_DMA_ADDR_SIZE, fault);
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

	count(dma, 0, at, done);
	if (done_out)
		*done_out = done;
	return ui_port_tell(dma, status);
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
	*status = ui_port_report_plain(dma, pair->at[bad], pair->access[bad], pair->at[bad]->iova + *done, UI_DMA_ABORT, fault);
	return false;
}

static enum ui_dma_status pair_section(struct ui_dma *dma, struct pair *pair, u64 n_bytes, u64 *done, struct ui_fault *fault)
{
	u64 end = *done + ui_min(n_bytes - *done, SECTION_BYTES), bounced = 0;
	struct ui_stage_config *cfgs[2];
	unsigned side = 0;
	enum ui_dma_status status = ui_port_enter(dma, pair->at, 2, cfgs, &side);
	struct piece p[2];

	if (ui_unlikely(status != UI_DMA_OK))
		return ui_port_report_plain(dma, pair->at[side], pair->access[side], pair->at[side]->iova + *done, status, fault);
	while (*done < end) {
		struct ui_fault why;

		for (side = 0; side < 2 && status == UI_DMA_OK; side++) {
			const struct ui_dma_addr *at = pair->at[side];
			unsigned access = pair->access[side];

			status = locate_long(dma, side, cfgs[side], at->iova + *done, ui_port_wanted(at, access), end - *done,
					     &p[side], &why);
			if (status != UI_DMA_OK)
				ui_port_report(dma, at, access, at->iova + *done, &why, fault);
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
	ui_port_leave(dma, 2);
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
			status = ui_port_report_plain(dma, at, pair->access[side], at->iova, UI_DMA_ADDR_SIZE, fault);
	}
	while (status == UI_DMA_OK && done < n_bytes && !pair->differs)
		status = pair_section(dma, pair, n_bytes, &done, fault);
	for (unsigned side = 0; side < 2; side++)
		count(dma, side, pair->at[side], done);
	if (done_out)
		*done_out = done;
	return ui_port_tell(dma, status);
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
