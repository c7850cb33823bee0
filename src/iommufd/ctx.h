/* SPDX-License-Identifier: MIT */
/*
 * What the files of the iommufd front door share: the context, its objects, and a call in progress.
 *
 * Lock order: ctx->attach, the locks of a vIOMMU, of an IOAS (core/ioas.h) and of a group (core/internal.h), those of a queue,
 * ctx->lock. ctx->lock is short and never held over a wait for DMA.
 */
#ifndef UI_IOMMUFD_CTX_H
#define UI_IOMMUFD_CTX_H

#include "base/ids.h"
#include "base/ivl.h"
#include "base/list.h"
#include "core/access.h"
#include "core/domain.h"
#include "core/driver.h"
#include "core/ioas.h"
#include "core/request.h"
#include "iommufd/iommufd.h"
#include "iommufd/uapi.h"

#include <pthread.h>

struct ui_fault_queue;
struct ui_type1;
struct ui_viommu_obj;

enum ui_obj_kind {
	UI_OBJ_ANY, /* for look-ups: whatever it is */
	UI_OBJ_IOAS,
	UI_OBJ_HWPT,        /* paging */
	UI_OBJ_HWPT_NESTED, /* a struct ui_hwpt, too */
	UI_OBJ_DEVICE,      /* a struct ui_bound: device.c */
	UI_OBJ_ACCESS,
	UI_OBJ_FAULT,
	UI_OBJ_VIOMMU,
	UI_OBJ_VDEVICE,
	UI_OBJ_VEVENTQ,
	UI_OBJ_HW_QUEUE,
	UI_OBJ_SELFTEST, /* the mock's */
};

/*
 * What an id names. It dies when nobody uses it: @users are other objects and owners and make DESTROY answer EBUSY; @calls are
 * calls in progress, which DESTROY waits for.
 */
struct ui_obj {
	enum ui_obj_kind kind;
	u32 id;
	u32 users;  /* ctx->lock */
	u32 calls;  /* ctx->lock */
	bool dying; /* ctx->lock: not found any more */
	/* Ends the object and frees its memory; the number is free already. Without locks. Set by its maker before it is finalized; NULL:
	 * the object has an owner for as long as it lives, who retires it. */
	void (*destroy)(struct ui_iommufd *ctx, struct ui_obj *obj);
};

/* Who hears of every page that the context pins: the mock. Called with locks held: must not call back. */
struct ui_iommufd_watch {
	/* As env.pinned, and for pages of files, too, at the address where this process has mapped them for MAP_FILE. */
	void (*pinned)(void *arg, u64 va, u64 n_bytes, bool now);
	/* What was pinned in [@old, @old + @n_bytes) is at @to from now on. */
	void (*moved)(void *arg, u64 old, u64 n_bytes, u64 to);
	/* The context is gone. */
	void (*gone)(void *arg);
	void *arg;
};

struct ui_iommufd {
	struct ui_iommufd_env env; /* constant */
	const struct ui_iommufd_watch *watch; /* constant once the context is used; NULL: nobody */
	ui_iommufd_extra extra;    /* set before the context is used */
	void *extra_arg;
	struct ui_account *account; /* env's, or its own */
	struct ui_pages_set pages;

	pthread_mutex_t lock;
	pthread_cond_t idle;       /* lock: a dying object has no calls any more */
	struct ui_ids ids;         /* lock: of struct ui_obj */
	u32 refs;                  /* lock: the descriptor's and one for each bound device */
	u64 n_objects;             /* lock: made or being made */
	struct ui_obj *vfio_ioas;  /* lock: the IOAS of the VFIO container's calls, or NULL */
	struct ui_type1 *type1;    /* constant: not NULL for a VFIO container (type1.h) */
	bool rlimit_by_process;    /* lock: OPTION_RLIMIT_MODE */

	pthread_mutex_t attach;    /* serialises attach, replace, detach, bind, unbind, and vdevices coming and going */
	struct ui_list devices;    /* attach: struct ui_bound */
	pthread_cond_t vdevice_gone; /* attach: a vdevice was destroyed */
	struct ui_ivl shares;      /* lock: memory that vIOMMUs share by mmap, by offset; viommu.c */
};

struct ui_ioas_obj {
	struct ui_obj obj;
	struct ui_ioas *ioas;
	struct ui_list autos; /* ctx->attach: HWPTs made by attaching to the IOAS, in that order */
};

