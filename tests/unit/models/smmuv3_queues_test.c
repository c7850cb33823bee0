/* SPDX-License-Identifier: MIT */
/* Registers that are guarded, queues of every size, errors and their acknowledgement, and accesses of the SMMU to itself (Arm IHI
 * 0070: 3.5, 3.18, 6.3, 7.1, 7.2, 7.4, 7.5). */
#include "smmuv3_common.h"

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

enum { SID = 5, SID_BITS = 6, VA = 0x12345000, OURS = 0x9000000, DEAF = 0x8000000, BIG_QUEUE = RAM + 0x1000000, CMDQ_ERR = 1, EVENTQ_ABT = 4 };

static struct ui_smmuv3_stream *stream;

/* Our own registers, where devices and messages can reach them. */
static bool mmio_read(void *arg, u64 offset, unsigned n_bytes, u64 *val)
{
	return ui_smmuv3_read(rig.smmu, offset, n_bytes, val);
}

static bool mmio_write(void *arg, u64 offset, unsigned n_bytes, u64 val)
{
	return ui_smmuv3_write(rig.smmu, offset, n_bytes, val);
}

static bool count_and_abort(void *arg, u64 offset, unsigned n_bytes, u64 val)
{
	++*(unsigned *)arg;
	return false;
}

static int setup(void **state)
{
	static const struct ui_mem_mmio_ops ops = { mmio_read, mmio_write };

	rig_new(SID_BITS);
	assert_int_equal(ui_mem_add_mmio(rig.mem, OURS, UI_SMMUV3_MMIO_BYTES, &ops, &rig), 0);
	rig_start();
	stream = ui_smmuv3_stream_open(rig.smmu, SID);
	return 0;
}

static int teardown(void **state)
{
	ui_smmuv3_stream_close(stream);
	rig_end();
	return 0;
}

static u32 active(void)
{
	return rd(UI_SMMUV3_REG_GERROR) ^ rd(UI_SMMUV3_REG_GERRORN);
}

static void fault(void)
{
	u64 val;

	dma_read(stream, VA, 0, false, &val);
}

/* ---- Registers ---- */

/* 6.3: what a register is after reset, and what of all ones stays in it while nothing is enabled. */
static void registers_keep_what_they_have(void **state)
{
	static const struct {
		u32 offset;
		u64 reset, kept;
		unsigned n_bytes;
	} regs[] = {
		{ UI_SMMUV3_REG_CR1, 0, 0xfff, 4 },
		{ UI_SMMUV3_REG_CR2, 0, 6, 4 },
		{ UI_SMMUV3_REG_STATUSR, 0, 0, 4 },
		{ UI_SMMUV3_REG_AGBPA, 0, 0, 4 },
		{ UI_SMMUV3_REG_IRQ_CTRL, 0, 5, 4 },
		{ UI_SMMUV3_REG_GERROR, 0, 0, 4 },
		{ UI_SMMUV3_REG_GERROR_IRQ_CFG1, 0, 0, 4 }, /* its interrupt is on by now */
		{ UI_SMMUV3_REG_STRTAB_BASE, 0, 0x400fffffffffffc0, 8 },
		{ UI_SMMUV3_REG_STRTAB_BASE_CFG, 0, 0x307ff, 4 },
		{ UI_SMMUV3_REG_CMDQ_BASE, 0, 0x400fffffffffffe0 | 19, 8 },
		{ UI_SMMUV3_REG_EVENTQ_BASE, 0, 0x400fffffffffffe0 | 19, 8 },
		{ UI_SMMUV3_REG_PRIQ_BASE, 0, 0, 8 },
		{ UI_SMMUV3_REG_GATOS_SID, 0, 0, 8 },
		{ UI_SMMUV3_REG_CMDQ_PROD, 0, 0xfffff, 4 },
		{ UI_SMMUV3_REG_CMDQ_CONS, 0, 0x7f0fffff, 4 },
		{ UI_SMMUV3_REG_EVENTQ_PROD, 0, 0x800fffff, 4 },
		{ UI_SMMUV3_REG_EVENTQ_CONS, 0, 0x800fffff, 4 },
		{ UI_SMMUV3_REG_IDR0, 0, 0, 0 },
	};
	u64 val;

	for (size_t i = 0; regs[i].n_bytes; i++) {
		assert_true(ui_smmuv3_read(rig.smmu, regs[i].offset, regs[i].n_bytes, &val) && val == regs[i].reset);
		assert_true(ui_smmuv3_write(rig.smmu, regs[i].offset, regs[i].n_bytes, ~(u64)0));
		assert_true(ui_smmuv3_read(rig.smmu, regs[i].offset, regs[i].n_bytes, &val));
		if (val != regs[i].kept)
			fail_msg("register %#x: %#lx", regs[i].offset, (long)val);
	}
	val = rd(UI_SMMUV3_REG_IDR0);
	wr(UI_SMMUV3_REG_IDR0, 0);
	assert_int_equal(rd(UI_SMMUV3_REG_IDR0), val);
	wr(0x8000, ~0u); /* the Secure page */
	assert_int_equal(rd(0x8000), 0);
	assert_int_equal(rd(UI_SMMUV3_REG_GBPA), 0x1000);
}

