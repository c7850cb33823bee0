/* SPDX-License-Identifier: MIT */
/* OPTION, VFIO_IOAS and IOAS_CHANGE_PROCESS: settings of the context. */
#include "iommufd/ctx.h"

#include <errno.h>
#include <linux/capability.h>

static int option_rlimit(struct ui_iommufd *ctx, struct ui_uapi_option *cmd)
{
	int ret = 0;

	if (cmd->object_id)
		return -EOPNOTSUPP;
	if (cmd->op == UI_UAPI_OPTION_OP_GET) {
		pthread_mutex_lock(&ctx->lock);
		cmd->val64 = ctx->rlimit_by_process;
		pthread_mutex_unlock(&ctx->lock);
		return 0;
	}
	if (cmd->op != UI_UAPI_OPTION_OP_SET)
		return -EOPNOTSUPP;
	if (!ui_iommufd_capable(ctx, CAP_SYS_RESOURCE))
		return -EPERM;
	pthread_mutex_lock(&ctx->lock);
	if (ctx->n_objects)
		ret = -EBUSY;
	else if (cmd->val64 > 1)
		ret = -EINVAL;
	else
		ctx->rlimit_by_process = cmd->val64;
	pthread_mutex_unlock(&ctx->lock);
	return ret;
}

static int option_huge_pages(struct ui_iommufd *ctx, struct ui_uapi_option *cmd)
{
	struct ui_ioas_obj *ioas = ui_obj_get(ctx, cmd->object_id, UI_OBJ_IOAS);
	int ret = 0;

	if (!ioas)
		return -ENOENT;
	if (cmd->op == UI_UAPI_OPTION_OP_GET)
		cmd->val64 = ui_ioas_huge_pages(ioas->ioas);
	else if (cmd->op != UI_UAPI_OPTION_OP_SET)
		ret = -EOPNOTSUPP;
	else
		ret = cmd->val64 > 1 ? -EINVAL : ui_ioas_set_huge_pages(ioas->ioas, cmd->val64);
	ui_obj_put(ctx, &ioas->obj);
	return ret;
}

int ui_cmd_option(struct ui_call *call)
{
	struct ui_uapi_option *cmd = call->cmd;
	int ret = -EOPNOTSUPP;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	if (cmd->option_id == UI_UAPI_OPTION_RLIMIT_MODE)
		ret = option_rlimit(call->ctx, cmd);
	else if (cmd->option_id == UI_UAPI_OPTION_HUGE_PAGES)
		ret = option_huge_pages(call->ctx, cmd);
	return ret ? ret : ui_call_respond(call);
}

static int vfio_ioas_set(struct ui_iommufd *ctx, u32 id)
{
	struct ui_ioas_obj *ioas = ui_obj_get(ctx, id, UI_OBJ_IOAS);

	if (!ioas)
		return -ENOENT;
	pthread_mutex_lock(&ctx->lock);
	ctx->vfio_ioas = &ioas->obj;
	pthread_mutex_unlock(&ctx->lock);
	ui_obj_put(ctx, &ioas->obj);
	return 0;
}

int ui_cmd_vfio_ioas(struct ui_call *call)
{
	struct ui_uapi_vfio_ioas *cmd = call->cmd;
	struct ui_iommufd *ctx = call->ctx;
	struct ui_ioas_obj *ioas;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	switch (cmd->op) {
	case UI_UAPI_VFIO_IOAS_GET:
		ioas = ui_vfio_ioas_get(ctx);
		if (!ioas)
			return -ENODEV;
		cmd->ioas_id = ioas->obj.id;
		ui_obj_put(ctx, &ioas->obj);
		return ui_call_respond(call);
	case UI_UAPI_VFIO_IOAS_SET:
		return vfio_ioas_set(ctx, cmd->ioas_id);
	case UI_UAPI_VFIO_IOAS_CLEAR:
		pthread_mutex_lock(&ctx->lock);
		ctx->vfio_ioas = NULL;
		pthread_mutex_unlock(&ctx->lock);
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

/* The objects behind all areas of the context, which must all be files. */
static int list_all(struct ui_iommufd *ctx, struct ui_pages_list *list)
{
	struct ui_obj *obj;
	int ret = 0;
	u32 id = 0;

	pthread_mutex_lock(&ctx->lock);
	while (!ret && (obj = ui_ids_next(&ctx->ids, &id))) {
		if (obj->kind != UI_OBJ_IOAS || obj->dying)
			continue;
		obj->calls++;
		pthread_mutex_unlock(&ctx->lock);
		ret = ui_ioas_list_files(ui_container_of(obj, struct ui_ioas_obj, obj)->ioas, list);
		ui_obj_put(ctx, obj);
		pthread_mutex_lock(&ctx->lock);
	}
	pthread_mutex_unlock(&ctx->lock);
	return ret;
}

int ui_cmd_ioas_change_process(struct ui_call *call)
{
	const struct ui_uapi_ioas_change_process *cmd = call->cmd;
	struct ui_iommufd *ctx = call->ctx;
	struct ui_pages_list list = { 0 };
	struct ui_payer *payer;
	int ret;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	payer = ui_payer_get(ctx->account);
	if (!payer)
		return -ENOMEM;
	ret = list_all(ctx, &list);
	if (!ret)
		ret = ui_pages_charge_to(&ctx->pages, list.pages, list.n, payer);
	ui_pages_list_free(&list);
	ui_payer_put(payer);
	return ret;
}
