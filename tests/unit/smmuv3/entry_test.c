/* SPDX-License-Identifier: MIT */
/*
 * STEs and CDs that change under a reader (requirements.md D7): the numbers of syncs that Linux's driver needs, and a reader that
 * looks after every single store. What the reader makes of an entry is written down here by itself, in numbers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/smmuv3/entry.h"

enum { WORDS = UI_SMMUV3_ENTRY_WORDS };

#define B(n) ((u64)1 << (n))
#define BITS(high, low) (((u64)2 << (high)) - B(low))

struct entry {
	u64 w[WORDS];
};

struct change {
	struct entry now, old, new;
	bool is_cd, saw_invalid;
	unsigned n_syncs, n_stores;
};

/* The bits that count, of a valid entry. */
static struct entry counts(const struct entry *e, bool is_cd)
{
	struct entry c = { { 0 } };

	if (is_cd) {
		memset(&c, 0xff, sizeof(c));
		if (e->w[0] & B(14)) {
			c.w[0] &= ~BITS(13, 0);
			c.w[1] &= ~BITS(51, 4);
		}
		return c;
	}
	c.w[0] = BITS(3, 0);
	switch (e->w[0] >> 1 & 7) {
	case 4:
		c.w[1] = BITS(45, 44);
		break;
	case 5:
	case 7:
		c.w[0] |= BITS(5, 4) | BITS(51, 6) | BITS(63, 59);
		c.w[1] |= BITS(7, 0) | B(19) | B(27) | BITS(29, 28) | BITS(31, 30);
		c.w[2] |= BITS(15, 0);
		if ((e->w[1] & 3) == 1)
			c.w[1] |= BITS(45, 44);
		if ((e->w[0] >> 1 & 7) == 5)
			break;
		/* fall through */
	case 6:
		c.w[1] |= B(19) | B(25) | BITS(29, 28) | BITS(45, 44);
		c.w[2] |= BITS(15, 0) | BITS(52, 32) | B(53) | B(54) | B(55) | B(56) | B(57) | B(58);
		c.w[3] |= BITS(51, 4);
		break;
	default:
		break;
	}
	return c;
}

/* Does the SMMU do by @seen what it would do by @e? Bits of @any may be either way. */
static bool is_as(const struct change *c, const struct entry *seen, const struct entry *e, const struct entry *any)
{
	struct entry mine = counts(seen, c->is_cd), its = counts(e, c->is_cd);

	if (!(e->w[0] & (c->is_cd ? B(31) : B(0))))
		return false;
	for (unsigned i = 0; i < WORDS; i++)
		if (((seen->w[i] & mine.w[i]) ^ (e->w[i] & its.w[i])) & ~any->w[i])
			return false;
	return true;
}

static void look(void *arg)
{
	struct change *c = arg;
	struct entry any = { { 0 } };

	c->n_stores++;
	if (!(c->now.w[0] & (c->is_cd ? B(31) : B(0)))) {
		c->saw_invalid = true;
		return;
	}
	if (!c->is_cd) {
		any.w[1] = B(19);
		if (!((c->old.w[1] | c->new.w[1]) & B(29)) && !((c->old.w[2] | c->new.w[2]) & B(57)))
			any.w[1] |= B(28);
	}
	if (!is_as(c, &c->now, &c->old, &any) && !is_as(c, &c->now, &c->new, &any))
		fail_msg("after store %u the entry is neither: %#lx %#lx %#lx %#lx", c->n_stores, (long)c->now.w[0], (long)c->now.w[1],
			 (long)c->now.w[2], (long)c->now.w[3]);
}

static void count_sync(void *arg)
{
	struct change *c = arg;

	c->n_syncs++;
}

