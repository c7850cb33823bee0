/* SPDX-License-Identifier: MIT */
/* What a VFIO device says about itself, and the calls that this kind of device does not have. */
#include "vfio/vfio_priv.h"

#include "base/bits.h"
#include "base/user.h"

#include <errno.h>

/* Copies the first @min bytes of the argument in; it must say that it has at least as many. */
static long get(void *to, u64 arg, u32 min)
{
	if (ui_user_read(to, arg, min))
		return -EFAULT;
	return *(const u32 *)to < min ? -EINVAL : 0; /* argsz comes first in every struct */
}

static long put(u64 arg, const void *from, u64 n_bytes)
{
	return ui_user_write(arg, from, n_bytes);
}

long ui_vfio_get_info(struct ui_vfio *v, u64 arg)
{
	struct ui_vfio_info info = { 0 };
	long ret = get(&info, arg, UI_VFIO_MIN(struct ui_vfio_info, num_irqs));

	if (ret)
		return ret;
	info.flags = UI_VFIO_INFO_RESET | UI_VFIO_INFO_PCI;
	info.num_regions = UI_VFIO_N_REGIONS;
	info.num_irqs = UI_VFIO_N_IRQS;
	return put(arg, &info, ui_min(info.argsz, sizeof(info)));
}

long ui_vfio_get_region_info(struct ui_vfio *v, u64 arg)
{
	const struct ui_pci_model *model = ui_pci_model(v->pci);
	struct ui_vfio_region_info info;
	long ret = get(&info, arg, UI_VFIO_MIN(struct ui_vfio_region_info, offset));

	if (ret)
		return ret;
	if (info.index >= UI_VFIO_VGA) /* no VGA, no regions of the device's own */
		return -EINVAL;
	info.offset = (u64)info.index << UI_VFIO_REGION_SHIFT;
	info.size = 0;
	info.flags = 0;
	info.cap_offset = 0;
	if (info.index == UI_VFIO_CONFIG) {
		info.size = PCI_CFG_BYTES;
		info.flags = UI_VFIO_REGION_READ | UI_VFIO_REGION_WRITE;
	} else if (info.index < UI_PCI_N_BARS && model->bars[info.index].n_bytes) {
		info.size = model->bars[info.index].n_bytes;
		info.flags = UI_VFIO_REGION_READ | UI_VFIO_REGION_WRITE;
		if (model->bars[info.index].mappable)
			info.flags |= UI_VFIO_REGION_MMAP;
	}
	return put(arg, &info, sizeof(info));
}

u32 ui_vfio_irq_count(struct ui_vfio *v, u32 index)
{
	const struct ui_pci_model *model = ui_pci_model(v->pci);

	switch (index) {
	case UI_VFIO_INTX:
		return model->pin ? 1 : 0;
	case UI_VFIO_MSI:
		return model->n_msi_lg2 == 0xff ? 0 : 1u << model->n_msi_lg2;
	case UI_VFIO_MSIX:
		return model->n_msix;
	case UI_VFIO_ERR:
	case UI_VFIO_REQ:
		return 1;
	default:
		return 0;
	}
}

long ui_vfio_get_irq_info(struct ui_vfio *v, u64 arg)
{
	struct ui_vfio_irq_info info;
	long ret = get(&info, arg, UI_VFIO_MIN(struct ui_vfio_irq_info, count));

	if (ret)
		return ret;
	if (info.index >= UI_VFIO_N_IRQS)
		return -EINVAL;
	info.flags = UI_VFIO_IRQ_EVENTFD;
	if (info.index == UI_VFIO_INTX)
		info.flags |= UI_VFIO_IRQ_MASKABLE | UI_VFIO_IRQ_AUTOMASKED;
	else if (info.index != UI_VFIO_MSIX) /* MSI-X vectors may be added later, one by one */
		info.flags |= UI_VFIO_IRQ_NORESIZE;
	info.count = ui_vfio_irq_count(v, info.index);
	return put(arg, &info, sizeof(info));
}

long ui_vfio_feature(struct ui_vfio *v, u64 arg)
{
	const u32 ops = UI_VFIO_FEATURE_GET | UI_VFIO_FEATURE_SET;
	struct ui_vfio_feature f;
	long ret = get(&f, arg, UI_VFIO_MIN(struct ui_vfio_feature, flags));

	if (ret)
		return ret;
	if (f.flags & ~(UI_VFIO_FEATURE_ID | ops | UI_VFIO_FEATURE_PROBE))
		return -EINVAL;
	if (!(f.flags & UI_VFIO_FEATURE_PROBE) && (f.flags & ops) == ops)
		return -EINVAL;
	/* No feature is there; this one says it differently, as the kernel does. */
	return (f.flags & UI_VFIO_FEATURE_ID) == UI_VFIO_FEATURE_PRECOPY_INFO_V2 ? -EINVAL : -ENOTTY;
}

long ui_vfio_hot_reset_info(struct ui_vfio *v, u64 arg)
{
	struct ui_vfio_hot_reset hdr;
	long ret = get(&hdr, arg, UI_VFIO_MIN(struct ui_vfio_hot_reset, count));

	return ret ? ret : -ENODEV; /* neither bus nor slot can be reset */
}

long ui_vfio_hot_reset(struct ui_vfio *v, u64 arg)
{
	struct ui_vfio_hot_reset hdr;
	long ret = get(&hdr, arg, UI_VFIO_MIN(struct ui_vfio_hot_reset, count));

	if (ret)
		return ret;
	/* A list of groups is for descriptors that came from a group, and they must have one. */
	return hdr.flags || !hdr.count == v->tied ? -EINVAL : -ENODEV;
}
