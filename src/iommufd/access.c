/* SPDX-License-Identifier: MIT */
/* Accesses as objects of a context (core/access.h). */
#include "base/alloc.h"
#include "iommufd/ctx.h"

#include <errno.h>

int ui_access_obj_new(struct ui_iommufd *ctx, const struct ui_access_ops *ops, void *arg, struct ui_access_obj **out)
{
	struct ui_access_obj *obj;
	int ret = ui_obj_new(ctx, UI_OBJ_ACCESS, sizeof(*obj), &obj);

	if (ret)
		return ret;
	obj->access = ui_access_create(ops, arg);
	if (!obj->access) {
		ui_obj_abort(ctx, &obj->obj);
		return -ENOMEM;
	}
	obj->ctx = ctx;
	ui_iommufd_hold(ctx);
	/* Its owner. */
	ui_obj_use(ctx, &obj->obj);
	ui_obj_finalize(ctx, &obj->obj);
	*out = obj;
	return 0;
}

static int set_ioas(struct ui_access_obj *obj, struct ui_ioas_obj *ioas)
{
	struct ui_ioas_obj *old = obj->ioas;
	int ret;

	if (ioas)
		ui_obj_use(obj->ctx, &ioas->obj);
	ret = ui_access_set_ioas(obj->access, ioas ? ioas->ioas : NULL);
	if (ret) {
		ui_obj_unuse(obj->ctx, &ioas->obj);
		return ret;
	}
	obj->ioas = ioas;
	if (old)
		ui_obj_unuse(obj->ctx, &old->obj);
	return 0;
}

/* 0: none. */
static int set_ioas_id(struct ui_access_obj *obj, u32 ioas_id)
{
	struct ui_ioas_obj *ioas;
	int ret;

	if (!ioas_id)
		return set_ioas(obj, NULL);
	ioas = ui_obj_get(obj->ctx, ioas_id, UI_OBJ_IOAS);
	if (!ioas)
		return -ENOENT;
	ret = set_ioas(obj, ioas);
	ui_obj_put(obj->ctx, &ioas->obj);
	return ret;
}

int ui_access_obj_attach(struct ui_access_obj *obj, u32 ioas_id)
{
	if (obj->ioas)
		return -EINVAL;
	return ioas_id ? set_ioas_id(obj, ioas_id) : -ENOENT;
}

int ui_access_obj_replace(struct ui_access_obj *obj, u32 ioas_id)
{
	return obj->ioas ? set_ioas_id(obj, ioas_id) : -ENOENT;
}

void ui_access_obj_destroy(struct ui_access_obj *obj)
{
	struct ui_iommufd *ctx;

	if (!obj)
		return;
	ctx = obj->ctx;
	set_ioas(obj, NULL);
	ui_access_destroy(obj->access);
	ui_obj_retire(ctx, &obj->obj);
	ui_free(obj);
	ui_iommufd_close(ctx);
}
