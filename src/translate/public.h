/* SPDX-License-Identifier: MIT */
/* Between public and internal types of translation, for the public faces of what stands on it. */
#ifndef UI_TRANSLATE_PUBLIC_H
#define UI_TRANSLATE_PUBLIC_H

#include "translate/dma.h"

#include <uiommu/dma.h>

UI_ALWAYS_INLINE struct ui_dma_addr ui_public_addr(const struct uiommu_dma_addr *at)
{
	return (struct ui_dma_addr){ .iova = at->iova, .pasid = at->pasid, .has_pasid = at->has_pasid, .priv = at->priv };
}

#endif
