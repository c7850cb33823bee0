/* SPDX-License-Identifier: MIT */
/* SMMUv3's registers (Arm IHI 0070, chapter 6): offsets, fields, and features to and from the ID registers. */
#include "hw/smmuv3.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* 6.2.1, 6.2.2 with the bits that 6.3 gives each register. */
static const struct {
	const char *name;
	u32 offset, n_bytes;
	u64 known;
} regs[] = {
	{ "IDR0", 0x00, 4, 0x1fffffff }, { "IDR1", 0x04, 4, 0x7fffffff }, { "IDR2", 0x08, 4, 0x3ff }, { "IDR3", 0x0c, 4, 0x1fbc },
	{ "IDR4", 0x10, 4, 0xffffffff }, { "IDR5", 0x14, 4, 0xffff0c77 }, { "IIDR", 0x18, 4, 0xffffffff }, { "AIDR", 0x1c, 4, 0xff },
	{ "CR0", 0x20, 4, 0x1df }, { "CR0ACK", 0x24, 4, 0x1df }, { "CR1", 0x28, 4, 0xfff }, { "CR2", 0x2c, 4, 0xf },
	{ "STATUSR", 0x40, 4, 1 }, { "GBPA", 0x44, 4, 0x801f3f1f }, { "AGBPA", 0x48, 4, 0xffffffff }, { "IRQ_CTRL", 0x50, 4, 7 },
	{ "IRQ_CTRLACK", 0x54, 4, 7 }, { "GERROR", 0x60, 4, 0x1fd }, { "GERRORN", 0x64, 4, 0x1fd },
	{ "GERROR_IRQ_CFG0", 0x68, 8, 0xffffffffffffc }, { "GERROR_IRQ_CFG1", 0x70, 4, 0xffffffff }, { "GERROR_IRQ_CFG2", 0x74, 4, 0x3f },
	{ "STRTAB_BASE", 0x80, 8, 0x400fffffffffffc0 }, { "STRTAB_BASE_CFG", 0x88, 4, 0x307ff },
	{ "CMDQ_BASE", 0x90, 8, 0x400fffffffffffff }, { "CMDQ_PROD", 0x98, 4, 0xfffff }, { "CMDQ_CONS", 0x9c, 4, 0x7f0fffff },
	{ "EVENTQ_BASE", 0xa0, 8, 0x400fffffffffffff }, { "EVENTQ_PROD", 0x100a8, 4, 0x800fffff }, { "EVENTQ_CONS", 0x100ac, 4, 0x800fffff },
	{ "EVENTQ_IRQ_CFG0", 0xb0, 8, 0xffffffffffffc }, { "EVENTQ_IRQ_CFG1", 0xb8, 4, 0xffffffff }, { "EVENTQ_IRQ_CFG2", 0xbc, 4, 0x3f },
	{ "PRIQ_BASE", 0xc0, 8, 0x400fffffffffffff }, { "PRIQ_PROD", 0x100c8, 4, 0x800fffff }, { "PRIQ_CONS", 0x100cc, 4, 0x800fffff },
	{ "PRIQ_IRQ_CFG0", 0xd0, 8, 0xffffffffffffc }, { "PRIQ_IRQ_CFG1", 0xd8, 4, 0xffffffff }, { "PRIQ_IRQ_CFG2", 0xdc, 4, 0x8000003f },
	{ "GATOS_CTRL", 0x100, 4, 1 }, { "GATOS_SID", 0x108, 8, 0x1fffffffffffff }, { "GATOS_ADDR", 0x110, 8, 0xffffffffffffffc0 },
	{ "GATOS_PAR", 0x118, 8, 0xffffffffffff7 },
};

static void registers_lie_as_specified(void **state)
{
	assert_int_equal(ui_smmuv3_n_regs, ui_array_size(regs));
	for (size_t i = 0; i < ui_smmuv3_n_regs; i++) {
		assert_string_equal(ui_smmuv3_regs[i].fields->name, regs[i].name);
		assert_int_equal(ui_smmuv3_regs[i].offset, regs[i].offset);
		assert_int_equal(ui_smmuv3_regs[i].n_bytes, regs[i].n_bytes);
		assert_int_equal(~ui_hw_reserved(ui_smmuv3_regs[i].fields, 0), regs[i].known);
	}
}

