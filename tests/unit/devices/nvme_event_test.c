/* SPDX-License-Identifier: MIT */
/* The nvme controller: doorbells, events, logs, interrupts, reset and shutdown (docs/nvme-device.md; devices-and-transports.md 4). */
#include "nvme_common.h"

static int setup(void **state)
{
	static struct host h;

	host_open(&h, false);
	*state = &h;
	return 0;
}

static int teardown(void **state)
{
	host_close(*state);
	return 0;
}

/* ---- doorbells, events, errors ---- */

/* Bad input of step 3: doorbells beyond the queue. */
static void bad_doorbells_are_ignored_and_told(void **state)
{
	static const struct {
		u32 at, val;
		u8 info;
	} bad[] = {
		{ 8, IO_ENTRIES, 1 },  { 8, 0xffff, 1 },	 { 12, IO_ENTRIES, 1 }, { 12, 1, 1 }, /* more than is there */
		{ 16, 1, 0 },	       { 20, 0, 0 },		 { 17 * 8, 1, 0 },	{ 0x2ff8, 1, 0 },
		{ 0, ADMIN_ENTRIES, 1 },
	};
	struct host *h = *state;

	nvme_up(h);
	for (unsigned i = 0; i < ui_array_size(bad); i++) {
		aer(h);
		assert_false(take(h, 0));
		nvme_write(h, NVME_REG_DOORBELLS + bad[i].at, bad[i].val);
		run(&h->w, 10);
		assert_true(take(h, 0));
		assert_int_equal(h->cqe[3] >> 17, 0);
		assert_int_equal(h->cqe[0], NVME_EVENT_ERROR | bad[i].info << 8 | NVME_LOG_ERROR << 16);
		/* Told once, until the log is read. */
		nvme_write(h, NVME_REG_DOORBELLS + bad[i].at, bad[i].val);
		run(&h->w, 10);
		assert_false(take(h, 0));
		assert_int_equal(get_log(h, NVME_LOG_ERROR, 64, 0), 0);
		assert_int_equal(mem_get(h, DATA_AT + 8, 2), bad[i].at / 8);
		assert_int_equal(mem_get(h, DATA_AT + 10, 2), 0xffff);
	}
	assert_int_equal(nvme_read(h, NVME_REG_CSTS), NVME_CSTS_RDY);
	assert_int_equal(simple_io(h, NVME_IO_READ, 0, 1, DATA_AT, 0), 0);
}

static void more_commands_than_fit_are_refused(void **state)
{
	struct host *h = *state;

	nvme_up(h);
	assert_int_equal(create_cq(h, 2, 2, 0), 0);
	assert_int_equal(create_sq(h, 2, 8, 2), 0);
	queue_fresh(h, 2, sq_at(2), cq_at(2), 8, 2);
	for (unsigned i = 0; i < 5; i++)
		push(h, 2, io_sqe(NVME_IO_FLUSH, 0, 1, 0, 0));
	ring_sq(h, 2);
	run(&h->w, 10); /* one is done, four wait */
	nvme_write(h, NVME_REG_DOORBELLS + 16, 1);
	assert_int_equal(h->nvme->sqs[2].tail, 5); /* 4 are in, 8 do not fit */
	nvme_write(h, NVME_REG_DOORBELLS + 16, 0);
	assert_int_equal(h->nvme->sqs[2].tail, 0); /* but 7 do */
}

static void events_wait_for_a_request_and_the_fifth_request_is_one_too_many(void **state)
{
	struct host *h = *state;

	nvme_up(h);
	nvme_write(h, NVME_REG_DOORBELLS + 16, 1);
	run(&h->w, 10);
	aer(h);
	assert_true(take(h, 0));
	assert_int_equal(h->cqe[0], NVME_LOG_ERROR << 16);
	for (unsigned i = 0; i < 4; i++) {
		aer(h);
		assert_false(take(h, 0));
	}
	assert_int_equal(STATUS(command(h, 0, (struct sqe){ .op = NVME_ADM_ASYNC_EVENT })), NVME_AER_LIMIT);
}

