/* SPDX-License-Identifier: MIT */
/*
 * The namespace's commands. Data goes through a buffer of the largest transfer's size: a write reaches the image in one piece and
 * only when all of it has been read from the host, so that a command that cannot be carried out changes nothing.
 */
#include "devices/nvme_priv.h"

#include <errno.h>

enum {
	SLICE_BYTES = 32 << 10,      /* of DMA at a time */
	DISCARD_BYTES = 64 << 20,    /* at a time; a multiple of a block */
	FUA = 1 << 30,
	DEALLOCATE = 1 << 2,         /* dataset management */
	RANGE_BYTES = 16,
	MAX_RANGES = 256,
};

static bool finish(struct ui_nvme *c, u16 status)
{
	c->cur.status = status;
	return true;
}

/* What a write's errno becomes. */
static u16 write_status(int ret)
{
	return !ret ? NVME_OK : ret == -ENOSPC || ret == -EDQUOT || ret == -EFBIG ? NVME_CAPACITY : NVME_WRITE_FAULT;
}

/* The end of all that writes: with FUA, or without a cache, it is done when it is durable. */
static u16 settle(struct ui_nvme *c, bool fua)
{
	c->image.dirty = true;
	if (!fua && c->features[NVME_FEAT_WRITE_CACHE])
		return NVME_OK;
	return write_status(ui_nvme_sync(c, true));
}

/* The image's work, away from the lock. */
static int image_read(struct ui_nvme *c, void *buf, u64 n_bytes, u64 offset)
{
	int ret;

	ui_pci_leave(c->pci);
	ret = c->image.ops->read(c->image.arg, buf, n_bytes, offset);
	ui_pci_return(c->pci);
	return ret;
}

static int image_write(struct ui_nvme *c, u64 n_bytes, u64 offset)
{
	int ret;

	c->image.dirty = true;
	ui_pci_leave(c->pci);
	ret = c->image.ops->write(c->image.arg, c->bounce, n_bytes, offset);
	ui_pci_return(c->pci);
	return ret;
}

static u16 range_check(const struct ui_nvme *c, u64 lba, u64 n_blocks)
{
	u64 all = c->image.n_bytes / NVME_BLOCK_BYTES;

	return lba > all || n_blocks > all - lba ? NVME_LBA_RANGE : NVME_OK;
}

/* The blocks that a command names. */
static u16 blocks(struct ui_nvme *c, bool has_data)
{
	struct ui_nvme_cur *cur = &c->cur;
	u64 lba = cur->sqe.cdw10 | (u64)cur->sqe.cdw11 << 32, n_blocks = (cur->sqe.cdw12 & 0xffff) + 1;
	u16 status;

	if (has_data && n_blocks * NVME_BLOCK_BYTES > NVME_MAX_BYTES)
		return NVME_BAD_FIELD;
	status = range_check(c, lba, n_blocks);
	if (status)
		return status;
	cur->offset = lba * NVME_BLOCK_BYTES;
	cur->n_bytes = n_blocks * NVME_BLOCK_BYTES;
	return has_data ? ui_nvme_prp_resolve(c, cur->sqe.prp1, cur->sqe.prp2, cur->n_bytes, &cur->prps) : NVME_OK;
}

static u16 flush(struct ui_nvme *c)
{
	return write_status(ui_nvme_sync(c, true));
}

/* ---- data ---- */

/* The next slice from or to the host; true when there was none left. */
static bool slice(struct ui_nvme *c, bool to_host, u16 *status)
{
	struct ui_nvme_cur *cur = &c->cur;
	u64 n = ui_min(cur->n_bytes - cur->done, SLICE_BYTES);

	*status = to_host ? ui_nvme_prp_put(c, &cur->prps, cur->done, c->bounce + cur->done, n) :
			    ui_nvme_prp_get(c, &cur->prps, cur->done, c->bounce + cur->done, n);
	cur->done += n;
	return *status || cur->done == cur->n_bytes;
}

/* What SMART tells: all that was read from the image for the host, compared or sent. */
static u16 count_read(struct ui_nvme *c)
{
	c->n_reads++;
	c->blocks_read += c->cur.n_bytes / NVME_BLOCK_BYTES;
	return NVME_OK;
}

static bool io_read(struct ui_nvme *c)
{
	struct ui_nvme_cur *cur = &c->cur;
	u16 status = NVME_OK;

	if (!cur->done) {
		status = blocks(c, true);
		/* From the medium, not from a cache in front of it. */
		if (!status && (cur->sqe.cdw12 & FUA))
			status = write_status(ui_nvme_sync(c, true));
		if (!status && image_read(c, c->bounce, cur->n_bytes, cur->offset))
			status = NVME_READ_ERROR;
		if (status)
			return finish(c, status);
	}
	if (!slice(c, true, &status))
		return false;
	return finish(c, status ? status : count_read(c));
}

static bool io_write(struct ui_nvme *c)
{
	struct ui_nvme_cur *cur = &c->cur;
	u16 status = NVME_OK;

	if (!cur->done) {
		status = cur->sqe.cdw12 >> 20 & 15 ? NVME_BAD_FIELD : blocks(c, true); /* there are no directives */
		if (!status && c->image.read_only)
			status = NVME_WRITE_PROTECTED;
		if (status)
			return finish(c, status);
	}
	if (!slice(c, false, &status))
		return false;
	if (status)
		return finish(c, status);
	status = write_status(image_write(c, cur->n_bytes, cur->offset));
	if (status)
		return finish(c, status);
	c->n_writes++;
	c->blocks_written += cur->n_bytes / NVME_BLOCK_BYTES;
	return finish(c, settle(c, cur->sqe.cdw12 & FUA));
}

