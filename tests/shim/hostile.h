/* SPDX-License-Identifier: MIT */
/*
 * For programs that mean harm: libc, the kernel's headers, and the registers of docs/dma-device.md. A failed expectation is
 * printed and counted, so that one run shows them all.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include "../../examples/dma_regs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/iommufd.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096 };

static int hostile_failures;

static inline void hostile_note(const char *file, int line, const char *what, long got, long want)
{
	dprintf(2, "%s:%d: %s: got %ld (%s), want %ld (%s)\n", file, line, what, got, got < 0 ? strerror((int)-got) : "", want,
		want < 0 ? strerror((int)-want) : "");
	__atomic_fetch_add(&hostile_failures, 1, __ATOMIC_RELAXED);
}

/* An expression with the value (0 or more, or a negative errno) that it must have. */
#define EXPECT(expr, want)                                                        \
	do {                                                                      \
		long got_ = (long)(expr), want_ = (long)(want);                   \
		if (got_ != want_)                                                \
			hostile_note(__FILE__, __LINE__, #expr, got_, want_);     \
	} while (0)

/* What has to hold for the rest to mean anything. */
#define MUST(cond)                                                                                                 \
	do {                                                                                                       \
		if (!(cond)) {                                                                                     \
			dprintf(2, "%s:%d: %s (errno %d: %s)\n", __FILE__, __LINE__, #cond, errno, strerror(errno)); \
			_exit(1);                                                                                  \
		}                                                                                                  \
	} while (0)

static inline long call(int fd, unsigned long request, void *arg)
{
	int ret = ioctl(fd, request, arg);

	return ret < 0 ? -errno : ret;
}

static inline long sys(long ret)
{
	return ret < 0 ? -errno : ret;
}

/* Addresses that are numbers. */
static inline void *ptr(uint64_t at)
{
	return (void *)(uintptr_t)at;
}

static inline void *pages(size_t n, int prot)
{
	void *at = mmap(NULL, n * PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	MUST(at != MAP_FAILED);
	return at;
}

/* The end of a page behind which nothing is mapped. */
static inline char *cliff(int prot)
{
	char *at = pages(2, PROT_READ | PROT_WRITE);

	MUST(!munmap(at + PAGE, PAGE) && !mprotect(at, PAGE, prot));
	return at + PAGE;
}

static inline uint32_t new_ioas(int fd)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };

	MUST(!ioctl(fd, IOMMU_IOAS_ALLOC, &cmd));
	return cmd.out_ioas_id;
}

static inline long destroy(int fd, uint32_t id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	return call(fd, IOMMU_DESTROY, &cmd);
}

static inline long map(int fd, uint32_t ioas, const void *va, uint64_t length, uint64_t iova)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd), .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE,
		.ioas_id = ioas, .user_va = (uintptr_t)va, .length = length, .iova = iova,
	};

	return call(fd, IOMMU_IOAS_MAP, &cmd);
}

static inline long unmap(int fd, uint32_t ioas, uint64_t iova, uint64_t length)
{
	struct iommu_ioas_unmap cmd = { .size = sizeof(cmd), .ioas_id = ioas, .iova = iova, .length = length };

	return call(fd, IOMMU_IOAS_UNMAP, &cmd);
}

/* How many bytes an IOAS holds, by removing them all. */
static inline uint64_t unmap_all(int fd, uint32_t ioas)
{
	struct iommu_ioas_unmap cmd = { .size = sizeof(cmd), .ioas_id = ioas, .length = UINT64_MAX };

	MUST(!ioctl(fd, IOMMU_IOAS_UNMAP, &cmd));
	return cmd.length;
}

/* --- the device --- */

struct bench {
	int iommu, device;
	uint32_t dev_id, ioas;
	uint64_t bar0, config;
};

static inline long bind(int device, int iommu, uint32_t *id)
{
	struct vfio_device_bind_iommufd cmd = { .argsz = sizeof(cmd), .iommufd = iommu };
	long ret = call(device, VFIO_DEVICE_BIND_IOMMUFD, &cmd);

	if (id)
		*id = cmd.out_devid;
	return ret;
}

static inline long attach(int device, uint32_t pt)
{
	struct vfio_device_attach_iommufd_pt cmd = { .argsz = sizeof(cmd), .pt_id = pt };

	return call(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);
}

static inline long detach(int device)
{
	struct vfio_device_detach_iommufd_pt cmd = { .argsz = sizeof(cmd) };

	return call(device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);
}

