/* SPDX-License-Identifier: MIT */
/*
 * One access of a device through an SMMUv3's tables in a dump, told step by step. The structures are read by the device half's own
 * reader (models/smmuv3/config.h); the walks are pgtable's, put together here as translate/walk.c does it over live memory.
 */
#include <uiommu/decode.h>

#include "base/bits.h"
#include "decode/dump.h"
#include "decode/entry.h"
#include "decode/tree.h"
#include "models/smmuv3/config.h"
#include "pgtable/arm.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* More than the walks of one access mark, however they meet each other: 13 walks, one leaf each, and retries. */
enum { MAX_MARKS = 64 };

struct walker {
	struct uiommu_dump *dump;
	const struct uiommu_walk *what;
	struct ui_smmuv3_feat feat;
	struct ui_tree tree;
	struct json_object *steps;
	struct ui_smmuv3_config config;
	unsigned access; /* UI_PROT_* */
	/* What the SMMU would have written by now: told, and read back, but not in the dump. */
	struct {
		u64 addr, word;
	} marks[MAX_MARKS];
	unsigned n_marks;
	/* How it ended: an event that is recorded unless @unrecorded says why not. */
	unsigned type, stage;
	u64 evt[UI_SMMUV3_EVT_WORDS];
	struct ui_entry_why why;
	const char *unrecorded;
};

/* ---- Memory ---- */

static bool read_words(struct walker *w, u64 addr, u64 *words, unsigned n_words)
{
	if (!ui_dump_read(w->dump, addr, words, n_words))
		return false;
	for (unsigned i = 0; i < w->n_marks; i++) {
		u64 at = (w->marks[i].addr - addr) / sizeof(u64);

		if (w->marks[i].addr >= addr && at < n_words)
			words[at] = w->marks[i].word;
	}
	return true;
}

static enum ui_walk_status load_word(void *arg, u64 addr, u64 *word)
{
	return read_words(arg, addr, word, 1) ? UI_WALK_OK : UI_WALK_ABORT;
}

static bool mark(struct walker *w, u64 addr, u64 word)
{
	unsigned i = 0;

	while (i < w->n_marks && w->marks[i].addr != addr)
		i++;
	if (i == MAX_MARKS)
		return false;
	w->marks[i].addr = addr;
	w->marks[i].word = word;
	w->n_marks += i == w->n_marks;
	return true;
}

/* ---- Walks ---- */

/* One stage's walk of one address. */
struct stage_walk {
	struct walker *w;
	struct ui_entry_path path;
	const struct ui_stage *over; /* stage 2, which tells where tables are; NULL: there is none */
	struct json_object *entries, *entry; /* the last of them */
	u64 acc, pa;                 /* pa: of the last entry */
	struct ui_walk_look last;
	unsigned level;
	bool again;                  /* the next entry is the last one, read anew */
	u64 failed_pa;               /* UI_WALK_ABORT */
	/* Stage 2 refused an access to a table, at @ipa. */
	bool s2_refused, s2_write;
	u64 ipa;
	struct ui_entry_why s2_why;
};

static enum ui_walk_status walk_stage2(struct walker *w, struct json_object *obj, const char *of, u64 ipa, unsigned access,
				       struct ui_walk *out, struct ui_entry_why *why, u64 *failed_pa);

/* Where the entry at @addr lies, as stage 2 tells. */
static enum ui_walk_status entry_pa(struct stage_walk *sw, const char *of, u64 addr, unsigned access)
{
	struct ui_tree *tree = &sw->w->tree;
	struct ui_walk out = { 0 };
	enum ui_walk_status status;

	sw->pa = addr;
	if (!sw->over)
		return UI_WALK_OK;
	status = walk_stage2(sw->w, ui_tree_add(tree, sw->entry, access & UI_PROT_WRITE ? "steps" : "stage2", json_object_new_object()), of,
			     addr, access | (sw->over->no_device_walks ? UI_PROT_MMIO : 0u), &out, &sw->s2_why, &sw->failed_pa);
	sw->pa = out.oa;
	if (status != UI_WALK_OK) {
		sw->s2_refused = true;
		sw->s2_write = access & UI_PROT_WRITE;
		sw->ipa = addr;
	}
	return status;
}

