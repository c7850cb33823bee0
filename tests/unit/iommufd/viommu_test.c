/* SPDX-License-Identifier: MIT */
/* vIOMMUs and what belongs to them: vDEVICEs, event queues, hardware queues, shared memory. iommufd-semantics 1 and 7. */
#include "nest.h"

static struct rig rig;
static struct guest guest;
static u32 viommu;

/* Devices 0 and 1 share a group. */
static int setup(void **state)
{
	memset(&nest, 0, sizeof(nest));
	rig_open_kind(&rig, &nest_driver, &fake_env, 7);
	rig_bind(&rig, 0);
	rig_bind(&rig, 2);
	guest_open(&rig, &guest, 0);
	assert_int_equal(viommu_new(&rig, rig.dev_id[0], guest.parent, T_VIOMMU, NULL, &viommu), 0);
	return 0;
}

static int teardown(void **state)
{
	rig_close(&rig);
	assert_int_equal(nest.n_domains + nest.n_vdevs + nest.n_queues + nest.n_viommus, 0);
	guest_close(&guest);
	return 0;
}

/* --- VIOMMU_ALLOC --- */

static void alloc_checks_in_the_kernels_order(void **state)
{
	struct nest_viommu_data data = { 0 };
	struct ui_uapi_viommu_alloc cmd = { .size = sizeof(cmd), .flags = 1, .dev_id = 99, .hwpt_id = 99, .data_len = 4, .__reserved = 1 };
	u32 plain, pt = guest.ioas;

	assert_int_equal(hwpt_new(&rig, rig.dev_id[0], guest.ioas, 0, &plain), 0);
	cmd.type = T_VIOMMU;
	assert_int_equal(call(&rig, UI_UAPI_VIOMMU_ALLOC, &cmd), -EOPNOTSUPP);
	cmd.flags = 0;
	cmd.type = 0;
	assert_int_equal(call(&rig, UI_UAPI_VIOMMU_ALLOC, &cmd), -EOPNOTSUPP);
	cmd.type = 1;
	assert_int_equal(call(&rig, UI_UAPI_VIOMMU_ALLOC, &cmd), -ENOENT);
	cmd.dev_id = rig.dev_id[0];
	assert_int_equal(call(&rig, UI_UAPI_VIOMMU_ALLOC, &cmd), -EOPNOTSUPP);
	cmd.type = T_VIOMMU;
	assert_int_equal(call(&rig, UI_UAPI_VIOMMU_ALLOC, &cmd), -ENOENT);
	cmd.hwpt_id = guest.ioas;
	assert_int_equal(call(&rig, UI_UAPI_VIOMMU_ALLOC, &cmd), -ENOENT);
	cmd.hwpt_id = plain;
	assert_int_equal(call(&rig, UI_UAPI_VIOMMU_ALLOC, &cmd), -EINVAL);
	assert_int_equal(attach(&rig, 0, 0, &pt), 0);
	cmd.hwpt_id = pt;
	assert_int_equal(call(&rig, UI_UAPI_VIOMMU_ALLOC, &cmd), -EINVAL);
	cmd.hwpt_id = guest.parent;
	assert_int_equal(call(&rig, UI_UAPI_VIOMMU_ALLOC, &cmd), -EINVAL);
	cmd.data_len = sizeof(data);
	assert_int_equal(call(&rig, UI_UAPI_VIOMMU_ALLOC, &cmd), -EFAULT);
	cmd.data_uptr = ptr(&data);
	assert_int_equal(call(&rig, UI_UAPI_VIOMMU_ALLOC, &cmd), 0);
	assert_int_not_equal(cmd.out_viommu_id, viommu);
	/* An older caller ends before the data. */
	cmd.size = 24;
	assert_int_equal(call(&rig, UI_UAPI_VIOMMU_ALLOC, &cmd), 0);
	assert_int_equal(destroy(&rig, cmd.out_viommu_id), 0);
}

static void a_vIOMMU_uses_its_parent(void **state)
{
	assert_int_equal(destroy(&rig, guest.parent), -EBUSY);
	assert_int_equal(destroy(&rig, viommu), 0);
	assert_int_equal(nest.n_viommus, 0);
	assert_int_equal(destroy(&rig, guest.parent), 0);
}

