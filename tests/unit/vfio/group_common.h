/* SPDX-License-Identifier: MIT */
/* A machine of three `dma` devices, two of them in one group, with an iommufd and two containers behind made-up descriptors. */
#ifndef TEST_VFIO_GROUP_COMMON_H
#define TEST_VFIO_GROUP_COMMON_H

#include "base/alloc.h"
#include "base/bits.h"
#include "base/safe.h"
#include "core/domain.h"
#include "devices/pci_regs.h"
#include "iommufd/iommufd.h"
#include "iommufd/uapi.h"
#include "machine/instance.h"
#include "vfio/group.h"
#include "vfio/uapi.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define PAGE UI_PAGE_BYTES

enum { FD_IOMMUFD = 100, FD_CONTAINER, FD_CONTAINER2, FD_OTHER, N_CTX = 3, DEVICE_FD = 200, N_DEVS = 3, N_GROUPS = 2 };

/* Devices 0 and 1 are group 0, device 2 is group 1. */
struct rig {
	struct ui_machine *machine;
	struct ui_vfio_member members[N_DEVS];
	struct ui_vfio_group *groups[N_GROUPS];
	struct ui_iommufd *ctx[N_CTX];
	atomic_uint n_holds[N_CTX];
	struct ui_vfio *devs[N_DEVS];
	void *tokens[N_DEVS];
	u8 *mem;
	u64 live;
};

static struct rig rig;

static inline int tie_get(void *arg, int fd, struct ui_binder *out, void **token)
{
	unsigned i = (unsigned)(fd - FD_IOMMUFD);

	if (fd == FD_OTHER)
		return -EBADFD;
	if (i >= N_CTX || !rig.ctx[i])
		return -EBADF;
	*out = ui_iommufd_binder(rig.ctx[i]);
	*token = &rig.n_holds[i];
	rig.n_holds[i]++;
	return 0;
}

static inline void tie_put(void *arg, void *token)
{
	--*(atomic_uint *)token;
}

static inline void tie_hold(void *arg, void *token)
{
	++*(atomic_uint *)token;
}

/* @arg: the group's first device. */
static inline int device_fd(void *arg, unsigned i)
{
	unsigned index = *(unsigned *)arg + i;
	int ret = ui_vfio_group_open_device(rig.groups[index / 2], i, &rig.devs[index], &rig.tokens[index]);

	return ret ? ret : DEVICE_FD + (int)index;
}

static inline int group_open(unsigned g)
{
	static unsigned first[N_GROUPS] = { 0, 2 };
	const struct ui_vfio_group_env env = { tie_get, tie_put, tie_hold, device_fd, &first[g] };

	return ui_vfio_group_open(rig.groups[g], &env);
}

static inline void device_close(unsigned i)
{
	ui_vfio_close(rig.devs[i]);
	rig.devs[i] = NULL;
	if (rig.tokens[i])
		tie_put(NULL, rig.tokens[i]);
	rig.tokens[i] = NULL;
}

static inline void on_bad_access(int sig, siginfo_t *info, void *ucontext)
{
	if (!ui_safe_recover(sig, info, ucontext))
		signal(sig, SIG_DFL);
}

/* cmocka sets its own handlers before each test. */
static inline void catch_faults(void)
{
	struct sigaction act = { .sa_flags = SA_SIGINFO };

	act.sa_sigaction = on_bad_access;
	sigaction(SIGSEGV, &act, NULL);
	sigaction(SIGBUS, &act, NULL);
}

