/* SPDX-License-Identifier: MIT */
/*
 * Leaves hold intervals; inner nodes hold, for each child, its first start, its last end, and the sizes of the largest gaps
 * between two intervals below it, one size for each class of alignment. The gap between two children belongs to their parent.
 *
 * Full nodes are split on the way down, so that a failed allocation leaves a valid tree, and an insertion never has to go back
 * up to make room. Neighbours that fit into one node with room to spare are merged on the way back from an erase.
 */
#include "base/ivl.h"
#include "base/alloc.h"

#include <errno.h>
#include <string.h>

/* Alignment classes: 1 byte, then 4 KiB to 2 MiB; larger ones use the last and look closer. */
enum { LEAF_MAX = 31, INNER_MAX = 24, CLASS_FIRST_LG2 = 12, CLASS_LAST_LG2 = 21, N_CLASSES = CLASS_LAST_LG2 - CLASS_FIRST_LG2 + 2,
       ALL_CLASSES = (1 << N_CLASSES) - 1 };

struct ui_ivl_node {
	u16 n;
	u16 level; /* 0: a leaf */
};

struct leaf {
	struct ui_ivl_node node;
	u64 start[LEAF_MAX], last[LEAF_MAX];
	void *ptr[LEAF_MAX];
};

/* What a parent knows of a child. */
struct sum {
	u64 start, last;
	u64 gap[N_CLASSES];
};

struct inner {
	struct ui_ivl_node node;
	u64 start[INNER_MAX]; /* sum[].start again, close together for the search */
	struct ui_ivl_node *child[INNER_MAX];
	struct sum sum[INNER_MAX];
};

/* Empty when @start > @last, which gaps between intervals never are otherwise. */
struct gap {
	u64 start, last;
};

static const struct gap no_gap = { 1, 0 };

/* The gaps directly in a node that a change removed and made. */
struct change {
	struct gap gone[2], came[2];
};

struct edit {
	enum { INSERT, ERASE, SET_LAST } op;
	u64 start, last;
	void *ptr;
};

static struct leaf *to_leaf(const struct ui_ivl_node *node)
{
	return ui_container_of(node, struct leaf, node);
}

static struct inner *to_inner(const struct ui_ivl_node *node)
{
	return ui_container_of(node, struct inner, node);
}

static unsigned node_max(const struct ui_ivl_node *node)
{
	return node->level ? INNER_MAX : LEAF_MAX;
}

/* Index of the last element that is not above @key; 0 when all are. */
static unsigned find_slot(const u64 *start, unsigned n, u64 key)
{
	unsigned low = 0;

	while (n > 1) {
		unsigned half = n / 2;

		low = start[low + half] <= key ? low + half : low;
		n -= half;
	}
	return low;
}

static unsigned class_lg2(unsigned class)
{
	return class ? CLASS_FIRST_LG2 + class - 1 : 0;
}

/* Sizes up to this one count as none: who wants so little uses a finer class. It spares a look at small gaps in every class. */
static u64 class_min(unsigned class)
{
	return class ? (u64)1 << (class_lg2(class) - 1) : 0;
}

/* The coarsest class that decides for @want. */
static unsigned class_of(const struct ui_ivl_want *want)
{
	unsigned lg2 = (unsigned)__builtin_ctzll(want->align), class = 0;

	while (class + 1 < N_CLASSES && class_lg2(class + 1) <= lg2 && want->length > class_min(class + 1))
		class++;
	return class;
}

/* Bytes of the gap from its first aligned address on; fits in 64 bits, since an interval lies on either side. */
static u64 gap_size(struct gap gap, unsigned class)
{
	u64 mask = ((u64)1 << class_lg2(class)) - 1, start = (gap.start + mask) & ~mask, size;

	if (gap.start > gap.last || start < gap.start || start > gap.last)
		return 0;
	size = gap.last - start + 1;
	return size > class_min(class) ? size : 0;
}