/* A domain with a number: paging, or nested over a paging one. */
struct ui_hwpt {
	struct ui_obj obj;
	struct ui_domain *domain;
	struct ui_ioas_obj *ioas; /* paging: used; nested: the parent's */
	bool automatic;           /* goes with its last device */
	bool pasid;               /* made for PASID use */
	struct ui_list link;      /* ctx->attach: in ioas->autos if automatic */
	struct ui_hwpt *parent;   /* nested: used, unless made through a vIOMMU; else NULL */
	struct ui_viommu_obj *viommu;   /* nested, made through it: used; else NULL */
	struct ui_fault_queue *fault;   /* used; NULL: page requests are refused */
	struct ui_page_handler handler; /* the way of page requests to @fault */
};

/* Software that uses an IOAS on a device's behalf. Its owner, in this process, destroys it: DESTROY is -EBUSY. */
struct ui_access_obj {
	struct ui_obj obj;
	struct ui_iommufd *ctx;    /* held, as by a bound device */
	struct ui_access *access;
	struct ui_ioas_obj *ioas;  /* used; NULL: detached. Its owner's to guard */
};

/* --- ctx.c --- */

/* Memory of @n_bytes that begins with a struct ui_obj, with a number that nobody finds yet. 0; -ENOMEM; -ENOSPC. */
int ui_obj_new(struct ui_iommufd *ctx, enum ui_obj_kind kind, size_t n_bytes, void *out);
/* From now on the number is found. */
void ui_obj_finalize(struct ui_iommufd *ctx, struct ui_obj *obj);
/* Gives up an object that was not finalized: number and memory. */
void ui_obj_abort(struct ui_iommufd *ctx, struct ui_obj *obj);
/* For the length of a call; NULL: there is no such object of this kind. */
void *ui_obj_get(struct ui_iommufd *ctx, u32 id, enum ui_obj_kind kind);
void ui_obj_put(struct ui_iommufd *ctx, struct ui_obj *obj);
/* As ui_obj_get() for an object that is used or held anyway. */
void ui_obj_hold(struct ui_iommufd *ctx, struct ui_obj *obj);
/* As ui_obj_put(), and destroys the object unless somebody uses it: its number is free then. */
void ui_obj_put_unused(struct ui_iommufd *ctx, struct ui_obj *obj);
/* For longer: @obj is held by a call or being made. */
void ui_obj_use(struct ui_iommufd *ctx, struct ui_obj *obj);
/* Returns how many users are left. */
u32 ui_obj_unuse(struct ui_iommufd *ctx, struct ui_obj *obj);
/* As ui_obj_use() for an object that may be on its way out: false then. */
bool ui_obj_try_use(struct ui_iommufd *ctx, struct ui_obj *obj);
/* The only user gives it up: waits for calls, frees the number. The memory is the caller's. */
void ui_obj_retire(struct ui_iommufd *ctx, struct ui_obj *obj);
/* An object without users goes with what it stands for: its number is not found and never used again. True: ending it is the
 * caller's; false: a DESTROY is about to. */
bool ui_obj_bury(struct ui_iommufd *ctx, struct ui_obj *obj);
/* 0; -ENOENT; -EBUSY. */
int ui_obj_destroy(struct ui_iommufd *ctx, u32 id);
/* The IOAS of the VFIO container as ui_obj_get() would; NULL: none. */
struct ui_ioas_obj *ui_vfio_ioas_get(struct ui_iommufd *ctx);
/* Has the caller of the call in progress the capability? */
bool ui_iommufd_capable(struct ui_iommufd *ctx, unsigned cap);
/* One more reference on the context itself. */
void ui_iommufd_hold(struct ui_iommufd *ctx);

/* --- dispatch.c --- */

struct ui_call {
	struct ui_iommufd *ctx;
	void *cmd;       /* our copy of the structure, whole */
	u64 arg;         /* where it came from */
	u32 user_bytes;  /* as the caller says */
	u32 known_bytes; /* as we know it */
};

/*
 * Reads a structure that begins with its size: short ones are filled with zeros, what is beyond @known_bytes must be zero. *@user_bytes:
 * the size as given. 0; -EFAULT; -EINVAL shorter than @min_bytes; -E2BIG.
 */
