/* SPDX-License-Identifier: MIT */
/* Numbers, sizes, pointers and single fields: iommufd-semantics.md sections 1 and 2. */
#include "common.h"

struct row {
	const char *name;
	u32 cmd, n_bytes, min_bytes;
	long all_zero; /* the answer to a structure of zeros in an empty context */
	bool repeats;  /* the answer does not depend on what came before */
};

static const struct row rows[] = {
	{ "DESTROY", UI_UAPI_DESTROY, 8, 8, -ENOENT, true },
	{ "IOAS_ALLOC", UI_UAPI_IOAS_ALLOC, 12, 12, 0, true },
	{ "IOAS_ALLOW_IOVAS", UI_UAPI_IOAS_ALLOW_IOVAS, 24, 24, -ENOENT, true },
	{ "IOAS_COPY", UI_UAPI_IOAS_COPY, 40, 40, -EINVAL, true },
	{ "IOAS_IOVA_RANGES", UI_UAPI_IOAS_IOVA_RANGES, 32, 32, -ENOENT, true },
	{ "IOAS_MAP", UI_UAPI_IOAS_MAP, 40, 40, -EINVAL, true },
	{ "IOAS_UNMAP", UI_UAPI_IOAS_UNMAP, 24, 24, -ENOENT, true },
	{ "OPTION", UI_UAPI_OPTION, 24, 24, 0, false },
	{ "VFIO_IOAS", UI_UAPI_VFIO_IOAS, 12, 12, -ENODEV, true },
	{ "HWPT_ALLOC", UI_UAPI_HWPT_ALLOC, 48, 24, -ENOENT, true },
	{ "GET_HW_INFO", UI_UAPI_GET_HW_INFO, 40, 32, -ENOENT, true },
	{ "HWPT_SET_DIRTY_TRACKING", UI_UAPI_HWPT_SET_DIRTY_TRACKING, 16, 16, -ENOENT, true },
	{ "HWPT_GET_DIRTY_BITMAP", UI_UAPI_HWPT_GET_DIRTY_BITMAP, 48, 48, -ENOENT, true },
	{ "HWPT_INVALIDATE", UI_UAPI_HWPT_INVALIDATE, 32, 32, -ENOENT, true },
	{ "FAULT_QUEUE_ALLOC", UI_UAPI_FAULT_QUEUE_ALLOC, 16, 16, -EOPNOTSUPP, true },
	{ "IOAS_MAP_FILE", UI_UAPI_IOAS_MAP_FILE, 40, 40, -EINVAL, true },
	{ "VIOMMU_ALLOC", UI_UAPI_VIOMMU_ALLOC, 40, 24, -EOPNOTSUPP, true },
	{ "VDEVICE_ALLOC", UI_UAPI_VDEVICE_ALLOC, 24, 24, -ENOENT, true },
	{ "IOAS_CHANGE_PROCESS", UI_UAPI_IOAS_CHANGE_PROCESS, 8, 8, 0, true },
	{ "VEVENTQ_ALLOC", UI_UAPI_VEVENTQ_ALLOC, 32, 28, -EOPNOTSUPP, true },
	{ "HW_QUEUE_ALLOC", UI_UAPI_HW_QUEUE_ALLOC, 40, 40, -EOPNOTSUPP, true },
	{ "IOAS_NOIOMMU_GET_PA", UI_UAPI_IOAS_NOIOMMU_GET_PA, 40, 40, -EINVAL, true },
};

static struct rig rig;

static int setup(void **state)
{
	rig_open(&rig, NULL, 0);
	return 0;
}

static int teardown(void **state)
{
	rig_close(&rig);
	return 0;
}

/* 1.5 to 1.7: too short, exact, longer with zeros, longer with anything else. */
static void every_call_knows_its_sizes(void **state)
{
	for (size_t i = 0; i < ui_array_size(rows); i++) {
		const struct row *row = &rows[i];
		u8 buf[512];
		u32 size;

		for (size = 0; size < row->min_bytes; size++) {
			memset(buf, 0, sizeof(buf));
			memcpy(buf, &size, 4);
			assert_int_equal(call(&rig, row->cmd, buf), -EINVAL);
		}
		for (size = row->n_bytes + 1; size <= sizeof(buf); size += size < 80 ? 1 : 71) {
			memset(buf, 0, sizeof(buf));
			memcpy(buf, &size, 4);
			buf[size - 1] = 1;
			assert_int_equal(call(&rig, row->cmd, buf), -E2BIG);
			buf[size - 1] = 0;
			if (row->repeats)
				assert_int_equal(call(&rig, row->cmd, buf), row->all_zero);
		}
		for (size = row->min_bytes; size <= row->n_bytes; size++) {
			memset(buf, 0, sizeof(buf));
			memcpy(buf, &size, 4);
			if (row->repeats)
				assert_int_equal(call(&rig, row->cmd, buf), row->all_zero);
		}
	}
}

