/* SPDX-License-Identifier: MIT */
/*
 * A radix tree of 64-way nodes. Each node has one bit per slot that says "nothing free in here", so the lowest free number is
 * found by one count of trailing ones per level.
 */
#include "base/ids.h"
#include "base/alloc.h"

#include <errno.h>

enum { SLOTS_LG2 = 6, SLOTS = 1 << SLOTS_LG2, MAX_LEVELS = 6 };

struct ui_ids_node {
	u64 full;          /* lowest level: taken; above: no free number under it */
	unsigned n_used;   /* slots that are not NULL */
	void *slots[SLOTS]; /* objects or marks; above the lowest level: nodes */
};

/* What a slot holds in place of an object: addresses that no object has. */
static char mark_reserved, mark_tombstone;

struct path {
	struct ui_ids_node *node[MAX_LEVELS]; /* [0]: the lowest level */
};

static unsigned slot_of(u64 index, unsigned level)
{
	return (unsigned)(index >> (level * SLOTS_LG2)) & (SLOTS - 1);
}

void ui_ids_init(struct ui_ids *ids, u32 last)
{
	ui_assert(last <= UI_IDS_LAST);
	*ids = (struct ui_ids){ .last = last };
}

static void node_free(struct ui_ids_node *node, unsigned level)
{
	for (unsigned i = 0; level && i < SLOTS; i++) {
		if (node->slots[i])
			node_free(node->slots[i], level - 1);
	}
	ui_free(node);
}

void ui_ids_fini(struct ui_ids *ids)
{
	if (ids->root)
		node_free(ids->root, ids->levels - 1);
	ui_ids_init(ids, ids->last);
}

/* One more level on top when everything below is taken. */
static int grow(struct ui_ids *ids)
{
	struct ui_ids_node *root;

	if (ids->root && ids->root->full != ~(u64)0)
		return 0;
	if (ids->levels == MAX_LEVELS)
		return -ENOSPC;
	root = ui_zalloc(sizeof(*root));
	if (!root)
		return -ENOMEM;
	if (ids->root) {
		root->slots[0] = ids->root;
		root->n_used = 1;
		root->full = 1;
	}
	ids->root = root;
	ids->levels++;
	return 0;
}

/* Frees nodes of @path that have become empty, from the lowest level up. */
static void prune(struct ui_ids *ids, struct path *path, u64 index)
{
	for (unsigned level = 0; level < ids->levels && !path->node[level]->n_used; level++) {
		ui_free(path->node[level]);
		if (level + 1 == ids->levels) {
			ui_ids_init(ids, ids->last);
			return;
		}
		path->node[level + 1]->slots[slot_of(index, level + 1)] = NULL;
		path->node[level + 1]->n_used--;
	}
}

static void take(struct ui_ids *ids, struct path *path, u64 index)
{
	path->node[0]->slots[slot_of(index, 0)] = &mark_reserved;
	path->node[0]->n_used++;
	for (unsigned level = 0; level < ids->levels; level++) {
		path->node[level]->full |= (u64)1 << slot_of(index, level);
		if (path->node[level]->full != ~(u64)0)
			break;
	}
}

int ui_ids_reserve(struct ui_ids *ids, u32 *id)
{
	struct path path;
	u64 index = 0;
	int ret = grow(ids);

	if (ret)
		return ret;
	path.node[ids->levels - 1] = ids->root;
	for (unsigned level = ids->levels; level-- > 0;) {
		struct ui_ids_node *node = path.node[level];
		unsigned slot = (unsigned)__builtin_ctzll(~node->full);

		index |= (u64)slot << (level * SLOTS_LG2);
		if (!level || index >= ids->last)
			break;
		if (!node->slots[slot]) {
			node->slots[slot] = ui_zalloc(sizeof(*node));
			if (!node->slots[slot])
				return -ENOMEM;
			node->n_used++;
		}
		path.node[level - 1] = node->slots[slot];
	}
	if (index >= ids->last)
		return -ENOSPC;
	take(ids, &path, index);
	*id = (u32)index + 1;
	return 0;
}

/* The slot of @id, or NULL when no node has it. */
static void **slot_find(const struct ui_ids *ids, u32 id, struct path *path)
{
	struct ui_ids_node *node = ids->root;
	u64 index = (u64)id - 1;

	if (!id || !node || index >> (ids->levels * SLOTS_LG2))
		return NULL;
	for (unsigned level = ids->levels - 1;; level--) {
		path->node[level] = node;
		if (!level)
			return &node->slots[slot_of(index, 0)];
		node = node->slots[slot_of(index, level)];
		if (!node)
			return NULL;
	}
}

void ui_ids_finalize(struct ui_ids *ids, u32 id, void *obj)
{
	struct path path;
	void **slot = slot_find(ids, id, &path);

	ui_assert(obj && slot && *slot == &mark_reserved);
	*slot = obj;
}

void ui_ids_free(struct ui_ids *ids, u32 id)
{
	struct path path;
	void **slot = slot_find(ids, id, &path);
	u64 index = (u64)id - 1;

	ui_assert(slot && *slot && *slot != &mark_tombstone);
	*slot = NULL;
	path.node[0]->n_used--;
	for (unsigned level = 0; level < ids->levels; level++)
		path.node[level]->full &= ~((u64)1 << slot_of(index, level));
	prune(ids, &path, index);
}

void ui_ids_bury(struct ui_ids *ids, u32 id)
{
	struct path path;
	void **slot = slot_find(ids, id, &path);

	ui_assert(slot && *slot);
	*slot = &mark_tombstone;
}

static void *object(void *slot)
{
	return slot == &mark_reserved || slot == &mark_tombstone ? NULL : slot;
}

void *ui_ids_find(const struct ui_ids *ids, u32 id)
{
	struct path path;
	void **slot = slot_find(ids, id, &path);

	return slot ? object(*slot) : NULL;
}

/* The first object under @node with an index of at least *@index, which becomes its index. */
static void *next_in(const struct ui_ids_node *node, unsigned level, u64 *index)
{
	unsigned first = slot_of(*index, level), shift = level * SLOTS_LG2;
	u64 base = *index >> shift >> SLOTS_LG2 << SLOTS_LG2 << shift;

	for (unsigned i = first; i < SLOTS; i++) {
		void *found = NULL;

		if (i > first)
			*index = base | (u64)i << shift;
		if (node->slots[i])
			found = level ? next_in(node->slots[i], level - 1, index) : object(node->slots[i]);
		if (found)
			return found;
	}
	return NULL;
}

void *ui_ids_next(const struct ui_ids *ids, u32 *id)
{
	u64 index = *id; /* of the number after *@id */
	void *found;

	if (!ids->root || index >> (ids->levels * SLOTS_LG2))
		return NULL;
	found = next_in(ids->root, ids->levels - 1, &index);
	if (found)
		*id = (u32)index + 1;
	return found;
}
