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
struct rlimit;

int ui_sys_openat(int dirfd, const char *path, int flags, unsigned mode);
int ui_sys_close(int fd);
ssize_t ui_sys_read(int fd, void *buf, size_t n_bytes);
ssize_t ui_sys_write(int fd, const void *buf, size_t n_bytes);
ssize_t ui_sys_pread(int fd, void *buf, size_t n_bytes, u64 offset);
ssize_t ui_sys_pwrite(int fd, const void *buf, size_t n_bytes, u64 offset);
int ui_sys_ftruncate(int fd, u64 length);
int ui_sys_fdatasync(int fd);
int ui_sys_fallocate(int fd, int mode, u64 offset, u64 n_bytes);
int ui_sys_unlink(const char *path);
/* The current directory with its NUL; -ERANGE: @n_bytes are too few. */
int ui_sys_getcwd(char *buf, size_t n_bytes);
int ui_sys_fstat(int fd, struct stat *st);
int ui_sys_fcntl(int fd, int cmd, unsigned long arg);
/* The events of @events (POLLIN, ...) that @fd has now, or 0. Never waits. */
int ui_sys_poll_now(int fd, short events);
/* Waits until @a has one of @events or @b something to read, or one ended or failed. Negative numbers are left out. 0 or a negative
 * errno (-EINTR). */
int ui_sys_wait_two(int a, short events, int b);
/* Close-on-exec. */
int ui_sys_pipe(int fds[2]);
int ui_sys_ioctl(int fd, unsigned long cmd, unsigned long arg);
int ui_sys_userfaultfd(int flags);
/* The next byte from @offset on that is not in a hole, or a negative errno. */
s64 ui_sys_seek_data(int fd, u64 offset);
/* Entries of a directory: bytes read. ui_sys_dirent(): the name of the one at @at, and how long the entry is. */
ssize_t ui_sys_getdents(int fd, void *buf, size_t n_bytes);
size_t ui_sys_dirent(char *at, char **name);
/* Waits until the other end of a socket is closed everywhere. 0 or a negative errno. */
int ui_sys_wait_end(int fd);
/* Would a read return at once? */
bool ui_sys_readable_now(int fd);
/* read(2) that gives -EAGAIN instead of waiting, whatever O_NONBLOCK says; -EOPNOTSUPP where the kernel cannot. */
ssize_t ui_sys_read_nowait(int fd, void *buf, size_t n_bytes);
int ui_sys_memfd_create(const char *name, unsigned flags);
int ui_sys_eventfd(unsigned initial, int flags);
/* Two stream sockets of the local kind, close-on-exec and never waiting, tied to each other. */
int ui_sys_socketpair(int fds[2]);
/* Neither waits (-EAGAIN) nor raises SIGPIPE. */
ssize_t ui_sys_send_nowait(int fd, const void *buf, size_t n_bytes);
ssize_t ui_sys_recv_nowait(int fd, void *buf, size_t n_bytes);
/* A socket that listens at, or (@listens false) is connected to, the abstract local address @name; messages keep their bounds,
 * close-on-exec. The descriptor or a negative errno. */
int ui_sys_local_socket(const char *name, bool listens);
/* Never waits where ui_sys_local_socket() made @fd: -EAGAIN. */
int ui_sys_accept(int fd);
int ui_sys_shutdown(int fd);
/* One message of @n_bytes with a descriptor (@pass >= 0) or without. Never waits (-EAGAIN), no SIGPIPE. */
ssize_t ui_sys_send_fd(int fd, const void *buf, size_t n_bytes, int pass);
/* One message; 0 at the end. Never waits (-EAGAIN). *@passed: the first descriptor that came with it (close-on-exec), or -1; -EMFILE:
 * one came and there was no room for it. */
ssize_t ui_sys_recv_fd(int fd, void *buf, size_t n_bytes, int *passed);
/*
 * Up to @n_bytes of a stream, with the descriptors that came with them (close-on-exec) in @fds; 0 at the end. Never waits (-EAGAIN).
 * *@n_fds is more than @room, and none is kept, when more came than fit or some were lost.
 */
ssize_t ui_sys_recv_fds(int fd, void *buf, size_t n_bytes, int *fds, unsigned room, unsigned *n_fds);
/* Who connected, or who listened. 0 or a negative errno. */
int ui_sys_peer(int fd, pid_t *pid, u32 *uid);
int ui_sys_pidfd_open(pid_t pid);
int ui_sys_pidfd_getfd(int pidfd, int fd);
/* The smallest send buffer that the kernel allows. */
int ui_sys_shrink_sndbuf(int fd);
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
u32 ui_sys_getuid(void);
u32 ui_sys_geteuid(void);
/* The calling thread's effective capabilities, bit by bit. 0 or a negative errno. */
int ui_sys_capget(u64 *effective);
/* A limit (RLIMIT_*) of process @pid, 0: the caller. */
int ui_sys_getrlimit(pid_t pid, int resource, struct rlimit *limit);
int ui_sys_futex_wait(const void *word, u32 expected, const struct timespec *timeout);
int ui_sys_futex_wake(const void *word, int n_waiters);
void ui_sys_sleep_ns(u64 ns);
void ui_sys_yield(void);

UI_ALWAYS_INLINE bool ui_sys_is_err(const void *addr)
{
	return (uintptr_t)addr >= (uintptr_t)-4095;
}

#endif
