/* SPDX-License-Identifier: MIT */
/*
 * Measurements of translate, page tables and domains, as ratios inside one run: the machine is shared, so what is compared
 * alternates, and the median of the rounds counts. `make bench` runs this and bench/ioctl under the shim.
 */
#include "measure.h"

#include "base/alloc.h"
#include "base/sys.h"
#include "core/domain.h"
#include "translate/dma.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define IOVA ((u64)1 << 32)
#define ROUNDS 9

static struct ui_mem *mem;
static struct ui_iommu *iommu;
static struct ui_device *dev;
static volatile u64 sink; /* keeps results alive */
static _Thread_local char bench_thread; /* its address names the thread */

static struct ui_domain *new_domain(void)
{
	struct ui_domain *domain;

	must(!ui_domain_create_paging(dev, 0, NULL, &domain), "a paging domain");
	return domain;
}

/* --- translate: the port against a walk written by hand in a section of the same kind --- */

/* What a section tells those who wait: which one, what it uses, whose it is. */
struct section {
	_Atomic u64 state, seq, owner;
	_Atomic u64 epoch __attribute__((aligned(64)));
};

/* x86-64, 4 levels: present, for users and writable as asked, ANDed over the levels; 0: refused. */
static u64 hand_walk(const u64 *top, u64 iova, bool write)
{
	u64 need = write ? 7 : 5, entry;
	const u64 *table = top;

	if (iova >> 47)
		return 0;
	for (unsigned shift = 39;; shift -= 9) {
		entry = __atomic_load_n(&table[iova >> shift & 511], __ATOMIC_ACQUIRE);
		if ((entry & need) != need)
			return 0;
		if (shift == 12 || entry & 0x80)
			return (entry & ui_mask_range(51, shift)) | (iova & ui_mask_lg2(shift));
		table = (const u64 *)(uintptr_t)(entry & ui_mask_range(51, 12));
	}
}

static u64 hand_translate(struct section *s, const u64 *top, u64 iova)
{
	u64 pa;

	atomic_store_explicit(&s->owner, (uintptr_t)&bench_thread, memory_order_relaxed);
	atomic_store_explicit(&s->seq, atomic_load_explicit(&s->seq, memory_order_relaxed) + 1, memory_order_release);
	atomic_exchange_explicit(&s->state, (uintptr_t)top, memory_order_seq_cst);
	sink = atomic_load_explicit(&s->epoch, memory_order_seq_cst);
	pa = hand_walk(top, iova, true);
	atomic_store_explicit(&s->state, 0, memory_order_release);
	return pa;
}

struct pages_arena {
	struct ui_pt_pages pages;
	u8 *next, *end;
};

static void *arena_alloc(struct ui_pt_pages *pages, size_t n_bytes)
{
	struct pages_arena *a = ui_container_of(pages, struct pages_arena, pages);
	void *page = (void *)ui_align_up((uintptr_t)a->next, n_bytes);

	a->next = (u8 *)page + n_bytes;
	return a->next <= a->end ? page : NULL;
}

static void arena_free(struct ui_pt_pages *pages, void *page, size_t n_bytes)
{
}

static struct ui_stage_config *resolve(void *arg, u32 pasid, bool has_pasid, enum ui_dma_status *reason)
{
	return arg;
}

