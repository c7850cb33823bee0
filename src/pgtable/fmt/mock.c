/* SPDX-License-Identifier: MIT */
/*
 * Two formats of no hardware's, for the kind `mock`; the kernel's selftests ask for what they can do. `mock`: pages of every
 * power of two from 2 KiB, half a page of the host's, to 4 MiB: a table is two entries. `mock huge`: pages of 4 KiB and 1 MiB.
 *
 * Entry: 0 R, 1 W (neither: absent), 2 points to a table, 3 dirty, 51:4 address. R and W are ANDed over the walk.
 */
#include "pgtable/instance.h"

#define MOCK_R UI_BIT(0)
#define MOCK_W UI_BIT(1)
#define MOCK_T UI_BIT(2)
#define MOCK_D UI_BIT(3)
#define MOCK_ATTRS (MOCK_R | MOCK_W | MOCK_D)
#define MOCK_ADDR ui_mask_range(51, 4) /* the smallest table is two entries */

enum { SMALL_GRANULE_LG2 = 11, SMALL_STRIDE_LG2 = 1, SMALL_LEVELS = 12 };
enum { HUGE_GRANULE_LG2 = 12, HUGE_STRIDE_LG2 = 8, HUGE_LEVELS = 7 };

#define SMALL_LG2(level) (SMALL_GRANULE_LG2 + (level) * SMALL_STRIDE_LG2)
#define HUGE_LG2(level) (HUGE_GRANULE_LG2 + (level) * HUGE_STRIDE_LG2)

static bool geometry(const struct ui_pt_cfg *cfg, unsigned levels, unsigned top_shift, unsigned max_top_lg2, u8 *top_level,
		     u8 *top_lg2)
{
	*top_level = (u8)(levels - 1);
	*top_lg2 = (u8)(cfg->ia_bits - top_shift);
	return cfg->ia_bits > top_shift && cfg->ia_bits <= top_shift + max_top_lg2 && cfg->oa_bits >= 32 && cfg->oa_bits <= 52 &&
	       !cfg->sign_extend;
}

static bool small_geometry(const struct ui_pt_cfg *cfg, u8 *top_level, u8 *top_lg2)
{
	return geometry(cfg, SMALL_LEVELS, SMALL_LG2(SMALL_LEVELS - 1u), 12, top_level, top_lg2);
}

static bool huge_geometry(const struct ui_pt_cfg *cfg, u8 *top_level, u8 *top_lg2)
{
	return geometry(cfg, HUGE_LEVELS, HUGE_LG2(HUGE_LEVELS - 1u), 3, top_level, top_lg2);
}

static bool small_leaf_level(unsigned granule_lg2, unsigned level)
{
	return level < SMALL_LEVELS;
}

static bool huge_leaf_level(unsigned granule_lg2, unsigned level)
{
	return level <= 1;
}

static enum ui_pt_kind kind(u64 entry, bool leaf_here, unsigned level)
{
	if (!(entry & (MOCK_R | MOCK_W)))
		return UI_PT_ABSENT;
	return level && (!leaf_here || (entry & MOCK_T)) ? UI_PT_TABLE : UI_PT_LEAF;
}

static enum ui_pt_kind small_kind(const struct ui_walk_cfg *c, u64 entry, unsigned level)
{
	return kind(entry, true, level);
}

static enum ui_pt_kind huge_kind(const struct ui_walk_cfg *c, u64 entry, unsigned level)
{
	return kind(entry, level <= 1, level);
}

static u64 mock_table_pa(const struct ui_walk_cfg *c, u64 entry)
{
	return entry & MOCK_ADDR;
}

static u64 small_leaf_oa(const struct ui_walk_cfg *c, u64 entry, unsigned level)
{
	return entry & MOCK_ADDR & ~ui_mask_lg2(SMALL_LG2(level));
}

static u64 huge_leaf_oa(const struct ui_walk_cfg *c, u64 entry, unsigned level)
{
	return entry & MOCK_ADDR & ~ui_mask_lg2(HUGE_LG2(level));
}

/* Bits above the address; a leaf that says "table" or lies across pages of its size; a table entry without the bit; a size that is
 * not allowed. */
static bool reserved(const struct ui_walk_cfg *c, u64 entry, unsigned lg2, enum ui_pt_kind kind)
{
	if (entry & ~(MOCK_ADDR | MOCK_ATTRS | MOCK_T))
		return true;
	if (kind == UI_PT_TABLE)
		return !(entry & MOCK_T);
	if ((entry & MOCK_T) || (entry & MOCK_ADDR & ui_mask_lg2(lg2)))
		return true;
	return c->page_sizes && !(c->page_sizes >> lg2 & 1);
}

