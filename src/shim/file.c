/* SPDX-License-Identifier: MIT */
/*
 * Open files. What a program holds is a memfd: the kernel's own descriptor, so dup, fork, exec, SCM_RIGHTS, poll and the
 * mapping of BARs are the kernel's. A header page in it says what it is and who uses it:
 *
 *	/dev/iommu	one page, the header
 *	a device	BAR n's memory at n << 40, as VFIO numbers regions; the header at 1 << 46
 *
 * The file belongs to the process that uses it first (the header's owner, taken atomically).
 */
#include "shim/shim.h"
#include "shim/bind.h"
#include "shim/real.h"
#include "base/bits.h"
#include "base/log.h"
#include "base/sys.h"
#include "devices/pci.h"
#include "iommufd/iommufd.h"
#include "machine/instance.h"
#include "vfio/vfio.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <string.h>

#define HEADER_MAGIC 0x31756d6d6f697525ull
#define VFIO_HEADER_AT ((u64)1 << 46)

struct ui_file_header {
	u64 magic;
	u32 kind;
	u32 reserved;
	_Atomic u64 owner;   /* ui_self_token(); 0: not used yet */
	char name[32];       /* device: "0000:01:00.0" */
	char socket[108];    /* of the owner, for other processes to talk to it */
};

static u64 header_at(enum ui_file_kind kind)
{
	return kind == UI_FILE_VFIO ? VFIO_HEADER_AT : 0;
}

static const char *name_of(const struct ui_file *file, char buf[16])
{
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
	int fd = ui_sys_memfd_create(name_of(file, name), MFD_ALLOW_SEALING | (flags & O_CLOEXEC ? MFD_CLOEXEC : 0));
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
	if (file->kind == UI_FILE_VFIO)
		strcpy(file->header->name, name);
	return fd;
}

int ui_file_open(enum ui_file_kind kind, unsigned index, int flags)
{
	struct ui_file *file;
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
	file = ui_file_alloc(kind, index);
	ui_shim_unlock();
	if (!file)
		return -ENFILE;
	fd = kind == UI_FILE_DIR ? ui_sys_memfd_create("directory", flags & O_CLOEXEC ? MFD_CLOEXEC : 0) : make_memfd(file, flags);
	ret = fd < 0 ? fd : ui_sys_fstat(fd, &st);
	if (!ret) {
		file->ino = st.st_ino;
		ret = ui_fd_install(fd, file);
	}
	if (ret) {
		if (fd >= 0)
			ui_sys_close(fd);
		ui_file_put(file);
		return ret;
	}
	return fd;
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

/* Under the shim lock: the file that this process already has for the memfd. A reference, or NULL. */
static struct ui_file *find_known(u64 ino)
{
	for (unsigned i = 0; i < UI_FILE_MAX; i++) {
		struct ui_file *file = ui_file_slot(i);

		if (file->in_use && file->kind != UI_FILE_DIR && file->ino == ino)
			return ui_file_hold_live(file);
	}
	return NULL;
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

	if (!ui_shim_served() || !read_header(fd, &header, &ino) || ui_self_borrowed())
		return NULL;
	header.name[sizeof(header.name) - 1] = 0;
	if (header.kind == UI_FILE_VFIO)
		index = device_index(header.name);
	if (index < 0)
		return NULL;
	ui_shim_enter(&entry);
	ui_shim_lock();
	if (!ui_self_init()) {
		file = find_known(ino);
		/* Ours and not known: the last descriptor that we knew of was closed, and the object went with it. */
		if (!file && header.owner != ui_self_token())
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

	return atomic_compare_exchange_strong(&file->header->owner, &nobody, ui_self_token());
}

static int become_ready(struct ui_file *file)
{
	char name[16];
	int ret = -ENOMEM;

	if (file->state == UI_FILE_FRESH && !atomic_load(&file->header->owner)) {
		ret = ui_signals_init();
		if (ret)
			return ret;
		ret = file->kind == UI_FILE_IOMMU ? ui_bind_context(file) : ui_bind_device(file);
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
	if (!file->told)
		ui_log(UI_LOG_ERROR, "%s: this descriptor is in use by the process that opened it: sharing is not supported yet",
		       name_of(file, name));
	file->told = true;
	return -ENODEV;
}

int ui_file_ready(struct ui_file *file)
{
	int ret;

	/* Pairs with become_ready(). */
	if (ui_likely(atomic_load_explicit(&file->state, memory_order_acquire) == UI_FILE_OWNED))
		return 0;
	if (file->kind == UI_FILE_DIR)
		return -EISDIR;
	ui_shim_lock();
	ret = become_ready(file);
	ui_shim_unlock();
	return ret;
}

void ui_file_release(struct ui_file *file)
{
	if (atomic_load_explicit(&file->state, memory_order_acquire) == UI_FILE_OWNED)
		ui_bind_release(file);
	if (file->header)
		ui_sys_munmap(file->header, UI_PAGE_BYTES);
	file->header = NULL;
}

struct ui_file *ui_file_next_context(unsigned *i)
{
	while (*i < UI_FILE_MAX) {
		struct ui_file *file = ui_file_slot((*i)++);

		if (file->kind != UI_FILE_IOMMU || !ui_file_hold_live(file))
			continue;
		if (file->kind == UI_FILE_IOMMU && atomic_load_explicit(&file->state, memory_order_acquire) == UI_FILE_OWNED)
			return file;
		ui_file_put(file);
	}
	return NULL;
}
