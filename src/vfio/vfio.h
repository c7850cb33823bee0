/* SPDX-License-Identifier: MIT */
/*
 * The VFIO device cdev as a library: one ui_vfio is one open() of /dev/vfio/devices/vfioN; ioctl, pread and pwrite are
 * served by (object, arguments), with no shim in sight.
 */
#ifndef UI_VFIO_H
#define UI_VFIO_H

#include "base/types.h"
#include "core/bind.h"

struct ui_vfio;
struct ui_vfio_group; /* group.h */
struct ui_pci;

/* Turns the descriptor a program gives to BIND into a binder. -EBADF not open, -EBADFD not an iommufd. */
typedef int (*ui_vfio_binder_fn)(void *arg, int fd, struct ui_binder *out);

/* @pci and @dev outlive it. NULL without memory. */
struct ui_vfio *ui_vfio_open(struct ui_pci *pci, struct ui_device *dev, ui_vfio_binder_fn binder, void *arg);
/* The group the device is in: BIND and an open group exclude each other. Set before the first ioctl; outlives @vfio. */
void ui_vfio_set_group(struct ui_vfio *vfio, struct ui_vfio_group *group);
/* Disables interrupts, detaches, unbinds, resets the function. No other call is running or follows. */
void ui_vfio_close(struct ui_vfio *vfio);
/* As ioctl(2), a negative errno on failure. Thread-safe. */
long ui_vfio_ioctl(struct ui_vfio *vfio, u32 cmd, u64 arg);
/* Bytes moved or a negative errno; @buf is the caller's (base/user.h). */
s64 ui_vfio_pread(struct ui_vfio *vfio, void *buf, u64 n_bytes, u64 offset);
s64 ui_vfio_pwrite(struct ui_vfio *vfio, const void *buf, u64 n_bytes, u64 offset);
/* May the range be mapped? 0 with *bar and *bar_offset; a negative errno as mmap(2) would give. @shared: MAP_SHARED. */
int ui_vfio_mmap(struct ui_vfio *vfio, u64 offset, u64 n_bytes, bool shared, unsigned *bar, u64 *bar_offset);

/*
 * The unmask eventfd of INTx (SET_IRQS UNMASK with an eventfd): a program signals it when it has served the interrupt, so
 * somebody must watch it. The library has no thread: its embedder polls the descriptor for POLLIN and calls
 * ui_vfio_unmask_fired(), which is also right, and a no-op, when nothing was signalled or no descriptor is set. The number
 * may change or be closed any time; a watcher that polled a stale one does no harm by calling.
 */
/* The descriptor to poll, the library's own; -1: none. Any thread. */
int ui_vfio_unmask_fd(struct ui_vfio *vfio);
/* Takes the eventfd's count, never waits, and unmasks if there was one. Any thread. */
void ui_vfio_unmask_fired(struct ui_vfio *vfio);
/* @changed(@arg) is called, without locks that the functions above take, after the answer of ui_vfio_unmask_fd() changed.
 * Set before the first ioctl. */
void ui_vfio_set_unmask_watch(struct ui_vfio *vfio, void (*changed)(void *arg), void *arg);

#endif
