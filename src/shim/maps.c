/* SPDX-License-Identifier: MIT */
#include "shim/maps.h"
#include "base/bits.h"
#include "base/sys.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

u64 ui_maps_dev(dev_t dev)
{
	return (u64)major(dev) << 32 | minor(dev);
}

int ui_maps_begin(struct ui_maps *maps, pid_t pid)
{
	char path[32] = "/proc/self/maps";

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps->at = maps->have = 0;
	maps->fd = ui_sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	return maps->fd < 0 ? maps->fd : 0;
}

/* "start-end rwxp offset major:minor inode     path" */
static void parse(char *line, struct ui_mapping *m)
{
	char *at;
	size_t n;

	m->start = strtoull(line, &at, 16);
	m->last = strtoull(at + 1, &at, 16) - 1;
	m->read = at[1] == 'r';
	m->write = at[2] == 'w';
	m->exec = at[3] == 'x';
	m->shared = at[4] == 's';
	m->offset = strtoull(at + 5, &at, 16);
	m->dev = strtoull(at, &at, 16) << 32;
	m->dev |= strtoull(at + 1, &at, 16);
	m->ino = strtoull(at, &at, 10);
	at += strspn(at, " ");
	n = ui_min(strlen(at), sizeof(m->path) - 1);
	memcpy(m->path, at, n);
	m->path[n] = 0;
}

bool ui_maps_next(struct ui_maps *maps, struct ui_mapping *mapping)
{
	char *line, *end;
	ssize_t n;

	for (;;) {
		line = maps->buf + maps->at;
		end = memchr(line, '\n', maps->have - maps->at);
		if (end)
			break;
		maps->have -= maps->at;
		memmove(maps->buf, line, maps->have);
		maps->at = 0;
		n = ui_sys_read(maps->fd, maps->buf + maps->have, sizeof(maps->buf) - maps->have);
		if (n <= 0)
			return false;
		maps->have += (size_t)n;
	}
	*end = 0;
	parse(line, mapping);
	maps->at = (size_t)(end + 1 - maps->buf);
	return true;
}

void ui_maps_end(struct ui_maps *maps)
{
	ui_sys_close(maps->fd);
}
