/* SPDX-License-Identifier: MIT */
/*
 * Which STEs, CDs, L1CDs and commands an SMMUv3.2 takes (Arm IHI 0070, 5.2.2, 5.4.2, 5.3, 4.1.3): each field wrong in turn is the one
 * that is named, and none is named while the rest of the structure makes it IGNORED.
 */
#include "hw/smmuv3.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

/* A change of one feature and up to three fields, and the field that is named for it (NULL: none). */
struct step {
	size_t feature;
	u16 value;
	struct {
		u32 field;
		u64 value;
	} set[3];
	const char *named;
};

#define FEAT(name) offsetof(struct ui_smmuv3_feat, name)
#define NONE ((size_t)-1)
#define S(name) UI_SMMUV3_STE_##name
#define D(name) UI_SMMUV3_CD_##name

static void nested_ste(u64 *ste)
{
	memset(ste, 0, UI_SMMUV3_STE_BYTES);
	ui_hw_set(ste, S(V), 1);
	ui_hw_set(ste, S(Config), UI_SMMUV3_CONFIG_NESTED);
	ui_hw_set(ste, S(S1Fmt), UI_SMMUV3_S1FMT_64K);
	ui_hw_set_addr(ste, S(S1ContextPtr), 0x123456000);
	ui_hw_set(ste, S(S1CDMax), 12);
	ui_hw_set(ste, S(S2VMID), 7);
	ui_hw_set(ste, S(S2T0SZ), 25);
	ui_hw_set(ste, S(S2SL0), 1);
	ui_hw_set(ste, S(S2PS), UI_SMMUV3_PS_48);
	ui_hw_set(ste, S(S2AA64), 1);
	ui_hw_set_addr(ste, S(S2TTB), 0x234567000);
}

static void el1_cd(u64 *cd)
{
	memset(cd, 0, UI_SMMUV3_CD_BYTES);
	ui_hw_set(cd, D(V), 1);
	ui_hw_set(cd, D(AA64), 1);
	ui_hw_set(cd, D(A), 1);
	ui_hw_set(cd, D(T0SZ), 16);
	ui_hw_set(cd, D(TG0), UI_SMMUV3_TG0_4K);
	ui_hw_set(cd, D(T1SZ), 25);
	ui_hw_set(cd, D(TG1), UI_SMMUV3_TG1_64K);
	ui_hw_set(cd, D(IPS), UI_SMMUV3_PS_48);
	ui_hw_set_addr(cd, D(TTB0), 0x345678000);
	ui_hw_set_addr(cd, D(TTB1), 0x456780000);
	ui_hw_set(cd, D(ASID), 9);
}

static void apply(const struct step *step, struct ui_smmuv3_feat *feat, u64 *words)
{
	ui_smmuv3_feat_all(feat);
	if (step->feature != NONE)
		memcpy((char *)feat + step->feature, &step->value, sizeof(step->value));
	for (size_t i = 0; i < 3 && step->set[i].field; i++)
		ui_hw_set(words, step->set[i].field, step->set[i].value);
}

static void expect_named(const char *named, const char *expected, size_t row)
{
	if (!named != !expected || (named && strcmp(named, expected)))
		fail_msg("row %zu: %s, expected %s", row, named ? named : "none", expected ? expected : "none");
}

static void expect_ste(const struct step *steps, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		u64 ste[UI_SMMUV3_STE_WORDS];
		struct ui_smmuv3_feat feat;

		nested_ste(ste);
		apply(&steps[i], &feat, ste);
		expect_named(ui_smmuv3_ste_illegal(ste, &feat), steps[i].named, i);
	}
}

#define STE_STEPS(...)								\
	do {									\
		static const struct step steps[] = { __VA_ARGS__ };		\
		expect_ste(steps, ui_array_size(steps));			\
	} while (0)

/* 5.2 V, Config: V=0 alone makes the rest IGNORED; reserved values behave as abort. */
static void ste_v_and_config(void **state)
{
	STE_STEPS({ NONE, 0, { { 0, 0 } }, NULL },
		  { NONE, 0, { { S(V), 0 } }, "V" },
		  { NONE, 0, { { S(V), 0 }, { S(S2TG), 3 } }, "V" },
		  { NONE, 0, { { S(Config), 0 }, { S(S2TG), 3 } }, NULL },
		  { NONE, 0, { { S(Config), 1 }, { S(S2TG), 3 } }, NULL },
		  { NONE, 0, { { S(Config), 2 }, { S(S2TG), 3 } }, NULL },
		  { NONE, 0, { { S(Config), 3 }, { S(S2TG), 3 } }, NULL },
		  { FEAT(s1p), 0, { { 0, 0 } }, "Config" },
		  { FEAT(s1p), 0, { { S(Config), 5 } }, "Config" },
		  { FEAT(s1p), 0, { { S(Config), 6 } }, NULL },
		  { FEAT(s2p), 0, { { 0, 0 } }, "Config" },
		  { FEAT(s2p), 0, { { S(Config), 6 } }, "Config" },
		  { FEAT(s2p), 0, { { S(Config), 5 } }, NULL },
		  { FEAT(s2p), 0, { { S(Config), 4 } }, NULL },
		  { FEAT(s1p), 0, { { S(Config), 4 } }, NULL });
}

