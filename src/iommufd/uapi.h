/* SPDX-License-Identifier: MIT */
/*
 * The user API of /dev/iommu as numbers and layouts (Linux 7.3), and of the VFIO type1 container where an iommufd answers it. Our own
 * statement of it: tests/unit/iommufd/uapi_headers.c compares it with the kernel's headers.
 *
 * Every structure of the iommu calls begins with its size. Field names are the kernel's, so that the comparison can go by name.
 */
#ifndef UI_IOMMUFD_UAPI_H
#define UI_IOMMUFD_UAPI_H

#include "base/types.h"

#include <assert.h>

/* Direction and size are not encoded: a command is this or-ed with its number. */
#define UI_UAPI_TYPE 0x3b00u

enum {
	UI_UAPI_DESTROY = UI_UAPI_TYPE | 0x80,
	UI_UAPI_IOAS_ALLOC,
	UI_UAPI_IOAS_ALLOW_IOVAS,
	UI_UAPI_IOAS_COPY,
	UI_UAPI_IOAS_IOVA_RANGES,
	UI_UAPI_IOAS_MAP,
	UI_UAPI_IOAS_UNMAP,
	UI_UAPI_OPTION,
	UI_UAPI_VFIO_IOAS,
	UI_UAPI_HWPT_ALLOC,
	UI_UAPI_GET_HW_INFO,
	UI_UAPI_HWPT_SET_DIRTY_TRACKING,
	UI_UAPI_HWPT_GET_DIRTY_BITMAP,
	UI_UAPI_HWPT_INVALIDATE,
	UI_UAPI_FAULT_QUEUE_ALLOC,
	UI_UAPI_IOAS_MAP_FILE,
	UI_UAPI_VIOMMU_ALLOC,
	UI_UAPI_VDEVICE_ALLOC,
	UI_UAPI_IOAS_CHANGE_PROCESS,
	UI_UAPI_VEVENTQ_ALLOC,
	UI_UAPI_HW_QUEUE_ALLOC,
	UI_UAPI_IOAS_NOIOMMU_GET_PA,
	UI_UAPI_END, /* of the table */
};

struct ui_uapi_destroy {
	u32 size, id;
};

struct ui_uapi_ioas_alloc {
	u32 size, flags, out_ioas_id;
};

struct ui_uapi_iova_range {
	u64 start, last;
};

struct ui_uapi_ioas_iova_ranges {
	u32 size, ioas_id, num_iovas, __reserved;
	u64 allowed_iovas, out_iova_alignment;
};

struct ui_uapi_ioas_allow_iovas {
	u32 size, ioas_id, num_iovas, __reserved;
	u64 allowed_iovas;
};

enum {
	UI_UAPI_MAP_FIXED_IOVA = 1,
	UI_UAPI_MAP_WRITEABLE = 2,
	UI_UAPI_MAP_READABLE = 4,
	UI_UAPI_MAP_ALL = 7,
};

struct ui_uapi_ioas_map {
	u32 size, flags, ioas_id, __reserved;
	u64 user_va, length, iova;
};

struct ui_uapi_ioas_map_file {
	u32 size, flags, ioas_id;
	s32 fd;
	u64 start, length, iova;
};

struct ui_uapi_ioas_copy {
	u32 size, flags, dst_ioas_id, src_ioas_id;
	u64 length, dst_iova, src_iova;
};

struct ui_uapi_ioas_unmap {
	u32 size, ioas_id;
	u64 iova, length;
};

enum { UI_UAPI_OPTION_RLIMIT_MODE, UI_UAPI_OPTION_HUGE_PAGES };
enum { UI_UAPI_OPTION_OP_SET, UI_UAPI_OPTION_OP_GET };

struct ui_uapi_option {
	u32 size, option_id;
	u16 op, __reserved;
	u32 object_id;
	u64 val64;
};

enum { UI_UAPI_VFIO_IOAS_GET, UI_UAPI_VFIO_IOAS_SET, UI_UAPI_VFIO_IOAS_CLEAR };

struct ui_uapi_vfio_ioas {
	u32 size, ioas_id;
	u16 op, __reserved;
};

enum {
	UI_UAPI_HWPT_NEST_PARENT = 1,
	UI_UAPI_HWPT_DIRTY_TRACKING = 2,
	UI_UAPI_HWPT_FAULT_ID_VALID = 4,
	UI_UAPI_HWPT_PASID = 8,
};

struct ui_uapi_hwpt_alloc {
	u32 size, flags, dev_id, pt_id, out_hwpt_id, __reserved, data_type, data_len;
	u64 data_uptr;
	u32 fault_id, __reserved2;
};

enum { UI_UAPI_HW_INFO_INPUT_TYPE = 1 };

struct ui_uapi_hw_info {
	u32 size, flags, dev_id, data_len;
	u64 data_uptr;
	u32 out_data_type; /* on input the type wanted, if the flag is given */
	u8 out_max_pasid_log2, __reserved[3];
	u64 out_capabilities;
};

