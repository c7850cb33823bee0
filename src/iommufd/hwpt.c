/* SPDX-License-Identifier: MIT */
/* HWPTs: domains that keep step with an IOAS; dirty tracking. */
#include "base/alloc.h"
#include "base/bits.h"
#include "base/user.h"
#include "core/driver.h"
#include "iommufd/ctx.h"

#include <errno.h>

int ui_hwpt_new(struct ui_iommufd *ctx, struct ui_ioas_obj *ioas, struct ui_device *dev, unsigned domain_flags, u32 data_type,
		u64 data_uptr, u32 data_len, struct ui_hwpt **out)
{
	const struct ui_user_data data = { .type = data_type, .n_bytes = data_len, .uptr = data_uptr };
	struct ui_hwpt *hwpt;
	int ret;

	ret = ui_obj_new(ctx, UI_OBJ_HWPT, sizeof(*hwpt), &hwpt);
	if (ret)
		return ret;
	ui_list_init(&hwpt->link);
	hwpt->pasid = domain_flags & UI_DOMAIN_F_PASID;
	ret = ui_domain_create_paging(dev, domain_flags, &data, &hwpt->domain);
	if (ret) {
		ui_obj_abort(ctx, &hwpt->obj);
		return ret;
	}
	hwpt->ioas = ioas;
	ui_obj_use(ctx, &ioas->obj);
	*out = hwpt;
	return 0;
}

void ui_hwpt_abort(struct ui_iommufd *ctx, struct ui_hwpt *hwpt)
{
	ui_domain_destroy(hwpt->domain);
	ui_obj_unuse(ctx, &hwpt->ioas->obj);
	ui_obj_abort(ctx, &hwpt->obj);
}

void ui_hwpt_destroy(struct ui_iommufd *ctx, struct ui_hwpt *hwpt)
{
	ui_ioas_remove_domain(hwpt->ioas->ioas, hwpt->domain);
	ui_domain_destroy(hwpt->domain);
	ui_obj_unuse(ctx, &hwpt->ioas->obj);
	ui_free(hwpt);
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

static int alloc_paging(struct ui_call *call, struct ui_device *dev, struct ui_ioas_obj *ioas)
{
	struct ui_uapi_hwpt_alloc *cmd = call->cmd;
	struct ui_hwpt *hwpt;
	int ret = check_paging_flags(dev, cmd->flags);

	if (!ret)
		ret = ui_hwpt_new(call->ctx, ioas, dev, domain_flags(cmd->flags), cmd->data_type, cmd->data_uptr, cmd->data_len, &hwpt);
	if (ret)
		return ret;
	ret = ui_ioas_add_domain(ioas->ioas, hwpt->domain);
	if (ret)
		goto err_hwpt;
	/* No id is a fault queue's. */
	if (cmd->flags & UI_UAPI_HWPT_FAULT_ID_VALID)
		ret = -ENOENT;
	cmd->out_hwpt_id = hwpt->obj.id;
	if (!ret)
		ret = ui_call_respond(call);
	if (ret)
		goto err_domain;
	ui_obj_finalize(call->ctx, &hwpt->obj);
	return 0;

err_domain:
	ui_ioas_remove_domain(ioas->ioas, hwpt->domain);
err_hwpt:
	ui_hwpt_abort(call->ctx, hwpt);
	return ret;
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
	if (!pt)
		ret = -EINVAL;
	else if (pt->kind == UI_OBJ_IOAS)
		ret = alloc_paging(call, ui_bound_device(bound), ui_container_of(pt, struct ui_ioas_obj, obj));
	else
		ret = pt->kind == UI_OBJ_HWPT ? -EOPNOTSUPP : -EINVAL; /* no kind nests */
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

static int set_bits(u64 at, u8 bits)
{
	u8 byte;

	if (ui_user_read(&byte, at, 1))
		return -EFAULT;
	byte |= bits;
	return ui_user_write(at, &byte, 1);
}

static int bitmap_set(void *arg, u64 start, u64 last)
{
	const struct bitmap *map = arg;
	u64 first = (start - map->iova) >> map->page_lg2, end = (last - map->iova) >> map->page_lg2;
	u64 byte = map->uptr + first / 8, end_byte = map->uptr + end / 8;
	u8 head = (u8)(0xff << first % 8), tail = (u8)(0xff >> (7 - end % 8));

	if (byte == end_byte)
		return set_bits(byte, head & tail);
	if (set_bits(byte, head) || set_bits(end_byte, tail))
		return -EFAULT;
	return ui_user_fill(byte + 1, 0xff, end_byte - byte - 1);
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
