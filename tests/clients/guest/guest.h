/* SPDX-License-Identifier: MIT */
/*
 * What the guest's user space does with the dma device of docs/dma-device.md. Written from that page alone: it shares
 * no line with the device or with the examples, so that a slip in one shows in the other.
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- pci.c: the function, its memory and its interrupts, through sysfs and uio or through vfio */

enum { PAGE = 4096, ARENA_PAGES = 64 };

/* The iova of the arena under vfio, and one at which nothing is ever mapped (256 GiB: also beyond any guest RAM). */
#define IOVA_ARENA 0x10000000ull
#define IOVA_NOWHERE 0x4000000000ull

struct pci {
	bool vfio; /* else sysfs and uio: the guest has no IOMMU, and iovas are guest physical addresses */
	char address[16];
	int config, device, container;
	long config_offset;
	uint8_t *arena; /* all memory that the device is given */
};

/* Finds the function and opens it; says why not and returns false. */
bool pci_open(struct pci *pci, uint16_t vendor, uint16_t device);
/* A function that has no driver: its configuration and BARs only, and no memory for it. */
bool pci_open_bare(struct pci *pci, const char *address);
uint32_t pci_config_read(struct pci *pci, unsigned offset, unsigned bytes);
void pci_config_write(struct pci *pci, unsigned offset, unsigned bytes, uint32_t value);
volatile uint8_t *pci_map_bar(struct pci *pci, unsigned bar, size_t bytes);
/* The iova of an address in the arena; the next page's may be anywhere. */
uint64_t pci_iova(struct pci *pci, const void *address);
/* vfio only. */
bool pci_map(struct pci *pci, void *address, uint64_t iova, size_t bytes, bool writable);
bool pci_unmap(struct pci *pci, uint64_t iova, size_t bytes);

/* vfio only: ties count vectors of a VFIO_PCI_*_IRQ_INDEX to eventfds, or frees all of them. */
bool pci_irqs_enable(struct pci *pci, unsigned index, const int *eventfds, unsigned count);
bool pci_irqs_disable(struct pci *pci, unsigned index);
bool pci_intx_unmask(struct pci *pci);
bool pci_reset(struct pci *pci);
/* Waits for an interrupt: 0 when none came, -1 on failure, else how many (uio: since it was opened). */
int irq_wait(int fd, int milliseconds);

/* --- stray.c: an NVMe controller that is told to use memory it was not given; returns the exit status */

int stray(const char *address);

/* --- dma.c: a driver */

enum {
	REG_ID = 0x000, REG_VERSION = 0x004, REG_CAP = 0x008, REG_CTRL = 0x010, REG_STATUS = 0x014,
	REG_FAULT_STATUS = 0x020, REG_FAULT_INFO = 0x024, REG_FAULT_ADDR = 0x030,
	REG_IRQ_STATUS = 0x040, REG_IRQ_MASK = 0x044,
	CHANNEL0 = 0x1000, CHANNEL_BYTES = 0x80,
	CH_RING_BASE = 0x00, CH_RING_LG2 = 0x08, CH_RING_PASID = 0x0c, CH_CTRL = 0x10, CH_STATUS = 0x14, CH_HEAD = 0x18,
	CH_TAIL = 0x20,
	CTRL_ENABLE = 1, CTRL_RESET = 2, CH_CTRL_POLL = 2,
	DOORBELL_BYTES = 4096, DOORBELL_HEAD = 8, DOORBELL_STATUS = 16,
	OP_NOP = 0, OP_COPY = 1, OP_FILL = 2, OP_COMPARE = 3,
	FLAG_IRQ = 1,
	DONE = 1, FAULT = 2, DIFFERENT = 3, BAD = 4,
	REASON_TRANSLATION = 3, REASON_ADDR_SIZE = 4, REASON_PERMISSION = 5, REASON_ABORT = 7,
	FAULT_VECTOR = 8, RING_LG2 = 3, RING = 1 << RING_LG2,
};

struct descriptor {
	uint8_t opcode, flags;
	uint16_t cookie;
	uint32_t length;
	uint64_t source, destination;
	uint32_t source_pasid, destination_pasid;
	uint64_t completion;
	uint8_t zero[24];
};

struct completion {
	uint32_t status;
	uint16_t cookie;
	uint8_t reason, what;
	uint64_t bytes, iova;
	uint32_t pasid, zero;
};

struct dma {
	struct pci *pci;
	volatile uint8_t *registers, *doorbells;
};

struct channel {
	struct dma *dma;
	unsigned number;
	bool poll;
	uint64_t tail;
	struct descriptor *ring; /* RING of them in one page, their completion records behind them */
	struct completion *completions;
};

uint32_t read32(struct dma *dma, unsigned offset);
uint64_t read64(struct dma *dma, unsigned offset);
void write32(struct dma *dma, unsigned offset, uint32_t value);
void write64(struct dma *dma, unsigned offset, uint64_t value);

void dma_reset(struct dma *dma);
void channel_start(struct channel *channel, struct dma *dma, unsigned number, bool poll, void *page);
/* Submits without waiting; the answer is complete() of the same number. */
uint64_t channel_submit(struct channel *channel, struct descriptor descriptor);
void channel_ring(struct channel *channel);
/* The completion record of a descriptor; status 0 when none came in two seconds. */
struct completion channel_wait(struct channel *channel, uint64_t number);
/* Submits, waits and returns the completion. */
struct completion channel_run(struct channel *channel, struct descriptor descriptor);

#endif
