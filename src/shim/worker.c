/* SPDX-License-Identifier: MIT */
/*
 * One thread steps the devices of this process: those that were woken, and now and then those whose doorbell is polled; and
 * watches the descriptors by which programs unmask INTx. It exists while a device is open. At exit of the process it is left
 * alone: it touches nothing that exit handlers free.
 *
 * It sleeps on a futex, which no program can close; only while there is an INTx descriptor to watch, in poll().
 */
#include "shim/shim.h"
#include "shim/real.h"
#include "base/bits.h"
#include "base/sys.h"
#include "devices/pci.h"
#include "machine/instance.h"
#include "vfio/vfio.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

enum {
	SPINS = 64,              /* rounds of polling before the first sleep */
	SLEEP_MIN_NS = 10000,
	SLEEP_MAX_NS = 500000,   /* the longest a mapped doorbell waits */
	STACK_BYTES = 4 << 20,   /* with room for the thread-local data of a sanitizer; what is not touched costs nothing */
};

/* How the thread sleeps, or is about to. */
enum { AWAKE, ON_FUTEX, ON_POLL };

struct seat {
	struct ui_machine_pci *dev; /* release in start; pairs with acquire in round() */
	_Atomic u32 n_open;         /* control lock for writing */
	_Atomic bool woken;         /* seq_cst with word: see wake() and idle() */
	struct ui_vfio *watched;    /* watch lock; has an INTx descriptor */
};

static struct {
	pthread_mutex_t control; /* starting and stopping; the thread never takes it */
	pthread_t thread;
	bool running; /* control */
	unsigned n_open;
	_Atomic bool stop;
	_Atomic u32 word; /* futex: changes when there is something to do */
	_Atomic u32 asleep; /* seq_cst with word: see kick() and sleep_on() */
	pthread_mutex_t watch; /* inside it only the device's own locks */
	_Atomic int kick_fd;   /* an eventfd beside word, made when first needed; -1 */
	struct seat seats[UI_MACHINE_MAX_DEVICES];
} worker = { .control = PTHREAD_MUTEX_INITIALIZER, .watch = PTHREAD_MUTEX_INITIALIZER, .kick_fd = -1 };

/* Costs a system call only when the thread sleeps. Order: word before asleep; the thread sets asleep before it looks at word. */
static void kick(void)
{
	u32 how;

	atomic_fetch_add(&worker.word, 1);
	how = atomic_load(&worker.asleep);
	if (how == ON_FUTEX)
		ui_sys_futex_wake(&worker.word, 1);
	if (how != ON_POLL)
		return;
	ui_ownfd_lock();
	if (atomic_load(&worker.kick_fd) >= 0)
		ui_sys_write(atomic_load(&worker.kick_fd), &(u64){ 1 }, sizeof(u64));
	ui_ownfd_unlock();
}

/* The device has something to do. Its lock is held. Order: woken before word; the thread reads word before woken. */
static void wake(void *arg)
{
	struct seat *seat = arg;

	if (!atomic_exchange(&seat->woken, true))
		kick();
}

struct round {
	bool busy;  /* somebody wants to go on right away */
	bool polls; /* somebody's doorbell is polled */
	u64 bytes;  /* moved by those so far: polling that finds work does not slow down */
};

static void step(struct seat *seat, struct round *round)
{
	struct ui_machine_pci *dev = seat->dev;
	bool woken = atomic_exchange(&seat->woken, false), polls = ui_pci_polls(dev->pci);
	struct ui_dma_stats stats;

	if (!woken && !polls)
		return;
	if (ui_pci_step(dev->pci)) {
		atomic_store(&seat->woken, true);
		round->busy = true;
	}
	round->polls |= polls;
	if (polls) {
		ui_dma_stats(dev->port, &stats);
		round->bytes += stats.bytes;
	}
}

/* The descriptors to sleep on: [0] the kick, then those of INTx. 0: none of INTx, the futex will do. */
static nfds_t watched_fds(struct pollfd fds[UI_MACHINE_MAX_DEVICES + 1])
{
	nfds_t n = 1;

	pthread_mutex_lock(&worker.watch);
	for (unsigned i = 0; i < UI_MACHINE_MAX_DEVICES; i++) {
		int fd = worker.seats[i].watched ? ui_vfio_unmask_fd(worker.seats[i].watched) : -1;

		if (fd >= 0)
			fds[n++] = (struct pollfd){ .fd = fd, .events = POLLIN };
	}
	pthread_mutex_unlock(&worker.watch);
	fds[0] = (struct pollfd){ .fd = atomic_load(&worker.kick_fd), .events = POLLIN };
	return n > 1 ? n : 0;
}

static void unmask_fired(void)
{
	pthread_mutex_lock(&worker.watch);
	for (unsigned i = 0; i < UI_MACHINE_MAX_DEVICES; i++) {
		if (worker.seats[i].watched)
			ui_vfio_unmask_fired(worker.seats[i].watched);
	}
	pthread_mutex_unlock(&worker.watch);
}

