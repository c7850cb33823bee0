/* SPDX-License-Identifier: MIT */
/*
 * Surroundings that mean harm: no descriptors left, none of the standard ones, no rights, addresses that are taken back, and
 * many contexts, which must leave nothing behind. (Step 1, "Bad input".)
 */
#include "hostile.h"

#include <sys/resource.h>
#include <sys/wait.h>

/* @fn in a child of its own, which has to end well. */
#define IN_CHILD(fn) in_child(__LINE__, #fn, fn)

static void in_child(int line, const char *what, void (*fn)(void))
{
	pid_t pid = fork();
	int status;

	MUST(pid >= 0);
	if (!pid) {
		hostile_failures = 0;
		fn();
		exit(hostile_end());
	}
	MUST(waitpid(pid, &status, 0) == pid);
	if (status)
		hostile_note(__FILE__, line, what, status, 0);
}

/*
 * A program gives addresses back and takes them again with MAP_FIXED. Only its own calls lie between the two, so nothing may be
 * there: on a kernel open() and ioctl() map nothing.
 */
enum { HOLE_BYTES = 256 << 20 };

static char *hole_at;

static void hole_open(void)
{
	hole_at = mmap(NULL, HOLE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	MUST(hole_at != MAP_FAILED && !munmap(hole_at, HOLE_BYTES));
	/* Gaps that the kernel would sooner use are filled: what is mapped next, of whatever size, comes here. */
	for (size_t n = 4 << 20; n >= PAGE; n /= 2) {
		char *at;

		while ((at = mmap(NULL, n, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) != MAP_FAILED &&
		       (uint64_t)(at - hole_at) >= HOLE_BYTES)
			;
		MUST(at != MAP_FAILED && !munmap(at, n));
	}
}

static void hole_close(void)
{
	MUST(mmap(hole_at, HOLE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == hole_at);
}

static void addresses(void)
{
	struct iommu_hwpt_alloc hwpt = { .size = sizeof(hwpt) };
	int memfd = memfd_create("file", 0);
	struct iommu_ioas_map_file file = { .size = sizeof(file), .flags = 7, .fd = memfd, .length = PAGE, .iova = 0x40001000 };
	char *mem = pages(3, PROT_READ | PROT_WRITE), *ours;
	struct dma_desc *ring = (void *)mem;
	struct bench b;

	MUST(memfd >= 0 && !ftruncate(memfd, PAGE));
	ours = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	MUST(ours != MAP_FAILED);
	memset(ours, 'f', PAGE);
	hole_open();
	b.iommu = open("/dev/iommu", O_RDWR);
	b.ioas = new_ioas(b.iommu);
	hole_close();
	hole_open();
	b.device = open("/dev/vfio/devices/vfio0", O_RDWR);
	MUST(!bind(b.device, b.iommu, &b.dev_id));
	b.bar0 = 0;
	b.config = (uint64_t)VFIO_PCI_CONFIG_REGION_INDEX << 40;
	device_enable(&b);
	hole_close();
	hole_open();
	hwpt.dev_id = b.dev_id;
	hwpt.pt_id = file.ioas_id = b.ioas;
	MUST(!ioctl(b.iommu, IOMMU_HWPT_ALLOC, &hwpt) && !attach(b.device, hwpt.out_hwpt_id));
	MUST(!map(b.iommu, b.ioas, mem, PAGE, 0x40000000) && !ioctl(b.iommu, IOMMU_IOAS_MAP_FILE, &file));
	MUST(!map(b.iommu, b.ioas, mem + PAGE, PAGE, 0x40002000));
	hole_close();
	/* The file is read through our own mapping of it, page by page until all is used that the hole could have taken. */
	ring[0] = (struct dma_desc){ .opcode = 1, .length = PAGE, .src = 0x40001000, .dst = 0x40002000, .completion = 0x40000000 + 2048 };
	chan_start(&b, 0, 0x40000000, 0);
	reg_write64(&b, chan_reg(0, DMA_CH_TAIL), 1);
	EXPECT(chan_wait(&b, 0, 1), 1);
	EXPECT(((struct dma_completion *)(void *)(mem + 2048))->status, DMA_STATUS_DONE);
	EXPECT(memcmp(mem + PAGE, ours, PAGE), 0);
	bench_close(&b);
	still_works();
}

/* At every limit either all works or something says EMFILE, ENOMEM or ENFILE; never more than that. */
static void few_descriptors(void)
{
	for (rlim_t n = 3; n < 12; n++) {
		struct rlimit limit = { n, 1024 };
		int iommu, device = -1, event = -1;
		long ret = 0;

		MUST(!setrlimit(RLIMIT_NOFILE, &limit));
		iommu = open("/dev/iommu", O_RDWR);
		EXPECT(iommu >= 0 ? 0 : -errno, n > 3 ? 0 : -EMFILE);
		if (iommu >= 0)
			device = open("/dev/vfio/devices/vfio0", O_RDWR);
		if (device >= 0) {
			MUST(!bind(device, iommu, NULL) && !attach(device, new_ioas(iommu)));
			event = eventfd(0, 0);
		}
		if (event >= 0) {
			struct {
				struct vfio_irq_set set;
				int32_t fds[9];
			} cmd = { .set = { .argsz = sizeof(cmd), .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
					   .index = VFIO_PCI_MSIX_IRQ_INDEX, .count = 9 } };

			for (unsigned i = 0; i < 9; i++)
				cmd.fds[i] = event;
			ret = call(device, VFIO_DEVICE_SET_IRQS, &cmd);
			EXPECT(ret, n >= 15 ? 0 : -EMFILE);
			cmd.set.count = 0;
			cmd.set.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;
			EXPECT(call(device, VFIO_DEVICE_SET_IRQS, &cmd), -EINVAL); /* nothing was enabled */
			MUST(!close(event));
		}
		MUST((device < 0 || !close(device)) && (iommu < 0 || !close(iommu)));
	}
	MUST(!setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 64, 1024 }));
	still_works();
}

static void no_standard_descriptors(void)
{
	struct bench b;

	for (int fd = 0; fd < 3; fd++)
		close(fd);
	bench_open(&b);
	/* The lowest numbers, as open() promises. */
	EXPECT(b.iommu, 0);
	EXPECT(b.device, 1);
	device_enable(&b);
	/* A refused DMA is told to nobody, or to a descriptor that is not the device. */
	chan_start(&b, 0, 0x5000, 0);
	reg_write64(&b, chan_reg(0, DMA_CH_TAIL), 1);
	EXPECT(chan_wait(&b, 0, 1) & 0xff, 2);
	EXPECT(reg_read(&b, DMA_REG_ID), DMA_ID);
	bench_close(&b);
	still_works();
}

static void nobody(void)
{
	MUST(geteuid() || (!setgid(65534) && !setuid(65534)));
	still_works();
}

static void little_memory(void)
{
	struct rlimit limit = { 0, 0 };

	MUST(!setrlimit(RLIMIT_CORE, &limit));
	still_works();
	/* No address space left: each call fails cleanly or works. */
	limit.rlim_cur = limit.rlim_max = 1 << 20;
	MUST(!setrlimit(RLIMIT_AS, &limit));
	for (int i = 0; i < 100; i++) {
		int iommu = open("/dev/iommu", O_RDWR), device = open("/dev/vfio/devices/vfio0", O_RDWR);
		struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };

		EXPECT(iommu >= 0 || errno == ENOMEM || errno == EMFILE, 1);
		if (iommu >= 0 && device >= 0 && !call(iommu, IOMMU_IOAS_ALLOC, &alloc) && !bind(device, iommu, NULL))
			attach(device, alloc.out_ioas_id);
		close(iommu);
		close(device);
	}
}

