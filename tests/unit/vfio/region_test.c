/* SPDX-License-Identifier: MIT */
/* pread, pwrite, mmap and the virtual configuration space: devices-and-transports.md 1.10, 2.1 to 2.3. */
#include "common.h"

static void offsets_and_ends(void **state)
{
	static const u64 sizes[9] = { 16 << 10, 0, 32 << 10, 0, 8 << 10, 0, 0, 4096, 0 };
	struct stand *s = *state;
	u8 buf[4096];

	for (u64 i = 0; i < 20; i++) {
		u64 size = i < 9 ? sizes[i] : 0;
		s64 beyond = i == 7 ? -EFAULT : -EINVAL;

		assert_int_equal(ui_vfio_pread(s->v, buf, 0, REGION(i)), 0);
		assert_int_equal(ui_vfio_pread(s->v, buf, 4, REGION(i) + size), beyond);
		assert_int_equal(ui_vfio_pwrite(s->v, buf, 4, REGION(i) + size), beyond);
		assert_int_equal(ui_vfio_pread(s->v, buf, 4, REGION(i) + ((u64)1 << 40) - 4), beyond);
	}
	/* A BAR's end cuts, configuration's refuses. */
	assert_int_equal(ui_vfio_pread(s->v, buf, 8, REGION(0) + (16 << 10) - 4), 4);
	assert_int_equal(ui_vfio_pread(s->v, buf, ~(u64)0 >> 1, REGION(2) + (32 << 10) - 8), 8);
	assert_int_equal(ui_vfio_pread(s->v, buf, 8, REGION(7) + 4092), -EFAULT);
	assert_int_equal(ui_vfio_pwrite(s->v, buf, 4097, REGION(7)), -EFAULT);
	assert_int_equal(ui_vfio_pread(s->v, buf, ~(u64)0, REGION(7) + 1), -EFAULT);
	assert_int_equal(ui_vfio_pread(s->v, buf, 4096, REGION(7)), 4096);
	assert_int_equal(ui_pci_get32(buf), 0x00016975);
	assert_int_equal(ui_vfio_pread(s->v, buf, 4, ~(u64)0), -EINVAL);
}

static void bad_buffers_are_efault(void **state)
{
	struct stand *s = *state;
	static const u64 places[] = { REGION(0), REGION(2), REGION(4), REGION(4) + 0x1000, REGION(7), REGION(7) + 0x40 };
	u8 zero[64] = { 0 };

	catch_faults();
	for (unsigned i = 0; i < ui_array_size(places); i++) {
		bool table = places[i] == REGION(4);

		assert_int_equal(ui_vfio_pread(s->v, NULL, 4, places[i]), -EFAULT);
		assert_int_equal(ui_vfio_pread(s->v, no_page(), 4, places[i]), -EFAULT);
		assert_int_equal(ui_vfio_pread(s->v, ro_page(zero, 64), 4, places[i]), -EFAULT);
		/* The MSI-X table swallows writes without a look. */
		assert_int_equal(ui_vfio_pwrite(s->v, no_page(), 4, places[i]), table ? 4 : -EFAULT);
	}
}

static void registers_by_width(void **state)
{
	struct stand *s = *state;
	u64 val = 0x123456789abcde40, got = 0;

	assert_int_equal(ui_vfio_pwrite(s->v, &val, 8, REGION(0) + chan_at(2, C_BASE)), 8);
	assert_int_equal(ui_vfio_pread(s->v, &got, 8, REGION(0) + chan_at(2, C_BASE)), 8);
	assert_int_equal(got, val);
	got = 0;
	assert_int_equal(ui_vfio_pread(s->v, &got, 4, REGION(0)), 4);
	assert_int_equal(got, DMA_ID);
	/* Not aligned: cut into naturally aligned accesses, which these registers do not take. */
	assert_int_equal(ui_vfio_pread(s->v, &got, 8, REGION(0) + chan_at(2, C_BASE) + 1), 8);
}

