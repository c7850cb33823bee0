/* SPDX-License-Identifier: MIT */
/*
 * Random reads of 4 KiB from the nvme device over the same reads of its image by pread(), seen by a driver in user space: run as
 * `uiommu run --device nvme,file=IMAGE,size=64M -- bench/nvme IMAGE`. One queue at several depths; completions are polled, or waited
 * for by an eventfd.
 */
#include <fcntl.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 5, OPS = 20000, PAGE = 4096, MAX_DEPTH = 128, ENTRIES = 256, N_PAGES = 16 + MAX_DEPTH };
enum { ASQ, ACQ, SQ, CQ = SQ + 4, DATA = 16 }; /* pages */
#define IOVA 0x10000000ull

static int dev, image, irq;
static off_t bar0;
static uint8_t *mem; /* at IOVA */
static uint64_t image_pages, seed = 88172645463325252u;
static struct {
	unsigned sq, cq, n, tail, head, phase, qid;
} admin = { ASQ, ACQ, 32, 0, 0, 1, 0 }, io = { SQ, CQ, ENTRIES, 0, 0, 1, 1 };

static void must(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* Processor time of all threads. */
static double cpu_ns(void)
{
	struct rusage use;

	getrusage(RUSAGE_SELF, &use);
	return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e9 + (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) * 1e3;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void reg_write(unsigned at, uint64_t val, size_t n_bytes)
{
	must(pwrite(dev, &val, n_bytes, bar0 + at) == (ssize_t)n_bytes, "a register");
}

/* --- queues --- */

#define PUSH(q, ...)                                                                                      \
	do {                                                                                              \
		memcpy(mem + (q).sq * PAGE + (q).tail * 64, (uint32_t[16]){ __VA_ARGS__ }, 64);           \
		(q).tail = ((q).tail + 1) % (q).n;                                                        \
	} while (0)
#define RING(q) reg_write(0x1000 + 8 * (q).qid, (q).tail, 4)
/* Takes a completion if there is one. */
#define TAKE(q)                                                                                           \
	({                                                                                                \
		uint32_t *cqe = (uint32_t *)(void *)(mem + (q).cq * PAGE + (q).head * 16);                \
		uint32_t last = __atomic_load_n(&cqe[3], __ATOMIC_ACQUIRE);                               \
		int there = (last >> 16 & 1) == (q).phase;                                                \
		if (there) {                                                                              \
			must(!(last >> 17), "a command");                                                 \
			(q).head = ((q).head + 1) % (q).n;                                                \
			(q).phase ^= !(q).head;                                                           \
		}                                                                                         \
		there;                                                                                    \
	})

#define ADMIN(...)                                                                                        \
	do {                                                                                              \
		PUSH(admin, __VA_ARGS__);                                                                 \
		RING(admin);                                                                              \
		while (!TAKE(admin))                                                                      \
			sched_yield();                                                                    \
		reg_write(0x1004, admin.head, 4);                                                         \
	} while (0)

static void controller_start(void)
{
	uint32_t csts = 0;

	reg_write(0x24, 31 | 31 << 16, 4);
	reg_write(0x28, IOVA + ASQ * PAGE, 8);
	reg_write(0x30, IOVA + ACQ * PAGE, 8);
	reg_write(0x14, 1 | 6 << 16 | 4 << 20, 4);
	must(pread(dev, &csts, 4, bar0 + 0x1c) == 4 && csts == 1, "CSTS");
	ADMIN(5, 0, 0, 0, 0, 0, (uint32_t)IOVA + CQ * PAGE, 0, 0, 0, 1 | (ENTRIES - 1) << 16, 3 | 1 << 16);
	ADMIN(1, 0, 0, 0, 0, 0, (uint32_t)IOVA + SQ * PAGE, 0, 0, 0, 1 | (ENTRIES - 1) << 16, 1 | 1 << 16);
}

/* --- what is measured --- */

static void read_file(void)
{
	for (unsigned i = 0; i < OPS; i++)
		must(pread(image, mem + DATA * PAGE, PAGE, (off_t)(next_random() % image_pages * PAGE)) == PAGE, "pread");
}

static void push_read(unsigned slot)
{
	PUSH(io, 2, 1, 0, 0, 0, 0, (uint32_t)IOVA + (DATA + slot) * PAGE, 0, 0, 0, (uint32_t)(next_random() % image_pages * 8), 0, 7);
}

static void wait_irq(void)
{
	uint64_t count;

	must(read(irq, &count, 8) == 8, "the interrupt");
}

/* Keeps @depth commands under way. */
static void read_device(unsigned depth, int polls)
{
	unsigned begun = 0, done = 0;

	while (done < OPS) {
		unsigned was = begun, took = 0;

		while (begun < OPS && begun - done < depth)
			push_read(begun++ % depth);
		if (begun != was)
			RING(io);
		if (!polls)
			wait_irq();
		while (TAKE(io))
			took++;
		if (took)
			reg_write(0x100c, io.head, 4);
		else if (polls)
			sched_yield();
		done += took;
	}
}

static void measure(unsigned depth, int polls)
{
	double file[ROUNDS], ours[ROUNDS], cpu[ROUNDS];

	for (int r = 0; r < ROUNDS; r++) {
		double t = now_ns(), c;

		read_file();
		file[r] = (now_ns() - t) / OPS;
		t = now_ns();
		c = cpu_ns();
		read_device(depth, polls);
		ours[r] = (now_ns() - t) / OPS;
		cpu[r] = (cpu_ns() - c) / OPS;
	}
	qsort(file, ROUNDS, sizeof(*file), by_value);
	qsort(ours, ROUNDS, sizeof(*ours), by_value);
	qsort(cpu, ROUNDS, sizeof(*cpu), by_value);
	printf("  depth %3u, %-10s %22.2fx   (%.0f ns over %.0f ns; %.0f a second; %.0f ns of processor time each)\n", depth,
	       polls ? "polled" : "interrupts", ours[ROUNDS / 2] / file[ROUNDS / 2], ours[ROUNDS / 2], file[ROUNDS / 2],
	       1e9 / ours[ROUNDS / 2], cpu[ROUNDS / 2]);
}

static void irqs_on(void)
{
	struct {
		struct vfio_irq_set set;
		int fds[2];
	} s = { .set = { .argsz = sizeof(s), .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			 .index = VFIO_PCI_MSIX_IRQ_INDEX, .count = 2 } };

	irq = eventfd(0, EFD_CLOEXEC);
	s.fds[0] = -1;
	s.fds[1] = irq;
	must(irq >= 0 && !ioctl(dev, VFIO_DEVICE_SET_IRQS, &s), "SET_IRQS");
}

int main(int argc, char **argv)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach) };
	struct vfio_region_info region = { .argsz = sizeof(region) };
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_ioas_map map = { .size = sizeof(map), .length = N_PAGES * PAGE, .iova = IOVA,
				      .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE };
	uint16_t command = 6;

	image = open(argc > 1 ? argv[1] : "", O_RDONLY);
	must(image >= 0, "the image");
	image_pages = (uint64_t)lseek(image, 0, SEEK_END) / PAGE;
	mem = mmap(NULL, N_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	bind.iommufd = open("/dev/iommu", O_RDWR);
	dev = open("/dev/vfio/devices/vfio0", O_RDWR);
	must(mem != MAP_FAILED && dev >= 0 && !ioctl(dev, VFIO_DEVICE_BIND_IOMMUFD, &bind), "the device");
	must(!ioctl(bind.iommufd, IOMMU_IOAS_ALLOC, &ioas), "an IOAS");
	map.ioas_id = attach.pt_id = ioas.out_ioas_id;
	map.user_va = (uintptr_t)mem;
	must(!ioctl(dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach) && !ioctl(bind.iommufd, IOMMU_IOAS_MAP, &map), "a mapping");
	must(!ioctl(dev, VFIO_DEVICE_GET_REGION_INFO, &region), "BAR 0");
	bar0 = (off_t)region.offset;
	region.index = VFIO_PCI_CONFIG_REGION_INDEX;
	must(!ioctl(dev, VFIO_DEVICE_GET_REGION_INFO, &region), "configuration space");
	must(pwrite(dev, &command, 2, (off_t)region.offset + 4) == 2, "configuration space");
	irqs_on();
	controller_start();
	printf("4 KiB random reads from the nvme device, one queue, over pread() of its image\n");
	measure(1, 1);
	measure(32, 1);
	measure(1, 0);
	measure(32, 0);
	return 0;
}
