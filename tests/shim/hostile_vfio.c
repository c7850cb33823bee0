/* SPDX-License-Identifier: MIT */
/*
 * Every call of a VFIO device with every field wrong in turn: before BIND, at BIND, after it. (Step 1, "Bad input";
 * iommufd-semantics.md section 10, devices-and-transports.md section 1.)
 */
#include "hostile.h"

#include <stddef.h>

#define NO_SUCH_VA 0x10000

enum { BAR_SHIFT = 40 };

static struct bench b;

/* --- before BIND --- */

static void unbound(void)
{
	static const unsigned long requests[] = {
		VFIO_DEVICE_GET_INFO, VFIO_DEVICE_GET_REGION_INFO, VFIO_DEVICE_GET_IRQ_INFO, VFIO_DEVICE_SET_IRQS, VFIO_DEVICE_RESET,
		VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, VFIO_DEVICE_PCI_HOT_RESET, VFIO_DEVICE_FEATURE, VFIO_DEVICE_IOEVENTFD,
		VFIO_DEVICE_ATTACH_IOMMUFD_PT, VFIO_DEVICE_DETACH_IOMMUFD_PT, 0x3bff,
	};
	uint32_t buf[32] = { sizeof(buf) };
	int device = open("/dev/vfio/devices/vfio0", O_RDWR);

	MUST(device >= 0);
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		EXPECT(call(device, requests[i], buf), -EINVAL);
		EXPECT(call(device, requests[i], NULL), -EINVAL);
	}
	EXPECT(sys(pread(device, buf, 4, 0)), -EINVAL);
	EXPECT(sys(pwrite(device, buf, 4, (off_t)VFIO_PCI_CONFIG_REGION_INDEX << BAR_SHIFT)), -EINVAL);
	EXPECT(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, device, (off_t)2 << BAR_SHIFT) == MAP_FAILED ? -errno : 0, -EINVAL);
	MUST(!close(device));
}

/* --- BIND --- */

