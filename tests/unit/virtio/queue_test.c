/* SPDX-License-Identifier: MIT */
/* Split virtqueues (virtio 1.2, 2.7): what a device does with good chains, and with every kind of bad one. */
#include "common.h"

enum { NEEDS_RESET = UI_VIRTIO_STATUS_NEEDS_RESET };

static u8 req[64];

static bool is_broken(struct world *w)
{
	return ui_virtio_status(w->v) & NEEDS_RESET;
}

/* Gives descriptor 0 as a chain; the queue must break, untouched, and stay so. */
static void expect_broken(struct world *w)
{
	u32 id, len;

	offer(w, REQUESTS, 0);
	kick(w, REQUESTS);
	assert_true(is_broken(w));
	assert_int_equal(w->n_config_irqs, 1);
	assert_false(take_used(w, REQUESTS, &id, &len));
	/* Left alone, even by good requests. */
	assert_int_equal(attach(w, 1, 8), -2);
	/* A reset makes it good again. */
	start_driver(w, w->v->offered & 0x7f);
	assert_false(is_broken(w));
	assert_int_equal(attach(w, 1, 8), S_OK);
	world_close(w);
}

static void a_request_may_be_scattered(void **state)
{
	struct world w;
	u32 id, len, n;

	world_open(&w);
	/* One byte a descriptor, empty ones between, the answer in two pieces. */
	n = fill_attach(req, 7, 8, 0);
	memcpy(mem_at(&w, REQ_PA), req, n);
	put_desc(&w, REQUESTS, 3, REQ_PA, 1, D_NEXT, 5);
	put_desc(&w, REQUESTS, 5, REQ_PA + 1, 2, D_NEXT, 4);
	put_desc(&w, REQUESTS, 4, 0, 0, D_NEXT, 9);
	put_desc(&w, REQUESTS, 9, REQ_PA + 3, n - 3, D_NEXT, 2);
	put_desc(&w, REQUESTS, 2, RESP_PA, 1, D_NEXT | D_WRITE, 1);
	put_desc(&w, REQUESTS, 1, RESP_PA + 1, 3, D_WRITE, 0);
	memset(mem_at(&w, RESP_PA), 0xee, 8);
	offer(&w, REQUESTS, 3);
	kick(&w, REQUESTS);
	assert_true(take_used(&w, REQUESTS, &id, &len));
	assert_int_equal(id, 3);
	assert_int_equal(len, 4);
	assert_memory_equal(mem_at(&w, RESP_PA), "\0\0\0\0\xee", 5);
	world_close(&w);
}

static void indirect_tables_behind_direct_descriptors(void **state)
{
	const u64 table = 0x70000;
	struct world w;
	u32 id, len, n;

	world_open(&w);
	start_driver(&w, (w.v->offered & 0x7f) | UI_BIT(UI_VIRTIO_F_INDIRECT_DESC));
	n = fill_attach(req, 7, 8, 0);
	memcpy(mem_at(&w, REQ_PA), req, n);
	put_desc(&w, REQUESTS, 0, REQ_PA, 4, D_NEXT, 1);
	put_desc(&w, REQUESTS, 1, table, 48, D_INDIRECT, 0);
	put_desc_at(&w, table, 0, REQ_PA + 4, n - 4, D_NEXT, 2);
	put_desc_at(&w, table, 2, RESP_PA, 4, D_WRITE, 0);
	offer(&w, REQUESTS, 0);
	kick(&w, REQUESTS);
	assert_true(take_used(&w, REQUESTS, &id, &len));
	assert_int_equal(len, 4);
	world_close(&w);
}

static void a_loop_breaks_the_queue(void **state)
{
	struct world w;

	world_open(&w);
	put_desc(&w, REQUESTS, 0, REQ_PA, 0, D_NEXT, 1);
	put_desc(&w, REQUESTS, 1, REQ_PA, 0, D_NEXT, 0);
	expect_broken(&w);
}

