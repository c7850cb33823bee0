/* SPDX-License-Identifier: MIT */
/*
 * Bound devices and their attachments. The group is the unit of attachment: its first device attaches it, the last one that leaves
 * detaches it. In this API "no PASID" is PASID 0, as in Linux; core tells them apart.
 *
 * Everything here runs under ctx->attach. HWPTs that nobody uses any more go after it is released: their end waits for calls.
 */
#include "base/alloc.h"
#include "base/user.h"
#include "iommufd/viommu.h"

#include <errno.h>

struct ui_bound {
	struct ui_obj obj; /* first: ids name it */
	struct ui_iommufd *ctx;
	struct ui_device *dev;
	bool hold;                      /* it has a reference on the context */
	struct ui_list link;            /* in ctx->devices */
	struct ui_list attachments;     /* struct tie */
	struct ui_vdevice_obj *vdevice;
	bool leaving;
};

/* One device, with one PASID (0: without), on a HWPT, which it uses. */
struct tie {
	struct ui_list link;
	u32 pasid;
	struct ui_hwpt *hwpt;
};

struct ui_device *ui_bound_device(const struct ui_bound *bound)
{
	return bound->dev;
}

u32 ui_bound_id(const struct ui_bound *bound)
{
	return bound->obj.id;
}

struct ui_iommufd *ui_bound_ctx(const struct ui_bound *bound)
{
	return bound->ctx;
}

struct ui_vdevice_obj **ui_bound_vdevice(struct ui_bound *bound)
{
	return &bound->vdevice;
}

bool ui_bound_leaving(const struct ui_bound *bound)
{
	return bound->leaving;
}

static struct tie *find_tie(struct ui_bound *bound, u32 pasid)
{
	ui_list_for_each(item, &bound->attachments) {
		struct tie *tie = ui_container_of(item, struct tie, link);

		if (tie->pasid == pasid)
			return tie;
	}
	return NULL;
}

/* What the group of @bound is attached to, by any of its devices but @but (NULL: none is left out). */
static struct ui_hwpt *group_hwpt(struct ui_bound *bound, u32 pasid, const struct ui_bound *but)
{
	ui_list_for_each(item, &bound->ctx->devices) {
		struct ui_bound *other = ui_container_of(item, struct ui_bound, link);
		struct tie *tie = other != but && ui_device_same_group(other->dev, bound->dev) ? find_tie(other, pasid) : NULL;

		if (tie)
			return tie->hwpt;
	}
	return NULL;
}

/* Reserves what @bound must not find mapped. 0, -EADDRINUSE, -ENOMEM; nothing is left behind on an error. */
static int reserve(struct ui_bound *bound, struct ui_ioas *ioas)
{
	const struct ui_resv *resv;
	size_t n;
	int ret = 0;

	resv = ui_device_reserved(bound->dev, &n);
	for (size_t i = 0; !ret && i < n; i++)
		ret = ui_ioas_reserve(ioas, resv[i].start, resv[i].last, bound);
	if (ret)
		ui_ioas_unreserve(ioas, bound);
	return ret;
}

/* PASID use and dirty tracking of the HWPT fit the device. */
static int check_fit(struct ui_bound *bound, u32 pasid, const struct ui_hwpt *hwpt)
{
	const struct ui_hwpt *no_pasid = group_hwpt(bound, 0, NULL);

	if (pasid ? !hwpt->pasid || (no_pasid && !no_pasid->pasid) : !hwpt->pasid && ui_device_n_pasids(bound->dev))
		return -EINVAL;
	if ((ui_domain_flags(hwpt->domain) & UI_DOMAIN_F_DIRTY) && !ui_device_dirty_capable(bound->dev))
		return -EINVAL;
	return 0;
}

static void tie_use(struct ui_bound *bound, struct tie *tie, struct ui_hwpt *hwpt)
{
	tie->hwpt = hwpt;
	ui_obj_use(bound->ctx, &hwpt->obj);
	if (hwpt->automatic && ui_list_empty(&hwpt->link))
		ui_list_add_tail(&hwpt->ioas->autos, &hwpt->link);
}

