/* SPDX-License-Identifier: MIT */
/*
 * A program's threads change the handler of SIGSEGV while the first device is opened: whatever they set last is what
 * the program has afterwards, and the library still lives through pointers that are none. (docs/shim.md, Signals;
 * step 1, "Bad input".)
 */
#include "hostile.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/wait.h>

enum { ROUNDS = 150, FIRST = 1, SECOND = 2 };

static sigjmp_buf back;
static volatile int caught;
static _Atomic bool stop;
static _Atomic int ready;

static void first(int sig)
{
	(void)sig;
	caught = FIRST;
	siglongjmp(back, 1);
}

static void second(int sig)
{
	(void)sig;
	caught = SECOND;
	siglongjmp(back, 1);
}

/* Sets the two in turn; each time the one before is what it is told. Returns the last. */
static void *flip(void *unused)
{
	struct sigaction act = { .sa_handler = first }, old;
	bool second_now = false;

	(void)unused;
	EXPECT(sys(sigaction(SIGSEGV, &act, NULL)), 0);
	ready = 1;
	while (!stop) {
		act.sa_handler = second_now ? first : second;
		EXPECT(sys(sigaction(SIGSEGV, &act, &old)), 0);
		EXPECT(old.sa_handler == (second_now ? second : first), 1);
		second_now = !second_now;
	}
	return second_now ? second : first;
}

static void *flip_signal(void *unused)
{
	(void)unused;
	MUST(signal(SIGSEGV, first) != SIG_ERR);
	ready = 1;
	for (bool second_now = false;; second_now = !second_now) {
		if (stop)
			return second_now ? second : first;
		EXPECT(signal(SIGSEGV, second_now ? first : second) == (second_now ? second : first), 1);
	}
}

/* In a process that has opened nothing yet. */
static int one_round(unsigned round)
{
	struct sigaction now;
	pthread_t thread;
	volatile int fd;
	void *last;

	MUST(!pthread_create(&thread, NULL, round & 1 ? flip : flip_signal, NULL));
	while (!ready)
		sched_yield();
	for (volatile unsigned i = 0; i < round * 37; i++)
		;
	fd = open("/dev/iommu", O_RDWR);
	MUST(fd >= 0);
	new_ioas(fd);
	stop = true;
	MUST(!pthread_join(thread, &last));
	EXPECT(sys(sigaction(SIGSEGV, NULL, &now)), 0);
	EXPECT((void *)now.sa_handler == last, 1);
	EXPECT(call(fd, IOMMU_IOAS_ALLOC, ptr(0x10000)), -EFAULT);
	if (!sigsetjmp(back, 1))
		*(volatile int *)ptr(0x10000) = 1;
	EXPECT(caught, last == (void *)second ? SECOND : FIRST);
	EXPECT(call(fd, IOMMU_IOAS_ALLOC, ptr(0x10000)), -EFAULT);
	return hostile_end();
}

int main(void)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		pid_t child = fork();
		int status;

		MUST(child >= 0);
		if (!child)
			_exit(one_round(round));
		MUST(waitpid(child, &status, 0) == child);
		EXPECT(status, 0);
	}
	return hostile_end();
}
