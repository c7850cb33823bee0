/* SPDX-License-Identifier: MIT */
/*
 * DMA_MAP and DMA_UNMAP: the client's memory, as regions of the memory object at the addresses it says. With a descriptor it is mapped here, and
 * the client may cut the file short later: the mapping's accesses are fault-safe, as all of DMA's are. Without, it is reached by messages.
 */
#include "vfio_user/priv.h"

#include "base/alloc.h"
#include "base/bits.h"
#include "base/sys.h"
#include "translate/mem.h"

#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* Maps [@offset, @offset + @n_bytes) of the file. 0, or a negative errno. Of huge pages a file is mapped by whole ones. */
static int file_map(struct vu_region *r, int fd, u64 offset, u64 n_bytes, u8 **host)
{
	u64 unit = UI_PAGE_BYTES, start, end, last;
	struct stat st;
	void *map;
	int ret = ui_sys_fstat(fd, &st);

	if (ret)
		return ret;
	/* Anything else has a length that says nothing, or contents that are made while one waits. */
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (!ui_range_last(offset, n_bytes, &last) || st.st_size < 0 || last >= (u64)st.st_size)
		return -EINVAL;
	if (ui_sys_fstype(fd) == HUGETLBFS_MAGIC && ui_is_pow2((u64)st.st_blksize))
		unit = ui_max(unit, (u64)st.st_blksize);
	start = ui_align_down(offset, unit);
	end = ui_align_up(last + 1, unit);
	map = ui_sys_mmap(NULL, end - start, PROT_READ | (r->writable ? PROT_WRITE : 0), MAP_SHARED, fd, start);
	if (ui_sys_is_err(map))
		return (int)(intptr_t)map;
	r->map = map;
	r->map_bytes = end - start;
	*host = r->map + (offset - start);
	return 0;
}

static void region_free(struct vu_region *r)
{
	if (r->map)
		ui_sys_munmap(r->map, r->map_bytes);
	ui_free(r);
}

static int map_check(const struct vu_dma_map *map, u64 *last)
{
	if (map->argsz < sizeof(*map) || !(map->flags & VU_DMA_MAP_READ) || (map->flags & ~(u32)(VU_DMA_MAP_READ | VU_DMA_MAP_WRITE)))
		return -EINVAL;
	if (!ui_is_aligned(map->iova | map->n_bytes | map->offset, UI_PAGE_BYTES))
		return -EINVAL;
	return ui_range_last(map->iova, map->n_bytes, last) && !(*last >> UI_VU_DMA_BITS) ? 0 : -EINVAL;
}

int ui_vu_dma_map(struct ui_vu *vu, const u8 *payload, u32 n_bytes, struct vu_out **out)
{
	struct vu_region *r;
	struct vu_dma_map map;
	u8 *host = NULL;
	u64 last;
	int ret;

	memcpy(&map, payload, sizeof(map));
	ret = map_check(&map, &last);
	if (ret)
		return ret;
	if (vu->n_regions >= UI_VU_MAX_REGIONS)
		return -ENOSPC;
	r = ui_zalloc(sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->vu = vu;
	r->iova = map.iova;
	r->last = last;
	r->writable = map.flags & VU_DMA_MAP_WRITE;
	if (vu->n_fds)
		ret = file_map(r, vu->fds[0], map.offset, map.n_bytes, &host);
	if (!ret)
		ret = host ? ui_mem_add_ram(vu->dev.mem, map.iova, map.n_bytes, host, r->writable) :
			     ui_mem_add_mmio(vu->dev.mem, map.iova, map.n_bytes, &ui_vu_call_ops, r);
	if (ret) {
		region_free(r);
		return ret;
	}
	ui_list_add_tail(&vu->regions, &r->link);
	vu->n_regions++;
	return 0;
}

/* When it returns 0 nothing can reach the region. */
static int region_remove(struct ui_vu *vu, struct vu_region *r)
{
	int ret;

	/* Removal waits for messages under way: they would be answered by whoever waits here. */
	if (!r->map)
		ui_vu_calls_fail(vu, r);
	ret = ui_mem_remove(vu->dev.mem, r->iova);
	if (ret)
		return ret;
	ui_list_del(&r->link);
	vu->n_regions--;
	region_free(r);
	return 0;
}

void ui_vu_regions_remove(struct ui_vu *vu)
{
	ui_list_for_each_safe(pos, &vu->regions)
	{
		/* Without memory now, with memory later. */
		while (region_remove(vu, ui_container_of(pos, struct vu_region, link)))
			ui_sys_yield();
	}
}

/* Would it cut a region in two? */
static bool cuts(const struct ui_vu *vu, u64 start, u64 last)
{
	ui_list_for_each(pos, &vu->regions)
	{
		const struct vu_region *r = ui_container_of(pos, struct vu_region, link);

		if (r->iova <= last && r->last >= start && (r->iova < start || r->last > last))
			return true;
	}
	return false;
}

/* As VFIO's type1: all regions inside the range, which is no end of one. The answer says how many bytes went. */
int ui_vu_dma_unmap(struct ui_vu *vu, const u8 *payload, u32 n_bytes, struct vu_out **out)
{
	struct vu_dma_unmap unmap;
	u64 start, last = ~(u64)0, gone = 0;
	int ret = 0;

	memcpy(&unmap, payload, sizeof(unmap));
	if (unmap.argsz < sizeof(unmap) || (unmap.flags & ~(u32)VU_DMA_UNMAP_ALL))
		return -EINVAL;
	start = unmap.iova;
	if (unmap.flags & VU_DMA_UNMAP_ALL ? unmap.iova || unmap.n_bytes :
	    !ui_is_aligned(unmap.iova | unmap.n_bytes, UI_PAGE_BYTES) || !ui_range_last(start, unmap.n_bytes, &last))
		return -EINVAL;
	if (cuts(vu, start, last))
		return -EINVAL;
	/* First: what is gone cannot be brought back without memory for the answer. */
	*out = ui_vu_out_new(sizeof(unmap));
	if (!*out)
		return -ENOMEM;
	ui_list_for_each_safe(pos, &vu->regions)
	{
		struct vu_region *r = ui_container_of(pos, struct vu_region, link);
		u64 bytes = r->last - r->iova + 1;

		if (r->iova < start || r->last > last)
			continue;
		ret = region_remove(vu, r);
		if (ret)
			break;
		gone += bytes;
	}
	unmap.n_bytes = gone;
	memcpy((*out)->payload, &unmap, sizeof(unmap));
	return ret;
}
