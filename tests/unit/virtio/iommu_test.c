/* SPDX-License-Identifier: MIT */
/* The virtio-iommu's requests rule by rule: n1 to n12 of requirements A.1 and the status codes; n13 and n14 are in state_test.c. */
#include "common.h"

enum { ALL = 0x77, BYPASS_FLAG = 1 };

#define D(n) (DATA_PA + (u64)(n) * PAGE)

static u8 req[128];

static int map_page(struct world *w, u32 domain, u64 iova, u64 phys)
{
	return map(w, domain, iova, iova + PAGE - 1, phys, MAP_R | MAP_W);
}

/* ---- n1 ---- */

static void n1_what_cannot_be_answered_is_not_written(void **state)
{
	u8 unknown[] = { 0, 6, 9, 0x7f, 0xff };
	struct world w;

	world_open(&w);
	memset(req, 0, sizeof(req));
	for (size_t i = 0; i < sizeof(unknown); i++) {
		req[0] = unknown[i];
		assert_int_equal(send_raw(&w, req, 72, 80), NO_ANSWER);
	}
	/* No head, no tail. */
	fill_attach(req, 1, 8, 0);
	assert_int_equal(send_raw(&w, req, 3, 4), NO_ANSWER);
	assert_int_equal(send_raw(&w, req, 0, 4), NO_ANSWER);
	for (u32 n = 0; n < 4; n++)
		assert_int_equal(send_raw(&w, req, 20, n), NO_ANSWER);
	/* The device goes on, and nothing had an effect. */
	assert_int_equal(detach(&w, 1, 8), S_INVAL);
	world_close(&w);
	/* PROBE where it is not offered. */
	world_open_with(&w, ALL & ~BIT_OF(PROBE), ALL & ~BIT_OF(PROBE), false);
	assert_int_equal(probe(&w, 8, 68), NO_ANSWER);
	world_close(&w);
}

static void requests_too_short_or_too_long(void **state)
{
	struct world w;

	world_open(&w);
	for (u32 n = 4; n < 20; n++) {
		fill_attach(req, 1, 8, 0);
		assert_int_equal(send_raw(&w, req, n, 4), S_INVAL);
	}
	assert_int_equal(attach(&w, 1, 8), S_OK);
	for (u32 n = 4; n < 36; n++) {
		fill_map(req, 1, 0x1000, 0x1fff, D(0), MAP_R);
		assert_int_equal(send_raw(&w, req, n, 4), S_INVAL);
	}
	assert_int_equal(seen(&w, 0, 0x1000), 0);
	for (u32 n = 4; n < 28; n++) {
		fill_unmap(req, 1, 0, ~(u64)0);
		assert_int_equal(send_raw(&w, req, n, 4), S_INVAL);
	}
	for (u32 n = 4; n < 72; n++) {
		memset(req, 0, sizeof(req));
		req[0] = T_PROBE;
		req[4] = 8;
		assert_int_equal(send_raw(&w, req, n, 68), S_INVAL);
	}
	/* What comes behind is not looked at; the tail is where the request's structure has it. */
	fill_map(req, 1, 0x1000, 0x1fff, D(0), MAP_R);
	assert_int_equal(send_raw(&w, req, 128, 900), S_OK);
	assert_int_equal(w.used_bytes, 4);
	assert_int_equal(seen(&w, 0, 0x1000), D(0));
	world_close(&w);
}

/* IOERR: the request itself cannot be read. An answer that cannot be written is none. */
static void buffers_out_of_memory(void **state)
{
	struct world w;
	u32 id, len;

	world_open(&w);
	put_desc(&w, REQUESTS, 0, RAM_BYTES, 20, D_NEXT, 1);
	put_desc(&w, REQUESTS, 1, RESP_PA, 4, D_WRITE, 0);
	offer(&w, REQUESTS, 0);
	kick(&w, REQUESTS);
	assert_true(take_used(&w, REQUESTS, &id, &len));
	assert_int_equal(len, 4);
	assert_int_equal(*(u8 *)mem_at(&w, RESP_PA), S_IOERR);
	memcpy(mem_at(&w, REQ_PA), req, fill_attach(req, 1, 8, 0));
	put_desc(&w, REQUESTS, 0, REQ_PA, 20, D_NEXT, 1);
	put_desc(&w, REQUESTS, 1, RAM_BYTES, 4, D_WRITE, 0);
	offer(&w, REQUESTS, 0);
	kick(&w, REQUESTS);
	assert_true(take_used(&w, REQUESTS, &id, &len));
	assert_int_equal(len, 0);
	assert_int_equal(ui_virtio_status(w.v) & UI_VIRTIO_STATUS_NEEDS_RESET, 0);
	world_close(&w);
}

