/* SPDX-License-Identifier: MIT */
/*
 * The calls of /dev/iommu through the library, as ratios inside one run (see bench.c). The same through the shim: ioctl.c.
 */
#include "measure.h"

#include "base/bits.h"
#include "base/log.h"
#include "base/safe.h"
#include "core/domain.h"
#include "core/driver.h"
#include "iommufd/iommufd.h"
#include "iommufd/uapi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 9
#define OPS 20000
#define IOVA ((u64)1 << 32)
#define PAGE UI_PAGE_BYTES

enum { RW = UI_UAPI_MAP_READABLE | UI_UAPI_MAP_WRITEABLE, FIXED = UI_UAPI_MAP_FIXED_IOVA };

static struct ui_iommufd *ctx;
static struct ui_binder binder;
static struct ui_device *dev;
static struct ui_dma *port;
static struct ui_bound *bound;
static u32 dev_id;

static long call(u32 cmd, void *arg)
{
	return ui_iommufd_ioctl(ctx, cmd, (u64)(uintptr_t)arg);
}

static u32 ioas_new(bool huge)
{
	struct ui_uapi_ioas_alloc cmd = { .size = sizeof(cmd) };
	struct ui_uapi_option option = { .size = sizeof(option), .option_id = UI_UAPI_OPTION_HUGE_PAGES, .val64 = huge };

	must(!call(UI_UAPI_IOAS_ALLOC, &cmd), "an IOAS");
	option.object_id = cmd.out_ioas_id;
	must(!call(UI_UAPI_OPTION, &option), "huge pages");
	return cmd.out_ioas_id;
}

static u32 hwpt_new(u32 ioas)
{
	struct ui_uapi_hwpt_alloc cmd = { .size = sizeof(cmd), .flags = UI_UAPI_HWPT_DIRTY_TRACKING, .dev_id = dev_id, .pt_id = ioas };

	must(!call(UI_UAPI_HWPT_ALLOC, &cmd), "an HWPT");
	return cmd.out_hwpt_id;
}

static void destroy(u32 id)
{
	struct ui_uapi_destroy cmd = { .size = sizeof(cmd), .id = id };

	must(!call(UI_UAPI_DESTROY, &cmd), "destroy");
}

static void map(u32 ioas, u64 iova, const void *va, u64 length)
{
	struct ui_uapi_ioas_map cmd = {
		.size = sizeof(cmd), .flags = RW | FIXED, .ioas_id = ioas, .user_va = (u64)(uintptr_t)va, .length = length, .iova = iova
	};

	must(!call(UI_UAPI_IOAS_MAP, &cmd), "map");
}

static void unmap(u32 ioas, u64 iova, u64 length)
{
	struct ui_uapi_ioas_unmap cmd = { .size = sizeof(cmd), .ioas_id = ioas, .iova = iova, .length = length };

	must(!call(UI_UAPI_IOAS_UNMAP, &cmd), "unmap");
}

static void op_getpid(u32 ioas, void *page)
{
	syscall(SYS_getpid);
}

static void op_ranges(u32 ioas, void *page)
{
	struct ui_uapi_iova_range range[2];
	struct ui_uapi_ioas_iova_ranges cmd = { .size = sizeof(cmd), .ioas_id = ioas, .num_iovas = 2, .allowed_iovas = (u64)(uintptr_t)range };

	must(!call(UI_UAPI_IOAS_IOVA_RANGES, &cmd), "ranges");
}

static void op_map_unmap(u32 ioas, void *page)
{
	map(ioas, IOVA, page, PAGE);
	unmap(ioas, IOVA, PAGE);
}

static void op_copy_unmap(u32 ioas, void *page)
{
	struct ui_uapi_ioas_copy cmd = {
		.size = sizeof(cmd), .flags = RW | FIXED, .dst_ioas_id = ioas, .src_ioas_id = ioas, .length = PAGE, .src_iova = 2 * IOVA, .dst_iova = IOVA
	};

	must(!call(UI_UAPI_IOAS_COPY, &cmd), "copy");
	unmap(ioas, IOVA, PAGE);
}

static double time_op(void (*op)(u32 ioas, void *page), u32 ioas, void *page)
{
	double t = now_ns();

	for (int i = 0; i < OPS; i++)
		op(ioas, page);
	return (now_ns() - t) / OPS;
}

