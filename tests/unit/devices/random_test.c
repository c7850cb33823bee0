/* SPDX-License-Identifier: MIT */
/*
 * Garbage: random configuration and register writes, random descriptors in random rings. Nothing may crash, hang, or write
 * outside what is mapped for writing.
 */
#include "common.h"

enum { ROUNDS = 1000, WRITES = 200 };

/* Random, but often near what means something. */
static u64 spicy(u64 *seed)
{
	u64 r = next_random(seed);

	switch (r % 8) {
	case 0:
		return 0;
	case 1:
		return ~(u64)0;
	case 2:
		return r >> 8 & 0xff;
	case 3:
		return (r >> 8 & 0xff) * 64;
	case 4:
		return -(r >> 8 & 0xff);
	case 5:
		return 1u << 31 | (r >> 8 & 3);
	default:
		return next_random(seed) >> (r >> 8 & 63);
	}
}

static void random_descriptors(struct world *w, u64 *seed)
{
	for (unsigned i = 0; i < 64; i++) {
		struct desc d = {
			.op = (u8)(next_random(seed) % 5),
			.flags = (u8)(next_random(seed) % 9),
			.cookie = (u16)next_random(seed),
			.length = (u32)spicy(seed),
			.src = spicy(seed),
			.dst = spicy(seed),
			.src_pasid = (u32)(next_random(seed) % 5),
			.dst_pasid = (u32)(next_random(seed) % 5),
			.record = spicy(seed) & ~(u64)(next_random(seed) % 8 ? 15 : 0),
		};
		u64 *raw = (u64 *)&d;

		if (next_random(seed) % 4 == 0)
			raw[next_random(seed) % 8] = next_random(seed);
		memcpy(w->ram + i * 64, &d, 64);
	}
}

static void random_write(struct world *w, u64 *seed)
{
	u64 r = next_random(seed), val = spicy(seed);
	u64 at = r & 1 ? chan_at((unsigned)(r >> 8) & 7, (unsigned)(r >> 16) & 0x3c) : (r >> 16) % (16 << 10);
	u32 n = 1u << (r >> 4 & 3);

	if (r % 16 == 0) {
		cfg_write(w, (u32)(r >> 16) & 0x13f, (u32)val, 1u << (r >> 4) % 3);
		cfg_write(w, PCI_CFG_COMMAND, PCI_CMD_MEM | PCI_CMD_MASTER, 2);
		cfg_write(w, 0x40 + PCI_PM_CTRL, 0, 2);
	} else if (r % 16 == 1) {
		ui_pci_bar_write(w->pci, DMA_BAR_MSIX, (r >> 16) % (8 << 10), &val, n);
	} else if (r % 16 == 2) {
		ui_pci_bar_write(w->pci, DMA_BAR_DOORBELLS, ((r >> 16) & 7) * PAGE, &val, 8);
	} else {
		ui_pci_bar_write(w->pci, DMA_BAR_REGS, at, &val, n);
		ui_pci_bar_read(w->pci, DMA_BAR_REGS, at, &val, n);
	}
}

static void start_some(struct world *w, u64 *seed)
{
	reg_write(w, G_CTRL, 1, 4);
	for (unsigned c = 0; c < DMA_N_CHANNELS; c++) {
		u64 r = next_random(seed);
		unsigned lg2 = (unsigned)(r >> 20) % 7;

		if (r & 1)
			continue;
		chan_start(w, c, r >> 8 & 0xfc0, lg2, r & 6 ? 0 : 1u << 31 | (u32)(r >> 32 & 3), r & 8 ? DMA_CHAN_POLL : 0);
		reg_write(w, chan_at(c, C_TAIL), (r >> 40) % (UI_BIT(lg2) + (r >> 60 == 0)) + 1, 8);
	}
}

static void garbage(void **state)
{
	u64 seed = test_seed();
	struct ui_dma_stats before, after;
	struct world w;

	world_open(&w, 16);
	map(&w, NO_PASID, 0, 0, 64, RW);
	map(&w, NO_PASID, 64 * PAGE, 64, 32, UI_PROT_READ);
	map(&w, 1, 0, 0, 32, RW);
	map(&w, 2, 0, 0, 16, RW);
	w.spaces[NO_PASID]->pages[100] = 0x700000000 | RW;
	memset(w.ram + 64 * PAGE, 0x5a, RAM_BYTES - 64 * PAGE);
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < WRITES; i++) {
			if (i % 32 == 0) {
				world_start(&w);
				random_descriptors(&w, &seed);
				start_some(&w, &seed);
			}
			if (i % 4 == 0)
				random_write(&w, &seed);
			ui_dma_stats(w.port, &before);
			ui_pci_step(w.pci);
			ui_dma_stats(w.port, &after);
			/* Those of a copy count on both sides. */
			assert_true(after.bytes - before.bytes <= 2 * (80 + 64) << 10);
		}
	}
	ui_dma_stats(w.port, &after);
	printf("%llu bytes moved, %llu faults\n", (unsigned long long)after.bytes, (unsigned long long)after.faults);
	for (u64 at = 64 * PAGE; at < RAM_BYTES; at++)
		assert_int_equal(w.ram[at], 0x5a); /* read-only or not mapped */
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(garbage) };

	return cmocka_run_group_tests_name("random", tests, NULL, NULL);
}
