/* SPDX-License-Identifier: MIT */
/* The VFIO container's calls on an iommufd: iommufd-semantics.md section 9. */
#include "common.h"

static struct rig rig;
static u8 *mem;
static u32 ioas;

enum { MEM_PAGES = 32 };

static int setup(void **state)
{
	rig_open(&rig, NULL, 0);
	mem = pages_new(MEM_PAGES * PAGE);
	for (u64 i = 0; i < MEM_PAGES; i++)
		memcpy(mem + i * PAGE, &i, 8);
	return 0;
}

static int teardown(void **state)
{
	rig_close(&rig);
	munmap(mem, MEM_PAGES * PAGE);
	return 0;
}

static long vfio_ioas(u16 op, u32 *id)
{
	struct ui_uapi_vfio_ioas cmd = { .size = sizeof(cmd), .op = op, .ioas_id = *id };
	long ret = call(&rig, UI_UAPI_VFIO_IOAS, &cmd);

	*id = cmd.ioas_id;
	return ret;
}

static void choose_ioas(void)
{
	ioas = ioas_new(&rig);
	assert_int_equal(vfio_ioas(UI_UAPI_VFIO_IOAS_SET, &ioas), 0);
}

static long by_value(u32 cmd, u64 val)
{
	return ui_iommufd_ioctl(rig.ctx, cmd, val);
}

static long vmap(u32 flags, const void *va, u64 iova, u64 size)
{
	struct ui_uapi_vfio_map cmd = { .argsz = sizeof(cmd), .flags = flags, .vaddr = (u64)(uintptr_t)va, .iova = iova, .size = size };

	return call(&rig, UI_UAPI_VFIO_IOMMU_MAP_DMA, &cmd);
}

static long vunmap(u32 flags, u64 iova, u64 size, u64 *removed)
{
	struct ui_uapi_vfio_unmap cmd = { .argsz = sizeof(cmd), .flags = flags, .iova = iova, .size = size };
	long ret = call(&rig, UI_UAPI_VFIO_IOMMU_UNMAP_DMA, &cmd);

	if (removed)
		*removed = cmd.size;
	return ret;
}

static void the_chosen_ioas(void **state)
{
	u32 id = 99, other;

	assert_int_equal(vfio_ioas(UI_UAPI_VFIO_IOAS_GET, &id), -ENODEV);
	assert_int_equal(vfio_ioas(UI_UAPI_VFIO_IOAS_SET, &id), -ENOENT);
	assert_int_equal(vfio_ioas(UI_UAPI_VFIO_IOAS_CLEAR, &id), 0);
	assert_int_equal(vfio_ioas(3, &id), -EOPNOTSUPP);
	choose_ioas();
	id = 0;
	assert_int_equal(vfio_ioas(UI_UAPI_VFIO_IOAS_GET, &id), 0);
	assert_int_equal(id, ioas);
	other = ioas_new(&rig);
	assert_int_equal(vfio_ioas(UI_UAPI_VFIO_IOAS_SET, &other), 0);
	assert_int_equal(destroy(&rig, other), 0);
	assert_int_equal(vfio_ioas(UI_UAPI_VFIO_IOAS_GET, &id), -ENODEV);
}

static void without_an_ioas_there_is_no_device(void **state)
{
	struct ui_uapi_vfio_info info = { .argsz = sizeof(info) };

	assert_int_equal(by_value(UI_UAPI_VFIO_GET_API_VERSION, 0), 0);
	assert_int_equal(by_value(UI_UAPI_VFIO_CHECK_EXTENSION, UI_UAPI_VFIO_TYPE1), 1);
	assert_int_equal(by_value(UI_UAPI_VFIO_CHECK_EXTENSION, UI_UAPI_VFIO_TYPE1V2), 1);
	assert_int_equal(by_value(UI_UAPI_VFIO_CHECK_EXTENSION, UI_UAPI_VFIO_UNMAP_ALL), 1);
	for (u64 i = 5; i < 20; i++) {
		if (i != UI_UAPI_VFIO_UNMAP_ALL)
			assert_int_equal(by_value(UI_UAPI_VFIO_CHECK_EXTENSION, i), 0);
	}
	assert_int_equal(by_value(UI_UAPI_VFIO_CHECK_EXTENSION, UI_UAPI_VFIO_DMA_CC), -ENODEV);
	assert_int_equal(by_value(UI_UAPI_VFIO_SET_IOMMU, 2), -EINVAL);
	assert_int_equal(by_value(UI_UAPI_VFIO_SET_IOMMU, UI_UAPI_VFIO_TYPE1V2), -ENODEV);
	assert_int_equal(call(&rig, UI_UAPI_VFIO_IOMMU_GET_INFO, &info), -ENODEV);
	info.argsz = 15;
	assert_int_equal(call(&rig, UI_UAPI_VFIO_IOMMU_GET_INFO, &info), -EINVAL);
	assert_int_equal(vmap(3, mem, 0, PAGE), -ENODEV);
	assert_int_equal(vmap(4, mem, 0, PAGE), -EINVAL);
	assert_int_equal(vunmap(0, 0, PAGE, NULL), -ENODEV);
	assert_int_equal(vunmap(1, 0, PAGE, NULL), -EINVAL);
	assert_int_equal(by_value(UI_UAPI_VFIO_IOMMU_GET_INFO, 0), -EFAULT);
	assert_int_equal(by_value(UI_UAPI_VFIO_IOMMU_MAP_DMA, 0), -EFAULT);
	assert_int_equal(by_value(UI_UAPI_VFIO_IOMMU_UNMAP_DMA, 0), -EFAULT);
	assert_int_equal(by_value(UI_UAPI_TYPE | 117, 0), -ENOTTY);
}

