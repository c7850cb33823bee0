/* SPDX-License-Identifier: MIT */
/*
 * Bad structures: every field of an STE and of a CD wrong in turn gives exactly the event that the specification says, and where no
 * value of it is wrong, none; what stage 2 refuses on the way to a CD; what R and S2R keep back (Arm IHI 0070: 5.2, 5.4, 7.3).
 */
#include "smmuv3_common.h"

#include <stdio.h>

enum { SID = 5, SID_BITS = 6, VA = 0x12345000, VMID = 7, ASID = 9 };

static struct ui_smmuv3_stream *stream;
static u64 s1_root, s2_root;

/* Both stages; stage 2 maps RAM to itself, but for the page of the CD, which has a table entry of its own to be spoilt. */
static void world_open(unsigned config)
{
	rig_start();
	s1_root = take(PAGE, PAGE);
	s2_root = take(PAGE, PAGE);
	rig_enable(SID_BITS);
	map_page(s1_root, VA, PAGES, S1_LEAF);
	for (u64 pa = RAM; pa < RAM + 0x140000; pa += PAGE)
		map_page(s2_root, pa, pa, S2_LEAF);
	map_page(s2_root, PAGES, PAGES, S2_LEAF);
	map_page(s2_root, VA, PAGES, S2_LEAF);
	cd_set(at(CDTAB), s1_root, ASID);
	ui_hw_set(at(CDTAB), UI_SMMUV3_CD_EPD1, 0);
	ui_hw_set(at(CDTAB), UI_SMMUV3_CD_TG1, 2);
	ui_hw_set(at(CDTAB), UI_SMMUV3_CD_T1SZ, 16);
	ui_hw_set_addr(at(CDTAB), UI_SMMUV3_CD_TTB1, s1_root);
	ste_s1(ste_of(SID), CDTAB, 0, 0, 0);
	ste_s2(ste_of(SID), s2_root, VMID);
	ste_on(ste_of(SID), config);
	stream = ui_smmuv3_stream_open(rig.smmu, SID);
	assert_non_null(stream);
}

static void world_close(void)
{
	ui_smmuv3_stream_close(stream);
	rig_end();
}

static void want_event(const char *what, u64 w0, u64 w1, u64 w2, u64 w3)
{
	u64 evt[4];

	if (!event_next(evt))
		fail_msg("%s: no event", what);
	if (evt[0] != w0 || evt[1] != w1 || evt[2] != w2 || evt[3] != w3)
		fail_msg("%s: event %#lx %#lx %#lx %#lx", what, (long)evt[0], (long)evt[1], (long)evt[2], (long)evt[3]);
	if (event_next(evt))
		fail_msg("%s: a second event, %#lx", what, (long)evt[0]);
}

static void want_none(const char *what)
{
	u64 evt[4];

	if (event_next(evt))
		fail_msg("%s: event %#lx %#lx %#lx %#lx", what, (long)evt[0], (long)evt[1], (long)evt[2], (long)evt[3]);
}

/* ---- Every field ---- */

static void plain(struct ui_smmuv3_feat *feat)
{
}

static void no_s1(struct ui_smmuv3_feat *feat)
{
	feat->s1p = 0;
}

static void no_s2(struct ui_smmuv3_feat *feat)
{
	feat->s2p = 0;
}

static void no_cd2l(struct ui_smmuv3_feat *feat)
{
	feat->cd2l = 0;
}

static void few_ssids(struct ui_smmuv3_feat *feat)
{
	feat->ssidsize = 4;
}

static void no_httu(struct ui_smmuv3_feat *feat)
{
	feat->httu = 0;
}

static void af_only(struct ui_smmuv3_feat *feat)
{
	feat->httu = UI_SMMUV3_HTTU_AF;
}

static void small_tags(struct ui_smmuv3_feat *feat)
{
	feat->vmid16 = feat->asid16 = 0;
}

static void only_4k(struct ui_smmuv3_feat *feat)
{
	feat->gran16k = feat->gran64k = 0;
}

enum { NESTED = UI_SMMUV3_CONFIG_NESTED, S1 = UI_SMMUV3_CONFIG_S1, S2 = UI_SMMUV3_CONFIG_S2 };

struct wrong {
	const char *field;
	u64 val; /* of the field, from bit 0 */
	unsigned config;
	void (*feat)(struct ui_smmuv3_feat *feat);
	bool fine; /* the value is good, and the access goes as if nothing were */
};

