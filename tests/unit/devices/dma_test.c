/* SPDX-License-Identifier: MIT */
/* The `dma` device against docs/dma-device.md: rings, operations, PASIDs, faults, records. */
#include "common.h"

/* Where things lie: ring page 0, records page 1, data from page 16 on; mapped one to one in no-PASID space. */
enum { RING = 0, RECORDS = 1 * PAGE, SRC = 16 * PAGE, DST = 48 * PAGE };

static int setup(void **state)
{
	static struct world w;

	world_open(&w, 16);
	map(&w, NO_PASID, 0, 0, 256, RW);
	world_start(&w);
	*state = &w;
	return 0;
}

static int teardown(void **state)
{
	world_close(*state);
	return 0;
}

static struct desc *desc_at(struct world *w, unsigned n)
{
	return (struct desc *)(void *)(w->ram + RING + n * sizeof(struct desc));
}

static struct record *record_at(struct world *w, unsigned n)
{
	return (struct record *)(void *)(w->ram + RECORDS + n * sizeof(struct record));
}

/* Puts @d at slot 0 of channel 0 with record 0, runs it to its end and returns the record. */
static struct record *one(struct world *w, struct desc d)
{
	d.record = RECORDS;
	*desc_at(w, 0) = d;
	memset(record_at(w, 0), 0xee, sizeof(struct record));
	chan_start(w, 0, RING, 4, 0, 0);
	reg_write(w, chan_at(0, C_TAIL), 1, 8);
	run(w, 100000);
	return record_at(w, 0);
}

static void scramble(struct world *w, u64 at, u64 n, u64 seed)
{
	for (u64 i = 0; i < n; i++)
		w->ram[at + i] = (u8)next_random(&seed);
}

static void copies(void **state)
{
	static const u32 lengths[] = { 0, 1, 7, 8, 63, 64, 4095, 4096, 4097, 16384, 65537, 100001 };
	struct world *w = *state;

	for (unsigned i = 0; i < ui_array_size(lengths); i++) {
		u32 n = lengths[i];
		struct record *r;

		scramble(w, SRC, n + 3, i);
		memset(w->ram + DST, 0xaa, n + 16);
		r = one(w, (struct desc){ .op = DMA_OP_COPY, .cookie = 0x1234, .length = n, .src = SRC + 3, .dst = DST + 5 });
		assert_int_equal(r->status, DMA_DONE);
		assert_int_equal(r->cookie, 0x1234);
		assert_int_equal(r->done, n);
		assert_int_equal(r->reason | r->what | r->iova | r->pasid | r->zero, 0);
		assert_memory_equal(w->ram + SRC + 3, w->ram + DST + 5, n);
		assert_int_equal(w->ram[DST + 4], 0xaa);
		assert_int_equal(w->ram[DST + 5 + n], 0xaa);
		assert_int_equal(reg_read(w, chan_at(0, C_HEAD), 8), 1);
	}
}

static void fills_with_a_pattern_of_8_bytes(void **state)
{
	struct world *w = *state;
	u64 pattern = 0x0807060504030201;
	struct record *r = one(w, (struct desc){ .op = DMA_OP_FILL, .length = 40003, .src = pattern, .dst = DST + 1 });

	assert_int_equal(r->status, DMA_DONE);
	assert_int_equal(r->done, 40003);
	for (unsigned i = 0; i < 40003; i++)
		assert_int_equal(w->ram[DST + 1 + i], i % 8 + 1);
	assert_int_equal(w->ram[DST], 0);
	assert_int_equal(w->ram[DST + 1 + 40003], 0);
}

