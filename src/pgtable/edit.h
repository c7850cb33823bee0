/* SPDX-License-Identifier: MIT */
/*
 * What changes a table: map, unmap, split, repoint. One writer at a time; walkers run all the while.
 *
 * Rules that everything here keeps:
 *  - a table that is linked below the top is never empty: the emptied one is unlinked at once. So "a table is there" means
 *    "something is mapped below", and a large leaf never meets a left-over;
 *  - new tables are filled before one store links them: a walker sees the old state of a page or the new one;
 *  - memory is obtained before anything changes: what fails has changed no translation at any moment;
 *  - leaves are replaced by compare and swap where the old one lives on, since a walker may be marking it; they are removed
 *    by a plain store: a mark that comes too late fails and is judged anew.
 */
#ifndef UI_PGTABLE_EDIT_H
#define UI_PGTABLE_EDIT_H

#include "pgtable/fmt.h"

#include <errno.h>

/* Tables obtained and not linked yet, chained through their first entry. */
struct ui_pt_pool {
	u64 *first;
};

/* Adds @n tables. 0, or -ENOMEM with the pool empty. */
int ui_pt_pool_fill(struct ui_pt *pt, struct ui_pt_pool *pool, u64 n, u64 table_bytes);
u64 *ui_pt_pool_take(struct ui_pt_pool *pool);

/* A place in a table and the tables above it. */
struct ui_pt_cursor {
	u64 *table[UI_PT_MAX_LEVELS];
	unsigned level;
	u64 iova, end; /* counted from the base, so that an end never wraps to 0 */
};

UI_ALWAYS_INLINE u64 *ui_pt_host(const struct ui_pt *pt, u64 pa)
{
	return (u64 *)(pa + pt->delta);
}

UI_ALWAYS_INLINE u64 ui_pt_pa(const struct ui_pt *pt, const u64 *host)
{
	return (u64)((uintptr_t)host - pt->delta);
}

/* Last input address that can be mapped, counted from the base. */
UI_ALWAYS_INLINE u64 ui_pt_limit(const struct ui_walk_cfg *c)
{
	return ui_mask_lg2(c->sign_extend ? c->ia_bits - 1u : c->ia_bits);
}

UI_ALWAYS_INLINE void ui_pt_start(const struct ui_pt *pt, struct ui_pt_cursor *cur, u64 iova, u64 end)
{
	cur->level = pt->top_level;
	cur->table[cur->level] = ui_pt_host(pt, pt->top_pa);
	cur->iova = iova;
	cur->end = end;
}

UI_ALWAYS_INLINE u64 *ui_pt_at(const struct ui_pt_fmt *f, const struct ui_walk_cfg *c, const struct ui_pt_cursor *cur,
			       u64 iova)
{
	return &cur->table[cur->level][ui_pt_index(f, c, cur->level, iova)];
}

UI_ALWAYS_INLINE void ui_pt_push(const struct ui_pt_fmt *f, const struct ui_walk_cfg *c, const struct ui_pt *pt,
				 struct ui_pt_cursor *cur, u64 entry)
{
	cur->level--;
	cur->table[cur->level] = ui_pt_host(pt, f->table_pa(c, entry));
}

/* Goes down while the whole range lies under one table entry. Returns the entry it stops at. */
UI_ALWAYS_INLINE u64 ui_pt_narrow(const struct ui_pt_fmt *f, const struct ui_walk_cfg *c, const struct ui_pt *pt,
				  struct ui_pt_cursor *cur)
{
	u64 entry;

	for (;;) {
		entry = ui_pt_load(ui_pt_at(f, c, cur, cur->iova));
		if (!cur->level || (cur->iova ^ (cur->end - 1)) >> ui_pt_shift(f, c, cur->level) ||
		    f->kind(c, entry, cur->level) != UI_PT_TABLE)
			return entry;
		ui_pt_push(f, c, pt, cur, entry);
	}
}

