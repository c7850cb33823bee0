/* SPDX-License-Identifier: MIT */
/* Accesses: bytes, faults, registers. */
#include "fake.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { RW = UI_PROT_READ | UI_PROT_WRITE };

static void setup(struct rig *r)
{
	rig_open(r);
	/* Every second page is swapped with its neighbour, so that pieces are neither all joined nor all apart. */
	for (u64 i = 0; i < 512; i++)
		fake_map(r->a->table, i * PAGE, RAM_PA + (i % 8 < 4 ? i : i ^ 1) * PAGE, 1, RW);
	fake_map(r->b->table, 0, RAM_PA + 512 * PAGE, 512, RW);
	for (size_t i = 0; i < 1024 * PAGE; i++)
		r->ram[i] = (u8)(i * 31 >> 3);
}

/* Where iova @iova of PASID 1 lies. */
static u8 *a_byte(struct rig *r, u64 iova)
{
	u64 i = iova / PAGE;

	return r->ram + (i % 8 < 4 ? i : i ^ 1) * PAGE + iova % PAGE;
}

static void read_write_and_fill_move_exactly_their_bytes(void **state)
{
	static u8 buf[300 * 1024];
	u64 seed = test_seed();
	struct rig r;

	setup(&r);
	for (int round = 0; round < 400; round++) {
		u64 n = next_random(&seed, next_random(&seed, 4) ? 9000 : sizeof(buf)), done = 77, at = next_random(&seed, 512 * PAGE - n);
		struct ui_dma_addr addr = at_pasid(1, at);
		u8 before = at ? *a_byte(&r, at - 1) : 0, after = *a_byte(&r, at + n);
		u64 pattern = seed * 77777;

		assert_int_equal(ui_dma_read(r.port, &addr, buf, n, &done, NULL), UI_DMA_OK);
		assert_int_equal(done, n);
		for (u64 i = 0; i < n; i++)
			assert_true(buf[i] == *a_byte(&r, at + i));
		for (u64 i = 0; i < n; i++)
			buf[i] = (u8)(i * 7 + (u64)round);
		assert_int_equal(ui_dma_write(r.port, &addr, buf, n, &done, NULL), UI_DMA_OK);
		for (u64 i = 0; i < n; i++)
			assert_true(buf[i] == *a_byte(&r, at + i));
		assert_int_equal(ui_dma_fill(r.port, &addr, pattern, n, &done, NULL), UI_DMA_OK);
		for (u64 i = 0; i < n; i++)
			assert_true((u8)(pattern >> 8 * (i % 8)) == *a_byte(&r, at + i));
		assert_true(done == n && *a_byte(&r, at + n) == after && (!at || *a_byte(&r, at - 1) == before));
	}
	rig_close(&r);
}

static void copy_and_compare_between_address_spaces(void **state)
{
	u64 seed = test_seed(), done;
	struct rig r;
	bool differs;

	setup(&r);
	for (int round = 0; round < 300; round++) {
		u64 n = 1 + next_random(&seed, next_random(&seed, 4) ? 9000 : 200000);
		struct ui_dma_addr src = at_pasid(1, next_random(&seed, 512 * PAGE - n)), dst = at_pasid(2, next_random(&seed, 512 * PAGE - n));
		u64 flip = next_random(&seed, n);

		assert_int_equal(ui_dma_copy(r.port, &src, &dst, n, &done, NULL), UI_DMA_OK);
		assert_int_equal(done, n);
		for (u64 i = 0; i < n; i++)
			assert_true(r.ram[512 * PAGE + dst.iova + i] == *a_byte(&r, src.iova + i));
		assert_int_equal(ui_dma_compare(r.port, &src, &dst, n, &differs, &done, NULL), UI_DMA_OK);
		assert_true(!differs && done == n);
		r.ram[512 * PAGE + dst.iova + flip] ^= 0x10;
		assert_int_equal(ui_dma_compare(r.port, &src, &dst, n, &differs, &done, NULL), UI_DMA_OK);
		assert_true(differs && done == flip);
	}
	rig_close(&r);
}

static void same_fault(const struct ui_fault *got, const struct ui_fault *want)
{
	assert_int_equal(got->reason, want->reason);
	assert_int_equal(got->rid, want->rid);
	assert_int_equal(got->pasid, want->pasid);
	assert_int_equal(got->has_pasid, want->has_pasid);
	assert_int_equal(got->access, want->access);
	assert_int_equal(got->stage, want->stage);
	assert_int_equal(got->level, want->level);
	assert_int_equal(got->on_walk, want->on_walk);
	assert_int_equal(got->iova, want->iova);
	assert_int_equal(got->ipa, want->ipa);
}

