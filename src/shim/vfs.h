/* SPDX-License-Identifier: MIT */
/*
 * The paths that a machine adds: /dev/iommu, /dev/vfio/devices, and what clients look at in sysfs. They exist in memory
 * only: a table of paths, directories, files with a line of text, links and devices.
 */
#ifndef UI_SHIM_VFS_H
#define UI_SHIM_VFS_H

#include "shim/shim.h"

struct stat;
struct statx;

enum ui_vfs_kind { UI_VFS_DIR, UI_VFS_FILE, UI_VFS_LINK, UI_VFS_IOMMU, UI_VFS_CONTAINER, UI_VFS_GROUP, UI_VFS_VFIO, UI_VFS_CONFIG, UI_VFS_FAULTS };

struct ui_vfs_node {
	char path[112];
	enum ui_vfs_kind kind;
	unsigned device; /* VFIO, CONFIG, FAULTS: which */
	char text[112];  /* FILE: its content; LINK: its target */
};

enum { UI_VFS_PATH_BYTES = 4096 };

/* How a path was answered. */
enum ui_vfs_answer {
	UI_VFS_OTHER,  /* not ours: the call goes to the kernel as it is */
	UI_VFS_PATH,   /* leads out of ours through a link: the kernel gets @path */
	UI_VFS_NODE,   /* one of ours */
	UI_VFS_LOOP,   /* ELOOP */
	UI_VFS_NOTDIR, /* ENOTDIR */
};

/*
 * Resolves @path (seen from directory @dirfd, AT_FDCWD for none) to a node. @follow: also a link at the end. @out, of
 * UI_VFS_PATH_BYTES, gets the path without links of ours (NODE and PATH only).
 */
enum ui_vfs_answer ui_vfs_find(int dirfd, const char *path, bool follow, const struct ui_vfs_node **node, char *out);
/* The node behind an open directory of ours, or NULL. */
const struct ui_vfs_node *ui_vfs_of_fd(int fd);
const struct ui_vfs_node *ui_vfs_at(unsigned index);
unsigned ui_vfs_index(const struct ui_vfs_node *node);
/* The @i-th child of a directory: its name, or NULL at the end. */
const struct ui_vfs_node *ui_vfs_child(const struct ui_vfs_node *dir, unsigned i, const char **name);
/* What stat(2) says. */
void ui_vfs_stat(const struct ui_vfs_node *node, struct stat *st);
void ui_vfs_statx(const struct ui_vfs_node *node, struct statx *stx);
/* st_rdev and mode of an open device, for fstat(). */
void ui_vfs_device_stat(enum ui_file_kind kind, unsigned index, struct stat *st);
/* open(2): a descriptor or a negative errno. Inside an entry. */
int ui_vfs_open(const struct ui_vfs_node *node, int flags);

#endif
