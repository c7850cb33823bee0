/* SPDX-License-Identifier: MIT */
#include "options.h"

#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FAILED = 1 };

/* The log file's name must mean the same wherever the program goes. */
static int absolute(const char *name, char *out, size_t out_bytes)
{
	char cwd[PATH_MAX];
	int n;

	if (name[0] == '/')
		n = snprintf(out, out_bytes, "%s", name);
	else if (!getcwd(cwd, sizeof(cwd)))
		return ui_cli_fail(FAILED, "current directory: %s", strerror(errno));
	else
		n = snprintf(out, out_bytes, "%s/%s", cwd, name);
	return n < 0 || (size_t)n >= out_bytes ? ui_cli_fail(FAILED, "log file: the path is too long") : 0;
}

int ui_cli_machine_option(struct ui_cli_machine *m, int opt, const char *arg, bool *known)
{
	char err[512];

	*known = true;
	switch (opt) {
	case 'd':
		return uiommu_machine_add_device(m->machine, arg, err, sizeof(err)) ? ui_cli_fail(FAILED, "--device: %s", err) : 0;
	case 'm':
		return uiommu_machine_read_file(m->machine, arg, err, sizeof(err)) ? ui_cli_fail(FAILED, "--machine: %s", err) : 0;
	case 'i':
		m->kind = arg;
		return 0;
	case 'l':
		m->log = arg;
		return 0;
	case UI_CLI_OPT_LOG_FILE:
		return absolute(arg, m->log_file, sizeof(m->log_file));
	default:
		*known = false;
		return 0;
	}
}

int ui_cli_machine_settle(struct ui_cli_machine *m, const char *device)
{
	char err[512];

	if (m->kind && uiommu_machine_set(m->machine, "iommu", m->kind, err, sizeof(err)))
		return ui_cli_fail(FAILED, "--iommu: %s", err);
	if (m->log && uiommu_machine_set(m->machine, "log", m->log, err, sizeof(err)))
		return ui_cli_fail(FAILED, "--log: %s", err);
	if (m->log_file[0]) {
		FILE *file = fopen(m->log_file, "ae");

		if (!file)
			return ui_cli_fail(FAILED, "--log-file: %s: %s", m->log_file, strerror(errno));
		fclose(file);
		if (uiommu_machine_set(m->machine, "log-file", m->log_file, err, sizeof(err)))
			return ui_cli_fail(FAILED, "--log-file: %s", err);
	}
	if (!uiommu_machine_n_devices(m->machine) &&
	    uiommu_machine_add_device(m->machine, device, err, sizeof(err)))
		return ui_cli_fail(FAILED, "default device: %s", err);
	return uiommu_machine_check(m->machine, err, sizeof(err)) ? ui_cli_fail(FAILED, "%s", err) : 0;
}
