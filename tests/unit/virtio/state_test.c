/* SPDX-License-Identifier: MIT */
/* The virtio-iommu beside its requests: fault reports (n13), bypass (n14), configuration, reset, and what its embedder may ask of it. */
#include "common.h"

enum { ALL = 0x77, BYPASS_FLAG = 1 };

#define D(n) (DATA_PA + (u64)(n) * PAGE)

static int map_page(struct world *w, u32 domain, u64 iova, u64 phys)
{
	return map(w, domain, iova, iova + PAGE - 1, phys, MAP_R | MAP_W);
}

/* ---- n13: events ---- */

static void add_event_buffer(struct world *w, u16 i, u32 n_bytes)
{
	memset(mem_at(w, EVENT_PA + 64 * (u64)i), 0xee, 64);
	put_desc(w, EVENTS, i, EVENT_PA + 64 * (u64)i, n_bytes, D_WRITE, 0);
	offer(w, EVENTS, i);
}

struct event {
	u8 reason, reserved[3];
	u32 flags, endpoint, reserved1;
	u64 address;
};

/* The next report; used length in *@len. */
static struct event take_event(struct world *w, u32 *len)
{
	struct event ev;
	u32 id = 0;

	assert_true(take_used(w, EVENTS, &id, len));
	memcpy(&ev, mem_at(w, EVENT_PA + 64 * (u64)id), sizeof(ev));
	return ev;
}

static void expect_event(struct world *w, u8 reason, u32 flags, u32 endpoint, u64 address)
{
	const struct event want = { .reason = reason, .flags = flags, .endpoint = endpoint, .address = address };
	struct event got;
	u32 len;

	got = take_event(w, &len);
	assert_int_equal(len, 24);
	assert_memory_equal(&got, &want, sizeof(want));
}

static void faults_are_reported(void **state)
{
	struct world w;
	u32 id, len;

	world_open(&w);
	for (u16 i = 0; i < 8; i++)
		add_event_buffer(&w, i, 64);
	kick(&w, EVENTS);
	assert_false(take_used(&w, EVENTS, &id, &len));
	w.n_wakes = 0;
	assert_int_equal(seen(&w, 1, 0x1234000), 0);
	assert_int_equal(w.n_wakes, 1);
	step_all(&w); /* nobody notified: it is the device that has something to say */
	assert_int_equal(w.n_irqs[EVENTS], 1);
	expect_event(&w, 1, 0x101, 9, 0x1234000);
	assert_int_equal(attach(&w, 1, 8), S_OK);
	assert_int_equal(map(&w, 1, 0x1000, 0x1fff, D(1), MAP_R), S_OK);
	assert_int_equal(map(&w, 1, 0x2000, 0x2fff, RAM_BYTES, MAP_R), S_OK);
	assert_int_equal(seen(&w, 0, 0x5000), 0);
	assert_false(writes(&w, 0, 0x1000));
	assert_int_equal(seen(&w, 0, (u64)1 << 60), 0);
	assert_int_equal(seen(&w, 0, 0x2000), 0);
	step_all(&w);
	expect_event(&w, 2, 0x101, 8, 0x5000);
	expect_event(&w, 2, 0x102, 8, 0x1008);
	expect_event(&w, 2, 0x101, 8, (u64)1 << 60);
	expect_event(&w, 0, 0x101, 8, 0x2000); /* memory failed behind a good mapping */
	assert_false(take_used(&w, EVENTS, &id, &len));
	world_close(&w);
}

static void n13_reports_wait_for_buffers(void **state)
{
	struct world w;
	u32 id, len;

	world_open(&w);
	for (u64 i = 0; i < 100; i++)
		assert_int_equal(seen(&w, 0, i * PAGE), 0);
	step_all(&w);
	assert_false(take_used(&w, EVENTS, &id, &len));
	/* The first 64 are there, in order, the others were dropped. */
	for (u64 i = 0; i < 64; i++) {
		add_event_buffer(&w, 3, 24);
		kick(&w, EVENTS);
		expect_event(&w, 1, 0x101, 8, i * PAGE);
	}
	add_event_buffer(&w, 3, 24);
	kick(&w, EVENTS);
	assert_false(take_used(&w, EVENTS, &id, &len));
	/* And reporting goes on. */
	assert_int_equal(seen(&w, 2, 0x9000), 0);
	step_all(&w);
	expect_event(&w, 1, 0x101, 10, 0x9000);
	world_close(&w);
}

