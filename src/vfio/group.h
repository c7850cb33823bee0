/* SPDX-License-Identifier: MIT */
/*
 * VFIO groups as a library: /dev/vfio/N. A group is the devices that nothing isolates from one another; it is opened by one
 * descriptor at a time, tied to a container or an iommufd, and gives out its devices, bound and attached.
 */
#ifndef UI_VFIO_GROUP_H
#define UI_VFIO_GROUP_H

#include "vfio/vfio.h"

struct ui_vfio_group;

struct ui_vfio_member {
	const char *name; /* "0000:01:00.0" */
	struct ui_pci *pci;
	struct ui_device *dev;
};

/* What a group asks of those around it. */
struct ui_vfio_group_env {
	/* Turns the descriptor of SET_CONTAINER into a binder; *@token stands for what it lives in, and holds it. -EBADF not open,
	 * -EBADFD neither a container nor an iommufd. Both without locks. */
	int (*tie_get)(void *arg, int fd, struct ui_binder *out, void **token);
	void (*tie_put)(void *arg, void *token);
	/* One more hold, to be put as well. Must not call back. */
	void (*tie_hold)(void *arg, void *token);
	/* GET_DEVICE_FD: a new descriptor (close-on-exec) of member @i, which ui_vfio_group_open_device() opened, or of the one that is
	 * open already. A negative errno: -EMFILE, what that function says. Called without locks. */
	int (*device_fd)(void *arg, unsigned i);
	void *arg;
};

/* @members and what they point at outlive it; n is at least 1. NULL without memory. */
struct ui_vfio_group *ui_vfio_group_create(const struct ui_vfio_member *members, unsigned n);
/* Not open, no device open. NULL is a no-op. */
void ui_vfio_group_destroy(struct ui_vfio_group *group);

/* open(2). 0; -EBUSY: it is open, or a device of it is bound through its own file. @env is copied. Any thread. */
int ui_vfio_group_open(struct ui_vfio_group *group, const struct ui_vfio_group_env *env);
/* The descriptor is gone: unties. Where devices keep the group (ui_vfio_keeps_group()) they are closed before. */
void ui_vfio_group_close(struct ui_vfio_group *group);
/* As ioctl(2), a negative errno on failure. Thread-safe. */
long ui_vfio_group_ioctl(struct ui_vfio_group *group, u32 cmd, u64 arg);
/*
 * Member @i opened: to be used and closed as one from ui_vfio_open() that is bound already. *@token is held once more: the caller
 * puts it after ui_vfio_close(). 0; -EINVAL no container, or without SET_IOMMU, or the device is open; -EBUSY; -ENOMEM.
 */
int ui_vfio_group_open_device(struct ui_vfio_group *group, unsigned i, struct ui_vfio **out, void **token);
/* Opened by the function above? */
bool ui_vfio_tied(const struct ui_vfio *vfio);
/* Such a device: must the group stay open as long as it? */
bool ui_vfio_keeps_group(const struct ui_vfio *vfio);

/* For the device's own file: it is bound, which keeps the group from being opened. 0 or -EBUSY: the group is open. */
int ui_vfio_group_block(struct ui_vfio_group *group);
void ui_vfio_group_unblock(struct ui_vfio_group *group);
bool ui_vfio_group_blocked(struct ui_vfio_group *group);

#endif
