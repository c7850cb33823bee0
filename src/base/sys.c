/* SPDX-License-Identifier: MIT */
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* syscall(2) reports through errno; the library's callers must find theirs untouched. */
static long call6(long nr, long a, long b, long c, long d, long e, long f)
{
	int saved = errno;
	long ret = syscall(nr, a, b, c, d, e, f);

	if (ret == -1) {
		ret = -errno;
		errno = saved;
	}
	return ret;
}

#define CALL(nr, a, b, c, d, e, f) call6(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

int ui_sys_openat(int dirfd, const char *path, int flags, unsigned mode)
{
	return (int)CALL(SYS_openat, dirfd, path, flags, mode, 0, 0);
}

int ui_sys_close(int fd)
{
	return (int)CALL(SYS_close, fd, 0, 0, 0, 0, 0);
}

ssize_t ui_sys_read(int fd, void *buf, size_t n_bytes)
{
	return CALL(SYS_read, fd, buf, n_bytes, 0, 0, 0);
}

ssize_t ui_sys_write(int fd, const void *buf, size_t n_bytes)
{
	return CALL(SYS_write, fd, buf, n_bytes, 0, 0, 0);
}

ssize_t ui_sys_pread(int fd, void *buf, size_t n_bytes, u64 offset)
{
	return CALL(SYS_pread64, fd, buf, n_bytes, offset, 0, 0);
}

ssize_t ui_sys_pwrite(int fd, const void *buf, size_t n_bytes, u64 offset)
{
	return CALL(SYS_pwrite64, fd, buf, n_bytes, offset, 0, 0);
}

int ui_sys_ftruncate(int fd, u64 length)
{
	return (int)CALL(SYS_ftruncate, fd, length, 0, 0, 0, 0);
}

int ui_sys_fstat(int fd, struct stat *st)
{
#ifdef SYS_newfstatat
	return (int)CALL(SYS_newfstatat, fd, "", st, 0x1000 /* AT_EMPTY_PATH */, 0, 0);
#else
	return (int)CALL(SYS_fstat, fd, st, 0, 0, 0, 0);
#endif
}

int ui_sys_fcntl(int fd, int cmd, unsigned long arg)
{
	return (int)CALL(SYS_fcntl, fd, cmd, arg, 0, 0, 0);
}

int ui_sys_poll_now(int fd, short events)
{
	struct pollfd pfd = { .fd = fd, .events = events };
	struct timespec now = { 0 };
	int ret = (int)CALL(SYS_ppoll, &pfd, 1, &now, 0, 0, 0);

	return ret > 0 ? pfd.revents : ret;
}

ssize_t ui_sys_read_nowait(int fd, void *buf, size_t n_bytes)
{
	struct iovec iov = { .iov_base = buf, .iov_len = n_bytes };

	/* Offset -1: at the file's position. 8: RWF_NOWAIT. */
	return CALL(SYS_preadv2, fd, &iov, 1, -1, -1, 8);
}

int ui_sys_memfd_create(const char *name, unsigned flags)
{
	return (int)CALL(SYS_memfd_create, name, flags, 0, 0, 0, 0);
}

int ui_sys_eventfd(unsigned initial, int flags)
{
	return (int)CALL(SYS_eventfd2, initial, flags, 0, 0, 0, 0);
}

ssize_t ui_sys_readlink(const char *path, char *buf, size_t n_bytes)
{
	return CALL(SYS_readlinkat, AT_FDCWD, path, buf, n_bytes, 0, 0);
}

/*
 * Where the library's own mappings go: where no kernel puts a program's by itself. In a gap of a program that gives addresses back
 * and takes them again with MAP_FIXED, as it may around calls that map nothing in a kernel, they would be overwritten. Only a
 * hint: what is taken or out of reach leaves the choice to the kernel. Away from what sanitizers use. Aligned so that large
 * pages fit, as the kernel does.
 */
static void *own_place(size_t length, u64 offset)
{
	const u64 base = 0x400000000000, span = (u64)1 << 44, page = 4096;
	u64 align = length >> 30 ? (u64)1 << 30 : length >> 21 ? (u64)1 << 21 : page;
	static _Atomic u64 next;
	/* As random as the library's own address. */
	u64 start = (u64)(uintptr_t)&next & (span / 2 - page);
	/* Relaxed: only that places differ matters. */
	u64 at = start + atomic_fetch_add_explicit(&next, ((length + page - 1) & ~(page - 1)) + page + align, memory_order_relaxed);

	at = ((at + align - 1) & ~(align - 1)) + (offset & (align - 1));
	return (void *)(uintptr_t)(base + (at & (span - 1)));
}

void *ui_sys_mmap(void *addr, size_t length, int prot, int flags, int fd, u64 offset)
{
	if (!addr && !(flags & MAP_FIXED))
		addr = own_place(length, offset);
	return (void *)CALL(SYS_mmap, addr, length, prot, flags, fd, offset);
}

void *ui_sys_mremap(void *old, size_t old_length, size_t new_length, int flags, void *to)
{
	return (void *)CALL(SYS_mremap, old, old_length, new_length, flags, to, 0);
}

int ui_sys_munmap(void *addr, size_t length)
{
	return (int)CALL(SYS_munmap, addr, length, 0, 0, 0, 0);
}

int ui_sys_madvise(void *addr, size_t length, int advice)
{
	return (int)CALL(SYS_madvise, addr, length, advice, 0, 0, 0);
}

int ui_sys_mprotect(void *addr, size_t length, int prot)
{
	return (int)CALL(SYS_mprotect, addr, length, prot, 0, 0, 0);
}

s64 ui_sys_fstype(int fd)
{
	struct statfs fs;
	long ret = CALL(SYS_fstatfs, fd, &fs, 0, 0, 0, 0);

	return ret ? ret : (s64)fs.f_type;
}

/* The kernel moves as much as it can in a call: less than all means that the next byte is bad. */
static int process_copy(long nr, pid_t pid, uintptr_t local, u64 remote, size_t n_bytes)
{
	while (n_bytes) {
		struct iovec here = { .iov_base = (void *)local, .iov_len = n_bytes };
		struct iovec there = { .iov_base = (void *)(uintptr_t)remote, .iov_len = n_bytes };
		long ret = CALL(nr, pid, &here, 1, &there, 1, 0);

		if (ret <= 0)
			return -EFAULT;
		local += (size_t)ret;
		remote += (size_t)ret;
		n_bytes -= (size_t)ret;
	}
	return 0;
}

int ui_sys_process_read(pid_t pid, void *dst, u64 addr, size_t n_bytes)
{
	return process_copy(SYS_process_vm_readv, pid, (uintptr_t)dst, addr, n_bytes);
}

int ui_sys_process_write(pid_t pid, u64 addr, const void *src, size_t n_bytes)
{
	return process_copy(SYS_process_vm_writev, pid, (uintptr_t)src, addr, n_bytes);
}

pid_t ui_sys_getpid(void)
{
	return (pid_t)CALL(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

pid_t ui_sys_gettid(void)
{
	return (pid_t)CALL(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

int ui_sys_futex_wait(const void *word, u32 expected, const struct timespec *timeout)
{
	return (int)CALL(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, timeout, 0, 0);
}

int ui_sys_futex_wake(const void *word, int n_waiters)
{
	return (int)CALL(SYS_futex, word, FUTEX_WAKE_PRIVATE, n_waiters, 0, 0, 0);
}

void ui_sys_sleep_ns(u64 ns)
{
	struct timespec ts = { .tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u) };

	CALL(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &ts, 0, 0, 0);
}

void ui_sys_yield(void)
{
	CALL(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
}
