/* SPDX-License-Identifier: MIT */
/*
 * Memory of this process for the owner of a context that it maps it into: the owner gets the files that the memory is
 * mapped from.
 *
 * Private memory has none: its bytes move into a memfd, mapped at the same place. Nobody may write meanwhile. A
 * process with one thread needs nothing for that; with more, the old pages are moved away, which leaves an empty
 * range where whoever touches it waits (userfaultfd), in system calls too, until the memfd is there.
 *
 * From then on the range is shared with the owner. A child of fork() must not share it as well, and gets a copy (at
 * the fork, by libc's fork() only); MADV_DONTNEED must leave zeros to the program and the bytes to devices, and puts
 * fresh memory there.
 */
#include "shim/share.h"
#include "shim/maps.h"
#include "shim/mem.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "base/log.h"
#include "base/sys.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

/* A converted mapping may grow in place (mremap): beyond its range there is nothing, as in fresh memory. */
#define ROOM_BYTES ((u64)1 << 46)

enum { DIRENTS_BYTES = 4096, CHUNK_PAGES = 256 };

/* A memfd that private memory moved into. Which mappings are of it, and whether any is left, /proc/self/maps says. */
struct moved {
	u64 ino;
	_Atomic int fd; /* ownfd.c; -1: it could not be kept */
	bool seen;
	struct moved *next;
};

/* Outside all others; held while memory is handed over, and over a fork, which would find the range empty in the
 * middle of a conversion. Recursive: a program's atfork handlers run under it, and may take any other lock of ours. */
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static struct moved *moved;                              /* lock */
static unsigned n_moved, sweep_at = 64;                  /* lock */
static _Atomic bool any;                                 /* there was one, ever; relaxed: a hint */
static int fork_pipe[2] = { -1, -1 };                    /* lock, which is held over a fork */

/* Under the lock. */
static struct moved *find_moved(const struct ui_mapping *m)
{
	struct moved *found = m->shared ? moved : NULL;

	while (found && found->ino != m->ino)
		found = found->next;
	return found;
}

/* Under the lock: forgets those that nothing is mapped from any more. */
static void sweep(void)
{
	struct ui_mapping m;
	struct ui_maps maps;

	if (ui_maps_begin(&maps, 0))
		return;
	for (struct moved *one = moved; one; one = one->next)
		one->seen = false;
	while (ui_maps_next(&maps, &m)) {
		struct moved *one = find_moved(&m);

		if (one)
			one->seen = true;
	}
	ui_maps_end(&maps);
	for (struct moved **at = &moved, *one; (one = *at);) {
		if (one->seen) {
			at = &one->next;
			continue;
		}
		*at = one->next;
		ui_ownfd_close(&one->fd);
		ui_free(one);
		n_moved--;
	}
	sweep_at = n_moved > 32 ? n_moved * 2 : 64;
}

/* Under the lock. @memfd stays the caller's. */
static int remember(int memfd)
{
	struct moved *one = ui_zalloc(sizeof(*one));
	struct stat st;
	int fd;

	if (!one || ui_sys_fstat(memfd, &st)) {
		ui_free(one);
		return -ENOMEM;
	}
	one->ino = st.st_ino;
	one->fd = -1;
	fd = ui_sys_fcntl(memfd, F_DUPFD_CLOEXEC, 0);
	if (n_moved >= sweep_at)
		sweep();
	if (fd >= 0)
		ui_ownfd_keep(fd, &one->fd);
	one->next = moved;
	moved = one;
	n_moved++;
	atomic_store_explicit(&any, true, memory_order_relaxed);
	return 0;
}

/* --- Where a mapping comes from --- */

/* Is @fd the file that is mapped at @m? Closes it otherwise. */
static int same_file(int fd, const struct ui_mapping *m)
{
	struct stat st;

	if (fd < 0 || (!ui_sys_fstat(fd, &st) && st.st_ino == m->ino && ui_maps_dev(st.st_dev) == m->dev))
		return fd;
	ui_sys_close(fd);
	return -ENOENT;
}

static int open_to(const char *path, const struct ui_mapping *m)
{
	int fd = same_file(ui_sys_openat(AT_FDCWD, path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0), m);

	return fd >= 0 || m->write ? fd : same_file(ui_sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0), m);
}

