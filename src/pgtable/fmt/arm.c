/* SPDX-License-Identifier: MIT */
/*
 * Arm VMSAv8-64, stage 1 and stage 2, granules of 4K, 16K and 64K (Arm ARM, chapter D8 "The AArch64 Virtual Memory System
 * Architecture"; SMMUv3 uses the same tables). Levels count from the bottom here: our 0 is Arm's 3.
 *
 * Dirty state is the pair DBM and write permission: DBM with write permission off is writable and clean. The hint that
 * entries are contiguous (bit 52), bits for security states (NS, NSTable) and bits for software mean nothing here. Addresses of
 * more than 48 bits with granules below 64K (LPA2) and tables with fewer than 25 input bits (STT) are not modelled.
 */
#include "pgtable/arm.h"
#include "pgtable/instance.h"

#include <errno.h>

#define ARM_VALID UI_BIT(0)
#define ARM_PAGE UI_BIT(1) /* a table, or at level 0 a page; else a block */
#define ARM_SH_OUTER ((u64)2 << 8)
#define ARM_SH_INNER ((u64)3 << 8)
#define ARM_AF UI_BIT(10)
#define ARM_DBM UI_BIT(51)
#define ARM_ATTRS (ui_mask_range(63, 50) | ui_mask_range(11, 2))
#define ARM_MAX_LEVELS 4u
#define ARM_ROOTS_LG2 4u /* at most 16 concatenated stage-2 roots */
#define ARM_MAX_TXSZ 39u

#define S1_ATTR(index) ((u64)(index) << 2)
#define S1_ATTR_NORMAL 1u /* the MAIR entries that Linux and we agree on: 1 write-back, 2 device */
#define S1_ATTR_DEVICE 2u
#define S1_USER UI_BIT(6) /* AP[1] */
#define S1_RO UI_BIT(7)   /* AP[2] */
#define S1_NG UI_BIT(11)
#define S1_PXN UI_BIT(53)
#define S1_UXN UI_BIT(54)
#define S1T_PXN UI_BIT(59)
#define S1T_UXN UI_BIT(60)
#define S1T_NO_USER UI_BIT(61) /* APTable[0] */
#define S1T_RO UI_BIT(62)      /* APTable[1] */

#define S2_MEMATTR(val) ((u64)(val) << 2)
#define S2_MEMATTR_NORMAL 0xfu /* write-back inside and outside */
#define S2_MEMATTR_DEVICE 1u   /* nGnRE */
#define S2_NOT_DEVICE S2_MEMATTR(0xc)
#define S2_R UI_BIT(6)
#define S2_W UI_BIT(7)
#define S2_XN UI_BIT(54)

static unsigned arm_shift(const struct ui_walk_cfg *c, unsigned level)
{
	return c->granule_lg2 + level * (c->granule_lg2 - 3u);
}

static bool arm_leaf_level(unsigned granule_lg2, unsigned level)
{
	return level <= (granule_lg2 == 12 ? 2u : 1u);
}

static bool arm_geometry(const struct ui_pt_cfg *cfg, u8 *top_level, u8 *top_lg2)
{
	unsigned granule = cfg->granule_lg2, stride = granule - 3u, max = granule == 16 ? 52 : 48, level;

	if ((granule != 12 && granule != 14 && granule != 16) || cfg->ia_bits < 25 || cfg->ia_bits > max ||
	    cfg->oa_bits < 32 || cfg->oa_bits > max || cfg->sign_extend)
		return false;
	level = (cfg->ia_bits - granule + stride - 1) / stride - 1;
	*top_level = (u8)level;
	*top_lg2 = (u8)(cfg->ia_bits - granule - level * stride);
	return true;
}

/* A root of at most 16 entries is left out: the tables below it stand side by side instead. With 4K a walk never starts at the
 * lowest level. */
static bool arm_s2_geometry(const struct ui_pt_cfg *cfg, u8 *top_level, u8 *top_lg2)
{
	if (!arm_geometry(cfg, top_level, top_lg2))
		return false;
	if (*top_lg2 <= ARM_ROOTS_LG2 && *top_level > (cfg->granule_lg2 == 12 ? 1 : 0)) {
		*top_level = (u8)(*top_level - 1);
		*top_lg2 = (u8)(*top_lg2 + cfg->granule_lg2 - 3);
	}
	return true;
}