/* Command in, event held back while the completion queue has no room for it. */
static void an_event_waits_for_room(void **state)
{
	struct host *h = *state;
	unsigned n = 0;

	nvme_enable(h, CC_ON);
	aer(h);
	for (unsigned i = 0; i < ADMIN_ENTRIES - 1; i++)
		push(h, 0, (struct sqe){ .op = NVME_ADM_GET_FEATURES, .cdw10 = NVME_FEAT_ARBITRATION });
	ring_sq(h, 0);
	run(&h->w, 100); /* full to the last place */
	nvme_write(h, NVME_REG_DOORBELLS + 16, 1);
	run(&h->w, 10);
	while (take(h, 0))
		n++;
	assert_int_equal(n, ADMIN_ENTRIES - 1);
	run(&h->w, 10);
	assert_true(take(h, 0));
	assert_int_equal(h->cqe[0], NVME_EVENT_ERROR | NVME_EVENT_BAD_DOORBELL << 8 | NVME_LOG_ERROR << 16);
}

static void the_error_log_keeps_the_newest(void **state)
{
	struct host *h = *state;

	nvme_up(h);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(STATUS(command(h, 0, (struct sqe){ .op = 0xff })), NVME_BAD_OPCODE);
	nvme_up(h); /* a controller reset keeps it */
	assert_int_equal(get_log(h, NVME_LOG_ERROR, 4096, 0), 0);
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(mem_get(h, DATA_AT + 64 * i, 8), 100 - i);
}

static void a_log_read_with_rae_keeps_the_event(void **state)
{
	struct host *h = *state;

	nvme_up(h);
	aer(h);
	nvme_write(h, NVME_REG_DOORBELLS + 16, 1);
	run(&h->w, 10);
	assert_true(take(h, 0));
	aer(h);
	assert_int_equal(get_log(h, NVME_LOG_ERROR | 1 << 15, 64, 0), 0);
	nvme_write(h, NVME_REG_DOORBELLS + 16, 1);
	run(&h->w, 10);
	assert_false(take(h, 0));
}

static void a_temperature_below_the_threshold_warns_who_asked(void **state)
{
	struct host *h = *state;

	nvme_up(h);
	aer(h);
	assert_int_equal(feature(h, true, NVME_FEAT_TEMPERATURE, 300, 0), 0);
	assert_false(take(h, 0));
	assert_int_equal(get_log(h, NVME_LOG_SMART, 512, 0), 0);
	assert_int_equal(mem_get(h, DATA_AT, 3), 2 | 313 << 8);
	push(h, 0, (struct sqe){ .op = NVME_ADM_SET_FEATURES, .cdw10 = NVME_FEAT_ASYNC_EVENT, .cdw11 = 2 });
	ring_sq(h, 0);
	run(&h->w, 10);
	assert_true(take(h, 0));
	assert_true(take(h, 0));
	assert_int_equal(h->cqe[0], NVME_EVENT_SMART | 1 << 8 | NVME_LOG_SMART << 16);
}

static void abort_finds_event_requests_only(void **state)
{
	struct host *h = *state;
	u16 cid;

	nvme_up(h);
	cid = push(h, 0, (struct sqe){ .op = NVME_ADM_ASYNC_EVENT });
	push(h, 0, (struct sqe){ .op = NVME_ADM_ABORT, .cdw10 = (u32)cid << 16 });
	ring_sq(h, 0);
	run(&h->w, 10);
	assert_true(take(h, 0));
	assert_int_equal(h->cqe[3] & 0xffff, cid);
	assert_int_equal(h->cqe[3] >> 17, NVME_ABORT_REQUESTED);
	assert_true(take(h, 0));
	assert_int_equal(h->cqe[3] >> 17 | h->cqe[0], 0);
	assert_int_equal(command(h, 0, (struct sqe){ .op = NVME_ADM_ABORT, .cdw10 = (u32)cid << 16 }), 0);
	assert_int_equal(h->cqe[0], 1);
	assert_int_equal(command(h, 0, (struct sqe){ .op = NVME_ADM_ABORT, .cdw10 = 1 }), 0);
	assert_int_equal(h->cqe[0], 1);
}

