/* SPDX-License-Identifier: MIT */
/*
 * Memory in use by devices. When the program takes such memory away (munmap, mremap, MAP_FIXED, madvise, shmdt, the end of
 * a thread and its stack), the pages are first moved aside, to a place of our own, and the mappings go on there: as pinned
 * pages would, they live until the last mapping ends, and what the program puts at the old address is out of reach.
 *
 * Moving uses mremap() with MREMAP_DONTUNMAP, which leaves an empty mapping of the same kind at the old place: no other
 * thread can get hold of the addresses in between, and what is left is just what MADV_DONTNEED would leave.
 */
#include "shim/mem.h"
#include "shim/pageset.h"
#include "shim/region.h"
#include "shim/share.h"
#include "shim/shim.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "base/log.h"
#include "base/safe.h"
#include "base/sys.h"
#include "iommufd/iommufd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

enum { POPULATE_FROM_BYTES = 64 * 1024 };

struct aside {
	u64 start, last;
};

static pthread_mutex_t sets_lock = PTHREAD_MUTEX_INITIALIZER; /* leaf */
static struct ui_pageset pins;  /* sets_lock; pages that mappings use */
static struct ui_pageset bars;  /* sets_lock; pages that are a BAR's */
static struct aside *asides;    /* sets_lock; places of our own */
static size_t n_asides, max_asides;

/* There was no memory to note what this thread was told by ui_mem_pinned(): the pages cannot be pinned. */
UI_SHIM_TLS bool unnoted;

/* One change of the address space at a time. */
static pthread_mutex_t move_lock = PTHREAD_MUTEX_INITIALIZER;

void ui_mem_forked(void)
{
	sets_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	move_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	ui_pageset_reset(&pins, true);
	ui_pageset_reset(&bars, true);
	asides = NULL;
	n_asides = max_asides = 0;
}

bool ui_mem_watching(void)
{
	return !ui_pageset_empty(&pins) || !ui_pageset_empty(&bars) || !ui_region_none();
}

void ui_mem_lock(void)
{
	pthread_mutex_lock(&move_lock);
}

void ui_mem_unlock(void)
{
	pthread_mutex_unlock(&move_lock);
}

static bool find(struct ui_pageset *set, u64 start, u64 last, u64 *run_start, u64 *run_last)
{
	bool found;

	pthread_mutex_lock(&sets_lock);
	found = ui_pageset_next(set, start, last, run_start, run_last);
	pthread_mutex_unlock(&sets_lock);
	return found;
}

bool ui_mem_next_pinned(u64 start, u64 last, u64 *run_start, u64 *run_last)
{
	return find(&pins, start, last, run_start, run_last);
}

bool ui_mem_next_bar(u64 start, u64 last, u64 *run_start, u64 *run_last)
{
	return !ui_pageset_empty(&bars) && find(&bars, start, last, run_start, run_last);
}

bool ui_mem_all_bars(void *arg, u64 va, u64 n_bytes)
{
	u64 at = ui_align_down(va, UI_PAGE_BYTES), last = va + (n_bytes - 1), from, to;

	return ui_mem_next_bar(at, last, &from, &to) && from == at && to >= last;
}

void ui_mem_bar_add(u64 start, u64 last)
{
	pthread_mutex_lock(&sets_lock);
	if (ui_pageset_add(&bars, start, last, 1))
		ui_log(UI_LOG_ERROR, "out of memory: a mapped BAR may be taken for ordinary memory");
	pthread_mutex_unlock(&sets_lock);
}

bool ui_mem_bar_remove(u64 start, u64 last)
{
	u64 from, to;
	bool any;

	if (ui_pageset_empty(&bars))
		return false;
	pthread_mutex_lock(&sets_lock);
	any = ui_pageset_next(&bars, start, last, &from, &to);
	ui_pageset_clear(&bars, start, last);
	pthread_mutex_unlock(&sets_lock);
	return any;
}

int ui_mem_pin(void *arg, u64 va, u64 n_bytes, bool write)
{
	u64 from, to, last;

	if (!ui_range_last(va, n_bytes, &last))
		return -EFAULT;
	if (!ui_pageset_empty(&bars) && find(&bars, ui_align_down(va, UI_PAGE_BYTES), last, &from, &to))
		return -EFAULT;
	return ui_mem_pin_bars(arg, va, n_bytes, write);
}

int ui_mem_pin_bars(void *arg, u64 va, u64 n_bytes, bool write)
{
	u64 start = ui_align_down(va, UI_PAGE_BYTES), last;
	int advice = write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;

	if (!ui_range_last(va, n_bytes, &last) || ui_share_check(va, n_bytes) < 0)
		return -EFAULT;
	if (unnoted) {
		unnoted = false;
		return -ENOMEM;
	}
	if (n_bytes >= POPULATE_FROM_BYTES && !ui_sys_madvise((void *)start, ui_align_up(last + 1 - start, UI_PAGE_BYTES), advice))
		return 0;
	return ui_safe_probe((void *)va, n_bytes, write);
}

