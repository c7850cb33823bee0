/* SPDX-License-Identifier: MIT */
/* The kind `vtd` as a program sees it through the ioctls: what QEMU does for a guest with first-stage translation, in its order. */
#include "../iommufd/common.h"

enum { PAGES = 16, GPA = 0x100000, IOVA = 0x5000, LEAF = 0x7, RID = 0, PASID = 5 };

struct vtd_info {
	u32 flags, __reserved;
	u64 cap, ecap;
};
struct vtd_s1 {
	u64 flags, pgtbl_addr;
	u32 addr_width, __reserved;
};
struct vtd_inv {
	u64 addr, npages;
	u32 flags, __reserved;
};

static struct rig rig;
static u32 ioas, parent;
static u64 guest[PAGES][512] __attribute__((aligned(4096))); /* pages 0 to 3 are tables for addresses below 2 MiB */

static u64 ptr(const void *p)
{
	return (u64)(uintptr_t)p;
}

static u32 hwpt_alloc(u32 pt, u32 flags, const struct vtd_s1 *s1, long want)
{
	struct ui_uapi_hwpt_alloc cmd = { .size = sizeof(cmd), .flags = flags, .dev_id = rig.dev_id[0], .pt_id = pt,
					  .data_type = s1 ? 1 : 0, .data_len = s1 ? sizeof(*s1) : 0, .data_uptr = ptr(s1) };

	assert_int_equal(call(&rig, UI_UAPI_HWPT_ALLOC, &cmd), want);
	return cmd.out_hwpt_id;
}

static long invalidate(u32 hwpt, u32 type, const struct vtd_inv *inv, u32 n, u32 *n_done)
{
	struct ui_uapi_hwpt_invalidate cmd = { .size = sizeof(cmd), .hwpt_id = hwpt, .data_uptr = ptr(inv), .data_type = type,
					       .entry_len = sizeof(*inv), .entry_num = n };
	long ret = call(&rig, UI_UAPI_HWPT_INVALIDATE, &cmd);

	*n_done = cmd.entry_num;
	return ret;
}

static int setup(void **state)
{
	rig_open_kind(&rig, ui_driver_find("vtd"), NULL, 0);
	rig_bind(&rig, 0);
	memset(guest, 0, sizeof(guest));
	for (unsigned i = 0; i < 3; i++)
		guest[i][0] = (GPA + (i + 1) * PAGE) | LEAF;
	guest[3][IOVA >> 12] = (GPA + 8 * PAGE) | LEAF;
	guest[8][0] = 8;
	guest[9][0] = 9;
	ioas = ioas_new(&rig);
	assert_int_equal(map_at(&rig, ioas, guest, sizeof(guest), GPA), 0);
	parent = hwpt_alloc(ioas, UI_UAPI_HWPT_NEST_PARENT | UI_UAPI_HWPT_DIRTY_TRACKING | UI_UAPI_HWPT_PASID, NULL, 0);
	return 0;
}

static int teardown(void **state)
{
	rig_close(&rig);
	return 0;
}

static enum ui_dma_status read_word(u64 iova, u32 pasid, u64 *val)
{
	struct ui_dma_addr where = { .iova = iova, .pasid = pasid, .has_pasid = pasid != 0 };

	return ui_dma_read(rig.port[0], &where, val, sizeof(*val), NULL, NULL);
}

static void hw_info_is_vtd(void **state)
{
	struct vtd_info info[2] = { 0 };
	struct ui_uapi_hw_info cmd = { .size = sizeof(cmd), .dev_id = rig.dev_id[0], .data_len = sizeof(info), .data_uptr = ptr(info) };

	memset(info, 0xff, sizeof(info));
	assert_int_equal(call(&rig, UI_UAPI_GET_HW_INFO, &cmd), 0);
	assert_int_equal(cmd.out_data_type, 1);
	assert_int_equal(cmd.data_len, 24);
	assert_int_equal(cmd.out_max_pasid_log2, 16);
	assert_int_equal(cmd.out_capabilities, UI_UAPI_HW_CAP_DIRTY_TRACKING | UI_UAPI_HW_CAP_ATS_NOT_SUPPORTED);
	assert_true(info[0].ecap & UI_BIT(26)); /* NEST */
	assert_int_equal(info[0].flags, 0);
	assert_int_equal(info[1].cap, 0); /* filled up with zeros */
	cmd.flags = UI_UAPI_HW_INFO_INPUT_TYPE;
	cmd.out_data_type = 2;
	assert_int_equal(call(&rig, UI_UAPI_GET_HW_INFO, &cmd), -EOPNOTSUPP);
}

