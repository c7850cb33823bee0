/* SPDX-License-Identifier: MIT */
/* Where the pages of mappings come from: the process's own memory (pa = address), and files, mapped by ourselves. */
#include "base/alloc.h"
#include "base/bits.h"
#include "base/safe.h"
#include "base/sys.h"
#include "base/user.h"
#include "core/dmabuf.h"
#include "iommufd/ctx.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <stdio.h>
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

static int copy(void *arg, u64 pa, void *buf, u64 n_bytes, bool write)
{
	return write ? ui_safe_copy(ui_user_ptr(pa), buf, n_bytes) : ui_safe_copy(buf, ui_user_ptr(pa), n_bytes);
}

static void held(void *arg, const struct ui_pages *pages, u64 pa, u64 n_bytes, bool now)
{
	struct ui_iommufd *ctx = arg;

	/* Nobody but us can take away what we mapped ourselves. */
	if (ctx->env.pinned && (pages->cfg.movable || pages->cfg.remote))
		ctx->env.pinned(ctx->env.arg, pa, n_bytes, now);
	if (ctx->watch)
		ctx->watch->pinned(ctx->watch->arg, pa, n_bytes, now);
}

/* Our mapping of the file range that @cfg is. */
static u64 mapping(const struct ui_pages_cfg *cfg, u64 *n_bytes)
{
	u64 page = UI_BIT(cfg->page_lg2), va = ui_align_down(cfg->pa, page);

	*n_bytes = ui_align_up(cfg->pa + cfg->n_bytes, page) - va;
	return va;
}

static void unmap_file(struct ui_iommufd *ctx, const struct ui_pages_cfg *cfg)
{
	u64 n_bytes, va = mapping(cfg, &n_bytes);

	if (ctx->env.map_file) {
		if (ctx->env.unmap_file)
			ctx->env.unmap_file(ctx->env.arg, va, n_bytes);
	} else {
		ui_sys_munmap(ui_user_ptr(va), n_bytes);
	}
}

/* What @cfg holds besides the object's own memory. */
static void give_up(struct ui_iommufd *ctx, const struct ui_pages_cfg *cfg)
{
	if (cfg->error)
		return;
	if (cfg->file)
		unmap_file(ctx, cfg);
	else if (cfg->remote)
		ctx->env.unmap_caller(ctx->env.arg, cfg->pa, cfg->n_bytes);
}

static void release(void *arg, struct ui_pages *pages)
{
	give_up(arg, &pages->cfg);
}

const struct ui_pages_ops ui_iommufd_pages_ops = { .pin = pin, .copy = copy, .held = held, .release = release };

/* Who pays for what is pinned of @pages, and against which limit, is settled when it is mapped. */
static int set_payer(struct ui_iommufd *ctx, struct ui_pages *pages)
{
	enum ui_account_mode mode = ctx->rlimit_by_process ? UI_ACCOUNT_PROCESS : UI_ACCOUNT_USER;
	const struct ui_pages_cfg *cfg = &pages->cfg;
	struct ui_payer *payer;

	if (cfg->movable && ctx->env.registers && ctx->env.registers(ctx->env.arg, cfg->addr, cfg->n_bytes))
		return 0;
	payer = ui_payer_get(ctx->account);
	if (!payer)
		return -ENOMEM;
	ui_pages_set_payer(pages, payer, ui_iommufd_capable(ctx, CAP_IPC_LOCK) ? UI_ACCOUNT_NONE : mode);
	return 0;
}

/* Takes @cfg's resources over in any case. */
static int pages_create(struct ui_iommufd *ctx, const struct ui_pages_cfg *cfg, struct ui_pages **out)
{
	struct ui_pages *pages = ui_pages_create(&ctx->pages, cfg);
	int ret;

	if (!pages) {
		give_up(ctx, cfg);
		return -ENOMEM;
	}
	ret = set_payer(ctx, pages);
	if (ret)
		ui_pages_put(pages);
	else
		*out = pages;
	return ret;
}

/* Memory of another process: where it is in this one is settled now; what cannot be had cannot be pinned. */
static void map_caller(struct ui_iommufd *ctx, struct ui_pages_cfg *cfg)
{
	cfg->movable = false;
	cfg->remote = true;
	cfg->error = -EFAULT;
	if (ctx->env.map_caller)
		cfg->error = ctx->env.map_caller(ctx->env.arg, cfg->addr, cfg->n_bytes, cfg->writable, &cfg->pa);
}

