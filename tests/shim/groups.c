/* SPDX-License-Identifier: MIT */
/*
 * A stranger that goes the older way, as DPDK does: container, group, type1, devices by name. It knows the kernel's headers and the
 * dma device, nothing of ours. Its machine: devices 1 and 2 in group 5, device 3 in group 2.
 */
#include "dma.h"

#include <dirent.h>
#include <linux/capability.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

enum { POOL_BYTES = 16 * PAGE, BAR_IOVA = 0x40000000, POOL_IOVA = 0x100000 };
#define DEV1 "0000:01:00.0"
#define DEV2 "0000:02:00.0"
#define DEV3 "0000:03:00.0"

static char *pool;

static long ask(int fd, unsigned long request, void *arg)
{
	int ret = ioctl(fd, request, arg);

	return ret < 0 ? -errno : ret;
}

static int open_rw(const char *path)
{
	int fd = open(path, O_RDWR);

	return fd < 0 ? -errno : fd;
}

static long dma_map(int container, uint32_t flags, const void *va, uint64_t iova, uint64_t size)
{
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map), .flags = flags, .vaddr = (uintptr_t)va, .iova = iova, .size = size };

	return ask(container, VFIO_IOMMU_MAP_DMA, &map);
}

static long dma_unmap(int container, uint64_t iova, uint64_t size)
{
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap), .iova = iova, .size = size };
	long ret = ask(container, VFIO_IOMMU_UNMAP_DMA, &unmap);

	return ret ? ret : (long)unmap.size;
}

static uint32_t status(int group)
{
	struct vfio_group_status s = { .argsz = sizeof(s) };

	CHECK(!ask(group, VFIO_GROUP_GET_STATUS, &s));
	return s.flags;
}

static long get_device(int group, const char *name)
{
	return ask(group, VFIO_GROUP_GET_DEVICE_FD, (void *)(uintptr_t)name);
}

static void *map_bar(int device, uint32_t index, size_t *n_bytes)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = index };
	void *at;

	CHECK(!ask(device, VFIO_DEVICE_GET_REGION_INFO, &info) && (info.flags & VFIO_REGION_INFO_FLAG_MMAP));
	at = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED, device, (off_t)info.offset);
	CHECK(at != MAP_FAILED);
	*n_bytes = info.size;
	return at;
}

/* A device whose ring is page @page of the pool. */
static void drive(struct dma *dma, int device, unsigned page)
{
	memset(dma, 0, sizeof(*dma));
	dma->device = device;
	dma->ring = (void *)(pool + page * PAGE);
	memset(dma->ring, 0, PAGE);
	dma_start(dma, POOL_IOVA + page * PAGE);
}

static bool lists(const char *path, const char *name)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	bool found = false;

	CHECK(dir);
	while ((entry = readdir(dir)))
		found |= !strcmp(entry->d_name, name);
	closedir(dir);
	return found;
}

static void node(const char *path, unsigned mode, unsigned *major_number, unsigned *minor_number)
{
	struct stat st, open_st;
	int fd = open_rw(path);

	CHECK(fd >= 0 && !stat(path, &st) && !fstat(fd, &open_st));
	CHECK(S_ISCHR(st.st_mode) && (st.st_mode & 0777) == mode);
	CHECK(st.st_rdev == open_st.st_rdev && st.st_mode == open_st.st_mode);
	*major_number = major(st.st_rdev);
	*minor_number = minor(st.st_rdev);
	close(fd);
}

static unsigned group_of(const char *name)
{
	char path[64], link[256];
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", name);
	n = readlink(path, link, sizeof(link) - 1);
	CHECK(n > 0);
	link[n] = 0;
	return (unsigned)atoi(strrchr(link, '/') + 1);
}