/* The cursor stands past the table it is in: all of it was visited, or the range ends. */
UI_ALWAYS_INLINE bool ui_pt_left(const struct ui_pt_fmt *f, const struct ui_walk_cfg *c, const struct ui_pt_cursor *cur)
{
	return cur->iova >= cur->end || !(cur->iova & (ui_pt_size(f, c, cur->level + 1) - 1));
}

/* Next leaf that meets the range, or NULL. *@start: its first address; *@level: where it stands. */
UI_ALWAYS_INLINE u64 *ui_pt_next_leaf(const struct ui_pt_fmt *f, const struct ui_walk_cfg *c, const struct ui_pt *pt,
				      struct ui_pt_cursor *cur, u64 *start, unsigned *level)
{
	while (cur->iova < cur->end) {
		u64 *at = ui_pt_at(f, c, cur, cur->iova), entry = ui_pt_load(at), size = ui_pt_size(f, c, cur->level);
		enum ui_pt_kind kind = f->kind(c, entry, cur->level);

		if (kind == UI_PT_TABLE) {
			ui_pt_push(f, c, pt, cur, entry);
			continue;
		}
		*start = ui_align_down(cur->iova, size);
		*level = cur->level;
		cur->iova = *start + size;
		while (cur->level < c->top_level && ui_pt_left(f, c, cur))
			cur->level++;
		if (kind == UI_PT_LEAF)
			return at;
	}
	return NULL;
}

/* ---- map ---- */

/* Highest level whose leaves can serve a range with this distance between input and output. */
UI_ALWAYS_INLINE unsigned ui_pt_fit(const struct ui_pt_fmt *f, const struct ui_walk_cfg *c, u64 iova, u64 oa, u64 length)
{
	unsigned level = 0;

	while (level < c->top_level) {
		unsigned shift = ui_pt_shift(f, c, level + 1);

		if (length >> shift == 0 || !(c->page_sizes >> shift & 1) || ((oa - iova) & ui_mask_lg2(shift)))
			break;
		level++;
	}
	return level;
}

/* Tables that [@a, @b), all under one absent entry at @level, takes. Above @fit every entry needs one; from there down only
 * the entries that an end of the range cuts, since whole ones become leaves. */
UI_ALWAYS_INLINE u64 ui_pt_tables_below(const struct ui_pt_fmt *f, const struct ui_walk_cfg *c, unsigned level, u64 a,
					u64 b, unsigned fit)
{
	u64 n = 0;

	for (; level; level--) {
		unsigned shift = ui_pt_shift(f, c, level);
		u64 spanned = ((b - 1) >> shift) - (a >> shift) + 1;

		if (level > fit)
			n += spanned;
		else if (spanned == 1)
			n += ((a | b) & ui_mask_lg2(shift)) != 0;
		else
			n += ((a & ui_mask_lg2(shift)) != 0) + (u64)((b & ui_mask_lg2(shift)) != 0);
	}
	return n;
}

/* Whole entries from the cursor on, in its table and its range. */
UI_ALWAYS_INLINE u64 ui_pt_run(const struct ui_pt_fmt *f, const struct ui_walk_cfg *c, const struct ui_pt_cursor *cur)
{
	u64 left = UI_BIT(ui_pt_index_lg2(f, c, cur->level)) - ui_pt_index(f, c, cur->level, cur->iova);

	return ui_min((cur->end - cur->iova) >> ui_pt_shift(f, c, cur->level), left);
}

/* Is the range free, and how many tables does it take? Changes nothing. 0 or -EEXIST. */
UI_ALWAYS_INLINE int ui_pt_survey(const struct ui_pt_fmt *f, const struct ui_walk_cfg *c, const struct ui_pt *pt,
				  struct ui_pt_cursor cur, unsigned fit, u64 *n_tables)
{
	unsigned root = cur.level;

