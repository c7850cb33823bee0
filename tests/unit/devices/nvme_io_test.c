/* SPDX-License-Identifier: MIT */
/* The nvme namespace: data by PRPs, order and durability, bad input (docs/nvme-device.md; devices-and-transports.md 4.4, 4.7). */
#include "nvme_common.h"

static int setup(void **state)
{
	static struct host h;

	host_open(&h, false);
	nvme_up(&h);
	*state = &h;
	return 0;
}

static int setup_read_only(void **state)
{
	static struct host h;

	host_open(&h, true);
	nvme_up(&h);
	*state = &h;
	return 0;
}

static int teardown(void **state)
{
	host_close(*state);
	return 0;
}

/* ---- data ---- */

static void reads_and_writes_of_all_shapes(void **state)
{
	static const struct {
		u32 n_blocks, offset;
	} shapes[] = { { 1, 0 }, { 1, 4092 }, { 8, 0 }, { 8, 4 }, { 8, 3584 }, { 9, 0 }, { 16, 0 }, { 16, 512 }, { 17, 0 }, { 100, 2048 }, { 512, 0 }, { 512, 4 } };
	struct host *h = *state;

	for (unsigned i = 0; i < ui_array_size(shapes); i++) {
		u32 n = shapes[i].n_blocks;
		u64 at = DATA_AT + shapes[i].offset, back = DATA_AT + 100 * PAGE + shapes[i].offset;

		scramble_at(h, at, n * 512, i);
		assert_int_equal(simple_io(h, NVME_IO_WRITE, 10 * i, n, at, 0), 0);
		assert_memory_equal(h->disk.cached + 5120 * i, h->w.ram + at, n * 512);
		memset(h->w.ram + back - 4, 0xaa, n * 512 + 8);
		assert_int_equal(simple_io(h, NVME_IO_READ, 10 * i, n, back, 0), 0);
		assert_memory_equal(h->w.ram + back, h->w.ram + at, n * 512);
		assert_int_equal(mem_get(h, back - 4, 4), 0xaaaaaaaa);
		assert_int_equal(mem_get(h, back + n * 512, 4), 0xaaaaaaaa);
	}
}

static void put_list(struct host *h, u64 at, const u64 *entries, unsigned n)
{
	memcpy(h->w.ram + at, entries, 8 * n);
}