static void the_tree(void)
{
	unsigned maj, min, maj2, min2, in_maj, in_min;
	FILE *file;

	CHECK(group_of(DEV1) == 5 && group_of(DEV2) == 5 && group_of(DEV3) == 2);
	CHECK(lists("/sys/kernel/iommu_groups/5/devices", DEV1) && lists("/sys/kernel/iommu_groups/5/devices", DEV2));
	CHECK(!lists("/sys/kernel/iommu_groups/5/devices", DEV3) && lists("/sys/kernel/iommu_groups/2/devices", DEV3));
	CHECK(lists("/dev/vfio", "5") && lists("/dev/vfio", "2") && lists("/dev/vfio", "vfio") && !lists("/dev/vfio", "0"));
	CHECK(lists("/sys/class/vfio", "5") && lists("/sys/class/vfio", "2"));
	node("/dev/vfio/vfio", 0666, &maj, &min);
	CHECK(maj == 10 && min == 196);
	node("/dev/vfio/5", 0600, &maj, &min);
	node("/dev/vfio/2", 0600, &maj2, &min2);
	CHECK(maj == maj2 && min != min2);
	file = fopen("/sys/class/vfio/2/dev", "r");
	CHECK(file && fscanf(file, "%u:%u", &in_maj, &in_min) == 2 && in_maj == maj2 && in_min == min2);
	fclose(file);
	CHECK(open_rw("/dev/vfio/0") == -ENOENT);
}

/* A container, three devices in two groups, mappings, DMA, unmapping: the way DPDK goes. */
static void as_dpdk_does(void)
{
	int container = open_rw("/dev/vfio/vfio"), five = open_rw("/dev/vfio/5"), two = open_rw("/dev/vfio/2");
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };
	struct vfio_device_info dev_info = { .argsz = sizeof(dev_info) };
	struct dma dma[3];

	CHECK(container >= 0 && five >= 0 && two >= 0);
	CHECK(ask(container, VFIO_GET_API_VERSION, NULL) == VFIO_API_VERSION);
	CHECK(ask(container, VFIO_CHECK_EXTENSION, (void *)VFIO_TYPE1_IOMMU) == 1);
	CHECK(ask(container, VFIO_CHECK_EXTENSION, (void *)VFIO_NOIOMMU_IOMMU) == 0);
	CHECK(status(five) == VFIO_GROUP_FLAGS_VIABLE);
	CHECK(ask(container, VFIO_SET_IOMMU, (void *)VFIO_TYPE1_IOMMU) == -EINVAL);
	CHECK(!ask(five, VFIO_GROUP_SET_CONTAINER, &container));
	CHECK(status(five) == (VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET));
	CHECK(dma_map(container, 3, pool, POOL_IOVA, POOL_BYTES) == -EINVAL);
	CHECK(get_device(five, DEV1) == -EINVAL);
	CHECK(!ask(container, VFIO_SET_IOMMU, (void *)VFIO_TYPE1_IOMMU));
	CHECK(!ask(container, VFIO_IOMMU_GET_INFO, &info) && (info.iova_pgsizes & 4096));
	CHECK(!dma_map(container, 3, pool, POOL_IOVA, POOL_BYTES));
	CHECK(!ask(two, VFIO_GROUP_SET_CONTAINER, &container));
	CHECK(get_device(five, DEV3) == -ENODEV);
	for (unsigned i = 0; i < 3; i++) {
		static const char *const names[] = { DEV1, DEV2, DEV3 };
		long fd = get_device(i < 2 ? five : two, names[i]);
		struct stat st;

		CHECK(fd >= 0 && (fcntl((int)fd, F_GETFD) & FD_CLOEXEC));
		CHECK(!fstat((int)fd, &st) && S_ISCHR(st.st_mode));
		CHECK(!ask((int)fd, VFIO_DEVICE_GET_INFO, &dev_info) && (dev_info.flags & VFIO_DEVICE_FLAGS_PCI));
		drive(&dma[i], (int)fd, i);
	}
	for (unsigned i = 0; i < 3; i++) {
		memset(pool + 8 * PAGE, 0, PAGE);
		CHECK(dma_fill(&dma[i], POOL_IOVA + 8 * PAGE, 0x1111 * (i + 1), PAGE) == DONE);
		CHECK(((uint64_t *)(void *)(pool + 8 * PAGE))[PAGE / 8 - 1] == 0x1111 * (i + 1));
		CHECK(dma_fill(&dma[i], POOL_IOVA + POOL_BYTES, 0, 8) == FAULT);
	}
	/* A group that has open devices stays; one whose devices are closed may leave. */
	CHECK(ask(five, VFIO_GROUP_UNSET_CONTAINER, NULL) == -EBUSY);
	close(dma[2].device);
	CHECK(!ask(two, VFIO_GROUP_UNSET_CONTAINER, NULL));
	CHECK(dma_fill(&dma[0], POOL_IOVA + 8 * PAGE, 7, 8) == DONE);
	CHECK(dma_unmap(container, POOL_IOVA, PAGE) == POOL_BYTES); /* version 1: by the first address */
	close(dma[0].device);
	close(dma[1].device);
	CHECK(!ask(five, VFIO_GROUP_UNSET_CONTAINER, NULL));
	CHECK(ask(container, VFIO_IOMMU_GET_INFO, &info) == -EINVAL);
	close(five);
	close(two);
	close(container);
}