static unsigned long status_of(const char *what)
{
	FILE *file = fopen("/proc/self/status", "re");
	unsigned long n = 0;
	char line[256];

	MUST(file);
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, what, strlen(what)))
			n = strtoul(line + strlen(what), NULL, 10);
	fclose(file);
	return n;
}

static unsigned n_maps(void)
{
	FILE *file = fopen("/proc/self/maps", "re");
	unsigned n = 0;
	char line[512];

	MUST(file);
	while (fgets(line, sizeof(line), file))
		n++;
	fclose(file);
	return n;
}

/* Many contexts, each with everything in it, closed without tidying up in either order. */
static void nothing_leaks(void)
{
	char *mem = pages(64, PROT_READ | PROT_WRITE);
	unsigned long rss = 0, size = 0;
	unsigned maps = 0, fds[2] = { 0 };

	for (int i = 0; i < 600; i++) {
		struct iommu_hwpt_alloc hwpt = { .size = sizeof(hwpt) };
		struct bench b;

		bench_open(&b);
		hwpt.dev_id = b.dev_id;
		hwpt.pt_id = b.ioas;
		MUST(!ioctl(b.iommu, IOMMU_HWPT_ALLOC, &hwpt));
		for (unsigned k = 0; k < 16; k++)
			MUST(!map(b.iommu, b.ioas, mem + k * 4 * PAGE, 4 * PAGE, 0x100000 + ((uint64_t)k << 30)));
		device_enable(&b);
		chan_start(&b, 0, 0x100000, 5);
		reg_write64(&b, chan_reg(0, DMA_CH_TAIL), 32);
		if (i % 3 == 0)
			MUST(!munmap(mem, 16 * PAGE) && mmap(mem, 16 * PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == mem);
		MUST(!close(i % 2 ? b.iommu : b.device) && !close(i % 2 ? b.device : b.iommu));
		if (i == 99) {
			rss = status_of("VmRSS:");
			size = status_of("VmSize:");
			maps = n_maps();
			fds[0] = (unsigned)dup(0);
			close((int)fds[0]);
		}
	}
	fds[1] = (unsigned)dup(0);
	EXPECT(fds[1], fds[0]);
	EXPECT(n_maps() > maps + 2, 0);
	EXPECT(status_of("VmRSS:") > rss + 256, 0);
	EXPECT(status_of("VmSize:") > size + 1024, 0);
	EXPECT(status_of("Threads:"), 1);
}

int main(void)
{
	IN_CHILD(addresses);
	IN_CHILD(few_descriptors);
	IN_CHILD(no_standard_descriptors);
	IN_CHILD(nobody);
	IN_CHILD(little_memory);
	IN_CHILD(nothing_leaks);
	still_works();
	return hostile_end();
}
