/* SPDX-License-Identifier: MIT */
/* The selftest's own command as a whole, reserved space, pins of pages, dma-bufs: iommufd-semantics.md section 11. */
#include "common.h"

static void the_test_command_keeps_the_size_rule(void **state)
{
	struct test_cmd cmd = { .size = 67, .op = MD_CHECK_REFS };

	assert_int_equal(call(&rig, 0x3ba0, NULL), -EFAULT);
	assert_int_equal(call(&rig, 0x3b96, NULL), -EFAULT);
	assert_int_equal(call(&rig, 0x3b96, &cmd), -ENOTTY);
	assert_int_equal(call(&rig, 0x3ba1, NULL), -ENOTTY);
	assert_int_equal(call(&rig, 0x3ba0, &cmd), -EINVAL);
	cmd.size = 68;
	assert_int_equal(call(&rig, 0x3ba0, &cmd), 0);
}

static void operations_that_are_not_there(void **state)
{
	assert_int_equal(test(0, 0, 0, 0, 0), -EOPNOTSUPP);
	assert_int_equal(test(DMABUF_REVOKE + 1, 0, 0, 0, 0), -EOPNOTSUPP);
	assert_int_equal(test(MAX & 0xffffffff, 0, 0, 0, 0), -EOPNOTSUPP);
}

/* 11, ADD_RESERVED; 3, automatic placement */
static void reserved_space_without_an_owner(void **state)
{
	u32 ioas = ioas_new(&rig), n = 2;
	struct ui_uapi_iova_range list[2];
	u64 iova = 0;

	assert_int_equal(test(ADD_RESERVED, ioas, 6, 0, 0), -EINVAL);
	assert_int_equal(test(ADD_RESERVED, ioas, 6, MAX, 0), -EOVERFLOW);
	assert_int_equal(test(ADD_RESERVED, 99, 6, 1, 0), -ENOENT);
	assert_int_equal(map_at(&rig, ioas, NULL, 1, 0x100), 0);
	assert_int_equal(test(ADD_RESERVED, ioas, 0x80, 0x81, 0), -EADDRINUSE);
	assert_int_equal(unmap(&rig, ioas, 0, MAX, NULL), 0);
	/* Section 3: nearly everything is reserved, and placement does not wrap. */
	assert_int_equal(test(ADD_RESERVED, ioas, 6, -(u64)0x8000, 0), 0);
	assert_int_equal(map(&rig, ioas, RW, NULL, 0x5000, &iova), -ENOSPC);
	assert_int_equal(test(ADD_RESERVED, ioas, 0, 100, 0), 0);
	assert_int_equal(ranges(&rig, ioas, list, &n, NULL), 0);
	assert_int_equal(n, 1);
	assert_int_equal(list[0].start, 6 - (u64)0x8000);
	assert_int_equal(list[0].last, MAX);
	assert_int_equal(test(ADD_RESERVED, ioas, list[0].start, MAX - list[0].start, 0), 0);
	assert_int_equal(test(ADD_RESERVED, ioas, MAX, 1, 0), 0);
	n = 2;
	assert_int_equal(ranges(&rig, ioas, list, &n, NULL), 0);
	assert_int_equal(n, 0);
}

/* 11, MD_CHECK_REFS; 12.2: seen from a context that was opened later, too */
static void pins_are_counted_for_the_process(void **state)
{
	u32 ioas = ioas_new(&rig), second;
	struct ui_iommufd *first = rig.ctx;
	struct mock_dev dev, own;
	u64 iova = 0;

	assert_int_equal(check_refs(mem + 1, 8 * PAGE, 0), -EINVAL);
	assert_int_equal(check_refs(mem, 8 * PAGE + 1, 0), -EINVAL);
	assert_int_equal(check_refs(NULL, PAGE, 0), -EFAULT);
	assert_int_equal(check_refs(mem, 8 * PAGE, 0), 0);
	assert_int_equal(map_at(&rig, ioas, mem, 8 * PAGE, IOVA), 0);
	assert_int_equal(check_refs(mem, 8 * PAGE, 0), 0);
	assert_int_equal(mock_domain(ioas, 0, &own), 0);
	rig.ctx = ui_mock_open(mock, NULL);
	assert_int_equal(check_refs(mem, 8 * PAGE, 1), 0);
	assert_int_equal(check_refs(mem, 8 * PAGE, 0), -EIO);
	assert_int_equal(check_refs(mem, 9 * PAGE, 1), -EIO);
	/* It pins, too. */
	second = ioas_new(&rig);
	assert_int_equal(map_at(&rig, second, mem, PAGE, IOVA), 0);
	assert_int_equal(mock_domain(second, 0, &dev), 0);
	assert_int_equal(check_refs(mem, PAGE, 2), 0);
	assert_int_equal(check_refs(mem + PAGE, 7 * PAGE, 1), 0);
	ui_iommufd_close(rig.ctx);
	rig.ctx = first;
	assert_int_equal(check_refs(mem, 8 * PAGE, 1), 0);
	/* A second mapping is a second object; a copy is not. */
	assert_int_equal(copy(&rig, ioas, ioas, RW, IOVA, 8 * PAGE, &iova), 0);
	assert_int_equal(check_refs(mem, 8 * PAGE, 1), 0);
	assert_int_equal(map_at(&rig, ioas, mem, 2 * PAGE, 2 * IOVA), 0);
	assert_int_equal(check_refs(mem, 2 * PAGE, 2), 0);
	assert_int_equal(check_refs(mem + 2 * PAGE, 6 * PAGE, 1), 0);
	assert_int_equal(unmap(&rig, ioas, 0, MAX, NULL), 0);
	assert_int_equal(check_refs(mem, 8 * PAGE, 0), 0);
	assert_int_equal(map_at(&rig, ioas, mem, 8 * PAGE, IOVA), 0);
	assert_int_equal(destroy(&rig, own.stdev), 0);
	assert_int_equal(check_refs(mem, 8 * PAGE, 0), 0);
}