static enum ui_pt_kind arm_kind(const struct ui_walk_cfg *c, u64 entry, unsigned level)
{
	if (!(entry & ARM_VALID))
		return UI_PT_ABSENT;
	if (!level)
		return entry & ARM_PAGE ? UI_PT_LEAF : UI_PT_ABSENT;
	if (entry & ARM_PAGE)
		return UI_PT_TABLE;
	return arm_leaf_level(c->granule_lg2, level) || (c->wide_64k && c->granule_lg2 == 16 && level == 2) ? UI_PT_LEAF : UI_PT_ABSENT;
}

/* With 64K, where the hardware has 52 bits, address bits 51:48 stand in 15:12. */
static u64 arm_addr(const struct ui_walk_cfg *c, u64 entry, unsigned shift)
{
	u64 addr = entry & ui_mask_range(47, shift);

	return c->granule_lg2 == 16 && (c->oa_bits > 48 || c->wide_64k) ? addr | ui_field(entry, 15, 12) << 48 : addr;
}

static u64 arm_pack(const struct ui_walk_cfg *c, u64 addr, unsigned shift)
{
	u64 bits = addr & ui_mask_range(47, shift);

	return c->granule_lg2 == 16 && c->oa_bits > 48 ? bits | ui_field(addr, 51, 48) << 12 : bits;
}

static u64 arm_table_pa(const struct ui_walk_cfg *c, u64 entry)
{
	return arm_addr(c, entry, c->granule_lg2);
}

static u64 arm_leaf_oa(const struct ui_walk_cfg *c, u64 entry, unsigned level)
{
	return arm_addr(c, entry, arm_shift(c, level));
}

static u64 arm_make_leaf(const struct ui_walk_cfg *c, u64 oa, unsigned level, u64 attrs)
{
	return arm_pack(c, oa, arm_shift(c, level)) | attrs | ARM_VALID | (level ? 0 : ARM_PAGE);
}

static u64 arm_leaf_attrs(const struct ui_walk_cfg *c, u64 leaf, unsigned level)
{
	return leaf & ARM_ATTRS;
}

static u64 arm_make_table(const struct ui_walk_cfg *c, u64 pa)
{
	return arm_pack(c, pa, c->granule_lg2) | ARM_VALID | ARM_PAGE;
}

static bool arm_accessed(u64 entry)
{
	return entry & ARM_AF;
}

static u64 arm_set_accessed(u64 entry)
{
	return entry | ARM_AF;
}

/* ---- stage 1 ---- */

/* Rights that table entries take away gather in the accumulator. */
static u64 s1_fold(const struct ui_walk_cfg *c, u64 acc, u64 entry)
{
	return c->no_table_attrs ? acc : acc | (entry & ui_mask_range(62, 59));
}

static bool s1_clean(u64 leaf)
{
	return (leaf & (ARM_DBM | S1_RO)) == (ARM_DBM | S1_RO);
}

static unsigned s1_grants(const struct ui_walk_cfg *c, u64 acc, u64 leaf, unsigned access)
{
	bool user = (leaf & S1_USER) && !(acc & S1T_NO_USER);
	bool write = (!(leaf & S1_RO) || (c->set_dirty && s1_clean(leaf))) && !(acc & S1T_RO);
	/* What user code may write, privileged code may not run. */
	bool priv_exec = !(leaf & S1_PXN) && !(acc & S1T_PXN) && !(user && write);
	bool user_exec = !(leaf & S1_UXN) && !(acc & S1T_UXN);
	unsigned prot = UI_PROT_READ | (write ? UI_PROT_WRITE : 0u);
	bool no_exec = c->write_no_exec && write;

	if (c->one_privilege)
		return prot | (user_exec && !no_exec ? UI_PROT_EXEC : 0u); /* UXN's place is XN there */
	if (access & UI_PROT_PRIV) {
		if (user && c->priv_no_user)
			prot = 0;
		return prot | (user ? 0u : UI_PROT_PRIV) | (priv_exec && !no_exec ? UI_PROT_EXEC : 0u);
	}
	/* What unprivileged code may not read it may still run. */
	if (!user)
		return user_exec ? UI_PROT_EXEC : prot | UI_PROT_PRIV | (priv_exec ? UI_PROT_EXEC : 0u);
	return prot | (user_exec && !no_exec ? UI_PROT_EXEC : 0u);
}

static u8 s1_memattr(u64 leaf, unsigned level)
{
	return (u8)ui_field(leaf, 4, 2);
}

static bool s1_dirty(u64 leaf)
{
	return (leaf & (ARM_DBM | S1_RO)) == ARM_DBM;
}

static u64 s1_set_dirty(u64 leaf)
{
	return leaf & ARM_DBM ? leaf & ~S1_RO : leaf;
}

static u64 s1_set_clean(u64 leaf)
{
	return leaf | S1_RO;
}

