/* SPDX-License-Identifier: MIT */
/* The public face of the counters: include/uiommu/stats.h. */
#include <uiommu/stats.h>

#include "base/bits.h"
#include "base/sys.h"
#include "machine/counters.h"
#include "machine/public.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct uiommu_stats {
	int fd;
	char path[64];
	u32 n_devices; /* at least 1: room in the counters */
	u32 n_named;   /* devices of the machine */
	struct {
		u32 rid;
		char name[13], type[16];
	} devices[UI_MACHINE_MAX_DEVICES];
};

struct uiommu_stats *uiommu_stats_new(const struct uiommu_machine *machine, char *err, size_t err_bytes)
{
	const struct ui_machine_desc *desc = &machine->desc;
	struct uiommu_stats *stats = calloc(1, sizeof(*stats));

	if (!stats) {
		snprintf(err, err_bytes, "out of memory");
		return NULL;
	}
	stats->n_named = desc->n_devices;
	stats->n_devices = (u32)ui_max(desc->n_devices, 1);
	for (u32 i = 0; i < stats->n_named; i++) {
		stats->devices[i].rid = desc->devices[i].rid;
		ui_machine_rid_print(desc->devices[i].rid, stats->devices[i].name);
		memcpy(stats->devices[i].type, desc->devices[i].type, sizeof(stats->devices[i].type));
	}
	stats->fd = ui_counters_create(stats->n_devices);
	if (stats->fd < 0) {
		snprintf(err, err_bytes, "memory for the counters: %s", strerror(-stats->fd));
		free(stats);
		return NULL;
	}
	snprintf(stats->path, sizeof(stats->path), "/proc/%d/fd/%d", ui_sys_getpid(), stats->fd);
	return stats;
}

void uiommu_stats_free(struct uiommu_stats *stats)
{
	if (!stats)
		return;
	ui_sys_close(stats->fd);
	free(stats);
}

const char *uiommu_stats_path(const struct uiommu_stats *stats)
{
	return stats->path;
}

/* The row of the table that these counters belong to; it may move the rows. NULL without memory. */
static struct uiommu_stats_row *row_new(struct uiommu_stats_table *table, size_t *room)
{
	if (table->n_rows == *room) {
		size_t more = *room ? 2 * *room : 64;
		struct uiommu_stats_row *rows = realloc(table->rows, more * sizeof(*rows));

		if (!rows)
			return NULL;
		table->rows = rows;
		*room = more;
	}
	memset(&table->rows[table->n_rows], 0, sizeof(*table->rows));
	return &table->rows[table->n_rows++];
}

static struct uiommu_stats_counts counts_of(const struct ui_stats_row *row)
{
	return (struct uiommu_stats_counts){
		.dmas = ui_stats_get(&row->dmas),
		.bytes = ui_stats_get(&row->bytes),
		.tlb_hits = ui_stats_get(&row->tlb_hits),
		.tlb_misses = ui_stats_get(&row->tlb_misses),
		.walks = ui_stats_get(&row->walks),
		.nested_walks = ui_stats_get(&row->nested_walks),
		.faults = ui_stats_get(&row->faults),
		.maps = ui_stats_get(&row->maps),
		.unmaps = ui_stats_get(&row->unmaps),
		.invalidations = ui_stats_get(&row->invalidations),
	};
}

/* Every row that a process has of a device, one by one. 0 or -ENOMEM. */
static int add_device(const struct uiommu_stats *stats, u32 index, const struct ui_stats_dev *dev, struct uiommu_stats_table *table,
		      size_t *room)
{
	static const struct uiommu_stats_counts none;
	const struct ui_stats_row *from;
	unsigned i = 0;

	while ((from = ui_stats_next(dev, &i))) {
		struct uiommu_stats_counts counts = counts_of(from);
		struct uiommu_stats_row *row;

		if (i - 1 == UI_STATS_OTHER && !memcmp(&counts, &none, sizeof(none)))
			continue;
		row = row_new(table, room);
		if (!row)
			return -ENOMEM;
		row->device = stats->devices[index].name;
		row->type = stats->devices[index].type;
		row->counts = counts;
		if (i - 1 == UI_STATS_NO_PASID) {
			row->whose = UIOMMU_STATS_NO_PASID;
		} else if (i - 1 == UI_STATS_OTHER) {
			row->whose = UIOMMU_STATS_OTHER;
		} else {
			row->whose = UIOMMU_STATS_PASID;
			row->pasid = atomic_load_explicit(&dev->pasids[i - 1], memory_order_relaxed) - 1;
		}
	}
	return 0;
}

