/* SPDX-License-Identifier: MIT */
/*
 * Pinned memory against RLIMIT_MEMLOCK. A payer is a process that mapped memory; what is pinned for it is counted per payer, in one
 * account for all contexts of the process that owns them, and checked as a kernel would: against the sum over the payer's user, or
 * against the payer's own locked memory.
 *
 * Threads: any. account->lock is a leaf.
 */
#ifndef UI_CORE_ACCOUNT_H
#define UI_CORE_ACCOUNT_H

#include "base/types.h"

struct ui_account;
struct ui_payer;

enum ui_account_mode {
	UI_ACCOUNT_NONE,    /* counted as pinned, no limit: the process has CAP_IPC_LOCK */
	UI_ACCOUNT_USER,    /* what the payer's user has pinned, in this account */
	UI_ACCOUNT_PROCESS, /* what the payer has pinned and mlocked; counted as locked */
	UI_ACCOUNT_N_MODES,
};

/* NULL without memory. */
struct ui_account *ui_account_create(void);
/* Nothing is charged any more and no payer is held. NULL is a no-op. */
void ui_account_destroy(struct ui_account *account);
/* What the process @pid has: pages pinned in any mode, and those of them that count as locked. */
void ui_account_read(struct ui_account *account, s32 pid, u64 *pinned, u64 *locked);

/* The payer for the calling thread's caller (base/user.h), with a reference; NULL without memory. */
struct ui_payer *ui_payer_get(struct ui_account *account);
struct ui_payer *ui_payer_hold(struct ui_payer *payer);
/* NULL is a no-op. */
void ui_payer_put(struct ui_payer *payer);
/* @n_pages[mode] more for each mode, all or none. 0; -ENOMEM over the limit. */
int ui_payer_charge(struct ui_payer *payer, const u64 n_pages[UI_ACCOUNT_N_MODES]);
void ui_payer_uncharge(struct ui_payer *payer, const u64 n_pages[UI_ACCOUNT_N_MODES]);

#endif
