/* SPDX-License-Identifier: MIT */
/*
 * Arm walks of tables that somebody else wrote, against the plain reader in tests/ref: every granule, stage 1, stage 2 and one
 * through the other, both halves, every start level; damaged in every way that the architecture has a fault for. Equal are
 * the answer, the fault with all it says, and every bit of memory afterwards.
 */
#include "../../ref/arm_walk.h"

#include "pgtable/arm.h"
#include "translate/priv.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum {
	R = UI_PROT_READ, W = UI_PROT_WRITE, X = UI_PROT_EXEC, P = UI_PROT_PRIV,
	N_TABLE_SETS = 3000, N_ACCESSES = 60, N_PLACES = 7, N_KINDS = 6,
	ENOUGH = 50, /* of each fault */
};

/* Stage-1 tables in the first half (which stage 2 maps at TABLES_IPA), those of stage 2 in the second. */
#define ARENA_PA ((u64)0x40000000)
#define ARENA_BYTES ((u64)16 << 20)
#define TABLES_IPA ((u64)8 << 20)

static u64 seed;

static u64 rnd(u64 n)
{
	u64 z = seed += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	z ^= z >> 31;
	return n ? z % n : z;
}

static bool chance(unsigned percent)
{
	return rnd(100) < percent;
}

/* A place that a stage was given a leaf for. */
struct place {
	u64 input, output;
	unsigned lg2;
};

/* Ours and the other's view of the same: a memory each. */
struct rig {
	struct ui_mem *mem;
	u8 *ours, *theirs;
	u64 used[2];
	struct ui_walk_cache cache;
	struct ui_stage_config cfg;
	struct ref_arm ref;
	struct place places[3][N_PLACES]; /* of the lower half, the upper half, stage 2 */
	unsigned oas, n_ok, n_all;
	unsigned seen[2][2][N_KINDS]; /* stage - 1, on_walk, result */
	unsigned n_marks_refused, n_upper, n_granule[3][3];
};

static bool ref_read(void *arg, u64 pa, u64 *val)
{
	struct rig *r = arg;

	if (pa < ARENA_PA || pa >= ARENA_PA + ARENA_BYTES)
		return false;
	memcpy(val, r->theirs + (pa - ARENA_PA), 8);
	return true;
}

static bool ref_write(void *arg, u64 pa, u64 val)
{
	struct rig *r = arg;

	if (pa < ARENA_PA || pa >= ARENA_PA + ARENA_BYTES)
		return false;
	memcpy(r->theirs + (pa - ARENA_PA), &val, 8);
	return true;
}

static void put(struct rig *r, u64 pa, u64 val)
{
	memcpy(r->ours + (pa - ARENA_PA), &val, 8);
	assert_true(ref_write(r, pa, val));
}

static u64 new_table(struct rig *r, bool stage2, u64 n_bytes)
{
	u64 at = ui_align_up(r->used[stage2], n_bytes);

	r->used[stage2] = at + n_bytes;
	assert_true(r->used[stage2] <= ARENA_BYTES / 2);
	at += stage2 ? ARENA_BYTES / 2 : 0;
	memset(r->ours + at, 0, n_bytes);
	memset(r->theirs + at, 0, n_bytes);
	return ARENA_PA + at;
}

static unsigned bits_of(const struct ref_arm_stage *s)
{
	return s->granule_kb == 4 ? 12 : s->granule_kb == 16 ? 14 : 16;
}

static unsigned shift_of(const struct ref_arm_stage *s, int level)
{
	return bits_of(s) + (unsigned)(3 - level) * (bits_of(s) - 3);
}

static u64 pack(const struct ref_arm_stage *s, u64 addr)
{
	return (addr & ui_mask_lg2(48)) | (s->granule_kb == 64 && s->pa52 ? addr >> 48 << 12 : 0);
}

