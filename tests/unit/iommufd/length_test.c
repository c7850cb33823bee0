/* SPDX-License-Identifier: MIT */
/*
 * Sizes of structures, for every call: shorter than it ever was, as old as it ever was, exact, longer with zeros, longer with anything
 * else, longer than the memory (iommufd-semantics 1.5 to 1.8, section 2). Each case runs in a context of its own, so that what a size
 * does to a call can be told from what the call before did.
 */
#include "common.h"
#include "mock/mock.h"

#include <unistd.h>

#define CMD_TEST (UI_UAPI_TYPE | 0xa0u)

enum { LONGEST_BYTES = 640 };

static struct rig rig;
static struct ui_mock *mock;
static u8 *mem; /* a page of the program's; the one behind it cannot be touched */
static int fd;
static u32 ioas, hwpt, scratch_id;
static struct ui_uapi_iova_range list[8];
static u8 scratch[PAGE];

/* A context with an IOAS, a device bound, an HWPT and a mapping: what calls want to succeed. */
static void open_context(void)
{
	rig_open(&rig, NULL, 0);
	ui_iommufd_close(rig.ctx);
	rig.ctx = ui_mock_open(mock, NULL);
	assert_non_null(rig.ctx);
	rig.binder = ui_iommufd_binder(rig.ctx);
	rig_bind(&rig, 0);
	ioas = ioas_new(&rig);
	assert_int_equal(map_at(&rig, ioas, mem, PAGE, 0x100000), 0);
	assert_int_equal(hwpt_new(&rig, rig.dev_id[0], ioas, UI_UAPI_HWPT_DIRTY_TRACKING, &hwpt), 0);
	memset(list, 0, sizeof(list));
	memset(scratch, 0, sizeof(scratch));
}

static u64 at(const void *ptr)
{
	return (u64)(uintptr_t)ptr;
}

