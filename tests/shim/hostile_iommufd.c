/* SPDX-License-Identifier: MIT */
/*
 * Every call of /dev/iommu with every field wrong in turn, and every pointer. After each the context is looked at: the
 * answer is the documented one, and nothing was done. (Step 1, "Bad input"; iommufd-semantics.md sections 1 to 5, 9.)
 */
#include "hostile.h"

#include <stddef.h>
#include <sys/resource.h>

enum { AREA = 0x100000, AREA_BYTES = 4 * PAGE, READ_ONLY = 0x200000, BUF_BYTES = 128 };

#define NOIOMMU_GET_PA 0x3b95
#define NO_SUCH_VA 0x10000 /* below what the kernel lets anyone map */

static struct bench b;
static uint32_t hwpt, scratch, next_id;
static char *mem;
static int memfd;
static uint64_t readonly_va; /* a page that can be read only */

/* --- the state that no wrong call may change --- */

static uint64_t copied(uint64_t iova, uint64_t length)
{
	struct iommu_ioas_copy cmd = { .size = sizeof(cmd), .flags = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_FIXED_IOVA, .dst_ioas_id = scratch,
				       .src_ioas_id = b.ioas, .length = length, .dst_iova = 0x1000, .src_iova = iova };

	return ioctl(b.iommu, IOMMU_IOAS_COPY, &cmd) ? 0 : unmap_all(b.iommu, scratch);
}

static void check_state(int line, const char *what)
{
	uint32_t id = new_ioas(b.iommu);
	struct iommu_ioas_unmap above = { .size = sizeof(above), .ioas_id = b.ioas, .iova = READ_ONLY + PAGE, .length = 0x7000000000 };

	if (id != next_id)
		hostile_note(__FILE__, line, what, id, next_id);
	MUST(!destroy(b.iommu, id));
	if (unmap_all(b.iommu, scratch))
		hostile_note(__FILE__, line, what, -EEXIST, 0);
	if (copied(AREA, AREA_BYTES) != AREA_BYTES || copied(READ_ONLY, PAGE) != PAGE)
		hostile_note(__FILE__, line, what, -ENOENT, 0);
	if (!ioctl(b.iommu, IOMMU_IOAS_UNMAP, &above) || errno != ENOENT)
		hostile_note(__FILE__, line, what, (long)above.length, -ENOENT);
}

static void expect(int line, const char *what, long got, long want)
{
	if (got != want)
		hostile_note(__FILE__, line, what, got, want);
	check_state(line, what);
}

/* --- one field wrong --- */

struct wrong {
	int line;
	const char *name;
	size_t offset, n_bytes;
	uint64_t value;
	int want;
};

#define W(type, field, value, want) \
	{ __LINE__, #type "." #field, offsetof(struct type, field), sizeof(((struct type *)0)->field), (uint64_t)(value), want }

static void each_wrong(unsigned long request, const void *good, size_t n_bytes, const struct wrong *wrong, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char cmd[BUF_BYTES];
		char text[160];

		memcpy(cmd, good, n_bytes);
		memcpy(cmd + wrong[i].offset, &wrong[i].value, wrong[i].n_bytes);
		snprintf(text, sizeof(text), "%s = %#llx", wrong[i].name, (unsigned long long)wrong[i].value);
		expect(wrong[i].line, text, call(b.iommu, request, cmd), wrong[i].want);
	}
}

#define EACH(request, good, ...)                                                                     \
	do {                                                                                         \
		const struct wrong wrong_[] = { __VA_ARGS__ };                                       \
		each_wrong(request, &good, sizeof(good), wrong_, sizeof(wrong_) / sizeof(wrong_[0])); \
	} while (0)

/* --- the structure itself --- */

/*
 * @good leaves the state alone or is undone by @undo. @frozen: the answer when the structure can be read but not written; what
 * then cannot be told to the caller has not happened.
 */
static void sizes(int line, unsigned long request, const void *good, uint32_t size, uint32_t min, long want, long frozen, void (*undo)(void *cmd))
{
	char buf[BUF_BYTES * 2] = { 0 }, *end = cliff(PROT_READ | PROT_WRITE), *cmd = buf + 8;
	const uint32_t lengths[] = { 0, 1, 4, min - 1 };
	char what[64];

	snprintf(what, sizeof(what), "call %#lx: structure", request);
	expect(line, what, call(b.iommu, request, NULL), -EFAULT);
	expect(line, what, call(b.iommu, request, ptr(NO_SUCH_VA)), -EFAULT);
	expect(line, what, call(b.iommu, request, ptr(UINT64_MAX)), -EFAULT);
	expect(line, what, call(b.iommu, request, ptr(UINT64_MAX - 2)), -EFAULT);
	expect(line, what, call(b.iommu, request, ptr(0x8000000000000000)), -EFAULT); /* not canonical */
	expect(line, what, call(b.iommu, request, end - 3), -EFAULT);
	expect(line, what, call(b.iommu, request | 0x40000000, NULL), -EFAULT);
	memcpy(cmd, good, size);
	expect(line, what, call(b.iommu, request | 0x40000000, cmd), -ENOTTY);
	expect(line, what, call(b.iommu, request | (unsigned long)size << 16, cmd), -ENOTTY);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		memcpy(cmd, &lengths[i], 4);
		expect(line, what, call(b.iommu, request, cmd), -EINVAL);
	}
	/* Longer, with something or nothing in the tail; the answer of the second is that of the plain call. */
	for (uint32_t extra = 1; extra <= 8; extra += 7) {
		memcpy(cmd, good, size);
		memcpy(cmd, &(uint32_t){ size + extra }, 4);
		memset(cmd + size, 0, extra);
		cmd[size + extra - 1] = 1;
		expect(line, what, call(b.iommu, request, cmd), -E2BIG);
		cmd[size + extra - 1] = 0;
		EXPECT(call(b.iommu, request, cmd), want);
		if (!want && undo)
			undo(cmd);
		check_state(line, what);
		EXPECT(*(uint32_t *)(void *)cmd, size + extra);
	}
	/* As short as it was at first: what comes after it is not read and not written. */
	memset(cmd, 0xee, size);
	memcpy(cmd, good, min);
	memcpy(cmd, &min, 4);
	EXPECT(call(b.iommu, request, cmd), want);
	if (!want && undo)
		undo(cmd);
	for (uint32_t i = min; i < size; i++)
		EXPECT((unsigned char)cmd[i], 0xee);
	check_state(line, what);
	/* Across the cliff: the structure, its end, its tail; a size of 4 GiB. */
	memcpy(end - 4, good, 4);
	expect(line, what, call(b.iommu, request, end - 4), -EFAULT);
	memcpy(end - (size - 1), good, size - 1);
	expect(line, what, call(b.iommu, request, end - (size - 1)), -EFAULT);
	memcpy(end - size, good, size);
	memcpy(end - size, &(uint32_t){ size + 1 }, 4);
	expect(line, what, call(b.iommu, request, end - size), -EFAULT);
	memcpy(end - size, &(uint32_t){ UINT32_MAX }, 4);
	expect(line, what, call(b.iommu, request, end - size), -EFAULT);
	memcpy(end - size, good, size);
	EXPECT(call(b.iommu, request, end - size), want);
	if (!want && undo)
		undo(end - size);
	/* Read-only: what has an answer fails and is undone. */
	memcpy(end - size, good, size);
	MUST(!mprotect(end - PAGE, PAGE, PROT_READ));
	expect(line, what, call(b.iommu, request, end - size), frozen);
	munmap(end - PAGE, PAGE);
}