/* Between an interval that ends at @last and the next, which starts at @start. */
static struct gap between(u64 last, u64 start)
{
	return start - last > 1 ? (struct gap){ last + 1, start - 1 } : no_gap;
}

static u64 largest(u64 a, u64 b)
{
	return a > b ? a : b;
}

/* Takes @gap, and what a child knows (@below, may be NULL), into @largest_gap of the @classes. Returns the smallest of those. */
static u64 take_gap(u64 *largest_gap, u32 classes, struct gap gap, const struct sum *below)
{
	u64 low = ~(u64)0;

	for (unsigned class = 0; class < N_CLASSES; class++) {
		if (!(classes >> class & 1))
			continue;
		largest_gap[class] = largest(largest_gap[class], gap_size(gap, class));
		if (below)
			largest_gap[class] = largest(largest_gap[class], below->gap[class]);
		if (largest(largest_gap[class], class_min(class)) < low)
			low = largest(largest_gap[class], class_min(class));
	}
	return low;
}

/*
 * Looks through @node for gaps larger than those in @largest_gap, of the @classes (a bit for each). No gap is larger when aligned:
 * one comparison passes over what cannot count in any class.
 */
static void find_largest(const struct ui_ivl_node *node, u64 *largest_gap, u32 classes)
{
	u64 low = take_gap(largest_gap, classes, no_gap, NULL);

	if (!node->level) {
		const struct leaf *leaf = to_leaf(node);

		for (unsigned i = 1; i < node->n; i++) {
			if (leaf->start[i] - leaf->last[i - 1] - 1 > low)
				low = take_gap(largest_gap, classes, between(leaf->last[i - 1], leaf->start[i]), NULL);
		}
		return;
	}
	for (unsigned i = 0; i < node->n; i++) {
		const struct sum *sum = &to_inner(node)->sum[i];

		if (sum->gap[0] > low || (i && sum->start - sum[-1].last - 1 > low))
			low = take_gap(largest_gap, classes, i ? between(sum[-1].last, sum->start) : no_gap, sum);
	}
}

static void set_ends(struct sum *sum, const struct ui_ivl_node *node)
{
	if (node->level) {
		sum->start = to_inner(node)->sum[0].start;
		sum->last = to_inner(node)->sum[node->n - 1].last;
	} else {
		sum->start = to_leaf(node)->start[0];
		sum->last = to_leaf(node)->last[node->n - 1];
	}
}

static void set_sum(struct sum *sum, const struct ui_ivl_node *node)
{
	set_ends(sum, node);
	memset(sum->gap, 0, sizeof(sum->gap));
	find_largest(node, sum->gap, ALL_CLASSES);
}

static bool is_gap(struct gap gap)
{
	return gap.start <= gap.last;
}

/* Gaps that went and came back the same did neither. True when any are left. */
static bool reduce(struct change *change)
{
	for (unsigned i = 0; i < 2; i++) {
		if (change->gone[i].start == change->came[i].start && change->gone[i].last == change->came[i].last)
			change->gone[i] = change->came[i] = no_gap;
	}
	return is_gap(change->gone[0]) || is_gap(change->gone[1]) || is_gap(change->came[0]) || is_gap(change->came[1]);
}

/*
 * Brings @sum of @node up to date after @change and, in an inner node, a child whose sum went from @before to @after. The node is
 * looked through only for classes whose largest gap went.
 */
static void update_sum(struct sum *sum, const struct ui_ivl_node *node, struct change *change, const struct sum *before,
		       const struct sum *after)
{
	bool direct = reduce(change);
	u32 lost = 0;

	for (unsigned class = 0; class < N_CLASSES; class++) {
		u64 gone = before ? before->gap[class] : 0, came = after ? after->gap[class] : 0;

		if (direct) {
			gone = largest(gone, largest(gap_size(change->gone[0], class), gap_size(change->gone[1], class)));
			came = largest(came, largest(gap_size(change->came[0], class), gap_size(change->came[1], class)));
		}
		if (came < sum->gap[class] && gone != sum->gap[class])
			continue;
		/* The largest may be another now; what came is there in any case. */
		if (came < sum->gap[class])
			lost |= 1u << class;
		sum->gap[class] = came;
	}
	if (lost)
		find_largest(node, sum->gap, lost);
	if (node->n)
		set_ends(sum, node);
}