static void bars_need_memory_decoding(void **state)
{
	struct stand *s = *state;
	u32 val = 0;

	for (unsigned bar = 0; bar < 6; bar += 2) {
		vcfg_write(s, PCI_CFG_COMMAND, 0, 2);
		assert_int_equal(ui_vfio_pread(s->v, &val, 4, REGION(bar) + 0x1000), -EIO);
		assert_int_equal(ui_vfio_pwrite(s->v, &val, 4, REGION(bar) + 0x1000), -EIO);
		vcfg_write(s, PCI_CFG_COMMAND, PCI_CMD_MEM, 2);
		assert_int_equal(ui_vfio_pread(s->v, &val, 4, REGION(bar) + 0x1000), 4);
		vcfg_write(s, 0x40 + PCI_PM_CTRL, 3, 2);
		assert_int_equal(vcfg_read(s, 0x40 + PCI_PM_CTRL, 2) & 3, 3);
		assert_int_equal(ui_vfio_pread(s->v, &val, 4, REGION(bar) + 0x1000), -EIO);
		vcfg_write(s, 0x40 + PCI_PM_CTRL, 0, 2);
	}
}

static void msix_table_is_not_for_programs(void **state)
{
	struct stand *s = *state;
	u8 buf[32], zero[32] = { 0 };

	assert_int_equal(ui_vfio_pwrite(s->v, zero, 32, REGION(4)), 32);
	assert_int_equal(ui_vfio_pread(s->v, buf, 32, REGION(4) + 8 * 16), 32); /* the last entry and 16 bytes after it */
	for (unsigned i = 0; i < 32; i++)
		assert_int_equal(buf[i], i < 16 ? 0xff : 0);
	assert_true(ui_pci_bar_read(s->w.pci, 4, 0, buf, 16));
	assert_int_equal(buf[12], 1); /* still masked */
}

static void doorbell_memory(void **state)
{
	struct stand *s = *state;
	u8 out[100], in[100];

	for (unsigned i = 0; i < 100; i++)
		out[i] = (u8)(i + 1);
	assert_int_equal(ui_vfio_pwrite(s->v, out, 100, REGION(2) + 0x1fd3), 100);
	assert_int_equal(ui_vfio_pread(s->v, in, 100, REGION(2) + 0x1fd3), 100);
	assert_memory_equal(in, out, 100);
	assert_memory_equal(s->w.doorbells + 0x1fd3, out, 100);
}

static void mmap_permission(void **state)
{
	struct stand *s = *state;
	unsigned bar = 9;
	u64 at = 9;

	for (u64 i = 0; i < 12; i++)
		assert_int_equal(ui_vfio_mmap(s->v, REGION(i), PAGE, true, &bar, &at), i == 2 ? 0 : -EINVAL);
	assert_int_equal(bar, 2);
	assert_int_equal(at, 0);
	assert_int_equal(ui_vfio_mmap(s->v, REGION(2) + 3 * PAGE, 5 * PAGE, true, &bar, &at), 0);
	assert_int_equal(at, 3 * PAGE);
	assert_int_equal(ui_vfio_mmap(s->v, REGION(2), 32 << 10, true, &bar, &at), 0);
	assert_int_equal(ui_vfio_mmap(s->v, REGION(2), 32 << 10, false, &bar, &at), -EINVAL);
	assert_int_equal(ui_vfio_mmap(s->v, REGION(2), (32 << 10) + 1, true, &bar, &at), -EINVAL);
	assert_int_equal(ui_vfio_mmap(s->v, REGION(2) + 3 * PAGE, 6 * PAGE, true, &bar, &at), -EINVAL);
	assert_int_equal(ui_vfio_mmap(s->v, REGION(2) + PAGE, ~(u64)0, true, &bar, &at), -EINVAL);
	assert_int_equal(ui_vfio_mmap(s->v, REGION(2) + 8 * PAGE, PAGE, true, &bar, &at), -EINVAL);
	assert_int_equal(ui_vfio_mmap(s->v, REGION(2) + 8, PAGE, true, &bar, &at), -EINVAL);
	assert_int_equal(ui_vfio_mmap(s->v, REGION(2), 0, true, &bar, &at), -EINVAL);
}

