/* SPDX-License-Identifier: MIT */
/*
 * The races of races_*.c again, but each of them at every instruction: one side runs one instruction at a time (the processor's
 * trap flag), and the other does its whole work in between.
 *  - Between any two instructions of a writer, each page leads where it did before or where it will: never back, never nowhere
 *    if it stays mapped.
 *  - A mark that a device sets between any two instructions of a split, repoint or dirty read survives it.
 *  - A walk that unmap, split or repoint overtakes between any two of its instructions answers what was true in between, and
 *    stores nothing that changes what is true afterwards.
 *
 * On the toy format, where operations are short; the algorithms are the same. Exit 77 without a trap flag, or where the thread
 * sanitizer holds signals back.
 */
#include "common.h"

#include <signal.h>
#include <ucontext.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NO_STEPS 1
#endif
#endif
#if defined(__SANITIZE_THREAD__) || !defined(__x86_64__)
#define NO_STEPS 1
#endif

#ifdef NO_STEPS

int main(void)
{
	return 77;
}

#else

#define TRAP_FLAG 0x100
#define RW (UI_PROT_READ | UI_PROT_WRITE)

enum { G = 16, LARGE = 32, SPACE = 64 }; /* granule, large leaf, address space */

/* What the other side does after an instruction; false: no more steps. */
static bool (*volatile hook)(void);
static volatile u64 n_steps;

