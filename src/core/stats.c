/* SPDX-License-Identifier: MIT */
/*
 * What is done to a domain counts in the rows of the devices and PASIDs that it is attached to; those of a nested domain
 * are its parent's, too. Who counts takes no lock: rows and links outlive the domain's writers.
 */
#include "base/alloc.h"
#include "core/internal.h"

#include <errno.h>

/* The place of @row, or with NULL a free one; NULL: there is none. Under domain->rows_lock. */
static struct ui_row_link *find(struct ui_domain *domain, const struct ui_stats_row *row)
{
	for (struct ui_row_links *links = &domain->rows; links;
	     links = atomic_load_explicit(&links->next, memory_order_relaxed)) {
		for (unsigned i = 0; i < UI_ROW_LINKS; i++)
			if (atomic_load_explicit(&links->link[i].row, memory_order_relaxed) == row)
				return &links->link[i];
	}
	return NULL;
}

static struct ui_row_link *grow(struct ui_domain *domain)
{
	struct ui_row_links *links = ui_zalloc(sizeof(*links));

	if (!links)
		return NULL;
	atomic_store_explicit(&links->next, atomic_load_explicit(&domain->rows.next, memory_order_relaxed),
			      memory_order_relaxed);
	/* Release: partner is ui_domain_count(). */
	atomic_store_explicit(&domain->rows.next, links, memory_order_release);
	return &links->link[0];
}

/* 0; -ENOMEM. */
static int row_enter(struct ui_domain *domain, struct ui_stats_row *row)
{
	struct ui_row_link *link;
	int ret = 0;

	pthread_mutex_lock(&domain->rows_lock);
	link = find(domain, row);
	if (!link)
		link = find(domain, NULL);
	if (!link)
		link = grow(domain);
	if (link) {
		link->n++;
		/* Release: partner is ui_domain_count(). */
		atomic_store_explicit(&link->row, row, memory_order_release);
	} else {
		ret = -ENOMEM;
	}
	pthread_mutex_unlock(&domain->rows_lock);
	return ret;
}

static void row_leave(struct ui_domain *domain, struct ui_stats_row *row)
{
	struct ui_row_link *link;

	pthread_mutex_lock(&domain->rows_lock);
	link = find(domain, row);
	ui_assert(link);
	if (!--link->n)
		atomic_store_explicit(&link->row, NULL, memory_order_relaxed);
	pthread_mutex_unlock(&domain->rows_lock);
}

static void leave(struct ui_domain *domain, struct ui_stats_row *row)
{
	row_leave(domain, row);
	if (domain->parent)
		row_leave(domain->parent, row);
}

static int enter(struct ui_domain *domain, struct ui_stats_row *row)
{
	int ret = row_enter(domain, row);

	if (ret || !domain->parent)
		return ret;
	ret = row_enter(domain->parent, row);
	if (ret)
		row_leave(domain, row);
	return ret;
}

int ui_domain_rows_enter(struct ui_domain *domain, struct ui_group *group, u32 pasid, bool has_pasid)
{
	int ret = 0;

	ui_list_for_each(item, &group->devices) {
		ret = enter(domain, ui_stats_row(ui_container_of(item, struct ui_device, group_link)->stats, pasid, has_pasid));
		if (!ret)
			continue;
		for (struct ui_list *back = item->prev; back != &group->devices; back = back->prev)
			leave(domain, ui_stats_row(ui_container_of(back, struct ui_device, group_link)->stats, pasid, has_pasid));
		return ret;
	}
	return 0;
}

void ui_domain_rows_leave(struct ui_domain *domain, struct ui_group *group, u32 pasid, bool has_pasid)
{
	ui_list_for_each(item, &group->devices)
		leave(domain, ui_stats_row(ui_container_of(item, struct ui_device, group_link)->stats, pasid, has_pasid));
}

void ui_domain_rows_fini(struct ui_domain *domain)
{
	struct ui_row_links *links = atomic_load_explicit(&domain->rows.next, memory_order_relaxed), *next;

	for (; links; links = next) {
		next = atomic_load_explicit(&links->next, memory_order_relaxed);
		ui_free(links);
	}
}

void ui_domain_count(struct ui_domain *domain, enum ui_domain_event event)
{
	static const size_t at[] = {
		[UI_DOMAIN_MAPPED] = offsetof(struct ui_stats_row, maps),
		[UI_DOMAIN_UNMAPPED] = offsetof(struct ui_stats_row, unmaps),
		[UI_DOMAIN_INVALIDATED] = offsetof(struct ui_stats_row, invalidations),
	};
	bool counted = false;

	/* Acquire, twice: partners are row_enter() and grow(). */
	for (struct ui_row_links *links = &domain->rows; links; links = atomic_load_explicit(&links->next, memory_order_acquire)) {
		for (unsigned i = 0; i < UI_ROW_LINKS; i++) {
			struct ui_stats_row *row = atomic_load_explicit(&links->link[i].row, memory_order_acquire);

			if (!row)
				continue;
			ui_stats_add((_Atomic u64 *)(void *)((char *)row + at[event]));
			counted = true;
		}
	}
	if (!counted)
		ui_stats_add((_Atomic u64 *)(void *)((char *)domain->iommu->detached + at[event]));
}
