/* SPDX-License-Identifier: MIT */
/*
 * Facts about processes: who they are, what they may, what they have locked. @pid 0 is this process (for rights: the calling thread).
 * A process that is gone, or that cannot be looked at, has nothing and may nothing.
 */
#ifndef UI_BASE_PROC_H
#define UI_BASE_PROC_H

#include "base/types.h"

s32 ui_proc_self(void);
/* Real user ID; all ones when unknown. */
u32 ui_proc_uid(s32 pid);
/* When it was started, in clock ticks since boot: with the number, which process it is. 0 when unknown. */
u64 ui_proc_started(s32 pid);
/* Has it the capability (CAP_* of linux/capability.h) in its effective set? */
bool ui_proc_capable(s32 pid, unsigned cap);
/* RLIMIT_MEMLOCK, in bytes; all ones: none. */
u64 ui_proc_memlock_limit(s32 pid);
/* What it has locked by mlock() and its kind (VmLck). */
u64 ui_proc_locked_bytes(s32 pid);

#endif
