/* SPDX-License-Identifier: MIT */
/*
 * Nested DMA while other threads change and invalidate: a reader paused inside an access (promise 7), marks that must not undo
 * what the table's owner writes meanwhile, and a device at full speed against remapping. Plain program: 0 passed, 1
 * failed. No test depends on time: a slow machine makes them longer, not wrong.
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

#define IOVA 0x40000000u

static struct guest g;
static struct ui_domain *nested, *bystander;
static u64 top, data, entry;

static void set_up(void)
{
	CHECK(guest_open(&g, UI_DOMAIN_F_PASID));
	top = guest_page(&g);
	data = guest_page(&g);
	entry = guest_map(&g, top, 4, IOVA, data, FREE);
	nested = nested_new(&g, top, 4, 0);
	bystander = nested_new(&g, top, 4, 0);
	CHECK(!ui_device_attach(g.w.dev, 0, false, nested, false, NULL));
}

static void tear_down(void)
{
	CHECK(!ui_device_detach(g.w.dev, 0, false));
	ui_domain_destroy(nested);
	ui_domain_destroy(bystander);
	guest_close(&g);
	CHECK(!ui_alloc_live());
}

/* ---- a paused reader ---- */

enum change { INVALIDATE_PAGE, INVALIDATE_ALL, REPLACE, UNMAP_DATA, UNMAP_TABLE };

struct changer {
	enum change change;
	atomic_int began, ended; /* release stores here pair with the reader's acquire loads */
};

