/* SPDX-License-Identifier: MIT */
/* What each command must take out of the caches, and what it leaves there (Arm IHI 0070: 4.3, 4.4; requirements.md, D9). */
#include "smmuv3_common.h"

#include <stdio.h>

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

enum { SID_BITS = 6, VA = 0x40000000, N_STREAMS = 6, FIRST_SID = 8 };

/* One stream of each sort; all translate VA, at first to the page of their own from PAGES on. */
static const struct sort {
	unsigned config;
	u16 vmid, asid;
} sorts[N_STREAMS] = {
	{ UI_SMMUV3_CONFIG_S1, 3, 1 },     { UI_SMMUV3_CONFIG_S1, 3, 2 }, { UI_SMMUV3_CONFIG_S1, 4, 1 },
	{ UI_SMMUV3_CONFIG_NESTED, 3, 1 }, { UI_SMMUV3_CONFIG_S2, 3, 0 }, { UI_SMMUV3_CONFIG_S2, 4, 0 },
};
enum { A31 = 1, A32 = 2, A41 = 4, N31 = 8, S3 = 16, S4 = 32, ALL = 63 };

static struct ui_smmuv3_stream *streams[N_STREAMS];
static u64 roots[N_STREAMS];

static int setup(void **state)
{
	rig_new(SID_BITS);
	return 0;
}

static int teardown(void **state)
{
	for (unsigned i = 0; i < N_STREAMS; i++)
		ui_smmuv3_stream_close(streams[i]);
	rig_end();
	memset(streams, 0, sizeof(streams));
	return 0;
}

static void leaves(unsigned i, u64 shift)
{
	u64 attrs = sorts[i].config & 1 ? S1_LEAF : S2_LEAF;

	for (u64 page = 0; page < 4; page++)
		map_page(roots[i], VA + page * PAGE, PAGES + (u64)i * 0x10000 + shift + page * PAGE, attrs);
}

static void open_all(void)
{
	u64 flat = take(PAGE, PAGE);

	rig_enable(SID_BITS);
	for (u64 pa = RAM; pa < RAM + 0x180000; pa += PAGE)
		map_page(flat, pa, pa, S2_LEAF);
	for (u64 pa = PAGES; pa < PAGES + N_STREAMS * 0x10000; pa += PAGE) {
		map_page(flat, pa, pa, S2_LEAF);
		*at(pa) = pa;
	}
	for (unsigned i = 0; i < N_STREAMS; i++) {
		u64 *ste = ste_of(FIRST_SID + i);

		roots[i] = take(PAGE, PAGE);
		leaves(i, 0);
		cd_set(at(CDTAB + i * 64), roots[i], sorts[i].asid);
		ste_s1(ste, CDTAB + i * 64, 0, 0, 0);
		ste_s2(ste, sorts[i].config == UI_SMMUV3_CONFIG_S2 ? roots[i] : flat, sorts[i].vmid);
		ste_on(ste, sorts[i].config);
		streams[i] = ui_smmuv3_stream_open(rig.smmu, FIRST_SID + i);
	}
}

static u64 reads(unsigned i, u64 iova)
{
	u64 val = 0;

	assert_int_equal(dma_read(streams[i], iova, 0, false, &val), UI_DMA_OK);
	return val;
}

/* All are cached by their first tables; then the tables change. */
static void cache_and_change(void)
{
	for (unsigned i = 0; i < N_STREAMS; i++) {
		leaves(i, 0);
		command(0x03 | (u64)(FIRST_SID + i) << 32, 1);
		for (u64 page = 0; page < 4; page++)
			assert_true(reads(i, VA + page * PAGE) == PAGES + i * 0x10000 + page * PAGE);
		leaves(i, 0x8000);
	}
}

