/* SPDX-License-Identifier: MIT */
/* The calls of /dev/vfio/vfio, where they are the type1 driver's own and not those of an iommufd (iommufd_vfio_test). */
#include "group_common.h"

#include "core/account.h"

#define DIRTY_MAX ((u64)1 << 28)

/* A container with group 0 in it and SET_IOMMU of @type. */
static void start(unsigned type)
{
	assert_int_equal(group_open(0), 0);
	assert_int_equal(set(0, FD_CONTAINER), 0);
	assert_int_equal(by_value(FD_CONTAINER, UI_UAPI_VFIO_SET_IOMMU, type), 0);
}

static void stop(void)
{
	ui_vfio_group_close(rig.groups[0]);
}

static long cmap(u32 flags, u64 page, u64 iova, u64 size)
{
	return vmap(FD_CONTAINER, flags, rig.mem + page * PAGE, iova, size);
}

static long cunmap(u32 flags, u64 iova, u64 size, u64 *removed)
{
	return vunmap(FD_CONTAINER, flags, iova, size, removed);
}

static void extensions_before_and_after_set_iommu(void **state)
{
	for (unsigned i = 0; i < 20; i++) {
		bool always = i == 1 || i == 3 || i == 9;

		assert_int_equal(by_value(FD_CONTAINER, UI_UAPI_VFIO_CHECK_EXTENSION, i), always);
	}
	assert_int_equal(by_value(FD_CONTAINER, UI_UAPI_VFIO_CHECK_EXTENSION, (u64)1 << 32 | 1), 0);
	start(UI_UAPI_VFIO_TYPE1V2);
	for (unsigned i = 0; i < 20; i++) {
		bool set = i == 1 || i == 3 || i == 4 || i == 9 || i == 10;

		assert_int_equal(by_value(FD_CONTAINER, UI_UAPI_VFIO_CHECK_EXTENSION, i), set);
	}
	stop();
}

/* Before SET_IOMMU nothing is known, after it what the driver does not have; no call of an iommufd's is one of a container's. */
static void unknown_calls(void **state)
{
	for (u32 nr = 0; nr < 0x100; nr++) {
		if (nr < 0x64 || nr > 0x66)
			assert_int_equal(ccall(FD_CONTAINER, UI_UAPI_TYPE | nr, NULL), -EINVAL);
	}
	assert_int_equal(by_value(FD_CONTAINER, UI_UAPI_VFIO_GET_API_VERSION, 0), 0);
	start(UI_UAPI_VFIO_TYPE1V2);
	for (u32 nr = 0; nr < 0x100; nr++) {
		if (nr < 0x64 || nr > 0x75 || (nr > 0x66 && nr < 0x70) || nr == 0x73 || nr == 0x74)
			assert_int_equal(ccall(FD_CONTAINER, UI_UAPI_TYPE | nr, NULL), -ENOTTY);
	}
	stop();
}

static void map_checks_in_order(void **state)
{
	struct ui_uapi_vfio_map map = { .argsz = sizeof(map) - 1, .flags = 3, .vaddr = (u64)(uintptr_t)rig.mem, .size = PAGE };

	catch_faults();
	start(UI_UAPI_VFIO_TYPE1V2);
	assert_int_equal(ccall(FD_CONTAINER, UI_UAPI_VFIO_IOMMU_MAP_DMA, NULL), -EFAULT);
	assert_int_equal(ccall(FD_CONTAINER, UI_UAPI_VFIO_IOMMU_MAP_DMA, &map), -EINVAL);
	assert_int_equal(cmap(8, 0, 0, PAGE), -EINVAL);
	assert_int_equal(cmap(0, 0, 0, PAGE), -EINVAL); /* unlike on an iommufd */
	assert_int_equal(cmap(7, 0, 0, PAGE), -EINVAL);
	assert_int_equal(cmap(3, 0, 0, 0), -EINVAL);
	assert_int_equal(cmap(3, 0, 0, PAGE - 1), -EINVAL);
	assert_int_equal(cmap(3, 0, 1, PAGE), -EINVAL);
	assert_int_equal(vmap(FD_CONTAINER, 3, rig.mem + 1, 0, PAGE), -EINVAL);
	assert_int_equal(cmap(3, 0, ~(u64)0 & ~(u64)(PAGE - 1), 2 * PAGE), -EOVERFLOW);
	assert_int_equal(vmap(FD_CONTAINER, 3, (void *)~(u64)(PAGE - 1), 0, 2 * PAGE), -EOVERFLOW);
	assert_int_equal(cmap(3, 0, 0x10000, 2 * PAGE), 0);
	assert_int_equal(cmap(3, 0, 0x11000, PAGE), -EEXIST);
	assert_int_equal(cmap(3, 0, 0xfee00000, PAGE), -EINVAL); /* reserved */
	assert_int_equal(cmap(3, 0, (u64)1 << 60, PAGE), -EINVAL); /* beyond the table */
	/* Memory that is not there: and nothing stays mapped. */
	munmap(rig.mem + 15 * PAGE, PAGE);
	assert_int_equal(cmap(3, 14, 0x20000, 2 * PAGE), -EFAULT);
	assert_int_equal(cmap(3, 14, 0x20000, PAGE), 0);
	assert_true(reaches(0, 0x11000, rig.mem + PAGE));
	stop();
}

