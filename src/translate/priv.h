/* SPDX-License-Identifier: MIT */
/* What the files of this layer share. Nobody else includes it, but for tests. */
#ifndef UI_TRANSLATE_PRIV_H
#define UI_TRANSLATE_PRIV_H

#include "base/list.h"
#include "translate/dma.h"

#include <pthread.h>

/*
 * The TLB of a port. Its owner fills and reads; invalidators on other threads only zero keys, by compare and swap. So
 * an entry is never moved or copied: a copy could outlive its removal.
 */
struct ui_tlb_entry {
	_Atomic u64 key;        /* page of the iova and UI_TLB_*; 0: empty. Stored last, after the words below */
	_Atomic u64 pa;         /* of the page's first byte */
	_Atomic uintptr_t host; /* likewise, with UI_TLB_RAM */
	_Atomic u64 meta;       /* the walk's answer but for the address, as it lies in memory; from UI_TLB_TAG_LG2 the tag */
};

enum {
	/* Bits 0 to 3 of a key are UI_PROT_READ to UI_PROT_PRIV. The first three are what the entry grants; PRIV must
	 * equal the access's, since a walk may grant other rights then. */
	UI_TLB_RAM = 0x100, /* the whole page is host memory */
	UI_TLB_VALID = 0x200,
	UI_TLB_WAYS = 2,
	UI_TLB_TAG_LG2 = 40,
	UI_TLB_SMALL_LG2 = 12, /* pages of 4 KiB */
	UI_TLB_SMALL_SETS = 4096,
	UI_TLB_LARGE_LG2 = 21, /* pieces of 2 MiB of leaves that large or larger */
	UI_TLB_LARGE_SETS = 256,
	UI_ACCESS_RIGHTS = UI_PROT_READ | UI_PROT_WRITE | UI_PROT_EXEC,
};

/* A set is a cache line. */
struct ui_tlb {
	struct ui_tlb_entry small[UI_TLB_SMALL_SETS][UI_TLB_WAYS] __attribute__((aligned(64)));
	struct ui_tlb_entry large[UI_TLB_LARGE_SETS][UI_TLB_WAYS];
};

/* Both as words, so that a hit copies them in two moves. */
_Static_assert(offsetof(struct ui_walk, leaf_lg2) == 8 && offsetof(struct ui_walk, memattr) < 8 + UI_TLB_TAG_LG2 / 8 &&
	       sizeof(struct ui_walk) == 16, "what ui_tlb_entry.meta holds");

UI_ALWAYS_INLINE u32 ui_tlb_tag(const struct ui_tlb_entry *e)
{
	return (u32)(atomic_load_explicit(&e->meta, memory_order_relaxed) >> UI_TLB_TAG_LG2);
}

/* Neighbouring pages use neighbouring sets; equal pages of different configs are spread. */
UI_ALWAYS_INLINE struct ui_tlb_entry *ui_tlb_set(struct ui_tlb *tlb, unsigned lg2, u64 iova, u32 tag)
{
	u64 at = (iova >> lg2) + tag * (u64)619;

	return lg2 == UI_TLB_SMALL_LG2 ? tlb->small[at % UI_TLB_SMALL_SETS] : tlb->large[at % UI_TLB_LARGE_SETS];
}

/*
 * The entry that grants @access (UI_PROT_READ to UI_PROT_PRIV) to @iova, or NULL. The caller is inside a section: a key
 * that it finds was good at a moment inside it, and whoever removes the key waits for the section.
 */
UI_ALWAYS_INLINE struct ui_tlb_entry *ui_tlb_find(struct ui_tlb *tlb, unsigned lg2, u64 iova, u32 tag, unsigned access)
{
	struct ui_tlb_entry *e = ui_tlb_set(tlb, lg2, iova, tag);
	u64 flags = UI_TLB_VALID + access; /* distinct bits */
	u64 mask = ~ui_mask_lg2(lg2) | UI_PROT_PRIV | flags;
	u64 want = (iova & ~ui_mask_lg2(lg2)) | flags;

#pragma GCC unroll 2
	for (unsigned way = 0; way < UI_TLB_WAYS; way++, e++) {
		if ((atomic_load_explicit(&e->key, memory_order_relaxed) & mask) == want && ui_tlb_tag(e) == tag)
			return e;
	}
	return NULL;
}

/* Caches a walk of @iova for @access. @host: of the page of 2^@lg2 bytes that holds @iova, NULL when it is not all RAM. */
void ui_tlb_fill(struct ui_tlb *tlb, unsigned lg2, u64 iova, u32 tag, unsigned access, const struct ui_walk *w, u8 *host,
		 unsigned *victim);
/* Any thread. @tag 0: whatever the tag. */
void ui_tlb_remove(struct ui_tlb *tlb, u32 tag, u64 start, u64 last);

/* What ui_slot.state says besides the address of a config. */
enum { UI_SLOT_IDLE = 0, UI_SLOT_RESOLVING = 1 };

/*
 * A port's place. Slots are never freed before the instance, so that waiters scan them without a lock. They read what
 * only the owner's thread writes.
 */