/* A duplicate of a descriptor that the program has of the file. */
static int find_descriptor(const struct ui_mapping *m)
{
	int dir = ui_sys_openat(AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0), found = -ENOENT;
	char buf[DIRENTS_BYTES], *name;
	ssize_t n;

	while (dir >= 0 && found < 0 && (n = ui_sys_getdents(dir, buf, sizeof(buf))) > 0) {
		for (size_t at = 0; at < (size_t)n && found < 0; at += ui_sys_dirent(buf + at, &name)) {
			int fd, mode;

			ui_sys_dirent(buf + at, &name);
			fd = atoi(name);
			mode = *name >= '0' && *name <= '9' ? ui_sys_fcntl(fd, F_GETFL, 0) : -EBADF;
			if (mode >= 0 && !(mode & O_PATH) && ((mode & O_ACCMODE) == O_RDWR || (!m->write && (mode & O_ACCMODE) == O_RDONLY)))
				found = same_file(ui_sys_fcntl(fd, F_DUPFD_CLOEXEC, 0), m);
		}
	}
	if (dir >= 0)
		ui_sys_close(dir);
	return found;
}

/* A descriptor of the file that a shared mapping comes from, or a negative errno. */
static int file_of(const struct ui_mapping *m)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/map_files/%llx-%llx", (unsigned long long)m->start, (unsigned long long)m->last + 1);
	fd = open_to(path, m); /* for the privileged */
	if (fd < 0)
		fd = find_descriptor(m);
	if (fd < 0 && m->path[0] == '/')
		fd = open_to(m->path, m);
	return fd;
}

/* --- Private memory becomes shared --- */

struct conversion {
	u64 start, n_bytes;
	int prot, memfd;
	bool file; /* what is not present is the file's, not zeros */
};

static bool alone(void)
{
	struct stat st;
	int fd = ui_sys_openat(AT_FDCWD, "/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	bool one = fd >= 0 && !ui_sys_fstat(fd, &st) && st.st_nlink == 3;

	if (fd >= 0)
		ui_sys_close(fd);
	return one;
}

/* Copies what there is at @from into the memfd. Fresh pages are left out: a hole reads as zeros, too. */
static int copy_in(const struct conversion *c, u64 from)
{
	int pagemap = c->file ? -1 : ui_sys_openat(AT_FDCWD, "/proc/self/pagemap", O_RDONLY | O_CLOEXEC, 0), ret = 0;
	u64 entries[CHUNK_PAGES];

	for (u64 done = 0; !ret && done < c->n_bytes; done += CHUNK_PAGES * UI_PAGE_BYTES) {
		u64 n = ui_min(c->n_bytes - done, CHUNK_PAGES * UI_PAGE_BYTES) >> UI_PAGE_LG2;
		bool known = pagemap >= 0 && ui_sys_pread(pagemap, entries, n * 8, ((from + done) >> UI_PAGE_LG2) * 8) == (ssize_t)(n * 8);

		for (u64 i = 0; !ret && i < n; i++) {
			u64 at = done + (i << UI_PAGE_LG2);

			/* Present or swapped out. */
			if (known && !(entries[i] >> 62))
				continue;
			if (ui_sys_pwrite(c->memfd, (void *)(from + at), UI_PAGE_BYTES, at) != (ssize_t)UI_PAGE_BYTES)
				ret = -EFAULT;
		}
	}
	if (pagemap >= 0)
		ui_sys_close(pagemap);
	return ret;
}

static int map_over(const struct conversion *c)
{
	void *at = ui_sys_mmap((void *)c->start, c->n_bytes, c->prot, MAP_SHARED | MAP_FIXED, c->memfd, 0);

	return ui_sys_is_err(at) ? (int)(long)at : 0;
}

/* No other thread is there, and this one does not write where it stands on between the two steps. */
static int convert_alone(const struct conversion *c)
{
	int ret = copy_in(c, c->start);

	return ret ? ret : map_over(c);
}

/* Touching the range waits from here until the descriptor is closed. */
static int hold_off(const struct conversion *c)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .range = { .start = c->start, .len = c->n_bytes }, .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = ui_sys_userfaultfd(O_CLOEXEC), ret;

	if (fd < 0)
		return fd;
	ret = ui_sys_ioctl(fd, UFFDIO_API, (u64)&api);
	if (!ret)
		ret = ui_sys_ioctl(fd, UFFDIO_REGISTER, (u64)&range);
	if (ret)
		ui_sys_close(fd);
	return ret ? ret : fd;
}