static void hwpt_unuse(struct ui_iommufd *ctx, struct ui_hwpt *hwpt)
{
	if (!ui_obj_unuse(ctx, &hwpt->obj))
		ui_list_del(&hwpt->link);
}

static int attach_hwpt(struct ui_bound *bound, u32 pasid, struct ui_hwpt *hwpt)
{
	struct ui_hwpt *group = group_hwpt(bound, pasid, bound);
	struct tie *tie;
	int ret;

	if (find_tie(bound, pasid))
		return -EBUSY;
	if (group && group != hwpt)
		return -EINVAL;
	tie = ui_zalloc(sizeof(*tie));
	if (!tie)
		return -ENOMEM;
	ret = pasid ? 0 : reserve(bound, hwpt->ioas->ioas);
	if (ret)
		goto err_free;
	ret = check_fit(bound, pasid, hwpt);
	if (!ret && !group)
		ret = ui_device_attach(bound->dev, pasid, pasid != 0, hwpt->domain, false, hwpt);
	if (ret)
		goto err_reserve;
	tie->pasid = pasid;
	tie_use(bound, tie, hwpt);
	ui_list_add_tail(&bound->attachments, &tie->link);
	return 0;

err_reserve:
	if (!pasid)
		ui_ioas_unreserve(hwpt->ioas->ioas, bound);
err_free:
	ui_free(tie);
	return ret;
}

/* Every device of the group that is attached with @pasid: @fn of its tie. */
static int for_group(struct ui_bound *bound, u32 pasid, int (*fn)(struct ui_bound *bound, struct tie *tie, struct ui_hwpt *hwpt),
		     struct ui_hwpt *hwpt)
{
	int ret = 0;

	ui_list_for_each(item, &bound->ctx->devices) {
		struct ui_bound *other = ui_container_of(item, struct ui_bound, link);
		struct tie *tie = ui_device_same_group(other->dev, bound->dev) ? find_tie(other, pasid) : NULL;

		if (tie && !ret)
			ret = fn(other, tie, hwpt);
	}
	return ret;
}

static int tie_reserve(struct ui_bound *bound, struct tie *tie, struct ui_hwpt *hwpt)
{
	return reserve(bound, hwpt->ioas->ioas);
}

static int tie_unreserve(struct ui_bound *bound, struct tie *tie, struct ui_hwpt *hwpt)
{
	ui_ioas_unreserve(hwpt->ioas->ioas, bound);
	return 0;
}

static int tie_switch(struct ui_bound *bound, struct tie *tie, struct ui_hwpt *hwpt)
{
	struct ui_hwpt *old = tie->hwpt;

	tie_use(bound, tie, hwpt);
	hwpt_unuse(bound->ctx, old);
	return 0;
}

/* *@left: the HWPT that the group left, to be given to let_go(). */
static int replace_hwpt(struct ui_bound *bound, u32 pasid, struct ui_hwpt *hwpt, struct ui_hwpt **left)
{
	struct tie *tie = find_tie(bound, pasid);
	struct ui_hwpt *old;
	bool reserves;
	int ret = 0;

	if (!tie)
		return -EINVAL;
	old = tie->hwpt;
	if (old == hwpt)
		return 0;
	reserves = !pasid && old->ioas != hwpt->ioas;
	if (reserves)
		ret = for_group(bound, pasid, tie_reserve, hwpt);
	if (!ret)
		ret = check_fit(bound, pasid, hwpt);
	if (!ret)
		ret = ui_device_attach(bound->dev, pasid, pasid != 0, hwpt->domain, true, hwpt);
	if (reserves)
		for_group(bound, pasid, tie_unreserve, ret ? hwpt : old);
	if (ret)
		return ret;
	ui_obj_hold(bound->ctx, &old->obj);
	*left = old;
	for_group(bound, pasid, tie_switch, hwpt);
	return 0;
}

