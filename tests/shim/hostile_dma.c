/* SPDX-License-Identifier: MIT */
/*
 * Rings and descriptors that mean harm, and memory that goes away under a running device. Whatever is asked of it, the
 * device refuses, halts or goes on; the program lives, and pages that were not its to write stay as they were. (Step 1,
 * "Bad input"; docs/dma-device.md.) Usage: hostile_dma [SEED]
 */
#include "hostile.h"

#include <sys/syscall.h>

enum { MEM = 0x100000, MEM_PAGES = 8, RDONLY = 0x300000, BEYOND = 0x800000, HALTED = 2, REGISTER_ERROR = 0xff, NOT_MAPPED = 3, ABORT = 7 };

static struct bench b;
static char *mem, *canary, *rdonly;

static uint32_t halted(uint32_t reason)
{
	return HALTED | reason << 8;
}

static void fresh(void)
{
	reg_write(&b, DMA_REG_CTRL, DMA_CTRL_RESET);
	reg_write(&b, DMA_REG_CTRL, DMA_ENABLE);
	memset(mem, 0, MEM_PAGES * PAGE);
}

static void setup(void)
{
	struct iommu_ioas_map ro = { .size = sizeof(ro), .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE, .length = PAGE, .iova = RDONLY };

	bench_open(&b);
	device_enable(&b);
	/* canary, memory for the device, canary: what the device writes beside its mapping shows. */
	canary = pages(MEM_PAGES + 2, PROT_READ | PROT_WRITE);
	rdonly = pages(1, PROT_READ | PROT_WRITE);
	memset(canary, 0xca, (MEM_PAGES + 2) * PAGE);
	memset(rdonly, 0xca, PAGE);
	mem = canary + PAGE;
	MUST(!map(b.iommu, b.ioas, mem, MEM_PAGES * PAGE, MEM));
	ro.ioas_id = b.ioas;
	ro.user_va = (uintptr_t)rdonly;
	MUST(!ioctl(b.iommu, IOMMU_IOAS_MAP, &ro));
}

static void check_canaries(int line)
{
	for (unsigned i = 0; i < PAGE; i++) {
		if (canary[i] != (char)0xca || canary[(MEM_PAGES + 1) * PAGE + i] != (char)0xca || rdonly[i] != (char)0xca) {
			hostile_note(__FILE__, line, "memory that was not the device's to write", i, -1);
			return;
		}
	}
}

static struct dma_desc *ring_at(uint64_t iova)
{
	return (void *)(mem + (iova - MEM));
}

/* --- where a ring can be --- */

static void rings(void)
{
	static const struct { uint64_t base, tail; uint32_t lg2, want; } rows[] = {
		{ BEYOND, 1, 4, NOT_MAPPED }, { 0, 1, 0, NOT_MAPPED }, { 0xfee00000, 1, 4, NOT_MAPPED }, { UINT64_MAX - 63, 1, 4, 4 },
		{ 1ull << 48, 1, 4, 4 }, { 1ull << 63, 1, 4, 4 }, { MEM + 1, 0, 4, REGISTER_ERROR }, { MEM + 32, 0, 4, REGISTER_ERROR }, { MEM, 0, 17, REGISTER_ERROR },
		{ MEM, 0, 64, REGISTER_ERROR }, { MEM, 0, UINT32_MAX, REGISTER_ERROR }, { MEM, 2, 0, REGISTER_ERROR }, { MEM, 17, 4, REGISTER_ERROR },
		{ MEM, UINT64_MAX, 16, REGISTER_ERROR }, { MEM, 1ull << 63, 16, REGISTER_ERROR },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fresh();
		chan_start(&b, 3, rows[i].base, rows[i].lg2);
		reg_write64(&b, chan_reg(3, DMA_CH_TAIL), rows[i].tail);
		if (chan_wait(&b, 3, 1) != halted(rows[i].want))
			hostile_note(__FILE__, __LINE__, "a ring that cannot be", (long)i, chan_wait(&b, 3, 1));
		/* It stays halted, whatever is written to it, until it is switched off and on. */
		reg_write64(&b, chan_reg(3, DMA_CH_TAIL), 5);
		EXPECT(chan_wait(&b, 3, 1), halted(rows[i].want));
		if (rows[i].want != REGISTER_ERROR)
			EXPECT(reg_read64(&b, DMA_REG_FAULT_ADDR), rows[i].base);
	}
	/* A ring of 2^16 descriptors, of which 512 pages' worth are mapped: it halts where the mapping ends. */
	fresh();
	chan_start(&b, 0, MEM, 16);
	reg_write64(&b, chan_reg(0, DMA_CH_TAIL), 1 << 16);
	EXPECT(chan_wait(&b, 0, 1 << 16), halted(NOT_MAPPED));
	EXPECT(reg_read64(&b, chan_reg(0, DMA_CH_HEAD)), MEM_PAGES * PAGE / 64);
	check_canaries(__LINE__);
}

