/* SPDX-License-Identifier: MIT */
/*
 * Descriptors that calls give out, in several processes (design.md promise 10; iommufd-semantics 6 and 1.14): a call in a child
 * makes one of the child's, one that the parent made is the child's as well, poll() is right in both, and the object is in use until
 * the last is closed. With the mock, whose faults can be triggered.
 */
#include "stranger.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { FAULT_QUEUE_ALLOC = 0x3b8e, HWPT_ALLOC = 0x3b89, TEST_CMD = 0x3ba0, MOCK_DOMAIN = 2, REPLACE = 10, TRIGGER_IOPF = 15, CREATE_ACCESS = 5,
       ACCESS_RW = 8, DMABUF_GET = 22 };

struct test_cmd {
	uint32_t size, op, id, reserved;
	union {
		uint32_t words[14];
		uint64_t longs[7];
	};
};

struct hwpt_alloc {
	uint32_t size, flags, dev, pt, out_id, reserved, data_type, data_len;
	uint64_t data;
	uint32_t fault_id, reserved2;
};

struct fault {
	uint32_t flags, dev, pasid, grpid, perm, pad;
	uint64_t addr;
	uint32_t length, cookie;
};

static uint32_t ioas, stdev, dev, parent_hwpt;
static void *volatile nowhere; /* the compiler knows too well that NULL is wrong */

