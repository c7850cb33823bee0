/* SPDX-License-Identifier: MIT */
/* Where SMMUv3's entries lie in their tables, which CD a transaction takes, and what is printed. */
#include "hw/smmuv3.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static void make_ste(u64 *ste, u64 config, u64 fmt, u64 cdmax, u64 dss)
{
	memset(ste, 0, UI_SMMUV3_STE_BYTES);
	ui_hw_set(ste, UI_SMMUV3_STE_V, 1);
	ui_hw_set(ste, UI_SMMUV3_STE_Config, config);
	ui_hw_set(ste, UI_SMMUV3_STE_S1Fmt, fmt);
	ui_hw_set(ste, UI_SMMUV3_STE_S1CDMax, cdmax);
	ui_hw_set(ste, UI_SMMUV3_STE_S1DSS, dss);
	ui_hw_set_addr(ste, UI_SMMUV3_STE_S1ContextPtr, 0x1fffff7c0);
}

enum { CD_0, CD_N, NO_S1, BAD_SSID, DISABLED };

static int choice(const u64 *ste, unsigned ssidsize, bool ssv, u32 ssid)
{
	struct ui_smmuv3_feat feat;
	bool no_s1;
	u32 index;
	unsigned event;

	ui_smmuv3_feat_all(&feat);
	feat.ssidsize = (u16)ssidsize;
	event = ui_smmuv3_substream(ste, &feat, ssv, ssid, &no_s1, &index);
	if (event)
		return event == UI_SMMUV3_C_BAD_SUBSTREAMID ? BAD_SSID : event == UI_SMMUV3_F_STREAM_DISABLED ? DISABLED : -1;
	if (no_s1)
		return NO_S1;
	return index ? CD_N : CD_0;
}

/* 5.2 S1DSS, S1CDMax, 7.3.7, 7.3.9. */
static void substreams_are_chosen_as_specified(void **state)
{
	static const int without[] = { DISABLED, NO_S1, CD_0, DISABLED }, zero[] = { CD_0, CD_0, DISABLED, CD_0 };
	u64 ste[UI_SMMUV3_STE_WORDS];

	for (u64 dss = 0; dss < 4; dss++) {
		make_ste(ste, UI_SMMUV3_CONFIG_S1, 0, 5, dss);
		assert_int_equal(choice(ste, 20, false, 0), without[dss]);
		assert_int_equal(choice(ste, 20, true, 0), zero[dss]);
		assert_int_equal(choice(ste, 20, true, 31), CD_N);
		assert_int_equal(choice(ste, 20, true, 32), BAD_SSID);
		/* The SMMU has no substreams: S1CDMax and S1DSS are IGNORED. */
		assert_int_equal(choice(ste, 0, false, 0), CD_0);
		assert_int_equal(choice(ste, 0, true, 0), BAD_SSID);
		make_ste(ste, UI_SMMUV3_CONFIG_NESTED, 0, 0, dss);
		assert_int_equal(choice(ste, 20, false, 0), CD_0);
		assert_int_equal(choice(ste, 20, true, 0), BAD_SSID);
		for (u64 config = UI_SMMUV3_CONFIG_BYPASS; config <= UI_SMMUV3_CONFIG_S2; config += 2) {
			make_ste(ste, config, 0, 5, dss);
			assert_int_equal(choice(ste, 20, false, 0), NO_S1);
			assert_int_equal(choice(ste, 20, true, 1), BAD_SSID);
		}
	}
}

