/* SPDX-License-Identifier: MIT */
/* The SMMUv3's device half: from registers and structures to accesses and events (Arm IHI 0070; requirements.md, D). */
#include "smmuv3_common.h"

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

enum { SID = 5, SID_BITS = 6, VA = 0x12345000 };

static struct ui_smmuv3_stream *stream;

static int setup(void **state)
{
	rig_new(SID_BITS);
	rig_start();
	stream = ui_smmuv3_stream_open(rig.smmu, SID);
	assert_non_null(stream);
	return 0;
}

static int teardown(void **state)
{
	ui_smmuv3_stream_close(stream);
	rig_end();
	return 0;
}

static void page_is(u64 iova, u32 ssid, bool ssv, u64 pa)
{
	u64 val = 0, mark = 0x1122334455667788 ^ pa ^ iova;

	*at(pa + 8) = mark;
	assert_int_equal(dma_read(stream, iova + 8, ssid, ssv, &val), UI_DMA_OK);
	assert_true(val == mark);
	assert_int_equal(dma_write(stream, iova + 16, ssid, ssv, ~mark), UI_DMA_OK);
	assert_true(*at(pa + 16) == ~mark);
}

static void no_event(void)
{
	u64 evt[4];

	assert_false(event_next(evt));
}

static void event_is(u64 w0, u64 w1, u64 w2, u64 w3)
{
	u64 evt[4];

	assert_true(event_next(evt));
	if (evt[0] != w0 || evt[1] != w1 || evt[2] != w2 || evt[3] != w3)
		fail_msg("event %#lx %#lx %#lx %#lx", (long)evt[0], (long)evt[1], (long)evt[2], (long)evt[3]);
	no_event();
}

/* 6.3.15, 3.11: out of reset accesses pass; GBPA.ABORT ends them; neither is recorded. */
static void while_disabled_gbpa_decides(void **state)
{
	u64 val;

	page_is(PAGES, 0, false, PAGES);
	page_is(PAGES, 7, true, PAGES);
	wr(UI_SMMUV3_REG_GBPA, 1u << 20); /* without UPDATE */
	page_is(PAGES, 0, false, PAGES);
	wr(UI_SMMUV3_REG_GBPA, 1u << 31 | 1u << 20);
	assert_int_equal(rd(UI_SMMUV3_REG_GBPA), 1u << 20);
	assert_int_equal(dma_read(stream, PAGES, 0, false, &val), UI_DMA_BLOCKED);
	no_event();
}

/* 5.2 Config. */
static void configs_without_tables(void **state)
{
	u64 *ste = ste_of(SID), val;

	rig_enable(SID_BITS);
	ste_on(ste, UI_SMMUV3_CONFIG_BYPASS);
	page_is(PAGES, 0, false, PAGES);
	/* 3.4: the address is the output address, and must be one. */
	assert_int_equal(dma_read(stream, (u64)1 << 48, 0, false, &val), UI_DMA_ADDR_SIZE);
	event_is(0x11 | (u64)SID << 32, (u64)1 << 35 | (u64)2 << 40, (u64)1 << 48, 0);
	/* 7.3.9: no stage 1, no substreams. */
	assert_int_equal(dma_read(stream, PAGES, 3, true, &val), UI_DMA_BAD_PASID);
	event_is(0x08 | (u64)3 << 12 | (u64)SID << 32, 0, 0, 0);
	ste_on(ste, UI_SMMUV3_CONFIG_ABORT);
	command(0x03 | (u64)SID << 32, 1);
	assert_int_equal(dma_read(stream, PAGES, 0, false, &val), UI_DMA_BLOCKED);
	no_event();
}