static void n13_a_report_is_never_split(void **state)
{
	struct event ev;
	struct world w;
	u32 len;

	world_open(&w);
	add_event_buffer(&w, 0, 23);
	add_event_buffer(&w, 1, 24);
	assert_int_equal(seen(&w, 0, 0x1000), 0);
	assert_int_equal(seen(&w, 0, 0x2000), 0);
	kick(&w, EVENTS);
	ev = take_event(&w, &len);
	assert_int_equal(len, 0);
	assert_int_equal(ev.reason, 0xee);
	expect_event(&w, 1, 0x101, 8, 0x2000);
	world_close(&w);
}

static void a_reset_forgets_reports(void **state)
{
	struct world w;
	u32 id, len;

	world_open(&w);
	assert_int_equal(seen(&w, 0, 0x1000), 0);
	start_driver(&w, ALL);
	add_event_buffer(&w, 0, 24);
	kick(&w, EVENTS);
	assert_false(take_used(&w, EVENTS, &id, &len));
	world_close(&w);
}

/* ---- n14: bypass; configuration ---- */

static void n14_unattached_endpoints_reach_nothing(void **state)
{
	struct world w;

	world_open(&w);
	assert_int_equal(seen(&w, 0, D(1)), 0);
	assert_false(writes(&w, 0, D(1)));
	assert_int_equal(attach(&w, 1, 8), S_OK);
	assert_int_equal(seen(&w, 0, D(1)), 0);
	assert_int_equal(map_page(&w, 1, 0x1000, D(1)), S_OK);
	assert_int_equal(seen(&w, 0, 0x1000), D(1));
	assert_int_equal(detach(&w, 1, 8), S_OK);
	assert_int_equal(seen(&w, 0, D(1)), 0);
	assert_int_equal(seen(&w, 0, 0x1000), 0);
	world_close(&w);
}

static u8 bypass_field(struct world *w)
{
	u8 val;

	ui_virtio_config_read(w->v, 36, &val, 1);
	return val;
}

static void set_bypass(struct world *w, u8 val)
{
	ui_virtio_config_write(w->v, 36, &val, 1);
}

static void n14_boot_bypass_counts_whatever_was_accepted(void **state)
{
	struct world w;

	world_open_with(&w, ALL, ALL & ~BIT_OF(BYPASS_CONFIG), true);
	assert_int_equal(seen(&w, 0, D(1)), D(1));
	assert_true(writes(&w, 0, D(1)));
	/* A driver without the feature does not write the field. */
	set_bypass(&w, 0);
	assert_int_equal(bypass_field(&w), 1);
	assert_int_equal(attach(&w, 1, 8), S_OK);
	assert_int_equal(seen(&w, 0, D(1)), 0);
	assert_int_equal(detach(&w, 1, 8), S_OK);
	assert_int_equal(seen(&w, 0, D(1)), D(1));
	world_close(&w);
}

static void a5_the_field_bypass(void **state)
{
	struct world w;

	world_open_with(&w, ALL, ALL, true);
	assert_int_equal(bypass_field(&w), 1);
	assert_int_equal(attach(&w, 1, 9), S_OK);
	set_bypass(&w, 0);
	assert_int_equal(bypass_field(&w), 0);
	assert_int_equal(seen(&w, 0, D(1)), 0);
	set_bypass(&w, 2); /* not a value */
	assert_int_equal(bypass_field(&w), 0);
	set_bypass(&w, 1);
	assert_int_equal(seen(&w, 0, D(1)), D(1));
	assert_int_equal(seen(&w, 1, D(1)), 0); /* it is for endpoints without domain */
	set_bypass(&w, 0);
	/* A reset of the device leaves it, one of the system restores it. */
	ui_virtio_set_status(w.v, 0);
	assert_int_equal(bypass_field(&w), 0);
	assert_int_equal(seen(&w, 0, D(1)), 0);
	ui_virtio_iommu_system_reset(w.vi);
	assert_int_equal(bypass_field(&w), 1);
	assert_int_equal(seen(&w, 0, D(1)), D(1));
	world_close(&w);
}

