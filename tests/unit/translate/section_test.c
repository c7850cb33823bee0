/* SPDX-License-Identifier: MIT */
/* Promise 7: after unmap returns nothing can reach the page. A plain program, since it is about threads. */
#include "base/sys.h"
#include "fake.h"

#include <errno.h>

/* A change on a thread of its own, with a flag that says whether it came back. */
struct change {
	struct rig *rig;
	int (*run)(struct change *c);
	struct space *space;
	u64 start, n_pages;
	int ret;
	_Atomic int state; /* 1 about to run, 2 came back */
	pthread_t thread;
};

static void *change_thread(void *arg)
{
	struct change *c = arg;

	atomic_store(&c->state, 1);
	c->ret = c->run(c);
	atomic_store(&c->state, 2);
	return NULL;
}

static void begin_change(struct change *c)
{
	CHECK(!pthread_create(&c->thread, NULL, change_thread, c));
	while (!atomic_load(&c->state))
		sched_yield();
}

static void end_change(struct change *c)
{
	pthread_join(c->thread, NULL);
	CHECK(atomic_load(&c->state) == 2 && c->ret == 0);
}

static int do_unmap(struct change *c)
{
	fake_unmap(c->space->table, c->start, c->n_pages);
	return ui_tr_invalidate(c->rig->tr, &c->space->cfg, c->start, c->start + c->n_pages * PAGE - 1);
}

static int do_detach(struct change *c)
{
	atomic_store(&c->rig->router.to[1], NULL);
	return ui_tr_sync(c->rig->tr, &c->space->cfg);
}

static int do_sync(struct change *c)
{
	return ui_tr_sync(c->rig->tr, &c->space->cfg);
}

static int do_close_gate(struct change *c)
{
	return ui_tr_gate_close(c->rig->tr, &c->space->cfg);
}

static int do_remove_ram(struct change *c)
{
	return ui_mem_remove(c->rig->mem, RAM_PA);
}

static void hold(struct rig *r, u32 pasid, struct ui_mem_span *span)
{
	struct ui_dma_addr at = at_pasid(pasid, 0);

	CHECK(ui_dma_begin(r->port, &at, UI_PROT_READ, 8, span, NULL) == UI_DMA_OK);
}

static void setup(struct rig *r)
{
	rig_open(r);
	fake_map(r->a->table, 0, RAM_PA, 16, UI_PROT_READ | UI_PROT_WRITE);
	fake_map(r->b->table, 0, RAM_PA + 16 * PAGE, 16, UI_PROT_READ | UI_PROT_WRITE);
	memset(r->ram, 0xaa, 16 * PAGE);
	memset(r->ram + 16 * PAGE, 0xbb, 16 * PAGE);
}

static void waits_for_paused_reader(int (*run)(struct change *c))
{
	struct rig r;
	struct change c = { .rig = &r, .run = run, .n_pages = 1 };
	struct ui_mem_span span;

	setup(&r);
	c.space = r.a;
	hold(&r, 1, &span);
	begin_change(&c);
	yield_a_lot();
	CHECK(atomic_load(&c.state) == 1);
	CHECK(span.host == r.ram && *span.host == 0xaa);
	ui_dma_end(r.port);
	end_change(&c);
	if (run == do_close_gate)
		ui_tr_gate_open(r.tr, &r.a->cfg);
	rig_close(&r);
}

static void unmap_waits_for_a_paused_reader(void)
{
	waits_for_paused_reader(do_unmap);
}

static void detach_waits_for_a_paused_reader(void)
{
	waits_for_paused_reader(do_detach);
}

static void gate_waits_for_a_paused_reader(void)
{
	waits_for_paused_reader(do_close_gate);
}

static void removal_of_memory_waits_for_a_paused_reader(void)
{
	waits_for_paused_reader(do_remove_ram);
}

/* The test hangs, and so fails by its time limit, when one of them waits. */
static void changes_of_another_domain_do_not_wait(void)
{
	struct rig r;
	struct change unmap = { .rig = &r, .run = do_unmap, .n_pages = 16 }, sync = { .rig = &r, .run = do_sync };
	struct change gate = { .rig = &r, .run = do_close_gate };
	struct ui_mem_span span;

	setup(&r);
	unmap.space = sync.space = gate.space = r.b;
	hold(&r, 1, &span);
	begin_change(&unmap);
	end_change(&unmap);
	begin_change(&sync);
	end_change(&sync);
	begin_change(&gate);
	end_change(&gate);
	ui_tr_gate_open(r.tr, &r.b->cfg);
	CHECK(*span.host == 0xaa);
	ui_dma_end(r.port);
	rig_close(&r);
}

