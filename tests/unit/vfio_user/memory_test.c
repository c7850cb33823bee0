/* SPDX-License-Identifier: MIT */
/* DMA_MAP and DMA_UNMAP by descriptor: what of a client's memory the device reaches, from when on and until when. */
#include "common.h"

#include <pthread.h>
#include <stdatomic.h>

enum { READ = VU_DMA_MAP_READ, BOTH = VU_DMA_MAP_READ | VU_DMA_MAP_WRITE };

static void dma_reaches_what_was_passed(void **state)
{
	struct side *s = *state;
	u8 *seen, buf[64];
	int fd = memory_new(8 * PAGE, &seen);

	/* Two ranges, the other way round than in the file. */
	assert_int_equal(map_region(s, 0x100000, 2 * PAGE, BOTH, fd, 4 * PAGE), 0);
	assert_int_equal(map_region(s, 0x100000 + 2 * PAGE, 2 * PAGE, BOTH, fd, 0), 0);
	memset(seen + 6 * PAGE - 32, 1, 32);
	memset(seen, 2, 32);
	assert_int_equal(dma_get(s, 0x100000 + 2 * PAGE - 32, buf, 64), UI_DMA_OK);
	assert_memory_equal(buf, seen + 6 * PAGE - 32, 32);
	assert_memory_equal(buf + 32, seen, 32);
	memset(buf, 3, 64);
	assert_int_equal(dma_put(s, 0x100000, buf, 64), UI_DMA_OK);
	assert_memory_equal(buf, seen + 4 * PAGE, 64);
	/* And not beside it, though the file goes on. */
	assert_int_equal(dma_get(s, 0x100000 - 1, buf, 1), UI_DMA_ABORT);
	assert_int_equal(dma_get(s, 0x100000 + 4 * PAGE, buf, 1), UI_DMA_ABORT);
	munmap(seen, 8 * PAGE);
	close(fd);
}

static void read_only_memory_is_not_written(void **state)
{
	struct side *s = *state;
	u8 *seen, byte = 7;
	int fd = memory_new(PAGE, &seen);

	assert_int_equal(map_region(s, 0, PAGE, READ, fd, 0), 0);
	assert_int_equal(dma_put(s, 0, &byte, 1), UI_DMA_ABORT);
	assert_int_equal(seen[0], 0);
	assert_int_equal(dma_get(s, 0, &byte, 1), UI_DMA_OK);
	munmap(seen, PAGE);
	close(fd);
}

