/* SPDX-License-Identifier: MIT */
/*
 * The walk of tables that somebody else wrote: entries written here by hand, bit by bit from the specifications
 * (hw-formats 1.6, 1.8, 2.2, 2.4), in a small memory that may also fail.
 */
#include "common.h"

#define MEM_WORDS 8192u
#define ROOT 0x1000u
#define T1 0x2000u
#define T2 0x3000u
#define T3 0x4000u
#define R UI_PROT_READ
#define W UI_PROT_WRITE
#define X UI_PROT_EXEC
#define P UI_PROT_PRIV

struct memory {
	u64 word[MEM_WORDS];
	u64 fail_load, fail_swap; /* addresses; 0: none */
	unsigned n_loads, n_swaps, n_races;
	u64 race_val; /* what somebody stores just before the swap, n_races times */
};

static struct memory m;

static enum ui_walk_status load(void *arg, u64 addr, u64 *entry)
{
	struct memory *mem = arg;

	mem->n_loads++;
	if (addr == mem->fail_load || addr / 8 >= MEM_WORDS)
		return UI_WALK_ABORT;
	*entry = mem->word[addr / 8];
	return UI_WALK_OK;
}

static enum ui_walk_status swap(void *arg, u64 addr, u64 expected, u64 desired, bool *swapped)
{
	struct memory *mem = arg;

	mem->n_swaps++;
	if (addr == mem->fail_swap)
		return UI_WALK_ABORT;
	if (mem->n_races) {
		mem->n_races--;
		/* Another value each time, so that the swap must fail. */
		mem->word[addr / 8] = mem->race_val ^ (u64)(mem->n_races & 1) << 55;
	}
	*swapped = mem->word[addr / 8] == expected;
	if (*swapped)
		mem->word[addr / 8] = desired;
	return UI_WALK_OK;
}

static const struct ui_walk_mem mem_ops = { .load = load, .cmpxchg = swap, .arg = &m };
static struct ui_walk_cfg cfg;
static struct ui_walk out;

static enum ui_walk_status walk(u64 iova, unsigned access)
{
	return ui_walk_table(&cfg, &mem_ops, iova, access, &out);
}

static void put(u64 table, unsigned index, u64 val)
{
	m.word[table / 8 + index] = val;
}

static int reset(void **state)
{
	memset(&m, 0, sizeof(m));
	return 0;
}

/* 4 levels: ROOT[1] -> T1[2] -> T2[3] -> T3[4] -> 0xabcde000. */
#define IOVA ((u64)1 << 39 | (u64)2 << 30 | (u64)3 << 21 | (u64)4 << 12 | 0x123)

static void chain(u64 table_bits, u64 leaf)
{
	reset(NULL);
	put(ROOT, 1, T1 | table_bits);
	put(T1, 2, T2 | table_bits);
	put(T2, 3, T3 | table_bits);
	put(T3, 4, leaf);
}

/* ---- x86-64 ---- */

#define XP 1u
#define XRW 2u
#define XUS 4u
#define XA 0x20u
#define XD 0x40u
#define XPS 0x80u

static void x86(void)
{
	cfg = (struct ui_walk_cfg){ .format = UI_PT_X86_64, .granule_lg2 = 12, .ia_bits = 48, .oa_bits = 46, .top_level = 3,
				    .top_lg2 = 9, .sign_extend = true, .set_accessed = true, .set_dirty = true,
				    .write_protect = true, .top_pa = ROOT };
	chain(XP | XRW | XUS | XA, 0xabcde000 | XP | XRW | XUS | XA | XD);
}