static void compare_says_where_the_difference_is(void **state)
{
	static const u32 places[] = { 0, 1, 4095, 4096, 16383, 16384, 39999 };
	struct world *w = *state;
	struct desc d = { .op = DMA_OP_COMPARE, .length = 40000, .src = SRC, .dst = DST };
	struct record *r;

	scramble(w, SRC, 40000, 1);
	memcpy(w->ram + DST, w->ram + SRC, 40000);
	assert_int_equal(one(w, d)->status, DMA_DONE);
	for (unsigned i = 0; i < ui_array_size(places); i++) {
		w->ram[DST + places[i]] ^= 1;
		r = one(w, d);
		assert_int_equal(r->status, DMA_DIFFERS);
		assert_int_equal(r->done, places[i]);
		assert_int_equal(r->iova, DST + places[i]);
		assert_int_equal(r->reason, 0);
		w->ram[DST + places[i]] ^= 1;
	}
	assert_int_equal(w->n_faults, 0);
}

static void nop_completes_and_touches_nothing(void **state)
{
	struct world *w = *state;
	struct record *r = one(w, (struct desc){ .op = DMA_OP_NOP, .length = 5, .src = ~(u64)0, .dst = ~(u64)0, .cookie = 9 });

	assert_int_equal(r->status, DMA_DONE);
	assert_int_equal(r->cookie, 9);
	assert_int_equal(w->n_faults, 0);
}

/* docs/dma-device.md: unknown opcode or reserved bit: BAD, nothing else touched. */
static void reserved_bits_make_a_bad_descriptor(void **state)
{
	struct world *w = *state;
	struct desc good = { .op = DMA_OP_FILL, .length = 64, .src = 1, .dst = DST };

	for (unsigned bit = 0; bit < 8 * DMA_DESC_BYTES; bit++) {
		struct desc d = good;
		bool reserved = (bit >= 11 && bit < 16) || (bit >= 212 && bit < 224) || (bit >= 244 && bit < 256) || bit >= 320;
		struct record *r;

		if (!reserved)
			continue;
		((u8 *)&d)[bit / 8] ^= (u8)(1u << bit % 8);
		r = one(w, d);
		assert_int_equal(r->status, DMA_BAD);
		assert_int_equal(r->done, 0);
		assert_int_equal(w->ram[DST], 0);
	}
	for (unsigned op = DMA_N_OPS; op < 256; op++) {
		good.op = (u8)op;
		assert_int_equal(one(w, good)->status, DMA_BAD);
	}
	assert_int_equal(reg_read(w, chan_at(0, C_STATUS), 4), DMA_RUNNING);
	assert_int_equal(w->n_faults, 0);
}

/* Each descriptor has its PASIDs: 1 and 2 lead the same iova to different memory, and no PASID to a third. */
static void pasids_select_the_address_space(void **state)
{
	struct world *w = *state;
	struct record *r;

	map(w, 1, 0, 300, 1, RW);
	map(w, 2, 0, 301, 1, RW);
	memcpy(w->ram + 300 * PAGE + 64, "one", 4);
	memcpy(w->ram + 301 * PAGE + 64, "two", 4);
	r = one(w, (struct desc){ .op = DMA_OP_COPY, .flags = DMA_F_SRC_PASID, .length = 4, .src = 64, .src_pasid = 1, .dst = DST });
	assert_int_equal(r->status, DMA_DONE);
	assert_string_equal((char *)w->ram + DST, "one");
	r = one(w, (struct desc){ .op = DMA_OP_COPY, .flags = DMA_F_SRC_PASID, .length = 4, .src = 64, .src_pasid = 2, .dst = DST });
	assert_string_equal((char *)w->ram + DST, "two");
	r = one(w, (struct desc){ .op = DMA_OP_COPY, .flags = DMA_F_SRC_PASID | DMA_F_DST_PASID, .length = 4, .src = 64, .src_pasid = 1,
				  .dst = 128, .dst_pasid = 2 });
	assert_int_equal(r->status, DMA_DONE);
	assert_string_equal((char *)w->ram + 301 * PAGE + 128, "one");
	assert_int_equal(w->ram[300 * PAGE + 128], 0);
	/* No PASID is not PASID 0, which is attached to nothing here. */
	r = one(w, (struct desc){ .op = DMA_OP_FILL, .flags = DMA_F_DST_PASID, .length = 4, .dst = 64 });
	assert_int_equal(r->status, DMA_FAULTED);
	assert_int_equal(r->reason, 1);
	assert_int_equal(r->what, 1 | 2 | DMA_AT_DST << 4);
}