/* A container with group 5 in it. */
static int start(int *group)
{
	int container = open_rw("/dev/vfio/vfio");

	*group = open_rw("/dev/vfio/5");
	CHECK(container >= 0 && *group >= 0 && !ask(*group, VFIO_GROUP_SET_CONTAINER, &container));
	CHECK(!ask(container, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU));
	CHECK(!dma_map(container, 3, pool, POOL_IOVA, POOL_BYTES));
	return container;
}

/* No memory may be locked, whoever runs this; or as it was. */
static void forbid_locking(bool forbid)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2];
	static struct rlimit before;
	struct rlimit none;

	if (forbid)
		CHECK(!getrlimit(RLIMIT_MEMLOCK, &before));
	none = (struct rlimit){ 0, before.rlim_max };
	CHECK(!setrlimit(RLIMIT_MEMLOCK, forbid ? &none : &before));
	CHECK(!syscall(SYS_capget, &head, caps));
	caps[0].effective &= ~(1u << CAP_IPC_LOCK);
	caps[0].effective |= forbid ? 0 : caps[0].permitted & (1u << CAP_IPC_LOCK);
	CHECK(!syscall(SYS_capset, &head, caps));
}

/* One device writes into the other's BAR, and rings its doorbell so: a type1 container maps BARs. */
static void peer_to_peer(void)
{
	int group, container = start(&group), fd1 = (int)get_device(group, DEV1), fd2 = (int)get_device(group, DEV2);
	volatile struct completion *done = (struct completion *)(void *)(pool + PAGE + 2048);
	struct dma one, two;
	uint64_t seen = 0;
	size_t n_bytes;
	char *bar;

	CHECK(fd1 >= 0 && fd2 >= 0);
	drive(&one, fd1, 0);
	drive(&two, fd2, 1);
	bar = map_bar(fd2, 2, &n_bytes);
	CHECK(!dma_map(container, 3, bar, BAR_IOVA, n_bytes));
	CHECK(dma_fill(&one, BAR_IOVA + 7 * PAGE + 64, 0xfeedfacecafebeefull, 8) == DONE);
	CHECK(*(volatile uint64_t *)(void *)(bar + 7 * PAGE + 64) == 0xfeedfacecafebeefull);
	CHECK(pread(fd2, &seen, 8, (off_t)(two.bar2 + 7 * PAGE + 64)) == 8 && seen == 0xfeedfacecafebeefull);
	/* And reads it. */
	CHECK(dma_copy(&one, BAR_IOVA + 7 * PAGE + 64, POOL_IOVA + 8 * PAGE, 8) == DONE);
	CHECK(*(uint64_t *)(void *)(pool + 8 * PAGE) == 0xfeedfacecafebeefull);
	/* Device 2 polls its doorbell page; device 1 writes 1 there: device 2 runs the descriptor. */
	dma_write32(&two, 0x1010, 0);
	dma_write32(&two, 0x1010, 3);
	memset((void *)(uintptr_t)done, 0, sizeof(*done));
	two.ring[0] = (struct descriptor){ .opcode = FILL, .src = 0x77, .dst = POOL_IOVA + 9 * PAGE, .length = 8,
					   .completion = POOL_IOVA + PAGE + 2048 };
	CHECK(dma_fill(&one, BAR_IOVA, 1, 8) == DONE);
	while (!__atomic_load_n(&done->status, __ATOMIC_ACQUIRE))
		sched_yield();
	CHECK(done->status == DONE && *(uint64_t *)(void *)(pool + 9 * PAGE) == 0x77);
	/* The mapping outlives the program's own. */
	CHECK(!munmap(bar, n_bytes));
	CHECK(dma_fill(&one, BAR_IOVA + 7 * PAGE + 72, 0x88, 8) == DONE);
	CHECK(pread(fd2, &seen, 8, (off_t)(two.bar2 + 7 * PAGE + 72)) == 8 && seen == 0x88);
	CHECK(dma_unmap(container, BAR_IOVA, n_bytes) == (long)n_bytes);
	CHECK(dma_fill(&one, BAR_IOVA + 7 * PAGE + 72, 0x99, 8) == FAULT);
	/* A part of a BAR, and pool memory beside a BAR: what is a BAR's is no matter. */
	bar = map_bar(fd2, 2, &n_bytes);
	CHECK(!dma_map(container, 1, bar + PAGE, BAR_IOVA, PAGE));
	CHECK(dma_fill(&one, BAR_IOVA, 1, 8) == FAULT); /* read-only */
	/* No memory is locked for it. */
	forbid_locking(true);
	CHECK(!dma_map(container, 3, bar + 2 * PAGE, BAR_IOVA + 2 * PAGE, PAGE));
	CHECK(dma_map(container, 3, pool, BAR_IOVA + 4 * PAGE, PAGE) == -ENOMEM);
	forbid_locking(false);
	/* The peer closes first: its memory stays, and nobody is hurt. */
	close(fd2);
	CHECK(dma_copy(&one, BAR_IOVA, POOL_IOVA + 8 * PAGE, 8) == DONE);
	munmap(bar, n_bytes);
	close(fd1);
	close(group);
	close(container);
}

