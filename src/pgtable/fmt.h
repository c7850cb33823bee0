/* SPDX-License-Identifier: MIT */
/*
 * The format contract: what a page-table format supplies, and nothing more than bits. The algorithms (walk.h, edit.h,
 * scan.h) are written once over this and are instantiated per format (instance.h) with the format a compile-time constant,
 * so that every accessor is inlined.
 *
 * Words. An *entry* is 64 bits. A *table* is an array of entries. *Level* 0 is the lowest: its entries map granules. An
 * entry is absent, a *table* entry (points to a table one level down) or a *leaf*. The *size* at a level is the number of
 * input bytes under one of its entries: 2^(granule_lg2 + level * stride_lg2). *attrs* are the bits of a leaf that do not
 * depend on its address or level: two leaves with equal attrs grant the same.
 *
 * What every format must keep:
 *  - the word 0 and any multiple of the table size are absent at every level (an unlinked table chains through entry 0);
 *  - a leaf's attrs survive a round trip at every level: leaf_attrs(make_leaf(oa, level, attrs), level) == attrs;
 *  - marking accessed, dirty or clean changes attrs bits only, never address, size or rights;
 *  - accessors are pure, and defined for every 64-bit value: foreign walks hand them whatever somebody else wrote.
 *
 * Writing a format: a `static const struct ui_pt_fmt`, its accessors, one UI_PT_INSTANCE() line, a value in enum
 * ui_pt_format, an entry in pgtable.c. The conformance suite (tests/unit/pgtable) then runs over it.
 */
#ifndef UI_PGTABLE_FMT_H
#define UI_PGTABLE_FMT_H

#include "pgtable/pgtable.h"

#define UI_PT_MAX_LEVELS 12u
#define UI_PT_ENTRY_LG2 3u

enum ui_pt_kind { UI_PT_ABSENT, UI_PT_TABLE, UI_PT_LEAF };

struct ui_pt_fmt {
	u8 granule_lg2;    /* smallest leaf; 0: a parameter of the table */
	u8 stride_lg2;     /* entries of a table below the top, log2; 0: granule_lg2 - 3, a table is one granule */
	u8 max_levels;
	bool table_accessed; /* table entries carry an accessed bit, set on the way down */
	bool access_fault;   /* a leaf whose accessed bit is clear faults when the walker does not set it */
	bool upper_half;     /* tables may serve the last addresses instead of the first */
	enum ui_walk_status range_status; /* of an input address out of range */

	/* Geometry, at init and before a foreign walk only. */
	/* The top of a table with @cfg's granule, ia_bits and oa_bits; false when the format has no such table. */
	bool (*geometry)(const struct ui_pt_cfg *cfg, u8 *top_level, u8 *top_lg2);
	/* May a leaf stand at @level (of a table with this granule)? Level 0 always; each allowed level allows those below. */
	bool (*leaf_level)(unsigned granule_lg2, unsigned level);

	/* Reading. @c is the table's walk configuration. */
	enum ui_pt_kind (*kind)(const struct ui_walk_cfg *c, u64 entry, unsigned level);
	u64 (*table_pa)(const struct ui_walk_cfg *c, u64 entry);
	u64 (*leaf_oa)(const struct ui_walk_cfg *c, u64 entry, unsigned level);
	/* Foreign tables: a present entry has a reserved bit or value. May be NULL. */
	bool (*reserved)(const struct ui_walk_cfg *c, u64 entry, unsigned level, enum ui_pt_kind kind);
	/* What the table entries on the way leave of the leaf's rights: starts at @fold_start, the format's own encoding. */
	u64 fold_start;
	u64 (*fold)(const struct ui_walk_cfg *c, u64 acc, u64 entry);
	/* UI_PROT_* that @leaf, after @acc, grants to an access of the privilege in @access. UI_PROT_PRIV: what is granted is
	 * granted because the access is privileged, or would be. */
	unsigned (*grants)(const struct ui_walk_cfg *c, u64 acc, u64 leaf, unsigned access);
	u8 (*memattr)(u64 leaf, unsigned level);

	/* Accessed and dirty state of a leaf; accessed also of table entries when @table_accessed. */
	bool (*accessed)(u64 entry);
	u64 (*set_accessed)(u64 entry);
	/* Was written since it was last made clean. */
	bool (*dirty)(u64 leaf);
	/* May be written, but a write must be marked first. Not simply !dirty(): a format may have leaves that do not track. */
	bool (*clean)(u64 leaf);
	u64 (*set_dirty)(u64 leaf);  /* no change where clean() is false */
	u64 (*set_clean)(u64 leaf); /* of a dirty leaf */

	/* Writing. */
	/* 0 and *@attrs (accessed set; clean when tracking, else dirty); -EINVAL when @prot has neither READ nor WRITE, or asks
	 * for a limit that the format cannot express (PRIV). A format whose present leaves are always readable grants read
	 * with write, and one without an execute bit grants execute with read, as hardware does. */
	int (*attrs)(const struct ui_pt_cfg *cfg, unsigned prot, u64 *attrs);
	u64 (*make_leaf)(const struct ui_walk_cfg *c, u64 oa, unsigned level, u64 attrs);
	u64 (*leaf_attrs)(const struct ui_walk_cfg *c, u64 leaf, unsigned level);
	/* Grants everything, accessed set. */
	u64 (*make_table)(const struct ui_walk_cfg *c, u64 pa);
};