/* Section 4, rule 7, and section 1, 13. */
static void nested_hwpts_are_made_through_it(void **state)
{
	struct nest_hwpt_data data = guest_table;
	struct ui_uapi_hwpt_alloc cmd = { .size = sizeof(cmd), .pt_id = viommu };
	u32 id, vdev, bare, pt;

	rig_bind(&rig, 3);
	cmd.dev_id = rig.dev_id[3];
	assert_int_equal(call(&rig, UI_UAPI_HWPT_ALLOC, &cmd), -EOPNOTSUPP);
	assert_int_equal(nested_new(&rig, rig.dev_id[3], viommu, UI_UAPI_HWPT_NEST_PARENT, &data, &id), -EOPNOTSUPP);
	data.flags = 1;
	assert_int_equal(nested_new(&rig, rig.dev_id[3], viommu, 0, &data, &id), -EOPNOTSUPP);
	assert_int_equal(nested_fault_new(&rig, rig.dev_id[3], viommu, 0, &guest_table, 99, &id), -ENOENT);
	assert_int_equal(viommu_new(&rig, rig.dev_id[3], guest.parent, T_VIOMMU_BARE, NULL, &bare), 0);
	assert_int_equal(nested_new(&rig, rig.dev_id[3], bare, 0, &guest_table, &id), -EOPNOTSUPP);
	assert_int_equal(nested_new(&rig, rig.dev_id[3], viommu, UI_UAPI_HWPT_PASID, &guest_table, &id), 0);
	pt = id;
	assert_int_equal(ui_bound_attach(rig.bound[3], 0, &pt), -ENOENT);
	assert_int_equal(vdevice_new(&rig, viommu, rig.dev_id[3], 9, &vdev), 0);
	assert_int_equal(ui_bound_attach(rig.bound[3], 0, &pt), 0);
	assert_int_equal(word_at(&rig, 3, 0, IOVA), DATA_PAGE);
	assert_int_equal(ui_bound_attach(rig.bound[3], 3, &pt), 0);
	assert_int_equal(word_at(&rig, 3, 3, IOVA), DATA_PAGE);
	assert_int_equal(destroy(&rig, viommu), -EBUSY);
	ui_bound_detach(rig.bound[3], 3);
	ui_bound_detach(rig.bound[3], 0);
	assert_int_equal(destroy(&rig, vdev), 0);
	assert_int_equal(destroy(&rig, viommu), -EBUSY);
	assert_int_equal(destroy(&rig, id), 0);
	assert_int_equal(destroy(&rig, viommu), 0);
	assert_int_equal(destroy(&rig, bare), 0);
}

/* Binds a device behind another IOMMU of the same kind. */
static void other_open(struct ui_iommu **iommu, struct ui_device **dev, struct ui_bound **bound, u32 *id)
{
	struct ui_device_cfg cfg = { .rid = 0x900, .name = "other" };

	*iommu = ui_iommu_create(&nest_driver, rig.mem);
	*dev = ui_device_create(*iommu, &cfg);
	assert_int_equal(rig.binder.ops->bind(rig.binder.ctx, *dev, id, bound), 0);
}

static void devices_of_another_iommu_are_refused(void **state)
{
	struct ui_iommu *iommu;
	struct ui_device *dev;
	struct ui_bound *bound;
	u32 dev_id, id;

	other_open(&iommu, &dev, &bound, &dev_id);
	assert_int_equal(nested_new(&rig, dev_id, viommu, 1u << 31, &guest_table, &id), -EINVAL);
	assert_int_equal(vdevice_new(&rig, viommu, dev_id, 9, &id), -EINVAL);
	assert_int_equal(viommu_new(&rig, dev_id, guest.parent, T_VIOMMU, NULL, &id), -EINVAL);
	rig.binder.ops->unbind(bound);
	ui_device_destroy(dev);
	ui_iommu_destroy(iommu);
}

/* --- VDEVICE_ALLOC --- */

