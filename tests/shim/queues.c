/* SPDX-License-Identifier: MIT */
/*
 * Descriptors that calls of /dev/iommu give out: fault queues, event queues, accesses, dma-bufs. What a program can
 * do with a descriptor, it can do with these as with the kernel's. (iommufd-semantics 1.14, 6, 7; run with --iommu
 * mock.)
 */
#include "mock.h"

#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum { RECORD = sizeof(struct iommu_hwpt_pgfault) };

static int events(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN | POLLRDNORM | POLLOUT | POLLPRI };

	MUST(poll(&pfd, 1, 0) >= 0);
	return pfd.revents & ~POLLWRNORM;
}

/* Takes one fault and answers it. */
static void serve(int queue)
{
	struct iommu_hwpt_pgfault fault;
	struct iommu_hwpt_page_response answer = { 0 };

	EXPECT(sys(read(queue, &fault, RECORD)), RECORD);
	answer.cookie = fault.cookie;
	EXPECT(sys(write(queue, &answer, sizeof(answer))), sizeof(answer));
}

/* Section 6: offset 0, whole records, never blocks, not seekable; and no inode with a name. */
static void fault_queue_is_a_file(void)
{
	char buf[4 * RECORD];
	struct iovec iov[2] = { { buf, RECORD }, { buf + RECORD, RECORD } };
	struct stat st;
	struct statx stx;
	struct nest n;
	uint32_t id;
	int queue;

	nest_open(&n);
	queue = nest_faults(&n, &id);
	EXPECT(fcntl(queue, F_GETFD), FD_CLOEXEC);
	EXPECT(sys(read(queue, buf, sizeof(buf))), 0);
	EXPECT(sys(read(queue, buf, RECORD - 1)), -ESPIPE);
	EXPECT(sys(pread(queue, buf, RECORD, 0)), -ESPIPE);
	EXPECT(sys(pread(queue, buf, RECORD, -1)), -EINVAL);
	EXPECT(sys(pwrite(queue, buf, 8, 0)), -ESPIPE);
	EXPECT(sys(preadv(queue, iov, 2, 0)), -ESPIPE);
	EXPECT(sys(lseek(queue, 0, SEEK_CUR)), -ESPIPE);
	EXPECT(sys(ftruncate(queue, 0)), -EINVAL);
	EXPECT(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, queue, 0) == MAP_FAILED ? -errno : 0, -ENODEV);
	EXPECT(call(queue, IOMMU_DESTROY, buf), -ENOTTY);
	EXPECT(sys(fstat(queue, &st)), 0);
	EXPECT(st.st_mode, S_IRUSR | S_IWUSR);
	EXPECT(st.st_size, 0);
	EXPECT(st.st_nlink, 1);
	EXPECT(sys(statx(queue, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stx)), 0);
	EXPECT(stx.stx_mode, S_IRUSR | S_IWUSR);
	raise_fault(&n, 7);
	raise_fault(&n, 8);
	EXPECT(sys(read(queue, ptr(0x10000), RECORD)), -EFAULT);
	EXPECT(sys(readv(queue, iov, 2)), 2 * RECORD);
	EXPECT(((struct iommu_hwpt_pgfault *)(void *)buf)->grpid, 7);
	EXPECT(((struct iommu_hwpt_pgfault *)(void *)(buf + RECORD))->grpid, 8);
	MUST(!close(queue) && !close(n.fd));
}

