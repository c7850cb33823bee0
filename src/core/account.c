/* SPDX-License-Identifier: MIT */
#include "core/account.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "base/list.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/user.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

struct ui_payer {
	struct ui_account *account;
	s32 pid;       /* 0: this process */
	u64 started;   /* with pid: which process of that number */
	u32 uid;
	struct ui_list link;             /* account->lock */
	u64 refs;                        /* account->lock; not counted for this process's payer, which lives as long as the account */
	u64 limit_bytes;                 /* account->lock; RLIMIT_MEMLOCK when it was last looked at: what counts when it has ended */
	/* What is checked against a limit grows under account->lock; relaxed: a count, nothing follows from it. */
	_Atomic u64 n_pages[UI_ACCOUNT_N_MODES];
};

struct ui_account {
	pthread_mutex_t lock;
	struct ui_list payers; /* lock: other processes */
	struct ui_payer self;
	atomic_bool told;      /* relaxed: the log has its one line */
};

struct ui_account *ui_account_create(void)
{
	struct ui_account *account = ui_zalloc(sizeof(*account));

	if (!account)
		return NULL;
	pthread_mutex_init(&account->lock, NULL);
	ui_list_init(&account->payers);
	ui_list_init(&account->self.link);
	account->self.account = account;
	account->self.uid = ui_proc_uid(0);
	return account;
}

static u64 count(const struct ui_payer *payer, enum ui_account_mode mode)
{
	return atomic_load_explicit(&payer->n_pages[mode], memory_order_relaxed);
}

static void assert_paid(const struct ui_payer *payer)
{
	for (unsigned mode = 0; mode < UI_ACCOUNT_N_MODES; mode++)
		ui_assert(!count(payer, mode));
}

void ui_account_destroy(struct ui_account *account)
{
	if (!account)
		return;
	ui_assert(ui_list_empty(&account->payers));
	assert_paid(&account->self);
	pthread_mutex_destroy(&account->lock);
	ui_free(account);
}

static struct ui_payer *find(struct ui_account *account, s32 pid, u64 started)
{
	ui_list_for_each(item, &account->payers) {
		struct ui_payer *payer = ui_container_of(item, struct ui_payer, link);

		if (payer->pid == pid && payer->started == started)
			return payer;
	}
	return NULL;
}

/* The process @pid as a payer, with a reference. */
static struct ui_payer *get_other(struct ui_account *account, s32 pid)
{
	struct ui_payer *payer, *fresh = ui_zalloc(sizeof(*fresh));
	u64 started = ui_proc_started(pid);

	if (!fresh)
		return NULL;
	pthread_mutex_lock(&account->lock);
	payer = find(account, pid, started);
	if (!payer) {
		payer = fresh;
		fresh = NULL;
		payer->account = account;
		payer->pid = pid;
		payer->started = started;
		payer->uid = ui_proc_uid(pid);
		payer->limit_bytes = ui_proc_memlock_limit(pid);
		ui_list_add_tail(&account->payers, &payer->link);
	}
	payer->refs++;
	pthread_mutex_unlock(&account->lock);
	ui_free(fresh);
	return payer;
}

struct ui_payer *ui_payer_get(struct ui_account *account)
{
	const struct ui_caller *caller = ui_caller();

	return ui_likely(!caller) ? &account->self : get_other(account, caller->pid);
}

struct ui_payer *ui_payer_hold(struct ui_payer *payer)
{
	if (payer == &payer->account->self)
		return payer;
	pthread_mutex_lock(&payer->account->lock);
	payer->refs++;
	pthread_mutex_unlock(&payer->account->lock);
	return payer;
}

void ui_payer_put(struct ui_payer *payer)
{
	struct ui_account *account = payer ? payer->account : NULL;
	bool gone;

	if (!payer || payer == &account->self)
		return;
	pthread_mutex_lock(&account->lock);
	gone = !--payer->refs;
	if (gone)
		ui_list_del(&payer->link);
	pthread_mutex_unlock(&account->lock);
	if (!gone)
		return;
	assert_paid(payer);
	ui_free(payer);
}