	while (cur.iova < cur.end) {
		const u64 *at = ui_pt_at(f, c, &cur, cur.iova);
		u64 size = ui_pt_size(f, c, cur.level), next, entry, n;

		if (!cur.level) {
			n = ui_pt_run(f, c, &cur);
			next = cur.iova + n * size;
			while (n--)
				if (ui_pt_load(at++))
					return -EEXIST;
		} else {
			entry = ui_pt_load(at);
			next = ui_min(cur.end, ui_align_down(cur.iova, size) + size);
			if (entry) {
				/* A table is never empty: if all of it is wanted, some of it is taken. */
				if (f->kind(c, entry, cur.level) == UI_PT_LEAF || next - cur.iova == size)
					return -EEXIST;
				ui_pt_push(f, c, pt, &cur, entry);
				continue;
			}
			*n_tables += ui_pt_tables_below(f, c, cur.level, cur.iova, next, fit);
		}
		cur.iova = next;
		while (cur.level < root && ui_pt_left(f, c, &cur))
			cur.level++;
	}
	return 0;
}

/* Cannot fail: the range is free and @pool holds the tables. */
UI_ALWAYS_INLINE void ui_pt_install(const struct ui_pt_fmt *f, const struct ui_walk_cfg *c, const struct ui_pt *pt,
				    struct ui_pt_cursor cur, u64 oa, u64 attrs, unsigned fit, struct ui_pt_pool *pool)
{
	unsigned root = cur.level, fresh = 0;

	while (cur.iova < cur.end) {
		unsigned level = cur.level, shift = ui_pt_shift(f, c, level);
		u64 *at = ui_pt_at(f, c, &cur, cur.iova), n = ui_pt_run(f, c, &cur);

		if (level > fit || !n || (cur.iova & ui_mask_lg2(shift))) {
			u64 entry = ui_pt_load(at);

			if (entry) {
				ui_pt_push(f, c, pt, &cur, entry);
			} else {
				cur.level--;
				cur.table[cur.level] = ui_pt_pool_take(pool);
				fresh |= 1u << cur.level;
			}
			continue;
		}
		for (u64 i = 0; i < n; i++, oa += UI_BIT(shift))
			ui_pt_store(at + i, f->make_leaf(c, oa, level, attrs));
		cur.iova += n << shift;
		while (cur.level < root && ui_pt_left(f, c, &cur)) {
			u64 *full = cur.table[cur.level];
			unsigned bit = 1u << cur.level++;

			if (fresh & bit)
				ui_pt_store(ui_pt_at(f, c, &cur, cur.iova - 1), f->make_table(c, ui_pt_pa(pt, full)));
			fresh &= ~bit;
		}
	}
}

UI_ALWAYS_INLINE int ui_pt_map_with(const struct ui_pt_fmt *f, struct ui_pt *pt, u64 iova, u64 oa, u64 length,
				    unsigned prot)
{
	const struct ui_walk_cfg c = ui_pt_view(pt);
	struct ui_pt_pool pool = { .first = NULL };
	u64 last, oa_last, attrs, n_tables = 0;
	struct ui_pt_cursor cur;
	unsigned fit;
	int ret;

	if (!length || ((iova | oa | length) & (ui_pt_size(f, &c, 0) - 1)))
		return -EINVAL;
	ret = f->attrs(&pt->cfg, prot, &attrs);
	if (ret)
		return ret;
	iova -= ui_pt_base(f, &c);
	if (!ui_range_last(iova, length, &last) || last > ui_pt_limit(&c) || !ui_range_last(oa, length, &oa_last) ||
	    oa_last > ui_mask_lg2(c.oa_bits))
		return -ERANGE;
	fit = ui_pt_fit(f, &c, iova, oa, length);
	ui_pt_start(pt, &cur, iova, last + 1);
	if (f->kind(&c, ui_pt_narrow(f, &c, pt, &cur), cur.level) == UI_PT_LEAF)
		return -EEXIST;
	ret = ui_pt_survey(f, &c, pt, cur, fit, &n_tables);
	if (ret)
		return ret;
	if (n_tables) {
		ret = ui_pt_pool_fill(pt, &pool, n_tables, ui_pt_table_bytes(f, &c));
		if (ret)
			return ret;
	}
	ui_pt_install(f, &c, pt, cur, oa, attrs, fit, &pool);
	ui_assert(!pool.first);
	return 0;
}

