/* SPDX-License-Identifier: MIT */
#include "shim/pageset.h"
#include "base/alloc.h"
#include "base/bits.h"

#include <errno.h>
#include <string.h>

enum { BLOCK_LG2 = 21, N_PAGES = 1 << (BLOCK_LG2 - 12) };

struct ui_pageset_block {
	u64 index; /* address >> BLOCK_LG2 */
	u32 whole; /* users of every page of the block */
	u32 n_used; /* pages with a count of their own */
	u32 count[N_PAGES];
};

static u64 hash(u64 index)
{
	return index * 0x9e3779b97f4a7c15ull >> 20;
}

static struct ui_pageset_block *find(const struct ui_pageset *set, u64 index)
{
	for (u64 i = hash(index); set->n_table; i++) {
		struct ui_pageset_block *block = set->table[i & (set->n_table - 1)];

		if (!block || block->index == index)
			return block;
	}
	return NULL;
}

static void place(struct ui_pageset_block **table, u64 n_table, struct ui_pageset_block *block)
{
	u64 i = hash(block->index);

	while (table[i & (n_table - 1)])
		i++;
	table[i & (n_table - 1)] = block;
}

static struct ui_pageset_block *find_or_make(struct ui_pageset *set, u64 index)
{
	struct ui_pageset_block *block = find(set, index);

	if (block)
		return block;
	if (set->n_blocks * 2 >= set->n_table) {
		u64 n_table = set->n_table ? set->n_table * 2 : 64;
		struct ui_pageset_block **table = ui_calloc(n_table, sizeof(*table));

		if (!table)
			return NULL;
		for (u64 i = 0; i < set->n_table; i++) {
			if (set->table[i])
				place(table, n_table, set->table[i]);
		}
		ui_free(set->table);
		set->table = table;
		set->n_table = n_table;
	}
	block = ui_zalloc(sizeof(*block));
	if (!block)
		return NULL;
	block->index = index;
	place(set->table, set->n_table, block);
	set->n_blocks++;
	return block;
}

static void count(struct ui_pageset *set, s64 delta)
{
	atomic_store_explicit(&set->n_pages, atomic_load_explicit(&set->n_pages, memory_order_relaxed) + (u64)delta,
			      memory_order_relaxed);
}

static u64 block_uses(const struct ui_pageset_block *block)
{
	u64 uses = (u64)block->whole * N_PAGES;

	for (unsigned i = 0; i < N_PAGES; i++)
		uses += block->count[i];
	return uses;
}

/* Makes the block empty; it stays in the table, to be used again. */
static void empty(struct ui_pageset *set, struct ui_pageset_block *block)
{
	count(set, -(s64)block_uses(block));
	block->whole = 0;
	block->n_used = 0;
	memset(block->count, 0, sizeof(block->count));
}

static void add_page(struct ui_pageset *set, struct ui_pageset_block *block, unsigned page, int delta)
{
	u32 *c = &block->count[page];

	if (delta < 0 && !*c) {
		if (!block->whole)
			return;
		/* Part of what was added as a whole block goes: write it out page by page. */
		block->whole--;
		for (unsigned i = 0; i < N_PAGES; i++)
			block->n_used += !block->count[i]++;
	}
	block->n_used += !*c;
	*c += (u32)delta;
	block->n_used -= !*c;
	count(set, delta);
}

int ui_pageset_add(struct ui_pageset *set, u64 start, u64 last, int delta)
{
	u64 page = start >> UI_PAGE_LG2, last_page = last >> UI_PAGE_LG2;
	int ret = 0;

	while (page <= last_page) {
		u64 index = page >> (BLOCK_LG2 - UI_PAGE_LG2);
		struct ui_pageset_block *block = delta > 0 ? find_or_make(set, index) : find(set, index);
		u64 end = ui_min(last_page, ((index + 1) << (BLOCK_LG2 - UI_PAGE_LG2)) - 1);

		if (!block && delta > 0)
			ret = -ENOMEM;
		if (block && end - page + 1 == N_PAGES && (delta > 0 || block->whole)) {
			block->whole += (u32)delta;
			count(set, delta * (s64)N_PAGES);
		} else if (block) {
			for (u64 i = page; i <= end; i++)
				add_page(set, block, (unsigned)(i % N_PAGES), delta);
		}
		page = end + 1;
	}
	return ret;
}