/* Section 6: always writable, readable while there is something to read. */
static void fault_queue_polls(void)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT };
	struct timeval none = { 0 };
	struct nest n;
	fd_set in, out;
	uint32_t id;
	int queue, epoll = epoll_create1(0);

	nest_open(&n);
	queue = nest_faults(&n, &id);
	MUST(epoll >= 0 && !epoll_ctl(epoll, EPOLL_CTL_ADD, queue, &ev));
	EXPECT(events(queue), POLLOUT);
	EXPECT(sys(epoll_wait(epoll, &ev, 1, 0)), 1);
	EXPECT(ev.events, EPOLLOUT);
	raise_fault(&n, 1);
	EXPECT(events(queue), POLLIN | POLLRDNORM | POLLOUT);
	EXPECT(sys(epoll_wait(epoll, &ev, 1, 0)), 1);
	EXPECT(ev.events, EPOLLIN | EPOLLOUT);
	raise_fault(&n, 2);
	serve(queue);
	EXPECT(events(queue), POLLIN | POLLRDNORM | POLLOUT);
	serve(queue);
	EXPECT(events(queue), POLLOUT);
	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(queue, &in);
	FD_SET(queue, &out);
	EXPECT(sys(select(queue + 1, &in, &out, NULL, &none)), 1);
	EXPECT(FD_ISSET(queue, &out) && !FD_ISSET(queue, &in), 1);
	/* Answered by the replacement: nothing is left to read. */
	raise_fault(&n, 3);
	nest_attach(&n, n.parent);
	EXPECT(events(queue), POLLOUT);
	MUST(!close(epoll) && !close(queue) && !close(n.fd));
}

/* Whoever waits for edges is told of every fault, also while earlier ones wait. */
static void each_fault_is_an_edge(void)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	struct nest n;
	uint32_t id;
	int queue, epoll = epoll_create1(0);

	nest_open(&n);
	queue = nest_faults(&n, &id);
	MUST(epoll >= 0 && !epoll_ctl(epoll, EPOLL_CTL_ADD, queue, &ev));
	EXPECT(sys(epoll_wait(epoll, &ev, 1, 0)), 0);
	for (uint32_t i = 0; i < 2000; i++) {
		raise_fault(&n, i);
		EXPECT(sys(epoll_wait(epoll, &ev, 1, 0)), 1);
		EXPECT(sys(epoll_wait(epoll, &ev, 1, 0)), 0);
	}
	for (uint32_t i = 0; i < 2000; i++)
		serve(queue);
	EXPECT(events(queue), POLLOUT);
	MUST(!close(epoll) && !close(queue) && !close(n.fd));
}

static void *wait_for_one(void *arg)
{
	struct pollfd pfd = { .fd = *(int *)arg, .events = POLLIN };

	return (void *)(intptr_t)poll(&pfd, 1, -1);
}

static void a_sleeping_poll_wakes(void)
{
	pthread_t thread;
	struct nest n;
	void *got;
	uint32_t id;
	int queue;

	nest_open(&n);
	queue = nest_events(&n, 16, &id);
	MUST(!pthread_create(&thread, NULL, wait_for_one, &queue));
	sched_yield();
	raise_event(&n);
	MUST(!pthread_join(thread, &got));
	EXPECT((intptr_t)got, 1);
	MUST(!close(queue) && !close(n.fd));
}

/* Section 7, VEVENTQ_ALLOC: readable when there are events, never writable. */
static void event_queue_polls(void)
{
	struct {
		struct iommufd_vevent_header head;
		uint32_t virt_id;
	} event;
	struct nest n;
	uint32_t id;
	int queue;

	nest_open(&n);
	queue = nest_events(&n, 2, &id);
	EXPECT(events(queue), 0);
	EXPECT(sys(read(queue, &event, sizeof(event))), 0);
	EXPECT(sys(write(queue, &event, sizeof(event))), -EINVAL);
	EXPECT(sys(pread(queue, &event, sizeof(event), 0)), -ESPIPE);
	for (int i = 0; i < 5; i++) {
		raise_event(&n);
		EXPECT(events(queue), POLLIN | POLLRDNORM);
	}
	for (uint32_t i = 0; i < 2; i++) {
		EXPECT(sys(read(queue, &event, sizeof(event))), sizeof(event));
		EXPECT(event.head.sequence, i);
		EXPECT(event.virt_id, 0x99);
	}
	/* What was lost is a record without an event. */
	EXPECT(events(queue), POLLIN | POLLRDNORM);
	EXPECT(sys(read(queue, &event, sizeof(event))), sizeof(event.head));
	EXPECT(event.head.flags, IOMMU_VEVENTQ_FLAG_LOST_EVENTS);
	EXPECT(events(queue), 0);
	MUST(!close(queue) && !close(n.fd));
}

