/* SPDX-License-Identifier: MIT */
/* Calls that take a descriptor. One that is not ours costs a look into the table. */
#include "shim/bind.h"
#include "shim/real.h"
#include "shim/shim.h"
#include "shim/vfs.h"
#include "base/sys.h"

#include <linux/close_range.h>
#include <stdarg.h>
#include <string.h>

UI_EXPORT int __fxstat(int version, int fd, struct stat *st);
UI_EXPORT int __fxstat64(int version, int fd, struct stat64 *st);
UI_EXPORT ssize_t __read_chk(int fd, void *buf, size_t n_bytes, size_t buf_bytes);
UI_EXPORT ssize_t __pread_chk(int fd, void *buf, size_t n_bytes, off_t offset, size_t buf_bytes);
UI_EXPORT ssize_t __pread64_chk(int fd, void *buf, size_t n_bytes, off64_t offset, size_t buf_bytes);

/* --- ioctl --- */

static bool our_type(unsigned long request)
{
	return (request >> 8 & 0xff) == ';';
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
	file = our_type(request) ? ui_fd_find(fd) : NULL;
	if (!file)
		return REAL(ioctl)(fd, request, arg);
	ui_shim_enter(&entry);
	ret = ui_file_ready(file);
	if (!ret)
		ret = ui_bind_ioctl(file, fd, (u32)request, (u64)arg);
	ui_file_put(file);
	ui_shim_leave(&entry);
	return (int)ui_shim_ret(ret);
}

/* --- closing --- */

/* A vfork child has its own descriptors but our memory: what it closes or duplicates there is no business of our table. */
static bool concerns_us(int fd)
{
	return ui_fd_ours(fd) && !ui_self_borrowed();
}

UI_EXPORT int close(int fd)
{
	struct ui_shim_entry entry;
	struct ui_file *file;
	int ret;

	if (ui_likely(!concerns_us(fd)))
		return REAL(close)(fd);
	ui_shim_enter(&entry);
	/* Out of the table first: once the kernel has closed it, the number may at once be somebody else's. */
	file = ui_fd_take(fd);
	ret = ui_sys_close(fd);
	if (file)
		ui_file_put(file);
	ui_shim_leave(&entry);
	return (int)ui_shim_ret(ret);
}

static void forget_range(unsigned first, unsigned last)
{
	int highest = ui_fd_highest();

	for (int fd = (int)first; highest >= 0 && fd >= 0 && fd <= highest && (unsigned)fd <= last; fd++)
		ui_fd_forget(fd);
}

UI_EXPORT int close_range(unsigned first, unsigned last, int flags)
{
	/* Taken out of the table before the kernel closes: another thread may get a number at once. */
	if (!(flags & (int)CLOSE_RANGE_CLOEXEC) && first <= last && first <= (unsigned)INT32_MAX)
		forget_range(first, last);
	return REAL(close_range)(first, last, flags);
}

