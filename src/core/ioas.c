/* SPDX-License-Identifier: MIT */
/* The IOAS itself: what is reserved, what is allowed, alignment, options. */
#include "core/ioas_priv.h"
#include "base/alloc.h"
#include "base/rwlock.h"

#include <errno.h>
#include <string.h>

struct ui_ioas *ui_ioas_create(struct ui_pages_set *set)
{
	struct ui_ioas *ioas = ui_zalloc(sizeof(*ioas));

	if (!ioas)
		return NULL;
	ioas->set = set;
	ioas->alignment = 1;
	ioas->huge = true;
	ui_rwlock_init(&ioas->domains_lock);
	pthread_mutex_init(&ioas->lock, NULL);
	pthread_cond_init(&ioas->pinned, NULL);
	ui_list_init(&ioas->accesses);
	return ioas;
}

void ui_ioas_destroy(struct ui_ioas *ioas)
{
	u64 removed;

	if (!ioas)
		return;
	ui_assert(!ioas->n_domains && ui_list_empty(&ioas->accesses));
	ui_ioas_unmap(ioas, 0, ~(u64)0, &removed);
	ui_assert(!ioas->areas.n);
	ui_ivl_fini(&ioas->allowed);
	ui_free(ioas->domains);
	ui_free(ioas->resv);
	ui_free(ioas->resv_merged);
	pthread_cond_destroy(&ioas->pinned);
	pthread_mutex_destroy(&ioas->lock);
	pthread_rwlock_destroy(&ioas->domains_lock);
	ui_free(ioas);
}

u64 ui_ioas_alignment(struct ui_ioas *ioas)
{
	u64 alignment;

	pthread_mutex_lock(&ioas->lock);
	alignment = ioas->alignment;
	pthread_mutex_unlock(&ioas->lock);
	return alignment;
}

u64 ui_ioas_wanted_alignment(const struct ui_ioas *ioas, u64 granule, bool huge)
{
	u64 alignment = ui_max(granule, huge && !ioas->n_pinners ? 1 : UI_PAGE_BYTES);

	for (size_t i = 0; i < ioas->n_domains; i++)
		alignment = ui_max(alignment, UI_BIT(ui_ffs64(ui_domain_page_sizes(ioas->domains[i]))));
	return alignment;
}

bool ui_ioas_areas_aligned(const struct ui_ioas *ioas, u64 alignment)
{
	struct ui_ivl_item item;

	for (bool more = ui_ivl_first(&ioas->areas, 0, &item); more; more = ui_ivl_next(&ioas->areas, &item)) {
		const struct ui_area *area = item.ptr;

		if (!ui_is_aligned(area->start | area->length | (area->pages->cfg.addr + area->offset), alignment))
			return false;
	}
	return true;
}

int ui_ioas_set_huge_pages(struct ui_ioas *ioas, bool on)
{
	u64 alignment;
	int ret = 0;

	pthread_rwlock_wrlock(&ioas->domains_lock);
	pthread_mutex_lock(&ioas->lock);
	alignment = ui_ioas_wanted_alignment(ioas, 1, on);
	if (on == ioas->huge)
		goto out;
	if (!on && ioas->n_domains && ioas->areas.n)
		ret = -EINVAL;
	else if (!on && !ui_ioas_areas_aligned(ioas, alignment))
		ret = -EADDRINUSE;
	if (!ret) {
		ioas->huge = on;
		ioas->alignment = alignment;
	}
out:
	pthread_mutex_unlock(&ioas->lock);
	pthread_rwlock_unlock(&ioas->domains_lock);
	return ret;
}

bool ui_ioas_huge_pages(struct ui_ioas *ioas)
{
	bool huge;

	pthread_mutex_lock(&ioas->lock);
	huge = ioas->huge;
	pthread_mutex_unlock(&ioas->lock);
	return huge;
}

