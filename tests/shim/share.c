/* SPDX-License-Identifier: MIT */
/*
 * Descriptors that several processes use at a time (design.md promise 10): they talk to the one that used it first, whichever way
 * they got it, as long as it lives; and the object lives until the last descriptor anywhere is closed.
 */
#include "stranger.h"

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

extern char **environ;

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

static unsigned n_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	unsigned n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

static void no_thread_where_nobody_shares(void)
{
	int fd, i;
	pid_t pid;

	/* A fork that could hand over nothing. */
	pid = fork();
	if (!pid)
		_exit(0);
	child_succeeds(pid);
	fd = open_iommu();
	CHECK(ioas_alloc(fd) == 1 && n_threads() == 1);
	pid = fork();
	if (!pid) {
		/* It has the descriptor, but does not serve. */
		CHECK(n_threads() == 1);
		_exit(0);
	}
	child_succeeds(pid);
	CHECK(n_threads() == 2);
	/* The last file closed ends it. */
	CHECK(!close(fd));
	for (i = 0; n_threads() > 1 && i < 10000; i++)
		usleep(1000);
	CHECK(n_threads() == 1);
}

static void both_see_one_context(void)
{
	struct ioas_alloc bad = { .size = sizeof(bad), .flags = 1 };
	int fd = open_iommu(), pair[2];
	pid_t pid;
	char byte;

	CHECK(ioas_alloc(fd) == 1 && !socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	pid = fork();
	if (!pid) {
		CHECK(ioas_alloc(fd) == 2);
		/* Errors are the call's, pointers the child's. */
		CHECK(ioctl(fd, IOMMU_IOAS_ALLOC, &bad) == -1 && errno == EOPNOTSUPP);
		CHECK(ioctl(fd, IOMMU_IOAS_ALLOC, (void *)8) == -1 && errno == EFAULT);
		CHECK(ioctl(fd, 0x3bff, &bad) == -1 && errno == ENOTTY);
		CHECK(read(fd, &byte, 1) == -1 && errno == EINVAL);
		CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED);
		CHECK(write(pair[1], "", 1) == 1 && read(pair[1], &byte, 1) == 1);
		CHECK(ioas_alloc(fd) == 4);
		/* A duplicate is the same. */
		CHECK(ioas_alloc(dup(fd)) == 5);
		_exit(0);
	}
	CHECK(read(pair[0], &byte, 1) == 1 && ioas_alloc(fd) == 3 && write(pair[0], "", 1) == 1);
	child_succeeds(pid);
	CHECK(ioas_alloc(fd) == 6);
	close(fd);
	close(pair[0]);
	close(pair[1]);
}

static void grandchildren_reach_the_same_owner(void)
{
	int fd = open_iommu();
	pid_t pid;

	CHECK(ioas_alloc(fd) == 1);
	pid = fork();
	if (!pid) {
		CHECK(ioas_alloc(fd) == 2);
		pid = fork();
		if (!pid) {
			CHECK(ioas_alloc(fd) == 3);
			_exit(0);
		}
		child_succeeds(pid);
		CHECK(ioas_alloc(fd) == 4);
		_exit(0);
	}
	child_succeeds(pid);
	CHECK(ioas_alloc(fd) == 5);
	close(fd);
}

/* "share alloc FD WANT": what programs that are executed do. */
static void executed(int how)
{
	int fd = open_iommu(), pid;
	char number[16];
	char *argv[] = { (char *)(uintptr_t)self, "alloc", number, "2", NULL };

	CHECK(ioas_alloc(fd) == 1);
	snprintf(number, sizeof(number), "%d", fd);
	if (how == 0) {
		pid = vfork();
		if (!pid) {
			execv(self, argv);
			_exit(2);
		}
	} else {
		CHECK(!posix_spawn(&pid, self, NULL, NULL, argv, environ));
	}
	child_succeeds(pid);
	CHECK(ioas_alloc(fd) == 3);
	close(fd);
}

