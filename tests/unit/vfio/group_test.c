/* SPDX-License-Identifier: MIT */
/* /dev/vfio/N: iommufd-semantics.md section 10 (Legacy), and the kernel's rules for what it leaves open. */
#include "group_common.h"

enum { VIABLE = UI_VFIO_GROUP_VIABLE, SET = UI_VFIO_GROUP_CONTAINER_SET };

static void a_group_is_open_once(void **state)
{
	assert_int_equal(group_open(0), 0);
	assert_int_equal(group_open(0), -EBUSY);
	assert_int_equal(group_open(1), 0);
	ui_vfio_group_close(rig.groups[0]);
	assert_int_equal(group_open(0), 0);
	ui_vfio_group_close(rig.groups[0]);
	ui_vfio_group_close(rig.groups[1]);
}

static void status_says_viable_and_set(void **state)
{
	struct ui_vfio_group_status s = { .argsz = 7 };
	int other;

	catch_faults();
	assert_int_equal(group_open(0), 0);
	assert_int_equal(gcall(0, UI_VFIO_GROUP_GET_STATUS, NULL), -EFAULT);
	assert_int_equal(gcall(0, UI_VFIO_GROUP_GET_STATUS, &s), -EINVAL);
	assert_int_equal(status(0), VIABLE);
	/* A driver of the kernel's has a device of the group. */
	assert_int_equal(ui_device_claim(rig.members[1].dev, &other), 0);
	assert_int_equal(status(0), 0);
	ui_device_release(rig.members[1].dev, &other);
	assert_int_equal(set(0, FD_CONTAINER), 0);
	assert_int_equal(status(0), VIABLE | SET);
	assert_int_equal(unset(0), 0);
	assert_int_equal(status(0), VIABLE);
	assert_int_equal(set(0, FD_IOMMUFD), 0);
	assert_int_equal(status(0), VIABLE | SET);
	ui_vfio_group_close(rig.groups[0]);
}

static void set_container_checks_in_order(void **state)
{
	catch_faults();
	assert_int_equal(group_open(0), 0);
	assert_int_equal(gcall(0, UI_VFIO_GROUP_SET_CONTAINER, NULL), -EFAULT);
	assert_int_equal(set(0, -1), -EBADF);
	assert_int_equal(set(0, FD_OTHER), -EBADFD);
	assert_int_equal(unset(0), -EINVAL);
	for (int fd = FD_IOMMUFD; fd <= FD_CONTAINER2; fd++) {
		assert_int_equal(set(0, fd), 0);
		assert_int_equal(rig.n_holds[fd - FD_IOMMUFD], 1);
		assert_int_equal(set(0, fd), -EINVAL);
		assert_int_equal(set(0, FD_CONTAINER), -EINVAL);
		assert_int_equal(set(0, FD_OTHER), -EINVAL);
		assert_int_equal(set(0, -1), -EBADF);
		assert_int_equal(rig.n_holds[fd - FD_IOMMUFD], 1);
		assert_int_equal(unset(0), 0);
		assert_int_equal(rig.n_holds[fd - FD_IOMMUFD], 0);
	}
	assert_int_equal(gcall(0, UI_VFIO_NR(2), NULL), -ENOTTY);
	assert_int_equal(gcall(0, UI_VFIO_GET_INFO, NULL), -ENOTTY);
	ui_vfio_group_close(rig.groups[0]);
}

/* With a container the claim comes at SET_CONTAINER, with an iommufd when a device is opened. */
static void somebody_elses_group_is_busy(void **state)
{
	int other;

	assert_int_equal(group_open(0), 0);
	assert_int_equal(ui_device_claim(rig.members[0].dev, &other), 0);
	assert_int_equal(set(0, FD_CONTAINER), -EBUSY);
	assert_int_equal(rig.n_holds[1], 0);
	assert_int_equal(set(0, FD_IOMMUFD), 0);
	assert_int_equal(get_fd(0, "0000:01:00.0"), -EBUSY);
	ui_device_release(rig.members[0].dev, &other);
	assert_int_equal(get_fd(0, "0000:01:00.0"), DEVICE_FD);
	device_close(0);
	ui_vfio_group_close(rig.groups[0]);
}

