/* SPDX-License-Identifier: MIT */
/* A context over the process's own memory, with devices of the kind `generic`. */
#ifndef TEST_IOMMUFD_COMMON_H
#define TEST_IOMMUFD_COMMON_H

#include "base/alloc.h"
#include "base/bits.h"
#include "base/log.h"
#include "base/safe.h"
#include "core/domain.h"
#include "core/driver.h"
#include "iommufd/iommufd.h"
#include "iommufd/uapi.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <cmocka.h>

#define MAX (~(u64)0)
#define PAGE UI_PAGE_BYTES

enum { N_DEVICES = 4 };

/* Devices 0 and 1 stand alone, 2 has no PASIDs, 3 and 0 are of different groups; see rig_open_grouped(). */
struct rig {
	struct ui_mem *mem;
	struct ui_iommu *iommu;
	struct ui_device *dev[N_DEVICES];
	struct ui_dma *port[N_DEVICES];
	struct ui_iommufd *ctx;
	struct ui_binder binder;
	struct ui_bound *bound[N_DEVICES];
	u32 dev_id[N_DEVICES];
	u64 live; /* allocations before */
};

/* cmocka sets its own handlers before each test and each fixture: ours goes in front, as the owner of a process's signals would
 * have it. */
static inline void on_bad_access(int sig, siginfo_t *info, void *ucontext)
{
	if (!ui_safe_recover(sig, info, ucontext))
		signal(sig, SIG_DFL);
}

static inline void recover_bad_accesses(void)
{
	struct sigaction act = { .sa_flags = SA_SIGINFO | SA_ONSTACK };

	act.sa_sigaction = on_bad_access;
	assert_int_equal(sigaction(SIGSEGV, &act, NULL), 0);
	assert_int_equal(sigaction(SIGBUS, &act, NULL), 0);
}

struct body {
	void (*fn)(void **state);
};

static inline void run_body(void **state)
{
	recover_bad_accesses();
	((struct body *)*state)->fn(state);
}

/* A test between setup() and teardown(). */
#define T(name) { #name, run_body, setup, teardown, &(struct body){ name } }

static inline void rig_open_kind(struct rig *rig, const struct ui_driver_ops *driver, const struct ui_iommufd_env *env, u32 group)
{
	*rig = (struct rig){ .live = ui_alloc_live() };
	recover_bad_accesses();
	rig->mem = ui_mem_create_process();
	rig->iommu = ui_iommu_create(driver, rig->mem);
	assert_non_null(rig->iommu);
	for (u32 i = 0; i < N_DEVICES; i++) {
		struct ui_device_cfg cfg = { .rid = 0x100 + i * 8, .pasid_bits = i == 2 ? 0 : 16, .name = "test", .group = i < 2 ? group : 0 };

		rig->dev[i] = ui_device_create(rig->iommu, &cfg);
		assert_non_null(rig->dev[i]);
		rig->port[i] = ui_device_port_open(rig->dev[i]);
		assert_non_null(rig->port[i]);
	}
	rig->ctx = ui_iommufd_open(env);
	assert_non_null(rig->ctx);
	rig->binder = ui_iommufd_binder(rig->ctx);
}

static inline void rig_open(struct rig *rig, const struct ui_iommufd_env *env, u32 group)
{
	rig_open_kind(rig, ui_driver_find("generic"), env, group);
}

static inline void rig_bind(struct rig *rig, unsigned i)
{
	assert_int_equal(rig->binder.ops->bind(rig->binder.ctx, rig->dev[i], &rig->dev_id[i], &rig->bound[i]), 0);
}

static inline void rig_unbind(struct rig *rig, unsigned i)
{
	if (rig->bound[i])
		rig->binder.ops->unbind(rig->bound[i]);
	rig->bound[i] = NULL;
}

static inline void rig_close(struct rig *rig)
{
	for (unsigned i = 0; i < N_DEVICES; i++)
		rig_unbind(rig, i);
	if (rig->ctx)
		ui_iommufd_close(rig->ctx);
	for (unsigned i = 0; i < N_DEVICES; i++) {
		ui_dma_close(rig->port[i]);
		ui_device_destroy(rig->dev[i]);
	}
	ui_iommu_destroy(rig->iommu);
	ui_mem_destroy(rig->mem);
	assert_int_equal(ui_alloc_live(), rig->live);
}

static inline long call(struct rig *rig, u32 cmd, const void *arg)
{
	return ui_iommufd_ioctl(rig->ctx, cmd, (u64)(uintptr_t)arg);
}

static inline int attach(struct rig *rig, unsigned i, u32 pasid, u32 *pt)
{
	return rig->binder.ops->attach(rig->bound[i], pasid, pasid != 0, pt);
}

static inline void detach(struct rig *rig, unsigned i, u32 pasid)
{
	rig->binder.ops->detach(rig->bound[i], pasid, pasid != 0);
}

static inline u32 ioas_new(struct rig *rig)
{
	struct ui_uapi_ioas_alloc cmd = { .size = sizeof(cmd) };

	assert_int_equal(call(rig, UI_UAPI_IOAS_ALLOC, &cmd), 0);
	return cmd.out_ioas_id;
}

static inline long destroy(struct rig *rig, u32 id)
{
	struct ui_uapi_destroy cmd = { .size = sizeof(cmd), .id = id };

	return call(rig, UI_UAPI_DESTROY, &cmd);
}

enum { RW = UI_UAPI_MAP_READABLE | UI_UAPI_MAP_WRITEABLE, FIXED = UI_UAPI_MAP_FIXED_IOVA };

