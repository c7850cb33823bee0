/* SPDX-License-Identifier: MIT */
/* BIND, ATTACH, DETACH and what is possible before and after: devices-and-transports.md 1.2 and 1.3. */
#include "common.h"

static int setup(void **state)
{
	static struct stand s;

	stand_open(&s, 16);
	*state = &s;
	return 0;
}

/* 1.2: everything but BIND is EINVAL before BIND. */
static void nothing_works_before_bind(void **state)
{
	struct stand *s = *state;
	u8 buf[64] = { 64 };
	unsigned bar;
	u64 offset;

	for (u32 cmd = 0x3b00; cmd < 0x3c00; cmd++) {
		if (cmd != UI_VFIO_BIND)
			assert_int_equal(call(s, cmd, buf), -EINVAL);
	}
	assert_int_equal(ui_vfio_pread(s->v, buf, 4, REGION(7)), -EINVAL);
	assert_int_equal(ui_vfio_pwrite(s->v, buf, 4, REGION(7)), -EINVAL);
	assert_int_equal(ui_vfio_pread(s->v, buf, 0, 0), -EINVAL);
	assert_int_equal(ui_vfio_mmap(s->v, REGION(2), PAGE, true, &bar, &offset), -EINVAL);
}

static long bind_with(struct stand *s, u32 argsz, u32 flags, s32 fd)
{
	struct {
		struct ui_vfio_bind b;
		u8 tail[64];
	} a = { .b = { .argsz = argsz, .flags = flags, .iommufd = fd } };

	return call(s, UI_VFIO_BIND, &a);
}

static void bind_checks_in_order(void **state)
{
	struct stand *s = *state;
	struct {
		struct ui_vfio_bind b;
		u8 tail[1000];
	} a = { .b = { .argsz = sizeof(a), .iommufd = IOMMUFD } };
	u8 uuid[16] = { 0 };

	catch_faults();
	assert_int_equal(call(s, UI_VFIO_BIND, NULL), -EFAULT);
	assert_int_equal(call(s, UI_VFIO_BIND, no_page()), -EFAULT);
	for (u32 argsz = 0; argsz < 16; argsz++)
		assert_int_equal(bind_with(s, argsz, ~0u, -1), -EINVAL);
	/* The tail comes before the fields. */
	a.tail[999] = 1;
	a.b.iommufd = -1;
	assert_int_equal(call(s, UI_VFIO_BIND, &a), -E2BIG);
	a.tail[999] = 0;
	assert_int_equal(call(s, UI_VFIO_BIND, &a), -EINVAL);
	for (unsigned bit = 1; bit < 32; bit++)
		assert_int_equal(bind_with(s, 24, 1u << bit, IOMMUFD), -EINVAL);
	assert_int_equal(bind_with(s, 24, 0, -1), -EINVAL);
	assert_int_equal(bind_with(s, 24, 0, -2), -EINVAL);
	assert_int_equal(bind_with(s, 24, 0, 5), -EBADF);
	assert_int_equal(bind_with(s, 24, 0, OTHER_FD), -EBADFD);
	/* A token for a function that has none; a token that is not there (also with argsz 16: its address is then 0). */
	a.b = (struct ui_vfio_bind){ .argsz = 24, .flags = 1, .iommufd = IOMMUFD, .token_uuid_ptr = (u64)(uintptr_t)uuid };
	assert_int_equal(call(s, UI_VFIO_BIND, &a), -EINVAL);
	a.b.argsz = 16;
	assert_int_equal(call(s, UI_VFIO_BIND, &a), -EFAULT);
	s->bind_ret = -EBUSY;
	assert_int_equal(bind_with(s, 24, 0, IOMMUFD), -EBUSY);
	s->bind_ret = 0;
	assert_int_equal(s->n_bound, 0);
}

static void bind_takes_short_exact_and_long_structs(void **state)
{
	static const u32 sizes[] = { 16, 20, 24, 25, 88 };
	struct stand *s = *state;

	for (unsigned i = 0; i < ui_array_size(sizes); i++) {
		assert_int_equal(bind_with(s, sizes[i], 0, IOMMUFD), 0);
		assert_int_equal(s->n_bound, 1);
		assert_int_equal(bind_with(s, 24, 0, IOMMUFD), -EINVAL); /* a second time */
		ui_vfio_close(s->v);
		assert_int_equal(s->n_bound, 0);
		s->v = ui_vfio_open(s->w.pci, NULL, stand_binder, s);
	}
}

