/* SPDX-License-Identifier: MIT */
/*
 * vDEVICEs: a bound device as its vIOMMU's user names it. It goes by DESTROY, or with its device: then its number is buried.
 */
#include "base/alloc.h"
#include "iommufd/viommu.h"

#include <errno.h>

struct ui_vdevice_obj {
	struct ui_obj obj;
	struct ui_vdevice vdevice;
	struct ui_viommu_obj *viommu; /* used */
	struct ui_bound *bound;
};

/* Under ctx->attach. Not finalized yet, or found by nobody any more; the memory is the caller's. */
static void vdevice_fini(struct ui_iommufd *ctx, struct ui_vdevice_obj *vdevice)
{
	struct ui_viommu_obj *viommu = vdevice->viommu;

	ui_device_set_vdevice(vdevice->vdevice.dev, NULL);
	*ui_bound_vdevice(vdevice->bound) = NULL;
	pthread_rwlock_wrlock(&viommu->vdevices_lock);
	if (viommu->viommu.ops->vdevice_gone)
		viommu->viommu.ops->vdevice_gone(&vdevice->vdevice);
	ui_ivl_erase(&viommu->vdevices, vdevice->vdevice.virt_id);
	pthread_rwlock_unlock(&viommu->vdevices_lock);
	ui_obj_unuse(ctx, &viommu->obj);
}

static void vdevice_destroy(struct ui_iommufd *ctx, struct ui_obj *obj)
{
	struct ui_vdevice_obj *vdevice = ui_container_of(obj, struct ui_vdevice_obj, obj);

	pthread_mutex_lock(&ctx->attach);
	vdevice_fini(ctx, vdevice);
	pthread_cond_broadcast(&ctx->vdevice_gone);
	pthread_mutex_unlock(&ctx->attach);
	ui_free(vdevice);
}

void ui_vdevice_unbind(struct ui_bound *bound)
{
	struct ui_vdevice_obj **slot = ui_bound_vdevice(bound), *vdevice = *slot;
	struct ui_iommufd *ctx = ui_bound_ctx(bound);

	/* Calls that hold a vdevice never wait for ctx->attach. */
	if (ui_obj_bury(ctx, &vdevice->obj)) {
		vdevice_fini(ctx, vdevice);
		ui_free(vdevice);
	}
	while (*slot)
		pthread_cond_wait(&ctx->vdevice_gone, &ctx->attach);
}

/* Enters the index of the vIOMMU and tells the driver. 0; -EEXIST @virt_id is taken; -ENOMEM; the driver's. */
static int vdevice_init(struct ui_vdevice_obj *vdevice)
{
	struct ui_viommu_obj *viommu = vdevice->viommu;
	u64 virt_id = vdevice->vdevice.virt_id;
	int ret;

	pthread_rwlock_wrlock(&viommu->vdevices_lock);
	ret = ui_ivl_insert(&viommu->vdevices, virt_id, virt_id, &vdevice->vdevice);
	if (!ret && viommu->viommu.ops->vdevice_init) {
		ret = viommu->viommu.ops->vdevice_init(&vdevice->vdevice);
		if (ret)
			ui_ivl_erase(&viommu->vdevices, virt_id);
	}
	pthread_rwlock_unlock(&viommu->vdevices_lock);
	return ret;
}

/* Under ctx->attach. */
static int vdevice_alloc(struct ui_call *call, struct ui_viommu_obj *viommu, struct ui_bound *bound)
{
	struct ui_uapi_vdevice_alloc *cmd = call->cmd;
	struct ui_vdevice_obj *vdevice;
	int ret;

	if (viommu->viommu.iommu != ui_device_iommu(ui_bound_device(bound)))
		return -EINVAL;
	if (ui_bound_leaving(bound))
		return -ENOENT;
	if (*ui_bound_vdevice(bound))
		return -EEXIST;
	ret = ui_obj_new(call->ctx, UI_OBJ_VDEVICE, sizeof(*vdevice), &vdevice);
	if (ret)
		return ret;
	vdevice->obj.destroy = vdevice_destroy;
	vdevice->vdevice = (struct ui_vdevice){ .viommu = &viommu->viommu, .dev = ui_bound_device(bound), .virt_id = cmd->virt_id };
	vdevice->viommu = viommu;
	vdevice->bound = bound;
	ret = vdevice_init(vdevice);
	if (ret) {
		ui_obj_abort(call->ctx, &vdevice->obj);
		return ret;
	}
	ui_obj_use(call->ctx, &viommu->obj);
	*ui_bound_vdevice(bound) = vdevice;
	ui_device_set_vdevice(vdevice->vdevice.dev, &vdevice->vdevice);
	cmd->out_vdevice_id = vdevice->obj.id;
	ret = ui_call_respond(call);
	if (ret) {
		vdevice_fini(call->ctx, vdevice);
		ui_obj_abort(call->ctx, &vdevice->obj);
		return ret;
	}
	ui_obj_finalize(call->ctx, &vdevice->obj);
	return 0;
}

int ui_cmd_vdevice_alloc(struct ui_call *call)
{
	const struct ui_uapi_vdevice_alloc *cmd = call->cmd;
	struct ui_iommufd *ctx = call->ctx;
	struct ui_viommu_obj *viommu;
	struct ui_bound *bound;
	int ret = -ENOENT;

	viommu = ui_obj_get(ctx, cmd->viommu_id, UI_OBJ_VIOMMU);
	if (!viommu)
		return -ENOENT;
	bound = ui_obj_get(ctx, cmd->dev_id, UI_OBJ_DEVICE);
	if (bound) {
		pthread_mutex_lock(&ctx->attach);
		ret = vdevice_alloc(call, viommu, bound);
		pthread_mutex_unlock(&ctx->attach);
		ui_obj_put(ctx, (struct ui_obj *)bound);
	}
	ui_obj_put(ctx, &viommu->obj);
	return ret;
}