/* --- rings that write themselves --- */

static void itself(void)
{
	struct dma_desc *ring;

	/* Descriptor 0 copies itself over descriptor 1, and so on: each finds what the one before has just written. */
	fresh();
	ring = ring_at(MEM);
	ring[0] = (struct dma_desc){ .opcode = DMA_OP_COPY, .length = 64 * 31, .src = MEM, .dst = MEM + 64 };
	chan_start(&b, 0, MEM, 5);
	reg_write64(&b, chan_reg(0, DMA_CH_TAIL), 32);
	EXPECT(chan_wait(&b, 0, 32), 1);
	/* A copy of the whole ring over itself, again and again. */
	for (unsigned i = 0; i < 32; i++)
		ring[i] = (struct dma_desc){ .opcode = DMA_OP_COPY, .length = 64 * 32, .src = MEM, .dst = MEM };
	reg_write64(&b, chan_reg(0, DMA_CH_TAIL), 64);
	EXPECT(chan_wait(&b, 0, 64), 1);
	/* Completion records over the descriptors: over itself, and over the next, whose opcode becomes 1 and length the cookie's. */
	for (unsigned i = 0; i < 32; i++)
		ring[i] = (struct dma_desc){ .opcode = 0, .cookie = 0xffff, .completion = MEM + 64 * ((i + i % 2) % 32) };
	reg_write64(&b, chan_reg(0, DMA_CH_TAIL), 96);
	chan_wait(&b, 0, 96);
	/* Filled with ones by its first descriptor: the next has every bit set and a record that cannot be. */
	fresh();
	ring[0] = (struct dma_desc){ .opcode = 2, .length = 64 * 32, .src = UINT64_MAX, .dst = MEM };
	chan_start(&b, 0, MEM, 5);
	reg_write64(&b, chan_reg(0, DMA_CH_TAIL), 32);
	EXPECT(chan_wait(&b, 0, 32), halted(REGISTER_ERROR));
	/* The record is page 0 of the ring's own PASID, which has no space. */
	fresh();
	reg_write(&b, chan_reg(0, 0x0c), 0x80000000 | 77);
	chan_start(&b, 0, MEM, 5);
	reg_write64(&b, chan_reg(0, DMA_CH_TAIL), 1);
	EXPECT(chan_wait(&b, 0, 1) & 0xff, HALTED);
	check_canaries(__LINE__);
}

/* --- descriptors with one thing wrong --- */

static void one(int line, struct dma_desc desc, uint32_t status, uint32_t reason, uint64_t bytes)
{
	struct dma_completion *done = (void *)(mem + 2048);

	fresh();
	desc.completion = MEM + 2048;
	*ring_at(MEM) = desc;
	chan_start(&b, 1, MEM, 0);
	reg_write64(&b, chan_reg(1, DMA_CH_TAIL), 1);
	if (chan_wait(&b, 1, 1) != 1)
		hostile_note(__FILE__, line, "halted", chan_wait(&b, 1, 1), 1);
	if (done->status != status || done->reason != reason || done->bytes != bytes)
		hostile_note(__FILE__, line, "record", (long)(done->status << 16 | done->reason), (long)(status << 16 | reason));
	check_canaries(line);
}

