/* SPDX-License-Identifier: MIT */
/* The format contract (src/pgtable/fmt.h), accessor by accessor, over every format and geometry. */
#include "common.h"

#define ALL_PROTS 32u

struct ctx {
	const struct ui_pt_cfg *cfg;
	const struct ui_pt_fmt *f;
	struct ui_walk_cfg c;
	unsigned level, shift;
	u64 attrs;
	unsigned prot;
};

typedef void (*leaf_test)(const struct ctx *x);

/* Calls @test for every geometry, level that may have leaves, and rights. */
static void each_leaf(leaf_test test)
{
	for (size_t g = 0; g < test_n_geometries; g++) {
		struct ctx x = { .cfg = &test_geometries[g], .f = test_instance(test_geometries[g].format)->fmt };

		x.c = test_view(x.cfg);
		for (x.level = 0; x.level <= x.c.top_level && x.f->leaf_level(ui_pt_granule(x.f, &x.c), x.level); x.level++) {
			x.shift = ui_pt_shift(x.f, &x.c, x.level);
			if (x.cfg->page_sizes && !(x.cfg->page_sizes >> x.shift & 1))
				break;
			for (x.prot = 0; x.prot < ALL_PROTS; x.prot++)
				if (!x.f->attrs(x.cfg, x.prot, &x.attrs))
					test(&x);
		}
	}
}

static void check_round_trip(const struct ctx *x, u64 oa)
{
	u64 leaf;

	oa &= ui_mask_lg2(x->cfg->oa_bits) & ~ui_mask_lg2(x->shift);
	leaf = x->f->make_leaf(&x->c, oa, x->level, x->attrs);
	assert_int_equal(x->f->kind(&x->c, leaf, x->level), UI_PT_LEAF);
	assert_int_equal(x->f->leaf_oa(&x->c, leaf, x->level), oa);
	assert_int_equal(x->f->leaf_attrs(&x->c, leaf, x->level), x->attrs);
	if (x->f->reserved)
		assert_false(x->f->reserved(&x->c, leaf, x->level, UI_PT_LEAF));
}

static void leaf_round_trip(const struct ctx *x)
{
	check_round_trip(x, 0);
	check_round_trip(x, UI_BIT(x->shift));
	check_round_trip(x, ~(u64)0);
	check_round_trip(x, 0x5555555555555555);
	check_round_trip(x, 0xaaaaaaaaaaaaaaaa);
	for (unsigned bit = x->shift; bit < x->cfg->oa_bits; bit++)
		check_round_trip(x, UI_BIT(bit));
}

static void leaf_round_trips(void **state)
{
	each_leaf(leaf_round_trip);
}

static void leaf_rights(const struct ctx *x)
{
	u64 leaf = x->f->make_leaf(&x->c, 0, x->level, x->attrs);
	u64 acc = x->f->fold(&x->c, x->f->fold_start, x->f->make_table(&x->c, 0));

	assert_true(test_prot_ok(x->cfg->format, x->prot));
	for (unsigned access = 0; access <= UI_PROT_PRIV; access += UI_PROT_PRIV) {
		unsigned expect = test_grants(x->cfg->format, x->prot, access);

		assert_int_equal(x->f->grants(&x->c, x->f->fold_start, leaf, access), expect);
		/* Tables of our own take no right away. */
		assert_int_equal(x->f->grants(&x->c, acc, leaf, access), expect);
	}
}

static void leaf_grants_what_was_asked(void **state)
{
	each_leaf(leaf_rights);
}

static void leaf_marks(const struct ctx *x)
{
	u64 leaf = x->f->make_leaf(&x->c, UI_BIT(x->shift), x->level, x->attrs);
	bool write = x->prot & UI_PROT_WRITE;
	u64 dirty = x->f->set_dirty(leaf), both[2];

	assert_true(x->f->accessed(leaf));
	assert_int_equal(x->f->set_accessed(leaf), leaf);
	if (!write)
		return;
	assert_int_equal(x->f->clean(leaf), x->cfg->dirty_track);
	if (!x->cfg->dirty_track) {
		assert_int_equal(dirty, leaf);
		return;
	}
	assert_false(x->f->dirty(leaf));
	assert_true(x->f->dirty(dirty));
	assert_false(x->f->clean(dirty));
	assert_int_equal(x->f->set_dirty(dirty), dirty);
	assert_int_equal(x->f->set_clean(dirty), leaf);
	both[0] = leaf;
	both[1] = dirty;
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(x->f->kind(&x->c, both[i], x->level), UI_PT_LEAF);
		assert_int_equal(x->f->leaf_oa(&x->c, both[i], x->level), UI_BIT(x->shift));
		assert_int_equal(x->f->grants(&x->c, x->f->fold_start, both[i], 0), test_grants(x->cfg->format, x->prot, 0));
	}
}

