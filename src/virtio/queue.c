/* SPDX-License-Identifier: MIT */
#include "virtio/queue.h"
#include "base/alloc.h"
#include "base/bits.h"

#include <errno.h>
#include <string.h>

enum { DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4, DESC_BYTES = 16 };
enum { AVAIL_NO_INTERRUPT = 1, RING_IDX = 2, RING = 4, USED_ELEM_BYTES = 8 };

/* As in memory, little endian. */
struct desc {
	u64 addr;
	u32 len;
	u16 flags, next;
};
_Static_assert(sizeof(struct desc) == DESC_BYTES, "2.7.5");

int ui_virtq_init(struct ui_virtq *q, struct ui_dma *port, u16 max)
{
	memset(q, 0, sizeof(*q));
	q->segs = ui_calloc(max, sizeof(*q->segs));
	if (!q->segs)
		return -ENOMEM;
	q->port = port;
	q->max = max;
	ui_virtq_reset(q);
	return 0;
}

void ui_virtq_fini(struct ui_virtq *q)
{
	ui_free(q->segs);
	q->segs = NULL;
}

void ui_virtq_reset(struct ui_virtq *q)
{
	const struct ui_virtq fresh = { .port = q->port, .segs = q->segs, .max = q->max, .size = q->max };

	*q = fresh;
}

static bool part_fits(u64 addr, u64 align, u64 n_bytes)
{
	u64 last;

	return ui_is_aligned(addr, align) && ui_range_last(addr, n_bytes, &last);
}

bool ui_virtq_enable(struct ui_virtq *q)
{
	q->enabled = true;
	q->broken = !ui_is_pow2(q->size) || q->size > q->max || !part_fits(q->desc, 16, (u64)DESC_BYTES * q->size) ||
		    !part_fits(q->avail, 2, 6 + 2 * (u64)q->size) || !part_fits(q->used, 4, 6 + 8 * (u64)q->size);
	return !q->broken;
}

/* ---- Access to the driver's memory ---- */

static bool rings_read(struct ui_virtq *q, u64 addr, void *buf, u32 n_bytes)
{
	const struct ui_dma_addr at = { .iova = addr };

	if (ui_dma_read(q->port, &at, buf, n_bytes, NULL, NULL) != UI_DMA_OK)
		q->broken = true;
	return !q->broken;
}

static void rings_write(struct ui_virtq *q, u64 addr, const void *buf, u32 n_bytes)
{
	const struct ui_dma_addr at = { .iova = addr };

	if (ui_dma_write(q->port, &at, buf, n_bytes, NULL, NULL) != UI_DMA_OK)
		q->broken = true;
}

static u16 ring_u16(struct ui_virtq *q, u64 addr)
{
	u16 val = 0;

	return rings_read(q, addr, &val, sizeof(val)) ? val : 0;
}

/* ---- Chains ---- */

/* Where the descriptors of a chain lie: the queue's table, or one that a descriptor points to. */
struct table {
	u64 addr;
	u32 n;
	bool indirect;
};

/* 2.7.5.3: a whole number of descriptors. Longer than the queue is no chain at all, so the number fits. */
static bool table_enter(struct ui_virtq *q, struct table *table, const struct desc *d)
{
	u64 last;

	if (table->indirect || !q->indirect || (d->flags & DESC_NEXT) || !d->len || d->len % DESC_BYTES || !ui_range_last(d->addr, d->len, &last))
		return false;
	*table = (struct table){ .addr = d->addr, .n = d->len / DESC_BYTES, .indirect = true };
	return true;
}

/* Notes one buffer. False: the chain breaks a rule (2.7.4, 2.7.5: no write-only before read-only, 2^32 bytes in all). */
static bool seg_add(struct ui_virtq *q, struct ui_virtq_chain *chain, const struct desc *d)
{
	bool write = d->flags & DESC_WRITE;
	u32 n = chain->n_readable + chain->n_writable;
	u64 last;

	if (n == q->size || (!write && chain->n_writable) || (d->len && !ui_range_last(d->addr, d->len, &last)))
		return false;
	q->segs[n] = (struct ui_virtq_seg){ .addr = d->addr, .n_bytes = d->len };
	*(write ? &chain->n_writable : &chain->n_readable) += 1;
	*(write ? &chain->writable_bytes : &chain->readable_bytes) += d->len;
	return chain->readable_bytes + chain->writable_bytes <= UI_BIT(32);
}

