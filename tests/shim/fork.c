/* SPDX-License-Identifier: MIT */
/*
 * Descriptors in children and in other programs (design.md promise 10): what was used stays its owner's, who answers if it saw
 * the descriptor go; what was never used is taken over, and nothing breaks, whatever the kind of fork. More of it: share.c.
 */
#include "stranger.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static const char *self;

static int open_iommu(void)
{
	int fd = open("/dev/iommu", O_RDWR);

	CHECK(fd >= 0);
	return fd;
}

static void child_succeeds(pid_t pid)
{
	int status;

	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* @seen: the library could know of the fork, and the parent answers. */
static void forked(pid_t (*do_fork)(void), bool seen)
{
	int used = open_iommu(), fresh = open_iommu();
	pid_t pid;

	CHECK(ioas_alloc(used) == 1);
	pid = do_fork();
	if (!pid) {
		int own = open_iommu();

		CHECK(ioas_alloc(used) == (seen ? 2 : -ENODEV));
		CHECK(ioas_alloc(fresh) == 1);
		CHECK(ioas_alloc(own) == 1 && !close(own));
		CHECK(!close(used) && ioas_alloc(used) == -EBADF && ioas_alloc(fresh) == 2);
		_exit(0);
	}
	child_succeeds(pid);
	/* The child's closing took nothing away; what it took over went with it. */
	CHECK(ioas_alloc(used) == (seen ? 3 : 2) && ioas_alloc(fresh) == -ENODEV);
	close(used);
	close(fresh);
}

static pid_t libc_fork(void)
{
	return fork();
}

static pid_t raw_fork(void)
{
	return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static void grandchildren_work(void)
{
	pid_t pid = fork();

	if (!pid) {
		CHECK(ioas_alloc(open_iommu()) == 1);
		pid = fork();
		if (!pid) {
			CHECK(ioas_alloc(open_iommu()) == 1);
			_exit(0);
		}
		child_succeeds(pid);
		_exit(0);
	}
	child_succeeds(pid);
}

/* What happens in a vfork child must not reach the parent's table, although they share their memory. */
static void a_vfork_child_leaves_us_alone(void)
{
	int a = open_iommu(), b = open_iommu(), zero = open("/dev/zero", O_RDONLY);
	pid_t pid;

	CHECK(ioas_alloc(a) == 1 && ioas_alloc(b) == 1);
	pid = vfork();
	if (!pid) {
		close(a);
		dup2(zero, b);
		close_range(3, ~0u, 0);
		open("/dev/iommu", O_RDWR);
		_exit(0);
	}
	child_succeeds(pid);
	CHECK(ioas_alloc(a) == 2 && ioas_alloc(b) == 2);
	close(a);
	close(b);
	close(zero);
}

static void execute(int fd, const char *want)
{
	char number[16];
	pid_t pid = fork();

	if (!pid) {
		snprintf(number, sizeof(number), "%d", fd);
		execl(self, self, number, want, (char *)NULL);
		_exit(2);
	}
	child_succeeds(pid);
}

static void another_program_takes_over_what_is_fresh(void)
{
	int used = open_iommu(), fresh = open_iommu();

	CHECK(ioas_alloc(used) == 1);
	execute(used, "2");
	execute(fresh, "1");
	CHECK(ioas_alloc(fresh) == -ENODEV && ioas_alloc(used) == 3);
	close(used);
	close(fresh);
}

static void send_fd(int socket, int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = "";
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	CHECK(sendmsg(socket, &msg, 0) == 1);
}

static int receive_fd(int socket)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	int fd;

	CHECK(recvmsg(socket, &msg, 0) == 1);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	return fd;
}

static void a_descriptor_can_be_sent(void)
{
	int pair[2], fresh = open_iommu(), used = open_iommu(), back;
	pid_t pid;

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair) && ioas_alloc(used) == 1);
	/* To ourselves: the same context. */
	send_fd(pair[0], used);
	back = receive_fd(pair[1]);
	CHECK(back != used && ioas_alloc(back) == 2 && !close(used) && ioas_alloc(back) == 3);
	/* To another process. */
	pid = fork();
	if (!pid) {
		close(fresh);
		fresh = receive_fd(pair[1]);
		CHECK(ioas_alloc(fresh) == 1);
		_exit(0);
	}
	send_fd(pair[0], fresh);
	child_succeeds(pid);
	CHECK(ioas_alloc(fresh) == -ENODEV);
	close(back);
	close(fresh);
	close(pair[0]);
	close(pair[1]);
}

static atomic_bool stop;

static void *busy(void *arg)
{
	while (!atomic_load(&stop)) {
		int fd = open_iommu();

		CHECK(ioas_alloc(fd) == 1);
		close(fd);
	}
	return NULL;
}

/* A fork while other threads are in the middle of everything. */
static void forks_and_threads_mix(void)
{
	pthread_t threads[3];

	for (size_t i = 0; i < 3; i++)
		CHECK(!pthread_create(&threads[i], NULL, busy, NULL));
	for (unsigned i = 0; i < 60; i++) {
		pid_t pid = i % 2 ? fork() : raw_fork();

		if (!pid) {
			CHECK(ioas_alloc(open_iommu()) == 1);
			_exit(0);
		}
		child_succeeds(pid);
	}
	atomic_store(&stop, true);
	for (size_t i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
}

int main(int argc, char **argv)
{
	self = argv[0];
	if (argc == 3)
		return ioas_alloc(atoi(argv[1])) == atoi(argv[2]) ? 0 : 1;
	forked(libc_fork, true);
	forked(raw_fork, false);
	grandchildren_work();
	a_vfork_child_leaves_us_alone();
	another_program_takes_over_what_is_fresh();
	a_descriptor_can_be_sent();
	forks_and_threads_mix();
	return 0;
}
