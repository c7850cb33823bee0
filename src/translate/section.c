/* SPDX-License-Identifier: MIT */
/* Slots, tags, and waiting for sections. How sections and changes order each other stands in dma.h. */
#include "base/alloc.h"
#include "base/bits.h"
#include "base/sys.h"
#include "translate/priv.h"

#include <errno.h>
#include <time.h>

enum { TAG_LIMIT = 1 << 22 };
_Static_assert(TAG_LIMIT <= 1 << (64 - UI_TLB_TAG_LG2), "a tag fits its place in a TLB entry");

_Thread_local char ui_thread_marker;

struct ui_tr *ui_tr_create(struct ui_mem *mem)
{
	struct ui_tr *tr = ui_zalloc_aligned(sizeof(*tr), _Alignof(struct ui_tr));

	if (!tr)
		return NULL;
	tr->mem = mem;
	tr->next_tag = 1;
	pthread_mutex_init(&tr->lock, NULL);
	ui_mem_join(mem, tr);
	return tr;
}

void ui_tr_destroy(struct ui_tr *tr)
{
	if (!tr)
		return;
	ui_assert(!tr->n_ports && !tr->n_tags);
	ui_mem_leave(tr->mem, tr);
	for (struct ui_slot *slot = atomic_load_explicit(&tr->slots, memory_order_relaxed), *next; slot; slot = next) {
		next = slot->next;
		ui_free(slot);
	}
	ui_free(tr->free_tags);
	pthread_mutex_destroy(&tr->lock);
	ui_free(tr);
}

struct ui_mem *ui_tr_mem(struct ui_tr *tr)
{
	return tr->mem;
}

/* Room to give back every tag, so that freeing one cannot fail. */
static int grow_tags(struct ui_tr *tr)
{
	u32 cap = tr->cap_tags ? tr->cap_tags * 2 : 64;
	u32 *tags;

	if (tr->next_tag <= tr->cap_tags)
		return 0;
	tags = ui_realloc(tr->free_tags, cap * sizeof(*tags));
	if (!tags)
		return -ENOMEM;
	tr->free_tags = tags;
	tr->cap_tags = cap;
	return 0;
}

int ui_tr_tag_alloc(struct ui_tr *tr, u32 *tag)
{
	int ret = 0;

	pthread_mutex_lock(&tr->lock);
	if (tr->n_free_tags) {
		*tag = tr->free_tags[--tr->n_free_tags];
	} else if (tr->next_tag == TAG_LIMIT) {
		ret = -ENOSPC;
	} else {
		ret = grow_tags(tr);
		if (!ret)
			*tag = tr->next_tag++;
	}
	if (!ret)
		tr->n_tags++;
	pthread_mutex_unlock(&tr->lock);
	return ret;
}

/* Acquire: partner is the push in ui_slot_get(). Sequentially consistent, so that a slot that is not seen belongs to
 * sections that begin after ui_tr_changed(). */
static struct ui_slot *first_slot(struct ui_tr *tr)
{
	return atomic_load_explicit(&tr->slots, memory_order_seq_cst);
}

static void remove_entries(struct ui_tr *tr, u32 tag, u64 start, u64 last)
{
	for (struct ui_slot *slot = first_slot(tr); slot; slot = slot->next) {
		/* Partner is ui_slot_get(): a port that takes the slot later begins with an empty TLB. */
		if (!atomic_load_explicit(&slot->in_use, memory_order_seq_cst))
			continue;
		/* Relaxed: sections that could fill it with what is to go have been waited for. Partner is ui_port_fill(). */
		if (atomic_load_explicit(&slot->filled, memory_order_relaxed))
			ui_tlb_remove(&slot->tlb, tag, start, last);
	}
}

void ui_tr_tag_free(struct ui_tr *tr, u32 tag)
{
	ui_assert(tag);
	remove_entries(tr, tag, 0, ~(u64)0);
	pthread_mutex_lock(&tr->lock);
	ui_assert(tr->n_tags && tr->n_free_tags < tr->cap_tags);
	tr->free_tags[tr->n_free_tags++] = tag;
	tr->n_tags--;
	pthread_mutex_unlock(&tr->lock);
}

struct ui_slot *ui_slot_get(struct ui_tr *tr)
{
	struct ui_slot *slot;

