/* SPDX-License-Identifier: MIT */
/*
 * VFIO groups set to an iommufd: the group's devices come to the context one by one as they are opened, and attach to the IOAS that
 * the container's calls work on, which the first group makes.
 */
#include "base/alloc.h"
#include "iommufd/ctx.h"

#include <errno.h>

struct ui_group_tie {
	struct ui_iommufd *ctx; /* a reference */
};

/* The number of the IOAS for the container's calls, which is made if there is none. Like any other, it is the program's to destroy. */
static int compat_ioas(struct ui_iommufd *ctx, u32 *id)
{
	struct ui_ioas_obj *ioas, *other;
	int ret = ui_ioas_obj_new(ctx, &ioas);

	if (ret)
		return ret;
	pthread_mutex_lock(&ctx->lock);
	other = ctx->vfio_ioas && !ctx->vfio_ioas->dying ? ui_container_of(ctx->vfio_ioas, struct ui_ioas_obj, obj) : NULL;
	*id = other ? other->obj.id : ioas->obj.id;
	if (!other)
		ctx->vfio_ioas = &ioas->obj;
	pthread_mutex_unlock(&ctx->lock);
	if (other)
		ui_ioas_obj_abort(ctx, ioas);
	else
		ui_obj_finalize(ctx, &ioas->obj);
	return 0;
}

int ui_iommufd_tie_group(void *arg, struct ui_device *const *devs, size_t n, struct ui_group_tie **out)
{
	struct ui_iommufd *ctx = arg;
	struct ui_group_tie *tie = ui_zalloc(sizeof(*tie));
	u32 id;
	int ret = tie ? compat_ioas(ctx, &id) : -ENOMEM;

	if (ret) {
		ui_free(tie);
		return ret;
	}
	ui_iommufd_hold(ctx);
	tie->ctx = ctx;
	*out = tie;
	return 0;
}

void ui_iommufd_untie_group(struct ui_group_tie *tie)
{
	ui_iommufd_close(tie->ctx);
	ui_free(tie);
}

int ui_iommufd_open_device(struct ui_group_tie *tie, struct ui_device *dev, struct ui_bound **bound)
{
	struct ui_iommufd *ctx = tie->ctx;
	struct ui_ioas_obj *ioas;
	u32 dev_id, pt_id;
	int ret = ui_iommufd_binder_ops.bind(ctx, dev, &dev_id, bound);

	if (ret)
		return ret;
	/* The program may have destroyed it, or cleared the choice, since the group was set. */
	ioas = ui_vfio_ioas_get(ctx);
	ret = ioas ? 0 : -ENODEV;
	if (ioas) {
		pt_id = ioas->obj.id;
		ret = ui_iommufd_binder_ops.attach(*bound, 0, false, &pt_id);
		ui_obj_put(ctx, &ioas->obj);
	}
	if (ret)
		ui_iommufd_binder_ops.unbind(*bound);
	return ret;
}
