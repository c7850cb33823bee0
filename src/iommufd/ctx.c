/* SPDX-License-Identifier: MIT */
/* The context and its objects: numbers, users, the end. */
#include "base/alloc.h"
#include "base/user.h"
#include "iommufd/ctx.h"

#include <errno.h>
#include <linux/capability.h>

struct ui_iommufd *ui_iommufd_open(const struct ui_iommufd_env *env)
{
	struct ui_iommufd *ctx = ui_zalloc(sizeof(*ctx));

	if (!ctx)
		return NULL;
	if (env)
		ctx->env = *env;
	ctx->account = ctx->env.account ? ctx->env.account : ui_account_create();
	if (!ctx->account) {
		ui_free(ctx);
		return NULL;
	}
	ctx->refs = 1;
	ui_pages_set_init(&ctx->pages, &ui_iommufd_pages_ops, ctx);
	ui_ids_init(&ctx->ids, UI_IDS_LAST);
	ui_list_init(&ctx->devices);
	pthread_cond_init(&ctx->vdevice_gone, NULL);
	pthread_mutex_init(&ctx->lock, NULL);
	pthread_mutex_init(&ctx->attach, NULL);
	pthread_cond_init(&ctx->idle, NULL);
	return ctx;
}

/* Nobody is left: everything goes, users before what they use. */
static void teardown(struct ui_iommufd *ctx)
{
	const struct ui_iommufd_watch *watch = ctx->watch;
	struct ui_iommufd_env env = ctx->env;

	while (ctx->n_objects) {
		struct ui_obj *obj;
		bool progress = false;
		u32 id = 0;

		while ((obj = ui_ids_next(&ctx->ids, &id))) {
			if (obj->users)
				continue;
			ui_ids_free(&ctx->ids, id);
			ctx->n_objects--;
			obj->destroy(ctx, obj);
			progress = true;
		}
		ui_assert(progress);
	}
	ui_ids_fini(&ctx->ids);
	ui_pages_set_fini(&ctx->pages);
	ui_type1_free(ctx->type1);
	ui_ivl_fini(&ctx->shares);
	pthread_cond_destroy(&ctx->vdevice_gone);
	pthread_cond_destroy(&ctx->idle);
	pthread_mutex_destroy(&ctx->attach);
	pthread_mutex_destroy(&ctx->lock);
	if (!env.account)
		ui_account_destroy(ctx->account);
	ui_free(ctx);
	if (env.gone)
		env.gone(env.arg);
	if (watch)
		watch->gone(watch->arg);
}

bool ui_iommufd_capable(struct ui_iommufd *ctx, unsigned cap)
{
	if (ctx->env.capable)
		return ctx->env.capable(ctx->env.arg, cap);
	return cap != CAP_IPC_LOCK || ui_user_capable(cap);
}

void ui_iommufd_hold(struct ui_iommufd *ctx)
{
	pthread_mutex_lock(&ctx->lock);
	ctx->refs++;
	pthread_mutex_unlock(&ctx->lock);
}

void ui_iommufd_close(struct ui_iommufd *ctx)
{
	u32 left;

	pthread_mutex_lock(&ctx->lock);
	left = --ctx->refs;
	pthread_mutex_unlock(&ctx->lock);
	if (!left)
		teardown(ctx);
}

int ui_obj_new(struct ui_iommufd *ctx, enum ui_obj_kind kind, size_t n_bytes, void *out)
{
	struct ui_obj *obj = ui_zalloc(n_bytes);
	int ret;

	if (!obj)
		return -ENOMEM;
	obj->kind = kind;
	pthread_mutex_lock(&ctx->lock);
	ret = ui_ids_reserve(&ctx->ids, &obj->id);
	if (!ret)
		ctx->n_objects++;
	pthread_mutex_unlock(&ctx->lock);
	if (ret)
		ui_free(obj);
	else
		*(void **)out = obj;
	return ret;
}

void ui_obj_finalize(struct ui_iommufd *ctx, struct ui_obj *obj)
{
	pthread_mutex_lock(&ctx->lock);
	ui_ids_finalize(&ctx->ids, obj->id, obj);
	pthread_mutex_unlock(&ctx->lock);
}

void ui_obj_abort(struct ui_iommufd *ctx, struct ui_obj *obj)
{
	pthread_mutex_lock(&ctx->lock);
	ui_ids_free(&ctx->ids, obj->id);
	ctx->n_objects--;
	pthread_mutex_unlock(&ctx->lock);
	ui_free(obj);
}

/* Under ctx->lock. */
static struct ui_obj *find(struct ui_iommufd *ctx, u32 id, enum ui_obj_kind kind)
{
	struct ui_obj *obj = ui_ids_find(&ctx->ids, id);

	return obj && !obj->dying && (kind == UI_OBJ_ANY || kind == obj->kind) ? obj : NULL;
}

void *ui_obj_get(struct ui_iommufd *ctx, u32 id, enum ui_obj_kind kind)
{
	struct ui_obj *obj;

	pthread_mutex_lock(&ctx->lock);
	obj = find(ctx, id, kind);
	if (obj)
		obj->calls++;
	pthread_mutex_unlock(&ctx->lock);
	return obj;
}

/* Under ctx->lock. */
static void put(struct ui_iommufd *ctx, struct ui_obj *obj)
{
	if (!--obj->calls && obj->dying)
		pthread_cond_broadcast(&ctx->idle);
}

