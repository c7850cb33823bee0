/* SPDX-License-Identifier: MIT */
/*
 * The SMMUv3's device half: a warm translation over one of the kind generic, a nested miss over a one-stage miss with the same pages,
 * and what an invalidation by address costs with a full TLB over an empty one. Ratios inside one run; what is compared alternates,
 * and the median of the rounds counts.
 */
#include "measure.h"

#include "base/bits.h"
#include "core/driver.h"
#include "models/smmuv3/smmuv3.h"

#include <linux/perf_event.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define IOVA ((u64)1 << 32)
#define ROUNDS 9
#define OPS (1u << 20)
#define LEAF_S1 ((u64)1 << 10 | (u64)1 << 6 | (u64)3 << 8 | (u64)1 << 11)
#define LEAF_S2 ((u64)1 << 10 | (u64)3 << 6 | (u64)0xf << 2)

/* A guest of @n_bytes from address 0: data first, then structures and tables up to @next. */
struct guest {
	u8 *ram;
	u64 n_bytes, next, cmdq, strtab, s1, s2;
	u32 prod;
	struct ui_mem *mem;
	struct ui_smmuv3 *smmu;
	struct ui_smmuv3_stream *plain, *nested; /* SIDs 0 and 1, on the same stage 1 */
};

static u64 *at(struct guest *g, u64 pa)
{
	return (u64 *)(void *)(g->ram + pa);
}

static u64 take(struct guest *g, u64 n_bytes)
{
	u64 pa = ui_align_up(g->next, n_bytes);

	g->next = pa + n_bytes;
	must(g->next <= g->n_bytes, "guest memory");
	return pa;
}

/* 4 levels of 4 KiB granules; a leaf of 2^@lg2 bytes. */
static void map(struct guest *g, u64 root, u64 addr, u64 pa, unsigned lg2, u64 attrs)
{
	u64 table = root;
	unsigned shift;

	for (shift = 39; shift > lg2; shift -= 9) {
		u64 *entry = at(g, table + (addr >> shift & 511) * 8);

		if (!*entry)
			*entry = take(g, UI_PAGE_BYTES) | 3;
		table = *entry & ui_mask_range(47, 12);
	}
	*at(g, table + (addr >> shift & 511) * 8) = pa | attrs | (lg2 == 12 ? 3 : 1);
}

static void wr(struct guest *g, u64 offset, unsigned n_bytes, u64 val)
{
	must(ui_smmuv3_write(g->smmu, offset, n_bytes, val), "a register");
}

static void make_streams(struct guest *g)
{
	u64 cd = take(g, UI_PAGE_BYTES), *words = at(g, cd);

	ui_hw_set(words, UI_SMMUV3_CD_T0SZ, 16);
	ui_hw_set(words, UI_SMMUV3_CD_EPD1, 1);
	ui_hw_set(words, UI_SMMUV3_CD_IPS, UI_SMMUV3_PS_48);
	ui_hw_set(words, UI_SMMUV3_CD_AA64, 1);
	ui_hw_set(words, UI_SMMUV3_CD_A, 1);
	ui_hw_set_addr(words, UI_SMMUV3_CD_TTB0, g->s1);
	ui_hw_set(words, UI_SMMUV3_CD_V, 1);
	for (unsigned sid = 0; sid < 2; sid++) {
		u64 *ste = at(g, g->strtab + sid * 64);

		ui_hw_set_addr(ste, UI_SMMUV3_STE_S1ContextPtr, cd);
		ui_hw_set(ste, UI_SMMUV3_STE_S2T0SZ, 16);
		ui_hw_set(ste, UI_SMMUV3_STE_S2SL0, 2);
		ui_hw_set(ste, UI_SMMUV3_STE_S2PS, UI_SMMUV3_PS_48);
		ui_hw_set(ste, UI_SMMUV3_STE_S2AA64, 1);
		ui_hw_set_addr(ste, UI_SMMUV3_STE_S2TTB, g->s2);
		ui_hw_set(ste, UI_SMMUV3_STE_Config, sid ? UI_SMMUV3_CONFIG_NESTED : UI_SMMUV3_CONFIG_S1);
		ui_hw_set(ste, UI_SMMUV3_STE_V, 1);
	}
}

