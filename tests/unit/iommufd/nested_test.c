/* SPDX-License-Identifier: MIT */
/* Nested HWPTs: made, attached, replaced, invalidated; the walk goes through the parent. iommufd-semantics 4, 5. */
#include "nest.h"

static struct rig rig;
static struct guest guest;

/* Devices 0 and 1 share a group and have PASIDs, 2 has none. */
static int setup(void **state)
{
	memset(&nest, 0, sizeof(nest));
	rig_open_kind(&rig, &nest_driver, &fake_env, 7);
	rig_bind(&rig, 0);
	guest_open(&rig, &guest, 0);
	return 0;
}

static int teardown(void **state)
{
	rig_close(&rig);
	assert_int_equal(nest.n_domains, 0);
	guest_close(&guest);
	return 0;
}

static u32 nested(u32 flags)
{
	u32 id;

	assert_int_equal(nested_new(&rig, rig.dev_id[0], guest.parent, flags, &guest_table, &id), 0);
	return id;
}

/* Section 4, IOMMU_HWPT_ALLOC 1 to 4, 6 and 8. */
static void alloc_checks_in_the_kernels_order(void **state)
{
	struct nest_hwpt_data data = guest_table;
	struct ui_uapi_hwpt_alloc cmd = {
		.size = sizeof(cmd), .flags = 1u << 31, .dev_id = 99, .pt_id = 99, .__reserved = 1, .data_type = 1, .fault_id = 99
	};
	u32 pt = guest.ioas, other, id;

	assert_int_equal(call(&rig, UI_UAPI_HWPT_ALLOC, &cmd), -EOPNOTSUPP);
	cmd.__reserved = 0;
	assert_int_equal(call(&rig, UI_UAPI_HWPT_ALLOC, &cmd), -EINVAL);
	cmd.data_len = 4;
	assert_int_equal(call(&rig, UI_UAPI_HWPT_ALLOC, &cmd), -ENOENT);
	cmd.dev_id = rig.dev_id[0];
	assert_int_equal(call(&rig, UI_UAPI_HWPT_ALLOC, &cmd), -EINVAL);
	cmd.pt_id = cmd.dev_id;
	assert_int_equal(call(&rig, UI_UAPI_HWPT_ALLOC, &cmd), -EINVAL);
	/* Flags come before the parent's faults, those before the driver's. */
	assert_int_equal(hwpt_new(&rig, rig.dev_id[0], guest.ioas, 0, &other), 0);
	cmd.pt_id = other;
	assert_int_equal(call(&rig, UI_UAPI_HWPT_ALLOC, &cmd), -EOPNOTSUPP);
	cmd.flags = UI_UAPI_HWPT_NEST_PARENT;
	assert_int_equal(call(&rig, UI_UAPI_HWPT_ALLOC, &cmd), -EOPNOTSUPP);
	cmd.flags = UI_UAPI_HWPT_FAULT_ID_VALID | UI_UAPI_HWPT_PASID;
	assert_int_equal(call(&rig, UI_UAPI_HWPT_ALLOC, &cmd), -EINVAL);
	assert_int_equal(hwpt_new(&rig, rig.dev_id[0], guest.parent, 0, &id), -EOPNOTSUPP);
	/* An automatic one carries no nested HWPT. */
	assert_int_equal(attach(&rig, 0, 0, &pt), 0);
	cmd.pt_id = pt;
	assert_int_equal(call(&rig, UI_UAPI_HWPT_ALLOC, &cmd), -EINVAL);
	cmd.pt_id = guest.parent;
	assert_int_equal(call(&rig, UI_UAPI_HWPT_ALLOC, &cmd), -EOPNOTSUPP);
	cmd.data_type = T_NESTED;
	assert_int_equal(call(&rig, UI_UAPI_HWPT_ALLOC, &cmd), -EINVAL);
	cmd.data_len = sizeof(data) + 1;
	assert_int_equal(call(&rig, UI_UAPI_HWPT_ALLOC, &cmd), -EINVAL);
	cmd.data_len = sizeof(data);
	assert_int_equal(call(&rig, UI_UAPI_HWPT_ALLOC, &cmd), -EFAULT);
	data.flags = 1;
	cmd.data_uptr = ptr(&data);
	assert_int_equal(call(&rig, UI_UAPI_HWPT_ALLOC, &cmd), -EOPNOTSUPP);
	data.flags = 0;
	/* The fault queue comes last, and what was made is rolled back. */
	assert_int_equal(call(&rig, UI_UAPI_HWPT_ALLOC, &cmd), -ENOENT);
	assert_int_equal(nest.n_domains, 0);
	cmd.fault_id = cmd.dev_id;
	assert_int_equal(call(&rig, UI_UAPI_HWPT_ALLOC, &cmd), -ENOENT);
	cmd.flags = 0;
	assert_int_equal(call(&rig, UI_UAPI_HWPT_ALLOC, &cmd), 0);
	/* Nor does a nested one. */
	cmd.pt_id = cmd.out_hwpt_id;
	assert_int_equal(call(&rig, UI_UAPI_HWPT_ALLOC, &cmd), -EINVAL);
}

