/* SPDX-License-Identifier: MIT */
#include "virtio/device.h"
#include "base/bits.h"

#include <errno.h>
#include <string.h>

enum { BUDGET = 64 };

#define ALWAYS_OFFERED (UI_BIT(UI_VIRTIO_F_INDIRECT_DESC) | UI_BIT(UI_VIRTIO_F_EVENT_IDX) | UI_BIT(UI_VIRTIO_F_VERSION_1))

int ui_virtio_init(struct ui_virtio *v, const struct ui_virtio_model *model, u64 features, struct ui_dma *port, const u16 *queue_max)
{
	ui_assert(model->n_queues <= UI_VIRTIO_N_QUEUES);
	memset(v, 0, sizeof(*v));
	v->model = model;
	v->offered = features | ALWAYS_OFFERED;
	for (unsigned i = 0; i < model->n_queues; i++) {
		int ret = ui_is_pow2(queue_max[i]) && queue_max[i] <= UI_VIRTQ_MAX ? ui_virtq_init(&v->queues[i], port, queue_max[i]) : -EINVAL;

		if (!ret)
			continue;
		while (i--)
			ui_virtq_fini(&v->queues[i]);
		return ret;
	}
	pthread_mutex_init(&v->lock, NULL);
	return 0;
}

void ui_virtio_fini(struct ui_virtio *v)
{
	for (unsigned i = 0; i < v->model->n_queues; i++)
		ui_virtq_fini(&v->queues[i]);
	pthread_mutex_destroy(&v->lock);
}

void ui_virtio_set_env(struct ui_virtio *v, const struct ui_virtio_env *env)
{
	v->env = *env;
}

void ui_virtio_wake(struct ui_virtio *v)
{
	if (v->env.wake)
		v->env.wake(v->env.arg);
}

bool ui_virtio_has(const struct ui_virtio *v, unsigned bit)
{
	return (v->status & UI_VIRTIO_STATUS_FEATURES_OK) && (v->driver_features & UI_BIT(bit));
}

/* 2.1.2: a change of configuration is announced once the driver is there to hear of it. */
void ui_virtio_broken(struct ui_virtio *v)
{
	if (v->status & UI_VIRTIO_STATUS_NEEDS_RESET)
		return;
	v->status |= UI_VIRTIO_STATUS_NEEDS_RESET;
	if ((v->status & UI_VIRTIO_STATUS_DRIVER_OK) && v->env.config_irq)
		v->env.config_irq(v->env.arg);
}

/* ---- Negotiation ---- */

u64 ui_virtio_offered(const struct ui_virtio *v)
{
	return v->offered;
}

void ui_virtio_set_features(struct ui_virtio *v, u64 features)
{
	pthread_mutex_lock(&v->lock);
	if (!(v->status & UI_VIRTIO_STATUS_FEATURES_OK))
		v->driver_features = features;
	pthread_mutex_unlock(&v->lock);
}

u64 ui_virtio_features(struct ui_virtio *v)
{
	u64 features;

	pthread_mutex_lock(&v->lock);
	features = v->driver_features;
	pthread_mutex_unlock(&v->lock);
	return features;
}

u8 ui_virtio_status(struct ui_virtio *v)
{
	u8 status;

	pthread_mutex_lock(&v->lock);
	status = v->status;
	pthread_mutex_unlock(&v->lock);
	return status;
}

static void reset_locked(struct ui_virtio *v)
{
	for (unsigned i = 0; i < v->model->n_queues; i++)
		ui_virtq_reset(&v->queues[i]);
	v->driver_features = 0;
	v->status = 0;
	v->model->reset(v);
}

static void settle_features(struct ui_virtio *v)
{
	if ((v->driver_features & ~v->offered) || !(v->driver_features & UI_BIT(UI_VIRTIO_F_VERSION_1)))
		return;
	v->status |= UI_VIRTIO_STATUS_FEATURES_OK;
	for (unsigned i = 0; i < v->model->n_queues; i++) {
		v->queues[i].event_idx = ui_virtio_has(v, UI_VIRTIO_F_EVENT_IDX);
		v->queues[i].indirect = ui_virtio_has(v, UI_VIRTIO_F_INDIRECT_DESC);
	}
	if (v->model->negotiated)
		v->model->negotiated(v);
}

/* 2.1: bits come, and only a reset takes them away. */
void ui_virtio_set_status(struct ui_virtio *v, u8 status)
{
	const u8 plain = UI_VIRTIO_STATUS_ACKNOWLEDGE | UI_VIRTIO_STATUS_DRIVER | UI_VIRTIO_STATUS_FAILED;
	bool wake = false;

	pthread_mutex_lock(&v->lock);
	if (!status) {
		reset_locked(v);
	} else {
		v->status |= status & plain;
		if ((status & UI_VIRTIO_STATUS_FEATURES_OK) && !(v->status & UI_VIRTIO_STATUS_FEATURES_OK))
			settle_features(v);
		if ((status & UI_VIRTIO_STATUS_DRIVER_OK) && (v->status & UI_VIRTIO_STATUS_FEATURES_OK)) {
			/* What was notified earlier was not served. */
			wake = !(v->status & UI_VIRTIO_STATUS_DRIVER_OK);
			v->status |= UI_VIRTIO_STATUS_DRIVER_OK;
		}
	}
	pthread_mutex_unlock(&v->lock);
	if (wake)
		ui_virtio_wake(v);
}