#define FILL(name, ...)                                                                                                   \
	static void fill_##name(void *cmd)                                                                                \
	{                                                                                                                 \
		*(struct ui_uapi_##name *)cmd = (struct ui_uapi_##name){ __VA_ARGS__ };                                   \
	}

FILL(ioas_alloc, .flags = 0)
FILL(ioas_allow_iovas, .ioas_id = ioas, .num_iovas = 1, .allowed_iovas = at(list))
FILL(ioas_copy, .flags = RW, .dst_ioas_id = ioas, .src_ioas_id = ioas, .length = PAGE, .src_iova = 0x100000)
FILL(ioas_iova_ranges, .ioas_id = ioas, .num_iovas = 8, .allowed_iovas = at(list))
FILL(ioas_map, .flags = RW, .ioas_id = ioas, .user_va = at(mem), .length = PAGE)
FILL(ioas_map_file, .flags = RW, .ioas_id = ioas, .fd = fd, .length = PAGE)
FILL(ioas_unmap, .ioas_id = ioas, .iova = 0x100000, .length = PAGE)
FILL(option, .option_id = UI_UAPI_OPTION_HUGE_PAGES, .op = UI_UAPI_OPTION_OP_GET, .object_id = ioas)
FILL(vfio_ioas, .ioas_id = ioas, .op = UI_UAPI_VFIO_IOAS_SET)
FILL(hwpt_alloc, .dev_id = rig.dev_id[0], .pt_id = ioas)
FILL(hw_info, .dev_id = rig.dev_id[0], .data_len = 64, .data_uptr = at(scratch))
FILL(hwpt_set_dirty_tracking, .hwpt_id = hwpt, .flags = 1)
FILL(hwpt_get_dirty_bitmap, .hwpt_id = hwpt, .iova = 0x100000, .length = PAGE, .page_size = PAGE, .data = at(scratch))
FILL(hwpt_invalidate, .hwpt_id = hwpt, .data_type = 1, .data_uptr = at(scratch), .entry_len = 8, .entry_num = 1)
FILL(fault_alloc, .flags = 0)
FILL(viommu_alloc, .type = 1, .dev_id = rig.dev_id[0], .hwpt_id = hwpt)
FILL(vdevice_alloc, .viommu_id = hwpt, .dev_id = rig.dev_id[0])
FILL(ioas_change_process, .__reserved = 0)
FILL(veventq_alloc, .viommu_id = hwpt, .type = 1, .veventq_depth = 1)
FILL(hw_queue_alloc, .viommu_id = hwpt, .type = 1, .length = PAGE, .nesting_parent_iova = 0x100000)
FILL(ioas_noiommu_get_pa, .ioas_id = ioas, .iova = 0x100000, .length = PAGE)

static void fill_allow(void *cmd)
{
	list[0] = (struct ui_uapi_iova_range){ 0x100000, 0x1fffff };
	fill_ioas_allow_iovas(cmd);
}

static void fill_destroy(void *cmd)
{
	scratch_id = ioas_new(&rig);
	*(struct ui_uapi_destroy *)cmd = (struct ui_uapi_destroy){ .id = scratch_id };
}

/* ADD_RESERVED of the IOAS. */
static void fill_test(void *cmd)
{
	static const u32 op = 1;

	memcpy((u8 *)cmd + 4, &op, 4);
	memcpy((u8 *)cmd + 8, &ioas, 4);
	((u64 *)cmd)[2] = 0x40000000;
	((u64 *)cmd)[3] = PAGE;
}

/* Sizes as the kernel's header and its first release have them: not taken from the table of dispatch.c, which this is to check. */
static const struct row {
	const char *name;
	u32 cmd, n_bytes, min_bytes;
	void (*fill)(void *cmd);
	bool succeeds; /* with what the kind `generic` has */
} rows[] = {
	{ "DESTROY", UI_UAPI_DESTROY, 8, 8, fill_destroy, true },
	{ "IOAS_ALLOC", UI_UAPI_IOAS_ALLOC, 12, 12, fill_ioas_alloc, true },
	{ "IOAS_ALLOW_IOVAS", UI_UAPI_IOAS_ALLOW_IOVAS, 24, 24, fill_allow, true },
	{ "IOAS_COPY", UI_UAPI_IOAS_COPY, 40, 40, fill_ioas_copy, true },
	{ "IOAS_IOVA_RANGES", UI_UAPI_IOAS_IOVA_RANGES, 32, 32, fill_ioas_iova_ranges, true },
	{ "IOAS_MAP", UI_UAPI_IOAS_MAP, 40, 40, fill_ioas_map, true },
	{ "IOAS_UNMAP", UI_UAPI_IOAS_UNMAP, 24, 24, fill_ioas_unmap, true },
	{ "OPTION", UI_UAPI_OPTION, 24, 24, fill_option, true },
	{ "VFIO_IOAS", UI_UAPI_VFIO_IOAS, 12, 12, fill_vfio_ioas, true },
	{ "HWPT_ALLOC", UI_UAPI_HWPT_ALLOC, 48, 24, fill_hwpt_alloc, true },
	{ "GET_HW_INFO", UI_UAPI_GET_HW_INFO, 40, 32, fill_hw_info, true },
	{ "HWPT_SET_DIRTY_TRACKING", UI_UAPI_HWPT_SET_DIRTY_TRACKING, 16, 16, fill_hwpt_set_dirty_tracking, true },
	{ "HWPT_GET_DIRTY_BITMAP", UI_UAPI_HWPT_GET_DIRTY_BITMAP, 48, 48, fill_hwpt_get_dirty_bitmap, true },
	{ "HWPT_INVALIDATE", UI_UAPI_HWPT_INVALIDATE, 32, 32, fill_hwpt_invalidate, false },
	{ "FAULT_QUEUE_ALLOC", UI_UAPI_FAULT_QUEUE_ALLOC, 16, 16, fill_fault_alloc, false },
	{ "IOAS_MAP_FILE", UI_UAPI_IOAS_MAP_FILE, 40, 40, fill_ioas_map_file, true },
	{ "VIOMMU_ALLOC", UI_UAPI_VIOMMU_ALLOC, 40, 24, fill_viommu_alloc, false },
	{ "VDEVICE_ALLOC", UI_UAPI_VDEVICE_ALLOC, 24, 24, fill_vdevice_alloc, false },
	{ "IOAS_CHANGE_PROCESS", UI_UAPI_IOAS_CHANGE_PROCESS, 8, 8, fill_ioas_change_process, false },
	{ "VEVENTQ_ALLOC", UI_UAPI_VEVENTQ_ALLOC, 32, 28, fill_veventq_alloc, false },
	{ "HW_QUEUE_ALLOC", UI_UAPI_HW_QUEUE_ALLOC, 40, 40, fill_hw_queue_alloc, false },
	{ "IOAS_NOIOMMU_GET_PA", UI_UAPI_IOAS_NOIOMMU_GET_PA, 40, 40, fill_ioas_noiommu_get_pa, false },
	{ "TEST_CMD", CMD_TEST, 72, 68, fill_test, true },
};

/* What a call answered: its result, its structure, and the id that the next object gets. */
struct answer {
	long ret;
	u32 next_id;
	u8 reply[LONGEST_BYTES];
};

/* The call, with @size, in a context of its own. @spoilt: a byte beyond the structure that is not zero; 0: none. */
static struct answer answer_to(const struct row *row, u32 size, u32 spoilt)
{
	u64 buf[LONGEST_BYTES / 8] = { 0 };
	struct answer answer;

	open_context();
	row->fill(buf);
	memcpy(buf, &size, sizeof(size));
	/* What the caller does not know it cannot have set. */
	if (size < row->n_bytes)
		memset((u8 *)buf + size, 0, row->n_bytes - size);
	if (spoilt)
		((u8 *)buf)[spoilt] = 1;
	answer.ret = call(&rig, row->cmd, buf);
	memcpy(answer.reply, buf, sizeof(buf));
	answer.next_id = ioas_new(&rig);
	rig_close(&rig);
	return answer;
}

/* The same but for the size: up to @n_bytes of both replies. */
static void assert_same(const struct row *row, const struct answer *a, const struct answer *b, u32 n_bytes)
{
	if (a->ret != b->ret || a->next_id != b->next_id || memcmp(a->reply + 4, b->reply + 4, n_bytes - 4))
		fail_msg("%s: %ld and %ld, next id %u and %u", row->name, a->ret, b->ret, a->next_id, b->next_id);
}

/* 1.5: and nothing is done. */
static void too_short_is_einval(void **state)
{
	for (size_t i = 0; i < ui_array_size(rows); i++) {
		const struct row *row = &rows[i];
		u32 before, after;

		open_context();
		before = ioas_new(&rig);
		assert_int_equal(destroy(&rig, before), 0);
		for (u32 size = 0; size < row->min_bytes; size++) {
			u64 buf[LONGEST_BYTES / 8] = { 0 };

			row->fill(buf);
			memcpy(buf, &size, sizeof(size));
			if (call(&rig, row->cmd, buf) != -EINVAL)
				fail_msg("%s of %u bytes is not refused", row->name, size);
			if (row->fill == fill_destroy)
				assert_int_equal(destroy(&rig, scratch_id), 0);
		}
		after = ioas_new(&rig);
		assert_int_equal(before, after);
		rig_close(&rig);
	}
}

/* 1.6, 1.7: nobody can tell a newer caller from one of our age, but for the size that is given back. */
static void longer_with_zeros_is_as_exact(void **state)
{
	static const u32 more[] = { 1, 2, 3, 4, 8, 100, 511, 512, 513 };

	for (size_t i = 0; i < ui_array_size(rows); i++) {
		const struct row *row = &rows[i];
		struct answer exact = answer_to(row, row->n_bytes, 0);

		if (row->succeeds)
			assert_int_equal(exact.ret, 0);
		for (size_t k = 0; k < ui_array_size(more); k++) {
			u32 size = row->n_bytes + more[k];
			struct answer longer = answer_to(row, size, 0);

			assert_same(row, &exact, &longer, row->n_bytes);
			assert_memory_equal(longer.reply, &size, 4);
			for (u32 b = row->n_bytes; b < LONGEST_BYTES; b++)
				assert_int_equal(longer.reply[b], 0);
		}
	}
}

/* 1.6: whatever the byte is, and wherever; nothing is done. */
static void longer_with_anything_is_e2big(void **state)
{
	for (size_t i = 0; i < ui_array_size(rows); i++) {
		const struct row *row = &rows[i];
		struct answer failed = answer_to(row, row->min_bytes - 1, 0);
		static const u32 where[] = { 0, 1, 7, 8, 99, 510, 511, 512 };

		for (size_t k = 0; k < ui_array_size(where); k++) {
			u32 spoilt = row->n_bytes + where[k];
			struct answer answer = answer_to(row, spoilt + 1, spoilt), beyond = answer_to(row, spoilt, spoilt);

			assert_int_equal(answer.ret, -E2BIG);
			assert_int_equal(answer.next_id, failed.next_id);
			/* Behind the caller's size it is nobody's business. */
			assert_int_not_equal(beyond.ret, -E2BIG);
		}
	}
}

/* 1.6, 1.7: an older caller's fields are zero, and are not written. */
static void an_older_caller_has_zeros_at_the_end(void **state)
{
	for (size_t i = 0; i < ui_array_size(rows); i++) {
		const struct row *row = &rows[i];

		for (u32 size = row->min_bytes; size < row->n_bytes; size++) {
			struct answer older = answer_to(row, size, 0), again = answer_to(row, size, size);

			assert_same(row, &older, &again, size);
			assert_int_equal(older.ret == 0, row->succeeds);
			assert_memory_equal(older.reply, &size, 4);
			for (u32 b = size; b < LONGEST_BYTES; b++)
				assert_int_equal(older.reply[b], 0);
		}
	}
}

/* 1.6: a tail that cannot be read is EFAULT, one that need not be read is nothing. */
static void an_unreadable_tail_is_efault(void **state)
{
	for (size_t i = 0; i < ui_array_size(rows); i++) {
		const struct row *row = &rows[i];
		static const u32 far[] = { 1, 8, 513, 1 << 20, 0xfffff000 };
		struct answer exact = answer_to(row, row->n_bytes, 0);
		u8 *end = mem + PAGE;
		long ret;

		open_context();
		for (size_t k = 0; k < ui_array_size(far); k++) {
			u64 buf[LONGEST_BYTES / 8] = { 0 };
			u32 size = row->n_bytes + far[k];

			row->fill(buf);
			memcpy(buf, &size, sizeof(size));
			memcpy(end - row->n_bytes, buf, row->n_bytes);
			assert_int_equal(call(&rig, row->cmd, end - row->n_bytes), -EFAULT);
			if (row->fill == fill_destroy)
				assert_int_equal(destroy(&rig, scratch_id), 0);
			/* A size that says less than there is. */
			memcpy(end - row->min_bytes + 1, buf, row->min_bytes - 1);
			memcpy(end - row->min_bytes + 1, &row->n_bytes, 4);
			assert_int_equal(call(&rig, row->cmd, end - row->min_bytes + 1), -EFAULT);
		}
		row->fill(end - row->n_bytes);
		memcpy(end - row->n_bytes, &row->n_bytes, 4);
		ret = call(&rig, row->cmd, end - row->n_bytes);
		assert_int_equal(ret, exact.ret);
		assert_int_equal(ioas_new(&rig), exact.next_id);
		rig_close(&rig);
	}
}

static int nothing(void **state)
{
	return 0;
}

#define setup nothing
#define teardown nothing

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(too_short_is_einval),
		T(longer_with_zeros_is_as_exact),
		T(longer_with_anything_is_e2big),
		T(an_older_caller_has_zeros_at_the_end),
		T(an_unreadable_tail_is_efault),
	};
	int failed;

	ui_log_set(UI_LOG_ERROR, NULL, NULL);
	mem = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	fd = memfd_create("length", MFD_CLOEXEC);
	mock = ui_mock_create();
	if (mem == MAP_FAILED || mprotect(mem + PAGE, PAGE, PROT_NONE) || fd < 0 || ftruncate(fd, PAGE) || !mock)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	ui_mock_destroy(mock);
	return failed;
}
