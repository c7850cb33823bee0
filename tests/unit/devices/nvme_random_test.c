/* SPDX-License-Identifier: MIT */
/*
 * The nvme device under random use: batches of commands on several queues against a model of every block, with power cuts and resets
 * between and in them; and garbage in registers, doorbells, queues and lists. UI_TEST_SEED repeats a run.
 */
#include "nvme_common.h"

#include "base/log.h"

enum {
	N_QUEUES = 3,
	N_SLOTS = 12,                         /* commands under way at a time */
	SLOT_BLOCKS = DISK_BLOCKS / N_SLOTS,  /* each has its own part of the disk */
	MAX_BLOCKS = 64,                      /* of one command: nine pages and a bit */
	SLOT_PAGES = 12,                      /* of memory; the first is for the list */
	BATCHES = 1500,
	GARBAGE_ROUNDS = 3000,
};

/* A block holds its number and what it was last written with; zeros: @gen 0. */
struct block {
	u32 gen;      /* what it reads as */
	u32 safe;     /* what a power cut leaves at the least */
	u32 snapshot; /* gen when the batch began: what a flush in it is certain to make safe */
	bool zeroed;  /* since it was safe */
};

struct slot {
	struct sqe sqe;
	unsigned qid;
	u16 cid;
	u64 lba;
	u32 n_blocks, gen;
	u64 pages[SLOT_PAGES]; /* [0] from its offset on, then in the order of the data */
	bool waits, bad;       /* a page is not there */
};

struct model {
	struct host h;
	u64 seed;
	struct block blocks[DISK_BLOCKS];
	struct slot slots[N_SLOTS];
	u32 gen;
	bool cache; /* the volatile write cache is on */
	unsigned n_done, n_bad, n_cuts, n_resets;
};

static u64 rnd(struct model *m, u64 n)
{
	return next_random(&m->seed) % n;
}

static void content(u32 gen, u64 lba, u64 out[64])
{
	u64 seed = (u64)gen << 32 | lba;

	memset(out, 0, 512);
	for (unsigned i = 0; gen && i < 64; i++)
		out[i] = i ? next_random(&seed) : seed;
}

/* ---- one command ---- */

static u64 slot_at(const struct model *m, const struct slot *s)
{
	return DATA_AT + (u64)(s - m->slots) * SLOT_PAGES * PAGE;
}

/* Byte @at of the slot's data in host memory. */
static u8 *slot_byte(struct model *m, const struct slot *s, u64 at)
{
	u64 offset = s->pages[0] % PAGE + at;

	return m->h.w.ram + s->pages[offset / PAGE] / PAGE * PAGE + offset % PAGE;
}

/* Pages in any order, the first from any offset; a list where that is needed, which begins anywhere and may lead on. */
static void slot_layout(struct model *m, struct slot *s)
{
	u64 at = slot_at(m, s), offset = rnd(m, 2) ? rnd(m, PAGE / 4) * 4 : 0;
	u64 n = (offset + s->n_blocks * 512 + PAGE - 1) / PAGE, list = at + rnd(m, PAGE / 8) * 8, i;

	for (i = 0; i < SLOT_PAGES - 1; i++)
		s->pages[i] = at + (i + 1) * PAGE;
	for (i = SLOT_PAGES - 2; i; i--) {
		u64 j = rnd(m, i + 1), page = s->pages[i];

		s->pages[i] = s->pages[j];
		s->pages[j] = page;
	}
	s->pages[0] += offset;
	s->sqe.prp1 = s->pages[0];
	s->sqe.prp2 = n > 1 ? s->pages[1] : next_random(&m->seed);
	if (n <= 2)
		return;
	/* One page of list only: where it does not fit before the end, it leads on to its own start. */
	if (PAGE - list % PAGE < (n - 1) * 8 && list % PAGE < 128)
		list = at;
	s->sqe.prp2 = list;
	for (i = 1; i < n; i++, list += 8) {
		if (list % PAGE == PAGE - 8 && i + 1 < n) {
			memcpy(m->h.w.ram + list, &at, 8);
			list = at;
		}
		memcpy(m->h.w.ram + list, &s->pages[i], 8);
	}
}

static void slot_fill(struct model *m, struct slot *s, bool with)
{
	u64 words[64];

	for (u32 b = 0; b < s->n_blocks; b++) {
		content(s->gen, s->lba + b, words);
		for (unsigned i = 0; i < 512; i += 4) {
			if (with)
				memcpy(slot_byte(m, s, b * 512 + i), (u8 *)words + i, 4);
			else
				memset(slot_byte(m, s, b * 512 + i), 0xcc, 4);
		}
	}
}

