/* SPDX-License-Identifier: MIT */
#include "pgtable/pgtable.h"

#include "pgtable/fmt.h"
#include "pgtable/scan.h"
#include "pgtable/walk.h"

static const struct ui_pt_instance *const instances[UI_PT_N_FORMATS] = {
	[UI_PT_TOY] = &ui_pt_instance_toy,
	[UI_PT_X86_64] = &ui_pt_instance_x86_64,
	[UI_PT_VTDSS] = &ui_pt_instance_vtdss,
	[UI_PT_ARM_S1] = &ui_pt_instance_arm_s1,
	[UI_PT_ARM_S2] = &ui_pt_instance_arm_s2,
	[UI_PT_MOCK] = &ui_pt_instance_mock,
	[UI_PT_MOCK_HUGE] = &ui_pt_instance_mock_huge,
};

const struct ui_pt_instance *ui_pt_instance(enum ui_pt_format format)
{
	return instances[format];
}

const struct ui_pt_ops *ui_pt_ops(enum ui_pt_format format)
{
	return instances[format]->ops;
}

static struct ui_walk_cfg shape(const struct ui_pt_fmt *f, const struct ui_pt_cfg *cfg)
{
	return (struct ui_walk_cfg){ .granule_lg2 = f->granule_lg2 ? f->granule_lg2 : cfg->granule_lg2 };
}

u64 ui_pt_page_sizes(const struct ui_pt_cfg *cfg)
{
	const struct ui_pt_fmt *f = instances[cfg->format]->fmt;
	const struct ui_walk_cfg c = shape(f, cfg);
	u8 top_level, top_lg2;
	u64 sizes = 0;

	if ((f->granule_lg2 && cfg->granule_lg2 != f->granule_lg2) || (cfg->upper && !f->upper_half) ||
	    !f->geometry(cfg, &top_level, &top_lg2))
		return 0;
	for (unsigned level = 0; level <= top_level && f->leaf_level(c.granule_lg2, level); level++)
		sizes |= ui_pt_size(f, &c, level);
	return sizes;
}

static void *table_alloc(struct ui_pt *pt, u64 n_bytes)
{
	struct ui_pt_pages *pages = pt->cfg.pages;
	void *page = pages->alloc(pages, n_bytes);

	if (!page)
		return NULL;
	/* Table pointers are output addresses: a page beyond them is of no use to this table. */
	if (((uintptr_t)page - pt->delta) & ~ui_mask_lg2(pt->cfg.oa_bits)) {
		pages->free(pages, page, n_bytes);
		return NULL;
	}
	pt->n_table_bytes += n_bytes;
	return page;
}

static void table_free(struct ui_pt *pt, void *page, u64 n_bytes)
{
	pt->cfg.pages->free(pt->cfg.pages, page, n_bytes);
}

static u64 top_bytes(const struct ui_pt *pt)
{
	return UI_BIT(pt->top_lg2 + UI_PT_ENTRY_LG2);
}

int ui_pt_init(struct ui_pt *pt, const struct ui_pt_cfg *cfg)
{
	const struct ui_pt_instance *inst = instances[cfg->format];
	u64 sizes = ui_pt_page_sizes(cfg), smaller;
	void *top;

	if (!sizes)
		return -EINVAL;
	*pt = (struct ui_pt){ .ops = inst->ops, .cfg = *cfg, .delta = cfg->pages->delta };
	inst->fmt->geometry(cfg, &pt->top_level, &pt->top_lg2);
	pt->usual_end = ui_pt_usual_end(inst->fmt, pt);
	if (cfg->page_sizes) {
		/* Without gaps: whoever allows a size allows all below it, so that any leaf can be split. */
		smaller = sizes & ui_mask_lg2(ui_fls64(cfg->page_sizes) + 1);
		if (!smaller || (smaller & ~cfg->page_sizes))
			return -EINVAL;
		sizes = smaller;
	}
	pt->cfg.page_sizes = sizes;
	top = table_alloc(pt, top_bytes(pt));
	if (!top)
		return -ENOMEM;
	pt->top_pa = ui_pt_pa(pt, top);
	return 0;
}

void ui_pt_gather_free(struct ui_pt *pt, struct ui_pt_gather *g)
{
	const struct ui_pt_fmt *f = instances[pt->cfg.format]->fmt;
	const struct ui_walk_cfg c = ui_pt_view(pt);
	u64 *table = g->first, *next;

	for (; table; table = next) {
		next = (u64 *)(uintptr_t)*table;
		table_free(pt, table, ui_pt_table_bytes(f, &c));
	}
	*g = (struct ui_pt_gather){ .first = NULL };
}

