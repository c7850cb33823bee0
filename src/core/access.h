/* SPDX-License-Identifier: MIT */
/*
 * Accesses: software that reads and writes an IOAS on a device's behalf (a mediated or emulated device), without a domain. It
 * copies, or it pins pages and uses them until it is told that they go.
 *
 * Threads: any; attach, replace, detach and destroy of one access are the caller's to serialise.
 */
#ifndef UI_CORE_ACCESS_H
#define UI_CORE_ACCESS_H

#include "core/ioas.h"

struct ui_access;

struct ui_access_ops {
	/* It will pin: the IOAS then keeps page alignment. */
	bool pins;
	/* Mappings in [@iova, @iova + @length) go: what is pinned there must be unpinned, soon; the unmap asks again until it is. Called
	 * without locks, from the thread that unmaps (or replaces, detaches: the whole range). NULL unless @pins. */
	void (*unmap)(void *arg, u64 iova, u64 length);
};

/* NULL without memory. */
struct ui_access *ui_access_create(const struct ui_access_ops *ops, void *arg);
/* Detached, and nothing is pinned. NULL is a no-op. */
void ui_access_destroy(struct ui_access *access);
/*
 * Attaches to @ioas, moves there from another, or (NULL) detaches; the unmap callback has dropped everything pinned in the old one
 * before this returns. The IOAS outlives the attachment. 0; -EADDRINUSE areas of the new one do not keep the alignment; -ENOMEM. On
 * error nothing has changed. NULL never fails.
 */
int ui_access_set_ioas(struct ui_access *access, struct ui_ioas *ioas);

enum { UI_ACCESS_WRITE = 1 };

/* A run of pages that lie one after the other; @pa is the page's, without an offset in it. */
typedef void (*ui_access_run_fn)(void *arg, u64 pa, u64 n_bytes);
/*
 * Pins the pages of [@iova, @iova + @length), whose ends may lie inside pages. @fn (may be NULL) is told where they are, in order.
 * 0; -EINVAL empty, an area on its way out, pieces that do not meet at page borders, memory that cannot be pinned; -EOVERFLOW;
 * -ENOENT not attached, or a hole; -EPERM the area does not grant it; -EFAULT, -ENOMEM from the memory. All or nothing.
 */
int ui_access_pin(struct ui_access *access, u64 iova, u64 length, unsigned flags, ui_access_run_fn fn, void *arg);
/* Undoes one pin of the same range. */
void ui_access_unpin(struct ui_access *access, u64 iova, u64 length);
/* Copies between the IOAS and the caller's memory at @uaddr (base/user.h). Errors as pin; a part may have been copied. */
int ui_access_rw(struct ui_access *access, u64 iova, u64 length, u64 uaddr, unsigned flags);

#endif