/* What a format file exports. */
struct ui_pt_instance {
	const struct ui_pt_fmt *fmt;
	const struct ui_pt_ops *ops;
	enum ui_walk_status (*walk_table)(const struct ui_walk_cfg *cfg, const struct ui_walk_mem *mem, u64 iova,
					  unsigned access, struct ui_walk *out, struct ui_walk_at *at);
};

extern const struct ui_pt_instance ui_pt_instance_toy;
extern const struct ui_pt_instance ui_pt_instance_x86_64;
extern const struct ui_pt_instance ui_pt_instance_vtdss;
extern const struct ui_pt_instance ui_pt_instance_arm_s1;
extern const struct ui_pt_instance ui_pt_instance_arm_s2;
extern const struct ui_pt_instance ui_pt_instance_mock;
extern const struct ui_pt_instance ui_pt_instance_mock_huge;

/* By its number, below UI_PT_N_FORMATS. */
const struct ui_pt_instance *ui_pt_instance(enum ui_pt_format format);

UI_ALWAYS_INLINE unsigned ui_pt_granule(const struct ui_pt_fmt *f, const struct ui_walk_cfg *c)
{
	return f->granule_lg2 ? f->granule_lg2 : c->granule_lg2;
}

UI_ALWAYS_INLINE unsigned ui_pt_stride(const struct ui_pt_fmt *f, const struct ui_walk_cfg *c)
{
	return f->stride_lg2 ? f->stride_lg2 : ui_pt_granule(f, c) - UI_PT_ENTRY_LG2;
}

/* log2 of the bytes under one entry at @level. */
UI_ALWAYS_INLINE unsigned ui_pt_shift(const struct ui_pt_fmt *f, const struct ui_walk_cfg *c, unsigned level)
{
	return ui_pt_granule(f, c) + level * ui_pt_stride(f, c);
}

UI_ALWAYS_INLINE u64 ui_pt_size(const struct ui_pt_fmt *f, const struct ui_walk_cfg *c, unsigned level)
{
	return UI_BIT(ui_pt_shift(f, c, level));
}

/* Entries of the table at @level, log2. */
UI_ALWAYS_INLINE unsigned ui_pt_index_lg2(const struct ui_pt_fmt *f, const struct ui_walk_cfg *c, unsigned level)
{
	return level == c->top_level ? c->top_lg2 : ui_pt_stride(f, c);
}

UI_ALWAYS_INLINE u64 ui_pt_index(const struct ui_pt_fmt *f, const struct ui_walk_cfg *c, unsigned level, u64 iova)
{
	return (iova >> ui_pt_shift(f, c, level)) & ui_mask_lg2(ui_pt_index_lg2(f, c, level));
}

/* First input address. The algorithms count from there; callers need not know. */
UI_ALWAYS_INLINE u64 ui_pt_base(const struct ui_pt_fmt *f, const struct ui_walk_cfg *c)
{
	return f->upper_half && c->upper ? ~ui_mask_lg2(c->ia_bits) : 0;
}

/* Bytes of a table below the top. */
UI_ALWAYS_INLINE u64 ui_pt_table_bytes(const struct ui_pt_fmt *f, const struct ui_walk_cfg *c)
{
	return UI_BIT(ui_pt_stride(f, c) + UI_PT_ENTRY_LG2);
}

/* The walk configuration of a table of our own. */
UI_ALWAYS_INLINE struct ui_walk_cfg ui_pt_view(const struct ui_pt *pt)
{
	return (struct ui_walk_cfg){
		.format = pt->cfg.format,
		.granule_lg2 = pt->cfg.granule_lg2,
		.ia_bits = pt->cfg.ia_bits,
		.oa_bits = pt->cfg.oa_bits,
		.top_level = pt->top_level,
		.top_lg2 = pt->top_lg2,
		.sign_extend = pt->cfg.sign_extend,
		.upper = pt->cfg.upper,
		.set_accessed = true,
		.set_dirty = pt->cfg.dirty_track,
		.write_protect = true,
		.page_sizes = pt->cfg.page_sizes,
		.top_pa = pt->top_pa,
	};
}

/* One word of a table that walkers read at any time. */
UI_ALWAYS_INLINE u64 ui_pt_load(const u64 *entry)
{
	/* Acquire: pairs with ui_pt_store() and the exchanges that link a table, so that its entries are seen whole. */
	return __atomic_load_n(entry, __ATOMIC_ACQUIRE);
}

UI_ALWAYS_INLINE void ui_pt_store(u64 *entry, u64 val)
{
	/* Release: pairs with ui_pt_load() in a walker. */
	__atomic_store_n(entry, val, __ATOMIC_RELEASE);
}

/* False with *@expected updated when somebody was faster. */
UI_ALWAYS_INLINE bool ui_pt_cas(u64 *entry, u64 *expected, u64 desired)
{
	/* Acquire and release: either side may be the one that links a table or marks a leaf. */
	return __atomic_compare_exchange_n(entry, expected, desired, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

#endif