/* Fails only for those who are inside a DMA section of what is attached. */
static int untie(struct ui_bound *bound, struct tie *tie)
{
	struct ui_hwpt *hwpt = tie->hwpt;
	int ret = 0;

	if (!group_hwpt(bound, tie->pasid, bound))
		ret = ui_device_detach(bound->dev, tie->pasid, tie->pasid != 0);
	else
		ui_fault_forget(hwpt, bound->dev, tie->pasid);
	if (ret)
		return ret;
	if (!tie->pasid)
		ui_ioas_unreserve(hwpt->ioas->ioas, bound);
	ui_list_del(&tie->link);
	ui_free(tie);
	hwpt_unuse(bound->ctx, hwpt);
	return 0;
}

/* Not under ctx->attach: ends a HWPT that was left, if it was automatic and this was its last device. NULL is a no-op. */
static void let_go(struct ui_iommufd *ctx, struct ui_hwpt *hwpt)
{
	if (hwpt && hwpt->automatic)
		ui_obj_put_unused(ctx, &hwpt->obj);
	else if (hwpt)
		ui_obj_put(ctx, &hwpt->obj);
}

/* A HWPT of the IOAS's own making for a device that none of the present ones suits. */
static int attach_new_auto(struct ui_bound *bound, u32 pasid, struct ui_ioas_obj *ioas, bool replace, u32 *pt_id, struct ui_hwpt **left)
{
	struct ui_iommufd *ctx = bound->ctx;
	struct ui_hwpt *hwpt;
	int ret;

	ret = ui_hwpt_new(ctx, ioas, bound->dev, 0, NULL, &hwpt);
	if (ret)
		return ret;
	hwpt->automatic = true;
	/* A first attachment comes before the domain is filled, so that the device's own refusals come first. */
	if (!replace)
		ret = attach_hwpt(bound, pasid, hwpt);
	if (ret)
		goto err_hwpt;
	ret = ui_ioas_add_domain(ioas->ioas, hwpt->domain);
	if (ret)
		goto err_untie;
	if (replace)
		ret = replace_hwpt(bound, pasid, hwpt, left);
	if (ret)
		goto err_domain;
	*pt_id = hwpt->obj.id;
	ui_obj_finalize(ctx, &hwpt->obj);
	return 0;

err_domain:
	ui_ioas_remove_domain(ioas->ioas, hwpt->domain);
err_untie:
	if (!replace)
		untie(bound, find_tie(bound, pasid));
err_hwpt:
	ui_hwpt_abort(ctx, hwpt);
	return ret;
}

static int attach_ioas(struct ui_bound *bound, u32 pasid, struct ui_ioas_obj *ioas, bool replace, u32 *pt_id, struct ui_hwpt **left)
{
	ui_list_for_each(item, &ioas->autos) {
		struct ui_hwpt *hwpt = ui_container_of(item, struct ui_hwpt, link);
		int ret = replace ? replace_hwpt(bound, pasid, hwpt, left) : attach_hwpt(bound, pasid, hwpt);

		if (ret == -EINVAL)
			continue;
		*pt_id = hwpt->obj.id;
		return ret;
	}
	return attach_new_auto(bound, pasid, ioas, replace, pt_id, left);
}

static int attach(struct ui_bound *bound, u32 pasid, bool replace, u32 *pt_id, struct ui_hwpt **left)
{
	struct ui_obj *pt = ui_obj_get(bound->ctx, *pt_id, UI_OBJ_ANY);
	struct ui_hwpt *hwpt;
	int ret = -EINVAL;

	if (!pt)
		return -ENOENT;
	if (pt->kind == UI_OBJ_IOAS) {
		ret = attach_ioas(bound, pasid, ui_container_of(pt, struct ui_ioas_obj, obj), replace, pt_id, left);
	} else if (pt->kind == UI_OBJ_HWPT || pt->kind == UI_OBJ_HWPT_NESTED) {
		hwpt = ui_container_of(pt, struct ui_hwpt, obj);
		ret = replace ? replace_hwpt(bound, pasid, hwpt, left) : attach_hwpt(bound, pasid, hwpt);
	}
	ui_obj_put(bound->ctx, pt);
	return ret;
}

