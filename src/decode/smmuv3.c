/* SPDX-License-Identifier: MIT */
/* SMMUv3's tables and queues in a dump, read as the hardware reads them. */
#include <uiommu/decode.h>

#include "decode/dump.h"
#include "decode/pt.h"
#include "decode/tree.h"
#include "hw/smmuv3.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * A dump may be made so that every descriptor leads to the same entries: what is read and what is shown have an end that no real
 * machine comes near.
 */
enum { MAX_READ = 1 << 23, MAX_SHOWN = 1 << 16 };

struct job {
	struct uiommu_dump *dump;
	const struct uiommu_decode *what;
	struct ui_smmuv3_feat feat;
	struct ui_tree tree;
	u64 n_read, n_shown;
};

struct table;

/* Shows entries @first to @last, which are equal; the first lies at @addr. */
typedef void show_fn(struct job *job, struct table *table, u64 first, u64 last, u64 addr, const u64 *words);

/* A table of STEs or CDs that is being read: where its entries go, and what there was beside those that are shown. */
struct table {
	struct json_object *obj, *entries;
	show_fn *show;
	u32 valid; /* the field V */
	const u64 *ste; /* of a CD table */
	u64 n_here, n_not_valid, n_absent;
	/* Equal entries so far, if there are any. */
	bool any;
	u64 first, last, addr, words[UI_SMMUV3_STE_WORDS];
};

enum { ENTRY_WORDS = UI_SMMUV3_STE_WORDS, ENTRY_BYTES = UI_SMMUV3_STE_BYTES };
_Static_assert((int)UI_SMMUV3_CD_BYTES == (int)ENTRY_BYTES, "STEs and CDs are read by the same loop");

static void finish(struct job *job, const struct table *table)
{
	ui_tree_number(&job->tree, table->obj, "not_valid", table->n_not_valid);
	ui_tree_number(&job->tree, table->obj, "not_in_dump", table->n_absent);
}

/* Is there no point in going on? */
static bool stop(const struct job *job)
{
	return job->tree.failed || job->n_read > MAX_READ || job->n_shown > MAX_SHOWN;
}

/* Of @n things of @n_bytes from @addr on, how many the dump lacks before the first that it has something of. At least 1. */
static u64 absent_run(const struct job *job, u64 addr, u64 n, u64 n_bytes)
{
	u64 next;

	if (!ui_dump_next(job->dump, addr, &next))
		return n;
	return ui_max(1, ui_min(n, (next - addr) / n_bytes));
}

static void flush(struct job *job, struct table *table)
{
	if (table->any)
		table->show(job, table, table->first, table->last, table->addr, table->words);
	job->n_shown += table->any;
	table->any = false;
}

static void put(struct job *job, struct table *table, u64 index, u64 addr, const u64 *words)
{
	if (table->any && !memcmp(table->words, words, sizeof(table->words))) {
		table->last = index;
		return;
	}
	flush(job, table);
	table->any = true;
	table->first = table->last = index;
	table->addr = addr;
	memcpy(table->words, words, sizeof(table->words));
}

/* Entries @first to @first + @n - 1, which lie one after the other from @addr on. */
static void run(struct job *job, struct table *table, u64 addr, u64 first, u64 n)
{
	u64 words[ENTRY_WORDS];

	for (u64 i = 0; i < n && !stop(job); job->n_read++) {
		u64 at = addr + i * ENTRY_BYTES;

		if (!ui_dump_read(job->dump, at, words, ENTRY_WORDS)) {
			u64 skip = absent_run(job, at, n - i, ENTRY_BYTES);

			flush(job, table);
			table->n_absent += skip;
			i += skip;
			continue;
		}
		table->n_here++;
		if (ui_hw_get(words, table->valid) || (job->what->flags & UIOMMU_DECODE_ALL)) {
			put(job, table, first + i, at, words);
		} else {
			flush(job, table);
			table->n_not_valid++;
		}
		i++;
	}
	flush(job, table);
}