/* 6.3.11: queues guard the attributes of queues, SMMUEN those of tables. 6.3.12, 6.3.23 to 6.3.26: what else each guards. */
static void enables_guard_registers(void **state)
{
	rig_enable(SID_BITS);
	wr(UI_SMMUV3_REG_CR0, 0xc);
	wr(UI_SMMUV3_REG_CR1, 0xfff);
	assert_int_equal(rd(UI_SMMUV3_REG_CR1), 0xfc0);
	wr(UI_SMMUV3_REG_CR0, 1);
	wr(UI_SMMUV3_REG_CR1, 0x03f);
	assert_int_equal(rd(UI_SMMUV3_REG_CR1), 0xfff);
	wr(UI_SMMUV3_REG_CR2, 0);
	wr(UI_SMMUV3_REG_STRTAB_BASE_CFG, 3);
	assert_int_equal(rd(UI_SMMUV3_REG_CR2), 2);
	assert_int_equal(rd(UI_SMMUV3_REG_STRTAB_BASE_CFG), SID_BITS);
	wr(UI_SMMUV3_REG_CR0, 0xc);
	wr(UI_SMMUV3_REG_EVENTQ_PROD, 3);
	wr(UI_SMMUV3_REG_CMDQ_CONS, 3);
	wr64(UI_SMMUV3_REG_EVENTQ_BASE, 0);
	assert_int_equal(rd(UI_SMMUV3_REG_EVENTQ_PROD), 0);
	assert_int_equal(rd(UI_SMMUV3_REG_CMDQ_CONS), 0);
	assert_true(rd64(UI_SMMUV3_REG_EVENTQ_BASE) == (EVENTQ | EVENTQ_LG2));
	/* 6.3.10, 6.3.17: acknowledgements follow; what is not there stays 0. */
	wr(UI_SMMUV3_REG_CR0, ~0u);
	assert_int_equal(rd(UI_SMMUV3_REG_CR0ACK), 0xd);
	wr(UI_SMMUV3_REG_IRQ_CTRL, ~0u);
	assert_int_equal(rd(UI_SMMUV3_REG_IRQ_CTRLACK), 5);
}

/* ---- Queues ---- */