static void child_succeeds(pid_t pid)
{
	int status;

	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static int setup(void)
{
	struct test_cmd mock = { .size = sizeof(mock), .op = MOCK_DOMAIN };
	struct hwpt_alloc hwpt = { .size = sizeof(hwpt), .flags = 1 };
	int fd = open("/dev/iommu", O_RDWR);

	CHECK(fd >= 0);
	mock.id = ioas = (uint32_t)ioas_alloc(fd);
	CHECK(!ioctl(fd, TEST_CMD, &mock));
	stdev = mock.words[0];
	hwpt.dev = dev = mock.words[2];
	hwpt.pt = ioas;
	CHECK(!ioctl(fd, HWPT_ALLOC, &hwpt));
	parent_hwpt = hwpt.out_id;
	return fd;
}

static int destroy(int fd, uint32_t id)
{
	uint32_t cmd[2] = { sizeof(cmd), id };

	return ioctl(fd, IOMMU_DESTROY, cmd) ? -errno : 0;
}

static int queue_alloc(int fd, uint32_t *id)
{
	uint32_t cmd[4] = { sizeof(cmd) };

	CHECK(!ioctl(fd, FAULT_QUEUE_ALLOC, cmd));
	*id = cmd[2];
	return (int)cmd[3];
}

/* A nested HWPT with the queue, attached to the device. */
static uint32_t attach(int fd, uint32_t queue)
{
	uint32_t data[2] = { 0, 0 };
	struct hwpt_alloc hwpt = { .size = sizeof(hwpt), .flags = 4, .dev = dev, .pt = parent_hwpt, .data_type = 0xdead,
				   .data_len = 8, .data = (uintptr_t)data, .fault_id = queue };
	struct test_cmd replace = { .size = sizeof(replace), .op = REPLACE, .id = stdev };

	CHECK(!ioctl(fd, HWPT_ALLOC, &hwpt));
	replace.words[0] = hwpt.out_id;
	CHECK(!ioctl(fd, TEST_CMD, &replace));
	return hwpt.out_id;
}

static void detach(int fd, uint32_t hwpt)
{
	struct test_cmd replace = { .size = sizeof(replace), .op = REPLACE, .id = stdev, .words = { ioas } };

	CHECK(!ioctl(fd, TEST_CMD, &replace) && !destroy(fd, hwpt));
}

static void trigger(int fd)
{
	struct test_cmd iopf = { .size = sizeof(iopf), .op = TRIGGER_IOPF, .words = { dev, 0, 2, 3 } };

	iopf.longs[2] = 0xdeadb000;
	CHECK(!ioctl(fd, TEST_CMD, &iopf));
}

static short events(int queue)
{
	struct pollfd p = { .fd = queue, .events = POLLIN | POLLOUT };

	CHECK(poll(&p, 1, 0) >= 0);
	return p.revents;
}

/* Takes the fault that waits, and answers it. */
static void take_fault(int queue)
{
	struct fault fault;
	uint32_t response[2] = { 0, 0 };

	CHECK(events(queue) == (POLLIN | POLLOUT));
	CHECK(read(queue, &fault, 39) == -1 && errno == ESPIPE);
	CHECK(read(queue, nowhere, 40) == -1 && errno == EFAULT);
	CHECK(read(queue, &fault, sizeof(fault)) == sizeof(fault) && fault.dev == dev && fault.grpid == 2);
	CHECK(events(queue) == POLLOUT && read(queue, &fault, sizeof(fault)) == 0);
	response[0] = fault.cookie;
	CHECK(write(queue, response, sizeof(response)) == sizeof(response));
	CHECK(write(queue, response, sizeof(response)) == -1 && errno == EINVAL);
}

static void a_queue_that_a_child_makes_is_the_child_s(void)
{
	int fd = setup(), status;
	pid_t pid = fork();

	if (!pid) {
		uint32_t id, hwpt;
		int queue = queue_alloc(fd, &id), other;

		CHECK(fcntl(queue, F_GETFD) == FD_CLOEXEC && events(queue) == POLLOUT && destroy(fd, id) == -EBUSY);
		hwpt = attach(fd, id);
		for (int i = 0; i < 3; i++) {
			trigger(fd);
			take_fault(queue);
		}
		/* A fault that nobody took does not keep a duplicate from being right. */
		trigger(fd);
		other = dup(queue);
		CHECK(!close(queue));
		take_fault(other);
		detach(fd, hwpt);
		CHECK(destroy(fd, id) == -EBUSY);
		close(other);
		/* The parent learns of it by itself. */
		for (int i = 0; i < 10000 && (status = destroy(fd, id)) == -EBUSY; i++)
			usleep(1000);
		CHECK(!status);
		_exit(0);
	}
	child_succeeds(pid);
	close(fd);
}

static void a_queue_that_a_parent_makes_is_the_child_s_too(void)
{
	int fd = setup(), queue, ret = -EBUSY;
	uint32_t id, hwpt;
	pid_t pid;

	queue = queue_alloc(fd, &id);
	hwpt = attach(fd, id);
	trigger(fd);
	pid = fork();
	if (!pid) {
		take_fault(queue);
		trigger(fd);
		_exit(0);
	}
	child_succeeds(pid);
	take_fault(queue);
	/* The last that is left is a child's. */
	trigger(fd);
	pid = fork();
	if (!pid) {
		usleep(10000);
		take_fault(queue);
		trigger(fd);
		take_fault(queue);
		detach(fd, hwpt);
		CHECK(destroy(fd, id) == -EBUSY);
		_exit(0);
	}
	CHECK(!close(queue));
	child_succeeds(pid);
	for (int i = 0; i < 10000 && (ret = destroy(fd, id)) == -EBUSY; i++)
		usleep(1000);
	CHECK(!ret);
	close(fd);
}

/* The mock's accesses and dma-bufs: descriptors without read or write. */
static void accesses_and_buffers(void)
{
	struct test_cmd create = { .size = sizeof(create), .op = CREATE_ACCESS }, rw = { .size = sizeof(rw), .op = ACCESS_RW };
	struct test_cmd get = { .size = sizeof(get), .op = DMABUF_GET };
	char *mem = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), own[4096];
	int fd = setup(), ret = -1;
	pid_t pid;

	create.id = ioas;
	CHECK(!ioctl(fd, TEST_CMD, &create));
	pid = fork();
	if (!pid) {
		struct test_cmd second = { .size = sizeof(second), .op = CREATE_ACCESS, .id = ioas };
		char *buf;

		memset(mem, 'm', 4096);
		CHECK(!ioas_map(fd, ioas, mem, 4096, 0x1000000));
		CHECK(!ioctl(fd, TEST_CMD, &second));
		memset(own, 0, sizeof(own));
		rw.longs[0] = 0x1000000;
		rw.longs[1] = 4096;
		rw.longs[2] = (uintptr_t)own;
		for (int i = 0; i < 2; i++) {
			rw.id = i ? second.words[0] : create.words[0];
			memset(own, 0, sizeof(own));
			CHECK(!ioctl(fd, TEST_CMD, &rw) && own[0] == 'm' && own[4095] == 'm');
		}
		CHECK(!close((int)second.words[0]) && ioctl(fd, TEST_CMD, &rw) == -1 && errno == EBADF);
		get.longs[0] = 4096;
		ret = ioctl(fd, TEST_CMD, &get);
		CHECK(ret >= 0);
		buf = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ret, 0);
		CHECK(buf != MAP_FAILED);
		CHECK(!ioas_unmap(fd, ioas, 0x1000000, 4096));
		_exit(0);
	}
	child_succeeds(pid);
	close((int)create.words[0]);
	close(fd);
}

