/* SPDX-License-Identifier: MIT */
/* The mock's accesses: iommufd-semantics.md sections 8 and 11. */
#include "common.h"

#include <pthread.h>

enum { NEEDS_PIN = 1, WRITE = 1, SLOW = 4 };

static u32 ioas;

static int setup_ioas(void **state)
{
	setup(state);
	ioas = ioas_new(&rig);
	return 0;
}

#undef T
#define T(name) { #name, run_body, setup_ioas, teardown, &(struct body){ name } }

static long create(u32 id, u32 flags, int *fd)
{
	struct test_cmd cmd = { .op = CREATE_ACCESS, .id = id, .w = { 0, flags } };
	long ret = test_call(&cmd);

	*fd = (int)cmd.w[0];
	return ret;
}

static long pin(int fd, u32 flags, u64 iova, u64 length, const void *at, u32 *item)
{
	struct test_cmd cmd = { .op = ACCESS_PAGES, .id = (u32)fd, .u = { flags, iova, length, (u64)(uintptr_t)at } };
	long ret = test_call(&cmd);

	*item = cmd.w[1];
	return ret;
}

static long unpin(int fd, u32 item)
{
	return test_w(DESTROY_ACCESS_PAGES, (u32)fd, item, 0);
}

static long rw(int fd, u32 flags, u64 iova, u64 length, const void *at)
{
	return test_call(&(struct test_cmd){ .op = ACCESS_RW, .id = (u32)fd, .u = { iova, length, (u64)(uintptr_t)at, flags } });
}

static void an_access_is_a_descriptor(void **state)
{
	int fd, plain;
	u32 item;

	assert_int_equal(create(ioas, 2, &fd), -EOPNOTSUPP);
	assert_int_equal(create(99, 0, &fd), -ENOENT);
	assert_int_equal(create(0, 0, &fd), -ENOENT);
	assert_int_equal(map_at(&rig, ioas, mem, 100, IOVA), 0);
	assert_int_equal(create(ioas, NEEDS_PIN, &fd), -EADDRINUSE);
	assert_int_equal(create(ioas, 0, &plain), 0);
	assert_int_equal(destroy(&rig, ioas), -EBUSY);
	assert_int_equal(pin(plain, 0, IOVA, 100, NULL, &item), -EOPNOTSUPP);
	assert_int_equal(unpin(plain, 0), -ENOENT);
	/* Others' descriptors, and none. */
	assert_int_equal(pin(0, 0, IOVA, 100, NULL, &item), -EBADFD);
	assert_int_equal(unpin(0, 0), -EBADFD);
	assert_int_equal(rw(0, 0, IOVA, 100, mem), -EBADFD);
	assert_int_equal(test_w(ACCESS_REPLACE_IOAS, 0, ioas, 0), -EBADFD);
	assert_int_equal(rw(999, 0, IOVA, 100, mem), -EBADF);
	file_close(plain);
	assert_int_equal(destroy(&rig, ioas), 0);
}

/* 11, ACCESS_PAGES and DESTROY_ACCESS_PAGES */
static void pages_stay_pinned_by_item(void **state)
{
	u32 item;
	int fd;

	assert_int_equal(create(ioas, NEEDS_PIN, &fd), 0);
	assert_int_equal(map_at(&rig, ioas, mem, 8 * PAGE, IOVA), 0);
	assert_int_equal(pin(fd, 2, IOVA, PAGE, NULL, &item), -EOPNOTSUPP);
	assert_int_equal(pin(fd, 2, IOVA, (16 << 20) + 1, NULL, &item), -ENOMEM);
	assert_int_equal(pin(fd, 0, IOVA, 16 << 20, NULL, &item), -ENOENT);
	assert_int_equal(pin(fd, 0, IOVA, 0, NULL, &item), -EINVAL);
	assert_int_equal(pin(fd, 0, IOVA, 2 * PAGE, NULL, &item), 0);
	assert_int_equal(item, 0);
	assert_int_equal(pin(fd, WRITE, IOVA + PAGE, PAGE + 1, mem + PAGE + 7, &item), 0);
	assert_int_equal(item, 1);
	/* One pin a page and object, however many hold it. */
	assert_int_equal(check_refs(mem, 3 * PAGE, 1), 0);
	assert_int_equal(check_refs(mem + 3 * PAGE, PAGE, 0), 0);
	assert_int_equal(pin(fd, 0, IOVA, PAGE, mem + PAGE, &item), -EBADE);
	assert_int_equal(pin(fd, 0, IOVA, PAGE, (void *)8, &item), -EFAULT);
	assert_int_equal(unpin(fd, 0), 0);
	assert_int_equal(unpin(fd, 0), -ENOENT);
	assert_int_equal(check_refs(mem, PAGE, 0), 0);
	assert_int_equal(check_refs(mem + PAGE, 2 * PAGE, 1), 0);
	/* Numbers go on. */
	assert_int_equal(pin(fd, 0, IOVA, PAGE, mem, &item), 0);
	assert_int_equal(item, 2);
	file_close(fd);
	assert_int_equal(check_refs(mem, 8 * PAGE, 0), 0);
}

