/* SPDX-License-Identifier: MIT */
#include "stats.h"

#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FAILED = 1 };

static const struct {
	const char *key, *title;
	size_t at;
	int width;
} columns[] = {
	{ "dmas", "DMAs", offsetof(struct uiommu_stats_counts, dmas), 10 },
	{ "bytes", "bytes", offsetof(struct uiommu_stats_counts, bytes), 14 },
	{ "tlb_hits", "TLB hits", offsetof(struct uiommu_stats_counts, tlb_hits), 10 },
	{ "tlb_misses", "misses", offsetof(struct uiommu_stats_counts, tlb_misses), 9 },
	{ "walks", "walks", offsetof(struct uiommu_stats_counts, walks), 9 },
	{ "nested_walks", "nested", offsetof(struct uiommu_stats_counts, nested_walks), 9 },
	{ "faults", "faults", offsetof(struct uiommu_stats_counts, faults), 8 },
	{ "maps", "maps", offsetof(struct uiommu_stats_counts, maps), 8 },
	{ "unmaps", "unmaps", offsetof(struct uiommu_stats_counts, unmaps), 8 },
	{ "invalidations", "invalidations", offsetof(struct uiommu_stats_counts, invalidations), 13 },
};

enum { N_COLUMNS = sizeof(columns) / sizeof(columns[0]) };

static uint64_t value(const struct uiommu_stats_counts *counts, size_t column)
{
	uint64_t val;

	memcpy(&val, (const char *)counts + columns[column].at, sizeof(val));
	return val;
}

/* What was done while nothing was attached, as a row's counts. */
static struct uiommu_stats_counts detached(const struct uiommu_stats_table *table)
{
	return (struct uiommu_stats_counts){
		.maps = table->detached_maps, .unmaps = table->detached_unmaps, .invalidations = table->detached_invalidations,
	};
}