/* 5.2 EATS. */
static void ste_eats(void **state)
{
	STE_STEPS({ NONE, 0, { { S(EATS), 1 } }, NULL },
		  { NONE, 0, { { S(EATS), 1 }, { S(S2S), 1 } }, "EATS" },
		  { NONE, 0, { { S(EATS), 1 }, { S(S2S), 1 }, { S(Config), 5 } }, NULL },
		  { NONE, 0, { { S(EATS), 2 } }, NULL },
		  { NONE, 0, { { S(EATS), 2 }, { S(S2S), 1 } }, "EATS" },
		  { NONE, 0, { { S(EATS), 2 }, { S(Config), 5 } }, "EATS" },
		  { NONE, 0, { { S(EATS), 2 }, { S(Config), 6 } }, "EATS" },
		  { NONE, 0, { { S(EATS), 2 }, { S(Config), 4 } }, NULL },
		  { FEAT(ns1ats), 1, { { S(EATS), 2 } }, "EATS" },
		  { FEAT(ns1ats), 1, { { S(EATS), 1 } }, NULL },
		  { FEAT(ats), 0, { { S(EATS), 2 }, { S(S2S), 1 } }, NULL },
		  { NONE, 0, { { S(EATS), 3 }, { S(S2S), 1 } }, NULL });
}

/* 5.2 STRW: a field with stage 1 alone only, and with IDR0.Hyp. */
static void ste_strw(void **state)
{
	STE_STEPS({ NONE, 0, { { S(Config), 5 }, { S(STRW), 1 } }, "STRW" },
		  { NONE, 0, { { S(Config), 5 }, { S(STRW), 3 } }, "STRW" },
		  { NONE, 0, { { S(Config), 5 }, { S(STRW), 2 } }, NULL },
		  { NONE, 0, { { S(STRW), 1 } }, NULL },
		  { NONE, 0, { { S(Config), 6 }, { S(STRW), 3 } }, NULL },
		  { NONE, 0, { { S(Config), 4 }, { S(STRW), 3 } }, NULL },
		  { FEAT(hyp), 0, { { S(Config), 5 }, { S(STRW), 1 } }, NULL });
}

/* 5.2 S1STALLD, S1CDMax, S1Fmt, S1ContextPtr: with stage 1 only. */
static void ste_stage_1(void **state)
{
	STE_STEPS({ NONE, 0, { { S(S1STALLD), 1 } }, NULL },
		  { FEAT(stall_model), 1, { { S(S1STALLD), 1 } }, "S1STALLD" },
		  { FEAT(stall_model), 2, { { S(S1STALLD), 1 }, { S(S2S), 1 } }, "S1STALLD" },
		  { FEAT(stall_model), 1, { { S(S1STALLD), 1 }, { S(Config), 6 } }, NULL },
		  { FEAT(ssidsize), 12, { { 0, 0 } }, NULL },
		  { FEAT(ssidsize), 11, { { 0, 0 } }, "S1CDMax" },
		  { FEAT(ssidsize), 11, { { S(Config), 6 } }, NULL },
		  { FEAT(ssidsize), 0, { { S(S1CDMax), 31 } }, NULL },
		  { NONE, 0, { { S(S1CDMax), 21 } }, "S1CDMax" },
		  { FEAT(cd2l), 0, { { 0, 0 } }, "S1Fmt" },
		  { FEAT(cd2l), 0, { { S(S1Fmt), 1 } }, "S1Fmt" },
		  { FEAT(cd2l), 0, { { S(S1Fmt), 0 } }, NULL },
		  { FEAT(cd2l), 0, { { S(S1Fmt), 3 } }, NULL },
		  { FEAT(cd2l), 0, { { S(S1CDMax), 0 } }, NULL },
		  { FEAT(cd2l), 0, { { S(Config), 6 } }, NULL },
		  /* 3.4.3: a physical address beyond OAS; as an IPA it is stage 2's business. */
		  { FEAT(oas), UI_SMMUV3_PS_44, { { S(Config), 5 }, { S(S1ContextPtr), UI_BIT(44 - 6) } }, "S1ContextPtr" },
		  { FEAT(oas), UI_SMMUV3_PS_44, { { S(Config), 5 }, { S(S1ContextPtr), UI_BIT(43 - 6) } }, NULL },
		  { FEAT(oas), UI_SMMUV3_PS_44, { { S(S1ContextPtr), UI_BIT(44 - 6) } }, NULL });
}

