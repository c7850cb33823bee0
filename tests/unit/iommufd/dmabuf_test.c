/* SPDX-License-Identifier: MIT */
/* Files that are mapped: dma-bufs, hugetlbfs, sizes, private pages of files. iommufd-semantics 3, IOAS_MAP_FILE and IOAS_MAP 10. */
#include "common.h"

#include "core/access.h"
#include "core/account.h"
#include "core/dmabuf.h"
#include "iommufd/ctx.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

static struct rig rig;
static struct ui_account *account;
static u32 ioas;

enum { BUF_PAGES = 4, MAX_FDS = 8 };
#define BUF_BYTES (BUF_PAGES * PAGE)

/* --- descriptors, as an environment makes them --- */

static struct {
	int fd; /* of a memfd; 0: free */
	const struct ui_iommufd_file_ops *ops;
	void *obj;
	unsigned refs;
} files[MAX_FDS];

static int file_new(void *arg, const struct ui_iommufd_file_ops *ops, void *obj, u64 memory_bytes)
{
	for (unsigned i = 0; i < MAX_FDS; i++) {
		if (files[i].fd)
			continue;
		if (ui_inject_point())
			return -ENOMEM;
		files[i].fd = memfd_create("object", MFD_CLOEXEC);
		assert_int_equal(ftruncate(files[i].fd, (off_t)memory_bytes), 0);
		files[i].ops = ops;
		files[i].obj = obj;
		files[i].refs = 1;
		return files[i].fd;
	}
	return -EMFILE;
}

static void put(unsigned i)
{
	if (--files[i].refs)
		return;
	files[i].ops->release(files[i].obj);
	files[i].fd = 0;
}

static unsigned find(int fd)
{
	unsigned i = 0;

	while (i < MAX_FDS && files[i].fd != fd)
		i++;
	return i;
}

static void file_drop(void *arg, int fd)
{
	close(fd);
	files[find(fd)].fd = 0;
}

static void *file_get(void *arg, int fd, const struct ui_iommufd_file_ops *ops)
{
	unsigned i = find(fd);

	if (i == MAX_FDS || files[i].ops != ops)
		return NULL;
	files[i].refs++;
	return files[i].obj;
}

static void file_put(void *arg, void *obj)
{
	for (unsigned i = 0; i < MAX_FDS; i++) {
		if (files[i].fd && files[i].obj == obj)
			put(i);
	}
}

static void file_close(int fd)
{
	close(fd);
	put(find(fd));
}

static bool may(void *arg, unsigned cap)
{
	return false;
}

static int setup(void **state)
{
	struct ui_iommufd_env env = {
		.file_new = file_new, .file_drop = file_drop, .file_get = file_get, .file_put = file_put, .capable = may
	};

	rig_open(&rig, NULL, 0);
	account = env.account = ui_account_create();
	ui_iommufd_close(rig.ctx);
	rig.ctx = ui_iommufd_open(&env);
	rig.binder = ui_iommufd_binder(rig.ctx);
	ioas = ioas_new(&rig);
	for (unsigned i = 0; i < N_DEVICES; i++)
		rig_bind(&rig, i);
	return 0;
}

static int teardown(void **state)
{
	for (unsigned i = 0; i < N_DEVICES; i++)
		rig_unbind(&rig, i);
	if (rig.ctx)
		ui_iommufd_close(rig.ctx);
	rig.ctx = NULL;
	for (unsigned i = 0; i < MAX_FDS; i++)
		assert_int_equal(files[i].fd, 0);
	ui_account_destroy(account);
	rig_close(&rig);
	return 0;
}

static int buf_new(void)
{
	int fd = ui_dmabuf_fd_new(rig.ctx, BUF_BYTES, false);

	assert_true(fd >= 0);
	return fd;
}

static void attach_to(unsigned i, u32 id)
{
	u32 pt = id;

	assert_int_equal(attach(&rig, i, 0, &pt), 0);
}