/* Which streams do not go by the old table any more, at @page. */
static unsigned renewed(unsigned page)
{
	const struct ui_dma_addr where = { .iova = VA + page * PAGE };
	unsigned new = 0;

	for (unsigned i = 0; i < N_STREAMS; i++) {
		bool old = reads(i, where.iova) == PAGES + i * 0x10000 + page * PAGE;

		new |= old ? 0 : 1u << i;
		/* The caches say the same of themselves. */
		assert_int_equal(ui_smmuv3_stream_cached(streams[i], &where, UI_PROT_READ), old ? UI_SMMUV3_CACHE_TLB : UI_SMMUV3_CACHE_GOOD);
	}
	return new;
}

#define V(n) ((u64)(n) << 32)
#define AS(n) ((u64)(n) << 48)
#define RANGE(num, scale) ((u64)(num) << 12 | (u64)(scale) << 20)
#define TG_4K ((u64)1 << 10)
#define TTL(n) ((u64)(n) << 8)

/* 4.4.1 to 4.4.4: of page 1, what must go, and of all pages what must stay. Between the two lies what an SMMU may do as it likes. */
static const struct scope {
	const char *name;
	u64 w0, w1;
	unsigned gone, stays;
} scopes[] = {
	{ "NH_ALL", 0x10 | V(3), 0, A31 | A32 | N31, A41 | S3 | S4 },
	{ "NH_ALL of nobody", 0x10 | V(9), 0, 0, ALL },
	{ "NH_ASID", 0x11 | V(3) | AS(1), 0, A31 | N31, A32 | A41 | S3 | S4 },
	{ "NH_VA", 0x12 | V(3) | AS(1), VA + PAGE, A31 | N31, A41 | S3 | S4 },
	{ "NH_VA leaf", 0x12 | V(3) | AS(1), (VA + PAGE) | 1, A31 | N31, A41 | S3 | S4 },
	{ "NH_VA elsewhere", 0x12 | V(3) | AS(1), VA + 16 * PAGE, 0, ALL },
	{ "NH_VAA", 0x13 | V(3), VA + PAGE, A31 | A32 | N31, A41 | S3 | S4 },
	{ "NH_VAA range", 0x13 | V(3) | RANGE(3, 0), VA | TG_4K, A31 | A32 | N31, A41 | S3 | S4 },
	{ "NH_VAA range, TTL", 0x13 | V(3) | RANGE(0, 1), VA | TG_4K | TTL(3), A31 | A32 | N31, A41 | S3 | S4 },
	{ "NH_VAA one granule, TTL", 0x13 | V(3), (VA + PAGE) | TG_4K | TTL(3), A31 | A32 | N31, A41 | S3 | S4 },
	{ "NH_VAA range below", 0x13 | V(3) | RANGE(15, 2), (VA - 64 * PAGE) | TG_4K, 0, ALL },
	{ "NH_VAA largest range", 0x13 | V(3) | RANGE(31, 31), (u64)1 << 10, A31 | A32 | N31, A41 | S3 | S4 },
	{ "S2_IPA", 0x2a | V(3), VA + PAGE, S3, A31 | A32 | A41 | S4 },
	{ "S2_IPA range", 0x2a | V(3) | RANGE(1, 0), VA | TG_4K, S3, A31 | A32 | A41 | S4 },
	{ "S2_IPA elsewhere", 0x2a | V(3), VA + 5 * PAGE, 0, ALL },
	{ "S12_VMALL", 0x28 | V(3), 0, A31 | A32 | N31 | S3, A41 | S4 },
	{ "NSNH_ALL", 0x30, 0, ALL, 0 },
	{ "CFGI_STE", 0x03 | V(FIRST_SID + 1), 1, 0, ALL & ~A32 },
	{ "SYNC", 0x46, 0, 0, ALL },
	{ "PREFETCH_ADDR", 0x02 | V(FIRST_SID), VA, 0, ALL },
};

