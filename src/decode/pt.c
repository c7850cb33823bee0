/* SPDX-License-Identifier: MIT */
#include "decode/pt.h"

#include "base/bits.h"
#include "decode/dump.h"
#include "decode/entry.h"
#include "pgtable/arm.h"

#include <inttypes.h>
#include <stdio.h>

/*
 * A table may lead to itself, or each of its entries to the same one: what is read and what is shown have an end. What is read is as much
 * as tables of 4 KiB pages for 128 GiB.
 */
enum { MAX_READ = 1 << 25, MAX_SHOWN = 1 << 16 };

struct job {
	struct uiommu_dump *dump;
	struct ui_walk_cfg cfg;
	struct ui_tree *tree;
	struct json_object *entries;
	u64 n_read, n_shown, n_bytes;
	/* Leaves that go on from each other and grant the same, so far; or entries that are refused, or not there, for the same reason. */
	bool any;
	struct ui_walk_look first;
	u64 last, next_oa; /* the last address; where the next leaf would lead */
	u8 priv;           /* what the leaves grant to privileged accesses */
};

static enum ui_walk_status load(void *arg, u64 addr, u64 *entry)
{
	struct job *job = arg;

	return ui_dump_read(job->dump, addr, entry, 1) ? UI_WALK_OK : UI_WALK_ABORT;
}

static void flush(struct job *job)
{
	const struct ui_walk_look *look = &job->first;
	struct json_object *obj;
	char size[16], rights[24], attrs[160], range[64];

	if (!job->any)
		return;
	job->any = false;
	job->n_shown++;
	obj = ui_tree_append(job->tree, job->entries, json_object_new_object());
	snprintf(range, sizeof(range), "0x%012" PRIx64 " to 0x%012" PRIx64, look->iova, job->last);
	if (look->status == UI_WALK_ABORT) {
		ui_tree_text(job->tree, obj, "title", "%s: tables that are not in the dump, at 0x%" PRIx64, range, look->addr);
	} else if (look->status != UI_WALK_OK) {
		ui_tree_text(job->tree, obj, "title", "%s: refused: %s: 0x%" PRIx64 " at 0x%" PRIx64, range,
			     look->status == UI_WALK_ADDR_SIZE ? "an address of too many bits" : "reserved bits are set", look->entry, look->addr);
	} else {
		ui_entry_size(look->lg2, size);
		ui_entry_rights(look->prot, rights);
		ui_entry_attrs(&job->cfg, look, attrs, sizeof(attrs));
		ui_tree_text(job->tree, obj, "title", "%s: 0x%" PRIx64 ", %s, %s%s%s", range, look->oa, size, rights, *attrs ? ", " : "", attrs);
		job->n_bytes += job->last - look->iova + 1;
	}
	ui_tree_add(job->tree, obj, "start", ui_tree_hex(look->iova));
	ui_tree_add(job->tree, obj, "last", ui_tree_hex(job->last));
	ui_tree_text(job->tree, obj, "kind", "%s",
		     look->status == UI_WALK_ABORT ? "not in dump" : look->status != UI_WALK_OK ? "refused" : "mapped");
	if (look->status != UI_WALK_ABORT)
		ui_tree_add(job->tree, obj, "entry", ui_tree_hex(look->entry));
	if (look->status != UI_WALK_OK)
		return;
	ui_tree_add(job->tree, obj, "output", ui_tree_hex(look->oa));
	ui_tree_add(job->tree, obj, "page_bytes", json_object_new_int64((s64)UI_BIT(look->lg2)));
	ui_tree_text(job->tree, obj, "rights", "%s", rights);
	ui_tree_text(job->tree, obj, "attributes", "%s", attrs);
}

/* What the leaf @look, under the same tables, grants to privileged accesses. */
static u8 priv_rights(const struct job *job, const struct ui_walk_look *look)
{
	struct ui_walk_look priv;

	ui_walk_look(&job->cfg, look->level, look->entry, look->acc, UI_PROT_PRIV, &priv);
	return priv.prot;
}

/* Is @look one more of those so far? */
static bool goes_on(const struct job *job, const struct ui_walk_look *look)
{
	const struct ui_walk_look *first = &job->first;

	if (!job->any || look->status != first->status || look->iova != job->last + 1 || look->lg2 != first->lg2)
		return false;
	if (look->status == UI_WALK_ABORT)
		return true;
	/* All bits but the address, which counts on. */
	return look->status == UI_WALK_OK ? look->oa == job->next_oa && look->prot == first->prot && priv_rights(job, look) == job->priv &&
						    (look->entry ^ first->entry) == (look->oa ^ first->oa) :
					    look->entry == first->entry;
}

static int show(void *arg, const struct ui_walk_look *look)
{
	struct job *job = arg;

	if (look->status == UI_WALK_OK && !look->leaf) {
		job->n_read += UI_BIT(job->cfg.granule_lg2 - 3);
	} else if (!goes_on(job, look)) {
		flush(job);
		job->any = true;
		job->first = *look;
		job->priv = priv_rights(job, look);
	}
	if (look->status != UI_WALK_OK || look->leaf) {
		job->last = look->iova + (UI_BIT(look->lg2) - 1);
		job->next_oa = look->oa + UI_BIT(look->lg2);
	}
	return job->tree->failed || job->n_read > MAX_READ || job->n_shown > MAX_SHOWN ? -1 : 0;
}

