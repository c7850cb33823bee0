/* SPDX-License-Identifier: MIT */
/*
 * Which pages one MAP made: disjoint intervals of page numbers, as a mark at the first page of each and one at its last. A radix tree of
 * bitmaps: 64 words of two bits a page at the bottom, 64 children with a summary word above. The interval that a page lies in needs no
 * search backwards: it shows at the next mark, which is then a last page and no first one.
 *
 * Measured against the index of intervals in base (base/ivl.h), which can do more: several times faster, a 50th of the memory where
 * mappings lie densely.
 *
 * Threads: the caller's lock.
 */
#ifndef UI_VIRTIO_MARKS_H
#define UI_VIRTIO_MARKS_H

#include "base/types.h"

struct ui_marks_leaf;

struct ui_marks {
	void *root;                  /* NULL: empty */
	unsigned levels;             /* of nodes above the leaves */
	u64 last_page;               /* the highest number there is */
	struct ui_marks_leaf *near;  /* the leaf used last, of pages from near_at * its size on; NULL: none */
	u64 near_at;
	struct ui_marks_leaf *spare; /* an empty one, so that a mapping that comes and goes does not allocate; NULL: none */
};

/* For pages 0 to @last_page. Needs no memory yet. */
void ui_marks_init(struct ui_marks *m, u64 last_page);
void ui_marks_fini(struct ui_marks *m);
/* @first <= @last <= last_page. 0; -EEXIST meets an interval; -ENOMEM: nothing is changed. */
int ui_marks_add(struct ui_marks *m, u64 first, u64 last);
/* Takes out all intervals in [@first, @last]; none reaches out of it. @last <= last_page. */
void ui_marks_remove(struct ui_marks *m, u64 first, u64 last);
/* Does an interval meet [@first, @last]? Any numbers. */
bool ui_marks_meets(struct ui_marks *m, u64 first, u64 last);
/* Are @page - 1 and @page of one interval? Any number; false for 0. */
bool ui_marks_joins(struct ui_marks *m, u64 page);

#endif