/* The reserved bytes of a head mean nothing; those of a tail are zero. */
static void reserved_bytes_of_head_and_tail(void **state)
{
	struct world w;

	world_open(&w);
	fill_attach(req, 1, 8, 0);
	req[1] = req[2] = req[3] = 0xff;
	assert_int_equal(send_raw(&w, req, 20, 4), S_OK);
	assert_memory_equal(w.resp, "\0\0\0\0", 4);
	world_close(&w);
}

/* ---- n2 to n6: ATTACH ---- */

static void n2_attach_with_reserved_bits(void **state)
{
	struct world w;

	world_open(&w);
	for (unsigned i = 16; i < 20; i++) {
		fill_attach(req, 1, 8, 0);
		req[i] = 1;
		assert_int_equal(send_raw(&w, req, 20, 4), S_INVAL);
	}
	for (unsigned bit = 1; bit < 32; bit++)
		assert_int_equal(attach_flags(&w, 1, 8, 1u << bit), S_INVAL);
	/* The flags come before the endpoint. */
	assert_int_equal(attach_flags(&w, 1, 99, 2), S_INVAL);
	assert_int_equal(detach(&w, 1, 8), S_INVAL);
	world_close(&w);
	/* BYPASS is such a bit where the driver did not accept the feature. */
	world_open_with(&w, ALL, ALL & ~BIT_OF(BYPASS_CONFIG), false);
	assert_int_equal(attach_flags(&w, 1, 8, BYPASS_FLAG), S_INVAL);
	world_close(&w);
}

static void n3_unknown_endpoints(void **state)
{
	const u32 unknown[] = { 0, 7, 11, 0x80000008, 0xffffffff };
	struct world w;

	world_open(&w);
	for (size_t i = 0; i < ui_array_size(unknown); i++) {
		assert_int_equal(attach(&w, 1, unknown[i]), S_NOENT);
		assert_int_equal(detach(&w, 1, unknown[i]), S_NOENT);
		assert_int_equal(probe(&w, unknown[i], 68), S_NOENT);
	}
	/* No domain came of it. */
	assert_int_equal(map_page(&w, 1, 0x1000, D(0)), S_NOENT);
	world_close(&w);
}

static void n4_attach_elsewhere_detaches(void **state)
{
	struct world w;

	world_open(&w);
	assert_int_equal(attach(&w, 1, 8), S_OK);
	assert_int_equal(attach(&w, 1, 9), S_OK);
	assert_int_equal(map_page(&w, 1, 0x1000, D(1)), S_OK);
	assert_int_equal(attach(&w, 2, 8), S_OK);
	assert_int_equal(seen(&w, 0, 0x1000), 0);
	assert_int_equal(seen(&w, 1, 0x1000), D(1));
	assert_int_equal(map_page(&w, 2, 0x1000, D(2)), S_OK);
	assert_int_equal(seen(&w, 0, 0x1000), D(2));
	assert_int_equal(detach(&w, 1, 8), S_INVAL);
	/* The domain that lost its last endpoint so is gone. */
	assert_int_equal(attach(&w, 2, 9), S_OK);
	assert_int_equal(map_page(&w, 1, 0x3000, D(3)), S_NOENT);
	/* To the domain it is in already: nothing happens, though it is alone there. */
	assert_int_equal(detach(&w, 2, 9), S_OK);
	assert_int_equal(attach(&w, 2, 8), S_OK);
	assert_int_equal(seen(&w, 0, 0x1000), D(2));
	world_close(&w);
}

