/* SPDX-License-Identifier: MIT */
/* What devices did is counted exactly, by device and PASID, where the embedder says, and what was done to domains by where they are attached. */
#include "common.h"
#include "core/iommu.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* x86-64 entries: present, writable, user; accessed and dirty in leaves. */
enum { TABLE = 0x7, LEAF = 0x67, IPA_TABLES = 0x100000, IPA_DATA = 0x200000, RID = 0x100, N_DEVICES = 2 };

struct numbers {
	u64 dmas, bytes, tlb_hits, tlb_misses, walks, nested_walks, faults, maps, unmaps, invalidations;
};

static u8 data[8 * PAGE] __attribute__((aligned(4096)));
static u64 tables[4][512] __attribute__((aligned(4096)));
static struct ui_driver_ops nesting;
static struct ui_stats *block;
static struct ui_domain *a, *b;
static struct world w;

static struct ui_device *device_new(u32 rid, u32 group)
{
	return ui_device_create(w.iommu, &(struct ui_device_cfg){ .rid = rid, .pasid_bits = 20, .name = "dev", .group = group });
}

/* An iommu that counts in memory of ours, one device, two domains. */
static int setup(void **state)
{
	size_t n_bytes = sizeof(*block) + N_DEVICES * sizeof(block->devices[0]);

	nesting = nesting_driver();
	memset(data, 'd', sizeof(data));
	block = aligned_alloc(64, n_bytes);
	memset(block, 0, n_bytes);
	w.mem = ui_mem_create_process();
	w.iommu = ui_iommu_create(&nesting, w.mem);
	ui_iommu_set_stats(w.iommu, block, N_DEVICES);
	w.dev = device_new(RID, 7);
	w.dma = ui_device_port_open(w.dev);
	return ui_domain_create_paging(w.dev, UI_DOMAIN_F_PASID | UI_DOMAIN_F_NEST_PARENT, NULL, &a) ||
	       ui_domain_create_paging(w.dev, UI_DOMAIN_F_PASID, NULL, &b);
}

static int teardown(void **state)
{
	ui_device_detach(w.dev, 0, false);
	for (u32 pasid = 0; pasid < 16; pasid++)
		ui_device_detach(w.dev, pasid, true);
	ui_domain_destroy(a);
	ui_domain_destroy(b);
	world_close(&w);
	free(block);
	return ui_alloc_live() ? -1 : 0;
}

static struct numbers numbers_of(const struct ui_stats_row *row)
{
	return (struct numbers){ ui_stats_get(&row->dmas), ui_stats_get(&row->bytes), ui_stats_get(&row->tlb_hits),
				 ui_stats_get(&row->tlb_misses), ui_stats_get(&row->walks), ui_stats_get(&row->nested_walks),
				 ui_stats_get(&row->faults), ui_stats_get(&row->maps), ui_stats_get(&row->unmaps),
				 ui_stats_get(&row->invalidations) };
}

static struct numbers none_of(struct ui_stats_dev *dev)
{
	return numbers_of(ui_stats_row(dev, 0, false));
}

static struct numbers pasid_of(struct ui_stats_dev *dev, u32 pasid)
{
	return numbers_of(ui_stats_row(dev, pasid, true));
}

static void same(struct numbers got, struct numbers want, int line)
{
	u64 values[2][sizeof(got) / sizeof(u64)];

	memcpy(values[0], &got, sizeof(got));
	memcpy(values[1], &want, sizeof(want));
	for (size_t i = 0; i < ui_array_size(values[0]); i++) {
		if (values[0][i] != values[1][i])
			fprintf(stderr, "line %d, number %zu: %u instead of %u\n", line, i, (unsigned)values[0][i], (unsigned)values[1][i]);
	}
	assert_memory_equal(&got, &want, sizeof(got));
}

#define SAME(got, ...) same(got, (struct numbers){ __VA_ARGS__ }, __LINE__)

static struct ui_stats_dev *mine(void)
{
	return ui_stats_device(block, N_DEVICES, RID);
}

static void read_ok(struct ui_dma_addr where, u64 n_bytes)
{
	static u8 buf[sizeof(data)];

	assert_int_equal(ui_dma_read(w.dma, &where, buf, n_bytes, NULL, NULL), UI_DMA_OK);
}