static int no_binder(void *arg, int fd, struct ui_binder *out)
{
	void *token;

	return tie_get(arg, fd, out, &token);
}

static long bind(struct ui_vfio *v, int fd)
{
	struct ui_vfio_bind b = { .argsz = sizeof(b), .iommufd = fd };
	long ret = ui_vfio_ioctl(v, UI_VFIO_BIND, (u64)(uintptr_t)&b);

	/* no_binder()'s hold ends with the call here. */
	for (unsigned i = 0; i < N_CTX; i++)
		rig.n_holds[i] = 0;
	return ret;
}

static void a_bound_device_and_an_open_group_exclude_each_other(void **state)
{
	struct ui_vfio *v = ui_vfio_open(rig.members[1].pci, rig.members[1].dev, no_binder, NULL);

	ui_vfio_set_group(v, rig.groups[0]);
	assert_int_equal(group_open(0), 0);
	assert_int_equal(bind(v, -1), -EINVAL); /* comes first */
	assert_int_equal(bind(v, FD_IOMMUFD), -EBUSY);
	assert_int_equal(bind(v, 5), -EBUSY);
	ui_vfio_group_close(rig.groups[0]);
	assert_int_equal(bind(v, 5), -EBADF);
	assert_int_equal(group_open(0), 0); /* a BIND that failed leaves nothing */
	ui_vfio_group_close(rig.groups[0]);
	assert_int_equal(bind(v, FD_IOMMUFD), 0);
	assert_int_equal(bind(v, FD_IOMMUFD), -EINVAL);
	assert_true(ui_vfio_group_blocked(rig.groups[0]));
	assert_int_equal(group_open(0), -EBUSY);
	assert_int_equal(group_open(1), 0);
	ui_vfio_group_close(rig.groups[1]);
	ui_vfio_close(v);
	assert_int_equal(group_open(0), 0);
	ui_vfio_group_close(rig.groups[0]);
}

/* A container is no iommufd to BIND. */
static void bind_wants_an_iommufd(void **state)
{
	struct ui_vfio *v = ui_vfio_open(rig.members[2].pci, rig.members[2].dev, no_binder, NULL);

	assert_int_equal(bind(v, FD_CONTAINER), -EBADFD);
	assert_int_equal(bind(v, FD_IOMMUFD), 0);
	ui_vfio_close(v);
}

static void a_device_is_found_by_its_name(void **state)
{
	static const char *const none[] = { "", "0", "0000:01:00", "0000:03:00.0", "0000:01:00.00", "0000:01:00.0\t", "x0000:01:00.0" };
	static const char *const bad[] = { "0000:01:00.0 x", "0000:01:00.0 vf_token=", "0000:01:00.0 vf_token=1234",
					   "0000:01:00.0 vf_token=bd8d9d2b-5a5f-4f5a-a211-f591514ba1f3",
					   "0000:01:00.0 vf_token=bd8d9d2b-5a5f-4f5a-a211-f591514ba1fg",
					   "0000:01:00.0 vf_token=bd8d9d2b-5a5f-4f5a-a211-f591514ba1f3 x" };
	char *page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	catch_faults();
	assert_int_equal(group_open(0), 0);
	assert_int_equal(get_fd(0, "0000:01:00.0"), -EINVAL);
	assert_int_equal(get_fd(0, "0000:03:00.0"), -ENODEV); /* comes first */
	assert_int_equal(set(0, FD_IOMMUFD), 0);
	for (size_t i = 0; i < ui_array_size(none); i++)
		assert_int_equal(get_fd(0, none[i]), -ENODEV);
	for (size_t i = 0; i < ui_array_size(bad); i++)
		assert_int_equal(get_fd(0, bad[i]), -EINVAL);
	assert_int_equal(get_fd(0, NULL), -EFAULT);
	/* A string that ends with its page; one without an end; one that is too long. */
	munmap(page + PAGE, PAGE);
	strcpy(page + PAGE - 13, "0000:02:00.0");
	assert_int_equal(get_fd(0, page + PAGE - 13), DEVICE_FD + 1);
	device_close(1);
	page[PAGE - 1] = ' ';
	assert_int_equal(get_fd(0, page + PAGE - 13), -EFAULT);
	memset(page, ' ', PAGE);
	assert_int_equal(get_fd(0, page), -EINVAL);
	munmap(page, PAGE);
	assert_int_equal(get_fd(0, "0000:01:00.0   "), DEVICE_FD);
	assert_int_equal(get_fd(0, "0000:01:00.0"), -EINVAL); /* the environment's to answer: the device is open */
	device_close(0);
	ui_vfio_group_close(rig.groups[0]);
}

