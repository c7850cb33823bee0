/* SPDX-License-Identifier: MIT */
/* The nvme controller: registers, reset, queues, interrupts, admin commands (docs/nvme-device.md; devices-and-transports.md 4). */
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

static void identity(void **state)
{
	struct host *h = *state;

	assert_int_equal(cfg_read(&h->w, 0, 4), 0x00026975);
	assert_int_equal(cfg_read(&h->w, 8, 4), 0x01080201);
	assert_int_equal(cfg_read(&h->w, PCI_CFG_INT_PIN, 1), 1);
}

/* 4.1 of the sheet: what a driver looks at before it enables the controller. */
static void registers_after_reset(void **state)
{
	struct host *h = *state;
	u64 cap = reg_read(&h->w, NVME_REG_CAP, 8);

	assert_int_equal(cap & 0xffff, 1023);
	assert_int_equal(cap >> 16 & 1, 1);      /* contiguous queues required */
	assert_int_equal(cap >> 24 & 0xff, 20);
	assert_int_equal(cap >> 32 & 15, 0);     /* doorbells next to each other */
	assert_int_equal(cap >> 37 & 0xff, 1);   /* NVM commands only */
	assert_int_equal(cap >> 48 & 15, 0);
	assert_int_equal(cap >> 52 & 15, 4);
	assert_int_equal(nvme_read(h, NVME_REG_CAP), (u32)cap);
	assert_int_equal(nvme_read(h, NVME_REG_CAP + 4), cap >> 32);
	assert_int_equal(nvme_read(h, NVME_REG_VS), 0x10400);
	assert_int_equal(nvme_read(h, NVME_REG_CC) | nvme_read(h, NVME_REG_CSTS) | nvme_read(h, NVME_REG_AQA), 0);
	assert_int_equal(reg_read(&h->w, NVME_REG_ASQ, 8) | reg_read(&h->w, NVME_REG_ACQ, 8), 0);
	assert_int_equal(reg_read(&h->w, 0x38, 8) | reg_read(&h->w, 0xe00, 8) | reg_read(&h->w, 0x1000, 8), 0);
}

static void admin_queue_registers_take_halves_in_any_order_and_are_fixed_while_enabled(void **state)
{
	struct host *h = *state;

	nvme_write(h, NVME_REG_ASQ + 4, 1);
	nvme_write(h, NVME_REG_ASQ, 0x12345fff);
	assert_int_equal(reg_read(&h->w, NVME_REG_ASQ, 8), 0x112345000);
	nvme_write(h, NVME_REG_ACQ, 0x2000);
	nvme_write(h, NVME_REG_ACQ + 4, 7);
	assert_int_equal(reg_read(&h->w, NVME_REG_ACQ, 8), 0x700002000);
	nvme_enable(h, CC_ON);
	nvme_write(h, NVME_REG_AQA, 0);
	reg_write(&h->w, NVME_REG_ASQ, 0, 8);
	assert_int_equal(nvme_read(h, NVME_REG_AQA), (ADMIN_ENTRIES - 1) * 0x10001);
	assert_int_equal(reg_read(&h->w, NVME_REG_ASQ, 8), ASQ_AT);
	/* A reset keeps them, a function-level reset does not. */
	nvme_write(h, NVME_REG_CC, 0);
	assert_int_equal(reg_read(&h->w, NVME_REG_ACQ, 8), ACQ_AT);
	ui_pci_reset(h->w.pci);
	cfg_write(&h->w, PCI_CFG_COMMAND, PCI_CMD_MEM | PCI_CMD_MASTER, 2);
	assert_int_equal(reg_read(&h->w, NVME_REG_ACQ, 8), 0);
}

