/* SPDX-License-Identifier: MIT */
/*
 * Runs inside a stock guest to which a VMM has given the dma device, and says in TAP whether the device works there:
 * without a guest IOMMU through sysfs and uio_pci_generic, with one through vfio-pci. With an address: see stray.c.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "guest.h"

enum { SHORT_MS = 100, LONG_MS = 5000, GUARD = 0xa5, CHANNELS = 8, VECTORS = 9 };

static unsigned passed, failed;

__attribute__((format(printf, 2, 3))) static bool check(bool ok, const char *format, ...)
{
	va_list arguments;

	*(ok ? &passed : &failed) += 1;
	printf("%sok %u - ", ok ? "" : "not ", passed + failed);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	return ok;
}

static uint8_t *page(struct dma *dma, unsigned number)
{
	return dma->pci->arena + number * PAGE;
}

/* Which pages of the arena are for what. */
enum { PAGE_RING, PAGE_RING2, PAGE_READ_ONLY, PAGE_SOURCE = 8, PAGE_DESTINATION = 24, DATA_PAGES = 16 };

static void scribble(uint8_t *bytes, size_t count, unsigned seed)
{
	for (size_t i = 0; i < count; i++)
		bytes[i] = (uint8_t)((i * 2654435761u >> 16) + seed);
}

static bool all_are(const uint8_t *bytes, size_t count, uint8_t value)
{
	for (size_t i = 0; i < count; i++)
		if (bytes[i] != value)
			return false;
	return true;
}

/* --- configuration space */

static void check_identity(struct pci *pci)
{
	uint32_t id = pci_config_read(pci, PCI_VENDOR_ID, 4), class = pci_config_read(pci, PCI_CLASS_REVISION, 4);

	check(id == 0x00016975 && class == 0x08800001, "identity %08x, class and revision %08x", id, class);
	check(pci_config_read(pci, PCI_INTERRUPT_PIN, 1) == 1, "interrupt pin A");
}

