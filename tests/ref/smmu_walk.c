/* SPDX-License-Identifier: MIT */
#include "smmu_walk.h"

#include <stddef.h>

enum {
	BAD_STREAMID = 0x02, STE_FETCH = 0x03, BAD_STE = 0x04, STREAM_DISABLED = 0x06, BAD_SUBSTREAMID = 0x08, CD_FETCH = 0x09,
	BAD_CD = 0x0a, WALK_EABT = 0x0b, TRANSLATION = 0x10, ADDR_SIZE = 0x11, ACCESS = 0x12, PERMISSION = 0x13,
};

/* On the way. */
struct way {
	struct ref_smmu *smmu;
	const struct ref_smmu_access *a;
	uint64_t ste[8], cd[8];
	struct ref_arm arm;
	struct ref_smmu_answer answer;
};

static uint64_t bits(uint64_t word, int high, int low)
{
	return word << (63 - high) >> (63 - high + low);
}

static uint64_t address_bits(uint64_t word, int low)
{
	return bits(word, 51, low) << low;
}

static int size_of_code(struct ref_smmu *smmu, uint64_t code)
{
	static const int sizes[] = { 32, 36, 40, 42, 44, 48, 52, 52 };

	return sizes[code] < smmu->oas_bits ? sizes[code] : smmu->oas_bits;
}

/* ---- Events ---- */

static bool stop(struct way *w, int event)
{
	w->answer.event[0] = (uint64_t)event | (uint64_t)w->a->sid << 32;
	if (w->a->has_ssid && event != STREAM_DISABLED) {
		w->answer.event[0] |= (uint64_t)w->a->ssid << 12;
		if (event != BAD_SUBSTREAMID)
			w->answer.event[0] |= 1 << 11;
	}
	return false;
}

static bool stop_at(struct way *w, int event, uint64_t fetched)
{
	w->answer.event[3] = bits(fetched, 51, 3) << 3;
	return stop(w, event);
}

/* A stage refused; @class: 0 a CD, else as the answer says. */
static bool stop_walk(struct way *w, struct ref_arm_answer r, bool for_cd)
{
	static const int events[] = {
		[REF_ARM_TRANSLATION] = TRANSLATION, [REF_ARM_ADDRESS_SIZE] = ADDR_SIZE, [REF_ARM_ACCESS_FLAG] = ACCESS,
		[REF_ARM_PERMISSION] = PERMISSION,
	};
	uint64_t class = for_cd ? 0 : r.on_walk ? 1 : 2, read = !w->a->access.write;
	/* S2R, R; a bypassed stage 1 has nobody who could say no. */
	bool recorded = r.stage == 2 ? bits(w->ste[2], 58, 58) : !w->arm.has_s1 || bits(w->cd[0], 45, 45);

	if (!recorded)
		return false;
	w->answer.event[1] = class << 40 | (uint64_t)(r.stage == 2) << 39 | read << 35;
	if (events[r.result] == PERMISSION && class == 1)
		w->answer.event[1] |= (uint64_t)!r.walk_write << 44;
	w->answer.event[2] = w->a->address;
	if (r.stage == 2)
		w->answer.event[3] = bits(r.ipa, 51, 12) << 12;
	return stop(w, events[r.result]);
}

/* ---- Structures ---- */

static bool fetch(struct way *w, uint64_t at, int n, uint64_t *words)
{
	for (int i = 0; i < n; i++)
		if (!w->smmu->read(w->smmu->arg, at + (uint64_t)i * 8, &words[i]))
			return false;
	return true;
}

static bool find_ste(struct way *w)
{
	uint64_t cfg = w->smmu->strtab_cfg, base = address_bits(w->smmu->strtab_base, 6), at, l1, span;
	int split = (int)bits(cfg, 10, 6);

	if (w->a->sid >= 1ull << bits(cfg, 5, 0))
		return stop(w, BAD_STREAMID);
	at = base + w->a->sid * 64ull;
	if (bits(cfg, 17, 16) == 1) {
		at = base + (w->a->sid >> split) * 8ull;
		if (!fetch(w, at, 1, &l1))
			return stop_at(w, STE_FETCH, at);
		span = bits(l1, 4, 0);
		if (!span || span > (uint64_t)split + 1 || w->a->sid % (1u << split) >= 1u << (span - 1))
			return stop(w, BAD_STREAMID);
		at = address_bits(l1, 6) + w->a->sid % (1u << split) * 64ull;
	}
	if (!fetch(w, at, 8, w->ste))
		return stop_at(w, STE_FETCH, at);
	return bits(w->ste[0], 0, 0) ? true : stop(w, BAD_STE);
}

/* 5.2 S2T0SZ and S2SL0; the first table of several side by side is where S2TTB says. */
static void set_stage2(struct way *w)
{
	static const int granules[] = { 4, 64, 16 };
	uint64_t word = w->ste[2];
	struct ref_arm_stage *s = &w->arm.s2;

	s->granule_kb = granules[bits(word, 47, 46)];
	s->start_level = (s->granule_kb == 4 ? 2 : 3) - (int)bits(word, 39, 38);
	s->input_bits = 64 - (int)bits(word, 37, 32);
	s->output_bits = size_of_code(w->smmu, bits(word, 50, 48));
	s->ttb = address_bits(w->ste[3], 4);
	s->affd = bits(word, 53, 53);
	s->ptw = bits(word, 54, 54);
	s->hd = bits(word, 55, 55);
	s->ha = bits(word, 56, 56);
	w->arm.has_s2 = true;
}

