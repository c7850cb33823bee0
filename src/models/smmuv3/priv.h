/* SPDX-License-Identifier: MIT */
/*
 * What the files of the SMMUv3's device half share.
 *
 * Locks, outermost first: smmu->lock (registers and queues), smmu->cache_lock (which configurations are cached). Whoever waits for
 * DMA sections holds the first at most; sections take the second, for a moment. Callbacks and messages happen with neither held.
 */
#ifndef UI_MODELS_SMMUV3_PRIV_H
#define UI_MODELS_SMMUV3_PRIV_H

#include "base/list.h"
#include "models/smmuv3/config.h"
#include "models/smmuv3/smmuv3.h"

#include <pthread.h>
#include <stdatomic.h>

enum { UI_SMMUV3_CACHE_BUCKETS = 1024 };

/* What is known by heart of one (StreamID, SubstreamID or none). Constant once it is in the cache, but for its links. */
struct ui_smmuv3_cached_config {
	struct ui_smmuv3_config config; /* stages.tag and stages.largest_leaf are its own */
	_Atomic u32 largest_leaf;
	u64 who;                        /* ui_smmuv3_who() */
	struct ui_smmuv3_cached_config *_Atomic next; /* of the bucket; written under cache_lock */
	struct ui_list link;            /* smmu->configs; cache_lock */
	struct ui_smmuv3_cached_config *dropped; /* of those on their way out */
};

/* A queue's registers, under smmu->lock. */
struct ui_smmuv3_q {
	u64 base;
	u32 prod, cons;
};

/* 3.18.2: where an interrupt goes as a message. Under smmu->lock. */
struct ui_smmuv3_msi {
	u64 addr;
	u32 data, attr;
};

struct ui_smmuv3 {
	struct ui_mem *mem;
	struct ui_tr *tr;
	struct ui_smmuv3_cfg cfg;
	u32 idr[UI_SMMUV3_N_IDR];

	/* Read by streams that resolve; written under lock, in an order that ui_smmuv3_resolve() tells. */
	_Atomic u32 cr0, gbpa;
	struct ui_smmuv3_tables tables; /* changes only while SMMUEN is 0 and nobody resolves */
	struct ui_stage_config bypass;  /* SMMUEN = 0 */

	pthread_mutex_t lock; /* guards what follows */
	u32 cr1, cr2, irq_ctrl, gerror, gerrorn;
	struct ui_smmuv3_q cmdq, eventq;
	struct ui_smmuv3_msi eventq_msi, gerror_msi;
	struct ui_dma *queues; /* a port that bypasses, for queues */
	struct ui_dma *probe;  /* a port for ui_smmuv3_stream_cached(), with what it shall answer */
	struct ui_smmuv3_config probed;
	u32 probe_tag;         /* constant */
	bool consuming;        /* a thread runs commands; it looks at PROD again before it ends */
	bool delivering;       /* a thread delivers interrupts; it looks at irqs again before it ends */
	u8 irqs;               /* enum ui_smmuv3_irq, as bits, that are to be delivered */
	u8 sending;            /* likewise, that is under way as a message */
	u32 n_resets;          /* what a message from before a reset comes to is not told after it */
	pthread_cond_t sent;   /* sending has become 0 */

	/* Messages: one port for whoever is delivering, one for whoever is consuming. */
	struct ui_dma *irq_port, *sync_port;
	_Atomic uintptr_t irq_sender, sync_sender; /* the thread that writes a message now: not to our own registers */

	_Atomic u64 generation; /* counts removals from the cache, under cache_lock */
	pthread_mutex_t cache_lock;
	struct ui_list configs;
	struct ui_smmuv3_cached_config *_Atomic buckets[UI_SMMUV3_CACHE_BUCKETS];
};

struct ui_smmuv3_stream {
	struct ui_smmuv3 *smmu;
	struct ui_dma *dma;
	u32 sid;
	/* The port's thread. */
	unsigned refused;  /* the event for which the last look at the structures ended without an answer; 0: none is due */
	enum ui_dma_status reason; /* of that */
	u64 evt[UI_SMMUV3_EVT_WORDS];
};

#define UI_SMMUV3_REG(reg, field) ui_hw_mask(UI_SMMUV3_##reg##_##field)

UI_ALWAYS_INLINE bool ui_smmuv3_enabled(u32 cr0)
{
	return cr0 & UI_SMMUV3_REG(CR0, SMMUEN);
}

UI_ALWAYS_INLINE u64 ui_smmuv3_who(u32 sid, u32 ssid, bool ssv)
{
	return (u64)sid << 32 | (u64)ssv << 20 | (ssv ? ssid : 0);
}

/*
 * stream.c. Drops what @match(@arg, config) says of the cache; when it returns no access goes by it. Waits for nobody else. Under
 * lock.
 */
typedef bool (*ui_smmuv3_match_fn)(const struct ui_smmuv3_cached_config *config, const void *arg);
void ui_smmuv3_cache_drop(struct ui_smmuv3 *smmu, ui_smmuv3_match_fn match, const void *arg);

/* queue.c, under lock. A record for the event queue; an error in GERROR (a mask of one bit); an interrupt for later. */
void ui_smmuv3_record(struct ui_smmuv3 *smmu, const u64 evt[UI_SMMUV3_EVT_WORDS]);
void ui_smmuv3_gerror(struct ui_smmuv3 *smmu, u64 error);
void ui_smmuv3_raise(struct ui_smmuv3 *smmu, enum ui_smmuv3_irq irq);
/* Under lock: IRQ_CTRL has changed. When it returns no message of an interrupt that is off is under way (3.18.1). */
void ui_smmuv3_irqs_off(struct ui_smmuv3 *smmu);
/* Without lock: delivers what is due. */
void ui_smmuv3_deliver(struct ui_smmuv3 *smmu);
/* Without lock: a message. False: nobody took it. @port and @sender are one of the pairs of struct ui_smmuv3. */
bool ui_smmuv3_send(struct ui_smmuv3 *smmu, struct ui_dma *port, _Atomic uintptr_t *sender, u64 addr, u32 data);
/* The calling thread is writing a message. */
bool ui_smmuv3_self_sending(struct ui_smmuv3 *smmu);
/* Entries lie in RAM. False: abort. Under lock. */
bool ui_smmuv3_queue_read(struct ui_smmuv3 *smmu, u64 addr, u64 *words, unsigned n);
bool ui_smmuv3_queue_write(struct ui_smmuv3 *smmu, u64 addr, const u64 *words, unsigned n);
/* log2 of the queue's entries; the address of the entry that @index says. */
unsigned ui_smmuv3_queue_lg2(const struct ui_smmuv3_q *q);
u64 ui_smmuv3_queue_addr(const struct ui_smmuv3_q *q, u32 index, unsigned entry_bytes);
u32 ui_smmuv3_queue_next(const struct ui_smmuv3_q *q, u32 index);

/* cmdq.c, without lock: runs commands up to PROD, unless another thread does. */
void ui_smmuv3_consume(struct ui_smmuv3 *smmu);

#endif
