/* SPDX-License-Identifier: MIT */
/*
 * uiommu_walk() says of an access what the SMMUv3's device half does with it: the same address, or the same event word by word, and the
 * same marks in tables. Random tables, of which random bits are then flipped. The walk goes first: it must leave memory as it is.
 */
#include <uiommu/decode.h>

#include "base/bits.h"
#include "models/smmuv3/smmuv3.h"

#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

enum {
	RAM = 0x40000000, RAM_BYTES = 0x80000,
	STRTAB = RAM + 0x1000, SIDS_LG2 = 3, CMDQ = RAM + 0x2000, EVENTQ = RAM + 0x3000, CDS = RAM + 0x4000, L1CDS = RAM + 0x5000,
	TABLES = RAM + 0x10000, PAGES = RAM + 0x70000,
	SID = 3, N_SPOTS = 64, N_ROUNDS = 2000, N_EVENTS = 0x14,
};

static const u64 far = (u64)1 << 32; /* what stage 2 adds, when it is behind stage 1 */

static struct {
	int fd;
	u8 *ram, *before;
	struct ui_mem *mem;
	struct ui_smmuv3 *smmu;
	struct ui_smmuv3_stream *stream;
	u32 cmd_prod, idr[6];
	/* Of the round: where words lie that matter, and where the next table goes. */
	u64 spots[N_SPOTS], free;
	unsigned n_spots;
	u64 seed;
	unsigned n_events[N_EVENTS]; /* by type; 0: none */
} rig;

static u64 rnd(u64 n)
{
	rig.seed ^= rig.seed << 13;
	rig.seed ^= rig.seed >> 7;
	rig.seed ^= rig.seed << 17;
	return (rig.seed >> 11) % n;
}

static u64 *at(u64 pa)
{
	assert_true(pa >= RAM && pa < RAM + (u64)RAM_BYTES);
	return (u64 *)(void *)(rig.ram + (pa - RAM));
}

static void spot(u64 pa)
{
	rig.spots[rig.n_spots++ % N_SPOTS] = pa;
}

static void wr(u64 offset, u64 val, unsigned n_bytes)
{
	assert_true(ui_smmuv3_write(rig.smmu, offset, n_bytes, val));
}

static void command(u64 w0, u64 w1)
{
	u64 *entry = at(CMDQ + (rig.cmd_prod & 15) * 16);

	entry[0] = w0;
	entry[1] = w1;
	rig.cmd_prod = (rig.cmd_prod + 1) & 31;
	wr(UI_SMMUV3_REG_CMDQ_PROD, rig.cmd_prod, 4);
}

static int setup(void **state)
{
	struct ui_smmuv3_cfg cfg;
	u64 val;

	rig.fd = memfd_create("ram", 0);
	assert_int_equal(ftruncate(rig.fd, RAM_BYTES), 0);
	rig.ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, rig.fd, 0);
	rig.before = malloc(RAM_BYTES);
	assert_true(rig.ram != MAP_FAILED && rig.before);
	rig.mem = ui_mem_create();
	assert_int_equal(ui_mem_add_ram(rig.mem, RAM, RAM_BYTES, rig.ram, true), 0);
	ui_smmuv3_cfg_init(&cfg, SIDS_LG2);
	assert_int_equal(ui_smmuv3_create(rig.mem, &cfg, &rig.smmu), 0);
	for (unsigned i = 0; i < 6; i++) {
		assert_true(ui_smmuv3_read(rig.smmu, i * 4, 4, &val));
		rig.idr[i] = (u32)val;
	}
	wr(UI_SMMUV3_REG_STRTAB_BASE, STRTAB, 8);
	wr(UI_SMMUV3_REG_STRTAB_BASE_CFG, SIDS_LG2, 4);
	wr(UI_SMMUV3_REG_CMDQ_BASE, CMDQ | 4, 8);
	wr(UI_SMMUV3_REG_EVENTQ_BASE, EVENTQ | 3, 8);
	wr(UI_SMMUV3_REG_CR2, 2, 4); /* RECINVSID */
	wr(UI_SMMUV3_REG_CR0, 0xd, 4);
	rig.stream = ui_smmuv3_stream_open(rig.smmu, SID);
	assert_non_null(rig.stream);
	return 0;
}

