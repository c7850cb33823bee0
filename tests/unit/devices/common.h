/* SPDX-License-Identifier: MIT */
/*
 * A world for device tests: RAM, three address spaces (no PASID, PASID 1, PASID 2) whose tables are arrays of pages, a
 * port, and a `dma` function on it whose interrupts are counted.
 */
#ifndef TEST_DEVICES_COMMON_H
#define TEST_DEVICES_COMMON_H

#include "base/alloc.h"
#include "base/bits.h"
#include "base/safe.h"
#include "devices/dma_priv.h"
#include "devices/pci.h"
#include "devices/pci_regs.h"
#include "translate/dma.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* cmocka wants the four headers above. */
#include <cmocka.h>

enum { PAGE = 4096, N_PAGES = 1024, RAM_BYTES = N_PAGES * PAGE, N_SPACES = 3, NO_PASID = 0 };
#define RAM_PA ((u64)0x100000000)
#define MMIO_PA ((u64)0x200000000)
#define DOORBELL_PA ((u64)0x300000000)
#define RW (UI_PROT_READ | UI_PROT_WRITE)

struct space {
	struct ui_pt pt;
	struct ui_pt_ops ops;
	u64 pages[N_PAGES]; /* pa | UI_PROT_*; 0: not mapped */
	struct ui_stage_config cfg;
};

struct world {
	struct ui_mem *mem;
	struct ui_tr *tr;
	struct ui_dma *port;
	u8 *ram;
	u8 *doorbells;
	struct space *spaces[N_SPACES]; /* [0]: no PASID; NULL: blocked */
	struct ui_pci *pci;
	bool level;
	unsigned n_rises, n_msgs[16], n_wakes;
	bool last_msix;
	unsigned n_faults; /* seen by the port's sink */
};

static inline enum ui_walk_status space_walk(const struct ui_pt *pt, u64 iova, unsigned access, struct ui_walk *out)
{
	const struct space *s = ui_container_of((struct ui_pt *)(uintptr_t)pt, struct space, pt);
	u64 entry;

	*out = (struct ui_walk){ .leaf_lg2 = 12, .dirty = true };
	if (iova / PAGE >= N_PAGES)
		return UI_WALK_ADDR_SIZE;
	entry = s->pages[iova / PAGE];
	if (!entry)
		return UI_WALK_TRANSLATION;
	if (access & RW & ~entry)
		return UI_WALK_PERMISSION;
	out->oa = (entry & ~(u64)(PAGE - 1)) + iova % PAGE;
	out->prot = entry & RW;
	return UI_WALK_OK;
}

static inline struct ui_stage_config *world_resolve(void *arg, u32 pasid, bool has_pasid, enum ui_dma_status *reason)
{
	struct world *w = arg;
	u32 n = has_pasid ? pasid : NO_PASID;

	*reason = has_pasid && !pasid ? UI_DMA_BLOCKED : n >= N_SPACES ? UI_DMA_BAD_PASID : UI_DMA_BLOCKED;
	return (has_pasid && !pasid) || n >= N_SPACES || !w->spaces[n] ? NULL : &w->spaces[n]->cfg;
}

static inline void world_intx(void *arg, bool level)
{
	struct world *w = arg;

	w->n_rises += level && !w->level;
	w->level = level;
}

static inline void world_msg(void *arg, bool msix, unsigned vector)
{
	struct world *w = arg;

	assert_true(vector < 16);
	w->n_msgs[vector]++;
	w->last_msix = msix;
}

static inline void world_wake(void *arg)
{
	((struct world *)arg)->n_wakes++;
}

static inline void world_fault(void *arg, const struct ui_fault *fault)
{
	((struct world *)arg)->n_faults++;
}

static inline struct space *space_new(struct world *w)
{
	struct space *s = ui_zalloc(sizeof(*s));

	assert_non_null(s);
	s->ops.name = "test";
	s->ops.walk = space_walk;
	s->pt.ops = &s->ops;
	s->cfg.kind = UI_CFG_TRANSLATE;
	s->cfg.s1 = (struct ui_stage){ .pt = &s->pt, .present = true };
	assert_int_equal(ui_tr_tag_alloc(w->tr, &s->cfg.tag), 0);
	return s;
}

static inline void fault_handler(int sig, siginfo_t *info, void *ucontext)
{
	if (!ui_safe_recover(sig, info, ucontext))
		signal(sig, SIG_DFL); /* the access is made again, and kills */
}

/* cmocka puts handlers of its own around every test function: one that lets the library meet bad memory starts with this. */
static inline void catch_faults(void)
{
	struct sigaction sa = { .sa_sigaction = fault_handler, .sa_flags = SA_SIGINFO | SA_NODEFER };

	assert_int_equal(sigaction(SIGSEGV, &sa, NULL) | sigaction(SIGBUS, &sa, NULL), 0);
}

static inline void *pages_new(size_t n_bytes)
{
	void *mem = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(mem, MAP_FAILED);
	return mem;
}