static void a_chain_longer_than_the_queue_breaks_it(void **state)
{
	const u64 table = 0x70000;
	struct world w;

	world_open(&w);
	start_driver(&w, (w.v->offered & 0x7f) | UI_BIT(UI_VIRTIO_F_INDIRECT_DESC));
	for (u16 i = 0; i < QUEUE + 1; i++)
		put_desc_at(&w, table, i, REQ_PA, 1, i < QUEUE ? D_NEXT : 0, (u16)(i + 1));
	put_desc(&w, REQUESTS, 0, table, 16 * (QUEUE + 1), D_INDIRECT, 0);
	expect_broken(&w);
}

static void readable_behind_writable_breaks_the_queue(void **state)
{
	struct world w;

	world_open(&w);
	put_desc(&w, REQUESTS, 0, RESP_PA, 4, D_WRITE | D_NEXT, 1);
	put_desc(&w, REQUESTS, 1, REQ_PA, 20, 0, 0);
	expect_broken(&w);
}

static void next_out_of_range_breaks_the_queue(void **state)
{
	struct world w;

	world_open(&w);
	put_desc(&w, REQUESTS, 0, REQ_PA, 4, D_NEXT, QUEUE);
	put_desc(&w, REQUESTS, QUEUE, REQ_PA, 4, 0, 0);
	expect_broken(&w);
}

static void a_head_out_of_range_breaks_the_queue(void **state)
{
	struct world w;

	world_open(&w);
	put_desc(&w, REQUESTS, QUEUE, REQ_PA, 4, 0, 0);
	offer(&w, REQUESTS, QUEUE);
	kick(&w, REQUESTS);
	assert_true(is_broken(&w));
	world_close(&w);
}

static void an_index_too_far_ahead_breaks_the_queue(void **state)
{
	struct world w;

	world_open(&w);
	put_desc(&w, REQUESTS, 0, REQ_PA, 4, 0, 0);
	put16(&w, avail_pa(REQUESTS) + 2, QUEUE + 1);
	kick(&w, REQUESTS);
	assert_true(is_broken(&w));
	world_close(&w);
}

static void more_than_four_gigabytes_break_the_queue(void **state)
{
	struct world w;

	world_open(&w);
	put_desc(&w, REQUESTS, 0, REQ_PA, 0xffffffff, D_NEXT, 1);
	put_desc(&w, REQUESTS, 1, REQ_PA, 2, 0, 0);
	expect_broken(&w);
}

static void a_buffer_that_wraps_breaks_the_queue(void **state)
{
	struct world w;

	world_open(&w);
	put_desc(&w, REQUESTS, 0, ~(u64)0 - 1, 4, 0, 0);
	expect_broken(&w);
}

static void bad_indirect_tables_break_the_queue(void **state)
{
	const u64 table = 0x70000;
	/* Not a whole number of descriptors; none; with NEXT; wrapping; not in memory. */
	const struct {
		u64 addr;
		u32 len;
		u16 flags;
	} bad[] = {
		{ table, 24, D_INDIRECT }, { table, 0, D_INDIRECT }, { table, 16, D_INDIRECT | D_NEXT }, { ~(u64)0xf, 32, D_INDIRECT },
		{ RAM_BYTES, 16, D_INDIRECT },
	};

	for (size_t i = 0; i < ui_array_size(bad); i++) {
		struct world w;

		world_open(&w);
		start_driver(&w, (w.v->offered & 0x7f) | UI_BIT(UI_VIRTIO_F_INDIRECT_DESC));
		put_desc_at(&w, table, 0, REQ_PA, 20, 0, 0);
		put_desc(&w, REQUESTS, 0, bad[i].addr, bad[i].len, bad[i].flags, 1);
		put_desc(&w, REQUESTS, 1, RESP_PA, 4, D_WRITE, 0);
		expect_broken(&w);
	}
}

