/* SPDX-License-Identifier: MIT */
/*
 * Threads are the subject: exit status 0 or 1. Promise 7: an unmap waits for a device's section in its own IOAS, and while it
 * waits, calls on other IOASes of the context go on. Then everything at once, for the sanitizers.
 */
#include "common.h"

#include "base/log.h"
#include "base/sys.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define CHECK(cond)                                                                                                       \
	do {                                                                                                              \
		if (!(cond)) {                                                                                            \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                                        \
			_exit(1);                                                                                         \
		}                                                                                                         \
	} while (0)

static struct rig rig;
static u8 *mem;

enum { MEM_PAGES = 64, ROUNDS = 3000 };

static atomic_int unmapping, unmapped;

struct unmapper {
	u32 ioas;
};

static void *unmap_it(void *arg)
{
	struct unmapper *u = arg;

	atomic_store(&unmapping, 1);
	CHECK(!unmap(&rig, u->ioas, 0, PAGE, NULL));
	atomic_store(&unmapped, 1);
	return NULL;
}

static void other_ioas_goes_on(u32 ioas)
{
	u64 iova, word;

	for (unsigned i = 0; i < ROUNDS; i++) {
		iova = 0x10000;
		CHECK(!map(&rig, ioas, RW | FIXED, mem + 8 * PAGE, PAGE, &iova));
		CHECK(dma_read(&rig, 3, 0, iova, &word, 8) == UI_DMA_OK);
		CHECK(!unmap(&rig, ioas, iova, PAGE, NULL));
		CHECK(dma_read(&rig, 3, 0, iova, &word, 8) == UI_DMA_TRANSLATION);
	}
}

/* A reader stands between translation and copy. */
static void an_unmap_waits_for_its_own_sections_only(void)
{
	struct ui_dma_addr at = { .iova = 0 };
	struct unmapper u = { .ioas = ioas_new(&rig) };
	u32 other = ioas_new(&rig), pt = u.ioas, pt_other = other;
	struct ui_mem_span span;
	pthread_t thread;

	CHECK(!attach(&rig, 2, 0, &pt) && !attach(&rig, 3, 0, &pt_other));
	CHECK(!map_at(&rig, u.ioas, mem, PAGE, 0));
	CHECK(ui_dma_begin(rig.port[2], &at, UI_PROT_WRITE, 8, &span, NULL) == UI_DMA_OK);
	/* A wait for oneself is an error, and changes nothing. */
	CHECK(unmap(&rig, u.ioas, 0, PAGE, NULL) == -EDEADLK);
	CHECK(!pthread_create(&thread, NULL, unmap_it, &u));
	while (!atomic_load(&unmapping))
		ui_sys_yield();
	other_ioas_goes_on(other);
	CHECK(!atomic_load(&unmapped));
	span.host[0] = 1;
	ui_dma_end(rig.port[2]);
	pthread_join(thread, NULL);
	CHECK(atomic_load(&unmapped));
	detach(&rig, 2, 0);
	detach(&rig, 3, 0);
	CHECK(!destroy(&rig, u.ioas) && !destroy(&rig, other));
}

static u32 shared[2];
static atomic_uint stop;

/* Each with a device of its own, on IOASes of all. */
static void *worker(void *arg)
{
	unsigned i = (unsigned)(uintptr_t)arg, seed = i;
	u8 *own = mem + i * 8 * PAGE;

	for (unsigned round = 0; round < 400; round++) {
		u32 ioas = shared[rand_r(&seed) % 2], pt = ioas;
		u64 iova = (u64)(0x100 + i) << 20, copied = 0, word = (u64)round << 8 | i, got = 0;

		CHECK(!attach(&rig, i, 0, &pt));
		CHECK(!map(&rig, ioas, RW | FIXED, own, 4 * PAGE, &iova));
		CHECK(dma_write(&rig, i, 0, iova + PAGE, &word, 8) == UI_DMA_OK);
		CHECK(dma_read(&rig, i, 0, iova + PAGE, &got, 8) == UI_DMA_OK && got == word);
		CHECK(!copy(&rig, ioas, ioas, RW, iova + PAGE, PAGE, &copied));
		CHECK(!unmap(&rig, ioas, iova, 4 * PAGE, NULL));
		CHECK(dma_read(&rig, i, 0, copied, &got, 8) == UI_DMA_OK && got == word);
		CHECK(dma_read(&rig, i, 0, iova + PAGE, &got, 8) == UI_DMA_TRANSLATION);
		CHECK(!unmap(&rig, ioas, copied, PAGE, NULL));
		if (round % 4 == 0)
			detach(&rig, i, 0);
		if (round % 16 == 0) {
			u32 mine = ioas_new(&rig), hwpt;

			CHECK(!hwpt_new(&rig, rig.dev_id[i], mine, 0, &hwpt));
			CHECK(destroy(&rig, mine) == -EBUSY);
			CHECK(!destroy(&rig, hwpt));
			CHECK(!destroy(&rig, mine));
		}
	}
	return NULL;
}

static int swap(void *arg)
{
	return 0;
}

/* Moves that go nowhere new: the pages of nobody's mappings, and of everybody's to where they are. */
static void *mover(void *arg)
{
	while (!atomic_load(&stop)) {
		u64 at = (u64)(uintptr_t)mem;

		for (unsigned i = 0; i < MEM_PAGES && !atomic_load(&stop); i += 8) {
			int ret = ui_iommufd_move_pages(rig.ctx, at + i * PAGE, 2 * PAGE, at + i * PAGE, swap, NULL);

			CHECK(!ret || ret == -ENOENT);
			ui_sys_yield();
		}
	}
	return NULL;
}