/* How a stage-1 table's address is written in a pointer to it. */
static u64 named(const struct rig *r, bool stage2, u64 pa)
{
	return !stage2 && r->ref.has_s2 ? pa - ARENA_PA + TABLES_IPA : pa;
}

/* Puts @leaf where @input's entry at @level is, with the tables above it. */
static void put_leaf(struct rig *r, const struct ref_arm_stage *s, bool stage2, u64 top_pa, u64 input, int level, u64 leaf)
{
	u64 table = top_pa, entry = 0, at, rest = input & ui_mask_lg2((unsigned)s->input_bits);

	for (int l = s->start_level;; l++) {
		at = table + (rest >> shift_of(s, l)) * 8;
		rest &= ui_mask_lg2(shift_of(s, l));
		if (l == level)
			break;
		assert_true(ref_read(r, at, &entry));
		table = (entry & ui_mask_range(47, bits_of(s))) - named(r, stage2, ARENA_PA) + ARENA_PA;
		/* Absent, a block, or a damaged one. */
		if ((entry & 3) != 3 || table < ARENA_PA || table >= ARENA_PA + ARENA_BYTES) {
			u64 below = new_table(r, stage2, UI_BIT(bits_of(s)));

			entry = pack(s, named(r, stage2, below)) | 3 | (chance(20) ? rnd(0) & 0xff0 : 0);
			if (chance(12))
				entry |= (rnd(0) & 0x1f) << 59;
			if (chance(2))
				entry ^= UI_BIT(31); /* where no memory is */
			put(r, at, entry);
			table = below;
		}
	}
	put(r, at, leaf);
}

static u64 leaf_attrs(bool stage2)
{
	u64 attrs = UI_BIT(10);

	if (chance(82)) { /* grants all that one can, if it is marked */
		attrs |= stage2 ? 0xfc : 0x40;
		if (chance(30))
			attrs = UI_BIT(51) | (stage2 ? attrs & ~UI_BIT(7) : attrs | UI_BIT(7));
		return chance(90) ? attrs : attrs & ~UI_BIT(10);
	}
	attrs = rnd(0) & (ui_mask_range(63, 50) | ui_mask_range(11, 2));
	return chance(80) ? attrs | UI_BIT(10) : attrs & ~UI_BIT(10);
}

/* A few leaves at random places of a stage: @limit is where their outputs lie, most of them at places of @next. */
static void populate(struct rig *r, const struct ref_arm_stage *s, bool stage2, u64 top_pa, u64 base, struct place *places,
		     const struct place *next, unsigned output_bits)
{
	for (unsigned i = 0; i < N_PLACES; i++) {
		int level = chance(70) ? 3 : s->start_level + (int)rnd((u64)(4 - s->start_level));
		unsigned lg2;
		u64 in, out, leaf;

		if (level < 1 || (level == 1 && s->granule_kb == 16 && chance(80)))
			level = 2;
		if (level < s->start_level)
			level = s->start_level;
		lg2 = shift_of(s, level);
		in = (rnd(0) & ui_mask_lg2((unsigned)s->input_bits)) & ~ui_mask_lg2(lg2);
		if (i && chance(40)) /* beside another */
			in = (places[i - 1].input ^ UI_BIT(lg2)) & ui_mask_lg2((unsigned)s->input_bits) & ~ui_mask_lg2(lg2);
		if (stage2 && in < 2 * TABLES_IPA)
			in = (in | 2 * TABLES_IPA) & ui_mask_lg2((unsigned)s->input_bits);
		out = rnd(0) & ui_mask_lg2(output_bits);
		if (next && chance(96)) {
			const struct place *to = &next[rnd(N_PLACES)];

			out = to->input | (rnd(0) & ui_mask_lg2(to->lg2));
		}
		if (chance(3))
			out |= UI_BIT(32 + rnd(20));
		out &= ~ui_mask_lg2(lg2);
		leaf = pack(s, out) | leaf_attrs(stage2) | 1 | (level == 3 ? 2 : 0);
		if (chance(3))
			leaf ^= 1u << rnd(2); /* absent, reserved, or a block that becomes a pointer into nowhere */
		places[i] = (struct place){ base | in, out, lg2 };
		put_leaf(r, s, stage2, top_pa, in, level, leaf);
	}
}