static void what_cannot_be_mapped_is_refused(void **state)
{
	const u64 top = (u64)1 << UI_VU_DMA_BITS;
	struct side *s = *state;
	u8 *seen, byte;
	int fd = memory_new(4 * PAGE, &seen), zero = open("/dev/zero", O_RDWR | O_CLOEXEC), event = eventfd(0, EFD_CLOEXEC), two[2] = { fd, fd };
	char path[64];
	struct vu_dma_map map = { .argsz = sizeof(map), .flags = BOTH, .n_bytes = PAGE };
	unsigned before = open_fds();
	int read_only;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	read_only = open(path, O_RDONLY | O_CLOEXEC);
	/* More than the file has. */
	assert_int_equal(map_region(s, 0, 5 * PAGE, BOTH, fd, 0), EINVAL);
	assert_int_equal(map_region(s, 0, PAGE, BOTH, fd, 4 * PAGE), EINVAL);
	assert_int_equal(map_region(s, 0, 4 * PAGE, BOTH, fd, ~(u64)PAGE + 1), EINVAL);
	assert_int_equal(map_region(s, 0, PAGE, BOTH, fd, (u64)1 << 63), EINVAL);
	/* No file with contents of its own. */
	assert_int_equal(map_region(s, 0, PAGE, BOTH, zero, 0), EINVAL);
	assert_int_equal(map_region(s, 0, PAGE, BOTH, event, 0), EINVAL);
	assert_int_equal(map_region(s, 0, PAGE, BOTH, s->client, 0), EINVAL);
	/* More rights than it gives. */
	assert_int_equal(map_region(s, 0, PAGE, BOTH, read_only, 0), EACCES);
	assert_int_equal(map_region(s, 0, PAGE, VU_DMA_MAP_WRITE, fd, 0), EINVAL);
	assert_int_equal(map_region(s, 0, PAGE, 0, fd, 0), EINVAL);
	assert_int_equal(map_region(s, 0, PAGE, 7, fd, 0), EINVAL);
	/* Ranges that are none, and those of the iommus' tables. */
	assert_int_equal(map_region(s, 0, 0, BOTH, fd, 0), EINVAL);
	assert_int_equal(map_region(s, 1, PAGE, BOTH, fd, 0), EINVAL);
	assert_int_equal(map_region(s, 0, PAGE + 1, BOTH, fd, 0), EINVAL);
	assert_int_equal(map_region(s, 0, PAGE, BOTH, fd, 8), EINVAL);
	assert_int_equal(map_region(s, top, PAGE, BOTH, fd, 0), EINVAL);
	assert_int_equal(map_region(s, top - PAGE, 2 * PAGE, BOTH, fd, 0), EINVAL);
	assert_int_equal(map_region(s, ~(u64)PAGE + 1, 2 * PAGE, BOTH, fd, 0), EINVAL);
	assert_int_equal(ask_fds(s, VU_DMA_MAP, &map, sizeof(map), two, 2), EINVAL);
	map.argsz--;
	assert_int_equal(ask_fds(s, VU_DMA_MAP, &map, sizeof(map), two, 1), EINVAL);
	/* What is there already. */
	assert_int_equal(map_region(s, 0x10000, 2 * PAGE, BOTH, fd, 0), 0);
	assert_int_equal(map_region(s, 0x10000 + PAGE, 2 * PAGE, BOTH, fd, 0), EEXIST);
	assert_int_equal(map_region(s, 0x10000 + PAGE, PAGE, BOTH, -1, 0), EEXIST);
	assert_int_equal(ui_vu_n_regions(s->vu), 1);
	assert_int_equal(dma_get(s, 0, &byte, 1), UI_DMA_ABORT);
	assert_int_equal(dma_get(s, 0x10000, &byte, 1), UI_DMA_OK);
	close(read_only);
	assert_int_equal(open_fds(), before);
	munmap(seen, 4 * PAGE);
	close(fd);
	close(zero);
	close(event);
}

/* The issue: a client can never make the server touch memory it did not pass; nor end it by taking back what it passed. */
static void a_file_cut_short_ends_nobody(void **state)
{
	struct side *s = *state;
	u8 *seen, buf[2 * PAGE] = { 0 };
	int fd = memory_new(2 * PAGE, &seen);

	signals_own();
	assert_int_equal(map_region(s, 0, 2 * PAGE, BOTH, fd, 0), 0);
	assert_int_equal(dma_get(s, 0, buf, sizeof(buf)), UI_DMA_OK);
	assert_int_equal(ftruncate(fd, PAGE), 0);
	assert_int_equal(dma_get(s, 0, buf, sizeof(buf)), UI_DMA_ABORT);
	assert_int_equal(dma_put(s, PAGE, buf, 8), UI_DMA_ABORT);
	assert_int_equal(dma_get(s, 0, buf, PAGE), UI_DMA_OK);
	assert_int_equal(ftruncate(fd, 2 * PAGE), 0);
	assert_int_equal(dma_put(s, PAGE, buf, 8), UI_DMA_OK);
	munmap(seen, 2 * PAGE);
	close(fd);
}

static u64 unmapped(struct side *s)
{
	struct vu_dma_unmap unmap;

	assert_int_equal(s->n_bytes, sizeof(unmap));
	memcpy(&unmap, s->payload, sizeof(unmap));
	return unmap.n_bytes;
}

