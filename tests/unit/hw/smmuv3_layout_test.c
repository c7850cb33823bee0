/* SPDX-License-Identifier: MIT */
/*
 * Where each field of SMMUv3's structures lies. The rows are written down from the field descriptions of Arm IHI 0070 (chapters 4 to 8),
 * which number the bits of a whole structure; requirements.md D's table and the words that Linux's driver writes come on top.
 */
#include "hw/smmuv3.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

struct bits {
	const char *name;
	unsigned high, low;
};

/* Exactly these fields, in any order, and nothing else. */
static void expect_layout(const struct ui_hw_struct *s, const struct bits *rows, size_t n_rows)
{
	u64 known[UI_SMMUV3_STE_WORDS] = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < s->n_fields; i++) {
		const struct ui_hw_name *f = &s->fields[i];
		unsigned low = (f->field >> 16) * 64 + (f->field >> 8 & 0xff), high = low + (f->field & 0xff) - 1;
		size_t r;

		if (!ui_hw_has(s, i))
			continue;
		n++;
		for (r = 0; r < n_rows; r++) {
			if (!strcmp(rows[r].name, f->name))
				break;
		}
		if (r == n_rows || rows[r].high != high || rows[r].low != low)
			fail_msg("%s.%s lies at [%u:%u]", s->name, f->name, high, low);
		known[low / 64] |= ui_mask_range(high % 64, low % 64);
	}
	if (n != n_rows)
		fail_msg("%s: %zu fields, %zu expected", s->name, n, n_rows);
	for (unsigned w = 0; w < s->n_words; w++)
		assert_int_equal(ui_hw_reserved(s, w), ~known[w]);
}

#define LAYOUT(s, ...)								\
	do {									\
		static const struct bits rows[] = { __VA_ARGS__ };		\
		expect_layout((s), rows, ui_array_size(rows));			\
	} while (0)

/* 5.1, 5.2. */
static void ste_fields_lie_as_specified(void **state)
{
	LAYOUT(&ui_smmuv3_l1std, { "Span", 4, 0 }, { "L2Ptr", 51, 6 });
	LAYOUT(&ui_smmuv3_ste, { "V", 0, 0 }, { "Config", 3, 1 }, { "S1Fmt", 5, 4 }, { "S1ContextPtr", 51, 6 }, { "S1CDMax", 63, 59 },
	       { "S1DSS", 65, 64 }, { "S1CIR", 67, 66 }, { "S1COR", 69, 68 }, { "S1CSH", 71, 70 }, { "S2HWU59", 72, 72 },
	       { "S2HWU60", 73, 73 }, { "S2HWU61", 74, 74 }, { "S2HWU62", 75, 75 }, { "DRE", 76, 76 }, { "CONT", 80, 77 },
	       { "DCP", 81, 81 }, { "PPAR", 82, 82 }, { "MEV", 83, 83 }, { "SW_RESERVED", 87, 84 }, { "S2FWB", 89, 89 },
	       { "S1MPAM", 90, 90 }, { "S1STALLD", 91, 91 }, { "EATS", 93, 92 }, { "STRW", 95, 94 }, { "MemAttr", 99, 96 },
	       { "MTCFG", 100, 100 }, { "ALLOCCFG", 104, 101 }, { "SHCFG", 109, 108 }, { "NSCFG", 111, 110 }, { "PRIVCFG", 113, 112 },
	       { "INSTCFG", 115, 114 }, { "IMPDEF1", 127, 116 }, { "S2VMID", 143, 128 }, { "IMPDEF2", 159, 144 },
	       { "S2T0SZ", 165, 160 }, { "S2SL0", 167, 166 }, { "S2IR0", 169, 168 }, { "S2OR0", 171, 170 }, { "S2SH0", 173, 172 },
	       { "S2TG", 175, 174 }, { "S2PS", 178, 176 }, { "S2AA64", 179, 179 }, { "S2ENDI", 180, 180 }, { "S2AFFD", 181, 181 },
	       { "S2PTW", 182, 182 }, { "S2HD", 183, 183 }, { "S2HA", 184, 184 }, { "S2S", 185, 185 }, { "S2R", 186, 186 },
	       { "S2TTB", 243, 196 }, { "IMPDEF4", 271, 256 }, { "PARTID", 287, 272 }, { "PMG", 327, 320 }, { "VMSPtr", 371, 332 });
}

