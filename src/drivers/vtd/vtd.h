/* SPDX-License-Identifier: MIT */
/* What the files of the kind `vtd` share. */
#ifndef UI_DRIVERS_VTD_H
#define UI_DRIVERS_VTD_H

#include "core/driver.h"

enum {
	UI_VTD_PA_BITS = 52,    /* what the specification calls the host address width */
	UI_VTD_GPA_BITS = 48,   /* MGAW: second-stage inputs */
	UI_VTD_S1_BITS = 48,    /* first-stage inputs, 4 levels */
	UI_VTD_S1_BITS_5 = 57,  /* 5 levels */
};

/* Leaf sizes of both stages: SSLPS, FS1GP. */
#define UI_VTD_PAGE_SIZES (UI_BIT(12) | UI_BIT(21) | UI_BIT(30))

/* info.c */
void ui_vtd_hw_info(struct ui_device *dev, struct ui_hw_info *out);

/* nested.c: ui_driver_ops. */
int ui_vtd_nested(struct ui_device *dev, struct ui_domain *parent, unsigned flags, const struct ui_user_data *data, struct ui_domain **out);
int ui_vtd_invalidate(struct ui_domain *domain, struct ui_user_array *array);
int ui_vtd_attach(struct ui_device *dev, u32 pasid, bool has_pasid, struct ui_domain *domain);

#endif
