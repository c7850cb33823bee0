/* SPDX-License-Identifier: MIT */
/*
 * An SMMUv3 in a toy VMM: guest RAM, one device, and in place of a guest a few stores that a driver would make. The device writes
 * through a mapping, runs into a hole, and the "guest" gets the event and the interrupt. Public headers only:
 *
 *	cc embed-smmuv3.c $(pkg-config --cflags --libs libuiommu) && ./a.out
 */
#include <uiommu/smmuv3.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Guest physical addresses: RAM, and where in it the guest has put what. */
#define RAM 0x40000000u
#define RAM_BYTES (16u << 20)
#define STRTAB (RAM + 0x1000)  /* 16 stream table entries of 64 bytes */
#define CMDQ (RAM + 0x2000)    /* 16 commands of 16 bytes */
#define EVENTQ (RAM + 0x3000)  /* 16 events of 32 bytes */
#define CD (RAM + 0x4000)      /* one context descriptor of 64 bytes */
#define TABLES (RAM + 0x10000) /* translation tables, four levels */
#define BUFFER (RAM + 0x100000)
#define IOVA 0x80000000u       /* where the device finds the buffer */
#define SID 3

/* Registers (IHI 0070, 6.2). */
enum {
	CR0 = 0x20, IRQ_CTRL = 0x50, STRTAB_BASE = 0x80, STRTAB_BASE_CFG = 0x88, CMDQ_BASE = 0x90, CMDQ_PROD = 0x98, CMDQ_CONS = 0x9c,
	EVENTQ_BASE = 0xa0, EVENTQ_PROD = 0x100a8, EVENTQ_CONS = 0x100ac
};

struct vmm {
	uint8_t *ram;
	struct uiommu_mem *mem;
	struct uiommu_smmuv3 *smmu;
	unsigned n_irqs[4];
};

static void must(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "embed-smmuv3: %s failed\n", what);
	exit(1);
}

/* ---- The VMM: what one writes once ---- */

/* A VMM would pulse a line of its interrupt controller here. */
static void raise_irq(void *arg, enum uiommu_smmuv3_irq irq)
{
	struct vmm *vmm = arg;

	vmm->n_irqs[irq]++;
}

static void vmm_start(struct vmm *vmm)
{
	struct uiommu_smmuv3_config config = { .struct_bytes = sizeof(config), .sid_bits = 4, .irq = raise_irq, .arg = vmm };

	must(!uiommu_mem_guard(), "a handler for memory that vanishes");
	vmm->ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(vmm->ram != MAP_FAILED, "guest memory");
	vmm->mem = uiommu_mem_new();
	must(vmm->mem && !uiommu_mem_add_ram(vmm->mem, RAM, RAM_BYTES, vmm->ram, true), "a memory object");
	must(!uiommu_smmuv3_new(vmm->mem, &config, &vmm->smmu), "an SMMU");
}

static void vmm_stop(struct vmm *vmm)
{
	uiommu_smmuv3_free(vmm->smmu);
	uiommu_mem_free(vmm->mem);
	munmap(vmm->ram, RAM_BYTES);
}

/* ---- The guest: accesses that trap into the VMM, and plain memory ---- */

static void reg_write(struct vmm *vmm, uint64_t offset, unsigned n_bytes, uint64_t val)
{
	must(uiommu_smmuv3_write(vmm->smmu, offset, n_bytes, val), "a register write");
}

static uint32_t reg_read(struct vmm *vmm, uint64_t offset)
{
	uint64_t val;

	must(uiommu_smmuv3_read(vmm->smmu, offset, 4, &val), "a register read");
	return (uint32_t)val;
}

static uint64_t *guest(struct vmm *vmm, uint64_t pa)
{
	return (uint64_t *)(void *)(vmm->ram + (pa - RAM));
}

/* 5.4, 5.2: a CD with one table of 4K granules for 48 bits, and the STE that leads to it. */
static void driver_set_stream(struct vmm *vmm)
{
	uint64_t *cd = guest(vmm, CD), *ste = guest(vmm, STRTAB + SID * 64);

	cd[0] = 16 | 1ull << 30 | 1ull << 31 | 5ull << 32 | 1ull << 41 | 1ull << 45 | 1ull << 46 | 1ull << 48; /* EPD1 V IPS AA64 R A ASID */
	cd[1] = TABLES;
	ste[0] = 1 | 5 << 1 | CD; /* V, Config: stage 1 */
}