static u32 value(u32 field, u64 val)
{
	return (u32)UI_HW_VAL(field, val);
}

/* The numbers of 6.3 that a whole register's mask does not tell apart. */
static void register_fields_lie_as_specified(void **state)
{
	assert_int_equal(value(UI_SMMUV3_IDR0_TTF, 3), 0xc);
	assert_int_equal(value(UI_SMMUV3_IDR0_BTM, 1) | value(UI_SMMUV3_IDR0_HTTU, 3), 0xe0);
	assert_int_equal(value(UI_SMMUV3_IDR0_Hyp, 1) | value(UI_SMMUV3_IDR0_ATS, 1) | value(UI_SMMUV3_IDR0_NS1ATS, 1), 0xe00);
	assert_int_equal(value(UI_SMMUV3_IDR0_MSI, 1) | value(UI_SMMUV3_IDR0_PRI, 1), 0x12000);
	assert_int_equal(value(UI_SMMUV3_IDR0_CD2L, 1) | value(UI_SMMUV3_IDR0_VMW, 1), 0xa0000);
	assert_int_equal(value(UI_SMMUV3_IDR0_ST_LEVEL, 1) | value(UI_SMMUV3_IDR0_STALL_MODEL, 2), 0xa000000);
	assert_int_equal(value(UI_SMMUV3_IDR1_SSIDSIZE, 20) | value(UI_SMMUV3_IDR1_SIDSIZE, 16), 0x510);
	assert_int_equal(value(UI_SMMUV3_IDR1_CMDQS, 19) | value(UI_SMMUV3_IDR1_EVENTQS, 18) | value(UI_SMMUV3_IDR1_PRIQS, 17), 0x2728800);
	assert_int_equal(value(UI_SMMUV3_IDR3_RIL, 1) | value(UI_SMMUV3_IDR3_BBML, 2), 0x1400);
	assert_int_equal(value(UI_SMMUV3_IDR3_HAD, 1) | value(UI_SMMUV3_IDR3_FWB, 1) | value(UI_SMMUV3_IDR3_STT, 1), 0x304);
	assert_int_equal(value(UI_SMMUV3_CR0_SMMUEN, 1) | value(UI_SMMUV3_CR0_CMDQEN, 1) | value(UI_SMMUV3_CR0_EVENTQEN, 1), 0xd);
	assert_int_equal(value(UI_SMMUV3_CR0_PRIQEN, 1) | value(UI_SMMUV3_CR0_ATSCHK, 1), 0x12);
	/* iommu-testdev's CR1: write-back, inner shareable, tables and queues. */
	assert_int_equal(value(UI_SMMUV3_CR1_QUEUE_IC, 1) | value(UI_SMMUV3_CR1_QUEUE_OC, 1) | value(UI_SMMUV3_CR1_QUEUE_SH, 3) |
			 value(UI_SMMUV3_CR1_TABLE_IC, 1) | value(UI_SMMUV3_CR1_TABLE_OC, 1) | value(UI_SMMUV3_CR1_TABLE_SH, 3), 0xd75);
	assert_int_equal(value(UI_SMMUV3_GBPA_UPDATE, 1) | value(UI_SMMUV3_GBPA_ABORT, 1) | value(UI_SMMUV3_GBPA_SHCFG, 1), 0x80101000);
	assert_int_equal(value(UI_SMMUV3_STRTAB_BASE_CFG_FMT, 1) | value(UI_SMMUV3_STRTAB_BASE_CFG_SPLIT, 8) |
			 value(UI_SMMUV3_STRTAB_BASE_CFG_LOG2SIZE, 16), 0x10210);
	assert_int_equal(value(UI_SMMUV3_CMDQ_CONS_ERR, UI_SMMUV3_CERROR_ABT), 0x2000000);
	assert_int_equal(value(UI_SMMUV3_GERROR_SFM_ERR, 1) | value(UI_SMMUV3_GERROR_CMDQ_ERR, 1), 0x101);
}

