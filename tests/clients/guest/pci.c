/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "guest.h"

#define DEVICES "/sys/bus/pci/devices/"

static bool complain(const char *what)
{
	printf("# %s: %s\n", what, strerror(errno));
	return false;
}

static unsigned long sysfs_number(const char *address, const char *file)
{
	char path[300], text[32] = "";
	int fd;

	snprintf(path, sizeof(path), DEVICES "%s/%s", address, file);
	fd = open(path, O_RDONLY);
	if (fd >= 0 && read(fd, text, sizeof(text) - 1) < 0)
		text[0] = 0;
	close(fd);
	return strtoul(text, NULL, 0);
}

static bool sysfs_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (!done)
		complain(path);
	close(fd);
	return done;
}

static bool find(struct pci *pci, uint16_t vendor, uint16_t device)
{
	DIR *devices = opendir(DEVICES);
	struct dirent *entry;

	while (devices && (entry = readdir(devices)))
		if (sysfs_number(entry->d_name, "vendor") == vendor && sysfs_number(entry->d_name, "device") == device)
			snprintf(pci->address, sizeof(pci->address), "%.15s", entry->d_name);
	if (devices)
		closedir(devices);
	return pci->address[0];
}

bool pci_open_bare(struct pci *pci, const char *address)
{
	char path[300];

	*pci = (struct pci){ .device = -1, .container = -1 };
	snprintf(pci->address, sizeof(pci->address), "%.15s", address);
	snprintf(path, sizeof(path), DEVICES "%s/config", pci->address);
	pci->config = open(path, O_RDWR);
	return pci->config >= 0 || complain(path);
}

static bool open_uio(struct pci *pci)
{
	char path[300];

	snprintf(path, sizeof(path), DEVICES "%s/config", pci->address);
	pci->config = open(path, O_RDWR);
	if (pci->config < 0)
		return complain(path);
	pci->device = open("/dev/uio0", O_RDWR);
	return pci->device >= 0 || complain("/dev/uio0");
}

static bool open_vfio(struct pci *pci, const char *group_link)
{
	struct vfio_region_info config = { .argsz = sizeof(config), .index = VFIO_PCI_CONFIG_REGION_INDEX };
	const char *number = strrchr(group_link, '/');
	char path[300];
	int group;

	snprintf(path, sizeof(path), "/dev/vfio%s", number ? number : "");
	group = open(path, O_RDWR);
	if (group < 0)
		return complain(path);
	pci->container = open("/dev/vfio/vfio", O_RDWR);
	if (pci->container < 0 || ioctl(group, VFIO_GROUP_SET_CONTAINER, &pci->container) < 0 ||
	    ioctl(pci->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) < 0)
		return complain("VFIO container");
	pci->device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, pci->address);
	if (pci->device < 0 || ioctl(pci->device, VFIO_DEVICE_GET_REGION_INFO, &config) < 0)
		return complain("VFIO device");
	pci->config = pci->device;
	pci->config_offset = (long)config.offset;
	return pci_map(pci, pci->arena, IOVA_ARENA, ARENA_PAGES * PAGE, true);
}

bool pci_open(struct pci *pci, uint16_t vendor, uint16_t device)
{
	char path[300], group[300] = "", ids[32];
	const char *driver;

	*pci = (struct pci){ 0 };
	pci->arena = mmap(NULL, ARENA_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	/* Locked and touched: without an IOMMU the device uses the pages where they are now. */
	if (pci->arena == MAP_FAILED || mlock(pci->arena, ARENA_PAGES * PAGE))
		return complain("memory for the device");
	memset(pci->arena, 0, ARENA_PAGES * PAGE);
	if (!find(pci, vendor, device)) {
		printf("# no PCI function %04x:%04x\n", vendor, device);
		return false;
	}
	snprintf(path, sizeof(path), DEVICES "%s/iommu_group", pci->address);
	pci->vfio = readlink(path, group, sizeof(group) - 1) > 0;
	snprintf(ids, sizeof(ids), "%04x %04x", vendor, device);
	driver = pci->vfio ? "vfio-pci" : "uio_pci_generic";
	printf("# %s through %s\n", pci->address, driver);
	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/new_id", driver);
	if (!sysfs_write(path, ids))
		return false;
	return pci->vfio ? open_vfio(pci, group) : open_uio(pci);
}

uint32_t pci_config_read(struct pci *pci, unsigned offset, unsigned bytes)
{
	uint32_t value = 0;

	/* A short read is told from the value: no register that is looked at is all ones. */
	if (pread(pci->config, &value, bytes, pci->config_offset + offset) != (ssize_t)bytes)
		value = UINT32_MAX;
	return value;
}

void pci_config_write(struct pci *pci, unsigned offset, unsigned bytes, uint32_t value)
{
	if (pwrite(pci->config, &value, bytes, pci->config_offset + offset) != (ssize_t)bytes)
		complain("write to configuration space");
}

volatile uint8_t *pci_map_bar(struct pci *pci, unsigned bar, size_t bytes)
{
	struct vfio_region_info region = { .argsz = sizeof(region), .index = bar };
	int fd = pci->device;
	char path[300];
	void *map;

	if (pci->vfio) {
		if (ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &region) < 0 || region.size < bytes)
			return NULL;
	} else {
		snprintf(path, sizeof(path), DEVICES "%s/resource%u", pci->address, bar);
		fd = open(path, O_RDWR);
	}
	map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)region.offset);
	if (!pci->vfio)
		close(fd);
	return map == MAP_FAILED ? NULL : map;
}