static void descriptors(void)
{
	const struct dma_desc copy = { .opcode = 1, .length = PAGE, .src = MEM + PAGE, .dst = MEM + 2 * PAGE };
	struct dma_desc d;

#define WRONG(change, status, reason, bytes) (d = copy, change, one(__LINE__, d, status, reason, bytes))
	WRONG((void)0, 1, 0, PAGE);
	for (unsigned op = 4; op < 256; op += 63)
		WRONG(d.opcode = (uint8_t)op, 4, 0, 0);
	for (unsigned bit = 3; bit < 8; bit++)
		WRONG(d.flags = (uint8_t)(1u << bit), 4, 0, 0);
	for (unsigned i = 0; i < 3; i++)
		WRONG(d.zero[i] = 1ull << 63, 4, 0, 0);
	WRONG(d.src_pasid = 1u << 20, 4, 0, 0);
	WRONG(d.dst_pasid = UINT32_MAX, 4, 0, 0);
	WRONG((d.flags = 2, d.src_pasid = 0xfffff), 2, 2, 0);
	WRONG((d.flags = 4, d.dst_pasid = 9), 2, 1, 0);
	WRONG(d.length = UINT32_MAX, 2, NOT_MAPPED, 6 * PAGE);
	WRONG(d.length = 0, 1, 0, 0);
	WRONG(d.src = BEYOND, 2, NOT_MAPPED, 0);
	WRONG(d.dst = BEYOND, 2, NOT_MAPPED, 0);
	WRONG(d.dst = RDONLY, 2, 5, 0);
	WRONG(d.dst = RDONLY + PAGE - 8, 2, 5, 0);
	WRONG(d.src = RDONLY + 8, 2, NOT_MAPPED, PAGE - 8);
	WRONG(d.dst = UINT64_MAX - 7, 2, 4, 0);
	WRONG(d.src = UINT64_MAX, 2, 4, 0);
	WRONG((d.opcode = 2, d.dst = UINT64_MAX, d.length = UINT32_MAX), 2, 4, 0);
	WRONG((d.opcode = 3, d.dst = UINT64_MAX), 2, 4, 0);
	WRONG((d.opcode = 3, d.dst = d.src), 1, 0, PAGE);
	/* The record itself: outside, read-only, across the end of a page, at the end of the address space. */
	for (unsigned i = 0; i < 4; i++) {
		static const uint64_t at[] = { BEYOND, RDONLY, MEM + MEM_PAGES * PAGE - 16, UINT64_MAX - 15 };

		fresh();
		*ring_at(MEM) = copy;
		ring_at(MEM)->completion = at[i];
		chan_start(&b, 1, MEM, 0);
		reg_write64(&b, chan_reg(1, DMA_CH_TAIL), 1);
		EXPECT(chan_wait(&b, 1, 1) & 0xff, HALTED);
		EXPECT(reg_read64(&b, chan_reg(1, DMA_CH_HEAD)), 1);
		check_canaries(__LINE__);
	}
}

/* --- everything at random --- */

static unsigned seed;

static uint64_t random64(void)
{
	return (uint64_t)(unsigned)rand_r(&seed) << 33 ^ (uint64_t)(unsigned)rand_r(&seed) << 16 ^ (unsigned)rand_r(&seed);
}

/* Mostly near something that is there. */
static uint64_t random_iova(void)
{
	static const uint64_t near[] = { MEM, MEM + PAGE, MEM + MEM_PAGES * PAGE - 64, RDONLY, BEYOND, 0, UINT64_MAX - 64, 0xfee00000, 1ull << 47 };

	return rand_r(&seed) % 8 ? near[(unsigned)rand_r(&seed) % 9] + (unsigned)rand_r(&seed) % 128 : random64();
}

static void random_desc(struct dma_desc *d)
{
	if (!(rand_r(&seed) % 16)) {
		for (unsigned i = 0; i < 8; i++)
			((uint64_t *)(void *)d)[i] = random64();
		return;
	}
	*d = (struct dma_desc){
		.opcode = (uint8_t)(rand_r(&seed) % 5), .flags = (uint8_t)(rand_r(&seed) % 9), .cookie = (uint16_t)rand_r(&seed),
		.length = (uint32_t)(rand_r(&seed) % 4 ? (unsigned)rand_r(&seed) % (3 * PAGE) : random64()), .src = random_iova(), .dst = random_iova(),
		.src_pasid = (uint32_t)rand_r(&seed) % 4, .dst_pasid = (uint32_t)rand_r(&seed) % 4,
		.completion = rand_r(&seed) % 2 ? 0 : random_iova() & ~15ull,
	};
}