static void queues_of(unsigned cmdq_lg2, unsigned eventq_lg2)
{
	wr(UI_SMMUV3_REG_CR0, 0);
	wr(UI_SMMUV3_REG_CMDQ_PROD, rd(UI_SMMUV3_REG_CMDQ_CONS) & 0xfffff);
	rig_enable(SID_BITS);
	wr(UI_SMMUV3_REG_CR0, 0);
	wr64(UI_SMMUV3_REG_CMDQ_BASE, BIG_QUEUE | cmdq_lg2);
	wr64(UI_SMMUV3_REG_EVENTQ_BASE, BIG_QUEUE | eventq_lg2);
	wr(UI_SMMUV3_REG_CMDQ_PROD, 0);
	wr(UI_SMMUV3_REG_CMDQ_CONS, 0);
	wr(UI_SMMUV3_REG_EVENTQ_PROD, 0);
	wr(UI_SMMUV3_REG_EVENTQ_CONS, 0);
}

/* 3.5: of one entry and of 2^19, around the end and back; full, and full and empty told apart by the wrap bit. */
static void command_queues_of_every_size(void **state)
{
	static const unsigned sizes[] = { 0, 1, 5, 18, 19 };

	for (size_t i = 0; i < ui_array_size(sizes); i++) {
		u32 n = 1u << sizes[i], mask = 2 * n - 1, index = n - 1;

		queues_of(sizes[i], 0);
		wr(UI_SMMUV3_REG_CMDQ_PROD, index);
		wr(UI_SMMUV3_REG_CMDQ_CONS, index);
		wr(UI_SMMUV3_REG_CR0, 8);
		for (unsigned step = 0; step < 5; step++) {
			u64 *entry = at(BIG_QUEUE + (u64)(index % n) * 16);

			entry[0] = UI_SMMUV3_OP_SYNC | 1 << 12;
			index = (index + 1) & mask;
			wr(UI_SMMUV3_REG_CMDQ_PROD, index);
			assert_int_equal(rd(UI_SMMUV3_REG_CMDQ_CONS), index);
			assert_int_equal(rig.n_irqs[UI_SMMUV3_IRQ_CMD_SYNC], 5 * i + step + 1);
			entry[0] = 0xff;
		}
		/* Bits above the wrap bit are not part of the index. */
		wr(UI_SMMUV3_REG_CMDQ_PROD, index | (0xfffff & ~mask));
		assert_int_equal(rd(UI_SMMUV3_REG_CMDQ_CONS), index);
		/* As many as fit: the first that is illegal stops it. */
		wr(UI_SMMUV3_REG_CMDQ_PROD, index ^ n);
		assert_int_equal(active(), CMDQ_ERR);
		wr(UI_SMMUV3_REG_CR0, 0);
		wr(UI_SMMUV3_REG_GERRORN, rd(UI_SMMUV3_REG_GERROR));
	}
}

/* 7.4: likewise; the record that finds no room is lost, and only it. */
static void event_queues_of_every_size(void **state)
{
	static const unsigned sizes[] = { 0, 1, 4, 19 };
	const u32 overflow = 1u << 31;

	for (size_t i = 0; i < ui_array_size(sizes); i++) {
		u32 n = 1u << sizes[i], mask = 2 * n - 1, start = 2 * n - 1, room = n < 16 ? n : 4;

		queues_of(0, sizes[i]);
		/* So much room, around the end. */
		wr(UI_SMMUV3_REG_EVENTQ_PROD, start);
		wr(UI_SMMUV3_REG_EVENTQ_CONS, (start - (n - room)) & mask);
		wr(UI_SMMUV3_REG_CR0, 5);
		for (u32 k = 1; k <= room; k++) {
			u64 *entry = at(BIG_QUEUE + (u64)((start + k - 1) % n) * 32);

			entry[0] = 0;
			fault();
			assert_int_equal(rd(UI_SMMUV3_REG_EVENTQ_PROD), (start + k) & mask);
			assert_int_equal(entry[0] & 0xff, UI_SMMUV3_C_BAD_STE);
		}
		fault();
		fault();
		assert_int_equal(rd(UI_SMMUV3_REG_EVENTQ_PROD), ((start + room) & mask) | overflow);
		assert_int_equal(active(), 0);
		/* Acknowledged with one record taken: room for one, then it overflows anew, back to 0. */
		wr(UI_SMMUV3_REG_EVENTQ_CONS, ((start - (n - room) + 1) & mask) | overflow);
		fault();
		assert_int_equal(rd(UI_SMMUV3_REG_EVENTQ_PROD), ((start + room + 1) & mask) | overflow);
		fault();
		assert_int_equal(rd(UI_SMMUV3_REG_EVENTQ_PROD), (start + room + 1) & mask);
		/* Not acknowledged: it stays as it is. */
		fault();
		assert_int_equal(rd(UI_SMMUV3_REG_EVENTQ_PROD), (start + room + 1) & mask);
	}
}

