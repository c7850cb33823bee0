/* SPDX-License-Identifier: MIT */
#include "arm_walk.h"

#include <stddef.h>

struct perms {
	bool read, write, exec;
};

/* What the table descriptors above a leaf say, gathered. */
struct hierarchy {
	bool no_user, no_write, uxn, pxn;
};

static int page_bits(const struct ref_arm_stage *s)
{
	return s->granule_kb == 4 ? 12 : s->granule_kb == 16 ? 14 : 16;
}

/* Lowest address bit that a table at @level decodes. */
static int level_bit(const struct ref_arm_stage *s, int level)
{
	return page_bits(s) + (3 - level) * (page_bits(s) - 3);
}

static bool fits(uint64_t address, int bits)
{
	return bits >= 64 || address < 1ull << bits;
}

static uint64_t descriptor_address(const struct ref_arm_stage *s, uint64_t descriptor, int lowest_bit)
{
	uint64_t address = 0;

	for (int bit = lowest_bit; bit < 48; bit++)
		address |= descriptor & 1ull << bit;
	if (s->granule_kb == 64 && s->pa52)
		address |= (descriptor >> 12 & 15) << 48;
	return address;
}

static bool block_allowed(const struct ref_arm_stage *s, int level)
{
	switch (s->granule_kb) {
	case 4:
		return level == 1 || level == 2;
	case 16:
		return level == 2;
	default:
		return level == 2 || (level == 1 && s->pa52);
	}
}

static struct ref_arm_answer fault(enum ref_arm_result result, int stage, int level)
{
	return (struct ref_arm_answer){ .result = result, .stage = stage, .level = level };
}

static struct perms stage1_perms(const struct ref_arm_stage *s, uint64_t d, struct hierarchy h, bool privileged)
{
	/* AP[2:1]: privileged read, write; unprivileged read, write. A descriptor that hardware may make dirty counts as writable. */
	static const bool ap_table[4][4] = { { 1, 1, 0, 0 }, { 1, 1, 1, 1 }, { 1, 0, 0, 0 }, { 1, 0, 1, 0 } };
	int ap = (int)(d >> 6 & 3);
	bool pr, pw, ur, uw, px, ux;
	struct perms p;

	if (s->hd && (d >> 51 & 1))
		ap &= 1;
	if (s->el2) {
		p.read = true;
		p.write = !(ap & 2) && !h.no_write;
		p.exec = !(d >> 54 & 1) && !h.uxn && !(s->wxn && p.write);
		return p;
	}
	pr = ap_table[ap][0];
	pw = ap_table[ap][1] && !h.no_write;
	ur = ap_table[ap][2] && !h.no_user;
	uw = ap_table[ap][3] && !h.no_user && !h.no_write;
	px = !(d >> 53 & 1) && !h.pxn && !uw;
	ux = !(d >> 54 & 1) && !h.uxn;
	if (s->pan && (ur || uw))
		pr = pw = false;
	/* WXN asks what the region is, PAN or not. */
	if (privileged) {
		bool region_writable = ap_table[ap][1] && !h.no_write;

		return (struct perms){ pr, pw, px && !(s->wxn && region_writable) };
	}
	return (struct perms){ ur, uw, ux && !(s->wxn && uw) };
}

static struct perms stage2_perms(const struct ref_arm_stage *s, uint64_t d, bool privileged)
{
	bool r = d >> 6 & 1, w = (d >> 7 & 1) || (s->hd && (d >> 51 & 1));

	switch (d >> 53 & 3) {
	case 0:
		return (struct perms){ r, w, r };
	case 1:
		return (struct perms){ r, w, r && !privileged };
	case 2:
		return (struct perms){ r, w, false };
	default:
		return (struct perms){ r, w, r && privileged };
	}
}

static bool allows(struct perms p, struct ref_arm_access a)
{
	return (p.read || !a.read) && (p.write || !a.write) && (p.exec || !a.exec);
}

static struct ref_arm_answer stage2(struct ref_arm *arm, uint64_t ipa, struct ref_arm_access access, bool for_walk);

/* Where the descriptor of stage @stage at @address lies. */
static struct ref_arm_answer place(struct ref_arm *arm, int stage, uint64_t address, bool write)
{
	struct ref_arm_access a = { .read = true, .write = write };
	struct ref_arm_answer answer;

	if (stage == 2 || !arm->has_s2)
		return (struct ref_arm_answer){ .result = REF_ARM_OK, .pa = address };
	answer = stage2(arm, address, a, true);
	answer.on_walk = answer.result != REF_ARM_OK && answer.stage == 2;
	answer.walk_write = answer.on_walk && write;
	return answer;
}

static struct ref_arm_answer leaf(struct ref_arm *arm, const struct ref_arm_stage *s, int stage, int level, uint64_t at, uint64_t d,
				  struct hierarchy h, struct ref_arm_access access, bool for_walk)
{
	struct perms p = stage == 1 ? stage1_perms(s, d, h, access.privileged) : stage2_perms(s, d, access.privileged);
	uint64_t marked = d;
	struct ref_arm_answer where;

