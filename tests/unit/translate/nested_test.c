/* SPDX-License-Identifier: MIT */
/* Walks of real tables: one stage and two, every format over every other, against plain maps of what was mapped. */
#include "fake.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { RW = UI_PROT_READ | UI_PROT_WRITE, POOL_PAGES = 1024, WINDOW = 4096 /* pages */ };

/* Table pages out of one piece of host memory, which has addresses of its own (pa, or ipa for a stage 1 over another). */
struct pool {
	struct ui_pt_pages pages;
	u8 *host;
	u64 base;
	u64 used;
};

static void *pool_alloc(struct ui_pt_pages *pages, size_t n_bytes)
{
	struct pool *p = ui_container_of(pages, struct pool, pages);
	u64 at = ui_align_up(p->used, n_bytes);

	if (at + n_bytes > POOL_PAGES * PAGE)
		return NULL;
	p->used = at + n_bytes;
	return p->host + at;
}

static void pool_free(struct ui_pt_pages *pages, void *page, size_t n_bytes)
{
}

static void pool_init(struct pool *p, u64 base)
{
	p->host = ui_zalloc_aligned(POOL_PAGES * PAGE, POOL_PAGES * PAGE);
	assert_non_null(p->host);
	p->base = base;
	p->used = 0;
	p->pages = (struct ui_pt_pages){ pool_alloc, pool_free, (uintptr_t)p->host - base };
}

struct shape {
	enum ui_pt_format format;
	u8 ia_bits, oa_bits;
};

static const struct shape shapes[] = {
	{ UI_PT_X86_64, 48, 48 }, { UI_PT_X86_64, 57, 52 }, { UI_PT_VTDSS, 39, 48 }, { UI_PT_VTDSS, 48, 48 },
	{ UI_PT_VTDSS, 57, 52 },  { UI_PT_ARM_S1, 48, 48 }, { UI_PT_ARM_S1, 39, 48 }, { UI_PT_ARM_S2, 40, 48 }, { UI_PT_ARM_S2, 48, 48 },
};

/* One stage with its plain map: a window of pages from @start. */
struct stage {
	struct ui_pt pt;
	struct pool pool;
	u64 start;
	u64 oa[WINDOW]; /* 0: not mapped */
	u8 prot[WINDOW];
};

static void stage_init(struct stage *s, const struct shape *shape, u64 pool_base, u64 start, bool dirty_track)
{
	struct ui_pt_cfg cfg = { .format = shape->format, .granule_lg2 = 12, .ia_bits = shape->ia_bits, .oa_bits = shape->oa_bits,
				 .dirty_track = dirty_track };

	memset(s, 0, sizeof(*s));
	pool_init(&s->pool, pool_base);
	s->start = start;
	cfg.pages = &s->pool.pages;
	assert_int_equal(ui_pt_init(&s->pt, &cfg), 0);
}

static void stage_map(struct stage *s, u64 page, u64 n, u64 oa, unsigned prot)
{
	struct ui_pt_gather g = { 0 };

	for (u64 i = 0; i < n; i++)
		if (s->oa[page + i])
			return;
	assert_int_equal(s->pt.ops->map(&s->pt, s->start + page * PAGE, oa, n * PAGE, prot, &g), 0);
	for (u64 i = 0; i < n; i++) {
		s->oa[page + i] = oa + i * PAGE;
		s->prot[page + i] = (u8)prot;
	}
}

/* Maps to @oa onwards, in runs that often can be large leaves. */
static void stage_randomise(struct stage *s, u64 oa, u64 oa_pages, u64 *seed)
{
	for (int i = 0; i < 60; i++) {
		bool large = !next_random(seed, 4);
		u64 n = large ? 512 : 1 + next_random(seed, 20), page = next_random(seed, WINDOW - n), to = next_random(seed, oa_pages - n);

		if (large) {
			page = ui_align_down(page, 512);
			to = ui_align_down(to, 512);
		}
		stage_map(s, page, n, oa + to * PAGE, next_random(seed, 3) ? RW : UI_PROT_READ);
	}
}

static void stage_fini(struct stage *s)
{
	ui_pt_fini(&s->pt);
	ui_free(s->pool.host);
}

static struct ui_stage by_memory(const struct stage *s)
{
	struct ui_stage st = { .present = true };

