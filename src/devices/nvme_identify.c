/* SPDX-License-Identifier: MIT */
/* What the `nvme` device tells about itself: Identify (NVM Express 1.4, 5.15) and log pages (5.14). */
#include "devices/nvme_priv.h"

#include <stdio.h>

enum {
	CNS_NAMESPACE = 0,
	CNS_CONTROLLER = 1,
	CNS_ACTIVE = 2,
	CNS_DESCRIPTORS = 3,
	IDENTIFY_BYTES = 4096,
	LOG_BYTES = 4096, /* of the longest */
	ERROR_BYTES = 64,
	SMART_BYTES = 512,
	FIRMWARE_BYTES = 512,
	EFFECT = 1,         /* supported */
	EFFECT_CONTENT = 2, /* and changes what blocks hold */
};

static const char firmware[] = "1";

static void put16(u8 *at, u16 val)
{
	memcpy(at, &val, sizeof(val));
}

static void put32(u8 *at, u32 val)
{
	memcpy(at, &val, sizeof(val));
}

static void put64(u8 *at, u64 val)
{
	memcpy(at, &val, sizeof(val));
}

/* Padded with blanks, no NUL. */
static void put_text(u8 *at, size_t n_bytes, const char *text)
{
	size_t len = strlen(text);

	memset(at, ' ', n_bytes);
	memcpy(at, text, len < n_bytes ? len : n_bytes);
}

/* ---- identify ---- */

/* The namespace's UUID, of the kind whose bits mean nothing (version 8). */
static void uuid_of(const struct ui_nvme *c, u8 uuid[16])
{
	put64(uuid, c->identity);
	put64(uuid + 8, c->identity * 0x9e3779b97f4a7c15);
	uuid[6] = (u8)((uuid[6] & 0x0f) | 0x80);
	uuid[8] = (u8)((uuid[8] & 0x3f) | 0x80);
}

static void controller(const struct ui_nvme *c, u8 *d)
{
	char serial[21];

	snprintf(serial, sizeof(serial), "%016llx", (unsigned long long)c->identity);
	put16(d + 0, 0x6975);
	put16(d + 2, 0x6975);
	put_text(d + 4, 20, serial);
	put_text(d + 24, 40, "uiommu nvme");
	put_text(d + 64, 8, firmware);
	d[77] = NVME_MDTS;
	put16(d + 78, 1); /* controller id */
	put32(d + 80, NVME_VERSION);
	d[111] = 1;       /* an I/O controller */
	d[258] = NVME_ABORT_LIMIT;
	d[259] = NVME_N_AERS - 1;
	d[260] = 1 | 1 << 1; /* one firmware slot, read-only */
	d[261] = 1 << 1 | 1 << 2; /* log of effects; lengths and offsets in full */
	d[262] = NVME_N_ERRORS - 1;
	put16(d + 266, NVME_KELVIN_WARM);
	put16(d + 268, NVME_KELVIN_CRITICAL);
	d[512] = NVME_SQE_LG2 << 4 | NVME_SQE_LG2;
	d[513] = NVME_CQE_LG2 << 4 | NVME_CQE_LG2;
	put32(d + 516, NVME_NSID);
	put16(d + 520, 1 << 0 | 1 << 2 | 1 << 3 | 1 << 4); /* compare, dataset management, write zeroes, select of features */
	d[525] = 1 | 3 << 1; /* a volatile cache, flushed for all namespaces too */
	snprintf((char *)d + 768, 256, "nqn.2026-11.uiommu:nvme:%s", serial);
	put16(d + 2048, 2500); /* power state 0: 25 W */
}

static void namespace(const struct ui_nvme *c, u8 *d)
{
	u64 n_blocks = c->image.n_bytes / NVME_BLOCK_BYTES;

	put64(d + 0, n_blocks);
	put64(d + 8, n_blocks);
	put64(d + 16, n_blocks);
	d[33] = 1 | 1 << 3; /* deallocated blocks read as zeros; write zeroes may deallocate */
	d[99] = c->image.read_only;
	d[130] = 9; /* format 0: blocks of 512 bytes, no metadata */
}

u16 ui_nvme_identify(struct ui_nvme *c, const struct ui_nvme_sqe *sqe)
{
	u8 *d = c->bounce;

	memset(d, 0, IDENTIFY_BYTES);
	switch (sqe->cdw10 & 0xff) {
	case CNS_NAMESPACE:
		if (sqe->nsid != NVME_NSID)
			return NVME_BAD_NAMESPACE;
		namespace(c, d);
		break;
	case CNS_CONTROLLER:
		controller(c, d);
		break;
	case CNS_ACTIVE:
		if (sqe->nsid >= NVME_ALL_NAMESPACES - 1)
			return NVME_BAD_NAMESPACE;
		put32(d, sqe->nsid < NVME_NSID ? NVME_NSID : 0);
		break;
	case CNS_DESCRIPTORS:
		if (sqe->nsid != NVME_NSID)
			return NVME_BAD_NAMESPACE;
		d[0] = 3; /* a UUID */
		d[1] = 16;
		uuid_of(c, d + 4);
		break;
	default:
		return NVME_BAD_FIELD;
	}
	return ui_nvme_prp_answer(c, sqe, d, IDENTIFY_BYTES);
}

