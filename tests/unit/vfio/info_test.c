/* SPDX-License-Identifier: MIT */
/* What the device says about itself, features, resets: devices-and-transports.md 1.4 to 1.6, 1.8, 1.9. */
#include "common.h"

/* Every informing call: EFAULT for no buffer, a buffer that cannot be written, EINVAL for each argsz below the least. */
static void common_rules(void **state)
{
	static const struct {
		u32 cmd, min, size;
	} calls[] = {
		{ UI_VFIO_GET_INFO, 16, 24 },
		{ UI_VFIO_GET_REGION_INFO, 32, 32 },
		{ UI_VFIO_GET_IRQ_INFO, 16, 16 },
	};
	struct stand *s = *state;

	catch_faults();
	for (unsigned i = 0; i < ui_array_size(calls); i++) {
		u32 buf[32] = { 0 };

		assert_int_equal(call(s, calls[i].cmd, NULL), -EFAULT);
		assert_int_equal(call(s, calls[i].cmd, no_page()), -EFAULT);
		for (buf[0] = 0; buf[0] < calls[i].min; buf[0]++)
			assert_int_equal(call(s, calls[i].cmd, buf), -EINVAL);
		buf[0] = 128;
		assert_int_equal(call(s, calls[i].cmd, ro_page(buf, sizeof(buf))), -EFAULT);
		memset(buf + 1, 0, sizeof(buf) - 4);
		buf[calls[i].size / 4] = 0xabcdef;
		assert_int_equal(call(s, calls[i].cmd, buf), 0);
		assert_int_equal(buf[calls[i].size / 4], 0xabcdef); /* not a byte beyond the struct */
		assert_int_equal(buf[0], 128);
	}
}

static void device_info(void **state)
{
	struct stand *s = *state;
	struct ui_vfio_info info = { .argsz = sizeof(info), .flags = ~0u, .cap_offset = 77 };

	assert_int_equal(call(s, UI_VFIO_GET_INFO, &info), 0);
	assert_int_equal(info.flags, UI_VFIO_INFO_RESET | UI_VFIO_INFO_PCI);
	assert_int_equal(info.num_regions, 9);
	assert_int_equal(info.num_irqs, 5);
	assert_int_equal(info.cap_offset, 0);
	info = (struct ui_vfio_info){ .argsz = 16, .cap_offset = 77 };
	assert_int_equal(call(s, UI_VFIO_GET_INFO, &info), 0);
	assert_int_equal(info.num_irqs, 5);
	assert_int_equal(info.cap_offset, 77); /* beyond argsz */
}

static void region_info(void **state)
{
	static const struct {
		u64 size;
		u32 flags;
	} want[8] = { [0] = { 16 << 10, 3 }, [2] = { 32 << 10, 7 }, [4] = { 8 << 10, 3 }, [7] = { 4096, 3 } };
	struct stand *s = *state;

	for (u32 i = 0; i < 8; i++) {
		struct ui_vfio_region_info info = { .argsz = 32, .index = i, .flags = ~0u, .cap_offset = 5, .size = 1, .offset = 1 };

		assert_int_equal(call(s, UI_VFIO_GET_REGION_INFO, &info), 0);
		assert_int_equal(info.size, want[i].size);
		assert_int_equal(info.flags, want[i].flags);
		assert_int_equal(info.offset, REGION(i));
		assert_int_equal(info.cap_offset, 0);
	}
	for (u32 i = 8; i < 20; i++) {
		struct ui_vfio_region_info info = { .argsz = 32, .index = i };

		assert_int_equal(call(s, UI_VFIO_GET_REGION_INFO, &info), -EINVAL);
		info.index = ~i;
		assert_int_equal(call(s, UI_VFIO_GET_REGION_INFO, &info), -EINVAL);
	}
}

static void irq_info(void **state)
{
	static const u32 counts[5] = { 1, 8, 9, 1, 1 }, flags[5] = { 7, 9, 1, 9, 9 };
	struct stand *s = *state;
	struct ui_vfio_irq_info info;

	for (u32 i = 0; i < 5; i++) {
		info = (struct ui_vfio_irq_info){ .argsz = 16, .index = i, .flags = ~0u };
		assert_int_equal(call(s, UI_VFIO_GET_IRQ_INFO, &info), 0);
		assert_int_equal(info.count, counts[i]);
		assert_int_equal(info.flags, flags[i]);
	}
	info = (struct ui_vfio_irq_info){ .argsz = 16, .index = 5 };
	assert_int_equal(call(s, UI_VFIO_GET_IRQ_INFO, &info), -EINVAL);
	info.index = ~0u;
	assert_int_equal(call(s, UI_VFIO_GET_IRQ_INFO, &info), -EINVAL);
}