static int convert_beside(const struct conversion *c)
{
	int uffd = hold_off(c), ret;
	void *at;
	u64 away;

	if (uffd < 0)
		return uffd;
	ret = ui_mem_reserve(c->n_bytes, &away);
	if (ret) {
		ui_sys_close(uffd);
		return ret;
	}
	at = ui_sys_mremap((void *)c->start, c->n_bytes, c->n_bytes, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, (void *)away);
	if (ui_sys_is_err(at)) {
		ret = (int)(long)at;
	} else {
		ret = copy_in(c, away);
		if (!ret)
			ret = map_over(c);
		/* The bytes go home; the empty range that they left goes. */
		if (ret)
			ui_sys_mremap((void *)away, c->n_bytes, c->n_bytes, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)c->start);
	}
	ui_sys_munmap((void *)away, c->n_bytes);
	ui_sys_close(uffd); /* wakes whoever waits */
	return ret;
}

/* One thread may be the only one and stand on the very pages: then another one of ours does it. */
struct job {
	const struct conversion *conversion;
	int (*convert)(const struct conversion *c);
	int ret;
	_Atomic u32 done; /* futex; release at the end, pairs with acquire in convert() */
};

static void run_job(void *arg)
{
	struct job *job = arg;
	int ret = job->convert(job->conversion);

	job->ret = ret;
	atomic_store_explicit(&job->done, 1, memory_order_release);
	ui_sys_futex_wake(&job->done, 1);
}

static int convert(const struct conversion *c, bool standing_on)
{
	struct job job = { .conversion = c, .convert = alone() ? convert_alone : convert_beside };
	int ret;

	if (!standing_on)
		return job.convert(c);
	ret = ui_thread_start(run_job, &job);
	while (!ret && !atomic_load_explicit(&job.done, memory_order_acquire))
		ui_sys_futex_wait(&job.done, 0, NULL);
	return ret ? ret : job.ret;
}

/* Under the lock. Makes the part [@start, @last] of @m shared. The memfd, from the part's first byte on; or a negative errno. */
static int make_shared(const struct ui_mapping *m, u64 start, u64 last)
{
	struct conversion c = { .start = start, .n_bytes = last - start + 1, .file = m->ino };
	u64 here = (u64)(uintptr_t)__builtin_frame_address(0), from, to;
	int ret;

	/* Devices of our own would go on with the old pages. Code stays what it is. */
	if (m->exec || ui_mem_next_pinned(start, last, &from, &to))
		return -EBUSY;
	c.prot = (m->read ? PROT_READ : 0) | (m->write ? PROT_WRITE : 0);
	c.memfd = ui_sys_memfd_create("uiommu-private", MFD_CLOEXEC);
	if (c.memfd < 0)
		return c.memfd;
	ret = ui_sys_ftruncate(c.memfd, ROOM_BYTES);
	if (!ret)
		ret = remember(c.memfd);
	if (!ret)
		ret = convert(&c, here >= m->start && here <= m->last);
	if (ret)
		ui_sys_close(c.memfd);
	return ret ? ret : c.memfd;
}

/* --- What the owner asks --- */

static int send_piece(struct ui_line *line, struct ui_msg *piece, int fd)
{
	struct ui_msg answer;
	int ret = ui_msg_send(line, piece, fd), passed;

	if (fd >= 0)
		ui_sys_close(fd);
	if (!ret)
		ret = ui_msg_recv(line, &answer, &passed);
	if (!ret && passed >= 0)
		ui_sys_close(passed);
	return ret ? ret : (int)answer.ret;
}

/* Under the lock. The part [@start, @last] of @m. 0, also when it cannot be had, which pinning will tell; -ENODEV: the owner is
 * gone. */
static int hand_over(struct ui_line *line, const struct ui_mapping *m, u64 start, u64 last)
{
	struct ui_msg piece = { .type = UI_MSG_PIECE, .a = start, .b = last - start + 1, .d = m->ino, .ino = m->dev,
				.ret = PROT_READ | (m->write ? PROT_WRITE : 0) };
	int fd, ret = -ENOENT;

	if (m->shared) {
		piece.c = m->offset + (start - m->start);
		ret = send_piece(line, &piece, file_of(m));
	}
	if (ret == -ENOENT && (!m->shared || find_moved(m))) {
		piece.c = 0;
		fd = make_shared(m, start, last);
		ret = fd < 0 ? fd : send_piece(line, &piece, fd);
	}
	if (ret && ret != -ENODEV)
		ui_log(UI_LOG_ERROR, "memory at %#llx (%llu bytes) cannot be shared with the process that owns the context: error %d%s",
		       (unsigned long long)start, (unsigned long long)piece.b, -ret,
		       m->shared ? "" : " (private memory, of a program with threads perhaps: from a memfd it could)");
	return ret == -ENODEV ? ret : 0;
}

