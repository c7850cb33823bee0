/* SPDX-License-Identifier: MIT */
/* Looking at tables that somebody else wrote, without an access: for tools. No speed is asked for, so nothing is instantiated. */
#include "pgtable/fmt.h"
#include "pgtable/walk.h"

#include <errno.h>

u64 ui_walk_look_start(const struct ui_walk_cfg *cfg)
{
	return ui_pt_instance(cfg->format)->fmt->fold_start;
}

void ui_walk_look(const struct ui_walk_cfg *cfg, unsigned level, u64 entry, u64 acc, unsigned access, struct ui_walk_look *out)
{
	const struct ui_pt_fmt *f = ui_pt_instance(cfg->format)->fmt;
	enum ui_pt_kind kind = f->kind(cfg, entry, level);

	*out = (struct ui_walk_look){
		.entry = entry, .acc = acc, .level = (u8)level, .lg2 = (u8)ui_pt_shift(f, cfg, level), .status = UI_WALK_TRANSLATION,
	};
	if (kind == UI_PT_ABSENT)
		return;
	out->leaf = kind == UI_PT_LEAF;
	out->oa = out->leaf ? f->leaf_oa(cfg, entry, level) : f->table_pa(cfg, entry);
	out->status = ui_pt_vet(f, cfg, entry, level, kind);
	out->accessed = (out->leaf || f->table_accessed) && f->accessed(entry);
	if (out->leaf) {
		out->dirty = f->dirty(entry);
		out->clean = f->clean(entry);
		out->prot = (u8)f->grants(cfg, acc, entry, access);
		out->memattr = f->memattr(entry, level);
	} else {
		out->acc = f->fold(cfg, acc, entry);
	}
}

struct scan {
	const struct ui_pt_fmt *f;
	const struct ui_walk_cfg *cfg;
	const struct ui_walk_mem *mem;
	u64 start, last;
	int (*fn)(void *arg, const struct ui_walk_look *look);
	void *arg;
};

/* Recurses once per level, of which ui_pt_walk_cfg_sane() allows a few. */
static int scan_table(const struct scan *s, u64 table, unsigned level, u64 iova, u64 acc)
{
	unsigned shift = ui_pt_shift(s->f, s->cfg, level);
	u64 n = UI_BIT(ui_pt_index_lg2(s->f, s->cfg, level)), i = s->start > iova ? (s->start - iova) >> shift : 0;
	int ret = 0;

	for (; i < n && iova + (i << shift) <= s->last && ret >= 0; i++) {
		u64 addr = table + (i << UI_PT_ENTRY_LG2), entry = 0;
		enum ui_walk_status status = s->mem->load(s->mem->arg, addr, &entry);
		struct ui_walk_look look;

		ui_walk_look(s->cfg, level, entry, acc, 0, &look);
		if (status != UI_WALK_OK)
			look.status = status;
		else if (look.status == UI_WALK_TRANSLATION)
			continue;
		look.iova = iova + (i << shift);
		look.addr = addr;
		ret = s->fn(s->arg, &look);
		if (ret >= 0 && look.status == UI_WALK_OK && !look.leaf)
			ret = scan_table(s, look.oa, level - 1, look.iova, look.acc);
	}
	return ret < 0 ? ret : 0;
}

int ui_walk_scan(const struct ui_walk_cfg *cfg, const struct ui_walk_mem *mem, u64 start, u64 last,
		 int (*fn)(void *arg, const struct ui_walk_look *look), void *arg)
{
	const struct ui_pt_fmt *f = ui_pt_instance(cfg->format)->fmt;
	const struct scan s = { .f = f, .cfg = cfg, .mem = mem, .start = start, .last = last, .fn = fn, .arg = arg };

	if (!ui_pt_walk_cfg_sane(f, cfg))
		return -EINVAL;
	return scan_table(&s, cfg->top_pa, cfg->top_level, ui_pt_base(f, cfg), f->fold_start);
}