	pthread_mutex_lock(&tr->lock);
	for (slot = first_slot(tr); slot; slot = slot->next) {
		if (atomic_load_explicit(&slot->in_use, memory_order_relaxed))
			continue;
		ui_tlb_remove(&slot->tlb, 0, 0, ~(u64)0);
		atomic_store_explicit(&slot->filled, 0, memory_order_relaxed);
		break;
	}
	if (!slot) {
		slot = ui_zalloc_aligned(sizeof(*slot), _Alignof(struct ui_slot));
		if (!slot)
			goto out;
		slot->next = atomic_load_explicit(&tr->slots, memory_order_relaxed);
		/* Partner is first_slot(). */
		atomic_store_explicit(&tr->slots, slot, memory_order_seq_cst);
	}
	/* Partner is remove_entries(). */
	atomic_store_explicit(&slot->in_use, 1, memory_order_seq_cst);
	tr->n_ports++;
out:
	pthread_mutex_unlock(&tr->lock);
	return slot;
}

void ui_slot_put(struct ui_tr *tr, struct ui_slot *slot)
{
	ui_assert(atomic_load_explicit(&slot->state, memory_order_relaxed) == UI_SLOT_IDLE);
	pthread_mutex_lock(&tr->lock);
	/* Release: partner is the mutex in ui_slot_get() for the next owner, remove_entries() for others. */
	atomic_store_explicit(&slot->in_use, 0, memory_order_release);
	tr->n_ports--;
	pthread_mutex_unlock(&tr->lock);
}

/* A section whose slot says @state (read with acquire) may use @cfg; NULL stands for all. */
static bool meets(const struct ui_slot *slot, uintptr_t state, const struct ui_stage_config *cfg)
{
	if (state == UI_SLOT_IDLE)
		return false;
	if (!cfg || state == UI_SLOT_RESOLVING || state == (uintptr_t)cfg)
		return true;
	/* Acquire: partners are the stores of enter() and leave() in dma.c. */
	return atomic_load_explicit(&slot->second, memory_order_acquire) == (uintptr_t)cfg;
}

static bool self_is(const struct ui_slot *slot)
{
	/* Only this thread writes its own marker there, so what it reads of itself is current. */
	return atomic_load_explicit(&slot->owner, memory_order_relaxed) == (uintptr_t)&ui_thread_marker;
}

bool ui_tr_self_inside(struct ui_tr *tr, struct ui_stage_config *cfg)
{
	for (struct ui_slot *slot = first_slot(tr); slot; slot = slot->next) {
		/* Acquire, and before the owner: partner is ui_port_publish(). A port may have gone from our thread to another, and
		 * whose section this is can be told only from an owner that is as new. */
		uintptr_t state = atomic_load_explicit(&slot->state, memory_order_acquire);

		if (meets(slot, state, cfg) && self_is(slot))
			return true;
	}
	return false;
}

void ui_tr_relax(unsigned n)
{
	if (n < 64) {
#if defined(__x86_64__)
		__builtin_ia32_pause();
#endif
	} else if (n < 80) {
		ui_sys_yield();
	} else {
		unsigned lg2 = (n - 80) / 4;

		ui_sys_sleep_ns((u64)1000 << (lg2 < 8 ? lg2 : 8));
	}
}

static void wait_slot(struct ui_slot *slot, const struct ui_stage_config *cfg)
{
	/* Sequentially consistent: partner is the exchange in enter(), see dma.h. */
	uintptr_t state = atomic_load_explicit(&slot->state, memory_order_seq_cst);
	u64 seq;

	if (!meets(slot, state, cfg))
		return;
	/* Acquire, like those below: partners are the release stores of enter() and leave(), so that what the section did
	 * is done. A number that belongs to a later section than the state is waited for in its place. */
	seq = atomic_load_explicit(&slot->seq, memory_order_acquire);
	for (unsigned n = 0;; n++) {
		ui_tr_relax(n);
		if (!meets(slot, atomic_load_explicit(&slot->state, memory_order_acquire), cfg))
			return;
		if (atomic_load_explicit(&slot->seq, memory_order_acquire) != seq)
			return;
	}
}

static void wait_sections(struct ui_tr *tr, const struct ui_stage_config *cfg)
{
	for (struct ui_slot *slot = first_slot(tr); slot; slot = slot->next)
		wait_slot(slot, cfg);
}

void ui_tr_changed(struct ui_tr *tr)
{
	/* Partner is the load in enter(). */
	atomic_fetch_add_explicit(&tr->epoch, 1, memory_order_seq_cst);
}

