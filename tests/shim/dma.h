/* SPDX-License-Identifier: MIT */
/* A stranger's driver for the dma device (docs/dma-device.md): one channel, one descriptor at a time. */
#ifndef STRANGER_DMA_H
#define STRANGER_DMA_H

#include "stranger.h"

#include <sched.h>
#include <sys/mman.h>

enum { PAGE = 4096, RING_IOVA = 0x10000000, COPY = 1, FILL = 2, DONE = 1, FAULT = 2 };

struct descriptor {
	uint8_t opcode, flags;
	uint16_t cookie;
	uint32_t length;
	uint64_t src, dst;
	uint32_t src_pasid, dst_pasid;
	uint64_t completion, zero[3];
};

struct completion {
	uint32_t status;
	uint16_t cookie;
	uint8_t reason, what;
	uint64_t bytes, addr;
	uint32_t pasid, zero;
};

struct dma {
	int iommu, device;
	uint32_t ioas;
	uint64_t bar0, bar2, tail, ring_iova;
	struct descriptor *ring; /* one page: 32 descriptors, then completions */
};

static inline void dma_write32(struct dma *dma, uint64_t reg, uint32_t val)
{
	CHECK(pwrite(dma->device, &val, 4, (off_t)(dma->bar0 + reg)) == 4);
}

static inline void dma_write64(struct dma *dma, uint64_t reg, uint64_t val)
{
	CHECK(pwrite(dma->device, &val, 8, (off_t)(dma->bar0 + reg)) == 8);
}

static inline uint64_t dma_region(struct dma *dma, uint32_t index)
{
	struct vfio_region region = { .argsz = sizeof(region), .index = index };

	CHECK(!ioctl(dma->device, VFIO_GET_REGION_INFO, &region));
	return region.offset;
}

/* Starts channel 0 of an open device with a ring of 32 at @iova, where dma->ring is mapped. */
static inline void dma_start(struct dma *dma, uint64_t iova)
{
	uint16_t command = 6;

	dma->bar0 = dma_region(dma, 0);
	dma->bar2 = dma_region(dma, 2);
	dma->ring_iova = iova;
	CHECK(pwrite(dma->device, &command, 2, (off_t)(dma_region(dma, 7) + 4)) == 2);
	dma_write32(dma, 0x010, 1);
	dma_write64(dma, 0x1000, iova);
	dma_write32(dma, 0x1008, 5);
	dma_write32(dma, 0x1010, 1);
}

/* Opens, binds and attaches the device and starts channel 0 with a ring of 32. */
static inline void dma_open(struct dma *dma)
{
	struct vfio_bind bind = { .argsz = sizeof(bind) };
	struct vfio_attach attach = { .argsz = sizeof(attach) };
	int ioas;

	memset(dma, 0, sizeof(*dma));
	dma->iommu = open("/dev/iommu", O_RDWR);
	dma->device = open("/dev/vfio/devices/vfio0", O_RDWR);
	CHECK(dma->iommu >= 0 && dma->device >= 0);
	bind.iommufd = dma->iommu;
	CHECK(!ioctl(dma->device, VFIO_BIND, &bind));
	ioas = ioas_alloc(dma->iommu);
	CHECK(ioas > 0);
	dma->ioas = attach.pt_id = (uint32_t)ioas;
	CHECK(!ioctl(dma->device, VFIO_ATTACH, &attach));
	dma->ring = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(dma->ring != MAP_FAILED);
	CHECK(!ioas_map(dma->iommu, dma->ioas, dma->ring, PAGE, RING_IOVA));
	dma_start(dma, RING_IOVA);
}

/* Runs one descriptor and waits for it. Its status. */
static inline uint32_t dma_run(struct dma *dma, struct descriptor desc)
{
	volatile struct completion *done = (struct completion *)((char *)dma->ring + 2048);

	memset((void *)(uintptr_t)done, 0, sizeof(*done));
	desc.completion = dma->ring_iova + 2048;
	dma->ring[dma->tail % 32] = desc;
	dma_write64(dma, 0x1020, ++dma->tail);
	while (!__atomic_load_n(&done->status, __ATOMIC_ACQUIRE))
		sched_yield();
	return done->status;
}

static inline uint32_t dma_fill(struct dma *dma, uint64_t iova, uint64_t pattern, uint32_t length)
{
	return dma_run(dma, (struct descriptor){ .opcode = FILL, .src = pattern, .dst = iova, .length = length });
}

static inline uint32_t dma_copy(struct dma *dma, uint64_t src, uint64_t dst, uint32_t length)
{
	return dma_run(dma, (struct descriptor){ .opcode = COPY, .src = src, .dst = dst, .length = length });
}

#endif