static int teardown(void **state)
{
	ui_smmuv3_stream_close(rig.stream);
	ui_smmuv3_destroy(rig.smmu);
	ui_mem_destroy(rig.mem);
	munmap(rig.ram, RAM_BYTES);
	free(rig.before);
	close(rig.fd);
	return 0;
}

/* ---- Tables ---- */

struct table {
	u64 root, offset; /* @offset: what its pointers add to where tables lie */
	unsigned granule, top; /* top: Arm's level */
	u64 table_bits;
};

static u64 take(u64 n_bytes)
{
	u64 pa = ui_align_up(rig.free, n_bytes);

	rig.free = pa + n_bytes;
	return pa;
}

/* @entry for @va at Arm's @level. */
static void map(const struct table *t, u64 va, u64 entry, unsigned level)
{
	u64 table = t->root, *slot;

	for (unsigned l = t->top;; l++) {
		unsigned low = t->granule + (3 - l) * (t->granule - 3);
		u64 index = (va & ui_mask_lg2(48)) >> low;

		slot = at(table + (index & ui_mask_lg2(t->granule - 3)) * 8);
		spot(table + (index & ui_mask_lg2(t->granule - 3)) * 8);
		if (l == level)
			break;
		if (!*slot)
			*slot = (take(UI_BIT(t->granule)) + t->offset) | 3 | t->table_bits;
		table = (*slot & ui_mask_range(47, t->granule)) - t->offset;
	}
	*slot = entry;
}

/* Stage 2 of 48 bits in 4K tables: RAM at @far, and the page at @ipa. */
static void make_stage_2(u64 *ste, u64 ipa)
{
	struct table t = { .root = take(4096), .granule = 12 };
	u64 attrs = 3 | (u64)rnd(2) << 10 | UI_BIT(10) * (rnd(4) != 0) | (u64)3 << 6 | (u64)0xf << 2, dbm = rnd(3) ? 0 : UI_BIT(51) | UI_BIT(7);

	for (u64 pa = RAM; pa < RAM + (u64)RAM_BYTES; pa += 4096)
		map(&t, pa + far, pa | (attrs ^ dbm), 3);
	rig.n_spots = 0;
	map(&t, ipa, (PAGES + rnd(8) * 4096) | (attrs ^ (rnd(2) ? dbm : 0)), 3);
	map(&t, RAM + far, RAM | (attrs ^ dbm), 3);
	ui_hw_set(ste, UI_SMMUV3_STE_S2VMID, 7);
	ui_hw_set(ste, UI_SMMUV3_STE_S2T0SZ, 16);
	ui_hw_set(ste, UI_SMMUV3_STE_S2SL0, 2);
	ui_hw_set(ste, UI_SMMUV3_STE_S2PS, UI_SMMUV3_PS_48);
	ui_hw_set(ste, UI_SMMUV3_STE_S2AA64, 1);
	ui_hw_set(ste, UI_SMMUV3_STE_S2R, rnd(8) != 0);
	ui_hw_set(ste, UI_SMMUV3_STE_S2PTW, rnd(2));
	ui_hw_set(ste, UI_SMMUV3_STE_S2HA, rnd(3) != 0);
	ui_hw_set(ste, UI_SMMUV3_STE_S2HD, rnd(2));
	ui_hw_set(ste, UI_SMMUV3_STE_S2AFFD, !rnd(4));
	ui_hw_set_addr(ste, UI_SMMUV3_STE_S2TTB, t.root);
}

