/* SPDX-License-Identifier: MIT */
/*
 * The calls of a type1 container. Mappings are known by what MAP_DMA was called with, whatever lies in the IOAS. Dirty pages: the
 * kernel's driver does not ask the IOMMU, so every mapped page of a container with a real device counts as dirty.
 */
#include "iommufd/type1.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "base/user.h"

#include <errno.h>
#include <string.h>

#define DIRTY_BYTES_MAX ((u64)1 << 28) /* a bit for each of 2^31 pages */

/* Marks a mapping in the list whose user address was declared invalid; the others have NULL. */
static char vaddr_invalid;

/* Bit n: 2^n bytes; the page size and above. */
static u64 page_sizes(const struct ui_type1 *t)
{
	u64 sizes = ui_ioas_page_sizes(t->ioas->ioas);

	return sizes & (UI_PAGE_BYTES - 1) ? (sizes & ~(UI_PAGE_BYTES - 1)) | UI_PAGE_BYTES : sizes;
}

static u64 granule(const struct ui_type1 *t)
{
	return UI_BIT(ui_ffs64(page_sizes(t)));
}

/* --- MAP_DMA --- */

/* Another user address for the whole of a mapping. DMA goes on to the pages that were found when it was made. */
static int map_vaddr(struct ui_type1 *t, u64 iova, u64 last)
{
	struct ui_ivl_item item;

	if (!ui_ivl_meets(&t->maps, iova, last, &item))
		return -ENOENT;
	if (!item.ptr || item.start != iova || item.last != last)
		return -EINVAL;
	ui_ivl_set_ptr(&t->maps, iova, NULL);
	t->n_invalid--;
	return 0;
}

static int map_pages(struct ui_iommufd *ctx, const struct ui_uapi_vfio_map *map, u64 last)
{
	struct ui_type1 *t = ctx->type1;
	struct ui_ioas_piece piece = { .length = map->size };
	unsigned prot = (map->flags & UI_UAPI_VFIO_MAP_READ ? UI_PROT_READ : 0u) | (map->flags & UI_UAPI_VFIO_MAP_WRITE ? UI_PROT_WRITE : 0u);
	u64 iova = map->iova;
	int ret = ui_ivl_insert(&t->maps, iova, last, NULL);

	if (ret)
		return ret;
	ret = ui_user_pages_create(ctx, map->vaddr, map->size, prot & UI_PROT_WRITE, &piece.pages);
	if (!ret) {
		ret = ui_ioas_map(t->ioas->ioas, &piece, 1, &iova, true, prot);
		ui_pages_put(piece.pages);
	}
	if (ret)
		ui_ivl_erase(&t->maps, iova);
	else
		t->avail--;
	return ret;
}

static int do_map(struct ui_iommufd *ctx, const struct ui_uapi_vfio_map *map)
{
	const u32 access = UI_UAPI_VFIO_MAP_READ | UI_UAPI_VFIO_MAP_WRITE;
	struct ui_type1 *t = ctx->type1;
	u64 last, vaddr_last;

	if (!map->size || !(map->flags & access) == !(map->flags & UI_UAPI_VFIO_MAP_VADDR))
		return -EINVAL;
	if (!ui_range_last(map->iova, map->size, &last) || !ui_range_last(map->vaddr, map->size, &vaddr_last))
		return -EOVERFLOW;
	if ((map->size | map->iova | map->vaddr) & (granule(t) - 1))
		return -EINVAL;
	if (map->flags & UI_UAPI_VFIO_MAP_VADDR)
		return map_vaddr(t, map->iova, last);
	if (ui_ivl_meets(&t->maps, map->iova, last, NULL))
		return -EEXIST;
	return t->avail ? map_pages(ctx, map, last) : -ENOSPC;
}

static int map_dma(struct ui_iommufd *ctx, u64 arg)
{
	struct ui_type1 *t = ctx->type1;
	struct ui_uapi_vfio_map map;
	int ret = -EINVAL;

	if (ui_user_read(&map, arg, sizeof(map)))
		return -EFAULT;
	if (map.argsz < sizeof(map) || (map.flags & ~(u32)(UI_UAPI_VFIO_MAP_READ | UI_UAPI_VFIO_MAP_WRITE | UI_UAPI_VFIO_MAP_VADDR)))
		return -EINVAL;
	pthread_mutex_lock(&t->lock);
	if (t->type)
		ret = do_map(ctx, &map);
	pthread_mutex_unlock(&t->lock);
	return ret;
}

/* --- Dirty pages --- */

