/* SPDX-License-Identifier: MIT */
/*
 * One device of the server: its socket, its client, and two threads. The loop talks to the client; the worker steps the device, and when DMA
 * has to be asked of the client it waits for the loop. Nothing is shared between devices, so that no client can hold up another's.
 */
#ifndef UI_SERVE_SEAT_H
#define UI_SERVE_SEAT_H

#include "machine/instance.h"
#include "vfio_user/vfio_user.h"

#include <pthread.h>
#include <stdatomic.h>

struct ui_seat {
	struct ui_machine *machine; /* one device */
	int listen_fd, kick_fd;     /* a listening socket; an eventfd that wakes the loop */
	int bar_fds[UI_PCI_N_BARS];
	pthread_t loop, worker;
	bool loop_runs, worker_runs; /* the starter's */
	struct ui_vu *vu;            /* the loop's; NULL: no client */
	_Atomic bool stop;
	_Atomic bool woken; /* seq_cst with word: the worker reads word before woken, who wakes writes woken before word */
	_Atomic u32 word;   /* futex: changes when the worker has something to do */
};

/*
 * Gives the device's mappable BARs memory that can be shared and starts the threads. @machine and @listen_fd (which never waits) become the
 * seat's in any case. 0; a negative errno. Undone by ui_seat_stop().
 */
int ui_seat_start(struct ui_seat *seat, struct ui_machine *machine, int listen_fd);
void ui_seat_stop(struct ui_seat *seat);

#endif
