/* SPDX-License-Identifier: MIT */
/* Paging domains: which stage serves what (as Linux's driver chooses), and their tags (D8): ASIDs and VMIDs, neither ever a PASID. */
#include "drivers/smmuv3/priv.h"

#include "base/alloc.h"
#include "base/bits.h"

#include <errno.h>

int ui_smmuv3_paging(struct ui_device *dev, unsigned flags, const struct ui_user_data *data, struct ui_pt_cfg *cfg,
		     u64 *aperture_start, u64 *aperture_last)
{
	const struct ui_smmuv3_drv *drv = ui_iommu_priv(ui_device_iommu(dev));
	const struct ui_smmuv3_feat *feat = &drv->cfg.feat;
	bool second = flags == UI_DOMAIN_F_NEST_PARENT || (!flags && !feat->s1p);
	unsigned oa_bits = (unsigned)ui_min(UI_SMMUV3_PA_BITS, ui_smmuv3_oas_bits(feat));

	if (data->type || data->n_bytes)
		return -EOPNOTSUPP;
	if (second ? !feat->s2p : !feat->s1p || (flags & UI_DOMAIN_F_NEST_PARENT))
		return -EOPNOTSUPP;
	if ((flags & UI_DOMAIN_F_NEST_PARENT) && !feat->s1p)
		return -EOPNOTSUPP;
	if ((flags & UI_DOMAIN_F_DIRTY) && feat->httu < UI_SMMUV3_HTTU_AF_DIRTY)
		return -EOPNOTSUPP;
	*cfg = (struct ui_pt_cfg){
		.format = second ? UI_PT_ARM_S2 : UI_PT_ARM_S1,
		.granule_lg2 = UI_PAGE_LG2,
		.ia_bits = (u8)(second ? oa_bits : UI_SMMUV3_VA_BITS),
		.oa_bits = (u8)oa_bits,
		.dirty_track = (flags & UI_DOMAIN_F_DIRTY) != 0,
	};
	*aperture_start = 0;
	*aperture_last = ui_mask_lg2(cfg->ia_bits);
	return 0;
}

static struct ui_ids *tags_of(struct ui_smmuv3_drv *drv, unsigned stage)
{
	return stage == 1 ? &drv->asids : &drv->vmids;
}

int ui_smmuv3_domain_init(struct ui_domain *domain)
{
	struct ui_smmuv3_drv *drv = ui_iommu_priv(ui_domain_iommu(domain));
	struct ui_smmuv3_dom *dom = ui_zalloc(sizeof(*dom));
	u32 tag;
	int ret;

	if (!dom)
		return -ENOMEM;
	dom->drv = drv;
	dom->pt = ui_domain_table(domain);
	dom->stage = dom->pt->cfg.format == UI_PT_ARM_S1 ? 1 : 2;
	pthread_mutex_lock(&drv->lock);
	ret = ui_ids_reserve(tags_of(drv, dom->stage), &tag);
	if (!ret)
		ui_ids_finalize(tags_of(drv, dom->stage), tag, dom);
	pthread_mutex_unlock(&drv->lock);
	if (ret) {
		ui_free(dom);
		return ret;
	}
	dom->tag = (u16)tag;
	ui_domain_set_priv(domain, dom);
	return 0;
}

void ui_smmuv3_domain_gone(struct ui_domain *domain)
{
	struct ui_smmuv3_dom *dom = ui_domain_priv(domain);
	struct ui_smmuv3_drv *drv = dom->drv;

	pthread_mutex_lock(&drv->lock);
	ui_assert(!dom->n_users);
	ui_ids_free(tags_of(drv, dom->stage), dom->tag);
	pthread_mutex_unlock(&drv->lock);
	ui_free(dom);
}

/* However many devices and PASIDs use the domain, its tag is one (D9). */
void ui_smmuv3_flush(struct ui_domain *domain, u64 start, u64 last)
{
	struct ui_smmuv3_dom *dom = ui_domain_priv(domain);

	pthread_mutex_lock(&dom->drv->lock);
	if (dom->n_users)
		ui_smmuv3_tlbi_range(dom, start, last);
	pthread_mutex_unlock(&dom->drv->lock);
}
