/* SPDX-License-Identifier: MIT */
/* An SMMU over 64 MiB of RAM, and what a driver would write there by hand. */
#ifndef TESTS_SMMUV3_COMMON_H
#define TESTS_SMMUV3_COMMON_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bits.h"
#include "base/safe.h"
#include "models/smmuv3/smmuv3.h"

enum {
	RAM = 0x40000000,
	RAM_BYTES = 64 << 20,
	/* Places in RAM. */
	STRTAB = RAM + 0x10000,
	CMDQ = RAM + 0x80000,
	EVENTQ = RAM + 0x90000,
	CDTAB = RAM + 0xa0000,
	MSI = RAM + 0xff000,
	HEAP = RAM + 0x100000, /* tables */
	PAGES = RAM + 0x2000000, /* what is mapped */
	CMDQ_LG2 = 4,
	EVENTQ_LG2 = 3,
	PAGE = 4096,
};

struct smmu_rig {
	struct ui_mem *mem;
	u8 *ram;
	struct ui_smmuv3 *smmu;
	struct ui_smmuv3_cfg cfg;
	u64 heap;
	u32 cmd_prod;
	unsigned n_irqs[4];
};

static struct smmu_rig rig;

static inline u64 *at(u64 pa)
{
	assert_true(pa >= RAM && pa < RAM + (u64)RAM_BYTES);
	return (u64 *)(void *)(rig.ram + (pa - RAM));
}

static inline u64 take(u64 n_bytes, u64 align)
{
	u64 pa = ui_align_up(rig.heap, align);

	rig.heap = pa + n_bytes;
	memset(at(pa), 0, n_bytes);
	return pa;
}

static inline u32 rd(u64 offset)
{
	u64 val;

	assert_true(ui_smmuv3_read(rig.smmu, offset, 4, &val));
	return (u32)val;
}

static inline u64 rd64(u64 offset)
{
	u64 val;

	assert_true(ui_smmuv3_read(rig.smmu, offset, 8, &val));
	return val;
}

static inline void wr(u64 offset, u32 val)
{
	assert_true(ui_smmuv3_write(rig.smmu, offset, 4, val));
}

static inline void wr64(u64 offset, u64 val)
{
	assert_true(ui_smmuv3_write(rig.smmu, offset, 8, val));
}

static inline void count_irq(void *arg, enum ui_smmuv3_irq irq)
{
	rig.n_irqs[irq]++;
}

static inline void rig_new(unsigned sid_bits)
{
	memset(&rig, 0, sizeof(rig));
	rig.ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(rig.ram, MAP_FAILED);
	rig.mem = ui_mem_create();
	assert_int_equal(ui_mem_add_ram(rig.mem, RAM, RAM_BYTES, rig.ram, true), 0);
	rig.heap = HEAP;
	ui_smmuv3_cfg_init(&rig.cfg, sid_bits);
	rig.cfg.irq = count_irq;
}

/* After rig_new(), and what a test changes of rig.cfg. */
static inline void rig_start(void)
{
	assert_int_equal(ui_smmuv3_create(rig.mem, &rig.cfg, &rig.smmu), 0);
}

static inline void rig_end(void)
{
	ui_smmuv3_destroy(rig.smmu);
	ui_mem_destroy(rig.mem);
	munmap(rig.ram, RAM_BYTES);
}

/* Queues on, a linear stream table of 2^@sid_bits entries in force. */
static inline void rig_enable(unsigned sid_bits)
{
	wr64(UI_SMMUV3_REG_STRTAB_BASE, STRTAB);
	wr(UI_SMMUV3_REG_STRTAB_BASE_CFG, sid_bits);
	wr64(UI_SMMUV3_REG_CMDQ_BASE, CMDQ | CMDQ_LG2);
	wr64(UI_SMMUV3_REG_EVENTQ_BASE, EVENTQ | EVENTQ_LG2);
	wr(UI_SMMUV3_REG_CR2, 2); /* RECINVSID */
	wr(UI_SMMUV3_REG_IRQ_CTRL, 5);
	wr(UI_SMMUV3_REG_CR0, 0xd);
	assert_int_equal(rd(UI_SMMUV3_REG_CR0ACK), 0xd);
}

static inline void command(u64 w0, u64 w1)
{
	u64 *entry = at(CMDQ + (rig.cmd_prod & 15) * 16);

	entry[0] = w0;
	entry[1] = w1;
	rig.cmd_prod = (rig.cmd_prod + 1) & 31;
	wr(UI_SMMUV3_REG_CMDQ_PROD, rig.cmd_prod);
}