static void a_ring_can_live_in_a_pasid(void **state)
{
	struct world *w = *state;

	map(w, 1, 0, 300, 4, RW);
	*(struct desc *)(void *)(w->ram + 300 * PAGE) = (struct desc){ .op = DMA_OP_FILL, .length = 8, .src = 7, .dst = DST, .record = PAGE };
	chan_start(w, 3, 0, 0, 1u << 31 | 1, 0);
	reg_write(w, chan_at(3, C_TAIL), 1, 8);
	run(w, 10);
	assert_int_equal(((struct record *)(void *)(w->ram + 301 * PAGE))->status, DMA_DONE);
	assert_int_equal(w->ram[DST], 7); /* the descriptor asked for no PASID */
}

static void check_fault(struct world *w, struct desc d, u8 reason, bool write, enum dma_what what, bool has_pasid, u32 pasid, u64 iova,
			u64 done)
{
	struct record *r;

	reg_write(w, G_FAULT_STATUS, ~0u, 4);
	r = one(w, d);
	assert_int_equal(r->status, DMA_FAULTED);
	assert_int_equal(r->reason, reason);
	assert_int_equal(r->what, (unsigned)write | (unsigned)has_pasid << 1 | what << 4);
	assert_int_equal(r->iova, iova);
	assert_int_equal(r->pasid, pasid);
	assert_int_equal(r->done, done);
	assert_int_equal(reg_read(w, G_FAULT_STATUS, 4), DMA_FAULT_VALID);
	assert_int_equal(reg_read(w, G_FAULT_INFO, 4), reason | (u32)write << 8 | (u32)has_pasid << 9 | (u32)what << 12);
	assert_int_equal(reg_read(w, G_FAULT_PASID, 4), pasid);
	assert_int_equal(reg_read(w, G_FAULT_ADDR, 8), iova);
	assert_int_equal(reg_read(w, chan_at(0, C_STATUS), 4), DMA_RUNNING);
	assert_int_equal(reg_read(w, chan_at(0, C_HEAD), 8), 1);
}

static void faults_name_side_address_pasid_and_reason(void **state)
{
	struct world *w = *state;
	const u64 hole = 300 * PAGE, ro = 200 * PAGE;
	struct desc copy = { .op = DMA_OP_COPY, .length = 2 * PAGE, .src = SRC, .dst = DST }, d;

	map(w, NO_PASID, ro, 200, 1, UI_PROT_READ);
	memset(w->ram + 200 * PAGE, 0x55, PAGE);
	d = copy, d.src = 255 * PAGE + 8;
	check_fault(w, d, 3, false, DMA_AT_SRC, false, 0, 256 * PAGE, PAGE - 8);
	d = copy, d.dst = hole + 1;
	check_fault(w, d, 3, true, DMA_AT_DST, false, 0, hole + 1, 0);
	d = copy, d.dst = ro - 16;
	check_fault(w, d, 5, true, DMA_AT_DST, false, 0, ro, 16);
	assert_int_equal(w->ram[200 * PAGE], 0x55);
	d = copy, d.src = (u64)N_PAGES * PAGE;
	check_fault(w, d, 4, false, DMA_AT_SRC, false, 0, d.src, 0);
	d = copy, d.op = DMA_OP_FILL, d.dst = hole;
	check_fault(w, d, 3, true, DMA_AT_DST, false, 0, hole, 0);
	d = copy, d.op = DMA_OP_COMPARE, d.dst = hole;
	check_fault(w, d, 3, false, DMA_AT_DST, false, 0, hole, 0);
	d = copy, d.op = DMA_OP_COMPARE, d.src = hole;
	check_fault(w, d, 3, false, DMA_AT_SRC, false, 0, hole, 0);
	d = copy, d.flags = DMA_F_DST_PASID, d.dst_pasid = 1;
	check_fault(w, d, 3, true, DMA_AT_DST, true, 1, DST, 0);
	d = copy, d.flags = DMA_F_SRC_PASID, d.src_pasid = 77;
	check_fault(w, d, 2, false, DMA_AT_SRC, true, 77, SRC, 0);
	d = copy, d.flags = DMA_F_SRC_PASID, d.src_pasid = 0x10000; /* the device has 16 bits */
	check_fault(w, d, 2, false, DMA_AT_SRC, true, 0x10000, SRC, 0);
}