static const char *kind_of(const struct ui_walk_look *look)
{
	return look->status == UI_WALK_TRANSLATION ? "not valid" : !look->leaf ? "table" : look->level ? "block" : "page";
}

/* "level 3 at 0x40021008: 0x...: 4K page at 0x5000, rw-, AttrIndx=1 AF". @marked: what the walk would set. */
static void title_entry(struct stage_walk *sw, u64 addr, const char *marked)
{
	const struct ui_walk_look *look = &sw->last;
	char head[96], attrs[128], rights[24] = "", size[16] = "", at[32];

	snprintf(at, sizeof(at), sw->over ? "IPA 0x%" PRIx64 : "0x%" PRIx64, addr);
	snprintf(head, sizeof(head), "level %u at %s: 0x%" PRIx64, ui_arm_level(look->level), at, look->entry);
	if (look->status == UI_WALK_TRANSLATION) {
		ui_tree_text(&sw->w->tree, sw->entry, "title", "%s, not valid", head);
		return;
	}
	if (look->leaf) {
		ui_entry_size(look->lg2, size);
		ui_entry_rights(look->prot, rights);
	}
	ui_entry_attrs(sw->path.cfg, look, attrs, sizeof(attrs));
	ui_tree_text(&sw->w->tree, sw->entry, "title", "%s, %s%s%s at 0x%" PRIx64 "%s%s%s%s%s%s", head, size, *size ? " " : "", kind_of(look),
		     look->oa, *rights ? ", " : "", rights, *attrs ? ", " : "", attrs, *marked ? "; would set " : "", marked);
}

static void tell_entry(struct stage_walk *sw, u64 addr)
{
	const struct ui_walk_look *look = &sw->last;
	struct ui_tree *tree = &sw->w->tree;
	char text[128];

	title_entry(sw, addr, "");
	ui_tree_number(tree, sw->entry, "level", ui_arm_level(look->level));
	ui_tree_add(tree, sw->entry, "address", ui_tree_hex(sw->pa));
	if (sw->over)
		ui_tree_add(tree, sw->entry, "ipa", ui_tree_hex(addr));
	ui_tree_add(tree, sw->entry, "entry", ui_tree_hex(look->entry));
	ui_tree_text(tree, sw->entry, "kind", "%s", kind_of(look));
	if (look->status == UI_WALK_TRANSLATION)
		return;
	ui_tree_add(tree, sw->entry, "output", ui_tree_hex(look->oa));
	ui_tree_text(tree, sw->entry, "attributes", "%s", ui_entry_attrs(sw->path.cfg, look, text, sizeof(text)));
	if (look->leaf)
		ui_tree_text(tree, sw->entry, "rights", "%s", ui_entry_rights(look->prot, text));
}

static enum ui_walk_status stage_load(void *arg, u64 addr, u64 *entry)
{
	struct stage_walk *sw = arg;
	struct ui_tree *tree = &sw->w->tree;
	enum ui_walk_status status;

	/* It comes down one level with each entry that it likes. */
	if (sw->path.last && !sw->again)
		sw->level--;
	sw->again = false;
	sw->entry = ui_tree_append(tree, sw->entries, json_object_new_object());
	ui_tree_text(tree, sw->entry, "title", "level %u at %s0x%" PRIx64 ": stage 2 refuses", ui_arm_level(sw->level), sw->over ? "IPA " : "",
		     addr);
	status = entry_pa(sw, "the entry's", addr, UI_PROT_READ);
	if (status != UI_WALK_OK)
		return status;
	if (!read_words(sw->w, sw->pa, entry, 1)) {
		ui_tree_text(tree, sw->entry, "title", "level %u at 0x%" PRIx64 ": not in the dump", ui_arm_level(sw->level), sw->pa);
		sw->failed_pa = sw->pa;
		return UI_WALK_ABORT;
	}
	ui_walk_look(sw->path.cfg, sw->level, *entry, sw->acc, sw->path.access, &sw->last);
	sw->path.last = &sw->last;
	if (sw->last.status == UI_WALK_OK && !sw->last.leaf) {
		sw->acc = sw->last.acc;
		sw->path.tables[sw->level & 3] = *entry;
	}
	tell_entry(sw, addr);
	return UI_WALK_OK;
}