/* The container's calls on an iommufd: a group, devices, but no BARs. */
static void through_an_iommufd(void)
{
	int iommu = open_rw("/dev/iommu"), group = open_rw("/dev/vfio/5"), fd, event = eventfd(0, 0);
	struct {
		struct vfio_irq_set head;
		int fds[1];
	} irq = { .head = { .argsz = sizeof(irq), .flags = VFIO_IRQ_SET_ACTION_TRIGGER | VFIO_IRQ_SET_DATA_EVENTFD,
			    .index = VFIO_PCI_MSIX_IRQ_INDEX, .count = 1 }, .fds = { event } };
	struct vfio_bind bind = { .argsz = sizeof(bind), .iommufd = iommu };
	uint64_t count = 0;
	size_t n_bytes;
	struct dma dma;
	char *bar;

	CHECK(ask(iommu, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU) == -ENODEV);
	CHECK(!ask(group, VFIO_GROUP_SET_CONTAINER, &iommu));
	fd = (int)get_device(group, DEV1);
	CHECK(fd >= 0);
	CHECK(!ask(iommu, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU));
	CHECK(!dma_map(iommu, 3, pool, POOL_IOVA, POOL_BYTES));
	drive(&dma, fd, 0);
	/* Interrupts come as on a device that was opened by its own path. */
	CHECK(!ask(fd, VFIO_DEVICE_SET_IRQS, &irq));
	CHECK(dma_run(&dma, (struct descriptor){ .opcode = FILL, .flags = 1, .src = 1, .dst = POOL_IOVA + 8 * PAGE, .length = 8 }) == DONE);
	CHECK(read(event, &count, 8) == 8 && count == 1);
	bar = map_bar(fd, 2, &n_bytes);
	CHECK(dma_map(iommu, 3, bar, BAR_IOVA, n_bytes) == -EFAULT);
	CHECK(ask(fd, VFIO_BIND, &bind) == -EINVAL);
	munmap(bar, n_bytes);
	/* The device needs neither the group nor the iommufd to go on. */
	CHECK(!ask(group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	close(group);
	close(iommu);
	CHECK(dma_fill(&dma, POOL_IOVA + 8 * PAGE, 5, 8) == DONE);
	group = open_rw("/dev/vfio/5");
	CHECK(group >= 0);
	close(fd);
	close(group);
	close(event);
}

/* What excludes what, and how often a device can be opened. */
static void busy(void)
{
	int group, container = start(&group), cdev = open_rw("/dev/vfio/devices/vfio1"), iommu = open_rw("/dev/iommu"), fd, again;
	struct vfio_bind bind = { .argsz = sizeof(bind), .iommufd = iommu };
	struct dma dma;

	CHECK(open_rw("/dev/vfio/5") == -EBUSY);
	CHECK(cdev >= 0 && ask(cdev, VFIO_BIND, &bind) == -EBUSY);
	fd = (int)get_device(group, DEV2);
	again = (int)get_device(group, DEV2);
	CHECK(fd >= 0 && again >= 0 && fd != again);
	drive(&dma, fd, 0);
	close(fd);
	dma.device = again; /* the same device, as it was left */
	CHECK(dma_fill(&dma, POOL_IOVA + 8 * PAGE, 3, 8) == DONE);
	/* The open device keeps the group and the container, whose descriptors may go. */
	close(group);
	close(container);
	CHECK(open_rw("/dev/vfio/5") == -EBUSY);
	CHECK(dma_fill(&dma, POOL_IOVA + 8 * PAGE, 4, 8) == DONE);
	close(again);
	CHECK(!ask(cdev, VFIO_BIND, &bind));
	CHECK(open_rw("/dev/vfio/5") == -EBUSY);
	CHECK(get_device(cdev, DEV2) == -ENOTTY);
	close(cdev);
	close(iommu);
	group = open_rw("/dev/vfio/5");
	CHECK(group >= 0);
	/* A descriptor that nobody used yet keeps BIND away as well. */
	cdev = open_rw("/dev/vfio/devices/vfio0");
	bind.iommufd = iommu = open_rw("/dev/iommu");
	CHECK(ask(cdev, VFIO_BIND, &bind) == -EBUSY);
	close(group);
	CHECK(!ask(cdev, VFIO_BIND, &bind));
	close(cdev);
	close(iommu);
}

/* Descriptors that are not what the calls want. */
static void wrong_descriptors(void)
{
	int group = open_rw("/dev/vfio/5"), container = open_rw("/dev/vfio/vfio"), cdev = open_rw("/dev/vfio/devices/vfio0");
	int null = open_rw("/dev/null");
	struct vfio_bind bind = { .argsz = sizeof(bind), .iommufd = container };
	int others[] = { group, cdev, null, 0 }, bad = -1, closed = dup(null);
	char buf[8];

	close(closed);
	for (unsigned i = 0; i < 4; i++)
		CHECK(ask(group, VFIO_GROUP_SET_CONTAINER, &others[i]) == -EBADFD);
	CHECK(ask(group, VFIO_GROUP_SET_CONTAINER, &bad) == -EBADF);
	CHECK(ask(group, VFIO_GROUP_SET_CONTAINER, &closed) == -EBADF);
	CHECK(ask(group, VFIO_GROUP_SET_CONTAINER, (void *)1) == -EFAULT);
	CHECK(ask(group, VFIO_GROUP_UNSET_CONTAINER, NULL) == -EINVAL);
	CHECK(ask(group, VFIO_GET_API_VERSION, NULL) == -ENOTTY);
	CHECK(ask(group, VFIO_DEVICE_GET_INFO, buf) == -ENOTTY);
	CHECK(read(group, buf, 8) == -1 && errno == EINVAL);
	CHECK(write(container, buf, 8) == -1 && errno == EINVAL);
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, container, 0) == MAP_FAILED && errno == ENODEV);
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, group, 0) == MAP_FAILED && errno == ENODEV);
	CHECK(ask(container, IOMMU_IOAS_ALLOC, buf) == -EINVAL);
	close(group);
	CHECK(ask(cdev, VFIO_BIND, &bind) == -EBADFD);
	close(cdev);
	close(container);
	close(null);
}