/* out_devid cannot be written: nothing stays bound, and a good one works. */
static void bind_undoes_itself(void **state)
{
	struct stand *s = *state;
	struct ui_vfio_bind b = { .argsz = sizeof(b), .iommufd = IOMMUFD };

	catch_faults();
	assert_int_equal(call(s, UI_VFIO_BIND, ro_page(&b, sizeof(b))), -EFAULT);
	assert_int_equal(s->n_bound, 0);
	assert_int_equal(ui_vfio_pread(s->v, &b, 4, REGION(7)), -EINVAL);
	stand_bind_now(s);
}

static void a_device_is_bound_through_one_descriptor(void **state)
{
	struct stand *s = *state;
	struct ui_vfio *other = ui_vfio_open(s->w.pci, NULL, stand_binder, s), *first = s->v;

	stand_bind_now(s);
	s->v = other;
	assert_int_equal(bind_with(s, 24, 0, IOMMUFD), -EINVAL);
	ui_vfio_close(first);
	stand_bind_now(s);
}

static void bind_and_close_leave_the_function_quiet(void **state)
{
	struct stand *s = *state;

	world_start(&s->w);
	reg_write(&s->w, G_IRQ_MASK, 5, 4);
	stand_bind_now(s);
	assert_int_equal(vcfg_read(s, PCI_CFG_COMMAND, 2), PCI_CMD_MEM);
	assert_true(ui_pci_pasid_enabled(s->w.pci));
	assert_int_equal(reg_read(&s->w, G_IRQ_MASK, 4), 0);
	vcfg_write(s, PCI_CFG_COMMAND, PCI_CMD_MEM | PCI_CMD_MASTER, 2);
	ui_vfio_close(s->v);
	s->v = NULL;
	assert_false(s->master_at_unbind); /* DMA ends before the address spaces go */
	assert_int_equal(cfg_read(&s->w, PCI_CFG_COMMAND, 2), 0);
}

static void attach_checks_in_order(void **state)
{
	struct stand *s = *state;
	struct ui_vfio_attach a;

	catch_faults();
	assert_int_equal(call(s, UI_VFIO_ATTACH, NULL), -EFAULT);
	for (u32 argsz = 0; argsz < 12; argsz++) {
		a = (struct ui_vfio_attach){ .argsz = argsz, .flags = ~0u };
		assert_int_equal(call(s, UI_VFIO_ATTACH, &a), -EINVAL);
	}
	for (unsigned bit = 1; bit < 32; bit++) {
		a = (struct ui_vfio_attach){ .argsz = 16, .flags = 1u << bit };
		assert_int_equal(call(s, UI_VFIO_ATTACH, &a), -EINVAL);
	}
	for (u32 argsz = 12; argsz < 16; argsz++) {
		a = (struct ui_vfio_attach){ .argsz = argsz, .flags = 1 };
		assert_int_equal(call(s, UI_VFIO_ATTACH, &a), -EINVAL);
	}
	assert_int_equal(s->n_attached, 0);
	s->attach_ret = -ENOENT;
	a = (struct ui_vfio_attach){ .argsz = 12, .pt_id = 3 };
	assert_int_equal(call(s, UI_VFIO_ATTACH, &a), -ENOENT);
	assert_int_equal(a.pt_id, 3);
}

static void attach_passes_pasid_and_returns_the_table(void **state)
{
	struct stand *s = *state;
	struct ui_vfio_attach a = { .argsz = 12, .pt_id = 3, .pasid = 99 };
	struct ui_vfio_detach d = { .argsz = 8, .pasid = 99 };

	assert_int_equal(call(s, UI_VFIO_ATTACH, &a), 0);
	assert_int_equal(a.pt_id, 103);
	assert_false(s->has_pasid);
	assert_int_equal(s->pasid, 0);
	a = (struct ui_vfio_attach){ .argsz = 16, .flags = 1, .pt_id = 4, .pasid = 0 };
	assert_int_equal(call(s, UI_VFIO_ATTACH, &a), 0);
	assert_true(s->has_pasid); /* PASID 0 is not "none" */
	a = (struct ui_vfio_attach){ .argsz = 100, .flags = 1, .pt_id = 4, .pasid = 12 };
	assert_int_equal(call(s, UI_VFIO_ATTACH, &a), 0);
	assert_int_equal(s->pasid, 12);
	assert_int_equal(call(s, UI_VFIO_DETACH, &d), 0);
	assert_false(s->has_pasid);
	d = (struct ui_vfio_detach){ .argsz = 12, .flags = 1, .pasid = 12 };
	assert_int_equal(call(s, UI_VFIO_DETACH, &d), 0);
	assert_true(s->has_pasid);
	assert_int_equal(s->pasid, 12);
}