static void bench_op(const char *name, void (*op)(u32 ioas, void *page), u32 ioas, void *page)
{
	double ours[ROUNDS], pid[ROUNDS], a, b;

	for (int r = 0; r < ROUNDS; r++) {
		ours[r] = time_op(op, ioas, page);
		pid[r] = time_op(op_getpid, ioas, page);
	}
	a = median(ours, ROUNDS);
	b = median(pid, ROUNDS);
	printf("  %-50s %6.2fx   (%.0f ns over %.0f ns)\n", name, a / b, a, b);
}

static void bench_calls(void)
{
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	u32 ioas = ioas_new(true), hwpt;

	must(page != MAP_FAILED, "memory");
	bench_op("IOAS_IOVA_RANGES of an empty IOAS", op_ranges, ioas, page);
	bench_op("IOAS_MAP + IOAS_UNMAP of 4 KiB, no domain", op_map_unmap, ioas, page);
	map(ioas, 2 * IOVA, page, PAGE);
	bench_op("IOAS_COPY + IOAS_UNMAP of 4 KiB, no domain", op_copy_unmap, ioas, page);
	hwpt = hwpt_new(ioas);
	bench_op("IOAS_MAP + IOAS_UNMAP of 4 KiB, one domain", op_map_unmap, ioas, page);
	bench_op("IOAS_COPY + IOAS_UNMAP of 4 KiB, one domain", op_copy_unmap, ioas, page);
	destroy(hwpt);
	destroy(ioas);
	munmap(page, PAGE);
}

/* --- time per map, when there are few and when there are many --- */

enum { FEW = 1000, MANY = 1000000, BATCH = 500, N_BATCHES = 15 };

/* One map when there are nearly @n: a batch of them is unmapped and mapped again, in the order in which all were mapped. */
static double time_map(u64 n, bool random, bool domain, const void *page)
{
	u32 ioas = ioas_new(true), hwpt = domain ? hwpt_new(ioas) : 0;
	u64 *at = malloc(n * sizeof(*at));
	double v[N_BATCHES];

	must(at != NULL, "memory");
	for (u64 i = 0; i < n; i++) {
		u64 j = random ? next_random() % (i + 1) : i;

		at[i] = at[j];
		at[j] = IOVA + i * 2 * PAGE;
	}
	for (u64 i = 0; i < n; i++)
		map(ioas, at[i], page, PAGE);
	for (int r = 0; r < N_BATCHES; r++) {
		const u64 *batch = at + n - BATCH;
		double t;

		for (int i = 0; i < BATCH; i++)
			unmap(ioas, batch[i], PAGE);
		t = now_ns();
		for (int i = 0; i < BATCH; i++)
			map(ioas, batch[i], page, PAGE);
		v[r] = (now_ns() - t) / BATCH;
	}
	if (hwpt)
		destroy(hwpt);
	destroy(ioas);
	free(at);
	return median(v, N_BATCHES);
}

static void bench_growth(const char *name, bool random, bool domain)
{
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	double few, many;

	must(page != MAP_FAILED, "memory");
	few = time_map(FEW, random, domain, page);
	many = time_map(MANY, random, domain, page);
	printf("  %-50s %6.2fx   (%.0f ns over %.0f ns)\n", name, many / few, many, few);
	munmap(page, PAGE);
}

/* --- dirty bitmaps --- */

#define BUFFER_BYTES ((u64)64 << 20)
enum { DIRTY_ROUNDS = 5 };

static void dirty_page(u64 iova)
{
	struct ui_dma_addr at = { .iova = iova };
	u8 byte = 1;

	must(ui_dma_write(port, &at, &byte, 1, NULL, NULL) == UI_DMA_OK, "DMA");
}

static double time_bitmap(u32 hwpt, u64 n_bytes, u64 page_bytes, u32 flags, u8 *bitmap)
{
	struct ui_uapi_hwpt_get_dirty_bitmap cmd = {
		.size = sizeof(cmd), .hwpt_id = hwpt, .flags = flags, .iova = IOVA, .length = n_bytes, .page_size = page_bytes,
		.data = (u64)(uintptr_t)bitmap
	};
	double t = now_ns();

	must(!call(UI_UAPI_HWPT_GET_DIRTY_BITMAP, &cmd), "the bitmap");
	return now_ns() - t;
}