static void narrow_and_odd_accesses_change_nothing(void **state)
{
	struct host *h = *state;

	reg_write(&h->w, NVME_REG_CC, CC_ON & 0xff, 1);
	reg_write(&h->w, NVME_REG_CC, CC_ON & 0xffff, 2);
	reg_write(&h->w, NVME_REG_CC - 4, (u64)CC_ON << 32, 8);
	assert_int_equal(nvme_read(h, NVME_REG_CC) | nvme_read(h, NVME_REG_CSTS), 0);
	reg_write(&h->w, NVME_REG_CAP, 0, 8);
	assert_int_equal(nvme_read(h, NVME_REG_VS), 0x10400);
}

/* 4.2: what cannot be enabled is fatal, and only a reset helps. */
static void enabling_refuses_what_cannot_be(void **state)
{
	static const struct {
		u32 cc, aqa;
		u64 asq, acq;
	} bad[] = {
		{ CC_ON | 5u << NVME_CC_MPS_SHIFT, 0x1f001f, ASQ_AT, ACQ_AT }, { CC_ON | 1u << NVME_CC_CSS_SHIFT, 0x1f001f, ASQ_AT, ACQ_AT },
		{ CC_ON | 6u << NVME_CC_CSS_SHIFT, 0x1f001f, ASQ_AT, ACQ_AT }, { CC_ON | 1u << NVME_CC_AMS_SHIFT, 0x1f001f, ASQ_AT, ACQ_AT },
		{ CC_ON, 0x1f0000, ASQ_AT, ACQ_AT },			       { CC_ON, 0x00001f, ASQ_AT, ACQ_AT },
		{ CC_ON | 1u << NVME_CC_MPS_SHIFT, 0x1f001f, ASQ_AT, 2 * ACQ_AT },
	};
	struct host *h = *state;

	for (unsigned i = 0; i < ui_array_size(bad); i++) {
		nvme_write(h, NVME_REG_CC, 0);
		assert_int_equal(nvme_read(h, NVME_REG_CSTS), 0);
		nvme_write(h, NVME_REG_AQA, bad[i].aqa);
		reg_write(&h->w, NVME_REG_ASQ, bad[i].asq, 8);
		reg_write(&h->w, NVME_REG_ACQ, bad[i].acq, 8);
		nvme_write(h, NVME_REG_CC, bad[i].cc);
		assert_int_equal(nvme_read(h, NVME_REG_CSTS), NVME_CSTS_CFS);
		nvme_write(h, NVME_REG_DOORBELLS, 1);
		assert_false(ui_pci_step(h->w.pci));
		assert_int_equal(nvme_read(h, NVME_REG_CSTS), NVME_CSTS_CFS);
	}
	nvme_up(h);
}

/* Bad input of step 3: queues outside memory, and in the controller's own registers. */
static void queues_outside_memory_are_fatal(void **state)
{
	static const u64 places[] = { (u64)MAPPED * PAGE, ~(u64)0xfff, OWN_BAR_AT };
	struct host *h = *state;

	for (unsigned i = 0; i < 2 * ui_array_size(places); i++) {
		nvme_enable(h, 0);
		reg_write(&h->w, i % 2 ? NVME_REG_ASQ : NVME_REG_ACQ, places[i / 2], 8);
		nvme_write(h, NVME_REG_CC, CC_ON);
		assert_int_equal(nvme_read(h, NVME_REG_CSTS), NVME_CSTS_RDY);
		push(h, 0, (struct sqe){ .op = NVME_ADM_GET_FEATURES, .cdw10 = NVME_FEAT_ARBITRATION });
		ring_sq(h, 0);
		run(&h->w, 10);
		assert_int_equal(nvme_read(h, NVME_REG_CSTS), NVME_CSTS_RDY | NVME_CSTS_CFS);
		assert_false(take(h, 0));
	}
	nvme_up(h);
}

