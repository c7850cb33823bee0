/* SPDX-License-Identifier: MIT */
/* The admin commands of the `nvme` device: I/O queues, features, event requests, abort. */
#include "devices/nvme_priv.h"

/* ---- I/O queues ---- */

/* What both kinds have in common: a free number that was granted, a size that fits, one piece of memory at the start of a page. */
static u16 new_queue(const struct ui_nvme *c, const struct ui_nvme_sqe *sqe, unsigned n_granted, bool taken, bool entry_fits)
{
	unsigned qid = sqe->cdw10 & 0xffff, last = sqe->cdw10 >> 16;

	if (!qid || qid > n_granted || taken)
		return NVME_QID_INVALID;
	if (!last || last >= NVME_MAX_ENTRIES || !entry_fits)
		return NVME_QUEUE_SIZE;
	if (!(sqe->cdw11 & 1))
		return NVME_BAD_FIELD;
	return sqe->prp1 & ui_mask_lg2(c->page_lg2) ? NVME_PRP_OFFSET : NVME_OK;
}

static u16 create_cq(struct ui_nvme *c, const struct ui_nvme_sqe *sqe)
{
	unsigned qid = sqe->cdw10 & 0xffff, vector = sqe->cdw11 >> 16, n_vectors;
	bool irq = sqe->cdw11 & 2;
	u16 status;

	status = new_queue(c, sqe, c->n_cqs, qid < NVME_N_QUEUES && c->cqs[qid].live,
			   (c->cc >> NVME_CC_IOCQES_SHIFT & 15) == NVME_CQE_LG2);
	if (status)
		return status;
	ui_pci_irq_state(c->pci, &n_vectors);
	if (irq && vector >= n_vectors)
		return NVME_BAD_VECTOR;
	c->cqs[qid] = (struct ui_nvme_cq){
		.live = true, .irq = irq, .phase = true, .vector = (u16)vector, .n_entries = (u16)((sqe->cdw10 >> 16) + 1), .base = sqe->prp1,
	};
	return NVME_OK;
}

static u16 create_sq(struct ui_nvme *c, const struct ui_nvme_sqe *sqe)
{
	unsigned qid = sqe->cdw10 & 0xffff, cqid = sqe->cdw11 >> 16;
	u16 status;

	status = new_queue(c, sqe, c->n_sqs, qid < NVME_N_QUEUES && c->sqs[qid].live,
			   (c->cc >> NVME_CC_IOSQES_SHIFT & 15) == NVME_SQE_LG2);
	if (status)
		return status;
	if (!cqid || cqid > c->n_cqs)
		return NVME_QID_INVALID;
	if (!c->cqs[cqid].live)
		return NVME_CQ_INVALID;
	c->cqs[cqid].n_users++;
	c->sqs[qid] = (struct ui_nvme_sq){
		.live = true, .cqid = (u16)cqid, .n_entries = (u16)((sqe->cdw10 >> 16) + 1), .base = sqe->prp1,
	};
	return NVME_OK;
}

/* No command of it is in progress: this one is. Those that were not fetched never will be. */
static u16 delete_sq(struct ui_nvme *c, const struct ui_nvme_sqe *sqe)
{
	unsigned qid = sqe->cdw10 & 0xffff;

	if (!qid || qid >= NVME_N_QUEUES || !c->sqs[qid].live)
		return NVME_QID_INVALID;
	c->cqs[c->sqs[qid].cqid].n_users--;
	c->sqs[qid].live = false;
	return NVME_OK;
}

static u16 delete_cq(struct ui_nvme *c, const struct ui_nvme_sqe *sqe)
{
	unsigned qid = sqe->cdw10 & 0xffff;

	if (!qid || qid >= NVME_N_QUEUES || !c->cqs[qid].live)
		return NVME_QID_INVALID;
	if (c->cqs[qid].n_users)
		return NVME_QUEUE_DELETION;
	c->cqs[qid].live = c->cqs[qid].rang = false;
	ui_nvme_pin_update(c);
	return NVME_OK;
}

/* ---- events and abort ---- */

static u16 async_event(struct ui_nvme *c, const struct ui_nvme_sqe *sqe)
{
	if (c->n_aers == NVME_N_AERS)
		return NVME_AER_LIMIT;
	/* The oldest is answered last: which one does not matter. */
	c->aers[c->n_aers++] = sqe->cid;
	c->cur.held = true;
	return NVME_OK;
}

