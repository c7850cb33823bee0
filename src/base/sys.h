/* SPDX-License-Identifier: MIT */
/*
 * System calls, made directly: the library never calls a libc symbol that the shim replaces, leaves errno alone and is
 * never a cancellation point. Every function returns what the kernel returned: a value or a negative errno.
 */
#ifndef UI_BASE_SYS_H
#define UI_BASE_SYS_H

#include "base/types.h"
#include <sys/types.h>

struct stat;
struct iovec;
struct timespec;

int ui_sys_openat(int dirfd, const char *path, int flags, unsigned mode);
int ui_sys_close(int fd);
ssize_t ui_sys_read(int fd, void *buf, size_t n_bytes);
ssize_t ui_sys_write(int fd, const void *buf, size_t n_bytes);
ssize_t ui_sys_pread(int fd, void *buf, size_t n_bytes, u64 offset);
ssize_t ui_sys_pwrite(int fd, const void *buf, size_t n_bytes, u64 offset);
int ui_sys_ftruncate(int fd, u64 length);
int ui_sys_fstat(int fd, struct stat *st);
int ui_sys_fcntl(int fd, int cmd, unsigned long arg);
/* The events of @events (POLLIN, ...) that @fd has now, or 0. Never waits. */
int ui_sys_poll_now(int fd, short events);
/* read(2) that gives -EAGAIN instead of waiting, whatever O_NONBLOCK says; -EOPNOTSUPP where the kernel cannot. */
ssize_t ui_sys_read_nowait(int fd, void *buf, size_t n_bytes);
int ui_sys_memfd_create(const char *name, unsigned flags);
int ui_sys_eventfd(unsigned initial, int flags);
ssize_t ui_sys_readlink(const char *path, char *buf, size_t n_bytes);
/* On success the address; on error (void *)-errno, told apart by ui_sys_is_err(). @addr NULL: apart from the program's mappings. */
void *ui_sys_mmap(void *addr, size_t length, int prot, int flags, int fd, u64 offset);
void *ui_sys_mremap(void *old, size_t old_length, size_t new_length, int flags, void *to);
int ui_sys_munmap(void *addr, size_t length);
int ui_sys_madvise(void *addr, size_t length, int advice);
int ui_sys_mprotect(void *addr, size_t length, int prot);
/* f_type of the file system that @fd lies on, or a negative errno. */
s64 ui_sys_fstype(int fd);
/* Whole ranges of another process's memory. 0; -EFAULT, also for a part; -ESRCH, -EPERM as -EFAULT. */
int ui_sys_process_read(pid_t pid, void *dst, u64 addr, size_t n_bytes);
int ui_sys_process_write(pid_t pid, u64 addr, const void *src, size_t n_bytes);
pid_t ui_sys_getpid(void);
pid_t ui_sys_gettid(void);
int ui_sys_futex_wait(const void *word, u32 expected, const struct timespec *timeout);
int ui_sys_futex_wake(const void *word, int n_waiters);
void ui_sys_sleep_ns(u64 ns);
void ui_sys_yield(void);

UI_ALWAYS_INLINE bool ui_sys_is_err(const void *addr)
{
	return (uintptr_t)addr >= (uintptr_t)-4095;
}

#endif
