/* SPDX-License-Identifier: MIT */
/* A machine in being: the process's memory, one iommu of the wanted kind, the devices behind it. */
#ifndef UI_MACHINE_INSTANCE_H
#define UI_MACHINE_INSTANCE_H

#include "base/types.h"
#include "core/iommu.h"
#include "devices/pci.h"
#include "machine/desc.h"

struct ui_machine_pci {
	char name[16]; /* "0000:01:00.0" */
	const struct ui_pci_model *model;
	struct ui_device *dev;
	struct ui_dma *port;
	struct ui_pci *pci;
	/* Memory of mappable BARs, page-aligned, the machine's: whoever wants to share it maps something over it. */
	void *bar_mem[UI_PCI_N_BARS];
};

struct ui_machine {
	struct ui_mem *mem;
	struct ui_iommu *iommu;
	unsigned n_devices;
	struct ui_machine_pci devices[UI_MACHINE_MAX_DEVICES];
};

/*
 * Everything @desc asks for, or nothing. 0 with *@out; -ENOMEM, -EINVAL with one line for the user in @err. What the devices do counts
 * in @stats, which outlives the machine and has room for @n_stats of them; NULL: nobody asks.
 */
int ui_machine_create_counting(const struct ui_machine_desc *desc, struct ui_stats *stats, u32 n_stats, struct ui_machine **out,
			       char *err, size_t err_bytes);
int ui_machine_create(const struct ui_machine_desc *desc, struct ui_machine **out, char *err, size_t err_bytes);
/*
 * As ui_machine_create_counting(), with device @i of @desc alone, behind an iommu of its own, and with memory that is empty: whoever has the
 * device puts his own there.
 */
int ui_machine_create_apart(const struct ui_machine_desc *desc, unsigned i, struct ui_stats *stats, u32 n_stats, struct ui_machine **out,
			    char *err, size_t err_bytes);
/* Nothing is open, bound or mapped any more. NULL is a no-op. */
void ui_machine_destroy(struct ui_machine *machine);
/* What the devices did so far, a line for each to the log (UI_LOG_INFO). Any thread. */
void ui_machine_log(const struct ui_machine *machine);

bool ui_machine_kind_known(const char *kind);
/* "generic, vtd, smmuv3, mock" for messages. */
const char *ui_machine_kinds(void);

#endif