/* ---- split ---- */

/* Replaces the leaf *@at by @table (filled here) of leaves one level down. The translation stays what it was at every
 * moment. */
UI_ALWAYS_INLINE void ui_pt_split_leaf(const struct ui_pt_fmt *f, const struct ui_walk_cfg *c, const struct ui_pt *pt,
				       u64 *at, unsigned level, u64 *table)
{
	unsigned shift = ui_pt_shift(f, c, level - 1);
	u64 leaf = ui_pt_load(at);

	do {
		u64 attrs = f->leaf_attrs(c, leaf, level), oa = f->leaf_oa(c, leaf, level);

		for (u64 i = 0; i < UI_BIT(ui_pt_stride(f, c)); i++, oa += UI_BIT(shift))
			table[i] = f->make_leaf(c, oa, level - 1, attrs);
		/* Fails when a walker has marked the leaf meanwhile: the parts must carry the mark. */
	} while (!ui_pt_cas(at, &leaf, f->make_table(c, ui_pt_pa(pt, table))));
}

/* Level of the leaf that has @addr inside, not at its start; 0 when there is none. */
UI_ALWAYS_INLINE unsigned ui_pt_cut_level(const struct ui_pt_fmt *f, const struct ui_walk_cfg *c, const struct ui_pt *pt,
					  struct ui_pt_cursor cur, u64 addr)
{
	for (;;) {
		enum ui_pt_kind kind;
		u64 entry;

		if (!cur.level || !(addr & (ui_pt_size(f, c, cur.level) - 1)))
			return 0;
		entry = ui_pt_load(ui_pt_at(f, c, &cur, addr));
		kind = f->kind(c, entry, cur.level);
		if (kind != UI_PT_TABLE)
			return kind == UI_PT_LEAF ? cur.level : 0;
		ui_pt_push(f, c, pt, &cur, entry);
	}
}

/* Makes @addr a boundary between leaves. */
UI_ALWAYS_INLINE void ui_pt_cut(const struct ui_pt_fmt *f, const struct ui_walk_cfg *c, const struct ui_pt *pt,
				struct ui_pt_cursor cur, u64 addr, struct ui_pt_pool *pool)
{
	while (cur.level && (addr & (ui_pt_size(f, c, cur.level) - 1))) {
		u64 *at = ui_pt_at(f, c, &cur, addr);

		if (f->kind(c, ui_pt_load(at), cur.level) == UI_PT_LEAF)
			ui_pt_split_leaf(f, c, pt, at, cur.level, ui_pt_pool_take(pool));
		ui_pt_push(f, c, pt, &cur, ui_pt_load(at));
	}
}

/* Makes both ends of the cursor's range boundaries between leaves. 0; -EBUSY (UI_PT_REFUSE); -ENOMEM: nothing changed. */
UI_ALWAYS_INLINE int ui_pt_cut_ends(const struct ui_pt_fmt *f, const struct ui_walk_cfg *c, struct ui_pt *pt,
				    const struct ui_pt_cursor *cur, enum ui_pt_partial partial)
{
	u64 a = cur->iova, b = cur->end, n_tables = 0;
	unsigned level_a = ui_pt_cut_level(f, c, pt, *cur, a), level_b = ui_pt_cut_level(f, c, pt, *cur, b);
	struct ui_pt_pool pool = { .first = NULL };

	if (!level_a && !level_b)
		return 0;
	if (partial == UI_PT_REFUSE)
		return -EBUSY;
	for (unsigned level = 1; level <= level_a || level <= level_b; level++) {
		unsigned shift = ui_pt_shift(f, c, level);
		bool cut_a = level <= level_a && (a & ui_mask_lg2(shift));
		bool cut_b = level <= level_b && (b & ui_mask_lg2(shift));

		n_tables += cut_a && cut_b && a >> shift == b >> shift ? 1u : (unsigned)cut_a + cut_b;
	}
	if (ui_pt_pool_fill(pt, &pool, n_tables, ui_pt_table_bytes(f, c)))
		return -ENOMEM;
	if (level_a)
		ui_pt_cut(f, c, pt, *cur, a, &pool);
	if (level_b)
		ui_pt_cut(f, c, pt, *cur, b, &pool);
	ui_assert(!pool.first);
	return 0;
}