static void commands_have_their_scope(void **state)
{
	rig_start();
	open_all();
	for (size_t i = 0; i < ui_array_size(scopes); i++) {
		const struct scope *s = &scopes[i];
		unsigned new;

		cache_and_change();
		command(s->w0, s->w1);
		assert_int_equal(rd(UI_SMMUV3_REG_GERROR), 0);
		new = renewed(1);
		if ((s->gone & ~new) || (s->stays & new))
			fail_msg("%s: %#x are renewed, not %#x and none of %#x", s->name, new, s->gone, s->stays);
	}
	/* Of an address alone, its neighbours stay. */
	cache_and_change();
	command(0x12 | V(3) | AS(1), VA + PAGE);
	assert_int_equal(renewed(2), 0);
	/* 4.4.2: EL2 has no commands here. */
	command(0x20, 0);
	assert_int_equal(rd(UI_SMMUV3_REG_GERROR), 1);
}

/* 4.4.2.4: an address also is that of global entries, whatever the ASID they were cached for. */
static void a_global_entry_has_no_asid(void **state)
{
	const u64 global = S1_LEAF & ~((u64)1 << 11);

	rig_start();
	open_all();
	map_page(roots[1], VA, PAGES, global);
	assert_true(reads(1, VA) == PAGES);
	map_page(roots[1], VA, PAGES + PAGE, global);
	assert_true(reads(1, VA) == PAGES);
	command(0x12 | V(3) | AS(1), VA);
	assert_true(reads(1, VA) == PAGES + PAGE);
}

/* 4.4.1.1: without RIL the range's bits mean nothing, and one address is one address. */
static void without_ranges_their_bits_mean_nothing(void **state)
{
	rig.cfg.feat.ril = 0;
	rig_start();
	open_all();
	cache_and_change();
	command(0x13 | V(3) | RANGE(31, 5), (VA + PAGE) | TG_4K);
	assert_int_equal(renewed(1), A31 | A32 | N31);
	assert_int_equal(renewed(3), 0);
	/* A granule that would be reserved as a range. */
	command(0x13 | V(3), (VA + 2 * PAGE) | TG_4K);
	assert_int_equal(rd(UI_SMMUV3_REG_GERROR), 0);
	assert_int_equal(renewed(2), A31 | A32 | N31);
}

/* One address is the whole leaf that translates it, in whatever pieces the TLB holds it: a page of 64K. */
static void one_address_is_a_whole_leaf(void **state)
{
	u64 l2, l3, *cd = at(CDTAB), *leaf;

	rig_start();
	open_all();
	l2 = take(0x10000, 0x10000);
	l3 = take(0x10000, 0x10000);
	ui_hw_set(cd, UI_SMMUV3_CD_TG0, UI_SMMUV3_TG0_64K);
	ui_hw_set(cd, UI_SMMUV3_CD_T0SZ, 64 - 42);
	ui_hw_set_addr(cd, UI_SMMUV3_CD_TTB0, l2);
	*at(l2 + ((u64)VA >> 29) * 8) = l3 | 3;
	leaf = at(l3 + ((u64)VA >> 16 & 0x1fff) * 8);
	*leaf = PAGES | S1_LEAF | 3;
	for (u64 page = 0; page < 16; page++)
		assert_true(reads(0, VA + page * PAGE) == PAGES + page * PAGE);
	*leaf = (PAGES + 0x10000) | S1_LEAF | 3;
	assert_true(reads(0, VA) == PAGES);
	command(0x12 | V(3) | AS(1), VA + 7 * PAGE);
	for (u64 page = 0; page < 16; page++)
		assert_true(reads(0, VA + page * PAGE) == PAGES + 0x10000 + page * PAGE);
	/* A range that meets a part of it. */
	*leaf = PAGES | S1_LEAF | 3;
	command(0x13 | V(3) | RANGE(1, 0), (VA + 14 * PAGE) | TG_4K);
	for (u64 page = 0; page < 16; page++)
		assert_true(reads(0, VA + page * PAGE) == PAGES + page * PAGE);
}