static long feature(struct stand *s, u32 argsz, u32 flags)
{
	u32 buf[16] = { argsz, flags };

	return call(s, UI_VFIO_FEATURE, buf);
}

static void features_are_absent_politely(void **state)
{
	struct stand *s = *state;
	const u32 get = 1 << 16, set = 1 << 17, probe = 1 << 18;

	catch_faults();
	assert_int_equal(call(s, UI_VFIO_FEATURE, NULL), -EFAULT);
	for (u32 argsz = 0; argsz < 8; argsz++)
		assert_int_equal(feature(s, argsz, get), -EINVAL);
	for (unsigned bit = 19; bit < 32; bit++)
		assert_int_equal(feature(s, 64, get | 1u << bit), -EINVAL);
	assert_int_equal(feature(s, 64, get | set | 1), -EINVAL);
	for (u32 id = 0; id < 64; id++) {
		long want = id == 12 ? -EINVAL : -ENOTTY;

		assert_int_equal(feature(s, 8, get | id), want);
		assert_int_equal(feature(s, 64, set | id), want);
		assert_int_equal(feature(s, 64, probe | id), want);
		assert_int_equal(feature(s, 64, probe | get | set | id), want);
	}
}

static void hot_reset_is_not_there(void **state)
{
	struct stand *s = *state;
	struct ui_vfio_hot_reset h;

	catch_faults();
	for (u32 cmd = UI_VFIO_GET_HOT_RESET_INFO; cmd <= UI_VFIO_HOT_RESET; cmd++) {
		assert_int_equal(call(s, cmd, NULL), -EFAULT);
		for (u32 argsz = 0; argsz < 12; argsz++) {
			h = (struct ui_vfio_hot_reset){ .argsz = argsz };
			assert_int_equal(call(s, cmd, &h), -EINVAL);
		}
		h = (struct ui_vfio_hot_reset){ .argsz = 12 };
		assert_int_equal(call(s, cmd, &h), -ENODEV);
	}
	h = (struct ui_vfio_hot_reset){ .argsz = 12, .flags = 1 };
	assert_int_equal(call(s, UI_VFIO_HOT_RESET, &h), -EINVAL);
	h = (struct ui_vfio_hot_reset){ .argsz = 16, .count = 1 };
	assert_int_equal(call(s, UI_VFIO_HOT_RESET, &h), -EINVAL);
}

/* 1.8: registers are reset, configuration and eventfds stay. */
static void reset_keeps_configuration(void **state)
{
	struct stand *s = *state;

	vcfg_write(s, PCI_CFG_COMMAND, PCI_CMD_MEM | PCI_CMD_MASTER, 2);
	vcfg_write(s, PCI_CFG_BAR0, 0xfe000000, 4);
	reg_write(&s->w, G_IRQ_MASK, 3, 4);
	reg_write(&s->w, G_CTRL, 1, 4);
	assert_int_equal(call(s, UI_VFIO_RESET, 0), 0);
	assert_int_equal(reg_read(&s->w, G_IRQ_MASK, 4) | reg_read(&s->w, G_CTRL, 4), 0);
	assert_int_equal(vcfg_read(s, PCI_CFG_COMMAND, 2), PCI_CMD_MEM | PCI_CMD_MASTER);
	assert_int_equal(vcfg_read(s, PCI_CFG_BAR0, 4), 0xfe000004);
	assert_true(ui_pci_pasid_enabled(s->w.pci));
}

int main(void)
{
#define B(fn) cmocka_unit_test_setup_teardown(fn, bound_setup, bound_teardown)
	const struct CMUnitTest tests[] = {
		B(common_rules),
		B(device_info),
		B(region_info),
		B(irq_info),
		B(features_are_absent_politely),
		B(hot_reset_is_not_there),
		B(reset_keeps_configuration),
	};

	return cmocka_run_group_tests_name("info", tests, NULL, NULL);
}
