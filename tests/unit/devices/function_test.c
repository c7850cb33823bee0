/* SPDX-License-Identifier: MIT */
/* The frame around a model and the register file: configuration space, BARs, interrupts, resets. */
#include "common.h"

static int setup(void **state)
{
	static struct world w;

	world_open(&w, 16);
	map(&w, NO_PASID, 0, 0, 64, RW);
	world_start(&w);
	*state = &w;
	return 0;
}

static int teardown(void **state)
{
	world_close(*state);
	return 0;
}

static void identity(void **state)
{
	struct world *w = *state;

	assert_int_equal(cfg_read(w, 0, 4), 0x00016975);
	assert_int_equal(cfg_read(w, 8, 4), 0x08800001);
	assert_int_equal(cfg_read(w, PCI_CFG_INT_PIN, 1), 1);
	assert_int_equal(cfg_read(w, PCI_CFG_HEADER_TYPE, 1), 0);
}

static unsigned find_cap(struct world *w, u8 id, unsigned *n)
{
	unsigned at = cfg_read(w, PCI_CFG_CAPS, 1), found = 0;

	for (*n = 0; at && *n < 48; ++*n) {
		assert_true(at >= 0x40 && !(at & 3));
		if (cfg_read(w, at, 1) == id)
			found = at;
		at = cfg_read(w, at + 1, 1);
	}
	assert_int_equal(at, 0);
	return found;
}