/* 5.2 S1Fmt: where CDs lie, and how tables are aligned. */
static void cds_lie_as_specified(void **state)
{
	struct ui_smmuv3_feat feat;
	u64 ste[UI_SMMUV3_STE_WORDS], l1cd = 0xabcdf000 | 1;

	ui_smmuv3_feat_all(&feat);
	make_ste(ste, UI_SMMUV3_CONFIG_S1, UI_SMMUV3_S1FMT_LINEAR, 0, 0);
	assert_int_equal(ui_smmuv3_cd_first_addr(ste, &feat, 0), 0x1fffff7c0);
	make_ste(ste, UI_SMMUV3_CONFIG_S1, UI_SMMUV3_S1FMT_4K, 0, 0);
	assert_int_equal(ui_smmuv3_cd_leaf_lg2(ste, &feat), 0);
	make_ste(ste, UI_SMMUV3_CONFIG_S1, UI_SMMUV3_S1FMT_LINEAR, 3, 0);
	assert_int_equal(ui_smmuv3_cd_leaf_lg2(ste, &feat), 0);
	assert_int_equal(ui_smmuv3_cd_first_addr(ste, &feat, 5), 0x1fffff600 + 5 * 64);
	make_ste(ste, UI_SMMUV3_CONFIG_S1, UI_SMMUV3_S1FMT_LINEAR_3, 3, 0);
	assert_int_equal(ui_smmuv3_cd_leaf_lg2(ste, &feat), 0);

	make_ste(ste, UI_SMMUV3_CONFIG_S1, UI_SMMUV3_S1FMT_4K, 9, 0);
	assert_int_equal(ui_smmuv3_cd_leaf_lg2(ste, &feat), 6);
	assert_int_equal(ui_smmuv3_cd_first_addr(ste, &feat, 0x1c5), 0x1fffff7c0 + 7 * 8);
	assert_int_equal(ui_smmuv3_cd_second_addr(&l1cd, 6, 0x1c5), 0xabcdf000 + 5 * 64);
	make_ste(ste, UI_SMMUV3_CONFIG_S1, UI_SMMUV3_S1FMT_4K, 13, 0);
	assert_int_equal(ui_smmuv3_cd_first_addr(ste, &feat, 64), 0x1fffff400 + 8);

	make_ste(ste, UI_SMMUV3_CONFIG_S1, UI_SMMUV3_S1FMT_64K, 20, 0);
	assert_int_equal(ui_smmuv3_cd_leaf_lg2(ste, &feat), 10);
	assert_int_equal(ui_smmuv3_cd_first_addr(ste, &feat, 0xfffff), 0x1ffffe000 + 1023 * 8);
	assert_int_equal(ui_smmuv3_cd_second_addr(&l1cd, 10, 0xfffff), 0xabcd0000 + 1023 * 64);
	make_ste(ste, UI_SMMUV3_CONFIG_S1, UI_SMMUV3_S1FMT_64K, 10, 0);
	assert_int_equal(ui_smmuv3_cd_first_addr(ste, &feat, 1023), 0x1fffff7c0);
	feat.ssidsize = 0;
	assert_int_equal(ui_smmuv3_cd_leaf_lg2(ste, &feat), 0);
	assert_int_equal(ui_smmuv3_cd_table_lg2(ste, &feat), 0);
}

static u32 cfg(unsigned fmt, unsigned split, unsigned lg2)
{
	return fmt << 16 | split << 6 | lg2;
}

/* 6.3.24, 6.3.25, 5.1. */
static void stes_lie_as_specified(void **state)
{
	struct ui_smmuv3_feat feat;
	u64 l1std, addr = 0;

	ui_smmuv3_feat_all(&feat);
	assert_int_equal(ui_smmuv3_strtab_split(cfg(0, 8, 16), &feat), 0);
	assert_int_equal(ui_smmuv3_strtab_split(cfg(2, 8, 16), &feat), 0);
	assert_int_equal(ui_smmuv3_strtab_split(cfg(1, 6, 16), &feat), 6);
	assert_int_equal(ui_smmuv3_strtab_split(cfg(1, 8, 16), &feat), 8);
	assert_int_equal(ui_smmuv3_strtab_split(cfg(1, 10, 16), &feat), 10);
	assert_int_equal(ui_smmuv3_strtab_split(cfg(1, 9, 16), &feat), 6);
	assert_int_equal(ui_smmuv3_ste_first_addr(0x40000000123fffc0, cfg(0, 0, 5), &feat, 3), 0x123ff800 + 3 * 64);
	assert_int_equal(ui_smmuv3_ste_first_addr(0x123fffc0, cfg(1, 8, 16), &feat, 0x1234), 0x123ff800 + 0x12 * 8);
	assert_int_equal(ui_smmuv3_ste_first_addr(0x123fffc0, cfg(1, 10, 4), &feat, 3), 0x123fffc0);
	feat.sidsize = 5;
	assert_int_equal(ui_smmuv3_strtab_lg2(cfg(0, 0, 16), &feat), 5);
	assert_int_equal(ui_smmuv3_ste_first_addr(0x123fffc0, cfg(0, 0, 16), &feat, 3), 0x12000000 + 3 * 64);
	feat.st_level = 0;
	assert_int_equal(ui_smmuv3_strtab_split(cfg(1, 8, 16), &feat), 0);

	for (u64 span = 0; span < 32; span++) {
		for (unsigned split = 6; split <= 10; split += 2) {
			l1std = 0x4567ffc0 | span;
			assert_int_equal(ui_smmuv3_l1std_lg2(&l1std, split), span && span <= split + 1 ? (int)span - 1 : -1);
		}
	}
	l1std = 0x4567ffc0 | 4; /* 8 STEs, and so 512 bytes' alignment */
	assert_true(ui_smmuv3_ste_second_addr(&l1std, 8, 0x107, &addr));
	assert_int_equal(addr, 0x4567fe00 + 7 * 64);
	assert_false(ui_smmuv3_ste_second_addr(&l1std, 8, 0x108, &addr));
	l1std = 0x4567ffc0;
	assert_false(ui_smmuv3_ste_second_addr(&l1std, 8, 0, &addr));
}

