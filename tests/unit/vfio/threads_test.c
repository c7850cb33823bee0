/* SPDX-License-Identifier: MIT */
/*
 * One thread steps the function and serves the unmask eventfd, as the shim's worker does, while two program threads change
 * interrupts, registers and configuration and reset the device. No deadlock, and nothing for ThreadSanitizer to find. Then
 * the count: no interrupt is lost between a mask and its unmask.
 */
#include "common.h"

#include <pthread.h>
#include <sched.h>

enum { ROUNDS = 2000 };

struct irq_arg {
	u32 argsz, flags, index, start, count;
	s32 fds[9];
};

static struct stand stand;
static _Atomic bool done;

static void *worker(void *arg)
{
	while (!atomic_load_explicit(&done, memory_order_relaxed)) {
		if (!ui_pci_step(stand.w.pci))
			sched_yield();
		ui_vfio_unmask_fd(stand.v);
		ui_vfio_unmask_fired(stand.v);
	}
	return NULL;
}

static long irqs(u32 index, u32 flags, u32 count, int fd)
{
	struct irq_arg a = { .argsz = sizeof(a), .flags = flags, .index = index, .count = count };

	for (unsigned i = 0; i < 9; i++)
		a.fds[i] = fd;
	return ui_vfio_ioctl(stand.v, UI_VFIO_SET_IRQS, (u64)(uintptr_t)&a);
}

static void *changer(void *arg)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), un = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	u64 seed = 1, one = 1;

	for (unsigned i = 0; i < ROUNDS; i++) {
		u64 r = next_random(&seed);
		u32 index = (u32)(r >> 8) % 3;

		irqs(index, UI_VFIO_DATA_EVENTFD | UI_VFIO_ACTION_TRIGGER, index ? 8 : 1, fd);
		irqs(0, UI_VFIO_DATA_EVENTFD | UI_VFIO_ACTION_UNMASK, 1, un);
		assert_int_equal(write(un, &one, 8), 8);
		if (r % 16 == 0)
			ui_vfio_ioctl(stand.v, UI_VFIO_RESET, 0);
		irqs(index, UI_VFIO_DATA_NONE | UI_VFIO_ACTION_TRIGGER, r & 1, 0);
	}
	close(fd);
	close(un);
	return NULL;
}

static void reg(u64 at, u64 val, u64 n)
{
	ui_vfio_pwrite(stand.v, &val, n, REGION(0) + at);
}

static void *driver(void *arg)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned c = i % 8;
		u32 cmd = PCI_CMD_MEM | PCI_CMD_MASTER | (i & 1 ? PCI_CMD_INTX_DISABLE : 0);

		ui_vfio_pwrite(stand.v, &cmd, 2, REGION(7) + PCI_CFG_COMMAND);
		reg(G_CTRL, 1, 4);
		reg(chan_at(c, C_CTRL), 0, 4);
		reg(chan_at(c, C_CTRL), 1 | DMA_CHAN_POLL, 4);
		atomic_store_explicit((_Atomic u64 *)(void *)(stand.w.doorbells + c * PAGE), 1, memory_order_release); /* the device's load */
		reg(G_IRQ_STATUS, ~0u, 4);
	}
	return NULL;
}

static void threads(void **state)
{
	pthread_t t[3];

	stand_open(&stand, 16);
	stand_bind_now(&stand);
	*(struct desc *)(void *)stand.w.ram = (struct desc){ .op = DMA_OP_FILL, .flags = DMA_F_IRQ, .length = 5000, .dst = PAGE };
	atomic_store(&done, false);
	assert_int_equal(pthread_create(&t[0], NULL, worker, NULL) | pthread_create(&t[1], NULL, changer, NULL) |
				 pthread_create(&t[2], NULL, driver, NULL), 0);
	pthread_join(t[1], NULL);
	pthread_join(t[2], NULL);
	atomic_store(&done, true);
	pthread_join(t[0], NULL);
	stand_close(&stand);
}

/* A program that serves INTx as it should: waits for the eventfd, acknowledges, unmasks. Each descriptor must be heard of. */
static void no_interrupt_is_lost(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC), un = eventfd(0, EFD_CLOEXEC);
	u64 n, one = 1;
	pthread_t t;

	stand_open(&stand, 0);
	stand_bind_now(&stand);
	vcfg_write(&stand, PCI_CFG_COMMAND, PCI_CMD_MEM | PCI_CMD_MASTER, 2);
	reg(G_CTRL, 1, 4);
	*(struct desc *)(void *)stand.w.ram = (struct desc){ .op = DMA_OP_NOP, .flags = DMA_F_IRQ };
	atomic_store(&done, false);
	assert_int_equal(irqs(0, UI_VFIO_DATA_EVENTFD | UI_VFIO_ACTION_TRIGGER, 1, fd), 0);
	assert_int_equal(irqs(0, UI_VFIO_DATA_EVENTFD | UI_VFIO_ACTION_UNMASK, 1, un), 0);
	reg(chan_at(0, C_CTRL), 1, 4);
	assert_int_equal(pthread_create(&t, NULL, worker, NULL), 0);
	for (u64 i = 1; i <= ROUNDS; i++) {
		reg(chan_at(0, C_TAIL), i, 8);
		do { /* a signal of the one before may come first */
			assert_int_equal(read(fd, &n, 8), 8);
			reg(G_IRQ_STATUS, ~0u, 4);
			assert_int_equal(write(un, &one, 8), 8);
		} while (reg_read(&stand.w, chan_at(0, C_HEAD), 8) < i);
	}
	atomic_store(&done, true);
	pthread_join(t, NULL);
	stand_close(&stand);
	close(fd);
	close(un);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(threads), cmocka_unit_test(no_interrupt_is_lost) };

	return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
