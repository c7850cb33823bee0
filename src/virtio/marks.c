/* SPDX-License-Identifier: MIT */
#include "virtio/marks.h"
#include "base/alloc.h"
#include "base/bits.h"

#include <errno.h>
#include <string.h>

enum { LG2 = 6, LEAF_LG2 = 2 * LG2, WIDTH = 1 << LG2 };

/* Both kinds of node end where their summary has no bit: an empty one is all zero, and is not kept in the tree. */
struct ui_marks_leaf {
	u64 any; /* bit n: word n has a mark */
	struct {
		u64 first, last;
	} words[WIDTH];
};

struct inner {
	u64 present;
	void *children[WIDTH];
};

struct mark {
	u64 page;
	bool is_first;
};

static unsigned shift_of(unsigned level)
{
	return LEAF_LG2 + LG2 * (level - 1);
}

static unsigned index_of(u64 page, unsigned level)
{
	return (unsigned)(page >> shift_of(level)) & (WIDTH - 1);
}

void ui_marks_init(struct ui_marks *m, u64 last_page)
{
	*m = (struct ui_marks){ .last_page = last_page };
	while (shift_of(m->levels + 1) < 64 && last_page >> shift_of(m->levels + 1))
		m->levels++;
}

/* ---- Finding ---- */

static struct ui_marks_leaf *leaf_at(struct ui_marks *m, u64 page)
{
	void *node = m->root;

	if (m->near && m->near_at == page >> LEAF_LG2)
		return m->near;
	for (unsigned level = m->levels; level && node; level--)
		node = ((struct inner *)node)->children[index_of(page, level)];
	if (node) {
		m->near = node;
		m->near_at = page >> LEAF_LG2;
	}
	return node;
}

/* The first mark of the leaf at or behind @page. */
static bool leaf_next(const struct ui_marks_leaf *leaf, u64 page, struct mark *out)
{
	unsigned word = (unsigned)(page >> LG2) & (WIDTH - 1);
	u64 bits = (leaf->words[word].first | leaf->words[word].last) >> (page & (WIDTH - 1)) << (page & (WIDTH - 1));

	if (!bits) {
		u64 behind = leaf->any & ~ui_mask_lg2(word + 1);

		if (!behind)
			return false;
		word = ui_ffs64(behind);
		bits = leaf->words[word].first | leaf->words[word].last;
	}
	out->page = (page & ~ui_mask_lg2(LEAF_LG2)) | (u64)word << LG2 | ui_ffs64(bits);
	out->is_first = leaf->words[word].first >> ui_ffs64(bits) & 1;
	return true;
}

static bool next_under(const void *node, unsigned level, u64 page, struct mark *out)
{
	const struct inner *inner = node;
	unsigned i;
	u64 behind;

	if (!level)
		return leaf_next(node, page, out);
	i = index_of(page, level);
	if ((inner->present >> i & 1) && next_under(inner->children[i], level - 1, page, out))
		return true;
	behind = inner->present & ~ui_mask_lg2(i + 1);
	if (!behind)
		return false;
	i = ui_ffs64(behind);
	/* No child is empty: it has one. */
	return next_under(inner->children[i], level - 1, (page & ~ui_mask_lg2(shift_of(level) + LG2)) | (u64)i << shift_of(level), out);
}

static bool next_mark(struct ui_marks *m, u64 page, struct mark *out)
{
	const struct ui_marks_leaf *leaf;

	if (page > m->last_page || !m->root)
		return false;
	leaf = leaf_at(m, page);
	return (leaf && leaf_next(leaf, page, out)) || next_under(m->root, m->levels, page, out);
}

bool ui_marks_meets(struct ui_marks *m, u64 first, u64 last)
{
	struct mark mark;

	return first <= last && next_mark(m, first, &mark) && (!mark.is_first || mark.page <= last);
}

bool ui_marks_joins(struct ui_marks *m, u64 page)
{
	struct mark mark;

	return page && next_mark(m, page, &mark) && !mark.is_first;
}

/* ---- Changing ---- */

static void leaf_free(struct ui_marks *m, struct ui_marks_leaf *leaf)
{
	if (m->near == leaf)
		m->near = NULL;
	if (m->spare)
		ui_free(leaf);
	else
		m->spare = leaf;
}

static void node_free(struct ui_marks *m, void *node, unsigned level)
{
	if (level)
		ui_free(node);
	else
		leaf_free(m, node);
}

static void *node_alloc(struct ui_marks *m, unsigned level)
{
	void *node = m->spare;

	if (level)
		return ui_zalloc(sizeof(struct inner));
	if (!node)
		return ui_zalloc(sizeof(struct ui_marks_leaf));
	m->spare = NULL;
	return node;
}

