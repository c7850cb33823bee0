/* SPDX-License-Identifier: MIT */
/* What the files of the objects beyond IOAS and paging HWPT share: fault queues, vIOMMUs and what belongs to them. */
#ifndef UI_IOMMUFD_VIOMMU_H
#define UI_IOMMUFD_VIOMMU_H

#include "iommufd/ctx.h"

/*
 * A virtual IOMMU. Its vdevices, event queues and hardware queues, nested HWPTs made through it, and each mapping of memory that it
 * shares use it.
 *
 * Lock order: ctx->attach, vdevices_lock; queues_lock; events_lock; then ctx->lock.
 */
struct ui_viommu_obj {
	struct ui_obj obj;
	struct ui_viommu viommu;
	struct ui_iommufd *ctx;
	struct ui_hwpt *parent;         /* used */
	pthread_rwlock_t vdevices_lock; /* read: an invalidation; write: one comes or goes */
	struct ui_ivl vdevices;         /* vdevices_lock: virt_id to struct ui_vdevice */
	pthread_mutex_t events_lock;
	struct ui_list veventqs;        /* events_lock */
	pthread_mutex_t queues_lock;    /* the driver makes or ends a hardware queue */
	struct ui_list shares;          /* ctx->lock until finalized, constant then: struct share */
};

/* --- fault.c --- */

/* Page requests for @hwpt go to the fault queue @id, which it uses, from now on. Before it is attached. 0; -ENOENT. */
int ui_fault_connect(struct ui_iommufd *ctx, struct ui_hwpt *hwpt, u32 id);
/* Not attached any more. Nothing of it is outstanding, and it does not use its queue. */
void ui_fault_disconnect(struct ui_iommufd *ctx, struct ui_hwpt *hwpt);
/* Answers all groups of @dev's INVALID that came to @hwpt by its attachment with @pasid (0: without), and forgets them. */
void ui_fault_forget(struct ui_hwpt *hwpt, struct ui_device *dev, u32 pasid);

/* --- vdevice.c --- */

/* The only vdevice of @bound, which is being unbound, goes; its number is buried. Under ctx->attach, which is dropped if a DESTROY
 * must be waited for. */
void ui_vdevice_unbind(struct ui_bound *bound);

/* --- veventq.c --- */

/* ui_viommu_host.report */
int ui_veventq_report(struct ui_viommu *viommu, u32 type, const void *data, u32 n_bytes);

/* --- hw_queue.c --- */

/* ui_viommu_host.queue_where */
u64 ui_hw_queue_where(struct ui_hw_queue *queue, u64 offset, u64 *pa);

/* --- device.c --- */

/* The device's vdevice. Under ctx->attach; the pointer to it changes under it. */
struct ui_vdevice_obj;
struct ui_vdevice_obj **ui_bound_vdevice(struct ui_bound *bound);
/* It is on its way out: nothing new for it. Under ctx->attach. */
bool ui_bound_leaving(const struct ui_bound *bound);
struct ui_iommufd *ui_bound_ctx(const struct ui_bound *bound);

#endif
