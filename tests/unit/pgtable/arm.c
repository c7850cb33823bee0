/* SPDX-License-Identifier: MIT */
/*
 * What is Arm's alone: from the fields of an STE and a CD to a walk, and what these let a walk do (hw-formats 2.1 to 2.4; Arm ARM,
 * D8; IHI 0070, 3.4, 5.2, 5.4). Entries are written by hand.
 */
#include "common.h"

#include "pgtable/arm.h"

#define ROOT 0x1000u
#define R UI_PROT_READ
#define W UI_PROT_WRITE
#define X UI_PROT_EXEC
#define P UI_PROT_PRIV
#define AF UI_BIT(10)
#define USER UI_BIT(6)
#define RO UI_BIT(7)
#define DBM UI_BIT(51)

static u64 word[0x2000];
static unsigned n_swaps;

static enum ui_walk_status load(void *arg, u64 addr, u64 *entry)
{
	if (addr / 8 >= ui_array_size(word))
		return UI_WALK_ABORT;
	*entry = word[addr / 8];
	return UI_WALK_OK;
}

static enum ui_walk_status swap(void *arg, u64 addr, u64 expected, u64 desired, bool *swapped)
{
	n_swaps++;
	*swapped = word[addr / 8] == expected;
	if (*swapped)
		word[addr / 8] = desired;
	return UI_WALK_OK;
}

static const struct ui_walk_mem mem = { .load = load, .cmpxchg = swap };
static struct ui_walk_cfg cfg;
static struct ui_walk out;

static enum ui_walk_status walk(u64 iova, unsigned access)
{
	return ui_walk_table(&cfg, &mem, iova, access, &out);
}

/* ---- from fields to walks ---- */

struct start {
	u8 granule, txsz, sl0, ps, oas;
	bool va52;
	int level; /* Arm's; -1: illegal */
	u8 top_lg2;
};

static void stage_1_starts_where_its_size_says(void **state)
{
	static const struct start rule[] = {
		{ 12, 16, 0, 48, 48, false, 0, 9 },  { 12, 24, 0, 48, 48, false, 0, 1 },  { 12, 25, 0, 40, 48, false, 1, 9 },
		{ 12, 33, 0, 32, 48, false, 1, 1 },  { 12, 34, 0, 48, 48, false, 2, 9 },  { 12, 39, 0, 48, 48, false, 2, 4 },
		{ 14, 16, 0, 48, 48, false, 0, 1 },  { 14, 17, 0, 48, 48, false, 1, 11 }, { 14, 28, 0, 48, 48, false, 2, 11 },
		{ 14, 39, 0, 48, 48, false, 3, 11 }, { 16, 16, 0, 48, 48, false, 1, 6 },  { 16, 12, 0, 52, 52, true, 1, 10 },
		{ 16, 22, 0, 48, 48, false, 2, 13 }, { 16, 35, 0, 48, 48, false, 3, 13 }, { 16, 39, 0, 48, 48, false, 3, 9 },
		/* TxSZ out of range; 52 bits without VAX, or with another granule; no granule. */
		{ 12, 15, 0, 48, 48, false, -1, 0 }, { 12, 40, 0, 48, 48, false, -1, 0 }, { 16, 12, 0, 52, 52, false, -1, 0 },
		{ 16, 15, 0, 52, 52, false, -1, 0 }, { 12, 12, 0, 52, 52, true, -1, 0 },  { 14, 15, 0, 52, 52, true, -1, 0 },
		{ 16, 11, 0, 52, 52, true, -1, 0 },  { 0, 16, 0, 48, 48, false, -1, 0 },  { 13, 16, 0, 48, 48, false, -1, 0 },
		{ 12, 63, 0, 48, 48, false, -1, 0 },
	};

	for (size_t i = 0; i < ui_array_size(rule); i++) {
		const struct start *s = &rule[i];
		const struct ui_arm_s1 fields = { .granule_lg2 = s->granule, .txsz = s->txsz, .ips_bits = s->ps, .oas_bits = s->oas,
						  .va52 = s->va52, .upper = i & 1, .ttb = 0x12345678 };

		memset(&cfg, 0xee, sizeof(cfg));
		assert_int_equal(ui_arm_s1_start(&fields, &cfg), s->level < 0 ? -EINVAL : 0);
		if (s->level < 0) {
			assert_int_equal(cfg.top_level, 0xee);
			continue;
		}
		assert_int_equal(ui_arm_level(cfg.top_level), s->level);
		assert_int_equal(cfg.top_lg2, s->top_lg2);
		assert_int_equal(cfg.ia_bits, 64 - s->txsz);
		assert_int_equal(cfg.oa_bits, ui_min(s->ps, s->oas));
		assert_int_equal(cfg.upper, i & 1);
		assert_int_equal(cfg.top_pa, 0x12345678 & ~(UI_BIT(s->top_lg2 + 3) - 1));
	}
}

