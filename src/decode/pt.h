/* SPDX-License-Identifier: MIT */
/* Page tables in a dump: what they map. */
#ifndef UI_DECODE_PT_H
#define UI_DECODE_PT_H

#include <uiommu/decode.h>

#include "decode/tree.h"

/* UIOMMU_DECODE_PT, into @tree. NULL, or what is wrong, for the user. */
const char *ui_decode_pt(struct uiommu_dump *dump, const struct uiommu_decode *what, struct ui_tree *tree);

#endif