static void a_table_in_a_table_breaks_the_queue(void **state)
{
	const u64 table = 0x70000;
	struct world w;

	world_open(&w);
	start_driver(&w, (w.v->offered & 0x7f) | UI_BIT(UI_VIRTIO_F_INDIRECT_DESC));
	put_desc_at(&w, table, 0, table, 16, D_INDIRECT, 0);
	put_desc(&w, REQUESTS, 0, table, 16, D_INDIRECT, 0);
	expect_broken(&w);
}

static void an_indirect_table_that_was_not_negotiated_breaks_the_queue(void **state)
{
	const u64 table = 0x70000;
	struct world w;

	world_open(&w);
	put_desc_at(&w, table, 0, RESP_PA, 16, D_WRITE, 0);
	put_desc(&w, REQUESTS, 0, table, 16, D_INDIRECT, 0);
	expect_broken(&w);
}

static void rings_out_of_memory_break_the_queue(void **state)
{
	const struct ui_virtio_queue_setup good = { .size = QUEUE, .desc = desc_pa(0), .avail = avail_pa(0), .used = used_pa(0) };

	for (unsigned i = 0; i < 3; i++) {
		struct ui_virtio_queue_setup setup = good;
		struct world w;

		*(i == 0 ? &setup.desc : i == 1 ? &setup.avail : &setup.used) = RAM_BYTES;
		world_open(&w);
		ui_virtio_set_status(w.v, 0);
		ui_virtio_set_features(w.v, UI_BIT(UI_VIRTIO_F_VERSION_1));
		ui_virtio_set_status(w.v, 11);
		ui_virtio_queue_set(w.v, REQUESTS, &setup);
		ui_virtio_queue_enable(w.v, REQUESTS);
		ui_virtio_set_status(w.v, 15);
		w.rings[REQUESTS] = (struct ring){ .size = QUEUE };
		memset(mem_at(&w, RING_PA(0)), 0, 0x8000);
		assert_false(is_broken(&w));
		put_desc(&w, REQUESTS, 0, REQ_PA, 4, 0, 0);
		offer(&w, REQUESTS, 0);
		kick(&w, REQUESTS);
		assert_true(is_broken(&w));
		world_close(&w);
	}
}

static void a_setup_that_cannot_be_is_refused(void **state)
{
	const struct ui_virtio_queue_setup bad[] = {
		{ .size = 0, .desc = desc_pa(0), .avail = avail_pa(0), .used = used_pa(0) },
		{ .size = 12, .desc = desc_pa(0), .avail = avail_pa(0), .used = used_pa(0) },
		{ .size = 512, .desc = desc_pa(0), .avail = avail_pa(0), .used = used_pa(0) }, /* more than the device's 256 */
		{ .size = QUEUE, .desc = desc_pa(0) + 8, .avail = avail_pa(0), .used = used_pa(0) },
		{ .size = QUEUE, .desc = desc_pa(0), .avail = avail_pa(0) + 1, .used = used_pa(0) },
		{ .size = QUEUE, .desc = desc_pa(0), .avail = avail_pa(0), .used = used_pa(0) + 2 },
		{ .size = QUEUE, .desc = ~(u64)0xf, .avail = avail_pa(0), .used = used_pa(0) },
	};
	struct world w;

	world_open(&w);
	for (size_t i = 0; i < ui_array_size(bad); i++) {
		ui_virtio_set_status(w.v, 0);
		ui_virtio_set_features(w.v, UI_BIT(UI_VIRTIO_F_VERSION_1));
		ui_virtio_set_status(w.v, 11);
		ui_virtio_queue_set(w.v, REQUESTS, &bad[i]);
		ui_virtio_queue_enable(w.v, REQUESTS);
		assert_true(is_broken(&w));
	}
	/* Numbers of queues that are not there do nothing. */
	ui_virtio_set_status(w.v, 0);
	ui_virtio_queue_set(w.v, 1000, &bad[0]);
	ui_virtio_queue_enable(w.v, 1000);
	ui_virtio_notify(w.v, 1000);
	assert_int_equal(ui_virtio_queue_max(w.v, 1000), 0);
	assert_false(is_broken(&w));
	world_close(&w);
}