/* The size of the bitmap must do for @size bytes of pages; its page size is the one there is. */
static int check_bitmap(const struct ui_uapi_vfio_bitmap *bitmap, u64 size)
{
	u64 n_pages;

	if (!bitmap->pgsize)
		return -EINVAL;
	n_pages = size >> ui_ffs64(bitmap->pgsize);
	if (!n_pages || n_pages > DIRTY_BYTES_MAX * 8 || !bitmap->size || bitmap->size > DIRTY_BYTES_MAX ||
	    bitmap->size < ui_align_up(n_pages, 64) / 8)
		return -EINVAL;
	return 0;
}

/* No mapping lies across a border of the range. */
static bool covers_whole(const struct ui_type1 *t, u64 iova, u64 last)
{
	struct ui_ivl_item item;

	if (ui_ivl_meets(&t->maps, iova, iova, &item) && item.start != iova)
		return false;
	return !ui_ivl_meets(&t->maps, last, last, &item) || item.last == last;
}

static int do_get_bitmap(struct ui_type1 *t, const struct ui_uapi_vfio_dirty_get *get)
{
	u64 page = granule(t), last = get->iova + (get->size - 1);
	struct ui_ivl_item item;
	int ret = 0;

	if (get->bitmap.pgsize != page || ((get->iova | get->size) & (page - 1)) || !t->tracking || !covers_whole(t, get->iova, last))
		return -EINVAL;
	for (bool more = ui_ivl_first(&t->maps, get->iova, &item); more && !ret && item.start <= last; more = ui_ivl_next(&t->maps, &item))
		ret = ui_user_set_bits(get->bitmap.data, (item.start - get->iova) / page, (item.last - get->iova) / page);
	return ret;
}

static int get_bitmap(struct ui_type1 *t, u32 argsz, u64 arg)
{
	struct ui_uapi_vfio_dirty_get get;
	int ret = -EINVAL;
	u64 end;

	if (argsz < sizeof(struct ui_uapi_vfio_dirty) + sizeof(get))
		return -EINVAL;
	if (ui_user_read(&get, arg + sizeof(struct ui_uapi_vfio_dirty), sizeof(get)))
		return -EFAULT;
	if (__builtin_add_overflow(get.iova, get.size, &end) || check_bitmap(&get.bitmap, get.size))
		return -EINVAL;
	pthread_mutex_lock(&t->lock);
	if (t->type)
		ret = do_get_bitmap(t, &get);
	pthread_mutex_unlock(&t->lock);
	return ret;
}

static int dirty_pages(struct ui_iommufd *ctx, u64 arg)
{
	struct ui_type1 *t = ctx->type1;
	struct ui_uapi_vfio_dirty dirty;
	bool v2;

	pthread_mutex_lock(&t->lock);
	v2 = t->type == UI_UAPI_VFIO_TYPE1V2;
	pthread_mutex_unlock(&t->lock);
	if (!v2)
		return -EACCES;
	if (ui_user_read(&dirty, arg, sizeof(dirty)))
		return -EFAULT;
	if (dirty.argsz < sizeof(dirty))
		return -EINVAL;
	switch (dirty.flags) {
	case UI_UAPI_VFIO_DIRTY_START:
	case UI_UAPI_VFIO_DIRTY_STOP:
		pthread_mutex_lock(&t->lock);
		t->tracking = t->type && dirty.flags == UI_UAPI_VFIO_DIRTY_START;
		pthread_mutex_unlock(&t->lock);
		return 0;
	case UI_UAPI_VFIO_DIRTY_GET_BITMAP:
		return get_bitmap(t, dirty.argsz, arg);
	default:
		return -EINVAL;
	}
}

/* --- UNMAP_DMA --- */

/* Declares the addresses of the mappings in the range invalid: all or, when one is already, none. */
static int invalidate(struct ui_type1 *t, u64 iova, u64 last, u64 *n_bytes)
{
	struct ui_ivl_item item;
	bool more;

	for (more = ui_ivl_first(&t->maps, iova, &item); more && item.start <= last; more = ui_ivl_next(&t->maps, &item)) {
		if (item.ptr)
			return -EINVAL;
	}
	for (more = ui_ivl_first(&t->maps, iova, &item); more && item.start <= last; more = ui_ivl_next(&t->maps, &item)) {
		/* Version 1: only from the first address of a mapping on. */
		if (item.start < iova)
			break;
		ui_ivl_set_ptr(&t->maps, item.start, &vaddr_invalid);
		t->n_invalid++;
		*n_bytes += item.last - item.start + 1;
	}
	return 0;
}

static int remove_map(struct ui_type1 *t, const struct ui_ivl_item *item)
{
	u64 removed;
	int ret = ui_ioas_unmap(t->ioas->ioas, item->start, item->last, &removed);

	if (ret)
		return ret;
	ui_ivl_erase(&t->maps, item->start);
	t->n_invalid -= item->ptr != NULL;
	t->avail++;
	return 0;
}

