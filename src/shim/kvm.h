/* SPDX-License-Identifier: MIT */
/*
 * KVM's vfio device is the kernel's: a VMM tells it by KVM_SET_DEVICE_ATTR which VFIO files its guest uses. Ours mean nothing to it
 * (EINVAL, where a VMM gives up), so the library answers for them. KVM has nothing to do with them: interrupts come by eventfds
 * and BARs are memory.
 */
#ifndef UI_SHIM_KVM_H
#define UI_SHIM_KVM_H

#include "shim/shim.h"

/* _IOW(0xae, 0xe1, struct kvm_device_attr) */
enum { UI_KVM_SET_DEVICE_ATTR = 0x4018aee1 };

/*
 * The program's KVM_SET_DEVICE_ATTR on @fd, to which the kernel said @answer, a negative errno. Is @fd KVM's vfio device and the
 * attribute a file of ours, the answer to it as the kernel's would be: 0, -EEXIST (added before), -ENOENT (not), -EINVAL (no device
 * and no group), -ENOMEM; else @answer. Inside an entry.
 */
long ui_kvm_set_attr(int fd, u64 arg, long answer);

/* Was any file ever added? A hint that costs a load. */
bool ui_kvm_used(void);
/* The descriptors [@first, @last] are about to be closed: what was added to them is gone. Only if ui_kvm_used(). */
void ui_kvm_closed(unsigned first, unsigned last);
/* @file ends. Inside an entry. */
void ui_kvm_released(const struct ui_file *file);
void ui_kvm_forked(void);

#endif
