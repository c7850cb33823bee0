/* SPDX-License-Identifier: MIT */
#include "drivers/drivers.h"

#include <string.h>

static const struct ui_driver_ops *const kinds[] = {
	&ui_generic_driver,
	&ui_smmuv3_driver,
	&ui_vtd_driver,
};

const struct ui_driver_ops *ui_driver_find(const char *kind)
{
	for (size_t i = 0; i < ui_array_size(kinds); i++) {
		if (!strcmp(kinds[i]->name, kind))
			return kinds[i];
	}
	return NULL;
}
