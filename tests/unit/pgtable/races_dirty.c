/* SPDX-License-Identifier: MIT */
/*
 * No dirty mark is lost: walkers mark pages as a device would, while another thread reads and clears the marks, splits the
 * leaf that is being marked, or gives it a new address. And no mark brings back a page that was unmapped under it. Meant for
 * the thread sanitizer too.
 */
#include "common.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define PAGE_LG2 12u
#define PAGE UI_BIT(PAGE_LG2)
#define LARGE UI_BIT(21)
#define BASE ((u64)1 << 30)
#define OA ((u64)2 << 30)
#define RW (UI_PROT_READ | UI_PROT_WRITE)

static const struct ui_pt_cfg geometry[] = {
	{ .format = UI_PT_X86_64, .granule_lg2 = 12, .ia_bits = 48, .oa_bits = 48, .dirty_track = true },
	{ .format = UI_PT_VTDSS, .granule_lg2 = 12, .ia_bits = 48, .oa_bits = 48, .dirty_track = true },
	{ .format = UI_PT_ARM_S1, .granule_lg2 = 12, .ia_bits = 48, .oa_bits = 48, .dirty_track = true },
	{ .format = UI_PT_ARM_S2, .granule_lg2 = 12, .ia_bits = 48, .oa_bits = 48, .dirty_track = true },
};

static u64 next_random(u64 *rng)
{
	*rng = *rng * 6364136223846793005u + 1442695040888963407u;
	return *rng >> 33;
}

/* ---- marks against read-and-clear and repoint ---- */

#define N_PAGES 8u
#define N_WALKERS 2u
#define N_WALKS 400000u

struct clear_race {
	struct ui_pt pt;
	/* Walks begun and ended, by page. */
	_Atomic u64 begun[N_PAGES], ended[N_PAGES];
	_Atomic unsigned n_running;
	_Atomic bool failed;
	/* The reader's: walks begun when the page was last cleared; ended when the scan began; whether it was reported. */
	u64 at_clear[N_PAGES], at_scan[N_PAGES];
	bool reported[N_PAGES];
};

static void *marker_main(void *arg)
{
	struct clear_race *r = arg;
	struct ui_walk out;
	u64 rng = (u64)(uintptr_t)&out;

	for (unsigned i = 0; i < N_WALKS; i++) {
		u64 page = next_random(&rng) % N_PAGES;

		atomic_fetch_add(&r->begun[page], 1);
		if (r->pt.ops->walk(&r->pt, BASE + page * PAGE, UI_PROT_WRITE, &out) != UI_WALK_OK || !out.dirty)
			atomic_store(&r->failed, true);
		atomic_fetch_add(&r->ended[page], 1);
	}
	atomic_fetch_sub(&r->n_running, 1);
	return NULL;
}

/* The page is clean now: whatever walk begins from here on must mark it again. */
static int cleared(void *arg, u64 start, u64 last)
{
	struct clear_race *r = arg;
	u64 page = (start - BASE) / PAGE;

	r->at_clear[page] = atomic_load(&r->begun[page]);
	r->reported[page] = true;
	return 0;
}

static bool scan(struct clear_race *r, u64 n)
{
	u64 floor[N_PAGES];
	bool ok = true;

	/* To and fro, all the pages of the range; what is marked meanwhile stays marked. */
	r->pt.ops->repoint(&r->pt, BASE, BASE + N_PAGES * PAGE - 1, OA + (n & 1 ? PAGE : 3 * PAGE));

	for (unsigned p = 0; p < N_PAGES; p++) {
		r->at_scan[p] = atomic_load(&r->ended[p]);
		r->reported[p] = false;
		floor[p] = r->at_clear[p];
	}
	r->pt.ops->dirty(&r->pt, BASE, BASE + N_PAGES * PAGE - 1, false, cleared, r);
	for (unsigned p = 0; p < N_PAGES; p++) {
		/* More walks had ended than had begun at the last clear: one of them came after it, and left its mark. */
		if (r->at_scan[p] > floor[p] && !r->reported[p]) {
			fprintf(stderr, "page %u: a mark was lost\n", p);
			ok = false;
		}
	}
	return ok;
}

