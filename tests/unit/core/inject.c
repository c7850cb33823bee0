/* SPDX-License-Identifier: MIT */
/*
 * A whole scenario with each allocation failing in turn: every step succeeds or leaves everything as it was, and at the end nothing
 * is left allocated.
 */
#include "common.h"
#include "core/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define BIG (2u << 20)

static u8 pages[4 * PAGE] __attribute__((aligned(4096)));
static struct ui_driver_ops nesting;

/* What a step must not change when it fails, read before and after. */
struct view {
	struct ui_domain *no_pasid, *pasid;
	unsigned n_pasids, n_mapped;
	char seen[2];
};

static struct view look(struct world *w, struct ui_domain *domain)
{
	struct ui_dma_addr where[2] = { at(0x1000), at_pasid(0x1000, 9) };
	struct view v = { 0 };
	struct ui_walk walk;

	v.no_pasid = ui_device_attached(w->dev, 0, false, NULL);
	v.pasid = ui_device_attached(w->dev, 9, true, NULL);
	v.n_pasids = ui_device_n_pasids(w->dev);
	for (u64 iova = 0; domain && iova < 8 * PAGE; iova += PAGE)
		v.n_mapped += !ui_domain_lookup(domain, iova, &walk);
	for (unsigned i = 0; i < 2; i++) {
		if (ui_dma_read(w->dma, &where[i], &v.seen[i], 1, NULL, NULL) != UI_DMA_OK)
			v.seen[i] = '-';
	}
	return v;
}

/* Runs one step under the armed injection; false ends the scenario. */
#define STEP(expr)                                                                                                        \
	do {                                                                                                               \
		u64 left_ = ui_inject_left();                                                                              \
		struct view before_, after_;                                                                               \
		long ret_;                                                                                                 \
                                                                                                                           \
		ui_inject_arm(0);                                                                                          \
		before_ = look(&w, a);                                                                                     \
		ui_inject_arm(left_);                                                                                      \
		ret_ = (expr);                                                                                             \
		if (ret_ < 0) {                                                                                            \
			assert_int_equal(ret_, -ENOMEM);                                                                   \
			assert_int_equal(ui_inject_left(), 0);                                                             \
			after_ = look(&w, a);                                                                              \
			assert_memory_equal(&before_, &after_, sizeof(before_));                                           \
			goto out;                                                                                          \
		}                                                                                                          \
	} while (0)

static int open_device(struct world *w, const struct ui_device_cfg *cfg, struct ui_device **dev)
{
	*dev = ui_device_create(w->iommu, cfg);
	return *dev ? 0 : -ENOMEM;
}

static bool run(void)
{
	const struct ui_walk_cfg s1 = {
		.format = UI_PT_X86_64, .granule_lg2 = 12, .ia_bits = 48, .oa_bits = 52, .top_level = 3, .top_lg2 = 9, .top_pa = 0x1000,
	};
	const struct ui_device_cfg second = { .rid = 0x999, .pasid_bits = 4, .name = "second", .group = 3 };
	struct ui_domain *a = NULL, *b = NULL, *nested = NULL;
	struct ui_device *other = NULL;
	bool whole = false;
	struct world w;

	if (!world_open(&w, &nesting, 20))
		return false;
	STEP(open_device(&w, &second, &other));
	STEP(ui_domain_create_paging(w.dev, UI_DOMAIN_F_PASID | UI_DOMAIN_F_DIRTY | UI_DOMAIN_F_NEST_PARENT, NULL, &a));
	STEP(ui_domain_create_paging(w.dev, UI_DOMAIN_F_PASID, NULL, &b));
	STEP(ui_domain_create_nested(a, &s1, &nested));
	STEP(ui_domain_map(a, 0x1000, pa_of(pages), PAGE, RW, 64));
	STEP(ui_domain_map(a, BIG, 8ull * BIG, BIG, UI_PROT_READ, 64));
	STEP(ui_device_attach(w.dev, 0, false, a, false, NULL));
	STEP(ui_domain_map(a, 0x40000000, pa_of(pages), 3 * PAGE, RW, 64));
	STEP(ui_domain_map(b, 0x1000, pa_of(pages + PAGE), PAGE, RW, 64));
	STEP(ui_device_attach(w.dev, 9, true, b, false, NULL));
	STEP(ui_device_attach(w.dev, 0, false, b, true, NULL));
	STEP(ui_device_attach(w.dev, 9, true, a, true, NULL));
	STEP(ui_device_attach(w.dev, 0x80000, true, nested, false, NULL));
	STEP(ui_domain_unmap(a, BIG, BIG + PAGE - 1, UI_PT_SPLIT));
	STEP(ui_domain_unmap(a, 0x1000, 0x1fff, UI_PT_SPLIT));
	STEP(ui_domain_set_dirty_tracking(a, true));
	STEP(ui_device_detach(w.dev, 0, false));
	STEP(ui_device_detach(w.dev, 9, true));
	STEP(ui_domain_unmap(a, 0, ~(u64)0, UI_PT_SPLIT));
	whole = true;
out:
	/* Taking down never needs memory. */
	assert_int_equal(ui_device_detach(w.dev, 0, false), 0);
	assert_int_equal(ui_device_detach(w.dev, 9, true), 0);
	assert_int_equal(ui_device_detach(w.dev, 0x80000, true), 0);
	ui_device_destroy(other);
	ui_domain_destroy(nested);
	ui_domain_destroy(a);
	ui_domain_destroy(b);
	world_close(&w);
	return whole;
}