static void bind_args(void)
{
	struct {
		struct vfio_device_bind_iommufd cmd;
		uint64_t tail;
	} long_bind;
	int iommu = open("/dev/iommu", O_RDWR), device = open("/dev/vfio/devices/vfio0", O_RDWR), null = open("/dev/null", O_RDWR), gone = dup(null);
	struct vfio_device_bind_iommufd cmd, good = { .argsz = sizeof(good), .iommufd = iommu };
	const struct { int fd, want; } fds[] = {
		{ -1, -EINVAL }, { -2, -EINVAL }, { INT32_MIN, -EINVAL }, { gone, -EBADF }, { INT32_MAX, -EBADF }, { null, -EBADFD },
		{ device, -EBADFD },
	};
	char *end = cliff(PROT_READ | PROT_WRITE);

	MUST(iommu >= 0 && device >= 0 && null >= 0 && !close(gone));
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		cmd = good;
		cmd.iommufd = fds[i].fd;
		EXPECT(call(device, VFIO_DEVICE_BIND_IOMMUFD, &cmd), fds[i].want);
	}
	for (uint32_t argsz = 0; argsz < 16; argsz += 5) {
		cmd = good;
		cmd.argsz = argsz;
		EXPECT(call(device, VFIO_DEVICE_BIND_IOMMUFD, &cmd), -EINVAL);
	}
	for (unsigned bit = 0; bit < 32; bit++) {
		cmd = good;
		cmd.flags = 1u << bit;
		/* Bit 0 announces a token: its address is 0, and the device has none. */
		EXPECT(call(device, VFIO_DEVICE_BIND_IOMMUFD, &cmd), bit ? -EINVAL : -EFAULT);
	}
	long_bind.cmd = good;
	long_bind.cmd.argsz = sizeof(long_bind);
	long_bind.tail = 1ull << 63;
	EXPECT(call(device, VFIO_DEVICE_BIND_IOMMUFD, &long_bind), -E2BIG);
	EXPECT(call(device, VFIO_DEVICE_BIND_IOMMUFD, NULL), -EFAULT);
	EXPECT(call(device, VFIO_DEVICE_BIND_IOMMUFD, ptr(NO_SUCH_VA)), -EFAULT);
	EXPECT(call(device, VFIO_DEVICE_BIND_IOMMUFD, ptr(UINT64_MAX - 3)), -EFAULT);
	memcpy(end - 12, &good, 12);
	EXPECT(call(device, VFIO_DEVICE_BIND_IOMMUFD, end - 12), -EFAULT);
	memcpy(end - sizeof(good), &good, sizeof(good));
	memcpy(end - sizeof(good), &(uint32_t){ UINT32_MAX }, 4);
	EXPECT(call(device, VFIO_DEVICE_BIND_IOMMUFD, end - sizeof(good)), -EFAULT);
	/* Bound, but the id cannot be told: not bound. */
	memcpy(end - sizeof(good), &good, sizeof(good));
	MUST(!mprotect(end - PAGE, PAGE, PROT_READ));
	EXPECT(call(device, VFIO_DEVICE_BIND_IOMMUFD, end - sizeof(good)), -EFAULT);
	EXPECT(call(device, VFIO_DEVICE_RESET, NULL), -EINVAL);
	/* The iommufd is no device either. */
	EXPECT(call(iommu, VFIO_DEVICE_BIND_IOMMUFD, &good), -ENOTTY);

	long_bind.tail = 0;
	EXPECT(call(device, VFIO_DEVICE_BIND_IOMMUFD, &long_bind), 0);
	EXPECT(call(device, VFIO_DEVICE_BIND_IOMMUFD, &good), -EINVAL);
	/* Another open of the same device cannot be bound meanwhile, nor after a failure stay half bound. */
	gone = open("/dev/vfio/devices/vfio0", O_RDWR);
	EXPECT(bind(gone, iommu, NULL), -EINVAL);
	EXPECT(call(gone, VFIO_DEVICE_RESET, NULL), -EINVAL);
	EXPECT(call(device, VFIO_DEVICE_RESET, NULL), 0);
	MUST(!close(device));
	EXPECT(bind(gone, iommu, NULL), 0);
	MUST(!close(gone) && !close(iommu) && !close(null));
}

/* --- ATTACH, DETACH --- */