enum { REPLACE = 1, IF_ATTACHED = 2 };

static int attach_or_replace(struct ui_bound *bound, u32 pasid, unsigned replace, u32 *pt_id)
{
	struct ui_hwpt *left = NULL;
	int ret;

	pthread_mutex_lock(&bound->ctx->attach);
	if (replace == IF_ATTACHED)
		replace = find_tie(bound, pasid) ? REPLACE : 0;
	ret = attach(bound, pasid, replace == REPLACE, pt_id, &left);
	pthread_mutex_unlock(&bound->ctx->attach);
	let_go(bound->ctx, left);
	return ret;
}

int ui_bound_attach(struct ui_bound *bound, u32 pasid, u32 *pt_id)
{
	return attach_or_replace(bound, pasid, 0, pt_id);
}

int ui_bound_replace(struct ui_bound *bound, u32 pasid, u32 *pt_id)
{
	return attach_or_replace(bound, pasid, REPLACE, pt_id);
}

static int binder_attach(struct ui_bound *bound, u32 pasid, bool has_pasid, u32 *pt_id)
{
	return attach_or_replace(bound, has_pasid ? pasid : 0, IF_ATTACHED, pt_id);
}

/* @tie goes; the lock is released. */
static int detach_unlock(struct ui_bound *bound, struct tie *tie)
{
	struct ui_hwpt *hwpt = tie->hwpt;
	int ret;

	ui_obj_hold(bound->ctx, &hwpt->obj);
	ret = untie(bound, tie);
	pthread_mutex_unlock(&bound->ctx->attach);
	let_go(bound->ctx, hwpt);
	return ret;
}

void ui_bound_detach(struct ui_bound *bound, u32 pasid)
{
	struct tie *tie;

	pthread_mutex_lock(&bound->ctx->attach);
	tie = find_tie(bound, pasid);
	if (tie)
		detach_unlock(bound, tie);
	else
		pthread_mutex_unlock(&bound->ctx->attach);
}

static void binder_detach(struct ui_bound *bound, u32 pasid, bool has_pasid)
{
	ui_bound_detach(bound, has_pasid ? pasid : 0);
}

int ui_bound_bind(struct ui_iommufd *ctx, struct ui_device *dev, bool hold, struct ui_bound **out)
{
	struct ui_bound *bound;
	int ret = ui_device_claim(dev, ctx);

	if (ret)
		return ret;
	ret = ui_obj_new(ctx, UI_OBJ_DEVICE, sizeof(*bound), &bound);
	if (ret) {
		ui_device_release(dev, ctx);
		return ret;
	}
	bound->ctx = ctx;
	bound->dev = dev;
	bound->hold = hold;
	ui_list_init(&bound->attachments);
	if (hold)
		ui_iommufd_hold(ctx);
	ui_obj_use(ctx, &bound->obj); /* by its owner */
	pthread_mutex_lock(&ctx->attach);
	ui_list_add_tail(&ctx->devices, &bound->link);
	pthread_mutex_unlock(&ctx->attach);
	ui_device_set_user(dev, bound);
	*out = bound;
	ui_obj_finalize(ctx, &bound->obj);
	return 0;
}

static int binder_bind(void *ctx, struct ui_device *dev, u32 *id, struct ui_bound **out)
{
	int ret = ui_bound_bind(ctx, dev, true, out);

	if (!ret)
		*id = ui_bound_id(*out);
	return ret;
}

/* Nothing comes from the device any more: what it sent by the attachments of others in its group is answered. */
static void forget_requests(struct ui_bound *bound)
{
	ui_device_set_user(bound->dev, NULL);
	ui_list_for_each(item, &bound->ctx->devices) {
		struct ui_bound *other = ui_container_of(item, struct ui_bound, link);

		if (!ui_device_same_group(other->dev, bound->dev))
			continue;
		ui_list_for_each(at, &other->attachments) {
			struct tie *tie = ui_container_of(at, struct tie, link);

			ui_fault_forget(tie->hwpt, bound->dev, tie->pasid);
		}
	}
}