static void stage_1(void **state)
{
	u64 root = take(PAGE, PAGE), *ste = ste_of(SID), val;

	rig_enable(SID_BITS);
	cd_set(at(CDTAB), root, 1);
	ste_s1(ste, CDTAB, 0, 0, 0);
	ste_on(ste, UI_SMMUV3_CONFIG_S1);
	map_page(root, VA, PAGES, S1_LEAF);
	map_page(root, VA + PAGE, PAGES + PAGE, S1_LEAF | 1 << 7);
	map_page(root, VA + 2 * PAGE, PAGES, S1_LEAF & ~((u64)1 << 10));
	page_is(VA, 0, false, PAGES);
	assert_int_equal(dma_write(stream, VA + PAGE, 0, false, 1), UI_DMA_PERMISSION);
	event_is(0x13 | (u64)SID << 32, (u64)2 << 40, VA + PAGE, 0);
	assert_int_equal(dma_read(stream, VA + 2 * PAGE, 0, false, &val), UI_DMA_ACCESS);
	event_is(0x12 | (u64)SID << 32, (u64)2 << 40 | (u64)1 << 35, VA + 2 * PAGE, 0);
	assert_int_equal(dma_read(stream, VA - 8, 0, false, &val), UI_DMA_TRANSLATION);
	event_is(0x10 | (u64)SID << 32, (u64)2 << 40 | (u64)1 << 35, VA - 8, 0);
	/* The upper half is disabled. */
	assert_int_equal(dma_read(stream, ~(u64)0xfff, 0, false, &val), UI_DMA_TRANSLATION);
	event_is(0x10 | (u64)SID << 32, (u64)2 << 40 | (u64)1 << 35, ~(u64)0xfff, 0);
	/* A table outside memory. */
	*at(root) = 0x7000000003;
	command(0x11, 0);
	assert_int_equal(dma_read(stream, VA + 3 * PAGE, 0, false, &val), UI_DMA_WALK_ABORT);
	event_is(0x0b | (u64)SID << 32, (u64)1 << 35 | (u64)1 << 40, VA + 3 * PAGE, 0x7000000000);
	assert_int_equal(rig.n_irqs[UI_SMMUV3_IRQ_EVENTQ], 5);
}

static void stage_2(void **state)
{
	u64 root = take(PAGE, PAGE), *ste = ste_of(SID), val;

	rig_enable(SID_BITS);
	ste_s2(ste, root, 7);
	ste_on(ste, UI_SMMUV3_CONFIG_S2);
	map_page(root, VA, PAGES, S2_LEAF);
	page_is(VA, 0, false, PAGES);
	assert_int_equal(dma_read(stream, VA + PAGE + 4, 0, false, &val), UI_DMA_TRANSLATION);
	event_is(0x10 | (u64)SID << 32, (u64)2 << 40 | (u64)1 << 39 | (u64)1 << 35, VA + PAGE + 4, VA + PAGE);
}

/* Stage 1's tables and the CD lie where stage 2 says: at the ipa 4 GiB above. */
static void nested(void **state)
{
	u64 far = (u64)4 << 30, s1 = take(PAGE, PAGE), s2 = take(PAGE, PAGE), *ste = ste_of(SID), val;

	rig_enable(SID_BITS);
	for (u64 pa = RAM; pa < RAM + 0x200000; pa += PAGE)
		map_page(s2, pa + far, pa, S2_LEAF);
	map_page(s2, 0x5000, PAGES, S2_LEAF);
	map_page(s1, VA, 0x5000, S1_LEAF);
	map_page(s1, VA + PAGE, 0x6000, S1_LEAF);
	/* map_page() wrote pas into tables: make them ipas. */
	for (u64 table = s1, level = 3; level; level--) {
		u64 *entry = at(table + (((u64)VA >> (12 + 9 * level)) & 511) * 8);

		table = *entry & ui_mask_range(47, 12);
		*entry += far;
	}
	cd_set(at(CDTAB), s1 + far, 9);
	ste_s1(ste, CDTAB + far, 0, 0, 0);
	ste_s2(ste, s2, 7);
	ste_on(ste, UI_SMMUV3_CONFIG_NESTED);
	page_is(VA, 0, false, PAGES);
	assert_int_equal(dma_read(stream, VA + PAGE + 8, 0, false, &val), UI_DMA_TRANSLATION);
	event_is(0x10 | (u64)SID << 32, (u64)2 << 40 | (u64)1 << 39 | (u64)1 << 35, VA + PAGE + 8, 0x6000);
	/* 7.3.13 CLASS: a table of stage 1 that stage 2 does not map; then the CD. */
	*at(s1) = 0x8000003;
	command(0x10 | (u64)7 << 32, 0);
	assert_int_equal(dma_read(stream, VA, 0, false, &val), UI_DMA_TRANSLATION);
	event_is(0x10 | (u64)SID << 32, (u64)1 << 40 | (u64)1 << 39 | (u64)1 << 35, VA, 0x8000000);
	ste_s1(ste, 0x9000040, 0, 0, 0);
	command(0x03 | (u64)SID << 32, 1);
	assert_int_equal(dma_read(stream, VA, 0, false, &val), UI_DMA_TRANSLATION);
	event_is(0x10 | (u64)SID << 32, (u64)1 << 39 | (u64)1 << 35, VA, 0x9000000);
}