static u64 word_at(unsigned i, u64 iova)
{
	u64 word = 0;

	return dma_read(&rig, i, 0, iova, &word, 8) == UI_DMA_OK ? word : MAX;
}

/* The memory is the descriptor's, which may be closed. */
static void a_dmabuf_is_mapped_like_a_file(void **state)
{
	int fd = buf_new();
	u64 iova = 0, word = 0x1122334455667788, second = 0;
	u64 *own = mmap(NULL, BUF_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	u64 pinned, locked;

	assert_ptr_not_equal(own, MAP_FAILED);
	attach_to(0, ioas);
	assert_int_equal(map_file(&rig, ioas, RW, fd, 0, 0, &iova), -EINVAL);
	assert_int_equal(map_file(&rig, ioas, RW, fd, BUF_BYTES, BUF_BYTES, &iova), -EINVAL);
	assert_int_equal(map_file(&rig, ioas, RW, fd, 0, BUF_BYTES + 1, &iova), -EINVAL);
	assert_int_equal(map_file(&rig, ioas, RW, fd, PAGE, BUF_BYTES, &iova), -EINVAL);
	assert_int_equal(map_file(&rig, ioas, RW, fd, MAX - 1, 3, &iova), -EOVERFLOW);
	assert_int_equal(map_file(&rig, ioas, RW, fd, PAGE, 2 * PAGE, &iova), 0);
	assert_int_equal(map_file(&rig, ioas, UI_UAPI_MAP_READABLE, fd, 0, BUF_BYTES, &second), 0);
	ui_account_read(account, 0, &pinned, &locked);
	assert_int_equal(pinned, 0);
	file_close(fd);
	assert_int_equal(dma_write(&rig, 0, 0, iova + 8, &word, 8), UI_DMA_OK);
	assert_int_equal(own[PAGE / 8 + 1], word);
	assert_int_equal(word_at(0, second + PAGE + 8), word);
	assert_int_not_equal(dma_write(&rig, 0, 0, second, &word, 8), UI_DMA_OK);
	munmap(own, BUF_BYTES);
}

/* It leaves all domains of all contexts, its areas stay, and nothing brings them back. */
static void a_revoked_dmabuf_is_in_no_domain(void **state)
{
	const struct ui_iommufd_env env = { .file_get = file_get, .file_put = file_put };
	u64 iova = 0x10000, first = 0x20000, fresh = 0x40000, removed;
	u32 other = ioas_new(&rig), hwpt;
	int fd = buf_new();
	struct rig second = rig;

	second.ctx = ui_iommufd_open(&env);
	attach_to(0, ioas);
	attach_to(2, ioas);
	attach_to(3, other);
	assert_int_equal(map_file(&rig, ioas, RW | FIXED, fd, 0, BUF_BYTES, &iova), 0);
	assert_int_equal(copy(&rig, other, ioas, RW | FIXED, iova, PAGE, &first), 0);
	assert_int_equal(word_at(0, iova), 0);
	assert_int_equal(word_at(2, iova), 0);
	assert_int_equal(word_at(3, first), 0);
	assert_int_equal(ui_dmabuf_fd_revoke(rig.ctx, fd, true), 0);
	assert_int_equal(word_at(0, iova), MAX);
	assert_int_equal(word_at(2, iova + PAGE), MAX);
	assert_int_equal(word_at(3, first), MAX);
	assert_int_equal(map_file(&rig, ioas, RW | FIXED, fd, 0, PAGE, &fresh), -ENODEV);
	assert_int_equal(map_file(&second, ioas_new(&second), RW | FIXED, fd, 0, PAGE, &fresh), -ENODEV);
	/* Attached while it is revoked, or after: neither gets it. */
	assert_int_equal(hwpt_new(&rig, rig.dev_id[0], ioas, 0, &hwpt), 0);
	attach_to(3, hwpt);
	assert_int_equal(word_at(3, iova), MAX);
	assert_int_equal(ui_dmabuf_fd_revoke(rig.ctx, fd, false), 0);
	assert_int_equal(word_at(3, iova), MAX);
	attach_to(1, ioas);
	assert_int_equal(word_at(0, iova), MAX);
	assert_int_equal(word_at(1, iova), MAX);
	assert_int_equal(map_file(&rig, ioas, RW | FIXED, fd, 0, PAGE, &fresh), 0);
	assert_int_equal(word_at(1, fresh), 0);
	assert_int_equal(unmap(&rig, ioas, iova, BUF_BYTES, &removed), 0);
	assert_int_equal(removed, BUF_BYTES);
	assert_int_equal(map_file(&rig, ioas, RW | FIXED, fd, 0, BUF_BYTES, &iova), 0);
	assert_int_equal(word_at(2, iova), 0);
	file_close(fd);
	ui_iommufd_close(second.ctx);
}

/* 3, IOAS_MAP_FILE, last rule; 9 for splitting; IOAS_CHANGE_PROCESS. */
static void a_dmabuf_is_for_devices_only(void **state)
{
	static const struct ui_access_ops ops = { .pins = false }, pins = { .pins = true };
	struct ui_uapi_vfio_ioas set = { .size = sizeof(set), .op = UI_UAPI_VFIO_IOAS_SET, .ioas_id = ioas };
	struct ui_uapi_vfio_unmap cut = { .argsz = sizeof(cut), .iova = 0x11000, .size = PAGE };
	struct ui_uapi_ioas_change_process change = { .size = sizeof(change) };
	struct ui_access_obj *access, *pinner;
	struct ui_ioas_hold *hold;
	u64 iova = 0x10000, pa;
	int fd = buf_new();
	u8 byte;

	assert_int_equal(map_file(&rig, ioas, RW | FIXED, fd, 0, BUF_BYTES, &iova), 0);
	assert_int_equal(ui_access_obj_new(rig.ctx, &ops, NULL, &access), 0);
	assert_int_equal(ui_access_obj_new(rig.ctx, &pins, NULL, &pinner), 0);
	assert_int_equal(ui_access_obj_attach(access, ioas), 0);
	assert_int_equal(ui_access_obj_attach(pinner, ioas), 0);
	assert_int_equal(ui_access_rw(access->access, iova, 1, (u64)(uintptr_t)&byte, 0), -EINVAL);
	assert_int_equal(ui_access_pin(pinner->access, iova, PAGE, 0, NULL, NULL), -EINVAL);
	assert_int_equal(ui_ioas_hold(access->ioas->ioas, iova, PAGE, &hold, &pa), -EINVAL);
	assert_int_equal(call(&rig, UI_UAPI_IOAS_CHANGE_PROCESS, &change), -EINVAL);
	assert_int_equal(call(&rig, UI_UAPI_VFIO_IOAS, &set), 0);
	assert_int_equal(ui_iommufd_ioctl(rig.ctx, UI_UAPI_VFIO_SET_IOMMU, UI_UAPI_VFIO_TYPE1), 0);
	assert_int_equal(call(&rig, UI_UAPI_VFIO_IOMMU_UNMAP_DMA, &cut), -EOPNOTSUPP);
	ui_access_obj_destroy(access);
	ui_access_obj_destroy(pinner);
	file_close(fd);
}

static void only_dmabufs_are_revoked(void **state)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_int_equal(ui_dmabuf_fd_revoke(rig.ctx, fd, true), -EINVAL);
	close(fd);
	assert_int_equal(ui_dmabuf_fd_revoke(rig.ctx, fd, true), -EBADF);
}

