/* SPDX-License-Identifier: MIT */
/*
 * Random first-stage tables, 4 and 5 levels, in memory that the second stage shows in parts, now with both rights, now
 * with one: each access is compared with tests/ref/vtd_walk.c: the answer, who refused and where, and every byte of the guest's
 * memory, accessed and dirty bits included; in the end the second stage's dirty pages. (issue 3, point 2)
 */
#include "common.h"
#include "base/log.h"
#include "../../ref/vtd_walk.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <time.h>
#include <cmocka.h>

enum { N_PAGES = 24, N_TABLES = 12, LOW_PAGES = 16, N_MEMORIES = 60, N_ACCESSES = 300 };

/* Pages of the guest: LOW_PAGES from address 0, the rest from 1 GiB. */
#define PAGE_GPA(i) ((i) < LOW_PAGES ? (u64)(i)*PAGE : UI_BIT(30) + (u64)((i) - LOW_PAGES) * PAGE)

static u8 real[N_PAGES][PAGE] __attribute__((aligned(4096)));
static u8 copy[N_PAGES][PAGE] __attribute__((aligned(4096)));
static struct ref_page pages[N_PAGES];
static struct ref_nested ref;
static struct world w;
static struct ui_domain *parent, *nested;
static u64 seed;

static u64 below(u64 n)
{
	return (next_random(&seed) >> 8) % n;
}

/* Few indices are used, so that walks meet entries. */
static const u64 indices[] = { 0, 1, 2, 255, 256, 511 };

/* @tame: most tables lead somewhere, as those of an operating system do. */
static u64 random_entry(bool tame)
{
	u64 bits = P | (below(tame ? 20 : 4) ? RW_BIT : 0) | (below(tame ? 20 : 4) ? US : 0) | (below(2) ? A_BIT : 0) | (below(2) ? D_BIT : 0);

	bits |= (below(8) ? 0 : next_random(&seed) & 0xfff0000000000e18);
	switch (below(tame ? 80 : 20)) {
	case 0:
		return next_random(&seed) & ~(u64)P;
	case 1:
		return next_random(&seed) | P;
	case 2:
	case 3:
	case 4: /* a large page, or at the lowest level one with PAT */
		return bits | PS | (below(2) ? UI_BIT(30) : 0) | (below(4) ? 0 : UI_BIT(12));
	case 5:
		return bits | PS | PAGE_GPA(below(N_PAGES));
	case 6:
		return bits | (UI_BIT(40 + below(12))) | PAGE_GPA(below(N_PAGES));
	default:
		return bits | PAGE_GPA(below(tame ? 12 : 3) ? below(N_TABLES) : below(N_PAGES));
	}
}

static void random_memory(void)
{
	bool tame = below(4);

	for (unsigned i = 0; i < N_PAGES; i++) {
		for (unsigned j = 0; j < PAGE / 8; j++) {
			u64 word = i < N_TABLES ? 0 : next_random(&seed);

			memcpy(real[i] + j * 8, &word, 8);
		}
		for (unsigned j = 0; i < N_TABLES && j < ui_array_size(indices); j++) {
			u64 entry = random_entry(tame);

			memcpy(real[i] + indices[j] * 8, &entry, 8);
		}
	}
	memcpy(copy, real, sizeof(copy));
}

static void open_world(void)
{
	static const u64 widths[] = { 48, 57 };
	const bool five = below(2), sre = below(2), wpe = below(2);
	const struct vtd_s1_data s1 = { .flags = (sre ? SRE : 0u) | (wpe ? WPE : 0u), .pgtbl_addr = PAGE_GPA(below(4)),
					.addr_width = (u32)widths[five] };
	const struct ui_user_data data = { .type = TYPE_VTD_S1, .n_bytes = sizeof(s1), .uptr = (uintptr_t)&s1 };

	assert_true(world_open(&w, ui_driver_find("vtd"), 20));
	assert_int_equal(ui_domain_create_paging(w.dev, UI_DOMAIN_F_NEST_PARENT | UI_DOMAIN_F_DIRTY, NULL, &parent), 0);
	for (unsigned i = 0; i < N_PAGES; i++) {
		u64 kind = below(32);
		unsigned prot = kind == 0 ? 0 : kind == 1 ? UI_PROT_WRITE : kind < 4 ? UI_PROT_READ : RW;

		pages[i] = (struct ref_page){ .gpa = PAGE_GPA(i), .bytes = copy[i], .read = prot & UI_PROT_READ, .write = prot & UI_PROT_WRITE };
		if (prot)
			assert_int_equal(ui_domain_map(parent, PAGE_GPA(i), pa_of(real[i]), PAGE, prot, 64), 0);
	}
	ref = (struct ref_nested){ .pages = pages, .n_pages = N_PAGES, .levels = five ? 5 : 4, .sre = sre, .wpe = wpe, .top = s1.pgtbl_addr };
	assert_int_equal(ui_device_driver(w.dev)->nested(w.dev, parent, 0, &data, &nested), 0);
	assert_int_equal(ui_device_attach(w.dev, 0, false, nested, false, NULL), 0);
	assert_int_equal(ui_domain_set_dirty_tracking(parent, true), 0);
}

