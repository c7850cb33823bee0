/* SPDX-License-Identifier: MIT */
/* Unmapping, and splitting for those who unmap in parts. */
#include "core/ioas_priv.h"
#include "base/alloc.h"

#include <errno.h>

/* The areas from @start on that can go, up to the first that cannot: *@first and *@end are their ends. 1 when there are any. */
static int find_run(const struct ui_ioas *ioas, u64 start, u64 last, u64 *first, u64 *end, int *why)
{
	struct ui_ivl_item item;
	int found = 0;

	*why = 0;
	for (bool more = ui_ivl_first(&ioas->areas, start, &item); more && item.start <= last; more = ui_ivl_next(&ioas->areas, &item)) {
		if (((struct ui_area *)item.ptr)->busy)
			*why = -EBUSY;
		else if (item.start < start || item.last > last)
			*why = -ENOENT;
		if (*why)
			break;
		if (!found)
			*first = item.start;
		found = 1;
		*end = item.last;
	}
	return found;
}

/* Takes a run of areas out of all domains, or (the caller is inside a section) of none. */
static int clear_domains(struct ui_ioas *ioas, u64 first, u64 end)
{
	struct ui_ivl_item item;

	for (size_t i = 0; i < ioas->n_domains; i++) {
		s64 ret = ui_domain_unmap(ioas->domains[i], first, end, UI_PT_SPLIT);

		if (ret >= 0)
			continue;
		while (i-- > 0) {
			for (bool more = ui_ivl_first(&ioas->areas, first, &item); more && item.start <= end; more = ui_ivl_next(&ioas->areas, &item))
				ui_area_map(item.ptr, ioas->domains[i]);
		}
		return (int)ret;
	}
	return 0;
}

int ui_ioas_unmap(struct ui_ioas *ioas, u64 start, u64 last, u64 *removed)
{
	struct ui_area *gone = NULL, **tail = &gone, *area;
	u64 first = 0, end = 0;
	struct ui_ivl_item item;
	int ret, why;

	*removed = 0;
	pthread_rwlock_rdlock(&ioas->domains_lock);
	pthread_rwlock_rdlock(&ioas->set->moving);
	pthread_mutex_lock(&ioas->lock);
	ret = find_run(ioas, start, last, &first, &end, &why);
	if (ret) {
		ret = clear_domains(ioas, first, end);
		while (!ret && ui_ivl_meets(&ioas->areas, first, end, &item)) {
			area = ui_ivl_erase(&ioas->areas, item.start);
			area->busy = true;
			*tail = area;
			tail = &area->next;
			*removed += area->length;
		}
	}
	pthread_mutex_unlock(&ioas->lock);
	pthread_rwlock_unlock(&ioas->set->moving);
	/* Only now can no DMA reach the pages. */
	while ((area = gone)) {
		gone = area->next;
		ui_area_unpin(area);
		ui_area_free(area);
	}
	pthread_rwlock_unlock(&ioas->domains_lock);
	return ret ? ret : why;
}

/* @area ends at @iova, and a new one begins behind it. */
static int split(struct ui_ioas *ioas, struct ui_area *area, u64 iova)
{
	u64 last = area->start + (area->length - 1), cut = iova + 1 - area->start;
	struct ui_area *second = ui_zalloc(sizeof(*second));
	int ret;

	if (!second)
		return -ENOMEM;
	*second = (struct ui_area){
		.ioas = ioas,
		.pages = ui_pages_get(area->pages),
		.start = iova + 1,
		.length = area->length - cut,
		.offset = area->offset + cut,
		.prot = area->prot,
	};
	ui_ivl_set_last(&ioas->areas, area->start, iova);
	ret = ui_ivl_insert(&ioas->areas, second->start, last, second);
	if (!ret && area->pinned) {
		ret = ui_pages_split_pin(area->pages, area->offset, area->length, cut, &area->pin, &second->pin);
		if (ret)
			ui_ivl_erase(&ioas->areas, second->start);
		else
			second->pinned = true;
	}
	if (ret) {
		ui_ivl_set_last(&ioas->areas, area->start, last);
		ui_area_free(second);
		return ret;
	}
	area->length = cut;
	return 0;
}

int ui_ioas_cut(struct ui_ioas *ioas, u64 iova)
{
	struct ui_ivl_item item;
	int ret = 0;

	pthread_rwlock_rdlock(&ioas->domains_lock);
	pthread_rwlock_rdlock(&ioas->set->moving);
	pthread_mutex_lock(&ioas->lock);
	if (ui_ivl_meets(&ioas->areas, iova, iova, &item) && item.last != iova) {
		struct ui_area *area = item.ptr;
		u64 addr = area->pages->cfg.addr + area->offset + (iova + 1 - area->start);

		if (area->busy)
			ret = -EBUSY;
		else if (ioas->huge || !ui_is_aligned((iova + 1) | addr, ioas->alignment))
			ret = -EINVAL;
		else
			ret = split(ioas, area, iova);
	}
	pthread_mutex_unlock(&ioas->lock);
	pthread_rwlock_unlock(&ioas->set->moving);
	pthread_rwlock_unlock(&ioas->domains_lock);
	return ret;
}

bool ui_ioas_all_files(struct ui_ioas *ioas, bool *busy)
{
	struct ui_ivl_item item;
	bool all = true;

	*busy = false;
	pthread_mutex_lock(&ioas->lock);
	for (bool more = ui_ivl_first(&ioas->areas, 0, &item); more && all; more = ui_ivl_next(&ioas->areas, &item)) {
		const struct ui_area *area = item.ptr;

		all = area->pages->cfg.file;
		*busy |= area->busy;
	}
	pthread_mutex_unlock(&ioas->lock);
	return all;
}
