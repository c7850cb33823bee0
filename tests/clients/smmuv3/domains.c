/* SPDX-License-Identifier: MIT */
/*
 * Random domains on our SMMUv3's driver half, for domains.py to try on somebody else's device half: what the driver half has
 * written to memory, and what devices should find there. domains SEED. Lines, numbers in hexadecimal:
 *
 *   w PA BYTES       memory, as pairs of digits
 *   r OFFSET SIZE VALUE  a register
 *   e SID IOVA PA    a write arrives at PA; without PA: it is refused
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bits.h"
#include "core/arena.h"
#include "core/domain.h"
#include "core/driver.h"
#include "drivers/smmuv3/smmuv3.h"
#include "translate/mem.h"

enum { N_DEVICES = 5, N_MAPS = 60, SID_BITS = 8 };

#define TABLES ((u64)0x48000000) /* where the driver half's memory is in the other machine */
#define DATA ((u64)0x80000000)
#define DATA_END ((u64)0x240000000)

static const u32 sids[N_DEVICES] = { 0x08, 0x20, 0x40, 0x98, 0xf8 };
static u64 seed;

struct map {
	u64 iova, pa, n_bytes;
	bool writable, gone;
};

static u64 rnd(u64 n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % n;
}

static void must(int failed, const char *what)
{
	if (failed) {
		fprintf(stderr, "%s: %d\n", what, failed);
		exit(1);
	}
}

/* In pieces of 4 KiB to 1 GiB, at addresses of 43 bits, so that both stages take them. */
static void fill(struct ui_domain *domain, u32 sid)
{
	static const u8 sizes[] = { 12, 12, 12, 14, 16, 21, 21, 25, 30 };
	struct map maps[N_MAPS];
	unsigned n = 0;

	while (n < N_MAPS) {
		unsigned lg2 = sizes[rnd(ui_array_size(sizes))];
		struct map *m = &maps[n];

		/* Near others, so that they share tables. */
		m->n_bytes = UI_BIT(lg2) * (1 + rnd(lg2 < 30 ? 3 : 1));
		m->iova = ui_align_down(rnd(4) << 41 | rnd((u64)1 << 32), UI_BIT(lg2));
		m->pa = ui_align_down(DATA + rnd(DATA_END - DATA - m->n_bytes - UI_BIT(lg2)) + UI_BIT(lg2) - 1, UI_BIT(lg2));
		m->writable = rnd(5);
		m->gone = false;
		if (!ui_domain_map(domain, m->iova, m->pa, m->n_bytes, m->writable ? UI_PROT_READ | UI_PROT_WRITE : UI_PROT_READ, 30))
			n++;
	}
	for (unsigned i = 0; i < N_MAPS; i++)
		if (!rnd(6))
			maps[i].gone = ui_domain_unmap(domain, maps[i].iova, maps[i].iova + maps[i].n_bytes - 1, UI_PT_SPLIT) > 0;
	for (unsigned i = 0; i < N_MAPS; i++) {
		for (unsigned k = 0; k < 4; k++) {
			u64 offset = k ? ui_align_down(rnd(maps[i].n_bytes), 4) : maps[i].n_bytes - 4;

			printf("e %x %" PRIx64, sid, maps[i].iova + offset);
			if (maps[i].writable && !maps[i].gone)
				printf(" %" PRIx64, maps[i].pa + offset);
			printf("\n");
		}
	}
	printf("e %x %" PRIx64 "\n", sid, (u64)5 << 41);
}

/* All of the arena is one chunk. */
static void dump(const struct ui_arena *arena)
{
	const u64 *words = (const u64 *)(uintptr_t)(TABLES - arena->shift);

	for (u64 at = 0; at < UI_BIT(UI_ARENA_CHUNK_LG2); at += 64) {
		u64 any = 0;

		for (unsigned i = 0; i < 8; i++)
			any |= words[at / 8 + i];
		if (!any)
			continue;
		printf("w %" PRIx64 " ", TABLES + at);
		for (unsigned i = 0; i < 64; i++)
			printf("%02x", ((const u8 *)words)[at + i]);
		printf("\n");
	}
}

int main(int argc, char **argv)
{
	struct ui_mem *mem = ui_mem_create();
	struct ui_iommu *iommu = mem ? ui_iommu_create(ui_driver_find("smmuv3"), mem) : NULL;
	struct ui_domain *domains[N_DEVICES] = { NULL };
	struct ui_device *devices[N_DEVICES];
	struct ui_smmuv3_drv_cfg cfg;
	struct ui_arena *arena;
	u32 base_cfg;
	u64 base;

	must(argc != 2 || !iommu, "usage: domains SEED");
	seed = strtoull(argv[1], NULL, 0) * 2 + 1;
	/* The other machine has RAM where it has it: the arena's first chunk is taken to be there before anything is written that
	 * names it. */
	ui_smmuv3_drv_strtab(iommu, &base, &base_cfg);
	arena = ui_iommu_arena(iommu);
	base = ui_align_down(base - arena->shift, UI_BIT(UI_ARENA_CHUNK_LG2));
	arena->regions = false;
	arena->shift = TABLES - base;
	/* What QEMU can do; but 48 bits, which it reads as its own 44. */
	ui_smmuv3_drv_cfg_init(&cfg);
	cfg.feat.httu = cfg.feat.ssidsize = 0;
	cfg.feat.sidsize = SID_BITS;
	must(ui_smmuv3_drv_configure(iommu, &cfg), "configure");
	for (unsigned i = 0; i < N_DEVICES; i++) {
		devices[i] = ui_device_create(iommu, &(struct ui_device_cfg){ .rid = sids[i] });
		must(!devices[i], "device");
		/* The last one stays blocked. */
		if (i == N_DEVICES - 1) {
			printf("e %x %" PRIx64 "\n", sids[i], DATA);
			continue;
		}
		must(ui_domain_create_paging(devices[i], i & 1 ? UI_DOMAIN_F_NEST_PARENT : 0, NULL, &domains[i]), "domain");
		must(ui_device_attach(devices[i], 0, false, domains[i], false, NULL), "attach");
		fill(domains[i], sids[i]);
	}
	ui_smmuv3_drv_strtab(iommu, &base, &base_cfg);
	printf("r 80 8 %" PRIx64 "\nr 88 4 %x\n", base, base_cfg);
	dump(arena);
	for (unsigned i = 0; i < N_DEVICES; i++) {
		must(ui_device_detach(devices[i], 0, false), "detach");
		ui_domain_destroy(domains[i]);
		ui_device_destroy(devices[i]);
	}
	ui_iommu_destroy(iommu);
	ui_mem_destroy(mem);
	return 0;
}