static u16 compare_blocks(struct ui_nvme *c)
{
	u8 block[4096];

	for (u64 at = 0, n; at < c->cur.n_bytes; at += n) {
		n = ui_min(c->cur.n_bytes - at, sizeof(block));
		if (image_read(c, block, n, c->cur.offset + at))
			return NVME_READ_ERROR;
		if (memcmp(block, c->bounce + at, n))
			return NVME_COMPARE_FAILURE;
	}
	return count_read(c);
}

static bool io_compare(struct ui_nvme *c)
{
	u16 status = NVME_OK;

	if (!c->cur.done) {
		status = blocks(c, true);
		if (!status && (c->cur.sqe.cdw12 & FUA))
			status = write_status(ui_nvme_sync(c, true));
		if (status)
			return finish(c, status);
	}
	if (!slice(c, false, &status))
		return false;
	return finish(c, status ? status : compare_blocks(c));
}

/* ---- zeros and holes ---- */

/* A piece of the range at the image's @offset; -EOPNOTSUPP as the image says. Counts as a step's worth of work. */
static int discard(struct ui_nvme *c, u64 offset, u64 n_bytes)
{
	int ret;

	c->spent += SLICE_BYTES;
	c->image.dirty = true;
	ui_pci_leave(c->pci);
	ret = c->image.ops->discard(c->image.arg, offset, n_bytes);
	ui_pci_return(c->pci);
	return ret;
}

static bool io_write_zeroes(struct ui_nvme *c)
{
	struct ui_nvme_cur *cur = &c->cur;
	u64 n;
	int ret;

	if (!cur->done) {
		u16 status = blocks(c, false);

		if (!status && c->image.read_only)
			status = NVME_WRITE_PROTECTED;
		if (status)
			return finish(c, status);
	}
	n = ui_min(cur->n_bytes - cur->done, DISCARD_BYTES);
	ret = discard(c, cur->offset + cur->done, n);
	if (ret == -EOPNOTSUPP) {
		n = ui_min(n, NVME_MAX_BYTES);
		memset(c->bounce, 0, n);
		ret = image_write(c, n, cur->offset + cur->done);
	}
	if (ret)
		return finish(c, write_status(ret));
	cur->done += n;
	return cur->done == cur->n_bytes && finish(c, settle(c, cur->sqe.cdw12 & FUA));
}

struct range {
	u32 attributes, n_blocks;
	u64 lba;
};

/* Reads the ranges into the buffer and checks all before the first is touched. */
static u16 ranges_get(struct ui_nvme *c)
{
	struct ui_nvme_cur *cur = &c->cur;
	u64 n = (cur->sqe.cdw10 & 0xff) + 1;
	const struct range *ranges = (const void *)c->bounce;
	u16 status = ui_nvme_prp_resolve(c, cur->sqe.prp1, cur->sqe.prp2, n * RANGE_BYTES, &cur->prps);

	if (!status)
		status = ui_nvme_prp_get(c, &cur->prps, 0, c->bounce, n * RANGE_BYTES);
	for (u64 i = 0; !status && i < n; i++)
		status = range_check(c, ranges[i].lba, ranges[i].n_blocks);
	if (!status && c->image.read_only)
		status = NVME_WRITE_PROTECTED;
	cur->n_bytes = n;
	return status;
}

/* A range, or a piece of it: what is done of it is taken out of the copy in the buffer. */
static bool io_dataset(struct ui_nvme *c)
{
	struct ui_nvme_cur *cur = &c->cur;
	struct range *ranges = (void *)c->bounce, *r;
	int ret = 0;
	u64 n;

	if (!cur->n_bytes) {
		u16 status = ranges_get(c);

		/* Hints how the blocks will be used are not. */
		if (status || !(cur->sqe.cdw11 & DEALLOCATE))
			return finish(c, status);
	}
	r = &ranges[cur->done];
	n = ui_min(r->n_blocks, DISCARD_BYTES / NVME_BLOCK_BYTES);
	if (n)
		ret = discard(c, r->lba * NVME_BLOCK_BYTES, n * NVME_BLOCK_BYTES);
	/* An image that has no holes keeps its blocks: the command is advice. */
	if (ret && ret != -EOPNOTSUPP)
		return finish(c, write_status(ret));
	r->lba += n;
	r->n_blocks -= (u32)n;
	cur->done += !r->n_blocks;
	return cur->done == cur->n_bytes && finish(c, settle(c, false));
}

bool ui_nvme_io(struct ui_nvme *c)
{
	const struct ui_nvme_sqe *sqe = &c->cur.sqe;

	if (sqe->nsid != NVME_NSID && !(sqe->op == NVME_IO_FLUSH && sqe->nsid == NVME_ALL_NAMESPACES))
		return finish(c, NVME_BAD_NAMESPACE);
	switch (sqe->op) {
	case NVME_IO_FLUSH:
		return finish(c, flush(c));
	case NVME_IO_WRITE:
		return io_write(c);
	case NVME_IO_READ:
		return io_read(c);
	case NVME_IO_COMPARE:
		return io_compare(c);
	case NVME_IO_WRITE_ZEROES:
		return io_write_zeroes(c);
	case NVME_IO_DATASET:
		return io_dataset(c);
	default:
		return finish(c, NVME_BAD_OPCODE);
	}
}