static void stage_2_starts_where_sl0_says(void **state)
{
	static const struct start rule[] = {
		/* Each start level with its fewest and its most input bits. */
		{ 12, 16, 2, 48, 48, false, 0, 9 },  { 12, 24, 2, 48, 48, false, 0, 1 },  { 12, 21, 1, 48, 48, false, 1, 13 },
		{ 12, 33, 1, 48, 48, false, 1, 1 },  { 12, 30, 0, 48, 48, false, 2, 13 }, { 12, 39, 0, 48, 48, false, 2, 4 },
		{ 14, 16, 2, 48, 48, false, 1, 12 }, { 14, 27, 2, 48, 48, false, 1, 1 },  { 14, 24, 1, 48, 48, false, 2, 15 },
		{ 14, 38, 1, 48, 48, false, 2, 1 },  { 14, 35, 0, 48, 48, false, 3, 15 }, { 14, 39, 0, 48, 48, false, 3, 11 },
		{ 16, 12, 2, 52, 52, false, 1, 10 }, { 16, 21, 2, 48, 48, false, 1, 1 },  { 16, 18, 1, 48, 48, false, 2, 17 },
		{ 16, 34, 1, 48, 48, false, 2, 1 },  { 16, 31, 0, 48, 48, false, 3, 17 }, { 16, 39, 0, 48, 48, false, 3, 9 },
		{ 12, 20, 2, 44, 44, false, 0, 5 },  { 14, 22, 2, 42, 42, false, 1, 6 },  { 16, 20, 2, 44, 44, false, 1, 2 },
		/* One bit more or fewer than the level can take. */
		{ 12, 25, 2, 48, 48, false, -1, 0 }, { 12, 20, 1, 48, 48, false, -1, 0 }, { 12, 34, 1, 48, 48, false, -1, 0 },
		{ 12, 29, 0, 48, 48, false, -1, 0 }, { 14, 28, 2, 48, 48, false, -1, 0 }, { 14, 23, 1, 48, 48, false, -1, 0 },
		{ 14, 39, 1, 48, 48, false, -1, 0 }, { 14, 34, 0, 48, 48, false, -1, 0 }, { 16, 22, 2, 48, 48, false, -1, 0 },
		{ 16, 17, 1, 48, 48, false, -1, 0 }, { 16, 35, 1, 48, 48, false, -1, 0 }, { 16, 30, 0, 48, 48, false, -1, 0 },
		/* T0SZ below 64 - IAS, below 16, above 39. */
		{ 12, 23, 1, 40, 40, false, -1, 0 }, { 12, 15, 2, 52, 52, false, -1, 0 }, { 16, 15, 2, 48, 48, false, -1, 0 },
		{ 16, 11, 2, 52, 52, false, -1, 0 }, { 12, 40, 0, 48, 48, false, -1, 0 }, { 16, 63, 0, 48, 48, false, -1, 0 },
		/* Start levels that do not exist, or are for wider hardware only. */
		{ 12, 39, 3, 48, 48, false, -1, 0 }, { 14, 16, 3, 48, 48, false, -1, 0 }, { 16, 16, 3, 48, 48, false, -1, 0 },
		{ 12, 24, 2, 42, 42, false, -1, 0 }, { 14, 26, 2, 40, 40, false, -1, 0 }, { 16, 22, 2, 42, 42, false, -1, 0 },
		{ 12, 39, 4, 48, 48, false, -1, 0 }, { 0, 24, 1, 48, 48, false, -1, 0 },  { 15, 24, 1, 48, 48, false, -1, 0 },
	};

	for (size_t i = 0; i < ui_array_size(rule); i++) {
		const struct start *s = &rule[i];
		const struct ui_arm_s2 fields = { .granule_lg2 = s->granule, .t0sz = s->txsz, .sl0 = s->sl0, .ps_bits = s->ps,
						  .oas_bits = s->oas, .ttb = 0x92345678 };

		memset(&cfg, 0xee, sizeof(cfg));
		assert_int_equal(ui_arm_s2_start(&fields, &cfg), s->level < 0 ? -EINVAL : 0);
		if (s->level < 0) {
			assert_int_equal(cfg.top_level, 0xee);
			continue;
		}
		assert_int_equal(ui_arm_level(cfg.top_level), s->level);
		assert_int_equal(cfg.top_lg2, s->top_lg2);
		assert_int_equal(cfg.top_pa, 0x92345678 & ~(UI_BIT(s->top_lg2 + 3) - 1));
	}
}