static void make_cd(u64 pa, u64 va, u64 to, u64 offset)
{
	static const u8 granules[] = { 12, 14, 12, 16 };
	unsigned granule = granules[offset ? 0 : rnd(4)], tg0 = granule == 12 ? 0 : granule == 16 ? 1 : 2;
	u64 *cd = at(pa), leaf = 3 | UI_BIT(2) | (u64)rnd(4) << 6 | (u64)3 << 8 | UI_BIT(10) * (rnd(4) != 0) | (u64)rnd(4) << 53;
	struct table t = { .granule = granule, .offset = offset, .top = granule == 16 ? 1 : 0, .table_bits = rnd(4) ? 0 : (u64)rnd(16) << 59 };

	t.root = take(UI_BIT(granule));
	map(&t, va, ui_align_down(to, UI_BIT(granule)) | leaf | (rnd(3) ? 0 : UI_BIT(51)), 3);
	ui_hw_set(cd, UI_SMMUV3_CD_T0SZ, 16);
	ui_hw_set(cd, UI_SMMUV3_CD_TG0, tg0);
	ui_hw_set(cd, UI_SMMUV3_CD_EPD1, 1);
	ui_hw_set(cd, UI_SMMUV3_CD_IPS, UI_SMMUV3_PS_48);
	ui_hw_set(cd, UI_SMMUV3_CD_AA64, 1);
	ui_hw_set(cd, UI_SMMUV3_CD_R, rnd(8) != 0);
	ui_hw_set(cd, UI_SMMUV3_CD_A, 1);
	ui_hw_set(cd, UI_SMMUV3_CD_HA, rnd(3) != 0);
	ui_hw_set(cd, UI_SMMUV3_CD_HD, rnd(2));
	ui_hw_set(cd, UI_SMMUV3_CD_PAN, !rnd(4));
	ui_hw_set(cd, UI_SMMUV3_CD_WXN, !rnd(4));
	ui_hw_set(cd, UI_SMMUV3_CD_TBI0, rnd(2));
	ui_hw_set_addr(cd, UI_SMMUV3_CD_TTB0, t.root + offset);
	ui_hw_set(cd, UI_SMMUV3_CD_V, 1);
	for (unsigned i = 0; i < 4; i++)
		spot(pa + i * 8);
}

/* A stream that would translate @what, and then perhaps does not. */
static void make_round(struct uiommu_walk *what)
{
	unsigned config = rnd(16) ? 5 + (unsigned)rnd(3) : (unsigned)rnd(8), n_cds_lg2 = (unsigned)rnd(3) * 4;
	u64 *ste = at(STRTAB + SID * 64), va = rnd(UI_BIT(48)) & ~(u64)7, ipa = config == 7 ? 0x5000 : PAGES + rnd(8) * 4096;
	u32 ssid = (u32)rnd(UI_BIT(ui_max(n_cds_lg2, 1) - 1));
	bool two_levels = n_cds_lg2 > 6;

	memset(rig.ram, 0, RAM_BYTES);
	rig.free = TABLES;
	rig.n_spots = 0;
	if (config & 2)
		make_stage_2(ste, config == 7 ? ipa : va);
	ui_hw_set(ste, UI_SMMUV3_STE_Config, config);
	ui_hw_set(ste, UI_SMMUV3_STE_S1CDMax, config & 1 ? n_cds_lg2 : 0);
	ui_hw_set(ste, UI_SMMUV3_STE_S1DSS, rnd(3));
	ui_hw_set(ste, UI_SMMUV3_STE_S1Fmt, two_levels);
	ui_hw_set_addr(ste, UI_SMMUV3_STE_S1ContextPtr, (two_levels ? L1CDS : CDS) + (config == 7 ? far : 0));
	ui_hw_set(ste, UI_SMMUV3_STE_V, 1);
	for (unsigned i = 0; i < 8; i++)
		spot(STRTAB + SID * 64 + i % 4 * 8);
	if (config & 1) {
		*at(L1CDS + (ssid >> 6) * 8) = (CDS + (config == 7 ? far : 0)) | 1;
		spot(L1CDS + (ssid >> 6) * 8);
		make_cd(CDS + (u64)(two_levels ? ssid & 63 : ssid) * 64, va, ipa, config == 7 ? far : 0);
	}
	*what = (struct uiommu_walk){
		.flags = UIOMMU_DECODE_JSON, .strtab_base = STRTAB, .strtab_cfg = SIDS_LG2, .sid = SID, .has_ssid = config & 1 && n_cds_lg2,
		.ssid = ssid, .iova = va | rnd(512) << 3, .access = (enum uiommu_walk_access)rnd(3), .priv = !rnd(2), .has_idr = 1,
	};
	memcpy(what->idr, rig.idr, sizeof(rig.idr));
	if (!rnd(8))
		what->has_ssid = !what->has_ssid;
	if (!rnd(8))
		what->iova ^= UI_BIT(rnd(64));
	for (u64 n = rnd(2) ? rnd(4) : 0; n; n--)
		*at(rig.spots[rnd(ui_min(rig.n_spots, N_SPOTS))]) ^= UI_BIT(rnd(64));
}

