/* SPDX-License-Identifier: MIT */
/* Threads that open, duplicate, use and close the same numbers at once, and a process that ends in the middle of it all. */
#include "dma.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

enum { N_THREADS = 4, ROUNDS = 3000, SLOT = 60 };

static struct dma dma;
static atomic_uint ready;

static void *storm(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;

	atomic_fetch_add(&ready, 1);
	while (atomic_load(&ready) < N_THREADS)
		;
	for (int i = 0; i < ROUNDS; i++) {
		int fd = SLOT + rand_r(&seed) % 4, own, ret;

		switch (rand_r(&seed) % 5) {
		case 0:
			own = open(rand_r(&seed) % 2 ? "/dev/iommu" : "/dev/null", O_RDWR);
			CHECK(own >= 0 && dup2(own, fd) == fd && !close(own));
			break;
		case 1:
			CHECK(!close(fd) || errno == EBADF);
			break;
		case 2:
			own = dup(fd);
			CHECK(own >= 0 || errno == EBADF);
			if (own >= 0)
				CHECK(!close(own));
			break;
		default:
			/* Whatever the number means at this moment, the answer is one that fits. */
			ret = ioas_alloc(fd);
			CHECK(ret > 0 || ret == -EBADF || ret == -ENOTTY);
		}
	}
	return NULL;
}

static void numbers_change_hands(void)
{
	pthread_t threads[N_THREADS];

	for (uintptr_t i = 0; i < N_THREADS; i++)
		CHECK(!pthread_create(&threads[i], NULL, storm, (void *)(i + 1)));
	for (size_t i = 0; i < N_THREADS; i++)
		CHECK(!pthread_join(threads[i], NULL));
}

static atomic_bool stop;

static void *churn(void *arg)
{
	uint64_t iova = 0x1000000 + 0x100000 * (uint64_t)(uintptr_t)arg;

	while (!atomic_load(&stop)) {
		char *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		CHECK(p != MAP_FAILED);
		memset(p, 1, 4 * PAGE);
		CHECK(!ioas_map(dma.iommu, dma.ioas, p, 4 * PAGE, iova));
		CHECK(!munmap(p, 4 * PAGE));
		CHECK(!ioas_unmap(dma.iommu, dma.ioas, iova, 4 * PAGE));
	}
	return NULL;
}

/* Memory comes and goes in several threads while the device works: its own pages stay right. */
static void memory_churns_under_the_device(void)
{
	pthread_t threads[3];
	char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED && !ioas_map(dma.iommu, dma.ioas, p, 2 * PAGE, 0x800000));
	for (uintptr_t i = 0; i < 3; i++)
		CHECK(!pthread_create(&threads[i], NULL, churn, (void *)i));
	for (int i = 0; i < 2000; i++) {
		memset(p, i, PAGE);
		CHECK(dma_copy(&dma, 0x800000, 0x800000 + PAGE, PAGE) == DONE);
		CHECK(!memcmp(p, p + PAGE, PAGE));
	}
	atomic_store(&stop, true);
	for (size_t i = 0; i < 3; i++)
		CHECK(!pthread_join(threads[i], NULL));
}

static void *keep_busy(void *arg)
{
	for (;;)
		dma_fill(&dma, 0x800000, 7, 2 * PAGE);
	return NULL;
}

static void last_words(void)
{
	/* Exit handlers run while the device works. */
	free(malloc(1 << 20));
}

static void a_process_may_end_at_any_time(void)
{
	for (int i = 0; i < 10; i++) {
		int status;
		pid_t pid = fork();

		if (!pid) {
			pthread_t thread;
			char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

			atexit(last_words);
			dma_open(&dma);
			CHECK(p != MAP_FAILED && !ioas_map(dma.iommu, dma.ioas, p, 2 * PAGE, 0x800000));
			CHECK(!pthread_create(&thread, NULL, keep_busy, NULL));
			usleep(1000 * (unsigned)i);
			exit(0);
		}
		CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
}

static unsigned n_threads(void)
{
	char line[128];
	unsigned n = 0;
	FILE *file = fopen("/proc/self/status", "re");

	CHECK(file);
	while (fgets(line, sizeof(line), file))
		sscanf(line, "Threads: %u", &n);
	fclose(file);
	return n;
}

/* A thread that was joined may still be counted for a moment. */
static bool become(unsigned n)
{
	for (int i = 0; i < 10000 && n_threads() != n; i++)
		usleep(1000);
	return n_threads() == n;
}

int main(void)
{
	a_process_may_end_at_any_time();
	numbers_change_hands();
	/* No thread without a device; one with one; none again. */
	CHECK(become(1));
	for (int i = 0; i < 20; i++) {
		dma_open(&dma);
		CHECK(become(2) && dma_fill(&dma, RING_IOVA + 3000, 1, 8) == DONE);
		CHECK(!close(i % 2 ? dma.iommu : dma.device) && !close(i % 2 ? dma.device : dma.iommu));
		CHECK(become(1));
	}
	dma_open(&dma);
	memory_churns_under_the_device();
	return 0;
}