static void logs(void **state)
{
	struct host *h = *state;
	u16 cid;

	nvme_up(h);
	assert_int_equal(STATUS(simple_io(h, NVME_IO_READ, DISK_BLOCKS, 1, DATA_AT, 0)), NVME_LBA_RANGE);
	cid = (u16)h->cqe[3];
	assert_int_equal(get_log(h, NVME_LOG_ERROR, 4096, 0), 0);
	assert_int_equal(mem_get(h, DATA_AT, 8), 1);
	assert_int_equal(mem_get(h, DATA_AT + 8, 4), 1 | (u32)cid << 16);
	assert_int_equal(mem_get(h, DATA_AT + 12, 2), (NVME_LBA_RANGE | NVME_DNR | NVME_MORE) << 1);
	assert_int_equal(mem_get(h, DATA_AT + 16, 8), DISK_BLOCKS);
	assert_int_equal(mem_get(h, DATA_AT + 24, 4), 1);
	assert_int_equal(mem_get(h, DATA_AT + 64, 8), 0);
	assert_int_equal(simple_io(h, NVME_IO_WRITE, 0, 8, DATA_AT, 0), 0);
	assert_int_equal(get_log(h, NVME_LOG_SMART, 512, 0), 0);
	assert_int_equal(mem_get(h, DATA_AT + 48, 8), 1);
	assert_int_equal(mem_get(h, DATA_AT + 80, 8), 1);
	assert_int_equal(mem_get(h, DATA_AT + 176, 8), 1);
	assert_int_equal(mem_get(h, DATA_AT + 64, 8), 0);
	/* What is compared was read; what was refused was not. An image that fails is told too. */
	assert_int_equal(simple_io(h, NVME_IO_COMPARE, 0, 8, DATA_AT + 2 * PAGE, 0) & 0x7ff, NVME_COMPARE_FAILURE);
	assert_int_equal(simple_io(h, NVME_IO_READ, 0, 8, DATA_AT, 0), 0);
	memcpy(h->w.ram + DATA_AT + 2 * PAGE, h->w.ram + DATA_AT, 4096);
	assert_int_equal(simple_io(h, NVME_IO_COMPARE, 0, 8, DATA_AT + 2 * PAGE, 0), 0);
	h->disk.fail_read = -EIO;
	assert_int_equal(STATUS(simple_io(h, NVME_IO_READ, 0, 8, DATA_AT, 0)), NVME_READ_ERROR);
	assert_int_equal(get_log(h, NVME_LOG_SMART, 512, 0), 0);
	assert_int_equal(mem_get(h, DATA_AT + 32, 8), 1);
	assert_int_equal(mem_get(h, DATA_AT + 64, 8), 2);
	assert_int_equal(mem_get(h, DATA_AT + 160, 8), 1);
	assert_int_equal(mem_get(h, DATA_AT + 176, 8), 3);
	assert_int_equal(get_log(h, NVME_LOG_FIRMWARE, 512, 0), 0);
	assert_int_equal(mem_get(h, DATA_AT, 1), 1);
	assert_memory_equal(h->w.ram + DATA_AT + 8, "1       ", 8);
	assert_int_equal(get_log(h, NVME_LOG_EFFECTS, 4096, 0), 0);
	assert_int_equal(mem_get(h, DATA_AT + 4 * NVME_ADM_IDENTIFY, 4), 1);
	assert_int_equal(mem_get(h, DATA_AT + 1024 + 4 * NVME_IO_WRITE, 4), 3);
	assert_int_equal(mem_get(h, DATA_AT + 1024 + 4 * 0x0d, 4), 0);
	/* A part of it, and no byte more than was asked for. */
	memset(h->w.ram + DATA_AT, 0xee, 64);
	assert_int_equal(get_log(h, NVME_LOG_EFFECTS, 8, 1024), 0);
	assert_int_equal(mem_get(h, DATA_AT, 8), 1 | 3ull << 32);
	assert_int_equal(mem_get(h, DATA_AT + 8, 1), 0xee);
}