static void on_trap(int sig, siginfo_t *info, void *context)
{
	if (hook) {
		n_steps++;
		if (hook())
			return;
		hook = NULL;
	}
	((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
}

/* From here on @fn runs after every instruction, until it returns false or steps_end(). */
static void steps_begin(bool (*fn)(void))
{
	n_steps = 0;
	hook = fn;
	/* Clear of the red zone, which the compiler does not know to be in use here. */
	__asm__ volatile("lea -128(%%rsp), %%rsp\n\tpushfq\n\torq %0, (%%rsp)\n\tpopfq\n\tlea 128(%%rsp), %%rsp" ::"i"(TRAP_FLAG)
			 : "cc", "memory");
}

static void steps_end(void)
{
	hook = NULL;
}

static int failures;

#define CHECK(cond, ...)                                                                                                   \
	do {                                                                                                               \
		if (!(cond) && failures++ < 10) {                                                                          \
			fprintf(stderr, __VA_ARGS__);                                                                      \
			fputc('\n', stderr);                                                                               \
		}                                                                                                          \
	} while (0)

static struct test_pages *tp;
static struct ui_pt pt;
static struct ui_pt_gather gather;

static void open_table(void)
{
	struct ui_pt_cfg cfg = { .format = UI_PT_TOY, .granule_lg2 = 4, .ia_bits = 6, .oa_bits = 40, .dirty_track = true };

	cfg.pages = &tp->pages;
	CHECK(!ui_pt_init(&pt, &cfg), "init");
}

static void close_table(void)
{
	ui_pt_gather_free(&pt, &gather);
	ui_pt_fini(&pt);
}

/* Where @at leads; 0 nowhere. */
static u64 leads(u64 at)
{
	struct ui_walk out;

	return pt.ops->walk(&pt, at, UI_PROT_READ, &out) == UI_WALK_OK ? out.oa : 0;
}

/* ---- the operations ---- */

static int op_map_large(void)
{
	return pt.ops->map(&pt, 0, 0x100, LARGE, RW, NULL);
}

static int op_map_small(void)
{
	return pt.ops->map(&pt, G, 0x200, 2 * G, RW, NULL);
}

static int op_unmap(void)
{
	return pt.ops->unmap(&pt, 0, SPACE - 1, UI_PT_REFUSE, &gather) > 0 ? 0 : -1;
}

static int op_split(void)
{
	return pt.ops->unmap(&pt, 0, G - 1, UI_PT_SPLIT, &gather) == G ? 0 : -1;
}

static int op_split_far(void)
{
	return pt.ops->unmap(&pt, G, LARGE - 1, UI_PT_SPLIT, &gather) == G ? 0 : -1;
}

static int op_move(void)
{
	return pt.ops->repoint(&pt, 0, LARGE - 1, 0x400);
}

static int op_move_apart(void)
{
	return pt.ops->repoint(&pt, 0, LARGE - 1, 0x500 + G);
}

static int op_deny(void)
{
	return op_unmap() || pt.ops->map(&pt, 0, 0x600, LARGE, UI_PROT_READ, NULL);
}

/* ---- the writer by steps: whole states only ---- */

static u64 old_oa[SPACE / G], new_oa[SPACE / G];
static bool moved_on[SPACE / G];

static bool look(void)
{
	for (unsigned i = 0; i < SPACE / G; i++) {
		u64 seen = leads(i * G);

		CHECK(seen == new_oa[i] || (seen == old_oa[i] && !moved_on[i]), "instruction %llu: page %u leads to %#llx",
		      (unsigned long long)n_steps, i, (unsigned long long)seen);
		moved_on[i] |= seen == new_oa[i] && seen != old_oa[i];
	}
	return true;
}

/* @op on a table prepared by @before: first to learn where it ends, then by steps. */
static void writer_by_steps(const char *name, int (*before)(void), int (*op)(void))
{
	int ret;

	for (unsigned run = 0; run < 2; run++) {
		open_table();
		CHECK(!before || !before(), "%s: preparation", name);
		for (unsigned i = 0; i < SPACE / G; i++) {
			old_oa[i] = leads(i * G);
			moved_on[i] = false;
		}
		if (run)
			steps_begin(look);
		ret = op();
		steps_end();
		CHECK(!ret, "%s: %d", name, ret);
		for (unsigned i = 0; i < SPACE / G; i++)
			new_oa[i] = leads(i * G);
		close_table();
	}
	printf("%s: whole at each of %llu instructions\n", name, (unsigned long long)n_steps);
}

/* ---- marks between instructions of the writer ---- */

static u64 strike_at;
static bool struck, marked_before_report;
static enum ui_walk_status strike_status;

static bool strike(void)
{
	struct ui_walk out;

	if (n_steps != strike_at)
		return true;
	strike_status = pt.ops->walk(&pt, G, UI_PROT_WRITE, &out);
	struck = true;
	return false;
}

/* A mark set before the page is reported may be in that report; one set after it must be in the next. */
static int note_report(void *arg, u64 start, u64 last)
{
	marked_before_report = struck;
	return 0;
}

static int note_dirty(void *arg, u64 start, u64 last)
{
	*(bool *)arg |= start <= G && last >= G;
	return 0;
}

static int op_clear(void)
{
	return pt.ops->dirty(&pt, 0, LARGE - 1, false, note_report, NULL);
}

static void marks_survive(const char *name, int (*op)(void))
{
	u64 n = 0;
	int ret;

	for (strike_at = 1;; strike_at++, n++) {
		bool found = false;

		struck = marked_before_report = false;
		open_table();
		CHECK(!op_map_large(), "map");
		if (op == op_clear)
			pt.ops->mark_dirty(&pt, G);
		steps_begin(strike);
		ret = op();
		steps_end();
		CHECK(!ret, "%s: %d", name, ret);
		pt.ops->dirty(&pt, 0, SPACE - 1, false, note_dirty, &found);
		if (struck) {
			CHECK(strike_status == UI_WALK_OK, "%s: walk at instruction %llu: %d", name, (unsigned long long)strike_at,
			      (int)strike_status);
			CHECK(found || marked_before_report, "%s: mark at instruction %llu lost", name, (unsigned long long)strike_at);
		}
		close_table();
		if (!struck)
			break;
	}
	printf("%s: marks kept at each of %llu instructions\n", name, (unsigned long long)n);
}

/* ---- the walker by steps ---- */

static int (*overtaking)(void);
static int overtaking_ret;

static bool overtake(void)
{
	if (n_steps != strike_at)
		return true;
	overtaking_ret = overtaking();
	struck = true;
	return false;
}

/* A write to the second page, overtaken by @op at each of its instructions in turn; then the page leads to @oa or is @status. */
static void walk_is_overtaken(const char *name, int (*op)(void), enum ui_walk_status status, u64 oa)
{
	u64 n = 0;

	overtaking = op;
	for (strike_at = 1;; strike_at++, n++) {
		enum ui_walk_status got, then;
		struct ui_walk out, after;

		struck = false;
		open_table();
		CHECK(!op_map_large(), "map");
		steps_begin(overtake);
		got = pt.ops->walk(&pt, G, UI_PROT_WRITE, &out);
		steps_end();
		if (struck) {
			/* op_deny unmaps first: on the table that it takes out the walker finds nothing. */
			CHECK((got == UI_WALK_OK && (out.oa == 0x100 + G || out.oa == oa)) || got == status ||
			      (op == op_deny && got == UI_WALK_TRANSLATION),
			      "%s at instruction %llu: walk %d to %#llx", name, (unsigned long long)strike_at, (int)got,
			      (unsigned long long)out.oa);
			then = pt.ops->walk(&pt, G, UI_PROT_WRITE, &after);
			CHECK(!overtaking_ret && then == status && (then != UI_WALK_OK || after.oa == oa),
			      "%s at instruction %llu: afterwards %d to %#llx", name, (unsigned long long)strike_at, (int)then,
			      (unsigned long long)after.oa);
		}
		close_table();
		if (!struck)
			break;
	}
	printf("walk: %s at each of %llu instructions\n", name, (unsigned long long)n);
}

static int before_split(void)
{
	return op_map_large() || pt.ops->map(&pt, LARGE, 0x300, LARGE, RW, NULL);
}

int main(void)
{
	struct sigaction act = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };

	sigaction(SIGTRAP, &act, NULL);
	tp = test_pages_create();
	writer_by_steps("map large", NULL, op_map_large);
	writer_by_steps("map small", NULL, op_map_small);
	writer_by_steps("unmap large", before_split, op_unmap);
	writer_by_steps("unmap small", op_map_small, op_unmap);
	writer_by_steps("split", before_split, op_split);
	writer_by_steps("repoint", before_split, op_move);
	writer_by_steps("repoint and split", before_split, op_move_apart);
	marks_survive("split", op_split);
	marks_survive("repoint", op_move);
	marks_survive("repoint and split", op_move_apart);
	marks_survive("read dirty", op_clear);
	walk_is_overtaken("unmap", op_unmap, UI_WALK_TRANSLATION, 0);
	walk_is_overtaken("split", op_split_far, UI_WALK_TRANSLATION, 0);
	walk_is_overtaken("repoint", op_move, UI_WALK_OK, 0x400 + G);
	walk_is_overtaken("unmap and map read-only", op_deny, UI_WALK_PERMISSION, 0);
	test_pages_destroy(tp);
	printf("%d failures\n", failures);
	return failures ? 1 : 0;
}

#endif