/* 12.1, 12.2: a page of a file is the same page wherever it is mapped, and whoever pins it. */
static void pins_and_places_of_shared_memory(void **state)
{
	int fd = ui_sys_memfd_create("test", 0);
	u32 ioas = ioas_new(&rig);
	struct mock_dev dev;
	u64 iova = IOVA;
	u8 *at, *twin;

	assert_int_equal(ui_sys_ftruncate(fd, 8 * PAGE), 0);
	at = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	twin = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)(2 * PAGE));
	assert_int_equal(mock_domain(ioas, 0, &dev), 0);
	assert_int_equal(map_file(&rig, ioas, RW | FIXED, fd, PAGE, 4 * PAGE, &iova), 0);
	assert_int_equal(check_map(dev.hwpt, IOVA, 4 * PAGE, at + PAGE), 0);
	assert_int_equal(check_map(dev.hwpt, IOVA + PAGE, 3 * PAGE, twin), 0);
	assert_int_equal(check_map(dev.hwpt, IOVA, PAGE, twin), -EINVAL);
	assert_int_equal(check_map(dev.hwpt, IOVA, PAGE, mem), -EINVAL);
	assert_int_equal(check_refs(at, PAGE, 0), 0);
	assert_int_equal(check_refs(at + PAGE, 4 * PAGE, 1), 0);
	assert_int_equal(check_refs(at + 5 * PAGE, 3 * PAGE, 0), 0);
	assert_int_equal(check_refs(twin, 3 * PAGE, 1), 0);
	/* Mapped as memory, by another address, besides. */
	assert_int_equal(map_at(&rig, ioas, twin, PAGE, 2 * IOVA), 0);
	assert_int_equal(check_refs(at + 2 * PAGE, PAGE, 2), 0);
	assert_int_equal(check_map(dev.hwpt, 2 * IOVA, PAGE, at + 2 * PAGE), 0);
	assert_int_equal(unmap(&rig, ioas, 0, MAX, NULL), 0);
	assert_int_equal(check_refs(at, 8 * PAGE, 0), 0);
	munmap(at, 8 * PAGE);
	munmap(twin, 4 * PAGE);
	ui_sys_close(fd);
}

/* Two private mappings of one file are two memories from the first write on; they are told apart before it, too. */
static void private_memory_is_known_by_its_address(void **state)
{
	int fd = ui_sys_memfd_create("test", 0);
	u32 ioas = ioas_new(&rig);
	struct mock_dev dev;
	u8 *at[2];

	assert_int_equal(ui_sys_ftruncate(fd, PAGE), 0);
	for (unsigned i = 0; i < 2; i++)
		at[i] = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	assert_int_equal(mock_domain(ioas, 0, &dev), 0);
	assert_int_equal(map_at(&rig, ioas, at[0], PAGE, IOVA), 0);
	assert_int_equal(check_map(dev.hwpt, IOVA, PAGE, at[0]), 0);
	assert_int_equal(check_map(dev.hwpt, IOVA, PAGE, at[1]), -EINVAL);
	assert_int_equal(check_refs(at[0], PAGE, 1), 0);
	assert_int_equal(check_refs(at[1], PAGE, 0), 0);
	assert_int_equal(unmap(&rig, ioas, 0, MAX, NULL), 0);
	munmap(at[0], PAGE);
	munmap(at[1], PAGE);
	ui_sys_close(fd);
}

struct page_move {
	u8 *from, *to;
	u64 n_bytes;
};

static int carry(void *arg)
{
	const struct page_move *move = arg;

	memcpy(move->to, move->from, move->n_bytes);
	return 0;
}