static void log_refusals(void **state)
{
	struct host *h = *state;

	nvme_up(h);
	assert_int_equal(STATUS(get_log(h, 0, 64, 0)), NVME_BAD_LOG);
	assert_int_equal(STATUS(get_log(h, 4, 64, 0)), NVME_BAD_LOG);
	assert_int_equal(STATUS(get_log(h, 0xc0, 64, 0)), NVME_BAD_LOG);
	assert_int_equal(STATUS(get_log(h, NVME_LOG_SMART, 64, 512)), NVME_BAD_FIELD);
	assert_int_equal(STATUS(get_log(h, NVME_LOG_SMART, 64, (u64)1 << 63)), NVME_BAD_FIELD);
	assert_int_equal(STATUS(get_log(h, NVME_LOG_SMART, 64, 2)), NVME_BAD_FIELD);
	assert_int_equal(STATUS(command(h, 0, (struct sqe){ .op = NVME_ADM_GET_LOG, .nsid = 1, .prp1 = DATA_AT, .cdw10 = 2 })), NVME_BAD_FIELD);
	/* As much as can be asked for: what there is. */
	assert_int_equal(command(h, 0, (struct sqe){ .op = NVME_ADM_GET_LOG, .prp1 = DATA_AT, .cdw10 = 2 | 0xffffu << 16, .cdw11 = 0xffff }), 0);
}

static void unknown_commands_are_refused(void **state)
{
	static const u8 admin[] = { 0x03, 0x07, 0x0b, 0x0d, 0x10, 0x11, 0x14, 0x15, 0x18, 0x7c, 0x80, 0x81, 0x84, 0xc0, 0xff };
	static const u8 io[] = { 0x03, 0x04, 0x0c, 0x0d, 0x19, 0x7f, 0x80, 0xff };
	struct host *h = *state;

	nvme_up(h);
	for (unsigned i = 0; i < sizeof(admin); i++)
		assert_int_equal(command(h, 0, (struct sqe){ .op = admin[i] }), NVME_BAD_OPCODE | NVME_DNR | NVME_MORE);
	for (unsigned i = 0; i < sizeof(io); i++)
		assert_int_equal(command(h, 1, (struct sqe){ .op = io[i], .nsid = 1 }), NVME_BAD_OPCODE | NVME_DNR | NVME_MORE);
	/* Fused, or with scatter-gather lists. */
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(STATUS(command(h, i, (struct sqe){ .op = 2, .nsid = 1, .flags = 0x40 })), NVME_BAD_FIELD);
		assert_int_equal(STATUS(command(h, i, (struct sqe){ .op = 2, .nsid = 1, .flags = 1 })), NVME_BAD_FIELD);
	}
}

/* ---- interrupts ---- */

static void the_pin_is_up_while_something_is_unread(void **state)
{
	struct host *h = *state;

	nvme_up(h);
	assert_false(h->level);
	push(h, 1, io_sqe(NVME_IO_FLUSH, 0, 1, 0, 0));
	push(h, 1, io_sqe(NVME_IO_FLUSH, 0, 1, 0, 0));
	ring_sq(h, 1);
	run(&h->w, 10);
	assert_true(h->level);
	nvme_write(h, NVME_REG_INTMS, 1);
	assert_false(h->level);
	assert_int_equal(nvme_read(h, NVME_REG_INTMC), 1);
	nvme_write(h, NVME_REG_INTMC, 1);
	assert_true(h->level);
	assert_true(take(h, 1));
	assert_true(h->level);
	assert_true(take(h, 1));
	assert_false(h->level);
	push(h, 1, io_sqe(NVME_IO_FLUSH, 0, 1, 0, 0));
	ring_sq(h, 1);
	run(&h->w, 100);
	assert_true(h->level);
	nvme_write(h, NVME_REG_CC, 0);
	assert_false(h->level);
}

static void each_queue_has_its_vector(void **state)
{
	struct host *h = *state;

	ui_pci_irq_mode(h->w.pci, UI_PCI_IRQ_MSIX, 0);
	for (unsigned i = 0; i < NVME_N_QUEUES; i++)
		ui_pci_msix_mask(h->w.pci, i, false);
	nvme_enable(h, CC_ON);
	for (unsigned q = 1; q < NVME_N_QUEUES; q++)
		create_io(h, q, q);
	assert_int_equal(STATUS(command(h, 0, (struct sqe){ .op = NVME_ADM_DELETE_SQ, .cdw10 = 16 })), 0);
	assert_int_equal(STATUS(command(h, 0, (struct sqe){ .op = NVME_ADM_DELETE_CQ, .cdw10 = 16 })), 0);
	assert_int_equal(STATUS(create_cq(h, 16, IO_ENTRIES, 17)), NVME_BAD_VECTOR);
	/* Its masks are the table's, not the controller's. */
	nvme_write(h, NVME_REG_INTMS, ~0u);
	for (unsigned q = 1; q < NVME_N_QUEUES - 1; q++) {
		memset(h->n_msgs, 0, sizeof(h->n_msgs));
		assert_int_equal(command(h, q, io_sqe(NVME_IO_FLUSH, 0, 1, 0, 0)), 0);
		for (unsigned v = 0; v < NVME_N_QUEUES; v++)
			assert_int_equal(h->n_msgs[v], v == q);
	}
	assert_true(h->last_msix);
	assert_false(h->level);
}