/* Section 4, rule 6: a parent behind another IOMMU; a kind without nesting. */
static void a_parent_of_another_iommu_is_refused(void **state)
{
	struct ui_iommu *iommus[2];
	struct ui_device *devs[2];
	struct ui_bound *bound[2];
	u32 ids[2], id;

	for (unsigned i = 0; i < 2; i++) {
		struct ui_device_cfg cfg = { .rid = 0x900, .name = "other" };

		iommus[i] = ui_iommu_create(i ? ui_driver_find("generic") : &nest_driver, rig.mem);
		devs[i] = ui_device_create(iommus[i], &cfg);
		assert_int_equal(rig.binder.ops->bind(rig.binder.ctx, devs[i], &ids[i], &bound[i]), 0);
	}
	assert_int_equal(nested_new(&rig, ids[0], guest.parent, 0, &guest_table, &id), -EINVAL);
	assert_int_equal(nested_new(&rig, ids[1], guest.parent, 0, &guest_table, &id), -EOPNOTSUPP);
	for (unsigned i = 0; i < 2; i++) {
		rig.binder.ops->unbind(bound[i]);
		ui_device_destroy(devs[i]);
		ui_iommu_destroy(iommus[i]);
	}
}

/* Issue 3.2: nesting is walked; the parent rules. */
static void dma_is_walked_through_both_stages(void **state)
{
	u32 id = nested(0), pt = id;
	u64 word = 77;

	assert_int_equal(attach(&rig, 0, 0, &pt), 0);
	assert_int_equal(pt, id);
	assert_int_equal(word_at(&rig, 0, 0, IOVA), DATA_PAGE);
	assert_int_equal(word_at(&rig, 0, 0, IPA), -UI_DMA_TRANSLATION);
	assert_int_equal(dma_write(&rig, 0, 0, IOVA + 8, &word, 8), UI_DMA_OK);
	assert_int_equal(*(u64 *)(void *)(guest.mem + DATA_PAGE * PAGE + 8), 77);
	/* Beyond what the parent maps. */
	guest_leaf(&guest, 0x9000, GUEST_PAGES);
	assert_int_equal(word_at(&rig, 0, 0, 0x9000), -UI_DMA_TRANSLATION);
	/* What leaves the IOAS leaves the nested HWPT. */
	assert_int_equal(unmap(&rig, guest.ioas, 0, MAX, NULL), 0);
	assert_int_equal(word_at(&rig, 0, 0, IOVA), -UI_DMA_TRANSLATION);
	assert_int_equal(map_at(&rig, guest.ioas, guest.mem, GUEST_PAGES * PAGE, IPA), 0);
	assert_int_equal(word_at(&rig, 0, 0, IOVA), DATA_PAGE);
	detach(&rig, 0, 0);
	assert_int_equal(word_at(&rig, 0, 0, IOVA), -UI_DMA_BLOCKED);
}