/* D4: what no SubstreamID means, with substream 5 in use; linear and both two-level tables. */
static void substreams(void **state)
{
	u64 roots[2] = { take(PAGE, PAGE), take(PAGE, PAGE) }, *ste = ste_of(SID), val;

	rig_enable(SID_BITS);
	map_page(roots[0], VA, PAGES, S1_LEAF);
	map_page(roots[1], VA, PAGES + PAGE, S1_LEAF);
	for (unsigned fmt = 0; fmt < 3; fmt++) {
		u64 leaf = take(1024 * 64, 1024 * 64), table = fmt ? take(0x20000, 0x20000) : leaf; /* of 2^14 L1CDs */

		if (fmt)
			*at(table) = leaf | 1;
		cd_set(at(leaf), roots[0], 1);
		cd_set(at(leaf + 5 * 64), roots[1], 2);
		for (unsigned dss = 0; dss < 3; dss++) {
			memset(ste, 0, 64);
			ste_s1(ste, table, fmt ? 20 : 5, fmt, dss);
			ste_on(ste, UI_SMMUV3_CONFIG_S1);
			command(0x03 | (u64)SID << 32, 1);
			page_is(VA, 5, true, PAGES + PAGE);
			if (dss == UI_SMMUV3_S1DSS_SSID0) {
				page_is(VA, 0, false, PAGES);
				assert_int_equal(dma_read(stream, VA, 0, true, &val), UI_DMA_BAD_PASID);
				event_is(0x06 | (u64)SID << 32, 0, 0, 0);
			} else if (dss == UI_SMMUV3_S1DSS_BYPASS) {
				page_is(PAGES, 0, false, PAGES);
				page_is(VA, 0, true, PAGES);
			} else {
				assert_int_equal(dma_read(stream, VA, 0, false, &val), UI_DMA_BAD_PASID);
				event_is(0x06 | (u64)SID << 32, 0, 0, 0);
				page_is(VA, 0, true, PAGES);
			}
			/* Beyond the table; in a leaf that is not there. */
			assert_int_equal(dma_read(stream, VA, fmt ? 0xfffff : 32, true, &val), UI_DMA_BAD_PASID);
			event_is(0x08 | (u64)(fmt ? 0xfffff : 32) << 12 | (u64)SID << 32, 0, 0, 0);
		}
	}
}

/* 7.3.3 to 7.3.5, 7.3.10: structures that are not there or not valid. */
static void configuration_errors(void **state)
{
	struct ui_smmuv3_stream *far = ui_smmuv3_stream_open(rig.smmu, 64);
	u64 *ste = ste_of(SID), val;

	rig_enable(SID_BITS);
	assert_int_equal(dma_read(far, VA, 0, false, &val), UI_DMA_BLOCKED);
	event_is(0x02 | (u64)64 << 32, 0, 0, 0);
	ui_smmuv3_stream_close(far);
	assert_int_equal(dma_read(stream, VA, 1, true, &val), UI_DMA_MALFORMED);
	event_is(0x04 | (u64)1 << 11 | (u64)1 << 12 | (u64)SID << 32, 0, 0, 0);
	ste_s1(ste, 0x100000000, 0, 0, 0);
	ste_on(ste, UI_SMMUV3_CONFIG_S1);
	assert_int_equal(dma_read(stream, VA, 0, false, &val), UI_DMA_WALK_ABORT);
	event_is(0x09 | (u64)SID << 32, 0, 0, 0x100000000);
	ste_s1(ste, CDTAB, 0, 0, 0);
	assert_int_equal(dma_read(stream, VA, 0, false, &val), UI_DMA_MALFORMED);
	event_is(0x0a | (u64)SID << 32, 0, 0, 0);
	/* Two levels, and the table in no memory. */
	wr(UI_SMMUV3_REG_CR0, 0xc);
	wr64(UI_SMMUV3_REG_STRTAB_BASE, STRTAB);
	wr(UI_SMMUV3_REG_STRTAB_BASE_CFG, 1u << 16 | 6u << 6 | 16);
	memset(at(STRTAB), 0, PAGE);
	wr(UI_SMMUV3_REG_CR0, 0xd);
	assert_int_equal(dma_read(stream, VA, 0, false, &val), UI_DMA_BLOCKED);
	event_is(0x02 | (u64)SID << 32, 0, 0, 0);
	*at(STRTAB) = 0x9000000000 | 4;
	assert_int_equal(dma_read(stream, VA, 0, false, &val), UI_DMA_WALK_ABORT);
	event_is(0x03 | (u64)SID << 32, 0, 0, 0x9000000000 + SID * 64);
	*at(STRTAB) = (STRTAB + PAGE) | 4;
	ste_on(at(STRTAB + PAGE + SID * 64), UI_SMMUV3_CONFIG_BYPASS);
	page_is(PAGES, 0, false, PAGES);
}

