/* SPDX-License-Identifier: MIT */
/*
 * Memory of clients, mapped into the owner: the same pages, by the same file. A range of a client's is one range
 * here, with holes where the client has no memory or none that can be shared.
 *
 * A client's process that has ended has no memory to pin any more; what was pinned before, and still is, may be
 * pinned once more (by another domain): it is ours as much as it was the client's.
 */
#include "shim/share.h"
#include "shim/maps.h"
#include "shim/pageset.h"
#include "base/bits.h"
#include "base/ivl.h"
#include "base/log.h"
#include "base/sys.h"

#include <sys/mman.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* inside the library's locks; a leaf but for the heap */
static struct ui_ivl ranges;    /* lock: addresses here to struct ui_client, each with a reference */
static _Atomic u64 n_ranges;    /* changed under the lock; relaxed: a hint */
static struct ui_pageset held;  /* lock: pages that mappings of devices hold */
static struct ui_pageset sound; /* lock: those of them that were there when they were pinned */

/* Maps what our own mapping @m has of the piece, from *@done on, at @to. */
static void map_more(const struct ui_msg *piece, const struct ui_mapping *m, u64 to, u64 *done)
{
	u64 at = piece->c + *done, skip = at - m->offset, n_bytes;
	void *got;

	if (!m->shared || m->ino != piece->d || m->dev != piece->ino || at < m->offset || skip > m->last - m->start)
		return;
	n_bytes = ui_min(piece->b - *done, m->last - m->start + 1 - skip);
	/* Of 0 bytes: a second mapping of the same pages. */
	got = ui_sys_mremap((void *)(m->start + skip), 0, n_bytes, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)(to + *done));
	if (!ui_sys_is_err(got))
		*done += n_bytes;
}

/* Finds the client's file among our own mappings, and maps the piece from there. */
static int map_inherited(const struct ui_msg *piece, u64 to)
{
	struct ui_mapping m;
	struct ui_maps maps;
	u64 done = 0, before;

	/* A file may be mapped in several parts, in any order: what was passed when it was not yet looked for, the
	 * next round finds. */
	do {
		before = done;
		if (ui_maps_begin(&maps, 0))
			return -ENOENT;
		while (done < piece->b && ui_maps_next(&maps, &m))
			map_more(piece, &m, to, &done);
		ui_maps_end(&maps);
	} while (done < piece->b && done != before);
	if (done < piece->b)
		return -ENOENT;
	return ui_sys_mprotect((void *)to, piece->b, (int)piece->ret);
}

/* Has the client what it names, as /proc has it? Memory of ours that it never had is not to be got by its inode. */
static bool is_there(const struct ui_client *client, const struct ui_msg *piece)
{
	u64 last = piece->a + (piece->b - 1);
	struct ui_mapping m;
	struct ui_maps maps;
	bool there = false;

	if (ui_maps_begin(&maps, ui_client_pid(client)))
		return false;
	while (!there && ui_maps_next(&maps, &m) && m.start <= last)
		there = m.shared && m.start <= piece->a && m.last >= last && m.ino == piece->d && m.dev == piece->ino &&
			m.offset + (piece->a - m.start) == piece->c && (m.write || !(piece->ret & PROT_WRITE));
	ui_maps_end(&maps);
	return there;
}

static int map_piece(struct ui_client *client, const struct ui_msg *piece, int fd, u64 to)
{
	void *at;

	if (fd == -EMFILE)
		return fd;
	if (fd < 0)
		return is_there(client, piece) && ui_client_alive(client) ? map_inherited(piece, to) : -ENOENT;
	at = ui_sys_mmap((void *)to, piece->b, (int)piece->ret, MAP_SHARED | MAP_FIXED, fd, piece->c);
	return ui_sys_is_err(at) ? (int)(long)at : 0;
}

/* The pieces of [@start, @start + @n_bytes) as the client sends them, laid out at @place. */
static int collect(struct ui_client *client, u64 start, u64 n_bytes, bool write, u64 place)
{
	struct ui_msg msg = { .type = UI_MSG_MAP, .a = start, .b = n_bytes, .c = write }, answer;
	int fd, ret = ui_client_send(client, &msg, -1);

	while (!ret) {
		ret = ui_client_recv(client, &msg, &fd);
		if (ret || msg.type != UI_MSG_PIECE)
			break;
		answer = (struct ui_msg){ .type = UI_MSG_DONE, .ret = -EINVAL };
		if (msg.b && ui_is_aligned(msg.a | msg.b | msg.c, UI_PAGE_BYTES) && msg.a >= start && msg.a - start < n_bytes &&
		    msg.b <= n_bytes - (msg.a - start) && !(msg.ret & ~(s64)(PROT_READ | PROT_WRITE)))
			answer.ret = map_piece(client, &msg, fd, place + (msg.a - start));
		if (fd >= 0)
			ui_sys_close(fd);
		ret = ui_client_send(client, &answer, -1);
	}
	if (!ret && fd >= 0)
		ui_sys_close(fd);
	if (!ret)
		ret = ui_msg_result(&msg);
	return ret > 0 ? -EIO : ret;
}

