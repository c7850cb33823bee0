/* SPDX-License-Identifier: MIT */
#include "decode/entry.h"

#include "base/bits.h"
#include "hw/pte.h"
#include "pgtable/arm.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *ui_entry_size(unsigned lg2, char text[16])
{
	static const char units[] = "KMGTPE";

	snprintf(text, 16, "%u%c", 1u << lg2 % 10 & 0x3ff, units[(lg2 / 10 - 1) % 6]);
	return text;
}

const char *ui_entry_rights(unsigned prot, char text[24])
{
	snprintf(text, 24, "%c%c%c%s", prot & UI_PROT_READ ? 'r' : '-', prot & UI_PROT_WRITE ? 'w' : '-', prot & UI_PROT_EXEC ? 'x' : '-',
		 prot & UI_PROT_PRIV ? ", privileged" : "");
	return text;
}

/* Without the address, and without what says which kind of entry it is; a large leaf's PAT where a page has it. */
static const struct ui_hw_struct *fields_of(const struct ui_walk_cfg *cfg, const struct ui_walk_look *look, u64 *word)
{
	unsigned low = look->leaf ? look->lg2 : cfg->granule_lg2, pat = look->leaf && look->level ? 12 : 7;
	bool arm = cfg->format == UI_PT_ARM_S1 || cfg->format == UI_PT_ARM_S2;
	u64 address = ui_mask_range(arm ? 47 : 51, low), wide = arm && cfg->granule_lg2 == 16 && (cfg->wide_64k || cfg->oa_bits > 48);

	*word = look->entry & ~address & ~(wide ? ui_mask_range(15, 12) : 0);
	switch (cfg->format) {
	case UI_PT_ARM_S1:
	case UI_PT_ARM_S2:
		*word &= ~(u64)3;
		if (look->leaf)
			return cfg->format == UI_PT_ARM_S1 ? &ui_pte_arm_s1 : &ui_pte_arm_s2;
		/* Bits that are ignored in table entries. */
		*word &= ui_mask_range(63, 59) | (cfg->format == UI_PT_ARM_S1 ? 0 : ui_mask_range(50, 48));
		return &ui_pte_arm_table;
	case UI_PT_VTDSS:
		*word &= ~(look->level && look->leaf ? UI_BIT(7) : 0);
		return &ui_pte_vtdss;
	default:
		*word &= ~(UI_BIT(0) | (look->level ? UI_BIT(7) : 0));
		if (pat == 12)
			*word = (*word & ~UI_BIT(12)) | (*word >> 12 & 1) << 7;
		return &ui_pte_x86;
	}
}

const char *ui_entry_attrs(const struct ui_walk_cfg *cfg, const struct ui_walk_look *look, char *text, size_t n_bytes)
{
	u64 word;
	const struct ui_hw_struct *s = fields_of(cfg, look, &word);
	size_t skip = strlen(s->name);

	ui_hw_print(s, &word, text, n_bytes);
	skip += text[skip] == ' ';
	memmove(text, text + skip, strlen(text + skip) + 1);
	return text;
}

/* ---- Why ---- */

static void UI_PRINTF(3, 4) say(struct ui_entry_why *why, const char *field, const char *fmt, ...)
{
	va_list ap;

	why->field = field;
	va_start(ap, fmt);
	vsnprintf(why->text, sizeof(why->text), fmt, ap);
	va_end(ap);
}

/* Does a table entry on the way, in force, have @bit? Then *@level is where, as Arm counts. */
static bool in_tables(const struct ui_entry_path *path, unsigned bit, unsigned *level)
{
	for (unsigned i = 4; i-- && !path->cfg->no_table_attrs;) {
		if (path->tables[i] >> bit & 1) {
			*level = ui_arm_level(i);
			return true;
		}
	}
	return false;
}

static void no_execute_s1(const struct ui_entry_path *path, struct ui_entry_why *why)
{
	bool priv = path->access & UI_PROT_PRIV && !path->cfg->one_privilege;
	u64 leaf = path->last->entry;
	unsigned level;

	if (leaf >> (priv ? 53 : 54) & 1)
		say(why, priv ? "PXN" : "UXN", "%s is 1: %s accesses do not execute", priv ? "PXN" : "UXN", priv ? "privileged" : "unprivileged");
	else if (in_tables(path, priv ? 59 : 60, &level))
		say(why, priv ? "PXNTable" : "UXNTable", "%s of the level %u table is 1", priv ? "PXNTable" : "UXNTable", level);
	else if (path->cfg->write_no_exec)
		say(why, "WXN", "CD.WXN is 1: what may be written does not execute");
	else
		say(why, "AP", "AP is %u: what unprivileged accesses may write, privileged ones do not execute", (unsigned)ui_field(leaf, 7, 6));
}

