/* SPDX-License-Identifier: MIT */
/* vIOMMUs: made, invalidated through (invalidate.c), ended; and the memory that they share with the program by mmap. */
#include "iommufd/viommu.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "base/ownfd.h"
#include "base/rwlock.h"
#include "base/sys.h"

#include <errno.h>
#include <sys/mman.h>

/* Memory that a driver half shares: a file of its own, mapped here, found by its offset. */
struct share {
	struct ui_list link; /* in viommu->shares */
	struct ui_viommu_obj *viommu;
	u64 offset, n_bytes;
	void *memory;
	int fd; /* its name: base/ownfd.h */
};

static int memory_fd_new(u64 n_bytes)
{
	int fd;

	if (ui_inject_point())
		return -ENOMEM;
	fd = ui_sys_memfd_create("vIOMMU", MFD_CLOEXEC);
	if (fd < 0)
		return -ENOMEM;
	if (ui_sys_ftruncate(fd, n_bytes)) {
		ui_sys_close(fd);
		return -ENOMEM;
	}
	fd = ui_ownfd_hold(fd);
	return fd < 0 ? -ENOMEM : fd;
}

/* 0; -ENOMEM: nothing is left of it but the structure. */
static int share_memory(struct share *share)
{
	share->fd = memory_fd_new(share->n_bytes);
	if (share->fd < 0)
		return share->fd;
	share->memory = ui_sys_mmap(NULL, share->n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ui_ownfd_at(share->fd), 0);
	if (ui_sys_is_err(share->memory)) {
		ui_ownfd_end(share->fd);
		return -ENOMEM;
	}
	return 0;
}

static void share_free(struct share *share)
{
	ui_sys_munmap(share->memory, share->n_bytes);
	ui_ownfd_end(share->fd);
	ui_free(share);
}

/* Gives the memory an offset, the lowest there is room at. 0; -ENOMEM. */
static int share_enter(struct ui_iommufd *ctx, struct share *share)
{
	const struct ui_ivl_want want = { .length = share->n_bytes, .align = UI_PAGE_BYTES };
	int ret = -ENOMEM;

	pthread_mutex_lock(&ctx->lock);
	if (ui_ivl_find_gap(&ctx->shares, UI_PAGE_BYTES, INT64_MAX, &want, &share->offset))
		ret = ui_ivl_insert(&ctx->shares, share->offset, share->offset + share->n_bytes - 1, share);
	pthread_mutex_unlock(&ctx->lock);
	return ret;
}

/* ui_viommu_host.share */
static int viommu_share(struct ui_viommu *viommu, u64 n_bytes, void **memory, u64 *offset)
{
	struct ui_viommu_obj *obj = ui_container_of(viommu, struct ui_viommu_obj, viommu);
	struct share *share;
	int ret;

	ui_assert(n_bytes && ui_is_aligned(n_bytes, UI_PAGE_BYTES));
	share = ui_zalloc(sizeof(*share));
	if (!share)
		return -ENOMEM;
	share->viommu = obj;
	share->n_bytes = n_bytes;
	ret = share_memory(share);
	if (ret) {
		ui_free(share);
		return ret;
	}
	ret = share_enter(obj->ctx, share);
	if (ret) {
		share_free(share);
		return ret;
	}
	ui_list_add_tail(&obj->shares, &share->link);
	*memory = share->memory;
	*offset = share->offset;
	return 0;
}

static void shares_fini(struct ui_viommu_obj *viommu)
{
	ui_list_for_each_safe(item, &viommu->shares) {
		struct share *share = ui_container_of(item, struct share, link);

		pthread_mutex_lock(&viommu->ctx->lock);
		ui_ivl_erase(&viommu->ctx->shares, share->offset);
		pthread_mutex_unlock(&viommu->ctx->lock);
		share_free(share);
	}
}

int ui_iommufd_mmap(struct ui_iommufd *ctx, u64 offset, u64 n_bytes, int prot, int flags, int *fd, void **region)
{
	int type = flags & MAP_TYPE, ret = -ENXIO;
	struct ui_ivl_item item;

	if (type != MAP_SHARED && type != MAP_SHARED_VALIDATE)
		return -EINVAL;
	if (prot & PROT_EXEC)
		return -EPERM;
	pthread_mutex_lock(&ctx->lock);
	if (ui_ivl_meets(&ctx->shares, offset, offset, &item) && item.start == offset && item.last - offset == n_bytes - 1) {
		struct share *share = item.ptr;
		struct ui_obj *obj = &share->viommu->obj;

		/* Neither still being made nor on its way out. */
		if (ui_ids_find(&ctx->ids, obj->id) == obj && !obj->dying) {
			obj->users++;
			ctx->refs++;
			*fd = ui_ownfd_at(share->fd);
			*region = share;
			ret = 0;
		}
	}
	pthread_mutex_unlock(&ctx->lock);
	return ret;
}