static void n4_a_failed_attach_changes_nothing(void **state)
{
	struct world w;

	world_open(&w);
	assert_int_equal(attach_flags(&w, 1, 9, BYPASS_FLAG), S_OK);
	assert_int_equal(attach(&w, 2, 8), S_OK);
	assert_int_equal(map_page(&w, 2, 0x1000, D(2)), S_OK);
	assert_int_equal(attach(&w, 1, 8), S_INVAL);
	assert_int_equal(seen(&w, 0, 0x1000), D(2));
	assert_int_equal(detach(&w, 2, 8), S_OK);
	world_close(&w);
}

static void n5_the_bypass_flag_must_fit_the_domain(void **state)
{
	struct world w;

	world_open(&w);
	assert_int_equal(attach_flags(&w, 1, 8, BYPASS_FLAG), S_OK);
	assert_int_equal(attach(&w, 1, 9), S_INVAL);
	assert_int_equal(attach(&w, 1, 8), S_INVAL);
	assert_int_equal(attach_flags(&w, 1, 9, BYPASS_FLAG), S_OK);
	assert_int_equal(seen(&w, 0, D(5)), D(5));
	assert_int_equal(seen(&w, 1, D(6)), D(6));
	assert_int_equal(attach(&w, 2, 10), S_OK);
	assert_int_equal(attach_flags(&w, 2, 9, BYPASS_FLAG), S_INVAL);
	assert_int_equal(seen(&w, 1, D(6)), D(6));
	world_close(&w);
}

/* An endpoint of another iommu has other tables: it cannot share. */
static void n6_endpoints_that_do_not_fit_the_domain(void **state)
{
	const struct ui_device_cfg cfg = { .rid = 0x700 };
	struct ui_iommu *other;
	struct ui_device *dev;
	struct world w;

	world_open(&w);
	other = ui_iommu_create(ui_driver_find("generic"), w.mem);
	dev = ui_device_create(other, &cfg);
	assert_int_equal(ui_virtio_iommu_add(w.vi, 77, dev), 0);
	assert_int_equal(attach(&w, 1, 8), S_OK);
	assert_int_equal(attach(&w, 1, 77), S_UNSUPP);
	assert_int_equal(attach(&w, 2, 77), S_OK);
	assert_int_equal(attach(&w, 1, 77), S_UNSUPP);
	assert_int_equal(attach(&w, 2, 8), S_UNSUPP);
	assert_int_equal(detach(&w, 2, 77), S_OK);
	assert_int_equal(detach(&w, 1, 8), S_OK);
	ui_virtio_iommu_remove(w.vi, 77);
	assert_int_equal(attach(&w, 2, 77), S_NOENT);
	ui_device_destroy(dev);
	ui_iommu_destroy(other);
	world_close(&w);
}

/* A2: the number of a domain means nothing outside, and may be any in the range. */
static void a2_domains_share_and_isolate(void **state)
{
	const u32 ids[] = { 0, 1, 0x7fffffff, 0x80000000, 0xffffffff };
	struct world w;

	world_open(&w);
	for (size_t i = 0; i < ui_array_size(ids); i++) {
		assert_int_equal(attach(&w, ids[i], 8), S_OK);
		assert_int_equal(attach(&w, ids[i], 9), S_OK);
		assert_int_equal(attach(&w, ids[i] ^ 2, 10), S_OK);
		assert_int_equal(map_page(&w, ids[i], 0x5000, D(i)), S_OK);
		assert_int_equal(seen(&w, 0, 0x5000), D(i));
		assert_int_equal(seen(&w, 1, 0x5000), D(i));
		assert_int_equal(seen(&w, 2, 0x5000), 0);
	}
	world_close(&w);
}

static void a_domain_out_of_range(void **state)
{
	struct ui_virtio_iommu_cfg cfg;
	struct world w;

	ui_virtio_iommu_cfg_init(&cfg);
	cfg.domain_first = 5;
	cfg.domain_last = 9;
	assert_true(world_try_open(&w, &cfg, NULL));
	start_driver(&w, cfg.features);
	assert_int_equal(attach(&w, 4, 8), S_RANGE);
	assert_int_equal(attach(&w, 10, 8), S_RANGE);
	assert_int_equal(attach(&w, 5, 8), S_OK);
	assert_int_equal(attach(&w, 9, 8), S_OK);
	world_close(&w);
}

/* ---- n7, n8: DETACH ---- */

