/* SPDX-License-Identifier: MIT */
/*
 * Devices and memory across processes (design.md promise 10): memory that a child maps into an inherited context is the device's of its
 * parent, and a device works for whoever has its descriptor.
 */
#include "dma.h"

#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { SET_IRQS = 0x3b6e, AT = 0x20000000, SPAN = 0x100000 };

static const char *self;
static char in_data[2 * PAGE] __attribute__((aligned(4096))) = { 1 };
static char in_bss[2 * PAGE] __attribute__((aligned(4096)));
static int parent_says[2], child_says[2];

static void child_succeeds(pid_t pid)
{
	int status;

	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void tell(int pipe[2])
{
	CHECK(write(pipe[1], "", 1) == 1);
}

static void wait_for(int pipe[2])
{
	char byte;

	CHECK(read(pipe[0], &byte, 1) == 1);
}

static bool all(const char *mem, char byte, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (mem[i] != byte)
			return false;
	}
	return true;
}

enum kind { ANON_SHARED, INHERITED, MEMFD, MEMFD_CLOSED, PRIVATE, HEAP, STACK, DATA, BSS, N_KINDS };

static char *inherited;

static char *memory(enum kind kind, char *stack)
{
	char *at = NULL;
	int fd;

	switch (kind) {
	case ANON_SHARED:
		at = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		break;
	case INHERITED:
		at = inherited;
		break;
	case MEMFD:
	case MEMFD_CLOSED:
		fd = memfd_create("mem", 0);
		CHECK(fd >= 0 && !ftruncate(fd, 8 * PAGE));
		at = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 3 * PAGE);
		if (kind == MEMFD_CLOSED)
			close(fd);
		break;
	case PRIVATE:
		at = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		break;
	case HEAP:
		at = aligned_alloc(PAGE, 2 * PAGE);
		break;
	case STACK:
		at = stack;
		break;
	case DATA:
		at = in_data;
		break;
	default:
		at = in_bss;
	}
	CHECK(at && at != MAP_FAILED);
	return at;
}

/* The child maps memory of its own; the parent's device reads it and writes it. */
static void child_part(struct dma *dma, enum kind kind)
{
	char stack[2 * PAGE + 64] __attribute__((aligned(4096)));
	char *mem = memory(kind, stack);
	uint64_t iova = AT;

	memset(mem, 'c', 2 * PAGE);
	if (kind == STACK)
		stack[2 * PAGE] = 's';
	CHECK(!ioas_map(dma->iommu, dma->ioas, mem, 2 * PAGE, iova));
	/* Its contents are what they were, and it is the child's to write. */
	CHECK(all(mem, 'c', 2 * PAGE) && (kind != STACK || stack[2 * PAGE] == 's'));
	mem[5] = 'x';
	tell(child_says);
	wait_for(parent_says);
	CHECK(all(mem + PAGE, 'd', PAGE) && mem[5] == 'x');
	CHECK(!ioas_unmap(dma->iommu, dma->ioas, iova, 2 * PAGE));
	CHECK(all(mem + PAGE, 'd', PAGE));
	/* Once more: what was made shared can be mapped again. */
	CHECK(!ioas_map(dma->iommu, dma->ioas, mem, 2 * PAGE, iova));
	mem[6] = 'y';
	tell(child_says);
	wait_for(parent_says);
	CHECK(mem[PAGE] == 'e');
	_exit(0);
}

static void memory_of_a_child(struct dma *dma, enum kind kind)
{
	char *mine = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	memset(mine, 0, 2 * PAGE);
	CHECK(!ioas_map(dma->iommu, dma->ioas, mine, 2 * PAGE, AT + SPAN));
	pid = fork();
	if (!pid) {
		CHECK(!prctl(PR_SET_PDEATHSIG, SIGKILL));
		child_part(dma, kind);
	}
	wait_for(child_says);
	CHECK(dma_copy(dma, AT, AT + SPAN, 2 * PAGE) == DONE && mine[0] == 'c' && mine[5] == 'x' && mine[2 * PAGE - 1] == 'c');
	CHECK(dma_fill(dma, AT + PAGE, 0x6464646464646464, PAGE) == DONE);
	tell(parent_says);
	wait_for(child_says);
	CHECK(dma_copy(dma, AT, AT + SPAN, 2 * PAGE) == DONE && mine[5] == 'x' && mine[6] == 'y' && mine[PAGE] == 'd');
	CHECK(dma_fill(dma, AT + PAGE, 0x6565656565656565, 16) == DONE);
	tell(parent_says);
	child_succeeds(pid);
	/* The child is gone; what was pinned is not. */
	CHECK(dma_copy(dma, AT, AT + SPAN, 2 * PAGE) == DONE && mine[5] == 'x' && mine[PAGE] == 'e');
	CHECK(!ioas_unmap(dma->iommu, dma->ioas, AT, 2 * PAGE));
	CHECK(!ioas_unmap(dma->iommu, dma->ioas, AT + SPAN, 2 * PAGE));
	munmap(mine, 2 * PAGE);
}

