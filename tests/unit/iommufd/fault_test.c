/* SPDX-License-Identifier: MIT */
/* Fault queues: page requests from a device to a reader and back. iommufd-semantics 6, and core/request.h. */
#include "nest.h"

static struct rig rig;
static struct guest guest;
static u32 fault;
static int fd;

enum { REC = sizeof(struct ui_uapi_pgfault), RESP = sizeof(struct ui_uapi_page_response) };

/* What a device was answered. */
static struct {
	unsigned n;
	u32 pasid, group;
	bool has_pasid;
	enum ui_page_response code;
	struct ui_device *dev;
} answers;

static void answered(void *dev, u32 pasid, bool has_pasid, u32 group, enum ui_page_response code)
{
	answers.n++;
	answers.pasid = pasid;
	answers.has_pasid = has_pasid;
	answers.group = group;
	answers.code = code;
	answers.dev = dev;
}

/* Devices 0 and 1 share a group. */
static int setup(void **state)
{
	memset(&nest, 0, sizeof(nest));
	memset(&answers, 0, sizeof(answers));
	rig_open_kind(&rig, &nest_driver, &fake_env, 7);
	for (unsigned i = 0; i < N_DEVICES; i++)
		ui_device_set_page_answer(rig.dev[i], answered, rig.dev[i]);
	rig_bind(&rig, 0);
	guest_open(&rig, &guest, 0);
	assert_int_equal(fault_new(&rig, &fault, &fd), 0);
	return 0;
}

static int teardown(void **state)
{
	if (fd)
		fd_close(fd);
	rig_close(&rig);
	assert_int_equal(nest.n_domains, 0);
	guest_close(&guest);
	return 0;
}

static u32 nested(u32 flags)
{
	u32 id;

	assert_int_equal(nested_fault_new(&rig, rig.dev_id[0], guest.parent, flags, &guest_table, fault, &id), 0);
	return id;
}

static u32 attached(unsigned i, u32 pasid)
{
	u32 id = nested(UI_UAPI_HWPT_PASID), pt = id;

	assert_int_equal(ui_bound_attach(rig.bound[i], pasid, &pt), 0);
	return id;
}

static void request_at(unsigned i, u32 pasid, u32 group, u64 iova, bool last)
{
	struct ui_page_request request = {
		.dev = rig.dev[i], .pasid = pasid, .has_pasid = pasid != 0, .group = group, .iova = iova,
		.access = UI_PROT_READ | UI_PROT_WRITE, .last = last
	};

	ui_device_page_request(&request);
}

static void request(unsigned i, u32 pasid, u32 group)
{
	request_at(i, pasid, group, 0x1000 * (u64)group, true);
}

static s64 respond(u32 cookie, u32 code)
{
	struct ui_uapi_page_response response = { .cookie = cookie, .code = code };

	return fd_write(fd, &response, sizeof(response));
}

/* The next answer since the last time was this one. */
static void expect_answer(u32 pasid, u32 group, enum ui_page_response code)
{
	assert_int_equal(answers.n, 1);
	assert_int_equal(answers.has_pasid, pasid != 0);
	assert_int_equal(answers.pasid, pasid);
	assert_int_equal(answers.group, group);
	assert_int_equal(answers.code, code);
	answers.n = 0;
}

/* Section 6 and 1, 13. */
static void a_queue_is_busy_while_its_descriptor_or_a_hwpt_uses_it(void **state)
{
	struct ui_uapi_fault_alloc cmd = { .size = sizeof(cmd), .flags = 1 };
	u32 id = nested(0);

	assert_int_equal(call(&rig, UI_UAPI_FAULT_QUEUE_ALLOC, &cmd), -EOPNOTSUPP);
	assert_int_equal(destroy(&rig, fault), -EBUSY);
	fd_close(fd);
	fd = 0;
	assert_int_equal(destroy(&rig, fault), -EBUSY);
	assert_int_equal(destroy(&rig, id), 0);
	assert_int_equal(destroy(&rig, fault), 0);
	assert_int_equal(destroy(&rig, fault), -ENOENT);
}