static void an_enabled_queue_does_not_change(void **state)
{
	const struct ui_virtio_queue_setup other = { .size = 8 };
	struct ui_virtio_queue_setup now;
	struct world w;
	bool enabled;

	world_open(&w);
	ui_virtio_queue_set(w.v, REQUESTS, &other);
	ui_virtio_queue_get(w.v, REQUESTS, &now, &enabled);
	assert_true(enabled);
	assert_int_equal(now.size, QUEUE);
	assert_int_equal(attach(&w, 1, 8), S_OK);
	world_close(&w);
}

static void indexes_wrap(void **state)
{
	struct world w;

	world_open(&w);
	assert_int_equal(attach(&w, 1, 8), S_OK);
	for (unsigned i = 0; i < 70000; i++)
		assert_int_equal(detach(&w, 2, 8), S_INVAL);
	assert_int_equal(w.rings[REQUESTS].next, (u16)70001);
	world_close(&w);
}

/* 2.7.7.1: the flag of the available ring. */
static void interrupts_are_suppressed_by_the_flag(void **state)
{
	struct world w;

	world_open(&w);
	attach(&w, 1, 8);
	assert_int_equal(w.n_irqs[REQUESTS], 1);
	put16(&w, avail_pa(REQUESTS), 1);
	attach(&w, 1, 9);
	assert_int_equal(w.n_irqs[REQUESTS], 1);
	put16(&w, avail_pa(REQUESTS), 0);
	attach(&w, 1, 10);
	assert_int_equal(w.n_irqs[REQUESTS], 2);
	world_close(&w);
}

/* 2.7.7.2, 2.7.10: with EVENT_IDX the driver names the index that interrupts, the device the one that notifies. */
static void event_indexes_go_both_ways(void **state)
{
	const u64 used_event = avail_pa(REQUESTS) + 4 + 2 * QUEUE, avail_event = used_pa(REQUESTS) + 4 + 8 * QUEUE;
	struct world w;

	world_open(&w);
	start_driver(&w, (w.v->offered & 0x7f) | UI_BIT(UI_VIRTIO_F_EVENT_IDX));
	put16(&w, avail_pa(REQUESTS), 1); /* the flag says nothing now */
	put16(&w, used_event, 2);
	attach(&w, 1, 8);
	attach(&w, 1, 9);
	assert_int_equal(w.n_irqs[REQUESTS], 0);
	attach(&w, 1, 10);
	assert_int_equal(w.n_irqs[REQUESTS], 1);
	assert_int_equal(get16(&w, avail_event), 3);
	attach(&w, 1, 10);
	assert_int_equal(w.n_irqs[REQUESTS], 1);
	assert_int_equal(get16(&w, avail_event), 4);
	world_close(&w);
}

/* A batch is one interrupt; more than a step's share takes several steps. */
static void a_batch_is_served_whole(void **state)
{
	struct world w;
	u32 id, len, n;

	world_open(&w);
	n = fill_detach(req, 1, 99);
	memcpy(mem_at(&w, REQ_PA), req, n);
	for (u16 i = 0; i < QUEUE / 2; i++) {
		put_desc(&w, REQUESTS, 2u * i, REQ_PA, n, D_NEXT, (u16)(2 * i + 1));
		put_desc(&w, REQUESTS, 2u * i + 1, RESP_PA + 4u * i, 4, D_WRITE, 0);
		offer(&w, REQUESTS, (u16)(2 * i));
	}
	kick(&w, REQUESTS);
	assert_int_equal(w.n_irqs[REQUESTS], 1);
	for (u32 i = 0; i < QUEUE / 2; i++) {
		assert_true(take_used(&w, REQUESTS, &id, &len));
		assert_int_equal(id, 2 * i);
		assert_int_equal(*(u8 *)mem_at(&w, RESP_PA + 4 * (u64)i), S_NOENT);
	}
	world_close(&w);
}

