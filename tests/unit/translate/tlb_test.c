/* SPDX-License-Identifier: MIT */
/* The TLB: what stays, what goes, what is never there. */
#include "fake.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { RW = UI_PROT_READ | UI_PROT_WRITE };

/* Look-ups that the TLB did not answer, or was not asked. */
static u64 misses(struct rig *r)
{
	struct ui_dma_stats s;

	ui_dma_stats(r->port, &s);
	return s.walks;
}

static enum ui_dma_status look(struct rig *r, u32 pasid, u64 iova, unsigned access)
{
	struct ui_dma_addr at = at_pasid(pasid, iova);
	struct ui_walk w;

	return ui_dma_translate(r->port, &at, access, &w, NULL);
}

/* Misses when @n pages from @iova are looked at once more. */
static u64 missed(struct rig *r, u32 pasid, u64 iova, u64 n)
{
	u64 before = misses(r);

	for (u64 i = 0; i < n; i++)
		assert_int_equal(look(r, pasid, iova + i * PAGE, UI_PROT_READ), UI_DMA_OK);
	return misses(r) - before;
}

static void setup(struct rig *r)
{
	rig_open(r);
	fake_map(r->a->table, 0, RAM_PA, 2048, RW);
	fake_map(r->b->table, 0, RAM_PA, 2048, RW);
}

static void a_range_goes_and_its_neighbours_and_other_tags_stay(void **state)
{
	struct rig r;

	setup(&r);
	assert_int_equal(missed(&r, 1, 0, 64), 64);
	assert_int_equal(missed(&r, 2, 0, 64), 64);
	assert_int_equal(missed(&r, 1, 0, 64) + missed(&r, 2, 0, 64), 0);
	ui_tr_invalidate(r.tr, &r.a->cfg, 5 * PAGE, 6 * PAGE - 1);
	assert_int_equal(missed(&r, 1, 0, 5), 0);
	assert_int_equal(missed(&r, 1, 6 * PAGE, 58), 0);
	assert_int_equal(missed(&r, 1, 5 * PAGE, 1), 1);
	ui_tr_invalidate(r.tr, &r.a->cfg, 10 * PAGE, 20 * PAGE - 1);
	assert_int_equal(missed(&r, 1, 0, 64), 10);
	ui_tr_invalidate(r.tr, &r.a->cfg, 63 * PAGE + 100, 63 * PAGE + 100);
	assert_int_equal(missed(&r, 1, 0, 64), 1);
	assert_int_equal(missed(&r, 2, 0, 64), 0);
	rig_close(&r);
}

static void a_range_too_wide_to_probe_goes_as_precisely(void **state)
{
	struct rig r;

	setup(&r);
	missed(&r, 1, 0, 64);
	missed(&r, 2, 0, 64);
	ui_tr_invalidate(r.tr, &r.a->cfg, 32 * PAGE, ((u64)1 << 40) - 1);
	assert_int_equal(missed(&r, 1, 0, 32), 0);
	assert_int_equal(missed(&r, 1, 32 * PAGE, 32), 32);
	assert_int_equal(missed(&r, 2, 0, 64), 0);
	rig_close(&r);
}

static void a_tag_goes_alone_and_all_means_all(void **state)
{
	struct rig r;

	setup(&r);
	missed(&r, 1, 0, 64);
	missed(&r, 2, 0, 64);
	ui_tr_invalidate_tag(r.tr, &r.a->cfg);
	assert_int_equal(missed(&r, 2, 0, 64), 0);
	assert_int_equal(missed(&r, 1, 0, 64), 64);
	ui_tr_invalidate_all(r.tr);
	assert_int_equal(missed(&r, 1, 0, 64) + missed(&r, 2, 0, 64), 128);
	rig_close(&r);
}

/* Every port has a TLB; a change reaches all of them. */
static void every_port_is_cleaned(void **state)
{
	struct rig r;
	struct ui_dma *ports[5];
	struct ui_dma_addr at = at_pasid(1, 0);
	struct ui_walk w;

	setup(&r);
	for (size_t i = 0; i < ui_array_size(ports); i++) {
		ports[i] = ui_dma_open(r.tr, 1, route, &r.router);
		assert_int_equal(ui_dma_translate(ports[i], &at, UI_PROT_READ, &w, NULL), UI_DMA_OK);
	}
	fake_unmap(r.a->table, 0, 1);
	ui_tr_invalidate(r.tr, &r.a->cfg, 0, PAGE - 1);
	for (size_t i = 0; i < ui_array_size(ports); i++) {
		assert_int_equal(ui_dma_translate(ports[i], &at, UI_PROT_READ, &w, NULL), UI_DMA_TRANSLATION);
		ui_dma_close(ports[i]);
	}
	rig_close(&r);
}

