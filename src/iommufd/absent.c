/* SPDX-License-Identifier: MIT */
/*
 * Calls for capabilities that no kind has yet: nested tables, fault queues, virtual IOMMUs. Their fields are checked in the kernel's
 * order; then there is no object or no driver behind them, and the answer is the one a kernel gives in that case.
 */
#include "base/bits.h"
#include "iommufd/ctx.h"

#include <errno.h>

enum { INVALIDATE_MAX_ENTRIES = 1 << 19, VEVENTQ_MAX_DEPTH = 1 << 19 };

static int check_invalidate(struct ui_iommufd *ctx, const struct ui_uapi_hwpt_invalidate *cmd, u32 n)
{
	struct ui_obj *obj;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	if (n && (!cmd->data_uptr || !cmd->entry_len || cmd->entry_len > UI_PAGE_BYTES || n > INVALIDATE_MAX_ENTRIES))
		return -EINVAL;
	obj = ui_obj_get(ctx, cmd->hwpt_id, UI_OBJ_ANY);
	if (!obj)
		return -ENOENT;
	ui_obj_put(ctx, obj);
	return -EINVAL; /* neither nested nor a vIOMMU */
}

int ui_cmd_hwpt_invalidate(struct ui_call *call)
{
	struct ui_uapi_hwpt_invalidate *cmd = call->cmd;
	int ret = check_invalidate(call->ctx, cmd, cmd->entry_num);

	/* The number of entries done is told on errors, too. */
	cmd->entry_num = 0;
	return ui_call_respond(call) ? -EFAULT : ret;
}

int ui_cmd_fault_queue_alloc(struct ui_call *call)
{
	return -EOPNOTSUPP;
}

int ui_cmd_viommu_alloc(struct ui_call *call)
{
	const struct ui_uapi_viommu_alloc *cmd = call->cmd;
	struct ui_obj *dev;

	if (cmd->flags || !cmd->type)
		return -EOPNOTSUPP;
	dev = ui_obj_get(call->ctx, cmd->dev_id, UI_OBJ_DEVICE);
	if (!dev)
		return -ENOENT;
	ui_obj_put(call->ctx, dev);
	return -EOPNOTSUPP;
}

int ui_cmd_vdevice_alloc(struct ui_call *call)
{
	return -ENOENT; /* no id is a vIOMMU's */
}

int ui_cmd_veventq_alloc(struct ui_call *call)
{
	const struct ui_uapi_veventq_alloc *cmd = call->cmd;

	if (cmd->flags || cmd->__reserved || !cmd->type)
		return -EOPNOTSUPP;
	if (!cmd->veventq_depth || cmd->veventq_depth > VEVENTQ_MAX_DEPTH)
		return -EINVAL;
	return -ENOENT;
}

int ui_cmd_hw_queue_alloc(struct ui_call *call)
{
	const struct ui_uapi_hw_queue_alloc *cmd = call->cmd;
	u64 last;

	if (cmd->flags || !cmd->type)
		return -EOPNOTSUPP;
	if (!cmd->length)
		return -EINVAL;
	if (!ui_range_last(cmd->nesting_parent_iova, cmd->length, &last))
		return -EOVERFLOW;
	return -ENOENT;
}

int ui_cmd_noiommu_get_pa(struct ui_call *call)
{
	return -EOPNOTSUPP;
}
