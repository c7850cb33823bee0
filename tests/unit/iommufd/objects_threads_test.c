/* SPDX-License-Identifier: MIT */
/*
 * Threads are the subject: exit status 0 or 1. Devices report while attachments change and a program reads and answers; vDEVICEs are
 * destroyed while their device unbinds and invalidations look for them; event queues end under reporters. Each page request is
 * answered exactly once. For the sanitizers, and for what only a race can break.
 */
#include "nest.h"

#include <stdatomic.h>
#include <unistd.h>

#define CHECK(cond)                                                                                                       \
	do {                                                                                                              \
		if (!(cond)) {                                                                                            \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                                        \
			_exit(1);                                                                                         \
		}                                                                                                         \
	} while (0)

enum { ROUNDS = 400 };

static struct rig rig;
static struct guest guest;
static atomic_uint n_asked, n_answered;
static atomic_bool stop;

static void answered(void *arg, u32 pasid, bool has_pasid, u32 group, enum ui_page_response code)
{
	atomic_fetch_add(&n_answered, 1);
}

static void *reporter(void *arg)
{
	struct ui_page_request request = { .dev = rig.dev[3], .has_pasid = true, .access = UI_PROT_READ };

	while (!atomic_load(&stop)) {
		request.pasid = 1 + request.group % 2;
		request.group++;
		request.last = false;
		ui_device_page_request(&request);
		request.last = true;
		atomic_fetch_add(&n_asked, 1);
		ui_device_page_request(&request);
		if (atomic_load(&n_asked) - atomic_load(&n_answered) > 64)
			ui_sys_yield();
	}
	return NULL;
}

static void *reader(void *arg)
{
	struct ui_uapi_pgfault recs[8];
	int fd = *(int *)arg;

	while (!atomic_load(&stop)) {
		s64 n = fd_read(fd, recs, sizeof(recs));

		CHECK(n >= 0);
		for (s64 i = 0; i < n / (s64)sizeof(recs[0]); i++) {
			struct ui_uapi_page_response response = { .cookie = recs[i].cookie };
			s64 done = recs[i].flags & UI_UAPI_PGFAULT_LAST_PAGE ? fd_write(fd, &response, sizeof(response)) : 0;

			/* The end of the attachment may have been first. */
			CHECK(done >= 0 || done == -EINVAL);
		}
	}
	return NULL;
}