/* The oldest event, taken out. False: none. */
static inline bool event_next(u64 evt[4])
{
	u32 prod = rd(UI_SMMUV3_REG_EVENTQ_PROD), cons = rd(UI_SMMUV3_REG_EVENTQ_CONS);

	if ((prod & 15) == (cons & 15))
		return false;
	memcpy(evt, at(EVENTQ + (cons & 7) * 32), 32);
	wr(UI_SMMUV3_REG_EVENTQ_CONS, (cons & ~15u) | ((cons + 1) & 15));
	return true;
}

static inline u64 *ste_of(u32 sid)
{
	return at(STRTAB + (u64)sid * 64);
}

/* 4K tables with four levels from @root: @pa at @va with the leaf attributes @attrs, tables as @table_bits say. */
static inline void map_page(u64 root, u64 va, u64 pa, u64 attrs)
{
	u64 table = root;

	for (unsigned level = 3; level; level--) {
		u64 *entry = at(table + ((va >> (12 + 9 * level)) & 511) * 8);

		if (!*entry)
			*entry = take(PAGE, PAGE) | 3;
		table = *entry & ui_mask_range(47, 12);
	}
	*at(table + ((va >> 12) & 511) * 8) = pa | attrs | 3;
}

#define S1_LEAF ((u64)1 << 10 | (u64)1 << 6 | (u64)3 << 8 | (u64)1 << 11) /* AF, unprivileged, inner shareable, nG; writable */
#define S2_LEAF ((u64)1 << 10 | (u64)3 << 6 | (u64)0xf << 2)              /* AF, RW, write-back */

/* A CD for 48 bits of lower half in 4K tables at @root. */
static inline void cd_set(u64 *cd, u64 root, u16 asid)
{
	memset(cd, 0, 64);
	ui_hw_set(cd, UI_SMMUV3_CD_T0SZ, 16);
	ui_hw_set(cd, UI_SMMUV3_CD_EPD1, 1);
	ui_hw_set(cd, UI_SMMUV3_CD_IPS, UI_SMMUV3_PS_48);
	ui_hw_set(cd, UI_SMMUV3_CD_AA64, 1);
	ui_hw_set(cd, UI_SMMUV3_CD_R, 1);
	ui_hw_set(cd, UI_SMMUV3_CD_A, 1);
	ui_hw_set(cd, UI_SMMUV3_CD_ASID, asid);
	ui_hw_set_addr(cd, UI_SMMUV3_CD_TTB0, root);
	ui_hw_set(cd, UI_SMMUV3_CD_V, 1);
}

static inline void ste_s1(u64 *ste, u64 cdtab, unsigned cdmax, unsigned fmt, unsigned dss)
{
	ui_hw_set(ste, UI_SMMUV3_STE_S1Fmt, fmt);
	ui_hw_set_addr(ste, UI_SMMUV3_STE_S1ContextPtr, cdtab);
	ui_hw_set(ste, UI_SMMUV3_STE_S1CDMax, cdmax);
	ui_hw_set(ste, UI_SMMUV3_STE_S1DSS, dss);
}

/* Stage 2 of 48 bits in 4K tables of four levels at @root. */
static inline void ste_s2(u64 *ste, u64 root, u16 vmid)
{
	ui_hw_set(ste, UI_SMMUV3_STE_S2VMID, vmid);
	ui_hw_set(ste, UI_SMMUV3_STE_S2T0SZ, 16);
	ui_hw_set(ste, UI_SMMUV3_STE_S2SL0, 2);
	ui_hw_set(ste, UI_SMMUV3_STE_S2PS, UI_SMMUV3_PS_48);
	ui_hw_set(ste, UI_SMMUV3_STE_S2AA64, 1);
	ui_hw_set(ste, UI_SMMUV3_STE_S2R, 1);
	ui_hw_set_addr(ste, UI_SMMUV3_STE_S2TTB, root);
}

static inline void ste_on(u64 *ste, unsigned config)
{
	ui_hw_set(ste, UI_SMMUV3_STE_Config, config);
	ui_hw_set(ste, UI_SMMUV3_STE_V, 1);
}

/* An access of 8 bytes. */
static inline enum ui_dma_status dma_read(struct ui_smmuv3_stream *s, u64 iova, u32 ssid, bool ssv, u64 *val)
{
	const struct ui_dma_addr where = { .iova = iova, .pasid = ssid, .has_pasid = ssv };

	return ui_dma_read(ui_smmuv3_stream_dma(s), &where, val, 8, NULL, NULL);
}

static inline enum ui_dma_status dma_write(struct ui_smmuv3_stream *s, u64 iova, u32 ssid, bool ssv, u64 val)
{
	const struct ui_dma_addr where = { .iova = iova, .pasid = ssid, .has_pasid = ssv };

	return ui_dma_write(ui_smmuv3_stream_dma(s), &where, &val, 8, NULL, NULL);
}

#endif
