/* SPDX-License-Identifier: MIT */
/*
 * Registers while a step is in file I/O: doorbells and reads go on, what resets or shuts down waits. A plain program.
 * Nothing waits for time: a lock that is held too long is a time-out.
 */
#include "nvme_common.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#define CHECK(is)                                                                        \
	do {                                                                             \
		if (!(is)) {                                                             \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #is);         \
			_exit(1);                                                        \
		}                                                                        \
	} while (0)

static struct host h;
static sem_t inside, go;
static atomic_bool slow; /* a flush waits for @go */
static atomic_int n_inside; /* calls of the image */
static atomic_bool stop;

static int slow_flush(void *arg)
{
	atomic_fetch_add(&n_inside, 1);
	if (atomic_load(&slow)) {
		sem_post(&inside);
		sem_wait(&go);
	}
	disk_flush(arg);
	atomic_fetch_sub(&n_inside, 1);
	return 0;
}

static int counted_write(void *arg, const void *buf, u64 n_bytes, u64 offset)
{
	int ret;

	atomic_fetch_add(&n_inside, 1);
	ret = disk_write(arg, buf, n_bytes, offset);
	atomic_fetch_sub(&n_inside, 1);
	return ret;
}

static void *stepper(void *arg)
{
	while (!atomic_load(&stop)) {
		if (!ui_pci_step(h.w.pci))
			sched_yield();
	}
	return NULL;
}

static void *let_in(void *arg)
{
	sem_post(&go);
	return NULL;
}

/* The driver's side of a command without stepping. */
static void submit(unsigned qid, struct sqe s)
{
	push(&h, qid, s);
	ring_sq(&h, qid);
}

static u16 finish(unsigned qid)
{
	const u8 *last = h.w.ram + h.queues[qid].cq + (u64)h.queues[qid].head * NVME_CQE_BYTES + 12;

	while ((__atomic_load_n((const u32 *)(const void *)last, __ATOMIC_ACQUIRE) >> 16 & 1) != h.queues[qid].phase)
		sched_yield();
	CHECK(take(&h, qid));
	return (u16)(h.cqe[3] >> 17);
}

static void bring_up(void)
{
	nvme_enable(&h, CC_ON);
	CHECK(nvme_read(&h, NVME_REG_CSTS) == NVME_CSTS_RDY);
	for (unsigned q = 1; q <= 2; q++) {
		submit(0, (struct sqe){ .op = NVME_ADM_CREATE_CQ, .prp1 = cq_at(q), .cdw10 = q | (IO_ENTRIES - 1) << 16, .cdw11 = 3 });
		CHECK(!finish(0));
		submit(0, (struct sqe){ .op = NVME_ADM_CREATE_SQ, .prp1 = sq_at(q), .cdw10 = q | (IO_ENTRIES - 1) << 16, .cdw11 = 1 | q << 16 });
		CHECK(!finish(0));
		queue_fresh(&h, q, sq_at(q), cq_at(q), IO_ENTRIES, IO_ENTRIES);
	}
}

static void slow_flush_begins(void)
{
	atomic_store(&slow, true);
	submit(1, io_sqe(NVME_IO_WRITE, 0, 8, DATA_AT, 0));
	submit(1, io_sqe(NVME_IO_FLUSH, 0, 1, 0, 0));
	sem_wait(&inside);
}

/* What takes long holds up no register but those that end it. */
static void registers_go_on_during_a_flush(void)
{
	slow_flush_begins();
	CHECK(nvme_read(&h, NVME_REG_CSTS) == NVME_CSTS_RDY);
	nvme_write(&h, NVME_REG_INTMS, 1);
	nvme_write(&h, NVME_REG_INTMC, 1);
	submit(2, io_sqe(NVME_IO_READ, 0, 1, DATA_AT + PAGE, 0)); /* told; done later */
	CHECK(cfg_read(&h.w, 0, 2) == 0x6975);
	CHECK(atomic_load(&n_inside) == 1);
	atomic_store(&slow, false);
	sem_post(&go);
	CHECK(!finish(1) && !finish(1) && !finish(2));
}

/* What ends it waits until the image is left alone: a reset, a shutdown, a function-level reset, bus mastering off. */
static void what_ends_it_waits(void)
{
	for (unsigned i = 0; i < 5; i++) {
		pthread_t thread;

		slow_flush_begins();
		atomic_store(&slow, false);
		CHECK(!pthread_create(&thread, NULL, let_in, NULL));
		switch (i) {
		case 0:
			nvme_write(&h, NVME_REG_CC, 0);
			break;
		case 1:
			nvme_write(&h, NVME_REG_CC, CC_ON | 1 << NVME_CC_SHN_SHIFT);
			break;
		case 2:
			ui_pci_reset(h.w.pci);
			break;
		case 3:
			ui_pci_reset_restore(h.w.pci);
			break;
		default:
			cfg_write(&h.w, PCI_CFG_COMMAND, PCI_CMD_MEM, 2);
		}
		CHECK(!atomic_load(&n_inside));
		pthread_join(thread, NULL);
		cfg_write(&h.w, PCI_CFG_COMMAND, PCI_CMD_MEM | PCI_CMD_MASTER, 2);
		bring_up();
	}
}

/* A reset under load, many times, at any moment: afterwards nobody is in the image, and no byte of memory changes. */
static void resets_under_load(void)
{
	u64 seed = test_seed();

	for (unsigned round = 0; round < 200; round++) {
		u64 n = next_random(&seed) % 40;

		for (unsigned i = 0; i < 30; i++)
			push(&h, 1 + i % 2, io_sqe(i % 3 ? NVME_IO_WRITE : NVME_IO_READ, next_random(&seed) % 1000, 8, DATA_AT + PAGE * (i % 4), 0));
		ring_sq(&h, 1);
		ring_sq(&h, 2);
		while (n--)
			sched_yield();
		if (round % 2)
			nvme_write(&h, NVME_REG_CC, 0);
		else
			ui_pci_reset(h.w.pci);
		CHECK(!atomic_load(&n_inside));
		memset(h.w.ram + DATA_AT, (u8)round, 4 * PAGE);
		cfg_write(&h.w, PCI_CFG_COMMAND, PCI_CMD_MEM | PCI_CMD_MASTER, 2);
		for (unsigned i = 0; i < 4 * PAGE; i++)
			CHECK(h.w.ram[DATA_AT + i] == (u8)round);
		bring_up();
	}
}

int main(void)
{
	static struct ui_nvme_image_ops ops;
	pthread_t thread;

	sem_init(&inside, 0, 0);
	sem_init(&go, 0, 0);
	host_open(&h, false);
	ops = *h.nvme->image.ops;
	ops.flush = slow_flush;
	ops.write = counted_write;
	h.nvme->image.ops = &ops;
	CHECK(!pthread_create(&thread, NULL, stepper, NULL));
	bring_up();
	registers_go_on_during_a_flush();
	what_ends_it_waits();
	resets_under_load();
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	host_close(&h);
	return 0;
}