/* ---- What both say ---- */

static struct json_object *member(struct json_object *obj, const char *key)
{
	struct json_object *val = NULL;

	json_object_object_get_ex(obj, key, &val);
	return val;
}

static u64 hex(struct json_object *val)
{
	return strtoull(json_object_get_string(val), NULL, 16);
}

/* Distinct words that the walk says would be marked: each was, by the access. */
static unsigned marks(struct json_object *val, u64 *seen, unsigned n)
{
	u64 pa;

	for (size_t i = 0; json_object_is_type(val, json_type_array) && i < json_object_array_length(val); i++)
		n = marks(json_object_array_get_idx(val, i), seen, n);
	if (!json_object_is_type(val, json_type_object))
		return n;
	for (struct json_object_iterator i = json_object_iter_begin(val), end = json_object_iter_end(val); !json_object_iter_equal(&i, &end);
	     json_object_iter_next(&i))
		n = marks(json_object_iter_peek_value(&i), seen, n);
	if (!member(val, "would_set"))
		return n;
	pa = hex(member(val, "address"));
	assert_true(memcmp(at(pa), rig.before + (pa - RAM), 8) != 0);
	for (unsigned i = 0; i < n; i++)
		if (seen[i] == pa)
			return n;
	assert_true(n < N_SPOTS);
	seen[n] = pa;
	return n + 1;
}

/* Words outside the queues that the access has changed. */
static unsigned changed(void)
{
	unsigned n = 0;

	for (u64 i = 0; i < RAM_BYTES; i += 8) {
		if (i < CMDQ - RAM || i >= CDS - RAM)
			n += memcmp(rig.ram + i, rig.before + i, 8) != 0;
	}
	return n;
}

static struct json_object *walk(const struct uiommu_walk *what, int *refused)
{
	char path[64], err[256], *text;
	struct uiommu_dump *dump;
	struct json_object *doc;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", rig.fd);
	dump = uiommu_dump_open_raw(path, RAM, err, sizeof(err));
	assert_non_null(dump);
	text = uiommu_walk(dump, what, refused, err, sizeof(err));
	assert_non_null(text);
	uiommu_dump_close(dump);
	doc = json_tokener_parse(text);
	assert_non_null(doc);
	free(text);
	return doc;
}

/* The event that the access left, or false. */
static bool event(u64 evt[4])
{
	u64 prod, cons;

	assert_true(ui_smmuv3_read(rig.smmu, UI_SMMUV3_REG_EVENTQ_PROD, 4, &prod));
	assert_true(ui_smmuv3_read(rig.smmu, UI_SMMUV3_REG_EVENTQ_CONS, 4, &cons));
	if ((prod & 15) == (cons & 15))
		return false;
	memcpy(evt, at(EVENTQ + (cons & 7) * 32), 32);
	wr(UI_SMMUV3_REG_EVENTQ_CONS, (cons & ~(u64)15) | ((cons + 1) & 15), 4);
	return true;
}