UI_EXPORT void closefrom(int first)
{
	forget_range(first < 0 ? 0 : (unsigned)first, ~0u);
	REAL(closefrom)(first);
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

/* @to has become a duplicate of what @file was a moment ago (NULL: not ours). Takes over the reference. */
static int duplicated(int to, struct ui_file *file)
{
	struct ui_shim_entry entry;
	int ret = 0;

	if (to < 0 || !file || ui_self_borrowed()) {
		if (to >= 0)
			ui_fd_forget(to);
		if (file)
			ui_file_put(file);
		return to;
	}
	ui_shim_enter(&entry);
	ret = ui_fd_install(to, file);
	if (ret) {
		ui_sys_close(to);
		ui_file_put(file);
	}
	ui_shim_leave(&entry);
	return ret ? (int)ui_shim_ret(ret) : to;
}

UI_EXPORT int dup(int fd)
{
	struct ui_file *file = ui_fd_get(fd);

	return duplicated(REAL(dup)(fd), file);
}

UI_EXPORT int dup2(int fd, int to)
{
	struct ui_file *file = ui_fd_get(fd);
	int ret = REAL(dup2)(fd, to);

	if (fd == to) {
		/* Nothing was duplicated. */
		if (file)
			ui_file_put(file);
		return ret;
	}
	return duplicated(ret, file);
}

UI_EXPORT int dup3(int fd, int to, int flags)
{
	struct ui_file *file = ui_fd_get(fd);

	return duplicated(REAL(dup3)(fd, to, flags), file);
}

static int do_fcntl(int (*real)(int, int, ...), int fd, int cmd, void *arg)
{
	if (cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC) {
		struct ui_file *file = ui_fd_get(fd);

		return duplicated(real(fd, cmd, arg), file);
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
	struct ui_file *file;

	/* An adopted descriptor shows what it is even before its first ioctl: our memfds are regular files without a name. */
	if (ret || ui_likely(!S_ISREG(st->st_mode) || st->st_nlink))
		return ret;
	file = ui_fd_find(fd);
	if (!file)
		return 0;
	if (file->kind == UI_FILE_DIR)
		ui_vfs_stat(ui_vfs_at(file->index), st);
	else
		ui_vfs_device_stat(file->kind == UI_FILE_VFIO, file->index, st);
	ui_file_put(file);
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

/* Takes over the reference. @offset below 0: refused as the kernel does. */
static ssize_t transfer(struct ui_file *file, void *buf, size_t n_bytes, off_t offset, bool write)
{
	struct ui_shim_entry entry;
	s64 ret;

	ui_shim_enter(&entry);
	ret = offset < 0 ? -EINVAL : ui_file_ready(file);
	if (!ret && write)
		ret = ui_bind_pwrite(file, buf, n_bytes, (u64)offset);
	else if (!ret)
		ret = ui_bind_pread(file, buf, n_bytes, (u64)offset);
	ui_file_put(file);
	ui_shim_leave(&entry);
	return ui_shim_ret(ret);
}

/* At the descriptor's own position, which is the memfd's: shared by duplicates, as it must be. */
static ssize_t transfer_here(int fd, struct ui_file *file, void *buf, size_t n_bytes, bool write)
{
	off_t pos = REAL(lseek)(fd, 0, SEEK_CUR);
	ssize_t ret = transfer(file, buf, n_bytes, pos < 0 ? 0 : pos, write);

	if (ret > 0)
		REAL(lseek)(fd, pos + ret, SEEK_SET);
	return ret;
}

UI_EXPORT ssize_t read(int fd, void *buf, size_t n_bytes)
{
	struct ui_file *file = ui_fd_get(fd);

	return ui_likely(!file) ? REAL(read)(fd, buf, n_bytes) : transfer_here(fd, file, buf, n_bytes, false);
}

UI_EXPORT ssize_t write(int fd, const void *buf, size_t n_bytes)
{
	struct ui_file *file = ui_fd_get(fd);

	return ui_likely(!file) ? REAL(write)(fd, buf, n_bytes) : transfer_here(fd, file, (void *)(uintptr_t)buf, n_bytes, true);
}

UI_EXPORT ssize_t pread(int fd, void *buf, size_t n_bytes, off_t offset)
{
	struct ui_file *file = ui_fd_get(fd);

	return ui_likely(!file) ? REAL(pread)(fd, buf, n_bytes, offset) : transfer(file, buf, n_bytes, offset, false);
}

UI_EXPORT ssize_t pwrite(int fd, const void *buf, size_t n_bytes, off_t offset)
{
	struct ui_file *file = ui_fd_get(fd);

	return ui_likely(!file) ? REAL(pwrite)(fd, buf, n_bytes, offset) :
				  transfer(file, (void *)(uintptr_t)buf, n_bytes, offset, true);
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

/* Piece by piece, as the kernel does for files without vectored operations. */
static ssize_t vectored(int fd, struct ui_file *file, const struct iovec *iov, int n, off_t offset, bool here, bool write)
{
	ssize_t done = 0;

	for (int i = 0; i < n; i++) {
		ssize_t ret;

		if (here)
			ret = transfer_here(fd, ui_file_hold(file), iov[i].iov_base, iov[i].iov_len, write);
		else
			ret = transfer(ui_file_hold(file), iov[i].iov_base, iov[i].iov_len, offset + done, write);
		if (ret < 0 && !done)
			done = ret;
		else if (ret > 0)
			done += ret;
		if (ret < (ssize_t)iov[i].iov_len)
			break;
	}
	ui_file_put(file);
	return done;
}

UI_EXPORT ssize_t readv(int fd, const struct iovec *iov, int n)
{
	struct ui_file *file = ui_fd_get(fd);

	return ui_likely(!file) ? REAL(readv)(fd, iov, n) : vectored(fd, file, iov, n, 0, true, false);
}

UI_EXPORT ssize_t writev(int fd, const struct iovec *iov, int n)
{
	struct ui_file *file = ui_fd_get(fd);

	return ui_likely(!file) ? REAL(writev)(fd, iov, n) : vectored(fd, file, iov, n, 0, true, true);
}

UI_EXPORT ssize_t preadv(int fd, const struct iovec *iov, int n, off_t offset)
{
	struct ui_file *file = ui_fd_get(fd);

	return ui_likely(!file) ? REAL(preadv)(fd, iov, n, offset) : vectored(fd, file, iov, n, offset, false, false);
}

UI_EXPORT ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t offset)
{
	struct ui_file *file = ui_fd_get(fd);

	return ui_likely(!file) ? REAL(pwritev)(fd, iov, n, offset) : vectored(fd, file, iov, n, offset, false, true);
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

UI_EXPORT int ftruncate64(int fd, off64_t length)
{
	return ftruncate(fd, length);
}
