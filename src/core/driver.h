/* SPDX-License-Identifier: MIT */
/*
 * The driver half of a kind, as core and the front doors call it: it says which tables the kind has, writes its structures, and
 * understands what a user hands over for it (nested tables, invalidations, virtual IOMMUs).
 */
#ifndef UI_CORE_DRIVER_H
#define UI_CORE_DRIVER_H

#include "core/arena.h"
#include "core/domain.h"

struct ui_viommu;

struct ui_hw_info {
	u32 type;        /* iommufd's IOMMU_HW_INFO_TYPE_* */
	const void *data;
	u32 data_bytes;
	u64 capabilities; /* iommufd's IOMMU_HW_CAP_* */
};

/*
 * Copies the caller's data to @dst: at least @min_bytes of it must be there, no more than @known_bytes, and what is missing between
 * is zero. 0; -EINVAL length; -EFAULT.
 */
int ui_user_data_read(const struct ui_user_data *data, void *dst, u32 min_bytes, u32 known_bytes);
/* Gives @src back in the place of @data, as much as the caller has room for. 0; -EFAULT. */
int ui_user_data_write(const struct ui_user_data *data, const void *src, u32 n_bytes);

/* Entries of the caller's, one after the other: an invalidation. */
struct ui_user_array {
	u32 type;
	u32 entry_bytes; /* 1 to the page size, unless n is 0 */
	u32 n;           /* 0: only the type is asked for */
	u64 uptr;
	u32 n_done;      /* the driver counts those that took effect */
};

/* Entry @i, shorter ones with zeros behind, longer ones with nothing but zeros beyond @known_bytes. 0; -E2BIG; -EFAULT. */
int ui_user_array_read(const struct ui_user_array *array, u32 i, void *dst, u32 known_bytes);

struct ui_driver_ops {
	const char *name;
	u8 pasid_bits; /* at most 20; 0: no PASIDs */
	u8 pa_bits;    /* physical address bits, 48 to 52; 0: 52 */
	bool dirty;    /* dirty tracking; see also dirty_capable */
	bool user_pasids; /* a nested domain attached without PASID brings the table of PASIDs with it: page requests of any go there */
	const struct ui_resv *resv;
	size_t n_resv;
	/* Fills @cfg (but not pages, which core sets) for a paging domain with UI_DOMAIN_F_* @flags. @data is never NULL; n_bytes 0:
	 * none. 0; -EOPNOTSUPP; -EINVAL; -EFAULT. */
	int (*paging)(struct ui_device *dev, unsigned flags, const struct ui_user_data *data, struct ui_pt_cfg *cfg,
		      u64 *aperture_start, u64 *aperture_last);
	/* A nested domain for @dev over @parent (paging, NEST_PARENT, of this iommu), by ui_domain_create_nested(). @flags:
	 * UI_DOMAIN_F_PASID. 0; -EOPNOTSUPP type or flags; -EINVAL; -EFAULT; -ENOMEM; -ENOSPC. NULL: no nesting. */
	int (*nested)(struct ui_device *dev, struct ui_domain *parent, unsigned flags, const struct ui_user_data *data, struct ui_domain **out);
	/* Invalidation of such a domain by its user, entry by entry. -EINVAL type or entry; -EOPNOTSUPP; -EFAULT; -EDEADLK. May be NULL. */
	int (*invalidate)(struct ui_domain *domain, struct ui_user_array *array);
	/* A new iommu, before its first device and domain: ui_iommu_set_priv(). 0 or a negative errno; both may be NULL. */
	int (*iommu_init)(struct ui_iommu *iommu);
	void (*iommu_gone)(struct ui_iommu *iommu); /* no device and no domain is left; the arena still is there */
	/* A new device, blocked, before anybody can find it: ui_device_set_half(). 0 or a negative errno; both may be NULL. */
	int (*device_init)(struct ui_device *dev);
	void (*device_gone)(struct ui_device *dev); /* detached */
	/* A paging domain is made, table and all: ui_domain_set_priv(), tags. 0; -ENOMEM; -ENOSPC. May be NULL. */
	int (*domain_init)(struct ui_domain *domain);
	/* @domain is about to go: what ui_domain_set_priv() gave. May be NULL. */
	void (*domain_gone)(struct ui_domain *domain);
	/* The table of a paging domain has changed for [@start, @last] (any start, any end): what the kind's hardware may hold of it
	 * must go before this returns. Under the caller's lock of the domain, never inside a section of it. May be NULL. */
	void (*flush)(struct ui_domain *domain, u64 start, u64 last);
	void (*hw_info)(struct ui_device *dev, struct ui_hw_info *out);
	/* Dirty tracking for this device, where `dirty` says that the kind has it. NULL: for all. */
	bool (*dirty_capable)(struct ui_device *dev);
	/* Structures of the vendor's for an attachment that is about to begin (@domain) or has ended (NULL): called for each
	 * device of the group, under the group's lock. 0 or a negative errno, which the attach then returns; an end never
	 * fails. May be NULL. */
	int (*attach)(struct ui_device *dev, u32 pasid, bool has_pasid, struct ui_domain *domain);
	/* Does the kind have virtual IOMMUs of @type for @dev? NULL: none. */
	bool (*viommu_known)(struct ui_device *dev, u32 type);
	/* Makes one: @viommu has everything but ops and priv. 0 or a negative errno. */
	int (*viommu_init)(struct ui_viommu *viommu, struct ui_device *dev, const struct ui_user_data *data);
};

