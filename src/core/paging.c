/* SPDX-License-Identifier: MIT */
/*
 * What a paging domain does with its table. One order holds everywhere: change the table, make the TLBs forget, wait for the
 * sections that could have used the old state, free what nobody can stand on any more.
 */
#include "base/alloc.h"
#include "core/internal.h"

#include <errno.h>
#include <string.h>

bool ui_domain_self_inside(struct ui_domain *domain)
{
	struct ui_tr *tr = domain->iommu->tr;
	bool inside = ui_tr_self_inside(tr, &domain->cfg);

	pthread_mutex_lock(&domain->lock);
	ui_list_for_each(item, &domain->nested)
		inside |= ui_tr_self_inside(tr, &ui_container_of(item, struct ui_domain, link)->cfg);
	pthread_mutex_unlock(&domain->lock);
	return inside;
}

static void flush(struct ui_domain *domain, u64 start, u64 last, unsigned events)
{
	struct ui_tr *tr = domain->iommu->tr;

	ui_domain_count(domain, events);
	ui_tr_invalidate(tr, &domain->cfg, start, last);
	pthread_mutex_lock(&domain->lock);
	/* A nested domain's TLB entries are from its own input addresses: which of them led here nobody noted. */
	ui_list_for_each(item, &domain->nested)
		ui_tr_invalidate_tag(tr, &ui_container_of(item, struct ui_domain, link)->cfg);
	pthread_mutex_unlock(&domain->lock);
	if (domain->iommu->driver->flush)
		domain->iommu->driver->flush(domain, start, last);
}

void ui_domain_flush(struct ui_domain *domain, u64 start, u64 last)
{
	flush(domain, start, last, UI_DOMAIN_INVALIDATED);
}

static u64 granule(const struct ui_domain *domain)
{
	return UI_BIT(domain->pt.cfg.granule_lg2);
}

/* Cuts the range to what can be mapped at all; false when nothing is left. */
static bool clip(const struct ui_domain *domain, u64 *start, u64 *last)
{
	*start = ui_max(*start, domain->start);
	*last = ui_min(*last, domain->last);
	return *start <= *last;
}

int ui_domain_map(struct ui_domain *domain, u64 iova, u64 pa, u64 length, unsigned prot, unsigned max_lg2)
{
	/* A view of the table that knows fewer leaf sizes: the one that walkers use stays constant. */
	struct ui_pt view = domain->pt;
	u64 last;
	int ret;

	ui_assert(domain->kind == UI_DOMAIN_PAGING);
	view.cfg.page_sizes = ui_domain_page_sizes(domain) & (max_lg2 < 63 ? ui_mask_lg2(max_lg2 + 1) : ~(u64)0);
	if (!view.cfg.page_sizes || !length)
		return -EINVAL;
	if (!ui_range_last(iova, length, &last) || iova < domain->start || last > domain->last)
		return -ERANGE;
	ret = view.ops->map(&view, iova, pa, length, prot, &domain->gather);
	domain->pt.n_table_bytes = view.n_table_bytes;
	if (!ret)
		ui_domain_count(domain, UI_DOMAIN_MAPPED);
	/* Tables made and taken out again by a map that failed. From inside a section they wait for the next call. */
	if (domain->gather.first && !ui_domain_self_inside(domain)) {
		ui_domain_flush(domain, iova, last);
		ui_pt_gather_free(&domain->pt, &domain->gather);
	}
	return ret;
}

s64 ui_domain_unmap(struct ui_domain *domain, u64 start, u64 last, enum ui_pt_partial partial)
{
	s64 n_bytes;

	ui_assert(domain->kind == UI_DOMAIN_PAGING);
	if (!clip(domain, &start, &last))
		return 0;
	if (!ui_is_aligned(start, granule(domain)) || !ui_is_aligned(last + 1, granule(domain)))
		return -EINVAL;
	if (ui_domain_self_inside(domain))
		return -EDEADLK;
	n_bytes = domain->pt.ops->unmap(&domain->pt, start, last, partial, &domain->gather);
	if (n_bytes > 0 || domain->gather.first) {
		flush(domain, start, last, UI_DOMAIN_INVALIDATED | (n_bytes > 0 ? UI_DOMAIN_UNMAPPED : 0));
		ui_pt_gather_free(&domain->pt, &domain->gather);
	}
	return n_bytes;
}

int ui_domain_lookup(struct ui_domain *domain, u64 iova, struct ui_walk *out)
{
	switch (domain->kind) {
	case UI_DOMAIN_PAGING:
		/* Privileged, so that no mapping hides; nothing is read or written. */
		return domain->pt.ops->walk(&domain->pt, iova, UI_PROT_PRIV, out) == UI_WALK_OK ? 0 : -ENOENT;
	case UI_DOMAIN_IDENTITY:
		*out = (struct ui_walk){ .oa = iova, .leaf_lg2 = 64, .dirty = true, .prot = UI_PROT_READ | UI_PROT_WRITE | UI_PROT_EXEC };
		return 0;
	case UI_DOMAIN_BLOCKED:
		return -ENOENT;
	default:
		return -EOPNOTSUPP;
	}
}

