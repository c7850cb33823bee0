/* SPDX-License-Identifier: MIT */
/* A served `dma` function and a client of the test's own, at two ends of a socket pair. */
#ifndef TEST_VFIO_USER_COMMON_H
#define TEST_VFIO_USER_COMMON_H

#include "base/alloc.h"
#include "base/bits.h"
#include "base/log.h"
#include "base/safe.h"
#include "base/sys.h"
#include "devices/pci_regs.h"
#include "machine/instance.h"
#include "vfio/uapi.h"
#include "vfio_user/proto.h"
#include "vfio_user/vfio_user.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* cmocka wants the headers above. */
#include <cmocka.h>

enum { PAGE = 4096, MAX_PAYLOAD = 1 << 17, DOORBELLS = 2, REGISTERS = 0, TABLE = 4 };

struct side {
	struct ui_machine *machine;
	int bar_fd;
	struct ui_vu_env env;
	struct ui_vu *vu;
	int client;
	u16 id;
	/* The last answer. */
	struct vu_head head;
	u8 payload[MAX_PAYLOAD];
	u32 n_bytes;
	int fd;
};

static const char capabilities[] = "{\"capabilities\":{\"max_msg_fds\":8,\"max_data_xfer_size\":1048576}}";

static inline unsigned open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static inline struct ui_machine_pci *device(struct side *s)
{
	return &s->machine->devices[0];
}

/* --- the client --- */

static inline void send_raw(struct side *s, const void *buf, size_t n_bytes, const int *fds, unsigned n_fds)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(64 * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)buf, n_bytes };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n_fds) {
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.head), fds, n_fds * sizeof(int));
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
	}
	assert_int_equal(sendmsg(s->client, &msg, MSG_NOSIGNAL), (ssize_t)n_bytes);
}

static inline void send_message(struct side *s, u16 command, u32 flags, const void *payload, u32 n_bytes, const int *fds, unsigned n_fds)
{
	u8 *buf = malloc(sizeof(struct vu_head) + n_bytes);
	struct vu_head head = { .id = ++s->id, .command = command, .n_bytes = (u32)sizeof(head) + n_bytes, .flags = flags };

	assert_non_null(buf);
	memcpy(buf, &head, sizeof(head));
	if (n_bytes)
		memcpy(buf + sizeof(head), payload, n_bytes);
	send_raw(s, buf, sizeof(head) + n_bytes, fds, n_fds);
	free(buf);
}

/* True when a message was there; its descriptor is in s->fd. */
static inline bool receive(struct side *s)
{
	unsigned n_fds;
	ssize_t n = ui_sys_recv_fds(s->client, &s->head, sizeof(s->head), &s->fd, 1, &n_fds);

	if (n <= 0)
		return false;
	assert_int_equal(n, sizeof(s->head));
	assert_true(n_fds <= 1);
	if (!n_fds)
		s->fd = -1;
	s->n_bytes = s->head.n_bytes - (u32)sizeof(s->head);
	assert_true(s->n_bytes <= MAX_PAYLOAD);
	for (u32 done = 0; done < s->n_bytes; done += (u32)n) {
		n = recv(s->client, s->payload + done, s->n_bytes - done, MSG_DONTWAIT);
		assert_true(n > 0);
	}
	return true;
}

/* Sends, has the server work, takes the answer. The answer's errno. */
static inline int ask_fds(struct side *s, u16 command, const void *payload, u32 n_bytes, const int *fds, unsigned n_fds)
{
	send_message(s, command, VU_REQUEST, payload, n_bytes, fds, n_fds);
	assert_int_equal(ui_vu_run(s->vu), 0);
	assert_true(receive(s));
	assert_int_equal(s->head.id, s->id);
	assert_int_equal(s->head.command, command);
	assert_int_equal(s->head.flags & VU_TYPE, VU_REPLY);
	assert_int_equal(!!(s->head.flags & VU_ERROR), !!s->head.error);
	if (s->head.error)
		assert_int_equal(s->n_bytes, 0);
	return (int)s->head.error;
}

static inline int ask(struct side *s, u16 command, const void *payload, u32 n_bytes)
{
	return ask_fds(s, command, payload, n_bytes, NULL, 0);
}

static inline u32 version_payload(u8 *to, u16 major, const char *json)
{
	struct vu_version version = { .major = major };

	memcpy(to, &version, sizeof(version));
	strcpy((char *)to + sizeof(version), json);
	return (u32)(sizeof(version) + strlen(json) + 1);
}

static inline int ask_version(struct side *s, const char *json)
{
	u8 payload[1024];

	return ask(s, VU_VERSION, payload, version_payload(payload, 0, json));
}

static inline int map_region(struct side *s, u64 iova, u64 n_bytes, u32 flags, int fd, u64 offset)
{
	struct vu_dma_map map = { .argsz = sizeof(map), .flags = flags, .offset = offset, .iova = iova, .n_bytes = n_bytes };

	return ask_fds(s, VU_DMA_MAP, &map, sizeof(map), &fd, fd >= 0);
}

static inline int unmap_region(struct side *s, u64 iova, u64 n_bytes, u32 flags)
{
	struct vu_dma_unmap unmap = { .argsz = sizeof(unmap), .flags = flags, .iova = iova, .n_bytes = n_bytes };

	return ask(s, VU_DMA_UNMAP, &unmap, sizeof(unmap));
}

