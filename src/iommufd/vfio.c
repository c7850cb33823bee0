/* SPDX-License-Identifier: MIT */
/* The VFIO container's calls, served on the IOAS that VFIO_IOAS chose. They know structures by argsz and flags by EINVAL. */
#include "base/alloc.h"
#include "base/bits.h"
#include "base/user.h"
#include "iommufd/ctx.h"

#include <errno.h>
#include <string.h>

static long check_extension(struct ui_iommufd *ctx, u64 extension)
{
	struct ui_ioas_obj *ioas;

	switch (extension) {
	case UI_UAPI_VFIO_TYPE1:
	case UI_UAPI_VFIO_TYPE1V2:
	case UI_UAPI_VFIO_UNMAP_ALL:
		return 1;
	case UI_UAPI_VFIO_DMA_CC:
		/* Every domain there is keeps caches coherent. */
		ioas = ui_vfio_ioas_get(ctx);
		if (!ioas)
			return -ENODEV;
		ui_obj_put(ctx, &ioas->obj);
		return 1;
	default:
		return 0;
	}
}

static long set_iommu(struct ui_iommufd *ctx, u64 type)
{
	struct ui_ioas_obj *ioas;
	int ret = 0;

	if (type != UI_UAPI_VFIO_TYPE1 && type != UI_UAPI_VFIO_TYPE1V2)
		return -EINVAL;
	ioas = ui_vfio_ioas_get(ctx);
	if (!ioas)
		return -ENODEV;
	/* Version 1 unmaps any part of what it mapped: with small pages only, any area can be split. */
	if (type == UI_UAPI_VFIO_TYPE1)
		ret = ui_ioas_set_huge_pages(ioas->ioas, false);
	ui_obj_put(ctx, &ioas->obj);
	return ret;
}

/* What GET_INFO appends: each capability at a multiple of 8 bytes. */
struct info {
	u8 *bytes; /* the structure and its capabilities; NULL while they are only counted */
	u32 n_bytes;
};

static void info_add(struct info *info, u32 *link, const void *cap, size_t n_bytes)
{
	if (info->bytes) {
		*link = info->n_bytes;
		memcpy(info->bytes + info->n_bytes, cap, n_bytes);
	}
	info->n_bytes += (u32)(n_bytes + 7) & ~7u;
}

/* In bytes, capabilities that fit behind one another in a buffer of zeros for ui_free(). */
static int build_info(struct ui_ioas *ioas, struct info *info)
{
	struct ui_uapi_vfio_cap_avail avail = { .header = { UI_UAPI_VFIO_CAP_DMA_AVAIL, 1, 0 }, .avail = ~0u };
	struct ui_uapi_vfio_cap_ranges *ranges = NULL;
	struct ui_uapi_vfio_info *head;
	struct ui_iova_range *holes;
	size_t n, n_ranges_bytes;
	int ret = ui_ioas_ranges(ioas, &holes, &n);

	if (ret)
		return ret;
	n_ranges_bytes = sizeof(*ranges) + n * sizeof(*holes);
	ranges = ui_zalloc(n_ranges_bytes);
	info->bytes = ui_zalloc(sizeof(*head) + 16 + n_ranges_bytes);
	if (!ranges || !info->bytes) {
		ret = -ENOMEM;
		goto out;
	}
	ranges->header = (struct ui_uapi_vfio_cap){ UI_UAPI_VFIO_CAP_IOVA_RANGE, 1, 0 };
	ranges->nr_iovas = (u32)n;
	memcpy(ranges + 1, holes, n * sizeof(*holes));
	head = (void *)info->bytes;
	info->n_bytes = sizeof(*head);
	info_add(info, &head->cap_offset, &avail, sizeof(avail));
	info_add(info, &((struct ui_uapi_vfio_cap *)(void *)(info->bytes + head->cap_offset))->next, ranges, n_ranges_bytes);
	head->argsz = info->n_bytes;
	head->flags = UI_UAPI_VFIO_INFO_PGSIZES | UI_UAPI_VFIO_INFO_CAPS;
	head->iova_pgsizes = ui_ioas_page_sizes(ioas);
	if (head->iova_pgsizes & (UI_PAGE_BYTES - 1))
		head->iova_pgsizes = (head->iova_pgsizes & ~(UI_PAGE_BYTES - 1)) | UI_PAGE_BYTES;
	head->iova_pgsizes = ui_max(head->iova_pgsizes, ui_ioas_alignment(ioas));
out:
	ui_free(holes);
	ui_free(ranges);
	return ret;
}

