/* SPDX-License-Identifier: MIT */
/* The `dma` device: registers, doorbell pages, interrupts. docs/dma-device.md is what it implements. */
#include "devices/dma_priv.h"

#include "base/alloc.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { DB_TAIL = 0, DB_HEAD = 8, DB_STATUS = 16 };

static void *doorbell(struct dma_dev *dev, unsigned chan, unsigned offset)
{
	return dev->doorbells + chan * UI_PAGE_BYTES + offset;
}

static u32 chan_status(const struct dma_chan *c)
{
	return (u32)c->status | (u32)c->reason << 8;
}

/* Release: a driver that reads the new head with acquire sees everything the descriptor wrote. */
void ui_dma_chan_mirror(struct dma_dev *dev, unsigned chan)
{
	struct dma_chan *c = &dev->chans[chan];

	atomic_store_explicit((_Atomic u64 *)doorbell(dev, chan, DB_HEAD), c->head, memory_order_release);
	atomic_store_explicit((_Atomic u32 *)doorbell(dev, chan, DB_STATUS), chan_status(c), memory_order_release);
}

/* ---- interrupts and faults ---- */

static void pin_update(struct dma_dev *dev)
{
	ui_pci_intx(dev->pci, (dev->irq_status & ~dev->irq_mask) != 0);
}

static unsigned vector_of(unsigned bit)
{
	return bit == DMA_IRQ_FAULT ? DMA_VECTOR_FAULT : bit;
}

void ui_dma_dev_raise(struct dma_dev *dev, unsigned bit)
{
	dev->irq_status |= 1u << bit;
	if (!(dev->irq_mask & 1u << bit))
		ui_pci_msg(dev->pci, vector_of(bit));
	pin_update(dev);
}

/* What was held back by the mask is sent now, or an interrupt would be lost between a driver's look and its unmasking. */
static void mask_write(struct dma_dev *dev, u32 mask)
{
	u32 freed = dev->irq_status & dev->irq_mask & ~mask;

	dev->irq_mask = mask;
	for (; freed; freed &= freed - 1)
		ui_pci_msg(dev->pci, vector_of(ui_ffs64(freed)));
	pin_update(dev);
}

void ui_dma_dev_fault(struct dma_dev *dev, unsigned chan, const struct dma_refusal *why)
{
	if (dev->fault_status & DMA_FAULT_VALID) {
		dev->fault_status |= DMA_FAULT_OVERFLOW;
		return;
	}
	dev->fault_status |= DMA_FAULT_VALID;
	dev->fault_info = why->reason | (u32)why->write << 8 | (u32)why->has_pasid << 9 | (u32)why->what << 12 | chan << 16;
	dev->fault_pasid = why->has_pasid ? why->pasid : 0;
	dev->fault_addr = why->iova;
	ui_dma_dev_raise(dev, DMA_IRQ_FAULT);
}

/* ---- channels ---- */

/* A halted channel raises its interrupt, whatever its descriptors asked for: its driver may be waiting for one. */
void ui_dma_chan_halt(struct dma_dev *dev, unsigned chan, u8 reason)
{
	struct dma_chan *c = &dev->chans[chan];

	c->status = DMA_HALTED;
	c->reason = reason;
	c->busy = false;
	ui_dma_chan_mirror(dev, chan);
	ui_dma_dev_raise(dev, chan);
}

void ui_dma_chan_tail(struct dma_dev *dev, unsigned chan, u64 tail)
{
	struct dma_chan *c = &dev->chans[chan];

	if (c->status != DMA_RUNNING || tail <= c->tail)
		return;
	if (tail - c->head > UI_BIT(c->ring_lg2))
		ui_dma_chan_halt(dev, chan, DMA_REGISTER_ERROR);
	else
		c->tail = tail;
}

