/* SPDX-License-Identifier: MIT */
/* SET_IRQS: devices-and-transports.md 1.7. */
#include "common.h"

#include <poll.h>

enum { NONE = 1, BOOL = 2, EVENTFD = 4, MASK = 8, UNMASK = 16, TRIGGER = 32 };

struct set {
	u32 argsz, flags, index, start, count;
	union {
		s32 fds[16];
		u8 bools[64];
	};
};

static long set_irqs(struct stand *s, u32 index, u32 flags, u32 start, u32 count, const s32 *fds)
{
	struct set a = { .argsz = sizeof(a), .flags = flags, .index = index, .start = start, .count = count };

	for (u32 i = 0; fds && i < count && i < 16; i++)
		a.fds[i] = fds[i];
	return call(s, UI_VFIO_SET_IRQS, &a);
}

static long set_fd(struct stand *s, u32 index, u32 action, u32 start, s32 fd)
{
	return set_irqs(s, index, EVENTFD | action, start, 1, &fd);
}

static long set_none(struct stand *s, u32 index, u32 action, u32 start, u32 count)
{
	return set_irqs(s, index, NONE | action, start, count, NULL);
}

static int efd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	assert_true(fd >= 0);
	return fd;
}

/* The count since the last look, 0 when none. */
static u64 taken(int fd)
{
	u64 n = 0;

	return read(fd, &n, 8) == 8 ? n : 0;
}

static void irq_raise(struct stand *s, unsigned chan)
{
	*(struct desc *)(void *)s->w.ram = (struct desc){ .op = DMA_OP_NOP, .flags = DMA_F_IRQ };
	chan_start(&s->w, chan, 0, 0, 0, 0);
	reg_write(&s->w, chan_at(chan, C_TAIL), 1, 8);
	run(&s->w, 10);
}

static int setup(void **state)
{
	struct stand *s;

	bound_setup(state);
	s = *state;
	vcfg_write(s, PCI_CFG_COMMAND, PCI_CMD_MEM | PCI_CMD_MASTER, 2);
	reg_write(&s->w, G_CTRL, 1, 4);
	return 0;
}

