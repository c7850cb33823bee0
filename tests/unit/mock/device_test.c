/* SPDX-License-Identifier: MIT */
/* Mock devices: made, attached, replaced, with PASIDs; what they report. iommufd-semantics.md sections 4 and 11. */
#include "common.h"

/* 11, MOCK_DOMAIN: ids in the order object, device, HWPT */
static void a_device_takes_three_ids(void **state)
{
	u32 ioas = ioas_new(&rig);
	struct mock_dev dev, second;

	assert_int_equal(mock_domain(ioas, 0, &dev), 0);
	assert_int_equal(dev.stdev, ioas + 1);
	assert_int_equal(dev.dev, ioas + 2);
	assert_int_equal(dev.hwpt, ioas + 3);
	/* A second one fits the same HWPT. */
	assert_int_equal(mock_domain(ioas, PASIDS, &second), 0);
	assert_int_equal(second.stdev, ioas + 4);
	assert_int_equal(second.dev, ioas + 5);
	assert_int_equal(second.hwpt, dev.hwpt);
	assert_int_equal(destroy(&rig, dev.dev), -EBUSY);
	assert_int_equal(destroy(&rig, dev.hwpt), -EBUSY);
	assert_int_equal(destroy(&rig, dev.stdev), 0);
	assert_int_equal(destroy(&rig, dev.dev), -ENOENT);
	assert_int_equal(destroy(&rig, second.stdev), 0);
	assert_int_equal(destroy(&rig, dev.hwpt), -ENOENT);
	assert_int_equal(destroy(&rig, ioas), 0);
	/* All numbers are free again. */
	assert_int_equal(ioas_new(&rig), ioas);
}

static void a_device_that_cannot_be_is_not_left_behind(void **state)
{
	u32 ioas = ioas_new(&rig), next;
	struct mock_dev dev;

	assert_int_equal(mock_domain(ioas, 2, &dev), -EINVAL);
	assert_int_equal(mock_domain(ioas, 8, &dev), -EINVAL);
	assert_int_equal(mock_domain(99, 0, &dev), -ENOENT);
	/* Outside the aperture, unaligned, not there. */
	assert_int_equal(map_at(&rig, ioas, mem, PAGE, 0x1000), 0);
	assert_int_equal(mock_domain(ioas, 0, &dev), -EADDRINUSE);
	assert_int_equal(unmap(&rig, ioas, 0, MAX, NULL), 0);
	assert_int_equal(map_at(&rig, ioas, mem, PAGE, IOVA + 1024), 0);
	assert_int_equal(mock_domain(ioas, 0, &dev), -EADDRINUSE);
	assert_int_equal(unmap(&rig, ioas, 0, MAX, NULL), 0);
	assert_int_equal(map_at(&rig, ioas, NULL, PAGE, IOVA), 0);
	assert_int_equal(mock_domain(ioas, 0, &dev), -EFAULT);
	assert_int_equal(unmap(&rig, ioas, 0, MAX, NULL), 0);
	next = ioas_new(&rig);
	assert_int_equal(next, ioas + 1);
	assert_int_equal(destroy(&rig, next), 0);
}

/* The reply cannot be written: nothing stays. */
static void a_device_nobody_can_be_told_of_goes(void **state)
{
	u8 *page = pages_new(PAGE);
	struct test_cmd *cmd = (struct test_cmd *)page;
	u32 ioas = ioas_new(&rig);

	*cmd = (struct test_cmd){ .size = sizeof(*cmd), .op = MOCK_DOMAIN, .id = ioas };
	assert_int_equal(mprotect(page, PAGE, PROT_READ), 0);
	assert_int_equal(call(&rig, 0x3ba0, cmd), -EFAULT);
	assert_int_equal(destroy(&rig, ioas), 0);
	assert_int_equal(ioas_new(&rig), ioas);
	assert_int_equal(ioas_new(&rig), ioas + 1);
	munmap(page, PAGE);
}

