/* SPDX-License-Identifier: MIT */
/* Pages that move under live mappings (design, promise 9), and what the environment is told about pages in use. */
#include "common.h"

#include "base/list.h"

enum { MEM_PAGES = 64 };

static struct rig rig;
static u8 *mem, *aside;
static int held[2 * MEM_PAGES]; /* by page of mem, then of aside */

static int *held_at(u64 va)
{
	u64 base = (u64)(uintptr_t)mem, other = (u64)(uintptr_t)aside;

	if (va - base < MEM_PAGES * PAGE)
		return &held[(va - base) / PAGE];
	if (va - other < MEM_PAGES * PAGE)
		return &held[MEM_PAGES + (va - other) / PAGE];
	return NULL;
}

static void on_pinned(void *arg, u64 va, u64 n_bytes, bool now)
{
	assert_true(ui_is_aligned(va | n_bytes, PAGE));
	for (; n_bytes; va += PAGE, n_bytes -= PAGE) {
		int *count = held_at(va);

		if (!count)
			continue;
		*count += now ? 1 : -1;
		assert_true(*count >= 0);
	}
}

static int setup(void **state)
{
	struct ui_iommufd_env env = { .pinned = on_pinned };

	rig_open(&rig, &env, 0);
	mem = pages_new(MEM_PAGES * PAGE);
	aside = pages_new(MEM_PAGES * PAGE);
	for (u64 i = 0; i < MEM_PAGES; i++)
		memcpy(mem + i * PAGE, &i, 8);
	return 0;
}

static int teardown(void **state)
{
	rig_close(&rig);
	for (unsigned i = 0; i < 2 * MEM_PAGES; i++)
		assert_int_equal(held[i], 0);
	munmap(mem, MEM_PAGES * PAGE);
	munmap(aside, MEM_PAGES * PAGE);
	return 0;
}

struct move {
	u64 from, to, n; /* pages */
	int ret;
	unsigned calls;
};