/* Sleeps until something is to be done, or for @ns (0: no limit). Whatever happened since word was @seen ends the sleep. */
static void sleep_on(u32 seen, u64 ns)
{
	struct pollfd fds[UI_MACHINE_MAX_DEVICES + 1];
	nfds_t n = watched_fds(fds);
	struct timespec ts;
	u64 count;

	/* A program that closes what is not its own leaves us without the kick: then time has to do. */
	if (n && (fds[0].fd < 0 || ui_sys_fcntl(fds[0].fd, 1 /* F_GETFD */, 0) < 0))
		ns = SLEEP_MAX_NS;
	ts = (struct timespec){ .tv_nsec = (long)ns };
	atomic_store(&worker.asleep, n ? ON_POLL : ON_FUTEX);
	if (atomic_load(&worker.word) == seen) {
		/* From here on a kick is heard: the futex sees that word has changed, or poll() that the count is up. */
		if (n)
			syscall(SYS_ppoll, fds, n, ns ? &ts : NULL, NULL, 0);
		else
			ui_sys_futex_wait(&worker.word, seen, ns ? &ts : NULL);
	}
	atomic_store(&worker.asleep, AWAKE);
	if (!n)
		return;
	if (fds[0].revents & POLLIN)
		ui_sys_read(fds[0].fd, &count, sizeof(count));
	unmask_fired();
}

static void idle(u32 seen, const struct round *round, unsigned *quiet)
{
	u64 ns = SLEEP_MIN_NS;

	if (!round->polls) {
		sleep_on(seen, 0);
		return;
	}
	if ((*quiet)++ < SPINS) {
		ui_sys_yield();
		return;
	}
	for (unsigned i = SPINS; i < *quiet && ns < SLEEP_MAX_NS; i++)
		ns += ns / 4;
	sleep_on(seen, ui_min(ns, SLEEP_MAX_NS));
}

static void *work(void *arg)
{
	unsigned quiet = 0;
	u64 bytes = 0;

	ui_thread_answer_setxid();
	for (;;) {
		/* Before stop and all else that a kick may be about. */
		u32 seen = atomic_load(&worker.word);
		struct round round = { 0 };

		if (atomic_load(&worker.stop))
			break;
		for (unsigned i = 0; i < UI_MACHINE_MAX_DEVICES; i++) {
			if (atomic_load(&worker.seats[i].n_open))
				step(&worker.seats[i], &round);
		}
		if (round.bytes != bytes)
			quiet = 0;
		bytes = round.bytes;
		if (!round.busy)
			idle(seen, &round, &quiet);
	}
	return NULL;
}

/*
 * The stack is ours, apart from the program's mappings as all that is ours, and kept for the next thread. Under the control
 * lock. Also right in a forked child, where nobody stands on it.
 */
static void *stack(void)
{
	static void *mem;

	if (!mem) {
		void *at = ui_sys_mmap(NULL, UI_PAGE_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		if (ui_sys_is_err(at))
			return NULL;
		ui_sys_mprotect(at, UI_PAGE_BYTES, PROT_NONE);
		mem = (char *)at + UI_PAGE_BYTES;
	}
	return mem;
}

static int launch(void)
{
	void *own = stack();
	pthread_attr_t attr;
	int ret;

	if (!own)
		return -ENOMEM;
	atomic_store(&worker.stop, false);
	pthread_attr_init(&attr);
	pthread_attr_setstack(&attr, own, STACK_BYTES);
	/* Created and joined by the same library: a sanitizer's wrapper of one alone would not know the thread. We are inside an
	 * entry: the thread inherits its mask, all but SIGSEGV and SIGBUS blocked. */
	ret = REAL(pthread_create)(&worker.thread, &attr, work, NULL);
	pthread_attr_destroy(&attr);
	if (ret)
		return -ret;
	pthread_setname_np(worker.thread, "uiommu");
	worker.running = true;
	return 0;
}

int ui_worker_start(struct ui_machine *machine, unsigned device)
{
	struct seat *seat = &worker.seats[device];
	struct ui_pci_env env = { .wake = wake, .arg = seat };
	int ret = 0;

	pthread_mutex_lock(&worker.control);
	seat->dev = &machine->devices[device];
	if (!worker.running)
		ret = launch();
	if (!ret) {
		if (!seat->n_open)
			ui_pci_set_env(seat->dev->pci, &env);
		atomic_fetch_add(&seat->n_open, 1);
		worker.n_open++;
		kick();
	}
	pthread_mutex_unlock(&worker.control);
	return ret;
}

void ui_worker_stop(unsigned device)
{
	int cancel;

	/* pthread_join() is a cancellation point, and close() must not be left half done. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	pthread_mutex_lock(&worker.control);
	atomic_fetch_sub(&worker.seats[device].n_open, 1);
	if (!--worker.n_open) {
		atomic_store(&worker.stop, true);
		kick();
		REAL(pthread_join)(worker.thread, NULL);
		worker.running = false;
	}
	pthread_mutex_unlock(&worker.control);
	pthread_setcancelstate(cancel, NULL);
}

void ui_worker_watch(unsigned device, struct ui_vfio *vfio, bool on)
{
	struct seat *seat = &worker.seats[device];

	pthread_mutex_lock(&worker.watch);
	if (on)
		seat->watched = vfio;
	else if (seat->watched == vfio)
		seat->watched = NULL;
	if (on && atomic_load(&worker.kick_fd) < 0) {
		int fd = ui_sys_eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

		if (fd >= 0)
			ui_ownfd_keep(fd, &worker.kick_fd);
	}
	pthread_mutex_unlock(&worker.watch);
	kick();
}

void ui_worker_forked(void)
{
	memset(&worker, 0, sizeof(worker));
	worker.control = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	worker.watch = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	worker.kick_fd = -1;
}