static inline void world_open(struct world *w, u8 pasid_bits)
{
	const struct ui_pci_env env = { .intx = world_intx, .msg = world_msg, .wake = world_wake, .arg = w };
	void *bars[UI_PCI_N_BARS] = { 0 };
	char err[200];

	memset(w, 0, sizeof(*w));
	w->ram = pages_new(RAM_BYTES);
	bars[DMA_BAR_DOORBELLS] = w->doorbells = pages_new(8 * PAGE);
	w->mem = ui_mem_create();
	assert_non_null(w->mem);
	assert_int_equal(ui_mem_add_ram(w->mem, RAM_PA, RAM_BYTES, w->ram, true), 0);
	assert_int_equal(ui_mem_add_ram(w->mem, DOORBELL_PA, 8 * PAGE, w->doorbells, true), 0);
	w->tr = ui_tr_create(w->mem);
	assert_non_null(w->tr);
	for (unsigned i = 0; i < N_SPACES; i++)
		w->spaces[i] = space_new(w);
	w->port = ui_dma_open(w->tr, 0x100, world_resolve, w);
	assert_non_null(w->port);
	ui_dma_set_fault_sink(w->port, world_fault, w);
	w->pci = ui_pci_create(ui_pci_model_find("dma"), "", pasid_bits, w->port, bars, err, sizeof(err));
	assert_non_null(w->pci);
	ui_pci_set_env(w->pci, &env);
}

static inline void world_close(struct world *w)
{
	ui_pci_destroy(w->pci);
	ui_dma_close(w->port);
	for (unsigned i = 0; i < N_SPACES; i++) {
		if (!w->spaces[i])
			continue;
		ui_tr_tag_free(w->tr, w->spaces[i]->cfg.tag);
		ui_free(w->spaces[i]);
	}
	ui_tr_destroy(w->tr);
	ui_mem_destroy(w->mem);
	munmap(w->ram, RAM_BYTES);
	munmap(w->doorbells, 8 * PAGE);
}

/* Maps @n pages of space @n_space at @iova to RAM page @page. */
static inline void map(struct world *w, unsigned n_space, u64 iova, unsigned page, unsigned n, unsigned prot)
{
	for (unsigned i = 0; i < n; i++)
		w->spaces[n_space]->pages[iova / PAGE + i] = (RAM_PA + (u64)(page + i) * PAGE) | prot;
	ui_tr_invalidate_tag(w->tr, &w->spaces[n_space]->cfg);
}

static inline void cfg_write(struct world *w, u32 at, u32 val, u32 n_bytes)
{
	ui_pci_config_write(w->pci, at, &val, n_bytes);
}

static inline u32 cfg_read(struct world *w, u32 at, u32 n_bytes)
{
	u32 val = 0;

	ui_pci_config_read(w->pci, at, &val, n_bytes);
	return val;
}

static inline u64 reg_read(struct world *w, u64 at, u32 n_bytes)
{
	u64 val = 0;

	assert_true(ui_pci_bar_read(w->pci, DMA_BAR_REGS, at, &val, n_bytes));
	return val;
}

static inline void reg_write(struct world *w, u64 at, u64 val, u32 n_bytes)
{
	assert_true(ui_pci_bar_write(w->pci, DMA_BAR_REGS, at, &val, n_bytes));
}

static inline u64 chan_at(unsigned chan, unsigned offset)
{
	return DMA_CHAN_BASE + (u64)chan * DMA_CHAN_STRIDE + offset;
}

enum { C_BASE = 0x00, C_LG2 = 0x08, C_PASID = 0x0c, C_CTRL = 0x10, C_STATUS = 0x14, C_HEAD = 0x18, C_TAIL = 0x20 };
enum { G_CTRL = 0x10, G_STATUS = 0x14, G_FAULT_STATUS = 0x20, G_FAULT_INFO = 0x24, G_FAULT_PASID = 0x28, G_FAULT_ADDR = 0x30,
       G_IRQ_STATUS = 0x40, G_IRQ_MASK = 0x44 };

/* Memory decoding and bus mastering on, PASIDs on, device enabled. */
static inline void world_start(struct world *w)
{
	cfg_write(w, PCI_CFG_COMMAND, PCI_CMD_MEM | PCI_CMD_MASTER, 2);
	if (ui_pci_pasid_bits(w->pci))
		cfg_write(w, PCI_CFG_ECAPS + PCI_PASID_CTRL, PCI_PASID_ENABLE, 2);
	reg_write(w, G_CTRL, 1, 4);
}

static inline void chan_start(struct world *w, unsigned chan, u64 base, unsigned lg2, u32 pasid, u32 flags)
{
	reg_write(w, chan_at(chan, C_CTRL), 0, 4);
	reg_write(w, chan_at(chan, C_BASE), base, 8);
	reg_write(w, chan_at(chan, C_LG2), lg2, 4);
	reg_write(w, chan_at(chan, C_PASID), pasid, 4);
	reg_write(w, chan_at(chan, C_CTRL), 1 | flags, 4);
}

/* A descriptor as a driver writes it. */
struct desc {
	u8 op, flags;
	u16 cookie;
	u32 length;
	u64 src, dst;
	u32 src_pasid, dst_pasid;
	u64 record;
	u8 zero[24];
};
_Static_assert(sizeof(struct desc) == DMA_DESC_BYTES, "64 bytes");

struct record {
	u32 status;
	u16 cookie;
	u8 reason, what;
	u64 done, iova;
	u32 pasid, zero;
};
_Static_assert(sizeof(struct record) == DMA_RECORD_BYTES, "32 bytes");

/* Steps until the device rests; fails when that takes more than @max steps. */
static inline unsigned run(struct world *w, unsigned max)
{
	unsigned n = 1;

	while (ui_pci_step(w->pci)) {
		assert_true(n < max);
		n++;
	}
	return n;
}

static inline u64 test_seed(void)
{
	const char *given = getenv("UI_TEST_SEED");
	u64 seed = given ? (u64)strtoull(given, NULL, 0) : (u64)getpid();

	printf("UI_TEST_SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

static inline u64 next_random(u64 *seed)
{
	u64 z = *seed += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

#endif