#define SIZES(request, good, min, want, frozen, undo) sizes(__LINE__, request, &good, sizeof(good), (uint32_t)(min), want, frozen, undo)
#define END_OF(type, field) (offsetof(struct type, field) + sizeof(((struct type *)0)->field))

/* --- call by call --- */

static void undo_ioas_alloc(void *cmd)
{
	EXPECT(destroy(b.iommu, ((struct iommu_ioas_alloc *)cmd)->out_ioas_id), 0);
}

static void undo_map(void *cmd)
{
	EXPECT(unmap_all(b.iommu, scratch), PAGE);
}

static void undo_hwpt(void *cmd)
{
	EXPECT(destroy(b.iommu, ((struct iommu_hwpt_alloc *)cmd)->out_hwpt_id), 0);
}

static void ids(void)
{
	struct iommu_destroy destroy_cmd = { .size = sizeof(destroy_cmd) };
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };

	EACH(IOMMU_DESTROY, destroy_cmd, W(iommu_destroy, id, 0, -ENOENT), W(iommu_destroy, id, next_id, -ENOENT),
	     W(iommu_destroy, id, 0x7fffffff, -ENOENT), W(iommu_destroy, id, 0x80000000, -ENOENT), W(iommu_destroy, id, UINT32_MAX, -ENOENT),
	     W(iommu_destroy, id, b.dev_id, -EBUSY), W(iommu_destroy, id, b.ioas, -EBUSY));
	SIZES(IOMMU_DESTROY, destroy_cmd, 8, -ENOENT, -ENOENT, NULL);
	EACH(IOMMU_IOAS_ALLOC, alloc, W(iommu_ioas_alloc, flags, 1, -EOPNOTSUPP), W(iommu_ioas_alloc, flags, 0x80000000, -EOPNOTSUPP));
	SIZES(IOMMU_IOAS_ALLOC, alloc, 12, 0, -EFAULT, undo_ioas_alloc);
}

static void iova_lists(void)
{
	const struct iommu_iova_range bad[3] = { { 0x1000, 0x1fff }, { 0x1800, 0x2fff }, { 5, 5 } };
	struct iommu_iova_range range[3];
	char *end = cliff(PROT_READ | PROT_WRITE);
	struct iommu_ioas_iova_ranges ranges = { .size = sizeof(ranges), .ioas_id = b.ioas, .num_iovas = 3, .allowed_iovas = (uintptr_t)range };
	struct iommu_ioas_allow_iovas allow = { .size = sizeof(allow), .ioas_id = scratch };
	struct iommu_ioas_allow_iovas lists = { .size = sizeof(lists), .ioas_id = scratch, .num_iovas = 1, .allowed_iovas = (uintptr_t)range };

	EACH(IOMMU_IOAS_IOVA_RANGES, ranges, W(iommu_ioas_iova_ranges, __reserved, 1, -EOPNOTSUPP),
	     W(iommu_ioas_iova_ranges, ioas_id, 0, -ENOENT), W(iommu_ioas_iova_ranges, ioas_id, UINT32_MAX, -ENOENT),
	     W(iommu_ioas_iova_ranges, ioas_id, hwpt, -ENOENT), W(iommu_ioas_iova_ranges, ioas_id, b.dev_id, -ENOENT),
	     W(iommu_ioas_iova_ranges, allowed_iovas, 0, -EFAULT), W(iommu_ioas_iova_ranges, allowed_iovas, readonly_va, -EFAULT),
	     W(iommu_ioas_iova_ranges, allowed_iovas, end - 8, -EFAULT), W(iommu_ioas_iova_ranges, allowed_iovas, UINT64_MAX - 7, -EFAULT),
	     W(iommu_ioas_iova_ranges, num_iovas, UINT32_MAX, 0), W(iommu_ioas_iova_ranges, num_iovas, 1, -EMSGSIZE),
	     W(iommu_ioas_iova_ranges, num_iovas, 0, -EMSGSIZE));
	SIZES(IOMMU_IOAS_IOVA_RANGES, ranges, 32, 0, -EFAULT, NULL);

	memcpy(range, bad, sizeof(bad));
	EACH(IOMMU_IOAS_ALLOW_IOVAS, lists, W(iommu_ioas_allow_iovas, __reserved, 1, -EOPNOTSUPP),
	     W(iommu_ioas_allow_iovas, ioas_id, 0, -ENOENT), W(iommu_ioas_allow_iovas, ioas_id, hwpt, -ENOENT),
	     W(iommu_ioas_allow_iovas, num_iovas, 2, -EINVAL), W(iommu_ioas_allow_iovas, allowed_iovas, &range[2], -EINVAL),
	     W(iommu_ioas_allow_iovas, allowed_iovas, 0, -EFAULT), W(iommu_ioas_allow_iovas, allowed_iovas, end - 8, -EFAULT),
	     W(iommu_ioas_allow_iovas, allowed_iovas, UINT64_MAX - 7, -EFAULT), W(iommu_ioas_allow_iovas, allowed_iovas, NO_SUCH_VA, -EFAULT));
	/* A list of 2^32-1 entries ends where the memory does; the old list stays. */
	for (unsigned i = 1; i <= PAGE / sizeof(*range); i++)
		((struct iommu_iova_range *)(void *)end)[-(int)i] = (struct iommu_iova_range){ i * 0x1000, i * 0x1000 + 1 };
	lists.allowed_iovas = (uintptr_t)(end - PAGE);
	EACH(IOMMU_IOAS_ALLOW_IOVAS, lists, W(iommu_ioas_allow_iovas, num_iovas, UINT32_MAX, -EFAULT),
	     W(iommu_ioas_allow_iovas, num_iovas, PAGE / 16 + 1, -EFAULT));
	lists.ioas_id = b.ioas;
	range[0] = (struct iommu_iova_range){ 0xfee00000, 0xfee00001 };
	EACH(IOMMU_IOAS_ALLOW_IOVAS, lists, W(iommu_ioas_allow_iovas, allowed_iovas, range, -EADDRINUSE));
	SIZES(IOMMU_IOAS_ALLOW_IOVAS, allow, 24, 0, 0, NULL);
}

