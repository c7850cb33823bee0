/* SPDX-License-Identifier: MIT */
/* The IOAS calls without and with a domain: iommufd-semantics.md section 3. */
#include "common.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static struct rig rig;
static u8 *mem; /* 64 pages of the program's */

enum { MEM_PAGES = 64 };

static int setup(void **state)
{
	rig_open(&rig, NULL, 0);
	mem = pages_new(MEM_PAGES * PAGE);
	return 0;
}

static int teardown(void **state)
{
	rig_close(&rig);
	munmap(mem, MEM_PAGES * PAGE);
	return 0;
}

/* An IOAS with the aperture of a domain of device 0. */
static u32 ioas_with_domain(void)
{
	u32 ioas = ioas_new(&rig), hwpt;

	if (!rig.bound[0])
		rig_bind(&rig, 0);
	assert_int_equal(hwpt_new(&rig, rig.dev_id[0], ioas, 0, &hwpt), 0);
	return ioas;
}

/* MAP, rules 2 to 7. */
static void map_checks_its_fields_in_order(void **state)
{
	u32 ioas = ioas_new(&rig);
	u64 iova = MAX;

	assert_int_equal(map(&rig, 99, 0, mem, PAGE, &iova), -EOVERFLOW);
	iova = 0;
	assert_int_equal(map(&rig, 99, 0, mem, MAX, &iova), -EOVERFLOW);
	assert_int_equal(map(&rig, 99, 0, mem, PAGE, &iova), -EINVAL);
	assert_int_equal(map(&rig, 99, RW, mem, PAGE, &iova), -ENOENT);
	assert_int_equal(map(&rig, ioas, RW, (void *)(uintptr_t)(MAX - 4), 5, &iova), -EOVERFLOW);
	assert_int_equal(map(&rig, ioas, RW, mem, 0, &iova), -EINVAL);
	assert_int_equal(map(&rig, ioas, RW, NULL, MAX - PAGE + 1, &iova), -EINVAL);
	assert_int_equal(map(&rig, ioas, RW, NULL, MAX - PAGE, &iova), -EOVERFLOW); /* placement refuses halves of the space */
	assert_int_equal(map_at(&rig, ioas, NULL, MAX - PAGE, PAGE + 2), -EOVERFLOW);
	assert_int_equal(map_at(&rig, ioas, NULL, MAX - PAGE, 0), 0);
	assert_int_equal(map_at(&rig, ioas, mem, 1, MAX - 1), 0);
	assert_int_equal(map_at(&rig, ioas, mem, 2, MAX - 1), -EEXIST);
	assert_int_equal(map_at(&rig, ioas, mem, 3, MAX - 1), -EOVERFLOW);
}

/* MAP, rule 8, and: without a domain memory is not touched. */
static void fixed_maps_never_overlap(void **state)
{
	u32 ioas = ioas_new(&rig);

	assert_int_equal(map_at(&rig, ioas, (void *)1, 100, 1000), 0);
	assert_int_equal(map_at(&rig, ioas, (void *)1, 1, 1099), -EEXIST);
	assert_int_equal(map_at(&rig, ioas, (void *)1, 1, 1000), -EEXIST);
	assert_int_equal(map_at(&rig, ioas, (void *)1, 2000, 0), -EEXIST);
	assert_int_equal(map_at(&rig, ioas, (void *)1, 1, 1100), 0);
	assert_int_equal(map_at(&rig, ioas, (void *)1, 1, 999), 0);
}