static u32 avail(void)
{
	struct {
		struct ui_uapi_vfio_info head;
		struct ui_uapi_vfio_cap_migration migration;
		struct ui_uapi_vfio_cap_avail avail;
		u32 pad;
		u64 more[32];
	} info = { .head = { .argsz = sizeof(info) } };

	assert_int_equal(ccall(FD_CONTAINER, UI_UAPI_VFIO_IOMMU_GET_INFO, &info), 0);
	assert_int_equal(info.avail.header.id, UI_UAPI_VFIO_CAP_DMA_AVAIL);
	return info.avail.avail;
}

static void mappings_are_counted(void **state)
{
	u64 n;

	start(UI_UAPI_VFIO_TYPE1V2);
	assert_int_equal(avail(), 65535);
	for (n = 0; n < 65535; n++)
		assert_int_equal(cmap(1, 0, n * PAGE, PAGE), 0);
	assert_int_equal(avail(), 0);
	assert_int_equal(cmap(1, 0, n * PAGE, PAGE), -ENOSPC);
	assert_int_equal(cmap(1, 0, 0, PAGE), -EEXIST); /* comes first */
	assert_int_equal(cunmap(0, 0, PAGE, NULL), 0);
	assert_int_equal(avail(), 1);
	assert_int_equal(cmap(1, 0, n * PAGE, PAGE), 0);
	assert_int_equal(cunmap(UI_UAPI_VFIO_UNMAP_ALL_FLAG, 0, 0, &n), 0);
	assert_int_equal(n, (u64)65535 * PAGE);
	assert_int_equal(avail(), 65535);
	stop();
}

static void unmap_checks_in_order(void **state)
{
	struct ui_uapi_vfio_unmap unmap = { .argsz = sizeof(unmap) - 1, .size = PAGE };
	u64 removed;

	catch_faults();
	start(UI_UAPI_VFIO_TYPE1V2);
	assert_int_equal(cmap(3, 0, 0, PAGE), 0);
	assert_int_equal(ccall(FD_CONTAINER, UI_UAPI_VFIO_IOMMU_UNMAP_DMA, NULL), -EFAULT);
	assert_int_equal(ccall(FD_CONTAINER, UI_UAPI_VFIO_IOMMU_UNMAP_DMA, &unmap), -EINVAL);
	assert_int_equal(cunmap(8, 0, PAGE, NULL), -EINVAL);
	assert_int_equal(cunmap(3, 0, 0, NULL), -EINVAL);
	assert_int_equal(cunmap(5, 0, PAGE, NULL), -EINVAL);
	assert_int_equal(cunmap(0, 0, 0, NULL), -EINVAL);
	assert_int_equal(cunmap(0, 0, PAGE - 1, NULL), -EINVAL);
	assert_int_equal(cunmap(0, 1, PAGE, NULL), -EINVAL);
	assert_int_equal(cunmap(2, 0, PAGE, NULL), -EINVAL);
	assert_int_equal(cunmap(2, PAGE, 0, NULL), -EINVAL);
	assert_int_equal(cunmap(0, ~(u64)0 & ~(u64)(PAGE - 1), 2 * PAGE, &removed), -EOVERFLOW);
	assert_int_equal(removed, 2 * PAGE); /* written only when all went well */
	assert_int_equal(cunmap(0, PAGE, PAGE, &removed), 0);
	assert_int_equal(removed, 0);
	assert_true(reaches(0, 0, rig.mem));
	stop();
}

