/* SPDX-License-Identifier: MIT */
/*
 * The kernel's fault-injection files, as far as its selftest iommufd_fail_nth uses them; only with --iommu mock. They
 * drive the library's own allocation points (base/alloc.h).
 *
 *	/proc/self/task/TID/fail-nth		N written: the N-th point from now on that this thread reaches fails. Read: what is left,
 *						0 once it has failed. The thread's own only.
 *	/sys/kernel/debug/failslab/ignore-gfp-wait	Y (from the start): allocations that could wait never fail. All of ours could.
 *	/sys/kernel/debug/failslab/verbose	not 0: the log says which point failed
 */
#ifndef UI_SHIM_FAULTS_H
#define UI_SHIM_FAULTS_H

#include "shim/shim.h"

enum ui_fault_file { UI_FAULT_IGNORE_WAIT, UI_FAULT_VERBOSE, UI_FAULT_NTH };

/* Is @path the fail-nth file of the calling thread? */
bool ui_faults_is_nth(const char *path);
/* open(2): a descriptor or a negative errno. Inside an entry. */
int ui_faults_open(enum ui_fault_file which, int flags);
/* Results as the kernel's. */
s64 ui_faults_read(const struct ui_file *file, u64 uaddr, u64 n_bytes, u64 offset);
s64 ui_faults_write(const struct ui_file *file, u64 uaddr, u64 n_bytes);
void ui_faults_stat(struct stat *st);

#endif