	ui_pt_walk_cfg(&s->pt, &st.walk);
	return st;
}

static struct ui_stage by_pointer(const struct stage *s)
{
	return (struct ui_stage){ .present = true, .pt = &s->pt };
}

#define IOVA_START ((u64)0x40000000)
#define IPA_START ((u64)0x80000000)
#define S1_TABLES_IPA ((u64)0x20000000)
#define S1_TABLES_PA ((u64)0x1000000000)
#define S2_TABLES_PA ((u64)0x1100000000)

struct bench {
	struct rig rig;
	struct stage s1, s2;
	struct ui_stage_config cfg;
};

static void open_bench(struct bench *b, const struct shape *f1, const struct shape *f2, bool nested, bool dirty_track)
{
	struct stage *s2 = &b->s2;
	struct ui_pt_gather g = { 0 };

	rig_open(&b->rig);
	stage_init(&b->s1, f1, nested ? S1_TABLES_IPA : S1_TABLES_PA, IOVA_START, dirty_track);
	assert_int_equal(ui_mem_add_ram(b->rig.mem, S1_TABLES_PA, POOL_PAGES * PAGE, b->s1.pool.host, true), 0);
	stage_init(s2, f2, S2_TABLES_PA, IPA_START, dirty_track);
	assert_int_equal(ui_mem_add_ram(b->rig.mem, S2_TABLES_PA, POOL_PAGES * PAGE, s2->pool.host, true), 0);
	/* Stage 2 maps the tables of stage 1, for the walker's reads and marks. */
	assert_int_equal(s2->pt.ops->map(&s2->pt, S1_TABLES_IPA, S1_TABLES_PA, POOL_PAGES * PAGE, RW, &g), 0);
	b->cfg = (struct ui_stage_config){ .kind = UI_CFG_TRANSLATE };
	assert_int_equal(ui_tr_tag_alloc(b->rig.tr, &b->cfg.tag), 0);
	atomic_store(&b->rig.router.to[4], &b->cfg);
}

static void close_bench(struct bench *b)
{
	atomic_store(&b->rig.router.to[4], NULL);
	ui_tr_tag_free(b->rig.tr, b->cfg.tag);
	stage_fini(&b->s1);
	stage_fini(&b->s2);
	rig_close(&b->rig);
}

/* What one stage says of @addr by its plain map; UI_DMA_OK with *@oa. */
static enum ui_dma_status plain(const struct stage *s, u64 addr, unsigned access, u64 *oa)
{
	u64 page = (addr - s->start) / PAGE;

	if (addr < s->start || page >= WINDOW || !s->oa[page])
		return UI_DMA_TRANSLATION;
	if (access & RW & ~s->prot[page])
		return UI_DMA_PERMISSION;
	*oa = s->oa[page] + addr % PAGE;
	return UI_DMA_OK;
}

static void same_as_composed(struct bench *b, bool two, u64 *seed)
{
	for (int i = 0; i < 600; i++) {
		struct ui_dma_addr at = at_pasid(4, IOVA_START + next_random(seed, WINDOW * PAGE));
		unsigned access = next_random(seed, 2) ? UI_PROT_READ : UI_PROT_WRITE;
		struct ui_fault f = { 0 };
		struct ui_walk w = { 0 };
		u64 ipa = 0, pa = 0;
		u8 stage = 1;
		enum ui_dma_status want = plain(&b->s1, at.iova, access, &ipa), got;

		pa = ipa;
		if (two && want == UI_DMA_OK) {
			want = plain(&b->s2, ipa, access, &pa);
			stage = 2;
		}
		got = ui_dma_translate(b->rig.port, &at, access, &w, &f);
		assert_int_equal(got, want);
		if (want == UI_DMA_OK) {
			assert_int_equal(w.oa, pa);
			continue;
		}
		assert_int_equal(f.stage, stage);
		assert_int_equal(f.ipa, stage == 2 ? ipa : 0);
		assert_int_equal(f.iova, at.iova);
		assert_false(f.on_walk);
	}
}

