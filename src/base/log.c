/* SPDX-License-Identifier: MIT */
#include "base/log.h"
#include "base/sys.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Atomic(enum ui_log_level) max_level = UI_LOG_FAULT;
static ui_log_sink user_sink; /* set before threads use the library */
static void *user_arg;

void ui_log_set(enum ui_log_level max, ui_log_sink sink, void *arg)
{
	user_sink = sink;
	user_arg = arg;
	atomic_store_explicit(&max_level, max, memory_order_relaxed);
}

bool ui_log_wants(enum ui_log_level level)
{
	return level <= atomic_load_explicit(&max_level, memory_order_relaxed);
}

static void to_stderr(const char *line)
{
	char out[600];
	int n = snprintf(out, sizeof(out), "uiommu: %s\n", line);

	if (n > 0)
		ui_sys_write(2, out, (size_t)n < sizeof(out) ? (size_t)n : sizeof(out) - 1);
}

void ui_log(enum ui_log_level level, const char *fmt, ...)
{
	int saved = errno;
	char line[512];
	va_list ap;

	if (!ui_log_wants(level))
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (user_sink)
		user_sink(user_arg, level, line);
	else
		to_stderr(line);
	errno = saved;
}

int ui_log_level_parse(const char *name, enum ui_log_level *level)
{
	static const char *const names[] = { "none", "error", "warn", "fault", "info", "debug" };

	for (size_t i = 0; i < ui_array_size(names); i++) {
		if (!strcmp(name, names[i])) {
			*level = (enum ui_log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

_Noreturn void ui_assert_failed(const char *cond, const char *file, int line)
{
	char text[256];

	snprintf(text, sizeof(text), "%s:%d: assertion failed: %s", file, line, cond);
	to_stderr(text);
	abort();
}