static void attach_args(void)
{
	struct vfio_device_attach_iommufd_pt cmd, good = { .argsz = sizeof(good), .pt_id = b.ioas };
	struct vfio_device_detach_iommufd_pt off = { .argsz = sizeof(off) };
	struct iommu_hwpt_alloc alloc = { .size = sizeof(alloc), .flags = IOMMU_HWPT_ALLOC_PASID, .dev_id = b.dev_id, .pt_id = b.ioas };
	char *end = cliff(PROT_READ | PROT_WRITE);
	uint32_t next;

	EXPECT(detach(b.device), 0);
	EXPECT(detach(b.device), 0);
	next = new_ioas(b.iommu);
	MUST(!destroy(b.iommu, next));
#define WRONG(field, value, want)                                                   \
	do {                                                                        \
		cmd = good;                                                         \
		cmd.field = (value);                                                \
		EXPECT(call(b.device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd), want);  \
		EXPECT(new_ioas(b.iommu), next);                                    \
		MUST(!destroy(b.iommu, next));                                      \
	} while (0)
	WRONG(argsz, 0, -EINVAL);
	WRONG(argsz, 11, -EINVAL);
	WRONG(flags, 2, -EINVAL);
	WRONG(flags, 0x80000000, -EINVAL);
	WRONG(pt_id, 0, -ENOENT);
	WRONG(pt_id, next, -ENOENT);
	WRONG(pt_id, UINT32_MAX, -ENOENT);
	WRONG(pt_id, b.dev_id, -EINVAL);
	good.flags = VFIO_DEVICE_ATTACH_PASID;
	good.pasid = 5;
	WRONG(argsz, 15, -EINVAL);
	WRONG(pt_id, b.ioas, -EINVAL); /* what an IOAS makes by itself is not for PASIDs */
	MUST(!ioctl(b.iommu, IOMMU_HWPT_ALLOC, &alloc));
	next = new_ioas(b.iommu);
	MUST(!destroy(b.iommu, next));
	good.pt_id = alloc.out_hwpt_id;
	WRONG(pasid, 1u << 16, -EINVAL);
	WRONG(pasid, UINT32_MAX, -EINVAL);
	good.flags = 0;
	EXPECT(call(b.device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, NULL), -EFAULT);
	memcpy(end - 8, &good, 8);
	EXPECT(call(b.device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, end - 8), -EFAULT);
	good.flags = VFIO_DEVICE_ATTACH_PASID;
	memcpy(end - 12, &good, 12);
	EXPECT(call(b.device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, end - 12), -EFAULT);
	/* Attached, but the id cannot be told: detached again. */
	good.flags = 0;
	memcpy(end - 16, &good, 16);
	MUST(!mprotect(end - PAGE, PAGE, PROT_READ));
	EXPECT(call(b.device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, end - 16), -EFAULT);
	EXPECT(destroy(b.iommu, alloc.out_hwpt_id), 0);

	off.argsz = 7;
	EXPECT(call(b.device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &off), -EINVAL);
	off.argsz = 11;
	off.flags = VFIO_DEVICE_DETACH_PASID;
	EXPECT(call(b.device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &off), -EINVAL);
	off.argsz = 12;
	off.pasid = UINT32_MAX;
	EXPECT(call(b.device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &off), 0);
	off.flags = 2;
	EXPECT(call(b.device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &off), -EINVAL);
	EXPECT(call(b.device, VFIO_DEVICE_DETACH_IOMMUFD_PT, NULL), -EFAULT);
	EXPECT(attach(b.device, b.ioas), 0);
}

/* --- what it tells --- */

static void infos(void)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_region_info region = { .argsz = sizeof(region) };
	struct vfio_irq_info irq = { .argsz = sizeof(irq) };
	uint32_t reset[4] = { 16 }, feature[4] = { 16 };
	const struct { unsigned long request; void *good; uint32_t size, min; } calls[] = {
		{ VFIO_DEVICE_GET_INFO, &info, sizeof(info), 16 },
		{ VFIO_DEVICE_GET_REGION_INFO, &region, sizeof(region), 32 },
		{ VFIO_DEVICE_GET_IRQ_INFO, &irq, sizeof(irq), 16 },
	};
	char *end = cliff(PROT_READ | PROT_WRITE);

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		char buf[64];

		EXPECT(call(b.device, calls[i].request, NULL), -EFAULT);
		EXPECT(call(b.device, calls[i].request, end - 4), -EFAULT);
		EXPECT(call(b.device, calls[i].request, ptr(UINT64_MAX - 7)), -EFAULT);
		for (uint32_t argsz = 0; argsz < calls[i].min; argsz += 3) {
			memcpy(buf, calls[i].good, calls[i].size);
			memcpy(buf, &argsz, 4);
			EXPECT(call(b.device, calls[i].request, buf), -EINVAL);
		}
		/* It says that it has room for 4 GiB: what is written is what there is to say. */
		memcpy(end - calls[i].size, calls[i].good, calls[i].size);
		memcpy(end - calls[i].size, &(uint32_t){ UINT32_MAX }, 4);
		EXPECT(call(b.device, calls[i].request, end - calls[i].size), 0);
	}
	MUST(!mprotect(end - PAGE, PAGE, PROT_READ));
	EXPECT(call(b.device, VFIO_DEVICE_GET_REGION_INFO, end - 32), -EFAULT);
	for (unsigned bit = 4; bit < 32; bit++) {
		region.index = 1u << bit;
		EXPECT(call(b.device, VFIO_DEVICE_GET_REGION_INFO, &region), -EINVAL);
		irq.index = 1u << bit;
		EXPECT(call(b.device, VFIO_DEVICE_GET_IRQ_INFO, &irq), -EINVAL);
	}
	region.index = VFIO_PCI_VGA_REGION_INDEX;
	EXPECT(call(b.device, VFIO_DEVICE_GET_REGION_INFO, &region), -EINVAL);
	irq.index = VFIO_PCI_NUM_IRQS;
	EXPECT(call(b.device, VFIO_DEVICE_GET_IRQ_INFO, &irq), -EINVAL);

	EXPECT(call(b.device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, reset), -ENODEV);
	reset[0] = 11;
	EXPECT(call(b.device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, reset), -EINVAL);
	EXPECT(call(b.device, VFIO_DEVICE_PCI_HOT_RESET, reset), -EINVAL);
	reset[0] = 16;
	reset[2] = UINT32_MAX;
	EXPECT(call(b.device, VFIO_DEVICE_PCI_HOT_RESET, reset), -EINVAL);
	EXPECT(call(b.device, VFIO_DEVICE_PCI_HOT_RESET, NULL), -EFAULT);
	for (unsigned bit = 19; bit < 32; bit++) {
		feature[1] = 1u << bit;
		EXPECT(call(b.device, VFIO_DEVICE_FEATURE, feature), -EINVAL);
	}
	feature[1] = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET;
	EXPECT(call(b.device, VFIO_DEVICE_FEATURE, feature), -EINVAL);
	feature[1] = VFIO_DEVICE_FEATURE_GET | 0xffff;
	EXPECT(call(b.device, VFIO_DEVICE_FEATURE, feature), -ENOTTY);
	feature[0] = 7;
	EXPECT(call(b.device, VFIO_DEVICE_FEATURE, feature), -EINVAL);
	EXPECT(call(b.device, VFIO_DEVICE_FEATURE, NULL), -EFAULT);
	for (unsigned long nr = 0; nr < 256; nr++) {
		if (nr < 107 || nr == 114 || nr == 115 || nr > 120)
			EXPECT(call(b.device, 0x3b00 | nr, feature), -ENOTTY);
	}
}