static void marks_change_nothing_else(void **state)
{
	each_leaf(leaf_marks);
}

/* x86: PAT is bit 7 of a small leaf and 12 of a large one, and bit 7 of a large one is PS. */
static void attributes_move_with_the_level(void **state)
{
	for (size_t g = 0; g < test_n_geometries; g++) {
		const struct ui_pt_fmt *f = test_instance(test_geometries[g].format)->fmt;
		const struct ui_walk_cfg c = test_view(&test_geometries[g]);
		u64 large, small;

		if (!c.top_level || !f->leaf_level(ui_pt_granule(f, &c), 1) || f->attrs(&test_geometries[g], UI_PROT_READ, &small))
			continue;
		large = f->make_leaf(&c, 0, 1, small);
		for (unsigned bit = 0; bit < (c.format == UI_PT_X86_64 ? 13 : 12); bit++) {
			u64 odd = large ^ UI_BIT(bit);

			if (f->kind(&c, odd, 1) != UI_PT_LEAF || (f->reserved && f->reserved(&c, odd, 1, UI_PT_LEAF)))
				continue;
			small = f->make_leaf(&c, 0, 0, f->leaf_attrs(&c, odd, 1));
			assert_int_equal(f->memattr(small, 0), f->memattr(odd, 1));
			assert_int_equal(f->make_leaf(&c, 0, 1, f->leaf_attrs(&c, small, 0)), odd & ~f->leaf_oa(&c, odd, 1));
		}
	}
}

static void prot_that_cannot_be_expressed_is_refused(void **state)
{
	for (size_t g = 0; g < test_n_geometries; g++) {
		const struct ui_pt_cfg *cfg = &test_geometries[g];
		u64 attrs;

		for (unsigned prot = 0; prot < ALL_PROTS; prot++)
			assert_int_equal(test_instance(cfg->format)->fmt->attrs(cfg, prot, &attrs),
					 test_prot_ok(cfg->format, prot) ? 0 : -EINVAL);
	}
}

static void table_entry_round_trips(void **state)
{
	for (size_t g = 0; g < test_n_geometries; g++) {
		const struct ui_pt_fmt *f = test_instance(test_geometries[g].format)->fmt;
		const struct ui_walk_cfg c = test_view(&test_geometries[g]);
		unsigned align = ui_pt_stride(f, &c) + UI_PT_ENTRY_LG2;

		for (unsigned level = 1; level <= c.top_level; level++) {
			for (unsigned bit = align; bit <= c.oa_bits; bit++) {
				u64 pa = (bit == c.oa_bits ? ~(u64)0 : UI_BIT(bit)) & ui_mask_lg2(c.oa_bits) & ~ui_mask_lg2(align);
				u64 entry = f->make_table(&c, pa);

				assert_int_equal(f->kind(&c, entry, level), UI_PT_TABLE);
				assert_int_equal(f->table_pa(&c, entry), pa);
				if (f->reserved)
					assert_false(f->reserved(&c, entry, level, UI_PT_TABLE));
				if (f->table_accessed)
					assert_true(f->accessed(entry));
			}
		}
	}
}

/* An unlinked table chains through entry 0: the word must be absent whoever looks. */
static void table_address_alone_is_absent(void **state)
{
	for (size_t g = 0; g < test_n_geometries; g++) {
		const struct ui_pt_fmt *f = test_instance(test_geometries[g].format)->fmt;
		const struct ui_walk_cfg c = test_view(&test_geometries[g]);

		for (unsigned level = 0; level <= c.top_level; level++) {
			assert_int_equal(f->kind(&c, 0, level), UI_PT_ABSENT);
			assert_int_equal(f->kind(&c, ~(ui_pt_table_bytes(f, &c) - 1), level), UI_PT_ABSENT);
			for (unsigned bit = ui_pt_stride(f, &c) + UI_PT_ENTRY_LG2; bit < 64; bit++)
				assert_int_equal(f->kind(&c, UI_BIT(bit), level), UI_PT_ABSENT);
		}
	}
}

