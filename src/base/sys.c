/* SPDX-License-Identifier: MIT */
#include "base/sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/uio.h>
#include <sys/un.h>
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

int ui_sys_fdatasync(int fd)
{
	return (int)CALL(SYS_fdatasync, fd, 0, 0, 0, 0, 0);
}

int ui_sys_fallocate(int fd, int mode, u64 offset, u64 n_bytes)
{
	return (int)CALL(SYS_fallocate, fd, mode, offset, n_bytes, 0, 0);
}

int ui_sys_unlink(const char *path)
{
	return (int)CALL(SYS_unlinkat, AT_FDCWD, path, 0, 0, 0, 0);
}

int ui_sys_getcwd(char *buf, size_t n_bytes)
{
	long ret = CALL(SYS_getcwd, buf, n_bytes, 0, 0, 0, 0);

	return ret < 0 ? (int)ret : 0;
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

int ui_sys_pipe(int fds[2])
{
	return (int)CALL(SYS_pipe2, fds, O_CLOEXEC, 0, 0, 0, 0);
}

int ui_sys_ioctl(int fd, unsigned long cmd, unsigned long arg)
{
	return (int)CALL(SYS_ioctl, fd, cmd, arg, 0, 0, 0);
}

int ui_sys_userfaultfd(int flags)
{
	return (int)CALL(SYS_userfaultfd, flags, 0, 0, 0, 0, 0);
}

s64 ui_sys_seek_data(int fd, u64 offset)
{
	return CALL(SYS_lseek, fd, offset, SEEK_DATA, 0, 0, 0);
}

ssize_t ui_sys_getdents(int fd, void *buf, size_t n_bytes)
{
	return CALL(SYS_getdents64, fd, buf, n_bytes, 0, 0, 0);
}

size_t ui_sys_dirent(char *at, char **name)
{
	struct dirent64 *entry = (struct dirent64 *)(void *)at;

	*name = entry->d_name;
	return entry->d_reclen;
}

int ui_sys_wait_end(int fd)
{
	struct pollfd pfd = { .fd = fd };
	int ret = (int)CALL(SYS_ppoll, &pfd, 1, NULL, NULL, 0, 0);

	return ret < 0 ? ret : 0;
}

bool ui_sys_readable_now(int fd)
{
	return ui_sys_poll_now(fd, POLLIN) > 0;
}

int ui_sys_wait_two(int a, short events, int b)
{
	struct pollfd fds[2] = { { .fd = a, .events = events }, { .fd = b, .events = POLLIN } };
	int ret = (int)CALL(SYS_ppoll, fds, 2, NULL, NULL, 0, 0);

	return ret < 0 ? ret : 0;
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

int ui_sys_socketpair(int fds[2])
{
	return (int)CALL(SYS_socketpair, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds, 0, 0);
}

ssize_t ui_sys_send_nowait(int fd, const void *buf, size_t n_bytes)
{
	return CALL(SYS_sendto, fd, buf, n_bytes, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0);
}

ssize_t ui_sys_recv_nowait(int fd, void *buf, size_t n_bytes)
{
	return CALL(SYS_recvfrom, fd, buf, n_bytes, MSG_DONTWAIT, 0, 0);
}

int ui_sys_local_socket(const char *name, bool listens)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	socklen_t n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
	int fd, ret;

	if (strlen(name) >= sizeof(addr.sun_path))
		return -EINVAL;
	memcpy(addr.sun_path + 1, name, strlen(name)); /* a name that begins with 0 is in no file system */
	fd = (int)CALL(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | (listens ? SOCK_NONBLOCK : 0), 0, 0, 0, 0);
	if (fd < 0)
		return fd;
	ret = (int)CALL(listens ? SYS_bind : SYS_connect, fd, &addr, n, 0, 0, 0);
	if (!ret && listens)
		ret = (int)CALL(SYS_listen, fd, 64, 0, 0, 0, 0);
	if (ret)
		ui_sys_close(fd);
	return ret ? ret : fd;
}

int ui_sys_accept(int fd)
{
	return (int)CALL(SYS_accept4, fd, NULL, NULL, SOCK_CLOEXEC, 0, 0);
}

int ui_sys_shutdown(int fd)
{
	return (int)CALL(SYS_shutdown, fd, SHUT_RDWR, 0, 0, 0, 0);
}

ssize_t ui_sys_send_fd(int fd, const void *buf, size_t n_bytes, int pass)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)buf, n_bytes };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t ret;

	if (pass >= 0) {
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.head), &pass, sizeof(pass));
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control.room);
	}
	do {
		ret = CALL(SYS_sendmsg, fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT, 0, 0, 0);
	} while (ret == -EINTR);
	return ret;
}