/*
 * Version 2 wants whole mappings. Version 1 removes a mapping whose first address is in the range, whole, and is content with
 * nothing otherwise.
 */
static int remove_range(struct ui_type1 *t, u64 iova, u64 last, const struct ui_uapi_vfio_bitmap *bitmap, u64 *n_bytes)
{
	struct ui_ivl_item item;
	u64 page = granule(t);
	int ret = 0;

	for (bool more = ui_ivl_first(&t->maps, iova, &item); more && item.start <= last; more = ui_ivl_next(&t->maps, &item)) {
		if (item.start < iova)
			break;
		if (bitmap)
			ret = ui_user_set_bits(bitmap->data, (item.start - iova) / page, (item.last - iova) / page);
		if (!ret)
			ret = remove_map(t, &item);
		if (ret)
			break;
		*n_bytes += item.last - item.start + 1;
	}
	return ret;
}

static int do_unmap(struct ui_type1 *t, struct ui_uapi_vfio_unmap *unmap, const struct ui_uapi_vfio_bitmap *bitmap)
{
	bool all = unmap->flags & UI_UAPI_VFIO_UNMAP_ALL_FLAG;
	u64 page = granule(t), last = ~(u64)0, n_bytes = 0;
	int ret;

	if ((unmap->iova & (page - 1)) || (all && (unmap->iova || unmap->size)) || (!all && (!unmap->size || (unmap->size & (page - 1)))))
		return -EINVAL;
	if (!all && !ui_range_last(unmap->iova, unmap->size, &last))
		return -EOVERFLOW;
	if (bitmap && (!t->tracking || bitmap->pgsize != page))
		return -EINVAL;
	if (t->type == UI_UAPI_VFIO_TYPE1V2 && !all && !covers_whole(t, unmap->iova, last))
		return -EINVAL;
	if (unmap->flags & UI_UAPI_VFIO_UNMAP_VADDR)
		ret = invalidate(t, unmap->iova, last, &n_bytes);
	else
		ret = remove_range(t, unmap->iova, last, bitmap, &n_bytes);
	unmap->size = n_bytes;
	return ret;
}

static int unmap_dma(struct ui_iommufd *ctx, u64 arg)
{
	const u32 dirty = UI_UAPI_VFIO_UNMAP_DIRTY, others = UI_UAPI_VFIO_UNMAP_ALL_FLAG | UI_UAPI_VFIO_UNMAP_VADDR;
	struct ui_type1 *t = ctx->type1;
	struct ui_uapi_vfio_bitmap bitmap;
	struct ui_uapi_vfio_unmap unmap;
	int ret = -EINVAL;

	if (ui_user_read(&unmap, arg, sizeof(unmap)))
		return -EFAULT;
	if (unmap.argsz < sizeof(unmap) || (unmap.flags & ~(dirty | others)) || ((unmap.flags & dirty) && (unmap.flags & others)))
		return -EINVAL;
	if (unmap.flags & dirty) {
		if (unmap.argsz < sizeof(unmap) + sizeof(bitmap))
			return -EINVAL;
		if (ui_user_read(&bitmap, arg + sizeof(unmap), sizeof(bitmap)))
			return -EFAULT;
		if (check_bitmap(&bitmap, unmap.size))
			return -EINVAL;
	}
	pthread_mutex_lock(&t->lock);
	if (t->type)
		ret = do_unmap(t, &unmap, unmap.flags & dirty ? &bitmap : NULL);
	pthread_mutex_unlock(&t->lock);
	if (ret)
		return ret;
	return ui_user_write(arg, &unmap, sizeof(unmap));
}

/* --- GET_INFO --- */

