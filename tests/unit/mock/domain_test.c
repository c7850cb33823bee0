/* SPDX-License-Identifier: MIT */
/* Mock domains: page sizes of the two kinds of table, dirty marks, nested domains. iommufd-semantics.md sections 3, 4, 5 and 11. */
#include "common.h"

#include "mock/priv.h"

enum { DATA_TYPE = 0xdead };

static u32 ioas;
static struct mock_dev dev;

static int setup_dev(void **state)
{
	setup(state);
	ioas = ioas_new(&rig);
	assert_int_equal(mock_domain(ioas, 0, &dev), 0);
	return 0;
}

#undef T
#define T(name) { #name, run_body, setup_dev, teardown, &(struct body){ name } }

static u32 table_new(u32 type, u32 flags)
{
	const struct hwpt_data data = { .type = type };
	u32 id;

	assert_int_equal(hwpt_data_new(dev.dev, ioas, flags, DATA_TYPE, &data, sizeof(data), &id), 0);
	return id;
}

/* 11, MD_CHECK_MAP; promise 1: what is compared is where the table leads. */
static void check_map_follows_the_table(void **state)
{
	u32 other = ioas_new(&rig), hwpt, nested;
	u8 *gone = pages_new(2 * PAGE);

	assert_int_equal(map_at(&rig, ioas, mem + 2048, 5 * 2048, IOVA + 2048), 0);
	assert_int_equal(check_map(dev.hwpt, IOVA + 2048, 5 * 2048, mem + 2048), 0);
	assert_int_equal(check_map(dev.hwpt, IOVA + 4096, 2048, mem + 4096), 0);
	assert_int_equal(check_map(dev.hwpt, IOVA + 4096, 2048, mem + 2048), -EINVAL);
	assert_int_equal(check_map(dev.hwpt, IOVA, 4096, mem), -EINVAL);
	assert_int_equal(check_map(dev.hwpt, IOVA + 2048, 6 * 2048, mem + 2048), -EINVAL);
	/* Multiples of its smallest page. */
	assert_int_equal(check_map(dev.hwpt, IOVA + 1024, 2048, mem + 1024), -EINVAL);
	assert_int_equal(check_map(dev.hwpt, IOVA + 2048, 1024, mem + 2048), -EINVAL);
	assert_int_equal(check_map(dev.hwpt, IOVA + 2048, 2048, mem + 1), -EINVAL);
	assert_int_equal(check_map(dev.hwpt, IOVA + 2048, -(u64)2048, mem + 2048), -EINVAL);
	assert_int_equal(check_map(dev.hwpt, IOVA + 2048, 0, mem), 0);
	/* Only paging HWPTs have a table. */
	assert_int_equal(check_map(ioas, IOVA, 2048, mem), -ENOENT);
	assert_int_equal(check_map(dev.dev, IOVA, 2048, mem), -ENOENT);
	assert_int_equal(hwpt_new(&rig, dev.dev, other, UI_UAPI_HWPT_NEST_PARENT, &hwpt), 0);
	assert_int_equal(nested_new(dev.dev, hwpt, 0, &nested), 0);
	assert_int_equal(check_map(nested, IOVA, 2048, mem), -ENOENT);
	assert_int_equal(check_map(hwpt, IOVA + 2048, 2048, mem + 2048), -EINVAL);
	/* The caller's page is not there. */
	munmap(gone, 2 * PAGE);
	assert_int_equal(check_map(dev.hwpt, IOVA + 2048, 2048, gone), -EFAULT);
	assert_int_equal(unmap(&rig, ioas, 0, MAX, NULL), 0);
	assert_int_equal(check_map(dev.hwpt, IOVA + 4096, 2048, mem + 4096), -EINVAL);
}

