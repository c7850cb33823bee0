/* SPDX-License-Identifier: MIT */
/* The public face of memory objects and DMA: include/uiommu/mem.h, include/uiommu/dma.h. Handles are the internal ones. */
#pragma GCC visibility push(default)
#include <uiommu/dma.h>
#include <uiommu/mem.h>
#pragma GCC visibility pop

#include "base/safe.h"
#include "translate/dma.h"
#include "translate/public.h"

#include <stddef.h>

/* The two structs of functions are one. */
_Static_assert(sizeof(struct uiommu_mmio_ops) == sizeof(struct ui_mem_mmio_ops) &&
	       offsetof(struct uiommu_mmio_ops, write) == offsetof(struct ui_mem_mmio_ops, write), "uiommu_mmio_ops");
_Static_assert((int)UIOMMU_DMA_N_STATUS == (int)UI_DMA_N_STATUS && (int)UIOMMU_DMA_ABORT == (int)UI_DMA_ABORT &&
	       (int)UIOMMU_DMA_ACCESS == (int)UI_DMA_ACCESS && (int)UIOMMU_DMA_MALFORMED == (int)UI_DMA_MALFORMED, "uiommu_dma_status");

static struct ui_mem *mem_of(struct uiommu_mem *mem)
{
	return (struct ui_mem *)mem;
}

static struct ui_dma *dma_of(struct uiommu_dma *dma)
{
	return (struct ui_dma *)dma;
}

int uiommu_mem_guard(void)
{
	return ui_safe_install();
}

struct uiommu_mem *uiommu_mem_new(void)
{
	return (struct uiommu_mem *)ui_mem_create();
}

void uiommu_mem_free(struct uiommu_mem *mem)
{
	ui_mem_destroy(mem_of(mem));
}

int uiommu_mem_add_ram(struct uiommu_mem *mem, uint64_t pa, uint64_t n_bytes, void *host, bool writable)
{
	return ui_mem_add_ram(mem_of(mem), pa, n_bytes, host, writable);
}

int uiommu_mem_add_mmio(struct uiommu_mem *mem, uint64_t pa, uint64_t n_bytes, const struct uiommu_mmio_ops *ops, void *arg)
{
	return ui_mem_add_mmio(mem_of(mem), pa, n_bytes, (const struct ui_mem_mmio_ops *)ops, arg);
}

int uiommu_mem_remove(struct uiommu_mem *mem, uint64_t pa)
{
	return ui_mem_remove(mem_of(mem), pa);
}

const char *uiommu_dma_status_name(enum uiommu_dma_status status)
{
	return ui_dma_status_name((enum ui_dma_status)status);
}

enum uiommu_dma_status uiommu_dma_read(struct uiommu_dma *dma, const struct uiommu_dma_addr *at, void *buf, uint64_t n_bytes, uint64_t *done)
{
	const struct ui_dma_addr from = ui_public_addr(at);

	return (enum uiommu_dma_status)ui_dma_read(dma_of(dma), &from, buf, n_bytes, done, NULL);
}

enum uiommu_dma_status uiommu_dma_write(struct uiommu_dma *dma, const struct uiommu_dma_addr *at, const void *buf, uint64_t n_bytes,
					uint64_t *done)
{
	const struct ui_dma_addr to = ui_public_addr(at);

	return (enum uiommu_dma_status)ui_dma_write(dma_of(dma), &to, buf, n_bytes, done, NULL);
}

enum uiommu_dma_status uiommu_dma_copy(struct uiommu_dma *dma, const struct uiommu_dma_addr *src, const struct uiommu_dma_addr *dst,
				       uint64_t n_bytes, uint64_t *done)
{
	const struct ui_dma_addr from = ui_public_addr(src), to = ui_public_addr(dst);

	return (enum uiommu_dma_status)ui_dma_copy(dma_of(dma), &from, &to, n_bytes, done, NULL);
}

enum uiommu_dma_status uiommu_dma_translate(struct uiommu_dma *dma, const struct uiommu_dma_addr *at, bool write, uint64_t *pa)
{
	const struct ui_dma_addr where = ui_public_addr(at);
	enum ui_dma_status status;
	struct ui_walk w;

	status = ui_dma_translate(dma_of(dma), &where, write ? UI_PROT_WRITE : UI_PROT_READ, &w, NULL);
	if (status == UI_DMA_OK)
		*pa = w.oa;
	return (enum uiommu_dma_status)status;
}