static u32 uses_of(const struct ui_pageset_block *block, unsigned page)
{
	return block->whole + block->count[page];
}

/* The pages [@first, @last] of @block become unused. */
static void clear_part(struct ui_pageset *set, struct ui_pageset_block *block, unsigned first, unsigned last)
{
	if (first == 0 && last == N_PAGES - 1) {
		empty(set, block);
		return;
	}
	for (unsigned i = first; i <= last; i++) {
		while (uses_of(block, i))
			add_page(set, block, i, -1);
	}
}

void ui_pageset_clear(struct ui_pageset *set, u64 start, u64 last)
{
	u64 run_start, run_last;

	while (ui_pageset_next(set, start, last, &run_start, &run_last)) {
		for (u64 page = run_start >> UI_PAGE_LG2; page <= run_last >> UI_PAGE_LG2;) {
			u64 index = page / N_PAGES, end = ui_min(run_last >> UI_PAGE_LG2, index * N_PAGES + N_PAGES - 1);

			clear_part(set, find(set, index), (unsigned)(page % N_PAGES), (unsigned)(end % N_PAGES));
			page = end + 1;
		}
	}
}

int ui_pageset_move(struct ui_pageset *set, u64 from, u64 to, u64 n_bytes)
{
	int ret = 0;

	for (u64 at = 0; at < n_bytes; at += UI_PAGE_BYTES) {
		struct ui_pageset_block *block = find(set, (from + at) >> BLOCK_LG2);
		u32 uses = block ? uses_of(block, (unsigned)((from + at) >> UI_PAGE_LG2) % N_PAGES) : 0;

		if (uses && ui_pageset_add(set, to + at, to + at, (int)uses))
			ret = -ENOMEM;
	}
	ui_pageset_clear(set, from, from + n_bytes - 1);
	return ret;
}

/* The lowest page in use in [@page, @last_page]; walks blocks by address or, if that is shorter, all there are. */
static bool first_used(struct ui_pageset *set, u64 page, u64 last_page, u64 *found)
{
	u64 index = page / N_PAGES, last_index = last_page / N_PAGES;
	bool any = false;

	if (last_index - index < set->n_table) {
		for (; index <= last_index; index++) {
			struct ui_pageset_block *block = find(set, index);

			for (u64 i = block ? ui_max(page, index * N_PAGES) : ~(u64)0; i <= ui_min(last_page, index * N_PAGES + N_PAGES - 1); i++) {
				if (uses_of(block, (unsigned)(i % N_PAGES))) {
					*found = i;
					return true;
				}
			}
		}
		return false;
	}
	for (u64 slot = 0; slot < set->n_table; slot++) {
		struct ui_pageset_block *block = set->table[slot];

		for (unsigned i = 0; block && i < N_PAGES; i++) {
			u64 at = block->index * N_PAGES + i;

			if (at >= page && at <= last_page && uses_of(block, i) && (!any || at < *found)) {
				*found = at;
				any = true;
			}
		}
	}
	return any;
}

bool ui_pageset_next(struct ui_pageset *set, u64 start, u64 last, u64 *run_start, u64 *run_last)
{
	u64 page = 0, end, last_page = last >> UI_PAGE_LG2;

	if (ui_pageset_empty(set) || !first_used(set, start >> UI_PAGE_LG2, last_page, &page))
		return false;
	for (end = page; end < last_page; end++) {
		struct ui_pageset_block *block = find(set, (end + 1) / N_PAGES);

		if (!block || !uses_of(block, (unsigned)((end + 1) % N_PAGES)))
			break;
	}
	*run_start = page << UI_PAGE_LG2;
	*run_last = (end << UI_PAGE_LG2) + UI_PAGE_BYTES - 1;
	return true;
}

void ui_pageset_reset(struct ui_pageset *set, bool lost)
{
	for (u64 i = 0; !lost && i < set->n_table; i++)
		ui_free(set->table[i]);
	if (!lost)
		ui_free(set->table);
	set->table = NULL;
	set->n_table = set->n_blocks = 0;
	atomic_store_explicit(&set->n_pages, 0, memory_order_relaxed);
}
