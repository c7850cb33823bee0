/* SPDX-License-Identifier: MIT */
/* The nvme controller: registers, queues, identify, features (docs/nvme-device.md; devices-and-transports.md 4). */
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

/* The same for I/O queues, which are only looked at when they are used: memory that is not there, or is not to be written. */
static void io_queues_outside_memory_are_fatal(void **state)
{
	static const struct {
		u64 sq, cq;
		bool fatal;
	} places[] = {
		{ (u64)MAPPED * PAGE, 0, true }, { 0, (u64)MAPPED * PAGE, true }, { OWN_BAR_AT, 0, true }, { 0, OWN_BAR_AT, true },
		{ ~(u64)0xfff, 0, true },	 { 0, 700 * PAGE, true },	  { 700 * PAGE, 0, false },
	};
	struct host *h = *state;

	map(&h->w, NO_PASID, 700 * PAGE, 700, 1, UI_PROT_READ);
	for (unsigned i = 0; i < ui_array_size(places); i++) {
		u64 sq = places[i].sq ? places[i].sq : sq_at(2), cq = places[i].cq ? places[i].cq : cq_at(2);

		nvme_enable(h, CC_ON);
		assert_int_equal(command(h, 0, (struct sqe){ .op = NVME_ADM_CREATE_CQ, .prp1 = cq, .cdw10 = 2 | 63 << 16, .cdw11 = 3 }), 0);
		assert_int_equal(command(h, 0, (struct sqe){ .op = NVME_ADM_CREATE_SQ, .prp1 = sq, .cdw10 = 2 | 63 << 16, .cdw11 = 1 | 2 << 16 }), 0);
		memset(h->w.ram + 700 * PAGE, 0, PAGE);
		memset(h->w.ram + sq_at(2), 0, PAGE);
		nvme_write(h, NVME_REG_DOORBELLS + 16, 1);
		run(&h->w, 10);
		assert_int_equal(nvme_read(h, NVME_REG_CSTS), NVME_CSTS_RDY | (places[i].fatal ? NVME_CSTS_CFS : 0));
	}
	/* Only a reset helps. */
	nvme_up(h);
	assert_int_equal(simple_io(h, NVME_IO_READ, 0, 1, DATA_AT, 0), 0);
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

static void mandatory_features_are_kept_until_a_reset(void **state)
{
	static const struct {
		u32 id, initial, set, kept, nsid;
	} f[] = {
		{ NVME_FEAT_ARBITRATION, 7, 0x01020303, 0x01020303, 0 }, { NVME_FEAT_POWER, 0, 0x20, 0x20, 0 },
		{ NVME_FEAT_TEMPERATURE, 343, 400, 400, 0 },		 { NVME_FEAT_ERROR_RECOVERY, 0, 0x64, 0x64, 1 },
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
		{ true, NVME_FEAT_TEMPERATURE, 1 << 16, 0, NVME_BAD_FIELD },
		{ false, NVME_FEAT_TEMPERATURE, 15 << 16, 0, NVME_BAD_FIELD },
		{ true, NVME_FEAT_VECTOR, NVME_N_QUEUES, 0, NVME_BAD_FIELD },
		{ false, NVME_FEAT_VECTOR, 0xffff, 0, NVME_BAD_FIELD },
		{ true, NVME_FEAT_ERROR_RECOVERY, 1 << 16, 1, NVME_BAD_FIELD },
		{ true, NVME_FEAT_ERROR_RECOVERY, 0, 0, NVME_BAD_NAMESPACE },
		{ false, NVME_FEAT_ERROR_RECOVERY, 0, ~0u, NVME_BAD_NAMESPACE },
		{ true, NVME_FEAT_QUEUES, 0xffff, 0, NVME_BAD_FIELD },
		{ true, NVME_FEAT_QUEUES, 0xffff0000, 0, NVME_BAD_FIELD },
		{ true, NVME_FEAT_ARBITRATION | 1u << 31, 0, 0, NVME_NOT_SAVEABLE },
		{ true, NVME_FEAT_ARBITRATION, 0, 1, NVME_NOT_PER_NAMESPACE },
		{ true, NVME_FEAT_ARBITRATION, 0, 2, NVME_BAD_NAMESPACE },
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

/* Several queues of each kind, shared and not; they go in any order in which no submission queue is left without its other. */
static void queues_go_in_any_order(void **state)
{
	struct host *h = *state;
	u64 seed = test_seed();

	nvme_enable(h, CC_ON);
	for (unsigned round = 0; round < 20; round++) {
		u16 live = 0, cqs = 0, cq_of[NVME_N_QUEUES] = { 0 };

		for (u16 q = 1; q < NVME_N_QUEUES; q++) {
			assert_int_equal(create_cq(h, q, 16, 0), 0);
			queue_fresh(h, q, sq_at(q), cq_at(q), 16, 16);
			cqs |= (u16)(1 << (q - 1));
		}
		for (u16 q = 1; q < NVME_N_QUEUES; q++) {
			cq_of[q] = (u16)(1 + next_random(&seed) % NVME_N_IO_QUEUES);
			assert_int_equal(create_sq(h, q, 16, cq_of[q]), 0);
			live |= (u16)(1 << (q - 1));
		}
		while (live | cqs) {
			u16 q = (u16)(1 + next_random(&seed) % NVME_N_IO_QUEUES), bit = (u16)(1 << (q - 1)), expected;
			bool used = false;

			for (u16 i = 1; i < NVME_N_QUEUES; i++)
				used |= (live >> (i - 1) & 1) && cq_of[i] == q;
			if (next_random(&seed) % 2) {
				/* With commands that nobody will ever fetch. */
				if (live & bit)
					h->nvme->sqs[q].tail = 3;
				expected = live & bit ? 0 : NVME_QID_INVALID;
				assert_int_equal(STATUS(command(h, 0, (struct sqe){ .op = NVME_ADM_DELETE_SQ, .cdw10 = q })), expected);
				live &= (u16)~bit;
			} else {
				expected = !(cqs & bit) ? NVME_QID_INVALID : used ? NVME_QUEUE_DELETION : 0;
				assert_int_equal(STATUS(command(h, 0, (struct sqe){ .op = NVME_ADM_DELETE_CQ, .cdw10 = q })), expected);
				cqs &= used ? (u16)~0 : (u16)~bit;
			}
		}
		assert_int_equal(nvme_read(h, NVME_REG_CSTS), NVME_CSTS_RDY);
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
		T(io_queues_outside_memory_are_fatal),
		T(identify_controller),
		T(identify_namespace),
		T(identify_refusals),
		T(mandatory_features_are_kept_until_a_reset),
		T(feature_refusals),
		T(number_of_queues_is_granted_once),
		T(queue_creation_refusals),
		T(queues_are_deleted_and_made_again),
		T(queues_go_in_any_order),
		T(completions_name_their_queue_and_wrap_with_their_phase),
		T(a_full_completion_queue_stops_its_submission_queues),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
