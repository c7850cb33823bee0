/* SPDX-License-Identifier: MIT */
/*
 * Our own statement of the VFIO device user API (numbers and layouts of Linux 7.3). A test compares it with the kernel's
 * header. The type1 container's structs are the iommufd door's: src/iommufd/uapi.h.
 */
#ifndef UI_VFIO_UAPI_H
#define UI_VFIO_UAPI_H

#include "base/types.h"

/* _IO(';', 100 + n): no size in the number. */
#define UI_VFIO_NR(n) (0x3b64u + (n))

enum {
	UI_VFIO_GROUP_GET_STATUS = UI_VFIO_NR(3),
	UI_VFIO_GROUP_SET_CONTAINER = UI_VFIO_NR(4),
	UI_VFIO_GROUP_UNSET_CONTAINER = UI_VFIO_NR(5),
	UI_VFIO_GROUP_GET_DEVICE_FD = UI_VFIO_NR(6),
	UI_VFIO_GET_INFO = UI_VFIO_NR(7),
	UI_VFIO_GET_REGION_INFO = UI_VFIO_NR(8),
	UI_VFIO_GET_IRQ_INFO = UI_VFIO_NR(9),
	UI_VFIO_SET_IRQS = UI_VFIO_NR(10),
	UI_VFIO_RESET = UI_VFIO_NR(11),
	UI_VFIO_GET_HOT_RESET_INFO = UI_VFIO_NR(12),
	UI_VFIO_HOT_RESET = UI_VFIO_NR(13),
	UI_VFIO_IOEVENTFD = UI_VFIO_NR(16),
	UI_VFIO_FEATURE = UI_VFIO_NR(17),
	UI_VFIO_BIND = UI_VFIO_NR(18),
	UI_VFIO_ATTACH = UI_VFIO_NR(19),
	UI_VFIO_DETACH = UI_VFIO_NR(20),
};

#define UI_VFIO_LAYOUT(type, field, offset) _Static_assert(offsetof(type, field) == (offset), #type "." #field)
#define UI_VFIO_SIZE(type, size) _Static_assert(sizeof(type) == (size), #type)
/* What a caller must hand over at least: everything up to and including @field. */
#define UI_VFIO_MIN(type, field) ((u32)(offsetof(type, field) + sizeof(((type *)0)->field)))

struct ui_vfio_group_status {
	u32 argsz, flags;
};
enum { UI_VFIO_GROUP_VIABLE = 1, UI_VFIO_GROUP_CONTAINER_SET = 2 };
UI_VFIO_SIZE(struct ui_vfio_group_status, 8);

struct ui_vfio_info {
	u32 argsz, flags, num_regions, num_irqs, cap_offset, pad;
};
enum { UI_VFIO_INFO_RESET = 1, UI_VFIO_INFO_PCI = 2 };
UI_VFIO_SIZE(struct ui_vfio_info, 24);
UI_VFIO_LAYOUT(struct ui_vfio_info, num_irqs, 12);

struct ui_vfio_region_info {
	u32 argsz, flags, index, cap_offset;
	u64 size, offset;
};
enum { UI_VFIO_REGION_READ = 1, UI_VFIO_REGION_WRITE = 2, UI_VFIO_REGION_MMAP = 4 };
enum { UI_VFIO_ROM = 6, UI_VFIO_CONFIG = 7, UI_VFIO_VGA = 8, UI_VFIO_N_REGIONS = 9, UI_VFIO_REGION_SHIFT = 40 };
UI_VFIO_SIZE(struct ui_vfio_region_info, 32);
UI_VFIO_LAYOUT(struct ui_vfio_region_info, size, 16);

struct ui_vfio_irq_info {
	u32 argsz, flags, index, count;
};
enum { UI_VFIO_IRQ_EVENTFD = 1, UI_VFIO_IRQ_MASKABLE = 2, UI_VFIO_IRQ_AUTOMASKED = 4, UI_VFIO_IRQ_NORESIZE = 8 };
enum ui_vfio_irq { UI_VFIO_INTX, UI_VFIO_MSI, UI_VFIO_MSIX, UI_VFIO_ERR, UI_VFIO_REQ, UI_VFIO_N_IRQS };
UI_VFIO_SIZE(struct ui_vfio_irq_info, 16);

struct ui_vfio_irq_set {
	u32 argsz, flags, index, start, count; /* the data follow */
};
enum {
	UI_VFIO_DATA_NONE = 1,
	UI_VFIO_DATA_BOOL = 2,
	UI_VFIO_DATA_EVENTFD = 4,
	UI_VFIO_DATA_TYPES = 7,
	UI_VFIO_ACTION_MASK = 8,
	UI_VFIO_ACTION_UNMASK = 16,
	UI_VFIO_ACTION_TRIGGER = 32,
	UI_VFIO_ACTIONS = 56,
};
UI_VFIO_SIZE(struct ui_vfio_irq_set, 20);

struct ui_vfio_hot_reset {
	u32 argsz, flags, count;
};
UI_VFIO_SIZE(struct ui_vfio_hot_reset, 12);

struct ui_vfio_feature {
	u32 argsz, flags;
};
enum { UI_VFIO_FEATURE_ID = 0xffff, UI_VFIO_FEATURE_GET = 1 << 16, UI_VFIO_FEATURE_SET = 1 << 17, UI_VFIO_FEATURE_PROBE = 1 << 18 };
enum { UI_VFIO_FEATURE_PRECOPY_INFO_V2 = 12 };
UI_VFIO_SIZE(struct ui_vfio_feature, 8);

struct ui_vfio_bind {
	u32 argsz, flags;
	s32 iommufd;
	u32 out_devid;
	u64 token_uuid_ptr;
};
enum { UI_VFIO_BIND_TOKEN = 1, UI_VFIO_TOKEN_BYTES = 16 };
UI_VFIO_SIZE(struct ui_vfio_bind, 24);
UI_VFIO_LAYOUT(struct ui_vfio_bind, iommufd, 8);
UI_VFIO_LAYOUT(struct ui_vfio_bind, token_uuid_ptr, 16);

struct ui_vfio_attach {
	u32 argsz, flags, pt_id, pasid;
};
UI_VFIO_SIZE(struct ui_vfio_attach, 16);

struct ui_vfio_detach {
	u32 argsz, flags, pasid;
};
UI_VFIO_SIZE(struct ui_vfio_detach, 12);
enum { UI_VFIO_PT_PASID = 1 }; /* flag of attach and detach */

#endif
