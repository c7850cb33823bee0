/* SPDX-License-Identifier: MIT */
/* /dev/vfio/vfio instead of /dev/iommu: groups of one device each, and the calls of the type1 driver. */
#ifndef FUZZ_CONTAINER_H
#define FUZZ_CONTAINER_H

#include "fields.h"

/* A group comes or goes, or a call; the @inject-th allocation in it fails (0: none). */
void container_use(struct world *w, struct input *in, u64 inject);
void container_untie_all(struct world *w);

#endif