/* 1.6: the tail is looked at to its end, wherever that is. */
static void an_unreadable_tail_is_efault(void **state)
{
	u8 *at = pages_new(2 * PAGE);
	u32 size = (u32)PAGE;

	assert_int_equal(munmap(at + PAGE, PAGE), 0);
	memcpy(at + PAGE - 64, &size, 4);
	for (size_t i = 0; i < ui_array_size(rows); i++)
		assert_int_equal(call(&rig, rows[i].cmd, at + PAGE - 64), -EFAULT);
	size = 0xffffffff;
	memcpy(at + PAGE - 64, &size, 4);
	assert_int_equal(call(&rig, UI_UAPI_DESTROY, at + PAGE - 64), -EFAULT);
	munmap(at, PAGE);
}

/* 1.7: what the caller does not know is not written, what we do not know neither. */
static void replies_stay_within_both_sizes(void **state)
{
	struct {
		struct ui_uapi_ioas_alloc cmd;
		u8 tail[100];
	} buf = { .cmd = { .size = sizeof(buf) } };
	struct ui_uapi_hw_info info;
	u8 *bytes = (u8 *)&info;

	assert_int_equal(call(&rig, UI_UAPI_IOAS_ALLOC, &buf), 0);
	assert_int_equal(buf.cmd.size, sizeof(buf));
	assert_int_equal(buf.cmd.out_ioas_id, 1);
	rig_bind(&rig, 0);
	for (u32 size = 32; size <= 40; size++) {
		memset(&info, 0, sizeof(info));
		memset(bytes + size, 0xa5, sizeof(info) - size);
		info.size = size;
		info.dev_id = rig.dev_id[0];
		assert_int_equal(call(&rig, UI_UAPI_GET_HW_INFO, &info), 0);
		assert_int_equal(info.size, size);
		assert_int_equal(info.out_max_pasid_log2, 16);
		for (u32 i = size; i < 40; i++)
			assert_int_equal(bytes[i], 0xa5);
	}
}

/* 1.4: the pointer is read before the number is judged; other numbers are the VFIO container's or nobody's. */
static void numbers_that_are_not_calls(void **state)
{
	static const u32 wrong[] = { 0x3b96, 0x3b9f, 0x3ba0, 0x3bff, 0x3b00, 0x3b7f, 0x3b67, 0x3b75 };
	u8 buf[64] = { 64 };

	for (size_t i = 0; i < ui_array_size(wrong); i++) {
		assert_int_equal(call(&rig, wrong[i], buf), -ENOTTY);
		assert_int_equal(call(&rig, wrong[i], NULL), -ENOTTY);
	}
	for (u32 nr = 0x80; nr < 0x96; nr++) {
		static const u32 types[] = { 0, 0x3c00, 0x13b00, 0x40003b00, 0x80003b00, 0xc0083b00 };

		for (size_t i = 0; i < ui_array_size(types); i++) {
			assert_int_equal(call(&rig, types[i] | nr, buf), -ENOTTY);
			assert_int_equal(call(&rig, types[i] | nr, NULL), -EFAULT);
		}
	}
}

static void bad_pointers_are_efault(void **state)
{
	u8 *hole = pages_new(PAGE), *ro = pages_new(PAGE);
	u64 high[] = { 0, 1, MAX, MAX - 3, (u64)1 << 63, 0x00007ffffffff000, 0x8000000000000000 };

	munmap(hole, PAGE);
	for (size_t i = 0; i < ui_array_size(rows); i++) {
		for (size_t h = 0; h < ui_array_size(high); h++)
			assert_int_equal(ui_iommufd_ioctl(rig.ctx, rows[i].cmd, high[h]), -EFAULT);
		assert_int_equal(call(&rig, rows[i].cmd, hole), -EFAULT);
	}
	/* A creation whose reply cannot be written is taken back. */
	*(struct ui_uapi_ioas_alloc *)(void *)ro = (struct ui_uapi_ioas_alloc){ .size = 12 };
	mprotect(ro, PAGE, PROT_READ);
	assert_int_equal(call(&rig, UI_UAPI_IOAS_ALLOC, ro), -EFAULT);
	assert_int_equal(ioas_new(&rig), 1);
	munmap(ro, PAGE);
}

