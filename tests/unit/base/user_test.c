/* SPDX-License-Identifier: MIT */
/* Memory and descriptors of a caller that is another process (design.md promise 10). A child that stands still is the caller. */
#include "base/sys.h"
#include "base/user.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { PAGE = 4096 };

static struct other {
	struct ui_caller caller;
	int pidfd;
	u8 *mem; /* in the child: "child" at the first page's end, the second read-only, the third not there; here all zeros */
	int fd;  /* in the child: a pipe's reading end with a byte in it, closed here */
} other;

static int fd_get(const struct ui_caller *caller, int fd)
{
	return ui_sys_pidfd_getfd(other.pidfd, fd);
}

static int begin(void **state)
{
	int ready[2], fds[2];
	char byte;

	other.mem = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (other.mem == MAP_FAILED || pipe(ready) || pipe(fds))
		return -1;
	other.fd = fds[0];
	other.caller.fd_get = fd_get;
	other.caller.pid = fork();
	if (!other.caller.pid) {
		memcpy(other.mem + PAGE - 5, "child", 5);
		mprotect(other.mem + PAGE, PAGE, PROT_READ);
		munmap(other.mem + 2 * PAGE, PAGE);
		if (write(fds[1], "b", 1) == 1 && write(ready[1], "", 1) == 1)
			pause();
		_exit(0);
	}
	close(fds[0]);
	close(fds[1]);
	if (read(ready[0], &byte, 1) != 1)
		return -1;
	close(ready[0]);
	close(ready[1]);
	other.pidfd = ui_sys_pidfd_open(other.caller.pid);
	ui_caller_set(&other.caller);
	return other.pidfd < 0 ? -1 : 0;
}

static int end(void **state)
{
	ui_caller_set(NULL);
	kill(other.caller.pid, SIGKILL);
	waitpid(other.caller.pid, NULL, 0);
	ui_sys_close(other.pidfd);
	munmap(other.mem, 3 * PAGE);
	return 0;
}

static u64 at(u64 offset)
{
	return (u64)(uintptr_t)other.mem + offset;
}

static void reads_and_writes_are_the_caller_s(void **state)
{
	char buf[8] = "";

	assert_int_equal(ui_user_read(buf, at(PAGE - 5), 5), 0);
	assert_string_equal(buf, "child");
	assert_int_equal(ui_user_write(at(10), "owner", 5), 0);
	assert_int_equal(ui_user_read(buf, at(10), 5), 0);
	assert_string_equal(buf, "owner");
	assert_int_equal(ui_user_fill(at(100), 7, 700), 0);
	assert_int_equal(ui_user_read(buf, at(796), 5), 0);
	assert_memory_equal(buf, "\7\7\7\7\0", 5);
	/* Nothing of it is here. */
	for (int i = 0; i < 2 * PAGE; i++)
		assert_int_equal(other.mem[i], 0);
}

static void zeros_and_bits_are_the_caller_s(void **state)
{
	static const struct {
		u64 first, last;
		u8 bytes[6]; /* from the second on: the first and the last are not touched */
	} rows[] = {
		{ 0, 0, { 1 } }, { 3, 5, { 0x38 } }, { 0, 7, { 0xff } }, { 7, 8, { 0x80, 1 } }, { 4, 29, { 0xf0, 0xff, 0xff, 0x3f } },
	};
	u8 seen[8];

	assert_int_equal(ui_user_zeros(at(0), PAGE - 5), 0);
	assert_int_equal(ui_user_zeros(at(0), PAGE - 4), -E2BIG);
	assert_int_equal(ui_user_zeros(at(PAGE), PAGE), 0);
	assert_int_equal(ui_user_zeros(at(PAGE), PAGE + 1), -EFAULT);
	assert_int_equal(ui_user_zeros(at(2 * PAGE), 0), 0);
	for (size_t i = 0; i < ui_array_size(rows); i++) {
		assert_int_equal(ui_user_fill(at(16), 0, 8), 0);
		assert_int_equal(ui_user_set_bits(at(17), rows[i].first, rows[i].last), 0);
		assert_int_equal(ui_user_read(seen, at(16), 8), 0);
		assert_int_equal(seen[0], 0);
		assert_memory_equal(seen + 1, rows[i].bytes, 6);
	}
	/* What was set stays. */
	assert_int_equal(ui_user_set_bits(at(17), 0, 0), 0);
	assert_int_equal(ui_user_read(seen, at(17), 1), 0);
	assert_int_equal(seen[0], 0xf1);
	assert_int_equal(ui_user_set_bits(at(PAGE - 1), 7, 8), -EFAULT);
	assert_int_equal(ui_user_set_bits(at(2 * PAGE), 0, 0), -EFAULT);
}

