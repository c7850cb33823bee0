/* SPDX-License-Identifier: MIT */
/*
 * Our statement of the VFIO user API against the kernel's header, as far as that header knows the API: each number, size
 * and offset. All by the compiler; the program itself only says how much there was to compare.
 */
#include "vfio/uapi.h"

#include <linux/vfio.h>
#include <stdio.h>

#define SAME(ours, theirs) _Static_assert((unsigned)(ours) == (unsigned)(theirs), #ours " " #theirs)
#define SAME_SIZE(ours, theirs) SAME(sizeof(struct ours), sizeof(struct theirs))
#define SAME_FIELD(ours, a, theirs, b)                                                                                    \
	SAME(offsetof(struct ours, a), offsetof(struct theirs, b));                                                       \
	SAME(sizeof(((struct ours *)0)->a), sizeof(((struct theirs *)0)->b))

SAME(UI_VFIO_GROUP_GET_STATUS, VFIO_GROUP_GET_STATUS);
SAME(UI_VFIO_GROUP_SET_CONTAINER, VFIO_GROUP_SET_CONTAINER);
SAME(UI_VFIO_GROUP_UNSET_CONTAINER, VFIO_GROUP_UNSET_CONTAINER);
SAME(UI_VFIO_GROUP_GET_DEVICE_FD, VFIO_GROUP_GET_DEVICE_FD);
SAME(UI_VFIO_GROUP_VIABLE, VFIO_GROUP_FLAGS_VIABLE);
SAME(UI_VFIO_GROUP_CONTAINER_SET, VFIO_GROUP_FLAGS_CONTAINER_SET);
SAME_SIZE(ui_vfio_group_status, vfio_group_status);
SAME_FIELD(ui_vfio_group_status, flags, vfio_group_status, flags);
SAME(UI_VFIO_GET_INFO, VFIO_DEVICE_GET_INFO);
SAME(UI_VFIO_GET_REGION_INFO, VFIO_DEVICE_GET_REGION_INFO);
SAME(UI_VFIO_GET_IRQ_INFO, VFIO_DEVICE_GET_IRQ_INFO);
SAME(UI_VFIO_SET_IRQS, VFIO_DEVICE_SET_IRQS);
SAME(UI_VFIO_RESET, VFIO_DEVICE_RESET);
SAME(UI_VFIO_GET_HOT_RESET_INFO, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO);
SAME(UI_VFIO_HOT_RESET, VFIO_DEVICE_PCI_HOT_RESET);
SAME(UI_VFIO_IOEVENTFD, VFIO_DEVICE_IOEVENTFD);
SAME(UI_VFIO_FEATURE, VFIO_DEVICE_FEATURE);

