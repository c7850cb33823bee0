/* SPDX-License-Identifier: MIT */
/*
 * The walk, for tables of our own (direct loads, contents trusted) and for tables that somebody else wrote (through
 * ui_walk_mem, nothing trusted). Lock-free against the one writer of edit.h and scan.h.
 *
 * Faults in the order in which hardware reports them: input range; then per entry: load, absent, reserved, address size;
 * then for the leaf: access flag, permission. Only an access that is granted marks the leaf.
 */
#ifndef UI_PGTABLE_WALK_H
#define UI_PGTABLE_WALK_H

#include "pgtable/fmt.h"

#define UI_PT_RIGHTS (UI_PROT_READ | UI_PROT_WRITE | UI_PROT_EXEC)

/* Where entries are read: @mem, or with @mem NULL directly at pa + @delta. */
struct ui_pt_reader {
	const struct ui_walk_mem *mem;
	uintptr_t delta;
};

/* Somebody who rewrites an entry of his own table as fast as it is marked gets an abort, not a walk without end. */
#define UI_PT_FOREIGN_TRIES 64u

UI_ALWAYS_INLINE enum ui_walk_status ui_pt_read(const struct ui_pt_reader *rd, u64 addr, u64 *entry)
{
	if (rd->mem)
		return rd->mem->load(rd->mem->arg, addr, entry);
	*entry = ui_pt_load((const u64 *)(addr + rd->delta));
	return UI_WALK_OK;
}

UI_ALWAYS_INLINE enum ui_walk_status ui_pt_mark(const struct ui_pt_reader *rd, u64 addr, u64 expected, u64 desired,
						bool *done)
{
	if (rd->mem)
		return rd->mem->cmpxchg(rd->mem->arg, addr, expected, desired, done);
	*done = ui_pt_cas((u64 *)(addr + rd->delta), &expected, desired);
	return UI_WALK_OK;
}

UI_ALWAYS_INLINE bool ui_pt_in_range(const struct ui_pt_fmt *f, const struct ui_walk_cfg *c, u64 iova)
{
	if (f->upper_half && c->upper)
		iova = ~iova;
	if (c->sign_extend) {
		unsigned spare = 64u - c->ia_bits;

		return (u64)((s64)(iova << spare) >> spare) == iova;
	}
	return !(iova & ~ui_mask_lg2(c->ia_bits));
}

/* What a foreign entry may not be, beyond absent. */
UI_ALWAYS_INLINE enum ui_walk_status ui_pt_vet(const struct ui_pt_fmt *f, const struct ui_walk_cfg *c, u64 entry,
					       unsigned level, enum ui_pt_kind kind)
{
	u64 pa = kind == UI_PT_TABLE ? f->table_pa(c, entry) : f->leaf_oa(c, entry, level);

	if ((entry & c->reserved) || (f->reserved && f->reserved(c, entry, level, kind)))
		return UI_WALK_RESERVED;
	return pa & ~ui_mask_lg2(c->oa_bits) ? UI_WALK_ADDR_SIZE : UI_WALK_OK;
}

/* May @access go through @leaf, and what does the leaf become by it? */
UI_ALWAYS_INLINE enum ui_walk_status ui_pt_judge(const struct ui_pt_fmt *f, const struct ui_walk_cfg *c, u64 leaf,
						 unsigned prot, unsigned access, u64 *marked)
{
	unsigned want = access & UI_PT_RIGHTS;

	*marked = leaf;
	if (!want)
		return UI_WALK_OK;
	if (f->access_fault && !c->set_accessed && !c->no_access_fault && !f->accessed(leaf))
		return UI_WALK_ACCESS;
	if ((want & ~prot) || (prot & ~access & UI_PROT_PRIV))
		return UI_WALK_PERMISSION;
	if (c->set_accessed)
		*marked = f->set_accessed(*marked);
	if (c->set_dirty && (want & UI_PROT_WRITE))
		*marked = f->set_dirty(*marked);
	return UI_WALK_OK;
}

/* Where a walk has got to. */
struct ui_pt_pos {
	u64 table; /* pa of the table at this level */
	u64 rest;  /* what is left of the address below the entries passed so far */
	u64 acc;   /* what they leave of the leaf's rights */
	unsigned tries;
};