/* 5.2 S2FWB, S2S, S2AA64, S2HA, S2HD, S2ENDI: with stage 2 only. */
static void ste_stage_2(void **state)
{
	STE_STEPS({ NONE, 0, { { S(S2FWB), 1 } }, NULL },
		  { NONE, 0, { { S(S2FWB), 1 }, { S(S2AA64), 0 } }, "S2FWB" },
		  { FEAT(fwb), 0, { { S(S2FWB), 1 }, { S(S2AA64), 0 } }, NULL },
		  { FEAT(stall_model), 1, { { S(S2S), 1 } }, "S2S" },
		  { FEAT(stall_model), 2, { { S(S2S), 0 } }, "S2S" },
		  { FEAT(stall_model), 2, { { S(S2S), 1 } }, NULL },
		  { FEAT(stall_model), 2, { { S(S2S), 0 }, { S(Config), 5 } }, NULL },
		  { FEAT(ttf), UI_SMMUV3_TTF_AA64, { { S(S2AA64), 0 } }, "S2AA64" },
		  { FEAT(ttf), UI_SMMUV3_TTF_AA64, { { S(S2AA64), 0 }, { S(Config), 5 } }, NULL },
		  { FEAT(ttf), UI_SMMUV3_TTF_AA32, { { 0, 0 } }, "S2AA64" },
		  { NONE, 0, { { S(S2AA64), 0 } }, NULL },
		  { NONE, 0, { { S(S2HA), 1 }, { S(S2HD), 1 } }, NULL },
		  { FEAT(httu), 0, { { S(S2HA), 1 } }, "S2HA" },
		  { FEAT(httu), 1, { { S(S2HA), 1 } }, NULL },
		  { FEAT(httu), 1, { { S(S2HA), 1 }, { S(S2HD), 1 } }, "S2HD" },
		  { FEAT(httu), 0, { { S(S2HD), 1 } }, "S2HD" },
		  /* Dirty state without access flag is no error: it behaves as neither. */
		  { NONE, 0, { { S(S2HD), 1 } }, NULL },
		  { NONE, 0, { { S(S2HA), 1 }, { S(S2AA64), 0 } }, "S2HA" },
		  { NONE, 0, { { S(S2HD), 1 }, { S(S2AA64), 0 } }, "S2HD" },
		  { FEAT(httu), 0, { { S(S2HA), 1 }, { S(Config), 5 } }, NULL },
		  { FEAT(ttendian), 2, { { S(S2ENDI), 1 } }, "S2ENDI" },
		  { FEAT(ttendian), 3, { { S(S2ENDI), 0 } }, "S2ENDI" },
		  { FEAT(ttendian), 3, { { S(S2ENDI), 1 } }, NULL },
		  { FEAT(ttendian), 0, { { S(S2ENDI), 1 } }, NULL },
		  { FEAT(ttendian), 3, { { S(Config), 5 } }, NULL });
}

