/* SPDX-License-Identifier: MIT */
#include "base/alloc.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local u64 armed;
static atomic_uint_fast64_t live;

void ui_inject_arm(u64 n)
{
	armed = n;
}

u64 ui_inject_left(void)
{
	return armed;
}

bool ui_inject_point(void)
{
	if (ui_likely(!armed))
		return false;
	return --armed == 0;
}

u64 ui_alloc_live(void)
{
	return atomic_load_explicit(&live, memory_order_relaxed);
}

static void *counted(void *ptr)
{
	if (ptr)
		atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
	return ptr;
}

void *ui_zalloc(size_t n_bytes)
{
	return ui_calloc(1, n_bytes);
}

void *ui_calloc(size_t n, size_t size_bytes)
{
	if (ui_inject_point())
		return NULL;
	return counted(calloc(n ? n : 1, size_bytes ? size_bytes : 1));
}

void *ui_realloc(void *old, size_t n_bytes)
{
	void *ptr;

	if (ui_inject_point())
		return NULL;
	ptr = realloc(old, n_bytes ? n_bytes : 1);
	return old ? ptr : counted(ptr);
}

void *ui_zalloc_aligned(size_t n_bytes, size_t align_bytes)
{
	void *ptr = NULL;

	if (ui_inject_point() || posix_memalign(&ptr, align_bytes < sizeof(void *) ? sizeof(void *) : align_bytes, n_bytes ? n_bytes : 1))
		return NULL;
	memset(ptr, 0, n_bytes);
	return counted(ptr);
}

void ui_free(void *ptr)
{
	if (ptr)
		atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
	free(ptr);
}
