/* SPDX-License-Identifier: MIT */
/*
 * Makes an NVMe controller that no driver has bound fetch an admin command from where nothing is mapped. Registers and bits
 * are those of the NVM Express base specification, 3.1.
 */
#include <stdio.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "guest.h"

enum {
	CC = 0x14, CSTS = 0x1c, AQA = 0x24, ASQ = 0x28, ACQ = 0x30, SQ0_TAIL = 0x1000,
	CC_ENABLE = 1, CC_QUEUE_ENTRIES = 4 << 20 | 6 << 16,
	CSTS_READY = 1, CSTS_FATAL = 2,
};

static bool csts_becomes(volatile uint8_t *registers, uint32_t mask, uint32_t value)
{
	for (int i = 0; i < 5000; i++) {
		if ((*(volatile uint32_t *)(registers + CSTS) & mask) == value)
			return true;
		usleep(1000);
	}
	return false;
}

static void set32(volatile uint8_t *registers, unsigned offset, uint32_t value)
{
	*(volatile uint32_t *)(registers + offset) = value;
}

static void set64(volatile uint8_t *registers, unsigned offset, uint64_t value)
{
	set32(registers, offset, (uint32_t)value);
	set32(registers, offset + 4, (uint32_t)(value >> 32));
}

static int fail(const char *what)
{
	fprintf(stderr, "%s\n", what);
	return 1;
}

int stray(const char *address)
{
	volatile uint8_t *registers;
	struct pci pci;
	uint32_t command;

	if (!pci_open_bare(&pci, address))
		return fail("no such function");
	command = pci_config_read(&pci, PCI_COMMAND, 2);
	pci_config_write(&pci, PCI_COMMAND, 2, command | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	registers = pci_map_bar(&pci, 0, 2 * PAGE);
	if (!registers)
		return fail("its registers cannot be mapped");
	set32(registers, CC, 0);
	if (!csts_becomes(registers, CSTS_READY, 0))
		return fail("it does not stop");
	set32(registers, AQA, 15 << 16 | 15);
	set64(registers, ASQ, IOVA_NOWHERE);
	set64(registers, ACQ, IOVA_NOWHERE + PAGE);
	set32(registers, CC, CC_QUEUE_ENTRIES | CC_ENABLE);
	if (!csts_becomes(registers, CSTS_READY, CSTS_READY))
		return fail("it does not become ready");
	set32(registers, SQ0_TAIL, 1);
	if (!csts_becomes(registers, CSTS_FATAL, CSTS_FATAL))
		return fail("it does not say that it cannot go on");
	set32(registers, CC, 0);
	if (!csts_becomes(registers, CSTS_READY | CSTS_FATAL, 0))
		return fail("a reset does not clear the fatal status");
	pci_config_write(&pci, PCI_COMMAND, 2, command);
	return 0;
}