/* A reply that cannot be written undoes maps and HWPTs, too. */
static void an_unwritable_reply_undoes_the_call(void **state)
{
	u8 *ro = pages_new(PAGE), *mem = pages_new(PAGE);
	u32 ioas = ioas_new(&rig), hwpt;
	u64 iova = 0x10000, removed;

	rig_bind(&rig, 0);
	*(struct ui_uapi_ioas_map *)(void *)ro = (struct ui_uapi_ioas_map){
		.size = 40, .flags = RW | FIXED, .ioas_id = ioas, .user_va = (u64)(uintptr_t)mem, .length = PAGE, .iova = iova
	};
	mprotect(ro, PAGE, PROT_READ);
	assert_int_equal(call(&rig, UI_UAPI_IOAS_MAP, ro), -EFAULT);
	assert_int_equal(unmap(&rig, ioas, iova, PAGE, NULL), -ENOENT);
	mprotect(ro, PAGE, PROT_READ | PROT_WRITE);
	assert_int_equal(map_at(&rig, ioas, mem, PAGE, iova), 0);
	*(struct ui_uapi_ioas_copy *)(void *)ro = (struct ui_uapi_ioas_copy){
		.size = 40, .flags = RW | FIXED, .dst_ioas_id = ioas, .src_ioas_id = ioas, .length = PAGE, .src_iova = iova, .dst_iova = 0x20000
	};
	mprotect(ro, PAGE, PROT_READ);
	assert_int_equal(call(&rig, UI_UAPI_IOAS_COPY, ro), -EFAULT);
	assert_int_equal(unmap(&rig, ioas, 0, MAX, &removed), 0);
	assert_int_equal(removed, PAGE);
	mprotect(ro, PAGE, PROT_READ | PROT_WRITE);
	*(struct ui_uapi_hwpt_alloc *)(void *)ro = (struct ui_uapi_hwpt_alloc){ .size = 48, .dev_id = rig.dev_id[0], .pt_id = ioas };
	mprotect(ro, PAGE, PROT_READ);
	assert_int_equal(call(&rig, UI_UAPI_HWPT_ALLOC, ro), -EFAULT);
	assert_int_equal(destroy(&rig, ioas), 0);
	assert_int_equal(ioas_new(&rig), ioas);
	assert_int_equal(hwpt_new(&rig, rig.dev_id[0], ioas, 0, &hwpt), 0);
	assert_int_equal(hwpt, 3);
	munmap(ro, PAGE);
	munmap(mem, PAGE);
}

