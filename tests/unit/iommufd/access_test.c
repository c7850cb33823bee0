/* SPDX-License-Identifier: MIT */
/* Accesses: software that reads, writes and pins what is mapped. iommufd-semantics 8, and 7 HW_QUEUE_ALLOC for what hardware holds. */
#include "common.h"

#include "core/access.h"
#include "iommufd/ctx.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

static struct rig rig;
static u8 *mem;
static u32 ioas;

enum { MEM_PAGES = 16 };

/* An owner that unpins what it is told to, if it is obedient. */
struct owner {
	struct ui_access_obj *access;
	bool stubborn;
	u64 iova, length; /* pinned; 0: nothing */
	unsigned n_told;
	u64 told_iova, told_length;
	u64 pa[8], bytes[8];
	unsigned n_runs;
};

static void on_unmap(void *arg, u64 iova, u64 length)
{
	struct owner *owner = arg;

	owner->n_told++;
	owner->told_iova = iova;
	owner->told_length = length;
	if (owner->length && !owner->stubborn) {
		ui_access_unpin(owner->access->access, owner->iova, owner->length);
		owner->length = 0;
	}
}

static void on_run(void *arg, u64 pa, u64 n_bytes)
{
	struct owner *owner = arg;

	assert_true(owner->n_runs < ui_array_size(owner->pa));
	owner->pa[owner->n_runs] = pa;
	owner->bytes[owner->n_runs++] = n_bytes;
}

static const struct ui_access_ops pinning = { .pins = true, .unmap = on_unmap };
static const struct ui_access_ops copying = { .pins = false };

static int setup(void **state)
{
	rig_open(&rig, NULL, 0);
	mem = pages_new(MEM_PAGES * PAGE);
	for (u64 i = 0; i < MEM_PAGES * PAGE; i++)
		mem[i] = (u8)(i * 7 + (i >> 12));
	ioas = ioas_new(&rig);
	return 0;
}

static int teardown(void **state)
{
	rig_close(&rig);
	munmap(mem, MEM_PAGES * PAGE);
	return 0;
}

static void owner_new(struct owner *owner, const struct ui_access_ops *ops)
{
	*owner = (struct owner){ 0 };
	assert_int_equal(ui_access_obj_new(rig.ctx, ops, owner, &owner->access), 0);
	assert_int_equal(ui_access_obj_attach(owner->access, ioas), 0);
}

static int pin(struct owner *owner, u64 iova, u64 length, unsigned flags)
{
	int ret;

	owner->n_runs = 0;
	ret = ui_access_pin(owner->access->access, iova, length, flags, on_run, owner);
	if (!ret) {
		owner->iova = iova;
		owner->length = length;
	}
	return ret;
}

static void unpin(struct owner *owner)
{
	ui_access_unpin(owner->access->access, owner->iova, owner->length);
	owner->length = 0;
}

static int rw(struct owner *owner, u64 iova, void *buf, u64 length, unsigned flags)
{
	return ui_access_rw(owner->access->access, iova, length, (u64)(uintptr_t)buf, flags);
}

/* 1.12, 1.13: the number is its owner's, the IOAS is in use. */
static void an_access_belongs_to_its_owner(void **state)
{
	struct owner owner;

	owner_new(&owner, &copying);
	assert_int_equal(destroy(&rig, owner.access->obj.id), -EBUSY);
	assert_int_equal(destroy(&rig, ioas), -EBUSY);
	assert_int_equal(ui_access_obj_attach(owner.access, ioas), -EINVAL);
	assert_int_equal(ui_access_obj_replace(owner.access, 99), -ENOENT);
	assert_int_equal(ui_access_obj_replace(owner.access, 0), 0);
	assert_int_equal(ui_access_obj_replace(owner.access, ioas), -ENOENT);
	assert_int_equal(ui_access_obj_attach(owner.access, owner.access->obj.id), -ENOENT);
	assert_int_equal(destroy(&rig, ioas), 0);
	ui_access_obj_destroy(owner.access);
}