void ui_pt_fini(struct ui_pt *pt)
{
	struct ui_pt_gather g = { .first = NULL };

	/* Covers every leaf whole, so that it splits nothing and cannot fail. */
	pt->ops->unmap(pt, 0, ~(u64)0, UI_PT_SPLIT, &g);
	ui_pt_gather_free(pt, &g);
	table_free(pt, ui_pt_host(pt, pt->top_pa), top_bytes(pt));
	*pt = (struct ui_pt){ .ops = NULL };
}

int ui_pt_pool_fill(struct ui_pt *pt, struct ui_pt_pool *pool, u64 n, u64 table_bytes)
{
	u64 *page;

	while (n--) {
		page = table_alloc(pt, table_bytes);
		if (!page) {
			while (pool->first) {
				table_free(pt, ui_pt_pool_take(pool), table_bytes);
				pt->n_table_bytes -= table_bytes;
			}
			return -ENOMEM;
		}
		*page = (u64)(uintptr_t)pool->first;
		pool->first = page;
	}
	return 0;
}

u64 *ui_pt_pool_take(struct ui_pt_pool *pool)
{
	u64 *page = pool->first;

	ui_assert(page);
	pool->first = (u64 *)(uintptr_t)*page;
	*page = 0;
	return page;
}

void ui_pt_walk_cfg(const struct ui_pt *pt, struct ui_walk_cfg *out)
{
	*out = ui_pt_view(pt);
}

enum ui_walk_status ui_walk_table(const struct ui_walk_cfg *cfg, const struct ui_walk_mem *mem, u64 iova, unsigned access,
				  struct ui_walk *out)
{
	struct ui_walk_at at = { .lg2 = 0 };

	return instances[cfg->format]->walk_table(cfg, mem, iova, access, out, &at);
}

enum ui_walk_status ui_walk_table_at(const struct ui_walk_cfg *cfg, const struct ui_walk_mem *mem, u64 iova, unsigned access,
				     struct ui_walk *out, struct ui_walk_at *at)
{
	return instances[cfg->format]->walk_table(cfg, mem, iova, access, out, at);
}

struct dump {
	const struct ui_pt_fmt *f;
	const struct ui_pt *pt;
	struct ui_walk_cfg c;
	int (*fn)(void *arg, const struct ui_pt_dump_entry *entry);
	void *arg;
};

/* Recurses at most UI_PT_MAX_LEVELS deep. */
static int dump_table(const struct dump *d, const u64 *table, unsigned level, u64 iova, u64 acc)
{
	unsigned shift = ui_pt_shift(d->f, &d->c, level);
	int ret = 0;

	for (u64 i = 0; i < UI_BIT(ui_pt_index_lg2(d->f, &d->c, level)) && ret >= 0; i++) {
		u64 raw = ui_pt_load(table + i);
		enum ui_pt_kind kind = d->f->kind(&d->c, raw, level);
		bool leaf = kind == UI_PT_LEAF;
		struct ui_pt_dump_entry entry = {
			.iova = iova + (i << shift), .entry = raw, .level = (u8)level, .lg2 = (u8)shift, .leaf = leaf,
		};

		if (kind == UI_PT_ABSENT)
			continue;
		entry.oa = leaf ? d->f->leaf_oa(&d->c, raw, level) : d->f->table_pa(&d->c, raw);
		entry.accessed = (leaf || d->f->table_accessed) && d->f->accessed(raw);
		if (leaf) {
			entry.dirty = d->f->dirty(raw);
			entry.prot = (u8)d->f->grants(&d->c, acc, raw, 0);
		}
		ret = d->fn(d->arg, &entry);
		if (ret >= 0 && !leaf)
			ret = dump_table(d, ui_pt_host(d->pt, entry.oa), level - 1, entry.iova, d->f->fold(&d->c, acc, raw));
	}
	return ret < 0 ? ret : 0;
}

int ui_pt_dump_with(const struct ui_pt_fmt *f, const struct ui_pt *pt,
		    int (*fn)(void *arg, const struct ui_pt_dump_entry *entry), void *arg)
{
	const struct dump d = { .f = f, .pt = pt, .c = ui_pt_view(pt), .fn = fn, .arg = arg };

	return dump_table(&d, ui_pt_host(pt, pt->top_pa), pt->top_level, ui_pt_base(f, &d.c), f->fold_start);
}
