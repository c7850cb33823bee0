/* SPDX-License-Identifier: MIT */
/* The `nvme` device: registers, doorbells, reset and shutdown. docs/nvme-device.md is what it implements. */
#include "devices/nvme_priv.h"

#include "base/alloc.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>

/* ---- the image ---- */

static int image_open(struct ui_nvme *c, char *err, size_t err_bytes)
{
	if (c->image.ops)
		return 0;
	return ui_nvme_file_open(&c->file, &c->image, err, err_bytes);
}

static void image_close(struct ui_nvme *c)
{
	if (!c->image.ops)
		return;
	c->image.ops->close(c->image.arg);
	c->image.ops = NULL;
}

int ui_nvme_sync(struct ui_nvme *c, bool away)
{
	int ret;

	if (c->image.sync_failed)
		return -EIO;
	if (!c->image.dirty)
		return 0;
	if (away)
		ui_pci_leave(c->pci);
	ret = c->image.ops->flush(c->image.arg);
	if (away)
		ui_pci_return(c->pci);
	c->image.dirty = false;
	c->image.sync_failed = ret;
	if (ret)
		ui_log(UI_LOG_ERROR, "nvme: %s: what was written may be lost: %s", c->file.path, strerror(-ret));
	return ret;
}

/* ---- the controller's states ---- */

void ui_nvme_fatal(struct ui_nvme *c, const char *why)
{
	c->csts |= NVME_CSTS_CFS;
	c->cur.busy = false;
	ui_log(UI_LOG_WARN, "nvme: controller fatal status: %s", why);
}

/* All queues and all that is under way is gone; a byte that is still to be moved is not. */
static void stop(struct ui_nvme *c)
{
	memset(c->sqs, 0, sizeof(c->sqs));
	memset(c->cqs, 0, sizeof(c->cqs));
	memset(c->events, 0, sizeof(c->events));
	c->cur.busy = false;
	c->n_aers = 0;
	c->turn = 0;
	c->intms = 0;
	c->csts &= (u32) ~(NVME_CSTS_RDY | NVME_CSTS_CFS);
	ui_nvme_features_reset(c);
	ui_nvme_pin_update(c);
}

static const char *start_refusal(const struct ui_nvme *c, unsigned mps)
{
	u64 page_mask = ui_mask_lg2(UI_PAGE_LG2 + mps);

	if (mps > NVME_MAX_MPS)
		return "CC.MPS is out of range";
	if (c->cc >> NVME_CC_CSS_SHIFT & 7 || c->cc >> NVME_CC_AMS_SHIFT & 7)
		return "CC.CSS or CC.AMS is not supported";
	if (!(c->aqa & 0xfff) || !(c->aqa >> 16 & 0xfff))
		return "an admin queue of less than two entries";
	return c->asq & page_mask || c->acq & page_mask ? "an admin queue is not at the start of a page" : NULL;
}

static void start(struct ui_nvme *c)
{
	unsigned mps = c->cc >> NVME_CC_MPS_SHIFT & 15;
	const char *why = start_refusal(c, mps);
	char err[768];

	if (why) {
		ui_nvme_fatal(c, why);
		return;
	}
	if (image_open(c, err, sizeof(err))) {
		ui_nvme_fatal(c, err);
		return;
	}
	c->page_lg2 = UI_PAGE_LG2 + mps;
	c->sqs[0] = (struct ui_nvme_sq){ .live = true, .n_entries = (u16)((c->aqa & 0xfff) + 1), .base = c->asq };
	c->cqs[0] = (struct ui_nvme_cq){ .live = true, .irq = true, .phase = true, .n_users = 1,
					 .n_entries = (u16)((c->aqa >> 16 & 0xfff) + 1), .base = c->acq };
	c->csts |= NVME_CSTS_RDY;
}

/* Done when the write is: the host may take power and memory away as soon as it sees the status. */
static void shut_down(struct ui_nvme *c)
{
	c->cur.busy = false;
	if (c->image.ops)
		ui_nvme_sync(c, false);
	c->csts |= NVME_CSTS_SHST_DONE;
}

static void cc_write(struct ui_nvme *c, u32 val)
{
	u32 was, shn = val >> NVME_CC_SHN_SHIFT & 3;

	/* A command that is about to reach the image does so before the reset or the shutdown. */
	ui_pci_await(c->pci);
	was = c->cc;
	c->cc = val & NVME_CC_KNOWN;
	if (!shn)
		c->csts &= ~(u32)NVME_CSTS_SHST;
	if ((was & NVME_CC_EN) && !(val & NVME_CC_EN))
		stop(c);
	else if (!(was & NVME_CC_EN) && (val & NVME_CC_EN))
		start(c);
	if (shn && !(was >> NVME_CC_SHN_SHIFT & 3))
		shut_down(c);
}

static void dev_reset(void *state)
{
	struct ui_nvme *c = state;

	stop(c);
	c->cc = c->csts = c->aqa = 0;
	c->asq = c->acq = 0;
}

