/* SPDX-License-Identifier: MIT */
/* Inside a vfio-user connection. */
#ifndef UI_VFIO_USER_PRIV_H
#define UI_VFIO_USER_PRIV_H

#include "base/list.h"
#include "vfio/uapi.h"
#include "vfio/vfio.h"
#include "vfio_user/proto.h"
#include "vfio_user/vfio_user.h"

#include <pthread.h>

enum {
	VU_MAX_MESSAGE = UI_VU_MAX_TRANSFER + 4096,
	VU_MAX_QUEUED = 2 * VU_MAX_MESSAGE, /* bytes waiting to be sent; more, and nothing is read */
	VU_N_CALLS = 16,
};

/* A message to be sent. */
struct vu_out {
	struct vu_out *next;
	u32 n_bytes, done;
	int fd; /* goes with the first byte, and stays whose it is; -1: none */
	struct vu_head head;
	u8 payload[];
};

/* Memory of the client's, at guest-physical addresses. The loop's. */
struct vu_region {
	struct ui_list link;
	struct ui_vu *vu;
	u64 iova, last;
	bool writable;
	u8 *map; /* NULL: reached by messages */
	u64 map_bytes;
};

/* Over by an answer: done or failed; without, so that one may still come: cancelled, and abandoned when nobody waits any more. */
enum vu_call_state { VU_CALL_FREE, VU_CALL_WAITING, VU_CALL_DONE, VU_CALL_FAILED, VU_CALL_CANCELLED, VU_CALL_ABANDONED };

/* A DMA by message. */
struct vu_call {
	/* All guarded by vu->lock, but for @word. */
	enum vu_call_state state;
	u16 id, command;
	u32 n_bytes;
	u64 val;
	const struct vu_region *region;
	_Atomic u32 word; /* 1: over. Release by whoever ends it; acquire by whoever waits */
};

/*
 * How the client lays out messages of DMA. The protocol has a count of 8 bytes before the data; QEMU before 11 one of 4, so that data begin 4
 * bytes earlier, in messages as long as the protocol's. Which it is shows in its answers.
 */
enum vu_dialect { VU_DIALECT_STANDARD, VU_DIALECT_OLD_QEMU };

struct ui_vu {
	struct ui_vu_device dev; /* constant, as env, fd and vfio */
	struct ui_vu_env env;
	int fd;
	struct ui_vfio *vfio;

	/* The loop's. */
	bool versioned;
	struct vu_head head; /* of the message that is coming in */
	u8 *in;              /* its payload */
	u32 in_room, in_done; /* @in_done counts the header too */
	int fds[UI_VU_MAX_FDS];
	unsigned n_fds;
	struct ui_list regions;
	unsigned n_regions;

	pthread_mutex_t lock; /* guards what follows; a leaf */
	struct vu_out *first, **end;
	u64 n_queued;         /* bytes */
	bool dead;            /* no more calls */
	bool silent;          /* the client did not answer a call in time, and nothing came since */
	u16 next_id;
	enum vu_dialect dialect;
	u64 max_call_bytes;   /* of data, that the client takes; 0: it takes none yet */
	struct vu_call calls[VU_N_CALLS];
};

/* conn.c */
/* Zeroed, with room for @n_bytes of payload; NULL without memory. */
struct vu_out *ui_vu_out_new(u32 n_bytes);
/* With the lock held. */
void ui_vu_out_queue(struct ui_vu *vu, struct vu_out *out);
/* What the socket takes now. With the lock held. 0 or -ECONNRESET. */
int ui_vu_out_flush(struct ui_vu *vu);

/* dispatch.c: a whole message, in vu->head and vu->in. 0, or what ui_vu_run() returns. */
int ui_vu_dispatch(struct ui_vu *vu);

/* Handlers: the payload and its length, which is within the command's bounds. 0, with *@out an answer's payload or NULL; a negative errno. */
int ui_vu_version(struct ui_vu *vu, const u8 *payload, u32 n_bytes, struct vu_out **out);
int ui_vu_dma_map(struct ui_vu *vu, const u8 *payload, u32 n_bytes, struct vu_out **out);
int ui_vu_dma_unmap(struct ui_vu *vu, const u8 *payload, u32 n_bytes, struct vu_out **out);

/* memory.c: all of them. */
void ui_vu_regions_remove(struct ui_vu *vu);

/* call.c */
extern const struct ui_mem_mmio_ops ui_vu_call_ops;
/* A reply has come. 0, or -EPROTO when nothing was asked. */
int ui_vu_call_reply(struct ui_vu *vu, const u8 *payload, u32 n_bytes);
/* Ends those for @region (NULL: all) with a failure. */
void ui_vu_calls_fail(struct ui_vu *vu, const struct vu_region *region);

#endif