static void no_descriptor_no_queue(void **state)
{
	struct ui_uapi_fault_alloc *cmd = (void *)pages_new(PAGE);
	u32 id;
	int other;

	fds.error = -EMFILE;
	assert_int_equal(fault_new(&rig, &id, &other), -EMFILE);
	fds.error = 0;
	/* A reply that cannot be written takes the descriptor back. */
	fds.n_dropped = 0;
	*cmd = (struct ui_uapi_fault_alloc){ .size = sizeof(*cmd) };
	assert_int_equal(mprotect(cmd, PAGE, PROT_READ), 0);
	assert_int_equal(call(&rig, UI_UAPI_FAULT_QUEUE_ALLOC, cmd), -EFAULT);
	assert_int_equal(fds.n_dropped, 1);
	munmap(cmd, PAGE);
	assert_int_equal(fault_new(&rig, &id, &other), 0);
	assert_int_equal(id, fault + 1);
	fd_close(other);
}

static void a_request_is_read_and_answered(void **state)
{
	struct ui_uapi_pgfault rec = { .length = 1, .__reserved = 1 };

	attached(0, 0);
	assert_false(fd_readable(fd));
	request(0, 0, 7);
	assert_true(fd_readable(fd));
	assert_int_equal(fd_read(fd, &rec, REC), REC);
	assert_false(fd_readable(fd));
	assert_int_equal(rec.flags, UI_UAPI_PGFAULT_LAST_PAGE);
	assert_int_equal(rec.dev_id, rig.dev_id[0]);
	assert_int_equal(rec.pasid, 0);
	assert_int_equal(rec.grpid, 7);
	assert_int_equal(rec.perm, 3);
	assert_int_equal(rec.__reserved, 0);
	assert_int_equal(rec.addr, 0x7000);
	assert_int_equal(rec.length, 0);
	assert_int_equal(rec.cookie, 1);
	assert_int_equal(answers.n, 0);
	assert_int_equal(respond(1, 0), RESP);
	expect_answer(0, 7, UI_PAGE_SUCCESS);
	assert_int_equal(respond(1, 0), -EINVAL);
	assert_int_equal(answers.n, 0);
}

static void a_pasid_is_told(void **state)
{
	struct ui_uapi_pgfault rec;

	attached(0, 9);
	request(0, 9, 1);
	assert_int_equal(fd_read(fd, &rec, REC), REC);
	assert_int_equal(rec.flags, UI_UAPI_PGFAULT_PASID_VALID | UI_UAPI_PGFAULT_LAST_PAGE);
	assert_int_equal(rec.pasid, 9);
	assert_int_equal(respond(rec.cookie, 1), RESP);
	expect_answer(9, 1, UI_PAGE_INVALID);
}

/* Groups whole, first in, first out. */
static void groups_are_delivered_whole(void **state)
{
	struct ui_uapi_pgfault recs[8];

	attached(0, 0);
	request_at(0, 0, 1, 0x1000, false);
	assert_false(fd_readable(fd));
	request(0, 0, 2);
	request_at(0, 0, 1, 0x3000, false);
	request_at(0, 0, 1, 0x2000, true);
	request(0, 0, 3);
	assert_int_equal(fd_read(fd, recs, 0), -EINVAL);
	/* The group of three does not fit behind the first. */
	assert_int_equal(fd_read(fd, recs, 3 * REC), REC);
	assert_int_equal(recs[0].grpid, 2);
	assert_int_equal(fd_read(fd, recs, 2 * REC), -EINVAL);
	assert_true(fd_readable(fd));
	assert_int_equal(fd_read(fd, recs, 8 * REC), 4 * REC);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(recs[i].grpid, 1);
		assert_int_equal(recs[i].cookie, 2);
		assert_int_equal(recs[i].flags, i == 2 ? UI_UAPI_PGFAULT_LAST_PAGE : 0);
	}
	assert_int_equal(recs[1].addr, 0x3000);
	assert_int_equal(recs[3].grpid, 3);
	assert_int_equal(fd_read(fd, recs, 8 * REC), 0);
	assert_int_equal(fd_read(fd, recs, 0), 0);
	/* One answer for the group. */
	assert_int_equal(respond(2, 0), RESP);
	expect_answer(0, 1, UI_PAGE_SUCCESS);
}

