/* SPDX-License-Identifier: MIT */
/*
 * Open files. What a program holds is a memfd: the kernel's own descriptor, so dup, fork, exec, SCM_RIGHTS, poll and the
 * mapping of BARs are the kernel's. A header page in it says what it is and who uses it:
 *
 *	/dev/iommu	one page, the header; as well a container and a group
 *	a device	BAR n's memory at n << 40, as VFIO numbers regions; the header at 1 << 46
 *
 * The file belongs to the process that uses it first (the header's owner, taken atomically).
 */
#include "shim/shim.h"
#include "shim/bind.h"
#include "shim/group.h"
#include "shim/kvm.h"
#include "shim/objfile.h"
#include "shim/real.h"
#include "shim/share.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "base/log.h"
#include "base/sys.h"
#include "base/user.h"
#include "devices/pci.h"
#include "iommufd/iommufd.h"
#include "machine/instance.h"
#include "vfio/vfio.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_MAGIC 0x31756d6d6f697525ull
#define VFIO_HEADER_AT ((u64)1 << 46)
#define GROUP_PATH "/dev/vfio/"

struct ui_file_header {
	u64 magic;
	u32 kind;
	_Atomic u32 exposed; /* it may be in several processes: who owns it must serve (share.c). seq_cst, as owner and state */
	_Atomic u64 owner;   /* ui_share_token() of the owner; 0: not used yet */
	char name[32];       /* device: "0000:01:00.0"; group: "/dev/vfio/0" */
};

static u64 header_at(enum ui_file_kind kind)
{
	return kind == UI_FILE_VFIO ? VFIO_HEADER_AT : 0;
}

const char *ui_file_name(const struct ui_file *file, char buf[16])
{
	if (file->kind == UI_FILE_OBJECT)
		return ui_object_name(file);
	if (file->kind == UI_FILE_CONTAINER)
		return "/dev/vfio/vfio";
	if (file->kind == UI_FILE_GROUP) {
		snprintf(buf, 16, GROUP_PATH "%u", file->index % (UI_MACHINE_MAX_GROUP + 1));
		return buf;
	}
	if (file->kind != UI_FILE_VFIO)
		return "/dev/iommu";
	ui_machine_rid_print(ui_shim_desc()->devices[file->index].rid, buf);
	return buf;
}

static int map_header(struct ui_file *file, int fd)
{
	void *at = ui_sys_mmap(NULL, UI_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, header_at(file->kind));

	if (ui_sys_is_err(at))
		return -ENOMEM;
	file->header = at;
	return 0;
}

static int make_memfd(struct ui_file *file, int flags)
{
	char name[16];
	int fd = ui_sys_memfd_create(ui_file_name(file, name), MFD_ALLOW_SEALING | (flags & O_CLOEXEC ? MFD_CLOEXEC : 0));
	int ret;

	if (fd < 0)
		return fd;
	ret = ui_sys_ftruncate(fd, header_at(file->kind) + UI_PAGE_BYTES);
	/* Nobody may pull the memory away under the device. */
	if (!ret)
		ret = ui_sys_fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	if (!ret && flags & O_NONBLOCK)
		ret = ui_sys_fcntl(fd, F_SETFL, O_NONBLOCK);
	if (!ret)
		ret = map_header(file, fd);
	if (ret) {
		ui_sys_close(fd);
		return ret;
	}
	file->header->magic = HEADER_MAGIC;
	file->header->kind = file->kind;
	if (file->kind == UI_FILE_VFIO || file->kind == UI_FILE_GROUP)
		strcpy(file->header->name, name);
	return fd;
}

int ui_file_create(enum ui_file_kind kind, unsigned index, int flags, struct ui_file **out)
{
	struct ui_file *file = NULL;
	struct stat st;
	int fd, ret;

	ui_shim_lock();
	ret = ui_self_init();
	ui_shim_unlock();
	if (ret)
		return ret;
	if (ui_self_borrowed())
		return -ENFILE;
	ui_shim_lock();
	ret = kind == UI_FILE_GROUP ? ui_group_may_open(index) : 0;
	if (!ret)
		file = ui_file_alloc(kind, index);
	ui_shim_unlock();
	if (!file)
		return ret ? ret : -ENFILE;
	if (kind == UI_FILE_DIR || kind == UI_FILE_FAULTS)
		fd = ui_sys_memfd_create("uiommu", flags & O_CLOEXEC ? MFD_CLOEXEC : 0);
	else
		fd = ui_inject_point() ? -ENOMEM : make_memfd(file, flags);
	ret = fd < 0 ? fd : ui_sys_fstat(fd, &st);
	if (ret) {
		if (fd >= 0)
			ui_sys_close(fd);
		ui_file_put(file);
		return ret;
	}
	file->ino = st.st_ino;
	*out = file;
	return fd;
}

int ui_file_publish(struct ui_file *file, int fd)
{
	int ret = ui_fd_install(fd, file);

	if (!ret)
		return fd;
	ui_sys_close(fd);
	ui_file_put(file);
	return ret;
}