/* 4.3, 4.4: what is cached stays until a command takes it away, and then is gone; the cache can be asked which it is. */
static void caches_and_commands(void **state)
{
	u64 root = take(PAGE, PAGE), other = take(PAGE, PAGE), *ste = ste_of(SID);
	const struct ui_dma_addr where = { .iova = VA };

	rig_enable(SID_BITS);
	cd_set(at(CDTAB), root, 1);
	ste_s1(ste, CDTAB, 0, 0, 0);
	ste_s2(ste, 0, 3);
	ste_on(ste, UI_SMMUV3_CONFIG_S1);
	map_page(root, VA, PAGES, S1_LEAF);
	map_page(other, VA, PAGES + 2 * PAGE, S1_LEAF);
	page_is(VA, 0, false, PAGES);
	assert_int_equal(ui_smmuv3_stream_cached(stream, &where, UI_PROT_READ), UI_SMMUV3_CACHE_GOOD);
	map_page(root, VA, PAGES + PAGE, S1_LEAF);
	page_is(VA, 0, false, PAGES);
	assert_int_equal(ui_smmuv3_stream_cached(stream, &where, UI_PROT_READ), UI_SMMUV3_CACHE_TLB);
	/* Another VMID's, another ASID's, another page's. */
	command(0x10 | (u64)4 << 32, 0);
	command(0x11 | (u64)3 << 32 | (u64)2 << 48, 0);
	command(0x12 | (u64)3 << 32 | (u64)1 << 48, VA + PAGE);
	command(0x13 | (u64)4 << 32, VA);
	command(0x2a | (u64)3 << 32, VA);
	page_is(VA, 0, false, PAGES);
	command(0x12 | (u64)3 << 32 | (u64)1 << 48, VA);
	page_is(VA, 0, false, PAGES + PAGE);
	/* A range: 4 pages from one below (TG 4K, NUM 3). */
	map_page(root, VA, PAGES, S1_LEAF);
	command(0x13 | (u64)3 << 32 | 3 << 12, (VA - PAGE) | 1 << 10);
	page_is(VA, 0, false, PAGES);
	/* Configuration. */
	cd_set(at(CDTAB), other, 1);
	page_is(VA, 0, false, PAGES);
	assert_int_equal(ui_smmuv3_stream_cached(stream, &where, UI_PROT_READ), UI_SMMUV3_CACHE_CONFIG);
	command(0x05 | (u64)(SID + 1) << 32, 1);
	command(0x05 | (u64)1 << 12 | (u64)SID << 32, 1);
	page_is(VA, 0, false, PAGES);
	command(0x05 | (u64)SID << 32, 1);
	page_is(VA, 0, false, PAGES + 2 * PAGE);
	memset(ste, 0, 64);
	ste_on(ste, UI_SMMUV3_CONFIG_BYPASS);
	command(0x04 | (u64)SID << 32, 31);
	page_is(PAGES, 0, false, PAGES);
}

/* 7.1, 7.5, 4.7.3. */
static void command_errors_and_sync(void **state)
{
	rig_enable(SID_BITS);
	command(0x46 | 1 << 12, 0);
	assert_int_equal(rig.n_irqs[UI_SMMUV3_IRQ_CMD_SYNC], 1);
	command(0x46 | 1 << 12 | (u64)0xabcd << 32, MSI);
	assert_int_equal(rig.n_irqs[UI_SMMUV3_IRQ_CMD_SYNC], 1);
	assert_int_equal(*at(MSI), 0xabcd);
	command(0xff, 0);
	command(0x46, 0);
	assert_int_equal(rd(UI_SMMUV3_REG_CMDQ_CONS), 2 | 1 << 24);
	assert_int_equal(rd(UI_SMMUV3_REG_GERROR), 1);
	assert_int_equal(rig.n_irqs[UI_SMMUV3_IRQ_GERROR], 1);
	*at(CMDQ + 2 * 16) = 0x46;
	wr(UI_SMMUV3_REG_GERRORN, 1);
	assert_int_equal(rd(UI_SMMUV3_REG_CMDQ_CONS) & 0xfffff, 4);
	/* Wraps: 16 entries. */
	for (unsigned i = 0; i < 40; i++)
		command(0x46, 0);
	assert_int_equal(rd(UI_SMMUV3_REG_CMDQ_CONS) & 0xfffff, rig.cmd_prod);
	/* A message that nobody takes. */
	command(0x46 | 1 << 12, 0x10);
	assert_int_equal(rd(UI_SMMUV3_REG_GERROR) ^ rd(UI_SMMUV3_REG_GERRORN), 1 << 4);
	/* A queue in no memory. */
	wr(UI_SMMUV3_REG_CR0, 0x5);
	wr64(UI_SMMUV3_REG_CMDQ_BASE, 0x700000000);
	wr(UI_SMMUV3_REG_CR0, 0xd);
	wr(UI_SMMUV3_REG_CMDQ_PROD, rig.cmd_prod ^ 1);
	assert_int_equal(rd(UI_SMMUV3_REG_CMDQ_CONS) >> 24, 2);
}

