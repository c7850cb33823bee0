/* SPDX-License-Identifier: MIT */
/*
 * Fault queues: page requests of devices, read and answered by the program through a descriptor. iommufd-semantics.md section 6.
 *
 * The requests of a group are collected until its last one comes; then the group waits to be read, and once read it waits for its
 * answer, under a cookie. A group belongs to the HWPT and attachment that it came by, whose end answers it.
 */
#include "base/alloc.h"
#include "base/bits.h"
#include "base/user.h"
#include "iommufd/viommu.h"

#include <errno.h>

static_assert(UI_PROT_READ == 1 && UI_PROT_WRITE == 2 && UI_PROT_EXEC == 4 && UI_PROT_PRIV == 8, "perm of the user API");

/* Requests of a queue that wait for the last one of their group: what a device that never ends its groups may cost. */
enum { PARTIAL_MAX = 4096 };

struct ui_fault_queue {
	struct ui_obj obj;
	struct ui_iommufd *ctx;
	/* One reader, writer or end of an attachment at a time: a group is copied to the program without lock held. Before lock. */
	pthread_mutex_t mutex;
	pthread_mutex_t lock;   /* short: the device that reports waits for it */
	bool closed;            /* lock: no descriptor any more */
	bool readable;          /* lock: as the descriptor shows it */
	struct ui_list partial; /* lock: struct group whose last request has not come */
	size_t n_partial;       /* lock: requests in them */
	struct ui_list deliver; /* lock: complete, to be read; first in, first out */
	struct ui_ids cookies;  /* mutex: read, to be answered */
};

struct request {
	u64 iova;
	u32 access;
};

struct group {
	struct ui_list link; /* in partial or deliver */
	struct ui_hwpt *hwpt;
	struct ui_device *dev;
	u32 dev_id, pasid, number;
	u32 at_pasid;        /* of the attachment; 0: without */
	bool has_pasid;
	u32 cookie;          /* mutex */
	size_t n, room;
	struct request *requests;
};

static void group_free(struct group *group)
{
	ui_free(group->requests);
	ui_free(group);
}

/* Under queue->lock. */
static void show_readable(struct ui_fault_queue *queue)
{
	const struct ui_iommufd_env *env = &queue->ctx->env;
	bool readable = !ui_list_empty(&queue->deliver);

	if (queue->closed || queue->readable == readable)
		return;
	env->file_readable(env->arg, queue, readable);
	queue->readable = readable;
}

static bool is_from(const struct group *group, const struct ui_hwpt *hwpt, const struct ui_device *dev, u32 at_pasid)
{
	return group->hwpt == hwpt && group->dev == dev && group->at_pasid == at_pasid;
}

/* Under queue->lock. NULL without memory. */
static struct group *partial_get(struct ui_fault_queue *queue, struct ui_hwpt *hwpt, const struct ui_page_request *request)
{
	u32 at_pasid = request->at_has_pasid ? request->at_pasid : 0;
	struct group *group;

	ui_list_for_each(item, &queue->partial) {
		group = ui_container_of(item, struct group, link);
		if (is_from(group, hwpt, request->dev, at_pasid) && group->pasid == request->pasid &&
		    group->has_pasid == request->has_pasid && group->number == request->group)
			return group;
	}
	group = ui_zalloc(sizeof(*group));
	if (!group)
		return NULL;
	group->hwpt = hwpt;
	group->dev = request->dev;
	group->dev_id = ui_bound_id(ui_device_user(request->dev));
	group->pasid = request->pasid;
	group->has_pasid = request->has_pasid;
	group->number = request->group;
	group->at_pasid = at_pasid;
	ui_list_add_tail(&queue->partial, &group->link);
	return group;
}