static int add_slot(const struct uiommu_stats *stats, const struct ui_stats *slot, struct uiommu_stats_table *table, size_t *room)
{
	int ret = 0;

	table->detached_maps += ui_stats_get(&slot->detached.maps);
	table->detached_unmaps += ui_stats_get(&slot->detached.unmaps);
	table->detached_invalidations += ui_stats_get(&slot->detached.invalidations);
	for (u32 i = 0; i < stats->n_named && !ret; i++) {
		for (u32 at = 0; at < stats->n_devices && !ret; at++) {
			if (ui_stats_get(&slot->devices[at].whose) == (UI_BIT(32) | stats->devices[i].rid))
				ret = add_device(stats, i, &slot->devices[at], table, room);
		}
	}
	return ret;
}

/* Names of one object lie in the order of its devices. */
static int in_order(const void *a, const void *b)
{
	const struct uiommu_stats_row *x = a, *y = b;

	if (x->device != y->device)
		return x->device < y->device ? -1 : 1;
	if (x->whose != y->whose)
		return x->whose < y->whose ? -1 : 1;
	return x->pasid < y->pasid ? -1 : x->pasid > y->pasid;
}

static void add(struct uiommu_stats_counts *to, const struct uiommu_stats_counts *from)
{
	to->dmas += from->dmas;
	to->bytes += from->bytes;
	to->tlb_hits += from->tlb_hits;
	to->tlb_misses += from->tlb_misses;
	to->walks += from->walks;
	to->nested_walks += from->nested_walks;
	to->faults += from->faults;
	to->maps += from->maps;
	to->unmaps += from->unmaps;
	to->invalidations += from->invalidations;
}

/* Rows of the same device and PASID, from several processes, become one. */
static void merge(struct uiommu_stats_table *table)
{
	size_t n = 0;

	qsort(table->rows, table->n_rows, sizeof(*table->rows), in_order);
	for (size_t i = 0; i < table->n_rows; i++) {
		if (n && !in_order(&table->rows[n - 1], &table->rows[i]))
			add(&table->rows[n - 1].counts, &table->rows[i].counts);
		else
			table->rows[n++] = table->rows[i];
	}
	table->n_rows = n;
}

int uiommu_stats_read(const struct uiommu_stats *stats, struct uiommu_stats_table *table)
{
	struct ui_stats *slot = malloc(ui_counters_bytes(stats->n_devices));
	u32 n_joined, n_lost;
	size_t room = 0;
	int ret;

	memset(table, 0, sizeof(*table));
	if (!slot)
		return -ENOMEM;
	ret = ui_counters_processes(stats->fd, &n_joined, &n_lost);
	for (u32 i = 0; i < stats->n_named && !ret; i++) {
		struct uiommu_stats_row *row = row_new(table, &room);

		if (!row) {
			ret = -ENOMEM;
		} else {
			row->device = stats->devices[i].name;
			row->type = stats->devices[i].type;
		}
	}
	for (unsigned i = 0; i < UI_COUNTERS_SLOTS && !ret; i++) {
		ret = ui_counters_read(stats->fd, stats->n_devices, i, slot);
		if (ret > 0)
			ret = add_slot(stats, slot, table, &room);
	}
	free(slot);
	if (ret) {
		uiommu_stats_release(table);
		return ret;
	}
	table->n_processes = n_joined;
	table->n_uncounted = n_lost;
	merge(table);
	return 0;
}

void uiommu_stats_release(struct uiommu_stats_table *table)
{
	free(table->rows);
	memset(table, 0, sizeof(*table));
}