static void each_number_of_a_known_sequence(void **state)
{
	struct ui_dma_addr from = at_pasid(0x1000, 3), to = at(0x2000);
	struct ui_mem_span span;
	bool differs;

	assert_int_equal(ui_domain_map(a, 0x1000, pa_of(data), 4 * PAGE, RW, 64), 0);
	assert_int_equal(ui_device_attach(w.dev, 0, false, a, false, NULL), 0);
	assert_int_equal(ui_domain_map(a, 0x8000, pa_of(data), PAGE, RW, 64), 0);
	SAME(none_of(mine()), .maps = 1);
	read_ok(at(0x1000), 8); /* a miss, a walk */
	read_ok(at(0x1800), 8); /* a hit */
	SAME(none_of(mine()), .dmas = 2, .bytes = 16, .tlb_hits = 1, .tlb_misses = 1, .walks = 1, .maps = 1);
	read_ok(at(0x1ffc), 8); /* a hit, and the next page's miss */
	SAME(none_of(mine()), .dmas = 3, .bytes = 24, .tlb_hits = 2, .tlb_misses = 2, .walks = 2, .maps = 1);
	/* Refused half way, in a page that is looked for twice, as if it could go on, and for itself: what moved counts. */
	assert_int_equal(ui_dma_fill(w.dma, &(struct ui_dma_addr){ .iova = 0x8ff0 }, 0, 32, NULL, NULL), UI_DMA_TRANSLATION);
	SAME(none_of(mine()), .dmas = 4, .bytes = 40, .tlb_hits = 2, .tlb_misses = 5, .walks = 5, .faults = 1, .maps = 1);
	/* A copy is an access on each side. */
	assert_int_equal(ui_domain_map(b, 0x1000, pa_of(data), PAGE, UI_PROT_READ, 64), 0);
	assert_int_equal(ui_device_attach(w.dev, 3, true, b, false, NULL), 0);
	assert_int_equal(ui_dma_copy(w.dma, &from, &to, 100, NULL, NULL), UI_DMA_OK);
	SAME(none_of(mine()), .dmas = 5, .bytes = 140, .tlb_hits = 3, .tlb_misses = 5, .walks = 5, .faults = 1, .maps = 1);
	SAME(pasid_of(mine(), 3), .dmas = 1, .bytes = 100, .tlb_misses = 1, .walks = 1);
	assert_int_equal(ui_dma_compare(w.dma, &from, &from, 10, &differs, NULL, NULL), UI_DMA_OK);
	SAME(pasid_of(mine(), 3), .dmas = 3, .bytes = 120, .tlb_hits = 2, .tlb_misses = 1, .walks = 1);
	/* A handle, and one that is refused: nothing is attached there. */
	assert_int_equal(ui_dma_begin(w.dma, &from, UI_PROT_READ, 50, &span, NULL), UI_DMA_OK);
	ui_dma_end(w.dma);
	SAME(pasid_of(mine(), 3), .dmas = 4, .bytes = 170, .tlb_hits = 3, .tlb_misses = 1, .walks = 1);
	from.pasid = 4;
	assert_int_equal(ui_dma_begin(w.dma, &from, UI_PROT_READ, 50, &span, NULL), UI_DMA_BLOCKED);
	SAME(pasid_of(mine(), 4), .dmas = 1, .faults = 1);
	/* What TLBs forget; of a range that held nothing nobody need forget anything. */
	assert_int_equal(ui_domain_unmap(a, 0x1000, 0x1fff, UI_PT_SPLIT), PAGE);
	assert_int_equal(ui_domain_unmap(a, 0x1000, 0x1fff, UI_PT_SPLIT), 0);
	SAME(none_of(mine()), .dmas = 5, .bytes = 140, .tlb_hits = 3, .tlb_misses = 5, .walks = 5, .faults = 1, .maps = 1, .unmaps = 1,
	     .invalidations = 1);
	assert_int_equal(ui_device_detach(w.dev, 0, false), 0);
	assert_int_equal(ui_device_detach(w.dev, 3, true), 0);
	/* While nothing was attached: a's first map, b's. */
	SAME(numbers_of(&block->detached), .maps = 2);
}

