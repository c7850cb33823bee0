/* SPDX-License-Identifier: MIT */
/* The memory calls: mmap, munmap, mremap, madvise, shmat, shmdt, and the end of threads. */
#include "shim/bind.h"
#include "shim/mem.h"
#include "shim/real.h"
#include "shim/shim.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "base/sys.h"

#include <stdarg.h>
#include <string.h>

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif
#define GUARD_INSTALL 102 /* MADV_GUARD_INSTALL: drops pages as MADV_DONTNEED does */

/* Declared only where fortified or 64-bit variants are asked for. */
UI_EXPORT void *mmap64(void *addr, size_t length, int prot, int flags, int fd, off64_t offset);

/* Page-aligned bounds of what a call affects; false when it is empty or wraps: the kernel will refuse it. */
static bool bounds(const void *addr, size_t length, u64 *start, u64 *last)
{
	u64 n_bytes = ui_align_up(length, UI_PAGE_BYTES);

	*start = (u64)addr;
	return n_bytes >= length && ui_is_aligned(*start, UI_PAGE_BYTES) && ui_range_last(*start, n_bytes, last);
}

/* Nothing to watch, or the library's own doing. */
static bool pass(void)
{
	return ui_likely(!ui_mem_watching()) || ui_shim_inside();
}

static void *map_over(void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	struct ui_mem_undo undo = { 0 };
	struct ui_shim_entry entry;
	void *at = MAP_FAILED;
	u64 start, last;
	int ret = 0;

	if (!bounds(addr, length, &start, &last))
		return REAL(mmap)(addr, length, prot, flags, fd, offset);
	ui_shim_enter(&entry);
	ui_mem_lock();
	ret = ui_mem_aside(start, last, &undo);
	if (!ret) {
		at = REAL(mmap)(addr, length, prot, flags, fd, offset);
		ret = at == MAP_FAILED ? -errno : 0;
	}
	if (ret)
		ui_mem_undo(&undo);
	else
		ui_mem_bar_remove(start, last);
	ui_mem_unlock();
	ui_shim_leave(&entry);
	if (ret)
		errno = -ret;
	return at;
}

static void *map(void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	void *at;

	if (flags & MAP_FIXED && !pass())
		return map_over(addr, length, prot, flags, fd, offset);
	at = REAL(mmap)(addr, length, prot, flags, fd, offset);
	if (at != MAP_FAILED && !pass()) {
		/* A BAR may have been there that was unmapped behind our back. */
		struct ui_shim_entry entry;

		ui_shim_enter(&entry);
		ui_mem_bar_remove((u64)at, (u64)at + ui_align_up(length, UI_PAGE_BYTES) - 1);
		ui_shim_leave(&entry);
	}
	return at;
}

/* May the program map this of one of our files? 0, a negative errno, or NOT_OURS. */
enum { NOT_OURS = 1 };

static int may_map(int fd, size_t length, int prot, int flags, off_t offset)
{
	struct ui_shim_entry entry;
	struct ui_file *file;
	int ret = NOT_OURS;

	ui_shim_enter(&entry);
	file = ui_fd_get(fd);
	if (file) {
		ret = file->kind == UI_FILE_DIR ? -ENODEV : ui_file_ready(file);
		if (!ret)
			ret = ui_bind_mmap(file, length, prot, flags, (u64)offset);
		ui_file_put(file);
	}
	ui_shim_leave(&entry);
	return ret;
}

UI_EXPORT void *mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	struct ui_shim_entry entry;
	void *at;
	int ret;

	if (ui_likely(flags & MAP_ANONYMOUS || !ui_fd_ours(fd)))
		return map(addr, length, prot, flags, fd, offset);
	ret = may_map(fd, length, prot, flags, offset);
	if (ret < 0) {
		errno = -ret;
		return MAP_FAILED;
	}
	at = map(addr, length, prot, flags, fd, offset);
	if (at != MAP_FAILED && ret != NOT_OURS) {
		ui_shim_enter(&entry);
		ui_mem_bar_add((u64)at, (u64)at + length - 1);
		ui_shim_leave(&entry);
	}
	return at;
}

UI_EXPORT void *mmap64(void *addr, size_t length, int prot, int flags, int fd, off64_t offset)
{
	return mmap(addr, length, prot, flags, fd, offset);
}