void ui_dma_chan_poll(struct dma_dev *dev, unsigned chan)
{
	if (!(dev->chans[chan].ctrl & DMA_CHAN_POLL))
		return;
	/* Acquire: pairs with the driver's release store of the tail, so that the descriptors before it are seen. */
	ui_dma_chan_tail(dev, chan, atomic_load_explicit((_Atomic u64 *)doorbell(dev, chan, DB_TAIL), memory_order_acquire));
}

static void chan_start(struct dma_dev *dev, unsigned chan)
{
	struct dma_chan *c = &dev->chans[chan];

	c->head = c->tail = c->done = 0;
	c->busy = false;
	c->reason = 0;
	c->status = DMA_RUNNING;
	/* Relaxed: a driver rings only after it has seen its write of ENABLE come back. */
	atomic_store_explicit((_Atomic u64 *)doorbell(dev, chan, DB_TAIL), 0, memory_order_relaxed);
	if (!ui_is_aligned(c->ring_base, DMA_DESC_BYTES) || c->ring_lg2 > DMA_MAX_RING_LG2)
		ui_dma_chan_halt(dev, chan, DMA_REGISTER_ERROR);
	else
		ui_dma_chan_mirror(dev, chan);
}

static void chan_ctrl(struct dma_dev *dev, unsigned chan, u32 val)
{
	struct dma_chan *c = &dev->chans[chan];
	bool was = c->ctrl & DMA_CHAN_ENABLE;

	c->ctrl = val & (DMA_CHAN_ENABLE | DMA_CHAN_POLL);
	if (!was && (val & DMA_CHAN_ENABLE)) {
		chan_start(dev, chan);
	} else if (was && !(val & DMA_CHAN_ENABLE)) {
		c->status = DMA_STOPPED;
		c->reason = 0;
		c->busy = false;
		ui_dma_chan_mirror(dev, chan);
	}
}

static void dev_reset(void *state)
{
	struct dma_dev *dev = state;

	dev->ctrl = dev->irq_status = dev->irq_mask = 0;
	dev->fault_status = dev->fault_info = dev->fault_pasid = 0;
	dev->fault_addr = 0;
	dev->turn = 0;
	memset(dev->chans, 0, sizeof(dev->chans));
	for (unsigned i = 0; i < DMA_N_CHANNELS; i++) {
		atomic_store_explicit((_Atomic u64 *)doorbell(dev, i, DB_TAIL), 0, memory_order_relaxed); /* as in chan_start() */
		ui_dma_chan_mirror(dev, i);
	}
	pin_update(dev);
}

/* ---- registers ---- */

enum reg {
	R_ID, R_VERSION, R_CAP, R_CTRL, R_STATUS, R_FAULT_STATUS, R_FAULT_INFO, R_FAULT_PASID, R_FAULT_ADDR, R_IRQ_STATUS, R_IRQ_MASK,
	C_RING_BASE, C_RING_LG2, C_RING_PASID, C_CTRL, C_STATUS, C_HEAD, C_TAIL,
};

struct reg_place {
	u16 offset;
	u8 n_bytes;
	u8 reg;
};

static const struct reg_place global_regs[] = {
	{ 0x00, 4, R_ID }, { 0x04, 4, R_VERSION }, { 0x08, 8, R_CAP }, { 0x10, 4, R_CTRL }, { 0x14, 4, R_STATUS },
	{ 0x20, 4, R_FAULT_STATUS }, { 0x24, 4, R_FAULT_INFO }, { 0x28, 4, R_FAULT_PASID }, { 0x30, 8, R_FAULT_ADDR },
	{ 0x40, 4, R_IRQ_STATUS }, { 0x44, 4, R_IRQ_MASK },
};

static const struct reg_place chan_regs[] = {
	{ 0x00, 8, C_RING_BASE }, { 0x08, 4, C_RING_LG2 }, { 0x0c, 4, C_RING_PASID }, { 0x10, 4, C_CTRL }, { 0x14, 4, C_STATUS },
	{ 0x18, 8, C_HEAD }, { 0x20, 8, C_TAIL },
};

