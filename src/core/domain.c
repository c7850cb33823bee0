/* SPDX-License-Identifier: MIT */
/* Domains as objects: made, asked, destroyed. What a paging domain does with its table is in paging.c. */
#include "core/domain.h"
#include "base/alloc.h"
#include "core/internal.h"

#include <errno.h>

int ui_domain_init(struct ui_domain *domain, struct ui_iommu *iommu, enum ui_domain_kind kind, unsigned flags)
{
	pthread_mutexattr_t attr;
	int ret = ui_tr_tag_alloc(iommu->tr, &domain->cfg.tag);

	if (ret)
		return ret;
	domain->iommu = iommu;
	domain->kind = kind;
	domain->flags = flags;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&domain->lock, &attr);
	pthread_mutex_init(&domain->rows_lock, NULL);
	pthread_mutexattr_destroy(&attr);
	ui_list_init(&domain->nested);
	ui_list_init(&domain->link);
	atomic_fetch_add_explicit(&iommu->n_domains, 1, memory_order_relaxed);
	return 0;
}

void ui_domain_fini(struct ui_domain *domain)
{
	ui_tr_tag_free(domain->iommu->tr, domain->cfg.tag);
	ui_domain_rows_fini(domain);
	pthread_mutex_destroy(&domain->lock);
	pthread_mutex_destroy(&domain->rows_lock);
	atomic_fetch_sub_explicit(&domain->iommu->n_domains, 1, memory_order_relaxed);
}

static void *pages_alloc(struct ui_pt_pages *pages, size_t n_bytes)
{
	return ui_arena_alloc(&ui_container_of(pages, struct ui_domain, pages)->iommu->arena, n_bytes);
}

static void pages_free(struct ui_pt_pages *pages, void *page, size_t n_bytes)
{
	ui_arena_free(&ui_container_of(pages, struct ui_domain, pages)->iommu->arena, page, n_bytes);
}

/* A table for input addresses that a stage 1 may lie over is a stage 2, whatever its format. */
static bool is_stage2(enum ui_pt_format format, unsigned flags)
{
	return format == UI_PT_VTDSS || format == UI_PT_ARM_S2 || (flags & UI_DOMAIN_F_NEST_PARENT);
}

static int paging_init(struct ui_domain *domain, struct ui_pt_cfg *cfg)
{
	struct ui_stage *stage = is_stage2(cfg->format, domain->flags) ? &domain->cfg.s2 : &domain->cfg.s1;
	int ret;

	domain->pages.alloc = pages_alloc;
	domain->pages.free = pages_free;
	domain->pages.delta = (uintptr_t)0 - domain->iommu->arena.shift;
	cfg->pages = &domain->pages;
	ret = ui_pt_init(&domain->pt, cfg);
	if (ret)
		return ret;
	stage->pt = &domain->pt;
	ui_pt_walk_cfg(&domain->pt, &stage->walk);
	stage->present = true;
	domain->cfg.kind = UI_CFG_TRANSLATE;
	return 0;
}

int ui_domain_create_paging(struct ui_device *dev, unsigned flags, const struct ui_user_data *data, struct ui_domain **out)
{
	static const struct ui_user_data none;
	const unsigned known = UI_DOMAIN_F_DIRTY | UI_DOMAIN_F_NEST_PARENT | UI_DOMAIN_F_PASID;
	const struct ui_driver_ops *driver = dev->iommu->driver;
	struct ui_pt_cfg cfg = { 0 };
	struct ui_domain *domain;
	u64 start, last;
	int ret;

	if ((flags & ~known) || ((flags & UI_DOMAIN_F_DIRTY) && !driver->dirty) || ((flags & UI_DOMAIN_F_PASID) && !driver->pasid_bits))
		return -EOPNOTSUPP;
	ret = driver->paging(dev, flags, data ? data : &none, &cfg, &start, &last);
	if (ret)
		return ret;
	domain = ui_zalloc(sizeof(*domain));
	if (!domain)
		return -ENOMEM;
	ret = ui_domain_init(domain, dev->iommu, UI_DOMAIN_PAGING, flags);
	if (ret)
		goto free_domain;
	domain->start = start;
	domain->last = last;
	ret = paging_init(domain, &cfg);
	if (ret)
		goto fini_domain;
	ret = driver->domain_init ? driver->domain_init(domain) : 0;
	if (ret)
		goto fini_table;
	*out = domain;
	return 0;

fini_table:
	ui_pt_fini(&domain->pt);
fini_domain:
	ui_domain_fini(domain);
free_domain:
	ui_free(domain);
	return ret;
}

