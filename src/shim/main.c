/* SPDX-License-Identifier: MIT */
#include "shim/shim.h"
#include "shim/bind.h"
#include "shim/real.h"
#include "base/log.h"
#include "base/sys.h"

#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

static struct ui_machine_desc desc;
static char counters[64]; /* "": none */
static bool served;

/* Volatile: syscall() is declared a leaf, so the count could otherwise be kept in a register while the mask changes and a
 * handler runs; one that jumps away then would leave a count behind, and signals open, for good. */
UI_SHIM_TLS volatile unsigned depth;

/* Async-signal-safe after fork() has reset it; held for short, never while a context or a device works. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

bool ui_shim_served(void)
{
	return served;
}

const struct ui_machine_desc *ui_shim_desc(void)
{
	return &desc;
}

const char *ui_shim_counters(void)
{
	return counters[0] ? counters : NULL;
}

static u64 swap_mask(u64 mask)
{
	u64 old = 0;

	/* pthread_sigmask() would leave libc's own signals open: a cancellation must not unwind through us either. */
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, &old, sizeof(mask));
	return old;
}

void ui_shim_enter(struct ui_shim_entry *entry)
{
	int saved = errno;

	/* Signals first, then the count: a handler that jumps away in between leaves nothing behind. */
	entry->mask = depth ? 0 : swap_mask(~((u64)1 << (SIGSEGV - 1) | (u64)1 << (SIGBUS - 1)));
	/* Waiting for a lock may be a cancellation point even so; one that is pending is acted on after the call. */
	if (!depth)
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &entry->cancel);
	depth++;
	ui_self_check();
	errno = saved;
}

void ui_shim_leave(const struct ui_shim_entry *entry)
{
	int saved = errno;

	depth--;
	if (!depth) {
		pthread_setcancelstate(entry->cancel, NULL);
		swap_mask(entry->mask);
	}
	errno = saved;
}

bool ui_shim_inside(void)
{
	return depth != 0;
}

void ui_shim_lock(void)
{
	pthread_mutex_lock(&lock);
}

void ui_shim_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

void ui_shim_lock_forked(void)
{
	lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

static __attribute__((constructor)) void start(void)
{
	const char *text = getenv("UIOMMU_MACHINE"), *path = getenv("UIOMMU_STATS");
	int saved = errno;
	char err[256];

	ui_real_init();
	if (text && !ui_machine_desc_parse(&desc, text, err, sizeof(err))) {
		ui_shim_log_init(&desc);
		if (path && strlen(path) < sizeof(counters))
			strcpy(counters, path);
		served = true;
	} else if (text) {
		ui_log(UI_LOG_ERROR, "UIOMMU_MACHINE: %s: this program is not served", err);
	}
	errno = saved;
}

static __attribute__((destructor)) void end(void)
{
	struct ui_shim_entry entry;

	if (!served)
		return;
	ui_shim_enter(&entry);
	ui_bind_ended();
	ui_shim_leave(&entry);
}
