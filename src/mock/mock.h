/* SPDX-License-Identifier: MIT */
/*
 * The kind `mock`: what the kernel's iommufd selftests talk to, by a test command of their own (number 0xa0, 23 operations). It
 * stands beside the front door and is loaded only where it is asked for: an iommu of its own with devices that a test makes, looks
 * into domains and counts of pins, accesses, page requests and events on demand.
 */
#ifndef UI_MOCK_H
#define UI_MOCK_H

#include "iommufd/iommufd.h"

struct ui_mock;

/* One for the process: the iommu of all its mock devices, and the pins of all contexts. NULL without memory. */
struct ui_mock *ui_mock_create(void);
/* Every context that ui_mock_open() made is gone. NULL is a no-op. */
void ui_mock_destroy(struct ui_mock *mock);
/* As ui_iommufd_open(), with the test command. */
struct ui_iommufd *ui_mock_open(struct ui_mock *mock, const struct ui_iommufd_env *env);

#endif