/* MAP, rules 7 to 9, with the page size of a domain. */
static void a_domain_brings_its_alignment_and_aperture(void **state)
{
	u32 ioas = ioas_with_domain(), hwpt;
	struct ui_uapi_iova_range list[4];
	u64 alignment;
	u32 n = 4;

	assert_int_equal(ranges(&rig, ioas, list, &n, &alignment), 0);
	assert_int_equal(n, 1);
	assert_int_equal(list[0].start, 0);
	assert_int_equal(list[0].last, ui_mask_lg2(48));
	assert_int_equal(alignment, PAGE);
	assert_int_equal(map_at(&rig, ioas, mem, 100, 0), -EINVAL);
	assert_int_equal(map_at(&rig, ioas, mem, PAGE, 100), -EINVAL);
	assert_int_equal(map_at(&rig, ioas, mem + 1, PAGE, PAGE), -EINVAL);
	assert_int_equal(map_at(&rig, ioas, mem, PAGE, ui_mask_lg2(48) + 1), -EINVAL);
	assert_int_equal(map_at(&rig, ioas, mem, 2 * PAGE, ui_mask_lg2(48) + 1 - PAGE), -EINVAL);
	assert_int_equal(map_at(&rig, ioas, mem, PAGE, ui_mask_lg2(48) + 1 - PAGE), 0);
	/* An area that does not fit keeps a domain out. */
	ioas = ioas_new(&rig);
	assert_int_equal(map_at(&rig, ioas, mem, PAGE, 100), 0);
	assert_int_equal(hwpt_new(&rig, rig.dev_id[0], ioas, 0, &hwpt), -EADDRINUSE);
	assert_int_equal(unmap(&rig, ioas, 0, MAX, NULL), 0);
	assert_int_equal(map_at(&rig, ioas, mem, PAGE, (u64)1 << 48), 0);
	assert_int_equal(hwpt_new(&rig, rig.dev_id[0], ioas, 0, &hwpt), -EADDRINUSE);
	assert_int_equal(unmap(&rig, ioas, 0, MAX, NULL), 0);
	assert_int_equal(map_at(&rig, ioas, mem + 8, PAGE, 0), 0);
	assert_int_equal(hwpt_new(&rig, rig.dev_id[0], ioas, 0, &hwpt), -EADDRINUSE);
	assert_int_equal(unmap(&rig, ioas, 0, MAX, NULL), 0);
	assert_int_equal(hwpt_new(&rig, rig.dev_id[0], ioas, 0, &hwpt), 0);
	assert_int_equal(destroy(&rig, hwpt), 0);
	assert_int_equal(map_at(&rig, ioas, mem, 1, 1), 0);
}

/* MAP, rule 10: with a domain the memory must be there, for what is wanted. */
static void memory_that_is_not_there_is_efault(void **state)
{
	u32 ioas = ioas_with_domain();
	u64 iova = 0, removed;

	mprotect(mem + 2 * PAGE, PAGE, PROT_READ);
	munmap(mem + 8 * PAGE, PAGE);
	assert_int_equal(map_at(&rig, ioas, mem + 2 * PAGE, PAGE, 0), -EFAULT);
	assert_int_equal(map_at(&rig, ioas, mem, 4 * PAGE, 0), -EFAULT);
	assert_int_equal(map(&rig, ioas, UI_UAPI_MAP_READABLE | FIXED, mem, 4 * PAGE, &iova), 0);
	assert_int_equal(map_at(&rig, ioas, mem + 8 * PAGE, PAGE, 8 * PAGE), -EFAULT);
	assert_int_equal(map_at(&rig, ioas, mem + 6 * PAGE, 4 * PAGE, 8 * PAGE), -EFAULT);
	assert_int_equal(map_at(&rig, ioas, NULL, PAGE, 8 * PAGE), -EFAULT);
	assert_int_equal(map_at(&rig, ioas, (void *)((u64)1 << 60), PAGE, 8 * PAGE), -EFAULT);
	assert_int_equal(unmap(&rig, ioas, 0, MAX, &removed), 0);
	assert_int_equal(removed, 4 * PAGE);
}

/* The same when the domain comes later; nothing stays behind. */
static void a_domain_is_refused_if_memory_is_not_there(void **state)
{
	u32 ioas = ioas_new(&rig), hwpt, n = 0;
	u64 alignment;

	rig_bind(&rig, 0);
	assert_int_equal(map_at(&rig, ioas, mem, PAGE, 0), 0);
	assert_int_equal(map_at(&rig, ioas, NULL, PAGE, PAGE), 0);
	assert_int_equal(hwpt_new(&rig, rig.dev_id[0], ioas, 0, &hwpt), -EFAULT);
	assert_int_equal(ranges(&rig, ioas, NULL, &n, &alignment), -EMSGSIZE);
	assert_int_equal(alignment, 1);
	assert_int_equal(unmap(&rig, ioas, PAGE, PAGE, NULL), 0);
	assert_int_equal(hwpt_new(&rig, rig.dev_id[0], ioas, 0, &hwpt), 0);
}

struct placed {
	const char *what;
	struct {
		u64 start, length;
	} busy[3];
	struct ui_uapi_iova_range allowed[3];
	u64 va, length;
	long ret;
	u64 iova;
};

#define HUGE ((u64)2 << 20)

