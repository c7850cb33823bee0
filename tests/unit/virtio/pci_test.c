/* SPDX-License-Identifier: MIT */
/* virtio over PCI (4.1) as a driver finds it: capabilities, common configuration, interrupts, the window in configuration space. */
#include "common.h"
#include "devices/pci_regs.h"
#include "virtio/pci.h"

enum { COMMON = 1, NOTIFY, ISR, DEVICE, PCI_CFG };
enum { C_GFSELECT = 8, C_GF = 12, C_STATUS = 20, C_Q_SELECT = 22, C_Q_SIZE = 24, C_Q_VECTOR = 26, C_Q_ENABLE = 28, C_Q_NOTIFY_OFF = 30, C_Q_DESC = 32 };

struct function {
	struct world w;
	struct ui_pci *pci;
	struct {
		u8 at, bar;
		u32 offset, length;
	} caps[6];
	u32 multiplier;
	unsigned n_msgs[4], n_rises, n_wakes;
	bool level;
};

static void on_msg(void *arg, bool msix, unsigned vector)
{
	struct function *f = arg;

	assert_true(msix && vector < 4);
	f->n_msgs[vector]++;
}

static void on_intx(void *arg, bool level)
{
	struct function *f = arg;

	f->n_rises += level && !f->level;
	f->level = level;
}

static void on_wake(void *arg)
{
	((struct function *)arg)->n_wakes++;
}

static u32 cfg_get(struct function *f, u32 at, u32 n)
{
	u32 val = 0;

	ui_pci_config_read(f->pci, at, &val, n);
	return val;
}

static void cfg_put(struct function *f, u32 at, u32 n, u32 val)
{
	ui_pci_config_write(f->pci, at, &val, n);
}

static u64 get(struct function *f, unsigned cap, u32 at, u32 n)
{
	u64 val = 0;

	assert_true(ui_pci_bar_read(f->pci, f->caps[cap].bar, f->caps[cap].offset + at, &val, n));
	return val;
}

static void put(struct function *f, unsigned cap, u32 at, u32 n, u64 val)
{
	assert_true(ui_pci_bar_write(f->pci, f->caps[cap].bar, f->caps[cap].offset + at, &val, n));
}

static void find_caps(struct function *f)
{
	unsigned n = 0;

	for (u32 at = cfg_get(f, PCI_CFG_CAPS, 1); at; at = cfg_get(f, at + 1, 1)) {
		u32 type = cfg_get(f, at + 3, 1);

		assert_true(n++ < 48);
		if (cfg_get(f, at, 1) != PCI_CAP_VENDOR)
			continue;
		assert_in_range(type, COMMON, PCI_CFG);
		assert_int_equal(f->caps[type].at, 0);
		f->caps[type].at = (u8)at;
		f->caps[type].bar = (u8)cfg_get(f, at + 4, 1);
		f->caps[type].offset = cfg_get(f, at + 8, 4);
		f->caps[type].length = cfg_get(f, at + 12, 4);
		assert_int_equal(cfg_get(f, at + 2, 1), type == NOTIFY || type == PCI_CFG ? 20 : 16);
	}
	for (unsigned type = COMMON; type <= PCI_CFG; type++)
		assert_int_not_equal(f->caps[type].at, 0);
	f->multiplier = cfg_get(f, f->caps[NOTIFY].at + 16u, 4);
}

static void function_open(struct function *f)
{
	const struct ui_pci_env env = { .intx = on_intx, .msg = on_msg, .wake = on_wake, .arg = f };
	struct ui_virtio_iommu_cfg cfg;
	char err[100];

	memset(f, 0, sizeof(*f));
	ui_virtio_iommu_cfg_init(&cfg);
	cfg.bypass = false;
	assert_true(world_try_open(&f->w, &cfg, NULL));
	f->pci = ui_virtio_pci_create(f->w.v, f->w.port, err, sizeof(err));
	assert_non_null(f->pci);
	ui_pci_set_env(f->pci, &env);
	cfg_put(f, PCI_CFG_COMMAND, 2, PCI_CMD_MEM | PCI_CMD_MASTER);
	find_caps(f);
}

static void function_close(struct function *f)
{
	ui_pci_destroy(f->pci);
	world_close(&f->w);
}