static void n7_detach_from_what_it_is_not_in(void **state)
{
	struct world w;

	world_open(&w);
	assert_int_equal(detach(&w, 1, 8), S_INVAL);
	assert_int_equal(attach(&w, 1, 8), S_OK);
	assert_int_equal(attach(&w, 2, 9), S_OK);
	assert_int_equal(detach(&w, 2, 8), S_INVAL);
	assert_int_equal(detach(&w, 3, 8), S_INVAL);
	assert_int_equal(map_page(&w, 1, 0x1000, D(1)), S_OK);
	assert_int_equal(seen(&w, 0, 0x1000), D(1));
	/* The reserved bytes are ignored. */
	fill_detach(req, 1, 8);
	memset(req + 12, 0xff, 8);
	assert_int_equal(send_raw(&w, req, 20, 4), S_OK);
	assert_int_equal(seen(&w, 0, 0x1000), 0);
	assert_int_equal(detach(&w, 1, 8), S_INVAL);
	world_close(&w);
}

static void n8_the_last_endpoint_takes_the_domain_with_it(void **state)
{
	struct world w;

	world_open(&w);
	assert_int_equal(attach(&w, 1, 8), S_OK);
	assert_int_equal(attach(&w, 1, 9), S_OK);
	assert_int_equal(map_page(&w, 1, 0x1000, D(1)), S_OK);
	assert_int_equal(detach(&w, 1, 8), S_OK);
	assert_int_equal(seen(&w, 0, 0x1000), 0);
	assert_int_equal(seen(&w, 1, 0x1000), D(1));
	assert_int_equal(detach(&w, 1, 9), S_OK);
	assert_int_equal(map_page(&w, 1, 0x2000, D(1)), S_NOENT);
	assert_int_equal(unmap(&w, 1, 0, ~(u64)0), S_NOENT);
	/* A7: the number is free for another domain, of the other sort too; the mappings of old are gone. */
	assert_int_equal(attach_flags(&w, 1, 8, BYPASS_FLAG), S_OK);
	assert_int_equal(detach(&w, 1, 8), S_OK);
	assert_int_equal(attach(&w, 1, 8), S_OK);
	assert_int_equal(seen(&w, 0, 0x1000), 0);
	assert_int_equal(map_page(&w, 1, 0x1000, D(2)), S_OK);
	assert_int_equal(seen(&w, 0, 0x1000), D(2));
	world_close(&w);
}

/* ---- n9, n12: MAP ---- */

static void n9_map_out_of_alignment(void **state)
{
	struct world w;

	world_open(&w);
	assert_int_equal(attach(&w, 1, 8), S_OK);
	assert_int_equal(map(&w, 1, 0x1001, 0x1fff, D(0), MAP_R), S_RANGE);
	assert_int_equal(map(&w, 1, 0x1000, 0x1ffe, D(0), MAP_R), S_RANGE);
	assert_int_equal(map(&w, 1, 0x1000, 0x2000, D(0), MAP_R), S_RANGE);
	assert_int_equal(map(&w, 1, 0x1000, 0x1fff, D(0) + 0x800, MAP_R), S_RANGE);
	assert_int_equal(map(&w, 1, 0x1000, 0x0fff, D(0), MAP_R), S_INVAL);
	assert_int_equal(map(&w, 1, 0x2000, 0x0fff, D(0), MAP_R), S_INVAL);
	assert_int_equal(seen(&w, 0, 0x1000), 0);
	world_close(&w);
}