/* ---- configuration ---- */

static void config_header(void **state)
{
	struct stand *s = *state;

	assert_int_equal(vcfg_read(s, 0, 4), 0x00016975);
	assert_int_equal(vcfg_read(s, 8, 4), 0x08800001);
	vcfg_write(s, 0, 0xffffffff, 4);
	assert_int_equal(vcfg_read(s, 0, 4), 0x00016975);
	assert_int_equal(vcfg_read(s, PCI_CFG_COMMAND, 2), PCI_CMD_MEM); /* bus master off */
	vcfg_write(s, PCI_CFG_COMMAND, PCI_CMD_MEM | PCI_CMD_MASTER, 2);
	assert_true(ui_pci_bus_master(s->w.pci));
	vcfg_write(s, PCI_CFG_COMMAND, PCI_CMD_MEM, 2);
	assert_false(ui_pci_bus_master(s->w.pci));
	vcfg_write(s, PCI_CFG_STATUS, 0xffff, 2);
	assert_int_equal(vcfg_read(s, PCI_CFG_STATUS, 2), PCI_STATUS_CAP_LIST);
	vcfg_write(s, PCI_CFG_INT_LINE, 0x020b, 2);
	assert_int_equal(vcfg_read(s, PCI_CFG_INT_LINE, 2), 0x010b);
	vcfg_write(s, PCI_CFG_CACHE_LINE, 0x10, 1);
	assert_int_equal(vcfg_read(s, PCI_CFG_CACHE_LINE, 1), 0x10);
	vcfg_write(s, PCI_CFG_ROM, 0xfffff800, 4);
	assert_int_equal(vcfg_read(s, PCI_CFG_ROM, 4), 0);
}

/* 2.1: BARs are virtual: sizing works, the function's own do not move. */
static void config_bars(void **state)
{
	static const u32 sizes[6] = { 16 << 10, 0, 32 << 10, 0, 8 << 10, 0 };
	struct stand *s = *state;

	for (unsigned i = 0; i < 6; i++) {
		u32 at = PCI_CFG_BAR0 + 4 * i;

		vcfg_write(s, at, 0xffffffff, 4);
		assert_int_equal(vcfg_read(s, at, 4), i % 2 ? 0xffffffff : (~(sizes[i] - 1) | 4));
		vcfg_write(s, at, 0xfebf0000, 4);
		assert_int_equal(vcfg_read(s, at, 4), i % 2 ? 0xfebf0000 : 0xfebf0004);
		assert_int_equal(vcfg_read(s, at + 2, 2), 0xfebf);
		assert_int_equal(cfg_read(&s->w, at, 4), i % 2 ? 0 : 4);
	}
}

static void config_capabilities(void **state)
{
	static const u8 want[] = { PCI_CAP_PM, PCI_CAP_MSI, PCI_CAP_MSIX, PCI_CAP_PCIE };
	struct stand *s = *state;
	u32 at = vcfg_read(s, PCI_CFG_CAPS, 1);

	for (unsigned i = 0; i < ui_array_size(want); i++) {
		assert_int_equal(vcfg_read(s, at, 1), want[i]);
		vcfg_write(s, at, 0xffff, 2);
		assert_int_equal(vcfg_read(s, at, 1), want[i]);
		at = vcfg_read(s, at + 1, 1);
	}
	assert_int_equal(at, 0);
}

static void config_pasid_is_hidden(void **state)
{
	struct stand *s = *state;

	assert_int_equal(vcfg_read(s, PCI_CFG_ECAPS, 4), 0);
	vcfg_write(s, PCI_CFG_ECAPS, 0xffffffff, 4);
	assert_int_equal(vcfg_read(s, PCI_CFG_ECAPS, 4), 0);
	assert_int_equal(cfg_read(&s->w, PCI_CFG_ECAPS, 4), PCI_ECAP_PASID | 1 << 16); /* the function has it */
}