/* --- interrupts --- */

static long irqs(uint32_t argsz, uint32_t flags, uint32_t index, uint32_t start, uint32_t count, const int32_t *fds, size_t n)
{
	struct {
		struct vfio_irq_set set;
		int32_t fds[16];
	} cmd = { .set = { argsz, flags, index, start, count } };

	memcpy(cmd.fds, fds, n * 4);
	return call(b.device, VFIO_DEVICE_SET_IRQS, &cmd);
}

enum {
	NONE = VFIO_IRQ_SET_DATA_NONE, BOOL = VFIO_IRQ_SET_DATA_BOOL, FD = VFIO_IRQ_SET_DATA_EVENTFD, MASK = VFIO_IRQ_SET_ACTION_MASK,
	UNMASK = VFIO_IRQ_SET_ACTION_UNMASK, TRIGGER = VFIO_IRQ_SET_ACTION_TRIGGER,
	INTX = VFIO_PCI_INTX_IRQ_INDEX, MSI = VFIO_PCI_MSI_IRQ_INDEX, MSIX = VFIO_PCI_MSIX_IRQ_INDEX, ERR = VFIO_PCI_ERR_IRQ_INDEX, REQ = VFIO_PCI_REQ_IRQ_INDEX,
};

static void irq_headers(void)
{
	static const int32_t none[16] = { -1 };
	char *end = cliff(PROT_READ | PROT_WRITE);
	struct vfio_irq_set set = { .argsz = 24, .flags = FD | TRIGGER, .index = MSIX, .count = 1 };

	EXPECT(call(b.device, VFIO_DEVICE_SET_IRQS, NULL), -EFAULT);
	EXPECT(call(b.device, VFIO_DEVICE_SET_IRQS, end - 16), -EFAULT);
	memcpy(end - 20, &set, 20);
	EXPECT(call(b.device, VFIO_DEVICE_SET_IRQS, end - 20), -EFAULT); /* the data */
	memcpy(end - 22, &set, 20);
	EXPECT(call(b.device, VFIO_DEVICE_SET_IRQS, end - 22), -EFAULT);
	for (uint32_t argsz = 0; argsz < 24; argsz++)
		EXPECT(irqs(argsz, FD | TRIGGER, MSIX, 0, 1, none, 1), -EINVAL);
	EXPECT(irqs(24, FD | TRIGGER, 5, 0, 1, none, 1), -EINVAL);
	EXPECT(irqs(24, FD | TRIGGER, UINT32_MAX, 0, 1, none, 1), -EINVAL);
	EXPECT(irqs(24, FD | TRIGGER, MSIX, 0, UINT32_MAX, none, 1), -EINVAL);
	EXPECT(irqs(UINT32_MAX, FD | TRIGGER, MSIX, 1, UINT32_MAX - 1, none, 1), -EINVAL);
	EXPECT(irqs(24, FD | TRIGGER, MSIX, UINT32_MAX, 1, none, 1), -EINVAL);
	EXPECT(irqs(24, FD | TRIGGER, MSIX, 9, 0, none, 1), -EINVAL);
	EXPECT(irqs(UINT32_MAX, FD | TRIGGER, MSIX, 0, 10, none, 10), -EINVAL);
	EXPECT(irqs(UINT32_MAX, FD | TRIGGER, MSIX, 8, 2, none, 2), -EINVAL);
	EXPECT(irqs(UINT32_MAX, FD | TRIGGER, MSIX, 0, 0x40000001, none, 1), -EINVAL);
	for (unsigned bit = 6; bit < 32; bit++)
		EXPECT(irqs(24, FD | TRIGGER | 1u << bit, MSIX, 0, 1, none, 1), -EINVAL);
	EXPECT(irqs(24, TRIGGER, MSIX, 0, 1, none, 1), -EINVAL);
	EXPECT(irqs(24, NONE | FD | TRIGGER, MSIX, 0, 1, none, 1), -EINVAL);
	EXPECT(irqs(24, NONE | BOOL | FD | TRIGGER, MSIX, 0, 1, none, 1), -EINVAL);
	EXPECT(irqs(24, FD, MSIX, 0, 1, none, 1), -ENOTTY);
	EXPECT(irqs(24, FD | TRIGGER | MASK, MSIX, 0, 1, none, 1), -ENOTTY);
	EXPECT(irqs(24, NONE | MASK, MSIX, 0, 1, none, 1), -ENOTTY);
	EXPECT(irqs(24, NONE | UNMASK, MSI, 0, 1, none, 1), -ENOTTY);
	EXPECT(irqs(24, NONE | MASK, ERR, 0, 1, none, 1), -ENOTTY);
	EXPECT(irqs(20, NONE | TRIGGER, MSIX, 0, 0, none, 0), -EINVAL); /* not enabled */
	EXPECT(irqs(20, FD | TRIGGER, MSIX, 0, 0, none, 0), -ERANGE); /* as the kernel, asked for no vectors */
	EXPECT(irqs(20, NONE | TRIGGER, MSIX, 0, 1, none, 0), -EINVAL);
	EXPECT(irqs(24, NONE | MASK, INTX, 0, 1, none, 1), -EINVAL);
	EXPECT(irqs(24, NONE | UNMASK, INTX, 0, 1, none, 1), -EINVAL);
	EXPECT(irqs(24, NONE | TRIGGER, INTX, 0, 1, none, 1), -EINVAL);
	EXPECT(irqs(24, NONE | TRIGGER, REQ, 0, 1, none, 1), -EINVAL);
	EXPECT(irqs(24, NONE | TRIGGER, REQ, 0, 0, none, 1), -EINVAL);
}

