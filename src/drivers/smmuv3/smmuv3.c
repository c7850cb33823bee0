/* SPDX-License-Identifier: MIT */
/*
 * The kind `smmuv3`: Arm SMMUv3. Domains have tables in Arm's formats, and what Linux's driver would write for them lies in the
 * iommu's memory: a stream table, CD tables, with the commands that go with each change. Where `uiommu run` has no SMMU to read
 * them, DMA goes by the same tables through the stage configs in the domains.
 */
#include "drivers/drivers.h"
#include "drivers/smmuv3/priv.h"

#include "base/alloc.h"
#include "base/bits.h"
#include "base/log.h"

#include <errno.h>

/* Where Linux has its window for messages to the interrupt controller. */
static const struct ui_resv smmuv3_resv[] = {
	{ .start = 0x08000000, .last = 0x080fffff, .msi = true },
};

/* IOMMU_HW_INFO_TYPE_NONE; IOMMU_HW_CAP_DIRTY_TRACKING and _PCI_ATS_NOT_SUPPORTED of the user API. */
enum { HW_INFO_NONE = 0, HW_CAP_DIRTY = 1, HW_CAP_NO_ATS = 8 };

enum { SID_BITS = 20 };

void ui_smmuv3_drv_cfg_init(struct ui_smmuv3_drv_cfg *cfg)
{
	*cfg = (struct ui_smmuv3_drv_cfg){
		.feat = {
			.s1p = 1, .s2p = 1, .ttf = UI_SMMUV3_TTF_AA64, .cohacc = 1, .httu = UI_SMMUV3_HTTU_AF_DIRTY, .asid16 = 1,
			.vmid16 = 1, .cd2l = 1, .ttendian = UI_SMMUV3_TTENDIAN_LE, .stall_model = UI_SMMUV3_STALL_TERMINATE,
			.st_level = UI_SMMUV3_ST_LEVEL_2LVL, .sidsize = SID_BITS, .ssidsize = 20, .eventqs = 19, .cmdqs = 19,
			.ril = 1, .oas = UI_SMMUV3_PS_48, .gran4k = 1,
		},
		.cd_leaf_lg2 = 10,
	};
}

static bool can_drive(const struct ui_smmuv3_drv_cfg *cfg)
{
	const struct ui_smmuv3_feat *feat = &cfg->feat;

	return (feat->s1p || feat->s2p) && (feat->ttf & UI_SMMUV3_TTF_AA64) && feat->gran4k &&
	       feat->ttendian != UI_SMMUV3_TTENDIAN_BE && feat->stall_model != UI_SMMUV3_STALL_FORCED && feat->sidsize <= 32 &&
	       feat->ssidsize <= 20 && ui_smmuv3_oas_bits(feat) >= UI_SMMUV3_PA_BITS &&
	       (cfg->cd_leaf_lg2 == 6 || cfg->cd_leaf_lg2 == 10);
}

static void tags_init(struct ui_smmuv3_drv *drv)
{
	ui_ids_init(&drv->asids, drv->cfg.feat.asid16 ? 0xffff : 0xff);
	ui_ids_init(&drv->vmids, drv->cfg.feat.vmid16 ? 0xffff : 0xff);
}

int ui_smmuv3_drv_configure(struct ui_iommu *iommu, const struct ui_smmuv3_drv_cfg *cfg)
{
	struct ui_smmuv3_drv *drv = ui_iommu_priv(iommu), before = *drv;
	int ret;

	if (!can_drive(cfg))
		return -EINVAL;
	drv->cfg = *cfg;
	ret = ui_smmuv3_strtab_init(drv);
	if (ret) {
		drv->cfg = before.cfg;
		drv->strtab = before.strtab;
		drv->strtab_bytes = before.strtab_bytes;
		drv->strtab_cfg = before.strtab_cfg;
		return ret;
	}
	ui_smmuv3_strtab_fini(&before);
	tags_init(drv);
	return 0;
}

