/* SPDX-License-Identifier: MIT */
/*
 * A program whose DMA is known, for stats.py: dma | hold | fork | exec | pasids.
 */
#include "dma.h"

#include <signal.h>
#include <sys/wait.h>

enum { AT = 0x20000000, N = 5, N_PASIDS = 70, DST_PASID = 4 };

static struct dma dma;

static void work(void)
{
	void *mem = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	dma_open(&dma);
	CHECK(!ioas_map(dma.iommu, dma.ioas, mem, PAGE, AT));
	for (unsigned i = 0; i < N; i++)
		CHECK(dma_fill(&dma, AT, i, 100) == DONE);
}

/* The completion says so before the device has counted its write. Reset waits for that. */
static void settle(void)
{
	CHECK(!ioctl(dma.device, VFIO_RESET));
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "dma";
	int status;
	pid_t pid;

	if (!strcmp(what, "fork")) {
		work();
		pid = fork();
		if (!pid) {
			/* What it inherited is its parent's; this is a machine of its own. */
			work();
			settle();
			_exit(0);
		}
		CHECK(waitpid(pid, &status, 0) == pid && !status);
	} else if (!strcmp(what, "exec")) {
		work();
		settle();
		execl(argv[0], argv[0], "dma", (char *)NULL);
		CHECK(false);
	} else if (!strcmp(what, "pasids")) {
		work();
		for (uint32_t i = 1; i <= N_PASIDS; i++) {
			struct descriptor desc = { .opcode = FILL, .flags = DST_PASID, .dst = AT, .length = 100, .dst_pasid = i };

			CHECK(dma_run(&dma, desc) == FAULT);
		}
	} else {
		work();
	}
	settle();
	if (!strcmp(what, "hold")) {
		printf("ready\n");
		fflush(stdout);
		for (;;)
			pause();
	}
	return 0;
}
