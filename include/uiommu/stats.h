/* SPDX-License-Identifier: MIT */
/*
 * What the devices of a machine did, in all processes of a program: counters that outlive those processes.
 *
 * One thread at a time for an object.
 */
#ifndef UIOMMU_STATS_H
#define UIOMMU_STATS_H

#include <uiommu/machine.h>

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct uiommu_stats;

/* The environment variable by which the command tells the preloaded library uiommu_stats_path(). */
#define UIOMMU_STATS_ENV "UIOMMU_STATS"

struct uiommu_stats_counts {
	uint64_t dmas;          /* accesses begun, refused ones too; a copy or compare is one on each side */
	uint64_t bytes;         /* that they moved or compared, likewise */
	uint64_t tlb_hits;      /* look-ups of a page that the TLB answered */
	uint64_t tlb_misses;    /* and those that it did not */
	uint64_t walks;         /* of page tables: after misses, and for accesses that go by the TLB */
	uint64_t nested_walks;  /* of those: of a stage 1 through a stage 2 */
	uint64_t faults;        /* accesses refused */
	uint64_t maps;          /* ranges entered into the page table that is attached there, or into its parent's */
	uint64_t unmaps;        /* ranges taken out */
	uint64_t invalidations; /* ranges, or all of it, that TLBs had to forget */
};

enum uiommu_stats_whose {
	UIOMMU_STATS_NO_PASID, /* DMA without a PASID */
	UIOMMU_STATS_PASID,    /* DMA with that PASID */
	UIOMMU_STATS_OTHER,    /* all PASIDs that came to a device, in a process, after it had seen 62 others */
};

struct uiommu_stats_row {
	const char *device; /* "0000:01:00.0"; valid as long as the object, like @type */
	const char *type;   /* "dma" */
	enum uiommu_stats_whose whose;
	uint32_t pasid;     /* UIOMMU_STATS_PASID only */
	struct uiommu_stats_counts counts;
};

struct uiommu_stats_table {
	unsigned n_processes;         /* that made the machine: used a device, or looked into its configuration space */
	unsigned n_uncounted;         /* of those: not in the table, since too many lived at the same time */
	uint64_t detached_maps;       /* done to page tables while no device was attached to them */
	uint64_t detached_unmaps;
	uint64_t detached_invalidations;
	size_t n_rows;
	struct uiommu_stats_row *rows; /* by device, no PASID (always there), PASIDs upwards, others */
};

/**
 * uiommu_stats_new() - counters for the devices that @machine has by now, all zero
 *
 * Return: an object to be freed with uiommu_stats_free(), or NULL with one line for the user in @err.
 */
struct uiommu_stats *uiommu_stats_new(const struct uiommu_machine *machine, char *err, size_t err_bytes);

/** uiommu_stats_free() - processes that still count go on in vain. @stats may be NULL */
void uiommu_stats_free(struct uiommu_stats *stats);

/**
 * uiommu_stats_path() - where processes find the counters, as long as the calling process has the object
 *
 * Return: a string that is valid as long as the object.
 */
const char *uiommu_stats_path(const struct uiommu_stats *stats);

/**
 * uiommu_stats_read() - what all processes did so far, each number a moment old
 *
 * Return: 0, and @table is to be freed with uiommu_stats_release(); a negative errno.
 */
int uiommu_stats_read(const struct uiommu_stats *stats, struct uiommu_stats_table *table);

/** uiommu_stats_release() - frees what uiommu_stats_read() filled in */
void uiommu_stats_release(struct uiommu_stats_table *table);

#ifdef __cplusplus
}
#endif

#endif
