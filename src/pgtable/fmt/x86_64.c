/* SPDX-License-Identifier: MIT */
/*
 * x86-64 paging, 4 and 5 levels: VT-d first stage (VT-d specification rev. 5, chapter 9.7 "First-stage paging entries") and
 * `generic`. Execute follows read: bit 63 is ignored, as that revision does.
 */
#include "pgtable/instance.h"

#define X86_P UI_BIT(0)
#define X86_RW UI_BIT(1)
#define X86_US UI_BIT(2)
#define X86_A UI_BIT(5)
#define X86_D UI_BIT(6)
#define X86_PS UI_BIT(7)      /* levels 1 and 2: a leaf; at level 0 the place of PAT */
#define X86_PAT_LG2 12u       /* of a large leaf */
#define X86_ADDR ui_mask_range(51, 12)
#define X86_SHIFT(level) (12u + (level) * 9u)
#define X86_LEAF_LEVELS 3u

static bool x86_geometry(const struct ui_pt_cfg *cfg, u8 *top_level, u8 *top_lg2)
{
	*top_level = cfg->ia_bits == 57 ? 4 : 3;
	*top_lg2 = 9;
	return (cfg->ia_bits == 48 || cfg->ia_bits == 57) && cfg->oa_bits >= 32 && cfg->oa_bits <= 52;
}

static bool x86_leaf_level(unsigned granule_lg2, unsigned level)
{
	return level < X86_LEAF_LEVELS;
}

static enum ui_pt_kind x86_kind(const struct ui_walk_cfg *c, u64 entry, unsigned level)
{
	if (!(entry & X86_P))
		return UI_PT_ABSENT;
	return !level || (level < X86_LEAF_LEVELS && (entry & X86_PS)) ? UI_PT_LEAF : UI_PT_TABLE;
}

static u64 x86_table_pa(const struct ui_walk_cfg *c, u64 entry)
{
	return entry & X86_ADDR;
}

static u64 x86_leaf_oa(const struct ui_walk_cfg *c, u64 entry, unsigned level)
{
	return entry & X86_ADDR & ~ui_mask_lg2(X86_SHIFT(level));
}

/* PS above the levels that have leaves; address bits above the host's; in a large leaf the bits between PAT and the
 * address; a leaf of a size that the hardware lacks. */
static bool x86_reserved(const struct ui_walk_cfg *c, u64 entry, unsigned level, enum ui_pt_kind kind)
{
	if (entry & X86_ADDR & ~ui_mask_lg2(c->oa_bits))
		return true;
	if (kind == UI_PT_TABLE)
		return level >= X86_LEAF_LEVELS && (entry & X86_PS);
	if (level && (entry & ui_mask_lg2(X86_SHIFT(level)) & ~ui_mask_lg2(X86_PAT_LG2 + 1)))
		return true;
	return c->page_sizes && !(c->page_sizes >> X86_SHIFT(level) & 1);
}

static u64 x86_fold(const struct ui_walk_cfg *c, u64 acc, u64 entry)
{
	return acc & entry;
}

static unsigned x86_grants(const struct ui_walk_cfg *c, u64 acc, u64 leaf, unsigned access)
{
	u64 both = acc & leaf;
	unsigned prot = UI_PROT_READ | UI_PROT_EXEC;

	/* Without branches: every walk comes by. */
	_Static_assert(X86_RW == UI_PROT_WRITE && X86_US << 1 == UI_PROT_PRIV, "bits that move to their places");
	prot |= (unsigned)((both & X86_RW) | (~both & X86_US) << 1);
	if (!c->write_protect && !(both & X86_RW) && (access & UI_PROT_PRIV))
		prot |= UI_PROT_WRITE | UI_PROT_PRIV;
	return prot;
}

/* The index into the PAT: bit 2 PAT, 1 PCD, 0 PWT. */
static u8 x86_memattr(u64 leaf, unsigned level)
{
	return (u8)(ui_field(leaf, 4, 3) | (leaf >> (level ? X86_PAT_LG2 : 7u) & 1) << 2);
}

static bool x86_accessed(u64 entry)
{
	return entry & X86_A;
}

static u64 x86_set_accessed(u64 entry)
{
	return entry | X86_A;
}

static bool x86_dirty(u64 leaf)
{
	return leaf & X86_D;
}

static bool x86_clean(u64 leaf)
{
	return !(leaf & X86_D);
}

static u64 x86_set_dirty(u64 leaf)
{
	return leaf | X86_D;
}

static u64 x86_set_clean(u64 leaf)
{
	return leaf & ~X86_D;
}

static int x86_attrs(const struct ui_pt_cfg *cfg, unsigned prot, u64 *attrs)
{
	if (!(prot & (UI_PROT_READ | UI_PROT_WRITE)))
		return -EINVAL;
	*attrs = X86_P | X86_A | (prot & UI_PROT_PRIV ? 0 : X86_US);
	if (prot & UI_PROT_WRITE)
		*attrs |= X86_RW | (cfg->dirty_track ? 0 : X86_D);
	return 0;
}

/* attrs have PAT where a large leaf has it, and never PS. */
static u64 x86_make_leaf(const struct ui_walk_cfg *c, u64 oa, unsigned level, u64 attrs)
{
	if (level)
		return x86_leaf_oa(c, oa, level) | attrs | X86_PS;
	return (oa & X86_ADDR) | (attrs & ~X86_ADDR) | (attrs >> X86_PAT_LG2 & 1) << 7;
}

static u64 x86_leaf_attrs(const struct ui_walk_cfg *c, u64 leaf, unsigned level)
{
	u64 pat = leaf >> (level ? X86_PAT_LG2 : 7u) & 1;

	return (leaf & ~X86_ADDR & ~X86_PS) | pat << X86_PAT_LG2;
}

static u64 x86_make_table(const struct ui_walk_cfg *c, u64 pa)
{
	return (pa & X86_ADDR) | X86_P | X86_RW | X86_US | X86_A;
}

static const struct ui_pt_fmt x86_fmt = {
	.granule_lg2 = 12,
	.max_levels = 5,
	.table_accessed = true,
	.range_status = UI_WALK_ADDR_SIZE,
	.geometry = x86_geometry,
	.leaf_level = x86_leaf_level,
	.kind = x86_kind,
	.table_pa = x86_table_pa,
	.leaf_oa = x86_leaf_oa,
	.reserved = x86_reserved,
	.fold_start = ~(u64)0,
	.fold = x86_fold,
	.grants = x86_grants,
	.memattr = x86_memattr,
	.accessed = x86_accessed,
	.set_accessed = x86_set_accessed,
	.dirty = x86_dirty,
	.clean = x86_clean,
	.set_dirty = x86_set_dirty,
	.set_clean = x86_set_clean,
	.attrs = x86_attrs,
	.make_leaf = x86_make_leaf,
	.leaf_attrs = x86_leaf_attrs,
	.make_table = x86_make_table,
};

UI_PT_INSTANCE(x86_64, x86_fmt, "x86-64");