/* 1.14 */
static void an_access_keeps_the_context(void **state)
{
	struct owner owner;
	u8 byte = 0;

	owner_new(&owner, &copying);
	assert_int_equal(map_at(&rig, ioas, mem, PAGE, 0x10000), 0);
	ui_iommufd_close(rig.ctx);
	rig.ctx = NULL;
	assert_int_equal(rw(&owner, 0x10005, &byte, 1, 0), 0);
	assert_int_equal(byte, mem[5]);
	ui_access_obj_destroy(owner.access);
}

/* 8, first rule; 3 "Concepts": the alignment shrinks again. */
static void a_pinning_access_wants_page_alignment(void **state)
{
	struct ui_access_obj *access;
	struct owner owner = { 0 };
	u64 alignment = 0;
	u32 n = 0;

	assert_int_equal(map_at(&rig, ioas, mem, 512, 0x10000), 0);
	assert_int_equal(ui_access_obj_new(rig.ctx, &pinning, &owner, &access), 0);
	assert_int_equal(ui_access_obj_attach(access, ioas), -EADDRINUSE);
	assert_int_equal(unmap(&rig, ioas, 0x10000, 512, NULL), 0);
	assert_int_equal(ui_access_obj_attach(access, ioas), 0);
	assert_int_equal(ranges(&rig, ioas, NULL, &n, &alignment), -EMSGSIZE);
	assert_int_equal(alignment, PAGE);
	assert_int_equal(map_at(&rig, ioas, mem, 512, 0x10000), -EINVAL);
	assert_int_equal(map_at(&rig, ioas, mem + 512, PAGE, 0x10000), -EINVAL);
	ui_access_obj_destroy(access);
	assert_int_equal(map_at(&rig, ioas, mem + 512, 512, 0x10000), 0);
}

/* 8, pin: the errors, and the pages in order. */
static void pinning_checks_every_piece(void **state)
{
	struct owner owner;
	u64 iova = 0x10000;

	owner_new(&owner, &pinning);
	assert_int_equal(map_at(&rig, ioas, mem + 2 * PAGE, 2 * PAGE, iova), 0);
	assert_int_equal(map_at(&rig, ioas, mem, 2 * PAGE, iova + 2 * PAGE), 0);
	assert_int_equal(pin(&owner, iova, 0, 0), -EINVAL);
	assert_int_equal(pin(&owner, MAX - 2, 4, 0), -EOVERFLOW);
	assert_int_equal(pin(&owner, iova - PAGE, 2 * PAGE, 0), -ENOENT);
	assert_int_equal(pin(&owner, iova, 5 * PAGE, 0), -ENOENT);
	assert_int_equal(pin(&owner, iova + 8, PAGE, 0), -EINVAL);
	assert_int_equal(pin(&owner, iova + PAGE, 2 * PAGE + 5, UI_ACCESS_WRITE), 0);
	assert_int_equal(owner.n_runs, 2);
	assert_ptr_equal((void *)owner.pa[0], mem + 3 * PAGE);
	assert_int_equal(owner.bytes[0], PAGE);
	assert_ptr_equal((void *)owner.pa[1], mem);
	assert_int_equal(owner.bytes[1], 2 * PAGE);
	unpin(&owner);
	iova = 0x80000;
	assert_int_equal(map(&rig, ioas, UI_UAPI_MAP_READABLE | FIXED, mem, PAGE, &iova), 0);
	assert_int_equal(pin(&owner, iova, PAGE, UI_ACCESS_WRITE), -EPERM);
	assert_int_equal(pin(&owner, iova, PAGE, 0), 0);
	unpin(&owner);
	iova += PAGE;
	assert_int_equal(map(&rig, ioas, UI_UAPI_MAP_WRITEABLE | FIXED, mem, PAGE, &iova), 0);
	assert_int_equal(pin(&owner, iova, PAGE, 0), -EPERM);
	assert_int_equal(map_at(&rig, ioas, (void *)(uintptr_t)0x1000, 2 * PAGE, 0xc0000), 0);
	assert_int_equal(pin(&owner, 0xc0000, PAGE, 0), -EFAULT);
	assert_int_equal(ui_access_obj_replace(owner.access, 0), 0);
	assert_int_equal(pin(&owner, iova, PAGE, 0), -ENOENT);
	ui_access_obj_destroy(owner.access);
}

static u64 n_pinned;