/* 5.2 S2TG, S2TTB, S2T0SZ, S2SL0. */
static void ste_stage_2_walk(void **state)
{
	STE_STEPS({ NONE, 0, { { S(S2TG), 3 } }, "S2TG" },
		  { NONE, 0, { { S(S2TG), 3 }, { S(Config), 5 } }, NULL },
		  { FEAT(gran4k), 0, { { 0, 0 } }, "S2TG" },
		  { FEAT(gran16k), 0, { { S(S2TG), 2 } }, "S2TG" },
		  { FEAT(gran64k), 0, { { S(S2TG), 1 } }, "S2TG" },
		  { NONE, 0, { { S(S2TG), 1 } }, NULL },
		  /* Beyond the effective S2PS, which OAS caps. */
		  { NONE, 0, { { S(S2PS), UI_SMMUV3_PS_40 }, { S(S2TTB), UI_BIT(40 - 4) } }, "S2TTB" },
		  { NONE, 0, { { S(S2PS), UI_SMMUV3_PS_40 }, { S(S2TTB), UI_BIT(39 - 4) } }, NULL },
		  { FEAT(oas), UI_SMMUV3_PS_42, { { S(S2TTB), UI_BIT(42 - 4) } }, "S2TTB" },
		  { NONE, 0, { { S(S2PS), UI_SMMUV3_PS_52 }, { S(S2TTB), UI_BIT(48 - 4) } }, "S2TTB" },
		  { NONE, 0, { { S(S2PS), UI_SMMUV3_PS_52 }, { S(S2TTB), UI_BIT(48 - 4) }, { S(S2TG), 1 } }, NULL },
		  { NONE, 0, { { S(S2AA64), 0 }, { S(S2TTB), UI_BIT(40 - 4) } }, "S2TTB" },
		  { NONE, 0, { { S(S2T0SZ), 15 }, { S(S2SL0), 2 } }, "S2T0SZ" },
		  { NONE, 0, { { S(S2T0SZ), 16 }, { S(S2SL0), 2 } }, NULL },
		  { FEAT(oas), UI_SMMUV3_PS_44, { { S(S2T0SZ), 19 }, { S(S2SL0), 2 } }, "S2T0SZ" },
		  { FEAT(oas), UI_SMMUV3_PS_44, { { S(S2T0SZ), 20 }, { S(S2SL0), 2 } }, NULL },
		  { NONE, 0, { { S(S2TG), 1 }, { S(S2T0SZ), 12 }, { S(S2SL0), 2 } }, NULL },
		  { NONE, 0, { { S(S2TG), 1 }, { S(S2T0SZ), 11 }, { S(S2SL0), 2 } }, "S2T0SZ" },
		  { FEAT(stt), 0, { { S(S2T0SZ), 40 }, { S(S2SL0), 0 } }, "S2T0SZ" },
		  { FEAT(stt), 0, { { S(S2T0SZ), 39 }, { S(S2SL0), 0 } }, NULL },
		  { NONE, 0, { { S(S2T0SZ), 48 }, { S(S2SL0), 3 } }, NULL },
		  { NONE, 0, { { S(S2T0SZ), 49 }, { S(S2SL0), 3 } }, "S2T0SZ" },
		  { NONE, 0, { { S(S2TG), 1 }, { S(S2T0SZ), 48 }, { S(S2SL0), 0 } }, "S2T0SZ" },
		  { NONE, 0, { { S(S2T0SZ), 20 } }, "S2SL0" },
		  { NONE, 0, { { S(S2SL0), 0 } }, "S2SL0" },
		  { FEAT(stt), 0, { { S(S2SL0), 3 } }, "S2SL0" },
		  /* 32-bit tables: a signed size of -8 to 7. */
		  { NONE, 0, { { S(S2AA64), 0 }, { S(S2T0SZ), 8 }, { S(S2SL0), 1 } }, NULL },
		  { NONE, 0, { { S(S2AA64), 0 }, { S(S2T0SZ), 8 }, { S(S2SL0), 0 } }, "S2SL0" },
		  { NONE, 0, { { S(S2AA64), 0 }, { S(S2T0SZ), 7 }, { S(S2SL0), 0 } }, NULL },
		  { NONE, 0, { { S(S2AA64), 0 }, { S(S2T0SZ), 7 }, { S(S2SL0), 1 } }, "S2SL0" },
		  { NONE, 0, { { S(S2AA64), 0 }, { S(S2T0SZ), 0 }, { S(S2SL0), 2 } }, "S2SL0" });
}

/* 5.2 S2VMID: not IGNORED with stage 1 alone, if there is a stage 2 and the world is EL1's. VMSPtr: 3.4.3. */
static void ste_vmid_and_vms(void **state)
{
	STE_STEPS({ NONE, 0, { { S(S2VMID), 0x100 } }, NULL },
		  { FEAT(vmid16), 0, { { S(S2VMID), 0xff } }, NULL },
		  { FEAT(vmid16), 0, { { S(S2VMID), 0x100 } }, "S2VMID" },
		  { FEAT(vmid16), 0, { { S(S2VMID), 0x100 }, { S(Config), 6 } }, "S2VMID" },
		  { FEAT(vmid16), 0, { { S(S2VMID), 0x100 }, { S(Config), 5 } }, "S2VMID" },
		  { FEAT(vmid16), 0, { { S(S2VMID), 0x100 }, { S(Config), 5 }, { S(STRW), 2 } }, NULL },
		  { FEAT(vmid16), 0, { { S(S2VMID), 0x100 }, { S(Config), 4 } }, NULL },
		  { FEAT(oas), UI_SMMUV3_PS_44, { { S(S1MPAM), 1 }, { S(VMSPtr), UI_BIT(44 - 12) } }, "VMSPtr" },
		  { FEAT(oas), UI_SMMUV3_PS_44, { { S(S1MPAM), 0 }, { S(VMSPtr), UI_BIT(44 - 12) } }, NULL },
		  { FEAT(oas), UI_SMMUV3_PS_44, { { S(S1MPAM), 1 }, { S(VMSPtr), UI_BIT(44 - 12) }, { S(Config), 6 } }, NULL });
}

/* Without stage 2 there are no VMIDs. */
static void vmid_is_ignored_without_stage_2(void **state)
{
	u64 ste[UI_SMMUV3_STE_WORDS];
	struct ui_smmuv3_feat feat;

	nested_ste(ste);
	ui_smmuv3_feat_all(&feat);
	feat.s2p = feat.vmid16 = 0;
	ui_hw_set(ste, S(Config), UI_SMMUV3_CONFIG_S1);
	ui_hw_set(ste, S(S2VMID), 0x100);
	assert_null(ui_smmuv3_ste_illegal(ste, &feat));
}

