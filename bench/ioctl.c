/* SPDX-License-Identifier: MIT */
/* IOAS_MAP + IOAS_UNMAP of one page over getpid, and bytes per mapping, seen by a program: run under `uiommu run`. */
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

int main(void)
{
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_ioas_map map = { .size = sizeof(map),
				      .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
				      .length = 4096 };
	struct iommu_ioas_unmap unmap = { .size = sizeof(unmap), .length = 4096 };
	double pair[ROUNDS], pid[ROUNDS];
	int fd = open("/dev/iommu", O_RDWR);
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	size_t before, after;

	must(fd >= 0 && !ioctl(fd, IOMMU_IOAS_ALLOC, &ioas), "/dev/iommu");
	map.ioas_id = unmap.ioas_id = ioas.out_ioas_id;
	map.user_va = (uintptr_t)page;
	map.iova = unmap.iova = 0x100000;
	for (int r = 0; r < ROUNDS; r++) {
		double t0 = now_ns(), t1, t2;

		for (int i = 0; i < OPS; i++) {
			must(!ioctl(fd, IOMMU_IOAS_MAP, &map), "map");
			must(!ioctl(fd, IOMMU_IOAS_UNMAP, &unmap), "unmap");
			unmap.length = 4096;
		}
		t1 = now_ns();
		for (int i = 0; i < OPS; i++)
			syscall(SYS_getpid);
		t2 = now_ns();
		pair[r] = (t1 - t0) / OPS;
		pid[r] = (t2 - t1) / OPS;
	}
	qsort(pair, ROUNDS, sizeof(*pair), by_value);
	qsort(pid, ROUNDS, sizeof(*pid), by_value);
	printf("  %-44s %6.2fx   (%.0f ns over %.0f ns)\n", "IOAS_MAP + IOAS_UNMAP through the shim, getpid",
	       pair[ROUNDS / 2] / pid[ROUNDS / 2], pair[ROUNDS / 2], pid[ROUNDS / 2]);
	before = resident_bytes();
	for (unsigned i = 0; i < MANY; i++) {
		map.iova = 0x200000 + i * 8192ull;
		must(!ioctl(fd, IOMMU_IOAS_MAP, &map), "map");
	}
	after = resident_bytes();
	printf("  %-44s %6zu B\n", "bytes per mapping of an IOAS, 100 k live", (after - before) / MANY);
	return 0;
}