/* Each allocation fails in turn: the call succeeds, or everything is as before. */
static void failures_leave_nothing_behind(void **state)
{
	u32 ioas = ioas_new(&rig), other = ioas_new(&rig), pt;
	struct mock_dev dev;
	u64 n = 0;
	long ret;

	/* What grows for good, numbers' tables, has grown. */
	assert_int_equal(mock_domain(ioas, PASIDS, &dev), 0);
	assert_int_equal(destroy(&rig, dev.stdev), 0);
	do {
		u64 live = ui_alloc_live();

		ui_inject_arm(++n);
		ret = mock_domain(ioas, PASIDS, &dev);
		if (ret) {
			assert_int_equal(ret, -ENOMEM);
			assert_int_equal(ui_alloc_live(), live);
		}
	} while (ui_inject_left() == 0);
	ui_inject_arm(0);
	assert_int_equal(ret, 0);
	assert_true(n > 5);
	print_message("%llu points\n", (unsigned long long)n - 1);
	assert_int_equal(dev.stdev, other + 1);
	for (n = 1;; n++) {
		struct test_cmd cmd = { .op = MOCK_DOMAIN_REPLACE, .id = dev.stdev, .w = { other } };

		ui_inject_arm(n);
		ret = test_call(&cmd);
		pt = cmd.w[0];
		if (ui_inject_left())
			break;
		assert_int_equal(ret, -ENOMEM);
		assert_int_equal(test_w(PASID_CHECK_HWPT, dev.stdev, 0, dev.hwpt), 0);
	}
	ui_inject_arm(0);
	assert_int_equal(ret, 0);
	assert_int_equal(test_w(PASID_CHECK_HWPT, dev.stdev, 0, pt), 0);
	assert_int_equal(destroy(&rig, dev.hwpt), -ENOENT);
}

/* 11, MOCK_DOMAIN_REPLACE; 4, replace */
static void replace_tells_the_new_hwpt(void **state)
{
	u32 ioas = ioas_new(&rig), other = ioas_new(&rig), hwpt;
	struct test_cmd cmd = { .op = MOCK_DOMAIN_REPLACE };
	struct mock_dev dev;

	assert_int_equal(mock_domain(ioas, 0, &dev), 0);
	cmd.id = dev.stdev;
	cmd.w[0] = other;
	assert_int_equal(test_call(&cmd), 0);
	hwpt = cmd.w[0];
	assert_int_not_equal(hwpt, other);
	assert_int_equal(destroy(&rig, dev.hwpt), -ENOENT);
	assert_int_equal(test_w(MOCK_DOMAIN_REPLACE, dev.stdev, hwpt, 0), 0);
	assert_int_equal(test_w(MOCK_DOMAIN_REPLACE, dev.stdev, 99, 0), -ENOENT);
	assert_int_equal(test_w(MOCK_DOMAIN_REPLACE, dev.stdev, dev.dev, 0), -EINVAL);
	assert_int_equal(test_w(MOCK_DOMAIN_REPLACE, dev.dev, ioas, 0), -ENOENT);
	assert_int_equal(test_w(MOCK_DOMAIN_REPLACE, ioas, ioas, 0), -ENOENT);
}

/* 11: GET_HW_INFO of a mock device */
static void hw_info_is_the_selftests(void **state)
{
	u32 ioas = ioas_new(&rig), data[3] = { 7, 7, 7 };
	struct ui_uapi_hw_info cmd = { .size = sizeof(cmd), .data_len = sizeof(data), .data_uptr = (u64)(uintptr_t)data };
	struct mock_dev dev, poor;

	assert_int_equal(mock_domain(ioas, PASIDS, &dev), 0);
	assert_int_equal(mock_domain(ioas, NO_DIRTY, &poor), 0);
	cmd.dev_id = dev.dev;
	assert_int_equal(call(&rig, UI_UAPI_GET_HW_INFO, &cmd), 0);
	assert_int_equal(cmd.data_len, 8);
	assert_int_equal(cmd.out_data_type, 0xfeedbeef);
	assert_int_equal(data[0], 0);
	assert_int_equal(data[1], 0xdeadbeef);
	assert_int_equal(data[2], 0);
	assert_int_equal(cmd.out_max_pasid_log2, 20);
	assert_true(cmd.out_capabilities & UI_UAPI_HW_CAP_DIRTY_TRACKING);
	assert_true(cmd.out_capabilities & UI_UAPI_HW_CAP_ATS_NOT_SUPPORTED);
	cmd.dev_id = poor.dev;
	assert_int_equal(call(&rig, UI_UAPI_GET_HW_INFO, &cmd), 0);
	assert_int_equal(cmd.out_max_pasid_log2, 0);
	assert_false(cmd.out_capabilities & UI_UAPI_HW_CAP_DIRTY_TRACKING);
}

/* 11: a domain with dirty tracking and a device without */
static void dirty_tracking_needs_the_device(void **state)
{
	u32 ioas = ioas_new(&rig), hwpt;
	struct mock_dev dev, poor;

	assert_int_equal(mock_domain(ioas, 0, &dev), 0);
	assert_int_equal(hwpt_new(&rig, dev.dev, ioas, UI_UAPI_HWPT_DIRTY_TRACKING, &hwpt), 0);
	assert_int_equal(mock_domain(hwpt, NO_DIRTY, &poor), -EINVAL);
	assert_int_equal(mock_domain(ioas, NO_DIRTY, &poor), 0);
	assert_int_equal(poor.hwpt, dev.hwpt);
	assert_int_equal(hwpt_new(&rig, poor.dev, ioas, UI_UAPI_HWPT_DIRTY_TRACKING, &hwpt), -EOPNOTSUPP);
}