void ui_iommufd_munmap(struct ui_iommufd *ctx, void *region)
{
	const struct share *share = region;

	ui_obj_unuse(ctx, &share->viommu->obj);
	ui_iommufd_close(ctx);
}

/* ui_viommu_host.find */
static struct ui_vdevice *viommu_find(struct ui_viommu *viommu, u64 virt_id)
{
	struct ui_viommu_obj *obj = ui_container_of(viommu, struct ui_viommu_obj, viommu);
	struct ui_ivl_item item;

	return ui_ivl_meets(&obj->vdevices, virt_id, virt_id, &item) ? item.ptr : NULL;
}

static const struct ui_viommu_host host = {
	.report = ui_veventq_report,
	.share = viommu_share,
	.find = viommu_find,
	.queue_where = ui_hw_queue_where,
};

static void viommu_fini(struct ui_viommu_obj *viommu)
{
	shares_fini(viommu);
	ui_ivl_fini(&viommu->vdevices);
	pthread_mutex_destroy(&viommu->queues_lock);
	pthread_mutex_destroy(&viommu->events_lock);
	pthread_rwlock_destroy(&viommu->vdevices_lock);
	ui_obj_unuse(viommu->ctx, &viommu->parent->obj);
}

static void viommu_destroy(struct ui_iommufd *ctx, struct ui_obj *obj)
{
	struct ui_viommu_obj *viommu = ui_container_of(obj, struct ui_viommu_obj, obj);

	viommu->viommu.ops->destroy(&viommu->viommu);
	viommu_fini(viommu);
	ui_free(viommu);
}

static void viommu_init(struct ui_viommu_obj *viommu, struct ui_iommufd *ctx, struct ui_hwpt *parent, u32 type)
{
	viommu->obj.destroy = viommu_destroy;
	viommu->ctx = ctx;
	viommu->parent = parent;
	viommu->viommu = (struct ui_viommu){
		.host = &host, .iommu = ui_domain_iommu(parent->domain), .parent = parent->domain, .type = type
	};
	ui_rwlock_init(&viommu->vdevices_lock);
	pthread_mutex_init(&viommu->events_lock, NULL);
	pthread_mutex_init(&viommu->queues_lock, NULL);
	ui_list_init(&viommu->veventqs);
	ui_list_init(&viommu->shares);
	ui_obj_use(ctx, &parent->obj);
}

static int viommu_alloc(struct ui_call *call, struct ui_device *dev, struct ui_hwpt *parent)
{
	struct ui_uapi_viommu_alloc *cmd = call->cmd;
	const struct ui_user_data data = { .type = cmd->type, .n_bytes = cmd->data_len, .uptr = cmd->data_uptr };
	struct ui_viommu_obj *viommu;
	int ret;

	if (!(ui_domain_flags(parent->domain) & UI_DOMAIN_F_NEST_PARENT) || ui_domain_iommu(parent->domain) != ui_device_iommu(dev))
		return -EINVAL;
	ret = ui_obj_new(call->ctx, UI_OBJ_VIOMMU, sizeof(*viommu), &viommu);
	if (ret)
		return ret;
	viommu_init(viommu, call->ctx, parent, cmd->type);
	ret = ui_device_driver(dev)->viommu_init(&viommu->viommu, dev, &data);
	if (!ret) {
		cmd->out_viommu_id = viommu->obj.id;
		ret = ui_call_respond(call);
		if (ret)
			viommu->viommu.ops->destroy(&viommu->viommu);
	}
	if (ret) {
		viommu_fini(viommu);
		ui_obj_abort(call->ctx, &viommu->obj);
		return ret;
	}
	ui_obj_finalize(call->ctx, &viommu->obj);
	return 0;
}

static int alloc_for(struct ui_call *call, struct ui_device *dev)
{
	const struct ui_uapi_viommu_alloc *cmd = call->cmd;
	const struct ui_driver_ops *driver = ui_device_driver(dev);
	struct ui_hwpt *parent;
	int ret;

	if (!driver->viommu_known || !driver->viommu_known(dev, cmd->type))
		return -EOPNOTSUPP;
	parent = ui_obj_get(call->ctx, cmd->hwpt_id, UI_OBJ_HWPT);
	if (!parent)
		return -ENOENT;
	ret = viommu_alloc(call, dev, parent);
	ui_obj_put(call->ctx, &parent->obj);
	return ret;
}

int ui_cmd_viommu_alloc(struct ui_call *call)
{
	const struct ui_uapi_viommu_alloc *cmd = call->cmd;
	struct ui_bound *bound;
	int ret;

	if (cmd->flags || !cmd->type)
		return -EOPNOTSUPP;
	bound = ui_obj_get(call->ctx, cmd->dev_id, UI_OBJ_DEVICE);
	if (!bound)
		return -ENOENT;
	ret = alloc_for(call, ui_bound_device(bound));
	ui_obj_put(call->ctx, (struct ui_obj *)bound);
	return ret;
}