/* A port that takes over a closed one's place does not see what that one cached, nor what went while it was closed. */
static void a_new_port_in_an_old_place_starts_empty(void **state)
{
	struct rig r;

	setup(&r);
	missed(&r, 1, 0, 4);
	ui_dma_close(r.port);
	fake_unmap(r.a->table, 0, 1);
	ui_tr_invalidate(r.tr, &r.a->cfg, 0, PAGE - 1);
	r.port = ui_dma_open(r.tr, 1, route, &r.router);
	assert_int_equal(look(&r, 1, 0, UI_PROT_READ), UI_DMA_TRANSLATION);
	assert_int_equal(missed(&r, 1, PAGE, 3), 3);
	rig_close(&r);
}

static void a_large_leaf_is_one_entry_per_2_mib(void **state)
{
	struct rig r;
	const u64 large = 2 << 20;

	setup(&r);
	fake_map(r.a->table, 0, RAM_PA + large, 1024, RW | FAKE_LARGE);
	assert_int_equal(missed(&r, 1, 0, 1024), 2);
	ui_tr_invalidate(r.tr, &r.a->cfg, 7 * PAGE, 8 * PAGE - 1);
	assert_int_equal(missed(&r, 1, 0, 1024), 1);
	ui_tr_invalidate_tag(r.tr, &r.a->cfg);
	assert_int_equal(missed(&r, 1, 0, 1024), 2);
	rig_close(&r);
}

/* After a large leaf was split and one page of it unmapped: no stale answer, the rest answers as before. */
static void a_split_leaf_leaves_no_large_entry(void **state)
{
	struct rig r;

	setup(&r);
	fake_map(r.a->table, 0, RAM_PA, 512, RW | FAKE_LARGE);
	assert_int_equal(look(&r, 1, 0, UI_PROT_READ), UI_DMA_OK);
	fake_map(r.a->table, 0, RAM_PA, 512, RW);
	fake_unmap(r.a->table, 9 * PAGE, 1);
	ui_tr_invalidate(r.tr, &r.a->cfg, 9 * PAGE, 10 * PAGE - 1);
	assert_int_equal(look(&r, 1, 9 * PAGE, UI_PROT_READ), UI_DMA_TRANSLATION);
	assert_int_equal(look(&r, 1, 10 * PAGE, UI_PROT_READ), UI_DMA_OK);
	rig_close(&r);
}

/* A large leaf of which the memory object has only a part as RAM is cached by the page, and answers for its ends. */
static void a_large_leaf_over_the_end_of_memory(void **state)
{
	struct rig r;
	struct ui_dma_addr at = at_pasid(1, 0);
	struct ui_fault f;
	u64 val;

	setup(&r);
	assert_int_equal(ui_mem_add_ram(r.mem, RAM_PA + (64 << 20), 100 * PAGE + 8, r.ram, true), 0);
	fake_map(r.a->table, 0, RAM_PA + (64 << 20), 512, RW | FAKE_LARGE);
	for (int again = 0; again < 2; again++) {
		at.iova = 100 * PAGE;
		assert_int_equal(ui_dma_read(r.port, &at, &val, 8, NULL, NULL), UI_DMA_OK);
		at.iova = 100 * PAGE + 8;
		assert_int_equal(ui_dma_read(r.port, &at, &val, 8, NULL, &f), UI_DMA_ABORT);
		assert_int_equal(f.iova, 100 * PAGE + 8);
		at.iova = 300 * PAGE;
		assert_int_equal(ui_dma_read(r.port, &at, &val, 8, NULL, NULL), UI_DMA_ABORT);
	}
	rig_close(&r);
}