/* ---- Queues ---- */

u16 ui_virtio_queue_max(const struct ui_virtio *v, unsigned n)
{
	return n < v->model->n_queues ? v->queues[n].max : 0;
}

void ui_virtio_queue_get(struct ui_virtio *v, unsigned n, struct ui_virtio_queue_setup *setup, bool *enabled)
{
	const struct ui_virtq *q;

	*setup = (struct ui_virtio_queue_setup){ 0 };
	if (enabled)
		*enabled = false;
	if (n >= v->model->n_queues)
		return;
	q = &v->queues[n];
	pthread_mutex_lock(&v->lock);
	*setup = (struct ui_virtio_queue_setup){ .size = q->size, .desc = q->desc, .avail = q->avail, .used = q->used };
	if (enabled)
		*enabled = q->enabled;
	pthread_mutex_unlock(&v->lock);
}

void ui_virtio_queue_set(struct ui_virtio *v, unsigned n, const struct ui_virtio_queue_setup *setup)
{
	struct ui_virtq *q;

	if (n >= v->model->n_queues)
		return;
	q = &v->queues[n];
	pthread_mutex_lock(&v->lock);
	if (!q->enabled) {
		q->size = setup->size;
		q->desc = setup->desc;
		q->avail = setup->avail;
		q->used = setup->used;
	}
	pthread_mutex_unlock(&v->lock);
}

void ui_virtio_queue_enable(struct ui_virtio *v, unsigned n)
{
	if (n >= v->model->n_queues)
		return;
	pthread_mutex_lock(&v->lock);
	if (!v->queues[n].enabled && !ui_virtq_enable(&v->queues[n]))
		ui_virtio_broken(v);
	pthread_mutex_unlock(&v->lock);
}

void ui_virtio_notify(struct ui_virtio *v, unsigned n)
{
	if (n >= v->model->n_queues)
		return;
	/* Release: partner is ui_virtio_step(). */
	atomic_fetch_or_explicit(&v->notified, 1u << n, memory_order_release);
	ui_virtio_wake(v);
}

/* ---- Configuration ---- */

void ui_virtio_config_read(struct ui_virtio *v, u32 offset, void *buf, u32 n_bytes)
{
	u32 n = offset < v->model->config_bytes ? (u32)ui_min(n_bytes, v->model->config_bytes - offset) : 0;

	memset((u8 *)buf + n, 0, n_bytes - n);
	if (!n)
		return;
	pthread_mutex_lock(&v->lock);
	v->model->config_read(v, offset, buf, n);
	pthread_mutex_unlock(&v->lock);
}

void ui_virtio_config_write(struct ui_virtio *v, u32 offset, const void *buf, u32 n_bytes)
{
	u32 n = offset < v->model->config_bytes ? (u32)ui_min(n_bytes, v->model->config_bytes - offset) : 0;

	if (!n)
		return;
	pthread_mutex_lock(&v->lock);
	v->model->config_write(v, offset, buf, n);
	pthread_mutex_unlock(&v->lock);
}

/* ---- Work ---- */

static bool is_own(const struct ui_virtio *v, unsigned n)
{
	return v->model->own_queues >> n & 1;
}

/* True when the queue has more. A queue that breaks takes the device with it: nothing of it is touched again before a reset. */
static bool queue_step(struct ui_virtio *v, unsigned n)
{
	struct ui_virtq *q = &v->queues[n];
	unsigned done = v->model->serve(v, n, BUDGET);
	bool more = done == BUDGET, irq = ui_virtq_flush(q);

	if (irq && v->env.queue_irq)
		v->env.queue_irq(v->env.arg, n);
	/* Buffers for events are of no interest while there is none. */
	if (!more && (!is_own(v, n) || v->model->wants(v, n)))
		more = ui_virtq_rest(q);
	if (q->broken)
		ui_virtio_broken(v);
	return more && !q->broken;
}

bool ui_virtio_step(struct ui_virtio *v)
{
	const u8 live = UI_VIRTIO_STATUS_DRIVER_OK;
	unsigned more = 0, todo;

	pthread_mutex_lock(&v->lock);
	if ((v->status & (live | UI_VIRTIO_STATUS_NEEDS_RESET)) == live) {
		/* Acquire: partner is ui_virtio_notify(). */
		todo = atomic_exchange_explicit(&v->notified, 0, memory_order_acquire);
		for (unsigned n = 0; n < v->model->n_queues && !(v->status & UI_VIRTIO_STATUS_NEEDS_RESET); n++) {
			bool wanted = is_own(v, n) && v->model->wants(v, n);

			if (v->queues[n].enabled && (wanted || (todo & 1u << n)) && queue_step(v, n))
				more |= 1u << n;
		}
		/* Relaxed: under the lock of the only reader. */
		atomic_fetch_or_explicit(&v->notified, more, memory_order_relaxed);
	}
	pthread_mutex_unlock(&v->lock);
	return more;
}