/* Nothing is written, but the rest of the access finds what was. */
static enum ui_walk_status stage_mark(void *arg, u64 addr, u64 expected, u64 desired, bool *swapped)
{
	struct stage_walk *sw = arg;
	u64 changed = expected ^ desired, now;
	bool s2 = sw->path.cfg->format == UI_PT_ARM_S2;
	char text[64];
	enum ui_walk_status status = sw->over ? entry_pa(sw, "the mark's", addr, UI_PROT_READ | UI_PROT_WRITE) : UI_WALK_OK;

	if (status != UI_WALK_OK)
		return status;
	if (!read_words(sw->w, sw->pa, &now, 1) || !mark(sw->w, sw->pa, now == expected ? desired : now)) {
		sw->failed_pa = sw->pa;
		return UI_WALK_ABORT;
	}
	*swapped = now == expected;
	sw->again = !*swapped;
	if (!*swapped)
		return UI_WALK_OK;
	snprintf(text, sizeof(text), "%s%s%s", changed >> 10 & 1 ? "AF" : "", changed >> 10 & 1 && changed & ~UI_BIT(10) ? " and " : "",
		 changed & ~UI_BIT(10) ? s2 ? "S2AP[1] (dirty)" : "AP[2] to 0 (dirty)" : "");
	title_entry(sw, addr, text);
	ui_tree_text(&sw->w->tree, sw->entry, "would_set", "%s", text);
	return UI_WALK_OK;
}

/* Walks; its entries go to @obj. */
static enum ui_walk_status walk_stage(struct stage_walk *sw, struct json_object *obj, u64 addr, struct ui_walk *out,
				      struct ui_entry_why *why)
{
	const struct ui_walk_cfg *cfg = sw->path.cfg;
	const struct ui_walk_mem mem = { .load = stage_load, .cmpxchg = stage_mark, .arg = sw };
	enum ui_walk_status status;

	sw->entries = ui_tree_add(&sw->w->tree, obj, "entries", json_object_new_array());
	sw->level = cfg->top_level;
	sw->acc = ui_walk_look_start(cfg);
	status = ui_walk_table(cfg, &mem, addr, sw->path.access, out);
	if (status == UI_WALK_OK)
		return status;
	if (sw->s2_refused) {
		*why = sw->s2_why;
	} else if (status == UI_WALK_ABORT) {
		why->field = "";
		snprintf(why->text, sizeof(why->text), "the dump holds nothing at 0x%" PRIx64, sw->failed_pa);
	} else {
		ui_entry_why(&sw->path, status, addr, why);
	}
	return status;
}

static unsigned walk_event(enum ui_walk_status status)
{
	return status == UI_WALK_ADDR_SIZE  ? UI_SMMUV3_F_ADDR_SIZE :
	       status == UI_WALK_ACCESS	    ? UI_SMMUV3_F_ACCESS :
	       status == UI_WALK_PERMISSION ? UI_SMMUV3_F_PERMISSION :
	       status == UI_WALK_ABORT	    ? UI_SMMUV3_F_WALK_EABT :
					      UI_SMMUV3_F_TRANSLATION;
}

/* "F_TRANSLATION" */
static const char *event_name(unsigned type)
{
	const u64 evt[UI_SMMUV3_EVT_WORDS] = { type };
	const struct ui_hw_struct *s = ui_smmuv3_event(evt);

	return s ? s->name : "unknown event";
}

