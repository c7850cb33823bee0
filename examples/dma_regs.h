/* SPDX-License-Identifier: MIT */
/* The registers of docs/dma-device.md that the examples use, as a driver author would write them down. */
#ifndef DMA_REGS_H
#define DMA_REGS_H

#include <stdint.h>

enum {
	DMA_VENDOR = 0x6975,
	DMA_DEVICE = 0x0001,

	/* BAR0 */
	DMA_REG_ID = 0x000,
	DMA_REG_CTRL = 0x010,
	DMA_REG_FAULT_STATUS = 0x020,
	DMA_REG_FAULT_INFO = 0x024,
	DMA_REG_FAULT_PASID = 0x028,
	DMA_REG_FAULT_ADDR = 0x030,
	DMA_REG_IRQ_STATUS = 0x040,
	DMA_REG_CHANNEL0 = 0x1000,
	DMA_CH_RING_BASE = 0x00,
	DMA_CH_RING_LG2 = 0x08,
	DMA_CH_CTRL = 0x10,
	DMA_CH_TAIL = 0x20,

	DMA_ID = 0x31616d64,
	DMA_ENABLE = 1,

	/* descriptors */
	DMA_OP_COPY = 1,
	DMA_FLAG_IRQ = 1,
	DMA_FLAG_SRC_PASID = 2,
	DMA_FLAG_DST_PASID = 4,

	/* completion records */
	DMA_STATUS_DONE = 1,
	DMA_STATUS_FAULT = 2,
};

struct dma_desc {
	uint8_t opcode, flags;
	uint16_t cookie;
	uint32_t length;
	uint64_t src, dst;
	uint32_t src_pasid, dst_pasid;
	uint64_t completion;
	uint64_t zero[3];
};

struct dma_completion {
	uint32_t status;
	uint16_t cookie;
	uint8_t reason, what;
	uint64_t bytes;
	uint64_t addr;
	uint32_t pasid, zero;
};

#endif