static void n9_map_out_of_range(void **state)
{
	const u64 end = (u64)1 << 48, phys_end = (u64)1 << 51;
	struct world w;

	world_open(&w);
	assert_int_equal(attach(&w, 1, 8), S_OK);
	assert_int_equal(map(&w, 1, end, end + 0xfff, D(0), MAP_R), S_RANGE);
	assert_int_equal(map(&w, 1, end - PAGE, end + 0xfff, D(0), MAP_R), S_RANGE);
	assert_int_equal(map(&w, 1, 0, ~(u64)0, 0, MAP_R), S_RANGE);
	assert_int_equal(map(&w, 1, ~(u64)0xfff, ~(u64)0, D(0), MAP_R), S_RANGE);
	/* Outputs: the iommus' own half is nobody's, nor do they wrap. */
	assert_int_equal(map(&w, 1, 0x1000, 0x2fff, phys_end - PAGE, MAP_R), S_RANGE);
	assert_int_equal(map(&w, 1, 0x1000, 0x1fff, phys_end, MAP_R), S_RANGE);
	assert_int_equal(map(&w, 1, 0x1000, 0x2fff, ~(u64)0xfff, MAP_R), S_RANGE);
	assert_int_equal(map(&w, 1, 0x1000, 0x1fff, phys_end - PAGE, MAP_R), S_OK);
	assert_int_equal(map(&w, 1, end - PAGE, end - 1, D(7), MAP_R), S_OK);
	assert_int_equal(seen(&w, 0, end - PAGE), D(7));
	world_close(&w);
}

static void n9_map_out_of_a_narrower_range(void **state)
{
	struct ui_virtio_iommu_cfg cfg;
	struct world w;

	ui_virtio_iommu_cfg_init(&cfg);
	cfg.input_start = 0x100000;
	cfg.input_last = 0x7fffffff;
	assert_true(world_try_open(&w, &cfg, NULL));
	start_driver(&w, cfg.features);
	assert_int_equal(attach(&w, 1, 8), S_OK);
	assert_int_equal(map(&w, 1, 0xff000, 0x100fff, D(0), MAP_R), S_RANGE);
	assert_int_equal(map(&w, 1, 0x7ffff000, 0x80000fff, D(0), MAP_R), S_RANGE);
	assert_int_equal(map(&w, 1, 0x80000000, 0x80000fff, D(0), MAP_R), S_RANGE);
	assert_int_equal(map(&w, 1, 0x100000, 0x100fff, D(1), MAP_R), S_OK);
	assert_int_equal(map(&w, 1, 0x7ffff000, 0x7fffffff, D(2), MAP_R), S_OK);
	assert_int_equal(seen(&w, 0, 0x100000), D(1));
	assert_int_equal(seen(&w, 0, 0x7ffff000), D(2));
	assert_int_equal(unmap(&w, 1, 0x90000000, ~(u64)0), S_OK);
	assert_int_equal(unmap(&w, 1, 0, ~(u64)0), S_OK);
	assert_int_equal(seen(&w, 0, 0x7ffff000), 0);
	world_close(&w);
}

static void n9_map_over_a_mapping(void **state)
{
	struct world w;

	world_open(&w);
	assert_int_equal(attach(&w, 1, 8), S_OK);
	assert_int_equal(map(&w, 1, 0x2000, 0x4fff, D(2), MAP_R), S_OK);
	assert_int_equal(map(&w, 1, 0x2000, 0x4fff, D(2), MAP_R), S_INVAL);
	assert_int_equal(map(&w, 1, 0x1000, 0x2fff, D(8), MAP_R), S_INVAL);
	assert_int_equal(map(&w, 1, 0x4000, 0x5fff, D(8), MAP_R), S_INVAL);
	assert_int_equal(map(&w, 1, 0x3000, 0x3fff, D(8), MAP_R), S_INVAL);
	assert_int_equal(map(&w, 1, 0x1000, 0x5fff, D(8), MAP_R), S_INVAL);
	assert_int_equal(seen(&w, 0, 0x1000), 0);
	assert_int_equal(seen(&w, 0, 0x5000), 0);
	assert_int_equal(seen(&w, 0, 0x3000), D(3));
	assert_int_equal(map(&w, 1, 0x5000, 0x5fff, D(8), MAP_R), S_OK);
	world_close(&w);
}

static void n9_map_with_unknown_flags(void **state)
{
	struct world w;

	world_open(&w);
	for (unsigned bit = 3; bit < 32; bit++)
		assert_int_equal(map(&w, 1, 0x1000, 0x1fff, D(0), MAP_R | 1u << bit), S_INVAL); /* before the domain */
	assert_int_equal(map(&w, 1, 0x1000, 0x1fff, D(0), MAP_R), S_NOENT);
	assert_int_equal(attach(&w, 1, 8), S_OK);
	assert_int_equal(map(&w, 1, 0x1000, 0x1fff, D(0), MAP_R | MAP_MMIO), S_OK);
	world_close(&w);
	world_open_with(&w, ALL, ALL & ~BIT_OF(MMIO), false);
	assert_int_equal(attach(&w, 1, 8), S_OK);
	assert_int_equal(map(&w, 1, 0x1000, 0x1fff, D(0), MAP_R | MAP_MMIO), S_INVAL);
	world_close(&w);
}