/* 5.3, 5.4. */
static void cd_fields_lie_as_specified(void **state)
{
	LAYOUT(&ui_smmuv3_l1cd, { "V", 0, 0 }, { "L2Ptr", 51, 12 });
	LAYOUT(&ui_smmuv3_cd, { "T0SZ", 5, 0 }, { "TG0", 7, 6 }, { "IR0", 9, 8 }, { "OR0", 11, 10 }, { "SH0", 13, 12 }, { "EPD0", 14, 14 },
	       { "ENDI", 15, 15 }, { "T1SZ", 21, 16 }, { "TG1", 23, 22 }, { "IR1", 25, 24 }, { "OR1", 27, 26 }, { "SH1", 29, 28 },
	       { "EPD1", 30, 30 }, { "V", 31, 31 }, { "IPS", 34, 32 }, { "AFFD", 35, 35 }, { "WXN", 36, 36 }, { "UWXN", 37, 37 },
	       { "TBI0", 38, 38 }, { "TBI1", 39, 39 }, { "PAN", 40, 40 }, { "AA64", 41, 41 }, { "HD", 42, 42 }, { "HA", 43, 43 },
	       { "S", 44, 44 }, { "R", 45, 45 }, { "A", 46, 46 }, { "ASET", 47, 47 }, { "ASID", 63, 48 }, { "NSCFG0", 64, 64 },
	       { "HAD0", 65, 65 }, { "TTB0", 115, 68 }, { "HWU059", 124, 124 }, { "HWU060", 125, 125 }, { "HWU061", 126, 126 },
	       { "HWU062", 127, 127 }, { "NSCFG1", 128, 128 }, { "HAD1", 129, 129 }, { "TTB1", 179, 132 }, { "HWU159", 188, 188 },
	       { "HWU160", 189, 189 }, { "HWU161", 190, 190 }, { "HWU162", 191, 191 }, { "MAIR", 255, 192 }, { "AMAIR", 319, 256 },
	       { "IMPDEF5", 351, 320 }, { "PARTID", 367, 352 }, { "PMG", 375, 368 });
}

static const struct ui_hw_struct *command(u64 op)
{
	const u64 cmd[UI_SMMUV3_CMD_WORDS] = { op };
	const struct ui_hw_struct *s = ui_smmuv3_command(cmd);

	assert_non_null(s);
	return s;
}

#define OPCODE { "Opcode", 7, 0 }
#define STREAM { "SSec", 10, 10 }, { "StreamID", 63, 32 }
#define SUBSTREAM { "SSV", 11, 11 }, { "SubstreamID", 31, 12 }
#define RANGE { "NUM", 16, 12 }, { "SCALE", 24, 20 }, { "Leaf", 64, 64 }, { "TTL", 73, 72 }, { "TG", 75, 74 }
#define VMID { "VMID", 47, 32 }
#define ASID { "ASID", 63, 48 }
#define ADDRESS { "Address", 127, 76 }

