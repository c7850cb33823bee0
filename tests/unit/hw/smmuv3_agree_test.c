/* SPDX-License-Identifier: MIT */
/*
 * Two readings of the same chapters: the validity rules of STEs and CDs (hw), and what the walker can start from (pgtable/arm.h), written
 * apart from each other. For every granule, size, start level, output size and a few table addresses they say the same.
 */
#include "hw/smmuv3.h"
#include "pgtable/arm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

/* AArch64 tables, no small tables: what the walker does. */
static void features(struct ui_smmuv3_feat *feat, u16 oas, u16 vax)
{
	ui_smmuv3_feat_all(feat);
	feat->ttf = UI_SMMUV3_TTF_AA64;
	feat->stt = 0;
	feat->oas = oas;
	feat->vax = vax;
}

static void valid_stage_2_can_be_walked(void **state)
{
	u64 ste[UI_SMMUV3_STE_WORDS] = { 0 }, n_valid = 0, n = 0;
	struct ui_smmuv3_feat feat;

	ui_hw_set(ste, UI_SMMUV3_STE_V, 1);
	ui_hw_set(ste, UI_SMMUV3_STE_Config, UI_SMMUV3_CONFIG_S2);
	ui_hw_set(ste, UI_SMMUV3_STE_S2AA64, 1);
	for (u64 i = 0; i < 7 * 8 * 4 * 4 * 64 * 53; i++) {
		u64 oas = i % 7, ps = i / 7 % 8, tg = i / 56 % 4, sl0 = i / 224 % 4, t0sz = i / 896 % 64, bit = i / 57344;
		const struct ui_arm_s2 s2 = {
			.granule_lg2 = ui_arm_tg0((unsigned)tg), .t0sz = (u8)t0sz, .sl0 = (u8)sl0, .ps_bits = ui_arm_ps_bits((unsigned)ps),
			.oas_bits = ui_arm_ps_bits((unsigned)oas), .ttb = bit < 20 ? 0 : UI_BIT(bit - 1),
		};
		struct ui_walk_cfg cfg;
		const char *bad;

		features(&feat, (u16)oas, 1);
		ui_hw_set(ste, UI_SMMUV3_STE_S2T0SZ, t0sz);
		ui_hw_set(ste, UI_SMMUV3_STE_S2SL0, sl0);
		ui_hw_set(ste, UI_SMMUV3_STE_S2TG, tg);
		ui_hw_set(ste, UI_SMMUV3_STE_S2PS, ps);
		ui_hw_set_addr(ste, UI_SMMUV3_STE_S2TTB, s2.ttb);
		bad = ui_smmuv3_ste_illegal(ste, &feat);
		if (!bad != !ui_arm_s2_start(&s2, &cfg))
			fail_msg("oas %u ps %u tg %u sl0 %u t0sz %u ttb %llx: %s", (unsigned)oas, (unsigned)ps, (unsigned)tg, (unsigned)sl0,
				 (unsigned)t0sz, (unsigned long long)s2.ttb, bad ? bad : "valid");
		if (!bad)
			assert_int_equal(ui_arm_level(cfg.top_level),
					 ui_smmuv3_s2_start_level(&feat, s2.granule_lg2, (unsigned)t0sz, (unsigned)sl0));
		n++;
		n_valid += !bad;
	}
	assert_true(n_valid > n / 50);
}

static void valid_stage_1_can_be_walked(void **state)
{
	u64 cd[UI_SMMUV3_CD_WORDS] = { 0 }, ste[UI_SMMUV3_STE_WORDS] = { 0 }, n_valid = 0, n = 0;
	struct ui_smmuv3_feat feat;

	ui_hw_set(ste, UI_SMMUV3_STE_V, 1);
	ui_hw_set(ste, UI_SMMUV3_STE_Config, UI_SMMUV3_CONFIG_S1);
	ui_hw_set(cd, UI_SMMUV3_CD_V, 1);
	ui_hw_set(cd, UI_SMMUV3_CD_AA64, 1);
	for (u64 i = 0; i < 7 * 8 * 4 * 2 * 64 * 2 * 53; i++) {
		u64 oas = i % 7, ips = i / 7 % 8, tg = i / 56 % 4, upper = i / 224 % 2, txsz = i / 448 % 64, vax = i / 28672 % 2, bit = i / 57344;
		const struct ui_arm_s1 s1 = {
			.granule_lg2 = upper ? ui_arm_tg1((unsigned)tg) : ui_arm_tg0((unsigned)tg), .txsz = (u8)txsz,
			.ips_bits = ui_arm_ps_bits((unsigned)ips), .oas_bits = ui_arm_ps_bits((unsigned)oas), .va52 = vax, .upper = upper,
			.ttb = bit < 20 ? 0 : UI_BIT(bit - 1),
		};
		struct ui_walk_cfg cfg;
		const char *bad;

		features(&feat, (u16)oas, (u16)vax);
		ui_hw_set(cd, UI_SMMUV3_CD_EPD0, upper);
		ui_hw_set(cd, UI_SMMUV3_CD_EPD1, !upper);
		ui_hw_set(cd, upper ? UI_SMMUV3_CD_T1SZ : UI_SMMUV3_CD_T0SZ, txsz);
		ui_hw_set(cd, upper ? UI_SMMUV3_CD_TG1 : UI_SMMUV3_CD_TG0, tg);
		ui_hw_set(cd, UI_SMMUV3_CD_IPS, ips);
		ui_hw_set_addr(cd, upper ? UI_SMMUV3_CD_TTB1 : UI_SMMUV3_CD_TTB0, s1.ttb);
		bad = ui_smmuv3_cd_illegal(cd, ste, &feat, false);
		if (!bad != !ui_arm_s1_start(&s1, &cfg))
			fail_msg("oas %u ips %u tg %u upper %u txsz %u vax %u ttb %llx: %s", (unsigned)oas, (unsigned)ips, (unsigned)tg,
				 (unsigned)upper, (unsigned)txsz, (unsigned)vax, (unsigned long long)s1.ttb, bad ? bad : "valid");
		n++;
		n_valid += !bad;
	}
	assert_true(n_valid > n / 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(valid_stage_2_can_be_walked),
		cmocka_unit_test(valid_stage_1_can_be_walked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