int ui_iommufd_read_cmd(u64 arg, u32 min_bytes, u32 known_bytes, void *cmd, u32 *user_bytes);
/* Writes the structure back, as far as both sides know it. 0 or -EFAULT. */
int ui_call_respond(const struct ui_call *call);
/*
 * The reply of a call that makes a descriptor for @obj, of which @ops get the pointer: the descriptor goes to *@fd, a field of the
 * reply, uses @obj and holds the context until @ops->release gives both back. Finalizes @obj. 0; -EFAULT, or what env.file_new gives:
 * then nothing is left of it.
 */
int ui_file_respond(const struct ui_call *call, const struct ui_iommufd_file_ops *ops, struct ui_obj *obj, u32 *fd);

UI_ALWAYS_INLINE void *ui_user_ptr(u64 addr)
{
	return (void *)(uintptr_t)addr;
}

/* --- pages of the process and of files: mem.c --- */

extern const struct ui_pages_ops ui_iommufd_pages_ops;
/* 0 with one reference; -EINVAL, -EOVERFLOW, -EBADF, -ENOMEM. */
int ui_user_pages_create(struct ui_iommufd *ctx, u64 va, u64 length, bool writable, struct ui_pages **out);
/* @needed: a domain will pin it now, so that what cannot be pinned is refused at once. */
int ui_file_pages_create(struct ui_iommufd *ctx, int fd, u64 start, u64 length, bool writable, bool needed, struct ui_pages **out);

/* --- access.c: any thread; attach, replace and destroy of one access are the owner's to serialise --- */

/* Detached, and found under its number at once. 0; -ENOMEM; -ENOSPC. */
int ui_access_obj_new(struct ui_iommufd *ctx, const struct ui_access_ops *ops, void *arg, struct ui_access_obj **out);
/* 0; -EINVAL attached already; -ENOENT no such IOAS; -EADDRINUSE its areas do not keep the alignment; -ENOMEM. */
int ui_access_obj_attach(struct ui_access_obj *obj, u32 ioas_id);
/* To another IOAS, or (0) to none: the unmap callback drops what is pinned first. 0; -ENOENT not attached, or no such IOAS; -EADDRINUSE;
 * -ENOMEM. On error nothing has changed, and the callback was not called. */
int ui_access_obj_replace(struct ui_access_obj *obj, u32 ioas_id);
/* Detaches and frees it; its number is free again. The context may go with it. NULL is a no-op. */
void ui_access_obj_destroy(struct ui_access_obj *obj);

/* --- dmabuf.c: descriptors of core/dmabuf.h --- */

/* What stands behind them is a struct ui_dmabuf. */
extern const struct ui_iommufd_file_ops ui_dmabuf_file_ops;
/* A new dma-buf of @n_bytes (whole pages, not 0) as a descriptor of the caller's, which (@on_exec) stays open on exec if the caller is
 * this process; -EOPNOTSUPP without env.file_new; -ENOMEM, -EMFILE. */
int ui_dmabuf_fd_new(struct ui_iommufd *ctx, u64 n_bytes, bool on_exec);
/* 0; -EBADF; -EINVAL @fd is something else; -EDEADLK as ui_dmabuf_revoke(). */
int ui_dmabuf_fd_revoke(struct ui_iommufd *ctx, int fd, bool revoked);

/* --- objects --- */

/* ui_obj.destroy of an IOAS. */
void ui_ioas_obj_destroy(struct ui_iommufd *ctx, struct ui_obj *obj);
/* An IOAS with a number, not finalized. 0; -ENOMEM; -ENOSPC. */
int ui_ioas_obj_new(struct ui_iommufd *ctx, struct ui_ioas_obj **out);
/* Undoes it. */
void ui_ioas_obj_abort(struct ui_iommufd *ctx, struct ui_ioas_obj *ioas);
/* A paging HWPT on @ioas for @dev, not finalized and not filled. @data: NULL: none. 0; -EOPNOTSUPP, -EINVAL, -EFAULT (user's data),
 * -ENOMEM, -ENOSPC. */
int ui_hwpt_new(struct ui_iommufd *ctx, struct ui_ioas_obj *ioas, struct ui_device *dev, unsigned domain_flags,
		const struct ui_user_data *data, struct ui_hwpt **out);
