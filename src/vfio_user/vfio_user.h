/* SPDX-License-Identifier: MIT */
/*
 * The server's half of vfio-user: one ui_vu is one client on one socket, and the device it has while it is there. What the client maps for DMA
 * becomes regions of a memory object; all else is answered as the VFIO device file does (vfio/vfio.h).
 *
 * Nothing here waits for the client, and nothing it sends reaches more than its own connection: a wrong request is answered with an
 * errno, a broken stream ends the connection. The embedder polls the descriptors and calls.
 *
 * Threads: ui_vu_run() and what stands beside it on one thread, the loop. The device may be stepped by another. Where memory was mapped
 * without a descriptor, DMA is a message to the client and its reply, which the loop gets: so whoever steps the device then waits
 * for the loop, through the environment.
 */
#ifndef UI_VFIO_USER_H
#define UI_VFIO_USER_H

#include "base/types.h"
#include "core/bind.h"
#include "devices/pci.h"

#include <stdatomic.h>

struct ui_vu;
struct ui_vfio;
struct ui_mem;

enum {
	UI_VU_MAX_FDS = 16,            /* descriptors in a message */
	UI_VU_MAX_TRANSFER = 1 << 20,  /* bytes of data in a message */
	UI_VU_MAX_REGIONS = 8192,      /* DMA regions at a time */
	UI_VU_DMA_BITS = 47,           /* of addresses that can be mapped: above may be an iommu's tables (core/iommu.h) */
};

struct ui_vu_env {
	/*
	 * DMA by message. @wait returns when *@word is not 0 or when it does not want to wait any longer; called on the thread that does
	 * the DMA, outside sections, perhaps with the function's lock held. NULL: such DMA is an external abort. @wake: *@word has become 1.
	 */
	void (*wait)(void *arg, const _Atomic u32 *word);
	void (*wake)(void *arg, const _Atomic u32 *word);
	/* ui_vu_events() has changed, though not by the loop. May be NULL with @wait. */
	void (*kick)(void *arg);
	void *arg;
};

/* What is served. Everything stays the embedder's and outlives the connection. */
struct ui_vu_device {
	struct ui_pci *pci;
	struct ui_device *dev;
	struct ui_mem *mem; /* the client's memory goes there */
	/* Where the device is attached while a client has it; ops NULL: to the identity domain. */
	struct ui_binder binder;
	int bar_fds[UI_PCI_N_BARS]; /* a mappable BAR's memory, from offset 0 on; -1: not to be mapped */
	const char *name;           /* for the log */
};

/*
 * Serves the client at the other end of @fd, a local stream socket, which is closed in any case. 0 with *@out; -EBUSY when somebody else has
 * the device; -ENOMEM.
 */
int ui_vu_create(const struct ui_vu_device *device, const struct ui_vu_env *env, int fd, struct ui_vu **out);
/* The client is gone: its memory cannot be reached any more when this returns, the device is reset and nobody's. NULL is a no-op. */
void ui_vu_destroy(struct ui_vu *vu);
/* The socket, to be polled. */
int ui_vu_fd(const struct ui_vu *vu);
/* What for. Any thread. */
short ui_vu_events(struct ui_vu *vu);
/*
 * Takes what has come, answers it, sends what can be sent: a bounded piece of work that never waits for the client. 0: poll again; else the connection
 * is at its end: -ECONNRESET the client has left, -EPROTO it broke the protocol (the log says how), -ENOMEM.
 */
int ui_vu_run(struct ui_vu *vu);
/* For ui_vfio_unmask_fd(): to be polled as well. */
struct ui_vfio *ui_vu_vfio(struct ui_vu *vu);
/* Regions that are mapped just now. */
unsigned ui_vu_n_regions(const struct ui_vu *vu);

#endif