/* A child goes on with what its parent opened and never used, as DPDK's own launchers do. */
static void handed_to_a_child(void)
{
	int container = open_rw("/dev/vfio/vfio"), group = open_rw("/dev/vfio/5"), wait_status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		struct dma dma;
		int fd;

		CHECK(open_rw("/dev/vfio/5") == -EBUSY);
		CHECK(!ask(group, VFIO_GROUP_SET_CONTAINER, &container));
		CHECK(!ask(container, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU));
		CHECK(!dma_map(container, 3, pool, POOL_IOVA, POOL_BYTES));
		fd = (int)get_device(group, DEV1);
		CHECK(fd >= 0);
		drive(&dma, fd, 0);
		CHECK(dma_fill(&dma, POOL_IOVA + 8 * PAGE, 6, 8) == DONE);
		close(group);
		close(container);
		CHECK(dma_fill(&dma, POOL_IOVA + 8 * PAGE, 7, 8) == DONE);
		_exit(0);
	}
	CHECK(waitpid(pid, &wait_status, 0) == pid && WIFEXITED(wait_status) && !WEXITSTATUS(wait_status));
	close(group);
	close(container);
}

/* And with what its parent uses: the calls, GET_DEVICE_FD with its new descriptor among them, reach the parent (promise 10). */
static void from_a_child(void)
{
	char *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int group, container = start(&group), fd = (int)get_device(group, DEV1), wait_status;
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct dma dma;
	pid_t pid;

	CHECK(shared != MAP_FAILED && fd >= 0);
	drive(&dma, fd, 0);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		struct vfio_bind bind = { .argsz = sizeof(bind) };
		uint16_t vendor = 0;
		int other;

		CHECK(status(group) == (VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET));
		CHECK(ask(group, VFIO_GROUP_UNSET_CONTAINER, NULL) == -EBUSY);
		CHECK(open_rw("/dev/vfio/5") == -EBUSY);
		other = open_rw("/dev/vfio/devices/vfio0");
		bind.iommufd = open_rw("/dev/iommu");
		CHECK(other >= 0 && ask(other, VFIO_BIND, &bind) == -EBUSY);
		close(other);
		close(bind.iommufd);
		other = (int)get_device(group, DEV2);
		CHECK(other >= 0 && (fcntl(other, F_GETFD) & FD_CLOEXEC));
		CHECK(!ask(other, VFIO_DEVICE_GET_INFO, &info) && (info.flags & VFIO_DEVICE_FLAGS_PCI));
		CHECK(pread(other, &vendor, 2, (off_t)7 << 40) == 2 && vendor == 0x6975);
		CHECK(get_device(group, "nobody") == -ENODEV);
		CHECK(!dma_map(container, 3, shared, BAR_IOVA, PAGE));
		_exit(0);
	}
	CHECK(waitpid(pid, &wait_status, 0) == pid && WIFEXITED(wait_status) && !WEXITSTATUS(wait_status));
	CHECK(dma_fill(&dma, BAR_IOVA, 0x4242, 8) == DONE && *(uint64_t *)(void *)shared == 0x4242);
	CHECK(dma_unmap(container, BAR_IOVA, PAGE) == PAGE);
	close(fd);
	/* The child's device went with it, though perhaps a moment later: then the group can go. */
	for (int i = 0; i < 1000 && ask(group, VFIO_GROUP_UNSET_CONTAINER, NULL) == -EBUSY; i++)
		usleep(1000);
	CHECK(status(group) == VFIO_GROUP_FLAGS_VIABLE);
	close(group);
	close(container);
	munmap(shared, PAGE);
}