/* Section 1, 13. */
static void a_nested_hwpt_uses_its_parent_and_is_used_by_devices(void **state)
{
	u32 id = nested(0), pt = id;

	assert_int_equal(destroy(&rig, guest.parent), -EBUSY);
	assert_int_equal(attach(&rig, 0, 0, &pt), 0);
	assert_int_equal(destroy(&rig, id), -EBUSY);
	detach(&rig, 0, 0);
	assert_int_equal(destroy(&rig, id), 0);
	assert_int_equal(destroy(&rig, id), -ENOENT);
	assert_int_equal(destroy(&rig, guest.ioas), -EBUSY);
	assert_int_equal(destroy(&rig, guest.parent), 0);
	assert_int_equal(destroy(&rig, guest.ioas), 0);
}

/* Section 4, attach and replace: the parent's IOAS gets the reserved window; errors leave the old attachment. */
static void replace_goes_between_parent_and_nested(void **state)
{
	u32 a = nested(0), b = nested(0), pt = a, other = ioas_new(&rig), n = 4;
	struct ui_uapi_iova_range list[4];

	assert_int_equal(ui_bound_replace(rig.bound[0], 0, &pt), -EINVAL);
	assert_int_equal(ui_bound_attach(rig.bound[0], 0, &pt), 0);
	assert_int_equal(ui_bound_attach(rig.bound[0], 0, &pt), -EBUSY);
	assert_int_equal(map_at(&rig, guest.ioas, guest.mem, PAGE, 0xfee00000), -EINVAL);
	pt = b;
	assert_int_equal(ui_bound_attach(rig.bound[0], 0, &pt), -EBUSY);
	assert_int_equal(ui_bound_replace(rig.bound[0], 0, &pt), 0);
	assert_int_equal(destroy(&rig, a), 0);
	nest.fail_attach = -ENOMEM;
	pt = guest.parent;
	assert_int_equal(ui_bound_replace(rig.bound[0], 0, &pt), -ENOMEM);
	assert_int_equal(word_at(&rig, 0, 0, IOVA), DATA_PAGE);
	assert_int_equal(ui_bound_replace(rig.bound[0], 0, &pt), 0);
	assert_int_equal(word_at(&rig, 0, 0, IPA + DATA_PAGE * PAGE), DATA_PAGE);
	pt = b;
	assert_int_equal(ui_bound_replace(rig.bound[0], 0, &pt), 0);
	pt = other;
	assert_int_equal(ui_bound_replace(rig.bound[0], 0, &pt), 0);
	assert_int_equal(word_at(&rig, 0, 0, IOVA), -UI_DMA_TRANSLATION);
	assert_int_equal(ranges(&rig, guest.ioas, list, &n, NULL), 0);
	assert_int_equal(n, 1);
	assert_int_equal(destroy(&rig, b), 0);
	ui_bound_detach(rig.bound[0], 0);
	ui_bound_detach(rig.bound[0], 0);
}