/* 5, 5.2: reserved bits and fields without a rule never make an STE ILLEGAL. */
static void other_ste_bits_are_not_looked_at(void **state)
{
	u64 ste[UI_SMMUV3_STE_WORDS];
	struct ui_smmuv3_feat feat;

	ui_smmuv3_feat_all(&feat);
	nested_ste(ste);
	for (unsigned w = 0; w < UI_SMMUV3_STE_WORDS; w++)
		ste[w] |= ui_hw_reserved(&ui_smmuv3_ste, w);
	for (u32 i = 0; i < 4; i++)
		ui_hw_set(ste, (u32[]){ S(MemAttr), S(SHCFG), S(CONT), S(IMPDEF1) }[i], ~(u64)0);
	assert_null(ui_smmuv3_ste_illegal(ste, &feat));
}

static void expect_cd(const struct step *steps, size_t n, const u64 *ste, bool e2h)
{
	for (size_t i = 0; i < n; i++) {
		u64 cd[UI_SMMUV3_CD_WORDS];
		struct ui_smmuv3_feat feat;

		el1_cd(cd);
		apply(&steps[i], &feat, cd);
		expect_named(ui_smmuv3_cd_illegal(cd, ste, &feat, e2h), steps[i].named, i);
	}
}

#define CD_STEPS(ste, e2h, ...)							\
	do {									\
		static const struct step steps[] = { __VA_ARGS__ };		\
		expect_cd(steps, ui_array_size(steps), (ste), (e2h));		\
	} while (0)

static void make_ste(u64 *ste, u64 config, u64 strw)
{
	nested_ste(ste);
	ui_hw_set(ste, S(Config), config);
	ui_hw_set(ste, S(STRW), strw);
}

/* 5.4 V, 5.5 A, R, S, ENDI, AA64, HA, HD, ASID. */
static void cd_fields_of_both_halves(void **state)
{
	u64 ste[UI_SMMUV3_STE_WORDS];

	make_ste(ste, UI_SMMUV3_CONFIG_S1, 0);
	CD_STEPS(ste, false, { NONE, 0, { { 0, 0 } }, NULL },
		 { NONE, 0, { { D(V), 0 } }, "V" },
		 { NONE, 0, { { D(V), 0 }, { D(TG0), 3 } }, "V" },
		 { FEAT(term_model), 1, { { D(A), 0 } }, "A" },
		 { NONE, 0, { { D(A), 0 } }, NULL },
		 { FEAT(stall_model), 1, { { D(S), 1 } }, "S" },
		 { FEAT(stall_model), 2, { { D(S), 0 } }, "S" },
		 { FEAT(stall_model), 2, { { D(S), 1 } }, NULL },
		 { NONE, 0, { { D(S), 1 } }, NULL },
		 { NONE, 0, { { D(ENDI), 1 } }, NULL },
		 { FEAT(ttendian), 2, { { D(ENDI), 1 } }, "ENDI" },
		 { FEAT(ttendian), 3, { { D(ENDI), 0 } }, "ENDI" },
		 { FEAT(ttendian), 2, { { D(ENDI), 1 }, { D(EPD0), 1 } }, "ENDI" },
		 { FEAT(ttendian), 2, { { D(ENDI), 1 }, { D(EPD0), 1 }, { D(EPD1), 1 } }, NULL },
		 { FEAT(ttf), UI_SMMUV3_TTF_AA64, { { D(AA64), 0 } }, "AA64" },
		 { FEAT(ttf), UI_SMMUV3_TTF_AA32, { { 0, 0 } }, "AA64" },
		 { NONE, 0, { { D(AA64), 0 } }, NULL },
		 { FEAT(httu), 0, { { D(HA), 1 } }, "HA" },
		 { FEAT(httu), 0, { { D(HD), 1 } }, "HD" },
		 { FEAT(httu), 1, { { D(HA), 1 } }, NULL },
		 { FEAT(httu), 1, { { D(HA), 1 }, { D(HD), 1 } }, "HD" },
		 { FEAT(httu), 0, { { D(HA), 1 }, { D(HD), 1 }, { D(AA64), 0 } }, NULL },
		 { NONE, 0, { { D(HA), 1 }, { D(HD), 1 } }, NULL },
		 /* Dirty state without access flag is no error: it behaves as neither. */
		 { NONE, 0, { { D(HD), 1 } }, NULL },
		 { FEAT(asid16), 0, { { D(ASID), 0x100 } }, "ASID" },
		 { FEAT(asid16), 0, { { D(ASID), 0xff } }, NULL },
		 { NONE, 0, { { D(ASID), 0xffff } }, NULL });
	ui_hw_set(ste, S(S1STALLD), 1);
	CD_STEPS(ste, false, { NONE, 0, { { D(S), 1 } }, "S" }, { NONE, 0, { { D(S), 0 } }, NULL });
}

