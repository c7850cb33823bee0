/* SPDX-License-Identifier: MIT */
#include "base/ownfd.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

enum {
	/*
	 * Small numbers are the program's: one that closes what it does not know would soon have a file of its own
	 * there.
	 */
	FIRST = 512,
	MAX_OWN = 8192,
};

struct own {
	int name;
	int fd;
	_Atomic int *holder; /* shows fd; NULL: nobody's */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* leaf */
static struct own owns[MAX_OWN]; /* lock */
static unsigned n_owns;          /* lock */
/* Not above any of them. Relaxed: for a number that the program has no right to, one answer is as good as the other. */
static _Atomic int lowest = INT_MAX;
/*
 * One is not, or not any more, where its name says. Relaxed: the program that puts something there orders it with
 * nothing of ours.
 */
static _Atomic bool any_moved;

void ui_ownfd_lock(void)
{
	pthread_mutex_lock(&lock);
}

void ui_ownfd_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

/* Under the lock; as all below but what is public. */
static struct own *by_fd(int fd)
{
	for (unsigned i = 0; i < n_owns; i++) {
		if (owns[i].fd == fd)
			return &owns[i];
	}
	return NULL;
}

static struct own *by_name(int name)
{
	for (unsigned i = 0; i < n_owns; i++) {
		if (owns[i].name == name)
			return &owns[i];
	}
	return NULL;
}

static struct own *by_holder(const _Atomic int *holder)
{
	for (unsigned i = 0; i < n_owns; i++) {
		if (owns[i].holder == holder)
			return &owns[i];
	}
	return NULL;
}

static int duplicate(int fd)
{
	int from = FIRST, high = ui_sys_fcntl(fd, F_DUPFD_CLOEXEC, FIRST);

	if (high == -EINVAL || high == -EMFILE) {
		from = 3;
		high = ui_sys_fcntl(fd, F_DUPFD_CLOEXEC, 3);
	}
	/* The number may be the name of one that had to move away, once. */
	while (high >= 0 && by_name(high)) {
		from = high + 1;
		ui_sys_close(high);
		high = ui_sys_fcntl(fd, F_DUPFD_CLOEXEC, (unsigned long)from);
	}
	return high;
}

static void show(struct own *own, int fd)
{
	own->fd = fd;
	if (fd != own->name)
		atomic_store_explicit(&any_moved, true, memory_order_relaxed);
	if (own->holder)
		atomic_store_explicit(own->holder, fd, memory_order_relaxed);
	if (fd >= 0 && fd < atomic_load_explicit(&lowest, memory_order_relaxed))
		atomic_store_explicit(&lowest, fd, memory_order_relaxed);
}

static void drop(struct own *own)
{
	if (own->holder)
		atomic_store_explicit(own->holder, -1, memory_order_relaxed);
	*own = owns[--n_owns];
	if (!n_owns)
		atomic_store_explicit(&lowest, INT_MAX, memory_order_relaxed);
}

static int keep(int fd, _Atomic int *holder)
{
	int high;

	pthread_mutex_lock(&lock);
	high = n_owns < MAX_OWN ? duplicate(fd) : -EMFILE;
	if (high >= 0) {
		owns[n_owns] = (struct own){ .name = high, .holder = holder };
		show(&owns[n_owns++], high);
	}
	pthread_mutex_unlock(&lock);
	ui_sys_close(fd);
	return high;
}

static void end(struct own *own)
{
	if (own && own->fd >= 0)
		ui_sys_close(own->fd);
	if (own)
		drop(own);
}

int ui_ownfd_hold(int fd)
{
	return keep(fd, NULL);
}

int ui_ownfd_keep(int fd, _Atomic int *holder)
{
	int high = keep(fd, holder);

	return high < 0 ? high : 0;
}

void ui_ownfd_end(int name)
{
	pthread_mutex_lock(&lock);
	end(by_name(name));
	pthread_mutex_unlock(&lock);
}

void ui_ownfd_close(_Atomic int *holder)
{
	pthread_mutex_lock(&lock);
	end(by_holder(holder));
	pthread_mutex_unlock(&lock);
}

int ui_ownfd_at(int name)
{
	struct own *own;
	int fd;

	if (ui_likely(!atomic_load_explicit(&any_moved, memory_order_relaxed)))
		return name;
	pthread_mutex_lock(&lock);
	own = by_name(name);
	fd = own ? own->fd : -1;
	pthread_mutex_unlock(&lock);
	return fd;
}

bool ui_ownfd_maybe(int fd)
{
	return ui_unlikely(fd >= atomic_load_explicit(&lowest, memory_order_relaxed));
}

bool ui_ownfd_is(int fd)
{
	bool is;

	if (!ui_ownfd_maybe(fd))
		return false;
	pthread_mutex_lock(&lock);
	is = by_fd(fd) != NULL;
	pthread_mutex_unlock(&lock);
	return is;
}

void ui_ownfd_lost(int fd)
{
	struct own *own;

	pthread_mutex_lock(&lock);
	own = by_fd(fd);
	/* Its name stays taken until it is given back. */
	if (own)
		show(own, -1);
	pthread_mutex_unlock(&lock);
}

void ui_ownfd_make_way(int fd)
{
	struct own *own;
	int high;

	pthread_mutex_lock(&lock);
	own = by_fd(fd);
	high = own ? duplicate(fd) : -1;
	if (high >= 0) {
		show(own, high);
		ui_sys_close(fd);
	}
	pthread_mutex_unlock(&lock);
}

int ui_ownfd_next(unsigned first, unsigned last)
{
	int next = -1;

	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < n_owns; i++) {
		int fd = owns[i].fd;

		if (fd >= 0 && (unsigned)fd >= first && (unsigned)fd <= last && (next < 0 || fd < next))
			next = fd;
	}
	pthread_mutex_unlock(&lock);
	return next;
}

void ui_ownfd_forked(void)
{
	lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	while (n_owns)
		end(&owns[n_owns - 1]);
	atomic_store_explicit(&any_moved, false, memory_order_relaxed);
}
