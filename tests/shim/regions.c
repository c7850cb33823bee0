/* SPDX-License-Identifier: MIT */
/* mmap() of an iommufd: memory that a vIOMMU shares. (iommufd-semantics 1.13, 1.15; run with --iommu mock.) */
#include "mock.h"

#include <sys/wait.h>

enum { LENGTH = 2 * PAGE, SECRET = 0x12345678 };

static long map_at(int fd, void *addr, uint64_t length, int prot, int flags, uint64_t offset)
{
	void *at = mmap(addr, length, prot, flags, fd, (off_t)offset);

	return at == MAP_FAILED ? -errno : (long)at;
}

static void open_shared(struct nest *n, struct mock_viommu *data)
{
	nest_open(n);
	*data = (struct mock_viommu){ .in = SECRET };
	nest_viommu(n, data);
	EXPECT(data->out, SECRET);
	EXPECT(data->length, LENGTH);
	MUST(data->offset >= PAGE);
}

static char *shared(const struct nest *n, const struct mock_viommu *data)
{
	long at = map_at(n->fd, NULL, data->length, PROT_READ | PROT_WRITE, MAP_SHARED, data->offset);

	MUST(at > 0);
	EXPECT(*(uint32_t *)ptr((uint64_t)at), SECRET);
	return ptr((uint64_t)at);
}

static void only_what_is_shared(void)
{
	struct mock_viommu data;
	struct nest n;
	char *at;

	open_shared(&n, &data);
	EXPECT(map_at(n.fd, NULL, LENGTH, PROT_READ, MAP_PRIVATE, data.offset), -EINVAL);
	EXPECT(map_at(n.fd, NULL, LENGTH, PROT_READ | PROT_EXEC, MAP_SHARED, data.offset), -EPERM);
	EXPECT(map_at(n.fd, NULL, LENGTH, PROT_READ, MAP_SHARED, 0), -ENXIO);
	EXPECT(map_at(n.fd, NULL, LENGTH, PROT_READ, MAP_SHARED, data.offset + PAGE), -ENXIO);
	EXPECT(map_at(n.fd, NULL, PAGE, PROT_READ, MAP_SHARED, data.offset), -ENXIO);
	EXPECT(map_at(n.fd, NULL, LENGTH + 1, PROT_READ, MAP_SHARED, data.offset), -ENXIO);
	EXPECT(map_at(n.fd, NULL, 0, PROT_READ, MAP_SHARED, data.offset), -EINVAL);
	EXPECT(map_at(n.fd, NULL, LENGTH, PROT_READ, MAP_SHARED, data.offset + 1), -EINVAL);
	EXPECT(map_at(n.fd, NULL, ~(uint64_t)0, PROT_READ, MAP_SHARED, data.offset) < 0, 1);
	EXPECT(destroy(n.fd, n.viommu), 0);
	EXPECT(map_at(n.fd, NULL, LENGTH, PROT_READ, MAP_SHARED, data.offset), -ENXIO);
	MUST(!close(n.fd));

	/* The length counts in pages; and what is mapped is one memory. */
	open_shared(&n, &data);
	at = shared(&n, &data);
	at[LENGTH - 1] = 7;
	EXPECT(((char *)shared(&n, &data))[LENGTH - 1], 7);
	EXPECT(map_at(n.fd, NULL, LENGTH - 1, PROT_READ, MAP_SHARED, data.offset) > 0, 1);
	MUST(!close(n.fd));
}

