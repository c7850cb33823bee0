/* SPDX-License-Identifier: MIT */
#include "common.h"

#include "base/sys.h"

#include <sys/mman.h>
#include <time.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define POISON(ptr, n) __asan_poison_memory_region(ptr, n)
#define UNPOISON(ptr, n) __asan_unpoison_memory_region(ptr, n)
#else
/* Present in every format, pointing nowhere good. */
#define POISON(ptr, n) memset(ptr, 0xe7, n)
#define UNPOISON(ptr, n) (void)0
#endif

static void *pages_alloc(struct ui_pt_pages *pages, size_t n_bytes)
{
	struct test_pages *tp = ui_container_of(pages, struct test_pages, pages);
	unsigned lg2 = ui_fls64(n_bytes);
	void *page = tp->free_list[lg2];

	assert_true(ui_is_pow2(n_bytes));
	if (ui_inject_point())
		return NULL;
	if (page) {
		UNPOISON(page, n_bytes);
		memcpy(&tp->free_list[lg2], page, sizeof(void *));
	} else {
		tp->next = ui_align_up(tp->next, n_bytes);
		assert_true(tp->next + n_bytes <= TEST_PAGES_BYTES);
		page = tp->mem + tp->next;
		tp->next += n_bytes;
	}
	tp->live_bytes += n_bytes;
	return memset(page, 0, n_bytes);
}

static void pages_free(struct ui_pt_pages *pages, void *page, size_t n_bytes)
{
	struct test_pages *tp = ui_container_of(pages, struct test_pages, pages);
	unsigned lg2 = ui_fls64(n_bytes);

	tp->live_bytes -= n_bytes;
	memset(page, 0xe7, n_bytes);
	memcpy(page, &tp->free_list[lg2], sizeof(void *));
	tp->free_list[lg2] = page;
	POISON((u8 *)page + sizeof(void *), n_bytes - sizeof(void *));
}

