/* SPDX-License-Identifier: MIT */
/* Memory objects. A plain program, since some of it is about threads. */
#include "fake.h"

#include <errno.h>

enum { RW = UI_PROT_READ | UI_PROT_WRITE };

static bool mmio_yes_read(void *arg, u64 offset, unsigned n_bytes, u64 *val)
{
	*val = offset;
	return true;
}

static bool mmio_yes_write(void *arg, u64 offset, unsigned n_bytes, u64 val)
{
	return true;
}

static const struct ui_mem_mmio_ops yes = { mmio_yes_read, mmio_yes_write };

static void regions_do_not_overlap_or_wrap(void)
{
	struct ui_mem *mem = ui_mem_create();
	static u8 host[PAGE];

	CHECK(mem && !ui_mem_add_ram(mem, 0x2000, 0x1000, host, true));
	CHECK(ui_mem_add_ram(mem, 0x2000, 1, host, true) == -EEXIST);
	CHECK(ui_mem_add_ram(mem, 0x2fff, 1, host, true) == -EEXIST);
	CHECK(ui_mem_add_ram(mem, 0x1fff, 2, host, true) == -EEXIST);
	CHECK(ui_mem_add_mmio(mem, 0, ~(u64)0, &yes, NULL) == -EEXIST);
	CHECK(ui_mem_add_ram(mem, 0x1000, 0x1000, host, true) == 0);
	CHECK(ui_mem_add_mmio(mem, 0x3000, 16, &yes, NULL) == 0);
	CHECK(ui_mem_add_ram(mem, 0x5000, 0, host, true) == -EINVAL);
	CHECK(ui_mem_add_ram(mem, ~(u64)0, 2, host, true) == -EINVAL);
	CHECK(ui_mem_add_ram(mem, 0x5000, 1, NULL, true) == -EINVAL);
	CHECK(ui_mem_add_mmio(mem, ~(u64)0, 1, &yes, NULL) == 0);
	CHECK(ui_mem_remove(mem, 0x2001) == -ENOENT);
	CHECK(ui_mem_remove(mem, 0x2000) == 0 && ui_mem_remove(mem, 0x2000) == -ENOENT);
	CHECK(ui_mem_add_ram(mem, 0x2fff, 1, host, true) == 0);
	ui_mem_destroy(mem);
}

static void resolve_finds_the_region_and_what_is_left_of_it(void)
{
	struct ui_mem *mem = ui_mem_create();
	struct ui_mem_span s;
	static u8 host[3 * PAGE];

	for (u64 i = 0; i < 100; i++)
		CHECK(!ui_mem_add_ram(mem, 0x100000 * (99 - i) + 0x1000, 0x2000, host, i & 1));
	CHECK(!ui_mem_add_mmio(mem, 0x7000, 16, &yes, host));
	for (u64 i = 0; i < 100; i++) {
		u64 base = 0x100000 * (99 - i) + 0x1000;

		CHECK(!ui_mem_resolve(mem, base - 1, &s) && !ui_mem_resolve(mem, base + 0x2000, &s));
		CHECK(ui_mem_resolve(mem, base, &s) && s.host == host && s.n_bytes == 0x2000 && s.writable == (i & 1));
		CHECK(ui_mem_resolve(mem, base + 0x1fff, &s) && s.host == host + 0x1fff && s.n_bytes == 1);
	}
	CHECK(ui_mem_resolve(mem, 0x7008, &s) && !s.host && s.ops == &yes && s.arg == host && s.offset == 8 && s.n_bytes == 8);
	ui_mem_destroy(mem);
}

static void the_process_is_one_region(void)
{
	struct ui_mem *mem = ui_mem_create_process();
	struct ui_mem_span s;
	int here;

	CHECK(mem && ui_mem_resolve(mem, (u64)(uintptr_t)&here, &s) && s.host == (u8 *)&here && s.writable);
	CHECK(!ui_mem_resolve(mem, 0xffff, &s) && ui_mem_resolve(mem, 0x10000, &s));
	CHECK(ui_mem_resolve(mem, ((u64)1 << 47) - 1, &s) && s.n_bytes == 1 && !ui_mem_resolve(mem, (u64)1 << 47, &s));
	ui_mem_destroy(mem);
}

static void after_removal_no_dma_reaches_the_memory(void)
{
	struct ui_dma_addr at = at_pasid(1, 0);
	struct rig r;
	u64 val = 1;

	rig_open(&r);
	fake_map(r.a->table, 0, RAM_PA, 4, RW);
	CHECK(ui_dma_write(r.port, &at, &val, 8, NULL, NULL) == UI_DMA_OK);
	CHECK(!ui_mem_remove(r.mem, RAM_PA));
	CHECK(ui_dma_write(r.port, &at, &val, 8, NULL, NULL) == UI_DMA_ABORT);
	CHECK(!ui_mem_add_ram(r.mem, RAM_PA, PAGE, r.ram + PAGE, true));
	val = 2;
	CHECK(ui_dma_write(r.port, &at, &val, 8, NULL, NULL) == UI_DMA_OK);
	CHECK(r.ram[0] == 1 && r.ram[PAGE] == 2);
	rig_close(&r);
}

