/* SPDX-License-Identifier: MIT */
/* Where the log of a served program goes: a file that is opened for each line, so that no descriptor of ours lies in the
 * program's way, or the stderr that the program was started with. */
#include "shim/shim.h"
#include "base/log.h"
#include "base/sys.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static struct {
	char path[sizeof(((struct ui_machine_desc *)NULL)->log_file)];
	dev_t stderr_dev;
	ino_t stderr_ino;
	bool has_stderr;
} log_to;

/* A program may have closed its stderr and got the number back for a file of its own. */
static bool still_stderr(void)
{
	struct stat st;

	return log_to.has_stderr && !ui_sys_fstat(2, &st) && st.st_dev == log_to.stderr_dev && st.st_ino == log_to.stderr_ino;
}

static void sink(void *arg, enum ui_log_level level, const char *line)
{
	char out[600];
	int n = snprintf(out, sizeof(out), "uiommu: %s\n", line), fd = 2;
	size_t n_bytes = n < (int)sizeof(out) ? (size_t)n : sizeof(out) - 1;

	if (!log_to.path[0]) {
		if (still_stderr())
			ui_sys_write(2, out, n_bytes);
		return;
	}
	fd = ui_sys_openat(AT_FDCWD, log_to.path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		return;
	ui_sys_write(fd, out, n_bytes);
	ui_sys_close(fd);
}

void ui_shim_log_init(const struct ui_machine_desc *desc)
{
	struct stat st;

	strcpy(log_to.path, desc->log_file);
	if (!ui_sys_fstat(2, &st)) {
		log_to.stderr_dev = st.st_dev;
		log_to.stderr_ino = st.st_ino;
		log_to.has_stderr = true;
	}
	ui_log_set(desc->log, sink, NULL);
}