int ui_user_pages_create(struct ui_iommufd *ctx, u64 va, u64 length, bool writable, struct ui_pages **out)
{
	struct ui_pages_cfg cfg = { .addr = va, .pa = va, .n_bytes = length, .writable = writable, .movable = true };
	u64 end;

	if (__builtin_add_overflow(va, length, &end))
		return -EOVERFLOW;
	if (!length || length > ~(u64)0 - UI_PAGE_BYTES)
		return -EINVAL;
	if (ui_caller())
		map_caller(ctx, &cfg);
	return pages_create(ctx, &cfg, out);
}

/* As the program's own mapping: a descriptor that may only be read is no reason, the kernel pins by the file. */
static void *map_shared(int fd, u64 offset, u64 n_bytes, bool write)
{
	int prot = PROT_READ | (write ? PROT_WRITE : 0);
	void *at = ui_sys_mmap(NULL, n_bytes, prot, MAP_SHARED, fd, offset);
	char path[32];

	if (at != (void *)-(intptr_t)EACCES)
		return at;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fd = ui_sys_openat(AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
	if (fd < 0)
		return at;
	at = ui_sys_mmap(NULL, n_bytes, prot, MAP_SHARED, fd, offset);
	ui_sys_close(fd);
	return at;
}

/* Maps what @cfg asks for, and says where. 0; -EINVAL: not a kind of file whose pages stay put; -EBADF, -ENOMEM. */
static int map_file(struct ui_iommufd *ctx, int fd, const struct stat *st, struct ui_pages_cfg *cfg)
{
	s64 type = ui_sys_fstype(fd);
	u64 start = cfg->addr, n_bytes, va = 0;
	void *at;
	int ret;

	if (type == HUGETLBFS_MAGIC && st->st_blksize > 0)
		cfg->page_lg2 = (u8)ui_ceil_lg2((u64)st->st_blksize);
	start = mapping(&(struct ui_pages_cfg){ .pa = cfg->addr, .n_bytes = cfg->n_bytes, .page_lg2 = cfg->page_lg2 }, &n_bytes);
	if (start + n_bytes > INT64_MAX)
		return -EINVAL;
	if (ctx->env.map_file) {
		ret = ctx->env.map_file(ctx->env.arg, fd, start, n_bytes, cfg->writable, &va);
		cfg->pa = va + (cfg->addr - start);
		return ret;
	}
	if (type != TMPFS_MAGIC && type != HUGETLBFS_MAGIC)
		return -EINVAL;
	at = map_shared(fd, start, n_bytes, cfg->writable);
	if (ui_sys_is_err(at))
		return -EINVAL;
	cfg->pa = (u64)(uintptr_t)at + (cfg->addr - start);
	return 0;
}

/* @fd is this process's. */
static int file_pages(struct ui_iommufd *ctx, int fd, struct ui_pages_cfg *cfg, bool needed, struct ui_pages **out)
{
	u64 last = cfg->addr + (cfg->n_bytes - 1);
	struct stat st;

	if (ui_sys_fstat(fd, &st))
		return -EBADF;
	if (ui_inject_point())
		return -ENOMEM;
	if (last > INT64_MAX || (needed && last >= (u64)st.st_size))
		cfg->error = -EINVAL;
	else if (ctx->env.stands_in && ctx->env.stands_in(ctx->env.arg, fd))
		cfg->error = -EINVAL;
	else
		cfg->error = map_file(ctx, fd, &st, cfg);
	if (cfg->error == -EBADF || cfg->error == -ENOMEM)
		return cfg->error;
	if (cfg->error) {
		cfg->error = -EINVAL;
		/* Without a mapping the offset in the page still counts. */
		cfg->pa = cfg->addr & (UI_PAGE_BYTES - 1);
	}
	return pages_create(ctx, cfg, out);
}

int ui_file_pages_create(struct ui_iommufd *ctx, int fd, u64 start, u64 length, bool writable, bool needed, struct ui_pages **out)
{
	struct ui_pages_cfg cfg = { .addr = start, .n_bytes = length, .writable = writable, .file = true, .page_lg2 = UI_PAGE_LG2 };
	struct ui_dmabuf *dmabuf = NULL;
	int ret, own;
	u64 last;

	if (!length)
		return -EINVAL;
	if (!ui_range_last(start, length, &last))
		return -EOVERFLOW;
	if (ctx->env.file_get)
		dmabuf = ctx->env.file_get(ctx->env.arg, fd, &ui_dmabuf_file_ops);
	if (dmabuf) {
		ret = ui_dmabuf_pages(dmabuf, &ctx->pages, start, length, writable, out);
		ctx->env.file_put(ctx->env.arg, dmabuf);
		return ret;
	}
	own = ui_user_fd_get(fd);
	ret = own < 0 ? -EBADF : file_pages(ctx, own, &cfg, needed, out);
	ui_user_fd_put(fd, own);
	return ret;
}