/* Places of our own that nothing uses any more go. */
static void drop_asides(u64 start, u64 last)
{
	u64 from, to;

	for (size_t i = 0; i < n_asides;) {
		struct aside gone = asides[i];

		if (gone.last < start || gone.start > last || ui_pageset_next(&pins, gone.start, gone.last, &from, &to)) {
			i++;
			continue;
		}
		asides[i] = asides[--n_asides];
		ui_sys_munmap((void *)gone.start, gone.last - gone.start + 1);
	}
}

void ui_mem_pinned(void *arg, u64 va, u64 n_bytes, bool now)
{
	u64 last;

	if (!ui_range_last(va, n_bytes, &last) || ui_share_pinned(va, n_bytes, now))
		return;
	pthread_mutex_lock(&sets_lock);
	/* Taking away clears it: the pages were given up for another reason. */
	unnoted = (ui_pageset_add(&pins, va, last, now ? 1 : -1) || unnoted) && now;
	if (!now && n_asides)
		drop_asides(va, last);
	pthread_mutex_unlock(&sets_lock);
}

static int add_aside(u64 start, u64 last)
{
	if (n_asides == max_asides) {
		size_t max = max_asides ? max_asides * 2 : 16;
		struct aside *more = ui_realloc(asides, max * sizeof(*more));

		if (!more)
			return -ENOMEM;
		asides = more;
		max_asides = max;
	}
	asides[n_asides++] = (struct aside){ start, last };
	return 0;
}

/* --- Moving --- */

struct move {
	u64 from, to, n_bytes;
	int (*carry)(struct move *move);
	unsigned next; /* context to hold still next */
	void *arg;
};

/* Holds every context still that uses the pages, one inside the other, then carries the pages. */
static int hold_and_carry(void *arg)
{
	struct move *move = arg;
	struct ui_file *file;

	while ((file = ui_file_next_context(&move->next)) != NULL) {
		int ret = ui_iommufd_move_pages(file->ctx, move->from, move->n_bytes, move->to, hold_and_carry, move);

		ui_file_put(file);
		if (ret != -ENOENT)
			return ret;
	}
	return move->carry(move);
}

static int run_move(struct move *move)
{
	int ret;

	move->next = 0;
	ret = hold_and_carry(move);
	if (ret)
		return ret;
	pthread_mutex_lock(&sets_lock);
	if (ui_pageset_move(&pins, move->from, move->to, move->n_bytes))
		ui_log(UI_LOG_ERROR, "out of memory: a munmap under a mapping may go unnoticed");
	pthread_mutex_unlock(&sets_lock);
	return 0;
}

/* Of one mapping of the kernel's, so that it happens whole or not at all. */
static int carry_piece(u64 from, u64 to, u64 n_bytes)
{
	void *at = ui_sys_mremap((void *)from, n_bytes, n_bytes, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, (void *)to);

	if (!ui_sys_is_err(at))
		return 0;
	/* Not every mapping can be left behind empty on every kernel: then something else keeps the addresses. */
	at = ui_sys_mremap((void *)from, n_bytes, n_bytes, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)to);
	if (ui_sys_is_err(at))
		return (int)(long)at;
	ui_sys_mmap((void *)from, n_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	return 0;
}

static int carry_aside(struct move *move)
{
	return carry_piece(move->from, move->to, move->n_bytes);
}

static int carry_copy(struct move *move)
{
	return ui_safe_copy((void *)move->to, (const void *)move->from, move->n_bytes);
}

