/* SPDX-License-Identifier: MIT */
/*
 * The `nvme` device (docs/nvme-device.md): what its files share.
 *
 *	nvme.c           registers, doorbells, life
 *	nvme_queue.c     fetching, completing, interrupts, turns
 *	nvme_prp.c       from the two addresses in a command to its memory
 *	nvme_admin.c     queues, features, events, abort
 *	nvme_identify.c  what is told: identify and log pages
 *	nvme_io.c        the namespace's commands
 *	nvme_image.c     the file below
 *
 * One command is in progress at a time, in steps; everything about it is in ui_nvme.cur. All is guarded by the function's lock.
 */
#ifndef UI_DEVICES_NVME_PRIV_H
#define UI_DEVICES_NVME_PRIV_H

#include "base/bits.h"
#include "devices/nvme_image.h"
#include "devices/nvme_regs.h"
#include "devices/pci.h"

#include <string.h>

enum {
	NVME_BAR_REGS = 0,
	NVME_BAR_MSIX = 4,
	NVME_N_IO_QUEUES = 16,
	NVME_N_QUEUES = NVME_N_IO_QUEUES + 1, /* with the admin queue, number 0 */
	NVME_MAX_ENTRIES = 1024,
	NVME_MAX_MPS = 4,                     /* pages of 64 KiB */
	NVME_MDTS = 6,
	NVME_MAX_BYTES = 4096 << NVME_MDTS,   /* of one command */
	NVME_MAX_PAGES = (1 << NVME_MDTS) + 1,
	NVME_BLOCK_BYTES = 512,
	NVME_NSID = 1,
	NVME_N_AERS = 4,
	NVME_ABORT_LIMIT = 3,                 /* 0-based, as told */
	NVME_N_ERRORS = 64,
	NVME_KELVIN = 313,                    /* it never gets warmer */
	NVME_KELVIN_WARM = 343,               /* where it would warn, and where it would stop */
	NVME_KELVIN_CRITICAL = 353,
};
#define NVME_ALL_NAMESPACES 0xffffffffu

/* A submission queue entry, decoded from a private copy. */
struct ui_nvme_sqe {
	u8 op, flags;
	u16 cid;
	u32 nsid;
	u64 prp1, prp2;
	u32 cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};

struct ui_nvme_sq {
	bool live;
	u16 cqid, n_entries, head, tail;
	u64 base;
};

struct ui_nvme_cq {
	bool live, irq, phase;
	bool rang; /* something was posted and not said yet: a message is due */
	u16 peak;  /* of late the most completions that were not taken yet when the host was told: what it has under way */
	u16 vector, n_entries, head, tail, n_users;
	u64 base;
};

/* Where a command's data lies: the first page from its offset on, whole pages, the last as far as needed. */
struct ui_nvme_prps {
	unsigned n;
	u64 n_bytes;
	u64 addr[NVME_MAX_PAGES];
};

struct ui_nvme_cur {
	bool busy;
	u16 sqid;
	struct ui_nvme_sqe sqe;
	struct ui_nvme_prps prps;
	u64 offset, n_bytes; /* in the image */
	u64 done;            /* of them; dataset management: ranges */
	u32 result;          /* dword 0 of the completion */
	u16 status;
	bool held;           /* an event request: it completes when there is an event */
};

struct ui_nvme_error {
	u64 number; /* from 1; 0: none */
	u16 sqid, cid, status;
	u64 lba;
	u32 nsid;
};

struct ui_nvme_event {
	bool pending, masked; /* masked: told, and its log was not read since */
	u8 info, log;
};

struct ui_nvme {
	struct ui_pci *pci;
	struct ui_dma *port;
	u32 cc, csts, aqa, intms;
	u64 asq, acq;
	unsigned page_lg2; /* as CC said when it was enabled */
	struct ui_nvme_sq sqs[NVME_N_QUEUES];
	struct ui_nvme_cq cqs[NVME_N_QUEUES];
	unsigned turn; /* the submission queue that is served next */
	u64 spent;     /* bytes, or what counts as such, in this step */
	unsigned lingered; /* steps that messages have waited since the last command */
	struct ui_nvme_cur cur;

