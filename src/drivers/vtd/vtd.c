/* SPDX-License-Identifier: MIT */
/*
 * The kind `vtd`: Intel VT-d in scalable mode, as far as GET_HW_INFO promises it (info.c). Paging domains take the formats
 * that Linux's driver chooses: second stage where nested domains will lie over it and where dirty state is tracked, first stage
 * for all else. What an attachment needs is the stage config in the domain: structures in memory (PASID tables and
 * so on) would only be read by hardware that is not there.
 */
#include "drivers/drivers.h"
#include "drivers/vtd/vtd.h"

#include "base/bits.h"

#include <errno.h>

/* Where interrupts go on x86; nothing there is ever translated. */
static const struct ui_resv vtd_resv[] = {
	{ .start = 0xfee00000, .last = 0xfeefffff, .msi = true },
};

static int vtd_paging(struct ui_device *dev, unsigned flags, const struct ui_user_data *data, struct ui_pt_cfg *cfg,
		      u64 *aperture_start, u64 *aperture_last)
{
	bool second = flags & (UI_DOMAIN_F_NEST_PARENT | UI_DOMAIN_F_DIRTY);

	if (data->type || data->n_bytes)
		return -EOPNOTSUPP;
	*cfg = (struct ui_pt_cfg){
		.format = second ? UI_PT_VTDSS : UI_PT_X86_64,
		.granule_lg2 = UI_PAGE_LG2,
		.ia_bits = second ? UI_VTD_GPA_BITS : UI_VTD_S1_BITS,
		.oa_bits = UI_VTD_PA_BITS,
		.sign_extend = !second,
		.dirty_track = (flags & UI_DOMAIN_F_DIRTY) != 0,
		.page_sizes = UI_VTD_PAGE_SIZES,
	};
	*aperture_start = 0;
	/* First-stage addresses are canonical: only the lower half is one range from 0. */
	*aperture_last = ui_mask_lg2(second ? UI_VTD_GPA_BITS : UI_VTD_S1_BITS - 1);
	return 0;
}

const struct ui_driver_ops ui_vtd_driver = {
	.name = "vtd",
	.pasid_bits = 20,
	.pa_bits = UI_VTD_PA_BITS,
	.dirty = true,
	.resv = vtd_resv,
	.n_resv = ui_array_size(vtd_resv),
	.paging = vtd_paging,
	.nested = ui_vtd_nested,
	.invalidate = ui_vtd_invalidate,
	.attach = ui_vtd_attach,
	.hw_info = ui_vtd_hw_info,
};