/* 8: the unmap callback; only what meets the range is dropped */
static void an_unmap_drops_what_is_pinned_there(void **state)
{
	u32 item;
	int fd;

	assert_int_equal(create(ioas, NEEDS_PIN, &fd), 0);
	assert_int_equal(map_at(&rig, ioas, mem, 2 * PAGE, IOVA), 0);
	assert_int_equal(map_at(&rig, ioas, mem + 4 * PAGE, 2 * PAGE, IOVA + 2 * PAGE), 0);
	assert_int_equal(pin(fd, 0, IOVA, PAGE, mem, &item), 0);
	assert_int_equal(pin(fd, 0, IOVA + PAGE, 2 * PAGE, NULL, &item), 0);
	assert_int_equal(pin(fd, 0, IOVA + 3 * PAGE, PAGE, mem + 5 * PAGE, &item), 0);
	assert_int_equal(unmap(&rig, ioas, IOVA, 2 * PAGE, NULL), 0);
	assert_int_equal(check_refs(mem, 2 * PAGE, 0), 0);
	assert_int_equal(check_refs(mem + 4 * PAGE, PAGE, 0), 0);
	assert_int_equal(check_refs(mem + 5 * PAGE, PAGE, 1), 0);
	assert_int_equal(unpin(fd, 0), -ENOENT);
	assert_int_equal(unpin(fd, 1), -ENOENT);
	assert_int_equal(unpin(fd, 2), 0);
}

/* 11, ACCESS_REPLACE_IOAS */
static void a_replace_drops_everything(void **state)
{
	u32 other = ioas_new(&rig), item;
	int fd;

	assert_int_equal(create(ioas, NEEDS_PIN, &fd), 0);
	assert_int_equal(map_at(&rig, ioas, mem, 2 * PAGE, IOVA), 0);
	assert_int_equal(map_at(&rig, other, mem + 4 * PAGE, 2 * PAGE, IOVA), 0);
	assert_int_equal(pin(fd, 0, IOVA, PAGE, mem, &item), 0);
	assert_int_equal(test_w(ACCESS_REPLACE_IOAS, (u32)fd, 99, 0), -ENOENT);
	assert_int_equal(test_w(ACCESS_REPLACE_IOAS, (u32)fd, 0, 0), -ENOENT);
	assert_int_equal(check_refs(mem, PAGE, 1), 0);
	assert_int_equal(test_w(ACCESS_REPLACE_IOAS, (u32)fd, other, 0), 0);
	assert_int_equal(check_refs(mem, PAGE, 0), 0);
	assert_int_equal(unpin(fd, item), -ENOENT);
	assert_int_equal(destroy(&rig, ioas), 0);
	assert_int_equal(destroy(&rig, other), -EBUSY);
	assert_int_equal(pin(fd, 0, IOVA, PAGE, mem + 4 * PAGE, &item), 0);
}

/* 11, ACCESS_RW; 8: at byte granularity, without a domain */
static void bytes_are_copied_both_ways(void **state)
{
	u8 buf[PAGE + 8];
	int fd;

	memset(mem, 0x5a, 2 * PAGE);
	assert_int_equal(create(ioas, 0, &fd), 0);
	assert_int_equal(map_at(&rig, ioas, mem + 3, 2 * PAGE - 100, IOVA + 7), 0);
	assert_int_equal(rw(fd, 2, IOVA + 7, 1, buf), -EOPNOTSUPP);
	assert_int_equal(rw(fd, 0, IOVA + 7, (16 << 20) + 1, buf), -ENOMEM);
	assert_int_equal(rw(fd, 0, IOVA + 7, 16, NULL), -EFAULT);
	assert_int_equal(rw(fd, WRITE, IOVA + 7, 16, NULL), -EFAULT);
	assert_int_equal(rw(fd, 0, IOVA + 6, 16, buf), -ENOENT);
	assert_int_equal(rw(fd, 0, IOVA + 7, sizeof(buf), buf), 0);
	assert_int_equal(buf[0], 0x5a);
	assert_int_equal(buf[sizeof(buf) - 1], 0x5a);
	for (u32 slow = 0; slow <= SLOW; slow += SLOW) {
		memset(buf, (int)(0x11 + slow), sizeof(buf));
		assert_int_equal(rw(fd, WRITE | slow, IOVA + 7 + 1, sizeof(buf), buf), 0);
		assert_int_equal(mem[3], 0x5a);
		assert_int_equal(mem[4], 0x11 + slow);
		assert_int_equal(mem[4 + sizeof(buf) - 1], 0x11 + slow);
		assert_int_equal(mem[4 + sizeof(buf)], 0x5a);
		memset(buf, 0, sizeof(buf));
		assert_int_equal(rw(fd, slow, IOVA + 7 + 1, sizeof(buf), buf), 0);
		assert_int_equal(buf[PAGE], 0x11 + slow);
	}
}