/* The register that an access of its width, or of half of it for a 64-bit one, at @offset means. False: none. */
static bool reg_find(u64 offset, unsigned n_bytes, const struct reg_place **place, unsigned *chan)
{
	const struct reg_place *regs = global_regs;
	size_t n = ui_array_size(global_regs);

	*chan = 0;
	if (offset >= DMA_CHAN_BASE) {
		u64 nth = (offset - DMA_CHAN_BASE) / DMA_CHAN_STRIDE;

		if (nth >= DMA_N_CHANNELS)
			return false;
		*chan = (unsigned)nth;
		offset = (offset - DMA_CHAN_BASE) % DMA_CHAN_STRIDE;
		regs = chan_regs;
		n = ui_array_size(chan_regs);
	}
	for (size_t i = 0; i < n; i++) {
		*place = &regs[i];
		if (n_bytes == regs[i].n_bytes && offset == regs[i].offset)
			return true;
		if (n_bytes == 4 && regs[i].n_bytes == 8 && (offset == regs[i].offset || offset == regs[i].offset + 4u))
			return true;
	}
	return false;
}

static u32 running(const struct dma_dev *dev)
{
	u32 mask = 0;

	for (unsigned i = 0; i < DMA_N_CHANNELS; i++)
		mask |= (u32)(dev->chans[i].status == DMA_RUNNING) << i;
	return mask;
}

static u64 reg_get(const struct dma_dev *dev, enum reg reg, const struct dma_chan *c)
{
	switch (reg) {
	case R_ID:
		return DMA_ID;
	case R_VERSION:
		return 1;
	case R_CAP:
		return DMA_N_CHANNELS | DMA_MAX_RING_LG2 << 8 | (u64)ui_pci_pasid_bits(dev->pci) << 16 | ui_mask_lg2(DMA_N_OPS) << 24;
	case R_CTRL:
		return dev->ctrl;
	case R_STATUS:
		return running(dev);
	case R_FAULT_STATUS:
		return dev->fault_status;
	case R_FAULT_INFO:
		return dev->fault_info;
	case R_FAULT_PASID:
		return dev->fault_pasid;
	case R_FAULT_ADDR:
		return dev->fault_addr;
	case R_IRQ_STATUS:
		return dev->irq_status;
	case R_IRQ_MASK:
		return dev->irq_mask;
	case C_RING_BASE:
		return c->ring_base;
	case C_RING_LG2:
		return c->ring_lg2;
	case C_RING_PASID:
		return c->ring_pasid;
	case C_CTRL:
		return c->ctrl;
	case C_STATUS:
		return chan_status(c);
	case C_HEAD:
		return c->head;
	case C_TAIL:
		return c->tail;
	}
	return 0;
}

static u64 dev_read(void *state, unsigned bar, u64 offset, unsigned n_bytes)
{
	struct dma_dev *dev = state;
	const struct reg_place *place;
	unsigned chan;
	u64 val;

	if (bar != DMA_BAR_REGS || !reg_find(offset, n_bytes, &place, &chan))
		return 0;
	val = reg_get(dev, place->reg, &dev->chans[chan]);
	if (n_bytes == place->n_bytes)
		return val;
	return offset & 4 ? val >> 32 : (u32)val;
}

static void global_write(struct dma_dev *dev, enum reg reg, u32 val)
{
	switch (reg) {
	case R_CTRL:
		if (val & DMA_CTRL_RESET)
			dev_reset(dev);
		else
			dev->ctrl = val & DMA_CTRL_ENABLE;
		break;
	case R_FAULT_STATUS:
		dev->fault_status &= ~val;
		break;
	case R_IRQ_STATUS:
		dev->irq_status &= ~val;
		pin_update(dev);
		break;
	case R_IRQ_MASK:
		mask_write(dev, val);
		break;
	default:
		break; /* read-only */
	}
}