/* As the shim would: the pages go, and new ones of the program's take their place. */
static int carry(void *arg)
{
	struct move *move = arg;
	void *at;

	move->calls++;
	if (move->ret)
		return move->ret;
	at = mremap(mem + move->from * PAGE, move->n * PAGE, move->n * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, aside + move->to * PAGE);
	assert_ptr_equal(at, aside + move->to * PAGE);
	at = mmap(mem + move->from * PAGE, move->n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	assert_ptr_equal(at, mem + move->from * PAGE);
	for (u64 i = 0; i < move->n; i++) {
		u64 word = 1000 + move->from + i;
		int *from = held_at((u64)(uintptr_t)mem + (move->from + i) * PAGE), *to = held_at((u64)(uintptr_t)aside + (move->to + i) * PAGE);

		memcpy(mem + (move->from + i) * PAGE, &word, 8);
		*to = from ? *from : 1;
		if (from)
			*from = 0;
	}
	return 0;
}

static int move_pages(struct move *move)
{
	return ui_iommufd_move_pages(rig.ctx, (u64)(uintptr_t)mem + move->from * PAGE, move->n * PAGE, (u64)(uintptr_t)aside + move->to * PAGE, carry,
				     move);
}

static void expect(unsigned i, u64 iova, u64 page, unsigned n)
{
	for (u64 k = 0; k < n; k++) {
		u64 word = MAX;

		assert_int_equal(dma_read(&rig, i, 0, iova + k * PAGE, &word, 8), UI_DMA_OK);
		assert_int_equal(word, page + k);
		/* Written as well: to the same page. */
		assert_int_equal(dma_write(&rig, i, 0, iova + k * PAGE, &word, 8), UI_DMA_OK);
	}
}

static u32 attached_ioas(unsigned i)
{
	u32 ioas = ioas_new(&rig), pt = ioas;

	rig_bind(&rig, i);
	assert_int_equal(attach(&rig, i, 0, &pt), 0);
	return ioas;
}

static void pages_nobody_holds_do_not_move(void **state)
{
	struct move move = { .n = 4 };
	u32 ioas = ioas_new(&rig), pt = ioas;

	assert_int_equal(map_at(&rig, ioas, mem, 8 * PAGE, 0), 0);
	assert_int_equal(move_pages(&move), -ENOENT);
	rig_bind(&rig, 0);
	assert_int_equal(attach(&rig, 0, 0, &pt), 0);
	move.from = 8;
	assert_int_equal(move_pages(&move), -ENOENT);
	assert_int_equal(move.calls, 0);
	move.from = 7;
	assert_int_equal(move_pages(&move), 0);
	assert_int_equal(move.calls, 1);
	expect(0, 0, 0, 8);
	detach(&rig, 0, 0);
	assert_int_equal(move_pages(&move), -ENOENT);
}

static void mappings_go_on_where_the_pages_went(void **state)
{
	u32 ioas = attached_ioas(0);
	struct move move = { .from = 2, .to = 10, .n = 3 };
	u64 word;

	assert_int_equal(map_at(&rig, ioas, mem, 8 * PAGE, 0x100000), 0);
	expect(0, 0x100000, 0, 8);
	assert_int_equal(move_pages(&move), 0);
	expect(0, 0x100000, 0, 8);
	/* The program's new pages are its own. */
	memcpy(&word, mem + 2 * PAGE, 8);
	assert_int_equal(word, 1002);
	/* Once moved, never again: what lies there now is something else. */
	assert_int_equal(move_pages(&move), -ENOENT);
	/* A second part, around the first. */
	move = (struct move){ .from = 1, .to = 20, .n = 5 };
	assert_int_equal(move_pages(&move), 0);
	/* carry() moved the new pages as well; the mapping's own stayed where they were. */
	expect(0, 0x100000, 0, 8);
}

/* New mappings of the same addresses see what is there now; old and new each keep their own. */
static void a_new_mapping_sees_the_new_pages(void **state)
{
	u32 ioas = attached_ioas(0);
	struct move move = { .from = 0, .to = 0, .n = 4 };

	assert_int_equal(map_at(&rig, ioas, mem, 4 * PAGE, 0), 0);
	assert_int_equal(move_pages(&move), 0);
	assert_int_equal(map_at(&rig, ioas, mem, 4 * PAGE, 0x10000), 0);
	expect(0, 0, 0, 4);
	expect(0, 0x10000, 1000, 4);
	move.to = 8;
	assert_int_equal(move_pages(&move), 0);
	expect(0, 0, 0, 4);
	expect(0, 0x10000, 1000, 4);
	assert_int_equal(unmap(&rig, ioas, 0, 4 * PAGE, NULL), 0);
	expect(0, 0x10000, 1000, 4);
}

/* Copies share the object, other mappings of the memory do not; all follow, in every domain. */
static void copies_and_other_mappings_follow(void **state)
{
	u32 a = attached_ioas(0), b = attached_ioas(1);
	struct move move = { .from = 3, .to = 3, .n = 2 };
	u64 to = 0x40000;

	assert_int_equal(map_at(&rig, a, mem, 8 * PAGE, 0), 0);
	assert_int_equal(copy(&rig, b, a, RW | FIXED, 2 * PAGE, 4 * PAGE, &to), 0);
	assert_int_equal(map_at(&rig, b, mem + 4 * PAGE, 2 * PAGE, 0), 0);
	assert_int_equal(move_pages(&move), 0);
	assert_int_equal(move.calls, 1);
	expect(0, 0, 0, 8);
	expect(1, to, 2, 4);
	expect(1, 0, 4, 2);
	/* A domain that comes later finds the moved pages, too. */
	{
		u32 hwpt;

		assert_int_equal(hwpt_new(&rig, rig.dev_id[1], a, 0, &hwpt), 0);
		assert_int_equal(attach(&rig, 1, 0, &hwpt), 0);
		expect(1, 0, 0, 8);
	}
	assert_int_equal(unmap(&rig, a, 0, MAX, NULL), 0);
	assert_int_equal(held[MEM_PAGES + 3], 0); /* b lost its last domain, a its areas */
}

/* Large leaves are split; a later unmap of the whole still works. */
static void a_large_leaf_is_split(void **state)
{
	const u64 big = (u64)2 << 20;
	u8 *area = pages_new(4 * big), *at = (u8 *)ui_align_up((u64)(uintptr_t)area, big), *old = mem;
	u32 ioas = attached_ioas(0);
	struct move move = { .from = 100, .to = 0, .n = 2 };
	u64 removed;

	for (u64 i = 0; i < 512; i++)
		memcpy(at + i * PAGE, &i, 8);
	assert_int_equal(map_at(&rig, ioas, at, big, big), 0);
	mem = at;
	assert_int_equal(ui_iommufd_move_pages(rig.ctx, (u64)(uintptr_t)at + 100 * PAGE, 2 * PAGE, (u64)(uintptr_t)aside, carry, &move), 0);
	mem = old;
	expect(0, big, 0, 512);
	assert_int_equal(unmap(&rig, ioas, big, big, &removed), 0);
	assert_int_equal(removed, big);
	munmap(area, 4 * big);
}

/* What cannot be moved stays as it was, also when the mover itself fails. */
static void a_failed_move_changes_nothing(void **state)
{
	u32 ioas = attached_ioas(0), other = attached_ioas(1);
	struct move move = { .from = 1, .to = 1, .n = 4, .ret = -EIO };
	u64 to = 0;

	assert_int_equal(map_at(&rig, ioas, mem, 8 * PAGE, 0), 0);
	assert_int_equal(map_at(&rig, ioas, mem + 2 * PAGE, 8 * PAGE, 0x20000), 0);
	assert_int_equal(copy(&rig, other, ioas, RW | FIXED, 2 * PAGE, 2 * PAGE, &to), 0);
	assert_int_equal(move_pages(&move), -EIO);
	expect(0, 0, 0, 8);
	expect(0, 0x20000, 2, 8);
	expect(1, 0, 2, 2);
	move.ret = 0;
	for (u64 n = 1;; n++) {
		int ret;

		move.calls = 0;
		ui_inject_arm(n);
		ret = move_pages(&move);
		ui_inject_arm(0);
		if (!ret)
			break;
		assert_int_equal(ret, -ENOMEM);
		assert_int_equal(move.calls, 0);
		expect(0, 0, 0, 8);
		expect(1, 0, 2, 2);
	}
	expect(0, 0, 0, 8);
	expect(0, 0x20000, 2, 8);
	expect(1, 0, 2, 2);
}

/* One page, one hold: however many areas and domains share the object. */
static void an_object_holds_each_page_once(void **state)
{
	u32 ioas = attached_ioas(0), other = attached_ioas(1), hwpt;
	u64 to = 0x100000;

	assert_int_equal(map_at(&rig, ioas, mem, 8 * PAGE, 0), 0);
	assert_int_equal(hwpt_new(&rig, rig.dev_id[0], ioas, 0, &hwpt), 0);
	assert_int_equal(copy(&rig, ioas, ioas, RW | FIXED, 2 * PAGE, 4 * PAGE, &to), 0);
	to = 0;
	assert_int_equal(copy(&rig, other, ioas, RW | FIXED, 4 * PAGE, 3 * PAGE, &to), 0);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(held[i], 1);
	assert_int_equal(unmap(&rig, ioas, 0, 8 * PAGE, NULL), 0);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(held[i], i >= 2 && i < 7);
	assert_int_equal(unmap(&rig, ioas, 0, MAX, NULL), 0);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(held[i], i >= 4 && i < 7);
	/* A mapping of its own holds again. */
	assert_int_equal(map_at(&rig, ioas, mem + 4 * PAGE, PAGE, 0), 0);
	assert_int_equal(held[4], 2);
}

/* Random copies, moves and unmaps against what the memory held at first. */
static void random_moves_keep_the_bytes(void **state)
{
	u32 ioas[2] = { attached_ioas(0), attached_ioas(1) };
	u64 place = 0;
	struct {
		unsigned i;
		u64 iova, page, n;
	} maps[40];
	unsigned n_maps = 0;
	u64 next = 0;

	random_seed();
	for (u64 i = 0; i < 4; i++) {
		u64 at = 0;

		assert_int_equal(map(&rig, ioas[0], RW, mem + i * 8 * PAGE, 8 * PAGE, &at), 0);
		maps[n_maps].i = 0;
		maps[n_maps].iova = at;
		maps[n_maps].page = i * 8;
		maps[n_maps++].n = 8;
	}
	for (unsigned step = 0; step < 300; step++) {
		unsigned m = (unsigned)rand() % n_maps;
		u64 from = (u64)rand() % maps[m].n, n = (u64)rand() % (maps[m].n - from) + 1;

		switch (rand() % 3) {
		case 0:
			if (n_maps == 40)
				break;
			maps[n_maps] = maps[m];
			maps[n_maps].i = (unsigned)rand() % 2;
			assert_int_equal(copy(&rig, ioas[maps[n_maps].i], ioas[maps[m].i], RW, maps[m].iova + from * PAGE, n * PAGE, &place), 0);
			maps[n_maps].iova = place;
			maps[n_maps].page += from;
			maps[n_maps++].n = n;
			break;
		case 1:
			if (n_maps < 6)
				break;
			assert_int_equal(unmap(&rig, ioas[maps[m].i], maps[m].iova, maps[m].n * PAGE, NULL), 0);
			maps[m] = maps[--n_maps];
			break;
		default: {
			struct move move = { .from = (u64)rand() % 32, .to = next, .n = (u64)rand() % 3 + 1 };
			int ret = next + move.n <= MEM_PAGES ? move_pages(&move) : 0;

			assert_true(!ret || ret == -ENOENT);
			next += move.calls ? move.n : 0;
		}
		}
		for (unsigned k = 0; k < n_maps; k++)
			expect(maps[k].i, maps[k].iova, maps[k].page, (unsigned)maps[k].n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(pages_nobody_holds_do_not_move),
		T(mappings_go_on_where_the_pages_went),
		T(a_new_mapping_sees_the_new_pages),
		T(copies_and_other_mappings_follow),
		T(a_large_leaf_is_split),
		T(a_failed_move_changes_nothing),
		T(an_object_holds_each_page_once),
		T(random_moves_keep_the_bytes),
	};

	ui_log_set(UI_LOG_ERROR, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
