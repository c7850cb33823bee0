/* SPDX-License-Identifier: MIT */
#include "shim/bind.h"
#include "base/bits.h"
#include "base/log.h"
#include "base/sys.h"
#include "devices/pci.h"
#include "iommufd/iommufd.h"
#include "machine/instance.h"
#include "mock/mock.h"
#include "vfio/vfio.h"

#include <string.h>
#include <sys/mman.h>

/* _IO(';', 100 + 18): binding gives the device's BARs the memory of this descriptor. */
#define BIND_IOMMUFD 0x3b76u

static struct ui_machine *machine; /* shim lock; made once a process */
static bool machine_failed;        /* shim lock */
static struct ui_mock *mock;       /* shim lock; only with --iommu mock */

/* Which file's memory the BARs of a device are; guarded by bars_lock. */
static const struct ui_file *bars_of[UI_MACHINE_MAX_DEVICES];
static pthread_mutex_t bars_lock = PTHREAD_MUTEX_INITIALIZER;

/* The iommufd of a BIND in progress on this thread: it must outlive the binding of the device to it. */
UI_SHIM_TLS struct ui_file *bind_target;

static struct ui_machine *get_machine(void)
{
	char err[256];

	if (!machine && !machine_failed && ui_machine_create(ui_shim_desc(), &machine, err, sizeof(err))) {
		ui_log(UI_LOG_ERROR, "the machine cannot be made: %s", err);
		machine_failed = true;
	}
	return machine;
}

void ui_bind_forked(void)
{
	machine = NULL;
	machine_failed = false;
	mock = NULL;
	memset(bars_of, 0, sizeof(bars_of));
	bars_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

/* Our descriptors are memfds, which must not become DMA memory: their header is ours. */
static bool stands_in(void *arg, int fd)
{
	struct ui_file *file = ui_fd_find(fd);

	if (file)
		ui_file_put(file);
	return file != NULL;
}

int ui_bind_context(struct ui_file *file)
{
	static const struct ui_iommufd_env env = { .pin = ui_mem_pin, .pinned = ui_mem_pinned, .stands_in = stands_in };

	if (!strcmp(ui_shim_desc()->kind, "mock")) {
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
	struct ui_file *file = ui_fd_find(fd);
	int ret;

	if (!file)
		return ui_sys_fcntl(fd, 1 /* F_GETFD */, 0) < 0 ? -EBADF : -EBADFD;
	ret = file->kind == UI_FILE_IOMMU ? ui_file_ready(file) : -EBADFD;
	if (ret || bind_target) {
		ui_file_put(file);
		return ret ? ret : -EINVAL;
	}
	*out = ui_iommufd_binder(file->ctx);
	bind_target = file;
	return 0;
}

static void unmask_changed(void *arg)
{
	struct ui_file *file = arg;

	ui_worker_watch(file->index, file->vfio, ui_vfio_unmask_fd(file->vfio) >= 0);
}

int ui_bind_device(struct ui_file *file)
{
	struct ui_machine_pci *dev;
	int ret;

	if (!get_machine())
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
	ui_vfio_set_unmask_watch(file->vfio, unmask_changed, file);
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

static long bind_device(struct ui_file *file, int fd, u32 cmd, u64 arg)
{
	bool laid = false;
	long ret = 0;

	pthread_mutex_lock(&bars_lock);
	if (bars_of[file->index] && bars_of[file->index] != file) {
		/* Another open is bound, or just about to give up: its BARs must not go from under us afterwards. */
		ret = -EINVAL;
	} else if (!bars_of[file->index]) {
		ret = lay_bars(file, fd);
		laid = !ret;
		bars_of[file->index] = laid ? file : NULL;
	}
	pthread_mutex_unlock(&bars_lock);
	if (!ret)
		ret = ui_vfio_ioctl(file->vfio, cmd, arg);
	/* A context lives as long as a device is bound to it, and so must its file: memory may move under its mappings. */
	if (!ret)
		file->bound = bind_target;
	else if (bind_target)
		ui_file_put(bind_target);
	bind_target = NULL;
	if (ret && laid) {
		pthread_mutex_lock(&bars_lock);
		bars_of[file->index] = NULL;
		pthread_mutex_unlock(&bars_lock);
	}
	return ret;
}

void ui_bind_release(struct ui_file *file)
{
	struct ui_file *bound;

	if (file->kind == UI_FILE_IOMMU) {
		ui_iommufd_close(file->ctx);
		file->ctx = NULL;
		return;
	}
	bound = file->bound;
	ui_worker_watch(file->index, file->vfio, false);
	ui_vfio_close(file->vfio);
	file->vfio = NULL;
	file->bound = NULL;
	if (bound)
		ui_file_put(bound);
	pthread_mutex_lock(&bars_lock);
	if (bars_of[file->index] == file) {
		lay_bars(file, -1);
		bars_of[file->index] = NULL;
	}
	pthread_mutex_unlock(&bars_lock);
	ui_worker_stop(file->index);
}

long ui_bind_ioctl(struct ui_file *file, int fd, u32 cmd, u64 arg)
{
	if (file->kind == UI_FILE_IOMMU)
		return ui_iommufd_ioctl(file->ctx, cmd, arg);
	if (cmd == BIND_IOMMUFD)
		return bind_device(file, fd, cmd, arg);
	return ui_vfio_ioctl(file->vfio, cmd, arg);
}

s64 ui_bind_pread(struct ui_file *file, void *buf, u64 n_bytes, u64 offset)
{
	return file->kind == UI_FILE_VFIO ? ui_vfio_pread(file->vfio, buf, n_bytes, offset) : -EINVAL;
}

s64 ui_bind_pwrite(struct ui_file *file, const void *buf, u64 n_bytes, u64 offset)
{
	return file->kind == UI_FILE_VFIO ? ui_vfio_pwrite(file->vfio, buf, n_bytes, offset) : -EINVAL;
}

int ui_bind_mmap(struct ui_file *file, u64 n_bytes, int prot, int flags, u64 offset)
{
	unsigned bar;
	u64 bar_offset;

	if (file->kind != UI_FILE_VFIO)
		return !(flags & MAP_SHARED) ? -EINVAL : prot & PROT_EXEC ? -EPERM : -ENXIO;
	return ui_vfio_mmap(file->vfio, offset, n_bytes, flags & MAP_SHARED, &bar, &bar_offset);
}

bool ui_bind_config(unsigned index, void *buf, u32 n_bytes)
{
	struct ui_machine *made;

	ui_shim_lock();
	made = get_machine();
	ui_shim_unlock();
	if (made)
		ui_pci_config_read(made->devices[index].pci, 0, buf, n_bytes);
	return made != NULL;
}
