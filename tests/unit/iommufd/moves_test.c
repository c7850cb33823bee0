/* SPDX-License-Identifier: MIT */
/* Pages that move again and again, and home (a program's mremap(), a failed MAP_FIXED that is undone; design, promise 9). */
#include "common.h"

enum { N_PAGES = 24, N_PLACES = 4, ROUNDS = 3000 };

static struct rig rig;
static u8 *places[N_PLACES];
static unsigned at[N_PAGES];       /* the place where each page is */
static int held[N_PLACES][N_PAGES]; /* what the environment was told */

static void on_pinned(void *arg, u64 va, u64 n_bytes, bool now)
{
	for (; n_bytes; va += PAGE, n_bytes -= PAGE) {
		for (unsigned i = 0; i < N_PLACES; i++) {
			u64 page = (va - (u64)(uintptr_t)places[i]) / PAGE;

			if (va >= (u64)(uintptr_t)places[i] && page < N_PAGES)
				held[i][page] += now ? 1 : -1;
		}
	}
}

struct move {
	unsigned from, to;
	u64 first, n;
	int ret;
};

static int carry(void *arg)
{
	const struct move *move = arg;
	u8 *from = places[move->from] + move->first * PAGE, *to = places[move->to] + move->first * PAGE;

	if (move->ret)
		return move->ret;
	assert_ptr_equal(mremap(from, move->n * PAGE, move->n * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to), to);
	assert_ptr_equal(mmap(from, move->n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), from);
	for (u64 i = move->first; i < move->first + move->n; i++) {
		at[i] = move->to;
		held[move->to][i] += held[move->from][i];
		held[move->from][i] = 0;
	}
	return 0;
}

static int go(struct move *move)
{
	return ui_iommufd_move_pages(rig.ctx, (u64)(uintptr_t)places[move->from] + move->first * PAGE, move->n * PAGE,
				     (u64)(uintptr_t)places[move->to] + move->first * PAGE, carry, move);
}

static void see(unsigned device, u64 iova, u64 first, u64 n)
{
	for (u64 i = 0; i < n; i++) {
		u64 word = MAX;

		assert_int_equal(dma_read(&rig, device, 0, iova + i * PAGE, &word, 8), UI_DMA_OK);
		assert_int_equal(word, first + i);
	}
}

static void pages_move_wherever_they_are(void **state)
{
	u32 ioas[2], pt;
	u64 iova = 0x100000;

	random_seed();
	for (unsigned i = 0; i < 2; i++) {
		pt = ioas[i] = ioas_new(&rig);
		rig_bind(&rig, i);
		assert_int_equal(attach(&rig, i, 0, &pt), 0);
	}
	assert_int_equal(map_at(&rig, ioas[0], places[0], N_PAGES * PAGE, 0), 0);
	assert_int_equal(copy(&rig, ioas[1], ioas[0], RW | FIXED, 5 * PAGE, 9 * PAGE, &iova), 0);
	assert_int_equal(map_at(&rig, ioas[1], places[0] + 8 * PAGE, 10 * PAGE, 0x200000), 0);
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct move move = { .first = (u64)rand() % N_PAGES, .n = 1, .ret = rand() % 8 ? 0 : -EIO };
		unsigned before[N_PAGES];
		int ret;

		memcpy(before, at, sizeof(at));
		move.from = at[move.first];
		move.to = (move.from + 1 + (unsigned)rand() % (N_PLACES - 1)) % N_PLACES;
		while (move.first + move.n < N_PAGES && at[move.first + move.n] == move.from && rand() % 6)
			move.n++;
		if (rand() % 4 == 0)
			ui_inject_arm(1 + (u64)rand() % 12);
		ret = go(&move);
		ui_inject_arm(0);
		if (ret) {
			assert_true(ret == -EIO || ret == -ENOMEM);
			assert_memory_equal(before, at, sizeof(at));
		}
		see(0, 0, 0, N_PAGES);
		see(1, iova, 5, 9);
		see(1, 0x200000, 8, 10);
	}
	assert_int_equal(unmap(&rig, ioas[0], 0, MAX, NULL), 0);
	see(1, iova, 5, 9);
	see(1, 0x200000, 8, 10);
	for (unsigned i = 0; i < N_PAGES; i++) {
		for (unsigned p = 0; p < N_PLACES; p++)
			assert_int_equal(held[p][i], p == at[i] ? (i >= 5 && i < 14) + (i >= 8 && i < 18) : 0);
	}
}

static int setup(void **state)
{
	struct ui_iommufd_env env = { .pinned = on_pinned };

	rig_open(&rig, &env, 0);
	for (unsigned i = 0; i < N_PLACES; i++)
		places[i] = pages_new(N_PAGES * PAGE);
	for (u64 i = 0; i < N_PAGES; i++)
		memcpy(places[0] + i * PAGE, &i, 8);
	return 0;
}

static int teardown(void **state)
{
	rig_close(&rig);
	for (unsigned i = 0; i < N_PLACES; i++) {
		for (unsigned page = 0; page < N_PAGES; page++)
			assert_int_equal(held[i][page], 0);
		munmap(places[i], N_PAGES * PAGE);
	}
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = { T(pages_move_wherever_they_are) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
