/* SPDX-License-Identifier: MIT */
/* The test command: the size rule, the operations, and the contexts that have it. */
#include "mock/mock.h"
#include "base/alloc.h"
#include "base/user.h"
#include "mock/priv.h"

#include <errno.h>
#include <fcntl.h>

#define CMD_TEST (UI_UAPI_TYPE | 0xa0u)
enum { TEST_CMD_MIN = 68 };

/* The smallest batch that the kernel accepts. Here nothing is done in batches that a limit could cut. */
enum { MEMORY_LIMIT_MIN = 12 };
enum { DMABUF_MAX_BYTES = 2 << 20 };

long ui_mock_respond(const struct ui_mock_call *call)
{
	return ui_user_write(call->arg, &call->cmd, ui_min(call->user_bytes, sizeof(call->cmd)));
}

static long add_reserved(struct ui_mock_call *call)
{
	u64 start = call->cmd.add_reserved.start, last;
	struct ui_ioas_obj *ioas;
	int ret;

	if (!call->cmd.add_reserved.length)
		return -EINVAL;
	if (!ui_range_last(start, call->cmd.add_reserved.length, &last))
		return -EOVERFLOW;
	ioas = ui_obj_get(call->ctx, call->cmd.id, UI_OBJ_IOAS);
	if (!ioas)
		return -ENOENT;
	ret = ui_ioas_reserve(ioas->ioas, start, last, NULL);
	ui_obj_put(call->ctx, &ioas->obj);
	return ret;
}

static long mock_domain(struct ui_mock_call *call)
{
	return ui_mock_domain(call, 0);
}

static long mock_domain_flags(struct ui_mock_call *call)
{
	return ui_mock_domain(call, call->cmd.mock_domain.dev_flags);
}

static long set_memory_limit(struct ui_mock_call *call)
{
	return call->cmd.memory_limit.limit < MEMORY_LIMIT_MIN ? -EINVAL : 0;
}

/* The answer is the descriptor, as the test wants it; the structure is not written. */
static long dmabuf_get(struct ui_mock_call *call)
{
	u32 length = call->cmd.dmabuf_get.length;

	if (!length || length > DMABUF_MAX_BYTES)
		return -EINVAL;
	return ui_dmabuf_fd_new(call->ctx, ui_align_up(length, UI_PAGE_BYTES), !(call->cmd.dmabuf_get.open_flags & O_CLOEXEC));
}

static long dmabuf_revoke(struct ui_mock_call *call)
{
	return ui_dmabuf_fd_revoke(call->ctx, call->cmd.dmabuf_revoke.fd, call->cmd.dmabuf_revoke.revoked != 0);
}

/* By number, from 1 on. */
static long (*const ops[])(struct ui_mock_call *call) = {
	add_reserved,
	mock_domain,
	ui_mock_check_map,
	ui_mock_check_refs,
	ui_mock_create_access,
	ui_mock_destroy_access_pages,
	ui_mock_access_pages,
	ui_mock_access_rw,
	set_memory_limit,
	ui_mock_domain_replace,
	ui_mock_access_replace_ioas,
	mock_domain_flags,
	ui_mock_dirty,
	ui_mock_check_iotlb,
	ui_mock_trigger_iopf,
	ui_mock_check_cache,
	ui_mock_trigger_vevent,
	ui_mock_pasid_attach,
	ui_mock_pasid_replace,
	ui_mock_pasid_detach,
	ui_mock_pasid_check,
	dmabuf_get,
	dmabuf_revoke,
};

static_assert(ui_array_size(ops) == 23, "an entry for each operation");

static long mock_ioctl(void *arg, struct ui_iommufd *ctx, u32 cmd, u64 uarg)
{
	struct ui_mock_call call = { .mctx = arg, .ctx = ctx, .arg = uarg };
	u32 user_bytes;
	int ret;

	/* With the test command the table reaches this far: bad pointers come first. */
	if ((cmd & 0xff) > (CMD_TEST & 0xff))
		return -ENOTTY;
	if (ui_user_read(&user_bytes, uarg, sizeof(user_bytes)))
		return -EFAULT;
	if (cmd != CMD_TEST)
		return -ENOTTY;
	ret = ui_iommufd_read_cmd(uarg, TEST_CMD_MIN, sizeof(call.cmd), &call.cmd, &call.user_bytes);
	if (ret)
		return ret;
	if (!call.cmd.op || call.cmd.op > ui_array_size(ops))
		return -EOPNOTSUPP;
	return ops[call.cmd.op - 1](&call);
}

static void mock_gone(void *arg)
{
	struct ui_mock_ctx *mctx = arg;
	struct ui_mock *mock = mctx->mock;

	pthread_mutex_lock(&mock->lock);
	ui_list_del(&mctx->link);
	pthread_mutex_unlock(&mock->lock);
	ui_mock_pins_fini(mctx);
	ui_free(mctx);
}

struct ui_mock *ui_mock_create(void)
{
	struct ui_mock *mock = ui_zalloc(sizeof(*mock));

	if (!mock)
		return NULL;
	mock->mem = ui_mem_create_process();
	mock->iommu = mock->mem ? ui_iommu_create(&ui_mock_driver, mock->mem) : NULL;
	if (!mock->iommu) {
		if (mock->mem)
			ui_mem_destroy(mock->mem);
		ui_free(mock);
		return NULL;
	}
	pthread_mutex_init(&mock->lock, NULL);
	ui_list_init(&mock->contexts);
	ui_ids_init(&mock->rids, UI_IDS_LAST);
	return mock;
}

void ui_mock_destroy(struct ui_mock *mock)
{
	if (!mock)
		return;
	ui_assert(ui_list_empty(&mock->contexts));
	ui_iommu_destroy(mock->iommu);
	ui_mem_destroy(mock->mem);
	ui_ids_fini(&mock->rids);
	pthread_mutex_destroy(&mock->lock);
	ui_free(mock);
}

struct ui_iommufd *ui_mock_open(struct ui_mock *mock, const struct ui_iommufd_env *env)
{
	struct ui_mock_ctx *mctx = ui_zalloc(sizeof(*mctx));

	if (!mctx)
		return NULL;
	mctx->ctx = ui_iommufd_open(env);
	if (!mctx->ctx) {
		ui_free(mctx);
		return NULL;
	}
	mctx->mock = mock;
	mctx->watch.gone = mock_gone;
	mctx->watch.arg = mctx;
	ui_mock_pins_init(mctx);
	mctx->ctx->watch = &mctx->watch;
	pthread_mutex_lock(&mock->lock);
	ui_list_add_tail(&mock->contexts, &mctx->link);
	pthread_mutex_unlock(&mock->lock);
	ui_iommufd_set_extra(mctx->ctx, mock_ioctl, mctx);
	return mctx->ctx;
}