/* A descriptor of the first level into the list of them. */
static void show_level1(struct job *job, struct table *table, const struct ui_hw_struct *s, const char *id, u64 first, u64 addr, u64 word,
			const char *bad)
{
	struct json_object *list, *obj;

	if (!json_object_object_get_ex(table->obj, "level1", &list))
		list = ui_tree_add(&job->tree, table->obj, "level1", json_object_new_array());
	obj = ui_tree_append(&job->tree, list, json_object_new_object());
	ui_tree_text(&job->tree, obj, "title", "%s 0x%" PRIx64 " on, %s at 0x%" PRIx64, id, first, s->name, addr);
	ui_tree_number(&job->tree, obj, id, first);
	ui_tree_struct(&job->tree, obj, s, addr, &word, 1);
	if (bad)
		ui_tree_text(&job->tree, obj, "illegal", "%s", bad);
	job->n_shown++;
}

/* Begins the object of entries @first to @last. */
static struct json_object *show_range(struct job *job, struct table *table, const char *id, u64 first, u64 last, const char *rest)
{
	struct json_object *obj = ui_tree_append(&job->tree, table->entries, json_object_new_object());

	if (first == last)
		ui_tree_text(&job->tree, obj, "title", "%s 0x%" PRIx64 "%s", id, first, rest);
	else
		ui_tree_text(&job->tree, obj, "title", "%ss 0x%" PRIx64 " to 0x%" PRIx64 "%s", id, first, last, rest);
	ui_tree_number(&job->tree, obj, id, first);
	ui_tree_number(&job->tree, obj, "last", last);
	return obj;
}

static void cd_object(struct job *job, struct json_object *obj, u64 addr, const u64 *cd, const u64 *ste)
{
	const char *bad = ui_smmuv3_cd_illegal(cd, ste, &job->feat, false);

	ui_tree_struct(&job->tree, obj, &ui_smmuv3_cd, addr, cd, UI_SMMUV3_CD_WORDS);
	if (bad)
		ui_tree_text(&job->tree, obj, "illegal", "%s", bad);
}

static void show_cds(struct job *job, struct table *table, u64 first, u64 last, u64 addr, const u64 *cd)
{
	char rest[64];

	snprintf(rest, sizeof(rest), ", CD at 0x%" PRIx64 "%s", addr, ui_hw_get(cd, UI_SMMUV3_CD_V) ? "" : ": not valid");
	cd_object(job, show_range(job, table, "SubstreamID", first, last, rest), addr, cd, table->ste);
}

static void cd_two_levels(struct job *job, struct table *table, unsigned leaf_lg2, unsigned table_lg2)
{
	u64 n = UI_BIT(table_lg2), leaf = ui_min(n, UI_BIT(leaf_lg2)), word;

	for (u64 first = 0; first < n && !stop(job); first += leaf, job->n_read++) {
		u64 addr = ui_smmuv3_cd_first_addr(table->ste, &job->feat, (u32)first);

		if (!ui_dump_read(job->dump, addr, &word, 1)) {
			table->n_absent += leaf;
			continue;
		}
		table->n_here++;
		if (!ui_hw_get(&word, UI_SMMUV3_L1CD_V))
			table->n_not_valid += leaf;
		if (word || (job->what->flags & UIOMMU_DECODE_ALL))
			show_level1(job, table, &ui_smmuv3_l1cd, "SubstreamID", first, addr, word,
				    ui_smmuv3_l1cd_illegal(&word, table->ste, &job->feat));
		if (ui_hw_get(&word, UI_SMMUV3_L1CD_V))
			run(job, table, ui_smmuv3_cd_second_addr(&word, leaf_lg2, 0), first, leaf);
	}
}

