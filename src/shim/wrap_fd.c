/* SPDX-License-Identifier: MIT */
/* Calls that take a descriptor. One that is not ours costs a look into the table. */
#include "shim/bind.h"
#include "shim/faults.h"
#include "shim/kvm.h"
#include "shim/objfile.h"
#include "shim/real.h"
#include "shim/shim.h"
#include "shim/vfs.h"
#include "base/safe.h"
#include "base/sys.h"

#include <limits.h>
#include <linux/close_range.h>
#include <stdarg.h>
#include <string.h>

UI_EXPORT int __fxstat(int version, int fd, struct stat *st);
UI_EXPORT int __fxstat64(int version, int fd, struct stat64 *st);
UI_EXPORT ssize_t __read_chk(int fd, void *buf, size_t n_bytes, size_t buf_bytes);
UI_EXPORT ssize_t __pread_chk(int fd, void *buf, size_t n_bytes, off_t offset, size_t buf_bytes);
UI_EXPORT ssize_t __pread64_chk(int fd, void *buf, size_t n_bytes, off64_t offset, size_t buf_bytes);

/*
 * The file behind @fd with an entry into the library begun, or NULL and nothing begun. The entry comes first: a handler that
 * jumps away would leave the reference behind.
 */
static struct ui_file *begin(int fd, struct ui_shim_entry *entry)
{
	struct ui_file *file;

	if (ui_likely(!ui_fd_ours(fd)))
		return NULL;
	ui_shim_enter(entry);
	file = ui_fd_get(fd);
	if (!file)
		ui_shim_leave(entry);
	return file;
}

static void end(struct ui_file *file, const struct ui_shim_entry *entry)
{
	ui_file_put(file);
	ui_shim_leave(entry);
}

/* --- ioctl --- */

static bool our_type(unsigned long request)
{
	return (request >> 8 & 0xff) == ';';
}

static int kvm_set_attr(int fd, unsigned long request, void *arg)
{
	struct ui_shim_entry entry;
	int ret = REAL(ioctl)(fd, request, arg);
	long answer = -errno;

	if (ret >= 0 || ui_self_borrowed())
		return ret;
	ui_shim_enter(&entry);
	answer = ui_kvm_set_attr(fd, (u64)arg, answer);
	ui_shim_leave(&entry);
	return (int)ui_shim_ret(answer);
}

UI_EXPORT int ioctl(int fd, unsigned long request, ...)
{
	struct ui_shim_entry entry;
	struct ui_file *file;
	va_list ap;
	void *arg;
	long ret;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (ui_likely(!our_type(request)) || !ui_shim_served()) {
		if (ui_unlikely((u32)request == UI_KVM_SET_DEVICE_ATTR) && ui_shim_served())
			return kvm_set_attr(fd, request, arg);
		return REAL(ioctl)(fd, request, arg);
	}
	ui_shim_enter(&entry);
	file = ui_fd_find(fd);
	if (!file) {
		ui_shim_leave(&entry);
		return REAL(ioctl)(fd, request, arg);
	}
	ret = ui_file_ready(file);
	if (!ret)
		ret = ui_bind_ioctl(file, fd, (u32)request, (u64)arg);
	end(file, &entry);
	return (int)ui_shim_ret(ret);
}

/* --- closing --- */

/* A vfork child has its own descriptors but our memory: what it closes or duplicates there is no business of our table. */
static bool concerns_us(int fd)
{
	return ui_fd_ours(fd) && !ui_self_borrowed();
}

/* A descriptor of the library's own, in this process? */
static bool is_own(int fd)
{
	struct ui_shim_entry entry;
	bool is;

	if (ui_likely(!ui_ownfd_maybe(fd)) || ui_self_borrowed())
		return false;
	ui_shim_enter(&entry);
	is = ui_ownfd_is(fd);
	ui_shim_leave(&entry);
	return is;
}

