/* SPDX-License-Identifier: MIT */
/* A VFIO device over the `dma` function of the device tests' world, with a binder that remembers what it was asked. */
#ifndef TEST_VFIO_COMMON_H
#define TEST_VFIO_COMMON_H

#include "../devices/common.h"
#include "vfio/uapi.h"
#include "vfio/vfio.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>

enum { IOMMUFD = 1000, OTHER_FD = 1001, DEV_ID = 7 };

struct stand {
	struct world w;
	struct ui_vfio *v;
	int bind_ret, attach_ret;
	unsigned n_bound, n_attached, n_detached;
	u32 pt_id, pasid;
	bool has_pasid, master_at_unbind;
};

static inline int stand_bind(void *ctx, struct ui_device *dev, u32 *id, struct ui_bound **bound)
{
	struct stand *s = ctx;

	if (s->bind_ret)
		return s->bind_ret;
	s->n_bound++;
	*id = DEV_ID;
	*bound = ctx;
	return 0;
}

static inline int stand_attach(struct ui_bound *bound, u32 pasid, bool has_pasid, u32 *pt_id)
{
	struct stand *s = (struct stand *)bound;

	s->pt_id = *pt_id;
	s->pasid = pasid;
	s->has_pasid = has_pasid;
	if (s->attach_ret)
		return s->attach_ret;
	s->n_attached++;
	*pt_id += 100;
	return 0;
}

static inline void stand_detach(struct ui_bound *bound, u32 pasid, bool has_pasid)
{
	struct stand *s = (struct stand *)bound;

	s->pasid = pasid;
	s->has_pasid = has_pasid;
	s->n_detached++;
}

static inline void stand_unbind(struct ui_bound *bound)
{
	struct stand *s = (struct stand *)bound;

	s->n_bound--;
	s->master_at_unbind = cfg_read(&s->w, PCI_CFG_COMMAND, 2) & PCI_CMD_MASTER;
}

static inline int stand_binder(void *arg, int fd, struct ui_binder *out)
{
	static const struct ui_binder_ops ops = {
		.bind = stand_bind, .attach = stand_attach, .detach = stand_detach, .unbind = stand_unbind,
	};

	if (fd != IOMMUFD)
		return fd == OTHER_FD ? -EBADFD : -EBADF;
	*out = (struct ui_binder){ &ops, arg };
	return 0;
}

static inline void stand_open(struct stand *s, u8 pasid_bits)
{
	memset(s, 0, sizeof(*s));
	world_open(&s->w, pasid_bits);
	map(&s->w, NO_PASID, 0, 0, 64, RW);
	s->v = ui_vfio_open(s->w.pci, NULL, stand_binder, s);
	assert_non_null(s->v);
}

static inline void stand_close(struct stand *s)
{
	if (s->v)
		ui_vfio_close(s->v);
	assert_int_equal(s->n_bound, 0);
	world_close(&s->w);
}

#define call(s, cmd, ptr) ui_vfio_ioctl((s)->v, cmd, (u64)(uintptr_t)(ptr))

static inline void stand_bind_now(struct stand *s)
{
	struct ui_vfio_bind b = { .argsz = sizeof(b), .iommufd = IOMMUFD };

	assert_int_equal(call(s, UI_VFIO_BIND, &b), 0);
	assert_int_equal(b.out_devid, DEV_ID);
}

static inline int bound_setup(void **state)
{
	static struct stand s;

	stand_open(&s, 16);
	stand_bind_now(&s);
	*state = &s;
	return 0;
}

static inline int bound_teardown(void **state)
{
	stand_close(*state);
	return 0;
}

#define REGION(n) ((u64)(n) << 40)

static inline u32 vcfg_read(struct stand *s, u64 at, u64 n)
{
	u32 val = 0;

	assert_int_equal(ui_vfio_pread(s->v, &val, n, REGION(7) + at), n);
	return val;
}

static inline void vcfg_write(struct stand *s, u64 at, u32 val, u64 n)
{
	assert_int_equal(ui_vfio_pwrite(s->v, &val, n, REGION(7) + at), n);
}

/* A page that the program does not have, and one that it may only read. */
static inline void *no_page(void)
{
	void *p = pages_new(PAGE);

	munmap(p, PAGE);
	return p;
}

static inline void *ro_page(const void *content, size_t n)
{
	void *p = pages_new(PAGE);

	memcpy(p, content, n);
	assert_int_equal(mprotect(p, PAGE, PROT_READ), 0);
	return p;
}

#endif