static int s1_attrs(const struct ui_pt_cfg *cfg, unsigned prot, u64 *attrs)
{
	bool priv = prot & UI_PROT_PRIV;

	if (!(prot & (UI_PROT_READ | UI_PROT_WRITE)))
		return -EINVAL;
	*attrs = ARM_AF | (cfg->global ? 0 : S1_NG) | (priv ? 0 : S1_USER);
	*attrs |= prot & UI_PROT_MMIO ? S1_ATTR(S1_ATTR_DEVICE) | ARM_SH_OUTER : S1_ATTR(S1_ATTR_NORMAL) | ARM_SH_INNER;
	if (!(prot & UI_PROT_EXEC))
		*attrs |= S1_PXN | S1_UXN;
	else if (priv)
		*attrs |= S1_UXN;
	if (!(prot & UI_PROT_WRITE))
		*attrs |= S1_RO;
	else if (cfg->dirty_track)
		*attrs |= S1_RO | ARM_DBM;
	return 0;
}

static const struct ui_pt_fmt s1_fmt = {
	.max_levels = ARM_MAX_LEVELS,
	.access_fault = true,
	.upper_half = true,
	.range_status = UI_WALK_TRANSLATION,
	.geometry = arm_geometry,
	.leaf_level = arm_leaf_level,
	.kind = arm_kind,
	.table_pa = arm_table_pa,
	.leaf_oa = arm_leaf_oa,
	.fold = s1_fold,
	.grants = s1_grants,
	.memattr = s1_memattr,
	.accessed = arm_accessed,
	.set_accessed = arm_set_accessed,
	.dirty = s1_dirty,
	.clean = s1_clean,
	.set_dirty = s1_set_dirty,
	.set_clean = s1_set_clean,
	.attrs = s1_attrs,
	.make_leaf = arm_make_leaf,
	.leaf_attrs = arm_leaf_attrs,
	.make_table = arm_make_table,
};

UI_PT_INSTANCE(arm_s1, s1_fmt, "Arm stage 1");

/* ---- stage 2 ---- */

static u64 s2_fold(const struct ui_walk_cfg *c, u64 acc, u64 entry)
{
	return acc;
}

static bool s2_clean(u64 leaf)
{
	return (leaf & (ARM_DBM | S2_W)) == ARM_DBM;
}

/* XN[1:0] in 54:53: 0 all may execute, 1 unprivileged only, 2 none, 3 privileged only. What cannot be read does not execute. */
static unsigned s2_grants(const struct ui_walk_cfg *c, u64 acc, u64 leaf, unsigned access)
{
	unsigned xn = (unsigned)ui_field(leaf, 54, 53), prot = 0;

	if (ui_unlikely(access & UI_PROT_MMIO) && !(leaf & S2_NOT_DEVICE))
		return 0;
	if (leaf & S2_R)
		prot |= UI_PROT_READ | (!xn || xn == (access & UI_PROT_PRIV ? 3u : 1u) ? UI_PROT_EXEC : 0u);
	if ((leaf & S2_W) || (c->set_dirty && s2_clean(leaf)))
		prot |= UI_PROT_WRITE;
	return prot;
}

static u8 s2_memattr(u64 leaf, unsigned level)
{
	return (u8)ui_field(leaf, 5, 2);
}

static bool s2_dirty(u64 leaf)
{
	return (leaf & (ARM_DBM | S2_W)) == (ARM_DBM | S2_W);
}

static u64 s2_set_dirty(u64 leaf)
{
	return leaf & ARM_DBM ? leaf | S2_W : leaf;
}

static u64 s2_set_clean(u64 leaf)
{
	return leaf & ~S2_W;
}

static int s2_attrs(const struct ui_pt_cfg *cfg, unsigned prot, u64 *attrs)
{
	if (!(prot & (UI_PROT_READ | UI_PROT_WRITE)) || (prot & UI_PROT_PRIV))
		return -EINVAL;
	*attrs = ARM_AF | ARM_SH_INNER | S2_MEMATTR(prot & UI_PROT_MMIO ? S2_MEMATTR_DEVICE : S2_MEMATTR_NORMAL);
	*attrs |= (prot & UI_PROT_READ ? S2_R : 0) | (prot & UI_PROT_EXEC ? 0 : S2_XN);
	if (prot & UI_PROT_WRITE)
		*attrs |= cfg->dirty_track ? ARM_DBM : S2_W;
	return 0;
}

