/* SPDX-License-Identifier: MIT */
/*
 * The library has descriptors of its own in the program's table. A program that closes what it does not know, by
 * range, number by number, or by putting something else there, takes none of them away: interrupts go on. (Step 1,
 * "Bad input".)
 */
#include "hostile.h"

#include <dirent.h>
#include <sys/wait.h>

enum { MAX = 64 };

static int own[MAX], n_own;

/* Numbers that the program did not open: all there are but [0, @ours). */
static void find_own(int ours)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	MUST(dir);
	n_own = 0;
	while ((entry = readdir(dir))) {
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] != '.' && fd >= ours && fd != dirfd(dir) && n_own < MAX)
			own[n_own++] = fd;
	}
	closedir(dir);
}

static long set_irq(int device, int fd, uint32_t flags)
{
	struct {
		struct vfio_irq_set set;
		int32_t fd;
	} cmd = { .set = { .argsz = sizeof(cmd), .flags = flags | VFIO_IRQ_SET_ACTION_TRIGGER, .index = VFIO_PCI_REQ_IRQ_INDEX, .count = 1 } };

	cmd.fd = fd;
	return call(device, VFIO_DEVICE_SET_IRQS, &cmd);
}

/* An interrupt still comes. */
static void fires(int line, int device, int event)
{
	uint64_t count = 0;

	EXPECT(set_irq(device, 0, VFIO_IRQ_SET_DATA_NONE), 0);
	if (read(event, &count, sizeof(count)) != sizeof(count) || count != 1)
		hostile_note(__FILE__, line, "no interrupt", (long)count, 1);
}

static void closing_ranges(int device, int event)
{
	EXPECT(sys(close_range(6, ~0u, 0)), 0);
	fires(__LINE__, device, event);
	EXPECT(sys(close_range(500, 600, 0)), 0);
	fires(__LINE__, device, event);
	closefrom(6);
	fires(__LINE__, device, event);
	for (int i = 0; i < n_own; i++)
		EXPECT(sys(close_range((unsigned)own[i], (unsigned)own[i], 0)), 0);
	fires(__LINE__, device, event);
}

static void closing_numbers(int device, int event)
{
	for (int fd = 6; fd < 2048; fd++)
		EXPECT(sys(close(fd)), -EBADF);
	fires(__LINE__, device, event);
}

/* The number is the program's then, and what is behind it stays as it is. */
static void taking_numbers(int device, int event)
{
	int pipes[2];
	char c;

	MUST(!pipe2(pipes, O_NONBLOCK));
	for (int round = 0; round < 3; round++) {
		int taken[MAX], n;

		find_own(pipes[1] + 1);
		n = n_own;
		EXPECT(n > 0, 1);
		memcpy(taken, own, sizeof(taken));
		for (int i = 0; i < n; i++)
			EXPECT(sys(round & 1 ? dup3(pipes[1], taken[i], O_CLOEXEC) : dup2(pipes[1], taken[i])), taken[i]);
		fires(__LINE__, device, event);
		EXPECT(sys(read(pipes[0], &c, 1)), -EAGAIN);
		for (int i = 0; i < n; i++) {
			EXPECT(sys(write(taken[i], "x", 1)), 1);
			EXPECT(sys(read(pipes[0], &c, 1)), 1);
			EXPECT(sys(close(taken[i])), 0);
		}
		fires(__LINE__, device, event);
	}
	MUST(!close(pipes[0]) && !close(pipes[1]));
}

/* A child closes what it likes. */
static void in_a_child(int device, int event)
{
	pid_t child = fork();
	int status;

	MUST(child >= 0);
	if (!child) {
		closefrom(3);
		_exit(0);
	}
	MUST(waitpid(child, &status, 0) == child);
	EXPECT(status, 0);
	child = vfork();
	if (!child) {
		closefrom(3);
		_exit(0);
	}
	MUST(waitpid(child, &status, 0) == child);
	EXPECT(status, 0);
	fires(__LINE__, device, event);
}

int main(void)
{
	struct bench b;
	int event;

	/* The program's own are 0 to 5. */
	closefrom(3);
	bench_open(&b);
	event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	MUST(event == 5);
	MUST(!set_irq(b.device, event, VFIO_IRQ_SET_DATA_EVENTFD));
	find_own(6);
	EXPECT(n_own > 0, 1);
	fires(__LINE__, b.device, event);
	closing_ranges(b.device, event);
	closing_numbers(b.device, event);
	taking_numbers(b.device, event);
	in_a_child(b.device, event);
	bench_close(&b);
	/* What the library had is given back. */
	find_own(6);
	EXPECT(n_own, 0);
	return hostile_end();
}
