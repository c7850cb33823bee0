/* SPDX-License-Identifier: MIT */
/* Memory dumps by physical address, and what uiommu_decode() does at their ends. What it prints: tests/decode. */
#include <uiommu/decode.h>

#include "base/alloc.h"
#include "decode/dump.h"

#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

/* A file with these bytes; *@path names it. */
static int file(const void *bytes, size_t n_bytes, char path[64])
{
	int fd = memfd_create("dump", 0);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n_bytes), n_bytes);
	snprintf(path, 64, "/proc/self/fd/%d", fd);
	return fd;
}

struct core {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[4];
	u64 words[64];
};

/* Words 0 to 63, each its own number, in pieces: (address, first word, words), of which none has n_words 0. */
static struct core make_core(const u64 (*pieces)[3], unsigned n)
{
	struct core core = { .eh = { .e_ident = ELFMAG, .e_type = ET_CORE, .e_phoff = offsetof(struct core, ph), .e_phnum = (u16)n,
				     .e_phentsize = sizeof(Elf64_Phdr) } };

	core.eh.e_ident[EI_CLASS] = ELFCLASS64;
	core.eh.e_ident[EI_DATA] = ELFDATA2LSB;
	for (unsigned i = 0; i < n; i++) {
		core.ph[i] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_paddr = pieces[i][0],
					   .p_offset = offsetof(struct core, words) + pieces[i][1] * 8, .p_filesz = pieces[i][2] * 8 };
	}
	for (u64 i = 0; i < 64; i++)
		core.words[i] = i;
	return core;
}

static void core_is_read_by_physical_address(void **state)
{
	/* Out of order; the second goes on where the first ends; the third lies over both ends of a hole. */
	static const u64 pieces[][3] = { { 0x1040, 8, 8 }, { 0x1000, 0, 8 }, { 0x1070, 40, 4 }, { 0x3000, 20, 2 } };
	struct core core = make_core(pieces, 4);
	char path[64], err[128] = "";
	int fd = file(&core, sizeof(core), path);
	struct uiommu_dump *dump = uiommu_dump_open_elf(path, err, sizeof(err));
	u64 words[8], next;

	assert_string_equal(err, "");
	assert_non_null(dump);
	assert_true(ui_dump_read(dump, 0x1020, words, 8));
	for (u64 i = 0; i < 8; i++)
		assert_int_equal(words[i], 4 + i);
	/* What two pieces say, the lower one does. */
	assert_true(ui_dump_read(dump, 0x1070, words, 4));
	assert_int_equal(words[0], 14);
	assert_int_equal(words[1], 15);
	assert_int_equal(words[2], 42);
	assert_int_equal(words[3], 43);
	assert_false(ui_dump_read(dump, 0x1070, words, 5));
	assert_false(ui_dump_read(dump, 0xff8, words, 2));
	assert_false(ui_dump_read(dump, 0x3008, words, 2));
	assert_true(ui_dump_next(dump, 0, &next));
	assert_int_equal(next, 0x1000);
	assert_true(ui_dump_next(dump, 0x1044, &next));
	assert_int_equal(next, 0x1044);
	assert_true(ui_dump_next(dump, 0x1090, &next));
	assert_int_equal(next, 0x3000);
	assert_false(ui_dump_next(dump, 0x3010, &next));
	uiommu_dump_close(dump);
	close(fd);
}

/* A piece within another says nothing, and hides nothing behind it. */
static void pieces_within_pieces_are_left_out(void **state)
{
	static const u64 pieces[][3] = { { 0x1040, 50, 2 }, { 0x1000, 0, 32 } };
	struct core core = make_core(pieces, 2);
	char path[64], err[128];
	int fd = file(&core, sizeof(core), path);
	struct uiommu_dump *dump = uiommu_dump_open_elf(path, err, sizeof(err));
	u64 words[32];

	assert_non_null(dump);
	assert_true(ui_dump_read(dump, 0x1000, words, 32));
	for (u64 i = 0; i < 32; i++)
		assert_int_equal(words[i], i);
	assert_true(ui_dump_read(dump, 0x1080, words, 1));
	assert_int_equal(words[0], 16);
	uiommu_dump_close(dump);
	close(fd);
}

static void raw_dump_ends_where_the_file_ends(void **state)
{
	u64 bytes[4] = { 1, 2, 3, 4 }, words[4];
	char path[64], err[128];
	int fd = file(bytes, sizeof(bytes), path);
	struct uiommu_dump *dump = uiommu_dump_open_raw(path, (u64)0 - 32, err, sizeof(err));

	assert_non_null(dump);
	assert_true(ui_dump_read(dump, (u64)0 - 32, words, 4));
	assert_int_equal(words[3], 4);
	assert_true(ui_dump_read(dump, (u64)0 - 8, words, 1));
	assert_false(ui_dump_read(dump, (u64)0 - 8, words, 2));
	assert_false(ui_dump_read(dump, (u64)0 - 40, words, 2));
	uiommu_dump_close(dump);
	/* A file that shrinks under a dump is an absent entry, nothing worse. */
	dump = uiommu_dump_open_raw(path, 0, err, sizeof(err));
	assert_non_null(dump);
	assert_int_equal(ftruncate(fd, 8), 0);
	assert_true(ui_dump_read(dump, 0, words, 1));
	assert_false(ui_dump_read(dump, 0, words, 2));
	uiommu_dump_close(dump);
	assert_null(uiommu_dump_open_raw(path, (u64)0 - 4, err, sizeof(err)));
	uiommu_dump_close(NULL);
	close(fd);
}

