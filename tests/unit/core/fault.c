/* SPDX-License-Identifier: MIT */
/* Every unrecoverable DMA fault is one line of the log (issue 2, item 9) and one call of the embedder's sink. */
#include "common.h"
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct world w;
static struct ui_domain *domain;
static u8 page[PAGE] __attribute__((aligned(4096)));
static char line[512];
static unsigned n_lines, n_faults;
static struct ui_fault fault;

static void keep_line(void *arg, enum ui_log_level level, const char *text)
{
	if (level != UI_LOG_FAULT)
		return;
	n_lines++;
	snprintf(line, sizeof(line), "%s", text);
}

static void keep_fault(void *arg, const struct ui_fault *f)
{
	assert_ptr_equal(arg, &w);
	n_faults++;
	fault = *f;
}

static int setup(void **state)
{
	if (!world_open(&w, NULL, 8))
		return -1;
	ui_log_set(UI_LOG_FAULT, keep_line, NULL);
	ui_iommu_set_fault_sink(w.iommu, keep_fault, &w);
	n_lines = n_faults = 0;
	if (ui_domain_create_paging(w.dev, UI_DOMAIN_F_PASID, NULL, &domain) ||
	    ui_domain_map(domain, 0x1000, pa_of(page), PAGE, UI_PROT_READ, 64))
		return -1;
	return 0;
}

static int teardown(void **state)
{
	ui_device_detach(w.dev, 5, true);
	ui_domain_destroy(domain);
	world_close(&w);
	return ui_alloc_live() ? -1 : 0;
}

static void each_fault_is_one_line_and_one_call(void **state)
{
	struct ui_dma_addr where = at_pasid(0x2000, 5);
	u8 bytes[PAGE + 1] = { 0 };

	assert_int_equal(ui_device_attach(w.dev, 5, true, domain, false, NULL), 0);
	assert_int_equal(ui_dma_write(w.dma, &where, bytes, 8, NULL, NULL), UI_DMA_TRANSLATION);
	assert_string_equal(line, "DMA fault: 0000:01:00.0 pasid 5 write 0x2000: not mapped");
	assert_int_equal(n_lines, 1);
	assert_int_equal(n_faults, 1);
	assert_int_equal(fault.reason, UI_DMA_TRANSLATION);
	assert_int_equal(fault.rid, 0x100);
	assert_int_equal(fault.pasid, 5);
	assert_true(fault.has_pasid);
	assert_int_equal(fault.iova, 0x2000);

	where.iova = 0x1000;
	assert_int_equal(ui_dma_write(w.dma, &where, bytes, 8, NULL, NULL), UI_DMA_PERMISSION);
	assert_string_equal(line, "DMA fault: 0000:01:00.0 pasid 5 write 0x1000: not permitted");
	/* The first byte refused, not the first byte asked for. */
	assert_int_equal(ui_dma_read(w.dma, &where, bytes, PAGE + 1, NULL, NULL), UI_DMA_TRANSLATION);
	assert_string_equal(line, "DMA fault: 0000:01:00.0 pasid 5 read 0x2000: not mapped");
	where = at(0x1000);
	assert_int_equal(ui_dma_read(w.dma, &where, bytes, 1, NULL, NULL), UI_DMA_BLOCKED);
	assert_string_equal(line, "DMA fault: 0000:01:00.0 no pasid read 0x1000: no address space attached");
	where = at_pasid(0x1000, 256);
	assert_int_equal(ui_dma_read(w.dma, &where, bytes, 1, NULL, NULL), UI_DMA_BAD_PASID);
	assert_string_equal(line, "DMA fault: 0000:01:00.0 pasid 256 read 0x1000: no such PASID");
	assert_int_equal(n_lines, 5);
	assert_int_equal(n_faults, 5);
}

static void the_line_can_be_switched_off_the_call_stays(void **state)
{
	struct ui_dma_addr where = at(0x1000);
	u8 byte;

	ui_log_set(UI_LOG_WARN, keep_line, NULL);
	assert_int_equal(ui_dma_read(w.dma, &where, &byte, 1, NULL, NULL), UI_DMA_BLOCKED);
	assert_int_equal(n_lines, 0);
	assert_int_equal(n_faults, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_fault_is_one_line_and_one_call, setup, teardown),
		cmocka_unit_test_setup_teardown(the_line_can_be_switched_off_the_call_stays, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
