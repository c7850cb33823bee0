/* SPDX-License-Identifier: MIT */
/*
 * Changes while DMA goes on in other threads. Two kinds of test: a reader paused between translation and access, which says exactly
 * who must wait for it and who must not; and DMA at full speed against many changes, with canary pages for what must stay untouched.
 * Plain program: 0 passed, 1 failed. No test depends on time: a slow machine makes them longer, not wrong.
 */
#include "common.h"
#include "base/log.h"
#include "base/sys.h"

#include <pthread.h>
#include <stdatomic.h>

#define CHECK(cond)                                                                                                       \
	do {                                                                                                               \
		if (!(cond)) {                                                                                             \
			fprintf(stderr, "%s:%d: %s: failed: %s\n", __FILE__, __LINE__, __func__, #cond);                   \
			exit(1);                                                                                           \
		}                                                                                                          \
	} while (0)

#define AREA_BYTES (16 * PAGE)
#define IOVA 0x10000u

static struct world w;
static u8 area[3][AREA_BYTES] __attribute__((aligned(4096)));
static struct ui_domain *dom[3]; /* IOVA leads to area[i] */

static void set_up(void)
{
	CHECK(world_open(&w, NULL, 8));
	for (unsigned i = 0; i < 3; i++) {
		CHECK(!ui_domain_create_paging(w.dev, UI_DOMAIN_F_PASID | UI_DOMAIN_F_DIRTY, NULL, &dom[i]));
		CHECK(!ui_domain_map(dom[i], IOVA, pa_of(area[i]), AREA_BYTES, RW, 64));
	}
}

static void tear_down(void)
{
	ui_device_detach(w.dev, 0, false);
	ui_device_detach(w.dev, 1, true);
	for (unsigned i = 0; i < 3; i++)
		ui_domain_destroy(dom[i]);
	world_close(&w);
	CHECK(!ui_alloc_live());
}

/* ---- a paused reader ---- */

enum change { REPLACE, DETACH, UNMAP, GATE, DIRTY };

struct changer {
	enum change change;
	atomic_int began, ended; /* release stores here pair with the reader's acquire loads */
};

static int no_range(void *arg, u64 start, u64 last)
{
	return 0;
}

static void do_change(enum change change)
{
	switch (change) {
	case REPLACE:
		CHECK(!ui_device_attach(w.dev, 0, false, dom[1], true, NULL));
		break;
	case DETACH:
		CHECK(!ui_device_detach(w.dev, 0, false));
		break;
	case UNMAP:
		CHECK(ui_domain_unmap(dom[0], IOVA, IOVA + AREA_BYTES - 1, UI_PT_SPLIT) == AREA_BYTES);
		break;
	case GATE:
		CHECK(!ui_domain_gate_close(dom[0]));
		ui_domain_gate_open(dom[0]);
		break;
	case DIRTY:
		CHECK(!ui_domain_read_dirty(dom[0], 0, ~(u64)0, false, no_range, NULL));
		break;
	}
}

static void *changer_main(void *arg)
{
	struct changer *c = arg;

	atomic_store_explicit(&c->began, 1, memory_order_release);
	do_change(c->change);
	atomic_store_explicit(&c->ended, 1, memory_order_release);
	return NULL;
}

/* Design 7: what takes memory away returns only when nobody stands on it any more. */
static void a_change_waits_for_a_paused_reader(enum change change)
{
	struct changer c = { .change = change };
	struct ui_dma_addr where = at(IOVA);
	struct ui_mem_span span;
	pthread_t thread;

	set_up();
	CHECK(!ui_device_attach(w.dev, 0, false, dom[0], false, NULL));
	CHECK(ui_dma_begin(w.dma, &where, UI_PROT_WRITE, 8, &span, NULL) == UI_DMA_OK);
	CHECK(!pthread_create(&thread, NULL, changer_main, &c));
	while (!atomic_load_explicit(&c.began, memory_order_acquire))
		ui_sys_yield();
	for (unsigned i = 0; i < 300; i++) {
		ui_sys_sleep_ns(20000);
		CHECK(!atomic_load_explicit(&c.ended, memory_order_acquire));
	}
	CHECK(!ui_safe_fill(span.host, 0, 0, 8));
	CHECK(!atomic_load_explicit(&c.ended, memory_order_acquire));
	ui_dma_end(w.dma);
	pthread_join(thread, NULL);
	tear_down();
}

/* ... and changes elsewhere do not wait for it: this would hang. */
static void changes_of_others_do_not_wait(void)
{
	struct ui_device_cfg cfg = { .rid = 0x500, .pasid_bits = 8, .name = "other" };
	struct ui_dma_addr where = at(IOVA);
	struct ui_mem_span span;
	struct ui_device *other;

	set_up();
	other = ui_device_create(w.iommu, &cfg);
	CHECK(other);
	CHECK(!ui_device_attach(w.dev, 0, false, dom[0], false, NULL));
	CHECK(!ui_device_attach(w.dev, 1, true, dom[1], false, NULL));
	CHECK(!ui_device_attach(other, 0, false, dom[2], false, NULL));
	CHECK(ui_dma_begin(w.dma, &where, UI_PROT_WRITE, 8, &span, NULL) == UI_DMA_OK);
	CHECK(!ui_device_attach(w.dev, 1, true, dom[2], true, NULL));
	CHECK(!ui_device_attach(other, 0, false, dom[1], true, NULL));
	CHECK(ui_domain_unmap(dom[1], IOVA, IOVA + AREA_BYTES - 1, UI_PT_SPLIT) == AREA_BYTES);
	CHECK(!ui_device_detach(other, 0, false));
	ui_dma_end(w.dma);
	ui_device_destroy(other);
	tear_down();
}

/* ---- DMA at full speed ---- */

struct engine {
	u64 n_bytes;
	bool may_be_blocked;
	atomic_bool stop;   /* release store pairs with the engine's acquire load */
	atomic_ulong n_ops; /* release pairs with wait_ops(): what an operation wrote is seen */
	pthread_t thread;
};

static void *engine_main(void *arg)
{
	struct ui_dma_addr where = at(IOVA);
	struct engine *e = arg;

	for (u64 i = 0; !atomic_load_explicit(&e->stop, memory_order_acquire); i++) {
		enum ui_dma_status status = ui_dma_fill(w.dma, &where, 0x4444444444444444, e->n_bytes, NULL, NULL);

		CHECK(status == UI_DMA_OK || (e->may_be_blocked && (status == UI_DMA_BLOCKED || status == UI_DMA_TRANSLATION)));
		atomic_fetch_add_explicit(&e->n_ops, 1, memory_order_release);
	}
	return NULL;
}

static void engine_start(struct engine *e)
{
	CHECK(!pthread_create(&e->thread, NULL, engine_main, e));
}

static void wait_ops(struct engine *e, unsigned long n)
{
	unsigned long until = atomic_load_explicit(&e->n_ops, memory_order_acquire) + n;

	while (atomic_load_explicit(&e->n_ops, memory_order_acquire) < until)
		ui_sys_yield();
}

static void engine_stop(struct engine *e)
{
	atomic_store_explicit(&e->stop, true, memory_order_release);
	pthread_join(e->thread, NULL);
}

static void canary_set(unsigned i)
{
	for (size_t n = 0; n < AREA_BYTES; n += 8)
		CHECK(!ui_safe_store64(area[i] + n, 0xcacacacacacacaca));
}

static void canary_check(unsigned i)
{
	for (size_t n = 0; n < AREA_BYTES; n += 8) {
		u64 val = 0;

		CHECK(!ui_safe_load64(area[i] + n, &val) && val == 0xcacacacacacacaca);
	}
}

static void after_replace_no_byte_moves_by_the_old_answer(void)
{
	struct engine e = { .n_bytes = AREA_BYTES };

	set_up();
	CHECK(!ui_device_attach(w.dev, 0, false, dom[0], false, NULL));
	engine_start(&e);
	for (unsigned round = 0; round < 200; round++) {
		wait_ops(&e, 1);
		CHECK(!ui_device_attach(w.dev, 0, false, dom[~round & 1], true, NULL));
		canary_set(round & 1);
		wait_ops(&e, 2);
		canary_check(round & 1);
	}
	engine_stop(&e);
	tear_down();
}

static void after_detach_and_unmap_no_byte_moves(void)
{
	struct engine e = { .n_bytes = AREA_BYTES, .may_be_blocked = true };

	set_up();
	CHECK(!ui_device_attach(w.dev, 0, false, dom[0], false, NULL));
	engine_start(&e);
	for (unsigned round = 0; round < 200; round++) {
		wait_ops(&e, 1);
		if (round & 1)
			CHECK(!ui_device_detach(w.dev, 0, false));
		else
			CHECK(ui_domain_unmap(dom[0], IOVA, IOVA + AREA_BYTES - 1, UI_PT_SPLIT) == AREA_BYTES);
		canary_set(0);
		wait_ops(&e, 2);
		canary_check(0);
		if (round & 1)
			CHECK(!ui_device_attach(w.dev, 0, false, dom[0], false, NULL));
		else
			CHECK(!ui_domain_map(dom[0], IOVA, pa_of(area[0]), AREA_BYTES, RW, 64));
	}
	engine_stop(&e);
	tear_down();
}

/* Design 8, hitless: short accesses, so that many begin while a replace is under way; each must find one or the other. */
static void a_replace_never_faults(void)
{
	struct engine e = { .n_bytes = 8 };

	set_up();
	CHECK(!ui_device_attach(w.dev, 0, false, dom[0], false, NULL));
	engine_start(&e);
	wait_ops(&e, 1);
	for (unsigned round = 0; round < 5000; round++) {
		CHECK(!ui_device_attach(w.dev, 0, false, dom[~round & 1], true, NULL));
		/* On a busy machine the engine may not run for long: what it did not meet, it cannot notice. */
		if (round % 32 == 0)
			wait_ops(&e, 1);
	}
	wait_ops(&e, 1);
	engine_stop(&e);
	tear_down();
}

/* A gate that is shut while the attachment is replaced: who waited outside goes by the new answer. */
static void who_waits_at_a_gate_resolves_again(void)
{
	struct engine e = { .n_bytes = AREA_BYTES };

	set_up();
	CHECK(!ui_device_attach(w.dev, 0, false, dom[0], false, NULL));
	engine_start(&e);
	for (unsigned round = 0; round < 50; round++) {
		unsigned old = round & 1;

		wait_ops(&e, 1);
		CHECK(!ui_domain_gate_close(dom[old]));
		canary_set(old);
		ui_sys_yield();
		CHECK(!ui_device_attach(w.dev, 0, false, dom[!old], true, NULL));
		ui_domain_gate_open(dom[old]);
		wait_ops(&e, 2);
		canary_check(old);
	}
	engine_stop(&e);
	tear_down();
}

/* ---- pages that move ---- */

/* Counts up every word of the area by DMA: a write that went to the page's old place after its bytes were carried over is missing. */
static void *counter_main(void *arg)
{
	struct engine *e = arg;

	for (u64 i = 1; !atomic_load_explicit(&e->stop, memory_order_acquire); i++) {
		for (u64 off = 0; off < 4 * PAGE; off += 512) {
			struct ui_dma_addr where = at(IOVA + off);
			u64 val = 0;

			CHECK(ui_dma_read(w.dma, &where, &val, 8, NULL, NULL) == UI_DMA_OK);
			CHECK(val == i - 1);
			CHECK(ui_dma_write(w.dma, &where, &i, 8, NULL, NULL) == UI_DMA_OK);
		}
		atomic_fetch_add_explicit(&e->n_ops, 1, memory_order_release);
	}
	return NULL;
}

static void gate_and_repoint_lose_no_byte(void)
{
	struct engine e = { .n_bytes = 8 };
	unsigned now = 0;

	memset(area, 0, sizeof(area));
	set_up();
	CHECK(!ui_device_attach(w.dev, 0, false, dom[0], false, NULL));
	CHECK(!pthread_create(&e.thread, NULL, counter_main, &e));
	for (unsigned round = 0; round < 300; round++) {
		unsigned next = (now + 1) % 3;

		CHECK(!ui_domain_gate_close(dom[0]));
		memcpy(area[next], area[now], AREA_BYTES);
		CHECK(!ui_domain_repoint(dom[0], IOVA, IOVA + AREA_BYTES - 1, pa_of(area[next])));
		memset(area[now], 0xee, AREA_BYTES);
		ui_domain_gate_open(dom[0]);
		now = next;
		if (round % 8 == 0)
			wait_ops(&e, 1);
	}
	wait_ops(&e, 1);
	engine_stop(&e);
	for (u64 off = 0; off < 4 * PAGE; off += 512)
		CHECK(*(u64 *)(void *)(area[now] + off) == atomic_load(&e.n_ops));
	tear_down();
}

/* PASID spaces change under traffic of another PASID, which neither faults nor sees a foreign byte. */
static void pasids_come_and_go_beside_traffic(void)
{
	struct engine e = { .n_bytes = 64 };

	set_up();
	CHECK(!ui_device_attach(w.dev, 0, false, dom[0], false, NULL));
	canary_set(1);
	canary_set(2);
	engine_start(&e);
	for (u32 pasid = 0; pasid < 256; pasid++) {
		wait_ops(&e, 1);
		CHECK(!ui_device_attach(w.dev, pasid, true, dom[1 + (pasid & 1)], false, NULL));
		if (pasid >= 8)
			CHECK(!ui_device_detach(w.dev, pasid - 8, true));
	}
	for (u32 pasid = 248; pasid < 256; pasid++)
		CHECK(!ui_device_detach(w.dev, pasid, true));
	engine_stop(&e);
	canary_check(1);
	canary_check(2);
	CHECK(!ui_device_n_pasids(w.dev));
	tear_down();
}

int main(void)
{
	ui_log_set(UI_LOG_ERROR, NULL, NULL); /* blocked DMA is what some of these wait for */
	a_change_waits_for_a_paused_reader(REPLACE);
	a_change_waits_for_a_paused_reader(DETACH);
	a_change_waits_for_a_paused_reader(UNMAP);
	a_change_waits_for_a_paused_reader(GATE);
	a_change_waits_for_a_paused_reader(DIRTY);
	changes_of_others_do_not_wait();
	after_replace_no_byte_moves_by_the_old_answer();
	after_detach_and_unmap_no_byte_moves();
	a_replace_never_faults();
	who_waits_at_a_gate_resolves_again();
	gate_and_repoint_lose_no_byte();
	pasids_come_and_go_beside_traffic();
	return 0;
}