static void cookies_are_the_lowest_free(void **state)
{
	struct ui_uapi_pgfault recs[4];

	attached(0, 0);
	for (u32 i = 1; i <= 3; i++)
		request(0, 0, i);
	assert_int_equal(fd_read(fd, recs, 3 * REC), 3 * REC);
	assert_int_equal(respond(2, 0), RESP);
	expect_answer(0, 2, UI_PAGE_SUCCESS);
	request(0, 0, 4);
	request(0, 0, 5);
	assert_int_equal(fd_read(fd, recs, 2 * REC), 2 * REC);
	assert_int_equal(recs[0].cookie, 2);
	assert_int_equal(recs[1].cookie, 4);
}

/* Positions and lengths: ESPIPE; codes and cookies: EINVAL; a part that was done counts. */
static void read_and_write_have_their_errors(void **state)
{
	const struct ui_iommufd_file_ops *ops = fake_file(fd)->ops;
	void *obj = fake_file(fd)->obj;
	struct ui_uapi_pgfault rec;
	struct ui_uapi_page_response two[2] = { { 1, 0 }, { 1, 0 } };

	attached(0, 0);
	request(0, 0, 1);
	assert_true(ops->writable);
	assert_int_equal(ops->read(obj, ptr(&rec), REC, 1), -ESPIPE);
	assert_int_equal(fd_read(fd, &rec, REC - 1), -ESPIPE);
	assert_int_equal(ops->write(obj, ptr(two), RESP, 8), -ESPIPE);
	assert_int_equal(fd_write(fd, two, RESP + 1), -ESPIPE);
	assert_int_equal(fd_write(fd, two, 0), 0);
	assert_int_equal(fd_write(fd, NULL, RESP), -EFAULT);
	/* A cookie that was not given out yet. */
	assert_int_equal(respond(1, 0), -EINVAL);
	assert_int_equal(fd_read(fd, NULL, REC), -EFAULT);
	assert_true(fd_readable(fd));
	assert_int_equal(respond(1, 0), -EINVAL);
	assert_int_equal(fd_read(fd, &rec, REC), REC);
	assert_int_equal(rec.cookie, 1);
	assert_int_equal(respond(1, 2), -EINVAL);
	assert_int_equal(respond(0, 0), -EINVAL);
	assert_int_equal(respond(0xffffffff, 0), -EINVAL);
	assert_int_equal(fd_write(fd, two, 2 * RESP), RESP);
	expect_answer(0, 1, UI_PAGE_SUCCESS);
}

/* A buffer that ends inside the second group: the first counts, the second waits on. */
static void a_bad_buffer_requeues_the_group(void **state)
{
	u8 *buf = pages_new(2 * PAGE);
	struct ui_uapi_pgfault rec;

	munmap(buf + PAGE, PAGE);
	attached(0, 0);
	request(0, 0, 1);
	request(0, 0, 2);
	assert_int_equal(fd_read(fd, buf + PAGE, 2 * REC), -EFAULT);
	assert_int_equal(fd_read(fd, buf + PAGE - REC - 8, 2 * REC), REC);
	assert_int_equal(fd_read(fd, buf + PAGE - 8, 2 * REC), -EFAULT);
	assert_int_equal(fd_read(fd, &rec, REC), REC);
	assert_int_equal(rec.grpid, 2);
	assert_int_equal(rec.cookie, 2);
	munmap(buf, PAGE);
}