/* The same of a block of 2 MiB in stage 1 that stage 2 cuts into pages. */
static void one_address_is_a_whole_leaf_of_stage_1(void **state)
{
	u64 table, *entry;
	unsigned i = 3;

	rig_start();
	open_all();
	table = *at(roots[i]) & ui_mask_range(47, 12);
	table = *at(table + ((u64)VA >> 30 & 511) * 8) & ui_mask_range(47, 12);
	entry = at(table + ((u64)VA >> 21 & 511) * 8);
	*entry = PAGES | S1_LEAF | 1;
	for (u64 page = 0; page < 32; page++)
		assert_true(reads(i, VA + page * PAGE) == PAGES + page * PAGE);
	*entry = (PAGES - 0x200000) | S1_LEAF | 1;
	for (u64 pa = PAGES - 0x200000; pa < PAGES - 0x200000 + 32 * PAGE; pa += PAGE) {
		*at(pa) = pa;
		map_page(*at(STRTAB + (FIRST_SID + i) * 64 + 24) & ui_mask_range(47, 12), pa, pa, S2_LEAF);
	}
	assert_true(reads(i, VA) == PAGES);
	command(0x12 | V(3) | AS(1), VA + 20 * PAGE);
	for (u64 page = 0; page < 32; page++)
		assert_true(reads(i, VA + page * PAGE) == PAGES - 0x200000 + page * PAGE);
}

/* 4.3.1 to 4.3.4, 4.3.6: which configurations go. */
static void configuration_commands_have_their_scope(void **state)
{
	static const struct {
		u64 w0, w1;
		unsigned gone;
	} all[] = {
		{ 0x03 | V(FIRST_SID + 2), 1, A41 },          { 0x03 | V(FIRST_SID + 7), 1, 0 },
		{ 0x04 | V(FIRST_SID + 1), 0, A31 | A32 },    { 0x04 | V(FIRST_SID + 3), 1, A31 | A32 | A41 | N31 },
		{ 0x04 | V(0), 2, 0 },                        { 0x04 | V(0), 3, ALL },
		{ 0x04 | V(77), 31, ALL },                    { 0x05 | V(FIRST_SID), 1, A31 },
		{ 0x05 | V(FIRST_SID) | 1 << 12, 1, 0 },      { 0x06 | V(FIRST_SID + 3), 0, N31 },
		{ 0x10 | V(3), 0, 0 },
	};
	const struct ui_dma_addr where = { .iova = VA };

	rig_start();
	open_all();
	for (size_t c = 0; c < ui_array_size(all); c++) {
		for (unsigned i = 0; i < N_STREAMS; i++) {
			command(0x03 | V(FIRST_SID + i), 1);
			reads(i, VA);
			ste_of(FIRST_SID + i)[1] ^= (u64)1 << 20; /* software's own */
		}
		command(all[c].w0, all[c].w1);
		for (unsigned i = 0; i < N_STREAMS; i++) {
			bool gone = ui_smmuv3_stream_cached(streams[i], &where, UI_PROT_READ) != UI_SMMUV3_CACHE_CONFIG;

			if (gone != (all[c].gone >> i & 1))
				fail_msg("command %#lx %#lx, stream %u: %s", (long)all[c].w0, (long)all[c].w1, i, gone ? "gone" : "stays");
		}
	}
	/* 6.3.9.6: so does disabling. */
	wr(UI_SMMUV3_REG_CR0, 0xc);
	wr(UI_SMMUV3_REG_CR0, 0xd);
	for (unsigned i = 0; i < N_STREAMS; i++)
		assert_int_equal(ui_smmuv3_stream_cached(streams[i], &where, UI_PROT_READ), UI_SMMUV3_CACHE_GOOD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(commands_have_their_scope), T(a_global_entry_has_no_asid), T(without_ranges_their_bits_mean_nothing), T(one_address_is_a_whole_leaf),
		T(one_address_is_a_whole_leaf_of_stage_1), T(configuration_commands_have_their_scope),
	};

	if (ui_safe_install())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
