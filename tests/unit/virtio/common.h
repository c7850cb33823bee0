/* SPDX-License-Identifier: MIT */
/*
 * A world for the tests of the virtio-iommu: a guest's memory, an iommu of kind generic with three devices (endpoints 8, 9 and 10), and
 * a driver of the tests' own that lays out rings and requests by hand.
 */
#ifndef TEST_VIRTIO_COMMON_H
#define TEST_VIRTIO_COMMON_H

#include "base/alloc.h"
#include "base/bits.h"
#include "base/log.h"
#include "base/safe.h"
#include "core/driver.h"
#include "virtio/iommu.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cmocka wants the headers above. */
#include <cmocka.h>

enum { PAGE = 4096, N_ENDPOINTS = 3, FIRST_ENDPOINT = 8, REQUESTS = 0, EVENTS = 1, QUEUE = 16 };
enum { S_OK, S_IOERR, S_UNSUPP, S_DEVERR, S_INVAL, S_RANGE, S_NOENT, S_FAULT, S_NOMEM };
enum { T_ATTACH = 1, T_DETACH, T_MAP, T_UNMAP, T_PROBE };
enum { MAP_R = 1, MAP_W = 2, MAP_MMIO = 4 };
enum { D_NEXT = 1, D_WRITE = 2, D_INDIRECT = 4 };
enum { NO_ANSWER = -1 }; /* given back with used length 0 */

#define RAM_BYTES ((u64)4 << 20)
#define DATA_PA ((u64)1 << 20) /* pages for DMA: the first word of each is its address */
#define REQ_PA ((u64)0x40000)
#define RESP_PA ((u64)0x50000)
#define EVENT_PA ((u64)0x60000)
#define RING_PA(n) ((u64)0x10000 + 0x8000 * (u64)(n))
#define BIT_OF(feature) UI_BIT(UI_VIOMMU_F_##feature)

struct ring {
	u16 size, next, seen; /* next available index; used index as far as looked at */
};

struct endpoint {
	struct ui_device *dev;
	struct ui_dma *dma;
};

struct world {
	struct ui_mem *mem;
	u8 *ram;
	struct ui_iommu *iommu;
	struct ui_stage_config bypass;
	struct ui_dma *port;
	struct ui_virtio_iommu *vi;
	struct ui_virtio *v;
	struct endpoint eps[N_ENDPOINTS];
	struct ring rings[2];
	unsigned n_irqs[2], n_config_irqs;
	atomic_uint n_wakes; /* faults wake on the thread of the DMA */
	u8 resp[1024]; /* what came back */
	u32 used_bytes;
};

static inline void world_queue_irq(void *arg, unsigned queue)
{
	((struct world *)arg)->n_irqs[queue]++;
}

static inline void world_config_irq(void *arg)
{
	((struct world *)arg)->n_config_irqs++;
}

static inline void world_wake(void *arg)
{
	atomic_fetch_add_explicit(&((struct world *)arg)->n_wakes, 1, memory_order_relaxed);
}

static inline struct ui_stage_config *world_resolve(void *arg, u32 pasid, bool has_pasid, enum ui_dma_status *reason)
{
	return arg;
}

/* The driver's memory, as it sees it. */
static inline void *mem_at(struct world *w, u64 pa)
{
	return w->ram + pa;
}

static inline void put16(struct world *w, u64 pa, u16 val)
{
	memcpy(mem_at(w, pa), &val, sizeof(val));
}

static inline u16 get16(struct world *w, u64 pa)
{
	u16 val;

	memcpy(&val, mem_at(w, pa), sizeof(val));
	return val;
}

static inline u64 desc_pa(unsigned q)
{
	return RING_PA(q);
}

static inline u64 avail_pa(unsigned q)
{
	return RING_PA(q) + 0x4000;
}

static inline u64 used_pa(unsigned q)
{
	return RING_PA(q) + 0x6000;
}

static inline void put_desc_at(struct world *w, u64 table, unsigned i, u64 addr, u32 len, u16 flags, u16 next)
{
	u8 *d = mem_at(w, table + 16 * (u64)i);

	memcpy(d, &addr, 8);
	memcpy(d + 8, &len, 4);
	memcpy(d + 12, &flags, 2);
	memcpy(d + 14, &next, 2);
}

static inline void put_desc(struct world *w, unsigned q, unsigned i, u64 addr, u32 len, u16 flags, u16 next)
{
	put_desc_at(w, desc_pa(q), i, addr, len, flags, next);
}

static inline void offer(struct world *w, unsigned q, u16 head)
{
	struct ring *r = &w->rings[q];

	put16(w, avail_pa(q) + 4 + 2 * (u64)(r->next % r->size), head);
	r->next++;
	put16(w, avail_pa(q) + 2, r->next);
}

static inline void step_all(struct world *w)
{
	for (unsigned n = 0; ui_virtio_step(w->v); n++)
		assert_true(n < 10000);
}

static inline void kick(struct world *w, unsigned q)
{
	ui_virtio_notify(w->v, q);
	step_all(w);
}