static inline void bench_open(struct bench *b)
{
	b->iommu = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	b->device = open("/dev/vfio/devices/vfio0", O_RDWR | O_CLOEXEC);
	MUST(b->iommu >= 0 && b->device >= 0 && !bind(b->device, b->iommu, &b->dev_id));
	b->ioas = new_ioas(b->iommu);
	MUST(!attach(b->device, b->ioas));
	b->bar0 = (uint64_t)VFIO_PCI_BAR0_REGION_INDEX << 40;
	b->config = (uint64_t)VFIO_PCI_CONFIG_REGION_INDEX << 40;
}

static inline void bench_close(struct bench *b)
{
	MUST(!close(b->device) && !close(b->iommu));
}

static inline uint32_t reg_read(const struct bench *b, uint64_t reg)
{
	uint32_t val;

	MUST(pread(b->device, &val, 4, (off_t)(b->bar0 + reg)) == 4);
	return val;
}

static inline void reg_write(const struct bench *b, uint64_t reg, uint32_t val)
{
	MUST(pwrite(b->device, &val, 4, (off_t)(b->bar0 + reg)) == 4);
}

static inline uint64_t reg_read64(const struct bench *b, uint64_t reg)
{
	uint64_t val;

	MUST(pread(b->device, &val, 8, (off_t)(b->bar0 + reg)) == 8);
	return val;
}

static inline void reg_write64(const struct bench *b, uint64_t reg, uint64_t val)
{
	MUST(pwrite(b->device, &val, 8, (off_t)(b->bar0 + reg)) == 8);
}

enum { DMA_CH_STATUS = 0x14, DMA_CH_HEAD = 0x18, DMA_CH_BYTES = 0x80, DMA_CTRL_RESET = 2 };

static inline uint64_t chan_reg(unsigned chan, uint64_t reg)
{
	return DMA_REG_CHANNEL0 + chan * DMA_CH_BYTES + reg;
}

static inline void device_enable(const struct bench *b)
{
	uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;

	MUST(pwrite(b->device, &command, 2, (off_t)(b->config + PCI_COMMAND)) == 2);
	reg_write(b, DMA_REG_CTRL, DMA_ENABLE);
}

static inline void chan_start(const struct bench *b, unsigned chan, uint64_t ring, uint32_t lg2)
{
	reg_write(b, chan_reg(chan, DMA_CH_CTRL), 0);
	reg_write64(b, chan_reg(chan, DMA_CH_RING_BASE), ring);
	reg_write(b, chan_reg(chan, DMA_CH_RING_LG2), lg2);
	reg_write(b, chan_reg(chan, DMA_CH_CTRL), DMA_ENABLE);
}

/* Waits until the channel has taken @head descriptors or stands. Its STATUS. */
static inline uint32_t chan_wait(const struct bench *b, unsigned chan, uint64_t head)
{
	for (;;) {
		/* The head first: a channel that halts does so together with its last step. */
		bool there = reg_read64(b, chan_reg(chan, DMA_CH_HEAD)) >= head;
		uint32_t status = reg_read(b, chan_reg(chan, DMA_CH_STATUS));

		if (there || status != 1)
			return status;
		sched_yield();
	}
}

/* A device fresh from open copies a page through an IOAS fresh from open: all is well with everything shared. */
static inline void still_works(void)
{
	char *mem = pages(3, PROT_READ | PROT_WRITE);
	struct dma_desc *ring = (void *)mem;
	struct bench b;

	bench_open(&b);
	device_enable(&b);
	MUST(!map(b.iommu, b.ioas, mem, 3 * PAGE, 0x40000000));
	memset(mem + PAGE, 0x5a, PAGE);
	ring[0] = (struct dma_desc){ .opcode = DMA_OP_COPY, .length = PAGE, .src = 0x40000000 + PAGE, .dst = 0x40000000 + 2 * PAGE,
				     .completion = 0x40000000 + 2048 };
	chan_start(&b, 0, 0x40000000, 0);
	reg_write64(&b, chan_reg(0, DMA_CH_TAIL), 1);
	EXPECT(chan_wait(&b, 0, 1), 1);
	EXPECT(((struct dma_completion *)(void *)(mem + 2048))->status, DMA_STATUS_DONE);
	EXPECT(memcmp(mem + PAGE, mem + 2 * PAGE, PAGE), 0);
	bench_close(&b);
	munmap(mem, 3 * PAGE);
}

static inline int hostile_end(void)
{
	if (hostile_failures)
		dprintf(2, "%d expectations failed\n", hostile_failures);
	return hostile_failures != 0;
}

#endif