static void whoever_adopts_a_fresh_one_answers_the_others(void)
{
	int fd = open_iommu(), pair[2];
	pid_t pid;
	char byte;

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	pid = fork();
	if (!pid) {
		CHECK(ioas_alloc(fd) == 1 && write(pair[1], "", 1) == 1 && read(pair[1], &byte, 1) == 1);
		CHECK(ioas_alloc(fd) == 3);
		_exit(0);
	}
	CHECK(read(pair[0], &byte, 1) == 1 && ioas_alloc(fd) == 2 && write(pair[0], "", 1) == 1);
	child_succeeds(pid);
	/* With its owner it has gone. */
	CHECK(ioas_alloc(fd) == -ENODEV && ioas_alloc(fd) == -ENODEV);
	close(fd);
	close(pair[0]);
	close(pair[1]);
}

/* A process that never was ours' child, so to speak: it was there before the file. */
static pid_t stranger(int *socket)
{
	int pair[2];
	pid_t pid;

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	pid = fork();
	if (!pid) {
		char number[16];

		close(pair[0]);
		snprintf(number, sizeof(number), "%d", pair[1]);
		execl(self, self, "receive", number, (char *)NULL);
		_exit(2);
	}
	close(pair[1]);
	*socket = pair[0];
	return pid;
}

static void a_descriptor_sent_to_a_stranger_works(void)
{
	int socket, fd;
	pid_t pid = stranger(&socket);

	fd = open_iommu();
	CHECK(ioas_alloc(fd) == 1);
	send_fd(socket, fd);
	child_succeeds(pid);
	CHECK(ioas_alloc(fd) == 3);
	close(fd);
	close(socket);
}

static void a_context_lives_as_long_as_somebody_has_it(bool used)
{
	int socket, fd, back;
	pid_t pid;

	pid = stranger(&socket);
	fd = open_iommu();
	CHECK(ioas_alloc(fd) == 1);
	/* On its way, or in a child that does nothing with it: we have closed ours, and get it back. */
	if (used) {
		int pair[2];

		CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
		send_fd(pair[0], fd);
		CHECK(!close(fd));
		back = receive_fd(pair[1]);
		CHECK(ioas_alloc(back) == 2 && !close(back));
		close(pair[0]);
		close(pair[1]);
		close(socket);
		CHECK(waitpid(pid, NULL, 0) == pid);
		return;
	}
	send_fd(socket, fd);
	CHECK(!close(fd));
	child_succeeds(pid); /* it got 2 */
	close(socket);
}

static void an_owner_that_ends_is_an_error(int how)
{
	int socket, pair[2], fd, status;
	pid_t owner;
	char byte;

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	owner = fork();
	if (!owner) {
		fd = open_iommu();
		CHECK(ioas_alloc(fd) == 1);
		/* A copy of all that we have, in a process that does nothing with it. */
		if (how == 3) {
			send_fd(pair[1], fd);
			if (!syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)) {
				prctl(PR_SET_NAME, "copy");
				close(pair[0]);
				CHECK(read(pair[1], &byte, 1) >= 0);
				_exit(0);
			}
		} else {
			send_fd(pair[1], fd);
		}
		CHECK(how == 3 || read(pair[1], &byte, 1) == 1);
		if (how == 0)
			_exit(0);
		if (how == 1)
			execl("/bin/sleep", "sleep", "1000", (char *)NULL);
		pause();
	}
	fd = receive_fd(pair[0]);
	/* With a copy around, the first call comes after the end: what the owner listened at is still there. */
	if (how != 3)
		CHECK(ioas_alloc(fd) == 2 && write(pair[0], "", 1) == 1);
	else
		usleep(10000);
	if (how >= 2)
		CHECK(!kill(owner, SIGKILL));
	if (how != 1) {
		CHECK(waitpid(owner, &status, 0) == owner);
		CHECK(ioas_alloc(fd) == -ENODEV);
	} else {
		int i, ret = 1;

		for (i = 0; ret > 0 && i < 10000; i++)
			ret = (usleep(1000), ioas_alloc(fd));
		CHECK(ret == -ENODEV && !kill(owner, SIGKILL) && waitpid(owner, &status, 0) == owner);
	}
	if (how == 3)
		CHECK(write(pair[0], "", 1) == 1);
	socket = dup(fd);
	CHECK(ioas_alloc(socket) == -ENODEV && !close(socket) && !close(fd));
	close(pair[0]);
	close(pair[1]);
}