static void vdevices_check_in_the_kernels_order(void **state)
{
	u32 a, b, second;

	assert_int_equal(vdevice_new(&rig, 99, 99, 1, &a), -ENOENT);
	assert_int_equal(vdevice_new(&rig, guest.parent, rig.dev_id[0], 1, &a), -ENOENT);
	assert_int_equal(vdevice_new(&rig, viommu, 99, 1, &a), -ENOENT);
	assert_int_equal(vdevice_new(&rig, viommu, viommu, 1, &a), -ENOENT);
	assert_int_equal(vdevice_new(&rig, viommu, rig.dev_id[0], BAD_VIRT_ID, &a), -EIO);
	assert_int_equal(vdevice_new(&rig, viommu, rig.dev_id[0], MAX, &a), 0);
	assert_ptr_equal(ui_device_vdevice(rig.dev[0])->dev, rig.dev[0]);
	/* One a device, whichever vIOMMU. */
	assert_int_equal(viommu_new(&rig, rig.dev_id[0], guest.parent, T_VIOMMU, NULL, &second), 0);
	assert_int_equal(vdevice_new(&rig, second, rig.dev_id[0], 5, &b), -EEXIST);
	/* One a number, in one vIOMMU. */
	assert_int_equal(vdevice_new(&rig, viommu, rig.dev_id[2], MAX, &b), -EEXIST);
	assert_int_equal(vdevice_new(&rig, second, rig.dev_id[2], MAX, &b), 0);
	assert_int_equal(destroy(&rig, viommu), -EBUSY);
	assert_int_equal(destroy(&rig, a), 0);
	assert_null(ui_device_vdevice(rig.dev[0]));
	assert_int_equal(destroy(&rig, viommu), 0);
	/* A destroyed one's number is free. */
	assert_int_equal(ioas_new(&rig), viommu);
	assert_int_equal(ioas_new(&rig), a);
}

/* Section 7: unbinding the device destroys its vDEVICE and buries the number. */
static void a_vdevice_goes_with_its_device(void **state)
{
	u32 a, next;

	assert_int_equal(vdevice_new(&rig, viommu, rig.dev_id[0], 1, &a), 0);
	rig_unbind(&rig, 0);
	assert_int_equal(nest.n_vdevs, 0);
	assert_int_equal(destroy(&rig, a), -ENOENT);
	/* Its device's number comes again, its own never. */
	next = ioas_new(&rig);
	assert_int_equal(next, rig.dev_id[0]);
	next = ioas_new(&rig);
	assert_int_equal(next, a + 1);
	assert_int_equal(destroy(&rig, viommu), 0);
}

/* --- invalidation through a vIOMMU: section 5 --- */

static void invalidation_finds_vdevices(void **state)
{
	struct nest_forget list[3] = { { 1, 1, 0 }, { 0x8000000000000001, 2, 0 }, { 3, 4, 0 } };
	u8 longer[2][24] = { { 0 } };
	u32 a, bare, n = 1;

	assert_int_equal(vdevice_new(&rig, viommu, rig.dev_id[0], 1, &a), 0);
	assert_int_equal(vdevice_new(&rig, viommu, rig.dev_id[2], 0x8000000000000001, &a), 0);
	assert_int_equal(viommu_new(&rig, rig.dev_id[0], guest.parent, T_VIOMMU_BARE, NULL, &bare), 0);
	assert_int_equal(invalidate(&rig, bare, T_VINVALIDATE, list, 16, &n), -EOPNOTSUPP);
	assert_int_equal(n, 0);
	assert_int_equal(invalidate(&rig, viommu, 1, NULL, 0, &n), -EINVAL);
	assert_int_equal(invalidate(&rig, viommu, T_VINVALIDATE, NULL, 0, &n), 0);
	n = 3;
	assert_int_equal(invalidate(&rig, viommu, T_VINVALIDATE, list, 16, &n), -ENODEV);
	assert_int_equal(n, 2);
	assert_int_equal(nest.last_vdev_sum, 2);
	/* Shorter entries are filled up with zeros, longer ones end in zeros. */
	n = 1;
	assert_int_equal(invalidate(&rig, viommu, T_VINVALIDATE, list, 8, &n), -EINVAL);
	memcpy(longer[0], &list[0], 16);
	memcpy(longer[1], &list[1], 16);
	n = 2;
	assert_int_equal(invalidate(&rig, viommu, T_VINVALIDATE, longer, 24, &n), 0);
	assert_int_equal(nest.last_vdev_sum, 4);
	longer[1][23] = 1;
	n = 2;
	assert_int_equal(invalidate(&rig, viommu, T_VINVALIDATE, longer, 24, &n), -E2BIG);
	assert_int_equal(n, 1);
}

