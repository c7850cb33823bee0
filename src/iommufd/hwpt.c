/* SPDX-License-Identifier: MIT */
/* HWPTs: domains that keep step with an IOAS; dirty tracking. */
#include "base/alloc.h"
#include "base/bits.h"
#include "base/user.h"
#include "iommufd/viommu.h"

#include <errno.h>

/* Undoes what its maker did: the domain is not in an IOAS any more, and nobody uses the HWPT. */
static void give_up(struct ui_iommufd *ctx, struct ui_hwpt *hwpt)
{
	ui_domain_destroy(hwpt->domain);
	if (hwpt->fault)
		ui_fault_disconnect(ctx, hwpt);
	if (hwpt->viommu)
		ui_obj_unuse(ctx, &hwpt->viommu->obj);
	else
		ui_obj_unuse(ctx, hwpt->parent ? &hwpt->parent->obj : &hwpt->ioas->obj);
}

static void destroy_paging(struct ui_iommufd *ctx, struct ui_obj *obj)
{
	struct ui_hwpt *hwpt = ui_container_of(obj, struct ui_hwpt, obj);

	ui_ioas_remove_domain(hwpt->ioas->ioas, hwpt->domain);
	give_up(ctx, hwpt);
	ui_free(hwpt);
}

static void destroy_nested(struct ui_iommufd *ctx, struct ui_obj *obj)
{
	struct ui_hwpt *hwpt = ui_container_of(obj, struct ui_hwpt, obj);

	give_up(ctx, hwpt);
	ui_free(hwpt);
}

void ui_hwpt_abort(struct ui_iommufd *ctx, struct ui_hwpt *hwpt)
{
	give_up(ctx, hwpt);
	ui_obj_abort(ctx, &hwpt->obj);
}

int ui_hwpt_new(struct ui_iommufd *ctx, struct ui_ioas_obj *ioas, struct ui_device *dev, unsigned domain_flags,
		const struct ui_user_data *data, struct ui_hwpt **out)
{
	struct ui_hwpt *hwpt;
	int ret;

	ret = ui_obj_new(ctx, UI_OBJ_HWPT, sizeof(*hwpt), &hwpt);
	if (ret)
		return ret;
	hwpt->obj.destroy = destroy_paging;
	ui_list_init(&hwpt->link);
	hwpt->pasid = domain_flags & UI_DOMAIN_F_PASID;
	ret = ui_domain_create_paging(dev, domain_flags, data, &hwpt->domain);
	if (ret) {
		ui_obj_abort(ctx, &hwpt->obj);
		return ret;
	}
	hwpt->ioas = ioas;
	ui_obj_use(ctx, &ioas->obj);
	*out = hwpt;
	return 0;
}

enum {
	PAGING_FLAGS = UI_UAPI_HWPT_NEST_PARENT | UI_UAPI_HWPT_DIRTY_TRACKING | UI_UAPI_HWPT_FAULT_ID_VALID | UI_UAPI_HWPT_PASID,
};

static int check_paging_flags(struct ui_device *dev, u32 flags)
{
	if (flags & ~(u32)PAGING_FLAGS)
		return -EOPNOTSUPP;
	if ((flags & UI_UAPI_HWPT_DIRTY_TRACKING) && !ui_device_dirty_capable(dev))
		return -EOPNOTSUPP;
	if ((flags & UI_UAPI_HWPT_FAULT_ID_VALID) && (flags & UI_UAPI_HWPT_NEST_PARENT))
		return -EOPNOTSUPP;
	if ((flags & UI_UAPI_HWPT_PASID) && !ui_device_driver(dev)->pasid_bits)
		return -EOPNOTSUPP;
	return 0;
}

static unsigned domain_flags(u32 flags)
{
	return (flags & UI_UAPI_HWPT_NEST_PARENT ? UI_DOMAIN_F_NEST_PARENT : 0u) |
	       (flags & UI_UAPI_HWPT_DIRTY_TRACKING ? UI_DOMAIN_F_DIRTY : 0u) | (flags & UI_UAPI_HWPT_PASID ? UI_DOMAIN_F_PASID : 0u);
}

/* The last steps of an allocation: page requests, the reply, the number. */
static int finish(struct ui_call *call, struct ui_hwpt *hwpt)
{
	struct ui_uapi_hwpt_alloc *cmd = call->cmd;
	int ret = 0;

	if (cmd->flags & UI_UAPI_HWPT_FAULT_ID_VALID)
		ret = ui_fault_connect(call->ctx, hwpt, cmd->fault_id);
	cmd->out_hwpt_id = hwpt->obj.id;
	if (!ret)
		ret = ui_call_respond(call);
	if (!ret)
		ui_obj_finalize(call->ctx, &hwpt->obj);
	return ret;
}