/* Section 6, where a fault goes. */
static void what_nobody_takes_is_answered_invalid(void **state)
{
	u32 plain, pt;

	request(0, 0, 1);
	expect_answer(0, 1, UI_PAGE_INVALID);
	request(0, 4, 2);
	expect_answer(4, 2, UI_PAGE_INVALID);
	/* Only the last one of a group is an answer's. */
	request_at(0, 0, 3, 0, false);
	assert_int_equal(answers.n, 0);
	/* A HWPT without a queue. */
	assert_int_equal(nested_new(&rig, rig.dev_id[0], guest.parent, 0, &guest_table, &plain), 0);
	pt = plain;
	assert_int_equal(ui_bound_attach(rig.bound[0], 0, &pt), 0);
	request(0, 0, 4);
	expect_answer(0, 4, UI_PAGE_INVALID);
	assert_false(fd_readable(fd));
}

/* Section 6: the kind lets users own the table of PASIDs, in a nested HWPT on the RID; that one only, and only if the PASID has none. */
static void a_nested_hwpt_on_the_rid_hears_all_pasids(void **state)
{
	u32 paging, own, pt;
	struct ui_uapi_hwpt_alloc cmd = {
		.size = sizeof(cmd), .flags = UI_UAPI_HWPT_FAULT_ID_VALID | UI_UAPI_HWPT_PASID, .dev_id = rig.dev_id[0],
		.pt_id = guest.ioas, .fault_id = fault
	};
	struct ui_uapi_pgfault rec;
	u32 id = attached(0, 0);

	request(0, 4, 1);
	assert_int_equal(answers.n, 0);
	assert_int_equal(fd_read(fd, &rec, REC), REC);
	assert_int_equal(rec.pasid, 4);
	assert_int_equal(rec.flags, UI_UAPI_PGFAULT_PASID_VALID | UI_UAPI_PGFAULT_LAST_PAGE);
	/* It goes with the RID's attachment, not with the PASID's. */
	ui_bound_detach(rig.bound[0], 4);
	assert_int_equal(answers.n, 0);
	assert_int_equal(call(&rig, UI_UAPI_HWPT_ALLOC, &cmd), 0);
	paging = pt = cmd.out_hwpt_id;
	assert_int_equal(ui_bound_replace(rig.bound[0], 0, &pt), 0);
	expect_answer(4, 1, UI_PAGE_INVALID);
	assert_int_equal(respond(rec.cookie, 0), -EINVAL);
	/* A paging one on the RID hears the RID's only. */
	request(0, 4, 2);
	expect_answer(4, 2, UI_PAGE_INVALID);
	request(0, 0, 3);
	assert_int_equal(answers.n, 0);
	/* A PASID's own attachment, without a queue, is what counts. */
	pt = id;
	assert_int_equal(ui_bound_replace(rig.bound[0], 0, &pt), 0);
	expect_answer(0, 3, UI_PAGE_INVALID);
	assert_int_equal(nested_new(&rig, rig.dev_id[0], guest.parent, UI_UAPI_HWPT_PASID, &guest_table, &own), 0);
	assert_int_equal(ui_bound_attach(rig.bound[0], 4, &own), 0);
	request(0, 4, 5);
	expect_answer(4, 5, UI_PAGE_INVALID);
	assert_int_equal(destroy(&rig, paging), 0);
}

