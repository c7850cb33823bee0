/* SPDX-License-Identifier: MIT */
/* An open VFIO device: life, dispatch, BIND, ATTACH, DETACH, RESET. */
#include "vfio/vfio_priv.h"
#include "vfio/group.h"

#include "base/alloc.h"
#include "base/bits.h"
#include "base/user.h"

#include <errno.h>

struct ui_vfio *ui_vfio_open(struct ui_pci *pci, struct ui_device *dev, ui_vfio_binder_fn binder, void *arg)
{
	struct ui_vfio *v = ui_zalloc(sizeof(*v));

	if (!v)
		return NULL;
	ui_assert(ui_pci_model(pci)->n_msix <= VFIO_MAX_VECTORS);
	v->pci = pci;
	v->dev = dev;
	v->binder_fn = binder;
	v->binder_arg = arg;
	pthread_mutex_init(&v->bind_lock, NULL);
	pthread_mutex_init(&v->lock, NULL);
	pthread_mutex_init(&v->irq_lock, NULL);
	ui_vfio_irqs_init(&v->irqs);
	return v;
}

/* What an operating system leaves a function with that it hands to user space: BARs decoded, no bus master, PASIDs on (its
 * IOMMU driver switches them on; user space cannot even see the capability). */
static void function_enable(struct ui_vfio *v)
{
	u8 cmd[2], ctrl[2];

	ui_pci_reset(v->pci);
	ui_pci_put16(cmd, PCI_CMD_MEM);
	ui_pci_config_write(v->pci, PCI_CFG_COMMAND, cmd, sizeof(cmd));
	if (ui_pci_pasid_bits(v->pci)) {
		ui_pci_put16(ctrl, PCI_PASID_ENABLE);
		ui_pci_config_write(v->pci, PCI_CFG_ECAPS + PCI_PASID_CTRL, ctrl, sizeof(ctrl));
	}
	ui_vfio_config_build(v);
}

static void function_disable(struct ui_vfio *v)
{
	pthread_mutex_lock(&v->lock);
	ui_vfio_irqs_disable(v);
	pthread_mutex_unlock(&v->lock);
	ui_pci_reset(v->pci); /* clears bus mastering: no DMA from here on */
	ui_pci_unclaim(v->pci);
}

void ui_vfio_set_group(struct ui_vfio *v, struct ui_vfio_group *group)
{
	v->group = group;
}

void ui_vfio_close(struct ui_vfio *v)
{
	if (v->bound) {
		function_disable(v);
		if (v->tied)
			v->binder.ops->close_device(v->bound);
		else
			v->binder.ops->unbind(v->bound);
	}
	if (ui_vfio_keeps_group(v))
		ui_vfio_group_closed_device(v->group);
	if (v->blocks)
		ui_vfio_group_unblock(v->group);
	pthread_mutex_destroy(&v->bind_lock);
	pthread_mutex_destroy(&v->lock);
	pthread_mutex_destroy(&v->irq_lock);
	ui_free(v);
}

/* ---- BIND ---- */

static long bind_read(u64 arg, struct ui_vfio_bind *b)
{
	u32 argsz;
	int ret = 0;

	if (ui_user_read(&argsz, arg, sizeof(argsz)))
		return -EFAULT;
	if (argsz < UI_VFIO_MIN(struct ui_vfio_bind, out_devid))
		return -EINVAL;
	if (argsz > sizeof(*b))
		ret = ui_user_zeros(arg + sizeof(*b), argsz - sizeof(*b));
	if (ret)
		return ret;
	*b = (struct ui_vfio_bind){ 0 };
	return ui_user_read(b, arg, ui_min(argsz, sizeof(*b)));
}

/* No function here has a token, so none may be given. */
static int token_check(const struct ui_vfio_bind *b)
{
	u8 uuid[UI_VFIO_TOKEN_BYTES];

	if (!(b->flags & UI_VFIO_BIND_TOKEN))
		return 0;
	return ui_user_read(uuid, b->token_uuid_ptr, sizeof(uuid)) ? -EFAULT : -EINVAL;
}

/* With nothing bound: @tie NULL for the device's own file. On failure nothing is. */
static int bind_function(struct ui_vfio *v, struct ui_group_tie *tie, u32 *id)
{
	const struct ui_pci_sink sink = { .intx = ui_vfio_sink_intx, .msg = ui_vfio_sink_msg, .arg = v };
	const struct ui_binder_ops *ops = v->binder.ops;
	int ret;

	if (!ui_pci_claim(v->pci, &sink))
		return -EINVAL; /* bound through another descriptor */
	ret = tie ? ops->open_device(tie, v->dev, &v->bound) : ops->bind(v->binder.ctx, v->dev, id, &v->bound);
	if (ret) {
		ui_pci_unclaim(v->pci);
		v->bound = NULL;
		return ret;
	}
	pthread_mutex_lock(&v->lock);
	function_enable(v);
	pthread_mutex_unlock(&v->lock);
	return 0;
}

int ui_vfio_open_tied(struct ui_vfio *v, const struct ui_binder *binder, struct ui_group_tie *tie)
{
	int ret;

	v->binder = *binder;
	ret = bind_function(v, tie, NULL);
	if (ret)
		return ret;
	v->tied = true;
	/* Nobody else knows @v yet; as in BIND all the same. */
	atomic_store_explicit(&v->granted, true, memory_order_release);
	return 0;
}

/* With bind_lock held and nothing bound. On failure nothing is. */
static int bind_to(struct ui_vfio *v, int iommufd, u32 *id)
{
	int ret = v->binder_fn(v->binder_arg, iommufd, &v->binder);

	if (ret)
		return ret;
	return v->binder.ops->bind ? bind_function(v, NULL, id) : -EBADFD;
}

