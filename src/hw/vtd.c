/* SPDX-License-Identifier: MIT */
#include "hw/vtd.h"

#define CAP_NAME(name, high, low) { #name, UI_VTD_CAP_##name, NULL },
#define ECAP_NAME(name, high, low) { #name, UI_VTD_ECAP_##name, NULL },

static const struct ui_hw_name cap_names[] = { UI_VTD_CAP_FIELDS(CAP_NAME) };
static const struct ui_hw_name ecap_names[] = { UI_VTD_ECAP_FIELDS(ECAP_NAME) };

const struct ui_hw_struct ui_vtd_cap = { "CAP", 1, cap_names, ui_array_size(cap_names), 0 };
const struct ui_hw_struct ui_vtd_ecap = { "ECAP", 1, ecap_names, ui_array_size(ecap_names), 0 };