/* 4.1.1, 4.2 to 4.7. */
static void command_fields_lie_as_specified(void **state)
{
	LAYOUT(command(0x01), OPCODE, STREAM, SUBSTREAM);
	LAYOUT(command(0x02), OPCODE, STREAM, SUBSTREAM, { "Size", 68, 64 }, { "Stride", 73, 69 }, ADDRESS);
	LAYOUT(command(0x03), OPCODE, STREAM, { "Leaf", 64, 64 });
	LAYOUT(command(0x04), OPCODE, STREAM, { "Range", 68, 64 });
	LAYOUT(command(0x05), OPCODE, STREAM, { "SubstreamID", 31, 12 }, { "Leaf", 64, 64 });
	LAYOUT(command(0x06), OPCODE, STREAM);
	LAYOUT(command(0x07), OPCODE, { "SSec", 10, 10 }, VMID);
	LAYOUT(command(0x10), OPCODE, VMID);
	LAYOUT(command(0x11), OPCODE, VMID, ASID);
	LAYOUT(command(0x12), OPCODE, VMID, ASID, RANGE, ADDRESS);
	LAYOUT(command(0x13), OPCODE, VMID, RANGE, ADDRESS);
	LAYOUT(command(0x20), OPCODE);
	LAYOUT(command(0x21), OPCODE, ASID);
	LAYOUT(command(0x22), OPCODE, ASID, RANGE, ADDRESS);
	LAYOUT(command(0x23), OPCODE, RANGE, ADDRESS);
	LAYOUT(command(0x28), OPCODE, VMID);
	LAYOUT(command(0x2a), OPCODE, VMID, RANGE, { "Address", 115, 76 });
	LAYOUT(command(0x30), OPCODE);
	LAYOUT(command(0x40), OPCODE, { "Global", 9, 9 }, SUBSTREAM, { "StreamID", 63, 32 }, { "Size", 69, 64 }, ADDRESS);
	LAYOUT(command(0x41), OPCODE, SUBSTREAM, { "StreamID", 63, 32 }, { "PRGIndex", 72, 64 }, { "Resp", 77, 76 });
	LAYOUT(command(0x44), OPCODE, STREAM, { "Ac", 12, 12 }, { "Ab", 13, 13 }, { "STAG", 79, 64 });
	LAYOUT(command(0x45), OPCODE, STREAM);
	LAYOUT(command(0x46), OPCODE, { "CS", 13, 12 }, { "MSH", 23, 22 }, { "MSIAttr", 27, 24 }, { "MSIData", 63, 32 },
	       { "MSIAddress", 115, 66 });
}

/* 4.1.1: all other opcodes of the non-secure queue are reserved. */
static void other_opcodes_are_no_commands(void **state)
{
	static const u8 known[] = { 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x10, 0x11, 0x12, 0x13, 0x20, 0x21, 0x22, 0x23, 0x28,
				    0x2a, 0x30, 0x40, 0x41, 0x44, 0x45, 0x46 };

	for (u64 op = 0; op < 256; op++) {
		const u64 cmd[UI_SMMUV3_CMD_WORDS] = { op };

		assert_int_equal(!!ui_smmuv3_command(cmd), !!memchr(known, (int)op, sizeof(known)));
	}
}

static const struct ui_hw_struct *event(u64 type)
{
	const u64 evt[UI_SMMUV3_EVT_WORDS] = { type };
	const struct ui_hw_struct *s = ui_smmuv3_event(evt);

	assert_non_null(s);
	return s;
}

#define TYPE { "Type", 7, 0 }, { "StreamID", 63, 32 }
#define REASON { "Reason", 79, 64 }
#define ACCESS { "PnU", 97, 97 }, { "InD", 98, 98 }, { "RnW", 99, 99 }, { "InputAddr", 191, 128 }
#define FAULT TYPE, SUBSTREAM, { "STAG", 79, 64 }, { "Stall", 95, 95 }, ACCESS, { "S2", 103, 103 }, { "CLASS", 105, 104 }, { "IPA", 243, 204 }
#define FETCH { "FetchAddr", 243, 195 }

/* 7.3.2 to 7.3.20. */
static void event_fields_lie_as_specified(void **state)
{
	LAYOUT(event(0x01), TYPE, SUBSTREAM, REASON, ACCESS);
	LAYOUT(event(0x02), TYPE, SUBSTREAM);
	LAYOUT(event(0x03), TYPE, SUBSTREAM, REASON, FETCH);
	LAYOUT(event(0x04), TYPE, SUBSTREAM);
	LAYOUT(event(0x05), TYPE, SUBSTREAM, { "InputAddr", 191, 128 });
	LAYOUT(event(0x06), TYPE);
	LAYOUT(event(0x07), TYPE, { "RnW", 99, 99 }, { "InputAddr", 191, 128 });
	LAYOUT(event(0x08), TYPE, { "SubstreamID", 31, 12 });
	LAYOUT(event(0x09), TYPE, SUBSTREAM, REASON, FETCH);
	LAYOUT(event(0x0a), TYPE, SUBSTREAM);
	LAYOUT(event(0x0b), TYPE, SUBSTREAM, REASON, ACCESS, { "S2", 103, 103 }, { "CLASS", 105, 104 }, FETCH);
	LAYOUT(event(0x10), FAULT);
	LAYOUT(event(0x11), FAULT);
	LAYOUT(event(0x12), FAULT);
	LAYOUT(event(0x13), FAULT, { "TTRnW", 108, 108 });
	LAYOUT(event(0x20), TYPE, SUBSTREAM, REASON, ACCESS, { "S2", 103, 103 }, { "IPA", 243, 204 });
	LAYOUT(event(0x21), TYPE, SUBSTREAM, REASON);
	LAYOUT(event(0x24), TYPE, SUBSTREAM, { "uX", 97, 97 }, { "uW", 98, 98 }, { "uR", 99, 99 }, { "pX", 101, 101 }, { "pW", 102, 102 },
	       { "pR", 103, 103 }, { "Span", 115, 108 }, { "PageAddr", 191, 140 });
	LAYOUT(event(0x25), TYPE, SUBSTREAM, REASON, FETCH);
}