static void memory_that_fails_behind_a_mapping_aborts(void **state)
{
	struct world *w = *state;

	w->spaces[NO_PASID]->pages[300] = 0x700000000 | RW; /* nothing is there */
	check_fault(w, (struct desc){ .op = DMA_OP_COPY, .length = 16, .src = 300 * PAGE, .dst = DST }, 7, false, DMA_AT_SRC, false, 0,
		    300 * PAGE, 0);
}

static void blocked_device_reports_blocked(void **state)
{
	struct world *w = *state;
	struct space *old = w->spaces[1];

	w->spaces[1] = NULL;
	check_fault(w, (struct desc){ .op = DMA_OP_FILL, .flags = DMA_F_DST_PASID, .dst_pasid = 1, .length = 16, .dst = 64 }, 1, true,
		    DMA_AT_DST, true, 1, 64, 0);
	w->spaces[1] = old;
}

/* The PASID capability's enable bit is in force: the IOMMU does not even see the access. */
static void pasids_need_the_capability_enabled(void **state)
{
	struct world *w = *state;

	map(w, 1, 0, 300, 1, RW);
	cfg_write(w, PCI_CFG_ECAPS + PCI_PASID_CTRL, 0, 2);
	check_fault(w, (struct desc){ .op = DMA_OP_FILL, .flags = DMA_F_DST_PASID, .dst_pasid = 1, .length = 16, .dst = 64 }, 2, true,
		    DMA_AT_DST, true, 1, 64, 0);
	assert_int_equal(w->n_faults, 0);
}

/* An access never wraps from the end of the 64-bit space to its start. */
static void addresses_do_not_wrap(void **state)
{
	struct world *w = *state;
	u64 top = -(u64)64;
	struct desc d = { .op = DMA_OP_FILL, .length = 65, .src = 1, .dst = top };

	check_fault(w, d, 4, true, DMA_AT_DST, false, 0, top, 0);
	d = (struct desc){ .op = DMA_OP_COPY, .length = ~0u, .src = SRC, .dst = ~(u64)0 };
	check_fault(w, d, 4, true, DMA_AT_DST, false, 0, ~(u64)0, 0);
	d = (struct desc){ .op = DMA_OP_COMPARE, .length = ~0u, .src = ~(u64)0, .dst = SRC };
	check_fault(w, d, 4, false, DMA_AT_SRC, false, 0, ~(u64)0, 0);
}

/* "What was accessed" is the side that was refused, also where the ranges overlap. */
static void a_refused_compare_names_its_side(void **state)
{
	struct world *w = *state;
	struct desc d = { .op = DMA_OP_COMPARE, .length = 2 * PAGE, .src = 310 * PAGE, .dst = 311 * PAGE };

	map(w, 0, 310 * PAGE, 0, 1, UI_PROT_READ | UI_PROT_WRITE);
	check_fault(w, d, 3, false, DMA_AT_DST, false, 0, 311 * PAGE, 0);
	d.src = 311 * PAGE;
	d.dst = 310 * PAGE;
	check_fault(w, d, 3, false, DMA_AT_SRC, false, 0, 311 * PAGE, 0);
	/* The second page of both, and the source comes first. */
	d.src = d.dst = 310 * PAGE;
	check_fault(w, d, 3, false, DMA_AT_SRC, false, 0, 311 * PAGE, PAGE);
}