/* 1.13: an open descriptor keeps its object busy, in whatever number it is open. 1.14: and the context alive. */
static void the_last_descriptor_releases(void)
{
	char buf[RECORD];
	struct nest n;
	uint32_t id;
	int queue, copy, high;

	nest_open(&n);
	queue = fault_queue(n.fd, &id);
	copy = dup(queue);
	high = fcntl(queue, F_DUPFD, 700);
	MUST(queue >= 0 && copy >= 0 && high >= 700);
	MUST(!close(queue));
	EXPECT(sys(read(queue, buf, 0)), -EBADF);
	EXPECT(destroy(n.fd, id), -EBUSY);
	EXPECT(sys(read(copy, buf, RECORD)), 0);
	EXPECT(sys(dup2(high, copy)), copy);
	EXPECT(destroy(n.fd, id), -EBUSY);
	EXPECT(sys(read(copy, buf, RECORD)), 0);
	EXPECT(sys(dup2(0, high)), high);
	EXPECT(destroy(n.fd, id), -EBUSY);
	MUST(!close(copy));
	EXPECT(destroy(n.fd, id), 0);
	MUST(!close(high));
	queue = nest_faults(&n, &id);
	MUST(!close(n.fd));
	EXPECT(sys(read(queue, buf, RECORD)), 0);
	EXPECT(events(queue), POLLOUT);
	MUST(!close(queue));
}

/* 1.7: an answer that cannot be written takes back what was made. */
static void a_failed_call_leaves_nothing(void)
{
	struct iommu_fault_alloc *cmd = (void *)pages(1, PROT_READ | PROT_WRITE);
	struct nest n;
	uint32_t id;
	int before, queue;

	nest_open(&n);
	before = dup(0);
	MUST(!close(before));
	cmd->size = sizeof(*cmd);
	MUST(!mprotect(cmd, PAGE, PROT_READ));
	EXPECT(call(n.fd, IOMMU_FAULT_QUEUE_ALLOC, cmd), -EFAULT);
	queue = fault_queue(n.fd, &id);
	EXPECT(queue, before);
	EXPECT(id, n.parent + 1);
	MUST(!close(queue) && !close(n.fd) && !munmap(cmd, PAGE));
}

/* The library's own descriptors are not the program's to close, nor in the way of what it puts where. */
static void it_polls_whatever_is_closed(void)
{
	struct nest n;
	uint32_t id;
	int queue;

	nest_open(&n);
	queue = nest_faults(&n, &id);
	for (int fd = 64; fd < 2000; fd++)
		EXPECT(sys(close(fd)), -EBADF);
	EXPECT(sys(close_range(64, ~0u, 0)), 0);
	raise_fault(&n, 1);
	EXPECT(events(queue), POLLIN | POLLRDNORM | POLLOUT);
	for (int fd = 500; fd < 600; fd++)
		EXPECT(sys(dup2(0, fd)), fd);
	serve(queue);
	EXPECT(events(queue), POLLOUT);
	raise_fault(&n, 2);
	EXPECT(events(queue), POLLIN | POLLRDNORM | POLLOUT);
	EXPECT(sys(close_range(500, 599, 0)), 0);
	serve(queue);
	EXPECT(events(queue), POLLOUT);
	MUST(!close(queue) && !close(n.fd));
}

/* What a child closes, its parent still has. */
static void a_child_has_its_own_numbers(void)
{
	char buf[RECORD];
	struct nest n;
	uint32_t id;
	int queue, status;
	pid_t child;

	nest_open(&n);
	queue = nest_faults(&n, &id);
	child = fork();
	MUST(child >= 0);
	if (!child) {
		EXPECT(sys(close(queue)), 0);
		EXPECT(sys(read(queue, buf, RECORD)), -EBADF);
		EXPECT(sys(close(n.fd)), 0);
		_exit(hostile_failures != 0);
	}
	MUST(waitpid(child, &status, 0) == child);
	EXPECT(status, 0);
	raise_fault(&n, 1);
	EXPECT(events(queue), POLLIN | POLLRDNORM | POLLOUT);
	serve(queue);
	EXPECT(destroy(n.fd, id), -EBUSY);
	MUST(!close(queue) && !close(n.fd));
}