/* Does the walker know tables of this shape? */
static bool is_geometry(const struct ui_walk_cfg *walk)
{
	const struct ui_pt_cfg cfg = {
		.format = walk->format,
		.granule_lg2 = walk->granule_lg2,
		.ia_bits = walk->ia_bits,
		.oa_bits = walk->oa_bits,
		.sign_extend = walk->sign_extend,
	};

	return (unsigned)walk->format < UI_PT_N_FORMATS && ui_pt_page_sizes(&cfg);
}

int ui_domain_create_nested(struct ui_domain *parent, const struct ui_walk_cfg *s1, struct ui_domain **out)
{
	struct ui_domain *domain;
	int ret;

	if (parent->kind != UI_DOMAIN_PAGING || !(parent->flags & UI_DOMAIN_F_NEST_PARENT) || (s1 && !is_geometry(s1)))
		return -EINVAL;
	domain = ui_zalloc(sizeof(*domain));
	if (!domain)
		return -ENOMEM;
	ret = ui_domain_init(domain, parent->iommu, UI_DOMAIN_NESTED, parent->flags & UI_DOMAIN_F_PASID);
	if (ret) {
		ui_free(domain);
		return ret;
	}
	domain->parent = parent;
	domain->last = s1 ? ui_mask_lg2(s1->ia_bits) : parent->last;
	domain->cfg.kind = UI_CFG_TRANSLATE;
	if (s1)
		domain->cfg.s1 = (struct ui_stage){ .walk = *s1, .present = true };
	domain->cfg.s2 = parent->cfg.s2;
	pthread_mutex_lock(&parent->lock);
	ui_list_add_tail(&parent->nested, &domain->link);
	pthread_mutex_unlock(&parent->lock);
	*out = domain;
	return 0;
}

void ui_domain_destroy(struct ui_domain *domain)
{
	if (!domain)
		return;
	ui_assert(domain->kind == UI_DOMAIN_PAGING || domain->kind == UI_DOMAIN_NESTED);
	/* Acquire: pairs with the release in attach.c's publish(). */
	ui_assert(!atomic_load_explicit(&domain->n_attached, memory_order_acquire));
	ui_assert(ui_list_empty(&domain->nested) && !domain->gated);
	if (domain->parent) {
		pthread_mutex_lock(&domain->parent->lock);
		ui_list_del(&domain->link);
		pthread_mutex_unlock(&domain->parent->lock);
	}
	if (domain->iommu->driver->domain_gone)
		domain->iommu->driver->domain_gone(domain);
	ui_domain_fini(domain);
	if (domain->kind == UI_DOMAIN_PAGING) {
		ui_pt_gather_free(&domain->pt, &domain->gather);
		ui_pt_fini(&domain->pt);
	}
	ui_free(domain);
}

void ui_domain_set_pasid(struct ui_domain *domain, bool allowed)
{
	domain->flags = (domain->flags & ~(unsigned)UI_DOMAIN_F_PASID) | (allowed ? UI_DOMAIN_F_PASID : 0);
}

void ui_domain_set_priv(struct ui_domain *domain, void *priv)
{
	domain->priv = priv;
}

void *ui_domain_priv(const struct ui_domain *domain)
{
	return domain->priv;
}

const struct ui_pt *ui_domain_table(const struct ui_domain *domain)
{
	return &domain->pt;
}

struct ui_domain *ui_domain_parent(const struct ui_domain *domain)
{
	return domain->parent;
}

enum ui_domain_kind ui_domain_kind(const struct ui_domain *domain)
{
	return domain->kind;
}

unsigned ui_domain_flags(const struct ui_domain *domain)
{
	return domain->flags;
}

const struct ui_driver_ops *ui_domain_driver(const struct ui_domain *domain)
{
	return domain->iommu->driver;
}

struct ui_iommu *ui_domain_iommu(const struct ui_domain *domain)
{
	return domain->iommu;
}

u64 ui_domain_page_sizes(const struct ui_domain *domain)
{
	if (domain->kind != UI_DOMAIN_PAGING)
		return 0;
	return domain->pt.cfg.page_sizes ? domain->pt.cfg.page_sizes : ui_pt_page_sizes(&domain->pt.cfg);
}

void ui_domain_aperture(const struct ui_domain *domain, u64 *start, u64 *last)
{
	*start = domain->start;
	*last = domain->last;
}