static void do_change(enum change change)
{
	const u64 table = entry & ~(u64)(PAGE - 1);

	switch (change) {
	case INVALIDATE_PAGE:
		CHECK(!invalidate(nested, IOVA, 1, LEAF));
		break;
	case INVALIDATE_ALL:
		CHECK(!invalidate(nested, 0, ALL_PAGES, 0));
		break;
	case REPLACE:
		CHECK(!ui_device_attach(g.w.dev, 0, false, g.parent, true, NULL));
		break;
	case UNMAP_DATA:
		CHECK(ui_domain_unmap(g.parent, data, data + PAGE - 1, UI_PT_SPLIT) == PAGE);
		break;
	case UNMAP_TABLE:
		CHECK(ui_domain_unmap(g.parent, table, table + PAGE - 1, UI_PT_SPLIT) == PAGE);
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

static void a_change_waits_for_a_paused_reader(enum change change)
{
	struct changer c = { .change = change };
	struct ui_dma_addr where = at(IOVA);
	struct ui_mem_span span;
	pthread_t thread;

	set_up();
	CHECK(ui_dma_begin(g.w.dma, &where, UI_PROT_READ, 8, &span, NULL) == UI_DMA_OK);
	CHECK(!pthread_create(&thread, NULL, changer_main, &c));
	while (!atomic_load_explicit(&c.began, memory_order_acquire))
		ui_sys_yield();
	for (unsigned i = 0; i < 300; i++) {
		ui_sys_sleep_ns(20000);
		CHECK(!atomic_load_explicit(&c.ended, memory_order_acquire));
	}
	/* Others are not held up: hangs, and so fails by its time limit, if they were. */
	CHECK(!invalidate(bystander, 0, ALL_PAGES, 0));
	ui_dma_end(g.w.dma);
	CHECK(!pthread_join(thread, NULL));
	CHECK(atomic_load_explicit(&c.ended, memory_order_acquire));
	tear_down();
}

/* ---- marks ---- */

enum { COUNTER_LG2 = 52, N_COUNTS = 300 }; /* ignored bits of an entry: the owner counts there */

static void *count_main(void *arg)
{
	for (unsigned i = 0; i < N_COUNTS; i++) {
		for (unsigned page = 0; page < 3; page++)
			__atomic_fetch_add(entry_of(&g, entry + page * 8), UI_BIT(COUNTER_LG2), __ATOMIC_SEQ_CST);
		ui_sys_yield();
	}
	return NULL;
}

/*
 * Specification 3.6.2: accessed and dirty are set by atomic updates, so nothing that the owner writes is undone. Three pages under one
 * table: the walker gets to the second and third by what it remembers of the first and second.
 */
static void marks_undo_nothing(void)
{
	pthread_t thread;
	u64 n;

	set_up();
	guest_map(&g, top, 4, IOVA + PAGE, data, FREE);
	guest_map(&g, top, 4, IOVA + 2 * PAGE, data, FREE);
	CHECK(!pthread_create(&thread, NULL, count_main, NULL));
	do {
		for (unsigned page = 0; page < 3; page++)
			__atomic_fetch_and(entry_of(&g, entry + page * 8), ~(u64)(A_BIT | D_BIT), __ATOMIC_SEQ_CST);
		CHECK(!invalidate(nested, IOVA, 3, LEAF));
		for (unsigned page = 0; page < 3; page++) {
			CHECK(write_at(&g, at(IOVA + page * PAGE), 1, NULL) == UI_DMA_OK);
			n = load_entry(&g, entry + page * 8);
			CHECK((n & (A_BIT | D_BIT)) == (A_BIT | D_BIT));
		}
	} while (n >> COUNTER_LG2 < N_COUNTS);
	CHECK(!pthread_join(thread, NULL));
	for (unsigned page = 0; page < 3; page++)
		CHECK(load_entry(&g, entry + page * 8) >> COUNTER_LG2 == N_COUNTS);
	tear_down();
}

/* ---- remapping at full speed ---- */

static atomic_bool stop;

static void *device_main(void *arg)
{
	struct ui_dma *port = arg;
	struct ui_dma_addr where = at(IOVA);
	u64 val = 1;

	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		enum ui_dma_status status = ui_dma_write(port, &where, &val, sizeof(val), NULL, NULL);

		CHECK(status == UI_DMA_OK || status == UI_DMA_TRANSLATION);
	}
	return NULL;
}

/* The owner takes the page out at one level or another, says so, and from then on nobody writes to it. */
static void after_an_invalidation_nobody_writes_there(void)
{
	struct ui_dma *port;
	pthread_t thread;

	set_up();
	port = ui_device_port_open(g.w.dev);
	CHECK(port);
	atomic_store_explicit(&stop, false, memory_order_relaxed);
	CHECK(!pthread_create(&thread, NULL, device_main, port));
	for (unsigned i = 0; i < 400; i++) {
		u64 at_entry = guest_entry(&g, top, 4, IOVA, 1 + i % 4), was = load_entry(&g, at_entry), *word = entry_of(&g, data);

		store_entry(&g, at_entry, 0);
		if (i % 3)
			CHECK(!invalidate(nested, IOVA, 1, i % 4 ? 0 : LEAF));
		else
			CHECK(!invalidate(nested, 0, ALL_PAGES, 0));
		__atomic_store_n(word, 0, __ATOMIC_SEQ_CST);
		for (unsigned j = 0; j < 3; j++) {
			ui_sys_yield();
			CHECK(!__atomic_load_n(word, __ATOMIC_SEQ_CST));
		}
		store_entry(&g, at_entry, was);
		if (i % 16 == 0)
			while (!__atomic_load_n(word, __ATOMIC_SEQ_CST))
				ui_sys_yield();
	}
	atomic_store_explicit(&stop, true, memory_order_relaxed);
	CHECK(!pthread_join(thread, NULL));
	ui_dma_close(port);
	tear_down();
}

/* Its parent takes the table itself away: nobody marks entries there any more, though the walker knew the table by heart. */
static void after_an_unmap_nobody_marks_the_table(void)
{
	const u64 table = entry & ~(u64)(PAGE - 1);
	struct ui_dma *port;
	pthread_t thread;

	set_up();
	port = ui_device_port_open(g.w.dev);
	CHECK(port);
	atomic_store_explicit(&stop, false, memory_order_relaxed);
	CHECK(!pthread_create(&thread, NULL, device_main, port));
	for (unsigned i = 0; i < 300; i++) {
		CHECK(ui_domain_unmap(g.parent, table, table + PAGE - 1, UI_PT_SPLIT) == PAGE);
		store_entry(&g, entry, data | FREE);
		for (unsigned j = 0; j < 3; j++) {
			ui_sys_yield();
			CHECK(load_entry(&g, entry) == (data | FREE));
		}
		CHECK(!ui_domain_map(g.parent, table, pa_of(entry_of(&g, table)), PAGE, RW, 64));
		if (i % 16 == 0)
			while (load_entry(&g, entry) == (data | FREE))
				ui_sys_yield();
	}
	atomic_store_explicit(&stop, true, memory_order_relaxed);
	CHECK(!pthread_join(thread, NULL));
	ui_dma_close(port);
	tear_down();
}

int main(void)
{
	ui_log_set(UI_LOG_ERROR, NULL, NULL);
	a_change_waits_for_a_paused_reader(INVALIDATE_PAGE);
	a_change_waits_for_a_paused_reader(INVALIDATE_ALL);
	a_change_waits_for_a_paused_reader(REPLACE);
	a_change_waits_for_a_paused_reader(UNMAP_DATA);
	a_change_waits_for_a_paused_reader(UNMAP_TABLE);
	marks_undo_nothing();
	after_an_invalidation_nobody_writes_there();
	after_an_unmap_nobody_marks_the_table();
	return 0;
}
