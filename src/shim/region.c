/* SPDX-License-Identifier: MIT */
#include "shim/region.h"
#include "shim/share.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "iommufd/iommufd.h"

/* An address for each page, so that nothing is to be allocated when a program takes a mapping apart. */
struct ui_region {
	struct ui_file *file; /* held */
	void *token;
	u64 n_pages, n_left;    /* n_left: regions_lock */
	struct ui_region *next; /* regions_lock: in regions or gone */
	u64 at[];               /* regions_lock: where each page is, NOWHERE if it is gone */
};

#define NOWHERE (~(u64)0)

static pthread_mutex_t regions_lock = PTHREAD_MUTEX_INITIALIZER; /* leaf */
static struct ui_region *regions; /* regions_lock */
static struct ui_region *gone;    /* regions_lock: to be let go when no lock is held */
static _Atomic u32 n_regions;     /* in either list; relaxed: a program that unmaps what it just mapped orders the two itself */

bool ui_region_none(void)
{
	return ui_likely(!atomic_load_explicit(&n_regions, memory_order_relaxed));
}

struct ui_region *ui_region_new(struct ui_file *file, void *token, u64 n_bytes)
{
	u64 n_pages = n_bytes >> UI_PAGE_LG2;
	struct ui_region *region = ui_zalloc(sizeof(*region) + n_pages * sizeof(region->at[0]));

	if (!region)
		return NULL;
	region->file = ui_file_hold(file);
	region->token = token;
	region->n_pages = n_pages;
	return region;
}

static void let_go(struct ui_region *region)
{
	if (ui_file_is_foreign(region->file))
		ui_remote_munmap(region->file, region->token);
	else
		ui_iommufd_munmap(region->file->ctx, region->token);
	ui_file_put(region->file);
	ui_free(region);
}

void ui_region_place(struct ui_region *region, void *start)
{
	if (!start) {
		let_go(region);
		return;
	}
	for (u64 i = 0; i < region->n_pages; i++)
		region->at[i] = (u64)start + (i << UI_PAGE_LG2);
	region->n_left = region->n_pages;
	pthread_mutex_lock(&regions_lock);
	region->next = regions;
	regions = region;
	pthread_mutex_unlock(&regions_lock);
	atomic_fetch_add_explicit(&n_regions, 1, memory_order_relaxed);
}

bool ui_region_at(u64 start, u64 last)
{
	bool any = false;

	if (ui_region_none())
		return false;
	pthread_mutex_lock(&regions_lock);
	for (struct ui_region *region = regions; region && !any; region = region->next) {
		for (u64 i = 0; i < region->n_pages; i++)
			any |= region->at[i] != NOWHERE && region->at[i] >= start && region->at[i] <= last;
	}
	pthread_mutex_unlock(&regions_lock);
	return any;
}

void ui_region_cut(u64 start, u64 last)
{
	struct ui_region **link = &regions, *region;

	if (ui_region_none())
		return;
	pthread_mutex_lock(&regions_lock);
	while ((region = *link) != NULL) {
		for (u64 i = 0; i < region->n_pages; i++) {
			if (region->at[i] == NOWHERE || region->at[i] < start || region->at[i] > last)
				continue;
			region->at[i] = NOWHERE;
			region->n_left--;
		}
		if (region->n_left) {
			link = &region->next;
			continue;
		}
		*link = region->next;
		region->next = gone;
		gone = region;
	}
	pthread_mutex_unlock(&regions_lock);
}

void ui_region_move(u64 from, u64 to, u64 n_bytes)
{
	if (ui_region_none())
		return;
	pthread_mutex_lock(&regions_lock);
	for (struct ui_region *region = regions; region; region = region->next) {
		for (u64 i = 0; i < region->n_pages; i++) {
			if (region->at[i] != NOWHERE && region->at[i] - from < n_bytes)
				region->at[i] += to - from;
		}
	}
	pthread_mutex_unlock(&regions_lock);
}

void ui_region_settle(void)
{
	struct ui_region *list, *next;

	if (ui_region_none())
		return;
	pthread_mutex_lock(&regions_lock);
	list = gone;
	gone = NULL;
	pthread_mutex_unlock(&regions_lock);
	for (; list; list = next) {
		next = list->next;
		atomic_fetch_sub_explicit(&n_regions, 1, memory_order_relaxed);
		let_go(list);
	}
}

void ui_regions_forked(void)
{
	regions_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	regions = NULL;
	gone = NULL;
	atomic_store_explicit(&n_regions, 0, memory_order_relaxed);
}
