/* SPDX-License-Identifier: MIT */
/* Built with a sanitizer by loads.sh: served, and still checked. */
#include "dma.h"

int main(int argc, char **argv)
{
	struct dma dma;
	char *p = malloc(64);

	dma_open(&dma);
	CHECK(dma_fill(&dma, RING_IOVA + 3000, 5, 8) == DONE);
	CHECK(ioctl(dma.iommu, IOMMU_IOAS_ALLOC, NULL) == -1 && errno == EFAULT);
	if (argc > 1)
		p[64 + (argc - 2)] = 1;
	free(p);
	CHECK(!close(dma.iommu) && !close(dma.device));
	puts("served, checked");
	return 0;
}