/* 1.14: the context lives until the descriptor is closed. */
static void an_access_outlives_the_context_s_descriptor(void **state)
{
	struct ui_iommufd *second = ui_mock_open(mock, &file_env), *first;
	u32 item;
	int fd;

	assert_int_equal(create(ioas, NEEDS_PIN, &fd), 0);
	assert_int_equal(map_at(&rig, ioas, mem, 2 * PAGE, IOVA), 0);
	assert_int_equal(pin(fd, 0, IOVA, PAGE, mem, &item), 0);
	first = rig.ctx;
	rig.ctx = second;
	ui_iommufd_close(first);
	assert_int_equal(check_refs(mem, PAGE, 1), 0);
	/* By way of any context. */
	assert_int_equal(pin(fd, 0, IOVA + PAGE, PAGE, mem + PAGE, &item), 0);
	file_close(fd);
	assert_int_equal(check_refs(mem, 2 * PAGE, 0), 0);
}

static void failed_creations_leave_nothing_behind(void **state)
{
	u32 item;
	int fd;

	assert_int_equal(map_at(&rig, ioas, mem, 2 * PAGE, IOVA), 0);
	for (u64 n = 1;; n++) {
		u64 live = ui_alloc_live();
		long ret;

		ui_inject_arm(n);
		ret = create(ioas, NEEDS_PIN, &fd);
		if (ui_inject_left()) {
			assert_int_equal(ret, 0);
			break;
		}
		assert_true(ret == -ENOMEM || ret == -EMFILE);
		assert_int_equal(ui_alloc_live(), live);
	}
	for (u64 n = 1;; n++) {
		u64 live = ui_alloc_live();
		long ret;

		ui_inject_arm(n);
		ret = pin(fd, 0, IOVA, 2 * PAGE, mem, &item);
		if (ui_inject_left()) {
			assert_int_equal(ret, 0);
			break;
		}
		assert_int_equal(ret, -ENOMEM);
		assert_int_equal(ui_alloc_live(), live);
		assert_int_equal(check_refs(mem, 2 * PAGE, 0), 0);
	}
	ui_inject_arm(0);
	assert_int_equal(item, 0);
}

enum { ROUNDS = 300 };

static void *pin_for_a_while(void *arg)
{
	const int *fd = arg;
	u32 item;

	for (unsigned i = 0; i < ROUNDS; i++) {
		long ret = pin(*fd, 0, IOVA, PAGE, NULL, &item);

		/* Gone, going, or pinned. */
		if (ret && ret != -ENOENT && ret != -EINVAL)
			return (void *)(intptr_t)ret;
	}
	return NULL;
}

/* Who unmaps finds whatever is pinned: it neither misses an item nor waits for one that nobody knows. */
static void pins_race_with_unmaps(void **state)
{
	pthread_t thread;
	void *result;
	int fd;

	assert_int_equal(create(ioas, NEEDS_PIN, &fd), 0);
	assert_int_equal(pthread_create(&thread, NULL, pin_for_a_while, &fd), 0);
	for (unsigned i = 0; i < ROUNDS; i++) {
		assert_int_equal(map_at(&rig, ioas, mem, 2 * PAGE, IOVA), 0);
		sched_yield();
		assert_int_equal(unmap(&rig, ioas, IOVA, 2 * PAGE, NULL), 0);
		assert_int_equal(check_refs(mem, 2 * PAGE, 0), 0);
	}
	pthread_join(thread, &result);
	assert_null(result);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_access_is_a_descriptor),
		T(pages_stay_pinned_by_item),
		T(an_unmap_drops_what_is_pinned_there),
		T(a_replace_drops_everything),
		T(bytes_are_copied_both_ways),
		T(an_access_outlives_the_context_s_descriptor),
		T(failed_creations_leave_nothing_behind),
		T(pins_race_with_unmaps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