/* 6.3.26: a base that is not aligned to the queue's size is, by what the SMMU ignores. */
static void misaligned_bases_are_aligned_down(void **state)
{
	u64 *entry = at(STRTAB + SID * 64), val;

	queues_of(4, 3);
	wr64(UI_SMMUV3_REG_CMDQ_BASE, (BIG_QUEUE + 0x60) | 4);
	wr64(UI_SMMUV3_REG_EVENTQ_BASE, (BIG_QUEUE + 0x1000 + 0x40) | 3);
	wr64(UI_SMMUV3_REG_STRTAB_BASE, STRTAB + 0x40 * 33);
	*at(BIG_QUEUE) = UI_SMMUV3_OP_SYNC;
	wr(UI_SMMUV3_REG_CR0, 0xd);
	wr(UI_SMMUV3_REG_CMDQ_PROD, 1);
	assert_int_equal(rd(UI_SMMUV3_REG_CMDQ_CONS), 1);
	fault();
	assert_int_equal(*at(BIG_QUEUE + 0x1000) & 0xff, UI_SMMUV3_C_BAD_STE);
	ste_on(entry, UI_SMMUV3_CONFIG_BYPASS);
	*at(PAGES) = 4711;
	assert_int_equal(dma_read(stream, PAGES, 0, false, &val), UI_DMA_OK);
	assert_int_equal(val, 4711);
}

/* 7.2.1, 7.2.2: nothing is written while an abort is not acknowledged, nor while the queue is off. */
static void an_event_queue_that_aborts(void **state)
{
	queues_of(0, 3);
	wr64(UI_SMMUV3_REG_EVENTQ_BASE, 0x700000000 | 3);
	wr(UI_SMMUV3_REG_CR0, 5);
	fault();
	assert_int_equal(active(), EVENTQ_ABT);
	assert_int_equal(rig.n_irqs[UI_SMMUV3_IRQ_GERROR], 1);
	assert_int_equal(rig.n_irqs[UI_SMMUV3_IRQ_EVENTQ], 0);
	fault();
	assert_int_equal(rig.n_irqs[UI_SMMUV3_IRQ_GERROR], 1);
	assert_int_equal(rd(UI_SMMUV3_REG_EVENTQ_PROD), 0);
	wr(UI_SMMUV3_REG_CR0, 1);
	wr64(UI_SMMUV3_REG_EVENTQ_BASE, EVENTQ | 3);
	wr(UI_SMMUV3_REG_CR0, 5);
	fault();
	assert_int_equal(rd(UI_SMMUV3_REG_EVENTQ_PROD), 0);
	wr(UI_SMMUV3_REG_GERRORN, EVENTQ_ABT);
	fault();
	assert_int_equal(rd(UI_SMMUV3_REG_EVENTQ_PROD), 1);
	wr(UI_SMMUV3_REG_CR0, 1);
	fault();
	assert_int_equal(rd(UI_SMMUV3_REG_EVENTQ_PROD), 1);
	/* Our own registers are no place for a queue. */
	wr64(UI_SMMUV3_REG_EVENTQ_BASE, OURS | 3);
	wr64(UI_SMMUV3_REG_CMDQ_BASE, OURS | 3);
	wr(UI_SMMUV3_REG_CR0, 0xd);
	wr(UI_SMMUV3_REG_CMDQ_PROD, 1);
	fault();
	assert_int_equal(active(), EVENTQ_ABT | CMDQ_ERR);
	assert_int_equal(rd(UI_SMMUV3_REG_CMDQ_CONS) >> 24, UI_SMMUV3_CERROR_ABT);
}

