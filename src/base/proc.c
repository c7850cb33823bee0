/* SPDX-License-Identifier: MIT */
#include "base/proc.h"
#include "base/bits.h"
#include "base/sys.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* Reads @file of a process as text; empty when it cannot be read. */
static void read_text(s32 pid, const char *file, char *text, size_t n_bytes)
{
	char path[64];
	ssize_t n;
	int fd;

	text[0] = 0;
	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	else
		snprintf(path, sizeof(path), "/proc/self/%s", file);
	fd = ui_sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return;
	n = ui_sys_read(fd, text, n_bytes - 1);
	text[n > 0 ? n : 0] = 0;
	ui_sys_close(fd);
}

/* The first number of a line "@field:\t..." of its status; @unknown when there is none. */
static u64 status_number(s32 pid, const char *field, int base, u64 unknown)
{
	char text[4096], *at = text;
	size_t n = strlen(field);

	read_text(pid, "status", text, sizeof(text));
	while (at && (strncmp(at, field, n) || at[n] != ':')) {
		at = strchr(at, '\n');
		at = at ? at + 1 : NULL;
	}
	return at ? strtoull(at + n + 1, NULL, base) : unknown;
}

s32 ui_proc_self(void)
{
	return ui_sys_getpid();
}

u32 ui_proc_uid(s32 pid)
{
	return pid ? (u32)status_number(pid, "Uid", 10, ~(u32)0) : ui_sys_getuid();
}

u64 ui_proc_started(s32 pid)
{
	enum { STARTED = 22, AFTER_NAME = 3 };
	char text[1024], *at;

	read_text(pid, "stat", text, sizeof(text));
	/* The second field is the program's name in brackets, with anything in it. */
	at = strrchr(text, ')');
	for (int field = AFTER_NAME; at && field <= STARTED; field++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at, NULL, 10) : 0;
}

bool ui_proc_capable(s32 pid, unsigned cap)
{
	u64 effective = 0;

	if (pid)
		effective = status_number(pid, "CapEff", 16, 0);
	else if (ui_sys_capget(&effective))
		return false;
	return effective & UI_BIT(cap);
}

u64 ui_proc_memlock_limit(s32 pid)
{
	struct rlimit limit;

	if (ui_sys_getrlimit(pid, RLIMIT_MEMLOCK, &limit))
		return 0;
	return limit.rlim_cur == RLIM_INFINITY ? ~(u64)0 : limit.rlim_cur;
}

u64 ui_proc_locked_bytes(s32 pid)
{
	return status_number(pid, "VmLck", 10, 0) * 1024;
}
