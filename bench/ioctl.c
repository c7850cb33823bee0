/* SPDX-License-Identifier: MIT */
/* Calls of /dev/iommu over getpid, and bytes per mapping, seen by a program: run under `uiommu run`. The same in the library: iommufd.c. */
#include <fcntl.h>
#include <linux/iommufd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 9
#define OPS 20000
#define MANY 100000u

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void must(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

/* The library in the process has a heap of its own: what counts is what the process occupies. */
static size_t resident_bytes(void)
{
	size_t size, pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	must(f && fscanf(f, "%zu %zu", &size, &pages) == 2, "/proc/self/statm");
	fclose(f);
	return pages * 4096;
}

static int fd;
static struct iommu_ioas_map map = { .size = sizeof(map), .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
				     .length = 4096 };

static void op_getpid(void)
{
	syscall(SYS_getpid);
}

static void op_ranges(void)
{
	struct iommu_iova_range range[2];
	struct iommu_ioas_iova_ranges cmd = { .size = sizeof(cmd), .ioas_id = map.ioas_id, .num_iovas = 2, .allowed_iovas = (uintptr_t)range };

	must(!ioctl(fd, IOMMU_IOAS_IOVA_RANGES, &cmd), "ranges");
}

static void op_map_unmap(void)
{
	struct iommu_ioas_unmap unmap = { .size = sizeof(unmap), .ioas_id = map.ioas_id, .iova = map.iova, .length = 4096 };

	must(!ioctl(fd, IOMMU_IOAS_MAP, &map), "map");
	must(!ioctl(fd, IOMMU_IOAS_UNMAP, &unmap), "unmap");
}

static double time_op(void (*op)(void))
{
	double t = now_ns();

	for (int i = 0; i < OPS; i++)
		op();
	return (now_ns() - t) / OPS;
}

static void bench_op(const char *name, void (*op)(void))
{
	double ours[ROUNDS], pid[ROUNDS], a, b;

	for (int r = 0; r < ROUNDS; r++) {
		ours[r] = time_op(op);
		pid[r] = time_op(op_getpid);
	}
	qsort(ours, ROUNDS, sizeof(*ours), by_value);
	qsort(pid, ROUNDS, sizeof(*pid), by_value);
	a = ours[ROUNDS / 2];
	b = pid[ROUNDS / 2];
	printf("  %-50s %6.2fx   (%.0f ns over %.0f ns)\n", name, a / b, a, b);
}

int main(void)
{
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	size_t before, after;

	fd = open("/dev/iommu", O_RDWR);
	must(fd >= 0 && !ioctl(fd, IOMMU_IOAS_ALLOC, &ioas), "/dev/iommu");
	map.ioas_id = ioas.out_ioas_id;
	map.user_va = (uintptr_t)page;
	map.iova = 0x100000;
	printf("calls through the shim, over getpid (each masks signals with two system calls of its own; no aim)\n");
	bench_op("IOAS_IOVA_RANGES of an empty IOAS", op_ranges);
	bench_op("IOAS_MAP + IOAS_UNMAP of 4 KiB, no domain", op_map_unmap);
	before = resident_bytes();
	for (unsigned i = 0; i < MANY; i++) {
		map.iova = 0x200000 + i * 8192ull;
		must(!ioctl(fd, IOMMU_IOAS_MAP, &map), "map");
	}
	after = resident_bytes();
	printf("  %-50s %6zu B\n", "bytes per mapping of an IOAS, 100 k live", (after - before) / MANY);
	return 0;
}