/* Stage 2's pages under the tables of stage 1. */
static void map_tables(struct rig *r, u64 top_pa)
{
	const struct ref_arm_stage *s = &r->ref.s2;
	u64 page = UI_BIT(bits_of(s));

	for (u64 at = 0; at < r->used[0]; at += page) {
		u64 attrs = UI_BIT(10) | 0xfc | (chance(50) ? UI_BIT(54) : 0);

		if (chance(6))
			attrs = leaf_attrs(true);
		else if (chance(20))
			attrs = (attrs & ~(u64)0x80) | (chance(50) ? UI_BIT(51) : 0); /* read-only, or clean */
		if (chance(5))
			attrs &= ~UI_BIT(10);
		put_leaf(r, s, true, top_pa, TABLES_IPA + at, 3,
			 (pack(s, (ARENA_PA + at) | (chance(4) ? UI_BIT(32 + rnd(20)) : 0)) | attrs | 3) & ~(u64)(chance(3) ? 1 : 0));
	}
	/* A pointer to where no memory is, above many of them. */
	if (chance(5) && s->start_level < 3)
		put_leaf(r, s, true, top_pa, TABLES_IPA, 2, 0xc0000003);
}

static const unsigned granules[] = { 12, 14, 16 };
static const int granule_kb[] = { 4, 16, 64 };
static const int oas_bits[] = { 32, 36, 40, 42, 44, 48, 52 };

static void flags_of(struct ref_arm_stage *s, struct ui_walk_cfg *c, bool stage1)
{
	s->ha = c->set_accessed = chance(65);
	s->hd = c->set_dirty = s->ha && chance(70);
	s->affd = c->no_access_fault = chance(15);
	if (!stage1)
		return;
	s->hpd = c->no_table_attrs = chance(30);
	s->wxn = c->write_no_exec = chance(25);
	s->pan = c->priv_no_user = chance(25);
}

/* The shape is chosen as an STE's fields, and once more as the plain reader wants it. False: these fields are illegal. */
static bool make_stage2(struct rig *r)
{
	unsigned g = (unsigned)rnd(3), sl0 = (unsigned)rnd(3), t0sz = 12 + (unsigned)rnd(28);
	struct ui_arm_s2 fields = { .granule_lg2 = (u8)granules[g], .t0sz = (u8)t0sz, .sl0 = (u8)sl0,
				    .ps_bits = (u8)oas_bits[rnd(7)], .oas_bits = (u8)r->oas, .ttb = ARENA_PA };
	struct ref_arm_stage *s = &r->ref.s2;
	u64 top;

	if (ui_arm_s2_start(&fields, &r->cfg.s2.walk))
		return false;
	*s = (struct ref_arm_stage){ .granule_kb = granule_kb[g], .input_bits = 64 - (int)t0sz, .pa52 = r->oas == 52 };
	s->start_level = (s->granule_kb == 4 ? 2 : 3) - (int)sl0;
	s->output_bits = (int)ui_min(fields.ps_bits, r->oas);
	if (s->granule_kb != 64 && s->output_bits > 48)
		s->output_bits = 48;
	top = new_table(r, true, UI_BIT((unsigned)s->input_bits - shift_of(s, s->start_level) + 3));
	s->ttb = top;
	fields.ttb = top | (chance(50) ? 8 : 0);
	assert_int_equal(ui_arm_s2_start(&fields, &r->cfg.s2.walk), 0);
	flags_of(s, &r->cfg.s2.walk, false);
	s->ptw = r->cfg.s2.no_device_walks = chance(40);
	r->cfg.s2.present = true;
	populate(r, s, true, top, 0, r->places[2], NULL, (unsigned)s->output_bits);
	return true;
}