enum {
	UI_UAPI_HW_CAP_DIRTY_TRACKING = 1,
	UI_UAPI_HW_CAP_PASID_EXEC = 2,
	UI_UAPI_HW_CAP_PASID_PRIV = 4,
	UI_UAPI_HW_CAP_ATS_NOT_SUPPORTED = 8,
};

enum { UI_UAPI_DIRTY_TRACKING_ENABLE = 1 };

struct ui_uapi_hwpt_set_dirty_tracking {
	u32 size, flags, hwpt_id, __reserved;
};

enum { UI_UAPI_DIRTY_BITMAP_NO_CLEAR = 1 };

struct ui_uapi_hwpt_get_dirty_bitmap {
	u32 size, hwpt_id, flags, __reserved;
	u64 iova, length, page_size, data;
};

struct ui_uapi_hwpt_invalidate {
	u32 size, hwpt_id;
	u64 data_uptr;
	u32 data_type, entry_len, entry_num, __reserved;
};

struct ui_uapi_fault_alloc {
	u32 size, flags, out_fault_id, out_fault_fd;
};

/* What read() of a fault queue gives and write() takes. */
enum { UI_UAPI_PGFAULT_PASID_VALID = 1, UI_UAPI_PGFAULT_LAST_PAGE = 2 };

struct ui_uapi_pgfault {
	u32 flags, dev_id, pasid, grpid, perm, __reserved;
	u64 addr;
	u32 length, cookie;
};

struct ui_uapi_page_response {
	u32 cookie, code;
};

/* What read() of an event queue gives, the event's own data behind it. */
enum { UI_UAPI_VEVENT_LOST = 1 };

struct ui_uapi_vevent_header {
	u32 flags, sequence;
};

struct ui_uapi_viommu_alloc {
	u32 size, flags, type, dev_id, hwpt_id, out_viommu_id, data_len, __reserved;
	u64 data_uptr;
};

struct ui_uapi_vdevice_alloc {
	u32 size, viommu_id, dev_id, out_vdevice_id;
	u64 virt_id;
};

struct ui_uapi_ioas_change_process {
	u32 size, __reserved;
};

struct ui_uapi_veventq_alloc {
	u32 size, flags, viommu_id, type, veventq_depth, out_veventq_id, out_veventq_fd, __reserved;
};

struct ui_uapi_hw_queue_alloc {
	u32 size, flags, viommu_id, type, index, out_hw_queue_id;
	u64 nesting_parent_iova, length;
};

struct ui_uapi_ioas_noiommu_get_pa {
	u32 size, flags, ioas_id, __reserved;
	u64 iova, length, out_phys;
};

#define UI_UAPI_SIZE(name, n_bytes) static_assert(sizeof(struct ui_uapi_##name) == (n_bytes), #name)
#define UI_UAPI_AT(name, field, offset) static_assert(offsetof(struct ui_uapi_##name, field) == (offset), #name "." #field)

UI_UAPI_SIZE(destroy, 8);
UI_UAPI_SIZE(ioas_alloc, 12);
UI_UAPI_SIZE(iova_range, 16);
UI_UAPI_SIZE(ioas_allow_iovas, 24);
UI_UAPI_SIZE(ioas_copy, 40);
UI_UAPI_SIZE(ioas_iova_ranges, 32);
UI_UAPI_SIZE(ioas_map, 40);
UI_UAPI_SIZE(ioas_unmap, 24);
UI_UAPI_SIZE(option, 24);
UI_UAPI_SIZE(vfio_ioas, 12);
UI_UAPI_SIZE(hwpt_alloc, 48);
UI_UAPI_SIZE(hw_info, 40);
UI_UAPI_SIZE(hwpt_set_dirty_tracking, 16);
UI_UAPI_SIZE(hwpt_get_dirty_bitmap, 48);
UI_UAPI_SIZE(hwpt_invalidate, 32);
UI_UAPI_SIZE(fault_alloc, 16);
UI_UAPI_SIZE(ioas_map_file, 40);
UI_UAPI_SIZE(pgfault, 40);
UI_UAPI_SIZE(page_response, 8);
UI_UAPI_SIZE(vevent_header, 8);
UI_UAPI_SIZE(viommu_alloc, 40);
UI_UAPI_SIZE(vdevice_alloc, 24);
UI_UAPI_SIZE(ioas_change_process, 8);
UI_UAPI_SIZE(veventq_alloc, 32);
UI_UAPI_SIZE(hw_queue_alloc, 40);
UI_UAPI_SIZE(ioas_noiommu_get_pa, 40);
UI_UAPI_AT(ioas_iova_ranges, allowed_iovas, 16);
UI_UAPI_AT(ioas_map, user_va, 16);
UI_UAPI_AT(ioas_map, iova, 32);
UI_UAPI_AT(ioas_map_file, fd, 12);
UI_UAPI_AT(ioas_map_file, start, 16);
UI_UAPI_AT(ioas_copy, src_iova, 32);
UI_UAPI_AT(ioas_unmap, iova, 8);
UI_UAPI_AT(option, object_id, 12);
UI_UAPI_AT(option, val64, 16);
UI_UAPI_AT(vfio_ioas, op, 8);
UI_UAPI_AT(hwpt_alloc, __reserved, 20);
UI_UAPI_AT(hwpt_alloc, data_uptr, 32);
UI_UAPI_AT(hwpt_alloc, fault_id, 40);
UI_UAPI_AT(hw_info, out_max_pasid_log2, 28);
UI_UAPI_AT(hw_info, out_capabilities, 32);
UI_UAPI_AT(hwpt_get_dirty_bitmap, data, 40);
UI_UAPI_AT(hwpt_invalidate, entry_num, 24);
UI_UAPI_AT(pgfault, addr, 24);
UI_UAPI_AT(pgfault, cookie, 36);
UI_UAPI_AT(viommu_alloc, out_viommu_id, 20);
UI_UAPI_AT(veventq_alloc, out_veventq_fd, 24);
UI_UAPI_AT(hw_queue_alloc, nesting_parent_iova, 24);
UI_UAPI_AT(ioas_noiommu_get_pa, out_phys, 32);