static void x86_translates_and_marks(void **state)
{
	x86();
	assert_int_equal(walk(IOVA, R | W), UI_WALK_OK);
	assert_int_equal(out.oa, 0xabcde123);
	assert_int_equal(out.leaf_lg2, 12);
	assert_int_equal(out.prot, R | W | X);
	assert_true(out.dirty);
	assert_int_equal(m.n_swaps, 0);
	/* Accessed on every entry of the way, dirty on the leaf, and only for what was asked. */
	chain(XP | XRW | XUS, 0xabcde000 | XP | XRW | XUS);
	assert_int_equal(walk(IOVA, R), UI_WALK_OK);
	assert_false(out.dirty);
	assert_int_equal(m.word[ROOT / 8 + 1], T1 | XP | XRW | XUS | XA);
	assert_int_equal(m.word[T2 / 8 + 3], T3 | XP | XRW | XUS | XA);
	assert_int_equal(m.word[T3 / 8 + 4], 0xabcde000 | XP | XRW | XUS | XA);
	assert_int_equal(walk(IOVA, W), UI_WALK_OK);
	assert_true(out.dirty);
	assert_int_equal(m.word[T3 / 8 + 4], 0xabcde000 | XP | XRW | XUS | XA | XD);
	/* A look-up marks nothing. */
	chain(XP, 0xabcde000 | XP);
	assert_int_equal(walk(IOVA, 0), UI_WALK_OK);
	assert_int_equal(m.n_swaps, 0);
	assert_int_equal(out.prot, R | X | P);
}

/* 1.6: R/W and U/S are ANDed; R/W = 0 stops a supervisor only with WPE. */
static void x86_rights_are_anded(void **state)
{
	x86();
	put(T1, 2, T2 | XP | XUS | XA);
	assert_int_equal(walk(IOVA, W), UI_WALK_PERMISSION);
	assert_int_equal(out.prot, R | X);
	assert_int_equal(walk(IOVA, W | P), UI_WALK_PERMISSION);
	cfg.write_protect = false;
	assert_int_equal(walk(IOVA, W), UI_WALK_PERMISSION);
	assert_int_equal(walk(IOVA, W | P), UI_WALK_OK);
	assert_int_equal(out.prot, R | W | X | P); /* not for users: a TLB must not hand it on */
	x86();
	put(T2, 3, T3 | XP | XRW | XA);
	assert_int_equal(walk(IOVA, R), UI_WALK_PERMISSION);
	assert_int_equal(out.prot & P, P);
	assert_int_equal(walk(IOVA, R | P), UI_WALK_OK);
}

static void x86_large_leaves(void **state)
{
	x86();
	put(T2, 3, 0x40200000 | XP | XRW | XUS | XA | XD | XPS);
	assert_int_equal(walk(IOVA, R), UI_WALK_OK);
	assert_int_equal(out.oa, 0x40200000 + (IOVA & 0x1fffff));
	assert_int_equal(out.leaf_lg2, 21);
	put(T2, 3, 0x40200000 | XP | XUS | XPS | 0x1000);
	assert_int_equal(walk(IOVA, R), UI_WALK_OK); /* bit 12 is PAT there */
	assert_int_equal(out.memattr, 4);
	put(T2, 3, 0x40200000 | XP | XUS | XPS | 0x2000);
	assert_int_equal(walk(IOVA, R), UI_WALK_RESERVED);
	put(T1, 2, 0x40000000 | XP | XUS | XPS);
	assert_int_equal(walk(IOVA, R), UI_WALK_OK);
	assert_int_equal(out.leaf_lg2, 30);
	cfg.page_sizes = UI_BIT(12) | UI_BIT(21); /* no FS1GP */
	assert_int_equal(walk(IOVA, R), UI_WALK_RESERVED);
}

static void x86_faults(void **state)
{
	x86();
	/* 80h: not canonical, before anything is read. */
	assert_int_equal(walk(UI_BIT(47), R), UI_WALK_ADDR_SIZE);
	assert_int_equal(m.n_loads, 0);
	assert_int_equal(walk(~(u64)0, R), UI_WALK_TRANSLATION);
	/* 71h, 72h per entry; reserved before any right. */
	put(T3, 4, 0xabcde000 | XRW | XUS);
	assert_int_equal(walk(IOVA, R), UI_WALK_TRANSLATION);
	assert_int_equal(out.level, 0);
	for (unsigned bit = 46; bit < 52; bit++) {
		x86();
		put(T3, 4, 0xabcde000 | XP | UI_BIT(bit));
		assert_int_equal(walk(IOVA, W), UI_WALK_RESERVED);
		x86();
		put(T1, 2, T2 | XP | UI_BIT(bit));
		assert_int_equal(walk(IOVA, W), UI_WALK_RESERVED);
		assert_int_equal(out.level, 2);
	}
	x86();
	put(ROOT, 1, T1 | XP | XRW | XUS | XPS);
	assert_int_equal(walk(IOVA, R), UI_WALK_RESERVED);
	assert_int_equal(out.level, 3);
	/* Ignored: 63:52, 11:9, 8 (G). */
	x86();
	put(T3, 4, 0xabcde000 | XP | XUS | XA | 0xfff0000000000f00);
	assert_int_equal(walk(IOVA, R), UI_WALK_OK);
	assert_int_equal(out.oa, 0xabcde123);
	/* An implementation's own reserved bits. */
	cfg.reserved = UI_BIT(63);
	assert_int_equal(walk(IOVA, R), UI_WALK_RESERVED);
}