/* Structs whose last member is an array of unknown length end where it starts. */
SAME_FIELD(ui_vfio_info, num_irqs, vfio_device_info, num_irqs);
SAME_FIELD(ui_vfio_info, cap_offset, vfio_device_info, cap_offset);
SAME(UI_VFIO_INFO_RESET, VFIO_DEVICE_FLAGS_RESET);
SAME(UI_VFIO_INFO_PCI, VFIO_DEVICE_FLAGS_PCI);
SAME_SIZE(ui_vfio_region_info, vfio_region_info);
SAME_FIELD(ui_vfio_region_info, index, vfio_region_info, index);
SAME_FIELD(ui_vfio_region_info, cap_offset, vfio_region_info, cap_offset);
SAME_FIELD(ui_vfio_region_info, size, vfio_region_info, size);
SAME_FIELD(ui_vfio_region_info, offset, vfio_region_info, offset);
SAME(UI_VFIO_REGION_READ, VFIO_REGION_INFO_FLAG_READ);
SAME(UI_VFIO_REGION_WRITE, VFIO_REGION_INFO_FLAG_WRITE);
SAME(UI_VFIO_REGION_MMAP, VFIO_REGION_INFO_FLAG_MMAP);
SAME(UI_VFIO_ROM, VFIO_PCI_ROM_REGION_INDEX);
SAME(UI_VFIO_CONFIG, VFIO_PCI_CONFIG_REGION_INDEX);
SAME(UI_VFIO_VGA, VFIO_PCI_VGA_REGION_INDEX);
SAME(UI_VFIO_N_REGIONS, VFIO_PCI_NUM_REGIONS);
SAME_SIZE(ui_vfio_irq_info, vfio_irq_info);
SAME_FIELD(ui_vfio_irq_info, count, vfio_irq_info, count);
SAME(UI_VFIO_IRQ_EVENTFD, VFIO_IRQ_INFO_EVENTFD);
SAME(UI_VFIO_IRQ_MASKABLE, VFIO_IRQ_INFO_MASKABLE);
SAME(UI_VFIO_IRQ_AUTOMASKED, VFIO_IRQ_INFO_AUTOMASKED);
SAME(UI_VFIO_IRQ_NORESIZE, VFIO_IRQ_INFO_NORESIZE);
SAME(UI_VFIO_INTX, VFIO_PCI_INTX_IRQ_INDEX);
SAME(UI_VFIO_MSI, VFIO_PCI_MSI_IRQ_INDEX);
SAME(UI_VFIO_MSIX, VFIO_PCI_MSIX_IRQ_INDEX);
SAME(UI_VFIO_ERR, VFIO_PCI_ERR_IRQ_INDEX);
SAME(UI_VFIO_REQ, VFIO_PCI_REQ_IRQ_INDEX);
SAME(UI_VFIO_N_IRQS, VFIO_PCI_NUM_IRQS);
SAME_SIZE(ui_vfio_irq_set, vfio_irq_set);
SAME_FIELD(ui_vfio_irq_set, index, vfio_irq_set, index);
SAME_FIELD(ui_vfio_irq_set, count, vfio_irq_set, count);
SAME(UI_VFIO_DATA_NONE, VFIO_IRQ_SET_DATA_NONE);
SAME(UI_VFIO_DATA_BOOL, VFIO_IRQ_SET_DATA_BOOL);
SAME(UI_VFIO_DATA_EVENTFD, VFIO_IRQ_SET_DATA_EVENTFD);
SAME(UI_VFIO_DATA_TYPES, VFIO_IRQ_SET_DATA_TYPE_MASK);
SAME(UI_VFIO_ACTION_MASK, VFIO_IRQ_SET_ACTION_MASK);
SAME(UI_VFIO_ACTION_UNMASK, VFIO_IRQ_SET_ACTION_UNMASK);
SAME(UI_VFIO_ACTION_TRIGGER, VFIO_IRQ_SET_ACTION_TRIGGER);
SAME(UI_VFIO_ACTIONS, VFIO_IRQ_SET_ACTION_TYPE_MASK);
SAME_FIELD(ui_vfio_hot_reset, count, vfio_pci_hot_reset, count);
SAME_FIELD(ui_vfio_feature, flags, vfio_device_feature, flags);
SAME(UI_VFIO_FEATURE_ID, VFIO_DEVICE_FEATURE_MASK);
SAME(UI_VFIO_FEATURE_GET, VFIO_DEVICE_FEATURE_GET);
SAME(UI_VFIO_FEATURE_SET, VFIO_DEVICE_FEATURE_SET);
SAME(UI_VFIO_FEATURE_PROBE, VFIO_DEVICE_FEATURE_PROBE);

#ifdef VFIO_DEVICE_BIND_IOMMUFD /* Linux 6.6 */
SAME(UI_VFIO_BIND, VFIO_DEVICE_BIND_IOMMUFD);
SAME(UI_VFIO_ATTACH, VFIO_DEVICE_ATTACH_IOMMUFD_PT);
SAME(UI_VFIO_DETACH, VFIO_DEVICE_DETACH_IOMMUFD_PT);
SAME_FIELD(ui_vfio_bind, iommufd, vfio_device_bind_iommufd, iommufd);
SAME_FIELD(ui_vfio_bind, out_devid, vfio_device_bind_iommufd, out_devid);
SAME_FIELD(ui_vfio_attach, pt_id, vfio_device_attach_iommufd_pt, pt_id);
#endif

#ifdef VFIO_DEVICE_ATTACH_PASID /* Linux 6.15 */
SAME(UI_VFIO_PT_PASID, VFIO_DEVICE_ATTACH_PASID);
SAME(UI_VFIO_PT_PASID, VFIO_DEVICE_DETACH_PASID);
SAME_SIZE(ui_vfio_attach, vfio_device_attach_iommufd_pt);
SAME_FIELD(ui_vfio_attach, pasid, vfio_device_attach_iommufd_pt, pasid);
SAME_SIZE(ui_vfio_detach, vfio_device_detach_iommufd_pt);
SAME_FIELD(ui_vfio_detach, pasid, vfio_device_detach_iommufd_pt, pasid);
#endif

#ifdef VFIO_DEVICE_BIND_FLAG_TOKEN /* Linux 6.17 */
SAME(UI_VFIO_BIND_TOKEN, VFIO_DEVICE_BIND_FLAG_TOKEN);
SAME_SIZE(ui_vfio_bind, vfio_device_bind_iommufd);
SAME_FIELD(ui_vfio_bind, token_uuid_ptr, vfio_device_bind_iommufd, token_uuid_ptr);
#endif

int main(void)
{
#ifdef VFIO_DEVICE_BIND_FLAG_TOKEN
	puts("compared with a header that has all of it");
	return 0;
#else
	puts("the kernel's header is older than our statement: the rest was compared");
	return 77;
#endif
}