/* Follows the descriptors from @at on. A loop is longer than the queue, and ends there. */
static bool chain_walk(struct ui_virtq *q, struct ui_virtq_chain *chain, u32 at)
{
	struct table table = { .addr = q->desc, .n = q->size };
	struct desc d;

	for (;;) {
		if (at >= table.n || !rings_read(q, table.addr + (u64)at * DESC_BYTES, &d, sizeof(d)))
			return false;
		if (d.flags & DESC_INDIRECT) {
			if (!table_enter(q, &table, &d))
				return false;
			at = 0;
			continue;
		}
		if (!seg_add(q, chain, &d))
			return false;
		if (!(d.flags & DESC_NEXT))
			return true;
		at = d.next;
	}
}

bool ui_virtq_pop(struct ui_virtq *q, struct ui_virtq_chain *chain)
{
	if (!q->enabled || q->broken)
		return false;
	if (q->next_avail == q->seen_avail) {
		u16 idx = ring_u16(q, q->avail + RING_IDX);

		if (q->broken)
			return false;
		/* More than the ring has room for. */
		if ((u16)(idx - q->next_avail) > q->size) {
			q->broken = true;
			return false;
		}
		q->seen_avail = idx;
		if (idx == q->next_avail)
			return false;
	}
	*chain = (struct ui_virtq_chain){ .head = ring_u16(q, q->avail + RING + 2 * (u64)(q->next_avail & (q->size - 1))) };
	if (q->broken || !chain_walk(q, chain, chain->head)) {
		q->broken = true;
		return false;
	}
	q->next_avail++;
	return true;
}

bool ui_virtq_read(struct ui_virtq *q, const struct ui_virtq_chain *chain, void *buf, u32 n_bytes)
{
	for (u32 i = 0, done = 0; i < chain->n_readable && done < n_bytes; i++) {
		const struct ui_dma_addr at = { .iova = q->segs[i].addr };
		u32 n = (u32)ui_min(q->segs[i].n_bytes, n_bytes - done);

		if (ui_dma_read(q->port, &at, (u8 *)buf + done, n, NULL, NULL) != UI_DMA_OK)
			return false;
		done += n;
	}
	return true;
}

bool ui_virtq_write(struct ui_virtq *q, const struct ui_virtq_chain *chain, const void *buf, u32 n_bytes)
{
	const struct ui_virtq_seg *segs = q->segs + chain->n_readable;

	for (u32 i = 0, done = 0; i < chain->n_writable && done < n_bytes; i++) {
		const struct ui_dma_addr at = { .iova = segs[i].addr };
		u32 n = (u32)ui_min(segs[i].n_bytes, n_bytes - done);

		if (ui_dma_write(q->port, &at, (const u8 *)buf + done, n, NULL, NULL) != UI_DMA_OK)
			return false;
		done += n;
	}
	return true;
}

void ui_virtq_push(struct ui_virtq *q, const struct ui_virtq_chain *chain, u32 n_written)
{
	const u32 elem[2] = { chain->head, n_written };

	rings_write(q, q->used + RING + USED_ELEM_BYTES * (u64)(q->next_used & (q->size - 1)), elem, sizeof(elem));
	q->next_used++;
}

/* ---- Notifications, both ways (2.7.7, 2.7.10) ---- */

static bool wants_irq(struct ui_virtq *q)
{
	u16 old = q->irq_used, event;

	q->irq_used = q->next_used;
	if (!q->event_idx)
		return !(ring_u16(q, q->avail) & AVAIL_NO_INTERRUPT);
	event = ring_u16(q, q->avail + RING + 2 * (u64)q->size);
	return (u16)(q->next_used - event - 1) < (u16)(q->next_used - old);
}

bool ui_virtq_flush(struct ui_virtq *q)
{
	bool irq;

	if (q->broken || q->told_used == q->next_used)
		return false;
	rings_write(q, q->used + RING_IDX, &q->next_used, sizeof(q->next_used));
	q->told_used = q->next_used;
	irq = wants_irq(q);
	return irq && !q->broken;
}

bool ui_virtq_rest(struct ui_virtq *q)
{
	if (!q->enabled || q->broken)
		return false;
	if (q->event_idx)
		rings_write(q, q->used + RING + USED_ELEM_BYTES * (u64)q->size, &q->next_avail, sizeof(q->next_avail));
	return ring_u16(q, q->avail + RING_IDX) != q->next_avail && !q->broken;
}