static struct ui_user_data user_data(const struct ui_uapi_hwpt_alloc *cmd)
{
	return (struct ui_user_data){ .type = cmd->data_type, .n_bytes = cmd->data_len, .uptr = cmd->data_uptr };
}

static int alloc_paging(struct ui_call *call, struct ui_device *dev, struct ui_ioas_obj *ioas)
{
	const struct ui_uapi_hwpt_alloc *cmd = call->cmd;
	const struct ui_user_data data = user_data(cmd);
	struct ui_hwpt *hwpt;
	int ret = check_paging_flags(dev, cmd->flags);

	if (!ret)
		ret = ui_hwpt_new(call->ctx, ioas, dev, domain_flags(cmd->flags), &data, &hwpt);
	if (ret)
		return ret;
	ret = ui_ioas_add_domain(ioas->ioas, hwpt->domain);
	if (!ret) {
		ret = finish(call, hwpt);
		if (!ret)
			return 0;
		ui_ioas_remove_domain(ioas->ioas, hwpt->domain);
	}
	ui_hwpt_abort(call->ctx, hwpt);
	return ret;
}

enum { NESTED_FLAGS = UI_UAPI_HWPT_FAULT_ID_VALID | UI_UAPI_HWPT_PASID };

/* A nested HWPT over @parent, through @viommu or (NULL) without; the one that it is made of is used. */
static int nested_new(struct ui_call *call, struct ui_device *dev, struct ui_hwpt *parent, struct ui_viommu_obj *viommu,
		      struct ui_hwpt **out)
{
	const struct ui_uapi_hwpt_alloc *cmd = call->cmd;
	const struct ui_user_data data = user_data(cmd);
	unsigned flags = domain_flags(cmd->flags);
	struct ui_hwpt *hwpt;
	int ret = ui_obj_new(call->ctx, UI_OBJ_HWPT_NESTED, sizeof(*hwpt), &hwpt);

	if (ret)
		return ret;
	hwpt->obj.destroy = destroy_nested;
	ui_list_init(&hwpt->link);
	hwpt->pasid = flags & UI_DOMAIN_F_PASID;
	if (viommu)
		ret = viommu->viommu.ops->nested(&viommu->viommu, dev, flags, &data, &hwpt->domain);
	else
		ret = ui_device_driver(dev)->nested(dev, parent->domain, flags, &data, &hwpt->domain);
	if (ret) {
		ui_obj_abort(call->ctx, &hwpt->obj);
		return ret;
	}
	ui_domain_set_pasid(hwpt->domain, hwpt->pasid);
	hwpt->ioas = parent->ioas;
	hwpt->viommu = viommu;
	hwpt->parent = viommu ? NULL : parent;
	ui_obj_use(call->ctx, viommu ? &viommu->obj : &parent->obj);
	*out = hwpt;
	return 0;
}

static int alloc_nested(struct ui_call *call, struct ui_device *dev, struct ui_hwpt *parent, struct ui_viommu_obj *viommu)
{
	struct ui_hwpt *hwpt;
	int ret = nested_new(call, dev, parent, viommu, &hwpt);

	if (ret)
		return ret;
	ret = finish(call, hwpt);
	if (ret)
		ui_hwpt_abort(call->ctx, hwpt);
	return ret;
}

static int alloc_over_parent(struct ui_call *call, struct ui_device *dev, struct ui_hwpt *parent)
{
	const struct ui_uapi_hwpt_alloc *cmd = call->cmd;

	if ((cmd->flags & ~(u32)NESTED_FLAGS) || !cmd->data_len || !ui_device_driver(dev)->nested)
		return -EOPNOTSUPP;
	if (parent->automatic || !(ui_domain_flags(parent->domain) & UI_DOMAIN_F_NEST_PARENT) ||
	    ui_domain_iommu(parent->domain) != ui_device_iommu(dev))
		return -EINVAL;
	return alloc_nested(call, dev, parent, NULL);
}

static int alloc_over_viommu(struct ui_call *call, struct ui_device *dev, struct ui_viommu_obj *viommu)
{
	const struct ui_uapi_hwpt_alloc *cmd = call->cmd;

	if (viommu->viommu.iommu != ui_device_iommu(dev))
		return -EINVAL;
	if ((cmd->flags & ~(u32)NESTED_FLAGS) || !cmd->data_len || !viommu->viommu.ops->nested)
		return -EOPNOTSUPP;
	return alloc_nested(call, dev, viommu->parent, viommu);
}

