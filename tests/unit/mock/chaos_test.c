/* SPDX-License-Identifier: MIT */
/*
 * Threads that make, use, read, close and destroy whatever number comes along, in two contexts that share the memory and each
 * other's descriptors. No order of calls may break what the next one finds: nothing hangs, nothing is used after its end, and at the
 * end nothing is pinned. For the sanitizers; argv[1]: the seed. (iommufd-semantics 1.10 to 1.14, 12.2; step 2, "Bad input".)
 */
#include "base/bits.h"
#include "iommufd/iommufd.h"
#include "iommufd/uapi.h"
#include "mock/mock.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, N_THREADS = 4, N_CTX = 2, ROUNDS = 3000, MAX_ID = 24, MAX_FILES = 64, MEM_PAGES = 8 };

#define IOVA ((u64)1 << 24)
#define MUST(cond) \
	do { \
		if (!(cond)) { \
			fprintf(stderr, "%s:%d: %s (seed %u)\n", __FILE__, __LINE__, #cond, start_seed); \
			exit(1); \
		} \
	} while (0)

static unsigned start_seed;
static int n_rounds;
static struct ui_mock *mock;
static struct ui_iommufd *ctxs[N_CTX];
static u8 *mem;

/* ---- descriptors: indices here; an end waits for who uses them, as the shim's does ---- */

struct file {
	const struct ui_iommufd_file_ops *ops;
	void *obj;
	int memfd;
	u32 refs;
	bool closed, dropped;
};

static pthread_mutex_t files_lock = PTHREAD_MUTEX_INITIALIZER;
static struct file files[MAX_FILES]; /* files_lock */
static _Thread_local int making = -1; /* by the call in progress: not to be used yet */

static int file_new(void *arg, const struct ui_iommufd_file_ops *ops, void *obj, u64 memory_bytes)
{
	int fd = -1;

	pthread_mutex_lock(&files_lock);
	for (int i = 0; i < MAX_FILES && fd < 0; i++) {
		if (!files[i].ops)
			fd = i;
	}
	if (fd >= 0)
		files[fd] = (struct file){ .ops = ops, .obj = obj, .memfd = -1, .refs = 2 };
	pthread_mutex_unlock(&files_lock);
	making = fd;
	return fd < 0 ? -EMFILE : fd;
}

static void put(int fd)
{
	struct file gone = { 0 };

	pthread_mutex_lock(&files_lock);
	if (!--files[fd].refs) {
		gone = files[fd];
		files[fd] = (struct file){ 0 };
	}
	pthread_mutex_unlock(&files_lock);
	if (gone.ops && !gone.dropped)
		gone.ops->release(gone.obj);
}

/* @made: -1, or the descriptor that the call made, which is the program's from now on. */
static void settle(void)
{
	int made = making;

	making = -1;
	if (made >= 0)
		put(made);
}

static void file_drop(void *arg, int fd)
{
	pthread_mutex_lock(&files_lock);
	files[fd].dropped = files[fd].closed = true;
	files[fd].refs--;
	pthread_mutex_unlock(&files_lock);
}

static int hold(int fd, const struct ui_iommufd_file_ops *ops)
{
	int ret = -1;

	if (fd < 0 || fd >= MAX_FILES)
		return -1;
	pthread_mutex_lock(&files_lock);
	/* Two references of its own until the call has ended. */
	if (files[fd].ops && !files[fd].closed && files[fd].refs && fd != making && (!ops || files[fd].ops == ops)) {
		files[fd].refs++;
		ret = fd;
	}
	pthread_mutex_unlock(&files_lock);
	return ret;
}

static void close_file(int fd)
{
	bool mine;

	if (hold(fd, NULL) < 0)
		return;
	pthread_mutex_lock(&files_lock);
	mine = !files[fd].closed;
	files[fd].closed = true;
	pthread_mutex_unlock(&files_lock);
	if (mine)
		put(fd);
	put(fd);
}

static void file_readable(void *arg, void *obj, bool now)
{
}

static void *file_get(void *arg, int fd, const struct ui_iommufd_file_ops *ops)
{
	return hold(fd, ops) < 0 ? NULL : files[fd].obj;
}

static void file_put(void *arg, void *obj)
{
	int fd = -1;

	pthread_mutex_lock(&files_lock);
	for (int i = 0; i < MAX_FILES && fd < 0; i++) {
		if (files[i].ops && files[i].obj == obj)
			fd = i;
	}
	pthread_mutex_unlock(&files_lock);
	MUST(fd >= 0);
	put(fd);
}

static const struct ui_iommufd_env env = {
	.file_new = file_new, .file_drop = file_drop, .file_readable = file_readable, .file_get = file_get, .file_put = file_put,
};

/* ---- calls ---- */

struct mess {
	unsigned seed;
	struct ui_iommufd *ctx;
	unsigned n; /* which */
	u64 buf[64];
};

static u32 next(struct mess *m, u32 below)
{
	m->seed = m->seed * 1664525 + 1013904223;
	return (m->seed >> 8) % below;
}

/* What was made last, by kind; it may be gone, or something else by now. */
enum kind { IOAS, HWPT, NESTED, DEV, STDEV, FAULT, VIOMMU, OTHER, N_IDS, ACCESS = N_IDS, N_KINDS };
enum { N_RECENT = 3 };
static _Atomic u32 recent[N_CTX][N_KINDS][N_RECENT];

static void made(struct mess *m, enum kind kind, u32 id)
{
	recent[m->n][kind][next(m, N_RECENT)] = id;
}

/* Mostly one of that kind. */
static u32 id(struct mess *m, enum kind kind)
{
	u32 found = recent[m->n][kind][next(m, N_RECENT)];

	return found && next(m, 12) ? found : 1 + next(m, MAX_ID);
}

static u32 any_id(struct mess *m)
{
	return id(m, (enum kind)next(m, N_IDS));
}

static u64 va(struct mess *m)
{
	return (u64)(uintptr_t)(mem + next(m, MEM_PAGES) * PAGE);
}

static u64 iova(struct mess *m)
{
	return IOVA + next(m, MEM_PAGES) * PAGE;
}

static u64 some(struct mess *m)
{
	return (1 + next(m, 2)) * PAGE;
}

static u64 at(void *p)
{
	return (u64)(uintptr_t)p;
}

static long call(struct mess *m, u32 cmd, void *arg)
{
	long ret = ui_iommufd_ioctl(m->ctx, cmd, at(arg));

	settle();
	return ret;
}

struct test_cmd {
	u32 size, op, id, reserved;
	union {
		u64 u[6];
		u32 w[12];
	};
	u64 last;
};

static void test_op(struct mess *m)
{
	struct test_cmd cmd = { .size = sizeof(cmd), .op = 1 + next(m, 23), .id = any_id(m) };
	bool device = cmd.op == 2 || cmd.op == 12;
	long ret;

	switch (cmd.op) {
	case 1:
		if (next(m, 50))
			return;
		cmd.u[0] = 0x7f000000;
		cmd.u[1] = PAGE;
		break;
	case 2:
	case 12:
		cmd.id = id(m, next(m, 3) ? IOAS : HWPT);
		cmd.w[3] = cmd.op == 12 ? 4 : 0;
		break;
	case 3:
		cmd.id = id(m, HWPT), cmd.u[0] = iova(m), cmd.u[1] = PAGE, cmd.u[2] = va(m);
		break;
	case 4:
		cmd.u[0] = PAGE, cmd.u[1] = va(m), cmd.w[4] = 1;
		break;
	case 5:
		cmd.id = id(m, IOAS), cmd.w[1] = next(m, 4) != 0;
		break;
	case 6:
		cmd.id = id(m, ACCESS), cmd.w[0] = next(m, 4);
		break;
	case 7:
		cmd.id = id(m, ACCESS);
		cmd.w[0] = next(m, 2), cmd.u[1] = iova(m), cmd.u[2] = some(m);
		break;
	case 8:
		cmd.id = id(m, ACCESS);
		cmd.u[0] = iova(m), cmd.u[1] = some(m) / 4, cmd.u[2] = at(m->buf), cmd.w[6] = 0;
		cmd.u[1] = ui_min(cmd.u[1], sizeof(m->buf));
		break;
	case 10:
		cmd.id = id(m, STDEV), cmd.w[0] = id(m, next(m, 2) ? NESTED : next(m, 2) ? HWPT : IOAS);
		break;
	case 11:
		cmd.id = id(m, ACCESS), cmd.w[0] = id(m, IOAS);
		break;
	case 13:
		cmd.id = id(m, HWPT);
		cmd.u[1] = iova(m), cmd.u[2] = PAGE, cmd.u[3] = PAGE, cmd.u[4] = at(m->buf);
		break;
	case 15:
		cmd.w[0] = id(m, DEV), cmd.w[1] = next(m, 3), cmd.w[2] = next(m, 100), cmd.w[3] = 1;
		break;
	case 17:
		cmd.w[0] = id(m, DEV);
		break;
	case 18:
	case 19:
		cmd.id = id(m, STDEV), cmd.w[0] = next(m, 4) ? 1 + next(m, 2) : 1024, cmd.w[1] = id(m, next(m, 2) ? NESTED : HWPT);
		break;
	case 20:
	case 21:
		cmd.id = id(m, STDEV), cmd.w[0] = 1 + next(m, 2), cmd.w[1] = id(m, HWPT);
		break;
	case 22:
		return; /* the environment has no memory for one */
	case 23:
		cmd.w[0] = next(m, MAX_FILES / 4), cmd.w[1] = next(m, 2);
		break;
	}
	ret = call(m, 0x3ba0, &cmd);
	if (device && !ret) {
		made(m, STDEV, cmd.w[0]);
		made(m, DEV, cmd.w[2]);
	}
	if (cmd.op == 5 && !ret)
		made(m, ACCESS, cmd.w[0]);
}

static void hwpt(struct mess *m)
{
	static const u32 flags[] = { 0, UI_UAPI_HWPT_NEST_PARENT, UI_UAPI_HWPT_NEST_PARENT, UI_UAPI_HWPT_DIRTY_TRACKING, UI_UAPI_HWPT_PASID, UI_UAPI_HWPT_PASID, UI_UAPI_HWPT_FAULT_ID_VALID,
				     UI_UAPI_HWPT_FAULT_ID_VALID | UI_UAPI_HWPT_PASID };
	u32 data[2] = { 7, 0 };
	struct ui_uapi_hwpt_alloc cmd = { .size = sizeof(cmd), .flags = flags[next(m, ui_array_size(flags))], .dev_id = id(m, DEV),
					  .pt_id = id(m, IOAS), .fault_id = id(m, FAULT) };
	bool nested = next(m, 2);

	if (nested) {
		cmd.flags &= UI_UAPI_HWPT_PASID | UI_UAPI_HWPT_FAULT_ID_VALID;
		cmd.pt_id = id(m, next(m, 2) ? HWPT : VIOMMU);
		cmd.data_type = 0xdead, cmd.data_len = sizeof(data), cmd.data_uptr = at(data);
	}
	if (!call(m, UI_UAPI_HWPT_ALLOC, &cmd))
		made(m, nested ? NESTED : HWPT, cmd.out_hwpt_id);
}

static void viommu(struct mess *m)
{
	struct ui_uapi_viommu_alloc make = { .size = sizeof(make), .type = 0xdeadbeef, .dev_id = id(m, DEV), .hwpt_id = id(m, HWPT) };
	struct ui_uapi_vdevice_alloc vdev = { .size = sizeof(vdev), .viommu_id = id(m, VIOMMU), .dev_id = id(m, DEV), .virt_id = 1 + next(m, 3) };
	struct ui_uapi_veventq_alloc eventq = { .size = sizeof(eventq), .viommu_id = id(m, VIOMMU), .type = 0xbeefbeef, .veventq_depth = 2 };
	struct ui_uapi_hw_queue_alloc queue = { .size = sizeof(queue), .viommu_id = id(m, VIOMMU), .type = 0xdeadbeef, .index = next(m, 2),
						.nesting_parent_iova = iova(m), .length = PAGE };
	u64 data[3] = { 5 };

	if (next(m, 2))
		make.data_len = sizeof(data), make.data_uptr = at(data);
	switch (next(m, 4)) {
	case 0:
		if (!call(m, UI_UAPI_VIOMMU_ALLOC, &make))
			made(m, VIOMMU, make.out_viommu_id);
		break;
	case 1:
		if (!call(m, UI_UAPI_VDEVICE_ALLOC, &vdev))
			made(m, OTHER, vdev.out_vdevice_id);
		break;
	case 2:
		if (!call(m, UI_UAPI_VEVENTQ_ALLOC, &eventq))
			made(m, OTHER, eventq.out_veventq_id);
		break;
	default:
		if (!call(m, UI_UAPI_HW_QUEUE_ALLOC, &queue))
			made(m, OTHER, queue.out_hw_queue_id);
	}
}

static void space(struct mess *m)
{
	struct ui_uapi_ioas_map map = { .size = sizeof(map), .flags = UI_UAPI_MAP_ALL, .ioas_id = id(m, IOAS), .user_va = va(m), .length = PAGE, .iova = iova(m) };
	struct ui_uapi_ioas_copy copy = { .size = sizeof(copy), .flags = UI_UAPI_MAP_ALL, .dst_ioas_id = id(m, IOAS), .src_ioas_id = id(m, IOAS),
					  .length = PAGE, .dst_iova = iova(m), .src_iova = iova(m) };
	struct ui_uapi_ioas_unmap unmap = { .size = sizeof(unmap), .ioas_id = id(m, IOAS), .iova = iova(m), .length = some(m) };
	struct ui_uapi_ioas_alloc make = { .size = sizeof(make) };
	struct ui_uapi_hwpt_get_dirty_bitmap dirty = { .size = sizeof(dirty), .hwpt_id = id(m, HWPT), .iova = IOVA, .length = PAGE, .page_size = PAGE,
						       .data = at(m->buf) };

	switch (next(m, 6)) {
	case 0:
		if (!call(m, UI_UAPI_IOAS_ALLOC, &make))
			made(m, IOAS, make.out_ioas_id);
		break;
	case 1:
		call(m, UI_UAPI_HWPT_GET_DIRTY_BITMAP, &dirty);
		break;
	case 2:
		call(m, UI_UAPI_IOAS_COPY, &copy);
		break;
	case 3:
		call(m, UI_UAPI_IOAS_UNMAP, &unmap);
		break;
	default:
		call(m, UI_UAPI_IOAS_MAP, &map);
	}
}

static void invalidate(struct mess *m)
{
	u32 entries[3] = { 1, 1 + next(m, 3), 0 };
	struct ui_uapi_hwpt_invalidate cmd = { .size = sizeof(cmd), .hwpt_id = id(m, next(m, 2) ? NESTED : VIOMMU), .data_uptr = at(entries), .data_type = 0xdeadbeef,
					       .entry_len = next(m, 2) ? 8 : 12, .entry_num = 1 };
	struct ui_uapi_ioas_change_process change = { .size = sizeof(change) };
	struct ui_uapi_hw_info info = { .size = sizeof(info), .dev_id = id(m, DEV) };
	struct ui_uapi_vfio_ioas vfio = { .size = sizeof(vfio), .op = (u16)next(m, 3), .ioas_id = id(m, IOAS) };

	switch (next(m, 4)) {
	case 0:
		call(m, UI_UAPI_IOAS_CHANGE_PROCESS, &change);
		break;
	case 1:
		call(m, UI_UAPI_GET_HW_INFO, &info);
		break;
	case 2:
		call(m, UI_UAPI_VFIO_IOAS, &vfio);
		break;
	default:
		call(m, UI_UAPI_HWPT_INVALIDATE, &cmd);
	}
}

static void use_file(struct mess *m)
{
	int fd = hold((int)next(m, MAX_FILES / 4), NULL);
	struct ui_uapi_page_response response = { .cookie = 1 + next(m, 4) };
	struct ui_uapi_fault_alloc fault = { .size = sizeof(fault) };

	if (fd < 0) {
		if (!call(m, UI_UAPI_FAULT_QUEUE_ALLOC, &fault))
			made(m, FAULT, fault.out_fault_id);
		return;
	}
	if (files[fd].ops->read)
		files[fd].ops->read(files[fd].obj, at(m->buf), 480, 0);
	if (files[fd].ops->write)
		files[fd].ops->write(files[fd].obj, at(&response), sizeof(response), 0);
	put(fd);
}

static void map_shared(struct mess *m)
{
	void *region;
	int fd;

	if (ui_iommufd_mmap(m->ctx, PAGE * (1 + 2 * next(m, 4)), 2 * PAGE, PROT_READ, MAP_SHARED, &fd, &region))
		return;
	space(m);
	ui_iommufd_munmap(m->ctx, region);
}

static void *run(void *arg)
{
	struct mess m = { .seed = *(const unsigned *)arg };

	for (int i = 0; i < n_rounds; i++) {
		struct ui_uapi_destroy gone = { .size = sizeof(gone), .id = 0 };

		m.n = next(&m, N_CTX);
		m.ctx = ctxs[m.n];
		switch (next(&m, 12)) {
		case 0:
			gone.id = any_id(&m);
			call(&m, UI_UAPI_DESTROY, &gone);
			break;
		case 1:
		case 2:
		case 3:
			space(&m);
			break;
		case 4:
			hwpt(&m);
			break;
		case 5:
			viommu(&m);
			break;
		case 6:
			invalidate(&m);
			break;
		case 7:
			use_file(&m);
			break;
		case 8:
			if (!next(&m, 4))
				close_file((int)next(&m, MAX_FILES / 4));
			break;
		case 9:
			map_shared(&m);
			break;
		default:
			test_op(&m);
		}
	}
	return NULL;
}

/* Nothing is pinned, in whatever context. */
static void check_unpinned(void)
{
	struct ui_iommufd *ctx = ui_mock_open(mock, &env);
	struct test_cmd cmd = { .size = sizeof(cmd), .op = 4, .u = { MEM_PAGES * PAGE, at(mem) } };

	MUST(ctx && !ui_iommufd_ioctl(ctx, 0x3ba0, at(&cmd)));
	ui_iommufd_close(ctx);
}

int main(int argc, char **argv)
{
	unsigned seeds[N_THREADS];
	pthread_t threads[N_THREADS];

	n_rounds = argc > 2 ? atoi(argv[2]) : ROUNDS;
	start_seed = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 0) : 1;
	mem = mmap(NULL, MEM_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mock = ui_mock_create();
	MUST(mem != MAP_FAILED && mock);
	for (int i = 0; i < N_CTX; i++) {
		ctxs[i] = ui_mock_open(mock, &env);
		MUST(ctxs[i]);
	}
	for (unsigned i = 0; i < N_THREADS; i++) {
		seeds[i] = start_seed * 977 + i;
		MUST(!pthread_create(&threads[i], NULL, run, &seeds[i]));
	}
	for (unsigned i = 0; i < N_THREADS; i++)
		MUST(!pthread_join(threads[i], NULL));
	/* One context before its descriptors, the other after. */
	ui_iommufd_close(ctxs[0]);
	for (int fd = 0; fd < MAX_FILES; fd++)
		close_file(fd);
	ui_iommufd_close(ctxs[1]);
	check_unpinned();
	ui_mock_destroy(mock);
	munmap(mem, MEM_PAGES * PAGE);
	printf("seed %u\n", start_seed);
	return 0;
}
