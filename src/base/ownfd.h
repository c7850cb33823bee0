/* SPDX-License-Identifier: MIT */
/*
 * Descriptors of the library's own in the table of the process it lives in. They have large numbers, close-on-exec,
 * and are known here, so that whoever stands before close(), close_range() and dup2() (the shim) can keep the program
 * from taking them away.
 *
 * Threads: any. The lock is a leaf; as all that is called here it is not to be met by a signal handler of the program's.
 */
#ifndef UI_BASE_OWNFD_H
#define UI_BASE_OWNFD_H

#include "base/types.h"

/*
 * Keeps @fd, which is closed in any case, under a large number, or any where the limit on descriptors is small. The
 * number is the descriptor's name until ui_ownfd_end(); the descriptor itself may have to move: ui_ownfd_at(). A
 * negative errno.
 */
int ui_ownfd_hold(int fd);
/* Closes it. -1 is a no-op. */
void ui_ownfd_end(int name);
/* Where it is now; -1: it is lost, or @name is -1. */
int ui_ownfd_at(int name);
/* As ui_ownfd_hold(); *@holder is always where it is now: -1 from when it is closed or lost. 0 or a negative errno. */
int ui_ownfd_keep(int fd, _Atomic int *holder);
void ui_ownfd_close(_Atomic int *holder);
/* While it is held, none moves. */
void ui_ownfd_lock(void);
void ui_ownfd_unlock(void);

/* --- for whoever stands before the calls of the program --- */

/* False: @fd is none of these. One load. */
bool ui_ownfd_maybe(int fd);
/* Is @fd one of these? */
bool ui_ownfd_is(int fd);
/* The program put something of its own there, past us. */
void ui_ownfd_lost(int fd);
/* The program is about to put something there: moves ours. */
void ui_ownfd_make_way(int fd);
/* The lowest in [@first, @last], or -1. */
int ui_ownfd_next(unsigned first, unsigned last);
/* In a forked child: its copies are of no use. */
void ui_ownfd_forked(void);

#endif
