/* SPDX-License-Identifier: MIT */
/*
 * Four threads do everything at once with random arguments: map, unmap, copy, allocate, destroy, attach, replace, detach, DMA,
 * interrupts, reset, open, bind, close; and take the memory away. Every answer is one that the call may give; afterwards all
 * is as if nothing had been. Usage: hostile_race [SEED [OPERATIONS]]
 */
#include "hostile.h"

#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>

enum { N_THREADS = 4, N_SLOTS = 4, ARENA_PAGES = 64, MAX_ID = 40 };

/* Descriptors that change hands: any thread closes and opens any of them. */
static int iommus[N_SLOTS], devices[N_SLOTS];
static char *arena, *canary;
static unsigned operations = 20000;

static unsigned pick(unsigned *seed, unsigned n)
{
	return (unsigned)rand_r(seed) % n;
}

/* One of the errors that the references know, or success. */
static void plausible(int line, const char *what, long ret)
{
	static const int known[] = { EBADF, EINVAL, ENOENT, EBUSY, EEXIST, EOPNOTSUPP, EOVERFLOW, EFAULT, ENOMEM, ENOSPC, EADDRINUSE, EPERM, ENODEV,
				     EBADFD, ENOTTY, EIO, EMSGSIZE, ERANGE, EMFILE, ENFILE };

	if (ret >= 0)
		return;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (ret == -known[i])
			return;
	hostile_note(__FILE__, line, what, ret, 0);
}

#define ANY(expr) plausible(__LINE__, #expr, expr)

static uint64_t some_iova(unsigned *seed)
{
	return pick(seed, 16) ? 0x100000ull + pick(seed, 64) * PAGE : (uint64_t)rand_r(seed) << 33;
}

static uint64_t some_length(unsigned *seed)
{
	return pick(seed, 16) ? (1ull + pick(seed, 8)) * PAGE : (uint64_t)rand_r(seed) << pick(seed, 34);
}

static void spaces(unsigned *seed, int fd)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct iommu_ioas_map in = { .size = sizeof(in), .flags = pick(seed, 8), .ioas_id = pick(seed, MAX_ID), .length = some_length(seed),
				     .user_va = (uintptr_t)arena + pick(seed, ARENA_PAGES) * PAGE, .iova = some_iova(seed) };
	struct iommu_ioas_copy copy = { .size = sizeof(copy), .flags = pick(seed, 8), .dst_ioas_id = pick(seed, MAX_ID), .src_ioas_id = pick(seed, MAX_ID),
					.length = some_length(seed), .dst_iova = some_iova(seed), .src_iova = some_iova(seed) };
	struct iommu_hwpt_alloc hwpt = { .size = sizeof(hwpt), .flags = pick(seed, 16), .dev_id = pick(seed, MAX_ID), .pt_id = pick(seed, MAX_ID) };
	struct iommu_option option = { .size = sizeof(option), .option_id = pick(seed, 2), .op = (uint16_t)pick(seed, 2), .object_id = pick(seed, MAX_ID), .val64 = pick(seed, 2) };
	struct iommu_iova_range range[8];
	struct iommu_ioas_iova_ranges ranges = { .size = sizeof(ranges), .ioas_id = pick(seed, MAX_ID), .num_iovas = 8, .allowed_iovas = (uintptr_t)range };
	char bits[64];
	struct iommu_hwpt_get_dirty_bitmap dirty = { .size = sizeof(dirty), .hwpt_id = pick(seed, MAX_ID), .iova = 0x100000, .length = 64 * PAGE, .page_size = PAGE,
						     .data = (uintptr_t)bits };

	switch (pick(seed, 14)) {
	case 0:
		ANY(call(fd, IOMMU_IOAS_ALLOC, &alloc));
		break;
	case 1:
		ANY(destroy(fd, pick(seed, MAX_ID)));
		break;
	case 2:
	case 3:
	case 4:
		ANY(call(fd, IOMMU_IOAS_MAP, &in));
		break;
	case 5:
	case 6:
		ANY(unmap(fd, pick(seed, MAX_ID), some_iova(seed), some_length(seed)));
		break;
	case 7:
		ANY(unmap(fd, pick(seed, MAX_ID), 0, UINT64_MAX));
		break;
	case 8:
		ANY(call(fd, IOMMU_IOAS_COPY, &copy));
		break;
	case 9:
		ANY(call(fd, IOMMU_HWPT_ALLOC, &hwpt));
		break;
	case 10:
		ANY(call(fd, IOMMU_OPTION, &option));
		break;
	case 11:
		ANY(call(fd, IOMMU_IOAS_IOVA_RANGES, &ranges));
		break;
	case 12:
		ANY(call(fd, IOMMU_HWPT_GET_DIRTY_BITMAP, &dirty));
		break;
	default:
		ANY(destroy(fd, pick(seed, MAX_ID)));
	}
}