static struct change go(bool is_cd, struct entry old, struct entry new)
{
	struct change c = { .now = old, .old = old, .new = new, .is_cd = is_cd };
	const struct ui_smmuv3_writer writer = {
		.used = is_cd ? ui_smmuv3_cd_used : ui_smmuv3_ste_used,
		.safe = is_cd ? NULL : ui_smmuv3_ste_safe,
		.sync = count_sync,
		.stored = look,
		.arg = &c,
	};
	bool breaks = ui_smmuv3_entry_breaks(&writer, old.w, new.w);

	ui_smmuv3_entry_write(&writer, c.now.w, new.w);
	assert_memory_equal(&c.now, &new, sizeof(new));
	/* It was, or becomes, invalid: or it is on the way. */
	if (old.w[0] & new.w[0] & (is_cd ? B(31) : B(0)))
		assert_int_equal(c.saw_invalid, breaks);
	return c;
}

static void expect(bool is_cd, struct entry old, struct entry new, unsigned n_syncs, bool hitless)
{
	struct change c = go(is_cd, old, new);

	assert_int_equal(c.n_syncs, n_syncs);
	assert_int_equal(!c.saw_invalid, hitless);
}

/* V, Config; shareability as incoming is 1 << 44; EATS 1 << 28; MEV 1 << 19; S1STALLD 1 << 27. */
static const struct entry abort_ste = { { 1 } }, bypass_ste = { { 9, B(44) } };

static struct entry s1(unsigned dss, u64 cds, bool stall)
{
	struct entry e = { { 1 | 5 << 1 | 2 << 4 | cds | (u64)20 << 59, dss | 1 << 2 | 1 << 4 | 3 << 6 | B(28) | (stall ? 0 : B(27)) } };

	if (dss == 1)
		e.w[1] |= B(44);
	return e;
}

static struct entry s2(bool stall)
{
	const u64 w2 = (u64)0x23590 << 32 | B(51) | B(54) | B(58) | (stall ? B(57) : 0);

	return (struct entry){ { 1 | 6 << 1, B(28) | B(44), w2, 0xbeefdeadbe0 } };
}

static struct entry nested(unsigned dss)
{
	struct entry e = s1(dss, 0x12340, true), below = s2(false);

	e.w[0] |= 2 << 1;
	for (unsigned i = 1; i < 4; i++)
		e.w[i] |= below.w[i];
	e.w[1] |= B(19);
	return e;
}

static const u64 cds = 0xf0f0f0f0f0c0;

/* D7: "bypass<->abort 2/2; cdtable<->abort 2/2; cdtable<->bypass 3/3". */
static void stes_of_one_stage(void **state)
{
	expect(false, bypass_ste, abort_ste, 2, true);
	expect(false, abort_ste, bypass_ste, 2, true);
	expect(false, s1(2, cds, false), abort_ste, 2, true);
	expect(false, abort_ste, s1(2, cds, false), 2, true);
	expect(false, s1(2, cds, false), bypass_ste, 3, true);
	expect(false, bypass_ste, s1(2, cds, false), 3, true);
}

/* "S1DSS flip 1/1; S1DSS-bypass<->bypass STE 2/2; pointer+S1DSS change not hitless, 3". */
static void stes_without_substream(void **state)
{
	expect(false, s1(2, cds, false), s1(1, cds, false), 1, true);
	expect(false, s1(1, cds, false), s1(2, cds, false), 1, true);
	expect(false, s1(1, cds, false), bypass_ste, 2, true);
	expect(false, bypass_ste, s1(1, cds, false), 2, true);
	expect(false, s1(2, cds, false), s1(1, 0x4b4b4b40, false), 3, false);
	/* The pointer alone is one word. */
	expect(false, s1(2, cds, false), s1(2, 0x4b4b4b40, false), 1, true);
}

