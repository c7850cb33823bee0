/* SPDX-License-Identifier: MIT */
#include "base/alloc.h"
#include "base/log.h"
#include "core/internal.h"

#include <string.h>

static bool rid_taken(struct ui_iommu *iommu, u32 rid)
{
	ui_list_for_each(item, &iommu->devices) {
		if (ui_container_of(item, struct ui_device, link)->rid == rid)
			return true;
	}
	return false;
}

static char *copy_name(const char *name)
{
	size_t n_bytes = strlen(name) + 1;
	char *copy = ui_zalloc(n_bytes);

	return copy ? memcpy(copy, name, n_bytes) : NULL;
}

/* Under iommu->lock. */
static bool enter(struct ui_device *dev, u32 group)
{
	const struct ui_driver_ops *driver = dev->iommu->driver;

	if (rid_taken(dev->iommu, dev->rid))
		return false;
	dev->group = ui_group_join(dev, group);
	if (!dev->group)
		return false;
	if (driver->device_init && driver->device_init(dev)) {
		ui_group_leave(dev);
		return false;
	}
	ui_list_add_tail(&dev->iommu->devices, &dev->link);
	return true;
}

struct ui_device *ui_device_create(struct ui_iommu *iommu, const struct ui_device_cfg *cfg)
{
	struct ui_device *dev;
	bool ok;

	if (cfg->pasid_bits > iommu->driver->pasid_bits || cfg->pasid_bits > UI_PASID_BITS)
		return NULL;
	dev = ui_zalloc(sizeof(*dev));
	if (!dev)
		return NULL;
	dev->iommu = iommu;
	dev->stats = iommu->stats ? ui_stats_device(iommu->stats, iommu->n_stats, cfg->rid) : NULL;
	if (!dev->stats)
		dev->stats = &dev->own_stats;
	dev->rid = cfg->rid;
	dev->pasid_bits = cfg->pasid_bits;
	dev->priv = cfg->priv;
	ui_list_init(&dev->link);
	ui_list_init(&dev->group_link);
	dev->name = copy_name(cfg->name ? cfg->name : "?");
	if (!dev->name) {
		ui_free(dev);
		return NULL;
	}
	pthread_mutex_lock(&iommu->lock);
	ok = enter(dev, cfg->group);
	pthread_mutex_unlock(&iommu->lock);
	if (!ok) {
		ui_free(dev->name);
		ui_free(dev);
		return NULL;
	}
	ui_log(UI_LOG_INFO, "device %s behind iommu kind %s, %u PASID bits", dev->name, iommu->driver->name, dev->pasid_bits);
	return dev;
}

void ui_device_destroy(struct ui_device *dev)
{
	struct ui_iommu *iommu;

	if (!dev)
		return;
	iommu = dev->iommu;
	pthread_mutex_lock(&iommu->lock);
	ui_list_del(&dev->link);
	if (iommu->driver->device_gone)
		iommu->driver->device_gone(dev);
	ui_group_leave(dev);
	pthread_mutex_unlock(&iommu->lock);
	ui_free(dev->name);
	ui_free(dev);
}

const char *ui_device_name(const struct ui_device *dev)
{
	return dev->name;
}

struct ui_dma *ui_device_port_open(struct ui_device *dev)
{
	struct ui_dma *dma = ui_dma_open(dev->iommu->tr, dev->rid, ui_device_resolve, dev);

	if (!dma)
		return NULL;
	ui_dma_set_fault_sink(dma, ui_device_fault, dev);
	ui_dma_set_stats(dma, dev->stats, &dev->stats_taken);
	return dma;
}

const struct ui_stats_dev *ui_device_stats(const struct ui_device *dev)
{
	return dev->stats;
}

const struct ui_resv *ui_device_reserved(struct ui_device *dev, size_t *n)
{
	*n = dev->iommu->driver->n_resv;
	return dev->iommu->driver->resv;
}

void *ui_device_priv(const struct ui_device *dev)
{
	return dev->priv;
}

struct ui_iommu *ui_device_iommu(const struct ui_device *dev)
{
	return dev->iommu;
}

u8 ui_device_pasid_bits(const struct ui_device *dev)
{
	return dev->pasid_bits;
}

bool ui_device_dirty_capable(struct ui_device *dev)
{
	const struct ui_driver_ops *driver = dev->iommu->driver;

	return driver->dirty && (!driver->dirty_capable || driver->dirty_capable(dev));
}

struct ui_vdevice *ui_device_vdevice(const struct ui_device *dev)
{
	return atomic_load_explicit(&dev->vdevice, memory_order_acquire);
}

void ui_device_set_vdevice(struct ui_device *dev, struct ui_vdevice *vdevice)
{
	atomic_store_explicit(&dev->vdevice, vdevice, memory_order_release);
}

void ui_device_set_half(struct ui_device *dev, void *half)
{
	dev->half = half;
}

void *ui_device_half(const struct ui_device *dev)
{
	return dev->half;
}

u32 ui_device_rid(const struct ui_device *dev)
{
	return dev->rid;
}

const struct ui_driver_ops *ui_device_driver(const struct ui_device *dev)
{
	return dev->iommu->driver;
}