struct ui_slot {
	_Atomic uintptr_t state;  /* UI_SLOT_*, or the stage config of the section */
	_Atomic uintptr_t second; /* the other stage config of a section that copies; set before state, cleared before it */
	_Atomic u64 seq;          /* counts sections: a waiter waits for the one it saw */
	_Atomic uintptr_t owner;  /* thread inside */
	_Atomic uintptr_t mmio;   /* region whose functions the port is calling, outside a section; 0 none */
	_Atomic u32 in_use;       /* a port has it; its TLB counts */
	_Atomic u32 filled;       /* its TLB has had an entry since the port has it; set in a section */
	struct ui_slot *next;     /* constant once the slot is listed */
	struct ui_tlb tlb;
} __attribute__((aligned(64)));

struct ui_tr {
	_Atomic u64 epoch __attribute__((aligned(64)));
	struct ui_mem *mem __attribute__((aligned(64)));
	struct ui_list in_mem; /* guarded by mem->lock, as is mem_pins */
	unsigned mem_pins;     /* removals that are waiting for this instance */
	_Atomic(struct ui_slot *) slots; /* grows at the head */
	_Atomic u32 gate_opened; /* futex: counts ui_tr_gate_open() */
	pthread_mutex_t lock;    /* guards what follows, and the growth of slots */
	unsigned n_ports;
	u32 next_tag, n_free_tags, cap_tags, n_tags;
	u32 *free_tags; /* room for every tag ever handed out */
};

/* Its address names the thread. */
extern _Thread_local char ui_thread_marker __attribute__((tls_model("initial-exec"), visibility("hidden")));

struct ui_slot *ui_slot_get(struct ui_tr *tr);
void ui_slot_put(struct ui_tr *tr, struct ui_slot *slot);

/* After a change: the change is seen by every section that a scan of the slots from now on does not meet. */
void ui_tr_changed(struct ui_tr *tr);
/* No section is under way: only a look, nothing is waited for. */
bool ui_tr_quiet(struct ui_tr *tr);
/* The calling thread is inside a function of the MMIO region @key; waits for other threads to leave them. */
bool ui_tr_self_in_mmio(struct ui_tr *tr, uintptr_t key);
void ui_tr_wait_mmio(struct ui_tr *tr, uintptr_t key);
/* Waits a little longer with each @n from 0. */
void ui_tr_relax(unsigned n);
/* Outside sections: returns when a gate was opened since gate_opened was @count, or after a short while. */
void ui_tr_gate_wait(struct ui_tr *tr, u32 count);

/* Instances over a memory object; ui_mem_remove() deals with all of them. */
void ui_mem_join(struct ui_mem *mem, struct ui_tr *tr);
void ui_mem_leave(struct ui_mem *mem, struct ui_tr *tr);
/* The host page of 2^@lg2 bytes that holds @pa when all of it is RAM that allows @rights, else NULL. As ui_mem_resolve(). */
u8 *ui_mem_host_page(const struct ui_mem *mem, u64 pa, unsigned lg2, unsigned rights);
/* What names a region's functions in ui_slot.mmio. */
UI_ALWAYS_INLINE uintptr_t ui_mem_mmio_key(const struct ui_mem_mmio_ops *ops, const void *arg)
{
	return arg ? (uintptr_t)arg : (uintptr_t)ops;
}

/*
 * Where the lowest tables of a stage 1 lie that is walked through a stage 2, so that a walk need not begin at the top: as hardware
 * caches entries of upper levels. A port's own; each is good for sections of the epoch in which it was found, as ui_port_answer
 * is: whoever takes away what it rests on (an entry of either stage, memory, an attachment) counts the epoch up and waits for
 * the sections that have not seen it.
 */
struct ui_walk_table {
	struct ui_walk_at at; /* at.table is an ipa */
	u64 iova, epoch;      /* iova: of the first byte under the table */
	u8 *host;             /* the page that the table is */
	u32 tag;              /* of the stage config; 0: empty */
	bool written;         /* stage 2 lets it be written, and has it marked so */
};

enum { UI_WALK_TABLES = 2048, UI_WALK_TABLE_LG2 = 21 };

struct ui_walk_cache {
	u64 epoch; /* of the section */
	struct ui_walk_table tables[UI_WALK_TABLES];
};

/*
 * Walks @iova through the stages of @cfg (UI_CFG_TRANSLATE), inside a section that @cache->epoch names. @out as dma.h's ui_dma_translate(). On
 * failure fills reason, stage, level, on_walk and ipa of @fault.
 */
enum ui_dma_status ui_walk_config(const struct ui_mem *mem, struct ui_walk_cache *cache, const struct ui_stage_config *cfg, u64 iova,
				  unsigned access, struct ui_walk *out, struct ui_fault *fault);
/* Fills @fault for a walk that ended with @status, and returns the reason. */
enum ui_dma_status ui_walk_refused(struct ui_fault *fault, enum ui_walk_status status, u8 stage, u8 level, u64 ipa);

#endif