/* The CDs that @ste points at. Returns whether the dump has any of them. */
static bool cd_table(struct job *job, struct json_object *obj, const u64 *ste)
{
	unsigned leaf_lg2 = ui_smmuv3_cd_leaf_lg2(ste, &job->feat), table_lg2 = ui_smmuv3_cd_table_lg2(ste, &job->feat);
	struct table table = { .obj = obj, .show = show_cds, .valid = UI_SMMUV3_CD_V, .ste = ste };
	u64 addr = ui_smmuv3_cd_first_addr(ste, &job->feat, 0);

	ui_tree_text(&job->tree, obj, "title", "CD table at 0x%" PRIx64 ": %s, %" PRIu64 " SubstreamID%s", addr,
		     leaf_lg2 ? leaf_lg2 == 6 ? "two levels, 4K leaves" : "two levels, 64K leaves" : "linear", UI_BIT(table_lg2),
		     table_lg2 ? "s" : "");
	ui_tree_add(&job->tree, obj, "address", ui_tree_hex(addr));
	table.entries = ui_tree_add(&job->tree, obj, "entries", json_object_new_array());
	if (leaf_lg2)
		cd_two_levels(job, &table, leaf_lg2, table_lg2);
	else
		run(job, &table, addr, 0, UI_BIT(table_lg2));
	finish(job, &table);
	return table.n_here;
}

/* Of its CD table, where that lies in this address space: under stage 2 the pointer is an IPA. */
static void ste_cds(struct job *job, struct json_object *obj, const u64 *ste, const char *bad)
{
	u64 config = ui_hw_get(ste, UI_SMMUV3_STE_Config);

	if (bad || !(job->what->flags & UIOMMU_DECODE_CDS))
		return;
	if (config == UI_SMMUV3_CONFIG_S1)
		cd_table(job, ui_tree_add(&job->tree, obj, "cds", json_object_new_object()), ste);
	else if (config == UI_SMMUV3_CONFIG_NESTED)
		ui_tree_text(&job->tree, ui_tree_add(&job->tree, obj, "cds", json_object_new_object()), "title",
			     "CD table at an IPA: 0x%" PRIx64, ui_hw_get_addr(ste, UI_SMMUV3_STE_S1ContextPtr));
}

static const char *config_name(const u64 *ste)
{
	static const u32 config = UI_SMMUV3_STE_Config;

	if (!ui_hw_get(ste, UI_SMMUV3_STE_V))
		return "not valid";
	for (size_t i = 0; i < ui_smmuv3_ste.n_fields; i++) {
		if (ui_smmuv3_ste.fields[i].field == config)
			return ui_hw_meaning(&ui_smmuv3_ste.fields[i], ui_hw_get(ste, config));
	}
	return "";
}

static void ste_object(struct job *job, struct json_object *obj, u64 addr, const u64 *ste)
{
	const char *bad = ui_smmuv3_ste_illegal(ste, &job->feat);

	ui_tree_struct(&job->tree, obj, &ui_smmuv3_ste, addr, ste, UI_SMMUV3_STE_WORDS);
	if (bad)
		ui_tree_text(&job->tree, obj, "illegal", "%s", bad);
	ste_cds(job, obj, ste, bad);
}

static void show_stes(struct job *job, struct table *table, u64 first, u64 last, u64 addr, const u64 *ste)
{
	char rest[128];

	snprintf(rest, sizeof(rest), ", STE at 0x%" PRIx64 ": %s", addr, config_name(ste));
	ste_object(job, show_range(job, table, "StreamID", first, last, rest), addr, ste);
}