static void maps(void)
{
	char *end = cliff(PROT_READ | PROT_WRITE);
	const uint32_t fixed = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE;
	struct iommu_ioas_map ok = { .size = sizeof(ok), .flags = fixed, .ioas_id = scratch, .user_va = (uintptr_t)mem, .length = PAGE, .iova = 0x5000 };
	struct iommu_ioas_map cmd = ok;
	struct iommu_hwpt_alloc late = { .size = sizeof(late), .dev_id = b.dev_id, .pt_id = scratch };

	cmd.ioas_id = b.ioas;
	cmd.iova = 0x400000;
	EACH(IOMMU_IOAS_MAP, cmd, W(iommu_ioas_map, flags, fixed | 8, -EOPNOTSUPP), W(iommu_ioas_map, flags, UINT32_MAX, -EOPNOTSUPP),
	     W(iommu_ioas_map, __reserved, 1, -EOPNOTSUPP), W(iommu_ioas_map, iova, UINT64_MAX, -EOVERFLOW),
	     W(iommu_ioas_map, length, UINT64_MAX, -EOVERFLOW), W(iommu_ioas_map, flags, 0, -EINVAL), W(iommu_ioas_map, flags, 1, -EINVAL),
	     W(iommu_ioas_map, ioas_id, 0, -ENOENT), W(iommu_ioas_map, ioas_id, hwpt, -ENOENT), W(iommu_ioas_map, ioas_id, UINT32_MAX, -ENOENT),
	     W(iommu_ioas_map, user_va, UINT64_MAX, -EOVERFLOW), W(iommu_ioas_map, user_va, UINT64_MAX - PAGE + 1, -EOVERFLOW),
	     W(iommu_ioas_map, length, 0, -EINVAL), W(iommu_ioas_map, length, UINT64_MAX - PAGE, -EOVERFLOW), W(iommu_ioas_map, length, 1, -EINVAL),
	     W(iommu_ioas_map, length, PAGE + 1, -EINVAL), W(iommu_ioas_map, iova, 0x400001, -EINVAL),
	     W(iommu_ioas_map, iova, UINT64_MAX - 1, -EINVAL), W(iommu_ioas_map, iova, 0xfee00000, -EINVAL),
	     W(iommu_ioas_map, iova, 0x1000000000000, -EINVAL), W(iommu_ioas_map, iova, UINT64_MAX - PAGE + 1, -EINVAL),
	     W(iommu_ioas_map, iova, AREA, -EEXIST), W(iommu_ioas_map, iova, AREA + AREA_BYTES - PAGE, -EEXIST),
	     W(iommu_ioas_map, user_va, (uintptr_t)mem + 1, -EINVAL), W(iommu_ioas_map, user_va, 0, -EFAULT),
	     W(iommu_ioas_map, user_va, NO_SUCH_VA, -EFAULT), W(iommu_ioas_map, user_va, readonly_va, -EFAULT),
	     W(iommu_ioas_map, user_va, end, -EFAULT), W(iommu_ioas_map, user_va, 0x8000000000000000, -EFAULT),
	     W(iommu_ioas_map, user_va, 0xffffffff81000000, -EFAULT), W(iommu_ioas_map, length, 1ull << 62, -EINVAL));
	cmd.user_va = (uintptr_t)end - PAGE;
	EACH(IOMMU_IOAS_MAP, cmd, W(iommu_ioas_map, length, 2 * PAGE, -EFAULT), W(iommu_ioas_map, length, 1ull << 31, -EFAULT));
	/* 64 TiB, of which a page is there: above the reserved window, and in a space that gets its domain later. */
	cmd.iova = 1ull << 32;
	EACH(IOMMU_IOAS_MAP, cmd, W(iommu_ioas_map, length, 1ull << 46, -EFAULT), W(iommu_ioas_map, length, 1ull << 40, -EFAULT));
	EXPECT(map(b.iommu, scratch, end - PAGE, 1ull << 46, 1ull << 32), 0);
	EXPECT(call(b.iommu, IOMMU_HWPT_ALLOC, &late), -EFAULT);
	EXPECT(attach(b.device, scratch), -EFAULT);
	EXPECT(unmap_all(b.iommu, scratch), 1ull << 46);
	/* Order: what comes first in the list wins over all that follows. */
	cmd = (struct iommu_ioas_map){ .size = sizeof(cmd), .flags = 8, .length = UINT64_MAX };
	EACH(IOMMU_IOAS_MAP, cmd, W(iommu_ioas_map, flags, 8, -EOPNOTSUPP), W(iommu_ioas_map, flags, 0, -EOVERFLOW));
	cmd.length = 0;
	EACH(IOMMU_IOAS_MAP, cmd, W(iommu_ioas_map, flags, 0, -EINVAL), W(iommu_ioas_map, flags, 2, -ENOENT));
	cmd = (struct iommu_ioas_map){ .size = sizeof(cmd), .flags = 6, .ioas_id = b.ioas, .user_va = UINT64_MAX, .length = 0 };
	EACH(IOMMU_IOAS_MAP, cmd, W(iommu_ioas_map, length, 0, -EINVAL), W(iommu_ioas_map, length, 1, -EOVERFLOW));
	SIZES(IOMMU_IOAS_MAP, ok, 40, 0, -EFAULT, undo_map);
}

