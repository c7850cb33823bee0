/* SPDX-License-Identifier: MIT */
/* The `nvme` device at work: takes commands from submission queues in turns, completes them, says so by interrupts and events. */
#include "devices/nvme_priv.h"

#include "base/log.h"
#include "base/sys.h"

enum {
	STEP_BYTES = 64 << 10, /* in one step() */
	CMD_COST = 2 << 10,    /* what a command counts besides its data */
	LINGER_STEPS = 48,     /* for which a message waits at most for one more command; each lets others run, once */
	LINGER_POSTED = 8,     /* completions that wait for no more */
};

static u16 get16(const u8 *at)
{
	return (u16)(at[0] | at[1] << 8);
}

static u32 get32(const u8 *at)
{
	u32 val;

	memcpy(&val, at, sizeof(val));
	return val;
}

static u64 get64(const u8 *at)
{
	u64 val;

	memcpy(&val, at, sizeof(val));
	return val;
}

/* ---- completion queues ---- */

static unsigned cq_used(const struct ui_nvme_cq *cq)
{
	return (unsigned)(cq->tail + (cq->tail < cq->head ? cq->n_entries : 0) - cq->head);
}

bool ui_nvme_cq_room(const struct ui_nvme_cq *cq, unsigned n)
{
	return cq->n_entries - 1u - cq_used(cq) >= n;
}

bool ui_nvme_post(struct ui_nvme *c, u16 sqid, u16 cid, u16 status, u32 result)
{
	struct ui_nvme_cq *cq = &c->cqs[c->sqs[sqid].cqid];
	struct ui_dma_addr at = { .iova = cq->base + (u64)cq->tail * NVME_CQE_BYTES };
	u64 low = result;
	u64 high = (u64)c->sqs[sqid].head | (u64)sqid << 16 | (u64)cid << 32 | (u64)cq->phase << 48 | (u64)status << 49;

	/* The half with the phase goes last and as one aligned store: who sees it sees the rest, and the data. */
	if (ui_dma_write(c->port, &at, &low, 8, NULL, NULL) != UI_DMA_OK) {
		ui_nvme_fatal(c, "a completion cannot be written");
		return false;
	}
	at.iova += 8;
	if (ui_dma_write(c->port, &at, &high, 8, NULL, NULL) != UI_DMA_OK) {
		ui_nvme_fatal(c, "a completion cannot be written");
		return false;
	}
	cq->rang = true;
	if (++cq->tail == cq->n_entries) {
		cq->tail = 0;
		cq->phase = !cq->phase;
	}
	return true;
}

/* ---- interrupts ---- */

/* The masks are for the pin and for MSI; a vector of MSI-X has its own. */
static bool masked(const struct ui_nvme *c, const struct ui_nvme_cq *cq)
{
	return cq->vector < 32 && c->intms >> cq->vector & 1;
}

void ui_nvme_pin_update(struct ui_nvme *c)
{
	bool level = false;

	for (unsigned i = 0; i < NVME_N_QUEUES; i++) {
		const struct ui_nvme_cq *cq = &c->cqs[i];

		level |= cq->live && cq->irq && cq->head != cq->tail && !masked(c, cq);
	}
	ui_pci_intx(c->pci, level);
}

/* One message for all that was posted to a queue since the last. */
static void ring(struct ui_nvme *c)
{
	bool any = false, by_mask;
	unsigned n_vectors;

	for (unsigned i = 0; i < NVME_N_QUEUES; i++)
		any |= c->cqs[i].rang;
	if (!any)
		return;
	by_mask = ui_pci_irq_state(c->pci, &n_vectors) == UI_PCI_IRQ_MSI;
	for (unsigned i = 0; i < NVME_N_QUEUES; i++) {
		struct ui_nvme_cq *cq = &c->cqs[i];

		if (!cq->rang)
			continue;
		if (cq->irq && !(by_mask && masked(c, cq)))
			ui_pci_msg(c->pci, cq->vector);
		cq->rang = false;
		cq->peak = (u16)ui_max(cq_used(cq), cq->peak ? cq->peak - 1u : 0);
	}
	ui_nvme_pin_update(c);
}

/*
 * An interrupt costs a guest far more than a command costs us. While the host is busy submitting, one message will do for several
 * commands, so the first of them wait a moment for the next. Not when all that the host has under way is done: it would wait, too.
 * One command at a time is told at once.
 */
static bool may_linger(const struct ui_nvme *c)
{
	bool any = false;

	if (c->lingered >= LINGER_STEPS)
		return false;
	for (unsigned i = 0; i < NVME_N_QUEUES; i++) {
		const struct ui_nvme_cq *cq = &c->cqs[i];

		if (cq->rang && (!i || cq_used(cq) >= ui_min(cq->peak, LINGER_POSTED)))
			return false;
		any |= cq->rang && cq->irq;
	}
	return any;
}

static void linger(struct ui_nvme *c)
{
	c->lingered++;
	ui_pci_leave(c->pci);
	ui_sys_yield();
	ui_pci_return(c->pci);
}

/* ---- events and errors ---- */

void ui_nvme_event(struct ui_nvme *c, unsigned type, u8 info, u8 log)
{
	struct ui_nvme_event *e = &c->events[type];

	if (e->masked || e->pending)
		return;
	e->pending = true;
	e->info = info;
	e->log = log;
	ui_pci_wake(c->pci);
}

static bool event_due(const struct ui_nvme *c, unsigned *type)
{
	if (!c->n_aers || !ui_nvme_cq_room(&c->cqs[0], 1))
		return false;
	for (*type = 0; *type < NVME_N_EVENTS; ++*type) {
		if (c->events[*type].pending)
			return true;
	}
	return false;
}