static void ste_two_levels(struct job *job, struct table *table, u32 cfg, unsigned split, unsigned lg2)
{
	u64 n = UI_BIT(lg2), leaf = ui_min(n, UI_BIT(split)), word, addr;

	for (u64 first = 0; first < n && !stop(job); job->n_read++) {
		u64 at = ui_smmuv3_ste_first_addr(job->what->addr, cfg, &job->feat, (u32)first), here;
		int span;

		if (!ui_dump_read(job->dump, at, &word, 1)) {
			u64 skip = absent_run(job, at, (n - first) / leaf, UI_SMMUV3_L1STD_BYTES) * leaf;

			table->n_absent += skip;
			first += skip;
			continue;
		}
		table->n_here++;
		span = ui_smmuv3_l1std_lg2(&word, split);
		here = span < 0 ? 0 : ui_min(leaf, UI_BIT(span));
		table->n_not_valid += leaf - here;
		if (word || (job->what->flags & UIOMMU_DECODE_ALL))
			show_level1(job, table, &ui_smmuv3_l1std, "StreamID", first, at, word, span < 0 && word ? "Span" : NULL);
		if (here && ui_smmuv3_ste_second_addr(&word, split, 0, &addr))
			run(job, table, addr, first, here);
		first += leaf;
	}
}

static const char *stream_table(struct job *job)
{
	const struct uiommu_decode *what = job->what;
	u32 cfg = what->log2size | what->split << 6 | (what->split ? UI_SMMUV3_FMT_2LVL << 16 : 0);
	struct table table = { .obj = job->tree.root, .show = show_stes, .valid = UI_SMMUV3_STE_V };
	unsigned split, lg2;
	u64 addr;

	job->feat.st_level = UI_SMMUV3_ST_LEVEL_2LVL;
	split = ui_smmuv3_strtab_split(cfg, &job->feat);
	lg2 = ui_smmuv3_strtab_lg2(cfg, &job->feat);
	addr = ui_smmuv3_ste_first_addr(what->addr, cfg, &job->feat, 0);
	ui_tree_text(&job->tree, table.obj, "title", "stream table at 0x%" PRIx64 ": %s, %" PRIu64 " StreamID%s", addr,
		     split ? "two levels" : "linear", UI_BIT(lg2), lg2 ? "s" : "");
	ui_tree_add(&job->tree, table.obj, "address", ui_tree_hex(addr));
	ui_tree_number(&job->tree, table.obj, "log2size", lg2);
	ui_tree_number(&job->tree, table.obj, "split", split);
	table.entries = ui_tree_add(&job->tree, table.obj, "entries", json_object_new_array());
	if (split)
		ste_two_levels(job, &table, cfg, split, lg2);
	else
		run(job, &table, addr, 0, UI_BIT(lg2));
	finish(job, &table);
	return table.n_here ? NULL : "nothing of the stream table is in the dump";
}

static const char *one_ste(struct job *job)
{
	u64 ste[UI_SMMUV3_STE_WORDS], addr = ui_align_down(job->what->addr, UI_SMMUV3_STE_BYTES);

	if (!ui_dump_read(job->dump, addr, ste, UI_SMMUV3_STE_WORDS))
		return "the STE is not in the dump";
	ui_tree_text(&job->tree, job->tree.root, "title", "STE at 0x%" PRIx64 ": %s", addr, config_name(ste));
	ste_object(job, job->tree.root, addr, ste);
	return NULL;
}

/* Where nothing is known of the STE: one of stage 1 alone, for EL1. */
static void any_ste(const struct job *job, u64 *ste)
{
	memset(ste, 0, UI_SMMUV3_STE_BYTES);
	ui_hw_set(ste, UI_SMMUV3_STE_V, 1);
	ui_hw_set(ste, UI_SMMUV3_STE_Config, UI_SMMUV3_CONFIG_S1);
	ui_hw_set(ste, UI_SMMUV3_STE_S1Fmt, job->what->s1fmt);
	ui_hw_set(ste, UI_SMMUV3_STE_S1CDMax, job->what->s1cdmax);
	ui_hw_set_addr(ste, UI_SMMUV3_STE_S1ContextPtr, job->what->addr);
}