int ui_file_open(enum ui_file_kind kind, unsigned index, int flags)
{
	struct ui_file *file = NULL;
	int fd = ui_file_create(kind, index, flags, &file);

	return fd < 0 ? fd : ui_file_publish(file, fd);
}

int ui_file_duplicate(struct ui_file *file)
{
	int from = ui_fd_number(file), fd = from < 0 ? -EBADF : ui_sys_fcntl(from, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return fd;
	/* Another thread may have put something else there. */
	if (!ui_file_is_behind(file, fd)) {
		ui_sys_close(fd);
		return -EBADF;
	}
	return ui_file_publish(ui_file_hold(file), fd);
}

static bool read_header(int fd, struct ui_file_header *header, u64 *ino)
{
	struct stat st;
	u64 at;

	if (ui_sys_fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_nlink)
		return false;
	if (st.st_size != (off_t)UI_PAGE_BYTES && st.st_size != (off_t)(VFIO_HEADER_AT + UI_PAGE_BYTES))
		return false;
	at = (u64)st.st_size - UI_PAGE_BYTES;
	*ino = st.st_ino;
	return ui_sys_pread(fd, header, sizeof(*header), at) == (ssize_t)sizeof(*header) && header->magic == HEADER_MAGIC &&
	       header_at((enum ui_file_kind)header->kind) == at;
}

static int device_index(const char *name)
{
	const struct ui_machine_desc *desc = ui_shim_desc();

	for (unsigned i = 0; i < desc->n_devices; i++) {
		char rid[13];

		ui_machine_rid_print(desc->devices[i].rid, rid);
		if (!strcmp(rid, name))
			return (int)i;
	}
	ui_log(UI_LOG_ERROR, "a descriptor of device %s was passed to a program whose machine has no such device", name);
	return -1;
}

static int group_number(const char *name)
{
	int number = strncmp(name, GROUP_PATH, strlen(GROUP_PATH)) ? -1 : atoi(name + strlen(GROUP_PATH));

	if (number >= 0 && ui_group_known((unsigned)number))
		return number;
	ui_log(UI_LOG_ERROR, "a descriptor of group %s was passed to a program whose machine has no such group", name);
	return -1;
}

/* Under the shim lock: the file that this process already has for the memfd. A reference, or NULL. */
static struct ui_file *find_known(u64 ino)
{
	for (unsigned i = 0; i < UI_FILE_MAX; i++) {
		struct ui_file *file = ui_file_slot(i);

		if (file->in_use && file->header && file->ino == ino)
			return ui_file_hold_live(file);
	}
	return NULL;
}

struct ui_file *ui_file_by_ino(u64 ino)
{
	struct ui_file *file;

	ui_shim_lock();
	file = find_known(ino);
	ui_shim_unlock();
	return file ? file : ui_object_by_ino(ino);
}

struct ui_file *ui_file_identify(int fd)
{
	struct ui_file_header header;
	u64 ino;

	return read_header(fd, &header, &ino) ? ui_file_by_ino(ino) : ui_object_identify(fd);
}

int ui_fd_of_caller(int fd, struct ui_file **out)
{
	int got;

	if (!ui_caller()) {
		*out = ui_fd_find(fd);
		return *out ? 0 : ui_sys_fcntl(fd, F_GETFD, 0) < 0 ? -EBADF : -EBADFD;
	}
	got = ui_user_fd_get(fd);
	if (got < 0)
		return got;
	*out = ui_file_identify(got);
	ui_user_fd_put(fd, got);
	return *out ? 0 : -EBADFD;
}

bool ui_file_is_behind(const struct ui_file *file, int fd)
{
	struct stat st;

	return !ui_sys_fstat(fd, &st) && st.st_ino == file->ino;
}

/* Under the shim lock: a file for a memfd that is new to this process. */
static struct ui_file *make_known(int fd, enum ui_file_kind kind, unsigned index, u64 ino)
{
	void *header = ui_sys_mmap(NULL, UI_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, header_at(kind));
	struct ui_file *file = ui_sys_is_err(header) ? NULL : ui_file_alloc(kind, index);

	if (file) {
		file->header = header;
		file->ino = ino;
	} else if (!ui_sys_is_err(header)) {
		ui_sys_munmap(header, UI_PAGE_BYTES);
	}
	return file;
}

struct ui_file *ui_file_adopt(int fd)
{
	struct ui_file_header header;
	struct ui_shim_entry entry;
	struct ui_file *file = NULL;
	int index = 0;
	u64 ino;

	if (!ui_shim_served() || ui_self_borrowed())
		return NULL;
	if (!read_header(fd, &header, &ino))
		return ui_object_adopt(fd);
	header.name[sizeof(header.name) - 1] = 0;
	if (header.kind == UI_FILE_VFIO)
		index = device_index(header.name);
	else if (header.kind == UI_FILE_GROUP)
		index = group_number(header.name);
	if (index < 0)
		return NULL;
	ui_shim_enter(&entry);
	ui_shim_lock();
	if (!ui_self_init()) {
		file = find_known(ino);
		/* Ours and not known: the last descriptor that we knew of was closed, and the object went with it. */
		if (!file && !ui_self_is(header.owner))
			file = make_known(fd, (enum ui_file_kind)header.kind, (unsigned)index, ino);
	}
	ui_shim_unlock();
	if (file && ui_fd_install(fd, ui_file_hold(file))) {
		ui_file_put(file);
		ui_file_put(file);
		file = NULL;
	}
	ui_shim_leave(&entry);
	return file;
}

/* Under the shim lock. Takes the header for this process, or says who has it. */
static bool claim(struct ui_file *file)
{
	u64 nobody = 0;

	return atomic_compare_exchange_strong(&file->header->owner, &nobody, ui_share_token());
}

static int make_object(struct ui_file *file)
{
	switch (file->kind) {
	case UI_FILE_IOMMU:
	case UI_FILE_CONTAINER:
		return ui_bind_context(file);
	case UI_FILE_GROUP:
		return ui_group_bind(file);
	default:
		return ui_bind_device(file);
	}
}

void ui_file_begin(struct ui_file *file)
{
	atomic_store(&file->header->owner, ui_self_token());
	atomic_store_explicit(&file->state, UI_FILE_OWNED, memory_order_release); /* pairs with ui_file_ready() */
}

static int become_ready(struct ui_file *file)
{
	int ret = -ENOMEM;

	if (file->state == UI_FILE_FRESH && !atomic_load(&file->header->owner)) {
		ret = ui_signals_init();
		if (ret)
			return ret;
		/* Before anybody can read who owns it. If it fails, it says so, and others will not reach us. */
		if (atomic_load(&file->header->exposed))
			ui_share_listen();
		ret = make_object(file);
		if (ret)
			return ret;
		if (claim(file)) {
			atomic_store_explicit(&file->state, UI_FILE_OWNED, memory_order_release); /* pairs with ui_file_ready() */
			return 0;
		}
		ui_bind_release(file);
	}
	if (file->state == UI_FILE_OWNED)
		return 0;
	atomic_store_explicit(&file->state, UI_FILE_FOREIGN, memory_order_release);
	return 0;
}

int ui_file_ready(struct ui_file *file)
{
	int ret;

	/* Pairs with become_ready(). */
	if (ui_likely(atomic_load_explicit(&file->state, memory_order_acquire) == UI_FILE_OWNED))
		return 0;
	if (ui_file_is_foreign(file))
		return 0;
	if (file->kind == UI_FILE_DIR)
		return -EISDIR;
	if (file->kind == UI_FILE_FAULTS)
		return 0;
	ui_shim_lock();
	ret = become_ready(file);
	ui_shim_unlock();
	if (!ret && !ui_file_is_foreign(file) && file->header && atomic_load(&file->header->exposed))
		ui_share_file(file);
	return ret;
}

int ui_file_own(struct ui_file *file)
{
	int ret = ui_file_ready(file);

	if (!ret && ui_file_is_foreign(file)) {
		ui_log(UI_LOG_ERROR, "%s: owned by another process, so no device of this one can use it", ui_file_name(file, (char[16]){ 0 }));
		ret = -ENODEV;
	}
	return ret;
}

bool ui_file_is_foreign(const struct ui_file *file)
{
	return atomic_load_explicit(&file->state, memory_order_acquire) == UI_FILE_FOREIGN; /* pairs with become_ready() */
}

u64 ui_file_owner(const struct ui_file *file)
{
	return file->header ? atomic_load(&file->header->owner) : file->owner;
}

void ui_file_reachable(struct ui_file *file)
{
	if (file->header)
		atomic_store(&file->header->owner, ui_share_token());
}

void ui_file_expose(struct ui_file *file)
{
	atomic_store(&file->header->exposed, 1);
}

int ui_file_remap(struct ui_file *file, int fd)
{
	void *at = file->header;

	if (at)
		at = ui_sys_mmap(at, UI_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, header_at(file->kind));
	if (ui_sys_is_err(at))
		return -ENOMEM;
	return file->kind == UI_FILE_VFIO ? ui_bind_relay(file, fd) : 0;
}

void ui_file_release(struct ui_file *file)
{
	ui_share_end(file);
	ui_kvm_released(file);
	if (file->kind == UI_FILE_OBJECT)
		ui_object_release(file);
	else if (atomic_load_explicit(&file->state, memory_order_acquire) == UI_FILE_OWNED)
		ui_bind_release(file);
	if (file->header)
		ui_sys_munmap(file->header, UI_PAGE_BYTES);
	file->header = NULL;
}

static bool has_context(const struct ui_file *file)
{
	return file->kind == UI_FILE_IOMMU || file->kind == UI_FILE_CONTAINER;
}

struct ui_file *ui_file_next_context(unsigned *i)
{
	while (*i < UI_FILE_MAX) {
		struct ui_file *file = ui_file_slot((*i)++);

		if (!has_context(file) || !ui_file_hold_live(file))
			continue;
		if (has_context(file) && atomic_load_explicit(&file->state, memory_order_acquire) == UI_FILE_OWNED)
			return file;
		ui_file_put(file);
	}
	return NULL;
}
