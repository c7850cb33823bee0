/* SPDX-License-Identifier: MIT */
/* Everything at once on one IOAS: for the sanitizers, and for what may never be seen whatever the order is. */
#include "common.h"

#include <pthread.h>
#include <stdatomic.h>

enum { ROUNDS = 300 };

static u32 ioas, hwpt, parent, viommu;
static struct mock_dev dev;
static atomic_bool stop;

static int setup_all(void **state)
{
	struct ui_uapi_viommu_alloc cmd = { .size = sizeof(cmd), .type = 0xdeadbeef };

	setup(state);
	atomic_store(&stop, false);
	ioas = ioas_new(&rig);
	assert_int_equal(mock_domain(ioas, PASIDS, &dev), 0);
	assert_int_equal(hwpt_new(&rig, dev.dev, ioas, UI_UAPI_HWPT_DIRTY_TRACKING | UI_UAPI_HWPT_PASID, &hwpt), 0);
	assert_int_equal(hwpt_new(&rig, dev.dev, ioas, UI_UAPI_HWPT_NEST_PARENT, &parent), 0);
	cmd.dev_id = dev.dev;
	cmd.hwpt_id = parent;
	assert_int_equal(call(&rig, UI_UAPI_VIOMMU_ALLOC, &cmd), 0);
	viommu = cmd.out_viommu_id;
	return 0;
}

#undef T
#define T(name) { #name, run_body, setup_all, teardown, &(struct body){ name } }

/* Each gives the first answer that cannot be. */
static void *look(void *arg)
{
	while (!atomic_load(&stop)) {
		long ret = check_map(hwpt, IOVA, PAGE, mem);

		/* There, or not: never elsewhere. */
		if (ret && ret != -EINVAL)
			return (void *)(intptr_t)ret;
		if (check_map(hwpt, IOVA, PAGE, mem + 8 * PAGE) != -EINVAL)
			return (void *)1;
		ret = check_refs(mem + 8 * PAGE, PAGE, 0);
		if (ret)
			return (void *)(intptr_t)ret;
	}
	return NULL;
}

static void *devices_come_and_go(void *arg)
{
	struct mock_dev other;

	while (!atomic_load(&stop)) {
		long ret = mock_domain(hwpt, PASIDS, &other);

		if (!ret)
			ret = destroy(&rig, other.stdev);
		if (ret)
			return (void *)(intptr_t)ret;
	}
	return NULL;
}

/* The device goes to and fro, with its vdevice, events and page requests; the answers depend on who was first. */
static void *attachments_change(void *arg)
{
	struct ui_uapi_vdevice_alloc cmd = { .size = sizeof(cmd), .viommu_id = viommu, .dev_id = dev.dev, .virt_id = 5 };
	u32 nested;

	while (!atomic_load(&stop)) {
		if (call(&rig, UI_UAPI_VDEVICE_ALLOC, &cmd) || nested_new(dev.dev, viommu, UI_UAPI_HWPT_PASID, &nested))
			return (void *)1;
		if (test_w(MOCK_DOMAIN_REPLACE, dev.stdev, nested, 0) || test_w(PASID_ATTACH, dev.stdev, 9, hwpt) ||
		    test_w(PASID_DETACH, dev.stdev, 9, 0) || test_w(MOCK_DOMAIN_REPLACE, dev.stdev, ioas, 0))
			return (void *)2;
		if (destroy(&rig, nested) || destroy(&rig, cmd.out_vdevice_id))
			return (void *)3;
	}
	return NULL;
}

static void *events_and_requests(void *arg)
{
	struct test_cmd iopf = { .op = TRIGGER_IOPF, .w = { dev.dev, 9, 1, 1 } };

	while (!atomic_load(&stop)) {
		long ret = test_w(TRIGGER_VEVENT, 0, dev.dev, 0);

		/* Not attached there, or no queue. */
		if ((ret != -ENOENT && ret != -EOPNOTSUPP) || test_call(&iopf))
			return (void *)(intptr_t)(ret ? ret : 1);
		ret = test_w(PASID_CHECK_HWPT, dev.stdev, 9, 0);
		if (ret && ret != -EINVAL)
			return (void *)(intptr_t)ret;
	}
	return NULL;
}

static void everything_at_once(void **state)
{
	void *(*const fns[])(void *arg) = { look, devices_come_and_go, attachments_change, events_and_requests };
	pthread_t threads[ui_array_size(fns)];
	void *result;

	for (unsigned i = 0; i < ui_array_size(fns); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, fns[i], NULL), 0);
	for (unsigned i = 0; i < ROUNDS; i++) {
		assert_int_equal(map_at(&rig, ioas, mem, 2 * PAGE, IOVA), 0);
		sched_yield();
		assert_int_equal(unmap(&rig, ioas, IOVA, 2 * PAGE, NULL), 0);
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < ui_array_size(fns); i++) {
		pthread_join(threads[i], &result);
		assert_null(result);
	}
	assert_int_equal(check_refs(mem, MEM_PAGES * PAGE, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(everything_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
