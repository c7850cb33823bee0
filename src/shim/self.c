/* SPDX-License-Identifier: MIT */
/*
 * Which process is this? A page that the kernel empties in forked children (MADV_WIPEONFORK) tells a child with a copy of
 * our memory from one that shares it (vfork, CLONE_VM): in the first the page is empty, in the second it is not but the
 * process id differs. This holds for forks that go round libc too.
 */
#include "shim/bind.h"
#include "shim/kvm.h"
#include "shim/region.h"
#include "shim/share.h"
#include "shim/shim.h"
#include "base/bits.h"
#include "base/sys.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct self {
	_Atomic u64 token; /* 0: wiped, this is a child. Relaxed: nothing else is published by it */
	pid_t pid;
};

static struct self *self; /* set before the first file exists, never changed */

static u64 new_token(void)
{
	u32 random = 0;

	if (syscall(SYS_getrandom, &random, sizeof(random), 0) != sizeof(random))
		random = (u32)(uintptr_t)&random;
	return (u64)(u32)ui_sys_getpid() << 42 | (u64)(random >> 6 | 1) << UI_SELF_ROUND_BITS;
}

static void set(void)
{
	self->pid = ui_sys_getpid();
	atomic_store_explicit(&self->token, new_token(), memory_order_relaxed);
}

/* Locks of the parent's threads are void here, and so is all they guarded: what was in use belongs to the parent. */
static void forked(void)
{
	set();
	ui_shim_lock_forked();
	ui_heap_forked();
	ui_mem_forked();
	ui_dirs_forked();
	ui_signals_forked();
	ui_bind_forked();
	ui_ownfd_forked();
	ui_worker_forked();
	ui_threads_forked();
	ui_share_forked();
	ui_share_mem_forked();
	ui_share_regions_forked();
	ui_remote_forked();
	ui_remote_mem_forked();
	ui_objects_forked();
	ui_regions_forked();
	ui_kvm_forked();
	ui_file_forked();
}

void ui_self_check(void)
{
	if (self && ui_unlikely(!atomic_load_explicit(&self->token, memory_order_relaxed)))
		forked();
}

bool ui_self_borrowed(void)
{
	ui_self_check();
	return self && ui_sys_getpid() != self->pid;
}

u64 ui_self_token(void)
{
	return atomic_load_explicit(&self->token, memory_order_relaxed);
}

bool ui_self_is(u64 token)
{
	return !((token ^ ui_self_token()) >> UI_SELF_ROUND_BITS);
}

/* Where the kernel cannot empty the page, libc tells: of the forks that go through it. */
static void wipe(void)
{
	if (self)
		atomic_store_explicit(&self->token, 0, memory_order_relaxed);
}

int ui_self_init(void)
{
	void *page;

	if (self)
		return 0;
	page = ui_sys_mmap(NULL, UI_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ui_sys_is_err(page))
		return -ENOMEM;
	if (ui_sys_madvise(page, UI_PAGE_BYTES, MADV_WIPEONFORK) && pthread_atfork(NULL, NULL, wipe)) {
		ui_sys_munmap(page, UI_PAGE_BYTES);
		return -ENOMEM;
	}
	self = page;
	set();
	return 0;
}