static void each_request_is_answered_once(void)
{
	pthread_t threads[3];
	u32 fault, a, b;
	int fd;

	CHECK(!fault_new(&rig, &fault, &fd));
	CHECK(!nested_fault_new(&rig, rig.dev_id[3], guest.parent, UI_UAPI_HWPT_PASID, &guest_table, fault, &a));
	CHECK(!nested_fault_new(&rig, rig.dev_id[3], guest.parent, UI_UAPI_HWPT_PASID, &guest_table, fault, &b));
	ui_device_set_page_answer(rig.dev[3], answered, NULL);
	atomic_store(&stop, false);
	pthread_create(&threads[0], NULL, reporter, NULL);
	pthread_create(&threads[1], NULL, reader, &fd);
	pthread_create(&threads[2], NULL, reader, &fd);
	for (unsigned i = 0; i < ROUNDS; i++) {
		u32 pt = a;

		CHECK(!ui_bound_attach(rig.bound[3], 1, &pt));
		pt = a;
		CHECK(!ui_bound_attach(rig.bound[3], 0, &pt));
		pt = b;
		CHECK(!ui_bound_replace(rig.bound[3], 1, &pt));
		ui_bound_detach(rig.bound[3], 1);
		ui_bound_detach(rig.bound[3], 0);
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	CHECK(atomic_load(&n_asked) == atomic_load(&n_answered));
	fd_close(fd);
	CHECK(!destroy(&rig, a) && !destroy(&rig, b) && !destroy(&rig, fault));
}

struct victim {
	u32 viommu;
	_Atomic u32 vdev;
};

static void *destroyer(void *arg)
{
	struct victim *victim = arg;

	while (!atomic_load(&stop)) {
		u32 id = atomic_load(&victim->vdev);
		long ret = id ? destroy(&rig, id) : -ENOENT;

		CHECK(!ret || ret == -ENOENT);
	}
	return NULL;
}

static void *invalidator(void *arg)
{
	const struct nest_forget entry = { .virt_id = 5, .what = 1 };
	struct victim *victim = arg;

	while (!atomic_load(&stop)) {
		u32 n = 1;
		long ret = invalidate(&rig, victim->viommu, T_VINVALIDATE, &entry, sizeof(entry), &n);

		CHECK(!ret || ret == -ENODEV);
	}
	return NULL;
}

/* DESTROY of the vDEVICE, the unbinding of its device, and invalidations through its vIOMMU, all at once. */
static void a_vdevice_goes_once(void)
{
	struct victim victim = { 0 };
	pthread_t threads[2];

	CHECK(!viommu_new(&rig, rig.dev_id[0], guest.parent, T_VIOMMU, NULL, &victim.viommu));
	atomic_store(&stop, false);
	pthread_create(&threads[0], NULL, destroyer, &victim);
	pthread_create(&threads[1], NULL, invalidator, &victim);
	for (unsigned i = 0; i < ROUNDS; i++) {
		u32 id;

		CHECK(!rig.binder.ops->bind(rig.binder.ctx, rig.dev[2], &rig.dev_id[2], &rig.bound[2]));
		CHECK(!vdevice_new(&rig, victim.viommu, rig.dev_id[2], 5, &id));
		atomic_store(&victim.vdev, id);
		if (i % 2)
			ui_sys_yield();
		rig_unbind(&rig, 2);
		CHECK(!ui_device_vdevice(rig.dev[2]));
		CHECK(destroy(&rig, id) == -ENOENT);
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	CHECK(!nest.n_vdevs);
	CHECK(!destroy(&rig, victim.viommu));
}

static void *event_source(void *arg)
{
	struct ui_viommu *viommu = arg;

	for (u64 i = 0; !atomic_load(&stop); i++) {
		int ret = viommu->host->report(viommu, T_EVENT, &i, sizeof(i));

		CHECK(!ret || ret == -EOPNOTSUPP);
	}
	return NULL;
}

/* Queues come, are read and go while events arrive: sequence numbers never go back. */
static void events_arrive_while_queues_come_and_go(void)
{
	struct { struct ui_uapi_vevent_header header; u64 data; } rec;
	pthread_t thread;
	u32 viommu, id;
	int fd;

	CHECK(!viommu_new(&rig, rig.dev_id[0], guest.parent, T_VIOMMU, NULL, &viommu));
	atomic_store(&stop, false);
	pthread_create(&thread, NULL, event_source, nest.last_viommu);
	for (unsigned i = 0; i < ROUNDS; i++) {
		s64 before = -1;

		CHECK(!veventq_new(&rig, viommu, T_EVENT, 3, &id, &fd));
		for (unsigned k = 0; k < 20; k++) {
			s64 n = fd_read(fd, &rec, sizeof(rec));

			if (!n)
				continue;
			CHECK(n == sizeof(rec) || (n == sizeof(rec.header) && rec.header.flags == UI_UAPI_VEVENT_LOST));
			CHECK((s64)rec.header.sequence > before);
			before = rec.header.sequence;
		}
		fd_close(fd);
		CHECK(!destroy(&rig, id));
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	CHECK(!destroy(&rig, viommu));
}

/* A call that stays inside its object until somebody has tried long enough to destroy that. */
static struct {
	u32 hwpt;
	atomic_bool inside, destroyed;
} paused;

static void pause_inside(void)
{
	atomic_store(&paused.inside, true);
	for (unsigned i = 0; i < 20000 && !atomic_load(&paused.destroyed); i++)
		ui_sys_yield();
	CHECK(!atomic_load(&paused.destroyed));
}

static void *invalidate_paused(void *arg)
{
	struct nest_range range = { 0, PAGE - 1 };
	u32 n = 1;

	CHECK(!invalidate(&rig, paused.hwpt, T_INVALIDATE, &range, sizeof(range), &n) && n == 1);
	return NULL;
}

static void *destroy_paused(void *arg)
{
	CHECK(!destroy(&rig, paused.hwpt));
	atomic_store(&paused.destroyed, true);
	return NULL;
}

static void a_destroy_waits_for_a_call_on_its_object(void)
{
	pthread_t caller, destroyer;

	CHECK(!nested_new(&rig, rig.dev_id[3], guest.parent, 0, &guest_table, &paused.hwpt));
	nest.invalidating = pause_inside;
	CHECK(!pthread_create(&caller, NULL, invalidate_paused, NULL));
	while (!atomic_load(&paused.inside))
		ui_sys_yield();
	CHECK(!pthread_create(&destroyer, NULL, destroy_paused, NULL));
	pthread_join(caller, NULL);
	pthread_join(destroyer, NULL);
	nest.invalidating = NULL;
}

int main(void)
{
	ui_log_set(UI_LOG_NONE, NULL, NULL);
	rig_open_kind(&rig, &nest_driver, &fake_env, 0);
	rig_bind(&rig, 0);
	rig_bind(&rig, 3);
	guest_open(&rig, &guest, 0);
	each_request_is_answered_once();
	a_vdevice_goes_once();
	events_arrive_while_queues_come_and_go();
	a_destroy_waits_for_a_call_on_its_object();
	rig_close(&rig);
	guest_close(&guest);
	return 0;
}
