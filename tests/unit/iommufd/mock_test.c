/* SPDX-License-Identifier: MIT */
/* The selftest's own command: iommufd-semantics.md section 11, as far as it is served. */
#include "common.h"

#include "mock/mock.h"

static struct rig rig;
static struct ui_mock *mock;
static u8 *mem;

enum { MEM_PAGES = 16 };

struct test_cmd {
	u32 size, op, id, reserved;
	u64 a, b, c, rest[3];
	u64 last;
};

static int setup(void **state)
{
	rig_open(&rig, NULL, 0);
	ui_iommufd_close(rig.ctx);
	mock = ui_mock_create();
	rig.ctx = ui_mock_open(mock, NULL);
	rig.binder = ui_iommufd_binder(rig.ctx);
	mem = pages_new(MEM_PAGES * PAGE);
	return 0;
}

static int teardown(void **state)
{
	for (unsigned i = 0; i < N_DEVICES; i++)
		rig_unbind(&rig, i);
	ui_iommufd_close(rig.ctx);
	rig.ctx = NULL;
	ui_mock_destroy(mock);
	rig_close(&rig);
	munmap(mem, MEM_PAGES * PAGE);
	return 0;
}

static long test(u32 op, u32 id, u64 a, u64 b, u64 c)
{
	struct test_cmd cmd = { .size = sizeof(cmd), .op = op, .id = id, .a = a, .b = b, .c = c };

	return call(&rig, 0x3ba0, &cmd);
}

static void the_test_command_keeps_the_size_rule(void **state)
{
	struct test_cmd cmd = { .size = 67, .op = 4 };

	assert_int_equal(call(&rig, 0x3ba0, NULL), -EFAULT);
	assert_int_equal(call(&rig, 0x3b96, NULL), -EFAULT);
	assert_int_equal(call(&rig, 0x3b96, &cmd), -ENOTTY);
	assert_int_equal(call(&rig, 0x3ba1, NULL), -ENOTTY);
	assert_int_equal(call(&rig, 0x3ba0, &cmd), -EINVAL);
	cmd.size = 68;
	assert_int_equal(call(&rig, 0x3ba0, &cmd), 0);
	cmd.op = 999;
	assert_int_equal(call(&rig, 0x3ba0, &cmd), -EOPNOTSUPP);
}

static void reserved_space_without_an_owner(void **state)
{
	u32 ioas = ioas_new(&rig), n = 2;
	struct ui_uapi_iova_range list[2];
	u64 iova = 0;

	assert_int_equal(test(1, ioas, 6, 0, 0), -EINVAL);
	assert_int_equal(test(1, ioas, 6, MAX, 0), -EOVERFLOW);
	assert_int_equal(test(1, 99, 6, 1, 0), -ENOENT);
	assert_int_equal(map_at(&rig, ioas, NULL, 1, 0x100), 0);
	assert_int_equal(test(1, ioas, 0x80, 0x81, 0), -EADDRINUSE);
	assert_int_equal(unmap(&rig, ioas, 0, MAX, NULL), 0);
	/* Section 3: nearly everything is reserved, and placement does not wrap. */
	assert_int_equal(test(1, ioas, 6, -(u64)0x8000, 0), 0);
	assert_int_equal(map(&rig, ioas, RW, NULL, 0x5000, &iova), -ENOSPC);
	assert_int_equal(test(1, ioas, 0, 100, 0), 0);
	assert_int_equal(ranges(&rig, ioas, list, &n, NULL), 0);
	assert_int_equal(n, 1);
	assert_int_equal(list[0].start, 6 - (u64)0x8000);
	assert_int_equal(list[0].last, MAX);
	assert_int_equal(test(1, ioas, list[0].start, MAX - list[0].start, 0), 0);
	assert_int_equal(test(1, ioas, MAX, 1, 0), 0);
	n = 2;
	assert_int_equal(ranges(&rig, ioas, list, &n, NULL), 0);
	assert_int_equal(n, 0);
}

static void pins_are_counted_for_the_process(void **state)
{
	u64 at = (u64)(uintptr_t)mem;
	u32 ioas = ioas_new(&rig), pt = ioas;
	struct rig other = rig;

	assert_int_equal(test(4, 0, 8 * PAGE, at + 1, 0), -EINVAL);
	assert_int_equal(test(4, 0, 8 * PAGE + 1, at, 0), -EINVAL);
	assert_int_equal(test(4, 0, PAGE, 0, 0), -EFAULT);
	assert_int_equal(test(4, 0, 8 * PAGE, at, 0), 0);
	assert_int_equal(map_at(&rig, ioas, mem, 8 * PAGE, 0), 0);
	assert_int_equal(test(4, 0, 8 * PAGE, at, 0), 0);
	rig_bind(&rig, 0);
	assert_int_equal(attach(&rig, 0, 0, &pt), 0);
	/* Seen from another context, too. */
	other.ctx = ui_mock_open(mock, NULL);
	rig.ctx = other.ctx;
	assert_int_equal(test(4, 0, 8 * PAGE, at, 1), 0);
	assert_int_equal(test(4, 0, 8 * PAGE, at, 0), -EIO);
	assert_int_equal(test(4, 0, 9 * PAGE, at, 1), -EIO);
	rig.ctx = rig.binder.ctx;
	ui_iommufd_close(other.ctx);
	assert_int_equal(unmap(&rig, ioas, 0, MAX, NULL), 0);
	assert_int_equal(test(4, 0, 8 * PAGE, at, 0), 0);
	assert_int_equal(map_at(&rig, ioas, mem, 8 * PAGE, 0), 0);
	detach(&rig, 0, 0);
	assert_int_equal(test(4, 0, 8 * PAGE, at, 0), 0);
}

static void the_memory_limit_has_a_least_value(void **state)
{
	assert_int_equal(test(9, 0, 11, 0, 0), -EINVAL);
	assert_int_equal(test(9, 0, 12, 0, 0), 0);
	assert_int_equal(test(9, 0, 65536, 0, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_test_command_keeps_the_size_rule),
		T(reserved_space_without_an_owner),
		T(pins_are_counted_for_the_process),
		T(the_memory_limit_has_a_least_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