/* 5.4 T0SZ, TG0, TTB0, IPS and their likes; 5.4.1.1 EPDx. */
static void cd_fields_of_one_half(void **state)
{
	u64 ste[UI_SMMUV3_STE_WORDS];

	make_ste(ste, UI_SMMUV3_CONFIG_S1, 0);
	CD_STEPS(ste, false, { NONE, 0, { { D(TG0), 3 } }, "TG0" },
		 { NONE, 0, { { D(TG0), 3 }, { D(EPD0), 1 } }, NULL },
		 { NONE, 0, { { D(TG0), 3 }, { D(AA64), 0 } }, NULL },
		 { FEAT(gran4k), 0, { { 0, 0 } }, "TG0" },
		 { FEAT(gran16k), 0, { { D(TG0), 2 } }, "TG0" },
		 { FEAT(gran16k), 0, { { D(TG1), 1 } }, "TG1" },
		 { FEAT(gran64k), 0, { { 0, 0 } }, "TG1" },
		 { NONE, 0, { { D(TG1), 0 } }, "TG1" },
		 { NONE, 0, { { D(TG1), 0 }, { D(EPD1), 1 } }, NULL },
		 { FEAT(gran4k), 0, { { D(TG0), 1 }, { D(TG1), 2 } }, "TG1" },
		 { NONE, 0, { { D(T0SZ), 15 } }, "T0SZ" },
		 { NONE, 0, { { D(T0SZ), 15 }, { D(EPD0), 1 } }, NULL },
		 { NONE, 0, { { D(T0SZ), 15 }, { D(TG0), 1 } }, NULL },
		 { NONE, 0, { { D(T0SZ), 12 }, { D(TG0), 1 } }, NULL },
		 { NONE, 0, { { D(T0SZ), 11 }, { D(TG0), 1 } }, "T0SZ" },
		 { FEAT(vax), 0, { { D(T0SZ), 15 }, { D(TG0), 1 } }, "T0SZ" },
		 { FEAT(stt), 0, { { D(T0SZ), 39 } }, NULL },
		 { FEAT(stt), 0, { { D(T0SZ), 40 } }, "T0SZ" },
		 { NONE, 0, { { D(T0SZ), 48 } }, NULL },
		 { NONE, 0, { { D(T0SZ), 49 } }, "T0SZ" },
		 { NONE, 0, { { D(T0SZ), 48 }, { D(TG0), 1 } }, "T0SZ" },
		 { NONE, 0, { { D(T0SZ), 63 }, { D(AA64), 0 } }, NULL },
		 { NONE, 0, { { D(T1SZ), 11 } }, "T1SZ" },
		 { NONE, 0, { { D(T1SZ), 12 } }, NULL },
		 { NONE, 0, { { D(T1SZ), 11 }, { D(EPD1), 1 } }, NULL },
		 { NONE, 0, { { D(T1SZ), 48 } }, "T1SZ" },
		 { NONE, 0, { { D(IPS), UI_SMMUV3_PS_40 }, { D(TTB0), UI_BIT(40 - 4) } }, "TTB0" },
		 { NONE, 0, { { D(IPS), UI_SMMUV3_PS_40 }, { D(TTB0), UI_BIT(39 - 4) } }, NULL },
		 { NONE, 0, { { D(IPS), UI_SMMUV3_PS_40 }, { D(TTB0), UI_BIT(40 - 4) }, { D(EPD0), 1 } }, NULL },
		 { FEAT(oas), UI_SMMUV3_PS_42, { { D(TTB0), UI_BIT(42 - 4) } }, "TTB0" },
		 { NONE, 0, { { D(IPS), UI_SMMUV3_PS_52 }, { D(TTB0), UI_BIT(48 - 4) } }, "TTB0" },
		 { NONE, 0, { { D(IPS), UI_SMMUV3_PS_52 }, { D(TTB0), UI_BIT(48 - 4) }, { D(TG0), 1 } }, NULL },
		 { NONE, 0, { { D(AA64), 0 }, { D(TTB0), UI_BIT(40 - 4) } }, "TTB0" },
		 { NONE, 0, { { D(IPS), UI_SMMUV3_PS_40 }, { D(TTB1), UI_BIT(40 - 4) } }, "TTB1" },
		 { NONE, 0, { { D(IPS), UI_SMMUV3_PS_40 }, { D(TTB1), UI_BIT(40 - 4) }, { D(EPD1), 1 } }, NULL },
		 { NONE, 0, { { D(EPD0), 1 }, { D(EPD1), 1 }, { D(TG0), 3 } }, NULL });
}

