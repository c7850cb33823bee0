/* SPDX-License-Identifier: MIT */
/* Memory behind descriptors that MAP_FILE maps as a kernel maps a dma-buf (core/dmabuf.h). */
#include "core/dmabuf.h"
#include "base/alloc.h"
#include "base/sys.h"
#include "base/user.h"
#include "iommufd/ctx.h"

#include <errno.h>
#include <sys/mman.h>

enum { GET_FD_FLAGS = 1, SET_FD_FLAGS = 2 }; /* F_GETFD, F_SETFD */

static void release(void *obj)
{
	ui_dmabuf_put(obj);
}

const struct ui_iommufd_file_ops ui_dmabuf_file_ops = { .name = "dma-buf", .release = release };

/* The memory that came with the descriptor, mapped for ourselves. */
static int lay(struct ui_dmabuf *dmabuf, int fd)
{
	int own = ui_user_fd_get(fd);
	void *at;

	if (own < 0)
		return own;
	at = ui_inject_point() ? (void *)-(intptr_t)ENOMEM
			       : ui_sys_mmap(NULL, ui_dmabuf_bytes(dmabuf), PROT_READ | PROT_WRITE, MAP_SHARED, own, 0);
	ui_user_fd_put(fd, own);
	if (ui_sys_is_err(at))
		return -ENOMEM;
	ui_dmabuf_lay(dmabuf, (u64)(uintptr_t)at);
	return 0;
}

int ui_dmabuf_fd_new(struct ui_iommufd *ctx, u64 n_bytes, bool on_exec)
{
	struct ui_dmabuf *dmabuf;
	int fd, ret;

	if (!ctx->env.file_new)
		return -EOPNOTSUPP;
	dmabuf = ui_dmabuf_create(n_bytes);
	if (!dmabuf)
		return -ENOMEM;
	fd = ctx->env.file_new(ctx->env.arg, &ui_dmabuf_file_ops, dmabuf, n_bytes);
	ret = fd < 0 ? fd : lay(dmabuf, fd);
	if (ret < 0) {
		if (fd >= 0)
			ctx->env.file_drop(ctx->env.arg, fd);
		ui_dmabuf_put(dmabuf);
		return ret;
	}
	/* Another process's descriptors are its own to change. */
	if (on_exec && !ui_caller())
		ui_sys_fcntl(fd, SET_FD_FLAGS, 0);
	return fd;
}

static bool is_open(int fd)
{
	int own = ui_user_fd_get(fd);
	bool open = own >= 0 && ui_sys_fcntl(own, GET_FD_FLAGS, 0) >= 0;

	ui_user_fd_put(fd, own);
	return open;
}

int ui_dmabuf_fd_revoke(struct ui_iommufd *ctx, int fd, bool revoked)
{
	struct ui_dmabuf *dmabuf = ctx->env.file_get ? ctx->env.file_get(ctx->env.arg, fd, &ui_dmabuf_file_ops) : NULL;
	int ret;

	if (!dmabuf)
		return is_open(fd) ? -EINVAL : -EBADF;
	ret = ui_dmabuf_revoke(dmabuf, revoked);
	ctx->env.file_put(ctx->env.arg, dmabuf);
	return ret;
}