static void faults_are_never_cached(void **state)
{
	struct rig r;

	setup(&r);
	fake_unmap(r.a->table, 0, 2);
	fake_map(r.a->table, PAGE, RAM_PA, 1, UI_PROT_READ);
	assert_int_equal(look(&r, 1, 0, UI_PROT_READ), UI_DMA_TRANSLATION);
	assert_int_equal(look(&r, 1, PAGE, UI_PROT_WRITE), UI_DMA_PERMISSION);
	fake_map(r.a->table, 0, RAM_PA, 2, RW);
	assert_int_equal(look(&r, 1, 0, UI_PROT_READ), UI_DMA_OK);
	assert_int_equal(look(&r, 1, PAGE, UI_PROT_WRITE), UI_DMA_OK);
	rig_close(&r);
}

/* Promise 12. */
static void a_clean_page_is_cached_read_only(void **state)
{
	struct rig r;
	u64 before;

	setup(&r);
	fake_map(r.a->table, 0, RAM_PA, 1, RW | FAKE_TRACK);
	for (int round = 0; round < 3; round++) {
		assert_int_equal(look(&r, 1, 0, UI_PROT_READ), UI_DMA_OK);
		assert_false(atomic_load(&r.a->table->pages[0]) & FAKE_DIRTY);
		assert_int_equal(look(&r, 1, 0, UI_PROT_WRITE), UI_DMA_OK);
		assert_true(atomic_load(&r.a->table->pages[0]) & FAKE_DIRTY);
		before = misses(&r);
		assert_int_equal(look(&r, 1, 0, UI_PROT_WRITE), UI_DMA_OK);
		assert_int_equal(look(&r, 1, 0, UI_PROT_READ), UI_DMA_OK);
		assert_int_equal(misses(&r), before);
		/* read and clear */
		atomic_fetch_and(&r.a->table->pages[0], ~(u64)FAKE_DIRTY);
		ui_tr_invalidate(r.tr, &r.a->cfg, 0, PAGE - 1);
	}
	rig_close(&r);
}

static void privileged_and_other_accesses_share_nothing(void **state)
{
	struct rig r;
	struct ui_dma_addr priv = at_pasid(1, 0);
	struct ui_walk w;

	setup(&r);
	priv.priv = true;
	fake_map(r.a->table, 0, RAM_PA, 1, RW | UI_PROT_PRIV);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ui_dma_translate(r.port, &priv, UI_PROT_READ, &w, NULL), UI_DMA_OK);
		assert_int_equal(look(&r, 1, 0, UI_PROT_READ), UI_DMA_PERMISSION);
	}
	rig_close(&r);
}

/* Tags so far apart that equal pages meet in one set. */
static void tags_that_share_a_set_stay_apart(void **state)
{
	enum { APART = 4096 };
	static u32 between[APART];
	struct ui_dma_addr at = at_pasid(1, 5 * PAGE);
	struct ui_walk w;
	struct space *c;
	struct rig r;

	setup(&r);
	for (u32 i = 0; i < APART - 2; i++)
		assert_int_equal(ui_tr_tag_alloc(r.tr, &between[i]), 0);
	c = space_new(r.tr);
	assert_int_equal(c->cfg.tag, r.a->cfg.tag + APART);
	fake_map(c->table, 0, RAM_PA + 1024 * PAGE, 1024, RW);
	atomic_store(&r.router.to[3], &c->cfg);
	for (u64 large = 0; large < 2; large++) {
		if (large) {
			fake_map(r.a->table, 0, RAM_PA, 512, RW | FAKE_LARGE);
			fake_map(c->table, 0, RAM_PA + 1024 * PAGE, 512, RW | FAKE_LARGE);
			ui_tr_invalidate_all(r.tr);
		}
		for (int i = 0; i < 3; i++) {
			at.pasid = 1;
			assert_int_equal(ui_dma_translate(r.port, &at, UI_PROT_WRITE, &w, NULL), UI_DMA_OK);
			assert_true(w.oa == RAM_PA + 5 * PAGE);
			at.pasid = 3;
			assert_int_equal(ui_dma_translate(r.port, &at, UI_PROT_WRITE, &w, NULL), UI_DMA_OK);
			assert_true(w.oa == RAM_PA + 1029 * PAGE);
		}
		ui_tr_invalidate(r.tr, &c->cfg, 5 * PAGE, 5 * PAGE);
		assert_int_equal(missed(&r, 1, 5 * PAGE, 1), 0);
		assert_int_equal(missed(&r, 3, 5 * PAGE, 1), 1);
	}
	for (u32 i = 0; i < APART - 2; i++)
		ui_tr_tag_free(r.tr, between[i]);
	space_free(r.tr, c);
	rig_close(&r);
}