/* Under queue->lock. */
static int group_add(struct group *group, const struct ui_page_request *request)
{
	if (group->n == group->room) {
		size_t room = group->room ? 2 * group->room : 1;
		struct request *more = ui_realloc(group->requests, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		group->requests = more;
		group->room = room;
	}
	group->requests[group->n++] = (struct request){ .iova = request->iova, .access = request->access };
	return 0;
}

/* ui_page_handler.report */
static int report(void *arg, const struct ui_page_request *request)
{
	struct ui_hwpt *hwpt = arg;
	struct ui_fault_queue *queue = hwpt->fault;
	struct group *group;
	int ret = -ENOMEM;

	/* A device of the group that nobody has bound. */
	if (!ui_device_user(request->dev))
		return -ENODEV;
	pthread_mutex_lock(&queue->lock);
	if (!request->last && queue->n_partial == PARTIAL_MAX)
		goto out;
	group = partial_get(queue, hwpt, request);
	if (group)
		ret = group_add(group, request);
	queue->n_partial += !ret && !request->last;
	if (group && request->last) {
		ui_list_del(&group->link);
		queue->n_partial -= group->n - !ret;
		if (!ret)
			ui_list_add_tail(&queue->deliver, &group->link);
		else
			group_free(group);
		/* Who waits for edges (EPOLLET) is told of each. */
		queue->readable &= ret != 0;
		show_readable(queue);
	}
out:
	pthread_mutex_unlock(&queue->lock);
	return ret;
}

/* Moves those that came by the attachment from @from to @to. */
static void gather(struct ui_list *from, struct ui_list *to, const struct ui_hwpt *hwpt, const struct ui_device *dev, u32 at_pasid)
{
	ui_list_for_each_safe(item, from) {
		if (!is_from(ui_container_of(item, struct group, link), hwpt, dev, at_pasid))
			continue;
		ui_list_del(item);
		ui_list_add_tail(to, item);
	}
}

/* Under queue->mutex. */
static void gather_read(struct ui_fault_queue *queue, struct ui_list *to, const struct ui_hwpt *hwpt, const struct ui_device *dev,
			u32 at_pasid)
{
	struct group *group;
	u32 cookie = 0;

	while ((group = ui_ids_next(&queue->cookies, &cookie))) {
		if (!is_from(group, hwpt, dev, at_pasid))
			continue;
		ui_ids_free(&queue->cookies, cookie);
		ui_list_add_tail(to, &group->link);
	}
}

void ui_fault_forget(struct ui_hwpt *hwpt, struct ui_device *dev, u32 pasid)
{
	struct ui_fault_queue *queue = hwpt->fault;
	struct ui_list answer, drop;

	if (!queue)
		return;
	ui_list_init(&answer);
	ui_list_init(&drop);
	pthread_mutex_lock(&queue->mutex);
	gather_read(queue, &answer, hwpt, dev, pasid);
	pthread_mutex_lock(&queue->lock);
	gather(&queue->deliver, &answer, hwpt, dev, pasid);
	gather(&queue->partial, &drop, hwpt, dev, pasid);
	ui_list_for_each(item, &drop)
		queue->n_partial -= ui_container_of(item, struct group, link)->n;
	show_readable(queue);
	pthread_mutex_unlock(&queue->lock);
	pthread_mutex_unlock(&queue->mutex);
	ui_list_for_each_safe(item, &answer) {
		struct group *group = ui_container_of(item, struct group, link);

		ui_device_page_answer(group->dev, group->pasid, group->has_pasid, group->number, UI_PAGE_INVALID);
		group_free(group);
	}
	/* Their last request is still to come, and finds nobody. */
	ui_list_for_each_safe(item, &drop)
		group_free(ui_container_of(item, struct group, link));
}

/* ui_page_handler.detached */
static void detached(void *arg, struct ui_device *dev, u32 pasid, bool has_pasid)
{
	ui_fault_forget(arg, dev, has_pasid ? pasid : 0);
}

int ui_fault_connect(struct ui_iommufd *ctx, struct ui_hwpt *hwpt, u32 id)
{
	struct ui_fault_queue *queue = ui_obj_get(ctx, id, UI_OBJ_FAULT);

	if (!queue)
		return -ENOENT;
	ui_obj_use(ctx, &queue->obj);
	ui_obj_put(ctx, &queue->obj);
	hwpt->fault = queue;
	hwpt->handler = (struct ui_page_handler){ .report = report, .detached = detached, .arg = hwpt };
	ui_domain_set_page_handler(hwpt->domain, &hwpt->handler);
	return 0;
}

void ui_fault_disconnect(struct ui_iommufd *ctx, struct ui_hwpt *hwpt)
{
	ui_obj_unuse(ctx, &hwpt->fault->obj);
	hwpt->fault = NULL;
}

/* Under queue->mutex: takes the first complete group, unless it is larger than @room. 0 with *@out (NULL: there is none); -EINVAL. */
static int fetch(struct ui_fault_queue *queue, u64 room, struct group **out)
{
	struct group *group = NULL;
	int ret = 0;

	pthread_mutex_lock(&queue->lock);
	if (!ui_list_empty(&queue->deliver)) {
		group = ui_container_of(queue->deliver.next, struct group, link);
		if (group->n > room / sizeof(struct ui_uapi_pgfault)) {
			group = NULL;
			ret = -EINVAL;
		} else {
			ui_list_del(&group->link);
			show_readable(queue);
		}
	}
	pthread_mutex_unlock(&queue->lock);
	*out = group;
	return ret;
}

/* It is the first one again. */
static void restore(struct ui_fault_queue *queue, struct group *group)
{
	pthread_mutex_lock(&queue->lock);
	ui_list_add_tail(queue->deliver.next, &group->link);
	show_readable(queue);
	pthread_mutex_unlock(&queue->lock);
}

static int copy_out(const struct group *group, u64 uaddr)
{
	struct ui_uapi_pgfault fault = {
		.flags = group->has_pasid ? UI_UAPI_PGFAULT_PASID_VALID : 0,
		.dev_id = group->dev_id,
		.pasid = group->has_pasid ? group->pasid : 0,
		.grpid = group->number,
		.cookie = group->cookie,
	};
	int ret = 0;

	for (size_t i = 0; !ret && i < group->n; i++) {
		fault.perm = group->requests[i].access;
		fault.addr = group->requests[i].iova;
		if (i + 1 == group->n)
			fault.flags |= UI_UAPI_PGFAULT_LAST_PAGE;
		ret = ui_user_write(uaddr + i * sizeof(fault), &fault, sizeof(fault));
	}
	return ret;
}

/* Under queue->mutex: one group to the program, with a cookie. Bytes written; 0: there is none; -EINVAL, -ENOMEM, -EFAULT. */
static s64 deliver(struct ui_fault_queue *queue, u64 uaddr, u64 room)
{
	struct group *group;
	int ret = fetch(queue, room, &group);

	if (ret || !group)
		return ret;
	ret = ui_ids_reserve(&queue->cookies, &group->cookie);
	if (!ret) {
		ret = copy_out(group, uaddr);
		if (ret)
			ui_ids_free(&queue->cookies, group->cookie);
	}
	if (ret) {
		restore(queue, group);
		return ret;
	}
	ui_ids_finalize(&queue->cookies, group->cookie, group);
	return (s64)(group->n * sizeof(struct ui_uapi_pgfault));
}

static s64 fault_read(void *obj, u64 uaddr, u64 n_bytes, u64 offset)
{
	struct ui_fault_queue *queue = obj;
	u64 done = 0;
	s64 n;

	if (offset || n_bytes % sizeof(struct ui_uapi_pgfault))
		return -ESPIPE;
	pthread_mutex_lock(&queue->mutex);
	do {
		n = deliver(queue, uaddr + done, n_bytes - done);
		if (n > 0)
			done += (u64)n;
	} while (n > 0);
	pthread_mutex_unlock(&queue->mutex);
	return done ? (s64)done : n;
}

/* 0; -EFAULT; -EINVAL. */
static int respond(struct ui_fault_queue *queue, u64 uaddr)
{
	struct ui_uapi_page_response response;
	struct group *group;
	int ret = ui_user_read(&response, uaddr, sizeof(response));

	if (ret)
		return ret;
	if (response.code != UI_PAGE_SUCCESS && response.code != UI_PAGE_INVALID)
		return -EINVAL;
	pthread_mutex_lock(&queue->mutex);
	group = ui_ids_find(&queue->cookies, response.cookie);
	if (group) {
		ui_ids_free(&queue->cookies, response.cookie);
		/* With the mutex held, so that the device's end waits. */
		ui_device_page_answer(group->dev, group->pasid, group->has_pasid, group->number, (enum ui_page_response)response.code);
		group_free(group);
	}
	pthread_mutex_unlock(&queue->mutex);
	return group ? 0 : -EINVAL;
}

static s64 fault_write(void *obj, u64 uaddr, u64 n_bytes, u64 offset)
{
	const u64 each = sizeof(struct ui_uapi_page_response);
	u64 done = 0;
	int ret = 0;

	if (offset || n_bytes % each)
		return -ESPIPE;
	while (!ret && done < n_bytes) {
		ret = respond(obj, uaddr + done);
		if (!ret)
			done += each;
	}
	return done ? (s64)done : ret;
}

static void fault_release(void *obj)
{
	struct ui_fault_queue *queue = obj;
	struct ui_iommufd *ctx = queue->ctx;

	pthread_mutex_lock(&queue->lock);
	queue->closed = true;
	pthread_mutex_unlock(&queue->lock);
	ui_obj_unuse(ctx, &queue->obj);
	ui_iommufd_close(ctx);
}

static const struct ui_iommufd_file_ops fault_file_ops = {
	.name = "fault queue",
	.writable = true,
	.keeps = true,
	.read = fault_read,
	.write = fault_write,
	.release = fault_release,
};

static void queue_fini(struct ui_fault_queue *queue)
{
	ui_assert(ui_list_empty(&queue->partial) && ui_list_empty(&queue->deliver));
	ui_ids_fini(&queue->cookies);
	pthread_mutex_destroy(&queue->lock);
	pthread_mutex_destroy(&queue->mutex);
}

static void queue_destroy(struct ui_iommufd *ctx, struct ui_obj *obj)
{
	struct ui_fault_queue *queue = ui_container_of(obj, struct ui_fault_queue, obj);

	queue_fini(queue);
	ui_free(queue);
}

int ui_cmd_fault_queue_alloc(struct ui_call *call)
{
	struct ui_uapi_fault_alloc *cmd = call->cmd;
	struct ui_iommufd *ctx = call->ctx;
	struct ui_fault_queue *queue;
	int ret;

	if (cmd->flags)
		return -EOPNOTSUPP;
	ret = ui_obj_new(ctx, UI_OBJ_FAULT, sizeof(*queue), &queue);
	if (ret)
		return ret;
	queue->obj.destroy = queue_destroy;
	queue->ctx = ctx;
	pthread_mutex_init(&queue->mutex, NULL);
	pthread_mutex_init(&queue->lock, NULL);
	ui_list_init(&queue->partial);
	ui_list_init(&queue->deliver);
	ui_ids_init(&queue->cookies, UI_IDS_LAST);
	cmd->out_fault_id = queue->obj.id;
	ret = ui_file_respond(call, &fault_file_ops, &queue->obj, &cmd->out_fault_fd);
	if (ret) {
		queue_fini(queue);
		ui_obj_abort(ctx, &queue->obj);
	}
	return ret;
}