static void slot_begin(struct model *m, struct slot *s)
{
	static const u8 ops[] = { NVME_IO_WRITE, NVME_IO_WRITE, NVME_IO_WRITE, NVME_IO_READ, NVME_IO_READ, NVME_IO_FLUSH,
				  NVME_IO_WRITE_ZEROES, NVME_IO_DATASET, NVME_IO_COMPARE };
	u8 op = ops[rnd(m, sizeof(ops))];

	s->n_blocks = 1 + (u32)rnd(m, rnd(m, 2) ? 8 : MAX_BLOCKS);
	s->lba = (u64)(s - m->slots) * SLOT_BLOCKS + rnd(m, rnd(m, 2) ? 16 : SLOT_BLOCKS - MAX_BLOCKS);
	s->gen = ++m->gen;
	s->sqe = io_sqe(op, s->lba, s->n_blocks, 0, 0);
	s->qid = 1 + (unsigned)rnd(m, N_QUEUES);
	s->bad = false;
	slot_layout(m, s);
	if (op == NVME_IO_DATASET) {
		const struct { u32 zero, n; u64 lba; } range = { 0, s->n_blocks, s->lba };

		s->sqe.cdw10 = s->sqe.cdw12 = 0;
		s->sqe.cdw11 = 4;
		s->sqe.prp1 = slot_at(m, s);
		memcpy(m->h.w.ram + s->sqe.prp1, &range, sizeof(range));
	} else if (op != NVME_IO_FLUSH) {
		s->sqe.cdw12 |= rnd(m, 4) ? 0 : 1u << 30;
		slot_fill(m, s, op == NVME_IO_WRITE || op == NVME_IO_COMPARE);
		if (op != NVME_IO_WRITE_ZEROES && !rnd(m, 10)) {
			s->bad = true;
			s->sqe.prp1 += (u64)MAPPED * PAGE;
		}
	}
	s->cid = push(&m->h, s->qid, s->sqe);
	s->waits = true;
}

/* ---- what it did ---- */

static void wrote(struct model *m, const struct slot *s, u32 gen)
{
	for (u32 b = 0; b < s->n_blocks; b++) {
		struct block *block = &m->blocks[s->lba + b];

		block->gen = gen;
		block->zeroed |= !gen;
		if (!m->cache || (s->sqe.cdw12 & 1u << 30)) {
			block->safe = gen;
			block->zeroed = false;
		}
	}
}

/* Those that began after the batch did may or may not be in it. */
static void flushed(struct model *m)
{
	for (unsigned i = 0; i < DISK_BLOCKS; i++) {
		struct block *block = &m->blocks[i];

		if (block->gen == block->snapshot) {
			block->safe = block->gen;
			block->zeroed = false;
		}
	}
}

static bool as_before(struct model *m, const struct slot *s)
{
	u64 words[64];

	for (u32 b = 0; b < s->n_blocks; b++) {
		content(m->blocks[s->lba + b].gen, s->lba + b, words);
		for (unsigned i = 0; i < 512; i += 4) {
			if (memcmp(slot_byte(m, s, b * 512 + i), (u8 *)words + i, 4))
				return false;
		}
	}
	return true;
}

static void slot_end(struct model *m, struct slot *s, u16 status)
{
	u16 expected = s->bad ? NVME_DATA_TRANSFER : NVME_OK;

	s->waits = false;
	m->n_done++;
	m->n_bad += s->bad;
	if (s->sqe.op == NVME_IO_COMPARE && !s->bad)
		expected = as_before(m, s) ? NVME_OK : NVME_COMPARE_FAILURE;
	assert_int_equal(STATUS(status), expected);
	if (s->bad)
		return;
	switch (s->sqe.op) {
	case NVME_IO_WRITE:
		wrote(m, s, s->gen);
		break;
	case NVME_IO_DATASET:
		if (m->h.disk.fail_discard)
			break; /* advice that was not taken */
		/* fallthrough */
	case NVME_IO_WRITE_ZEROES:
		wrote(m, s, 0);
		break;
	case NVME_IO_FLUSH:
		flushed(m);
		break;
	case NVME_IO_READ:
		assert_true(as_before(m, s));
		break;
	}
}

static void reap(struct model *m)
{
	for (unsigned q = 1; q <= N_QUEUES; q++) {
		while (take(&m->h, q)) {
			unsigned qid = m->h.cqe[2] >> 16, i;

			for (i = 0; i < N_SLOTS; i++) {
				if (m->slots[i].waits && m->slots[i].qid == qid && m->slots[i].cid == (m->h.cqe[3] & 0xffff))
					break;
			}
			assert_in_range(i, 0, N_SLOTS - 1);
			slot_end(m, &m->slots[i], (u16)(m->h.cqe[3] >> 17));
		}
	}
}

