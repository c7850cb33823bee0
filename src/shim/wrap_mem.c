/* SPDX-License-Identifier: MIT */
/* The memory calls: mmap, munmap, mremap, madvise, shmat, shmdt, and the end of threads. */
#include "shim/bind.h"
#include "shim/mem.h"
#include "shim/objfile.h"
#include "shim/real.h"
#include "shim/region.h"
#include "shim/share.h"
#include "shim/shim.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "base/sys.h"

#include <stdarg.h>
#include <string.h>

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
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

/* The program unmapped these addresses, or got them for something else. */
static void forget(u64 start, u64 last)
{
	ui_mem_bar_remove(start, last);
	ui_region_cut(start, last);
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
		forget(start, last);
	ui_mem_unlock();
	ui_region_settle();
	ui_shim_leave(&entry);
	if (ret)
		errno = -ret;
	return at;
}

static void *map_watched(void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	struct ui_shim_entry entry;
	void *at;

	if (flags & MAP_FIXED)
		return map_over(addr, length, prot, flags, fd, offset);
	at = REAL(mmap)(addr, length, prot, flags, fd, offset);
	if (at == MAP_FAILED)
		return at;
	/* A BAR may have been there that was unmapped behind our back. */
	ui_shim_enter(&entry);
	forget((u64)at, (u64)at + ui_align_up(length, UI_PAGE_BYTES) - 1);
	ui_region_settle();
	ui_shim_leave(&entry);
	return at;
}

static void *map(void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	return pass() ? REAL(mmap)(addr, length, prot, flags, fd, offset) : map_watched(addr, length, prot, flags, fd, offset);
}

/* Memory that the context behind @file shares. Inside an entry. The result as the kernel's. */
static u64 map_region(struct ui_file *file, void *addr, size_t length, int prot, int flags, off_t offset)
{
	u64 n_bytes = ui_align_up(length, UI_PAGE_BYTES);
	bool foreign = ui_file_is_foreign(file);
	struct ui_region *region;
	void *token, *at;
	int fd, ret;

	if (!n_bytes || n_bytes < length || !ui_is_aligned((u64)offset, UI_PAGE_BYTES))
		return (u64)-EINVAL;
	ret = foreign ? ui_remote_mmap_region(file, n_bytes, prot, flags, (u64)offset, &fd, &token) :
			ui_iommufd_mmap(file->ctx, (u64)offset, n_bytes, prot, flags, &fd, &token);
	if (ret)
		return (u64)(s64)ret;
	region = ui_region_new(file, token, n_bytes);
	if (!region) {
		foreign ? ui_remote_munmap(file, token) : ui_iommufd_munmap(file->ctx, token);
		if (foreign)
			ui_sys_close(fd);
		return (u64)-ENOMEM;
	}
	at = ui_mem_watching() ? map_watched(addr, length, prot, flags, fd, 0) : REAL(mmap)(addr, length, prot, flags, fd, 0);
	ret = at == MAP_FAILED ? -errno : 0;
	if (foreign)
		ui_sys_close(fd);
	ui_region_place(region, ret ? NULL : at);
	if (!ret)
		ui_mem_bar_add((u64)at, (u64)at + n_bytes - 1);
	return ret ? (u64)(s64)ret : (u64)at;
}

/*
 * A mapping of one of our files. What is the kernel's mmap() of the descriptor itself is only asked for here: *@at is 0 then. Otherwise
 * *@at is the result as the kernel's. True: its pages are a device's.
 */
static bool map_ours(int fd, void *addr, size_t length, int prot, int flags, off_t offset, u64 *at)
{
	struct ui_shim_entry entry;
	struct ui_file *file;
	bool device = false;
	int ret = 0;

	*at = 0;
	ui_shim_enter(&entry);
	file = ui_fd_get(fd);
	if (file && file->kind == UI_FILE_OBJECT) {
		ret = ui_object_bytes(file) ? 0 : -ENODEV;
	} else if (file) {
		ret = file->kind == UI_FILE_DIR || file->kind == UI_FILE_FAULTS ? -ENODEV : ui_file_ready(file);
		if (!ret && file->kind == UI_FILE_IOMMU)
			*at = map_region(file, addr, length, prot, flags, offset);
		else if (!ret)
			ret = ui_bind_mmap(file, length, prot, flags, (u64)offset);
		device = true;
	}
	if (file)
		ui_file_put(file);
	ui_shim_leave(&entry);
	if (ret)
		*at = (u64)(s64)ret;
	return device;
}

UI_EXPORT void *mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	struct ui_shim_entry entry;
	bool device;
	void *at;
	u64 done;

	if (ui_likely(flags & MAP_ANONYMOUS || !ui_fd_ours(fd)))
		return map(addr, length, prot, flags, fd, offset);
	device = map_ours(fd, addr, length, prot, flags, offset, &done);
	if (done)
		return (void *)ui_shim_ret((long)done);
	at = map(addr, length, prot, flags, fd, offset);
	if (at != MAP_FAILED && device) {
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
		forget(start, last);
	ui_mem_unlock();
	ui_region_settle();
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

/* Regions after mremap() has moved [old, old + old_bytes) to @at. */
static void regions_follow(const struct ui_mem_remap *want, u64 at)
{
	u64 kept = ui_min(want->old_bytes, want->new_bytes);

	if (at != want->old)
		ui_region_cut(at, at + want->new_bytes - 1);
	if (want->old_bytes > kept)
		ui_region_cut(want->old + kept, want->old + want->old_bytes - 1);
	if (kept)
		ui_region_move(want->old, at, kept);
}

static u64 remap_watched(const struct ui_mem_remap *want)
{
	struct ui_mem_undo undo = { 0 };
	u64 at, old_last = want->old + want->old_bytes - 1;
	int ret = 0;

	/* The kernel lets no mapping of a device's memory grow or be left behind. */
	if ((want->new_bytes > want->old_bytes || want->flags & MREMAP_DONTUNMAP) &&
	    ui_region_at(want->old, want->old + ui_max(want->old_bytes, UI_PAGE_BYTES) - 1))
		return want->flags & MREMAP_DONTUNMAP ? (u64)-EINVAL : (u64)-EFAULT;
	if (want->old_bytes > want->new_bytes)
		ret = ui_mem_aside(want->old + want->new_bytes, old_last, &undo);
	if (!ret && want->flags & MREMAP_FIXED)
		ret = ui_mem_aside(want->to, want->to + want->new_bytes - 1, &undo);
	at = ret ? (u64)(s64)ret : remap(want);
	if (ui_sys_is_err((void *)at)) {
		ui_mem_undo(&undo);
		return at;
	}
	regions_follow(want, at);
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
	want.to = flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) ? (u64)va_arg(ap, void *) : 0;
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
	ui_region_settle();
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

	if (ui_unlikely(drops && ui_remote_converted()) && !ui_shim_inside() && bounds(addr, length, &start, &last)) {
		ui_shim_enter(&entry);
		ui_remote_drop(start, last);
		ui_shim_leave(&entry);
	}
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