static void count_pinned(void *arg, u64 va, u64 n_bytes, bool now)
{
	n_pinned += now ? n_bytes : 0 - n_bytes;
}

/* 12.2 and 3 "Accounting": one pin for a page, however many domains, copies and accesses use it. */
static void a_page_is_pinned_once(void **state)
{
	struct ui_iommufd_env env = { .pinned = count_pinned };
	struct owner owner;
	u64 iova = 0x40000;
	u32 pt, second;

	teardown(NULL);
	n_pinned = 0;
	setup(NULL);
	ui_iommufd_close(rig.ctx);
	rig.ctx = ui_iommufd_open(&env);
	rig.binder = ui_iommufd_binder(rig.ctx);
	ioas = ioas_new(&rig);
	assert_int_equal(map_at(&rig, ioas, mem, 4 * PAGE, 0x10000), 0);
	assert_int_equal(n_pinned, 0);
	owner_new(&owner, &pinning);
	assert_int_equal(pin(&owner, 0x11000, PAGE, 0), 0);
	assert_int_equal(n_pinned, PAGE);
	rig_bind(&rig, 0);
	rig_bind(&rig, 3);
	pt = ioas;
	assert_int_equal(attach(&rig, 0, 0, &pt), 0);
	assert_int_equal(n_pinned, 4 * PAGE);
	assert_int_equal(hwpt_new(&rig, rig.dev_id[3], ioas, 0, &second), 0);
	assert_int_equal(copy(&rig, ioas, ioas, RW | FIXED, 0x11000, 2 * PAGE, &iova), 0);
	assert_int_equal(n_pinned, 4 * PAGE);
	assert_int_equal(destroy(&rig, second), 0);
	assert_int_equal(unmap(&rig, ioas, iova, 2 * PAGE, NULL), 0);
	detach(&rig, 0, 0);
	/* The domain has gone, what the access pinned has not. */
	assert_int_equal(n_pinned, PAGE);
	unpin(&owner);
	assert_int_equal(n_pinned, 0);
	ui_access_obj_destroy(owner.access);
}

/* 3 IOAS_UNMAP and 8, last rule. */
static void an_unmap_asks_for_what_is_pinned(void **state)
{
	struct owner owner, other, copier;
	u64 removed;

	owner_new(&owner, &pinning);
	owner_new(&other, &pinning);
	owner_new(&copier, &copying);
	assert_int_equal(map_at(&rig, ioas, mem, PAGE, 0xf000), 0);
	assert_int_equal(map_at(&rig, ioas, mem, 4 * PAGE, 0x10000), 0);
	assert_int_equal(pin(&owner, 0x11000, PAGE, 0), 0);
	assert_int_equal(unmap(&rig, ioas, 0, MAX, &removed), 0);
	assert_int_equal(removed, 5 * PAGE);
	assert_int_equal(owner.n_told, 1);
	assert_int_equal(other.n_told, 1);
	assert_int_equal(owner.told_iova, 0x10000);
	assert_int_equal(owner.told_length, 4 * PAGE);
	assert_int_equal(owner.length, 0);
	/* A part does not go at all, so nobody is asked. */
	assert_int_equal(map_at(&rig, ioas, mem, 4 * PAGE, 0x10000), 0);
	assert_int_equal(pin(&owner, 0x11000, PAGE, 0), 0);
	assert_int_equal(unmap(&rig, ioas, 0x10000, PAGE, NULL), -ENOENT);
	assert_int_equal(owner.n_told, 1);
	ui_access_obj_destroy(owner.access);
	ui_access_obj_destroy(other.access);
	ui_access_obj_destroy(copier.access);
}