/* 4.4 of the sheet: a list may begin anywhere at a multiple of 8, and its last slot leads on when more is needed. */
static void a_list_may_begin_in_the_last_slot_of_its_page(void **state)
{
	struct host *h = *state;
	const u64 lead = LIST_AT + PAGE, pages[] = { DATA_AT + 8 * PAGE, DATA_AT + 2 * PAGE, DATA_AT + 5 * PAGE };
	const u64 lead2 = LIST_AT + 2 * PAGE, rest[] = { DATA_AT + 2 * PAGE, DATA_AT + 5 * PAGE };
	u64 at[] = { DATA_AT, pages[0], pages[1], pages[2] };

	scramble_at(h, DATA_AT, 10 * PAGE, 1);
	put_list(h, LIST_AT + PAGE - 8, &lead, 1);
	put_list(h, LIST_AT + PAGE, pages, 3);
	assert_int_equal(command(h, 1, io_sqe(NVME_IO_WRITE, 0, 32, DATA_AT, LIST_AT + PAGE - 8)), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_memory_equal(h->disk.cached + i * PAGE, h->w.ram + at[i], PAGE);
	/* With the last two slots: one is data, one leads on. */
	put_list(h, LIST_AT + PAGE - 16, &pages[0], 1);
	put_list(h, LIST_AT + PAGE - 8, &lead2, 1);
	put_list(h, LIST_AT + 2 * PAGE, rest, 2);
	memset(h->disk.cached, 0, 4 * PAGE);
	assert_int_equal(command(h, 1, io_sqe(NVME_IO_WRITE, 0, 32, DATA_AT, LIST_AT + PAGE - 16)), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_memory_equal(h->disk.cached + i * PAGE, h->w.ram + at[i], PAGE);
	/* Exactly enough slots: the last is data. */
	put_list(h, LIST_AT + PAGE - 24, pages, 3);
	memset(h->disk.cached, 0, 4 * PAGE);
	assert_int_equal(command(h, 1, io_sqe(NVME_IO_WRITE, 0, 32, DATA_AT, LIST_AT + PAGE - 24)), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_memory_equal(h->disk.cached + i * PAGE, h->w.ram + at[i], PAGE);
}

static void larger_pages(void **state)
{
	struct host *h = *state;
	const u64 pages[] = { 0x90000, 0xb0000, 0xa0000 };

	nvme_enable(h, CC_ON | 4u << NVME_CC_MPS_SHIFT);
	assert_int_equal(nvme_read(h, NVME_REG_CSTS), NVME_CSTS_CFS); /* the admin queue is not at the start of such a page */
	nvme_write(h, NVME_REG_CC, 0);
	reg_write(&h->w, NVME_REG_ASQ, 0x10000, 8);
	reg_write(&h->w, NVME_REG_ACQ, 0x20000, 8);
	queue_fresh(h, 0, 0x10000, 0x20000, ADMIN_ENTRIES, ADMIN_ENTRIES);
	nvme_write(h, NVME_REG_CC, CC_ON | 4u << NVME_CC_MPS_SHIFT);
	assert_int_equal(command(h, 0, (struct sqe){ .op = NVME_ADM_CREATE_CQ, .prp1 = 0x30000, .cdw10 = 1 | 63 << 16, .cdw11 = 3 }), 0);
	assert_int_equal(command(h, 0, (struct sqe){ .op = NVME_ADM_CREATE_SQ, .prp1 = 0x40000, .cdw10 = 1 | 63 << 16, .cdw11 = 1 | 1 << 16 }), 0);
	queue_fresh(h, 1, 0x40000, 0x30000, 64, 64);
	scramble_at(h, 0x80000, 0x40000, 5);
	put_list(h, LIST_AT, pages, 3);
	assert_int_equal(command(h, 1, io_sqe(NVME_IO_WRITE, 0, 512, 0x80000, LIST_AT)), 0);
	assert_memory_equal(h->disk.cached, h->w.ram + 0x80000, 0x20000);
	assert_memory_equal(h->disk.cached + 0x20000, h->w.ram + 0xb0000, 0x10000);
	assert_memory_equal(h->disk.cached + 0x30000, h->w.ram + 0xa0000, 0x10000);
}

static void compare_finds_a_difference(void **state)
{
	struct host *h = *state;

	scramble_at(h, DATA_AT, 100 * 512, 3);
	assert_int_equal(simple_io(h, NVME_IO_WRITE, 5, 100, DATA_AT, 0), 0);
	assert_int_equal(simple_io(h, NVME_IO_COMPARE, 5, 100, DATA_AT, 0), 0);
	for (unsigned i = 0; i < 100 * 512; i += 7001) {
		h->w.ram[DATA_AT + i] ^= 1;
		assert_int_equal(STATUS(simple_io(h, NVME_IO_COMPARE, 5, 100, DATA_AT, 0)), NVME_COMPARE_FAILURE);
		h->w.ram[DATA_AT + i] ^= 1;
	}
}

static void write_zeroes_goes_beyond_the_transfer_limit(void **state)
{
	struct host *h = *state;

	for (unsigned round = 0; round < 2; round++) {
		/* With holes and without. */
		h->disk.fail_discard = round ? -EOPNOTSUPP : 0;
		memset(h->disk.cached, 0x55, DISK_BYTES);
		assert_int_equal(command(h, 1, io_sqe(NVME_IO_WRITE_ZEROES, 1, DISK_BLOCKS - 2, 0, 0)), 0);
		assert_int_equal(h->disk.cached[511], 0x55);
		assert_int_equal(h->disk.cached[DISK_BYTES - 512], 0x55);
		for (unsigned i = 512; i < DISK_BYTES - 512; i++)
			assert_int_equal(h->disk.cached[i], 0);
	}
}

struct range {
	u32 attributes, n_blocks;
	u64 lba;
};

static u16 dataset(struct host *h, const struct range *ranges, unsigned n, u32 flags)
{
	memcpy(h->w.ram + DATA_AT, ranges, n * sizeof(*ranges));
	return command(h, 1, (struct sqe){ .op = NVME_IO_DATASET, .nsid = 1, .prp1 = DATA_AT, .cdw10 = n - 1, .cdw11 = flags });
}

static void deallocated_blocks_read_as_zeros(void **state)
{
	const struct range ranges[] = { { 0, 3, 10 }, { 0, 0, 5 }, { 7, 1, DISK_BLOCKS - 1 }, { 0, 1, 20 } };
	struct host *h = *state;

	memset(h->disk.cached, 0x55, DISK_BYTES);
	assert_int_equal(dataset(h, ranges, 4, 3), 0); /* hints only */
	assert_int_equal(h->disk.n_discards, 0);
	assert_int_equal(dataset(h, ranges, 4, 4), 0);
	assert_int_equal(h->disk.n_discards, 3);
	for (unsigned i = 0; i < DISK_BLOCKS; i++) {
		bool gone = (i >= 10 && i < 13) || i == 20 || i == DISK_BLOCKS - 1;

		assert_int_equal(h->disk.cached[512 * i], gone ? 0 : 0x55);
	}
	/* Without holes it is advice that is not taken. */
	h->disk.fail_discard = -EOPNOTSUPP;
	assert_int_equal(dataset(h, ranges, 1, 4), 0);
	h->disk.fail_discard = -EIO;
	assert_int_equal(STATUS(dataset(h, ranges, 1, 4)), NVME_WRITE_FAULT);
}

static void dataset_management_takes_256_ranges_and_checks_all_first(void **state)
{
	struct host *h = *state;
	struct range ranges[256];

	memset(h->disk.cached, 0x55, DISK_BYTES);
	for (u32 i = 0; i < 256; i++)
		ranges[i] = (struct range){ 0, 1, 2 * i };
	ranges[255].lba = DISK_BLOCKS;
	assert_int_equal(STATUS(dataset(h, ranges, 256, 4)), NVME_LBA_RANGE);
	assert_int_equal(h->disk.n_discards, 0);
	ranges[255].lba = 510;
	assert_int_equal(dataset(h, ranges, 256, 4), 0);
	for (u32 i = 0; i < 512; i++)
		assert_int_equal(h->disk.cached[512 * i], i % 2 ? 0x55 : 0);
}

/* ---- order and durability ---- */

/* Step 3, point 1: a backend that throws away what was not followed by fdatasync. */
static void a_write_is_durable_after_flush_only(void **state)
{
	struct host *h = *state;

	scramble_at(h, DATA_AT, 4096, 1);
	assert_int_equal(simple_io(h, NVME_IO_WRITE, 0, 8, DATA_AT, 0), 0);
	disk_power_cut(&h->disk);
	assert_int_equal(h->disk.cached[0] | h->disk.cached[1] | h->disk.cached[2], 0);
	for (u32 nsid = 1, i = 0; i < 2; i++, nsid = NVME_ALL_NAMESPACES) {
		assert_int_equal(simple_io(h, NVME_IO_WRITE, 8 * i, 8, DATA_AT, 0), 0);
		assert_int_equal(command(h, 1, (struct sqe){ .op = NVME_IO_FLUSH, .nsid = nsid }), 0);
		disk_power_cut(&h->disk);
		assert_memory_equal(h->disk.cached + i * 4096, h->w.ram + DATA_AT, 4096);
	}
}

static void a_write_with_fua_is_durable(void **state)
{
	struct host *h = *state;

	scramble_at(h, DATA_AT, 4096, 1);
	memset(h->disk.durable, 0x55, DISK_BYTES);
	assert_int_equal(simple_io(h, NVME_IO_WRITE, 0, 8, DATA_AT, 1 << 30), 0);
	assert_int_equal(command(h, 1, (struct sqe){ .op = NVME_IO_WRITE_ZEROES, .nsid = 1, .cdw10 = 8, .cdw12 = 7 | 1 << 30 }), 0);
	disk_power_cut(&h->disk);
	assert_memory_equal(h->disk.cached, h->w.ram + DATA_AT, 4096);
	for (unsigned i = 4096; i < 8192; i++)
		assert_int_equal(h->disk.cached[i], 0);
}

/* What a read with FUA returned is not taken back by a power cut. */
static void a_read_with_fua_flushes_first(void **state)
{
	struct host *h = *state;

	scramble_at(h, DATA_AT, 4096, 1);
	assert_int_equal(simple_io(h, NVME_IO_WRITE, 0, 8, DATA_AT, 0), 0);
	assert_int_equal(simple_io(h, NVME_IO_READ, 0, 8, DATA_AT + PAGE, 1 << 30), 0);
	disk_power_cut(&h->disk);
	assert_memory_equal(h->disk.cached, h->w.ram + DATA_AT + PAGE, 4096);
}

static void without_a_write_cache_everything_is_durable(void **state)
{
	struct host *h = *state;
	const struct range range = { 0, 8, 0 };

	scramble_at(h, DATA_AT, 4096, 1);
	assert_int_equal(simple_io(h, NVME_IO_WRITE, 0, 8, DATA_AT, 0), 0);
	assert_int_equal(command(h, 0, (struct sqe){ .op = NVME_ADM_SET_FEATURES, .cdw10 = NVME_FEAT_WRITE_CACHE, .cdw11 = 0 }), 0);
	disk_power_cut(&h->disk); /* switching it off wrote back what was in it */
	assert_memory_equal(h->disk.cached, h->w.ram + DATA_AT, 4096);
	assert_int_equal(simple_io(h, NVME_IO_WRITE, 8, 8, DATA_AT, 0), 0);
	disk_power_cut(&h->disk);
	assert_memory_equal(h->disk.cached + 4096, h->w.ram + DATA_AT, 4096);
	assert_int_equal(dataset(h, &range, 1, 4), 0);
	disk_power_cut(&h->disk);
	assert_int_equal(h->disk.cached[0] | h->disk.cached[4095], 0);
}

static void a_flush_that_failed_is_never_followed_by_one_that_succeeds(void **state)
{
	struct host *h = *state;

	assert_int_equal(simple_io(h, NVME_IO_WRITE, 0, 8, DATA_AT, 0), 0);
	h->disk.fail_flush = -EIO;
	assert_int_equal(STATUS(command(h, 1, (struct sqe){ .op = NVME_IO_FLUSH, .nsid = 1 })), NVME_WRITE_FAULT);
	h->disk.fail_flush = 0;
	assert_int_equal(STATUS(command(h, 1, (struct sqe){ .op = NVME_IO_FLUSH, .nsid = 1 })), NVME_WRITE_FAULT);
	assert_int_equal(STATUS(simple_io(h, NVME_IO_WRITE, 0, 8, DATA_AT, 1 << 30)), NVME_WRITE_FAULT);
	nvme_up(h);
	assert_int_equal(STATUS(command(h, 1, (struct sqe){ .op = NVME_IO_FLUSH, .nsid = 1 })), NVME_WRITE_FAULT);
}

static void a_flush_without_writes_costs_nothing(void **state)
{
	struct host *h = *state;

	assert_int_equal(simple_io(h, NVME_IO_WRITE, 0, 8, DATA_AT, 0), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(command(h, 1, (struct sqe){ .op = NVME_IO_FLUSH, .nsid = 1 }), 0);
	assert_int_equal(h->disk.n_flushes, 1);
}

/* ---- bad input ---- */

/* Bad input of step 3: PRPs misaligned, unmapped, in the controller's own registers. Nothing reaches the image. */
static void bad_prps_change_nothing(void **state)
{
	static const u64 hole = (u64)MAPPED * PAGE;
	static const struct {
		u32 n_blocks;
		u64 prp1, prp2, list[2];
		u16 status;
	} bad[] = {
		{ 1, DATA_AT + 1, 0, { 0 }, NVME_PRP_OFFSET },
		{ 1, DATA_AT + 2, 0, { 0 }, NVME_PRP_OFFSET },
		{ 16, DATA_AT, DATA_AT + PAGE + 4, { 0 }, NVME_PRP_OFFSET },
		{ 16, DATA_AT, DATA_AT + PAGE + 512, { 0 }, NVME_PRP_OFFSET },
		{ 24, DATA_AT, LIST_AT + 4, { 0 }, NVME_PRP_OFFSET },
		{ 24, DATA_AT, LIST_AT, { DATA_AT + 8, DATA_AT }, NVME_PRP_OFFSET },
		{ 24, DATA_AT, LIST_AT, { DATA_AT, DATA_AT + 4 }, NVME_PRP_OFFSET },
		{ 32, DATA_AT, LIST_AT + PAGE - 16, { DATA_AT, LIST_AT + 8 }, NVME_PRP_OFFSET }, /* leads on into a page's middle */
		{ 1, hole, 0, { 0 }, NVME_DATA_TRANSFER },
		{ 16, DATA_AT, hole, { 0 }, NVME_DATA_TRANSFER },
		{ 24, DATA_AT, hole, { 0 }, NVME_DATA_TRANSFER }, /* the list */
		{ 24, DATA_AT, LIST_AT, { DATA_AT, hole }, NVME_DATA_TRANSFER },
		{ 24, DATA_AT, LIST_AT, { DATA_AT, ~(u64)0xfff }, NVME_DATA_TRANSFER },
		{ 24, DATA_AT, LIST_AT, { (u64)1 << 63, DATA_AT }, NVME_DATA_TRANSFER },
		{ 32, DATA_AT, LIST_AT + PAGE - 16, { DATA_AT, hole }, NVME_DATA_TRANSFER },
		{ 1, OWN_BAR_AT, 0, { 0 }, NVME_DATA_TRANSFER },
		{ 16, DATA_AT, OWN_BAR_AT + PAGE, { 0 }, NVME_DATA_TRANSFER },
		{ 24, DATA_AT, OWN_BAR_AT, { 0 }, NVME_DATA_TRANSFER },
	};
	struct host *h = *state;

	memset(h->disk.cached, 0x55, DISK_BYTES);
	for (unsigned i = 0; i < 3 * ui_array_size(bad); i++) {
		static const u8 ops[] = { NVME_IO_WRITE, NVME_IO_COMPARE, NVME_IO_READ };
		unsigned n = i / 3;

		put_list(h, bad[n].prp2 < hole && bad[n].prp2 >= LIST_AT && bad[n].prp2 < DATA_AT ? bad[n].prp2 & ~(u64)7 : LIST_AT, bad[n].list, 2);
		assert_int_equal(STATUS(command(h, 1, io_sqe(ops[i % 3], 0, bad[n].n_blocks, bad[n].prp1, bad[n].prp2))), bad[n].status);
		assert_int_equal(!!(h->cqe[3] >> 17 & NVME_DNR), bad[n].status == NVME_PRP_OFFSET);
	}
	assert_int_equal(h->disk.n_writes, 0);
	assert_int_equal(nvme_read(h, NVME_REG_CSTS), NVME_CSTS_RDY);
	assert_int_equal(STATUS(command(h, 0, (struct sqe){ .op = NVME_ADM_IDENTIFY, .prp1 = DATA_AT + 8, .prp2 = 12, .cdw10 = 1 })), NVME_PRP_OFFSET);
	assert_int_equal(STATUS(command(h, 0, (struct sqe){ .op = NVME_ADM_IDENTIFY, .prp1 = hole, .cdw10 = 1 })), NVME_DATA_TRANSFER);
}

/* A list whose last slot leads to itself is read as often as the length asks for. */
static void a_circular_list_ends(void **state)
{
	struct host *h = *state;
	const u64 self = LIST_AT;
	u64 data = DATA_AT + PAGE;

	for (unsigned i = 0; i < 511; i++)
		put_list(h, LIST_AT + 8 * i, &data, 1);
	put_list(h, LIST_AT + PAGE - 8, &self, 1);
	assert_int_equal(command(h, 1, io_sqe(NVME_IO_WRITE, 0, 512, DATA_AT, LIST_AT + PAGE - 8)), 0);
	assert_memory_equal(h->disk.cached + 63 * PAGE, h->w.ram + DATA_AT + PAGE, PAGE);
}

static void data_for_memory_that_may_not_be_written(void **state)
{
	struct host *h = *state;

	map(&h->w, NO_PASID, DATA_AT + PAGE, DATA_AT / PAGE + 1, 1, UI_PROT_READ);
	memset(h->w.ram + DATA_AT + PAGE, 0x33, PAGE);
	assert_int_equal(STATUS(command(h, 1, io_sqe(NVME_IO_READ, 0, 16, DATA_AT, DATA_AT + PAGE))), NVME_DATA_TRANSFER);
	assert_int_equal(h->w.ram[DATA_AT + PAGE], 0x33);
	assert_int_equal(command(h, 1, io_sqe(NVME_IO_WRITE, 0, 16, DATA_AT, DATA_AT + PAGE)), 0);
}

static void ranges_and_lengths_out_of_bounds(void **state)
{
	static const struct {
		u8 op;
		u64 lba;
		u32 n_blocks;
		u16 status;
	} bad[] = {
		{ NVME_IO_READ, DISK_BLOCKS, 1, NVME_LBA_RANGE },	   { NVME_IO_READ, DISK_BLOCKS - 1, 2, NVME_LBA_RANGE },
		{ NVME_IO_READ, ~(u64)0, 1, NVME_LBA_RANGE },		   { NVME_IO_WRITE, ~(u64)0, 512, NVME_LBA_RANGE },
		{ NVME_IO_WRITE, (u64)1 << 55, 8, NVME_LBA_RANGE },	   { NVME_IO_COMPARE, DISK_BLOCKS, 1, NVME_LBA_RANGE },
		{ NVME_IO_WRITE_ZEROES, 1, DISK_BLOCKS, NVME_LBA_RANGE },  { NVME_IO_WRITE_ZEROES, 0, 65536, NVME_LBA_RANGE },
		{ NVME_IO_READ, 0, 513, NVME_BAD_FIELD },		   { NVME_IO_WRITE, 0, 65536, NVME_BAD_FIELD },
		{ NVME_IO_COMPARE, 0, 513, NVME_BAD_FIELD },
	};
	struct host *h = *state;

	for (unsigned i = 0; i < ui_array_size(bad); i++)
		assert_int_equal(command(h, 1, io_sqe(bad[i].op, bad[i].lba, bad[i].n_blocks, DATA_AT, LIST_AT)),
				 bad[i].status | NVME_DNR | NVME_MORE);
	assert_int_equal(h->disk.n_writes + h->disk.n_discards, 0);
	assert_int_equal(simple_io(h, NVME_IO_READ, DISK_BLOCKS - 1, 1, DATA_AT, 0), 0);
}

static void other_namespaces_and_directives(void **state)
{
	static const u8 ops[] = { NVME_IO_FLUSH, NVME_IO_WRITE, NVME_IO_READ, NVME_IO_COMPARE, NVME_IO_WRITE_ZEROES, NVME_IO_DATASET };
	struct host *h = *state;

	for (unsigned i = 0; i < sizeof(ops); i++) {
		assert_int_equal(STATUS(command(h, 1, (struct sqe){ .op = ops[i], .nsid = 0, .prp1 = DATA_AT })), NVME_BAD_NAMESPACE);
		assert_int_equal(STATUS(command(h, 1, (struct sqe){ .op = ops[i], .nsid = 2, .prp1 = DATA_AT })), NVME_BAD_NAMESPACE);
		if (ops[i] != NVME_IO_FLUSH)
			assert_int_equal(STATUS(command(h, 1, (struct sqe){ .op = ops[i], .nsid = ~0u, .prp1 = DATA_AT })), NVME_BAD_NAMESPACE);
	}
	assert_int_equal(STATUS(simple_io(h, NVME_IO_WRITE, 0, 1, DATA_AT, 1 << 20)), NVME_BAD_FIELD);
	assert_int_equal(h->disk.n_writes + h->disk.n_discards, 0);
}

static void a_failing_image_gives_a_status(void **state)
{
	static const struct {
		int error;
		u16 status;
	} ways[] = { { -EIO, NVME_WRITE_FAULT }, { -EROFS, NVME_WRITE_FAULT }, { -ENOSPC, NVME_CAPACITY }, { -EDQUOT, NVME_CAPACITY } };
	struct host *h = *state;

	for (unsigned i = 0; i < ui_array_size(ways); i++) {
		h->disk.fail_write = h->disk.fail_discard = ways[i].error;
		assert_int_equal(command(h, 1, io_sqe(NVME_IO_WRITE, 0, 1, DATA_AT, 0)), ways[i].status | NVME_MORE);
		assert_int_equal(STATUS(command(h, 1, io_sqe(NVME_IO_WRITE_ZEROES, 0, 1, 0, 0))), ways[i].status);
	}
	h->disk.fail_read = -EIO;
	assert_int_equal(command(h, 1, io_sqe(NVME_IO_READ, 0, 1, DATA_AT, 0)), NVME_READ_ERROR | NVME_MORE);
	assert_int_equal(STATUS(command(h, 1, io_sqe(NVME_IO_COMPARE, 0, 1, DATA_AT, 0))), NVME_READ_ERROR);
	h->disk.fail_read = h->disk.fail_write = h->disk.fail_discard = 0;
	assert_int_equal(simple_io(h, NVME_IO_WRITE, 0, 1, DATA_AT, 0), 0);
}

static void a_read_only_image_is_write_protected(void **state)
{
	struct host *h = *state;
	const struct range range = { 0, 1, 0 };

	assert_int_equal(identify(h, 0, 1), 0);
	assert_int_equal(mem_get(h, DATA_AT + 99, 1), 1);
	assert_int_equal(command(h, 1, io_sqe(NVME_IO_WRITE, 0, 1, DATA_AT, 0)), NVME_WRITE_PROTECTED | NVME_DNR | NVME_MORE);
	assert_int_equal(STATUS(command(h, 1, io_sqe(NVME_IO_WRITE_ZEROES, 0, 1, 0, 0))), NVME_WRITE_PROTECTED);
	assert_int_equal(STATUS(dataset(h, &range, 1, 4)), NVME_WRITE_PROTECTED);
	assert_int_equal(command(h, 1, io_sqe(NVME_IO_FLUSH, 0, 1, 0, 0)), 0);
	assert_int_equal(simple_io(h, NVME_IO_READ, 0, 1, DATA_AT, 0), 0);
	assert_int_equal(h->disk.n_writes + h->disk.n_discards, 0);
}

/* The image holds only completed writes: a reset in the middle of one leaves the old blocks. */
static void a_reset_in_a_write_leaves_the_image_as_it_was(void **state)
{
	struct host *h = *state;

	memset(h->disk.cached, 0x55, DISK_BYTES);
	for (unsigned i = 0; i < 63; i++) {
		u64 page = DATA_AT + (i + 1) * PAGE;

		put_list(h, LIST_AT + 8 * i, &page, 1);
	}
	push(h, 1, io_sqe(NVME_IO_WRITE, 0, 512, DATA_AT, LIST_AT));
	ring_sq(h, 1);
	assert_true(ui_pci_step(h->w.pci));
	assert_true(ui_pci_step(h->w.pci));
	nvme_write(h, NVME_REG_CC, 0);
	while (ui_pci_step(h->w.pci))
		;
	for (unsigned i = 0; i < 512 * 512; i++)
		assert_int_equal(h->disk.cached[i], 0x55);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(reads_and_writes_of_all_shapes),
		T(a_list_may_begin_in_the_last_slot_of_its_page),
		T(larger_pages),
		T(compare_finds_a_difference),
		T(write_zeroes_goes_beyond_the_transfer_limit),
		T(deallocated_blocks_read_as_zeros),
		T(dataset_management_takes_256_ranges_and_checks_all_first),
		T(a_write_is_durable_after_flush_only),
		T(a_write_with_fua_is_durable),
		T(a_read_with_fua_flushes_first),
		T(without_a_write_cache_everything_is_durable),
		T(a_flush_that_failed_is_never_followed_by_one_that_succeeds),
		T(a_flush_without_writes_costs_nothing),
		T(bad_prps_change_nothing),
		T(a_circular_list_ends),
		T(data_for_memory_that_may_not_be_written),
		T(ranges_and_lengths_out_of_bounds),
		T(other_namespaces_and_directives),
		T(a_failing_image_gives_a_status),
		cmocka_unit_test_setup_teardown(a_read_only_image_is_write_protected, setup_read_only, teardown),
		T(a_reset_in_a_write_leaves_the_image_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
