/* SPDX-License-Identifier: MIT */
/*
 * Processes that mean harm to the owner of a shared descriptor (design.md promise 10): they find where it listens and say what they
 * like. Without the descriptor they get at nothing; whatever they say, the owner goes on, and so do its clients.
 */
#include "stranger.h"

#include <stddef.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

/* As the library has it (src/shim/share.h), which no stranger should know. */
enum { HELLO = 1, IOCTL = 2, READ, WRITE, MMAP, MUNMAP, REPLY, PROVE, INSTALL, DROP, MAP, PIECE, DONE };

struct message {
	uint32_t type;
	int32_t fd;
	uint64_t ino, a, b, c, d;
	int64_t ret;
};

static uint64_t seed;

static uint64_t any(void)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return seed >> 33 ^ seed << 20;
}

static void child_succeeds(pid_t pid)
{
	int status;

	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* A connection to our parent, and its token. -1: it is not in the list, from which others that come and go can hide it. */
static int try_to_dial(uint64_t *token)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	FILE *list = fopen("/proc/net/unix", "r");
	struct ucred cred;
	socklen_t n = sizeof(cred);
	char line[512], *at;

	CHECK(fd >= 0 && list);
	while (fgets(line, sizeof(line), list)) {
		at = strstr(line, "@uiommu-");
		if (!at)
			continue;
		at[strcspn(at, "\n")] = 0;
		*token = strtoull(at + 8, NULL, 16);
		/* Whoever else listens, in another test, is to be left alone: its number is in the name. */
		if (*token >> 42 != (uint64_t)getppid())
			continue;
		strcpy(addr.sun_path + 1, at + 1);
		if (connect(fd, (struct sockaddr *)&addr, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(at))))
			continue;
		CHECK(!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n));
		if (cred.pid == getppid()) {
			fclose(list);
			return fd;
		}
		close(fd);
		fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	}
	fclose(list);
	close(fd);
	return -1;
}

static int dial(uint64_t *token)
{
	int fd = -1;

	for (unsigned i = 0; fd < 0 && i < 1000; i++)
		fd = try_to_dial(token);
	CHECK(fd >= 0);
	return fd;
}

static bool say(int fd, struct message *msg)
{
	return send(fd, msg, sizeof(*msg), MSG_NOSIGNAL) == (ssize_t)sizeof(*msg) && recv(fd, msg, sizeof(*msg), 0) == (ssize_t)sizeof(*msg);
}

static void without_the_descriptor(uint64_t ino)
{
	struct ioas_alloc cmd = { .size = sizeof(cmd) };
	uint64_t token;
	int fd = dial(&token);
	struct message msg = { .type = IOCTL, .ino = ino, .a = IOMMU_IOAS_ALLOC, .b = (uintptr_t)&cmd };

	/* Not even greeted. */
	CHECK(!say(fd, &msg) && !close(fd));
	fd = dial(&token);
	msg = (struct message){ .type = HELLO, .a = token ^ (uint64_t)1 << 50 };
	CHECK(!say(fd, &msg) && !close(fd));
	/* Greeted, but it does not have what it names. */
	fd = dial(&token);
	msg = (struct message){ .type = HELLO, .a = token };
	CHECK(say(fd, &msg) && msg.type == REPLY && !msg.ret);
	msg = (struct message){ .type = IOCTL, .ino = ino, .a = IOMMU_IOAS_ALLOC, .b = (uintptr_t)&cmd };
	CHECK(say(fd, &msg) && msg.type == PROVE && !cmd.out_id);
	close(fd);
}

/* Anything, with or without descriptors, in the middle of a conversation too. */
static void babble(int iommu, uint64_t ino)
{
	static char buf[256];

	for (unsigned i = 0; i < 300; i++) {
		struct message msg = { .type = HELLO };
		uint64_t token;
		int fd = dial(&token);

		msg.a = token;
		CHECK(say(fd, &msg));
		for (unsigned k = 0; k < 8; k++) {
			char control[CMSG_SPACE(sizeof(int))] = "";
			struct iovec iov = { &msg, any() % 8 ? sizeof(msg) : any() % 300 };
			struct msghdr out = { .msg_iov = &iov, .msg_iovlen = 1 };
			struct ioas_map map = { .size = sizeof(map), .flags = 7, .ioas = 1, .va = (uintptr_t)buf & ~4095ull, .length = 4096,
						.iova = 0x100000 };
			int fds[2] = { iommu, 0 };

			if (iov.iov_len > sizeof(msg)) {
				iov.iov_base = buf;
				iov.iov_len = sizeof(buf);
			}
			msg = (struct message){ .type = (uint32_t)(any() % 15), .ino = ino, .a = any() % 3 ? IOMMU_IOAS_MAP : any(),
						.b = any() % 3 ? (uintptr_t)&map : any(), .c = any(), .d = any() % 2 ? 0 : any(), .ret = (int64_t)any() };
			if (any() % 3) {
				out.msg_control = control;
				out.msg_controllen = sizeof(control);
				CMSG_FIRSTHDR(&out)->cmsg_level = SOL_SOCKET;
				CMSG_FIRSTHDR(&out)->cmsg_type = SCM_RIGHTS;
				CMSG_FIRSTHDR(&out)->cmsg_len = CMSG_LEN(sizeof(int));
				memcpy(CMSG_DATA(CMSG_FIRSTHDR(&out)), &fds[any() % 2], sizeof(int));
			}
			if (sendmsg(fd, &out, MSG_NOSIGNAL) < 0)
				break;
			recv(fd, buf, sizeof(buf), any() % 2 ? MSG_DONTWAIT : 0);
		}
		close(fd);
	}
}