static void events_tell(struct ui_nvme *c)
{
	unsigned type;

	while (event_due(c, &type)) {
		struct ui_nvme_event *e = &c->events[type];

		e->pending = false;
		e->masked = true;
		if (!ui_nvme_post(c, 0, c->aers[--c->n_aers], NVME_OK, type | (u32)e->info << 8 | (u32)e->log << 16))
			return;
	}
}

/* Failures that may pass by themselves. */
static bool may_pass(u16 status)
{
	return status == NVME_DATA_TRANSFER || status == NVME_INTERNAL || status == NVME_ABORT_REQUESTED || status == NVME_CAPACITY ||
	       status == NVME_WRITE_FAULT || status == NVME_READ_ERROR || status == NVME_AER_LIMIT;
}

u16 ui_nvme_error(struct ui_nvme *c, u16 sqid, u16 cid, u32 nsid, u64 lba, u16 status)
{
	c->n_media_errors += status == NVME_WRITE_FAULT || status == NVME_READ_ERROR;
	if (status && !may_pass(status))
		status |= NVME_DNR;
	status |= NVME_MORE;
	c->errors[c->n_errors % NVME_N_ERRORS] = (struct ui_nvme_error){
		.number = c->n_errors + 1, .sqid = sqid, .cid = cid, .status = status, .lba = lba, .nsid = nsid,
	};
	c->n_errors++;
	return status;
}

/* ---- submission queues ---- */

static bool sq_ready(const struct ui_nvme *c, const struct ui_nvme_sq *sq)
{
	return sq->live && sq->head != sq->tail && ui_nvme_cq_room(&c->cqs[sq->cqid], 1);
}

/* The next queue with a command whose completion has room, or NVME_N_QUEUES. */
static unsigned next_queue(const struct ui_nvme *c)
{
	for (unsigned i = 0; i < NVME_N_QUEUES; i++) {
		unsigned qid = (c->turn + i) % NVME_N_QUEUES;

		if (sq_ready(c, &c->sqs[qid]))
			return qid;
	}
	return NVME_N_QUEUES;
}

static void decode(const u8 raw[NVME_SQE_BYTES], struct ui_nvme_sqe *sqe)
{
	*sqe = (struct ui_nvme_sqe){
		.op = raw[0],
		.flags = raw[1],
		.cid = get16(raw + 2),
		.nsid = get32(raw + 4),
		.prp1 = get64(raw + 24),
		.prp2 = get64(raw + 32),
		.cdw10 = get32(raw + 40),
		.cdw11 = get32(raw + 44),
		.cdw12 = get32(raw + 48),
		.cdw13 = get32(raw + 52),
		.cdw14 = get32(raw + 56),
		.cdw15 = get32(raw + 60),
	};
}

/* False: nothing to do, or the controller has failed. */
static bool fetch(struct ui_nvme *c)
{
	unsigned qid = next_queue(c);
	struct ui_nvme_sq *sq;
	struct ui_dma_addr at = { 0 };
	u8 raw[NVME_SQE_BYTES];

	if (qid == NVME_N_QUEUES)
		return false;
	sq = &c->sqs[qid];
	at.iova = sq->base + (u64)sq->head * NVME_SQE_BYTES;
	if (ui_dma_read(c->port, &at, raw, sizeof(raw), NULL, NULL) != UI_DMA_OK) {
		ui_nvme_fatal(c, "a command cannot be read");
		return false;
	}
	c->turn = (qid + 1) % NVME_N_QUEUES;
	sq->head = (u16)(sq->head + 1 == sq->n_entries ? 0 : sq->head + 1);
	decode(raw, &c->cur.sqe);
	c->cur.busy = true;
	c->cur.sqid = (u16)qid;
	c->cur.done = c->cur.n_bytes = 0;
	c->cur.result = 0;
	c->cur.status = NVME_OK;
	c->cur.held = false;
	return true;
}

/* A slice of the command in progress. */
static void work(struct ui_nvme *c)
{
	struct ui_nvme_cur *cur = &c->cur;
	const struct ui_nvme_sqe *sqe = &cur->sqe;
	bool done = true;

	c->spent += CMD_COST;
	if (sqe->flags)
		cur->status = NVME_BAD_FIELD; /* neither fused commands nor scatter-gather lists */
	else if (!cur->sqid)
		cur->status = ui_nvme_admin(c, sqe);
	else
		done = ui_nvme_io(c);
	if (!done || !cur->busy)
		return;
	cur->busy = false;
	if (cur->held)
		return;
	if (cur->status) {
		u64 lba = cur->sqid ? sqe->cdw10 | (u64)sqe->cdw11 << 32 : 0;

		cur->status = ui_nvme_error(c, cur->sqid, sqe->cid, sqe->nsid, lba, cur->status);
	}
	ui_nvme_post(c, cur->sqid, sqe->cid, cur->status, cur->result);
}

bool ui_nvme_due(const struct ui_nvme *c)
{
	unsigned type;

	return ui_nvme_running(c) && (c->cur.busy || event_due(c, &type) || next_queue(c) != NVME_N_QUEUES);
}

bool ui_nvme_step(void *state)
{
	struct ui_nvme *c = state;

	c->spent = 0;
	while (c->spent < STEP_BYTES && ui_nvme_running(c)) {
		events_tell(c);
		if (!ui_nvme_running(c) || (!c->cur.busy && !fetch(c)))
			break;
		c->lingered = 0;
		work(c);
	}
	if (ui_nvme_running(c) && !ui_nvme_due(c) && may_linger(c)) {
		linger(c);
		return true;
	}
	ring(c);
	return ui_nvme_due(c);
}
