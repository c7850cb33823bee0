/* SPDX-License-Identifier: MIT */
/* The IOAS calls: each checks its fields in the kernel's order, then hands over to core. */
#include "base/alloc.h"
#include "base/bits.h"
#include "base/user.h"
#include "iommufd/ctx.h"

#include <errno.h>
#include <linux/capability.h>

#define MAX (~(u64)0)

void ui_ioas_obj_destroy(struct ui_iommufd *ctx, struct ui_obj *obj)
{
	struct ui_ioas_obj *ioas = ui_container_of(obj, struct ui_ioas_obj, obj);

	ui_ioas_destroy(ioas->ioas);
	ui_free(ioas);
}

int ui_ioas_obj_new(struct ui_iommufd *ctx, struct ui_ioas_obj **out)
{
	struct ui_ioas_obj *ioas;
	int ret = ui_obj_new(ctx, UI_OBJ_IOAS, sizeof(*ioas), &ioas);

	if (ret)
		return ret;
	ioas->obj.destroy = ui_ioas_obj_destroy;
	ui_list_init(&ioas->autos);
	ioas->ioas = ui_ioas_create(&ctx->pages);
	if (!ioas->ioas) {
		ui_obj_abort(ctx, &ioas->obj);
		return -ENOMEM;
	}
	*out = ioas;
	return 0;
}

void ui_ioas_obj_abort(struct ui_iommufd *ctx, struct ui_ioas_obj *ioas)
{
	ui_ioas_destroy(ioas->ioas);
	ui_obj_abort(ctx, &ioas->obj);
}

int ui_cmd_ioas_alloc(struct ui_call *call)
{
	struct ui_uapi_ioas_alloc *cmd = call->cmd;
	struct ui_ioas_obj *ioas;
	int ret;

	if (cmd->flags)
		return -EOPNOTSUPP;
	ret = ui_ioas_obj_new(call->ctx, &ioas);
	if (ret)
		return ret;
	cmd->out_ioas_id = ioas->obj.id;
	ret = ui_call_respond(call);
	if (ret) {
		ui_ioas_obj_abort(call->ctx, ioas);
		return ret;
	}
	ui_obj_finalize(call->ctx, &ioas->obj);
	return 0;
}

static int write_ranges(const struct ui_iova_range *ranges, size_t n, u64 uptr)
{
	for (size_t i = 0; i < n; i++) {
		struct ui_uapi_iova_range range = { ranges[i].start, ranges[i].last };

		if (ui_user_write(uptr + i * sizeof(range), &range, sizeof(range)))
			return -EFAULT;
	}
	return 0;
}

int ui_cmd_ioas_iova_ranges(struct ui_call *call)
{
	struct ui_uapi_ioas_iova_ranges *cmd = call->cmd;
	struct ui_iova_range *ranges;
	struct ui_ioas_obj *ioas;
	u32 room = cmd->num_iovas;
	size_t n;
	int ret;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	ioas = ui_obj_get(call->ctx, cmd->ioas_id, UI_OBJ_IOAS);
	if (!ioas)
		return -ENOENT;
	cmd->out_iova_alignment = ui_ioas_alignment(ioas->ioas);
	ret = ui_ioas_ranges(ioas->ioas, &ranges, &n);
	ui_obj_put(call->ctx, &ioas->obj);
	if (ret)
		return ret;
	ret = write_ranges(ranges, n < room ? n : room, cmd->allowed_iovas);
	ui_free(ranges);
	if (ret)
		return ret;
	cmd->num_iovas = (u32)n;
	ret = ui_call_respond(call);
	return ret ? ret : n > room ? -EMSGSIZE : 0;
}

/* The caller's list, entry by entry as the kernel reads it. */
static int read_allowed(struct ui_ivl *list, u64 uptr, u32 n)
{
	struct ui_uapi_iova_range range;
	int ret = 0;

	for (u32 i = 0; !ret && i < n; i++) {
		ret = ui_user_read(&range, uptr + (u64)i * sizeof(range), sizeof(range));
		if (!ret && range.start >= range.last)
			ret = -EINVAL;
		if (!ret)
			ret = ui_ivl_insert(list, range.start, range.last, NULL);
	}
	return ret == -EEXIST ? -EINVAL : ret;
}

