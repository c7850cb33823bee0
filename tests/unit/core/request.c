/* SPDX-License-Identifier: MIT */
/* Page requests find the handler of what is attached, and each group is answered once: core/request.h, iommufd-semantics 6. */
#include "common.h"

#include "core/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct ui_driver_ops nesting;
static struct world w;
static struct ui_domain *parent, *nested[2];

/* A handler of a test's: what it was told. */
struct heard {
	unsigned n, n_detached;
	struct ui_page_request last;
	u32 detached_pasid;
	bool detached_has_pasid;
	int refuse; /* report() returns it */
};

static struct heard heard[2];

static struct {
	unsigned n;
	u32 pasid, group;
	bool has_pasid;
	enum ui_page_response code;
	unsigned ask_again; /* the answer function raises as many requests */
} answers;

static int report(void *arg, const struct ui_page_request *request)
{
	struct heard *at = arg;

	at->n++;
	at->last = *request;
	return at->refuse;
}

static void detached(void *arg, struct ui_device *dev, u32 pasid, bool has_pasid)
{
	struct heard *at = arg;

	assert_ptr_equal(dev, w.dev);
	at->n_detached++;
	at->detached_pasid = pasid;
	at->detached_has_pasid = has_pasid;
	ui_device_page_answer(dev, pasid, has_pasid, at->last.group, UI_PAGE_INVALID);
}

static const struct ui_page_handler handlers[2] = {
	{ .report = report, .detached = detached, .arg = &heard[0] },
	{ .report = report, .detached = detached, .arg = &heard[1] },
};

static void request(u32 pasid, bool has_pasid, u32 group, bool last)
{
	struct ui_page_request request = {
		.dev = w.dev, .pasid = pasid, .has_pasid = has_pasid, .group = group, .access = UI_PROT_WRITE, .iova = 0x1000, .last = last
	};

	ui_device_page_request(&request);
}

static void answered(void *arg, u32 pasid, bool has_pasid, u32 group, enum ui_page_response code)
{
	assert_ptr_equal(arg, &w);
	answers.n++;
	answers.pasid = pasid;
	answers.has_pasid = has_pasid;
	answers.group = group;
	answers.code = code;
	if (answers.ask_again) {
		answers.ask_again--;
		request(pasid, has_pasid, group + 1, true);
	}
}

static int setup(void **state)
{
	memset(heard, 0, sizeof(heard));
	memset(&answers, 0, sizeof(answers));
	nesting = nesting_driver();
	nesting.user_pasids = true;
	if (!world_open(&w, &nesting, 8) ||
	    ui_domain_create_paging(w.dev, UI_DOMAIN_F_NEST_PARENT | UI_DOMAIN_F_PASID, NULL, &parent))
		return -1;
	for (unsigned i = 0; i < 2; i++) {
		if (ui_domain_create_nested(parent, NULL, &nested[i]))
			return -1;
		ui_domain_set_page_handler(nested[i], &handlers[i]);
		assert_ptr_equal(ui_domain_page_handler(nested[i]), &handlers[i]);
	}
	ui_device_set_page_answer(w.dev, answered, &w);
	return 0;
}

static int teardown(void **state)
{
	ui_device_detach(w.dev, 0, false);
	ui_device_detach(w.dev, 3, true);
	ui_domain_destroy(nested[0]);
	ui_domain_destroy(nested[1]);
	ui_domain_destroy(parent);
	world_close(&w);
	return ui_alloc_live() ? -1 : 0;
}

static void attach(u32 pasid, bool has_pasid, struct ui_domain *domain)
{
	assert_int_equal(ui_device_attach(w.dev, pasid, has_pasid, domain, true, NULL), 0);
}

static void nobody_is_there(void **state)
{
	request(0, false, 1, false);
	assert_int_equal(answers.n, 0);
	request(0, false, 1, true);
	assert_int_equal(answers.n, 1);
	assert_int_equal(answers.group, 1);
	assert_int_equal(answers.code, UI_PAGE_INVALID);
	/* A domain without a handler. */
	attach(0, false, parent);
	request(3, true, 2, true);
	assert_int_equal(answers.n, 2);
	assert_int_equal(answers.pasid, 3);
	assert_true(answers.has_pasid);
	/* A device whose answers nobody hears. */
	ui_device_set_page_answer(w.dev, NULL, NULL);
	request(0, false, 3, true);
	assert_int_equal(answers.n, 2);
}

