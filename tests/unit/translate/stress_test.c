/* SPDX-License-Identifier: MIT */
/*
 * Several ports at work while one thread takes pages away, uses them for itself, and gives them back elsewhere: promise 7
 * under load. Each page carries a stamp of where it is mapped; a page that is not mapped carries a canary. An access by an old
 * answer reads a wrong stamp or spoils a canary. A plain program, meant for the thread and address sanitizers too.
 */
#include "fake.h"

enum { RW = UI_PROT_READ | UI_PROT_WRITE, WINDOW = 48, PAGES = 3 * WINDOW, WORDS = PAGE / 8, ROUNDS = 1500, N_PORTS = 4 };

#define CANARY 0xc0ffee0dd0d0cacau

static struct rig rig;
static u64 place[2][WINDOW]; /* page behind each iova; PAGES: none. The changer's own */
static bool taken[PAGES];
static _Atomic int stop;
static _Atomic u64 n_ok, n_refused;

static u64 stamp(unsigned space, u64 page)
{
	return 0x5151000000000000u | (u64)space << 32 | page;
}

static void set_page(u64 page, u64 val)
{
	u64 *words = (u64 *)(void *)(rig.ram + page * PAGE);

	for (u64 i = 0; i < WORDS; i++)
		words[i] = val;
}

static void count_status(enum ui_dma_status status)
{
	CHECK(status == UI_DMA_OK || status == UI_DMA_TRANSLATION || status == UI_DMA_BLOCKED);
	atomic_fetch_add(status == UI_DMA_OK ? &n_ok : &n_refused, 1);
}

/* One access of a port: reads, writes, fills or compares, always with the stamp that the place must have. */
static void use(struct ui_dma *port, u64 *seed)
{
	unsigned space = (unsigned)next_random(seed, 2);
	u64 page = next_random(seed, WINDOW), want = stamp(space, page), word = next_random(seed, WORDS - 8), buf[8];
	struct ui_dma_addr at = at_pasid(space + 1, page * PAGE + word * 8), again = at_pasid(space + 1, page * PAGE);
	enum ui_dma_status status;
	struct ui_mem_span span;
	bool differs;

	for (int i = 0; i < 8; i++)
		buf[i] = want;
	switch (next_random(seed, 6)) {
	case 0:
		count_status(ui_dma_write(port, &at, buf, 64, NULL, NULL));
		break;
	case 1:
		count_status(ui_dma_fill(port, &at, want, 64, NULL, NULL));
		break;
	case 2:
		status = ui_dma_compare(port, &at, &again, 64, &differs, NULL, NULL);
		CHECK(!differs);
		count_status(status);
		break;
	case 3:
		count_status(ui_dma_copy(port, &again, &at, 64, NULL, NULL));
		break;
	case 4:
		status = ui_dma_begin(port, &at, UI_PROT_WRITE, 64, &span, NULL);
		count_status(status);
		if (status != UI_DMA_OK)
			break;
		if (!next_random(seed, 8))
			sched_yield();
		CHECK(!ui_safe_copy(span.host, buf, 64));
		ui_dma_end(port);
		break;
	default:
		memset(buf, 0, sizeof(buf));
		status = ui_dma_read(port, &at, buf, 64, NULL, NULL);
		for (int i = 0; i < 8 && status == UI_DMA_OK; i++)
			CHECK(buf[i] == want);
		count_status(status);
	}
}

static void *port_thread(void *arg)
{
	struct ui_dma *port = ui_dma_open(rig.tr, 7, route, &rig.router);
	u64 seed = (u64)(uintptr_t)arg;

	CHECK(port);
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		use(port, &seed);
		if (!next_random(&seed, 2000)) {
			ui_dma_close(port);
			port = ui_dma_open(rig.tr, 7, route, &rig.router);
			CHECK(port);
		}
	}
	ui_dma_close(port);
	return NULL;
}

static struct space *of(unsigned space)
{
	return space ? rig.b : rig.a;
}

static u64 free_page(u64 *seed)
{
	u64 page;

	do
		page = next_random(seed, PAGES);
	while (taken[page]);
	return page;
}