static void identify_controller(void **state)
{
	struct host *h = *state;

	nvme_up(h);
	assert_int_equal(identify(h, 1, 0), 0);
	assert_int_equal(mem_get(h, DATA_AT, 4), 0x69756975);
	assert_memory_equal(h->w.ram + DATA_AT + 24, "uiommu nvme                             ", 40);
	assert_int_equal(mem_get(h, DATA_AT + 77, 1), 6);       /* MDTS: 256 KiB */
	assert_int_equal(mem_get(h, DATA_AT + 80, 4), 0x10400);
	assert_int_equal(mem_get(h, DATA_AT + 111, 1), 1);
	assert_int_equal(mem_get(h, DATA_AT + 256, 2), 0);      /* none of the optional admin commands */
	assert_int_equal(mem_get(h, DATA_AT + 259, 1), 3);
	assert_int_equal(mem_get(h, DATA_AT + 512, 2), 0x4466);
	assert_int_equal(mem_get(h, DATA_AT + 516, 4), 1);
	assert_int_equal(mem_get(h, DATA_AT + 520, 2), 0x1d);
	assert_int_equal(mem_get(h, DATA_AT + 525, 1), 7);
	assert_memory_equal(h->w.ram + DATA_AT + 768, "nqn.2", 5);
	assert_int_equal(mem_get(h, DATA_AT + 768 + 255, 1), 0);
	/* Text is padded with blanks: serial number, firmware. */
	for (unsigned i = 4; i < 72; i++)
		assert_true(h->w.ram[DATA_AT + i] >= ' ' && h->w.ram[DATA_AT + i] < 0x7f);
}

