/* SPDX-License-Identifier: MIT */
/* What reads a table: dirty state and dump. Under the writer's lock; walkers mark leaves all the while. */
#ifndef UI_PGTABLE_SCAN_H
#define UI_PGTABLE_SCAN_H

#include "pgtable/edit.h"

UI_ALWAYS_INLINE int ui_pt_dirty_with(const struct ui_pt_fmt *f, struct ui_pt *pt, u64 start, u64 last, bool keep,
				      int (*fn)(void *arg, u64 start, u64 last), void *arg)
{
	const struct ui_walk_cfg c = ui_pt_view(pt);
	const u64 base = ui_pt_base(f, &c);
	struct ui_pt_cursor cur;
	u64 end, first, *at;
	unsigned level;
	int ret = ui_pt_clip(f, &c, &start, last, &end);

	if (ret)
		return ret < 0 ? ret : 0;
	if (!pt->cfg.dirty_track)
		return -EOPNOTSUPP;
	ui_pt_start(pt, &cur, start, end);
	while ((at = ui_pt_next_leaf(f, &c, pt, &cur, &first, &level))) {
		u64 leaf = ui_pt_load(at), next = first + ui_pt_size(f, &c, level);

		if (!f->dirty(leaf))
			continue;
		/* A leaf that reaches out of the range stays dirty: its one mark stands for the part outside too. */
		if (!keep && first >= start && next <= end) {
			/* Fails only when a walker set the accessed bit meanwhile: nobody else makes a leaf clean. */
			while (!ui_pt_cas(at, &leaf, f->set_clean(leaf)))
				;
		}
		ret = fn(arg, base + ui_max(first, start), base + ui_min(next, end) - 1);
		if (ret < 0)
			return ret;
	}
	return 0;
}

UI_ALWAYS_INLINE int ui_pt_mark_dirty_with(const struct ui_pt_fmt *f, struct ui_pt *pt, u64 iova)
{
	const struct ui_walk_cfg c = ui_pt_view(pt);
	struct ui_pt_cursor cur;
	u64 leaf, *at;

	if (!pt->cfg.dirty_track)
		return -EOPNOTSUPP;
	iova -= ui_pt_base(f, &c);
	if (iova > ui_pt_limit(&c))
		return -ENOENT;
	ui_pt_start(pt, &cur, iova, iova + 1);
	leaf = ui_pt_narrow(f, &c, pt, &cur);
	at = ui_pt_at(f, &c, &cur, iova);
	do {
		if (f->kind(&c, leaf, cur.level) != UI_PT_LEAF ||
		    !(f->grants(&c, f->fold_start, leaf, UI_PROT_PRIV) & UI_PROT_WRITE))
			return -ENOENT;
	} while (!ui_pt_cas(at, &leaf, f->set_dirty(leaf)));
	return 0;
}

/* Not instantiated: its speed does not matter. */
int ui_pt_dump_with(const struct ui_pt_fmt *f, const struct ui_pt *pt,
		    int (*fn)(void *arg, const struct ui_pt_dump_entry *entry), void *arg);

#endif