/* The next used element. False: there is none. */
static inline bool take_used(struct world *w, unsigned q, u32 *id, u32 *len)
{
	struct ring *r = &w->rings[q];
	u8 *elem = mem_at(w, used_pa(q) + 4 + 8 * (u64)(r->seen % r->size));

	if (get16(w, used_pa(q) + 2) == r->seen)
		return false;
	memcpy(id, elem, 4);
	memcpy(len, elem + 4, 4);
	r->seen++;
	return true;
}

static inline void start_queue(struct world *w, unsigned q, u16 size)
{
	const struct ui_virtio_queue_setup setup = { .size = size, .desc = desc_pa(q), .avail = avail_pa(q), .used = used_pa(q) };

	memset(mem_at(w, RING_PA(q)), 0, 0x8000);
	w->rings[q] = (struct ring){ .size = size };
	ui_virtio_queue_set(w->v, q, &setup);
	ui_virtio_queue_enable(w->v, q);
}

/* A driver that comes: reset, features, queues, go. */
static inline void start_driver(struct world *w, u64 features)
{
	ui_virtio_set_status(w->v, 0);
	ui_virtio_set_status(w->v, UI_VIRTIO_STATUS_ACKNOWLEDGE);
	ui_virtio_set_status(w->v, UI_VIRTIO_STATUS_ACKNOWLEDGE | UI_VIRTIO_STATUS_DRIVER);
	ui_virtio_set_features(w->v, features | UI_BIT(UI_VIRTIO_F_VERSION_1));
	ui_virtio_set_status(w->v, 11);
	assert_int_equal(ui_virtio_status(w->v), 11);
	start_queue(w, REQUESTS, QUEUE);
	start_queue(w, EVENTS, QUEUE);
	ui_virtio_set_status(w->v, 15);
}

/* False, with nothing left behind, without memory. @driver NULL: generic. */
static inline bool world_try_open(struct world *w, const struct ui_virtio_iommu_cfg *cfg, const struct ui_driver_ops *driver)
{
	const struct ui_virtio_env env = { .queue_irq = world_queue_irq, .config_irq = world_config_irq, .wake = world_wake, .arg = w };
	struct ui_device_cfg dev = { .pasid_bits = 20 };
	bool ok;

	ui_log_set(UI_LOG_ERROR, NULL, NULL); /* thousands of faults are provoked */
	memset(w, 0, sizeof(*w));
	w->bypass.kind = UI_CFG_BYPASS;
	w->ram = aligned_alloc(PAGE, RAM_BYTES);
	assert_non_null(w->ram);
	memset(w->ram, 0, RAM_BYTES);
	for (u64 pa = DATA_PA; pa < RAM_BYTES; pa += PAGE)
		memcpy(mem_at(w, pa), &pa, sizeof(pa));
	w->mem = ui_mem_create();
	ok = w->mem && !ui_mem_add_ram(w->mem, 0, RAM_BYTES, w->ram, true);
	w->iommu = ok ? ui_iommu_create(driver ? driver : ui_driver_find("generic"), w->mem) : NULL;
	w->port = w->iommu ? ui_dma_open(ui_iommu_tr(w->iommu), 0x10, world_resolve, &w->bypass) : NULL;
	ok = w->port && !ui_tr_tag_alloc(ui_iommu_tr(w->iommu), &w->bypass.tag) && !ui_virtio_iommu_create(cfg, w->port, &w->vi);
	if (ok) {
		w->v = ui_virtio_iommu_device(w->vi);
		ui_virtio_set_env(w->v, &env);
		ui_iommu_set_fault_sink(w->iommu, ui_virtio_iommu_fault, w->vi);
	}
	for (u32 i = 0; i < N_ENDPOINTS && ok; i++) {
		dev.rid = 0x100 + i;
		w->eps[i].dev = ui_device_create(w->iommu, &dev);
		w->eps[i].dma = w->eps[i].dev ? ui_device_port_open(w->eps[i].dev) : NULL;
		ok = w->eps[i].dma && !ui_virtio_iommu_add(w->vi, FIRST_ENDPOINT + i, w->eps[i].dev);
	}
	return ok;
}

/* Also what world_try_open() left. */
static inline void world_close(struct world *w)
{
	ui_virtio_iommu_destroy(w->vi);
	for (unsigned i = 0; i < N_ENDPOINTS; i++) {
		if (w->eps[i].dma)
			ui_dma_close(w->eps[i].dma);
		ui_device_destroy(w->eps[i].dev);
	}
	if (w->bypass.tag)
		ui_tr_tag_free(ui_iommu_tr(w->iommu), w->bypass.tag);
	if (w->port)
		ui_dma_close(w->port);
	ui_iommu_destroy(w->iommu);
	ui_mem_destroy(w->mem);
	free(w->ram);
}

/* A world with a driver that took all the standard's features, and bypass off. */
static inline void world_open(struct world *w)
{
	struct ui_virtio_iommu_cfg cfg;

	ui_virtio_iommu_cfg_init(&cfg);
	cfg.bypass = false;
	cfg.probe_bytes = 64;
	assert_true(world_try_open(w, &cfg, NULL));
	start_driver(w, cfg.features);
}

