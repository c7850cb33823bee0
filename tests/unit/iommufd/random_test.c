/* SPDX-License-Identifier: MIT */
/* Random IOAS operations against a plain list: answers, placement, and what a device sees. */
#include "common.h"

enum { MEM_PAGES = 256, SPACE_PAGES = 96, N_AREAS = 512, N_IOAS = 2, STEPS = 20000 };

struct area {
	u64 start, length; /* pages */
	u64 page;          /* of mem */
	bool write;        /* of the mapping */
	bool may_write;    /* of the object */
};

struct space {
	u32 id;
	struct area areas[N_AREAS];
	unsigned n;
	struct ui_uapi_iova_range allowed[4];
	unsigned n_allowed;
	bool attached;
};

static struct rig rig;
static u8 *mem;
static struct space spaces[N_IOAS];

static int setup(void **state)
{
	rig_open(&rig, NULL, 0);
	mem = pages_new(MEM_PAGES * PAGE);
	for (u64 i = 0; i < MEM_PAGES; i++)
		memcpy(mem + i * PAGE, &i, 8);
	memset(spaces, 0, sizeof(spaces));
	for (unsigned i = 0; i < N_IOAS; i++) {
		rig_bind(&rig, i);
		spaces[i].id = ioas_new(&rig);
	}
	return 0;
}

static int teardown(void **state)
{
	rig_close(&rig);
	munmap(mem, MEM_PAGES * PAGE);
	return 0;
}

static u64 rnd(u64 below)
{
	return (u64)rand() % below;
}

/* The first area that meets [start, start + length). */
static struct area *meets(struct space *s, u64 start, u64 length)
{
	struct area *first = NULL;

	for (unsigned i = 0; i < s->n; i++) {
		struct area *a = &s->areas[i];

		if (a->start < start + length && start < a->start + a->length && (!first || a->start < first->start))
			first = a;
	}
	return first;
}

static void add(struct space *s, u64 start, u64 length, u64 page, bool write, bool may_write)
{
	assert_true(s->n < N_AREAS);
	s->areas[s->n++] = (struct area){ start, length, page, write, may_write };
}

static bool place_in(struct space *s, u64 first, u64 last, u64 align, u64 length, u64 *out)
{
	struct area *a;
	u64 at = ui_align_up(first, align);

	while (at <= last && last - at + 1 >= length * PAGE) {
		a = meets(s, at / PAGE, length);
		if (!a) {
			*out = at / PAGE;
			return true;
		}
		at = ui_align_up((a->start + a->length) * PAGE, align);
	}
	return false;
}

static bool place(struct space *s, u64 va, u64 length, u64 *out)
{
	u64 align = ui_min(ui_min(UI_BIT(ui_ceil_lg2(length * PAGE)), UI_BIT(ui_ffs64(va))), (u64)2 << 20);

	if (!s->n_allowed)
		return place_in(s, PAGE, MAX - PAGE, align, length, out);
	for (unsigned i = 0; i < s->n_allowed; i++) {
		if (place_in(s, ui_max(s->allowed[i].start, PAGE), s->allowed[i].last, align, length, out))
			return true;
	}
	return false;
}

static void step_map(struct space *s)
{
	u64 length = rnd(4) + 1, page = rnd(MEM_PAGES - 4), want = 0, iova = rnd(SPACE_PAGES) * PAGE;
	u8 *va = mem + page * PAGE;
	bool write = rnd(4), fixed = rnd(2);
	u32 flags = UI_UAPI_MAP_READABLE | (write ? UI_UAPI_MAP_WRITEABLE : 0u) | (fixed ? (u32)FIXED : 0u);
	long expected;

	if (fixed) {
		want = iova / PAGE;
		expected = meets(s, want, length) ? -EEXIST : 0;
	} else {
		expected = place(s, (u64)(uintptr_t)va, length, &want) ? 0 : -ENOSPC;
	}
	assert_int_equal(map(&rig, s->id, flags, va, length * PAGE, &iova), expected);
	if (expected)
		return;
	assert_int_equal(iova, want * PAGE);
	add(s, want, length, page, write, write);
}

