/* SPDX-License-Identifier: MIT */
/* The public face of machine descriptions: include/uiommu/machine.h. */
#include <uiommu/machine.h>

#include "machine/instance.h"
#include "machine/public.h"

#include <errno.h>
#include <stdlib.h>

struct uiommu_machine *uiommu_machine_new(void)
{
	struct uiommu_machine *machine = malloc(sizeof(*machine));

	if (machine)
		ui_machine_desc_init(&machine->desc);
	return machine;
}

void uiommu_machine_free(struct uiommu_machine *machine)
{
	free(machine);
}

int uiommu_machine_set(struct uiommu_machine *machine, const char *key, const char *value, char *err, size_t err_bytes)
{
	return ui_machine_desc_set(&machine->desc, key, value, err, err_bytes);
}

int uiommu_machine_add_device(struct uiommu_machine *machine, const char *spec, char *err, size_t err_bytes)
{
	return ui_machine_desc_add(&machine->desc, spec, err, err_bytes);
}

unsigned uiommu_machine_n_devices(const struct uiommu_machine *machine)
{
	return machine->desc.n_devices;
}

int uiommu_machine_read_file(struct uiommu_machine *machine, const char *path, char *err, size_t err_bytes)
{
	return ui_machine_desc_read(&machine->desc, path, err, err_bytes);
}

int uiommu_machine_check(const struct uiommu_machine *machine, char *err, size_t err_bytes)
{
	struct ui_machine *made = NULL;
	int ret = ui_machine_create(&machine->desc, &made, err, err_bytes);

	for (unsigned i = 0; !ret && i < made->n_devices; i++)
		ret = ui_pci_open(made->devices[i].pci, err, err_bytes);
	ui_machine_destroy(made);
	return ret ? -EINVAL : 0;
}

char *uiommu_machine_text(const struct uiommu_machine *machine)
{
	char err[64], *text = malloc(UI_MACHINE_TEXT_BYTES);

	if (text && ui_machine_desc_print(&machine->desc, text, UI_MACHINE_TEXT_BYTES, err, sizeof(err))) {
		free(text);
		return NULL;
	}
	return text;
}
