/* SPDX-License-Identifier: MIT */
/*
 * For programs that use the mock (uiommu run --iommu mock): the kernel's headers, and what is stated here of the test
 * command that its iommufd has for its own selftests.
 */
#ifndef MOCK_H
#define MOCK_H

#include "hostile.h"

#include <linux/iommufd.h>

#define MOCK_CMD 0x3ba0

enum {
	MOCK_DOMAIN = 2,
	MOCK_CREATE_ACCESS = 5,
	MOCK_ACCESS_RW = 8,
	MOCK_REPLACE = 10,
	MOCK_TRIGGER_IOPF = 15,
	MOCK_TRIGGER_VEVENT = 17,
	MOCK_DMABUF_GET = 22,
};

#define MOCK_HWPT_DATA 0xdeadu
#define MOCK_VIOMMU 0xdeadbeefu
#define MOCK_VEVENTQ 0xbeefbeefu

struct mock_cmd {
	uint32_t size, op, id, reserved;
	union {
		uint32_t w[12];
		uint64_t d[6];
	};
	uint64_t last;
};

/* As the data of a mock vIOMMU. */
struct mock_viommu {
	uint32_t in, out;
	uint64_t offset, length;
};

static inline long mock(int fd, struct mock_cmd *cmd, uint32_t op, uint32_t id)
{
	cmd->size = sizeof(*cmd);
	cmd->op = op;
	cmd->id = id;
	return call(fd, MOCK_CMD, cmd);
}

/* A device on a nested HWPT, over a parent of its own; with a vIOMMU between them, or a fault queue. */
struct nest {
	int fd;
	uint32_t ioas, stdev, dev, parent, nested, viommu, vdevice;
};

static inline uint32_t mock_hwpt(int fd, uint32_t dev, uint32_t pt, uint32_t flags, uint32_t type, uint32_t fault)
{
	uint32_t data[2] = { 0xbadbeef, 0 };
	struct iommu_hwpt_alloc cmd = { .size = sizeof(cmd), .flags = flags, .dev_id = dev, .pt_id = pt, .data_type = type, .fault_id = fault };

	if (type) {
		cmd.data_len = sizeof(data);
		cmd.data_uptr = (uintptr_t)data;
	}
	MUST(!ioctl(fd, IOMMU_HWPT_ALLOC, &cmd));
	return cmd.out_hwpt_id;
}

static inline void nest_open(struct nest *n)
{
	struct mock_cmd cmd = { 0 };

	*n = (struct nest){ .fd = open("/dev/iommu", O_RDWR | O_CLOEXEC) };
	MUST(n->fd >= 0);
	n->ioas = new_ioas(n->fd);
	MUST(!mock(n->fd, &cmd, MOCK_DOMAIN, n->ioas));
	n->stdev = cmd.w[0];
	n->dev = cmd.w[2];
	n->parent = mock_hwpt(n->fd, n->dev, n->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, 0, 0);
}

static inline void nest_attach(struct nest *n, uint32_t pt)
{
	struct mock_cmd cmd = { .w = { pt } };

	MUST(!mock(n->fd, &cmd, MOCK_REPLACE, n->stdev));
}

static inline int fault_queue(int fd, uint32_t *id)
{
	struct iommu_fault_alloc cmd = { .size = sizeof(cmd) };
	long ret = call(fd, IOMMU_FAULT_QUEUE_ALLOC, &cmd);

	*id = cmd.out_fault_id;
	return ret ? (int)ret : (int)cmd.out_fault_fd;
}

/* The device's faults go to the queue: its descriptor and its object. */
static inline int nest_faults(struct nest *n, uint32_t *id)
{
	int queue = fault_queue(n->fd, id);

	MUST(queue >= 0);
	n->nested = mock_hwpt(n->fd, n->dev, n->parent, IOMMU_HWPT_FAULT_ID_VALID, MOCK_HWPT_DATA, *id);
	nest_attach(n, n->nested);
	return queue;
}

static inline void nest_viommu(struct nest *n, struct mock_viommu *data)
{
	struct iommu_viommu_alloc cmd = { .size = sizeof(cmd), .type = MOCK_VIOMMU, .dev_id = n->dev, .hwpt_id = n->parent };

	if (data) {
		cmd.data_len = sizeof(*data);
		cmd.data_uptr = (uintptr_t)data;
	}
	MUST(!ioctl(n->fd, IOMMU_VIOMMU_ALLOC, &cmd));
	n->viommu = cmd.out_viommu_id;
}

/* The device's events go to the queue: its descriptor and its object. */
static inline int nest_events(struct nest *n, uint32_t depth, uint32_t *id)
{
	struct iommu_vdevice_alloc vdevice = { .size = sizeof(vdevice), .virt_id = 0x99 };
	struct iommu_veventq_alloc cmd = { .size = sizeof(cmd), .type = MOCK_VEVENTQ, .veventq_depth = depth };

	nest_viommu(n, NULL);
	vdevice.viommu_id = n->viommu;
	vdevice.dev_id = n->dev;
	MUST(!ioctl(n->fd, IOMMU_VDEVICE_ALLOC, &vdevice));
	n->vdevice = vdevice.out_vdevice_id;
	cmd.viommu_id = n->viommu;
	MUST(!ioctl(n->fd, IOMMU_VEVENTQ_ALLOC, &cmd));
	*id = cmd.out_veventq_id;
	n->nested = mock_hwpt(n->fd, n->dev, n->viommu, 0, MOCK_HWPT_DATA, 0);
	nest_attach(n, n->nested);
	return (int)cmd.out_veventq_fd;
}

static inline void raise_fault(const struct nest *n, uint32_t group)
{
	struct mock_cmd cmd = { .w = { n->dev, 0, group, 1 } };

	cmd.d[2] = 0x1000;
	MUST(!mock(n->fd, &cmd, MOCK_TRIGGER_IOPF, 0));
}

static inline void raise_event(const struct nest *n)
{
	struct mock_cmd cmd = { .w = { n->dev } };

	MUST(!mock(n->fd, &cmd, MOCK_TRIGGER_VEVENT, 0));
}

#endif