/* Version 2: whole mappings only, any number of them. */
static void version_2_unmaps_whole_mappings(void **state)
{
	u64 removed;

	start(UI_UAPI_VFIO_TYPE1V2);
	for (u64 i = 0; i < 4; i++)
		assert_int_equal(cmap(3, i * 2, 0x10000 + i * 2 * PAGE, 2 * PAGE), 0);
	assert_int_equal(cunmap(0, 0x11000, PAGE, NULL), -EINVAL);
	assert_int_equal(cunmap(0, 0x10000, PAGE, NULL), -EINVAL);
	assert_int_equal(cunmap(0, 0x10000, 3 * PAGE, NULL), -EINVAL);
	assert_int_equal(cunmap(0, 0xf000, 4 * PAGE, NULL), -EINVAL);
	assert_true(reaches(0, 0x10000, rig.mem)); /* nothing went */
	assert_int_equal(cunmap(0, 0xf000, 5 * PAGE, &removed), 0);
	assert_int_equal(removed, 4 * PAGE);
	assert_false(reaches(0, 0x10000, rig.mem));
	assert_true(reaches(1, 0x14000, rig.mem + 4 * PAGE));
	stop();
}

/* Version 1: a mapping goes whole when its first address is in the range, else it stays, and both are success. */
static void version_1_goes_by_the_first_address(void **state)
{
	u64 removed;

	start(UI_UAPI_VFIO_TYPE1);
	assert_int_equal(cmap(3, 0, 0x10000, 4 * PAGE), 0);
	assert_int_equal(cmap(3, 4, 0x14000, 4 * PAGE), 0);
	assert_int_equal(cunmap(0, 0x11000, PAGE, &removed), 0);
	assert_int_equal(removed, 0);
	assert_int_equal(cunmap(0, 0x12000, 4 * PAGE, &removed), 0);
	assert_int_equal(removed, 0);
	assert_true(reaches(0, 0x11000, rig.mem + PAGE));
	assert_int_equal(cunmap(0, 0x10000, PAGE, &removed), 0);
	assert_int_equal(removed, 4 * PAGE);
	assert_false(reaches(0, 0x11000, rig.mem + PAGE));
	assert_int_equal(cunmap(0, 0xf000, 6 * PAGE, &removed), 0);
	assert_int_equal(removed, 4 * PAGE);
	assert_int_equal(ccall(FD_CONTAINER, UI_UAPI_VFIO_IOMMU_DIRTY_PAGES, NULL), -EACCES);
	stop();
}

static void info_has_three_capabilities(void **state)
{
	struct {
		struct ui_uapi_vfio_info head;
		struct ui_uapi_vfio_cap_migration migration;
		struct ui_uapi_vfio_cap_avail avail;
		u32 pad;
		struct ui_uapi_vfio_cap_ranges ranges;
		struct ui_uapi_iova_range list[2];
		u8 behind[8];
	} info, was;
	const u32 all = offsetof(__typeof__(info), behind);

	catch_faults();
	start(UI_UAPI_VFIO_TYPE1V2);
	assert_int_equal(ccall(FD_CONTAINER, UI_UAPI_VFIO_IOMMU_GET_INFO, NULL), -EFAULT);
	info.head.argsz = 15;
	assert_int_equal(ccall(FD_CONTAINER, UI_UAPI_VFIO_IOMMU_GET_INFO, &info), -EINVAL);
	/* Each size between: never written beyond, offset only where it is known and all is there. */
	for (u32 argsz = 16; argsz < all; argsz += 4) {
		memset(&info, 0xaa, sizeof(info));
		was = info;
		info.head.argsz = argsz;
		assert_int_equal(ccall(FD_CONTAINER, UI_UAPI_VFIO_IOMMU_GET_INFO, &info), 0);
		assert_int_equal(info.head.argsz, all);
		assert_int_equal(info.head.flags, 3);
		assert_int_equal(info.head.cap_offset, argsz < 24 ? 0xaaaaaaaa : 0);
		assert_memory_equal((u8 *)&info + ui_min(argsz, 24), (u8 *)&was + ui_min(argsz, 24), sizeof(info) - ui_min(argsz, 24));
	}
	memset(&info, 0xaa, sizeof(info));
	info.head.argsz = sizeof(info);
	assert_int_equal(ccall(FD_CONTAINER, UI_UAPI_VFIO_IOMMU_GET_INFO, &info), 0);
	assert_int_equal(info.head.argsz, sizeof(info)); /* left alone when it suffices */
	assert_int_equal(info.head.cap_offset, 24);
	assert_int_equal(info.head.iova_pgsizes & (2 * PAGE - 1), PAGE);
	assert_int_equal(info.migration.header.id, UI_UAPI_VFIO_CAP_MIGRATION);
	assert_int_equal(info.migration.header.version, 1);
	assert_int_equal(info.migration.flags, 0);
	assert_int_equal(info.migration.pgsize_bitmap, PAGE);
	assert_int_equal(info.migration.max_dirty_bitmap_size, DIRTY_MAX);
	assert_int_equal(info.migration.header.next, offsetof(__typeof__(info), avail));
	assert_int_equal(info.avail.header.next, offsetof(__typeof__(info), ranges));
	assert_int_equal(info.ranges.header.id, UI_UAPI_VFIO_CAP_IOVA_RANGE);
	assert_int_equal(info.ranges.header.next, 0);
	assert_int_equal(info.ranges.nr_iovas, 2);
	assert_int_equal(info.list[0].start, 0);
	assert_int_equal(info.list[0].last, 0xfedfffff);
	assert_int_equal(info.list[1].start, 0xfef00000);
	assert_int_equal(info.behind[0], 0xaa);
	stop();
}