UI_EXPORT int munmap(void *addr, size_t length)
{
	struct ui_mem_undo undo = { 0 };
	struct ui_shim_entry entry;
	u64 start, last;
	int ret;

	if (pass() || !bounds(addr, length, &start, &last))
		return REAL(munmap)(addr, length);
	ui_shim_enter(&entry);
	ui_mem_lock();
	ret = ui_mem_aside(start, last, &undo);
	if (!ret && REAL(munmap)(addr, length))
		ret = -errno;
	if (ret)
		ui_mem_undo(&undo);
	else
		ui_mem_bar_remove(start, last);
	ui_mem_unlock();
	ui_shim_leave(&entry);
	return (int)ui_shim_ret(ret);
}

/* The rest of mremap() once the parts that go are aside: the result as the kernel's. */
static u64 remap(const struct ui_mem_remap *want)
{
	struct ui_mem_remap go = *want;
	u64 from, to, last = go.old + ui_min(go.old_bytes, go.new_bytes) - 1;
	void *at;
	int ret;

	if (!go.old_bytes || !ui_mem_next_pinned(go.old, last, &from, &to) || !(go.flags & MREMAP_MAYMOVE))
		return (u64)ui_sys_mremap((void *)go.old, go.old_bytes, go.new_bytes, go.flags, (void *)go.to);
	if (!(go.flags & (MREMAP_FIXED | MREMAP_DONTUNMAP))) {
		at = ui_sys_mremap((void *)go.old, go.old_bytes, go.new_bytes, 0, NULL);
		if (!ui_sys_is_err(at) || (long)at != -ENOMEM)
			return (u64)at;
	}
	if (!(go.flags & MREMAP_FIXED)) {
		ret = ui_mem_reserve(go.new_bytes, &go.to);
		if (ret)
			return (u64)(s64)ret;
	}
	ret = ui_mem_follow(&go);
	if (ret && !(go.flags & MREMAP_FIXED))
		ui_sys_munmap((void *)go.to, go.new_bytes);
	return ret ? (u64)(s64)ret : go.to;
}

static u64 remap_watched(const struct ui_mem_remap *want)
{
	struct ui_mem_undo undo = { 0 };
	u64 at, old_last = want->old + want->old_bytes - 1;
	int ret = 0;

	if (want->old_bytes > want->new_bytes)
		ret = ui_mem_aside(want->old + want->new_bytes, old_last, &undo);
	if (!ret && want->flags & MREMAP_FIXED)
		ret = ui_mem_aside(want->to, want->to + want->new_bytes - 1, &undo);
	at = ret ? (u64)(s64)ret : remap(want);
	if (ui_sys_is_err((void *)at)) {
		ui_mem_undo(&undo);
		return at;
	}
	if (want->old_bytes && ui_mem_bar_remove(want->old, old_last))
		ui_mem_bar_add(at, at + want->new_bytes - 1);
	else
		ui_mem_bar_remove(at, at + want->new_bytes - 1);
	return at;
}

UI_EXPORT void *mremap(void *old, size_t old_bytes, size_t new_bytes, int flags, ...)
{
	struct ui_mem_remap want = { .old = (u64)old, .flags = flags };
	struct ui_shim_entry entry;
	u64 last, at;
	va_list ap;

	va_start(ap, flags);
	want.to = flags & (MREMAP_FIXED | 4 /* MREMAP_DONTUNMAP */) ? (u64)va_arg(ap, void *) : 0;
	va_end(ap);
	want.old_bytes = ui_align_up(old_bytes, UI_PAGE_BYTES);
	want.new_bytes = ui_align_up(new_bytes, UI_PAGE_BYTES);
	/* What the kernel would refuse goes to it untouched. */
	if (pass() || (old_bytes && !bounds(old, old_bytes, &at, &last)) || !bounds((void *)want.to, new_bytes, &at, &last))
		return REAL(mremap)(old, old_bytes, new_bytes, flags, (void *)want.to);
	ui_shim_enter(&entry);
	ui_mem_lock();
	at = remap_watched(&want);
	ui_mem_unlock();
	ui_shim_leave(&entry);
	if (ui_sys_is_err((void *)at)) {
		errno = (int)-(s64)at;
		return MAP_FAILED;
	}
	return (void *)at;
}

/* MADV_FREE lets the kernel take the pages any time, but for pinned ones: only what lies between those is advised. */
static int advise_free(u64 start, u64 last)
{
	int ret = 0;
	u64 from, to;

	while (!ret && ui_mem_next_pinned(start, last, &from, &to)) {
		if (from > start)
			ret = ui_sys_madvise((void *)start, from - start, MADV_FREE);
		start = to + 1;
	}
	return ret || start > last ? ret : ui_sys_madvise((void *)start, last - start + 1, MADV_FREE);
}

