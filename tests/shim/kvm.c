/* SPDX-License-Identifier: MIT */
/*
 * A VMM that has KVM: it tells KVM's vfio device which files its guest uses, as virt/kvm/vfio.c of the kernel answers, gives a BAR to
 * the guest as memory and an interrupt by an eventfd. Needs a KVM that makes VMs, but runs no guest.
 */
#include "dma.h"

#include <linux/kvm.h>
#include <linux/vfio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>

static int kvm;

static long ask(int fd, unsigned long request, void *arg)
{
	int ret = ioctl(fd, request, arg);

	return ret < 0 ? -errno : ret;
}

static int open_rw(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int new_vm(void)
{
	return (int)ask(kvm, KVM_CREATE_VM, NULL);
}

static int vfio_of(int vm)
{
	struct kvm_create_device create = { .type = KVM_DEV_TYPE_VFIO };

	CHECK(!ask(vm, KVM_CREATE_DEVICE, &create));
	return (int)create.fd;
}

static long set_at(int vfio, uint32_t group, uint64_t attr, const void *addr)
{
	struct kvm_device_attr set = { .group = group, .attr = attr, .addr = (uintptr_t)addr };

	return ask(vfio, KVM_SET_DEVICE_ATTR, &set);
}

/* By the names of old, which have the numbers of KVM_DEV_VFIO_FILE. */
static long add(int vfio, int32_t fd)
{
	return set_at(vfio, KVM_DEV_VFIO_GROUP, KVM_DEV_VFIO_GROUP_ADD, &fd);
}

static long del(int vfio, int32_t fd)
{
	return set_at(vfio, KVM_DEV_VFIO_GROUP, KVM_DEV_VFIO_GROUP_DEL, &fd);
}

static void devices_come_and_go(int vm)
{
	int vfio = vfio_of(vm), device = open_rw("/dev/vfio/devices/vfio0"), twin = dup(device);

	CHECK(device >= 0 && twin >= 0);
	CHECK(del(vfio, device) == -ENOENT);
	CHECK(add(vfio, device) == 0 && add(vfio, device) == -EEXIST);
	CHECK(add(vfio, twin) == -EEXIST); /* the same file */
	CHECK(del(vfio, twin) == 0 && del(vfio, device) == -ENOENT);
	CHECK(add(vfio, device) == 0);
	close(device);
	close(twin);
	/* A new file, though its number is the old one's. */
	device = open_rw("/dev/vfio/devices/vfio0");
	CHECK(device >= 0 && del(vfio, device) == -ENOENT && add(vfio, device) == 0);
	close(device);
	close(vfio);
}

static void groups_come_and_go(int vm)
{
	int vfio = vfio_of(vm), container = open_rw("/dev/vfio/vfio"), group = open_rw("/dev/vfio/0"), device;

	CHECK(container >= 0 && group >= 0);
	CHECK(add(vfio, group) == 0 && add(vfio, group) == -EEXIST);
	CHECK(!ask(group, VFIO_GROUP_SET_CONTAINER, &container) && !ask(container, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU));
	device = (int)ask(group, VFIO_GROUP_GET_DEVICE_FD, (void *)(uintptr_t)"0000:01:00.0");
	CHECK(device >= 0 && add(vfio, device) == 0 && del(vfio, device) == 0 && del(vfio, group) == 0);
	close(device);
	close(group);
	close(container);
	close(vfio);
}

/* What is not a device or a group, or no attribute: the kernel's own answers. */
static void others_are_refused(int vm)
{
	int vfio = vfio_of(vm), context = open_rw("/dev/iommu"), memory = memfd_create("memory", MFD_CLOEXEC);
	int device = open_rw("/dev/vfio/devices/vfio0");
	int32_t number = device;

	CHECK(add(vfio, context) == -EINVAL && add(vfio, memory) == -EINVAL && add(vfio, -1) == -EBADF);
	CHECK(del(vfio, context) == -ENOENT && del(vfio, memory) == -ENOENT && del(vfio, -1) == -EBADF);
	CHECK(set_at(vfio, KVM_DEV_VFIO_GROUP, KVM_DEV_VFIO_GROUP_ADD, NULL) == -EFAULT);
	CHECK(ask(vfio, KVM_SET_DEVICE_ATTR, NULL) == -EFAULT);
	CHECK(set_at(vfio, KVM_DEV_VFIO_GROUP, 9, &number) == -ENXIO && set_at(vfio, 9, KVM_DEV_VFIO_GROUP_ADD, &number) == -ENXIO);
	/* Not KVM's vfio device at all. */
	CHECK(add(vm, device) < 0 && add(memory, device) < 0 && add(context, device) < 0);
	CHECK(del(vfio, device) == -ENOENT);
	close(device);
	close(memory);
	close(context);
	close(vfio);
}

/* Each knows its own files, and whatever it knew is gone with it: by close, by a number that is put over it, by a range. */
static void each_kvm_device_for_itself(int vm)
{
	int other = new_vm(), vfio = vfio_of(vm), vfio2 = vfio_of(other), device = open_rw("/dev/vfio/devices/vfio0");

	CHECK(add(vfio, device) == 0 && del(vfio2, device) == -ENOENT && add(vfio2, device) == 0);
	CHECK(del(vfio, device) == 0 && add(vfio2, device) == -EEXIST);
	CHECK(del(vfio2, device) == 0 && add(vfio, device) == 0);
	CHECK(dup2(vfio2, vfio) == vfio && del(vfio, device) == -ENOENT);
	close(vfio2);
	close(vfio);
	close(other);
	vfio = vfio_of(vm);
	CHECK(add(vfio, device) == 0 && !close(vfio));
	vfio = vfio_of(vm);
	CHECK(add(vfio, device) == 0 && !close_range((unsigned)vfio, (unsigned)vfio, 0));
	CHECK(vfio_of(vm) == vfio && add(vfio, device) == 0);
	close(device);
	close(vfio);
}

/* KVM belongs to the process that made the VM. */
static void not_in_a_child(int vm)
{
	int vfio = vfio_of(vm), device = open_rw("/dev/vfio/devices/vfio0"), status = 0;
	pid_t child;

	CHECK(add(vfio, device) == 0);
	child = fork();
	if (!child)
		_exit(add(vfio, device) == -EIO && del(vfio, device) == -EIO ? 0 : 1);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(add(vfio, device) == -EEXIST && del(vfio, device) == 0);
	close(device);
	close(vfio);
}

static void bars_and_interrupts_are_the_guests(int vm)
{
	struct vfio_bind bind = { .argsz = sizeof(bind), .iommufd = open_rw("/dev/iommu") };
	struct vfio_region bar = { .argsz = sizeof(bar), .index = 2 };
	struct kvm_userspace_memory_region slot = { .guest_phys_addr = 0xc0000000 };
	int device = open_rw("/dev/vfio/devices/vfio0"), event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), vfio = vfio_of(vm);
	struct kvm_irqfd irqfd = { .fd = (uint32_t)event, .gsi = 5 };
	struct {
		struct vfio_irq_set set;
		int32_t fd;
	} irqs = { { .argsz = sizeof(irqs), .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		     .index = VFIO_PCI_MSIX_IRQ_INDEX, .count = 1 }, event };
	void *map;

	CHECK(!add(vfio, device) && !ask(device, VFIO_BIND, &bind) && !ask(device, VFIO_GET_REGION_INFO, &bar));
	map = mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED, device, (off_t)bar.offset);
	CHECK(map != MAP_FAILED);
	slot.memory_size = bar.size;
	slot.userspace_addr = (uintptr_t)map;
	CHECK(!ask(vm, KVM_SET_USER_MEMORY_REGION, &slot));
	CHECK(!ask(vm, KVM_CREATE_IRQCHIP, NULL) && !ask(vm, KVM_IRQFD, &irqfd));
	CHECK(!ask(device, VFIO_DEVICE_SET_IRQS, &irqs));
	slot.memory_size = 0;
	CHECK(!ask(vm, KVM_SET_USER_MEMORY_REGION, &slot));
	CHECK(!munmap(map, bar.size) && !del(vfio, device));
	close(vfio);
	close(device);
	close(bind.iommufd);
	close(event);
}

int main(void)
{
	int vm;

	kvm = open_rw("/dev/kvm");
	vm = kvm < 0 ? kvm : new_vm();
	if (vm < 0) {
		dprintf(2, "no KVM here: %s\n", strerror(-vm));
		return 77;
	}
	devices_come_and_go(vm);
	groups_come_and_go(vm);
	others_are_refused(vm);
	each_kvm_device_for_itself(vm);
	not_in_a_child(vm);
	bars_and_interrupts_are_the_guests(vm);
	return 0;
}