/* 1.9: bytes that must be zero, flags that nobody knows: one bit at a time. */
static void unknown_flags_and_reserved_fields_are_eopnotsupp(void **state)
{
	static const struct {
		u32 cmd, n_bytes, offset;
		u32 known;
	} fields[] = {
		{ UI_UAPI_IOAS_ALLOC, 12, 4, 0 },
		{ UI_UAPI_IOAS_ALLOW_IOVAS, 24, 12, 0 },
		{ UI_UAPI_IOAS_COPY, 40, 4, 7 },
		{ UI_UAPI_IOAS_IOVA_RANGES, 32, 12, 0 },
		{ UI_UAPI_IOAS_MAP, 40, 4, 7 },
		{ UI_UAPI_IOAS_MAP, 40, 12, 0 },
		{ UI_UAPI_IOAS_MAP_FILE, 40, 4, 7 },
		{ UI_UAPI_OPTION, 24, 4, 0xffffffff & 1 },
		{ UI_UAPI_VFIO_IOAS, 12, 8, 3 },
		{ UI_UAPI_HWPT_ALLOC, 48, 20, 0 },
		{ UI_UAPI_GET_HW_INFO, 40, 4, 1 },
		{ UI_UAPI_GET_HW_INFO, 40, 28, 0xff },
		{ UI_UAPI_HWPT_SET_DIRTY_TRACKING, 16, 4, 1 },
		{ UI_UAPI_HWPT_GET_DIRTY_BITMAP, 48, 8, 1 },
		{ UI_UAPI_HWPT_GET_DIRTY_BITMAP, 48, 12, 0 },
		{ UI_UAPI_HWPT_INVALIDATE, 32, 28, 0 },
		{ UI_UAPI_FAULT_QUEUE_ALLOC, 16, 4, 0 },
		{ UI_UAPI_VIOMMU_ALLOC, 40, 4, 0 },
		{ UI_UAPI_IOAS_CHANGE_PROCESS, 8, 4, 0 },
		{ UI_UAPI_VEVENTQ_ALLOC, 32, 4, 0 },
		{ UI_UAPI_VEVENTQ_ALLOC, 32, 28, 0 },
		{ UI_UAPI_HW_QUEUE_ALLOC, 40, 4, 0 },
		{ UI_UAPI_IOAS_NOIOMMU_GET_PA, 40, 4, 0 },
	};

	for (size_t i = 0; i < ui_array_size(fields); i++) {
		for (unsigned bit = 0; bit < 32; bit++) {
			u8 buf[64] = { 0 };
			u32 val = 1u << bit;

			if (val & fields[i].known)
				continue;
			memcpy(buf, &fields[i].n_bytes, 4);
			memcpy(buf + fields[i].offset, &val, 4);
			assert_int_equal(call(&rig, fields[i].cmd, buf), -EOPNOTSUPP);
		}
	}
}

/* 1.10 to 1.12 */
static void ids_are_the_lowest_and_of_one_kind(void **state)
{
	u32 ioas = ioas_new(&rig), hwpt, id, n = 0;
	u64 iova = 0;

	rig_bind(&rig, 0);
	assert_int_equal(ioas, 1);
	assert_int_equal(rig.dev_id[0], 2);
	assert_int_equal(hwpt_new(&rig, rig.dev_id[0], ioas, 0, &hwpt), 0);
	assert_int_equal(hwpt, 3);
	assert_int_equal(destroy(&rig, 0), -ENOENT);
	assert_int_equal(destroy(&rig, 4), -ENOENT);
	assert_int_equal(destroy(&rig, 0x80000001), -ENOENT);
	assert_int_equal(destroy(&rig, rig.dev_id[0]), -EBUSY);
	assert_int_equal(destroy(&rig, ioas), -EBUSY);
	assert_int_equal(map(&rig, hwpt, RW, &iova, 8, &iova), -ENOENT);
	assert_int_equal(map(&rig, rig.dev_id[0], RW, &iova, 8, &iova), -ENOENT);
	assert_int_equal(ranges(&rig, hwpt, NULL, &n, NULL), -ENOENT);
	assert_int_equal(hwpt_new(&rig, ioas, ioas, 0, &id), -ENOENT);
	assert_int_equal(destroy(&rig, hwpt), 0);
	assert_int_equal(destroy(&rig, hwpt), -ENOENT);
	assert_int_equal(destroy(&rig, ioas), 0);
	assert_int_equal(ioas_new(&rig), 1);
	assert_int_equal(ioas_new(&rig), 3);
}