static void a_nested_domains_row_has_its_walks_and_what_its_parent_gets(void **state)
{
	const struct ui_walk_cfg s1 = {
		.format = UI_PT_X86_64, .granule_lg2 = 12, .ia_bits = 48, .oa_bits = 52, .top_level = 3, .top_lg2 = 9,
		.write_protect = true, .top_pa = IPA_TABLES,
	};
	struct ui_domain *nested;

	memset(tables, 0, sizeof(tables));
	for (unsigned i = 0; i < 3; i++)
		tables[i][0] = (IPA_TABLES + (i + 1) * PAGE) | TABLE;
	tables[3][5] = IPA_DATA | LEAF;
	tables[3][6] = (IPA_DATA + PAGE) | LEAF;
	assert_int_equal(ui_domain_create_nested(a, &s1, &nested), 0);
	assert_int_equal(ui_device_attach(w.dev, 3, true, nested, false, NULL), 0);
	assert_int_equal(ui_domain_map(a, IPA_TABLES, pa_of(tables), sizeof(tables), UI_PROT_READ, 64), 0);
	assert_int_equal(ui_domain_map(a, IPA_DATA, pa_of(data), 4 * PAGE, RW, 64), 0);
	SAME(pasid_of(mine(), 3), .maps = 2);
	read_ok(at_pasid(0x5000, 3), 4);
	read_ok(at_pasid(0x5000, 3), 4);
	read_ok(at_pasid(0x6000, 3), 4);
	SAME(pasid_of(mine(), 3), .dmas = 3, .bytes = 12, .tlb_hits = 1, .tlb_misses = 2, .walks = 2, .nested_walks = 2, .maps = 2);
	/* The guest's own, then the parent's. */
	assert_int_equal(ui_domain_invalidate(nested, 0x5000, 0x5fff), 0);
	SAME(pasid_of(mine(), 3), .dmas = 3, .bytes = 12, .tlb_hits = 1, .tlb_misses = 2, .walks = 2, .nested_walks = 2, .maps = 2,
	     .invalidations = 1);
	assert_int_equal(ui_domain_unmap(a, IPA_DATA + PAGE, IPA_DATA + 2 * PAGE - 1, UI_PT_SPLIT), PAGE);
	SAME(pasid_of(mine(), 3), .dmas = 3, .bytes = 12, .tlb_hits = 1, .tlb_misses = 2, .walks = 2, .nested_walks = 2, .maps = 2,
	     .unmaps = 1, .invalidations = 2);
	/* A walk of the parent alone is not nested. */
	assert_int_equal(ui_device_attach(w.dev, 0, false, a, false, NULL), 0);
	read_ok(at(IPA_DATA), 1);
	SAME(none_of(mine()), .dmas = 1, .bytes = 1, .tlb_misses = 1, .walks = 1);
	assert_int_equal(ui_device_detach(w.dev, 0, false), 0);
	assert_int_equal(ui_device_detach(w.dev, 3, true), 0);
	ui_domain_destroy(nested);
	assert_int_equal(ui_domain_map(a, 0, pa_of(data), PAGE, RW, 64), 0);
	assert_int_equal(pasid_of(mine(), 3).maps, 2);
	SAME(numbers_of(&block->detached), .maps = 1);
}

static void a_map_counts_wherever_its_domain_is_attached(void **state)
{
	struct ui_device *peer = device_new(0x200, 7);
	struct ui_stats_dev *its = ui_stats_device(block, N_DEVICES, 0x200);

	assert_non_null(peer);
	assert_ptr_not_equal(its, mine());
	/* Devices of a group attach together. */
	assert_int_equal(ui_device_attach(w.dev, 0, false, a, false, NULL), 0);
	assert_int_equal(ui_device_attach(w.dev, 0, true, a, false, NULL), 0);
	assert_int_equal(ui_device_attach(w.dev, 9, true, b, false, NULL), 0);
	assert_int_equal(ui_domain_map(a, 0, pa_of(data), PAGE, RW, 64), 0);
	SAME(none_of(mine()), .maps = 1);
	SAME(pasid_of(mine(), 0), .maps = 1);
	SAME(none_of(its), .maps = 1);
	SAME(pasid_of(its, 0), .maps = 1);
	SAME(pasid_of(mine(), 9), .maps = 0);
	/* Replaced: the new domain's count there, the old one's no more. */
	assert_int_equal(ui_device_attach(w.dev, 0, true, b, true, NULL), 0);
	assert_int_equal(ui_domain_unmap(a, 0, PAGE - 1, UI_PT_SPLIT), PAGE);
	assert_int_equal(ui_domain_map(b, 0, pa_of(data), PAGE, RW, 64), 0);
	SAME(none_of(mine()), .maps = 1, .unmaps = 1, .invalidations = 1);
	SAME(pasid_of(mine(), 0), .maps = 2);
	SAME(pasid_of(its, 0), .maps = 2);
	SAME(pasid_of(its, 9), .maps = 1);
	assert_int_equal(ui_device_detach(w.dev, 0, true), 0);
	assert_int_equal(ui_device_detach(w.dev, 9, true), 0);
	assert_int_equal(ui_device_detach(w.dev, 0, false), 0);
	SAME(numbers_of(&block->detached), .maps = 0);
	ui_device_destroy(peer);
}