/* Section 4, PASID rules; a nested HWPT goes by its own flag, not its parent's. */
static void pasids_follow_their_rules(void **state)
{
	u32 with = nested(UI_UAPI_HWPT_PASID), without = nested(0), ioas = guest.ioas, paging, pt;

	rig_bind(&rig, 2);
	assert_int_equal(hwpt_new(&rig, rig.dev_id[0], guest.ioas, UI_UAPI_HWPT_PASID, &paging), 0);
	/* Without anything on the RID. */
	pt = without;
	assert_int_equal(ui_bound_attach(rig.bound[0], 5, &pt), -EINVAL);
	pt = ioas;
	assert_int_equal(ui_bound_attach(rig.bound[0], 5, &pt), -EINVAL);
	pt = with;
	assert_int_equal(ui_bound_replace(rig.bound[0], 5, &pt), -EINVAL);
	assert_int_equal(ui_bound_attach(rig.bound[0], 1 << 16, &pt), -EINVAL);
	assert_int_equal(ui_bound_attach(rig.bound[0], 5, &pt), 0);
	assert_int_equal(word_at(&rig, 0, 5, IOVA), DATA_PAGE);
	assert_int_equal(word_at(&rig, 0, 6, IOVA), -UI_DMA_BLOCKED);
	/* The RID's must be compatible then. */
	pt = without;
	assert_int_equal(ui_bound_attach(rig.bound[0], 0, &pt), -EINVAL);
	pt = paging;
	assert_int_equal(ui_bound_attach(rig.bound[0], 0, &pt), 0);
	pt = without;
	assert_int_equal(ui_bound_replace(rig.bound[0], 0, &pt), -EINVAL);
	pt = with;
	assert_int_equal(ui_bound_replace(rig.bound[0], 0, &pt), 0);
	pt = paging;
	assert_int_equal(ui_bound_attach(rig.bound[0], 5, &pt), -EBUSY);
	assert_int_equal(ui_bound_replace(rig.bound[0], 5, &pt), 0);
	assert_int_equal(word_at(&rig, 0, 5, IPA + 9 * PAGE), 9);
	/* And the other way round. */
	ui_bound_detach(rig.bound[0], 5);
	pt = without;
	assert_int_equal(ui_bound_replace(rig.bound[0], 0, &pt), 0);
	pt = with;
	assert_int_equal(ui_bound_attach(rig.bound[0], 5, &pt), -EINVAL);
	/* A device without PASIDs takes a compatible HWPT on its RID. */
	assert_int_equal(ui_bound_attach(rig.bound[2], 0, &pt), 0);
	assert_int_equal(word_at(&rig, 2, 0, IOVA), DATA_PAGE);
	/* And on PASIDs, which it never sends. */
	assert_int_equal(ui_bound_attach(rig.bound[2], 5, &pt), 0);
	ui_bound_detach(rig.bound[2], 5);
}

/* Section 4: a PASID's attachment reserves nothing. */
static void pasid_attachments_do_not_reserve(void **state)
{
	u32 pt = nested(UI_UAPI_HWPT_PASID);

	assert_int_equal(ui_bound_attach(rig.bound[0], 5, &pt), 0);
	assert_int_equal(map_at(&rig, guest.ioas, guest.mem, PAGE, 0xfee00000), 0);
	assert_int_equal(ui_bound_attach(rig.bound[0], 0, &pt), -EADDRINUSE);
	assert_int_equal(word_at(&rig, 0, 5, IOVA), DATA_PAGE);
}