static void set_half(struct way *w, int half)
{
	static const int lower[] = { 4, 64, 16 }, upper[] = { 0, 16, 4, 64 };
	uint64_t word = w->cd[0];
	struct ref_arm_stage *s = &w->arm.s1[half];
	int page, index;

	s->granule_kb = half ? upper[bits(word, 23, 22)] : lower[bits(word, 7, 6)];
	s->input_bits = 64 - (int)(half ? bits(word, 21, 16) : bits(word, 5, 0));
	page = s->granule_kb == 4 ? 12 : s->granule_kb == 16 ? 14 : 16;
	index = page - 3;
	/* As many levels as the bits above a page need. */
	s->start_level = 4 - (s->input_bits - page + index - 1) / index;
	s->output_bits = size_of_code(w->smmu, bits(word, 34, 32));
	s->ttb = address_bits(w->cd[1 + half], 4);
	s->affd = bits(word, 35, 35);
	s->wxn = bits(word, 36, 36);
	s->pan = bits(word, 40, 40);
	s->hd = bits(word, 42, 42);
	s->ha = bits(word, 43, 43);
	s->hpd = bits(w->cd[1 + half], 1, 1);
	w->arm.tbi[half] = bits(word, 38 + half, 38 + half);
}

/* Stage 2 has a say in where a CD or its first level lies. */
static bool place(struct way *w, uint64_t at, uint64_t *pa)
{
	const struct ref_arm_access read = { .read = true };
	struct ref_arm_answer r;

	*pa = at;
	if (!w->arm.has_s2)
		return true;
	/* Of an address that is too large for an IPA, it knows nothing (3.4.3). */
	w->arm.ias = 64;
	r = ref_arm_translate(&w->arm, at, read);
	w->arm.ias = w->smmu->oas_bits;
	*pa = r.pa;
	return r.result == REF_ARM_OK ? true : stop_walk(w, r, true);
}

static bool find_cd(struct way *w, uint64_t number)
{
	uint64_t at = address_bits(w->ste[0], 6), format = bits(w->ste[0], 5, 4), max = bits(w->ste[0], 63, 59), pa, l1;
	int leaf = format == 1 ? 6 : 10;

	if (max && (format == 1 || format == 2)) {
		at += (number >> leaf) * 8;
		if (!place(w, at, &pa))
			return false;
		if (!fetch(w, pa, 1, &l1))
			return stop_at(w, CD_FETCH, pa);
		if (!bits(l1, 0, 0) || (!w->arm.has_s2 && address_bits(l1, 12) >> w->smmu->oas_bits))
			return stop(w, BAD_SUBSTREAMID);
		at = address_bits(l1, 12);
		number %= 1u << leaf;
	}
	at += number * 64;
	if (!place(w, at, &pa))
		return false;
	if (!fetch(w, pa, 8, w->cd))
		return stop_at(w, CD_FETCH, pa);
	return bits(w->cd[0], 31, 31) ? true : stop(w, BAD_CD);
}

/* 5.2 S1CDMax and S1DSS: which CD is meant. False: terminated. *@number is -1: stage 1 is not for this access. */
static bool choose_cd(struct way *w, int64_t *number)
{
	uint64_t config = bits(w->ste[0], 3, 1), max = bits(w->ste[0], 63, 59);

	*number = -1;
	if (w->a->has_ssid && (!(config & 1) || !max || w->smmu->ssid_bits == 0 || w->a->ssid >= 1u << max))
		return stop(w, BAD_SUBSTREAMID);
	if (!(config & 1))
		return true;
	*number = w->a->has_ssid ? (int64_t)w->a->ssid : 0;
	if (!max)
		return true;
	switch (bits(w->ste[1], 1, 0)) {
	case 1:
		if (!w->a->has_ssid)
			*number = -1;
		return true;
	case 2:
		return w->a->has_ssid && !w->a->ssid ? stop(w, STREAM_DISABLED) : true;
	default:
		return !w->a->has_ssid ? stop(w, STREAM_DISABLED) : true;
	}
}

static bool find_tables(struct way *w)
{
	uint64_t config;
	int64_t number;

	if (!find_ste(w))
		return false;
	config = bits(w->ste[0], 3, 1);
	if (!(config & 4))
		return false;
	if (!choose_cd(w, &number))
		return false;
	if (config & 2)
		set_stage2(w);
	if (number < 0)
		return true;
	if (!find_cd(w, (uint64_t)number))
		return false;
	w->arm.has_s1 = true;
	for (int half = 0; half < 2; half++) {
		w->arm.epd[half] = half ? bits(w->cd[0], 30, 30) : bits(w->cd[0], 14, 14);
		if (!w->arm.epd[half])
			set_half(w, half);
	}
	return true;
}

struct ref_smmu_answer ref_smmu_access(struct ref_smmu *smmu, const struct ref_smmu_access *a)
{
	struct way w = { .smmu = smmu, .a = a };
	struct ref_arm_answer r;

	w.arm.read = smmu->read;
	w.arm.write = smmu->write;
	w.arm.arg = smmu->arg;
	w.arm.ias = smmu->oas_bits;
	if (!find_tables(&w))
		return w.answer;
	r = ref_arm_translate(&w.arm, a->address, a->access);
	w.answer.pa = r.pa;
	w.answer.ok = r.result == REF_ARM_OK;
	if (r.result == REF_ARM_ABORT)
		stop(&w, WALK_EABT);
	else if (!w.answer.ok)
		stop_walk(&w, r, false);
	return w.answer;
}