/* Looks at one entry. True at the end of the walk, with *@status and @out; else @pos is one level down. */
UI_ALWAYS_INLINE bool ui_pt_step(const struct ui_pt_fmt *f, const struct ui_walk_cfg *c, const struct ui_pt_reader *rd,
				 unsigned level, struct ui_pt_pos *pos, unsigned access, struct ui_walk *out,
				 enum ui_walk_status *status)
{
	unsigned lg2 = ui_pt_shift(f, c, level), prot = 0;
	u64 addr = pos->table + (pos->rest >> lg2 << UI_PT_ENTRY_LG2), entry, marked;
	enum ui_pt_kind kind;
	bool done;

	for (;;) {
		*status = ui_pt_read(rd, addr, &entry);
		if (*status != UI_WALK_OK)
			goto refused;
		kind = f->kind(c, entry, level);
		if (ui_unlikely(kind == UI_PT_ABSENT)) {
			*status = UI_WALK_TRANSLATION;
			goto refused;
		}
		if (rd->mem && (*status = ui_pt_vet(f, c, entry, level, kind)) != UI_WALK_OK)
			goto refused;
		if (kind == UI_PT_LEAF) {
			prot = f->grants(c, pos->acc, entry, access);
			*status = ui_pt_judge(f, c, entry, prot, access, &marked);
			if (ui_unlikely(*status != UI_WALK_OK))
				goto refused;
		} else {
			/* Tables of our own are linked with the bit set. */
			bool mark = rd->mem && f->table_accessed && c->set_accessed && (access & UI_PT_RIGHTS);

			marked = mark ? f->set_accessed(entry) : entry;
		}
		if (ui_likely(marked == entry))
			break;
		/* Only onto the very entry that was judged; whatever else stands there now is judged anew. */
		*status = ui_pt_mark(rd, addr, entry, marked, &done);
		if (*status == UI_WALK_OK && !done && rd->mem && ++pos->tries == UI_PT_FOREIGN_TRIES)
			*status = UI_WALK_ABORT;
		if (*status != UI_WALK_OK)
			goto refused;
		entry = marked;
		if (done)
			break;
		prot = 0;
	}
	if (kind == UI_PT_LEAF) {
		*out = (struct ui_walk){
			.oa = f->leaf_oa(c, entry, level) | (pos->rest & (UI_BIT(lg2) - 1)),
			.leaf_lg2 = (u8)lg2,
			.level = (u8)level,
			.dirty = !c->set_dirty || !f->clean(entry),
			.prot = (u8)prot,
			.memattr = f->memattr(entry, level),
		};
		return true;
	}
	pos->acc = f->fold(c, pos->acc, entry);
	pos->table = f->table_pa(c, entry);
	pos->rest &= UI_BIT(lg2) - 1;
	return false;
refused:
	*out = (struct ui_walk){ .level = (u8)level, .prot = (u8)prot };
	return true;
}

UI_ALWAYS_INLINE struct ui_pt_pos ui_pt_walk_start(const struct ui_pt_fmt *f, const struct ui_walk_cfg *c, u64 iova)
{
	return (struct ui_pt_pos){
		.table = c->top_pa,
		.rest = (iova - ui_pt_base(f, c)) & ui_mask_lg2(ui_pt_shift(f, c, c->top_level) + c->top_lg2),
		.acc = f->fold_start,
	};
}

UI_ALWAYS_INLINE enum ui_walk_status ui_pt_walk_with(const struct ui_pt_fmt *f, const struct ui_walk_cfg *c,
						     const struct ui_pt_reader *rd, u64 iova, unsigned access,
						     struct ui_walk *out)
{
	struct ui_pt_pos pos = ui_pt_walk_start(f, c, iova);
	enum ui_walk_status status = f->range_status;
	unsigned level = c->top_level;

	if (ui_likely(ui_pt_in_range(f, c, iova))) {
		while (!ui_pt_step(f, c, rd, level, &pos, access, out, &status))
			level--;
		return status;
	}
	*out = (struct ui_walk){ .level = (u8)level };
	return status;
}

/* What ui_pt.usual_end is: addresses from 0 on in a table of the common granule and depth. */
UI_ALWAYS_INLINE u64 ui_pt_usual_end(const struct ui_pt_fmt *f, const struct ui_pt *pt)
{
	if (f->max_levels <= 3 || pt->top_level != 3 || pt->cfg.upper ||
	    (f->granule_lg2 ? f->granule_lg2 : pt->cfg.granule_lg2) != UI_PAGE_LG2)
		return 0;
	return UI_BIT(pt->cfg.sign_extend ? pt->cfg.ia_bits - 1 : pt->cfg.ia_bits);
}