static inline int setup(void **state)
{
	static const char *const specs[N_DEVS] = { "dma,group=7", "dma,group=7", "dma,group=3" };
	struct ui_machine_desc desc;
	char err[256];

	memset(&rig, 0, sizeof(rig));
	ui_log_set(UI_LOG_ERROR, NULL, NULL);
	rig.live = ui_alloc_live();
	ui_machine_desc_init(&desc);
	for (unsigned i = 0; i < N_DEVS; i++)
		assert_int_equal(ui_machine_desc_add(&desc, specs[i], err, sizeof(err)), 0);
	assert_int_equal(ui_machine_create(&desc, &rig.machine, err, sizeof(err)), 0);
	for (unsigned i = 0; i < N_DEVS; i++) {
		const struct ui_machine_pci *dev = &rig.machine->devices[i];

		rig.members[i] = (struct ui_vfio_member){ dev->name, dev->pci, dev->dev };
	}
	rig.groups[0] = ui_vfio_group_create(rig.members, 2);
	rig.groups[1] = ui_vfio_group_create(rig.members + 2, 1);
	rig.ctx[0] = ui_iommufd_open(NULL);
	rig.ctx[1] = ui_iommufd_open_container(NULL);
	rig.ctx[2] = ui_iommufd_open_container(NULL);
	rig.mem = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(rig.mem, MAP_FAILED);
	return 0;
}

/* Everything is closed: nothing is left. */
static inline int teardown(void **state)
{
	for (unsigned i = 0; i < N_CTX; i++) {
		assert_int_equal(rig.n_holds[i], 0);
		if (rig.ctx[i])
			ui_iommufd_close(rig.ctx[i]);
	}
	for (unsigned i = 0; i < N_GROUPS; i++)
		ui_vfio_group_destroy(rig.groups[i]);
	ui_machine_destroy(rig.machine);
	munmap(rig.mem, 16 * PAGE);
	assert_int_equal(ui_alloc_live(), rig.live);
	return 0;
}

static inline long gcall(unsigned g, u32 cmd, const void *arg)
{
	return ui_vfio_group_ioctl(rig.groups[g], cmd, (u64)(uintptr_t)arg);
}

static inline long set(unsigned g, int fd)
{
	s32 arg = fd;

	return gcall(g, UI_VFIO_GROUP_SET_CONTAINER, &arg);
}

static inline long unset(unsigned g)
{
	return gcall(g, UI_VFIO_GROUP_UNSET_CONTAINER, NULL);
}

static inline long get_fd(unsigned g, const char *name)
{
	return gcall(g, UI_VFIO_GROUP_GET_DEVICE_FD, name);
}

/* Flags of GET_STATUS. */
static inline u32 status(unsigned g)
{
	struct ui_vfio_group_status s = { .argsz = sizeof(s) };

	assert_int_equal(gcall(g, UI_VFIO_GROUP_GET_STATUS, &s), 0);
	return s.flags;
}

static inline long ccall(int fd, u32 cmd, const void *arg)
{
	return ui_iommufd_ioctl(rig.ctx[fd - FD_IOMMUFD], cmd, (u64)(uintptr_t)arg);
}

static inline long by_value(int fd, u32 cmd, u64 val)
{
	return ui_iommufd_ioctl(rig.ctx[fd - FD_IOMMUFD], cmd, val);
}

static inline long vmap(int fd, u32 flags, const void *va, u64 iova, u64 size)
{
	struct ui_uapi_vfio_map cmd = { .argsz = sizeof(cmd), .flags = flags, .vaddr = (u64)(uintptr_t)va, .iova = iova, .size = size };

	return ccall(fd, UI_UAPI_VFIO_IOMMU_MAP_DMA, &cmd);
}

static inline long vunmap(int fd, u32 flags, u64 iova, u64 size, u64 *removed)
{
	struct ui_uapi_vfio_unmap cmd = { .argsz = sizeof(cmd), .flags = flags, .iova = iova, .size = size };
	long ret = ccall(fd, UI_UAPI_VFIO_IOMMU_UNMAP_DMA, &cmd);

	if (removed)
		*removed = cmd.size;
	return ret;
}

/* Does a DMA write of device @i to @iova arrive at @at? */
static inline bool reaches(unsigned i, u64 iova, u8 *at)
{
	const struct ui_dma_addr to = { .iova = iova };
	static u64 word = 0x5555;

	word++;
	if (ui_dma_write(rig.machine->devices[i].port, &to, &word, sizeof(word), NULL, NULL) != UI_DMA_OK)
		return false;
	return !memcmp(at, &word, sizeof(word));
}

#endif
