/* SPDX-License-Identifier: MIT */
#include "machine/counters.h"
#include "base/bits.h"
#include "base/proc.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* "uicount" and the version of the layout. */
#define MAGIC 0x01746e756f636975u

enum { SEALS = F_SEAL_SHRINK | F_SEAL_GROW, MAX_DEVICES = 4096 };

size_t ui_counters_bytes(u32 n_devices)
{
	return offsetof(struct ui_stats, devices) + (size_t)n_devices * sizeof(struct ui_stats_dev);
}

static struct ui_counters_head layout(u32 n_devices)
{
	return (struct ui_counters_head){
		.magic = MAGIC,
		.n_devices = n_devices,
		.n_slots = UI_COUNTERS_SLOTS,
		.head_bytes = ui_align_up(sizeof(struct ui_counters_head), UI_PAGE_BYTES),
		.slot_bytes = ui_align_up(ui_counters_bytes(n_devices), UI_PAGE_BYTES),
	};
}

static u64 slot_offset(const struct ui_counters_head *head, unsigned slot)
{
	return head->head_bytes + slot * head->slot_bytes;
}

int ui_counters_create(u32 n_devices)
{
	const struct ui_counters_head head = layout(n_devices);
	int fd, ret;

	ui_assert(n_devices && n_devices <= MAX_DEVICES);
	fd = ui_sys_memfd_create("uiommu-stats", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return fd;
	ret = ui_sys_ftruncate(fd, slot_offset(&head, head.n_slots));
	if (!ret)
		ret = ui_sys_fcntl(fd, F_ADD_SEALS, SEALS);
	if (!ret && ui_sys_pwrite(fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head))
		ret = -ENOMEM;
	if (ret) {
		ui_sys_close(fd);
		return ret;
	}
	return fd;
}

static int read_whole(int fd, void *buf, size_t n_bytes, u64 offset)
{
	for (size_t done = 0; done < n_bytes;) {
		ssize_t got = ui_sys_pread(fd, (u8 *)buf + done, n_bytes - done, offset + done);

		if (got <= 0)
			return got ? (int)got : -EIO;
		done += (size_t)got;
	}
	return 0;
}

int ui_counters_read(int fd, u32 n_devices, unsigned slot, struct ui_stats *copy)
{
	const struct ui_counters_head head = layout(n_devices);
	u64 owner;
	int ret = read_whole(fd, &owner, sizeof(owner), offsetof(struct ui_counters_head, owners) + slot * sizeof(owner));

	if (ret || !owner)
		return ret;
	ret = read_whole(fd, copy, ui_counters_bytes(n_devices), slot_offset(&head, slot));
	return ret ? ret : 1;
}

int ui_counters_processes(int fd, u32 *n_joined, u32 *n_lost)
{
	struct ui_counters_head head;
	int ret = read_whole(fd, &head, sizeof(head), 0);

	if (ret)
		return ret;
	*n_joined = atomic_load_explicit(&head.n_joined, memory_order_relaxed);
	*n_lost = atomic_load_explicit(&head.n_lost, memory_order_relaxed);
	return 0;
}

static u64 identity(s32 pid)
{
	return (u64)(u32)ui_proc_started(pid) << 32 | (u32)pid;
}

/* A fresh slot, or else one that nobody counts in any more. -EUSERS: none. */
static int take(struct ui_counters_head *head)
{
	u64 self = identity(ui_proc_self());

	for (unsigned pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < UI_COUNTERS_SLOTS; i++) {
			u64 there = atomic_load_explicit(&head->owners[i], memory_order_relaxed);
			/* What this process was before an exec counts no more. */
			bool free = pass ? there == self || identity((s32)(u32)there) != there : !there;

			/* Acquire, release: partner is the same of who had it before or gets it next; the counters' lines go on. */
			if (free && atomic_compare_exchange_strong_explicit(&head->owners[i], &there, self, memory_order_acq_rel,
									    memory_order_relaxed))
				return (int)i;
		}
	}
	return -EUSERS;
}

/* 0 with the layout, when @fd is what ui_counters_create() makes. */
static int recognise(int fd, struct ui_counters_head *want)
{
	struct ui_counters_head head;
	int seals = ui_sys_fcntl(fd, F_GET_SEALS, 0);
	struct stat st;

	if (seals < 0 || (seals & SEALS) != SEALS || ui_sys_fstat(fd, &st) || read_whole(fd, &head, sizeof(head), 0))
		return -ENOENT;
	if (head.magic != MAGIC || !head.n_devices || head.n_devices > MAX_DEVICES)
		return -ENOENT;
	*want = layout(head.n_devices);
	return st.st_size == (off_t)slot_offset(want, want->n_slots) ? 0 : -ENOENT;
}

static int map_slot(int fd, const struct ui_counters_head *at, struct ui_stats **out)
{
	struct ui_counters_head *head = ui_sys_mmap(NULL, at->head_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct ui_stats *stats;
	int slot;

	if (ui_sys_is_err(head))
		return -ENOMEM;
	atomic_fetch_add_explicit(&head->n_joined, 1, memory_order_relaxed);
	slot = take(head);
	stats = slot < 0 ? NULL : ui_sys_mmap(NULL, at->slot_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, slot_offset(at, (unsigned)slot));
	if (slot < 0 || ui_sys_is_err(stats))
		atomic_fetch_add_explicit(&head->n_lost, 1, memory_order_relaxed);
	ui_sys_munmap(head, at->head_bytes);
	if (slot < 0)
		return slot;
	if (ui_sys_is_err(stats))
		return -ENOMEM;
	*out = stats;
	return 0;
}

int ui_counters_join(const char *path, struct ui_stats **out, u32 *n_devices)
{
	struct ui_counters_head at;
	int fd = ui_sys_openat(AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0), ret;

	if (fd < 0)
		return fd;
	ret = recognise(fd, &at);
	if (!ret)
		ret = map_slot(fd, &at, out);
	if (!ret)
		*n_devices = at.n_devices;
	ui_sys_close(fd);
	return ret;
}

void ui_counters_leave(struct ui_stats *stats, u32 n_devices)
{
	ui_sys_munmap(stats, layout(n_devices).slot_bytes);
}
