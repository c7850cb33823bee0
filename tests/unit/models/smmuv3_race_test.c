/* SPDX-License-Identifier: MIT */
/*
 * Threads: structures that change while they are read, commands while others are inside, messages while interrupts are turned off,
 * reset while commands run. A program of its own, since a handler of signals holds a reader where it hurts.
 */
#include "smmuv3_common.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

enum { SID_BITS = 6, SID = 5, OTHER = 9, VA = 0x12345000 };

static u64 root_of(u64 pa)
{
	u64 root = take(PAGE, PAGE);

	map_page(root, VA, pa, S1_LEAF);
	*at(pa) = pa;
	return root;
}

static void wait_for(atomic_int *flag, int val)
{
	while (atomic_load_explicit(flag, memory_order_acquire) != val)
		sched_yield();
}

static void set(atomic_int *flag, int val)
{
	atomic_store_explicit(flag, val, memory_order_release);
}

static u64 reads(struct ui_smmuv3_stream *stream)
{
	u64 val = 0;

	dma_read(stream, VA, 0, false, &val);
	return val;
}

/* ---- A resolver that is overtaken by an invalidation ---- */

static struct sigaction next_handler;
static u8 *held_page;
static atomic_int held, go_on;

static void hold(int sig, siginfo_t *info, void *ucontext)
{
	if (!held_page || (uintptr_t)info->si_addr - (uintptr_t)held_page >= PAGE) {
		next_handler.sa_sigaction(sig, info, ucontext);
		return;
	}
	set(&held, 1);
	while (!atomic_load_explicit(&go_on, memory_order_acquire))
		sched_yield();
	mprotect(held_page, PAGE, PROT_READ | PROT_WRITE);
	held_page = NULL;
}

static void *overtake(void *arg)
{
	wait_for(&held, 1);
	/* The reader has the STE, and is about to read the CD that it names. */
	ste_s1(ste_of(SID), CDTAB + PAGE, 0, 0, 0);
	command(0x03 | (u64)SID << 32, 1);
	command(0x46, 0);
	set(&go_on, 1);
	return NULL;
}