/* Only 64K has more than 48 bits; no stage has more than the hardware; a table beyond is illegal. */
static void output_size_is_what_both_allow(void **state)
{
	struct ui_arm_s1 s1 = { .granule_lg2 = 12, .txsz = 16, .ips_bits = 52, .oas_bits = 52 };
	struct ui_arm_s2 s2 = { .granule_lg2 = 16, .t0sz = 24, .sl0 = 1, .ps_bits = 52, .oas_bits = 44 };

	assert_int_equal(ui_arm_s1_start(&s1, &cfg), 0);
	assert_true(cfg.oa_bits == 48 && !cfg.wide_64k);
	s1.ttb = UI_BIT(48);
	assert_int_equal(ui_arm_s1_start(&s1, &cfg), -EINVAL);
	s1.granule_lg2 = 16;
	s1.ttb = UI_BIT(51) | 0x30;
	assert_int_equal(ui_arm_s1_start(&s1, &cfg), 0);
	assert_true(cfg.oa_bits == 52 && cfg.wide_64k && cfg.top_pa == UI_BIT(51));
	s1.ips_bits = 40;
	assert_int_equal(ui_arm_s1_start(&s1, &cfg), -EINVAL);
	s1.ttb = UI_BIT(39);
	assert_int_equal(ui_arm_s1_start(&s1, &cfg), 0);
	assert_true(cfg.oa_bits == 40 && cfg.wide_64k);
	assert_int_equal(ui_arm_s2_start(&s2, &cfg), 0);
	assert_true(cfg.oa_bits == 44 && !cfg.wide_64k);
	s2.ttb = UI_BIT(44);
	assert_int_equal(ui_arm_s2_start(&s2, &cfg), -EINVAL);
	/* With 52 bits a small top is aligned to 64 bytes at least. */
	s1 = (struct ui_arm_s1){ .granule_lg2 = 16, .txsz = 21, .ips_bits = 52, .oas_bits = 52, .ttb = 0x1070 };
	assert_int_equal(ui_arm_s1_start(&s1, &cfg), 0);
	assert_int_equal(cfg.top_pa, 0x1040);
}

static void encodings_of_sizes(void **state)
{
	assert_true(ui_arm_tg0(0) == 12 && ui_arm_tg0(1) == 16 && ui_arm_tg0(2) == 14 && ui_arm_tg0(3) == 0);
	assert_true(ui_arm_tg1(0) == 0 && ui_arm_tg1(1) == 14 && ui_arm_tg1(2) == 12 && ui_arm_tg1(3) == 16);
	assert_true(ui_arm_ps_bits(0) == 32 && ui_arm_ps_bits(3) == 42 && ui_arm_ps_bits(4) == 44 && ui_arm_ps_bits(6) == 52 &&
		    ui_arm_ps_bits(7) == 52);
	assert_true(ui_arm_level(0) == 3 && ui_arm_level(3) == 0);
}

