/* SPDX-License-Identifier: MIT */
/* iommu, device, group: what they say of themselves, who owns them, what they refuse. */
#include "common.h"
#include "core/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct world w;

static int setup(void **state)
{
	return world_open(&w, NULL, 20) ? 0 : -1;
}

static int teardown(void **state)
{
	world_close(&w);
	return ui_alloc_live() ? -1 : 0;
}

static void kinds_are_found_by_name(void **state)
{
	assert_string_equal(ui_driver_find("generic")->name, "generic");
	assert_null(ui_driver_find("nothing"));
	assert_null(ui_driver_find(""));
}

static void generic_tells_its_facts(void **state)
{
	const struct ui_driver_ops *driver = ui_device_driver(w.dev);
	struct ui_hw_info info = { .type = 99 };
	const struct ui_resv *resv;
	size_t n;

	resv = ui_device_reserved(w.dev, &n);
	assert_int_equal(n, 1);
	assert_int_equal(resv[0].start, 0xfee00000);
	assert_int_equal(resv[0].last, 0xfeefffff);
	assert_true(resv[0].msi);
	driver->hw_info(w.dev, &info);
	assert_int_equal(info.type, 0);
	assert_int_equal(info.data_bytes, 0);
	assert_true(ui_device_dirty_capable(w.dev));
	assert_int_equal(ui_device_pasid_bits(w.dev), 20);
	assert_ptr_equal(ui_device_iommu(w.dev), w.iommu);
	assert_string_equal(ui_device_name(w.dev), "0000:01:00.0");
}

static void a_rid_is_used_once(void **state)
{
	struct ui_device_cfg cfg = { .rid = 0x100, .name = "twin" };
	struct ui_device *dev;

	assert_null(ui_device_create(w.iommu, &cfg));
	cfg.rid = 0x101;
	dev = ui_device_create(w.iommu, &cfg);
	assert_non_null(dev);
	assert_null(ui_device_create(w.iommu, &cfg));
	ui_device_destroy(dev);
	dev = ui_device_create(w.iommu, &cfg);
	assert_non_null(dev);
	ui_device_destroy(dev);
}

static void more_pasid_bits_than_the_kind_has_are_refused(void **state)
{
	const struct ui_device_cfg cfg = { .rid = 0x200, .pasid_bits = 21, .name = "wide" };
	struct ui_driver_ops narrow = *ui_driver_find("generic");
	const struct ui_device_cfg nine = { .rid = 0x200, .pasid_bits = 9, .name = "nine" };
	struct ui_iommu *iommu;

	assert_null(ui_device_create(w.iommu, &cfg));
	narrow.pasid_bits = 8;
	iommu = ui_iommu_create(&narrow, w.mem);
	assert_null(ui_device_create(iommu, &nine));
	ui_iommu_destroy(iommu);
}

static void one_owner_at_a_time(void **state)
{
	int a, b;

	assert_int_equal(ui_device_claim(w.dev, &a), 0);
	assert_int_equal(ui_device_claim(w.dev, &b), -EBUSY);
	assert_int_equal(ui_device_claim(w.dev, &a), 0);
	ui_device_release(w.dev, &a);
	assert_int_equal(ui_device_claim(w.dev, &b), -EBUSY);
	ui_device_release(w.dev, &a);
	assert_int_equal(ui_device_claim(w.dev, &b), 0);
	ui_device_release(w.dev, &b);
}

static void ownership_is_the_groups(void **state)
{
	const struct ui_device_cfg cfg_a = { .rid = 0x300, .name = "a", .group = 7 }, cfg_b = { .rid = 0x301, .name = "b", .group = 7 };
	struct ui_device *a = ui_device_create(w.iommu, &cfg_a), *b = ui_device_create(w.iommu, &cfg_b);
	int one, two;

	assert_int_equal(ui_device_claim(a, &one), 0);
	assert_int_equal(ui_device_claim(b, &two), -EBUSY);
	assert_int_equal(ui_device_claim(w.dev, &two), 0);
	assert_int_equal(ui_device_claim(b, &one), 0);
	ui_device_release(a, &one);
	assert_int_equal(ui_device_claim(a, &two), -EBUSY);
	ui_device_release(b, &one);
	ui_device_release(w.dev, &two);
	ui_device_destroy(a);
	ui_device_destroy(b);
}

