/* SPDX-License-Identifier: MIT */
/* A plain program, since it is about signals: exit 0 when all hold. The requirement throughout is promise 9 of the design. */
#include "base/safe.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CHECK(cond)                                                                                                       \
	do {                                                                                                              \
		if (!(cond)) {                                                                                            \
			fprintf(stderr, "%s:%d: %s: not so: %s\n", __FILE__, __LINE__, __func__, #cond);                  \
			exit(1);                                                                                          \
		}                                                                                                         \
	} while (0)

enum { PAGE = 4096 };

static u64 seed;

static u64 rnd(u64 below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (seed >> 33) % below;
}

/* @n good pages followed by one that is refused. */
static u8 *pages_before_wall(size_t n)
{
	u8 *mem = mmap(NULL, (n + 1) * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(mem != MAP_FAILED);
	CHECK(!mprotect(mem + n * PAGE, PAGE, PROT_NONE));
	return mem;
}

static void copy_counts_exactly_up_to_the_refused_byte(void)
{
	u8 *src = pages_before_wall(2), *dst = pages_before_wall(2);

	for (size_t i = 0; i < 2 * PAGE; i++)
		src[i] = (u8)rnd(256);
	for (int i = 0; i < 20000; i++) {
		size_t from = rnd(4) ? 2 * PAGE - rnd(700) : rnd(2 * PAGE), to = rnd(4) ? 2 * PAGE - rnd(700) : rnd(2 * PAGE);
		size_t n = rnd(3) ? rnd(40) : rnd(2 * PAGE), most = n, got;

		if (most > 2 * PAGE - from)
			most = 2 * PAGE - from;
		if (most > 2 * PAGE - to)
			most = 2 * PAGE - to;
		memset(dst, 0xee, 2 * PAGE);
		got = ui_safe_copy_some(dst + to, src + from, n);
		CHECK(got == most);
		CHECK(!memcmp(dst + to, src + from, most));
		CHECK(to == 0 || dst[to - 1] == 0xee);
		CHECK(to + most == 2 * PAGE || dst[to + most] == 0xee);
		CHECK(ui_safe_copy(dst + to, src + from, n) == (most == n ? 0 : -EFAULT));
	}
	munmap(src, 3 * PAGE);
	munmap(dst, 3 * PAGE);
}

static void fill_repeats_the_pattern_from_its_phase(void)
{
	const u64 pattern = 0x8877665544332211u;
	u8 *dst = pages_before_wall(1);

	for (int i = 0; i < 5000; i++) {
		size_t to = PAGE - rnd(300), n = rnd(310), most = n < PAGE - to ? n : PAGE - to;
		unsigned phase = (unsigned)rnd(8);

		memset(dst, 0xee, PAGE);
		CHECK(ui_safe_fill_some(dst + to, pattern, phase, n) == most);
		for (size_t k = 0; k < most; k++)
			CHECK(dst[to + k] == (u8)(0x11 * ((phase + k) % 8 + 1)));
		CHECK(dst[to - 1] == 0xee);
		CHECK(to + most == PAGE || dst[to + most] == 0xee);
		CHECK(ui_safe_fill(dst + to, pattern, phase, n) == (most == n ? 0 : -EFAULT));
	}
	munmap(dst, 2 * PAGE);
}

static void compare_finds_the_first_difference_or_bad_byte(void)
{
	u8 *a = pages_before_wall(1), *b = pages_before_wall(1);
	size_t at;

	for (int i = 0; i < 3000; i++) {
		size_t x = PAGE - 1 - rnd(200), y = PAGE - 1 - rnd(200), n = 1 + rnd(220), diff = rnd(220);
		size_t wall = PAGE - (x > y ? x : y);
		int want = diff < n && diff < wall ? 1 : n > wall ? -EFAULT : 0;

		memset(a, 1, PAGE);
		memset(b, 1, PAGE);
		if (y + diff < PAGE)
			b[y + diff] = 2;
		if (x + diff < PAGE && y + diff >= PAGE)
			diff = n;
		at = 12345;
		CHECK(ui_safe_compare(a + x, b + y, n, &at) == want);
		CHECK(at == (want == 1 ? diff : want ? wall : 12345));
	}
	munmap(a, 2 * PAGE);
	munmap(b, 2 * PAGE);
}

static void single_accesses_report_every_kind_of_bad_address(void)
{
	u8 *wall = pages_before_wall(1) + PAGE;
	void *bad[] = { NULL, (void *)8, wall, (void *)0x0123456789abcde8, (void *)(uintptr_t)-4096, (void *)0x00007ffffffff000 };
	u64 v64 = 5, old = 7;
	u32 v32 = 5;
	int err = errno;

	for (size_t i = 0; i < ui_array_size(bad); i++) {
		CHECK(ui_safe_load64(bad[i], &v64) == -EFAULT && ui_safe_load32(bad[i], &v32) == -EFAULT);
		CHECK(ui_safe_store64(bad[i], 1) == -EFAULT && ui_safe_store32(bad[i], 1) == -EFAULT);
		CHECK(ui_safe_cmpxchg64(bad[i], &old, 1) == -EFAULT && old == 7);
		CHECK(ui_safe_probe(bad[i], 1, false) == -EFAULT && ui_safe_probe(bad[i], 1, true) == -EFAULT);
		CHECK(ui_safe_copy(&v64, bad[i], 8) == -EFAULT && ui_safe_copy(bad[i], &v64, 8) == -EFAULT);
		CHECK(ui_safe_fill(bad[i], 0, 0, 100) == -EFAULT);
	}
	CHECK(errno == err);
	CHECK(ui_safe_probe((void *)(uintptr_t)-4096, 8192, false) == -EFAULT);
	munmap(wall - PAGE, 2 * PAGE);
}

static void single_accesses_do_what_they_say(void)
{
	u64 word = 0x1122334455667788u, got, expected = 1;
	u32 half;

	CHECK(!ui_safe_load64(&word, &got) && got == word);
	CHECK(!ui_safe_load32(&word, &half) && half == 0x55667788u);
	CHECK(!ui_safe_store64(&word, 42) && word == 42);
	CHECK(!ui_safe_store32(&word, 43) && word == 43);
	CHECK(ui_safe_cmpxchg64(&word, &expected, 9) == 1 && expected == 43 && word == 43);
	CHECK(ui_safe_cmpxchg64(&word, &expected, 9) == 0 && word == 9);
	CHECK(!ui_safe_copy(&got, NULL, 0) && !ui_safe_fill(NULL, 0, 0, 0) && !ui_safe_probe(NULL, 0, true));
}

static void probe_tells_reading_from_writing(void)
{
	u8 *mem = pages_before_wall(3);

	mem[5] = 77;
	CHECK(!ui_safe_probe(mem, 3 * PAGE, true) && mem[5] == 77);
	CHECK(!mprotect(mem + PAGE, PAGE, PROT_READ));
	CHECK(!ui_safe_probe(mem + 100, 2 * PAGE, false));
	CHECK(ui_safe_probe(mem + 100, 2 * PAGE, true) == -EFAULT);
	CHECK(ui_safe_probe(mem + 2 * PAGE, PAGE + 1, false) == -EFAULT);
	CHECK(ui_safe_store64(mem + PAGE, 1) == -EFAULT);
	munmap(mem, 4 * PAGE);
}

/* SIGBUS: a page behind the end of its file. */
static void a_truncated_file_is_an_error_not_the_end(void)
{
	int fd = memfd_create("safe", 0);
	u8 *mem;
	u64 val;

	CHECK(fd >= 0 && !ftruncate(fd, 2 * PAGE));
	mem = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(mem != MAP_FAILED && !ui_safe_store64(mem + PAGE, 1));
	CHECK(!ftruncate(fd, PAGE));
	CHECK(ui_safe_load64(mem + PAGE, &val) == -EFAULT);
	CHECK(ui_safe_fill_some(mem + PAGE - 100, 0, 0, 200) == 100);
	munmap(mem, 2 * PAGE);
	close(fd);
}

struct tear {
	_Alignas(64) u64 words[64];
	atomic_bool stop;
};

static void *write_patterns(void *arg)
{
	struct tear *t = arg;
	u64 zeros[64] = { 0 }, ones[64];

	memset(ones, 0xff, sizeof(ones));
	while (!atomic_load(&t->stop)) {
		for (size_t n = 1; n <= 64; n++) {
			CHECK(!ui_safe_copy(t->words, zeros, n * 8));
			CHECK(!ui_safe_copy(t->words, ones, n * 8));
		}
	}
	return NULL;
}

static void aligned_words_never_tear(void)
{
	static struct tear t;
	pthread_t thread;

	CHECK(!pthread_create(&thread, NULL, write_patterns, &t));
	for (int i = 0; i < 20000; i++) {
		u64 got[64];

		CHECK(!ui_safe_copy(got, t.words, sizeof(got)));
		for (size_t k = 0; k < 64; k++)
			CHECK(got[k] == 0 || got[k] == ~(u64)0);
	}
	atomic_store(&t.stop, true);
	pthread_join(thread, NULL);
}

static sigjmp_buf chained_to;
static volatile sig_atomic_t chained_sig;

static void earlier_handler(int sig, siginfo_t *info, void *ucontext)
{
	chained_sig = sig;
	if (info->si_code > 0)
		siglongjmp(chained_to, 1);
}

static void other_faults_and_sent_signals_go_to_the_earlier_handler(void)
{
	u8 *wall = pages_before_wall(1) + PAGE;

	if (!sigsetjmp(chained_to, 1)) {
		*(volatile u8 *)wall = 1;
		CHECK(chained_sig && false);
	}
	CHECK(chained_sig == SIGSEGV);
	chained_sig = 0;
	CHECK(!raise(SIGBUS));
	CHECK(chained_sig == SIGBUS);
	munmap(wall - PAGE, 2 * PAGE);
}

int main(void)
{
	struct sigaction act = { .sa_sigaction = earlier_handler, .sa_flags = SA_SIGINFO };
	const char *given = getenv("UI_TEST_SEED");

	seed = given ? (u64)strtoul(given, NULL, 0) : (u64)getpid();
	printf("seed %llu\n", (unsigned long long)seed);
	CHECK(!sigaction(SIGSEGV, &act, NULL) && !sigaction(SIGBUS, &act, NULL));
	CHECK(!ui_safe_install() && !ui_safe_install());
	copy_counts_exactly_up_to_the_refused_byte();
	fill_repeats_the_pattern_from_its_phase();
	compare_finds_the_first_difference_or_bad_byte();
	single_accesses_report_every_kind_of_bad_address();
	single_accesses_do_what_they_say();
	probe_tells_reading_from_writing();
	a_truncated_file_is_an_error_not_the_end();
	aligned_words_never_tear();
	other_faults_and_sent_signals_go_to_the_earlier_handler();
	return 0;
}
