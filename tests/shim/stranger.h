/* SPDX-License-Identifier: MIT */
/*
 * For test programs that know nothing of uiommu: libc, and what they state themselves of the kernel's API (numbers and layouts
 * as the kernel's headers have them). A program exits 0 when all checks held.
 */
#ifndef STRANGER_H
#define STRANGER_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define CHECK(cond) ((cond) ? (void)0 : stranger_fail(__FILE__, __LINE__, #cond))

static inline _Noreturn void stranger_fail(const char *file, int line, const char *cond)
{
	dprintf(2, "%s:%d: %s (errno %d: %s)\n", file, line, cond, errno, strerror(errno));
	_exit(1);
}

enum {
	IOMMU_DESTROY = 0x3b80,
	IOMMU_IOAS_ALLOC = 0x3b81,
	IOMMU_IOAS_MAP = 0x3b85,
	IOMMU_IOAS_MAP_FILE = 0x3b8f,
	IOMMU_IOAS_UNMAP = 0x3b86,
	VFIO_GET_INFO = 0x3b6b,
	VFIO_GET_REGION_INFO = 0x3b6c,
	VFIO_RESET = 0x3b6f,
	VFIO_BIND = 0x3b76,
	VFIO_ATTACH = 0x3b77,
	MAP_FIXED_IOVA = 1,
	MAP_WRITEABLE = 2,
	MAP_READABLE = 4,
};

struct ioas_alloc {
	uint32_t size, flags, out_id;
};

struct ioas_map {
	uint32_t size, flags, ioas, reserved;
	uint64_t va, length, iova;
};

struct ioas_unmap {
	uint32_t size, ioas;
	uint64_t iova, length;
};

struct vfio_bind {
	uint32_t argsz, flags;
	int32_t iommufd;
	uint32_t out_devid;
};

struct vfio_attach {
	uint32_t argsz, flags, pt_id;
};

struct vfio_region {
	uint32_t argsz, flags, index, cap_offset;
	uint64_t size, offset;
};

/* A new IOAS's id, or a negative errno. */
static inline int ioas_alloc(int fd)
{
	struct ioas_alloc cmd = { .size = sizeof(cmd) };

	return ioctl(fd, IOMMU_IOAS_ALLOC, &cmd) ? -errno : (int)cmd.out_id;
}

static inline int ioas_map(int fd, uint32_t ioas, const void *va, uint64_t length, uint64_t iova)
{
	struct ioas_map cmd = { .size = sizeof(cmd), .flags = MAP_FIXED_IOVA | MAP_WRITEABLE | MAP_READABLE, .ioas = ioas,
				.va = (uintptr_t)va, .length = length, .iova = iova };

	return ioctl(fd, IOMMU_IOAS_MAP, &cmd) ? -errno : 0;
}

static inline int ioas_unmap(int fd, uint32_t ioas, uint64_t iova, uint64_t length)
{
	struct ioas_unmap cmd = { .size = sizeof(cmd), .ioas = ioas, .iova = iova, .length = length };

	return ioctl(fd, IOMMU_IOAS_UNMAP, &cmd) ? -errno : 0;
}

#endif