static void identify_namespace(void **state)
{
	struct host *h = *state;

	nvme_up(h);
	assert_int_equal(identify(h, 0, 1), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(mem_get(h, DATA_AT + 8 * i, 8), DISK_BLOCKS);
	assert_int_equal(mem_get(h, DATA_AT + 25, 2), 0);       /* one format, in use */
	assert_int_equal(mem_get(h, DATA_AT + 33, 1), 9);
	assert_int_equal(mem_get(h, DATA_AT + 99, 1), 0);
	assert_int_equal(mem_get(h, DATA_AT + 128, 4), 9 << 16);
	/* The list of active namespaces after a number, and what names this one. */
	assert_int_equal(identify(h, 2, 0), 0);
	assert_int_equal(mem_get(h, DATA_AT, 8), 1);
	assert_int_equal(identify(h, 2, 1), 0);
	assert_int_equal(mem_get(h, DATA_AT, 8), 0);
	assert_int_equal(identify(h, 3, 1), 0);
	assert_int_equal(mem_get(h, DATA_AT, 4), 0x1003);
	assert_int_not_equal(mem_get(h, DATA_AT + 4, 8), 0);
	assert_int_equal(mem_get(h, DATA_AT + 20, 4), 0);
}

static void identify_refusals(void **state)
{
	static const struct {
		u32 cns, nsid;
		u16 status;
	} bad[] = {
		{ 0, 0, NVME_BAD_NAMESPACE },	{ 0, 2, NVME_BAD_NAMESPACE }, { 0, ~0u, NVME_BAD_NAMESPACE }, { 2, ~0u, NVME_BAD_NAMESPACE },
		{ 2, ~0u - 1, NVME_BAD_NAMESPACE }, { 3, 0, NVME_BAD_NAMESPACE }, { 3, 7, NVME_BAD_NAMESPACE }, { 4, 0, NVME_BAD_FIELD },
		{ 6, 1, NVME_BAD_FIELD },	{ 0x10, 0, NVME_BAD_FIELD },  { 0xff, 0, NVME_BAD_FIELD },
	};
	struct host *h = *state;

	nvme_up(h);
	for (unsigned i = 0; i < ui_array_size(bad); i++)
		assert_int_equal(identify(h, bad[i].cns, bad[i].nsid), bad[i].status | NVME_DNR | NVME_MORE);
}

static u16 feature(struct host *h, bool set, u32 cdw10, u32 cdw11, u32 nsid)
{
	return command(h, 0, (struct sqe){ .op = set ? NVME_ADM_SET_FEATURES : NVME_ADM_GET_FEATURES, .nsid = nsid, .cdw10 = cdw10,
					   .cdw11 = cdw11 });
}

static void mandatory_features_are_kept_until_a_reset(void **state)
{
	static const struct {
		u32 id, initial, set, kept, nsid;
	} f[] = {
		{ NVME_FEAT_ARBITRATION, 7, 0x01020303, 0x01020303, 0 }, { NVME_FEAT_POWER, 0, 0x20, 0x20, 0 },
		{ NVME_FEAT_TEMPERATURE, 0xffff, 400, 400, 0 },		 { NVME_FEAT_ERROR_RECOVERY, 0, 0x64, 0x64, 1 },
		{ NVME_FEAT_WRITE_CACHE, 1, 0, 0, 0 },			 { NVME_FEAT_COALESCING, 0, 0x0a03, 0x0a03, 0 },
		{ NVME_FEAT_VECTOR, 0, 1u << 16, 1u << 16, 0 },		 { NVME_FEAT_ATOMICITY, 0, 1, 1, 0 },
		{ NVME_FEAT_ASYNC_EVENT, 0, 0x1f, 0x1f, 0 },
	};
	struct host *h = *state;

	for (unsigned round = 0; round < 2; round++) {
		nvme_up(h);
		for (unsigned i = 0; i < ui_array_size(f); i++) {
			assert_int_equal(feature(h, false, f[i].id, 0, f[i].nsid), 0);
			assert_int_equal(h->cqe[0], f[i].initial);
			assert_int_equal(feature(h, true, f[i].id, f[i].set, f[i].nsid), 0);
			assert_int_equal(feature(h, false, f[i].id, 0, f[i].nsid), 0);
			assert_int_equal(h->cqe[0], f[i].kept);
			/* Select: default, saved (nothing is), what can be done. */
			assert_int_equal(feature(h, false, f[i].id | 1 << 8, 0, f[i].nsid), 0);
			assert_int_equal(h->cqe[0], f[i].initial);
			assert_int_equal(feature(h, false, f[i].id | 3 << 8, 0, f[i].nsid), 0);
			assert_int_equal(h->cqe[0], f[i].id == NVME_FEAT_ERROR_RECOVERY ? 6 : 4);
		}
	}
}

static void feature_refusals(void **state)
{
	static const struct {
		bool set;
		u32 cdw10, cdw11, nsid;
		u16 status;
	} bad[] = {
		{ true, 0, 0, 0, NVME_BAD_FIELD },
		{ true, 3, 0, 0, NVME_BAD_FIELD },
		{ false, 0x0c, 0, 0, NVME_BAD_FIELD },
		{ true, 0x80, 0, 0, NVME_BAD_FIELD },
		{ false, NVME_FEAT_ARBITRATION | 4 << 8, 0, 0, NVME_BAD_FIELD },
		{ true, NVME_FEAT_POWER, 1, 0, NVME_BAD_FIELD },
		{ true, NVME_FEAT_TEMPERATURE, 2 << 20, 0, NVME_BAD_FIELD },
		{ true, NVME_FEAT_TEMPERATURE, 3 << 16, 0, NVME_BAD_FIELD },
		{ true, NVME_FEAT_VECTOR, NVME_N_QUEUES, 0, NVME_BAD_FIELD },
		{ false, NVME_FEAT_VECTOR, 0xffff, 0, NVME_BAD_FIELD },
		{ true, NVME_FEAT_ERROR_RECOVERY, 1 << 16, 1, NVME_BAD_FIELD },
		{ true, NVME_FEAT_ERROR_RECOVERY, 0, 0, NVME_BAD_NAMESPACE },
		{ false, NVME_FEAT_ERROR_RECOVERY, 0, ~0u, NVME_BAD_NAMESPACE },
		{ true, NVME_FEAT_QUEUES, 0xffff, 0, NVME_BAD_FIELD },
		{ true, NVME_FEAT_QUEUES, 0xffff0000, 0, NVME_BAD_FIELD },
		{ true, NVME_FEAT_ARBITRATION | 1u << 31, 0, 0, NVME_NOT_SAVEABLE },
		{ true, NVME_FEAT_ARBITRATION, 0, 1, NVME_NOT_PER_NAMESPACE },
	};
	struct host *h = *state;

	nvme_enable(h, CC_ON);
	for (unsigned i = 0; i < ui_array_size(bad); i++)
		assert_int_equal(feature(h, bad[i].set, bad[i].cdw10, bad[i].cdw11, bad[i].nsid), bad[i].status | NVME_DNR | NVME_MORE);
}

static void number_of_queues_is_granted_once(void **state)
{
	struct host *h = *state;

	nvme_enable(h, CC_ON);
	assert_int_equal(feature(h, true, NVME_FEAT_QUEUES, 1 | 2 << 16, 0), 0);
	assert_int_equal(h->cqe[0], 1 | 2 << 16);
	assert_int_equal(STATUS(create_cq(h, 4, IO_ENTRIES, 0)), NVME_QID_INVALID);
	assert_int_equal(create_cq(h, 3, IO_ENTRIES, 0), 0);
	assert_int_equal(STATUS(create_sq(h, 3, IO_ENTRIES, 3)), NVME_QID_INVALID);
	assert_int_equal(create_sq(h, 2, IO_ENTRIES, 3), 0);
	assert_int_equal(STATUS(feature(h, true, NVME_FEAT_QUEUES, 0, 0)), NVME_SEQUENCE);
	nvme_enable(h, CC_ON);
	assert_int_equal(feature(h, true, NVME_FEAT_QUEUES, 999 | 999 << 16, 0), 0);
	assert_int_equal(h->cqe[0], 15 | 15 << 16);
}

static void queue_creation_refusals(void **state)
{
	static const struct {
		u8 op;
		u64 prp1;
		u32 cdw10, cdw11;
		u16 status;
	} bad[] = {
		{ NVME_ADM_CREATE_CQ, PAGE, 0 | 63 << 16, 3, NVME_QID_INVALID },
		{ NVME_ADM_CREATE_CQ, PAGE, 17 | 63 << 16, 3, NVME_QID_INVALID },
		{ NVME_ADM_CREATE_CQ, PAGE, 0xffff | 63 << 16, 3, NVME_QID_INVALID },
		{ NVME_ADM_CREATE_CQ, PAGE, 1 | 63 << 16, 3, NVME_QID_INVALID }, /* is there */
		{ NVME_ADM_CREATE_CQ, PAGE, 2 | 0 << 16, 3, NVME_QUEUE_SIZE },
		{ NVME_ADM_CREATE_CQ, PAGE, 2 | 1024 << 16, 3, NVME_QUEUE_SIZE },
		{ NVME_ADM_CREATE_CQ, PAGE, 2 | 0xffffu << 16, 3, NVME_QUEUE_SIZE },
		{ NVME_ADM_CREATE_CQ, PAGE, 2 | 63 << 16, 2, NVME_BAD_FIELD }, /* in pieces */
		{ NVME_ADM_CREATE_CQ, PAGE + 16, 2 | 63 << 16, 3, NVME_PRP_OFFSET },
		{ NVME_ADM_CREATE_CQ, PAGE, 2 | 63 << 16, 3 | 1 << 16, NVME_BAD_VECTOR }, /* with a pin */
		{ NVME_ADM_CREATE_SQ, PAGE, 0 | 63 << 16, 1 | 1 << 16, NVME_QID_INVALID },
		{ NVME_ADM_CREATE_SQ, PAGE, 1 | 63 << 16, 1 | 1 << 16, NVME_QID_INVALID },
		{ NVME_ADM_CREATE_SQ, PAGE, 17 | 63 << 16, 1 | 1 << 16, NVME_QID_INVALID },
		{ NVME_ADM_CREATE_SQ, PAGE, 2 | 63 << 16, 1 | 0 << 16, NVME_QID_INVALID },
		{ NVME_ADM_CREATE_SQ, PAGE, 2 | 63 << 16, 1 | 17 << 16, NVME_QID_INVALID },
		{ NVME_ADM_CREATE_SQ, PAGE, 2 | 63 << 16, 1 | 2 << 16, NVME_CQ_INVALID },
		{ NVME_ADM_CREATE_SQ, PAGE, 2 | 0 << 16, 1 | 1 << 16, NVME_QUEUE_SIZE },
		{ NVME_ADM_CREATE_SQ, PAGE, 2 | 1024 << 16, 1 | 1 << 16, NVME_QUEUE_SIZE },
		{ NVME_ADM_CREATE_SQ, PAGE, 2 | 63 << 16, 0 | 1 << 16, NVME_BAD_FIELD },
		{ NVME_ADM_CREATE_SQ, PAGE + 64, 2 | 63 << 16, 1 | 1 << 16, NVME_PRP_OFFSET },
		{ NVME_ADM_DELETE_SQ, 0, 0, 0, NVME_QID_INVALID },
		{ NVME_ADM_DELETE_SQ, 0, 2, 0, NVME_QID_INVALID },
		{ NVME_ADM_DELETE_SQ, 0, 0xffff, 0, NVME_QID_INVALID },
		{ NVME_ADM_DELETE_CQ, 0, 0, 0, NVME_QID_INVALID },
		{ NVME_ADM_DELETE_CQ, 0, 17, 0, NVME_QID_INVALID },
		{ NVME_ADM_DELETE_CQ, 0, 1, 0, NVME_QUEUE_DELETION },
	};
	struct host *h = *state;

	nvme_up(h);
	for (unsigned i = 0; i < ui_array_size(bad); i++)
		assert_int_equal(command(h, 0, (struct sqe){ .op = bad[i].op, .prp1 = bad[i].prp1, .cdw10 = bad[i].cdw10,
							     .cdw11 = bad[i].cdw11 }), bad[i].status | NVME_DNR | NVME_MORE);
	/* Entries of another size than there is. */
	nvme_enable(h, NVME_CC_EN | 7u << NVME_CC_IOSQES_SHIFT | 5u << NVME_CC_IOCQES_SHIFT);
	assert_int_equal(STATUS(create_cq(h, 1, IO_ENTRIES, 0)), NVME_QUEUE_SIZE);
}

static void queues_are_deleted_and_made_again(void **state)
{
	struct host *h = *state;

	nvme_up(h);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(command(h, 0, (struct sqe){ .op = NVME_ADM_DELETE_SQ, .cdw10 = 1 }), 0);
		/* Its doorbell is no one's. */
		nvme_write(h, NVME_REG_DOORBELLS + 8, 1);
		assert_int_equal(command(h, 0, (struct sqe){ .op = NVME_ADM_DELETE_CQ, .cdw10 = 1 }), 0);
		create_io(h, 1, 0);
		assert_int_equal(simple_io(h, NVME_IO_READ, 0, 1, DATA_AT, 0), 0);
	}
}

