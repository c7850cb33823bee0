/* SPDX-License-Identifier: MIT */
/*
 * Event queues of a vIOMMU: what its hardware would tell the guest, read by the program through a descriptor. iommufd-semantics.md
 * section 7.
 *
 * Every event takes a sequence number. What finds the queue full is lost, and a header without data at the queue's end says so, with
 * the number of the last one lost; once an event is queued again the gap in the numbers tells as much, and the header goes.
 */
#include "base/alloc.h"
#include "base/bits.h"
#include "base/user.h"
#include "iommufd/viommu.h"

#include <errno.h>
#include <string.h>

enum { MAX_DEPTH = 1 << 19 };

struct veventq {
	struct ui_obj obj;
	struct ui_iommufd *ctx;
	struct ui_viommu_obj *viommu; /* used */
	u32 type, depth;
	struct ui_list link;          /* viommu->events_lock */
	pthread_mutex_t mutex;        /* one reader at a time: an event is copied to the program without lock held. Before lock */
	pthread_mutex_t lock;         /* short: who reports waits for it */
	bool open;                    /* lock: there is a descriptor */
	bool readable;                /* lock: as the descriptor shows it */
	struct ui_list events;        /* lock: struct event, first in, first out */
	u32 n;                        /* lock: of them, and one that is being copied */
	u32 sequence;                 /* lock: of the next event, 31 bits */
	bool lost;                    /* lock: behind the events there is a header that says so */
	u32 lost_sequence;            /* lock */
};

struct event {
	struct ui_list link;
	u32 sequence, n_bytes;
	u8 data[];
};

/* Under queue->lock. */
static void show_readable(struct veventq *queue)
{
	const struct ui_iommufd_env *env = &queue->ctx->env;
	bool readable = !ui_list_empty(&queue->events) || queue->lost;

	if (!queue->open || queue->readable == readable)
		return;
	env->file_readable(env->arg, queue, readable);
	queue->readable = readable;
}

/* Under queue->lock. 0; -ENOMEM: counted as lost. */
static int enqueue(struct veventq *queue, const void *data, u32 n_bytes)
{
	u32 sequence = queue->sequence;
	struct event *event = NULL;
	bool full = queue->n >= queue->depth;

	queue->sequence = (sequence + 1) & (u32)INT32_MAX;
	if (!full)
		event = ui_zalloc(sizeof(*event) + n_bytes);
	queue->lost = !event;
	queue->lost_sequence = sequence;
	if (event) {
		event->sequence = sequence;
		event->n_bytes = n_bytes;
		memcpy(event->data, data, n_bytes);
		ui_list_add_tail(&queue->events, &event->link);
		queue->n++;
	}
	/* Who waits for edges (EPOLLET) is told of each. */
	queue->readable = false;
	show_readable(queue);
	return event || full ? 0 : -ENOMEM;
}

/* Under viommu->events_lock. */
static struct veventq *find(struct ui_viommu_obj *viommu, u32 type)
{
	ui_list_for_each(item, &viommu->veventqs) {
		struct veventq *queue = ui_container_of(item, struct veventq, link);

		if (queue->type == type)
			return queue;
	}
	return NULL;
}

int ui_veventq_report(struct ui_viommu *viommu, u32 type, const void *data, u32 n_bytes)
{
	struct ui_viommu_obj *obj = ui_container_of(viommu, struct ui_viommu_obj, viommu);
	struct veventq *queue;
	int ret = -EOPNOTSUPP;

	pthread_mutex_lock(&obj->events_lock);
	queue = find(obj, type);
	if (queue) {
		pthread_mutex_lock(&queue->lock);
		ret = enqueue(queue, data, n_bytes);
		pthread_mutex_unlock(&queue->lock);
	}
	pthread_mutex_unlock(&obj->events_lock);
	return ret;
}

/* What a reader has taken out: an event, or (NULL) the header that says lost. */
struct taken {
	struct ui_uapi_vevent_header header;
	struct event *event;
};

/* Under queue->mutex: takes the first record if it fits in @room. Its bytes; 0: there is none; -EINVAL. */
static s64 take(struct veventq *queue, u64 room, struct taken *taken)
{
	s64 ret = 0;

	*taken = (struct taken){ 0 };
	pthread_mutex_lock(&queue->lock);
	if (!ui_list_empty(&queue->events)) {
		taken->event = ui_container_of(queue->events.next, struct event, link);
		taken->header.sequence = taken->event->sequence;
		ret = (s64)(sizeof(taken->header) + taken->event->n_bytes);
	} else if (queue->lost) {
		taken->header = (struct ui_uapi_vevent_header){ .flags = UI_UAPI_VEVENT_LOST, .sequence = queue->lost_sequence };
		ret = sizeof(taken->header);
	}
	if (ret > (s64)room) {
		ret = -EINVAL;
	} else if (taken->event) {
		ui_list_del(&taken->event->link);
	} else {
		queue->lost = false;
	}
	show_readable(queue);
	pthread_mutex_unlock(&queue->lock);
	return ret;
}

/* After the copy: @delivered, or it is the first record again. */
static void settle(struct veventq *queue, const struct taken *taken, bool delivered)
{
	pthread_mutex_lock(&queue->lock);
	if (taken->event && delivered) {
		queue->n--;
	} else if (taken->event) {
		ui_list_add_tail(queue->events.next, &taken->event->link);
	} else if (!delivered && !queue->lost && ui_list_empty(&queue->events)) {
		/* Otherwise what came meanwhile tells of the loss by itself. */
		queue->lost = true;
		queue->lost_sequence = taken->header.sequence;
	}
	show_readable(queue);
	pthread_mutex_unlock(&queue->lock);
	if (delivered)
		ui_free(taken->event);
}

