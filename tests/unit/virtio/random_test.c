/* SPDX-License-Identifier: MIT */
/*
 * Random sequences of requests against a model: a page array per domain that knows which MAP made each page. Statuses agree, and every page
 * that an endpoint sees is the model's. The seed is printed; UI_SEED sets it, UI_ROUNDS the number of requests.
 */
#include "common.h"

enum { N_DOMAINS = 4, N_PAGES = 40, ALL = 0x77, FIRST = 100 /* page of the window that mappings lie in */ };

struct model_page {
	u32 maker; /* number of the MAP, 0: none */
	u64 phys;
	u32 flags;
};

struct model_domain {
	bool live, bypass;
	struct model_page pages[N_PAGES];
};

struct model {
	struct model_domain domains[N_DOMAINS];
	int where[N_ENDPOINTS]; /* -1: not attached */
	bool bypass;
	u32 n_maps;
};

static u64 seed;

static u64 rnd(u64 below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % below;
}

static void model_leave(struct model *m, unsigned ep)
{
	int old = m->where[ep];

	m->where[ep] = -1;
	for (unsigned i = 0; i < N_ENDPOINTS; i++) {
		if (old < 0 || m->where[i] == old)
			return;
	}
	memset(&m->domains[old], 0, sizeof(m->domains[old]));
}

static int model_attach(struct model *m, unsigned domain, unsigned ep, bool bypass)
{
	if (ep >= N_ENDPOINTS)
		return S_NOENT;
	if (m->domains[domain].live && m->domains[domain].bypass != bypass)
		return S_INVAL;
	if (m->where[ep] == (int)domain)
		return S_OK;
	model_leave(m, ep);
	m->domains[domain].live = true;
	m->domains[domain].bypass = bypass;
	m->where[ep] = (int)domain;
	return S_OK;
}

static int model_detach(struct model *m, unsigned domain, unsigned ep)
{
	if (ep >= N_ENDPOINTS)
		return S_NOENT;
	if (m->where[ep] != (int)domain)
		return S_INVAL;
	model_leave(m, ep);
	return S_OK;
}

static int usable(const struct model_domain *d)
{
	return !d->live ? S_NOENT : d->bypass ? S_INVAL : S_OK;
}

static int model_map(struct model *m, unsigned domain, unsigned first, unsigned last, u64 phys, u32 flags)
{
	struct model_domain *d = &m->domains[domain];

	if (flags > 7)
		return S_INVAL;
	if (usable(d))
		return usable(d);
	for (unsigned i = first; i <= last; i++) {
		if (d->pages[i].maker)
			return S_INVAL;
	}
	m->n_maps++;
	for (unsigned i = first; i <= last; i++)
		d->pages[i] = (struct model_page){ .maker = m->n_maps, .phys = phys + (u64)(i - first) * PAGE, .flags = flags };
	return S_OK;
}

static int model_unmap(struct model *m, unsigned domain, unsigned first, unsigned last)
{
	struct model_domain *d = &m->domains[domain];

	if (usable(d))
		return usable(d);
	for (unsigned i = first; i <= last; i++) {
		u32 maker = d->pages[i].maker;

		if (maker && ((i == first && i && d->pages[i - 1].maker == maker) || (i == last && i + 1 < N_PAGES && d->pages[i + 1].maker == maker)))
			return S_RANGE;
	}
	memset(&d->pages[first], 0, (last - first + 1) * sizeof(d->pages[0]));
	return S_OK;
}

/* What endpoint @ep may find at page @page of the window, and whether it may write there. */
static u64 expected(const struct model *m, unsigned ep, unsigned page, bool *may_write)
{
	const struct model_page *p;
	int where = m->where[ep];

	*may_write = where < 0 ? m->bypass : m->domains[where].bypass;
	if (*may_write)
		return 0; /* identity: nothing is at these low addresses */
	if (where < 0)
		return 0;
	p = &m->domains[where].pages[page];
	*may_write = p->flags & MAP_W;
	return p->flags & (MAP_R | MAP_W) ? p->phys : 0;
}

static void compare(struct world *w, const struct model *m)
{
	for (unsigned ep = 0; ep < N_ENDPOINTS; ep++) {
		bool identity = m->where[ep] < 0 ? m->bypass : m->domains[m->where[ep]].bypass;

		assert_int_equal(seen(w, ep, DATA_PA + PAGE), identity ? DATA_PA + PAGE : 0);
		for (unsigned page = 0; page < N_PAGES; page++) {
			bool may_write;
			u64 want = expected(m, ep, page, &may_write);

			assert_int_equal(seen(w, ep, (u64)(FIRST + page) * PAGE), want);
			if (want)
				assert_int_equal(writes(w, ep, (u64)(FIRST + page) * PAGE), may_write);
		}
	}
}