static bool make_half(struct rig *r, bool upper)
{
	unsigned g = (unsigned)rnd(3), txsz = 12 + (unsigned)rnd(28);
	struct ui_stage *stage = upper ? &r->cfg.s1_upper : &r->cfg.s1;
	struct ui_arm_s1 fields = { .granule_lg2 = (u8)granules[g], .txsz = (u8)txsz, .ips_bits = (u8)oas_bits[ui_max(rnd(7), rnd(7))],
				    .oas_bits = (u8)r->oas, .va52 = chance(50), .upper = upper };
	struct ref_arm_stage *s = &r->ref.s1[upper];
	u64 top;

	if (ui_arm_s1_start(&fields, &stage->walk))
		return false;
	*s = (struct ref_arm_stage){ .granule_kb = granule_kb[g], .input_bits = 64 - (int)txsz, .pa52 = r->oas == 52 };
	while (s->input_bits > (int)shift_of(s, 3 - s->start_level) + (int)bits_of(s) - 3)
		s->start_level++; /* levels needed, counted here from the bottom */
	s->start_level = 3 - s->start_level;
	s->output_bits = (int)ui_min(fields.ips_bits, r->oas);
	if (s->granule_kb != 64 && s->output_bits > 48)
		s->output_bits = 48;
	top = new_table(r, false, ui_max(64, UI_BIT((unsigned)s->input_bits - shift_of(s, s->start_level) + 3)));
	s->ttb = named(r, false, top);
	fields.ttb = s->ttb | (chance(50) ? 8 : 0);
	assert_int_equal(ui_arm_s1_start(&fields, &stage->walk), 0);
	flags_of(s, &stage->walk, true);
	if (!upper && !r->cfg.halves)
		s->el2 = stage->walk.one_privilege = chance(25);
	stage->present = true;
	populate(r, s, false, top, upper ? ~ui_mask_lg2((unsigned)s->input_bits) : 0, r->places[upper],
		 r->ref.has_s2 ? r->places[2] : NULL, (unsigned)s->output_bits);
	return true;
}

static void make_halves(struct rig *r)
{
	static const u8 off[] = { UI_HALVES_NO_LOWER, UI_HALVES_NO_UPPER }, tbi[] = { UI_HALVES_LOWER_TBI, UI_HALVES_UPPER_TBI };

	for (unsigned half = 0; half < 2; half++) {
		r->ref.epd[half] = half && !r->cfg.halves ? true : r->cfg.halves && chance(6);
		r->ref.tbi[half] = r->cfg.halves && chance(40);
		if (r->ref.epd[half] && r->cfg.halves)
			r->cfg.halves |= off[half];
		if (r->ref.tbi[half])
			r->cfg.halves |= tbi[half];
	}
}

/* New tables, in a new shape. False: an illegal one. */
static bool make_tables(struct rig *r)
{
	unsigned stages = 1 + (unsigned)ui_min(rnd(4), 2);

	r->used[0] = r->used[1] = 0;
	memset(&r->cfg, 0, sizeof(r->cfg));
	memset(&r->ref, 0, sizeof(r->ref));
	r->oas = (unsigned)oas_bits[rnd(7)];
	r->ref.has_s1 = stages & 1;
	r->ref.has_s2 = stages & 2;
	r->ref.ias = (int)r->oas;
	r->ref.read = ref_read;
	r->ref.write = ref_write;
	r->ref.arg = r;
	r->cfg.kind = UI_CFG_TRANSLATE;
	r->cfg.tag = 1;
	r->cfg.in_bits = (u8)r->oas;
	if (r->ref.has_s2 && !make_stage2(r))
		return false;
	if (!r->ref.has_s1)
		return true;
	r->cfg.halves = chance(60) ? UI_HALVES : 0;
	if (!make_half(r, false) || (r->cfg.halves && !make_half(r, true)))
		return false;
	make_halves(r);
	if (r->ref.has_s2)
		map_tables(r, r->ref.s2.ttb);
	return true;
}