/* Takes the marks in [@first, @last] out of @node. True: it is empty now. */
static bool clear(struct ui_marks *m, void *node, unsigned level, u64 first, u64 last)
{
	struct ui_marks_leaf *leaf = node;
	struct inner *inner = node;
	unsigned from = level ? index_of(first, level) : (unsigned)(first >> LG2) & (WIDTH - 1);
	unsigned to = level ? index_of(last, level) : (unsigned)(last >> LG2) & (WIDTH - 1);
	u64 *summary = level ? &inner->present : &leaf->any;
	unsigned lg2 = level ? shift_of(level) : LG2;

	for (u64 todo = *summary & ui_mask_range(to, from); todo; todo &= todo - 1) {
		unsigned i = ui_ffs64(todo);
		/* What of the range lies there, counted from its own beginning. */
		u64 lo = i == from ? first & ui_mask_lg2(lg2) : 0, hi = i == to ? last & ui_mask_lg2(lg2) : ui_mask_lg2(lg2);

		if (!level) {
			leaf->words[i].first &= ~ui_mask_range((unsigned)hi, (unsigned)lo);
			leaf->words[i].last &= ~ui_mask_range((unsigned)hi, (unsigned)lo);
			if (leaf->words[i].first | leaf->words[i].last)
				continue;
		} else {
			if (!clear(m, inner->children[i], level - 1, lo, hi))
				continue;
			node_free(m, inner->children[i], level - 1);
			inner->children[i] = NULL;
		}
		*summary &= ~UI_BIT(i);
	}
	return !*summary;
}

void ui_marks_remove(struct ui_marks *m, u64 first, u64 last)
{
	if (first > last || !m->root || !clear(m, m->root, m->levels, first, last))
		return;
	node_free(m, m->root, m->levels);
	m->root = NULL;
}

void ui_marks_fini(struct ui_marks *m)
{
	ui_marks_remove(m, 0, m->last_page);
	ui_free(m->spare);
	m->spare = NULL;
}

/* The leaf of @page, made if there is none. On an error the nodes made on the way are empty: prune() takes them. */
static struct ui_marks_leaf *leaf_make(struct ui_marks *m, u64 page)
{
	struct ui_marks_leaf *leaf = leaf_at(m, page);
	void **slot = &m->root;

	if (leaf)
		return leaf;
	for (unsigned level = m->levels;; level--) {
		struct inner *inner;

		if (!*slot)
			*slot = node_alloc(m, level);
		if (!*slot || !level)
			return *slot;
		inner = *slot;
		slot = &inner->children[index_of(page, level)];
	}
}

/*
 * Frees empty nodes, which the summaries do not name, on the ways to two pages. In a node that only one of the ways goes through, the other
 * page names a child at random: that one is not empty, and stays. True: @node is empty.
 */
static bool prune(struct ui_marks *m, void *node, unsigned level, const u64 pages[2])
{
	struct inner *inner = node;

	if (!level)
		return !((struct ui_marks_leaf *)node)->any;
	for (unsigned i = 0; i < 2; i++) {
		void **child = &inner->children[index_of(pages[i], level)];

		if (!*child || !prune(m, *child, level - 1, pages))
			continue;
		node_free(m, *child, level - 1);
		*child = NULL;
	}
	return !inner->present;
}

static void prune_all(struct ui_marks *m, u64 first, u64 last)
{
	if (!m->root || !prune(m, m->root, m->levels, (u64[]){ first, last }))
		return;
	node_free(m, m->root, m->levels);
	m->root = NULL;
}

/* The leaf has a mark: the summaries above it say so. */
static void announce(struct ui_marks *m, u64 page)
{
	void *node = m->root;

	for (unsigned level = m->levels; level; level--) {
		struct inner *inner = node;

		inner->present |= UI_BIT(index_of(page, level));
		node = inner->children[index_of(page, level)];
	}
}

static void mark(struct ui_marks *m, struct ui_marks_leaf *leaf, u64 page, bool is_first)
{
	unsigned word = (unsigned)(page >> LG2) & (WIDTH - 1);
	bool was_empty = !leaf->any;

	*(is_first ? &leaf->words[word].first : &leaf->words[word].last) |= UI_BIT(page & (WIDTH - 1));
	leaf->any |= UI_BIT(word);
	if (was_empty)
		announce(m, page);
}

int ui_marks_add(struct ui_marks *m, u64 first, u64 last)
{
	struct ui_marks_leaf *leaf, *leaf_last;

	if (ui_marks_meets(m, first, last))
		return -EEXIST;
	leaf = leaf_make(m, first);
	leaf_last = leaf ? leaf_make(m, last) : NULL;
	if (!leaf_last) {
		prune_all(m, first, last);
		return -ENOMEM;
	}
	mark(m, leaf, first, true);
	mark(m, leaf_last, last, false);
	return 0;
}