static inline int region_read(struct side *s, u32 region, u64 offset, u32 n_bytes)
{
	struct vu_region_rw rw = { offset, region, n_bytes };

	return ask(s, VU_REGION_READ, &rw, sizeof(rw));
}

static inline u64 read_number(struct side *s, u32 region, u64 offset, u32 n_bytes)
{
	u64 val = 0;

	assert_int_equal(region_read(s, region, offset, n_bytes), 0);
	assert_int_equal(s->n_bytes, sizeof(struct vu_region_rw) + n_bytes);
	memcpy(&val, s->payload + sizeof(struct vu_region_rw), n_bytes);
	return val;
}

static inline u32 write_payload(u8 *to, u32 region, u64 offset, u64 val, u32 n_bytes)
{
	struct vu_region_rw rw = { offset, region, n_bytes };

	memcpy(to, &rw, sizeof(rw));
	memcpy(to + sizeof(rw), &val, n_bytes);
	return (u32)sizeof(rw) + n_bytes;
}

static inline int region_write(struct side *s, u32 region, u64 offset, u64 val, u32 n_bytes)
{
	u8 payload[32];

	return ask(s, VU_REGION_WRITE, payload, write_payload(payload, region, offset, val, n_bytes));
}

/* --- both --- */

static inline int side_connect(struct side *s)
{
	struct ui_vu_device dev = { .pci = device(s)->pci, .dev = device(s)->dev, .mem = s->machine->mem, .name = device(s)->name };
	int fds[2], ret;

	for (unsigned i = 0; i < UI_PCI_N_BARS; i++)
		dev.bar_fds[i] = device(s)->bar_mem[i] ? s->bar_fd : -1;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	s->client = fds[0];
	ret = ui_vu_create(&dev, &s->env, fds[1], &s->vu);
	if (ret) {
		close(s->client);
		s->vu = NULL;
	}
	return ret;
}

static inline void side_leave(struct side *s)
{
	if (!s->vu)
		return;
	ui_vu_destroy(s->vu);
	s->vu = NULL;
	close(s->client);
}

static inline void recover(int sig, siginfo_t *info, void *ucontext)
{
	if (!ui_safe_recover(sig, info, ucontext))
		abort();
}

/* cmocka puts handlers of its own around every test function: one that lets the library meet bad memory starts with this. */
static inline void signals_own(void)
{
	struct sigaction sa = { .sa_flags = SA_SIGINFO | SA_ONSTACK, .sa_sigaction = recover };

	assert_int_equal(sigaction(SIGSEGV, &sa, NULL) | sigaction(SIGBUS, &sa, NULL), 0);
}

static inline void side_open(struct side *s, const struct ui_vu_env *env)
{
	struct ui_machine_desc desc;
	char err[256];

	memset(s, 0, sizeof(*s));
	ui_log_set(UI_LOG_NONE, NULL, NULL);
	if (env)
		s->env = *env;
	ui_machine_desc_init(&desc);
	assert_int_equal(ui_machine_desc_add(&desc, "dma", err, sizeof(err)), 0);
	assert_int_equal(ui_machine_create_apart(&desc, 0, NULL, 0, &s->machine, err, sizeof(err)), 0);
	s->bar_fd = memfd_create("bar", MFD_CLOEXEC);
	assert_true(s->bar_fd >= 0);
	assert_int_equal(ftruncate(s->bar_fd, (off_t)device(s)->model->bars[DOORBELLS].n_bytes), 0);
	assert_ptr_equal(mmap(device(s)->bar_mem[DOORBELLS], device(s)->model->bars[DOORBELLS].n_bytes, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_FIXED, s->bar_fd, 0), device(s)->bar_mem[DOORBELLS]);
}

static inline void side_close(struct side *s)
{
	side_leave(s);
	ui_machine_destroy(s->machine);
	close(s->bar_fd);
}

/* A file of the client's, and what it sees of it. */
static inline int memory_new(u64 n_bytes, u8 **seen)
{
	int fd = memfd_create("guest", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)n_bytes), 0);
	*seen = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(*seen != MAP_FAILED);
	return fd;
}

/* The device's own DMA. */
static inline enum ui_dma_status dma_get(struct side *s, u64 iova, void *buf, u64 n_bytes)
{
	return ui_dma_read(device(s)->port, &(struct ui_dma_addr){ .iova = iova }, buf, n_bytes, NULL, NULL);
}

static inline enum ui_dma_status dma_put(struct side *s, u64 iova, const void *buf, u64 n_bytes)
{
	return ui_dma_write(device(s)->port, &(struct ui_dma_addr){ .iova = iova }, buf, n_bytes, NULL, NULL);
}

static inline int connected_setup(void **state)
{
	static struct side s;

	side_open(&s, NULL);
	assert_int_equal(side_connect(&s), 0);
	assert_int_equal(ask_version(&s, capabilities), 0);
	*state = &s;
	return 0;
}

static inline int connected_teardown(void **state)
{
	side_close(*state);
	return 0;
}

#define connected(test) cmocka_unit_test_setup_teardown(test, connected_setup, connected_teardown)

#endif
