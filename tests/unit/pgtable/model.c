/* SPDX-License-Identifier: MIT */
/* A sorted array of the leaves that a table must have, kept by rules written down a second time, and its comparison. */
#include "common.h"

static u64 leaf_last(const struct model_leaf *l)
{
	return l->start + UI_BIT(l->lg2) - 1;
}

void model_init(struct model *m, const struct ui_pt_cfg *cfg, const struct ui_pt *pt)
{
	unsigned granule = cfg->granule_lg2, stride = granule - 3u;

	if (cfg->format == UI_PT_TOY || cfg->format == UI_PT_MOCK)
		stride = 1;
	else if (cfg->format == UI_PT_MOCK_HUGE)
		stride = 8;
	*m = (struct model){ .cfg = cfg, .n_levels = pt->top_level + 1u, .table_bytes = UI_BIT(stride + 3) };
	m->top_bytes = UI_BIT(pt->top_lg2 + 3);
	m->sizes = cfg->page_sizes ? cfg->page_sizes : ui_pt_page_sizes(cfg);
	for (unsigned l = 0; l < m->n_levels; l++)
		m->shift[l] = granule + l * stride;
}

void model_fini(struct model *m)
{
	free(m->leaf);
	*m = (struct model){ .n = 0 };
}

void model_copy(struct model *to, const struct model *from)
{
	struct model_leaf *room = to->leaf;
	size_t n = to->room;

	if (n < from->n) {
		n = from->n;
		room = realloc(room, n * sizeof(*room));
	}
	*to = *from;
	to->leaf = room;
	to->room = n;
	if (from->n)
		memcpy(room, from->leaf, from->n * sizeof(*room));
}