UI_EXPORT int close(int fd)
{
	struct ui_shim_entry entry;
	struct ui_file *file;
	int ret;

	if (ui_likely(!concerns_us(fd))) {
		if (ui_unlikely(ui_kvm_used()))
			ui_kvm_closed((unsigned)fd, (unsigned)fd);
		if (ui_likely(!is_own(fd)))
			return REAL(close)(fd);
		errno = EBADF; /* the program opened nothing there */
		return -1;
	}
	ui_shim_enter(&entry);
	/* Out of the table first: once the kernel has closed it, the number may at once be somebody else's. */
	file = ui_fd_take(fd);
	ret = ui_sys_close(fd);
	ui_fd_taken(fd);
	if (file)
		ui_file_put(file);
	ui_shim_leave(&entry);
	return (int)ui_shim_ret(ret);
}

static void forget_range(unsigned first, unsigned last)
{
	int highest = ui_fd_highest();

	if (ui_unlikely(ui_kvm_used()))
		ui_kvm_closed(first, last);
	for (int fd = (int)first; highest >= 0 && fd >= 0 && fd <= highest && (unsigned)fd <= last; fd++) {
		if (ui_fd_ours(fd))
			ui_fd_forget(fd);
	}
}

/* The lowest descriptor of our own in the range, or -1. */
static int own_in(unsigned first, unsigned last)
{
	struct ui_shim_entry entry;
	int own;

	if (ui_likely(!ui_ownfd_maybe(INT_MAX - 1)) || ui_self_borrowed())
		return -1;
	ui_shim_enter(&entry);
	own = ui_ownfd_next(first, last);
	ui_shim_leave(&entry);
	return own;
}

/* Piece by piece around those of our own. */
UI_EXPORT int close_range(unsigned first, unsigned last, int flags)
{
	int own, ret = 0;

	if (flags & (int)CLOSE_RANGE_CLOEXEC || first > last || first > (unsigned)INT32_MAX)
		return REAL(close_range)(first, last, flags);
	/* Taken out of the table before the kernel closes: another thread may get a number at once. */
	forget_range(first, last);
	while (!ret && (own = own_in(first, last)) >= 0) {
		if ((unsigned)own > first)
			ret = REAL(close_range)(first, (unsigned)own - 1, flags);
		first = (unsigned)own + 1;
	}
	return ret || first > last ? ret : REAL(close_range)(first, last, flags);
}

UI_EXPORT void closefrom(int first)
{
	unsigned at = first < 0 ? 0 : (unsigned)first;
	int own;

	forget_range(at, ~0u);
	while ((own = own_in(at, INT32_MAX)) >= 0) {
		if ((unsigned)own > at && REAL(close_range)(at, (unsigned)own - 1, 0)) {
			/* A kernel without close_range(). */
			for (unsigned fd = at; fd < (unsigned)own; fd++)
				REAL(close)((int)fd);
		}
		at = (unsigned)own + 1;
	}
	REAL(closefrom)((int)at);
}

UI_EXPORT int fclose(FILE *stream)
{
	int fd = stream ? fileno(stream) : -1;
	bool ours = fd >= 0 && concerns_us(fd);

	if (ours)
		ui_fd_forget(fd);
	return REAL(fclose)(stream);
}

/* --- duplicating --- */

/* Another thread may have put something else behind the number before the kernel duplicated it. */
static bool still(int fd, const struct ui_file *file)
{
	struct stat st;

	return !ui_sys_fstat(fd, &st) && st.st_ino == file->ino;
}

/* Ends what begin() began: @to has become a duplicate of what @file was a moment ago (NULL: not ours, nothing begun). */
static int duplicated(int to, struct ui_file *file, const struct ui_shim_entry *entry)
{
	int ret;

	if (to >= 0 && ui_unlikely(ui_kvm_used()))
		ui_kvm_closed((unsigned)to, (unsigned)to);
	if (!file) {
		if (to >= 0)
			ui_fd_forget(to);
		return to;
	}
	if (to < 0 || ui_self_borrowed() || !still(to, file)) {
		if (to >= 0)
			ui_fd_forget(to);
		end(file, entry);
		return to;
	}
	ret = ui_fd_install(to, file);
	if (ret) {
		ui_sys_close(to);
		ui_file_put(file);
	}
	ui_shim_leave(entry);
	return ret ? (int)ui_shim_ret(ret) : to;
}