/* @n_bytes mapped; every @stride-th page was written by the device. */
static void bench_dirty(const char *name, u64 n_bytes, bool huge, u64 page_bytes, u64 stride_bytes)
{
	size_t bitmap_bytes = n_bytes / page_bytes / 8;
	u8 *buffer = mmap(NULL, 2 * BUFFER_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	u8 *bitmap = mmap(NULL, bitmap_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	u8 *aligned = (u8 *)ui_align_up((uintptr_t)buffer, BUFFER_BYTES);
	double keep[DIRTY_ROUNDS], clear[DIRTY_ROUNDS], plain[DIRTY_ROUNDS], a, b, c;
	u32 ioas = ioas_new(huge), hwpt, pt;
	u64 n_set = 0;

	must(buffer != MAP_FAILED && bitmap != MAP_FAILED, "memory");
	/* Not needed, but a map of many makes all of it present. */
	madvise(aligned, BUFFER_BYTES, MADV_HUGEPAGE);
	hwpt = pt = hwpt_new(ioas);
	must(!binder.ops->attach(bound, 0, false, &pt), "attach");
	for (u64 at = 0; at < n_bytes; at += BUFFER_BYTES)
		map(ioas, IOVA + at, aligned, BUFFER_BYTES);
	for (int r = 0; r < DIRTY_ROUNDS; r++) {
		double t;

		for (u64 at = 0; at < n_bytes; at += stride_bytes)
			dirty_page(IOVA + at);
		t = now_ns();
		memset(bitmap, 0xff, bitmap_bytes);
		__asm__ volatile("" : : "r"(bitmap) : "memory"); /* it is not for nothing */
		plain[r] = now_ns() - t;
		memset(bitmap, 0, bitmap_bytes);
		keep[r] = time_bitmap(hwpt, n_bytes, page_bytes, UI_UAPI_DIRTY_BITMAP_NO_CLEAR, bitmap);
		memset(bitmap, 0, bitmap_bytes);
		clear[r] = time_bitmap(hwpt, n_bytes, page_bytes, 0, bitmap);
	}
	for (size_t i = 0; i < bitmap_bytes; i++)
		n_set += (u64)__builtin_popcount(bitmap[i]);
	must(n_set * page_bytes >= n_bytes / stride_bytes * page_bytes, "what was written is dirty");
	a = median(keep, DIRTY_ROUNDS);
	b = median(clear, DIRTY_ROUNDS);
	c = median(plain, DIRTY_ROUNDS);
	printf("  %-50s %6.1fx read, %.1fx read and clear   (%.2f ms, %.2f ms over %.3f ms)\n", name, a / c, b / c, a / 1e6, b / 1e6, c / 1e6);
	binder.ops->detach(bound, 0, false);
	destroy(hwpt);
	destroy(ioas);
	munmap(buffer, 2 * BUFFER_BYTES);
	munmap(bitmap, bitmap_bytes);
}

int main(void)
{
	struct ui_mem *mem = ui_mem_create_process();
	struct ui_iommu *iommu = ui_iommu_create(ui_driver_find("generic"), mem);
	struct ui_device_cfg cfg = { .rid = 0x100, .pasid_bits = 16, .name = "0000:01:00.0" };

	must(iommu && !ui_safe_install(), "an iommu");
	dev = ui_device_create(iommu, &cfg);
	must(dev && (port = ui_device_port_open(dev)) && (ctx = ui_iommufd_open(NULL)), "a context");
	binder = ui_iommufd_binder(ctx);
	must(!binder.ops->bind(binder.ctx, dev, &dev_id, &bound), "bind");

	printf("calls through the library, over getpid (reported, no aim)\n");
	bench_calls();
	printf("one IOAS_MAP with a million mappings over one with a thousand (aim: below 2)\n");
	bench_growth("ascending, no domain", false, false);
	bench_growth("random, no domain", true, false);
	bench_growth("ascending, one domain", false, true);
	bench_growth("random, one domain", true, true);
	printf("HWPT_GET_DIRTY_BITMAP over memset of the bitmap (reported, no aim)\n");
	bench_dirty("16 GiB of 4 KiB leaves, all written", (u64)16 << 30, false, PAGE, PAGE);
	bench_dirty("16 GiB of 2 MiB leaves, all written, bits of 4 KiB", (u64)16 << 30, true, PAGE, (u64)2 << 20);
	bench_dirty("1 TiB of 2 MiB leaves, one page in 16 MiB, 4 KiB", (u64)1 << 40, true, PAGE, (u64)16 << 20);

	binder.ops->unbind(bound);
	ui_iommufd_close(ctx);
	ui_dma_close(port);
	ui_device_destroy(dev);
	ui_iommu_destroy(iommu);
	ui_mem_destroy(mem);
	return 0;
}
