/* SPDX-License-Identifier: MIT */
/* A treap: a search tree by start, a heap by a random priority; expected depth is logarithmic whatever is inserted. */
#include "base/ivm.h"

static bool before(const struct ui_ivm_node *a, const struct ui_ivm_node *b)
{
	return a->start != b->start ? a->start < b->start : (uintptr_t)a < (uintptr_t)b;
}

static void update(struct ui_ivm_node *node)
{
	node->max = node->last;
	if (node->left && node->left->max > node->max)
		node->max = node->left->max;
	if (node->right && node->right->max > node->max)
		node->max = node->right->max;
}

/* Elements of @tree before @key go to *@left, the others to *@right. */
static void split(struct ui_ivm_node *tree, const struct ui_ivm_node *key, struct ui_ivm_node **left, struct ui_ivm_node **right)
{
	if (!tree) {
		*left = *right = NULL;
		return;
	}
	if (before(tree, key)) {
		split(tree->right, key, &tree->right, right);
		*left = tree;
	} else {
		split(tree->left, key, left, &tree->left);
		*right = tree;
	}
	update(tree);
}

/* Everything in @left comes before everything in @right. */
static struct ui_ivm_node *join(struct ui_ivm_node *left, struct ui_ivm_node *right)
{
	if (!left || !right)
		return left ? left : right;
	if (left->prio > right->prio) {
		left->right = join(left->right, right);
		update(left);
		return left;
	}
	right->left = join(left, right->left);
	update(right);
	return right;
}

static struct ui_ivm_node *insert(struct ui_ivm_node *tree, struct ui_ivm_node *node)
{
	if (!tree || node->prio > tree->prio) {
		split(tree, node, &node->left, &node->right);
		update(node);
		return node;
	}
	if (before(node, tree))
		tree->left = insert(tree->left, node);
	else
		tree->right = insert(tree->right, node);
	update(tree);
	return tree;
}

void ui_ivm_insert(struct ui_ivm *ivm, struct ui_ivm_node *node)
{
	/* splitmix64 */
	u64 x = ivm->seed += 0x9e3779b97f4a7c15;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	node->prio = x ^ x >> 31;
	node->left = node->right = NULL;
	ivm->root = insert(ivm->root, node);
}

static struct ui_ivm_node *erase(struct ui_ivm_node *tree, const struct ui_ivm_node *node)
{
	ui_assert(tree);
	if (tree == node)
		return join(tree->left, tree->right);
	if (before(node, tree))
		tree->left = erase(tree->left, node);
	else
		tree->right = erase(tree->right, node);
	update(tree);
	return tree;
}

void ui_ivm_erase(struct ui_ivm *ivm, struct ui_ivm_node *node)
{
	ivm->root = erase(ivm->root, node);
}

static struct ui_ivm_node *next(struct ui_ivm_node *tree, u64 start, u64 last, const struct ui_ivm_node *after)
{
	struct ui_ivm_node *found = NULL;

	if (!tree || tree->max < start)
		return NULL;
	if (after && !before(after, tree))
		return next(tree->right, start, last, after);
	found = next(tree->left, start, last, after);
	if (found || tree->start > last)
		return found;
	return tree->last >= start ? tree : next(tree->right, start, last, after);
}

struct ui_ivm_node *ui_ivm_next(const struct ui_ivm *ivm, u64 start, u64 last, const struct ui_ivm_node *after)
{
	return next(ivm->root, start, last, after);
}