/* Foreign tables hold anything: no accessor may misbehave (this test is for the sanitizers), no address leave 52 or 64 bits. */
static void accessors_are_defined_for_every_word(void **state)
{
	test_seed();
	for (size_t g = 0; g < test_n_geometries; g++) {
		const struct ui_pt_fmt *f = test_instance(test_geometries[g].format)->fmt;
		const struct ui_walk_cfg c = test_view(&test_geometries[g]);
		u64 max = test_geometries[g].format == UI_PT_TOY ? ~(u64)0 : ui_mask_lg2(52);

		for (unsigned i = 0; i < 2000; i++) {
			unsigned level = (unsigned)test_below(c.top_level + 1u);
			u64 word = test_rand() & (i & 1 ? test_rand() : ~(u64)0);
			enum ui_pt_kind kind = f->kind(&c, word, level);

			assert_true(f->table_pa(&c, word) <= max);
			assert_true(f->leaf_oa(&c, word, level) <= max);
			if (!level)
				assert_int_not_equal(kind, UI_PT_TABLE);
			if (f->reserved)
				f->reserved(&c, word, level, kind);
			assert_true(f->grants(&c, f->fold(&c, f->fold_start, word), test_rand(), 0) < ALL_PROTS);
			f->memattr(word, level);
			assert_true(f->accessed(f->set_accessed(word)));
			assert_false(f->clean(f->set_dirty(word)));
			if (f->dirty(word))
				assert_false(f->dirty(f->set_clean(word)));
		}
	}
}

/* hw-formats 2.1: start levels and sizes of the top table; Arm's level = 3 - ours. */
static void arm_geometry_follows_the_tables(void **state)
{
	static const struct {
		enum ui_pt_format format;
		u8 granule, ia, level, lg2;
	} rule[] = {
		{ UI_PT_ARM_S1, 12, 48, 3, 9 }, { UI_PT_ARM_S1, 12, 40, 3, 1 }, { UI_PT_ARM_S1, 12, 39, 2, 9 },
		{ UI_PT_ARM_S1, 12, 31, 2, 1 }, { UI_PT_ARM_S1, 12, 30, 1, 9 }, { UI_PT_ARM_S1, 12, 25, 1, 4 },
		{ UI_PT_ARM_S1, 14, 48, 3, 1 }, { UI_PT_ARM_S1, 14, 47, 2, 11 }, { UI_PT_ARM_S1, 14, 36, 1, 11 },
		{ UI_PT_ARM_S1, 14, 25, 0, 11 }, { UI_PT_ARM_S1, 16, 48, 2, 6 }, { UI_PT_ARM_S1, 16, 42, 1, 13 },
		{ UI_PT_ARM_S1, 16, 29, 0, 13 },
		{ UI_PT_ARM_S2, 12, 48, 3, 9 }, { UI_PT_ARM_S2, 12, 44, 3, 5 }, { UI_PT_ARM_S2, 12, 43, 2, 13 },
		{ UI_PT_ARM_S2, 12, 42, 2, 12 }, { UI_PT_ARM_S2, 12, 40, 2, 10 }, { UI_PT_ARM_S2, 12, 34, 1, 13 },
		{ UI_PT_ARM_S2, 12, 25, 1, 4 }, { UI_PT_ARM_S2, 14, 48, 2, 12 }, { UI_PT_ARM_S2, 14, 40, 1, 15 },
		{ UI_PT_ARM_S2, 14, 29, 0, 15 }, { UI_PT_ARM_S2, 16, 48, 2, 6 }, { UI_PT_ARM_S2, 16, 46, 1, 17 },
		{ UI_PT_ARM_S2, 16, 33, 0, 17 },
	};

	for (size_t i = 0; i < ui_array_size(rule); i++) {
		const struct ui_pt_cfg cfg = { .format = rule[i].format, .granule_lg2 = rule[i].granule,
					       .ia_bits = rule[i].ia, .oa_bits = 48 };
		const struct ui_walk_cfg c = test_view(&cfg);

		assert_int_equal(c.top_level, rule[i].level);
		assert_int_equal(c.top_lg2, rule[i].lg2);
	}
}

