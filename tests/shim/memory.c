/* SPDX-License-Identifier: MIT */
/*
 * Memory that goes away under a live mapping (design.md promise 9): munmap, mremap, MAP_FIXED, madvise, truncate, the end of
 * a thread crash nobody and corrupt nothing that is mapped later; the device goes on with the old pages, as if they were pinned.
 */
#include "dma.h"

#include <pthread.h>
#include <sys/shm.h>

enum { IOVA = 0x400000, BACK = 0x480000, N = 4 };

static struct dma dma;

static char *pages(size_t n, char byte)
{
	char *p = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	memset(p, byte, n * PAGE);
	return p;
}

static bool all(const char *p, char byte, size_t n_bytes)
{
	for (size_t i = 0; i < n_bytes; i++) {
		if (p[i] != byte)
			return false;
	}
	return true;
}

static void map(const char *p, size_t n)
{
	CHECK(!ioas_map(dma.iommu, dma.ioas, p, n * PAGE, IOVA));
}

static void unmap(size_t n)
{
	CHECK(!ioas_unmap(dma.iommu, dma.ioas, IOVA, n * PAGE));
}

/* What the device reads at IOVA + page @page. */
static char device_sees(size_t page)
{
	static char *here;

	if (!here)
		here = pages(1, 0);
	CHECK(!ioas_map(dma.iommu, dma.ioas, here, PAGE, BACK));
	CHECK(dma_copy(&dma, IOVA + page * PAGE, BACK, PAGE) == DONE);
	CHECK(!ioas_unmap(dma.iommu, dma.ioas, BACK, PAGE) && all(here, here[0], PAGE));
	return here[0];
}

/* The device still has pages of @old in [0, n), can write them, and does not reach @now. */
static void device_keeps(size_t n, char old, const char *now, char now_byte)
{
	for (size_t i = 0; i < n; i++)
		CHECK(device_sees(i) == old);
	CHECK(dma_fill(&dma, IOVA, 0x7777777777777777, (uint32_t)(n * PAGE)) == DONE);
	for (size_t i = 0; i < n; i++)
		CHECK(device_sees(i) == 0x77);
	if (now)
		CHECK(all(now, now_byte, n * PAGE));
}

