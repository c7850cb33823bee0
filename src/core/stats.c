/* SPDX-License-Identifier: MIT */
/*
 * What is done to a domain counts in the rows of the devices and PASIDs that it is attached to; those of a nested domain
 * are its parent's, too. A lock of its own, which nobody holds for long: maps may come from inside a section, and the domain's
 * lock is held by who waits for sections; and a row may go with its device as soon as it was left.
 */
#include "base/alloc.h"
#include "core/internal.h"

#include <errno.h>

/* The place of @row, or with NULL a free one; NULL: there is none. Under domain->rows_lock. */
static struct ui_row_link *find(struct ui_domain *domain, const struct ui_stats_row *row)
{
	for (struct ui_row_links *links = &domain->rows; links; links = links->next) {
		for (unsigned i = 0; i < UI_ROW_LINKS; i++) {
			if (links->link[i].row == row)
				return &links->link[i];
		}
	}
	return NULL;
}

static struct ui_row_link *grow(struct ui_domain *domain)
{
	struct ui_row_links *links = ui_zalloc(sizeof(*links));

	if (!links)
		return NULL;
	links->next = domain->rows.next;
	domain->rows.next = links;
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
		link->row = row;
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
		link->row = NULL;
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
	struct ui_row_links *next;

	for (struct ui_row_links *links = domain->rows.next; links; links = next) {
		next = links->next;
		ui_free(links);
	}
}

static void count(struct ui_stats_row *row, unsigned events)
{
	if (events & UI_DOMAIN_MAPPED)
		ui_stats_add(&row->maps);
	if (events & UI_DOMAIN_UNMAPPED)
		ui_stats_add(&row->unmaps);
	if (events & UI_DOMAIN_INVALIDATED)
		ui_stats_add(&row->invalidations);
}

void ui_domain_count(struct ui_domain *domain, unsigned events)
{
	bool counted = false;

	pthread_mutex_lock(&domain->rows_lock);
	for (struct ui_row_links *links = &domain->rows; links; links = links->next) {
		for (unsigned i = 0; i < UI_ROW_LINKS; i++) {
			struct ui_stats_row *row = links->link[i].row;

			if (!row)
				continue;
			count(row, events);
			counted = true;
		}
	}
	pthread_mutex_unlock(&domain->rows_lock);
	if (!counted)
		count(domain->iommu->detached, events);
}