static void chan_write(struct dma_dev *dev, enum reg reg, unsigned chan, u64 val)
{
	struct dma_chan *c = &dev->chans[chan];
	bool fixed = c->ctrl & DMA_CHAN_ENABLE;

	if (reg == C_CTRL)
		chan_ctrl(dev, chan, (u32)val);
	else if (reg == C_TAIL)
		ui_dma_chan_tail(dev, chan, val);
	else if (reg == C_RING_BASE && !fixed)
		c->ring_base = val;
	else if (reg == C_RING_LG2 && !fixed)
		c->ring_lg2 = (u32)val;
	else if (reg == C_RING_PASID && !fixed)
		c->ring_pasid = (u32)val & (DMA_PASID_VALID | DMA_PASID_MASK);
}

static void dev_write(void *state, unsigned bar, u64 offset, unsigned n_bytes, u64 val)
{
	struct dma_dev *dev = state;
	const struct reg_place *place;
	struct dma_chan *c;
	unsigned chan;

	if (bar != DMA_BAR_REGS || !reg_find(offset, n_bytes, &place, &chan))
		return;
	if (place->reg < C_RING_BASE) {
		if (place->n_bytes == 4) /* the 64-bit ones are read-only */
			global_write(dev, place->reg, (u32)val);
		ui_pci_wake(dev->pci);
		return;
	}
	c = &dev->chans[chan];
	if (n_bytes < place->n_bytes) {
		if (place->reg == C_TAIL && !(offset & 4)) {
			/* Half a tail is not a tail: the high half sets both. */
			c->tail_low = (u32)val;
			return;
		}
		if (place->reg == C_TAIL)
			val = val << 32 | c->tail_low;
		else
			val = offset & 4 ? val << 32 | (u32)c->ring_base : (c->ring_base & ~(u64)0xffffffff) | (u32)val;
	}
	chan_write(dev, place->reg, chan, val);
	ui_pci_wake(dev->pci);
}

/* ---- the model ---- */

static bool dev_polls(void *state)
{
	struct dma_dev *dev = state;

	for (unsigned i = 0; i < DMA_N_CHANNELS; i++) {
		if ((dev->ctrl & DMA_CTRL_ENABLE) && dev->chans[i].status == DMA_RUNNING && (dev->chans[i].ctrl & DMA_CHAN_POLL))
			return true;
	}
	return false;
}

static int dev_create(struct ui_pci *pci, const char *options, void **state, char *err, size_t err_bytes)
{
	struct dma_dev *dev;

	if (options && *options) {
		snprintf(err, err_bytes, "dma: unknown option \"%s\"; it has none of its own", options);
		return -EINVAL;
	}
	dev = ui_zalloc(sizeof(*dev));
	if (!dev)
		return -ENOMEM;
	dev->pci = pci;
	dev->port = ui_pci_dma(pci);
	dev->doorbells = ui_pci_bar_mem(pci, DMA_BAR_DOORBELLS);
	dev_reset(dev);
	*state = dev;
	return 0;
}

static void dev_destroy(void *state)
{
	ui_free(state);
}

extern const struct ui_pci_model ui_dma_model;

const struct ui_pci_model ui_dma_model = {
	.name = "dma",
	.vendor = 0x6975,
	.device = 0x0001,
	.subvendor = 0x6975,
	.subdevice = 0x0001,
	.revision = 1,
	.class_code = 0x088000,
	.bars = {
		[DMA_BAR_REGS] = { .n_bytes = 16 << 10, .is_64 = true },
		[DMA_BAR_DOORBELLS] = { .n_bytes = DMA_N_CHANNELS * UI_PAGE_BYTES, .is_64 = true, .mappable = true },
		[DMA_BAR_MSIX] = { .n_bytes = 8 << 10, .is_64 = true },
	},
	.n_msix = DMA_N_CHANNELS + 1,
	.msix_bar = DMA_BAR_MSIX,
	.n_msi_lg2 = 3,
	.pin = 1,
	.create = dev_create,
	.destroy = dev_destroy,
	.reset = dev_reset,
	.read = dev_read,
	.write = dev_write,
	.step = ui_dma_dev_step,
	.polls = dev_polls,
};