/* Section 6: replace and detach answer all there is of that attachment: waiting, read, and half arrived. */
static void the_end_of_an_attachment_answers_its_groups(void **state)
{
	struct ui_uapi_pgfault rec;
	u32 a = attached(0, 1), b = nested(UI_UAPI_HWPT_PASID), pt = b;

	assert_int_equal(ui_bound_attach(rig.bound[0], 2, &pt), 0);
	request(0, 1, 1);
	assert_int_equal(fd_read(fd, &rec, REC), REC);
	request(0, 1, 2);
	request_at(0, 1, 3, 0, false);
	request(0, 2, 4);
	pt = b;
	assert_int_equal(ui_bound_replace(rig.bound[0], 1, &pt), 0);
	assert_int_equal(answers.n, 2);
	assert_int_equal(answers.code, UI_PAGE_INVALID);
	assert_int_equal(answers.pasid, 1);
	answers.n = 0;
	assert_int_equal(respond(rec.cookie, 0), -EINVAL);
	/* The other PASID's stays. */
	assert_true(fd_readable(fd));
	assert_int_equal(fd_read(fd, &rec, REC), REC);
	assert_int_equal(rec.grpid, 4);
	assert_int_equal(destroy(&rig, a), 0);
	/* The rest of the half group goes to the new one, as a group of its own. */
	request(0, 1, 3);
	ui_bound_detach(rig.bound[0], 1);
	expect_answer(1, 3, UI_PAGE_INVALID);
	assert_int_equal(respond(rec.cookie, 0), RESP);
	expect_answer(2, 4, UI_PAGE_SUCCESS);
}

/* Attaching where it is already is a no-op: nothing is answered. */
static void a_replace_by_itself_keeps_the_groups(void **state)
{
	u32 id = attached(0, 0);

	request(0, 0, 1);
	assert_int_equal(ui_bound_replace(rig.bound[0], 0, &id), 0);
	assert_int_equal(answers.n, 0);
	assert_true(fd_readable(fd));
}

/* A replace that fails, too. */
static void a_failed_replace_keeps_the_groups(void **state)
{
	u32 pt = nested(0);

	attached(0, 0);
	request(0, 0, 1);
	nest.fail_attach = -ENOMEM;
	assert_int_equal(ui_bound_replace(rig.bound[0], 0, &pt), -ENOMEM);
	assert_int_equal(answers.n, 0);
	assert_true(fd_readable(fd));
}

/* Devices 0 and 1: each one's requests carry its own number, and its leaving answers its own. */
static void devices_of_a_group_are_told_apart(void **state)
{
	struct ui_uapi_pgfault recs[2];
	u32 pt;

	pt = attached(0, 0);
	/* Nobody has bound device 1. */
	request(1, 0, 1);
	expect_answer(0, 1, UI_PAGE_INVALID);
	rig_bind(&rig, 1);
	assert_int_equal(ui_bound_attach(rig.bound[1], 0, &pt), 0);
	request(0, 0, 2);
	request(1, 0, 3);
	assert_int_equal(fd_read(fd, recs, 2 * REC), 2 * REC);
	assert_int_equal(recs[0].dev_id, rig.dev_id[0]);
	assert_int_equal(recs[1].dev_id, rig.dev_id[1]);
	ui_bound_detach(rig.bound[1], 0);
	expect_answer(0, 3, UI_PAGE_INVALID);
	assert_ptr_equal(answers.dev, rig.dev[1]);
	/* Not attached itself, but behind its group's attachment. */
	request(1, 0, 4);
	assert_int_equal(answers.n, 0);
	rig_unbind(&rig, 1);
	expect_answer(0, 4, UI_PAGE_INVALID);
	rig_unbind(&rig, 0);
	expect_answer(0, 2, UI_PAGE_INVALID);
}

/* How many requests the next group that is read has. */
static size_t read_group(void)
{
	static struct ui_uapi_pgfault recs[8192];
	s64 n = fd_read(fd, recs, sizeof(recs));

	assert_true(n > 0);
	assert_true(recs[n / REC - 1].flags & UI_UAPI_PGFAULT_LAST_PAGE);
	assert_int_equal(respond(recs[0].cookie, UI_PAGE_SUCCESS), RESP);
	answers.n = 0;
	return (size_t)(n / REC);
}