/* --- VEVENTQ --- */

struct record {
	struct ui_uapi_vevent_header header;
	u64 data;
};

enum { HDR = sizeof(struct ui_uapi_vevent_header), REC = sizeof(struct record) };

static int event(u64 data)
{
	return nest.last_viommu->host->report(nest.last_viommu, T_EVENT, &data, sizeof(data));
}

static void expect_event(int fd, u32 sequence, u64 data)
{
	struct record rec;

	assert_int_equal(fd_read(fd, &rec, REC), REC);
	assert_int_equal(rec.header.flags, 0);
	assert_int_equal(rec.header.sequence, sequence);
	assert_int_equal(rec.data, data);
}

static void veventqs_check_in_the_kernels_order(void **state)
{
	struct ui_uapi_veventq_alloc cmd = { .size = sizeof(cmd), .flags = 1, .viommu_id = 99, .type = T_EVENT, .veventq_depth = 0 };
	u32 id, second;
	int fd;

	assert_int_equal(call(&rig, UI_UAPI_VEVENTQ_ALLOC, &cmd), -EOPNOTSUPP);
	cmd.flags = 0;
	cmd.__reserved = 1;
	assert_int_equal(call(&rig, UI_UAPI_VEVENTQ_ALLOC, &cmd), -EOPNOTSUPP);
	cmd.__reserved = 0;
	cmd.type = 0;
	assert_int_equal(call(&rig, UI_UAPI_VEVENTQ_ALLOC, &cmd), -EOPNOTSUPP);
	cmd.type = T_EVENT;
	assert_int_equal(call(&rig, UI_UAPI_VEVENTQ_ALLOC, &cmd), -EINVAL);
	cmd.veventq_depth = (1 << 19) + 1;
	assert_int_equal(call(&rig, UI_UAPI_VEVENTQ_ALLOC, &cmd), -EINVAL);
	cmd.veventq_depth = 1 << 19;
	assert_int_equal(call(&rig, UI_UAPI_VEVENTQ_ALLOC, &cmd), -ENOENT);
	cmd.viommu_id = guest.parent;
	assert_int_equal(call(&rig, UI_UAPI_VEVENTQ_ALLOC, &cmd), -ENOENT);
	assert_int_equal(veventq_new(&rig, viommu, T_EVENT, 1 << 19, &id, &fd), 0);
	assert_int_equal(veventq_new(&rig, viommu, T_EVENT, 1, &second, &fd), -EEXIST);
	/* The number of the one that was refused is free again, and its type was nobody's. */
	assert_int_equal(veventq_new(&rig, viommu, T_EVENT + 1, 1, &second, &fd), 0);
	assert_int_equal(second, id + 1);
	fd_close(FD_FIRST);
	fd_close(fd);
}

static void a_veventq_is_busy_until_its_descriptor_closes(void **state)
{
	u32 id;
	int fd;

	assert_int_equal(veventq_new(&rig, viommu, T_EVENT, 4, &id, &fd), 0);
	assert_int_equal(destroy(&rig, id), -EBUSY);
	assert_int_equal(destroy(&rig, viommu), -EBUSY);
	fd_close(fd);
	assert_int_equal(destroy(&rig, viommu), -EBUSY);
	/* Without a descriptor it still takes events. */
	assert_int_equal(event(1), 0);
	assert_int_equal(destroy(&rig, id), 0);
	assert_int_equal(event(1), -EOPNOTSUPP);
	assert_int_equal(destroy(&rig, viommu), 0);
}