static u64 random_iova(void)
{
	u64 iova = below(PAGE / 8) * 8;

	for (int level = 0; level < ref.levels; level++)
		iova |= indices[below(ui_array_size(indices))] << (12 + 9 * level);
	/* The upper half is canonical; now and then it is left as it is, which is not. */
	if ((iova >> (ref.levels == 5 ? 56 : 47) & 1) && below(16))
		iova |= ~(u64)0 << (ref.levels == 5 ? 57 : 48);
	return iova;
}

static enum ui_dma_status expected(enum ref_result result)
{
	static const enum ui_dma_status status[] = {
		[REF_OK] = UI_DMA_OK, [REF_NOT_PRESENT] = UI_DMA_TRANSLATION, [REF_NO_PERMISSION] = UI_DMA_PERMISSION,
		[REF_RESERVED_BITS] = UI_DMA_MALFORMED, [REF_BAD_ADDRESS] = UI_DMA_ADDR_SIZE,
	};

	return status[result];
}

static unsigned n_ok, n_refused[3];
static bool written; /* data, which may be a table, since the last invalidation */

static void one_access(void)
{
	struct ui_dma_addr at_iova = { .iova = random_iova(), .priv = !below(3) };
	bool write = below(2), one_page = !written && below(2);
	u64 val = next_random(&seed), got;
	struct ref_answer want = ref_nested_access(&ref, at_iova.iova, write, at_iova.priv);
	struct ui_fault fault = { .reason = UI_DMA_OK };
	enum ui_dma_status status;
	struct vtd_inv_data inv = { .addr = one_page ? at_iova.iova & ~(u64)(PAGE - 1) : 0, .npages = one_page ? 1 : ALL_PAGES };

	/* As long as no table has changed, what TLBs and walkers remember must not show. */
	if (written || !below(4))
		assert_int_equal(invalidate_n(nested, &inv, 1, NULL), 0);
	written = want.result == REF_OK && write;
	status = write ? ui_dma_write(w.dma, &at_iova, &val, 8, NULL, &fault) : ui_dma_read(w.dma, &at_iova, &got, 8, NULL, &fault);
	if (status != expected(want.result))
		print_error("%d levels, iova %#" PRIx64 ", write %d, privileged %d\n", ref.levels, at_iova.iova, write, at_iova.priv);
	assert_int_equal(status, expected(want.result));
	if (want.result == REF_OK && write)
		memcpy(want.bytes, &val, 8);
	else if (want.result == REF_OK)
		assert_memory_equal(&got, want.bytes, 8);
	if (want.result != REF_OK) {
		assert_int_equal(fault.stage, want.stage);
		assert_int_equal(fault.on_walk, want.on_walk);
		if (want.stage == 2)
			assert_int_equal(fault.ipa, want.gpa);
	}
	n_ok += want.result == REF_OK;
	n_refused[want.stage] += want.result != REF_OK;
	assert_int_equal(memcmp(real, copy, sizeof(real)), 0);
}

static int clear_dirty(void *arg, u64 start, u64 last)
{
	for (unsigned i = 0; i < N_PAGES; i++) {
		if (PAGE_GPA(i) < start || PAGE_GPA(i) > last)
			continue;
		assert_true(pages[i].dirty);
		pages[i].dirty = false;
	}
	return 0;
}

static void close_world(void)
{
	assert_int_equal(ui_domain_read_dirty(parent, 0, ~(u64)0, false, clear_dirty, NULL), 0);
	for (unsigned i = 0; i < N_PAGES; i++)
		assert_false(pages[i].dirty);
	assert_int_equal(ui_device_detach(w.dev, 0, false), 0);
	ui_domain_destroy(nested);
	ui_domain_destroy(parent);
	world_close(&w);
	assert_int_equal(ui_alloc_live(), 0);
}

static void random_tables_answer_as_the_reference(void **state)
{
	const char *given = getenv("UIOMMU_TEST_SEED");
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	seed = (given ? strtoull(given, NULL, 0) : (u64)now.tv_nsec ^ (u64)now.tv_sec << 20) | 1;
	print_message("UIOMMU_TEST_SEED=%#" PRIx64 "\n", seed);
	for (unsigned i = 0; i < N_MEMORIES; i++) {
		random_memory();
		open_world();
		for (unsigned j = 0; j < N_ACCESSES; j++)
			one_access();
		close_world();
	}
	print_message("%u accesses done, %u refused by stage 1, %u by stage 2\n", n_ok, n_refused[1], n_refused[2]);
	assert_true(n_ok > 1000 && n_refused[1] > 100 && n_refused[2] > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(random_tables_answer_as_the_reference) };

	ui_log_set(UI_LOG_ERROR, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
