/* SPDX-License-Identifier: MIT */
/*
 * Every allocation of a scenario with nested HWPTs, fault queues, vIOMMUs and what belongs to them fails in turn. The call that hits
 * it fails with ENOMEM and leaves everything as it was, so that it succeeds when done again; nothing leaks.
 */
#include "nest.h"

static struct rig rig;
static struct guest guest;
static u64 nth;
static unsigned n_answers;

/* Runs one call with the failure armed. When it failed for lack of memory it is done again, without. */
#define STEP(expr)                                                                                                        \
	do {                                                                                                              \
		long ret_;                                                                                                \
		ui_inject_arm(nth);                                                                                       \
		ret_ = (expr);                                                                                            \
		nth = ui_inject_left();                                                                                   \
		ui_inject_arm(0);                                                                                         \
		if (ret_ == -ENOMEM)                                                                                      \
			ret_ = (expr);                                                                                    \
		assert_int_equal(ret_, 0);                                                                                \
	} while (0)

static void answered(void *arg, u32 pasid, bool has_pasid, u32 group, enum ui_page_response code)
{
	n_answers++;
}

static long try_bind(unsigned i)
{
	return rig.binder.ops->bind(rig.binder.ctx, rig.dev[i], &rig.dev_id[i], &rig.bound[i]);
}

static long try_attach(unsigned i, u32 pasid, u32 pt)
{
	return ui_bound_attach(rig.bound[i], pasid, &pt);
}

static long try_replace(unsigned i, u32 pasid, u32 pt)
{
	return ui_bound_replace(rig.bound[i], pasid, &pt);
}

static long try_event(void)
{
	return nest.last_viommu->host->report(nest.last_viommu, T_EVENT, &n_answers, sizeof(n_answers));
}

/* A request that finds no memory is answered at once; then it comes again. */
static long try_request(u32 pasid)
{
	struct ui_page_request request = {
		.dev = rig.dev[3], .pasid = pasid, .has_pasid = true, .group = 5, .access = UI_PROT_READ, .last = true
	};

	n_answers = 0;
	ui_device_page_request(&request);
	return n_answers ? -ENOMEM : 0;
}

static long try_read(int fd)
{
	struct ui_uapi_pgfault rec;
	s64 n = fd_read(fd, &rec, sizeof(rec));

	return n == sizeof(rec) ? 0 : (long)n;
}

static void scenario(void)
{
	struct nest_viommu_data data = { .in = 4 };
	u32 fault, nested, through, viommu, vdev, events, queues[2], pt;
	int fd, event_fd;

	STEP(fault_new(&rig, &fault, &fd));
	STEP(nested_fault_new(&rig, rig.dev_id[3], guest.parent, UI_UAPI_HWPT_PASID, &guest_table, fault, &nested));
	STEP(viommu_new(&rig, rig.dev_id[3], guest.parent, T_VIOMMU, &data, &viommu));
	STEP(nested_new(&rig, rig.dev_id[3], viommu, UI_UAPI_HWPT_PASID, &guest_table, &through));
	STEP(vdevice_new(&rig, viommu, rig.dev_id[3], 7, &vdev));
	STEP(try_attach(3, 0, through));
	STEP(try_attach(3, 9, nested));
	assert_int_equal(word_at(&rig, 3, 9, IOVA), DATA_PAGE);
	STEP(try_request(9));
	STEP(try_read(fd));
	STEP(veventq_new(&rig, viommu, T_EVENT, 4, &events, &event_fd));
	STEP(try_event());
	STEP(hw_queue_new(&rig, viommu, T_QUEUE, 0, IPA, PAGE, &queues[0]));
	STEP(hw_queue_new(&rig, viommu, T_QUEUE, 1, IPA + PAGE, 2 * PAGE, &queues[1]));
	STEP(try_replace(3, 0, nested));
	assert_int_equal(word_at(&rig, 3, 0, IOVA), DATA_PAGE);
	STEP(try_bind(0));
	STEP(try_attach(0, 0, guest.ioas));
	pt = guest.parent;
	STEP(try_replace(0, 0, pt));
	/* Ends need no memory. */
	ui_inject_arm(1);
	rig_unbind(&rig, 3);
	assert_int_equal(destroy(&rig, queues[1]), 0);
	assert_int_equal(destroy(&rig, queues[0]), 0);
	fd_close(fd);
	fd_close(event_fd);
	assert_int_equal(destroy(&rig, events), 0);
	assert_int_equal(destroy(&rig, through), 0);
	assert_int_equal(destroy(&rig, viommu), 0);
	assert_int_equal(destroy(&rig, nested), 0);
	assert_int_equal(destroy(&rig, fault), 0);
	ui_inject_arm(0);
	assert_int_equal(destroy(&rig, vdev), -ENOENT);
}

static void every_failed_allocation_is_undone(void **state)
{
	bool fired = true;
	u64 n;

	recover_bad_accesses();
	for (n = 1; fired; n++) {
		memset(&nest, 0, sizeof(nest));
		rig_open_kind(&rig, &nest_driver, &fake_env, 0);
		ui_device_set_page_answer(rig.dev[3], answered, NULL);
		rig_bind(&rig, 3);
		guest_open(&rig, &guest, 3);
		nth = n;
		scenario();
		fired = !nth;
		rig_close(&rig);
		guest_close(&guest);
		assert_int_equal(nest.n_domains + nest.n_vdevs + nest.n_queues + nest.n_viommus, 0);
	}
	print_message("%u points\n", (unsigned)(n - 2));
	assert_true(n > 25);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_failed_allocation_is_undone),
	};

	ui_log_set(UI_LOG_NONE, NULL, NULL);
	return cmocka_run_group_tests_name("iommufd_objects_inject", tests, NULL, NULL);
}