static struct ui_ivl_node *node_new(unsigned level)
{
	struct leaf *leaf;
	struct inner *inner;

	if (!level) {
		leaf = ui_zalloc(sizeof(*leaf));
		return leaf ? &leaf->node : NULL;
	}
	inner = ui_zalloc(sizeof(*inner));
	if (!inner)
		return NULL;
	inner->node.level = (u16)level;
	return &inner->node;
}

static void node_free(struct ui_ivl_node *node)
{
	ui_free(node->level ? (void *)to_inner(node) : (void *)to_leaf(node));
}

/* Moves @n elements of @from, starting at @at, to the end of @to (same level). The gap before @at stays the caller's. */
static void move_tail(struct ui_ivl_node *from, unsigned at, struct ui_ivl_node *to)
{
	unsigned n = from->n - at;

	if (!from->level) {
		struct leaf *f = to_leaf(from), *t = to_leaf(to);

		memcpy(t->start + to->n, f->start + at, n * sizeof(f->start[0]));
		memcpy(t->last + to->n, f->last + at, n * sizeof(f->last[0]));
		memcpy(t->ptr + to->n, f->ptr + at, n * sizeof(f->ptr[0]));
	} else {
		struct inner *f = to_inner(from), *t = to_inner(to);

		memcpy(t->start + to->n, f->start + at, n * sizeof(f->start[0]));
		memcpy(t->child + to->n, f->child + at, n * sizeof(f->child[0]));
		memcpy(t->sum + to->n, f->sum + at, n * sizeof(f->sum[0]));
	}
	to->n = (u16)(to->n + n);
	from->n = (u16)at;
}

static void leaf_open(struct leaf *leaf, unsigned at)
{
	unsigned n = leaf->node.n++ - at;

	memmove(leaf->start + at + 1, leaf->start + at, n * sizeof(leaf->start[0]));
	memmove(leaf->last + at + 1, leaf->last + at, n * sizeof(leaf->last[0]));
	memmove(leaf->ptr + at + 1, leaf->ptr + at, n * sizeof(leaf->ptr[0]));
}

static void leaf_close(struct leaf *leaf, unsigned at)
{
	unsigned n = --leaf->node.n - at;

	memmove(leaf->start + at, leaf->start + at + 1, n * sizeof(leaf->start[0]));
	memmove(leaf->last + at, leaf->last + at + 1, n * sizeof(leaf->last[0]));
	memmove(leaf->ptr + at, leaf->ptr + at + 1, n * sizeof(leaf->ptr[0]));
}

static void inner_open(struct inner *inner, unsigned at)
{
	unsigned n = inner->node.n++ - at;

	memmove(inner->start + at + 1, inner->start + at, n * sizeof(inner->start[0]));
	memmove(inner->child + at + 1, inner->child + at, n * sizeof(inner->child[0]));
	memmove(inner->sum + at + 1, inner->sum + at, n * sizeof(inner->sum[0]));
}

static void inner_close(struct inner *inner, unsigned at)
{
	unsigned n = --inner->node.n - at;

	memmove(inner->start + at, inner->start + at + 1, n * sizeof(inner->start[0]));
	memmove(inner->child + at, inner->child + at + 1, n * sizeof(inner->child[0]));
	memmove(inner->sum + at, inner->sum + at + 1, n * sizeof(inner->sum[0]));
}

/* Child @at, which is full, becomes two. A run of ascending insertions leaves full nodes behind. */
static int split(struct inner *inner, unsigned at, u64 key)
{
	struct ui_ivl_node *child = inner->child[at], *right = node_new(child->level);
	bool append = at + 1 == inner->node.n && key > inner->sum[at].last;

	if (!right)
		return -ENOMEM;
	move_tail(child, append ? child->n - 1u : child->n / 2u, right);
	inner_open(inner, at + 1);
	inner->child[at + 1] = right;
	set_sum(&inner->sum[at], child);
	set_sum(&inner->sum[at + 1], right);
	inner->start[at + 1] = inner->sum[at + 1].start;
	return 0;
}