static void interrupts(unsigned *seed, int fd)
{
	struct {
		struct vfio_irq_set set;
		int32_t fds[9];
	} cmd = { .set = { .argsz = sizeof(cmd), .flags = 1u << pick(seed, 3) | 8u << pick(seed, 3), .index = pick(seed, 5), .count = pick(seed, 10) } };
	int event = eventfd(0, 0);

	for (unsigned i = 0; i < 9; i++)
		cmd.fds[i] = pick(seed, 4) ? event : -1;
	ANY(call(fd, VFIO_DEVICE_SET_IRQS, &cmd));
	if (event >= 0)
		MUST(!close(event));
}

static void dma(unsigned *seed, int fd)
{
	struct dma_desc *ring = (void *)arena;
	uint64_t val = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	unsigned chan = pick(seed, 8);

	ring[pick(seed, 64)] = (struct dma_desc){ .opcode = (uint8_t)pick(seed, 4), .flags = (uint8_t)pick(seed, 8), .length = pick(seed, 65536), .src = some_iova(seed),
						  .dst = some_iova(seed), .src_pasid = pick(seed, 3), .dst_pasid = pick(seed, 3), .completion = some_iova(seed) };
	ANY(sys(pwrite(fd, &val, 2, ((off_t)VFIO_PCI_CONFIG_REGION_INDEX << 40) + PCI_COMMAND)));
	val = DMA_ENABLE;
	ANY(sys(pwrite(fd, &val, 4, DMA_REG_CTRL)));
	val = pick(seed, 2);
	ANY(sys(pwrite(fd, &val, 4, (off_t)chan_reg(chan, DMA_CH_CTRL))));
	val = some_iova(seed);
	ANY(sys(pwrite(fd, &val, 8, (off_t)chan_reg(chan, DMA_CH_RING_BASE))));
	val = 5;
	ANY(sys(pwrite(fd, &val, 4, (off_t)chan_reg(chan, DMA_CH_RING_LG2))));
	val = 1;
	ANY(sys(pwrite(fd, &val, 4, (off_t)chan_reg(chan, DMA_CH_CTRL))));
	val = 1 + pick(seed, 33);
	ANY(sys(pwrite(fd, &val, 8, (off_t)chan_reg(chan, DMA_CH_TAIL))));
}

static void device(unsigned *seed, int fd)
{
	struct vfio_device_attach_iommufd_pt pasid = { .argsz = sizeof(pasid), .flags = VFIO_DEVICE_ATTACH_PASID, .pt_id = pick(seed, MAX_ID), .pasid = pick(seed, 4) };
	struct vfio_device_detach_iommufd_pt off = { .argsz = sizeof(off), .flags = VFIO_DEVICE_DETACH_PASID, .pasid = pick(seed, 4) };

	switch (pick(seed, 10)) {
	case 0:
		ANY(bind(fd, iommus[pick(seed, N_SLOTS)], NULL));
		break;
	case 1:
	case 2:
		ANY(attach(fd, pick(seed, MAX_ID)));
		break;
	case 3:
		ANY(call(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &pasid));
		break;
	case 4:
		ANY(call(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &off));
		break;
	case 5:
		ANY(detach(fd));
		break;
	case 6:
		interrupts(seed, fd);
		break;
	case 7:
		if (!pick(seed, 8))
			ANY(call(fd, VFIO_DEVICE_RESET, NULL));
		break;
	default:
		dma(seed, fd);
	}
}

