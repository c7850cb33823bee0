/* SPDX-License-Identifier: MIT */
/*
 * VT-d second stage, 3 to 5 levels (VT-d specification rev. 5, chapter 9.8 "Second-stage paging entries"). Absent: R = W = 0.
 * R and W are ANDed over the walk. Bits 8 and 9 are accessed and dirty where the PASID entry enables them. Execute follows
 * read: bit 2 is ignored, as that revision does.
 */
#include "pgtable/instance.h"

#define SS_R UI_BIT(0)
#define SS_W UI_BIT(1)
#define SS_PS UI_BIT(7)
#define SS_A UI_BIT(8)
#define SS_D UI_BIT(9)
#define SS_SNP UI_BIT(11)
#define SS_BIT62 UI_BIT(62)
#define SS_ADDR ui_mask_range(51, 12)
#define SS_SHIFT(level) (12u + (level) * 9u)
#define SS_LEAF_LEVELS 3u

static bool ss_geometry(const struct ui_pt_cfg *cfg, u8 *top_level, u8 *top_lg2)
{
	*top_level = (u8)((cfg->ia_bits - 12u) / 9u - 1u);
	*top_lg2 = 9;
	return (cfg->ia_bits == 39 || cfg->ia_bits == 48 || cfg->ia_bits == 57) && cfg->oa_bits >= 32 &&
	       cfg->oa_bits <= 52 && !cfg->sign_extend;
}

static bool ss_leaf_level(unsigned granule_lg2, unsigned level)
{
	return level < SS_LEAF_LEVELS;
}

static enum ui_pt_kind ss_kind(const struct ui_walk_cfg *c, u64 entry, unsigned level)
{
	if (!(entry & (SS_R | SS_W)))
		return UI_PT_ABSENT;
	return !level || (level < SS_LEAF_LEVELS && (entry & SS_PS)) ? UI_PT_LEAF : UI_PT_TABLE;
}

static u64 ss_table_pa(const struct ui_walk_cfg *c, u64 entry)
{
	return entry & SS_ADDR;
}

static u64 ss_leaf_oa(const struct ui_walk_cfg *c, u64 entry, unsigned level)
{
	return entry & SS_ADDR & ~ui_mask_lg2(SS_SHIFT(level));
}

/* Snoop in a table entry; PS above the levels that have leaves; address bits above the host's or below a large leaf's size; a
 * leaf of a size that the hardware lacks. */
static bool ss_reserved(const struct ui_walk_cfg *c, u64 entry, unsigned level, enum ui_pt_kind kind)
{
	if (entry & ((SS_ADDR & ~ui_mask_lg2(c->oa_bits)) | SS_BIT62))
		return true;
	if (kind == UI_PT_TABLE)
		return (entry & SS_SNP) || (level >= SS_LEAF_LEVELS && (entry & SS_PS));
	return ss_leaf_oa(c, entry, level) != (entry & SS_ADDR) ||
	       (c->page_sizes && !(c->page_sizes >> SS_SHIFT(level) & 1));
}

static u64 ss_fold(const struct ui_walk_cfg *c, u64 acc, u64 entry)
{
	return acc & entry;
}

static unsigned ss_grants(const struct ui_walk_cfg *c, u64 acc, u64 leaf, unsigned access)
{
	u64 both = acc & leaf;

	return (both & SS_R ? UI_PROT_READ | UI_PROT_EXEC : 0u) | (both & SS_W ? UI_PROT_WRITE : 0u);
}

/* Bits 2:0 the memory type, bit 3 IPAT. */
static u8 ss_memattr(u64 leaf, unsigned level)
{
	return (u8)ui_field(leaf, 6, 3);
}

static bool ss_accessed(u64 entry)
{
	return entry & SS_A;
}

static u64 ss_set_accessed(u64 entry)
{
	return entry | SS_A;
}

static bool ss_dirty(u64 leaf)
{
	return leaf & SS_D;
}

static bool ss_clean(u64 leaf)
{
	return !(leaf & SS_D);
}

static u64 ss_set_dirty(u64 leaf)
{
	return leaf | SS_D;
}

static u64 ss_set_clean(u64 leaf)
{
	return leaf & ~SS_D;
}

static int ss_attrs(const struct ui_pt_cfg *cfg, unsigned prot, u64 *attrs)
{
	if (!(prot & (UI_PROT_READ | UI_PROT_WRITE)) || (prot & UI_PROT_PRIV))
		return -EINVAL;
	*attrs = SS_A | (prot & UI_PROT_READ ? SS_R : 0);
	if (prot & UI_PROT_WRITE)
		*attrs |= SS_W | (cfg->dirty_track ? 0 : SS_D);
	return 0;
}

static u64 ss_make_leaf(const struct ui_walk_cfg *c, u64 oa, unsigned level, u64 attrs)
{
	return ss_leaf_oa(c, oa, level) | attrs | (level ? SS_PS : 0);
}

static u64 ss_leaf_attrs(const struct ui_walk_cfg *c, u64 leaf, unsigned level)
{
	/* At level 0 bit 7 means nothing, but would become PS elsewhere. */
	return leaf & ~SS_ADDR & ~SS_PS;
}

static u64 ss_make_table(const struct ui_walk_cfg *c, u64 pa)
{
	return (pa & SS_ADDR) | SS_R | SS_W | SS_A;
}

static const struct ui_pt_fmt ss_fmt = {
	.granule_lg2 = 12,
	.max_levels = 5,
	.table_accessed = true,
	.range_status = UI_WALK_ADDR_SIZE,
	.geometry = ss_geometry,
	.leaf_level = ss_leaf_level,
	.kind = ss_kind,
	.table_pa = ss_table_pa,
	.leaf_oa = ss_leaf_oa,
	.reserved = ss_reserved,
	.fold_start = ~(u64)0,
	.fold = ss_fold,
	.grants = ss_grants,
	.memattr = ss_memattr,
	.accessed = ss_accessed,
	.set_accessed = ss_set_accessed,
	.dirty = ss_dirty,
	.clean = ss_clean,
	.set_dirty = ss_set_dirty,
	.set_clean = ss_set_clean,
	.attrs = ss_attrs,
	.make_leaf = ss_make_leaf,
	.leaf_attrs = ss_leaf_attrs,
	.make_table = ss_make_table,
};

UI_PT_INSTANCE(vtdss, ss_fmt, "VT-d second stage");