/* The place of a page that moves aside has no pins afterwards: whoever maps there next starts at 0. */
static void pins_go_with_pages_that_move(void **state)
{
	struct page_move move = { .from = mem + PAGE, .to = mem + 8 * PAGE, .n_bytes = PAGE };
	u32 ioas = ioas_new(&rig);
	struct mock_dev dev;

	assert_int_equal(mock_domain(ioas, 0, &dev), 0);
	assert_int_equal(map_at(&rig, ioas, mem, 4 * PAGE, IOVA), 0);
	assert_int_equal(ui_iommufd_move_pages(rig.ctx, (u64)(uintptr_t)move.from, PAGE, (u64)(uintptr_t)move.to, carry, &move), 0);
	assert_int_equal(check_map(dev.hwpt, IOVA + PAGE, PAGE, mem + PAGE), -EINVAL);
	assert_int_equal(check_map(dev.hwpt, IOVA + PAGE, PAGE, mem + 8 * PAGE), 0);
	assert_int_equal(check_refs(mem + PAGE, PAGE, 0), 0);
	assert_int_equal(check_refs(mem + 8 * PAGE, PAGE, 1), 0);
	assert_int_equal(check_refs(mem, PAGE, 1), 0);
	assert_int_equal(unmap(&rig, ioas, 0, MAX, NULL), 0);
	assert_int_equal(check_refs(mem, MEM_PAGES * PAGE, 0), 0);
}

static void the_memory_limit_has_a_least_value(void **state)
{
	assert_int_equal(test(SET_TEMP_MEMORY_LIMIT, 0, 11, 0, 0), -EINVAL);
	assert_int_equal(test(SET_TEMP_MEMORY_LIMIT, 0, 12, 0, 0), 0);
	assert_int_equal(test(SET_TEMP_MEMORY_LIMIT, 0, 65536, 0, 0), 0);
}

/* 11, DMABUF_GET, DMABUF_REVOKE; 3, dma-bufs */
static void dma_bufs_are_made_and_revoked(void **state)
{
	u32 ioas = ioas_new(&rig);
	struct mock_dev dev;
	u64 iova = IOVA;
	u8 *at;
	int fd;

	assert_int_equal(test_w(DMABUF_GET, 0, 0, 0), -EINVAL);
	assert_int_equal(test_w(DMABUF_GET, 0, (2 << 20) + 1, 0), -EINVAL);
	fd = (int)test_w(DMABUF_GET, 0, 2 * PAGE - 1, 0);
	assert_true(fd >= 0);
	assert_int_equal(test_w(DMABUF_REVOKE, 0, 999, 1), -EBADF);
	assert_int_equal(test_w(DMABUF_REVOKE, 0, 1, 1), -EINVAL);
	assert_int_equal(mock_domain(ioas, 0, &dev), 0);
	assert_int_equal(map_file(&rig, ioas, RW | FIXED, fd, 0, 2 * PAGE + 2048, &iova), -EINVAL);
	assert_int_equal(map_file(&rig, ioas, RW | FIXED, fd, 0, 2 * PAGE, &iova), 0);
	at = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	assert_int_equal(check_map(dev.hwpt, IOVA, 2 * PAGE, at), 0);
	assert_int_equal(test_w(DMABUF_REVOKE, 0, (u32)fd, 1), 0);
	assert_int_equal(check_map(dev.hwpt, IOVA, 2 * PAGE, at), -EINVAL);
	iova = 2 * IOVA;
	assert_int_equal(map_file(&rig, ioas, RW | FIXED, fd, 0, 2 * PAGE, &iova), -ENODEV);
	assert_int_equal(test_w(DMABUF_REVOKE, 0, (u32)fd, 0), 0);
	assert_int_equal(map_file(&rig, ioas, RW | FIXED, fd, 0, 2 * PAGE, &iova), 0);
	assert_int_equal(check_map(dev.hwpt, IOVA, 2 * PAGE, at), -EINVAL);
	assert_int_equal(check_map(dev.hwpt, 2 * IOVA, 2 * PAGE, at), 0);
	munmap(at, 2 * PAGE);
	file_close(fd);
}

/* Each allocation fails in turn. */
static void a_mock_without_memory_is_none(void **state)
{
	u64 live = ui_alloc_live();
	struct ui_iommufd *ctx = NULL;
	struct ui_mock *other = NULL;

	for (u64 n = 1; !ctx; n++) {
		ui_inject_arm(n);
		other = ui_mock_create();
		ctx = other ? ui_mock_open(other, &file_env) : NULL;
		assert_true(ui_inject_left() ? ctx != NULL : ctx == NULL);
		if (ctx)
			break;
		ui_mock_destroy(other);
		assert_int_equal(ui_alloc_live(), live);
	}
	ui_inject_arm(0);
	ui_iommufd_close(ctx);
	ui_mock_destroy(other);
	assert_int_equal(ui_alloc_live(), live);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_test_command_keeps_the_size_rule),
		T(operations_that_are_not_there),
		T(reserved_space_without_an_owner),
		T(pins_are_counted_for_the_process),
		T(pins_and_places_of_shared_memory),
		T(private_memory_is_known_by_its_address),
		T(pins_go_with_pages_that_move),
		T(the_memory_limit_has_a_least_value),
		T(dma_bufs_are_made_and_revoked),
		T(a_mock_without_memory_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