static void a_tag_used_again_brings_nothing_back(void **state)
{
	struct rig r;
	struct space *old, *new;
	u32 tag;

	setup(&r);
	old = space_new(r.tr);
	tag = old->cfg.tag;
	fake_map(old->table, 0, RAM_PA, 2, RW);
	atomic_store(&r.router.to[3], &old->cfg);
	assert_int_equal(look(&r, 3, 0, UI_PROT_READ), UI_DMA_OK);
	atomic_store(&r.router.to[3], NULL);
	assert_int_equal(ui_tr_sync(r.tr, &old->cfg), 0);
	space_free(r.tr, old);
	new = space_new(r.tr);
	assert_int_equal(new->cfg.tag, tag);
	fake_map(new->table, PAGE, RAM_PA, 1, RW);
	atomic_store(&r.router.to[3], &new->cfg);
	assert_int_equal(look(&r, 3, 0, UI_PROT_READ), UI_DMA_TRANSLATION);
	assert_int_equal(look(&r, 3, PAGE, UI_PROT_READ), UI_DMA_OK);
	space_free(r.tr, new);
	rig_close(&r);
}

static void tags_are_distinct_and_never_0(void **state)
{
	struct rig r;
	u32 tags[300];

	setup(&r);
	for (u32 i = 0; i < 300; i++) {
		assert_int_equal(ui_tr_tag_alloc(r.tr, &tags[i]), 0);
		assert_int_not_equal(tags[i], 0);
		for (u32 k = 0; k < i; k++)
			assert_int_not_equal(tags[i], tags[k]);
	}
	for (u32 i = 0; i < 300; i++)
		ui_tr_tag_free(r.tr, tags[i]);
	rig_close(&r);
}

/* A part of a large leaf is about to change: the whole becomes small leaves first. */
static void split(struct space *s, u64 at, u64 n_pages)
{
	for (u64 i = ui_align_down(at, 2 << 20) / PAGE; i <= ((at + n_pages * PAGE - 1) | ui_mask_lg2(21)) / PAGE; i++)
		atomic_fetch_and(&s->table->pages[i], ~(u64)FAKE_LARGE);
}

/* One step of the random test: changes a table and says so, as an owner must. */
static void change(struct rig *r, struct space *s, u64 *seed)
{
	u64 n = 1 + next_random(seed, 12), at = next_random(seed, 1024 - n) * PAGE, pa = RAM_PA + next_random(seed, 512) * PAGE;

	switch (next_random(seed, 6)) {
	case 0:
		split(s, at, n);
		fake_unmap(s->table, at, n);
		break;
	case 1: /* a large leaf, whole */
		at = ui_align_down(at, 2 << 20);
		n = 512;
		fake_map(s->table, at, RAM_PA + (2 << 20) * next_random(seed, 8), n, (next_random(seed, 8)) | FAKE_LARGE);
		break;
	case 2: /* read and clear dirty */
		for (u64 i = 0; i < n; i++)
			atomic_fetch_and(&s->table->pages[at / PAGE + i], ~(u64)FAKE_DIRTY);
		break;
	default:
		split(s, at, n);
		fake_map(s->table, at, pa, n, next_random(seed, 16) | (next_random(seed, 2) ? FAKE_TRACK : 0));
	}
	if (next_random(seed, 10))
		ui_tr_invalidate(r->tr, &s->cfg, at, at + n * PAGE - 1);
	else if (next_random(seed, 3))
		ui_tr_invalidate_tag(r->tr, &s->cfg);
	else
		ui_tr_invalidate_all(r->tr);
}

static void no_stale_answer_after_random_changes(void **state)
{
	struct rig r;
	u64 seed = test_seed();

	setup(&r);
	for (int i = 0; i < 60000; i++) {
		u32 pasid = 1 + (u32)next_random(&seed, 2);
		struct space *s = pasid == 1 ? r.a : r.b;
		struct ui_dma_addr at = at_pasid(pasid, next_random(&seed, 1100 * PAGE));
		unsigned access = 1u << next_random(&seed, 3);
		struct ui_walk got = { 0 }, want = { 0 };
		enum ui_walk_status expected;
		enum ui_dma_status status;

		if (!next_random(&seed, 20))
			change(&r, s, &seed);
		at.priv = next_random(&seed, 2);
		status = ui_dma_translate(r.port, &at, access, &got, NULL);
		expected = fake_walk(&s->table->pt, at.iova, access | (at.priv ? UI_PROT_PRIV : 0), &want);
		assert_int_equal(status == UI_DMA_OK, expected == UI_WALK_OK);
		if (status != UI_DMA_OK)
			continue;
		assert_int_equal(got.oa, want.oa);
		assert_int_equal(got.prot, want.prot);
		assert_int_equal(got.memattr, want.memattr);
	}
	rig_close(&r);
}