static void events_are_read_in_order(void **state)
{
	struct record recs[4];
	const struct ui_iommufd_file_ops *ops;
	u32 id;
	int fd;

	assert_int_equal(event(1), -EOPNOTSUPP);
	assert_int_equal(veventq_new(&rig, viommu, T_EVENT, 8, &id, &fd), 0);
	ops = fake_file(fd)->ops;
	assert_null(ops->write);
	assert_false(ops->writable);
	/* Lengths count even when there is nothing. */
	assert_int_equal(ops->read(fake_file(fd)->obj, ptr(recs), REC, 1), -ESPIPE);
	assert_int_equal(fd_read(fd, recs, 0), -EINVAL);
	assert_int_equal(fd_read(fd, recs, HDR - 1), -EINVAL);
	assert_int_equal(fd_read(fd, recs, HDR), 0);
	assert_false(fd_readable(fd));
	for (u64 i = 0; i < 4; i++)
		assert_int_equal(event(0x100 + i), 0);
	assert_true(fd_readable(fd));
	assert_int_equal(fd_read(fd, recs, REC - 1), -EINVAL);
	assert_int_equal(fd_read(fd, recs, 2 * REC + HDR), 2 * REC);
	assert_int_equal(recs[1].header.sequence, 1);
	assert_int_equal(recs[1].data, 0x101);
	expect_event(fd, 2, 0x102);
	assert_true(fd_readable(fd));
	expect_event(fd, 3, 0x103);
	assert_false(fd_readable(fd));
	assert_int_equal(fd_read(fd, recs, REC), 0);
	fd_close(fd);
}

/* What does not fit is lost, counted, and told once, at the tail. */
static void lost_events_leave_a_header(void **state)
{
	struct { struct record recs[2]; struct ui_uapi_vevent_header lost; } got;
	u32 id;
	int fd;

	assert_int_equal(veventq_new(&rig, viommu, T_EVENT, 2, &id, &fd), 0);
	for (u64 i = 0; i < 5; i++)
		assert_int_equal(event(i), 0);
	/* Two events, then: lost, up to number 4. */
	assert_int_equal(fd_read(fd, &got, sizeof(got)), sizeof(got));
	assert_int_equal(got.recs[1].header.sequence, 1);
	assert_int_equal(got.lost.flags, UI_UAPI_VEVENT_LOST);
	assert_int_equal(got.lost.sequence, 4);
	assert_false(fd_readable(fd));
	/* It is told once. */
	assert_int_equal(event(5), 0);
	expect_event(fd, 5, 5);
	/* When an event follows, the gap tells. */
	for (u64 i = 6; i < 9; i++)
		assert_int_equal(event(i), 0);
	expect_event(fd, 6, 6);
	assert_int_equal(event(9), 0);
	expect_event(fd, 7, 7);
	expect_event(fd, 9, 9);
	assert_int_equal(fd_read(fd, &got, sizeof(got)), 0);
	fd_close(fd);
}

static void an_event_without_memory_is_lost(void **state)
{
	struct ui_uapi_vevent_header lost;
	u32 id;
	int fd;

	assert_int_equal(veventq_new(&rig, viommu, T_EVENT, 2, &id, &fd), 0);
	ui_inject_arm(1);
	assert_int_equal(event(0), -ENOMEM);
	ui_inject_arm(0);
	assert_int_equal(fd_read(fd, &lost, sizeof(lost)), sizeof(lost));
	assert_int_equal(lost.flags, UI_UAPI_VEVENT_LOST);
	assert_int_equal(event(1), 0);
	expect_event(fd, 1, 1);
	fd_close(fd);
}

