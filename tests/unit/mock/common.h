/* SPDX-License-Identifier: MIT */
/* A context of the kind mock, and descriptors of calls as an environment may make them. */
#ifndef TEST_MOCK_COMMON_H
#define TEST_MOCK_COMMON_H

#include "../iommufd/common.h"

#include "base/sys.h"
#include "mock/mock.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { MEM_PAGES = 16, MAX_FDS = 256 };

/* Iovas that every mock domain has. */
#define IOVA ((u64)1 << 24)

static struct rig rig;
static struct ui_mock *mock;
static u8 *mem; /* MEM_PAGES of the program's */

/* ---- descriptors ---- */

struct file {
	const struct ui_iommufd_file_ops *ops;
	void *obj;
	unsigned held;
	bool readable;
};

static struct file files[MAX_FDS];

static inline int file_new(void *arg, const struct ui_iommufd_file_ops *ops, void *obj, u64 memory_bytes)
{
	int fd;

	if (ui_inject_point())
		return -EMFILE;
	fd = memory_bytes ? ui_sys_memfd_create("test", 0) : eventfd(0, EFD_CLOEXEC);
	assert_in_range(fd, 0, MAX_FDS - 1);
	if (memory_bytes)
		assert_int_equal(ui_sys_ftruncate(fd, memory_bytes), 0);
	files[fd] = (struct file){ .ops = ops, .obj = obj };
	return fd;
}

static inline void file_drop(void *arg, int fd)
{
	files[fd] = (struct file){ .ops = NULL };
	ui_sys_close(fd);
}

static inline void file_readable(void *arg, void *obj, bool now)
{
	for (unsigned fd = 0; fd < MAX_FDS; fd++) {
		if (files[fd].obj == obj)
			files[fd].readable = now;
	}
}

static inline void *file_get(void *arg, int fd, const struct ui_iommufd_file_ops *ops)
{
	if (fd < 0 || fd >= MAX_FDS || files[fd].ops != ops)
		return NULL;
	files[fd].held++;
	return files[fd].obj;
}

static inline void file_put(void *arg, void *obj)
{
	for (unsigned fd = 0; fd < MAX_FDS; fd++) {
		if (files[fd].obj == obj && files[fd].held) {
			files[fd].held--;
			return;
		}
	}
	fail();
}

static inline void file_close(int fd)
{
	struct file file = files[fd];

	assert_non_null(file.ops);
	assert_int_equal(file.held, 0);
	files[fd] = (struct file){ .ops = NULL };
	ui_sys_close(fd);
	file.ops->release(file.obj);
}

static const struct ui_iommufd_env file_env = {
	.file_new = file_new, .file_drop = file_drop, .file_readable = file_readable, .file_get = file_get, .file_put = file_put,
};

/* ---- the rig ---- */

static inline int setup(void **state)
{
	rig_open(&rig, NULL, 0);
	ui_iommufd_close(rig.ctx);
	mock = ui_mock_create();
	assert_non_null(mock);
	rig.ctx = ui_mock_open(mock, &file_env);
	assert_non_null(rig.ctx);
	rig.binder = ui_iommufd_binder(rig.ctx);
	mem = pages_new(MEM_PAGES * PAGE);
	return 0;
}

static inline int teardown(void **state)
{
	for (unsigned i = 0; i < N_DEVICES; i++)
		rig_unbind(&rig, i);
	for (unsigned fd = 0; fd < MAX_FDS; fd++) {
		if (files[fd].ops)
			file_close((int)fd);
	}
	if (rig.ctx)
		ui_iommufd_close(rig.ctx);
	rig.ctx = NULL;
	ui_mock_destroy(mock);
	rig_close(&rig);
	munmap(mem, MEM_PAGES * PAGE);
	return 0;
}

/* ---- the test command ---- */