/* 7.2, 7.4. */
static void a_full_event_queue_overflows(void **state)
{
	u64 val, evt[4];

	rig_enable(SID_BITS);
	for (unsigned i = 0; i < 10; i++)
		dma_read(stream, VA + i, 0, false, &val);
	assert_int_equal(rd(UI_SMMUV3_REG_EVENTQ_PROD), 1u << 31 | 8);
	for (unsigned i = 0; i < 8; i++)
		assert_true(event_next(evt));
	no_event();
	assert_int_equal(rig.n_irqs[UI_SMMUV3_IRQ_EVENTQ], 1);
	wr(UI_SMMUV3_REG_EVENTQ_CONS, 1u << 31 | 8);
	dma_read(stream, VA, 0, false, &val);
	assert_true(event_next(evt));
	assert_int_equal(rig.n_irqs[UI_SMMUV3_IRQ_EVENTQ], 2);
	assert_int_equal(rd(UI_SMMUV3_REG_EVENTQ_PROD), 1u << 31 | 9);
}

/* 6.2: widths, halves, what is guarded. */
static void registers(void **state)
{
	u64 val;

	assert_false(ui_smmuv3_read(rig.smmu, 0, 2, &val));
	assert_false(ui_smmuv3_read(rig.smmu, 2, 4, &val));
	assert_false(ui_smmuv3_read(rig.smmu, 0x20, 8, &val));
	assert_false(ui_smmuv3_read(rig.smmu, UI_SMMUV3_MMIO_BYTES, 4, &val));
	assert_int_equal(rd(UI_SMMUV3_REG_AIDR), 2);
	assert_int_equal(rd(UI_SMMUV3_REG_IDR1) & 0x3f, SID_BITS);
	wr64(UI_SMMUV3_REG_STRTAB_BASE, 0x4000123456789fff);
	assert_true(rd64(UI_SMMUV3_REG_STRTAB_BASE) == 0x4000123456789fc0);
	wr(UI_SMMUV3_REG_STRTAB_BASE + 4, 0x40000001);
	assert_true(rd64(UI_SMMUV3_REG_STRTAB_BASE) == 0x4000000156789fc0);
	assert_int_equal(rd(UI_SMMUV3_REG_STRTAB_BASE + 4), 0x40000001);
	rig_enable(SID_BITS);
	wr64(UI_SMMUV3_REG_STRTAB_BASE, 0);
	assert_true(rd64(UI_SMMUV3_REG_STRTAB_BASE) == STRTAB);
	wr64(UI_SMMUV3_REG_CMDQ_BASE, 0);
	assert_true(rd64(UI_SMMUV3_REG_CMDQ_BASE) == (CMDQ | CMDQ_LG2));
	/* Page 0's copies of the event queue's indices. */
	assert_int_equal(rd(0xa8), rd(UI_SMMUV3_REG_EVENTQ_PROD));
	ui_smmuv3_reset(rig.smmu);
	assert_int_equal(rd(UI_SMMUV3_REG_CR0), 0);
	assert_true(!rd64(UI_SMMUV3_REG_STRTAB_BASE));
	page_is(PAGES, 0, false, PAGES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(while_disabled_gbpa_decides), T(configs_without_tables), T(stage_1), T(stage_2), T(nested), T(substreams),
		T(configuration_errors), T(caches_and_commands), T(command_errors_and_sync), T(a_full_event_queue_overflows),
		T(registers),
	};

	if (ui_safe_install())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
