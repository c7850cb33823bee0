/* SPDX-License-Identifier: MIT */
#include "shim/vfs.h"
#include "shim/bind.h"
#include "shim/faults.h"
#include "shim/real.h"
#include "shim/shim.h"
#include "base/sys.h"
#include "devices/pci.h"

#include <linux/memfd.h>
#include <stdarg.h>
#include <string.h>
#include <sys/sysmacros.h>

enum {
	NODES_PER_DEVICE = 40,
	N_COMMON = 32,
	N_NODES = N_COMMON + UI_MACHINE_MAX_DEVICES * NODES_PER_DEVICE,
	MISC_MAJOR = 10,
	IOMMU_MINOR = 260,
	CONTAINER_MINOR = 196,
	VFIO_MAJOR = 511,
	GROUP_MAJOR = 510,
	MAX_LINKS = 16,
	CONFIG_BYTES = 4096,
};

/* How the table calls a thread's own file; programs use other names for it. */
#define NTH_PATH "/proc/thread-self/fail-nth"

static struct ui_vfs_node nodes[N_NODES]; /* sorted by path; constant once built */
static unsigned n_nodes;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static UI_PRINTF(1, 2) void add_path(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(nodes[n_nodes].path, sizeof(nodes[0].path), fmt, ap);
	va_end(ap);
}

/* Ends the node that add_path() began. */
static UI_PRINTF(3, 4) void add(enum ui_vfs_kind kind, unsigned device, const char *fmt, ...)
{
	struct ui_vfs_node *node = &nodes[n_nodes++];
	va_list ap;

	node->kind = kind;
	node->device = device;
	va_start(ap, fmt);
	vsnprintf(node->text, sizeof(node->text), fmt, ap);
	va_end(ap);
}

static void add_attributes(unsigned i, const char *dir)
{
	const struct ui_machine_dev *dev = &ui_shim_desc()->devices[i];
	const struct ui_pci_model *model = ui_pci_model_find(dev->type);
	const struct {
		const char *name;
		unsigned val;
		int digits; /* hexadecimal; 0: decimal */
	} attributes[] = {
		{ "vendor", model->vendor, 4 },
		{ "device", model->device, 4 },
		{ "subsystem_vendor", model->subvendor, 4 },
		{ "subsystem_device", model->subdevice, 4 },
		{ "class", model->class_code, 6 },
		{ "revision", model->revision, 2 },
		{ "irq", 0, 0 },
		{ "enable", 0, 0 },
	};

	for (size_t k = 0; k < ui_array_size(attributes); k++) {
		add_path("%s/%s", dir, attributes[k].name);
		if (attributes[k].digits)
			add(UI_VFS_FILE, 0, "0x%0*x\n", attributes[k].digits, attributes[k].val);
		else
			add(UI_VFS_FILE, 0, "%u\n", attributes[k].val);
	}
	add_path("%s/numa_node", dir);
	add(UI_VFS_FILE, 0, "-1\n");
	add_path("%s/driver_override", dir);
	add(UI_VFS_FILE, 0, "vfio-pci\n");
	add_path("%s/modalias", dir);
	add(UI_VFS_FILE, 0, "pci:v%08Xd%08Xsv%08Xsd%08Xbc%02Xsc%02Xi%02X\n", model->vendor, model->device,
	    model->subvendor, model->subdevice,
	    model->class_code >> 16 & 0xff, model->class_code >> 8 & 0xff, model->class_code & 0xff);
	add_path("%s/config", dir);
	add(UI_VFS_CONFIG, i, "%s", "");
}

/* The number of @group's character device: which of the groups it is, in the order of their first devices. */
static unsigned group_minor(unsigned group)
{
	const struct ui_machine_desc *desc = ui_shim_desc();
	unsigned minor_number = 0;

	for (unsigned i = 0; desc->devices[i].group != group; i++) {
		unsigned k = 0;

		while (desc->devices[k].group != desc->devices[i].group)
			k++;
		minor_number += k == i;
	}
	return minor_number;
}

