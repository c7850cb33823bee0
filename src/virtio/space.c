/* SPDX-License-Identifier: MIT */
/* MAP and UNMAP: the table and the marks of what each MAP made are changed together. */
#include "base/alloc.h"
#include "base/bits.h"
#include "virtio/iommu_priv.h"

int ui_viommu_space_create(const struct ui_virtio_iommu_cfg *cfg, struct ui_device *dev, u32 pasid, bool has_pasid, struct viommu_space **out)
{
	struct viommu_space *space = ui_zalloc(sizeof(*space));
	int ret;

	if (!space)
		return -ENOMEM;
	space->pasid = pasid;
	space->has_pasid = has_pasid;
	space->resv = ui_device_reserved(dev, &space->n_resv);
	space->granule_lg2 = (u8)ui_ffs64(cfg->page_sizes);
	ui_marks_init(&space->maps, cfg->input_last >> space->granule_lg2);
	ui_list_init(&space->link);
	ret = ui_domain_create_paging(dev, has_pasid ? UI_DOMAIN_F_PASID : 0, NULL, &space->table);
	if (ret) {
		ui_free(space);
		return ret;
	}
	*out = space;
	return 0;
}

void ui_viommu_space_destroy(struct viommu_space *space)
{
	ui_domain_destroy(space->table);
	ui_marks_fini(&space->maps);
	ui_list_del(&space->link);
	ui_free(space);
}

struct viommu_space *ui_viommu_space_find(const struct viommu_domain *domain, u32 pasid, bool has_pasid)
{
	ui_list_for_each(item, &domain->spaces) {
		struct viommu_space *space = ui_container_of(item, struct viommu_space, link);

		if (space->has_pasid == has_pasid && (!has_pasid || space->pasid == pasid))
			return space;
	}
	return NULL;
}

static bool meets_resv(const struct viommu_space *space, u64 start, u64 last)
{
	for (size_t i = 0; i < space->n_resv; i++) {
		if (start <= space->resv[i].last && last >= space->resv[i].start)
			return true;
	}
	return false;
}

/* 5.13.6.6.2: alignment comes before what is there already. */
static enum viommu_status check_map(const struct ui_virtio_iommu_cfg *cfg, const struct viommu_space *space, u64 start, u64 last, u64 phys)
{
	u64 granule = UI_BIT(space->granule_lg2), phys_last;

	if (last < start)
		return VIOMMU_S_INVAL;
	if (!ui_is_aligned(start, granule) || !ui_is_aligned(last + 1, granule) || !ui_is_aligned(phys, granule))
		return VIOMMU_S_RANGE;
	if (start < cfg->input_start || last > cfg->input_last)
		return VIOMMU_S_RANGE;
	if (__builtin_add_overflow(phys, last - start, &phys_last) || phys_last > cfg->phys_last)
		return VIOMMU_S_RANGE;
	return meets_resv(space, start, last) ? VIOMMU_S_INVAL : VIOMMU_S_OK;
}

enum viommu_status ui_viommu_map(const struct ui_virtio_iommu_cfg *cfg, struct viommu_space *space, u64 start, u64 last, u64 phys, u32 flags)
{
	enum viommu_status status = check_map(cfg, space, start, last, phys);
	unsigned prot = 0;
	int ret;

	if (status)
		return status;
	ret = ui_marks_add(&space->maps, start >> space->granule_lg2, last >> space->granule_lg2);
	if (ret)
		return ui_viommu_status_of(ret);
	/* No format here has write-only leaves: WRITE implies READ. */
	if (flags & (VIOMMU_MAP_READ | VIOMMU_MAP_WRITE))
		prot |= UI_PROT_READ;
	if (flags & VIOMMU_MAP_WRITE)
		prot |= UI_PROT_WRITE;
	/* A mapping that allows nothing is one all the same, but has nothing to say in the table. */
	if (!prot)
		return VIOMMU_S_OK;
	if (flags & VIOMMU_MAP_MMIO)
		prot |= UI_PROT_MMIO;
	ret = ui_domain_map(space->table, start, phys, last - start + 1, prot, 64);
	if (ret)
		ui_marks_remove(&space->maps, start >> space->granule_lg2, last >> space->granule_lg2);
	return ui_viommu_status_of(ret);
}

enum viommu_status ui_viommu_unmap(struct viommu_space *space, u64 start, u64 last)
{
	unsigned lg2 = space->granule_lg2;
	u64 page = start >> lg2, last_page = last >> lg2;
	s64 ret;

	if (last < start)
		return VIOMMU_S_INVAL;
	/* A mapping that reaches out of the range, at either end: nothing is removed. A page that is not all in the range reaches out. */
	if (ui_marks_joins(&space->maps, page) || ui_marks_joins(&space->maps, last_page + 1))
		return VIOMMU_S_RANGE;
	if (!ui_is_aligned(start, UI_BIT(lg2))) {
		if (ui_marks_meets(&space->maps, page, page))
			return VIOMMU_S_RANGE;
		page++;
	}
	if (!ui_is_aligned(last + 1, UI_BIT(lg2))) {
		if (ui_marks_meets(&space->maps, last_page, last_page))
			return VIOMMU_S_RANGE;
		if (!last_page--)
			return VIOMMU_S_OK;
	}
	last_page = ui_min(last_page, space->maps.last_page);
	/* Nothing but pieces of pages, or beyond the input range, or holes. */
	if (page > last_page || !ui_marks_meets(&space->maps, page, last_page))
		return VIOMMU_S_OK;
	ret = ui_domain_unmap(space->table, page << lg2, (last_page << lg2) + (UI_BIT(lg2) - 1), UI_PT_REFUSE);
	if (ret < 0)
		return ui_viommu_status_of((int)ret);
	ui_marks_remove(&space->maps, page, last_page);
	return VIOMMU_S_OK;
}
