/* SPDX-License-Identifier: MIT */
/* Attachments, one thread: which memory a device and a PASID reach, and what is refused. */
#include "common.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct world w;
static u8 pages[4][PAGE] __attribute__((aligned(4096)));
static struct ui_domain *dom[4]; /* maps iova 0x1000 to pages[i] */

static int setup(void **state)
{
	if (!world_open(&w, NULL, 16))
		return -1;
	for (unsigned i = 0; i < 4; i++) {
		memset(pages[i], (int)('a' + i), PAGE);
		if (ui_domain_create_paging(w.dev, UI_DOMAIN_F_PASID, NULL, &dom[i]) ||
		    ui_domain_map(dom[i], 0x1000, pa_of(pages[i]), PAGE, RW, 64))
			return -1;
	}
	return 0;
}

static int teardown(void **state)
{
	ui_device_detach(w.dev, 0, false);
	for (u32 pasid = 0; ui_device_n_pasids(w.dev) && pasid <= 0xffff; pasid++) /* left by a test that failed */
		ui_device_detach(w.dev, pasid, true);
	for (unsigned i = 0; i < 4; i++)
		ui_domain_destroy(dom[i]);
	world_close(&w);
	return ui_alloc_live() ? -1 : 0;
}

/* What the device reads at 0x1000: a character, or '-' blocked, '!' no such PASID, '?' anything else. */
static char seen(u32 pasid, bool has_pasid)
{
	struct ui_dma_addr where = { .iova = 0x1000, .pasid = pasid, .has_pasid = has_pasid };
	char c = 0;

	switch (ui_dma_read(w.dma, &where, &c, 1, NULL, NULL)) {
	case UI_DMA_OK:
		return c;
	case UI_DMA_BLOCKED:
		return '-';
	case UI_DMA_BAD_PASID:
		return '!';
	default:
		return '?';
	}
}

static void a_device_is_blocked_until_attached_and_again_when_detached(void **state)
{
	void *label = NULL;

	assert_int_equal(seen(0, false), '-');
	assert_int_equal(ui_device_attach(w.dev, 0, false, dom[0], false, pages), 0);
	assert_int_equal(seen(0, false), 'a');
	assert_ptr_equal(ui_device_attached(w.dev, 0, false, &label), dom[0]);
	assert_ptr_equal(label, pages);
	assert_int_equal(ui_device_detach(w.dev, 0, false), 0);
	assert_int_equal(seen(0, false), '-');
	assert_null(ui_device_attached(w.dev, 0, false, NULL));
	assert_int_equal(ui_device_detach(w.dev, 0, false), 0);
}

static void attach_over_an_attachment_must_say_replace(void **state)
{
	assert_int_equal(ui_device_attach(w.dev, 0, false, dom[0], false, NULL), 0);
	assert_int_equal(ui_device_attach(w.dev, 0, false, dom[1], false, NULL), -EBUSY);
	assert_int_equal(seen(0, false), 'a');
	assert_int_equal(ui_device_attach(w.dev, 0, false, dom[1], true, NULL), 0);
	assert_int_equal(seen(0, false), 'b');
	assert_int_equal(ui_device_attach(w.dev, 0, false, dom[1], true, NULL), 0);
	assert_int_equal(seen(0, false), 'b');
	ui_device_detach(w.dev, 0, false);
}

/* Design, words: "no PASID" is not PASID 0. */
static void no_pasid_is_not_pasid_0(void **state)
{
	assert_int_equal(ui_device_attach(w.dev, 0, false, dom[0], false, NULL), 0);
	assert_int_equal(seen(0, false), 'a');
	assert_int_equal(seen(0, true), '-');
	assert_int_equal(ui_device_attach(w.dev, 0, true, dom[1], false, NULL), 0);
	assert_int_equal(seen(0, false), 'a');
	assert_int_equal(seen(0, true), 'b');
	assert_int_equal(ui_device_detach(w.dev, 0, false), 0);
	assert_int_equal(seen(0, false), '-');
	assert_int_equal(seen(0, true), 'b');
	assert_int_equal(ui_device_detach(w.dev, 0, true), 0);
}