static void *maps_and_unmaps(void *arg)
{
	int fd = *(int *)arg;
	char *mem = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(mem != MAP_FAILED);
	for (;;) {
		int id = ioas_alloc(fd);

		CHECK(id > 0 && !ioas_map(fd, (uint32_t)id, mem, 65536, 0x10000));
		CHECK(!ioas_unmap(fd, (uint32_t)id, 0x10000, 65536));
		CHECK(!ioctl(fd, IOMMU_DESTROY, &(uint32_t[2]){ 8, (uint32_t)id }));
	}
	return NULL;
}

/* Clients that are killed at any point, two at a time, each with several threads. */
static void a_client_that_is_killed_harms_nobody(void)
{
	int fd = open_iommu();

	CHECK(ioas_alloc(fd) == 1);
	for (unsigned i = 0; i < 30; i++) {
		pid_t pids[2];

		for (unsigned k = 0; k < 2; k++) {
			pids[k] = fork();
			if (!pids[k]) {
				pthread_t thread;

				pthread_create(&thread, NULL, maps_and_unmaps, &fd);
				maps_and_unmaps(&fd);
			}
		}
		usleep(3000 + i * 300);
		for (unsigned k = 0; k < 2; k++)
			CHECK(!kill(pids[k], SIGKILL) && waitpid(pids[k], NULL, 0) == pids[k]);
		CHECK(ioas_alloc(fd) > 0);
	}
	close(fd);
}

