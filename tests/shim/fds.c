/* SPDX-License-Identifier: MIT */
/* Descriptors: dup and close in any order, numbers that are used again, poll, CLOEXEC. */
#include "stranger.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

static int open_iommu(void)
{
	int fd = open("/dev/iommu", O_RDWR);

	CHECK(fd >= 0);
	return fd;
}

/* Ids are per context: the lowest is 1. */
static bool same_context(int a, int b)
{
	int x = ioas_alloc(a), y = ioas_alloc(b);

	CHECK(x > 0 && y > 0);
	return x != y;
}

static void duplicates_share_the_context(void)
{
	int a = open_iommu(), b = dup(a), c = fcntl(a, F_DUPFD, 100), d = dup2(a, 77), e = dup3(b, 78, O_CLOEXEC), other = open_iommu();

	CHECK(c >= 100 && d == 77 && e == 78 && dup2(a, a) == a);
	CHECK(fcntl(e, F_GETFD) == FD_CLOEXEC && fcntl(d, F_GETFD) == 0);
	CHECK(same_context(a, b) && same_context(b, c) && same_context(c, d) && same_context(d, e));
	CHECK(ioas_alloc(other) == 1);
	/* The first one closed is not the end. */
	CHECK(!close(a) && !close(d) && ioas_alloc(c) > 1);
	CHECK(ioas_alloc(a) == -EBADF && ioas_alloc(d) == -EBADF);
	CHECK(!close(c) && !close(b) && ioas_alloc(e) > 1 && !close(e) && !close(other));
}

static void a_new_file_in_an_old_number_is_itself(void)
{
	int a = open_iommu(), b, zero;
	char byte = 1;

	CHECK(ioas_alloc(a) == 1 && ioas_alloc(a) == 2 && !close(a));
	b = open_iommu();
	CHECK(b == a && ioas_alloc(b) == 1);
	/* dup2() over it. */
	zero = open("/dev/zero", O_RDONLY);
	CHECK(dup2(zero, b) == b && ioas_alloc(b) == -ENOTTY && read(b, &byte, 1) == 1 && byte == 0);
	CHECK(!close(b) && !close(zero));
	/* Closed by a way that nobody sees, then given out again. */
	a = open_iommu();
	CHECK(ioas_alloc(a) == 1 && !syscall(SYS_close, a));
	b = open("/dev/zero", O_RDONLY);
	CHECK(b == a && ioas_alloc(b) == -ENOTTY && !close(b));
	a = open_iommu();
	CHECK(ioas_alloc(a) == 1 && !syscall(SYS_close, a));
	b = open_iommu();
	CHECK(b == a && ioas_alloc(b) == 1 && !close(b));
}

static void ranges_close_too(void)
{
	int a = open_iommu(), b = open_iommu();

	CHECK(ioas_alloc(a) == 1 && ioas_alloc(b) == 1);
	CHECK(!close_range((unsigned)a, ~0u, 0));
	CHECK(ioas_alloc(a) == -EBADF && ioas_alloc(b) == -EBADF);
	a = open_iommu();
	CHECK(ioas_alloc(a) == 1);
	closefrom(3);
	CHECK(ioas_alloc(a) == -EBADF);
}

static void a_duplicate_made_unseen_is_recognised(void)
{
	int a = open_iommu(), b;

	CHECK(ioas_alloc(a) == 1);
	b = (int)syscall(SYS_dup, a);
	CHECK(b >= 0 && ioas_alloc(b) == 2 && !close(a) && ioas_alloc(b) == 3 && !close(b));
}

static void it_polls_as_the_kernel_s_does(void)
{
	int fd = open_iommu(), ep = epoll_create1(0);
	struct epoll_event event = { .events = EPOLLIN };
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };

	CHECK(poll(&p, 1, 0) == 1 && p.revents == (POLLIN | POLLOUT));
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == -1 && errno == EPERM);
	close(ep);
	close(fd);
}

static void reading_writing_and_mapping_are_refused(void)
{
	int fd = open_iommu();
	char buf[8];
	struct iovec iov = { buf, sizeof(buf) };

	CHECK(read(fd, buf, 8) == -1 && errno == EINVAL);
	CHECK(write(fd, buf, 8) == -1 && errno == EINVAL);
	CHECK(pread(fd, buf, 8, 0) == -1 && errno == EINVAL);
	CHECK(preadv(fd, &iov, 1, 0) == -1 && errno == EINVAL);
	CHECK(ftruncate(fd, 0) == -1 && errno == EINVAL);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED && errno == ENXIO);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED && errno == EINVAL);
	close(fd);
}

static void close_on_exec_is_the_caller_s_choice(void)
{
	int a = open("/dev/iommu", O_RDWR | O_CLOEXEC), b = open_iommu();

	CHECK(fcntl(a, F_GETFD) == FD_CLOEXEC && fcntl(b, F_GETFD) == 0);
	close(a);
	close(b);
}

static void many_files_are_an_error_not_an_end(void)
{
	int fds[1100], n = 0;

	while (n < 1100 && (fds[n] = open("/dev/iommu", O_RDWR)) >= 0)
		n++;
	CHECK(n > 100 && (n == 1100 || errno == ENFILE || errno == EMFILE));
	while (n)
		close(fds[--n]);
	CHECK(ioas_alloc(open_iommu()) == 1);
}

int main(void)
{
	duplicates_share_the_context();
	a_new_file_in_an_old_number_is_itself();
	ranges_close_too();
	a_duplicate_made_unseen_is_recognised();
	it_polls_as_the_kernel_s_does();
	reading_writing_and_mapping_are_refused();
	close_on_exec_is_the_caller_s_choice();
	many_files_are_an_error_not_an_end();
	return 0;
}