/* Only event requests wait for long; a command that was not fetched yet cannot be found. Bit 0 of the result: not aborted. */
static u16 abort_command(struct ui_nvme *c, const struct ui_nvme_sqe *sqe)
{
	u16 sqid = (u16)sqe->cdw10, cid = (u16)(sqe->cdw10 >> 16);

	c->cur.result = 1;
	/* Two completions follow. */
	for (unsigned i = 0; !sqid && ui_nvme_cq_room(&c->cqs[0], 2) && i < c->n_aers; i++) {
		if (c->aers[i] != cid)
			continue;
		c->aers[i] = c->aers[--c->n_aers];
		c->cur.result = 0;
		if (!ui_nvme_post(c, 0, cid, NVME_ABORT_REQUESTED, 0))
			c->cur.busy = false;
		break;
	}
	return NVME_OK;
}

/* ---- features ---- */

/* Values after a reset; the others are 0. */
static u32 feature_default(unsigned id)
{
	switch (id) {
	case NVME_FEAT_ARBITRATION:
		return 7; /* no limit on a burst */
	case NVME_FEAT_WRITE_CACHE:
		return 1;
	default:
		return 0;
	}
}

void ui_nvme_features_reset(struct ui_nvme *c)
{
	for (unsigned i = 0; i < NVME_N_FEATURES; i++)
		c->features[i] = feature_default(i);
	c->thresholds[0] = NVME_KELVIN_WARM;
	c->thresholds[1] = 0;
	memset(c->no_coalescing, 0, sizeof(c->no_coalescing));
	c->n_sqs = c->n_cqs = NVME_N_IO_QUEUES;
}

static bool feature_known(unsigned id)
{
	return id < NVME_N_FEATURES && id != 0 && id != 3;
}

/* Which threshold of the composite temperature, over (0) or under: there is no other sensor, and 15 sets that of all. -1: none. */
static int threshold_of(u32 cdw11, bool set)
{
	unsigned sensor = cdw11 >> 16 & 15, kind = cdw11 >> 20 & 3;

	return kind > 1 || (sensor && !(set && sensor == 15)) ? -1 : (int)kind;
}

u8 ui_nvme_critical_warning(const struct ui_nvme *c)
{
	return NVME_KELVIN >= c->thresholds[0] || NVME_KELVIN <= c->thresholds[1] ? 2 : 0;
}

/* The warning is an event of its own kind only if the host asked for it. */
static void warn(struct ui_nvme *c)
{
	if (ui_nvme_critical_warning(c) & c->features[NVME_FEAT_ASYNC_EVENT])
		ui_nvme_event(c, NVME_EVENT_SMART, NVME_EVENT_TEMPERATURE, NVME_LOG_SMART);
}

static bool any_io_queue(const struct ui_nvme *c)
{
	for (unsigned i = 1; i < NVME_N_QUEUES; i++) {
		if (c->sqs[i].live || c->cqs[i].live)
			return true;
	}
	return false;
}

static u16 set_queues(struct ui_nvme *c, u32 val)
{
	u32 sqs = val & 0xffff, cqs = val >> 16;

	if (sqs == 0xffff || cqs == 0xffff)
		return NVME_BAD_FIELD;
	if (any_io_queue(c))
		return NVME_SEQUENCE;
	c->n_sqs = (u16)ui_min(sqs + 1, NVME_N_IO_QUEUES);
	c->n_cqs = (u16)ui_min(cqs + 1, NVME_N_IO_QUEUES);
	c->cur.result = (c->n_sqs - 1u) | (c->n_cqs - 1u) << 16;
	return NVME_OK;
}

/* Switching the cache off makes durable what is in it. */
static u16 set_write_cache(struct ui_nvme *c, u32 val)
{
	if (!(val & 1) && ui_nvme_sync(c, true))
		return NVME_WRITE_FAULT;
	c->features[NVME_FEAT_WRITE_CACHE] = val & 1;
	return NVME_OK;
}

static u16 set_one(struct ui_nvme *c, unsigned id, u32 val)
{
	static const u32 known[NVME_N_FEATURES] = {
		[NVME_FEAT_ARBITRATION] = 0xffffff07, [NVME_FEAT_ERROR_RECOVERY] = 0xffff, [NVME_FEAT_COALESCING] = 0xffff,
		[NVME_FEAT_ATOMICITY] = 1, [NVME_FEAT_POWER] = 0xff, [NVME_FEAT_ASYNC_EVENT] = 0x1f,
	};
	int threshold;

	switch (id) {
	case NVME_FEAT_QUEUES:
		return set_queues(c, val);
	case NVME_FEAT_WRITE_CACHE:
		return set_write_cache(c, val);
	case NVME_FEAT_TEMPERATURE:
		threshold = threshold_of(val, true);
		if (threshold < 0)
			return NVME_BAD_FIELD;
		c->thresholds[threshold] = (u16)val;
		warn(c);
		return NVME_OK;
	case NVME_FEAT_VECTOR:
		if ((val & 0xffff) >= NVME_N_QUEUES)
			return NVME_BAD_FIELD;
		c->no_coalescing[val & 0xffff] = val >> 16 & 1;
		return NVME_OK;
	case NVME_FEAT_POWER:
		if (val & 0x1f) /* there is one state */
			return NVME_BAD_FIELD;
		break;
	case NVME_FEAT_ERROR_RECOVERY:
		if (val & 1 << 16) /* no errors for deallocated blocks: they read as zeros */
			return NVME_BAD_FIELD;
		break;
	}
	c->features[id] = val & known[id];
	if (id == NVME_FEAT_ASYNC_EVENT)
		warn(c);
	return NVME_OK;
}

