/* SPDX-License-Identifier: MIT */
/* The mock's devices: each is made, bound to the context and attached by one call, and goes with its object. */
#include "base/alloc.h"
#include "mock/priv.h"

#include <errno.h>
#include <stdio.h>

static int device_create(struct ui_mock_dev *mdev, u32 flags)
{
	struct ui_mock *mock = mdev->mock;
	struct ui_device_cfg cfg = { .pasid_bits = flags & MOCK_DEV_PASID ? MOCK_PASID_BITS : 0, .priv = mdev };
	char name[32];
	int ret;

	mdev->flags = flags;
	for (unsigned i = 0; i < MOCK_N_WORDS; i++)
		atomic_init(&mdev->cache[i], MOCK_CACHE_DEFAULT);
	pthread_mutex_lock(&mock->lock);
	ret = ui_ids_reserve(&mock->rids, &mdev->rid);
	pthread_mutex_unlock(&mock->lock);
	if (ret)
		return ret;
	snprintf(name, sizeof(name), "mock%u", mdev->rid);
	cfg.rid = mdev->rid;
	cfg.name = name;
	mdev->dev = ui_device_create(mock->iommu, &cfg);
	if (mdev->dev)
		return 0;
	pthread_mutex_lock(&mock->lock);
	ui_ids_free(&mock->rids, mdev->rid);
	pthread_mutex_unlock(&mock->lock);
	return -ENOMEM;
}

static void device_destroy(struct ui_mock_dev *mdev)
{
	struct ui_mock *mock = mdev->mock;

	ui_device_destroy(mdev->dev);
	pthread_mutex_lock(&mock->lock);
	ui_ids_free(&mock->rids, mdev->rid);
	pthread_mutex_unlock(&mock->lock);
}

/* The end of the object, after which no call holds it. */
static void stdev_destroy(struct ui_iommufd *ctx, struct ui_obj *obj)
{
	struct ui_mock_dev *mdev = ui_container_of(obj, struct ui_mock_dev, obj);

	ui_bound_unbind(mdev->bound);
	device_destroy(mdev);
	ui_free(mdev);
}

long ui_mock_domain(struct ui_mock_call *call, u32 dev_flags)
{
	struct ui_iommufd *ctx = call->ctx;
	u32 pt_id = call->cmd.id;
	struct ui_mock_dev *mdev;
	int ret;

	if (dev_flags & ~(u32)(MOCK_DEV_NO_DIRTY | MOCK_DEV_PASID))
		return -EINVAL;
	ret = ui_obj_new(ctx, UI_OBJ_SELFTEST, sizeof(*mdev), &mdev);
	if (ret)
		return ret;
	mdev->mock = call->mctx->mock;
	mdev->obj.destroy = stdev_destroy;
	ret = device_create(mdev, dev_flags);
	if (ret)
		goto err_obj;
	/* It goes with the context's objects at the latest, so it need not keep the context. */
	ret = ui_bound_bind(ctx, mdev->dev, false, &mdev->bound);
	if (ret)
		goto err_device;
	ret = ui_bound_attach(mdev->bound, 0, &pt_id);
	if (ret)
		goto err_bound;
	call->cmd.mock_domain.out_stdev_id = mdev->obj.id;
	call->cmd.mock_domain.out_hwpt_id = pt_id;
	call->cmd.mock_domain.out_idev_id = ui_bound_id(mdev->bound);
	ret = (int)ui_mock_respond(call);
	if (ret)
		goto err_bound;
	ui_obj_finalize(ctx, &mdev->obj);
	return 0;

err_bound:
	ui_bound_unbind(mdev->bound);
err_device:
	device_destroy(mdev);
err_obj:
	ui_obj_abort(ctx, &mdev->obj);
	return ret;
}

static struct ui_mock_dev *get_stdev(struct ui_mock_call *call)
{
	struct ui_obj *obj = ui_obj_get(call->ctx, call->cmd.id, UI_OBJ_SELFTEST);

	return obj ? ui_container_of(obj, struct ui_mock_dev, obj) : NULL;
}

long ui_mock_domain_replace(struct ui_mock_call *call)
{
	struct ui_mock_dev *mdev = get_stdev(call);
	long ret;

	if (!mdev)
		return -ENOENT;
	ret = ui_bound_replace(mdev->bound, 0, &call->cmd.replace.pt_id);
	ui_obj_put(call->ctx, &mdev->obj);
	return ret ? ret : ui_mock_respond(call);
}

long ui_mock_pasid_attach(struct ui_mock_call *call)
{
	struct ui_mock_dev *mdev = get_stdev(call);
	u32 pasid = call->cmd.pasid.pasid;
	long ret;

	if (!mdev)
		return -ENOENT;
	ret = ui_bound_attach(mdev->bound, pasid, &call->cmd.pasid.pt_id);
	if (!ret) {
		ret = ui_mock_respond(call);
		if (ret)
			ui_bound_detach(mdev->bound, pasid);
	}
	ui_obj_put(call->ctx, &mdev->obj);
	return ret;
}