/* 7.1: nothing runs until the error is acknowledged; then the command that failed does, as it is by then. ERR says why meanwhile. */
static void commands_wait_for_the_acknowledgement(void **state)
{
	queues_of(3, 0);
	wr(UI_SMMUV3_REG_CR0, 8);
	for (unsigned i = 0; i < 3; i++)
		*at(BIG_QUEUE + i * 16) = i == 1 ? 0x99 : UI_SMMUV3_OP_SYNC | 1 << 12;
	wr(UI_SMMUV3_REG_CMDQ_PROD, 3);
	assert_int_equal(rd(UI_SMMUV3_REG_CMDQ_CONS), 1 | UI_SMMUV3_CERROR_ILL << 24);
	wr(UI_SMMUV3_REG_CMDQ_PROD, 3);
	wr(UI_SMMUV3_REG_CR0, 0);
	wr(UI_SMMUV3_REG_CR0, 8);
	assert_int_equal(rig.n_irqs[UI_SMMUV3_IRQ_CMD_SYNC], 1);
	wr(UI_SMMUV3_REG_GERRORN, CMDQ_ERR);
	/* It is still what it was. */
	assert_int_equal(active(), CMDQ_ERR);
	assert_int_equal(rd(UI_SMMUV3_REG_GERROR), 0);
	assert_int_equal(rig.n_irqs[UI_SMMUV3_IRQ_GERROR], 2);
	*at(BIG_QUEUE + 16) = UI_SMMUV3_OP_SYNC | (u64)UI_SMMUV3_CS_SEV << 12;
	wr(UI_SMMUV3_REG_GERRORN, 0);
	assert_int_equal(active(), 0);
	assert_int_equal(rd(UI_SMMUV3_REG_CMDQ_CONS) & 0xfffff, 3);
	assert_int_equal(rig.n_irqs[UI_SMMUV3_IRQ_CMD_SYNC], 2);
}

/* ---- Interrupts ---- */

/* 3.18.2, 7.5.1: without its enable an interrupt is lost, not kept; a message that aborts is an error, one of GERROR's own tells nobody. */
static void interrupts_and_messages(void **state)
{
	static const struct ui_mem_mmio_ops deaf = { mmio_read, count_and_abort };
	unsigned n_messages = 0;

	assert_int_equal(ui_mem_add_mmio(rig.mem, DEAF, PAGE, &deaf, &n_messages), 0);
	rig_enable(SID_BITS);
	wr(UI_SMMUV3_REG_IRQ_CTRL, 0);
	fault();
	wr(UI_SMMUV3_REG_IRQ_CTRL, 5);
	assert_int_equal(rig.n_irqs[UI_SMMUV3_IRQ_EVENTQ], 0);
	wr(UI_SMMUV3_REG_IRQ_CTRL, 0);
	wr64(UI_SMMUV3_REG_EVENTQ_IRQ_CFG0, 0x10);
	wr(UI_SMMUV3_REG_IRQ_CTRL, 5);
	wr(UI_SMMUV3_REG_EVENTQ_CONS, 1);
	fault();
	assert_int_equal(active(), 1 << 5);
	assert_int_equal(rig.n_irqs[UI_SMMUV3_IRQ_EVENTQ], 0);
	assert_int_equal(rig.n_irqs[UI_SMMUV3_IRQ_GERROR], 1);
	wr(UI_SMMUV3_REG_IRQ_CTRL, 4);
	wr64(UI_SMMUV3_REG_GERROR_IRQ_CFG0, DEAF);
	wr(UI_SMMUV3_REG_GERRORN, rd(UI_SMMUV3_REG_GERROR));
	wr(UI_SMMUV3_REG_IRQ_CTRL, 5);
	command(0xff, 0);
	assert_int_equal(active(), CMDQ_ERR | 1 << 7);
	assert_int_equal(rig.n_irqs[UI_SMMUV3_IRQ_GERROR], 1);
	assert_int_equal(n_messages, 1);
}

