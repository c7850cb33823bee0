/* SPDX-License-Identifier: MIT */
/* What the tests of core share: a world of one iommu of a kind over the process's memory, and pages to play with. */
#ifndef TEST_CORE_COMMON_H
#define TEST_CORE_COMMON_H

#include "base/alloc.h"
#include "base/bits.h"
#include "base/safe.h"
#include "core/driver.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RW (UI_PROT_READ | UI_PROT_WRITE)
#define PAGE 4096u

struct world {
	struct ui_mem *mem;
	struct ui_iommu *iommu;
	struct ui_device *dev;
	struct ui_dma *dma;
};

static inline u64 pa_of(const void *page)
{
	return (uintptr_t)page;
}

static inline struct ui_dma_addr at(u64 iova)
{
	return (struct ui_dma_addr){ .iova = iova };
}

static inline struct ui_dma_addr at_pasid(u64 iova, u32 pasid)
{
	return (struct ui_dma_addr){ .iova = iova, .pasid = pasid, .has_pasid = true };
}

/* Generic, but paging domains may carry nested ones: a kind with hardware nesting, without its structures. */
static inline int nesting_paging(struct ui_device *dev, unsigned flags, const struct ui_user_data *data, struct ui_pt_cfg *cfg,
				 u64 *aperture_start, u64 *aperture_last)
{
	return ui_driver_find("generic")->paging(dev, flags & ~(unsigned)UI_DOMAIN_F_NEST_PARENT, data, cfg, aperture_start, aperture_last);
}

static inline struct ui_driver_ops nesting_driver(void)
{
	struct ui_driver_ops ops = *ui_driver_find("generic");

	ops.name = "nesting";
	ops.paging = nesting_paging;
	return ops;
}

/* False, with nothing left behind, when memory (or a fault injection) says no. @driver NULL: generic. */
static inline bool world_open(struct world *w, const struct ui_driver_ops *driver, u8 pasid_bits)
{
	const struct ui_device_cfg cfg = { .rid = 0x100, .pasid_bits = pasid_bits, .name = "0000:01:00.0" };

	memset(w, 0, sizeof(*w));
	w->mem = ui_mem_create_process();
	if (!w->mem)
		return false;
	w->iommu = ui_iommu_create(driver ? driver : ui_driver_find("generic"), w->mem);
	if (w->iommu)
		w->dev = ui_device_create(w->iommu, &cfg);
	if (w->dev)
		w->dma = ui_device_port_open(w->dev);
	if (w->dma)
		return true;
	ui_device_destroy(w->dev);
	ui_iommu_destroy(w->iommu);
	ui_mem_destroy(w->mem);
	return false;
}

static inline void world_close(struct world *w)
{
	ui_dma_close(w->dma);
	ui_device_destroy(w->dev);
	ui_iommu_destroy(w->iommu);
	ui_mem_destroy(w->mem);
}

#endif