static const char *all_cds(struct job *job)
{
	u64 ste[UI_SMMUV3_STE_WORDS];

	any_ste(job, ste);
	job->feat.ssidsize = (u16)ui_max(job->feat.ssidsize, job->what->s1cdmax);
	return cd_table(job, job->tree.root, ste) ? NULL : "nothing of the CD table is in the dump";
}

static const char *one_cd(struct job *job)
{
	u64 cd[UI_SMMUV3_CD_WORDS], ste[UI_SMMUV3_STE_WORDS], addr = ui_align_down(job->what->addr, UI_SMMUV3_CD_BYTES);

	if (!ui_dump_read(job->dump, addr, cd, UI_SMMUV3_CD_WORDS))
		return "the CD is not in the dump";
	any_ste(job, ste);
	ui_tree_text(&job->tree, job->tree.root, "title", "CD at 0x%" PRIx64 "%s", addr, ui_hw_get(cd, UI_SMMUV3_CD_V) ? "" : ": not valid");
	cd_object(job, job->tree.root, addr, cd, ste);
	return NULL;
}

/* What makes one queue another. */
static const struct queue {
	const char *name;
	unsigned n_words;
} queues[] = {
	[UIOMMU_DECODE_CMDQ] = { "command queue", UI_SMMUV3_CMD_WORDS },
	[UIOMMU_DECODE_EVENTQ] = { "event queue", UI_SMMUV3_EVT_WORDS },
	[UIOMMU_DECODE_PRIQ] = { "PRI queue", UI_SMMUV3_PRI_WORDS },
};

static void queue_entry(struct job *job, struct json_object *entries, u64 index, u64 addr, const u64 *words)
{
	struct json_object *obj = ui_tree_append(&job->tree, entries, json_object_new_object());
	const struct ui_hw_struct *s = &ui_smmuv3_pri;
	const char *bad = NULL;

	if (job->what->what == UIOMMU_DECODE_CMDQ) {
		s = ui_smmuv3_command(words);
		bad = ui_smmuv3_cmd_illegal(words, &job->feat);
	} else if (job->what->what == UIOMMU_DECODE_EVENTQ) {
		s = ui_smmuv3_event(words);
	}
	ui_tree_text(&job->tree, obj, "title", "%" PRIu64 ": %s", index, s ? s->name : "reserved");
	ui_tree_number(&job->tree, obj, "index", index);
	ui_tree_text(&job->tree, obj, "name", "%s", s ? s->name : "reserved");
	ui_tree_struct(&job->tree, obj, s, addr, words, queues[job->what->what].n_words);
	if (bad)
		ui_tree_text(&job->tree, obj, "illegal", "%s", bad);
	job->n_shown++;
}

/* 3.5.1: PROD and CONS are indices with a wrap bit above them. */
static const char *queue_range(const struct uiommu_decode *what, u64 *first, u64 *n)
{
	u64 size = UI_BIT(what->log2size);

	*first = 0;
	*n = size;
	if (!what->has_range)
		return NULL;
	*first = what->cons & (size - 1);
	*n = (what->prod - what->cons) & (2 * size - 1);
	return *n > size ? "prod and cons are more than a queue apart" : NULL;
}

static bool all_zero(const u64 *words, unsigned n_words)
{
	u64 any = 0;

	for (unsigned i = 0; i < n_words; i++)
		any |= words[i];
	return !any;
}