static void files(void)
{
	const uint32_t fixed = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE;
	struct iommu_ioas_map_file ok = { .size = sizeof(ok), .flags = fixed, .ioas_id = scratch, .fd = memfd, .length = PAGE, .iova = 0x5000 };
	struct iommu_ioas_map_file cmd = ok;
	int null = open("/dev/null", O_RDWR), pipes[2], self = open("/proc/self/exe", O_RDONLY), gone = dup(null);

	MUST(null >= 0 && self >= 0 && !pipe(pipes) && !close(gone));
	cmd.ioas_id = b.ioas;
	cmd.iova = 0x400000;
	EACH(IOMMU_IOAS_MAP_FILE, cmd, W(iommu_ioas_map_file, flags, 8 | fixed, -EOPNOTSUPP), W(iommu_ioas_map_file, flags, 1, -EINVAL),
	     W(iommu_ioas_map_file, iova, UINT64_MAX, -EOVERFLOW), W(iommu_ioas_map_file, length, UINT64_MAX, -EOVERFLOW),
	     W(iommu_ioas_map_file, ioas_id, 0, -ENOENT), W(iommu_ioas_map_file, ioas_id, b.dev_id, -ENOENT),
	     W(iommu_ioas_map_file, fd, -1, -EBADF), W(iommu_ioas_map_file, fd, gone, -EBADF), W(iommu_ioas_map_file, fd, INT32_MAX, -EBADF),
	     W(iommu_ioas_map_file, fd, INT32_MIN, -EBADF), W(iommu_ioas_map_file, fd, null, -EINVAL), W(iommu_ioas_map_file, fd, self, -EINVAL),
	     W(iommu_ioas_map_file, fd, pipes[0], -EINVAL), W(iommu_ioas_map_file, fd, b.iommu, -EINVAL), W(iommu_ioas_map_file, fd, b.device, -EINVAL),
	     W(iommu_ioas_map_file, length, 0, -EINVAL), W(iommu_ioas_map_file, length, 5 * PAGE, -EINVAL), W(iommu_ioas_map_file, length, 1, -EINVAL),
	     W(iommu_ioas_map_file, start, 4 * PAGE, -EINVAL), W(iommu_ioas_map_file, start, UINT64_MAX, -EOVERFLOW),
	     W(iommu_ioas_map_file, start, UINT64_MAX - PAGE + 1, -EINVAL), W(iommu_ioas_map_file, start, 1ull << 63, -EINVAL),
	     W(iommu_ioas_map_file, start, 1, -EINVAL), W(iommu_ioas_map_file, iova, 0xfee00000, -EINVAL), W(iommu_ioas_map_file, iova, AREA, -EEXIST));
	SIZES(IOMMU_IOAS_MAP_FILE, ok, 40, 0, -EFAULT, undo_map);
	close(null);
	close(self);
	close(pipes[0]);
	close(pipes[1]);
}

static void copies(void)
{
	const uint32_t fixed = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE;
	struct iommu_ioas_copy ok = { .size = sizeof(ok), .flags = fixed, .dst_ioas_id = scratch, .src_ioas_id = b.ioas, .length = PAGE,
				      .dst_iova = 0x5000, .src_iova = AREA };
	struct iommu_ioas_copy cmd = ok;

	cmd.dst_ioas_id = b.ioas;
	cmd.dst_iova = 0x400000;
	EACH(IOMMU_IOAS_COPY, cmd, W(iommu_ioas_copy, flags, 8 | fixed, -EOPNOTSUPP), W(iommu_ioas_copy, flags, 1, -EINVAL),
	     W(iommu_ioas_copy, length, UINT64_MAX, -EOVERFLOW), W(iommu_ioas_copy, src_iova, UINT64_MAX, -EOVERFLOW),
	     W(iommu_ioas_copy, dst_iova, UINT64_MAX, -EOVERFLOW), W(iommu_ioas_copy, src_ioas_id, 0, -ENOENT),
	     W(iommu_ioas_copy, src_ioas_id, hwpt, -ENOENT), W(iommu_ioas_copy, dst_ioas_id, 0, -ENOENT), W(iommu_ioas_copy, dst_ioas_id, b.dev_id, -ENOENT),
	     W(iommu_ioas_copy, length, 0, -EINVAL), W(iommu_ioas_copy, src_iova, UINT64_MAX - 1, -EOVERFLOW), W(iommu_ioas_copy, src_iova, 0, -ENOENT),
	     W(iommu_ioas_copy, length, AREA_BYTES + 1, -ENOENT), W(iommu_ioas_copy, length, UINT64_MAX - AREA, -ENOENT),
	     W(iommu_ioas_copy, length, 1, -EINVAL), W(iommu_ioas_copy, dst_iova, 0x400001, -EINVAL), W(iommu_ioas_copy, dst_iova, 0xfeeff000, -EINVAL),
	     W(iommu_ioas_copy, dst_iova, AREA, -EEXIST), W(iommu_ioas_copy, src_iova, AREA + 1, -EINVAL));
	cmd.src_iova = READ_ONLY;
	EACH(IOMMU_IOAS_COPY, cmd, W(iommu_ioas_copy, flags, fixed | IOMMU_IOAS_MAP_WRITEABLE, -EPERM));
	cmd.dst_iova = AREA;
	EACH(IOMMU_IOAS_COPY, cmd, W(iommu_ioas_copy, flags, fixed | IOMMU_IOAS_MAP_WRITEABLE, -EEXIST));
	SIZES(IOMMU_IOAS_COPY, ok, 40, 0, -EFAULT, undo_map);
}