/* ---- Which table ---- */

static const struct {
	const char *name;
	enum ui_pt_format format;
} formats[] = {
	[UIOMMU_PT_ARM_S1] = { "Arm stage 1", UI_PT_ARM_S1 },
	[UIOMMU_PT_ARM_S2] = { "Arm stage 2", UI_PT_ARM_S2 },
	[UIOMMU_PT_X86_64] = { "x86-64", UI_PT_X86_64 },
	[UIOMMU_PT_VTD_SS] = { "VT-d second stage", UI_PT_VTDSS },
};

/* Of the levels that an input address of that many bits may begin at, the lowest, which has tables side by side; or the one asked for. */
static bool arm_s2(const struct uiommu_decode *what, struct ui_walk_cfg *cfg)
{
	for (unsigned level = 0; level < 4; level++) {
		const struct ui_arm_s2 s2 = {
			.granule_lg2 = (u8)what->granule_lg2, .t0sz = (u8)(64 - what->input_bits),
			.sl0 = (u8)(what->granule_lg2 == 12 ? (level + 3) & 3 : level), .ps_bits = (u8)what->output_bits,
			.oas_bits = (u8)ui_max(what->output_bits, what->input_bits), .ttb = what->addr,
		};

		if ((!what->levels || what->levels == level + 1) && !ui_arm_s2_start(&s2, cfg))
			return true;
	}
	return false;
}

static bool arm_s1(const struct uiommu_decode *what, struct ui_walk_cfg *cfg)
{
	const struct ui_arm_s1 s1 = {
		.granule_lg2 = (u8)what->granule_lg2, .txsz = (u8)(64 - what->input_bits), .ips_bits = (u8)what->output_bits,
		.oas_bits = (u8)what->output_bits, .va52 = what->granule_lg2 == 16, .upper = what->upper, .ttb = what->addr,
	};

	return !ui_arm_s1_start(&s1, cfg) && (!what->levels || what->levels == cfg->top_level + 1u);
}

/* Tables of nine bits a level. */
static bool intel(const struct uiommu_decode *what, struct ui_walk_cfg *cfg)
{
	unsigned bits = what->input_bits;

	*cfg = (struct ui_walk_cfg){
		.format = formats[what->format].format, .granule_lg2 = 12, .ia_bits = (u8)bits, .oa_bits = (u8)what->output_bits,
		.top_level = (u8)((bits - 12) / 9 - 1), .top_lg2 = 9, .write_protect = true, .top_pa = ui_align_down(what->addr, 4096),
	};
	return what->granule_lg2 == 12 && (bits == 48 || bits == 57 || (bits == 39 && what->format == UIOMMU_PT_VTD_SS)) &&
	       (!what->levels || what->levels == cfg->top_level + 1u) && !(cfg->top_pa & ~ui_mask_lg2(what->output_bits));
}

static bool geometry(const struct uiommu_decode *what, struct ui_walk_cfg *cfg)
{
	if ((unsigned)what->format >= ui_array_size(formats) || what->output_bits < 32 || what->output_bits > 52 || what->input_bits < 25 ||
	    what->input_bits > 57 || (what->upper && what->format != UIOMMU_PT_ARM_S1))
		return false;
	if (what->format == UIOMMU_PT_ARM_S1)
		return arm_s1(what, cfg);
	return what->format == UIOMMU_PT_ARM_S2 ? arm_s2(what, cfg) : intel(what, cfg);
}

const char *ui_decode_pt(struct uiommu_dump *dump, const struct uiommu_decode *what, struct ui_tree *tree)
{
	struct job job = { .dump = dump, .tree = tree };
	const struct ui_walk_mem mem = { .load = load, .arg = &job };
	char size[16];
	u64 at;

	if (!geometry(what, &job.cfg))
		return "there is no page table of that format, granule, and numbers of bits and levels at such an address";
	/* What is writable but clean shows as writable. */
	job.cfg.set_accessed = job.cfg.set_dirty = true;
	if (!ui_dump_next(dump, job.cfg.top_pa, &at) || at - job.cfg.top_pa >= UI_BIT(job.cfg.top_lg2 + 3))
		return "nothing of the page table is in the dump";
	ui_tree_text(tree, tree->root, "title", " ");
	ui_tree_add(tree, tree->root, "address", ui_tree_hex(job.cfg.top_pa));
	ui_tree_number(tree, tree->root, "levels", job.cfg.top_level + 1u);
	job.entries = ui_tree_add(tree, tree->root, "entries", json_object_new_array());
	if (ui_walk_scan(&job.cfg, &mem, what->has_window ? what->start : 0, what->has_window ? what->last : UINT64_MAX, show, &job))
		return "more entries than can be shown: narrow it down";
	flush(&job);
	ui_tree_number(tree, tree->root, "mapped_bytes", job.n_bytes);
	ui_tree_text(tree, tree->root, "title", "page table at 0x%" PRIx64 ": %s, %s granule, %u levels, %u bits: maps 0x%" PRIx64 " bytes",
		     job.cfg.top_pa, formats[what->format].name, ui_entry_size(job.cfg.granule_lg2, size), job.cfg.top_level + 1u,
		     job.cfg.ia_bits, job.n_bytes);
	return NULL;
}