bool ui_tr_quiet(struct ui_tr *tr)
{
	for (struct ui_slot *slot = first_slot(tr); slot; slot = slot->next)
		if (atomic_load_explicit(&slot->state, memory_order_seq_cst) != UI_SLOT_IDLE)
			return false;
	return true;
}

bool ui_tr_self_in_mmio(struct ui_tr *tr, uintptr_t key)
{
	for (struct ui_slot *slot = first_slot(tr); slot; slot = slot->next)
		if (self_is(slot) && atomic_load_explicit(&slot->mmio, memory_order_relaxed) == key)
			return true;
	return false;
}

void ui_tr_wait_mmio(struct ui_tr *tr, uintptr_t key)
{
	for (struct ui_slot *slot = first_slot(tr); slot; slot = slot->next) {
		/* Acquire: partner is the store that ends the call. A port sets it before its section ends, and sections
		 * that could have seen the region have been waited for. */
		for (unsigned n = 0; atomic_load_explicit(&slot->mmio, memory_order_acquire) == key; n++)
			ui_tr_relax(n);
	}
}

/*
 * Two rounds. Sections of the first may have walked the old table and filled entries by it, so only after them are the
 * entries removed for good; sections of the second may have used such an entry before it went.
 */
static int invalidate(struct ui_tr *tr, struct ui_stage_config *cfg, u32 tag, u64 start, u64 last)
{
	if (ui_tr_self_inside(tr, cfg))
		return -EDEADLK;
	ui_tr_changed(tr);
	wait_sections(tr, cfg);
	remove_entries(tr, tag, start, last);
	ui_tr_changed(tr);
	wait_sections(tr, cfg);
	return 0;
}

int ui_tr_invalidate(struct ui_tr *tr, struct ui_stage_config *cfg, u64 start, u64 last)
{
	if (ui_unlikely(cfg->halves)) {
		/* Entries have no tags; a range over more than one may be any of them. */
		bool one = !((start ^ last) >> 55);

		start = one ? ui_cfg_untagged(cfg, start) : 0;
		last = one ? ui_cfg_untagged(cfg, last) : ~(u64)0;
	}
	return invalidate(tr, cfg, cfg->tag, start, last);
}

int ui_tr_invalidate_leaves(struct ui_tr *tr, struct ui_stage_config *cfg, u64 start, u64 last)
{
	u64 below;

	/* Twice: what sections that are under way may still note counts too, and after the first time they have ended. */
	if (ui_tr_sync(tr, cfg))
		return -EDEADLK;
	/* Relaxed: the wait orders it. Partner is ui_walk_config(). */
	below = ui_mask_lg2(atomic_load_explicit(cfg->largest_leaf, memory_order_relaxed));
	return ui_tr_invalidate(tr, cfg, start & ~below, last | below);
}

int ui_tr_invalidate_tag(struct ui_tr *tr, struct ui_stage_config *cfg)
{
	return invalidate(tr, cfg, cfg->tag, 0, ~(u64)0);
}

int ui_tr_invalidate_all(struct ui_tr *tr)
{
	return invalidate(tr, NULL, 0, 0, ~(u64)0);
}

int ui_tr_sync(struct ui_tr *tr, struct ui_stage_config *cfg)
{
	if (ui_tr_self_inside(tr, cfg))
		return -EDEADLK;
	ui_tr_changed(tr);
	wait_sections(tr, cfg);
	return 0;
}

int ui_tr_gate_close(struct ui_tr *tr, struct ui_stage_config *cfg)
{
	if (ui_tr_self_inside(tr, cfg))
		return -EDEADLK;
	/* Made visible to sections by the epoch, like any change. */
	atomic_store_explicit(&cfg->gate, 1, memory_order_seq_cst);
	return ui_tr_sync(tr, cfg);
}

void ui_tr_gate_open(struct ui_tr *tr, struct ui_stage_config *cfg)
{
	/* Release: partner is gate_shut() in dma.c, so that a section let in sees what happened behind the gate. */
	atomic_store_explicit(&cfg->gate, 0, memory_order_seq_cst);
	/* Partner is gate_shut(). */
	atomic_fetch_add_explicit(&tr->gate_opened, 1, memory_order_seq_cst);
	ui_sys_futex_wake(&tr->gate_opened, 1 << 30);
}

void ui_tr_gate_wait(struct ui_tr *tr, u32 count)
{
	/* The wake may be for another gate, and none comes when an unattached config's gate stays shut: look again then. */
	struct timespec ts = { .tv_nsec = 10000000 };

	ui_sys_futex_wait(&tr->gate_opened, count, &ts);
}