/* Child @at and the one after it become one if that leaves room. */
static void merge(struct inner *inner, unsigned at)
{
	struct ui_ivl_node *left = inner->child[at], *right;

	if (at + 1 >= inner->node.n)
		return;
	right = inner->child[at + 1];
	if (left->n + right->n > node_max(left) * 3 / 4)
		return;
	move_tail(right, 0, left);
	node_free(right);
	inner_close(inner, at + 1);
	set_sum(&inner->sum[at], left);
}

/* Changes the leaf; @limit: where the next leaf begins (0: there is none). */
static int edit_leaf(struct leaf *leaf, struct edit *edit, u64 limit, struct change *change)
{
	unsigned at = find_slot(leaf->start, leaf->node.n, edit->start), n = leaf->node.n;
	u64 *start = leaf->start, *last = leaf->last;

	if (edit->op == INSERT) {
		if (n && start[at] <= edit->start && last[at] >= edit->start)
			return -EEXIST;
		if (n && start[at] < edit->start)
			at++;
		if (at < n ? start[at] <= edit->last : limit && limit <= edit->last)
			return -EEXIST;
		change->gone[0] = at && at < n ? between(last[at - 1], start[at]) : no_gap;
		change->came[0] = at ? between(last[at - 1], edit->start) : no_gap;
		change->came[1] = at < n ? between(edit->last, start[at]) : no_gap;
		leaf_open(leaf, at);
		start[at] = edit->start;
		last[at] = edit->last;
		leaf->ptr[at] = edit->ptr;
		return 0;
	}
	ui_assert(n && start[at] == edit->start);
	change->gone[1] = at + 1 < n ? between(last[at], start[at + 1]) : no_gap;
	if (edit->op == SET_LAST) {
		ui_assert(edit->last >= edit->start && (at + 1 < n ? edit->last < start[at + 1] : !limit || edit->last < limit));
		last[at] = edit->last;
		change->came[1] = at + 1 < n ? between(last[at], start[at + 1]) : no_gap;
		return 0;
	}
	change->gone[0] = at ? between(last[at - 1], start[at]) : no_gap;
	change->came[0] = at && at + 1 < n ? between(last[at - 1], start[at + 1]) : no_gap;
	edit->ptr = leaf->ptr[at];
	leaf_close(leaf, at);
	return 0;
}

static int edit_node(struct ui_ivl_node *node, struct edit *edit, u64 limit, struct sum *sum);

/* The gaps on either side of child @at, given its ends. */
static void gaps_beside(const struct inner *inner, unsigned at, const struct sum *ends, struct gap gaps[2])
{
	gaps[0] = at ? between(inner->sum[at - 1].last, ends->start) : no_gap;
	gaps[1] = at + 1u < inner->node.n ? between(ends->last, inner->sum[at + 1].start) : no_gap;
}

static int edit_inner(struct inner *inner, struct edit *edit, u64 limit, struct sum *sum)
{
	unsigned at = find_slot(inner->start, inner->node.n, edit->start);
	struct change change = { { no_gap, no_gap }, { no_gap, no_gap } };
	struct sum before;
	bool emptied;
	int ret;

	if (edit->op == INSERT && inner->child[at]->n == node_max(inner->child[at])) {
		ret = split(inner, at, edit->start);
		if (ret)
			return ret;
		at = find_slot(inner->start, inner->node.n, edit->start);
	}
	before = inner->sum[at];
	ret = edit_node(inner->child[at], edit, at + 1u < inner->node.n ? inner->start[at + 1] : limit, &inner->sum[at]);
	if (ret)
		return ret;
	emptied = !inner->child[at]->n;
	if (!emptied && !memcmp(&before, &inner->sum[at], sizeof(before)))
		goto out;
	gaps_beside(inner, at, &before, change.gone);
	if (emptied) {
		if (at && at + 1u < inner->node.n)
			change.came[0] = between(inner->sum[at - 1].last, inner->sum[at + 1].start);
		node_free(inner->child[at]);
		inner_close(inner, at);
	} else {
		inner->start[at] = inner->sum[at].start;
		gaps_beside(inner, at, &inner->sum[at], change.came);
	}
	if (sum)
		update_sum(sum, &inner->node, &change, &before, emptied ? NULL : &inner->sum[at]);
out:
	if (edit->op == ERASE) {
		merge(inner, at);
		if (at)
			merge(inner, at - 1);
	}
	return 0;
}