/* Section 9: the first group makes the compat IOAS; a device opened through the group is bound and attached to it. */
static void through_an_iommufd_devices_attach_to_the_compat_ioas(void **state)
{
	struct ui_uapi_vfio_ioas get = { .size = sizeof(get), .op = UI_UAPI_VFIO_IOAS_GET };
	struct ui_uapi_destroy destroy = { .size = sizeof(destroy) };
	struct ui_vfio_bind b = { .argsz = sizeof(b), .iommufd = FD_IOMMUFD };

	assert_int_equal(group_open(0), 0);
	assert_int_equal(ccall(FD_IOMMUFD, UI_UAPI_VFIO_IOAS, &get), -ENODEV);
	assert_int_equal(set(0, FD_IOMMUFD), 0);
	assert_int_equal(ccall(FD_IOMMUFD, UI_UAPI_VFIO_IOAS, &get), 0);
	assert_int_equal(vmap(FD_IOMMUFD, 3, rig.mem, 0x10000, PAGE), 0);
	assert_int_equal(get_fd(0, "0000:01:00.0"), DEVICE_FD);
	assert_int_equal(get_fd(0, "0000:02:00.0"), DEVICE_FD + 1);
	assert_true(reaches(0, 0x10000, rig.mem));
	assert_true(reaches(1, 0x10000, rig.mem));
	/* It has no file of its own that could be bound. */
	assert_int_equal(ui_vfio_ioctl(rig.devs[0], UI_VFIO_BIND, (u64)(uintptr_t)&b), -EINVAL);
	assert_int_equal(ui_vfio_ioctl(rig.devs[0], UI_VFIO_ATTACH, 0), -ENOTTY);
	assert_int_equal(ui_vfio_ioctl(rig.devs[0], UI_VFIO_DETACH, 0), -ENOTTY);
	/* The group may be unset, and closed, while devices go on. */
	assert_int_equal(unset(0), 0);
	assert_int_equal(get_fd(0, "0000:01:00.0"), -EINVAL);
	ui_vfio_group_close(rig.groups[0]);
	assert_true(reaches(1, 0x10000, rig.mem));
	assert_int_equal(rig.n_holds[0], 2);
	device_close(1);
	assert_true(reaches(0, 0x10000, rig.mem));
	device_close(0);
	assert_false(reaches(0, 0x10000, rig.mem));
	/* The IOAS is as any other. */
	destroy.id = get.ioas_id;
	assert_int_equal(ccall(FD_IOMMUFD, UI_UAPI_DESTROY, &destroy), 0);
	/* An IOAS that the program chose is taken. */
	assert_int_equal(group_open(0), 0);
	assert_int_equal(group_open(1), 0);
	assert_int_equal(set(1, FD_IOMMUFD), 0);
	assert_int_equal(ccall(FD_IOMMUFD, UI_UAPI_VFIO_IOAS, &get), 0);
	b.out_devid = get.ioas_id;
	assert_int_equal(set(0, FD_IOMMUFD), 0);
	assert_int_equal(ccall(FD_IOMMUFD, UI_UAPI_VFIO_IOAS, &get), 0);
	assert_int_equal(get.ioas_id, b.out_devid);
	/* Gone since: there is nothing to attach to, and nothing stays bound. */
	assert_int_equal(ccall(FD_IOMMUFD, UI_UAPI_DESTROY, &destroy), 0);
	assert_int_equal(get_fd(0, "0000:01:00.0"), -ENODEV);
	assert_int_equal(ui_device_claim(rig.members[0].dev, &b), 0);
	ui_device_release(rig.members[0].dev, &b);
	ui_vfio_group_close(rig.groups[0]);
	ui_vfio_group_close(rig.groups[1]);
}