static void pasid_1_never_reaches_the_memory_of_pasid_2(void **state)
{
	struct ui_dma_addr one = at_pasid(0x1000, 1);
	u8 ones[PAGE];

	memset(ones, '1', sizeof(ones));
	assert_int_equal(ui_device_attach(w.dev, 1, true, dom[1], false, NULL), 0);
	assert_int_equal(ui_device_attach(w.dev, 2, true, dom[2], false, NULL), 0);
	assert_int_equal(ui_device_n_pasids(w.dev), 2);
	for (unsigned round = 0; round < 3; round++) {
		assert_int_equal(seen(2, true), 'c');
		assert_int_equal(ui_dma_write(w.dma, &one, ones, PAGE, NULL, NULL), UI_DMA_OK);
		assert_int_equal(seen(1, true), '1');
		assert_int_equal(seen(2, true), 'c');
	}
	for (unsigned i = 0; i < PAGE; i++) {
		assert_int_equal(pages[1][i], '1');
		assert_int_equal(pages[0][i], 'a');
		assert_int_equal(pages[2][i], 'c');
	}
	assert_int_equal(ui_device_detach(w.dev, 1, true), 0);
	assert_int_equal(seen(1, true), '-');
	assert_int_equal(seen(2, true), 'c');
	assert_int_equal(ui_device_detach(w.dev, 2, true), 0);
	assert_int_equal(ui_device_n_pasids(w.dev), 0);
}

static void the_whole_width_of_pasids_works_and_nothing_beyond(void **state)
{
	static const u32 ok[] = { 0, 1, 1023, 1024, 0x7fff, 0xffff }, bad[] = { 0x10000, 0xfffff, 0x100000, 0xffffffff };

	for (size_t i = 0; i < ui_array_size(ok); i++)
		assert_int_equal(ui_device_attach(w.dev, ok[i], true, dom[i % 4], false, NULL), 0);
	for (size_t i = 0; i < ui_array_size(ok); i++)
		assert_int_equal(seen(ok[i], true), "abcd"[i % 4]);
	assert_int_equal(seen(1025, true), '-');
	for (size_t i = 0; i < ui_array_size(bad); i++) {
		assert_int_equal(ui_device_attach(w.dev, bad[i], true, dom[0], false, NULL), -EINVAL);
		assert_int_equal(seen(bad[i], true), '!');
		assert_null(ui_device_attached(w.dev, bad[i], true, NULL));
		assert_int_equal(ui_device_detach(w.dev, bad[i], true), 0);
	}
	assert_int_equal(ui_device_n_pasids(w.dev), ui_array_size(ok));
	for (size_t i = 0; i < ui_array_size(ok); i++)
		assert_int_equal(ui_device_detach(w.dev, ok[i], true), 0);
}

static void a_device_without_pasids_has_none(void **state)
{
	const struct ui_device_cfg cfg = { .rid = 0x800, .name = "plain" };
	struct ui_device *dev = ui_device_create(w.iommu, &cfg);
	struct ui_dma *port = ui_device_port_open(dev);
	struct ui_dma_addr zero = at_pasid(0x1000, 0);
	char c;

	/* As with a kernel it can be attached so; it makes no difference to what it sends. */
	assert_int_equal(ui_device_attach(dev, 0, true, dom[0], false, NULL), 0);
	assert_int_equal(ui_device_attach(dev, 5, true, dom[0], false, NULL), 0);
	assert_int_equal(ui_device_attach(dev, 5, true, dom[0], false, NULL), -EBUSY);
	assert_int_equal(ui_device_attach(dev, 1u << 20, true, dom[0], false, NULL), -EINVAL);
	assert_int_equal(ui_dma_read(port, &zero, &c, 1, NULL, NULL), UI_DMA_BAD_PASID);
	assert_int_equal(ui_device_detach(dev, 0, true), 0);
	assert_int_equal(ui_device_detach(dev, 5, true), 0);
	assert_int_equal(ui_device_n_pasids(dev), 0);
	assert_int_equal(ui_device_attach(dev, 0, false, dom[0], false, NULL), 0);
	assert_int_equal(ui_dma_read(port, &zero, &c, 1, NULL, NULL), UI_DMA_BAD_PASID);
	ui_device_detach(dev, 0, false);
	ui_dma_close(port);
	ui_device_destroy(dev);
}