/* First leaf that ends at or after @at. */
static size_t seek(const struct model *m, u64 at)
{
	size_t lo = 0, hi = m->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (leaf_last(&m->leaf[mid]) < at)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct model_leaf *model_find(const struct model *m, u64 at)
{
	size_t i = seek(m, at);

	return i < m->n && m->leaf[i].start <= at ? &m->leaf[i] : NULL;
}

/* Room for @n leaves before the @i-th. */
static struct model_leaf *insert(struct model *m, size_t i, size_t n)
{
	if (m->n + n > m->room) {
		m->room = 2 * (m->n + n);
		m->leaf = realloc(m->leaf, m->room * sizeof(*m->leaf));
	}
	memmove(&m->leaf[i + n], &m->leaf[i], (m->n - i) * sizeof(*m->leaf));
	m->n += n;
	return &m->leaf[i];
}

unsigned model_leaf_lg2(u64 sizes, u64 iova, u64 last, u64 oa, u64 at)
{
	for (unsigned lg2 = 63; lg2 > 0; lg2--) {
		u64 first = ui_align_down(at, UI_BIT(lg2));

		if ((sizes >> lg2 & 1) && first >= iova && first + UI_BIT(lg2) - 1 <= last && ui_is_aligned(oa + first - iova, UI_BIT(lg2)))
			return lg2;
	}
	return 0;
}

int model_map(struct model *m, u64 iova, u64 oa, u64 length, unsigned prot)
{
	u64 last = iova + length - 1;
	size_t i = seek(m, iova);

	if (i < m->n && m->leaf[i].start <= last)
		return -EEXIST;
	for (u64 at = iova; at <= last;) {
		unsigned lg2 = model_leaf_lg2(m->sizes, iova, last, oa, at);

		*insert(m, i++, 1) = (struct model_leaf){ .start = at, .oa = oa + (at - iova), .lg2 = lg2, .prot = prot };
		at += UI_BIT(lg2);
	}
	return 0;
}

/* The leaf of @level's size becomes leaves one level down, and so on until @at is a boundary. */
static void cut(struct model *m, u64 at)
{
	struct model_leaf *l;

	while ((l = model_find(m, at)) && l->start != at) {
		struct model_leaf old = *l;
		unsigned level = 0, n_lg2;

		while (m->shift[level] < old.lg2)
			level++;
		n_lg2 = old.lg2 - m->shift[level - 1];
		l = insert(m, (size_t)(l - m->leaf), UI_BIT(n_lg2) - 1);
		for (u64 i = 0; i < UI_BIT(n_lg2); i++) {
			l[i] = old;
			l[i].lg2 = m->shift[level - 1];
			l[i].start = old.start + (i << l[i].lg2);
			l[i].oa = old.oa + (i << l[i].lg2);
		}
	}
}

static bool cuts(const struct model *m, u64 at)
{
	const struct model_leaf *l = model_find(m, at);

	return l && l->start != at;
}

s64 model_unmap(struct model *m, u64 start, u64 last, enum ui_pt_partial partial)
{
	size_t i, n;
	s64 removed = 0;

	if (partial == UI_PT_REFUSE && (cuts(m, start) || cuts(m, last + 1)))
		return -EBUSY;
	cut(m, start);
	cut(m, last + 1);
	i = seek(m, start);
	for (n = 0; i + n < m->n && m->leaf[i + n].start <= last; n++)
		removed += (s64)UI_BIT(m->leaf[i + n].lg2);
	if (n)
		memmove(&m->leaf[i], &m->leaf[i + n], (m->n - i - n) * sizeof(*m->leaf));
	m->n -= n;
	return removed;
}

int model_repoint(struct model *m, u64 start, u64 last, u64 oa)
{
	cut(m, start);
	cut(m, last + 1);
	for (size_t i = seek(m, start); i < m->n && m->leaf[i].start <= last; i++) {
		/* Too large for the new alignment: boundaries down to a size that fits. */
		while (!ui_is_aligned(oa + m->leaf[i].start - start, UI_BIT(m->leaf[i].lg2))) {
			unsigned level = 0;

			while (m->shift[level + 1] < m->leaf[i].lg2)
				level++;
			cut(m, m->leaf[i].start + UI_BIT(m->shift[level]));
		}
		m->leaf[i].oa = oa + m->leaf[i].start - start;
	}
	return 0;
}

/* One table for each level and each span of it that holds a smaller leaf. */
u64 model_table_bytes(const struct model *m)
{
	u64 bytes = m->top_bytes;

	for (unsigned level = 1; level < m->n_levels; level++) {
		u64 seen = ~(u64)0;

		for (size_t i = 0; i < m->n; i++) {
			u64 span = m->leaf[i].start >> m->shift[level];

			if (m->leaf[i].lg2 < m->shift[level] && span != seen) {
				bytes += m->table_bytes;
				seen = span;
			}
		}
	}
	return bytes;
}

struct compare {
	const struct model *m;
	size_t i;
	u64 n_tables;
};

static int compare_entry(void *arg, const struct ui_pt_dump_entry *e)
{
	struct compare *cmp = arg;
	const struct model_leaf *l;

	if (!e->leaf) {
		cmp->n_tables++;
		return 0;
	}
	assert_true(cmp->i < cmp->m->n);
	l = &cmp->m->leaf[cmp->i++];
	if (e->iova != l->start || e->lg2 != l->lg2)
		fail_msg("leaf %zu is at %#llx size 2^%u, not %#llx size 2^%u", cmp->i - 1, (unsigned long long)e->iova, e->lg2,
			 (unsigned long long)l->start, l->lg2);
	if (e->oa != l->oa)
		fail_msg("leaf at %#llx goes to %#llx, not %#llx", (unsigned long long)e->iova, (unsigned long long)e->oa,
			 (unsigned long long)l->oa);
	assert_int_equal(e->prot, test_grants(cmp->m->cfg->format, l->prot, 0));
	assert_true(e->accessed);
	if (cmp->m->cfg->dirty_track)
		assert_int_equal(e->dirty, l->dirty);
	return 0;
}

void check_table(struct ui_pt *pt, const struct model *m)
{
	struct compare cmp = { .m = m };

	assert_int_equal(pt->ops->dump(pt, compare_entry, &cmp), 0);
	assert_int_equal(cmp.i, m->n);
	assert_int_equal(pt->n_table_bytes, model_table_bytes(m));
	assert_int_equal(m->top_bytes + cmp.n_tables * m->table_bytes, pt->n_table_bytes);
}

static enum ui_walk_status mem_load(void *arg, u64 addr, u64 *entry)
{
	*entry = ui_pt_load((const u64 *)(addr + (uintptr_t)arg));
	return UI_WALK_OK;
}

static enum ui_walk_status mem_cmpxchg(void *arg, u64 addr, u64 expected, u64 desired, bool *swapped)
{
	*swapped = ui_pt_cas((u64 *)(addr + (uintptr_t)arg), &expected, desired);
	return UI_WALK_OK;
}

struct ui_walk_mem test_walk_mem(const struct ui_pt *pt)
{
	return (struct ui_walk_mem){ .load = mem_load, .cmpxchg = mem_cmpxchg, .arg = (void *)pt->delta };
}

static void check_same(const struct ui_walk *a, const struct ui_walk *b)
{
	assert_int_equal(a->oa, b->oa);
	assert_int_equal(a->leaf_lg2, b->leaf_lg2);
	assert_int_equal(a->level, b->level);
	assert_int_equal(a->dirty, b->dirty);
	assert_int_equal(a->prot, b->prot);
	assert_int_equal(a->memattr, b->memattr);
}

void check_access(const struct ui_pt *pt, struct model *m, u64 iova, unsigned access)
{
	const struct ui_walk_mem mem = test_walk_mem(pt);
	struct model_leaf *l = model_find(m, iova);
	enum ui_walk_status expect = UI_WALK_OK, own, foreign;
	unsigned want = access & (UI_PROT_READ | UI_PROT_WRITE | UI_PROT_EXEC);
	unsigned prot = l ? test_grants(m->cfg->format, l->prot, access) : 0;
	struct ui_walk_cfg cfg;
	struct ui_walk a, b;

	ui_pt_walk_cfg(pt, &cfg);
	if (!l)
		expect = UI_WALK_TRANSLATION;
	else if (want && ((want & ~prot) || (prot & ~access & UI_PROT_PRIV)))
		expect = UI_WALK_PERMISSION;
	own = pt->ops->walk(pt, iova, access, &a);
	foreign = test_walk_table(&cfg, &mem, iova, access, &b);
	assert_int_equal(own, expect);
	assert_int_equal(foreign, expect);
	check_same(&a, &b);
	if (l)
		assert_int_equal(a.prot, prot);
	if (expect != UI_WALK_OK)
		return;
	if (want & UI_PROT_WRITE)
		l->dirty = true;
	assert_int_equal(a.oa, l->oa + (iova - l->start));
	assert_int_equal(a.leaf_lg2, l->lg2);
	if (!m->cfg->dirty_track)
		assert_true(a.dirty);
	else if (prot & UI_PROT_WRITE)
		assert_int_equal(a.dirty, l->dirty);
}

void check_lookup(const struct ui_pt *pt, const struct model *m, u64 iova)
{
	struct model copy = *m; /* shares the leaves, of which a look-up changes none */

	check_access(pt, &copy, iova, 0);
}