/* Pages from IOVA on, in pairs swapped; stage 2 maps all of the guest to itself, in leaves of 2^@s2_lg2. */
static void guest_start(struct guest *g, u64 n_pages, unsigned s2_lg2)
{
	struct ui_smmuv3_cfg cfg;

	*g = (struct guest){ .next = n_pages * UI_PAGE_BYTES };
	g->n_bytes = ui_align_up(g->next + g->next / 64 + ((u64)64 << 20), (u64)1 << 30);
	g->ram = mmap(NULL, g->n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	g->mem = ui_mem_create();
	must(g->ram != MAP_FAILED && g->mem && !ui_mem_add_ram(g->mem, 0, g->n_bytes, g->ram, true), "memory");
	g->strtab = take(g, UI_PAGE_BYTES);
	g->cmdq = take(g, UI_PAGE_BYTES);
	g->s1 = take(g, UI_PAGE_BYTES);
	g->s2 = take(g, UI_PAGE_BYTES);
	for (u64 i = 0; i < n_pages; i++)
		map(g, g->s1, IOVA + i * UI_PAGE_BYTES, (i ^ 1) * UI_PAGE_BYTES, 12, LEAF_S1);
	for (u64 pa = 0; pa < g->n_bytes; pa += UI_BIT(s2_lg2))
		map(g, g->s2, pa, pa, s2_lg2, LEAF_S2);
	make_streams(g);
	ui_smmuv3_cfg_init(&cfg, 1);
	must(!ui_smmuv3_create(g->mem, &cfg, &g->smmu), "an SMMU");
	wr(g, UI_SMMUV3_REG_STRTAB_BASE, 8, g->strtab);
	wr(g, UI_SMMUV3_REG_STRTAB_BASE_CFG, 4, 1);
	wr(g, UI_SMMUV3_REG_CMDQ_BASE, 8, g->cmdq | 8);
	wr(g, UI_SMMUV3_REG_CR0, 4, 9);
	g->plain = ui_smmuv3_stream_open(g->smmu, 0);
	g->nested = ui_smmuv3_stream_open(g->smmu, 1);
	must(g->plain && g->nested, "streams");
}

static void guest_stop(struct guest *g)
{
	ui_smmuv3_stream_close(g->plain);
	ui_smmuv3_stream_close(g->nested);
	ui_smmuv3_destroy(g->smmu);
	ui_mem_destroy(g->mem);
	munmap(g->ram, g->n_bytes);
}

static void command(struct guest *g, u64 w0, u64 w1)
{
	u64 *entry = at(g, g->cmdq + (g->prod & 255) * 16);

	entry[0] = w0;
	entry[1] = w1;
	g->prod = (g->prod + 1) & 511;
	wr(g, UI_SMMUV3_REG_CMDQ_PROD, 4, g->prod);
}

static double translate_ns(struct ui_dma *dma, const u32 *order, size_t n)
{
	double t = now_ns();
	u64 sum = 0;

	for (size_t i = 0; i < n; i++) {
		const struct ui_dma_addr where = { .iova = IOVA + order[i] * UI_PAGE_BYTES };
		struct ui_walk w;

		must(ui_dma_translate(dma, &where, UI_PROT_READ, &w, NULL) == UI_DMA_OK, "a translation");
		sum += w.oa;
	}
	t = (now_ns() - t) / (double)n;
	must(sum != 1, "sums");
	return t;
}

static void shuffle(u32 *order, size_t n, u64 n_pages)
{
	for (size_t i = 0; i < n; i++)
		order[i] = (u32)(next_random() % n_pages);
}

/* ---- Hits ---- */

static void bench_hit(u64 n_pages, const char *name)
{
	struct ui_mem *mem = ui_mem_create_process();
	struct ui_iommu *iommu = mem ? ui_iommu_create(ui_driver_find("generic"), mem) : NULL;
	struct ui_device_cfg cfg = { .rid = 0x100, .pasid_bits = 16, .name = "0000:01:00.0" };
	struct ui_device *dev = iommu ? ui_device_create(iommu, &cfg) : NULL;
	double ours[ROUNDS], generic[ROUNDS], a, b;
	u32 *order = malloc(OPS * sizeof(*order));
	struct ui_domain *domain = NULL;
	struct ui_dma *port;
	struct guest g;
	u8 *data;

	must(dev && order, "memory");
	guest_start(&g, n_pages, 21);
	data = mmap(NULL, n_pages * UI_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(data != MAP_FAILED && !ui_domain_create_paging(dev, 0, NULL, &domain) &&
	     !ui_domain_map(domain, IOVA, (uintptr_t)data, n_pages * UI_PAGE_BYTES, UI_PROT_READ | UI_PROT_WRITE, 12) &&
	     !ui_device_attach(dev, 0, false, domain, false, NULL), "a domain");
	port = ui_device_port_open(dev);
	must(port != NULL, "a port");
	shuffle(order, OPS, n_pages);
	for (int r = -1; r < ROUNDS; r++) {
		double x = translate_ns(ui_smmuv3_stream_dma(g.plain), order, OPS), y = translate_ns(port, order, OPS);

		if (r >= 0) {
			ours[r] = x;
			generic[r] = y;
		}
	}
	a = median(ours, ROUNDS);
	b = median(generic, ROUNDS);
	printf("  %-52s %6.2fx   (%.1f ns over %.1f ns)\n", name, a / b, a, b);
	ui_device_detach(dev, 0, false);
	ui_dma_close(port);
	ui_domain_destroy(domain);
	ui_device_destroy(dev);
	ui_iommu_destroy(iommu);
	ui_mem_destroy(mem);
	munmap(data, n_pages * UI_PAGE_BYTES);
	free(order);
	guest_stop(&g);
}

/* ---- Misses ---- */

static void bench_miss(u64 n_pages, unsigned s2_lg2, const char *name)
{
	double nested[ROUNDS], plain[ROUNDS], a, b;
	u32 *order = malloc(OPS * sizeof(*order));
	struct guest g;

	must(order, "memory");
	guest_start(&g, n_pages, s2_lg2);
	for (int r = -1; r < ROUNDS; r++) {
		double x, y;

		shuffle(order, OPS, n_pages);
		x = translate_ns(ui_smmuv3_stream_dma(g.nested), order, OPS);
		y = translate_ns(ui_smmuv3_stream_dma(g.plain), order, OPS);
		if (r >= 0) {
			nested[r] = x;
			plain[r] = y;
		}
	}
	a = median(nested, ROUNDS);
	b = median(plain, ROUNDS);
	printf("  %-52s %6.2fx   (%.1f ns over %.1f ns)\n", name, a / b, a, b);
	free(order);
	guest_stop(&g);
}

/* ---- Invalidation ---- */

/* A counter of our own instructions; -1: not here. */
static int instructions_open(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE, .size = sizeof(attr), .config = PERF_COUNT_HW_INSTRUCTIONS, .exclude_kernel = 1, .exclude_hv = 1,
	};

	return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

/* Instructions, or nanoseconds where they cannot be counted. */
static double spent(int fd)
{
	u64 n = 0;

	if (fd < 0)
		return now_ns();
	must(read(fd, &n, sizeof(n)) == sizeof(n), "the counter");
	return (double)n;
}

static double invalidate(struct guest *g, int fd, unsigned n)
{
	double t = spent(fd);

	for (unsigned i = 0; i < n; i++)
		command(g, 0x13, IOVA + (u64)(i + 512) * 4096 * 64);
	return (spent(fd) - t) / n;
}

static void bench_invalidate(void)
{
	double full[ROUNDS], empty[ROUNDS], a, b;
	int fd = instructions_open();
	u32 order[4096];
	struct guest g;

	guest_start(&g, 1u << 16, 21);
	for (u32 i = 0; i < 4096; i++)
		order[i] = i;
	/* One entry at least: the streams are known. */
	for (int r = -1; r < ROUNDS; r++) {
		double x, y;

		command(&g, 0x30, 0);
		translate_ns(ui_smmuv3_stream_dma(g.plain), order, 1);
		translate_ns(ui_smmuv3_stream_dma(g.nested), order, 1);
		y = invalidate(&g, fd, 1000);
		translate_ns(ui_smmuv3_stream_dma(g.plain), order, 4096);
		translate_ns(ui_smmuv3_stream_dma(g.nested), order, 4096);
		x = invalidate(&g, fd, 1000);
		if (r >= 0) {
			full[r] = x;
			empty[r] = y;
		}
	}
	a = median(full, ROUNDS);
	b = median(empty, ROUNDS);
	printf("  %-52s %6.3fx   (%.0f over %.0f %s)\n", "TLBI_NH_VAA, 8192 entries over 2", a / b, a, b,
	       fd < 0 ? "ns: no counter of instructions here" : "instructions");
	if (fd >= 0)
		close(fd);
	guest_stop(&g);
}

int main(void)
{
	printf("SMMUv3, warm translation over the kind generic (aim: 1)\n");
	bench_hit(64, "hit, 64 pages");
	bench_hit(4096, "hit, 4096 pages");
	printf("SMMUv3, nested miss over a one-stage miss, random 4 KiB pages (aim: 2)\n");
	bench_miss(1u << 16, 21, "64 k pages, guest memory in leaves of 2 MiB");
	bench_miss(1u << 20, 21, "1 M pages, guest memory in leaves of 2 MiB");
	bench_miss(1u << 20, 12, "1 M pages, guest memory in leaves of 4 KiB");
	printf("SMMUv3, invalidation by address, full TLBs over empty ones (aim: 1)\n");
	bench_invalidate();
	return 0;
}
