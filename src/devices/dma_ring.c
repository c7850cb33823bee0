/* SPDX-License-Identifier: MIT */
/*
 * The `dma` device at work: fetch a descriptor, move its bytes in slices, write its completion record. Channels take turns;
 * a descriptor may need many steps, and everything about it is in its channel meanwhile.
 */
#include "devices/dma_priv.h"

#include <string.h>

enum {
	STEP_BYTES = 64 << 10,  /* of DMA in one step() */
	SLICE_BYTES = 16 << 10, /* of one channel before the next has its turn; a multiple of a fill's pattern */
	DESC_COST = 256,        /* what a descriptor counts besides its data, so that a ring of nops ends a step too */
};

static u64 get64(const u8 *at)
{
	u64 val;

	memcpy(&val, at, sizeof(val));
	return val;
}

static u32 get32(const u8 *at)
{
	u32 val;

	memcpy(&val, at, sizeof(val));
	return val;
}

static u8 reason_of(enum ui_dma_status status)
{
	static const u8 reasons[UI_DMA_N_STATUS] = {
		[UI_DMA_BLOCKED] = 1,	   [UI_DMA_BAD_PASID] = 2, [UI_DMA_TRANSLATION] = 3, [UI_DMA_ADDR_SIZE] = 4, [UI_DMA_ACCESS] = 5,
		[UI_DMA_PERMISSION] = 5,   [UI_DMA_MALFORMED] = 6, [UI_DMA_WALK_ABORT] = 7,  [UI_DMA_ABORT] = 7,
	};

	return reasons[status];
}

static struct ui_dma_addr at_ring(const struct dma_chan *c, u64 iova)
{
	return (struct ui_dma_addr){
		.iova = iova,
		.pasid = c->ring_pasid & DMA_PASID_MASK,
		.has_pasid = c->ring_pasid & DMA_PASID_VALID,
	};
}

static void refuse(struct dma_refusal *why, enum ui_dma_status status, enum dma_what what, bool write, const struct ui_dma_addr *at,
		   u64 iova)
{
	*why = (struct dma_refusal){
		.reason = reason_of(status),
		.what = what,
		.write = write,
		.has_pasid = at->has_pasid,
		.pasid = at->has_pasid ? at->pasid : 0,
		.iova = iova,
	};
}

/* What the function itself refuses before the IOMMU sees it: PASIDs that are switched off or wider than its own. */
static bool pasid_ok(const struct dma_dev *dev, const struct ui_dma_addr *at)
{
	if (!at->has_pasid)
		return true;
	return ui_pci_pasid_enabled(dev->pci) && !(at->pasid >> ui_pci_pasid_bits(dev->pci));
}

/* ---- descriptor ---- */

static void desc_decode(const u8 raw[DMA_DESC_BYTES], struct dma_desc *d)
{
	u32 src_pasid = get32(raw + 24), dst_pasid = get32(raw + 28);

	*d = (struct dma_desc){
		.op = raw[0],
		.flags = raw[1],
		.cookie = (u16)(raw[2] | raw[3] << 8),
		.length = get32(raw + 4),
		.src = get64(raw + 8),
		.from = { .iova = get64(raw + 8), .pasid = src_pasid & DMA_PASID_MASK, .has_pasid = raw[1] & DMA_F_SRC_PASID },
		.to = { .iova = get64(raw + 16), .pasid = dst_pasid & DMA_PASID_MASK, .has_pasid = raw[1] & DMA_F_DST_PASID },
		.record = get64(raw + 32),
	};
	d->bad = d->op >= DMA_N_OPS || (d->flags & ~DMA_F_KNOWN) || (src_pasid & ~DMA_PASID_MASK) || (dst_pasid & ~DMA_PASID_MASK);
	for (unsigned i = 40; i < DMA_DESC_BYTES; i++)
		d->bad |= raw[i] != 0;
}

/* False: the channel is halted. */
static bool desc_fetch(struct dma_dev *dev, unsigned chan)
{
	struct dma_chan *c = &dev->chans[chan];
	u64 slot = c->head & ui_mask_lg2(c->ring_lg2);
	struct ui_dma_addr at = at_ring(c, c->ring_base + slot * DMA_DESC_BYTES);
	enum ui_dma_status status = UI_DMA_BAD_PASID;
	struct ui_fault fault = { .iova = at.iova };
	struct dma_refusal why;
	u8 raw[DMA_DESC_BYTES];

	if (pasid_ok(dev, &at))
		status = ui_dma_read(dev->port, &at, raw, sizeof(raw), NULL, &fault);
	if (status != UI_DMA_OK) {
		refuse(&why, status, DMA_AT_DESC, false, &at, fault.iova);
		ui_dma_dev_fault(dev, chan, &why);
		ui_dma_chan_halt(dev, chan, why.reason);
		return false;
	}
	desc_decode(raw, &c->desc);
	if (!ui_is_aligned(c->desc.record, 16)) {
		/* Nowhere to say that the descriptor is bad. */
		ui_dma_chan_halt(dev, chan, DMA_REGISTER_ERROR);
		return false;
	}
	c->busy = true;
	c->done = 0;
	return true;
}