static void munmap_under_a_mapping(void)
{
	char *p = pages(N, 1), *q;

	map(p, N);
	CHECK(!munmap(p, N * PAGE));
	q = mmap(p, N * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(q == p);
	memset(q, 2, N * PAGE);
	device_keeps(N, 1, q, 2);
	unmap(N);
	CHECK(all(q, 2, N * PAGE) && !munmap(q, N * PAGE));
}

static void munmap_of_a_part(void)
{
	char *p = pages(N, 1);

	map(p, N);
	CHECK(!munmap(p + PAGE, 2 * PAGE));
	CHECK(mmap(p + PAGE, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == p + PAGE);
	memset(p + PAGE, 2, 2 * PAGE);
	CHECK(dma_fill(&dma, IOVA, 0x0303030303030303, N * PAGE) == DONE);
	CHECK(all(p, 3, PAGE) && all(p + PAGE, 2, 2 * PAGE) && all(p + 3 * PAGE, 3, PAGE));
	CHECK(device_sees(1) == 3 && device_sees(2) == 3);
	/* And what is left. */
	CHECK(!munmap(p, N * PAGE));
	device_keeps(N, 3, NULL, 0);
	unmap(N);
}

static void map_fixed_over_a_mapping(void)
{
	char *p = pages(N, 1);

	map(p, N);
	CHECK(mmap(p, N * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p);
	CHECK(all(p, 0, N * PAGE));
	device_keeps(N, 1, p, 0);
	unmap(N);
	CHECK(!munmap(p, N * PAGE));
}

static void a_failed_map_fixed_changes_nothing(void)
{
	char *p = pages(N, 1);

	map(p, N);
	CHECK(mmap(p, N * PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, 999, 0) == MAP_FAILED && errno == EBADF);
	CHECK(all(p, 1, N * PAGE));
	CHECK(dma_fill(&dma, IOVA, 0x0404040404040404, N * PAGE) == DONE && all(p, 4, N * PAGE));
	unmap(N);
	CHECK(!munmap(p, N * PAGE));
}

static void madvise_drops_only_the_program_s_view(void)
{
	char *p = pages(N, 1);

	map(p, N);
	CHECK(!madvise(p, N * PAGE, MADV_DONTNEED) && all(p, 0, N * PAGE));
	device_keeps(N, 1, p, 0);
	unmap(N);
	/* Free pages in use stay as they are. */
	memset(p, 5, N * PAGE);
	map(p, N);
	CHECK(!madvise(p, N * PAGE, MADV_FREE) && all(p, 5, N * PAGE));
	CHECK(dma_fill(&dma, IOVA, 0x0606060606060606, N * PAGE) == DONE && all(p, 6, N * PAGE));
	unmap(N);
	CHECK(!munmap(p, N * PAGE));
	CHECK(madvise(p, N * PAGE, MADV_DONTNEED) == -1 && errno == ENOMEM);
}

static void a_failed_madvise_changes_nothing(void)
{
	char *p = pages(N, 1);

	if (mlock(p, N * PAGE))
		return;
	map(p, N);
	CHECK(madvise(p, N * PAGE, MADV_DONTNEED) == -1 && errno == EINVAL && all(p, 1, N * PAGE));
	CHECK(dma_fill(&dma, IOVA, 0x0404040404040404, N * PAGE) == DONE && all(p, 4, N * PAGE));
	unmap(N);
	CHECK(!munmap(p, N * PAGE));
}

static void mremap_takes_the_mapping_along(void)
{
	char *p = pages(N, 1), *to = pages(2 * N, 9), *q, *r;

	map(p, N);
	q = mremap(p, N * PAGE, N * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	CHECK(q == to && all(q, 1, N * PAGE) && all(q + N * PAGE, 9, N * PAGE));
	CHECK(mmap(p, N * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p);
	CHECK(dma_fill(&dma, IOVA, 0x0404040404040404, N * PAGE) == DONE && all(q, 4, N * PAGE) && all(p, 0, N * PAGE));
	/* Once more, growing, to wherever there is room. */
	CHECK(!munmap(p, N * PAGE));
	r = mremap(q, N * PAGE, 64 * N * PAGE, MREMAP_MAYMOVE);
	CHECK(r != MAP_FAILED && all(r, 4, N * PAGE));
	CHECK(dma_fill(&dma, IOVA, 0x0505050505050505, N * PAGE) == DONE && all(r, 5, N * PAGE));
	/* Shrinking leaves the tail to the device. */
	CHECK(mremap(r, 64 * N * PAGE, PAGE, 0) == r);
	CHECK(dma_fill(&dma, IOVA, 0x0606060606060606, N * PAGE) == DONE && all(r, 6, PAGE) && device_sees(N - 1) == 6);
	/* And away with it after all. */
	CHECK(!munmap(r, PAGE));
	device_keeps(N, 6, NULL, 0);
	unmap(N);
}

static void several_mappings_and_contexts_share_pages(void)
{
	char *p = pages(N, 1);
	int other = open("/dev/iommu", O_RDWR), ioas = ioas_alloc(other);

	CHECK(ioas > 0 && !ioas_map(other, (uint32_t)ioas, p, N * PAGE, 0));
	map(p, N);
	CHECK(!ioas_map(dma.iommu, dma.ioas, p + PAGE, PAGE, 0x800000));
	CHECK(!munmap(p, N * PAGE));
	CHECK(dma_fill(&dma, 0x800000, 0x0303030303030303, PAGE) == DONE && device_sees(1) == 3 && device_sees(0) == 1);
	unmap(N);
	CHECK(dma_fill(&dma, 0x800000, 0x0404040404040404, PAGE) == DONE);
	CHECK(!ioas_unmap(dma.iommu, dma.ioas, 0x800000, PAGE) && !close(other));
}

static void truncate_under_a_mapping(void)
{
	int fd = memfd_create("file", 0);
	char *p;

	CHECK(fd >= 0 && !ftruncate(fd, N * PAGE));
	p = mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	memset(p, 1, N * PAGE);
	map(p, N);
	CHECK(!ftruncate(fd, 0));
	/* Whatever the device is told, nobody crashes, and what grows again is reached. */
	dma_fill(&dma, IOVA, 2, N * PAGE);
	CHECK(!ftruncate(fd, N * PAGE));
	CHECK(dma_fill(&dma, IOVA, 0x0303030303030303, N * PAGE) == DONE && all(p, 3, N * PAGE));
	CHECK(!munmap(p, N * PAGE) && !close(fd));
	CHECK(dma_fill(&dma, IOVA, 0x0404040404040404, N * PAGE) == DONE && device_sees(0) == 4);
	unmap(N);
}

static void segments_can_be_detached(void)
{
	int id = shmget(IPC_PRIVATE, N * PAGE, 0600);
	char *p;

	if (id < 0)
		return;
	p = shmat(id, NULL, 0);
	CHECK(p != (void *)-1);
	memset(p, 1, N * PAGE);
	map(p, N);
	CHECK(!shmdt(p));
	CHECK(mmap(p, N * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == p);
	device_keeps(N, 1, p, 0);
	unmap(N);
	CHECK(!munmap(p, N * PAGE) && !shmctl(id, IPC_RMID, NULL));
}

/* The second of two mappings is sealed: the kernel refuses, after the first has been moved aside. */
static void a_failed_munmap_of_several_mappings_changes_nothing(void)
{
	enum { MSEAL = 462 };
	char *p = mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	memset(p, 1, N * PAGE);
	map(p, N);
	if (!syscall(MSEAL, p + (N - 1) * PAGE, PAGE, 0)) {
		CHECK(munmap(p, N * PAGE) == -1 && errno == EPERM && all(p, 1, N * PAGE));
		CHECK(dma_fill(&dma, IOVA, 0x0505050505050505, N * PAGE) == DONE && all(p, 5, N * PAGE));
	}
	unmap(N);
	munmap(p, (N - 1) * PAGE);
}

static void *maps_its_stack(void *arg)
{
	char frame[N * PAGE], *p = (char *)(((uintptr_t)frame + PAGE - 1) & ~(uintptr_t)(PAGE - 1));

	memset(frame, 1, sizeof(frame));
	CHECK(!ioas_map(dma.iommu, dma.ioas, p, 2 * PAGE, IOVA));
	*(char **)arg = p;
	return NULL;
}

static void *fills_its_stack(void *arg)
{
	volatile char frame[6 * PAGE];

	memset((void *)(uintptr_t)frame, 2, sizeof(frame));
	CHECK(dma_fill(&dma, IOVA, 0x0505050505050505, 2 * PAGE) == DONE);
	CHECK(all((char *)(uintptr_t)frame, 2, sizeof(frame)));
	return NULL;
}

/* libc gives the stack to the next thread. */
static void a_thread_ends_under_a_mapping(void)
{
	pthread_t thread;
	char *p;

	CHECK(!pthread_create(&thread, NULL, maps_its_stack, &p) && !pthread_join(thread, NULL));
	CHECK(device_sees(0) == 1 && device_sees(1) == 1);
	CHECK(!pthread_create(&thread, NULL, fills_its_stack, NULL) && !pthread_join(thread, NULL));
	CHECK(device_sees(0) == 5);
	unmap(2);
}

static void bars_can_be_mapped_but_not_for_dma(void)
{
	volatile uint64_t *bar = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, dma.device, (off_t)dma.bar2);
	uint64_t val = 0;
	char *p;

	CHECK(bar != MAP_FAILED);
	CHECK(pread(dma.device, &val, 8, (off_t)dma.bar2) == 8 && bar[0] == val);
	CHECK(ioas_map(dma.iommu, dma.ioas, (void *)(uintptr_t)bar, PAGE, IOVA) == -EFAULT);
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, dma.device, (off_t)dma.bar0) == MAP_FAILED);
	/* What comes to lie there later is ordinary memory. */
	CHECK(!munmap((void *)(uintptr_t)bar, 8 * PAGE));
	p = mmap((void *)(uintptr_t)bar, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	CHECK(p == (char *)(uintptr_t)bar);
	map(p, N);
	unmap(N);
	CHECK(!munmap(p, 8 * PAGE));
}

static void the_descriptor_may_go_before_the_device(void)
{
	char *p = pages(N, 1);

	map(p, N);
	CHECK(!ioas_map(dma.iommu, dma.ioas, p + PAGE, PAGE, BACK));
	CHECK(!close(dma.iommu));
	CHECK(!munmap(p, N * PAGE) && mmap(p, N * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == p);
	CHECK(dma_copy(&dma, BACK, IOVA, PAGE) == DONE && dma_fill(&dma, IOVA, 9, N * PAGE) == DONE && all(p, 0, N * PAGE));
	CHECK(!close(dma.device));
	dma_open(&dma);
}

int main(void)
{
	dma_open(&dma);
	munmap_under_a_mapping();
	munmap_of_a_part();
	map_fixed_over_a_mapping();
	a_failed_map_fixed_changes_nothing();
	madvise_drops_only_the_program_s_view();
	a_failed_madvise_changes_nothing();
	mremap_takes_the_mapping_along();
	several_mappings_and_contexts_share_pages();
	truncate_under_a_mapping();
	segments_can_be_detached();
	a_failed_munmap_of_several_mappings_changes_nothing();
	a_thread_ends_under_a_mapping();
	bars_can_be_mapped_but_not_for_dma();
	the_descriptor_may_go_before_the_device();
	return 0;
}
