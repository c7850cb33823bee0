/* SPDX-License-Identifier: MIT */
/*
 * Groups. A device that is opened through its group has a file as one that is opened by its own path, but owned from the
 * beginning; opened again, it gets another descriptor of the same file, as the kernel's descriptors share the device.
 *
 * References: a group's file keeps the container or iommufd it is set to; an open device keeps the group's file (container) or the
 * iommufd. So each of them lives as long as memory may move under its mappings.
 */
#include "shim/group.h"
#include "shim/bind.h"
#include "shim/share.h"
#include "base/sys.h"
#include "iommufd/iommufd.h"
#include "machine/instance.h"
#include "vfio/group.h"

#include <fcntl.h>
#include <string.h>

enum { CLOSING_TRIES = 1000, CLOSING_NS = 100000 };

struct group {
	unsigned number;
	struct ui_vfio_group *vfio; /* shim lock to set; constant while the machine is there */
	unsigned n;
	struct ui_vfio_member members[UI_MACHINE_MAX_DEVICES];
	unsigned devices[UI_MACHINE_MAX_DEVICES]; /* which device of the machine a member is */
};

/* In the order of their first devices. Constant once the machine is made. */
static struct group groups[UI_MACHINE_MAX_DEVICES];
static unsigned n_groups;
/* One GET_DEVICE_FD at a time: who comes second finds the device open. Outside the shim lock. */
static pthread_mutex_t device_lock = PTHREAD_MUTEX_INITIALIZER;

static struct group *find(unsigned number)
{
	for (unsigned i = 0; i < n_groups; i++) {
		if (groups[i].number == number)
			return &groups[i];
	}
	return NULL;
}

static void add_member(unsigned index, const struct ui_machine_pci *dev)
{
	unsigned number = ui_shim_desc()->devices[index].group;
	struct group *g = find(number);

	if (!g) {
		g = &groups[n_groups++];
		memset(g, 0, sizeof(*g));
		g->number = number;
	}
	g->members[g->n] = (struct ui_vfio_member){ .name = dev->name, .pci = dev->pci, .dev = dev->dev };
	g->devices[g->n++] = index;
}

int ui_groups_make(struct ui_machine *machine)
{
	unsigned i;

	n_groups = 0;
	for (i = 0; i < machine->n_devices; i++)
		add_member(i, &machine->devices[i]);
	for (i = 0; i < n_groups; i++) {
		groups[i].vfio = ui_vfio_group_create(groups[i].members, groups[i].n);
		if (!groups[i].vfio)
			break;
	}
	if (i == n_groups)
		return 0;
	while (i-- > 0)
		ui_vfio_group_destroy(groups[i].vfio);
	n_groups = 0;
	return -ENOMEM;
}

