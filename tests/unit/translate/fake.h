/* SPDX-License-Identifier: MIT */
/*
 * A table that a test sees through: an array of pages, each with rights, a dirty bit and a leaf size, behind the ops of a
 * ui_pt. The walk can be held at a point of interest. What translate owes its tables shows here without a real format.
 */
#ifndef FAKE_H
#define FAKE_H

#include "base/alloc.h"
#include "base/safe.h"
#include "translate/dma.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	PAGE = 4096,
	FAKE_PAGES = 8192, /* 32 MiB of input addresses */
	FAKE_PRESENT = 0x20,
	FAKE_DIRTY = 0x40,
	FAKE_LARGE = 0x80, /* part of a leaf of 2 MiB */
	FAKE_TRACK = 0x100, /* dirty is tracked: clean until written */
};

struct fake {
	struct ui_pt pt;
	struct ui_pt_ops ops;
	_Atomic u64 pages[FAKE_PAGES];
	_Atomic u64 n_walks;
	_Atomic int hold; /* 1: the next walk stops after reading; it sets 2 and goes on at 0 */
};

UI_ALWAYS_INLINE void yield_a_lot(void)
{
	for (int i = 0; i < 5000; i++)
		sched_yield();
}

UI_ALWAYS_INLINE void wait_until(_Atomic int *word, int val)
{
	while (atomic_load(word) != val)
		sched_yield();
}

static inline enum ui_walk_status fake_walk(const struct ui_pt *pt, u64 iova, unsigned access, struct ui_walk *out)
{
	struct fake *f = ui_container_of((struct ui_pt *)(uintptr_t)pt, struct fake, pt);
	u64 entry;

	atomic_fetch_add_explicit(&f->n_walks, 1, memory_order_relaxed);
	*out = (struct ui_walk){ .level = 1, .leaf_lg2 = 12 };
	if (iova / PAGE >= FAKE_PAGES)
		return UI_WALK_ADDR_SIZE;
	entry = atomic_load_explicit(&f->pages[iova / PAGE], memory_order_relaxed);
	if (atomic_load_explicit(&f->hold, memory_order_relaxed) == 1) {
		atomic_store(&f->hold, 2);
		wait_until(&f->hold, 0);
	}
	if (!(entry & FAKE_PRESENT))
		return UI_WALK_TRANSLATION;
	out->level = 0;
	if ((access & 7) & ~entry || ((entry & UI_PROT_PRIV) && !(access & UI_PROT_PRIV)))
		return UI_WALK_PERMISSION;
	if ((entry & FAKE_TRACK) && (access & UI_PROT_WRITE))
		entry = atomic_fetch_or_explicit(&f->pages[iova / PAGE], FAKE_DIRTY, memory_order_relaxed) | FAKE_DIRTY;
	out->oa = (entry & ~(u64)(PAGE - 1)) + iova % PAGE;
	out->leaf_lg2 = entry & FAKE_LARGE ? 21 : 12;
	out->dirty = !(entry & FAKE_TRACK) || (entry & FAKE_DIRTY);
	out->prot = entry & 15;
	out->memattr = 5;
	return UI_WALK_OK;
}

static inline struct fake *fake_new(void)
{
	struct fake *f = ui_zalloc(sizeof(*f));

	if (!f)
		abort();
	f->ops.name = "fake";
	f->ops.walk = fake_walk;
	f->pt.ops = &f->ops;
	return f;
}

static inline void fake_set(struct fake *f, u64 iova, u64 entry)
{
	atomic_store_explicit(&f->pages[iova / PAGE], entry, memory_order_relaxed);
}

static inline void fake_map(struct fake *f, u64 iova, u64 pa, u64 n_pages, u64 flags)
{
	for (u64 i = 0; i < n_pages; i++)
		fake_set(f, iova + i * PAGE, (pa + i * PAGE) | FAKE_PRESENT | flags);
}

static inline void fake_unmap(struct fake *f, u64 iova, u64 n_pages)
{
	for (u64 i = 0; i < n_pages; i++)
		fake_set(f, iova + i * PAGE, 0);
}

