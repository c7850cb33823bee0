/* SPDX-License-Identifier: MIT */
/*
 * A tour of /dev/iommu: an ordinary client. It knows libc and the kernel's headers and would run unchanged on a machine
 * with iommufd, vfio and the `dma` device of docs/dma-device.md.
 *
 *	uiommu run -- tour
 *
 * Read main() from the top; each step prints one line.
 */
#include "dma_regs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/iommufd.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096u

/* Where things lie in the device's address space: our choice, nothing to do with our own addresses. */
enum {
	IOVA_RING = 0x100000,
	IOVA_DONE = 0x101000,
	IOVA_SRC = 0x200000,
	IOVA_DST = 0x201000,
	IOVA_RDONLY = 0x202000,
	IOVA_NOWHERE = 0x300000,
	IOVA_PRIVATE = 0x500000, /* the same address in the spaces of PASID 1 and PASID 2 */
};

static int iommu, device, done_event;
static uint64_t bar0, config; /* offsets of the regions in the device's descriptor */
static struct dma_desc *ring;
static volatile struct dma_completion *done;
static uint64_t submitted;

static void step(const char *what, const char *fmt, ...)
{
	va_list ap;

	printf("  %-22s ", what);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

static void check(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "tour: %s: %s\n", what, errno ? strerror(errno) : "not as expected");
	exit(1);
}

#define CALL(fd, request, arg) check(!ioctl(fd, request, arg), #request)

static void *page_of(char fill)
{
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	check(page != MAP_FAILED, "mmap");
	return memset(page, fill, PAGE);
}

/* --- address spaces --- */

static uint32_t new_ioas(void)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };

	CALL(iommu, IOMMU_IOAS_ALLOC, &alloc);
	return alloc.out_ioas_id;
}

/* A page table of its own for @ioas, fit to be used with PASIDs. */
static uint32_t new_hwpt(uint32_t dev_id, uint32_t ioas)
{
	struct iommu_hwpt_alloc alloc = {
		.size = sizeof(alloc), .flags = IOMMU_HWPT_ALLOC_PASID, .dev_id = dev_id, .pt_id = ioas
	};

	CALL(iommu, IOMMU_HWPT_ALLOC, &alloc);
	return alloc.out_hwpt_id;
}

static void map(uint32_t ioas, void *page, uint64_t iova, bool writable)
{
	struct iommu_ioas_map req = {
		.size = sizeof(req),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | (writable ? IOMMU_IOAS_MAP_WRITEABLE : 0),
		.ioas_id = ioas, .user_va = (uintptr_t)page, .length = PAGE, .iova = iova,
	};

	CALL(iommu, IOMMU_IOAS_MAP, &req);
}

static void attach(uint32_t hwpt, uint32_t pasid)
{
	struct vfio_device_attach_iommufd_pt req = {
		.argsz = sizeof(req), .flags = pasid ? VFIO_DEVICE_ATTACH_PASID : 0, .pt_id = hwpt, .pasid = pasid
	};

	CALL(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &req);
}

static void detach(uint32_t pasid)
{
	struct vfio_device_detach_iommufd_pt req = {
		.argsz = sizeof(req), .flags = pasid ? VFIO_DEVICE_DETACH_PASID : 0, .pasid = pasid
	};

	CALL(device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &req);
}

static void destroy(uint32_t id)
{
	struct iommu_destroy req = { .size = sizeof(req), .id = id };

	CALL(iommu, IOMMU_DESTROY, &req);
}

/* --- the device --- */

static uint64_t region(uint32_t index)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = index };

	CALL(device, VFIO_DEVICE_GET_REGION_INFO, &info);
	check(info.size > 0, "region is there");
	return info.offset;
}

static uint32_t reg_read(uint32_t reg)
{
	uint32_t val;

	check(pread(device, &val, 4, (off_t)(bar0 + reg)) == 4, "read a register");
	return val;
}

static uint64_t reg_read64(uint32_t reg)
{
	return reg_read(reg) | (uint64_t)reg_read(reg + 4) << 32;
}

