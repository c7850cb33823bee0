/* SPDX-License-Identifier: MIT */
/*
 * Every allocation fails once, at each of its places: a request that has no memory says NOMEM and changes nothing, an object that cannot be
 * made leaves nothing behind, and what must not fail (a reset, the end) does not.
 */
#include "common.h"

enum { ALL = 0x77, N_STEPS = 9 };

#define D(n) (DATA_PA + (u64)(n) * PAGE)

/* What a failed request must not change. */
struct view {
	u64 seen[N_ENDPOINTS][4];
};

static struct view look(struct world *w)
{
	struct view v;

	for (unsigned ep = 0; ep < N_ENDPOINTS; ep++) {
		v.seen[ep][0] = seen(w, ep, 0x1000);
		v.seen[ep][1] = seen(w, ep, 0x40000000);
		v.seen[ep][2] = seen(w, ep, 0x40003000);
		v.seen[ep][3] = seen(w, ep, D(9));
	}
	return v;
}

static int step(struct world *w, unsigned n)
{
	switch (n) {
	case 0:
		return attach(w, 1, 8);
	case 1:
		return map(w, 1, 0x1000, 0x1fff, D(1), MAP_R);
	case 2:
		return map(w, 1, 0x40000000, 0x40003fff, D(2), MAP_R | MAP_W);
	case 3:
		return attach(w, 1, 9);
	case 4:
		return attach_flags(w, 2, 10, 1);
	case 5:
		return unmap(w, 1, 0x40000000, 0x40003fff);
	case 6:
		return attach(w, 3, 9);
	case 7:
		return detach(w, 1, 8);
	default:
		return probe(w, 8, 68);
	}
}

/* Fails the @n-th allocation of a whole life. False: there are not so many. */
static bool sweep_once(u64 n, bool bypass)
{
	struct ui_virtio_iommu_cfg cfg;
	struct world w;
	bool whole;

	ui_virtio_iommu_cfg_init(&cfg);
	cfg.bypass = bypass;
	cfg.probe_bytes = 64;
	ui_inject_arm(n);
	if (!world_try_open(&w, &cfg, NULL)) {
		ui_inject_arm(0);
		world_close(&w);
		return true;
	}
	start_driver(&w, ALL);
	for (unsigned i = 0; i < N_STEPS; i++) {
		u64 left = ui_inject_left();
		struct view before, after;
		int status;

		ui_inject_arm(0);
		before = look(&w);
		ui_inject_arm(left);
		status = step(&w, i);
		if (!status)
			continue;
		assert_int_equal(ui_inject_left(), 0);
		if (i == N_STEPS - 1) {
			/* Without memory for the properties there is no place for the tail. */
			assert_int_equal(status, NO_ANSWER);
		} else {
			assert_int_equal(status, S_NOMEM);
		}
		after = look(&w);
		assert_memory_equal(&before, &after, sizeof(before));
		/* No domain came of an ATTACH. */
		if (i == 0 || i == 4 || i == 6)
			assert_int_equal(unmap(&w, i == 0 ? 1 : i == 4 ? 2 : 3, 0, 0xfff), S_NOENT);
		assert_int_equal(step(&w, i), S_OK);
	}
	whole = ui_inject_left();
	ui_virtio_set_status(w.v, 0);
	/* A reset that has no memory blocks; it never leaves an endpoint where it was. */
	if (whole) {
		whole = ui_inject_left();
		ui_inject_arm(0);
		assert_int_equal(seen(&w, 1, 0x1000), 0);
		if (whole || !bypass)
			assert_int_equal(seen(&w, 2, D(9)), bypass ? D(9) : 0);
	}
	ui_inject_arm(0);
	world_close(&w);
	return !whole;
}

static void every_allocation_fails_once(void **state)
{
	u64 live = ui_alloc_live();

	for (unsigned bypass = 0; bypass < 2; bypass++) {
		u64 n = 1;

		while (sweep_once(n, bypass)) {
			assert_int_equal(ui_alloc_live(), live);
			n++;
		}
		assert_true(n > 40);
		assert_int_equal(ui_alloc_live(), live);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_allocation_fails_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