/* ---- logs ---- */

/* Newest first. */
static u64 log_errors(const struct ui_nvme *c, u8 *d)
{
	for (u64 i = 0; i < NVME_N_ERRORS && i < c->n_errors; i++, d += ERROR_BYTES) {
		const struct ui_nvme_error *e = &c->errors[(c->n_errors - 1 - i) % NVME_N_ERRORS];

		put64(d, e->number);
		put16(d + 8, e->sqid);
		put16(d + 10, e->cid);
		put16(d + 12, (u16)(e->status << 1));
		put16(d + 14, 0xffff); /* no one parameter is to blame */
		put64(d + 16, e->lba);
		put32(d + 24, e->nsid);
	}
	return NVME_N_ERRORS * ERROR_BYTES;
}

/* In thousands of blocks of 512 bytes, rounded up. */
static u64 data_units(u64 n_blocks)
{
	return (n_blocks + 999) / 1000;
}

static u64 log_smart(const struct ui_nvme *c, u8 *d)
{
	d[0] = ui_nvme_critical_warning(c);
	put16(d + 1, NVME_KELVIN);
	d[3] = 100; /* all of the spare is there; warn below 10 % */
	d[4] = 10;
	put64(d + 32, data_units(c->blocks_read));
	put64(d + 48, data_units(c->blocks_written));
	put64(d + 64, c->n_reads);
	put64(d + 80, c->n_writes);
	put64(d + 160, c->n_media_errors);
	put64(d + 176, c->n_errors);
	return SMART_BYTES;
}

static u64 log_firmware(u8 *d)
{
	d[0] = 1; /* slot 1 is active */
	put_text(d + 8, 8, firmware);
	return FIRMWARE_BYTES;
}

static u64 log_effects(u8 *d)
{
	static const u8 admin[] = { NVME_ADM_DELETE_SQ, NVME_ADM_CREATE_SQ, NVME_ADM_GET_LOG, NVME_ADM_DELETE_CQ, NVME_ADM_CREATE_CQ,
				    NVME_ADM_IDENTIFY, NVME_ADM_ABORT, NVME_ADM_SET_FEATURES, NVME_ADM_GET_FEATURES, NVME_ADM_ASYNC_EVENT };
	static const u8 reads[] = { NVME_IO_FLUSH, NVME_IO_READ, NVME_IO_COMPARE };
	static const u8 writes[] = { NVME_IO_WRITE, NVME_IO_WRITE_ZEROES, NVME_IO_DATASET };

	for (size_t i = 0; i < ui_array_size(admin); i++)
		put32(d + 4 * admin[i], EFFECT);
	for (size_t i = 0; i < ui_array_size(reads); i++)
		put32(d + 1024 + 4 * reads[i], EFFECT);
	for (size_t i = 0; i < ui_array_size(writes); i++)
		put32(d + 1024 + 4 * writes[i], EFFECT | EFFECT_CONTENT);
	return LOG_BYTES;
}

static u64 log_fill(const struct ui_nvme *c, unsigned log, u8 *d)
{
	switch (log) {
	case NVME_LOG_ERROR:
		return log_errors(c, d);
	case NVME_LOG_SMART:
		return log_smart(c, d);
	case NVME_LOG_FIRMWARE:
		return log_firmware(d);
	case NVME_LOG_EFFECTS:
		return log_effects(d);
	default:
		return 0;
	}
}

/* The host has read what an event was about. */
static void events_clear(struct ui_nvme *c, unsigned log)
{
	for (unsigned i = 0; i < NVME_N_EVENTS; i++) {
		if (log == (i == NVME_EVENT_ERROR ? NVME_LOG_ERROR : NVME_LOG_SMART))
			c->events[i] = (struct ui_nvme_event){ 0 };
	}
}

u16 ui_nvme_get_log(struct ui_nvme *c, const struct ui_nvme_sqe *sqe)
{
	unsigned log = sqe->cdw10 & 0xff;
	u64 wanted = ((u64)(sqe->cdw10 >> 16) | (u64)(sqe->cdw11 & 0xffff) << 16) * 4 + 4, there;
	u64 offset = sqe->cdw12 | (u64)sqe->cdw13 << 32;
	bool all = !sqe->nsid || sqe->nsid == NVME_ALL_NAMESPACES;
	u16 status;

	memset(c->bounce, 0, LOG_BYTES);
	there = log_fill(c, log, c->bounce);
	if (!there)
		return NVME_BAD_LOG;
	if (!all || offset & 3 || offset >= there)
		return NVME_BAD_FIELD;
	status = ui_nvme_prp_answer(c, sqe, c->bounce + offset, ui_min(wanted, there - offset));
	if (!status && !(sqe->cdw10 & 1u << 15))
		events_clear(c, log);
	return status;
}