static void unmaps(void)
{
	struct iommu_ioas_unmap cmd = { .size = sizeof(cmd), .ioas_id = b.ioas, .iova = 0x400000, .length = PAGE };

	EACH(IOMMU_IOAS_UNMAP, cmd, W(iommu_ioas_unmap, ioas_id, 0, -ENOENT), W(iommu_ioas_unmap, ioas_id, hwpt, -ENOENT),
	     W(iommu_ioas_unmap, iova, UINT64_MAX, -EOVERFLOW), W(iommu_ioas_unmap, length, UINT64_MAX, -EOVERFLOW), W(iommu_ioas_unmap, length, 0, -EINVAL),
	     W(iommu_ioas_unmap, iova, UINT64_MAX - 1, -EOVERFLOW), W(iommu_ioas_unmap, iova, 0x400000, -ENOENT), W(iommu_ioas_unmap, iova, AREA, -ENOENT),
	     W(iommu_ioas_unmap, iova, AREA + 1, -ENOENT), W(iommu_ioas_unmap, length, UINT64_MAX - 0x400000, -ENOENT));
	cmd.iova = AREA - PAGE;
	EACH(IOMMU_IOAS_UNMAP, cmd, W(iommu_ioas_unmap, length, PAGE, -ENOENT), W(iommu_ioas_unmap, length, 2 * PAGE, -ENOENT),
	     W(iommu_ioas_unmap, length, AREA_BYTES, -ENOENT));
	/* A bad id comes before bad numbers. */
	cmd = (struct iommu_ioas_unmap){ .size = sizeof(cmd), .iova = UINT64_MAX };
	EACH(IOMMU_IOAS_UNMAP, cmd, W(iommu_ioas_unmap, length, UINT64_MAX, -ENOENT));
	cmd.ioas_id = b.ioas;
	cmd.iova = 0x400000;
	SIZES(IOMMU_IOAS_UNMAP, cmd, 24, -EINVAL, -EINVAL, NULL);
}

static void options(void)
{
	struct iommu_option huge = { .size = sizeof(huge), .option_id = IOMMU_OPTION_HUGE_PAGES, .op = IOMMU_OPTION_OP_GET, .object_id = b.ioas };
	struct iommu_option mode = { .size = sizeof(mode), .option_id = IOMMU_OPTION_RLIMIT_MODE, .op = IOMMU_OPTION_OP_SET };
	struct iommu_vfio_ioas vfio = { .size = sizeof(vfio), .op = IOMMU_VFIO_IOAS_GET };

	EACH(IOMMU_OPTION, huge, W(iommu_option, option_id, 2, -EOPNOTSUPP), W(iommu_option, option_id, UINT32_MAX, -EOPNOTSUPP),
	     W(iommu_option, op, 2, -EOPNOTSUPP), W(iommu_option, op, 0xffff, -EOPNOTSUPP), W(iommu_option, __reserved, 1, -EOPNOTSUPP),
	     W(iommu_option, object_id, 0, -ENOENT), W(iommu_option, object_id, hwpt, -ENOENT));
	huge.op = IOMMU_OPTION_OP_SET;
	EACH(IOMMU_OPTION, huge, W(iommu_option, val64, 2, -EINVAL), W(iommu_option, val64, UINT64_MAX, -EINVAL), W(iommu_option, val64, 0, -EINVAL));
	huge.object_id = 0;
	EACH(IOMMU_OPTION, huge, W(iommu_option, op, 7, -ENOENT));
	EACH(IOMMU_OPTION, mode, W(iommu_option, object_id, 1, -EOPNOTSUPP), W(iommu_option, op, 2, -EOPNOTSUPP));
	if (!geteuid())
		EACH(IOMMU_OPTION, mode, W(iommu_option, val64, 2, -EBUSY));
	mode.op = IOMMU_OPTION_OP_GET;
	SIZES(IOMMU_OPTION, mode, 24, 0, -EFAULT, NULL);

	EACH(IOMMU_VFIO_IOAS, vfio, W(iommu_vfio_ioas, op, 0, -ENODEV), W(iommu_vfio_ioas, op, 3, -EOPNOTSUPP), W(iommu_vfio_ioas, __reserved, 1, -EOPNOTSUPP),
	     W(iommu_vfio_ioas, op, IOMMU_VFIO_IOAS_CLEAR, 0));
	vfio.op = IOMMU_VFIO_IOAS_SET;
	EACH(IOMMU_VFIO_IOAS, vfio, W(iommu_vfio_ioas, ioas_id, 0, -ENOENT), W(iommu_vfio_ioas, ioas_id, hwpt, -ENOENT));
	vfio.op = IOMMU_VFIO_IOAS_GET;
	SIZES(IOMMU_VFIO_IOAS, vfio, 12, -ENODEV, -ENODEV, NULL);
}

static void hwpts(void)
{
	struct iommu_hwpt_alloc cmd = { .size = sizeof(cmd), .dev_id = b.dev_id, .pt_id = b.ioas };
	struct iommu_hwpt_alloc data = { .size = sizeof(data), .dev_id = b.dev_id, .pt_id = b.ioas, .data_type = IOMMU_HWPT_DATA_VTD_S1, .data_len = 24,
					 .data_uptr = (uintptr_t)mem };
	char info_buf[16];
	struct iommu_hw_info info = { .size = sizeof(info), .dev_id = b.dev_id, .data_len = 16, .data_uptr = (uintptr_t)info_buf };

	EACH(IOMMU_HWPT_ALLOC, cmd, W(iommu_hwpt_alloc, __reserved, 1, -EOPNOTSUPP), W(iommu_hwpt_alloc, data_type, 1, -EINVAL),
	     W(iommu_hwpt_alloc, data_len, 1, -EINVAL), W(iommu_hwpt_alloc, data_len, UINT32_MAX, -EINVAL), W(iommu_hwpt_alloc, dev_id, 0, -ENOENT),
	     W(iommu_hwpt_alloc, dev_id, b.ioas, -ENOENT), W(iommu_hwpt_alloc, dev_id, UINT32_MAX, -ENOENT), W(iommu_hwpt_alloc, pt_id, 0, -EINVAL),
	     W(iommu_hwpt_alloc, pt_id, next_id, -EINVAL), W(iommu_hwpt_alloc, pt_id, b.dev_id, -EINVAL), W(iommu_hwpt_alloc, pt_id, hwpt, -EOPNOTSUPP),
	     W(iommu_hwpt_alloc, flags, 0x10, -EOPNOTSUPP), W(iommu_hwpt_alloc, flags, UINT32_MAX, -EOPNOTSUPP),
	     W(iommu_hwpt_alloc, flags, IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_NEST_PARENT, -EOPNOTSUPP),
	     W(iommu_hwpt_alloc, flags, IOMMU_HWPT_FAULT_ID_VALID, -ENOENT));
	EACH(IOMMU_HWPT_ALLOC, data, W(iommu_hwpt_alloc, data_type, 1, -EOPNOTSUPP), W(iommu_hwpt_alloc, data_type, UINT32_MAX, -EOPNOTSUPP),
	     W(iommu_hwpt_alloc, data_len, UINT32_MAX, -EOPNOTSUPP), W(iommu_hwpt_alloc, data_uptr, 0, -EOPNOTSUPP));
	SIZES(IOMMU_HWPT_ALLOC, cmd, END_OF(iommu_hwpt_alloc, __reserved), 0, -EFAULT, undo_hwpt);

	EACH(IOMMU_GET_HW_INFO, info, W(iommu_hw_info, flags, 2, -EOPNOTSUPP), W(iommu_hw_info, __reserved, 1, -EOPNOTSUPP),
	     W(iommu_hw_info, __reserved, 0x10000, -EOPNOTSUPP), W(iommu_hw_info, dev_id, 0, -ENOENT), W(iommu_hw_info, dev_id, hwpt, -ENOENT),
	     W(iommu_hw_info, data_uptr, 0, -EFAULT), W(iommu_hw_info, data_uptr, readonly_va, -EFAULT), W(iommu_hw_info, data_len, 0, 0));
	info.data_uptr = (uintptr_t)cliff(PROT_READ | PROT_WRITE) - PAGE;
	EACH(IOMMU_GET_HW_INFO, info, W(iommu_hw_info, data_len, UINT32_MAX, -EFAULT), W(iommu_hw_info, data_len, PAGE, 0), W(iommu_hw_info, data_len, PAGE + 1, -EFAULT));
	info.data_len = 0;
	SIZES(IOMMU_GET_HW_INFO, info, END_OF(iommu_hw_info, __reserved), 0, -EFAULT, NULL);
}

