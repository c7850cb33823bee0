/* SPDX-License-Identifier: MIT */
/* The log: lines of text with a level, to a sink that the embedder sets; without one, warnings and errors go to stderr. */
#ifndef UI_BASE_LOG_H
#define UI_BASE_LOG_H

#include "base/types.h"

enum ui_log_level {
	UI_LOG_NONE,
	UI_LOG_ERROR, /* something the user must mend */
	UI_LOG_WARN,  /* worked around, or refused */
	UI_LOG_FAULT, /* an unrecoverable DMA fault: one line each */
	UI_LOG_INFO,  /* objects coming and going */
	UI_LOG_DEBUG, /* each control call */
};

typedef void (*ui_log_sink)(void *arg, enum ui_log_level level, const char *line);

/* Process-wide, as stderr is. Lines above @max are dropped before they are formatted. @sink NULL: stderr. */
void ui_log_set(enum ui_log_level max, ui_log_sink sink, void *arg);
bool ui_log_wants(enum ui_log_level level);
/* One line without its newline, cut at 511 bytes. Async-signal-unsafe; any thread. Leaves errno alone. */
void ui_log(enum ui_log_level level, const char *fmt, ...) UI_PRINTF(2, 3);
/* "none", "error", "warn", "fault", "info", "debug"; -EINVAL otherwise. */
int ui_log_level_parse(const char *name, enum ui_log_level *level);

#endif