static void two_stages_are_the_composition_of_both(void **state)
{
	static struct bench b;
	u64 seed = test_seed();

	for (size_t i = 0; i < ui_array_size(shapes); i++) {
		for (size_t k = 0; k < ui_array_size(shapes); k++) {
			open_bench(&b, &shapes[i], &shapes[k], true, false);
			stage_randomise(&b.s1, IPA_START, WINDOW, &seed);
			stage_randomise(&b.s2, RAM_PA, RAM_BYTES / PAGE, &seed);
			for (int direct = 0; direct < 4; direct++) {
				b.cfg.s1 = direct & 1 ? by_pointer(&b.s1) : by_memory(&b.s1);
				b.cfg.s2 = direct & 2 ? by_pointer(&b.s2) : by_memory(&b.s2);
				ui_tr_invalidate_tag(b.rig.tr, &b.cfg);
				same_as_composed(&b, true, &seed);
			}
			close_bench(&b);
		}
	}
}

static void one_stage_is_the_map(void **state)
{
	static struct bench b;
	u64 seed = test_seed();

	for (size_t i = 0; i < ui_array_size(shapes); i++) {
		open_bench(&b, &shapes[i], &shapes[i], false, false);
		stage_randomise(&b.s1, RAM_PA, RAM_BYTES / PAGE, &seed);
		for (int direct = 0; direct < 2; direct++) {
			b.cfg.s1 = direct ? by_pointer(&b.s1) : by_memory(&b.s1);
			ui_tr_invalidate_tag(b.rig.tr, &b.cfg);
			same_as_composed(&b, false, &seed);
		}
		close_bench(&b);
	}
}

static void stage_2_alone_takes_the_iova(void **state)
{
	static struct bench b;
	struct ui_dma_addr at = at_pasid(4, IPA_START + 3 * PAGE + 5);
	struct ui_fault f;
	struct ui_walk w;

	open_bench(&b, &shapes[0], &shapes[3], true, false);
	stage_map(&b.s2, 3, 1, RAM_PA, UI_PROT_READ);
	b.cfg.s2 = by_memory(&b.s2);
	assert_int_equal(ui_dma_translate(b.rig.port, &at, UI_PROT_READ, &w, NULL), UI_DMA_OK);
	assert_true(w.oa == RAM_PA + 5);
	assert_int_equal(ui_dma_translate(b.rig.port, &at, UI_PROT_WRITE, &w, &f), UI_DMA_PERMISSION);
	assert_true(f.stage == 2 && f.ipa == at.iova && f.iova == at.iova && !f.on_walk && f.level == 0);
	close_bench(&b);
}

static void a_leaf_is_as_large_as_the_smaller_of_both(void **state)
{
	static struct bench b;
	struct ui_dma_addr at = at_pasid(4, IOVA_START + PAGE), next = at_pasid(4, IOVA_START + 512 * PAGE);
	struct ui_walk w;

	open_bench(&b, &shapes[0], &shapes[3], true, false);
	stage_map(&b.s1, 0, 1024, IPA_START, RW);
	stage_map(&b.s2, 0, 512, RAM_PA, RW);
	stage_map(&b.s2, 512, 100, RAM_PA + 512 * PAGE, UI_PROT_READ);
	b.cfg.s1 = by_memory(&b.s1);
	b.cfg.s2 = by_memory(&b.s2);
	assert_int_equal(ui_dma_translate(b.rig.port, &at, UI_PROT_READ, &w, NULL), UI_DMA_OK);
	assert_true(w.leaf_lg2 == 21 && (w.prot & RW) == RW);
	assert_int_equal(ui_dma_translate(b.rig.port, &next, UI_PROT_READ, &w, NULL), UI_DMA_OK);
	assert_true(w.leaf_lg2 == 12 && (w.prot & RW) == UI_PROT_READ);
	close_bench(&b);
}

