/* SPDX-License-Identifier: MIT */
/* What run and serve are told about the machine, in the same words. */
#ifndef UI_CLI_OPTIONS_H
#define UI_CLI_OPTIONS_H

#include <uiommu/machine.h>

#include <limits.h>
#include <stdbool.h>

struct ui_cli_machine {
	struct uiommu_machine *machine;
	const char *kind, *log;
	char log_file[PATH_MAX];
};

enum { UI_CLI_OPT_LOG_FILE = 1000 };

/* -d, -m, -i, -l or UI_CLI_OPT_LOG_FILE, with @arg. *@known: it was one of them. 0, or an exit status after a line to stderr. */
int ui_cli_machine_option(struct ui_cli_machine *m, int opt, const char *arg, bool *known);
/* When all options were seen: those of the command line win over a file's, whatever their order; @device is the one without any. As above. */
int ui_cli_machine_settle(struct ui_cli_machine *m, const char *device);

#endif
