/* SPDX-License-Identifier: MIT */
/* The mock's vIOMMUs: nested domains, cache words, events, hardware queues, shared memory. iommufd-semantics.md 7 and 11. */
#include "common.h"

#define TYPE 0xdeadbeefu

static u32 ioas, parent;
static struct mock_dev dev;

static int setup_parent(void **state)
{
	setup(state);
	ioas = ioas_new(&rig);
	assert_int_equal(mock_domain(ioas, 0, &dev), 0);
	assert_int_equal(hwpt_new(&rig, dev.dev, ioas, UI_UAPI_HWPT_NEST_PARENT, &parent), 0);
	return 0;
}

#undef T
#define T(name) { #name, run_body, setup_parent, teardown, &(struct body){ name } }

static long viommu_new(u32 type, void *data, u32 data_len, u32 *id)
{
	struct ui_uapi_viommu_alloc cmd = {
		.size = sizeof(cmd), .type = type, .dev_id = dev.dev, .hwpt_id = parent, .data_len = data_len,
		.data_uptr = (u64)(uintptr_t)data,
	};
	long ret = call(&rig, UI_UAPI_VIOMMU_ALLOC, &cmd);

	*id = cmd.out_viommu_id;
	return ret;
}

static long vdevice_new(u32 viommu, u64 virt_id, u32 *id)
{
	struct ui_uapi_vdevice_alloc cmd = { .size = sizeof(cmd), .viommu_id = viommu, .dev_id = dev.dev, .virt_id = virt_id };
	long ret = call(&rig, UI_UAPI_VDEVICE_ALLOC, &cmd);

	*id = cmd.out_vdevice_id;
	return ret;
}

struct share {
	u32 in, out;
	u64 offset, length;
};

static long mmap_of(u64 offset, u64 length, int *fd, void **region)
{
	return ui_iommufd_mmap(rig.ctx, offset, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, region);
}

