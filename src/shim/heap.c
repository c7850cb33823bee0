/* SPDX-License-Identifier: MIT */
/*
 * The library's memory, apart from the program's malloc. The library runs inside calls that the program's allocator may
 * itself be making (munmap, madvise) or that interrupt it (a signal handler's ioctl), so it must not call it. The linker
 * turns every malloc and free of this object into __wrap_* (see meson.build).
 *
 * A reserved range of addresses is cut into spans of 64 KiB. A span serves blocks of one size (a power of two, aligned to
 * itself); larger blocks are runs of spans. Free blocks are chained by size and never change it.
 */
#include "shim/shim.h"
#include "base/bits.h"
#include "base/sys.h"

#include <string.h>
#include <sys/mman.h>

enum { SPAN_LG2 = 16, MIN_LG2 = 4, MAX_LG2 = 36, COMMIT_LG2 = 20 };

void *__real_malloc(size_t n_bytes);
void __real_free(void *ptr);
void *__wrap_malloc(size_t n_bytes);
void *__wrap_calloc(size_t n, size_t n_bytes);
void *__wrap_realloc(void *ptr, size_t n_bytes);
int __wrap_posix_memalign(void **ptr, size_t align_bytes, size_t n_bytes);
void *__wrap_aligned_alloc(size_t align_bytes, size_t n_bytes);
void __wrap_free(void *ptr);

struct block {
	struct block *next;
};

static struct {
	pthread_mutex_t lock;
	u8 *base; /* constant once set, release; pairs with acquire in owns() */
	u64 n_bytes;
	u64 used_bytes;   /* spans handed out */
	u64 commit_bytes; /* accessible */
	u8 *span_lg2;     /* block size of each span */
	struct block *free[MAX_LG2 + 1];
} heap = { .lock = PTHREAD_MUTEX_INITIALIZER };

static bool owns(const void *ptr)
{
	u8 *base = __atomic_load_n(&heap.base, __ATOMIC_ACQUIRE); /* pairs with reserve() */

	return base && (uintptr_t)ptr - (uintptr_t)base < heap.n_bytes;
}

static bool reserve(void)
{
	/* As much as the machine lets us: only addresses, no memory. */
	for (unsigned lg2 = MAX_LG2; lg2 >= 26; lg2--) {
		u64 n_bytes = UI_BIT(lg2), n_spans = n_bytes >> SPAN_LG2;
		u64 map_bytes = ui_align_up(n_spans, UI_PAGE_BYTES);
		void *at = ui_sys_mmap(NULL, n_bytes + UI_BIT(SPAN_LG2) + map_bytes, PROT_NONE,
				       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		u8 *base;

		if (ui_sys_is_err(at))
			continue;
		base = (u8 *)ui_align_up((u64)at, UI_BIT(SPAN_LG2));
		if (ui_sys_mprotect(base + n_bytes, map_bytes, PROT_READ | PROT_WRITE))
			return false;
		heap.span_lg2 = base + n_bytes;
		heap.n_bytes = n_bytes;
		__atomic_store_n(&heap.base, base, __ATOMIC_RELEASE); /* pairs with owns() */
		return true;
	}
	return false;
}

/* A run of spans of @n_bytes (a multiple of a span), aligned to a span. */
static u8 *take_spans(u64 n_bytes)
{
	u64 want = heap.used_bytes + n_bytes;
	u8 *at = heap.base + heap.used_bytes;

	if (want > heap.n_bytes)
		return NULL;
	if (want > heap.commit_bytes) {
		u64 commit = ui_min(ui_align_up(want, UI_BIT(COMMIT_LG2)), heap.n_bytes);

		if (ui_sys_mprotect(heap.base + heap.commit_bytes, commit - heap.commit_bytes, PROT_READ | PROT_WRITE))
			return NULL;
		heap.commit_bytes = commit;
	}
	heap.used_bytes = want;
	return at;
}

/* *@fresh: the block is zero. */
static void *take(unsigned lg2, bool *fresh)
{
	struct block *block = heap.free[lg2];
	u64 span_bytes = ui_max(UI_BIT(lg2), UI_BIT(SPAN_LG2));
	u8 *span;

	*fresh = false;
	if (block) {
		heap.free[lg2] = block->next;
		return block;
	}
	span = take_spans(span_bytes);
	if (!span)
		return NULL;
	*fresh = true;
	heap.span_lg2[(u64)(span - heap.base) >> SPAN_LG2] = (u8)lg2;
	for (u64 at = UI_BIT(lg2); at < span_bytes; at += UI_BIT(lg2)) {
		block = (struct block *)(void *)(span + span_bytes - at);
		block->next = heap.free[lg2];
		heap.free[lg2] = block;
	}
	return span;
}

static void *obtain(u64 n_bytes, bool zero)
{
	unsigned lg2 = n_bytes <= UI_BIT(MIN_LG2) ? MIN_LG2 : ui_ceil_lg2(n_bytes);
	void *ptr = NULL;
	bool fresh = false;

	if (lg2 > MAX_LG2)
		return NULL;
	pthread_mutex_lock(&heap.lock);
	if (heap.base || reserve())
		ptr = take(lg2, &fresh);
	pthread_mutex_unlock(&heap.lock);
	if (ptr && zero && !fresh)
		memset(ptr, 0, n_bytes);
	return ptr;
}

static unsigned lg2_of(const void *ptr)
{
	return heap.span_lg2[((uintptr_t)ptr - (uintptr_t)heap.base) >> SPAN_LG2];
}

void *__wrap_malloc(size_t n_bytes)
{
	return obtain(n_bytes, false);
}

void *__wrap_calloc(size_t n, size_t n_bytes)
{
	size_t total;

	return __builtin_mul_overflow(n, n_bytes, &total) ? NULL : obtain(total, true);
}

void *__wrap_realloc(void *ptr, size_t n_bytes)
{
	void *bigger;

	if (!ptr)
		return obtain(n_bytes, false);
	ui_assert(owns(ptr));
	if (n_bytes <= UI_BIT(lg2_of(ptr)))
		return ptr;
	bigger = obtain(n_bytes, false);
	if (bigger) {
		memcpy(bigger, ptr, UI_BIT(lg2_of(ptr)));
		__wrap_free(ptr);
	}
	return bigger;
}

int __wrap_posix_memalign(void **ptr, size_t align_bytes, size_t n_bytes)
{
	/* Blocks are aligned to their size, up to a span. */
	*ptr = align_bytes > UI_BIT(SPAN_LG2) ? NULL : obtain(ui_max(align_bytes, n_bytes), false);
	return *ptr ? 0 : ENOMEM;
}

void *__wrap_aligned_alloc(size_t align_bytes, size_t n_bytes)
{
	void *ptr;

	return __wrap_posix_memalign(&ptr, align_bytes, n_bytes) ? NULL : ptr;
}

void __wrap_free(void *ptr)
{
	struct block *block = ptr;
	unsigned lg2;

	if (!ptr)
		return;
	if (!owns(ptr)) {
		/* libc's own, from strdup() and the like. */
		__real_free(ptr);
		return;
	}
	lg2 = lg2_of(ptr);
	if (lg2 > SPAN_LG2)
		ui_sys_madvise(ptr, UI_BIT(lg2), MADV_DONTNEED);
	pthread_mutex_lock(&heap.lock);
	block->next = heap.free[lg2];
	heap.free[lg2] = block;
	pthread_mutex_unlock(&heap.lock);
}

void ui_heap_forked(void)
{
	/* Another thread may have been in the middle of a change: do without the free chains. */
	heap.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	memset(heap.free, 0, sizeof(heap.free));
}