/* A device that never ends its groups costs no more than so much memory; what it may have left waiting is there again for others. */
static void what_waits_for_a_groups_last_request_is_bounded(void **state)
{
	u32 id = attached(0, 0);
	size_t most;

	for (u32 i = 0; i < 6000; i++)
		request_at(0, 0, 1, 0x1000 * (u64)i, false);
	request_at(0, 0, 1, 0, true);
	most = read_group();
	assert_in_range(most, 512, 5000);
	for (u32 i = 0; i < 6000; i++)
		request_at(0, 0, 2 + i, 0x1000, false);
	request_at(0, 0, 2, 0x2000, true);
	assert_int_equal(read_group(), 2);
	request_at(0, 0, 9000, 0x1000, false);
	request_at(0, 0, 9000, 0x2000, true);
	assert_int_equal(read_group(), 2);
	request_at(0, 0, 9001, 0x1000, false);
	request_at(0, 0, 9001, 0x2000, true);
	assert_int_equal(read_group(), 2);
	ui_bound_detach(rig.bound[0], 0);
	assert_int_equal(ui_bound_attach(rig.bound[0], 0, &id), 0);
	for (u32 i = 1; i < most; i++)
		request_at(0, 0, 1, 0x1000 * (u64)i, false);
	request_at(0, 0, 1, 0, true);
	assert_int_equal(read_group(), most);
	ui_bound_detach(rig.bound[0], 0);
}

/* Section 1, 14: the descriptor holds the context; a queue goes on without one. */
static void the_descriptor_holds_the_context(void **state)
{
	struct ui_uapi_pgfault rec;

	attached(0, 0);
	ui_iommufd_close(rig.ctx);
	rig.ctx = NULL;
	request(0, 0, 1);
	assert_int_equal(fd_read(fd, &rec, REC), REC);
	rig_unbind(&rig, 0);
	expect_answer(0, 1, UI_PAGE_INVALID);
	assert_int_equal(fd_read(fd, &rec, REC), 0);
	fd_close(fd);
	fd = 0;
}

static void requests_without_a_reader_wait_for_the_detach(void **state)
{
	attached(0, 0);
	fd_close(fd);
	fd = 0;
	request(0, 0, 1);
	assert_int_equal(answers.n, 0);
	ui_bound_detach(rig.bound[0], 0);
	expect_answer(0, 1, UI_PAGE_INVALID);
}

/* Without memory a request is not taken, and the device hears so. */
static void a_request_without_memory_is_answered_invalid(void **state)
{
	attached(0, 0);
	for (u64 n = 1; n <= 2; n++) {
		ui_inject_arm(n);
		request(0, 0, 1);
		ui_inject_arm(0);
		expect_answer(0, 1, UI_PAGE_INVALID);
		assert_false(fd_readable(fd));
	}
	/* The group's last one fails: the whole group is answered, once. */
	request_at(0, 0, 2, 0, false);
	ui_inject_arm(1);
	request(0, 0, 2);
	ui_inject_arm(0);
	expect_answer(0, 2, UI_PAGE_INVALID);
	request(0, 0, 2);
	assert_true(fd_readable(fd));
	assert_int_equal(answers.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_queue_is_busy_while_its_descriptor_or_a_hwpt_uses_it),
		T(no_descriptor_no_queue),
		T(a_request_is_read_and_answered),
		T(a_pasid_is_told),
		T(groups_are_delivered_whole),
		T(cookies_are_the_lowest_free),
		T(read_and_write_have_their_errors),
		T(a_bad_buffer_requeues_the_group),
		T(what_nobody_takes_is_answered_invalid),
		T(a_nested_hwpt_on_the_rid_hears_all_pasids),
		T(the_end_of_an_attachment_answers_its_groups),
		T(a_replace_by_itself_keeps_the_groups),
		T(a_failed_replace_keeps_the_groups),
		T(devices_of_a_group_are_told_apart),
		T(what_waits_for_a_groups_last_request_is_bounded),
		T(the_descriptor_holds_the_context),
		T(requests_without_a_reader_wait_for_the_detach),
		T(a_request_without_memory_is_answered_invalid),
	};

	ui_log_set(UI_LOG_NONE, NULL, NULL);
	return cmocka_run_group_tests_name("iommufd_fault", tests, NULL, NULL);
}