/* True: it reached memory. */
static bool agree(const struct uiommu_walk *what, unsigned round)
{
	static const unsigned rights[] = { UI_PROT_READ, UI_PROT_WRITE, UI_PROT_EXEC };
	const struct ui_dma_addr where = { .iova = what->iova, .pasid = what->ssid, .has_pasid = what->has_ssid, .priv = what->priv };
	struct ui_dma *dma = ui_smmuv3_stream_dma(rig.stream);
	u64 evt[4] = { 0 }, said[4] = { 0 }, seen[N_SPOTS];
	enum ui_dma_status status;
	struct ui_mem_span span;
	int refused;
	struct json_object *doc, *result, *words;
	bool there, recorded;

	/* CFGI_ALL, TLBI_NSNH_ALL. */
	command(4, 31);
	command(0x30, 0);
	memcpy(rig.before, rig.ram, RAM_BYTES);
	doc = walk(what, &refused);
	result = member(doc, "result");
	assert_memory_equal(rig.before, rig.ram, RAM_BYTES);
	status = ui_dma_begin(dma, &where, rights[what->access], 1, &span, NULL);
	if (status == UI_DMA_OK)
		ui_dma_end(dma);
	there = !refused && json_object_get_boolean(member(result, "in_dump"));
	recorded = refused && json_object_get_boolean(member(result, "recorded"));
	words = member(member(result, "event"), "words");
	for (unsigned i = 0; recorded && i < 4; i++)
		said[i] = hex(json_object_array_get_idx(words, i));
	if (status != (there ? UI_DMA_OK : refused ? status : UI_DMA_ABORT) || (refused && status == UI_DMA_OK) || event(evt) != recorded ||
	    memcmp(evt, said, sizeof(evt)) || (there && hex(member(result, "address")) != RAM + (u64)(span.host - rig.ram)) ||
	    marks(doc, seen, 0) != changed())
		fail_msg("round %u: status %d, event %lx %lx %lx %lx, %u words changed\n%s", round, (int)status, (long)evt[0], (long)evt[1],
			 (long)evt[2], (long)evt[3], changed(), json_object_to_json_string_ext(doc, JSON_C_TO_STRING_PRETTY));
	json_object_put(doc);
	rig.n_events[evt[0] & 0xff]++;
	return status == UI_DMA_OK;
}

static void walk_says_what_the_device_half_does(void **state)
{
	static const unsigned types[] = {
		UI_SMMUV3_C_BAD_STE, UI_SMMUV3_F_STREAM_DISABLED, UI_SMMUV3_C_BAD_SUBSTREAMID, UI_SMMUV3_F_CD_FETCH, UI_SMMUV3_C_BAD_CD,
		UI_SMMUV3_F_WALK_EABT, UI_SMMUV3_F_TRANSLATION, UI_SMMUV3_F_ADDR_SIZE, UI_SMMUV3_F_ACCESS, UI_SMMUV3_F_PERMISSION,
	};
	unsigned n_ok = 0;
	const char *seed = getenv("SEED");

	rig.seed = seed ? strtoull(seed, NULL, 0) : (u64)getpid() * 0x9e3779b97f4a7c15 + 1;
	print_message("seed %#llx\n", (unsigned long long)rig.seed);
	for (unsigned i = 0; i < N_ROUNDS; i++) {
		struct uiommu_walk what;

		make_round(&what);
		n_ok += agree(&what, i);
	}
	print_message("%u of %d accesses reached memory\n", n_ok, N_ROUNDS);
	assert_in_range(n_ok, N_ROUNDS / 5, N_ROUNDS * 4 / 5);
	for (unsigned i = 0; i < ui_array_size(types); i++) {
		print_message("event %#x: %u\n", types[i], rig.n_events[types[i]]);
		assert_true(rig.n_events[types[i]]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(walk_says_what_the_device_half_does, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