/* A bad buffer loses nothing: whole records before it count, the rest waits on. */
static void a_bad_buffer_keeps_the_event(void **state)
{
	u8 *buf = pages_new(2 * PAGE);
	struct ui_uapi_vevent_header lost;
	u32 id;
	int fd;

	munmap(buf + PAGE, PAGE);
	assert_int_equal(veventq_new(&rig, viommu, T_EVENT, 2, &id, &fd), 0);
	for (u64 i = 0; i < 3; i++)
		assert_int_equal(event(i), 0);
	assert_int_equal(fd_read(fd, buf + PAGE - HDR, REC), -EFAULT);
	assert_int_equal(fd_read(fd, buf + PAGE - REC - HDR, 2 * REC), REC);
	/* It still counts against the depth. */
	assert_int_equal(event(3), 0);
	expect_event(fd, 1, 1);
	expect_event(fd, 3, 3);
	for (u64 i = 4; i < 7; i++)
		assert_int_equal(event(i), 0);
	expect_event(fd, 4, 4);
	expect_event(fd, 5, 5);
	assert_int_equal(fd_read(fd, NULL, HDR), -EFAULT);
	assert_true(fd_readable(fd));
	assert_int_equal(fd_read(fd, &lost, HDR), HDR);
	assert_int_equal(lost.sequence, 6);
	fd_close(fd);
	munmap(buf, PAGE);
}

/* Section 1, 14. */
static void the_descriptor_holds_the_context(void **state)
{
	u32 id;
	int fd;

	assert_int_equal(veventq_new(&rig, viommu, T_EVENT, 2, &id, &fd), 0);
	rig_unbind(&rig, 0);
	rig_unbind(&rig, 2);
	ui_iommufd_close(rig.ctx);
	rig.ctx = NULL;
	assert_int_equal(event(7), 0);
	expect_event(fd, 0, 7);
	fd_close(fd);
	assert_int_equal(nest.n_viommus, 0);
}

static void no_descriptor_no_veventq(void **state)
{
	u32 id;
	int fd;

	fds.error = -EMFILE;
	assert_int_equal(veventq_new(&rig, viommu, T_EVENT, 2, &id, &fd), -EMFILE);
	fds.error = 0;
	assert_int_equal(event(7), -EOPNOTSUPP);
	assert_int_equal(destroy(&rig, viommu), 0);
}

/* --- HW_QUEUE --- */

static void hw_queues_check_in_the_kernels_order(void **state)
{
	struct ui_uapi_hw_queue_alloc cmd = { .size = sizeof(cmd), .flags = 1, .viommu_id = 99, .type = T_QUEUE };
	u64 iova = IPA + 64 * PAGE;
	u32 id, bare;

	assert_int_equal(call(&rig, UI_UAPI_HW_QUEUE_ALLOC, &cmd), -EOPNOTSUPP);
	assert_int_equal(hw_queue_new(&rig, 99, 0, 0, MAX, 0, &id), -EOPNOTSUPP);
	assert_int_equal(hw_queue_new(&rig, 99, T_QUEUE, 0, MAX, 0, &id), -EINVAL);
	assert_int_equal(hw_queue_new(&rig, 99, T_QUEUE, 0, MAX, 2, &id), -EOVERFLOW);
	assert_int_equal(hw_queue_new(&rig, 99, T_QUEUE, 0, IPA, 1, &id), -ENOENT);
	assert_int_equal(hw_queue_new(&rig, viommu, T_QUEUE + 1, 9, MAX, 1, &id), -EOPNOTSUPP);
	assert_int_equal(viommu_new(&rig, rig.dev_id[0], guest.parent, T_VIOMMU_BARE, NULL, &bare), 0);
	assert_int_equal(hw_queue_new(&rig, bare, T_QUEUE, 9, MAX, 1, &id), -EOPNOTSUPP);
	/* The memory comes before the driver's checks. */
	assert_int_equal(hw_queue_new(&rig, viommu, T_QUEUE, 9, 0x5000, 1, &id), -ENOENT);
	assert_int_equal(hw_queue_new(&rig, viommu, T_QUEUE, 9, IPA + (GUEST_PAGES - 1) * PAGE, PAGE + 1, &id), -ENOENT);
	assert_int_equal(map(&rig, guest.ioas, UI_UAPI_MAP_WRITEABLE | FIXED, guest.mem, PAGE, &iova), 0);
	assert_int_equal(hw_queue_new(&rig, viommu, T_QUEUE, 9, iova, 1, &id), -EPERM);
	assert_int_equal(hw_queue_new(&rig, viommu, T_QUEUE, 9, IPA, 1, &id), -EINVAL);
	assert_int_equal(hw_queue_new(&rig, viommu, T_QUEUE, 1, IPA, 1, &id), -EIO);
	assert_int_equal(hw_queue_new(&rig, viommu, T_QUEUE, 0, IPA, 1, &id), 0);
	assert_int_equal(hw_queue_new(&rig, viommu, T_QUEUE, 0, IPA, 1, &cmd.index), -EEXIST);
	assert_int_equal(destroy(&rig, id), 0);
	/* Nothing of those that failed holds anything. */
	assert_int_equal(unmap(&rig, guest.ioas, 0, MAX, NULL), 0);
}