/* Automatic placement. No domain, so that any address will do. */
static void automatic_placement(void **state)
{
	static const struct placed rows[] = {
		{ "page 0 is never chosen", { { 0 } }, { { 0 } }, PAGE, PAGE, 0, PAGE },
		{ "a small length takes its own alignment", { { PAGE, 1 } }, { { 0 } }, 0, 3, 0, PAGE + 4 },
		{ "the lowest bit of the address limits it", { { PAGE, 1 } }, { { 0 } }, 0x10001000, HUGE, 0, 2 * PAGE },
		{ "an address of 0 does not", { { PAGE, 1 } }, { { 0 } }, 0, HUGE, 0, HUGE },
		{ "2 MiB is enough", { { PAGE, 1 } }, { { 0 } }, 0x40000000, (u64)1 << 30, 0, HUGE },
		{ "the offset in the page is kept", { { 0 } }, { { 0 } }, 0x10000800, 0x800, 0, PAGE + 0x800 },
		{ "a length that is no power of two rounds up", { { PAGE, 1 } }, { { 0 } }, 0x10000000, 3 * PAGE, 0, 4 * PAGE },
		{ "first fit, ascending", { { PAGE, PAGE }, { 3 * PAGE, PAGE } }, { { 0 } }, PAGE, PAGE, 0, 2 * PAGE },
		{ "a gap that is too small is passed", { { PAGE, PAGE }, { 3 * PAGE, PAGE } }, { { 0 } }, PAGE, 2 * PAGE, 0, 4 * PAGE },
		{ "a gap of one byte is none", { { PAGE, 8 }, { PAGE + 9, 8 } }, { { 0 } }, 1, 1, 0, PAGE + 17 },
		{ "half of the space is refused", { { 0 } }, { { 0 } }, PAGE, MAX / 2, -EOVERFLOW, 0 },
		{ "just less is not", { { 0 } }, { { 0 } }, PAGE, MAX / 2 - 1, 0, PAGE },
		{ "full up to the end", { { 0, MAX - PAGE } }, { { 0 } }, PAGE, PAGE, -ENOSPC, 0 },
		{ "the last page is never chosen", { { 1, MAX - PAGE } }, { { 0 } }, PAGE, PAGE, -ENOSPC, 0 },
		{ "the page before the last is", { { 0, MAX - 2 * PAGE + 1 } }, { { 0 } }, PAGE, PAGE, 0, MAX - 2 * PAGE + 1 },
		{ "aligning near the end does not wrap", { { 0x801, MAX - PAGE } }, { { 0 } }, PAGE, PAGE, -ENOSPC, 0 },
		{ "nor does the end of what is looked for", { { 0, MAX - 2 * PAGE + 1 } }, { { 0 } }, 8 * PAGE, 2 * PAGE, -ENOSPC, 0 },
		{ "only the allowed list", { { 0 } }, { { 5 * PAGE, 6 * PAGE - 1 } }, PAGE, PAGE, 0, 5 * PAGE },
		{ "too small a range", { { 0 } }, { { 5 * PAGE, 6 * PAGE - 1 } }, PAGE, 2 * PAGE, -ENOSPC, 0 },
		{ "ranges that touch are one", { { 0 } }, { { 5 * PAGE, 6 * PAGE - 1 }, { 6 * PAGE, 7 * PAGE } }, PAGE, 2 * PAGE, 0, 5 * PAGE },
		{ "ranges in any order", { { 0 } }, { { 9 * PAGE, 10 * PAGE }, { 3 * PAGE, 4 * PAGE } }, PAGE, PAGE, 0, 3 * PAGE },
		{ "what is mapped in one is passed", { { 3 * PAGE, PAGE } }, { { 3 * PAGE, 4 * PAGE }, { 9 * PAGE, 11 * PAGE } }, PAGE, PAGE, 0,
		  9 * PAGE },
		{ "the allowed list does not make page 0 good", { { 0 } }, { { 0, 2 * PAGE } }, PAGE, PAGE, 0, PAGE },
	};

	for (size_t i = 0; i < ui_array_size(rows); i++) {
		const struct placed *row = &rows[i];
		u32 ioas = ioas_new(&rig), n_allowed = 0;
		u64 iova = 77;

		for (unsigned b = 0; b < 3 && row->busy[b].length; b++)
			assert_int_equal(map_at(&rig, ioas, NULL, row->busy[b].length, row->busy[b].start), 0);
		while (n_allowed < 3 && row->allowed[n_allowed].last)
			n_allowed++;
		assert_int_equal(allow(&rig, ioas, row->allowed, n_allowed), 0);
		if (map(&rig, ioas, RW, (void *)(uintptr_t)row->va, row->length, &iova) != row->ret || (!row->ret && iova != row->iova))
			fail_msg("%s: iova 0x%llx", row->what, (unsigned long long)iova);
		assert_int_equal(destroy(&rig, ioas), 0);
	}
}

