/* SPDX-License-Identifier: MIT */
/*
 * Threads that close, replace and use whatever number comes along, while others make descriptors of queues and map
 * what a vIOMMU shares. Nothing is lost, and nothing is left behind. (Step 2, "Bad input"; run with --iommu mock.)
 */
#include "mock.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>

enum { ROUNDS = 4000, LAST = 24 };

static int fd; /* the iommufd: 3 */
static _Atomic bool stop;

static unsigned next(unsigned *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static void ignore(ssize_t n)
{
	(void)n;
}

static void *make(void *unused)
{
	uint32_t id;

	for (int i = 0; i < ROUNDS; i++) {
		int queue = fault_queue(fd, &id);

		/* What it is made of may be closed under it. */
		if (queue < 0 ? queue != -EBADF && queue != -EMFILE : queue < 4)
			hostile_note(__FILE__, __LINE__, "queue", queue, 4);
		/* It may be gone by now, or another thread's. */
		if (i & 1)
			close(queue);
		if (i % 64 == 0)
			closefrom(LAST + 1);
	}
	return unused;
}

static void *meddle(void *seed_of)
{
	unsigned seed = *(unsigned *)seed_of;
	struct stat st;
	char buf[80] = { 0 };

	while (!stop) {
		int number = 4 + (int)(next(&seed) % (LAST - 4)), other = 4 + (int)(next(&seed) % (LAST - 4));
		struct pollfd pfd = { .fd = number, .events = POLLIN };

		switch (next(&seed) % 10) {
		case 0:
			close(number);
			break;
		case 1:
			dup2(number, other);
			break;
		case 2:
			dup2(0, other);
			break;
		case 3:
			close_range((unsigned)number, (unsigned)number + 3, 0);
			break;
		case 4:
			poll(&pfd, 1, 0);
			break;
		case 5:
			fstat(number, &st);
			break;
		case 6:
			lseek(number, 0, SEEK_CUR);
			break;
		case 7:
			ignore(write(number, buf, 8));
			break;
		case 8:
			ignore(pread(number, buf, 40, 0));
			break;
		default:
			ignore(read(number, buf, 40));
		}
	}
	return NULL;
}

static void numbers(void)
{
	unsigned seeds[2] = { 12345, 999 };
	pthread_t makers[2], meddlers[2];

	for (int i = 0; i < 2; i++)
		MUST(!pthread_create(&meddlers[i], NULL, meddle, &seeds[i]));
	for (int i = 0; i < 2; i++)
		MUST(!pthread_create(&makers[i], NULL, make, NULL));
	for (int i = 0; i < 2; i++)
		MUST(!pthread_join(makers[i], NULL));
	stop = true;
	for (int i = 0; i < 2; i++)
		MUST(!pthread_join(meddlers[i], NULL));
	/* All descriptors go: no object is busy any more. */
	closefrom(4);
	for (uint32_t id = 1; id <= 2 * ROUNDS; id++) {
		long ret = destroy(fd, id);

		if (ret != 0 && ret != -ENOENT)
			hostile_note(__FILE__, __LINE__, "destroy", ret, 0);
	}
}

struct shared {
	struct nest n;
	struct mock_viommu data;
};

static void *map_and_unmap(void *arg)
{
	struct shared *s = arg;

	for (int i = 0; i < ROUNDS / 4; i++) {
		char *at = mmap(NULL, s->data.length, PROT_READ | PROT_WRITE, MAP_SHARED, s->n.fd, (off_t)s->data.offset);

		MUST(at != MAP_FAILED);
		switch (i % 4) {
		case 0:
			EXPECT(sys(munmap(at, s->data.length)), 0);
			break;
		case 1:
			EXPECT(sys(munmap(at + PAGE, PAGE)), 0);
			EXPECT(sys(munmap(at, PAGE)), 0);
			break;
		case 2:
			at = mremap(at, s->data.length, PAGE, MREMAP_MAYMOVE);
			EXPECT(sys(munmap(at, PAGE)), 0);
			break;
		default:
			MUST(mmap(at, s->data.length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at);
			EXPECT(sys(munmap(at, s->data.length)), 0);
		}
	}
	return NULL;
}

static void mappings(void)
{
	struct shared s = { .data = { .in = 1 } };
	pthread_t threads[2];

	nest_open(&s.n);
	nest_viommu(&s.n, &s.data);
	for (int i = 0; i < 2; i++)
		MUST(!pthread_create(&threads[i], NULL, map_and_unmap, &s));
	for (int i = 0; i < 2; i++)
		MUST(!pthread_join(threads[i], NULL));
	EXPECT(destroy(s.n.fd, s.n.viommu), 0);
	MUST(!close(s.n.fd));
}

int main(void)
{
	/* Who writes to numbers that are not his meets sockets that are just being made. */
	signal(SIGPIPE, SIG_IGN);
	closefrom(3);
	fd = open("/dev/iommu", O_RDWR);
	MUST(fd == 3);
	numbers();
	mappings();
	MUST(!close(fd));
	return hostile_end();
}