static void fault_record_is_held_until_cleared(void **state)
{
	struct world *w = *state;
	struct desc d = { .op = DMA_OP_FILL, .length = 8, .dst = 300 * PAGE };

	one(w, d);
	d.dst = 301 * PAGE;
	one(w, d);
	assert_int_equal(reg_read(w, G_FAULT_STATUS, 4), DMA_FAULT_VALID | DMA_FAULT_OVERFLOW);
	assert_int_equal(reg_read(w, G_FAULT_ADDR, 8), 300 * PAGE);
	reg_write(w, G_FAULT_STATUS, DMA_FAULT_OVERFLOW, 4);
	assert_int_equal(reg_read(w, G_FAULT_STATUS, 4), DMA_FAULT_VALID);
	reg_write(w, G_FAULT_STATUS, DMA_FAULT_VALID, 4);
	one(w, d);
	assert_int_equal(reg_read(w, G_FAULT_ADDR, 8), 301 * PAGE);
}

static void expect_halt(struct world *w, unsigned chan, u8 reason)
{
	assert_int_equal(reg_read(w, chan_at(chan, C_STATUS), 4), DMA_HALTED | (u32)reason << 8);
	assert_int_equal(reg_read(w, G_STATUS, 4) >> chan & 1, 0);
	assert_int_equal(*(u32 *)(void *)(w->doorbells + chan * PAGE + 16), DMA_HALTED | (u32)reason << 8);
	assert_true(reg_read(w, G_IRQ_STATUS, 4) & 1u << chan);
}

static void a_ring_outside_every_mapping_halts(void **state)
{
	struct world *w = *state;

	chan_start(w, 2, 300 * PAGE, 4, 0, 0);
	reg_write(w, chan_at(2, C_TAIL), 3, 8);
	run(w, 10);
	expect_halt(w, 2, 3);
	assert_int_equal(reg_read(w, G_FAULT_INFO, 4), 3 | DMA_AT_DESC << 12 | 2 << 16);
	assert_int_equal(reg_read(w, G_FAULT_ADDR, 8), 300 * PAGE);
	assert_int_equal(reg_read(w, chan_at(2, C_HEAD), 8), 0);
	/* It stays halted, whatever its tail, and starts anew. */
	reg_write(w, chan_at(2, C_TAIL), 5, 8);
	assert_false(ui_pci_step(w->pci));
	chan_start(w, 2, RING, 4, 0, 0);
	assert_int_equal(reg_read(w, chan_at(2, C_STATUS), 4), DMA_RUNNING);
}

static void a_refused_completion_record_halts(void **state)
{
	struct world *w = *state;

	*desc_at(w, 0) = (struct desc){ .op = DMA_OP_NOP, .record = 300 * PAGE + 16 };
	chan_start(w, 0, RING, 4, 0, 0);
	reg_write(w, chan_at(0, C_TAIL), 2, 8);
	run(w, 10);
	expect_halt(w, 0, 3);
	assert_int_equal(reg_read(w, G_FAULT_INFO, 4), 3 | 1 << 8 | DMA_AT_RECORD << 12);
	assert_int_equal(reg_read(w, G_FAULT_ADDR, 8), 300 * PAGE + 16);
}

static void a_misaligned_completion_record_halts(void **state)
{
	struct world *w = *state;

	*desc_at(w, 0) = (struct desc){ .op = DMA_OP_FILL, .length = 8, .src = 1, .dst = DST, .record = RECORDS + 8 };
	chan_start(w, 0, RING, 4, 0, 0);
	reg_write(w, chan_at(0, C_TAIL), 1, 8);
	run(w, 10);
	expect_halt(w, 0, 0xff);
	assert_int_equal(w->ram[DST], 0);
}

