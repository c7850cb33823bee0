/* SPDX-License-Identifier: MIT */
/*
 * Memory objects: what physical addresses mean. An object is a set of regions that do not overlap, of RAM (host memory of any kind
 * that can be mapped) or of registers (functions). A physical address is a number in it, never a host pointer.
 *
 * Unless said otherwise any thread may call any function. Functions return 0 or a negative errno value.
 */
#ifndef UIOMMU_MEM_H
#define UIOMMU_MEM_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct uiommu_mem;

/**
 * struct uiommu_mmio_ops - functions that stand for registers
 * @read: *@val gets the @n_bytes (1, 2, 4 or 8) at @offset of the region, naturally aligned, the lowest byte first
 * @write: likewise with the bytes of @val
 *
 * Return: false when nobody answers, which the device gets as an abort. Called on the thread whose access it is, with no lock held;
 * several threads may be inside at once.
 */
struct uiommu_mmio_ops {
	bool (*read)(void *arg, uint64_t offset, unsigned n_bytes, uint64_t *val);
	bool (*write)(void *arg, uint64_t offset, unsigned n_bytes, uint64_t val);
};

/**
 * uiommu_mem_guard() - survive memory that vanishes
 *
 * Installs a handler for SIGSEGV and SIGBUS which turns an access of the library to RAM that is gone (a truncated file, unmapped guest
 * memory) into an abort of the DMA, and leaves all else to the handler before it. Once for a process, before the first DMA. A program
 * that installs handlers of its own later passes what is not its own on to this one. Threads that do DMA must not block the two signals.
 *
 * Return: 0, also when it is there already, or what sigaction() refused with.
 */
int uiommu_mem_guard(void);

/**
 * uiommu_mem_new() - an object without regions
 *
 * Return: the object, to be freed with uiommu_mem_free(), or NULL without memory.
 */
struct uiommu_mem *uiommu_mem_new(void);

/** uiommu_mem_free() - @mem may be NULL; whatever was made over it is freed already */
void uiommu_mem_free(struct uiommu_mem *mem);

/**
 * uiommu_mem_add_ram() - physical addresses from @pa on are the @n_bytes at @host
 * @pa: any; pages of 4 KiB are fastest when it and @host are aligned to them
 * @n_bytes: at least 1
 * @host: the caller's, and outlives the region
 * @writable: false: writes of devices, and of the IOMMU for them, abort
 *
 * Return: 0; -EEXIST: overlaps a region; -EINVAL: empty, or beyond 2^64; -ENOMEM.
 */
int uiommu_mem_add_ram(struct uiommu_mem *mem, uint64_t pa, uint64_t n_bytes, void *host, bool writable);

/**
 * uiommu_mem_add_mmio() - physical addresses from @pa on are registers
 * @ops: the caller's, and outlives the region, as does @arg
 * @arg: passed to both functions
 *
 * Return: as uiommu_mem_add_ram().
 */
int uiommu_mem_add_mmio(struct uiommu_mem *mem, uint64_t pa, uint64_t n_bytes, const struct uiommu_mmio_ops *ops, void *arg);

/**
 * uiommu_mem_remove() - take the region that starts at @pa away
 *
 * When it returns 0 no DMA reaches the region any more: no cache holds it, and accesses that had begun have ended.
 *
 * Return: 0; -ENOENT: none starts there; -EDEADLK: called from one of the region's functions; -ENOMEM. Nothing is changed then.
 */
int uiommu_mem_remove(struct uiommu_mem *mem, uint64_t pa);

#ifdef __cplusplus
}
#endif

#endif