/* What the user of @payer has pinned in user mode. Under account->lock. */
static u64 user_pages(const struct ui_payer *payer)
{
	const struct ui_account *account = payer->account;
	u64 n = account->self.uid == payer->uid ? count(&account->self, UI_ACCOUNT_USER) : 0;

	ui_list_for_each(item, &account->payers) {
		const struct ui_payer *other = ui_container_of(item, struct ui_payer, link);

		n += other->uid == payer->uid ? count(other, UI_ACCOUNT_USER) : 0;
	}
	return n;
}

/* Another process may have the number now. */
static bool has_ended(const struct ui_payer *payer)
{
	return payer->pid && ui_proc_started(payer->pid) != payer->started;
}

/* Has @payer room for the pages? Under account->lock. */
static bool fits(struct ui_payer *payer, const u64 n_pages[UI_ACCOUNT_N_MODES])
{
	u64 limit = ui_proc_memlock_limit(payer->pid), locked = 0, user = n_pages[UI_ACCOUNT_USER], own = n_pages[UI_ACCOUNT_PROCESS];
	bool ended = has_ended(payer);

	if (!ended)
		payer->limit_bytes = limit;
	limit = payer->limit_bytes >> UI_PAGE_LG2;
	if (limit == ~(u64)0 >> UI_PAGE_LG2)
		return true;
	if (user && user_pages(payer) + user > limit)
		return false;
	if (!own)
		return true;
	if (!ended)
		locked = ui_proc_locked_bytes(payer->pid) >> UI_PAGE_LG2;
	return locked + count(payer, UI_ACCOUNT_PROCESS) + own <= limit;
}

int ui_payer_charge(struct ui_payer *payer, const u64 n_pages[UI_ACCOUNT_N_MODES])
{
	struct ui_account *account = payer->account;
	bool limited = n_pages[UI_ACCOUNT_USER] || n_pages[UI_ACCOUNT_PROCESS], ok = true;

	if (limited) {
		pthread_mutex_lock(&account->lock);
		ok = fits(payer, n_pages);
	}
	for (unsigned mode = 0; ok && mode < UI_ACCOUNT_N_MODES; mode++) {
		if (n_pages[mode])
			atomic_fetch_add_explicit(&payer->n_pages[mode], n_pages[mode], memory_order_relaxed);
	}
	if (limited)
		pthread_mutex_unlock(&account->lock);
	if (!ok && !atomic_exchange_explicit(&account->told, true, memory_order_relaxed))
		ui_log(UI_LOG_WARN, "memory for devices is limited by RLIMIT_MEMLOCK (ulimit -l), which is too low");
	return ok ? 0 : -ENOMEM;
}

void ui_payer_uncharge(struct ui_payer *payer, const u64 n_pages[UI_ACCOUNT_N_MODES])
{
	for (unsigned mode = 0; mode < UI_ACCOUNT_N_MODES; mode++) {
		if (n_pages[mode])
			ui_assert(atomic_fetch_sub_explicit(&payer->n_pages[mode], n_pages[mode], memory_order_relaxed) >= n_pages[mode]);
	}
}

void ui_account_read(struct ui_account *account, s32 pid, u64 *pinned, u64 *locked)
{
	const struct ui_payer *payer = &account->self;

	pthread_mutex_lock(&account->lock);
	if (pid && pid != ui_proc_self())
		payer = find(account, pid, ui_proc_started(pid));
	*pinned = *locked = 0;
	for (unsigned mode = 0; payer && mode < UI_ACCOUNT_N_MODES; mode++)
		*pinned += count(payer, mode);
	if (payer)
		*locked = count(payer, UI_ACCOUNT_PROCESS);
	pthread_mutex_unlock(&account->lock);
}