static void what_the_caller_may_not_is_refused(void **state)
{
	char buf[16];

	assert_int_equal(ui_user_write(at(PAGE), "x", 1), -EFAULT);
	assert_int_equal(ui_user_write(at(PAGE - 1), "xy", 2), -EFAULT);
	assert_int_equal(ui_user_read(buf, at(2 * PAGE - 8), 16), -EFAULT);
	assert_int_equal(ui_user_read(buf, 0, 1), -EFAULT);
	assert_int_equal(ui_user_read(buf, ~(u64)0 - 3, 8), -EFAULT);
	assert_int_equal(ui_user_fill(at(2 * PAGE - 8), 1, 16), -EFAULT);
}

static void probing_leaves_the_bytes(void **state)
{
	char buf[6] = "";

	assert_int_equal(ui_user_probe(at(0), PAGE, true), 0);
	assert_int_equal(ui_user_probe(at(0), 2 * PAGE, false), 0);
	assert_int_equal(ui_user_probe(at(0), PAGE + 1, true), -EFAULT);
	assert_int_equal(ui_user_probe(at(PAGE), PAGE + 1, false), -EFAULT);
	assert_int_equal(ui_user_probe(at(2 * PAGE), 0, true), 0);
	assert_int_equal(ui_user_probe(~(u64)0, 2, false), -EFAULT);
	assert_int_equal(ui_user_read(buf, at(PAGE - 5), 5), 0);
	assert_string_equal(buf, "child");
}

static void descriptor_numbers_are_the_caller_s(void **state)
{
	int got = ui_user_fd_get(other.fd);
	char byte = 0;

	assert_true(got >= 0);
	assert_int_equal(ui_sys_read(got, &byte, 1), 1);
	assert_int_equal(byte, 'b');
	ui_user_fd_put(other.fd, got);
	assert_int_equal(ui_sys_fcntl(got, 1 /* F_GETFD */, 0), -EBADF);
	assert_int_equal(ui_user_fd_get(12345), -EBADF);
	other.caller.fd_get = NULL;
	assert_int_equal(ui_user_fd_get(other.fd), -EBADF);
}

static void a_caller_that_has_ended_has_nothing(void **state)
{
	u8 byte;

	kill(other.caller.pid, SIGKILL);
	waitpid(other.caller.pid, NULL, 0);
	assert_int_equal(ui_user_read(&byte, at(0), 1), -EFAULT);
	assert_int_equal(ui_user_write(at(0), &byte, 1), -EFAULT);
	assert_int_equal(ui_user_probe(at(0), 1, false), -EFAULT);
	assert_true(ui_user_fd_get(other.fd) < 0);
}

static bool is_not(const struct ui_caller *caller)
{
	return false;
}

/* Its number may be another process's by now, or another program's, whose memory and descriptors these are. */
static void what_is_not_the_caller_any_more_is_left_alone(void **state)
{
	const u64 at = (u64)(uintptr_t)other.mem;
	char buf[2] = "a";

	other.caller.alive = is_not;
	assert_int_equal(ui_user_read(buf, at, 1), -EFAULT);
	assert_int_equal(ui_user_write(at, "x", 1), -EFAULT);
	assert_int_equal(ui_user_fill(at, 'x', 1), -EFAULT);
	assert_int_equal(ui_user_fd_get(other.fd), -EBADF);
	other.caller.alive = NULL;
	assert_int_equal(ui_user_read(buf, at, 1), 0);
	assert_int_equal(buf[0], 0);
}

static void the_caller_is_the_thread_s_and_comes_back(void **state)
{
	const struct ui_caller *before = ui_caller_set(NULL);
	char buf[2] = "a";

	assert_ptr_equal(before, &other.caller);
	assert_null(ui_caller());
	assert_int_equal(ui_user_fd_get(77), 77);
	assert_int_equal(ui_user_write((u64)(uintptr_t)buf, "b", 1), 0);
	assert_int_equal(buf[0], 'b');
	assert_null(ui_caller_set(before));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(reads_and_writes_are_the_caller_s, begin, end),
		cmocka_unit_test_setup_teardown(zeros_and_bits_are_the_caller_s, begin, end),
		cmocka_unit_test_setup_teardown(what_the_caller_may_not_is_refused, begin, end),
		cmocka_unit_test_setup_teardown(probing_leaves_the_bytes, begin, end),
		cmocka_unit_test_setup_teardown(descriptor_numbers_are_the_caller_s, begin, end),
		cmocka_unit_test_setup_teardown(a_caller_that_has_ended_has_nothing, begin, end),
		cmocka_unit_test_setup_teardown(what_is_not_the_caller_any_more_is_left_alone, begin, end),
		cmocka_unit_test_setup_teardown(the_caller_is_the_thread_s_and_comes_back, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
