/* SPDX-License-Identifier: MIT */
/*
 * Pages move under live mappings. Everything that can fail (memory for segments, gates, split leaves) comes before the move
 * itself and is undone; behind the closed gates no DMA sees an order.
 */
#include "core/ioas_priv.h"
#include "base/alloc.h"

#include <errno.h>
#include <string.h>

/* A stretch of a held part of an object whose pages move. */
struct job {
	struct ui_pages *pages;
	struct ui_area *area; /* NULL: an access holds it, and no table has it */
	u64 start, last; /* addresses where the pages were made, page-aligned */
	u64 now;         /* where the first is now */
};

struct mover {
	struct ui_pages_set *set;
	u64 old, n_bytes, to;
	struct job *jobs;
	size_t n, room;
	struct ui_domain **gates; /* the domains concerned, of which the first n_gates are closed */
	size_t n_gates;
	size_t job, domain; /* repoint(): how far it came */
};

static int job_add(struct mover *mover, struct ui_pages *pages, struct ui_area *area, u64 start, u64 last, u64 now)
{
	if (mover->n == mover->room) {
		size_t room = mover->room ? mover->room * 2 : 4;
		struct job *grown = ui_realloc(mover->jobs, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		mover->jobs = grown;
		mover->room = room;
	}
	mover->jobs[mover->n++] = (struct job){ pages, area, start, last, now };
	return 0;
}

/* What holds pages: an area, found in set->held, or an access's grip, found in set->grips. */
struct holder {
	struct ui_pages *pages;
	struct ui_area *area;
};

static struct holder holder_of(const struct mover *mover, const struct ui_ivm *index, struct ui_ivm_node *node)
{
	struct ui_pin *pin = ui_container_of(node, struct ui_pin, node);
	struct ui_area *area;

	if (index == &mover->set->grips)
		return (struct holder){ ui_container_of(pin, struct ui_grip, pin)->pages, NULL };
	area = ui_container_of(pin, struct ui_area, pin);
	return (struct holder){ area->pages, area };
}

/* Pages that are where they were made. */
static int collect_unmoved(struct mover *mover, const struct ui_ivm *index, u64 last)
{
	struct ui_ivm_node *node = NULL;
	int ret = 0;

	while (!ret && (node = ui_ivm_next(index, mover->old, last, node))) {
		struct holder holder = holder_of(mover, index, node);
		u64 at = ui_max(node->start, mover->old), end = ui_min(node->last, last), start, run;

		while (!ret && at <= end && ui_pages_unmoved(holder.pages, at, end, &start, &run)) {
			ret = job_add(mover, holder.pages, holder.area, start, run, start);
			at = run + 1;
		}
	}
	return ret;
}

/* Pages that have come there by an earlier move. */
static int collect_moved(struct mover *mover, const struct ui_ivm *index, u64 last)
{
	struct ui_moved run = { 0 };
	int ret = 0;

	while (!ret && ui_pages_next_moved(mover->set, mover->old, last, &run)) {
		struct ui_ivm_node *node = NULL;

		while (!ret && (node = ui_ivm_next(index, run.start, run.last, node))) {
			struct holder holder = holder_of(mover, index, node);
			u64 start = ui_max(node->start, run.start);

			if (holder.pages == run.pages)
				ret = job_add(mover, holder.pages, holder.area, start, ui_min(node->last, run.last), run.now + (start - run.start));
		}
	}
	return ret;
}

static int collect(struct mover *mover, u64 last)
{
	const struct ui_ivm *indexes[] = { &mover->set->held, &mover->set->grips };
	int ret = 0;

	for (size_t i = 0; !ret && i < ui_array_size(indexes); i++) {
		ret = collect_unmoved(mover, indexes[i], last);
		if (!ret)
			ret = collect_moved(mover, indexes[i], last);
	}
	return ret ? ret : mover->n ? 0 : -ENOENT;
}

static void forget(struct mover *mover)
{
	for (size_t i = 0; i < mover->n; i++) {
		struct job *job = &mover->jobs[i];

		ui_pages_unmove(job->pages, job->start, job->last, mover->old, mover->n_bytes, mover->to);
	}
}

/* Areas that share an object have jobs for the same pages: once a page has moved, it is not at the old place any more. */
static int record(struct mover *mover)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < mover->n; i++) {
		struct job *job = &mover->jobs[i];

		ret = ui_pages_move(job->pages, job->start, job->last, mover->old, mover->n_bytes, mover->to);
	}
	if (ret)
		forget(mover);
	return ret;
}

static void gates_open(struct mover *mover)
{
	while (mover->n_gates)
		ui_domain_gate_open(mover->gates[--mover->n_gates]);
}