static void attach_undoes_itself(void **state)
{
	struct stand *s = *state;
	struct ui_vfio_attach a = { .argsz = 16, .flags = 1, .pt_id = 3, .pasid = 5 };

	catch_faults();
	assert_int_equal(call(s, UI_VFIO_ATTACH, ro_page(&a, sizeof(a))), -EFAULT);
	assert_int_equal(s->n_attached, 1);
	assert_int_equal(s->n_detached, 1);
	assert_int_equal(s->pasid, 5);
}

static void detach_checks_in_order(void **state)
{
	struct stand *s = *state;
	struct ui_vfio_detach d;

	catch_faults();
	assert_int_equal(call(s, UI_VFIO_DETACH, NULL), -EFAULT);
	for (u32 argsz = 0; argsz < 8; argsz++) {
		d = (struct ui_vfio_detach){ .argsz = argsz };
		assert_int_equal(call(s, UI_VFIO_DETACH, &d), -EINVAL);
	}
	for (unsigned bit = 1; bit < 32; bit++) {
		d = (struct ui_vfio_detach){ .argsz = 12, .flags = 1u << bit };
		assert_int_equal(call(s, UI_VFIO_DETACH, &d), -EINVAL);
	}
	for (u32 argsz = 8; argsz < 12; argsz++) {
		d = (struct ui_vfio_detach){ .argsz = argsz, .flags = 1 };
		assert_int_equal(call(s, UI_VFIO_DETACH, &d), -EINVAL);
	}
	d = (struct ui_vfio_detach){ .argsz = 8 };
	assert_int_equal(call(s, UI_VFIO_DETACH, &d), 0); /* nothing attached: still well */
}

static void whether_there_are_pasids_is_the_iommus_to_say(void **state)
{
	struct stand s;
	struct ui_vfio_attach a = { .argsz = 12, .flags = 1, .pasid = 7 };
	struct ui_vfio_detach d = { .argsz = 8, .flags = 1 };

	stand_open(&s, 0);
	stand_bind_now(&s);
	assert_int_equal(call(&s, UI_VFIO_ATTACH, &a), -EINVAL);
	assert_int_equal(call(&s, UI_VFIO_DETACH, &d), -EINVAL);
	a.argsz = 16;
	assert_int_equal(call(&s, UI_VFIO_ATTACH, &a), 0);
	assert_true(s.has_pasid);
	assert_int_equal(s.pasid, 7);
	stand_close(&s);
}

static void unknown_numbers_are_enotty(void **state)
{
	struct stand *s = *state;
	u8 buf[64] = { 64 };

	assert_int_equal(call(s, UI_VFIO_IOEVENTFD, buf), -ENOTTY);
	for (u32 n = 0; n < 0x100; n++) {
		if (n < 0x64 + 7 || n > 0x64 + 20 || n == 0x64 + 14 || n == 0x64 + 15)
			assert_int_equal(call(s, 0x3b00 | n, buf), -ENOTTY);
	}
	assert_int_equal(call(s, 0xc0000000 | UI_VFIO_RESET, buf), -ENOTTY);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, bound_teardown)
#define B(fn) cmocka_unit_test_setup_teardown(fn, bound_setup, bound_teardown)
	const struct CMUnitTest tests[] = {
		T(nothing_works_before_bind),
		T(bind_checks_in_order),
		T(bind_takes_short_exact_and_long_structs),
		T(bind_undoes_itself),
		T(a_device_is_bound_through_one_descriptor),
		T(bind_and_close_leave_the_function_quiet),
		B(attach_checks_in_order),
		B(attach_passes_pasid_and_returns_the_table),
		B(attach_undoes_itself),
		B(detach_checks_in_order),
		B(unknown_numbers_are_enotty),
		cmocka_unit_test(whether_there_are_pasids_is_the_iommus_to_say),
	};

	return cmocka_run_group_tests_name("bind", tests, NULL, NULL);
}