/* The walk of those addresses: straight code with the levels as constants. */
UI_ALWAYS_INLINE enum ui_walk_status ui_pt_walk_usual(const struct ui_pt_fmt *f, const struct ui_pt *pt, u64 iova,
						      unsigned access, struct ui_walk *out)
{
	const struct ui_pt_reader rd = { .mem = NULL, .delta = pt->delta };
	struct ui_walk_cfg c = ui_pt_view(pt);
	struct ui_pt_pos pos = { .table = c.top_pa, .rest = iova, .acc = f->fold_start };
	enum ui_walk_status status;

	c.granule_lg2 = UI_PAGE_LG2;
	if (!ui_pt_step(f, &c, &rd, 3, &pos, access, out, &status) &&
	    !ui_pt_step(f, &c, &rd, 2, &pos, access, out, &status) &&
	    !ui_pt_step(f, &c, &rd, 1, &pos, access, out, &status))
		ui_pt_step(f, &c, &rd, 0, &pos, access, out, &status);
	return status;
}

UI_ALWAYS_INLINE enum ui_walk_status ui_pt_walk_own(const struct ui_pt_fmt *f, const struct ui_pt *pt, u64 iova,
						    unsigned access, struct ui_walk *out)
{
	const struct ui_pt_reader rd = { .mem = NULL, .delta = pt->delta };
	struct ui_walk_cfg c = ui_pt_view(pt);

	return ui_pt_walk_with(f, &c, &rd, iova, access, out);
}

/* A configuration that came from a guest may say anything: a walk with it must at least stay within 64 bits. */
UI_ALWAYS_INLINE bool ui_pt_walk_cfg_sane(const struct ui_pt_fmt *f, const struct ui_walk_cfg *c)
{
	unsigned covered;

	if (!f->granule_lg2 && c->granule_lg2 != 12 && c->granule_lg2 != 14 && c->granule_lg2 != 16)
		return false;
	if (c->top_level >= f->max_levels || !c->ia_bits || c->ia_bits > 64)
		return false;
	covered = ui_pt_shift(f, c, c->top_level) + c->top_lg2;
	return covered <= 64 && c->ia_bits <= covered;
}

UI_ALWAYS_INLINE enum ui_walk_status ui_pt_walk_foreign(const struct ui_pt_fmt *f, const struct ui_walk_cfg *c,
							const struct ui_walk_mem *mem, u64 iova, unsigned access,
							struct ui_walk *out, struct ui_walk_at *at)
{
	const struct ui_pt_reader rd = { .mem = mem, .delta = 0 };
	bool from_top = !at->lg2;
	enum ui_walk_status status = UI_WALK_RESERVED;
	struct ui_pt_pos pos;
	unsigned level;

	*out = (struct ui_walk){ .level = c->top_level };
	at->lg2 = 0;
	if (!ui_pt_walk_cfg_sane(f, c))
		return UI_WALK_RESERVED;
	if (ui_unlikely(access & c->refused))
		return UI_WALK_PERMISSION;
	if (!ui_pt_in_range(f, c, iova))
		return f->range_status;
	pos = ui_pt_walk_start(f, c, iova);
	level = c->top_level;
	if (!from_top) {
		level = at->level;
		pos.table = at->table;
		pos.acc = at->acc;
		pos.rest &= ui_mask_lg2(ui_pt_shift(f, c, level) + ui_pt_index_lg2(f, c, level));
	} else if (pos.table & ~ui_mask_lg2(c->oa_bits)) {
		return UI_WALK_ADDR_SIZE;
	}
	while (!ui_pt_step(f, c, &rd, level, &pos, access, out, &status))
		level--;
	/* A TLB must not grant it either. */
	out->prot &= (u8)~(c->refused & UI_PT_RIGHTS);
	*at = (struct ui_walk_at){
		.table = pos.table, .acc = pos.acc, .level = (u8)level,
		.lg2 = (u8)(ui_pt_shift(f, c, level) + ui_pt_index_lg2(f, c, level)),
	};
	return status;
}

#endif