/* Placement that cannot keep the alignment; reserved space is passed. */
static void placement_keeps_alignment_and_reserved_space(void **state)
{
	u32 ioas = ioas_with_domain(), pt = ioas;
	struct ui_uapi_iova_range window = { 0xfedff000, 0xfef00fff };
	u64 iova = 0;

	assert_int_equal(map(&rig, ioas, RW, mem + 1, PAGE, &iova), -EINVAL);
	assert_int_equal(allow(&rig, ioas, &window, 1), 0);
	assert_int_equal(attach(&rig, 0, 0, &pt), -EADDRINUSE);
	assert_int_equal(allow(&rig, ioas, NULL, 0), 0);
	assert_int_equal(attach(&rig, 0, 0, &pt), 0);
	/* The interrupt window lies between. */
	assert_int_equal(allow(&rig, ioas, &window, 1), -EADDRINUSE);
	assert_int_equal(allow(&rig, ioas, (struct ui_uapi_iova_range[]){ { 0xfedff000, 0xfedfffff }, { 0xfef00000, 0xfef00fff } }, 2), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(map(&rig, ioas, RW, mem, PAGE, &iova), 0);
		assert_int_equal(iova, i ? 0xfef00000 : 0xfedff000);
	}
	assert_int_equal(map(&rig, ioas, RW, mem, PAGE, &iova), -ENOSPC);
	assert_int_equal(map_at(&rig, ioas, mem, PAGE, 0xfee00000), -EINVAL);
	assert_int_equal(map_at(&rig, ioas, mem, PAGE, 0x1000), 0);
}

static void iova_ranges_tells_what_is_not_reserved(void **state)
{
	u32 ioas = ioas_with_domain(), n = 0, pt = ioas;
	struct ui_uapi_iova_range list[3];

	assert_int_equal(attach(&rig, 0, 0, &pt), 0);
	assert_int_equal(map_at(&rig, ioas, mem, PAGE, PAGE), 0);
	assert_int_equal(ranges(&rig, ioas, NULL, &n, NULL), -EMSGSIZE);
	assert_int_equal(n, 2);
	n = 1;
	memset(list, 0xa5, sizeof(list));
	assert_int_equal(ranges(&rig, ioas, list, &n, NULL), -EMSGSIZE);
	assert_int_equal(n, 2);
	assert_int_equal(list[0].last, 0xfedfffff);
	assert_int_equal(list[1].start, 0xa5a5a5a5a5a5a5a5);
	n = 3;
	assert_int_equal(ranges(&rig, ioas, list, &n, NULL), 0);
	assert_int_equal(n, 2);
	assert_int_equal(list[1].start, 0xfef00000);
	assert_int_equal(list[2].start, 0xa5a5a5a5a5a5a5a5);
	assert_int_equal(ranges(&rig, ioas, (void *)8, &n, NULL), -EFAULT);
	/* Detaching gives the window back; the aperture stays with the domain. */
	detach(&rig, 0, 0);
	n = 3;
	assert_int_equal(ranges(&rig, ioas, list, &n, NULL), 0);
	assert_int_equal(n, 1);
}

