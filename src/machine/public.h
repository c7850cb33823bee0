/* SPDX-License-Identifier: MIT */
/* What the files behind the public headers share. */
#ifndef UI_MACHINE_PUBLIC_H
#define UI_MACHINE_PUBLIC_H

#include "machine/desc.h"

struct uiommu_machine {
	struct ui_machine_desc desc;
};

#endif