const struct ui_driver_ops *ui_device_driver(const struct ui_device *dev);
/* What ui_device_cfg.priv said. */
void *ui_device_priv(const struct ui_device *dev);
const struct ui_driver_ops *ui_domain_driver(const struct ui_domain *domain);

/* What the driver half keeps with an iommu, and with a device; constant once iommu_init or device_init has returned. */
void ui_iommu_set_priv(struct ui_iommu *iommu, void *priv);
void *ui_iommu_priv(const struct ui_iommu *iommu);
void ui_device_set_half(struct ui_device *dev, void *half);
void *ui_device_half(const struct ui_device *dev);
u32 ui_device_rid(const struct ui_device *dev);
/* Memory for structures; the hardware sees a page at its address + arena->shift. */
struct ui_arena *ui_iommu_arena(struct ui_iommu *iommu);
/* The table of a paging domain: its geometry and top are constant. */
const struct ui_pt *ui_domain_table(const struct ui_domain *domain);

/*
 * A virtual IOMMU: a user's view of one iommu over one nesting parent, with the devices that it has there (vdevices), queues for
 * the events it would see, and queues that hardware would read by itself. The front door owns the objects, the driver half
 * says what they do; each calls the other through ops.
 */
struct ui_vdevice {
	struct ui_viommu *viommu;
	struct ui_device *dev;
	u64 virt_id; /* how the user names the device: its stream ID, RID ... */
	void *priv;  /* the driver's */
};

struct ui_hw_queue {
	struct ui_viommu *viommu;
	u32 type, index;
	u64 pa, length;               /* the queue's memory: pinned, without a break; at @pa until it moves: host->queue_where */
	struct ui_hw_queue *depends;  /* set by hw_queue_init: that queue stays as long as this one */
	void *priv;                   /* the driver's */
};

struct ui_viommu_ops {
	void (*destroy)(struct ui_viommu *viommu);
	/* As ui_driver_ops.nested; NULL: none. */
	int (*nested)(struct ui_viommu *viommu, struct ui_device *dev, unsigned flags, const struct ui_user_data *data, struct ui_domain **out);
	/* As ui_driver_ops.invalidate; no vdevice goes meanwhile. NULL: none. */
	int (*invalidate)(struct ui_viommu *viommu, struct ui_user_array *array);
	/* Both may be NULL. 0 or a negative errno. */
	int (*vdevice_init)(struct ui_vdevice *vdevice);
	void (*vdevice_gone)(struct ui_vdevice *vdevice);
	/* NULL: no hardware queues. */
	bool (*hw_queue_known)(struct ui_viommu *viommu, u32 type);
	int (*hw_queue_init)(struct ui_hw_queue *queue);
	void (*hw_queue_gone)(struct ui_hw_queue *queue);
};

/* What the front door does for a driver half. */
struct ui_viommu_host {
	/* An event for the user's queue of @type. 0, also when the queue was full; -EOPNOTSUPP no such queue; -ENOMEM. Any thread. */
	int (*report)(struct ui_viommu *viommu, u32 type, const void *data, u32 n_bytes);
	/* Whole pages that the user may map by mmap() of its descriptor at *@offset, exactly as long. 0; -ENOMEM. Within viommu_init. */
	int (*share)(struct ui_viommu *viommu, u64 n_bytes, void **memory, u64 *offset);
	/* The vdevice with @virt_id, or NULL. Within invalidate only. */
	struct ui_vdevice *(*find)(struct ui_viommu *viommu, u64 virt_id);
	/* Where byte @offset of the queue's memory lies now (user memory may move), and how many bytes follow there without a break. */
	u64 (*queue_where)(struct ui_hw_queue *queue, u64 offset, u64 *pa);
};

struct ui_viommu {
	const struct ui_viommu_host *host; /* the front door's */
	struct ui_iommu *iommu;
	struct ui_domain *parent;
	u32 type;
	const struct ui_viommu_ops *ops; /* set by viommu_init */
	void *priv;                      /* the driver's */
};

/* The vdevice that @dev has, or NULL: at most one, set and taken away by the front door, never while an attach of the device runs. */
struct ui_vdevice *ui_device_vdevice(const struct ui_device *dev);
void ui_device_set_vdevice(struct ui_device *dev, struct ui_vdevice *vdevice);

#endif