/* Unknown and dying ids from the side. */
static void *nuisance(void *arg)
{
	while (!atomic_load(&stop)) {
		struct ui_uapi_iova_range list[8];
		u32 n = 8;

		for (u32 id = 1; id < 24; id++) {
			long ret = id == shared[0] || id == shared[1] ? 0 : destroy(&rig, id);

			CHECK(!ret || ret == -ENOENT || ret == -EBUSY);
			ranges(&rig, id, list, &n, NULL);
			n = 8;
		}
	}
	return NULL;
}

static void everything_at_once(void)
{
	pthread_t threads[N_DEVICES], side;

	shared[0] = ioas_new(&rig);
	shared[1] = ioas_new(&rig);
	atomic_store(&stop, 0);
	for (unsigned i = 0; i < N_DEVICES; i++)
		CHECK(!pthread_create(&threads[i], NULL, worker, (void *)(uintptr_t)i));
	CHECK(!pthread_create(&side, NULL, mover, NULL));
	for (unsigned i = 0; i < N_DEVICES; i++)
		pthread_join(threads[i], NULL);
	atomic_store(&stop, 1);
	pthread_join(side, NULL);
	for (unsigned i = 0; i < N_DEVICES; i++)
		detach(&rig, i, 0);
	CHECK(!destroy(&rig, shared[0]) && !destroy(&rig, shared[1]));
}

/* Creation and destruction against one another: whatever a thread destroys, calls on it end first. */
static void *maker(void *arg)
{
	for (unsigned i = 0; i < 2000; i++) {
		struct ui_uapi_ioas_alloc cmd = { .size = sizeof(cmd) };
		u64 iova = 0;

		CHECK(!call(&rig, UI_UAPI_IOAS_ALLOC, &cmd));
		map(&rig, cmd.out_ioas_id, RW, mem, PAGE, &iova);
		destroy(&rig, cmd.out_ioas_id);
	}
	return NULL;
}

static void ids_come_and_go(void)
{
	pthread_t threads[3];

	shared[0] = shared[1] = 0;
	atomic_store(&stop, 0);
	CHECK(!pthread_create(&threads[2], NULL, nuisance, NULL));
	for (unsigned i = 0; i < 2; i++)
		CHECK(!pthread_create(&threads[i], NULL, maker, NULL));
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	atomic_store(&stop, 1);
	pthread_join(threads[2], NULL);
}

/* Two threads whose maps overlap, so that at any moment one is under way, until an attach of another device has come through. */
static struct {
	atomic_bool on, writing, written;
	atomic_uint n_inside, n_rounds;
} crowd;

enum { CROWD_ROUNDS = 100000, CROWD_YIELDS = 50000 };

/* ui_iommufd_env.pin: a map that stays until the other thread's is there, too, if it comes. */
static int crowded_pin(void *arg, u64 va, u64 n_bytes, bool write)
{
	unsigned seen = atomic_fetch_add(&crowd.n_inside, 1);

	for (unsigned i = 0; atomic_load(&crowd.on) && i < CROWD_YIELDS && atomic_load(&crowd.n_inside) == seen + 1; i++)
		ui_sys_yield();
	return 0;
}

static void *crowding(void *arg)
{
	u32 ioas = shared[0];
	u64 iova = (u64)(uintptr_t)arg;

	while (atomic_load(&crowd.on)) {
		CHECK(!map_at(&rig, ioas, mem, PAGE, iova));
		CHECK(!unmap(&rig, ioas, iova, PAGE, NULL));
		if (atomic_load(&crowd.writing) && atomic_fetch_add(&crowd.n_rounds, 1) >= CROWD_ROUNDS)
			break;
	}
	return NULL;
}

static void an_attach_comes_through_a_crowd_of_maps(void)
{
	const struct ui_iommufd_env env = { .pin = crowded_pin };
	pthread_t threads[2];
	u32 ioas, hwpt, pt;

	for (unsigned i = 0; i < N_DEVICES; i++)
		rig_unbind(&rig, i);
	ui_iommufd_close(rig.ctx);
	rig.ctx = ui_iommufd_open(&env);
	rig.binder = ui_iommufd_binder(rig.ctx);
	rig_bind(&rig, 0);
	shared[0] = ioas = pt = ioas_new(&rig);
	CHECK(!attach(&rig, 0, 0, &pt));
	atomic_store(&crowd.on, true);
	for (u64 i = 0; i < 2; i++)
		CHECK(!pthread_create(&threads[i], NULL, crowding, (void *)(uintptr_t)(0x10000 * (i + 1))));
	while (atomic_load(&crowd.n_inside) < 100)
		ui_sys_yield();
	atomic_store(&crowd.writing, true);
	CHECK(!hwpt_new(&rig, rig.dev_id[0], ioas, 0, &hwpt));
	CHECK(atomic_load(&crowd.n_rounds) < CROWD_ROUNDS);
	atomic_store(&crowd.on, false);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	rig_unbind(&rig, 0);
}

int main(void)
{
	ui_log_set(UI_LOG_ERROR, NULL, NULL);
	recover_bad_accesses();
	rig_open(&rig, NULL, 0);
	mem = pages_new(MEM_PAGES * PAGE);
	for (unsigned i = 0; i < N_DEVICES; i++)
		rig_bind(&rig, i);
	an_unmap_waits_for_its_own_sections_only();
	everything_at_once();
	ids_come_and_go();
	an_attach_comes_through_a_crowd_of_maps();
	rig_close(&rig);
	munmap(mem, MEM_PAGES * PAGE);
	return 0;
}