/* --- the VFIO container: same type, other numbers; commands are compared whole --- */

enum {
	UI_UAPI_VFIO_GET_API_VERSION = UI_UAPI_TYPE | 100,
	UI_UAPI_VFIO_CHECK_EXTENSION,
	UI_UAPI_VFIO_SET_IOMMU,
	UI_UAPI_VFIO_IOMMU_GET_INFO = UI_UAPI_TYPE | 112,
	UI_UAPI_VFIO_IOMMU_MAP_DMA,
	UI_UAPI_VFIO_IOMMU_UNMAP_DMA,
	UI_UAPI_VFIO_IOMMU_DIRTY_PAGES = UI_UAPI_TYPE | 117,
};

/* Extensions, and what SET_IOMMU takes. */
enum {
	UI_UAPI_VFIO_TYPE1 = 1,
	UI_UAPI_VFIO_TYPE1V2 = 3,
	UI_UAPI_VFIO_DMA_CC = 4,
	UI_UAPI_VFIO_UNMAP_ALL = 9,
	UI_UAPI_VFIO_UPDATE_VADDR = 10,
};

enum { UI_UAPI_VFIO_INFO_PGSIZES = 1, UI_UAPI_VFIO_INFO_CAPS = 2 };

struct ui_uapi_vfio_info {
	u32 argsz, flags;
	u64 iova_pgsizes;
	u32 cap_offset, pad;
};

struct ui_uapi_vfio_cap {
	u16 id, version;
	u32 next; /* offset from the beginning of the info; 0: last */
};

enum { UI_UAPI_VFIO_CAP_IOVA_RANGE = 1, UI_UAPI_VFIO_CAP_MIGRATION = 2, UI_UAPI_VFIO_CAP_DMA_AVAIL = 3 };

struct ui_uapi_vfio_cap_migration {
	struct ui_uapi_vfio_cap header;
	u32 flags, pad;
	u64 pgsize_bitmap, max_dirty_bitmap_size;
};

struct ui_uapi_vfio_cap_avail {
	struct ui_uapi_vfio_cap header;
	u32 avail;
};

struct ui_uapi_vfio_cap_ranges {
	struct ui_uapi_vfio_cap header;
	u32 nr_iovas, reserved;
	/* ranges follow */
};

enum { UI_UAPI_VFIO_MAP_READ = 1, UI_UAPI_VFIO_MAP_WRITE = 2, UI_UAPI_VFIO_MAP_VADDR = 4 };

struct ui_uapi_vfio_map {
	u32 argsz, flags;
	u64 vaddr, iova, size;
};

enum { UI_UAPI_VFIO_UNMAP_DIRTY = 1, UI_UAPI_VFIO_UNMAP_ALL_FLAG = 2, UI_UAPI_VFIO_UNMAP_VADDR = 4 };

struct ui_uapi_vfio_unmap {
	u32 argsz, flags;
	u64 iova, size;
};

struct ui_uapi_vfio_bitmap {
	u64 pgsize, size, data;
};

enum { UI_UAPI_VFIO_DIRTY_START = 1, UI_UAPI_VFIO_DIRTY_STOP = 2, UI_UAPI_VFIO_DIRTY_GET_BITMAP = 4 };

struct ui_uapi_vfio_dirty {
	u32 argsz, flags;
	/* GET_BITMAP: a ui_uapi_vfio_dirty_get follows */
};

struct ui_uapi_vfio_dirty_get {
	u64 iova, size;
	struct ui_uapi_vfio_bitmap bitmap;
};

UI_UAPI_SIZE(vfio_cap_migration, 32);
UI_UAPI_SIZE(vfio_bitmap, 24);
UI_UAPI_SIZE(vfio_dirty, 8);
UI_UAPI_SIZE(vfio_dirty_get, 40);
UI_UAPI_SIZE(vfio_info, 24);
UI_UAPI_SIZE(vfio_cap, 8);
UI_UAPI_SIZE(vfio_cap_avail, 12);
UI_UAPI_SIZE(vfio_cap_ranges, 16);
UI_UAPI_SIZE(vfio_map, 32);
UI_UAPI_SIZE(vfio_unmap, 24);

#endif