/* How many descriptors are open: what a call keeps of ours shows here. */
static unsigned n_fds(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 2048; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void irq_descriptors(void)
{
	int good = eventfd(0, EFD_CLOEXEC), pipes[2], null = open("/dev/null", O_RDWR), gone = dup(null);
	unsigned before;
	const struct { int fd, want; } bad[] = {
		{ gone, -EBADF }, { INT32_MAX, -EBADF }, { null, -EINVAL }, { b.iommu, -EINVAL }, { b.device, -EINVAL }, { 0, -EINVAL }, { 0, -EINVAL },
	};

	MUST(good >= 0 && null >= 0 && !pipe(pipes) && !close(gone));
	before = n_fds();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int fd = i == 5 ? pipes[0] : i == 6 ? pipes[1] : bad[i].fd;
		const int32_t fds[3] = { good, fd, good };

		EXPECT(irqs(32, FD | TRIGGER, MSIX, 0, 3, fds, 3), bad[i].want);
		EXPECT(irqs(20, NONE | TRIGGER, MSIX, 0, 0, fds, 0), -EINVAL); /* it was not enabled after all */
		EXPECT(irqs(32, FD | TRIGGER, MSI, 0, 3, fds, 3), bad[i].want);
		EXPECT(irqs(24, FD | TRIGGER, INTX, 0, 1, &fds[1], 1), bad[i].want);
		EXPECT(irqs(20, NONE | TRIGGER, INTX, 0, 0, fds, 0), -EINVAL);
		EXPECT(irqs(24, FD | TRIGGER, REQ, 0, 1, &fds[1], 1), bad[i].want);
		EXPECT(n_fds(), before);
	}
	EXPECT(irqs(24, FD | TRIGGER, REQ, 0, 1, &(int32_t){ -2 }, 1), -EINVAL);

	/* Enabled: a bad one leaves its whole block empty and the others as they were. */
	EXPECT(irqs(32, FD | TRIGGER, MSIX, 0, 3, (int32_t[]){ good, good, good }, 3), 0);
	EXPECT(n_fds(), before + 3);
	EXPECT(irqs(24, FD | TRIGGER, MSI, 0, 1, &good, 1), -EINVAL);
	EXPECT(irqs(24, FD | TRIGGER, INTX, 0, 1, &good, 1), -EINVAL);
	EXPECT(irqs(20, NONE | TRIGGER, INTX, 0, 0, &good, 0), -EINVAL);
	EXPECT(irqs(28, FD | TRIGGER, MSIX, 1, 2, (int32_t[]){ good, null }, 2), -EINVAL);
	EXPECT(n_fds(), before + 1);
	EXPECT(irqs(20, NONE | TRIGGER, MSIX, 0, 3, &good, 0), 0);
	EXPECT(read(good, &(uint64_t){ 0 }, 8), 8);
	EXPECT(irqs(20, NONE | TRIGGER, MSIX, 0, 0, &good, 0), 0);
	EXPECT(n_fds(), before);

	/* A full counter does not hold up the program. */
	EXPECT(irqs(24, FD | TRIGGER, MSIX, 0, 1, &good, 1), 0);
	MUST(write(good, &(uint64_t){ UINT64_MAX - 1 }, 8) == 8);
	EXPECT(irqs(20, NONE | TRIGGER, MSIX, 0, 1, &good, 0), 0);
	EXPECT(irqs(20, NONE | TRIGGER, MSIX, 0, 0, &good, 0), 0);

	/* INTx: two unmask descriptors at once, and one that is no eventfd. */
	EXPECT(irqs(24, FD | TRIGGER, INTX, 0, 1, &good, 1), 0);
	EXPECT(irqs(24, FD | UNMASK, INTX, 0, 1, &null, 1), -EINVAL);
	EXPECT(irqs(24, FD | MASK, INTX, 0, 1, &good, 1), -ENOTTY);
	EXPECT(irqs(24, FD | UNMASK, INTX, 0, 1, &good, 1), 0);
	EXPECT(irqs(24, FD | TRIGGER, INTX, 0, 1, &(int32_t){ -1 }, 1), 0);
	EXPECT(irqs(20, NONE | TRIGGER, INTX, 0, 0, &good, 0), 0);
	MUST(!close(good) && !close(null) && !close(pipes[0]) && !close(pipes[1]));
}

