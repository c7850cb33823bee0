/* SPDX-License-Identifier: MIT */
/* Unmapping, and splitting for those who unmap in parts. */
#include "core/ioas_priv.h"
#include "base/alloc.h"
#include "base/sys.h"

#include <errno.h>

/* How often the accesses that have an area pinned are asked to let it go; and when that begins to wait in between. */
enum { ASK_MAX = 100, ASK_PATIENTLY = 10 };

/* Why @area, at @item, cannot go; 0: it can. -EAGAIN: not while accesses have it pinned. */
static int hindered(const struct ui_area *area, const struct ui_ivl_item *item, u64 start, u64 last)
{
	if (area->busy || area->n_holds)
		return -EBUSY;
	if (item->start < start || item->last > last)
		return -ENOENT;
	return area->n_accesses ? -EAGAIN : 0;
}

/*
 * The areas from @start on that can go, up to the first that cannot: *@first and *@end are their ends, *@hindrance the one that
 * cannot, for the reason *@why. 1 when there are any.
 */
static int find_run(const struct ui_ioas *ioas, u64 start, u64 last, u64 *first, u64 *end, struct ui_area **hindrance, int *why)
{
	struct ui_ivl_item item;
	int found = 0;

	*why = 0;
	for (bool more = ui_ivl_first(&ioas->areas, start, &item); more && item.start <= last; more = ui_ivl_next(&ioas->areas, &item)) {
		*hindrance = item.ptr;
		*why = hindered(item.ptr, &item, start, last);
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

/* An area that accesses have pinned. */
struct pinned {
	u64 start, length;
};

/* No access may pin @area any more, and those that are about to have done so. Under ioas->lock, which is dropped: @area may be gone. */
static void block(struct ui_ioas *ioas, struct ui_area *area, struct pinned *pinned)
{
	*pinned = (struct pinned){ area->start, area->length };
	area->blocked = true;
	if (area->n_pinning)
		pthread_cond_wait(&ioas->pinned, &ioas->lock);
}

/* Unmaps up to the first area that cannot go, and says why: 0, or -EAGAIN with what accesses have *@pinned. */
static int unmap_some(struct ui_ioas *ioas, u64 start, u64 last, u64 *removed, struct pinned *pinned)
{
	struct ui_area *gone = NULL, **tail = &gone, *area, *hindrance = NULL;
	u64 first = 0, end = 0;
	struct ui_ivl_item item;
	int ret, why;

	pthread_rwlock_rdlock(&ioas->domains_lock);
	pthread_rwlock_rdlock(&ioas->set->moving);
	pthread_mutex_lock(&ioas->lock);
	ret = find_run(ioas, start, last, &first, &end, &hindrance, &why);
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
	*tail = NULL;
	if (!ret && why == -EAGAIN)
		block(ioas, hindrance, pinned);
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

int ui_ioas_unmap(struct ui_ioas *ioas, u64 start, u64 last, u64 *removed)
{
	struct pinned pinned = { 0 };
	u64 asked = ~(u64)0;
	int ret;

	*removed = 0;
	for (unsigned n = 0; (ret = unmap_some(ioas, start, last, removed, &pinned)) == -EAGAIN;) {
		/* Another area than before. */
		if (pinned.start != asked)
			n = 0;
		asked = pinned.start;
		if (n++ == ASK_MAX)
			return -EDEADLOCK;
		ui_ioas_notify(ioas, pinned.start, pinned.length);
		if (n > ASK_PATIENTLY)
			ui_sys_sleep_ns(1000 * 1000);
	}
	return ret;
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

		if (area->busy || area->blocked)
			ret = -EBUSY;
		else if (area->pages->cfg.dmabuf)
			ret = -EOPNOTSUPP;
		else if (ioas->huge || area->n_accesses || !ui_is_aligned((iova + 1) | addr, ioas->alignment))
			ret = -EINVAL;
		else
			ret = split(ioas, area, iova);
	}
	pthread_mutex_unlock(&ioas->lock);
	pthread_rwlock_unlock(&ioas->set->moving);
	pthread_rwlock_unlock(&ioas->domains_lock);
	return ret;
}