struct get {
	struct ui_uapi_vfio_dirty head;
	struct ui_uapi_vfio_dirty_get get;
};

static long dirty(u32 flags)
{
	struct ui_uapi_vfio_dirty cmd = { .argsz = sizeof(cmd), .flags = flags };

	return ccall(FD_CONTAINER, UI_UAPI_VFIO_IOMMU_DIRTY_PAGES, &cmd);
}

static long get_dirty(u64 iova, u64 size, u64 pgsize, void *bitmap, u64 n_bytes)
{
	struct get cmd = { { sizeof(cmd), UI_UAPI_VFIO_DIRTY_GET_BITMAP }, { iova, size, { pgsize, n_bytes, (u64)(uintptr_t)bitmap } } };

	return ccall(FD_CONTAINER, UI_UAPI_VFIO_IOMMU_DIRTY_PAGES, &cmd);
}

static void every_mapped_page_is_dirty(void **state)
{
	u8 bitmap[16] = { 0 }, want[16] = { 0 };
	struct ui_uapi_vfio_dirty small = { .argsz = 7, .flags = 1 };

	catch_faults();
	start(UI_UAPI_VFIO_TYPE1V2);
	assert_int_equal(cmap(3, 0, 3 * PAGE, 2 * PAGE), 0);
	assert_int_equal(cmap(3, 0, 6 * PAGE, 15 * PAGE), 0);
	assert_int_equal(ccall(FD_CONTAINER, UI_UAPI_VFIO_IOMMU_DIRTY_PAGES, NULL), -EFAULT);
	assert_int_equal(ccall(FD_CONTAINER, UI_UAPI_VFIO_IOMMU_DIRTY_PAGES, &small), -EINVAL);
	for (u32 flags = 0; flags < 16; flags++) {
		if (flags != 1 && flags != 2)
			assert_int_equal(dirty(flags), -EINVAL);
	}
	assert_int_equal(get_dirty(0, 64 * PAGE, PAGE, bitmap, 8), -EINVAL); /* not started */
	assert_int_equal(dirty(UI_UAPI_VFIO_DIRTY_START), 0);
	assert_int_equal(dirty(UI_UAPI_VFIO_DIRTY_START), 0);
	assert_int_equal(get_dirty(0, 64 * PAGE, 2 * PAGE, bitmap, 8), -EINVAL);
	assert_int_equal(get_dirty(0, 64 * PAGE, 0, bitmap, 8), -EINVAL);
	assert_int_equal(get_dirty(0, 0, PAGE, bitmap, 8), -EINVAL);
	assert_int_equal(get_dirty(0, 64 * PAGE, PAGE, bitmap, 0), -EINVAL);
	assert_int_equal(get_dirty(0, 64 * PAGE, PAGE, bitmap, 7), -EINVAL);
	assert_int_equal(get_dirty(0, 65 * PAGE, PAGE, bitmap, 8), -EINVAL);
	assert_int_equal(get_dirty(0, 64 * PAGE, PAGE, bitmap, DIRTY_MAX + 1), -EINVAL);
	assert_int_equal(get_dirty(1, 64 * PAGE, PAGE, bitmap, 8), -EINVAL);
	assert_int_equal(get_dirty(0, 64 * PAGE - 1, PAGE, bitmap, 8), -EINVAL);
	assert_int_equal(get_dirty(~(u64)0 & ~(u64)(PAGE - 1), PAGE, PAGE, bitmap, 8), -EINVAL);
	assert_int_equal(get_dirty(4 * PAGE, 64 * PAGE, PAGE, bitmap, 8), -EINVAL); /* through a mapping */
	assert_int_equal(get_dirty(0, 4 * PAGE, PAGE, bitmap, 8), -EINVAL);
	assert_memory_equal(bitmap, want, sizeof(bitmap));
	assert_int_equal(get_dirty(0, 64 * PAGE, PAGE, NULL, 8), -EFAULT);
	assert_int_equal(get_dirty(0, 64 * PAGE, PAGE, bitmap, 8), 0);
	want[0] = 0xd8;
	want[1] = 0xff;
	want[2] = 0x1f;
	assert_memory_equal(bitmap, want, sizeof(bitmap));
	/* The first bit is the range's first page; what is set stays. */
	memset(bitmap, 0, sizeof(bitmap));
	bitmap[0] = 0x80;
	assert_int_equal(get_dirty(3 * PAGE, 2 * PAGE, PAGE, bitmap + 1, 8), 0);
	assert_int_equal(bitmap[0], 0x80);
	assert_int_equal(bitmap[1], 3);
	assert_int_equal(dirty(UI_UAPI_VFIO_DIRTY_STOP), 0);
	assert_int_equal(get_dirty(0, 64 * PAGE, PAGE, bitmap, 8), -EINVAL);
	stop();
}