static void unmap_takes_whole_regions(void **state)
{
	struct side *s = *state;
	u8 *seen, byte;
	int fd = memory_new(4 * PAGE, &seen);

	for (u64 i = 0; i < 4; i++)
		assert_int_equal(map_region(s, 4 * PAGE * i, 4 * PAGE, BOTH, fd, 0), 0);
	assert_int_equal(unmap_region(s, PAGE, PAGE, 0), EINVAL);
	assert_int_equal(unmap_region(s, 0, 5 * PAGE, 0), EINVAL);
	assert_int_equal(unmap_region(s, 0, 0, 0), EINVAL);
	assert_int_equal(unmap_region(s, 0, PAGE + 1, 0), EINVAL);
	assert_int_equal(unmap_region(s, ~(u64)PAGE + 1, 2 * PAGE, 0), EINVAL);
	assert_int_equal(unmap_region(s, 0, 4 * PAGE, VU_DMA_UNMAP_DIRTY), EINVAL);
	assert_int_equal(ui_vu_n_regions(s->vu), 4);
	assert_int_equal(dma_get(s, PAGE, &byte, 1), UI_DMA_OK);
	assert_int_equal(unmap_region(s, 4 * PAGE, 8 * PAGE, 0), 0);
	assert_int_equal(unmapped(s), 8 * PAGE);
	assert_int_equal(dma_get(s, 4 * PAGE, &byte, 1), UI_DMA_ABORT);
	assert_int_equal(dma_get(s, 11 * PAGE, &byte, 1), UI_DMA_ABORT);
	assert_int_equal(dma_get(s, 12 * PAGE, &byte, 1), UI_DMA_OK);
	/* Nothing there is nothing wrong, as in VFIO. */
	assert_int_equal(unmap_region(s, 4 * PAGE, 8 * PAGE, 0), 0);
	assert_int_equal(unmapped(s), 0);
	assert_int_equal(unmap_region(s, PAGE, 0, VU_DMA_UNMAP_ALL), EINVAL);
	assert_int_equal(unmap_region(s, 0, 0, VU_DMA_UNMAP_ALL), 0);
	assert_int_equal(unmapped(s), 8 * PAGE);
	assert_int_equal(ui_vu_n_regions(s->vu), 0);
	munmap(seen, 4 * PAGE);
	close(fd);
}

static void *run(void *arg)
{
	struct side *s = arg;

	return ui_vu_run(s->vu) ? s : NULL;
}

/* A reader stopped between look-up and copy: until it is done DMA_UNMAP is not answered. */
static void unmap_is_answered_when_nothing_reaches_it(void **state)
{
	struct side *s = *state;
	struct vu_dma_unmap unmap = { .argsz = sizeof(unmap), .n_bytes = PAGE };
	struct ui_mem_span span;
	pthread_t loop;
	void *failed;
	u8 *seen, byte;
	int fd = memory_new(PAGE, &seen);

	assert_int_equal(map_region(s, 0, PAGE, BOTH, fd, 0), 0);
	assert_int_equal(ui_dma_begin(device(s)->port, &(struct ui_dma_addr){ .iova = 0 }, UI_PROT_READ, 8, &span, NULL), UI_DMA_OK);
	send_message(s, VU_DMA_UNMAP, VU_REQUEST, &unmap, sizeof(unmap), NULL, 0);
	assert_int_equal(pthread_create(&loop, NULL, run, s), 0);
	for (unsigned i = 0; i < 2000; i++) {
		assert_false(receive(s));
		ui_sys_yield();
	}
	/* It is there still. */
	assert_int_equal(ui_safe_copy(&byte, span.host, 1), 0);
	ui_dma_end(device(s)->port);
	pthread_join(loop, &failed);
	assert_null(failed);
	assert_true(receive(s));
	assert_int_equal(s->head.error, 0);
	assert_int_equal(dma_get(s, 0, &byte, 1), UI_DMA_ABORT);
	munmap(seen, PAGE);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		connected(dma_reaches_what_was_passed),
		connected(read_only_memory_is_not_written),
		connected(what_cannot_be_mapped_is_refused),
		connected(a_file_cut_short_ends_nobody),
		connected(unmap_takes_whole_regions),
		connected(unmap_is_answered_when_nothing_reaches_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
