/* SPDX-License-Identifier: MIT */
/* Accesses as descriptors: what is pinned through one stays so until the test says so, the mapping goes, or it is closed. */
#include "base/alloc.h"
#include "base/sys.h"
#include "base/user.h"
#include "mock/priv.h"

#include <errno.h>
#include <fcntl.h>

enum { CREATE_PINS = 1 };
enum { PAGES_WRITE = 1 };
enum { RW_WRITE = 1, RW_SLOW_PATH = 4 };
#define MAX_BYTES ((u64)16 << 20)

struct access {
	struct ui_access_obj *obj;
	bool pins;
	pthread_mutex_t attach; /* which IOAS; before lock */
	pthread_mutex_t lock;   /* held over pins and unpins, so that who unmaps finds what is pinned */
	struct ui_list items;   /* lock: struct item */
	u32 next_id;            /* lock */
};

struct item {
	struct ui_list link;
	u32 id;
	u64 iova, length;
};

/* Under access->lock. */
static void drop(struct access *access, struct item *item)
{
	ui_list_del(&item->link);
	ui_access_unpin(access->obj->access, item->iova, item->length);
	ui_free(item);
}

static void unmapped(void *arg, u64 iova, u64 length)
{
	struct access *access = arg;
	u64 last = iova + (length - 1);

	pthread_mutex_lock(&access->lock);
	for (struct ui_list *link = access->items.next, *next; link != &access->items; link = next) {
		struct item *item = ui_container_of(link, struct item, link);

		next = link->next;
		if (item->iova <= last && item->iova + (item->length - 1) >= iova)
			drop(access, item);
	}
	pthread_mutex_unlock(&access->lock);
}

static const struct ui_access_ops pin_ops = { .pins = true, .unmap = unmapped };
static const struct ui_access_ops copy_ops = { .pins = false };

static void access_destroy(struct access *access)
{
	/* Attached, it is told to unpin everything. */
	ui_access_obj_destroy(access->obj);
	ui_assert(ui_list_empty(&access->items));
	pthread_mutex_destroy(&access->lock);
	pthread_mutex_destroy(&access->attach);
	ui_free(access);
}

static void release(void *obj)
{
	access_destroy(obj);
}

static const struct ui_iommufd_file_ops file_ops = { .name = "mock access", .keeps = true, .release = release };

static int access_new(struct ui_iommufd *ctx, bool pins, struct access **out)
{
	struct access *access = ui_zalloc(sizeof(*access));
	int ret;

	if (!access)
		return -ENOMEM;
	access->pins = pins;
	pthread_mutex_init(&access->attach, NULL);
	pthread_mutex_init(&access->lock, NULL);
	ui_list_init(&access->items);
	ret = ui_access_obj_new(ctx, pins ? &pin_ops : &copy_ops, access, &access->obj);
	if (ret) {
		pthread_mutex_destroy(&access->lock);
		pthread_mutex_destroy(&access->attach);
		ui_free(access);
		return ret;
	}
	*out = access;
	return 0;
}

long ui_mock_create_access(struct ui_mock_call *call)
{
	const struct ui_iommufd_env *env = &call->ctx->env;
	u32 flags = call->cmd.create_access.flags;
	struct access *access;
	int ret, fd;

	if (flags & ~(u32)CREATE_PINS)
		return -EOPNOTSUPP;
	ret = access_new(call->ctx, flags & CREATE_PINS, &access);
	if (ret)
		return ret;
	ret = ui_access_obj_attach(access->obj, call->cmd.id);
	fd = ret ? ret : env->file_new ? env->file_new(env->arg, &file_ops, access, 0) : -EOPNOTSUPP;
	if (fd < 0) {
		access_destroy(access);
		return fd;
	}
	call->cmd.create_access.out_access_fd = (u32)fd;
	ret = (int)ui_mock_respond(call);
	if (ret) {
		env->file_drop(env->arg, fd);
		access_destroy(access);
	}
	return ret;
}

/* The access behind the command's descriptor, until put_access(). 0; -EBADF; -EBADFD. */
static int get_access(struct ui_mock_call *call, struct access **out)
{
	const struct ui_iommufd_env *env = &call->ctx->env;
	int fd = (int)call->cmd.id, got, ret;

	*out = env->file_get ? env->file_get(env->arg, fd, &file_ops) : NULL;
	if (*out)
		return 0;
	got = ui_user_fd_get(fd);
	ret = got < 0 || ui_sys_fcntl(got, F_GETFD, 0) < 0 ? -EBADF : -EBADFD;
	ui_user_fd_put(fd, got);
	return ret;
}

static void put_access(struct ui_mock_call *call, struct access *access)
{
	const struct ui_iommufd_env *env = &call->ctx->env;

	env->file_put(env->arg, access);
}