static void unmap_tells_what_was_dirty(void **state)
{
	struct {
		struct ui_uapi_vfio_unmap head;
		struct ui_uapi_vfio_bitmap bitmap;
	} cmd;
	u64 bits = 0;

	start(UI_UAPI_VFIO_TYPE1V2);
	assert_int_equal(cmap(3, 0, 2 * PAGE, 2 * PAGE), 0);
	for (unsigned i = 0; i < 3; i++) {
		cmd.head = (struct ui_uapi_vfio_unmap){ sizeof(cmd) - (i == 1), UI_UAPI_VFIO_UNMAP_DIRTY, 0, 8 * PAGE };
		cmd.bitmap = (struct ui_uapi_vfio_bitmap){ PAGE, 8, (u64)(uintptr_t)&bits };
		if (i)
			assert_int_equal(dirty(UI_UAPI_VFIO_DIRTY_START), 0);
		assert_int_equal(ccall(FD_CONTAINER, UI_UAPI_VFIO_IOMMU_UNMAP_DMA, &cmd), i < 2 ? -EINVAL : 0);
	}
	assert_int_equal(cmd.head.size, 2 * PAGE);
	assert_int_equal(bits, 0xc);
	assert_false(reaches(0, 2 * PAGE, rig.mem));
	stop();
}

/* Live update: the address may change while DMA goes on. */
static void addresses_become_invalid_and_valid(void **state)
{
	enum { VADDR = UI_UAPI_VFIO_UNMAP_VADDR };
	u64 n;

	start(UI_UAPI_VFIO_TYPE1V2);
	assert_int_equal(cmap(3, 0, 0, 2 * PAGE), 0);
	assert_int_equal(cmap(3, 2, 4 * PAGE, PAGE), 0);
	assert_int_equal(cmap(4, 0, 0, 2 * PAGE), -EINVAL); /* it is valid */
	assert_int_equal(cunmap(VADDR, 0, PAGE, NULL), -EINVAL);
	assert_int_equal(cunmap(VADDR, 0, 2 * PAGE, &n), 0);
	assert_int_equal(n, 2 * PAGE);
	assert_true(reaches(0, 0, rig.mem));
	/* One of the two is invalid already: neither changes. */
	assert_int_equal(cunmap(VADDR | UI_UAPI_VFIO_UNMAP_ALL_FLAG, 0, 0, NULL), -EINVAL);
	assert_int_equal(cmap(4, 0, 4 * PAGE, PAGE), -EINVAL);
	/* No group comes in meanwhile. */
	assert_int_equal(group_open(1), 0);
	assert_int_equal(set(1, FD_CONTAINER), -EBUSY);
	assert_int_equal(cmap(4, 8, 8 * PAGE, PAGE), -ENOENT);
	assert_int_equal(cmap(4, 8, 0, PAGE), -EINVAL);
	assert_int_equal(cmap(4, 8, 0, 2 * PAGE), 0);
	assert_true(reaches(0, 0, rig.mem));
	assert_int_equal(set(1, FD_CONTAINER), 0);
	/* An invalid one can be unmapped. */
	assert_int_equal(unset(1), 0);
	assert_int_equal(cunmap(VADDR, 0, 2 * PAGE, &n), 0);
	assert_int_equal(cunmap(0, 0, 2 * PAGE, &n), 0);
	assert_int_equal(set(1, FD_CONTAINER), 0);
	ui_vfio_group_close(rig.groups[1]);
	stop();
}