/* What a device's PASIDs lead to: the last place is for no PASID. */
enum { N_PASIDS = 8, NO_PASID = N_PASIDS };

struct space {
	struct ui_stage_config cfg;
	struct fake *table;
};

struct router {
	_Atomic(struct ui_stage_config *) to[N_PASIDS + 1];
	_Atomic int hold; /* as fake.hold, in the resolver */
};

static inline struct ui_stage_config *route(void *arg, u32 pasid, bool has_pasid, enum ui_dma_status *reason)
{
	struct router *r = arg;
	struct ui_stage_config *cfg;

	if (has_pasid && pasid >= N_PASIDS) {
		*reason = UI_DMA_BAD_PASID;
		return NULL;
	}
	cfg = atomic_load_explicit(&r->to[has_pasid ? pasid : NO_PASID], memory_order_relaxed);
	if (atomic_load_explicit(&r->hold, memory_order_relaxed) == 1) {
		atomic_store(&r->hold, 2);
		wait_until(&r->hold, 0);
	}
	if (!cfg)
		*reason = UI_DMA_BLOCKED;
	return cfg;
}

static inline struct space *space_new(struct ui_tr *tr)
{
	struct space *s = ui_zalloc(sizeof(*s));

	if (!s || ui_tr_tag_alloc(tr, &s->cfg.tag))
		abort();
	s->table = fake_new();
	s->cfg.kind = UI_CFG_TRANSLATE;
	s->cfg.s1 = (struct ui_stage){ .pt = &s->table->pt, .present = true };
	return s;
}

static inline void space_free(struct ui_tr *tr, struct space *s)
{
	ui_tr_tag_free(tr, s->cfg.tag);
	ui_free(s->table);
	ui_free(s);
}

/* One memory object with 16 MiB of RAM at RAM_PA, one instance, two address spaces at PASIDs 1 and 2, a port. */
enum { RAM_BYTES = 16 << 20 };
#define RAM_PA ((u64)0x100000000)

struct rig {
	struct ui_mem *mem;
	struct ui_tr *tr;
	u8 *ram;
	struct space *a, *b;
	struct router router;
	struct ui_dma *port;
};

static inline void rig_open(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	r->ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	r->mem = ui_mem_create();
	if (r->ram == MAP_FAILED || !r->mem || ui_safe_install() || ui_mem_add_ram(r->mem, RAM_PA, RAM_BYTES, r->ram, true))
		abort();
	r->tr = ui_tr_create(r->mem);
	r->a = space_new(r->tr);
	r->b = space_new(r->tr);
	atomic_store(&r->router.to[1], &r->a->cfg);
	atomic_store(&r->router.to[2], &r->b->cfg);
	r->port = ui_dma_open(r->tr, 0x100, route, &r->router);
	if (!r->port)
		abort();
}

static inline void rig_close(struct rig *r)
{
	ui_dma_close(r->port);
	space_free(r->tr, r->a);
	space_free(r->tr, r->b);
	ui_tr_destroy(r->tr);
	ui_mem_destroy(r->mem);
	munmap(r->ram, RAM_BYTES);
}

static inline struct ui_dma_addr at_pasid(u32 pasid, u64 iova)
{
	return (struct ui_dma_addr){ .iova = iova, .pasid = pasid, .has_pasid = true };
}

static inline u64 test_seed(void)
{
	const char *given = getenv("UI_TEST_SEED");
	u64 seed = given ? (u64)strtoul(given, NULL, 0) : (u64)getpid();

	printf("seed %llu\n", (unsigned long long)seed);
	return seed;
}

static inline u64 next_random(u64 *seed, u64 below)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (*seed >> 33) % below;
}

#define CHECK(cond)                                                                                                       \
	do {                                                                                                              \
		if (!(cond)) {                                                                                            \
			fprintf(stderr, "%s:%d: %s: not so: %s\n", __FILE__, __LINE__, __func__, #cond);                  \
			exit(1);                                                                                          \
		}                                                                                                         \
	} while (0)

#endif