/* QEMU's SMMUv3 for stage 1: its ID registers, and what Linux takes from them. */
static void qemu_id_registers_read_as_they_are_meant(void **state)
{
	static const u32 idr[UI_SMMUV3_N_IDR] = { 0x0d44101a, 0x02730010, 0, 0x1404, 0, 0x74 };
	struct ui_smmuv3_feat f;
	u32 back[UI_SMMUV3_N_IDR];

	ui_smmuv3_feat_from_idr(&f, idr);
	assert_true(f.s1p && !f.s2p && f.cohacc && f.asid16 && f.vmid16 && f.term_model && f.st_level == UI_SMMUV3_ST_LEVEL_2LVL);
	assert_int_equal(f.ttf, UI_SMMUV3_TTF_AA64);
	assert_int_equal(f.ttendian, UI_SMMUV3_TTENDIAN_LE);
	assert_int_equal(f.stall_model, UI_SMMUV3_STALL_TERMINATE);
	assert_int_equal(f.sidsize, 16);
	assert_int_equal(f.ssidsize, 0);
	assert_int_equal(f.cmdqs, 19);
	assert_int_equal(f.eventqs, 19);
	assert_true(f.ril && f.had && f.bbml == 2);
	assert_int_equal(ui_smmuv3_oas_bits(&f), 44);
	assert_true(f.gran4k && f.gran16k && f.gran64k);
	assert_false(f.ats || f.pri || f.httu || f.cd2l || f.hyp || f.btm || f.msi);
	ui_smmuv3_feat_to_idr(&f, back);
	assert_memory_equal(back, idr, sizeof(idr));
}

/* Random registers: nothing is lost but what no feature stands for, which is IDR4 and bits of later versions. */
static void features_round_trip(void **state)
{
	static const u32 kept[UI_SMMUV3_N_IDR] = { 0x1fffffff, 0x7fffffff, 0x3ff, 0x1fbc, 0, 0xffff0c77 };
	unsigned seed = 20261121;

	print_message("seed %u\n", seed);
	for (unsigned n = 0; n < 1000; n++) {
		u32 idr[UI_SMMUV3_N_IDR], back[UI_SMMUV3_N_IDR];
		struct ui_smmuv3_feat f, again;

		for (unsigned i = 0; i < UI_SMMUV3_N_IDR; i++)
			idr[i] = (u32)rand_r(&seed) ^ (u32)rand_r(&seed) << 16;
		ui_smmuv3_feat_from_idr(&f, idr);
		ui_smmuv3_feat_to_idr(&f, back);
		for (unsigned i = 0; i < UI_SMMUV3_N_IDR; i++)
			assert_int_equal(back[i], idr[i] & kept[i]);
		ui_smmuv3_feat_from_idr(&again, back);
		assert_memory_equal(&again, &f, sizeof(f));
	}
}

/* 5.2 S2PS, 5.4 IPS, 3.4. */
static void address_sizes_are_capped(void **state)
{
	static const unsigned bits[] = { 32, 36, 40, 42, 44, 48, 52, 52 };
	struct ui_smmuv3_feat f = { .ttf = UI_SMMUV3_TTF_AA64 };

	for (unsigned code = 0; code < 8; code++) {
		assert_int_equal(ui_smmuv3_ps_bits(code), bits[code]);
		for (f.oas = 0; f.oas < 7; f.oas++) {
			assert_int_equal(ui_smmuv3_out_bits(&f, code, true), ui_min(bits[code], bits[f.oas]));
			assert_int_equal(ui_smmuv3_out_bits(&f, code, false), 40);
			f.ttf = UI_SMMUV3_TTF_AA64;
			assert_int_equal(ui_smmuv3_ias_bits(&f), bits[f.oas]);
			f.ttf = UI_SMMUV3_TTF_BOTH;
			assert_int_equal(ui_smmuv3_ias_bits(&f), ui_max(40, bits[f.oas]));
			f.ttf = UI_SMMUV3_TTF_AA32;
			assert_int_equal(ui_smmuv3_ias_bits(&f), 40);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registers_lie_as_specified),
		cmocka_unit_test(register_fields_lie_as_specified),
		cmocka_unit_test(qemu_id_registers_read_as_they_are_meant),
		cmocka_unit_test(features_round_trip),
		cmocka_unit_test(address_sizes_are_capped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
