/* SPDX-License-Identifier: MIT */
/* Stage 1 in two halves: which address goes where, what TLBs keep of it, and a lower half that changes under a shared upper one. */
#include "fake.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { R = UI_PROT_READ, W = UI_PROT_WRITE, POOL_PAGES = 64 };

#define UPPER(offset) ((offset) - UI_BIT(39))
#define LOW_PA RAM_PA
#define OTHER_PA (RAM_PA + 64 * PAGE)
#define HIGH_PA (RAM_PA + 128 * PAGE)

struct table {
	struct ui_pt pt;
	struct ui_pt_pages pages;
	u8 *host;
	u64 used;
};

static void *pool_alloc(struct ui_pt_pages *pages, size_t n_bytes)
{
	struct table *t = ui_container_of(pages, struct table, pages);
	u64 at = ui_align_up(t->used, n_bytes);

	t->used = at + n_bytes;
	assert_true(t->used <= POOL_PAGES * PAGE);
	return t->host + at;
}

static void pool_free(struct ui_pt_pages *pages, void *page, size_t n_bytes)
{
}

/* A table of 39 bits with 8 pages and a leaf of 2 MiB at @base + 4 MiB, that go to @pa. */
static void table_open(struct table *t, bool upper, u64 pa)
{
	const struct ui_pt_cfg cfg = { .format = UI_PT_ARM_S1, .granule_lg2 = 12, .ia_bits = 39, .oa_bits = 48, .upper = upper,
				       .global = upper, .pages = &t->pages };
	u64 base = upper ? UPPER(0) : 0;

	*t = (struct table){ .host = ui_zalloc_aligned(POOL_PAGES * PAGE, POOL_PAGES * PAGE) };
	assert_non_null(t->host);
	t->pages = (struct ui_pt_pages){ pool_alloc, pool_free, (uintptr_t)t->host - UI_BIT(30) };
	assert_int_equal(ui_pt_init(&t->pt, &cfg), 0);
	assert_int_equal(t->pt.ops->map(&t->pt, base, pa, 8 * PAGE, R | W, NULL), 0);
	assert_int_equal(t->pt.ops->map(&t->pt, base + UI_BIT(22), RAM_PA, UI_BIT(21), R | W, NULL), 0);
}

static void table_close(struct table *t)
{
	ui_pt_fini(&t->pt);
	ui_free(t->host);
}

struct halves {
	struct rig rig;
	struct table low, other, high;
	/* Two processes that share the upper half; at PASIDs 1 and 2. */
	struct ui_stage_config *one, *two;
};

static void halves_open(struct halves *h, u8 flags)
{
	rig_open(&h->rig);
	table_open(&h->low, false, LOW_PA);
	table_open(&h->other, false, OTHER_PA);
	table_open(&h->high, true, HIGH_PA);
	h->one = &h->rig.a->cfg;
	h->two = &h->rig.b->cfg;
	h->one->s1.pt = &h->low.pt;
	h->two->s1.pt = &h->other.pt;
	h->one->s1_upper = h->two->s1_upper = (struct ui_stage){ .pt = &h->high.pt, .present = true };
	h->one->halves = h->two->halves = UI_HALVES | flags;
}

static void halves_close(struct halves *h)
{
	rig_close(&h->rig);
	table_close(&h->low);
	table_close(&h->other);
	table_close(&h->high);
}

/* The pa that @iova leads to; 0: not mapped. */
static u64 pa_of(struct halves *h, u32 pasid, u64 iova)
{
	struct ui_dma_addr at = at_pasid(pasid, iova);
	struct ui_fault fault;
	struct ui_walk w;

	if (ui_dma_translate(h->rig.port, &at, R, &w, &fault) == UI_DMA_OK)
		return w.oa;
	assert_true(fault.reason == UI_DMA_TRANSLATION && fault.stage == 1 && fault.iova == iova);
	return 0;
}

static u64 n_missed(struct halves *h)
{
	struct ui_dma_stats s;

	ui_dma_stats(h->rig.port, &s);
	return s.tlb_misses;
}

/* hw-formats 2.3: all bits above a half's range equal bit 55. */
static void an_address_selects_its_half(void **state)
{
	struct halves h;

	halves_open(&h, 0);
	for (int again = 0; again < 2; again++) { /* by a walk, then by the TLB */
		assert_true(pa_of(&h, 1, 5) == LOW_PA + 5 && pa_of(&h, 2, 5) == OTHER_PA + 5);
		assert_true(pa_of(&h, 1, UPPER(PAGE)) == HIGH_PA + PAGE && pa_of(&h, 2, UPPER(PAGE)) == HIGH_PA + PAGE);
		assert_true(pa_of(&h, 1, UPPER(UI_BIT(22) + 7)) == RAM_PA + 7);
		assert_true(pa_of(&h, 1, UI_BIT(39)) == 0 && pa_of(&h, 1, UI_BIT(55)) == 0 && pa_of(&h, 1, UPPER(0) - PAGE) == 0);
		assert_true(pa_of(&h, 1, UI_BIT(56) + 5) == 0 && pa_of(&h, 1, UPPER(5) ^ UI_BIT(63)) == 0);
	}
	halves_close(&h);
}