/* 5.2.2. Fields that are not here take all ones, and nothing comes of it. */
static const struct wrong wrong_ste[] = {
	{ "V", 0, NESTED, plain, false },
	{ "Config", UI_SMMUV3_CONFIG_S1, NESTED, no_s1, false },
	{ "Config", UI_SMMUV3_CONFIG_NESTED, NESTED, no_s1, false },
	{ "Config", UI_SMMUV3_CONFIG_S2, NESTED, no_s2, false },
	{ "Config", UI_SMMUV3_CONFIG_NESTED, NESTED, no_s2, false },
	{ "S1Fmt", 3, NESTED, plain, true },
	{ "S1Fmt", UI_SMMUV3_S1FMT_4K, NESTED, no_cd2l, false },
	{ "S1Fmt", UI_SMMUV3_S1FMT_64K, S1, no_cd2l, false },
	{ "S1CDMax", 21, NESTED, plain, false },
	{ "S1CDMax", 31, S1, plain, false },
	{ "S1CDMax", 5, NESTED, few_ssids, false },
	{ "S1CDMax", 31, S2, plain, true },
	{ "S1ContextPtr", (u64)1 << (48 - 6), S1, plain, false },
	{ "S1ContextPtr", (u64)1 << (48 - 6), S2, plain, true },
	{ "S1STALLD", 1, NESTED, plain, false },
	{ "S1STALLD", 1, S2, plain, true },
	{ "S2VMID", 0x107, NESTED, small_tags, false },
	{ "S2VMID", 0x107, S1, small_tags, false },
	{ "S2T0SZ", 15, NESTED, plain, false },
	{ "S2T0SZ", 40, NESTED, plain, false },
	{ "S2T0SZ", 25, NESTED, plain, false },
	{ "S2T0SZ", 63, S1, plain, true },
	{ "S2SL0", 1, NESTED, plain, false },
	{ "S2SL0", 0, S2, plain, false },
	{ "S2SL0", 3, NESTED, plain, false },
	{ "S2TG", 3, NESTED, plain, false },
	{ "S2TG", 1, S2, only_4k, false },
	{ "S2TG", 2, NESTED, only_4k, false },
	{ "S2TTB", (u64)1 << (48 - 4), NESTED, plain, false },
	{ "S2TTB", (u64)1 << (48 - 4), S1, plain, true },
	{ "S2PS", 0, NESTED, plain, true }, /* S2TTB fits into 32 bits */
	{ "S2AA64", 0, NESTED, plain, false },
	{ "S2AA64", 0, S1, plain, true },
	{ "S2ENDI", 1, NESTED, plain, false },
	{ "S2HA", 1, NESTED, no_httu, false },
	{ "S2HD", 1, NESTED, no_httu, false },
	{ "S2HD", 1, NESTED, af_only, false },
	{ "S2HD", 1, S1, no_httu, true },
	{ "S2S", 1, NESTED, plain, false },
	{ "S2S", 1, S1, plain, true },
};

/* 5.4.2. */
static const struct wrong wrong_cd[] = {
	{ "V", 0, NESTED, plain, false },
	{ "T0SZ", 15, NESTED, plain, false },
	{ "T0SZ", 40, S1, plain, false },
	{ "T0SZ", 63, NESTED, plain, false },
	{ "TG0", 3, NESTED, plain, false },
	{ "TG0", 1, S1, only_4k, false },
	{ "TG0", 2, NESTED, only_4k, false },
	{ "ENDI", 1, NESTED, plain, false },
	{ "T1SZ", 15, NESTED, plain, false },
	{ "T1SZ", 40, S1, plain, false },
	{ "TG1", 0, NESTED, plain, false },
	{ "TG1", 1, S1, only_4k, false },
	{ "TG1", 3, NESTED, only_4k, false },
	{ "AA64", 0, NESTED, plain, false },
	{ "HA", 1, S1, no_httu, false },
	{ "HD", 1, NESTED, no_httu, false },
	{ "HD", 1, S1, af_only, false },
	{ "S", 1, NESTED, plain, false },
	{ "A", 0, NESTED, plain, false },
	{ "ASID", 0x109, S1, small_tags, false },
	{ "IPS", 0, NESTED, plain, true }, /* both tables fit into 32 bits */
	{ "TTB0", (u64)1 << (48 - 4), S1, plain, false },
	{ "TTB1", (u64)1 << (48 - 4), NESTED, plain, false },
};

