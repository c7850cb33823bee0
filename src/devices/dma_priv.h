/* SPDX-License-Identifier: MIT */
/* The `dma` device: its numbers (docs/dma-device.md) and what its registers (dma.c) and rings (dma_ring.c) share. */
#ifndef UI_DEVICES_DMA_PRIV_H
#define UI_DEVICES_DMA_PRIV_H

#include "base/bits.h"
#include "devices/pci.h"

enum {
	DMA_N_CHANNELS = 8,
	DMA_MAX_RING_LG2 = 16,
	DMA_DESC_BYTES = 64,
	DMA_RECORD_BYTES = 32,
	DMA_VECTOR_FAULT = 8,
	DMA_BAR_REGS = 0,
	DMA_BAR_DOORBELLS = 2,
	DMA_BAR_MSIX = 4,
	DMA_CHAN_BASE = 0x1000,
	DMA_CHAN_STRIDE = 0x80,
	DMA_IRQ_FAULT = 31, /* bit of IRQ_STATUS */
	DMA_REGISTER_ERROR = 0xff,
};
#define DMA_ID 0x31616d64u

enum { DMA_CTRL_ENABLE = 1, DMA_CTRL_RESET = 2, DMA_CHAN_ENABLE = 1, DMA_CHAN_POLL = 2 };
enum { DMA_FAULT_VALID = 1, DMA_FAULT_OVERFLOW = 2 };
enum dma_chan_status { DMA_STOPPED, DMA_RUNNING, DMA_HALTED };
enum { DMA_OP_NOP, DMA_OP_COPY, DMA_OP_FILL, DMA_OP_COMPARE, DMA_N_OPS };
enum { DMA_F_IRQ = 1, DMA_F_SRC_PASID = 2, DMA_F_DST_PASID = 4, DMA_F_KNOWN = 7 };
enum { DMA_DONE = 1, DMA_FAULTED, DMA_DIFFERS, DMA_BAD };
enum dma_what { DMA_AT_DESC, DMA_AT_SRC, DMA_AT_DST, DMA_AT_RECORD };
#define DMA_PASID_VALID (1u << 31)
#define DMA_PASID_MASK 0xfffffu

/* A descriptor, decoded from a private copy. */
struct dma_desc {
	u8 op, flags;
	u16 cookie;
	u32 length;
	u64 src; /* fill: the pattern */
	struct ui_dma_addr from, to;
	u64 record; /* 0: none */
	bool bad;
};

struct dma_chan {
	u64 ring_base;
	u32 ring_lg2, ring_pasid; /* as written */
	u32 ctrl;
	enum dma_chan_status status;
	u8 reason;
	u64 head, tail;
	u32 tail_low; /* the low half of a tail that is written in halves */
	bool busy;    /* @desc is in progress, @done bytes of it */
	struct dma_desc desc;
	u64 done;
};

/* Guarded by the function's lock. */
struct dma_dev {
	struct ui_pci *pci;
	struct ui_dma *port;
	u8 *doorbells; /* shared with whoever mapped BAR2: atomic accesses only */
	u32 ctrl;
	u32 fault_status, fault_info, fault_pasid;
	u64 fault_addr;
	u32 irq_status, irq_mask;
	unsigned turn; /* the channel that is served next */
	struct dma_chan chans[DMA_N_CHANNELS];
};

/* What the last refused access was, for fault registers and completion records. */
struct dma_refusal {
	u8 reason; /* as in the document; 0: none */
	enum dma_what what;
	bool write, has_pasid;
	u32 pasid;
	u64 iova;
};

/* dma.c */
void ui_dma_dev_raise(struct dma_dev *dev, unsigned bit);
void ui_dma_dev_fault(struct dma_dev *dev, unsigned chan, const struct dma_refusal *why);
void ui_dma_chan_mirror(struct dma_dev *dev, unsigned chan);
void ui_dma_chan_halt(struct dma_dev *dev, unsigned chan, u8 reason);
void ui_dma_chan_tail(struct dma_dev *dev, unsigned chan, u64 tail);
void ui_dma_chan_poll(struct dma_dev *dev, unsigned chan);

/* dma_ring.c: a bounded piece of work; true when more is waiting. */
bool ui_dma_dev_step(void *state);

#endif
