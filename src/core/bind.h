/* SPDX-License-Identifier: MIT */
/*
 * The seam between a front door that owns devices (VFIO) and one that owns address spaces (iommufd), so that neither
 * includes the other: whoever joins them (the shim, a test) hands a binder to the device side.
 */
#ifndef UI_CORE_BIND_H
#define UI_CORE_BIND_H

#include "base/types.h"

struct ui_device;
struct ui_bound; /* one device bound to one context */
struct ui_group_tie; /* one VFIO group set to one context */

struct ui_binder_ops {
	/* NULL, with attach, detach and unbind: devices come in by their groups only. Takes a reference on the context until unbind. 0 with *@id (the DEVICE object's id) and *@bound; -EBUSY other
	 * owner; -ENOMEM. */
	int (*bind)(void *ctx, struct ui_device *dev, u32 *id, struct ui_bound **bound);
	/* Attach, or replace when attached. *@pt_id: IOAS or HWPT in, HWPT used out. Errors as iommufd's. */
	int (*attach)(struct ui_bound *bound, u32 pasid, bool has_pasid, u32 *pt_id);
	void (*detach)(struct ui_bound *bound, u32 pasid, bool has_pasid);
	/* Detaches everything, drops the DEVICE object and the reference. */
	void (*unbind)(struct ui_bound *bound);

	/*
	 * VFIO's older way in, by groups: SET_CONTAINER ties a group, with all its devices, to a context until it is untied. The context
	 * lives as long. 0 with *@tie; -EBUSY other owner; -EINVAL, -EFAULT, -ENOMEM as the memory mapped there has it. NULL: not this kind.
	 */
	int (*tie_group)(void *ctx, struct ui_device *const *devs, size_t n, struct ui_group_tie **tie);
	/* Devices opened through the tie are closed already where @keeps_group, may go on where not. */
	void (*untie_group)(struct ui_group_tie *tie);
	/* The first descriptor of @dev: from here on the device is bound and attached. 0 with *@bound; -EINVAL no SET_IOMMU yet;
	 * else as bind and attach. */
	int (*open_device)(struct ui_group_tie *tie, struct ui_device *dev, struct ui_bound **bound);
	/* Its last one. */
	void (*close_device)(struct ui_bound *bound);
	/* An open device keeps its group open and tied (the type1 container); else only the context. */
	bool keeps_group;
};

struct ui_binder {
	const struct ui_binder_ops *ops;
	void *ctx;
};

#endif