/* Undoes ui_hwpt_new(); the domain is not in the IOAS. */
void ui_hwpt_abort(struct ui_iommufd *ctx, struct ui_hwpt *hwpt);

/* --- bound devices: device.c --- */

/*
 * Makes @dev a DEVICE object of the context until ui_bound_unbind(). @hold: it keeps the context alive; without, its owner is an
 * object of the context, whose end unbinds it. 0 with *@out; -EBUSY another owner; -ENOMEM; -ENOSPC.
 */
int ui_bound_bind(struct ui_iommufd *ctx, struct ui_device *dev, bool hold, struct ui_bound **out);
/* Detaches everything, destroys the vdevice, drops the DEVICE object and (@hold) the context's reference. Not under ctx->attach. */
void ui_bound_unbind(struct ui_bound *bound);
u32 ui_bound_id(const struct ui_bound *bound);
struct ui_device *ui_bound_device(const struct ui_bound *bound);
/*
 * Attach, replace, detach; PASID 0: without PASID. *@pt_id: an IOAS or HWPT in, the HWPT used out. 0; -ENOENT no such id; -EINVAL
 * neither IOAS nor HWPT, another iommu's, PASIDs do not fit, the group is attached elsewhere (attach), nothing is attached
 * (replace); -EBUSY attached already (attach); -EADDRINUSE; -EOPNOTSUPP; the driver's errors; what filling a new HWPT gives. On error
 * everything is as before.
 */
int ui_bound_attach(struct ui_bound *bound, u32 pasid, u32 *pt_id);
int ui_bound_replace(struct ui_bound *bound, u32 pasid, u32 *pt_id);
/* Nothing attached is a no-op. */
void ui_bound_detach(struct ui_bound *bound, u32 pasid);

/* --- the calls; all as the rows of dispatch.c want them: 0 or a negative errno --- */

int ui_cmd_destroy(struct ui_call *call);
int ui_cmd_ioas_alloc(struct ui_call *call);
int ui_cmd_ioas_iova_ranges(struct ui_call *call);
int ui_cmd_ioas_allow_iovas(struct ui_call *call);
int ui_cmd_ioas_map(struct ui_call *call);
int ui_cmd_ioas_map_file(struct ui_call *call);
int ui_cmd_ioas_copy(struct ui_call *call);
int ui_cmd_ioas_unmap(struct ui_call *call);
int ui_cmd_ioas_change_process(struct ui_call *call);
int ui_cmd_ioas_noiommu_get_pa(struct ui_call *call);
int ui_cmd_option(struct ui_call *call);
int ui_cmd_vfio_ioas(struct ui_call *call);
int ui_cmd_hwpt_alloc(struct ui_call *call);
int ui_cmd_hwpt_set_dirty_tracking(struct ui_call *call);
int ui_cmd_hwpt_get_dirty_bitmap(struct ui_call *call);
int ui_cmd_get_hw_info(struct ui_call *call);
int ui_cmd_hwpt_invalidate(struct ui_call *call);
int ui_cmd_fault_queue_alloc(struct ui_call *call);
int ui_cmd_viommu_alloc(struct ui_call *call);
int ui_cmd_vdevice_alloc(struct ui_call *call);
int ui_cmd_veventq_alloc(struct ui_call *call);
int ui_cmd_hw_queue_alloc(struct ui_call *call);

/* vfio.c: the container's calls; -ENOTTY for any other number. */
long ui_vfio_container_ioctl(struct ui_iommufd *ctx, u32 cmd, u64 arg);

/* --- VFIO's older ways in --- */

/* device.c */
extern const struct ui_binder_ops ui_iommufd_binder_ops;
/* group.c: as struct ui_binder_ops says, for an iommufd. */
int ui_iommufd_tie_group(void *ctx, struct ui_device *const *devs, size_t n, struct ui_group_tie **tie);
void ui_iommufd_untie_group(struct ui_group_tie *tie);
int ui_iommufd_open_device(struct ui_group_tie *tie, struct ui_device *dev, struct ui_bound **bound);
/* type1.c, for a container: every call it has. */
extern const struct ui_binder_ops ui_type1_binder_ops;
long ui_type1_ioctl(struct ui_iommufd *ctx, u32 cmd, u64 arg);
/* No group is tied any more. NULL is a no-op. */
void ui_type1_free(struct ui_type1 *type1);

#endif