static inline long map(struct rig *rig, u32 ioas, u32 flags, const void *va, u64 length, u64 *iova)
{
	struct ui_uapi_ioas_map cmd = {
		.size = sizeof(cmd), .flags = flags, .ioas_id = ioas, .user_va = (u64)(uintptr_t)va, .length = length, .iova = *iova
	};
	long ret = call(rig, UI_UAPI_IOAS_MAP, &cmd);

	if (!ret)
		*iova = cmd.iova;
	return ret;
}

static inline long map_at(struct rig *rig, u32 ioas, const void *va, u64 length, u64 iova)
{
	return map(rig, ioas, RW | FIXED, va, length, &iova);
}

static inline long map_file(struct rig *rig, u32 ioas, u32 flags, int fd, u64 start, u64 length, u64 *iova)
{
	struct ui_uapi_ioas_map_file cmd = {
		.size = sizeof(cmd), .flags = flags, .ioas_id = ioas, .fd = fd, .start = start, .length = length, .iova = *iova
	};
	long ret = call(rig, UI_UAPI_IOAS_MAP_FILE, &cmd);

	if (!ret)
		*iova = cmd.iova;
	return ret;
}

static inline long unmap(struct rig *rig, u32 ioas, u64 iova, u64 length, u64 *removed)
{
	struct ui_uapi_ioas_unmap cmd = { .size = sizeof(cmd), .ioas_id = ioas, .iova = iova, .length = length };
	long ret = call(rig, UI_UAPI_IOAS_UNMAP, &cmd);

	if (removed)
		*removed = cmd.length;
	return ret;
}

static inline long copy(struct rig *rig, u32 dst, u32 src, u32 flags, u64 src_iova, u64 length, u64 *dst_iova)
{
	struct ui_uapi_ioas_copy cmd = {
		.size = sizeof(cmd), .flags = flags, .dst_ioas_id = dst, .src_ioas_id = src, .length = length, .dst_iova = *dst_iova, .src_iova = src_iova
	};
	long ret = call(rig, UI_UAPI_IOAS_COPY, &cmd);

	if (!ret)
		*dst_iova = cmd.dst_iova;
	return ret;
}

static inline long allow(struct rig *rig, u32 ioas, const struct ui_uapi_iova_range *list, u32 n)
{
	struct ui_uapi_ioas_allow_iovas cmd = {
		.size = sizeof(cmd), .ioas_id = ioas, .num_iovas = n, .allowed_iovas = (u64)(uintptr_t)list
	};

	return call(rig, UI_UAPI_IOAS_ALLOW_IOVAS, &cmd);
}

static inline long ranges(struct rig *rig, u32 ioas, struct ui_uapi_iova_range *list, u32 *n, u64 *alignment)
{
	struct ui_uapi_ioas_iova_ranges cmd = {
		.size = sizeof(cmd), .ioas_id = ioas, .num_iovas = *n, .allowed_iovas = (u64)(uintptr_t)list
	};
	long ret = call(rig, UI_UAPI_IOAS_IOVA_RANGES, &cmd);

	*n = cmd.num_iovas;
	if (alignment)
		*alignment = cmd.out_iova_alignment;
	return ret;
}

static inline long hwpt_new(struct rig *rig, u32 dev_id, u32 pt, u32 flags, u32 *id)
{
	struct ui_uapi_hwpt_alloc cmd = { .size = sizeof(cmd), .flags = flags, .dev_id = dev_id, .pt_id = pt };
	long ret = call(rig, UI_UAPI_HWPT_ALLOC, &cmd);

	*id = cmd.out_hwpt_id;
	return ret;
}

static inline long option(struct rig *rig, u32 option_id, u16 op, u32 object, u64 *val)
{
	struct ui_uapi_option cmd = { .size = sizeof(cmd), .option_id = option_id, .op = op, .object_id = object, .val64 = *val };
	long ret = call(rig, UI_UAPI_OPTION, &cmd);

	*val = cmd.val64;
	return ret;
}

static inline long huge_pages(struct rig *rig, u32 ioas, u64 on)
{
	return option(rig, UI_UAPI_OPTION_HUGE_PAGES, UI_UAPI_OPTION_OP_SET, ioas, &on);
}

/* Anonymous memory of the program's, page-aligned. */
static inline u8 *pages_new(u64 n_bytes)
{
	u8 *at = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(at, MAP_FAILED);
	return at;
}

static inline enum ui_dma_status dma_read(struct rig *rig, unsigned i, u32 pasid, u64 iova, void *buf, u64 n_bytes)
{
	struct ui_dma_addr at = { .iova = iova, .pasid = pasid, .has_pasid = pasid != 0 };

	return ui_dma_read(rig->port[i], &at, buf, n_bytes, NULL, NULL);
}

static inline enum ui_dma_status dma_write(struct rig *rig, unsigned i, u32 pasid, u64 iova, const void *buf, u64 n_bytes)
{
	struct ui_dma_addr at = { .iova = iova, .pasid = pasid, .has_pasid = pasid != 0 };

	return ui_dma_write(rig->port[i], &at, buf, n_bytes, NULL, NULL);
}

static inline unsigned random_seed(void)
{
	const char *given = getenv("UIOMMU_TEST_SEED");
	unsigned seed = given ? (unsigned)strtoul(given, NULL, 0) : (unsigned)time(NULL);

	print_message("UIOMMU_TEST_SEED=%u\n", seed);
	srand(seed);
	return seed;
}

#endif