/* Fields whose all ones ask for something else, which other tests look at. */
static const char *const elsewhere[] = { "Config", "V", "S1ContextPtr", "EPD0", "PAN", "TTB0", "TTB1", "S2TTB", "S2TG", "TG0", "TG1" };

static u32 field_of(const struct ui_hw_struct *s, const char *name)
{
	for (size_t i = 0; i < s->n_fields; i++)
		if (!strcmp(s->fields[i].name, name))
			return s->fields[i].field;
	fail_msg("no field %s", name);
	return 0;
}

/* One access with @field of the STE or CD being @val. */
static void try_value(const struct ui_hw_struct *s, const struct wrong *w, unsigned bad_event)
{
	bool of_cd = s == &ui_smmuv3_cd;
	char what[64];
	u64 val = 0, mark = 0x8877665544332211;

	snprintf(what, sizeof(what), "%s.%s=%#lx, Config %u", s->name, w->field, (long)w->val, w->config);
	rig_new(SID_BITS);
	w->feat(&rig.cfg.feat);
	world_open(w->config);
	if (w->feat == no_cd2l) /* which matters where there is more than one CD */
		ste_s1(ste_of(SID), CDTAB, 1, 0, UI_SMMUV3_S1DSS_SSID0);
	ui_hw_set(of_cd ? at(CDTAB) : ste_of(SID), field_of(s, w->field), w->val);
	*at(PAGES + 8) = mark;
	if (w->fine) {
		if (dma_read(stream, VA + 8, 0, false, &val) != UI_DMA_OK || val != mark) {
			u64 evt[4] = { 0 };

			event_next(evt);
			fail_msg("%s: event %#lx %#lx", what, (long)evt[0], (long)evt[1]);
		}
		want_none(what);
	} else {
		if (dma_read(stream, VA + 8, 0, false, &val) != UI_DMA_MALFORMED)
			fail_msg("%s: passes, or is refused for another reason", what);
		want_event(what, bad_event | (u64)SID << 32, 0, 0, 0);
	}
	world_close();
}

static void every_field(const struct ui_hw_struct *s, const struct wrong *wrong, size_t n, unsigned bad_event)
{
	for (size_t i = 0; i < n; i++)
		try_value(s, &wrong[i], bad_event);
	for (size_t i = 0; i < s->n_fields; i++) {
		const u32 field = s->fields[i].field;
		struct wrong all = { s->fields[i].name, ui_mask_lg2(field & 0xff), NESTED, plain, true };
		bool skip = false;

		for (size_t j = 0; j < n && !skip; j++)
			skip = !strcmp(wrong[j].field, all.field) && !wrong[j].fine && wrong[j].feat == plain && wrong[j].val;
		for (size_t j = 0; j < ui_array_size(elsewhere) && !skip; j++)
			skip = !strcmp(elsewhere[j], all.field);
		if (!skip)
			try_value(s, &all, bad_event);
	}
}

static void every_field_of_an_ste(void **state)
{
	every_field(&ui_smmuv3_ste, wrong_ste, ui_array_size(wrong_ste), UI_SMMUV3_C_BAD_STE);
}

static void every_field_of_a_cd(void **state)
{
	every_field(&ui_smmuv3_cd, wrong_cd, ui_array_size(wrong_cd), UI_SMMUV3_C_BAD_CD);
}

/* 5.2 Config: 0 to 3 terminate, and nothing is recorded. */
static void reserved_configs_abort(void **state)
{
	u64 val;

	for (unsigned config = 0; config < 4; config++) {
		rig_new(SID_BITS);
		world_open(config);
		assert_int_equal(dma_read(stream, VA, 0, false, &val), UI_DMA_BLOCKED);
		want_none("Config");
		world_close();
	}
}

/* ---- Stage 2 on the way to a CD ---- */

/* The stage-2 entry of the page of @pa. */
static u64 *s2_entry(u64 pa)
{
	u64 table = s2_root;

	for (unsigned level = 3; level; level--)
		table = *at(table + ((pa >> (12 + 9 * level)) & 511) * 8) & ui_mask_range(47, 12);
	return at(table + ((pa >> 12) & 511) * 8);
}

#define S2_IN_CD ((u64)1 << 39 | (u64)UI_SMMUV3_CLASS_CD << 40)