static void a_request_goes_where_its_pasid_leads(void **state)
{
	attach(0, false, nested[0]);
	attach(3, true, nested[1]);
	request(0, false, 1, true);
	assert_int_equal(heard[0].n, 1);
	assert_int_equal(heard[0].last.iova, 0x1000);
	assert_int_equal(heard[0].last.access, UI_PROT_WRITE);
	assert_false(heard[0].last.at_has_pasid);
	request(3, true, 2, true);
	assert_int_equal(heard[1].n, 1);
	assert_int_equal(heard[1].last.at_pasid, 3);
	assert_true(heard[1].last.at_has_pasid);
	/* No PASID is not PASID 0; a nested domain without PASID has the table of all that are not attached. */
	request(0, true, 3, true);
	assert_int_equal(heard[0].n, 2);
	assert_true(heard[0].last.has_pasid);
	assert_false(heard[0].last.at_has_pasid);
	nesting.user_pasids = false;
	request(0, true, 4, true);
	assert_int_equal(heard[0].n, 2);
	assert_int_equal(answers.n, 1);
	ui_device_page_answer(w.dev, 3, true, 2, UI_PAGE_SUCCESS);
	assert_int_equal(answers.n, 2);
	assert_int_equal(answers.code, UI_PAGE_SUCCESS);
}

static void what_a_handler_refuses_is_answered(void **state)
{
	attach(0, false, nested[0]);
	heard[0].refuse = -ENOMEM;
	request(0, false, 1, false);
	assert_int_equal(answers.n, 0);
	request(0, false, 1, true);
	assert_int_equal(heard[0].n, 2);
	assert_int_equal(answers.n, 1);
	assert_int_equal(answers.code, UI_PAGE_INVALID);
}

static void the_old_handler_hears_of_the_end(void **state)
{
	attach(3, true, nested[0]);
	request(3, true, 8, true);
	/* The same domain again is no end. */
	attach(3, true, nested[0]);
	assert_int_equal(heard[0].n_detached, 0);
	attach(3, true, nested[1]);
	assert_int_equal(heard[0].n_detached, 1);
	assert_int_equal(heard[0].detached_pasid, 3);
	assert_true(heard[0].detached_has_pasid);
	assert_int_equal(answers.group, 8);
	assert_int_equal(heard[1].n_detached, 0);
	request(3, true, 9, true);
	assert_int_equal(heard[0].n, 1);
	assert_int_equal(heard[1].n, 1);
	assert_int_equal(ui_device_detach(w.dev, 3, true), 0);
	assert_int_equal(heard[1].n_detached, 1);
	assert_int_equal(answers.n, 2);
	assert_int_equal(ui_device_detach(w.dev, 3, true), 0);
	assert_int_equal(heard[1].n_detached, 1);
}

/* A device that asks at once for what it still wants. */
static void an_answer_may_raise_the_next_request(void **state)
{
	answers.ask_again = 2;
	request(0, false, 1, true);
	assert_int_equal(answers.n, 3);
	attach(0, false, nested[0]);
	request(0, false, 4, true);
	answers.ask_again = 1;
	assert_int_equal(ui_device_detach(w.dev, 0, false), 0);
	assert_int_equal(answers.n, 5);
	assert_int_equal(heard[0].n, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nobody_is_there, setup, teardown),
		cmocka_unit_test_setup_teardown(a_request_goes_where_its_pasid_leads, setup, teardown),
		cmocka_unit_test_setup_teardown(what_a_handler_refuses_is_answered, setup, teardown),
		cmocka_unit_test_setup_teardown(the_old_handler_hears_of_the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(an_answer_may_raise_the_next_request, setup, teardown),
	};

	return cmocka_run_group_tests_name("core_request", tests, NULL, NULL);
}