/* What a client maps in vain, and what it takes away. */
static void limits_and_unmapping(struct dma *dma)
{
	char *mine = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	CHECK(!ioas_map(dma->iommu, dma->ioas, mine, PAGE, AT + SPAN));
	pid = fork();
	if (!pid) {
		char *a = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		char *bar;

		CHECK(ioas_map(dma->iommu, dma->ioas, (void *)8192, PAGE, AT) == -EFAULT);
		CHECK(!munmap(a + PAGE, PAGE));
		CHECK(ioas_map(dma->iommu, dma->ioas, a, 3 * PAGE, AT) == -EFAULT);
		CHECK(!mprotect(a, PAGE, PROT_READ) && ioas_map(dma->iommu, dma->ioas, a, PAGE, AT) == -EFAULT);
		CHECK(!mprotect(a, PAGE, PROT_NONE) && ioas_map(dma->iommu, dma->ioas, a, PAGE, AT) == -EFAULT);
		CHECK(!mprotect(a, PAGE, PROT_READ | PROT_WRITE));
		bar = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, dma->device, (off_t)dma->bar2);
		CHECK(bar != MAP_FAILED && ioas_map(dma->iommu, dma->ioas, bar, PAGE, AT) == -EFAULT);
		/* Unmapped by the program, still the device's; then new memory at the same place, which is not. */
		memset(a, 'p', PAGE);
		CHECK(!ioas_map(dma->iommu, dma->ioas, a, PAGE, AT));
		CHECK(mmap(a, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == a && *a == 0);
		tell(child_says);
		wait_for(parent_says);
		CHECK(all(a, 0, PAGE));
		/* MADV_DONTNEED gives the program zeros, and the device what there was. */
		memset(a, 'q', PAGE);
		CHECK(!ioas_map(dma->iommu, dma->ioas, a, PAGE, AT + PAGE) && !madvise(a, PAGE, MADV_DONTNEED) && all(a, 0, PAGE));
		a[0] = 'z';
		tell(child_says);
		wait_for(parent_says);
		CHECK(a[0] == 'z' && a[1] == 0);
		_exit(0);
	}
	wait_for(child_says);
	CHECK(dma_copy(dma, AT, AT + SPAN, PAGE) == DONE && all(mine, 'p', PAGE));
	CHECK(dma_fill(dma, AT, 0x6161616161616161, PAGE) == DONE);
	tell(parent_says);
	wait_for(child_says);
	CHECK(dma_copy(dma, AT + PAGE, AT + SPAN, PAGE) == DONE && all(mine, 'q', PAGE));
	CHECK(dma_fill(dma, AT + PAGE, 0x6161616161616161, PAGE) == DONE);
	tell(parent_says);
	child_succeeds(pid);
	CHECK(!ioas_unmap(dma->iommu, dma->ioas, AT, PAGE) && !ioas_unmap(dma->iommu, dma->ioas, AT + PAGE, PAGE));
	CHECK(!ioas_unmap(dma->iommu, dma->ioas, AT + SPAN, PAGE));
	munmap(mine, PAGE);
}

/* What is private to a process is not its children's, also when a device has it. */
static void children_of_a_client_get_copies(struct dma *dma, bool terminal)
{
	pid_t pid = fork();

	if (!pid) {
		char *mem = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		int master;

		memset(mem, 'a', PAGE);
		memset(mem + 63 * PAGE, 'b', PAGE);
		CHECK(!ioas_map(dma->iommu, dma->ioas, mem, 64 * PAGE, AT));
		pid = terminal ? forkpty(&master, NULL, NULL, NULL) : fork();
		/* Where there are no terminals there is nothing to see. */
		if (pid < 0 && terminal)
			_exit(0);
		if (!pid) {
			CHECK(all(mem, 'a', PAGE) && all(mem + PAGE, 0, 62 * PAGE) && all(mem + 63 * PAGE, 'b', PAGE));
			tell(child_says);
			memset(mem, 'g', 64 * PAGE);
			wait_for(parent_says);
			CHECK(all(mem, 'g', 64 * PAGE));
			_exit(0);
		}
		wait_for(child_says);
		memset(mem, 'h', PAGE);
		tell(parent_says);
		child_succeeds(pid);
		CHECK(all(mem, 'h', PAGE) && all(mem + PAGE, 0, 62 * PAGE) && all(mem + 63 * PAGE, 'b', PAGE));
		CHECK(!ioas_unmap(dma->iommu, dma->ioas, AT, 64 * PAGE));
		_exit(0);
	}
	child_succeeds(pid);
}

static atomic_bool stop;
static atomic_ulong written[64];