static void allow_iovas_checks_each_entry(void **state)
{
	static const struct {
		struct ui_uapi_iova_range list[3];
		u32 n;
		long ret;
	} rows[] = {
		{ { { 0, MAX } }, 1, 0 },
		{ { { 5, 5 } }, 1, -EINVAL },
		{ { { 6, 5 } }, 1, -EINVAL },
		{ { { 5, 6 }, { 6, 7 } }, 2, -EINVAL },
		{ { { 6, 7 }, { 5, 6 } }, 2, -EINVAL },
		{ { { 5, 6 }, { 7, 8 } }, 2, 0 },
		{ { { 5, 6 }, { 5, 6 } }, 2, -EINVAL },
		{ { { 5, 20 }, { 7, 8 } }, 2, -EINVAL },
		{ { { MAX - 1, MAX }, { 0, 1 } }, 2, 0 },
	};
	u32 ioas = ioas_new(&rig);
	u8 *at = pages_new(2 * PAGE);
	u64 iova = 0;

	for (size_t i = 0; i < ui_array_size(rows); i++)
		assert_int_equal(allow(&rig, ioas, rows[i].list, rows[i].n), rows[i].ret);
	assert_int_equal(allow(&rig, ioas, NULL, 1), -EFAULT);
	assert_int_equal(allow(&rig, ioas, NULL, 0xffffffff), -EFAULT);
	/* An early wrong entry comes before a later unreadable one. */
	munmap(at + PAGE, PAGE);
	assert_int_equal(allow(&rig, ioas, (void *)(at + PAGE - 16), 2), -EINVAL);
	((struct ui_uapi_iova_range *)(void *)(at + PAGE - 16))->last = 9;
	assert_int_equal(allow(&rig, ioas, (void *)(at + PAGE - 16), 2), -EFAULT);
	/* A refused list leaves the old one. */
	assert_int_equal(allow(&rig, ioas, (struct ui_uapi_iova_range[]){ { 0x50000, 0x50fff } }, 1), 0);
	assert_int_equal(allow(&rig, ioas, rows[3].list, 2), -EINVAL);
	assert_int_equal(map(&rig, ioas, RW, mem, PAGE, &iova), 0);
	assert_int_equal(iova, 0x50000);
	/* Fixed maps do not ask. */
	assert_int_equal(map_at(&rig, ioas, mem, PAGE, 0x10000), 0);
	munmap(at, PAGE);
}

static void unmap_takes_whole_areas_only(void **state)
{
	u32 ioas = ioas_new(&rig);
	u64 removed = 5;

	assert_int_equal(unmap(&rig, 99, 0, 0, NULL), -ENOENT);
	assert_int_equal(unmap(&rig, ioas, 0, MAX, &removed), 0);
	assert_int_equal(removed, 0);
	assert_int_equal(unmap(&rig, ioas, MAX, 1, NULL), -EOVERFLOW);
	assert_int_equal(unmap(&rig, ioas, 1, MAX, NULL), -EOVERFLOW);
	assert_int_equal(unmap(&rig, ioas, 1, 0, NULL), -EINVAL);
	assert_int_equal(unmap(&rig, ioas, MAX - 1, 3, NULL), -EOVERFLOW);
	assert_int_equal(unmap(&rig, ioas, 0, 100, NULL), -ENOENT);
	for (u64 i = 0; i < 4; i++)
		assert_int_equal(map_at(&rig, ioas, mem, PAGE, i * 2 * PAGE), 0);
	assert_int_equal(unmap(&rig, ioas, PAGE, PAGE, NULL), -ENOENT);
	assert_int_equal(unmap(&rig, ioas, 0, PAGE / 2, NULL), -ENOENT);
	assert_int_equal(unmap(&rig, ioas, 1, PAGE, NULL), -ENOENT);
	/* What comes before the offending area is gone, what comes after is not. */
	removed = 77;
	assert_int_equal(unmap(&rig, ioas, 0, 4 * PAGE + 1, &removed), -ENOENT);
	assert_int_equal(removed, 4 * PAGE + 1);
	assert_int_equal(unmap(&rig, ioas, 0, 4 * PAGE, NULL), -ENOENT);
	assert_int_equal(unmap(&rig, ioas, 3 * PAGE, 5 * PAGE, &removed), 0);
	assert_int_equal(removed, 2 * PAGE);
}