static u16 set_features(struct ui_nvme *c, const struct ui_nvme_sqe *sqe)
{
	unsigned id = sqe->cdw10 & 0xff;
	bool all = !sqe->nsid || sqe->nsid == NVME_ALL_NAMESPACES;

	if (!feature_known(id))
		return NVME_BAD_FIELD;
	if (sqe->cdw10 >> 31)
		return NVME_NOT_SAVEABLE;
	if (id == NVME_FEAT_ERROR_RECOVERY) {
		if (sqe->nsid != NVME_NSID && sqe->nsid != NVME_ALL_NAMESPACES)
			return NVME_BAD_NAMESPACE;
	} else if (!all) {
		return sqe->nsid == NVME_NSID ? NVME_NOT_PER_NAMESPACE : NVME_BAD_NAMESPACE;
	}
	return set_one(c, id, sqe->cdw11);
}

static u16 get_one(struct ui_nvme *c, unsigned id, u32 cdw11, bool initial)
{
	int threshold;

	c->cur.result = initial ? feature_default(id) : c->features[id];
	switch (id) {
	case NVME_FEAT_QUEUES:
		c->cur.result = initial ? (NVME_N_IO_QUEUES - 1) * 0x10001u : (c->n_sqs - 1u) | (c->n_cqs - 1u) << 16;
		break;
	case NVME_FEAT_TEMPERATURE:
		threshold = threshold_of(cdw11, false);
		if (threshold < 0)
			return NVME_BAD_FIELD;
		c->cur.result = initial ? (threshold ? 0 : NVME_KELVIN_WARM) : c->thresholds[threshold];
		break;
	case NVME_FEAT_VECTOR:
		if ((cdw11 & 0xffff) >= NVME_N_QUEUES)
			return NVME_BAD_FIELD;
		c->cur.result = (cdw11 & 0xffff) | (u32)(!initial && c->no_coalescing[cdw11 & 0xffff]) << 16;
		break;
	}
	return NVME_OK;
}

/* Select: current, default, saved (the default: nothing is), or what can be done with it. */
static u16 get_features(struct ui_nvme *c, const struct ui_nvme_sqe *sqe)
{
	unsigned id = sqe->cdw10 & 0xff, select = sqe->cdw10 >> 8 & 7;
	bool per_namespace = id == NVME_FEAT_ERROR_RECOVERY;

	if (!feature_known(id) || select > 3)
		return NVME_BAD_FIELD;
	if (per_namespace && sqe->nsid != NVME_NSID)
		return NVME_BAD_NAMESPACE;
	if (select == 3) {
		c->cur.result = 1u << 2 | (u32)per_namespace << 1;
		return NVME_OK;
	}
	return get_one(c, id, sqe->cdw11, select != 0);
}

u16 ui_nvme_admin(struct ui_nvme *c, const struct ui_nvme_sqe *sqe)
{
	switch (sqe->op) {
	case NVME_ADM_DELETE_SQ:
		return delete_sq(c, sqe);
	case NVME_ADM_CREATE_SQ:
		return create_sq(c, sqe);
	case NVME_ADM_GET_LOG:
		return ui_nvme_get_log(c, sqe);
	case NVME_ADM_DELETE_CQ:
		return delete_cq(c, sqe);
	case NVME_ADM_CREATE_CQ:
		return create_cq(c, sqe);
	case NVME_ADM_IDENTIFY:
		return ui_nvme_identify(c, sqe);
	case NVME_ADM_ABORT:
		return abort_command(c, sqe);
	case NVME_ADM_SET_FEATURES:
		return set_features(c, sqe);
	case NVME_ADM_GET_FEATURES:
		return get_features(c, sqe);
	case NVME_ADM_ASYNC_EVENT:
		return async_event(c, sqe);
	default:
		return NVME_BAD_OPCODE;
	}
}