static bool run_clear(const struct ui_pt_cfg *geo)
{
	static struct clear_race r;
	struct test_pages *tp = test_pages_create();
	struct ui_pt_cfg cfg = *geo;
	pthread_t thread[N_WALKERS];
	bool ok = true, last;
	u64 n = 0;

	memset(&r, 0, sizeof(r));
	cfg.pages = &tp->pages;
	r.n_running = N_WALKERS;
	/* Odd in granules, so that every page has its leaf. */
	if (ui_pt_init(&r.pt, &cfg) || r.pt.ops->map(&r.pt, BASE, OA + PAGE, N_PAGES * PAGE, RW, NULL))
		return false;
	for (unsigned i = 0; i < N_WALKERS; i++)
		if (pthread_create(&thread[i], NULL, marker_main, &r))
			return false;
	do {
		last = !atomic_load(&r.n_running);
		ok = scan(&r, n++) && ok;
	} while (!last);
	for (unsigned i = 0; i < N_WALKERS; i++)
		pthread_join(thread[i], NULL);
	ok = ok && !atomic_load(&r.failed);
	ui_pt_fini(&r.pt);
	test_pages_destroy(tp);
	printf("%s: clear %s\n", test_cfg_name(geo), ok ? "ok" : "FAILED");
	return ok;
}

/* ---- marks against split and repoint ---- */

#define N_ROUNDS 700u

struct edit_race {
	struct ui_pt pt;
	_Atomic u64 round, done; /* the walker does one walk per round */
	_Atomic bool stop;
	u64 page;       /* to mark; written before the round begins */
	unsigned delay;
	enum ui_walk_status status;
	u64 seen;
};

static void spin(unsigned n)
{
	for (volatile unsigned i = 0; i < n; i++)
		;
}

static void *edit_walker_main(void *arg)
{
	struct edit_race *r = arg;
	struct ui_walk out;

	for (u64 round = 1;; round++) {
		while (atomic_load(&r->round) < round) {
			if (atomic_load(&r->stop))
				return NULL;
			sched_yield();
		}
		spin(r->delay);
		r->status = r->pt.ops->walk(&r->pt, BASE + r->page * PAGE, UI_PROT_WRITE, &out);
		r->seen = out.oa;
		atomic_store(&r->done, round);
	}
}

struct sought {
	u64 iova;
	bool found;
};

static int seek(void *arg, u64 start, u64 last)
{
	struct sought *s = arg;

	s->found |= start <= s->iova && s->iova <= last;
	return 0;
}

static bool one_round(struct edit_race *r, u64 round, u64 *rng)
{
	struct ui_pt_gather g = { .first = NULL };
	struct sought s = { .found = false };
	const struct ui_pt_ops *ops = r->pt.ops;
	unsigned what = (unsigned)(round % 3);
	u64 cut = next_random(rng) % 511, moved = OA + 4 * LARGE;
	bool ok = !ops->map(&r->pt, BASE, OA, LARGE, RW, NULL);

	r->page = cut + 1;
	r->delay = (unsigned)(next_random(rng) % 500);
	atomic_store(&r->round, round);
	spin((unsigned)(next_random(rng) % 500));
	if (what == 0)
		ok = ok && ops->unmap(&r->pt, BASE + cut * PAGE, BASE + cut * PAGE + PAGE - 1, UI_PT_SPLIT, &g) == (s64)PAGE;
	else
		ok = ok && !ops->repoint(&r->pt, BASE, BASE + LARGE - 1, what == 1 ? moved : moved + PAGE);
	while (atomic_load(&r->done) < round)
		sched_yield();
	s.iova = BASE + r->page * PAGE;
	ops->dirty(&r->pt, BASE, BASE + LARGE - 1, false, seek, &s);
	ok = ok && r->status == UI_WALK_OK && s.found;
	if (!ok)
		fprintf(stderr, "round %llu: walk %d to %#llx, mark %s\n", (unsigned long long)round, (int)r->status,
			(unsigned long long)r->seen, s.found ? "kept" : "lost");
	ops->unmap(&r->pt, 0, ~(u64)0, UI_PT_REFUSE, &g);
	ui_pt_gather_free(&r->pt, &g);
	return ok;
}