/* Equal entries are folded, but never over one that is not there. */
static void entries_fold_within_what_is_there(void **state)
{
	u64 bytes[8 * 4] = { [0] = 1, [8] = 1, [16] = 0, [24] = 1 };
	char path[64], err[128], *text;
	int fd = file(bytes, sizeof(bytes), path);
	struct uiommu_dump *dump = uiommu_dump_open_raw(path, 0x1000, err, sizeof(err));
	struct uiommu_decode what = { .what = UIOMMU_DECODE_STRTAB, .addr = 0x1000, .log2size = 3 };

	text = uiommu_decode(dump, &what, err, sizeof(err));
	assert_non_null(text);
	assert_string_equal(text, "stream table at 0x1000: linear, 8 StreamIDs\n"
				  "  StreamIDs 0x0 to 0x1, STE at 0x1000: abort\n    V             1\n"
				  "  StreamID 0x3, STE at 0x10c0: abort\n    V             1\n"
				  "  not valid: 1\n  not in the dump: 4\n");
	free(text);
	uiommu_dump_close(dump);
	close(fd);
}

static void a_failed_allocation_leaves_nothing_behind(void **state)
{
	static const u64 pieces[][3] = { { 0x1000, 0, 8 } };
	struct core core = make_core(pieces, 1);
	char path[64], err[128];
	int fd = file(&core, sizeof(core), path);
	u64 live = ui_alloc_live();

	for (u64 n = 2; n < 10; n++) {
		struct uiommu_dump *dump;

		ui_inject_arm(n / 2);
		dump = n & 1 ? uiommu_dump_open_elf(path, err, sizeof(err)) : uiommu_dump_open_raw(path, 0, err, sizeof(err));
		assert_int_equal(!dump, !ui_inject_left());
		ui_inject_arm(0);
		uiommu_dump_close(dump);
		assert_int_equal(ui_alloc_live(), live);
	}
	close(fd);
}

static void members_out_of_range_are_refused(void **state)
{
	static const struct {
		struct uiommu_decode what;
		const char *err;
	} rows[] = {
		{ { .what = UIOMMU_DECODE_STRTAB, .log2size = 33 }, "a stream table has at most 2^32 entries" },
		{ { .what = UIOMMU_DECODE_STRTAB, .split = 12 }, "a stream table is split at 6, 8 or 10 bits" },
		{ { .what = UIOMMU_DECODE_CDTAB, .s1fmt = 3 }, "S1Fmt is 0, 1 or 2" },
		{ { .what = UIOMMU_DECODE_CDTAB, .s1cdmax = 21 }, "S1CDMax is at most 20" },
		{ { .what = UIOMMU_DECODE_PRIQ, .log2size = 20 }, "a queue has at most 2^19 entries" },
		{ { .what = UIOMMU_DECODE_PT, .format = (enum uiommu_pt_format)9, .granule_lg2 = 12, .input_bits = 48, .output_bits = 48 },
		  "there is no page table of that format, granule, and numbers of bits and levels at such an address" },
		{ { .what = (enum uiommu_decode_what)99 }, "unknown kind of structure" },
	};
	u64 bytes[8] = { 0 };
	char path[64], err[128];
	int fd = file(bytes, sizeof(bytes), path);
	struct uiommu_dump *dump = uiommu_dump_open_raw(path, 0, err, sizeof(err));

	for (size_t i = 0; i < ui_array_size(rows); i++) {
		assert_null(uiommu_decode(dump, &rows[i].what, err, sizeof(err)));
		assert_string_equal(err, rows[i].err);
	}
	uiommu_dump_close(dump);
	close(fd);
}

static void accesses_out_of_range_are_refused(void **state)
{
	u64 bytes[8] = { 0 };
	char path[64], err[128];
	int fd = file(bytes, sizeof(bytes), path), refused;
	struct uiommu_dump *dump = uiommu_dump_open_raw(path, 0, err, sizeof(err));

	assert_null(uiommu_walk(dump, &(struct uiommu_walk){ .access = (enum uiommu_walk_access)3 }, &refused, err, sizeof(err)));
	assert_string_equal(err, "an access is a read, a write or an instruction fetch");
	assert_null(uiommu_walk(dump, &(struct uiommu_walk){ .has_ssid = 1, .ssid = 1 << 20 }, &refused, err, sizeof(err)));
	assert_string_equal(err, "a SubstreamID has at most 20 bits");
	uiommu_dump_close(dump);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(core_is_read_by_physical_address),
		cmocka_unit_test(pieces_within_pieces_are_left_out),
		cmocka_unit_test(raw_dump_ends_where_the_file_ends),
		cmocka_unit_test(entries_fold_within_what_is_there),
		cmocka_unit_test(a_failed_allocation_leaves_nothing_behind),
		cmocka_unit_test(members_out_of_range_are_refused),
		cmocka_unit_test(accesses_out_of_range_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