/* 3 IOAS_UNMAP: "after ~100 rounds EDEADLOCK"; new pins are blocked, and splitting is. */
static void an_owner_that_does_not_let_go_is_a_deadlock(void **state)
{
	struct owner owner;
	u64 removed;
	u8 byte;

	owner_new(&owner, &pinning);
	assert_int_equal(map_at(&rig, ioas, mem, PAGE, 0xf000), 0);
	assert_int_equal(map_at(&rig, ioas, mem, 4 * PAGE, 0x10000), 0);
	assert_int_equal(pin(&owner, 0x11000, PAGE, 0), 0);
	owner.stubborn = true;
	assert_int_equal(unmap(&rig, ioas, 0xf000, 5 * PAGE, &removed), -EDEADLK);
	assert_int_equal(owner.n_told, 100);
	/* What came before it has gone. */
	assert_int_equal(pin(&owner, 0xf000, PAGE, 0), -ENOENT);
	assert_int_equal(ui_access_pin(owner.access->access, 0x10000, PAGE, 0, NULL, NULL), -EINVAL);
	assert_int_equal(rw(&owner, 0x10000, &byte, 1, 0), -EINVAL);
	owner.stubborn = false;
	owner.iova = 0x11000;
	owner.length = PAGE;
	assert_int_equal(unmap(&rig, ioas, 0x10000, 4 * PAGE, &removed), 0);
	ui_access_obj_destroy(owner.access);
}

/* 9: areas that an access uses are not split. */
static void what_is_pinned_is_not_split(void **state)
{
	struct ui_uapi_vfio_ioas set = { .size = sizeof(set), .op = UI_UAPI_VFIO_IOAS_SET, .ioas_id = ioas };
	struct ui_uapi_vfio_unmap cmd = { .argsz = sizeof(cmd), .iova = 0x11000, .size = PAGE };
	struct owner owner;

	owner_new(&owner, &pinning);
	assert_int_equal(call(&rig, UI_UAPI_VFIO_IOAS, &set), 0);
	assert_int_equal(ui_iommufd_ioctl(rig.ctx, UI_UAPI_VFIO_SET_IOMMU, UI_UAPI_VFIO_TYPE1), 0);
	assert_int_equal(map_at(&rig, ioas, mem, 4 * PAGE, 0x10000), 0);
	assert_int_equal(pin(&owner, 0x13000, PAGE, 0), 0);
	assert_int_equal(call(&rig, UI_UAPI_VFIO_IOMMU_UNMAP_DMA, &cmd), -EINVAL);
	unpin(&owner);
	assert_int_equal(call(&rig, UI_UAPI_VFIO_IOMMU_UNMAP_DMA, &cmd), 0);
	ui_access_obj_destroy(owner.access);
}

/* 8: "on replace and on destroy (whole range)". */
static void leaving_drops_everything(void **state)
{
	struct owner owner;
	u32 other = ioas_new(&rig);

	owner_new(&owner, &pinning);
	assert_int_equal(map_at(&rig, ioas, mem, 4 * PAGE, 0x10000), 0);
	assert_int_equal(map_at(&rig, other, mem + 1, 5, 0x10000), 0);
	assert_int_equal(pin(&owner, 0x10000, PAGE, 0), 0);
	assert_int_equal(ui_access_obj_replace(owner.access, other), -EADDRINUSE);
	assert_int_equal(owner.n_told, 0);
	assert_int_equal(unmap(&rig, other, 0, MAX, NULL), 0);
	assert_int_equal(ui_access_obj_replace(owner.access, ioas), 0);
	assert_int_equal(owner.n_told, 0);
	assert_int_equal(ui_access_obj_replace(owner.access, other), 0);
	assert_int_equal(owner.n_told, 1);
	assert_int_equal(owner.told_iova, 0);
	assert_int_equal(owner.told_length, MAX);
	assert_int_equal(destroy(&rig, ioas), 0);
	assert_int_equal(map_at(&rig, other, mem, PAGE, 0), 0);
	assert_int_equal(pin(&owner, 0, PAGE, 0), 0);
	ui_access_obj_destroy(owner.access);
	assert_int_equal(owner.n_told, 2);
}