int ui_cmd_ioas_allow_iovas(struct ui_call *call)
{
	const struct ui_uapi_ioas_allow_iovas *cmd = call->cmd;
	struct ui_ivl list = { 0 };
	struct ui_ioas_obj *ioas;
	int ret;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	ioas = ui_obj_get(call->ctx, cmd->ioas_id, UI_OBJ_IOAS);
	if (!ioas)
		return -ENOENT;
	ret = read_allowed(&list, cmd->allowed_iovas, cmd->num_iovas);
	if (!ret)
		ret = ui_ioas_allow(ioas->ioas, &list);
	ui_ivl_fini(&list);
	ui_obj_put(call->ctx, &ioas->obj);
	return ret;
}

static unsigned prot_of(u32 flags)
{
	return (flags & UI_UAPI_MAP_READABLE ? UI_PROT_READ : 0u) | (flags & UI_UAPI_MAP_WRITEABLE ? UI_PROT_WRITE : 0u);
}

/* Maps the whole object, tells the caller where, and takes it back if that fails. */
static int map_whole(struct ui_call *call, struct ui_ioas_obj *ioas, struct ui_pages *pages, u64 *iova, u32 flags)
{
	struct ui_ioas_piece piece = { .pages = pages, .length = pages->cfg.n_bytes };
	int ret = ui_ioas_map(ioas->ioas, &piece, 1, iova, flags & UI_UAPI_MAP_FIXED_IOVA, prot_of(flags));
	u64 removed;

	if (!ret) {
		ret = ui_call_respond(call);
		if (ret)
			ui_ioas_unmap(ioas->ioas, *iova, *iova + (piece.length - 1), &removed);
	}
	ui_pages_put(pages);
	return ret;
}

int ui_cmd_ioas_map(struct ui_call *call)
{
	struct ui_uapi_ioas_map *cmd = call->cmd;
	struct ui_ioas_obj *ioas;
	struct ui_pages *pages;
	int ret;

	if ((cmd->flags & ~(u32)UI_UAPI_MAP_ALL) || cmd->__reserved)
		return -EOPNOTSUPP;
	if (cmd->iova == MAX || cmd->length == MAX)
		return -EOVERFLOW;
	if (!prot_of(cmd->flags))
		return -EINVAL;
	ioas = ui_obj_get(call->ctx, cmd->ioas_id, UI_OBJ_IOAS);
	if (!ioas)
		return -ENOENT;
	ret = ui_user_pages_create(call->ctx, cmd->user_va, cmd->length, cmd->flags & UI_UAPI_MAP_WRITEABLE, &pages);
	if (!ret)
		ret = map_whole(call, ioas, pages, &cmd->iova, cmd->flags);
	ui_obj_put(call->ctx, &ioas->obj);
	return ret;
}

int ui_cmd_ioas_map_file(struct ui_call *call)
{
	struct ui_uapi_ioas_map_file *cmd = call->cmd;
	struct ui_ioas_obj *ioas;
	struct ui_pages *pages;
	bool has_domain;
	int ret;

	if (cmd->flags & ~(u32)UI_UAPI_MAP_ALL)
		return -EOPNOTSUPP;
	if (cmd->iova == MAX || cmd->length == MAX)
		return -EOVERFLOW;
	if (!prot_of(cmd->flags))
		return -EINVAL;
	ioas = ui_obj_get(call->ctx, cmd->ioas_id, UI_OBJ_IOAS);
	if (!ioas)
		return -ENOENT;
	has_domain = ui_ioas_page_sizes(ioas->ioas) != MAX;
	ret = ui_file_pages_create(call->ctx, cmd->fd, cmd->start, cmd->length, cmd->flags & UI_UAPI_MAP_WRITEABLE, has_domain, &pages);
	if (!ret)
		ret = map_whole(call, ioas, pages, &cmd->iova, cmd->flags);
	ui_obj_put(call->ctx, &ioas->obj);
	return ret;
}