/* ---- VT-d second stage ---- */

#define SA 0x100u
#define SD 0x200u

static void vtdss(void)
{
	cfg = (struct ui_walk_cfg){ .format = UI_PT_VTDSS, .granule_lg2 = 12, .ia_bits = 48, .oa_bits = 46, .top_level = 3,
				    .top_lg2 = 9, .top_pa = ROOT };
	chain(3, 0xabcde000 | 3);
}

static void vtdss_rights_are_anded(void **state)
{
	vtdss();
	assert_int_equal(walk(IOVA, R | W), UI_WALK_OK);
	assert_int_equal(out.oa, 0xabcde123);
	assert_true(out.dirty); /* no dirty state to keep */
	assert_int_equal(m.n_swaps, 0);
	put(T1, 2, T2 | 1);
	assert_int_equal(walk(IOVA, W), UI_WALK_PERMISSION);
	put(T2, 3, T3 | 2);
	assert_int_equal(walk(IOVA, R), UI_WALK_PERMISSION);
	assert_int_equal(out.prot, 0); /* nothing granted at all */
	put(T2, 3, T3);
	assert_int_equal(walk(IOVA, R), UI_WALK_TRANSLATION);
	assert_int_equal(out.level, 1);
	vtdss();
	put(T3, 4, 0xabcde000 | 2);
	assert_int_equal(walk(IOVA, W), UI_WALK_OK);
	assert_int_equal(walk(IOVA, R), UI_WALK_PERMISSION);
}

static void vtdss_accessed_and_dirty(void **state)
{
	vtdss();
	cfg.set_accessed = cfg.set_dirty = true;
	assert_int_equal(walk(IOVA, R), UI_WALK_OK);
	assert_int_equal(m.word[ROOT / 8 + 1], T1 | 3 | SA);
	assert_int_equal(m.word[T3 / 8 + 4], 0xabcde000 | 3 | SA);
	assert_false(out.dirty);
	assert_int_equal(walk(IOVA, W), UI_WALK_OK);
	assert_int_equal(m.word[T3 / 8 + 4], 0xabcde000 | 3 | SA | SD);
	/* A refused access leaves the leaf alone. */
	vtdss();
	cfg.set_accessed = cfg.set_dirty = true;
	put(T3, 4, 0xabcde000 | 1);
	assert_int_equal(walk(IOVA, W), UI_WALK_PERMISSION);
	assert_int_equal(m.word[T3 / 8 + 4], 0xabcde000 | 1);
}

