/* SPDX-License-Identifier: MIT */
/*
 * virtio over PCI (virtio 1.2, 4.1), modern interface only: BAR 0 holds common configuration, ISR, device configuration and
 * notifications, BAR 1 the MSI-X table: a vector for each queue and one for configuration. Without MSI-X: INTA.
 */
#ifndef UI_VIRTIO_PCI_H
#define UI_VIRTIO_PCI_H

#include "devices/pci.h"
#include "virtio/device.h"

/*
 * A PCI function (devices/pci.h) for the device @v, whose environment it sets; @v outlives it. @port: as for ui_virtio_init(): the function
 * itself does no DMA. NULL without memory, with a message in @err. Undone by ui_pci_destroy().
 */
struct ui_pci *ui_virtio_pci_create(struct ui_virtio *v, struct ui_dma *port, char *err, size_t err_bytes);

#endif
