/* SPDX-License-Identifier: MIT */
#include "core/iommu.h"
#include "base/alloc.h"
#include "core/internal.h"

/* The translation instance and the table pages. */
static bool memory_init(struct ui_iommu *iommu, struct ui_mem *mem)
{
	unsigned pa_bits = iommu->driver->pa_bits ? iommu->driver->pa_bits : 52;

	iommu->tr = ui_tr_create(mem);
	if (!iommu->tr)
		return false;
	if (!ui_arena_init(&iommu->arena, mem, pa_bits))
		return true;
	ui_tr_destroy(iommu->tr);
	return false;
}

static void memory_fini(struct ui_iommu *iommu)
{
	ui_arena_fini(&iommu->arena);
	ui_tr_destroy(iommu->tr);
}

static bool domains_init(struct ui_iommu *iommu)
{
	if (ui_domain_init(&iommu->blocked, iommu, UI_DOMAIN_BLOCKED, UI_DOMAIN_F_PASID))
		return false;
	if (ui_domain_init(&iommu->identity, iommu, UI_DOMAIN_IDENTITY, UI_DOMAIN_F_PASID)) {
		ui_domain_fini(&iommu->blocked);
		return false;
	}
	iommu->blocked.cfg.kind = UI_CFG_BLOCKED;
	iommu->identity.cfg.kind = UI_CFG_BYPASS;
	iommu->identity.last = ~(u64)0;
	return true;
}

static void iommu_free(struct ui_iommu *iommu)
{
	ui_domain_fini(&iommu->identity);
	ui_domain_fini(&iommu->blocked);
	ui_assert(!atomic_load_explicit(&iommu->n_domains, memory_order_relaxed));
	memory_fini(iommu);
	pthread_mutex_destroy(&iommu->lock);
	ui_free(iommu);
}

struct ui_iommu *ui_iommu_create(const struct ui_driver_ops *driver, struct ui_mem *mem)
{
	struct ui_iommu *iommu = ui_zalloc(sizeof(*iommu));

	if (!iommu)
		return NULL;
	iommu->driver = driver;
	iommu->detached = &iommu->own_detached;
	if (!memory_init(iommu, mem)) {
		ui_free(iommu);
		return NULL;
	}
	if (!domains_init(iommu)) {
		memory_fini(iommu);
		ui_free(iommu);
		return NULL;
	}
	pthread_mutex_init(&iommu->lock, NULL);
	ui_list_init(&iommu->devices);
	ui_list_init(&iommu->groups);
	if (driver->iommu_init && driver->iommu_init(iommu)) {
		iommu_free(iommu);
		return NULL;
	}
	return iommu;
}

void ui_iommu_destroy(struct ui_iommu *iommu)
{
	if (!iommu)
		return;
	ui_assert(ui_list_empty(&iommu->devices));
	if (iommu->driver->iommu_gone)
		iommu->driver->iommu_gone(iommu);
	iommu_free(iommu);
}

struct ui_tr *ui_iommu_tr(struct ui_iommu *iommu)
{
	return iommu->tr;
}

void ui_iommu_set_fault_sink(struct ui_iommu *iommu, ui_fault_fn fn, void *arg)
{
	iommu->fault_arg = arg;
	iommu->fault_fn = fn;
}

void ui_iommu_set_stats(struct ui_iommu *iommu, struct ui_stats *stats, u32 n_devices)
{
	ui_assert(ui_list_empty(&iommu->devices));
	iommu->stats = stats;
	iommu->n_stats = n_devices;
	iommu->detached = &stats->detached;
}

void ui_iommu_set_priv(struct ui_iommu *iommu, void *priv)
{
	iommu->priv = priv;
}

void *ui_iommu_priv(const struct ui_iommu *iommu)
{
	return iommu->priv;
}

struct ui_arena *ui_iommu_arena(struct ui_iommu *iommu)
{
	return &iommu->arena;
}

struct ui_domain *ui_domain_blocked(struct ui_iommu *iommu)
{
	return &iommu->blocked;
}

struct ui_domain *ui_domain_identity(struct ui_iommu *iommu)
{
	return &iommu->identity;
}