static void a_domain_must_fit_the_attachment(void **state)
{
	struct ui_domain *plain;
	struct world other;

	assert_int_equal(ui_domain_create_paging(w.dev, 0, NULL, &plain), 0);
	assert_int_equal(ui_device_attach(w.dev, 1, true, plain, false, NULL), -EINVAL);
	assert_int_equal(ui_device_attach(w.dev, 0, false, plain, false, NULL), 0);
	ui_device_detach(w.dev, 0, false);
	ui_domain_destroy(plain);
	assert_true(world_open(&other, NULL, 0));
	assert_int_equal(ui_device_attach(other.dev, 0, false, dom[0], false, NULL), -EINVAL);
	assert_int_equal(ui_device_attach(w.dev, 0, false, ui_domain_identity(other.iommu), false, NULL), -EINVAL);
	world_close(&other);
}

static void blocked_and_identity_are_domains_like_others(void **state)
{
	struct ui_domain *blocked = ui_domain_blocked(w.iommu), *identity = ui_domain_identity(w.iommu);
	struct ui_dma_addr by_pa = at(pa_of(pages[3]));
	struct ui_walk walk;
	char c = 0;

	assert_int_equal(ui_domain_kind(blocked), UI_DOMAIN_BLOCKED);
	assert_int_equal(ui_domain_kind(identity), UI_DOMAIN_IDENTITY);
	assert_ptr_equal(ui_domain_iommu(identity), w.iommu);
	assert_int_equal(ui_device_attach(w.dev, 0, false, blocked, false, NULL), 0);
	assert_int_equal(seen(0, false), '-');
	assert_ptr_equal(ui_device_attached(w.dev, 0, false, NULL), blocked);
	assert_int_equal(ui_device_attach(w.dev, 0, false, identity, true, NULL), 0);
	assert_int_equal(ui_dma_read(w.dma, &by_pa, &c, 1, NULL, NULL), UI_DMA_OK);
	assert_int_equal(c, 'd');
	assert_int_equal(ui_device_attach(w.dev, 7, true, identity, false, NULL), 0);
	by_pa = at_pasid(by_pa.iova, 7);
	assert_int_equal(ui_dma_read(w.dma, &by_pa, &c, 1, NULL, NULL), UI_DMA_OK);
	assert_int_equal(ui_domain_lookup(identity, 0x1234567, &walk), 0);
	assert_int_equal(walk.oa, 0x1234567);
	assert_int_equal(ui_domain_lookup(blocked, 0x1234567, &walk), -ENOENT);
	assert_int_equal(ui_device_attach(w.dev, 0, false, blocked, true, NULL), 0);
	assert_int_equal(seen(0, false), '-');
	ui_device_detach(w.dev, 0, false);
	ui_device_detach(w.dev, 7, true);
}