/* 5.2 STRW, 5.4: what StreamWorld and stage 2 change. */
static void cd_by_world_and_stage_2(void **state)
{
	u64 ste[UI_SMMUV3_STE_WORDS];

	/* EL2: one half, whatever EPD0 says, no ASID. */
	make_ste(ste, UI_SMMUV3_CONFIG_S1, UI_SMMUV3_STRW_EL2);
	CD_STEPS(ste, false, { NONE, 0, { { D(TG1), 0 } }, NULL },
		 { NONE, 0, { { D(TG0), 3 }, { D(EPD0), 1 } }, "TG0" },
		 { FEAT(asid16), 0, { { D(ASID), 0x100 } }, NULL },
		 { NONE, 0, { { D(AA64), 0 } }, NULL });
	/* EL2 with E2H: two halves and ASIDs; no 32-bit tables. */
	CD_STEPS(ste, true, { NONE, 0, { { D(TG1), 0 } }, "TG1" },
		 { NONE, 0, { { D(TG0), 3 }, { D(EPD0), 1 } }, NULL },
		 { FEAT(asid16), 0, { { D(ASID), 0x100 } }, "ASID" },
		 { NONE, 0, { { D(AA64), 0 } }, "AA64" });
	/* Without Hyp, or with stage 2, STRW says nothing. */
	CD_STEPS(ste, true, { FEAT(hyp), 0, { { D(AA64), 0 } }, NULL });
	make_ste(ste, UI_SMMUV3_CONFIG_NESTED, UI_SMMUV3_STRW_EL2);
	CD_STEPS(ste, true, { NONE, 0, { { D(AA64), 0 } }, NULL });
	/* 64-bit stage 1 over 32-bit stage 2. */
	ui_hw_set(ste, S(S2AA64), 0);
	CD_STEPS(ste, false, { NONE, 0, { { 0, 0 } }, "AA64" }, { NONE, 0, { { D(AA64), 0 } }, NULL });
	ui_hw_set(ste, S(Config), UI_SMMUV3_CONFIG_S1);
	CD_STEPS(ste, false, { NONE, 0, { { 0, 0 } }, NULL });
}

/* 5.3. */
static void l1cd_v_and_pointer(void **state)
{
	u64 ste[UI_SMMUV3_STE_WORDS], l1cd = 0;
	struct ui_smmuv3_feat feat;

	ui_smmuv3_feat_all(&feat);
	feat.oas = UI_SMMUV3_PS_44;
	make_ste(ste, UI_SMMUV3_CONFIG_S1, 0);
	assert_string_equal(ui_smmuv3_l1cd_illegal(&l1cd, ste, &feat), "V");
	l1cd = UI_BIT(43) | 1;
	assert_null(ui_smmuv3_l1cd_illegal(&l1cd, ste, &feat));
	l1cd = UI_BIT(44) | 1;
	assert_string_equal(ui_smmuv3_l1cd_illegal(&l1cd, ste, &feat), "L2Ptr");
	make_ste(ste, UI_SMMUV3_CONFIG_NESTED, 0);
	assert_null(ui_smmuv3_l1cd_illegal(&l1cd, ste, &feat));
}

/* Arm ARM, VTCR_EL2.SL0: legal input sizes for each granule and first level, and which need large outputs. */
static void stage_2_start_levels(void **state)
{
	static const struct {
		unsigned granule_lg2, sl0, low, high;
		int level;
		unsigned oas;
	} rows[] = {
		{ 12, 0, 22, 34, 2, 0 }, { 12, 1, 31, 43, 1, 0 }, { 12, 2, 40, 52, 0, UI_SMMUV3_PS_44 }, { 12, 3, 13, 25, 3, 0 },
		{ 14, 0, 15, 29, 3, 0 }, { 14, 1, 26, 40, 2, 0 }, { 14, 2, 37, 51, 1, UI_SMMUV3_PS_42 },
		{ 16, 0, 17, 33, 3, 0 }, { 16, 1, 30, 46, 2, 0 }, { 16, 2, 43, 59, 1, UI_SMMUV3_PS_44 },
	};
	struct ui_smmuv3_feat feat;

	ui_smmuv3_feat_all(&feat);
	for (size_t i = 0; i < ui_array_size(rows); i++) {
		for (feat.oas = 0; feat.oas <= UI_SMMUV3_PS_52; feat.oas++) {
			for (unsigned size = 1; size <= 63; size++) {
				bool ok = size >= rows[i].low && size <= rows[i].high && feat.oas >= rows[i].oas;

				assert_int_equal(ui_smmuv3_s2_start_level(&feat, rows[i].granule_lg2, 64 - size, rows[i].sl0),
						 ok ? rows[i].level : -1);
			}
		}
	}
	assert_int_equal(ui_smmuv3_s2_start_level(&feat, 14, 40, 3), -1);
	assert_int_equal(ui_smmuv3_s2_start_level(&feat, 16, 40, 3), -1);
	feat.stt = 0;
	assert_int_equal(ui_smmuv3_s2_start_level(&feat, 12, 40, 3), -1);
}

static const char *command_named(const struct ui_smmuv3_feat *feat, u64 w0, u64 w1)
{
	const u64 cmd[UI_SMMUV3_CMD_WORDS] = { w0, w1 };

	return ui_smmuv3_cmd_illegal(cmd, feat);
}