/* 7.3.21. */
static void other_numbers_are_no_events(void **state)
{
	static const u8 known[] = { 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x10, 0x11, 0x12, 0x13, 0x20, 0x21,
				    0x24, 0x25 };

	for (u64 type = 0; type < 256; type++) {
		const u64 evt[UI_SMMUV3_EVT_WORDS] = { type };

		assert_int_equal(!!ui_smmuv3_event(evt), !!memchr(known, (int)type, sizeof(known)));
	}
}

/* 8. */
static void page_request_fields_lie_as_specified(void **state)
{
	LAYOUT(&ui_smmuv3_pri, { "StreamID", 31, 0 }, { "SubstreamID", 51, 32 }, { "Priv", 58, 58 }, { "X", 59, 59 }, { "R", 60, 60 },
	       { "W", 61, 61 }, { "Last", 62, 62 }, { "SSV", 63, 63 }, { "PRGIndex", 72, 64 }, { "PageAddr", 127, 76 });
}

/* Linux, arm-smmu-v3.c and its KUnit cases: the STEs and CDs it makes, with a CD table at 0xfdcba98000 and so on. */
static void linux_words_read_as_they_are_meant(void **state)
{
	static const u64 abort[8] = { 0x1 }, bypass[8] = { 0x9, 0x100000000000 };
	static const u64 cdtable[8] = { 0x500000fdcba9802b, 0x180000d6 };
	static const u64 s2[8] = { 0xd, 0x100000000000, 0x044d355900000007, 0x1234567000 };
	static const u64 cd[8] = { 0x0001e205c0003510, 0x123456000, 0, 0xf404ff44 };

	assert_int_equal(ui_hw_get(abort, UI_SMMUV3_STE_Config), UI_SMMUV3_CONFIG_ABORT);
	assert_int_equal(ui_hw_get(bypass, UI_SMMUV3_STE_Config), UI_SMMUV3_CONFIG_BYPASS);
	assert_int_equal(ui_hw_get(bypass, UI_SMMUV3_STE_SHCFG), UI_SMMUV3_SHCFG_INCOMING);

	assert_int_equal(ui_hw_get(cdtable, UI_SMMUV3_STE_Config), UI_SMMUV3_CONFIG_S1);
	assert_int_equal(ui_hw_get(cdtable, UI_SMMUV3_STE_S1Fmt), UI_SMMUV3_S1FMT_64K);
	assert_int_equal(ui_hw_get_addr(cdtable, UI_SMMUV3_STE_S1ContextPtr), 0xfdcba98000);
	assert_int_equal(ui_hw_get(cdtable, UI_SMMUV3_STE_S1CDMax), 10);
	assert_int_equal(ui_hw_get(cdtable, UI_SMMUV3_STE_S1DSS), UI_SMMUV3_S1DSS_SSID0);
	assert_int_equal(ui_hw_get(cdtable, UI_SMMUV3_STE_S1CIR), UI_SMMUV3_S1C_WBRA);
	assert_int_equal(ui_hw_get(cdtable, UI_SMMUV3_STE_S1COR), UI_SMMUV3_S1C_WBRA);
	assert_int_equal(ui_hw_get(cdtable, UI_SMMUV3_STE_S1CSH), UI_SMMUV3_SH_ISH);
	assert_int_equal(ui_hw_get(cdtable, UI_SMMUV3_STE_S1STALLD), 1);
	assert_int_equal(ui_hw_get(cdtable, UI_SMMUV3_STE_EATS), UI_SMMUV3_EATS_FULL);

	assert_int_equal(ui_hw_get(s2, UI_SMMUV3_STE_Config), UI_SMMUV3_CONFIG_S2);
	assert_int_equal(ui_hw_get(s2, UI_SMMUV3_STE_S2VMID), 7);
	assert_int_equal(ui_hw_get(s2, UI_SMMUV3_STE_S2T0SZ), 25);
	assert_int_equal(ui_hw_get(s2, UI_SMMUV3_STE_S2SL0), 1);
	assert_int_equal(ui_hw_get(s2, UI_SMMUV3_STE_S2IR0), UI_SMMUV3_RGN_WBRAWA);
	assert_int_equal(ui_hw_get(s2, UI_SMMUV3_STE_S2OR0), UI_SMMUV3_RGN_WBRAWA);
	assert_int_equal(ui_hw_get(s2, UI_SMMUV3_STE_S2SH0), UI_SMMUV3_SH_ISH);
	assert_int_equal(ui_hw_get(s2, UI_SMMUV3_STE_S2TG), UI_SMMUV3_TG0_4K);
	assert_int_equal(ui_hw_get(s2, UI_SMMUV3_STE_S2PS), UI_SMMUV3_PS_48);
	assert_int_equal(ui_hw_get(s2, UI_SMMUV3_STE_S2AA64), 1);
	assert_int_equal(ui_hw_get(s2, UI_SMMUV3_STE_S2PTW), 1);
	assert_int_equal(ui_hw_get(s2, UI_SMMUV3_STE_S2R), 1);
	assert_int_equal(ui_hw_get_addr(s2, UI_SMMUV3_STE_S2TTB), 0x1234567000);

	assert_int_equal(ui_hw_get(cd, UI_SMMUV3_CD_T0SZ), 16);
	assert_int_equal(ui_hw_get(cd, UI_SMMUV3_CD_EPD1), 1);
	assert_int_equal(ui_hw_get(cd, UI_SMMUV3_CD_IPS), UI_SMMUV3_PS_48);
	assert_int_equal(ui_hw_get(cd, UI_SMMUV3_CD_AA64), 1);
	assert_int_equal(ui_hw_get(cd, UI_SMMUV3_CD_R) + ui_hw_get(cd, UI_SMMUV3_CD_A) + ui_hw_get(cd, UI_SMMUV3_CD_ASET), 3);
	assert_int_equal(ui_hw_get(cd, UI_SMMUV3_CD_ASID), 1);
	assert_int_equal(ui_hw_get(cd, UI_SMMUV3_CD_S) + ui_hw_get(cd, UI_SMMUV3_CD_HA) + ui_hw_get(cd, UI_SMMUV3_CD_EPD0), 0);
	assert_int_equal(ui_hw_get_addr(cd, UI_SMMUV3_CD_TTB0), 0x123456000);
}