/* Busy until the last page of every mapping is gone, by whatever way. */
static void busy_while_mapped(void)
{
	struct mock_viommu data;
	struct nest n;
	char *first, *second, *place = pages(4, PROT_READ | PROT_WRITE);

	open_shared(&n, &data);
	first = shared(&n, &data);
	second = shared(&n, &data);
	EXPECT(destroy(n.fd, n.viommu), -EBUSY);
	EXPECT(sys(munmap(first + PAGE, PAGE)), 0);
	EXPECT(sys(munmap(second, LENGTH)), 0);
	EXPECT(destroy(n.fd, n.viommu), -EBUSY);
	EXPECT(*(uint32_t *)(void *)first, SECRET);
	/* It moves away and is still it. */
	MUST(mremap(first, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place + PAGE) == place + PAGE);
	EXPECT(sys(munmap(first, PAGE)), 0);
	EXPECT(destroy(n.fd, n.viommu), -EBUSY);
	EXPECT(*(uint32_t *)(void *)(place + PAGE), SECRET);
	/* Something else over the last page. */
	MUST(mmap(place, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == place);
	EXPECT(destroy(n.fd, n.viommu), 0);

	/* mremap() over it, and shrinking. */
	nest_viommu(&n, &data);
	first = shared(&n, &data);
	MUST(mremap(first, LENGTH, PAGE, 0) == first);
	EXPECT(destroy(n.fd, n.viommu), -EBUSY);
	MUST(mremap(place, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, first) == first);
	EXPECT(destroy(n.fd, n.viommu), 0);
	MUST(!munmap(first, PAGE) && !close(n.fd));
}

/* As the kernel lets no mapping of a device's memory grow or leave a copy behind. */
static void it_does_not_grow(void)
{
	struct mock_viommu data;
	struct nest n;
	char *at;

	open_shared(&n, &data);
	at = shared(&n, &data);
	EXPECT(mremap(at, LENGTH, 2 * LENGTH, MREMAP_MAYMOVE) == MAP_FAILED ? -errno : 0, -EFAULT);
	EXPECT(mremap(at, 0, LENGTH, MREMAP_MAYMOVE) == MAP_FAILED ? -errno : 0, -EFAULT);
	EXPECT(mremap(at, LENGTH, LENGTH, MREMAP_MAYMOVE | 4 /* MREMAP_DONTUNMAP */) == MAP_FAILED ? -errno : 0, -EINVAL);
	EXPECT(*(uint32_t *)(void *)at, SECRET);
	EXPECT(sys(munmap(at, LENGTH)), 0);
	EXPECT(destroy(n.fd, n.viommu), 0);
	MUST(!close(n.fd));
}

/* A mapping that could not be made keeps nothing busy. */
static void failures_leave_nothing(void)
{
	struct mock_viommu data;
	struct nest n;

	open_shared(&n, &data);
	EXPECT(map_at(n.fd, ptr(0x1001), LENGTH, PROT_READ, MAP_SHARED | MAP_FIXED, data.offset), -EINVAL);
	EXPECT(map_at(n.fd, &n, LENGTH, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE, data.offset) < 0, 1);
	EXPECT(destroy(n.fd, n.viommu), 0);
	MUST(!close(n.fd));
}

/* A mapping holds the context as it holds a file. Its pages are no memory for DMA. */
static void outlives_the_descriptor(void)
{
	struct mock_viommu data;
	struct nest n;
	char *at;

	open_shared(&n, &data);
	at = shared(&n, &data);
	EXPECT(map(n.fd, n.ioas, at, LENGTH, 0x2000000), -EFAULT);
	MUST(!close(n.fd));
	EXPECT(*(uint32_t *)(void *)at, SECRET);
	at[PAGE] = 1;
	EXPECT(sys(munmap(at, LENGTH)), 0);
}

/* A child's copy of the mapping is its own affair. */
static void forks(void)
{
	struct mock_viommu data;
	struct nest n;
	int status;
	pid_t child;
	char *at;

	open_shared(&n, &data);
	at = shared(&n, &data);
	child = fork();
	MUST(child >= 0);
	if (!child) {
		EXPECT(*(uint32_t *)(void *)at, SECRET);
		at[PAGE] = 5;
		EXPECT(sys(munmap(at, LENGTH)), 0);
		_exit(hostile_failures != 0);
	}
	MUST(waitpid(child, &status, 0) == child);
	EXPECT(status, 0);
	EXPECT(at[PAGE], 5);
	EXPECT(destroy(n.fd, n.viommu), -EBUSY);
	EXPECT(sys(munmap(at, LENGTH)), 0);
	EXPECT(destroy(n.fd, n.viommu), 0);
	MUST(!close(n.fd));
}

int main(void)
{
	only_what_is_shared();
	busy_while_mapped();
	it_does_not_grow();
	failures_leave_nothing();
	outlives_the_descriptor();
	forks();
	return hostile_end();
}