static void geometry_that_does_not_exist_is_refused(void **state)
{
	static const struct ui_pt_cfg bad[] = {
		{ .format = UI_PT_TOY, .granule_lg2 = 12, .ia_bits = 6, .oa_bits = 48 },
		{ .format = UI_PT_TOY, .granule_lg2 = 4, .ia_bits = 7, .oa_bits = 48 },
		{ .format = UI_PT_X86_64, .granule_lg2 = 12, .ia_bits = 39, .oa_bits = 48 },
		{ .format = UI_PT_X86_64, .granule_lg2 = 14, .ia_bits = 48, .oa_bits = 48 },
		{ .format = UI_PT_X86_64, .granule_lg2 = 12, .ia_bits = 48, .oa_bits = 53 },
		{ .format = UI_PT_VTDSS, .granule_lg2 = 12, .ia_bits = 47, .oa_bits = 48 },
		{ .format = UI_PT_VTDSS, .granule_lg2 = 12, .ia_bits = 0, .oa_bits = 48 },
		{ .format = UI_PT_VTDSS, .granule_lg2 = 12, .ia_bits = 48, .oa_bits = 48, .sign_extend = true },
		{ .format = UI_PT_ARM_S1, .granule_lg2 = 13, .ia_bits = 48, .oa_bits = 48 },
		{ .format = UI_PT_ARM_S1, .granule_lg2 = 0, .ia_bits = 48, .oa_bits = 48 },
		{ .format = UI_PT_ARM_S1, .granule_lg2 = 12, .ia_bits = 49, .oa_bits = 48 },
		{ .format = UI_PT_ARM_S1, .granule_lg2 = 12, .ia_bits = 24, .oa_bits = 48 },
		{ .format = UI_PT_ARM_S2, .granule_lg2 = 12, .ia_bits = 48, .oa_bits = 52 },
		{ .format = UI_PT_ARM_S2, .granule_lg2 = 16, .ia_bits = 48, .oa_bits = 31 },
		{ .format = UI_PT_MOCK, .granule_lg2 = 12, .ia_bits = 31, .oa_bits = 48 },
		{ .format = UI_PT_MOCK, .granule_lg2 = 11, .ia_bits = 22, .oa_bits = 48 },
		{ .format = UI_PT_MOCK, .granule_lg2 = 11, .ia_bits = 35, .oa_bits = 48 },
		{ .format = UI_PT_MOCK_HUGE, .granule_lg2 = 12, .ia_bits = 60, .oa_bits = 48 },
		{ .format = UI_PT_MOCK_HUGE, .granule_lg2 = 12, .ia_bits = 64, .oa_bits = 48 },
		{ .format = UI_PT_MOCK_HUGE, .granule_lg2 = 12, .ia_bits = 63, .oa_bits = 53 },
		/* sizes: without the granule, with a gap, none that exists */
		{ .format = UI_PT_X86_64, .granule_lg2 = 12, .ia_bits = 48, .oa_bits = 48, .page_sizes = UI_BIT(21) },
		{ .format = UI_PT_X86_64, .granule_lg2 = 12, .ia_bits = 48, .oa_bits = 48, .page_sizes = UI_BIT(12) | UI_BIT(30) },
		{ .format = UI_PT_X86_64, .granule_lg2 = 12, .ia_bits = 48, .oa_bits = 48, .page_sizes = UI_BIT(11) },
	};
	struct test_pages *tp = test_pages_create();

	for (size_t i = 0; i < ui_array_size(bad); i++) {
		struct ui_pt_cfg cfg = bad[i];
		struct ui_pt pt;

		cfg.pages = &tp->pages;
		assert_int_equal(ui_pt_init(&pt, &cfg), -EINVAL);
		if (!cfg.page_sizes)
			assert_int_equal(ui_pt_page_sizes(&cfg), 0);
	}
	test_pages_destroy(tp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaf_round_trips),
		cmocka_unit_test(leaf_grants_what_was_asked),
		cmocka_unit_test(marks_change_nothing_else),
		cmocka_unit_test(attributes_move_with_the_level),
		cmocka_unit_test(prot_that_cannot_be_expressed_is_refused),
		cmocka_unit_test(table_entry_round_trips),
		cmocka_unit_test(table_address_alone_is_absent),
		cmocka_unit_test(accessors_are_defined_for_every_word),
		cmocka_unit_test(arm_geometry_follows_the_tables),
		cmocka_unit_test(geometry_that_does_not_exist_is_refused),
	};

	return cmocka_run_group_tests_name("pgtable formats", tests, NULL, NULL);
}
