/* SPDX-License-Identifier: MIT */
/*
 * A host for the nvme device: the world of common.h with the controller in place of the dma function, a disk that forgets what was
 * not flushed when its power is cut, and a small driver.
 */
#ifndef TEST_DEVICES_NVME_COMMON_H
#define TEST_DEVICES_NVME_COMMON_H

#include "common.h"

#include "devices/nvme_priv.h"

#include <errno.h>

/* Host memory, one to one: queues in the first pages, data behind them. */
enum { ASQ_AT = 1 * PAGE, ACQ_AT = 2 * PAGE, IOQ_AT = 16 * PAGE, LIST_AT = 96 * PAGE, DATA_AT = 128 * PAGE, MAPPED = 768 };
enum { ADMIN_ENTRIES = 32, IO_ENTRIES = 64 };
enum { DISK_BYTES = 4 << 20, DISK_BLOCKS = DISK_BYTES / 512 };
#define OWN_BAR_AT ((u64)900 * PAGE) /* iova of the controller's registers */
#define STATUS(s) ((s) & 0x7ff)

struct disk {
	u8 *cached, *durable;
	int fail_read, fail_write, fail_flush, fail_discard; /* errno values that the next ones return */
	unsigned n_writes, n_flushes, n_discards;
};

struct queue {
	u64 sq, cq;
	u16 n_sq, n_cq, tail, head, n_cids;
	bool phase;
};

struct host {
	struct world w;
	struct disk disk;
	struct ui_nvme *nvme;
	bool read_only;
	struct queue queues[NVME_N_QUEUES];
	u32 cqe[4]; /* the last completion */
	unsigned n_msgs[NVME_N_QUEUES];
	bool last_msix, level;
};

extern const struct ui_pci_model ui_nvme_model;
static struct host *creating; /* whose controller is just being made */

static inline int disk_read(void *arg, void *buf, u64 n_bytes, u64 offset)
{
	struct disk *d = arg;

	assert_true(offset + n_bytes <= DISK_BYTES);
	if (d->fail_read)
		return d->fail_read;
	memcpy(buf, d->cached + offset, n_bytes);
	return 0;
}

static inline int disk_write(void *arg, const void *buf, u64 n_bytes, u64 offset)
{
	struct disk *d = arg;

	assert_true(offset + n_bytes <= DISK_BYTES);
	d->n_writes++;
	if (d->fail_write)
		return d->fail_write;
	memcpy(d->cached + offset, buf, n_bytes);
	return 0;
}

static inline int disk_flush(void *arg)
{
	struct disk *d = arg;

	d->n_flushes++;
	if (d->fail_flush)
		return d->fail_flush;
	memcpy(d->durable, d->cached, DISK_BYTES);
	return 0;
}

static inline int disk_discard(void *arg, u64 offset, u64 n_bytes)
{
	struct disk *d = arg;

	assert_true(offset + n_bytes <= DISK_BYTES);
	d->n_discards++;
	if (d->fail_discard)
		return d->fail_discard;
	memset(d->cached + offset, 0, n_bytes);
	return 0;
}

static inline void disk_close(void *arg)
{
}

/* What was not flushed is gone. */
static inline void disk_power_cut(struct disk *d)
{
	memcpy(d->cached, d->durable, DISK_BYTES);
}

static inline int host_create(struct ui_pci *pci, const char *options, void **state, char *err, size_t err_bytes)
{
	static const struct ui_nvme_image_ops ops = {
		.read = disk_read, .write = disk_write, .flush = disk_flush, .discard = disk_discard, .close = disk_close,
	};
	const struct ui_nvme_file_options file = { .path = "test" };
	const struct ui_nvme_image image = { .ops = &ops, .arg = &creating->disk, .n_bytes = DISK_BYTES, .read_only = creating->read_only };
	int ret = ui_nvme_create(pci, &file, &image, &creating->nvme, err, err_bytes);

	*state = creating->nvme;
	return ret;
}

static inline void host_intx(void *arg, bool level)
{
	((struct host *)arg)->level = level;
}

static inline void host_msg(void *arg, bool msix, unsigned vector)
{
	struct host *h = arg;

	assert_true(vector < NVME_N_QUEUES);
	h->n_msgs[vector]++;
	h->last_msix = msix;
}

static inline bool own_bar_read(void *arg, u64 offset, unsigned n_bytes, u64 *val)
{
	*val = 0;
	return ui_pci_bar_read(((struct host *)arg)->w.pci, NVME_BAR_REGS, offset, val, n_bytes);
}

static inline bool own_bar_write(void *arg, u64 offset, unsigned n_bytes, u64 val)
{
	return ui_pci_bar_write(((struct host *)arg)->w.pci, NVME_BAR_REGS, offset, &val, n_bytes);
}