/* Once for each of its devices: what is double goes in the end. */
static void add_group(unsigned group)
{
	unsigned number = group_minor(group);

	add_path("/dev/vfio/%u", group);
	add(UI_VFS_GROUP, group, "%s", "");
	add_path("/sys/devices/virtual/vfio/%u", group);
	add(UI_VFS_DIR, 0, "%s", "");
	add_path("/sys/devices/virtual/vfio/%u/dev", group);
	add(UI_VFS_FILE, 0, "%u:%u\n", GROUP_MAJOR, number);
	add_path("/sys/devices/virtual/vfio/%u/subsystem", group);
	add(UI_VFS_LINK, 0, "../../../../class/vfio");
	add_path("/sys/class/vfio/%u", group);
	add(UI_VFS_LINK, 0, "../../devices/virtual/vfio/%u", group);
	add_path("/sys/dev/char/%u:%u", GROUP_MAJOR, number);
	add(UI_VFS_LINK, 0, "../../devices/virtual/vfio/%u", group);
	add_path("/sys/kernel/iommu_groups/%u", group);
	add(UI_VFS_DIR, 0, "%s", "");
	add_path("/sys/kernel/iommu_groups/%u/type", group);
	add(UI_VFS_FILE, 0, "DMA\n");
	add_path("/sys/kernel/iommu_groups/%u/devices", group);
	add(UI_VFS_DIR, 0, "%s", "");
}

static void add_device(unsigned i)
{
	char rid[13], dir[64], bus[16];

	ui_machine_rid_print(ui_shim_desc()->devices[i].rid, rid);
	snprintf(bus, sizeof(bus), "pci%.7s", rid);
	snprintf(dir, sizeof(dir), "/sys/devices/%s/%s", bus, rid);
	add_path("/dev/vfio/devices/vfio%u", i);
	add(UI_VFS_VFIO, i, "%s", "");
	add_path("/sys/devices/%s", bus);
	add(UI_VFS_DIR, 0, "%s", "");
	add_path("%s", dir);
	add(UI_VFS_DIR, 0, "%s", "");
	add_attributes(i, dir);
	add_path("%s/subsystem", dir);
	add(UI_VFS_LINK, 0, "../../../bus/pci");
	add_path("%s/driver", dir);
	add(UI_VFS_LINK, 0, "../../../bus/pci/drivers/vfio-pci");
	add_path("%s/iommu_group", dir);
	add(UI_VFS_LINK, 0, "../../../kernel/iommu_groups/%u", ui_shim_desc()->devices[i].group);
	add_path("%s/vfio-dev", dir);
	add(UI_VFS_DIR, 0, "%s", "");
	add_path("%s/vfio-dev/vfio%u", dir, i);
	add(UI_VFS_DIR, 0, "%s", "");
	add_path("%s/vfio-dev/vfio%u/dev", dir, i);
	add(UI_VFS_FILE, 0, "%u:%u\n", VFIO_MAJOR, i);
	add_path("%s/vfio-dev/vfio%u/device", dir, i);
	add(UI_VFS_LINK, 0, "../../../%s", rid);
	add_path("%s/vfio-dev/vfio%u/subsystem", dir, i);
	add(UI_VFS_LINK, 0, "../../../../../class/vfio-dev");
	add_path("/sys/bus/pci/devices/%s", rid);
	add(UI_VFS_LINK, 0, "../../../devices/%s/%s", bus, rid);
	add_path("/sys/bus/pci/drivers/vfio-pci/%s", rid);
	add(UI_VFS_LINK, 0, "../../../../devices/%s/%s", bus, rid);
	add_path("/sys/class/vfio-dev/vfio%u", i);
	add(UI_VFS_LINK, 0, "../../devices/%s/%s/vfio-dev/vfio%u", bus, rid, i);
	add_path("/sys/dev/char/%u:%u", VFIO_MAJOR, i);
	add(UI_VFS_LINK, 0, "../../devices/%s/%s/vfio-dev/vfio%u", bus, rid, i);
	add_group(ui_shim_desc()->devices[i].group);
	add_path("/sys/kernel/iommu_groups/%u/devices/%s", ui_shim_desc()->devices[i].group, rid);
	add(UI_VFS_LINK, 0, "../../../../devices/%s/%s", bus, rid);
}

/* The kernel's fault injection, as far as its selftest goes. */
static void add_faults(void)
{
	add_path("/sys/kernel/debug");
	add(UI_VFS_DIR, 0, "%s", "");
	add_path("/sys/kernel/debug/failslab");
	add(UI_VFS_DIR, 0, "%s", "");
	add_path("/sys/kernel/debug/failslab/ignore-gfp-wait");
	add(UI_VFS_FAULTS, UI_FAULT_IGNORE_WAIT, "%s", "");
	add_path("/sys/kernel/debug/failslab/verbose");
	add(UI_VFS_FAULTS, UI_FAULT_VERBOSE, "%s", "");
	add_path(NTH_PATH);
	add(UI_VFS_FAULTS, UI_FAULT_NTH, "%s", "");
}