/* Without DRIVER_OK nothing is touched; what was made available before is served then. */
static void nothing_before_driver_ok(void **state)
{
	struct world w;
	u32 id, len, n;

	world_open(&w);
	ui_virtio_set_status(w.v, 0);
	ui_virtio_set_features(w.v, UI_BIT(UI_VIRTIO_F_VERSION_1));
	ui_virtio_set_status(w.v, 11);
	start_queue(&w, REQUESTS, QUEUE);
	n = fill_detach(req, 1, 99);
	memcpy(mem_at(&w, REQ_PA), req, n);
	put_desc(&w, REQUESTS, 0, REQ_PA, n, D_NEXT, 1);
	put_desc(&w, REQUESTS, 1, RESP_PA, 4, D_WRITE, 0);
	offer(&w, REQUESTS, 0);
	kick(&w, REQUESTS);
	assert_false(take_used(&w, REQUESTS, &id, &len));
	w.n_wakes = 0;
	ui_virtio_set_status(w.v, 15);
	assert_int_equal(w.n_wakes, 1);
	step_all(&w);
	assert_true(take_used(&w, REQUESTS, &id, &len));
	world_close(&w);
}

/* 3.1.1, 2.2: FEATURES_OK stays clear for what cannot be, and features are settled by it. */
static void features_are_negotiated(void **state)
{
	struct world w;

	world_open(&w);
	assert_int_equal(ui_virtio_offered(w.v), 0x77 | (u64)1 << 28 | (u64)1 << 29 | (u64)1 << 32);
	ui_virtio_set_status(w.v, 0);
	ui_virtio_set_features(w.v, 0x77); /* not VERSION_1 */
	ui_virtio_set_status(w.v, 11);
	assert_int_equal(ui_virtio_status(w.v), 3);
	ui_virtio_set_features(w.v, (u64)1 << 32 | 8); /* BYPASS is not offered */
	ui_virtio_set_status(w.v, 11);
	assert_int_equal(ui_virtio_status(w.v), 3);
	ui_virtio_set_status(w.v, 15);
	assert_int_equal(ui_virtio_status(w.v), 3); /* nor DRIVER_OK without it */
	ui_virtio_set_features(w.v, (u64)1 << 32 | 4);
	ui_virtio_set_status(w.v, 11);
	assert_int_equal(ui_virtio_status(w.v), 11);
	ui_virtio_set_features(w.v, 0);
	assert_int_equal(ui_virtio_features(w.v), (u64)1 << 32 | 4);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_may_be_scattered),
		cmocka_unit_test(indirect_tables_behind_direct_descriptors),
		cmocka_unit_test(a_loop_breaks_the_queue),
		cmocka_unit_test(a_chain_longer_than_the_queue_breaks_it),
		cmocka_unit_test(readable_behind_writable_breaks_the_queue),
		cmocka_unit_test(next_out_of_range_breaks_the_queue),
		cmocka_unit_test(a_head_out_of_range_breaks_the_queue),
		cmocka_unit_test(an_index_too_far_ahead_breaks_the_queue),
		cmocka_unit_test(more_than_four_gigabytes_break_the_queue),
		cmocka_unit_test(a_buffer_that_wraps_breaks_the_queue),
		cmocka_unit_test(bad_indirect_tables_break_the_queue),
		cmocka_unit_test(a_table_in_a_table_breaks_the_queue),
		cmocka_unit_test(an_indirect_table_that_was_not_negotiated_breaks_the_queue),
		cmocka_unit_test(rings_out_of_memory_break_the_queue),
		cmocka_unit_test(a_setup_that_cannot_be_is_refused),
		cmocka_unit_test(an_enabled_queue_does_not_change),
		cmocka_unit_test(indexes_wrap),
		cmocka_unit_test(interrupts_are_suppressed_by_the_flag),
		cmocka_unit_test(event_indexes_go_both_ways),
		cmocka_unit_test(a_batch_is_served_whole),
		cmocka_unit_test(nothing_before_driver_ok),
		cmocka_unit_test(features_are_negotiated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