static void register_errors_halt(void **state)
{
	struct world *w = *state;

	chan_start(w, 0, RING + 32, 4, 0, 0);
	expect_halt(w, 0, 0xff);
	chan_start(w, 1, RING, 17, 0, 0);
	expect_halt(w, 1, 0xff);
	chan_start(w, 2, RING, ~0u, 0, 0);
	expect_halt(w, 2, 0xff);
	chan_start(w, 3, RING, 2, 0, 0);
	reg_write(w, chan_at(3, C_TAIL), 5, 8);
	expect_halt(w, 3, 0xff);
	assert_int_equal(reg_read(w, G_FAULT_STATUS, 4), 0);
}

static void head_and_tail_count_over_the_ring(void **state)
{
	struct world *w = *state;

	for (unsigned i = 0; i < 4; i++)
		*desc_at(w, i) = (struct desc){ .op = DMA_OP_NOP, .cookie = (u16)i, .record = RECORDS + i * 32 };
	chan_start(w, 0, RING, 2, 0, 0);
	for (u64 tail = 3; tail < 100; tail += 3) {
		reg_write(w, chan_at(0, C_TAIL), tail, 8);
		run(w, 10);
		assert_int_equal(reg_read(w, chan_at(0, C_HEAD), 8), tail);
	}
	reg_write(w, chan_at(0, C_TAIL), 5, 8); /* below: ignored */
	assert_int_equal(reg_read(w, chan_at(0, C_TAIL), 8), 99);
	assert_int_equal(reg_read(w, chan_at(0, C_STATUS), 4), DMA_RUNNING);
}

/* A ring of one descriptor that copies itself onto itself, with its completion record in it. */
static void a_ring_pointing_at_itself_only_harms_itself(void **state)
{
	struct world *w = *state;

	*desc_at(w, 0) = (struct desc){ .op = DMA_OP_COPY, .length = 64, .src = RING, .dst = RING, .record = RING };
	chan_start(w, 0, RING, 0, 0, 0);
	for (u64 tail = 1; tail < 50; tail++) {
		reg_write(w, chan_at(0, C_TAIL), tail, 8);
		run(w, 10);
		if (reg_read(w, chan_at(0, C_STATUS), 4) != DMA_RUNNING)
			break;
	}
}

static void a_ring_in_its_own_doorbell_page(void **state)
{
	struct world *w = *state;

	w->spaces[NO_PASID]->pages[300] = DOORBELL_PA | RW;
	chan_start(w, 0, 300 * PAGE, 0, 0, DMA_CHAN_POLL);
	for (u64 i = 1; i < 50; i++) {
		*(volatile u64 *)(void *)w->doorbells = i;
		run(w, 100);
	}
}

static bool mmio_read(void *arg, u64 offset, unsigned n_bytes, u64 *val)
{
	*val = 0;
	return ui_pci_bar_read(arg, DMA_BAR_REGS, offset, val, n_bytes);
}

static bool mmio_write(void *arg, u64 offset, unsigned n_bytes, u64 val)
{
	return ui_pci_bar_write(arg, DMA_BAR_REGS, offset, &val, n_bytes);
}

/* Registers that are part of the memory object: the function does not answer itself, and does not hang either. */
static void a_ring_in_its_own_registers_aborts(void **state)
{
	static const struct ui_mem_mmio_ops ops = { .read = mmio_read, .write = mmio_write };
	struct world *w = *state;

	assert_int_equal(ui_mem_add_mmio(w->mem, MMIO_PA, 16 << 10, &ops, w->pci), 0);
	w->spaces[NO_PASID]->pages[300] = MMIO_PA | RW;
	chan_start(w, 0, 300 * PAGE, 4, 0, 0);
	reg_write(w, chan_at(0, C_TAIL), 1, 8);
	run(w, 10);
	expect_halt(w, 0, 7);
	reg_write(w, G_FAULT_STATUS, ~0u, 4);
	check_fault(w, (struct desc){ .op = DMA_OP_FILL, .length = 4, .dst = 300 * PAGE + G_CTRL }, 7, true, DMA_AT_DST, false, 0,
		    300 * PAGE + G_CTRL, 0);
	assert_int_equal(ui_mem_remove(w->mem, MMIO_PA), 0);
}

