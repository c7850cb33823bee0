/* SPDX-License-Identifier: MIT */
/* The reader of /proc/PID/maps: what it says is what was mapped, however much text there is. */
#include "shim/maps.h"
#include "base/bits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { PAGE = 4096 };

static bool find(pid_t pid, const void *addr, struct ui_mapping *m)
{
	struct ui_maps maps;
	bool found = false;
	u64 before = 0;

	assert_int_equal(ui_maps_begin(&maps, pid), 0);
	while (!found && ui_maps_next(&maps, m)) {
		assert_true(m->start >= before && m->last > m->start);
		before = m->last;
		found = m->start <= (u64)(uintptr_t)addr && m->last >= (u64)(uintptr_t)addr;
	}
	ui_maps_end(&maps);
	return found;
}

static void a_mapping_is_described(void **state)
{
	int fd = memfd_create("a name", 0);
	struct ui_mapping m;
	struct stat st;
	u8 *at;

	assert_int_equal(ftruncate(fd, 8 * PAGE), 0);
	at = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 3 * PAGE);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(find(0, at + PAGE, &m));
	assert_ptr_equal(m.start, at);
	assert_int_equal(m.last - m.start, 2 * PAGE - 1);
	assert_true(m.read && !m.write && !m.exec && m.shared);
	assert_int_equal(m.offset, 3 * PAGE);
	assert_int_equal(m.ino, st.st_ino);
	assert_int_equal(m.dev, ui_maps_dev(st.st_dev));
	assert_non_null(strstr(m.path, "a name"));
	munmap(at, 2 * PAGE);
	close(fd);
}

static void a_private_one_has_no_file(void **state)
{
	u8 *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct ui_mapping m;

	assert_true(find(0, at, &m) && m.read && m.write && !m.shared && !m.ino && !m.path[0]);
	munmap(at, PAGE);
	assert_true(!find(0, at, &m) || m.start > (u64)(uintptr_t)at);
}

/* Lines cross the bounds of the reader's buffer. */
static void many_are_all_found(void **state)
{
	enum { N = 600 };
	u8 *base = mmap(NULL, 2 * N * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct ui_mapping m;

	for (int i = 0; i < N; i++)
		assert_int_equal(mprotect(base + 2 * i * PAGE, PAGE, i % 2 ? PROT_READ : PROT_READ | PROT_WRITE), 0);
	for (int i = 0; i < N; i += 37) {
		assert_true(find(0, base + 2 * i * PAGE, &m));
		assert_ptr_equal(m.start, base + 2 * i * PAGE);
		assert_true(m.last - m.start == PAGE - 1 && m.read && m.write == !(i % 2));
	}
	munmap(base, 2 * N * PAGE);
}

static void those_of_another_process(void **state)
{
	int ready[2], go[2];
	struct ui_mapping m;
	struct ui_maps maps;
	void *at = NULL;
	pid_t pid;
	char byte;

	assert_int_equal(pipe(ready) | pipe(go), 0);
	pid = fork();
	if (!pid) {
		at = mmap(NULL, PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (write(ready[1], &at, sizeof(at)) == (ssize_t)sizeof(at) && read(go[0], &byte, 1) == 1)
			_exit(0);
		_exit(1);
	}
	assert_int_equal(read(ready[0], &at, sizeof(at)), sizeof(at));
	assert_true(find(pid, at, &m) && m.shared && m.ino);
	assert_int_equal(write(go[1], "", 1), 1);
	waitpid(pid, NULL, 0);
	assert_int_not_equal(ui_maps_begin(&maps, pid), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mapping_is_described),
		cmocka_unit_test(a_private_one_has_no_file),
		cmocka_unit_test(many_are_all_found),
		cmocka_unit_test(those_of_another_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