/* --- regions --- */

static void regions(void)
{
	const off_t bar0 = 0, bar2 = (off_t)2 << BAR_SHIFT, config = (off_t)VFIO_PCI_CONFIG_REGION_INDEX << BAR_SHIFT;
	static char big[1 << 16];
	volatile size_t huge = SIZE_MAX; /* or the compiler warns */
	void *volatile nothing = NULL;
	char *end = cliff(PROT_READ | PROT_WRITE), *ro = pages(1, PROT_READ);
	uint32_t id;

	EXPECT(sys(pread(b.device, big, 4, -1)), -EINVAL);
	EXPECT(sys(pread(b.device, big, 4, INT64_MIN)), -EINVAL);
	EXPECT(sys(pread(b.device, big, 4, INT64_MAX)), -EINVAL);
	EXPECT(sys(pread(b.device, big, 4, INT64_MAX - 3)), -EINVAL);
	EXPECT(sys(pread(b.device, big, 4, bar0 + 0x4000)), -EINVAL);
	EXPECT(sys(pread(b.device, big, 4, (off_t)1 << BAR_SHIFT)), -EINVAL);
	EXPECT(sys(pread(b.device, big, 4, (off_t)VFIO_PCI_ROM_REGION_INDEX << BAR_SHIFT)), -EINVAL);
	EXPECT(sys(pread(b.device, big, 4, (off_t)VFIO_PCI_VGA_REGION_INDEX << BAR_SHIFT)), -EINVAL);
	EXPECT(sys(pread(b.device, big, 4, (off_t)64 << BAR_SHIFT)), -EINVAL); /* where the descriptor keeps something of ours */
	EXPECT(sys(pwrite(b.device, big, 4, (off_t)64 << BAR_SHIFT)), -EINVAL);
	EXPECT(sys(pread(b.device, big, sizeof(big), bar0 + 0x3ffc)), 4);
	EXPECT(sys(pread(b.device, big, sizeof(big), bar0)), 0x4000);
	EXPECT(sys(pread(b.device, big, huge, bar0 + 0x3ff0)), -EINVAL);
	EXPECT(sys(pread(b.device, big, huge / 4, bar0 + 0x3ff0)), 16);
	EXPECT(sys(pread(b.device, big, 0, bar0 + 0x4000)), 0);
	EXPECT(sys(pread(b.device, big, sizeof(big), config)), -EFAULT);
	EXPECT(sys(pread(b.device, big, 4097, config)), -EFAULT);
	EXPECT(sys(pread(b.device, big, 2, config + 4095)), -EFAULT);
	EXPECT(sys(pread(b.device, big, huge / 4, config)), -EFAULT);
	EXPECT(sys(pread(b.device, big, 4096, config)), 4096);
	/* Memory that is not there, on either side of a page. */
	EXPECT(sys(pread(b.device, nothing, 4, bar0)), -EFAULT);
	EXPECT(sys(pread(b.device, ro, 4, bar0)), -EFAULT);
	EXPECT(sys(pread(b.device, end - 2, 4, bar0)), -EFAULT);
	EXPECT(sys(pread(b.device, end - 2, 4, config)), -EFAULT);
	EXPECT(sys(pread(b.device, ptr(UINT64_MAX - 1), 4, config)), -EFAULT);
	EXPECT(sys(pwrite(b.device, end - 2, 4, bar0 + DMA_REG_CTRL)), -EFAULT);
	EXPECT(sys(pwrite(b.device, nothing, 4, config)), -EFAULT);
	EXPECT(sys(pwrite(b.device, end, 16, (off_t)4 << BAR_SHIFT)), 16); /* the MSI-X table: dropped unread */
	EXPECT(sys(pread(b.device, end - 8, 16, (off_t)4 << BAR_SHIFT)), -EFAULT);
	EXPECT(sys(pwrite(b.device, end - 8, 16, bar2)), -EFAULT);
	/* Every register and the whole configuration space overwritten with everything: it answers as before after a reset. */
	for (unsigned fill = 0; fill < 256; fill += 85) {
		memset(big, (int)fill, sizeof(big));
		EXPECT(sys(pwrite(b.device, big, 4096, config)), 4096);
		for (off_t at = 0; at < 4096; at += 3)
			EXPECT(sys(pwrite(b.device, big, 3, config + at)), at > 4093 ? -EFAULT : 3);
		/* It may sleep now: only a reset is sure to wake it. */
		EXPECT(call(b.device, VFIO_DEVICE_RESET, ptr(NO_SUCH_VA)), 0);
		MUST(pwrite(b.device, &(uint16_t){ PCI_COMMAND_MEMORY }, 2, config + PCI_COMMAND) == 2);
		EXPECT(sys(pwrite(b.device, big, sizeof(big), bar0)), 0x4000);
		EXPECT(sys(pwrite(b.device, big, sizeof(big), bar2)), 0x8000);
	}
	MUST(pwrite(b.device, &(uint16_t){ 0 }, 2, config + PCI_COMMAND) == 2);
	EXPECT(sys(pread(b.device, &id, 4, bar0)), -EIO);
	EXPECT(call(b.device, VFIO_DEVICE_RESET, ptr(NO_SUCH_VA)), 0);
	MUST(pwrite(b.device, &(uint16_t){ PCI_COMMAND_MEMORY }, 2, config + PCI_COMMAND) == 2);
	EXPECT(reg_read(&b, DMA_REG_ID), DMA_ID);
}