/* 11: the driver's data of a paging domain */
static void paging_data_is_checked(void **state)
{
	const struct hwpt_data data[2] = { { .type = 0 }, { .type = 2 } };
	u32 id;

	assert_int_equal(hwpt_data_new(dev.dev, ioas, 0, 1, data, 8, &id), -EOPNOTSUPP);
	assert_int_equal(hwpt_data_new(dev.dev, ioas, 0, DATA_TYPE, data, 3, &id), -EINVAL);
	assert_int_equal(hwpt_data_new(dev.dev, ioas, 0, DATA_TYPE, data, 9, &id), -EINVAL);
	assert_int_equal(hwpt_data_new(dev.dev, ioas, 0, DATA_TYPE, NULL, 8, &id), -EFAULT);
	assert_int_equal(hwpt_data_new(dev.dev, ioas, 0, DATA_TYPE, &data[1], 8, &id), -EOPNOTSUPP);
	assert_int_equal(hwpt_data_new(dev.dev, ioas, 0, DATA_TYPE, data, 4, &id), 0);
	assert_int_equal(destroy(&rig, id), 0);
	assert_int_equal(hwpt_data_new(dev.dev, ioas, 1u << 31, 0, NULL, 0, &id), -EOPNOTSUPP);
}

/* 11: the aperture of type 0, and that type 1 has none of its own */
static void apertures(void **state)
{
	struct ui_uapi_iova_range list[3];
	u32 other = ioas_new(&rig), hwpt, n = 3;
	const struct hwpt_data huge = { .type = 1 };
	u64 alignment;

	assert_int_equal(ranges(&rig, ioas, list, &n, &alignment), 0);
	assert_int_equal(n, 1);
	assert_int_equal(list[0].start, 0x1000000);
	assert_int_equal(list[0].last, 0x7fffffff);
	assert_int_equal(alignment, 2048);
	assert_int_equal(hwpt_data_new(dev.dev, other, 0, DATA_TYPE, &huge, 8, &hwpt), 0);
	n = 3;
	assert_int_equal(ranges(&rig, other, list, &n, &alignment), 0);
	assert_int_equal(n, 1);
	assert_int_equal(list[0].start, 0);
	assert_true(list[0].last >= MAX / 2);
	assert_int_equal(alignment, 4096);
	/* The last page there is. */
	assert_int_equal(map_at(&rig, other, mem, PAGE, list[0].last - (PAGE - 1)), 0);
	assert_int_equal(check_map(hwpt, list[0].last - (PAGE - 1), PAGE, mem), 0);
	assert_int_equal(unmap(&rig, other, list[0].last - (PAGE - 1), PAGE, NULL), 0);
}

static long set_tracking(u32 hwpt, bool on)
{
	struct ui_uapi_hwpt_set_dirty_tracking cmd = { .size = sizeof(cmd), .flags = on, .hwpt_id = hwpt };

	return call(&rig, UI_UAPI_HWPT_SET_DIRTY_TRACKING, &cmd);
}

/* Bits of the range, read and cleared: from the lowest set bit *@first on, the number of set bits. */
static unsigned read_dirty(u32 hwpt, u64 iova, u64 length, u64 page, unsigned *first)
{
	u64 bitmap[1024] = { 0 };
	struct ui_uapi_hwpt_get_dirty_bitmap cmd = {
		.size = sizeof(cmd), .hwpt_id = hwpt, .iova = iova, .length = length, .page_size = page, .data = (u64)(uintptr_t)bitmap,
	};
	unsigned n = 0;

	assert_true(length / page <= 65536);
	assert_int_equal(call(&rig, UI_UAPI_HWPT_GET_DIRTY_BITMAP, &cmd), 0);
	for (unsigned i = 65536; i-- > 0;) {
		if (!(bitmap[i / 64] >> i % 64 & 1))
			continue;
		n++;
		*first = i;
	}
	return n;
}

/* Marks the pages at @iova whose bits are set. */
static long mark(u32 hwpt, u64 iova, u64 length, u64 page, const void *bits, u64 *n)
{
	struct test_cmd cmd = { .op = DIRTY, .id = hwpt, .u = { 0, iova, length, page, (u64)(uintptr_t)bits } };
	long ret = test_call(&cmd);

	*n = cmd.u[5];
	return ret;
}