uint64_t pci_iova(struct pci *pci, const void *address)
{
	uint64_t offset = (uint64_t)((const uint8_t *)address - pci->arena), entry = 0;
	int fd;

	if (pci->vfio)
		return IOVA_ARENA + offset;
	fd = open("/proc/self/pagemap", O_RDONLY);
	if (pread(fd, &entry, sizeof(entry), (off_t)((uintptr_t)address / PAGE * sizeof(entry))) != sizeof(entry) ||
	    !(entry >> 63)) {
		complain("/proc/self/pagemap");
		exit(1);
	}
	close(fd);
	return (entry & ((1ull << 55) - 1)) * PAGE + offset % PAGE;
}

bool pci_map(struct pci *pci, void *address, uint64_t iova, size_t bytes, bool writable)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | (writable ? VFIO_DMA_MAP_FLAG_WRITE : 0),
		.vaddr = (uintptr_t)address, .iova = iova, .size = bytes,
	};

	return ioctl(pci->container, VFIO_IOMMU_MAP_DMA, &map) == 0 || complain("VFIO_IOMMU_MAP_DMA");
}

bool pci_unmap(struct pci *pci, uint64_t iova, size_t bytes)
{
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap), .iova = iova, .size = bytes };

	return ioctl(pci->container, VFIO_IOMMU_UNMAP_DMA, &unmap) == 0 || complain("VFIO_IOMMU_UNMAP_DMA");
}

static bool set_irqs(struct pci *pci, uint32_t flags, unsigned index, const int *eventfds, unsigned count)
{
	size_t data = eventfds ? count * sizeof(int) : 0;
	struct vfio_irq_set *set = calloc(1, sizeof(*set) + data);
	bool done;

	*set = (struct vfio_irq_set){ .argsz = (uint32_t)(sizeof(*set) + data), .flags = flags, .index = index,
				      .count = count };
	if (data)
		memcpy(set->data, eventfds, data);
	done = ioctl(pci->device, VFIO_DEVICE_SET_IRQS, set) == 0 || complain("VFIO_DEVICE_SET_IRQS");
	free(set);
	return done;
}

bool pci_irqs_enable(struct pci *pci, unsigned index, const int *eventfds, unsigned count)
{
	return set_irqs(pci, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, index, eventfds, count);
}

bool pci_irqs_disable(struct pci *pci, unsigned index)
{
	return set_irqs(pci, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, index, NULL, 0);
}

bool pci_intx_unmask(struct pci *pci)
{
	return set_irqs(pci, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK, VFIO_PCI_INTX_IRQ_INDEX, NULL, 1);
}

bool pci_reset(struct pci *pci)
{
	return ioctl(pci->device, VFIO_DEVICE_RESET) == 0 || complain("VFIO_DEVICE_RESET");
}

int irq_wait(int fd, int milliseconds)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	uint64_t count = 0;
	ssize_t got;

	if (poll(&wait, 1, milliseconds) <= 0)
		return 0;
	/* An eventfd insists on 8 bytes, uio on 4. */
	got = read(fd, &count, 8);
	if (got < 0)
		got = read(fd, &count, 4);
	return got > 0 ? (int)count : -1;
}
