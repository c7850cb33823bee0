/* SPDX-License-Identifier: MIT */
/* Makes the algorithms of one format: one line at the end of each format file. */
#ifndef UI_PGTABLE_INSTANCE_H
#define UI_PGTABLE_INSTANCE_H

#include "pgtable/edit.h"
#include "pgtable/scan.h"
#include "pgtable/walk.h"

/* @id: as in ui_pt_instance_@id. @f: the `static const struct ui_pt_fmt`, whose accessors are inlined into these.
 * @title: what users read. */
#define UI_PT_INSTANCE(id, f, title)										\
	static int id##_op_map(struct ui_pt *pt, u64 iova, u64 oa, u64 length, unsigned prot, struct ui_pt_gather *gather) \
	{													\
		return ui_pt_map_with(&(f), pt, iova, oa, length, prot);					\
	}													\
	static s64 id##_op_unmap(struct ui_pt *pt, u64 start, u64 last, enum ui_pt_partial partial,		\
			      struct ui_pt_gather *gather)							\
	{													\
		return ui_pt_unmap_with(&(f), pt, start, last, partial, gather);				\
	}													\
	static int id##_op_repoint(struct ui_pt *pt, u64 start, u64 last, u64 oa)				\
	{													\
		return ui_pt_repoint_with(&(f), pt, start, last, oa);						\
	}													\
	static UI_NOINLINE enum ui_walk_status id##_walk_any(const struct ui_pt *pt, u64 iova, unsigned access,	\
							     struct ui_walk *out)				\
	{													\
		return ui_pt_walk_own(&(f), pt, iova, access, out);						\
	}													\
	static enum ui_walk_status id##_op_walk(const struct ui_pt *pt, u64 iova, unsigned access, struct ui_walk *out) \
	{													\
		if ((f).max_levels <= 3 || ui_unlikely(iova >= pt->usual_end))					\
			return id##_walk_any(pt, iova, access, out);						\
		return ui_pt_walk_usual(&(f), pt, iova, access, out);						\
	}													\
	static int id##_op_dirty(struct ui_pt *pt, u64 start, u64 last, bool keep,				\
			      int (*fn)(void *arg, u64 start, u64 last), void *arg)				\
	{													\
		return ui_pt_dirty_with(&(f), pt, start, last, keep, fn, arg);					\
	}													\
	static int id##_op_mark_dirty(struct ui_pt *pt, u64 iova)						\
	{													\
		return ui_pt_mark_dirty_with(&(f), pt, iova);							\
	}													\
	static int id##_op_dump(const struct ui_pt *pt, int (*fn)(void *arg, const struct ui_pt_dump_entry *entry), void *arg) \
	{													\
		return ui_pt_dump_with(&(f), pt, fn, arg);							\
	}													\
	static enum ui_walk_status id##_op_walk_table(const struct ui_walk_cfg *cfg, const struct ui_walk_mem *mem, u64 iova, \
						   unsigned access, struct ui_walk *out, struct ui_walk_at *at)	\
	{													\
		return ui_pt_walk_foreign(&(f), cfg, mem, iova, access, out, at);				\
	}													\
	static const struct ui_pt_ops id##_ops = {								\
		.name = (title),										\
		.map = id##_op_map,										\
		.unmap = id##_op_unmap,										\
		.repoint = id##_op_repoint,									\
		.walk = id##_op_walk,										\
		.dirty = id##_op_dirty,										\
		.mark_dirty = id##_op_mark_dirty,								\
		.dump = id##_op_dump,										\
	};													\
	const struct ui_pt_instance ui_pt_instance_##id = { .fmt = &(f), .ops = &id##_ops, .walk_table = id##_op_walk_table }

#endif
