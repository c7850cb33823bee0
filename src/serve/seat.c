/* SPDX-License-Identifier: MIT */
#include "serve/seat.h"

#include "base/bits.h"
#include "base/log.h"
#include "base/sys.h"
#include "vfio/vfio.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>

enum {
	SPINS = 64,            /* rounds of polling before the first sleep */
	SLEEP_MIN_NS = 10000,
	SLEEP_MAX_NS = 500000, /* the longest a mapped doorbell waits */
	/* DMA by message: less than the 5 s in which QEMU wants its own answers. */
	ANSWER_NS = 100000000,
	ANSWER_WAITS = 40,
};

static struct ui_machine_pci *device(struct ui_seat *seat)
{
	return &seat->machine->devices[0];
}

/* ---- the worker ---- */

static void wake(void *arg)
{
	struct ui_seat *seat = arg;

	if (atomic_exchange(&seat->woken, true))
		return;
	atomic_fetch_add(&seat->word, 1);
	ui_sys_futex_wake(&seat->word, 1);
}

/* Sleeps until woken since the word was @seen, or, where a doorbell is polled, for longer and longer. */
static void idle(struct ui_seat *seat, u32 seen, bool polls, unsigned *quiet)
{
	struct timespec ts = { .tv_nsec = SLEEP_MIN_NS };

	if (!polls) {
		ui_sys_futex_wait(&seat->word, seen, NULL);
		return;
	}
	if ((*quiet)++ < SPINS) {
		ui_sys_yield();
		return;
	}
	for (unsigned i = SPINS; i < *quiet && ts.tv_nsec < SLEEP_MAX_NS; i++)
		ts.tv_nsec += ts.tv_nsec / 4;
	ui_sys_futex_wait(&seat->word, seen, &ts);
}

static void *work(void *arg)
{
	struct ui_seat *seat = arg;
	struct ui_pci *pci = device(seat)->pci;
	struct ui_dma_stats stats;
	unsigned quiet = 0;
	u64 bytes = 0;

	while (!atomic_load(&seat->stop)) {
		u32 seen = atomic_load(&seat->word);
		bool woken = atomic_exchange(&seat->woken, false), polls = ui_pci_polls(pci), more = false;

		if (woken || polls)
			more = ui_pci_step(pci);
		if (more)
			atomic_store(&seat->woken, true);
		ui_dma_stats(device(seat)->port, &stats);
		if (stats.bytes != bytes)
			quiet = 0;
		bytes = stats.bytes;
		if (!more)
			idle(seat, seen, polls, &quiet);
	}
	return NULL;
}

/* ---- DMA by message ---- */

/*
 * The client may be waiting for an answer itself before it answers, so meanwhile the loop must get at the device's registers and configuration. A register that does DMA
 * has the loop wait for itself: that cannot be answered.
 */
static void dma_wait(void *arg, const _Atomic u32 *word)
{
	struct ui_seat *seat = arg;
	const struct timespec ts = { .tv_nsec = ANSWER_NS };

	if (!pthread_equal(pthread_self(), seat->worker))
		return;
	ui_pci_leave_for_dma(device(seat)->pci);
	/* Acquire: partner is whoever ends the call. */
	for (unsigned i = 0; i < ANSWER_WAITS && !atomic_load_explicit(word, memory_order_acquire) && !atomic_load(&seat->stop); i++)
		ui_sys_futex_wait(word, 0, &ts);
	ui_pci_return(device(seat)->pci);
}

static void dma_wake(void *arg, const _Atomic u32 *word)
{
	ui_sys_futex_wake(word, 1);
}

static void kick(void *arg)
{
	struct ui_seat *seat = arg;

	ui_sys_write(seat->kick_fd, &(u64){ 1 }, sizeof(u64));
}

/* ---- the loop ---- */

static void client_comes(struct ui_seat *seat)
{
	const struct ui_vu_env env = { .wait = dma_wait, .wake = dma_wake, .kick = kick, .arg = seat };
	struct ui_vu_device dev = { .pci = device(seat)->pci, .dev = device(seat)->dev, .mem = seat->machine->mem, .name = device(seat)->name };
	int fd = ui_sys_accept(seat->listen_fd), ret;

	if (fd < 0)
		return;
	if (seat->vu) {
		ui_log(UI_LOG_WARN, "vfio-user: %s: it has a client: another one is turned away", dev.name);
		ui_sys_close(fd);
		return;
	}
	memcpy(dev.bar_fds, seat->bar_fds, sizeof(dev.bar_fds));
	ret = ui_vu_create(&dev, &env, fd, &seat->vu);
	if (ret) {
		ui_log(UI_LOG_ERROR, "vfio-user: %s: a client cannot be served: errno %d", dev.name, -ret);
		seat->vu = NULL;
		return;
	}
	ui_log(UI_LOG_INFO, "vfio-user: %s: a client has come", dev.name);
}