/* ---- registers ---- */

static u32 reg32(const struct ui_nvme *c, u64 offset)
{
	switch (offset) {
	case NVME_REG_CAP:
		return (NVME_MAX_ENTRIES - 1) | 1u << 16 | 20u << 24; /* contiguous queues; ready within 10 s */
	case NVME_REG_CAP + 4:
		return 1u << 5 | NVME_MAX_MPS << 20; /* NVM command set; pages from 4 KiB */
	case NVME_REG_VS:
		return NVME_VERSION;
	case NVME_REG_INTMS:
	case NVME_REG_INTMC:
		return c->intms;
	case NVME_REG_CC:
		return c->cc;
	case NVME_REG_CSTS:
		return c->csts;
	case NVME_REG_AQA:
		return c->aqa;
	case NVME_REG_ASQ:
		return (u32)c->asq;
	case NVME_REG_ASQ + 4:
		return (u32)(c->asq >> 32);
	case NVME_REG_ACQ:
		return (u32)c->acq;
	case NVME_REG_ACQ + 4:
		return (u32)(c->acq >> 32);
	default:
		return 0;
	}
}

static u64 dev_read(void *state, unsigned bar, u64 offset, unsigned n_bytes)
{
	const struct ui_nvme *c = state;
	u64 val;

	if (bar != NVME_BAR_REGS)
		return 0;
	val = reg32(c, offset & ~(u64)3) | (u64)reg32(c, (offset & ~(u64)3) + 4) << 32;
	val >>= 8 * (offset & 3);
	return val & ui_mask_lg2(8 * n_bytes);
}

static void mask_write(struct ui_nvme *c, u32 mask)
{
	u32 freed = c->intms & ~mask;
	unsigned n_vectors;

	c->intms = mask;
	/* What was held back is sent now, or an interrupt would be lost between a driver's look and its unmasking. */
	for (unsigned i = 0; ui_pci_irq_state(c->pci, &n_vectors) == UI_PCI_IRQ_MSI && i < NVME_N_QUEUES; i++) {
		const struct ui_nvme_cq *cq = &c->cqs[i];

		if (cq->live && cq->irq && cq->head != cq->tail && cq->vector < 32 && freed >> cq->vector & 1)
			ui_pci_msg(c->pci, cq->vector);
	}
	ui_nvme_pin_update(c);
}

static void set_half(u64 *reg, bool high, u32 val)
{
	*reg = high ? (u64)val << 32 | (u32)*reg : (*reg & ~(u64)0xffffffff) | val;
}

static void reg_write32(struct ui_nvme *c, u64 offset, u32 val)
{
	bool fixed = c->cc & NVME_CC_EN; /* the admin queue's place and size */

	if (offset == NVME_REG_CC)
		cc_write(c, val);
	else if (offset == NVME_REG_INTMS)
		mask_write(c, c->intms | val);
	else if (offset == NVME_REG_INTMC)
		mask_write(c, c->intms & ~val);
	else if (offset == NVME_REG_AQA && !fixed)
		c->aqa = val & 0x0fff0fff;
	else if ((offset & ~(u64)4) == NVME_REG_ASQ && !fixed)
		set_half(&c->asq, offset & 4, offset & 4 ? val : val & ~(u32)0xfff);
	else if ((offset & ~(u64)4) == NVME_REG_ACQ && !fixed)
		set_half(&c->acq, offset & 4, offset & 4 ? val : val & ~(u32)0xfff);
}

/* ---- doorbells ---- */

static void bad_doorbell(struct ui_nvme *c, unsigned qid, u8 info)
{
	ui_nvme_error(c, (u16)qid, 0xffff, 0, 0, NVME_OK);
	ui_nvme_event(c, NVME_EVENT_ERROR, info, NVME_LOG_ERROR);
}

/* How far @to lies after @from in a ring. */
static unsigned ahead(u16 from, u16 to, u16 n_entries)
{
	return (unsigned)(to + (to < from ? n_entries : 0) - from);
}

static void sq_doorbell(struct ui_nvme *c, unsigned qid, u16 tail)
{
	struct ui_nvme_sq *sq = &c->sqs[qid];

	if (!sq->live)
		bad_doorbell(c, qid, NVME_EVENT_BAD_DOORBELL);
	else if (tail >= sq->n_entries || ahead(sq->tail, tail, sq->n_entries) >= sq->n_entries - ahead(sq->head, sq->tail, sq->n_entries))
		bad_doorbell(c, qid, NVME_EVENT_BAD_DOORBELL_VALUE);
	else
		sq->tail = tail;
}

static void cq_doorbell(struct ui_nvme *c, unsigned qid, u16 head)
{
	struct ui_nvme_cq *cq = &c->cqs[qid];

	if (!cq->live) {
		bad_doorbell(c, qid, NVME_EVENT_BAD_DOORBELL);
	} else if (head >= cq->n_entries || ahead(cq->head, head, cq->n_entries) > ahead(cq->head, cq->tail, cq->n_entries)) {
		bad_doorbell(c, qid, NVME_EVENT_BAD_DOORBELL_VALUE);
	} else {
		cq->head = head;
		ui_nvme_pin_update(c);
	}
}