static void map_and_unmap(void **state)
{
	u64 removed;

	choose_ioas();
	assert_int_equal(by_value(UI_UAPI_VFIO_CHECK_EXTENSION, UI_UAPI_VFIO_DMA_CC), 1);
	assert_int_equal(by_value(UI_UAPI_VFIO_SET_IOMMU, UI_UAPI_VFIO_TYPE1V2), 0);
	assert_int_equal(vmap(3, mem, 0x10000, 2 * PAGE), 0);
	assert_int_equal(vmap(3, mem, 0x11000, PAGE), -EEXIST);
	assert_int_equal(vmap(0, mem, 0x20000, PAGE), 0);
	assert_int_equal(vmap(3, mem, 0x30000, 0), -EINVAL);
	assert_int_equal(vmap(3, mem, MAX, 2), -EOVERFLOW);
	assert_int_equal(vunmap(0, 0x10000, PAGE, &removed), -ENOENT);
	assert_int_equal(removed, 0);
	assert_int_equal(vunmap(0, 0x40000, PAGE, &removed), 0);
	assert_int_equal(removed, 0);
	assert_int_equal(vunmap(0, 0x10000, 0, &removed), -EINVAL);
	assert_int_equal(vunmap(0, MAX, 2, &removed), -EOVERFLOW);
	assert_int_equal(vunmap(UI_UAPI_VFIO_UNMAP_ALL_FLAG, 1, 0, NULL), -EINVAL);
	assert_int_equal(vunmap(UI_UAPI_VFIO_UNMAP_ALL_FLAG, 0, 1, NULL), -EINVAL);
	assert_int_equal(vunmap(0, 0x10000, 0x10001, &removed), -ENOENT);
	assert_int_equal(removed, 2 * PAGE);
	assert_int_equal(vunmap(UI_UAPI_VFIO_UNMAP_ALL_FLAG, 0, 0, &removed), 0);
	assert_int_equal(removed, PAGE);
}

/* A mapping that grants nothing is one all the same. */
static void a_map_without_rights(void **state)
{
	u32 pt;
	u64 word, removed;

	choose_ioas();
	rig_bind(&rig, 0);
	pt = ioas;
	assert_int_equal(attach(&rig, 0, 0, &pt), 0);
	assert_int_equal(vmap(0, mem, 0, PAGE), 0);
	assert_int_not_equal(dma_read(&rig, 0, 0, 0, &word, 8), UI_DMA_OK);
	assert_int_equal(vmap(3, mem, 0, PAGE), -EEXIST);
	assert_int_equal(vunmap(0, 0, PAGE, &removed), 0);
	assert_int_equal(removed, PAGE);
}

