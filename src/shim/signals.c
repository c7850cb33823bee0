/* SPDX-License-Identifier: MIT */
/*
 * SIGSEGV and SIGBUS belong to us once a device or context is in use: accesses to memory that vanished are recovered. Any
 * other such signal goes to the program as if we were not there. The program's own setting is kept here and shown to it;
 * ours carries its mask and flags, so that the kernel prepares everything the program asked for and its handler is simply
 * called.
 */
#include "shim/real.h"
#include "shim/shim.h"
#include "base/safe.h"
#include "base/sys.h"

#include <string.h>
#include <sys/syscall.h>

enum { N_PAST = 64 };

/* The program's setting: a handler may read it while another thread changes it, so each change goes to a fresh place. */
struct setting {
	struct sigaction past[N_PAST];
	_Atomic unsigned now; /* release in record(); pairs with acquire in current() */
};

static struct setting settings[2];
/*
 * Set, under the lock, before ours are put in place. Who changes a setting without having seen it looks again
 * afterwards (seq_cst, as the store): either the change was made before, and is found when ours are put in place, or
 * it is made once more through us.
 */
static _Atomic bool installed;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct setting *setting_of(int sig)
{
	return &settings[sig == SIGBUS];
}

static struct sigaction *current(int sig)
{
	struct setting *set = setting_of(sig);

	return &set->past[atomic_load_explicit(&set->now, memory_order_acquire) % N_PAST]; /* pairs with record() */
}

static void record(int sig, const struct sigaction *act)
{
	struct setting *set = setting_of(sig);
	unsigned next = atomic_load_explicit(&set->now, memory_order_relaxed) + 1;

	set->past[next % N_PAST] = *act;
	atomic_store_explicit(&set->now, next, memory_order_release); /* pairs with current() */
}

/* The default action, for real: back to the faulting instruction, or the signal once more if somebody sent it. */
static void end(int sig, siginfo_t *info)
{
	struct sigaction act = { .sa_handler = SIG_DFL };

	REAL(sigaction)(sig, &act, NULL);
	if (info->si_code <= 0)
		syscall(SYS_rt_tgsigqueueinfo, ui_sys_getpid(), ui_sys_gettid(), sig, info);
}

static void handle(int sig, siginfo_t *info, void *ucontext)
{
	struct sigaction act;
	int saved = errno;

	if (ui_safe_recover(sig, info, ucontext)) {
		errno = saved;
		return;
	}
	act = *current(sig);
	if (act.sa_handler == SIG_DFL || (act.sa_handler == SIG_IGN && info->si_code > 0)) {
		/* A fault of the machine cannot be ignored: the kernel treats that as the default, too. */
		end(sig, info);
		return;
	}
	if (act.sa_handler == SIG_IGN)
		return;
	if (act.sa_flags & (int)SA_RESETHAND) {
		struct sigaction reset = act;

		reset.sa_handler = SIG_DFL;
		record(sig, &reset);
	}
	errno = saved;
	if (act.sa_flags & SA_SIGINFO)
		act.sa_sigaction(sig, info, ucontext);
	else
		act.sa_handler(sig);
}

/* Puts ours in place with the flags and the mask of @act. */
static int install(int sig, const struct sigaction *act)
{
	struct sigaction mine = { .sa_sigaction = handle };

	mine.sa_flags = (act->sa_flags & (int)(SA_ONSTACK | SA_NODEFER | SA_RESTART)) | SA_SIGINFO;
	mine.sa_mask = act->sa_mask;
	if (act->sa_handler == SIG_IGN)
		mine.sa_flags |= SA_RESTART; /* an ignored signal interrupts nothing */
	return REAL(sigaction)(sig, &mine, NULL) ? -errno : 0;
}

/* Under the lock: what the program has set stays its setting. */
static int take_over(int sig)
{
	struct sigaction act;
	int ret = REAL(sigaction)(sig, NULL, &act) ? -errno : 0;

	if (ret)
		return ret;
	record(sig, &act);
	return install(sig, &act);
}

int ui_signals_init(void)
{
	int ret = 0;

	if (atomic_load_explicit(&installed, memory_order_relaxed))
		return 0;
	pthread_mutex_lock(&lock);
	if (!atomic_load_explicit(&installed, memory_order_relaxed)) {
		atomic_store(&installed, true); /* pairs with ours() */
		ret = take_over(SIGSEGV);
		if (!ret)
			ret = take_over(SIGBUS);
	}
	pthread_mutex_unlock(&lock);
	return ret;
}

void ui_signals_forked(void)
{
	lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

/* Is this call about a signal that we stand before? A vfork child changes its own settings, not ours. */
static bool ours(int sig)
{
	return (sig == SIGSEGV || sig == SIGBUS) && atomic_load(&installed) && !ui_self_borrowed(); /* pairs with ui_signals_init() */
}

/* The program's setting becomes @act. */
static int change(int sig, const struct sigaction *act, struct sigaction *old)
{
	struct ui_shim_entry entry;
	int ret = 0;

	ui_shim_enter(&entry);
	pthread_mutex_lock(&lock);
	*old = *current(sig);
	if (act) {
		ret = install(sig, act);
		if (!ret)
			record(sig, act);
	}
	pthread_mutex_unlock(&lock);
	ui_shim_leave(&entry);
	return ret;
}

UI_EXPORT int sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	struct sigaction was, want;
	int ret;

	if (act)
		want = *act;
	if (!ours(sig)) {
		ret = REAL(sigaction)(sig, act ? &want : NULL, &was) ? -errno : 0;
		/* The first device was opened meanwhile: ours may have been overwritten, or be what the kernel showed. */
		if (!ret && ours(sig))
			ret = change(sig, act ? &want : NULL, was.sa_sigaction == handle ? &was : &(struct sigaction){ 0 });
	} else {
		ret = change(sig, act ? &want : NULL, &was);
	}
	if (!ret && old)
		*old = was;
	return (int)ui_shim_ret(ret);
}

/* What may become ours any time goes the way that notices it. */
static bool served(int sig)
{
	return (sig == SIGSEGV || sig == SIGBUS) && ui_shim_served();
}

static sighandler_t set_handler(int sig, sighandler_t handler, int flags)
{
	struct sigaction act = { .sa_handler = handler, .sa_flags = flags }, old;

	if (handler == SIG_ERR) {
		errno = EINVAL;
		return SIG_ERR;
	}
	return sigaction(sig, &act, &old) ? SIG_ERR : old.sa_handler;
}

UI_EXPORT sighandler_t __sysv_signal(int sig, sighandler_t handler);

UI_EXPORT sighandler_t signal(int sig, sighandler_t handler)
{
	return served(sig) ? set_handler(sig, handler, SA_RESTART) : REAL(signal)(sig, handler);
}

UI_EXPORT sighandler_t bsd_signal(int sig, sighandler_t handler);

UI_EXPORT sighandler_t bsd_signal(int sig, sighandler_t handler)
{
	return signal(sig, handler);
}

UI_EXPORT sighandler_t ssignal(int sig, sighandler_t handler)
{
	return signal(sig, handler);
}

UI_EXPORT sighandler_t __sysv_signal(int sig, sighandler_t handler)
{
	return served(sig) ? set_handler(sig, handler, (int)(SA_RESETHAND | SA_NODEFER)) : REAL(__sysv_signal)(sig, handler);
}

UI_EXPORT sighandler_t sysv_signal(int sig, sighandler_t handler)
{
	return __sysv_signal(sig, handler);
}

UI_EXPORT int sigignore(int sig)
{
	return set_handler(sig, SIG_IGN, 0) == SIG_ERR ? -1 : 0;
}