static void reg_write(uint32_t reg, uint32_t val)
{
	check(pwrite(device, &val, 4, (off_t)(bar0 + reg)) == 4, "write a register");
}

static void reg_write64(uint32_t reg, uint64_t val)
{
	check(pwrite(device, &val, 8, (off_t)(bar0 + reg)) == 8, "write a register");
}

static void start_device(void)
{
	struct vfio_irq_set *irq = calloc(1, sizeof(*irq) + sizeof(int32_t));
	uint16_t command;

	done_event = eventfd(0, EFD_CLOEXEC);
	check(irq && done_event >= 0, "an event to wait for");
	irq->argsz = sizeof(*irq) + sizeof(int32_t);
	irq->flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	irq->index = VFIO_PCI_MSIX_IRQ_INDEX;
	irq->count = 1;
	memcpy(irq->data, &done_event, sizeof(int32_t));
	CALL(device, VFIO_DEVICE_SET_IRQS, irq);
	free(irq);
	check(pread(device, &command, 2, (off_t)(config + PCI_COMMAND)) == 2, "read the command register");
	command |= PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	check(pwrite(device, &command, 2, (off_t)(config + PCI_COMMAND)) == 2, "enable bus mastering");
	reg_write(DMA_REG_CTRL, DMA_ENABLE);
	reg_write64(DMA_REG_CHANNEL0 + DMA_CH_RING_BASE, IOVA_RING);
	reg_write(DMA_REG_CHANNEL0 + DMA_CH_RING_LG2, 6);
	reg_write(DMA_REG_CHANNEL0 + DMA_CH_CTRL, DMA_ENABLE);
}

/* Has the device copy a page and waits for its interrupt. @src_pasid 0: none. */
static uint32_t dma_copy(uint64_t src, uint32_t src_pasid, uint64_t dst)
{
	struct pollfd wait = { .fd = done_event, .events = POLLIN };
	uint64_t count;

	memset((void *)done, 0, sizeof(*done));
	ring[submitted % 64] = (struct dma_desc){
		.opcode = DMA_OP_COPY, .flags = DMA_FLAG_IRQ | (src_pasid ? DMA_FLAG_SRC_PASID : 0), .length = PAGE,
		.src = src, .src_pasid = src_pasid, .dst = dst, .completion = IOVA_DONE,
	};
	reg_write64(DMA_REG_CHANNEL0 + DMA_CH_TAIL, ++submitted);
	check(poll(&wait, 1, 10000) == 1 && read(done_event, &count, 8) == 8, "the device's interrupt");
	reg_write(DMA_REG_IRQ_STATUS, 1);
	return done->status;
}

/* The fault record the device holds, read and cleared. */
static const char *fault_text(void)
{
	static const char *const reasons[] = { "none",	   "blocked", "no such pasid", "not mapped", "address too large",
					       "no right", "malformed", "abort" };
	static char text[120];
	uint32_t info = reg_read(DMA_REG_FAULT_INFO);

	check(reg_read(DMA_REG_FAULT_STATUS) & 1, "a fault record");
	snprintf(text, sizeof(text), "%s of iova %#" PRIx64 " refused: %s", info & 0x100 ? "write" : "read",
		 reg_read64(DMA_REG_FAULT_ADDR), (info & 0xff) < 8 ? reasons[info & 0xff] : "?");
	reg_write(DMA_REG_FAULT_STATUS, 3);
	return text;
}

static bool all(const char *page, char want)
{
	for (unsigned i = 0; i < PAGE; i++)
		if (page[i] != want)
			return false;
	return true;
}