static void a_guests_tables_are_walked(void **state)
{
	const struct vtd_s1 s1 = { .pgtbl_addr = GPA, .addr_width = 48 };
	const struct vtd_inv inv[] = { { .addr = IOVA, .npages = 1, .flags = 1 }, { .addr = 1, .npages = 1 } };
	u32 nested = hwpt_alloc(parent, 0, &s1, 0), pt = parent, n_done;
	u64 val = 0;

	/* The device's own table first, then the guest turns its IOMMU on. */
	assert_int_equal(attach(&rig, 0, RID, &pt), 0);
	assert_int_equal(read_word(GPA + 9 * PAGE, 0, &val), UI_DMA_OK);
	assert_int_equal(val, 9);
	pt = nested;
	assert_int_equal(attach(&rig, 0, RID, &pt), 0);
	assert_int_equal(read_word(IOVA, 0, &val), UI_DMA_OK);
	assert_int_equal(val, 8);
	assert_int_equal(read_word(GPA + 9 * PAGE, 0, &val), UI_DMA_TRANSLATION);
	assert_int_equal(destroy(&rig, nested), -EBUSY);
	assert_int_equal(destroy(&rig, parent), -EBUSY);
	guest[3][IOVA >> 12] = (GPA + 9 * PAGE) | LEAF;
	assert_int_equal(invalidate(nested, 0, inv, 2, &n_done), -EINVAL);
	assert_int_equal(n_done, 1);
	assert_int_equal(read_word(IOVA, 0, &val), UI_DMA_OK);
	assert_int_equal(val, 9);
	assert_int_equal(invalidate(nested, 1, inv, 0, &n_done), -EINVAL);
	assert_int_equal(invalidate(nested, 0, NULL, 0, &n_done), 0);
	assert_int_equal(invalidate(parent, 0, inv, 1, &n_done), -EINVAL);
	pt = parent;
	assert_int_equal(attach(&rig, 0, RID, &pt), 0);
	assert_int_equal(destroy(&rig, nested), 0);
}

/* iommufd-semantics 4, PASID rules. */
static void each_pasid_has_tables_of_its_own(void **state)
{
	const struct vtd_s1 s1 = { .pgtbl_addr = GPA, .addr_width = 48 };
	u32 plain = hwpt_alloc(parent, 0, &s1, 0), nested = hwpt_alloc(parent, UI_UAPI_HWPT_PASID, &s1, 0), pt = plain;
	u64 val = 0;

	assert_int_equal(attach(&rig, 0, PASID, &pt), -EINVAL);
	pt = nested;
	assert_int_equal(attach(&rig, 0, PASID, &pt), 0);
	assert_int_equal(read_word(IOVA, PASID, &val), UI_DMA_OK);
	assert_int_equal(val, 8);
	assert_int_equal(read_word(IOVA, 0, &val), UI_DMA_BLOCKED);
	pt = parent;
	assert_int_equal(attach(&rig, 0, PASID, &pt), 0);
	assert_int_equal(read_word(GPA + 9 * PAGE, PASID, &val), UI_DMA_OK);
	assert_int_equal(val, 9);
	detach(&rig, 0, PASID);
	assert_int_equal(read_word(GPA + 9 * PAGE, PASID, &val), UI_DMA_BLOCKED);
}

static void what_cannot_be_nested_is_refused(void **state)
{
	struct vtd_s1 s1 = { .pgtbl_addr = GPA, .addr_width = 48 };
	u32 plain = hwpt_alloc(ioas, 0, NULL, 0), nested, pt;

	hwpt_alloc(plain, 0, &s1, -EINVAL);
	nested = hwpt_alloc(parent, 0, &s1, 0);
	hwpt_alloc(nested, 0, &s1, -EINVAL);
	s1.flags = 1 << 3;
	hwpt_alloc(parent, 0, &s1, -EOPNOTSUPP);
	/* No such width: Linux says so when it is attached. */
	s1 = (struct vtd_s1){ .pgtbl_addr = GPA, .addr_width = 39 };
	pt = hwpt_alloc(parent, 0, &s1, 0);
	assert_int_equal(attach(&rig, 0, RID, &pt), -EINVAL);
}

/* What QEMU asks for: the last address of the ranges says how wide the guest's addresses may be. */
static void the_iova_ranges_follow_the_stage(void **state)
{
	struct ui_uapi_iova_range ranges[4] = { 0 };
	struct ui_uapi_ioas_iova_ranges cmd = { .size = sizeof(cmd), .ioas_id = ioas, .num_iovas = 4, .allowed_iovas = ptr(ranges) };
	u32 pt = parent, plain = ioas_new(&rig);

	assert_int_equal(attach(&rig, 0, RID, &pt), 0);
	assert_int_equal(call(&rig, UI_UAPI_IOAS_IOVA_RANGES, &cmd), 0);
	assert_int_equal(cmd.num_iovas, 2);
	assert_int_equal(ranges[0].last, 0xfedfffff);
	assert_int_equal(ranges[1].start, 0xfef00000);
	assert_int_equal(ranges[1].last, UI_BIT(48) - 1);
	hwpt_alloc(plain, 0, NULL, 0);
	cmd.ioas_id = plain;
	cmd.num_iovas = 4;
	assert_int_equal(call(&rig, UI_UAPI_IOAS_IOVA_RANGES, &cmd), 0);
	assert_int_equal(ranges[cmd.num_iovas - 1].last, UI_BIT(47) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(hw_info_is_vtd),
		T(a_guests_tables_are_walked),
		T(each_pasid_has_tables_of_its_own),
		T(what_cannot_be_nested_is_refused),
		T(the_iova_ranges_follow_the_stage),
	};

	ui_log_set(UI_LOG_ERROR, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
