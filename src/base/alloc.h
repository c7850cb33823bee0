/* SPDX-License-Identifier: MIT */
/*
 * Allocation with fault injection. Every allocation of the library goes through here, so that a sweep can make each of
 * them fail in turn.
 */
#ifndef UI_BASE_ALLOC_H
#define UI_BASE_ALLOC_H

#include "base/types.h"

/* Zeroed memory, or NULL. Free with ui_free(). */
void *ui_zalloc(size_t n_bytes);
/* As ui_zalloc() for an array; NULL when the size overflows. */
void *ui_calloc(size_t n, size_t size_bytes);
/* Grows or shrinks; new bytes are not zeroed. On NULL the old block stays. */
void *ui_realloc(void *old, size_t n_bytes);
/* Zeroed, aligned to @align_bytes (a power of two). Free with ui_free(). */
void *ui_zalloc_aligned(size_t n_bytes, size_t align_bytes);
void ui_free(void *ptr);

/*
 * ui_inject_arm(n) makes the n-th allocation point (from 1) that this thread reaches fail, once; 0 disarms.
 * ui_inject_point() is one: true means "fail here". Resources other than memory call it too.
 * ui_inject_left() returns what is left of the count: 0 when the failure happened or nothing was armed.
 */
void ui_inject_arm(u64 n);
bool ui_inject_point(void);
u64 ui_inject_left(void);
/* Blocks obtained and not freed, by the whole process; for leak checks in tests. */
u64 ui_alloc_live(void);

#endif
