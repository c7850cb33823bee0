/* SPDX-License-Identifier: MIT */
/*
 * What nesting costs: a TLB miss of a VT-d nested domain over one of a one-stage domain with the same pages, and an
 * invalidation of one page. Ratios inside one run; what is compared alternates, and the median of the rounds counts.
 */
#include "measure.h"

#include "base/alloc.h"
#include "base/sys.h"
#include "core/driver.h"
#include "translate/dma.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define IOVA ((u64)1 << 32)
#define ROUNDS 9
#define OPS (1u << 20)

/* A guest: @mem is its memory from address 0 on, data first, then first-stage tables up to @next. */
struct guest {
	u8 *mem;
	u64 n_bytes, top, next;
};

static struct ui_device *dev;

/* First stage, 4 levels: present, writable, user, accessed; leaves dirty too, as after a first write. */
static void guest_map(struct guest *g, u64 iova, u64 gpa)
{
	u64 table = g->top;

	for (unsigned shift = 39; shift > 12; shift -= 9) {
		u64 *entry = (u64 *)(void *)(g->mem + table) + (iova >> shift & 511);

		if (!*entry) {
			*entry = g->next | 0x27;
			g->next += UI_PAGE_BYTES;
			must(g->next <= g->n_bytes, "room for tables");
		}
		table = *entry & ~(u64)0xfff;
	}
	((u64 *)(void *)(g->mem + table))[iova >> 12 & 511] = gpa | 0x67;
}

static void guest_open(struct guest *g, u64 n_pages)
{
	u64 room = UI_BIT(30);

	g->n_bytes = ui_align_up(n_pages * UI_PAGE_BYTES + n_pages * 9 + (1 << 20), 2 << 20);
	g->mem = ui_sys_mmap(NULL, g->n_bytes + room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	must(!ui_sys_is_err(g->mem), "guest memory");
	g->mem = (u8 *)ui_align_up((uintptr_t)g->mem, room); /* as much as leaves of 1 GiB want; nobody gives it back */
	madvise(g->mem, g->n_bytes, MADV_HUGEPAGE);
	g->top = n_pages * UI_PAGE_BYTES;
	g->next = g->top + UI_PAGE_BYTES;
}

static double round_ns(struct ui_dma *port, struct ui_domain *domain, const u32 *order)
{
	struct ui_walk walk;
	u64 n_ok = 0;
	double t;

	must(!ui_device_attach(dev, 0, false, domain, true, NULL), "attach");
	t = now_ns();
	for (unsigned i = 0; i < OPS; i++) {
		struct ui_dma_addr at = { .iova = IOVA + order[i] * UI_PAGE_BYTES };

		n_ok += ui_dma_translate(port, &at, UI_PROT_WRITE, &walk, NULL) == UI_DMA_OK;
	}
	t = (now_ns() - t) / OPS;
	must(n_ok == OPS, "translate");
	return t;
}

/* @max_lg2: of the parent's leaves. */
static void bench_miss(const char *name, u64 n_pages, unsigned max_lg2)
{
	struct { u64 flags, pgtbl_addr; u32 addr_width, reserved; } s1 = { .addr_width = 48 };
	const struct ui_user_data data = { .type = 1, .n_bytes = sizeof(s1), .uptr = (uintptr_t)&s1 };
	struct ui_domain *one, *parent, *nested;
	double a[ROUNDS], b[ROUNDS];
	u32 *order = malloc(OPS * sizeof(*order));
	struct ui_dma *port = ui_device_port_open(dev);
	struct guest g;

	must(order && port, "memory");
	must(!ui_domain_create_paging(dev, 0, NULL, &one), "a paging domain");
	must(!ui_domain_create_paging(dev, UI_DOMAIN_F_NEST_PARENT, NULL, &parent), "a nesting parent");
	guest_open(&g, n_pages);
	must(!ui_domain_map(parent, 0, (uintptr_t)g.mem, g.n_bytes, UI_PROT_READ | UI_PROT_WRITE, max_lg2), "map");
	/* Neighbours swapped: neither side profits from large pages. */
	for (u64 i = 0; i < n_pages; i++) {
		guest_map(&g, IOVA + i * UI_PAGE_BYTES, (i ^ 1) * UI_PAGE_BYTES);
		must(!ui_domain_map(one, IOVA + i * UI_PAGE_BYTES, (uintptr_t)g.mem + (i ^ 1) * UI_PAGE_BYTES, UI_PAGE_BYTES,
				    UI_PROT_READ | UI_PROT_WRITE, 64), "map");
	}
	s1.pgtbl_addr = g.top;
	must(!ui_device_driver(dev)->nested(dev, parent, 0, &data, &nested), "a nested domain");
	for (unsigned i = 0; i < OPS; i++)
		order[i] = (u32)(next_random() % n_pages);
	for (int r = -1; r < ROUNDS; r++) {
		double t = round_ns(port, one, order), u = round_ns(port, nested, order);

		if (r >= 0) {
			a[r] = u;
			b[r] = t;
		}
	}
	double x = median(a, ROUNDS), y = median(b, ROUNDS);
	printf("  %-44s %6.2fx   (%.1f ns over %.1f ns)\n", name, x / y, x, y);
	ui_device_detach(dev, 0, false);
	ui_dma_close(port);
	ui_domain_destroy(nested);
	ui_domain_destroy(parent);
	ui_domain_destroy(one);
	munmap(g.mem, g.n_bytes);
	free(order);
}

int main(void)
{
	struct ui_device_cfg cfg = { .rid = 0x100, .pasid_bits = 16, .name = "0000:01:00.0" };
	struct ui_mem *mem = ui_mem_create_process();
	struct ui_iommu *iommu = mem ? ui_iommu_create(ui_driver_find("vtd"), mem) : NULL;

	must(iommu != NULL, "an iommu");
	dev = ui_device_create(iommu, &cfg);
	must(dev != NULL, "a device");
	printf("VT-d nested miss over a one-stage miss, random 4 KiB pages (aim: 2)\n");
	bench_miss("64 k pages, guest memory in large leaves", 1u << 16, 64);
	bench_miss("1 M pages, guest memory in large leaves", 1u << 20, 64);
	bench_miss("1 M pages, guest memory in leaves of 4 KiB", 1u << 20, 12);
	ui_device_destroy(dev);
	ui_iommu_destroy(iommu);
	ui_mem_destroy(mem);
	return 0;
}
