/* SPDX-License-Identifier: MIT */
/* INTx: masked when it fires, unmasked by an eventfd that the process's own thread watches; a mapped doorbell is polled. */
#include "dma.h"

#include <poll.h>
#include <sys/eventfd.h>

enum { SET_IRQS = 0x3b6e, DATA_EVENTFD = 4, ACTION_UNMASK = 16, ACTION_TRIGGER = 32, FLAG_IRQ = 1 };

struct set_irqs {
	uint32_t argsz, flags, index, start, count;
	int32_t fd;
};

static struct dma dma;

static void set_irq(uint32_t action, int fd)
{
	struct set_irqs cmd = { .argsz = sizeof(cmd), .flags = DATA_EVENTFD | action, .count = 1, .fd = fd };

	CHECK(!ioctl(dma.device, SET_IRQS, &cmd));
}

static bool fired(int fd, int wait_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t count;

	return poll(&p, 1, wait_ms) == 1 && read(fd, &count, sizeof(count)) == sizeof(count);
}

static void nop_with_interrupt(void)
{
	CHECK(dma_run(&dma, (struct descriptor){ .flags = FLAG_IRQ }) == DONE);
}

int main(void)
{
	int trigger, unmask;
	uint64_t one = 1;
	volatile uint64_t *bell;

	dma_open(&dma);
	trigger = eventfd(0, EFD_NONBLOCK);
	unmask = eventfd(0, EFD_NONBLOCK);
	set_irq(ACTION_TRIGGER, trigger);
	set_irq(ACTION_UNMASK, unmask);
	for (int i = 0; i < 20; i++) {
		nop_with_interrupt();
		CHECK(fired(trigger, 10000) && !fired(trigger, 0));
		/* The line is still up: unmasking fires again at once. */
		CHECK(write(unmask, &one, sizeof(one)) == sizeof(one) && fired(trigger, 10000));
		dma_write32(&dma, 0x040, 1);
		CHECK(write(unmask, &one, sizeof(one)) == sizeof(one));
	}
	set_irq(ACTION_UNMASK, -1);
	/* A store to the mapped doorbell is enough, however long ago the last one was. */
	bell = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, dma.device, (off_t)dma.bar2);
	CHECK(bell != MAP_FAILED);
	dma_write32(&dma, 0x1010, 0);
	dma_write32(&dma, 0x1010, 3);
	for (uint64_t i = 1; i < 50; i++) {
		memset(&dma.ring[(i - 1) % 32], 0, sizeof(struct descriptor));
		__atomic_store_n(&bell[0], i, __ATOMIC_RELEASE);
		while (__atomic_load_n(&bell[1], __ATOMIC_ACQUIRE) != i)
			usleep(i % 10 ? 0 : 2000);
	}
	return 0;
}