/* "stage 2 of IPA 0x5000 (S2TTB 0x40020000, 4K granule, 39 bits): 0x40005000" */
static void title_stage(struct walker *w, struct json_object *obj, const char *what, const char *ttb, const struct ui_walk_cfg *cfg,
			u64 input, enum ui_walk_status status, u64 output)
{
	char end[48], size[16];

	if (status == UI_WALK_OK)
		snprintf(end, sizeof(end), "0x%" PRIx64, output);
	else
		snprintf(end, sizeof(end), "%s", event_name(walk_event(status)));
	ui_tree_text(&w->tree, obj, "title", "%s 0x%" PRIx64 " (%s 0x%" PRIx64 ", %s granule, %u bits): %s", what, input, ttb, cfg->top_pa,
		     ui_entry_size(cfg->granule_lg2, size), cfg->ia_bits, end);
	ui_tree_add(&w->tree, obj, "input", ui_tree_hex(input));
	if (status == UI_WALK_OK)
		ui_tree_add(&w->tree, obj, "output", ui_tree_hex(output));
}

static enum ui_walk_status walk_stage2(struct walker *w, struct json_object *obj, const char *of, u64 ipa, unsigned access,
				       struct ui_walk *out, struct ui_entry_why *why, u64 *failed_pa)
{
	struct stage_walk sw = { .w = w, .path = { .cfg = &w->config.stages.s2.walk, .access = access } };
	enum ui_walk_status status;
	char what[64];

	ui_tree_text(&w->tree, obj, "title", " ");
	status = walk_stage(&sw, obj, ipa, out, why);
	*failed_pa = sw.failed_pa;
	snprintf(what, sizeof(what), "stage 2 of %s IPA", of);
	title_stage(w, obj, what, "S2TTB", sw.path.cfg, ipa, status, out->oa);
	return status;
}

/* ---- The end ---- */

struct refusal {
	unsigned stage;
	bool on_walk, write; /* stage 2 refused a read or a mark of a table */
	u64 ipa, failed_pa;
};

/* 7.3.12 to 7.3.16: the event of a walk that ended. */
static void refuse(struct walker *w, enum ui_walk_status status, const struct refusal *at)
{
	const struct ui_stage_config *s = &w->config.stages;
	unsigned type = walk_event(status);
	u64 *evt = w->evt;

	memset(evt, 0, sizeof(w->evt));
	w->type = type;
	w->stage = at->stage;
	ui_hw_set(evt, UI_SMMUV3_EVT_Type, type);
	ui_hw_set(evt, UI_SMMUV3_EVT_StreamID, w->what->sid);
	ui_hw_set(evt, UI_SMMUV3_EVT_SSV, w->what->has_ssid != 0);
	ui_hw_set(evt, UI_SMMUV3_EVT_SubstreamID, w->what->has_ssid ? w->what->ssid : 0);
	ui_hw_set(evt, UI_SMMUV3_EVT_S2, at->stage == 2);
	ui_hw_set(evt, UI_SMMUV3_EVT_CLASS, at->on_walk || (type == UI_SMMUV3_F_WALK_EABT && at->stage == 1) ? UI_SMMUV3_CLASS_TT :
													       UI_SMMUV3_CLASS_IN);
	if (type == UI_SMMUV3_F_WALK_EABT)
		ui_hw_set_addr(evt, UI_SMMUV3_EVT_FetchAddr, at->failed_pa);
	else if (at->stage == 2)
		ui_hw_set_addr(evt, UI_SMMUV3_EVT_IPA, at->ipa);
	if (type == UI_SMMUV3_F_PERMISSION && at->on_walk)
		ui_hw_set(evt, UI_SMMUV3_EVT_TTRnW, !at->write);
	if (type != UI_SMMUV3_F_WALK_EABT && (at->stage == 2 ? s->s2.quiet : s->s1.quiet))
		w->unrecorded = at->stage == 2 ? "STE.S2R is 0" : "CD.R is 0";
}

static void because(struct walker *w, const char *field, const char *text)
{
	w->why.field = field;
	snprintf(w->why.text, sizeof(w->why.text), "%s", text);
}