void ui_smmuv3_drv_strtab(struct ui_iommu *iommu, u64 *base, u32 *base_cfg)
{
	const struct ui_smmuv3_drv *drv = ui_iommu_priv(iommu);

	*base = ui_smmuv3_pa(drv, drv->strtab);
	*base_cfg = drv->strtab_cfg;
}

static int iommu_init(struct ui_iommu *iommu)
{
	struct ui_smmuv3_drv *drv = ui_zalloc(sizeof(*drv));
	int ret;

	if (!drv)
		return -ENOMEM;
	drv->arena = ui_iommu_arena(iommu);
	ui_smmuv3_drv_cfg_init(&drv->cfg);
	ret = ui_smmuv3_strtab_init(drv);
	if (ret) {
		ui_free(drv);
		return ret;
	}
	tags_init(drv);
	pthread_mutex_init(&drv->lock, NULL);
	ui_iommu_set_priv(iommu, drv);
	return 0;
}

static void iommu_gone(struct ui_iommu *iommu)
{
	struct ui_smmuv3_drv *drv = ui_iommu_priv(iommu);

	ui_ids_fini(&drv->asids);
	ui_ids_fini(&drv->vmids);
	ui_smmuv3_strtab_fini(drv);
	pthread_mutex_destroy(&drv->lock);
	ui_free(drv);
}

static int device_init(struct ui_device *dev)
{
	struct ui_smmuv3_drv *drv = ui_iommu_priv(ui_device_iommu(dev));
	struct ui_smmuv3_client *client;
	u64 cfg = drv->strtab_cfg;
	u32 sid = ui_device_rid(dev);
	int ret;

	if ((u64)sid >> ui_hw_get(&cfg, UI_SMMUV3_STRTAB_BASE_CFG_LOG2SIZE)) {
		ui_log(UI_LOG_ERROR, "device %s: the SMMU has no StreamID %#x", ui_device_name(dev), sid);
		return -EINVAL;
	}
	client = ui_zalloc(sizeof(*client));
	if (!client)
		return -ENOMEM;
	client->drv = drv;
	client->sid = sid;
	client->ssid_bits = (u8)ui_min(ui_device_pasid_bits(dev), drv->cfg.feat.ssidsize);
	ui_smmuv3_cdtab_shape(client);
	pthread_mutex_lock(&drv->lock);
	ret = ui_smmuv3_ste_make(drv, sid);
	pthread_mutex_unlock(&drv->lock);
	if (ret) {
		ui_free(client);
		return ret;
	}
	ui_device_set_half(dev, client);
	return 0;
}

/* Its STE aborts since it was detached, and stays. */
static void device_gone(struct ui_device *dev)
{
	struct ui_smmuv3_client *client = ui_device_half(dev);

	ui_assert(!client->domain && !client->n_ssids);
	ui_smmuv3_cdtab_fini(client);
	ui_free(client);
}

static void hw_info(struct ui_device *dev, struct ui_hw_info *out)
{
	*out = (struct ui_hw_info){ .type = HW_INFO_NONE, .capabilities = HW_CAP_DIRTY | HW_CAP_NO_ATS };
}

const struct ui_driver_ops ui_smmuv3_driver = {
	.name = "smmuv3",
	.pasid_bits = 20,
	.pa_bits = UI_SMMUV3_PA_BITS,
	.dirty = true,
	.resv = smmuv3_resv,
	.n_resv = ui_array_size(smmuv3_resv),
	.iommu_init = iommu_init,
	.iommu_gone = iommu_gone,
	.device_init = device_init,
	.device_gone = device_gone,
	.paging = ui_smmuv3_paging,
	.domain_init = ui_smmuv3_domain_init,
	.domain_gone = ui_smmuv3_domain_gone,
	.flush = ui_smmuv3_flush,
	.attach = ui_smmuv3_attach,
	.hw_info = hw_info,
};
