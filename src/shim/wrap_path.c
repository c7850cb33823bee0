/* SPDX-License-Identifier: MIT */
/* Calls that take a path. Ours are answered from the table of vfs.c, all others go to the kernel as they are. */
#include "shim/real.h"
#include "shim/shim.h"
#include "shim/vfs.h"
#include "base/sys.h"

#include <stdarg.h>
#include <string.h>
#include <sys/sysmacros.h>

/* What libc declares only under fortification, or no longer. */
UI_EXPORT int __open_2(const char *path, int flags);
UI_EXPORT int __open64_2(const char *path, int flags);
UI_EXPORT int __openat_2(int dirfd, const char *path, int flags);
UI_EXPORT int __openat64_2(int dirfd, const char *path, int flags);
UI_EXPORT int __xstat(int version, const char *path, struct stat *st);
UI_EXPORT int __xstat64(int version, const char *path, struct stat64 *st);
UI_EXPORT int __lxstat(int version, const char *path, struct stat *st);
UI_EXPORT int __lxstat64(int version, const char *path, struct stat64 *st);
UI_EXPORT int __fxstatat(int version, int dirfd, const char *path, struct stat *st, int flags);
UI_EXPORT int __fxstatat64(int version, int dirfd, const char *path, struct stat64 *st, int flags);
UI_EXPORT char *__realpath_chk(const char *path, char *resolved, size_t n_bytes);
UI_EXPORT ssize_t __readlink_chk(const char *path, char *buf, size_t n_bytes, size_t buf_bytes);
UI_EXPORT ssize_t __readlinkat_chk(int dirfd, const char *path, char *buf, size_t n_bytes, size_t buf_bytes);

_Static_assert(sizeof(struct stat) == sizeof(struct stat64), "one layout for both");

void *__real_malloc(size_t n_bytes); /* the program's: it frees what realpath() gives */

static int answer_errno(enum ui_vfs_answer answer)
{
	errno = answer == UI_VFS_LOOP ? ELOOP : ENOTDIR;
	return -1;
}

/* --- open --- */

enum opener { OPEN, OPEN64, OPENAT, OPENAT64 };

static int pass_open(enum opener how, int dirfd, const char *path, int flags, mode_t mode)
{
	switch (how) {
	case OPEN:
		return REAL(open)(path, flags, mode);
	case OPEN64:
		return REAL(open64)(path, flags, mode);
	case OPENAT:
		return REAL(openat)(dirfd, path, flags, mode);
	default:
		return REAL(openat64)(dirfd, path, flags, mode);
	}
}

static int do_open(enum opener how, int dirfd, const char *path, int flags, mode_t mode)
{
	char out[UI_VFS_PATH_BYTES];
	const struct ui_vfs_node *node;
	struct ui_shim_entry entry;
	enum ui_vfs_answer answer = ui_vfs_find(dirfd, path, !(flags & O_NOFOLLOW), &node, out);
	int fd;

	switch (answer) {
	case UI_VFS_NODE:
		ui_shim_enter(&entry);
		fd = ui_vfs_open(node, flags);
		ui_shim_leave(&entry);
		if (fd >= 0 && (node->kind == UI_VFS_FILE || node->kind == UI_VFS_CONFIG))
			ui_fd_forget(fd);
		return (int)ui_shim_ret(fd);
	case UI_VFS_OTHER:
	case UI_VFS_PATH:
		fd = pass_open(how, dirfd, answer == UI_VFS_PATH ? out : path, flags, mode);
		/* The kernel gave out this number: whatever we thought it was, it is not any more. */
		if (fd >= 0)
			ui_fd_forget(fd);
		return fd;
	default:
		return answer_errno(answer);
	}
}

#define MODE(flags)                                                                                                        \
	({                                                                                                                 \
		mode_t mode_ = 0;                                                                                          \
		va_list ap_;                                                                                               \
		va_start(ap_, flags);                                                                                      \
		if (flags & (O_CREAT | __O_TMPFILE))                                                                       \
			mode_ = va_arg(ap_, mode_t);                                                                       \
		va_end(ap_);                                                                                               \
		mode_;                                                                                                     \
	})

UI_EXPORT int open(const char *path, int flags, ...)
{
	return do_open(OPEN, AT_FDCWD, path, flags, MODE(flags));
}

