/* SPDX-License-Identifier: MIT */
/* From an ioctl to a call: the size rule, the table, the reply. */
#include "base/user.h"
#include "iommufd/ctx.h"

#include <errno.h>
#include <string.h>

struct row {
	u32 cmd;
	u32 n_bytes;   /* of the structure as we know it */
	u32 min_bytes; /* as it was when the call was new */
	int (*fn)(struct ui_call *call);
};

#define ROW(cmd, name, fn) { cmd, sizeof(struct ui_uapi_##name), sizeof(struct ui_uapi_##name), fn }
#define ROW_MIN(cmd, name, min, fn) { cmd, sizeof(struct ui_uapi_##name), min, fn }

/* By number, from 0x80 on. */
static const struct row rows[] = {
	ROW(UI_UAPI_DESTROY, destroy, ui_cmd_destroy),
	ROW(UI_UAPI_IOAS_ALLOC, ioas_alloc, ui_cmd_ioas_alloc),
	ROW(UI_UAPI_IOAS_ALLOW_IOVAS, ioas_allow_iovas, ui_cmd_ioas_allow_iovas),
	ROW(UI_UAPI_IOAS_COPY, ioas_copy, ui_cmd_ioas_copy),
	ROW(UI_UAPI_IOAS_IOVA_RANGES, ioas_iova_ranges, ui_cmd_ioas_iova_ranges),
	ROW(UI_UAPI_IOAS_MAP, ioas_map, ui_cmd_ioas_map),
	ROW(UI_UAPI_IOAS_UNMAP, ioas_unmap, ui_cmd_ioas_unmap),
	ROW(UI_UAPI_OPTION, option, ui_cmd_option),
	ROW(UI_UAPI_VFIO_IOAS, vfio_ioas, ui_cmd_vfio_ioas),
	ROW_MIN(UI_UAPI_HWPT_ALLOC, hwpt_alloc, offsetof(struct ui_uapi_hwpt_alloc, data_type), ui_cmd_hwpt_alloc),
	ROW_MIN(UI_UAPI_GET_HW_INFO, hw_info, offsetof(struct ui_uapi_hw_info, out_capabilities), ui_cmd_get_hw_info),
	ROW(UI_UAPI_HWPT_SET_DIRTY_TRACKING, hwpt_set_dirty_tracking, ui_cmd_hwpt_set_dirty_tracking),
	ROW(UI_UAPI_HWPT_GET_DIRTY_BITMAP, hwpt_get_dirty_bitmap, ui_cmd_hwpt_get_dirty_bitmap),
	ROW(UI_UAPI_HWPT_INVALIDATE, hwpt_invalidate, ui_cmd_hwpt_invalidate),
	ROW(UI_UAPI_FAULT_QUEUE_ALLOC, fault_alloc, ui_cmd_fault_queue_alloc),
	ROW(UI_UAPI_IOAS_MAP_FILE, ioas_map_file, ui_cmd_ioas_map_file),
	ROW_MIN(UI_UAPI_VIOMMU_ALLOC, viommu_alloc, offsetof(struct ui_uapi_viommu_alloc, data_len), ui_cmd_viommu_alloc),
	ROW(UI_UAPI_VDEVICE_ALLOC, vdevice_alloc, ui_cmd_vdevice_alloc),
	ROW(UI_UAPI_IOAS_CHANGE_PROCESS, ioas_change_process, ui_cmd_ioas_change_process),
	ROW_MIN(UI_UAPI_VEVENTQ_ALLOC, veventq_alloc, offsetof(struct ui_uapi_veventq_alloc, __reserved), ui_cmd_veventq_alloc),
	ROW(UI_UAPI_HW_QUEUE_ALLOC, hw_queue_alloc, ui_cmd_hw_queue_alloc),
	ROW(UI_UAPI_IOAS_NOIOMMU_GET_PA, ioas_noiommu_get_pa, ui_cmd_ioas_noiommu_get_pa),
};

static_assert(ui_array_size(rows) == UI_UAPI_END - UI_UAPI_DESTROY, "a row for each number");

enum { CMD_MAX_BYTES = 64 };

int ui_iommufd_read_cmd(u64 arg, u32 min_bytes, u32 known_bytes, void *cmd, u32 *user_bytes)
{
	u32 n;
	int ret;

	ret = ui_user_read(user_bytes, arg, sizeof(*user_bytes));
	if (ret)
		return ret;
	n = *user_bytes;
	if (n < min_bytes)
		return -EINVAL;
	if (n > known_bytes) {
		ret = ui_user_zeros(arg + known_bytes, n - known_bytes);
		if (ret)
			return ret;
		n = known_bytes;
	}
	memset(cmd, 0, known_bytes);
	ret = ui_user_read(cmd, arg, n);
	/* The size was read before: what was checked is what counts. */
	memcpy(cmd, user_bytes, sizeof(*user_bytes));
	return ret;
}

int ui_call_respond(const struct ui_call *call)
{
	u32 n = call->user_bytes < call->known_bytes ? call->user_bytes : call->known_bytes;

	return ui_user_write(call->arg, call->cmd, n);
}

int ui_file_respond(const struct ui_call *call, const struct ui_iommufd_file_ops *ops, struct ui_obj *obj, u32 *fd)
{
	struct ui_iommufd *ctx = call->ctx;
	int got = -EOPNOTSUPP, ret;

	ui_obj_use(ctx, obj);
	ui_iommufd_hold(ctx);
	if (ctx->env.file_new)
		got = ctx->env.file_new(ctx->env.arg, ops, obj, 0);
	ret = got < 0 ? got : 0;
	if (!ret) {
		*fd = (u32)got;
		ret = ui_call_respond(call);
		if (ret)
			ctx->env.file_drop(ctx->env.arg, got);
	}
	if (ret) {
		ui_obj_unuse(ctx, obj);
		ui_iommufd_close(ctx);
		return ret;
	}
	ui_obj_finalize(ctx, obj);
	return 0;
}

static long serve(struct ui_iommufd *ctx, const struct row *row, u32 cmd, u64 arg)
{
	u64 buf[CMD_MAX_BYTES / sizeof(u64)];
	struct ui_call call = { .ctx = ctx, .cmd = buf, .arg = arg, .known_bytes = row->n_bytes };
	u32 size;
	int ret;

	/* A bad pointer comes before a bad number. */
	if (ui_user_read(&size, arg, sizeof(size)))
		return -EFAULT;
	if (cmd != row->cmd)
		return -ENOTTY;
	ui_assert(row->n_bytes <= sizeof(buf));
	ret = ui_iommufd_read_cmd(arg, row->min_bytes, row->n_bytes, buf, &call.user_bytes);
	return ret ? ret : row->fn(&call);
}

long ui_iommufd_ioctl(struct ui_iommufd *ctx, u32 cmd, u64 arg)
{
	u32 nr = cmd & 0xff, first = UI_UAPI_DESTROY & 0xff;

	if (ctx->type1)
		return ui_type1_ioctl(ctx, cmd, arg);
	if (nr >= first && nr - first < ui_array_size(rows))
		return serve(ctx, &rows[nr - first], cmd, arg);
	if (ctx->extra && nr >= first) {
		long ret = ctx->extra(ctx->extra_arg, ctx, cmd, arg);

		if (ret != -ENOTTY)
			return ret;
	}
	return ui_vfio_container_ioctl(ctx, cmd, arg);
}

void ui_iommufd_set_extra(struct ui_iommufd *ctx, ui_iommufd_extra extra, void *arg)
{
	ctx->extra = extra;
	ctx->extra_arg = arg;
}
