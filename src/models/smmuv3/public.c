/* SPDX-License-Identifier: MIT */
/* The public face of the SMMUv3's device half: include/uiommu/smmuv3.h. Handles are the internal ones, but for the SMMU's. */
#pragma GCC visibility push(default)
#include <uiommu/smmuv3.h>
#pragma GCC visibility pop

#include "base/alloc.h"
#include "models/smmuv3/smmuv3.h"
#include "translate/public.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

_Static_assert(UIOMMU_SMMUV3_MMIO_BYTES == (int)UI_SMMUV3_MMIO_BYTES && (int)UIOMMU_SMMUV3_IRQ_GERROR == (int)UI_SMMUV3_IRQ_GERROR &&
	       (int)UIOMMU_SMMUV3_IRQ_EVENTQ == (int)UI_SMMUV3_IRQ_EVENTQ && (int)UIOMMU_SMMUV3_CACHE_TLB == (int)UI_SMMUV3_CACHE_TLB &&
	       (int)UIOMMU_SMMUV3_CACHE_CONFIG == (int)UI_SMMUV3_CACHE_CONFIG, "public numbers");

struct uiommu_smmuv3 {
	struct ui_smmuv3 *smmu;
	void (*irq)(void *arg, enum uiommu_smmuv3_irq irq);
	void *arg;
};

static void on_irq(void *arg, enum ui_smmuv3_irq irq)
{
	const struct uiommu_smmuv3 *smmu = arg;

	smmu->irq(smmu->arg, (enum uiommu_smmuv3_irq)irq);
}

/* The code of IDR5.OAS; -EINVAL: no such size. */
static int oas_code(unsigned pa_bits)
{
	for (unsigned code = UI_SMMUV3_PS_32; code <= UI_SMMUV3_PS_52; code++)
		if (ui_smmuv3_ps_bits(code) == pa_bits)
			return (int)code;
	return -EINVAL;
}

static int to_cfg(const struct uiommu_smmuv3_config *config, struct ui_smmuv3_cfg *cfg)
{
	int oas = oas_code(config->pa_bits ? config->pa_bits : 48);

	/* There is one size so far; a caller that knows more than we do is refused. */
	if (config->struct_bytes != sizeof(*config) || config->sid_bits > 32 || config->ssid_bits > 20 || oas < 0 ||
	    (config->no_stage_1 && config->no_stage_2))
		return -EINVAL;
	ui_smmuv3_cfg_init(cfg, config->sid_bits ? config->sid_bits : 16);
	cfg->feat.ssidsize = config->ssid_bits;
	cfg->feat.oas = (u16)oas;
	cfg->feat.vax = oas == UI_SMMUV3_PS_52 ? UI_SMMUV3_VAX_52 : 0;
	cfg->feat.s1p = !config->no_stage_1;
	cfg->feat.s2p = !config->no_stage_2;
	return 0;
}

int uiommu_smmuv3_new(struct uiommu_mem *mem, const struct uiommu_smmuv3_config *config, struct uiommu_smmuv3 **out)
{
	static const struct uiommu_smmuv3_config defaults = { .struct_bytes = sizeof(defaults) };
	struct uiommu_smmuv3 *smmu;
	struct ui_smmuv3_cfg cfg;
	int ret;

	config = config ? config : &defaults;
	ret = to_cfg(config, &cfg);
	if (ret)
		return ret;
	smmu = ui_zalloc(sizeof(*smmu));
	if (!smmu)
		return -ENOMEM;
	smmu->irq = config->irq;
	smmu->arg = config->arg;
	cfg.irq = config->irq ? on_irq : NULL;
	cfg.arg = smmu;
	ret = ui_smmuv3_create((struct ui_mem *)mem, &cfg, &smmu->smmu);
	if (ret) {
		ui_free(smmu);
		return ret;
	}
	*out = smmu;
	return 0;
}

void uiommu_smmuv3_free(struct uiommu_smmuv3 *smmu)
{
	if (!smmu)
		return;
	ui_smmuv3_destroy(smmu->smmu);
	ui_free(smmu);
}

void uiommu_smmuv3_reset(struct uiommu_smmuv3 *smmu)
{
	ui_smmuv3_reset(smmu->smmu);
}

bool uiommu_smmuv3_read(struct uiommu_smmuv3 *smmu, uint64_t offset, unsigned n_bytes, uint64_t *val)
{
	return ui_smmuv3_read(smmu->smmu, offset, n_bytes, val);
}

bool uiommu_smmuv3_write(struct uiommu_smmuv3 *smmu, uint64_t offset, unsigned n_bytes, uint64_t val)
{
	return ui_smmuv3_write(smmu->smmu, offset, n_bytes, val);
}

struct uiommu_smmuv3_stream *uiommu_smmuv3_stream_open(struct uiommu_smmuv3 *smmu, uint32_t sid)
{
	return (struct uiommu_smmuv3_stream *)ui_smmuv3_stream_open(smmu->smmu, sid);
}

void uiommu_smmuv3_stream_close(struct uiommu_smmuv3_stream *stream)
{
	ui_smmuv3_stream_close((struct ui_smmuv3_stream *)stream);
}

struct uiommu_dma *uiommu_smmuv3_stream_dma(struct uiommu_smmuv3_stream *stream)
{
	return (struct uiommu_dma *)ui_smmuv3_stream_dma((struct ui_smmuv3_stream *)stream);
}

enum uiommu_smmuv3_cached uiommu_smmuv3_stream_cached(struct uiommu_smmuv3_stream *stream, const struct uiommu_dma_addr *at,
						      bool write)
{
	const struct ui_dma_addr where = ui_public_addr(at);

	return (enum uiommu_smmuv3_cached)ui_smmuv3_stream_cached((struct ui_smmuv3_stream *)stream, &where,
								  write ? UI_PROT_WRITE : UI_PROT_READ);
}
