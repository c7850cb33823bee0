/* SPDX-License-Identifier: MIT */
/*
 * Groups and their container from many threads: each call gives one of the answers that some order of the calls would, and nothing is
 * left. For ThreadSanitizer, too.
 */
#include "group_common.h"

#include <pthread.h>
#include <stdlib.h>

enum { ROUNDS = 300 };

static void must(bool ok, const char *what, long got)
{
	if (ok)
		return;
	fprintf(stderr, "%s: %ld\n", what, got);
	abort();
}

static bool one_of(long got, long a, long b, long c)
{
	return got == a || got == b || got == c;
}

static void *sets(void *arg)
{
	unsigned g = *(unsigned *)arg;

	for (int i = 0; i < ROUNDS; i++) {
		long ret = set(g, i % 5 ? FD_CONTAINER : FD_CONTAINER2);

		must(one_of(ret, 0, -EINVAL, -EBUSY), "SET_CONTAINER", ret);
		ret = by_value(FD_CONTAINER, UI_UAPI_VFIO_SET_IOMMU, UI_UAPI_VFIO_TYPE1V2);
		must(one_of(ret, 0, -EINVAL, -EFAULT), "SET_IOMMU", ret);
		ret = unset(g);
		must(one_of(ret, 0, -EINVAL, -EBUSY), "UNSET_CONTAINER", ret);
	}
	return NULL;
}

/* Each thread its own device, so that who opens also closes. */
static void *opens(void *arg)
{
	static const char *const names[] = { "0000:01:00.0", "0000:02:00.0", "0000:03:00.0" };
	unsigned i = *(unsigned *)arg;

	for (int n = 0; n < ROUNDS; n++) {
		long ret = get_fd(i / 2, names[i]);

		must(one_of(ret, DEVICE_FD + (long)i, -EINVAL, -EINVAL), "GET_DEVICE_FD", ret);
		if (ret >= 0)
			device_close(i);
	}
	return NULL;
}

static void *maps(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		u64 iova = (u64)(i % 7) * PAGE;
		long ret = vmap(FD_CONTAINER, 3, rig.mem, iova, PAGE);

		must(one_of(ret, 0, -EINVAL, -EEXIST), "MAP_DMA", ret);
		ret = vunmap(FD_CONTAINER, 0, iova, PAGE, NULL);
		must(one_of(ret, 0, -EINVAL, 0), "UNMAP_DMA", ret);
	}
	return NULL;
}

static void all_at_once(void **state)
{
	static unsigned numbers[] = { 0, 1, 2 };
	pthread_t threads[7];
	unsigned n = 0;

	assert_int_equal(group_open(0), 0);
	assert_int_equal(group_open(1), 0);
	for (unsigned g = 0; g < 2; g++)
		assert_int_equal(pthread_create(&threads[n++], NULL, sets, &numbers[g]), 0);
	for (unsigned i = 0; i < N_DEVS; i++)
		assert_int_equal(pthread_create(&threads[n++], NULL, opens, &numbers[i]), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[n++], NULL, maps, NULL), 0);
	while (n)
		pthread_join(threads[--n], NULL);
	ui_vfio_group_close(rig.groups[0]);
	ui_vfio_group_close(rig.groups[1]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_at_once, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
