/* SPDX-License-Identifier: MIT */
/*
 * The container's limit, and a sweep over all its calls: every allocation fails in turn. The call that meets it fails with ENOMEM and
 * leaves everything as it was, or does without; done again it succeeds (issue 3, 3 and 6).
 */
#include "core/account.h"
#include "group_common.h"

#include <sys/resource.h>

enum { GRID_PAGES = 12, LIMIT_PAGES = 4 };

static u64 nth;

/* --- what can be seen from outside --- */

struct view {
	u32 avail, status[N_GROUPS];
	long extension;
	bool reached[N_DEVS][GRID_PAGES];
	u64 live; /* allocations */
};

/* How many mappings can still be made; all ones before SET_IOMMU. */
static u32 avail(void)
{
	struct {
		struct ui_uapi_vfio_info head;
		struct ui_uapi_vfio_cap_migration migration;
		struct ui_uapi_vfio_cap_avail avail;
		u32 pad;
		u64 more[32];
	} info = { .head = { .argsz = sizeof(info) } };

	return ccall(FD_CONTAINER, UI_UAPI_VFIO_IOMMU_GET_INFO, &info) ? ~(u32)0 : info.avail.avail;
}

static void look(struct view *v)
{
	memset(v, 0, sizeof(*v));
	v->avail = avail();
	v->extension = by_value(FD_CONTAINER, UI_UAPI_VFIO_CHECK_EXTENSION, UI_UAPI_VFIO_DMA_CC);
	for (unsigned g = 0; g < N_GROUPS; g++)
		v->status[g] = status(g);
	for (unsigned i = 0; i < N_DEVS; i++) {
		for (u64 page = 0; page < GRID_PAGES; page++)
			v->reached[i][page] = reaches(i, page * PAGE, rig.mem + page * PAGE);
	}
	v->live = ui_alloc_live();
}

/* Runs one call with the failure armed. When it failed for lack of memory nothing has changed, and it is done again, without. */
#define STEP(expr)                                                                                                        \
	do {                                                                                                              \
		struct view before_, after_;                                                                              \
		long ret_;                                                                                                \
                                                                                                                          \
		look(&before_);                                                                                           \
		ui_inject_arm(nth);                                                                                       \
		ret_ = (expr);                                                                                            \
		nth = ui_inject_left();                                                                                   \
		ui_inject_arm(0);                                                                                         \
		if (ret_ == -ENOMEM) {                                                                                    \
			look(&after_);                                                                                    \
			assert_memory_equal(&before_, &after_, sizeof(before_));                                          \
			ret_ = (expr);                                                                                    \
		}                                                                                                         \
		assert_true(ret_ >= 0);                                                                                   \
	} while (0)

/* --- calls --- */

static long try_map(u32 flags, u64 page, u64 n)
{
	return vmap(FD_CONTAINER, flags, rig.mem + page * PAGE, page * PAGE, n * PAGE);
}

static long try_unmap(u32 flags, u64 page, u64 n)
{
	return vunmap(FD_CONTAINER, flags, page * PAGE, n * PAGE, NULL);
}

static long try_unmap_dirty(u64 page, u64 n)
{
	u64 bits = 0;
	struct {
		struct ui_uapi_vfio_unmap head;
		struct ui_uapi_vfio_bitmap bitmap;
	} cmd = {
		{ .argsz = sizeof(cmd), .flags = UI_UAPI_VFIO_UNMAP_DIRTY, .iova = page * PAGE, .size = n * PAGE },
		{ .pgsize = PAGE, .size = 8, .data = (u64)(uintptr_t)&bits }
	};

	return ccall(FD_CONTAINER, UI_UAPI_VFIO_IOMMU_UNMAP_DMA, &cmd);
}

static long try_dirty(u32 flags, u64 page, u64 n)
{
	u64 bits = 0;
	struct {
		struct ui_uapi_vfio_dirty head;
		struct ui_uapi_vfio_dirty_get get;
	} cmd = {
		{ .argsz = sizeof(cmd), .flags = flags },
		{ .iova = page * PAGE, .size = n * PAGE, .bitmap = { .pgsize = PAGE, .size = 8, .data = (u64)(uintptr_t)&bits } }
	};

	return ccall(FD_CONTAINER, UI_UAPI_VFIO_IOMMU_DIRTY_PAGES, &cmd);
}

static long try_info(void)
{
	u64 info[64] = { sizeof(info) };

	return ccall(FD_CONTAINER, UI_UAPI_VFIO_IOMMU_GET_INFO, info);
}

