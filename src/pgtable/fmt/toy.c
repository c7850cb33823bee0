/* SPDX-License-Identifier: MIT */
/*
 * A format for tests: two levels of two entries over 64 bytes of input, leaves of 16 and 32 bytes. Small enough to be
 * enumerated, with every feature that the algorithms tell apart.
 *
 * Entry: 0 R, 1 W (neither: absent), 2 points to a table, 3 dirty, 63:4 address. R and W are ANDed over the walk.
 */
#include "pgtable/instance.h"

#define TOY_R UI_BIT(0)
#define TOY_W UI_BIT(1)
#define TOY_T UI_BIT(2)
#define TOY_D UI_BIT(3)
#define TOY_ATTRS (TOY_R | TOY_W | TOY_D)
#define TOY_GRANULE_LG2 4u
#define TOY_STRIDE_LG2 1u

static bool toy_geometry(const struct ui_pt_cfg *cfg, u8 *top_level, u8 *top_lg2)
{
	*top_level = 1;
	*top_lg2 = TOY_STRIDE_LG2;
	return cfg->ia_bits == 6 && cfg->oa_bits >= 6 && cfg->oa_bits <= 64 && !cfg->sign_extend;
}

static bool toy_leaf_level(unsigned granule_lg2, unsigned level)
{
	return level <= 1;
}

static enum ui_pt_kind toy_kind(const struct ui_walk_cfg *c, u64 entry, unsigned level)
{
	if (!(entry & (TOY_R | TOY_W)))
		return UI_PT_ABSENT;
	return level && (entry & TOY_T) ? UI_PT_TABLE : UI_PT_LEAF;
}

static u64 toy_table_pa(const struct ui_walk_cfg *c, u64 entry)
{
	return entry & ~ui_mask_lg2(TOY_GRANULE_LG2);
}

static u64 toy_leaf_oa(const struct ui_walk_cfg *c, u64 entry, unsigned level)
{
	return entry & ~ui_mask_lg2(TOY_GRANULE_LG2 + level * TOY_STRIDE_LG2);
}

static bool toy_reserved(const struct ui_walk_cfg *c, u64 entry, unsigned level, enum ui_pt_kind kind)
{
	if (kind == UI_PT_TABLE)
		return false;
	return (entry & TOY_T) || toy_leaf_oa(c, entry, 0) != toy_leaf_oa(c, entry, level);
}

static u64 toy_fold(const struct ui_walk_cfg *c, u64 acc, u64 entry)
{
	return acc & entry;
}

static unsigned toy_grants(const struct ui_walk_cfg *c, u64 acc, u64 leaf, unsigned access)
{
	u64 both = acc & leaf;

	return (both & TOY_R ? UI_PROT_READ | UI_PROT_EXEC : 0u) | (both & TOY_W ? UI_PROT_WRITE : 0u);
}

static u8 toy_memattr(u64 leaf, unsigned level)
{
	return 0;
}

static bool toy_accessed(u64 entry)
{
	return true;
}

static u64 toy_set_accessed(u64 entry)
{
	return entry;
}

static bool toy_dirty(u64 leaf)
{
	return leaf & TOY_D;
}

static bool toy_clean(u64 leaf)
{
	return !(leaf & TOY_D);
}

static u64 toy_set_dirty(u64 leaf)
{
	return leaf | TOY_D;
}

static u64 toy_set_clean(u64 leaf)
{
	return leaf & ~TOY_D;
}

static int toy_attrs(const struct ui_pt_cfg *cfg, unsigned prot, u64 *attrs)
{
	if (!(prot & (UI_PROT_READ | UI_PROT_WRITE)) || (prot & UI_PROT_PRIV))
		return -EINVAL;
	*attrs = (prot & UI_PROT_READ ? TOY_R : 0) | (prot & UI_PROT_WRITE ? TOY_W : 0);
	if ((prot & UI_PROT_WRITE) && !cfg->dirty_track)
		*attrs |= TOY_D;
	return 0;
}

static u64 toy_make_leaf(const struct ui_walk_cfg *c, u64 oa, unsigned level, u64 attrs)
{
	return toy_leaf_oa(c, oa, level) | attrs;
}

static u64 toy_leaf_attrs(const struct ui_walk_cfg *c, u64 leaf, unsigned level)
{
	return leaf & TOY_ATTRS;
}

static u64 toy_make_table(const struct ui_walk_cfg *c, u64 pa)
{
	return toy_table_pa(c, pa) | TOY_R | TOY_W | TOY_T;
}

static const struct ui_pt_fmt toy_fmt = {
	.granule_lg2 = TOY_GRANULE_LG2,
	.stride_lg2 = TOY_STRIDE_LG2,
	.max_levels = 2,
	.range_status = UI_WALK_ADDR_SIZE,
	.geometry = toy_geometry,
	.leaf_level = toy_leaf_level,
	.kind = toy_kind,
	.table_pa = toy_table_pa,
	.leaf_oa = toy_leaf_oa,
	.reserved = toy_reserved,
	.fold_start = ~(u64)0,
	.fold = toy_fold,
	.grants = toy_grants,
	.memattr = toy_memattr,
	.accessed = toy_accessed,
	.set_accessed = toy_set_accessed,
	.dirty = toy_dirty,
	.clean = toy_clean,
	.set_dirty = toy_set_dirty,
	.set_clean = toy_set_clean,
	.attrs = toy_attrs,
	.make_leaf = toy_make_leaf,
	.leaf_attrs = toy_leaf_attrs,
	.make_table = toy_make_table,
};

UI_PT_INSTANCE(toy, toy_fmt, "toy");
