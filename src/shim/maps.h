/* SPDX-License-Identifier: MIT */
/* The mappings of a process, as /proc/PID/maps has them. */
#ifndef UI_SHIM_MAPS_H
#define UI_SHIM_MAPS_H

#include "base/types.h"

#include <sys/types.h>

struct ui_mapping {
	u64 start, last;
	bool read, write, exec, shared;
	u64 offset; /* of start in the file */
	u64 dev;    /* ui_maps_dev() of the file; 0 with ino 0: no file */
	u64 ino;
	char path[256]; /* of the file, or ""; cut */
};

struct ui_maps {
	int fd;
	size_t at, have;
	char buf[8192]; /* a line has a path of at most 4096 bytes */
};

/* Begins to read those of @pid (0: of this process). 0 or a negative errno. */
int ui_maps_begin(struct ui_maps *maps, pid_t pid);
/* The next in order of addresses. False: the end. */
bool ui_maps_next(struct ui_maps *maps, struct ui_mapping *mapping);
void ui_maps_end(struct ui_maps *maps);
/* A device number, as in struct stat, in the form that mappings have. */
u64 ui_maps_dev(dev_t dev);

#endif
