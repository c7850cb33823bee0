/* SPDX-License-Identifier: MIT */
/* HW_QUEUEs: queues in the user's memory that a vIOMMU's hardware reads by itself. iommufd-semantics.md section 7. */
#include "base/alloc.h"
#include "base/bits.h"
#include "iommufd/viommu.h"

#include <errno.h>

struct hw_queue {
	struct ui_obj obj;
	struct ui_hw_queue queue;
	struct ui_viommu_obj *viommu; /* used */
	struct ui_ioas_hold *hold;    /* its memory */
	struct hw_queue *depends;     /* used; NULL: none */
};

u64 ui_hw_queue_where(struct ui_hw_queue *queue, u64 offset, u64 *pa)
{
	u64 n_bytes = ui_ioas_hold_where(ui_container_of(queue, struct hw_queue, queue)->hold, offset, pa);

	/* The pages may reach beyond the queue. */
	return ui_min(n_bytes, queue->length - offset);
}

/* Under viommu->queues_lock. */
static void queue_gone(struct hw_queue *queue)
{
	const struct ui_viommu_ops *ops = queue->viommu->viommu.ops;

	if (ops->hw_queue_gone)
		ops->hw_queue_gone(&queue->queue);
}

/* The driver has it no more. */
static void queue_fini(struct ui_iommufd *ctx, struct hw_queue *queue)
{
	ui_ioas_release(queue->hold);
	if (queue->depends)
		ui_obj_unuse(ctx, &queue->depends->obj);
	ui_obj_unuse(ctx, &queue->viommu->obj);
}

static void queue_destroy(struct ui_iommufd *ctx, struct ui_obj *obj)
{
	struct hw_queue *queue = ui_container_of(obj, struct hw_queue, obj);

	pthread_mutex_lock(&queue->viommu->queues_lock);
	queue_gone(queue);
	pthread_mutex_unlock(&queue->viommu->queues_lock);
	queue_fini(ctx, queue);
	ui_free(queue);
}

/* Under viommu->queues_lock: the driver's checks, and the queue that this one stands on. */
static int queue_init(struct ui_iommufd *ctx, struct hw_queue *queue)
{
	struct hw_queue *below;
	int ret = queue->viommu->viommu.ops->hw_queue_init(&queue->queue);

	if (ret || !queue->queue.depends)
		return ret;
	below = ui_container_of(queue->queue.depends, struct hw_queue, queue);
	if (ui_obj_try_use(ctx, &below->obj)) {
		queue->depends = below;
		return 0;
	}
	/* A DESTROY of that one is about to take the lock. */
	queue_gone(queue);
	return -EIO;
}

/* Under viommu->queues_lock, so that the driver never sees a queue that may still be given up. */
static int queue_start(struct ui_call *call, struct hw_queue *queue)
{
	struct ui_uapi_hw_queue_alloc *cmd = call->cmd;
	int ret = queue_init(call->ctx, queue);

	if (ret)
		return ret;
	cmd->out_hw_queue_id = queue->obj.id;
	ret = ui_call_respond(call);
	if (ret)
		queue_gone(queue);
	else
		ui_obj_finalize(call->ctx, &queue->obj);
	return ret;
}

static int queue_alloc(struct ui_call *call, struct ui_viommu_obj *viommu)
{
	const struct ui_uapi_hw_queue_alloc *cmd = call->cmd;
	struct ui_iommufd *ctx = call->ctx;
	struct hw_queue *queue;
	int ret = ui_obj_new(ctx, UI_OBJ_HW_QUEUE, sizeof(*queue), &queue);

	if (ret)
		return ret;
	queue->obj.destroy = queue_destroy;
	queue->viommu = viommu;
	queue->queue = (struct ui_hw_queue){
		.viommu = &viommu->viommu, .type = cmd->type, .index = cmd->index, .length = cmd->length
	};
	ret = ui_ioas_hold(viommu->parent->ioas->ioas, cmd->nesting_parent_iova, cmd->length, &queue->hold, &queue->queue.pa);
	if (ret) {
		ui_obj_abort(ctx, &queue->obj);
		return ret;
	}
	ui_obj_use(ctx, &viommu->obj);
	pthread_mutex_lock(&viommu->queues_lock);
	ret = queue_start(call, queue);
	pthread_mutex_unlock(&viommu->queues_lock);
	if (ret) {
		queue_fini(ctx, queue);
		ui_obj_abort(ctx, &queue->obj);
	}
	return ret;
}

int ui_cmd_hw_queue_alloc(struct ui_call *call)
{
	const struct ui_uapi_hw_queue_alloc *cmd = call->cmd;
	struct ui_viommu_obj *viommu;
	const struct ui_viommu_ops *ops;
	int ret = -EOPNOTSUPP;
	u64 last;

	if (cmd->flags || !cmd->type)
		return -EOPNOTSUPP;
	if (!cmd->length)
		return -EINVAL;
	if (!ui_range_last(cmd->nesting_parent_iova, cmd->length, &last))
		return -EOVERFLOW;
	viommu = ui_obj_get(call->ctx, cmd->viommu_id, UI_OBJ_VIOMMU);
	if (!viommu)
		return -ENOENT;
	ops = viommu->viommu.ops;
	if (ops->hw_queue_known && ops->hw_queue_known(&viommu->viommu, cmd->type))
		ret = queue_alloc(call, viommu);
	ui_obj_put(call->ctx, &viommu->obj);
	return ret;
}
