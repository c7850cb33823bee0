/* SPDX-License-Identifier: MIT */
/* Where the pages of mappings come from: the process's own memory (pa = address), and files, mapped by ourselves. */
#include "base/alloc.h"
#include "base/bits.h"
#include "base/safe.h"
#include "base/sys.h"
#include "iommufd/ctx.h"

#include <errno.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

static int pin(void *arg, u64 pa, u64 n_bytes, bool write)
{
	struct ui_iommufd *ctx = arg;
	u64 start = ui_align_down(pa, UI_PAGE_BYTES), last = (pa + (n_bytes - 1)) | (UI_PAGE_BYTES - 1);
	int ret;

	if (ctx->env.pin)
		return ctx->env.pin(ctx->env.arg, start, last - start + 1, write);
	ret = ui_sys_madvise(ui_user_ptr(start), last - start + 1, write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
	if (!ret || ret == -EFAULT)
		return ret;
	/* An old kernel, or memory of a special kind. */
	return ui_safe_probe(ui_user_ptr(start), last - start + 1, write);
}

static void held(void *arg, u64 pa, u64 n_bytes, bool now)
{
	struct ui_iommufd *ctx = arg;

	if (ctx->env.pinned)
		ctx->env.pinned(ctx->env.arg, pa, n_bytes, now);
}

/* The pages of our mapping of a file range. */
static u64 mapped_bytes(u64 start, u64 length)
{
	return ((start & (UI_PAGE_BYTES - 1)) + length + UI_PAGE_BYTES - 1) & ~(UI_PAGE_BYTES - 1);
}

static void unmap_file(struct ui_iommufd *ctx, u64 va, u64 n_bytes)
{
	if (ctx->env.map_file) {
		if (ctx->env.unmap_file)
			ctx->env.unmap_file(ctx->env.arg, va, n_bytes);
	} else {
		ui_sys_munmap(ui_user_ptr(va), n_bytes);
	}
}

static void release(void *arg, struct ui_pages *pages)
{
	const struct ui_pages_cfg *cfg = &pages->cfg;

	if (cfg->file && !cfg->error)
		unmap_file(arg, ui_align_down(cfg->pa, UI_PAGE_BYTES), mapped_bytes(cfg->addr, cfg->n_bytes));
}

const struct ui_pages_ops ui_iommufd_pages_ops = { .pin = pin, .held = held, .release = release };

int ui_user_pages_create(struct ui_iommufd *ctx, u64 va, u64 length, bool writable, struct ui_pages **out)
{
	struct ui_pages_cfg cfg = { .addr = va, .pa = va, .n_bytes = length, .writable = writable, .movable = true };
	u64 end;

	if (__builtin_add_overflow(va, length, &end))
		return -EOVERFLOW;
	if (!length || length > ~(u64)0 - UI_PAGE_BYTES)
		return -EINVAL;
	*out = ui_pages_create(&ctx->pages, &cfg);
	return *out ? 0 : -ENOMEM;
}

/* 0; -EINVAL: not a kind of file whose pages stay put. */
static int map_memory_file(int fd, u64 start, u64 n_bytes, bool write, u64 *va)
{
	s64 type = ui_sys_fstype(fd);
	void *at;

	if (type < 0)
		return (int)type;
	if (type != TMPFS_MAGIC && type != HUGETLBFS_MAGIC)
		return -EINVAL;
	at = ui_sys_mmap(NULL, n_bytes, PROT_READ | (write ? PROT_WRITE : 0), MAP_SHARED, fd, start);
	if (ui_sys_is_err(at))
		return -EINVAL;
	*va = (u64)(uintptr_t)at;
	return 0;
}

int ui_file_pages_create(struct ui_iommufd *ctx, int fd, u64 start, u64 length, bool writable, bool needed, struct ui_pages **out)
{
	struct ui_pages_cfg cfg = { .addr = start, .n_bytes = length, .writable = writable, .file = true };
	u64 aligned = ui_align_down(start, UI_PAGE_BYTES), n_bytes = mapped_bytes(start, length), last, va = 0;
	struct stat st;

	if (!length)
		return -EINVAL;
	if (!ui_range_last(start, length, &last))
		return -EOVERFLOW;
	if (ui_sys_fstat(fd, &st))
		return -EBADF;
	if (ui_inject_point())
		return -ENOMEM;
	if (last > INT64_MAX || n_bytes < length || (needed && last >= (u64)st.st_size))
		cfg.error = -EINVAL;
	else if (ctx->env.stands_in && ctx->env.stands_in(ctx->env.arg, fd))
		cfg.error = -EINVAL;
	else if (ctx->env.map_file)
		cfg.error = ctx->env.map_file(ctx->env.arg, fd, aligned, n_bytes, writable, &va);
	else
		cfg.error = map_memory_file(fd, aligned, n_bytes, writable, &va);
	if (cfg.error == -EBADF || cfg.error == -ENOMEM)
		return cfg.error;
	if (cfg.error)
		cfg.error = -EINVAL;
	/* Without a mapping the offset in the page still counts. */
	cfg.pa = va + (start & (UI_PAGE_BYTES - 1));
	*out = ui_pages_create(&ctx->pages, &cfg);
	if (!*out && !cfg.error)
		unmap_file(ctx, va, n_bytes);
	return *out ? 0 : -ENOMEM;
}