static u64 pick_address(struct rig *r, bool *upper)
{
	const struct place *p;
	u64 at;

	*upper = r->ref.has_s1 && r->cfg.halves && chance(50);
	p = &r->places[r->ref.has_s1 ? *upper : 2][rnd(N_PLACES)];
	at = p->input | (rnd(0) & ui_mask_lg2(p->lg2));
	if (chance(4))
		at ^= UI_BIT(rnd(64));
	else if (chance(6))
		at = (at & ui_mask_lg2(56)) | rnd(0) << 56; /* a tag */
	return at;
}

static struct ref_arm_access as_ref(unsigned access)
{
	return (struct ref_arm_access){ access & R, access & W, access & X, access & P };
}

static enum ref_arm_result result_of(enum ui_dma_status status)
{
	switch (status) {
	case UI_DMA_OK:
		return REF_ARM_OK;
	case UI_DMA_TRANSLATION:
		return REF_ARM_TRANSLATION;
	case UI_DMA_ADDR_SIZE:
		return REF_ARM_ADDRESS_SIZE;
	case UI_DMA_ACCESS:
		return REF_ARM_ACCESS_FLAG;
	case UI_DMA_PERMISSION:
		return REF_ARM_PERMISSION;
	default:
		assert_int_equal(status, UI_DMA_WALK_ABORT);
		return REF_ARM_ABORT;
	}
}

/* What the answer says of other accesses, for which a TLB will vouch, must hold. */
static void check_vouched(struct rig *r, u64 at, unsigned access, const struct ui_walk *out)
{
	for (unsigned right = R; right <= X; right <<= 1) {
		struct ref_arm_answer theirs;

		if (!(out->prot & right) || (right == W && !out->dirty))
			continue;
		theirs = ref_arm_translate(&r->ref, at, as_ref(right | (access & P)));
		assert_int_equal(theirs.result, REF_ARM_OK);
		assert_int_equal(theirs.pa, out->oa);
	}
}

static void check_access(struct rig *r, u64 at, unsigned access, bool upper)
{
	struct ref_arm_answer theirs;
	struct ui_fault fault = { 0 };
	struct ui_walk out;
	enum ref_arm_result ours;

	ours = result_of(ui_walk_config(r->mem, &r->cache, &r->cfg, at, access, &out, &fault));
	theirs = ref_arm_translate(&r->ref, at, as_ref(access));
	if (ours != theirs.result)
		fail_msg("%#llx access %u: ours %d (stage %u level %u walk %d), theirs %d (stage %d level %d walk %d ipa %#llx)",
			 (unsigned long long)at, access, ours, fault.stage, fault.level, fault.on_walk, theirs.result, theirs.stage,
			 theirs.level, theirs.on_walk, (unsigned long long)theirs.ipa);
	r->n_all++;
	if (ours == REF_ARM_OK) {
		assert_int_equal(out.oa, theirs.pa);
		check_vouched(r, at, access, &out);
		r->n_ok++;
		r->n_upper += upper;
		for (unsigned i = 0; i < 3; i++) {
			r->n_granule[i][0] += r->ref.has_s1 && !r->ref.has_s2 && r->ref.s1[upper].granule_kb == granule_kb[i];
			r->n_granule[i][1] += !r->ref.has_s1 && r->ref.s2.granule_kb == granule_kb[i];
			r->n_granule[i][2] += r->ref.has_s1 && r->ref.has_s2 && r->ref.s2.granule_kb == granule_kb[i];
		}
		return;
	}
	if (fault.stage != theirs.stage || fault.on_walk != theirs.on_walk ||
	    (theirs.level >= 0 && ui_arm_level(fault.level) != (unsigned)theirs.level))
		fail_msg("%#llx access %u: fault %d: ours stage %u level %u walk %d, theirs stage %d level %d walk %d",
			 (unsigned long long)at, access, ours, fault.stage, ui_arm_level(fault.level), fault.on_walk, theirs.stage,
			 theirs.level, theirs.on_walk);
	assert_int_equal(fault.walk_write, theirs.walk_write);
	if (fault.stage == 2)
		assert_int_equal(fault.ipa, theirs.ipa);
	r->seen[fault.stage - 1][fault.on_walk][ours]++;
	r->n_marks_refused += fault.walk_write;
}