struct revoker {
	int fd;
	atomic_bool began, done; /* told to the thread that waits */
};

static void *revoke_it(void *arg)
{
	struct revoker *revoker = arg;

	atomic_store(&revoker->began, true);
	assert_int_equal(ui_dmabuf_fd_revoke(rig.ctx, revoker->fd, true), 0);
	atomic_store(&revoker->done, true);
	return NULL;
}

/* Promise 7: when a revoke returns nothing can reach the pages; a wait for oneself is an error. */
static void a_revoke_waits_for_sections(void **state)
{
	struct ui_dma_addr at = { .iova = 0x10000 };
	struct revoker revoker = { .fd = buf_new() };
	struct ui_mem_span span;
	u64 iova = at.iova;
	pthread_t thread;

	attach_to(2, ioas);
	assert_int_equal(map_file(&rig, ioas, RW | FIXED, revoker.fd, 0, BUF_BYTES, &iova), 0);
	assert_int_equal(ui_dma_begin(rig.port[2], &at, UI_PROT_WRITE, 8, &span, NULL), UI_DMA_OK);
	assert_int_equal(ui_dmabuf_fd_revoke(rig.ctx, revoker.fd, true), -EDEADLK);
	assert_int_equal(pthread_create(&thread, NULL, revoke_it, &revoker), 0);
	while (!atomic_load(&revoker.began))
		sched_yield();
	for (unsigned i = 0; i < 1000; i++)
		sched_yield();
	assert_false(atomic_load(&revoker.done));
	span.host[0] = 1;
	ui_dma_end(rig.port[2]);
	pthread_join(thread, NULL);
	assert_int_equal(word_at(2, iova), MAX);
	file_close(revoker.fd);
}

