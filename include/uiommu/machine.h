/* SPDX-License-Identifier: MIT */
/*
 * Machine descriptions: which kind of IOMMU, which devices behind it, where the log goes; what `uiommu run` is told.
 *
 * Unless said otherwise a function returns 0, or -EINVAL with one line for the user (no newline) in @err, cut at
 * @err_bytes, and leaves the description as it was. One thread at a time for a description.
 */
#ifndef UIOMMU_MACHINE_H
#define UIOMMU_MACHINE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct uiommu_machine;

/* The environment variable by which the command hands the line of uiommu_machine_text() to the preloaded library. */
#define UIOMMU_MACHINE_ENV "UIOMMU_MACHINE"

/**
 * uiommu_machine_new() - kind generic, log level fault to stderr, no devices
 *
 * Return: a description to be freed with uiommu_machine_free(), or NULL without memory.
 */
struct uiommu_machine *uiommu_machine_new(void);

/** uiommu_machine_free() - @machine may be NULL */
void uiommu_machine_free(struct uiommu_machine *machine);

/**
 * uiommu_machine_set() - change one setting
 * @key: "iommu" ("generic", "vtd", "smmuv3", "mock"), "log" ("none", "error", "warn", "fault", "info", "debug") or "log-file" (a path)
 */
int uiommu_machine_set(struct uiommu_machine *machine, const char *key, const char *value, char *err, size_t err_bytes);

/**
 * uiommu_machine_add_device() - add a device
 * @spec: "TYPE[,key=value]...", such as "dma,rid=0000:01:00.0,pasid-bits=16". Without rid: the first free of
 *	0000:01:00.0, 0000:02:00.0 and so on; without pasid-bits: 16.
 */
int uiommu_machine_add_device(struct uiommu_machine *machine, const char *spec, char *err, size_t err_bytes);

/** uiommu_machine_n_devices() - how many devices there are */
unsigned uiommu_machine_n_devices(const struct uiommu_machine *machine);

/** uiommu_machine_read_file() - add what a JSON machine file says (uiommu-run(1)); @err tells file, line and reason */
int uiommu_machine_read_file(struct uiommu_machine *machine, const char *path, char *err, size_t err_bytes);

/** uiommu_machine_check() - build the machine and take it down again: what the devices themselves refuse shows here */
int uiommu_machine_check(const struct uiommu_machine *machine, char *err, size_t err_bytes);

/**
 * uiommu_machine_text() - the description as one line of text, the same for equal descriptions
 *
 * Return: a string to be freed with free(), or NULL without memory.
 */
char *uiommu_machine_text(const struct uiommu_machine *machine);

#ifdef __cplusplus
}
#endif

#endif