static void vtdss_faults(void **state)
{
	vtdss();
	assert_int_equal(walk(UI_BIT(48), R), UI_WALK_ADDR_SIZE);
	cfg.ia_bits = 39; /* min(MGAW, AW) below what the levels reach */
	assert_int_equal(walk(IOVA, R), UI_WALK_ADDR_SIZE);
	assert_int_equal(m.n_loads, 0);
	for (unsigned bit = 46; bit < 52; bit++) {
		vtdss();
		put(T3, 4, 0xabcde000 | 1 | UI_BIT(bit));
		assert_int_equal(walk(IOVA, W), UI_WALK_RESERVED);
	}
	vtdss();
	put(T3, 4, 0xabcde000 | 3 | UI_BIT(62));
	assert_int_equal(walk(IOVA, R), UI_WALK_RESERVED);
	put(T3, 4, 0xabcde000 | 3 | UI_BIT(61) | UI_BIT(63) | UI_BIT(10) | UI_BIT(11) | 0x7c);
	assert_int_equal(walk(IOVA, R), UI_WALK_OK);
	cfg.reserved = UI_BIT(11); /* no snoop control */
	assert_int_equal(walk(IOVA, R), UI_WALK_RESERVED);
	vtdss();
	put(T2, 3, T3 | 3 | UI_BIT(11)); /* snoop in a table entry */
	assert_int_equal(walk(IOVA, R), UI_WALK_RESERVED);
	vtdss();
	put(ROOT, 1, T1 | 3 | UI_BIT(7));
	assert_int_equal(walk(IOVA, R), UI_WALK_RESERVED);
	vtdss();
	put(T2, 3, 0x40200000 | 3 | UI_BIT(7) | 0x1000);
	assert_int_equal(walk(IOVA, R), UI_WALK_RESERVED);
	put(T2, 3, 0x40200000 | 3 | UI_BIT(7));
	assert_int_equal(walk(IOVA, R), UI_WALK_OK);
	cfg.page_sizes = UI_BIT(12);
	assert_int_equal(walk(IOVA, R), UI_WALK_RESERVED);
}

/* ---- Arm ---- */

#define AF UI_BIT(10)
#define AP_USER UI_BIT(6)
#define AP_RO UI_BIT(7)
#define DBM UI_BIT(51)
#define PXN UI_BIT(53)
#define UXN UI_BIT(54)

static void arm(enum ui_pt_format format)
{
	cfg = (struct ui_walk_cfg){ .format = format, .granule_lg2 = 12, .ia_bits = 48, .oa_bits = 44, .top_level = 3,
				    .top_lg2 = 9, .top_pa = ROOT };
	chain(3, format == UI_PT_ARM_S1 ? 0xabcde003 | AF | AP_USER : 0xabcde003 | AF | 0xc0);
}

/* 2.4: range, fetch, descriptor, address size; then access flag, permission. Each hides those after it. */
static void arm_fault_order(void **state)
{
	for (enum ui_pt_format format = UI_PT_ARM_S1; format <= UI_PT_ARM_S2; format++) {
		arm(format);
		assert_int_equal(walk(IOVA, R | W), UI_WALK_OK);
		assert_int_equal(walk(UI_BIT(48), R), UI_WALK_TRANSLATION);
		/* A read-only leaf without access flag at too high an address: one fault after the other. */
		put(T3, 4, 0x1000abcde000 | AP_RO);
		m.fail_load = T3 + 4 * 8;
		assert_int_equal(walk(IOVA, W), UI_WALK_ABORT);
		m.fail_load = 0;
		assert_int_equal(walk(IOVA, W), UI_WALK_TRANSLATION);
		put(T3, 4, 0x1000abcde001 | (format == UI_PT_ARM_S1 ? AP_RO : 0));
		assert_int_equal(walk(IOVA, W), UI_WALK_TRANSLATION); /* 01 at the lowest level */
		put(T3, 4, 0x1000abcde003 | (format == UI_PT_ARM_S1 ? AP_RO : 0));
		assert_int_equal(walk(IOVA, W), UI_WALK_ADDR_SIZE);
		put(T3, 4, 0xabcde003 | (format == UI_PT_ARM_S1 ? AP_RO : 0));
		assert_int_equal(walk(IOVA, W), UI_WALK_ACCESS);
		put(T3, 4, 0xabcde003 | AF | (format == UI_PT_ARM_S1 ? AP_RO | AP_USER : 0x40));
		assert_int_equal(walk(IOVA, W), UI_WALK_PERMISSION);
		assert_int_equal(walk(IOVA, R), UI_WALK_OK);
		/* A table pointer out of range, on the way. */
		put(T1, 2, T2 | 3 | UI_BIT(45));
		assert_int_equal(walk(IOVA, R), UI_WALK_ADDR_SIZE);
		assert_int_equal(out.level, 2);
	}
}