static long get_info(struct ui_iommufd *ctx, u64 arg)
{
	const u32 min = offsetof(struct ui_uapi_vfio_info, cap_offset);
	struct ui_uapi_vfio_info head;
	struct ui_ioas_obj *ioas;
	struct info info = { 0 };
	int ret;

	if (ui_user_read(&head, arg, min))
		return -EFAULT;
	if (head.argsz < min)
		return -EINVAL;
	ioas = ui_vfio_ioas_get(ctx);
	if (!ioas)
		return -ENODEV;
	ret = build_info(ioas->ioas, &info);
	ui_obj_put(ctx, &ioas->obj);
	if (!ret && head.argsz < info.n_bytes)
		((struct ui_uapi_vfio_info *)(void *)info.bytes)->cap_offset = 0;
	if (!ret)
		ret = ui_user_write(arg, info.bytes, head.argsz < info.n_bytes ? head.argsz : info.n_bytes);
	ui_free(info.bytes);
	return ret;
}

static long map_dma(struct ui_iommufd *ctx, u64 arg)
{
	struct ui_uapi_vfio_map map;
	struct ui_ioas_piece piece = { 0 };
	struct ui_ioas_obj *ioas;
	unsigned prot;
	int ret;

	if (ui_user_read(&map, arg, sizeof(map)))
		return -EFAULT;
	if (map.argsz < sizeof(map) || (map.flags & ~(u32)(UI_UAPI_VFIO_MAP_READ | UI_UAPI_VFIO_MAP_WRITE)))
		return -EINVAL;
	ioas = ui_vfio_ioas_get(ctx);
	if (!ioas)
		return -ENODEV;
	prot = (map.flags & UI_UAPI_VFIO_MAP_READ ? UI_PROT_READ : 0u) | (map.flags & UI_UAPI_VFIO_MAP_WRITE ? UI_PROT_WRITE : 0u);
	ret = ui_user_pages_create(ctx, map.vaddr, map.size, prot & UI_PROT_WRITE, &piece.pages);
	if (!ret) {
		piece.length = map.size;
		ret = ui_ioas_map(ioas->ioas, &piece, 1, &map.iova, true, prot);
		ui_pages_put(piece.pages);
	}
	ui_obj_put(ctx, &ioas->obj);
	return ret;
}

static int unmap_range(struct ui_ioas *ioas, const struct ui_uapi_vfio_unmap *unmap, u64 *removed)
{
	u64 last;

	*removed = 0;
	if (!unmap->size)
		return -EINVAL;
	if (!ui_range_last(unmap->iova, unmap->size, &last))
		return -EOVERFLOW;
	return ui_ioas_unmap(ioas, unmap->iova, last, removed);
}

/* Version 1: areas that lie across the borders of the range are split there. */
static int cut_borders(struct ui_ioas *ioas, const struct ui_uapi_vfio_unmap *unmap)
{
	int ret = ui_ioas_cut(ioas, unmap->iova + unmap->size - 1);

	return ret || !unmap->iova ? ret : ui_ioas_cut(ioas, unmap->iova - 1);
}

static int unmap_and_tell(struct ui_ioas *ioas, struct ui_uapi_vfio_unmap *unmap, u64 arg)
{
	u64 removed;
	int ret;

	if (unmap->flags & UI_UAPI_VFIO_UNMAP_ALL_FLAG) {
		if (unmap->iova || unmap->size)
			return -EINVAL;
		ret = ui_ioas_unmap(ioas, 0, ~(u64)0, &removed);
	} else {
		ret = ui_ioas_huge_pages(ioas) ? 0 : cut_borders(ioas, unmap);
		if (ret)
			return ret;
		ret = unmap_range(ioas, unmap, &removed);
	}
	/* Also when some could not be removed. */
	unmap->size = removed;
	return ui_user_write(arg, unmap, sizeof(*unmap)) ? -EFAULT : ret;
}

static long unmap_dma(struct ui_iommufd *ctx, u64 arg)
{
	struct ui_uapi_vfio_unmap unmap;
	struct ui_ioas_obj *ioas;
	int ret;

	if (ui_user_read(&unmap, arg, sizeof(unmap)))
		return -EFAULT;
	if (unmap.argsz < sizeof(unmap) || (unmap.flags & ~(u32)UI_UAPI_VFIO_UNMAP_ALL_FLAG))
		return -EINVAL;
	ioas = ui_vfio_ioas_get(ctx);
	if (!ioas)
		return -ENODEV;
	ret = unmap_and_tell(ioas->ioas, &unmap, arg);
	ui_obj_put(ctx, &ioas->obj);
	return ret;
}

long ui_vfio_container_ioctl(struct ui_iommufd *ctx, u32 cmd, u64 arg)
{
	switch (cmd) {
	case UI_UAPI_VFIO_GET_API_VERSION:
		return 0;
	case UI_UAPI_VFIO_CHECK_EXTENSION:
		return check_extension(ctx, arg);
	case UI_UAPI_VFIO_SET_IOMMU:
		return set_iommu(ctx, arg);
	case UI_UAPI_VFIO_IOMMU_GET_INFO:
		return get_info(ctx, arg);
	case UI_UAPI_VFIO_IOMMU_MAP_DMA:
		return map_dma(ctx, arg);
	case UI_UAPI_VFIO_IOMMU_UNMAP_DMA:
		return unmap_dma(ctx, arg);
	default:
		return -ENOTTY;
	}
}