static void masked_msi_messages_come_when_unmasked(void **state)
{
	struct host *h = *state;

	ui_pci_irq_mode(h->w.pci, UI_PCI_IRQ_MSI, 4);
	nvme_enable(h, CC_ON);
	create_io(h, 1, 3);
	assert_int_equal(STATUS(create_cq(h, 2, IO_ENTRIES, 4)), NVME_BAD_VECTOR);
	nvme_write(h, NVME_REG_INTMS, 8);
	push(h, 1, io_sqe(NVME_IO_FLUSH, 0, 1, 0, 0));
	ring_sq(h, 1);
	run(&h->w, 10);
	assert_int_equal(h->n_msgs[3], 0);
	nvme_write(h, NVME_REG_INTMC, 8);
	assert_int_equal(h->n_msgs[3], 1);
	assert_false(h->last_msix);
}

/* Fewer messages than the queues' vectors were made for: the rest share the first. */
static void msi_with_one_message(void **state)
{
	struct host *h = *state;

	ui_pci_irq_mode(h->w.pci, UI_PCI_IRQ_MSI, 4);
	nvme_enable(h, CC_ON);
	create_io(h, 1, 3);
	ui_pci_irq_mode(h->w.pci, UI_PCI_IRQ_MSI, 1);
	memset(h->n_msgs, 0, sizeof(h->n_msgs));
	assert_int_equal(command(h, 1, io_sqe(NVME_IO_FLUSH, 0, 1, 0, 0)), 0);
	assert_int_equal(h->n_msgs[0], 1);
	assert_false(h->level);
}

static void flush_begin(struct host *h)
{
	push(h, 1, io_sqe(NVME_IO_FLUSH, 0, 1, 0, 0));
	ring_sq(h, 1);
}

/* With messages, and the host known to keep four commands under way on queue 1. */
static void four_under_way(struct host *h)
{
	ui_pci_irq_mode(h->w.pci, UI_PCI_IRQ_MSIX, 0);
	for (unsigned i = 0; i < 2; i++)
		ui_pci_msix_mask(h->w.pci, i, false);
	nvme_enable(h, CC_ON);
	create_io(h, 1, 1);
	for (unsigned i = 0; i < 4; i++)
		flush_begin(h);
	run(&h->w, 10);
	assert_int_equal(h->n_msgs[1], 1);
	for (unsigned i = 0; i < 4; i++)
		assert_true(take(h, 1));
	h->n_msgs[0] = h->n_msgs[1] = 0;
}

/* While a host submits, its completions wait a moment for more of them; not when nothing else is under way. */
static void several_under_way_share_a_message(void **state)
{
	struct host *h = *state;

	four_under_way(h);
	for (unsigned i = 0; i < 3; i++) {
		flush_begin(h);
		assert_true(ui_pci_step(h->w.pci));
		assert_int_equal(h->n_msgs[1], 0);
	}
	flush_begin(h);
	ui_pci_step(h->w.pci);
	assert_int_equal(h->n_msgs[1], 1);
	for (unsigned i = 0; i < 4; i++)
		assert_true(take(h, 1));
}

static void a_message_waits_for_a_bounded_time(void **state)
{
	struct host *h = *state;

	four_under_way(h);
	flush_begin(h);
	run(&h->w, 100);
	assert_int_equal(h->n_msgs[1], 1);
}