/* Section 5: order of checks, and entry_num at each. */
static void invalidate_checks_in_the_kernels_order(void **state)
{
	struct nest_range entries[3] = { { IOVA, IOVA }, { 1, 0 }, { 0, MAX } };
	struct ui_uapi_hwpt_invalidate cmd = {
		.size = sizeof(cmd), .hwpt_id = 99, .data_uptr = ptr(entries), .data_type = 1, .entry_len = sizeof(entries[0]),
		.entry_num = 1, .__reserved = 1
	};
	u32 id = nested(0), n;

	assert_int_equal(call(&rig, UI_UAPI_HWPT_INVALIDATE, &cmd), -EOPNOTSUPP);
	assert_int_equal(cmd.entry_num, 0);
	n = 1;
	assert_int_equal(invalidate(&rig, 99, T_INVALIDATE, NULL, 16, &n), -EINVAL);
	assert_int_equal(n, 0);
	n = 1;
	assert_int_equal(invalidate(&rig, 99, T_INVALIDATE, entries, 0, &n), -EINVAL);
	n = 1;
	assert_int_equal(invalidate(&rig, 99, T_INVALIDATE, entries, PAGE + 1, &n), -EINVAL);
	n = (1 << 19) + 1;
	assert_int_equal(invalidate(&rig, 99, T_INVALIDATE, entries, 16, &n), -EINVAL);
	assert_int_equal(n, 0);
	n = 1;
	assert_int_equal(invalidate(&rig, 99, T_INVALIDATE, entries, 16, &n), -ENOENT);
	n = 1;
	assert_int_equal(invalidate(&rig, guest.parent, T_INVALIDATE, entries, 16, &n), -EINVAL);
	n = 1;
	assert_int_equal(invalidate(&rig, guest.ioas, T_INVALIDATE, entries, 16, &n), -EINVAL);
	/* No entries: is the type known? */
	n = 0;
	assert_int_equal(invalidate(&rig, id, T_INVALIDATE + 1, NULL, 0, &n), -EINVAL);
	assert_int_equal(invalidate(&rig, id, T_INVALIDATE, NULL, 0, &n), 0);
	/* In order, up to the first bad one. */
	n = 3;
	assert_int_equal(invalidate(&rig, id, T_INVALIDATE, entries, 16, &n), -EINVAL);
	assert_int_equal(n, 1);
	entries[1].last = 1;
	n = 3;
	assert_int_equal(invalidate(&rig, id, T_INVALIDATE, entries, 16, &n), 0);
	assert_int_equal(n, 3);
}

/* Section 5: the number is written back whatever happens, and its failure is EFAULT. */
static void a_reply_that_cannot_be_written_is_efault(void **state)
{
	struct ui_uapi_hwpt_invalidate *cmd = (void *)pages_new(PAGE);

	*cmd = (struct ui_uapi_hwpt_invalidate){ .size = sizeof(*cmd), .hwpt_id = 99, .entry_num = 0 };
	assert_int_equal(mprotect(cmd, PAGE, PROT_READ), 0);
	assert_int_equal(call(&rig, UI_UAPI_HWPT_INVALIDATE, cmd), -EFAULT);
	munmap(cmd, PAGE);
}

/* A stage-1 entry that changed counts after its invalidation, at the latest. */
static void invalidate_reaches_the_tlb(void **state)
{
	struct nest_range entry = { IOVA, IOVA + PAGE - 1 };
	u32 id = nested(0), pt = id, n = 1;

	assert_int_equal(attach(&rig, 0, 0, &pt), 0);
	assert_int_equal(word_at(&rig, 0, 0, IOVA), DATA_PAGE);
	guest_leaf(&guest, IOVA, DATA_PAGE + 1);
	assert_int_equal(invalidate(&rig, id, T_INVALIDATE, &entry, sizeof(entry), &n), 0);
	assert_int_equal(word_at(&rig, 0, 0, IOVA), DATA_PAGE + 1);
}