/* IOAS_MAP_FILE: "the range must lie below i_size" whenever it is pinned. */
static void a_file_is_measured_when_it_is_pinned(void **state)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	u64 iova = 0x10000, other = 0x40000;
	u32 pt = ioas;

	assert_int_equal(ftruncate(fd, 2 * PAGE), 0);
	assert_int_equal(map_file(&rig, ioas, RW | FIXED, fd, 0, 3 * PAGE, &iova), 0);
	assert_int_equal(attach(&rig, 0, 0, &pt), -EINVAL);
	assert_int_equal(ftruncate(fd, 3 * PAGE), 0);
	pt = ioas;
	assert_int_equal(attach(&rig, 0, 0, &pt), 0);
	assert_int_equal(word_at(0, iova + 2 * PAGE), 0);
	assert_int_equal(map_file(&rig, ioas, RW | FIXED, fd, 0, 3 * PAGE + 1, &other), -EINVAL);
	detach(&rig, 0, 0);
	assert_int_equal(ftruncate(fd, PAGE), 0);
	pt = ioas;
	assert_int_equal(attach(&rig, 0, 0, &pt), -EINVAL);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(unmap(&rig, ioas, 0, MAX, NULL), 0);
	pt = ioas;
	assert_int_equal(attach(&rig, 0, 0, &pt), 0);
	assert_int_equal(map_file(&rig, ioas, RW | FIXED, fd, 0, PAGE, &other), -EINVAL);
	close(fd);
}