/* The context outlives its descriptor as long as a group or device has it. */
static void closing_in_odd_orders(void **state)
{
	for (int fd = FD_IOMMUFD; fd <= FD_CONTAINER; fd++) {
		assert_int_equal(group_open(0), 0);
		assert_int_equal(set(0, fd), 0);
		if (fd == FD_CONTAINER)
			assert_int_equal(by_value(fd, UI_UAPI_VFIO_SET_IOMMU, UI_UAPI_VFIO_TYPE1V2), 0);
		assert_int_equal(vmap(fd, 3, rig.mem, 0x10000, PAGE), 0);
		assert_int_equal(get_fd(0, "0000:01:00.0"), DEVICE_FD);
		ui_iommufd_close(rig.ctx[fd - FD_IOMMUFD]);
		rig.ctx[fd - FD_IOMMUFD] = NULL;
		assert_true(reaches(0, 0x10000, rig.mem));
		if (fd == FD_IOMMUFD) {
			ui_vfio_group_close(rig.groups[0]);
			assert_true(reaches(0, 0x10000, rig.mem));
		}
		assert_int_equal(ui_vfio_keeps_group(rig.devs[0]), fd == FD_CONTAINER);
		device_close(0);
		if (fd == FD_CONTAINER)
			ui_vfio_group_close(rig.groups[0]);
		assert_false(reaches(0, 0x10000, rig.mem));
	}
}

static void a_container_wants_a_group_and_then_a_type(void **state)
{
	struct ui_uapi_vfio_info info = { .argsz = sizeof(info) };

	assert_int_equal(by_value(FD_CONTAINER, UI_UAPI_VFIO_SET_IOMMU, UI_UAPI_VFIO_TYPE1V2), -EINVAL);
	assert_int_equal(group_open(0), 0);
	assert_int_equal(set(0, FD_CONTAINER), 0);
	assert_int_equal(get_fd(0, "0000:01:00.0"), -EINVAL);
	assert_int_equal(ccall(FD_CONTAINER, UI_UAPI_VFIO_IOMMU_GET_INFO, &info), -EINVAL);
	assert_int_equal(ccall(FD_CONTAINER, UI_UAPI_VFIO_IOMMU_GET_INFO, NULL), -EINVAL);
	assert_int_equal(vmap(FD_CONTAINER, 3, rig.mem, 0, PAGE), -EINVAL);
	assert_int_equal(by_value(FD_CONTAINER, UI_UAPI_VFIO_SET_IOMMU, 2), -ENODEV);
	assert_int_equal(by_value(FD_CONTAINER, UI_UAPI_VFIO_SET_IOMMU, UI_UAPI_VFIO_TYPE1), 0);
	assert_int_equal(by_value(FD_CONTAINER, UI_UAPI_VFIO_SET_IOMMU, UI_UAPI_VFIO_TYPE1), -EINVAL);
	assert_int_equal(get_fd(0, "0000:01:00.0"), DEVICE_FD);
	assert_int_equal(unset(0), -EBUSY);
	device_close(0);
	assert_int_equal(unset(0), 0);
	/* No group: back at the beginning. */
	assert_int_equal(ccall(FD_CONTAINER, UI_UAPI_VFIO_IOMMU_GET_INFO, &info), -EINVAL);
	ui_vfio_group_close(rig.groups[0]);
}