static void arm_blocks(void **state)
{
	arm(UI_PT_ARM_S2);
	put(T2, 3, 0x40200000 | 1 | AF | 0xc0);
	assert_int_equal(walk(IOVA, R), UI_WALK_OK);
	assert_int_equal(out.oa, 0x40200000 + (IOVA & 0x1fffff));
	put(T1, 2, 0x40000000 | 1 | AF | 0xc0);
	assert_int_equal(walk(IOVA, R), UI_WALK_OK);
	assert_int_equal(out.leaf_lg2, 30);
	put(ROOT, 1, 0x40000000 | 1 | AF | 0xc0); /* no blocks at level 0 with 4K */
	assert_int_equal(walk(IOVA, R), UI_WALK_TRANSLATION);
	/* Low output bits of a block are not looked at. */
	put(ROOT, 1, T1 | 3);
	put(T1, 2, 0x40000000 | 0x10000 | 1 | AF | 0xc0);
	assert_int_equal(walk(IOVA, R), UI_WALK_OK);
	assert_int_equal(out.oa, 0x40000000 + (IOVA & 0x3fffffff));
}

static void arm_access_flag_and_dirty_state(void **state)
{
	arm(UI_PT_ARM_S1);
	put(T3, 4, 0xabcde003 | AP_USER | AP_RO | DBM);
	assert_int_equal(walk(IOVA, R), UI_WALK_ACCESS);
	cfg.set_accessed = true; /* HA */
	assert_int_equal(walk(IOVA, W), UI_WALK_PERMISSION); /* DBM means nothing without HD */
	assert_int_equal(walk(IOVA, R), UI_WALK_OK);
	assert_int_equal(m.word[T3 / 8 + 4], 0xabcde003 | AP_USER | AP_RO | DBM | AF);
	cfg.set_dirty = true; /* HD */
	assert_int_equal(walk(IOVA, R), UI_WALK_OK);
	assert_int_equal(out.prot & W, W);
	assert_false(out.dirty);
	assert_int_equal(walk(IOVA, W), UI_WALK_OK);
	assert_int_equal(m.word[T3 / 8 + 4], 0xabcde003 | AP_USER | DBM | AF);
	assert_true(out.dirty);
	arm(UI_PT_ARM_S2);
	cfg.set_accessed = cfg.set_dirty = true;
	put(T3, 4, 0xabcde003 | 0x40 | DBM);
	assert_int_equal(walk(IOVA, W), UI_WALK_OK);
	assert_int_equal(m.word[T3 / 8 + 4], 0xabcde003 | 0xc0 | DBM | AF);
}

static void arm_s1_rights(void **state)
{
	arm(UI_PT_ARM_S1);
	assert_int_equal(walk(IOVA, R | P), UI_WALK_OK);
	assert_int_equal(out.prot, R | W); /* user-writable: privileged code does not run there */
	assert_int_equal(walk(IOVA, X), UI_WALK_OK);
	put(T3, 4, 0xabcde003 | AF); /* AP = 00 */
	assert_int_equal(walk(IOVA, R), UI_WALK_PERMISSION);
	assert_int_equal(walk(IOVA, R | W | X | P), UI_WALK_OK);
	put(T3, 4, 0xabcde003 | AF | AP_RO | AP_USER | PXN);
	assert_int_equal(walk(IOVA, X | P), UI_WALK_PERMISSION);
	assert_int_equal(walk(IOVA, X), UI_WALK_OK);
	put(T3, 4, 0xabcde003 | AF | AP_RO | AP_USER | UXN);
	assert_int_equal(walk(IOVA, X | P), UI_WALK_OK);
	assert_int_equal(walk(IOVA, X), UI_WALK_PERMISSION);
	/* Table attributes take away, at any level. */
	arm(UI_PT_ARM_S1);
	put(T1, 2, T2 | 3 | UI_BIT(62));
	assert_int_equal(walk(IOVA, W | P), UI_WALK_PERMISSION);
	put(T1, 2, T2 | 3 | UI_BIT(61));
	assert_int_equal(walk(IOVA, R), UI_WALK_PERMISSION);
	assert_int_equal(walk(IOVA, R | P), UI_WALK_OK);
	put(T1, 2, T2 | 3 | UI_BIT(60));
	assert_int_equal(walk(IOVA, X), UI_WALK_PERMISSION);
	put(T1, 2, T2 | 3 | UI_BIT(61) | UI_BIT(62) | UI_BIT(60) | UI_BIT(59));
	cfg.no_table_attrs = true; /* HAD */
	assert_int_equal(walk(IOVA, R | W | X), UI_WALK_OK);
	/* What table attributes deny is not marked dirty either. */
	arm(UI_PT_ARM_S1);
	cfg.set_dirty = true;
	put(T1, 2, T2 | 3 | UI_BIT(62));
	put(T3, 4, 0xabcde003 | AF | AP_USER | AP_RO | DBM);
	assert_int_equal(walk(IOVA, W), UI_WALK_PERMISSION);
	assert_int_equal(m.n_swaps, 0);
}