/* ---- between the batches ---- */

static void bring_up(struct model *m)
{
	struct host *h = &m->h;

	nvme_enable(h, CC_ON);
	assert_int_equal(nvme_read(h, NVME_REG_CSTS), NVME_CSTS_RDY);
	for (unsigned q = 1; q <= N_QUEUES; q++)
		create_io(h, q, 0);
	m->cache = true;
}

static void check_disk(struct model *m)
{
	u64 words[64];

	for (u64 b = 0; b < DISK_BLOCKS; b++) {
		content(m->blocks[b].gen, b, words);
		assert_memory_equal(m->h.disk.cached + b * 512, words, 512);
	}
}

/* What was not made durable is there or is not, block by block. */
static void power_cut(struct model *m)
{
	struct disk *d = &m->h.disk;
	u64 words[64];

	m->n_cuts++;
	for (u64 b = 0; b < DISK_BLOCKS; b++) {
		struct block *block = &m->blocks[b];
		u32 gen;

		if (rnd(m, 2))
			memcpy(d->durable + b * 512, d->cached + b * 512, 512);
		memcpy(words, d->durable + b * 512, 8);
		gen = (u32)(words[0] >> 32);
		assert_true(gen ? gen >= block->safe || block->zeroed : !block->safe || block->zeroed);
		content(gen, b, words);
		assert_memory_equal(d->durable + b * 512, words, 512);
		*block = (struct block){ .gen = gen, .safe = gen };
	}
	disk_power_cut(d);
	m->h.nvme->image.dirty = false;
	bring_up(m);
}

/* Of the commands under way those that were completed are done, the others never began. */
static void reset_now(struct model *m)
{
	m->n_resets++;
	nvme_write(&m->h, NVME_REG_CC, 0);
	assert_false(ui_pci_step(m->h.w.pci));
	reap(m);
	for (unsigned i = 0; i < N_SLOTS; i++)
		m->slots[i].waits = false;
	bring_up(m);
}

static bool any_waits(const struct model *m)
{
	bool any = false;

	for (unsigned i = 0; i < N_SLOTS; i++)
		any |= m->slots[i].waits;
	return any;
}

static void batch(struct model *m)
{
	bool resets = !rnd(m, 20);

	for (unsigned i = 0; i < DISK_BLOCKS; i++)
		m->blocks[i].snapshot = m->blocks[i].gen;
	for (unsigned i = 0; i < N_SLOTS; i++) {
		if (rnd(m, 4))
			slot_begin(m, &m->slots[i]);
		if (!rnd(m, 3))
			ring_sq(&m->h, 1 + (unsigned)rnd(m, N_QUEUES));
	}
	for (unsigned q = 1; q <= N_QUEUES; q++)
		ring_sq(&m->h, q);
	while (any_waits(m)) {
		bool more = ui_pci_step(m->h.w.pci);

		if (resets && !rnd(m, 4)) {
			reset_now(m);
			return;
		}
		reap(m);
		assert_true(more || !any_waits(m));
	}
}

static void random_use_against_a_model(void **state)
{
	static struct model m;

	memset(&m, 0, sizeof(m));
	m.seed = test_seed();
	host_open(&m.h, false);
	bring_up(&m);
	for (unsigned i = 0; i < BATCHES; i++) {
		batch(&m);
		if (!rnd(&m, 30)) {
			m.cache = rnd(&m, 2);
			assert_int_equal(command(&m.h, 0, (struct sqe){ .op = NVME_ADM_SET_FEATURES, .cdw10 = NVME_FEAT_WRITE_CACHE,
									 .cdw11 = m.cache }), 0);
			for (unsigned b = 0; !m.cache && b < DISK_BLOCKS; b++)
				m.blocks[b] = (struct block){ .gen = m.blocks[b].gen, .safe = m.blocks[b].gen };
		}
		m.h.disk.fail_discard = rnd(&m, 4) ? 0 : -EOPNOTSUPP; /* holes are not always to be had */
		if (!rnd(&m, 50))
			check_disk(&m);
		if (!rnd(&m, 60))
			power_cut(&m);
	}
	check_disk(&m);
	printf("%u commands, %u with bad pages, %u power cuts, %u resets\n", m.n_done, m.n_bad, m.n_cuts, m.n_resets);
	host_close(&m.h);
}