/* The kernel pins by the file, not by how it was opened. */
static void a_file_opened_for_reading_can_be_written(void **state)
{
	int fd = memfd_create("test", MFD_CLOEXEC), reader;
	u64 iova = 0x10000, word = 5, got = 0;
	char path[64];

	assert_int_equal(ftruncate(fd, PAGE), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	reader = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(reader >= 0);
	attach_to(0, ioas);
	assert_int_equal(map_file(&rig, ioas, RW | FIXED, reader, 0, PAGE, &iova), 0);
	assert_int_equal(dma_write(&rig, 0, 0, iova, &word, 8), UI_DMA_OK);
	assert_int_equal(pread(fd, &got, 8, 0), 8);
	assert_int_equal(got, word);
	close(reader);
	close(fd);
}

/* IOAS_MAP_FILE: hugetlbfs files, at offsets that are no multiple of their pages. */
static void a_file_of_huge_pages_is_mapped(void **state)
{
	const u64 huge = 2 * UI_BIT(20);
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_HUGETLB);
	u64 iova = 0x10000, word = 77;
	u8 *own;

	if (fd < 0 || ftruncate(fd, (off_t)(2 * huge)))
		skip();
	own = mmap(NULL, 2 * huge, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (own == MAP_FAILED) {
		close(fd);
		print_message("no huge pages\n");
		skip();
	}
	attach_to(0, ioas);
	assert_int_equal(map_file(&rig, ioas, RW | FIXED, fd, huge - PAGE, 2 * PAGE, &iova), 0);
	assert_int_equal(dma_write(&rig, 0, 0, iova + PAGE + 8, &word, 8), UI_DMA_OK);
	assert_memory_equal(own + huge + 8, &word, 8);
	iova = 0x40000;
	assert_int_equal(map_file(&rig, ioas, RW | FIXED, fd, huge, huge + PAGE, &iova), -EINVAL);
	munmap(own, 2 * huge);
	close(fd);
}

/* IOAS_MAP 10: "a read-only map of a private file page must keep showing the same page after a CPU write". */
static void a_private_page_of_a_file_is_followed(void **state)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	u8 *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	u64 iova = 0x10000, before;

	close(fd);
	attach_to(0, ioas);
	assert_int_equal(map(&rig, ioas, UI_UAPI_MAP_READABLE | FIXED, at, PAGE, &iova), 0);
	memcpy(&before, at, 8);
	assert_int_equal(word_at(0, iova), before);
	memset(at, 0x11, PAGE);
	assert_int_equal(word_at(0, iova), 0x1111111111111111);
	munmap(at, PAGE);
}

/* Each step that needs memory fails in turn. */
static void every_failure_is_undone(void **state)
{
	bool fired = true;
	u64 n;

	for (n = 1; fired; n++) {
		u64 live = ui_alloc_live(), iova = 0x10000;
		u32 pt = ioas;
		int fd;
		long ret;

		ui_inject_arm(n);
		fd = ui_dmabuf_fd_new(rig.ctx, BUF_BYTES, false);
		if (fd == -ENOMEM)
			fd = ui_dmabuf_fd_new(rig.ctx, BUF_BYTES, false);
		ret = map_file(&rig, ioas, RW | FIXED, fd, 0, BUF_BYTES, &iova);
		if (ret == -ENOMEM)
			ret = map_file(&rig, ioas, RW | FIXED, fd, 0, BUF_BYTES, &iova);
		assert_int_equal(ret, 0);
		ret = attach(&rig, 0, 0, &pt);
		if (ret == -ENOMEM)
			ret = attach(&rig, 0, 0, &pt);
		assert_int_equal(ret, 0);
		assert_int_equal(word_at(0, iova), 0);
		assert_int_equal(ui_dmabuf_fd_revoke(rig.ctx, fd, true), 0);
		assert_int_equal(word_at(0, iova), MAX);
		fired = !ui_inject_left();
		ui_inject_arm(0);
		file_close(fd);
		detach(&rig, 0, 0);
		assert_int_equal(unmap(&rig, ioas, 0, MAX, NULL), 0);
		/* A group and its PASID table stay with the device: only the first round may add to what lives. */
		assert_true(n == 1 || ui_alloc_live() == live);
	}
	print_message("%llu points\n", (unsigned long long)n - 2);
	assert_true(n > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_dmabuf_is_mapped_like_a_file),
		T(a_revoked_dmabuf_is_in_no_domain),
		T(a_dmabuf_is_for_devices_only),
		T(only_dmabufs_are_revoked),
		T(a_revoke_waits_for_sections),
		T(a_file_is_measured_when_it_is_pinned),
		T(a_file_opened_for_reading_can_be_written),
		T(a_file_of_huge_pages_is_mapped),
		T(a_private_page_of_a_file_is_followed),
		T(every_failure_is_undone),
	};

	ui_log_set(UI_LOG_ERROR, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