/* Counts in memory that another thread maps meanwhile: no count may be lost. */
static void *counts(void *arg)
{
	unsigned long *mem = arg;

	while (!atomic_load(&stop)) {
		for (unsigned i = 0; i < 64; i++) {
			mem[i * PAGE / 8]++;
			atomic_fetch_add(&written[i], 1);
		}
	}
	return NULL;
}

static void other_threads_lose_nothing(struct dma *dma)
{
	pid_t pid = fork();

	if (!pid) {
		unsigned long *mem = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		pthread_t thread;
		int ret = 0;

		CHECK(!pthread_create(&thread, NULL, counts, mem));
		while (!atomic_load(&written[63]))
			sched_yield();
		for (unsigned i = 0; i < 64 && !ret; i++) {
			ret = ioas_map(dma->iommu, dma->ioas, mem + i * PAGE / 8, PAGE, AT + i * PAGE);
			/* Where the others cannot be held off it is refused. */
			CHECK(!ret || (ret == -EFAULT && !i && geteuid()));
		}
		atomic_store(&stop, true);
		pthread_join(thread, NULL);
		for (unsigned i = 0; i < 64; i++)
			CHECK(mem[i * PAGE / 8] == atomic_load(&written[i]));
		CHECK(ret || !ioas_unmap(dma->iommu, dma->ioas, AT, 64 * PAGE));
		_exit(0);
	}
	child_succeeds(pid);
}

static atomic_int mapper_begins;
static struct dma *forker_dma;

static void unmap_something(void)
{
	char *mem;

	if (!forker_dma)
		return;
	atomic_store(&mapper_begins, 1);
	/* Time for the mapper to get into the middle of its call. */
	usleep(100000);
	mem = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(mem != MAP_FAILED && !munmap(mem, PAGE));
}

static void *maps_when_asked(void *arg)
{
	char *mem = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int ret;

	while (!atomic_load(&mapper_begins))
		sched_yield();
	ret = ioas_map(forker_dma->iommu, forker_dma->ioas, mem, PAGE, AT);
	CHECK(!ret || (ret == -EFAULT && geteuid()));
	CHECK(ret || !ioas_unmap(forker_dma->iommu, forker_dma->ioas, AT, PAGE));
	return NULL;
}

/* A program's atfork handler may do what it likes with its memory, while another thread hands some over. */
static void a_fork_waits_for_nobody_who_waits_for_it(struct dma *dma)
{
	pid_t pid = fork();

	if (!pid) {
		pthread_t thread;

		/* The library watches what is unmapped. */
		CHECK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, dma->device, (off_t)dma->bar2) != MAP_FAILED);
		CHECK(!pthread_atfork(unmap_something, NULL, NULL));
		forker_dma = dma;
		CHECK(!pthread_create(&thread, NULL, maps_when_asked, NULL));
		pid = fork();
		if (!pid)
			_exit(0);
		child_succeeds(pid);
		CHECK(!pthread_join(thread, NULL));
		_exit(0);
	}
	child_succeeds(pid);
}

static void send_fds(int socket, const int *fds, int n)
{
	char byte = 0, control[CMSG_SPACE(2 * sizeof(int))] = "";
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE((size_t)n * sizeof(int)) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN((size_t)n * sizeof(int));
	memcpy(CMSG_DATA(cmsg), fds, (size_t)n * sizeof(int));
	CHECK(sendmsg(socket, &msg, 0) == 1);
}

static void receive_fds(int socket, int *fds, int n)
{
	char byte, control[CMSG_SPACE(2 * sizeof(int))];
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };

	CHECK(recvmsg(socket, &msg, 0) == 1);
	memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&msg)), (size_t)n * sizeof(int));
}