/* The function on the port there is, with the controller that @options describe, switched on. */
static inline void host_make_with(struct host *h, const struct ui_pci_model *model, const char *options)
{
	const struct ui_pci_env env = { .intx = host_intx, .msg = host_msg, .arg = h };
	char err[768];

	h->w.pci = ui_pci_create(model, options, 0, h->w.port, NULL, err, sizeof(err));
	assert_non_null(h->w.pci);
	ui_pci_set_env(h->w.pci, &env);
	cfg_write(&h->w, PCI_CFG_COMMAND, PCI_CMD_MEM | PCI_CMD_MASTER, 2);
}

/* As above, on h->disk. */
static inline void host_make(struct host *h)
{
	static struct ui_pci_model model;

	model = ui_nvme_model;
	model.create = host_create;
	creating = h;
	host_make_with(h, &model, "");
}

/* A world without a function. */
static inline void host_begin(struct host *h)
{
	static const struct ui_mem_mmio_ops own_bar = { .read = own_bar_read, .write = own_bar_write };

	memset(h, 0, sizeof(*h));
	world_open(&h->w, 0);
	ui_pci_destroy(h->w.pci);
	map(&h->w, NO_PASID, 0, 0, MAPPED, RW);
	assert_int_equal(ui_mem_add_mmio(h->w.mem, MMIO_PA, 16 << 10, &own_bar, h), 0);
	for (unsigned i = 0; i < 4; i++)
		h->w.spaces[NO_PASID]->pages[OWN_BAR_AT / PAGE + i] = (MMIO_PA + i * PAGE) | RW;
}

static inline void host_open(struct host *h, bool read_only)
{
	host_begin(h);
	h->disk.cached = pages_new(DISK_BYTES);
	h->disk.durable = pages_new(DISK_BYTES);
	h->read_only = read_only;
	host_make(h);
}

static inline void host_close(struct host *h)
{
	world_close(&h->w);
	if (!h->disk.cached)
		return;
	munmap(h->disk.cached, DISK_BYTES);
	munmap(h->disk.durable, DISK_BYTES);
}

static inline u32 nvme_read(struct host *h, u64 at)
{
	return (u32)reg_read(&h->w, at, 4);
}

static inline void nvme_write(struct host *h, u64 at, u32 val)
{
	reg_write(&h->w, at, val, 4);
}

static inline void queue_fresh(struct host *h, unsigned qid, u64 sq, u64 cq, u16 n_sq, u16 n_cq)
{
	h->queues[qid] = (struct queue){ .sq = sq, .cq = cq, .n_sq = n_sq, .n_cq = n_cq, .phase = true };
	memset(h->w.ram + cq, 0, (size_t)n_cq * NVME_CQE_BYTES);
}

static inline u64 sq_at(unsigned qid)
{
	return IOQ_AT + (u64)qid * 2 * PAGE;
}

static inline u64 cq_at(unsigned qid)
{
	return sq_at(qid) + PAGE;
}

/* CC as Linux writes it. */
#define CC_ON (NVME_CC_EN | 6u << NVME_CC_IOSQES_SHIFT | 4u << NVME_CC_IOCQES_SHIFT)

/* Off and on again, as a driver begins. */
static inline void nvme_enable(struct host *h, u32 cc)
{
	nvme_write(h, NVME_REG_CC, 0);
	nvme_write(h, NVME_REG_AQA, (ADMIN_ENTRIES - 1) | (ADMIN_ENTRIES - 1) << 16);
	reg_write(&h->w, NVME_REG_ASQ, ASQ_AT, 8);
	reg_write(&h->w, NVME_REG_ACQ, ACQ_AT, 8);
	queue_fresh(h, 0, ASQ_AT, ACQ_AT, ADMIN_ENTRIES, ADMIN_ENTRIES);
	nvme_write(h, NVME_REG_CC, cc);
}

/* A command as a driver writes it. */
struct sqe {
	u8 op, flags;
	u16 cid;
	u32 nsid;
	u64 zero, mptr, prp1, prp2;
	u32 cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};
_Static_assert(sizeof(struct sqe) == NVME_SQE_BYTES, "64 bytes");

/* Puts a command into a queue without telling. */
static inline u16 push(struct host *h, unsigned qid, struct sqe s)
{
	struct queue *q = &h->queues[qid];

	s.cid = (u16)(0x100 * qid + q->n_cids++ % 0x100);
	memcpy(h->w.ram + q->sq + (u64)q->tail * NVME_SQE_BYTES, &s, sizeof(s));
	q->tail = (u16)((q->tail + 1) % q->n_sq);
	return s.cid;
}

static inline void ring_sq(struct host *h, unsigned qid)
{
	nvme_write(h, NVME_REG_DOORBELLS + 8 * qid, h->queues[qid].tail);
}

/* Takes the next completion of a queue into h->cqe; false: there is none. */
static inline bool take(struct host *h, unsigned qid)
{
	struct queue *q = &h->queues[qid];

	memcpy(h->cqe, h->w.ram + q->cq + (u64)q->head * NVME_CQE_BYTES, NVME_CQE_BYTES);
	if ((h->cqe[3] >> 16 & 1) != q->phase)
		return false;
	q->head = (u16)((q->head + 1) % q->n_cq);
	q->phase ^= !q->head;
	nvme_write(h, NVME_REG_DOORBELLS + 8 * qid + 4, q->head);
	return true;
}

