/* SPDX-License-Identifier: MIT */
/*
 * The kernel's fault-injection files: a sweep of one's own over a few calls, and what the files say.
 * (iommufd-semantics 12.15; run with --iommu mock.)
 */
#include "mock.h"

#include <dirent.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static int nth; /* the main thread's file */

static int open_nth(long tid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%ld/fail-nth", tid);
	return open(path, O_RDWR);
}

static void arm(unsigned n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	MUST(pwrite(nth, text, (size_t)len, 0) == len);
}

static unsigned left(void)
{
	char text[16] = "";

	MUST(pread(nth, text, sizeof(text) - 1, 0) >= 2);
	return (unsigned)atoi(text);
}

static void write_debug(const char *name, const char *text, long want)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/debug/failslab/%s", name);
	fd = open(path, O_WRONLY);
	MUST(fd >= 0);
	EXPECT(sys(write(fd, text, strlen(text))), want);
	MUST(!close(fd));
}

static void read_debug(const char *name, const char *want)
{
	char path[96], text[16] = "";
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/debug/failslab/%s", name);
	fd = open(path, O_RDONLY);
	MUST(fd >= 0);
	EXPECT(sys(read(fd, text, sizeof(text) - 1)), strlen(want));
	EXPECT(strcmp(text, want), 0);
	EXPECT(sys(read(fd, text, sizeof(text))), 0);
	MUST(!close(fd));
}

/* Directories list what is needed to find them; wrong text is refused. */
static void files_are_files(void)
{
	DIR *dir = opendir("/sys/kernel/debug/");
	struct dirent *entry;
	bool found = false;
	struct stat st;
	int fd;

	MUST(dir);
	while ((entry = readdir(dir)))
		found |= !strcmp(entry->d_name, "failslab");
	EXPECT(found, true);
	fd = openat(dirfd(dir), "failslab/ignore-gfp-wait", O_WRONLY);
	EXPECT(fd >= 0, 1);
	MUST(!close(fd) && !closedir(dir));
	read_debug("ignore-gfp-wait", "Y\n");
	write_debug("ignore-gfp-wait", "maybe", -EINVAL);
	write_debug("verbose", "x", -EINVAL);
	write_debug("verbose", "1\n", 2);
	read_debug("verbose", "1\n");
	EXPECT(sys(pwrite(nth, "-1", 2, 0)), -EINVAL);
	EXPECT(sys(pwrite(nth, "1 2", 3, 0)), -EINVAL);
	EXPECT(sys(pwrite(nth, "99999999999", 11, 0)), -EINVAL);
	EXPECT(sys(pwrite(nth, ptr(0x10000), 2, 0)), -EFAULT);
	EXPECT(sys(pread(nth, ptr(0x10000), 2, 0)), -EFAULT);
	EXPECT(sys(fstat(nth, &st)), 0);
	EXPECT(S_ISREG(st.st_mode), 1);
	EXPECT(stat("/proc/thread-self/fail-nth", &st), 0);
	EXPECT(access("/proc/self/fail-nth", W_OK), 0);
}

/* failslab/ignore-gfp-wait as it is from the start: nothing of ours can fail. */
static void nothing_fails_unasked(void)
{
	struct nest n;

	arm(1);
	nest_open(&n);
	EXPECT(left(), 1);
	arm(0);
	EXPECT(left(), 0);
	MUST(!close(n.fd));
}

/*
 * The @n-th point fails (0: none): 0, or the error of the first call that did not succeed. Leaves nothing behind.
 * *@rest: what is left of the count.
 */
static long scenario(unsigned n, unsigned *rest)
{
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	/* Never where the one before was: what is kept of an address must not save an allocation. */
	char *mem = mmap(ptr(0x2000000000 + n * (uint64_t)0x400000), 2 * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	struct mock_cmd cmd = { 0 };
	int fd, queue = -1;
	uint32_t id;
	long ret;

	MUST(mem != MAP_FAILED);
	arm(n);
	fd = open("/dev/iommu", O_RDWR);
	ret = fd < 0 ? -errno : call(fd, IOMMU_IOAS_ALLOC, &ioas);
	if (!ret)
		ret = mock(fd, &cmd, MOCK_DOMAIN, ioas.out_ioas_id);
	if (!ret)
		ret = map(fd, ioas.out_ioas_id, mem, 2 * PAGE, 0x2000000);
	if (!ret) {
		queue = fault_queue(fd, &id);
		ret = queue < 0 ? queue : 0;
	}
	*rest = left();
	arm(0);
	if (queue >= 0)
		MUST(!close(queue));
	if (fd >= 0)
		MUST(!close(fd));
	MUST(!munmap(mem, 2 * PAGE));
	return ret;
}

/* Each point fails once, the calls say so, and in the end they succeed; the next number free is always the same. */
static void sweep(void)
{
	int before = dup(0), after;
	unsigned n = 0, rest;

	MUST(!close(before));
	EXPECT(scenario(0, &rest), 0);
	do {
		long ret = scenario(++n, &rest);

		EXPECT(ret, rest ? 0 : -ENOMEM);
		after = dup(0);
		EXPECT(after, before);
		MUST(!close(after));
	} while (!rest && n < 1000);
	EXPECT(n > 20 && n < 1000, 1);
}

static void *other_thread(void *unused)
{
	int own = open_nth(syscall(SYS_gettid));
	char text[16] = "";
	struct nest n;

	/* The main thread's count is not this one's, and its file is not this one's to use. */
	nest_open(&n);
	MUST(!close(n.fd));
	EXPECT(own >= 0, 1);
	EXPECT(sys(pread(own, text, sizeof(text), 0)), 2);
	EXPECT(strcmp(text, "0\n"), 0);
	EXPECT(sys(pread(nth, text, sizeof(text), 0)), -EPERM);
	EXPECT(sys(pwrite(nth, "0", 1, 0)), -EPERM);
	EXPECT(open_nth(getpid()) >= 0, 0);
	MUST(!close(own));
	return unused;
}

static void each_thread_counts_for_itself(void)
{
	pthread_t thread;

	/* pthread_create() allocates, too: far from the end. */
	arm(1000000);
	MUST(!pthread_create(&thread, NULL, other_thread, NULL) && !pthread_join(thread, NULL));
	EXPECT(left() > 999000, 1);
	arm(0);
}

int main(void)
{
	nth = open_nth(getpid());
	MUST(nth >= 0);
	files_are_files();
	nothing_fails_unasked();
	write_debug("ignore-gfp-wait", "N", 1);
	sweep();
	each_thread_counts_for_itself();
	return hostile_end();
}