/* What the reader of the structures could not tell by a step. */
static void explain_config(struct walker *w)
{
	u64 config = ui_hw_get(w->config.ste, UI_SMMUV3_STE_Config), dss = ui_hw_get(w->config.ste, UI_SMMUV3_STE_S1DSS);

	if (w->type == UI_SMMUV3_C_BAD_STREAMID)
		because(w, "LOG2SIZE", "the StreamID is beyond the stream table");
	else if (w->type == UI_SMMUV3_C_BAD_STE)
		because(w, "S2TTB", "stage 2's fields contradict each other");
	else if (w->type == UI_SMMUV3_F_STREAM_DISABLED && w->what->has_ssid)
		because(w, "S1DSS", "S1DSS is 2: accesses without SubstreamID use substream 0, and those with SubstreamID 0 are refused");
	else if (w->type == UI_SMMUV3_F_STREAM_DISABLED)
		because(w, "S1DSS", dss == UI_SMMUV3_S1DSS_TERMINATE ? "S1DSS is 0: accesses without SubstreamID are terminated" :
								      "S1DSS is reserved: accesses without SubstreamID are terminated");
	else if (!(config & 1))
		because(w, "Config", "there is no stage 1, and so are no SubstreamIDs");
	else
		because(w, "S1CDMax", "the SubstreamID is beyond the table of CDs");
}

/* What only the access knows (7.3). */
static void complete_event(struct walker *w)
{
	bool read = !(w->access & UI_PROT_WRITE);

	if (w->type != UI_SMMUV3_F_WALK_EABT && (w->type < UI_SMMUV3_F_TRANSLATION || w->type > UI_SMMUV3_F_PERMISSION))
		return;
	ui_hw_set(w->evt, UI_SMMUV3_EVT_InputAddr, w->what->iova);
	ui_hw_set(w->evt, UI_SMMUV3_EVT_RnW, read);
	ui_hw_set(w->evt, UI_SMMUV3_EVT_InD, read && (w->access & UI_PROT_EXEC));
	ui_hw_set(w->evt, UI_SMMUV3_EVT_PnU, !!(w->access & UI_PROT_PRIV));
}

static void tell_refusal(struct walker *w, struct json_object *result)
{
	struct json_object *event;
	char stage[24] = "";

	complete_event(w);
	if (w->stage)
		snprintf(stage, sizeof(stage), ", stage %u", w->stage);
	ui_tree_text(&w->tree, result, "title", "event: %s%s: %s%s%s", event_name(w->type), stage, w->why.text,
		     w->unrecorded ? "; not recorded: " : "", w->unrecorded ? w->unrecorded : "");
	ui_tree_text(&w->tree, result, "outcome", "%s", "fault");
	ui_tree_text(&w->tree, result, "name", "%s", event_name(w->type));
	ui_tree_number(&w->tree, result, "stage", w->stage);
	if (*w->why.field)
		ui_tree_text(&w->tree, result, "field", "%s", w->why.field);
	ui_tree_text(&w->tree, result, "why", "%s", w->why.text);
	ui_tree_add(&w->tree, result, "recorded", json_object_new_boolean(!w->unrecorded));
	event = ui_tree_add(&w->tree, result, "event", json_object_new_object());
	ui_tree_struct(&w->tree, event, ui_smmuv3_event(w->evt), 0, w->evt, UI_SMMUV3_EVT_WORDS);
	/* It is in no queue. */
	if (event)
		json_object_object_del(event, "address");
}