/* Devices of one group share the attachment, whether or not they are open; groups share the container's mappings. */
static void groups_share_a_container(void **state)
{
	assert_int_equal(group_open(0), 0);
	assert_int_equal(group_open(1), 0);
	assert_int_equal(set(0, FD_CONTAINER), 0);
	assert_int_equal(by_value(FD_CONTAINER, UI_UAPI_VFIO_SET_IOMMU, UI_UAPI_VFIO_TYPE1V2), 0);
	assert_int_equal(vmap(FD_CONTAINER, 3, rig.mem, 0x10000, PAGE), 0);
	assert_true(reaches(0, 0x10000, rig.mem));
	assert_true(reaches(1, 0x10000, rig.mem));
	assert_false(reaches(2, 0x10000, rig.mem));
	assert_int_equal(set(1, FD_CONTAINER), 0);
	assert_true(reaches(2, 0x10000, rig.mem));
	assert_int_equal(get_fd(1, "0000:03:00.0"), DEVICE_FD + 2);
	/* The first leaves: its devices reach nothing, the mappings stay for the other. */
	assert_int_equal(unset(0), 0);
	assert_false(reaches(0, 0x10000, rig.mem));
	assert_true(reaches(2, 0x10000, rig.mem));
	device_close(2);
	assert_true(reaches(2, 0x10000, rig.mem));
	assert_int_equal(unset(1), 0);
	/* With the last one the mappings went. */
	assert_int_equal(set(1, FD_CONTAINER), 0);
	assert_int_equal(by_value(FD_CONTAINER, UI_UAPI_VFIO_SET_IOMMU, UI_UAPI_VFIO_TYPE1V2), 0);
	assert_false(reaches(2, 0x10000, rig.mem));
	assert_int_equal(vmap(FD_CONTAINER, 3, rig.mem, 0x10000, PAGE), 0);
	/* A group is in one container. */
	assert_int_equal(set(1, FD_CONTAINER2), -EINVAL);
	ui_vfio_group_close(rig.groups[0]);
	ui_vfio_group_close(rig.groups[1]);
}

/* A list of groups is for a device that came from one, and must not be empty then. */
static void hot_reset_wants_the_groups(void **state)
{
	struct {
		struct ui_vfio_hot_reset head;
		s32 fds[1];
	} reset = { .head = { .argsz = sizeof(reset) } };

	assert_int_equal(group_open(0), 0);
	assert_int_equal(set(0, FD_IOMMUFD), 0);
	assert_int_equal(get_fd(0, "0000:01:00.0"), DEVICE_FD);
	assert_int_equal(ui_vfio_ioctl(rig.devs[0], UI_VFIO_HOT_RESET, (u64)(uintptr_t)&reset), -EINVAL);
	reset.head.count = 1;
	assert_int_equal(ui_vfio_ioctl(rig.devs[0], UI_VFIO_HOT_RESET, (u64)(uintptr_t)&reset), -ENODEV);
	device_close(0);
	ui_vfio_group_close(rig.groups[0]);
}

/* Each allocation of the way to a device fails in turn: the call fails, and nothing is left of it. */
static void every_failure_leaves_all_as_it_was(void **state)
{
	for (int fd = FD_IOMMUFD; fd <= FD_CONTAINER; fd++) {
		bool done = false;

		for (u64 n = 1; !done; n++) {
			long ret;

			assert_int_equal(group_open(0), 0);
			ui_inject_arm(n);
			ret = set(0, fd);
			if (!ret && fd == FD_CONTAINER)
				ret = by_value(fd, UI_UAPI_VFIO_SET_IOMMU, UI_UAPI_VFIO_TYPE1V2);
			if (!ret)
				ret = vmap(fd, 3, rig.mem, 0x10000, PAGE);
			if (!ret)
				ret = get_fd(0, "0000:01:00.0");
			done = ui_inject_left();
			ui_inject_arm(0);
			if (ret >= 0) {
				assert_int_equal(ret, DEVICE_FD);
				assert_true(reaches(0, 0x10000, rig.mem));
				device_close(0);
			} else {
				assert_int_equal(ret, -ENOMEM);
			}
			ui_vfio_group_close(rig.groups[0]);
			assert_false(reaches(0, 0x10000, rig.mem));
			vunmap(fd, UI_UAPI_VFIO_UNMAP_ALL_FLAG, 0, 0, NULL);
		}
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(a_group_is_open_once),
		T(status_says_viable_and_set),
		T(set_container_checks_in_order),
		T(somebody_elses_group_is_busy),
		T(a_bound_device_and_an_open_group_exclude_each_other),
		T(bind_wants_an_iommufd),
		T(a_device_is_found_by_its_name),
		T(through_an_iommufd_devices_attach_to_the_compat_ioas),
		T(closing_in_odd_orders),
		T(a_container_wants_a_group_and_then_a_type),
		T(groups_share_a_container),
		T(hot_reset_wants_the_groups),
		T(every_failure_leaves_all_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
