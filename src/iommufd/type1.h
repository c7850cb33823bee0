/* SPDX-License-Identifier: MIT */
/* What the files of the type1 container share. type1.c: its life and its groups; type1_dma.c: mappings, dirty pages, calls. */
#ifndef UI_IOMMUFD_TYPE1_H
#define UI_IOMMUFD_TYPE1_H

#include "base/ivl.h"
#include "iommufd/ctx.h"

enum { UI_TYPE1_MAPS_MAX = 65535 }; /* as many mappings as the kernel's driver allows unless told otherwise */

/* Lock order: lock, then what ctx.h says. */
struct ui_type1 {
	pthread_mutex_t lock;     /* everything here */
	struct ui_list groups;    /* struct ui_group_tie */
	unsigned type;            /* UI_UAPI_VFIO_TYPE1, TYPE1V2; 0: no SET_IOMMU yet */
	struct ui_ioas_obj *ioas; /* used, while there is a type */
	struct ui_ivl maps;       /* one for each MAP_DMA; the pointer says whether its user address is valid (NULL) */
	u64 n_invalid;            /* those that are not */
	u32 avail;                /* mappings that may still be made */
	bool tracking;            /* DIRTY_PAGES start was called */
};

/* SET_IOMMU, under the lock: makes the IOAS and attaches all groups. 0 or a negative errno with nothing changed. */
int ui_type1_start(struct ui_iommufd *ctx, unsigned type);

#endif
