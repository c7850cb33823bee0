/* SPDX-License-Identifier: MIT */
/*
 * Walkers against the writer: while one thread maps, splits, repoints and unmaps, others walk without a lock. What a walk
 * sees must be a state that the page has at that moment: the old or the new one while an operation runs, that one
 * between operations. A page that an operation leaves alone never shows a gap. Tables are freed when no walker can stand on
 * them, and then hold garbage. Meant for the thread sanitizer too.
 */
#include "common.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define N_WALKERS 2u
#define N_CYCLES 60u
#define N_STEPS 8u
#define N_PROBES 16u
#define ABSENT 0u
#define PAGE_LG2 12u
#define HALF 512u /* pages of a large leaf */
#define HOLE 100u
#define BASE ((u64)5 << 30)
#define OA_X ((u64)1 << 30)
#define OA_Y ((u64)2 << 30)
#define OA_Z ((u64)3 << 30)
#define OA_W (((u64)4 << 30) + ((u64)1 << PAGE_LG2))
#define OA_V (((u64)6 << 30) + ((u64)3 << PAGE_LG2))

/* Pages worth looking at: those that the operations change, their neighbours, the ends. */
static const unsigned probe[N_PROBES] = {
	0, 1, HOLE - 1, HOLE, HOLE + 1, 255, 256, 257, 511, 512, 513, 767, 768, 1000, 1022, 1023,
};

struct shared {
	struct ui_pt pt;
	/* 2n: the table is in state n; 2n + 1: between n and n + 1. Release; walkers acquire. */
	_Atomic u64 phase;
	_Atomic bool stop;
	_Atomic bool failed;
	/* Walks ended, by walker. Release; the writer acquires before it frees tables. */
	_Atomic u64 walks[N_WALKERS];
};

struct walker {
	struct shared *s;
	unsigned id;
	u64 rng;
};

static u64 at(u64 oa, unsigned page)
{
	return oa + ((u64)page << PAGE_LG2);
}

/* Where @page leads in state @n of the cycle, or ABSENT. */
static u64 expected(unsigned n, unsigned page)
{
	switch (n) {
	case 0:
		return ABSENT;
	case 1:
		return at(OA_X, page);
	case 2:
		return page == HOLE ? ABSENT : at(OA_X, page);
	case 3:
		return page >= HALF ? at(OA_Y, page - HALF) : expected(2, page);
	case 4:
		return page == HOLE ? OA_Z : expected(3, page);
	case 5:
		return page >= 256 && page < 768 ? at(OA_W, page - 256) : expected(4, page);
	case 6:
		return page < HALF ? ABSENT : expected(5, page);
	default:
		return page < HALF ? at(OA_V, page) : expected(5, page);
	}
}

/* From state @n to state @n + 1, the last to the first. False: it did not do what it must. */
static bool step(struct ui_pt *pt, unsigned n, struct ui_pt_gather *g)
{
	const u64 page = UI_BIT(PAGE_LG2), half = at(BASE, HALF), end = at(BASE, 2 * HALF), hole = at(BASE, HOLE);
	const unsigned rw = UI_PROT_READ | UI_PROT_WRITE;

	switch (n) {
	case 0:
		return !pt->ops->map(pt, BASE, OA_X, end - BASE, rw, NULL);
	case 1:
		return pt->ops->unmap(pt, hole, hole + page - 1, UI_PT_SPLIT, g) == (s64)page;
	case 2:
		return !pt->ops->repoint(pt, half, end - 1, OA_Y);
	case 3:
		return !pt->ops->map(pt, hole, OA_Z, page, rw, NULL);
	case 4:
		return !pt->ops->repoint(pt, at(BASE, 256), at(BASE, 768) - 1, OA_W);
	case 5:
		return pt->ops->unmap(pt, BASE, half - 1, UI_PT_REFUSE, g) == (s64)(half - BASE);
	case 6:
		return !pt->ops->map(pt, BASE, OA_V, half - BASE, rw, NULL);
	default:
		return pt->ops->unmap(pt, 0, ~(u64)0, UI_PT_REFUSE, g) == (s64)(end - BASE);
	}
}