static const struct ui_pt_fmt s2_fmt = {
	.max_levels = ARM_MAX_LEVELS,
	.access_fault = true,
	.range_status = UI_WALK_TRANSLATION,
	.geometry = arm_s2_geometry,
	.leaf_level = arm_leaf_level,
	.kind = arm_kind,
	.table_pa = arm_table_pa,
	.leaf_oa = arm_leaf_oa,
	.fold = s2_fold,
	.grants = s2_grants,
	.memattr = s2_memattr,
	.accessed = arm_accessed,
	.set_accessed = arm_set_accessed,
	.dirty = s2_dirty,
	.clean = s2_clean,
	.set_dirty = s2_set_dirty,
	.set_clean = s2_set_clean,
	.attrs = s2_attrs,
	.make_leaf = arm_make_leaf,
	.leaf_attrs = arm_leaf_attrs,
	.make_table = arm_make_table,
};

UI_PT_INSTANCE(arm_s2, s2_fmt, "Arm stage 2");

/* ---- what an STE and a CD say of a walk ---- */

/* Output bits that @ps asks for and hardware with @oas gives: only 64K has more than 48. */
static unsigned output_bits(unsigned granule, unsigned ps, unsigned oas)
{
	unsigned bits = ps < oas ? ps : oas;

	return granule != 16 && bits > 48 ? 48 : bits;
}

static int place_top(struct ui_walk_cfg *c, u64 ttb)
{
	if (ttb & ~ui_mask_lg2(c->oa_bits))
		return -EINVAL;
	/* Bits of the address below the size of the top are taken as 0; with 52 bits, below 64 bytes. */
	c->top_pa = ui_align_down(ttb, ui_max(UI_BIT(c->top_lg2 + UI_PT_ENTRY_LG2), c->oa_bits > 48 ? 64 : 0));
	return 0;
}

int ui_arm_s1_start(const struct ui_arm_s1 *s1, struct ui_walk_cfg *out)
{
	unsigned ia_bits = 64u - s1->txsz, granule = s1->granule_lg2;
	const struct ui_pt_cfg shape = {
		.granule_lg2 = s1->granule_lg2,
		.ia_bits = (u8)ia_bits,
		.oa_bits = (u8)output_bits(granule, s1->ips_bits, s1->oas_bits),
	};
	struct ui_walk_cfg c = {
		.format = UI_PT_ARM_S1,
		.granule_lg2 = s1->granule_lg2,
		.ia_bits = shape.ia_bits,
		.oa_bits = shape.oa_bits,
		.upper = s1->upper,
		.wide_64k = granule == 16 && s1->oas_bits >= 52,
	};

	if (s1->txsz > ARM_MAX_TXSZ || (ia_bits > 48 && !s1->va52) || !arm_geometry(&shape, &c.top_level, &c.top_lg2) ||
	    place_top(&c, s1->ttb))
		return -EINVAL;
	*out = c;
	return 0;
}

int ui_arm_s2_start(const struct ui_arm_s2 *s2, struct ui_walk_cfg *out)
{
	/* Our level for each SL0; ARM_MAX_LEVELS: none. With 4K, 3 would be a start at the lowest level (STT). */
	static const u8 start[][4] = { [0] = { 1, 2, 3, ARM_MAX_LEVELS }, [1] = { 0, 1, 2, ARM_MAX_LEVELS } };
	unsigned ia_bits = 64u - s2->t0sz, granule = s2->granule_lg2, level, resolved;
	struct ui_walk_cfg c = {
		.format = UI_PT_ARM_S2,
		.granule_lg2 = s2->granule_lg2,
		.ia_bits = (u8)ia_bits,
		.oa_bits = (u8)output_bits(granule, s2->ps_bits, s2->oas_bits),
		.wide_64k = granule == 16 && s2->oas_bits >= 52,
	};

	if ((granule != 12 && granule != 14 && granule != 16) || s2->sl0 > 3 || s2->t0sz > ARM_MAX_TXSZ ||
	    ia_bits > output_bits(granule, s2->oas_bits, s2->oas_bits))
		return -EINVAL;
	level = start[granule != 12][s2->sl0];
	/* The highest start level is for physical addresses that can need it. */
	if (level == ARM_MAX_LEVELS || (s2->sl0 == 2 && s2->oas_bits < (granule == 14 ? 42 : 44)))
		return -EINVAL;
	c.top_level = (u8)level;
	resolved = arm_shift(&c, level);
	/* At least two entries at the start; at most sixteen tables side by side. */
	if (ia_bits <= resolved || ia_bits > resolved + (granule - 3) + ARM_ROOTS_LG2)
		return -EINVAL;
	c.top_lg2 = (u8)(ia_bits - resolved);
	if (place_top(&c, s2->ttb))
		return -EINVAL;
	*out = c;
	return 0;
}
