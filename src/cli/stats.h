/* SPDX-License-Identifier: MIT */
/* uiommu run --stats: what the program's devices did, as a table or JSON. */
#ifndef UI_CLI_STATS_H
#define UI_CLI_STATS_H

#include <uiommu/stats.h>

#include <stdbool.h>

struct ui_cli_stats {
	bool wanted, json;
	int fd; /* where to: 2, or the file that was named, emptied each time */
	struct uiommu_stats *stats;
};

/* @text: "table" or "json", then ":FILE" perhaps; NULL: table. Opens FILE. 0, or an exit status after a line to stderr. */
int ui_cli_stats_option(struct ui_cli_stats *stats, const char *text);
/* The counters, and the environment that leads the program to them. Likewise. */
int ui_cli_stats_begin(struct ui_cli_stats *stats, const struct uiommu_machine *machine);
/* Without --stats: an outer command's counters are of another machine. */
void ui_cli_stats_none(void);
/* Everything up to now. */
void ui_cli_stats_print(const struct ui_cli_stats *stats);

#endif