static void doorbell(struct ui_nvme *c, u64 nth, u32 val)
{
	unsigned qid = (unsigned)(nth / 2);

	if (!ui_nvme_running(c))
		return;
	if (qid >= NVME_N_QUEUES)
		bad_doorbell(c, qid, NVME_EVENT_BAD_DOORBELL);
	else if (nth & 1)
		cq_doorbell(c, qid, (u16)val);
	else
		sq_doorbell(c, qid, (u16)val);
	/* Most completion doorbells bring no work. */
	if (ui_nvme_due(c))
		ui_pci_wake(c->pci);
}

static void dev_write(void *state, unsigned bar, u64 offset, unsigned n_bytes, u64 val)
{
	struct ui_nvme *c = state;

	if (bar != NVME_BAR_REGS || n_bytes < 4)
		return;
	if (offset >= NVME_REG_DOORBELLS) {
		if (n_bytes == 4)
			doorbell(c, (offset - NVME_REG_DOORBELLS) / 4, (u32)val);
		return;
	}
	/* Of the registers next to each other only halves of one take 8 bytes. */
	if (n_bytes == 8 && offset != NVME_REG_ASQ && offset != NVME_REG_ACQ)
		return;
	reg_write32(c, offset, (u32)val);
	if (n_bytes == 8)
		reg_write32(c, offset + 4, (u32)(val >> 32));
}

/* ---- the model ---- */

/* FNV-1a: the same image has the same name in every run, two images have two. */
static u64 hash(const char *text)
{
	u64 h = 0xcbf29ce484222325;

	for (; *text; text++)
		h = (h ^ (u8)*text) * 0x100000001b3;
	return h;
}

int ui_nvme_create(struct ui_pci *pci, const struct ui_nvme_file_options *file, const struct ui_nvme_image *image, struct ui_nvme **out,
		   char *err, size_t err_bytes)
{
	struct ui_nvme *c = ui_zalloc(sizeof(*c));

	if (c)
		c->bounce = ui_zalloc(NVME_MAX_BYTES);
	if (!c || !c->bounce) {
		snprintf(err, err_bytes, "nvme: out of memory");
		ui_free(c);
		return -ENOMEM;
	}
	c->pci = pci;
	c->port = ui_pci_dma(pci);
	c->file = *file;
	c->own_image = !image;
	if (image)
		c->image = *image;
	c->identity = hash(file->path) ^ (u64)ui_dma_rid(c->port) * 0x9e3779b97f4a7c15; /* readers may share an image */
	dev_reset(c);
	*out = c;
	return 0;
}

static int dev_create(struct ui_pci *pci, const char *options, void **state, char *err, size_t err_bytes)
{
	struct ui_nvme_file_options file;
	struct ui_nvme *c;
	int ret = ui_nvme_file_parse(options, &file, err, err_bytes);

	if (!ret)
		ret = ui_nvme_create(pci, &file, NULL, &c, err, err_bytes);
	if (!ret)
		*state = c;
	return ret;
}

static void dev_destroy(void *state)
{
	struct ui_nvme *c = state;

	image_close(c);
	ui_free(c->bounce);
	ui_free(c);
}

static int dev_open(void *state, char *err, size_t err_bytes)
{
	return image_open(state, err, err_bytes);
}

static void dev_close(void *state)
{
	struct ui_nvme *c = state;

	dev_reset(c);
	if (c->own_image)
		image_close(c);
}

static const char *const option_keys[] = { "file", "size", "ro", NULL };
static const char *const option_flags[] = { "ro", NULL };
static const char *const option_paths[] = { "file", NULL };

extern const struct ui_pci_model ui_nvme_model;

const struct ui_pci_model ui_nvme_model = {
	.name = "nvme",
	.vendor = 0x6975,
	.device = 0x0002,
	.subvendor = 0x6975,
	.subdevice = 0x0002,
	.revision = 1,
	.class_code = 0x010802,
	.bars = {
		[NVME_BAR_REGS] = { .n_bytes = 16 << 10, .is_64 = true },
		[NVME_BAR_MSIX] = { .n_bytes = 8 << 10, .is_64 = true },
	},
	.n_msix = NVME_N_QUEUES,
	.msix_bar = NVME_BAR_MSIX,
	.n_msi_lg2 = 5,
	.pin = 1,
	.option_keys = option_keys,
	.option_flags = option_flags,
	.option_paths = option_paths,
	.create = dev_create,
	.destroy = dev_destroy,
	.open = dev_open,
	.close = dev_close,
	.reset = dev_reset,
	.read = dev_read,
	.write = dev_write,
	.step = ui_nvme_step,
};
