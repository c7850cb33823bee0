/* SPDX-License-Identifier: MIT */
/* Where open files meet the library: contexts, the machine and its devices. */
#ifndef UI_SHIM_BIND_H
#define UI_SHIM_BIND_H

#include "shim/shim.h"

/* Make the object behind a file. Under the shim lock. 0, -ENOMEM, -ENODEV (no such machine; told to the log). */
int ui_bind_context(struct ui_file *file);
int ui_bind_device(struct ui_file *file);
/* End it. */
void ui_bind_release(struct ui_file *file);
void ui_bind_forked(void);
/* The machine of this process, made when first asked for; NULL: it cannot be made. Under the shim lock. */
struct ui_machine *ui_bind_machine(void);
/* For ui_vfio_set_unmask_watch(): @file is the device's. */
void ui_bind_unmask_changed(void *file);

/*
 * A device's BARs become the memory of its file @fd: UI_BARS_TAKEN; 0 they are already; -EINVAL another open has them; -ENOMEM. Given
 * back, they are private memory. No lock held.
 */
enum { UI_BARS_TAKEN = 1 };
int ui_bars_take(struct ui_file *file, int fd);
void ui_bars_give(struct ui_file *file);
/* If they are the file's, they are mapped by @fd, another descriptor of it, from now on. 0 or -ENOMEM. */
int ui_bind_relay(const struct ui_file *file, int fd);
/* The process ends: what its devices did goes to the log. */
void ui_bind_ended(void);

/* The calls of a file that ui_file_ready() found good. Inside an entry. Results as the kernel's. */
long ui_bind_ioctl(struct ui_file *file, int fd, u32 cmd, u64 arg);
s64 ui_bind_pread(struct ui_file *file, void *buf, u64 n_bytes, u64 offset);
s64 ui_bind_pwrite(struct ui_file *file, const void *buf, u64 n_bytes, u64 offset);
/* May [@offset, @offset + @n_bytes) be mapped from the memfd? 0 or a negative errno. */
int ui_bind_mmap(struct ui_file *file, u64 n_bytes, int prot, int flags, u64 offset);
/* Configuration space of device @index, for sysfs. False: no machine. */
bool ui_bind_config(unsigned index, void *buf, u32 n_bytes);

#endif