/* 11: vIOMMU alloc with data; 1.15 */
static void data_comes_back_and_stands_in_shared_memory(void **state)
{
	struct share data = { .in = 0xbeef };
	void *region;
	u32 id, *at;
	int fd;

	assert_int_equal(viommu_new(1, NULL, 0, &id), -EOPNOTSUPP);
	assert_int_equal(viommu_new(TYPE, &data, 7, &id), -EINVAL);
	assert_int_equal(viommu_new(TYPE, &data, sizeof(data) + 1, &id), -EINVAL);
	assert_int_equal(viommu_new(TYPE, NULL, sizeof(data), &id), -EFAULT);
	assert_int_equal(viommu_new(TYPE, &data, sizeof(data), &id), 0);
	assert_int_equal(data.out, 0xbeef);
	assert_int_equal(data.length, 2 * PAGE);
	assert_true(data.offset >= PAGE);
	assert_int_equal(mmap_of(data.offset, PAGE, &fd, &region), -ENXIO);
	assert_int_equal(mmap_of(data.offset, data.length, &fd, &region), 0);
	at = mmap(NULL, data.length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_int_equal(at[0], 0xbeef);
	assert_int_equal(destroy(&rig, id), -EBUSY);
	munmap(at, data.length);
	ui_iommufd_munmap(rig.ctx, region);
	assert_int_equal(destroy(&rig, id), 0);
	/* As far as the caller's structure reaches. */
	data = (struct share){ .in = 7, .length = 99 };
	assert_int_equal(viommu_new(TYPE, &data, 16, &id), 0);
	assert_int_equal(data.out, 7);
	assert_true(data.offset >= PAGE);
	assert_int_equal(data.length, 99);
}

/* 11: a nested domain made through a vIOMMU wants a vdevice there */
static void nested_through_a_viommu_wants_a_vdevice(void **state)
{
	u32 viommu, other, nested, vdevice;

	assert_int_equal(viommu_new(TYPE, NULL, 0, &viommu), 0);
	assert_int_equal(viommu_new(TYPE, NULL, 0, &other), 0);
	assert_int_equal(nested_new(dev.dev, viommu, 0, &nested), 0);
	assert_int_equal(test_w(MD_CHECK_IOTLB, nested, 3, 0x1234), 0);
	assert_int_equal(test_w(MOCK_DOMAIN_REPLACE, dev.stdev, nested, 0), -ENOENT);
	assert_int_equal(vdevice_new(other, 0x99, &vdevice), 0);
	assert_int_equal(test_w(MOCK_DOMAIN_REPLACE, dev.stdev, nested, 0), -ENOENT);
	assert_int_equal(test_w(PASID_CHECK_HWPT, dev.stdev, 0, dev.hwpt), 0);
	assert_int_equal(destroy(&rig, vdevice), 0);
	assert_int_equal(vdevice_new(viommu, 0x99, &vdevice), 0);
	assert_int_equal(test_w(MOCK_DOMAIN_REPLACE, dev.stdev, nested, 0), 0);
}

static long check_cache(u32 index, u32 word)
{
	return test_w(DEV_CHECK_CACHE, dev.dev, index, word);
}

/* 11: vIOMMU invalidation and DEV_CHECK_CACHE */
static void invalidation_clears_cache_words(void **state)
{
	struct {
		u32 flags, vdev_id, cache_id, tail;
	} entries[3] = { { 0, 0x99, 1, 0 }, { 0, 0x99, 2, 0 }, { 0, 0x98, 3, 0 } };
	u32 viommu, vdevice, n = 0;

	assert_int_equal(viommu_new(TYPE, NULL, 0, &viommu), 0);
	assert_int_equal(vdevice_new(viommu, 0x99, &vdevice), 0);
	for (u32 i = 0; i < 4; i++)
		assert_int_equal(check_cache(i, 0x00baddad), 0);
	assert_int_equal(check_cache(4, 0x00baddad), -EINVAL);
	assert_int_equal(check_cache(0, 0), -EINVAL);
	assert_int_equal(test_w(DEV_CHECK_CACHE, dev.stdev, 0, 0x00baddad), -ENOENT);
	assert_int_equal(invalidate(viommu, 0xdeadbeef, NULL, 0, &n), 0);
	assert_int_equal(invalidate(viommu, 0x0dadbeef, NULL, 0, &n), -EINVAL);
	/* Longer entries must have nothing but zeros there: found before the first takes effect. */
	entries[1].tail = 1;
	n = 2;
	assert_int_equal(invalidate(viommu, 0xdeadbeef, entries, 16, &n), -E2BIG);
	assert_int_equal(n, 0);
	assert_int_equal(check_cache(1, 0x00baddad), 0);
	entries[1].tail = 0;
	n = 3;
	assert_int_equal(invalidate(viommu, 0xdeadbeef, entries, 16, &n), -EINVAL);
	assert_int_equal(n, 2);
	assert_int_equal(check_cache(0, 0x00baddad), 0);
	assert_int_equal(check_cache(1, 0), 0);
	assert_int_equal(check_cache(2, 0), 0);
	assert_int_equal(check_cache(3, 0x00baddad), 0);
	/* Short ones end in zeros: word 0. */
	n = 1;
	assert_int_equal(invalidate(viommu, 0xdeadbeef, entries, 8, &n), 0);
	assert_int_equal(check_cache(0, 0), 0);
	entries[0].flags = 2;
	n = 1;
	assert_int_equal(invalidate(viommu, 0xdeadbeef, entries, 12, &n), -EOPNOTSUPP);
	entries[0].flags = 1;
	entries[0].cache_id = 4;
	n = 1;
	assert_int_equal(invalidate(viommu, 0xdeadbeef, entries, 12, &n), -EINVAL);
	entries[0].cache_id = 0;
	n = 1;
	assert_int_equal(invalidate(viommu, 0xdeadbeef, entries, 12, &n), 0);
	assert_int_equal(check_cache(3, 0), 0);
}

/* 11, TRIGGER_VEVENT */
static void events_carry_the_virtual_id(void **state)
{
	struct ui_uapi_veventq_alloc queue = { .size = sizeof(queue), .type = 0xbeefbeef, .veventq_depth = 2 };
	struct {
		struct ui_uapi_vevent_header header;
		u32 virt_id;
	} event;
	u32 viommu, nested, vdevice;
	const struct file *file;
	s64 n;

	assert_int_equal(viommu_new(TYPE, NULL, 0, &viommu), 0);
	assert_int_equal(nested_new(dev.dev, viommu, 0, &nested), 0);
	assert_int_equal(test_w(TRIGGER_VEVENT, 0, 99, 0), -ENOENT);
	assert_int_equal(test_w(TRIGGER_VEVENT, 0, dev.dev, 0), -ENOENT);
	assert_int_equal(vdevice_new(viommu, 0x99, &vdevice), 0);
	assert_int_equal(test_w(TRIGGER_VEVENT, 0, dev.dev, 0), -ENOENT); /* not attached there */
	assert_int_equal(test_w(MOCK_DOMAIN_REPLACE, dev.stdev, nested, 0), 0);
	assert_int_equal(test_w(TRIGGER_VEVENT, 0, dev.dev, 0), -EOPNOTSUPP); /* no queue */
	queue.viommu_id = viommu;
	assert_int_equal(call(&rig, UI_UAPI_VEVENTQ_ALLOC, &queue), 0);
	file = &files[queue.out_veventq_fd];
	assert_int_equal(test_w(TRIGGER_VEVENT, 0, dev.dev, 0), 0);
	assert_true(file->readable);
	n = file->ops->read(file->obj, (u64)(uintptr_t)&event, sizeof(event), 0);
	assert_int_equal(n, sizeof(event));
	assert_int_equal(event.header.flags, 0);
	assert_int_equal(event.header.sequence, 0);
	assert_int_equal(event.virt_id, 0x99);
	/* A device that is 0 there has no events. */
	assert_int_equal(test_w(MOCK_DOMAIN_REPLACE, dev.stdev, ioas, 0), 0);
	assert_int_equal(destroy(&rig, vdevice), 0);
	assert_int_equal(vdevice_new(viommu, 0, &vdevice), 0);
	assert_int_equal(test_w(MOCK_DOMAIN_REPLACE, dev.stdev, nested, 0), 0);
	assert_int_equal(test_w(TRIGGER_VEVENT, 0, dev.dev, 0), -ENOENT);
}

static long hw_queue_new(u32 viommu, u32 type, u32 index, u32 *id)
{
	struct ui_uapi_hw_queue_alloc cmd = {
		.size = sizeof(cmd), .viommu_id = viommu, .type = type, .index = index, .nesting_parent_iova = IOVA, .length = PAGE,
	};
	long ret = call(&rig, UI_UAPI_HW_QUEUE_ALLOC, &cmd);

	*id = cmd.out_hw_queue_id;
	return ret;
}

/* 11: HW queues */
static void a_second_hardware_queue_stands_on_the_first(void **state)
{
	u32 viommu, other, first, second, id;

	assert_int_equal(viommu_new(TYPE, NULL, 0, &viommu), 0);
	assert_int_equal(viommu_new(TYPE, NULL, 0, &other), 0);
	/* Pinning comes before the driver's checks. */
	assert_int_equal(hw_queue_new(viommu, TYPE, 2, &id), -ENOENT);
	assert_int_equal(hw_queue_new(viommu, 1, 0, &id), -EOPNOTSUPP);
	assert_int_equal(map_at(&rig, ioas, mem, PAGE, IOVA), 0);
	assert_int_equal(hw_queue_new(viommu, TYPE, 2, &id), -EINVAL);
	assert_int_equal(hw_queue_new(viommu, TYPE, 1, &id), -EIO);
	assert_int_equal(hw_queue_new(viommu, TYPE, 0, &first), 0);
	assert_int_equal(hw_queue_new(viommu, TYPE, 0, &id), -EEXIST);
	assert_int_equal(hw_queue_new(other, TYPE, 1, &id), -EIO);
	assert_int_equal(hw_queue_new(viommu, TYPE, 1, &second), 0);
	assert_int_equal(hw_queue_new(viommu, TYPE, 1, &id), -EEXIST);
	assert_int_equal(unmap(&rig, ioas, IOVA, PAGE, NULL), -EBUSY);
	assert_int_equal(destroy(&rig, first), -EBUSY);
	assert_int_equal(destroy(&rig, second), 0);
	assert_int_equal(destroy(&rig, first), 0);
	assert_int_equal(hw_queue_new(viommu, TYPE, 1, &id), -EIO);
	assert_int_equal(hw_queue_new(viommu, TYPE, 0, &first), 0);
}

static void failed_creations_leave_nothing_behind(void **state)
{
	struct share data = { .in = 1 };
	u32 viommu, nested;
	long ret;

	for (u64 n = 1;; n++) {
		u64 live = ui_alloc_live();

		ui_inject_arm(n);
		ret = viommu_new(TYPE, &data, sizeof(data), &viommu);
		if (ui_inject_left())
			break;
		assert_int_equal(ret, -ENOMEM);
		assert_int_equal(ui_alloc_live(), live);
	}
	assert_int_equal(ret, 0);
	for (u64 n = 1;; n++) {
		u64 live = ui_alloc_live();

		ui_inject_arm(n);
		ret = nested_new(dev.dev, viommu, 0, &nested);
		if (ui_inject_left())
			break;
		assert_int_equal(ret, -ENOMEM);
		assert_int_equal(ui_alloc_live(), live);
	}
	ui_inject_arm(0);
	assert_int_equal(ret, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(data_comes_back_and_stands_in_shared_memory),
		T(nested_through_a_viommu_wants_a_vdevice),
		T(invalidation_clears_cache_words),
		T(events_carry_the_virtual_id),
		T(a_second_hardware_queue_stands_on_the_first),
		T(failed_creations_leave_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
