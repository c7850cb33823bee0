/* SPDX-License-Identifier: MIT */
/*
 * An Arm SMMUv3.2 (IHI 0070), non-secure, to be embedded: registers, queues, interrupts, and the way of devices' accesses from
 * StreamID to memory. docs/smmuv3.md tells what it models.
 *
 * Threads: any, for everything but uiommu_smmuv3_new() and uiommu_smmuv3_free(); a stream's port is used by one at a time. No function
 * here starts a thread or a timer. Commands of the guest run on the thread that writes the register; interrupts are raised on the
 * threads that come in.
 */
#ifndef UIOMMU_SMMUV3_H
#define UIOMMU_SMMUV3_H

#include <uiommu/dma.h>
#include <uiommu/mem.h>

#ifdef __cplusplus
extern "C" {
#endif

struct uiommu_smmuv3;
struct uiommu_smmuv3_stream;

/* Bytes of registers: two pages of 64 KiB (6.1). */
#define UIOMMU_SMMUV3_MMIO_BYTES 0x20000

/* Wired interrupts, as edges (3.18.2). Those whose address the guest has set go there as messages instead. */
enum uiommu_smmuv3_irq { UIOMMU_SMMUV3_IRQ_EVENTQ, UIOMMU_SMMUV3_IRQ_PRIQ, UIOMMU_SMMUV3_IRQ_CMD_SYNC, UIOMMU_SMMUV3_IRQ_GERROR };

/**
 * struct uiommu_smmuv3_config - what kind of SMMU; zeros, but for @struct_bytes, are the defaults
 * @struct_bytes: sizeof(struct uiommu_smmuv3_config), so that it can grow
 * @sid_bits: bits of a StreamID, 1 to 32; 0: 16 (IDR1.SIDSIZE)
 * @ssid_bits: bits of a SubstreamID, 1 to 20; 0: none (IDR1.SSIDSIZE)
 * @pa_bits: of a physical address: 32, 36, 40, 42, 44, 48 or 52; 0: 48 (IDR5.OAS)
 * @no_stage_1: there is only stage 2 (IDR0.S1P)
 * @no_stage_2: there is only stage 1 (IDR0.S2P)
 * @irq: NULL, or is called with @arg for each wired interrupt, with no lock held; it may access registers
 * @arg: the caller's
 */
struct uiommu_smmuv3_config {
	uint32_t struct_bytes;
	uint8_t sid_bits, ssid_bits, pa_bits;
	bool no_stage_1, no_stage_2;
	void (*irq)(void *arg, enum uiommu_smmuv3_irq irq);
	void *arg;
};

/**
 * uiommu_smmuv3_new() - an SMMU as it is after a reset: accesses bypass it (6.3.14, GBPA)
 * @mem: what its structures, queues and devices' accesses are in; outlives it
 * @config: NULL: all defaults
 * @out: gets the SMMU, to be freed with uiommu_smmuv3_free()
 *
 * Return: 0; -EINVAL: a member of @config is out of range, or both stages are missing; -ENOMEM.
 */
int uiommu_smmuv3_new(struct uiommu_mem *mem, const struct uiommu_smmuv3_config *config, struct uiommu_smmuv3 **out);

/** uiommu_smmuv3_free() - @smmu may be NULL; its streams are closed */
void uiommu_smmuv3_free(struct uiommu_smmuv3 *smmu);

/** uiommu_smmuv3_reset() - as a power cycle: registers, caches, errors. Streams stay open. Waits for accesses that have begun. */
void uiommu_smmuv3_reset(struct uiommu_smmuv3 *smmu);

/**
 * uiommu_smmuv3_read() - the guest reads registers (chapter 6)
 * @offset: from the first register, below UIOMMU_SMMUV3_MMIO_BYTES
 * @n_bytes: 4, or 8 of a 64-bit register; @offset is aligned to it
 * @val: gets the value
 *
 * Return: false for any other access, which is an external abort; *@val may have changed.
 */
bool uiommu_smmuv3_read(struct uiommu_smmuv3 *smmu, uint64_t offset, unsigned n_bytes, uint64_t *val);

/**
 * uiommu_smmuv3_write() - the guest writes registers
 *
 * When it returns all that it asks for is done: commands up to CMDQ_PROD have run (or the queue has stopped at one), accesses that a
 * command or a register takes something from have ended. Turning an interrupt off waits for a message that another thread is writing, so
 * the caller holds no lock that functions of memory regions take.
 *
 * Return: false: no such access, nothing happened.
 */
bool uiommu_smmuv3_write(struct uiommu_smmuv3 *smmu, uint64_t offset, unsigned n_bytes, uint64_t val);

/**
 * uiommu_smmuv3_stream_open() - a device behind the SMMU
 * @sid: its StreamID (3.2); several streams may have the same
 *
 * Return: to be closed with uiommu_smmuv3_stream_close(), or NULL without memory.
 */
struct uiommu_smmuv3_stream *uiommu_smmuv3_stream_open(struct uiommu_smmuv3 *smmu, uint32_t sid);

/** uiommu_smmuv3_stream_close() - @stream may be NULL; nobody uses its port any more */
void uiommu_smmuv3_stream_close(struct uiommu_smmuv3_stream *stream);

/** uiommu_smmuv3_stream_dma() - the port for the device's accesses; the stream's */
struct uiommu_dma *uiommu_smmuv3_stream_dma(struct uiommu_smmuv3_stream *stream);

/* Do the caches hold what memory says? */
enum uiommu_smmuv3_cached {
	UIOMMU_SMMUV3_CACHE_GOOD,   /* yes, or nothing */
	UIOMMU_SMMUV3_CACHE_CONFIG, /* an STE or CD was changed, and no command has invalidated it */
	UIOMMU_SMMUV3_CACHE_TLB     /* likewise an entry of a translation table */
};

/**
 * uiommu_smmuv3_stream_cached() - was an invalidation forgotten? (4.3, 4.4)
 * @at: an address that the device may use
 * @write: whether it would write there
 *
 * For tests of drivers. Asks the caches as an access would, on the port's thread, and fills them; reports nothing.
 *
 * Return: what an access would be answered from; UIOMMU_SMMUV3_CACHE_GOOD where an access would be refused.
 */
enum uiommu_smmuv3_cached uiommu_smmuv3_stream_cached(struct uiommu_smmuv3_stream *stream, const struct uiommu_dma_addr *at, bool write);

#ifdef __cplusplus
}
#endif

#endif