static void one_command_at_a_time_is_told_at_once(void **state)
{
	struct host *h = *state;

	four_under_way(h);
	for (unsigned i = 0; i < 4; i++) {
		flush_begin(h);
		run(&h->w, 100);
		assert_true(take(h, 1));
	}
	h->n_msgs[1] = 0;
	for (unsigned i = 0; i < 10; i++) {
		flush_begin(h);
		assert_false(ui_pci_step(h->w.pci));
		assert_int_equal(h->n_msgs[1], i + 1);
		assert_true(take(h, 1));
	}
}

/* What an administrative command waits for is not kept back by a queue of data. */
static void the_admin_queue_waits_for_nobody(void **state)
{
	struct host *h = *state;

	four_under_way(h);
	flush_begin(h);
	assert_true(ui_pci_step(h->w.pci));
	push(h, 0, (struct sqe){ .op = NVME_ADM_GET_FEATURES, .cdw10 = NVME_FEAT_WRITE_CACHE });
	ring_sq(h, 0);
	ui_pci_step(h->w.pci);
	assert_int_equal(h->n_msgs[0], 1);
	assert_int_equal(h->n_msgs[1], 1);
}

static void a_deleted_queue_says_no_more(void **state)
{
	struct host *h = *state;

	four_under_way(h);
	flush_begin(h);
	assert_true(ui_pci_step(h->w.pci));
	push(h, 0, (struct sqe){ .op = NVME_ADM_DELETE_SQ, .cdw10 = 1 });
	push(h, 0, (struct sqe){ .op = NVME_ADM_DELETE_CQ, .cdw10 = 1 });
	ring_sq(h, 0);
	run(&h->w, 100);
	assert_int_equal(h->n_msgs[0], 1);
	assert_int_equal(h->n_msgs[1], 0);
}

static void count_wake(void *arg)
{
	++*(unsigned *)arg;
}

/* Whoever steps the device is woken when there is something to do, and only then: that costs as much as a command. */
static void doorbells_wake_when_there_is_work(void **state)
{
	struct host *h = *state;
	unsigned n_wakes = 0;
	const struct ui_pci_env env = { .wake = count_wake, .arg = &n_wakes };

	nvme_enable(h, CC_ON);
	assert_int_equal(create_cq(h, 1, 2, 0), 0);
	assert_int_equal(create_sq(h, 1, IO_ENTRIES, 1), 0);
	queue_fresh(h, 1, sq_at(1), cq_at(1), IO_ENTRIES, 2);
	ui_pci_set_env(h->w.pci, &env);
	flush_begin(h);
	assert_int_equal(n_wakes, 1);
	run(&h->w, 100);
	assert_true(take(h, 1));
	assert_int_equal(n_wakes, 1);
	/* The second waits for room, which a completion doorbell makes. */
	flush_begin(h);
	flush_begin(h);
	run(&h->w, 100);
	n_wakes = 0;
	assert_true(take(h, 1));
	assert_int_equal(n_wakes, 1);
	run(&h->w, 100);
	assert_true(take(h, 1));
	assert_int_equal(n_wakes, 1);
}

/* A masked vector of MSI-X is pending until it is unmasked, once. */
static void masked_vectors_are_pending(void **state)
{
	struct host *h = *state;
	u64 pending = 0;

	ui_pci_irq_mode(h->w.pci, UI_PCI_IRQ_MSIX, 0);
	ui_pci_msix_mask(h->w.pci, 0, false);
	nvme_enable(h, CC_ON);
	create_io(h, 1, 5);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(command(h, 1, io_sqe(NVME_IO_FLUSH, 0, 1, 0, 0)), 0);
	assert_int_equal(h->n_msgs[5], 0);
	assert_true(ui_pci_bar_read(h->w.pci, NVME_BAR_MSIX, 0x1000, &pending, 8));
	assert_int_equal(pending, 1 << 5);
	ui_pci_msix_mask(h->w.pci, 5, false);
	assert_int_equal(h->n_msgs[5], 1);
	assert_true(ui_pci_bar_read(h->w.pci, NVME_BAR_MSIX, 0x1000, &pending, 8));
	assert_int_equal(pending, 0);
}