/* The deprecated feature 3: once it is negotiated, and until reset. */
static void feature_bypass_of_old(void **state)
{
	const u64 old = (ALL & ~BIT_OF(BYPASS_CONFIG)) | BIT_OF(BYPASS);
	struct world w;

	world_open_with(&w, old, old, true);
	assert_int_equal(bypass_field(&w), 0);
	assert_int_equal(seen(&w, 0, D(1)), D(1));
	assert_int_equal(attach(&w, 1, 8), S_OK);
	assert_int_equal(seen(&w, 0, D(1)), 0);
	ui_virtio_set_status(w.v, 0);
	assert_int_equal(seen(&w, 0, D(1)), 0);
	assert_int_equal(seen(&w, 1, D(1)), 0);
	start_driver(&w, old & ~BIT_OF(BYPASS));
	assert_int_equal(seen(&w, 0, D(1)), 0);
	world_close(&w);
}

static void a_reset_detaches_all(void **state)
{
	struct world w;

	world_open(&w);
	assert_int_equal(attach(&w, 1, 8), S_OK);
	assert_int_equal(attach_flags(&w, 2, 9, BYPASS_FLAG), S_OK);
	assert_int_equal(map_page(&w, 1, 0x1000, D(1)), S_OK);
	ui_virtio_set_status(w.v, 0);
	assert_int_equal(seen(&w, 0, 0x1000), 0);
	assert_int_equal(seen(&w, 1, D(1)), 0);
	start_driver(&w, ALL);
	assert_int_equal(map_page(&w, 1, 0x1000, D(1)), S_NOENT);
	assert_int_equal(attach(&w, 2, 8), S_OK);
	world_close(&w);
}

static void the_configuration_space(void **state)
{
	const u8 want[40] = { 0, 0x10, 0x20, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0,
			      0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 64, 0, 0, 0, 0, 0, 0, 0 };
	u8 got[64], junk[40];
	struct world w;

	world_open(&w);
	memset(got, 0xaa, sizeof(got));
	ui_virtio_config_read(w.v, 0, got, sizeof(got));
	assert_memory_equal(got, want, 40);
	for (unsigned i = 40; i < 64; i++)
		assert_int_equal(got[i], 0);
	/* Nothing but `bypass` can be written. */
	memset(junk, 0, sizeof(junk));
	ui_virtio_config_write(w.v, 0, junk, 36);
	ui_virtio_config_write(w.v, 37, "\1\1\1\1\1\1", 6);
	ui_virtio_config_write(w.v, ~0u, junk, 4);
	ui_virtio_config_read(w.v, 0, got, 40);
	assert_memory_equal(got, want, 40);
	for (u32 at = 0; at < 48; at++) {
		u8 one;

		ui_virtio_config_read(w.v, at, &one, 1);
		assert_int_equal(one, at < 40 ? want[at] : 0);
	}
	world_close(&w);
}

/* ---- The embedder's side ---- */

static void configurations_that_cannot_be(void **state)
{
	struct ui_virtio_iommu_cfg good, cfg;
	struct ui_virtio_iommu *vi;

	ui_virtio_iommu_cfg_init(&good);
	cfg = good;
	cfg.features |= BIT_OF(BYPASS); /* with BYPASS_CONFIG */
	assert_int_equal(ui_virtio_iommu_create(&cfg, NULL, &vi), -EINVAL);
	cfg = good;
	cfg.features |= 1 << 7;
	assert_int_equal(ui_virtio_iommu_create(&cfg, NULL, &vi), -EINVAL);
	cfg = good;
	cfg.features &= ~BIT_OF(INPUT_RANGE); /* then it is all of 64 bits */
	assert_int_equal(ui_virtio_iommu_create(&cfg, NULL, &vi), -EINVAL);
	cfg = good;
	cfg.features &= ~BIT_OF(DOMAIN_RANGE);
	cfg.domain_first = 1;
	assert_int_equal(ui_virtio_iommu_create(&cfg, NULL, &vi), -EINVAL);
	cfg = good;
	cfg.page_sizes = 0;
	assert_int_equal(ui_virtio_iommu_create(&cfg, NULL, &vi), -EINVAL);
	cfg = good;
	cfg.queue_max[1] = 48;
	assert_int_equal(ui_virtio_iommu_create(&cfg, NULL, &vi), -EINVAL);
	assert_int_equal(ui_virtio_iommu_create(&good, NULL, &vi), 0);
	ui_virtio_iommu_destroy(vi);
	ui_virtio_iommu_destroy(NULL);
}