static void scenario(unsigned type)
{
	const bool v2 = type == UI_UAPI_VFIO_TYPE1V2;

	assert_int_equal(group_open(0), 0);
	assert_int_equal(group_open(1), 0);
	STEP(set(0, FD_CONTAINER));
	/* A group comes before the type or after it. */
	if (!v2)
		STEP(set(1, FD_CONTAINER));
	STEP(by_value(FD_CONTAINER, UI_UAPI_VFIO_SET_IOMMU, type));
	STEP(try_map(3, 0, 4));
	STEP(try_map(1, 4, 2));
	STEP(get_fd(0, "0000:01:00.0"));
	if (v2)
		STEP(try_dirty(UI_UAPI_VFIO_DIRTY_START, 0, 1));
	STEP(try_map(3, 6, 3));
	if (v2)
		STEP(set(1, FD_CONTAINER));
	assert_true(reaches(2, 7 * PAGE, rig.mem + 7 * PAGE));
	STEP(try_info());
	if (v2) {
		STEP(try_dirty(UI_UAPI_VFIO_DIRTY_GET_BITMAP, 0, 6));
		STEP(try_unmap_dirty(4, 2));
	} else {
		STEP(try_unmap(0, 3, 3));
	}
	STEP(try_unmap(UI_UAPI_VFIO_UNMAP_VADDR, 6, 3));
	STEP(try_map(UI_UAPI_VFIO_MAP_VADDR, 6, 3));
	STEP(get_fd(1, "0000:03:00.0"));
	device_close(2);
	STEP(unset(1));
	STEP(try_unmap(0, 0, 4));
	STEP(try_map(3, 0, 1));
	STEP(try_unmap(UI_UAPI_VFIO_UNMAP_ALL_FLAG, 0, 0));
	assert_int_equal(avail(), 65535);
	STEP(try_map(3, 2, 1));
	device_close(0);
	STEP(unset(0));
	assert_false(reaches(0, 2 * PAGE, rig.mem + 2 * PAGE));
	ui_vfio_group_close(rig.groups[0]);
	ui_vfio_group_close(rig.groups[1]);
}

static void every_failure_is_undone(unsigned type)
{
	bool fired = true;
	u64 n;

	for (n = 1; fired; n++) {
		nth = n;
		scenario(type);
		fired = !nth;
	}
	print_message("%llu points\n", (unsigned long long)n - 2);
	assert_true(n > 20);
}

static void every_failure_of_version_1_is_undone(void **state)
{
	every_failure_is_undone(UI_UAPI_VFIO_TYPE1);
}

static void every_failure_of_version_2_is_undone(void **state)
{
	every_failure_is_undone(UI_UAPI_VFIO_TYPE1V2);
}

/* --- the limit --- */

static bool may_not(void *arg, unsigned cap)
{
	return false;
}

static void assert_pinned(struct ui_account *account, u64 pages)
{
	u64 pinned, locked;

	ui_account_read(account, 0, &pinned, &locked);
	assert_int_equal(pinned, pages);
	/* "starts in per-mm accounting mode" (1.1) */
	assert_int_equal(locked, pages);
}

/* 3, "Accounting": what a container has pinned counts as locked by its process. */
static void a_container_has_its_process_s_limit(void **state)
{
	struct ui_account *account = ui_account_create();
	const struct ui_iommufd_env env = { .capable = may_not, .account = account };
	struct rlimit before, limit;

	ui_iommufd_close(rig.ctx[1]);
	rig.ctx[1] = ui_iommufd_open_container(&env);
	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &before), 0);
	limit = before;
	limit.rlim_cur = LIMIT_PAGES * PAGE;
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	assert_int_equal(group_open(0), 0);
	assert_int_equal(set(0, FD_CONTAINER), 0);
	assert_int_equal(by_value(FD_CONTAINER, UI_UAPI_VFIO_SET_IOMMU, UI_UAPI_VFIO_TYPE1V2), 0);
	assert_int_equal(try_map(3, 0, LIMIT_PAGES + 1), -ENOMEM);
	assert_pinned(account, 0);
	assert_int_equal(avail(), 65535);
	assert_int_equal(try_map(3, 0, 3), 0);
	assert_pinned(account, 3);
	assert_int_equal(try_map(3, 3, 2), -ENOMEM);
	assert_int_equal(try_map(1, 3, 1), 0);
	assert_int_equal(try_unmap(0, 0, 3), 0);
	assert_pinned(account, 1);
	assert_int_equal(try_map(3, 4, 3), 0);
	ui_vfio_group_close(rig.groups[0]);
	/* The last group has gone. */
	assert_pinned(account, 0);
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &before), 0);
	ui_iommufd_close(rig.ctx[1]);
	rig.ctx[1] = NULL;
	ui_account_destroy(account);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(a_container_has_its_process_s_limit),
		T(every_failure_of_version_1_is_undone),
		T(every_failure_of_version_2_is_undone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