static void arm_s2_rights(void **state)
{
	static const struct {
		u64 xn;
		bool user, priv;
	} rule[] = { { 0, true, true }, { 1, true, false }, { 2, false, false }, { 3, false, true } };

	for (unsigned i = 0; i < ui_array_size(rule); i++) {
		arm(UI_PT_ARM_S2);
		put(T3, 4, 0xabcde003 | AF | 0x40 | rule[i].xn << 53);
		assert_int_equal(walk(IOVA, X), rule[i].user ? UI_WALK_OK : UI_WALK_PERMISSION);
		assert_int_equal(walk(IOVA, X | P), rule[i].priv ? UI_WALK_OK : UI_WALK_PERMISSION);
	}
	put(T3, 4, 0xabcde003 | AF | 0x80);
	assert_int_equal(walk(IOVA, W), UI_WALK_OK);
	assert_int_equal(walk(IOVA, R), UI_WALK_PERMISSION);
	/* Stage 2 has no table attributes. */
	put(T1, 2, T2 | 3 | (u64)0xf << 59);
	assert_int_equal(walk(IOVA, W), UI_WALK_OK);
}

/* 64K with 52 bits: output address bits 51:48 stand in 15:12; without, these bits are not looked at. */
static void arm_64k_high_address_bits(void **state)
{
	reset(NULL);
	cfg = (struct ui_walk_cfg){ .format = UI_PT_ARM_S2, .granule_lg2 = 16, .ia_bits = 29, .oa_bits = 52, .top_level = 0,
				    .top_lg2 = 13, .top_pa = 0 };
	m.word[5] = 0x765432100000 | 3 | AF | 0xc0 | 0xf000;
	assert_int_equal(walk(0x51234, R), UI_WALK_OK);
	assert_int_equal(out.oa, 0xf765432101234);
	cfg.oa_bits = 48;
	assert_int_equal(walk(0x51234, R), UI_WALK_OK);
	assert_int_equal(out.oa, 0x765432101234);
}

/* Concatenated roots: two tables side by side serve one bit more. */
static void arm_concatenated_roots(void **state)
{
	arm(UI_PT_ARM_S2);
	cfg.ia_bits = 40;
	cfg.top_level = 2;
	cfg.top_lg2 = 10;
	put(ROOT, 512 + 2, T2 | 3); /* in T1: the second root */
	assert_int_equal(walk(IOVA, R), UI_WALK_OK);
	assert_int_equal(out.oa, 0xabcde123);
	assert_int_equal(walk(IOVA & ~UI_BIT(39), R), UI_WALK_TRANSLATION);
}

/* ---- mock ---- */

#define MR 1u
#define MW 2u
#define MT 4u
#define MD 8u

/* 4 levels of two entries: ROOT[1] -> T1[0] -> T2[1] -> T3[0] -> 0xabcd800, for iova 0x5123. */
static void mock_table(u64 leaf)
{
	reset(NULL);
	cfg = (struct ui_walk_cfg){ .format = UI_PT_MOCK, .granule_lg2 = 11, .ia_bits = 15, .oa_bits = 40, .top_level = 3, .top_lg2 = 1,
				    .set_dirty = true, .top_pa = ROOT };
	put(ROOT, 1, T1 | MR | MW | MT);
	put(T1, 0, T2 | MR | MW | MT);
	put(T2, 1, T3 | MR | MW | MT);
	put(T3, 0, leaf);
}

