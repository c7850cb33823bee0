/* SPDX-License-Identifier: MIT */
/*
 * A context whose own descriptor is closed lives on as long as a queue or an access of it is open, and its mappings hold what
 * they held: memory that the program takes away meanwhile goes with them, and nobody else's is touched at their end. (House
 * plan, promise 9; iommufd-semantics 1.14; run with --iommu mock.)
 */
#include "mock.h"

enum { IOVA = 0x1000000, PINS = 1 };

#define MOCK_ACCESS_PAGES 7

static char *fresh(void *at, char fill)
{
	char *mem = mmap(at, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | (at ? MAP_FIXED : 0), -1, 0);

	MUST(mem != MAP_FAILED);
	memset(mem, fill, PAGE);
	return mem;
}

/* An access of a new IOAS, where @mem is at IOVA; with a domain if @domain. */
static int access_new(int fd, char *mem, bool domain, uint32_t flags)
{
	struct mock_cmd device = { 0 }, cmd = { .w = { 0, flags } };
	uint32_t ioas = new_ioas(fd);

	if (domain)
		MUST(!mock(fd, &device, MOCK_DOMAIN, ioas));
	MUST(!map(fd, ioas, mem, PAGE, IOVA));
	MUST(!mock(fd, &cmd, MOCK_CREATE_ACCESS, ioas));
	return (int)cmd.w[0];
}

/* What the access reads at IOVA. */
static long read_byte(int fd, int access)
{
	char byte = 0;
	struct mock_cmd cmd = { 0 };
	long ret;

	cmd.d[0] = IOVA;
	cmd.d[1] = 1;
	cmd.d[2] = (uintptr_t)&byte;
	ret = mock(fd, &cmd, MOCK_ACCESS_RW, (uint32_t)access);
	return ret ? ret : byte;
}

/* The end of a context that only a queue kept gives up its own pages, not those that are there by now. */
static void kept_by_queue(void)
{
	int first = open("/dev/iommu", O_RDWR | O_CLOEXEC), second = open("/dev/iommu", O_RDWR | O_CLOEXEC), queue, access;
	char *mem = fresh(NULL, 'a');
	uint32_t id;

	MUST(first >= 0 && second >= 0);
	MUST(!close(access_new(first, mem, true, 0)));
	queue = fault_queue(first, &id);
	MUST(queue >= 0 && !close(first));
	MUST(!munmap(mem, PAGE));
	fresh(mem, 'b');
	access = access_new(second, mem, true, 0);
	MUST(!close(queue));
	MUST(!munmap(mem, PAGE));
	fresh(mem, 'c');
	EXPECT(read_byte(second, access), 'b');
	MUST(!close(access) && !close(second) && !munmap(mem, PAGE));
}

/* What an access has pinned it reads, whatever the program put in its place. */
static void kept_by_access(void)
{
	int first = open("/dev/iommu", O_RDWR | O_CLOEXEC), second = open("/dev/iommu", O_RDWR | O_CLOEXEC), access;
	struct mock_cmd cmd = { 0 };
	char *mem = fresh(NULL, 'a');

	MUST(first >= 0 && second >= 0);
	access = access_new(first, mem, false, PINS);
	cmd.d[1] = IOVA;
	cmd.d[2] = PAGE;
	cmd.d[3] = (uintptr_t)mem;
	MUST(!mock(first, &cmd, MOCK_ACCESS_PAGES, (uint32_t)access));
	MUST(!close(first));
	MUST(!munmap(mem, PAGE));
	fresh(mem, 'b');
	EXPECT(read_byte(second, access), 'a');
	MUST(!close(access) && !close(second) && !munmap(mem, PAGE));
}

int main(void)
{
	kept_by_queue();
	kept_by_access();
	return hostile_end();
}