enum {
	ADD_RESERVED = 1, MOCK_DOMAIN, MD_CHECK_MAP, MD_CHECK_REFS, CREATE_ACCESS, DESTROY_ACCESS_PAGES, ACCESS_PAGES, ACCESS_RW,
	SET_TEMP_MEMORY_LIMIT, MOCK_DOMAIN_REPLACE, ACCESS_REPLACE_IOAS, MOCK_DOMAIN_FLAGS, DIRTY, MD_CHECK_IOTLB, TRIGGER_IOPF,
	DEV_CHECK_CACHE, TRIGGER_VEVENT, PASID_ATTACH, PASID_REPLACE, PASID_DETACH, PASID_CHECK_HWPT, DMABUF_GET, DMABUF_REVOKE,
};

enum { NO_DIRTY = 1, PASIDS = 4 };

struct test_cmd {
	u32 size, op, id, reserved;
	union {
		u64 u[6];
		u32 w[12];
	};
	u64 last;
};

static inline long test_call(struct test_cmd *cmd)
{
	cmd->size = sizeof(*cmd);
	return call(&rig, 0x3ba0, cmd);
}

static inline long test(u32 op, u32 id, u64 a, u64 b, u64 c)
{
	struct test_cmd cmd = { .op = op, .id = id, .u = { a, b, c } };

	return test_call(&cmd);
}

/* Two words, as PASIDs, indices and the like are given. */
static inline long test_w(u32 op, u32 id, u32 a, u32 b)
{
	struct test_cmd cmd = { .op = op, .id = id, .w = { a, b } };

	return test_call(&cmd);
}

struct mock_dev {
	u32 stdev, hwpt, dev;
};

static inline long mock_domain(u32 pt, u32 flags, struct mock_dev *out)
{
	struct test_cmd cmd = { .op = flags ? MOCK_DOMAIN_FLAGS : MOCK_DOMAIN, .id = pt, .w = { 0, 0, 0, flags } };
	long ret = test_call(&cmd);

	*out = (struct mock_dev){ .stdev = cmd.w[0], .hwpt = cmd.w[1], .dev = cmd.w[2] };
	return ret;
}

static inline long check_map(u32 hwpt, u64 iova, u64 length, const void *at)
{
	return test(MD_CHECK_MAP, hwpt, iova, length, (u64)(uintptr_t)at);
}

static inline long check_refs(const void *at, u64 n_bytes, u32 refs)
{
	struct test_cmd cmd = { .op = MD_CHECK_REFS, .u = { n_bytes, (u64)(uintptr_t)at, refs } };

	return test_call(&cmd);
}

struct hwpt_data {
	u32 iotlb, type;
};

static inline long hwpt_data_new(u32 dev, u32 pt, u32 flags, u32 data_type, const void *data, u32 data_len, u32 *id)
{
	struct ui_uapi_hwpt_alloc cmd = {
		.size = sizeof(cmd), .flags = flags, .dev_id = dev, .pt_id = pt, .data_type = data_type, .data_len = data_len,
		.data_uptr = (u64)(uintptr_t)data,
	};
	long ret = call(&rig, UI_UAPI_HWPT_ALLOC, &cmd);

	*id = cmd.out_hwpt_id;
	return ret;
}

static inline long nested_new(u32 dev, u32 parent, u32 flags, u32 *id)
{
	const struct hwpt_data data = { .iotlb = 0x1234 };

	return hwpt_data_new(dev, parent, flags, 0xdead, &data, sizeof(data), id);
}

static inline long invalidate(u32 id, u32 type, const void *entries, u32 entry_len, u32 *n)
{
	struct ui_uapi_hwpt_invalidate cmd = {
		.size = sizeof(cmd), .hwpt_id = id, .data_uptr = (u64)(uintptr_t)entries, .data_type = type, .entry_len = entry_len,
		.entry_num = *n,
	};
	long ret = call(&rig, UI_UAPI_HWPT_INVALIDATE, &cmd);

	*n = cmd.entry_num;
	return ret;
}

#endif