/* Section 11, CREATE_ACCESS: a file without any operation. */
static void access_is_a_file(void)
{
	struct mock_cmd cmd = { 0 };
	struct epoll_event ev = { .events = EPOLLIN };
	int fd = open("/dev/iommu", O_RDWR), epoll = epoll_create1(0), access, queue;
	uint32_t ioas, id;
	char c = 0;

	MUST(fd >= 0 && epoll >= 0);
	ioas = new_ioas(fd);
	EXPECT(mock(fd, &cmd, MOCK_CREATE_ACCESS, ioas), 0);
	access = (int)cmd.w[0];
	EXPECT(events(access), POLLIN | POLLRDNORM | POLLOUT);
	EXPECT(sys(epoll_ctl(epoll, EPOLL_CTL_ADD, access, &ev)), -EPERM);
	EXPECT(sys(read(access, &c, 1)), -EINVAL);
	EXPECT(sys(write(access, &c, 1)), -EINVAL);
	EXPECT(sys(lseek(access, 0, SEEK_END)), -ESPIPE);
	EXPECT(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, access, 0) == MAP_FAILED ? -errno : 0, -ENODEV);
	EXPECT(sys(fcntl(access, F_GETFD)), FD_CLOEXEC);
	EXPECT(destroy(fd, ioas), -EBUSY);
	cmd = (struct mock_cmd){ 0 };
	/* Another kind of descriptor is not an access. */
	EXPECT(mock(fd, &cmd, MOCK_ACCESS_RW, (uint32_t)epoll), -EBADFD);
	EXPECT(mock(fd, &cmd, MOCK_ACCESS_RW, (uint32_t)fd), -EBADFD);
	queue = fault_queue(fd, &id);
	EXPECT(mock(fd, &cmd, MOCK_ACCESS_RW, (uint32_t)queue), -EBADFD);
	EXPECT(mock(fd, &cmd, MOCK_ACCESS_RW, 900), -EBADF);
	MUST(!close(access) && !close(queue));
	EXPECT(destroy(fd, ioas), 0);
	MUST(!close(epoll) && !close(fd));
}

/* Section 11, DMABUF_GET: it has a length, and memory that can be mapped for DMA. */
static void dma_buf_is_a_file(void)
{
	struct mock_cmd cmd = { .w = { 2 * PAGE, O_CLOEXEC | O_RDWR } };
	struct iommu_ioas_map_file map_file = { .size = sizeof(map_file), .flags = IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE };
	struct nest n;
	struct stat st;
	char c = 0;
	int buf;

	nest_open(&n);
	buf = (int)mock(n.fd, &cmd, MOCK_DMABUF_GET, 0);
	MUST(buf >= 0);
	EXPECT(sys(fcntl(buf, F_GETFD)), FD_CLOEXEC);
	EXPECT(sys(lseek(buf, 0, SEEK_END)), 2 * PAGE);
	EXPECT(sys(fstat(buf, &st)), 0);
	EXPECT(st.st_size, 2 * PAGE);
	EXPECT(sys(read(buf, &c, 1)), -EINVAL);
	EXPECT(sys(ftruncate(buf, 0)), -EINVAL);
	map_file.ioas_id = n.ioas;
	map_file.fd = buf;
	map_file.length = 2 * PAGE;
	EXPECT(call(n.fd, IOMMU_IOAS_MAP_FILE, &map_file), 0);
	map_file.start = PAGE;
	EXPECT(call(n.fd, IOMMU_IOAS_MAP_FILE, &map_file), -EINVAL);
	MUST(!close(buf));
	cmd = (struct mock_cmd){ .w = { 2 * PAGE, O_RDWR } };
	buf = (int)mock(n.fd, &cmd, MOCK_DMABUF_GET, 0);
	MUST(buf >= 0);
	EXPECT(sys(fcntl(buf, F_GETFD)), 0);
	MUST(!close(buf) && !close(n.fd));
}

int main(void)
{
	/* What was inherited is nobody's here. */
	closefrom(3);
	fault_queue_is_a_file();
	fault_queue_polls();
	each_fault_is_an_edge();
	a_sleeping_poll_wakes();
	event_queue_polls();
	the_last_descriptor_releases();
	a_failed_call_leaves_nothing();
	it_polls_whatever_is_closed();
	a_child_has_its_own_numbers();
	access_is_a_file();
	dma_buf_is_a_file();
	return hostile_end();
}