static void copy_takes_any_covered_part(void **state)
{
	u32 src = ioas_new(&rig), dst = ioas_new(&rig);
	u64 iova = 0, removed;

	assert_int_equal(map_at(&rig, src, mem, PAGE, PAGE), 0);
	assert_int_equal(map_at(&rig, src, mem + 8 * PAGE, PAGE, 2 * PAGE), 0);
	assert_int_equal(map_at(&rig, src, mem + 9 * PAGE, PAGE, 4 * PAGE), 0);
	assert_int_equal(copy(&rig, 99, 99, RW, 0, MAX, &iova), -EOVERFLOW);
	assert_int_equal(copy(&rig, 99, 99, RW, MAX, 1, &iova), -EOVERFLOW);
	assert_int_equal(copy(&rig, 99, 99, 0, PAGE, 1, &iova), -EINVAL);
	assert_int_equal(copy(&rig, 99, 99, RW, PAGE, 0, &iova), -ENOENT);
	assert_int_equal(copy(&rig, 99, src, RW, PAGE, 0, &iova), -EINVAL);
	assert_int_equal(copy(&rig, 99, src, RW, MAX - 1, 3, &iova), -EOVERFLOW);
	assert_int_equal(copy(&rig, 99, src, RW, PAGE, 2 * PAGE + 1, &iova), -ENOENT);
	assert_int_equal(copy(&rig, 99, src, RW, 0, 2, &iova), -ENOENT);
	assert_int_equal(copy(&rig, 99, src, RW, PAGE, 1, &iova), -ENOENT);
	assert_int_equal(copy(&rig, dst, src, RW, PAGE + 10, 2 * PAGE - 20, &iova), 0);
	/* One area for each of the source's. */
	assert_int_equal(unmap(&rig, dst, iova, PAGE - 11, NULL), -ENOENT);
	assert_int_equal(unmap(&rig, dst, iova, PAGE - 10, &removed), 0);
	assert_int_equal(removed, PAGE - 10);
	assert_int_equal(unmap(&rig, dst, iova + PAGE - 10, PAGE - 10, &removed), 0);
	/* Within one IOAS, too. */
	iova = 0x100000;
	assert_int_equal(copy(&rig, src, src, RW | FIXED, PAGE, 2 * PAGE, &iova), 0);
	iova = 2 * PAGE;
	assert_int_equal(copy(&rig, src, src, RW | FIXED, PAGE, PAGE, &iova), -EEXIST);
	/* Placed by the address of the memory. */
	assert_int_equal(copy(&rig, dst, src, RW, PAGE + 10, 4, &iova), 0);
	assert_int_equal(iova & (PAGE - 1), 10);
}

static void a_copy_never_gains_rights(void **state)
{
	u32 src = ioas_new(&rig), dst = ioas_with_domain();
	u64 iova = PAGE;

	assert_int_equal(map(&rig, src, UI_UAPI_MAP_READABLE | FIXED, mem, PAGE, &iova), 0);
	iova = 2 * PAGE;
	assert_int_equal(map(&rig, src, RW | FIXED, mem + 1, PAGE, &iova), 0);
	iova = PAGE + 1;
	assert_int_equal(copy(&rig, dst, src, RW | FIXED, PAGE, PAGE, &iova), -EINVAL);
	iova = PAGE;
	assert_int_equal(copy(&rig, dst, src, RW | FIXED, PAGE, PAGE, &iova), -EPERM);
	assert_int_equal(copy(&rig, dst, src, UI_UAPI_MAP_READABLE | FIXED, 2 * PAGE, PAGE, &iova), -EINVAL);
	assert_int_equal(copy(&rig, dst, src, UI_UAPI_MAP_READABLE | FIXED, PAGE, PAGE, &iova), 0);
}

/* The backing object lives as long as its last area. */
static void a_copy_outlives_its_source(void **state)
{
	u32 src = ioas_new(&rig), dst = ioas_new(&rig), pt = dst;
	u64 iova = 0x40000, word = 0x1122334455667788, got = 0;

	rig_bind(&rig, 0);
	assert_int_equal(attach(&rig, 0, 0, &pt), 0);
	memcpy(mem + PAGE + 8, &word, 8);
	assert_int_equal(map_at(&rig, src, mem, 4 * PAGE, 0), 0);
	assert_int_equal(copy(&rig, dst, src, RW | FIXED, PAGE, PAGE, &iova), 0);
	assert_int_equal(destroy(&rig, src), 0);
	assert_int_equal(dma_read(&rig, 0, 0, iova + 8, &got, 8), UI_DMA_OK);
	assert_int_equal(got, word);
	assert_int_equal(dma_read(&rig, 0, 0, iova + PAGE, &got, 8), UI_DMA_TRANSLATION);
}

