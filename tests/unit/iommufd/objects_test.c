/* SPDX-License-Identifier: MIT */
/* Objects and their numbers, users and ends: iommufd-semantics 1, 10 to 14. */
#include "nest.h"

static struct rig rig;

static int setup(void **state)
{
	memset(&nest, 0, sizeof(nest));
	rig_open_kind(&rig, &nest_driver, &fake_env, 0);
	return 0;
}

static int teardown(void **state)
{
	rig_close(&rig);
	return 0;
}

/* An object of a kind that the front door does not know: it owns a bound device, as the mock's do. */
struct owner {
	struct ui_obj obj;
	struct ui_bound *bound;
};

static unsigned n_ended;

static void owner_destroy(struct ui_iommufd *ctx, struct ui_obj *obj)
{
	struct owner *owner = ui_container_of(obj, struct owner, obj);

	ui_bound_unbind(owner->bound);
	ui_free(owner);
	n_ended++;
}

static u32 owner_new(unsigned i)
{
	struct owner *owner;

	assert_int_equal(ui_obj_new(rig.ctx, UI_OBJ_SELFTEST, sizeof(*owner), &owner), 0);
	owner->obj.destroy = owner_destroy;
	assert_int_equal(ui_bound_bind(rig.ctx, rig.dev[i], false, &owner->bound), 0);
	rig.dev_id[i] = ui_bound_id(owner->bound);
	assert_int_equal(rig.dev_id[i], owner->obj.id + 1);
	/* Reserved, but not there yet: rule 10. */
	assert_int_equal(destroy(&rig, owner->obj.id), -ENOENT);
	ui_obj_finalize(rig.ctx, &owner->obj);
	return owner->obj.id;
}

/* Rule 12: DESTROY is refused to no kind, and an owned device goes with its owner only. */
static void an_owner_ends_with_what_it_owns(void **state)
{
	u32 id = owner_new(0), ioas = ioas_new(&rig), pt = ioas;
	struct ui_bound *bound = ui_obj_get(rig.ctx, rig.dev_id[0], UI_OBJ_DEVICE);

	assert_non_null(bound);
	ui_obj_put(rig.ctx, (struct ui_obj *)bound);
	assert_int_equal(ui_bound_attach(bound, 0, &pt), 0);
	assert_int_equal(destroy(&rig, rig.dev_id[0]), -EBUSY);
	assert_int_equal(destroy(&rig, pt), -EBUSY);
	n_ended = 0;
	assert_int_equal(destroy(&rig, id), 0);
	assert_int_equal(n_ended, 1);
	assert_int_equal(destroy(&rig, rig.dev_id[0]), -ENOENT);
	assert_int_equal(destroy(&rig, pt), -ENOENT);
	assert_int_equal(destroy(&rig, ioas), 0);
}

/* Rule 14: such a device does not hold the context; at the end all goes, its vDEVICE included. */
static void an_owned_device_does_not_hold_the_context(void **state)
{
	struct guest guest;
	u32 viommu, vdev, nested, pt, fault;
	struct ui_bound *bound;
	int fd;

	owner_new(0);
	guest_open(&rig, &guest, 0);
	bound = ui_obj_get(rig.ctx, rig.dev_id[0], UI_OBJ_DEVICE);
	ui_obj_put(rig.ctx, (struct ui_obj *)bound);
	assert_int_equal(viommu_new(&rig, rig.dev_id[0], guest.parent, T_VIOMMU, NULL, &viommu), 0);
	assert_int_equal(vdevice_new(&rig, viommu, rig.dev_id[0], 1, &vdev), 0);
	assert_int_equal(fault_new(&rig, &fault, &fd), 0);
	assert_int_equal(nested_fault_new(&rig, rig.dev_id[0], viommu, 0, &guest_table, fault, &nested), 0);
	fd_close(fd);
	pt = nested;
	assert_int_equal(ui_bound_attach(bound, 0, &pt), 0);
	n_ended = 0;
	ui_iommufd_close(rig.ctx);
	rig.ctx = NULL;
	assert_int_equal(n_ended, 1);
	assert_int_equal(nest.n_domains + nest.n_vdevs + nest.n_viommus, 0);
	assert_int_equal(word_at(&rig, 0, 0, IOVA), -UI_DMA_BLOCKED);
	guest_close(&guest);
}

/* Rule 11: a number of another kind is as good as none. */
static void other_kinds_are_not_found(void **state)
{
	struct guest guest;
	u32 fault, viommu, nested, id, n = 0;
	u64 val = 1;
	int fd;

	rig_bind(&rig, 0);
	guest_open(&rig, &guest, 0);
	assert_int_equal(fault_new(&rig, &fault, &fd), 0);
	assert_int_equal(viommu_new(&rig, rig.dev_id[0], guest.parent, T_VIOMMU, NULL, &viommu), 0);
	assert_int_equal(nested_new(&rig, rig.dev_id[0], guest.parent, 0, &guest_table, &nested), 0);
	assert_int_equal(viommu_new(&rig, fault, guest.parent, T_VIOMMU, NULL, &id), -ENOENT);
	assert_int_equal(viommu_new(&rig, rig.dev_id[0], nested, T_VIOMMU, NULL, &id), -ENOENT);
	assert_int_equal(hwpt_new(&rig, viommu, guest.ioas, 0, &id), -ENOENT);
	assert_int_equal(nested_new(&rig, rig.dev_id[0], fault, 0, &guest_table, &id), -EINVAL);
	assert_int_equal(vdevice_new(&rig, nested, rig.dev_id[0], 1, &id), -ENOENT);
	assert_int_equal(hw_queue_new(&rig, fault, T_QUEUE, 0, IPA, PAGE, &id), -ENOENT);
	assert_int_equal(huge_pages(&rig, viommu, val), -ENOENT);
	assert_int_equal(map_at(&rig, guest.parent, guest.mem, PAGE, 0), -ENOENT);
	assert_int_equal(ranges(&rig, nested, NULL, &n, NULL), -ENOENT);
	id = fault;
	assert_int_equal(attach(&rig, 0, 0, &id), -EINVAL);
	id = viommu;
	assert_int_equal(attach(&rig, 0, 0, &id), -EINVAL);
	fd_close(fd);
	guest_close(&guest);
}

/* Dirty calls want a paging HWPT: section 4. */
static void a_nested_hwpt_has_no_dirty_state(void **state)
{
	struct ui_uapi_hwpt_set_dirty_tracking set = { .size = sizeof(set), .flags = 1 };
	struct ui_uapi_hwpt_get_dirty_bitmap get = { .size = sizeof(get), .length = PAGE, .page_size = PAGE };
	struct guest guest;
	u32 nested;

	rig_bind(&rig, 0);
	guest_open(&rig, &guest, 0);
	assert_int_equal(nested_new(&rig, rig.dev_id[0], guest.parent, 0, &guest_table, &nested), 0);
	set.hwpt_id = get.hwpt_id = nested;
	assert_int_equal(call(&rig, UI_UAPI_HWPT_SET_DIRTY_TRACKING, &set), -ENOENT);
	assert_int_equal(call(&rig, UI_UAPI_HWPT_GET_DIRTY_BITMAP, &get), -ENOENT);
	guest_close(&guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_owner_ends_with_what_it_owns),
		T(an_owned_device_does_not_hold_the_context),
		T(other_kinds_are_not_found),
		T(a_nested_hwpt_has_no_dirty_state),
	};

	ui_log_set(UI_LOG_NONE, NULL, NULL);
	return cmocka_run_group_tests_name("iommufd_objects", tests, NULL, NULL);
}
