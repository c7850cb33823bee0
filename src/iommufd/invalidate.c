/* SPDX-License-Identifier: MIT */
/* HWPT_INVALIDATE: a user changed a table of its own, or tells its vIOMMU to forget. */
#include "iommufd/viommu.h"

#include <errno.h>

enum { MAX_ENTRIES = 1 << 19 };

static int nested(struct ui_hwpt *hwpt, struct ui_user_array *array)
{
	const struct ui_driver_ops *driver = ui_domain_driver(hwpt->domain);

	return driver->invalidate ? driver->invalidate(hwpt->domain, array) : -EOPNOTSUPP;
}

static int viommu(struct ui_viommu_obj *viommu, struct ui_user_array *array)
{
	int ret;

	if (!viommu->viommu.ops->invalidate)
		return -EOPNOTSUPP;
	pthread_rwlock_rdlock(&viommu->vdevices_lock);
	ret = viommu->viommu.ops->invalidate(&viommu->viommu, array);
	pthread_rwlock_unlock(&viommu->vdevices_lock);
	return ret;
}

static int invalidate(struct ui_iommufd *ctx, const struct ui_uapi_hwpt_invalidate *cmd, struct ui_user_array *array)
{
	struct ui_obj *obj;
	int ret = -EINVAL;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	if (array->n && (!array->uptr || !array->entry_bytes || array->entry_bytes > UI_PAGE_BYTES || array->n > MAX_ENTRIES))
		return -EINVAL;
	obj = ui_obj_get(ctx, cmd->hwpt_id, UI_OBJ_ANY);
	if (!obj)
		return -ENOENT;
	if (obj->kind == UI_OBJ_HWPT_NESTED)
		ret = nested(ui_container_of(obj, struct ui_hwpt, obj), array);
	else if (obj->kind == UI_OBJ_VIOMMU)
		ret = viommu(ui_container_of(obj, struct ui_viommu_obj, obj), array);
	ui_obj_put(ctx, obj);
	return ret;
}

int ui_cmd_hwpt_invalidate(struct ui_call *call)
{
	struct ui_uapi_hwpt_invalidate *cmd = call->cmd;
	struct ui_user_array array = {
		.type = cmd->data_type, .entry_bytes = cmd->entry_len, .n = cmd->entry_num, .uptr = cmd->data_uptr
	};
	int ret = invalidate(call->ctx, cmd, &array);

	/* The number of entries done is told on errors, too. */
	cmd->entry_num = array.n_done;
	return ui_call_respond(call) ? -EFAULT : ret;
}