/* Looks at every page of both spaces once, twice as many as the TLB holds. The second half goes by it, but for a sample. */
static void thrash(struct rig *r)
{
	rig_open(r);
	fake_map(r->a->table, 0, RAM_PA, FAKE_PAGES, RW);
	fake_map(r->b->table, 0, RAM_PA, FAKE_PAGES, RW);
	for (u64 page = 0; page < FAKE_PAGES; page++)
		for (u32 pasid = 1; pasid < 3; pasid++)
			assert_int_equal(look(r, pasid, page * PAGE, UI_PROT_READ), UI_DMA_OK);
}

static void accesses_that_go_by_the_tlb_are_as_exact(void **state)
{
	struct ui_dma_addr at = at_pasid(1, 0);
	struct rig r;
	u8 val[2];

	thrash(&r);
	fake_map(r.a->table, 0, RAM_PA, 1024, RW);
	fake_map(r.a->table, 512 * PAGE, RAM_PA + 512 * PAGE, 512, UI_PROT_READ);
	fake_unmap(r.a->table, 768 * PAGE, 256);
	ui_tr_invalidate(r.tr, &r.a->cfg, 0, 1024 * PAGE - 1);
	for (u64 page = 0; page < 1024; page++) {
		r.ram[page * PAGE + PAGE - 1] = (u8)page;
		at.iova = page * PAGE + PAGE - 1;
		assert_int_equal(ui_dma_read(r.port, &at, val, 1, NULL, NULL), page < 768 ? UI_DMA_OK : UI_DMA_TRANSLATION);
		if (page < 768)
			assert_int_equal(val[0], (u8)page);
		assert_int_equal(ui_dma_write(r.port, &at, "x", 1, NULL, NULL),
				 page < 512 ? UI_DMA_OK : page < 768 ? UI_DMA_PERMISSION : UI_DMA_TRANSLATION);
		assert_int_equal(r.ram[page * PAGE + PAGE - 1], page < 512 ? 'x' : (u8)page);
		assert_int_equal(look(&r, 1, at.iova, UI_PROT_WRITE),
				 page < 512 ? UI_DMA_OK : page < 768 ? UI_DMA_PERMISSION : UI_DMA_TRANSLATION);
	}
	rig_close(&r);
}

static void a_tlb_that_served_nothing_serves_again(void **state)
{
	const u64 last = (FAKE_PAGES - 64) * (u64)PAGE;
	struct rig r;

	thrash(&r);
	assert_true(missed(&r, 1, last, 64) > 48);
	assert_true(missed(&r, 1, last, 64) > 40);
	for (int i = 0; i < 200; i++)
		missed(&r, 1, last, 64);
	assert_int_equal(missed(&r, 1, last, 64), 0);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_range_goes_and_its_neighbours_and_other_tags_stay),
		cmocka_unit_test(a_range_too_wide_to_probe_goes_as_precisely),
		cmocka_unit_test(a_tag_goes_alone_and_all_means_all),
		cmocka_unit_test(every_port_is_cleaned),
		cmocka_unit_test(a_new_port_in_an_old_place_starts_empty),
		cmocka_unit_test(a_large_leaf_is_one_entry_per_2_mib),
		cmocka_unit_test(a_split_leaf_leaves_no_large_entry),
		cmocka_unit_test(a_large_leaf_over_the_end_of_memory),
		cmocka_unit_test(faults_are_never_cached),
		cmocka_unit_test(a_clean_page_is_cached_read_only),
		cmocka_unit_test(privileged_and_other_accesses_share_nothing),
		cmocka_unit_test(tags_that_share_a_set_stay_apart),
		cmocka_unit_test(a_tag_used_again_brings_nothing_back),
		cmocka_unit_test(tags_are_distinct_and_never_0),
		cmocka_unit_test(no_stale_answer_after_random_changes),
		cmocka_unit_test(accesses_that_go_by_the_tlb_are_as_exact),
		cmocka_unit_test(a_tlb_that_served_nothing_serves_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