static void check_capabilities(struct pci *pci)
{
	unsigned at[PCI_CAP_ID_MAX + 1] = { 0 }, position = pci_config_read(pci, PCI_CAPABILITY_LIST, 1), steps = 0;

	for (; position && steps < 48; steps++) {
		unsigned id = pci_config_read(pci, position, 1);

		if (id <= PCI_CAP_ID_MAX)
			at[id] = position;
		position = pci_config_read(pci, position + 1, 1);
	}
	check(!position && at[PCI_CAP_ID_PM] && at[PCI_CAP_ID_MSI] && at[PCI_CAP_ID_EXP] && at[PCI_CAP_ID_MSIX],
	      "capabilities: PM %02x, MSI %02x, PCIe %02x, MSI-X %02x", at[PCI_CAP_ID_PM], at[PCI_CAP_ID_MSI],
	      at[PCI_CAP_ID_EXP], at[PCI_CAP_ID_MSIX]);
	if (at[PCI_CAP_ID_MSIX])
		check((pci_config_read(pci, at[PCI_CAP_ID_MSIX] + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_QSIZE) + 1 == VECTORS,
		      "MSI-X has %d vectors", VECTORS);
	if (at[PCI_CAP_ID_MSI]) {
		unsigned flags = pci_config_read(pci, at[PCI_CAP_ID_MSI] + PCI_MSI_FLAGS, 2);

		check((flags & PCI_MSI_FLAGS_64BIT) && (flags & PCI_MSI_FLAGS_QMASK) >> 1 == 3, "MSI is 64-bit with 8 messages");
	}
}

/* --- registers */

static bool map_bars(struct dma *dma)
{
	uint32_t command = pci_config_read(dma->pci, PCI_COMMAND, 2);

	pci_config_write(dma->pci, PCI_COMMAND, 2, (command | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER) & 0xffff);
	dma->registers = pci_map_bar(dma->pci, 0, 4 * PAGE);
	dma->doorbells = pci_map_bar(dma->pci, 2, CHANNELS * DOORBELL_BYTES);
	return check(dma->registers && dma->doorbells, "BARs 0 and 2 can be mapped");
}

static void check_registers(struct dma *dma)
{
	uint64_t cap = read64(dma, REG_CAP);

	check(read32(dma, REG_ID) == 0x31616d64, "ID is %08x", read32(dma, REG_ID));
	check(read32(dma, REG_VERSION) == 1, "VERSION is %u", read32(dma, REG_VERSION));
	check((cap & 0xff) == CHANNELS && (cap >> 8 & 0xff) == 16 && (cap >> 24 & 0xffff) == 0xf && cap >> 40 == 0,
	      "CAP is %016llx", (unsigned long long)cap);
	check(read32(dma, REG_CAP) == (uint32_t)cap && read32(dma, REG_CAP + 4) == cap >> 32, "CAP can be read in halves");
	dma_reset(dma);
	write64(dma, CHANNEL0 + CH_RING_BASE, 0x123456789abcdec0);
	check(read64(dma, CHANNEL0 + CH_RING_BASE) == 0x123456789abcdec0, "a 64-bit register keeps what is written");
	dma_reset(dma);
	check(read64(dma, CHANNEL0 + CH_RING_BASE) == 0, "a reset clears it");
}

/* --- DMA that works */

static void check_fill(struct dma *dma, struct channel *channel)
{
	uint8_t *to = page(dma, PAGE_DESTINATION);
	const uint64_t pattern = 0x0123456789abcdef;
	struct completion done;

	memset(to, GUARD, PAGE);
	done = channel_run(channel, (struct descriptor){ .opcode = OP_FILL, .length = 1000, .source = pattern,
							  .destination = pci_iova(dma->pci, to + 8) });
	check(done.status == DONE && done.bytes == 1000 && done.cookie == 0, "a fill completes: status %u, %llu bytes",
	      done.status, (unsigned long long)done.bytes);
	check(!memcmp(to + 8, &pattern, 8) && !memcmp(to + 8, to + 16, 992), "it wrote its pattern");
	check(all_are(to, 8, GUARD) && all_are(to + 1008, PAGE - 1008, GUARD), "and nothing beside it");
}

/* Every page by a descriptor of its own: they may lie anywhere in the guest. More of them than the ring has places. */
static void check_copy(struct dma *dma, struct channel *channel)
{
	uint8_t *from = page(dma, PAGE_SOURCE), *to = page(dma, PAGE_DESTINATION);
	unsigned done = 0;

	scribble(from, DATA_PAGES * PAGE, 1);
	memset(to, 0, DATA_PAGES * PAGE);
	for (unsigned i = 0; i < DATA_PAGES; i += RING / 2) {
		uint64_t first = channel->tail;

		for (unsigned j = i; j < i + RING / 2; j++)
			channel_submit(channel, (struct descriptor){ .opcode = OP_COPY, .length = PAGE,
								     .source = pci_iova(dma->pci, from + j * PAGE),
								     .destination = pci_iova(dma->pci, to + j * PAGE) });
		channel_ring(channel);
		for (uint64_t number = first; number < channel->tail; number++)
			done += channel_wait(channel, number).status == DONE;
	}
	check(done == DATA_PAGES, "%u of %d copies complete", done, DATA_PAGES);
	check(!memcmp(from, to, DATA_PAGES * PAGE), "they copied every byte");
}

static void check_odd_copy(struct dma *dma, struct channel *channel)
{
	uint8_t *from = page(dma, PAGE_SOURCE), *to = page(dma, PAGE_DESTINATION);
	struct completion done;

	memset(to, GUARD, PAGE);
	done = channel_run(channel, (struct descriptor){ .opcode = OP_COPY, .length = 1021,
							  .source = pci_iova(dma->pci, from + 3),
							  .destination = pci_iova(dma->pci, to + 517) });
	check(done.status == DONE && !memcmp(from + 3, to + 517, 1021) && all_are(to, 517, GUARD) &&
	      all_are(to + 1538, PAGE - 1538, GUARD), "an odd copy moves just its bytes");
}

static void check_compare(struct dma *dma, struct channel *channel)
{
	uint8_t *left = page(dma, PAGE_SOURCE), *right = page(dma, PAGE_DESTINATION);
	struct descriptor compare = { .opcode = OP_COMPARE, .length = PAGE, .source = pci_iova(dma->pci, left),
				      .destination = pci_iova(dma->pci, right) };
	struct completion done;

	memcpy(right, left, PAGE);
	check(channel_run(channel, compare).status == DONE, "equal pages compare equal");
	right[777] ^= 1;
	done = channel_run(channel, compare);
	check(done.status == DIFFERENT && done.bytes == 777 && done.iova == compare.destination + 777,
	      "a difference is found where it is: status %u at %llu", done.status, (unsigned long long)done.bytes);
}

static void check_doorbell(struct dma *dma)
{
	struct channel channel;
	struct completion done;
	volatile uint64_t *head;

	channel_start(&channel, dma, 5, true, page(dma, PAGE_RING2));
	done = channel_run(&channel, (struct descriptor){ .opcode = OP_NOP });
	head = (volatile uint64_t *)(dma->doorbells + 5 * DOORBELL_BYTES + DOORBELL_HEAD);
	for (int i = 0; i < SHORT_MS && !*head; i++)
		usleep(1000);
	check(done.status == DONE && *head == 1, "a store to the doorbell page submits, and the head comes back there");
}

static void check_bus_master(struct dma *dma, struct channel *channel)
{
	uint32_t command = pci_config_read(dma->pci, PCI_COMMAND, 2);
	uint64_t number = channel_submit(channel, (struct descriptor){ .opcode = OP_NOP });

	pci_config_write(dma->pci, PCI_COMMAND, 2, command & ~(uint32_t)PCI_COMMAND_MASTER);
	channel_ring(channel);
	usleep(SHORT_MS * 1000);
	check(!channel->completions[number % RING].status, "nothing is fetched while bus mastering is off");
	pci_config_write(dma->pci, PCI_COMMAND, 2, command);
	channel_ring(channel);
	check(channel_wait(channel, number).status == DONE, "and all goes on when it is on again");
}

/* --- DMA that is refused */

/* Whether the kernel was told that no table stands before the device: then memory that is not there, or not for writing, says so itself. */
static bool without_tables(void)
{
	char line[4096] = "";
	FILE *file = fopen("/proc/cmdline", "r");

	if (!file)
		return false;
	if (!fgets(line, sizeof(line), file))
		line[0] = 0;
	fclose(file);
	return strstr(line, " without-tables");
}

/* Whether the completion and the fault registers both tell of an access to iova; clears the registers. */
static bool fault_is(struct dma *dma, struct completion done, uint64_t iova, bool write, unsigned reason)
{
	uint32_t info = read32(dma, REG_FAULT_INFO), status = read32(dma, REG_FAULT_STATUS);
	uint64_t address = read64(dma, REG_FAULT_ADDR);
	bool right;

	if (without_tables())
		reason = REASON_ABORT;
	right = done.status == FAULT && done.iova == iova && (done.what & 1) == write && (status & 1) &&
		address == iova && (info & 0xff) == done.reason && (info >> 8 & 1) == write &&
		(done.reason == reason || (reason == REASON_TRANSLATION && done.reason == REASON_ADDR_SIZE));

	if (!right)
		printf("# completion: status %u, reason %u, what %02x, iova %llx; registers: status %x, info %x, address %llx\n",
		       done.status, done.reason, done.what, (unsigned long long)done.iova, status, info,
		       (unsigned long long)address);
	write32(dma, REG_FAULT_STATUS, 3);
	return right;
}

static bool is_refused(struct dma *dma, struct channel *channel, uint64_t from, uint64_t to, bool write,
		       unsigned reason)
{
	struct completion done = channel_run(channel, (struct descriptor){ .opcode = OP_COPY, .length = 64, .source = from,
									    .destination = to });

	return fault_is(dma, done, write ? to : from, write, reason);
}

static void check_nowhere(struct dma *dma, struct channel *channel)
{
	uint8_t *here = page(dma, PAGE_DESTINATION);
	uint64_t iova = pci_iova(dma->pci, here);

	memset(here, GUARD, PAGE);
	write32(dma, REG_FAULT_STATUS, 3);
	check(is_refused(dma, channel, iova, IOVA_NOWHERE, true, REASON_TRANSLATION), "a write to nowhere is refused");
	check(is_refused(dma, channel, IOVA_NOWHERE, iova, false, REASON_TRANSLATION), "a read from nowhere is refused");
	check(all_are(here, PAGE, GUARD), "and delivers nothing");
	check(!(read32(dma, REG_FAULT_STATUS) & 1), "the fault record can be cleared");
	check(channel_run(channel, (struct descriptor){ .opcode = OP_NOP }).status == DONE, "the channel goes on after it");
}

/* The last 16 bytes below 4 GiB are the firmware's reset vector, in read-only memory. */
static void check_rom(struct dma *dma, struct channel *channel)
{
	const uint64_t vector = 0xfffffff0;
	uint8_t *here = page(dma, PAGE_DESTINATION);
	uint64_t iova = pci_iova(dma->pci, here);
	struct descriptor out = { .opcode = OP_COPY, .length = 16, .source = vector, .destination = iova };
	struct completion done;

	memset(here, 0, PAGE);
	check(channel_run(channel, out).status == DONE && here[0] == 0xea && here[7] == '/', "the firmware can be read");
	done = channel_run(channel, (struct descriptor){ .opcode = OP_FILL, .length = 16, .destination = vector });
	check(fault_is(dma, done, vector, true, REASON_PERMISSION), "and not be written");
	here[0] = 0;
	check(channel_run(channel, out).status == DONE && here[0] == 0xea, "nor did it change");
}

/* --- mappings of the guest's own, under its IOMMU */

static void check_contiguous(struct dma *dma, struct channel *channel)
{
	uint8_t *from = page(dma, PAGE_SOURCE), *to = page(dma, PAGE_DESTINATION);
	uint64_t end = IOVA_ARENA + ARENA_PAGES * PAGE;
	struct descriptor copy = { .opcode = OP_COPY, .length = DATA_PAGES * PAGE, .source = pci_iova(dma->pci, from),
				   .destination = pci_iova(dma->pci, to) };
	struct completion done;

	scribble(from, DATA_PAGES * PAGE, 2);
	done = channel_run(channel, copy);
	check(done.status == DONE && !memcmp(from, to, DATA_PAGES * PAGE), "one copy spans %d scattered pages", DATA_PAGES);
	copy.destination = end - PAGE;
	copy.length = 2 * PAGE;
	done = channel_run(channel, copy);
	check(fault_is(dma, done, end, true, REASON_TRANSLATION) && done.bytes <= PAGE, "a copy stops where the mapping ends");
}

static void check_mappings(struct dma *dma, struct channel *channel)
{
	const uint64_t elsewhere = 0x20000000;
	uint8_t *lone = page(dma, PAGE_READ_ONLY), *here = page(dma, PAGE_DESTINATION), *next = here + PAGE;
	uint64_t iova = pci_iova(dma->pci, here);
	struct descriptor in = { .opcode = OP_COPY, .length = 64, .source = elsewhere, .destination = iova };
	struct descriptor out = { .opcode = OP_COPY, .length = 64, .source = iova, .destination = elsewhere };

	scribble(lone, PAGE, 3);
	check(pci_map(dma->pci, lone, elsewhere, PAGE, false) && channel_run(channel, in).status == DONE &&
	      !memcmp(lone, here, 64), "a read-only mapping can be read");
	memset(here, GUARD, 64);
	check(is_refused(dma, channel, iova, elsewhere, true, REASON_PERMISSION) && memcmp(lone, here, 64),
	      "and not be written");
	check(pci_unmap(dma->pci, elsewhere, PAGE) && is_refused(dma, channel, elsewhere, iova, false, REASON_TRANSLATION),
	      "after the unmap it is gone");
	memset(next, 0, PAGE);
	check(pci_map(dma->pci, next, elsewhere, PAGE, true) && channel_run(channel, out).status == DONE &&
	      !memcmp(here, next, 64) && memcmp(lone, here, 64), "the same iova then leads to other memory");
	pci_unmap(dma->pci, elsewhere, PAGE);
}

/* --- interrupts */

static void interrupt_me(struct channel *channel)
{
	channel_run(channel, (struct descriptor){ .opcode = OP_NOP, .flags = FLAG_IRQ });
}

/* The kernel masks the line when it takes an interrupt; a line still asserted when it is unmasked interrupts again. */
static void check_intx(struct dma *dma, struct channel *channel, int fd, bool (*unmask)(struct pci *pci))
{
	write32(dma, REG_IRQ_STATUS, UINT32_MAX);
	interrupt_me(channel);
	check(irq_wait(fd, LONG_MS) > 0 && read32(dma, REG_IRQ_STATUS) == 1, "INTx: a completion interrupts");
	check(unmask(dma->pci) && irq_wait(fd, LONG_MS) > 0, "INTx: again, as long as it is pending");
	write32(dma, REG_IRQ_STATUS, 1);
	check(unmask(dma->pci) && irq_wait(fd, SHORT_MS) == 0 && read32(dma, REG_IRQ_STATUS) == 0,
	      "INTx: no more once it is cleared");
	write32(dma, REG_IRQ_MASK, 1);
	interrupt_me(channel);
	check(irq_wait(fd, SHORT_MS) == 0 && read32(dma, REG_IRQ_STATUS) == 1, "INTx: a masked bit does not interrupt");
	write32(dma, REG_IRQ_MASK, 0);
	check(irq_wait(fd, LONG_MS) > 0, "INTx: but does when unmasked");
	write32(dma, REG_IRQ_STATUS, UINT32_MAX);
}

static bool uio_unmask(struct pci *pci)
{
	uint32_t command = pci_config_read(pci, PCI_COMMAND, 2);

	pci_config_write(pci, PCI_COMMAND, 2, command & ~(uint32_t)PCI_COMMAND_INTX_DISABLE);
	return command & PCI_COMMAND_INTX_DISABLE;
}

static void check_vfio_intx(struct dma *dma, struct channel *channel)
{
	int fd = eventfd(0, EFD_NONBLOCK);

	write32(dma, REG_IRQ_STATUS, UINT32_MAX);
	if (check(pci_irqs_enable(dma->pci, VFIO_PCI_INTX_IRQ_INDEX, &fd, 1), "INTx can be enabled")) {
		check_intx(dma, channel, fd, pci_intx_unmask);
		pci_irqs_disable(dma->pci, VFIO_PCI_INTX_IRQ_INDEX);
	}
	close(fd);
}

/* Exactly the vector that is meant, as a set of bits; vectors are eventfds. */
static unsigned signalled(const int *vectors, unsigned count, unsigned expected)
{
	unsigned which = 0;

	if (irq_wait(vectors[expected], LONG_MS) > 0)
		which |= 1u << expected;
	for (unsigned i = 0; i < count; i++)
		if (irq_wait(vectors[i], 0) > 0)
			which |= 1u << i;
	return which;
}

static void check_msi(struct dma *dma, struct channel *channel, unsigned index, unsigned count)
{
	const char *name = index == VFIO_PCI_MSI_IRQ_INDEX ? "MSI" : "MSI-X";
	unsigned fault = index == VFIO_PCI_MSI_IRQ_INDEX ? 0 : FAULT_VECTOR;
	uint64_t iova = pci_iova(dma->pci, page(dma, PAGE_DESTINATION));
	struct channel other;
	int vectors[VECTORS];

	for (unsigned i = 0; i < count; i++)
		vectors[i] = eventfd(0, EFD_NONBLOCK);
	write32(dma, REG_IRQ_STATUS, UINT32_MAX);
	if (!check(pci_irqs_enable(dma->pci, index, vectors, count), "%s: %u vectors can be enabled", name, count))
		goto out;
	if (count > 1) {
		channel_start(&other, dma, 5, false, page(dma, PAGE_RING2));
		interrupt_me(&other);
		check(signalled(vectors, count, other.number) == 1u << other.number, "%s: channel %u has its own vector", name,
		      other.number);
	}
	interrupt_me(channel);
	check(signalled(vectors, count, 0) == 1, "%s: channel 0 interrupts", name);
	interrupt_me(channel);
	check(signalled(vectors, count, 0) == 1, "%s: and again", name);
	is_refused(dma, channel, IOVA_NOWHERE, iova, false, REASON_TRANSLATION);
	check(signalled(vectors, count, fault) == 1u << fault, "%s: a fault interrupts, vector %u", name, fault);
	write32(dma, REG_IRQ_STATUS, UINT32_MAX);
	write32(dma, REG_IRQ_MASK, 1);
	interrupt_me(channel);
	check(irq_wait(vectors[0], SHORT_MS) == 0, "%s: a masked bit does not interrupt", name);
	write32(dma, REG_IRQ_STATUS, UINT32_MAX);
	write32(dma, REG_IRQ_MASK, 0);
	pci_irqs_disable(dma->pci, index);
	interrupt_me(channel);
	check(irq_wait(vectors[0], SHORT_MS) == 0, "%s: none comes when disabled", name);
	write32(dma, REG_IRQ_STATUS, UINT32_MAX);
out:
	for (unsigned i = 0; i < count; i++)
		close(vectors[i]);
}

static void check_reset(struct dma *dma, struct channel *channel)
{
	check(pci_reset(dma->pci) && read32(dma, REG_CTRL) == 0 && read32(dma, REG_STATUS) == 0, "a function reset stops all");
	dma_reset(dma);
	channel_start(channel, dma, 0, false, page(dma, PAGE_RING));
	pci_config_write(dma->pci, PCI_COMMAND, 2, pci_config_read(dma->pci, PCI_COMMAND, 2) | PCI_COMMAND_MASTER);
	check(channel_run(channel, (struct descriptor){ .opcode = OP_NOP }).status == DONE, "and it can be started again");
}

static void check_device(struct pci *pci)
{
	struct dma dma = { .pci = pci };
	struct channel channel;

	check_identity(pci);
	check_capabilities(pci);
	if (!map_bars(&dma))
		return;
	check_registers(&dma);
	channel_start(&channel, &dma, 0, false, page(&dma, PAGE_RING));
	check_fill(&dma, &channel);
	check_copy(&dma, &channel);
	check_odd_copy(&dma, &channel);
	check_compare(&dma, &channel);
	check_doorbell(&dma);
	check_bus_master(&dma, &channel);
	check_nowhere(&dma, &channel);
	if (pci->vfio) {
		check_contiguous(&dma, &channel);
		check_mappings(&dma, &channel);
		check_vfio_intx(&dma, &channel);
		check_msi(&dma, &channel, VFIO_PCI_MSI_IRQ_INDEX, 1);
		check_msi(&dma, &channel, VFIO_PCI_MSIX_IRQ_INDEX, VECTORS);
		check_reset(&dma, &channel);
	} else {
		check_rom(&dma, &channel);
		/* The refused accesses have interrupted, which is taken here: one still on its way would be mistaken for the next. */
		irq_wait(pci->device, LONG_MS);
		write32(&dma, REG_IRQ_STATUS, UINT32_MAX);
		uio_unmask(pci);
		check_intx(&dma, &channel, pci->device, uio_unmask);
	}
}

int main(int argc, char **argv)
{
	struct pci pci;

	setvbuf(stdout, NULL, _IOLBF, 0);
	alarm(120);
	if (argc == 2)
		return stray(argv[1]);
	if (check(pci_open(&pci, 0x6975, 0x0001), "the function is there"))
		check_device(&pci);
	printf("guest: %u ok, %u failed\n", passed, failed);
	return failed != 0;
}