/* A command from end to end: its status, with DNR and More. */
static inline u16 command(struct host *h, unsigned qid, struct sqe s)
{
	u16 cid = push(h, qid, s);

	ring_sq(h, qid);
	run(&h->w, 100000);
	assert_true(take(h, qid));
	assert_int_equal(h->cqe[3] & 0xffff, cid);
	assert_int_equal(h->cqe[2] & 0xffff, h->queues[qid].tail);
	assert_int_equal(h->cqe[2] >> 16, qid);
	return (u16)(h->cqe[3] >> 17);
}

static inline u16 create_cq(struct host *h, unsigned qid, u16 n, u32 vector)
{
	return command(h, 0, (struct sqe){ .op = NVME_ADM_CREATE_CQ, .prp1 = cq_at(qid), .cdw10 = qid | (n - 1u) << 16,
					   .cdw11 = 3 | vector << 16 });
}

static inline u16 create_sq(struct host *h, unsigned qid, u16 n, unsigned cqid)
{
	return command(h, 0, (struct sqe){ .op = NVME_ADM_CREATE_SQ, .prp1 = sq_at(qid), .cdw10 = qid | (n - 1u) << 16,
					   .cdw11 = 1 | cqid << 16 });
}

static inline void create_io(struct host *h, unsigned qid, u32 vector)
{
	assert_int_equal(create_cq(h, qid, IO_ENTRIES, vector), 0);
	assert_int_equal(create_sq(h, qid, IO_ENTRIES, qid), 0);
	queue_fresh(h, qid, sq_at(qid), cq_at(qid), IO_ENTRIES, IO_ENTRIES);
}

/* Enabled, with one I/O queue. */
static inline void nvme_up(struct host *h)
{
	nvme_enable(h, CC_ON);
	assert_int_equal(nvme_read(h, NVME_REG_CSTS), NVME_CSTS_RDY);
	create_io(h, 1, 0);
}

static inline u16 identify(struct host *h, u32 cns, u32 nsid)
{
	return command(h, 0, (struct sqe){ .op = NVME_ADM_IDENTIFY, .nsid = nsid, .prp1 = DATA_AT, .cdw10 = cns });
}

static inline u16 feature(struct host *h, bool set, u32 cdw10, u32 cdw11, u32 nsid)
{
	return command(h, 0, (struct sqe){ .op = set ? NVME_ADM_SET_FEATURES : NVME_ADM_GET_FEATURES, .nsid = nsid, .cdw10 = cdw10,
					   .cdw11 = cdw11 });
}

static inline void aer(struct host *h)
{
	push(h, 0, (struct sqe){ .op = NVME_ADM_ASYNC_EVENT });
	ring_sq(h, 0);
	run(&h->w, 10);
}

static inline u16 get_log(struct host *h, u32 lid, u32 n_bytes, u64 offset)
{
	return command(h, 0, (struct sqe){ .op = NVME_ADM_GET_LOG, .nsid = ~0u, .prp1 = DATA_AT, .prp2 = DATA_AT + PAGE,
					   .cdw10 = lid | (n_bytes / 4 - 1) << 16, .cdw12 = (u32)offset, .cdw13 = (u32)(offset >> 32) });
}

/* Numbers in host memory. */
static inline u64 mem_get(struct host *h, u64 at, unsigned n_bytes)
{
	u64 val = 0;

	memcpy(&val, h->w.ram + at, n_bytes);
	return val;
}

/* A command about @n_blocks from @lba whose data lies at @prp1, @prp2. */
static inline struct sqe io_sqe(u8 op, u64 lba, u32 n_blocks, u64 prp1, u64 prp2)
{
	return (struct sqe){ .op = op, .nsid = 1, .prp1 = prp1, .prp2 = prp2, .cdw10 = (u32)lba, .cdw11 = (u32)(lba >> 32),
			     .cdw12 = n_blocks - 1 };
}

/* As above with pages that follow each other, by a list where that is needed. */
static inline u16 simple_io(struct host *h, u8 op, u64 lba, u32 n_blocks, u64 at, u32 flags)
{
	u64 first = PAGE - at % PAGE, n_bytes = (u64)n_blocks * 512, second = at + first;
	struct sqe s = io_sqe(op, lba, n_blocks, at, second);

	if (n_bytes > first + PAGE) {
		for (u64 i = 0; first + i * PAGE < n_bytes; i++) {
			u64 page = second + i * PAGE;

			memcpy(h->w.ram + LIST_AT + 8 * i, &page, 8);
		}
		s.prp2 = LIST_AT;
	}
	s.cdw12 |= flags;
	return command(h, 1, s);
}

static inline void scramble_at(struct host *h, u64 at, u64 n, u64 seed)
{
	for (u64 i = 0; i < n; i++)
		h->w.ram[at + i] = (u8)next_random(&seed);
}

#endif