/* What was read before an invalidation must not be known after it; and an invalidation that finds nothing waits for nobody. */
static void an_overtaken_reader_reads_again(void)
{
	const struct sigaction act = { .sa_sigaction = hold, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
	struct ui_smmuv3_stream *stream;
	pthread_t thread;

	rig_new(SID_BITS);
	rig_start();
	rig_enable(SID_BITS);
	cd_set(at(CDTAB), root_of(PAGES), 1);
	cd_set(at(CDTAB + PAGE), root_of(PAGES + PAGE), 1);
	ste_s1(ste_of(SID), CDTAB, 0, 0, 0);
	ste_on(ste_of(SID), UI_SMMUV3_CONFIG_S1);
	stream = ui_smmuv3_stream_open(rig.smmu, SID);
	assert_int_equal(sigaction(SIGSEGV, &act, &next_handler), 0);
	held_page = (u8 *)at(CDTAB);
	assert_int_equal(mprotect(held_page, PAGE, PROT_NONE), 0);
	assert_int_equal(pthread_create(&thread, NULL, overtake, NULL), 0);
	reads(stream);
	pthread_join(thread, NULL);
	assert_true(reads(stream) == PAGES + PAGE);
	assert_int_equal(sigaction(SIGSEGV, &next_handler, NULL), 0);
	ui_smmuv3_stream_close(stream);
	rig_end();
}

/* ---- Who waits for whom ---- */

static atomic_int inside, leave;

static void *stay_inside(void *arg)
{
	struct ui_smmuv3_stream *stream = arg;
	const struct ui_dma_addr where = { .iova = VA };
	struct ui_mem_span span;

	assert_int_equal(ui_dma_begin(ui_smmuv3_stream_dma(stream), &where, UI_PROT_READ, 8, &span, NULL), UI_DMA_OK);
	set(&inside, 1);
	wait_for(&leave, 1);
	ui_dma_end(ui_smmuv3_stream_dma(stream));
	return NULL;
}

static atomic_int commanded;

static void *invalidate_it(void *arg)
{
	command(0x03 | (u64)SID << 32, 1);
	set(&commanded, 1);
	return NULL;
}

/* While one stream is inside, commands for another return; one for it does not until it has left. */
static void commands_wait_for_whom_they_concern(void)
{
	struct ui_smmuv3_stream *stream, *other;
	pthread_t thread, commander;

	rig_new(SID_BITS);
	rig_start();
	rig_enable(SID_BITS);
	for (unsigned i = 0; i < 2; i++) {
		u32 sid = i ? OTHER : SID;

		cd_set(at(CDTAB + i * 64), root_of(PAGES + i * PAGE), (u16)(1 + i));
		ste_s1(ste_of(sid), CDTAB + i * 64, 0, 0, 0);
		ui_hw_set(ste_of(sid), UI_SMMUV3_STE_S2VMID, i + 1);
		ste_on(ste_of(sid), UI_SMMUV3_CONFIG_S1);
	}
	stream = ui_smmuv3_stream_open(rig.smmu, SID);
	other = ui_smmuv3_stream_open(rig.smmu, OTHER);
	reads(other);
	assert_int_equal(pthread_create(&thread, NULL, stay_inside, stream), 0);
	wait_for(&inside, 1);
	command(0x12 | (u64)2 << 32 | (u64)2 << 48, VA);
	command(0x10 | (u64)2 << 32, 0);
	command(0x03 | (u64)OTHER << 32, 1);
	command(0x03 | (u64)OTHER << 32, 1);
	command(0x46, 0);
	assert_true(reads(other) == PAGES + PAGE);
	assert_int_equal(pthread_create(&commander, NULL, invalidate_it, NULL), 0);
	for (unsigned i = 0; i < 1000; i++)
		sched_yield();
	assert_int_equal(atomic_load(&commanded), 0);
	set(&leave, 1);
	pthread_join(commander, NULL);
	pthread_join(thread, NULL);
	ui_smmuv3_stream_close(stream);
	ui_smmuv3_stream_close(other);
	rig_end();
}

/* ---- Messages ---- */

enum { DOORBELL = 0x8000000 };
static atomic_int rings, may_ring, rung, refused_here;

static bool no_read(void *arg, u64 offset, unsigned n_bytes, u64 *val)
{
	return false;
}

/* Takes its time; and may not touch the SMMU whose message it is. */
static bool doorbell(void *arg, u64 offset, unsigned n_bytes, u64 val)
{
	u64 read;

	set(&refused_here, !ui_smmuv3_read(rig.smmu, UI_SMMUV3_REG_IDR0, 4, &read) &&
				   !ui_smmuv3_write(rig.smmu, UI_SMMUV3_REG_CR0, 4, 0));
	set(&rings, 1);
	wait_for(&may_ring, 1);
	set(&rung, (int)val);
	return true;
}

static void *fault(void *arg)
{
	reads(arg);
	return NULL;
}

static atomic_int off;

static void *turn_off(void *arg)
{
	wr(UI_SMMUV3_REG_IRQ_CTRL, 0);
	set(&off, atomic_load(&rung) ? 1 : -1);
	return NULL;
}

/* 3.18.1: when an interrupt is off its messages have been written. */
static void turning_an_interrupt_off_waits_for_its_message(void)
{
	static const struct ui_mem_mmio_ops ops = { no_read, doorbell };
	struct ui_smmuv3_stream *stream;
	pthread_t faulter, commander;

	rig_new(SID_BITS);
	assert_int_equal(ui_mem_add_mmio(rig.mem, DOORBELL, PAGE, &ops, &rig), 0);
	rig_start();
	wr64(UI_SMMUV3_REG_EVENTQ_IRQ_CFG0, DOORBELL);
	wr(UI_SMMUV3_REG_EVENTQ_IRQ_CFG1, 77);
	rig_enable(SID_BITS);
	wr64(UI_SMMUV3_REG_EVENTQ_IRQ_CFG0, 0); /* guarded now */
	assert_true(rd64(UI_SMMUV3_REG_EVENTQ_IRQ_CFG0) == DOORBELL);
	stream = ui_smmuv3_stream_open(rig.smmu, SID);
	assert_int_equal(pthread_create(&faulter, NULL, fault, stream), 0);
	wait_for(&rings, 1);
	/* Registers answer meanwhile: nothing is locked. */
	assert_int_equal(rd(UI_SMMUV3_REG_EVENTQ_PROD), 1);
	assert_int_equal(pthread_create(&commander, NULL, turn_off, NULL), 0);
	for (unsigned i = 0; i < 1000; i++)
		sched_yield();
	assert_int_equal(atomic_load(&off), 0);
	set(&may_ring, 1);
	pthread_join(faulter, NULL);
	pthread_join(commander, NULL);
	assert_int_equal(atomic_load(&off), 1);
	assert_int_equal(atomic_load(&rung), 77);
	assert_int_equal(atomic_load(&refused_here), 1);
	ui_smmuv3_stream_close(stream);
	rig_end();
}

/* ---- Everything at once ---- */

enum { READERS = 3, ROUNDS = 60000 };

static atomic_int over;

static u64 rng(u64 *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return *seed >> 33;
}

static void *read_on(void *arg)
{
	u32 sid = (u32)(uintptr_t)arg;
	struct ui_smmuv3_stream *stream = NULL;
	u64 seed = sid, val;

	for (unsigned i = 0; !atomic_load_explicit(&over, memory_order_acquire); i++) {
		const struct ui_dma_addr where = { .iova = VA + (rng(&seed) & 1) * PAGE };

		if (!(i % 64)) {
			ui_smmuv3_stream_close(stream);
			stream = ui_smmuv3_stream_open(rig.smmu, SID + sid % 2);
		}
		dma_read(stream, where.iova, (u32)rng(&seed) & 3, rng(&seed) & 1, &val);
		if (!(i % 16))
			ui_smmuv3_stream_cached(stream, &where, UI_PROT_READ);
		rd(UI_SMMUV3_REG_EVENTQ_PROD);
	}
	ui_smmuv3_stream_close(stream);
	return NULL;
}

/* A driver that does not care: it writes any word of any structure at any time, by whole words. */
static void scribble(u64 *seed, u64 root)
{
	const u64 places[] = { STRTAB + SID * 64, STRTAB + SID * 64 + 64, CDTAB, root, CDTAB + 64 };
	u64 *word = at(places[rng(seed) % ui_array_size(places)] + (rng(seed) & 7) * 8), val = *word;

	switch (rng(seed) & 3) {
	case 0:
		val ^= (u64)1 << (rng(seed) & 63);
		break;
	case 1:
		val = rng(seed) << 32 | rng(seed);
		break;
	default:
		val = 0;
		break;
	}
	ui_safe_store64(word, val);
}

static void repair(u64 root, u64 table, unsigned sid)
{
	u64 cd[8], ste[8] = { 0 };

	cd_set(cd, root, 1);
	ste_s1(ste, CDTAB, 2, 0, 1);
	ste_on(ste, UI_SMMUV3_CONFIG_S1);
	ui_safe_store64(at(root + ((u64)VA >> 39 & 511) * 8), table);
	for (unsigned i = 8; i--;) {
		ui_safe_store64(at(CDTAB) + i, cd[i]);
		ui_safe_store64(ste_of(sid) + i, ste[i]);
	}
}

/* The queue's memory is written by whole words too: readers of it are told when all is there. */
static void command_safely(u64 w0, u64 w1)
{
	u64 *entry = at(CMDQ + (rig.cmd_prod & 15) * 16);

	ui_safe_store64(entry, w0);
	ui_safe_store64(entry + 1, w1);
	rig.cmd_prod = (rig.cmd_prod + 1) & 31;
	wr(UI_SMMUV3_REG_CMDQ_PROD, rig.cmd_prod);
}

/* As rig_enable(), while another thread writes CR0 too. */
static void turn_on(void)
{
	wr(UI_SMMUV3_REG_CR0, 0);
	wr64(UI_SMMUV3_REG_STRTAB_BASE, STRTAB);
	wr(UI_SMMUV3_REG_STRTAB_BASE_CFG, SID_BITS);
	wr64(UI_SMMUV3_REG_CMDQ_BASE, CMDQ | CMDQ_LG2);
	wr64(UI_SMMUV3_REG_EVENTQ_BASE, EVENTQ | EVENTQ_LG2);
	wr(UI_SMMUV3_REG_CR0, 0xd);
}

static void drive(u64 *seed, u64 root, u64 table)
{
	static const u8 ops[] = { 3, 4, 5, 6, 0x10, 0x11, 0x12, 0x13, 0x28, 0x2a, 0x30, 0x46 };

	switch (rng(seed) % 8) {
	case 0:
	case 1:
		scribble(seed, root);
		break;
	case 2:
		repair(root, table, SID + (unsigned)(rng(seed) & 1));
		break;
	case 3:
		wr(UI_SMMUV3_REG_EVENTQ_CONS, rd(UI_SMMUV3_REG_EVENTQ_PROD));
		wr(UI_SMMUV3_REG_GERRORN, rd(UI_SMMUV3_REG_GERROR));
		break;
	case 4:
		if (rng(seed) % 32)
			break;
		ui_smmuv3_reset(rig.smmu);
		rig.cmd_prod = 0;
		turn_on();
		break;
	default:
		command_safely(ops[rng(seed) % sizeof(ops)] | (u64)SID << 32 | (rng(seed) & 1) << 32, (u64)VA | (rng(seed) & 1));
		break;
	}
}

static void *write_registers(void *arg)
{
	u64 seed = 99;

	while (!atomic_load_explicit(&over, memory_order_acquire)) {
		wr(UI_SMMUV3_REG_IRQ_CTRL, (u32)rng(&seed) & 5);
		wr(UI_SMMUV3_REG_GBPA, 1u << 31 | ((u32)rng(&seed) & 1) << 20);
		/* An old value now and then: commands run again, on this thread. */
		wr(UI_SMMUV3_REG_CMDQ_PROD, rd(UI_SMMUV3_REG_CMDQ_PROD));
		if (!(rng(&seed) & 63)) {
			wr(UI_SMMUV3_REG_CR0, 0xc);
			wr(UI_SMMUV3_REG_CR0, 0xd);
		}
	}
	return NULL;
}

static void count_atomically(void *arg, enum ui_smmuv3_irq irq)
{
	static atomic_uint n;

	atomic_fetch_add(&n, 1);
}

/* Nothing crashes, hangs, or is reported by the thread sanitizer; afterwards all is as new. */
static void everything_at_once(void)
{
	pthread_t readers[READERS], registers;
	u64 seed = 20261121, root, table;

	printf("seed %lu\n", (unsigned long)seed);
	rig_new(SID_BITS);
	rig.cfg.irq = count_atomically;
	rig_start();
	rig_enable(SID_BITS);
	root = root_of(PAGES);
	table = *at(root + ((u64)VA >> 39 & 511) * 8);
	for (uintptr_t i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, read_on, (void *)i), 0);
	assert_int_equal(pthread_create(&registers, NULL, write_registers, NULL), 0);
	for (unsigned i = 0; i < ROUNDS; i++)
		drive(&seed, root, table);
	set(&over, 1);
	for (unsigned i = 0; i < READERS; i++)
		pthread_join(readers[i], NULL);
	pthread_join(registers, NULL);
	ui_smmuv3_reset(rig.smmu);
	rig.cmd_prod = 0;
	rig_enable(SID_BITS);
	repair(root, table, SID);
	{
		struct ui_smmuv3_stream *stream = ui_smmuv3_stream_open(rig.smmu, SID);
		u64 val = 0;

		assert_int_equal(dma_read(stream, VA, 0, true, &val), UI_DMA_OK);
		assert_true(val == PAGES);
		ui_smmuv3_stream_close(stream);
	}
	rig_end();
}

int main(void)
{
	if (ui_safe_install())
		return 1;
	an_overtaken_reader_reads_again();
	commands_wait_for_whom_they_concern();
	turning_an_interrupt_off_waits_for_its_message();
	everything_at_once();
	return 0;
}