/* 11, PASID_*; 4, PASID rules */
static void pasids_attach_and_check(void **state)
{
	u32 ioas = ioas_new(&rig), plain, shared, other;
	struct test_cmd cmd = { .op = PASID_ATTACH };
	struct mock_dev dev;

	assert_int_equal(mock_domain(ioas, PASIDS, &dev), 0);
	assert_int_equal(hwpt_new(&rig, dev.dev, ioas, 0, &plain), 0);
	assert_int_equal(hwpt_new(&rig, dev.dev, ioas, UI_UAPI_HWPT_PASID, &shared), 0);
	assert_int_equal(hwpt_new(&rig, dev.dev, ioas, UI_UAPI_HWPT_PASID, &other), 0);
	/* The RID's is not made for it. */
	assert_int_equal(test_w(PASID_ATTACH, dev.stdev, 7, shared), -EINVAL);
	assert_int_equal(test_w(MOCK_DOMAIN_REPLACE, dev.stdev, shared, 0), 0);
	cmd.id = dev.stdev;
	cmd.w[0] = 7;
	cmd.w[1] = shared;
	assert_int_equal(test_call(&cmd), 0);
	assert_int_equal(cmd.w[1], shared);
	assert_int_equal(test_w(PASID_CHECK_HWPT, dev.stdev, 7, shared), 0);
	assert_int_equal(test_w(PASID_CHECK_HWPT, dev.stdev, 7, other), -EINVAL);
	assert_int_equal(test_w(PASID_CHECK_HWPT, dev.stdev, 7, 0), -EINVAL);
	assert_int_equal(test_w(PASID_CHECK_HWPT, dev.stdev, 8, 0), 0);
	assert_int_equal(test_w(PASID_CHECK_HWPT, dev.stdev, 8, shared), -EINVAL);
	assert_int_equal(test_w(PASID_CHECK_HWPT, 99, 8, 0), -ENOENT);
	assert_int_equal(test_w(PASID_ATTACH, dev.stdev, 8, plain), -EINVAL);
	assert_int_equal(test_w(PASID_ATTACH, dev.stdev, 8, ioas), -EINVAL);
	assert_int_equal(test_w(PASID_ATTACH, dev.stdev, 1 << 20, shared), -EINVAL);
	assert_int_equal(test_w(PASID_ATTACH, dev.stdev, 7, other), -EBUSY);
	assert_int_equal(test_w(PASID_REPLACE, dev.stdev, 8, other), -EINVAL);
	assert_int_equal(test_w(PASID_REPLACE, dev.stdev, 7, other), 0);
	assert_int_equal(test_w(PASID_CHECK_HWPT, dev.stdev, 7, other), 0);
	assert_int_equal(test_w(MOCK_DOMAIN_REPLACE, dev.stdev, plain, 0), -EINVAL);
	assert_int_equal(test_w(PASID_DETACH, dev.stdev, 7, 0), 0);
	assert_int_equal(test_w(PASID_DETACH, dev.stdev, 7, 0), 0);
	assert_int_equal(test_w(PASID_DETACH, 99, 7, 0), -ENOENT);
	assert_int_equal(test_w(PASID_CHECK_HWPT, dev.stdev, 7, 0), 0);
	assert_int_equal(destroy(&rig, other), 0);
}

/* 11: PASID 1024 */
static void every_second_attachment_of_one_pasid_fails(void **state)
{
	u32 ioas = ioas_new(&rig), a, b;
	struct mock_dev dev;

	assert_int_equal(mock_domain(ioas, PASIDS, &dev), 0);
	assert_int_equal(hwpt_new(&rig, dev.dev, ioas, UI_UAPI_HWPT_PASID, &a), 0);
	assert_int_equal(hwpt_new(&rig, dev.dev, ioas, UI_UAPI_HWPT_PASID, &b), 0);
	assert_int_equal(test_w(MOCK_DOMAIN_REPLACE, dev.stdev, a, 0), 0);
	assert_int_equal(test_w(PASID_ATTACH, dev.stdev, 1024, a), 0);
	assert_int_equal(test_w(PASID_REPLACE, dev.stdev, 1024, b), -ENOMEM);
	assert_int_equal(test_w(PASID_CHECK_HWPT, dev.stdev, 1024, a), 0);
	assert_int_equal(test_w(PASID_REPLACE, dev.stdev, 1024, b), 0);
	assert_int_equal(test_w(PASID_CHECK_HWPT, dev.stdev, 1024, b), 0);
	/* A detach begins anew. */
	assert_int_equal(test_w(PASID_DETACH, dev.stdev, 1024, 0), 0);
	assert_int_equal(test_w(PASID_ATTACH, dev.stdev, 1024, a), 0);
	assert_int_equal(test_w(PASID_DETACH, dev.stdev, 1024, 0), 0);
	assert_int_equal(test_w(PASID_ATTACH, dev.stdev, 1025, a), 0);
	assert_int_equal(test_w(PASID_REPLACE, dev.stdev, 1025, b), 0);
}

