/* SPDX-License-Identifier: MIT */
/*
 * A virtio device without its transport (virtio 1.2, chapters 2 and 3): feature negotiation, status, split queues, configuration
 * space. A transport (virtio-pci, virtio-mmio, a test) turns its registers into the functions below; a device (virtio/iommu.h)
 * supplies a ui_virtio_model.
 *
 * Threads: any, for everything here but init and fini; one lock serialises it, and it is held around the model's callbacks.
 * Nothing here starts a thread: whoever embeds the device calls ui_virtio_step() after its wake callback came. Not from inside
 * a DMA section.
 */
#ifndef UI_VIRTIO_DEVICE_H
#define UI_VIRTIO_DEVICE_H

#include "base/types.h"
#include "virtio/queue.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
	UI_VIRTIO_STATUS_ACKNOWLEDGE = 1,
	UI_VIRTIO_STATUS_DRIVER = 2,
	UI_VIRTIO_STATUS_DRIVER_OK = 4,
	UI_VIRTIO_STATUS_FEATURES_OK = 8,
	UI_VIRTIO_STATUS_NEEDS_RESET = 64,
	UI_VIRTIO_STATUS_FAILED = 128,
};

/* Feature bits that are no device type's. The first three are offered always. */
enum {
	UI_VIRTIO_F_INDIRECT_DESC = 28,
	UI_VIRTIO_F_EVENT_IDX = 29,
	UI_VIRTIO_F_VERSION_1 = 32,
	UI_VIRTIO_F_ACCESS_PLATFORM = 33,
};

enum { UI_VIRTIO_N_QUEUES = 4 };

struct ui_virtio;

struct ui_virtio_model {
	const char *name;
	u16 type;         /* 23: an IOMMU */
	u8 n_queues;      /* at most UI_VIRTIO_N_QUEUES */
	u32 config_bytes; /* of device-specific configuration */
	/* @offset + @n_bytes is within config_bytes. What a write may not change it ignores. */
	void (*config_read)(struct ui_virtio *v, u32 offset, void *buf, u32 n_bytes);
	void (*config_write)(struct ui_virtio *v, u32 offset, const void *buf, u32 n_bytes);
	/* The driver's features are settled: v->driver_features. May be NULL. */
	void (*negotiated)(struct ui_virtio *v);
	/* The driver reset the device (not the system): queues are off already. */
	void (*reset)(struct ui_virtio *v);
	/* Serves queue @n, whose chains are got by ui_virtq_pop(): at most @budget of them, and returns how many. */
	unsigned (*serve)(struct ui_virtio *v, unsigned n, unsigned budget);
	u8 own_queues; /* bit n: queue n is for what the device has to say, not for the driver's requests */
	/* Has the device something to say on queue @n of those? */
	bool (*wants)(struct ui_virtio *v, unsigned n);
};

/* The transport. All may be NULL. */
struct ui_virtio_env {
	/* With the device's lock held: must not call the device. */
	void (*queue_irq)(void *arg, unsigned queue);
	void (*config_irq)(void *arg);
	/* ui_virtio_step() has something to do; any thread, without the lock. */
	void (*wake)(void *arg);
	void *arg;
};

/* Embedded in a device's own structure. */
struct ui_virtio {
	const struct ui_virtio_model *model;
	u64 offered;             /* constant */
	struct ui_virtio_env env; /* set before the first call of a transport */

	pthread_mutex_t lock; /* guards what follows */
	u64 driver_features;  /* what the driver has written; accepted once FEATURES_OK is in status */
	u8 status;
	struct ui_virtq queues[UI_VIRTIO_N_QUEUES];
	/* Queues that the driver notified, bit n. Release in ui_virtio_notify(), acquire in ui_virtio_step(): each other's partner. */
	atomic_uint notified;
};

/*
 * @features: of the device type. @port: the device's own DMA, to its queues (in bypass, unless it stands behind another IOMMU); used
 * by step and reset only; stays the caller's and outlives @v. @queue_max: largest size of each queue, powers of two, at most 32768.
 * 0; -EINVAL; -ENOMEM.
 */
int ui_virtio_init(struct ui_virtio *v, const struct ui_virtio_model *model, u64 features, struct ui_dma *port, const u16 *queue_max);
void ui_virtio_fini(struct ui_virtio *v); /* nobody calls any more */
void ui_virtio_set_env(struct ui_virtio *v, const struct ui_virtio_env *env);

/* ---- For a transport ---- */

u64 ui_virtio_offered(const struct ui_virtio *v);
/* Ignored once FEATURES_OK is set. */
void ui_virtio_set_features(struct ui_virtio *v, u64 features);
u64 ui_virtio_features(struct ui_virtio *v);
u8 ui_virtio_status(struct ui_virtio *v);
/* 0 resets. FEATURES_OK stays clear when the driver accepted what is not offered, or not VERSION_1. */
void ui_virtio_set_status(struct ui_virtio *v, u8 status);

/* What a driver says of a queue before it enables it; changes afterwards are ignored. */
struct ui_virtio_queue_setup {
	u16 size;
	u64 desc, avail, used; /* addresses of the three parts */
};
/* Of queue @n (any number: beyond the last one size 0). *@enabled may be NULL. */
void ui_virtio_queue_get(struct ui_virtio *v, unsigned n, struct ui_virtio_queue_setup *setup, bool *enabled);
void ui_virtio_queue_set(struct ui_virtio *v, unsigned n, const struct ui_virtio_queue_setup *setup);
u16 ui_virtio_queue_max(const struct ui_virtio *v, unsigned n);
/* A setup that cannot be (size, alignment, wrap) makes the device need a reset. */
void ui_virtio_queue_enable(struct ui_virtio *v, unsigned n);
/* The driver's notification. Any @n. */
void ui_virtio_notify(struct ui_virtio *v, unsigned n);

/* Device-specific configuration; beyond its end reads 0 and drops. */
void ui_virtio_config_read(struct ui_virtio *v, u32 offset, void *buf, u32 n_bytes);
void ui_virtio_config_write(struct ui_virtio *v, u32 offset, const void *buf, u32 n_bytes);

/* A bounded piece of work (at most 64 chains a queue). True when there is more to do right away. */
bool ui_virtio_step(struct ui_virtio *v);

/* ---- For a device ---- */

/* The driver accepted feature @bit. With the lock held, or where nothing changes. */
bool ui_virtio_has(const struct ui_virtio *v, unsigned bit);
/* The device cannot go on: DEVICE_NEEDS_RESET. With the lock held. */
void ui_virtio_broken(struct ui_virtio *v);
/* Makes the embedder step. Without the lock. */
void ui_virtio_wake(struct ui_virtio *v);

#endif