static void a_queue_without_interrupts_raises_none(void **state)
{
	struct host *h = *state;

	nvme_up(h);
	assert_int_equal(command(h, 0, (struct sqe){ .op = NVME_ADM_CREATE_CQ, .prp1 = cq_at(2), .cdw10 = 2 | 63 << 16, .cdw11 = 1 }), 0);
	assert_int_equal(create_sq(h, 2, IO_ENTRIES, 2), 0);
	queue_fresh(h, 2, sq_at(2), cq_at(2), IO_ENTRIES, IO_ENTRIES);
	push(h, 2, io_sqe(NVME_IO_FLUSH, 0, 1, 0, 0));
	ring_sq(h, 2);
	run(&h->w, 10);
	assert_false(h->level);
	assert_true(take(h, 2));
}

/* ---- reset and shutdown ---- */

/* 4.2: no completion after RDY went to 0, nothing of before is left. */
static void reset_drops_everything_under_way(void **state)
{
	struct host *h = *state;

	nvme_up(h);
	aer(h);
	for (unsigned i = 0; i < 50; i++)
		push(h, 1, io_sqe(NVME_IO_READ, 0, 512, DATA_AT, LIST_AT));
	memset(h->w.ram + LIST_AT, 0, PAGE); /* all to page 0 */
	ring_sq(h, 1);
	assert_true(ui_pci_step(h->w.pci));
	nvme_write(h, NVME_REG_CC, 0);
	assert_int_equal(nvme_read(h, NVME_REG_CSTS), 0);
	memset(h->w.ram + cq_at(1), 0, PAGE);
	memset(h->w.ram, 0x77, PAGE);
	assert_false(ui_pci_step(h->w.pci));
	nvme_write(h, NVME_REG_DOORBELLS + 8, 3);
	assert_false(ui_pci_step(h->w.pci));
	assert_int_equal(h->w.ram[0], 0x77);
	assert_int_equal(mem_get(h, cq_at(1) + 8, 8), 0);
	nvme_up(h);
	assert_int_equal(simple_io(h, NVME_IO_READ, 0, 1, DATA_AT, 0), 0);
	for (unsigned i = 0; i < 4; i++)
		aer(h);
	assert_false(take(h, 0));
}

static void shutdown_makes_everything_durable(void **state)
{
	struct host *h = *state;

	for (u32 kind = 1; kind <= 2; kind++) {
		nvme_up(h);
		scramble_at(h, DATA_AT, 4096, kind);
		assert_int_equal(simple_io(h, NVME_IO_WRITE, 8, 8, DATA_AT, 0), 0);
		nvme_write(h, NVME_REG_CC, CC_ON | kind << NVME_CC_SHN_SHIFT);
		assert_int_equal(nvme_read(h, NVME_REG_CSTS), NVME_CSTS_RDY | NVME_CSTS_SHST_DONE);
		disk_power_cut(&h->disk);
		assert_memory_equal(h->disk.cached + 4096, h->w.ram + DATA_AT, 4096);
		/* Nothing runs until it is reset. */
		push(h, 1, io_sqe(NVME_IO_FLUSH, 0, 1, 0, 0));
		ring_sq(h, 1);
		assert_false(ui_pci_step(h->w.pci));
		assert_false(take(h, 1));
		nvme_write(h, NVME_REG_CC, 0);
		assert_int_equal(nvme_read(h, NVME_REG_CSTS), 0);
	}
}

static void bus_mastering_off_pauses(void **state)
{
	struct host *h = *state;

	nvme_up(h);
	cfg_write(&h->w, PCI_CFG_COMMAND, PCI_CMD_MEM, 2);
	push(h, 1, io_sqe(NVME_IO_FLUSH, 0, 1, 0, 0));
	ring_sq(h, 1);
	assert_false(ui_pci_step(h->w.pci));
	assert_false(take(h, 1));
	cfg_write(&h->w, PCI_CFG_COMMAND, PCI_CMD_MEM | PCI_CMD_MASTER, 2);
	run(&h->w, 10);
	assert_true(take(h, 1));
}