/* 6.3.18: without IDR0.MSI there are wires only. */
static void without_msi_there_are_wires_only(void **state)
{
	ui_smmuv3_stream_close(stream);
	ui_smmuv3_destroy(rig.smmu);
	rig.cfg.feat.msi = 0;
	rig_start();
	stream = ui_smmuv3_stream_open(rig.smmu, SID);
	wr64(UI_SMMUV3_REG_EVENTQ_IRQ_CFG0, MSI);
	assert_true(!rd64(UI_SMMUV3_REG_EVENTQ_IRQ_CFG0));
	rig_enable(SID_BITS);
	command(UI_SMMUV3_OP_SYNC | 1 << 12 | (u64)0xabcd << 32, MSI);
	assert_int_equal(rig.n_irqs[UI_SMMUV3_IRQ_CMD_SYNC], 1);
	assert_int_equal(*at(MSI), 0);
}

/* A device may write the SMMU's registers, as any memory; a message of the SMMU's may not. */
static void devices_reach_the_registers_and_messages_do_not(void **state)
{
	const struct ui_dma_addr prod = { .iova = OURS + UI_SMMUV3_REG_CMDQ_PROD };
	u32 one = 1;

	rig_enable(SID_BITS);
	ste_on(ste_of(SID), UI_SMMUV3_CONFIG_BYPASS);
	*at(CMDQ) = 0x04; /* CFGI_ALL, by the very stream that it invalidates */
	*at(CMDQ + 8) = 31;
	assert_int_equal(ui_dma_write(ui_smmuv3_stream_dma(stream), &prod, &one, 4, NULL, NULL), UI_DMA_OK);
	assert_int_equal(rd(UI_SMMUV3_REG_CMDQ_CONS), 1);
	rig.cmd_prod = 1;
	command(UI_SMMUV3_OP_SYNC | 1 << 12 | (u64)3 << 32, OURS + UI_SMMUV3_REG_CMDQ_PROD);
	assert_int_equal(active(), 1 << 4);
	assert_int_equal(rd(UI_SMMUV3_REG_CMDQ_PROD), 2);
}

/* A power cycle: all registers, caches, errors. */
static void reset_is_a_power_cycle(void **state)
{
	u64 val;

	rig_enable(SID_BITS);
	fault();
	command(0xff, 0);
	ui_smmuv3_reset(rig.smmu);
	for (size_t i = 0; i < ui_smmuv3_n_regs; i++) {
		const struct ui_smmuv3_reg *reg = &ui_smmuv3_regs[i];

		assert_true(ui_smmuv3_read(rig.smmu, reg->offset, reg->n_bytes, &val));
		if (reg->offset > UI_SMMUV3_REG_AIDR && reg->offset != UI_SMMUV3_REG_GBPA && val)
			fail_msg("register %#x: %#lx", reg->offset, (long)val);
	}
	assert_int_equal(dma_read(stream, PAGES, 0, false, &val), UI_DMA_OK);
	rig.cmd_prod = 0;
	rig_enable(SID_BITS);
	command(UI_SMMUV3_OP_SYNC, 0);
	assert_int_equal(rd(UI_SMMUV3_REG_CMDQ_CONS), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(registers_keep_what_they_have), T(enables_guard_registers), T(command_queues_of_every_size), T(event_queues_of_every_size),
		T(misaligned_bases_are_aligned_down), T(an_event_queue_that_aborts), T(commands_wait_for_the_acknowledgement),
		T(interrupts_and_messages), T(without_msi_there_are_wires_only), T(devices_reach_the_registers_and_messages_do_not),
		T(reset_is_a_power_cycle),
	};

	if (ui_safe_install())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
