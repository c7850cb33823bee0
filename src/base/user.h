/* SPDX-License-Identifier: MIT */
/*
 * Memory and descriptors of whoever made the call in progress. As a rule that is this process; when a descriptor that this process
 * owns is used elsewhere (it went there by fork, exec or SCM_RIGHTS), the thread that serves the call has another process as
 * its caller, and every pointer and descriptor number in the call is that one's.
 *
 * Front doors read and write what calls point to with these functions only. Addresses are plain numbers: nothing of the caller's is
 * ever dereferenced.
 */
#ifndef UI_BASE_USER_H
#define UI_BASE_USER_H

#include "base/types.h"

/* A caller that is another process. Whoever serves it fills this in; constant while it is a thread's caller. */
struct ui_caller {
	s32 pid;
	/* A descriptor of the caller's in this process, to be closed by whoever asked; a negative errno. NULL: there are none (-EBADF). */
	int (*fd_get)(const struct ui_caller *caller, int fd);
	/*
	 * Is its process the one that made the call? It may have ended since, or run another program, and its number be somebody
	 * else's: then nothing of it is read or written any more. NULL: yes.
	 */
	bool (*alive)(const struct ui_caller *caller);
};

/* Has whoever made the call in progress the capability (CAP_*), really? */
bool ui_user_capable(unsigned cap);

/* The calling thread's caller: NULL (this process) until set. */
const struct ui_caller *ui_caller(void);
/* Returns the one before, to be set again. */
const struct ui_caller *ui_caller_set(const struct ui_caller *caller);

/* 0, or -EFAULT with any part of the destination written. */
int ui_user_read(void *dst, u64 uaddr, size_t n_bytes);
int ui_user_write(u64 uaddr, const void *src, size_t n_bytes);
/* 0, or -EFAULT. */
int ui_user_fill(u64 uaddr, u8 byte, u64 n_bytes);
/* 0, or -EFAULT: a page of the range cannot be read (or, @write, written). Leaves the bytes as they are. */
int ui_user_probe(u64 uaddr, u64 n_bytes, bool write);
/* 0; -E2BIG a byte of the range is not 0; -EFAULT. For what a newer caller's structure has behind what we know of it. */
int ui_user_zeros(u64 uaddr, u64 n_bytes);
/* Sets the bits [@first, @last] of the bitmap at @uaddr, the others stay. 0, or -EFAULT with some of them set. */
int ui_user_set_bits(u64 uaddr, u64 first, u64 last);
/* A descriptor of the caller's for this process to use: @fd itself or a duplicate; given back with ui_user_fd_put(). A negative errno. */
int ui_user_fd_get(int fd);
void ui_user_fd_put(int fd, int got);

#endif