long ui_mock_pasid_replace(struct ui_mock_call *call)
{
	struct ui_mock_dev *mdev = get_stdev(call);
	long ret;

	if (!mdev)
		return -ENOENT;
	ret = ui_bound_replace(mdev->bound, call->cmd.pasid.pasid, &call->cmd.pasid.pt_id);
	ui_obj_put(call->ctx, &mdev->obj);
	return ret ? ret : ui_mock_respond(call);
}

long ui_mock_pasid_detach(struct ui_mock_call *call)
{
	struct ui_mock_dev *mdev = get_stdev(call);

	if (!mdev)
		return -ENOENT;
	ui_bound_detach(mdev->bound, call->cmd.pasid.pasid);
	ui_obj_put(call->ctx, &mdev->obj);
	return 0;
}

long ui_mock_pasid_check(struct ui_mock_call *call)
{
	u32 pasid = call->cmd.pasid.pasid, hwpt_id = call->cmd.pasid.pt_id, found = 0;
	struct ui_mock_dev *mdev = get_stdev(call);
	void *label;

	if (!mdev)
		return -ENOENT;
	/* The lock keeps what is attached alive. */
	pthread_mutex_lock(&call->ctx->attach);
	if (ui_device_attached(mdev->dev, pasid, pasid != 0, &label))
		found = ((const struct ui_hwpt *)label)->obj.id;
	pthread_mutex_unlock(&call->ctx->attach);
	ui_obj_put(call->ctx, &mdev->obj);
	return found == hwpt_id ? 0 : -EINVAL;
}

/* The mock's device behind a DEVICE object; NULL: another kind's. */
static struct ui_mock_dev *mock_of(const struct ui_bound *bound)
{
	struct ui_device *dev = ui_bound_device(bound);

	return ui_device_driver(dev) == &ui_mock_driver ? ui_device_priv(dev) : NULL;
}

long ui_mock_check_cache(struct ui_mock_call *call)
{
	u32 index = call->cmd.check_word.id;
	struct ui_bound *bound = ui_obj_get(call->ctx, call->cmd.id, UI_OBJ_DEVICE);
	struct ui_mock_dev *mdev = bound ? mock_of(bound) : NULL;
	bool same = false;

	if (!bound)
		return -ENOENT;
	if (mdev && index < MOCK_N_WORDS)
		same = atomic_load_explicit(&mdev->cache[index], memory_order_relaxed) == call->cmd.check_word.word;
	ui_obj_put(call->ctx, (struct ui_obj *)bound);
	return same ? 0 : -EINVAL;
}

long ui_mock_trigger_iopf(struct ui_mock_call *call)
{
	struct ui_bound *bound = ui_obj_get(call->ctx, call->cmd.iopf.dev_id, UI_OBJ_DEVICE);
	struct ui_page_request request = {
		.pasid = call->cmd.iopf.pasid,
		.has_pasid = call->cmd.iopf.pasid != 0,
		.last = true,
		.group = call->cmd.iopf.grpid,
		.access = call->cmd.iopf.perm,
		.iova = call->cmd.iopf.addr,
	};

	if (!bound)
		return -ENOENT;
	request.dev = ui_bound_device(bound);
	ui_device_page_request(&request);
	ui_obj_put(call->ctx, (struct ui_obj *)bound);
	return 0;
}

/* Under ctx->attach, so that neither the vdevice nor what is attached goes. */
static int report_event(struct ui_device *dev)
{
	const struct ui_domain *domain = ui_device_attached(dev, 0, false, NULL);
	struct ui_viommu *viommu = domain ? ui_mock_domain_viommu(domain) : NULL;
	const struct ui_vdevice *vdevice = ui_device_vdevice(dev);
	u32 event;

	if (!viommu || !vdevice || vdevice->viommu != viommu || !vdevice->virt_id)
		return -ENOENT;
	event = (u32)vdevice->virt_id;
	return viommu->host->report(viommu, MOCK_VEVENTQ_TYPE, &event, sizeof(event));
}

long ui_mock_trigger_vevent(struct ui_mock_call *call)
{
	struct ui_bound *bound = ui_obj_get(call->ctx, call->cmd.vevent.dev_id, UI_OBJ_DEVICE);
	int ret = -ENOENT;

	if (!bound)
		return -ENOENT;
	pthread_mutex_lock(&call->ctx->attach);
	if (mock_of(bound))
		ret = report_event(ui_bound_device(bound));
	pthread_mutex_unlock(&call->ctx->attach);
	ui_obj_put(call->ctx, (struct ui_obj *)bound);
	return ret;
}