/* What a driver does with a function (4.1.5.1); vectors 0xffff: none. */
static void start(struct function *f, u16 request_vector, u16 event_vector)
{
	put(f, COMMON, C_STATUS, 1, 0);
	assert_int_equal(get(f, COMMON, C_STATUS, 1), 0);
	put(f, COMMON, C_STATUS, 1, 3);
	put(f, COMMON, C_GFSELECT, 4, 0);
	put(f, COMMON, C_GF, 4, 0x77);
	put(f, COMMON, C_GFSELECT, 4, 1);
	put(f, COMMON, C_GF, 4, 1);
	put(f, COMMON, C_GFSELECT, 4, 2);
	put(f, COMMON, C_GF, 4, 0);
	put(f, COMMON, C_STATUS, 1, 11);
	assert_int_equal(get(f, COMMON, C_STATUS, 1), 11);
	for (u16 q = 0; q < 2; q++) {
		u16 vector = q ? event_vector : request_vector;
		u64 parts[3] = { desc_pa(q), avail_pa(q), used_pa(q) };

		memset(mem_at(&f->w, RING_PA(q)), 0, 0x8000);
		f->w.rings[q] = (struct ring){ .size = QUEUE };
		put(f, COMMON, C_Q_SELECT, 2, q);
		assert_int_equal(get(f, COMMON, C_Q_SIZE, 2), q ? 64 : 256);
		assert_int_equal(get(f, COMMON, C_Q_ENABLE, 2), 0);
		put(f, COMMON, C_Q_SIZE, 2, QUEUE);
		for (unsigned i = 0; i < 3; i++) {
			put(f, COMMON, C_Q_DESC + 8 * i, 4, (u32)parts[i]);
			put(f, COMMON, C_Q_DESC + 8 * i + 4, 4, parts[i] >> 32);
			assert_int_equal(get(f, COMMON, C_Q_DESC + 8 * i, 8), parts[i]);
		}
		put(f, COMMON, C_Q_VECTOR, 2, vector);
		assert_int_equal(get(f, COMMON, C_Q_VECTOR, 2), vector);
		put(f, COMMON, C_Q_ENABLE, 2, 1);
		assert_int_equal(get(f, COMMON, C_Q_ENABLE, 2), 1);
	}
	put(f, COMMON, C_STATUS, 1, 15);
}

static int request(struct function *f, const u8 *req, u32 n)
{
	struct world *w = &f->w;
	u32 id, len;

	memcpy(mem_at(w, REQ_PA), req, n);
	put_desc(w, REQUESTS, 0, REQ_PA, n, D_NEXT, 1);
	put_desc(w, REQUESTS, 1, RESP_PA, 4, D_WRITE, 0);
	offer(w, REQUESTS, 0);
	put(f, COMMON, C_Q_SELECT, 2, REQUESTS);
	put(f, NOTIFY, (u32)get(f, COMMON, C_Q_NOTIFY_OFF, 2) * f->multiplier, 2, REQUESTS);
	while (ui_pci_step(f->pci))
		;
	assert_true(take_used(w, REQUESTS, &id, &len));
	assert_int_equal(len, 4);
	return *(u8 *)mem_at(w, RESP_PA);
}

static void the_function_is_what_drivers_look_for(void **state)
{
	struct function f;

	function_open(&f);
	assert_int_equal(cfg_get(&f, PCI_CFG_VENDOR, 4), 0x10571af4);
	assert_in_range(cfg_get(&f, PCI_CFG_REVISION, 1), 1, 255);
	assert_true(f.caps[COMMON].length >= 56);
	assert_true(f.caps[DEVICE].length >= 40);
	/* Features, word by word; beyond the second there is nothing. */
	put(&f, COMMON, 0, 4, 0);
	assert_int_equal(get(&f, COMMON, 4, 4), 0x30000077);
	put(&f, COMMON, 0, 4, 1);
	assert_int_equal(get(&f, COMMON, 4, 4), 1);
	put(&f, COMMON, 0, 4, 2);
	assert_int_equal(get(&f, COMMON, 4, 4), 0);
	assert_int_equal(get(&f, COMMON, 18, 2), 2);
	/* A queue that is not there has no size. */
	put(&f, COMMON, C_Q_SELECT, 2, 2);
	assert_int_equal(get(&f, COMMON, C_Q_SIZE, 2), 0);
	put(&f, COMMON, C_Q_SELECT, 2, 0xffff);
	put(&f, COMMON, C_Q_VECTOR, 2, 0);
	put(&f, COMMON, C_Q_ENABLE, 2, 1);
	assert_int_equal(get(&f, COMMON, C_Q_SIZE, 2), 0);
	assert_int_equal(get(&f, DEVICE, 0, 8), 0x40201000);
	assert_int_equal(get(&f, DEVICE, 16, 8), 0xffffffffffff);
	function_close(&f);
}

static void requests_with_msix(void **state)
{
	struct function f;
	u8 req[64];

	function_open(&f);
	ui_pci_irq_mode(f.pci, UI_PCI_IRQ_MSIX, 3);
	for (unsigned i = 0; i < 3; i++)
		ui_pci_msix_mask(f.pci, i, false);
	start(&f, 1, 2);
	assert_int_equal(request(&f, req, fill_attach(req, 1, 8, 0)), S_OK);
	assert_int_equal(f.n_msgs[1], 1);
	assert_int_equal(request(&f, req, fill_map(req, 1, 0x1000, 0x1fff, DATA_PA, 1)), S_OK);
	assert_int_equal(seen(&f.w, 0, 0x1000), DATA_PA);
	/* A fault wakes the function, and its event has a vector of its own. */
	put_desc(&f.w, EVENTS, 0, EVENT_PA, 24, D_WRITE, 0);
	offer(&f.w, EVENTS, 0);
	f.n_wakes = 0;
	assert_int_equal(seen(&f.w, 0, 0x2000), 0);
	assert_int_equal(f.n_wakes, 1);
	while (ui_pci_step(f.pci))
		;
	assert_int_equal(f.n_msgs[2], 1);
	/* A broken queue: the third vector, once it is set. */
	put(&f, COMMON, 16, 2, 9);
	assert_int_equal(get(&f, COMMON, 16, 2), 0xffff); /* refused */
	put(&f, COMMON, 16, 2, 0);
	put16(&f.w, avail_pa(REQUESTS) + 2, 0x7000);
	put(&f, NOTIFY, 0, 2, 0);
	while (ui_pci_step(f.pci))
		;
	assert_int_equal(f.n_msgs[0], 1);
	assert_int_equal(get(&f, COMMON, C_STATUS, 1), 15 | UI_VIRTIO_STATUS_NEEDS_RESET);
	assert_int_equal(f.n_rises, 0);
	function_close(&f);
}