/* ---- walks ---- */

/* A stage of one level, 16K and 25 bits: entry 4 is a page at 0x10000. */
static void one_level(enum ui_pt_format format, u64 leaf)
{
	memset(word, 0, sizeof(word));
	n_swaps = 0;
	cfg = (struct ui_walk_cfg){ .format = format, .granule_lg2 = 14, .ia_bits = 25, .oa_bits = 44, .top_lg2 = 11, .top_pa = ROOT * 4 };
	word[ROOT * 4 / 8 + 4] = leaf | 3;
}

#define PAGE4 ((u64)4 << 14)

/* WXN: what may be written does not execute, for whom it may be written. */
static void what_may_be_written_does_not_execute_with_wxn(void **state)
{
	one_level(UI_PT_ARM_S1, AF); /* privileged only, both may run it */
	assert_int_equal(walk(PAGE4, X | P), UI_WALK_OK);
	cfg.write_no_exec = true;
	assert_int_equal(walk(PAGE4, X | P), UI_WALK_PERMISSION);
	assert_int_equal(walk(PAGE4, X), UI_WALK_OK); /* unprivileged code may not write there */
	assert_int_equal(out.prot, X);
	one_level(UI_PT_ARM_S1, AF | USER);
	assert_int_equal(walk(PAGE4, X), UI_WALK_OK);
	cfg.write_no_exec = true;
	assert_int_equal(walk(PAGE4, X), UI_WALK_PERMISSION);
	one_level(UI_PT_ARM_S1, AF | USER | RO);
	cfg.write_no_exec = true;
	assert_int_equal(walk(PAGE4, X), UI_WALK_OK);
	/* Writable and clean is writable. */
	one_level(UI_PT_ARM_S1, AF | USER | RO | DBM);
	cfg.write_no_exec = cfg.set_accessed = cfg.set_dirty = true;
	assert_int_equal(walk(PAGE4, X), UI_WALK_PERMISSION);
}

/* PAN: privileged data accesses stay out of what unprivileged ones may reach. */
static void privileged_accesses_spare_user_pages_with_pan(void **state)
{
	one_level(UI_PT_ARM_S1, AF | USER | RO);
	cfg.priv_no_user = true;
	assert_int_equal(walk(PAGE4, R | P), UI_WALK_PERMISSION);
	assert_int_equal(walk(PAGE4, X | P), UI_WALK_OK);
	assert_int_equal(walk(PAGE4, R), UI_WALK_OK);
	one_level(UI_PT_ARM_S1, AF);
	cfg.priv_no_user = true;
	assert_int_equal(walk(PAGE4, R | W | P), UI_WALK_OK);
}

/* EL2 and EL3: bit 54 is XN for all, AP[1] and PXN mean nothing. */
static void one_privilege_means_no_user(void **state)
{
	for (unsigned priv = 0; priv <= P; priv += P) {
		one_level(UI_PT_ARM_S1, AF | UI_BIT(53));
		cfg.one_privilege = true;
		assert_int_equal(walk(PAGE4, R | W | X | priv), UI_WALK_OK);
		assert_int_equal(out.prot, R | W | X);
		cfg.write_no_exec = true;
		assert_int_equal(walk(PAGE4, X | priv), UI_WALK_PERMISSION);
		one_level(UI_PT_ARM_S1, AF | USER | RO | UI_BIT(54));
		cfg.one_privilege = true;
		assert_int_equal(walk(PAGE4, X | priv), UI_WALK_PERMISSION);
		assert_int_equal(walk(PAGE4, W | priv), UI_WALK_PERMISSION);
		assert_int_equal(walk(PAGE4, R | priv), UI_WALK_OK);
	}
}

/* AP[1] = 0 and UXN = 0: unprivileged code may run it and neither read nor write it. */
static void a_page_may_be_execute_only(void **state)
{
	one_level(UI_PT_ARM_S1, AF);
	assert_int_equal(walk(PAGE4, X), UI_WALK_OK);
	assert_int_equal(walk(PAGE4, R | X), UI_WALK_PERMISSION);
	one_level(UI_PT_ARM_S1, AF | UI_BIT(54));
	assert_int_equal(walk(PAGE4, X), UI_WALK_PERMISSION);
}