static void permission_s1(const struct ui_entry_path *path, struct ui_entry_why *why)
{
	unsigned want = path->access & (UI_PROT_READ | UI_PROT_WRITE), level = 0, ap = (unsigned)ui_field(path->last->entry, 7, 6);
	bool no_user = in_tables(path, 61, &level), priv = path->access & UI_PROT_PRIV || path->cfg->one_privilege;

	if (!want)
		no_execute_s1(path, why);
	else if (!priv && !(ap & 1))
		say(why, "AP", "AP is %u: AP[1] = 0 keeps unprivileged accesses out", ap);
	else if (!priv && no_user)
		say(why, "APTable", "APTable[0] of the level %u table is 1: it keeps unprivileged accesses out", level);
	else if (in_tables(path, 62, &level) && want & UI_PROT_WRITE)
		say(why, "APTable", "APTable[1] of the level %u table is 1: read-only", level);
	else if (ap & 2 && want & UI_PROT_WRITE)
		say(why, "AP", "AP is %u: AP[2] = 1, read-only%s", ap,
		    path->last->entry >> 51 & 1 ? " (DBM is 1, but CD.HD and CD.HA are not both 1)" : "");
	else if (priv && path->cfg->priv_no_user)
		say(why, "PAN", "CD.PAN is 1: privileged accesses do not touch what unprivileged ones may");
	else
		no_execute_s1(path, why);
}

static void permission_s2(const struct ui_entry_path *path, struct ui_entry_why *why)
{
	unsigned s2ap = (unsigned)ui_field(path->last->entry, 7, 6);

	if (path->access & UI_PROT_MMIO && !ui_field(path->last->entry, 5, 4))
		say(why, "MemAttr", "MemAttr is device memory, and STE.S2PTW is 1: no table may lie there");
	else if (!(s2ap & 1) && path->access & (UI_PROT_READ | UI_PROT_EXEC))
		say(why, "S2AP", "S2AP is %u: no reads", s2ap);
	else if (!(s2ap & 2) && path->access & UI_PROT_WRITE)
		say(why, "S2AP", "S2AP is %u: no writes%s", s2ap,
		    path->last->entry >> 51 & 1 ? " (DBM is 1, but STE.S2HD and STE.S2HA are not both 1)" : "");
	else
		say(why, "XN", "XN is %u: %s accesses do not execute", (unsigned)ui_field(path->last->entry, 54, 53),
		    path->access & UI_PROT_PRIV ? "privileged" : "unprivileged");
}

static void absent(const struct ui_entry_path *path, struct ui_entry_why *why)
{
	unsigned level = ui_arm_level(path->last->level);

	if (!(path->last->entry & 1))
		say(why, "Valid", "bit 0 of the level %u entry is 0: not valid", level);
	else
		say(why, "Type", "bit 1 of the level %u entry is 0: a block, of which this level has none", level);
}

void ui_entry_why(const struct ui_entry_path *path, enum ui_walk_status status, u64 addr, struct ui_entry_why *why)
{
	bool s2 = path->cfg->format == UI_PT_ARM_S2, upper = path->cfg->upper;

	if (!path->last) {
		say(why, s2 ? "S2T0SZ" : upper ? "T1SZ" : "T0SZ", "0x%" PRIx64 " is not among the %s2^%u addresses of %s", addr,
		    upper ? "last " : "", path->cfg->ia_bits, s2 ? "S2T0SZ" : upper ? "T1SZ" : "T0SZ");
		return;
	}
	switch (status) {
	case UI_WALK_TRANSLATION:
		absent(path, why);
		break;
	case UI_WALK_ADDR_SIZE:
		say(why, s2 ? "S2PS" : "IPS", "address 0x%" PRIx64 " has more than the %u bits of %s", path->last->oa, path->cfg->oa_bits,
		    s2 ? "S2PS" : "IPS");
		break;
	case UI_WALK_ACCESS:
		say(why, "AF", "AF is 0, and %s are 0", s2 ? "STE.S2HA and STE.S2AFFD" : "CD.HA and CD.AFFD");
		break;
	case UI_WALK_PERMISSION:
		if (s2)
			permission_s2(path, why);
		else
			permission_s1(path, why);
		break;
	default:
		say(why, "", "the entry has a reserved value");
		break;
	}
}