/* Are the pages that come in runs those at @uaddr and onwards? */
struct same_pages {
	struct ui_mock_compare cmp;
	bool any;  /* no address was given */
	u64 uaddr; /* of the next page */
	int ret;
};

static void same_run(void *arg, u64 pa, u64 n_bytes)
{
	struct same_pages *same = arg;

	for (u64 done = 0; !same->any && !same->ret && done < n_bytes; done += UI_PAGE_BYTES) {
		if (ui_user_probe(same->uaddr, 1, false))
			same->ret = -EFAULT;
		else
			same->ret = ui_mock_same_byte(&same->cmp, pa + done, same->uaddr);
		same->uaddr += UI_PAGE_BYTES;
	}
}

/* Under access->lock. */
static int pin_item(struct access *access, struct ui_mock_call *call, struct item *item)
{
	u64 uptr = call->cmd.access_pages.uptr;
	struct same_pages same = { .any = !uptr, .uaddr = ui_align_down(uptr, UI_PAGE_BYTES) };
	unsigned flags = call->cmd.access_pages.flags & PAGES_WRITE ? UI_ACCESS_WRITE : 0;
	int ret;

	ret = ui_access_pin(access->obj->access, item->iova, item->length, flags, same_run, &same);
	ui_mock_compare_free(&same.cmp);
	if (ret)
		return ret;
	call->cmd.access_pages.out_access_pages_id = access->next_id;
	ret = same.ret == -EINVAL ? -EBADE : same.ret;
	if (!ret)
		ret = (int)ui_mock_respond(call);
	if (ret) {
		ui_access_unpin(access->obj->access, item->iova, item->length);
		return ret;
	}
	item->id = access->next_id++;
	ui_list_add_tail(&access->items, &item->link);
	return 0;
}

static int pin(struct access *access, struct ui_mock_call *call)
{
	struct item *item;
	int ret;

	if (!access->pins)
		return -EOPNOTSUPP;
	item = ui_zalloc(sizeof(*item));
	if (!item)
		return -ENOMEM;
	item->iova = call->cmd.access_pages.iova;
	item->length = call->cmd.access_pages.length;
	pthread_mutex_lock(&access->lock);
	ret = pin_item(access, call, item);
	pthread_mutex_unlock(&access->lock);
	if (ret)
		ui_free(item);
	return ret;
}

long ui_mock_access_pages(struct ui_mock_call *call)
{
	struct access *access;
	int ret;

	if (call->cmd.access_pages.length > MAX_BYTES)
		return -ENOMEM;
	if (call->cmd.access_pages.flags & ~(u32)PAGES_WRITE)
		return -EOPNOTSUPP;
	ret = get_access(call, &access);
	if (ret)
		return ret;
	ret = pin(access, call);
	put_access(call, access);
	return ret;
}

long ui_mock_destroy_access_pages(struct ui_mock_call *call)
{
	struct access *access;
	int ret = get_access(call, &access);

	if (ret)
		return ret;
	ret = -ENOENT;
	pthread_mutex_lock(&access->lock);
	ui_list_for_each(link, &access->items) {
		struct item *item = ui_container_of(link, struct item, link);

		if (item->id != call->cmd.destroy_access_pages.access_pages_id)
			continue;
		drop(access, item);
		ret = 0;
		break;
	}
	pthread_mutex_unlock(&access->lock);
	put_access(call, access);
	return ret;
}

long ui_mock_access_rw(struct ui_mock_call *call)
{
	const struct ui_mock_cmd *cmd = &call->cmd;
	struct access *access;
	int ret;

	if (cmd->access_rw.length > MAX_BYTES)
		return -ENOMEM;
	if (cmd->access_rw.flags & ~(u32)(RW_WRITE | RW_SLOW_PATH))
		return -EOPNOTSUPP;
	ret = get_access(call, &access);
	if (ret)
		return ret;
	ret = ui_access_rw(access->obj->access, cmd->access_rw.iova, cmd->access_rw.length, cmd->access_rw.uptr,
			   cmd->access_rw.flags & RW_WRITE ? UI_ACCESS_WRITE : 0);
	put_access(call, access);
	return ret;
}

long ui_mock_access_replace_ioas(struct ui_mock_call *call)
{
	u32 ioas_id = call->cmd.access_replace_ioas.ioas_id;
	struct access *access;
	int ret = get_access(call, &access);

	if (ret)
		return ret;
	pthread_mutex_lock(&access->attach);
	ret = ioas_id ? ui_access_obj_replace(access->obj, ioas_id) : -ENOENT;
	pthread_mutex_unlock(&access->attach);
	put_access(call, access);
	return ret;
}