/* 8, rw: every alignment, over borders of areas, without a domain. */
static void bytes_go_both_ways(void **state)
{
	static u8 buf[3 * UI_PAGE_BYTES];
	struct owner owner;
	u64 iova = 0x10000 + 7;

	owner_new(&owner, &copying);
	assert_int_equal(map_at(&rig, ioas, mem + 5, PAGE + 3, iova), 0);
	assert_int_equal(map_at(&rig, ioas, mem + 8 * PAGE, PAGE, iova + PAGE + 3), 0);
	assert_int_equal(rw(&owner, iova, buf, 2 * PAGE + 3, 0), 0);
	assert_memory_equal(buf, mem + 5, PAGE + 3);
	assert_memory_equal(buf + PAGE + 3, mem + 8 * PAGE, PAGE);
	for (u64 at = PAGE - 3; at < PAGE + 6; at++) {
		u8 before = mem[8 * PAGE];

		memset(buf, 0x5a, 4);
		assert_int_equal(rw(&owner, iova + at, buf, 4, UI_ACCESS_WRITE), 0);
		for (u64 i = at; i < at + 4; i++)
			assert_int_equal(i < PAGE + 3 ? mem[5 + i] : mem[8 * PAGE + i - PAGE - 3], 0x5a);
		mem[8 * PAGE] = before;
	}
	assert_int_equal(rw(&owner, iova, buf, 0, 0), -EINVAL);
	assert_int_equal(rw(&owner, MAX, buf, 2, 0), -EOVERFLOW);
	assert_int_equal(rw(&owner, iova - 1, buf, 2, 0), -ENOENT);
	assert_int_equal(rw(&owner, iova + 2 * PAGE, buf, 4, 0), -ENOENT);
	assert_int_equal(rw(&owner, iova, (void *)(uintptr_t)64, 2, 0), -EFAULT);
	assert_int_equal(rw(&owner, iova, (void *)(uintptr_t)64, 2, UI_ACCESS_WRITE), -EFAULT);
	ui_access_obj_destroy(owner.access);
}

/* 8, rw: rights of the area, memory that is not there, files. */
static void what_is_not_granted_or_not_there_is_refused(void **state)
{
	int fd = memfd_create("test", MFD_CLOEXEC), other = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	u64 iova = 0x10000;
	struct owner owner;
	u8 word[8] = { 1, 2, 3 };

	owner_new(&owner, &copying);
	assert_int_equal(map(&rig, ioas, UI_UAPI_MAP_READABLE | FIXED, mem, PAGE, &iova), 0);
	assert_int_equal(rw(&owner, iova, word, 8, UI_ACCESS_WRITE), -EPERM);
	iova += PAGE;
	assert_int_equal(map(&rig, ioas, UI_UAPI_MAP_WRITEABLE | FIXED, mem, PAGE, &iova), 0);
	assert_int_equal(rw(&owner, iova, word, 8, 0), -EPERM);
	assert_int_equal(rw(&owner, iova, word, 8, UI_ACCESS_WRITE), 0);
	assert_memory_equal(mem, word, 8);
	iova += PAGE;
	assert_int_equal(map_at(&rig, ioas, mem + PAGE, 2 * PAGE, iova), 0);
	assert_int_equal(mprotect(mem + PAGE, PAGE, PROT_READ), 0);
	assert_int_equal(munmap(mem + 2 * PAGE, PAGE), 0);
	assert_int_equal(rw(&owner, iova, word, 8, UI_ACCESS_WRITE), -EFAULT);
	assert_int_equal(rw(&owner, iova, word, 8, 0), 0);
	assert_memory_equal(mem + PAGE, word, 8);
	assert_int_equal(rw(&owner, iova + PAGE - 4, word, 8, 0), -EFAULT);
	assert_int_equal(ftruncate(fd, 2 * PAGE), 0);
	iova = 0x40000;
	assert_int_equal(map_file(&rig, ioas, RW | FIXED, fd, 0, 3 * PAGE, &iova), 0);
	assert_int_equal(rw(&owner, iova + PAGE, word, 8, UI_ACCESS_WRITE), 0);
	assert_int_equal(pread(fd, word, 8, PAGE), 8);
	assert_int_equal(rw(&owner, iova + 2 * PAGE, word, 8, 0), -EINVAL);
	iova = 0x80000;
	assert_int_equal(map_file(&rig, ioas, UI_UAPI_MAP_READABLE | FIXED, other, 0, PAGE, &iova), 0);
	assert_int_equal(rw(&owner, iova, word, 8, 0), -EINVAL);
	ui_access_obj_destroy(owner.access);
	close(fd);
	close(other);
}

static int carry(void *arg)
{
	u8 **move = arg;

	memcpy(move[1], move[0], PAGE);
	memset(move[0], 0, PAGE);
	return 0;
}