static void tell_result(struct walker *w, u64 pa, const struct ui_walk *end)
{
	struct json_object *result = ui_tree_add(&w->tree, w->tree.root, "result", json_object_new_object());
	char rights[24] = "", size[16] = "";
	bool here;
	u64 word;

	if (w->type) {
		tell_refusal(w, result);
		return;
	}
	if (w->config.stages.kind == UI_CFG_BLOCKED) {
		ui_tree_text(&w->tree, result, "title", "terminated without an event: STE.Config is %u (abort)",
			     (unsigned)ui_hw_get(w->config.ste, UI_SMMUV3_STE_Config));
		ui_tree_text(&w->tree, result, "outcome", "%s", "abort");
		ui_tree_text(&w->tree, result, "field", "%s", "Config");
		return;
	}
	here = ui_dump_read(w->dump, ui_align_down(pa, 8), &word, 1);
	if (end) {
		ui_entry_rights(end->prot, rights);
		ui_entry_size(end->leaf_lg2, size);
	}
	ui_tree_text(&w->tree, result, "title", "output: 0x%" PRIx64 "%s%s%s%s%s%s", pa, end ? ", " : " (bypass)", rights, end ? ", " : "", size,
		     end ? " mapping" : "", here ? "" : " (not in the dump)");
	ui_tree_text(&w->tree, result, "outcome", "%s", end ? "translated" : "bypass");
	ui_tree_add(&w->tree, result, "address", ui_tree_hex(pa));
	ui_tree_add(&w->tree, result, "in_dump", json_object_new_boolean(here));
	if (end) {
		ui_tree_text(&w->tree, result, "rights", "%s", rights);
		ui_tree_add(&w->tree, result, "mapping_bytes", json_object_new_int64((s64)UI_BIT(end->leaf_lg2)));
	}
}

/* ---- Structures ---- */

static const char *ste_meaning(const u64 *ste)
{
	for (size_t i = 0; ui_hw_get(ste, UI_SMMUV3_STE_V) && i < ui_smmuv3_ste.n_fields; i++) {
		if (ui_smmuv3_ste.fields[i].field == UI_SMMUV3_STE_Config)
			return ui_hw_meaning(&ui_smmuv3_ste.fields[i], ui_hw_get(ste, UI_SMMUV3_STE_Config));
	}
	return "not valid";
}

static void config_step(void *arg, const struct ui_smmuv3_step *step)
{
	struct walker *w = arg;
	struct json_object *obj = ui_tree_append(&w->tree, w->steps, json_object_new_object());
	enum ui_walk_status status = UI_WALK_OK;
	struct ui_walk out = { .oa = step->addr };
	char text[160], at[64];
	u64 failed_pa = 0;

	ui_tree_text(&w->tree, obj, "title", " ");
	if (step->through_s2)
		status = walk_stage2(w, ui_tree_add(&w->tree, obj, "stage2", json_object_new_object()), "its", step->addr,
				     UI_PROT_READ | (w->config.stages.s2.no_device_walks ? UI_PROT_MMIO : 0u), &out, &w->why, &failed_pa);
	snprintf(at, sizeof(at), "%s at %s0x%" PRIx64, step->what->name, step->through_s2 ? "IPA " : "", step->addr);
	ui_tree_text(&w->tree, obj, "structure", "%s", step->what->name);
	if (step->through_s2)
		ui_tree_add(&w->tree, obj, "ipa", ui_tree_hex(step->addr));
	if (!step->words) {
		ui_tree_text(&w->tree, obj, "title", "%s: %s", at, status != UI_WALK_OK ? "stage 2 refuses" : "not in the dump");
		w->stage = status != UI_WALK_OK ? 2 : 0;
		if (status == UI_WALK_OK) {
			snprintf(text, sizeof(text), "the dump holds nothing at 0x%" PRIx64, out.oa);
			because(w, "", text);
		}
		return;
	}
	ui_tree_text(&w->tree, obj, "title", "%s%s%s", at, step->what == &ui_smmuv3_ste ? ": " : "",
		     step->what == &ui_smmuv3_ste ? ste_meaning(step->words) : "");
	ui_tree_struct(&w->tree, obj, step->what, out.oa, step->words, step->what->n_words);
	if (!step->bad)
		return;
	ui_tree_text(&w->tree, obj, "illegal", "%s", step->bad);
	snprintf(text, sizeof(text), "%s.%s%s", step->what->name, step->bad,
		 step->event == UI_SMMUV3_C_BAD_STREAMID ? " does not reach the StreamID" : !strcmp(step->bad, "V") ? " is 0" : " is ILLEGAL");
	because(w, step->bad, text);
}