/* The same driver's commands. */
static void linux_commands_read_as_they_are_meant(void **state)
{
	static const u64 cfgi_ste[2] = { 0x12300000003, 1 }, cfgi_all[2] = { 4, 31 }, asid[2] = { 0x0005000000000011, 0 };
	/* 512 pages of 4K from 0xffff00000000: SCALE 9, NUM 0, leaves at level 3. */
	static const u64 va[2] = { 0x0005000700900012, 0xffff00000701 }, sync[2] = { 0x0fc02046, 0 };
	static const u64 atc[2] = { 0x12300005840, 0x34 }, resume[2] = { 0x12300001044, 0x77 };

	assert_int_equal(ui_hw_get(cfgi_ste, UI_SMMUV3_CMD_StreamID), 0x123);
	assert_int_equal(ui_hw_get(cfgi_ste, UI_SMMUV3_CMD_Leaf), 1);
	assert_int_equal(ui_hw_get(cfgi_all, UI_SMMUV3_CMD_Opcode), UI_SMMUV3_OP_CFGI_STE_RANGE);
	assert_int_equal(ui_hw_get(cfgi_all, UI_SMMUV3_CMD_Range), UI_SMMUV3_RANGE_ALL);
	assert_int_equal(ui_hw_get(asid, UI_SMMUV3_CMD_ASID), 5);
	assert_int_equal(ui_hw_get(va, UI_SMMUV3_CMD_VMID), 7);
	assert_int_equal(ui_hw_get(va, UI_SMMUV3_CMD_SCALE), 9);
	assert_int_equal(ui_hw_get(va, UI_SMMUV3_CMD_NUM), 0);
	assert_int_equal(ui_hw_get(va, UI_SMMUV3_CMD_TTL), 3);
	assert_int_equal(ui_hw_get(va, UI_SMMUV3_CMD_TG), UI_SMMUV3_CMD_TG_4K);
	assert_int_equal(ui_hw_get_addr(va, UI_SMMUV3_CMD_Address), 0xffff00000000);
	assert_int_equal(ui_hw_get(sync, UI_SMMUV3_CMD_CS), UI_SMMUV3_CS_SEV);
	assert_int_equal(ui_hw_get(sync, UI_SMMUV3_CMD_MSH), UI_SMMUV3_SH_ISH);
	assert_int_equal(ui_hw_get(sync, UI_SMMUV3_CMD_MSIAttr), 0xf);
	assert_int_equal(ui_hw_get(atc, UI_SMMUV3_CMD_SubstreamID), 5);
	assert_int_equal(ui_hw_get(atc, UI_SMMUV3_CMD_SSV), 1);
	assert_int_equal(ui_hw_get(atc, UI_SMMUV3_CMD_AtcSize), UI_SMMUV3_ATC_SIZE_ALL);
	assert_int_equal(ui_hw_get(resume, UI_SMMUV3_CMD_Ac), 1);
	assert_int_equal(ui_hw_get(resume, UI_SMMUV3_CMD_Ab), 0);
	assert_int_equal(ui_hw_get(resume, UI_SMMUV3_CMD_STAG), 0x77);
}