int ui_share_map(u64 va, u64 n_bytes, bool write, u64 *at)
{
	u64 start = ui_align_down(va, UI_PAGE_BYTES), last = (va + (n_bytes - 1)) | (UI_PAGE_BYTES - 1);
	struct ui_client *client = ui_client_current();
	void *place;
	int ret;

	/* Nowhere else, or not in any process. */
	if (last < start || last - start >= (u64)1 << 47)
		return -EFAULT;
	place = ui_sys_mmap(NULL, last - start + 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ui_sys_is_err(place))
		return -ENOMEM;
	ret = collect(client, start, last - start + 1, write, (u64)place);
	if (!ret) {
		pthread_mutex_lock(&lock);
		ret = ui_ivl_insert(&ranges, (u64)place, (u64)place + (last - start), client);
		if (!ret) {
			ui_client_hold(client);
			atomic_fetch_add_explicit(&n_ranges, 1, memory_order_relaxed);
		}
		pthread_mutex_unlock(&lock);
	}
	if (ret)
		ui_sys_munmap(place, last - start + 1);
	else
		*at = (u64)place + (va - start);
	return ret;
}

void ui_share_unmap(u64 at, u64 n_bytes)
{
	u64 start = ui_align_down(at, UI_PAGE_BYTES), last = (at + (n_bytes - 1)) | (UI_PAGE_BYTES - 1);
	struct ui_ivl_item item;
	bool found;

	pthread_mutex_lock(&lock);
	found = ui_ivl_meets(&ranges, start, last, &item);
	if (found) {
		ui_ivl_erase(&ranges, item.start);
		atomic_fetch_sub_explicit(&n_ranges, 1, memory_order_relaxed);
	}
	pthread_mutex_unlock(&lock);
	if (!found)
		return;
	ui_sys_munmap((void *)start, last - start + 1);
	ui_client_put(item.ptr);
}

/* Under the lock: are all pages in @set? */
static bool covers(struct ui_pageset *set, u64 start, u64 last)
{
	u64 from, to;

	return ui_pageset_next(set, start, last, &from, &to) && from <= start && to >= last;
}

int ui_share_check(u64 va, u64 n_bytes)
{
	u64 start = ui_align_down(va, UI_PAGE_BYTES), last = (va + (n_bytes - 1)) | (UI_PAGE_BYTES - 1), from, to;
	struct ui_ivl_item item;
	int ret = 1;

	if (!atomic_load_explicit(&n_ranges, memory_order_relaxed))
		return 1;
	pthread_mutex_lock(&lock);
	if (ui_ivl_meets(&ranges, start, last, &item)) {
		bool alive = ui_client_alive(item.ptr);

		ret = alive || covers(&sound, start, last) ? 0 : -EFAULT;
		for (u64 at = start; alive && ui_pageset_next(&held, at, last, &from, &to); at = to + 1) {
			ui_pageset_clear(&sound, from, to);
			/* Without memory they are not found later, and cannot be pinned when the client is gone. */
			ui_pageset_add(&sound, from, to, 1);
		}
	}
	pthread_mutex_unlock(&lock);
	return ret;
}

bool ui_share_pinned(u64 va, u64 n_bytes, bool now)
{
	u64 last = va + (n_bytes - 1), from, to;
	struct ui_ivl_item item;
	bool found;

	if (!atomic_load_explicit(&n_ranges, memory_order_relaxed))
		return false;
	pthread_mutex_lock(&lock);
	found = ui_ivl_meets(&ranges, va, last, &item);
	if (found) {
		if (ui_pageset_add(&held, va, last, now ? 1 : -1))
			ui_log(UI_LOG_ERROR, "out of memory: memory of a process that ends may be lost to devices");
		for (u64 at = va; !now && at <= last; at = to + 1) {
			/* From one page that is still held to the next. */
			if (!ui_pageset_next(&held, at, last, &from, &to))
				from = to = last + 1;
			if (from > at)
				ui_pageset_clear(&sound, at, from - 1);
		}
	}
	pthread_mutex_unlock(&lock);
	return found;
}

void ui_share_mem_forked(void)
{
	lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	ranges = (struct ui_ivl){ 0 };
	n_ranges = 0;
	ui_pageset_reset(&held, true);
	ui_pageset_reset(&sound, true);
}