static void give(unsigned space, u64 page, u64 *seed)
{
	u64 to = free_page(seed);

	taken[to] = true;
	place[space][page] = to;
	set_page(to, stamp(space, page));
	fake_map(of(space)->table, page * PAGE, RAM_PA + to * PAGE, 1, RW);
}

static void check_canary(u64 page)
{
	u64 words[WORDS];

	/* Not by plain loads: a stray DMA beside them must show as a spoilt canary, not as a race. */
	CHECK(!ui_safe_copy(words, rig.ram + page * PAGE, PAGE));
	for (u64 i = 0; i < WORDS; i++)
		CHECK(words[i] == CANARY);
}

static void take(unsigned space, u64 page, u64 *seed)
{
	u64 from = place[space][page];
	struct space *s = of(space);

	fake_unmap(s->table, page * PAGE, 1);
	if (next_random(seed, 30))
		CHECK(!ui_tr_invalidate(rig.tr, &s->cfg, page * PAGE, page * PAGE + PAGE - 1));
	else
		CHECK(next_random(seed, 2) ? !ui_tr_invalidate_tag(rig.tr, &s->cfg) : !ui_tr_invalidate_all(rig.tr));
	set_page(from, CANARY);
	for (u64 i = next_random(seed, 20); i; i--)
		sched_yield();
	check_canary(from);
	place[space][page] = PAGES;
	taken[from] = false;
}

/* Moves the memory under a live mapping, behind the gate. */
static void move_page(unsigned space, u64 page, u64 *seed)
{
	u64 from = place[space][page], to = free_page(seed);
	struct space *s = of(space);

	CHECK(!ui_tr_gate_close(rig.tr, &s->cfg));
	CHECK(!ui_safe_copy(rig.ram + to * PAGE, rig.ram + from * PAGE, PAGE));
	fake_map(s->table, page * PAGE, RAM_PA + to * PAGE, 1, RW);
	CHECK(!ui_tr_invalidate(rig.tr, &s->cfg, page * PAGE, page * PAGE + PAGE - 1));
	ui_tr_gate_open(rig.tr, &s->cfg);
	set_page(from, CANARY);
	taken[to] = true;
	place[space][page] = to;
	sched_yield();
	check_canary(from);
	taken[from] = false;
}

/* A PASID without address space for a moment: then no page of it is touched. */
static void detach_and_attach(unsigned space, u64 *seed)
{
	atomic_store(&rig.router.to[space + 1], NULL);
	CHECK(!ui_tr_sync(rig.tr, &of(space)->cfg));
	for (u64 page = 0; page < WINDOW; page++)
		if (place[space][page] < PAGES)
			set_page(place[space][page], CANARY);
	sched_yield();
	for (u64 page = 0; page < WINDOW; page++) {
		if (place[space][page] == PAGES)
			continue;
		check_canary(place[space][page]);
		set_page(place[space][page], stamp(space, page));
	}
	atomic_store_explicit(&rig.router.to[space + 1], &of(space)->cfg, memory_order_release);
}

int main(void)
{
	u64 seed = test_seed();
	pthread_t threads[N_PORTS];

	rig_open(&rig);
	for (unsigned space = 0; space < 2; space++)
		for (u64 page = 0; page < WINDOW; page++)
			give(space, page, &seed);
	for (u64 i = 0; i < N_PORTS; i++)
		CHECK(!pthread_create(&threads[i], NULL, port_thread, (void *)(uintptr_t)(seed + i * 1234567)));
	for (int round = 0; round < ROUNDS; round++) {
		unsigned space = (unsigned)next_random(&seed, 2);
		u64 page = next_random(&seed, WINDOW);

		if (!next_random(&seed, 40))
			detach_and_attach(space, &seed);
		else if (place[space][page] == PAGES)
			give(space, page, &seed);
		else if (!next_random(&seed, 4))
			move_page(space, page, &seed);
		else
			take(space, page, &seed);
	}
	/* However the machine divided its time: accesses took place. */
	while (atomic_load(&n_ok) < 1000)
		sched_yield();
	atomic_store(&stop, 1);
	for (int i = 0; i < N_PORTS; i++)
		pthread_join(threads[i], NULL);
	printf("%llu accesses done, %llu refused\n", (unsigned long long)atomic_load(&n_ok), (unsigned long long)atomic_load(&n_refused));
	rig_close(&rig);
	return 0;
}