/* Under queue->mutex: one record to the program. Bytes written; 0: there is none; -EINVAL, -EFAULT. */
static s64 deliver(struct veventq *queue, u64 uaddr, u64 room)
{
	struct taken taken;
	s64 n = take(queue, room, &taken);
	int ret;

	if (n <= 0)
		return n;
	ret = ui_user_write(uaddr, &taken.header, sizeof(taken.header));
	if (!ret && taken.event)
		ret = ui_user_write(uaddr + sizeof(taken.header), taken.event->data, taken.event->n_bytes);
	settle(queue, &taken, !ret);
	return ret ? ret : n;
}

static s64 veventq_read(void *obj, u64 uaddr, u64 n_bytes, u64 offset)
{
	struct veventq *queue = obj;
	u64 done = 0;
	s64 n;

	if (offset)
		return -ESPIPE;
	if (n_bytes < sizeof(struct ui_uapi_vevent_header))
		return -EINVAL;
	pthread_mutex_lock(&queue->mutex);
	do {
		n = deliver(queue, uaddr + done, n_bytes - done);
		if (n > 0)
			done += (u64)n;
	} while (n > 0);
	pthread_mutex_unlock(&queue->mutex);
	return done ? (s64)done : n;
}

static void veventq_release(void *obj)
{
	struct veventq *queue = obj;
	struct ui_iommufd *ctx = queue->ctx;

	pthread_mutex_lock(&queue->lock);
	queue->open = false;
	pthread_mutex_unlock(&queue->lock);
	ui_obj_unuse(ctx, &queue->obj);
	ui_iommufd_close(ctx);
}

static const struct ui_iommufd_file_ops veventq_file_ops = {
	.name = "event queue",
	.keeps = true,
	.read = veventq_read,
	.release = veventq_release,
};

static void veventq_fini(struct veventq *queue)
{
	/* Then nobody reports to it any more. */
	pthread_mutex_lock(&queue->viommu->events_lock);
	ui_list_del(&queue->link);
	pthread_mutex_unlock(&queue->viommu->events_lock);
	ui_list_for_each_safe(item, &queue->events)
		ui_free(ui_container_of(item, struct event, link));
	pthread_mutex_destroy(&queue->lock);
	pthread_mutex_destroy(&queue->mutex);
}

static void veventq_destroy(struct ui_iommufd *ctx, struct ui_obj *obj)
{
	struct veventq *queue = ui_container_of(obj, struct veventq, obj);

	veventq_fini(queue);
	ui_obj_unuse(ctx, &queue->viommu->obj);
	ui_free(queue);
}

/* Enters the vIOMMU's list. 0; -EEXIST. */
static int veventq_init(struct veventq *queue, struct ui_viommu_obj *viommu, const struct ui_uapi_veventq_alloc *cmd)
{
	int ret = 0;

	queue->obj.destroy = veventq_destroy;
	queue->ctx = viommu->ctx;
	queue->viommu = viommu;
	queue->type = cmd->type;
	queue->depth = cmd->veventq_depth;
	pthread_mutex_init(&queue->mutex, NULL);
	pthread_mutex_init(&queue->lock, NULL);
	ui_list_init(&queue->events);
	ui_list_init(&queue->link);
	pthread_mutex_lock(&viommu->events_lock);
	if (find(viommu, cmd->type))
		ret = -EEXIST;
	else
		ui_list_add_tail(&viommu->veventqs, &queue->link);
	pthread_mutex_unlock(&viommu->events_lock);
	return ret;
}

/* The descriptor is there: it shows what came before it, too. */
static void veventq_open(struct veventq *queue)
{
	pthread_mutex_lock(&queue->lock);
	queue->open = true;
	show_readable(queue);
	pthread_mutex_unlock(&queue->lock);
}

static int veventq_alloc(struct ui_call *call, struct ui_viommu_obj *viommu)
{
	struct ui_uapi_veventq_alloc *cmd = call->cmd;
	struct veventq *queue;
	int ret = ui_obj_new(call->ctx, UI_OBJ_VEVENTQ, sizeof(*queue), &queue);

	if (ret)
		return ret;
	ui_obj_use(call->ctx, &viommu->obj);
	cmd->out_veventq_id = queue->obj.id;
	ret = veventq_init(queue, viommu, cmd);
	if (!ret)
		ret = ui_file_respond(call, &veventq_file_ops, &queue->obj, &cmd->out_veventq_fd);
	if (ret) {
		veventq_fini(queue);
		ui_obj_unuse(call->ctx, &viommu->obj);
		ui_obj_abort(call->ctx, &queue->obj);
	} else {
		/* Until this call ends the descriptor is in nobody's hands, so the queue stays. */
		veventq_open(queue);
	}
	return ret;
}

int ui_cmd_veventq_alloc(struct ui_call *call)
{
	const struct ui_uapi_veventq_alloc *cmd = call->cmd;
	struct ui_viommu_obj *viommu;
	int ret;

	if (cmd->flags || cmd->__reserved || !cmd->type)
		return -EOPNOTSUPP;
	if (!cmd->veventq_depth || cmd->veventq_depth > MAX_DEPTH)
		return -EINVAL;
	viommu = ui_obj_get(call->ctx, cmd->viommu_id, UI_OBJ_VIOMMU);
	if (!viommu)
		return -ENOENT;
	ret = veventq_alloc(call, viommu);
	ui_obj_put(call->ctx, &viommu->obj);
	return ret;
}