static long try_map(size_t n_bytes, int prot, int flags, off_t offset)
{
	void *at = mmap(NULL, n_bytes, prot, flags, b.device, offset);

	if (at == MAP_FAILED)
		return -errno;
	munmap(at, n_bytes);
	return 0;
}

static void maps(void)
{
	const off_t bar2 = (off_t)2 << BAR_SHIFT;
	char *at;

	EXPECT(try_map(PAGE, PROT_READ, MAP_PRIVATE, bar2), -EINVAL);
	EXPECT(try_map(PAGE, PROT_READ, MAP_SHARED, 0), -EINVAL);
	EXPECT(try_map(PAGE, PROT_READ, MAP_SHARED, (off_t)4 << BAR_SHIFT), -EINVAL);
	EXPECT(try_map(PAGE, PROT_READ, MAP_SHARED, (off_t)3 << BAR_SHIFT), -EINVAL);
	EXPECT(try_map(PAGE, PROT_READ, MAP_SHARED, (off_t)7 << BAR_SHIFT), -EINVAL);
	EXPECT(try_map(PAGE, PROT_READ, MAP_SHARED, (off_t)64 << BAR_SHIFT), -EINVAL);
	EXPECT(try_map(9 * PAGE, PROT_READ, MAP_SHARED, bar2), -EINVAL);
	EXPECT(try_map(PAGE, PROT_READ, MAP_SHARED, bar2 + 8 * PAGE), -EINVAL);
	EXPECT(try_map(PAGE, PROT_READ, MAP_SHARED, bar2 + 1), -EINVAL);
	EXPECT(try_map(0, PROT_READ, MAP_SHARED, bar2), -EINVAL);
	EXPECT(try_map(8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, bar2), 0);
	/* A BAR is not memory that can be pinned: not its mapping, not what was memory before it. */
	at = pages(3, PROT_READ | PROT_WRITE);
	MUST(mmap(at + PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, b.device, bar2) == at + PAGE);
	EXPECT(map(b.iommu, b.ioas, at + PAGE, PAGE, 0x700000), -EFAULT);
	EXPECT(map(b.iommu, b.ioas, at, 3 * PAGE, 0x700000), -EFAULT);
	EXPECT(map(b.iommu, b.ioas, at, PAGE, 0x700000), 0);
	EXPECT(unmap_all(b.iommu, b.ioas), PAGE);
	MUST(!munmap(at, 3 * PAGE));
}

int main(void)
{
	unbound();
	bind_args();
	bench_open(&b);
	attach_args();
	infos();
	irq_headers();
	irq_descriptors();
	regions();
	maps();
	bench_close(&b);
	still_works();
	return hostile_end();
}