static void pasids_without_a_row_count_as_others(void **state)
{
	enum { N_OWN = UI_STATS_ROWS - 2, N = 100 };
	const struct ui_stats_row *row;
	unsigned i = 0, n = 0;

	assert_int_equal(ui_domain_map(a, 0, pa_of(data), PAGE, RW, 64), 0);
	for (u32 pasid = 1; pasid <= N; pasid++) {
		assert_int_equal(ui_device_attach(w.dev, 1000 * pasid, true, a, false, NULL), 0);
		read_ok(at_pasid(0, 1000 * pasid), 10);
	}
	while ((row = ui_stats_next(mine(), &i)))
		n++;
	assert_int_equal(n, UI_STATS_ROWS);
	SAME(pasid_of(mine(), 1000), .dmas = 1, .bytes = 10, .tlb_misses = 1, .walks = 1);
	SAME(pasid_of(mine(), 1000 * N_OWN), .dmas = 1, .bytes = 10, .tlb_hits = 1);
	SAME(numbers_of(&mine()->rows[UI_STATS_OTHER]), .dmas = N - N_OWN, .bytes = 10 * (N - N_OWN), .tlb_hits = N - N_OWN);
	/* One map is one to each row, until the last of its PASIDs is detached. */
	assert_int_equal(ui_domain_map(a, 0x1000, pa_of(data), PAGE, RW, 64), 0);
	assert_int_equal(pasid_of(mine(), 1000 * N_OWN).maps, 1);
	assert_int_equal(ui_stats_get(&mine()->rows[UI_STATS_OTHER].maps), 1);
	for (u32 pasid = 1; pasid < N; pasid++)
		assert_int_equal(ui_device_detach(w.dev, 1000 * pasid, true), 0);
	assert_int_equal(ui_domain_map(a, 0x2000, pa_of(data), PAGE, RW, 64), 0);
	assert_int_equal(pasid_of(mine(), 1000).maps, 1);
	assert_int_equal(ui_stats_get(&mine()->rows[UI_STATS_OTHER].maps), 2);
	assert_int_equal(ui_device_detach(w.dev, 1000 * N, true), 0);
	assert_int_equal(ui_domain_map(a, 0x3000, pa_of(data), PAGE, RW, 64), 0);
	assert_int_equal(ui_stats_get(&mine()->rows[UI_STATS_OTHER].maps), 2);
	SAME(numbers_of(&block->detached), .maps = 2);
}

static void a_device_keeps_its_counters_and_one_too_many_has_its_own(void **state)
{
	struct ui_device *second = device_new(0x200, 0), *third = device_new(0x300, 0);
	struct ui_dma *dma;

	assert_ptr_equal(ui_device_stats(second), &block->devices[1]);
	assert_null(ui_stats_device(block, N_DEVICES, 0x300));
	assert_non_null(third);
	assert_ptr_not_equal(ui_device_stats(third), NULL);
	dma = ui_device_port_open(third);
	assert_int_equal(ui_dma_read(dma, &(struct ui_dma_addr){ .iova = 0 }, data, 1, NULL, NULL), UI_DMA_BLOCKED);
	assert_int_equal(ui_stats_get(&ui_device_stats(third)->rows[0].dmas), 1);
	SAME(none_of(&block->devices[0]), 0);
	SAME(none_of(&block->devices[1]), 0);
	ui_dma_close(dma);
	ui_device_destroy(third);
	ui_device_destroy(second);
	second = device_new(0x200, 0);
	assert_ptr_equal(ui_device_stats(second), &block->devices[1]);
	ui_device_destroy(second);
}

/* Plain increments have one writer. */
static void of_several_ports_one_counts_for_the_device(void **state)
{
	struct ui_dma *other = ui_device_port_open(w.dev);
	struct ui_dma_addr where = at(0);
	struct ui_dma_stats stats;

	assert_int_equal(ui_dma_read(other, &where, data, 1, NULL, NULL), UI_DMA_BLOCKED);
	assert_int_equal(none_of(mine()).dmas, 0);
	ui_dma_stats(other, &stats);
	assert_int_equal(stats.dmas, 1);
	ui_dma_close(w.dma);
	ui_dma_close(other);
	w.dma = ui_device_port_open(w.dev);
	assert_int_equal(ui_dma_read(w.dma, &where, data, 1, NULL, NULL), UI_DMA_BLOCKED);
	assert_int_equal(none_of(mine()).dmas, 1);
}

