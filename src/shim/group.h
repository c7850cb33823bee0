/* SPDX-License-Identifier: MIT */
/* The machine's IOMMU groups as VFIO has them: /dev/vfio/N, and the devices that are opened through them. */
#ifndef UI_SHIM_GROUP_H
#define UI_SHIM_GROUP_H

#include "shim/shim.h"

/* Makes the groups of a new machine. Under the shim lock. 0 or -ENOMEM. */
int ui_groups_make(struct ui_machine *machine);
void ui_groups_forked(void);
/* Has the machine a group with this number? */
bool ui_group_known(unsigned number);
/* The group that device @index is in. Once the machine is made. */
struct ui_vfio_group *ui_group_of_device(unsigned index);
/* open() of /dev/vfio/N: 0 or -EBUSY. Under the shim lock. */
int ui_group_may_open(unsigned number);
/* Makes the object behind a group's file. Under the shim lock. 0; -EBUSY; -ENODEV no machine. */
int ui_group_bind(struct ui_file *file);
/* An open file of the group of device @index becomes this process's, if nobody used it yet: then the library knows of it. True: it is
 * another process's. No lock held. */
bool ui_group_settle(unsigned index);

#endif