static void a_fault_says_exactly_what_was_refused(void **state)
{
	const struct ui_fault base = { .rid = 0x100, .pasid = 1, .has_pasid = true, .stage = 1 };
	struct ui_fault got, want = base;
	static u8 buf[8 * PAGE];
	struct ui_dma_stats stats;
	struct ui_dma_addr at;
	struct rig r;
	u64 done;

	setup(&r);
	/* Not mapped, in the third page of a read. */
	fake_unmap(r.a->table, 2 * PAGE, 1);
	at = at_pasid(1, 100);
	want.reason = UI_DMA_TRANSLATION, want.access = UI_PROT_READ, want.level = 1, want.iova = 2 * PAGE;
	assert_int_equal(ui_dma_read(r.port, &at, buf, 4 * PAGE, &done, &got), UI_DMA_TRANSLATION);
	assert_int_equal(done, 2 * PAGE - 100);
	same_fault(&got, &want);
	/* A write through a read-only mapping, by a privileged access. */
	fake_map(r.a->table, 2 * PAGE, RAM_PA, 1, UI_PROT_READ);
	at.priv = true;
	want.reason = UI_DMA_PERMISSION, want.access = UI_PROT_WRITE | UI_PROT_PRIV, want.level = 0;
	assert_int_equal(ui_dma_write(r.port, &at, buf, 4 * PAGE, &done, &got), UI_DMA_PERMISSION);
	assert_int_equal(done, 2 * PAGE - 100);
	same_fault(&got, &want);
	/* Outside the address space. */
	at = at_pasid(1, (u64)FAKE_PAGES * PAGE + 5);
	want = base, want.reason = UI_DMA_ADDR_SIZE, want.access = UI_PROT_READ, want.level = 1, want.iova = at.iova;
	assert_int_equal(ui_dma_read(r.port, &at, buf, 1, &done, &got), UI_DMA_ADDR_SIZE);
	same_fault(&got, &want);
	/* A range that wraps: nothing moves. */
	at = at_pasid(1, ~(u64)0 - 10);
	want = base, want.reason = UI_DMA_ADDR_SIZE, want.access = UI_PROT_WRITE, want.stage = 0, want.iova = at.iova;
	assert_int_equal(ui_dma_fill(r.port, &at, 0, 12, &done, &got), UI_DMA_ADDR_SIZE);
	assert_int_equal(done, 0);
	same_fault(&got, &want);
	/* The output address has no memory behind it. */
	fake_map(r.a->table, 3 * PAGE, 0x5000, 1, RW);
	at = at_pasid(1, 3 * PAGE + 8);
	want = base, want.reason = UI_DMA_ABORT, want.access = UI_PROT_READ, want.stage = 0, want.iova = at.iova;
	assert_int_equal(ui_dma_read(r.port, &at, buf, 8, &done, &got), UI_DMA_ABORT);
	same_fault(&got, &want);
	assert_int_equal(ui_dma_read(r.port, &at, buf, 8, NULL, NULL), UI_DMA_ABORT);
	/* Which side of a copy. */
	fake_unmap(r.b->table, PAGE, 1);
	at = at_pasid(1, 0x10000);
	want = base, want.reason = UI_DMA_TRANSLATION, want.pasid = 2, want.access = UI_PROT_WRITE, want.level = 1, want.iova = PAGE;
	assert_int_equal(ui_dma_copy(r.port, &at, &(struct ui_dma_addr){ .iova = 16, .pasid = 2, .has_pasid = true }, PAGE, &done, &got),
			 UI_DMA_TRANSLATION);
	assert_int_equal(done, PAGE - 16);
	same_fault(&got, &want);
	ui_dma_stats(r.port, &stats);
	assert_int_equal(stats.faults, 7);
	rig_close(&r);
}