ssize_t ui_sys_recv_fd(int fd, void *buf, size_t n_bytes, int *passed)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { buf, n_bytes };
	/* The padding of the room would do for a second one, which nobody would close. */
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_LEN(sizeof(int)) };
	ssize_t ret;

	*passed = -1;
	do {
		ret = CALL(SYS_recvmsg, fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT, 0, 0, 0);
	} while (ret == -EINTR);
	if (ret >= 0 && msg.msg_flags & MSG_CTRUNC)
		*passed = -EMFILE;
	if (ret >= 0 && msg.msg_controllen >= sizeof(control.head) && control.head.cmsg_level == SOL_SOCKET &&
	    control.head.cmsg_type == SCM_RIGHTS && control.head.cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(passed, CMSG_DATA(&control.head), sizeof(*passed));
	return ret;
}

/* Takes what a control message brought; those beyond @room are closed. */
static unsigned take_fds(struct cmsghdr *cmsg, int *fds, unsigned room, unsigned n)
{
	size_t many = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);

	for (size_t i = 0; i < many; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(fd), sizeof(fd));
		if (n < room)
			fds[n] = fd;
		else
			ui_sys_close(fd);
		n++;
	}
	return n;
}

ssize_t ui_sys_recv_fds(int fd, void *buf, size_t n_bytes, int *fds, unsigned room, unsigned *n_fds)
{
	enum { KERNEL_MAX = 253 }; /* descriptors in a message */
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(KERNEL_MAX * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { buf, n_bytes };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	unsigned n = 0;
	ssize_t ret;

	do {
		ret = CALL(SYS_recvmsg, fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT, 0, 0, 0);
	} while (ret == -EINTR);
	if (ret >= 0) {
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
			if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
				n = take_fds(c, fds, room, n);
		}
		if (n > room || (msg.msg_flags & MSG_CTRUNC)) {
			for (unsigned i = 0; i < n && i < room; i++)
				ui_sys_close(fds[i]);
			n = room + 1;
		}
	}
	*n_fds = n;
	return ret;
}

int ui_sys_peer(int fd, pid_t *pid, u32 *uid)
{
	struct ucred cred = { 0 };
	socklen_t n = sizeof(cred);
	int ret = (int)CALL(SYS_getsockopt, fd, SOL_SOCKET, SO_PEERCRED, &cred, &n, 0);

	*pid = cred.pid;
	*uid = cred.uid;
	return ret;
}

int ui_sys_pidfd_open(pid_t pid)
{
	return (int)CALL(SYS_pidfd_open, pid, 0, 0, 0, 0, 0);
}

int ui_sys_pidfd_getfd(int pidfd, int fd)
{
	return (int)CALL(SYS_pidfd_getfd, pidfd, fd, 0, 0, 0, 0);
}

int ui_sys_shrink_sndbuf(int fd)
{
	int least = 1;

	return (int)CALL(SYS_setsockopt, fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least), 0);
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

u32 ui_sys_getuid(void)
{
	return (u32)CALL(SYS_getuid, 0, 0, 0, 0, 0, 0);
}

u32 ui_sys_geteuid(void)
{
	return (u32)CALL(SYS_geteuid, 0, 0, 0, 0, 0, 0);
}

int ui_sys_capget(u64 *effective)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	int ret = (int)CALL(SYS_capget, &head, data, 0, 0, 0, 0);

	if (!ret)
		*effective = (u64)data[1].effective << 32 | data[0].effective;
	return ret;
}

int ui_sys_getrlimit(pid_t pid, int resource, struct rlimit *limit)
{
	return (int)CALL(SYS_prlimit64, pid, resource, 0, limit, 0, 0);
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