static void doorbell_pages_carry_tail_head_and_status(void **state)
{
	struct world *w = *state;
	volatile u64 *page = (void *)(w->doorbells + 4 * PAGE);

	for (unsigned i = 0; i < 4; i++)
		*desc_at(w, i) = (struct desc){ .op = DMA_OP_NOP };
	page[0] = 3;
	page[1] = 77;
	chan_start(w, 4, RING, 2, 0, DMA_CHAN_POLL);
	assert_int_equal(page[0], 0); /* ENABLE clears it */
	assert_int_equal(page[1], 0);
	assert_int_equal((u32)page[2], DMA_RUNNING);
	assert_true(ui_pci_polls(w->pci));
	page[0] = 2;
	run(w, 10);
	assert_int_equal(page[1], 2);
	assert_int_equal(reg_read(w, chan_at(4, C_TAIL), 8), 2);
	reg_write(w, chan_at(4, C_TAIL), 4, 8); /* the larger counts */
	run(w, 10);
	assert_int_equal(page[1], 4);
	page[0] = 9;
	run(w, 10);
	assert_int_equal((u32)page[2], DMA_HALTED | 0xff << 8);
	assert_false(ui_pci_polls(w->pci));
	reg_write(w, chan_at(4, C_CTRL), 0, 4);
	assert_int_equal((u32)page[2], DMA_STOPPED);
}

static void without_poll_the_page_is_not_read(void **state)
{
	struct world *w = *state;

	*desc_at(w, 0) = (struct desc){ .op = DMA_OP_NOP };
	chan_start(w, 1, RING, 2, 0, 0);
	*(volatile u64 *)(void *)(w->doorbells + PAGE) = 1;
	assert_false(ui_pci_polls(w->pci));
	run(w, 10);
	assert_int_equal(reg_read(w, chan_at(1, C_HEAD), 8), 0);
}

/* Bus mastering off, device disabled or D3hot: not a byte moves; afterwards work goes on where it stood. */
static void nothing_moves_while_dma_is_off(void **state)
{
	struct world *w = *state;
	const u16 pm = 0x40 + PCI_PM_CTRL;

	*desc_at(w, 0) = (struct desc){ .op = DMA_OP_FILL, .length = 200000, .src = ~(u64)0, .dst = DST };
	chan_start(w, 0, RING, 2, 0, 0);
	reg_write(w, chan_at(0, C_TAIL), 1, 8);
	cfg_write(w, PCI_CFG_COMMAND, PCI_CMD_MEM, 2);
	for (int i = 0; i < 10; i++)
		assert_false(ui_pci_step(w->pci));
	assert_int_equal(w->ram[DST], 0);
	w->n_wakes = 0;
	cfg_write(w, PCI_CFG_COMMAND, PCI_CMD_MEM | PCI_CMD_MASTER, 2);
	assert_int_equal(w->n_wakes, 1);
	assert_true(ui_pci_step(w->pci));
	assert_int_equal(w->ram[DST], 0xff);
	cfg_write(w, pm, 3, 2);
	assert_false(ui_pci_step(w->pci));
	cfg_write(w, pm, 0, 2);
	assert_true(ui_pci_step(w->pci));
	reg_write(w, G_CTRL, 0, 4);
	assert_false(ui_pci_step(w->pci));
	assert_int_equal(w->ram[DST + 199999], 0);
	reg_write(w, G_CTRL, 1, 4);
	run(w, 10);
	assert_int_equal(w->ram[DST + 199999], 0xff);
	assert_int_equal(w->ram[DST + 200000], 0);
}