/* A child maps what a vIOMMU shares; the vIOMMU is in use until it unmaps it, or ends. */
static void mappings_of_the_context(void)
{
	struct {
		uint32_t size, flags, type, dev, hwpt, out_id, data_len, reserved;
		uint64_t data;
	} viommu = { .size = sizeof(viommu), .type = 0xdeadbeef, .data_len = 24 };
	struct {
		uint32_t in, out;
		uint64_t offset, length;
	} data = { .in = 0x1234567 };
	int fd = setup(), result[2], ret = -EBUSY;
	pid_t pid;

	viommu.dev = dev;
	viommu.hwpt = parent_hwpt;
	viommu.data = (uintptr_t)&data;
	CHECK(!pipe(result));
	CHECK(ioas_alloc(fd) > 0);
	pid = fork();
	if (!pid) {
		uint32_t *at;

		CHECK(!ioctl(fd, 0x3b90, &viommu) && data.out == data.in && data.length == 8192);
		CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, (off_t)data.offset) == MAP_FAILED && errno == ENXIO);
		at = mmap(NULL, data.length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)data.offset);
		CHECK(at != MAP_FAILED && *at == data.in && destroy(fd, viommu.out_id) == -EBUSY);
		CHECK(!munmap(at, 4096) && destroy(fd, viommu.out_id) == -EBUSY);
		CHECK(!munmap((char *)at + 4096, 4096) && !destroy(fd, viommu.out_id));
		/* And one that is left. */
		CHECK(!ioctl(fd, 0x3b90, &viommu));
		at = mmap(NULL, data.length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)data.offset);
		CHECK(at != MAP_FAILED && write(result[1], &viommu.out_id, 4) == 4);
		_exit(0);
	}
	child_succeeds(pid);
	CHECK(read(result[0], &viommu.out_id, 4) == 4);
	for (int i = 0; i < 10000 && (ret = destroy(fd, viommu.out_id)) == -EBUSY; i++)
		usleep(1000);
	CHECK(!ret);
	close(fd);
}

static int mock_domain(int fd, uint32_t in, uint32_t *id)
{
	struct test_cmd mock = { .size = sizeof(mock), .op = MOCK_DOMAIN, .id = in };

	if (ioctl(fd, TEST_CMD, &mock))
		return -errno;
	*id = mock.words[0];
	return 0;
}

static int copy(int fd, uint32_t from, uint32_t to)
{
	struct {
		uint32_t size, flags, dst, src;
		uint64_t length, dst_iova, src_iova;
	} cmd = { .size = sizeof(cmd), .flags = 7, .dst = to, .src = from, .length = 8192, .dst_iova = 0x1000000, .src_iova = 0x1000000 };

	return ioctl(fd, 0x3b83, &cmd) ? -errno : 0;
}

/* Memory of a process that has ended (iommufd-semantics 12.8): what is pinned stays, what is not cannot be any more. */
static void memory_of_the_dead(void)
{
	char *mem = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int fd = open("/dev/iommu", O_RDWR);
	uint32_t a = (uint32_t)ioas_alloc(fd), b = (uint32_t)ioas_alloc(fd), c = (uint32_t)ioas_alloc(fd), first, second;
	pid_t pid;

	CHECK(!mock_domain(fd, c, &first) && !mock_domain(fd, b, &first));
	pid = fork();
	if (!pid) {
		CHECK(!ioas_map(fd, a, mem, 8192, 0x1000000) && !ioas_map(fd, b, mem, 8192, 0x1000000));
		_exit(0);
	}
	child_succeeds(pid);
	CHECK(mock_domain(fd, a, &second) == -EFAULT);
	CHECK(copy(fd, a, c) == -EFAULT && !copy(fd, b, c) && !ioas_unmap(fd, c, 0x1000000, 8192));
	CHECK(!mock_domain(fd, b, &second));
	CHECK(!destroy(fd, first) && !mock_domain(fd, b, &first));
	CHECK(!destroy(fd, first) && !destroy(fd, second));
	CHECK(copy(fd, b, c) == -EFAULT && mock_domain(fd, b, &first) == -EFAULT);
	/* As the living. */
	close(fd);
	fd = open("/dev/iommu", O_RDWR);
	a = (uint32_t)ioas_alloc(fd);
	pid = fork();
	if (!pid) {
		CHECK(!ioas_map(fd, a, mem, 8192, 0x1000000) && !mock_domain(fd, a, &first));
		CHECK(!destroy(fd, first) && !mock_domain(fd, a, &first));
		_exit(0);
	}
	child_succeeds(pid);
	close(fd);
}

int main(void)
{
	alarm(40);
	memory_of_the_dead();
	mappings_of_the_context();
	a_queue_that_a_child_makes_is_the_child_s();
	a_queue_that_a_parent_makes_is_the_child_s_too();
	accesses_and_buffers();
	return 0;
}