/* Design 7: a wait for oneself is an error, not a deadlock. */
static void changes_from_inside_a_section_are_refused_and_change_nothing(void **state)
{
	struct ui_dma_addr where = at(0x1000);
	struct ui_mem_span span;

	assert_int_equal(ui_device_attach(w.dev, 0, false, dom[0], false, NULL), 0);
	assert_int_equal(ui_device_attach(w.dev, 1, true, dom[1], false, NULL), 0);
	assert_int_equal(ui_dma_begin(w.dma, &where, UI_PROT_READ, 1, &span, NULL), UI_DMA_OK);
	assert_int_equal(ui_device_attach(w.dev, 0, false, dom[2], true, NULL), -EDEADLK);
	assert_int_equal(ui_device_detach(w.dev, 0, false), -EDEADLK);
	assert_int_equal(ui_domain_unmap(dom[0], 0x1000, 0x1fff, UI_PT_SPLIT), -EDEADLK);
	assert_int_equal(ui_domain_gate_close(dom[0]), -EDEADLK);
	/* Sections of another domain are nobody's concern. */
	assert_int_equal(ui_device_attach(w.dev, 1, true, dom[2], true, NULL), 0);
	assert_int_equal(ui_domain_unmap(dom[1], 0x1000, 0x1fff, UI_PT_SPLIT), 0x1000);
	assert_int_equal(ui_domain_gate_close(dom[1]), 0);
	ui_domain_gate_open(dom[1]);
	ui_dma_end(w.dma);
	assert_ptr_equal(ui_device_attached(w.dev, 0, false, NULL), dom[0]);
	assert_int_equal(seen(0, false), 'a');
	assert_int_equal(ui_device_attach(w.dev, 0, false, dom[2], true, NULL), 0);
	assert_int_equal(seen(0, false), 'c');
	ui_device_detach(w.dev, 0, false);
	ui_device_detach(w.dev, 1, true);
}

static struct {
	unsigned n_calls, fail_at;
	struct ui_domain *last;
} hook;

static int hook_attach(struct ui_device *dev, u32 pasid, bool has_pasid, struct ui_domain *domain)
{
	if (++hook.n_calls == hook.fail_at)
		return -EIO;
	hook.last = domain;
	return 0;
}

static void the_driver_is_told_and_may_refuse(void **state)
{
	struct ui_driver_ops ops = *ui_driver_find("generic");
	struct ui_domain *identity, *blocked;
	struct world told;

	ops.attach = hook_attach;
	assert_true(world_open(&told, &ops, 8));
	identity = ui_domain_identity(told.iommu);
	blocked = ui_domain_blocked(told.iommu);
	memset(&hook, 0, sizeof(hook));
	hook.fail_at = 1;
	assert_int_equal(ui_device_attach(told.dev, 0, false, identity, false, NULL), -EIO);
	assert_null(ui_device_attached(told.dev, 0, false, NULL));
	assert_int_equal(ui_device_attach(told.dev, 0, false, identity, false, NULL), 0);
	assert_ptr_equal(hook.last, identity);
	hook.fail_at = 3;
	assert_int_equal(ui_device_attach(told.dev, 0, false, blocked, true, NULL), -EIO);
	assert_ptr_equal(ui_device_attached(told.dev, 0, false, NULL), identity);
	assert_int_equal(ui_device_attach(told.dev, 0, false, blocked, true, NULL), 0);
	assert_ptr_equal(hook.last, blocked);
	assert_int_equal(ui_device_detach(told.dev, 0, false), 0);
	assert_null(hook.last);
	world_close(&told);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_device_is_blocked_until_attached_and_again_when_detached, setup, teardown),
		cmocka_unit_test_setup_teardown(attach_over_an_attachment_must_say_replace, setup, teardown),
		cmocka_unit_test_setup_teardown(no_pasid_is_not_pasid_0, setup, teardown),
		cmocka_unit_test_setup_teardown(pasid_1_never_reaches_the_memory_of_pasid_2, setup, teardown),
		cmocka_unit_test_setup_teardown(the_whole_width_of_pasids_works_and_nothing_beyond, setup, teardown),
		cmocka_unit_test_setup_teardown(a_device_without_pasids_has_none, setup, teardown),
		cmocka_unit_test_setup_teardown(a_domain_must_fit_the_attachment, setup, teardown),
		cmocka_unit_test_setup_teardown(blocked_and_identity_are_domains_like_others, setup, teardown),
		cmocka_unit_test_setup_teardown(changes_from_inside_a_section_are_refused_and_change_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(the_driver_is_told_and_may_refuse, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