/* EPD0, EPD1. */
static void a_disabled_half_is_not_walked(void **state)
{
	static const u8 off[] = { UI_HALVES_NO_LOWER, UI_HALVES_NO_UPPER };

	for (unsigned half = 0; half < 2; half++) {
		struct ui_dma_addr at = at_pasid(1, half ? UPPER(0) : 0);
		struct ui_fault fault;
		struct ui_walk w;
		struct halves h;

		halves_open(&h, off[half]);
		assert_int_equal(ui_dma_translate(h.rig.port, &at, R, &w, &fault), UI_DMA_TRANSLATION);
		assert_true(fault.stage == 1 && fault.level == 3);
		assert_int_equal(pa_of(&h, 1, half ? 0 : UPPER(0)), half ? LOW_PA : HIGH_PA);
		halves_close(&h);
	}
}

/* TBI0, TBI1: the byte is part of the address that faults name, and of none that a TLB knows. */
static void the_top_byte_is_ignored_where_it_is_said(void **state)
{
	struct halves h;
	u64 before;

	for (unsigned both = 0; both < 2; both++) {
		halves_open(&h, UI_HALVES_LOWER_TBI | (both ? UI_HALVES_UPPER_TBI : 0));
		assert_int_equal(pa_of(&h, 1, UI_BIT(56) + PAGE), LOW_PA + PAGE);
		before = n_missed(&h);
		assert_int_equal(pa_of(&h, 1, UI_BIT(63) + PAGE), LOW_PA + PAGE);
		assert_int_equal(pa_of(&h, 1, PAGE), LOW_PA + PAGE);
		assert_int_equal(pa_of(&h, 1, UI_BIT(56) + PAGE), LOW_PA + PAGE);
		assert_int_equal(n_missed(&h), before);
		assert_int_equal(pa_of(&h, 1, UI_BIT(60) + UI_BIT(22) + 9), RAM_PA + 9);
		before = n_missed(&h);
		assert_int_equal(pa_of(&h, 1, UI_BIT(61) + UI_BIT(22) + 9), RAM_PA + 9);
		assert_int_equal(n_missed(&h), before);
		assert_int_equal(pa_of(&h, 1, UPPER(PAGE) & ui_mask_lg2(56)), both ? HIGH_PA + PAGE : 0);
		assert_int_equal(pa_of(&h, 1, UI_BIT(56) + UI_BIT(50)), 0);
		assert_int_equal(pa_of(&h, 1, UI_BIT(56) + UI_BIT(30)), 0);
		halves_close(&h);
	}
}

static void memory_is_reached_through_tags(void **state)
{
	struct ui_dma_addr at = at_pasid(1, (u64)0xab << 56 | (PAGE - 8));
	u8 in[16], out[16];
	struct ui_fault f;
	struct halves h;
	u64 before;

	halves_open(&h, UI_HALVES_LOWER_TBI);
	memset(out, 0x5a, sizeof(out));
	assert_int_equal(ui_dma_write(h.rig.port, &at, out, sizeof(out), NULL, NULL), UI_DMA_OK);
	before = n_missed(&h);
	at.iova = PAGE - 8;
	assert_int_equal(ui_dma_read(h.rig.port, &at, in, sizeof(in), NULL, NULL), UI_DMA_OK);
	at.iova |= (u64)0x80 << 56;
	assert_int_equal(ui_dma_read(h.rig.port, &at, in, sizeof(in), NULL, NULL), UI_DMA_OK);
	assert_int_equal(n_missed(&h), before);
	assert_memory_equal(in, out, sizeof(in));
	assert_memory_equal(h.rig.ram + PAGE - 8, out, sizeof(out));
	at.iova = UI_BIT(57) + 8 * PAGE - 4;
	assert_int_equal(ui_dma_read(h.rig.port, &at, in, sizeof(in), NULL, &f), UI_DMA_TRANSLATION);
	assert_int_equal(f.iova, UI_BIT(57) + 8 * PAGE);
	halves_close(&h);
}

/* One tag for both halves; a range is precise in either, however it is named. */
static void an_invalidation_finds_its_half(void **state)
{
	const struct { u64 start; bool low, high; } range[] = {
		{ 0, true, false }, { UPPER(0), false, true }, { UI_BIT(58), true, false }, { UPPER(0) & ui_mask_lg2(56), false, true },
		{ PAGE, false, false }, { UPPER(PAGE), false, false },
	};

	for (unsigned i = 0; i < ui_array_size(range); i++) {
		struct halves h;
		u64 before;

		halves_open(&h, UI_HALVES_LOWER_TBI | UI_HALVES_UPPER_TBI);
		pa_of(&h, 1, 0);
		pa_of(&h, 1, UPPER(0));
		pa_of(&h, 2, UPPER(0));
		assert_int_equal(ui_tr_invalidate(h.rig.tr, h.one, range[i].start, range[i].start + PAGE - 1), 0);
		before = n_missed(&h);
		pa_of(&h, 1, 0);
		assert_int_equal(n_missed(&h) - before, range[i].low);
		pa_of(&h, 1, UPPER(0));
		assert_int_equal(n_missed(&h) - before, range[i].low + range[i].high);
		pa_of(&h, 2, UPPER(0));
		assert_int_equal(n_missed(&h) - before, range[i].low + range[i].high);
		assert_int_equal(ui_tr_invalidate(h.rig.tr, h.one, UI_BIT(60), UPPER(0) + PAGE - 1), 0);
		before = n_missed(&h);
		pa_of(&h, 1, 0);
		pa_of(&h, 1, UPPER(0));
		assert_int_equal(n_missed(&h) - before, 2);
		halves_close(&h);
	}
}