static void config_msix_is_read_only(void **state)
{
	struct stand *s = *state;
	u32 at = 0x58;

	assert_int_equal(vcfg_read(s, at, 1), PCI_CAP_MSIX);
	assert_int_equal(vcfg_read(s, at + PCI_MSIX_CTRL, 2), 8);
	vcfg_write(s, at + PCI_MSIX_CTRL, PCI_MSIX_ENABLE, 2);
	assert_int_equal(vcfg_read(s, at + PCI_MSIX_CTRL, 2), 8);
	assert_int_equal(vcfg_read(s, at + PCI_MSIX_TABLE, 4), 4);
	assert_int_equal(vcfg_read(s, at + PCI_MSIX_PBA, 4), 0x1004);
}

static void config_msi_is_virtual(void **state)
{
	struct stand *s = *state;
	u32 at = 0x48;

	vcfg_write(s, at + PCI_MSI_ADDR, 0xfee00000, 4);
	vcfg_write(s, at + PCI_MSI_ADDR + 8, 0x4321, 2);
	assert_int_equal(vcfg_read(s, at + PCI_MSI_ADDR, 4), 0xfee00000);
	assert_int_equal(vcfg_read(s, at + PCI_MSI_ADDR + 8, 2), 0x4321);
	assert_int_equal(cfg_read(&s->w, at + PCI_MSI_ADDR, 4), 0);
	assert_int_equal(cfg_read(&s->w, at + PCI_MSI_ADDR + 8, 2), 0);
}

static unsigned express(struct stand *s)
{
	unsigned at = vcfg_read(s, PCI_CFG_CAPS, 1);

	while (vcfg_read(s, at, 1) != PCI_CAP_PCIE)
		at = vcfg_read(s, at + 1, 1);
	return at;
}

static void config_express(void **state)
{
	struct stand *s = *state;
	unsigned at = express(s);
	u32 cap = vcfg_read(s, at + PCI_EXP_DEVCAP, 4), ctl = vcfg_read(s, at + PCI_EXP_DEVCTL, 2);

	vcfg_write(s, at + PCI_EXP_DEVCAP, 0, 4);
	assert_int_equal(vcfg_read(s, at + PCI_EXP_DEVCAP, 4), cap);
	/* Payload size is kept virtually; read requests reach the function, but no smaller than its payload. */
	vcfg_write(s, at + PCI_EXP_DEVCTL, (ctl & ~0x70e0u) | 1 << 5 | 4 << 12, 2);
	assert_int_equal(vcfg_read(s, at + PCI_EXP_DEVCTL, 2) & 0x70e0, 1 << 5 | 4 << 12);
	assert_int_equal(cfg_read(&s->w, at + PCI_EXP_DEVCTL, 2) & 0x70e0, 4 << 12);
	vcfg_write(s, at + PCI_EXP_DEVCTL, 0xffff ^ PCI_EXP_DEVCTL_FLR, 2);
	assert_false(vcfg_read(s, at + PCI_EXP_DEVCTL, 2) & PCI_EXP_DEVCTL_PHANTOM);
}

/* 2.2: the FLR bit resets, as RESET does, and reads 0. */
static void config_flr_resets(void **state)
{
	struct stand *s = *state;
	unsigned at = express(s);

	vcfg_write(s, PCI_CFG_COMMAND, PCI_CMD_MEM | PCI_CMD_MASTER, 2);
	for (unsigned i = 0; i < 3; i++) {
		u32 ctl = vcfg_read(s, at + PCI_EXP_DEVCTL, 2);

		reg_write(&s->w, G_IRQ_MASK, 7, 4);
		if (!i)
			vcfg_write(s, at + PCI_EXP_DEVCTL, ctl | PCI_EXP_DEVCTL_FLR, 2);
		else if (i == 1)
			vcfg_write(s, at + PCI_EXP_DEVCTL + 1, (ctl | PCI_EXP_DEVCTL_FLR) >> 8, 1);
		else
			vcfg_write(s, at + PCI_EXP_DEVCTL, ctl | PCI_EXP_DEVCTL_FLR, 4);
		assert_int_equal(reg_read(&s->w, G_IRQ_MASK, 4), 0);
		assert_int_equal(vcfg_read(s, at + PCI_EXP_DEVCTL, 2), ctl);
		assert_int_equal(vcfg_read(s, PCI_CFG_COMMAND, 2), PCI_CMD_MEM | PCI_CMD_MASTER);
	}
}

