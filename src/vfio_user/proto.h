/* SPDX-License-Identifier: MIT */
/*
 * The vfio-user protocol: a header and a payload, in the byte order of the machine, over a local stream socket. Structures of the
 * VFIO uAPI travel as payloads as they are (vfio/uapi.h).
 */
#ifndef UI_VFIO_USER_PROTO_H
#define UI_VFIO_USER_PROTO_H

#include "base/types.h"

enum vu_command {
	VU_VERSION = 1,
	VU_DMA_MAP = 2,
	VU_DMA_UNMAP = 3,
	VU_GET_INFO = 4,
	VU_GET_REGION_INFO = 5,
	VU_GET_REGION_IO_FDS = 6,
	VU_GET_IRQ_INFO = 7,
	VU_SET_IRQS = 8,
	VU_REGION_READ = 9,
	VU_REGION_WRITE = 10,
	VU_DMA_READ = 11,  /* to the client */
	VU_DMA_WRITE = 12, /* to the client */
	VU_RESET = 13,
	VU_WRITE_MULTI = 15,
	VU_N_COMMANDS,
};

enum { VU_TYPE = 0xf, VU_REQUEST = 0, VU_REPLY = 1, VU_NO_REPLY = 0x10, VU_ERROR = 0x20 };

struct vu_head {
	u16 id, command;
	u32 n_bytes; /* with the header */
	u32 flags;
	u32 error; /* a reply's errno, with VU_ERROR */
};

struct vu_version {
	u16 major, minor; /* JSON text with its NUL follows */
};

enum { VU_DMA_MAP_READ = 1, VU_DMA_MAP_WRITE = 2 };

struct vu_dma_map {
	u32 argsz, flags;
	u64 offset; /* in the descriptor's file */
	u64 iova, n_bytes;
};

enum { VU_DMA_UNMAP_DIRTY = 1, VU_DMA_UNMAP_ALL = 2 };

struct vu_dma_unmap {
	u32 argsz, flags;
	u64 iova, n_bytes;
};

struct vu_region_rw {
	u64 offset;
	u32 region, n_bytes; /* data follow */
};

/* VU_WRITE_MULTI: a u64 says how many of these follow. */
struct vu_write_one {
	u64 offset;
	u32 region, n_bytes;
	u8 data[8];
};

enum { VU_MULTI_MAX = 200 };

struct vu_dma_rw {
	u64 addr, n_bytes; /* data follow */
};

_Static_assert(sizeof(struct vu_head) == 16 && offsetof(struct vu_head, error) == 12, "vu_head");
_Static_assert(sizeof(struct vu_version) == 4, "vu_version");
_Static_assert(sizeof(struct vu_dma_map) == 32 && offsetof(struct vu_dma_map, n_bytes) == 24, "vu_dma_map");
_Static_assert(sizeof(struct vu_dma_unmap) == 24 && offsetof(struct vu_dma_unmap, n_bytes) == 16, "vu_dma_unmap");
_Static_assert(sizeof(struct vu_region_rw) == 16, "vu_region_rw");
_Static_assert(sizeof(struct vu_write_one) == 24, "vu_write_one");
_Static_assert(sizeof(struct vu_dma_rw) == 16, "vu_dma_rw");

#endif