UI_EXPORT int madvise(void *addr, size_t length, int advice)
{
	bool drops = advice == MADV_DONTNEED || advice == MADV_DONTNEED_LOCKED || advice == GUARD_INSTALL;
	struct ui_mem_undo undo = { 0 };
	struct ui_shim_entry entry;
	u64 start, last;
	int ret;

	if ((!drops && advice != MADV_FREE) || pass() || !bounds(addr, length, &start, &last))
		return REAL(madvise)(addr, length, advice);
	ui_shim_enter(&entry);
	ui_mem_lock();
	if (drops) {
		/* Locked pages are not dropped but with MADV_DONTNEED_LOCKED. What is left behind by moving aside is not locked
		 * any more, so the kernel is asked before, by an advice that it refuses for the same reason. */
		ret = advice == MADV_DONTNEED ? ui_sys_madvise(addr, length, MADV_COLD) : 0;
		if (ret != -EINVAL)
			ret = ui_mem_aside(start, last, &undo);
		if (!ret)
			ret = ui_sys_madvise(addr, length, advice);
		if (ret)
			ui_mem_undo(&undo);
	} else {
		ret = advise_free(start, last);
	}
	ui_mem_unlock();
	ui_shim_leave(&entry);
	return (int)ui_shim_ret(ret);
}

/* posix_madvise() of libc never drops pages: nothing to watch there. */

/* System V segments: shmdt() does not say how long the segment is. Guarded by ui_mem_lock(). */
static struct segment {
	u64 start, n_bytes;
} segments[64];

static struct segment *find_segment(u64 start, bool or_free)
{
	for (size_t i = 0; i < ui_array_size(segments); i++) {
		if (segments[i].n_bytes ? segments[i].start == start : or_free)
			return &segments[i];
	}
	return NULL;
}

UI_EXPORT void *shmat(int id, const void *addr, int flags)
{
	void *at = REAL(shmat)(id, addr, flags);
	struct ui_shim_entry entry;
	struct segment *segment;
	struct shmid_ds ds;

	if (at == (void *)-1 || !ui_shim_served() || shmctl(id, IPC_STAT, &ds))
		return at;
	ui_shim_enter(&entry);
	ui_mem_lock();
	segment = find_segment((u64)at, true);
	if (segment)
		*segment = (struct segment){ (u64)at, ui_align_up(ds.shm_segsz, UI_PAGE_BYTES) };
	ui_mem_unlock();
	ui_shim_leave(&entry);
	return at;
}

UI_EXPORT int shmdt(const void *addr)
{
	struct ui_mem_undo undo = { 0 };
	struct ui_shim_entry entry;
	struct segment *segment;
	int ret = 0;

	if (!ui_shim_served())
		return REAL(shmdt)(addr);
	ui_shim_enter(&entry);
	ui_mem_lock();
	segment = find_segment((u64)addr, false);
	if (segment && ui_mem_watching())
		ret = ui_mem_aside(segment->start, segment->start + segment->n_bytes - 1, &undo);
	if (!ret && REAL(shmdt)(addr))
		ret = -errno;
	if (ret)
		ui_mem_undo(&undo);
	else if (segment)
		segment->n_bytes = 0;
	ui_mem_unlock();
	ui_shim_leave(&entry);
	return (int)ui_shim_ret(ret);
}

/* --- The end of threads --- */

struct thread_start {
	void *(*fn)(void *arg);
	void *arg;
};

static pthread_key_t exit_key;
static pthread_once_t exit_once = PTHREAD_ONCE_INIT;
static bool exit_key_made;

static void at_thread_exit(void *unused)
{
	ui_mem_thread_exit();
}

static void make_exit_key(void)
{
	exit_key_made = !pthread_key_create(&exit_key, at_thread_exit);
}

static void *thread_main(void *arg)
{
	struct thread_start start = *(struct thread_start *)arg;

	ui_free(arg);
	pthread_setspecific(exit_key, &exit_key);
	return start.fn(start.arg);
}

UI_EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	struct thread_start *start;
	int ret;

	if (!ui_shim_served() || ui_shim_inside() || pthread_once(&exit_once, make_exit_key) || !exit_key_made)
		return REAL(pthread_create)(thread, attr, fn, arg);
	start = ui_zalloc(sizeof(*start));
	if (!start)
		return EAGAIN;
	*start = (struct thread_start){ fn, arg };
	ret = REAL(pthread_create)(thread, attr, thread_main, start);
	if (ret)
		ui_free(start);
	return ret;
}