/* @sum: the parent's of this node; NULL for the root. 0, -EEXIST, -ENOMEM. */
static int edit_node(struct ui_ivl_node *node, struct edit *edit, u64 limit, struct sum *sum)
{
	struct change change = { { no_gap, no_gap }, { no_gap, no_gap } };
	int ret;

	if (node->level)
		return edit_inner(to_inner(node), edit, limit, sum);
	ret = edit_leaf(to_leaf(node), edit, limit, &change);
	if (!ret && sum)
		update_sum(sum, node, &change, NULL, NULL);
	return ret;
}

/* Room for one more below the root. */
static int grow(struct ui_ivl *ivl, u64 key)
{
	struct ui_ivl_node *root = ivl->root;
	struct inner *top;
	int ret;

	if (!root) {
		ivl->root = node_new(0);
		return ivl->root ? 0 : -ENOMEM;
	}
	if (root->n < node_max(root))
		return 0;
	ivl->root = node_new(root->level + 1u);
	if (!ivl->root) {
		ivl->root = root;
		return -ENOMEM;
	}
	top = to_inner(ivl->root);
	top->child[0] = root;
	top->node.n = 1;
	set_sum(&top->sum[0], root);
	top->start[0] = top->sum[0].start;
	ret = split(top, 0, key);
	if (ret) {
		ivl->root = root;
		node_free(&top->node);
	}
	return ret;
}

/* Takes away levels that have become needless. */
static void shrink(struct ui_ivl *ivl)
{
	while (ivl->root && ivl->root->n <= 1) {
		struct ui_ivl_node *root = ivl->root;

		if (root->n && !root->level)
			return;
		ivl->root = root->n ? to_inner(root)->child[0] : NULL;
		node_free(root);
	}
}

int ui_ivl_insert(struct ui_ivl *ivl, u64 start, u64 last, void *ptr)
{
	struct edit edit = { .op = INSERT, .start = start, .last = last, .ptr = ptr };
	int ret;

	ui_assert(start <= last);
	ret = grow(ivl, start);
	if (!ret)
		ret = edit_node(ivl->root, &edit, 0, NULL);
	if (ret)
		shrink(ivl);
	else
		ivl->n++;
	return ret;
}

void *ui_ivl_erase(struct ui_ivl *ivl, u64 start)
{
	struct edit edit = { .op = ERASE, .start = start };

	ui_assert(ivl->root);
	edit_node(ivl->root, &edit, 0, NULL);
	ivl->n--;
	shrink(ivl);
	return edit.ptr;
}

void ui_ivl_set_last(struct ui_ivl *ivl, u64 start, u64 last)
{
	struct edit edit = { .op = SET_LAST, .start = start, .last = last };

	ui_assert(ivl->root);
	edit_node(ivl->root, &edit, 0, NULL);
}

static void free_below(struct ui_ivl_node *node)
{
	for (unsigned i = 0; node->level && i < node->n; i++)
		free_below(to_inner(node)->child[i]);
	node_free(node);
}

void ui_ivl_fini(struct ui_ivl *ivl)
{
	if (ivl->root)
		free_below(ivl->root);
	*ivl = (struct ui_ivl){ 0 };
}