/* Puts @domain into the list, which is in the order of addresses, unless it is there. */
static void gate_add(struct ui_domain **list, size_t *n, struct ui_domain *domain)
{
	size_t low = 0, high = *n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if ((uintptr_t)list[middle] < (uintptr_t)domain)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < *n && list[low] == domain)
		return;
	memmove(list + low + 1, list + low, (*n - low) * sizeof(*list));
	list[low] = domain;
	++*n;
}

static size_t n_domains(const struct job *job)
{
	return job->area ? job->area->ioas->n_domains : 0;
}

/* Each domain concerned, once: whoever holds several holds them in the order of their addresses. */
static int gates_list(struct mover *mover, size_t *n)
{
	size_t room = 0;

	*n = 0;
	for (size_t i = 0; i < mover->n; i++)
		room += n_domains(&mover->jobs[i]);
	if (!room)
		return 0;
	mover->gates = ui_calloc(room, sizeof(*mover->gates));
	if (!mover->gates)
		return -ENOMEM;
	for (size_t i = 0; i < mover->n; i++) {
		for (size_t d = 0; d < n_domains(&mover->jobs[i]); d++)
			gate_add(mover->gates, n, mover->jobs[i].area->ioas->domains[d]);
	}
	return 0;
}

static int gates_close(struct mover *mover)
{
	size_t n;
	int ret = gates_list(mover, &n);

	while (!ret && mover->n_gates < n) {
		ret = ui_domain_gate_close(mover->gates[mover->n_gates]);
		mover->n_gates += !ret;
	}
	if (ret)
		gates_open(mover);
	return ret;
}

/* Points one domain's mappings of a job to where its pages are (@from) or will be. */
static int repoint_one(struct mover *mover, const struct job *job, struct ui_domain *domain, bool back)
{
	const struct ui_area *area = job->area;
	u64 first = area->pages->cfg.pa + area->offset, end = first + (area->length - 1);
	u64 start = ui_max(job->start, first), last = ui_min(job->last, end);
	u64 now = job->now + (start - job->start), pa = back ? now : mover->to + (now - mover->old);

	/* A busy area is in no domain, and one that grants nothing in no table. */
	if (area->busy || !area->prot)
		return 0;
	return ui_domain_repoint(domain, area->start + (start - first), area->start + (last - first), pa);
}

/* Takes back what repoint() did. The leaves are split already, so this needs no memory. */
static void repoint_back(struct mover *mover)
{
	for (;;) {
		if (!mover->domain) {
			if (!mover->job)
				return;
			mover->domain = n_domains(&mover->jobs[--mover->job]);
			continue;
		}
		mover->domain--;
		repoint_one(mover, &mover->jobs[mover->job], mover->jobs[mover->job].area->ioas->domains[mover->domain], true);
	}
}

static int repoint(struct mover *mover)
{
	for (mover->job = 0; mover->job < mover->n; mover->job++) {
		const struct job *job = &mover->jobs[mover->job];

		for (mover->domain = 0; mover->domain < n_domains(job); mover->domain++) {
			int ret = repoint_one(mover, job, job->area->ioas->domains[mover->domain], false);

			if (ret) {
				repoint_back(mover);
				return ret;
			}
		}
	}
	mover->domain = 0;
	return 0;
}

/* With everybody else kept out. */
static int move_locked(struct mover *mover, u64 last, int (*move)(void *arg), void *arg)
{
	int ret = collect(mover, last);

	if (!ret)
		ret = record(mover);
	if (ret)
		return ret;
	ret = gates_close(mover);
	if (!ret) {
		ret = repoint(mover);
		if (!ret) {
			ret = move(arg);
			if (ret)
				repoint_back(mover);
		}
		gates_open(mover);
	}
	if (ret)
		forget(mover);
	return ret;
}

int ui_ioas_move_pages(struct ui_pages_set *set, u64 old, u64 n_bytes, u64 to, int (*move)(void *arg), void *arg)
{
	struct mover mover = { .set = set, .old = old, .n_bytes = n_bytes, .to = to };
	u64 last;
	int ret;

	ui_assert(ui_is_aligned(old | n_bytes | to, UI_PAGE_BYTES));
	if (!ui_range_last(old, n_bytes, &last))
		return -ENOENT;
	pthread_rwlock_wrlock(&set->moving);
	pthread_mutex_lock(&set->lock);
	ret = move_locked(&mover, last, move, arg);
	pthread_mutex_unlock(&set->lock);
	pthread_rwlock_unlock(&set->moving);
	ui_free(mover.jobs);
	ui_free(mover.gates);
	return ret;
}
