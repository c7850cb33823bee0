/* SPDX-License-Identifier: MIT */
/*
 * The device half of an Arm SMMUv3.2 (IHI 0070), non-secure: registers, command and event queues, and the way of a device's access
 * from StreamID to memory. It stands on a memory object and a translation instance of its own; whoever embeds it gives it register
 * accesses, takes its interrupts, and opens a stream for each device.
 *
 * What there is: stage 1, stage 2 and both, SubstreamIDs, linear and two-level tables, all granules, hardware update of access flag
 * and dirty state, range invalidation, wired and message-signalled interrupts. Not yet: stalls, ATS, PRI, address translation
 * operations, EL2 worlds; ID registers do not claim them, commands for them are illegal.
 *
 * Threads: any, for everything but create and destroy; a stream's port is used by one at a time. Commands run on the thread that
 * writes CMDQ_PROD or GERRORN, and wait for the DMA sections that they concern: no register access, reset or question to the caches
 * from inside one (it is an error of the caller, and ends the process). Callbacks run on threads that came in (a register access, a
 * faulting DMA), with no lock held. A register write that turns an interrupt off waits for its message, which another thread may
 * be writing (3.18.1): what MMIO functions take, writers of registers must not hold.
 */
#ifndef UI_MODELS_SMMUV3_H
#define UI_MODELS_SMMUV3_H

#include "hw/smmuv3.h"
#include "translate/dma.h"

struct ui_smmuv3;
struct ui_smmuv3_stream;

enum ui_smmuv3_irq {
	UI_SMMUV3_IRQ_EVENTQ,
	UI_SMMUV3_IRQ_PRIQ,
	UI_SMMUV3_IRQ_CMD_SYNC,
	UI_SMMUV3_IRQ_GERROR,
};

struct ui_smmuv3_cfg {
	struct ui_smmuv3_feat feat;
	/* A wired interrupt, an edge (3.18); NULL: nobody listens. Interrupts whose address is set go there as messages instead. */
	void (*irq)(void *arg, enum ui_smmuv3_irq irq);
	void *arg;
};

/* Everything that there is, with @sid_bits (0 to 32) of StreamID. */
void ui_smmuv3_cfg_init(struct ui_smmuv3_cfg *cfg, unsigned sid_bits);
/*
 * 0 with *@out; -EINVAL: a feature that is not there, or sizes out of range; -ENOMEM. @mem outlives it. Registers are as after
 * reset: accesses bypass it (GBPA).
 */
int ui_smmuv3_create(struct ui_mem *mem, const struct ui_smmuv3_cfg *cfg, struct ui_smmuv3 **out);
void ui_smmuv3_destroy(struct ui_smmuv3 *smmu); /* its streams are closed; NULL is a no-op */
/* As a power cycle; not from inside a DMA section. */
void ui_smmuv3_reset(struct ui_smmuv3 *smmu);

/*
 * Register accesses of 4 bytes, or 8 to 64-bit registers, naturally aligned; @offset below UI_SMMUV3_MMIO_BYTES. False: no such access
 * (an external abort), and nothing happened; also for messages of its own. What is reserved reads as zero and ignores writes.
 */
bool ui_smmuv3_read(struct ui_smmuv3 *smmu, u64 offset, unsigned n_bytes, u64 *val);
bool ui_smmuv3_write(struct ui_smmuv3 *smmu, u64 offset, unsigned n_bytes, u64 val);

/* A device's way in, by its StreamID. NULL without memory. Any number of streams may have the same StreamID. */
struct ui_smmuv3_stream *ui_smmuv3_stream_open(struct ui_smmuv3 *smmu, u32 sid);
void ui_smmuv3_stream_close(struct ui_smmuv3_stream *stream); /* not inside a section; NULL is a no-op */
/* For ui_dma_read() and its kind; a PASID is a SubstreamID. Refusals become events as the specification says. */
struct ui_dma *ui_smmuv3_stream_dma(struct ui_smmuv3_stream *stream);

/* What the caches of a stream hold for an access, against what structures and tables in memory say now. */
enum ui_smmuv3_cached {
	UI_SMMUV3_CACHE_GOOD,   /* the same: as if there were no cache */
	UI_SMMUV3_CACHE_CONFIG, /* STE or CD were changed, and nothing has invalidated the old ones */
	UI_SMMUV3_CACHE_TLB,    /* a translation that the tables do not hold any more, or grants more or other than they do */
};

/*
 * For tests of drivers: was an invalidation forgotten? On the port's thread, outside sections. Marks nothing in tables, but asks
 * the caches as an access would, and fills them. Without memory: UI_SMMUV3_CACHE_GOOD.
 */
enum ui_smmuv3_cached ui_smmuv3_stream_cached(struct ui_smmuv3_stream *stream, const struct ui_dma_addr *at, unsigned access);

#endif