static int alloc(struct ui_call *call, struct ui_device *dev, struct ui_obj *pt)
{
	switch (pt->kind) {
	case UI_OBJ_IOAS:
		return alloc_paging(call, dev, ui_container_of(pt, struct ui_ioas_obj, obj));
	case UI_OBJ_HWPT:
		return alloc_over_parent(call, dev, ui_container_of(pt, struct ui_hwpt, obj));
	case UI_OBJ_VIOMMU:
		return alloc_over_viommu(call, dev, ui_container_of(pt, struct ui_viommu_obj, obj));
	default:
		return -EINVAL;
	}
}

int ui_cmd_hwpt_alloc(struct ui_call *call)
{
	const struct ui_uapi_hwpt_alloc *cmd = call->cmd;
	struct ui_iommufd *ctx = call->ctx;
	struct ui_bound *bound;
	struct ui_obj *pt;
	int ret;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	/* Type NONE goes without data, any other with. */
	if (!cmd->data_type != !cmd->data_len)
		return -EINVAL;
	bound = ui_obj_get(ctx, cmd->dev_id, UI_OBJ_DEVICE);
	if (!bound)
		return -ENOENT;
	pt = ui_obj_get(ctx, cmd->pt_id, UI_OBJ_ANY);
	ret = pt ? alloc(call, ui_bound_device(bound), pt) : -EINVAL;
	if (pt)
		ui_obj_put(ctx, pt);
	ui_obj_put(ctx, (struct ui_obj *)bound);
	return ret;
}

int ui_cmd_hwpt_set_dirty_tracking(struct ui_call *call)
{
	const struct ui_uapi_hwpt_set_dirty_tracking *cmd = call->cmd;
	struct ui_hwpt *hwpt;
	int ret;

	if (cmd->flags & ~(u32)UI_UAPI_DIRTY_TRACKING_ENABLE)
		return -EOPNOTSUPP;
	hwpt = ui_obj_get(call->ctx, cmd->hwpt_id, UI_OBJ_HWPT);
	if (!hwpt)
		return -ENOENT;
	ret = ui_ioas_set_dirty_tracking(hwpt->ioas->ioas, hwpt->domain, cmd->flags & UI_UAPI_DIRTY_TRACKING_ENABLE);
	ui_obj_put(call->ctx, &hwpt->obj);
	return ret;
}

/* The caller's bitmap: bit 0 stands for @iova. */
struct bitmap {
	u64 iova, uptr;
	unsigned page_lg2;
};

static int bitmap_set(void *arg, u64 start, u64 last)
{
	const struct bitmap *map = arg;

	return ui_user_set_bits(map->uptr, (start - map->iova) >> map->page_lg2, (last - map->iova) >> map->page_lg2);
}

static int check_bitmap(const struct ui_uapi_hwpt_get_dirty_bitmap *cmd, u64 alignment)
{
	u64 last;

	if (!cmd->length)
		return -EINVAL;
	if (!ui_range_last(cmd->iova, cmd->length, &last))
		return -EOVERFLOW;
	if (!ui_is_aligned(cmd->iova | (last + 1), alignment) || !cmd->page_size)
		return -EINVAL;
	return ui_is_aligned(cmd->iova | (last + 1), cmd->page_size) ? 0 : -EINVAL;
}

int ui_cmd_hwpt_get_dirty_bitmap(struct ui_call *call)
{
	const struct ui_uapi_hwpt_get_dirty_bitmap *cmd = call->cmd;
	struct bitmap map = { .iova = cmd->iova, .uptr = cmd->data, .page_lg2 = ui_ffs64(cmd->page_size) };
	struct ui_hwpt *hwpt;
	int ret;

	if ((cmd->flags & ~(u32)UI_UAPI_DIRTY_BITMAP_NO_CLEAR) || cmd->__reserved)
		return -EOPNOTSUPP;
	hwpt = ui_obj_get(call->ctx, cmd->hwpt_id, UI_OBJ_HWPT);
	if (!hwpt)
		return -ENOENT;
	ret = check_bitmap(cmd, ui_ioas_alignment(hwpt->ioas->ioas));
	if (!ret && !(ui_domain_flags(hwpt->domain) & UI_DOMAIN_F_DIRTY))
		ret = -EOPNOTSUPP;
	if (!ret)
		ret = ui_ioas_read_dirty(hwpt->ioas->ioas, hwpt->domain, cmd->iova, cmd->iova + (cmd->length - 1),
					 cmd->flags & UI_UAPI_DIRTY_BITMAP_NO_CLEAR, bitmap_set, &map);
	ui_obj_put(call->ctx, &hwpt->obj);
	/* A bitmap that cannot be written ends the scan; the kernel keeps quiet about it. */
	return ret == -EFAULT ? 0 : ret;
}