/* Stage 2 stands in the way of the walk of stage 1 itself. */
static void stage_2_refuses_a_table_of_stage_1(void **state)
{
	static struct bench b;
	struct ui_dma_addr at = at_pasid(4, IOVA_START);
	struct ui_pt_gather g = { 0 };
	struct ui_fault f;
	struct ui_walk w;
	u64 entry_ipa;

	open_bench(&b, &shapes[0], &shapes[3], true, true);
	stage_map(&b.s1, 0, 1, IPA_START, RW);
	stage_map(&b.s2, 0, 1, RAM_PA, RW);
	b.cfg.s1 = by_memory(&b.s1);
	b.cfg.s2 = by_pointer(&b.s2);
	/* The tables may be read only: reads go through, marking an entry dirty does not. */
	assert_true(b.s2.pt.ops->unmap(&b.s2.pt, S1_TABLES_IPA, S1_TABLES_IPA + POOL_PAGES * PAGE - 1, UI_PT_SPLIT, &g) > 0);
	assert_int_equal(b.s2.pt.ops->map(&b.s2.pt, S1_TABLES_IPA, S1_TABLES_PA, POOL_PAGES * PAGE, UI_PROT_READ, &g), 0);
	assert_int_equal(ui_dma_translate(b.rig.port, &at, UI_PROT_WRITE, &w, &f), UI_DMA_PERMISSION);
	assert_true(f.stage == 2 && f.on_walk && f.access == UI_PROT_WRITE && f.iova == IOVA_START);
	assert_true(f.ipa >= S1_TABLES_IPA && f.ipa < S1_TABLES_IPA + b.s1.pool.used);
	/* The top table is gone. */
	assert_true(b.s2.pt.ops->unmap(&b.s2.pt, S1_TABLES_IPA, S1_TABLES_IPA + POOL_PAGES * PAGE - 1, UI_PT_SPLIT, &g) > 0);
	entry_ipa = b.s1.pt.top_pa + (IOVA_START >> 39) * 8;
	assert_int_equal(ui_dma_translate(b.rig.port, &at, UI_PROT_READ, &w, &f), UI_DMA_TRANSLATION);
	assert_true(f.stage == 2 && f.on_walk && f.ipa == entry_ipa);
	ui_pt_gather_free(&b.s2.pt, &g);
	close_bench(&b);
}

/* Promise 12 over two stages: both leaves are marked before an entry is writable. */
static void a_write_marks_both_stages_dirty(void **state)
{
	static struct bench b;
	struct ui_dma_addr at = at_pasid(4, IOVA_START);
	struct ui_walk w;

	open_bench(&b, &shapes[0], &shapes[3], true, true);
	stage_map(&b.s1, 0, 1, IPA_START, RW);
	stage_map(&b.s2, 0, 1, RAM_PA, RW);
	b.cfg.s1 = by_memory(&b.s1);
	b.cfg.s2 = by_memory(&b.s2);
	assert_int_equal(ui_dma_translate(b.rig.port, &at, UI_PROT_READ, &w, NULL), UI_DMA_OK);
	assert_false(w.dirty);
	assert_int_equal(ui_dma_translate(b.rig.port, &at, UI_PROT_WRITE, &w, NULL), UI_DMA_OK);
	assert_true(w.dirty);
	assert_int_equal(b.s1.pt.ops->walk(&b.s1.pt, IOVA_START, 0, &w), UI_WALK_OK);
	assert_true(w.dirty);
	assert_int_equal(b.s2.pt.ops->walk(&b.s2.pt, IPA_START, 0, &w), UI_WALK_OK);
	assert_true(w.dirty);
	close_bench(&b);
}

/* A look without an access marks nothing, so that it must not let a later access off. */
static void a_look_leaves_no_entry(void **state)
{
	static struct bench b;
	struct ui_dma_addr at = at_pasid(4, IOVA_START);
	struct ui_dma_stats s;
	struct ui_walk w;

	open_bench(&b, &shapes[0], &shapes[3], false, true);
	stage_map(&b.s1, 0, 1, RAM_PA, RW);
	b.cfg.s1 = by_pointer(&b.s1);
	for (int i = 0; i < 2; i++)
		assert_int_equal(ui_dma_translate(b.rig.port, &at, 0, &w, NULL), UI_DMA_OK);
	ui_dma_stats(b.rig.port, &s);
	assert_int_equal(s.tlb_hits, 0);
	close_bench(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_stage_is_the_map),
		cmocka_unit_test(two_stages_are_the_composition_of_both),
		cmocka_unit_test(stage_2_alone_takes_the_iova),
		cmocka_unit_test(a_leaf_is_as_large_as_the_smaller_of_both),
		cmocka_unit_test(stage_2_refuses_a_table_of_stage_1),
		cmocka_unit_test(a_write_marks_both_stages_dirty),
		cmocka_unit_test(a_look_leaves_no_entry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