/* ---- The access ---- */

/* Stage 1, or NULL with the event: its half is disabled. */
static const struct ui_stage *half(struct walker *w, u64 iova, const char **ttb)
{
	const struct ui_stage_config *s = &w->config.stages;
	bool upper = s->halves && iova >> 55 & 1;

	*ttb = upper ? "TTB1" : "TTB0";
	if (!s->halves || !(s->halves & (upper ? UI_HALVES_NO_UPPER : UI_HALVES_NO_LOWER)))
		return upper ? &s->s1_upper : &s->s1;
	because(w, upper ? "EPD1" : "EPD0", upper ? "CD.EPD1 is 1, and the address is in the upper half" :
						    "CD.EPD0 is 1, and the address is in the lower half");
	refuse(w, UI_WALK_TRANSLATION, &(struct refusal){ .stage = 1 });
	return NULL;
}

static bool stage_1(struct walker *w, u64 iova, struct ui_walk *out)
{
	const struct ui_stage_config *s = &w->config.stages;
	const char *ttb;
	const struct ui_stage *s1 = half(w, iova, &ttb);
	struct stage_walk sw = { .w = w, .over = s->s2.present ? &s->s2 : NULL };
	struct json_object *obj;
	enum ui_walk_status status;

	if (!s1)
		return false;
	sw.path.cfg = &s1->walk;
	sw.path.access = w->access;
	obj = ui_tree_append(&w->tree, w->steps, json_object_new_object());
	ui_tree_text(&w->tree, obj, "title", " ");
	status = walk_stage(&sw, obj, iova, out, &w->why);
	title_stage(w, obj, "stage 1 of", ttb, &s1->walk, iova, status, out->oa);
	if (status != UI_WALK_OK)
		refuse(w, status, &(struct refusal){ .stage = sw.s2_refused ? 2 : 1, .on_walk = sw.s2_refused, .write = sw.s2_write,
						     .ipa = sw.ipa, .failed_pa = sw.failed_pa });
	return status == UI_WALK_OK;
}

static bool stage_2(struct walker *w, u64 ipa, struct ui_walk *out)
{
	struct json_object *obj = ui_tree_append(&w->tree, w->steps, json_object_new_object());
	enum ui_walk_status status;
	u64 failed_pa;

	status = walk_stage2(w, obj, "the access's", ipa, w->access, out, &w->why, &failed_pa);
	if (status != UI_WALK_OK)
		refuse(w, status, &(struct refusal){ .stage = 2, .ipa = ipa, .failed_pa = failed_pa });
	return status == UI_WALK_OK;
}

static void translate(struct walker *w)
{
	const struct ui_stage_config *s = &w->config.stages;
	u64 iova = ui_cfg_untagged(s, w->what->iova);
	struct ui_walk first = { .oa = iova, .leaf_lg2 = 62, .prot = 0xff & ~UI_PROT_PRIV }, out;

	if (!s->s1.present && ui_cfg_too_large(s, iova)) {
		snprintf(w->why.text, sizeof(w->why.text), "without stage 1 an address has at most %u bits", s->in_bits);
		w->why.field = s->s2.present ? "IAS" : "OAS";
		refuse(w, UI_WALK_ADDR_SIZE, &(struct refusal){ .stage = 1 });
	} else if (s->kind == UI_CFG_BYPASS) {
		tell_result(w, iova, NULL);
		return;
	} else if (!s->s1.present || stage_1(w, iova, &first)) {
		out = first;
		if (s->s2.present && stage_2(w, first.oa, &out)) {
			out.prot = (u8)((first.prot & out.prot & ~UI_PROT_PRIV) | ((first.prot | out.prot) & UI_PROT_PRIV));
			out.leaf_lg2 = (u8)ui_min(first.leaf_lg2, out.leaf_lg2);
		}
		if (!w->type) {
			tell_result(w, out.oa, &out);
			return;
		}
	}
	tell_result(w, 0, NULL);
}

