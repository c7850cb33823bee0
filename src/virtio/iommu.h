/* SPDX-License-Identifier: MIT */
/*
 * The virtio-iommu (virtio 1.2, 5.13; requirements A.1) as an object to embed: device type 23, over any transport of
 * virtio/device.h.
 *
 * An endpoint is a device of core. A virtio domain is a bundle of address spaces that endpoints share; the standard knows one,
 * without PASID. Each is a paging domain of core whose table is written by MAP and UNMAP themselves; output addresses are those of the
 * memory object that the endpoints' iommu stands on (guest-physical). Beside the table, an index of intervals knows which MAP
 * made what, since UNMAP may not split a mapping.
 *
 * Not attached, an endpoint bypasses (identity) or is blocked, as configuration says.
 *
 * Threads: any, for everything but create and destroy. Requests are served by ui_virtio_step(), never from inside a DMA section:
 * UNMAP, DETACH and ATTACH answer when no DMA of the endpoints goes by the old state any more.
 */
#ifndef UI_VIRTIO_IOMMU_H
#define UI_VIRTIO_IOMMU_H

#include "core/iommu.h"
#include "virtio/device.h"

/* Feature bits, of ui_virtio_iommu_cfg.features. */
enum {
	UI_VIOMMU_F_INPUT_RANGE = 0,
	UI_VIOMMU_F_DOMAIN_RANGE = 1,
	UI_VIOMMU_F_MAP_UNMAP = 2,
	UI_VIOMMU_F_BYPASS = 3, /* deprecated; never with BYPASS_CONFIG */
	UI_VIOMMU_F_PROBE = 4,
	UI_VIOMMU_F_MMIO = 5,
	UI_VIOMMU_F_BYPASS_CONFIG = 6,
};

struct ui_virtio_iommu_cfg {
	u64 features;               /* bits above */
	u64 page_sizes;             /* bit n: 2^n bytes; the lowest is the granule, the others are hints */
	u64 input_start, input_last;
	u32 domain_first, domain_last;
	u32 probe_bytes;            /* room for the properties of an endpoint */
	bool bypass;                /* initial value of the field `bypass` */
	u64 phys_last;              /* last output address that MAP may name */
	u16 queue_max[2];           /* requests, events */
};

/*
 * What a paging domain of kind generic can do: all features but BYPASS, pages of 4 KiB (2 MiB and 1 GiB as hints), 48 bits of input,
 * every domain number, outputs below the iommus' own half (core/iommu.h), bypass until the driver says otherwise.
 */
void ui_virtio_iommu_cfg_init(struct ui_virtio_iommu_cfg *cfg);

struct ui_virtio_iommu;

/* @port: see ui_virtio_init(). 0 with *@out; -EINVAL: features that exclude each other, or ranges that are none; -ENOMEM. */
int ui_virtio_iommu_create(const struct ui_virtio_iommu_cfg *cfg, struct ui_dma *port, struct ui_virtio_iommu **out);
/* Endpoints that are left are removed. NULL is a no-op. */
void ui_virtio_iommu_destroy(struct ui_virtio_iommu *vi);
/* For the transport. */
struct ui_virtio *ui_virtio_iommu_device(struct ui_virtio_iommu *vi);

/*
 * @dev is endpoint @id from now on, and attached, or not, by requests only. Endpoints may be of several iommus; those of one
 * share domains. @dev shares its group with no other device. 0; -EEXIST @id or the device's RID is an endpoint's already;
 * -EBUSY something is attached to @dev, or somebody owns it; -EINVAL the kind's paging domains have larger pages, or do not reach
 * over all input addresses; -ENOMEM.
 */
int ui_virtio_iommu_add(struct ui_virtio_iommu *vi, u32 id, struct ui_device *dev);
/* Detached, and @dev is the caller's again. Not an endpoint: a no-op. */
void ui_virtio_iommu_remove(struct ui_virtio_iommu *vi, u32 id);

/*
 * For ui_iommu_set_fault_sink() of each iommu that has endpoints, with the ui_virtio_iommu as @vi: the fault goes to the event
 * queue; when the driver gave no buffers, the oldest faults are kept (64) and others dropped.
 */
void ui_virtio_iommu_fault(void *vi, const struct ui_fault *fault);

/* A reset of the system, not only of the device: the field `bypass` is as created, too. */
void ui_virtio_iommu_system_reset(struct ui_virtio_iommu *vi);

#endif