/* 11, DIRTY */
static void marking_is_checked(void **state)
{
	u32 hwpt = table_new(0, UI_UAPI_HWPT_DIRTY_TRACKING);
	u8 bits[8] = { 0xff, 0x01 };
	u64 n;

	assert_int_equal(map_at(&rig, ioas, mem, 8 * PAGE, IOVA), 0);
	assert_int_equal(mark(hwpt, IOVA, 8 * PAGE, 2048, bits, &n), -EINVAL); /* tracking is off */
	assert_int_equal(set_tracking(hwpt, true), 0);
	assert_int_equal(mark(hwpt, IOVA, 8 * PAGE, 0, bits, &n), -EINVAL);
	assert_int_equal(mark(hwpt, IOVA, 0, 2048, bits, &n), -EINVAL);
	assert_int_equal(mark(hwpt, IOVA + 1, 8 * PAGE, 2048, bits, &n), -EINVAL);
	assert_int_equal(mark(hwpt, IOVA, 8 * PAGE + 1, 2048, bits, &n), -EINVAL);
	assert_int_equal(mark(hwpt, IOVA, 8 * PAGE, 2048, NULL, &n), -EINVAL);
	assert_int_equal(mark(hwpt, IOVA, 8 * PAGE, 2048, (void *)1, &n), -EFAULT);
	assert_int_equal(mark(hwpt, IOVA, (UI_BIT(27) + 1) * 2048, 2048, bits, &n), -EOVERFLOW);
	assert_int_equal(mark(99, IOVA, 8 * PAGE, 2048, bits, &n), -ENOENT);
	assert_int_equal(mark(ioas, IOVA, 8 * PAGE, 2048, bits, &n), -ENOENT);
	assert_int_equal(mark(dev.hwpt, IOVA, 8 * PAGE, 2048, bits, &n), -EINVAL); /* no tracking at all */
	assert_int_equal(mark(hwpt, IOVA, 8 * PAGE, 2048, bits, &n), 0);
	assert_int_equal(n, 9);
	/* Bits beyond the length do not count, nor do holes become dirty. */
	assert_int_equal(mark(hwpt, IOVA, 4 * 2048, 2048, bits, &n), 0);
	assert_int_equal(n, 4);
	assert_int_equal(mark(hwpt, IOVA + 8 * PAGE, 4 * 2048, 2048, bits, &n), 0);
	assert_int_equal(n, 4);
}