UI_EXPORT int dup(int fd)
{
	struct ui_shim_entry entry;
	struct ui_file *file = begin(fd, &entry);

	return duplicated(REAL(dup)(fd), file, &entry);
}

static void make_way(int to)
{
	struct ui_shim_entry entry;

	if (ui_likely(!ui_ownfd_maybe(to)) || ui_self_borrowed())
		return;
	ui_shim_enter(&entry);
	ui_ownfd_make_way(to);
	ui_shim_leave(&entry);
}

UI_EXPORT int dup2(int fd, int to)
{
	struct ui_shim_entry entry;
	struct ui_file *file;

	if (fd == to)
		return REAL(dup2)(fd, to); /* nothing is duplicated */
	make_way(to);
	file = begin(fd, &entry);
	return duplicated(REAL(dup2)(fd, to), file, &entry);
}

UI_EXPORT int dup3(int fd, int to, int flags)
{
	struct ui_shim_entry entry;
	struct ui_file *file;

	make_way(to);
	file = begin(fd, &entry);
	return duplicated(REAL(dup3)(fd, to, flags), file, &entry);
}

static int do_fcntl(int (*real)(int, int, ...), int fd, int cmd, void *arg)
{
	if (cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC) {
		struct ui_shim_entry entry;
		struct ui_file *file = begin(fd, &entry);

		return duplicated(real(fd, cmd, arg), file, &entry);
	}
	return real(fd, cmd, arg);
}

UI_EXPORT int fcntl(int fd, int cmd, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, cmd);
	arg = va_arg(ap, void *);
	va_end(ap);
	return do_fcntl(REAL(fcntl), fd, cmd, arg);
}

UI_EXPORT int fcntl64(int fd, int cmd, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, cmd);
	arg = va_arg(ap, void *);
	va_end(ap);
	return do_fcntl(REAL(fcntl64), fd, cmd, arg);
}

/* --- stat --- */

UI_EXPORT int fstat(int fd, struct stat *st)
{
	int ret = REAL(fstat)(fd, st);
	struct ui_shim_entry entry;
	struct ui_file *file;

	/* An adopted descriptor shows what it is even before its first ioctl: our memfds are regular files without a name. */
	if (ret || ui_likely(!S_ISREG(st->st_mode) || st->st_nlink) || !ui_shim_served()) {
		if (ui_likely(ret || !S_ISSOCK(st->st_mode) || !ui_fd_ours(fd)))
			return ret;
	}
	ui_shim_enter(&entry);
	file = ui_fd_find(fd);
	if (file && file->kind == UI_FILE_DIR)
		ui_vfs_stat(ui_vfs_at(file->index), st);
	else if (file && file->kind == UI_FILE_OBJECT)
		ui_object_stat(file, st);
	else if (file && file->kind == UI_FILE_FAULTS)
		ui_faults_stat(st);
	else if (file)
		ui_vfs_device_stat(file->kind, file->index, st);
	if (file)
		ui_file_put(file);
	ui_shim_leave(&entry);
	return 0;
}

UI_EXPORT int fstat64(int fd, struct stat64 *st)
{
	return fstat(fd, (struct stat *)st);
}

UI_EXPORT int __fxstat(int version, int fd, struct stat *st)
{
	return fstat(fd, st);
}

UI_EXPORT int __fxstat64(int version, int fd, struct stat64 *st)
{
	return fstat(fd, (struct stat *)st);
}

/* --- reading and writing --- */