/* After unmap from the shared upper half, nothing reaches the page in any space that shares it. */
static void an_unmap_in_the_shared_half_reaches_all_who_share_it(void **state)
{
	struct ui_pt_gather g = { 0 };
	struct halves h;

	halves_open(&h, 0);
	for (u32 pasid = 1; pasid < 3; pasid++)
		assert_int_equal(pa_of(&h, pasid, UPPER(0)), HIGH_PA);
	assert_int_equal(h.high.pt.ops->unmap(&h.high.pt, UPPER(0), UPPER(PAGE) - 1, UI_PT_SPLIT, &g), PAGE);
	assert_int_equal(ui_tr_invalidate(h.rig.tr, h.one, UPPER(0), UPPER(PAGE) - 1), 0);
	assert_int_equal(ui_tr_invalidate(h.rig.tr, h.two, UPPER(0), UPPER(PAGE) - 1), 0);
	for (u32 pasid = 1; pasid < 3; pasid++) {
		assert_int_equal(pa_of(&h, pasid, UPPER(0)), 0);
		assert_int_equal(pa_of(&h, pasid, UPPER(PAGE)), HIGH_PA + PAGE);
	}
	halves_close(&h);
}

/* requirements B8: the lower half is switched by another config with another tag; both halves are right at once. */
static void a_switch_of_the_lower_half_leaves_the_upper_one(void **state)
{
	struct halves h;

	halves_open(&h, 0);
	assert_true(pa_of(&h, 1, 0) == LOW_PA && pa_of(&h, 1, UPPER(0)) == HIGH_PA);
	atomic_store(&h.rig.router.to[1], h.two);
	assert_int_equal(ui_tr_sync(h.rig.tr, h.one), 0);
	assert_true(pa_of(&h, 1, 0) == OTHER_PA && pa_of(&h, 1, UPPER(0)) == HIGH_PA);
	atomic_store(&h.rig.router.to[1], h.one);
	assert_int_equal(ui_tr_sync(h.rig.tr, h.two), 0);
	assert_true(pa_of(&h, 1, 0) == LOW_PA && pa_of(&h, 1, UPPER(0)) == HIGH_PA);
	halves_close(&h);
}

/* IHI 0070 3.4: an address beyond what a stage 1 that does not translate lets through is an address size fault of stage 1. */
static void what_passes_stage_1_has_a_size(void **state)
{
	for (unsigned kind = 0; kind < 3; kind++) {
		struct ui_dma_addr at = at_pasid(1, UI_BIT(40));
		struct ui_fault fault;
		struct halves h;
		struct ui_walk w;
		u8 byte;

		halves_open(&h, 0);
		h.one->halves = 0;
		h.one->in_bits = 40;
		h.one->s2 = h.one->s1;
		h.one->s1 = (struct ui_stage){ 0 };
		if (kind == 0) {
			h.one->kind = UI_CFG_BYPASS;
		} else if (kind == 1) {
			ui_pt_walk_cfg(h.one->s2.pt, &h.one->s2.walk);
			h.one->s2.pt = NULL;
		}
		assert_int_equal(ui_dma_translate(h.rig.port, &at, R, &w, &fault), UI_DMA_ADDR_SIZE);
		assert_true(fault.stage == 1 && fault.iova == UI_BIT(40));
		assert_int_equal(ui_dma_read(h.rig.port, &at, &byte, 1, NULL, &fault), UI_DMA_ADDR_SIZE);
		assert_true(fault.stage == 1);
		at.iova = UI_BIT(39);
		assert_int_equal(ui_dma_translate(h.rig.port, &at, R, &w, &fault), kind ? UI_DMA_TRANSLATION : UI_DMA_OK);
		if (kind)
			assert_true(fault.stage == 2 && fault.ipa == UI_BIT(39));
		halves_close(&h);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_selects_its_half),
		cmocka_unit_test(a_disabled_half_is_not_walked),
		cmocka_unit_test(the_top_byte_is_ignored_where_it_is_said),
		cmocka_unit_test(memory_is_reached_through_tags),
		cmocka_unit_test(an_invalidation_finds_its_half),
		cmocka_unit_test(an_unmap_in_the_shared_half_reaches_all_who_share_it),
		cmocka_unit_test(a_switch_of_the_lower_half_leaves_the_upper_one),
		cmocka_unit_test(what_passes_stage_1_has_a_size),
	};

	return cmocka_run_group_tests_name("halves", tests, NULL, NULL);
}
