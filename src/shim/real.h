/* SPDX-License-Identifier: MIT */
/* The functions that ours stand before: libc's, or those of another interposer (a sanitizer's) between us and libc. */
#ifndef UI_SHIM_REAL_H
#define UI_SHIM_REAL_H

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

#define UI_REAL_FUNCTIONS(X)                                                                                               \
	X(int, open, (const char *, int, ...))                                                                            \
	X(int, open64, (const char *, int, ...))                                                                          \
	X(int, openat, (int, const char *, int, ...))                                                                     \
	X(int, openat64, (int, const char *, int, ...))                                                                   \
	X(FILE *, fopen, (const char *, const char *))                                                                    \
	X(FILE *, fopen64, (const char *, const char *))                                                                  \
	X(int, fclose, (FILE *))                                                                                          \
	X(int, close, (int))                                                                                              \
	X(int, close_range, (unsigned, unsigned, int))                                                                    \
	X(void, closefrom, (int))                                                                                         \
	X(int, dup, (int))                                                                                                \
	X(int, dup2, (int, int))                                                                                          \
	X(int, dup3, (int, int, int))                                                                                     \
	X(int, fcntl, (int, int, ...))                                                                                    \
	X(int, fcntl64, (int, int, ...))                                                                                  \
	X(int, ioctl, (int, unsigned long, ...))                                                                          \
	X(ssize_t, read, (int, void *, size_t))                                                                           \
	X(ssize_t, write, (int, const void *, size_t))                                                                    \
	X(ssize_t, pread, (int, void *, size_t, off_t))                                                                   \
	X(ssize_t, pwrite, (int, const void *, size_t, off_t))                                                            \
	X(ssize_t, readv, (int, const struct iovec *, int))                                                               \
	X(ssize_t, writev, (int, const struct iovec *, int))                                                              \
	X(ssize_t, preadv, (int, const struct iovec *, int, off_t))                                                       \
	X(ssize_t, pwritev, (int, const struct iovec *, int, off_t))                                                      \
	X(off_t, lseek, (int, off_t, int))                                                                                \
	X(int, ftruncate, (int, off_t))                                                                                   \
	X(int, stat, (const char *, struct stat *))                                                                       \
	X(int, lstat, (const char *, struct stat *))                                                                      \
	X(int, fstat, (int, struct stat *))                                                                               \
	X(int, fstatat, (int, const char *, struct stat *, int))                                                          \
	X(int, statx, (int, const char *, int, unsigned, struct statx *))                                                 \
	X(int, access, (const char *, int))                                                                               \
	X(int, eaccess, (const char *, int))                                                                              \
	X(int, faccessat, (int, const char *, int, int))                                                                  \
	X(ssize_t, readlink, (const char *, char *, size_t))                                                              \
	X(ssize_t, readlinkat, (int, const char *, char *, size_t))                                                       \
	X(ssize_t, getxattr, (const char *, const char *, void *, size_t))                                                \
	X(ssize_t, lgetxattr, (const char *, const char *, void *, size_t))                                               \
	X(ssize_t, listxattr, (const char *, char *, size_t))                                                             \
	X(ssize_t, llistxattr, (const char *, char *, size_t))                                                            \
	X(char *, realpath, (const char *, char *))                                                                       \
	X(DIR *, opendir, (const char *))                                                                                 \
	X(DIR *, fdopendir, (int))                                                                                        \
	X(int, closedir, (DIR *))                                                                                         \
	X(struct dirent *, readdir, (DIR *))                                                                              \
	X(void, rewinddir, (DIR *))                                                                                       \
	X(int, dirfd, (DIR *))                                                                                            \
	X(long, telldir, (DIR *))                                                                                         \
	X(void, seekdir, (DIR *, long))                                                                                   \
	X(void *, mmap, (void *, size_t, int, int, int, off_t))                                                           \
	X(int, munmap, (void *, size_t))                                                                                  \
	X(void *, mremap, (void *, size_t, size_t, int, ...))                                                             \
	X(int, madvise, (void *, size_t, int))                                                                            \
	X(void *, shmat, (int, const void *, int))                                                                        \
	X(int, shmdt, (const void *))                                                                                     \
	X(int, sigaction, (int, const struct sigaction *, struct sigaction *))                                            \
	X(sighandler_t, signal, (int, sighandler_t))                                                                      \
	X(sighandler_t, __sysv_signal, (int, sighandler_t))                                                               \
	X(pid_t, fork, (void))                                                                                            \
	X(pid_t, _Fork, (void))                                                                                           \
	X(pid_t, vfork, (void))                                                                                           \
	X(int, forkpty, (int *, char *, const struct termios *, const struct winsize *))                                  \
	X(int, posix_spawn, (pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,        \
			     char *const[], char *const[]))                                                               \
	X(int, posix_spawnp, (pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,       \
			      char *const[], char *const[]))                                                              \
	X(int, system, (const char *))                                                                                    \
	X(FILE *, popen, (const char *, const char *))                                                                    \
	X(ssize_t, sendmsg, (int, const struct msghdr *, int))                                                            \
	X(int, sendmmsg, (int, struct mmsghdr *, unsigned, int))                                                          \
	X(int, pthread_join, (pthread_t, void **))                                                                        \
	X(int, pthread_create, (pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))

struct ui_real {
#define X(ret, name, args) ret(*name) args;
	UI_REAL_FUNCTIONS(X)
#undef X
};

extern struct ui_real ui_real;
/* Fills ui_real. Called by our constructor, or earlier by a wrapper that another library's constructor called. */
void ui_real_init(void);

#define REAL(name) (*(__builtin_expect(!ui_real.name, 0) ? (ui_real_init(), ui_real.name) : ui_real.name))

#endif
