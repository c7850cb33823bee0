/* SPDX-License-Identifier: MIT */
/*
 * Every allocation of a scenario fails in turn. At each, the call that hits it fails with ENOMEM, or does not need it; nothing leaks
 * (rig_close() counts), nothing is half done: the scenario's later steps and its end see the state from before the call.
 */
#include "common.h"

#include <unistd.h>

static struct rig rig;
static u8 *mem;
static u64 nth;

enum { MEM_PAGES = 16 };

/* Runs one call with the failure armed; true when it failed, for lack of memory. Then it is done again, without. */
#define STEP(expr)                                                                                                        \
	do {                                                                                                              \
		long ret_;                                                                                                \
		ui_inject_arm(nth);                                                                                       \
		ret_ = (expr);                                                                                            \
		nth = ui_inject_left();                                                                                   \
		ui_inject_arm(0);                                                                                         \
		if (ret_ == -ENOMEM)                                                                                      \
			ret_ = (expr);                                                                                    \
		assert_int_equal(ret_, 0);                                                                                \
	} while (0)

static long try_ioas(u32 *id)
{
	struct ui_uapi_ioas_alloc cmd = { .size = sizeof(cmd) };
	long ret = call(&rig, UI_UAPI_IOAS_ALLOC, &cmd);

	*id = cmd.out_ioas_id;
	return ret;
}

static long try_bind(unsigned i)
{
	return rig.binder.ops->bind(rig.binder.ctx, rig.dev[i], &rig.dev_id[i], &rig.bound[i]);
}

static long try_attach(unsigned i, u32 pasid, u32 pt)
{
	return attach(&rig, i, pasid, &pt);
}

static long try_map_file(u32 ioas, int fd, u64 iova)
{
	return map_file(&rig, ioas, RW | FIXED, fd, 0, 2 * PAGE, &iova);
}

static long try_copy(u32 dst, u32 src, u64 from, u64 length, u64 to)
{
	return copy(&rig, dst, src, RW | FIXED, from, length, &to);
}

static long try_ranges(u32 ioas)
{
	struct ui_uapi_iova_range list[4];
	u32 n = 4;

	return ranges(&rig, ioas, list, &n, NULL);
}

static void expect_words(unsigned i, u32 pasid, u64 iova, u64 page, unsigned n)
{
	for (unsigned k = 0; k < n; k++) {
		u64 word = MAX;

		assert_int_equal(dma_read(&rig, i, pasid, iova + k * PAGE, &word, 8), UI_DMA_OK);
		assert_int_equal(word, page + k);
	}
}

static void scenario(void)
{
	static const struct ui_uapi_iova_range list[] = { { 0x1000, 0x8ffff }, { 0x100000, 0x1fffff } };
	int fd = memfd_create("test", MFD_CLOEXEC);
	u32 a, b, hwpt, second;

	assert_int_equal(ftruncate(fd, 2 * PAGE), 0);
	STEP(try_ioas(&a));
	STEP(try_ioas(&b));
	STEP(try_bind(0));
	STEP(map_at(&rig, a, mem, 4 * PAGE, 0x10000));
	STEP(map_at(&rig, a, mem + 4 * PAGE, 4 * PAGE, 0x14000));
	STEP(hwpt_new(&rig, rig.dev_id[0], a, UI_UAPI_HWPT_PASID, &hwpt));
	STEP(try_attach(0, 0, hwpt));
	STEP(try_attach(0, 3, hwpt));
	expect_words(0, 3, 0x10000, 0, 8);
	STEP(map_at(&rig, a, mem + 8 * PAGE, 2 * PAGE, 0x40000000));
	STEP(try_map_file(a, fd, 0x60000));
	STEP(try_copy(b, a, 0x11000, 6 * PAGE, 0x20000));
	STEP(try_copy(a, b, 0x21000, 4 * PAGE, 0x30000));
	expect_words(0, 0, 0x30000, 2, 4);
	STEP(allow(&rig, a, list, 2));
	STEP(try_ranges(a));
	STEP(hwpt_new(&rig, rig.dev_id[0], b, UI_UAPI_HWPT_PASID, &second));
	STEP(try_attach(0, 3, second));
	expect_words(0, 3, 0x20000, 1, 6);
	expect_words(0, 0, 0x40000000, 8, 2);
	STEP(unmap(&rig, a, 0x10000, 8 * PAGE, NULL));
	expect_words(0, 0, 0x30000, 2, 4);
	STEP(try_bind(2));
	STEP(try_attach(2, 0, a));
	STEP(try_attach(2, 0, b));
	expect_words(2, 0, 0x20000, 1, 6);
	assert_int_equal(destroy(&rig, second), -EBUSY);
	detach(&rig, 0, 3);
	assert_int_equal(destroy(&rig, second), 0);
	close(fd);
}

static void setup_mem(void)
{
	rig_open(&rig, NULL, 0);
	mem = pages_new(MEM_PAGES * PAGE);
	for (u64 i = 0; i < MEM_PAGES; i++)
		memcpy(mem + i * PAGE, &i, 8);
}

static void every_failed_allocation_is_undone(void **state)
{
	bool fired = true;
	u64 n;

	for (n = 1; fired; n++) {
		setup_mem();
		nth = n;
		scenario();
		fired = !nth;
		munmap(mem, MEM_PAGES * PAGE);
		rig_close(&rig);
	}
	print_message("%llu points\n", (unsigned long long)n - 2);
	assert_true(n > 50);
}

/* The type1 calls: splitting is all or nothing. */
static long try_cut(u64 iova, u64 size)
{
	struct ui_uapi_vfio_unmap cmd = { .argsz = sizeof(cmd), .iova = iova, .size = size };
	long ret = call(&rig, UI_UAPI_VFIO_IOMMU_UNMAP_DMA, &cmd);

	return ret;
}

static void every_failed_split_is_undone(void **state)
{
	struct ui_uapi_vfio_ioas set = { .size = sizeof(set), .op = UI_UAPI_VFIO_IOAS_SET };
	bool fired = true;
	u64 n;

	for (n = 1; fired; n++) {
		setup_mem();
		rig_bind(&rig, 0);
		set.ioas_id = ioas_new(&rig);
		assert_int_equal(call(&rig, UI_UAPI_VFIO_IOAS, &set), 0);
		assert_int_equal(ui_iommufd_ioctl(rig.ctx, UI_UAPI_VFIO_SET_IOMMU, UI_UAPI_VFIO_TYPE1), 0);
		nth = n;
		STEP(try_attach(0, 0, set.ioas_id));
		STEP(map_at(&rig, set.ioas_id, mem, 8 * PAGE, 0));
		STEP(try_cut(2 * PAGE, 2 * PAGE));
		expect_words(0, 0, 0, 0, 2);
		expect_words(0, 0, 4 * PAGE, 4, 4);
		STEP(try_cut(5 * PAGE, PAGE));
		expect_words(0, 0, 4 * PAGE, 4, 1);
		expect_words(0, 0, 6 * PAGE, 6, 2);
		fired = !nth;
		munmap(mem, MEM_PAGES * PAGE);
		rig_close(&rig);
	}
	assert_true(n > 10);
}

static int nothing(void **state)
{
	return 0;
}

#define setup nothing
#define teardown nothing

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_failed_allocation_is_undone),
		T(every_failed_split_is_undone),
	};

	ui_log_set(UI_LOG_ERROR, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