/* "S2<->abort 2/2; S2<->bypass 2/2; S1<->S2 3/3 (also with stall); nested S1DSS-bypass -> S2 3, back 2". */
static void stes_with_stage_2(void **state)
{
	struct entry other = s2(false);

	expect(false, s2(false), abort_ste, 2, true);
	expect(false, abort_ste, s2(false), 2, true);
	expect(false, s2(false), bypass_ste, 2, true);
	expect(false, bypass_ste, s2(false), 2, true);
	expect(false, s1(2, cds, false), s2(false), 3, true);
	expect(false, s2(false), s1(2, cds, false), 3, true);
	expect(false, s1(2, cds, true), s2(true), 3, true);
	expect(false, s2(true), s1(2, cds, true), 3, true);
	expect(false, nested(1), s2(false), 3, true);
	expect(false, s2(false), nested(1), 2, true);
	/* Stage 1 is tagged with VMID 0, and both look at it. */
	other.w[2] |= 5;
	expect(false, s1(2, cds, false), other, 3, false);
}

/* "CD clear/set not hitless, 2/2; CD ASID change hitless 1/1; SVA CD <-> release CD hitless 2/2". */
static void cds_change(void **state)
{
	const u64 w0 = 16 | 1 << 8 | 1 << 10 | 3 << 12 | B(30) | B(31) | (u64)5 << 32 | B(41) | B(45) | B(46) | B(47);
	struct entry cd = { { w0 | (u64)778 << 48, 0xbeefdeadbe0, 0, 0xff44 } }, asid = cd, released, none = { { 0 } };

	asid.w[0] = w0 | (u64)1997 << 48;
	released = cd;
	released.w[0] = (cd.w[0] & ~BITS(13, 0)) | B(14);
	released.w[1] = 0;
	expect(true, none, cd, 2, false);
	expect(true, cd, none, 2, false);
	expect(true, cd, asid, 1, true);
	expect(true, asid, cd, 1, true);
	expect(true, cd, released, 2, true);
	expect(true, released, cd, 2, true);
	/* Another table with another ASID. */
	asid.w[1] = 0x12340000;
	expect(true, cd, asid, 3, false);
}

/* A change that changes nothing is not worth a command. */
static void nothing_to_do(void **state)
{
	expect(false, s2(false), s2(false), 0, true);
	expect(false, abort_ste, abort_ste, 0, true);
}

static struct entry random_entry(bool is_cd)
{
	struct entry e, used;

	for (unsigned i = 0; i < WORDS; i++)
		e.w[i] = rand() % 2 ? (u64)rand() << 42 ^ (u64)rand() << 21 ^ (u64)rand() : 0;
	e.w[0] |= is_cd ? B(31) : B(0);
	if (!is_cd && rand() % 2)
		e.w[1] &= ~B(29);
	if (!is_cd && rand() % 2)
		e.w[2] &= ~B(57);
	used = counts(&e, is_cd);
	for (unsigned i = 0; i < WORDS; i++)
		e.w[i] &= used.w[i];
	return e;
}

/* Promise 8: whatever becomes whatever, the reader sees the old, the new, or an invalid entry, the last only where two words differ. */
static void random_changes(void **state)
{
	const char *given = getenv("UIOMMU_TEST_SEED");
	unsigned seed = given ? (unsigned)strtoul(given, NULL, 0) : 20261121, n_hitless = 0;

	printf("seed %u\n", seed);
	srand(seed);
	for (unsigned i = 0; i < 20000; i++) {
		bool is_cd = i & 1;
		struct entry old = random_entry(is_cd), new = old;

		if (rand() % 2)
			new = random_entry(is_cd);
		else
			new.w[rand() % 4] = random_entry(is_cd).w[rand() % 4];
		new.w[0] |= is_cd ? B(31) : B(0);
		for (unsigned k = 0; k < WORDS; k++)
			new.w[k] &= counts(&new, is_cd).w[k];
		n_hitless += !go(is_cd, old, new).saw_invalid;
	}
	assert_in_range(n_hitless, 2000, 18000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stes_of_one_stage), cmocka_unit_test(stes_without_substream), cmocka_unit_test(stes_with_stage_2),
		cmocka_unit_test(cds_change), cmocka_unit_test(nothing_to_do), cmocka_unit_test(random_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