static void check_tables(struct rig *r)
{
	static const unsigned kinds[] = { R, R, R, W, W, W, X, R | W, R | X };

	r->cache.epoch++;
	for (unsigned i = 0; i < N_ACCESSES; i++) {
		bool upper;
		u64 at = pick_address(r, &upper);

		check_access(r, at, kinds[rnd(ui_array_size(kinds))] | (chance(50) ? P : 0u), upper);
	}
	for (unsigned s = 0; s < 2; s++)
		assert_memory_equal(r->ours + s * ARENA_BYTES / 2, r->theirs + s * ARENA_BYTES / 2, r->used[s]);
}

static void check_coverage(const struct rig *r)
{
	static const char *const name[] = { "ok", "translation", "address size", "access flag", "permission", "abort" };

	printf("%u of %u translate (%u in the upper half); refused marks %u\n", r->n_ok, r->n_all, r->n_upper, r->n_marks_refused);
	assert_true(r->n_ok * 10 >= r->n_all * 4);
	assert_true(r->n_upper >= ENOUGH && r->n_marks_refused >= ENOUGH);
	for (unsigned g = 0; g < 3; g++) {
		printf("granule %dK: stage 1 %u, stage 2 %u, nested %u\n", granule_kb[g], r->n_granule[g][0], r->n_granule[g][1],
		       r->n_granule[g][2]);
		for (unsigned i = 0; i < 3; i++)
			assert_true(r->n_granule[g][i] >= ENOUGH);
	}
	for (unsigned kind = REF_ARM_TRANSLATION; kind < N_KINDS; kind++) {
		printf("%s: stage 1 %u, stage 2 %u, stage 2 on a walk %u\n", name[kind], r->seen[0][0][kind], r->seen[1][0][kind],
		       r->seen[1][1][kind]);
		assert_true(r->seen[0][0][kind] >= ENOUGH && r->seen[1][0][kind] >= ENOUGH && r->seen[1][1][kind] >= ENOUGH);
	}
}

/* Arm ARM D8; IHI 0070 3.4, 3.13, 7.3. */
static void random_tables_match_the_plain_reader(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	const char *env = getenv("UIOMMU_TEST_SEED");
	struct timespec now;

	assert_non_null(r);
	clock_gettime(CLOCK_REALTIME, &now);
	seed = env ? strtoull(env, NULL, 0) : (u64)now.tv_nsec ^ (u64)now.tv_sec << 20;
	printf("UIOMMU_TEST_SEED=%#llx\n", (unsigned long long)seed);
	r->mem = ui_mem_create();
	r->ours = mmap(NULL, 2 * ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(r->mem && r->ours != MAP_FAILED);
	r->theirs = r->ours + ARENA_BYTES;
	assert_int_equal(ui_mem_add_ram(r->mem, ARENA_PA, ARENA_BYTES, r->ours, true), 0);
	for (unsigned n = 0; n < N_TABLE_SETS;) {
		if (!make_tables(r))
			continue;
		check_tables(r);
		n++;
	}
	check_coverage(r);
	ui_mem_destroy(r->mem);
	munmap(r->ours, 2 * ARENA_BYTES);
	free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_tables_match_the_plain_reader),
	};

	return cmocka_run_group_tests_name("Arm walks", tests, NULL, NULL);
}
