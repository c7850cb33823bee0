/* SPDX-License-Identifier: MIT */
/*
 * A split virtqueue (virtio 1.2, 2.7) from the device's side. Rings and buffers are a driver's memory: never trusted, each word read
 * once, every access through a DMA port. A queue that breaks the rules is broken: nothing more is read or written.
 *
 * Order: each access of a port begins with a sequentially consistent exchange and load (translate/dma.h), so the accesses here
 * reach memory in program order, stores before later loads too: that is what the rings need.
 *
 * Threads: one at a time (the device's lock).
 */
#ifndef UI_VIRTIO_QUEUE_H
#define UI_VIRTIO_QUEUE_H

#include "base/types.h"
#include "translate/dma.h"

enum { UI_VIRTQ_MAX = 32768 };

struct ui_virtq_seg {
	u64 addr;
	u32 n_bytes;
};

/* A buffer that the driver made available: first what the device reads, then what it writes. */
struct ui_virtq_chain {
	u16 head;
	u32 n_readable, n_writable;       /* segments; those to be written follow in the same array */
	u64 readable_bytes, writable_bytes; /* sums; together at most 2^32 */
};

struct ui_virtq {
	struct ui_dma *port;
	struct ui_virtq_seg *segs; /* of the chain popped last: room for max */
	u16 max;                   /* constant */
	u16 size;
	bool enabled, broken;
	bool event_idx, indirect; /* negotiated */
	u64 desc, avail, used;
	u16 next_avail;  /* index of the next chain to take */
	u16 seen_avail;  /* the driver's index as last read */
	u16 next_used;   /* index of the next used element */
	u16 told_used;   /* the index that the driver last saw in memory */
	u16 irq_used;    /* the index at the last decision about an interrupt */
};

/* @max: a power of two up to UI_VIRTQ_MAX. 0; -ENOMEM. */
int ui_virtq_init(struct ui_virtq *q, struct ui_dma *port, u16 max);
void ui_virtq_fini(struct ui_virtq *q);
/* As after a reset of the device. */
void ui_virtq_reset(struct ui_virtq *q);
/* size, desc, avail, used and the features are set. False: they cannot be; the queue is broken. */
bool ui_virtq_enable(struct ui_virtq *q);

/* Takes the next chain. False: there is none, or the queue is broken. */
bool ui_virtq_pop(struct ui_virtq *q, struct ui_virtq_chain *chain);
/* The first @n_bytes of what the device reads (at most readable_bytes). False: memory refused. Only for the chain popped last. */
bool ui_virtq_read(struct ui_virtq *q, const struct ui_virtq_chain *chain, void *buf, u32 n_bytes);
/* @buf goes to the start of what the device writes (at most writable_bytes). As above. */
bool ui_virtq_write(struct ui_virtq *q, const struct ui_virtq_chain *chain, const void *buf, u32 n_bytes);
/* Gives the chain back; @n_written bytes from the start of its writable part are good. The driver sees it after ui_virtq_flush(). */
void ui_virtq_push(struct ui_virtq *q, const struct ui_virtq_chain *chain, u32 n_written);
/* Shows the driver what was pushed. True: it wants an interrupt. */
bool ui_virtq_flush(struct ui_virtq *q);
/* Before the device rests: asks for a notification of the next chain. True: one came meanwhile. */
bool ui_virtq_rest(struct ui_virtq *q);

#endif
