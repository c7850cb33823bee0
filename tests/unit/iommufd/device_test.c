/* SPDX-License-Identifier: MIT */
/* Bind, attach, replace, detach, HWPTs, dirty tracking: iommufd-semantics.md section 4. */
#include "common.h"

static struct rig rig;
static u8 *mem;

enum { MEM_PAGES = 1024, GROUP = 7 };

#define HUGE_BYTES ((u64)2 << 20)

/* Devices 0 and 1 share a group. */
static int setup(void **state)
{
	rig_open(&rig, NULL, GROUP);
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

/* The page number that device @i finds at @iova, or minus what refused it. */
static long seen(unsigned i, u32 pasid, u64 iova)
{
	u64 word = 0;
	enum ui_dma_status status = dma_read(&rig, i, pasid, iova, &word, 8);

	return status ? -(long)status : (long)word;
}

static void one_context_owns_a_group(void **state)
{
	struct ui_iommufd *other = ui_iommufd_open(NULL);
	struct ui_binder binder = ui_iommufd_binder(other);
	struct ui_bound *bound;
	u32 id;

	rig_bind(&rig, 0);
	assert_int_equal(binder.ops->bind(binder.ctx, rig.dev[0], &id, &bound), -EBUSY);
	assert_int_equal(binder.ops->bind(binder.ctx, rig.dev[1], &id, &bound), -EBUSY);
	assert_int_equal(binder.ops->bind(binder.ctx, rig.dev[2], &id, &bound), 0);
	assert_int_equal(id, 1);
	binder.ops->unbind(bound);
	rig_bind(&rig, 1);
	rig_unbind(&rig, 0);
	assert_int_equal(binder.ops->bind(binder.ctx, rig.dev[0], &id, &bound), -EBUSY);
	rig_unbind(&rig, 1);
	assert_int_equal(binder.ops->bind(binder.ctx, rig.dev[0], &id, &bound), 0);
	binder.ops->unbind(bound);
	ui_iommufd_close(other);
}

/* 1.14: bound devices hold the context. */
static void a_bound_device_outlives_the_descriptor(void **state)
{
	u32 ioas = ioas_new(&rig), pt = ioas;

	rig_bind(&rig, 2);
	assert_int_equal(attach(&rig, 2, 0, &pt), 0);
	assert_int_equal(map_at(&rig, ioas, mem + PAGE, PAGE, 0), 0);
	ui_iommufd_close(rig.ctx);
	rig.ctx = NULL;
	assert_int_equal(seen(2, 0, 0), 1);
	rig_unbind(&rig, 2);
	assert_int_equal(seen(2, 0, 0), -UI_DMA_BLOCKED);
}

static void attaching_to_an_ioas_makes_or_shares_a_hwpt(void **state)
{
	u32 ioas = ioas_new(&rig), manual, a, b;

	rig_bind(&rig, 2);
	rig_bind(&rig, 3);
	assert_int_equal(hwpt_new(&rig, rig.dev_id[2], ioas, 0, &manual), 0);
	a = b = ioas;
	assert_int_equal(attach(&rig, 2, 0, &a), 0);
	assert_int_not_equal(a, manual);
	assert_int_equal(attach(&rig, 3, 0, &b), 0);
	assert_int_equal(a, b);
	assert_int_equal(destroy(&rig, a), -EBUSY);
	detach(&rig, 2, 0);
	assert_int_equal(destroy(&rig, a), -EBUSY);
	detach(&rig, 3, 0);
	assert_int_equal(destroy(&rig, a), -ENOENT);
	/* The number is free again. */
	assert_int_equal(ioas_new(&rig), a);
	assert_int_equal(destroy(&rig, ioas), -EBUSY);
	assert_int_equal(destroy(&rig, manual), 0);
	assert_int_equal(destroy(&rig, ioas), 0);
}

static void attach_refuses_what_it_cannot_attach_to(void **state)
{
	u32 ioas = ioas_new(&rig), pt = 99;

	rig_bind(&rig, 2);
	assert_int_equal(attach(&rig, 2, 0, &pt), -ENOENT);
	assert_int_equal(pt, 99);
	pt = rig.dev_id[2];
	assert_int_equal(attach(&rig, 2, 0, &pt), -EINVAL);
	pt = ioas;
	assert_int_equal(map_at(&rig, ioas, mem, PAGE, 0xfee00000), 0);
	assert_int_equal(attach(&rig, 2, 0, &pt), -EADDRINUSE);
	assert_int_equal(unmap(&rig, ioas, 0, MAX, NULL), 0);
	assert_int_equal(map_at(&rig, ioas, NULL, PAGE, 0x1000), 0);
	assert_int_equal(attach(&rig, 2, 0, &pt), -EFAULT);
	assert_int_equal(pt, ioas);
	assert_int_equal(seen(2, 0, 0), -UI_DMA_BLOCKED);
	/* Nothing is left of it: neither a number, nor the reserved window, nor the alignment. */
	assert_int_equal(ioas_new(&rig), 3);
	assert_int_equal(map_at(&rig, ioas, mem, 1, 0xfee00001), 0);
	assert_int_equal(unmap(&rig, ioas, 0, MAX, NULL), 0);
	assert_int_equal(attach(&rig, 2, 0, &pt), 0);
	detach(&rig, 2, 0);
	detach(&rig, 2, 0);
	detach(&rig, 2, 5);
}

/* Mappings before and after the attachment, in every domain of the IOAS. */
static void domains_keep_step_with_the_ioas(void **state)
{
	u32 ioas = ioas_new(&rig), manual, a = ioas;

	rig_bind(&rig, 2);
	rig_bind(&rig, 3);
	assert_int_equal(map_at(&rig, ioas, mem + PAGE, 2 * PAGE, PAGE), 0);
	assert_int_equal(attach(&rig, 2, 0, &a), 0);
	assert_int_equal(hwpt_new(&rig, rig.dev_id[3], ioas, 0, &manual), 0);
	assert_int_equal(attach(&rig, 3, 0, &manual), 0);
	assert_int_equal(map_at(&rig, ioas, mem + 3 * PAGE, PAGE, 0x200000), 0);
	for (unsigned i = 2; i < 4; i++) {
		assert_int_equal(seen(i, 0, PAGE), 1);
		assert_int_equal(seen(i, 0, 2 * PAGE), 2);
		assert_int_equal(seen(i, 0, 0x200000), 3);
		assert_int_equal(seen(i, 0, 0), -UI_DMA_TRANSLATION);
	}
	assert_int_equal(unmap(&rig, ioas, PAGE, 2 * PAGE, NULL), 0);
	for (unsigned i = 2; i < 4; i++) {
		assert_int_equal(seen(i, 0, PAGE), -UI_DMA_TRANSLATION);
		assert_int_equal(seen(i, 0, 0x200000), 3);
	}
}

static void a_read_only_map_is_never_written(void **state)
{
	u32 ioas = ioas_new(&rig), pt = ioas;
	u64 iova = 0, word = 9;

	rig_bind(&rig, 2);
	assert_int_equal(attach(&rig, 2, 0, &pt), 0);
	assert_int_equal(map(&rig, ioas, UI_UAPI_MAP_READABLE | FIXED, mem + PAGE, PAGE, &iova), 0);
	assert_int_equal(dma_write(&rig, 2, 0, 0, &word, 8), UI_DMA_PERMISSION);
	assert_int_equal(seen(2, 0, 0), 1);
	iova = PAGE;
	assert_int_equal(map(&rig, ioas, RW | FIXED, mem + 2 * PAGE, PAGE, &iova), 0);
	iova = 2 * PAGE;
	assert_int_equal(copy(&rig, ioas, ioas, UI_UAPI_MAP_READABLE | FIXED, PAGE, PAGE, &iova), 0);
	assert_int_equal(dma_write(&rig, 2, 0, 2 * PAGE, &word, 8), UI_DMA_PERMISSION);
	assert_int_equal(dma_write(&rig, 2, 0, PAGE, &word, 8), UI_DMA_OK);
}

static void replace_moves_without_a_gap(void **state)
{
	u32 a = ioas_new(&rig), b = ioas_new(&rig), pa = a, pb = b, again, hwpt, n = 0;
	struct ui_uapi_iova_range list[4];

	rig_bind(&rig, 2);
	assert_int_equal(map_at(&rig, a, mem + PAGE, PAGE, 0), 0);
	assert_int_equal(map_at(&rig, b, mem + 2 * PAGE, PAGE, 0), 0);
	assert_int_equal(attach(&rig, 2, 0, &pa), 0);
	assert_int_equal(seen(2, 0, 0), 1);
	/* The same again is a no-op, by either name. */
	again = pa;
	assert_int_equal(attach(&rig, 2, 0, &again), 0);
	again = a;
	assert_int_equal(attach(&rig, 2, 0, &again), 0);
	assert_int_equal(again, pa);
	assert_int_equal(attach(&rig, 2, 0, &pb), 0);
	assert_int_equal(seen(2, 0, 0), 2);
	assert_int_equal(destroy(&rig, pa), -ENOENT);
	assert_int_equal(destroy(&rig, a), 0);
	/* A replace that fails leaves the old attachment. */
	a = pa = ioas_new(&rig);
	assert_int_equal(map_at(&rig, a, mem, PAGE, 0xfee00000), 0);
	assert_int_equal(attach(&rig, 2, 0, &pa), -EADDRINUSE);
	assert_int_equal(seen(2, 0, 0), 2);
	/* Nothing of it stays in the new IOAS, the old one keeps its reserved window. */
	assert_int_equal(unmap(&rig, a, 0, MAX, NULL), 0);
	assert_int_equal(map_at(&rig, a, mem, 1, 0xfee00001), 0);
	assert_int_equal(map_at(&rig, b, mem, PAGE, 0xfee00000), -EINVAL);
	/* Within an IOAS. */
	assert_int_equal(hwpt_new(&rig, rig.dev_id[2], b, 0, &hwpt), 0);
	assert_int_equal(attach(&rig, 2, 0, &hwpt), 0);
	assert_int_equal(seen(2, 0, 0), 2);
	n = 4;
	assert_int_equal(ranges(&rig, b, list, &n, NULL), 0);
	assert_int_equal(n, 2);
	detach(&rig, 2, 0);
	n = 4;
	assert_int_equal(ranges(&rig, b, list, &n, NULL), 0);
	assert_int_equal(n, 1);
}

/* Devices 0 and 1. */
static void the_group_is_the_unit(void **state)
{
	u32 a = ioas_new(&rig), b = ioas_new(&rig), pa = a, pb = b, also = a, ha, hb;

	rig_bind(&rig, 0);
	rig_bind(&rig, 1);
	assert_int_equal(map_at(&rig, a, mem + PAGE, PAGE, 0), 0);
	assert_int_equal(map_at(&rig, b, mem + 2 * PAGE, PAGE, 0), 0);
	assert_int_equal(attach(&rig, 0, 0, &pa), 0);
	/* To anything else it would have to be a replace. */
	assert_int_equal(hwpt_new(&rig, rig.dev_id[1], b, 0, &hb), 0);
	assert_int_equal(attach(&rig, 1, 0, &hb), -EINVAL);
	assert_int_equal(attach(&rig, 1, 0, &also), 0);
	assert_int_equal(also, pa);
	/* One replaces, both move. */
	assert_int_equal(attach(&rig, 1, 0, &pb), 0);
	assert_int_equal(seen(0, 0, 0), 2);
	assert_int_equal(seen(1, 0, 0), 2);
	assert_int_equal(destroy(&rig, pa), -ENOENT);
	/* One leaves, the other stays. */
	detach(&rig, 0, 0);
	assert_int_equal(seen(1, 0, 0), 2);
	assert_int_equal(destroy(&rig, pb), -EBUSY);
	detach(&rig, 1, 0);
	assert_int_equal(seen(0, 0, 0), -UI_DMA_BLOCKED);
	assert_int_equal(destroy(&rig, pb), -ENOENT);
	assert_int_equal(hwpt_new(&rig, rig.dev_id[1], a, 0, &ha), 0);
	assert_int_equal(destroy(&rig, ha), 0);
}

static void pasids_follow_their_rules(void **state)
{
	u32 ioas = ioas_new(&rig), other = ioas_new(&rig), plain, with, second, pt;

	rig_bind(&rig, 0);
	rig_bind(&rig, 2);
	assert_int_equal(map_at(&rig, ioas, mem + PAGE, PAGE, 0), 0);
	assert_int_equal(map_at(&rig, other, mem + 2 * PAGE, PAGE, 0), 0);
	assert_int_equal(hwpt_new(&rig, rig.dev_id[0], ioas, 0, &plain), 0);
	assert_int_equal(hwpt_new(&rig, rig.dev_id[0], ioas, UI_UAPI_HWPT_PASID, &with), 0);
	assert_int_equal(hwpt_new(&rig, rig.dev_id[0], other, UI_UAPI_HWPT_PASID, &second), 0);
	/* An automatic HWPT is never for PASIDs. */
	pt = ioas;
	assert_int_equal(attach(&rig, 0, 1, &pt), -EINVAL);
	assert_int_equal(attach(&rig, 0, 1, &plain), -EINVAL);
	assert_int_equal(attach(&rig, 0, 1, &with), 0);
	assert_int_equal(attach(&rig, 0, 2, &second), 0);
	assert_int_equal(seen(0, 1, 0), 1);
	assert_int_equal(seen(0, 2, 0), 2);
	assert_int_equal(seen(0, 3, 0), -UI_DMA_BLOCKED);
	assert_int_equal(seen(0, 0, 0), -UI_DMA_BLOCKED);
	/* While a PASID is attached, no HWPT that is not made for it goes to the device itself. */
	assert_int_equal(attach(&rig, 0, 0, &plain), -EINVAL);
	pt = ioas;
	assert_int_equal(attach(&rig, 0, 0, &pt), -EINVAL);
	assert_int_equal(attach(&rig, 0, 0, &with), 0);
	assert_int_equal(attach(&rig, 0, 0, &plain), -EINVAL);
	assert_int_equal(seen(0, 0, 0), 1);
	detach(&rig, 0, 1);
	detach(&rig, 0, 2);
	assert_int_equal(seen(0, 1, 0), -UI_DMA_BLOCKED);
	assert_int_equal(attach(&rig, 0, 0, &plain), 0);
	assert_int_equal(attach(&rig, 0, 1, &with), -EINVAL);
	assert_int_equal(attach(&rig, 0, 0, &with), 0);
	/* Out of range; a device without PASIDs. */
	assert_int_equal(attach(&rig, 0, 0x10000, &with), -EINVAL);
	assert_int_equal(attach(&rig, 0, 0xffff, &with), 0);
	assert_int_equal(attach(&rig, 2, 1, &plain), -EINVAL);
	assert_int_equal(attach(&rig, 2, 1, &with), 0);
	detach(&rig, 2, 1);
	assert_int_equal(attach(&rig, 2, 0, &with), 0);
	/* Replace with a PASID. */
	assert_int_equal(attach(&rig, 0, 0xffff, &second), 0);
	assert_int_equal(seen(0, 0xffff, 0), 2);
	assert_int_equal(attach(&rig, 0, 0xffff, &plain), -EINVAL);
	assert_int_equal(destroy(&rig, second), -EBUSY);
}

/* In this API PASID 0 is "no PASID". */
static void pasid_0_is_the_device_itself(void **state)
{
	u32 ioas = ioas_new(&rig), pt = ioas, id = 0;
	struct ui_domain *domain;

	rig_bind(&rig, 0);
	assert_int_equal(rig.binder.ops->attach(rig.bound[0], 0, true, &pt), 0);
	domain = ui_device_attached(rig.dev[0], 0, false, NULL);
	assert_non_null(domain);
	assert_null(ui_device_attached(rig.dev[0], 0, true, NULL));
	assert_int_equal(ui_device_n_pasids(rig.dev[0]), 0);
	id = pt;
	assert_int_equal(rig.binder.ops->attach(rig.bound[0], 77, false, &id), 0);
	assert_int_equal(id, pt);
	rig.binder.ops->detach(rig.bound[0], 0, true);
	assert_null(ui_device_attached(rig.dev[0], 0, false, NULL));
}

/* Reserved windows come with the device itself, not with PASIDs. */
static void pasids_do_not_reserve(void **state)
{
	u32 ioas = ioas_new(&rig), hwpt, n = 4;
	struct ui_uapi_iova_range list[4];

	rig_bind(&rig, 0);
	assert_int_equal(hwpt_new(&rig, rig.dev_id[0], ioas, UI_UAPI_HWPT_PASID, &hwpt), 0);
	assert_int_equal(attach(&rig, 0, 1, &hwpt), 0);
	assert_int_equal(ranges(&rig, ioas, list, &n, NULL), 0);
	assert_int_equal(n, 1);
	assert_int_equal(map_at(&rig, ioas, mem, PAGE, 0xfee00000), 0);
	assert_int_equal(attach(&rig, 0, 0, &hwpt), -EADDRINUSE);
}

static void hwpt_alloc_checks_in_order(void **state)
{
	struct ui_uapi_hwpt_alloc cmd = { .size = sizeof(cmd), .dev_id = 98, .pt_id = 99, .data_len = 4 };
	u32 ioas = ioas_new(&rig), hwpt;

	rig_bind(&rig, 2);
	assert_int_equal(call(&rig, UI_UAPI_HWPT_ALLOC, &cmd), -EINVAL);
	cmd.data_type = 1;
	cmd.data_len = 0;
	assert_int_equal(call(&rig, UI_UAPI_HWPT_ALLOC, &cmd), -EINVAL);
	cmd.data_len = 4;
	assert_int_equal(call(&rig, UI_UAPI_HWPT_ALLOC, &cmd), -ENOENT);
	cmd.dev_id = rig.dev_id[2];
	assert_int_equal(call(&rig, UI_UAPI_HWPT_ALLOC, &cmd), -EINVAL);
	cmd.pt_id = rig.dev_id[2];
	assert_int_equal(call(&rig, UI_UAPI_HWPT_ALLOC, &cmd), -EINVAL);
	cmd.pt_id = ioas;
	assert_int_equal(call(&rig, UI_UAPI_HWPT_ALLOC, &cmd), -EOPNOTSUPP);
	assert_int_equal(hwpt_new(&rig, rig.dev_id[2], ioas, 1 << 4, &hwpt), -EOPNOTSUPP);
	assert_int_equal(hwpt_new(&rig, rig.dev_id[2], ioas, 5, &hwpt), -EOPNOTSUPP);
	assert_int_equal(hwpt_new(&rig, rig.dev_id[2], ioas, 4, &hwpt), -ENOENT);
	assert_int_equal(destroy(&rig, ioas), 0);
	ioas = ioas_new(&rig);
	/* The second reserved word is not looked at; older callers end before it. */
	cmd = (struct ui_uapi_hwpt_alloc){ .size = sizeof(cmd), .dev_id = rig.dev_id[2], .pt_id = ioas, .fault_id = 7, .__reserved2 = 1 };
	assert_int_equal(call(&rig, UI_UAPI_HWPT_ALLOC, &cmd), 0);
	cmd.size = 24;
	cmd.data_type = 0xffffffff;
	assert_int_equal(call(&rig, UI_UAPI_HWPT_ALLOC, &cmd), 0);
	assert_int_equal(cmd.out_hwpt_id, 4);
}

static void hw_info_tells_the_device(void **state)
{
	u8 data[32];
	struct ui_uapi_hw_info cmd = { .size = sizeof(cmd), .data_len = sizeof(data), .data_uptr = (u64)(uintptr_t)data };

	rig_bind(&rig, 0);
	rig_bind(&rig, 2);
	assert_int_equal(call(&rig, UI_UAPI_GET_HW_INFO, &cmd), -ENOENT);
	cmd.dev_id = rig.dev_id[0];
	memset(data, 0xa5, sizeof(data));
	assert_int_equal(call(&rig, UI_UAPI_GET_HW_INFO, &cmd), 0);
	for (unsigned i = 0; i < sizeof(data); i++)
		assert_int_equal(data[i], 0);
	assert_int_equal(cmd.data_len, 0);
	assert_int_equal(cmd.out_data_type, 0);
	assert_int_equal(cmd.out_max_pasid_log2, 16);
	assert_int_equal(cmd.out_capabilities, UI_UAPI_HW_CAP_DIRTY_TRACKING | UI_UAPI_HW_CAP_ATS_NOT_SUPPORTED);
	cmd = (struct ui_uapi_hw_info){ .size = sizeof(cmd), .dev_id = rig.dev_id[2] };
	assert_int_equal(call(&rig, UI_UAPI_GET_HW_INFO, &cmd), 0);
	assert_int_equal(cmd.out_max_pasid_log2, 0);
	cmd = (struct ui_uapi_hw_info){ .size = sizeof(cmd), .dev_id = rig.dev_id[2], .data_len = 8 };
	assert_int_equal(call(&rig, UI_UAPI_GET_HW_INFO, &cmd), -EFAULT);
}

static long dirty(u32 hwpt, u32 flags, u64 iova, u64 length, u64 page_size, void *bitmap)
{
	struct ui_uapi_hwpt_get_dirty_bitmap cmd = {
		.size = sizeof(cmd), .hwpt_id = hwpt, .flags = flags, .iova = iova, .length = length, .page_size = page_size,
		.data = (u64)(uintptr_t)bitmap
	};

	return call(&rig, UI_UAPI_HWPT_GET_DIRTY_BITMAP, &cmd);
}

static long track(u32 hwpt, u32 on)
{
	struct ui_uapi_hwpt_set_dirty_tracking cmd = { .size = sizeof(cmd), .hwpt_id = hwpt, .flags = on, .__reserved = 7 };

	return call(&rig, UI_UAPI_HWPT_SET_DIRTY_TRACKING, &cmd);
}

static void dirty_calls_check_in_order(void **state)
{
	u32 ioas = ioas_new(&rig), plain, hwpt;
	u8 map[64];

	rig_bind(&rig, 2);
	assert_int_equal(hwpt_new(&rig, rig.dev_id[2], ioas, 0, &plain), 0);
	assert_int_equal(hwpt_new(&rig, rig.dev_id[2], ioas, UI_UAPI_HWPT_DIRTY_TRACKING, &hwpt), 0);
	assert_int_equal(track(ioas, 1), -ENOENT);
	assert_int_equal(track(plain, 1), -EOPNOTSUPP);
	for (u32 i = 0; i < 4; i++)
		assert_int_equal(track(hwpt, i < 2), 0);
	assert_int_equal(dirty(ioas, 0, 0, 0, 0, map), -ENOENT);
	assert_int_equal(dirty(hwpt, 0, 0, 0, PAGE, map), -EINVAL);
	assert_int_equal(dirty(hwpt, 0, MAX, 2, PAGE, map), -EOVERFLOW);
	assert_int_equal(dirty(hwpt, 0, 1, PAGE, PAGE, map), -EINVAL);
	assert_int_equal(dirty(hwpt, 0, PAGE, PAGE + 1, PAGE, map), -EINVAL);
	assert_int_equal(dirty(hwpt, 0, PAGE, PAGE, 0, map), -EINVAL);
	assert_int_equal(dirty(hwpt, 0, PAGE, PAGE, 2 * PAGE, map), -EINVAL);
	assert_int_equal(dirty(plain, 0, PAGE, PAGE, PAGE, map), -EOPNOTSUPP);
	assert_int_equal(dirty(hwpt, 0, PAGE, PAGE, PAGE, map), 0);
}

static void writes_show_in_the_bitmap(void **state)
{
	u32 ioas = ioas_new(&rig), hwpt;
	u8 map[256] = { 0 }, *unaligned = map + 3;
	u64 word = 1;

	rig_bind(&rig, 2);
	assert_int_equal(huge_pages(&rig, ioas, 0), 0);
	assert_int_equal(hwpt_new(&rig, rig.dev_id[2], ioas, UI_UAPI_HWPT_DIRTY_TRACKING, &hwpt), 0);
	assert_int_equal(attach(&rig, 2, 0, &hwpt), 0);
	assert_int_equal(map_at(&rig, ioas, mem, 512 * PAGE, 0x200000), 0);
	assert_int_equal(track(hwpt, 1), 0);
	assert_int_equal(dma_write(&rig, 2, 0, 0x200000 + 9 * PAGE, &word, 8), UI_DMA_OK);
	assert_int_equal(dma_write(&rig, 2, 0, 0x200000 + 10 * PAGE, &word, 8), UI_DMA_OK);
	assert_int_equal(dma_write(&rig, 2, 0, 0x200000 + 511 * PAGE, &word, 8), UI_DMA_OK);
	assert_int_equal(dirty(hwpt, UI_UAPI_DIRTY_BITMAP_NO_CLEAR, 0x200000, 512 * PAGE, PAGE, unaligned), 0);
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(unaligned[i], i == 1 ? 0x06 : i == 63 ? 0x80 : 0);
	/* Relative to the iova asked for; bits are only added. */
	memset(map, 0x10, sizeof(map));
	assert_int_equal(dirty(hwpt, 0, 0x200000 + 8 * PAGE, 504 * PAGE, PAGE, map), 0);
	assert_int_equal(map[0], 0x16);
	assert_int_equal(map[1], 0x10);
	assert_int_equal(map[62], 0x90);
	assert_int_equal(map[63], 0x10);
	/* Smaller pages than the leaf's: each shows. */
	assert_int_equal(dma_write(&rig, 2, 0, 0x200000 + 2 * PAGE, &word, 8), UI_DMA_OK);
	memset(map, 0, sizeof(map));
	assert_int_equal(dirty(hwpt, 0, 0x200000, 4 * PAGE, 512, map), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(map[i], i == 2 ? 0xff : 0);
	/* Read and cleared. */
	memset(map, 0, sizeof(map));
	assert_int_equal(dirty(hwpt, 0, 0x200000, 512 * PAGE, PAGE, map), 0);
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(map[i], 0);
	/* A bitmap that cannot be written is passed over in silence. */
	assert_int_equal(dma_write(&rig, 2, 0, 0x200000, &word, 8), UI_DMA_OK);
	assert_int_equal(dirty(hwpt, UI_UAPI_DIRTY_BITMAP_NO_CLEAR, 0x200000, 512 * PAGE, PAGE, NULL), 0);
}

/* The scan ends at the first hole. */
static void a_hole_ends_the_dirty_scan(void **state)
{
	u32 ioas = ioas_new(&rig), hwpt;
	u8 map[8] = { 0 };
	u64 word = 1;

	rig_bind(&rig, 2);
	assert_int_equal(hwpt_new(&rig, rig.dev_id[2], ioas, UI_UAPI_HWPT_DIRTY_TRACKING, &hwpt), 0);
	assert_int_equal(attach(&rig, 2, 0, &hwpt), 0);
	for (u64 i = 0; i < 4; i++) {
		if (i != 2)
			assert_int_equal(map_at(&rig, ioas, mem + i * PAGE, PAGE, i * PAGE), 0);
	}
	for (u64 i = 0; i < 4; i++)
		dma_write(&rig, 2, 0, i * PAGE, &word, 8);
	assert_int_equal(dirty(hwpt, 0, 0, 4 * PAGE, PAGE, map), 0);
	assert_int_equal(map[0], 3);
}

/* One leaf covers all its bits. */
static void a_large_leaf_is_dirty_as_a_whole(void **state)
{
	u8 *area = pages_new((u64)6 << 20), *at = (u8 *)ui_align_up((u64)(uintptr_t)area, HUGE_BYTES);
	u32 ioas = ioas_new(&rig), hwpt;
	u8 map[256] = { 0 };
	u64 word = 1;

	rig_bind(&rig, 2);
	assert_int_equal(hwpt_new(&rig, rig.dev_id[2], ioas, UI_UAPI_HWPT_DIRTY_TRACKING, &hwpt), 0);
	assert_int_equal(attach(&rig, 2, 0, &hwpt), 0);
	assert_int_equal(map_at(&rig, ioas, at, 2 * HUGE_BYTES, 4 * HUGE_BYTES), 0);
	assert_int_equal(dma_write(&rig, 2, 0, 4 * HUGE_BYTES + 5 * PAGE, &word, 8), UI_DMA_OK);
	assert_int_equal(dirty(hwpt, 0, 4 * HUGE_BYTES, 2 * HUGE_BYTES, PAGE, map), 0);
	for (unsigned i = 0; i < 128; i++)
		assert_int_equal(map[i], i < 64 ? 0xff : 0);
	munmap(area, (u64)6 << 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(one_context_owns_a_group),
		T(a_bound_device_outlives_the_descriptor),
		T(attaching_to_an_ioas_makes_or_shares_a_hwpt),
		T(attach_refuses_what_it_cannot_attach_to),
		T(domains_keep_step_with_the_ioas),
		T(a_read_only_map_is_never_written),
		T(replace_moves_without_a_gap),
		T(the_group_is_the_unit),
		T(pasids_follow_their_rules),
		T(pasid_0_is_the_device_itself),
		T(pasids_do_not_reserve),
		T(hwpt_alloc_checks_in_order),
		T(hw_info_tells_the_device),
		T(dirty_calls_check_in_order),
		T(writes_show_in_the_bitmap),
		T(a_hole_ends_the_dirty_scan),
		T(a_large_leaf_is_dirty_as_a_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