/* Leaves that one report stands for at most, since they are clean by then: what the caller cannot take is marked again. */
enum { DIRTY_RUN = 4096 };

struct dirty_call {
	struct ui_domain *domain;
	u64 start, last; /* what the caller asked for */
	u64 first_seen, last_seen;
	u64 run_start, run_last; /* leaves in a row that @fn was not told of yet */
	unsigned n_run;
	bool any, keep;
	int (*fn)(void *arg, u64 start, u64 last);
	void *arg;
};

/* The leaves of the run are dirty again. */
static void mark_run(const struct dirty_call *call)
{
	u64 iova = call->run_start, last;
	struct ui_walk leaf;

	while (!ui_domain_lookup(call->domain, iova, &leaf)) {
		call->domain->pt.ops->mark_dirty(&call->domain->pt, iova);
		last = iova | ui_mask_lg2(leaf.leaf_lg2);
		if (last >= call->run_last)
			break;
		iova = last + 1;
	}
}

static int dirty_report(struct dirty_call *call)
{
	int ret = call->n_run ? call->fn(call->arg, call->run_start, call->run_last) : 0;

	if (ret < 0 && !call->keep)
		mark_run(call);
	call->n_run = 0;
	return ret < 0 ? ret : 0;
}

static int dirty_leaf(void *arg, u64 start, u64 last)
{
	struct dirty_call *call = arg;
	int ret = 0;

	start = ui_max(start, call->start);
	last = ui_min(last, call->last);
	if (!call->any)
		call->first_seen = start;
	call->any = true;
	call->last_seen = last;
	if (call->n_run && (call->run_last + 1 != start || call->n_run == DIRTY_RUN))
		ret = dirty_report(call);
	if (!call->n_run++)
		call->run_start = start;
	call->run_last = last;
	/* This leaf is clean already: it belongs to what is marked again. */
	if (ret && !call->keep)
		mark_run(call);
	return ret;
}

int ui_domain_read_dirty(struct ui_domain *domain, u64 start, u64 last, bool keep,
			 int (*fn)(void *arg, u64 start, u64 last), void *arg)
{
	struct dirty_call call = { .domain = domain, .keep = keep, .fn = fn, .arg = arg };
	int ret;

	if (!(domain->flags & UI_DOMAIN_F_DIRTY) || domain->kind != UI_DOMAIN_PAGING)
		return -EOPNOTSUPP;
	if (!keep && ui_domain_self_inside(domain))
		return -EDEADLK;
	if (!clip(domain, &start, &last))
		return 0;
	call.start = start;
	call.last = last;
	ret = domain->pt.ops->dirty(&domain->pt, ui_align_down(start, granule(domain)), last | (granule(domain) - 1), keep,
				    dirty_leaf, &call);
	if (ret >= 0)
		ret = dirty_report(&call);
	/* A TLB that holds a page as writable would not set its dirty bit again. */
	if (!keep && call.any)
		ui_domain_flush(domain, call.first_seen, call.last_seen);
	return ret < 0 ? ret : 0;
}

int ui_domain_mark_dirty(struct ui_domain *domain, u64 iova)
{
	if (!(domain->flags & UI_DOMAIN_F_DIRTY) || domain->kind != UI_DOMAIN_PAGING)
		return -EOPNOTSUPP;
	if (iova < domain->start || iova > domain->last)
		return -ENOENT;
	return domain->pt.ops->mark_dirty(&domain->pt, iova);
}

static int dirty_drop(void *arg, u64 start, u64 last)
{
	return 0;
}

int ui_domain_set_dirty_tracking(struct ui_domain *domain, bool on)
{
	int ret = 0;

	if (!(domain->flags & UI_DOMAIN_F_DIRTY) || domain->kind != UI_DOMAIN_PAGING)
		return -EOPNOTSUPP;
	if (on && !domain->tracking)
		ret = ui_domain_read_dirty(domain, domain->start, domain->last, false, dirty_drop, NULL);
	if (!ret)
		domain->tracking = on;
	return ret;
}

bool ui_domain_dirty_tracking(const struct ui_domain *domain)
{
	return domain->tracking;
}

int ui_domain_invalidate(struct ui_domain *domain, u64 start, u64 last)
{
	ui_assert(domain->kind == UI_DOMAIN_NESTED);
	ui_domain_count(domain, UI_DOMAIN_INVALIDATED);
	return ui_tr_invalidate(domain->iommu->tr, &domain->cfg, start, last);
}