	if (!(d >> 10 & 1) && !s->ha && !s->affd)
		return fault(REF_ARM_ACCESS_FLAG, stage, level);
	if (!allows(p, access) || (for_walk && s->ptw && (d >> 4 & 3) == 0))
		return fault(REF_ARM_PERMISSION, stage, level);
	if (s->ha)
		marked |= 1ull << 10;
	if (s->hd && access.write && (d >> 51 & 1))
		marked = stage == 1 ? marked & ~(1ull << 7) : marked | 1ull << 7;
	if (marked != d) {
		where = place(arm, stage, at, true);
		if (where.result != REF_ARM_OK)
			return where;
		if (!arm->write(arm->arg, where.pa, marked))
			return fault(REF_ARM_ABORT, stage, level);
	}
	return (struct ref_arm_answer){ .result = REF_ARM_OK, .level = level };
}

/* @address without what selects the half. */
static struct ref_arm_answer walk(struct ref_arm *arm, const struct ref_arm_stage *s, int stage, uint64_t address,
				  struct ref_arm_access access, bool for_walk)
{
	int entry_bits = s->input_bits - level_bit(s, s->start_level), level = s->start_level;
	uint64_t table = s->ttb, next, d, at;
	struct hierarchy h = { false, false, false, false };
	struct ref_arm_answer answer;

	if (!fits(s->ttb, s->output_bits))
		return fault(REF_ARM_ADDRESS_SIZE, stage, level);
	for (;; level++) {
		uint64_t index = address >> level_bit(s, level);

		index %= level == s->start_level ? 1ull << entry_bits : 1ull << (page_bits(s) - 3);
		at = table + index * 8;
		answer = place(arm, stage, at, false);
		if (answer.result != REF_ARM_OK)
			return answer;
		if (!arm->read(arm->arg, answer.pa, &d))
			return fault(REF_ARM_ABORT, stage, level);
		if (!(d & 1))
			return fault(REF_ARM_TRANSLATION, stage, level);
		if (level == 3 || !(d & 2))
			break;
		next = descriptor_address(s, d, page_bits(s));
		if (!fits(next, s->output_bits))
			return fault(REF_ARM_ADDRESS_SIZE, stage, level);
		if (stage == 1 && !s->hpd) {
			h.pxn |= d >> 59 & 1;
			h.uxn |= d >> 60 & 1;
			h.no_user |= d >> 61 & 1;
			h.no_write |= d >> 62 & 1;
		}
		table = next;
	}
	if (level == 3 ? !(d & 2) : !block_allowed(s, level))
		return fault(REF_ARM_TRANSLATION, stage, level);
	next = descriptor_address(s, d, level_bit(s, level));
	if (!fits(next, s->output_bits))
		return fault(REF_ARM_ADDRESS_SIZE, stage, level);
	answer = leaf(arm, s, stage, level, at, d, h, access, for_walk);
	if (answer.result == REF_ARM_OK)
		answer.pa = next + address % (1ull << level_bit(s, level));
	return answer;
}

static struct ref_arm_answer stage2(struct ref_arm *arm, uint64_t ipa, struct ref_arm_access access, bool for_walk)
{
	struct ref_arm_answer answer;

	if (!fits(ipa, arm->s2.input_bits))
		answer = fault(REF_ARM_TRANSLATION, 2, -1);
	else
		answer = walk(arm, &arm->s2, 2, ipa, access, for_walk);
	answer.ipa = ipa;
	return answer;
}

static struct ref_arm_answer stage1(struct ref_arm *arm, uint64_t address, struct ref_arm_access access)
{
	int half = (int)(address >> 55 & 1);
	const struct ref_arm_stage *s = &arm->s1[half];
	int top = arm->tbi[half] ? 55 : 63;

	if (arm->epd[half])
		return fault(REF_ARM_TRANSLATION, 1, -1);
	for (int bit = s->input_bits; bit <= top; bit++)
		if ((address >> bit & 1) != (uint64_t)half)
			return fault(REF_ARM_TRANSLATION, 1, -1);
	return walk(arm, s, 1, address & ~(~0ull << s->input_bits), access, false);
}

struct ref_arm_answer ref_arm_translate(struct ref_arm *arm, uint64_t address, struct ref_arm_access access)
{
	struct ref_arm_answer first = { .result = REF_ARM_OK, .pa = address };

	if (arm->has_s1)
		first = stage1(arm, address, access);
	else if (!fits(address, arm->ias))
		return fault(REF_ARM_ADDRESS_SIZE, 1, -1);
	if (first.result != REF_ARM_OK || !arm->has_s2)
		return first;
	return stage2(arm, first.pa, access, false);
}
