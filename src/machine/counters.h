/* SPDX-License-Identifier: MIT */
/*
 * Counters that outlive who counts: memory of the command's in which every process of the program has a slot, a block of counters
 * (translate/stats.h) with room for each device. A process that ended leaves its numbers behind; when there is no fresh slot
 * left, the next one goes on counting where it stopped. So the sum over all slots is what all processes did.
 *
 * The memory is a memfd that cannot shrink or grow, reached as /proc/PID/fd/N of the command's: nothing lies in the program's way, nothing
 * is left behind when the command is killed, and nobody can cut it off under a counter. Its readers believe nothing in it but numbers.
 */
#ifndef UI_MACHINE_COUNTERS_H
#define UI_MACHINE_COUNTERS_H

#include "translate/stats.h"

enum { UI_COUNTERS_SLOTS = 256 };

/* At offset 0; slot i begins at @head_bytes + i * @slot_bytes. All constant but the last three. */
struct ui_counters_head {
	u64 magic;
	u32 n_devices; /* room in each slot */
	u32 n_slots;
	u64 head_bytes, slot_bytes; /* whole pages */
	_Atomic u32 n_joined; /* processes, or programs that one of them became in turn */
	_Atomic u32 n_lost;   /* those that found no slot */
	/* Who counts in it: process number, start time in 63:32. 0: nobody did so far. */
	_Atomic u64 owners[UI_COUNTERS_SLOTS];
};

/* For the command. The descriptor (close-on-exec), or a negative errno. @n_devices: at least 1. */
int ui_counters_create(u32 n_devices);
/* What slot @slot holds now, to @copy of ui_counters_bytes(@n_devices). 1; 0: nobody ever took it; or a negative errno. */
int ui_counters_read(int fd, u32 n_devices, unsigned slot, struct ui_stats *copy);
size_t ui_counters_bytes(u32 n_devices);
int ui_counters_processes(int fd, u32 *n_joined, u32 *n_lost);

/*
 * For a process of the program: its slot of the counters at @path. 0; -ENOENT and other errnos: there are none, or not
 * (any more) what we made; -EUSERS: all slots are taken. Undone by ui_counters_leave().
 */
int ui_counters_join(const char *path, struct ui_stats **out, u32 *n_devices);
void ui_counters_leave(struct ui_stats *stats, u32 n_devices);

#endif