/* Adding neither waits for a section nor pulls the old map from under it. */
static void adding_inside_a_section_works(void)
{
	struct ui_dma_addr at = at_pasid(1, 0);
	u64 live = ui_alloc_live(), open;
	struct ui_mem_span span;
	struct rig r;

	rig_open(&r);
	fake_map(r.a->table, 0, RAM_PA, 1, RW);
	open = ui_alloc_live();
	CHECK(ui_dma_begin(r.port, &at, UI_PROT_READ, 1, &span, NULL) == UI_DMA_OK);
	for (u64 i = 0; i < 10; i++)
		CHECK(!ui_mem_add_ram(r.mem, i * PAGE, PAGE, r.ram, true));
	CHECK(ui_alloc_live() == open + 10);
	ui_dma_end(r.port);
	CHECK(!ui_mem_add_ram(r.mem, 100 * PAGE, PAGE, r.ram, true));
	CHECK(ui_alloc_live() == open);
	rig_close(&r);
	CHECK(ui_alloc_live() == live);
}

struct slow {
	struct rig *rig;
	_Atomic int state; /* 1: stop in the next call, 2: in it */
	_Atomic int removed;
	int ret;
};

static bool slow_read(void *arg, u64 offset, unsigned n_bytes, u64 *val)
{
	struct slow *s = arg;

	if (atomic_load(&s->state) == 1) {
		atomic_store(&s->state, 2);
		wait_until(&s->state, 0);
	}
	*val = 3;
	return true;
}

static bool removing_write(void *arg, u64 offset, unsigned n_bytes, u64 val)
{
	struct slow *s = arg;

	s->ret = ui_mem_remove(s->rig->mem, 0x1000);
	return true;
}

static const struct ui_mem_mmio_ops slow_ops = { slow_read, removing_write };

static void *reader(void *arg)
{
	struct slow *s = arg;
	struct ui_dma_addr at = at_pasid(1, 0);
	u64 val;

	CHECK(ui_dma_read(s->rig->port, &at, &val, 8, NULL, NULL) == UI_DMA_OK);
	return NULL;
}

static void *remover(void *arg)
{
	struct slow *s = arg;

	CHECK(!ui_mem_remove(s->rig->mem, 0x1000));
	atomic_store(&s->removed, 1);
	return NULL;
}

static void removal_waits_for_the_registers_functions(void)
{
	struct slow s = { 0 };
	pthread_t rd, rm;
	struct rig r;

	rig_open(&r);
	s.rig = &r;
	CHECK(!ui_mem_add_mmio(r.mem, 0x1000, PAGE, &slow_ops, &s));
	fake_map(r.a->table, 0, 0x1000, 1, RW);
	atomic_store(&s.state, 1);
	CHECK(!pthread_create(&rd, NULL, reader, &s));
	wait_until(&s.state, 2);
	CHECK(!ui_tr_sync(r.tr, NULL)); /* it is in no section */
	CHECK(!pthread_create(&rm, NULL, remover, &s));
	yield_a_lot();
	CHECK(!atomic_load(&s.removed));
	atomic_store(&s.state, 0);
	pthread_join(rd, NULL);
	pthread_join(rm, NULL);
	CHECK(atomic_load(&s.removed));
	rig_close(&r);
}

static void a_function_that_removes_its_own_region_is_told(void)
{
	struct ui_dma_addr at = at_pasid(1, 0);
	struct slow s = { 0 };
	struct rig r;
	u64 val = 0;

	rig_open(&r);
	s.rig = &r;
	CHECK(!ui_mem_add_mmio(r.mem, 0x1000, PAGE, &slow_ops, &s));
	fake_map(r.a->table, 0, 0x1000, 1, RW);
	CHECK(ui_dma_write(r.port, &at, &val, 8, NULL, NULL) == UI_DMA_OK);
	CHECK(s.ret == -EDEADLK);
	CHECK(!ui_mem_remove(r.mem, 0x1000));
	rig_close(&r);
}

int main(void)
{
	regions_do_not_overlap_or_wrap();
	resolve_finds_the_region_and_what_is_left_of_it();
	the_process_is_one_region();
	after_removal_no_dma_reaches_the_memory();
	adding_inside_a_section_works();
	removal_waits_for_the_registers_functions();
	a_function_that_removes_its_own_region_is_told();
	return 0;
}