static const char *whole_queue(struct job *job)
{
	const struct queue *queue = &queues[job->what->what];
	u64 size = UI_BIT(job->what->log2size), n_bytes = queue->n_words * sizeof(u64), first, n, words[UI_SMMUV3_EVT_WORDS];
	/* 6.3.26 and its likes: aligned to its size, and to 32 bytes. */
	u64 base = ui_align_down(job->what->addr, ui_max(32, size * n_bytes)), n_empty = 0, n_absent = 0;
	const char *wrong = queue_range(job->what, &first, &n);
	struct json_object *root = job->tree.root, *entries;

	if (wrong)
		return wrong;
	ui_tree_text(&job->tree, root, "title", "%s at 0x%" PRIx64 ": %" PRIu64 " of %" PRIu64 " entries", queue->name, base, n, size);
	ui_tree_add(&job->tree, root, "address", ui_tree_hex(base));
	entries = ui_tree_add(&job->tree, root, "entries", json_object_new_array());
	for (u64 i = 0; i < n && !stop(job); i++) {
		u64 index = (first + i) & (size - 1), addr = base + index * n_bytes;

		if (!ui_dump_read(job->dump, addr, words, queue->n_words))
			n_absent++;
		/* Without a range: what was never written is not shown. */
		else if (job->what->has_range || (job->what->flags & UIOMMU_DECODE_ALL) || !all_zero(words, queue->n_words))
			queue_entry(job, entries, index, addr, words);
		else
			n_empty++;
	}
	ui_tree_number(&job->tree, root, "empty", n_empty);
	ui_tree_number(&job->tree, root, "not_in_dump", n_absent);
	return n && n_absent == n ? "nothing of the queue is in the dump" : NULL;
}

static const char *decode(struct job *job)
{
	switch (job->what->what) {
	case UIOMMU_DECODE_STRTAB:
		return stream_table(job);
	case UIOMMU_DECODE_STE:
		return one_ste(job);
	case UIOMMU_DECODE_CDTAB:
		return all_cds(job);
	case UIOMMU_DECODE_CD:
		return one_cd(job);
	case UIOMMU_DECODE_CMDQ:
	case UIOMMU_DECODE_EVENTQ:
	case UIOMMU_DECODE_PRIQ:
		return whole_queue(job);
	case UIOMMU_DECODE_PT:
		return ui_decode_pt(job->dump, job->what, &job->tree);
	}
	return "unknown kind of structure";
}

static const char *check(const struct uiommu_decode *what)
{
	bool queue = what->what == UIOMMU_DECODE_CMDQ || what->what == UIOMMU_DECODE_EVENTQ || what->what == UIOMMU_DECODE_PRIQ;

	if (what->what == UIOMMU_DECODE_STRTAB && what->log2size > 32)
		return "a stream table has at most 2^32 entries";
	if (what->what == UIOMMU_DECODE_STRTAB && what->split && what->split != 6 && what->split != 8 && what->split != 10)
		return "a stream table is split at 6, 8 or 10 bits";
	if (what->what == UIOMMU_DECODE_CDTAB && what->s1fmt > 2)
		return "S1Fmt is 0, 1 or 2";
	if (what->what == UIOMMU_DECODE_CDTAB && what->s1cdmax > 20)
		return "S1CDMax is at most 20";
	if (queue && what->log2size > 19)
		return "a queue has at most 2^19 entries";
	return NULL;
}

char *uiommu_decode(struct uiommu_dump *dump, const struct uiommu_decode *what, char *err, size_t err_bytes)
{
	struct job job = { .dump = dump, .what = what };
	const char *wrong = check(what);
	char *out = NULL;

	if (what->has_idr)
		ui_smmuv3_feat_from_idr(&job.feat, what->idr);
	else
		ui_smmuv3_feat_all(&job.feat);
	job.tree.root = json_object_new_object();
	job.tree.failed = !job.tree.root;
	if (!wrong && !job.tree.failed)
		wrong = decode(&job);
	if (!wrong && !job.tree.failed && stop(&job))
		wrong = "more entries than can be shown: narrow it down";
	if (!wrong && !job.tree.failed)
		out = what->flags & UIOMMU_DECODE_JSON ? ui_tree_print_json(&job.tree) :
							 ui_tree_print_text(&job.tree, what->flags & UIOMMU_DECODE_ALL);
	json_object_put(job.tree.root);
	if (!out)
		snprintf(err, err_bytes, "%s", wrong ? wrong : "out of memory");
	return out;
}