static void a_hw_queue_keeps_its_memory_and_the_queue_below(void **state)
{
	u32 a, b;
	u64 pa;

	assert_int_equal(hw_queue_new(&rig, viommu, T_QUEUE, 0, IPA + 5 * PAGE, PAGE, &a), 0);
	assert_int_equal(nest.last_queue->pa, ptr(guest.mem + 5 * PAGE));
	assert_int_equal(nest.last_queue->length, PAGE);
	/* Not aligned. */
	assert_int_equal(hw_queue_new(&rig, viommu, T_QUEUE, 1, IPA + 6 * PAGE + 64, 3 * PAGE, &b), 0);
	assert_int_equal(nest.last_queue->pa, ptr(guest.mem + 6 * PAGE + 64));
	assert_int_equal(nest.last_queue->viommu->host->queue_where(nest.last_queue, PAGE, &pa), 2 * PAGE);
	assert_int_equal(pa, ptr(guest.mem + 7 * PAGE + 64));
	assert_int_equal(unmap(&rig, guest.ioas, 0, MAX, NULL), -EBUSY);
	assert_int_equal(destroy(&rig, viommu), -EBUSY);
	assert_int_equal(destroy(&rig, a), -EBUSY);
	assert_int_equal(destroy(&rig, b), 0);
	assert_int_equal(unmap(&rig, guest.ioas, 0, MAX, NULL), -EBUSY);
	assert_int_equal(destroy(&rig, a), 0);
	assert_int_equal(unmap(&rig, guest.ioas, 0, MAX, NULL), 0);
	assert_int_equal(destroy(&rig, viommu), 0);
}

/* At the end of the context queue 1 goes before queue 0. */
static void hw_queues_end_in_their_order(void **state)
{
	u32 a, b;

	assert_int_equal(hw_queue_new(&rig, viommu, T_QUEUE, 0, IPA, PAGE, &a), 0);
	assert_int_equal(hw_queue_new(&rig, viommu, T_QUEUE, 1, IPA, PAGE, &b), 0);
}

/* --- mmap: section 1, 15 --- */

