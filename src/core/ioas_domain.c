/* SPDX-License-Identifier: MIT */
/* The domains that an IOAS is kept in step with. */
#include "core/ioas_priv.h"
#include "base/alloc.h"

#include <errno.h>

/* Smallest page and aperture. Under both locks. */
static int check_domain(struct ui_ioas *ioas, struct ui_domain *domain, u64 *alignment)
{
	u64 granule = UI_BIT(ui_ffs64(ui_domain_page_sizes(domain)));

	if (granule > UI_PAGE_BYTES)
		return -EINVAL;
	*alignment = ui_ioas_wanted_alignment(ioas, granule, ioas->huge);
	return ui_ioas_areas_aligned(ioas, *alignment) ? 0 : -EADDRINUSE;
}

/* Everything outside the aperture. */
static int reserve_outside(struct ui_ioas *ioas, struct ui_domain *domain)
{
	u64 start, last;
	int ret = 0;

	ui_domain_aperture(domain, &start, &last);
	if (start)
		ret = ui_ioas_reserve(ioas, 0, start - 1, domain);
	if (!ret && last != ~(u64)0)
		ret = ui_ioas_reserve(ioas, last + 1, ~(u64)0, domain);
	return ret;
}

/* Under domains_lock (write): areas neither come nor go, and nobody pins them. */
static void unpin_all(struct ui_ioas *ioas)
{
	struct ui_ivl_item item;

	for (bool more = ui_ivl_first(&ioas->areas, 0, &item); more; more = ui_ivl_next(&ioas->areas, &item))
		ui_area_unpin(item.ptr);
}

static int pin_all(struct ui_ioas *ioas)
{
	struct ui_ivl_item item;
	int ret = 0;

	for (bool more = ui_ivl_first(&ioas->areas, 0, &item); more && !ret; more = ui_ivl_next(&ioas->areas, &item)) {
		struct ui_area *area = item.ptr;

		if (!area->pinned)
			ret = ui_area_pin(area);
	}
	return ret;
}