/* The structure, its capabilities in the driver's order behind it: for ui_free(). */
static int build_info(struct ui_type1 *t, struct ui_uapi_vfio_info **out, u32 *n_bytes)
{
	struct {
		struct ui_uapi_vfio_info head;
		struct ui_uapi_vfio_cap_migration migration;
		struct ui_uapi_vfio_cap_avail avail;
		u32 pad;
		struct ui_uapi_vfio_cap_ranges ranges;
		/* ranges follow */
	} *info;
	struct ui_iova_range *holes;
	size_t n;
	int ret = ui_ioas_ranges(t->ioas->ioas, &holes, &n);

	if (ret)
		return ret;
	*n_bytes = (u32)(sizeof(*info) + n * sizeof(*holes));
	info = ui_zalloc(*n_bytes);
	if (info) {
		info->head.flags = UI_UAPI_VFIO_INFO_PGSIZES | UI_UAPI_VFIO_INFO_CAPS;
		info->head.iova_pgsizes = page_sizes(t);
		info->migration.header = (struct ui_uapi_vfio_cap){ UI_UAPI_VFIO_CAP_MIGRATION, 1, (u32)((u8 *)&info->avail - (u8 *)info) };
		info->migration.pgsize_bitmap = granule(t);
		info->migration.max_dirty_bitmap_size = DIRTY_BYTES_MAX;
		info->avail.header = (struct ui_uapi_vfio_cap){ UI_UAPI_VFIO_CAP_DMA_AVAIL, 1, (u32)((u8 *)&info->ranges - (u8 *)info) };
		info->avail.avail = t->avail;
		info->ranges.header = (struct ui_uapi_vfio_cap){ UI_UAPI_VFIO_CAP_IOVA_RANGE, 1, 0 };
		info->ranges.nr_iovas = (u32)n;
		memcpy(info + 1, holes, n * sizeof(*holes));
	}
	ui_free(holes);
	*out = info ? &info->head : NULL;
	return info ? 0 : -ENOMEM;
}

/* Unlike on an iommufd argsz is left alone when it suffices, and capabilities are all there or not at all. */
static int get_info(struct ui_iommufd *ctx, u64 arg)
{
	const u32 min = offsetof(struct ui_uapi_vfio_info, cap_offset);
	struct ui_type1 *t = ctx->type1;
	struct ui_uapi_vfio_info *info = NULL;
	u32 argsz, n_bytes;
	int ret = -EINVAL;

	if (ui_user_probe(arg, min, false) || ui_user_read(&argsz, arg, sizeof(argsz)))
		return -EFAULT;
	if (argsz < min)
		return -EINVAL;
	pthread_mutex_lock(&t->lock);
	if (t->type)
		ret = build_info(t, &info, &n_bytes);
	pthread_mutex_unlock(&t->lock);
	if (ret)
		return ret;
	info->argsz = argsz < n_bytes ? n_bytes : argsz;
	info->cap_offset = argsz < n_bytes ? 0 : (u32)sizeof(*info);
	ret = ui_user_write(arg, info, argsz >= n_bytes ? n_bytes : argsz >= sizeof(*info) ? sizeof(*info) : min);
	ui_free(info);
	return ret;
}

/* --- Which call --- */

static long check_extension(struct ui_type1 *t, u64 extension)
{
	bool set;

	pthread_mutex_lock(&t->lock);
	set = t->type;
	pthread_mutex_unlock(&t->lock);
	switch (extension) {
	case UI_UAPI_VFIO_TYPE1:
	case UI_UAPI_VFIO_TYPE1V2:
	case UI_UAPI_VFIO_UNMAP_ALL:
		return 1;
	case UI_UAPI_VFIO_DMA_CC: /* every domain there is keeps caches coherent */
	case UI_UAPI_VFIO_UPDATE_VADDR:
		return set;
	default:
		return 0;
	}
}

static long set_iommu(struct ui_iommufd *ctx, u64 type)
{
	struct ui_type1 *t = ctx->type1;
	int ret;

	pthread_mutex_lock(&t->lock);
	if (t->type || ui_list_empty(&t->groups))
		ret = -EINVAL;
	else if (type != UI_UAPI_VFIO_TYPE1 && type != UI_UAPI_VFIO_TYPE1V2)
		ret = -ENODEV;
	else
		ret = ui_type1_start(ctx, (unsigned)type);
	pthread_mutex_unlock(&t->lock);
	return ret;
}

long ui_type1_ioctl(struct ui_iommufd *ctx, u32 cmd, u64 arg)
{
	struct ui_type1 *t = ctx->type1;
	bool set;

	switch (cmd) {
	case UI_UAPI_VFIO_GET_API_VERSION:
		return 0;
	case UI_UAPI_VFIO_CHECK_EXTENSION:
		return check_extension(t, arg);
	case UI_UAPI_VFIO_SET_IOMMU:
		return set_iommu(ctx, arg);
	}
	/* All others are the driver's, even those it does not have. */
	pthread_mutex_lock(&t->lock);
	set = t->type;
	pthread_mutex_unlock(&t->lock);
	if (!set)
		return -EINVAL;
	switch (cmd) {
	case UI_UAPI_VFIO_IOMMU_GET_INFO:
		return get_info(ctx, arg);
	case UI_UAPI_VFIO_IOMMU_MAP_DMA:
		return map_dma(ctx, arg);
	case UI_UAPI_VFIO_IOMMU_UNMAP_DMA:
		return unmap_dma(ctx, arg);
	case UI_UAPI_VFIO_IOMMU_DIRTY_PAGES:
		return dirty_pages(ctx, arg);
	default:
		return -ENOTTY;
	}
}