int ui_remote_map(struct ui_line *line, const struct ui_msg *ask)
{
	u64 start = ask->a, last = ask->a + (ask->b - 1), from, to;
	struct ui_mapping m;
	struct ui_maps maps;
	int ret;

	pthread_mutex_lock(&lock);
	ui_mem_lock();
	ret = ui_maps_begin(&maps, 0);
	if (!ret) {
		while (!ret && ui_maps_next(&maps, &m) && m.start <= last) {
			u64 first = ui_max(m.start, start), end = ui_min(m.last, last);

			/* What cannot be read, and a BAR, cannot be pinned. */
			if (m.last < start || !m.read || ui_mem_next_bar(first, end, &from, &to))
				continue;
			ret = hand_over(line, &m, first, end);
		}
		ui_maps_end(&maps);
	}
	ui_mem_unlock();
	pthread_mutex_unlock(&lock);
	return ret;
}

/* --- The program goes on --- */

void ui_remote_drop(u64 start, u64 last)
{
	struct ui_mapping m;
	struct ui_maps maps;

	pthread_mutex_lock(&lock);
	ui_mem_lock();
	if (!ui_maps_begin(&maps, 0)) {
		while (ui_maps_next(&maps, &m) && m.start <= last) {
			u64 first = ui_max(m.start, start), end = ui_min(m.last, last);

			if (m.last >= start && find_moved(&m))
				ui_sys_mmap((void *)first, end - first + 1, (m.read ? PROT_READ : 0) | (m.write ? PROT_WRITE : 0),
					    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		}
		ui_maps_end(&maps);
	}
	ui_mem_unlock();
	pthread_mutex_unlock(&lock);
}

bool ui_remote_converted(void)
{
	return atomic_load_explicit(&any, memory_order_relaxed);
}

void ui_remote_fork_begin(void)
{
	pthread_mutex_lock(&lock);
	if (moved && ui_sys_pipe(fork_pipe))
		fork_pipe[0] = fork_pipe[1] = -1;
}

/* In the child: a private copy of what the parent has there now. */
static void copy_out(const struct ui_mapping *m, const struct moved *from)
{
	u64 n_bytes = m->last - m->start + 1, place;
	int ret = ui_mem_reserve(n_bytes, &place), fd = from->fd;

	if (!ret)
		ret = ui_sys_mprotect((void *)place, n_bytes, PROT_READ | PROT_WRITE);
	for (u64 at = 0; !ret && at < n_bytes;) {
		s64 data = fd < 0 ? (s64)(m->offset + at) : ui_sys_seek_data(fd, m->offset + at);
		u64 n;

		/* Only what is there: a hole stays one. */
		if (data < 0 || (u64)data - m->offset >= n_bytes)
			break;
		at = (u64)data - m->offset;
		n = ui_min(n_bytes - at, (u64)CHUNK_PAGES * UI_PAGE_BYTES);
		if (fd < 0)
			memcpy((void *)(place + at), (void *)(m->start + at), n);
		else if (ui_sys_pread(fd, (void *)(place + at), n, m->offset + at) != (ssize_t)n)
			ret = -EIO;
		at += n;
	}
	if (!ret)
		ret = ui_sys_mprotect((void *)place, n_bytes, (m->read ? PROT_READ : 0) | (m->write ? PROT_WRITE : 0));
	if (!ret && ui_sys_is_err(ui_sys_mremap((void *)place, n_bytes, n_bytes, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)m->start)))
		ret = -ENOMEM;
	if (ret)
		ui_log(UI_LOG_ERROR, "a child process shares memory with its parent: it could not be copied");
}

static void child_copies(void)
{
	struct ui_mapping m;
	struct ui_maps maps;

	if (ui_maps_begin(&maps, 0))
		return;
	while (ui_maps_next(&maps, &m)) {
		struct moved *from = find_moved(&m);

		if (from)
			copy_out(&m, from);
	}
	ui_maps_end(&maps);
}

void ui_remote_fork_end(pid_t pid)
{
	u8 byte = 0;

	if (!pid) {
		if (moved)
			child_copies();
		moved = NULL;
		n_moved = 0;
		any = false;
	}
	/* The parent waits: what it writes next is not the child's. The end of the child ends the wait, too. */
	if (fork_pipe[1] >= 0)
		ui_sys_close(fork_pipe[1]);
	if (pid > 0 && fork_pipe[0] >= 0)
		ui_sys_read(fork_pipe[0], &byte, 1);
	if (fork_pipe[0] >= 0)
		ui_sys_close(fork_pipe[0]);
	fork_pipe[0] = fork_pipe[1] = -1;
	if (pid)
		pthread_mutex_unlock(&lock);
	else
		lock = (pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
}

void ui_remote_mem_forked(void)
{
	lock = (pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
}