static void n9_map_in_a_bypass_domain(void **state)
{
	struct world w;

	world_open(&w);
	assert_int_equal(attach_flags(&w, 1, 8, BYPASS_FLAG), S_OK);
	assert_int_equal(map_page(&w, 1, 0x1000, D(0)), S_INVAL);
	world_close(&w);
}

static void n9_map_into_reserved_memory(void **state)
{
	struct world w;

	world_open(&w);
	assert_int_equal(attach(&w, 1, 8), S_OK);
	assert_int_equal(map_page(&w, 1, 0xfee00000, D(0)), S_INVAL);
	assert_int_equal(map_page(&w, 1, 0xfeeff000, D(0)), S_INVAL);
	assert_int_equal(map(&w, 1, 0xfedff000, 0xfee00fff, D(0), MAP_R), S_INVAL);
	assert_int_equal(map(&w, 1, 0, 0xffffffff, 0, MAP_R), S_INVAL);
	assert_int_equal(map_page(&w, 1, 0xfedff000, D(0)), S_OK);
	assert_int_equal(map_page(&w, 1, 0xfef00000, D(0)), S_OK);
	world_close(&w);
}

static void n12_no_write_without_the_flag(void **state)
{
	struct world w;

	world_open(&w);
	assert_int_equal(attach(&w, 1, 8), S_OK);
	assert_int_equal(map(&w, 1, 0x1000, 0x1fff, D(1), MAP_R), S_OK);
	assert_int_equal(map(&w, 1, 0x2000, 0x2fff, D(2), MAP_W), S_OK);
	assert_int_equal(map(&w, 1, 0x3000, 0x3fff, D(3), 0), S_OK);
	assert_int_equal(map(&w, 1, 0x4000, 0x4fff, D(4), MAP_R | MAP_MMIO), S_OK);
	assert_false(writes(&w, 0, 0x1000));
	assert_int_equal(seen(&w, 0, 0x1000), D(1));
	assert_true(writes(&w, 0, 0x2000));
	assert_int_equal(seen(&w, 0, 0x2000), D(2)); /* READ is implied */
	assert_false(writes(&w, 0, 0x3000));
	assert_int_equal(seen(&w, 0, 0x3000), 0);
	assert_false(writes(&w, 0, 0x4000));
	/* One that allows nothing is a mapping all the same. */
	assert_int_equal(map_page(&w, 1, 0x3000, D(5)), S_INVAL);
	assert_int_equal(unmap(&w, 1, 0x3000, 0x3fff), S_OK);
	assert_int_equal(map_page(&w, 1, 0x3000, D(5)), S_OK);
	world_close(&w);
}

/* ---- n10: UNMAP ---- */