static void bench_translate(u64 n_pages, const char *name)
{
	size_t arena_bytes = 64u << 20, data_bytes = n_pages * UI_PAGE_BYTES;
	struct pages_arena arena = { .pages = { arena_alloc, arena_free, 0 } };
	struct ui_pt_cfg cfg = { .format = UI_PT_X86_64, .granule_lg2 = 12, .ia_bits = 48, .oa_bits = 52, .sign_extend = true, .pages = &arena.pages };
	struct ui_stage_config config = { .kind = UI_CFG_TRANSLATE, .s1 = { .present = true } };
	static struct section section;
	struct ui_pt_gather gather = { 0 };
	double ours[ROUNDS], hand[ROUNDS];
	size_t n_ops = 1u << 20;
	u32 *order = malloc(n_ops * sizeof(*order));
	struct ui_tr *tr = ui_tr_create(mem);
	struct ui_dma *port;
	struct ui_pt pt;
	u8 *data;
	u64 sum = 0;

	arena.next = ui_sys_mmap(NULL, arena_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	data = ui_sys_mmap(NULL, data_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	must(!ui_sys_is_err(arena.next) && !ui_sys_is_err(data) && tr && order, "memory");
	arena.end = arena.next + arena_bytes;
	must(!ui_pt_init(&pt, &cfg), "a table");
	/* Page by page, shuffled in memory: neither side profits from large pages. */
	for (u64 i = 0; i < n_pages; i++)
		must(!pt.ops->map(&pt, IOVA + i * UI_PAGE_BYTES, (uintptr_t)data + (i ^ 1) * UI_PAGE_BYTES, UI_PAGE_BYTES,
				  UI_PROT_READ | UI_PROT_WRITE, &gather), "map");
	for (size_t i = 0; i < n_ops; i++)
		order[i] = (u32)(next_random() % n_pages);
	must(!ui_tr_tag_alloc(tr, &config.tag), "a tag");
	config.s1.pt = &pt;
	ui_pt_walk_cfg(&pt, &config.s1.walk);
	port = ui_dma_open(tr, 0, resolve, &config);
	must(port != NULL, "a port");

	for (int r = -1; r < ROUNDS; r++) {
		double t0 = now_ns(), t1, t2;

		for (size_t i = 0; i < n_ops; i++) {
			struct ui_dma_addr at = { .iova = IOVA + order[i] * UI_PAGE_BYTES };
			struct ui_walk walk;

			if (ui_dma_translate(port, &at, UI_PROT_WRITE, &walk, NULL) == UI_DMA_OK)
				sum += walk.oa;
		}
		t1 = now_ns();
		for (size_t i = 0; i < n_ops; i++)
			sum -= hand_translate(&section, (const u64 *)(uintptr_t)pt.top_pa, IOVA + order[i] * UI_PAGE_BYTES);
		t2 = now_ns();
		if (r >= 0) {
			ours[r] = (t1 - t0) / (double)n_ops;
			hand[r] = (t2 - t1) / (double)n_ops;
		}
	}
	must(sum == 0, "both answer the same");
	double a = median(ours, ROUNDS), b = median(hand, ROUNDS);
	printf("  %-44s %6.2fx   (%.1f ns over %.1f ns)\n", name, a / b, a, b);
	printf("  %-44s %6.1f B\n", "  bytes of table per mapping", (double)pt.n_table_bytes / (double)n_pages);
	ui_dma_close(port);
	ui_tr_tag_free(tr, config.tag);
	ui_tr_destroy(tr);
	ui_pt_fini(&pt);
	ui_sys_munmap(data, data_bytes);
	ui_sys_munmap(arena.end - arena_bytes, arena_bytes);
	free(order);
}

/* --- domains: map and unmap --- */

/* The unit of the absolute rows: one 4 KiB memcpy in this run. */
static double memcpy_ns(void)
{
	static u8 a[4096], b[4096];
	double v[ROUNDS];

	for (int r = 0; r < ROUNDS; r++) {
		double t = now_ns();

		for (int i = 0; i < 100000; i++) {
			memcpy(b, a, sizeof(a));
			a[i & 4095] = b[(i * 7) & 4095];
		}
		v[r] = (now_ns() - t) / 100000;
	}
	return median(v, ROUNDS);
}

static void bench_map(const char *name, u64 n, u64 bytes_each, bool random, unsigned max_lg2, double unit)
{
	struct ui_domain *domain = new_domain();
	double map = 0, unmap = 0;
	u64 *at = malloc(n * sizeof(*at)), n_pages = n * bytes_each / UI_PAGE_BYTES;

	must(at != NULL, "memory");
	for (u64 i = 0; i < n; i++) {
		u64 j = random ? next_random() % (i + 1) : i;

		at[i] = at[j];
		at[j] = i * bytes_each;
	}
	double t0 = now_ns();
	for (u64 i = 0; i < n; i++)
		must(!ui_domain_map(domain, IOVA + at[i], IOVA + at[i], bytes_each, UI_PROT_READ | UI_PROT_WRITE, max_lg2), "map");
	double t1 = now_ns();
	for (u64 i = 0; i < n; i++)
		must(ui_domain_unmap(domain, IOVA + at[i], IOVA + at[i] + bytes_each - 1, UI_PT_SPLIT) == (s64)bytes_each, "unmap");
	double t2 = now_ns();
	map = (t1 - t0) / (double)n_pages;
	unmap = (t2 - t1) / (double)n_pages;
	printf("  %-44s %6.3fx map, %.3fx unmap a page   (%.2f ns, %.2f ns)\n", name, map / unit, unmap / unit, map, unmap);
	ui_domain_destroy(domain);
	free(at);
}

static void bench_copy(void)
{
	struct ui_domain *domain = new_domain();
	struct ui_dma *port = ui_device_port_open(dev);
	u8 *buf = ui_sys_mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	struct ui_dma_addr src = { .iova = IOVA }, dst = { .iova = IOVA + UI_PAGE_BYTES };
	double dma[ROUNDS], plain[ROUNDS];

	must(port && !ui_sys_is_err(buf), "memory");
	must(!ui_domain_map(domain, IOVA, (uintptr_t)buf, 8192, UI_PROT_READ | UI_PROT_WRITE, 64), "map");
	must(!ui_device_attach(dev, 0, false, domain, false, NULL), "attach");
	for (int r = 0; r < ROUNDS; r++) {
		double t0 = now_ns(), t1, t2;

		for (int i = 0; i < 100000; i++)
			must(ui_dma_copy(port, &src, &dst, 4096, NULL, NULL) == UI_DMA_OK, "copy");
		t1 = now_ns();
		for (int i = 0; i < 100000; i++) {
			memcpy(buf + 4096, buf, 4096);
			buf[i & 4095] = buf[4096 + ((i * 7) & 4095)];
		}
		t2 = now_ns();
		dma[r] = (t1 - t0) / 100000;
		plain[r] = (t2 - t1) / 100000;
	}
	double a = median(dma, ROUNDS), b = median(plain, ROUNDS);
	printf("  %-44s %6.2fx   (%.0f ns over %.0f ns)\n", "DMA copy of 4 KiB over memcpy", a / b, a, b);
	ui_device_detach(dev, 0, false);
	ui_dma_close(port);
	ui_domain_destroy(domain);
	ui_sys_munmap(buf, 8192);
}

int main(void)
{
	struct ui_device_cfg cfg = { .rid = 0x100, .pasid_bits = 16, .name = "0000:01:00.0" };
	double unit;

	mem = ui_mem_create_process();
	must(mem != NULL, "memory");
	iommu = ui_iommu_create(ui_driver_find("generic"), mem);
	must(iommu != NULL, "an iommu");
	dev = ui_device_create(iommu, &cfg);
	must(dev != NULL, "a device");

	printf("translate over a walk by hand of the same table, same check, same section (aim: hits 1.0, random 1.2)\n");
	bench_translate(64, "hit, 64 pages");
	bench_translate(4096, "hit, 4096 pages");
	bench_translate(1u << 20, "1 M random 4 KiB pages");
	unit = memcpy_ns();
	printf("domains, in units of one 4 KiB memcpy of this run (%.0f ns)\n", unit);
	bench_map("random 4 KiB, one by one, 256 k", 1u << 18, UI_PAGE_BYTES, true, 64, unit);
	bench_map("1 GiB contiguous as 4 KiB, one call", 1, 1u << 30, false, 12, unit);
	bench_map("1 GiB with large pages, one call", 1, 1u << 30, false, 64, unit);
	bench_copy();
	ui_device_destroy(dev);
	ui_iommu_destroy(iommu);
	ui_mem_destroy(mem);
	return 0;
}