/* ---- completion ---- */

static void record_fill(u8 rec[DMA_RECORD_BYTES], const struct dma_chan *c, u32 status, const struct dma_refusal *why, u64 differs_at)
{
	u64 iova = why->reason ? why->iova : differs_at;

	memset(rec, 0, DMA_RECORD_BYTES);
	memcpy(rec, &status, 4);
	memcpy(rec + 4, &c->desc.cookie, 2);
	rec[6] = why->reason;
	rec[7] = (u8)((u8)why->write | (u8)why->has_pasid << 1 | (u8)(why->what << 4));
	memcpy(rec + 8, &c->done, 8);
	memcpy(rec + 16, &iova, 8);
	memcpy(rec + 24, &why->pasid, 4);
}

/* The first word, with the status, goes last and as one aligned store: who sees it sees the rest. */
static enum ui_dma_status record_write(struct dma_dev *dev, const struct ui_dma_addr *at, const u8 rec[DMA_RECORD_BYTES],
				       struct ui_fault *fault)
{
	struct ui_dma_addr rest = *at;
	enum ui_dma_status status;

	rest.iova += 8;
	status = ui_dma_write(dev->port, &rest, rec + 8, DMA_RECORD_BYTES - 8, NULL, fault);
	if (status != UI_DMA_OK) /* the same page refuses both, and the record starts at @at */
		fault->iova = fault->iova == rest.iova ? at->iova : fault->iova;
	else
		status = ui_dma_write(dev->port, at, rec, 8, NULL, fault);
	return status;
}

/* False: the channel is halted. */
static bool complete(struct dma_dev *dev, unsigned chan, u32 status, const struct dma_refusal *why, u64 differs_at)
{
	struct dma_chan *c = &dev->chans[chan];
	struct ui_dma_addr at = at_ring(c, c->desc.record);
	struct ui_fault fault = { .iova = at.iova };
	enum ui_dma_status written = UI_DMA_OK;
	struct dma_refusal lost;
	u8 rec[DMA_RECORD_BYTES];

	if (why->reason)
		ui_dma_dev_fault(dev, chan, why);
	if (at.iova) {
		record_fill(rec, c, status, why, differs_at);
		written = pasid_ok(dev, &at) ? record_write(dev, &at, rec, &fault) : UI_DMA_BAD_PASID;
	}
	c->busy = false;
	c->head++;
	if (written != UI_DMA_OK) {
		refuse(&lost, written, DMA_AT_RECORD, true, &at, fault.iova);
		ui_dma_dev_fault(dev, chan, &lost);
		ui_dma_chan_halt(dev, chan, lost.reason);
		return false;
	}
	ui_dma_chan_mirror(dev, chan);
	if (c->desc.flags & DMA_F_IRQ)
		ui_dma_dev_raise(dev, chan);
	return true;
}

/* ---- data ---- */

/* Moves @at on by @done bytes. False when that passes the end of the 64-bit space. */
static bool advance(struct ui_dma_addr *at, u64 done)
{
	return !__builtin_add_overflow(at->iova, done, &at->iova);
}

/* At most @n bytes before @at's space of 2^64 bytes ends. */
static u64 before_end(const struct ui_dma_addr *at, u64 n)
{
	return at->iova && n > -at->iova ? -at->iova : n;
}

static bool same_space(const struct ui_dma_addr *at, const struct ui_fault *fault)
{
	return at->has_pasid == fault->has_pasid && (!at->has_pasid || at->pasid == fault->pasid);
}

/* Which of the two addresses an access was about that was refused after @moved bytes: a copy's by its direction, a compare's, which
 * reads both, by the address. */
static bool fault_is_dst(const struct dma_desc *d, const struct ui_dma_addr *from, const struct ui_fault *fault, u64 moved)
{
	if (d->op == DMA_OP_FILL)
		return true;
	if (d->op == DMA_OP_COPY)
		return fault->access & UI_PROT_WRITE;
	return !same_space(from, fault) || fault->iova != from->iova + moved;
}

enum slice_result { SLICE_MORE, SLICE_END, SLICE_REFUSED, SLICE_DIFFERS };

