/* SPDX-License-Identifier: MIT */
/*
 * The file behind an NVMe namespace. Its descriptor is the library's own (base/ownfd.h): it may be moved out of a program's way,
 * so its number is looked up and used under that lock.
 */
#include "devices/nvme_image.h"

#include "base/alloc.h"
#include "base/bits.h"
#include "base/ownfd.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { BLOCK_BYTES = 512 };

struct file {
	_Atomic int fd; /* ownfd's; -1: lost */
	u64 n_bytes;
};

static UI_PRINTF(4, 5) int fail(int ret, char *err, size_t err_bytes, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, err_bytes, fmt, ap);
	va_end(ap);
	return ret;
}

/* ---- options ---- */

/* "64M" to bytes: digits and at most one of K, M, G, T. */
static bool parse_size(const char *text, size_t len, u64 *bytes)
{
	static const char units[] = "KMGT";
	const char *unit;
	u64 val = 0;
	size_t i = 0;

	for (; i < len && text[i] >= '0' && text[i] <= '9'; i++) {
		if (__builtin_mul_overflow(val, 10, &val) || __builtin_add_overflow(val, (u64)(text[i] - '0'), &val))
			return false;
	}
	if (!i || !val || len - i > 1)
		return false;
	unit = i < len ? strchr(units, text[i]) : NULL;
	if (i < len && !unit)
		return false;
	for (size_t lg2 = unit ? (size_t)(unit - units + 1) * 10 : 0; lg2; lg2--) {
		if (val >> 62)
			return false;
		val *= 2;
	}
	*bytes = val;
	return val <= INT64_MAX && ui_is_aligned(val, BLOCK_BYTES);
}

/* One "key=value" of @len bytes. */
static int parse_item(const char *item, size_t len, struct ui_nvme_file_options *out, char *err, size_t err_bytes)
{
	const char *value = memchr(item, '=', len);
	size_t n = value ? len - (size_t)(++value - item) : 0;

	if (value && !strncmp(item, "file=", 5)) {
		if (!n || n >= sizeof(out->path))
			return fail(-EINVAL, err, err_bytes, "nvme: file= needs a name of 1 to %zu bytes", sizeof(out->path) - 1);
		memcpy(out->path, value, n);
		out->path[n] = 0;
	} else if (value && !strncmp(item, "size=", 5)) {
		if (!parse_size(value, n, &out->size_bytes))
			return fail(-EINVAL, err, err_bytes, "nvme: size \"%.*s\" is not like 64M, a multiple of %d bytes", (int)n, value,
				    BLOCK_BYTES);
	} else if (value && !strncmp(item, "ro=", 3)) {
		out->read_only = n == 2 && !memcmp(value, "on", 2);
		if (!out->read_only && !(n == 3 && !memcmp(value, "off", 3)))
			return fail(-EINVAL, err, err_bytes, "nvme: ro \"%.*s\" is not on or off", (int)n, value);
	} else {
		return fail(-EINVAL, err, err_bytes, "nvme: unknown option \"%.*s\"; known: file, size, ro", (int)len, item);
	}
	return 0;
}

int ui_nvme_file_parse(const char *options, struct ui_nvme_file_options *out, char *err, size_t err_bytes)
{
	*out = (struct ui_nvme_file_options){ 0 };
	while (options && *options) {
		size_t len = strcspn(options, ",");
		int ret = parse_item(options, len, out, err, err_bytes);

		if (ret)
			return ret;
		options += len + (options[len] == ',');
	}
	if (!out->path[0])
		return fail(-EINVAL, err, err_bytes, "nvme: file=PATH is missing: the image that the disk lies on");
	return 0;
}

/* ---- the file at work ---- */

static int transfer_error(ssize_t done, size_t n_bytes)
{
	return done == (ssize_t)n_bytes ? 0 : done < 0 ? (int)done : -EIO;
}

static int file_read(void *arg, void *buf, u64 n_bytes, u64 offset)
{
	struct file *file = arg;
	ssize_t done = 0, n;

	ui_ownfd_lock();
	do {
		n = ui_sys_pread(file->fd, (u8 *)buf + done, n_bytes - (u64)done, offset + (u64)done);
		done += n > 0 ? n : 0;
	} while (n == -EINTR || (n > 0 && (u64)done < n_bytes));
	ui_ownfd_unlock();
	return transfer_error(n < 0 ? n : done, n_bytes);
}

/* Under the lock, as what follows. A file that somebody cut must not grow again with a hole where data was. */
static int still_whole(const struct file *file, struct stat *st)
{
	int ret = ui_sys_fstat(file->fd, st);

	return ret ? ret : (u64)st->st_size < file->n_bytes ? -EIO : 0;
}

static int allocate(const struct file *file, int mode, u64 offset, u64 n_bytes)
{
	int ret;

	do {
		ret = ui_sys_fallocate(file->fd, mode | FALLOC_FL_KEEP_SIZE, offset, n_bytes);
	} while (ret == -EINTR);
	return ret == -ENOSYS ? -EOPNOTSUPP : ret;
}

/*
 * A write that fails half-way would leave half of a command behind, so what can be known is known before: the limit on files,
 * which would also raise a signal; and room on the disk where the file has holes. Where room cannot be asked for, it has to do without.
 */
static int make_room(const struct file *file, u64 offset, u64 n_bytes)
{
	struct rlimit limit;
	struct stat st;
	int ret = still_whole(file, &st);

	if (!ret)
		ret = ui_sys_getrlimit(0, RLIMIT_FSIZE, &limit);
	if (ret)
		return ret;
	if (limit.rlim_cur < offset + n_bytes)
		return -EFBIG;
	if ((u64)st.st_blocks * BLOCK_BYTES >= file->n_bytes)
		return 0;
	ret = allocate(file, 0, offset, n_bytes);
	return ret == -EOPNOTSUPP ? 0 : ret;
}