static void title_access(struct walker *w)
{
	static const char *const names[] = { [UI_PROT_READ] = "read", [UI_PROT_WRITE] = "write", [UI_PROT_EXEC] = "instruction fetch" };
	const struct uiommu_walk *what = w->what;
	struct json_object *root = w->tree.root;
	const char *name = names[w->access & ~(unsigned)UI_PROT_PRIV];
	char ssid[40] = "no SubstreamID";

	if (what->has_ssid)
		snprintf(ssid, sizeof(ssid), "SubstreamID 0x%x", what->ssid);
	ui_tree_text(&w->tree, root, "title", "StreamID 0x%x, %s: %s %s of 0x%" PRIx64, what->sid, ssid,
		     w->access & UI_PROT_PRIV ? "privileged" : "unprivileged", name, what->iova);
	ui_tree_number(&w->tree, root, "StreamID", what->sid);
	if (what->has_ssid)
		ui_tree_number(&w->tree, root, "SubstreamID", what->ssid);
	ui_tree_add(&w->tree, root, "iova", ui_tree_hex(what->iova));
	ui_tree_text(&w->tree, root, "access", "%s", name);
	ui_tree_add(&w->tree, root, "privileged", json_object_new_boolean(w->access & UI_PROT_PRIV));
	w->steps = ui_tree_add(&w->tree, root, "steps", json_object_new_array());
}

static void walk(struct walker *w)
{
	const struct ui_walk_mem mem = { .load = load_word, .arg = w };
	const struct ui_smmuv3_tables tables = {
		.words = &mem, .only_look = true, .feat = &w->feat, .strtab_base = w->what->strtab_base, .strtab_cfg = w->what->strtab_cfg,
		.step = config_step, .arg = w,
	};
	bool ssv = w->what->has_ssid;

	title_access(w);
	w->type = ui_smmuv3_config_read(&tables, w->what->sid, ssv, w->what->ssid, &w->config, w->evt);
	if (w->type && !*w->why.text)
		explain_config(w);
	if (w->config.quiet)
		w->unrecorded = "STE.S2R is 0";
	if (w->type || w->config.stages.kind == UI_CFG_BLOCKED)
		tell_result(w, 0, NULL);
	else
		translate(w);
}

static const char *check(const struct uiommu_walk *what, unsigned *access)
{
	static const unsigned rights[] = {
		[UIOMMU_WALK_READ] = UI_PROT_READ, [UIOMMU_WALK_WRITE] = UI_PROT_WRITE, [UIOMMU_WALK_EXEC] = UI_PROT_EXEC,
	};

	if ((unsigned)what->access >= ui_array_size(rights))
		return "an access is a read, a write or an instruction fetch";
	if (what->has_ssid && what->ssid >> 20)
		return "a SubstreamID has at most 20 bits";
	*access = rights[what->access] | (what->priv ? UI_PROT_PRIV : 0u);
	return NULL;
}

char *uiommu_walk(struct uiommu_dump *dump, const struct uiommu_walk *what, int *refused, char *err, size_t err_bytes)
{
	struct walker w = { .dump = dump, .what = what, .why = { .field = "" } };
	const char *wrong = check(what, &w.access);
	char *out = NULL;

	if (what->has_idr)
		ui_smmuv3_feat_from_idr(&w.feat, what->idr);
	else
		ui_smmuv3_feat_all(&w.feat);
	w.tree.root = json_object_new_object();
	w.tree.failed = !w.tree.root;
	if (!wrong && !w.tree.failed)
		walk(&w);
	if (!wrong && !w.tree.failed)
		out = what->flags & UIOMMU_DECODE_JSON ? ui_tree_print_json(&w.tree) :
							 ui_tree_print_text(&w.tree, what->flags & UIOMMU_DECODE_ALL);
	json_object_put(w.tree.root);
	*refused = w.type || w.config.stages.kind == UI_CFG_BLOCKED;
	if (!out)
		snprintf(err, err_bytes, "%s", wrong ? wrong : "out of memory");
	return out;
}