/* As the library does, with @n descriptors. */
static bool say_with(int to, struct message *msg, const int *fds, size_t n)
{
	char control[CMSG_SPACE(8 * sizeof(int))] = "";
	struct iovec iov = { msg, sizeof(*msg) };
	struct msghdr out = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(n * sizeof(int)) };

	CMSG_FIRSTHDR(&out)->cmsg_level = SOL_SOCKET;
	CMSG_FIRSTHDR(&out)->cmsg_type = SCM_RIGHTS;
	CMSG_FIRSTHDR(&out)->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&out)), fds, n * sizeof(int));
	return sendmsg(to, &out, MSG_NOSIGNAL) == (ssize_t)sizeof(*msg) && recv(to, msg, sizeof(*msg), 0) == (ssize_t)sizeof(*msg);
}

static int greeted(void)
{
	uint64_t token;
	int fd = dial(&token);
	struct message msg = { .type = HELLO, .a = token };

	CHECK(say(fd, &msg) && msg.type == REPLY && !msg.ret);
	return fd;
}

/* More descriptors in a message than there should be stay nowhere in the owner. */
static void too_many_descriptors(int iommu, uint64_t ino)
{
	int fd = greeted(), fds[8] = { iommu, fd, fd, fd, fd, fd, fd, fd };

	for (size_t i = 0; i < 100; i++) {
		struct message msg = { .type = WRITE, .ino = ino };

		CHECK(say_with(fd, &msg, fds, 2 + i % 7) && msg.type == REPLY);
	}
	close(fd);
}

/* Asks until nothing more fits, hears no answer, and goes. */
static void never_listens(int iommu, uint64_t ino)
{
	struct message msg = { .type = WRITE, .ino = ino };
	int fd = greeted();

	CHECK(say_with(fd, &msg, &iommu, 1) && msg.type == REPLY);
	msg = (struct message){ .type = WRITE, .ino = ino };
	for (unsigned full = 0; full < 20;) {
		if (send(fd, &msg, sizeof(msg), MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof(msg))
			continue;
		CHECK(errno == EAGAIN);
		full++;
		usleep(1000);
	}
}

static unsigned n_descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 4096; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Shared memory that only the owner has: nobody gets it into an IOAS by saying that it has it too. */
static void memory_of_the_owner(int iommu, uint64_t ino, char *mine)
{
	struct ioas_map map = { .size = sizeof(map), .flags = 7, .ioas = 1, .length = 4096, .iova = 0x100000 };
	int fd = greeted();
	struct message msg = { .type = IOCTL, .ino = ino, .a = IOMMU_IOAS_MAP, .b = (uintptr_t)&map };
	uint64_t start, device_major, device_minor, inode = 0;
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];

	CHECK(maps);
	while (!inode && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%*x %*s %*x %lx:%lx %lu", &start, &device_major, &device_minor, &inode) != 4 || start != (uintptr_t)mine)
			inode = 0;
	}
	CHECK(inode && !fclose(maps) && !munmap(mine, 4096));
	map.va = (uintptr_t)mine;
	CHECK(say_with(fd, &msg, &iommu, 1) && msg.type == MAP && msg.a == map.va && msg.b == 4096);
	msg = (struct message){ .type = PIECE, .a = map.va, .b = 4096, .d = inode, .ino = device_major << 32 | device_minor, .ret = 3 };
	CHECK(say(fd, &msg) && msg.type == DONE && msg.ret == -ENOENT);
	/* A result that is none. */
	msg = (struct message){ .type = DONE, .ret = 5 };
	CHECK(say(fd, &msg) && msg.type == REPLY && msg.ret < 0 && msg.ret > -4096);
	close(fd);
}

int main(void)
{
	int fd = open("/dev/iommu", O_RDWR), before;
	unsigned n_before;
	char *mine;
	struct stat st;
	pid_t pid;

	alarm(100);
	seed = (uint64_t)getpid() << 32 | (uint64_t)time(NULL);
	printf("seed %#llx\n", (unsigned long long)seed);
	fflush(stdout);
	CHECK(fd >= 0 && ioas_alloc(fd) == 1 && !fstat(fd, &st));
	pid = fork();
	if (!pid) {
		close(fd);
		without_the_descriptor(st.st_ino);
		_exit(0);
	}
	child_succeeds(pid);
	pid = fork();
	if (!pid) {
		babble(fd, st.st_ino);
		_exit(0);
	}
	child_succeeds(pid);
	n_before = n_descriptors();
	pid = fork();
	if (!pid) {
		too_many_descriptors(fd, st.st_ino);
		never_listens(fd, st.st_ino);
		_exit(0);
	}
	child_succeeds(pid);
	/* The connection itself ends in its own time. */
	for (unsigned i = 0; n_descriptors() > n_before && i < 1000; i++)
		usleep(10000);
	CHECK(n_descriptors() <= n_before);
	mine = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(mine != MAP_FAILED);
	pid = fork();
	if (!pid) {
		memory_of_the_owner(fd, st.st_ino, mine);
		_exit(0);
	}
	child_succeeds(pid);
	before = ioas_alloc(fd);
	CHECK(before > 0);
	pid = fork();
	if (!pid) {
		CHECK(ioas_alloc(fd) == before + 1);
		_exit(0);
	}
	child_succeeds(pid);
	return 0;
}