static void memory(unsigned *seed)
{
	char *at = arena + (1 + pick(seed, ARENA_PAGES - 8)) * PAGE;
	size_t n = (1 + pick(seed, 7)) * PAGE;

	switch (pick(seed, 4)) {
	case 0:
		MUST(mmap(at, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at);
		break;
	case 1:
		MUST(!mprotect(at, n, pick(seed, 2) ? PROT_READ | PROT_WRITE : PROT_NONE) || errno == ENOMEM);
		break;
	case 2:
		ANY(sys(madvise(at, n, MADV_DONTNEED)));
		break;
	default:
		MUST(!munmap(at, n));
		MUST(mmap(at, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at);
	}
}

static void *storm(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;

	for (unsigned i = 0; i < operations; i++) {
		unsigned slot = pick(&seed, N_SLOTS), what = pick(&seed, 200);
		bool iommu = what % 2;
		int *fd = iommu ? &iommus[slot] : &devices[slot], own;

		if (what < 2) {
			/* The number stays taken: nobody else's descriptor gets it meanwhile. */
			own = open(iommu ? "/dev/iommu" : "/dev/vfio/devices/vfio0", O_RDWR | O_CLOEXEC);
			MUST(own >= 0 && dup2(own, *fd) == *fd && !close(own));
		} else if (what < 20) {
			memory(&seed);
		} else if (iommu) {
			spaces(&seed, *fd);
		} else {
			device(&seed, *fd);
		}
	}
	return NULL;
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

static void round_of(unsigned seed)
{
	pthread_t threads[N_THREADS];

	for (unsigned i = 0; i < N_SLOTS; i++) {
		iommus[i] = open("/dev/iommu", O_RDWR);
		devices[i] = open("/dev/vfio/devices/vfio0", O_RDWR);
		MUST(iommus[i] >= 0 && devices[i] >= 0);
	}
	for (unsigned i = 0; i < N_THREADS; i++)
		MUST(!pthread_create(&threads[i], NULL, storm, (void *)(uintptr_t)(seed * 1000 + i)));
	for (unsigned i = 0; i < N_THREADS; i++)
		MUST(!pthread_join(threads[i], NULL));
	for (unsigned i = 0; i < N_SLOTS; i++)
		MUST(!close(iommus[i]) && !close(devices[i]));
	MUST(!munmap(arena, ARENA_PAGES * PAGE));
	MUST(mmap(arena, ARENA_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == arena);
	still_works();
	for (unsigned i = 0; i < PAGE; i++)
		if (canary[i] != (char)0xca || arena[ARENA_PAGES * PAGE + i] != (char)0xca) {
			hostile_note(__FILE__, __LINE__, "memory that was not the device's to write", i, -1);
			break;
		}
}

int main(int argc, char **argv)
{
	unsigned seed = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 0) : 1, before = 0, after;

	if (argc > 2)
		operations = (unsigned)strtoul(argv[2], NULL, 0);
	canary = pages(ARENA_PAGES + 2, PROT_READ | PROT_WRITE);
	arena = canary + PAGE;
	memset(canary, 0xca, PAGE);
	memset(arena + ARENA_PAGES * PAGE, 0xca, PAGE);
	printf("seed %u\n", seed);
	for (unsigned i = 0; i < 3; i++) {
		round_of(seed + i);
		if (!i)
			before = n_maps();
	}
	after = n_maps();
	/* Threads' stacks come and go; what grows with every round is a leak. */
	if (after > before + 8)
		hostile_note(__FILE__, __LINE__, "mappings of the process", after, before);
	return hostile_end();
}