static void n10_the_standards_table_of_cases(void **state)
{
	const struct {
		u64 maps[2][2]; /* pages, inclusive; the second empty: 1, 0 */
		u64 unmap[2];
		int status;
		unsigned left; /* bit n: the page is still mapped */
	} cases[] = {
		{ { { 1, 0 }, { 1, 0 } }, { 0, 4 }, S_OK, 0 },
		{ { { 0, 9 }, { 1, 0 } }, { 0, 9 }, S_OK, 0 },
		{ { { 0, 4 }, { 5, 9 } }, { 0, 9 }, S_OK, 0 },
		{ { { 0, 9 }, { 1, 0 } }, { 0, 4 }, S_RANGE, 0x3ff },
		{ { { 0, 4 }, { 5, 9 } }, { 0, 4 }, S_OK, 0x3e0 },
		{ { { 0, 4 }, { 1, 0 } }, { 0, 9 }, S_OK, 0 },
		{ { { 0, 4 }, { 10, 14 } }, { 0, 14 }, S_OK, 0 },
		/* Ours: split at the other end, in the middle, behind a whole one. */
		{ { { 0, 9 }, { 1, 0 } }, { 5, 9 }, S_RANGE, 0x3ff },
		{ { { 0, 9 }, { 1, 0 } }, { 3, 5 }, S_RANGE, 0x3ff },
		{ { { 0, 4 }, { 5, 9 } }, { 0, 7 }, S_RANGE, 0x3ff },
		{ { { 0, 4 }, { 5, 9 } }, { 2, 12 }, S_RANGE, 0x3ff },
	};
	struct world w;

	world_open(&w);
	for (size_t i = 0; i < ui_array_size(cases); i++) {
		assert_int_equal(attach(&w, 1, 8), S_OK);
		for (unsigned m = 0; m < 2; m++) {
			const u64 *pages = cases[i].maps[m];

			if (pages[0] <= pages[1])
				assert_int_equal(map(&w, 1, pages[0] * PAGE, (pages[1] + 1) * PAGE - 1, D(pages[0]), MAP_R), S_OK);
		}
		assert_int_equal(unmap(&w, 1, cases[i].unmap[0] * PAGE, (cases[i].unmap[1] + 1) * PAGE - 1), cases[i].status);
		for (unsigned page = 0; page < 16; page++)
			assert_int_equal(seen(&w, 0, page * (u64)PAGE), cases[i].left >> page & 1 ? D(page) : 0);
		assert_int_equal(detach(&w, 1, 8), S_OK);
	}
	world_close(&w);
}

static void n10_unmap_of_odd_ranges(void **state)
{
	struct world w;

	world_open(&w);
	assert_int_equal(unmap(&w, 1, 0, ~(u64)0), S_NOENT);
	assert_int_equal(attach(&w, 1, 8), S_OK);
	assert_int_equal(map_page(&w, 1, 0x2000, D(2)), S_OK);
	assert_int_equal(map_page(&w, 1, 0x4000, D(4)), S_OK);
	/* Reserved bytes. */
	fill_unmap(req, 1, 0, ~(u64)0);
	req[27] = 1;
	assert_int_equal(send_raw(&w, req, 28, 4), S_INVAL);
	/* The borders need no alignment, only not to lie in a mapping. */
	assert_int_equal(unmap(&w, 1, 0x1234, 0x2ffe), S_RANGE);
	assert_int_equal(unmap(&w, 1, 0x2001, 0x3000), S_RANGE);
	assert_int_equal(unmap(&w, 1, 0x4fff, 0x4fff), S_RANGE);
	assert_int_equal(unmap(&w, 1, 0x2000, 0x1fff), S_INVAL);
	/* Pieces of pages that nothing is in: the first page, the last, two that meet. */
	assert_int_equal(unmap(&w, 1, 0, 0x10), S_OK);
	assert_int_equal(unmap(&w, 1, 0x10, 0x20), S_OK);
	assert_int_equal(unmap(&w, 1, ~(u64)0 - 5, ~(u64)0), S_OK);
	assert_int_equal(unmap(&w, 1, 0x5800, 0x67ff), S_OK);
	assert_int_equal(seen(&w, 0, 0x4000), D(4));
	assert_int_equal(seen(&w, 0, 0x2000), D(2));
	assert_int_equal(unmap(&w, 1, 0x1234, 0x3456), S_OK);
	assert_int_equal(seen(&w, 0, 0x2000), 0);
	assert_int_equal(seen(&w, 0, 0x4000), D(4));
	/* All there is, beyond the input range. */
	assert_int_equal(unmap(&w, 1, 0, ~(u64)0), S_OK);
	assert_int_equal(seen(&w, 0, 0x4000), 0);
	assert_int_equal(map(&w, 1, 0, 0xffff, D(0), MAP_R), S_OK);
	world_close(&w);
	world_open(&w);
	assert_int_equal(attach_flags(&w, 1, 8, BYPASS_FLAG), S_OK);
	assert_int_equal(unmap(&w, 1, 0, 0xfff), S_INVAL);
	world_close(&w);
}

