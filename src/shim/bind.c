/* SPDX-License-Identifier: MIT */
#include "shim/bind.h"
#include "base/bits.h"
#include "base/log.h"
#include "base/sys.h"
#include "base/user.h"
#include "core/account.h"
#include "devices/pci.h"
#include "iommufd/iommufd.h"
#include "machine/counters.h"
#include "machine/instance.h"
#include "mock/mock.h"
#include "shim/faults.h"
#include "shim/group.h"
#include "shim/mem.h"
#include "shim/objfile.h"
#include "shim/share.h"
#include "vfio/group.h"

#include <string.h>
#include <sys/mman.h>

/* _IO(';', 100 + 18): binding gives the device's BARs the memory of this descriptor. */
#define BIND_IOMMUFD 0x3b76u

static struct ui_machine *machine; /* shim lock; made once a process */
static bool machine_failed;        /* shim lock */
static struct ui_stats *counters;  /* shim lock; NULL: nobody asked, or there are none for us */
static u32 n_counters;             /* shim lock; devices that counters has room for */
static struct ui_mock *mock;       /* shim lock; only with --iommu mock */
static struct ui_account *account; /* shim lock; what all contexts have pinned, against RLIMIT_MEMLOCK */

/* Which file's memory the BARs of a device are; guarded by bars_lock. */
static const struct ui_file *bars_of[UI_MACHINE_MAX_DEVICES];
static pthread_mutex_t bars_lock = PTHREAD_MUTEX_INITIALIZER;

/* The iommufd of a BIND in progress on this thread: it must outlive the binding of the device to it. */
UI_SHIM_TLS struct ui_file *bind_target;

/* Under the shim lock. */
static void counters_join(void)
{
	const char *path = ui_shim_counters();
	int ret = path ? ui_counters_join(path, &counters, &n_counters) : 0;

	if (ret)
		ui_log(UI_LOG_WARN, "what this process does is missing in the command's statistics: %s", strerror(-ret));
}

struct ui_machine *ui_bind_machine(void)
{
	char err[256] = "out of memory";
	int ret;

	if (machine || machine_failed)
		return machine;
	counters_join();
	ret = ui_machine_create_counting(ui_shim_desc(), counters, n_counters, &machine, err, sizeof(err));
	if (!ret && ui_groups_make(machine)) {
		ui_machine_destroy(machine);
		machine = NULL;
	}
	if (!machine) {
		if (counters)
			ui_counters_leave(counters, n_counters);
		counters = NULL;
		ui_log(UI_LOG_ERROR, "the machine cannot be made: %s", err);
		machine_failed = true;
	}
	return machine;
}