static bool run_edit(const struct ui_pt_cfg *geo)
{
	static struct edit_race r;
	struct test_pages *tp = test_pages_create();
	struct ui_pt_cfg cfg = *geo;
	pthread_t thread;
	u64 rng = 1;
	bool ok = true;

	memset(&r, 0, sizeof(r));
	cfg.pages = &tp->pages;
	if (ui_pt_init(&r.pt, &cfg) || pthread_create(&thread, NULL, edit_walker_main, &r))
		return false;
	for (u64 round = 1; round <= N_ROUNDS && ok; round++)
		ok = one_round(&r, round, &rng);
	atomic_store(&r.stop, true);
	pthread_join(thread, NULL);
	ui_pt_fini(&r.pt);
	test_pages_destroy(tp);
	printf("%s: split and repoint %s\n", test_cfg_name(geo), ok ? "ok" : "FAILED");
	return ok;
}

/* ---- marks against unmap ---- */

#define N_UNMAPS 20000u

struct unmap_race {
	struct ui_pt pt;
	_Atomic u64 walks;
	_Atomic bool stop;
};

static void *unmap_walker_main(void *arg)
{
	struct unmap_race *r = arg;
	struct ui_walk out;

	for (u64 n = 1; !atomic_load(&r->stop); n++) {
		r->pt.ops->walk(&r->pt, BASE, UI_PROT_WRITE, &out);
		atomic_store(&r->walks, n);
		if (n % 1024 == 0)
			sched_yield();
	}
	return NULL;
}

static bool run_unmap(const struct ui_pt_cfg *geo)
{
	static struct unmap_race r;
	struct test_pages *tp = test_pages_create();
	struct ui_pt_gather g = { .first = NULL };
	struct ui_pt_cfg cfg = *geo;
	struct ui_walk out;
	pthread_t thread;
	u64 seen, rng = 1;
	bool ok;

	memset(&r, 0, sizeof(r));
	cfg.pages = &tp->pages;
	/* A neighbour keeps the table in place. */
	ok = !ui_pt_init(&r.pt, &cfg) && !r.pt.ops->map(&r.pt, BASE + PAGE, OA, PAGE, RW, NULL) &&
	     !pthread_create(&thread, NULL, unmap_walker_main, &r);
	for (unsigned i = 0; i < N_UNMAPS && ok; i++) {
		ok = !r.pt.ops->map(&r.pt, BASE, OA, PAGE, RW, NULL);
		spin((unsigned)(next_random(&rng) % 40));
		ok = ok && r.pt.ops->unmap(&r.pt, BASE, BASE + PAGE - 1, UI_PT_REFUSE, &g) == (s64)PAGE && !g.first;
		/* The walk that may have judged the leaf has ended. */
		for (seen = atomic_load(&r.walks); atomic_load(&r.walks) == seen;)
			sched_yield();
		ok = ok && r.pt.ops->walk(&r.pt, BASE, 0, &out) == UI_WALK_TRANSLATION;
	}
	atomic_store(&r.stop, true);
	pthread_join(thread, NULL);
	ui_pt_fini(&r.pt);
	test_pages_destroy(tp);
	printf("%s: unmap %s\n", test_cfg_name(geo), ok ? "ok" : "FAILED");
	return ok;
}

int main(void)
{
	bool ok = true;

	for (unsigned i = 0; i < ui_array_size(geometry); i++) {
		ok = run_clear(&geometry[i]) && ok;
		ok = run_edit(&geometry[i]) && ok;
		ok = run_unmap(&geometry[i]) && ok;
	}
	return ok ? 0 : 1;
}