void ui_bound_unbind(struct ui_bound *bound)
{
	struct ui_iommufd *ctx = bound->ctx;
	bool hold = bound->hold;

	pthread_mutex_lock(&ctx->attach);
	bound->leaving = true;
	while (!ui_list_empty(&bound->attachments)) {
		/* Whoever unbinds is not inside a section. */
		int ret = detach_unlock(bound, ui_container_of(bound->attachments.next, struct tie, link));

		ui_assert(!ret);
		pthread_mutex_lock(&ctx->attach);
	}
	if (bound->vdevice)
		ui_vdevice_unbind(bound);
	forget_requests(bound);
	ui_list_del(&bound->link);
	pthread_mutex_unlock(&ctx->attach);
	ui_obj_retire(ctx, &bound->obj);
	ui_device_release(bound->dev, ctx);
	ui_free(bound);
	if (hold)
		ui_iommufd_close(ctx);
}

const struct ui_binder_ops ui_iommufd_binder_ops = {
	.bind = binder_bind,
	.attach = binder_attach,
	.detach = binder_detach,
	.unbind = ui_bound_unbind,
	.tie_group = ui_iommufd_tie_group,
	.untie_group = ui_iommufd_untie_group,
	.open_device = ui_iommufd_open_device,
	.close_device = ui_bound_unbind,
};

struct ui_binder ui_iommufd_binder(struct ui_iommufd *ctx)
{
	return (struct ui_binder){ .ops = ctx->type1 ? &ui_type1_binder_ops : &ui_iommufd_binder_ops, .ctx = ctx };
}

static int hw_info(struct ui_device *dev, struct ui_uapi_hw_info *cmd)
{
	u32 room = cmd->data_len, wanted = cmd->flags & UI_UAPI_HW_INFO_INPUT_TYPE ? cmd->out_data_type : 0;
	struct ui_hw_info info = { 0 };
	u32 n;

	ui_device_driver(dev)->hw_info(dev, &info);
	/* A driver that has nothing to tell is not asked for a type either. */
	if (info.type && wanted && wanted != info.type)
		return -EOPNOTSUPP;
	n = info.data_bytes < room ? info.data_bytes : room;
	if (ui_user_write(cmd->data_uptr, info.data, n) || ui_user_fill(cmd->data_uptr + n, 0, room - n))
		return -EFAULT;
	cmd->data_len = info.data_bytes;
	cmd->out_data_type = info.type;
	cmd->out_max_pasid_log2 = ui_device_pasid_bits(dev);
	/* The driver tells what the kind can; these are the device's. */
	cmd->out_capabilities = info.capabilities & ~(u64)UI_UAPI_HW_CAP_DIRTY_TRACKING;
	if (ui_device_dirty_capable(dev))
		cmd->out_capabilities |= UI_UAPI_HW_CAP_DIRTY_TRACKING;
	if (!ui_device_pasid_bits(dev))
		cmd->out_capabilities &= ~(u64)(UI_UAPI_HW_CAP_PASID_EXEC | UI_UAPI_HW_CAP_PASID_PRIV);
	return 0;
}

int ui_cmd_get_hw_info(struct ui_call *call)
{
	struct ui_uapi_hw_info *cmd = call->cmd;
	struct ui_bound *bound;
	int ret;

	if ((cmd->flags & ~(u32)UI_UAPI_HW_INFO_INPUT_TYPE) || cmd->__reserved[0] || cmd->__reserved[1] || cmd->__reserved[2])
		return -EOPNOTSUPP;
	bound = ui_obj_get(call->ctx, cmd->dev_id, UI_OBJ_DEVICE);
	if (!bound)
		return -ENOENT;
	ret = hw_info(bound->dev, cmd);
	ui_obj_put(call->ctx, &bound->obj);
	return ret ? ret : ui_call_respond(call);
}
