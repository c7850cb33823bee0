/* SPDX-License-Identifier: MIT */
/* The driver half of a kind, as core calls it: it says which tables the kind has and writes its structures. */
#ifndef UI_CORE_DRIVER_H
#define UI_CORE_DRIVER_H

#include "core/domain.h"

struct ui_hw_info {
	u32 type;        /* iommufd's IOMMU_HW_INFO_TYPE_* */
	const void *data;
	u32 data_bytes;
	u64 capabilities; /* iommufd's IOMMU_HW_CAP_* */
};

struct ui_driver_ops {
	const char *name;
	u8 pasid_bits; /* at most 20; 0: no PASIDs */
	u8 pa_bits;    /* physical address bits, 48 to 52; 0: 52 */
	bool dirty;    /* dirty tracking */
	const struct ui_resv *resv;
	size_t n_resv;
	/* Fills @cfg (but not pages, which core sets) for a paging domain with UI_DOMAIN_F_* @flags. 0; -EOPNOTSUPP; -EINVAL. */
	int (*paging)(struct ui_device *dev, unsigned flags, u32 data_type, const void *data, u32 data_bytes, struct ui_pt_cfg *cfg,
		      u64 *aperture_start, u64 *aperture_last);
	void (*hw_info)(struct ui_device *dev, struct ui_hw_info *out);
	/* Structures of the vendor's for an attachment that is about to begin (@domain) or has ended (NULL): called for each
	 * device of the group, under the group's lock. 0 or a negative errno, which the attach then returns; an end never
	 * fails. May be NULL. */
	int (*attach)(struct ui_device *dev, u32 pasid, bool has_pasid, struct ui_domain *domain);
};

const struct ui_driver_ops *ui_device_driver(const struct ui_device *dev);

#endif