/* Section 4, IOMMU_GET_HW_INFO. */
static void hw_info_tells_kind_and_device(void **state)
{
	u64 data[2] = { 0 };
	struct ui_uapi_hw_info cmd = {
		.size = sizeof(cmd), .flags = UI_UAPI_HW_INFO_INPUT_TYPE, .dev_id = rig.dev_id[0], .data_len = sizeof(data),
		.data_uptr = ptr(data), .out_data_type = 1
	};

	rig_bind(&rig, 2);
	assert_int_equal(call(&rig, UI_UAPI_GET_HW_INFO, &cmd), -EOPNOTSUPP);
	cmd.out_data_type = T_HW_INFO;
	data[1] = 5;
	assert_int_equal(call(&rig, UI_UAPI_GET_HW_INFO, &cmd), 0);
	assert_int_equal(data[0], 0x123456789abcdef0);
	assert_int_equal(data[1], 0);
	assert_int_equal(cmd.data_len, 8);
	assert_int_equal(cmd.out_data_type, T_HW_INFO);
	assert_int_equal(cmd.out_max_pasid_log2, 16);
	assert_int_equal(cmd.out_capabilities, UI_UAPI_HW_CAP_DIRTY_TRACKING | UI_UAPI_HW_CAP_PASID_EXEC | UI_UAPI_HW_CAP_PASID_PRIV);
	/* Without the flag any type is the default; a device without PASIDs has none of their rights. */
	cmd.flags = 0;
	cmd.out_data_type = 1;
	cmd.dev_id = rig.dev_id[2];
	cmd.data_len = 4;
	data[0] = 0;
	assert_int_equal(call(&rig, UI_UAPI_GET_HW_INFO, &cmd), 0);
	assert_int_equal(data[0], 0x9abcdef0);
	assert_int_equal(cmd.data_len, 8);
	assert_int_equal(cmd.out_data_type, T_HW_INFO);
	assert_int_equal(cmd.out_max_pasid_log2, 0);
	assert_int_equal(cmd.out_capabilities, UI_UAPI_HW_CAP_DIRTY_TRACKING);
	cmd.flags = 2;
	assert_int_equal(call(&rig, UI_UAPI_GET_HW_INFO, &cmd), -EOPNOTSUPP);
	cmd.flags = 0;
	cmd.__reserved[2] = 1;
	assert_int_equal(call(&rig, UI_UAPI_GET_HW_INFO, &cmd), -EOPNOTSUPP);
	cmd.__reserved[2] = 0;
	cmd.data_uptr = 0;
	assert_int_equal(call(&rig, UI_UAPI_GET_HW_INFO, &cmd), -EFAULT);
	cmd.data_len = 0;
	assert_int_equal(call(&rig, UI_UAPI_GET_HW_INFO, &cmd), 0);
}

/* Devices 0 and 1 are one group: a nested HWPT is attached by the first and left by the last. */
static void the_group_is_the_unit(void **state)
{
	u32 a = nested(0), b = nested(0), pt = a;

	rig_bind(&rig, 1);
	assert_int_equal(attach(&rig, 0, 0, &pt), 0);
	pt = b;
	assert_int_equal(ui_bound_attach(rig.bound[1], 0, &pt), -EINVAL);
	pt = a;
	assert_int_equal(ui_bound_attach(rig.bound[1], 0, &pt), 0);
	pt = b;
	assert_int_equal(ui_bound_replace(rig.bound[1], 0, &pt), 0);
	assert_int_equal(destroy(&rig, a), 0);
	rig_unbind(&rig, 0);
	assert_int_equal(word_at(&rig, 1, 0, IOVA), DATA_PAGE);
	assert_int_equal(destroy(&rig, b), -EBUSY);
	ui_bound_detach(rig.bound[1], 0);
	assert_int_equal(destroy(&rig, b), 0);
}

/* Section 1, 14: at the end everything goes, users before what they use. */
static void the_context_ends_leaves_first(void **state)
{
	u32 pt = nested(UI_UAPI_HWPT_PASID);

	nested(0);
	assert_int_equal(attach(&rig, 0, 3, &pt), 0);
	ui_iommufd_close(rig.ctx);
	rig.ctx = NULL;
	assert_int_equal(word_at(&rig, 0, 3, IOVA), DATA_PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(alloc_checks_in_the_kernels_order),
		T(a_parent_of_another_iommu_is_refused),
		T(dma_is_walked_through_both_stages),
		T(a_nested_hwpt_uses_its_parent_and_is_used_by_devices),
		T(replace_goes_between_parent_and_nested),
		T(pasids_follow_their_rules),
		T(pasid_attachments_do_not_reserve),
		T(invalidate_checks_in_the_kernels_order),
		T(a_reply_that_cannot_be_written_is_efault),
		T(invalidate_reaches_the_tlb),
		T(hw_info_tells_kind_and_device),
		T(the_group_is_the_unit),
		T(the_context_ends_leaves_first),
	};

	ui_log_set(UI_LOG_NONE, NULL, NULL);
	return cmocka_run_group_tests_name("iommufd_nested", tests, NULL, NULL);
}
