/* SPDX-License-Identifier: MIT */
/* Faults on their way to the event queue (5.13.6.9). */
#include "base/bits.h"
#include "virtio/iommu_priv.h"

enum { REASON_UNKNOWN, REASON_DOMAIN, REASON_MAPPING };
enum { FLAG_READ = 1, FLAG_WRITE = 2, FLAG_ADDRESS = 1 << 8 };

static u8 reason_of(const struct ui_fault *fault)
{
	switch (fault->reason) {
	case UI_DMA_BLOCKED:
		return REASON_DOMAIN;
	case UI_DMA_TRANSLATION:
	case UI_DMA_ADDR_SIZE:
	case UI_DMA_ACCESS:
	case UI_DMA_PERMISSION:
		return REASON_MAPPING;
	default:
		return REASON_UNKNOWN;
	}
}

/* Keeps @event. False: there is no room, or nobody of that RID. events_lock is held. */
static bool keep(struct ui_virtio_iommu *vi, u32 rid, struct viommu_event *event)
{
	struct ui_ivl_item item;

	if (vi->n_events == VIOMMU_N_EVENTS || !ui_ivl_meets(&vi->rids, rid, rid, &item))
		return false;
	event->endpoint = ((struct viommu_endpoint *)item.ptr)->id;
	vi->events[(vi->first_event + vi->n_events++) % VIOMMU_N_EVENTS] = *event;
	return true;
}

void ui_virtio_iommu_fault(void *arg, const struct ui_fault *fault)
{
	struct ui_virtio_iommu *vi = arg;
	struct viommu_event event = { .reason = reason_of(fault), .flags = FLAG_ADDRESS, .address = fault->iova };
	bool kept;

	if (fault->access & UI_PROT_READ)
		event.flags |= FLAG_READ;
	if (fault->access & UI_PROT_WRITE)
		event.flags |= FLAG_WRITE;
	pthread_mutex_lock(&vi->events_lock);
	kept = keep(vi, fault->rid, &event);
	pthread_mutex_unlock(&vi->events_lock);
	if (kept)
		ui_virtio_wake(&vi->v);
}

bool ui_viommu_has_events(struct ui_virtio_iommu *vi)
{
	bool any;

	pthread_mutex_lock(&vi->events_lock);
	any = vi->n_events;
	pthread_mutex_unlock(&vi->events_lock);
	return any;
}

void ui_viommu_drop_events(struct ui_virtio_iommu *vi)
{
	pthread_mutex_lock(&vi->events_lock);
	vi->n_events = 0;
	pthread_mutex_unlock(&vi->events_lock);
}

/* The only one who takes holds v.lock, so what is first stays first. */
static bool take(struct ui_virtio_iommu *vi, struct viommu_event *event)
{
	bool any;

	pthread_mutex_lock(&vi->events_lock);
	any = vi->n_events;
	if (any) {
		*event = vi->events[vi->first_event];
		vi->first_event = (vi->first_event + 1) % VIOMMU_N_EVENTS;
		vi->n_events--;
	}
	pthread_mutex_unlock(&vi->events_lock);
	return any;
}

/* A report waits for a buffer. One that is too small takes its report with it: none is split, none is shorter. */
unsigned ui_viommu_serve_events(struct ui_virtio_iommu *vi, struct ui_virtq *q, unsigned budget)
{
	struct ui_virtq_chain chain;
	struct viommu_event event;
	unsigned n = 0;

	while (n < budget && ui_viommu_has_events(vi) && ui_virtq_pop(q, &chain)) {
		bool good = take(vi, &event) && chain.writable_bytes >= sizeof(event) && ui_virtq_write(q, &chain, &event, sizeof(event));

		ui_virtq_push(q, &chain, good ? sizeof(event) : 0);
		n++;
	}
	return n;
}
