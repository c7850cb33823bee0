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

struct ui_binder_ops {
	/* Takes a reference on the context until unbind. 0 with *@id (the DEVICE object's id) and *@bound; -EBUSY other
	 * owner; -ENOMEM. */
	int (*bind)(void *ctx, struct ui_device *dev, u32 *id, struct ui_bound **bound);
	/* Attach, or replace when attached. *@pt_id: IOAS or HWPT in, HWPT used out. Errors as iommufd's. */
	int (*attach)(struct ui_bound *bound, u32 pasid, bool has_pasid, u32 *pt_id);
	void (*detach)(struct ui_bound *bound, u32 pasid, bool has_pasid);
	/* Detaches everything, drops the DEVICE object and the reference. */
	void (*unbind)(struct ui_bound *bound);
};

struct ui_binder {
	const struct ui_binder_ops *ops;
	void *ctx;
};

#endif
