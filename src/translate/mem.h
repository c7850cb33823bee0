/* SPDX-License-Identifier: MIT */
/*
 * Memory objects: what physical addresses mean. A pa is a number in a memory object, never a host pointer.
 *
 * A memory object is a set of regions that do not overlap: RAM (host memory, any kind that can be mapped) or MMIO
 * (functions). The memory of `uiommu run` is one RAM region whose pa equals the host address over the whole user address
 * space (window 0): private memory as the program sees it, and the files and shared memory that uiommu maps itself, at
 * addresses of its own.
 *
 * Threads: lookups are lock-free, and valid within a DMA section (dma.h). Changes take a lock, and removal waits until
 * no section of any translation instance over this object can hold the region. A lookup outside sections needs a caller
 * who knows that nothing is removed meanwhile.
 */
#ifndef UI_TRANSLATE_MEM_H
#define UI_TRANSLATE_MEM_H

#include "base/types.h"

struct ui_mem;

struct ui_mem_mmio_ops {
	/* Accesses of 1, 2, 4 or 8 bytes, naturally aligned in the region; @val is the number, its lowest byte at
	 * @offset. False: nobody answered (external abort). Called outside DMA sections, without locks. Unmap does not
	 * wait for a call that has begun, as a bus does not take back a posted write. */
	bool (*read)(void *arg, u64 offset, unsigned n_bytes, u64 *val);
	bool (*write)(void *arg, u64 offset, unsigned n_bytes, u64 val);
};

struct ui_mem_span {
	u8 *host;                          /* RAM: pointer of the first byte; NULL for MMIO */
	const struct ui_mem_mmio_ops *ops; /* MMIO */
	void *arg;                         /* MMIO */
	u64 offset;                        /* MMIO: offset in the region */
	u64 n_bytes;                       /* contiguous bytes from here in the region, at least 1 */
	bool writable;
};

/* NULL without memory. Free with ui_mem_destroy() when no translation instance uses it. */
struct ui_mem *ui_mem_create(void);
/* The memory of the calling process: pa = address, from 64 KiB to 2^47 - 1. */
struct ui_mem *ui_mem_create_process(void);
void ui_mem_destroy(struct ui_mem *mem);

/* 0; -EEXIST overlap with a region; -EINVAL empty or wrapping; -ENOMEM. @host stays the caller's and outlives the region. */
int ui_mem_add_ram(struct ui_mem *mem, u64 pa, u64 n_bytes, void *host, bool writable);
int ui_mem_add_mmio(struct ui_mem *mem, u64 pa, u64 n_bytes, const struct ui_mem_mmio_ops *ops, void *arg);
/* Removes the region that starts at @pa. When it returns no DMA can reach it: TLBs are clean, sections have ended, none
 * of the region's MMIO functions is running. 0; -ENOENT; -ENOMEM, or -EDEADLK from inside a section or one of those
 * functions: then nothing is changed. */
int ui_mem_remove(struct ui_mem *mem, u64 pa);

/* True and *span when @pa lies in a region. */
bool ui_mem_resolve(const struct ui_mem *mem, u64 pa, struct ui_mem_span *span);

#endif