void ui_obj_put(struct ui_iommufd *ctx, struct ui_obj *obj)
{
	pthread_mutex_lock(&ctx->lock);
	put(ctx, obj);
	pthread_mutex_unlock(&ctx->lock);
}

void ui_obj_hold(struct ui_iommufd *ctx, struct ui_obj *obj)
{
	pthread_mutex_lock(&ctx->lock);
	obj->calls++;
	pthread_mutex_unlock(&ctx->lock);
}

void ui_obj_use(struct ui_iommufd *ctx, struct ui_obj *obj)
{
	pthread_mutex_lock(&ctx->lock);
	obj->users++;
	pthread_mutex_unlock(&ctx->lock);
}

bool ui_obj_try_use(struct ui_iommufd *ctx, struct ui_obj *obj)
{
	bool ok;

	pthread_mutex_lock(&ctx->lock);
	ok = !obj->dying;
	obj->users += ok;
	pthread_mutex_unlock(&ctx->lock);
	return ok;
}

u32 ui_obj_unuse(struct ui_iommufd *ctx, struct ui_obj *obj)
{
	u32 left;

	pthread_mutex_lock(&ctx->lock);
	ui_assert(obj->users);
	left = --obj->users;
	pthread_mutex_unlock(&ctx->lock);
	return left;
}

/* Under ctx->lock, which is dropped until the calls on the object have ended. Nobody finds it from now on. */
static void end_calls(struct ui_iommufd *ctx, struct ui_obj *obj)
{
	obj->dying = true;
	while (obj->calls)
		pthread_cond_wait(&ctx->idle, &ctx->lock);
}

/* As end_calls(). True: it is nobody's any more and has no number. */
static bool take_out(struct ui_iommufd *ctx, struct ui_obj *obj)
{
	end_calls(ctx, obj);
	/* A call may have made it somebody's meanwhile. */
	if (obj->users) {
		obj->dying = false;
		return false;
	}
	ui_ids_free(&ctx->ids, obj->id);
	ctx->n_objects--;
	if (ctx->vfio_ioas == obj)
		ctx->vfio_ioas = NULL;
	return true;
}

int ui_obj_destroy(struct ui_iommufd *ctx, u32 id)
{
	struct ui_obj *obj;
	int ret = -ENOENT;

	pthread_mutex_lock(&ctx->lock);
	obj = find(ctx, id, UI_OBJ_ANY);
	if (obj)
		ret = !obj->users && take_out(ctx, obj) ? 0 : -EBUSY;
	pthread_mutex_unlock(&ctx->lock);
	if (!ret)
		obj->destroy(ctx, obj);
	return ret;
}

void ui_obj_put_unused(struct ui_iommufd *ctx, struct ui_obj *obj)
{
	bool out;

	pthread_mutex_lock(&ctx->lock);
	put(ctx, obj);
	/* If it is dying already, somebody else waits to destroy it. */
	out = !obj->dying && !obj->users && take_out(ctx, obj);
	pthread_mutex_unlock(&ctx->lock);
	if (out)
		obj->destroy(ctx, obj);
}

void ui_obj_retire(struct ui_iommufd *ctx, struct ui_obj *obj)
{
	bool out;

	pthread_mutex_lock(&ctx->lock);
	obj->users--;
	out = take_out(ctx, obj);
	pthread_mutex_unlock(&ctx->lock);
	ui_assert(out);
}

bool ui_obj_bury(struct ui_iommufd *ctx, struct ui_obj *obj)
{
	bool mine;

	pthread_mutex_lock(&ctx->lock);
	mine = !obj->dying;
	if (mine) {
		end_calls(ctx, obj);
		ui_ids_bury(&ctx->ids, obj->id);
		ctx->n_objects--;
	}
	pthread_mutex_unlock(&ctx->lock);
	return mine;
}

struct ui_ioas_obj *ui_vfio_ioas_get(struct ui_iommufd *ctx)
{
	struct ui_obj *obj;

	pthread_mutex_lock(&ctx->lock);
	obj = ctx->vfio_ioas;
	if (obj && obj->dying)
		obj = NULL;
	if (obj)
		obj->calls++;
	pthread_mutex_unlock(&ctx->lock);
	return obj ? ui_container_of(obj, struct ui_ioas_obj, obj) : NULL;
}

int ui_cmd_destroy(struct ui_call *call)
{
	const struct ui_uapi_destroy *cmd = call->cmd;

	return ui_obj_destroy(call->ctx, cmd->id);
}

struct watched_move {
	const struct ui_iommufd *ctx;
	u64 old_va, n_bytes, new_va;
	int (*move)(void *arg);
	void *arg;
};

static int watched_move(void *arg)
{
	const struct watched_move *call = arg;
	const struct ui_iommufd_watch *watch = call->ctx->watch;
	int ret = call->move(call->arg);

	if (!ret && watch)
		watch->moved(watch->arg, call->old_va, call->n_bytes, call->new_va);
	return ret;
}

int ui_iommufd_move_pages(struct ui_iommufd *ctx, u64 old_va, u64 n_bytes, u64 new_va, int (*move)(void *arg), void *arg)
{
	struct watched_move call = {
		.ctx = ctx, .old_va = old_va, .n_bytes = n_bytes, .new_va = new_va, .move = move, .arg = arg,
	};

	return ui_ioas_move_pages(&ctx->pages, old_va, n_bytes, new_va, watched_move, &call);
}
