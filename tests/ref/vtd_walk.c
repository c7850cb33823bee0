/* SPDX-License-Identifier: MIT */
#include "vtd_walk.h"

#include <string.h>

static struct ref_page *page_at(struct ref_nested *nested, uint64_t gpa)
{
	for (size_t i = 0; i < nested->n_pages; i++)
		if (nested->pages[i].gpa == (gpa & ~0xfffull))
			return &nested->pages[i];
	return NULL;
}

/* The second stage: 48 bits of input, pages as listed. */
static enum ref_result second_stage(struct ref_nested *nested, uint64_t gpa, bool read, bool write, struct ref_page **page)
{
	if (gpa >= 1ull << 48)
		return REF_BAD_ADDRESS;
	*page = page_at(nested, gpa);
	if (!*page || (!(*page)->read && !(*page)->write))
		return REF_NOT_PRESENT;
	return (read && !(*page)->read) || (write && !(*page)->write) ? REF_NO_PERMISSION : REF_OK;
}

static bool canonical(uint64_t address, int bits)
{
	uint64_t top = address >> (bits - 1);

	return top == 0 || top == ~0ull >> (bits - 1);
}

/* What must be 0 in a present entry: PS above 1 GiB entries; what a large page's address leaves free, but for PAT in bit 12. */
static bool has_reserved_bits(uint64_t entry, int level)
{
	if (level >= 4)
		return entry & 1 << 7;
	if (level == 3 && (entry & 1 << 7))
		return entry & 0x3fffe000;
	if (level == 2 && (entry & 1 << 7))
		return entry & 0x1fe000;
	return false;
}

static struct ref_answer refused(enum ref_result result, int stage, bool on_walk, uint64_t gpa)
{
	return (struct ref_answer){ .result = result, .stage = stage, .on_walk = on_walk, .gpa = gpa };
}

/* @level counts from 1, the tables whose entries are pages of 4 KiB. */
struct ref_answer ref_nested_access(struct ref_nested *nested, uint64_t iova, bool write, bool privileged)
{
	static const uint64_t page_bytes[] = { 0, 1ull << 12, 1ull << 21, 1ull << 30 };
	bool may_write = true, may_user = true;
	uint64_t table = nested->top, entry, wanted;
	enum ref_result result;
	struct ref_page *page;

	if (privileged && !nested->sre)
		return refused(REF_NO_PERMISSION, 1, false, 0);
	if (!canonical(iova, nested->levels == 5 ? 57 : 48))
		return refused(REF_BAD_ADDRESS, 1, false, 0);
	for (int level = nested->levels;; level--) {
		uint64_t at = table + (iova >> (12 + 9 * (level - 1)) & 511) * 8;
		bool leaf;

		result = second_stage(nested, at, true, false, &page);
		if (result != REF_OK)
			return refused(result, 2, true, at);
		memcpy(&entry, page->bytes + (at & 0xfff), 8);
		if (!(entry & 1))
			return refused(REF_NOT_PRESENT, 1, false, 0);
		if (has_reserved_bits(entry, level))
			return refused(REF_RESERVED_BITS, 1, false, 0);
		leaf = level == 1 || (level <= 3 && (entry & 1 << 7));
		may_write = may_write && (entry & 2);
		may_user = may_user && (entry & 4);
		if (leaf && !privileged && !may_user)
			return refused(REF_NO_PERMISSION, 1, false, 0);
		if (leaf && write && !may_write && (!privileged || nested->wpe))
			return refused(REF_NO_PERMISSION, 1, false, 0);
		wanted = entry | 1 << 5 | (leaf && write ? 1 << 6 : 0);
		if (wanted != entry) {
			result = second_stage(nested, at, true, true, &page);
			if (result != REF_OK)
				return refused(result, 2, true, at);
			memcpy(page->bytes + (at & 0xfff), &wanted, 8);
			page->dirty = true;
		}
		table = entry & 0x000ffffffffff000ull;
		if (!leaf)
			continue;
		table = (table & ~(page_bytes[level] - 1)) | (iova & (page_bytes[level] - 1));
		break;
	}
	result = second_stage(nested, table, !write, write, &page);
	if (result != REF_OK)
		return refused(result, 2, false, table);
	if (write)
		page->dirty = true;
	return (struct ref_answer){ .result = REF_OK, .bytes = page->bytes + (table & 0xfff), .gpa = table };
}
