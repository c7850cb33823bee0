/* SPDX-License-Identifier: MIT */
/*
 * What the files of the iommufd front door share: the context, its objects, and a call in progress.
 *
 * Lock order: ctx->attach, the locks of an IOAS (core/ioas.h), ctx->lock. ctx->lock is short and never held over a wait for DMA.
 */
#ifndef UI_IOMMUFD_CTX_H
#define UI_IOMMUFD_CTX_H

#include "base/ids.h"
#include "base/list.h"
#include "core/domain.h"
#include "core/ioas.h"
#include "iommufd/iommufd.h"
#include "iommufd/uapi.h"

#include <pthread.h>

enum ui_obj_kind { UI_OBJ_ANY, UI_OBJ_IOAS, UI_OBJ_HWPT, UI_OBJ_DEVICE };

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
};

struct ui_iommufd {
	struct ui_iommufd_env env; /* constant */
	ui_iommufd_extra extra;    /* set before the context is used */
	void *extra_arg;
	struct ui_pages_set pages;

	pthread_mutex_t lock;
	pthread_cond_t idle;       /* lock: a dying object has no calls any more */
	struct ui_ids ids;         /* lock: of struct ui_obj */
	u32 refs;                  /* lock: the descriptor's and one for each bound device */
	u64 n_objects;             /* lock: made or being made */
	struct ui_obj *vfio_ioas;  /* lock: the IOAS of the VFIO container's calls, or NULL */
	bool rlimit_by_process;    /* lock: OPTION_RLIMIT_MODE */

	pthread_mutex_t attach;    /* serialises attach, replace, detach, bind, unbind */
	struct ui_list devices;    /* attach: struct ui_bound */
};

struct ui_ioas_obj {
	struct ui_obj obj;
	struct ui_ioas *ioas;
	struct ui_list autos; /* ctx->attach: HWPTs made by attaching to the IOAS, in that order */
};

struct ui_hwpt {
	struct ui_obj obj;
	struct ui_domain *domain;
	struct ui_ioas_obj *ioas; /* used */
	bool automatic;           /* goes with its last device */
	bool pasid;               /* made for PASID use */
	struct ui_list link;      /* ctx->attach: in ioas->autos if automatic */
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
/* The only user gives it up: waits for calls, frees the number. The memory is the caller's. */
void ui_obj_retire(struct ui_iommufd *ctx, struct ui_obj *obj);
/* 0; -ENOENT; -EBUSY. */
int ui_obj_destroy(struct ui_iommufd *ctx, u32 id);
/* The IOAS of the VFIO container as ui_obj_get() would; NULL: none. */
struct ui_ioas_obj *ui_vfio_ioas_get(struct ui_iommufd *ctx);
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

/* --- objects --- */

void ui_ioas_obj_destroy(struct ui_iommufd *ctx, struct ui_ioas_obj *ioas);
void ui_hwpt_destroy(struct ui_iommufd *ctx, struct ui_hwpt *hwpt);
/* A paging HWPT on @ioas for @dev, not finalized and not filled. 0; -EOPNOTSUPP, -EINVAL, -EFAULT (user's data), -ENOMEM, -ENOSPC. */
int ui_hwpt_new(struct ui_iommufd *ctx, struct ui_ioas_obj *ioas, struct ui_device *dev, unsigned domain_flags, u32 data_type,
		u64 data_uptr, u32 data_len, struct ui_hwpt **out);
/* Undoes ui_hwpt_new(); the domain is not in the IOAS. */
void ui_hwpt_abort(struct ui_iommufd *ctx, struct ui_hwpt *hwpt);
struct ui_device *ui_bound_device(const struct ui_bound *bound);

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
int ui_cmd_option(struct ui_call *call);
int ui_cmd_vfio_ioas(struct ui_call *call);
int ui_cmd_hwpt_alloc(struct ui_call *call);
int ui_cmd_hwpt_set_dirty_tracking(struct ui_call *call);
int ui_cmd_hwpt_get_dirty_bitmap(struct ui_call *call);
int ui_cmd_get_hw_info(struct ui_call *call);

/* absent.c: what no kind has yet, checked and answered as a kernel without it does. */
int ui_cmd_hwpt_invalidate(struct ui_call *call);
int ui_cmd_fault_queue_alloc(struct ui_call *call);
int ui_cmd_viommu_alloc(struct ui_call *call);
int ui_cmd_vdevice_alloc(struct ui_call *call);
int ui_cmd_veventq_alloc(struct ui_call *call);
int ui_cmd_hw_queue_alloc(struct ui_call *call);
int ui_cmd_noiommu_get_pa(struct ui_call *call);

/* vfio.c: the container's calls; -ENOTTY for any other number. */
long ui_vfio_container_ioctl(struct ui_iommufd *ctx, u32 cmd, u64 arg);

#endif