	u32 features[NVME_N_FEATURES];
	u16 thresholds[2];           /* temperatures over and under which to warn, in kelvin */
	bool no_coalescing[NVME_N_QUEUES];
	u16 n_sqs, n_cqs;            /* I/O queues granted */
	u16 aers[NVME_N_AERS];       /* command identifiers */
	unsigned n_aers;
	struct ui_nvme_event events[NVME_N_EVENTS];

	struct ui_nvme_error errors[NVME_N_ERRORS];
	u64 n_errors;
	u64 blocks_read, blocks_written, n_reads, n_writes, n_media_errors;

	struct ui_nvme_file_options file;
	struct ui_nvme_image image;
	bool own_image; /* opened by name, so closed with its owner */
	u64 identity;   /* differs from image to image, and from controller to controller */
	u8 *bounce;     /* NVME_MAX_BYTES */
};

/* nvme.c */

/* A controller on @image, which is closed with it; NULL: on the file of @file. 0 or a negative errno with a line in @err. */
int ui_nvme_create(struct ui_pci *pci, const struct ui_nvme_file_options *file, const struct ui_nvme_image *image, struct ui_nvme **out,
		   char *err, size_t err_bytes);
/* Nothing but a reset helps: CSTS.CFS. */
void ui_nvme_fatal(struct ui_nvme *c, const char *why);
/* Fetching and completing is allowed. */
UI_ALWAYS_INLINE bool ui_nvme_running(const struct ui_nvme *c)
{
	return (c->csts & (NVME_CSTS_RDY | NVME_CSTS_CFS | NVME_CSTS_SHST)) == NVME_CSTS_RDY;
}
/* Everything written before is durable; 0 or a negative errno. @away: away from the lock, as all of the image's work in a step. */
int ui_nvme_sync(struct ui_nvme *c, bool away);

/* nvme_queue.c */
bool ui_nvme_step(void *state);
/* A step has something to do. */
bool ui_nvme_due(const struct ui_nvme *c);
/* Room for @n completions. */
bool ui_nvme_cq_room(const struct ui_nvme_cq *cq, unsigned n);
/* False: the controller has failed. @cq has room. */
bool ui_nvme_post(struct ui_nvme *c, u16 sqid, u16 cid, u16 status, u32 result);
void ui_nvme_pin_update(struct ui_nvme *c);
/* Something happened that the host may want to know. */
void ui_nvme_event(struct ui_nvme *c, unsigned type, u8 info, u8 log);
/* The status with DNR where trying again is of no use, and with an entry in the error log. */
u16 ui_nvme_error(struct ui_nvme *c, u16 sqid, u16 cid, u32 nsid, u64 lba, u16 status);

/* nvme_prp.c */

/* 0 or a status. @n_bytes: 1 to NVME_MAX_BYTES. */
u16 ui_nvme_prp_resolve(struct ui_nvme *c, u64 prp1, u64 prp2, u64 n_bytes, struct ui_nvme_prps *out);
/* Moves @n_bytes between @buf and the command's memory from its byte @at on. 0 or a status. */
u16 ui_nvme_prp_get(struct ui_nvme *c, const struct ui_nvme_prps *prps, u64 at, void *buf, u64 n_bytes);
u16 ui_nvme_prp_put(struct ui_nvme *c, const struct ui_nvme_prps *prps, u64 at, const void *buf, u64 n_bytes);
/* Resolves and puts. */
u16 ui_nvme_prp_answer(struct ui_nvme *c, const struct ui_nvme_sqe *sqe, const void *buf, u64 n_bytes);

/* The status of a finished command; sets result and held of ui_nvme.cur. */
u16 ui_nvme_admin(struct ui_nvme *c, const struct ui_nvme_sqe *sqe);
u16 ui_nvme_identify(struct ui_nvme *c, const struct ui_nvme_sqe *sqe);
u16 ui_nvme_get_log(struct ui_nvme *c, const struct ui_nvme_sqe *sqe);
u8 ui_nvme_critical_warning(const struct ui_nvme *c);
void ui_nvme_features_reset(struct ui_nvme *c);

/* nvme_io.c: a slice of the command in progress; true when it is finished, with its status in ui_nvme.cur. */
bool ui_nvme_io(struct ui_nvme *c);

#endif