UI_EXPORT int open64(const char *path, int flags, ...)
{
	return do_open(OPEN64, AT_FDCWD, path, flags, MODE(flags));
}

UI_EXPORT int openat(int dirfd, const char *path, int flags, ...)
{
	return do_open(OPENAT, dirfd, path, flags, MODE(flags));
}

UI_EXPORT int openat64(int dirfd, const char *path, int flags, ...)
{
	return do_open(OPENAT64, dirfd, path, flags, MODE(flags));
}

UI_EXPORT int __open_2(const char *path, int flags)
{
	return do_open(OPEN, AT_FDCWD, path, flags, 0);
}

UI_EXPORT int __open64_2(const char *path, int flags)
{
	return do_open(OPEN64, AT_FDCWD, path, flags, 0);
}

UI_EXPORT int __openat_2(int dirfd, const char *path, int flags)
{
	return do_open(OPENAT, dirfd, path, flags, 0);
}

UI_EXPORT int __openat64_2(int dirfd, const char *path, int flags)
{
	return do_open(OPENAT64, dirfd, path, flags, 0);
}

static int mode_flags(const char *mode)
{
	int flags = strchr(mode, '+') ? O_RDWR : mode[0] == 'r' ? O_RDONLY : O_WRONLY;

	return flags | (strchr(mode, 'e') ? O_CLOEXEC : 0);
}

static FILE *do_fopen(FILE *(*real)(const char *, const char *), const char *path, const char *mode)
{
	char out[UI_VFS_PATH_BYTES];
	const struct ui_vfs_node *node;
	FILE *stream;
	int fd;

	if (ui_vfs_find(AT_FDCWD, path, true, &node, out) != UI_VFS_NODE) {
		stream = real(path, mode);
		if (stream)
			ui_fd_forget(fileno(stream));
		return stream;
	}
	fd = open(path, mode_flags(mode));
	if (fd < 0)
		return NULL;
	stream = fdopen(fd, mode);
	if (!stream)
		close(fd);
	return stream;
}

UI_EXPORT FILE *fopen(const char *path, const char *mode)
{
	return do_fopen(REAL(fopen), path, mode);
}

UI_EXPORT FILE *fopen64(const char *path, const char *mode)
{
	return do_fopen(REAL(fopen64), path, mode);
}

/* --- stat --- */

/* A 0 with *st; a path to pass on in *path; or -1 with errno. */
enum { PASS = 1 };

static int node_stat(int dirfd, const char **path, struct stat *st, bool follow, char *out)
{
	const struct ui_vfs_node *node;
	enum ui_vfs_answer answer = ui_vfs_find(dirfd, *path, follow, &node, out);

	if (answer == UI_VFS_NODE) {
		ui_vfs_stat(node, st);
		return 0;
	}
	if (answer == UI_VFS_PATH)
		*path = out;
	return answer == UI_VFS_OTHER || answer == UI_VFS_PATH ? PASS : answer_errno(answer);
}

UI_EXPORT int stat(const char *path, struct stat *st)
{
	char out[UI_VFS_PATH_BYTES];
	int ret = node_stat(AT_FDCWD, &path, st, true, out);

	return ret == PASS ? REAL(stat)(path, st) : ret;
}

UI_EXPORT int lstat(const char *path, struct stat *st)
{
	char out[UI_VFS_PATH_BYTES];
	int ret = node_stat(AT_FDCWD, &path, st, false, out);

	return ret == PASS ? REAL(lstat)(path, st) : ret;
}

/* fstatat(fd, "", AT_EMPTY_PATH) asks about the descriptor itself. */
static bool about_fd(const char *path, int flags)
{
	return flags & AT_EMPTY_PATH && (!path || !path[0]);
}

UI_EXPORT int fstatat(int dirfd, const char *path, struct stat *st, int flags)
{
	char out[UI_VFS_PATH_BYTES];
	const char *go = path;
	int ret;

	if (about_fd(path, flags) && dirfd >= 0)
		return fstat(dirfd, st);
	ret = node_stat(dirfd, &go, st, !(flags & AT_SYMLINK_NOFOLLOW), out);
	return ret == PASS ? REAL(fstatat)(dirfd, go, st, flags) : ret;
}

UI_EXPORT int stat64(const char *path, struct stat64 *st)
{
	return stat(path, (struct stat *)st);
}