static bool small_reserved(const struct ui_walk_cfg *c, u64 entry, unsigned level, enum ui_pt_kind kind)
{
	return reserved(c, entry, SMALL_LG2(level), kind);
}

static bool huge_reserved(const struct ui_walk_cfg *c, u64 entry, unsigned level, enum ui_pt_kind kind)
{
	return reserved(c, entry, HUGE_LG2(level), kind);
}

static u64 mock_fold(const struct ui_walk_cfg *c, u64 acc, u64 entry)
{
	return acc & entry;
}

static unsigned mock_grants(const struct ui_walk_cfg *c, u64 acc, u64 leaf, unsigned access)
{
	u64 both = acc & leaf;

	return (both & MOCK_R ? UI_PROT_READ | UI_PROT_EXEC : 0u) | (both & MOCK_W ? UI_PROT_WRITE : 0u);
}

static u8 mock_memattr(u64 leaf, unsigned level)
{
	return 0;
}

static bool mock_accessed(u64 entry)
{
	return true;
}

static u64 mock_set_accessed(u64 entry)
{
	return entry;
}

static bool mock_dirty(u64 leaf)
{
	return leaf & MOCK_D;
}

static bool mock_clean(u64 leaf)
{
	return !(leaf & MOCK_D);
}

static u64 mock_set_dirty(u64 leaf)
{
	return leaf | MOCK_D;
}

static u64 mock_set_clean(u64 leaf)
{
	return leaf & ~MOCK_D;
}

static int mock_attrs(const struct ui_pt_cfg *cfg, unsigned prot, u64 *attrs)
{
	if (!(prot & (UI_PROT_READ | UI_PROT_WRITE)) || (prot & UI_PROT_PRIV))
		return -EINVAL;
	*attrs = (prot & UI_PROT_READ ? MOCK_R : 0) | (prot & UI_PROT_WRITE ? MOCK_W : 0);
	if ((prot & UI_PROT_WRITE) && !cfg->dirty_track)
		*attrs |= MOCK_D;
	return 0;
}

static u64 small_make_leaf(const struct ui_walk_cfg *c, u64 oa, unsigned level, u64 attrs)
{
	return small_leaf_oa(c, oa, level) | attrs;
}

static u64 huge_make_leaf(const struct ui_walk_cfg *c, u64 oa, unsigned level, u64 attrs)
{
	return huge_leaf_oa(c, oa, level) | attrs;
}

static u64 mock_leaf_attrs(const struct ui_walk_cfg *c, u64 leaf, unsigned level)
{
	return leaf & MOCK_ATTRS;
}

static u64 mock_make_table(const struct ui_walk_cfg *c, u64 pa)
{
	return mock_table_pa(c, pa) | MOCK_R | MOCK_W | MOCK_T;
}

#define MOCK_COMMON											\
	.range_status = UI_WALK_ADDR_SIZE,								\
	.table_pa = mock_table_pa,									\
	.fold_start = ~(u64)0,										\
	.fold = mock_fold,										\
	.grants = mock_grants,										\
	.memattr = mock_memattr,									\
	.accessed = mock_accessed,									\
	.set_accessed = mock_set_accessed,								\
	.dirty = mock_dirty,										\
	.clean = mock_clean,										\
	.set_dirty = mock_set_dirty,									\
	.set_clean = mock_set_clean,									\
	.attrs = mock_attrs,										\
	.leaf_attrs = mock_leaf_attrs,									\
	.make_table = mock_make_table

static const struct ui_pt_fmt small_fmt = {
	.granule_lg2 = SMALL_GRANULE_LG2,
	.stride_lg2 = SMALL_STRIDE_LG2,
	.max_levels = SMALL_LEVELS,
	.geometry = small_geometry,
	.leaf_level = small_leaf_level,
	.kind = small_kind,
	.leaf_oa = small_leaf_oa,
	.reserved = small_reserved,
	.make_leaf = small_make_leaf,
	MOCK_COMMON,
};

static const struct ui_pt_fmt huge_fmt = {
	.granule_lg2 = HUGE_GRANULE_LG2,
	.stride_lg2 = HUGE_STRIDE_LG2,
	.max_levels = HUGE_LEVELS,
	.geometry = huge_geometry,
	.leaf_level = huge_leaf_level,
	.kind = huge_kind,
	.leaf_oa = huge_leaf_oa,
	.reserved = huge_reserved,
	.make_leaf = huge_make_leaf,
	MOCK_COMMON,
};

UI_PT_INSTANCE(mock, small_fmt, "mock");
UI_PT_INSTANCE(mock_huge, huge_fmt, "mock huge");