static int file_write(void *arg, const void *buf, u64 n_bytes, u64 offset)
{
	struct file *file = arg;
	ssize_t done = 0, n;

	ui_ownfd_lock();
	n = make_room(file, offset, n_bytes);
	while (!n || n == -EINTR || (n > 0 && (u64)done < n_bytes)) {
		n = ui_sys_pwrite(file->fd, (const u8 *)buf + done, n_bytes - (u64)done, offset + (u64)done);
		done += n > 0 ? n : 0;
		if (!n)
			break;
	}
	ui_ownfd_unlock();
	return transfer_error(n < 0 ? n : done, n_bytes);
}

static int file_flush(void *arg)
{
	struct file *file = arg;
	int ret;

	ui_ownfd_lock();
	do {
		ret = ui_sys_fdatasync(file->fd);
	} while (ret == -EINTR);
	ui_ownfd_unlock();
	return ret;
}

static int file_discard(void *arg, u64 offset, u64 n_bytes)
{
	struct file *file = arg;
	struct stat st;
	int ret;

	ui_ownfd_lock();
	ret = still_whole(file, &st);
	if (!ret)
		ret = allocate(file, FALLOC_FL_PUNCH_HOLE, offset, n_bytes);
	ui_ownfd_unlock();
	return ret;
}

static void file_close(void *arg)
{
	struct file *file = arg;

	ui_ownfd_close(&file->fd);
	ui_free(file);
}

static const struct ui_nvme_image_ops file_ops = {
	.read = file_read,
	.write = file_write,
	.flush = file_flush,
	.discard = file_discard,
	.close = file_close,
};

/* ---- opening ---- */

/* The descriptor, or a negative errno with its line. A file that was made here and could not get its size is gone again. */
static int open_or_make(const struct ui_nvme_file_options *o, char *err, size_t err_bytes)
{
	int flags = (o->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	int fd = ui_sys_openat(AT_FDCWD, o->path, flags, 0), ret;

	if (fd != -ENOENT || !o->size_bytes || o->read_only) {
		if (fd == -ENOENT && !o->read_only)
			return fail(fd, err, err_bytes, "nvme: %s: there is no such file; size=64M, say, would make it", o->path);
		return fd < 0 ? fail(fd, err, err_bytes, "nvme: %s: %s", o->path, strerror(-fd)) : fd;
	}
	fd = ui_sys_openat(AT_FDCWD, o->path, flags | O_CREAT | O_EXCL, 0666);
	if (fd == -EEXIST)
		fd = ui_sys_openat(AT_FDCWD, o->path, flags, 0);
	else if (fd >= 0 && (ret = ui_sys_ftruncate(fd, o->size_bytes)) != 0) {
		ui_sys_unlink(o->path);
		ui_sys_close(fd);
		fd = ret;
	}
	return fd < 0 ? fail(fd, err, err_bytes, "nvme: %s cannot be made: %s", o->path, strerror(-fd)) : fd;
}

/* The lock belongs to the open file, so a forked child's end does not take it away. */
static int take_lock(int fd, bool shared)
{
	struct flock lock = { .l_type = shared ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };
	int ret = ui_sys_fcntl(fd, F_OFD_SETLK, (unsigned long)&lock);

	return ret == -EAGAIN || ret == -EACCES ? -EBUSY : ret;
}

/* What kind of file it is, whether it is free, how large it is. */
static int examine(int fd, const struct ui_nvme_file_options *o, u64 *n_bytes, char *err, size_t err_bytes)
{
	struct stat st;
	int ret = ui_sys_fstat(fd, &st);

	if (!ret && !S_ISREG(st.st_mode))
		return fail(-EINVAL, err, err_bytes, "nvme: %s is not a regular file", o->path);
	if (!ret)
		ret = take_lock(fd, o->read_only);
	if (ret == -EBUSY)
		return fail(ret, err, err_bytes, "nvme: %s is in use already", o->path);
	/* A file system without locks is no reason not to use it. */
	if (ret && ret != -EINVAL && ret != -ENOLCK && ret != -EOPNOTSUPP)
		return fail(ret, err, err_bytes, "nvme: %s: %s", o->path, strerror(-ret));
	*n_bytes = ui_align_down((u64)st.st_size, BLOCK_BYTES);
	if (!*n_bytes)
		return fail(-EINVAL, err, err_bytes, "nvme: %s holds less than one block of %d bytes", o->path, BLOCK_BYTES);
	return 0;
}

int ui_nvme_file_open(const struct ui_nvme_file_options *options, struct ui_nvme_image *image, char *err, size_t err_bytes)
{
	int fd = open_or_make(options, err, err_bytes), ret;
	struct file *file;
	u64 n_bytes = 0;

	if (fd < 0)
		return fd;
	ret = examine(fd, options, &n_bytes, err, err_bytes);
	file = ret ? NULL : ui_zalloc(sizeof(*file));
	if (!file) {
		ui_sys_close(fd);
		return ret ? ret : fail(-ENOMEM, err, err_bytes, "nvme: out of memory");
	}
	file->n_bytes = n_bytes;
	ret = ui_ownfd_keep(fd, &file->fd);
	if (ret) {
		ui_free(file);
		return fail(ret, err, err_bytes, "nvme: %s: %s", options->path, strerror(-ret));
	}
	*image = (struct ui_nvme_image){ .ops = &file_ops, .arg = file, .n_bytes = n_bytes, .read_only = options->read_only };
	return 0;
}