/* Checks what needs no translation: ends of the address space and PASIDs. */
static bool slice_check(struct dma_dev *dev, const struct dma_desc *d, struct ui_dma_addr *from, struct ui_dma_addr *to, u64 done,
			struct dma_refusal *why)
{
	bool has_src = d->op != DMA_OP_FILL, writes = d->op != DMA_OP_COMPARE;

	if (has_src && !pasid_ok(dev, from))
		refuse(why, UI_DMA_BAD_PASID, DMA_AT_SRC, false, from, from->iova);
	else if (!pasid_ok(dev, to))
		refuse(why, UI_DMA_BAD_PASID, DMA_AT_DST, writes, to, to->iova);
	else if (has_src && !advance(from, done))
		refuse(why, UI_DMA_ADDR_SIZE, DMA_AT_SRC, false, from, from->iova);
	else if (!advance(to, done))
		refuse(why, UI_DMA_ADDR_SIZE, DMA_AT_DST, writes, to, to->iova);
	else
		return true;
	return false;
}

static enum slice_result slice(struct dma_dev *dev, struct dma_chan *c, u64 budget, u64 *moved, struct dma_refusal *why)
{
	const struct dma_desc *d = &c->desc;
	struct ui_dma_addr from = d->from, to = d->to;
	struct ui_fault fault = { 0 };
	u64 n = ui_min(d->length - c->done, budget);
	enum ui_dma_status status;
	bool differs = false, dst;

	*moved = 0;
	if (!n || d->op == DMA_OP_NOP) {
		c->done = d->op == DMA_OP_NOP ? d->length : c->done;
		return SLICE_END;
	}
	if (!slice_check(dev, d, &from, &to, c->done, why))
		return SLICE_REFUSED;
	n = before_end(&to, d->op == DMA_OP_FILL ? n : before_end(&from, n));
	if (d->op == DMA_OP_COPY)
		status = ui_dma_copy(dev->port, &from, &to, n, moved, &fault);
	else if (d->op == DMA_OP_FILL)
		status = ui_dma_fill(dev->port, &to, d->src, n, moved, &fault);
	else
		status = ui_dma_compare(dev->port, &from, &to, n, &differs, moved, &fault);
	if (status == UI_DMA_OK && !differs)
		*moved = n;
	c->done += *moved;
	if (status != UI_DMA_OK) {
		dst = fault_is_dst(d, &from, &fault, *moved);
		refuse(why, status, dst ? DMA_AT_DST : DMA_AT_SRC, dst && d->op != DMA_OP_COMPARE, dst ? &to : &from, fault.iova);
		return SLICE_REFUSED;
	}
	if (differs)
		return SLICE_DIFFERS;
	return c->done == d->length ? SLICE_END : SLICE_MORE;
}

/* ---- steps ---- */

static bool has_work(const struct dma_chan *c)
{
	return c->status == DMA_RUNNING && (c->busy || c->head < c->tail);
}

/* One turn of a channel: at most one descriptor and SLICE_BYTES. Returns what it cost. */
static u64 turn(struct dma_dev *dev, unsigned chan)
{
	struct dma_chan *c = &dev->chans[chan];
	struct dma_refusal why = { 0 };
	u64 moved = 0;

	if (!c->busy && !desc_fetch(dev, chan))
		return DESC_COST;
	if (c->desc.bad) {
		complete(dev, chan, DMA_BAD, &why, 0);
		return DESC_COST;
	}
	switch (slice(dev, c, SLICE_BYTES, &moved, &why)) {
	case SLICE_MORE:
		break;
	case SLICE_END:
		complete(dev, chan, DMA_DONE, &why, 0);
		break;
	case SLICE_REFUSED:
		complete(dev, chan, DMA_FAULTED, &why, 0);
		break;
	case SLICE_DIFFERS:
		complete(dev, chan, DMA_DIFFERS, &why, c->desc.to.iova + c->done);
		break;
	}
	return moved + DESC_COST;
}

bool ui_dma_dev_step(void *state)
{
	struct dma_dev *dev = state;
	u64 spent = 0;
	unsigned idle = 0;

	if (!(dev->ctrl & DMA_CTRL_ENABLE))
		return false;
	while (spent < STEP_BYTES && idle < DMA_N_CHANNELS) {
		unsigned chan = dev->turn;

		dev->turn = (chan + 1) % DMA_N_CHANNELS;
		ui_dma_chan_poll(dev, chan);
		if (has_work(&dev->chans[chan])) {
			spent += turn(dev, chan);
			idle = 0;
		} else {
			idle++;
		}
	}
	for (unsigned i = 0; i < DMA_N_CHANNELS; i++) {
		if (has_work(&dev->chans[i]))
			return true;
	}
	return false;
}
