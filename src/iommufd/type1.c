/* SPDX-License-Identifier: MIT */
/*
 * The VFIO container: /dev/vfio/vfio with the type1 driver behind it, as a kernel has it that was not told to let iommufd stand in.
 * It is a context of iommufd's without numbers: its one IOAS comes with SET_IOMMU and goes with the last group.
 *
 * Where it differs from the container's calls on an iommufd (vfio.c): a group must be there before SET_IOMMU and all its devices
 * attach at once; calls before that are EINVAL; mappings are known by their own list, are counted, and are only removed
 * whole; the mapped BAR of a device can be mapped (the environment's pin says yes to it).
 */
#include "iommufd/type1.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "base/user.h"

#include <errno.h>

struct ui_group_tie {
	struct ui_iommufd *ctx; /* kept by the bound devices */
	struct ui_list link;    /* in type1->groups */
	size_t n;
	struct ui_bound *bounds[];
};

/* Under the lock. All devices of the group or none. */
static int attach_group(struct ui_type1 *t, struct ui_group_tie *tie)
{
	const struct ui_binder_ops *ops = &ui_iommufd_binder_ops;
	int ret = t->n_invalid ? -EBUSY : 0; /* attaching may pin */
	size_t i;

	for (i = 0; !ret && i < tie->n; i++) {
		u32 pt_id = t->ioas->obj.id;

		ret = ops->attach(tie->bounds[i], 0, false, &pt_id);
	}
	if (!ret)
		return 0;
	while (i-- > 0)
		ops->detach(tie->bounds[i], 0, false);
	/* What is mapped meets what the device reserves, or lies beyond its reach: type1 has one number for what does not fit. */
	return ret == -EADDRINUSE ? -EINVAL : ret;
}

static void ioas_drop(struct ui_iommufd *ctx, struct ui_ioas_obj *ioas)
{
	u32 id = ioas->obj.id;

	ui_obj_unuse(ctx, &ioas->obj);
	ui_obj_destroy(ctx, id);
}

int ui_type1_start(struct ui_iommufd *ctx, unsigned type)
{
	struct ui_type1 *t = ctx->type1;
	struct ui_list *item;
	int ret = ui_ioas_obj_new(ctx, &t->ioas);

	if (ret)
		return ret;
	ui_obj_use(ctx, &t->ioas->obj);
	ui_obj_finalize(ctx, &t->ioas->obj);
	for (item = t->groups.next; item != &t->groups && !ret; item = item->next)
		ret = attach_group(t, ui_container_of(item, struct ui_group_tie, link));
	if (!ret) {
		t->type = type;
		t->avail = UI_TYPE1_MAPS_MAX;
		return 0;
	}
	/* The last one looked at has undone itself. */
	for (item = item->prev->prev; item != &t->groups; item = item->prev) {
		struct ui_group_tie *tie = ui_container_of(item, struct ui_group_tie, link);

		for (size_t i = 0; i < tie->n; i++)
			ui_iommufd_binder_ops.detach(tie->bounds[i], 0, false);
	}
	ioas_drop(ctx, t->ioas);
	t->ioas = NULL;
	return ret;
}

static void stop(struct ui_iommufd *ctx)
{
	struct ui_type1 *t = ctx->type1;

	ioas_drop(ctx, t->ioas);
	ui_ivl_fini(&t->maps);
	t->ioas = NULL;
	t->type = 0;
	t->n_invalid = 0;
	t->tracking = false;
}

static void unbind_all(struct ui_group_tie *tie)
{
	while (tie->n)
		ui_iommufd_binder_ops.unbind(tie->bounds[--tie->n]);
	ui_free(tie);
}

static int tie_group(void *arg, struct ui_device *const *devs, size_t n, struct ui_group_tie **out)
{
	struct ui_iommufd *ctx = arg;
	struct ui_type1 *t = ctx->type1;
	struct ui_group_tie *tie = ui_zalloc(sizeof(*tie) + n * sizeof(tie->bounds[0]));
	int ret = 0;
	u32 id;

	if (!tie)
		return -ENOMEM;
	tie->ctx = ctx;
	pthread_mutex_lock(&t->lock);
	while (!ret && tie->n < n) {
		ret = ui_iommufd_binder_ops.bind(ctx, devs[tie->n], &id, &tie->bounds[tie->n]);
		tie->n += !ret;
	}
	if (!ret && t->type)
		ret = attach_group(t, tie);
	if (!ret)
		ui_list_add_tail(&t->groups, &tie->link);
	pthread_mutex_unlock(&t->lock);
	if (ret)
		unbind_all(tie);
	else
		*out = tie;
	return ret;
}

static void untie_group(struct ui_group_tie *tie)
{
	struct ui_iommufd *ctx = tie->ctx;

	ui_iommufd_hold(ctx); /* for as long as it takes */
	pthread_mutex_lock(&ctx->type1->lock);
	ui_list_del(&tie->link);
	unbind_all(tie);
	if (ui_list_empty(&ctx->type1->groups) && ctx->type1->type)
		stop(ctx);
	pthread_mutex_unlock(&ctx->type1->lock);
	ui_iommufd_close(ctx);
}

static int open_device(struct ui_group_tie *tie, struct ui_device *dev, struct ui_bound **bound)
{
	int ret = -EINVAL;

	pthread_mutex_lock(&tie->ctx->type1->lock);
	for (size_t i = 0; tie->ctx->type1->type && i < tie->n; i++) {
		if (ui_bound_device(tie->bounds[i]) != dev)
			continue;
		*bound = tie->bounds[i];
		ret = 0;
	}
	pthread_mutex_unlock(&tie->ctx->type1->lock);
	return ret;
}

/* The device stays attached with its group. */
static void close_device(struct ui_bound *bound)
{
}

const struct ui_binder_ops ui_type1_binder_ops = {
	.tie_group = tie_group,
	.untie_group = untie_group,
	.open_device = open_device,
	.close_device = close_device,
	.keeps_group = true,
};

struct ui_iommufd *ui_iommufd_open_container(const struct ui_iommufd_env *env)
{
	struct ui_type1 *t = ui_zalloc(sizeof(*t));
	struct ui_iommufd *ctx = t ? ui_iommufd_open(env) : NULL;

	if (!ctx) {
		ui_free(t);
		return NULL;
	}
	pthread_mutex_init(&t->lock, NULL);
	ui_list_init(&t->groups);
	ctx->type1 = t;
	ctx->rlimit_by_process = true;
	return ctx;
}

void ui_type1_free(struct ui_type1 *t)
{
	if (!t)
		return;
	ui_assert(ui_list_empty(&t->groups) && !t->ioas);
	pthread_mutex_destroy(&t->lock);
	ui_free(t);
}