static void no_byte_moves_by_the_old_answer_after_the_change(void)
{
	struct rig r;
	struct change c = { .rig = &r, .run = do_unmap, .n_pages = 1 }, d = { .rig = &r, .run = do_detach };
	struct ui_dma_addr at = at_pasid(1, 0), second = at_pasid(1, PAGE);
	u64 val = 0;

	setup(&r);
	c.space = d.space = r.a;
	CHECK(ui_dma_write(r.port, &at, &val, 8, NULL, NULL) == UI_DMA_OK);
	begin_change(&c);
	end_change(&c);
	memset(r.ram, 0xcc, PAGE); /* the page is somebody else's now */
	val = 1;
	CHECK(ui_dma_write(r.port, &at, &val, 8, NULL, NULL) == UI_DMA_TRANSLATION);
	CHECK(ui_dma_read(r.port, &at, &val, 8, NULL, NULL) == UI_DMA_TRANSLATION && val == 1);
	CHECK(ui_dma_read(r.port, &second, &val, 8, NULL, NULL) == UI_DMA_OK);
	begin_change(&d);
	end_change(&d);
	CHECK(ui_dma_write(r.port, &second, &val, 8, NULL, NULL) == UI_DMA_BLOCKED);
	for (int i = 0; i < PAGE; i++)
		CHECK(r.ram[i] == 0xcc);
	rig_close(&r);
}

struct reader {
	struct rig *rig;
	struct ui_dma *port;
	u32 pasid;
	enum ui_dma_status status;
	u64 val;
	_Atomic int done;
	pthread_t thread;
};

static void *reader_thread(void *arg)
{
	struct reader *rd = arg;
	struct ui_dma_addr at = at_pasid(rd->pasid, 0);

	rd->status = ui_dma_read(rd->port, &at, &rd->val, 8, NULL, NULL);
	atomic_store(&rd->done, 1);
	return NULL;
}

/* The walk has read the old entry when the unmap begins, and fills the TLB by it. */
static void a_walk_of_the_old_table_leaves_nothing_behind(void)
{
	struct rig r;
	struct change c = { .rig = &r, .run = do_unmap, .n_pages = 1 };
	struct reader rd = { .rig = &r, .pasid = 1 };
	struct ui_dma_addr at = at_pasid(1, 0);

	setup(&r);
	c.space = r.a;
	rd.port = r.port;
	atomic_store(&r.a->table->hold, 1);
	CHECK(!pthread_create(&rd.thread, NULL, reader_thread, &rd));
	wait_until(&r.a->table->hold, 2);
	begin_change(&c);
	yield_a_lot();
	CHECK(atomic_load(&c.state) == 1);
	atomic_store(&r.a->table->hold, 0);
	pthread_join(rd.thread, NULL);
	end_change(&c);
	CHECK(rd.status == UI_DMA_OK && rd.val == 0xaaaaaaaaaaaaaaaau);
	CHECK(ui_dma_read(r.port, &at, &rd.val, 8, NULL, NULL) == UI_DMA_TRANSLATION);
	rig_close(&r);
}

/*
 * Two ports. The unmap has passed the idle slot of the first and waits for the second; then the first enters and uses an
 * entry that is still in its TLB. The unmap must wait for it too.
 */
static void a_late_user_of_an_old_entry_is_waited_for(void)
{
	struct rig r;
	struct change c = { .rig = &r, .run = do_unmap, .n_pages = 1 };
	struct ui_dma_addr at = at_pasid(1, 0), other = at_pasid(1, PAGE);
	struct ui_mem_span span, late;
	struct ui_dma *first;
	u64 val;

	setup(&r);
	c.space = r.a;
	first = ui_dma_open(r.tr, 0x200, route, &r.router); /* opened later, met earlier by a scan */
	CHECK(ui_dma_read(first, &at, &val, 8, NULL, NULL) == UI_DMA_OK);
	CHECK(ui_dma_begin(r.port, &other, UI_PROT_READ, 8, &span, NULL) == UI_DMA_OK);
	begin_change(&c);
	yield_a_lot();
	CHECK(ui_dma_begin(first, &at, UI_PROT_READ, 8, &late, NULL) == UI_DMA_OK);
	ui_dma_end(r.port);
	yield_a_lot();
	CHECK(atomic_load(&c.state) == 1);
	CHECK(*late.host == 0xaa);
	ui_dma_end(first);
	end_change(&c);
	CHECK(ui_dma_read(first, &at, &val, 8, NULL, NULL) == UI_DMA_TRANSLATION);
	ui_dma_close(first);
	rig_close(&r);
}