/* One file's end, on a thread of the library's, while another begins to be shared: that one is served. */
static void files_come_and_go(void)
{
	for (unsigned i = 0; i < 50; i++) {
		int fd = open_iommu(), pair[2];
		pid_t pid;

		CHECK(ioas_alloc(fd) == 1 && !socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
		send_fd(pair[0], fd);
		CHECK(!close(fd));
		fd = open_iommu();
		CHECK(ioas_alloc(fd) == 1);
		/* What was on its way is lost. */
		CHECK(!close(pair[1]) && !close(pair[0]));
		pid = fork();
		if (!pid) {
			CHECK(ioas_alloc(fd) == 2);
			_exit(0);
		}
		child_succeeds(pid);
		CHECK(!close(fd));
	}
}

/* An owner whose table of descriptors is full says so, and works again when it is not. */
static void a_full_table_is_an_error(void)
{
	int known = open_iommu(), fresh = open_iommu(), pair[2], highest = 0;
	struct rlimit before, few;
	pid_t pid;
	char byte;

	CHECK(ioas_alloc(known) == 1 && ioas_alloc(fresh) == 1 && !socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	pid = fork();
	if (!pid) {
		CHECK(ioas_alloc(known) == 2 && write(pair[1], "", 1) == 1 && read(pair[1], &byte, 1) == 1);
		CHECK(ioas_alloc(fresh) == -EMFILE && ioas_alloc(known) == 3);
		CHECK(write(pair[1], "", 1) == 1 && read(pair[1], &byte, 1) == 1);
		CHECK(ioas_alloc(fresh) == 2);
		_exit(0);
	}
	CHECK(read(pair[0], &byte, 1) == 1 && !getrlimit(RLIMIT_NOFILE, &before));
	few = before;
	few.rlim_cur = 64;
	CHECK(!setrlimit(RLIMIT_NOFILE, &few));
	for (int fd; (fd = dup(pair[0])) >= 0;)
		highest = fd;
	CHECK(errno == EMFILE && write(pair[0], "", 1) == 1 && read(pair[0], &byte, 1) == 1);
	for (int fd = pair[1] + 1; fd <= highest; fd++)
		CHECK(!close(fd));
	CHECK(!setrlimit(RLIMIT_NOFILE, &before) && write(pair[0], "", 1) == 1);
	child_succeeds(pid);
	CHECK(!close(known) && !close(fresh) && !close(pair[0]) && !close(pair[1]));
}

/* The numbers that the library uses meanwhile are the program's if it wants them, and what it puts there is not touched. */
static void numbers_are_the_programs(void)
{
	enum { FIRST = 512, N = 64 };
	int fd = open_iommu(), talk[2], pair[2];
	char byte, message[72] = "mine";
	pid_t pid;

	CHECK(ioas_alloc(fd) == 1 && !socketpair(AF_UNIX, SOCK_STREAM, 0, talk) && !socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
	pid = fork();
	if (!pid) {
		for (int want = 2; want < 5; want++)
			CHECK(ioas_alloc(fd) == want && write(talk[1], "", 1) == 1 && read(talk[1], &byte, 1) == 1);
		_exit(0);
	}
	for (int want = 0; want < 3; want++) {
		CHECK(read(talk[0], &byte, 1) == 1 && send(pair[0], message, sizeof(message), 0) == sizeof(message));
		for (int to = FIRST; to < FIRST + N; to++)
			CHECK(dup2(pair[1], to) == to);
		CHECK(write(talk[0], "", 1) == 1);
	}
	child_succeeds(pid);
	for (int want = 0; want < 3; want++)
		CHECK(recv(pair[1], message, sizeof(message), MSG_DONTWAIT) == sizeof(message) && !strcmp(message, "mine"));
	CHECK(recv(pair[1], message, sizeof(message), MSG_DONTWAIT) == -1 && errno == EAGAIN);
	for (int to = FIRST; to < FIRST + N; to++)
		CHECK(!close(to));
	CHECK(!close(fd) && !close(pair[0]) && !close(pair[1]) && !close(talk[0]) && !close(talk[1]));
}

static char *guarded;
static volatile bool armed, guard_fired;

static void open_the_guard(int signal)
{
	CHECK(!mprotect(guarded, 4096, PROT_READ | PROT_WRITE));
	guard_fired = true;
}

static void step_on_the_guard(void)
{
	if (armed)
		*guarded = 1;
}

/* What a program registered with pthread_atfork() may fault, and handle it, as it always may. */
static void handlers_of_a_fork_may_fault(void)
{
	struct sigaction action = { .sa_handler = open_the_guard }, before;
	int fd = open_iommu();
	pid_t pid;

	CHECK(ioas_alloc(fd) == 1 && !sigaction(SIGSEGV, &action, &before));
	guarded = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(guarded != MAP_FAILED && !pthread_atfork(step_on_the_guard, NULL, NULL));
	armed = true;
	pid = fork();
	if (!pid)
		_exit(0);
	armed = false;
	child_succeeds(pid);
	CHECK(guard_fired && !sigaction(SIGSEGV, &before, NULL) && !close(fd) && !munmap(guarded, 4096));
}

int main(int argc, char **argv)
{
	self = argv[0];
	if (argc == 4 && !strcmp(argv[1], "alloc"))
		return ioas_alloc(atoi(argv[2])) == atoi(argv[3]) ? 0 : 1;
	if (argc == 3) {
		char byte;
		ssize_t n = recv(atoi(argv[2]), &byte, 1, MSG_PEEK);

		return n <= 0 || ioas_alloc(receive_fd(atoi(argv[2]))) == 2 ? 0 : 1;
	}
	alarm(100); /* nothing here may wait for ever */
	no_thread_where_nobody_shares();
	both_see_one_context();
	grandchildren_reach_the_same_owner();
	executed(0);
	executed(1);
	whoever_adopts_a_fresh_one_answers_the_others();
	a_descriptor_sent_to_a_stranger_works();
	a_context_lives_as_long_as_somebody_has_it(true);
	a_context_lives_as_long_as_somebody_has_it(false);
	for (int how = 0; how < 4; how++)
		an_owner_that_ends_is_an_error(how);
	a_client_that_is_killed_harms_nobody();
	files_come_and_go();
	a_full_table_is_an_error();
	numbers_are_the_programs();
	handlers_of_a_fork_may_fault();
	return 0;
}