static s64 transfer_at(struct ui_file *file, void *buf, size_t n_bytes, off_t offset, bool write)
{
	s64 ret = offset < 0 || n_bytes > SSIZE_MAX ? -EINVAL : ui_file_ready(file);

	if (ret)
		return ret;
	return write ? ui_bind_pwrite(file, buf, n_bytes, (u64)offset) : ui_bind_pread(file, buf, n_bytes, (u64)offset);
}

/* @offset below 0: refused as the kernel does. */
static s64 transfer(struct ui_file *file, void *buf, size_t n_bytes, off_t offset, bool write)
{
	return file->kind == UI_FILE_OBJECT && offset >= 0 ? -ESPIPE : transfer_at(file, buf, n_bytes, offset, write);
}

/* At the descriptor's own position, which is the memfd's: shared by duplicates, as it must be. */
static s64 transfer_here(int fd, struct ui_file *file, void *buf, size_t n_bytes, bool write)
{
	off_t pos = file->kind == UI_FILE_OBJECT ? 0 : REAL(lseek)(fd, 0, SEEK_CUR);
	s64 ret = transfer_at(file, buf, n_bytes, pos < 0 ? 0 : pos, write);

	if (ret > 0 && file->kind != UI_FILE_OBJECT)
		REAL(lseek)(fd, pos + ret, SEEK_SET);
	return ret;
}

/* Ends what begin() began. @here: at the descriptor's position. */
static ssize_t one(int fd, struct ui_file *file, const struct ui_shim_entry *entry, const void *buf, size_t n_bytes,
		   bool here, off_t offset, bool write)
{
	void *bytes = (void *)(uintptr_t)buf;
	s64 ret = here ? transfer_here(fd, file, bytes, n_bytes, write) : transfer(file, bytes, n_bytes, offset, write);

	end(file, entry);
	return ui_shim_ret(ret);
}

UI_EXPORT ssize_t read(int fd, void *buf, size_t n_bytes)
{
	struct ui_shim_entry entry;
	struct ui_file *file = begin(fd, &entry);

	return ui_likely(!file) ? REAL(read)(fd, buf, n_bytes) : one(fd, file, &entry, buf, n_bytes, true, 0, false);
}

UI_EXPORT ssize_t write(int fd, const void *buf, size_t n_bytes)
{
	struct ui_shim_entry entry;
	struct ui_file *file = begin(fd, &entry);

	return ui_likely(!file) ? REAL(write)(fd, buf, n_bytes) : one(fd, file, &entry, buf, n_bytes, true, 0, true);
}

UI_EXPORT ssize_t pread(int fd, void *buf, size_t n_bytes, off_t offset)
{
	struct ui_shim_entry entry;
	struct ui_file *file = begin(fd, &entry);

	return ui_likely(!file) ? REAL(pread)(fd, buf, n_bytes, offset) : one(fd, file, &entry, buf, n_bytes, false, offset, false);
}

UI_EXPORT ssize_t pwrite(int fd, const void *buf, size_t n_bytes, off_t offset)
{
	struct ui_shim_entry entry;
	struct ui_file *file = begin(fd, &entry);

	return ui_likely(!file) ? REAL(pwrite)(fd, buf, n_bytes, offset) : one(fd, file, &entry, buf, n_bytes, false, offset, true);
}

UI_EXPORT ssize_t pread64(int fd, void *buf, size_t n_bytes, off64_t offset)
{
	return pread(fd, buf, n_bytes, offset);
}

UI_EXPORT ssize_t pwrite64(int fd, const void *buf, size_t n_bytes, off64_t offset)
{
	return pwrite(fd, buf, n_bytes, offset);
}

UI_EXPORT ssize_t __read_chk(int fd, void *buf, size_t n_bytes, size_t buf_bytes)
{
	ui_assert(n_bytes <= buf_bytes);
	return read(fd, buf, n_bytes);
}

UI_EXPORT ssize_t __pread_chk(int fd, void *buf, size_t n_bytes, off_t offset, size_t buf_bytes)
{
	ui_assert(n_bytes <= buf_bytes);
	return pread(fd, buf, n_bytes, offset);
}

