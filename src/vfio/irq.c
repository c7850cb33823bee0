/* SPDX-License-Identifier: MIT */
/*
 * Interrupts of a VFIO device: SET_IRQS, the automask machine of INTx, delivery to eventfds.
 *
 * INTx: the line is level, eventfds are edges. When the line rises and is not masked, it is masked and the eventfd is
 * signalled once. Unmasking while the line is still up signals again and stays masked. DisINTx of the virtual COMMAND
 * masks, and holds back loopback triggers too.
 */
#include "vfio/vfio_priv.h"

#include "base/bits.h"
#include "base/ownfd.h"
#include "base/user.h"

#include <errno.h>

void ui_vfio_irqs_init(struct vfio_irqs *irqs)
{
	irqs->type = VFIO_IRQ_NONE;
	irqs->intx = irqs->unmask = irqs->single[0] = irqs->single[1] = -1;
	for (unsigned i = 0; i < VFIO_MAX_VECTORS; i++)
		irqs->vectors[i] = -1;
}

/* ---- INTx; with irq_lock held ---- */

static void intx_signal(struct vfio_irqs *irqs)
{
	if (irqs->type == UI_VFIO_INTX && !irqs->disabled)
		ui_vfio_eventfd_signal(irqs->intx);
}

static void intx_asserted(struct vfio_irqs *irqs)
{
	if (irqs->type != UI_VFIO_INTX || !irqs->level || irqs->masked)
		return;
	irqs->masked = true;
	intx_signal(irqs);
}

static void intx_unmask(struct vfio_irqs *irqs)
{
	if (irqs->type != UI_VFIO_INTX || !irqs->masked || irqs->disabled)
		return;
	irqs->masked = false;
	intx_asserted(irqs);
}

void ui_vfio_sink_intx(void *arg, bool level)
{
	struct ui_vfio *v = arg;

	pthread_mutex_lock(&v->irq_lock);
	v->irqs.level = level;
	intx_asserted(&v->irqs);
	pthread_mutex_unlock(&v->irq_lock);
}

void ui_vfio_sink_msg(void *arg, bool msix, unsigned vector)
{
	struct ui_vfio *v = arg;

	pthread_mutex_lock(&v->irq_lock);
	if (v->irqs.type == (msix ? (unsigned)UI_VFIO_MSIX : (unsigned)UI_VFIO_MSI) && vector < VFIO_MAX_VECTORS)
		ui_vfio_eventfd_signal(v->irqs.vectors[vector]);
	pthread_mutex_unlock(&v->irq_lock);
}

void ui_vfio_intx_disable_bit(struct ui_vfio *v, bool disabled)
{
	pthread_mutex_lock(&v->irq_lock);
	if (disabled != v->irqs.disabled) {
		v->irqs.disabled = disabled;
		if (disabled)
			v->irqs.masked = true;
		else
			intx_unmask(&v->irqs);
	}
	pthread_mutex_unlock(&v->irq_lock);
}

/* ---- the unmask eventfd ---- */

int ui_vfio_unmask_fd(struct ui_vfio *v)
{
	int fd;

	pthread_mutex_lock(&v->irq_lock);
	fd = ui_ownfd_at(v->irqs.unmask);
	pthread_mutex_unlock(&v->irq_lock);
	return fd;
}

void ui_vfio_unmask_fired(struct ui_vfio *v)
{
	pthread_mutex_lock(&v->irq_lock);
	if (ui_vfio_eventfd_take(v->irqs.unmask))
		intx_unmask(&v->irqs);
	pthread_mutex_unlock(&v->irq_lock);
}

void ui_vfio_set_unmask_watch(struct ui_vfio *v, void (*changed)(void *arg), void *arg)
{
	v->unmask_changed = changed;
	v->unmask_arg = arg;
}

/* Swaps in @fd (ours, or -1). Called without irq_lock. */
static void unmask_set(struct ui_vfio *v, int fd)
{
	int old;

	pthread_mutex_lock(&v->irq_lock);
	old = v->irqs.unmask;
	v->irqs.unmask = fd;
	pthread_mutex_unlock(&v->irq_lock);
	if (old == fd)
		return;
	ui_vfio_eventfd_put(old);
	if (v->unmask_changed)
		v->unmask_changed(v->unmask_arg);
}

/* ---- changes; with lock held ---- */

/* Puts @fd (ours, or -1) into @slot of the irqs and closes what was there. */
static void slot_set(struct ui_vfio *v, int *slot, int fd)
{
	int old;

	pthread_mutex_lock(&v->irq_lock);
	old = *slot;
	*slot = fd;
	pthread_mutex_unlock(&v->irq_lock);
	ui_vfio_eventfd_put(old);
}

static void type_set(struct ui_vfio *v, unsigned type)
{
	pthread_mutex_lock(&v->irq_lock);
	v->irqs.type = type;
	pthread_mutex_unlock(&v->irq_lock);
}