static void random_rings(void)
{
	static const uint16_t regs[] = { 0x10, 0x20, 0x24, 0x40, 0x44, 0x1000, 0x1004, 0x1008, 0x100c, 0x1010, 0x1018, 0x1020, 0x1024, 0x1380, 0x1390, 0x13a0, 0x13a4 };
	unsigned const at_first = seed;
	char *bells = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, b.device, (off_t)2 << 40);

	MUST(bells != MAP_FAILED);
	fresh();
	for (unsigned i = 0; i < 20000; i++) {
		unsigned chan = (unsigned)rand_r(&seed) % 8;

		switch (rand_r(&seed) % 10) {
		case 0:
			reg_write(&b, regs[(unsigned)rand_r(&seed) % (sizeof(regs) / sizeof(regs[0]))], (uint32_t)random64());
			break;
		case 1:
			reg_write(&b, DMA_REG_CTRL, DMA_ENABLE);
			chan_start(&b, chan, rand_r(&seed) % 4 ? MEM + (unsigned)rand_r(&seed) % MEM_PAGES * PAGE : random_iova(), (unsigned)rand_r(&seed) % 9);
			reg_write(&b, chan_reg(chan, DMA_CH_CTRL), (uint32_t)rand_r(&seed) % 4 | DMA_ENABLE);
			break;
		case 2:
		case 3:
			reg_write64(&b, chan_reg(chan, DMA_CH_TAIL), reg_read64(&b, chan_reg(chan, DMA_CH_HEAD)) + (unsigned)rand_r(&seed) % 17);
			break;
		case 4:
			*(volatile uint64_t *)(void *)(bells + chan * PAGE + (unsigned)rand_r(&seed) % 3 * 8) = rand_r(&seed) % 4 ? (unsigned)rand_r(&seed) % 100 : random64();
			break;
		default:
			random_desc(ring_at(MEM + ((unsigned)rand_r(&seed) % (MEM_PAGES * PAGE / 64)) * 64));
		}
	}
	check_canaries(__LINE__);
	if (hostile_failures)
		dprintf(2, "seed %u\n", at_first);
	fresh();
	munmap(bells, 8 * PAGE);
}

/* --- memory that goes away --- */

enum away { MUNMAP, PROT_NONE_, DONTNEED, OVER, UNMAPPED, TRUNCATED, TRUNCATED_VA, DETACHED, N_AWAY };

static void gone(enum away how, bool ring_too)
{
	const uint64_t at = 0x2000000;
	struct dma_desc *ring;
	char *va;
	int fd = memfd_create("going", 0);
	struct iommu_ioas_map_file file = { .size = sizeof(file), .flags = 7, .ioas_id = b.ioas, .fd = fd, .length = 4 * PAGE, .iova = at };

	MUST(fd >= 0 && !ftruncate(fd, 4 * PAGE));
	va = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, how >= TRUNCATED && how != DETACHED ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS,
		  how >= TRUNCATED && how != DETACHED ? fd : -1, 0);
	MUST(va != MAP_FAILED);
	MUST(how == TRUNCATED ? !ioctl(b.iommu, IOMMU_IOAS_MAP_FILE, &file) : !map(b.iommu, b.ioas, va, 4 * PAGE, at));
	fresh();
	ring = ring_too ? (void *)va : ring_at(MEM);
	/* 32 descriptors of 4 GiB less one: they end by the fault at the mapping's end, each after three pages. */
	for (unsigned i = 0; i < 32; i++)
		ring[i] = (struct dma_desc){ .opcode = 2, .length = UINT32_MAX, .src = i, .dst = at + PAGE };
	for (unsigned chan = 0; chan < 4; chan++) {
		chan_start(&b, chan, ring_too ? at : MEM, 5);
		reg_write64(&b, chan_reg(chan, DMA_CH_TAIL), 32);
	}
	switch (how) {
	case MUNMAP:
		MUST(!munmap(va, 4 * PAGE));
		break;
	case PROT_NONE_:
		MUST(!mprotect(va, 4 * PAGE, PROT_NONE));
		break;
	case DONTNEED:
		MUST(!madvise(va, 4 * PAGE, MADV_DONTNEED));
		break;
	case OVER:
		MUST(mmap(va, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == va);
		break;
	case UNMAPPED:
		EXPECT(unmap(b.iommu, b.ioas, at, 4 * PAGE), 0);
		memset(va, 0x77, 4 * PAGE); /* ours again: no byte of it changes any more */
		break;
	case TRUNCATED:
	case TRUNCATED_VA:
		MUST(!ftruncate(fd, 0));
		break;
	default:
		EXPECT(detach(b.device), 0);
		memset(va, 0x77, 4 * PAGE);
	}
	for (unsigned chan = 0; chan < 4; chan++) {
		uint64_t tail = reg_read64(&b, chan_reg(chan, DMA_CH_HEAD)) + 32;

		reg_write64(&b, chan_reg(chan, DMA_CH_TAIL), tail);
		chan_wait(&b, chan, tail);
	}
	if (how == UNMAPPED || how == DETACHED) {
		for (unsigned i = 0; i < 4 * PAGE; i++) {
			if (va[i] != 0x77) {
				hostile_note(__FILE__, __LINE__, "written after unmap or detach, at", i, -1);
				break;
			}
		}
	} else {
		EXPECT(unmap(b.iommu, b.ioas, at, 4 * PAGE), 0);
	}
	if (how == DETACHED) {
		EXPECT(attach(b.device, b.ioas), 0);
		EXPECT(unmap(b.iommu, b.ioas, at, 4 * PAGE), 0);
	}
	if (how != MUNMAP)
		MUST(!munmap(va, 4 * PAGE));
	MUST(!close(fd));
	check_canaries(__LINE__);
}