/* The leaf and slot of the first interval that ends at or after @at. */
static struct leaf *seek(const struct ui_ivl *ivl, u64 at, unsigned *slot)
{
	struct ui_ivl_node *node = ivl->root;
	struct leaf *leaf;

	if (!node)
		return NULL;
	while (node->level) {
		struct inner *inner = to_inner(node);
		unsigned i = find_slot(inner->start, node->n, at);

		if (inner->sum[i].last < at && ++i == node->n)
			return NULL;
		node = inner->child[i];
	}
	leaf = to_leaf(node);
	*slot = find_slot(leaf->start, node->n, at);
	if (leaf->last[*slot] < at && ++*slot == node->n)
		return NULL;
	return leaf;
}

bool ui_ivl_first(const struct ui_ivl *ivl, u64 at, struct ui_ivl_item *item)
{
	unsigned slot;
	struct leaf *leaf = seek(ivl, at, &slot);

	if (!leaf)
		return false;
	*item = (struct ui_ivl_item){ leaf->start[slot], leaf->last[slot], leaf->ptr[slot] };
	return true;
}

bool ui_ivl_meets(const struct ui_ivl *ivl, u64 start, u64 last, struct ui_ivl_item *item)
{
	struct ui_ivl_item found;

	if (!ui_ivl_first(ivl, start, &found) || found.start > last)
		return false;
	if (item)
		*item = found;
	return true;
}

bool ui_ivl_next(const struct ui_ivl *ivl, struct ui_ivl_item *item)
{
	return item->last != ~(u64)0 && ui_ivl_first(ivl, item->last + 1, item);
}

void ui_ivl_set_ptr(struct ui_ivl *ivl, u64 start, void *ptr)
{
	unsigned slot = 0;
	struct leaf *leaf = seek(ivl, start, &slot);

	ui_assert(leaf && leaf->start[slot] == start);
	leaf->ptr[slot] = ptr;
}

bool ui_ivl_fit(u64 start, u64 last, const struct ui_ivl_want *want, u64 *out)
{
	u64 at;

	if (__builtin_add_overflow(start, want->align - 1, &at))
		return false;
	at = (at & ~(want->align - 1)) | want->offset;
	if (at > last || last - at < want->length - 1)
		return false;
	*out = at;
	return true;
}

struct search {
	const struct ui_ivl_want *want;
	unsigned class;
	u64 at, last; /* what is left to look at */
	u64 out;
	enum { ON, FOUND, END } state;
};

/* The free space up to @start, where an interval begins that ends at @end; the search goes on behind that. */
static void search_before(struct search *search, u64 start, u64 end)
{
	if (start > search->at) {
		u64 last = start - 1 < search->last ? start - 1 : search->last;

		if (ui_ivl_fit(search->at, last, search->want, &search->out)) {
			search->state = FOUND;
			return;
		}
	}
	if (end >= search->last)
		search->state = END;
	else
		search->at = end + 1;
}

static void search_node(const struct ui_ivl_node *node, struct search *search)
{
	const struct inner *inner = node->level ? to_inner(node) : NULL;
	const u64 *start = inner ? inner->start : to_leaf(node)->start;

	for (unsigned i = find_slot(start, node->n, search->at); i < node->n && search->state == ON; i++) {
		u64 end = inner ? inner->sum[i].last : to_leaf(node)->last[i];

		if (end < search->at)
			continue;
		if (!inner || inner->sum[i].gap[search->class] < search->want->length)
			search_before(search, start[i], end);
		else
			search_node(inner->child[i], search);
	}
}

bool ui_ivl_find_gap(const struct ui_ivl *ivl, u64 start, u64 last, const struct ui_ivl_want *want, u64 *out)
{
	struct search search = { .want = want, .class = class_of(want), .at = start, .last = last };

	ui_assert(want->length && want->align && !(want->align & (want->align - 1)));
	if (start > last)
		return false;
	if (ivl->root)
		search_node(ivl->root, &search);
	if (search.state == ON)
		return ui_ivl_fit(search.at, last, want, out);
	*out = search.out;
	return search.state == FOUND;
}