static int race_group, race_container;

static void *open_and_close(void *arg)
{
	for (int i = 0; i < 200; i++) {
		long fd = get_device(race_group, i & 1 ? DEV1 : DEV2);
		struct vfio_device_info info = { .argsz = sizeof(info) };

		CHECK(fd >= 0 && !ask((int)fd, VFIO_DEVICE_GET_INFO, &info));
		close((int)fd);
	}
	return NULL;
}

static void *map_and_unmap(void *arg)
{
	for (unsigned i = 0; i < 400; i++) {
		uint64_t iova = BAR_IOVA + (i % 16) * PAGE;

		CHECK(!dma_map(race_container, 3, pool, iova, PAGE));
		CHECK(dma_unmap(race_container, iova, PAGE) == PAGE);
	}
	return NULL;
}

static void all_at_once(void)
{
	pthread_t threads[3];

	race_container = start(&race_group);
	for (unsigned i = 0; i < 3; i++)
		CHECK(!pthread_create(&threads[i], NULL, i ? open_and_close : map_and_unmap, NULL));
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	CHECK(!ask(race_group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	close(race_group);
	close(race_container);
}

int main(void)
{
	pool = mmap(NULL, POOL_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(pool != MAP_FAILED);
	the_tree();
	as_dpdk_does();
	peer_to_peer();
	through_an_iommufd();
	busy();
	wrong_descriptors();
	handed_to_a_child();
	from_a_child();
	all_at_once();
	return 0;
}