/* 7.3.12 to 7.3.16: CLASS is CD, the IPA is the CD's page; an abort tells the entry of stage 2 instead. */
static void stage_2_refuses_the_cd(void **state)
{
	const u64 write = 0, read = (u64)1 << 35, w0 = (u64)SID << 32;
	u64 val, *entry, good, table;

	rig_new(SID_BITS);
	world_open(NESTED);
	entry = s2_entry(CDTAB);
	good = *entry;
	*entry = 0;
	assert_int_equal(dma_read(stream, VA + 8, 0, false, &val), UI_DMA_TRANSLATION);
	want_event("absent", 0x10 | w0, S2_IN_CD | read, VA + 8, CDTAB);
	*entry = good & ~((u64)1 << 10);
	assert_int_equal(dma_write(stream, VA + 8, 0, false, 1), UI_DMA_ACCESS);
	want_event("access flag", 0x12 | w0, S2_IN_CD | write, VA + 8, CDTAB);
	*entry = good & ~((u64)1 << 6);
	assert_int_equal(dma_write(stream, VA + 8, 0, false, 1), UI_DMA_PERMISSION);
	want_event("not readable", 0x13 | w0, S2_IN_CD | write, VA + 8, CDTAB);
	*entry = good & ~((u64)1 << 7); /* a CD is only read */
	assert_int_equal(dma_read(stream, VA + 8, 0, false, &val), UI_DMA_OK);
	command(0x04, 31);
	*entry = good;
	ui_hw_set(ste_of(SID), UI_SMMUV3_STE_S2PS, UI_SMMUV3_PS_36);
	*entry = (good & ~ui_mask_range(47, 12)) | (u64)1 << 40;
	assert_int_equal(dma_read(stream, VA + 8, 0, false, &val), UI_DMA_ADDR_SIZE);
	want_event("address size", 0x11 | w0, S2_IN_CD | read, VA + 8, CDTAB);
	*entry = (good & ~ui_mask_range(47, 12)) | (u64)1 << 35; /* no memory there */
	assert_int_equal(dma_read(stream, VA + 8, 0, false, &val), UI_DMA_WALK_ABORT);
	want_event("CD in no memory", 0x09 | w0, 0, 0, (u64)1 << 35);
	*entry = good;
	table = *at(s2_root);
	*at(s2_root) = 0x700000003;
	assert_int_equal(dma_read(stream, VA + 8, 0, false, &val), UI_DMA_WALK_ABORT);
	want_event("table of stage 2 in no memory", 0x0b | w0, S2_IN_CD | read, VA + 8, 0x700000008);
	*at(s2_root) = table;
	assert_int_equal(dma_read(stream, VA + 8, 0, false, &val), UI_DMA_OK);
	want_none("good again");
	world_close();
}

/* 3.13.2, 3.13.3: the fetch of a CD marks its stage 2 entry as accessed, never as written; a question to the caches does neither. */
static void the_fetch_of_a_cd_marks_stage_2(void **state)
{
	const struct ui_dma_addr where = { .iova = VA };
	const u64 af = (u64)1 << 10, dbm = (u64)1 << 51;
	u64 val, *entry;

	rig_new(SID_BITS);
	world_open(NESTED);
	ui_hw_set(ste_of(SID), UI_SMMUV3_STE_S2HA, 1);
	ui_hw_set(ste_of(SID), UI_SMMUV3_STE_S2HD, 1);
	entry = s2_entry(CDTAB);
	*entry = (*entry & ~af & ~((u64)1 << 7)) | dbm;
	ui_smmuv3_stream_cached(stream, &where, 0);
	*entry &= ~af;
	/* Nothing is cached now that was marked: the question alone. */
	command(0x04, 31);
	*entry &= ~af;
	assert_int_equal(dma_read(stream, VA + 8, 0, false, &val), UI_DMA_OK);
	assert_true((*entry & af) && !(*entry & (u64)1 << 7));
	*entry &= ~af;
	assert_int_equal(ui_smmuv3_stream_cached(stream, &where, UI_PROT_READ), UI_SMMUV3_CACHE_GOOD);
	assert_false(*entry & af);
	world_close();
}

/* ---- What is kept back ---- */