static void a_step_is_bounded_and_channels_take_turns(void **state)
{
	struct world *w = *state;
	struct ui_dma_stats before, after;
	unsigned steps = 0;

	/* Channel 0 has far more to do than channel 7, which must not wait for it. */
	*desc_at(w, 0) = (struct desc){ .op = DMA_OP_FILL, .length = 640 << 10, .dst = DST };
	*desc_at(w, 8) = (struct desc){ .op = DMA_OP_FILL, .length = 8, .src = 5, .dst = DST + (700 << 10) };
	chan_start(w, 0, RING, 0, 0, 0);
	chan_start(w, 7, RING + 8 * 64, 0, 0, 0);
	reg_write(w, chan_at(0, C_TAIL), 1, 8);
	reg_write(w, chan_at(7, C_TAIL), 1, 8);
	for (bool more = true; more; steps++) {
		ui_dma_stats(w->port, &before);
		more = ui_pci_step(w->pci);
		ui_dma_stats(w->port, &after);
		assert_true(after.bytes - before.bytes <= (64 << 10) + (16 << 10));
		if (!steps)
			assert_int_equal(reg_read(w, chan_at(7, C_HEAD), 8), 1);
	}
	assert_true(steps >= 10);
	/* Nops end a step as well: a ring of 2^16 is not run in one. */
	map(w, NO_PASID, 0, 0, N_PAGES, RW);
	memset(w->ram, 0, RAM_BYTES);
	chan_start(w, 0, 0, 14, 0, 0);
	reg_write(w, chan_at(0, C_TAIL), 1 << 14, 8);
	assert_true(ui_pci_step(w->pci));
	assert_true(reg_read(w, chan_at(0, C_HEAD), 8) <= 1024);
	run(w, 1000);
	assert_int_equal(reg_read(w, chan_at(0, C_HEAD), 8), 1 << 14);
}

static void a_cleared_enable_stops_at_once(void **state)
{
	struct world *w = *state;

	*desc_at(w, 0) = (struct desc){ .op = DMA_OP_FILL, .length = 400000, .src = ~(u64)0, .dst = DST, .record = RECORDS };
	chan_start(w, 0, RING, 2, 0, 0);
	reg_write(w, chan_at(0, C_TAIL), 1, 8);
	assert_true(ui_pci_step(w->pci));
	reg_write(w, chan_at(0, C_CTRL), 0, 4);
	assert_int_equal(reg_read(w, chan_at(0, C_STATUS), 4), DMA_STOPPED);
	assert_false(ui_pci_step(w->pci));
	assert_int_equal(w->ram[DST + 399999], 0);
	assert_int_equal(record_at(w, 0)->status, 0);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(copies),
		T(fills_with_a_pattern_of_8_bytes),
		T(compare_says_where_the_difference_is),
		T(nop_completes_and_touches_nothing),
		T(reserved_bits_make_a_bad_descriptor),
		T(pasids_select_the_address_space),
		T(a_ring_can_live_in_a_pasid),
		T(faults_name_side_address_pasid_and_reason),
		T(memory_that_fails_behind_a_mapping_aborts),
		T(blocked_device_reports_blocked),
		T(pasids_need_the_capability_enabled),
		T(addresses_do_not_wrap),
		T(a_refused_compare_names_its_side),
		T(fault_record_is_held_until_cleared),
		T(a_ring_outside_every_mapping_halts),
		T(a_refused_completion_record_halts),
		T(a_misaligned_completion_record_halts),
		T(register_errors_halt),
		T(head_and_tail_count_over_the_ring),
		T(a_ring_pointing_at_itself_only_harms_itself),
		T(a_ring_in_its_own_doorbell_page),
		T(a_ring_in_its_own_registers_aborts),
		T(doorbell_pages_carry_tail_head_and_status),
		T(without_poll_the_page_is_not_read),
		T(nothing_moves_while_dma_is_off),
		T(a_step_is_bounded_and_channels_take_turns),
		T(a_cleared_enable_stops_at_once),
	};

	return cmocka_run_group_tests_name("dma", tests, NULL, NULL);
}