/* Two submission queues on one completion queue: the completion says whose it is. */
static void completions_name_their_queue_and_wrap_with_their_phase(void **state)
{
	struct host *h = *state;

	nvme_up(h);
	assert_int_equal(create_sq(h, 2, 8, 1), 0);
	queue_fresh(h, 2, sq_at(2), cq_at(1), 8, IO_ENTRIES);
	for (unsigned i = 0; i < 3 * IO_ENTRIES; i++) {
		unsigned qid = i % 5 ? 2 : 1;
		u16 cid = push(h, qid, io_sqe(NVME_IO_READ, i, 1, DATA_AT, 0));

		ring_sq(h, qid);
		run(&h->w, 10);
		assert_true(take(h, 1));
		assert_int_equal(h->cqe[3], cid | (u32)!(i / IO_ENTRIES % 2) << 16);
		assert_int_equal(h->cqe[2], qid << 16 | h->queues[qid].tail);
	}
}

static void a_full_completion_queue_stops_its_submission_queues(void **state)
{
	struct host *h = *state;
	unsigned n = 0;

	nvme_up(h);
	assert_int_equal(create_cq(h, 2, 4, 0), 0);
	assert_int_equal(create_sq(h, 2, IO_ENTRIES, 2), 0);
	queue_fresh(h, 2, sq_at(2), cq_at(2), IO_ENTRIES, 4);
	for (unsigned i = 0; i < 20; i++)
		push(h, 2, io_sqe(NVME_IO_FLUSH, 0, 1, 0, 0));
	ring_sq(h, 2);
	run(&h->w, 100);
	/* Three fit; the fourth place still shows the phase of before, and the other queues go on. */
	assert_int_equal(mem_get(h, cq_at(2) + 2 * 16 + 14, 2) & 1, 1);
	assert_int_equal(mem_get(h, cq_at(2) + 3 * 16 + 14, 2) & 1, 0);
	assert_int_equal(simple_io(h, NVME_IO_READ, 0, 1, DATA_AT, 0), 0);
	while (take(h, 2)) {
		n++;
		run(&h->w, 100);
	}
	assert_int_equal(n, 20);
}