static void huge_pages_option(void **state)
{
	u32 ioas = ioas_new(&rig), n = 0;
	u64 val = 0, alignment;

	assert_int_equal(option(&rig, UI_UAPI_OPTION_HUGE_PAGES, 9, 99, &val), -ENOENT);
	assert_int_equal(option(&rig, UI_UAPI_OPTION_HUGE_PAGES, 9, ioas, &val), -EOPNOTSUPP);
	assert_int_equal(option(&rig, UI_UAPI_OPTION_HUGE_PAGES, UI_UAPI_OPTION_OP_GET, ioas, &val), 0);
	assert_int_equal(val, 1);
	assert_int_equal(huge_pages(&rig, ioas, 2), -EINVAL);
	assert_int_equal(map_at(&rig, ioas, mem, PAGE, 1), 0);
	assert_int_equal(huge_pages(&rig, ioas, 0), -EADDRINUSE);
	assert_int_equal(unmap(&rig, ioas, 0, MAX, NULL), 0);
	assert_int_equal(map_at(&rig, ioas, mem + 1, PAGE, PAGE), 0);
	assert_int_equal(huge_pages(&rig, ioas, 0), -EADDRINUSE);
	assert_int_equal(unmap(&rig, ioas, 0, MAX, NULL), 0);
	assert_int_equal(huge_pages(&rig, ioas, 0), 0);
	assert_int_equal(huge_pages(&rig, ioas, 0), 0);
	assert_int_equal(ranges(&rig, ioas, NULL, &n, &alignment), -EMSGSIZE);
	assert_int_equal(alignment, PAGE);
	assert_int_equal(map_at(&rig, ioas, mem, PAGE, 1), -EINVAL);
	ioas = ioas_with_domain();
	assert_int_equal(map_at(&rig, ioas, mem, PAGE, 0), 0);
	assert_int_equal(huge_pages(&rig, ioas, 0), -EINVAL);
	assert_int_equal(huge_pages(&rig, ioas, 1), 0);
	assert_int_equal(unmap(&rig, ioas, 0, MAX, NULL), 0);
	assert_int_equal(huge_pages(&rig, ioas, 0), 0);
	assert_int_equal(map_at(&rig, ioas, mem, PAGE, 0), 0);
	assert_int_equal(huge_pages(&rig, ioas, 0), 0);
}

static int memory_file(u64 n_bytes)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)n_bytes), 0);
	return fd;
}

static void map_file_checks(void **state)
{
	u32 plain = ioas_new(&rig), ioas = ioas_with_domain();
	int fd = memory_file(4 * PAGE), null = open("/proc/self/cmdline", O_RDONLY), fds[2];
	u64 iova = 0;

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(map_file(&rig, 99, RW, -1, 0, MAX, &iova), -EOVERFLOW);
	assert_int_equal(map_file(&rig, 99, 0, -1, 0, PAGE, &iova), -EINVAL);
	assert_int_equal(map_file(&rig, 99, RW, -1, 0, PAGE, &iova), -ENOENT);
	assert_int_equal(map_file(&rig, ioas, RW, -1, 0, 0, &iova), -EINVAL);
	assert_int_equal(map_file(&rig, ioas, RW, -1, MAX, 2, &iova), -EOVERFLOW);
	assert_int_equal(map_file(&rig, ioas, RW, -1, 0, PAGE, &iova), -EBADF);
	assert_int_equal(map_file(&rig, ioas, RW, 99999, 0, PAGE, &iova), -EBADF);
	/* Any file will do until a device wants its pages. */
	assert_int_equal(map_file(&rig, plain, RW, null, 0, PAGE, &iova), 0);
	assert_int_equal(map_file(&rig, plain, RW, fds[0], 0, PAGE, &iova), 0);
	assert_int_equal(map_file(&rig, ioas, RW, null, 0, PAGE, &iova), -EINVAL);
	assert_int_equal(map_file(&rig, ioas, RW, fds[0], 0, PAGE, &iova), -EINVAL);
	assert_int_equal(map_file(&rig, ioas, RW, fd, 0, 5 * PAGE, &iova), -EINVAL);
	assert_int_equal(map_file(&rig, ioas, RW, fd, 4 * PAGE, PAGE, &iova), -EINVAL);
	assert_int_equal(map_file(&rig, ioas, RW, fd, 100, PAGE, &iova), -EINVAL);
	assert_int_equal(map_file(&rig, ioas, RW, fd, 0, 4 * PAGE, &iova), 0);
	assert_int_equal(ftruncate(fd, 3 * PAGE + 1), 0);
	assert_int_equal(map_file(&rig, ioas, RW, fd, 0, 4 * PAGE, &iova), -EINVAL);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(map_file(&rig, ioas, RW, fd, 0, PAGE, &iova), -EINVAL);
	close(fd);
	close(null);
	close(fds[0]);
	close(fds[1]);
}

