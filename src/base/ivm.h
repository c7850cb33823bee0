/* SPDX-License-Identifier: MIT */
/*
 * Interval multiset: intervals that may overlap, with the node embedded in the element, so that nothing here needs memory.
 *
 * Threads: the caller's lock.
 */
#ifndef UI_BASE_IVM_H
#define UI_BASE_IVM_H

#include "base/types.h"

struct ui_ivm_node {
	u64 start, last; /* inclusive; constant while inserted */
	u64 max;         /* largest last below and including this node */
	u64 prio;        /* random */
	struct ui_ivm_node *left, *right;
};

/* All zero: empty. */
struct ui_ivm {
	struct ui_ivm_node *root;
	u64 seed;
};

void ui_ivm_insert(struct ui_ivm *ivm, struct ui_ivm_node *node);
/* @node is in @ivm. */
void ui_ivm_erase(struct ui_ivm *ivm, struct ui_ivm_node *node);
/*
 * The first element, in the order of starts (and of addresses among equals), that meets [@start, @last] and comes after @after
 * (NULL: from the beginning). NULL: none.
 */
struct ui_ivm_node *ui_ivm_next(const struct ui_ivm *ivm, u64 start, u64 last, const struct ui_ivm_node *after);

#endif