/* Index of the first merged range that ends at or after @at. */
static size_t merged_from(const struct ui_ioas *ioas, u64 at)
{
	size_t low = 0, high = ioas->n_merged;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (ioas->resv_merged[middle].last < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool ui_ioas_is_reserved(const struct ui_ioas *ioas, u64 start, u64 last)
{
	size_t i = merged_from(ioas, start);

	return i < ioas->n_merged && ioas->resv_merged[i].start <= last;
}

bool ui_ioas_next_hole(const struct ui_ioas *ioas, u64 at, u64 last, struct ui_iova_range *hole)
{
	for (size_t i = merged_from(ioas, at); i < ioas->n_merged && ioas->resv_merged[i].start <= at; i++) {
		if (ioas->resv_merged[i].last >= last)
			return false;
		at = ioas->resv_merged[i].last + 1;
	}
	if (at > last)
		return false;
	hole->start = at;
	hole->last = last;
	for (size_t i = merged_from(ioas, at); i < ioas->n_merged; i++) {
		if (ioas->resv_merged[i].start <= last)
			hole->last = ioas->resv_merged[i].start - 1;
		break;
	}
	return true;
}

int ui_ioas_ranges(struct ui_ioas *ioas, struct ui_iova_range **out, size_t *n)
{
	struct ui_iova_range hole;
	u64 at = 0;

	*n = 0;
	pthread_mutex_lock(&ioas->lock);
	*out = ui_calloc(ioas->n_merged + 1, sizeof(**out));
	while (*out && ui_ioas_next_hole(ioas, at, ~(u64)0, &hole)) {
		(*out)[(*n)++] = hole;
		if (hole.last == ~(u64)0)
			break;
		at = hole.last + 1;
	}
	pthread_mutex_unlock(&ioas->lock);
	return *out ? 0 : -ENOMEM;
}

int ui_ioas_allow(struct ui_ioas *ioas, struct ui_ivl *allowed)
{
	struct ui_ivl old = *allowed;
	int ret = 0;

	pthread_mutex_lock(&ioas->lock);
	for (size_t i = 0; !ret && i < ioas->n_merged; i++) {
		if (ui_ivl_meets(allowed, ioas->resv_merged[i].start, ioas->resv_merged[i].last, NULL))
			ret = -EADDRINUSE;
	}
	if (!ret) {
		*allowed = (struct ui_ivl){ 0 };
		/* What goes is freed outside the lock. */
		struct ui_ivl gone = ioas->allowed;

		ioas->allowed = old;
		old = gone;
	}
	pthread_mutex_unlock(&ioas->lock);
	if (!ret)
		ui_ivl_fini(&old);
	return ret;
}

/* resv_merged from resv; there is room for as many. */
static void merge(struct ui_ioas *ioas)
{
	struct ui_iova_range *to = ioas->resv_merged;

	ioas->n_merged = 0;
	for (size_t i = 0; i < ioas->n_resv; i++) {
		const struct ui_ioas_resv *resv = &ioas->resv[i];
		struct ui_iova_range *prev = ioas->n_merged ? &to[ioas->n_merged - 1] : NULL;

		if (prev && (prev->last == ~(u64)0 || resv->start <= prev->last + 1))
			prev->last = ui_max(prev->last, resv->last);
		else
			to[ioas->n_merged++] = (struct ui_iova_range){ resv->start, resv->last };
	}
}

static int resv_room(struct ui_ioas *ioas)
{
	size_t room = ioas->resv_room ? ioas->resv_room * 2 : 4;
	void *resv, *merged;

	if (ioas->n_resv < ioas->resv_room)
		return 0;
	resv = ui_realloc(ioas->resv, room * sizeof(*ioas->resv));
	if (!resv)
		return -ENOMEM;
	ioas->resv = resv;
	merged = ui_realloc(ioas->resv_merged, room * sizeof(*ioas->resv_merged));
	if (!merged)
		return -ENOMEM;
	ioas->resv_merged = merged;
	ioas->resv_room = room;
	return 0;
}

int ui_ioas_reserve(struct ui_ioas *ioas, u64 start, u64 last, const void *owner)
{
	size_t at = 0;
	int ret;

	pthread_mutex_lock(&ioas->lock);
	if (ui_ivl_meets(&ioas->areas, start, last, NULL) || ui_ivl_meets(&ioas->allowed, start, last, NULL))
		ret = -EADDRINUSE;
	else
		ret = resv_room(ioas);
	if (!ret) {
		while (at < ioas->n_resv && ioas->resv[at].start <= start)
			at++;
		memmove(ioas->resv + at + 1, ioas->resv + at, (ioas->n_resv - at) * sizeof(*ioas->resv));
		ioas->resv[at] = (struct ui_ioas_resv){ start, last, owner };
		ioas->n_resv++;
		merge(ioas);
	}
	pthread_mutex_unlock(&ioas->lock);
	return ret;
}

void ui_ioas_unreserve(struct ui_ioas *ioas, const void *owner)
{
	size_t n = 0;

	pthread_mutex_lock(&ioas->lock);
	for (size_t i = 0; i < ioas->n_resv; i++) {
		if (ioas->resv[i].owner != owner)
			ioas->resv[n++] = ioas->resv[i];
	}
	ioas->n_resv = n;
	merge(ioas);
	pthread_mutex_unlock(&ioas->lock);
}

static int list_add(struct ui_pages_list *list, struct ui_pages *pages)
{
	if (list->n == list->room) {
		size_t room = list->room ? list->room * 2 : 16;
		struct ui_pages **grown = ui_realloc(list->pages, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		list->pages = grown;
		list->room = room;
	}
	list->pages[list->n++] = ui_pages_get(pages);
	return 0;
}

int ui_ioas_list_files(struct ui_ioas *ioas, struct ui_pages_list *list)
{
	struct ui_ivl_item item;
	int ret = 0;

	pthread_mutex_lock(&ioas->lock);
	for (bool more = ui_ivl_first(&ioas->areas, 0, &item); more && !ret; more = ui_ivl_next(&ioas->areas, &item)) {
		const struct ui_area *area = item.ptr;

		if (!area->pages->cfg.file)
			ret = -EINVAL;
		else
			ret = area->busy ? -EBUSY : list_add(list, area->pages);
	}
	pthread_mutex_unlock(&ioas->lock);
	return ret;
}

void ui_pages_list_free(struct ui_pages_list *list)
{
	while (list->n)
		ui_pages_put(list->pages[--list->n]);
	ui_free(list->pages);
}

bool ui_ioas_is_mapped(struct ui_ioas *ioas, u64 iova)
{
	struct ui_ivl_item item;
	bool mapped;

	pthread_mutex_lock(&ioas->lock);
	mapped = ui_ivl_meets(&ioas->areas, iova, iova, &item) && !((const struct ui_area *)item.ptr)->busy;
	pthread_mutex_unlock(&ioas->lock);
	return mapped;
}