/* The file outlives its descriptor for as long as an area or a copy needs it; holes are filled. */
static void a_mapped_file_lives_as_long_as_its_mapping(void **state)
{
	u32 src = ioas_new(&rig), dst = ioas_new(&rig), pt = dst;
	int fd = memory_file(16 * PAGE), again = dup(fd);
	u64 iova = 0x100000, at = 0, word = 0xabcdef, got = 0;
	struct stat st;

	rig_bind(&rig, 0);
	assert_int_equal(attach(&rig, 0, 0, &pt), 0);
	assert_int_equal(map_file(&rig, src, RW, fd, 3 * PAGE, 4 * PAGE, &at), 0);
	assert_int_equal(copy(&rig, dst, src, RW | FIXED, at, 4 * PAGE, &iova), 0);
	close(fd);
	assert_int_equal(destroy(&rig, src), 0);
	assert_int_equal(fstat(again, &st), 0);
	assert_int_equal(st.st_blocks, 4 * PAGE / 512);
	assert_int_equal(dma_write(&rig, 0, 0, iova + PAGE, &word, 8), UI_DMA_OK);
	assert_int_equal(pread(again, &got, 8, 4 * PAGE), 8);
	assert_int_equal(got, word);
	close(again);
	assert_int_equal(dma_read(&rig, 0, 0, iova + PAGE, &got, 8), UI_DMA_OK);
	assert_int_equal(got, word);
}

static void file_offsets_place_like_addresses(void **state)
{
	u32 ioas = ioas_new(&rig);
	int fd = memory_file(16 * PAGE);
	u64 iova = 0;

	assert_int_equal(map_file(&rig, ioas, RW, fd, 0x800, 0x800, &iova), 0);
	assert_int_equal(iova, PAGE + 0x800);
	assert_int_equal(map_file(&rig, ioas, RW, fd, 0, PAGE, &iova), 0);
	assert_int_equal(iova, 2 * PAGE);
	close(fd);
}

static void change_process_wants_files_only(void **state)
{
	struct ui_uapi_ioas_change_process cmd = { .size = sizeof(cmd) };
	u32 a = ioas_new(&rig), b = ioas_new(&rig);
	int fd = memory_file(PAGE);
	u64 iova = 0;

	assert_int_equal(map_file(&rig, a, RW, fd, 0, PAGE, &iova), 0);
	assert_int_equal(call(&rig, UI_UAPI_IOAS_CHANGE_PROCESS, &cmd), 0);
	assert_int_equal(map_at(&rig, b, mem, PAGE, 0), 0);
	assert_int_equal(call(&rig, UI_UAPI_IOAS_CHANGE_PROCESS, &cmd), -EINVAL);
	assert_int_equal(unmap(&rig, b, 0, MAX, NULL), 0);
	assert_int_equal(call(&rig, UI_UAPI_IOAS_CHANGE_PROCESS, &cmd), 0);
	close(fd);
}

/* The whole space in one area; nothing wraps. */
static void the_largest_area(void **state)
{
	u32 ioas = ioas_new(&rig), other = ioas_new(&rig);
	u64 iova = 1, removed;

	assert_int_equal(map_at(&rig, ioas, NULL, MAX - PAGE, 1), 0);
	assert_int_equal(copy(&rig, other, ioas, RW | FIXED, 1, MAX - PAGE, &iova), 0);
	assert_int_equal(unmap(&rig, ioas, 0, MAX, &removed), 0);
	assert_int_equal(removed, MAX - PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(map_checks_its_fields_in_order),
		T(fixed_maps_never_overlap),
		T(a_domain_brings_its_alignment_and_aperture),
		T(memory_that_is_not_there_is_efault),
		T(a_domain_is_refused_if_memory_is_not_there),
		T(automatic_placement),
		T(placement_keeps_alignment_and_reserved_space),
		T(iova_ranges_tells_what_is_not_reserved),
		T(allow_iovas_checks_each_entry),
		T(unmap_takes_whole_areas_only),
		T(copy_takes_any_covered_part),
		T(a_copy_never_gains_rights),
		T(a_copy_outlives_its_source),
		T(huge_pages_option),
		T(map_file_checks),
		T(a_mapped_file_lives_as_long_as_its_mapping),
		T(file_offsets_place_like_addresses),
		T(change_process_wants_files_only),
		T(the_largest_area),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