/* 1.10: cut on dwords and capabilities; any alignment and length gives the same bytes. */
static void config_any_access_reads_the_same(void **state)
{
	struct stand *s = *state;
	u8 whole[256], part[64];

	assert_int_equal(ui_vfio_pread(s->v, whole, 256, REGION(7)), 256);
	for (unsigned at = 0; at < 192; at++) {
		for (unsigned n = 1; n <= 64; n += 7) {
			assert_int_equal(ui_vfio_pread(s->v, part, n, REGION(7) + at), n);
			assert_memory_equal(part, whole + at, n);
		}
	}
}

static void config_writes_of_any_size(void **state)
{
	struct stand *s = *state;
	u8 bars[24];

	memset(bars, 0xff, sizeof(bars));
	assert_int_equal(ui_vfio_pwrite(s->v, bars, 24, REGION(7) + PCI_CFG_BAR0), 24);
	assert_int_equal(vcfg_read(s, PCI_CFG_BAR0, 4), 0xffffc004);
	assert_int_equal(vcfg_read(s, PCI_CFG_BAR0 + 20, 4), 0xffffffff);
	bars[0] = PCI_CMD_MEM | PCI_CMD_MASTER;
	bars[1] = 0;
	assert_int_equal(ui_vfio_pwrite(s->v, bars, 1, REGION(7) + PCI_CFG_COMMAND), 1);
	assert_int_equal(ui_vfio_pwrite(s->v, bars + 1, 1, REGION(7) + PCI_CFG_COMMAND + 1), 1);
	assert_int_equal(vcfg_read(s, PCI_CFG_COMMAND, 2), PCI_CMD_MEM | PCI_CMD_MASTER);
}

/* Garbage into every region and every ioctl: errors at worst. */
static void garbage(void **state)
{
	struct stand *s = *state;
	u64 seed = test_seed();

	for (unsigned i = 0; i < 20000; i++) {
		u64 r = next_random(&seed), at = REGION(r % 10) + (r >> 8) % 0x9000;
		u8 buf[64];
		u32 *words = (void *)buf;

		for (unsigned k = 0; k < 8; k++)
			((u64 *)(void *)buf)[k] = next_random(&seed) >> (next_random(&seed) % 64);
		if (r >> 40 & 1) {
			ui_vfio_pwrite(s->v, buf, (r >> 32) % 64, at);
		} else if (r >> 41 & 1) {
			ui_vfio_pread(s->v, buf, (r >> 32) % 64, at);
		} else {
			u32 cmd = UI_VFIO_NR(7 + (u32)(r >> 32) % 14);

			/* Their descriptors could be those of this test. */
			if (cmd == UI_VFIO_BIND || (cmd == UI_VFIO_SET_IRQS && (words[1] & 4)))
				continue;
			words[0] = 64;
			call(s, cmd, buf);
		}
		ui_pci_step(s->w.pci);
	}
}

int main(void)
{
#define B(fn) cmocka_unit_test_setup_teardown(fn, bound_setup, bound_teardown)
	const struct CMUnitTest tests[] = {
		B(offsets_and_ends),
		B(bad_buffers_are_efault),
		B(registers_by_width),
		B(bars_need_memory_decoding),
		B(msix_table_is_not_for_programs),
		B(doorbell_memory),
		B(mmap_permission),
		B(config_header),
		B(config_bars),
		B(config_capabilities),
		B(config_pasid_is_hidden),
		B(config_msix_is_read_only),
		B(config_msi_is_virtual),
		B(config_express),
		B(config_flr_resets),
		B(config_any_access_reads_the_same),
		B(config_writes_of_any_size),
		B(garbage),
	};

	return cmocka_run_group_tests_name("region", tests, NULL, NULL);
}