static void driver_map(struct vmm *vmm, uint64_t iova, uint64_t pa)
{
	uint64_t table = TABLES;

	for (unsigned shift = 39; shift > 12; shift -= 9) {
		uint64_t *entry = guest(vmm, table + (iova >> shift & 511) * 8);

		if (!*entry)
			*entry = (table + 0x1000) | 3;
		table = *entry & ~0xfffull;
	}
	*guest(vmm, table + (iova >> 12 & 511) * 8) = pa | 1 << 11 | 1 << 10 | 3 << 8 | 1 << 6 | 3; /* nG AF SH AP[1] */
}

static void driver_unmap(struct vmm *vmm, uint64_t iova)
{
	uint64_t table = TABLES + 3 * 0x1000;

	*guest(vmm, table + (iova >> 12 & 511) * 8) = 0;
}

static void driver_command(struct vmm *vmm, uint64_t w0, uint64_t w1)
{
	uint32_t prod = reg_read(vmm, CMDQ_PROD);
	uint64_t *entry = guest(vmm, CMDQ + (prod & 15) * 16);

	entry[0] = w0;
	entry[1] = w1;
	reg_write(vmm, CMDQ_PROD, 4, (prod + 1) & 31);
	must(reg_read(vmm, CMDQ_CONS) == ((prod + 1) & 31), "a command");
}

static void driver_probe(struct vmm *vmm)
{
	driver_set_stream(vmm);
	reg_write(vmm, STRTAB_BASE, 8, STRTAB);
	reg_write(vmm, STRTAB_BASE_CFG, 4, 4);
	reg_write(vmm, CMDQ_BASE, 8, CMDQ | 4);
	reg_write(vmm, EVENTQ_BASE, 8, EVENTQ | 4);
	reg_write(vmm, IRQ_CTRL, 4, 5); /* errors, events */
	reg_write(vmm, CR0, 4, 0xd);    /* queues, translation */
	driver_command(vmm, 0x04, 31);  /* CFGI_ALL */
	driver_command(vmm, 0x30, 0);   /* TLBI_NSNH_ALL */
}

int main(void)
{
	const struct uiommu_dma_addr at = { .iova = IOVA + 16 };
	struct uiommu_smmuv3_stream *stream;
	static const char text[] = "written by the device";
	enum uiommu_dma_status status;
	struct vmm vmm = { 0 };
	uint64_t *evt;

	vmm_start(&vmm);
	driver_probe(&vmm);
	stream = uiommu_smmuv3_stream_open(vmm.smmu, SID);
	must(stream != NULL, "a stream");

	driver_map(&vmm, IOVA, BUFFER);
	status = uiommu_dma_write(uiommu_smmuv3_stream_dma(stream), &at, text, sizeof(text), NULL);
	must(status == UIOMMU_DMA_OK && !memcmp(guest(&vmm, BUFFER + 16), text, sizeof(text)), "DMA");
	printf("guest memory at %#x: %s\n", BUFFER + 16, (const char *)guest(&vmm, BUFFER + 16));

	driver_unmap(&vmm, IOVA);
	must(uiommu_smmuv3_stream_cached(stream, &at, true) == UIOMMU_SMMUV3_CACHE_TLB, "seeing the missing invalidation");
	driver_command(&vmm, 0x12 | 1ull << 48, IOVA); /* TLBI_NH_VA of ASID 1 */
	driver_command(&vmm, 0x46 | 1 << 12, 0);       /* CMD_SYNC with an interrupt */
	must(vmm.n_irqs[UIOMMU_SMMUV3_IRQ_CMD_SYNC] == 1, "the interrupt of CMD_SYNC");
	status = uiommu_dma_write(uiommu_smmuv3_stream_dma(stream), &at, text, sizeof(text), NULL);
	must(status == UIOMMU_DMA_TRANSLATION, "refusing what is not mapped");

	must(vmm.n_irqs[UIOMMU_SMMUV3_IRQ_EVENTQ] == 1 && reg_read(&vmm, EVENTQ_PROD) == 1, "an event and its interrupt");
	evt = guest(&vmm, EVENTQ);
	printf("%s: event %#" PRIx64 " of stream %" PRIu64 " at %#" PRIx64 "\n", uiommu_dma_status_name(status), evt[0] & 0xff, evt[0] >> 32,
	       evt[2]);
	must((evt[0] & 0xff) == 0x10 && evt[0] >> 32 == SID && evt[2] == IOVA + 16, "the event's contents");
	reg_write(&vmm, EVENTQ_CONS, 4, 1);

	uiommu_smmuv3_stream_close(stream);
	vmm_stop(&vmm);
	return 0;
}
