/* SPDX-License-Identifier: MIT */
/* Promise 9: nobody is crashed by what they map. A plain program, since it is about signals, which cmocka takes. */
#include "fake.h"

enum { RW = UI_PROT_READ | UI_PROT_WRITE };

static void setup(struct rig *r)
{
	rig_open(r);
	fake_map(r->a->table, 0, RAM_PA, 512, RW);
	fake_map(r->b->table, 0, RAM_PA + 512 * PAGE, 512, RW);
}

/* An abort, exact to the byte, and the process lives. */
static void memory_that_vanishes_is_an_abort(void)
{
	static u8 buf[4 * PAGE];
	struct ui_dma_addr at = at_pasid(1, 10), other = at_pasid(2, 0);
	struct ui_fault f;
	struct rig r;
	bool differs;
	u64 done;

	setup(&r);
	for (int kind = 0; kind < 2; kind++) {
		if (kind)
			CHECK(munmap(r.ram + PAGE, PAGE) == 0);
		else
			CHECK(mprotect(r.ram + PAGE, PAGE, PROT_NONE) == 0);
		CHECK(ui_dma_read(r.port, &at, buf, 2 * PAGE, &done, &f) == UI_DMA_ABORT);
		CHECK(done == PAGE - 10 && f.iova == PAGE && f.stage == 0 && f.access == UI_PROT_READ);
		CHECK(ui_dma_write(r.port, &at, buf, 2 * PAGE, &done, &f) == UI_DMA_ABORT);
		CHECK(done == PAGE - 10 && f.iova == PAGE);
		CHECK(ui_dma_fill(r.port, &at, 1, 2 * PAGE, &done, &f) == UI_DMA_ABORT);
		CHECK(done == PAGE - 10 && f.iova == PAGE);
		CHECK(ui_dma_copy(r.port, &at, &other, 2 * PAGE, &done, &f) == UI_DMA_ABORT);
		CHECK(done == PAGE - 10 && f.iova == PAGE && f.access == UI_PROT_READ && f.pasid == 1);
		CHECK(ui_dma_copy(r.port, &other, &at, 2 * PAGE, &done, &f) == UI_DMA_ABORT);
		CHECK(done == PAGE - 10 && f.iova == PAGE && f.access == UI_PROT_WRITE && f.pasid == 1);
		memcpy(r.ram + 512 * PAGE, r.ram + 10, PAGE - 10);
		CHECK(ui_dma_compare(r.port, &at, &other, 2 * PAGE, &differs, &done, &f) == UI_DMA_ABORT);
		CHECK(done == PAGE - 10 && f.iova == PAGE && !differs);
	}
	rig_close(&r);
}

static void a_truncated_file_is_an_abort(void)
{
	struct ui_dma_addr at = at_pasid(1, 700 * PAGE);
	int fd = memfd_create("dma", 0);
	struct rig r;
	u8 *map, buf[64];

	setup(&r);
	CHECK(fd >= 0 && !ftruncate(fd, 2 * PAGE));
	map = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(map != MAP_FAILED);
	CHECK(ui_mem_add_ram(r.mem, 0x40000, 2 * PAGE, map, true) == 0);
	fake_map(r.a->table, 700 * PAGE, 0x40000, 2, RW);
	CHECK(ui_dma_write(r.port, &at, buf, 64, NULL, NULL) == UI_DMA_OK);
	CHECK(ftruncate(fd, 0) == 0);
	CHECK(ui_dma_write(r.port, &at, buf, 64, NULL, NULL) == UI_DMA_ABORT);
	CHECK(ui_dma_read(r.port, &at, buf, 64, NULL, NULL) == UI_DMA_ABORT);
	close(fd);
	rig_close(&r);
	munmap(map, 2 * PAGE);
}

/* The table itself lies in memory that is not ours: read through the memory object, it may be missing, read-only or gone. */
static void a_table_that_vanishes_is_an_abort_of_the_walk(void)
{
	const u64 table = RAM_PA + 1024 * PAGE;
	struct ui_stage_config cfg = { .kind = UI_CFG_TRANSLATE };
	struct ui_dma_addr at = at_pasid(4, 0x3000);
	struct ui_fault f;
	struct rig r;
	u64 *t, val;

	setup(&r);
	CHECK(!ui_tr_tag_alloc(r.tr, &cfg.tag));
	cfg.s1.present = true;
	cfg.s1.walk = (struct ui_walk_cfg){ .format = UI_PT_X86_64, .granule_lg2 = 12, .ia_bits = 48, .oa_bits = 48, .top_level = 3,
					    .top_lg2 = 9, .set_accessed = true, .set_dirty = true, .top_pa = table };
	atomic_store(&r.router.to[4], &cfg);
	t = (u64 *)(void *)(r.ram + 1024 * PAGE);
	for (u64 level = 0; level < 3; level++)
		t[level * 512] = (table + (level + 1) * PAGE) | 7;
	t[3 * 512 + 3] = RAM_PA | 7;
	CHECK(ui_dma_read(r.port, &at, &val, 8, NULL, NULL) == UI_DMA_OK);
	CHECK(t[0] & 0x20);           /* accessed */
	CHECK(!(t[3 * 512 + 3] & 0x40)); /* not dirty */
	CHECK(ui_dma_write(r.port, &at, &val, 8, NULL, NULL) == UI_DMA_OK);
	CHECK(t[3 * 512 + 3] & 0x40);
	CHECK(!ui_tr_invalidate_tag(r.tr, &cfg));
	/* The dirty bit cannot be set. */
	t[3 * 512 + 3] &= ~(u64)0x40;
	CHECK(!mprotect(&t[3 * 512], PAGE, PROT_READ));
	CHECK(ui_dma_read(r.port, &at, &val, 8, NULL, NULL) == UI_DMA_OK);
	CHECK(ui_dma_write(r.port, &at, &val, 8, NULL, &f) == UI_DMA_WALK_ABORT);
	CHECK(f.stage == 1 && f.level == 0 && f.iova == 0x3000 && !f.on_walk);
	/* The lowest table goes; then the middle one points out of memory, and into registers. */
	CHECK(!munmap(&t[3 * 512], PAGE));
	CHECK(!ui_tr_invalidate_tag(r.tr, &cfg));
	CHECK(ui_dma_read(r.port, &at, &val, 8, NULL, &f) == UI_DMA_WALK_ABORT && f.stage == 1 && f.level == 0);
	t[2 * 512] = 0x7000 | 7;
	CHECK(ui_dma_read(r.port, &at, &val, 8, NULL, &f) == UI_DMA_WALK_ABORT && f.stage == 1 && f.level == 0);
	CHECK(!ui_mem_add_mmio(r.mem, 0x7000, PAGE, &(struct ui_mem_mmio_ops){ NULL, NULL }, NULL));
	CHECK(ui_dma_read(r.port, &at, &val, 8, NULL, &f) == UI_DMA_WALK_ABORT);
	/* A reserved bit. */
	t[1 * 512] |= (u64)1 << 50;
	CHECK(ui_dma_read(r.port, &at, &val, 8, NULL, &f) == UI_DMA_MALFORMED && f.stage == 1 && f.level == 2);
	atomic_store(&r.router.to[4], NULL);
	CHECK(!ui_tr_sync(r.tr, &cfg));
	ui_tr_tag_free(r.tr, cfg.tag);
	rig_close(&r);
}

int main(void)
{
	memory_that_vanishes_is_an_abort();
	a_truncated_file_is_an_abort();
	a_table_that_vanishes_is_an_abort_of_the_walk();
	return 0;
}