static void nothing_attached_or_no_such_pasid(void **state)
{
	struct ui_dma_addr at = at_pasid(3, 0);
	struct ui_mem_span span;
	struct ui_fault f;
	struct rig r;
	u64 val;

	setup(&r);
	assert_int_equal(ui_dma_read(r.port, &at, &val, 8, NULL, &f), UI_DMA_BLOCKED);
	assert_true(f.stage == 0 && f.pasid == 3 && f.has_pasid && f.iova == 0);
	at.pasid = N_PASIDS;
	assert_int_equal(ui_dma_begin(r.port, &at, UI_PROT_WRITE, 8, &span, &f), UI_DMA_BAD_PASID);
	assert_int_equal(f.access, UI_PROT_WRITE);
	r.b->cfg.kind = UI_CFG_BLOCKED;
	at.pasid = 2;
	assert_int_equal(ui_dma_read(r.port, &at, &val, 8, NULL, &f), UI_DMA_BLOCKED);
	/* 0 bytes ask for nothing. */
	at.pasid = N_PASIDS;
	assert_int_equal(ui_dma_read(r.port, &at, NULL, 0, NULL, NULL), UI_DMA_OK);
	rig_close(&r);
}

static void each_pasid_and_none_reach_their_own_memory(void **state)
{
	struct ui_dma_addr none = { .iova = 0, .pasid = 0, .has_pasid = false };
	struct space *zero, *np;
	struct rig r;
	u64 val;

	setup(&r);
	zero = space_new(r.tr);
	np = space_new(r.tr);
	fake_map(zero->table, 0, RAM_PA + 1024 * PAGE, 1, RW);
	fake_map(np->table, 0, RAM_PA + 1025 * PAGE, 1, RW);
	atomic_store(&r.router.to[0], &zero->cfg);
	atomic_store(&r.router.to[NO_PASID], &np->cfg);
	for (u64 round = 0; round < 3; round++) {
		for (u32 p = 0; p < 3; p++) {
			struct ui_dma_addr at = at_pasid(p, 0);

			val = 0x1000 + p + round * 0x100;
			assert_int_equal(ui_dma_write(r.port, &at, &val, 8, NULL, NULL), UI_DMA_OK);
		}
		val = 0x1fff;
		assert_int_equal(ui_dma_write(r.port, &none, &val, 8, NULL, NULL), UI_DMA_OK);
		assert_int_equal(*(u64 *)(void *)(r.ram), 0x1001 + round * 0x100);
		assert_int_equal(*(u64 *)(void *)(r.ram + 512 * PAGE), 0x1002 + round * 0x100);
		assert_int_equal(*(u64 *)(void *)(r.ram + 1024 * PAGE), 0x1000 + round * 0x100);
		assert_int_equal(*(u64 *)(void *)(r.ram + 1025 * PAGE), 0x1fff);
	}
	atomic_store(&r.router.to[NO_PASID], NULL);
	assert_int_equal(ui_tr_sync(r.tr, &np->cfg), 0);
	assert_int_equal(ui_dma_read(r.port, &none, &val, 8, NULL, NULL), UI_DMA_BLOCKED);
	space_free(r.tr, zero);
	space_free(r.tr, np);
	rig_close(&r);
}

static void a_read_only_mapping_is_never_written(void **state)
{
	struct ui_dma_addr at = at_pasid(1, 0), other = at_pasid(2, 0);
	struct ui_mem_span span;
	struct rig r;
	u64 val;

	setup(&r);
	memset(r.ram, 0x5a, PAGE);
	fake_map(r.a->table, 0, RAM_PA, 1, UI_PROT_READ);
	for (int warm = 0; warm < 2; warm++) {
		val = 1;
		assert_int_equal(ui_dma_write(r.port, &at, &val, 8, NULL, NULL), UI_DMA_PERMISSION);
		assert_int_equal(ui_dma_fill(r.port, &at, 1, 64, NULL, NULL), UI_DMA_PERMISSION);
		assert_int_equal(ui_dma_copy(r.port, &other, &at, 64, NULL, NULL), UI_DMA_PERMISSION);
		assert_int_equal(ui_dma_begin(r.port, &at, UI_PROT_WRITE, 8, &span, NULL), UI_DMA_PERMISSION);
		assert_int_equal(ui_dma_read(r.port, &at, &val, 8, NULL, NULL), UI_DMA_OK);
	}
	/* Likewise memory that is read-only, whatever the mapping. */
	assert_int_equal(ui_mem_add_ram(r.mem, 0x10000, PAGE, r.ram, false), 0);
	fake_map(r.a->table, PAGE, 0x10000, 1, RW);
	at.iova = PAGE;
	for (int warm = 0; warm < 2; warm++) {
		assert_int_equal(ui_dma_write(r.port, &at, &val, 8, NULL, NULL), UI_DMA_ABORT);
		assert_int_equal(ui_dma_read(r.port, &at, &val, 8, NULL, NULL), UI_DMA_OK);
	}
	for (int i = 0; i < PAGE; i++)
		assert_int_equal(r.ram[i], 0x5a);
	rig_close(&r);
}