static int by_path(const void *a, const void *b)
{
	const struct ui_vfs_node *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static void build(void)
{
	static const char *const dirs[] = {
		"/dev/vfio", "/dev/vfio/devices", "/sys/bus/pci", "/sys/bus/pci/devices", "/sys/bus/pci/drivers",
		"/sys/bus/pci/drivers/vfio-pci", "/sys/class/vfio", "/sys/class/vfio-dev", "/sys/kernel/iommu_groups",
		"/sys/devices/virtual/vfio", "/sys/devices/virtual/misc/iommu", "/sys/devices/virtual/misc/vfio",
	};

	for (size_t i = 0; i < ui_array_size(dirs); i++) {
		add_path("%s", dirs[i]);
		add(UI_VFS_DIR, 0, "%s", "");
	}
	add_path("/dev/iommu");
	add(UI_VFS_IOMMU, 0, "%s", "");
	add_path("/sys/class/misc/iommu");
	add(UI_VFS_LINK, 0, "../../devices/virtual/misc/iommu");
	add_path("/sys/devices/virtual/misc/iommu/dev");
	add(UI_VFS_FILE, 0, "%u:%u\n", MISC_MAJOR, IOMMU_MINOR);
	add_path("/dev/vfio/vfio");
	add(UI_VFS_CONTAINER, 0, "%s", "");
	add_path("/sys/class/misc/vfio");
	add(UI_VFS_LINK, 0, "../../devices/virtual/misc/vfio");
	add_path("/sys/devices/virtual/misc/vfio/dev");
	add(UI_VFS_FILE, 0, "%u:%u\n", MISC_MAJOR, CONTAINER_MINOR);
	for (unsigned i = 0; i < ui_shim_desc()->n_devices; i++)
		add_device(i);
	if (!strcmp(ui_shim_desc()->kind, "mock"))
		add_faults();
	qsort(nodes, n_nodes, sizeof(nodes[0]), by_path);
	/* Devices on one bus share its directory. */
	for (unsigned i = 1; i < n_nodes; i++) {
		if (strcmp(nodes[i].path, nodes[i - 1].path))
			continue;
		memmove(&nodes[i], &nodes[i + 1], (n_nodes - i - 1) * sizeof(nodes[0]));
		n_nodes--;
		i--;
	}
}

const struct ui_vfs_node *ui_vfs_at(unsigned index)
{
	return &nodes[index];
}

unsigned ui_vfs_index(const struct ui_vfs_node *node)
{
	return (unsigned)(node - nodes);
}

static const struct ui_vfs_node *find_node(const char *path)
{
	unsigned low = 0, high = n_nodes;

	while (low < high) {
		unsigned mid = (low + high) / 2;
		int order = strcmp(path, nodes[mid].path);

		if (!order)
			return &nodes[mid];
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

const struct ui_vfs_node *ui_vfs_child(const struct ui_vfs_node *dir, unsigned i, const char **name)
{
	size_t len = strlen(dir->path);

	for (const struct ui_vfs_node *node = nodes; node < nodes + n_nodes; node++) {
		if (strncmp(node->path, dir->path, len) || node->path[len] != '/' || strchr(node->path + len + 1, '/') || i--)
			continue;
		*name = node->path + len + 1;
		return node;
	}
	return NULL;
}

/* Appends a component of @n bytes to @out; "." and ".." as usual. False: too long. */
static bool append(char *out, const char *name, size_t n)
{
	size_t len = strlen(out);

	if (n == 1 && name[0] == '.')
		return true;
	if (n == 2 && name[0] == '.' && name[1] == '.') {
		while (len && out[--len] != '/')
			;
		out[len] = 0;
		return true;
	}
	if (len + n + 2 > UI_VFS_PATH_BYTES)
		return false;
	out[len] = '/';
	memcpy(out + len + 1, name, n);
	out[len + 1 + n] = 0;
	return true;
}

/* Puts the target of @link before the rest of the path: @todo := target + "/" + rest. @out loses the link's own name. */
static bool splice_link(char *todo, const char *rest, const struct ui_vfs_node *link, char *out)
{
	size_t len = strlen(link->text), rest_len = strlen(rest);

	if (len + rest_len + 2 > UI_VFS_PATH_BYTES)
		return false;
	memmove(todo + len + 1, rest, rest_len + 1);
	memcpy(todo, link->text, len);
	todo[len] = '/';
	return append(out, "..", 2);
}

/* @base: the kernel does not know where the path starts from. */
static enum ui_vfs_answer walk(char *todo, bool base, bool follow, const struct ui_vfs_node **node, char *out)
{
	const char *pos = todo;
	unsigned links = 0;

	*node = NULL;
	out[0] = 0;
	for (;;) {
		size_t n;
		bool slash;

		pos += strspn(pos, "/");
		n = strcspn(pos, "/");
		if (!n)
			break;
		if (*node && (*node)->kind != UI_VFS_DIR)
			return UI_VFS_NOTDIR;
		if (!append(out, pos, n))
			return UI_VFS_OTHER;
		pos += n;
		slash = *pos == '/';
		*node = find_node(out);
		if (!*node || (*node)->kind != UI_VFS_LINK || !(follow || slash))
			continue;
		if (++links > MAX_LINKS)
			return UI_VFS_LOOP;
		if (!splice_link(todo, pos, *node, out))
			return UI_VFS_OTHER;
		*node = NULL;
		pos = todo;
	}
	if (*node && (*node)->kind != UI_VFS_DIR && pos > todo && pos[-1] == '/')
		return UI_VFS_NOTDIR;
	return *node ? UI_VFS_NODE : links || base ? UI_VFS_PATH : UI_VFS_OTHER;
}

/* Quick: can @path be ours at all? */
static bool plausible(const char *path)
{
	path += strspn(path, "/");
	/* Wherever "..", "." or doubled slashes lead is found out by walking. */
	return !strncmp(path, "dev/", 4) || !strncmp(path, "sys/", 4) || path[0] == '.';
}

enum { NO_FILE = -1, NO_DIRECTORY = -2 };

/* The node behind an open directory of ours. */
static int directory(int fd)
{
	struct ui_shim_entry entry;
	struct ui_file *file;
	int index = NO_FILE;

	if (!ui_fd_ours(fd))
		return NO_FILE;
	ui_shim_enter(&entry);
	file = ui_fd_get(fd);
	if (file) {
		index = file->kind == UI_FILE_DIR ? (int)file->index : NO_DIRECTORY;
		ui_file_put(file);
	}
	ui_shim_leave(&entry);
	return index;
}

const struct ui_vfs_node *ui_vfs_of_fd(int fd)
{
	int index = directory(fd);

	return index < 0 ? NULL : &nodes[index];
}

enum ui_vfs_answer ui_vfs_find(int dirfd, const char *path, bool follow, const struct ui_vfs_node **node, char *out)
{
	char todo[UI_VFS_PATH_BYTES];
	const char *base = "";
	int len;

	/* A pointer that is not one is for the kernel to refuse. */
	if (!ui_shim_served() || (uintptr_t)path < 4096 || (uintptr_t)path >= (uintptr_t)-4096 || ui_shim_inside())
		return UI_VFS_OTHER;
	if (path[0] != '/') {
		int index = path[0] ? directory(dirfd) : NO_FILE;

		if (index < 0)
			return index == NO_FILE ? UI_VFS_OTHER : UI_VFS_NOTDIR;
		base = nodes[index].path;
	} else if (!plausible(path)) {
		if (ui_likely(!ui_faults_is_nth(path)))
			return UI_VFS_OTHER;
		path = NTH_PATH;
	}
	pthread_once(&once, build);
	len = snprintf(todo, sizeof(todo), "%s%s%s", base, base[0] ? "/" : "", path);
	return len >= (int)sizeof(todo) ? UI_VFS_OTHER : walk(todo, base[0], follow, node, out);
}

void ui_vfs_device_stat(enum ui_file_kind kind, unsigned index, struct stat *st)
{
	st->st_mode = S_IFCHR | 0660;
	st->st_size = 0;
	st->st_blocks = 0;
	st->st_nlink = 1;
	switch (kind) {
	case UI_FILE_VFIO:
		st->st_rdev = makedev(VFIO_MAJOR, index);
		break;
	case UI_FILE_GROUP:
		st->st_mode = S_IFCHR | 0600;
		st->st_rdev = makedev(GROUP_MAJOR, group_minor(index));
		break;
	case UI_FILE_CONTAINER:
		st->st_mode = S_IFCHR | 0666;
		st->st_rdev = makedev(MISC_MAJOR, CONTAINER_MINOR);
		break;
	default:
		st->st_rdev = makedev(MISC_MAJOR, IOMMU_MINOR);
	}
}

void ui_vfs_stat(const struct ui_vfs_node *node, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_dev = makedev(0, 0x7569); /* "ui": a number of our own */
	st->st_ino = ui_vfs_index(node) + 1;
	st->st_nlink = 1;
	st->st_uid = geteuid();
	st->st_gid = getegid();
	st->st_blksize = 4096;
	switch (node->kind) {
	case UI_VFS_DIR:
		st->st_mode = S_IFDIR | 0755;
		st->st_nlink = 2;
		break;
	case UI_VFS_LINK:
		st->st_mode = S_IFLNK | 0777;
		break;
	case UI_VFS_FILE:
	case UI_VFS_CONFIG:
		st->st_mode = S_IFREG | 0444;
		st->st_size = 4096; /* as sysfs says */
		break;
	case UI_VFS_FAULTS:
		ui_faults_stat(st);
		break;
	case UI_VFS_IOMMU:
		ui_vfs_device_stat(UI_FILE_IOMMU, 0, st);
		break;
	case UI_VFS_CONTAINER:
		ui_vfs_device_stat(UI_FILE_CONTAINER, 0, st);
		break;
	case UI_VFS_GROUP:
		ui_vfs_device_stat(UI_FILE_GROUP, node->device, st);
		break;
	case UI_VFS_VFIO:
		ui_vfs_device_stat(UI_FILE_VFIO, node->device, st);
		break;
	}
}

void ui_vfs_statx(const struct ui_vfs_node *node, struct statx *stx)
{
	struct stat st;

	ui_vfs_stat(node, &st);
	memset(stx, 0, sizeof(*stx));
	stx->stx_mask = STATX_BASIC_STATS;
	stx->stx_blksize = (u32)st.st_blksize;
	stx->stx_nlink = (u32)st.st_nlink;
	stx->stx_uid = st.st_uid;
	stx->stx_gid = st.st_gid;
	stx->stx_mode = (u16)st.st_mode;
	stx->stx_ino = st.st_ino;
	stx->stx_size = (u64)st.st_size;
	stx->stx_rdev_major = major(st.st_rdev);
	stx->stx_rdev_minor = minor(st.st_rdev);
	stx->stx_dev_major = major(st.st_dev);
	stx->stx_dev_minor = minor(st.st_dev);
}

/* A file of text: a memfd of its own, so that reading, seeking and stdio are the kernel's and libc's. */
static int open_text(const struct ui_vfs_node *node, int flags)
{
	u8 config[CONFIG_BYTES];
	const void *data = node->text;
	size_t n_bytes = strlen(node->text);
	int fd;

	if ((flags & O_ACCMODE) != O_RDONLY)
		return -EACCES;
	if (node->kind == UI_VFS_CONFIG) {
		if (!ui_bind_config(node->device, config, sizeof(config)))
			return -ENODEV;
		data = config;
		n_bytes = sizeof(config);
	}
	fd = ui_sys_memfd_create(node->path, flags & O_CLOEXEC ? MFD_CLOEXEC : 0);
	if (fd >= 0 && ui_sys_pwrite(fd, data, n_bytes, 0) != (ssize_t)n_bytes) {
		ui_sys_close(fd);
		return -ENOMEM;
	}
	return fd;
}

int ui_vfs_open(const struct ui_vfs_node *node, int flags)
{
	if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return -EEXIST;
	if (flags & O_DIRECTORY && node->kind != UI_VFS_DIR)
		return -ENOTDIR;
	switch (node->kind) {
	case UI_VFS_DIR:
		if ((flags & O_ACCMODE) != O_RDONLY)
			return -EISDIR;
		return ui_file_open(UI_FILE_DIR, ui_vfs_index(node), flags);
	case UI_VFS_LINK:
		return -ELOOP; /* O_NOFOLLOW */
	case UI_VFS_FILE:
	case UI_VFS_CONFIG:
		return open_text(node, flags);
	case UI_VFS_FAULTS:
		return ui_faults_open((enum ui_fault_file)node->device, flags);
	case UI_VFS_IOMMU:
		return ui_file_open(UI_FILE_IOMMU, 0, flags);
	case UI_VFS_CONTAINER:
		return ui_file_open(UI_FILE_CONTAINER, 0, flags);
	case UI_VFS_GROUP:
		return ui_file_open(UI_FILE_GROUP, node->device, flags);
	case UI_VFS_VFIO:
		return ui_file_open(UI_FILE_VFIO, node->device, flags);
	}
	return -ENOENT;
}