/* Promise 9: what an access pins follows its pages, in no domain, too. */
static void pinned_pages_may_move(void **state)
{
	u8 *aside = pages_new(PAGE), *move[2] = { mem + PAGE, aside };
	struct ui_ioas_hold *hold;
	struct owner owner;
	u8 want[8], got[8];
	u64 pa;

	memcpy(want, mem + PAGE + 16, 8);
	owner_new(&owner, &pinning);
	assert_int_equal(map_at(&rig, ioas, mem, 4 * PAGE, 0x10000), 0);
	assert_int_equal(ui_iommufd_move_pages(rig.ctx, (uintptr_t)move[0], PAGE, (uintptr_t)aside, carry, move), -ENOENT);
	assert_int_equal(pin(&owner, 0x11000, PAGE, 0), 0);
	assert_int_equal(ui_ioas_hold(owner.access->ioas->ioas, 0x11010, 8, &hold, &pa), 0);
	assert_int_equal(pa, (uintptr_t)mem + PAGE + 16);
	assert_int_equal(ui_iommufd_move_pages(rig.ctx, (uintptr_t)move[0], PAGE, (uintptr_t)aside, carry, move), 0);
	assert_int_equal(rw(&owner, 0x11010, got, 8, 0), 0);
	assert_memory_equal(got, want, 8);
	assert_true(ui_ioas_hold_where(hold, 0, &pa) >= 8);
	assert_int_equal(pa, (uintptr_t)aside + 16);
	/* And from there on. */
	move[0] = aside;
	move[1] = mem + PAGE;
	assert_int_equal(ui_iommufd_move_pages(rig.ctx, (uintptr_t)aside, PAGE, (uintptr_t)mem + PAGE, carry, move), 0);
	ui_ioas_hold_where(hold, 0, &pa);
	assert_int_equal(pa, (uintptr_t)mem + PAGE + 16);
	ui_ioas_release(hold);
	ui_access_obj_destroy(owner.access);
	munmap(aside, PAGE);
}

/* 7 HW_QUEUE_ALLOC */
static void what_hardware_reads_stays(void **state)
{
	struct ui_ioas_obj *obj = ui_obj_get(rig.ctx, ioas, UI_OBJ_IOAS);
	struct ui_ioas_hold *hold, *second;
	u64 iova = 0x20000, pa, removed;

	assert_int_equal(map_at(&rig, ioas, mem, 4 * PAGE, 0x10000), 0);
	assert_int_equal(map_at(&rig, ioas, mem + 4 * PAGE, PAGE, 0x14000), 0);
	assert_int_equal(map_at(&rig, ioas, mem + 8 * PAGE, PAGE, 0x15000), 0);
	assert_int_equal(map(&rig, ioas, UI_UAPI_MAP_WRITEABLE | FIXED, mem, PAGE, &iova), 0);
	assert_int_equal(ui_ioas_hold(obj->ioas, 0x10000, 0, &hold, &pa), -EINVAL);
	assert_int_equal(ui_ioas_hold(obj->ioas, MAX, 2, &hold, &pa), -EOVERFLOW);
	assert_int_equal(ui_ioas_hold(obj->ioas, MAX - 1, 1, &hold, &pa), -ERANGE);
	assert_int_equal(ui_ioas_hold(obj->ioas, 0xf000, PAGE + 1, &hold, &pa), -ENOENT);
	assert_int_equal(ui_ioas_hold(obj->ioas, 0x20000, 8, &hold, &pa), -EPERM);
	assert_int_equal(ui_ioas_hold(obj->ioas, 0x14000, 2 * PAGE, &hold, &pa), -EFAULT);
	assert_int_equal(ui_ioas_hold(obj->ioas, 0x13ff0, 0x20, &hold, &pa), 0);
	assert_ptr_equal((void *)pa, mem + 4 * PAGE - 16);
	assert_int_equal(ui_ioas_hold(obj->ioas, 0x13000, 8, &second, &pa), 0);
	assert_int_equal(unmap(&rig, ioas, 0x14000, PAGE, &removed), -EBUSY);
	assert_int_equal(unmap(&rig, ioas, 0x10000, 4 * PAGE, &removed), -EBUSY);
	assert_int_equal(unmap(&rig, ioas, 0x15000, PAGE, &removed), 0);
	ui_ioas_release(hold);
	assert_int_equal(unmap(&rig, ioas, 0x14000, PAGE, &removed), 0);
	assert_int_equal(unmap(&rig, ioas, 0x10000, 4 * PAGE, &removed), -EBUSY);
	assert_int_equal(map_at(&rig, ioas, mem, 12, 0x40000), -EINVAL);
	ui_ioas_release(second);
	assert_int_equal(map_at(&rig, ioas, mem, 12, 0x40000), 0);
	assert_int_equal(ui_ioas_hold(obj->ioas, 0x10000, 8, &hold, &pa), -EADDRINUSE);
	assert_int_equal(unmap(&rig, ioas, 0x10000, 4 * PAGE, &removed), 0);
	ui_obj_put(rig.ctx, &obj->obj);
}

