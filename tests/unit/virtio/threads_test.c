/* SPDX-License-Identifier: MIT */
/*
 * Two endpoints that never stop while their driver maps, unmaps, attaches and resets: what UNMAP, DETACH and a reset took away nobody
 * writes any more once they answered, and each report is whole. A plain program: its subject is threads.
 */
#include "common.h"

#include <pthread.h>
#include <sched.h>

enum { ROUNDS = 30, ALL = 0x77, N_THREADS = 2 };

#define CHECK(cond) ((cond) ? (void)0 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond), exit(1)))
#define IOVA ((u64)0x40000000)

static struct world w;
static atomic_bool stop;
static atomic_uint n_done[N_THREADS];

static void *busy(void *arg)
{
	unsigned i = (unsigned)(uintptr_t)arg;
	u64 val = 0x55;

	for (u64 n = 0; !atomic_load_explicit(&stop, memory_order_relaxed); n++) {
		const struct ui_dma_addr at = { .iova = IOVA + n % 4 * PAGE + 8 };

		ui_dma_write(w.eps[i].dma, &at, &val, sizeof(val), NULL, NULL);
		atomic_fetch_add_explicit(&n_done[i], 1, memory_order_relaxed);
	}
	return NULL;
}

/* Until both have come round a few times. */
static void let_them_work(void)
{
	for (unsigned i = 0; i < N_THREADS; i++) {
		unsigned from = atomic_load_explicit(&n_done[i], memory_order_relaxed);

		while (atomic_load_explicit(&n_done[i], memory_order_relaxed) - from < 4)
			sched_yield();
	}
}

static u64 load(u64 pa)
{
	return __atomic_load_n((u64 *)mem_at(&w, pa), __ATOMIC_RELAXED);
}

static void give_event_buffer(void)
{
	u32 id, len;

	while (take_used(&w, EVENTS, &id, &len)) {
		const u8 *report = mem_at(&w, EVENT_PA);
		u32 endpoint;
		u64 address;

		memcpy(&endpoint, report + 8, 4);
		memcpy(&address, report + 16, 8);
		CHECK(len == 24 && (report[0] == 1 || report[0] == 2) && report[5] == 1 && report[4] == 2);
		CHECK((endpoint == 8 || endpoint == 9) && address >= IOVA && address < IOVA + 4 * PAGE);
	}
	put_desc(&w, EVENTS, 0, EVENT_PA, 24, D_WRITE, 0);
	offer(&w, EVENTS, 0);
	kick(&w, EVENTS);
}

/* The pages are out of the endpoints' reach. */
static void expect_silence(void)
{
	for (u64 pa = DATA_PA; pa < DATA_PA + 4 * PAGE; pa += PAGE)
		__atomic_store_n((u64 *)mem_at(&w, pa + 8), 1, __ATOMIC_RELAXED);
	let_them_work();
	for (u64 pa = DATA_PA; pa < DATA_PA + 4 * PAGE; pa += PAGE)
		CHECK(load(pa + 8) == 1);
}

int main(void)
{
	struct ui_virtio_iommu_cfg cfg;
	pthread_t threads[N_THREADS];

	ui_virtio_iommu_cfg_init(&cfg);
	cfg.bypass = false;
	CHECK(world_try_open(&w, &cfg, NULL));
	start_driver(&w, ALL);
	for (unsigned i = 0; i < N_THREADS; i++)
		CHECK(!pthread_create(&threads[i], NULL, busy, (void *)(uintptr_t)i));
	for (unsigned n = 0; n < ROUNDS; n++) {
		CHECK(attach(&w, n, 8) == S_OK && attach(&w, n, 9) == S_OK);
		CHECK(map(&w, n, IOVA, IOVA + 4 * PAGE - 1, DATA_PA, MAP_R | MAP_W) == S_OK);
		let_them_work();
		switch (n % 3) {
		case 0:
			CHECK(unmap(&w, n, IOVA, IOVA + 4 * PAGE - 1) == S_OK);
			break;
		case 1:
			CHECK(detach(&w, n, 8) == S_OK && detach(&w, n, 9) == S_OK);
			break;
		default:
			start_driver(&w, ALL);
			break;
		}
		expect_silence();
		give_event_buffer();
	}
	atomic_store_explicit(&stop, true, memory_order_relaxed);
	for (unsigned i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
	world_close(&w);
	return 0;
}