/* ---- doorbells, events, errors ---- */

static void aer(struct host *h)
{
	push(h, 0, (struct sqe){ .op = NVME_ADM_ASYNC_EVENT });
	ring_sq(h, 0);
	run(&h->w, 10);
}

static u16 get_log(struct host *h, u32 lid, u32 n_bytes, u64 offset)
{
	return command(h, 0, (struct sqe){ .op = NVME_ADM_GET_LOG, .nsid = ~0u, .prp1 = DATA_AT, .prp2 = DATA_AT + PAGE,
					   .cdw10 = lid | (n_bytes / 4 - 1) << 16, .cdw12 = (u32)offset, .cdw13 = (u32)(offset >> 32) });
}

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
	run(&h->w, 10);
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
		T(identity),
		T(registers_after_reset),
		T(admin_queue_registers_take_halves_in_any_order_and_are_fixed_while_enabled),
		T(narrow_and_odd_accesses_change_nothing),
		T(enabling_refuses_what_cannot_be),
		T(queues_outside_memory_are_fatal),
		T(identify_controller),
		T(identify_namespace),
		T(identify_refusals),
		T(mandatory_features_are_kept_until_a_reset),
		T(feature_refusals),
		T(number_of_queues_is_granted_once),
		T(queue_creation_refusals),
		T(queues_are_deleted_and_made_again),
		T(completions_name_their_queue_and_wrap_with_their_phase),
		T(a_full_completion_queue_stops_its_submission_queues),
		T(bad_doorbells_are_ignored_and_told),
		T(more_commands_than_fit_are_refused),
		T(events_wait_for_a_request_and_the_fifth_request_is_one_too_many),
		T(a_log_read_with_rae_keeps_the_event),
		T(a_temperature_below_the_threshold_warns_who_asked),
		T(abort_finds_event_requests_only),
		T(logs),
		T(log_refusals),
		T(unknown_commands_are_refused),
		T(the_pin_is_up_while_something_is_unread),
		T(each_queue_has_its_vector),
		T(masked_msi_messages_come_when_unmasked),
		T(a_queue_without_interrupts_raises_none),
		T(reset_drops_everything_under_way),
		T(shutdown_makes_everything_durable),
		T(bus_mastering_off_pauses),
		T(steps_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