static void mock_rights_and_dirty_state(void **state)
{
	mock_table(0xabcd800 | MR | MW);
	assert_int_equal(walk(0x5123, R), UI_WALK_OK);
	assert_int_equal(out.oa, 0xabcd923);
	assert_int_equal(out.leaf_lg2, 11);
	assert_false(out.dirty);
	assert_int_equal(walk(0x5123, W), UI_WALK_OK);
	assert_int_equal(m.word[T3 / 8], 0xabcd800 | MR | MW | MD);
	put(T1, 0, T2 | MR | MT);
	assert_int_equal(walk(0x5123, W), UI_WALK_PERMISSION);
	put(T2, 1, T3 | MW | MT);
	assert_int_equal(walk(0x5123, R), UI_WALK_PERMISSION);
	assert_int_equal(walk(0x8000, R), UI_WALK_ADDR_SIZE);
	assert_int_equal(walk(0x1000, R), UI_WALK_TRANSLATION);
	/* Leaves of every level. */
	put(T1, 0, 0xaa000 | MR);
	assert_int_equal(walk(0x5123, R), UI_WALK_OK);
	assert_int_equal(out.oa, 0xaa000 + 0x1123);
	assert_int_equal(out.leaf_lg2, 13);
}

static void mock_reserved_bits(void **state)
{
	mock_table(0xabcd800 | MR | UI_BIT(52));
	assert_int_equal(walk(0x5123, R), UI_WALK_RESERVED);
	mock_table(0xabcd800 | MR | MT);
	assert_int_equal(walk(0x5123, R), UI_WALK_RESERVED);
	mock_table(0xabcd000 | UI_BIT(10) | MR);
	assert_int_equal(walk(0x5123, R), UI_WALK_RESERVED);
	mock_table(UI_BIT(40) | MR);
	assert_int_equal(walk(0x5123, R), UI_WALK_ADDR_SIZE);
	mock_table(0xabcd800 | MR);
	cfg.page_sizes = UI_BIT(11);
	put(T1, 0, 0xaa000 | MR);
	assert_int_equal(walk(0x5123, R), UI_WALK_RESERVED);
	/* The huge pages' table entries say so. */
	reset(NULL);
	cfg = (struct ui_walk_cfg){ .format = UI_PT_MOCK_HUGE, .granule_lg2 = 12, .ia_bits = 36, .oa_bits = 40, .top_level = 2, .top_lg2 = 8,
				    .top_pa = ROOT };
	put(ROOT, 1, T1 | MR | MW | MT);
	put(T1, 2, 0x4500000 | MR | MW);
	assert_int_equal(walk(0x10212345, R), UI_WALK_OK);
	assert_int_equal(out.oa, 0x4512345);
	assert_int_equal(out.leaf_lg2, 20);
	put(ROOT, 1, T1 | MR | MW);
	assert_int_equal(walk(0x10212345, R), UI_WALK_RESERVED);
}

/* ---- every format ---- */

static void an_entry_that_cannot_be_read_aborts(void **state)
{
	const u64 at[] = { ROOT + 8, T1 + 16, T2 + 24, T3 + 32 };

	for (unsigned i = 0; i < 4; i++) {
		vtdss();
		m.fail_load = at[i];
		assert_int_equal(walk(IOVA, R), UI_WALK_ABORT);
		assert_int_equal(out.level, 3 - i);
		x86();
		chain(XP | XRW | XUS, 0xabcde000 | XP | XRW | XUS);
		m.fail_swap = at[i];
		assert_int_equal(walk(IOVA, R), UI_WALK_ABORT);
		assert_int_equal(out.level, 3 - i);
	}
}