static int list_add(struct ui_ioas *ioas, struct ui_domain *domain)
{
	struct ui_domain **grown = ui_realloc(ioas->domains, (ioas->n_domains + 1) * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	ioas->domains = grown;
	grown[ioas->n_domains++] = domain;
	return 0;
}

/* @domain gets all areas and joins the list, between two moves of pages. */
static int fill_and_add(struct ui_ioas *ioas, struct ui_domain *domain, u64 alignment)
{
	struct ui_ivl_item item;
	int ret = 0;
	u64 filled = 0;

	pthread_rwlock_rdlock(&ioas->set->moving);
	pthread_mutex_lock(&ioas->lock);
	for (bool more = ui_ivl_first(&ioas->areas, 0, &item); more && !ret; more = ui_ivl_next(&ioas->areas, &item)) {
		ret = ui_area_map(item.ptr, domain);
		filled = ret ? filled : item.last;
	}
	if (!ret)
		ret = list_add(ioas, domain);
	if (!ret)
		ioas->alignment = alignment;
	else if (filled)
		ui_domain_unmap(domain, 0, filled, UI_PT_SPLIT);
	pthread_mutex_unlock(&ioas->lock);
	pthread_rwlock_unlock(&ioas->set->moving);
	return ret;
}

int ui_ioas_add_domain(struct ui_ioas *ioas, struct ui_domain *domain)
{
	u64 alignment;
	int ret;

	pthread_rwlock_wrlock(&ioas->domains_lock);
	ret = check_domain(ioas, domain, &alignment);
	if (!ret)
		ret = reserve_outside(ioas, domain);
	if (!ret)
		ret = pin_all(ioas);
	if (!ret)
		ret = fill_and_add(ioas, domain, alignment);
	if (ret) {
		ui_ioas_unreserve(ioas, domain);
		if (!ioas->n_domains)
			unpin_all(ioas);
	}
	pthread_rwlock_unlock(&ioas->domains_lock);
	return ret;
}

void ui_ioas_remove_domain(struct ui_ioas *ioas, struct ui_domain *domain)
{
	pthread_rwlock_wrlock(&ioas->domains_lock);
	pthread_rwlock_rdlock(&ioas->set->moving);
	pthread_mutex_lock(&ioas->lock);
	for (size_t i = 0; i < ioas->n_domains; i++) {
		if (ioas->domains[i] != domain)
			continue;
		for (ioas->n_domains--; i < ioas->n_domains; i++)
			ioas->domains[i] = ioas->domains[i + 1];
	}
	ioas->alignment = ui_ioas_wanted_alignment(ioas, 1, ioas->huge);
	pthread_mutex_unlock(&ioas->lock);
	pthread_rwlock_unlock(&ioas->set->moving);
	ui_ioas_unreserve(ioas, domain);
	if (!ioas->n_domains)
		unpin_all(ioas);
	pthread_rwlock_unlock(&ioas->domains_lock);
}

u64 ui_ioas_page_sizes(struct ui_ioas *ioas)
{
	u64 sizes = ~(u64)0;

	pthread_rwlock_rdlock(&ioas->domains_lock);
	for (size_t i = 0; i < ioas->n_domains; i++)
		sizes &= ui_domain_page_sizes(ioas->domains[i]);
	pthread_rwlock_unlock(&ioas->domains_lock);
	return sizes;
}

int ui_ioas_read_dirty(struct ui_ioas *ioas, struct ui_domain *domain, u64 start, u64 last, bool keep,
		       int (*fn)(void *arg, u64 start, u64 last), void *arg)
{
	struct ui_ivl_item item;
	u64 end = 0;
	bool any = false;
	int ret = 0;

	pthread_rwlock_rdlock(&ioas->domains_lock);
	pthread_rwlock_rdlock(&ioas->set->moving);
	pthread_mutex_lock(&ioas->lock);
	for (bool more = ui_ivl_first(&ioas->areas, start, &item); more; more = ui_ivl_next(&ioas->areas, &item)) {
		if (item.start > (any ? end + 1 : start))
			break;
		any = true;
		end = item.last;
		if (end >= last)
			break;
	}
	if (any)
		ret = ui_domain_read_dirty(domain, start, ui_min(end, last), keep, fn, arg);
	pthread_mutex_unlock(&ioas->lock);
	pthread_rwlock_unlock(&ioas->set->moving);
	pthread_rwlock_unlock(&ioas->domains_lock);
	return ret;
}

int ui_ioas_set_dirty_tracking(struct ui_ioas *ioas, struct ui_domain *domain, bool on)
{
	int ret;

	pthread_rwlock_rdlock(&ioas->domains_lock);
	pthread_rwlock_rdlock(&ioas->set->moving);
	pthread_mutex_lock(&ioas->lock);
	ret = ui_domain_set_dirty_tracking(domain, on);
	pthread_mutex_unlock(&ioas->lock);
	pthread_rwlock_unlock(&ioas->set->moving);
	pthread_rwlock_unlock(&ioas->domains_lock);
	return ret;
}

int ui_ioas_mark_dirty(struct ui_ioas *ioas, struct ui_domain *domain, u64 iova)
{
	int ret;

	pthread_rwlock_rdlock(&ioas->set->moving);
	pthread_mutex_lock(&ioas->lock);
	ret = ui_domain_mark_dirty(domain, iova);
	pthread_mutex_unlock(&ioas->lock);
	pthread_rwlock_unlock(&ioas->set->moving);
	return ret;
}

int ui_ioas_lookup(struct ui_ioas *ioas, struct ui_domain *domain, u64 iova, struct ui_walk *out)
{
	int ret;

	pthread_rwlock_rdlock(&ioas->set->moving);
	pthread_mutex_lock(&ioas->lock);
	ret = ui_domain_lookup(domain, iova, out);
	pthread_mutex_unlock(&ioas->lock);
	pthread_rwlock_unlock(&ioas->set->moving);
	return ret;
}