static void version_1_punches_holes(void **state)
{
	u64 removed, word;
	u32 pt;

	choose_ioas();
	assert_int_equal(by_value(UI_UAPI_VFIO_SET_IOMMU, UI_UAPI_VFIO_TYPE1), 0);
	assert_int_equal(by_value(UI_UAPI_VFIO_SET_IOMMU, UI_UAPI_VFIO_TYPE1), 0);
	rig_bind(&rig, 0);
	pt = ioas;
	assert_int_equal(attach(&rig, 0, 0, &pt), 0);
	assert_int_equal(vmap(3, mem, 0, 8 * PAGE), 0);
	assert_int_equal(vunmap(0, 2 * PAGE, 3 * PAGE, &removed), 0);
	assert_int_equal(removed, 3 * PAGE);
	for (u64 i = 0; i < 8; i++) {
		assert_int_equal(dma_read(&rig, 0, 0, i * PAGE, &word, 8), i >= 2 && i < 5 ? UI_DMA_TRANSLATION : UI_DMA_OK);
		if (i < 2 || i >= 5)
			assert_int_equal(word, i);
	}
	assert_int_equal(vunmap(0, PAGE + 1, PAGE, &removed), -EINVAL);
	/* The pieces are areas of their own. */
	assert_int_equal(vunmap(0, 0, 6 * PAGE, &removed), 0);
	assert_int_equal(removed, 3 * PAGE);
	assert_int_equal(dma_read(&rig, 0, 0, 6 * PAGE, &word, 8), UI_DMA_OK);
	assert_int_equal(vunmap(UI_UAPI_VFIO_UNMAP_ALL_FLAG, 0, 0, &removed), 0);
	assert_int_equal(removed, 2 * PAGE);
}

static void version_1_is_refused_where_areas_do_not_suit(void **state)
{
	choose_ioas();
	assert_int_equal(map_at(&rig, ioas, mem, 100, 100), 0);
	assert_int_equal(by_value(UI_UAPI_VFIO_SET_IOMMU, UI_UAPI_VFIO_TYPE1), -EADDRINUSE);
}

static void info_is_a_chain_of_capabilities(void **state)
{
	struct {
		struct ui_uapi_vfio_info head;
		struct ui_uapi_vfio_cap_avail avail;
		u32 pad;
		struct ui_uapi_vfio_cap_ranges ranges;
		struct ui_uapi_iova_range list[2];
		u64 tail;
	} info = { .head = { .argsz = sizeof(info) }, .tail = 0xa5a5 };
	const u32 total = 24 + 16 + 16 + 2 * 16;
	u32 pt;

	choose_ioas();
	rig_bind(&rig, 0);
	assert_int_equal(call(&rig, UI_UAPI_VFIO_IOMMU_GET_INFO, &info), 0);
	assert_int_equal(info.head.iova_pgsizes, ~(PAGE - 1));
	pt = ioas;
	assert_int_equal(attach(&rig, 0, 0, &pt), 0);
	memset(&info, 0xa5, sizeof(info));
	info.head.argsz = sizeof(info);
	assert_int_equal(call(&rig, UI_UAPI_VFIO_IOMMU_GET_INFO, &info), 0);
	assert_int_equal(info.head.argsz, total);
	assert_int_equal(info.head.flags, 3);
	assert_int_equal(info.head.iova_pgsizes, PAGE | (u64)2 << 20 | (u64)1 << 30);
	assert_int_equal(info.head.cap_offset, 24);
	assert_int_equal(info.avail.header.id, 3);
	assert_int_equal(info.avail.header.version, 1);
	assert_int_equal(info.avail.header.next, 40);
	assert_int_equal(info.avail.avail, 0xffffffff);
	assert_int_equal(info.ranges.header.id, 1);
	assert_int_equal(info.ranges.header.version, 1);
	assert_int_equal(info.ranges.header.next, 0);
	assert_int_equal(info.ranges.nr_iovas, 2);
	assert_int_equal(info.list[0].last, 0xfedfffff);
	assert_int_equal(info.list[1].last, ui_mask_lg2(48));
	assert_int_equal(info.tail, 0xa5a5a5a5a5a5a5a5);
	for (u32 argsz = 16; argsz < total; argsz += 4) {
		u8 *bytes = (u8 *)&info;

		memset(&info, 0xa5, sizeof(info));
		info.head.argsz = argsz;
		assert_int_equal(call(&rig, UI_UAPI_VFIO_IOMMU_GET_INFO, &info), 0);
		assert_int_equal(info.head.argsz, total);
		if (argsz >= 20)
			assert_int_equal(info.head.cap_offset, 0);
		for (u32 i = argsz; i < sizeof(info); i++)
			assert_int_equal(bytes[i], 0xa5);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_chosen_ioas),
		T(without_an_ioas_there_is_no_device),
		T(map_and_unmap),
		T(a_map_without_rights),
		T(version_1_punches_holes),
		T(version_1_is_refused_where_areas_do_not_suit),
		T(info_is_a_chain_of_capabilities),
	};

	ui_log_set(UI_LOG_ERROR, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