/* Requests without F_MAP_UNMAP, which a driver may leave out. */
static void map_and_unmap_want_their_feature(void **state)
{
	struct world w;

	world_open_with(&w, ALL, ALL & ~BIT_OF(MAP_UNMAP), false);
	assert_int_equal(attach(&w, 1, 8), S_OK);
	assert_int_equal(map_page(&w, 1, 0x1000, D(0)), S_UNSUPP);
	assert_int_equal(unmap(&w, 1, 0x1000, 0x1fff), S_UNSUPP);
	assert_int_equal(seen(&w, 0, 0x1000), 0);
	world_close(&w);
}

/* ---- n11: PROBE ---- */

static void a6_probe_tells_the_interrupt_window(void **state)
{
	const u8 window[24] = { 1, 0, 20, 0, 1, 0, 0, 0, 0, 0, 0xe0, 0xfe, 0, 0, 0, 0, 0xff, 0xff, 0xef, 0xfe };
	u8 none[40] = { 0 };
	struct world w;

	world_open(&w);
	assert_int_equal(probe(&w, 9, 68), S_OK);
	assert_int_equal(w.used_bytes, 68);
	assert_memory_equal(w.resp, window, 24);
	assert_memory_equal(w.resp + 24, none, 40); /* the end of the list, and zeroes */
	/* The reserved bytes mean nothing; what is behind the tail is not touched. */
	memset(req, 0xff, sizeof(req));
	req[0] = T_PROBE;
	memset(req + 4, 0, 4);
	req[4] = 9;
	assert_int_equal(send_raw(&w, req, 72, 100), S_OK);
	assert_int_equal(w.used_bytes, 68);
	world_close(&w);
}

static void n11_a_list_that_does_not_fit(void **state)
{
	struct ui_virtio_iommu_cfg cfg;
	u8 none[80] = { 0 };
	struct world w;

	world_open(&w);
	/* The driver's buffer is smaller than probe_size: the tail is the last of it. */
	for (u32 n = 4; n < 68; n++) {
		assert_int_equal(probe(&w, 8, n), S_INVAL);
		assert_int_equal(w.used_bytes, n);
		assert_memory_equal(w.resp, none, n - 4);
	}
	world_close(&w);
	/* probe_size is smaller than the list. */
	ui_virtio_iommu_cfg_init(&cfg);
	cfg.probe_bytes = 20;
	assert_true(world_try_open(&w, &cfg, NULL));
	start_driver(&w, cfg.features);
	assert_int_equal(probe(&w, 8, 24), S_INVAL);
	assert_memory_equal(w.resp, none, 20);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(n1_what_cannot_be_answered_is_not_written),
		cmocka_unit_test(requests_too_short_or_too_long),
		cmocka_unit_test(buffers_out_of_memory),
		cmocka_unit_test(reserved_bytes_of_head_and_tail),
		cmocka_unit_test(n2_attach_with_reserved_bits),
		cmocka_unit_test(n3_unknown_endpoints),
		cmocka_unit_test(n4_attach_elsewhere_detaches),
		cmocka_unit_test(n4_a_failed_attach_changes_nothing),
		cmocka_unit_test(n5_the_bypass_flag_must_fit_the_domain),
		cmocka_unit_test(n6_endpoints_that_do_not_fit_the_domain),
		cmocka_unit_test(a2_domains_share_and_isolate),
		cmocka_unit_test(a_domain_out_of_range),
		cmocka_unit_test(n7_detach_from_what_it_is_not_in),
		cmocka_unit_test(n8_the_last_endpoint_takes_the_domain_with_it),
		cmocka_unit_test(n9_map_out_of_alignment),
		cmocka_unit_test(n9_map_out_of_range),
		cmocka_unit_test(n9_map_out_of_a_narrower_range),
		cmocka_unit_test(n9_map_over_a_mapping),
		cmocka_unit_test(n9_map_with_unknown_flags),
		cmocka_unit_test(n9_map_in_a_bypass_domain),
		cmocka_unit_test(n9_map_into_reserved_memory),
		cmocka_unit_test(n12_no_write_without_the_flag),
		cmocka_unit_test(n10_the_standards_table_of_cases),
		cmocka_unit_test(n10_unmap_of_odd_ranges),
		cmocka_unit_test(map_and_unmap_want_their_feature),
		cmocka_unit_test(a6_probe_tells_the_interrupt_window),
		cmocka_unit_test(n11_a_list_that_does_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