/* AFFD, S2AFFD: a clear access flag neither faults nor is set; with HA it is set. */
static void a_clear_access_flag_may_be_ignored(void **state)
{
	for (enum ui_pt_format format = UI_PT_ARM_S1; format <= UI_PT_ARM_S2; format++) {
		one_level(format, USER);
		assert_int_equal(walk(PAGE4, R), UI_WALK_ACCESS);
		cfg.no_access_fault = true;
		assert_int_equal(walk(PAGE4, R), UI_WALK_OK);
		assert_int_equal(n_swaps, 0);
		cfg.set_accessed = true;
		assert_int_equal(walk(PAGE4, R), UI_WALK_OK);
		assert_int_equal(n_swaps, 1);
		assert_true(word[ROOT * 4 / 8 + 4] & AF);
	}
}

/* S2PTW: such an access is refused by memory type, after the access flag, and marks nothing. */
static void a_walk_may_keep_out_of_device_memory(void **state)
{
	for (unsigned memattr = 0; memattr < 16; memattr++) {
		one_level(UI_PT_ARM_S2, 0xc0 | memattr << 2);
		assert_int_equal(walk(PAGE4, R | UI_PROT_MMIO), UI_WALK_ACCESS);
		cfg.set_accessed = true;
		assert_int_equal(walk(PAGE4, R | UI_PROT_MMIO), memattr < 4 ? UI_WALK_PERMISSION : UI_WALK_OK);
		assert_int_equal(n_swaps, memattr >= 4);
		assert_int_equal(walk(PAGE4, R), UI_WALK_OK);
	}
}

/* Hints, security states and software's bits: contiguous, nT, NS, NSTable, 58:55, 63. */
static void bits_that_mean_nothing_change_nothing(void **state)
{
	one_level(UI_PT_ARM_S1, 0xabc000 | AF | USER | UI_BIT(52) | UI_BIT(5) | (u64)0x1f << 55 | UI_BIT(63) | UI_BIT(50));
	assert_int_equal(walk(PAGE4 + 5, R | W), UI_WALK_OK);
	assert_int_equal(out.oa, 0xabc005);
	assert_int_equal(out.leaf_lg2, 14);
}

/* 64K where the hardware has 52 bits: bits 15:12 of an entry are address bits also when the output is narrower; 4 TiB blocks. */
static void wide_entries_of_64k(void **state)
{
	memset(word, 0, sizeof(word));
	cfg = (struct ui_walk_cfg){ .format = UI_PT_ARM_S1, .granule_lg2 = 16, .ia_bits = 52, .oa_bits = 52, .top_level = 2, .top_lg2 = 10,
				    .top_pa = 0 };
	word[1] = (u64)0x5 << 42 | 0xa000 | AF | USER | 1;
	assert_int_equal(walk(UI_BIT(42) + 9, R), UI_WALK_TRANSLATION);
	cfg.wide_64k = true;
	assert_int_equal(walk(UI_BIT(42) + 9, R), UI_WALK_OK);
	assert_true(out.oa == ((u64)0xa << 48 | (u64)0x5 << 42 | 9) && out.leaf_lg2 == 42);
	cfg.oa_bits = 48;
	assert_int_equal(walk(UI_BIT(42) + 9, R), UI_WALK_ADDR_SIZE);
	assert_int_equal(out.level, 2);
	word[1] &= ~(u64)0xf000;
	assert_int_equal(walk(UI_BIT(42) + 9, R), UI_WALK_OK);
	cfg.top_pa = UI_BIT(48);
	assert_int_equal(walk(UI_BIT(42) + 9, R), UI_WALK_ADDR_SIZE); /* the top itself */
}

