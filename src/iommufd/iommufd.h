/* SPDX-License-Identifier: MIT */
/*
 * The /dev/iommu user API as a library: an ioctl is served by (context, number, buffer), with no file descriptor and no
 * shim in sight.
 */
#ifndef UI_IOMMUFD_H
#define UI_IOMMUFD_H

#include "base/types.h"
#include "core/bind.h"

struct ui_iommufd;
struct ui_ioas;

/*
 * What the context asks of the process around it. Every pointer the caller passes in (ioctl buffers, user_va) lies in this
 * process and is touched with ui_safe_* only.
 */
struct ui_iommufd_env {
	/* Makes [@va, @va + @n_bytes) present, for writing if @write, as pinning would. 0 or -EFAULT. NULL: ui_safe_probe(). */
	int (*pin)(void *arg, u64 va, u64 n_bytes, bool write);
	/*
	 * A range of whole pages of user memory begins or stops being in use by devices: whoever watches munmap wants to know. Ranges of
	 * different mappings overlap, so count; each "begins" is followed by one "stops" for the same pages, in other pieces perhaps, and
	 * after ui_iommufd_move_pages() at their new place. Called with locks held: must not call back. May be NULL.
	 */
	void (*pinned)(void *arg, u64 va, u64 n_bytes, bool now);
	/* Maps a file range (page-aligned) into this process for MAP_FILE, shared. 0 with *va; -EBADF; -ENOMEM; any other error means
	 * that the memory can be mapped where no device uses it, and gives -EINVAL where one does. NULL: mmap of @fd, and only files
	 * in memory. */
	int (*map_file)(void *arg, int fd, u64 offset, u64 n_bytes, bool write, u64 *va);
	void (*unmap_file)(void *arg, u64 va, u64 n_bytes);
	/* Is the descriptor the embedder's stand-in for a device, which is no file in memory whatever it is made of? NULL: never. */
	bool (*stands_in)(void *arg, int fd);
	/* Has the caller the capability (CAP_* of linux/capability.h)? NULL: all of them, since a context belongs to who opened it. */
	bool (*capable)(void *arg, unsigned cap);
	/* The context is gone and calls nothing any more. May be NULL. */
	void (*gone)(void *arg);
	void *arg;
};

/* One open() of /dev/iommu. @env is copied; NULL: defaults. NULL without memory. Starts with one reference. */
struct ui_iommufd *ui_iommufd_open(const struct ui_iommufd_env *env);
/* Drops the reference of the descriptor; bound devices keep the context alive until they unbind. */
void ui_iommufd_close(struct ui_iommufd *ctx);
/*
 * Serves one ioctl. @cmd as given to ioctl(2), @arg its third argument. Returns what the kernel would: 0 or positive, or a
 * negative errno. Thread-safe.
 */
long ui_iommufd_ioctl(struct ui_iommufd *ctx, u32 cmd, u64 arg);
/* To hand to a device's BIND. */
struct ui_binder ui_iommufd_binder(struct ui_iommufd *ctx);

/*
 * Private pages move (the shim saw munmap, mremap, MAP_FIXED, madvise): every mapping of the context that reads
 * [@old_va, @old_va + n_bytes) is held still, @move(@arg) carries the pages to @new_va, and the mappings go on there.
 * Returns what @move returned; -ENOENT when nothing in the context uses the range (and @move was not called).
 */
int ui_iommufd_move_pages(struct ui_iommufd *ctx, u64 old_va, u64 n_bytes, u64 new_va, int (*move)(void *arg), void *arg);

/* Answers numbers above the table's (the mock's test command). -ENOTTY: not mine. */
typedef long (*ui_iommufd_extra)(void *extra_arg, struct ui_iommufd *ctx, u32 cmd, u64 arg);
/* Before the first call. */
void ui_iommufd_set_extra(struct ui_iommufd *ctx, ui_iommufd_extra extra, void *extra_arg);

#endif