struct test_pages *test_pages_create(void)
{
	struct test_pages *tp = calloc(1, sizeof(*tp));
	/* Not ui_sys_mmap(), which gives other addresses each time: AddressSanitizer keeps what it writes of each for ever. */
	u8 *mem = mmap(NULL, 2 * TEST_PAGES_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_false(ui_sys_is_err(mem));
	tp->mem = (u8 *)ui_align_up((uintptr_t)mem, TEST_PAGES_BYTES);
	ui_sys_munmap(mem, (size_t)(tp->mem - mem));
	ui_sys_munmap(tp->mem + TEST_PAGES_BYTES, TEST_PAGES_BYTES - (size_t)(tp->mem - mem));
	tp->pages = (struct ui_pt_pages){ .alloc = pages_alloc, .free = pages_free, .delta = (uintptr_t)tp->mem - TEST_PAGES_PA };
	return tp;
}

void test_pages_destroy(struct test_pages *tp)
{
	assert_int_equal(tp->live_bytes, 0);
	UNPOISON(tp->mem, TEST_PAGES_BYTES);
	ui_sys_munmap(tp->mem, TEST_PAGES_BYTES);
	free(tp);
}

#define GEO(fmt, granule, ia, oa, ...)                                                                                     \
	{ .format = UI_PT_##fmt, .granule_lg2 = (granule), .ia_bits = (ia), .oa_bits = (oa), __VA_ARGS__ }
#define ONLY(...) .page_sizes = (__VA_ARGS__)

const struct ui_pt_cfg test_geometries[] = {
	GEO(TOY, 4, 6, 40),
	GEO(TOY, 4, 6, 64, .dirty_track = true),
	GEO(TOY, 4, 6, 32, ONLY(UI_BIT(4))),
	GEO(X86_64, 12, 48, 52),
	GEO(X86_64, 12, 48, 46, .sign_extend = true, .dirty_track = true),
	GEO(X86_64, 12, 57, 52, .sign_extend = true),
	GEO(X86_64, 12, 57, 40, .dirty_track = true),
	GEO(X86_64, 12, 48, 32, ONLY(UI_BIT(12))),
	GEO(X86_64, 12, 48, 48, .dirty_track = true, ONLY(UI_BIT(12) | UI_BIT(21))),
	GEO(VTDSS, 12, 39, 39),
	GEO(VTDSS, 12, 48, 48, .dirty_track = true),
	GEO(VTDSS, 12, 57, 52),
	GEO(VTDSS, 12, 48, 46, ONLY(UI_BIT(12) | UI_BIT(21))),
	GEO(ARM_S1, 12, 48, 48),
	GEO(ARM_S1, 12, 48, 48, .dirty_track = true),
	GEO(ARM_S1, 12, 39, 40, .dirty_track = true),
	GEO(ARM_S1, 12, 36, 36),
	GEO(ARM_S1, 12, 30, 32),
	GEO(ARM_S1, 12, 25, 32),
	GEO(ARM_S1, 14, 48, 48, .dirty_track = true),
	GEO(ARM_S1, 14, 40, 44),
	GEO(ARM_S1, 16, 48, 52, .dirty_track = true),
	GEO(ARM_S1, 16, 42, 48),
	GEO(ARM_S1, 16, 52, 52),
	GEO(ARM_S1, 12, 48, 48, .upper = true, .dirty_track = true),
	GEO(ARM_S1, 12, 39, 40, .upper = true, .global = true),
	GEO(ARM_S1, 12, 40, 48, .upper = true),
	GEO(ARM_S1, 12, 25, 32, .upper = true, .dirty_track = true),
	GEO(ARM_S1, 14, 47, 48, .upper = true, ONLY(UI_BIT(14))),
	GEO(ARM_S1, 14, 48, 48, .upper = true, .dirty_track = true),
	GEO(ARM_S1, 14, 25, 36, .upper = true),
	GEO(ARM_S1, 16, 52, 52, .upper = true, .dirty_track = true),
	GEO(ARM_S1, 16, 42, 48, .upper = true),
	GEO(ARM_S1, 16, 29, 32, .upper = true),
	GEO(ARM_S2, 12, 48, 48),
	GEO(ARM_S2, 12, 43, 44, .dirty_track = true),
	GEO(ARM_S2, 12, 42, 42),
	GEO(ARM_S2, 12, 40, 40, .dirty_track = true),
	GEO(ARM_S2, 12, 32, 36),
	GEO(ARM_S2, 12, 25, 32),
	GEO(ARM_S2, 14, 48, 48),
	GEO(ARM_S2, 14, 40, 40, .dirty_track = true),
	GEO(ARM_S2, 14, 29, 32),
	GEO(ARM_S2, 16, 52, 52, .dirty_track = true),
	GEO(ARM_S2, 16, 46, 52),
	GEO(ARM_S2, 16, 33, 36, .dirty_track = true),
	GEO(MOCK, 11, 31, 52, .dirty_track = true),
	GEO(MOCK, 11, 23, 40),
	GEO(MOCK, 11, 34, 48, .dirty_track = true, ONLY(UI_BIT(11) | UI_BIT(12))),
	GEO(MOCK_HUGE, 12, 63, 52, .dirty_track = true),
	GEO(MOCK_HUGE, 12, 61, 32),
};
const size_t test_n_geometries = ui_array_size(test_geometries);

const char *test_cfg_name(const struct ui_pt_cfg *cfg)
{
	static char name[128];

	snprintf(name, sizeof(name), "%s granule %u ia %u oa %u sizes %#llx%s%s%s", ui_pt_ops(cfg->format)->name, cfg->granule_lg2,
		 cfg->ia_bits, cfg->oa_bits, (unsigned long long)cfg->page_sizes, cfg->sign_extend ? " canonical" : "",
		 cfg->upper ? " upper" : "", cfg->dirty_track ? " dirty" : "");
	return name;
}

/* 0 - 2^ia_bits. */
static u64 base_of(unsigned ia_bits, bool upper)
{
	return upper ? (u64)0 - UI_BIT(ia_bits) : 0;
}

static u64 base_of_pt(const struct ui_pt *pt)
{
	return base_of(pt->cfg.ia_bits, pt->cfg.upper);
}

/* All beyond the last address stays beyond the table, which has nothing behind it to name. */
static u64 last_of(const struct ui_pt *pt, u64 start, u64 last)
{
	return start <= test_limit(&pt->cfg) && last > test_limit(&pt->cfg) ? ~(u64)0 : last + base_of_pt(pt);
}

static int shifted_map(struct ui_pt *pt, u64 iova, u64 oa, u64 length, unsigned prot, struct ui_pt_gather *gather)
{
	return ui_pt_ops(pt->cfg.format)->map(pt, iova + base_of_pt(pt), oa, length, prot, gather);
}

static s64 shifted_unmap(struct ui_pt *pt, u64 start, u64 last, enum ui_pt_partial partial, struct ui_pt_gather *gather)
{
	return ui_pt_ops(pt->cfg.format)->unmap(pt, start + base_of_pt(pt), last_of(pt, start, last), partial, gather);
}

static int shifted_repoint(struct ui_pt *pt, u64 start, u64 last, u64 oa)
{
	int ret = ui_pt_ops(pt->cfg.format)->repoint(pt, start + base_of_pt(pt), last + base_of_pt(pt), oa);

	/* A range over the very last address wraps, which is no range at all. */
	return ret == -EINVAL && start <= test_limit(&pt->cfg) && last > test_limit(&pt->cfg) ? -ERANGE : ret;
}

static enum ui_walk_status shifted_walk(const struct ui_pt *pt, u64 iova, unsigned access, struct ui_walk *out)
{
	return ui_pt_ops(pt->cfg.format)->walk(pt, iova + base_of_pt(pt), access, out);
}

struct shifted_call {
	int (*dirty)(void *arg, u64 start, u64 last);
	int (*dump)(void *arg, const struct ui_pt_dump_entry *entry);
	void *arg;
	u64 base;
};

static int shifted_dirty_fn(void *arg, u64 start, u64 last)
{
	const struct shifted_call *call = arg;

	return call->dirty(call->arg, start - call->base, last - call->base);
}

static int shifted_dirty(struct ui_pt *pt, u64 start, u64 last, bool keep, int (*fn)(void *arg, u64 start, u64 last), void *arg)
{
	struct shifted_call call = { .dirty = fn, .arg = arg, .base = base_of_pt(pt) };

	return ui_pt_ops(pt->cfg.format)->dirty(pt, start + call.base, last_of(pt, start, last), keep, shifted_dirty_fn, &call);
}

static int shifted_mark_dirty(struct ui_pt *pt, u64 iova)
{
	return ui_pt_ops(pt->cfg.format)->mark_dirty(pt, iova + base_of_pt(pt));
}

static int shifted_dump_fn(void *arg, const struct ui_pt_dump_entry *entry)
{
	const struct shifted_call *call = arg;
	struct ui_pt_dump_entry e = *entry;

	e.iova -= call->base;
	return call->dump(call->arg, &e);
}

static int shifted_dump(const struct ui_pt *pt, int (*fn)(void *arg, const struct ui_pt_dump_entry *entry), void *arg)
{
	struct shifted_call call = { .dump = fn, .arg = arg, .base = base_of_pt(pt) };

	return ui_pt_ops(pt->cfg.format)->dump(pt, shifted_dump_fn, &call);
}

int test_init(struct ui_pt *pt, const struct ui_pt_cfg *cfg)
{
	static const struct ui_pt_ops shifted = {
		.name = "shifted", .map = shifted_map, .unmap = shifted_unmap, .repoint = shifted_repoint, .walk = shifted_walk,
		.dirty = shifted_dirty, .mark_dirty = shifted_mark_dirty, .dump = shifted_dump,
	};
	int ret = ui_pt_init(pt, cfg);

	if (!ret && cfg->upper)
		pt->ops = &shifted;
	return ret;
}

enum ui_walk_status test_walk_table(const struct ui_walk_cfg *cfg, const struct ui_walk_mem *mem, u64 iova, unsigned access,
				    struct ui_walk *out)
{
	return ui_walk_table(cfg, mem, iova + base_of(cfg->ia_bits, cfg->upper), access, out);
}

const struct ui_pt_instance *test_instance(enum ui_pt_format format)
{
	switch (format) {
	case UI_PT_TOY:
		return &ui_pt_instance_toy;
	case UI_PT_X86_64:
		return &ui_pt_instance_x86_64;
	case UI_PT_VTDSS:
		return &ui_pt_instance_vtdss;
	case UI_PT_ARM_S1:
		return &ui_pt_instance_arm_s1;
	case UI_PT_MOCK:
		return &ui_pt_instance_mock;
	case UI_PT_MOCK_HUGE:
		return &ui_pt_instance_mock_huge;
	default:
		return &ui_pt_instance_arm_s2;
	}
}

struct ui_walk_cfg test_view(const struct ui_pt_cfg *cfg)
{
	struct ui_pt pt = { .cfg = *cfg };

	assert_true(test_instance(cfg->format)->fmt->geometry(cfg, &pt.top_level, &pt.top_lg2));
	return ui_pt_view(&pt);
}

u64 test_limit(const struct ui_pt_cfg *cfg)
{
	return UI_BIT(cfg->sign_extend ? cfg->ia_bits - 1 : cfg->ia_bits) - 1;
}

bool test_prot_ok(enum ui_pt_format format, unsigned prot)
{
	bool has_priv = format == UI_PT_X86_64 || format == UI_PT_ARM_S1;

	return (prot & (UI_PROT_READ | UI_PROT_WRITE)) && (has_priv || !(prot & UI_PROT_PRIV));
}

unsigned test_grants(enum ui_pt_format format, unsigned prot, unsigned access)
{
	unsigned write = prot & UI_PROT_WRITE, read = prot & UI_PROT_READ;

	switch (format) {
	case UI_PT_X86_64: /* present is readable and executable */
		return UI_PROT_READ | UI_PROT_EXEC | write | (prot & UI_PROT_PRIV);
	case UI_PT_ARM_S1: /* readable when valid; privileged code does not run from what user code may write */
		if (!(prot & UI_PROT_EXEC))
			return UI_PROT_READ | write | (prot & UI_PROT_PRIV);
		if (!(prot & UI_PROT_PRIV) && (access & UI_PROT_PRIV) && write)
			return UI_PROT_READ | write;
		return UI_PROT_READ | write | UI_PROT_EXEC | (prot & UI_PROT_PRIV);
	case UI_PT_ARM_S2:
		return read | write | (read ? prot & UI_PROT_EXEC : 0);
	default: /* execute follows read */
		return read | write | (read ? UI_PROT_EXEC : 0);
	}
}

static u64 seed_state;

void test_seed(void)
{
	const char *env = getenv("UIOMMU_TEST_SEED");
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	seed_state = env ? strtoull(env, NULL, 0) : (u64)now.tv_nsec ^ (u64)now.tv_sec << 20;
	printf("UIOMMU_TEST_SEED=%#llx\n", (unsigned long long)seed_state);
}

u64 test_rand(void)
{
	u64 z = seed_state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

u64 test_below(u64 n)
{
	return test_rand() % n;
}