static void client_goes(struct ui_seat *seat)
{
	ui_vu_destroy(seat->vu);
	seat->vu = NULL;
	ui_log(UI_LOG_INFO, "vfio-user: %s: the client is gone", device(seat)->name);
}

static void *talk(void *arg)
{
	struct ui_seat *seat = arg;
	u64 count;

	while (!atomic_load(&seat->stop)) {
		struct pollfd fds[] = {
			{ .fd = seat->kick_fd, .events = POLLIN },
			{ .fd = seat->listen_fd, .events = POLLIN },
			{ .fd = seat->vu ? ui_vu_fd(seat->vu) : -1, .events = seat->vu ? ui_vu_events(seat->vu) : 0 },
			{ .fd = seat->vu ? ui_vfio_unmask_fd(ui_vu_vfio(seat->vu)) : -1, .events = POLLIN },
		};

		if (poll(fds, ui_array_size(fds), -1) < 0)
			continue;
		if (fds[0].revents)
			ui_sys_read(seat->kick_fd, &count, sizeof(count));
		if (fds[3].revents)
			ui_vfio_unmask_fired(ui_vu_vfio(seat->vu));
		if (fds[2].revents && ui_vu_run(seat->vu))
			client_goes(seat);
		if (fds[1].revents)
			client_comes(seat);
	}
	if (seat->vu)
		client_goes(seat);
	return NULL;
}

/* ---- life ---- */

/* Puts memory that can be passed on over what the machine has: a client can write it, but not cut it off. */
static int bars_share(struct ui_seat *seat)
{
	const struct ui_pci_model *model = device(seat)->model;

	for (unsigned i = 0; i < UI_PCI_N_BARS; i++) {
		u64 n_bytes = model->bars[i].n_bytes;
		void *mem = device(seat)->bar_mem[i];
		int fd, ret;

		if (!mem)
			continue;
		fd = ui_sys_memfd_create("uiommu-bar", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		if (fd < 0)
			return fd;
		seat->bar_fds[i] = fd;
		ret = ui_sys_ftruncate(fd, n_bytes);
		if (!ret)
			ret = ui_sys_fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
		if (ret)
			return ret;
		mem = ui_sys_mmap(mem, n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
		if (ui_sys_is_err(mem))
			return (int)(intptr_t)mem;
	}
	return 0;
}

/* The process's signals are its owner's: these threads take none, but those by which memory that vanished shows. */
static int threads_start(struct ui_seat *seat)
{
	sigset_t all, before;
	int ret;

	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&seat->worker, NULL, work, seat);
	seat->worker_runs = !ret;
	if (!ret) {
		ret = pthread_create(&seat->loop, NULL, talk, seat);
		seat->loop_runs = !ret;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -ret;
}

int ui_seat_start(struct ui_seat *seat, struct ui_machine *machine, int listen_fd)
{
	const struct ui_pci_env env = { .wake = wake, .arg = seat };
	int ret;

	memset(seat, 0, sizeof(*seat));
	for (unsigned i = 0; i < UI_PCI_N_BARS; i++)
		seat->bar_fds[i] = -1;
	seat->machine = machine;
	seat->listen_fd = listen_fd;
	seat->kick_fd = ui_sys_eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ret = seat->kick_fd < 0 ? seat->kick_fd : bars_share(seat);
	if (!ret) {
		ui_pci_set_env(device(seat)->pci, &env);
		ret = threads_start(seat);
	}
	if (ret)
		ui_seat_stop(seat);
	return ret;
}

void ui_seat_stop(struct ui_seat *seat)
{
	atomic_store(&seat->stop, true);
	if (seat->loop_runs) {
		kick(seat);
		pthread_join(seat->loop, NULL);
	}
	if (seat->worker_runs) {
		wake(seat);
		pthread_join(seat->worker, NULL);
	}
	ui_machine_destroy(seat->machine);
	for (unsigned i = 0; i < UI_PCI_N_BARS; i++) {
		if (seat->bar_fds[i] >= 0)
			ui_sys_close(seat->bar_fds[i]);
	}
	if (seat->kick_fd >= 0)
		ui_sys_close(seat->kick_fd);
	ui_sys_close(seat->listen_fd);
}