/* An upper table whose addresses do not fill what its levels could: the ones above its range are no index. */
static void the_last_addresses_index_from_0(void **state)
{
	one_level(UI_PT_ARM_S1, 0xabc000 | AF | USER);
	cfg.upper = true;
	assert_int_equal(walk((u64)0 - UI_BIT(25) + PAGE4 + 1, R), UI_WALK_OK);
	assert_int_equal(out.oa, 0xabc001);
	assert_int_equal(walk(PAGE4, R), UI_WALK_TRANSLATION);
	assert_int_equal(walk((u64)0 - UI_BIT(25) - 1, R), UI_WALK_TRANSLATION);
	assert_int_equal(walk(~(u64)0, R), UI_WALK_TRANSLATION);
	cfg.top_lg2 = 12;
	assert_int_equal(walk((u64)0 - UI_BIT(25) + PAGE4 + 1, R), UI_WALK_OK);
}

/* ---- tables of our own ---- */

static int first_leaf(void *arg, const struct ui_pt_dump_entry *entry)
{
	if (entry->leaf)
		*(struct ui_pt_dump_entry *)arg = *entry;
	return 0;
}

/* requirements B8: a table that all processes share says so in its leaves, a process's own does not. */
static void a_shared_table_is_global(void **state)
{
	for (unsigned global = 0; global < 2; global++) {
		struct test_pages *tp = test_pages_create();
		const struct ui_pt_cfg shape = { .format = UI_PT_ARM_S1, .granule_lg2 = 12, .ia_bits = 48, .oa_bits = 48,
						 .upper = global, .global = global, .pages = &tp->pages };
		struct ui_pt_dump_entry leaf = { 0 };
		u64 iova = global ? ~(u64)0xfff : 0x1000;
		struct ui_walk w;
		struct ui_pt pt;

		assert_int_equal(ui_pt_init(&pt, &shape), 0);
		assert_int_equal(pt.ops->map(&pt, iova, 0x5000, 0x1000, R, NULL), 0);
		assert_int_equal(pt.ops->dump(&pt, first_leaf, &leaf), 0);
		assert_int_equal(leaf.entry >> 11 & 1, !global);
		assert_int_equal(leaf.iova, iova);
		assert_int_equal(pt.ops->walk(&pt, iova + 7, R, &w), UI_WALK_OK);
		assert_int_equal(w.oa, 0x5007);
		assert_int_equal(pt.ops->walk(&pt, iova & ui_mask_lg2(48), R, &w), global ? UI_WALK_TRANSLATION : UI_WALK_OK);
		ui_pt_fini(&pt);
		test_pages_destroy(tp);
	}
}

static void only_stage_1_has_an_upper_half(void **state)
{
	for (unsigned format = 0; format < UI_PT_N_FORMATS; format++) {
		for (size_t g = 0; g < test_n_geometries; g++) {
			struct ui_pt_cfg shape = test_geometries[g];

			shape.upper = true;
			if (shape.format == (enum ui_pt_format)format)
				assert_int_equal(ui_pt_page_sizes(&shape) != 0, format == UI_PT_ARM_S1);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stage_1_starts_where_its_size_says),
		cmocka_unit_test(stage_2_starts_where_sl0_says),
		cmocka_unit_test(output_size_is_what_both_allow),
		cmocka_unit_test(encodings_of_sizes),
		cmocka_unit_test(what_may_be_written_does_not_execute_with_wxn),
		cmocka_unit_test(privileged_accesses_spare_user_pages_with_pan),
		cmocka_unit_test(one_privilege_means_no_user),
		cmocka_unit_test(a_page_may_be_execute_only),
		cmocka_unit_test(a_clear_access_flag_may_be_ignored),
		cmocka_unit_test(a_walk_may_keep_out_of_device_memory),
		cmocka_unit_test(bits_that_mean_nothing_change_nothing),
		cmocka_unit_test(wide_entries_of_64k),
		cmocka_unit_test(the_last_addresses_index_from_0),
		cmocka_unit_test(a_shared_table_is_global),
		cmocka_unit_test(only_stage_1_has_an_upper_half),
	};

	return cmocka_run_group_tests_name("Arm tables", tests, NULL, NULL);
}