static int copy_to(struct ui_call *call, struct ui_ioas_obj *dst, const struct ui_ioas_piece *pieces, size_t n)
{
	struct ui_uapi_ioas_copy *cmd = call->cmd;
	int ret = ui_ioas_map(dst->ioas, pieces, n, &cmd->dst_iova, cmd->flags & UI_UAPI_MAP_FIXED_IOVA, prot_of(cmd->flags));
	u64 removed;

	if (ret)
		return ret;
	ret = ui_call_respond(call);
	if (ret)
		ui_ioas_unmap(dst->ioas, cmd->dst_iova, cmd->dst_iova + (cmd->length - 1), &removed);
	return ret;
}

int ui_cmd_ioas_copy(struct ui_call *call)
{
	struct ui_uapi_ioas_copy *cmd = call->cmd;
	struct ui_ioas_piece *pieces;
	struct ui_ioas_obj *ioas;
	size_t n;
	int ret;

	if (cmd->flags & ~(u32)UI_UAPI_MAP_ALL)
		return -EOPNOTSUPP;
	if (cmd->length == MAX || cmd->src_iova == MAX || cmd->dst_iova == MAX)
		return -EOVERFLOW;
	if (!prot_of(cmd->flags))
		return -EINVAL;
	ioas = ui_obj_get(call->ctx, cmd->src_ioas_id, UI_OBJ_IOAS);
	if (!ioas)
		return -ENOENT;
	ret = ui_ioas_pieces_get(ioas->ioas, cmd->src_iova, cmd->length, &pieces, &n);
	ui_obj_put(call->ctx, &ioas->obj);
	if (ret)
		return ret;
	ioas = ui_obj_get(call->ctx, cmd->dst_ioas_id, UI_OBJ_IOAS);
	ret = ioas ? copy_to(call, ioas, pieces, n) : -ENOENT;
	if (ioas)
		ui_obj_put(call->ctx, &ioas->obj);
	ui_ioas_pieces_put(pieces, n);
	return ret;
}

static int unmap(struct ui_ioas *ioas, u64 iova, u64 length, u64 *removed)
{
	u64 last;
	int ret;

	if (!iova && length == MAX)
		return ui_ioas_unmap(ioas, 0, MAX, removed);
	if (iova == MAX || length == MAX)
		return -EOVERFLOW;
	if (!length)
		return -EINVAL;
	if (!ui_range_last(iova, length, &last))
		return -EOVERFLOW;
	ret = ui_ioas_unmap(ioas, iova, last, removed);
	return ret ? ret : *removed ? 0 : -ENOENT;
}

int ui_cmd_ioas_unmap(struct ui_call *call)
{
	struct ui_uapi_ioas_unmap *cmd = call->cmd;
	struct ui_ioas_obj *ioas = ui_obj_get(call->ctx, cmd->ioas_id, UI_OBJ_IOAS);
	u64 removed;
	int ret;

	if (!ioas)
		return -ENOENT;
	ret = unmap(ioas->ioas, cmd->iova, cmd->length, &removed);
	ui_obj_put(call->ctx, &ioas->obj);
	if (ret)
		return ret;
	cmd->length = removed;
	return ui_call_respond(call);
}

int ui_cmd_ioas_noiommu_get_pa(struct ui_call *call)
{
	const struct ui_uapi_ioas_noiommu_get_pa *cmd = call->cmd;
	struct ui_ioas_obj *ioas;
	bool mapped;

	if (!ui_iommufd_capable(call->ctx, CAP_SYS_RAWIO))
		return -EPERM;
	if (cmd->flags || cmd->__reserved)
		return -EOPNOTSUPP;
	if (!cmd->length)
		return -EINVAL;
	if (cmd->iova == MAX)
		return -EOVERFLOW;
	ioas = ui_obj_get(call->ctx, cmd->ioas_id, UI_OBJ_IOAS);
	if (!ioas)
		return -ENOENT;
	mapped = ui_ioas_is_mapped(ioas->ioas, cmd->iova);
	ui_obj_put(call->ctx, &ioas->obj);
	/* Every domain here translates: none hands out where memory really lies. */
	return mapped ? -EOPNOTSUPP : -ENOENT;
}