static void requests_with_the_pin(void **state)
{
	struct function f;
	u8 req[64];

	function_open(&f);
	start(&f, 0xffff, 0xffff);
	assert_int_equal(request(&f, req, fill_attach(req, 1, 8, 0)), S_OK);
	assert_true(f.level);
	assert_int_equal(get(&f, ISR, 0, 1), 1);
	assert_false(f.level); /* reading takes it away */
	assert_int_equal(get(&f, ISR, 0, 1), 0);
	function_close(&f);
}

/* 4.1.4.9 */
static void registers_through_configuration_space(void **state)
{
	struct function f;
	u32 at;

	function_open(&f);
	at = f.caps[PCI_CFG].at;
	cfg_put(&f, at + 4, 1, f.caps[DEVICE].bar);
	cfg_put(&f, at + 8, 4, f.caps[DEVICE].offset);
	cfg_put(&f, at + 12, 4, 4);
	assert_int_equal(cfg_get(&f, at + 16, 4), 0x40201000);
	cfg_put(&f, at + 8, 4, f.caps[COMMON].offset + C_STATUS);
	cfg_put(&f, at + 12, 4, 1);
	cfg_put(&f, at + 16, 1, 3);
	assert_int_equal(get(&f, COMMON, C_STATUS, 1), 3);
	assert_int_equal(cfg_get(&f, at + 16, 1), 3);
	/* What is no access at all shows nothing. */
	cfg_put(&f, at + 12, 4, 3);
	assert_int_equal(cfg_get(&f, at + 16, 4), 0);
	cfg_put(&f, at + 12, 4, 4);
	cfg_put(&f, at + 8, 4, 0xfffffffc);
	cfg_put(&f, at + 16, 4, 0);
	assert_int_equal(cfg_get(&f, at + 16, 4), 0);
	/* Nothing else of the capabilities takes writes. */
	cfg_put(&f, f.caps[COMMON].at + 8u, 4, 0xffffffff);
	assert_int_equal(cfg_get(&f, f.caps[COMMON].at + 8u, 4), f.caps[COMMON].offset);
	function_close(&f);
}

static void a_reset_of_the_function_is_one_of_the_device(void **state)
{
	struct function f;
	u8 req[64];

	function_open(&f);
	start(&f, 1, 2);
	assert_int_equal(request(&f, req, fill_attach(req, 1, 8, 0)), S_OK);
	ui_pci_reset(f.pci);
	cfg_put(&f, PCI_CFG_COMMAND, 2, PCI_CMD_MEM | PCI_CMD_MASTER);
	assert_int_equal(get(&f, COMMON, C_STATUS, 1), 0);
	put(&f, COMMON, C_Q_SELECT, 2, 0);
	assert_int_equal(get(&f, COMMON, C_Q_ENABLE, 2), 0);
	assert_int_equal(get(&f, COMMON, C_Q_VECTOR, 2), 0xffff);
	start(&f, 0xffff, 0xffff);
	assert_int_equal(request(&f, req, fill_detach(req, 1, 8)), S_INVAL);
	function_close(&f);
}

/* Odd accesses everywhere: nothing happens that a sanitizer would not like. */
static void every_access_is_survived(void **state)
{
	struct function f;
	u64 val = ~(u64)0;

	function_open(&f);
	for (u64 at = 0; at < 0x4000; at++) {
		for (u32 n = 1; n <= 16 && at + n <= 0x4000; n += 3) {
			u8 buf[16];

			memset(buf, (int)(at * 7 + n), sizeof(buf));
			ui_pci_bar_read(f.pci, 0, at, buf, n);
			ui_pci_bar_write(f.pci, 0, at, buf, n);
		}
	}
	for (u32 at = 0; at < 4096; at++) {
		ui_pci_config_write(f.pci, at, &val, 1 + at % 8);
		ui_pci_config_read(f.pci, at, &val, 1 + at % 8);
	}
	while (ui_pci_step(f.pci))
		;
	function_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_function_is_what_drivers_look_for),
		cmocka_unit_test(requests_with_msix),
		cmocka_unit_test(requests_with_the_pin),
		cmocka_unit_test(registers_through_configuration_space),
		cmocka_unit_test(a_reset_of_the_function_is_one_of_the_device),
		cmocka_unit_test(every_access_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
