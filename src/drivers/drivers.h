/* SPDX-License-Identifier: MIT */
/* The driver halves that are built in; ui_driver_find() (core/iommu.h) finds them by name. */
#ifndef UI_DRIVERS_DRIVERS_H
#define UI_DRIVERS_DRIVERS_H

#include "core/driver.h"

extern const struct ui_driver_ops ui_generic_driver;
extern const struct ui_driver_ops ui_smmuv3_driver;
extern const struct ui_driver_ops ui_vtd_driver;

#endif