/*
 * Part of a pinned range was unmapped where no library can see it, and is now the place where the kernel would put the next
 * mapping of that size: pages that move aside must not move there.
 */
static void hole(void)
{
	const size_t n = 2048 * PAGE;
	char *at = pages(2 * 2048, PROT_READ | PROT_WRITE), *middle = at + n / 2;

	EXPECT(map(b.iommu, b.ioas, middle, n, 0x8000000), 0);
	middle[0] = 'm';
	MUST(!syscall(SYS_munmap, at + n, n));
	EXPECT(mmap(middle, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == middle ? 0 : -errno, 0);
	EXPECT(middle[0], 0);
	fresh();
	*ring_at(MEM) = (struct dma_desc){ .opcode = 1, .length = 1, .src = 0x8000000, .dst = MEM + PAGE };
	chan_start(&b, 0, MEM, 0);
	reg_write64(&b, chan_reg(0, DMA_CH_TAIL), 1);
	EXPECT(chan_wait(&b, 0, 1), 1);
	EXPECT(mem[PAGE], 'm');
	EXPECT(unmap(b.iommu, b.ioas, 0x8000000, n), 0);
	MUST(!munmap(at, 2 * n));
}

/* --- descriptors closed under it --- */

static void closed(bool iommu_first)
{
	struct bench mine = b;
	struct dma_desc *ring;

	fresh();
	ring = ring_at(MEM);
	for (unsigned i = 0; i < 32; i++)
		ring[i] = (struct dma_desc){ .opcode = 2, .length = 7 * PAGE, .src = i, .dst = MEM + PAGE };
	for (unsigned chan = 0; chan < 8; chan++) {
		chan_start(&b, chan, MEM, 5);
		reg_write64(&b, chan_reg(chan, DMA_CH_TAIL), 32);
	}
	if (iommu_first) {
		MUST(!close(b.iommu));
		/* The device holds the context: it goes on. */
		EXPECT(chan_wait(&b, 7, 32), 1);
		EXPECT(reg_read64(&b, chan_reg(7, DMA_CH_HEAD)), 32);
		EXPECT(call(b.iommu, IOMMU_IOAS_ALLOC, ring), -EBADF);
		EXPECT(detach(b.device), 0);
		EXPECT(attach(b.device, b.ioas), 0);
		MUST(!close(b.device));
	} else {
		MUST(!close(b.device));
		memset(mem, 0x77, MEM_PAGES * PAGE);
		sched_yield();
		for (unsigned i = 0; i < MEM_PAGES * PAGE; i++)
			MUST(mem[i] == 0x77);
		EXPECT(destroy(mine.iommu, mine.dev_id), -ENOENT);
		EXPECT(unmap_all(mine.iommu, mine.ioas), (MEM_PAGES + 1) * PAGE);
		EXPECT(destroy(mine.iommu, mine.ioas), 0);
		MUST(!close(b.iommu));
	}
	check_canaries(__LINE__);
	MUST(!munmap(canary, (MEM_PAGES + 2) * PAGE) && !munmap(rdonly, PAGE));
	setup();
}

int main(int argc, char **argv)
{
	unsigned n = 6;

	setup();
	rings();
	itself();
	descriptors();
	seed = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 0) : 1;
	if (argc > 2)
		n = (unsigned)strtoul(argv[2], NULL, 0);
	for (unsigned i = 0; i < n; i++) {
		random_rings();
		gone((enum away)(i % N_AWAY), false);
	}
	for (enum away how = 0; how < N_AWAY; how++) {
		gone(how, false);
		gone(how, true);
	}
	hole();
	closed(true);
	closed(false);
	bench_close(&b);
	still_works();
	return hostile_end();
}