/* devices-and-transports.md 2.4: what Linux and QEMU want of the chain. */
static void capability_chain(void **state)
{
	struct world *w = *state;
	unsigned n, at;

	assert_true(cfg_read(w, PCI_CFG_STATUS, 2) & PCI_STATUS_CAP_LIST);
	assert_int_not_equal(find_cap(w, PCI_CAP_PM, &n), 0);
	assert_int_equal(n, 4);
	at = find_cap(w, PCI_CAP_MSI, &n);
	assert_int_equal(cfg_read(w, at + PCI_MSI_CTRL, 2), PCI_MSI_64 | 3 << PCI_MSI_MMC_SHIFT);
	at = find_cap(w, PCI_CAP_MSIX, &n);
	assert_int_equal(cfg_read(w, at + PCI_MSIX_CTRL, 2), 8);
	assert_int_equal(cfg_read(w, at + PCI_MSIX_TABLE, 4), 4);
	assert_int_equal(cfg_read(w, at + PCI_MSIX_PBA, 4), 0x1000 | 4);
	at = find_cap(w, PCI_CAP_PCIE, &n);
	assert_int_equal(cfg_read(w, at + PCI_EXP_FLAGS, 2), 2); /* version 2, endpoint */
	assert_true(cfg_read(w, at + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR);
	assert_true(cfg_read(w, at + PCI_EXP_DEVCAP, 4) & 1 << 15);
	assert_true(cfg_read(w, at + PCI_EXP_DEVCAP2, 4) & 1 << 21);
	assert_int_equal(cfg_read(w, at + PCI_EXP_LNKSTA, 2), 0x11);
	assert_int_equal(cfg_read(w, PCI_CFG_ECAPS, 4), PCI_ECAP_PASID | 1 << 16);
	assert_int_equal(cfg_read(w, PCI_CFG_ECAPS + PCI_PASID_CAP, 2), 16 << 8);
}

static void no_pasid_bits_no_capability(void **state)
{
	struct world w;

	world_open(&w, 0);
	assert_int_equal(cfg_read(&w, PCI_CFG_ECAPS, 4), 0);
	cfg_write(&w, PCI_CFG_COMMAND, PCI_CMD_MEM, 2);
	assert_int_equal(reg_read(&w, 8, 8) >> 16 & 0xff, 0);
	world_close(&w);
}

static void bars_size_as_hardware(void **state)
{
	static const u32 sizes[6] = { 16 << 10, 0, 32 << 10, 0, 8 << 10, 0 };
	struct world *w = *state;

	for (unsigned i = 0; i < 6; i++) {
		cfg_write(w, PCI_CFG_BAR0 + 4 * i, ~0u, 4);
		assert_int_equal(cfg_read(w, PCI_CFG_BAR0 + 4 * i, 4), i % 2 ? ~0u : (~(sizes[i] - 1) | 4));
	}
	cfg_write(w, PCI_CFG_ROM, ~0u, 4);
	assert_int_equal(cfg_read(w, PCI_CFG_ROM, 4), 0);
}

static void read_only_bits_stay(void **state)
{
	struct world *w = *state;
	u8 before[PCI_CFG_BYTES], ones[PCI_CFG_BYTES], after[PCI_CFG_BYTES];

	ui_pci_reset(w->pci);
	ui_pci_config_read(w->pci, 0, before, sizeof(before));
	memset(ones, 0xff, sizeof(ones));
	ui_pci_config_write(w->pci, 0, ones, 0x48); /* up to PM */
	ui_pci_config_write(w->pci, 0x100, ones, PCI_CFG_BYTES - 0x100);
	ui_pci_config_read(w->pci, 0, after, sizeof(after));
	assert_int_equal(ui_pci_get16(after + PCI_CFG_COMMAND), 0x546);
	assert_int_equal(after[0x100 + PCI_PASID_CTRL], 1);
	for (unsigned i = 0x108; i < PCI_CFG_BYTES; i++)
		assert_int_equal(after[i], 0);
	assert_memory_equal(before, after, 4);
	assert_memory_equal(before + 6, after + 6, 6);
	assert_memory_equal(before + 0x2c, after + 0x2c, 4);
}

static void config_ends_at_4096(void **state)
{
	struct world *w = *state;
	u8 buf[16];

	ui_pci_config_read(w->pci, 4090, buf, 16);
	assert_int_equal(buf[5], 0);
	for (unsigned i = 6; i < 16; i++)
		assert_int_equal(buf[i], 0xff);
	assert_int_equal(cfg_read(w, 4096, 4), ~0u);
	assert_int_equal(cfg_read(w, ~0u, 4), ~0u);
	cfg_write(w, ~0u, 0, 4);
	ui_pci_config_write(w->pci, 4090, buf, 16);
}

static void bars_need_memory_decoding(void **state)
{
	struct world *w = *state;
	u32 val;

	for (unsigned bar = 0; bar < 6; bar += 2) {
		cfg_write(w, PCI_CFG_COMMAND, PCI_CMD_MASTER, 2);
		assert_false(ui_pci_bar_read(w->pci, bar, 0, &val, 4));
		assert_false(ui_pci_bar_write(w->pci, bar, 0, &val, 4));
		cfg_write(w, PCI_CFG_COMMAND, PCI_CMD_MEM, 2);
		assert_true(ui_pci_bar_read(w->pci, bar, 0, &val, 4));
		cfg_write(w, 0x40 + PCI_PM_CTRL, 3, 2); /* D3hot */
		assert_false(ui_pci_bar_read(w->pci, bar, 0, &val, 4));
		cfg_write(w, 0x40 + PCI_PM_CTRL, 1, 2); /* there is no D1 */
		assert_false(ui_pci_bar_read(w->pci, bar, 0, &val, 4));
		cfg_write(w, 0x40 + PCI_PM_CTRL, 0, 2);
		assert_true(ui_pci_bar_read(w->pci, bar, 0, &val, 4));
	}
}

static void accesses_outside_a_bar_fail(void **state)
{
	static const u64 sizes[6] = { 16 << 10, 0, 32 << 10, 0, 8 << 10, 0 };
	struct world *w = *state;
	u64 val = 0;

	for (unsigned bar = 0; bar < 8; bar++) {
		u64 size = bar < 6 ? sizes[bar] : 0;

		assert_false(ui_pci_bar_read(w->pci, bar, size, &val, 1));
		assert_false(ui_pci_bar_write(w->pci, bar, size, &val, 1));
		assert_false(ui_pci_bar_read(w->pci, bar, size - 4, &val, 8));
		assert_false(ui_pci_bar_read(w->pci, bar, ~(u64)0, &val, 8));
		assert_false(ui_pci_bar_read(w->pci, bar, 0, &val, 0));
	}
}

/* docs/dma-device.md: aligned accesses of a register's own width, or both halves of a 64-bit one; others do nothing. */
static void register_widths(void **state)
{
	struct world *w = *state;

	assert_int_equal(reg_read(w, 0, 4), DMA_ID);
	assert_int_equal(reg_read(w, 0, 8), 0);
	assert_int_equal(reg_read(w, 0, 2), 0);
	assert_int_equal(reg_read(w, 1, 1), 0);
	assert_int_equal(reg_read(w, 8, 8), 0x0f101008);
	assert_int_equal(reg_read(w, 8, 4), 0x0f101008);
	assert_int_equal(reg_read(w, 12, 4), 0);
	reg_write(w, chan_at(1, C_BASE), 0x1122334455667740, 8);
	assert_int_equal(reg_read(w, chan_at(1, C_BASE), 4), 0x55667740);
	assert_int_equal(reg_read(w, chan_at(1, C_BASE + 4), 4), 0x11223344);
	reg_write(w, chan_at(1, C_BASE), 0x80, 4);
	reg_write(w, chan_at(1, C_BASE + 4), 1, 4);
	assert_int_equal(reg_read(w, chan_at(1, C_BASE), 8), 0x100000080);
	reg_write(w, chan_at(1, C_BASE), 0, 2);
	reg_write(w, chan_at(1, C_BASE + 3), 0, 1);
	assert_int_equal(reg_read(w, chan_at(1, C_BASE), 8), 0x100000080);
	/* Nothing beyond the channels, nor between registers. */
	reg_write(w, chan_at(8, C_BASE), 1, 8);
	assert_int_equal(reg_read(w, chan_at(8, C_BASE), 8), 0);
	assert_int_equal(reg_read(w, 0x38, 8), 0);
}

static void rings_are_fixed_while_enabled(void **state)
{
	struct world *w = *state;

	chan_start(w, 0, PAGE, 3, 1u << 31 | 1, 0);
	reg_write(w, chan_at(0, C_BASE), 0, 8);
	reg_write(w, chan_at(0, C_LG2), 0, 4);
	reg_write(w, chan_at(0, C_PASID), 0, 4);
	assert_int_equal(reg_read(w, chan_at(0, C_BASE), 8), PAGE);
	assert_int_equal(reg_read(w, chan_at(0, C_LG2), 4), 3);
	assert_int_equal(reg_read(w, chan_at(0, C_PASID), 4), 1u << 31 | 1);
	assert_int_equal(reg_read(w, G_STATUS, 4), 1);
}

static void a_tail_in_halves_counts_when_the_high_one_comes(void **state)
{
	struct world *w = *state;

	chan_start(w, 0, 0, 3, 0, 0);
	reg_write(w, chan_at(0, C_TAIL), 5, 4);
	assert_int_equal(reg_read(w, chan_at(0, C_TAIL), 8), 0);
	reg_write(w, chan_at(0, C_TAIL + 4), 0, 4);
	assert_int_equal(reg_read(w, chan_at(0, C_TAIL), 8), 5);
}

/* A descriptor that does nothing but complete with an interrupt. */
static void irq_descriptor(struct world *w, unsigned chan)
{
	*(struct desc *)(void *)w->ram = (struct desc){ .op = DMA_OP_NOP, .flags = DMA_F_IRQ };
	chan_start(w, chan, 0, 0, 0, 0);
	reg_write(w, chan_at(chan, C_TAIL), 1, 8);
	run(w, 10);
}

static void intx_is_the_level_of_status_and_mask(void **state)
{
	struct world *w = *state;

	irq_descriptor(w, 5);
	assert_true(w->level);
	assert_int_equal(w->n_rises, 1);
	assert_int_equal(reg_read(w, G_IRQ_STATUS, 4), 1 << 5);
	assert_true(cfg_read(w, PCI_CFG_STATUS, 2) & PCI_STATUS_INTX);
	reg_write(w, G_IRQ_MASK, ~0u, 4);
	assert_false(w->level);
	reg_write(w, G_IRQ_MASK, 0, 4);
	assert_true(w->level);
	cfg_write(w, PCI_CFG_COMMAND, PCI_CMD_MEM | PCI_CMD_MASTER | PCI_CMD_INTX_DISABLE, 2);
	assert_false(w->level);
	assert_true(cfg_read(w, PCI_CFG_STATUS, 2) & PCI_STATUS_INTX);
	cfg_write(w, PCI_CFG_COMMAND, PCI_CMD_MEM | PCI_CMD_MASTER, 2);
	assert_true(w->level);
	reg_write(w, G_IRQ_STATUS, 1 << 5, 4);
	assert_false(w->level);
	assert_false(cfg_read(w, PCI_CFG_STATUS, 2) & PCI_STATUS_INTX);
	assert_int_equal(w->n_msgs[5], 0);
}

static void msi_routes_by_message_number(void **state)
{
	struct world *w = *state;
	unsigned n, at = find_cap(w, PCI_CAP_MSI, &n) + PCI_MSI_CTRL;

	cfg_write(w, at, PCI_MSI_ENABLE | 3 << PCI_MSI_MME_SHIFT, 2);
	irq_descriptor(w, 6);
	assert_int_equal(w->n_msgs[6], 1);
	assert_false(w->last_msix);
	assert_int_equal(w->n_rises, 0); /* INTx is silent meanwhile */
	cfg_write(w, at, PCI_MSI_ENABLE | 1 << PCI_MSI_MME_SHIFT, 2); /* two messages: the others share the first */
	irq_descriptor(w, 6);
	assert_int_equal(w->n_msgs[0], 1);
	irq_descriptor(w, 1);
	assert_int_equal(w->n_msgs[1], 1);
	cfg_write(w, at, 0, 2);
	assert_true(w->level);
}

static void msix_masks_and_pending_bits(void **state)
{
	struct world *w = *state;
	unsigned n, at = find_cap(w, PCI_CAP_MSIX, &n) + PCI_MSIX_CTRL;
	u64 pba = 0;
	u32 off = 0, on = 1;

	cfg_write(w, at, PCI_MSIX_ENABLE, 2);
	irq_descriptor(w, 2); /* masked by reset */
	assert_int_equal(w->n_msgs[2], 0);
	assert_true(ui_pci_bar_read(w->pci, DMA_BAR_MSIX, 0x1000, &pba, 8));
	assert_int_equal(pba, 1 << 2);
	cfg_write(w, at, PCI_MSIX_ENABLE | PCI_MSIX_FUNC_MASK, 2);
	assert_true(ui_pci_bar_write(w->pci, DMA_BAR_MSIX, 2 * 16 + 12, &off, 4));
	assert_int_equal(w->n_msgs[2], 0);
	cfg_write(w, at, PCI_MSIX_ENABLE, 2);
	assert_int_equal(w->n_msgs[2], 1);
	assert_true(w->last_msix);
	assert_true(ui_pci_bar_read(w->pci, DMA_BAR_MSIX, 0x1000, &pba, 8));
	assert_int_equal(pba, 0);
	irq_descriptor(w, 2);
	assert_int_equal(w->n_msgs[2], 2);
	assert_true(ui_pci_bar_write(w->pci, DMA_BAR_MSIX, 2 * 16 + 12, &on, 4));
	assert_true(ui_pci_bar_write(w->pci, DMA_BAR_MSIX, 0x1000, &on, 4)); /* read-only */
	assert_true(ui_pci_bar_read(w->pci, DMA_BAR_MSIX, 0x1000, &pba, 8));
	assert_int_equal(pba, 0);
	assert_int_equal(w->n_rises, 0);
}

static void unmasking_in_the_device_sends_what_waits(void **state)
{
	struct world *w = *state;
	unsigned n, at = find_cap(w, PCI_CAP_MSI, &n) + PCI_MSI_CTRL;

	cfg_write(w, at, PCI_MSI_ENABLE | 3 << PCI_MSI_MME_SHIFT, 2);
	reg_write(w, G_IRQ_MASK, 1 << 3, 4);
	irq_descriptor(w, 3);
	assert_int_equal(w->n_msgs[3], 0);
	reg_write(w, G_IRQ_MASK, 0, 4);
	assert_int_equal(w->n_msgs[3], 1);
	irq_descriptor(w, 3); /* again for each completion that asks, although the bit is still set */
	assert_int_equal(w->n_msgs[3], 2);
}

/* Something in every register, a running descriptor, an interrupt up. */
static void dirty_state(struct world *w)
{
	*(struct desc *)(void *)(w->ram + 64) = (struct desc){ .op = DMA_OP_FILL, .length = ~0u, .dst = 4096 };
	chan_start(w, 1, 64, 0, 0, DMA_CHAN_POLL);
	reg_write(w, chan_at(1, C_TAIL), 1, 8);
	irq_descriptor(w, 0);
	ui_pci_step(w->pci);
	reg_write(w, G_IRQ_MASK, 0x10, 4);
	*(u64 *)(void *)(w->doorbells + 5 * PAGE) = 99;
}

static void expect_reset(struct world *w, u64 ctrl)
{
	assert_int_equal(reg_read(w, G_CTRL, 4), ctrl);
	assert_int_equal(reg_read(w, G_STATUS, 4), 0);
	assert_int_equal(reg_read(w, G_IRQ_STATUS, 4) | reg_read(w, G_IRQ_MASK, 4) | reg_read(w, G_FAULT_STATUS, 4), 0);
	for (unsigned c = 0; c < DMA_N_CHANNELS; c++) {
		for (unsigned at = 0; at < 0x28; at += 4)
			assert_int_equal(reg_read(w, chan_at(c, at), 4), 0);
		for (unsigned at = 0; at < 24; at++)
			assert_int_equal(w->doorbells[c * PAGE + at], 0);
	}
	assert_false(w->level);
	assert_false(ui_pci_step(w->pci));
	assert_false(ui_pci_polls(w->pci));
}

static void device_reset_clears_registers_only(void **state)
{
	struct world *w = *state;

	dirty_state(w);
	reg_write(w, G_CTRL, 3, 4);
	expect_reset(w, 0);
	assert_int_equal(cfg_read(w, PCI_CFG_COMMAND, 2), PCI_CMD_MEM | PCI_CMD_MASTER);
}

/* PCIe: FLR through DEVCTL bit 15, which reads 0. */
static void function_level_reset(void **state)
{
	struct world *w = *state;
	unsigned n, exp = find_cap(w, PCI_CAP_PCIE, &n), msix = find_cap(w, PCI_CAP_MSIX, &n);

	dirty_state(w);
	cfg_write(w, msix + PCI_MSIX_CTRL, PCI_MSIX_ENABLE, 2);
	cfg_write(w, exp + PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_FLR, 2);
	assert_int_equal(cfg_read(w, PCI_CFG_COMMAND, 2), 0);
	assert_int_equal(cfg_read(w, exp + PCI_EXP_DEVCTL, 2), 0x2910);
	assert_int_equal(cfg_read(w, msix + PCI_MSIX_CTRL, 2), 8);
	assert_false(ui_pci_pasid_enabled(w->pci));
	cfg_write(w, PCI_CFG_COMMAND, PCI_CMD_MEM, 2);
	expect_reset(w, 0);
}

static void reset_as_an_operating_system_keeps_configuration(void **state)
{
	struct world *w = *state;
	u8 before[PCI_CFG_BYTES], after[PCI_CFG_BYTES];

	ui_pci_config_read(w->pci, 0, before, sizeof(before));
	dirty_state(w);
	ui_pci_reset_restore(w->pci);
	expect_reset(w, 0);
	ui_pci_config_read(w->pci, 0, after, sizeof(after));
	assert_memory_equal(before, after, sizeof(before));
}

static void one_claim_at_a_time(void **state)
{
	struct world *w = *state;
	struct world other = { 0 };
	const struct ui_pci_sink sink = { .intx = world_intx, .msg = world_msg, .arg = &other };

	irq_descriptor(w, 0);
	assert_true(ui_pci_claim(w->pci, &sink));
	assert_true(other.level); /* told at once */
	assert_false(ui_pci_claim(w->pci, &sink));
	w->level = false;
	reg_write(w, G_IRQ_STATUS, ~0u, 4);
	irq_descriptor(w, 0);
	assert_true(other.level);
	assert_false(w->level);
	ui_pci_unclaim(w->pci);
	assert_true(ui_pci_claim(w->pci, &sink));
	ui_pci_unclaim(w->pci);
}

static void unknown_options_are_refused(void **state)
{
	struct world *w = *state;
	void *bars[UI_PCI_N_BARS] = { [DMA_BAR_DOORBELLS] = w->doorbells };
	u64 live = ui_alloc_live();
	char err[100];

	assert_null(ui_pci_create(ui_pci_model_find("dma"), "speed=11", 0, w->port, bars, err, sizeof(err)));
	assert_non_null(strstr(err, "speed=11"));
	assert_int_equal(ui_alloc_live(), live);
	assert_null(ui_pci_model_find("no such"));
}

static void create_without_memory_leaves_nothing(void **state)
{
	struct world *w = *state;
	void *bars[UI_PCI_N_BARS] = { [DMA_BAR_DOORBELLS] = w->doorbells };
	struct ui_pci *pci;
	u64 live = ui_alloc_live();
	char err[100];

	for (u64 i = 1;; i++) {
		ui_inject_arm(i);
		pci = ui_pci_create(ui_pci_model_find("dma"), NULL, 0, w->port, bars, err, sizeof(err));
		ui_inject_arm(0);
		if (pci)
			break;
		assert_true(i < 10);
		assert_string_equal(err, "out of memory");
		assert_int_equal(ui_alloc_live(), live);
	}
	ui_pci_destroy(pci);
	assert_int_equal(ui_alloc_live(), live);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(identity),
		T(capability_chain),
		T(no_pasid_bits_no_capability),
		T(bars_size_as_hardware),
		T(read_only_bits_stay),
		T(config_ends_at_4096),
		T(bars_need_memory_decoding),
		T(accesses_outside_a_bar_fail),
		T(register_widths),
		T(rings_are_fixed_while_enabled),
		T(a_tail_in_halves_counts_when_the_high_one_comes),
		T(intx_is_the_level_of_status_and_mask),
		T(msi_routes_by_message_number),
		T(msix_masks_and_pending_bits),
		T(unmasking_in_the_device_sends_what_waits),
		T(device_reset_clears_registers_only),
		T(function_level_reset),
		T(reset_as_an_operating_system_keeps_configuration),
		T(one_claim_at_a_time),
		T(unknown_options_are_refused),
		T(create_without_memory_leaves_nothing),
	};

	return cmocka_run_group_tests_name("function", tests, NULL, NULL);
}