/* A function-level reset in the middle of a transfer: nothing moves any more, and the next driver finds it as new. */
static void a_function_reset_drops_everything_too(void **state)
{
	struct host *h = *state;

	for (unsigned i = 0; i < 2; i++) {
		nvme_up(h);
		memset(h->w.ram + LIST_AT, 0, PAGE);
		push(h, 1, io_sqe(NVME_IO_READ, 0, 512, DATA_AT, LIST_AT));
		ring_sq(h, 1);
		assert_true(ui_pci_step(h->w.pci));
		if (i)
			ui_pci_reset_restore(h->w.pci);
		else
			ui_pci_reset(h->w.pci);
		cfg_write(&h->w, PCI_CFG_COMMAND, PCI_CMD_MEM | PCI_CMD_MASTER, 2);
		memset(h->w.ram, 0x77, PAGE);
		assert_false(ui_pci_step(h->w.pci));
		assert_int_equal(h->w.ram[0], 0x77);
		assert_int_equal(nvme_read(h, NVME_REG_CSTS) | nvme_read(h, NVME_REG_CC) | nvme_read(h, NVME_REG_AQA), 0);
	}
	nvme_up(h);
}

/* Readers may share an image in one machine: Linux refuses a second controller or namespace of the same name. */
static void no_two_controllers_have_one_name(void **state)
{
	struct host *h = *state;
	u8 serial[20], nqn[64], uuid[16];
	struct ui_dma *port;

	nvme_up(h);
	assert_int_equal(identify(h, 1, 0), 0);
	memcpy(serial, h->w.ram + DATA_AT + 4, sizeof(serial));
	memcpy(nqn, h->w.ram + DATA_AT + 768, sizeof(nqn));
	assert_int_equal(identify(h, 3, 1), 0);
	memcpy(uuid, h->w.ram + DATA_AT + 4, sizeof(uuid));
	/* The same image at another address. */
	port = ui_dma_open(h->w.tr, 0x200, world_resolve, &h->w);
	assert_non_null(port);
	ui_pci_destroy(h->w.pci);
	ui_dma_close(h->w.port);
	h->w.port = port;
	host_make(h);
	nvme_up(h);
	assert_int_equal(identify(h, 1, 0), 0);
	assert_memory_not_equal(serial, h->w.ram + DATA_AT + 4, sizeof(serial));
	assert_memory_not_equal(nqn, h->w.ram + DATA_AT + 768, sizeof(nqn));
	assert_int_equal(identify(h, 3, 1), 0);
	assert_memory_not_equal(uuid, h->w.ram + DATA_AT + 4, sizeof(uuid));
}

/* A step is a bounded piece of work whatever is asked for. */
static void steps_are_bounded(void **state)
{
	struct host *h = *state;
	struct ui_dma_stats stats;
	u64 before;

	nvme_up(h);
	memset(h->w.ram + LIST_AT, 0, PAGE);
	for (unsigned i = 0; i < 40; i++)
		push(h, 1, io_sqe(NVME_IO_READ, 0, 512, DATA_AT, LIST_AT));
	ring_sq(h, 1);
	do {
		ui_dma_stats(h->w.port, &stats);
		before = stats.bytes;
		ui_pci_step(h->w.pci);
		ui_dma_stats(h->w.port, &stats);
		assert_true(stats.bytes - before <= 100 << 10);
	} while (stats.bytes != before);
	assert_true(stats.bytes > 40 * (256 << 10));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(bad_doorbells_are_ignored_and_told),
		T(more_commands_than_fit_are_refused),
		T(events_wait_for_a_request_and_the_fifth_request_is_one_too_many),
		T(an_event_waits_for_room),
		T(the_error_log_keeps_the_newest),
		T(a_log_read_with_rae_keeps_the_event),
		T(a_temperature_below_the_threshold_warns_who_asked),
		T(abort_finds_event_requests_only),
		T(logs),
		T(log_refusals),
		T(unknown_commands_are_refused),
		T(the_pin_is_up_while_something_is_unread),
		T(each_queue_has_its_vector),
		T(several_under_way_share_a_message),
		T(a_message_waits_for_a_bounded_time),
		T(one_command_at_a_time_is_told_at_once),
		T(the_admin_queue_waits_for_nobody),
		T(a_deleted_queue_says_no_more),
		T(doorbells_wake_when_there_is_work),
		T(masked_msi_messages_come_when_unmasked),
		T(msi_with_one_message),
		T(masked_vectors_are_pending),
		T(a_queue_without_interrupts_raises_none),
		T(reset_drops_everything_under_way),
		T(shutdown_makes_everything_durable),
		T(bus_mastering_off_pauses),
		T(a_function_reset_drops_everything_too),
		T(no_two_controllers_have_one_name),
		T(steps_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