static void endpoints_that_cannot_be(void **state)
{
	struct ui_device_cfg cfg = { .rid = 0x200 };
	struct ui_device *dev, *twin;
	struct ui_virtio_iommu_cfg fine;
	struct ui_virtio_iommu *vi;
	struct world w;

	world_open(&w);
	dev = ui_device_create(w.iommu, &cfg);
	assert_int_equal(ui_virtio_iommu_add(w.vi, 8, dev), -EEXIST);
	/* Another has it, or something is attached already. */
	assert_int_equal(ui_device_claim(dev, &w), 0);
	assert_int_equal(ui_virtio_iommu_add(w.vi, 20, dev), -EBUSY);
	ui_device_release(dev, &w);
	assert_int_equal(ui_device_attach(dev, 0, false, ui_domain_identity(w.iommu), false, NULL), 0);
	assert_int_equal(ui_virtio_iommu_add(w.vi, 20, dev), -EBUSY);
	assert_int_equal(ui_device_detach(dev, 0, false), 0);
	/* Granule and range that the tables do not have. */
	ui_virtio_iommu_cfg_init(&fine);
	fine.page_sizes |= 1;
	assert_int_equal(ui_virtio_iommu_create(&fine, w.port, &vi), 0);
	assert_int_equal(ui_virtio_iommu_add(vi, 20, dev), -EINVAL);
	ui_virtio_iommu_destroy(vi);
	ui_virtio_iommu_cfg_init(&fine);
	fine.features &= ~BIT_OF(INPUT_RANGE);
	fine.input_last = ~(u64)0;
	assert_int_equal(ui_virtio_iommu_create(&fine, w.port, &vi), 0);
	assert_int_equal(ui_virtio_iommu_add(vi, 20, dev), -EINVAL);
	ui_virtio_iommu_destroy(vi);
	assert_int_equal(ui_virtio_iommu_add(w.vi, 20, dev), 0);
	assert_int_equal(ui_virtio_iommu_add(w.vi, 21, dev), -EEXIST);
	assert_int_equal(attach(&w, 3, 20), S_OK);
	ui_virtio_iommu_remove(w.vi, 20);
	ui_virtio_iommu_remove(w.vi, 20);
	assert_int_equal(map_page(&w, 3, 0x1000, D(0)), S_NOENT);
	ui_device_destroy(dev);
	/* Two of one group. */
	cfg.group = 5;
	dev = ui_device_create(w.iommu, &cfg);
	cfg.rid = 0x201;
	twin = ui_device_create(w.iommu, &cfg);
	assert_int_equal(ui_virtio_iommu_add(w.vi, 20, dev), 0);
	assert_int_equal(ui_virtio_iommu_add(w.vi, 21, twin), -EBUSY);
	ui_virtio_iommu_remove(w.vi, 20);
	ui_device_destroy(twin);
	ui_device_destroy(dev);
	world_close(&w);
}

/* A granule of 64 KiB over tables of 4 KiB. */
static void a_coarser_granule(void **state)
{
	struct ui_virtio_iommu_cfg cfg;
	struct world w;

	ui_virtio_iommu_cfg_init(&cfg);
	cfg.page_sizes = UI_BIT(16);
	assert_true(world_try_open(&w, &cfg, NULL));
	start_driver(&w, cfg.features);
	assert_int_equal(attach(&w, 1, 8), S_OK);
	assert_int_equal(map(&w, 1, 0x1000, 0x1fff, D(0), MAP_R), S_RANGE);
	assert_int_equal(map(&w, 1, 0x10000, 0x1ffff, D(0) + 0x1000, MAP_R), S_RANGE);
	assert_int_equal(map(&w, 1, 0x10000, 0x2ffff, D(0), MAP_R), S_OK);
	assert_int_equal(seen(&w, 0, 0x2f000), D(0x1f));
	assert_int_equal(unmap(&w, 1, 0x10000, 0x1ffff), S_RANGE);
	assert_int_equal(unmap(&w, 1, 0, 0x34567), S_OK);
	assert_int_equal(seen(&w, 0, 0x2f000), 0);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(faults_are_reported),
		cmocka_unit_test(n13_reports_wait_for_buffers),
		cmocka_unit_test(n13_a_report_is_never_split),
		cmocka_unit_test(a_reset_forgets_reports),
		cmocka_unit_test(n14_unattached_endpoints_reach_nothing),
		cmocka_unit_test(n14_boot_bypass_counts_whatever_was_accepted),
		cmocka_unit_test(a5_the_field_bypass),
		cmocka_unit_test(feature_bypass_of_old),
		cmocka_unit_test(a_reset_detaches_all),
		cmocka_unit_test(the_configuration_space),
		cmocka_unit_test(configurations_that_cannot_be),
		cmocka_unit_test(endpoints_that_cannot_be),
		cmocka_unit_test(a_coarser_granule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
