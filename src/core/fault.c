/* SPDX-License-Identifier: MIT */
/* Unrecoverable faults: one line of the log each, then the embedder's sink. */
#include "base/log.h"
#include "core/internal.h"

#include <inttypes.h>
#include <stdio.h>

static const char *reason_text(enum ui_dma_status reason)
{
	static const char *const texts[UI_DMA_N_STATUS] = {
		[UI_DMA_BLOCKED] = "no address space attached",
		[UI_DMA_BAD_PASID] = "no such PASID",
		[UI_DMA_TRANSLATION] = "not mapped",
		[UI_DMA_ADDR_SIZE] = "outside the address space",
		[UI_DMA_ACCESS] = "access flag clear",
		[UI_DMA_PERMISSION] = "not permitted",
		[UI_DMA_MALFORMED] = "malformed table entry",
		[UI_DMA_WALK_ABORT] = "table not readable",
		[UI_DMA_ABORT] = "memory failed",
	};

	return (unsigned)reason < UI_DMA_N_STATUS && texts[reason] ? texts[reason] : "unknown";
}

static const char *access_text(unsigned access)
{
	if (access & UI_PROT_EXEC)
		return "exec";
	return access & UI_PROT_WRITE ? "write" : "read";
}

void ui_device_fault(void *arg, const struct ui_fault *fault)
{
	const struct ui_device *dev = arg;

	if (ui_log_wants(UI_LOG_FAULT)) {
		char pasid[32] = "no pasid";

		if (fault->has_pasid)
			snprintf(pasid, sizeof(pasid), "pasid %u", fault->pasid);
		ui_log(UI_LOG_FAULT, "DMA fault: %s %s %s 0x%" PRIx64 ": %s", dev->name, pasid, access_text(fault->access), fault->iova,
		       reason_text(fault->reason));
	}
	if (dev->iommu->fault_fn)
		dev->iommu->fault_fn(dev->iommu->fault_arg, fault);
}