static bool one_walk(struct walker *w)
{
	struct shared *s = w->s;
	unsigned page, access;
	enum ui_walk_status status;
	struct ui_walk out;
	u64 before, after, seen;

	w->rng = w->rng * 6364136223846793005u + 1442695040888963407u;
	page = probe[w->rng >> 40 & (N_PROBES - 1)];
	access = w->rng >> 50 & 1 ? UI_PROT_WRITE : UI_PROT_READ;
	before = atomic_load_explicit(&s->phase, memory_order_acquire);
	status = s->pt.ops->walk(&s->pt, at(BASE, page), access, &out);
	/* The walk's own loads acquire, so this one comes after them. */
	after = atomic_load_explicit(&s->phase, memory_order_acquire);
	if (status != UI_WALK_OK && status != UI_WALK_TRANSLATION)
		return false;
	seen = status == UI_WALK_OK ? out.oa : ABSENT;
	for (u64 n = before / 2; n <= (after + 1) / 2; n++)
		if (expected(n % N_STEPS, page) == seen)
			return true;
	fprintf(stderr, "page %u leads to %#llx in phases %llu to %llu\n", page, (unsigned long long)seen,
		(unsigned long long)before, (unsigned long long)after);
	return false;
}

static void *walker_main(void *arg)
{
	struct walker *w = arg;

	for (u64 n = 1; !atomic_load_explicit(&w->s->stop, memory_order_acquire); n++) {
		if (!one_walk(w))
			atomic_store_explicit(&w->s->failed, true, memory_order_release);
		atomic_store_explicit(&w->s->walks[w->id], n, memory_order_release);
		if (n % 256 == 0)
			sched_yield();
	}
	return NULL;
}

/* Every walk that runs now has ended when this returns. */
static void wait_for_walkers(struct shared *s)
{
	u64 seen[N_WALKERS];

	for (unsigned i = 0; i < N_WALKERS; i++)
		seen[i] = atomic_load_explicit(&s->walks[i], memory_order_acquire);
	for (unsigned i = 0; i < N_WALKERS; i++)
		while (atomic_load_explicit(&s->walks[i], memory_order_acquire) == seen[i])
			sched_yield();
}

static bool run(const struct ui_pt_cfg *geometry)
{
	struct test_pages *tp = test_pages_create();
	static struct shared s;
	struct ui_pt_gather g = { .first = NULL };
	struct ui_pt_cfg cfg = *geometry;
	struct walker walker[N_WALKERS];
	pthread_t thread[N_WALKERS];
	bool ok = true;

	memset(&s, 0, sizeof(s));
	cfg.pages = &tp->pages;
	if (ui_pt_init(&s.pt, &cfg))
		return false;
	for (unsigned i = 0; i < N_WALKERS; i++) {
		walker[i] = (struct walker){ .s = &s, .id = i, .rng = i };
		if (pthread_create(&thread[i], NULL, walker_main, &walker[i]))
			return false;
	}
	for (u64 n = 0; n < N_CYCLES * N_STEPS && ok; n++) {
		atomic_store_explicit(&s.phase, 2 * n + 1, memory_order_release);
		ok = step(&s.pt, (unsigned)(n % N_STEPS), &g);
		atomic_store_explicit(&s.phase, 2 * n + 2, memory_order_release);
		wait_for_walkers(&s);
		ui_pt_gather_free(&s.pt, &g);
		ok = ok && !atomic_load_explicit(&s.failed, memory_order_acquire);
	}
	atomic_store_explicit(&s.stop, true, memory_order_release);
	for (unsigned i = 0; i < N_WALKERS; i++)
		pthread_join(thread[i], NULL);
	ui_pt_fini(&s.pt);
	test_pages_destroy(tp);
	printf("%s: %s\n", test_cfg_name(geometry), ok ? "ok" : "FAILED");
	return ok;
}

int main(void)
{
	static const struct ui_pt_cfg geometry[] = {
		{ .format = UI_PT_X86_64, .granule_lg2 = 12, .ia_bits = 48, .oa_bits = 48 },
		{ .format = UI_PT_X86_64, .granule_lg2 = 12, .ia_bits = 57, .oa_bits = 52, .dirty_track = true },
		{ .format = UI_PT_VTDSS, .granule_lg2 = 12, .ia_bits = 48, .oa_bits = 48, .dirty_track = true },
		{ .format = UI_PT_ARM_S1, .granule_lg2 = 12, .ia_bits = 48, .oa_bits = 48, .dirty_track = true },
		{ .format = UI_PT_ARM_S2, .granule_lg2 = 12, .ia_bits = 40, .oa_bits = 40, .dirty_track = true },
	};
	bool ok = true;

	for (unsigned i = 0; i < ui_array_size(geometry); i++)
		ok = run(&geometry[i]) && ok;
	return ok ? 0 : 1;
}