/* A program that got both descriptors and does all that a driver does: memory, registers, doorbell, interrupt. */
static void drive(int socket)
{
	struct {
		uint32_t argsz, flags, index, start, count;
		int fd;
	} irq = { .argsz = sizeof(irq), .flags = 4 | 32, .index = 2, .count = 1 };
	struct dma dma = { 0 };
	struct pollfd p = { .events = POLLIN };
	uint64_t count;
	char *mem, *bar;
	int fds[2];

	receive_fds(socket, fds, 2);
	dma.iommu = fds[0];
	dma.device = fds[1];
	dma.ioas = 2; /* the device is 1 */
	dma.bar0 = dma_region(&dma, 0);
	dma.bar2 = dma_region(&dma, 2);
	CHECK(pread(dma.device, &count, 8, (off_t)dma_region(&dma, 7)) == 8);
	mem = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	dma.ring = (struct descriptor *)(void *)mem;
	CHECK(!ioas_map(dma.iommu, dma.ioas, mem, 4 * PAGE, RING_IOVA + SPAN));
	p.fd = irq.fd = eventfd(0, 0);
	CHECK(!ioctl(dma.device, SET_IRQS, &irq));
	/* Loopback. */
	irq.argsz = 20;
	irq.flags = 1 | 32;
	CHECK(!ioctl(dma.device, SET_IRQS, &irq) && poll(&p, 1, 10000) == 1 && read(p.fd, &count, 8) == 8);
	/* Channel 0 gets our ring. */
	dma_write32(&dma, 0x1010, 0);
	dma_write64(&dma, 0x1000, RING_IOVA + SPAN);
	dma_write32(&dma, 0x1008, 5);
	dma_write32(&dma, 0x1010, 1);
	bar = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, dma.device, (off_t)dma.bar2);
	CHECK(bar != MAP_FAILED);
	dma.ring[0] = (struct descriptor){ .opcode = FILL, .src = 0x6666666666666666, .dst = RING_IOVA + SPAN + PAGE, .length = PAGE,
					   .completion = RING_IOVA + SPAN + 2048 };
	dma_write64(&dma, 0x1020, 1);
	while (!__atomic_load_n((uint32_t *)(void *)(mem + 2048), __ATOMIC_ACQUIRE))
		sched_yield();
	CHECK(all(mem + PAGE, 'f', PAGE) && all(mem + 2 * PAGE, 0, PAGE));
	CHECK(!ioctl(dma.device, VFIO_RESET, 0));
	CHECK(!ioas_unmap(dma.iommu, dma.ioas, RING_IOVA + SPAN, 4 * PAGE));
}

static void a_stranger_drives_the_device(struct dma *dma)
{
	int pair[2], fds[2] = { dma->iommu, dma->device };
	pid_t pid;

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	pid = fork();
	if (!pid) {
		char number[16];

		snprintf(number, sizeof(number), "%d", pair[1]);
		close(dma->iommu);
		close(dma->device);
		execl(self, self, number, (char *)NULL);
		_exit(2);
	}
	send_fds(pair[0], fds, 2);
	child_succeeds(pid);
	close(pair[0]);
	close(pair[1]);
}

/* Both closed by the owner, the device is still a child's, which lets nobody else have it. */
static void a_device_is_in_use_as_long_as_a_child_has_it(void)
{
	struct vfio_bind bind = { .argsz = sizeof(bind) };
	struct dma dma;
	pid_t pid;
	int i;

	dma_open(&dma);
	pid = fork();
	if (!pid) {
		wait_for(parent_says);
		/* The first use, with nobody else left. */
		CHECK(ioas_alloc(dma.iommu) > 2 && dma_region(&dma, 2) == dma.bar2);
		_exit(0);
	}
	CHECK(!close(dma.iommu) && !close(dma.device));
	dma.iommu = open("/dev/iommu", O_RDWR);
	dma.device = open("/dev/vfio/devices/vfio0", O_RDWR);
	bind.iommufd = dma.iommu;
	CHECK(ioctl(dma.device, VFIO_BIND, &bind) == -1 && errno == EINVAL);
	tell(parent_says);
	child_succeeds(pid);
	for (i = 0; i < 10000 && ioctl(dma.device, VFIO_BIND, &bind); i++)
		usleep(1000);
	CHECK(i < 10000);
	close(dma.iommu);
	close(dma.device);
}

int main(int argc, char **argv)
{
	struct dma dma;

	alarm(100);
	self = argv[0];
	if (argc == 2 && strcmp(argv[1], "again")) {
		drive(atoi(argv[1]));
		return 0;
	}
	CHECK(!pipe(parent_says) && !pipe(child_says));
	inherited = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	dma_open(&dma);
	for (enum kind kind = 0; kind < N_KINDS; kind++) {
		/* What has no descriptor any more, and no name, only the privileged can open again. */
		if (!geteuid() || (kind != ANON_SHARED && kind != MEMFD_CLOSED))
			memory_of_a_child(&dma, kind);
	}
	/* libc asks every thread of the process, those too that the program knows nothing of. */
	CHECK(!setresuid((uid_t)-1, (uid_t)-1, (uid_t)-1));
	limits_and_unmapping(&dma);
	children_of_a_client_get_copies(&dma, false);
	children_of_a_client_get_copies(&dma, true);
	other_threads_lose_nothing(&dma);
	a_fork_waits_for_nobody_who_waits_for_it(&dma);
	a_stranger_drives_the_device(&dma);
	CHECK(!close(dma.iommu) && !close(dma.device));
	a_device_is_in_use_as_long_as_a_child_has_it();
	/* Once more without privileges, if that user can get at us. */
	if (argc == 1 && !geteuid() && !setresgid(65534, 65534, 65534) && !setresuid(65534, 65534, 65534) &&
	    !access(self, X_OK) && !access(getenv("LD_PRELOAD"), R_OK))
		execl(self, self, "again", (char *)NULL);
	return 0;
}