static void a_handle_is_one_contiguous_piece(void **state)
{
	struct ui_dma_addr at = at_pasid(1, 4 * PAGE - 10);
	struct ui_mem_span span;
	struct rig r;

	setup(&r);
	/* Pages 0 to 3 lie in order, 4 and 5 are swapped. */
	assert_int_equal(ui_dma_begin(r.port, &at, RW, 3 * PAGE, &span, NULL), UI_DMA_OK);
	assert_true(span.host == r.ram + 4 * PAGE - 10 && span.n_bytes == 10 && span.writable);
	ui_dma_end(r.port);
	at.iova = 16;
	assert_int_equal(ui_dma_begin(r.port, &at, UI_PROT_READ, 9 * PAGE, &span, NULL), UI_DMA_OK);
	assert_true(span.host == r.ram + 16 && span.n_bytes == 4 * PAGE - 16 && !span.writable);
	ui_dma_end(r.port);
	at = at_pasid(2, 0);
	assert_int_equal(ui_dma_begin(r.port, &at, UI_PROT_READ, 512 * PAGE, &span, NULL), UI_DMA_OK);
	assert_true(span.n_bytes == 64 * 1024);
	ui_dma_end(r.port);
	rig_close(&r);
}

static void bypass_is_iova_to_pa(void **state)
{
	struct ui_stage_config cfg = { .kind = UI_CFG_BYPASS };
	struct ui_dma_addr at = at_pasid(4, RAM_PA + 100), bad = at_pasid(4, RAM_PA + RAM_BYTES - 4);
	struct ui_fault f;
	struct ui_walk w;
	struct rig r;
	u64 val, done;

	setup(&r);
	atomic_store(&r.router.to[4], &cfg);
	assert_int_equal(ui_dma_read(r.port, &at, &val, 8, NULL, NULL), UI_DMA_OK);
	assert_memory_equal(&val, r.ram + 100, 8);
	assert_int_equal(ui_dma_read(r.port, &bad, &val, 8, &done, &f), UI_DMA_ABORT);
	assert_true(done == 4 && f.iova == RAM_PA + RAM_BYTES && f.stage == 0);
	assert_int_equal(ui_dma_translate(r.port, &at, UI_PROT_READ, &w, NULL), UI_DMA_OK);
	assert_true(w.oa == at.iova);
	rig_close(&r);
}

/* Registers that note each access. */
struct regs {
	u8 bytes[2 * PAGE];
	struct {
		u64 offset;
		unsigned n_bytes;
		bool write;
	} log[64];
	unsigned n;
	u64 dead; /* nobody answers from here on */
};

static bool regs_touch(struct regs *g, u64 offset, unsigned n_bytes, bool write)
{
	if (offset >= g->dead)
		return false;
	if (g->n < 64) {
		g->log[g->n].offset = offset;
		g->log[g->n].n_bytes = n_bytes;
		g->log[g->n].write = write;
	}
	g->n++;
	return true;
}

static bool regs_read(void *arg, u64 offset, unsigned n_bytes, u64 *val)
{
	struct regs *g = arg;

	memcpy(val, g->bytes + offset, n_bytes);
	return regs_touch(g, offset, n_bytes, false);
}

static bool regs_write(void *arg, u64 offset, unsigned n_bytes, u64 val)
{
	struct regs *g = arg;

	if (!regs_touch(g, offset, n_bytes, true))
		return false;
	memcpy(g->bytes + offset, &val, n_bytes);
	return true;
}

static const struct ui_mem_mmio_ops regs_ops = { regs_read, regs_write };
static struct regs regs;

static void setup_regs(struct rig *r)
{
	setup(r);
	memset(&regs, 0, sizeof(regs));
	regs.dead = sizeof(regs.bytes);
	assert_int_equal(ui_mem_add_mmio(r->mem, 0x20000, sizeof(regs.bytes), &regs_ops, &regs), 0);
	fake_map(r->a->table, 600 * PAGE, 0x20000, 2, RW);
	for (size_t i = 0; i < sizeof(regs.bytes); i++)
		regs.bytes[i] = (u8)(i * 13);
}