enum { ROUNDS = 2000 };

/* One that pins and lets go while others unmap: it unpins when it is told, from the thread that unmaps. */
struct busy {
	struct ui_access_obj *access;
	pthread_mutex_t lock;
	bool pinned; /* lock */
};

static void busy_unmap(void *arg, u64 iova, u64 length)
{
	struct busy *busy = arg;

	pthread_mutex_lock(&busy->lock);
	if (busy->pinned)
		ui_access_unpin(busy->access->access, 0x10000, 2 * PAGE);
	busy->pinned = false;
	pthread_mutex_unlock(&busy->lock);
}

static void *pin_often(void *arg)
{
	struct busy *busy = arg;
	u8 buf[64];

	for (unsigned i = 0; i < ROUNDS; i++) {
		int ret;

		pthread_mutex_lock(&busy->lock);
		if (!busy->pinned) {
			ret = ui_access_pin(busy->access->access, 0x10000, 2 * PAGE, 0, NULL, NULL);
			busy->pinned = !ret;
			if (ret && ret != -ENOENT && ret != -EINVAL)
				abort();
		}
		pthread_mutex_unlock(&busy->lock);
		ret = ui_access_rw(busy->access->access, 0x10ff0, sizeof(buf), (u64)(uintptr_t)buf, i & 1);
		if (ret && ret != -ENOENT && ret != -EINVAL)
			abort();
		if (i & 1)
			busy_unmap(busy, 0, MAX);
	}
	return NULL;
}

/* 8 and 3 IOAS_UNMAP, with everybody at it at a time: every unmap succeeds, and nothing is left. */
static void pins_and_unmaps_meet(void **state)
{
	static const struct ui_access_ops ops = { .pins = true, .unmap = busy_unmap };
	struct busy busy[2];
	pthread_t thread[2];

	for (unsigned i = 0; i < 2; i++) {
		pthread_mutex_init(&busy[i].lock, NULL);
		busy[i].pinned = false;
		assert_int_equal(ui_access_obj_new(rig.ctx, &ops, &busy[i], &busy[i].access), 0);
		assert_int_equal(ui_access_obj_attach(busy[i].access, ioas), 0);
		assert_int_equal(pthread_create(&thread[i], NULL, pin_often, &busy[i]), 0);
	}
	for (unsigned i = 0; i < ROUNDS / 4; i++) {
		assert_int_equal(map_at(&rig, ioas, mem, 2 * PAGE, 0x10000), 0);
		sched_yield();
		assert_int_equal(unmap(&rig, ioas, 0x10000, 2 * PAGE, NULL), 0);
	}
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(thread[i], NULL);
		ui_access_obj_destroy(busy[i].access);
		pthread_mutex_destroy(&busy[i].lock);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_access_belongs_to_its_owner),
		T(an_access_keeps_the_context),
		T(a_pinning_access_wants_page_alignment),
		T(pinning_checks_every_piece),
		T(a_page_is_pinned_once),
		T(an_unmap_asks_for_what_is_pinned),
		T(an_owner_that_does_not_let_go_is_a_deadlock),
		T(what_is_pinned_is_not_split),
		T(leaving_drops_everything),
		T(bytes_go_both_ways),
		T(what_is_not_granted_or_not_there_is_refused),
		T(pinned_pages_may_move),
		T(what_hardware_reads_stays),
		T(pins_and_unmaps_meet),
	};

	ui_log_set(UI_LOG_ERROR, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