/* Section 2, the calls behind which there is nothing yet; sections 5 and 7 give the order of checks. */
static void absent_capabilities_are_told_as_a_kernel_without_them_does(void **state)
{
	struct ui_uapi_hwpt_invalidate inv = { .size = sizeof(inv), .hwpt_id = 1, .entry_num = 7 };
	struct ui_uapi_veventq_alloc veventq = { .size = sizeof(veventq), .type = 1 };
	struct ui_uapi_hw_queue_alloc queue = { .size = sizeof(queue), .type = 1 };
	struct ui_uapi_viommu_alloc viommu = { .size = sizeof(viommu), .type = 1, .dev_id = 9 };
	u32 ioas = ioas_new(&rig), hwpt;

	rig_bind(&rig, 0);
	assert_int_equal(call(&rig, UI_UAPI_HWPT_INVALIDATE, &inv), -EINVAL);
	assert_int_equal(inv.entry_num, 0);
	inv.entry_num = 1;
	inv.data_uptr = 1;
	inv.entry_len = 4097;
	assert_int_equal(call(&rig, UI_UAPI_HWPT_INVALIDATE, &inv), -EINVAL);
	inv.entry_num = (1 << 19) + 1;
	inv.entry_len = 8;
	assert_int_equal(call(&rig, UI_UAPI_HWPT_INVALIDATE, &inv), -EINVAL);
	inv.entry_num = 1;
	inv.hwpt_id = 99;
	assert_int_equal(call(&rig, UI_UAPI_HWPT_INVALIDATE, &inv), -ENOENT);
	inv.hwpt_id = ioas;
	inv.entry_num = 0;
	assert_int_equal(call(&rig, UI_UAPI_HWPT_INVALIDATE, &inv), -EINVAL);
	assert_int_equal(call(&rig, UI_UAPI_VEVENTQ_ALLOC, &veventq), -EINVAL);
	veventq.veventq_depth = (1 << 19) + 1;
	assert_int_equal(call(&rig, UI_UAPI_VEVENTQ_ALLOC, &veventq), -EINVAL);
	veventq.veventq_depth = 1;
	assert_int_equal(call(&rig, UI_UAPI_VEVENTQ_ALLOC, &veventq), -ENOENT);
	assert_int_equal(call(&rig, UI_UAPI_HW_QUEUE_ALLOC, &queue), -EINVAL);
	queue.length = 2;
	queue.nesting_parent_iova = MAX;
	assert_int_equal(call(&rig, UI_UAPI_HW_QUEUE_ALLOC, &queue), -EOVERFLOW);
	queue.length = 1;
	assert_int_equal(call(&rig, UI_UAPI_HW_QUEUE_ALLOC, &queue), -ENOENT);
	assert_int_equal(call(&rig, UI_UAPI_VIOMMU_ALLOC, &viommu), -ENOENT);
	viommu.dev_id = rig.dev_id[0];
	assert_int_equal(call(&rig, UI_UAPI_VIOMMU_ALLOC, &viommu), -EOPNOTSUPP);
	assert_int_equal(hwpt_new(&rig, rig.dev_id[0], ioas, 0, &hwpt), 0);
	assert_int_equal(hwpt_new(&rig, rig.dev_id[0], hwpt, 0, &hwpt), -EOPNOTSUPP);
}

static bool deny(void *arg, unsigned cap)
{
	return false;
}

/* Section 3, OPTION. */
static void rlimit_mode_is_the_contexts(void **state)
{
	struct ui_iommufd_env env = { .capable = deny };
	struct rig other;
	u64 val = 7;

	assert_int_equal(option(&rig, 0, UI_UAPI_OPTION_OP_GET, 0, &val), 0);
	assert_int_equal(val, 0);
	assert_int_equal(option(&rig, 0, UI_UAPI_OPTION_OP_GET, 1, &val), -EOPNOTSUPP);
	assert_int_equal(option(&rig, 0, 2, 0, &val), -EOPNOTSUPP);
	assert_int_equal(option(&rig, 2, UI_UAPI_OPTION_OP_GET, 0, &val), -EOPNOTSUPP);
	val = 2;
	assert_int_equal(option(&rig, 0, UI_UAPI_OPTION_OP_SET, 0, &val), -EINVAL);
	val = 1;
	assert_int_equal(option(&rig, 0, UI_UAPI_OPTION_OP_SET, 0, &val), 0);
	assert_int_equal(option(&rig, 0, UI_UAPI_OPTION_OP_GET, 0, &val), 0);
	assert_int_equal(val, 1);
	ioas_new(&rig);
	val = 2;
	assert_int_equal(option(&rig, 0, UI_UAPI_OPTION_OP_SET, 0, &val), -EBUSY);
	rig_open(&other, &env, 0);
	assert_int_equal(option(&other, 0, UI_UAPI_OPTION_OP_SET, 0, &val), -EPERM);
	rig_close(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_call_knows_its_sizes),
		T(an_unreadable_tail_is_efault),
		T(replies_stay_within_both_sizes),
		T(numbers_that_are_not_calls),
		T(bad_pointers_are_efault),
		T(an_unwritable_reply_undoes_the_call),
		T(unknown_flags_and_reserved_fields_are_eopnotsupp),
		T(ids_are_the_lowest_and_of_one_kind),
		T(absent_capabilities_are_told_as_a_kernel_without_them_does),
		T(rlimit_mode_is_the_contexts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