static void devices_of_a_group_attach_together(void **state)
{
	const struct ui_device_cfg cfg_a = { .rid = 0x300, .pasid_bits = 20, .name = "a", .group = 7 };
	const struct ui_device_cfg cfg_b = { .rid = 0x301, .pasid_bits = 4, .name = "b", .group = 7 };
	const struct ui_device_cfg cfg_c = { .rid = 0x302, .name = "c", .group = 7 };
	struct ui_device *a = ui_device_create(w.iommu, &cfg_a), *b = ui_device_create(w.iommu, &cfg_b);
	struct ui_domain *identity = ui_domain_identity(w.iommu);
	struct ui_dma *port = ui_device_port_open(b);
	char text[] = "in memory", seen[sizeof(text)] = "";
	struct ui_dma_addr text_at = at(pa_of(text));

	assert_int_equal(ui_dma_read(port, &text_at, seen, sizeof(seen), NULL, NULL), UI_DMA_BLOCKED);
	assert_int_equal(ui_device_attach(a, 0, false, identity, false, NULL), 0);
	assert_int_equal(ui_device_attach(b, 0, false, identity, false, NULL), -EBUSY);
	assert_ptr_equal(ui_device_attached(b, 0, false, NULL), identity);
	assert_null(ui_device_attached(w.dev, 0, false, NULL));
	assert_int_equal(ui_dma_read(port, &text_at, seen, sizeof(seen), NULL, NULL), UI_DMA_OK);
	assert_string_equal(seen, text);
	/* The narrowest device says which PASIDs the group has, and a newcomer would reach memory it was not given. */
	assert_int_equal(ui_device_attach(a, 16, true, identity, false, NULL), -EINVAL);
	assert_int_equal(ui_device_attach(a, 15, true, identity, false, NULL), 0);
	assert_int_equal(ui_device_n_pasids(b), 1);
	assert_null(ui_device_create(w.iommu, &cfg_c));
	assert_int_equal(ui_device_detach(b, 15, true), 0);
	assert_int_equal(ui_device_detach(b, 0, false), 0);
	assert_null(ui_device_attached(a, 0, false, NULL));
	ui_dma_close(port);
	ui_device_destroy(b);
	b = ui_device_create(w.iommu, &cfg_c);
	assert_non_null(b);
	/* One without PASIDs does not count. */
	assert_int_equal(ui_device_attach(a, 16, true, identity, false, NULL), 0);
	assert_int_equal(ui_device_detach(b, 16, true), 0);
	ui_device_destroy(a);
	ui_device_destroy(b);
}

/* A table page of an iommu over an embedder's memory has a pa there, and no DMA can write it (design, idea 4). */
static void tables_in_an_embedders_memory_are_read_only_regions(void **state)
{
	static u8 ram[4 * PAGE] __attribute__((aligned(4096)));
	struct ui_device_cfg cfg = { .rid = 1, .name = "embedded" };
	struct ui_mem *mem = ui_mem_create();
	struct ui_dma_addr where;
	struct ui_iommu *iommu;
	struct ui_domain *domain;
	struct ui_mem_span span;
	struct ui_device *dev;
	struct ui_dma *port;
	u64 top_pa, word = 0, zero = 0;

	assert_int_equal(ui_mem_add_ram(mem, 0x80000000, sizeof(ram), ram, true), 0);
	iommu = ui_iommu_create(ui_driver_find("generic"), mem);
	dev = ui_device_create(iommu, &cfg);
	port = ui_device_port_open(dev);
	assert_int_equal(ui_domain_create_paging(dev, 0, NULL, &domain), 0);
	assert_int_equal(ui_domain_map(domain, 0, 0x80001000, PAGE, RW, 64), 0);
	assert_int_equal(ui_device_attach(dev, 0, false, domain, false, NULL), 0);
	ram[PAGE] = 0x5a;
	where = at(0);
	assert_int_equal(ui_dma_read(port, &where, &word, 1, NULL, NULL), UI_DMA_OK);
	assert_int_equal(word, 0x5a);
	assert_int_equal(ui_device_attach(dev, 0, false, ui_domain_identity(iommu), true, NULL), 0);
	top_pa = domain->pt.top_pa;
	assert_true(top_pa >= UI_BIT(51));
	assert_true(ui_mem_resolve(mem, top_pa, &span));
	assert_false(span.writable);
	assert_int_equal(pa_of(span.host), top_pa - UI_BIT(51));
	where = at(top_pa);
	assert_int_equal(ui_dma_read(port, &where, &word, 8, NULL, NULL), UI_DMA_OK);
	assert_int_not_equal(word, 0);
	assert_int_not_equal(ui_dma_write(port, &where, &zero, 8, NULL, NULL), UI_DMA_OK);
	assert_int_equal(ui_dma_read(port, &where, &zero, 8, NULL, NULL), UI_DMA_OK);
	assert_int_equal(zero, word);
	assert_int_equal(ui_device_detach(dev, 0, false), 0);
	ui_domain_destroy(domain);
	ui_dma_close(port);
	ui_device_destroy(dev);
	ui_iommu_destroy(iommu);
	assert_false(ui_mem_resolve(mem, top_pa, &span));
	ui_mem_destroy(mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(kinds_are_found_by_name, setup, teardown),
		cmocka_unit_test_setup_teardown(generic_tells_its_facts, setup, teardown),
		cmocka_unit_test_setup_teardown(a_rid_is_used_once, setup, teardown),
		cmocka_unit_test_setup_teardown(more_pasid_bits_than_the_kind_has_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(one_owner_at_a_time, setup, teardown),
		cmocka_unit_test_setup_teardown(ownership_is_the_groups, setup, teardown),
		cmocka_unit_test_setup_teardown(devices_of_a_group_attach_together, setup, teardown),
		cmocka_unit_test_setup_teardown(tables_in_an_embedders_memory_are_read_only_regions, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