/* As the kernel, one vector: what it had is gone first, whatever becomes of the new one. */
static int vector_set(struct ui_vfio *v, unsigned vector, s32 fd)
{
	bool msix = v->irqs.type == UI_VFIO_MSIX;
	int own;

	if (msix)
		ui_pci_msix_mask(v->pci, vector, true);
	slot_set(v, &v->irqs.vectors[vector], -1);
	if (fd < 0)
		return 0;
	if (!msix && vector >= v->irqs.n_msi)
		return -EINVAL;
	own = ui_vfio_eventfd_get(fd);
	if (own < 0)
		return own;
	slot_set(v, &v->irqs.vectors[vector], own);
	if (msix)
		ui_pci_msix_mask(v->pci, vector, false);
	return 0;
}

static int block_set(struct ui_vfio *v, u32 start, u32 count, const s32 *fds)
{
	u32 i;
	int ret = 0;

	for (i = 0; i < count && !ret; i++)
		ret = vector_set(v, start + i, fds[i]);
	while (ret && i--)
		vector_set(v, start + i, -1);
	return ret;
}

static void msi_disable(struct ui_vfio *v)
{
	for (unsigned i = 0; i < ui_vfio_irq_count(v, v->irqs.type); i++)
		vector_set(v, i, -1);
	ui_pci_irq_mode(v->pci, UI_PCI_IRQ_PIN, 0);
	type_set(v, VFIO_IRQ_NONE);
}

static int msi_enable(struct ui_vfio *v, u32 index, u32 n, u32 start, u32 count, const s32 *fds)
{
	int ret;

	if (!n)
		return -ERANGE;
	if (index == UI_VFIO_MSI) {
		v->cfg.msi_lg2 = (u8)ui_ceil_lg2(n);
		v->irqs.n_msi = n;
	}
	type_set(v, index);
	ui_pci_irq_mode(v->pci, index == UI_VFIO_MSI ? UI_PCI_IRQ_MSI : UI_PCI_IRQ_MSIX, n);
	ret = block_set(v, start, count, fds);
	if (ret)
		msi_disable(v);
	return ret;
}

static void intx_disable(struct ui_vfio *v)
{
	unmask_set(v, -1);
	slot_set(v, &v->irqs.intx, -1);
	type_set(v, VFIO_IRQ_NONE);
}

static void intx_enable(struct ui_vfio *v, int own)
{
	slot_set(v, &v->irqs.intx, own);
	pthread_mutex_lock(&v->irq_lock);
	if (v->irqs.type != UI_VFIO_INTX) {
		v->irqs.type = UI_VFIO_INTX;
		v->irqs.masked = v->irqs.disabled;
		intx_asserted(&v->irqs);
	}
	pthread_mutex_unlock(&v->irq_lock);
}

void ui_vfio_irqs_disable(struct ui_vfio *v)
{
	if (v->irqs.type == UI_VFIO_INTX)
		intx_disable(v);
	else if (v->irqs.type != VFIO_IRQ_NONE)
		msi_disable(v);
	slot_set(v, &v->irqs.single[0], -1);
	slot_set(v, &v->irqs.single[1], -1);
}

/* ---- SET_IRQS ---- */

struct request {
	u32 flags, index, start, count;
	union {
		s32 fds[VFIO_MAX_VECTORS];
		u8 bools[VFIO_MAX_VECTORS];
	};
};

/* NONE selects all, BOOL those that are not 0. */
static bool selected(const struct request *r, u32 i)
{
	return (r->flags & UI_VFIO_DATA_NONE) || r->bools[i];
}

static long intx_trigger(struct ui_vfio *v, const struct request *r)
{
	bool on = v->irqs.type == UI_VFIO_INTX;
	int own = -1;

	if (on && !r->count && (r->flags & UI_VFIO_DATA_NONE)) {
		intx_disable(v);
		return 0;
	}
	if ((!on && v->irqs.type != VFIO_IRQ_NONE) || r->start || r->count != 1)
		return -EINVAL;
	if (r->flags & UI_VFIO_DATA_EVENTFD) {
		if (r->fds[0] >= 0)
			own = ui_vfio_eventfd_get(r->fds[0]);
		if (r->fds[0] >= 0 && own < 0)
			return own;
		intx_enable(v, own);
		return 0;
	}
	if (!on)
		return -EINVAL;
	if (selected(r, 0)) {
		pthread_mutex_lock(&v->irq_lock);
		intx_signal(&v->irqs);
		pthread_mutex_unlock(&v->irq_lock);
	}
	return 0;
}

static long unmask_arm(struct ui_vfio *v, s32 fd)
{
	int own;

	if (fd < 0) {
		unmask_set(v, -1);
		return 0;
	}
	own = ui_vfio_eventfd_get(fd);
	if (own < 0)
		return own;
	if (v->irqs.unmask >= 0) {
		ui_vfio_eventfd_put(own);
		return -EBUSY;
	}
	unmask_set(v, own);
	ui_vfio_unmask_fired(v); /* it may have been signalled before */
	return 0;
}

static long intx_mask(struct ui_vfio *v, const struct request *r, bool mask)
{
	if (v->irqs.type != UI_VFIO_INTX || r->start || r->count != 1)
		return -EINVAL;
	if (r->flags & UI_VFIO_DATA_EVENTFD)
		return mask ? -ENOTTY : unmask_arm(v, r->fds[0]);
	if (!selected(r, 0))
		return 0;
	pthread_mutex_lock(&v->irq_lock);
	if (mask)
		v->irqs.masked = true;
	else
		intx_unmask(&v->irqs);
	pthread_mutex_unlock(&v->irq_lock);
	return 0;
}

