/* SPDX-License-Identifier: MIT */
/*
 * DMA: what a device model calls to reach memory through the IOMMU that it stands behind. A port is one device's way in; an IOMMU
 * gives it out (uiommu/smmuv3.h). One thread at a time uses a port; ports work in parallel.
 */
#ifndef UIOMMU_DMA_H
#define UIOMMU_DMA_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct uiommu_dma;

/* What became of a DMA. Never mixed with errno values. */
enum uiommu_dma_status {
	UIOMMU_DMA_OK,
	UIOMMU_DMA_BLOCKED,     /* no address space: the stream is unknown, or is to be refused */
	UIOMMU_DMA_BAD_PASID,   /* PASID (SubstreamID) not supported, not enabled or out of range */
	UIOMMU_DMA_TRANSLATION, /* not mapped */
	UIOMMU_DMA_ADDR_SIZE,   /* an address out of range */
	UIOMMU_DMA_ACCESS,      /* access flag */
	UIOMMU_DMA_PERMISSION,
	UIOMMU_DMA_MALFORMED,   /* a structure of the IOMMU is not valid */
	UIOMMU_DMA_WALK_ABORT,  /* memory behind a structure or table failed */
	UIOMMU_DMA_ABORT,       /* memory behind a valid mapping failed */
	UIOMMU_DMA_N_STATUS
};

/**
 * struct uiommu_dma_addr - where a device's access goes
 * @iova: the address that the device uses
 * @pasid: with @has_pasid: 20 bits; a SubstreamID behind an SMMU
 * @has_pasid: no PASID is not PASID 0
 * @priv: the access is privileged
 */
struct uiommu_dma_addr {
	uint64_t iova;
	uint32_t pasid;
	bool has_pasid;
	bool priv;
};

/** uiommu_dma_status_name() - a few words for a log; never NULL */
const char *uiommu_dma_status_name(enum uiommu_dma_status status);

/**
 * uiommu_dma_read() - the device reads memory
 * @at: where from
 * @buf: the caller's, with room for @n_bytes
 * @n_bytes: any; 0 is UIOMMU_DMA_OK without a look
 * @done: NULL, or gets how many bytes from the start were moved: @n_bytes with UIOMMU_DMA_OK, else those before the one refused
 *
 * What the IOMMU refuses it reports as its specification says (an event, say) before this returns. A range that passes 2^64 is
 * UIOMMU_DMA_ADDR_SIZE as a whole. An aligned word of 2, 4 or 8 bytes never tears.
 */
enum uiommu_dma_status uiommu_dma_read(struct uiommu_dma *dma, const struct uiommu_dma_addr *at, void *buf, uint64_t n_bytes, uint64_t *done);

/** uiommu_dma_write() - as uiommu_dma_read(), from @buf to memory */
enum uiommu_dma_status uiommu_dma_write(struct uiommu_dma *dma, const struct uiommu_dma_addr *at, const void *buf, uint64_t n_bytes,
					uint64_t *done);

/** uiommu_dma_copy() - as both, from @src to @dst, upwards; what ranges that overlap become is not defined */
enum uiommu_dma_status uiommu_dma_copy(struct uiommu_dma *dma, const struct uiommu_dma_addr *src, const struct uiommu_dma_addr *dst,
				       uint64_t n_bytes, uint64_t *done);

/**
 * uiommu_dma_translate() - what would an access meet?
 * @write: whether it would be a write
 * @pa: gets the physical address with UIOMMU_DMA_OK
 *
 * For tools and tests: an access later may meet something else. Reports nothing; marks access flags and fills the TLB as an access would.
 */
enum uiommu_dma_status uiommu_dma_translate(struct uiommu_dma *dma, const struct uiommu_dma_addr *at, bool write, uint64_t *pa);

#ifdef __cplusplus
}
#endif

#endif
