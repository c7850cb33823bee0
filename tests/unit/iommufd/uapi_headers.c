/* SPDX-License-Identifier: MIT */
/* Our statement of the user API against the kernel's own headers: exit status 0; 77 where there are none with PASIDs. */
#include "iommufd/uapi.h"

#ifdef HAVE_UAPI
#include <linux/iommufd.h>
#include <linux/vfio.h>

#define SAME(ours, theirs) static_assert((unsigned long)(ours) == (unsigned long)(theirs), #ours)
#define STRUCT(ours, theirs) SAME(sizeof(struct ui_uapi_##ours), sizeof(struct theirs))
#define FIELD(ours, theirs, ours_field, theirs_field)                                                                     \
	SAME(offsetof(struct ui_uapi_##ours, ours_field), offsetof(struct theirs, theirs_field));                         \
	SAME(sizeof(((struct ui_uapi_##ours *)0)->ours_field), sizeof(((struct theirs *)0)->theirs_field))
#define F(ours, theirs, field) FIELD(ours, theirs, field, field)

SAME(UI_UAPI_DESTROY, IOMMU_DESTROY);
SAME(UI_UAPI_IOAS_ALLOC, IOMMU_IOAS_ALLOC);
SAME(UI_UAPI_IOAS_ALLOW_IOVAS, IOMMU_IOAS_ALLOW_IOVAS);
SAME(UI_UAPI_IOAS_COPY, IOMMU_IOAS_COPY);
SAME(UI_UAPI_IOAS_IOVA_RANGES, IOMMU_IOAS_IOVA_RANGES);
SAME(UI_UAPI_IOAS_MAP, IOMMU_IOAS_MAP);
SAME(UI_UAPI_IOAS_UNMAP, IOMMU_IOAS_UNMAP);
SAME(UI_UAPI_OPTION, IOMMU_OPTION);
SAME(UI_UAPI_VFIO_IOAS, IOMMU_VFIO_IOAS);
SAME(UI_UAPI_HWPT_ALLOC, IOMMU_HWPT_ALLOC);
SAME(UI_UAPI_GET_HW_INFO, IOMMU_GET_HW_INFO);
SAME(UI_UAPI_HWPT_SET_DIRTY_TRACKING, IOMMU_HWPT_SET_DIRTY_TRACKING);
SAME(UI_UAPI_HWPT_GET_DIRTY_BITMAP, IOMMU_HWPT_GET_DIRTY_BITMAP);
SAME(UI_UAPI_HWPT_INVALIDATE, IOMMU_HWPT_INVALIDATE);
SAME(UI_UAPI_FAULT_QUEUE_ALLOC, IOMMU_FAULT_QUEUE_ALLOC);
SAME(UI_UAPI_IOAS_MAP_FILE, IOMMU_IOAS_MAP_FILE);
SAME(UI_UAPI_VIOMMU_ALLOC, IOMMU_VIOMMU_ALLOC);
SAME(UI_UAPI_VDEVICE_ALLOC, IOMMU_VDEVICE_ALLOC);
SAME(UI_UAPI_IOAS_CHANGE_PROCESS, IOMMU_IOAS_CHANGE_PROCESS);
SAME(UI_UAPI_VEVENTQ_ALLOC, IOMMU_VEVENTQ_ALLOC);
SAME(UI_UAPI_HW_QUEUE_ALLOC, IOMMU_HW_QUEUE_ALLOC);

STRUCT(destroy, iommu_destroy);
F(destroy, iommu_destroy, id);
STRUCT(ioas_alloc, iommu_ioas_alloc);
F(ioas_alloc, iommu_ioas_alloc, flags);
F(ioas_alloc, iommu_ioas_alloc, out_ioas_id);
STRUCT(iova_range, iommu_iova_range);
F(iova_range, iommu_iova_range, last);
STRUCT(ioas_iova_ranges, iommu_ioas_iova_ranges);
F(ioas_iova_ranges, iommu_ioas_iova_ranges, ioas_id);
F(ioas_iova_ranges, iommu_ioas_iova_ranges, num_iovas);
F(ioas_iova_ranges, iommu_ioas_iova_ranges, __reserved);
F(ioas_iova_ranges, iommu_ioas_iova_ranges, allowed_iovas);
F(ioas_iova_ranges, iommu_ioas_iova_ranges, out_iova_alignment);
STRUCT(ioas_allow_iovas, iommu_ioas_allow_iovas);
F(ioas_allow_iovas, iommu_ioas_allow_iovas, ioas_id);
F(ioas_allow_iovas, iommu_ioas_allow_iovas, num_iovas);
F(ioas_allow_iovas, iommu_ioas_allow_iovas, allowed_iovas);
STRUCT(ioas_map, iommu_ioas_map);
F(ioas_map, iommu_ioas_map, flags);
F(ioas_map, iommu_ioas_map, ioas_id);
F(ioas_map, iommu_ioas_map, __reserved);
F(ioas_map, iommu_ioas_map, user_va);
F(ioas_map, iommu_ioas_map, length);
F(ioas_map, iommu_ioas_map, iova);
STRUCT(ioas_map_file, iommu_ioas_map_file);
F(ioas_map_file, iommu_ioas_map_file, ioas_id);
F(ioas_map_file, iommu_ioas_map_file, fd);
F(ioas_map_file, iommu_ioas_map_file, start);
F(ioas_map_file, iommu_ioas_map_file, iova);
STRUCT(ioas_copy, iommu_ioas_copy);
F(ioas_copy, iommu_ioas_copy, dst_ioas_id);
F(ioas_copy, iommu_ioas_copy, src_ioas_id);
F(ioas_copy, iommu_ioas_copy, length);
F(ioas_copy, iommu_ioas_copy, dst_iova);
F(ioas_copy, iommu_ioas_copy, src_iova);
STRUCT(ioas_unmap, iommu_ioas_unmap);
F(ioas_unmap, iommu_ioas_unmap, ioas_id);
F(ioas_unmap, iommu_ioas_unmap, iova);
F(ioas_unmap, iommu_ioas_unmap, length);
STRUCT(option, iommu_option);
F(option, iommu_option, option_id);
F(option, iommu_option, op);
F(option, iommu_option, object_id);
F(option, iommu_option, val64);
STRUCT(vfio_ioas, iommu_vfio_ioas);
F(vfio_ioas, iommu_vfio_ioas, ioas_id);
F(vfio_ioas, iommu_vfio_ioas, op);
STRUCT(hwpt_alloc, iommu_hwpt_alloc);
F(hwpt_alloc, iommu_hwpt_alloc, flags);
F(hwpt_alloc, iommu_hwpt_alloc, dev_id);
F(hwpt_alloc, iommu_hwpt_alloc, pt_id);
F(hwpt_alloc, iommu_hwpt_alloc, out_hwpt_id);
F(hwpt_alloc, iommu_hwpt_alloc, __reserved);
F(hwpt_alloc, iommu_hwpt_alloc, data_type);
F(hwpt_alloc, iommu_hwpt_alloc, data_len);
F(hwpt_alloc, iommu_hwpt_alloc, data_uptr);
F(hwpt_alloc, iommu_hwpt_alloc, fault_id);
STRUCT(hw_info, iommu_hw_info);
F(hw_info, iommu_hw_info, flags);
F(hw_info, iommu_hw_info, dev_id);
F(hw_info, iommu_hw_info, data_len);
F(hw_info, iommu_hw_info, data_uptr);
F(hw_info, iommu_hw_info, out_data_type);
F(hw_info, iommu_hw_info, out_max_pasid_log2);
F(hw_info, iommu_hw_info, out_capabilities);
STRUCT(hwpt_set_dirty_tracking, iommu_hwpt_set_dirty_tracking);
F(hwpt_set_dirty_tracking, iommu_hwpt_set_dirty_tracking, flags);
F(hwpt_set_dirty_tracking, iommu_hwpt_set_dirty_tracking, hwpt_id);
STRUCT(hwpt_get_dirty_bitmap, iommu_hwpt_get_dirty_bitmap);
F(hwpt_get_dirty_bitmap, iommu_hwpt_get_dirty_bitmap, hwpt_id);
F(hwpt_get_dirty_bitmap, iommu_hwpt_get_dirty_bitmap, flags);
F(hwpt_get_dirty_bitmap, iommu_hwpt_get_dirty_bitmap, iova);
F(hwpt_get_dirty_bitmap, iommu_hwpt_get_dirty_bitmap, length);
F(hwpt_get_dirty_bitmap, iommu_hwpt_get_dirty_bitmap, page_size);
F(hwpt_get_dirty_bitmap, iommu_hwpt_get_dirty_bitmap, data);
STRUCT(hwpt_invalidate, iommu_hwpt_invalidate);
F(hwpt_invalidate, iommu_hwpt_invalidate, hwpt_id);
F(hwpt_invalidate, iommu_hwpt_invalidate, data_uptr);
F(hwpt_invalidate, iommu_hwpt_invalidate, data_type);
F(hwpt_invalidate, iommu_hwpt_invalidate, entry_len);
F(hwpt_invalidate, iommu_hwpt_invalidate, entry_num);
STRUCT(fault_alloc, iommu_fault_alloc);
F(fault_alloc, iommu_fault_alloc, out_fault_id);
STRUCT(pgfault, iommu_hwpt_pgfault);
F(pgfault, iommu_hwpt_pgfault, flags);
F(pgfault, iommu_hwpt_pgfault, dev_id);
F(pgfault, iommu_hwpt_pgfault, pasid);
F(pgfault, iommu_hwpt_pgfault, grpid);
F(pgfault, iommu_hwpt_pgfault, perm);
F(pgfault, iommu_hwpt_pgfault, addr);
F(pgfault, iommu_hwpt_pgfault, length);
F(pgfault, iommu_hwpt_pgfault, cookie);
STRUCT(page_response, iommu_hwpt_page_response);
F(page_response, iommu_hwpt_page_response, cookie);
F(page_response, iommu_hwpt_page_response, code);
STRUCT(vevent_header, iommufd_vevent_header);
F(vevent_header, iommufd_vevent_header, flags);
F(vevent_header, iommufd_vevent_header, sequence);
STRUCT(viommu_alloc, iommu_viommu_alloc);
F(viommu_alloc, iommu_viommu_alloc, type);
F(viommu_alloc, iommu_viommu_alloc, dev_id);
F(viommu_alloc, iommu_viommu_alloc, out_viommu_id);
F(viommu_alloc, iommu_viommu_alloc, data_len);
F(viommu_alloc, iommu_viommu_alloc, data_uptr);
STRUCT(vdevice_alloc, iommu_vdevice_alloc);
F(vdevice_alloc, iommu_vdevice_alloc, virt_id);
STRUCT(ioas_change_process, iommu_ioas_change_process);
STRUCT(veventq_alloc, iommu_veventq_alloc);
F(veventq_alloc, iommu_veventq_alloc, type);
F(veventq_alloc, iommu_veventq_alloc, veventq_depth);
F(veventq_alloc, iommu_veventq_alloc, out_veventq_fd);
STRUCT(hw_queue_alloc, iommu_hw_queue_alloc);
F(hw_queue_alloc, iommu_hw_queue_alloc, type);
F(hw_queue_alloc, iommu_hw_queue_alloc, index);
F(hw_queue_alloc, iommu_hw_queue_alloc, nesting_parent_iova);

SAME(UI_UAPI_MAP_FIXED_IOVA, IOMMU_IOAS_MAP_FIXED_IOVA);
SAME(UI_UAPI_MAP_WRITEABLE, IOMMU_IOAS_MAP_WRITEABLE);
SAME(UI_UAPI_MAP_READABLE, IOMMU_IOAS_MAP_READABLE);
SAME(UI_UAPI_OPTION_RLIMIT_MODE, IOMMU_OPTION_RLIMIT_MODE);
SAME(UI_UAPI_OPTION_HUGE_PAGES, IOMMU_OPTION_HUGE_PAGES);
SAME(UI_UAPI_OPTION_OP_SET, IOMMU_OPTION_OP_SET);
SAME(UI_UAPI_OPTION_OP_GET, IOMMU_OPTION_OP_GET);
SAME(UI_UAPI_VFIO_IOAS_GET, IOMMU_VFIO_IOAS_GET);
SAME(UI_UAPI_VFIO_IOAS_SET, IOMMU_VFIO_IOAS_SET);
SAME(UI_UAPI_VFIO_IOAS_CLEAR, IOMMU_VFIO_IOAS_CLEAR);
SAME(UI_UAPI_HWPT_NEST_PARENT, IOMMU_HWPT_ALLOC_NEST_PARENT);
SAME(UI_UAPI_HWPT_DIRTY_TRACKING, IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
SAME(UI_UAPI_HWPT_FAULT_ID_VALID, IOMMU_HWPT_FAULT_ID_VALID);
SAME(UI_UAPI_HWPT_PASID, IOMMU_HWPT_ALLOC_PASID);
SAME(UI_UAPI_HW_INFO_INPUT_TYPE, IOMMU_HW_INFO_FLAG_INPUT_TYPE);
SAME(UI_UAPI_HW_CAP_DIRTY_TRACKING, IOMMU_HW_CAP_DIRTY_TRACKING);
SAME(UI_UAPI_HW_CAP_PASID_EXEC, IOMMU_HW_CAP_PCI_PASID_EXEC);
SAME(UI_UAPI_HW_CAP_PASID_PRIV, IOMMU_HW_CAP_PCI_PASID_PRIV);
SAME(UI_UAPI_HW_CAP_ATS_NOT_SUPPORTED, IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED);
SAME(UI_UAPI_PGFAULT_PASID_VALID, IOMMU_PGFAULT_FLAGS_PASID_VALID);
SAME(UI_UAPI_PGFAULT_LAST_PAGE, IOMMU_PGFAULT_FLAGS_LAST_PAGE);
SAME(UI_UAPI_VEVENT_LOST, IOMMU_VEVENTQ_FLAG_LOST_EVENTS);
SAME(UI_UAPI_DIRTY_TRACKING_ENABLE, IOMMU_HWPT_DIRTY_TRACKING_ENABLE);
SAME(UI_UAPI_DIRTY_BITMAP_NO_CLEAR, IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR);

SAME(UI_UAPI_VFIO_GET_API_VERSION, VFIO_GET_API_VERSION);
SAME(UI_UAPI_VFIO_CHECK_EXTENSION, VFIO_CHECK_EXTENSION);
SAME(UI_UAPI_VFIO_SET_IOMMU, VFIO_SET_IOMMU);
SAME(UI_UAPI_VFIO_IOMMU_GET_INFO, VFIO_IOMMU_GET_INFO);
SAME(UI_UAPI_VFIO_IOMMU_MAP_DMA, VFIO_IOMMU_MAP_DMA);
SAME(UI_UAPI_VFIO_IOMMU_UNMAP_DMA, VFIO_IOMMU_UNMAP_DMA);
SAME(UI_UAPI_VFIO_IOMMU_DIRTY_PAGES, VFIO_IOMMU_DIRTY_PAGES);
SAME(UI_UAPI_VFIO_UPDATE_VADDR, VFIO_UPDATE_VADDR);
SAME(UI_UAPI_VFIO_CAP_MIGRATION, VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION);
STRUCT(vfio_cap_migration, vfio_iommu_type1_info_cap_migration);
F(vfio_cap_migration, vfio_iommu_type1_info_cap_migration, flags);
F(vfio_cap_migration, vfio_iommu_type1_info_cap_migration, pgsize_bitmap);
F(vfio_cap_migration, vfio_iommu_type1_info_cap_migration, max_dirty_bitmap_size);
SAME(UI_UAPI_VFIO_MAP_VADDR, VFIO_DMA_MAP_FLAG_VADDR);
SAME(UI_UAPI_VFIO_UNMAP_DIRTY, VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP);
SAME(UI_UAPI_VFIO_UNMAP_VADDR, VFIO_DMA_UNMAP_FLAG_VADDR);
STRUCT(vfio_bitmap, vfio_bitmap);
F(vfio_bitmap, vfio_bitmap, size);
F(vfio_bitmap, vfio_bitmap, data);
SAME(UI_UAPI_VFIO_DIRTY_START, VFIO_IOMMU_DIRTY_PAGES_FLAG_START);
SAME(UI_UAPI_VFIO_DIRTY_STOP, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP);
SAME(UI_UAPI_VFIO_DIRTY_GET_BITMAP, VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP);
STRUCT(vfio_dirty, vfio_iommu_type1_dirty_bitmap);
F(vfio_dirty, vfio_iommu_type1_dirty_bitmap, flags);
STRUCT(vfio_dirty_get, vfio_iommu_type1_dirty_bitmap_get);
F(vfio_dirty_get, vfio_iommu_type1_dirty_bitmap_get, size);
F(vfio_dirty_get, vfio_iommu_type1_dirty_bitmap_get, bitmap);
SAME(UI_UAPI_VFIO_TYPE1, VFIO_TYPE1_IOMMU);
SAME(UI_UAPI_VFIO_TYPE1V2, VFIO_TYPE1v2_IOMMU);
SAME(UI_UAPI_VFIO_DMA_CC, VFIO_DMA_CC_IOMMU);
SAME(UI_UAPI_VFIO_UNMAP_ALL, VFIO_UNMAP_ALL);
SAME(UI_UAPI_VFIO_INFO_PGSIZES, VFIO_IOMMU_INFO_PGSIZES);
SAME(UI_UAPI_VFIO_INFO_CAPS, VFIO_IOMMU_INFO_CAPS);
SAME(UI_UAPI_VFIO_CAP_IOVA_RANGE, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
SAME(UI_UAPI_VFIO_CAP_DMA_AVAIL, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL);
SAME(UI_UAPI_VFIO_MAP_READ, VFIO_DMA_MAP_FLAG_READ);
SAME(UI_UAPI_VFIO_MAP_WRITE, VFIO_DMA_MAP_FLAG_WRITE);
SAME(UI_UAPI_VFIO_UNMAP_ALL_FLAG, VFIO_DMA_UNMAP_FLAG_ALL);
STRUCT(vfio_map, vfio_iommu_type1_dma_map);
F(vfio_map, vfio_iommu_type1_dma_map, vaddr);
F(vfio_map, vfio_iommu_type1_dma_map, iova);
F(vfio_map, vfio_iommu_type1_dma_map, size);
STRUCT(vfio_unmap, vfio_iommu_type1_dma_unmap);
F(vfio_unmap, vfio_iommu_type1_dma_unmap, iova);
F(vfio_unmap, vfio_iommu_type1_dma_unmap, size);
STRUCT(vfio_info, vfio_iommu_type1_info);
F(vfio_info, vfio_iommu_type1_info, iova_pgsizes);
F(vfio_info, vfio_iommu_type1_info, cap_offset);
STRUCT(vfio_cap, vfio_info_cap_header);
F(vfio_cap, vfio_info_cap_header, next);
STRUCT(vfio_cap_avail, vfio_iommu_type1_info_dma_avail);
F(vfio_cap_avail, vfio_iommu_type1_info_dma_avail, avail);
STRUCT(vfio_cap_ranges, vfio_iommu_type1_info_cap_iova_range);
F(vfio_cap_ranges, vfio_iommu_type1_info_cap_iova_range, nr_iovas);

#ifdef IOMMU_IOAS_NOIOMMU_GET_PA
SAME(UI_UAPI_IOAS_NOIOMMU_GET_PA, IOMMU_IOAS_NOIOMMU_GET_PA);
STRUCT(ioas_noiommu_get_pa, iommu_ioas_noiommu_get_pa);
#endif

int main(void)
{
	return 0;
}
#else
int main(void)
{
	return 77;
}
#endif