static inline int send_raw(struct world *w, const void *req, u32 n_req, u32 n_resp);

/* With other features offered and accepted. */
static inline void world_open_with(struct world *w, u64 offered, u64 accepted, bool bypass)
{
	struct ui_virtio_iommu_cfg cfg;

	ui_virtio_iommu_cfg_init(&cfg);
	cfg.features = offered;
	cfg.bypass = bypass;
	cfg.probe_bytes = 64;
	assert_true(world_try_open(w, &cfg, NULL));
	start_driver(w, accepted);
}

/* ---- Requests ---- */

/* One buffer of @n_req bytes to read and one of @n_resp to write. The answer is in resp; returns its status, NO_ANSWER, or -2: the
 * device did not give the request back. */
static inline int send_raw(struct world *w, const void *req, u32 n_req, u32 n_resp)
{
	u32 id;

	memcpy(mem_at(w, REQ_PA), req, n_req);
	memset(mem_at(w, RESP_PA), 0xee, sizeof(w->resp));
	put_desc(w, REQUESTS, 0, REQ_PA, n_req, D_NEXT, 1);
	put_desc(w, REQUESTS, 1, RESP_PA, n_resp, D_WRITE, 0);
	offer(w, REQUESTS, 0);
	kick(w, REQUESTS);
	memcpy(w->resp, mem_at(w, RESP_PA), sizeof(w->resp));
	if (!take_used(w, REQUESTS, &id, &w->used_bytes))
		return -2;
	assert_int_equal(id, 0);
	for (u32 i = w->used_bytes; i < sizeof(w->resp); i++)
		assert_int_equal(w->resp[i], 0xee); /* nothing is written behind what was used */
	if (w->used_bytes < 4)
		return w->used_bytes ? -3 : NO_ANSWER;
	return w->resp[w->used_bytes - 4];
}

static inline u32 fill_attach(u8 *req, u32 domain, u32 endpoint, u32 flags)
{
	memset(req, 0, 20);
	req[0] = T_ATTACH;
	memcpy(req + 4, &domain, 4);
	memcpy(req + 8, &endpoint, 4);
	memcpy(req + 12, &flags, 4);
	return 20;
}

static inline u32 fill_detach(u8 *req, u32 domain, u32 endpoint)
{
	u32 n = fill_attach(req, domain, endpoint, 0);

	req[0] = T_DETACH;
	return n;
}

static inline u32 fill_map(u8 *req, u32 domain, u64 start, u64 last, u64 phys, u32 flags)
{
	memset(req, 0, 36);
	req[0] = T_MAP;
	memcpy(req + 4, &domain, 4);
	memcpy(req + 8, &start, 8);
	memcpy(req + 16, &last, 8);
	memcpy(req + 24, &phys, 8);
	memcpy(req + 32, &flags, 4);
	return 36;
}

static inline u32 fill_unmap(u8 *req, u32 domain, u64 start, u64 last)
{
	memset(req, 0, 28);
	req[0] = T_UNMAP;
	memcpy(req + 4, &domain, 4);
	memcpy(req + 8, &start, 8);
	memcpy(req + 16, &last, 8);
	return 28;
}

static inline int attach_flags(struct world *w, u32 domain, u32 endpoint, u32 flags)
{
	u8 req[64];

	return send_raw(w, req, fill_attach(req, domain, endpoint, flags), 4);
}

static inline int attach(struct world *w, u32 domain, u32 endpoint)
{
	return attach_flags(w, domain, endpoint, 0);
}

static inline int detach(struct world *w, u32 domain, u32 endpoint)
{
	u8 req[64];

	return send_raw(w, req, fill_detach(req, domain, endpoint), 4);
}

static inline int map(struct world *w, u32 domain, u64 start, u64 last, u64 phys, u32 flags)
{
	u8 req[64];

	return send_raw(w, req, fill_map(req, domain, start, last, phys, flags), 4);
}

static inline int unmap(struct world *w, u32 domain, u64 start, u64 last)
{
	u8 req[64];

	return send_raw(w, req, fill_unmap(req, domain, start, last), 4);
}

static inline int probe(struct world *w, u32 endpoint, u32 n_resp)
{
	u8 req[72] = { T_PROBE };

	memcpy(req + 4, &endpoint, 4);
	return send_raw(w, req, sizeof(req), n_resp);
}

/* ---- DMA of endpoint @i (0 is number 8) ---- */

/* The address of the page that @iova leads to; 0: refused. */
static inline u64 seen(struct world *w, unsigned i, u64 iova)
{
	const struct ui_dma_addr at = { .iova = iova };
	u64 val = 0;

	return ui_dma_read(w->eps[i].dma, &at, &val, sizeof(val), NULL, NULL) == UI_DMA_OK ? val : 0;
}

static inline bool writes(struct world *w, unsigned i, u64 iova)
{
	const struct ui_dma_addr at = { .iova = iova + 8 };
	u64 val = 1;

	return ui_dma_write(w->eps[i].dma, &at, &val, sizeof(val), NULL, NULL) == UI_DMA_OK;
}

#endif
