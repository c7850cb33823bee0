/* SPDX-License-Identifier: MIT */
/* The iommu and device objects: what exists before anything is bound or attached. Domains and attachments: domain.h; IOAS: ioas.h. */
#ifndef UI_CORE_IOMMU_H
#define UI_CORE_IOMMU_H

#include "base/types.h"
#include "translate/dma.h"

struct ui_iommu;
struct ui_device;
struct ui_driver_ops; /* core/driver.h: the driver half of a kind */

/* Driver halves that are built in. NULL for an unknown name. */
const struct ui_driver_ops *ui_driver_find(const char *kind);

/*
 * @mem holds tables and is what DMA reaches; it outlives the iommu. NULL without memory.
 *
 * Table pages are memory of the iommu's own. Where @mem is the memory of this process their pa is their address. In any other
 * memory object they appear as read-only regions (no DMA can write a table) at pa = address + 2^(pa_bits - 1) of the driver:
 * the upper half of the physical address space is the iommus' once one exists; an embedder keeps its regions below.
 */
struct ui_iommu *ui_iommu_create(const struct ui_driver_ops *driver, struct ui_mem *mem);
/* All devices destroyed, all domains gone. */
void ui_iommu_destroy(struct ui_iommu *iommu);
struct ui_tr *ui_iommu_tr(struct ui_iommu *iommu);
/*
 * @fn(@arg, ...) gets every unrecoverable fault of the iommu's devices, after its line went to the log (UI_LOG_FAULT). Called on
 * the thread that did the DMA, outside sections. Set before the first port opens; NULL: none.
 */
void ui_iommu_set_fault_sink(struct ui_iommu *iommu, ui_fault_fn fn, void *arg);

/*
 * What the iommu's devices do counts in @stats, which outlives it and has room for @n_devices; without, and for devices beyond
 * its room, in memory of their own. Before the first device.
 */
void ui_iommu_set_stats(struct ui_iommu *iommu, struct ui_stats *stats, u32 n_devices);

struct ui_device_cfg {
	u32 rid;          /* segment 31:16, bus 15:8, devfn 7:0 */
	u8 pasid_bits;    /* 0: none; at most the iommu's and 20 */
	const char *name; /* for the log: "0000:01:00.0"; copied */
	u32 group;        /* devices of one iommu with the same number share a group: nothing isolates them from one another,
			   * so they attach together and have one owner. 0: a group of its own */
	void *priv;       /* for the driver half: ui_device_priv() */
};

/* Blocked until attached. NULL without memory, or (errno-less) when the rid is taken, @pasid_bits is more than the kind has,
 * the group it would join is attached already, or the driver half has no room for it. */
struct ui_device *ui_device_create(struct ui_iommu *iommu, const struct ui_device_cfg *cfg);
void ui_device_destroy(struct ui_device *dev); /* unbound, detached, ports closed; NULL is a no-op */
const char *ui_device_name(const struct ui_device *dev);
/* The device's counters, alive as long as the device. */
const struct ui_stats_dev *ui_device_stats(const struct ui_device *dev);
/*
 * A port for the device's DMA, answering with the device's attachments. It counts in the device's counters, unless another
 * port that is open does. NULL without memory. Close with ui_dma_close().
 */
struct ui_dma *ui_device_port_open(struct ui_device *dev);

#endif