/* ---- unmap ---- */

UI_ALWAYS_INLINE void ui_pt_gather_add(struct ui_pt *pt, struct ui_pt_gather *g, u64 *table, u64 table_bytes)
{
	ui_pt_store(table, (u64)(uintptr_t)g->first);
	g->first = table;
	g->n_pages++;
	g->cut = true;
	pt->n_table_bytes -= table_bytes;
}

/* Looks from @index on and around, a cache line at a time: what stands beside the page just removed is hot, and the likeliest
 * to be there. */
UI_ALWAYS_INLINE bool ui_pt_is_empty(const u64 *table, u64 index, u64 n_entries)
{
	u64 line = ui_min(8, n_entries);

	for (u64 i = 0; i < n_entries; i += line) {
		const u64 *at = table + (((index & ~(line - 1)) + i) & (n_entries - 1));
		u64 any = 0;

		for (u64 j = 0; j < line; j++)
			any |= ui_pt_load(at + j);
		if (any)
			return false;
	}
	return true;
}

/* The cursor has left its table: unlinks it if it is empty, and stands one level higher. False: it is not empty, so neither
 * are those above, and the range ends. */
UI_ALWAYS_INLINE bool ui_pt_close(const struct ui_pt_fmt *f, const struct ui_walk_cfg *c, struct ui_pt *pt,
				  struct ui_pt_cursor *cur, u64 start, struct ui_pt_gather *gather)
{
	u64 *table = cur->table[cur->level], in = cur->iova - 1, index = ui_pt_index(f, c, cur->level, in);
	u64 size = ui_pt_size(f, c, cur->level + 1), first = ui_align_down(in, size);
	bool whole = start <= first && first + size <= cur->end;

	cur->level++;
	if (whole || ui_pt_is_empty(table, index, UI_BIT(ui_pt_stride(f, c)))) {
		ui_pt_store(ui_pt_at(f, c, cur, in), 0);
		ui_pt_gather_add(pt, gather, table, ui_pt_table_bytes(f, c));
		return true;
	}
	return cur->iova < cur->end;
}

/* No leaf reaches across an end of the range. */
UI_ALWAYS_INLINE u64 ui_pt_remove(const struct ui_pt_fmt *f, const struct ui_walk_cfg *c, struct ui_pt *pt,
				  struct ui_pt_cursor cur, struct ui_pt_gather *gather)
{
	u64 start = cur.iova, removed = 0;

	while (cur.iova < cur.end) {
		unsigned shift = ui_pt_shift(f, c, cur.level);
		u64 *at = ui_pt_at(f, c, &cur, cur.iova), entry = ui_pt_load(at), n;

		if (f->kind(c, entry, cur.level) == UI_PT_TABLE) {
			ui_pt_push(f, c, pt, &cur, entry);
			continue;
		}
		n = cur.level ? 1 : ui_pt_run(f, c, &cur);
		for (u64 i = 0; i < n; i++) {
			if (!ui_pt_load(at + i))
				continue;
			ui_pt_store(at + i, 0);
			removed += UI_BIT(shift);
		}
		cur.iova = ui_min(cur.end, ui_align_down(cur.iova, UI_BIT(shift)) + (n << shift));
		while (cur.level < c->top_level && ui_pt_left(f, c, &cur))
			if (!ui_pt_close(f, c, pt, &cur, start, gather))
				return removed;
	}
	return removed;
}