/* ---- garbage ---- */

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
		return r >> 8 & 15;
	case 3:
		return (r >> 8 & 0xff) * PAGE;
	case 4:
		return OWN_BAR_AT + (r >> 8 & 3) * PAGE;
	case 5:
		return LIST_AT + (r >> 8 & 0xff) * 8;
	case 6:
		return -(r >> 8 & 0xfff);
	default:
		return next_random(seed) >> (r >> 8 & 63);
	}
}

static void garbage_commands(struct host *h, u64 *seed)
{
	for (u64 i = 0; i < PAGE / 8; i++) {
		u64 entry = spicy(seed);

		memcpy(h->w.ram + LIST_AT + 8 * i, &entry, 8);
	}
	for (unsigned qid = 0; qid < 4; qid++) {
		for (unsigned i = 0; i < 16; i++) {
			struct sqe s = {
				.op = (u8)(next_random(seed) % (qid ? 10 : 13)),
				.flags = next_random(seed) % 16 ? 0 : (u8)next_random(seed),
				.cid = (u16)next_random(seed),
				.nsid = next_random(seed) % 4 ? 1 : (u32)spicy(seed),
				.prp1 = spicy(seed),
				.prp2 = spicy(seed),
				.cdw10 = (u32)spicy(seed),
				.cdw11 = (u32)(next_random(seed) % 2 ? 0 : spicy(seed)),
				.cdw12 = (u32)spicy(seed),
				.cdw13 = (u32)(next_random(seed) % 4 ? 0 : spicy(seed)),
			};

			memcpy(h->w.ram + (qid ? sq_at(qid) : (u64)ASQ_AT) + i * 64, &s, sizeof(s));
		}
	}
}

static void garbage_write(struct host *h, u64 *seed)
{
	u64 r = next_random(seed), val = spicy(seed), at = r >> 16;
	u32 n = 1u << (r >> 4 & 3);

	if (r % 16 == 0) {
		at %= 0x40;
		ui_pci_bar_write(h->w.pci, NVME_BAR_REGS, at, &val, n);
		ui_pci_bar_read(h->w.pci, NVME_BAR_REGS, at, &val, n);
	} else if (r % 16 == 1) {
		ui_pci_bar_write(h->w.pci, NVME_BAR_MSIX, at % (8 << 10), &val, n);
	} else if (r % 16 == 2) {
		ui_pci_irq_mode(h->w.pci, (enum ui_pci_irq_mode)(at % 3), 1u << (at >> 4) % 6);
	} else if (r % 64 == 3) {
		ui_pci_reset(h->w.pci);
		cfg_write(&h->w, PCI_CFG_COMMAND, PCI_CMD_MEM | PCI_CMD_MASTER, 2);
	} else {
		nvme_write(h, NVME_REG_DOORBELLS + at % 40 * 4, (u32)(r >> 4) % 20);
	}
}

static void garbage(void **state)
{
	static struct host h;
	u64 seed = test_seed(), n_fatal = 0;
	struct ui_dma_stats before, after;

	ui_log_set(UI_LOG_NONE, NULL, NULL);
	host_open(&h, false);
	map(&h.w, NO_PASID, (u64)MAPPED * PAGE, MAPPED, 32, UI_PROT_READ);
	memset(h.w.ram + MAPPED * PAGE, 0x5a, (N_PAGES - MAPPED) * PAGE);
	for (unsigned round = 0; round < GARBAGE_ROUNDS; round++) {
		if (round % 8 == 0 || !ui_nvme_running(h.nvme)) {
			n_fatal += !!(h.nvme->csts & NVME_CSTS_CFS);
			cfg_write(&h.w, PCI_CFG_COMMAND, PCI_CMD_MEM | PCI_CMD_MASTER, 2);
			nvme_enable(&h, CC_ON);
			for (unsigned q = 1; q < 4; q++)
				create_io(&h, q, 0);
		}
		garbage_commands(&h, &seed);
		for (unsigned i = 0; i < 40; i++) {
			garbage_write(&h, &seed);
			ui_dma_stats(h.w.port, &before);
			ui_pci_step(h.w.pci);
			ui_dma_stats(h.w.port, &after);
			assert_true(after.bytes - before.bytes <= 100 << 10);
		}
	}
	printf("%llu bytes moved, %llu faults, %u writes to the disk, %llu times fatal\n", (unsigned long long)after.bytes,
	       (unsigned long long)after.faults, h.disk.n_writes, (unsigned long long)n_fatal);
	for (u64 at = MAPPED * PAGE; at < RAM_BYTES; at++)
		assert_int_equal(h.w.ram[at], 0x5a); /* read-only or not mapped */
	host_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(random_use_against_a_model), cmocka_unit_test(garbage) };

	return cmocka_run_group_tests_name("nvme_random", tests, NULL, NULL);
}