/* What ui_hw_set() puts in, ui_hw_get() takes out, and no other bit changes. */
static void fields_are_set_where_they_are_read(void **state)
{
	for (size_t i = 0; i < ui_smmuv3_ste.n_fields; i++) {
		u32 field = ui_smmuv3_ste.fields[i].field;

		for (u64 fill = 0; fill < 2; fill++) {
			u64 ste[UI_SMMUV3_STE_WORDS], val = 0x5a5a5a5a5a5a5a5a & ui_mask_lg2(field & 0xff);

			for (unsigned w = 0; w < UI_SMMUV3_STE_WORDS; w++)
				ste[w] = 0 - fill;
			ui_hw_set(ste, field, val | ~ui_mask_lg2(field & 0xff));
			assert_int_equal(ui_hw_get(ste, field), val);
			for (unsigned w = 0; w < UI_SMMUV3_STE_WORDS; w++)
				assert_int_equal(ste[w] & (w == field >> 16 ? ~ui_hw_mask(field) : ~(u64)0),
						 (0 - fill) & (w == field >> 16 ? ~ui_hw_mask(field) : ~(u64)0));
		}
	}
}

static void addresses_are_set_and_read_in_place(void **state)
{
	u64 ste[UI_SMMUV3_STE_WORDS] = { ~(u64)0 };

	ui_hw_set_addr(ste, UI_SMMUV3_STE_S1ContextPtr, 0xfff0123456789abf);
	assert_int_equal(ste[0], 0xfff0123456789abf | 0xfff0000000000000 | 0x3f);
	assert_int_equal(ui_hw_get_addr(ste, UI_SMMUV3_STE_S1ContextPtr), 0x0000123456789a80);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ste_fields_lie_as_specified),
		cmocka_unit_test(cd_fields_lie_as_specified),
		cmocka_unit_test(command_fields_lie_as_specified),
		cmocka_unit_test(other_opcodes_are_no_commands),
		cmocka_unit_test(event_fields_lie_as_specified),
		cmocka_unit_test(other_numbers_are_no_events),
		cmocka_unit_test(page_request_fields_lie_as_specified),
		cmocka_unit_test(linux_words_read_as_they_are_meant),
		cmocka_unit_test(linux_commands_read_as_they_are_meant),
		cmocka_unit_test(fields_are_set_where_they_are_read),
		cmocka_unit_test(addresses_are_set_and_read_in_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