UI_EXPORT int lstat64(const char *path, struct stat64 *st)
{
	return lstat(path, (struct stat *)st);
}

UI_EXPORT int fstatat64(int dirfd, const char *path, struct stat64 *st, int flags)
{
	return fstatat(dirfd, path, (struct stat *)st, flags);
}

/* What programs built for libc before 2.33 call; the version says which layout, and there is one. */
UI_EXPORT int __xstat(int version, const char *path, struct stat *st)
{
	return stat(path, st);
}

UI_EXPORT int __xstat64(int version, const char *path, struct stat64 *st)
{
	return stat(path, (struct stat *)st);
}

UI_EXPORT int __lxstat(int version, const char *path, struct stat *st)
{
	return lstat(path, st);
}

UI_EXPORT int __lxstat64(int version, const char *path, struct stat64 *st)
{
	return lstat(path, (struct stat *)st);
}

UI_EXPORT int __fxstatat(int version, int dirfd, const char *path, struct stat *st, int flags)
{
	return fstatat(dirfd, path, st, flags);
}

UI_EXPORT int __fxstatat64(int version, int dirfd, const char *path, struct stat64 *st, int flags)
{
	return fstatat(dirfd, path, (struct stat *)st, flags);
}

static int fd_statx(int fd, const char *path, int flags, unsigned mask, struct statx *stx)
{
	int ret = REAL(statx)(fd, path, flags, mask, stx);
	struct stat st;

	/* What fstat() makes of it, in statx()'s words. */
	if (ret || !ui_fd_ours(fd) || fstat(fd, &st))
		return ret;
	stx->stx_mode = (u16)st.st_mode;
	stx->stx_rdev_major = major(st.st_rdev);
	stx->stx_rdev_minor = minor(st.st_rdev);
	stx->stx_size = (u64)st.st_size;
	return 0;
}

UI_EXPORT int statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *stx)
{
	char out[UI_VFS_PATH_BYTES];
	const struct ui_vfs_node *node;
	enum ui_vfs_answer answer;

	if (about_fd(path, flags))
		return fd_statx(dirfd, path, flags, mask, stx);
	answer = ui_vfs_find(dirfd, path, !(flags & AT_SYMLINK_NOFOLLOW), &node, out);
	switch (answer) {
	case UI_VFS_NODE:
		ui_vfs_statx(node, stx);
		return 0;
	case UI_VFS_OTHER:
	case UI_VFS_PATH:
		return REAL(statx)(dirfd, answer == UI_VFS_PATH ? out : path, flags, mask, stx);
	default:
		return answer_errno(answer);
	}
}

/* --- access --- */

static int node_access(const struct ui_vfs_node *node, int mode)
{
	bool device = node->kind == UI_VFS_IOMMU || node->kind == UI_VFS_CONTAINER || node->kind == UI_VFS_GROUP ||
		      node->kind == UI_VFS_VFIO || node->kind == UI_VFS_FAULTS;

	if ((mode & X_OK && node->kind != UI_VFS_DIR) || (mode & W_OK && !device)) {
		errno = EACCES;
		return -1;
	}
	return 0;
}

static int do_access(int dirfd, const char **path, int mode, bool follow, char *out)
{
	const struct ui_vfs_node *node;
	enum ui_vfs_answer answer = ui_vfs_find(dirfd, *path, follow, &node, out);

	if (answer == UI_VFS_NODE)
		return node_access(node, mode);
	if (answer == UI_VFS_PATH)
		*path = out;
	return answer == UI_VFS_OTHER || answer == UI_VFS_PATH ? PASS : answer_errno(answer);
}

UI_EXPORT int access(const char *path, int mode)
{
	char out[UI_VFS_PATH_BYTES];
	int ret = do_access(AT_FDCWD, &path, mode, true, out);

	return ret == PASS ? REAL(access)(path, mode) : ret;
}

UI_EXPORT int eaccess(const char *path, int mode)
{
	char out[UI_VFS_PATH_BYTES];
	int ret = do_access(AT_FDCWD, &path, mode, true, out);

	return ret == PASS ? REAL(eaccess)(path, mode) : ret;
}

UI_EXPORT int euidaccess(const char *path, int mode)
{
	return eaccess(path, mode);
}