/* The entry changes between load and mark: what stands there then decides. */
static void a_changed_entry_is_judged_anew(void **state)
{
	x86();
	put(T3, 4, 0xabcde000 | XP | XRW | XUS | XA);
	m.n_races = 1;
	m.race_val = 0; /* unmapped */
	assert_int_equal(walk(IOVA, W), UI_WALK_TRANSLATION);
	assert_int_equal(m.word[T3 / 8 + 4], 0);
	x86();
	put(T3, 4, 0xabcde000 | XP | XRW | XUS | XA);
	m.n_races = 1;
	m.race_val = 0x77777000 | XP | XUS | XA; /* read-only elsewhere */
	assert_int_equal(walk(IOVA, W), UI_WALK_PERMISSION);
	assert_int_equal(m.word[T3 / 8 + 4], 0x77777000 | XP | XUS | XA);
	x86();
	put(T2, 3, 0x40200000 | XP | XRW | XUS | XA | XPS);
	m.n_races = 1;
	m.race_val = T3 | XP | XRW | XUS | XA; /* split */
	assert_int_equal(walk(IOVA, W), UI_WALK_OK);
	assert_int_equal(out.oa, 0xabcde123);
}

static void whoever_changes_an_entry_for_ever_gets_an_abort(void **state)
{
	x86();
	put(T3, 4, 0xabcde000 | XP | XRW | XUS | XA);
	m.n_races = 1000000;
	m.race_val = 0xabcde000 | XP | XRW | XUS | XA;
	assert_int_equal(walk(IOVA, W), UI_WALK_ABORT);
}

/* Structures that a guest wrote become configurations: none may lead out of 64 bits (a test for the sanitizers). */
static void any_configuration_and_table_is_survived(void **state)
{
	test_seed();
	for (unsigned i = 0; i < 200000; i++) {
		cfg = (struct ui_walk_cfg){
			.format = (enum ui_pt_format)test_below(UI_PT_N_FORMATS), .granule_lg2 = (u8)(i & 1 ? 12 : test_rand()),
			.ia_bits = (u8)(i & 2 ? 48 : test_rand()), .oa_bits = (u8)(i & 4 ? 48 : test_rand()),
			.top_level = (u8)(i & 8 ? 3 : test_rand()), .top_lg2 = (u8)(i & 16 ? 9 : test_rand()),
			.sign_extend = test_below(2), .set_accessed = test_below(2), .set_dirty = test_below(2),
			.upper = test_below(2), .wide_64k = test_below(2), .write_no_exec = test_below(2), .priv_no_user = test_below(2),
			.one_privilege = test_below(2), .no_access_fault = test_below(2), .no_table_attrs = test_below(2),
			.top_pa = i & 32 ? ROOT : test_rand(),
		};
		for (unsigned w = 0; w < 8; w++)
			m.word[test_below(MEM_WORDS)] = test_rand() & (test_below(2) ? 0xffff : ~(u64)0);
		walk((test_rand() & ui_mask_lg2((unsigned)test_below(65))) ^ (test_below(2) ? ~(u64)0 : 0), (unsigned)test_below(32));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(x86_translates_and_marks, reset),
		cmocka_unit_test_setup(x86_rights_are_anded, reset),
		cmocka_unit_test_setup(x86_large_leaves, reset),
		cmocka_unit_test_setup(x86_faults, reset),
		cmocka_unit_test_setup(vtdss_rights_are_anded, reset),
		cmocka_unit_test_setup(vtdss_accessed_and_dirty, reset),
		cmocka_unit_test_setup(vtdss_faults, reset),
		cmocka_unit_test_setup(arm_fault_order, reset),
		cmocka_unit_test_setup(arm_blocks, reset),
		cmocka_unit_test_setup(arm_access_flag_and_dirty_state, reset),
		cmocka_unit_test_setup(arm_s1_rights, reset),
		cmocka_unit_test_setup(arm_s2_rights, reset),
		cmocka_unit_test_setup(arm_64k_high_address_bits, reset),
		cmocka_unit_test_setup(arm_concatenated_roots, reset),
		cmocka_unit_test_setup(mock_rights_and_dirty_state, reset),
		cmocka_unit_test_setup(mock_reserved_bits, reset),
		cmocka_unit_test_setup(an_entry_that_cannot_be_read_aborts, reset),
		cmocka_unit_test_setup(a_changed_entry_is_judged_anew, reset),
		cmocka_unit_test_setup(whoever_changes_an_entry_for_ever_gets_an_abort, reset),
		cmocka_unit_test_setup(any_configuration_and_table_is_survived, reset),
	};

	return cmocka_run_group_tests_name("pgtable foreign walk", tests, NULL, NULL);
}
