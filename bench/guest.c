/* SPDX-License-Identifier: MIT */
/*
 * Runs inside the guest of `make bench-guests` (tests/clients/bench-guests): random reads of 4 KiB from two NVMe disks in turn, uiommu's
 * and QEMU's own, past the page cache, with a fixed number of reads under way. Every page of both images begins with its number, which
 * is checked. The environment says how much: PAIRS, and READS_<depth> for each depth of DEPTHS ("1,32"). Prints a line before and after
 * each turn; the host measures its part between them.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, MAX_DEPTH = 128, WARM_UP = 64, WAIT_S = 60 };

static struct disk {
	const char *name, *model; /* how the driver's "model" begins */
	int fd;
	uint64_t n_pages;
	char queues[64]; /* what its lines in /proc/interrupts have in them */
} disks[] = { { "uiommu", "uiommu", -1, 0, "" }, { "qemu", "QEMU", -1, 0, "" } };

static uint8_t buffers[MAX_DEPTH][PAGE] __attribute__((aligned(4096)));
static struct iocb iocbs[MAX_DEPTH];
static uint64_t seed = 88172645463325252u;
static aio_context_t context;

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	printf("load: failed\n");
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* --- finding the disks: which controller comes first is up to the driver */

static bool open_disk(struct disk *disk, const char *controller)
{
	char path[320], model[64] = "";
	unsigned long long bytes;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/class/nvme/%s/model", controller);
	file = fopen(path, "r");
	if (!file)
		return false;
	if (!fgets(model, sizeof(model), file))
		model[0] = 0;
	fclose(file);
	if (strncmp(model, disk->model, strlen(disk->model)))
		return false;
	snprintf(path, sizeof(path), "/dev/%sn1", controller);
	disk->fd = open(path, O_RDONLY | O_DIRECT);
	if (disk->fd < 0)
		return false;
	must(!ioctl(disk->fd, BLKGETSIZE64, &bytes) && bytes >= PAGE, "the size of a disk");
	disk->n_pages = bytes / PAGE;
	snprintf(disk->queues, sizeof(disk->queues), " %.60sq", controller);
	return true;
}

static bool find_disk(struct disk *disk)
{
	DIR *dir = opendir("/sys/class/nvme");
	struct dirent *entry;
	bool found = false;

	while (dir && !found && (entry = readdir(dir)))
		found = entry->d_name[0] != '.' && open_disk(disk, entry->d_name);
	if (dir)
		closedir(dir);
	return found;
}

/* --- reads */

static void submit(const struct disk *disk, unsigned slot)
{
	struct iocb *iocb = &iocbs[slot];
	uint64_t page = next_random() % disk->n_pages;

	*iocb = (struct iocb){ .aio_data = page * MAX_DEPTH + slot, .aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = (uint32_t)disk->fd,
			       .aio_buf = (uint64_t)(uintptr_t)buffers[slot], .aio_nbytes = PAGE,
			       .aio_offset = (int64_t)(page * PAGE) };
	must(syscall(SYS_io_submit, context, 1L, &iocb) == 1, "io_submit");
}

/* Keeps @depth reads under way until @n are done. */
static void read_disk(const struct disk *disk, unsigned depth, unsigned n)
{
	struct io_event events[MAX_DEPTH];
	unsigned begun = 0, done = 0;

	for (; begun < depth && begun < n; begun++)
		submit(disk, begun);
	while (done < n) {
		long got = syscall(SYS_io_getevents, context, 1L, (long)depth, events, NULL);

		must(got > 0, "io_getevents");
		for (long i = 0; i < got; i++, done++) {
			unsigned slot = (unsigned)(events[i].data % MAX_DEPTH);
			uint64_t number;

			memcpy(&number, buffers[slot], sizeof(number));
			must(events[i].res == PAGE && number == events[i].data / MAX_DEPTH, "a page that was read");
			if (begun < n) {
				submit(disk, slot);
				begun++;
			}
		}
	}
}

/* Of the disk, on all processors. */
static unsigned long long interrupts(const struct disk *disk)
{
	unsigned long long sum = 0;
	FILE *file = fopen("/proc/interrupts", "r");
	char line[1024], *at, *end;

	while (file && fgets(line, sizeof(line), file)) {
		if (!strstr(line, disk->queues))
			continue;
		at = strchr(line, ':') + 1;
		/* One number for each processor, before the chip's name. */
		for (unsigned long long n; n = strtoull(at, &end, 10), end != at && *end == ' '; at = end)
			sum += n;
	}
	if (file)
		fclose(file);
	return sum;
}

static void turn(const struct disk *disk, unsigned depth, unsigned pair, unsigned n)
{
	unsigned long long rang;
	uint64_t start, ns;

	printf("load: begin %s %u %u\n", disk->name, depth, pair);
	read_disk(disk, depth, depth < WARM_UP ? depth : WARM_UP);
	rang = interrupts(disk);
	start = now_ns();
	read_disk(disk, depth, n);
	ns = now_ns() - start;
	rang = interrupts(disk) - rang;
	printf("load: end %s %u %u %u %llu %llu\n", disk->name, depth, pair, n, (unsigned long long)ns, rang);
}

static unsigned number(const char *name)
{
	const char *text = getenv(name);
	unsigned long val = text ? strtoul(text, NULL, 10) : 0;

	if (!val || val > 10000000) {
		printf("load: %s is not a number\nload: failed\n", name);
		exit(1);
	}
	return (unsigned)val;
}

int main(void)
{
	const char *depths = getenv("DEPTHS");
	unsigned pairs = number("PAIRS");

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned n = 0; !find_disk(&disks[i]) && n < WAIT_S * 10; n++)
			usleep(100000);
		must(disks[i].fd >= 0, disks[i].name);
	}
	must(!syscall(SYS_io_setup, MAX_DEPTH, &context), "io_setup");
	while (depths && *depths) {
		char *end, name[32];
		unsigned long depth = strtoul(depths, &end, 10);
		unsigned n;

		must(depth && depth <= MAX_DEPTH && end != depths, "DEPTHS");
		snprintf(name, sizeof(name), "READS_%lu", depth);
		n = number(name);
		/* Who goes first alternates: what drifts meets both. */
		for (unsigned pair = 0; pair < pairs; pair++) {
			turn(&disks[pair % 2], (unsigned)depth, pair, n);
			turn(&disks[1 - pair % 2], (unsigned)depth, pair, n);
		}
		depths = *end ? end + 1 : end;
	}
	printf("load: done\n");
	return 0;
}