static void one_request(struct world *w, struct model *m, unsigned counts[9])
{
	unsigned domain = (unsigned)rnd(N_DOMAINS), ep = (unsigned)rnd(N_ENDPOINTS + 1), first = (unsigned)rnd(N_PAGES), last;
	u64 phys = DATA_PA + rnd(512) * PAGE, start, end;
	u32 flags = (u32)rnd(9), number = domain * 1000;
	int got, want;

	last = first + (unsigned)rnd(ui_min(N_PAGES - first, 6));
	start = (u64)(FIRST + first) * PAGE;
	end = (u64)(FIRST + last + 1) * PAGE - 1;
	switch (rnd(16)) {
	case 0: {
		bool bypass = !rnd(6);

		want = model_attach(m, domain, ep, bypass);
		got = attach_flags(w, number, FIRST_ENDPOINT + ep, bypass);
		break;
	}
	case 1:
		want = model_detach(m, domain, ep);
		got = detach(w, number, FIRST_ENDPOINT + ep);
		break;
	case 2: {
		u8 bypass = (u8)rnd(2);

		m->bypass = bypass;
		ui_virtio_config_write(w->v, 36, &bypass, 1);
		return;
	}
	case 3: case 4: case 5: case 6: case 7:
		want = model_unmap(m, domain, first, last);
		got = unmap(w, number, start, end);
		break;
	case 8:
		want = flags > 7 ? S_INVAL : usable(&m->domains[domain]) ? usable(&m->domains[domain]) : S_RANGE;
		got = map(w, number, start + 8, end, phys, flags);
		break;
	default:
		want = model_map(m, domain, first, last, phys, flags);
		got = map(w, number, start, end, phys, flags);
		break;
	}
	assert_int_equal(got, want);
	counts[got]++;
}

static void requests_agree_with_a_model(void **state)
{
	const char *env_seed = getenv("UI_SEED"), *env_rounds = getenv("UI_ROUNDS");
	unsigned rounds = env_rounds ? (unsigned)atoi(env_rounds) : 6000, counts[9] = { 0 };
	struct model m = { .where = { -1, -1, -1 } };
	struct world w;

	seed = env_seed ? strtoull(env_seed, NULL, 0) : 0x9e3779b97f4a7c15u;
	printf("seed %#llx\n", (unsigned long long)seed);
	world_open(&w);
	start_driver(&w, ALL | UI_BIT(UI_VIRTIO_F_EVENT_IDX));
	for (unsigned i = 0; i < rounds; i++) {
		one_request(&w, &m, counts);
		if (!(i % 8))
			compare(&w, &m);
		if (!rnd(1500)) {
			start_driver(&w, ALL);
			for (unsigned ep = 0; ep < N_ENDPOINTS; ep++)
				model_leave(&m, ep);
			compare(&w, &m);
		}
	}
	/* The sequence means something: each status it can have is there. */
	for (unsigned s = 0; s < 9; s++) {
		if (s == S_OK || s == S_INVAL || s == S_RANGE || s == S_NOENT)
			assert_true(counts[s] >= rounds / 100);
	}
	world_close(&w);
}

/* Whatever stands in rings, descriptors and buffers: nothing but the driver's own memory is touched, and a reset makes all good. */
static void garbage_breaks_nothing(void **state)
{
	struct world w;

	world_open(&w);
	for (unsigned i = 0; i < 300; i++) {
		unsigned q = (unsigned)rnd(2);

		start_driver(&w, rnd(2) ? ALL | UI_BIT(UI_VIRTIO_F_EVENT_IDX) | UI_BIT(UI_VIRTIO_F_INDIRECT_DESC) : ALL);
		for (unsigned n = 0; n < 4; n++) {
			for (unsigned d = 0; d < QUEUE; d++) {
				u64 addr = rnd(8) ? REQ_PA + rnd(256) : rnd(3) ? desc_pa(q) + 16 * rnd(QUEUE) : seed;
				u32 len = (u32)(rnd(6) ? rnd(80) : rnd(2) ? 16 * rnd(6) : seed);

				put_desc(&w, q, d, addr, len, (u16)(rnd(30) ? rnd(4) : rnd(8)), (u16)rnd(QUEUE + !rnd(9)));
			}
			for (unsigned b = 0; b < 256; b++)
				w.ram[REQ_PA + b] = (u8)(rnd(3) ? rnd(7) : seed);
			for (unsigned c = 0; c < 4; c++)
				offer(&w, q, (u16)rnd(QUEUE));
			seen(&w, 0, 0x123000);
			kick(&w, q);
		}
	}
	start_driver(&w, ALL);
	assert_int_equal(attach(&w, 1, 8), S_OK);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_agree_with_a_model),
		cmocka_unit_test(garbage_breaks_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
