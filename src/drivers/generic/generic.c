/* SPDX-License-Identifier: MIT */
/*
 * The kind `generic`: an IOMMU with nothing of a vendor's. Tables are x86-64's with 4 levels; attachments need no structures in
 * memory, the stage config in the domain is all there is.
 */
#include "drivers/drivers.h"

#include <errno.h>

static const struct ui_resv generic_resv[] = {
	{ .start = 0xfee00000, .last = 0xfeefffff, .msi = true },
};

/* IOMMU_HW_INFO_TYPE_NONE; IOMMU_HW_CAP_DIRTY_TRACKING and _PCI_ATS_NOT_SUPPORTED of the user API. */
enum { HW_INFO_NONE = 0, HW_CAP_DIRTY = 1, HW_CAP_NO_ATS = 8 };

static int generic_paging(struct ui_device *dev, unsigned flags, const struct ui_user_data *data, struct ui_pt_cfg *cfg,
			  u64 *aperture_start, u64 *aperture_last)
{
	if (data->type || data->n_bytes || (flags & UI_DOMAIN_F_NEST_PARENT))
		return -EOPNOTSUPP;
	*cfg = (struct ui_pt_cfg){
		.format = UI_PT_X86_64,
		.granule_lg2 = 12,
		.ia_bits = 48,
		.oa_bits = 52,
		.dirty_track = (flags & UI_DOMAIN_F_DIRTY) != 0,
		.page_sizes = UI_BIT(12) | UI_BIT(21) | UI_BIT(30),
	};
	*aperture_start = 0;
	*aperture_last = ui_mask_lg2(48);
	return 0;
}

static void generic_hw_info(struct ui_device *dev, struct ui_hw_info *out)
{
	*out = (struct ui_hw_info){ .type = HW_INFO_NONE, .capabilities = HW_CAP_DIRTY | HW_CAP_NO_ATS };
}

const struct ui_driver_ops ui_generic_driver = {
	.name = "generic",
	.pasid_bits = 20,
	.pa_bits = 52,
	.dirty = true,
	.resv = generic_resv,
	.n_resv = ui_array_size(generic_resv),
	.paging = generic_paging,
	.hw_info = generic_hw_info,
};