/* 12.7: without huge pages the mark of one half of a page shows on both. */
static void dirty_marks_are_of_whole_entries(void **state)
{
	u32 hwpt;
	u8 bit = 1;
	u64 n;
	unsigned first;

	assert_int_equal(huge_pages(&rig, ioas, 0), 0);
	assert_int_equal(map_at(&rig, ioas, mem, 8 * PAGE, IOVA), 0);
	hwpt = table_new(0, UI_UAPI_HWPT_DIRTY_TRACKING);
	assert_int_equal(set_tracking(hwpt, true), 0);
	assert_int_equal(mark(hwpt, IOVA + PAGE + 2048, 2048, 2048, &bit, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(read_dirty(hwpt, IOVA, 8 * PAGE, 2048, &first), 2);
	assert_int_equal(first, 2);
	assert_int_equal(read_dirty(hwpt, IOVA, 8 * PAGE, 2048, &first), 0);
}

/* 4, PTE size: the largest that fits, every power of two in type 0, 4 KiB and 1 MiB in type 1 */
static void entries_are_as_large_as_the_table_allows(void **state)
{
	const u64 n_bytes = 4 << 20;
	u8 *big = pages_new(2 * n_bytes), *at = (u8 *)ui_align_up((uintptr_t)big, n_bytes), bit = 1;
	static const struct {
		u32 type;
		u64 offset, length, at, entry; /* in the mapping: where it begins, how long it is, a byte of it, the entry there */
	} cases[] = {
		{ 0, 0, 4 << 20, 0, 4 << 20 },
		{ 0, 0, 2 << 20, 1 << 20, 2 << 20 },
		{ 0, 0, 0x3800, 0x2000, 0x1000 },
		{ 0, 0, 0x3800, 0x3000, 0x800 },
		{ 0, 0x800, 0x7800, 0x800, 0x800 },
		{ 0, 0x800, 0x7800, 0x1000, 0x1000 },
		{ 0, 0x800, 0x7800, 0x4000, 0x4000 },
		{ 1, 0, 4 << 20, 0, 1 << 20 },
		{ 1, 0, (1 << 20) + 0x2000, 0x100000, 0x1000 },
		{ 1, 0x1000, 0xff000, 0x1000, 0x1000 },
	};
	unsigned first;
	u64 n;

	for (unsigned i = 0; i < ui_array_size(cases); i++) {
		u32 hwpt = table_new(cases[i].type, UI_UAPI_HWPT_DIRTY_TRACKING);
		u64 iova = UI_BIT(26) + cases[i].offset, where = UI_BIT(26) + cases[i].at, page = cases[i].type ? 4096 : 2048;

		assert_int_equal(map_at(&rig, ioas, at + cases[i].offset, cases[i].length, iova), 0);
		assert_int_equal(set_tracking(hwpt, true), 0);
		assert_int_equal(mark(hwpt, where, page, page, &bit, &n), 0);
		assert_int_equal(read_dirty(hwpt, iova, cases[i].length, page, &first), cases[i].entry / page);
		assert_int_equal(first, (ui_align_down(where, cases[i].entry) - iova) / page);
		assert_int_equal(unmap(&rig, ioas, iova, cases[i].length, NULL), 0);
		assert_int_equal(destroy(&rig, hwpt), 0);
	}
	munmap(big, 2 * n_bytes);
}

/* A port of the device behind @stdev. */
static struct ui_dma *port_of(u32 stdev)
{
	struct ui_obj *obj = ui_obj_get(rig.ctx, stdev, UI_OBJ_SELFTEST);
	struct ui_dma *port = ui_device_port_open(ui_container_of(obj, struct ui_mock_dev, obj)->dev);

	assert_non_null(port);
	ui_obj_put(rig.ctx, obj);
	return port;
}

static enum ui_dma_status dma(struct ui_dma *port, u64 iova, u8 *buf, u64 n_bytes, bool write)
{
	struct ui_dma_addr at = { .iova = iova };

	return write ? ui_dma_write(port, &at, buf, n_bytes, NULL, NULL) : ui_dma_read(port, &at, buf, n_bytes, NULL, NULL);
}

/* Promises 1 and 7: devices reach what the table says, in halves of pages, by a nested domain too, and nothing after an unmap. */
static void devices_reach_what_is_mapped(void **state)
{
	struct ui_dma *port = port_of(dev.stdev);
	u32 parent, nested;
	u8 buf[6 * 1024];

	memset(mem, 1, 4 * PAGE);
	memset(mem + PAGE + 2048, 7, 2048);
	/* The halves of a page lie apart, and change places. */
	assert_int_equal(map_at(&rig, ioas, mem + PAGE + 2048, 2048, IOVA), 0);
	assert_int_equal(map_at(&rig, ioas, mem + PAGE, 2048, IOVA + 2048), 0);
	assert_int_equal(map_at(&rig, ioas, mem + 3 * PAGE, PAGE, IOVA + PAGE), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(dma(port, IOVA, buf, sizeof(buf), false), UI_DMA_OK);
		assert_int_equal(buf[0], 7);
		assert_int_equal(buf[2047], 7);
		assert_int_equal(buf[2048], 1);
	}
	memset(buf, 9, sizeof(buf));
	assert_int_equal(dma(port, IOVA + 1024, buf, 2048, true), UI_DMA_OK);
	assert_int_equal(mem[PAGE + 2048 + 1023], 7);
	assert_int_equal(mem[PAGE + 2048 + 1024], 9);
	assert_int_equal(mem[PAGE + 1023], 9);
	assert_int_equal(mem[PAGE + 1024], 1);
	assert_int_equal(hwpt_new(&rig, dev.dev, ioas, UI_UAPI_HWPT_NEST_PARENT, &parent), 0);
	assert_int_equal(nested_new(dev.dev, parent, 0, &nested), 0);
	assert_int_equal(test_w(MOCK_DOMAIN_REPLACE, dev.stdev, nested, 0), 0);
	assert_int_equal(dma(port, IOVA + 2048 + 1023, buf, 2, false), UI_DMA_OK);
	assert_int_equal(buf[0], 9);
	assert_int_equal(buf[1], 1);
	assert_int_equal(unmap(&rig, ioas, IOVA + 2048, 2048, NULL), 0);
	assert_int_equal(dma(port, IOVA + 2047, buf, 1, false), UI_DMA_OK);
	assert_int_not_equal(dma(port, IOVA + 2048, buf, 1, false), UI_DMA_OK);
	assert_int_equal(dma(port, IOVA + PAGE, buf, 1, false), UI_DMA_OK);
	ui_dma_close(port);
}

/* A device's own writes leave the marks that a test would set by hand. */
static void writes_of_a_device_are_dirty(void **state)
{
	u32 hwpt = table_new(1, UI_UAPI_HWPT_DIRTY_TRACKING);
	struct ui_dma *port = port_of(dev.stdev);
	unsigned first;
	u8 byte = 5;

	assert_int_equal(map_at(&rig, ioas, mem, 8 * PAGE, IOVA), 0);
	assert_int_equal(test_w(MOCK_DOMAIN_REPLACE, dev.stdev, hwpt, 0), 0);
	assert_int_equal(set_tracking(hwpt, true), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(dma(port, IOVA + 3 * PAGE + 9, &byte, 1, false), UI_DMA_OK);
		assert_int_equal(read_dirty(hwpt, IOVA, 8 * PAGE, PAGE, &first), 0);
		assert_int_equal(dma(port, IOVA + 3 * PAGE + 9, &byte, 1, true), UI_DMA_OK);
		assert_int_equal(read_dirty(hwpt, IOVA, 8 * PAGE, PAGE, &first), 1);
		assert_int_equal(first, 3);
	}
	ui_dma_close(port);
}

static long check_iotlb(u32 hwpt, u32 index, u32 word)
{
	return test_w(MD_CHECK_IOTLB, hwpt, index, word);
}

/* 11: nested domains, MD_CHECK_IOTLB */
static void nested_domains_have_words(void **state)
{
	const struct hwpt_data data = { .iotlb = 0x0badbeef };
	u32 parent, nested;

	assert_int_equal(hwpt_new(&rig, dev.dev, ioas, UI_UAPI_HWPT_NEST_PARENT, &parent), 0);
	assert_int_equal(hwpt_data_new(dev.dev, parent, 0, 1, &data, 8, &nested), -EOPNOTSUPP);
	assert_int_equal(hwpt_data_new(dev.dev, parent, 0, DATA_TYPE, &data, 3, &nested), -EINVAL);
	assert_int_equal(hwpt_data_new(dev.dev, parent, 0, DATA_TYPE, &data, 9, &nested), -EINVAL);
	assert_int_equal(hwpt_data_new(dev.dev, parent, 0, DATA_TYPE, NULL, 8, &nested), -EFAULT);
	assert_int_equal(hwpt_data_new(dev.dev, parent, UI_UAPI_HWPT_DIRTY_TRACKING, DATA_TYPE, &data, 8, &nested), -EOPNOTSUPP);
	assert_int_equal(hwpt_data_new(dev.dev, parent, UI_UAPI_HWPT_PASID, DATA_TYPE, &data, 4, &nested), 0);
	for (u32 i = 0; i < 4; i++)
		assert_int_equal(check_iotlb(nested, i, 0x0badbeef), 0);
	assert_int_equal(check_iotlb(nested, 4, 0x0badbeef), -EINVAL);
	assert_int_equal(check_iotlb(nested, 0, 0), -EINVAL);
	assert_int_equal(check_iotlb(parent, 0, 0x0badbeef), -ENOENT);
	assert_int_equal(check_iotlb(99, 0, 0x0badbeef), -ENOENT);
	/* Without a vIOMMU any device may have it. */
	assert_int_equal(test_w(MOCK_DOMAIN_REPLACE, dev.stdev, nested, 0), 0);
	assert_int_equal(destroy(&rig, nested), -EBUSY);
}

/* 11, 5: HWPT invalidation of the mock */
static void invalidation_clears_words(void **state)
{
	u32 entries[4][2] = { { 0, 1 }, { 0, 3 }, { 2, 0 }, { 0, 0 } }, parent, nested, n;

	assert_int_equal(hwpt_new(&rig, dev.dev, ioas, UI_UAPI_HWPT_NEST_PARENT, &parent), 0);
	assert_int_equal(nested_new(dev.dev, parent, 0, &nested), 0);
	n = 0;
	assert_int_equal(invalidate(nested, 0xdeadbeef, NULL, 0, &n), 0);
	assert_int_equal(invalidate(nested, 0x0dadbeef, NULL, 0, &n), -EINVAL);
	n = 1;
	assert_int_equal(invalidate(nested, 0x0dadbeef, entries, 8, &n), -EINVAL);
	assert_int_equal(n, 0);
	for (u32 len = 7; len <= 9; len += 2) {
		n = 1;
		assert_int_equal(invalidate(nested, 0xdeadbeef, entries, len, &n), -EINVAL);
		assert_int_equal(n, 0);
	}
	/* In order, up to the first that is wrong. */
	n = 4;
	assert_int_equal(invalidate(nested, 0xdeadbeef, entries, 8, &n), -EOPNOTSUPP);
	assert_int_equal(n, 2);
	assert_int_equal(check_iotlb(nested, 0, 0x1234), 0);
	assert_int_equal(check_iotlb(nested, 1, 0), 0);
	assert_int_equal(check_iotlb(nested, 2, 0x1234), 0);
	assert_int_equal(check_iotlb(nested, 3, 0), 0);
	/* The index counts even for all. */
	entries[0][0] = 1;
	entries[0][1] = 4;
	n = 1;
	assert_int_equal(invalidate(nested, 0xdeadbeef, entries, 8, &n), -EINVAL);
	assert_int_equal(check_iotlb(nested, 0, 0x1234), 0);
	entries[0][1] = 3;
	n = 1;
	assert_int_equal(invalidate(nested, 0xdeadbeef, entries, 8, &n), 0);
	assert_int_equal(n, 1);
	for (u32 i = 0; i < 4; i++)
		assert_int_equal(check_iotlb(nested, i, 0), 0);
}

/* Each allocation fails in turn. */
static void failed_creations_leave_nothing_behind(void **state)
{
	const struct hwpt_data data = { .type = 1 };
	u32 parent, nested, id;

	assert_int_equal(map_at(&rig, ioas, mem, 8 * PAGE, IOVA), 0);
	for (u64 n = 1;; n++) {
		u64 live = ui_alloc_live();
		long ret;

		ui_inject_arm(n);
		ret = hwpt_data_new(dev.dev, ioas, UI_UAPI_HWPT_NEST_PARENT, DATA_TYPE, &data, 8, &parent);
		if (ui_inject_left()) {
			assert_int_equal(ret, 0);
			break;
		}
		assert_int_equal(ret, -ENOMEM);
		assert_int_equal(ui_alloc_live(), live);
	}
	for (u64 n = 1;; n++) {
		u64 live = ui_alloc_live();
		long ret;

		ui_inject_arm(n);
		ret = nested_new(dev.dev, parent, 0, &nested);
		if (ui_inject_left()) {
			assert_int_equal(ret, 0);
			break;
		}
		assert_int_equal(ret, -ENOMEM);
		assert_int_equal(ui_alloc_live(), live);
	}
	ui_inject_arm(0);
	assert_int_equal(hwpt_new(&rig, dev.dev, ioas, 0, &id), 0);
	assert_int_equal(id, nested + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(check_map_follows_the_table),
		T(paging_data_is_checked),
		T(apertures),
		T(marking_is_checked),
		T(dirty_marks_are_of_whole_entries),
		T(entries_are_as_large_as_the_table_allows),
		T(devices_reach_what_is_mapped),
		T(writes_of_a_device_are_dirty),
		T(nested_domains_have_words),
		T(invalidation_clears_words),
		T(failed_creations_leave_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