static void dirty(void)
{
	struct iommu_hwpt_alloc plain = { .size = sizeof(plain), .dev_id = b.dev_id, .pt_id = b.ioas };
	struct iommu_hwpt_set_dirty_tracking set = { .size = sizeof(set), .hwpt_id = hwpt };
	char *end = cliff(PROT_READ | PROT_WRITE);
	struct iommu_hwpt_get_dirty_bitmap get = { .size = sizeof(get), .hwpt_id = hwpt, .iova = AREA, .length = AREA_BYTES, .page_size = PAGE,
						   .data = (uintptr_t)mem };

	MUST(!ioctl(b.iommu, IOMMU_HWPT_ALLOC, &plain));
	EXPECT(plain.out_hwpt_id, next_id);
	set.hwpt_id = plain.out_hwpt_id;
	EXPECT(call(b.iommu, IOMMU_HWPT_SET_DIRTY_TRACKING, &set), -EOPNOTSUPP);
	get.hwpt_id = plain.out_hwpt_id;
	EXPECT(call(b.iommu, IOMMU_HWPT_GET_DIRTY_BITMAP, &get), -EOPNOTSUPP);
	EXPECT(destroy(b.iommu, plain.out_hwpt_id), 0);
	set.hwpt_id = get.hwpt_id = hwpt;
	EACH(IOMMU_HWPT_SET_DIRTY_TRACKING, set, W(iommu_hwpt_set_dirty_tracking, flags, 2, -EOPNOTSUPP),
	     W(iommu_hwpt_set_dirty_tracking, flags, 0x80000001, -EOPNOTSUPP), W(iommu_hwpt_set_dirty_tracking, hwpt_id, 0, -ENOENT),
	     W(iommu_hwpt_set_dirty_tracking, hwpt_id, b.ioas, -ENOENT), W(iommu_hwpt_set_dirty_tracking, hwpt_id, b.dev_id, -ENOENT),
	     W(iommu_hwpt_set_dirty_tracking, __reserved, 1, 0));
	SIZES(IOMMU_HWPT_SET_DIRTY_TRACKING, set, 16, 0, 0, NULL);
	EACH(IOMMU_HWPT_GET_DIRTY_BITMAP, get, W(iommu_hwpt_get_dirty_bitmap, flags, 2, -EOPNOTSUPP),
	     W(iommu_hwpt_get_dirty_bitmap, __reserved, 1, -EOPNOTSUPP), W(iommu_hwpt_get_dirty_bitmap, hwpt_id, 0, -ENOENT),
	     W(iommu_hwpt_get_dirty_bitmap, hwpt_id, b.ioas, -ENOENT), W(iommu_hwpt_get_dirty_bitmap, length, 0, -EINVAL),
	     W(iommu_hwpt_get_dirty_bitmap, length, UINT64_MAX, -EOVERFLOW), W(iommu_hwpt_get_dirty_bitmap, iova, UINT64_MAX, -EOVERFLOW),
	     W(iommu_hwpt_get_dirty_bitmap, length, 1, -EINVAL), W(iommu_hwpt_get_dirty_bitmap, iova, AREA + 1, -EINVAL),
	     W(iommu_hwpt_get_dirty_bitmap, page_size, 0, -EINVAL), W(iommu_hwpt_get_dirty_bitmap, page_size, 0x200000, -EINVAL),
	     W(iommu_hwpt_get_dirty_bitmap, page_size, 1ull << 63, -EINVAL), W(iommu_hwpt_get_dirty_bitmap, data, 0, 0),
	     W(iommu_hwpt_get_dirty_bitmap, data, readonly_va, 0), W(iommu_hwpt_get_dirty_bitmap, data, end, 0),
	     W(iommu_hwpt_get_dirty_bitmap, data, UINT64_MAX, 0), W(iommu_hwpt_get_dirty_bitmap, length, 1ull << 46, 0),
	     W(iommu_hwpt_get_dirty_bitmap, iova, 0, 0));
	SIZES(IOMMU_HWPT_GET_DIRTY_BITMAP, get, 48, 0, 0, NULL);
}