void ui_bind_forked(void)
{
	machine = NULL;
	machine_failed = false;
	/* The parent counts there, and nobody here any more. */
	if (counters)
		ui_counters_leave(counters, n_counters);
	counters = NULL;
	mock = NULL;
	account = NULL;
	ui_groups_forked();
	memset(bars_of, 0, sizeof(bars_of));
	bars_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

/* Our descriptors are memfds, which must not become DMA memory: their header is ours. */
static bool stands_in(void *arg, int fd)
{
	/* Of a client's descriptor it is a duplicate that has no place in our table. */
	struct ui_file *file = ui_caller() ? ui_file_identify(fd) : ui_fd_find(fd);

	if (file)
		ui_file_put(file);
	return file != NULL;
}

static int map_caller(void *arg, u64 va, u64 n_bytes, bool write, u64 *here)
{
	return ui_share_map(va, n_bytes, write, here);
}

static void unmap_caller(void *arg, u64 here, u64 n_bytes)
{
	ui_share_unmap(here, n_bytes);
}

void ui_bind_ended(void)
{
	ui_shim_lock();
	if (machine)
		ui_machine_log(machine);
	ui_shim_unlock();
}

int ui_bind_context(struct ui_file *file)
{
	struct ui_iommufd_env container = { .pin = ui_mem_pin_bars, .registers = ui_mem_all_bars, .pinned = ui_mem_pinned,
							.stands_in = stands_in, .map_caller = map_caller, .unmap_caller = unmap_caller };
	struct ui_iommufd_env env = {
		.pin = ui_mem_pin,
		.pinned = ui_mem_pinned,
		.stands_in = stands_in,
		.map_caller = map_caller,
		.unmap_caller = unmap_caller,
		.file_new = ui_object_new,
		.file_drop = ui_object_drop,
		.file_readable = ui_object_readable,
		.file_get = ui_object_get,
		.file_put = ui_object_put,
		.arg = file,
	};

	if (!account)
		account = ui_account_create();
	if (!account)
		return -ENOMEM;
	env.account = container.account = account;
	if (file->kind == UI_FILE_CONTAINER) {
		file->ctx = ui_iommufd_open_container(&container);
	} else if (!strcmp(ui_shim_desc()->kind, "mock")) {
		if (!mock)
			mock = ui_mock_create();
		file->ctx = mock ? ui_mock_open(mock, &env) : NULL;
	} else {
		file->ctx = ui_iommufd_open(&env);
	}
	return file->ctx ? 0 : -ENOMEM;
}

static int binder(void *arg, int fd, struct ui_binder *out)
{
	struct ui_file *file;
	int ret = ui_fd_of_caller(fd, &file);

	if (ret)
		return ret;
	ret = file->kind == UI_FILE_IOMMU ? ui_file_own(file) : -EBADFD;
	if (ret || bind_target) {
		ui_file_put(file);
		return ret ? ret : -EINVAL;
	}
	*out = ui_iommufd_binder(file->ctx);
	bind_target = file;
	return 0;
}

void ui_bind_unmask_changed(void *arg)
{
	struct ui_file *file = arg;

	ui_worker_watch(file->index, file->vfio, ui_vfio_unmask_fd(file->vfio) >= 0);
}

int ui_bind_device(struct ui_file *file)
{
	struct ui_machine_pci *dev;
	int ret;

	if (!ui_bind_machine())
		return -ENODEV;
	dev = &machine->devices[file->index];
	ret = ui_worker_start(machine, file->index);
	if (ret)
		return ret;
	file->vfio = ui_vfio_open(dev->pci, dev->dev, binder, NULL);
	if (!file->vfio) {
		ui_worker_stop(file->index);
		return -ENOMEM;
	}
	ui_vfio_set_group(file->vfio, ui_group_of_device(file->index));
	ui_vfio_set_unmask_watch(file->vfio, ui_bind_unmask_changed, file);
	return 0;
}

/* Lays @fd's memory, or with -1 fresh private memory, under the mappable BARs of the file's device. */
static int lay_bars(const struct ui_file *file, int fd)
{
	const struct ui_machine_pci *dev = &machine->devices[file->index];
	int flags = MAP_FIXED | (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED);

	for (unsigned i = 0; i < UI_PCI_N_BARS; i++) {
		void *at;

		if (!dev->bar_mem[i])
			continue;
		at = ui_sys_mmap(dev->bar_mem[i], dev->model->bars[i].n_bytes, PROT_READ | PROT_WRITE, flags, fd, fd < 0 ? 0 : (u64)i << 40);
		if (ui_sys_is_err(at))
			return -ENOMEM;
	}
	return 0;
}

int ui_bind_relay(const struct ui_file *file, int fd)
{
	int ret = 0;

	pthread_mutex_lock(&bars_lock);
	if (bars_of[file->index] == file)
		ret = lay_bars(file, fd);
	pthread_mutex_unlock(&bars_lock);
	return ret;
}

int ui_bars_take(struct ui_file *file, int fd)
{
	int ret = 0;

	pthread_mutex_lock(&bars_lock);
	if (bars_of[file->index] && bars_of[file->index] != file)
		ret = -EINVAL;
	else if (!bars_of[file->index])
		ret = lay_bars(file, fd) ? -ENOMEM : UI_BARS_TAKEN;
	if (ret == UI_BARS_TAKEN)
		bars_of[file->index] = file;
	pthread_mutex_unlock(&bars_lock);
	return ret;
}

void ui_bars_give(struct ui_file *file)
{
	pthread_mutex_lock(&bars_lock);
	if (bars_of[file->index] == file) {
		lay_bars(file, -1);
		bars_of[file->index] = NULL;
	}
	pthread_mutex_unlock(&bars_lock);
}

static long bind_device(struct ui_file *file, int fd, u32 cmd, u64 arg)
{
	/* Another open is bound, or just about to give up: its BARs must not go from under us afterwards. */
	int laid = ui_bars_take(file, fd);
	long ret = laid < 0 ? laid : 0;

	/* A group that is open, if only by a descriptor that nobody used yet, keeps BIND away. */
	if (ui_group_settle(file->index) && !ret)
		ret = -EBUSY;
	if (!ret)
		ret = ui_vfio_ioctl(file->vfio, cmd, arg);
	/* A context lives as long as a device is bound to it, and so must its file: memory may move under its mappings. */
	if (!ret)
		file->bound = bind_target;
	else if (bind_target)
		ui_file_put(bind_target);
	bind_target = NULL;
	if (ret && laid == UI_BARS_TAKEN)
		ui_bars_give(file);
	return ret;
}

void ui_bind_release(struct ui_file *file)
{
	struct ui_file *bound;

	if (file->kind == UI_FILE_IOMMU || file->kind == UI_FILE_CONTAINER) {
		ui_iommufd_close(file->ctx);
		file->ctx = NULL;
		return;
	}
	if (file->kind == UI_FILE_GROUP) {
		ui_vfio_group_close(file->group);
		file->group = NULL;
		return;
	}
	bound = file->bound;
	ui_worker_watch(file->index, file->vfio, false);
	ui_vfio_close(file->vfio);
	file->vfio = NULL;
	file->bound = NULL;
	if (bound)
		ui_file_put(bound);
	ui_bars_give(file);
	ui_worker_stop(file->index);
}

static long serve_ioctl(struct ui_file *file, int fd, u32 cmd, u64 arg)
{
	if (file->kind == UI_FILE_OBJECT || file->kind == UI_FILE_FAULTS)
		return -ENOTTY;
	if (file->kind == UI_FILE_IOMMU || file->kind == UI_FILE_CONTAINER)
		return ui_iommufd_ioctl(file->ctx, cmd, arg);
	if (file->kind == UI_FILE_GROUP)
		return ui_vfio_group_ioctl(file->group, cmd, arg);
	if (cmd == BIND_IOMMUFD)
		return bind_device(file, fd, cmd, arg);
	return ui_vfio_ioctl(file->vfio, cmd, arg);
}

long ui_bind_ioctl(struct ui_file *file, int fd, u32 cmd, u64 arg)
{
	long ret;

	if (ui_file_is_foreign(file))
		return ui_remote_ioctl(file, cmd, arg);
	ret = serve_ioctl(file, fd, cmd, arg);
	ui_objects_settle();
	return ret;
}

s64 ui_bind_pread(struct ui_file *file, void *buf, u64 n_bytes, u64 offset)
{
	if (ui_file_is_foreign(file))
		return ui_remote_transfer(file, (u64)buf, n_bytes, offset, false);
	if (file->kind == UI_FILE_OBJECT)
		return ui_object_transfer(file, (u64)buf, n_bytes, false);
	if (file->kind == UI_FILE_FAULTS)
		return ui_faults_read(file, (u64)buf, n_bytes, offset);
	return file->kind == UI_FILE_VFIO ? ui_vfio_pread(file->vfio, buf, n_bytes, offset) : -EINVAL;
}

s64 ui_bind_pwrite(struct ui_file *file, const void *buf, u64 n_bytes, u64 offset)
{
	if (ui_file_is_foreign(file))
		return ui_remote_transfer(file, (u64)buf, n_bytes, offset, true);
	if (file->kind == UI_FILE_OBJECT)
		return ui_object_transfer(file, (u64)buf, n_bytes, true);
	if (file->kind == UI_FILE_FAULTS)
		return ui_faults_write(file, (u64)buf, n_bytes);
	return file->kind == UI_FILE_VFIO ? ui_vfio_pwrite(file->vfio, buf, n_bytes, offset) : -EINVAL;
}

int ui_bind_mmap(struct ui_file *file, u64 n_bytes, int prot, int flags, u64 offset)
{
	unsigned bar;
	u64 bar_offset;

	if (file->kind == UI_FILE_CONTAINER || file->kind == UI_FILE_GROUP)
		return -ENODEV;
	if (ui_file_is_foreign(file))
		return (int)ui_remote_mmap(file, n_bytes, prot, flags, offset);
	if (file->kind != UI_FILE_VFIO)
		return !(flags & MAP_SHARED) ? -EINVAL : prot & PROT_EXEC ? -EPERM : -ENXIO;
	return ui_vfio_mmap(file->vfio, offset, n_bytes, flags & MAP_SHARED, &bar, &bar_offset);
}

bool ui_bind_config(unsigned index, void *buf, u32 n_bytes)
{
	struct ui_machine *made;

	ui_shim_lock();
	made = ui_bind_machine();
	ui_shim_unlock();
	if (made)
		ui_pci_config_read(made->devices[index].pci, 0, buf, n_bytes);
	return made != NULL;
}
