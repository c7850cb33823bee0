/* SPDX-License-Identifier: MIT */
/* Descriptors of the library's own (base/ownfd.h; docs/shim.md). */
#include "base/ownfd.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* A pipe's read end, told from others by its inode. */
static int some_file(ino_t *ino)
{
	struct stat st;
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	close(ends[1]);
	assert_int_equal(fstat(ends[0], &st), 0);
	*ino = st.st_ino;
	return ends[0];
}

static bool is(int fd, ino_t ino)
{
	struct stat st;

	return !fstat(fd, &st) && st.st_ino == ino;
}

static void what_is_held_has_a_large_number(void **state)
{
	ino_t ino;
	int fd = some_file(&ino), name = ui_ownfd_hold(fd);

	assert_true(name >= 512);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_int_equal(fcntl(name, F_GETFD), FD_CLOEXEC);
	assert_true(is(ui_ownfd_at(name), ino));
	assert_true(ui_ownfd_is(name));
	assert_true(ui_ownfd_maybe(name));
	assert_false(ui_ownfd_maybe(500));
	assert_int_equal(ui_ownfd_next(0, 10000), name);
	assert_int_equal(ui_ownfd_next((unsigned)name + 1, 10000), -1);
	ui_ownfd_end(name);
	assert_int_equal(fcntl(name, F_GETFD), -1);
	assert_false(ui_ownfd_is(name));
	ui_ownfd_end(-1);
}

static void under_a_small_limit_any_number_will_do(void **state)
{
	struct rlimit was, small;
	ino_t ino;
	int name;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	small = was;
	small.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &small), 0);
	name = ui_ownfd_hold(some_file(&ino));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_true(name >= 3 && name < 64);
	assert_true(is(name, ino));
	ui_ownfd_end(name);
}

/* The name stays; and nobody else gets it meanwhile. */
static void it_moves_out_of_the_way(void **state)
{
	_Atomic int holder = -1;
	ino_t ino, held_ino, other_ino;
	int name = ui_ownfd_hold(some_file(&ino)), other, at;

	assert_int_equal(ui_ownfd_keep(some_file(&held_ino), &holder), 0);
	at = holder;
	ui_ownfd_make_way(name);
	ui_ownfd_make_way(at);
	assert_int_equal(fcntl(name, F_GETFD), -1);
	assert_int_equal(fcntl(at, F_GETFD), -1);
	assert_true(ui_ownfd_at(name) != name && holder != at);
	assert_true(is(ui_ownfd_at(name), ino));
	assert_true(is(holder, held_ino));
	assert_false(ui_ownfd_is(name));
	assert_true(ui_ownfd_is(ui_ownfd_at(name)));
	other = ui_ownfd_hold(some_file(&other_ino));
	assert_int_not_equal(other, name);
	assert_true(is(ui_ownfd_at(other), other_ino));
	at = ui_ownfd_at(name);
	ui_ownfd_end(name);
	assert_int_equal(fcntl(at, F_GETFD), -1);
	ui_ownfd_end(other);
	ui_ownfd_close(&holder);
	assert_int_equal(holder, -1);
	assert_int_equal(ui_ownfd_next(0, 10000), -1);
}

static void what_is_lost_is_not_closed(void **state)
{
	_Atomic int holder = -1;
	ino_t ino, theirs;
	int fd = some_file(&theirs), name = ui_ownfd_hold(some_file(&ino)), at;

	assert_int_equal(ui_ownfd_keep(some_file(&ino), &holder), 0);
	at = holder;
	dup2(fd, name);
	dup2(fd, at);
	ui_ownfd_lost(name);
	ui_ownfd_lost(at);
	assert_int_equal(ui_ownfd_at(name), -1);
	assert_int_equal(holder, -1);
	ui_ownfd_end(name);
	ui_ownfd_close(&holder);
	assert_true(is(name, theirs));
	assert_true(is(at, theirs));
	close(name);
	close(at);
	close(fd);
}

static void a_child_gives_up_its_copies(void **state)
{
	ino_t ino;
	int name = ui_ownfd_hold(some_file(&ino)), status;
	pid_t child = fork();

	if (!child) {
		ui_ownfd_forked();
		_exit(fcntl(name, F_GETFD) >= 0 || ui_ownfd_is(name));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_true(is(name, ino));
	ui_ownfd_end(name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_held_has_a_large_number),
		cmocka_unit_test(under_a_small_limit_any_number_will_do),
		cmocka_unit_test(it_moves_out_of_the_way),
		cmocka_unit_test(what_is_lost_is_not_closed),
		cmocka_unit_test(a_child_gives_up_its_copies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