static int reserve(u64 n_bytes, int prot, u64 *at)
{
	void *place = ui_sys_mmap(NULL, n_bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (ui_sys_is_err(place))
		return -ENOMEM;
	*at = (u64)place;
	return 0;
}

/* A place outside [@from, @from + n_bytes), which may have holes where the kernel would put it. Ends: two places at most overlap. */
static int reserve_apart(u64 from, u64 n_bytes, int prot, u64 *at)
{
	int ret = reserve(n_bytes, prot, at);
	u64 first = *at;

	if (ret || (first - from >= n_bytes && from - first >= n_bytes))
		return ret;
	ret = reserve_apart(from, n_bytes, prot, at);
	ui_sys_munmap((void *)first, n_bytes);
	return ret;
}

static int one_aside(struct move *move, int prot)
{
	int ret = reserve_apart(move->from, move->n_bytes, prot, &move->to);

	if (ret)
		return ret;
	ret = run_move(move);
	if (ret) {
		ui_sys_munmap((void *)move->to, move->n_bytes);
		return ret;
	}
	pthread_mutex_lock(&sets_lock);
	ret = add_aside(move->to, move->to + move->n_bytes - 1);
	/* Everything may have been unmapped meanwhile. */
	drop_asides(move->to, move->to + move->n_bytes - 1);
	pthread_mutex_unlock(&sets_lock);
	if (ret)
		ui_log(UI_LOG_ERROR, "out of memory: pages under a mapping are kept for good");
	return 0;
}

/*
 * The first part of [@at, @last] that one mapping of the kernel's covers. What mremap() does to several at once differs by
 * kernel, and may stop half way.
 */
static bool next_mapping(u64 at, u64 last, u64 *first, u64 *end)
{
	int fd = ui_sys_openat(AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
	bool found = false, passed = false;
	char buf[8192]; /* a line has a path of at most 4096 bytes */
	size_t have = 0;
	ssize_t n;

	while (!found && !passed && fd >= 0 && (n = ui_sys_read(fd, buf + have, sizeof(buf) - 1 - have)) > 0) {
		char *line = buf, *newline, *rest;

		have += (size_t)n;
		while (!found && !passed && (newline = memchr(line, '\n', (size_t)(buf + have - line)))) {
			u64 start = strtoull(line, &rest, 16), after = strtoull(rest + 1, NULL, 16);

			passed = start > last;
			found = !passed && after > at;
			if (found) {
				*first = ui_max(start, at);
				*end = ui_min(after - 1, last);
			}
			line = newline + 1;
		}
		have -= (size_t)(line - buf);
		memmove(buf, line, have);
	}
	if (fd >= 0)
		ui_sys_close(fd);
	return found;
}

static int mapping_aside(u64 first, u64 end, struct ui_mem_undo *undo)
{
	struct move move = { .from = first, .n_bytes = end - first + 1, .carry = carry_aside };
	int ret = one_aside(&move, PROT_NONE);

	if (ret == -EINVAL) {
		/* A part of a huge page cannot move. The program gives it up, so a copy serves the device as well. */
		move.carry = carry_copy;
		ret = one_aside(&move, PROT_READ | PROT_WRITE);
	}
	if (!ret && undo->n < ui_array_size(undo->runs))
		undo->runs[undo->n++] = (struct ui_mem_run){ first, move.to, move.n_bytes };
	return ret;
}

int ui_mem_aside(u64 start, u64 last, struct ui_mem_undo *undo)
{
	u64 from, to, first, end;

	for (; start <= last && ui_mem_next_pinned(start, last, &from, &to); start = to + 1) {
		for (u64 at = from; at <= to && next_mapping(at, to, &first, &end); at = end + 1) {
			int ret = mapping_aside(first, end, undo);

			if (ret)
				return ret;
		}
		if (to == ~(u64)0)
			break;
	}
	return 0;
}

static int carry_back(struct move *move)
{
	void *at = ui_sys_mremap((void *)move->from, move->n_bytes, move->n_bytes, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)move->to);

	return ui_sys_is_err(at) ? (int)(long)at : 0;
}

void ui_mem_undo(const struct ui_mem_undo *undo)
{
	for (unsigned i = 0; i < undo->n; i++) {
		const struct ui_mem_run *run = &undo->runs[i];

		for (u64 at = 0; at < run->n_bytes; at += UI_PAGE_BYTES) {
			struct move move = { .from = run->to + at, .to = run->from + at, .n_bytes = UI_PAGE_BYTES, .carry = carry_back };

			run_move(&move);
		}
		pthread_mutex_lock(&sets_lock);
		drop_asides(run->to, run->to + run->n_bytes - 1);
		pthread_mutex_unlock(&sets_lock);
	}
}

static int carry_remap(struct move *move)
{
	struct ui_mem_remap *remap = move->arg;
	void *at = ui_sys_mremap((void *)remap->old, remap->old_bytes, remap->new_bytes, remap->flags | MREMAP_MAYMOVE | MREMAP_FIXED,
				 (void *)remap->to);

	return ui_sys_is_err(at) ? (int)(long)at : 0;
}

int ui_mem_follow(struct ui_mem_remap *remap)
{
	struct move move = { .from = remap->old, .to = remap->to, .carry = carry_remap, .arg = remap };

	move.n_bytes = ui_min(remap->old_bytes, remap->new_bytes);
	return run_move(&move);
}

int ui_mem_reserve(u64 n_bytes, u64 *at)
{
	return reserve(n_bytes, PROT_NONE, at);
}

void ui_mem_thread_exit(void)
{
	struct ui_shim_entry entry;
	pthread_attr_t attr;
	void *lowest = NULL;
	size_t n_bytes = 0;
	u64 at, last, from, to;

	if (ui_pageset_empty(&pins) || pthread_getattr_np(pthread_self(), &attr))
		return;
	pthread_attr_getstack(&attr, &lowest, &n_bytes);
	pthread_attr_destroy(&attr);
	if (!ui_range_last((u64)lowest, n_bytes, &last))
		return;
	ui_shim_enter(&entry);
	ui_mem_lock();
	/* We stand on these pages, so they stay, and devices get copies. */
	for (at = (u64)lowest; at <= last && ui_mem_next_pinned(at, last, &from, &to); at = to + 1) {
		struct move move = { .from = from, .n_bytes = to - from + 1, .carry = carry_copy };

		if (one_aside(&move, PROT_READ | PROT_WRITE))
			ui_log(UI_LOG_ERROR, "out of memory: a thread's stack ends under a mapping");
	}
	ui_mem_unlock();
	ui_shim_leave(&entry);
}
