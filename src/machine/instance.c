/* SPDX-License-Identifier: MIT */
#include "machine/instance.h"
#include "base/alloc.h"
#include "base/log.h"
#include "base/sys.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* A kind of the command line and the driver half that serves it. The mock's iommu stands apart: its devices are made by
 * ioctls of its own, so the devices of the command line get a generic iommu. */
static const struct {
	const char *kind, *driver;
} kinds[] = {
	{ "generic", "generic" },
	{ "vtd", "vtd" },
	{ "smmuv3", "smmuv3" },
	{ "mock", "generic" },
};

static const char *driver_of(const char *kind)
{
	for (size_t i = 0; i < ui_array_size(kinds); i++) {
		if (!strcmp(kinds[i].kind, kind))
			return kinds[i].driver;
	}
	return NULL;
}

bool ui_machine_kind_known(const char *kind)
{
	return driver_of(kind) != NULL;
}

const char *ui_machine_kinds(void)
{
	return "generic, vtd, smmuv3, mock";
}

static int device_bars(struct ui_machine_pci *dev, const struct ui_pci_model *model)
{
	for (unsigned i = 0; i < UI_PCI_N_BARS; i++) {
		void *mem;

		if (!model->bars[i].mappable || !model->bars[i].n_bytes)
			continue;
		mem = ui_sys_mmap(NULL, model->bars[i].n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (ui_sys_is_err(mem))
			return -ENOMEM;
		dev->bar_mem[i] = mem;
	}
	return 0;
}

static int device_create(struct ui_machine *machine, const struct ui_machine_dev *desc, struct ui_machine_pci *dev, char *err,
			 size_t err_bytes)
{
	struct ui_device_cfg cfg = { .rid = desc->rid, .pasid_bits = desc->pasid_bits, .name = dev->name, .group = desc->group + 1 };

	snprintf(err, err_bytes, "out of memory");
	dev->model = ui_pci_model_find(desc->type);
	ui_machine_rid_print(desc->rid, dev->name);
	dev->dev = ui_device_create(machine->iommu, &cfg);
	if (!dev->dev || device_bars(dev, dev->model))
		return -ENOMEM;
	dev->port = ui_device_port_open(dev->dev);
	if (!dev->port)
		return -ENOMEM;
	dev->pci = ui_pci_create(dev->model, desc->options, desc->pasid_bits, dev->port, dev->bar_mem, err, err_bytes);
	return dev->pci ? 0 : -EINVAL;
}

/* Devices @first to @first + @n - 1 over @mem, which becomes the machine's or is destroyed. */
static int create(const struct ui_machine_desc *desc, unsigned first, unsigned n, struct ui_mem *mem, struct ui_stats *stats, u32 n_stats,
		  struct ui_machine **out, char *err, size_t err_bytes)
{
	const struct ui_driver_ops *driver = ui_driver_find(driver_of(desc->kind));
	struct ui_machine *machine = driver ? ui_zalloc(sizeof(*machine)) : NULL;
	int ret = 0;

	if (!machine) {
		ui_mem_destroy(mem);
		if (driver)
			snprintf(err, err_bytes, "out of memory");
		else
			snprintf(err, err_bytes, "iommu \"%s\" is not built in", desc->kind);
		return driver ? -ENOMEM : -EINVAL;
	}
	snprintf(err, err_bytes, "out of memory");
	machine->mem = mem;
	machine->iommu = machine->mem ? ui_iommu_create(driver, machine->mem) : NULL;
	if (!machine->iommu)
		ret = -ENOMEM;
	else if (stats)
		ui_iommu_set_stats(machine->iommu, stats, n_stats);
	for (unsigned i = 0; !ret && i < n; i++) {
		machine->n_devices++;
		ret = device_create(machine, &desc->devices[first + i], &machine->devices[i], err, err_bytes);
	}
	if (ret)
		ui_machine_destroy(machine);
	else
		*out = machine;
	return ret;
}

int ui_machine_create(const struct ui_machine_desc *desc, struct ui_machine **out, char *err, size_t err_bytes)
{
	return ui_machine_create_counting(desc, NULL, 0, out, err, err_bytes);
}

int ui_machine_create_counting(const struct ui_machine_desc *desc, struct ui_stats *stats, u32 n_stats, struct ui_machine **out,
			       char *err, size_t err_bytes)
{
	return create(desc, 0, desc->n_devices, ui_mem_create_process(), stats, n_stats, out, err, err_bytes);
}

int ui_machine_create_apart(const struct ui_machine_desc *desc, unsigned i, struct ui_stats *stats, u32 n_stats, struct ui_machine **out,
			    char *err, size_t err_bytes)
{
	return create(desc, i, 1, ui_mem_create(), stats, n_stats, out, err, err_bytes);
}

static void device_destroy(struct ui_machine_pci *dev)
{
	if (dev->pci)
		ui_pci_destroy(dev->pci);
	if (dev->port)
		ui_dma_close(dev->port);
	if (dev->dev)
		ui_device_destroy(dev->dev);
	for (unsigned i = 0; i < UI_PCI_N_BARS; i++) {
		if (dev->bar_mem[i])
			ui_sys_munmap(dev->bar_mem[i], dev->model->bars[i].n_bytes);
	}
}

void ui_machine_log(const struct ui_machine *machine)
{
	struct ui_dma_stats stats;

	for (unsigned i = 0; i < machine->n_devices; i++) {
		ui_dma_stats(machine->devices[i].port, &stats);
		ui_log(UI_LOG_INFO, "device %s: DMA of %" PRIu64 " bytes, %" PRIu64 " TLB hits, %" PRIu64 " walks, %" PRIu64
		       " of them nested, %" PRIu64 " faults", machine->devices[i].name, stats.bytes, stats.tlb_hits, stats.walks,
		       stats.nested_walks, stats.faults);
	}
}

void ui_machine_destroy(struct ui_machine *machine)
{
	if (!machine)
		return;
	for (unsigned i = machine->n_devices; i-- > 0;)
		device_destroy(&machine->devices[i]);
	if (machine->iommu)
		ui_iommu_destroy(machine->iommu);
	if (machine->mem)
		ui_mem_destroy(machine->mem);
	ui_free(machine);
}