static void values_are_printed_with_their_meaning(void **state)
{
	const u64 ste[UI_SMMUV3_STE_WORDS] = { 0x500000fdcba9802b, 0x100000d6, 1, (u64)1 << 63 };
	const u64 cd[UI_SMMUV3_CD_WORDS] = { 0x0001e205c0003510, 0x123456000, 0, 0xf404ff44 };
	const u64 cmd[UI_SMMUV3_CMD_WORDS] = { 0x0005000700900012, 0xffff00000701 };
	const u64 evt[UI_SMMUV3_EVT_WORDS] = { 0x1200005810, 0x20800000000, 0x8080604567, 0x12345000 };
	const u64 cons = 0x1000005, none[UI_SMMUV3_EVT_WORDS] = { 0x10 };
	char text[512], tight[16];

	assert_string_equal(ui_hw_print(&ui_smmuv3_ste, ste, text, sizeof(text)),
			    "STE V Config=5 (S1 translate, S2 bypass) S1Fmt=2 (2-level, 64K leaves) S1ContextPtr=0xfdcba98000 S1CDMax=10 "
			    "S1DSS=2 (substream 0) S1CIR=1 (WB, RA) S1COR=1 (WB, RA) S1CSH=3 (inner shareable) EATS=1 (full ATS) S2VMID=1 "
			    "reserved[3]=0x8000000000000000");
	assert_string_equal(ui_hw_print(&ui_smmuv3_cd, cd, text, sizeof(text)),
			    "CD T0SZ=16 IR0=1 (WB, RA, WA) OR0=1 (WB, RA, WA) SH0=3 (inner shareable) EPD1 V IPS=5 (48 bits) AA64 R A ASET "
			    "ASID=1 TTB0=0x123456000 MAIR=0xf404ff44");
	assert_string_equal(ui_hw_print(ui_smmuv3_command(cmd), cmd, text, sizeof(text)),
			    "CMD_TLBI_NH_VA Opcode=0x12 SCALE=9 VMID=7 ASID=5 Leaf TTL=3 TG=1 (4K) Address=0xffff00000000");
	assert_string_equal(ui_hw_print(ui_smmuv3_event(evt), evt, text, sizeof(text)),
			    "F_TRANSLATION Type=0x10 SSV SubstreamID=0x5 StreamID=0x12 RnW (read) CLASS=2 (input address) "
			    "InputAddr=0x8080604567 IPA=0x12345000");
	assert_string_equal(ui_hw_print(ui_smmuv3_event(none), none, text, sizeof(text)), "F_TRANSLATION Type=0x10 RnW=0 (write)");
	for (size_t i = 0; i < ui_smmuv3_n_regs; i++) {
		if (ui_smmuv3_regs[i].offset == UI_SMMUV3_REG_CMDQ_CONS)
			assert_string_equal(ui_hw_print(ui_smmuv3_regs[i].fields, &cons, text, sizeof(text)),
					    "CMDQ_CONS RD=0x5 ERR=1 (CERROR_ILL)");
	}
	assert_string_equal(ui_hw_print(&ui_smmuv3_ste, ste, tight, sizeof(tight)), "STE V Config=5 ");
}

/* Every value of a field with named values has a name: none prints as a bare number by mistake. */
static void all_values_have_names(void **state)
{
	static const struct ui_hw_struct *const all[] = { &ui_smmuv3_ste, &ui_smmuv3_cd };

	for (size_t s = 0; s < ui_array_size(all); s++) {
		for (size_t i = 0; i < all[s]->n_fields; i++) {
			const struct ui_hw_name *f = &all[s]->fields[i];

			if (!f->values || f->values == ui_hw_hex || f->values == ui_hw_addr)
				continue;
			for (u64 v = 0; v >> (f->field & 0xff) == 0; v++)
				assert_non_null(ui_hw_meaning(f, v));
			assert_null(ui_hw_meaning(f, (u64)1 << (f->field & 0xff)));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(substreams_are_chosen_as_specified),
		cmocka_unit_test(cds_lie_as_specified),
		cmocka_unit_test(stes_lie_as_specified),
		cmocka_unit_test(values_are_printed_with_their_meaning),
		cmocka_unit_test(all_values_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