static long msi_trigger(struct ui_vfio *v, const struct request *r)
{
	bool on = v->irqs.type == r->index;

	if (on && !r->count && (r->flags & UI_VFIO_DATA_NONE)) {
		msi_disable(v);
		return 0;
	}
	if (!on && v->irqs.type != VFIO_IRQ_NONE)
		return -EINVAL;
	if (r->flags & UI_VFIO_DATA_EVENTFD) {
		if (on)
			return block_set(v, r->start, r->count, r->fds);
		return msi_enable(v, r->index, r->start + r->count, r->start, r->count, r->fds);
	}
	if (!on)
		return -EINVAL;
	pthread_mutex_lock(&v->irq_lock);
	for (u32 i = 0; i < r->count; i++) {
		if (selected(r, i))
			ui_vfio_eventfd_signal(v->irqs.vectors[r->start + i]);
	}
	pthread_mutex_unlock(&v->irq_lock);
	return 0;
}

/* ERR and REQ: one eventfd each, which only the program itself ever triggers: this device has no errors to report and is
 * never taken away. */
static long single_trigger(struct ui_vfio *v, const struct request *r)
{
	int *slot = &v->irqs.single[r->index - UI_VFIO_ERR];
	int own = -1;

	if (r->start || r->count > 1)
		return -EINVAL;
	if (r->flags & UI_VFIO_DATA_NONE) {
		if (*slot < 0)
			return -EINVAL;
		if (r->count)
			ui_vfio_eventfd_signal(*slot);
		else
			slot_set(v, slot, -1);
		return 0;
	}
	if (!r->count)
		return -EINVAL;
	if (r->flags & UI_VFIO_DATA_BOOL) {
		if (r->bools[0])
			ui_vfio_eventfd_signal(*slot);
		return 0;
	}
	if (r->fds[0] < -1)
		return -EINVAL;
	if (r->fds[0] >= 0)
		own = ui_vfio_eventfd_get(r->fds[0]);
	if (r->fds[0] >= 0 && own < 0)
		return own;
	slot_set(v, slot, own);
	return 0;
}

static long apply(struct ui_vfio *v, const struct request *r)
{
	u32 action = r->flags & UI_VFIO_ACTIONS;

	if (r->index == UI_VFIO_INTX && action == UI_VFIO_ACTION_MASK)
		return intx_mask(v, r, true);
	if (r->index == UI_VFIO_INTX && action == UI_VFIO_ACTION_UNMASK)
		return intx_mask(v, r, false);
	if (action != UI_VFIO_ACTION_TRIGGER)
		return -ENOTTY;
	if (r->index == UI_VFIO_INTX)
		return intx_trigger(v, r);
	if (r->index == UI_VFIO_MSI || r->index == UI_VFIO_MSIX)
		return msi_trigger(v, r);
	return single_trigger(v, r);
}

/* The checks of the header, in the kernel's order. *@n_bytes: size of the data that follow it. */
static long check(struct ui_vfio *v, const struct ui_vfio_irq_set *hdr, u32 *n_bytes)
{
	u32 n_irqs = ui_vfio_irq_count(v, hdr->index);
	u32 size;

	if (hdr->argsz < sizeof(*hdr) || hdr->index >= UI_VFIO_N_IRQS || hdr->count >= UINT32_MAX - hdr->start ||
	    (hdr->flags & ~(u32)(UI_VFIO_DATA_TYPES | UI_VFIO_ACTIONS)))
		return -EINVAL;
	if (hdr->start >= n_irqs || hdr->start + hdr->count > n_irqs)
		return -EINVAL;
	switch (hdr->flags & UI_VFIO_DATA_TYPES) {
	case UI_VFIO_DATA_NONE:
		size = 0;
		break;
	case UI_VFIO_DATA_BOOL:
		size = 1;
		break;
	case UI_VFIO_DATA_EVENTFD:
		size = 4;
		break;
	default:
		return -EINVAL;
	}
	*n_bytes = hdr->count * size;
	return hdr->argsz - sizeof(*hdr) < *n_bytes ? -EINVAL : 0;
}

long ui_vfio_set_irqs(struct ui_vfio *v, u64 arg)
{
	struct ui_vfio_irq_set hdr;
	struct request r;
	u32 n_bytes;
	long ret;

	if (ui_user_read(&hdr, arg, sizeof(hdr)))
		return -EFAULT;
	ret = check(v, &hdr, &n_bytes);
	if (ret)
		return ret;
	r.flags = hdr.flags;
	r.index = hdr.index;
	r.start = hdr.start;
	r.count = hdr.count;
	if (n_bytes && ui_user_read(r.fds, arg + sizeof(hdr), n_bytes))
		return -EFAULT;
	pthread_mutex_lock(&v->lock);
	ret = apply(v, &r);
	pthread_mutex_unlock(&v->lock);
	return ret;
}