UI_EXPORT ssize_t __pread64_chk(int fd, void *buf, size_t n_bytes, off64_t offset, size_t buf_bytes)
{
	ui_assert(n_bytes <= buf_bytes);
	return pread(fd, buf, n_bytes, offset);
}

/* Piece by piece, as the kernel does for files without vectored operations. Ends what begin() began. */
static ssize_t vectored(int fd, struct ui_file *file, const struct ui_shim_entry *entry, const struct iovec *iov, int n,
			bool here, off_t offset, bool write)
{
	s64 done = n < 0 || n > IOV_MAX ? -EINVAL : ui_file_ready(file);

	for (int i = 0; done >= 0 && i < n; i++) {
		struct iovec v;
		s64 ret = ui_safe_copy(&v, &iov[i], sizeof(v));

		if (!ret)
			ret = here ? transfer_here(fd, file, v.iov_base, v.iov_len, write) :
				     transfer(file, v.iov_base, v.iov_len, offset + done, write);
		if (ret < 0) {
			done = done ? done : ret;
			break;
		}
		done += ret;
		if ((size_t)ret < v.iov_len)
			break;
	}
	end(file, entry);
	return ui_shim_ret(done);
}

UI_EXPORT ssize_t readv(int fd, const struct iovec *iov, int n)
{
	struct ui_shim_entry entry;
	struct ui_file *file = begin(fd, &entry);

	return ui_likely(!file) ? REAL(readv)(fd, iov, n) : vectored(fd, file, &entry, iov, n, true, 0, false);
}

UI_EXPORT ssize_t writev(int fd, const struct iovec *iov, int n)
{
	struct ui_shim_entry entry;
	struct ui_file *file = begin(fd, &entry);

	return ui_likely(!file) ? REAL(writev)(fd, iov, n) : vectored(fd, file, &entry, iov, n, true, 0, true);
}

UI_EXPORT ssize_t preadv(int fd, const struct iovec *iov, int n, off_t offset)
{
	struct ui_shim_entry entry;
	struct ui_file *file = begin(fd, &entry);

	return ui_likely(!file) ? REAL(preadv)(fd, iov, n, offset) : vectored(fd, file, &entry, iov, n, false, offset, false);
}

UI_EXPORT ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t offset)
{
	struct ui_shim_entry entry;
	struct ui_file *file = begin(fd, &entry);

	return ui_likely(!file) ? REAL(pwritev)(fd, iov, n, offset) : vectored(fd, file, &entry, iov, n, false, offset, true);
}

UI_EXPORT ssize_t preadv64(int fd, const struct iovec *iov, int n, off64_t offset)
{
	return preadv(fd, iov, n, offset);
}

UI_EXPORT ssize_t pwritev64(int fd, const struct iovec *iov, int n, off64_t offset)
{
	return pwritev(fd, iov, n, offset);
}

UI_EXPORT int ftruncate(int fd, off_t length)
{
	if (ui_unlikely(ui_fd_ours(fd))) {
		errno = EINVAL; /* a character device */
		return -1;
	}
	return REAL(ftruncate)(fd, length);
}

/* These files have no position; only the memory of a dma-buf says its length. */
UI_EXPORT off_t lseek(int fd, off_t offset, int whence)
{
	struct ui_shim_entry entry;
	struct ui_file *file = begin(fd, &entry);
	bool seekable;

	if (ui_likely(!file))
		return REAL(lseek)(fd, offset, whence);
	seekable = file->kind == UI_FILE_DIR || file->kind == UI_FILE_FAULTS || (file->kind == UI_FILE_OBJECT && ui_object_bytes(file));
	end(file, &entry);
	if (!seekable) {
		errno = ESPIPE;
		return -1;
	}
	return REAL(lseek)(fd, offset, whence);
}

UI_EXPORT off64_t lseek64(int fd, off64_t offset, int whence)
{
	return lseek(fd, offset, whence);
}

UI_EXPORT int ftruncate64(int fd, off64_t length)
{
	return ftruncate(fd, length);
}
