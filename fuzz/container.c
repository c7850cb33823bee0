/* SPDX-License-Identifier: MIT */
#include "container.h"
#include "base/alloc.h"
#include "base/bits.h"

#include <errno.h>
#include <string.h>

/* Nobody can name the objects of a container: the model calls them so. */
enum { SPACE = 1000, HWPT, MAPS_MAX = 65535 };

enum { MAP_FLAGS = UI_UAPI_VFIO_MAP_READ | UI_UAPI_VFIO_MAP_WRITE, BITMAP_BYTES = 4096 };

/* Where bitmaps go that are looked at. */
#define BITMAP (ARENA + SCRATCH_AT * PAGE)

static long call(struct world *w, u32 cmd, const void *arg, u64 inject)
{
	long ret;

	ui_inject_arm(inject);
	ret = ui_iommufd_ioctl(w->ctx, cmd, (u64)(uintptr_t)arg);
	ui_inject_arm(0);
	CHECK(ret > -4096);
	return ret;
}

static void tie(struct world *w, unsigned i, u64 inject)
{
	int ret;

	ui_inject_arm(inject);
	ret = w->binder.ops->tie_group(w->binder.ctx, &w->dev[i], 1, &w->ties[i]);
	ui_inject_arm(0);
	if (ret) {
		w->ties[i] = NULL;
		return;
	}
	w->model.bound[i] = true;
	if (w->type1)
		model_attached(w, i, 0, HWPT, SPACE);
}

/* The last group takes everything along. */
static void untie(struct world *w, unsigned i)
{
	bool any = false;

	if (!w->ties[i])
		return;
	w->binder.ops->untie_group(w->ties[i]);
	w->ties[i] = NULL;
	w->model.bound[i] = false;
	model_detached(w, i, 0);
	for (unsigned k = 0; k < N_DEVICES; k++)
		any |= w->ties[k] != NULL;
	if (any || !w->type1)
		return;
	model_destroyed(w, HWPT);
	model_destroyed(w, SPACE);
	w->type1 = 0;
	w->tracking = false;
}

void container_untie_all(struct world *w)
{
	for (unsigned i = 0; i < N_DEVICES; i++)
		untie(w, i);
}

static void set_iommu(struct world *w, unsigned type, u64 inject)
{
	long ret;

	ui_inject_arm(inject);
	ret = ui_iommufd_ioctl(w->ctx, UI_UAPI_VFIO_SET_IOMMU, type);
	ui_inject_arm(0);
	if (ret)
		return;
	CHECK(!w->type1 && (type == UI_UAPI_VFIO_TYPE1 || type == UI_UAPI_VFIO_TYPE1V2));
	w->type1 = type;
	model_ioas_new(w, SPACE);
	model_hwpt_new(w, HWPT, SPACE, 0, false, false);
	for (unsigned i = 0; i < N_DEVICES; i++) {
		if (w->ties[i])
			model_attached(w, i, 0, HWPT, SPACE);
	}
}

static void map(struct world *w, struct input *in, u64 inject)
{
	u8 flags = input8(in);
	struct ui_uapi_vfio_map cmd = {
		.argsz = sizeof(cmd), .flags = flags < 0xe0 ? 1u + flags % 3u : flags & 7u, .vaddr = input_memory(in), .iova = input_iova(in),
		.size = input_length(in)
	};
	u32 rights = (cmd.flags & UI_UAPI_VFIO_MAP_READ ? UI_UAPI_MAP_READABLE : 0u) |
		     (cmd.flags & UI_UAPI_VFIO_MAP_WRITE ? UI_UAPI_MAP_WRITEABLE : 0u);
	struct space *s = model_space(w, SPACE);
	long ret = call(w, UI_UAPI_VFIO_IOMMU_MAP_DMA, &cmd, inject);

	CHECK(s || ret == -EINVAL);
	if (!ret && (cmd.flags & MAP_FLAGS))
		model_mapped(w, SPACE, cmd.iova, cmd.size, cmd.vaddr, rights, rights & UI_UAPI_MAP_WRITEABLE);
	else if (ret == -EEXIST && !s->lost)
		CHECK(model_overlaps(s, cmd.iova, cmd.size));
}

/* The first area that has an address in [@iova, @last]; @s->n: none. */
static unsigned first_in(const struct space *s, u64 iova, u64 last)
{
	unsigned i;

	for (i = 0; i < s->n; i++) {
		const struct area *a = &s->areas[i];

		if (a->iova + (a->length - 1) >= iova)
			return a->iova <= last ? i : s->n;
	}
	return i;
}

/* What an unmap that succeeded must have done: whole mappings, from the first address on. Version 1 is content with less. */
static void unmapped(struct world *w, struct space *s, u64 iova, u64 last, u64 removed)
{
	unsigned i = first_in(s, iova, last);
	u64 bytes = 0;

	while (i < s->n && s->areas[i].iova <= last) {
		const struct area *a = &s->areas[i];

		if (w->type1 == UI_UAPI_VFIO_TYPE1V2)
			CHECK(a->iova >= iova && a->iova + (a->length - 1) <= last);
		if (a->iova < iova)
			break;
		bytes += a->length;
		model_drop(s, i);
	}
	CHECK(removed == bytes);
	model_compare(w, s);
}

static void bitmap_of(struct input *in, struct ui_uapi_vfio_bitmap *bitmap)
{
	u8 how = input8(in);

	*bitmap = (struct ui_uapi_vfio_bitmap){ .pgsize = PAGE, .size = BITMAP_BYTES, .data = BITMAP };
	if (how >= 0xe0)
		bitmap->data = input_memory(in);
	if (how >= 0xf0)
		bitmap->size = input_length(in);
	if (how >= 0xf8)
		bitmap->pgsize = input_length(in);
}