/* What an iommufd's IOASes would show: nothing of a container can be had by number. */
static void a_container_charges_its_process(void **state)
{
	struct ui_uapi_option option = { .size = sizeof(option) };

	start(UI_UAPI_VFIO_TYPE1V2);
	assert_int_equal(ccall(FD_CONTAINER, UI_UAPI_OPTION, &option), -ENOTTY);
	stop();
}

static bool second_page(void *arg, u64 va, u64 n_bytes)
{
	u64 page = (u64)(uintptr_t)rig.mem + PAGE;

	return va >= page && va + n_bytes <= page + PAGE;
}

/* A kernel's driver counts no pages that have no memory behind them. */
static void registers_are_not_paid_for(void **state)
{
	struct ui_account *account = ui_account_create();
	const struct ui_iommufd_env env = { .account = account, .registers = second_page };
	u64 pinned, locked;

	ui_iommufd_close(rig.ctx[1]);
	rig.ctx[1] = ui_iommufd_open_container(&env);
	start(UI_UAPI_VFIO_TYPE1V2);
	assert_int_equal(cmap(3, 1, 0x10000, PAGE), 0);
	assert_true(reaches(0, 0x10000, rig.mem + PAGE));
	ui_account_read(account, 0, &pinned, &locked);
	assert_int_equal(pinned, 0);
	assert_int_equal(cmap(3, 0, 0x20000, 2 * PAGE), 0);
	ui_account_read(account, 0, &pinned, &locked);
	assert_int_equal(pinned, 2);
	assert_int_equal(cunmap(0, 0x10000, PAGE, NULL), 0);
	ui_account_read(account, 0, &pinned, &locked);
	assert_int_equal(pinned, 2);
	stop();
	ui_iommufd_close(rig.ctx[1]);
	rig.ctx[1] = NULL;
	ui_account_read(account, 0, &pinned, &locked);
	assert_int_equal(pinned, 0);
	ui_account_destroy(account);
}

/* Each allocation of a map fails in turn: then nothing is mapped, and the count is as before. */
static void a_map_that_fails_leaves_nothing(void **state)
{
	bool done = false;

	start(UI_UAPI_VFIO_TYPE1V2);
	assert_int_equal(cmap(3, 0, 0x200000, PAGE), 0);
	for (u64 n = 1; !done; n++) {
		long ret;

		ui_inject_arm(n);
		ret = cmap(3, 0, 0x40000000, 8 * PAGE);
		done = ui_inject_left();
		ui_inject_arm(0);
		assert_int_equal(ret, done ? 0 : -ENOMEM);
		assert_int_equal(avail(), done ? 65533 : 65534);
		assert_int_equal(reaches(0, 0x40000000, rig.mem), done);
	}
	stop();
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(extensions_before_and_after_set_iommu),
		T(unknown_calls),
		T(map_checks_in_order),
		T(mappings_are_counted),
		T(unmap_checks_in_order),
		T(version_2_unmaps_whole_mappings),
		T(version_1_goes_by_the_first_address),
		T(info_has_three_capabilities),
		T(every_mapped_page_is_dirty),
		T(unmap_tells_what_was_dirty),
		T(addresses_become_invalid_and_valid),
		T(a_container_charges_its_process),
		T(registers_are_not_paid_for),
		T(a_map_that_fails_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