int ui_cli_stats_option(struct ui_cli_stats *stats, const char *text)
{
	const char *file = text ? strchr(text, ':') : NULL;
	size_t len = file ? (size_t)(file - text) : text ? strlen(text) : 0;

	stats->wanted = true;
	stats->json = text && len == 4 && !strncmp(text, "json", len);
	if (text && !stats->json && (len != 5 || strncmp(text, "table", len)))
		return ui_cli_fail(FAILED, "--stats: unknown format \"%.*s\"; known: table, json, and either with :FILE", (int)len, text);
	if (stats->fd > 2)
		close(stats->fd);
	stats->fd = 2;
	if (!file)
		return 0;
	stats->fd = open(file + 1, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	if (stats->fd < 0)
		return ui_cli_fail(FAILED, "--stats: %s: %s", file + 1, strerror(errno));
	return 0;
}

int ui_cli_stats_begin(struct ui_cli_stats *stats, const struct uiommu_machine *machine)
{
	char err[256];

	stats->stats = uiommu_stats_new(machine, err, sizeof(err));
	if (!stats->stats)
		return ui_cli_fail(FAILED, "--stats: %s", err);
	if (setenv(UIOMMU_STATS_ENV, uiommu_stats_path(stats->stats), 1))
		return ui_cli_fail(FAILED, "--stats: out of memory");
	return 0;
}

void ui_cli_stats_none(void)
{
	unsetenv(UIOMMU_STATS_ENV);
}

static void print_row(FILE *out, const char *device, const char *type, const char *pasid, const struct uiommu_stats_counts *counts)
{
	fprintf(out, "%-12s %-8s %7s", device, type, pasid);
	for (size_t i = 0; i < N_COLUMNS; i++)
		fprintf(out, " %*" PRIu64, columns[i].width, value(counts, i));
	fputc('\n', out);
}

static void print_table(FILE *out, const struct uiommu_stats_table *table)
{
	const struct uiommu_stats_counts none = detached(table);

	fprintf(out, "uiommu: %u process%s used devices", table->n_processes, table->n_processes == 1 ? "" : "es");
	if (table->n_uncounted)
		fprintf(out, ", %u of them not counted", table->n_uncounted);
	fprintf(out, "\n%-12s %-8s %7s", "device", "type", "PASID");
	for (size_t i = 0; i < N_COLUMNS; i++)
		fprintf(out, " %*s", columns[i].width, columns[i].title);
	fputc('\n', out);
	for (size_t i = 0; i < table->n_rows; i++) {
		const struct uiommu_stats_row *row = &table->rows[i];
		char pasid[16] = "none";

		if (row->whose == UIOMMU_STATS_OTHER)
			strcpy(pasid, "others");
		else if (row->whose == UIOMMU_STATS_PASID)
			snprintf(pasid, sizeof(pasid), "%" PRIu32, row->pasid);
		print_row(out, row->device, row->type, pasid, &row->counts);
	}
	if (none.maps || none.unmaps || none.invalidations)
		print_row(out, "(detached)", "", "", &none);
}

/* json-c takes a null for an object that could not be made; nothing else can be done about it at this point. */
static void put_number(struct json_object *to, const char *key, uint64_t val)
{
	json_object_object_add(to, key, json_object_new_uint64(val));
}

static struct json_object *row_json(const struct uiommu_stats_row *row)
{
	struct json_object *json = json_object_new_object(), *pasid = NULL;

	if (row->whose == UIOMMU_STATS_PASID)
		pasid = json_object_new_int64(row->pasid);
	else if (row->whose == UIOMMU_STATS_OTHER)
		pasid = json_object_new_string("others");
	json_object_object_add(json, "pasid", pasid);
	for (size_t i = 0; i < N_COLUMNS; i++)
		put_number(json, columns[i].key, value(&row->counts, i));
	return json;
}

static struct json_object *devices_json(const struct uiommu_stats_table *table)
{
	struct json_object *devices = json_object_new_array(), *rows = NULL;

	for (size_t i = 0; i < table->n_rows; i++) {
		const struct uiommu_stats_row *row = &table->rows[i];

		if (!i || row->device != row[-1].device) {
			struct json_object *device = json_object_new_object();

			rows = json_object_new_array();
			json_object_object_add(device, "device", json_object_new_string(row->device));
			json_object_object_add(device, "type", json_object_new_string(row->type));
			json_object_object_add(device, "pasids", rows);
			json_object_array_add(devices, device);
		}
		json_object_array_add(rows, row_json(row));
	}
	return devices;
}

static void print_json(FILE *out, const struct uiommu_stats_table *table)
{
	struct json_object *json = json_object_new_object(), *none = json_object_new_object();
	const struct uiommu_stats_counts counts = detached(table);

	put_number(json, "processes", table->n_processes);
	put_number(json, "uncounted", table->n_uncounted);
	json_object_object_add(json, "devices", devices_json(table));
	put_number(none, "maps", counts.maps);
	put_number(none, "unmaps", counts.unmaps);
	put_number(none, "invalidations", counts.invalidations);
	json_object_object_add(json, "detached", none);
	fprintf(out, "%s\n", json_object_to_json_string_ext(json, JSON_C_TO_STRING_PRETTY));
	json_object_put(json);
}

/* In one piece, and a file holds nothing else. */
static int put(int fd, const char *text, size_t n_bytes)
{
	struct stat st;

	if (fd != 2 && !fstat(fd, &st) && S_ISREG(st.st_mode) && (ftruncate(fd, 0) || lseek(fd, 0, SEEK_SET)))
		return -1;
	while (n_bytes) {
		ssize_t n = write(fd, text, n_bytes);

		if (n < 0 && errno != EINTR)
			return -1;
		text += n > 0 ? n : 0;
		n_bytes -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

void ui_cli_stats_print(const struct ui_cli_stats *stats)
{
	struct uiommu_stats_table table;
	char *text = NULL;
	size_t n_bytes = 0;
	int ret = uiommu_stats_read(stats->stats, &table);
	FILE *out = ret ? NULL : open_memstream(&text, &n_bytes);

	if (out) {
		if (stats->json)
			print_json(out, &table);
		else
			print_table(out, &table);
		if (fclose(out))
			ret = -ENOMEM;
		else if (put(stats->fd, text, n_bytes))
			ret = -errno;
	} else if (!ret) {
		ret = -ENOMEM;
	}
	if (ret)
		ui_cli_fail(FAILED, "--stats: %s", strerror(-ret));
	free(text);
	uiommu_stats_release(&table);
}
