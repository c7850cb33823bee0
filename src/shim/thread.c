/* SPDX-License-Identifier: MIT */
/*
 * Threads of the library's own: every signal but SIGSEGV and SIGBUS blocked (they are started inside an entry and
 * stay in one), on stacks that lie apart from the program's memory. One that has ended is joined when the next is
 * started, which gets its stack.
 */
#include "shim/shim.h"
#include "shim/real.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "base/sys.h"

#include <sys/mman.h>
#include <sys/syscall.h>

/* With room for the thread-local data of a sanitizer; what is not touched costs nothing. */
enum { STACK_BYTES = 4 << 20 };

struct seat {
	struct seat *next; /* lock; seats are never freed */
	void *stack;
	pthread_t thread;
	void (*fn)(void *arg);
	void *arg;
	bool taken;          /* lock */
	_Atomic bool done;   /* release at the thread's end; pairs with acquire in ui_thread_start() */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* leaf but for the heap */
static struct seat *seats;                               /* lock */

void ui_thread_answer_setxid(void)
{
	u64 setxid = (u64)1 << (33 - 1);

	syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &setxid, NULL, sizeof(setxid));
}

static void *run(void *arg)
{
	struct ui_shim_entry entry;
	struct seat *seat = arg;

	/* Also at its very end, in libc. */
	ui_thread_answer_setxid();
	ui_shim_enter(&entry);
	ui_thread_answer_setxid();
	seat->fn(seat->arg);
	ui_shim_leave(&entry);
	atomic_store_explicit(&seat->done, true, memory_order_release);
	return NULL;
}

static struct seat *new_seat(void)
{
	struct seat *seat = ui_zalloc(sizeof(*seat));
	void *at;

	if (!seat)
		return NULL;
	at = ui_sys_mmap(NULL, UI_PAGE_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ui_sys_is_err(at)) {
		ui_free(seat);
		return NULL;
	}
	ui_sys_mprotect(at, UI_PAGE_BYTES, PROT_NONE);
	seat->stack = (char *)at + UI_PAGE_BYTES;
	seat->next = seats;
	seats = seat;
	return seat;
}

/* Under the lock. */
static struct seat *free_seat(void)
{
	for (struct seat *seat = seats; seat; seat = seat->next) {
		if (seat->taken && atomic_load_explicit(&seat->done, memory_order_acquire)) {
			REAL(pthread_join)(seat->thread, NULL);
			seat->taken = false;
		}
		if (!seat->taken)
			return seat;
	}
	return new_seat();
}

int ui_thread_start(void (*fn)(void *arg), void *arg)
{
	pthread_attr_t attr;
	struct seat *seat;
	int ret = ENOMEM;

	pthread_mutex_lock(&lock);
	seat = free_seat();
	if (seat) {
		seat->fn = fn;
		seat->arg = arg;
		atomic_store_explicit(&seat->done, false, memory_order_relaxed);
		pthread_attr_init(&attr);
		pthread_attr_setstack(&attr, seat->stack, STACK_BYTES);
		ret = REAL(pthread_create)(&seat->thread, &attr, run, seat);
		pthread_attr_destroy(&attr);
		seat->taken = !ret;
		if (!ret)
			pthread_setname_np(seat->thread, "uiommu-share");
	}
	pthread_mutex_unlock(&lock);
	return -ret;
}

void ui_threads_forked(void)
{
	lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	/* Nobody stands on the stacks here. */
	for (struct seat *seat = seats; seat; seat = seat->next)
		seat->taken = false;
}