/* 5.4 R, 5.2 S2R: without it the four faults of that stage terminate silently; nothing else does. */
static void r_and_s2r_keep_faults_back(void **state)
{
	const u64 read = (u64)1 << 35, w0 = (u64)SID << 32;
	u64 val, *entry;

	for (unsigned r = 0; r < 4; r++) {
		bool s1_tells = r & 1, s2_tells = r & 2;

		rig_new(SID_BITS);
		world_open(NESTED);
		ui_hw_set(at(CDTAB), UI_SMMUV3_CD_R, s1_tells);
		ui_hw_set(ste_of(SID), UI_SMMUV3_STE_S2R, s2_tells);
		assert_int_equal(dma_read(stream, VA + PAGE, 0, false, &val), UI_DMA_TRANSLATION);
		if (s1_tells)
			want_event("stage 1", 0x10 | w0, read | (u64)2 << 40, VA + PAGE, 0);
		else
			want_none("stage 1");
		/* The upper half, whose table is the lower's: nothing there. */
		assert_int_equal(dma_read(stream, ~(u64)0xfff, 0, false, &val), UI_DMA_TRANSLATION);
		if (s1_tells)
			want_event("stage 1", 0x10 | w0, read | (u64)2 << 40, ~(u64)0xfff, 0);
		else
			want_none("stage 1, upper half");
		map_page(s1_root, VA + 2 * PAGE, 0x5000, S1_LEAF);
		assert_int_equal(dma_read(stream, VA + 2 * PAGE, 0, false, &val), UI_DMA_TRANSLATION);
		if (s2_tells)
			want_event("stage 2", 0x10 | w0, read | (u64)1 << 39 | (u64)2 << 40, VA + 2 * PAGE, 0x5000);
		else
			want_none("stage 2");
		entry = s2_entry(CDTAB);
		*entry ^= 1;
		command(0x04, 31);
		assert_int_equal(dma_read(stream, VA, 0, false, &val), UI_DMA_TRANSLATION);
		if (s2_tells)
			want_event("CD", 0x10 | w0, read | S2_IN_CD, VA, CDTAB);
		else
			want_none("CD");
		*entry ^= 1;
		/* Not a fault of a stage: an abort is told. */
		*at(s1_root) = 0x700000003;
		map_page(s2_root, 0x700000000, 0x700000000, S2_LEAF);
		assert_int_equal(dma_read(stream, VA + 3 * PAGE, 0, false, &val), UI_DMA_WALK_ABORT);
		want_event("abort", 0x0b | w0, read | (u64)1 << 40, VA + 3 * PAGE, 0x700000000);
		world_close();
	}
}

/* 6.3.12: a StreamID that there is not is told only if it is asked for. */
static void recinvsid(void **state)
{
	struct ui_smmuv3_stream *far;
	u64 val;

	rig_new(SID_BITS);
	world_open(NESTED);
	far = ui_smmuv3_stream_open(rig.smmu, 1 << SID_BITS);
	for (unsigned on = 0; on < 2; on++) {
		wr(UI_SMMUV3_REG_CR0, 0xc);
		wr(UI_SMMUV3_REG_CR2, on ? 2 : 0);
		wr(UI_SMMUV3_REG_CR0, 0xd);
		assert_int_equal(dma_read(far, VA, 3, true, &val), UI_DMA_BLOCKED);
		if (on)
			want_event("RECINVSID", 0x02 | 1 << 11 | 3 << 12 | (u64)1 << (32 + SID_BITS), 0, 0, 0);
		else
			want_none("RECINVSID");
	}
	ui_smmuv3_stream_close(far);
	world_close();
}

/* A look that only asks leaves nothing behind that a later refusal tells. */
static void asking_records_nothing(void **state)
{
	const struct ui_dma_addr where = { .iova = VA }, wrapping = { .iova = ~(u64)7 };
	struct ui_walk w;
	u8 buf[16];

	rig_new(SID_BITS);
	world_open(NESTED);
	ui_hw_set(ste_of(SID), UI_SMMUV3_STE_V, 0);
	assert_int_equal(ui_dma_translate(ui_smmuv3_stream_dma(stream), &where, UI_PROT_READ, &w, NULL), UI_DMA_MALFORMED);
	assert_int_equal(ui_dma_read(ui_smmuv3_stream_dma(stream), &wrapping, buf, 16, NULL, NULL), UI_DMA_ADDR_SIZE);
	want_none("asking");
	world_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_of_an_ste), cmocka_unit_test(every_field_of_a_cd), cmocka_unit_test(reserved_configs_abort),
		cmocka_unit_test(stage_2_refuses_the_cd), cmocka_unit_test(the_fetch_of_a_cd_marks_stage_2),
		cmocka_unit_test(r_and_s2r_keep_faults_back), cmocka_unit_test(recinvsid), cmocka_unit_test(asking_records_nothing),
	};

	if (ui_safe_install())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