static void registers_see_naturally_aligned_accesses(void **state)
{
	static const unsigned widths[] = { 1, 2, 4, 8, 8, 2, 1 };
	struct ui_dma_addr at = at_pasid(1, 600 * PAGE + 1);
	u64 offset = 1;
	struct rig r;
	u8 buf[26], again[26];

	setup_regs(&r);
	assert_int_equal(ui_dma_read(r.port, &at, buf, 26, NULL, NULL), UI_DMA_OK);
	assert_memory_equal(buf, regs.bytes + 1, 26);
	assert_int_equal(regs.n, 7);
	for (unsigned i = 0; i < 7; i++) {
		assert_true(regs.log[i].offset == offset && regs.log[i].n_bytes == widths[i] && !regs.log[i].write);
		offset += widths[i];
	}
	for (unsigned i = 0; i < 26; i++)
		buf[i] = (u8)(i + 100);
	assert_int_equal(ui_dma_write(r.port, &at, buf, 26, NULL, NULL), UI_DMA_OK);
	assert_memory_equal(buf, regs.bytes + 1, 26);
	assert_true(regs.n == 14 && regs.log[10].n_bytes == 8 && regs.log[10].write);
	assert_int_equal(ui_dma_read(r.port, &at, again, 26, NULL, NULL), UI_DMA_OK);
	assert_memory_equal(buf, again, 26);
	assert_int_equal(ui_dma_fill(r.port, &at, 0x0807060504030201, 10, NULL, NULL), UI_DMA_OK);
	assert_memory_equal(regs.bytes + 1, "\1\2\3\4\5\6\7\10\1\2", 10);
	rig_close(&r);
}

static void registers_on_either_side_of_a_copy(void **state)
{
	struct ui_dma_addr reg = at_pasid(1, 600 * PAGE + 4000), mem = at_pasid(2, 4), reg2 = at_pasid(1, 601 * PAGE + 1000);
	struct ui_fault f;
	struct rig r;
	bool differs;
	u64 done;

	setup_regs(&r);
	assert_int_equal(ui_dma_copy(r.port, &reg, &mem, 1000, &done, NULL), UI_DMA_OK);
	assert_int_equal(done, 1000);
	assert_memory_equal(r.ram + 512 * PAGE + 4, regs.bytes + 4000, 1000);
	assert_int_equal(ui_dma_compare(r.port, &reg, &mem, 1000, &differs, &done, NULL), UI_DMA_OK);
	assert_true(!differs && done == 1000);
	r.ram[512 * PAGE + 4 + 700] ^= 1;
	assert_int_equal(ui_dma_compare(r.port, &mem, &reg, 1000, &differs, &done, NULL), UI_DMA_OK);
	assert_true(differs && done == 700);
	assert_int_equal(ui_dma_copy(r.port, &mem, &reg2, 1000, &done, NULL), UI_DMA_OK);
	assert_memory_equal(r.ram + 512 * PAGE + 4, regs.bytes + PAGE + 1000, 1000);
	assert_int_equal(ui_dma_copy(r.port, &reg2, &reg, 900, &done, NULL), UI_DMA_OK);
	assert_memory_equal(regs.bytes + 4000, regs.bytes + PAGE + 1000, 900);
	/* Nobody answers from an offset on: exactly what came before is done. */
	regs.dead = 4096 + 64;
	assert_int_equal(ui_dma_copy(r.port, &mem, &reg, 1000, &done, &f), UI_DMA_ABORT);
	assert_true(done == 160 && f.access == UI_PROT_WRITE && f.iova == 601 * PAGE + 64);
	assert_int_equal(ui_dma_copy(r.port, &reg, &mem, 1000, &done, &f), UI_DMA_ABORT);
	assert_true(done == 160 && f.access == UI_PROT_READ && f.iova == 601 * PAGE + 64 && f.pasid == 1);
	rig_close(&r);
}

static void statistics_count(void **state)
{
	struct ui_dma_addr at = at_pasid(1, 0), to = at_pasid(2, 0);
	static u8 buf[4 * PAGE];
	struct ui_dma_stats s;
	struct rig r;

	setup(&r);
	ui_dma_read(r.port, &at, buf, 4 * PAGE, NULL, NULL);
	ui_dma_stats(r.port, &s);
	assert_true(s.tlb_misses == 4 && s.walks == 4 && s.tlb_hits == 0 && s.bytes == 4 * PAGE && s.faults == 0);
	ui_dma_write(r.port, &at, buf, 4 * PAGE, NULL, NULL);
	ui_dma_stats(r.port, &s);
	assert_true(s.tlb_misses == 4 && s.walks == 4 && s.tlb_hits == 4 && s.bytes == 8 * PAGE);
	ui_dma_copy(r.port, &at, &to, 100, NULL, NULL);
	ui_dma_stats(r.port, &s);
	assert_true(s.bytes == 8 * PAGE + 2 * 100 && s.dmas == 4);
	rig_close(&r);
}