static long bind_locked(struct ui_vfio *v, u64 arg, const struct ui_vfio_bind *b)
{
	u64 out = arg + offsetof(struct ui_vfio_bind, out_devid);
	u32 id;
	long ret;

	if (v->bound)
		return -EINVAL;
	ret = token_check(b);
	if (!ret)
		ret = bind_to(v, b->iommufd, &id);
	if (ret)
		return ret;
	if (ui_user_write(out, &id, sizeof(id))) {
		function_disable(v);
		v->binder.ops->unbind(v->bound);
		v->bound = NULL;
		return -EFAULT;
	}
	/* Release: whoever sees it sees the device bound and its configuration built (acquire in every other call). */
	atomic_store_explicit(&v->granted, true, memory_order_release);
	return 0;
}

static long ioctl_bind(struct ui_vfio *v, u64 arg)
{
	struct ui_vfio_bind b;
	long ret = bind_read(arg, &b);

	if (ret)
		return ret;
	if (b.iommufd < 0 || (b.flags & ~(u32)UI_VFIO_BIND_TOKEN) || v->tied)
		return -EINVAL;
	/* The group's lock comes before ours: so a second BIND, whose answer is known, asks the group once more. */
	if (v->group)
		ret = ui_vfio_group_block(v->group);
	if (ret)
		return ret;
	pthread_mutex_lock(&v->bind_lock);
	ret = bind_locked(v, arg, &b);
	v->blocks |= !ret && v->group;
	pthread_mutex_unlock(&v->bind_lock);
	if (ret && v->group)
		ui_vfio_group_unblock(v->group);
	return ret;
}

/* ---- ATTACH, DETACH ---- */

/*
 * Reads the argument of either: @min bytes always, up to @full with a PASID. *@has_pasid says which. Every struct starts with
 * argsz and flags.
 */
static long pt_read(u64 arg, void *to, u32 min, u32 full, bool *has_pasid)
{
	const u32 *words = to;

	if (ui_user_read(to, arg, min))
		return -EFAULT;
	if (words[0] < min || (words[1] & ~(u32)UI_VFIO_PT_PASID))
		return -EINVAL;
	*has_pasid = words[1] & UI_VFIO_PT_PASID;
	if (!*has_pasid)
		return 0;
	if (words[0] < full)
		return -EINVAL;
	return ui_user_read((u8 *)to + min, arg + min, full - min);
}

static long ioctl_attach(struct ui_vfio *v, u64 arg)
{
	const u32 min = UI_VFIO_MIN(struct ui_vfio_attach, pt_id), full = UI_VFIO_MIN(struct ui_vfio_attach, pasid);
	struct ui_vfio_attach a = { 0 };
	bool has_pasid;
	long ret = pt_read(arg, &a, min, full, &has_pasid);

	if (ret)
		return ret;
	pthread_mutex_lock(&v->bind_lock);
	ret = v->binder.ops->attach(v->bound, a.pasid, has_pasid, &a.pt_id);
	if (!ret && ui_user_write(arg + offsetof(struct ui_vfio_attach, pt_id), &a.pt_id, sizeof(a.pt_id))) {
		v->binder.ops->detach(v->bound, a.pasid, has_pasid);
		ret = -EFAULT;
	}
	pthread_mutex_unlock(&v->bind_lock);
	return ret;
}

static long ioctl_detach(struct ui_vfio *v, u64 arg)
{
	const u32 min = UI_VFIO_MIN(struct ui_vfio_detach, flags), full = UI_VFIO_MIN(struct ui_vfio_detach, pasid);
	struct ui_vfio_detach d = { 0 };
	bool has_pasid;
	long ret = pt_read(arg, &d, min, full, &has_pasid);

	if (ret)
		return ret;
	pthread_mutex_lock(&v->bind_lock);
	v->binder.ops->detach(v->bound, d.pasid, has_pasid);
	pthread_mutex_unlock(&v->bind_lock);
	return 0;
}

/* ---- dispatch ---- */

static long ioctl_reset(struct ui_vfio *v)
{
	pthread_mutex_lock(&v->lock);
	ui_pci_reset_restore(v->pci);
	pthread_mutex_unlock(&v->lock);
	return 0;
}

long ui_vfio_ioctl(struct ui_vfio *v, u32 cmd, u64 arg)
{
	if (cmd == UI_VFIO_BIND)
		return ioctl_bind(v, arg);
	if (!atomic_load_explicit(&v->granted, memory_order_acquire)) /* pairs with BIND's store */
		return -EINVAL;
	switch (cmd) {
	case UI_VFIO_ATTACH:
		return v->tied ? -ENOTTY : ioctl_attach(v, arg);
	case UI_VFIO_DETACH:
		return v->tied ? -ENOTTY : ioctl_detach(v, arg);
	case UI_VFIO_FEATURE:
		return ui_vfio_feature(v, arg);
	case UI_VFIO_GET_INFO:
		return ui_vfio_get_info(v, arg);
	case UI_VFIO_GET_REGION_INFO:
		return ui_vfio_get_region_info(v, arg);
	case UI_VFIO_GET_IRQ_INFO:
		return ui_vfio_get_irq_info(v, arg);
	case UI_VFIO_SET_IRQS:
		return ui_vfio_set_irqs(v, arg);
	case UI_VFIO_RESET:
		return ioctl_reset(v);
	case UI_VFIO_GET_HOT_RESET_INFO:
		return ui_vfio_hot_reset_info(v, arg);
	case UI_VFIO_HOT_RESET:
		return ui_vfio_hot_reset(v, arg);
	default:
		return -ENOTTY; /* IOEVENTFD too: what it saves is a trip that does not exist here */
	}
}