static void step_copy(struct space *dst, struct space *src)
{
	u64 length = rnd(6) + 1, from = rnd(SPACE_PAGES), to = rnd(SPACE_PAGES), iova = to * PAGE;
	bool write = rnd(2), covered = true, allowed = true;
	struct area pieces[8];
	unsigned n = 0;
	long expected;

	for (u64 at = from; covered && at < from + length;) {
		struct area *a = meets(src, at, 1);

		covered = a != NULL;
		if (!a)
			break;
		pieces[n] = (struct area){ to + (at - from), ui_min(a->start + a->length, from + length) - at, a->page + (at - a->start), write,
					   a->may_write };
		allowed &= !write || a->may_write;
		at += pieces[n++].length;
	}
	expected = !covered ? -ENOENT : meets(dst, to, length) ? -EEXIST : !allowed ? -EPERM : 0;
	assert_int_equal(copy(&rig, dst->id, src->id, UI_UAPI_MAP_READABLE | (write ? UI_UAPI_MAP_WRITEABLE : 0u) | (u32)FIXED, from * PAGE,
			      length * PAGE, &iova), expected);
	for (unsigned i = 0; !expected && i < n; i++)
		add(dst, pieces[i].start, pieces[i].length, pieces[i].page, write, pieces[i].may_write);
}

static void step_unmap(struct space *s)
{
	u64 start = rnd(SPACE_PAGES), length = rnd(12) + 1, removed = 0, got = 0;
	long expected = 0;
	struct area *a;

	while ((a = meets(s, start, length))) {
		if (a->start < start || a->start + a->length > start + length) {
			expected = -ENOENT;
			break;
		}
		removed += a->length;
		*a = s->areas[--s->n];
	}
	if (!removed)
		expected = -ENOENT;
	assert_int_equal(unmap(&rig, s->id, start * PAGE, length * PAGE, &got), expected);
	if (!expected)
		assert_int_equal(got, removed * PAGE);
}

static void step_attach(struct space *s)
{
	unsigned i = (unsigned)(s - spaces);
	u32 pt = s->id;

	if (s->attached)
		detach(&rig, i, 0);
	else
		assert_int_equal(attach(&rig, i, 0, &pt), 0);
	s->attached = !s->attached;
}

static void step_allow(struct space *s)
{
	u64 at = rnd(40);

	s->n_allowed = (unsigned)rnd(4);
	for (unsigned i = 0; i < s->n_allowed; i++) {
		u64 length = rnd(20) + 1;

		s->allowed[i].start = at * PAGE;
		s->allowed[i].last = (at + length) * PAGE - 1;
		at += length + 1 + rnd(5);
	}
	assert_int_equal(allow(&rig, s->id, s->allowed, s->n_allowed), 0);
}

static void check(struct space *s)
{
	unsigned i = (unsigned)(s - spaces);
	u64 page = rnd(SPACE_PAGES + 8), word = 0;
	struct area *a = meets(s, page, 1);
	enum ui_dma_status status = dma_read(&rig, i, 0, page * PAGE, &word, 8);

	assert_int_equal(status, !s->attached ? UI_DMA_BLOCKED : a ? UI_DMA_OK : UI_DMA_TRANSLATION);
	if (s->attached && a) {
		assert_int_equal(word, a->page + (page - a->start));
		status = dma_write(&rig, i, 0, page * PAGE, &word, 8);
		assert_int_equal(status, a->write ? UI_DMA_OK : UI_DMA_PERMISSION);
	}
}

static void random_operations_match_a_plain_list(void **state)
{
	random_seed();
	for (unsigned i = 0; i < STEPS; i++) {
		struct space *s = &spaces[rnd(N_IOAS)];

		switch (rnd(20)) {
		case 0:
			step_attach(s);
			break;
		case 1:
			step_allow(s);
			break;
		case 2 ... 7:
			step_unmap(s);
			break;
		case 8 ... 11:
			step_copy(s, &spaces[rnd(N_IOAS)]);
			break;
		default:
			step_map(s);
		}
		check(s);
		if (s->n > N_AREAS - 10) {
			assert_int_equal(unmap(&rig, s->id, 0, MAX, NULL), 0);
			s->n = 0;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { T(random_operations_match_a_plain_list) };

	ui_log_set(UI_LOG_ERROR, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