static void unmap(struct world *w, struct input *in, u64 inject)
{
	struct {
		struct ui_uapi_vfio_unmap head;
		struct ui_uapi_vfio_bitmap bitmap;
	} cmd = { .head = { .argsz = sizeof(cmd) } };
	struct space *s = model_space(w, SPACE);
	u8 how = input8(in);
	u64 last = MAX;
	long ret;

	cmd.head.flags = how < 0xa0 ? 0 : how & 7u;
	if (!(cmd.head.flags & UI_UAPI_VFIO_UNMAP_ALL_FLAG) || how >= 0xf8) {
		cmd.head.iova = input_iova(in);
		cmd.head.size = input_length(in);
		last = cmd.head.iova + (cmd.head.size - 1);
	}
	bitmap_of(in, &cmd.bitmap);
	how = (u8)cmd.head.flags;
	ret = call(w, UI_UAPI_VFIO_IOMMU_UNMAP_DMA, &cmd, inject);
	CHECK(s || ret == -EINVAL);
	if (!s || s->lost || how & UI_UAPI_VFIO_UNMAP_VADDR)
		return;
	if (!ret)
		unmapped(w, s, cmd.head.iova, last, cmd.head.size);
	else if (ret == -EFAULT) /* in the middle of writing the bitmap */
		s->lost = true;
	else
		model_compare(w, s);
}

/* Every mapped page of the range counts as dirty, and no other. */
static void compare_bitmap(const struct space *s, u64 iova, u64 size)
{
	const u8 *bits = (const u8 *)(uintptr_t)BITMAP;

	for (u64 i = 0; i < size / PAGE; i++)
		CHECK((bits[i / 8] >> (i % 8) & 1) == model_overlaps(s, iova + i * PAGE, PAGE));
}

static void dirty_pages(struct world *w, struct input *in, u64 inject)
{
	struct {
		struct ui_uapi_vfio_dirty head;
		struct ui_uapi_vfio_dirty_get get;
	} cmd = { .head = { .argsz = sizeof(cmd) } };
	struct space *s = model_space(w, SPACE);
	u8 how = input8(in);
	long ret;

	cmd.head.flags = how < 0xe0 ? 1u << how % 3u : how & 7u;
	cmd.get.iova = input_iova(in);
	cmd.get.size = input_length(in);
	bitmap_of(in, &cmd.get.bitmap);
	memset((void *)(uintptr_t)BITMAP, 0, BITMAP_BYTES);
	ret = call(w, UI_UAPI_VFIO_IOMMU_DIRTY_PAGES, &cmd, inject);
	if (ret)
		return;
	CHECK(w->type1 == UI_UAPI_VFIO_TYPE1V2);
	if (cmd.head.flags != UI_UAPI_VFIO_DIRTY_GET_BITMAP) {
		w->tracking = cmd.head.flags == UI_UAPI_VFIO_DIRTY_START;
		return;
	}
	CHECK(w->tracking && cmd.get.size / PAGE <= cmd.get.bitmap.size * 8);
	if (!s->lost && cmd.get.bitmap.data == BITMAP && cmd.get.bitmap.size <= BITMAP_BYTES)
		compare_bitmap(s, cmd.get.iova, cmd.get.size);
}

/* The number of mappings that may still be made tells how many there are. */
static void get_info(struct world *w, struct input *in, u64 inject)
{
	struct {
		struct ui_uapi_vfio_info head;
		struct ui_uapi_vfio_cap_migration migration;
		struct ui_uapi_vfio_cap_avail avail;
		u32 rest[64];
	} info = { .head = { .argsz = sizeof(info) } };
	const struct space *s = model_space(w, SPACE);
	u8 less = input8(in);

	if (less >= 0xc0)
		info.head.argsz = less - 0xc0u;
	if (call(w, UI_UAPI_VFIO_IOMMU_GET_INFO, &info, inject))
		return;
	CHECK(s);
	if (less < 0xc0 && !s->lost)
		CHECK(info.head.cap_offset && info.avail.avail == MAPS_MAX - s->n);
}

void container_use(struct world *w, struct input *in, u64 inject)
{
	u8 what = input8(in);
	unsigned i = what / 16u % N_DEVICES;
	u64 arg[16] = { input8(in) };

	switch (what % 16u) {
	case 0: case 1: case 2: map(w, in, inject); break;
	case 3: case 4: unmap(w, in, inject); break;
	case 5: case 6: dirty_pages(w, in, inject); break;
	case 7: get_info(w, in, inject); break;
	case 8: case 9: case 10:
		if (!w->ties[i])
			tie(w, i, inject);
		else if (what >= 0xe0)
			untie(w, i);
		break;
	case 11: case 12: set_iommu(w, arg[0] < 0xc0 ? 1 + arg[0] % 2 * 2 : (unsigned)arg[0], inject); break;
	case 13: ui_iommufd_ioctl(w->ctx, UI_UAPI_VFIO_CHECK_EXTENSION, arg[0]); break;
	case 14: ui_iommufd_ioctl(w->ctx, UI_UAPI_TYPE | (u32)arg[0], (u64)(uintptr_t)arg); break;
	default: ui_iommufd_ioctl(w->ctx, UI_UAPI_TYPE | (u32)arg[0], input_any(in)); break;
	}
}