static void keep_fault(void *arg, const struct ui_fault *fault)
{
	struct ui_fault *kept = arg;

	*kept = *fault;
	kept->level++; /* so that a second call for a fault would show */
}

static void the_sink_gets_each_fault_once(void **state)
{
	struct ui_dma_addr gap = at_pasid(1, 1000 * PAGE), far = at_pasid(2, 4), nobody = at_pasid(5, 8);
	struct ui_fault got = { 0 };
	struct ui_mem_span span;
	struct ui_walk w;
	struct rig r;
	u64 val;

	setup(&r);
	ui_dma_set_fault_sink(r.port, keep_fault, &got);
	assert_int_equal(ui_dma_read(r.port, &gap, &val, 8, NULL, NULL), UI_DMA_TRANSLATION);
	assert_true(got.level == 2 && got.iova == gap.iova && got.rid == 0x100 && got.pasid == 1);
	assert_int_equal(ui_dma_copy(r.port, &far, &gap, 8, NULL, NULL), UI_DMA_TRANSLATION);
	assert_true(got.level == 2 && got.access == UI_PROT_WRITE);
	assert_int_equal(ui_dma_begin(r.port, &nobody, UI_PROT_READ, 8, &span, NULL), UI_DMA_BLOCKED);
	assert_true(got.level == 1 && got.pasid == 5 && got.iova == 8);
	got.level = 77;
	assert_int_equal(ui_dma_translate(r.port, &gap, UI_PROT_READ, &w, NULL), UI_DMA_TRANSLATION);
	assert_int_equal(got.level, 77);
	rig_close(&r);
}

static void every_failed_allocation_is_reported_and_leaks_nothing(void **state)
{
	u64 live = ui_alloc_live();
	struct rig r;

	for (u64 n = 1;; n++) {
		struct ui_mem *mem;
		struct ui_tr *tr = NULL;
		struct ui_dma *dma = NULL;
		u32 tag = 0;
		bool ok;

		ui_inject_arm(n);
		mem = ui_mem_create_process();
		if (mem)
			tr = ui_tr_create(mem);
		if (tr && !ui_tr_tag_alloc(tr, &tag))
			dma = ui_dma_open(tr, 0, route, &r.router);
		ok = dma != NULL;
		ui_inject_arm(0);
		ui_dma_close(dma);
		if (tag)
			ui_tr_tag_free(tr, tag);
		ui_tr_destroy(tr);
		ui_mem_destroy(mem);
		assert_int_equal(ui_alloc_live(), live);
		if (ok)
			break;
		assert_true(n < 20);
	}
}

static void every_status_has_a_name(void **state)
{
	for (unsigned i = 0; i < UI_DMA_N_STATUS; i++) {
		assert_non_null(ui_dma_status_name(i));
		assert_string_not_equal(ui_dma_status_name(i), "unknown");
	}
	assert_string_equal(ui_dma_status_name(UI_DMA_N_STATUS), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(read_write_and_fill_move_exactly_their_bytes),
		cmocka_unit_test(copy_and_compare_between_address_spaces),
		cmocka_unit_test(a_fault_says_exactly_what_was_refused),
		cmocka_unit_test(nothing_attached_or_no_such_pasid),
		cmocka_unit_test(each_pasid_and_none_reach_their_own_memory),
		cmocka_unit_test(a_read_only_mapping_is_never_written),
		cmocka_unit_test(a_handle_is_one_contiguous_piece),
		cmocka_unit_test(bypass_is_iova_to_pa),
		cmocka_unit_test(registers_see_naturally_aligned_accesses),
		cmocka_unit_test(registers_on_either_side_of_a_copy),
		cmocka_unit_test(statistics_count),
		cmocka_unit_test(the_sink_gets_each_fault_once),
		cmocka_unit_test(every_failed_allocation_is_reported_and_leaks_nothing),
		cmocka_unit_test(every_status_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