void ui_groups_forked(void)
{
	n_groups = 0;
	device_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

bool ui_group_known(unsigned number)
{
	const struct ui_machine_desc *desc = ui_shim_desc();

	for (unsigned i = 0; i < desc->n_devices; i++) {
		if (desc->devices[i].group == number)
			return true;
	}
	return false;
}

struct ui_vfio_group *ui_group_of_device(unsigned index)
{
	return find(ui_shim_desc()->devices[index].group)->vfio;
}

/* Under the shim lock. */
static struct ui_file *open_file(unsigned number)
{
	for (unsigned i = 0; i < UI_FILE_MAX; i++) {
		struct ui_file *file = ui_file_slot(i);

		if (file->in_use && file->kind == UI_FILE_GROUP && file->index == number && atomic_load(&file->refs))
			return file;
	}
	return NULL;
}

int ui_group_may_open(unsigned number)
{
	struct group *g = find(number);

	return open_file(number) || (g && ui_vfio_group_blocked(g->vfio)) ? -EBUSY : 0;
}

bool ui_group_settle(unsigned index)
{
	struct ui_file *file;
	bool elsewhere;

	ui_shim_lock();
	file = open_file(ui_shim_desc()->devices[index].group);
	if (file)
		file = ui_file_hold_live(file);
	ui_shim_unlock();
	if (!file)
		return false;
	elsewhere = ui_file_ready(file) || ui_file_is_foreign(file);
	ui_file_put(file);
	return elsewhere;
}

/* --- What the library asks --- */

static int tie_get(void *arg, int fd, struct ui_binder *out, void **token)
{
	struct ui_file *file;
	int ret = ui_fd_of_caller(fd, &file);

	if (ret)
		return ret;
	ret = file->kind == UI_FILE_IOMMU || file->kind == UI_FILE_CONTAINER ? ui_file_own(file) : -EBADFD;
	if (ret) {
		ui_file_put(file);
		return ret;
	}
	*out = ui_iommufd_binder(file->ctx);
	*token = file;
	return 0;
}

static void tie_put(void *arg, void *token)
{
	ui_file_put(token);
}

static void tie_hold(void *arg, void *token)
{
	ui_file_hold(token);
}

/* The file of a device that was opened through its group, with a reference: 0, and *@out NULL: none; -EAGAIN: one is just ending. */
static int open_device_file(unsigned index, struct ui_file **out)
{
	int ret = 0;

	*out = NULL;
	ui_shim_lock();
	for (unsigned i = 0; i < UI_FILE_MAX && !*out; i++) {
		struct ui_file *file = ui_file_slot(i);

		if (!file->in_use || file->kind != UI_FILE_VFIO || file->index != index || !file->tied)
			continue;
		*out = ui_file_hold_live(file);
		ret = -EAGAIN;
	}
	ui_shim_unlock();
	return *out ? 0 : ret;
}

/* Makes the device behind a file that nobody knows yet. */
static int make_device(struct ui_file *file, int fd, const struct ui_file *group, unsigned member)
{
	struct ui_machine *machine;
	void *token;
	int ret;

	ui_shim_lock();
	machine = ui_bind_machine();
	ui_shim_unlock();
	ret = ui_worker_start(machine, file->index);
	if (ret)
		return ret;
	ret = ui_bars_take(file, fd);
	if (ret >= 0)
		ret = ui_vfio_group_open_device(group->group, member, &file->vfio, &token);
	if (ret) {
		ui_bars_give(file);
		ui_worker_stop(file->index);
		return ret;
	}
	file->bound = token;
	if (ui_vfio_keeps_group(file->vfio)) {
		file->bound = ui_file_hold((struct ui_file *)(uintptr_t)group);
		ui_file_put(token);
	}
	ui_vfio_set_unmask_watch(file->vfio, ui_bind_unmask_changed, file);
	ui_shim_lock();
	file->tied = true;
	ui_shim_unlock();
	ui_file_begin(file);
	return 0;
}

static int new_device(const struct ui_file *group, unsigned member, unsigned index)
{
	struct ui_file *file;
	int fd = ui_file_create(UI_FILE_VFIO, index, O_RDWR | O_CLOEXEC, &file), ret;

	if (fd < 0)
		return fd;
	ret = make_device(file, fd, group, member);
	if (!ret)
		return ui_file_publish(file, fd);
	ui_sys_close(fd);
	ui_file_put(file);
	return ret;
}

/* One try: -EAGAIN where the device is just being closed. */
static int try_device_fd(const struct ui_file *group, unsigned member)
{
	unsigned index = find(group->index)->devices[member];
	struct ui_file *file;
	int fd;

	pthread_mutex_lock(&device_lock);
	fd = open_device_file(index, &file);
	if (file)
		fd = ui_file_duplicate(file);
	else if (!fd)
		fd = new_device(group, member, index);
	pthread_mutex_unlock(&device_lock);
	if (file)
		ui_file_put(file);
	return file && fd == -EBADF ? -EAGAIN : fd;
}

static int device_fd(void *arg, unsigned member)
{
	int fd = try_device_fd(arg, member);

	/* The kernel's close() is over before the next open: so is ours, soon, unless another process has the only descriptor. */
	for (unsigned i = 0; fd == -EAGAIN && i < CLOSING_TRIES; i++) {
		ui_sys_sleep_ns(CLOSING_NS);
		fd = try_device_fd(arg, member);
	}
	if (fd == -EAGAIN)
		return -EBUSY;
	return fd < 0 ? fd : ui_share_hand_over(fd, NULL);
}

int ui_group_bind(struct ui_file *file)
{
	const struct ui_vfio_group_env env = {
		.tie_get = tie_get,
		.tie_put = tie_put,
		.tie_hold = tie_hold,
		.device_fd = device_fd,
		.arg = file,
	};
	struct group *g = ui_bind_machine() ? find(file->index) : NULL;
	int ret = g ? ui_vfio_group_open(g->vfio, &env) : -ENODEV;

	if (!ret)
		file->group = g->vfio;
	return ret;
}