static unsigned open_fds(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* The header's checks, and that each stands before those after it. */
static void header_checks_in_order(void **state)
{
	struct stand *s = *state;
	static const u32 counts[6] = { 1, 8, 9, 1, 1, 0 };
	struct set a;

	catch_faults();
	assert_int_equal(call(s, UI_VFIO_SET_IRQS, NULL), -EFAULT);
	assert_int_equal(call(s, UI_VFIO_SET_IRQS, no_page()), -EFAULT);
	for (u32 argsz = 0; argsz < 20; argsz++) {
		a = (struct set){ .argsz = argsz, .flags = NONE | TRIGGER, .index = 3 };
		assert_int_equal(call(s, UI_VFIO_SET_IRQS, &a), -EINVAL);
	}
	for (unsigned bit = 6; bit < 32; bit++)
		assert_int_equal(set_none(s, 2, TRIGGER | 1u << bit, 0, 1), -EINVAL);
	for (u32 i = 0; i < 6; i++) {
		assert_int_equal(set_none(s, i, MASK | TRIGGER, counts[i], 0), -EINVAL);
		assert_int_equal(set_none(s, i, MASK | TRIGGER, 0, counts[i] + 1), -EINVAL);
		assert_int_equal(set_none(s, i, MASK | TRIGGER, 1, ~0u - 1), -EINVAL);
		assert_int_equal(set_none(s, i, MASK | TRIGGER, ~0u, ~0u), -EINVAL);
	}
	assert_int_equal(set_none(s, 5, TRIGGER, 0, 0), -EINVAL);
	assert_int_equal(set_none(s, ~0u, TRIGGER, 0, 0), -EINVAL);
	/* Exactly one type of data... */
	for (u32 type = 0; type < 8; type++) {
		if (type != NONE && type != BOOL && type != EVENTFD)
			assert_int_equal(set_irqs(s, 2, type | MASK, 0, 1, NULL), -EINVAL);
	}
	/* ... of which there is enough; only then exactly one action. */
	a = (struct set){ .argsz = 20 + 3, .flags = EVENTFD | MASK, .index = 2, .count = 1 };
	assert_int_equal(call(s, UI_VFIO_SET_IRQS, &a), -EINVAL);
	a.argsz = 20 + 4;
	assert_int_equal(call(s, UI_VFIO_SET_IRQS, &a), -ENOTTY);
	a = (struct set){ .argsz = 20, .flags = BOOL | MASK, .index = 2, .count = 1 };
	assert_int_equal(call(s, UI_VFIO_SET_IRQS, &a), -EINVAL);
	for (u32 index = 0; index < 5; index++) {
		for (u32 actions = 0; actions < 64; actions += 8) {
			if (actions != MASK && actions != UNMASK && actions != TRIGGER)
				assert_int_equal(set_none(s, index, actions, 0, 1), -ENOTTY);
			else if (index && actions != TRIGGER)
				assert_int_equal(set_none(s, index, actions, 0, 1), -ENOTTY);
		}
	}
}

static void data_that_cannot_be_read_is_efault(void **state)
{
	struct stand *s = *state;
	u8 *two = pages_new(2 * PAGE);
	struct set *a = (void *)(two + PAGE - 20);

	catch_faults();
	assert_int_equal(munmap(two + PAGE, PAGE), 0);
	*(u32 *)(void *)a = 24;
	a->flags = EVENTFD | TRIGGER;
	a->index = 2;
	a->start = 0;
	a->count = 1;
	assert_int_equal(call(s, UI_VFIO_SET_IRQS, a), -EFAULT);
	a->flags = NONE | TRIGGER; /* no data, no look */
	a->count = 0;
	assert_int_equal(call(s, UI_VFIO_SET_IRQS, a), -EINVAL);
	munmap(two, PAGE);
}

static void descriptors_must_be_eventfds(void **state)
{
	static const u32 indexes[] = { 0, 1, 2, 3, 4 };
	struct stand *s = *state;
	int file = open("/dev/null", O_RDWR | O_CLOEXEC), closed = efd();
	unsigned before;

	close(closed);
	before = open_fds();
	for (unsigned i = 0; i < ui_array_size(indexes); i++) {
		assert_int_equal(set_fd(s, indexes[i], TRIGGER, 0, file), -EINVAL);
		assert_int_equal(set_fd(s, indexes[i], TRIGGER, 0, closed), -EBADF);
		assert_int_equal(set_fd(s, indexes[i], TRIGGER, 0, 1 << 30), -EBADF);
	}
	/* Nothing stayed enabled. */
	assert_int_equal(set_fd(s, 0, TRIGGER, 0, -1), 0);
	assert_int_equal(open_fds(), before);
	close(file);
}

/* The program may close its descriptor; close gives ours back. */
static void eventfds_are_our_own(void **state)
{
	struct stand *s = *state;
	int fd = efd(), copy = dup(fd);
	unsigned before = open_fds();

	assert_int_equal(set_fd(s, 2, TRIGGER, 3, fd), 0);
	close(fd);
	irq_raise(s, 3);
	assert_int_equal(taken(copy), 1);
	assert_int_equal(open_fds(), before);
	ui_vfio_close(s->v);
	assert_int_equal(open_fds(), before - 1);
	s->v = ui_vfio_open(s->w.pci, NULL, stand_binder, s);
	close(copy);
}

static void signalling_a_full_counter_does_not_wait(void **state)
{
	struct stand *s = *state;
	int fd = eventfd(0, EFD_CLOEXEC); /* blocking */
	u64 full = ~(u64)0 - 1, n;

	assert_int_equal(write(fd, &full, 8), 8);
	assert_int_equal(set_fd(s, 2, TRIGGER, 0, fd), 0);
	irq_raise(s, 0);
	assert_int_equal(set_none(s, 2, TRIGGER, 0, 1), 0);
	assert_int_equal(read(fd, &n, 8), 8);
	assert_int_equal(n, full);
	close(fd);
}

/* ---- INTx ---- */

static void intx_needs_to_be_enabled(void **state)
{
	struct stand *s = *state;
	int fd = efd();

	assert_int_equal(set_none(s, 0, TRIGGER, 0, 0), -EINVAL);
	assert_int_equal(set_none(s, 0, TRIGGER, 0, 1), -EINVAL);
	assert_int_equal(set_none(s, 0, MASK, 0, 1), -EINVAL);
	assert_int_equal(set_none(s, 0, UNMASK, 0, 1), -EINVAL);
	assert_int_equal(set_fd(s, 0, UNMASK, 0, fd), -EINVAL);
	assert_int_equal(set_fd(s, 0, TRIGGER, 0, fd), 0);
	assert_int_equal(set_none(s, 0, MASK, 0, 0), -EINVAL); /* count must be 1 */
	assert_int_equal(set_irqs(s, 0, EVENTFD | TRIGGER, 0, 0, NULL), -EINVAL);
	assert_int_equal(set_fd(s, 0, MASK, 0, fd), -ENOTTY);
	/* Only one kind at a time. */
	assert_int_equal(set_fd(s, 1, TRIGGER, 0, fd), -EINVAL);
	assert_int_equal(set_fd(s, 2, TRIGGER, 0, fd), -EINVAL);
	assert_int_equal(set_none(s, 2, TRIGGER, 0, 0), -EINVAL);
	assert_int_equal(set_none(s, 0, TRIGGER, 0, 0), 0);
	assert_int_equal(set_fd(s, 2, TRIGGER, 0, fd), 0);
	assert_int_equal(set_fd(s, 0, TRIGGER, 0, fd), -EINVAL);
	close(fd);
}

/* The automask machine: asserted -> masked and one signal; unmask with the line up -> a signal again; unmask with the line
 * down -> ready for the next. */
static void intx_automask(void **state)
{
	struct stand *s = *state;
	int fd = efd();

	assert_int_equal(set_fd(s, 0, TRIGGER, 0, fd), 0);
	irq_raise(s, 0);
	assert_int_equal(taken(fd), 1);
	irq_raise(s, 1); /* already masked */
	assert_int_equal(taken(fd), 0);
	assert_int_equal(set_none(s, 0, UNMASK, 0, 1), 0); /* still asserted */
	assert_int_equal(taken(fd), 1);
	assert_int_equal(set_none(s, 0, UNMASK, 0, 1), 0);
	assert_int_equal(taken(fd), 1);
	reg_write(&s->w, G_IRQ_STATUS, ~0u, 4);
	irq_raise(s, 0); /* down and up while masked */
	assert_int_equal(taken(fd), 0);
	reg_write(&s->w, G_IRQ_STATUS, ~0u, 4);
	assert_int_equal(set_none(s, 0, UNMASK, 0, 1), 0); /* down: no signal, and unmasked */
	assert_int_equal(taken(fd), 0);
	irq_raise(s, 0);
	assert_int_equal(taken(fd), 1);
	close(fd);
}

static void intx_mask_by_program(void **state)
{
	struct stand *s = *state;
	struct set a = { .argsz = sizeof(a), .index = 0, .count = 1 };
	int fd = efd();

	assert_int_equal(set_fd(s, 0, TRIGGER, 0, fd), 0);
	a.flags = BOOL | MASK;
	assert_int_equal(call(s, UI_VFIO_SET_IRQS, &a), 0); /* false: not masked */
	irq_raise(s, 0);
	assert_int_equal(taken(fd), 1);
	reg_write(&s->w, G_IRQ_STATUS, ~0u, 4);
	set_none(s, 0, UNMASK, 0, 1);
	a.bools[0] = 1;
	assert_int_equal(call(s, UI_VFIO_SET_IRQS, &a), 0);
	irq_raise(s, 0);
	assert_int_equal(taken(fd), 0);
	a.flags = BOOL | UNMASK;
	a.bools[0] = 0;
	assert_int_equal(call(s, UI_VFIO_SET_IRQS, &a), 0);
	assert_int_equal(taken(fd), 0);
	a.bools[0] = 2;
	assert_int_equal(call(s, UI_VFIO_SET_IRQS, &a), 0);
	assert_int_equal(taken(fd), 1);
	close(fd);
}

static void intx_asserted_before_it_is_enabled(void **state)
{
	struct stand *s = *state;
	int fd = efd();

	irq_raise(s, 0);
	assert_int_equal(set_fd(s, 0, TRIGGER, 0, fd), 0);
	assert_int_equal(taken(fd), 1);
	close(fd);
}

static void intx_swaps_and_drops_its_eventfd(void **state)
{
	struct stand *s = *state;
	int a = efd(), b = efd();

	assert_int_equal(set_fd(s, 0, TRIGGER, 0, -1), 0); /* enabled without one */
	assert_int_equal(set_none(s, 0, TRIGGER, 0, 1), 0);
	assert_int_equal(set_fd(s, 0, TRIGGER, 0, a), 0);
	assert_int_equal(set_none(s, 0, TRIGGER, 0, 1), 0); /* loopback */
	assert_int_equal(taken(a), 1);
	assert_int_equal(set_fd(s, 0, TRIGGER, 0, b), 0);
	irq_raise(s, 0);
	assert_int_equal(set_none(s, 0, TRIGGER, 0, 1), 0); /* loopback does not care for the mask */
	assert_int_equal(taken(a), 0);
	assert_int_equal(taken(b), 2);
	assert_int_equal(set_none(s, 0, TRIGGER, 0, 0), 0); /* disable */
	assert_int_equal(set_none(s, 0, TRIGGER, 0, 1), -EINVAL);
	close(a);
	close(b);
}

/* 1.7: DisINTx behaves as a mask, and toggling it unmasks. */
static void intx_disable_bit_masks(void **state)
{
	struct stand *s = *state;
	const u32 cmd = PCI_CMD_MEM | PCI_CMD_MASTER;
	int fd = efd();

	assert_int_equal(set_fd(s, 0, TRIGGER, 0, fd), 0);
	vcfg_write(s, PCI_CFG_COMMAND, cmd | PCI_CMD_INTX_DISABLE, 2);
	assert_int_equal(vcfg_read(s, PCI_CFG_COMMAND, 2), cmd | PCI_CMD_INTX_DISABLE);
	irq_raise(s, 0);
	assert_int_equal(taken(fd), 0);
	assert_int_equal(set_none(s, 0, UNMASK, 0, 1), 0);
	assert_int_equal(set_none(s, 0, TRIGGER, 0, 1), 0); /* held back too */
	assert_int_equal(taken(fd), 0);
	vcfg_write(s, PCI_CFG_COMMAND + 1, 0, 1); /* the byte alone */
	assert_int_equal(taken(fd), 1);
	vcfg_write(s, PCI_CFG_COMMAND, cmd | PCI_CMD_INTX_DISABLE, 2);
	assert_int_equal(set_none(s, 0, TRIGGER, 0, 0), 0);
	assert_int_equal(set_fd(s, 0, TRIGGER, 0, fd), 0); /* enabled masked */
	assert_int_equal(taken(fd), 0);
	vcfg_write(s, PCI_CFG_COMMAND, cmd, 2);
	assert_int_equal(taken(fd), 1);
	close(fd);
}

static void count_change(void *arg)
{
	++*(unsigned *)arg;
}

static void intx_unmask_eventfd(void **state)
{
	struct stand *s = *state;
	int fd = efd(), un = efd();
	unsigned changes = 0;
	struct pollfd p;
	u64 one = 1;

	ui_vfio_set_unmask_watch(s->v, count_change, &changes);
	assert_int_equal(ui_vfio_unmask_fd(s->v), -1);
	ui_vfio_unmask_fired(s->v);
	assert_int_equal(set_fd(s, 0, TRIGGER, 0, fd), 0);
	assert_int_equal(set_fd(s, 0, UNMASK, 0, un), 0);
	assert_int_equal(changes, 1);
	assert_int_equal(set_fd(s, 0, UNMASK, 0, un), -EBUSY);
	irq_raise(s, 0);
	assert_int_equal(taken(fd), 1);
	ui_vfio_unmask_fired(s->v); /* nobody signalled it */
	assert_int_equal(taken(fd), 0);
	assert_int_equal(write(un, &one, 8), 8);
	p = (struct pollfd){ .fd = ui_vfio_unmask_fd(s->v), .events = POLLIN };
	assert_int_equal(poll(&p, 1, 0), 1);
	ui_vfio_unmask_fired(s->v);
	assert_int_equal(taken(un), 0); /* the count was taken */
	assert_int_equal(taken(fd), 1);
	reg_write(&s->w, G_IRQ_STATUS, ~0u, 4);
	assert_int_equal(set_fd(s, 0, UNMASK, 0, -1), 0);
	assert_int_equal(ui_vfio_unmask_fd(s->v), -1);
	assert_int_equal(changes, 2);
	/* Signalled before it is armed: fires at once. */
	irq_raise(s, 0);
	assert_int_equal(write(un, &one, 8), 8);
	assert_int_equal(set_fd(s, 0, UNMASK, 0, un), 0);
	assert_int_equal(taken(fd), 1);
	assert_int_equal(set_none(s, 0, TRIGGER, 0, 0), 0);
	assert_int_equal(ui_vfio_unmask_fd(s->v), -1);
	assert_int_equal(changes, 4);
	close(fd);
	close(un);
}

/* ---- MSI and MSI-X ---- */

static void messages_reach_their_eventfds(void **state)
{
	struct stand *s = *state;
	s32 fds[9];

	for (int i = 0; i < 9; i++)
		fds[i] = efd();
	for (u32 index = 1; index <= 2; index++) {
		u32 n = index == 1 ? 8 : 9;

		assert_int_equal(set_irqs(s, index, EVENTFD | TRIGGER, 0, n, fds), 0);
		for (unsigned c = 0; c < 8; c++)
			irq_raise(s, c);
		for (unsigned i = 0; i < 9; i++)
			assert_int_equal(taken(fds[i]), i < 8);
		/* Loopback, one, some by BOOL. */
		assert_int_equal(set_none(s, index, TRIGGER, 2, 3), 0);
		for (unsigned i = 0; i < 9; i++)
			assert_int_equal(taken(fds[i]), i >= 2 && i < 5);
		{
			struct set a = { .argsz = 20 + 4, .flags = BOOL | TRIGGER, .index = index, .start = 1, .count = 4,
					 .bools = { 0, 1, 0, 7 } };

			assert_int_equal(call(s, UI_VFIO_SET_IRQS, &a), 0);
		}
		for (unsigned i = 0; i < 9; i++)
			assert_int_equal(taken(fds[i]), i == 2 || i == 4);
		assert_int_equal(set_none(s, index, TRIGGER, 0, 0), 0);
		irq_raise(s, 0);
		assert_int_equal(taken(fds[0]), 0);
		assert_int_equal(set_none(s, index, TRIGGER, 0, 0), -EINVAL); /* not enabled any more */
		assert_int_equal(set_none(s, index, TRIGGER, 0, 1), -EINVAL);
	}
	for (int i = 0; i < 9; i++)
		close(fds[i]);
}

static void faults_go_to_vector_8(void **state)
{
	struct stand *s = *state;
	int fd = efd();

	assert_int_equal(set_fd(s, 2, TRIGGER, 8, fd), 0);
	chan_start(&s->w, 0, 900 * PAGE, 0, 0, 0);
	reg_write(&s->w, chan_at(0, C_TAIL), 1, 8);
	run(&s->w, 10);
	assert_int_equal(taken(fd), 1);
	close(fd);
}

/* 1.7, last lines: QEMU enables with {-1} and adds vectors one by one. */
static void msix_grows_while_enabled(void **state)
{
	struct stand *s = *state;
	int a = efd(), b = efd();

	assert_int_equal(set_fd(s, 2, TRIGGER, 0, -1), 0);
	irq_raise(s, 5);
	assert_int_equal(set_fd(s, 2, TRIGGER, 5, a), 0); /* what was pending arrives */
	assert_int_equal(taken(a), 1);
	irq_raise(s, 5);
	assert_int_equal(taken(a), 1);
	assert_int_equal(set_fd(s, 2, TRIGGER, 5, b), 0);
	irq_raise(s, 5);
	assert_int_equal(taken(a), 0);
	assert_int_equal(taken(b), 1);
	assert_int_equal(set_fd(s, 2, TRIGGER, 5, -1), 0);
	irq_raise(s, 5);
	assert_int_equal(taken(b), 0);
	assert_int_equal(set_none(s, 2, TRIGGER, 0, 9), 0); /* nobody there: skipped */
	close(a);
	close(b);
}

static void msi_does_not_grow(void **state)
{
	struct stand *s = *state;
	s32 fds[3] = { efd(), efd(), efd() };

	assert_int_equal(set_irqs(s, 1, EVENTFD | TRIGGER, 0, 3, fds), 0);
	assert_int_equal(set_fd(s, 1, TRIGGER, 3, fds[0]), -EINVAL);
	assert_int_equal(set_fd(s, 1, TRIGGER, 3, -1), 0);
	irq_raise(s, 2);
	assert_int_equal(taken(fds[2]), 1);
	irq_raise(s, 7); /* message 7 was not allocated: it shares the first */
	assert_int_equal(taken(fds[0]), 1);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
}

static void a_bad_block_undoes_itself(void **state)
{
	struct stand *s = *state;
	int good = efd(), other = efd(), file = open("/dev/null", O_RDWR | O_CLOEXEC);
	s32 fds[3] = { good, file, good };

	/* Not enabled: all undone, the kind is free again. */
	assert_int_equal(set_irqs(s, 2, EVENTFD | TRIGGER, 0, 3, fds), -EINVAL);
	assert_int_equal(set_none(s, 2, TRIGGER, 0, 0), -EINVAL);
	assert_int_equal(set_fd(s, 1, TRIGGER, 0, good), 0);
	assert_int_equal(set_none(s, 1, TRIGGER, 0, 0), 0);
	/* Enabled: those of the block up to the bad one are gone, others stay. */
	assert_int_equal(set_fd(s, 2, TRIGGER, 0, other), 0);
	assert_int_equal(set_fd(s, 2, TRIGGER, 1, other), 0);
	assert_int_equal(set_irqs(s, 2, EVENTFD | TRIGGER, 1, 3, fds), -EINVAL);
	irq_raise(s, 1);
	irq_raise(s, 2);
	assert_int_equal(taken(good) + taken(other), 0);
	irq_raise(s, 0);
	assert_int_equal(taken(other), 1);
	close(good);
	close(other);
	close(file);
}

static void enabling_no_vector_is_erange(void **state)
{
	struct stand *s = *state;

	assert_int_equal(set_irqs(s, 2, EVENTFD | TRIGGER, 0, 0, NULL), -ERANGE);
	assert_int_equal(set_irqs(s, 2, EVENTFD | TRIGGER, 4, 0, NULL), 0); /* start + count vectors */
	assert_int_equal(set_irqs(s, 2, EVENTFD | TRIGGER, 0, 0, NULL), 0); /* enabled: nothing to set */
	assert_int_equal(set_none(s, 2, TRIGGER, 0, 0), 0);
}

static void msi_enable_bit_in_config(void **state)
{
	struct stand *s = *state;
	const u32 msi = 0x48 + PCI_MSI_CTRL;
	s32 fds[2] = { efd(), efd() };

	vcfg_write(s, msi, PCI_MSI_ENABLE | 3 << PCI_MSI_MME_SHIFT, 1);
	assert_int_equal(vcfg_read(s, msi, 2), PCI_MSI_64 | 3 << PCI_MSI_MMC_SHIFT); /* neither sticks */
	assert_int_equal(set_irqs(s, 1, EVENTFD | TRIGGER, 0, 2, fds), 0);
	vcfg_write(s, msi, PCI_MSI_ENABLE | 3 << PCI_MSI_MME_SHIFT, 1);
	assert_int_equal(vcfg_read(s, msi, 1), PCI_MSI_64 | PCI_MSI_ENABLE | 3 << PCI_MSI_MMC_SHIFT | 1 << PCI_MSI_MME_SHIFT);
	irq_raise(s, 1);
	assert_int_equal(taken(fds[1]), 1);
	vcfg_write(s, msi, 1 << PCI_MSI_MME_SHIFT, 1); /* the guest switches it off */
	irq_raise(s, 1);
	assert_int_equal(taken(fds[1]), 0);
	vcfg_write(s, msi, PCI_MSI_ENABLE | 1 << PCI_MSI_MME_SHIFT, 1);
	irq_raise(s, 1);
	assert_int_equal(taken(fds[1]), 1);
	close(fds[0]);
	close(fds[1]);
}

static void reset_keeps_eventfds(void **state)
{
	struct stand *s = *state;
	int fd = efd();

	assert_int_equal(set_fd(s, 2, TRIGGER, 4, fd), 0);
	assert_int_equal(call(s, UI_VFIO_RESET, 0), 0);
	reg_write(&s->w, G_CTRL, 1, 4);
	irq_raise(s, 4);
	assert_int_equal(taken(fd), 1);
	close(fd);
}

/* ---- ERR, REQ ---- */

static void err_and_req(void **state)
{
	struct stand *s = *state;
	int fd = efd();

	for (u32 index = 3; index < 5; index++) {
		struct set a = { .argsz = 21, .flags = BOOL | TRIGGER, .index = index, .count = 1, .bools = { 1 } };

		assert_int_equal(set_none(s, index, TRIGGER, 0, 1), -EINVAL); /* none set */
		assert_int_equal(set_none(s, index, TRIGGER, 0, 0), -EINVAL);
		assert_int_equal(call(s, UI_VFIO_SET_IRQS, &a), 0);
		assert_int_equal(set_irqs(s, index, EVENTFD | TRIGGER, 0, 0, NULL), -EINVAL);
		assert_int_equal(set_fd(s, index, TRIGGER, 0, -2), -EINVAL);
		assert_int_equal(set_fd(s, index, TRIGGER, 0, -1), 0);
		assert_int_equal(set_fd(s, index, TRIGGER, 0, fd), 0);
		assert_int_equal(set_none(s, index, TRIGGER, 0, 1), 0);
		assert_int_equal(taken(fd), 1);
		assert_int_equal(call(s, UI_VFIO_SET_IRQS, &a), 0);
		assert_int_equal(taken(fd), 1);
		assert_int_equal(set_none(s, index, TRIGGER, 0, 0), 0); /* clears */
		assert_int_equal(set_none(s, index, TRIGGER, 0, 0), -EINVAL);
		assert_int_equal(set_fd(s, index, TRIGGER, 0, fd), 0);
		assert_int_equal(set_fd(s, index, TRIGGER, 0, -1), 0);
		assert_int_equal(set_none(s, index, TRIGGER, 0, 1), -EINVAL);
	}
	close(fd);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, bound_teardown)
	const struct CMUnitTest tests[] = {
		T(header_checks_in_order),
		T(data_that_cannot_be_read_is_efault),
		T(descriptors_must_be_eventfds),
		T(eventfds_are_our_own),
		T(signalling_a_full_counter_does_not_wait),
		T(intx_needs_to_be_enabled),
		T(intx_automask),
		T(intx_mask_by_program),
		T(intx_asserted_before_it_is_enabled),
		T(intx_swaps_and_drops_its_eventfd),
		T(intx_disable_bit_masks),
		T(intx_unmask_eventfd),
		T(messages_reach_their_eventfds),
		T(faults_go_to_vector_8),
		T(msix_grows_while_enabled),
		T(msi_does_not_grow),
		T(a_bad_block_undoes_itself),
		T(enabling_no_vector_is_erange),
		T(msi_enable_bit_in_config),
		T(reset_keeps_eventfds),
		T(err_and_req),
	};

	return cmocka_run_group_tests_name("irq", tests, NULL, NULL);
}
