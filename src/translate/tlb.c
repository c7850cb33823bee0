/* SPDX-License-Identifier: MIT */
#include "translate/priv.h"

#include <string.h>

/* Which way takes the entry: the one that holds the page already, the first empty one (looked at first), or each in turn. */
static struct ui_tlb_entry *choose(struct ui_tlb_entry *set, u64 same_mask, u64 same, u32 tag, unsigned *victim)
{
	struct ui_tlb_entry *empty = NULL;

	for (unsigned way = UI_TLB_WAYS; way--;) {
		u64 key = atomic_load_explicit(&set[way].key, memory_order_relaxed);

		if (!key)
			empty = &set[way];
		else if ((key & same_mask) == same && ui_tlb_tag(&set[way]) == tag)
			return &set[way];
	}
	return empty ? empty : &set[++*victim % UI_TLB_WAYS];
}

void ui_tlb_fill(struct ui_tlb *tlb, unsigned lg2, u64 iova, u32 tag, unsigned access, const struct ui_walk *w, u8 *host,
		 unsigned *victim)
{
	u64 page = iova & ~ui_mask_lg2(lg2), priv = access & UI_PROT_PRIV;
	u64 same = ~ui_mask_lg2(lg2) | UI_PROT_PRIV;
	struct ui_tlb_entry *e = choose(ui_tlb_set(tlb, lg2, iova, tag), same, page | priv, tag, victim);
	u64 flags = UI_TLB_VALID | priv | ((w->prot | access) & UI_ACCESS_RIGHTS), meta;

	memcpy(&meta, (const u8 *)w + offsetof(struct ui_walk, leaf_lg2), sizeof(meta));
	meta = (meta & ui_mask_lg2(UI_TLB_TAG_LG2)) | (u64)tag << UI_TLB_TAG_LG2;
	if (!w->dirty)
		flags &= ~(u64)UI_PROT_WRITE; /* the first write must walk, to set the dirty bit */
	if (host)
		flags |= UI_TLB_RAM;
	/* A remover that reads a key finds that key's tag or a later one. A later one means that this thread has given the
	 * old key up already; an equal key in its place is at worst removed for nothing. */
	atomic_store_explicit(&e->key, 0, memory_order_relaxed);
	atomic_store_explicit(&e->meta, meta, memory_order_relaxed);
	atomic_store_explicit(&e->pa, w->oa & ~ui_mask_lg2(lg2), memory_order_relaxed);
	atomic_store_explicit(&e->host, (uintptr_t)host, memory_order_relaxed);
	/* Release: partner is remove_from_set(). */
	atomic_store_explicit(&e->key, page | flags, memory_order_release);
}

static void remove_from_set(struct ui_tlb_entry *set, u64 page_mask, u32 tag, u64 start, u64 last)
{
	for (unsigned way = 0; way < UI_TLB_WAYS; way++) {
		/* Acquire: partner is ui_tlb_fill(). */
		u64 key = atomic_load_explicit(&set[way].key, memory_order_acquire);

		if (!key || (key & page_mask) < (start & page_mask) || (key & page_mask) > last)
			continue;
		if (tag && ui_tlb_tag(&set[way]) != tag)
			continue;
		/* When it fails the owner has put a newer entry there, from a table that has changed already. Release: who finds
		 * the key gone finds it gone together with what came before. */
		atomic_compare_exchange_strong_explicit(&set[way].key, &key, 0, memory_order_acq_rel, memory_order_relaxed);
	}
}

static void remove_range(struct ui_tlb *tlb, unsigned lg2, struct ui_tlb_entry *sets, u64 n_sets, u32 tag, u64 start,
			 u64 last)
{
	u64 mask = ~ui_mask_lg2(lg2), n_pages = (last >> lg2) - (start >> lg2) + 1;

	if (!tag || n_pages >= n_sets) {
		for (u64 i = 0; i < n_sets; i++)
			remove_from_set(sets + i * UI_TLB_WAYS, mask, tag, start, last);
	} else {
		for (u64 i = 0; i < n_pages; i++)
			remove_from_set(ui_tlb_set(tlb, lg2, start + (i << lg2), tag), mask, tag, start, last);
	}
}

void ui_tlb_remove(struct ui_tlb *tlb, u32 tag, u64 start, u64 last)
{
	remove_range(tlb, UI_TLB_SMALL_LG2, tlb->small[0], UI_TLB_SMALL_SETS, tag, start, last);
	remove_range(tlb, UI_TLB_LARGE_LG2, tlb->large[0], UI_TLB_LARGE_SETS, tag, start, last);
}