static void an_attach_without_memory_for_its_row_changes_nothing(void **state)
{
	struct ui_domain *attached[2];
	u64 n = 0;
	int ret;

	/* As many as a domain has places for. */
	for (u32 pasid = 0; pasid < 4; pasid++)
		assert_int_equal(ui_device_attach(w.dev, pasid, true, a, false, NULL), 0);
	assert_int_equal(ui_device_attach(w.dev, 4, true, b, false, NULL), 0);
	do {
		ui_inject_arm(++n);
		ret = ui_device_attach(w.dev, 4, true, a, true, NULL);
		ui_inject_arm(0);
		attached[0] = ui_device_attached(w.dev, 4, true, NULL);
		assert_ptr_equal(attached[0], ret ? b : a);
		assert_int_equal(ui_domain_map(b, n * PAGE, pa_of(data), PAGE, RW, 64), 0);
		assert_int_equal(pasid_of(mine(), 4).maps, ret ? n : n - 1);
	} while (ret == -ENOMEM);
	assert_int_equal(ret, 0);
	assert_int_equal(n, 3); /* the attachment, the place for its row, and none fails */
	assert_int_equal(ui_domain_map(a, 0, pa_of(data), PAGE, RW, 64), 0);
	assert_int_equal(pasid_of(mine(), 4).maps, n);
	for (u32 pasid = 0; pasid < 5; pasid++)
		assert_int_equal(ui_device_detach(w.dev, pasid, true), 0);
}

static int refuse(struct ui_device *dev, u32 pasid, bool has_pasid, struct ui_domain *domain)
{
	return -EIO;
}

static void an_attach_that_the_driver_refuses_changes_nothing(void **state)
{
	assert_int_equal(ui_device_attach(w.dev, 0, false, b, false, NULL), 0);
	nesting.attach = refuse;
	assert_int_equal(ui_device_attach(w.dev, 0, false, a, true, NULL), -EIO);
	assert_int_equal(ui_device_attach(w.dev, 1, true, a, false, NULL), -EIO);
	nesting.attach = NULL;
	assert_int_equal(ui_domain_map(b, 0, pa_of(data), PAGE, RW, 64), 0);
	assert_int_equal(ui_domain_map(a, 0, pa_of(data), PAGE, RW, 64), 0);
	SAME(none_of(mine()), .maps = 1);
	SAME(pasid_of(mine(), 1), .maps = 0);
	SAME(numbers_of(&block->detached), .maps = 1);
}

static atomic_bool stop;

static void *maps_and_unmaps(void *arg)
{
	while (!atomic_load(&stop)) {
		assert_int_equal(ui_domain_map(a, 0, pa_of(data), PAGE, RW, 64), 0);
		assert_int_equal(ui_domain_unmap(a, 0, PAGE - 1, UI_PT_SPLIT), PAGE);
	}
	return NULL;
}

/* Its rows are gone when a device is, whoever is just about to count. */
static void a_device_goes_while_its_domain_is_mapped(void **state)
{
	pthread_t thread;

	atomic_store(&stop, false);
	assert_int_equal(pthread_create(&thread, NULL, maps_and_unmaps, NULL), 0);
	for (unsigned i = 0; i < 300; i++) {
		/* The block has no room for it: its counters go with it. */
		struct ui_device *second = device_new(0x200, 0), *third = device_new(0x300, 0);

		assert_int_equal(ui_device_attach(third, 0, false, a, false, NULL), 0);
		sched_yield();
		assert_int_equal(ui_device_detach(third, 0, false), 0);
		ui_device_destroy(third);
		ui_device_destroy(second);
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(each_number_of_a_known_sequence),
		TEST(a_nested_domains_row_has_its_walks_and_what_its_parent_gets),
		TEST(a_map_counts_wherever_its_domain_is_attached),
		TEST(pasids_without_a_row_count_as_others),
		TEST(a_device_keeps_its_counters_and_one_too_many_has_its_own),
		TEST(of_several_ports_one_counts_for_the_device),
		TEST(an_attach_without_memory_for_its_row_changes_nothing),
		TEST(an_attach_that_the_driver_refuses_changes_nothing),
		TEST(a_device_goes_while_its_domain_is_mapped),
	};

	ui_safe_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