/* 11, TRIGGER_IOPF; 6 */
static void page_requests_reach_the_queue_of_what_is_attached(void **state)
{
	struct ui_uapi_fault_alloc queue = { .size = sizeof(queue) };
	struct ui_uapi_hwpt_alloc alloc = { .size = sizeof(alloc), .flags = UI_UAPI_HWPT_FAULT_ID_VALID | UI_UAPI_HWPT_PASID };
	u32 ioas = ioas_new(&rig);
	struct test_cmd cmd = { .op = TRIGGER_IOPF, .w = { 0, 0x55, 9, 3 } };
	struct ui_uapi_pgfault fault;
	const struct file *file;
	struct mock_dev dev;
	s64 n;

	assert_int_equal(call(&rig, UI_UAPI_FAULT_QUEUE_ALLOC, &queue), 0);
	file = &files[queue.out_fault_fd];
	assert_int_equal(mock_domain(ioas, PASIDS, &dev), 0);
	alloc.dev_id = dev.dev;
	alloc.pt_id = ioas;
	alloc.fault_id = queue.out_fault_id;
	assert_int_equal(call(&rig, UI_UAPI_HWPT_ALLOC, &alloc), 0);
	assert_int_equal(test_call(&cmd), -ENOENT);
	cmd.w[0] = dev.stdev;
	assert_int_equal(test_call(&cmd), -ENOENT);
	/* Nobody listens. */
	cmd.w[0] = dev.dev;
	assert_int_equal(test_call(&cmd), 0);
	assert_false(file->readable);
	assert_int_equal(test_w(MOCK_DOMAIN_REPLACE, dev.stdev, alloc.out_hwpt_id, 0), 0);
	cmd.w[1] = 0;
	cmd.u[2] = 0x12345678000;
	assert_int_equal(test_call(&cmd), 0);
	assert_true(file->readable);
	n = file->ops->read(file->obj, (u64)(uintptr_t)&fault, sizeof(fault), 0);
	assert_int_equal(n, sizeof(fault));
	assert_int_equal(fault.flags, UI_UAPI_PGFAULT_LAST_PAGE);
	assert_int_equal(fault.dev_id, dev.dev);
	assert_int_equal(fault.grpid, 9);
	assert_int_equal(fault.perm, 3);
	assert_int_equal(fault.addr, 0x12345678000);
	assert_int_equal(test_w(PASID_ATTACH, dev.stdev, 0x55, alloc.out_hwpt_id), 0);
	cmd.w[1] = 0x55;
	assert_int_equal(test_call(&cmd), 0);
	n = file->ops->read(file->obj, (u64)(uintptr_t)&fault, sizeof(fault), 0);
	assert_int_equal(n, sizeof(fault));
	assert_int_equal(fault.flags, UI_UAPI_PGFAULT_LAST_PAGE | UI_UAPI_PGFAULT_PASID_VALID);
	assert_int_equal(fault.pasid, 0x55);
}

/* Devices of another kind, bound to the same context, are not the mock's. */
static void other_devices_have_no_words(void **state)
{
	u32 ioas = ioas_new(&rig), pt = ioas;

	rig_bind(&rig, 0);
	assert_int_equal(attach(&rig, 0, 0, &pt), 0);
	assert_int_equal(test_w(DEV_CHECK_CACHE, rig.dev_id[0], 0, 0x00baddad), -EINVAL);
	assert_int_equal(test_w(TRIGGER_VEVENT, 0, rig.dev_id[0], 0), -ENOENT);
	assert_int_equal(check_map(pt, IOVA, 0, mem), -EINVAL);
	assert_int_equal(test_w(PASID_DETACH, rig.dev_id[0], 1, 0), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_device_takes_three_ids),
		T(a_device_that_cannot_be_is_not_left_behind),
		T(a_device_nobody_can_be_told_of_goes),
		T(failures_leave_nothing_behind),
		T(replace_tells_the_new_hwpt),
		T(hw_info_is_the_selftests),
		T(dirty_tracking_needs_the_device),
		T(pasids_attach_and_check),
		T(every_second_attachment_of_one_pasid_fails),
		T(page_requests_reach_the_queue_of_what_is_attached),
		T(other_devices_have_no_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
