/* SPDX-License-Identifier: MIT */
/*
 * The /dev/iommu user API as a library: an ioctl is served by (context, number, buffer), with no file descriptor and no
 * shim in sight.
 */
#ifndef UI_IOMMUFD_H
#define UI_IOMMUFD_H

#include "base/types.h"
#include "core/bind.h"

struct ui_account;
struct ui_iommufd;
struct ui_ioas;

/*
 * A descriptor that a call gives out besides the context's own: a fault queue, an event queue, and what the mock has. What stands
 * behind it is @obj; whoever made the descriptor (the environment) calls these when a program uses it. @offset is the position: 0
 * for read() and write(), since these files have none. Results as the kernel's.
 */
struct ui_iommufd_file_ops {
	const char *name; /* for the log: "fault queue" */
	bool writable;    /* poll() always says POLLOUT */
	bool keeps;       /* the object keeps its context: whoever tells contexts of moving pages must know of it until release() */
	s64 (*read)(void *obj, u64 uaddr, u64 n_bytes, u64 offset);       /* NULL: -EINVAL */
	s64 (*write)(void *obj, u64 uaddr, u64 n_bytes, u64 offset);      /* NULL: -EINVAL */
	/* The last descriptor was closed. No call runs or follows. */
	void (*release)(void *obj);
};

/*
 * What the context asks of the process around it. Pointers and descriptors in a call are those of the calling thread's
 * caller (base/user.h): of this process, unless whoever serves another one has set it.
 */
struct ui_iommufd_env {
	/*
	 * Makes [@va, @va + @n_bytes) present, for writing if @write, as pinning would. 0; -EFAULT; -ENOMEM. Always asked about pages
	 * after pinned() was told of them, by the same thread. NULL: ui_safe_probe().
	 */
	int (*pin)(void *arg, u64 va, u64 n_bytes, bool write);
	/* Are these bytes all registers of a device, if pin() says yes to such? Nobody pays for them. NULL: never. */
	bool (*registers)(void *arg, u64 va, u64 n_bytes);
	/*
	 * A range of whole pages of user memory begins or stops being in use by devices: whoever watches munmap wants to know. Ranges of
	 * different mappings overlap, so count; each "begins" is followed by one "stops" for the same pages, in other pieces perhaps, and
	 * after ui_iommufd_move_pages() at their new place. Called with locks held: must not call back. May be NULL.
	 */
	void (*pinned)(void *arg, u64 va, u64 n_bytes, bool now);
	/* Maps a file range (aligned to the file's pages) into this process for MAP_FILE, shared. 0 with *va; -EBADF; -ENOMEM; any other error means
	 * that the memory can be mapped where no device uses it, and gives -EINVAL where one does. NULL: mmap of @fd, and only files
	 * in memory. */
	int (*map_file)(void *arg, int fd, u64 offset, u64 n_bytes, bool write, u64 *va);
	void (*unmap_file)(void *arg, u64 va, u64 n_bytes);
	/*
	 * The caller is another process: maps [@va, @va + @n_bytes) of its memory into this one, the same pages. 0 with *@here, where @va
	 * is, in a page at the same place; or an error, which every attempt to pin will give. pin() is asked about pages there as about
	 * others, and pinned() tells of them. NULL: -EFAULT. unmap_caller() takes it back, with the same length.
	 */
	int (*map_caller)(void *arg, u64 va, u64 n_bytes, bool write, u64 *here);
	void (*unmap_caller)(void *arg, u64 here, u64 n_bytes);
	/* Is the descriptor the embedder's stand-in for a device, which is no file in memory whatever it is made of? NULL: never. */
	bool (*stands_in)(void *arg, int fd);
	/*
	 * A new descriptor (close-on-exec) in the caller's process with @obj, which is behind no other, behind it; or a
	 * negative errno, -EOPNOTSUPP where there are none (NULL, too). Within a call, no lock held. Until that call has
	 * ended nothing is asked of @obj, and no release() comes, whatever the program does with the number.
	 * @memory_bytes: it is also a file of that length, which can be mapped; else 0.
	 */
	int (*file_new)(void *arg, const struct ui_iommufd_file_ops *ops, void *obj, u64 memory_bytes);
	/* Takes a descriptor back that file_new() gave in the same call: no release() follows. No lock held. */
	void (*file_drop)(void *arg, int fd);
	/* poll() on the descriptors with @obj behind them says readable (or not) from now on. Any thread, locks held: must not call back. */
	void (*file_readable)(void *arg, void *obj, bool now);
	/* The object behind a descriptor of the caller's, made with @ops, held until file_put(). NULL: it is something else. */
	void *(*file_get)(void *arg, int fd, const struct ui_iommufd_file_ops *ops);
	void (*file_put)(void *arg, void *obj); /* no lock held: the descriptor may have been closed meanwhile, and release() comes */
	/* Has the caller the capability (CAP_* of linux/capability.h)? NULL: CAP_IPC_LOCK, which lifts a limit, as the
	 * system says; all others, since a context belongs to who opened it. */
	bool (*capable)(void *arg, unsigned cap);
	/* What is pinned is counted there against RLIMIT_MEMLOCK, for all contexts of the process together; outlives them. NULL: each
	 * context counts for itself. */
	struct ui_account *account;
	/* The context is gone and calls nothing any more. May be NULL. */
	void (*gone)(void *arg);
	void *arg;
};

/* One open() of /dev/iommu. @env is copied; NULL: defaults. NULL without memory. Starts with one reference. */
struct ui_iommufd *ui_iommufd_open(const struct ui_iommufd_env *env);
/*
 * One open() of /dev/vfio/vfio: a VFIO container, which knows the container's calls as the kernel's type1 driver does, and groups
 * (ui_binder_ops.tie_group). What @env says of pinning decides which memory can be mapped. Otherwise used like an iommufd.
 */
struct ui_iommufd *ui_iommufd_open_container(const struct ui_iommufd_env *env);
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

/*
 * mmap() of the context's descriptor: [@offset, @offset + @n_bytes) as a vIOMMU's driver shared it. *@fd is the memory's descriptor, to
 * be mapped from its beginning; *@region stands for the mapping, which keeps its vIOMMU busy until the mapping's last page is
 * unmapped and ui_iommufd_munmap() says so. 0; -ENXIO not exactly what was shared; -EINVAL MAP_PRIVATE; -EPERM PROT_EXEC.
 */
int ui_iommufd_mmap(struct ui_iommufd *ctx, u64 offset, u64 n_bytes, int prot, int flags, int *fd, void **region);
void ui_iommufd_munmap(struct ui_iommufd *ctx, void *region);

/* Answers numbers above the table's (the mock's test command). -ENOTTY: not mine. */
typedef long (*ui_iommufd_extra)(void *extra_arg, struct ui_iommufd *ctx, u32 cmd, u64 arg);
/* Before the first call. */
void ui_iommufd_set_extra(struct ui_iommufd *ctx, ui_iommufd_extra extra, void *extra_arg);

#endif