/* Calls for what the generic kind has not: answered as a kernel without it would. */
static void absent(void)
{
	struct iommu_hwpt_invalidate inv = { .size = sizeof(inv), .hwpt_id = hwpt, .data_uptr = (uintptr_t)mem, .entry_len = 16, .entry_num = 1 };
	struct iommu_fault_alloc fault = { .size = sizeof(fault), .flags = 1 };
	struct iommu_viommu_alloc viommu = { .size = sizeof(viommu), .type = 1, .dev_id = b.dev_id, .hwpt_id = hwpt };
	struct iommu_vdevice_alloc vdevice = { .size = sizeof(vdevice), .viommu_id = hwpt, .dev_id = b.dev_id };
	struct iommu_ioas_change_process process = { .size = sizeof(process) };
	struct iommu_veventq_alloc veventq = { .size = sizeof(veventq), .viommu_id = hwpt, .type = 1, .veventq_depth = 1 };
	struct iommu_hw_queue_alloc queue = { .size = sizeof(queue), .viommu_id = hwpt, .type = 1, .length = PAGE };
	uint32_t pa[10] = { sizeof(pa) };

	EACH(IOMMU_HWPT_INVALIDATE, inv, W(iommu_hwpt_invalidate, __reserved, 1, -EOPNOTSUPP), W(iommu_hwpt_invalidate, data_uptr, 0, -EINVAL),
	     W(iommu_hwpt_invalidate, entry_len, 0, -EINVAL), W(iommu_hwpt_invalidate, entry_len, PAGE + 1, -EINVAL),
	     W(iommu_hwpt_invalidate, entry_num, UINT32_MAX, -EINVAL), W(iommu_hwpt_invalidate, hwpt_id, 0, -ENOENT), W(iommu_hwpt_invalidate, hwpt_id, hwpt, -EINVAL),
	     W(iommu_hwpt_invalidate, hwpt_id, b.dev_id, -EINVAL));
	SIZES(IOMMU_HWPT_INVALIDATE, inv, 32, -EINVAL, -EFAULT, NULL);
	EACH(IOMMU_FAULT_QUEUE_ALLOC, fault, W(iommu_fault_alloc, flags, 1, -EOPNOTSUPP));
	EACH(IOMMU_VIOMMU_ALLOC, viommu, W(iommu_viommu_alloc, flags, 1, -EOPNOTSUPP), W(iommu_viommu_alloc, type, 0, -EOPNOTSUPP),
	     W(iommu_viommu_alloc, type, 99, -EOPNOTSUPP), W(iommu_viommu_alloc, dev_id, 0, -ENOENT), W(iommu_viommu_alloc, dev_id, hwpt, -ENOENT));
	SIZES(IOMMU_VIOMMU_ALLOC, viommu, END_OF(iommu_viommu_alloc, out_viommu_id), -EOPNOTSUPP, -EOPNOTSUPP, NULL);
	EACH(IOMMU_VDEVICE_ALLOC, vdevice, W(iommu_vdevice_alloc, viommu_id, 0, -ENOENT), W(iommu_vdevice_alloc, dev_id, 0, -ENOENT));
	SIZES(IOMMU_VDEVICE_ALLOC, vdevice, 24, -ENOENT, -ENOENT, NULL);
	EACH(IOMMU_IOAS_CHANGE_PROCESS, process, W(iommu_ioas_change_process, __reserved, 1, -EOPNOTSUPP), W(iommu_ioas_change_process, __reserved, 0, -EINVAL));
	SIZES(IOMMU_IOAS_CHANGE_PROCESS, process, 8, -EINVAL, -EINVAL, NULL);
	EACH(IOMMU_VEVENTQ_ALLOC, veventq, W(iommu_veventq_alloc, flags, 1, -EOPNOTSUPP), W(iommu_veventq_alloc, __reserved, 1, -EOPNOTSUPP),
	     W(iommu_veventq_alloc, type, 0, -EOPNOTSUPP), W(iommu_veventq_alloc, veventq_depth, 0, -EINVAL),
	     W(iommu_veventq_alloc, veventq_depth, UINT32_MAX, -EINVAL), W(iommu_veventq_alloc, viommu_id, 0, -ENOENT));
	SIZES(IOMMU_VEVENTQ_ALLOC, veventq, END_OF(iommu_veventq_alloc, out_veventq_fd), -ENOENT, -ENOENT, NULL);
	EACH(IOMMU_HW_QUEUE_ALLOC, queue, W(iommu_hw_queue_alloc, flags, 1, -EOPNOTSUPP), W(iommu_hw_queue_alloc, type, 0, -EOPNOTSUPP),
	     W(iommu_hw_queue_alloc, length, 0, -EINVAL), W(iommu_hw_queue_alloc, length, UINT64_MAX, -ENOENT),
	     W(iommu_hw_queue_alloc, nesting_parent_iova, UINT64_MAX, -EOVERFLOW), W(iommu_hw_queue_alloc, viommu_id, hwpt, -ENOENT));
	SIZES(IOMMU_HW_QUEUE_ALLOC, queue, 40, -ENOENT, -ENOENT, NULL);
	/* Without length; and nobody but root may ask at all. */
	expect(__LINE__, "NOIOMMU_GET_PA", call(b.iommu, NOIOMMU_GET_PA, pa), geteuid() ? -EPERM : -EINVAL);
	for (unsigned long nr = 0; nr < 256; nr++) {
		if (nr < 0x80 ? nr > 102 && (nr < 112 || nr > 114) : nr > 0x95)
			EXPECT(call(b.iommu, 0x3b00 | nr, pa), -ENOTTY);
	}
}