/* A section that has not settled on a config yet may be about to use any. */
static void a_section_that_resolves_is_waited_for(void)
{
	struct rig r;
	struct change c = { .rig = &r, .run = do_detach };
	struct reader rd = { .rig = &r, .pasid = 1 };

	setup(&r);
	c.space = r.a;
	rd.port = r.port;
	atomic_store(&r.router.hold, 1);
	CHECK(!pthread_create(&rd.thread, NULL, reader_thread, &rd));
	wait_until(&r.router.hold, 2);
	begin_change(&c);
	yield_a_lot();
	CHECK(atomic_load(&c.state) == 1);
	atomic_store(&r.router.hold, 0);
	pthread_join(rd.thread, NULL);
	end_change(&c);
	CHECK(rd.status == UI_DMA_OK);
	rig_close(&r);
}

static void *copy_thread(void *arg)
{
	struct reader *rd = arg;
	struct ui_dma_addr src = at_pasid(1, 0), dst = at_pasid(2, 0);

	rd->status = ui_dma_copy(rd->port, &src, &dst, PAGE, NULL, NULL);
	return NULL;
}

/* Held in the walk of B, a copy from A to B is inside both; @again: also when the port knows the resolver's answers. */
static void copy_is_waited_for_by(bool by_source, bool again)
{
	struct ui_dma_addr src = at_pasid(1, PAGE), dst = at_pasid(2, PAGE);
	struct rig r;
	struct change c = { .rig = &r, .run = do_sync }, other = { .rig = &r, .run = do_sync };
	struct reader rd = { .rig = &r };

	setup(&r);
	rd.port = r.port;
	c.space = by_source ? r.a : r.b;
	other.space = space_new(r.tr);
	if (again)
		CHECK(ui_dma_copy(r.port, &src, &dst, PAGE, NULL, NULL) == UI_DMA_OK);
	atomic_store(&r.b->table->hold, 1);
	CHECK(!pthread_create(&rd.thread, NULL, copy_thread, &rd));
	wait_until(&r.b->table->hold, 2);
	begin_change(&other);
	end_change(&other);
	begin_change(&c);
	yield_a_lot();
	CHECK(atomic_load(&c.state) == 1);
	atomic_store(&r.b->table->hold, 0);
	pthread_join(rd.thread, NULL);
	end_change(&c);
	CHECK(rd.status == UI_DMA_OK && r.ram[16 * PAGE] == 0xaa);
	space_free(r.tr, other.space);
	rig_close(&r);
}

static void a_copy_is_waited_for_by_both_its_domains(void)
{
	for (int again = 0; again < 2; again++) {
		copy_is_waited_for_by(true, again);
		copy_is_waited_for_by(false, again);
	}
}

/* The port asked for the second side of a copy before the change, and for the first side after it. */
static void no_copy_by_the_old_answer_for_one_side(void)
{
	struct ui_dma_addr src = at_pasid(1, 0), dst = at_pasid(2, 0);
	struct rig r;
	u64 val;

	setup(&r);
	CHECK(ui_dma_copy(r.port, &src, &dst, 8, NULL, NULL) == UI_DMA_OK);
	atomic_store(&r.router.to[2], NULL);
	CHECK(!ui_tr_sync(r.tr, &r.b->cfg));
	memset(r.ram + 16 * PAGE, 0xcc, PAGE);
	CHECK(ui_dma_read(r.port, &src, &val, 8, NULL, NULL) == UI_DMA_OK);
	CHECK(ui_dma_copy(r.port, &src, &dst, 8, NULL, NULL) == UI_DMA_BLOCKED);
	CHECK(r.ram[16 * PAGE] == 0xcc);
	rig_close(&r);
}

/*
 * It waits for the section it met, not for those after it: the device is inside whenever it looks, yet never in that
 * section again. A few sections must do: a wait that is for none in particular would need to look just between two.
 */
static void a_busy_device_does_not_hold_up_a_wait(void)
{
	struct rig r;
	struct change c = { .rig = &r, .run = do_sync };
	struct ui_mem_span span;

	setup(&r);
	c.space = r.a;
	hold(&r, 1, &span);
	begin_change(&c);
	for (unsigned n = 0; n < 10 && atomic_load(&c.state) == 1; n++) {
		yield_a_lot();
		ui_dma_end(r.port);
		hold(&r, 1, &span);
		/* Time for the waiter to be scheduled, however busy the machine; it takes none when it has returned. */
		for (unsigned i = 0; i < 500 && atomic_load(&c.state) == 1; i++)
			ui_sys_sleep_ns(1000000);
	}
	CHECK(atomic_load(&c.state) != 1);
	end_change(&c);
	ui_dma_end(r.port);
	rig_close(&r);
}