UI_EXPORT int faccessat(int dirfd, const char *path, int mode, int flags)
{
	char out[UI_VFS_PATH_BYTES];
	int ret = do_access(dirfd, &path, mode, !(flags & AT_SYMLINK_NOFOLLOW), out);

	return ret == PASS ? REAL(faccessat)(dirfd, path, mode, flags) : ret;
}

/* --- extended attributes (ls asks for them): we have none --- */

static bool node_xattr(const char *path, bool follow)
{
	char out[UI_VFS_PATH_BYTES];
	const struct ui_vfs_node *node;

	return ui_vfs_find(AT_FDCWD, path, follow, &node, out) == UI_VFS_NODE;
}

static ssize_t no_xattr(void)
{
	errno = ENODATA;
	return -1;
}

UI_EXPORT ssize_t getxattr(const char *path, const char *name, void *value, size_t n_bytes)
{
	return node_xattr(path, true) ? no_xattr() : REAL(getxattr)(path, name, value, n_bytes);
}

UI_EXPORT ssize_t lgetxattr(const char *path, const char *name, void *value, size_t n_bytes)
{
	return node_xattr(path, false) ? no_xattr() : REAL(lgetxattr)(path, name, value, n_bytes);
}

UI_EXPORT ssize_t listxattr(const char *path, char *list, size_t n_bytes)
{
	return node_xattr(path, true) ? 0 : REAL(listxattr)(path, list, n_bytes);
}

UI_EXPORT ssize_t llistxattr(const char *path, char *list, size_t n_bytes)
{
	return node_xattr(path, false) ? 0 : REAL(llistxattr)(path, list, n_bytes);
}

/* --- links --- */

UI_EXPORT ssize_t readlinkat(int dirfd, const char *path, char *buf, size_t n_bytes)
{
	char out[UI_VFS_PATH_BYTES];
	const struct ui_vfs_node *node;
	enum ui_vfs_answer answer = ui_vfs_find(dirfd, path, false, &node, out);
	size_t len;

	if (answer == UI_VFS_OTHER || answer == UI_VFS_PATH)
		return REAL(readlinkat)(dirfd, answer == UI_VFS_PATH ? out : path, buf, n_bytes);
	if (answer != UI_VFS_NODE)
		return answer_errno(answer);
	if (node->kind != UI_VFS_LINK || !n_bytes) {
		errno = EINVAL;
		return -1;
	}
	len = strlen(node->text);
	len = len < n_bytes ? len : n_bytes;
	memcpy(buf, node->text, len);
	return (ssize_t)len;
}

UI_EXPORT ssize_t readlink(const char *path, char *buf, size_t n_bytes)
{
	return readlinkat(AT_FDCWD, path, buf, n_bytes);
}

UI_EXPORT ssize_t __readlink_chk(const char *path, char *buf, size_t n_bytes, size_t buf_bytes)
{
	ui_assert(n_bytes <= buf_bytes);
	return readlinkat(AT_FDCWD, path, buf, n_bytes);
}

UI_EXPORT ssize_t __readlinkat_chk(int dirfd, const char *path, char *buf, size_t n_bytes, size_t buf_bytes)
{
	ui_assert(n_bytes <= buf_bytes);
	return readlinkat(dirfd, path, buf, n_bytes);
}

UI_EXPORT char *realpath(const char *path, char *resolved)
{
	char out[UI_VFS_PATH_BYTES];
	const struct ui_vfs_node *node;
	enum ui_vfs_answer answer = ui_vfs_find(AT_FDCWD, path, true, &node, out);

	if (answer == UI_VFS_OTHER || answer == UI_VFS_PATH)
		return REAL(realpath)(answer == UI_VFS_PATH ? out : path, resolved);
	if (answer != UI_VFS_NODE) {
		answer_errno(answer);
		return NULL;
	}
	if (!resolved)
		resolved = __real_malloc(strlen(out) + 1);
	return resolved ? strcpy(resolved, out) : NULL;
}

UI_EXPORT char *__realpath_chk(const char *path, char *resolved, size_t n_bytes)
{
	ui_assert(!resolved || n_bytes >= UI_VFS_PATH_BYTES);
	return realpath(path, resolved);
}

UI_EXPORT char *canonicalize_file_name(const char *path)
{
	return realpath(path, NULL);
}