static void each_failed_allocation_leaves_everything_as_it_was(void **state)
{
	u64 n = 0;
	bool whole, fired;

	nesting = nesting_driver();
	assert_int_equal(ui_safe_install(), 0);
	do {
		ui_inject_arm(++n);
		whole = run();
		fired = !ui_inject_left();
		ui_inject_arm(0);
		assert_int_equal(ui_alloc_live(), 0);
		assert_true(n < 1000);
	} while (fired);
	assert_true(whole);
	print_message("%u allocation points\n", (unsigned)n - 1);
	assert_true(n > 25);
}

/* As above over an embedder's memory, where table pages are regions of it. */
static void an_embedders_memory_gets_its_regions_back(void **state)
{
	struct ui_mem *mem = ui_mem_create();
	const struct ui_device_cfg cfg = { .rid = 1, .name = "embedded" };
	bool whole = false;

	for (u64 n = 1; !whole; n++) {
		struct ui_device *dev = NULL;
		struct ui_domain *domain = NULL;
		struct ui_iommu *iommu;

		ui_inject_arm(n);
		iommu = ui_iommu_create(ui_driver_find("generic"), mem);
		if (iommu)
			dev = ui_device_create(iommu, &cfg);
		if (dev && !ui_domain_create_paging(dev, 0, NULL, &domain))
			whole = !ui_domain_map(domain, 0x1000, 0x1000, PAGE, RW, 64);
		ui_inject_arm(0);
		ui_domain_destroy(domain);
		ui_device_destroy(dev);
		ui_iommu_destroy(iommu);
		assert_true(n < 100);
	}
	ui_mem_destroy(mem);
	assert_int_equal(ui_alloc_live(), 0);
}

/* Taking a region out of an embedder's memory may fail; then what it names stays readable. */
static void a_region_that_stays_is_not_dangling(void **state)
{
	const struct ui_device_cfg cfg = { .rid = 1, .name = "embedded" };
	struct ui_mem *mem = ui_mem_create();
	struct ui_iommu *iommu = ui_iommu_create(ui_driver_find("generic"), mem);
	struct ui_device *dev = ui_device_create(iommu, &cfg);
	struct ui_domain *domain;
	struct ui_mem_span span;
	u64 pa, word;

	assert_int_equal(ui_domain_create_paging(dev, 0, NULL, &domain), 0);
	pa = domain->pt.top_pa;
	ui_domain_destroy(domain);
	ui_device_destroy(dev);
	ui_inject_arm(1);
	ui_iommu_destroy(iommu);
	ui_inject_arm(0);
	if (ui_mem_resolve(mem, pa, &span))
		assert_int_equal(ui_safe_load64(span.host, &word), 0);
	ui_mem_destroy(mem);
	assert_int_equal(ui_alloc_live(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_failed_allocation_leaves_everything_as_it_was),
		cmocka_unit_test(an_embedders_memory_gets_its_regions_back),
		cmocka_unit_test(a_region_that_stays_is_not_dangling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