/* The container's calls: EINVAL for what is unknown, argsz before the object. */
static void container(void)
{
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };
	struct vfio_iommu_type1_dma_map dma = { .argsz = sizeof(dma), .flags = 3, .vaddr = (uintptr_t)mem, .iova = 0x400000, .size = PAGE };
	struct vfio_iommu_type1_dma_unmap un = { .argsz = sizeof(un), .iova = 0x400000, .size = PAGE };
	struct iommu_vfio_ioas set = { .size = sizeof(set), .ioas_id = b.ioas, .op = IOMMU_VFIO_IOAS_SET };
	char *end = cliff(PROT_READ | PROT_WRITE);

	EXPECT(call(b.iommu, VFIO_IOMMU_GET_INFO, &info), -ENODEV);
	EXPECT(call(b.iommu, VFIO_IOMMU_MAP_DMA, &dma), -ENODEV);
	EXPECT(call(b.iommu, VFIO_IOMMU_UNMAP_DMA, &un), -ENODEV);
	EXPECT(call(b.iommu, VFIO_SET_IOMMU, ptr(VFIO_TYPE1v2_IOMMU)), -ENODEV);
	EXPECT(call(b.iommu, VFIO_SET_IOMMU, ptr(99)), -EINVAL);
	EXPECT(call(b.iommu, VFIO_CHECK_EXTENSION, ptr(UINT64_MAX)), 0);
	MUST(!ioctl(b.iommu, IOMMU_VFIO_IOAS, &set));
	EXPECT(call(b.iommu, VFIO_SET_IOMMU, ptr(VFIO_TYPE1_IOMMU)), -EINVAL); /* areas and a domain are there */
	for (unsigned long nr = VFIO_IOMMU_GET_INFO; nr <= VFIO_IOMMU_UNMAP_DMA; nr++) {
		EXPECT(call(b.iommu, nr, NULL), -EFAULT);
		EXPECT(call(b.iommu, nr, end - 4), -EFAULT);
		EXPECT(call(b.iommu, nr, ptr(UINT64_MAX - 3)), -EFAULT);
	}
	EACH(VFIO_IOMMU_GET_INFO, info, W(vfio_iommu_type1_info, argsz, 15, -EINVAL), W(vfio_iommu_type1_info, argsz, 0, -EINVAL), W(vfio_iommu_type1_info, argsz, 16, 0),
	     W(vfio_iommu_type1_info, flags, UINT32_MAX, 0));
	memcpy(end - 16, &(uint32_t){ UINT32_MAX }, 4);
	EXPECT(call(b.iommu, VFIO_IOMMU_GET_INFO, end - 16), -EFAULT);
	EACH(VFIO_IOMMU_MAP_DMA, dma, W(vfio_iommu_type1_dma_map, argsz, 31, -EINVAL), W(vfio_iommu_type1_dma_map, flags, 4 | 3, -EINVAL),
	     W(vfio_iommu_type1_dma_map, size, 0, -EINVAL), W(vfio_iommu_type1_dma_map, size, UINT64_MAX, -EOVERFLOW), W(vfio_iommu_type1_dma_map, size, 1, -EINVAL),
	     W(vfio_iommu_type1_dma_map, iova, AREA, -EEXIST), W(vfio_iommu_type1_dma_map, iova, 1, -EINVAL), W(vfio_iommu_type1_dma_map, vaddr, 0, -EFAULT),
	     W(vfio_iommu_type1_dma_map, vaddr, UINT64_MAX, -EOVERFLOW));
	dma.size = 2 * PAGE;
	EACH(VFIO_IOMMU_MAP_DMA, dma, W(vfio_iommu_type1_dma_map, iova, UINT64_MAX - PAGE + 1, -EOVERFLOW));
	EACH(VFIO_IOMMU_UNMAP_DMA, un, W(vfio_iommu_type1_dma_unmap, argsz, 23, -EINVAL), W(vfio_iommu_type1_dma_unmap, flags, 1, -EINVAL),
	     W(vfio_iommu_type1_dma_unmap, flags, 2, -EINVAL), W(vfio_iommu_type1_dma_unmap, size, 0, -EINVAL),
	     W(vfio_iommu_type1_dma_unmap, iova, UINT64_MAX, -EOVERFLOW), W(vfio_iommu_type1_dma_unmap, iova, 0x400000, 0), W(vfio_iommu_type1_dma_unmap, iova, AREA, -ENOENT));
	set.op = IOMMU_VFIO_IOAS_CLEAR;
	MUST(!ioctl(b.iommu, IOMMU_VFIO_IOAS, &set));
}

/* What a descriptor of /dev/iommu does not do. */
static void other_calls(void)
{
	char buf[8];

	EXPECT(sys(read(b.iommu, buf, 8)), -EINVAL);
	EXPECT(sys(write(b.iommu, buf, 8)), -EINVAL);
	EXPECT(sys(pread(b.iommu, buf, 8, 0)), -EINVAL);
	EXPECT(sys(ftruncate(b.iommu, 0)), -EINVAL);
	EXPECT(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, b.iommu, 0) == MAP_FAILED ? -errno : 0, -ENXIO);
	EXPECT(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, b.iommu, 0) == MAP_FAILED ? -errno : 0, -EINVAL);
	EXPECT(mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, b.iommu, PAGE) == MAP_FAILED ? -errno : 0, -EPERM);
	EXPECT(mmap(NULL, 1ul << 46, PROT_READ, MAP_SHARED, b.iommu, PAGE) == MAP_FAILED ? -errno : 0, -ENXIO);
	check_state(__LINE__, "calls that are not ioctl");
}

int main(void)
{
	struct iommu_hwpt_alloc alloc = { .size = sizeof(alloc), .flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING };
	struct iommu_ioas_map ro = { .size = sizeof(ro), .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE, .length = PAGE, .iova = READ_ONLY };

	/* A length out of thin air must cost nothing: whoever takes it seriously is ended before the machine is out of memory. */
	MUST(!setrlimit(RLIMIT_CPU, &(struct rlimit){ 5, 5 }));
	bench_open(&b);
	mem = pages(4, PROT_READ | PROT_WRITE);
	readonly_va = (uintptr_t)pages(1, PROT_READ);
	memfd = memfd_create("file", 0);
	MUST(memfd >= 0 && !ftruncate(memfd, 4 * PAGE));
	alloc.dev_id = b.dev_id;
	alloc.pt_id = ro.ioas_id = b.ioas;
	ro.user_va = (uintptr_t)mem;
	MUST(!ioctl(b.iommu, IOMMU_HWPT_ALLOC, &alloc));
	hwpt = alloc.out_hwpt_id;
	scratch = new_ioas(b.iommu);
	MUST(!map(b.iommu, b.ioas, mem, AREA_BYTES, AREA) && !ioctl(b.iommu, IOMMU_IOAS_MAP, &ro));
	next_id = new_ioas(b.iommu);
	MUST(!destroy(b.iommu, next_id));
	check_state(__LINE__, "at first");

	ids();
	iova_lists();
	maps();
	files();
	copies();
	unmaps();
	options();
	hwpts();
	dirty();
	absent();
	container();
	other_calls();

	EXPECT(unmap_all(b.iommu, b.ioas), AREA_BYTES + PAGE);
	EXPECT(detach(b.device), 0);
	EXPECT(destroy(b.iommu, hwpt), 0);
	EXPECT(destroy(b.iommu, scratch), 0);
	EXPECT(destroy(b.iommu, b.ioas), 0);
	bench_close(&b);
	still_works();
	return hostile_end();
}
