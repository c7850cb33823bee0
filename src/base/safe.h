/* SPDX-License-Identifier: MIT */
/*
 * Access to memory that may vanish: a program's or a guest's. An access that the machine refuses makes the function
 * return -EFAULT instead of ending the process, without a system call per access.
 *
 * How: the accesses are a few instructions whose addresses stand in a recovery table; a SIGSEGV or SIGBUS handler that
 * finds the interrupted instruction there resumes at its landing place. Whoever owns the process's signals calls
 * ui_safe_recover() first in its handler; a program without such an owner calls ui_safe_install() once.
 * Threads that use these functions must not block SIGSEGV and SIGBUS: the kernel ends a process whose synchronous
 * signal is blocked.
 */
#ifndef UI_BASE_SAFE_H
#define UI_BASE_SAFE_H

#include "base/types.h"

/* 0, or -EFAULT with any part of @dst written. Either side may be bad. Words that are aligned on both sides and whole
 * are copied by single loads and stores of 8 bytes. */
int ui_safe_copy(void *dst, const void *src, size_t n_bytes);
/* As ui_safe_copy(); returns how many bytes from the start were copied: @n_bytes, or those before the first that failed. */
size_t ui_safe_copy_some(void *dst, const void *src, size_t n_bytes);
/* 0, or -EFAULT. Repeats the 8 bytes of @pattern (its byte @phase first) over @n_bytes. */
int ui_safe_fill(void *dst, u64 pattern, unsigned phase, size_t n_bytes);
/* As ui_safe_fill(); returns how many bytes from the start were written. */
size_t ui_safe_fill_some(void *dst, u64 pattern, unsigned phase, size_t n_bytes);
/* 0 equal, 1 different with the offset of the first difference in *@at, -EFAULT with that of the first bad byte. */
int ui_safe_compare(const void *a, const void *b, size_t n_bytes, size_t *at);
/* One atomic access each; acquire loads, release stores; aligned addresses. 0 or -EFAULT. */
int ui_safe_load64(const void *addr, u64 *val);
int ui_safe_load32(const void *addr, u32 *val);
int ui_safe_store64(void *addr, u64 val);
int ui_safe_store32(void *addr, u32 val);
/* 0 swapped, 1 not (with *@expected updated), -EFAULT. Sequentially consistent. */
int ui_safe_cmpxchg64(void *addr, u64 *expected, u64 desired);
/* Touches one byte of every page of the range so that later accesses hit; for @write by rewriting a byte atomically.
 * 0 or -EFAULT. */
int ui_safe_probe(void *addr, size_t n_bytes, bool write);

/* In a handler: true when the signal came from one of these accesses and @ucontext was set to resume. Async-signal-safe. */
bool ui_safe_recover(int sig, const void *siginfo, void *ucontext);
/* Installs a handler for SIGSEGV and SIGBUS that chains to what was there before. Idempotent. 0 or -errno. */
int ui_safe_install(void);

#endif