/* The part of [*@start, @last] that can be mapped, as [*@start, *@end) from the base. 0; -EINVAL; 1: no part. */
UI_ALWAYS_INLINE int ui_pt_clip(const struct ui_pt_fmt *f, const struct ui_walk_cfg *c, u64 *start, u64 last, u64 *end)
{
	u64 base = ui_pt_base(f, c), limit = base + ui_pt_limit(c);

	if (*start > last || ((*start | (last + 1)) & (ui_pt_size(f, c, 0) - 1)))
		return -EINVAL;
	if (*start > limit || last < base)
		return 1;
	*end = ui_min(last, limit) - base + 1;
	*start = ui_max(*start, base) - base;
	return 0;
}

UI_ALWAYS_INLINE s64 ui_pt_unmap_with(const struct ui_pt_fmt *f, struct ui_pt *pt, u64 start, u64 last,
				      enum ui_pt_partial partial, struct ui_pt_gather *gather)
{
	const struct ui_walk_cfg c = ui_pt_view(pt);
	struct ui_pt_cursor cur;
	u64 end;
	int ret = ui_pt_clip(f, &c, &start, last, &end);

	if (ret)
		return ret < 0 ? ret : 0;
	ui_pt_start(pt, &cur, start, end);
	ui_pt_narrow(f, &c, pt, &cur);
	if (cur.level) {
		ret = ui_pt_cut_ends(f, &c, pt, &cur, partial);
		if (ret)
			return ret;
	}
	return (s64)ui_pt_remove(f, &c, pt, cur, gather);
}

/* ---- repoint ---- */

UI_ALWAYS_INLINE int ui_pt_repoint_with(const struct ui_pt_fmt *f, struct ui_pt *pt, u64 start, u64 last, u64 oa)
{
	const struct ui_walk_cfg c = ui_pt_view(pt);
	u64 end, at_iova, oa_last, *at, n_bytes = last - start + 1;
	struct ui_pt_cursor cur;
	unsigned level;
	int ret = ui_pt_clip(f, &c, &start, last, &end);

	if (ret < 0 || (oa & (ui_pt_size(f, &c, 0) - 1)))
		return -EINVAL;
	if (ret || end - start != n_bytes || !ui_range_last(oa, end - start, &oa_last) || oa_last > ui_mask_lg2(c.oa_bits))
		return -ERANGE;
	ui_pt_start(pt, &cur, start, end);
	ret = ui_pt_cut_ends(f, &c, pt, &cur, UI_PT_SPLIT);
	if (ret)
		return ret;
	/* First only splits, which may fail and change no translation; then only replacements, which cannot fail. */
	while ((at = ui_pt_next_leaf(f, &c, pt, &cur, &at_iova, &level))) {
		struct ui_pt_pool pool = { .first = NULL };

		if (!((oa + (at_iova - start)) & (ui_pt_size(f, &c, level) - 1)))
			continue;
		ret = ui_pt_pool_fill(pt, &pool, 1, ui_pt_table_bytes(f, &c));
		if (ret)
			return ret;
		ui_pt_split_leaf(f, &c, pt, at, level, ui_pt_pool_take(&pool));
		cur.iova = at_iova;
	}
	ui_pt_start(pt, &cur, start, end);
	while ((at = ui_pt_next_leaf(f, &c, pt, &cur, &at_iova, &level))) {
		u64 leaf = ui_pt_load(at);

		while (!ui_pt_cas(at, &leaf, f->make_leaf(&c, oa + (at_iova - start), level, f->leaf_attrs(&c, leaf, level))))
			; /* a walker marked it: its mark goes with the page */
	}
	return 0;
}

#endif