static void shared_memory_is_mapped_exactly(void **state)
{
	struct nest_viommu_data data = { .in = 0xbeef }, second = { .in = 1 };
	u32 a, b;
	void *region, *other;
	u32 *at;
	int fd;

	assert_int_equal(viommu_new(&rig, rig.dev_id[0], guest.parent, T_VIOMMU, &data, &a), 0);
	assert_int_equal(viommu_new(&rig, rig.dev_id[0], guest.parent, T_VIOMMU, &second, &b), 0);
	assert_int_equal(data.out, 0xbeef);
	assert_true(data.offset >= PAGE);
	assert_int_equal(data.n_bytes, SHARE_BYTES);
	assert_true(second.offset >= data.offset + SHARE_BYTES);
	/* In this order: kind of mapping, execution, place. */
	assert_int_equal(ui_iommufd_mmap(rig.ctx, 0, PAGE, PROT_EXEC, MAP_PRIVATE, &fd, &region), -EINVAL);
	assert_int_equal(ui_iommufd_mmap(rig.ctx, 0, PAGE, PROT_EXEC, MAP_SHARED, &fd, &region), -EPERM);
	assert_int_equal(ui_iommufd_mmap(rig.ctx, 0, SHARE_BYTES, PROT_READ, MAP_SHARED, &fd, &region), -ENXIO);
	assert_int_equal(ui_iommufd_mmap(rig.ctx, data.offset + PAGE, PAGE, PROT_READ, MAP_SHARED, &fd, &region), -ENXIO);
	assert_int_equal(ui_iommufd_mmap(rig.ctx, data.offset, PAGE, PROT_READ, MAP_SHARED, &fd, &region), -ENXIO);
	assert_int_equal(ui_iommufd_mmap(rig.ctx, data.offset, 2 * SHARE_BYTES, PROT_READ, MAP_SHARED, &fd, &region), -ENXIO);
	assert_int_equal(ui_iommufd_mmap(rig.ctx, data.offset, 0, PROT_READ, MAP_SHARED, &fd, &region), -ENXIO);
	assert_int_equal(ui_iommufd_mmap(rig.ctx, data.offset, SHARE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, &fd, &region), 0);
	at = mmap(NULL, SHARE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(at, MAP_FAILED);
	assert_int_equal(*at, 0xbeef);
	assert_int_equal(ui_iommufd_mmap(rig.ctx, second.offset, SHARE_BYTES, PROT_READ, MAP_SHARED, &fd, &other), 0);
	/* Each mapping keeps its vIOMMU busy. */
	assert_int_equal(destroy(&rig, a), -EBUSY);
	ui_iommufd_munmap(rig.ctx, region);
	assert_int_equal(destroy(&rig, b), -EBUSY);
	assert_int_equal(destroy(&rig, a), 0);
	ui_iommufd_munmap(rig.ctx, other);
	assert_int_equal(destroy(&rig, b), 0);
	/* A mapping that the program still has is its own. */
	assert_int_equal(*at, 0xbeef);
	munmap(at, SHARE_BYTES);
	assert_int_equal(ui_iommufd_mmap(rig.ctx, data.offset, SHARE_BYTES, PROT_READ, MAP_SHARED, &fd, &region), -ENXIO);
}

/* Section 1, 2 and 14: offsets are each context's own, and a mapping holds it. */
static void a_mapping_holds_the_context(void **state)
{
	struct nest_viommu_data data = { .in = 3 };
	struct ui_iommufd *ctx = rig.ctx;
	void *region;
	u32 a;
	int fd;

	assert_int_equal(viommu_new(&rig, rig.dev_id[0], guest.parent, T_VIOMMU, &data, &a), 0);
	assert_int_equal(data.offset, PAGE);
	assert_int_equal(ui_iommufd_mmap(ctx, data.offset, SHARE_BYTES, PROT_READ, MAP_SHARED, &fd, &region), 0);
	rig_unbind(&rig, 0);
	rig_unbind(&rig, 2);
	ui_iommufd_close(ctx);
	rig.ctx = NULL;
	assert_int_equal(nest.n_viommus, 2);
	ui_iommufd_munmap(ctx, region);
	assert_int_equal(nest.n_viommus, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(alloc_checks_in_the_kernels_order),
		T(a_vIOMMU_uses_its_parent),
		T(nested_hwpts_are_made_through_it),
		T(devices_of_another_iommu_are_refused),
		T(vdevices_check_in_the_kernels_order),
		T(a_vdevice_goes_with_its_device),
		T(invalidation_finds_vdevices),
		T(veventqs_check_in_the_kernels_order),
		T(a_veventq_is_busy_until_its_descriptor_closes),
		T(events_are_read_in_order),
		T(lost_events_leave_a_header),
		T(an_event_without_memory_is_lost),
		T(a_bad_buffer_keeps_the_event),
		T(the_descriptor_holds_the_context),
		T(no_descriptor_no_veventq),
		T(hw_queues_check_in_the_kernels_order),
		T(a_hw_queue_keeps_its_memory_and_the_queue_below),
		T(hw_queues_end_in_their_order),
		T(shared_memory_is_mapped_exactly),
		T(a_mapping_holds_the_context),
	};

	ui_log_set(UI_LOG_NONE, NULL, NULL);
	return cmocka_run_group_tests_name("iommufd_viommu", tests, NULL, NULL);
}