int main(void)
{
	char *src = page_of('s'), *dst = page_of(0), *rdonly = page_of('r'), *one = page_of('1'), *two = page_of('2');
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	struct iommu_hw_info info = { .size = sizeof(info) };
	struct iommu_ioas_unmap unmap = { .size = sizeof(unmap), .iova = IOVA_SRC, .length = PAGE };
	uint32_t ioas, hwpt, ioas1, hwpt1, ioas2, hwpt2, status;

	setvbuf(stdout, NULL, _IOLBF, 0);
	ring = page_of(0);
	done = page_of(0);

	iommu = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	check(iommu >= 0, "open /dev/iommu");
	device = open("/dev/vfio/devices/vfio0", O_RDWR | O_CLOEXEC);
	check(device >= 0, "open /dev/vfio/devices/vfio0");
	step("open", "/dev/iommu and /dev/vfio/devices/vfio0");

	bind.iommufd = iommu;
	CALL(device, VFIO_DEVICE_BIND_IOMMUFD, &bind);
	step("bind", "the device is object %u of our iommufd", bind.out_devid);

	info.dev_id = bind.out_devid;
	CALL(iommu, IOMMU_GET_HW_INFO, &info);
	step("hardware info", "type %u, %u bits of PASID, dirty tracking %s", info.out_data_type, info.out_max_pasid_log2,
	     info.out_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING ? "yes" : "no");

	ioas = new_ioas();
	hwpt = new_hwpt(bind.out_devid, ioas);
	map(ioas, ring, IOVA_RING, true);
	map(ioas, (void *)done, IOVA_DONE, true);
	map(ioas, src, IOVA_SRC, true);
	map(ioas, dst, IOVA_DST, true);
	map(ioas, rdonly, IOVA_RDONLY, false);
	attach(hwpt, 0);
	step("map and attach", "IOAS %u, page table %u, 5 pages", ioas, hwpt);

	bar0 = region(VFIO_PCI_BAR0_REGION_INDEX);
	config = region(VFIO_PCI_CONFIG_REGION_INDEX);
	check(reg_read(DMA_REG_ID) == DMA_ID, "the device is a dma device");
	start_device();
	status = dma_copy(IOVA_SRC, 0, IOVA_DST);
	check(status == DMA_STATUS_DONE && all(dst, 's'), "the copied bytes");
	step("copy", "iova %#x -> %#x by the device, %u bytes checked, interrupt seen", IOVA_SRC, IOVA_DST, PAGE);

	ioas1 = new_ioas();
	ioas2 = new_ioas();
	hwpt1 = new_hwpt(bind.out_devid, ioas1);
	hwpt2 = new_hwpt(bind.out_devid, ioas2);
	map(ioas1, one, IOVA_PRIVATE, true);
	map(ioas2, two, IOVA_PRIVATE, true);
	attach(hwpt1, 1);
	attach(hwpt2, 2);
	status = dma_copy(IOVA_PRIVATE, 1, IOVA_DST);
	check(status == DMA_STATUS_DONE && all(dst, '1'), "the memory of PASID 1");
	step("PASID 1", "iova %#x leads to a page of '%c'", IOVA_PRIVATE, dst[0]);
	status = dma_copy(IOVA_PRIVATE, 2, IOVA_DST);
	check(status == DMA_STATUS_DONE && all(dst, '2'), "the memory of PASID 2");
	step("PASID 2", "iova %#x leads to a page of '%c'", IOVA_PRIVATE, dst[0]);

	check(dma_copy(IOVA_NOWHERE, 0, IOVA_DST) == DMA_STATUS_FAULT, "a DMA outside every mapping is refused");
	step("outside", "%s", fault_text());
	check(dma_copy(IOVA_SRC, 0, IOVA_RDONLY) == DMA_STATUS_FAULT && all(rdonly, 'r'), "a write to a read-only page is refused");
	step("read-only", "%s, page untouched", fault_text());

	unmap.ioas_id = ioas;
	CALL(iommu, IOMMU_IOAS_UNMAP, &unmap);
	check(dma_copy(IOVA_SRC, 0, IOVA_DST) == DMA_STATUS_FAULT, "an unmapped iova is dead");
	step("unmap", "%s", fault_text());

	detach(1);
	detach(2);
	detach(0);
	destroy(hwpt1);
	destroy(hwpt2);
	destroy(hwpt);
	destroy(ioas1);
	destroy(ioas2);
	destroy(ioas);
	check(!close(device) && !close(iommu), "close");
	step("tear down", "detached, destroyed, closed");
	return 0;
}