/* 4.1.3: opcodes whose feature is not there. */
static void commands_need_their_feature(void **state)
{
	static const struct {
		u8 op;
		size_t feature;
		u16 value;
	} rows[] = {
		{ 0x05, FEAT(s1p), 0 }, { 0x06, FEAT(s1p), 0 }, { 0x10, FEAT(s1p), 0 }, { 0x11, FEAT(s1p), 0 }, { 0x12, FEAT(s1p), 0 },
		{ 0x13, FEAT(s1p), 0 }, { 0x20, FEAT(hyp), 0 }, { 0x21, FEAT(hyp), 0 }, { 0x22, FEAT(hyp), 0 }, { 0x23, FEAT(hyp), 0 },
		{ 0x28, FEAT(s2p), 0 }, { 0x2a, FEAT(s2p), 0 }, { 0x40, FEAT(ats), 0 }, { 0x41, FEAT(pri), 0 },
		{ 0x44, FEAT(stall_model), 1 }, { 0x45, FEAT(stall_model), 1 }, { 0x07, FEAT(mpam), 0 },
	};
	struct ui_smmuv3_feat feat;

	for (size_t i = 0; i < ui_array_size(rows); i++) {
		ui_smmuv3_feat_all(&feat);
		assert_null(command_named(&feat, rows[i].op, 0));
		memcpy((char *)&feat + rows[i].feature, &rows[i].value, sizeof(rows[i].value));
		assert_string_equal(command_named(&feat, rows[i].op, 0), "Opcode");
	}
	memset(&feat, 0, sizeof(feat));
	for (u64 i = 0; i < 6; i++)
		assert_null(command_named(&feat, (const u8[]){ 0x01, 0x02, 0x03, 0x04, 0x30, 0x46 }[i], 0));
	ui_smmuv3_feat_all(&feat);
	assert_string_equal(command_named(&feat, 0x00, 0), "Opcode");
	assert_string_equal(command_named(&feat, 0x18, 0), "Opcode"); /* EL3: of the Secure queue only */
	assert_string_equal(command_named(&feat, 0x47, 0), "Opcode");
}

/* 4.1.6, 4.5.2, 4.7.3, 4.4.1.1. */
static void commands_with_bad_parameters_name_them(void **state)
{
	struct ui_smmuv3_feat feat;

	ui_smmuv3_feat_all(&feat);
	for (u64 i = 0; i < 8; i++)
		assert_string_equal(command_named(&feat, (const u8[]){ 1, 2, 3, 4, 5, 6, 0x44, 0x45 }[i] | UI_BIT(10), 0), "SSec");
	assert_null(command_named(&feat, 0x10 | UI_BIT(10), 0));
	assert_string_equal(command_named(&feat, 0x41, 3 << 12), "Resp");
	assert_null(command_named(&feat, 0x41, 2 << 12));
	assert_string_equal(command_named(&feat, 0x46 | 3 << 12, 0), "CS");
	assert_null(command_named(&feat, 0x46 | 2 << 12, 0));
	for (u64 i = 0; i < 5; i++) {
		u64 op = (const u8[]){ 0x12, 0x13, 0x22, 0x23, 0x2a }[i];

		assert_null(command_named(&feat, op, 0));
		assert_string_equal(command_named(&feat, op, 1 << 10), "TG");
		assert_null(command_named(&feat, op | 1 << 12, 1 << 10));
		assert_null(command_named(&feat, op | 1 << 20, 1 << 10));
		assert_null(command_named(&feat, op, 1 << 10 | 1 << 8));
		/* Level 1 of 16K granules has no leaves: the hint counts as none. */
		assert_string_equal(command_named(&feat, op, 2 << 10 | 1 << 8), "TG");
		assert_null(command_named(&feat, op, 2 << 10 | 2 << 8));
		feat.ril = 0;
		assert_null(command_named(&feat, op, 1 << 10));
		feat.ril = 1;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ste_v_and_config),
		cmocka_unit_test(ste_eats),
		cmocka_unit_test(ste_strw),
		cmocka_unit_test(ste_stage_1),
		cmocka_unit_test(ste_stage_2),
		cmocka_unit_test(ste_stage_2_walk),
		cmocka_unit_test(ste_vmid_and_vms),
		cmocka_unit_test(vmid_is_ignored_without_stage_2),
		cmocka_unit_test(other_ste_bits_are_not_looked_at),
		cmocka_unit_test(cd_fields_of_both_halves),
		cmocka_unit_test(cd_fields_of_one_half),
		cmocka_unit_test(cd_by_world_and_stage_2),
		cmocka_unit_test(l1cd_v_and_pointer),
		cmocka_unit_test(stage_2_start_levels),
		cmocka_unit_test(commands_need_their_feature),
		cmocka_unit_test(commands_with_bad_parameters_name_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