static void the_gate_holds_new_sections_of_its_config_outside(void)
{
	struct rig r;
	struct reader rd = { .rig = &r, .pasid = 1 };
	struct ui_dma_addr b = at_pasid(2, 0);
	struct ui_dma *port;
	u64 val;

	setup(&r);
	port = ui_dma_open(r.tr, 0x300, route, &r.router);
	rd.port = r.port;
	CHECK(!ui_tr_gate_close(r.tr, &r.a->cfg));
	CHECK(!pthread_create(&rd.thread, NULL, reader_thread, &rd));
	yield_a_lot();
	CHECK(!atomic_load(&rd.done));
	CHECK(ui_dma_read(port, &b, &val, 8, NULL, NULL) == UI_DMA_OK && val == 0xbbbbbbbbbbbbbbbbu);
	CHECK(!ui_tr_sync(r.tr, &r.a->cfg)); /* who waits at the gate is in no section */
	memset(r.ram, 0x11, PAGE);
	ui_tr_gate_open(r.tr, &r.a->cfg);
	pthread_join(rd.thread, NULL);
	CHECK(rd.status == UI_DMA_OK && rd.val == 0x1111111111111111u);
	ui_dma_close(port);
	rig_close(&r);
}

static void waiting_for_oneself_is_an_error_and_changes_nothing(void)
{
	struct rig r;
	struct ui_mem_span span;
	struct ui_dma_stats before, after;
	struct ui_dma_addr at = at_pasid(1, 0);
	u64 val;

	setup(&r);
	CHECK(!ui_tr_self_inside(r.tr, &r.a->cfg) && !ui_tr_self_inside(r.tr, NULL));
	hold(&r, 1, &span);
	CHECK(ui_tr_self_inside(r.tr, &r.a->cfg) && ui_tr_self_inside(r.tr, NULL) && !ui_tr_self_inside(r.tr, &r.b->cfg));
	CHECK(ui_tr_invalidate(r.tr, &r.a->cfg, 0, PAGE - 1) == -EDEADLK);
	CHECK(ui_tr_invalidate_tag(r.tr, &r.a->cfg) == -EDEADLK);
	CHECK(ui_tr_invalidate_all(r.tr) == -EDEADLK);
	CHECK(ui_tr_sync(r.tr, &r.a->cfg) == -EDEADLK && ui_tr_sync(r.tr, NULL) == -EDEADLK);
	CHECK(ui_tr_gate_close(r.tr, &r.a->cfg) == -EDEADLK);
	CHECK(ui_mem_remove(r.mem, RAM_PA) == -EDEADLK);
	CHECK(!ui_tr_invalidate(r.tr, &r.b->cfg, 0, PAGE - 1) && !ui_tr_sync(r.tr, &r.b->cfg));
	ui_dma_end(r.port);
	ui_dma_stats(r.port, &before);
	CHECK(ui_dma_read(r.port, &at, &val, 8, NULL, NULL) == UI_DMA_OK);
	ui_dma_stats(r.port, &after);
	CHECK(after.tlb_hits == before.tlb_hits + 1);
	CHECK(!ui_tr_invalidate_all(r.tr) && !ui_tr_gate_close(r.tr, &r.a->cfg));
	ui_tr_gate_open(r.tr, &r.a->cfg);
	rig_close(&r);
}

int main(void)
{
	unmap_waits_for_a_paused_reader();
	detach_waits_for_a_paused_reader();
	gate_waits_for_a_paused_reader();
	removal_of_memory_waits_for_a_paused_reader();
	changes_of_another_domain_do_not_wait();
	no_byte_moves_by_the_old_answer_after_the_change();
	a_walk_of_the_old_table_leaves_nothing_behind();
	a_late_user_of_an_old_entry_is_waited_for();
	a_section_that_resolves_is_waited_for();
	a_copy_is_waited_for_by_both_its_domains();
	no_copy_by_the_old_answer_for_one_side();
	a_busy_device_does_not_hold_up_a_wait();
	the_gate_holds_new_sections_of_its_config_outside();
	waiting_for_oneself_is_an_error_and_changes_nothing();
	return 0;
}
