/* SPDX-License-Identifier: MIT */
/*
 * Sweeps: in each scenario every point of failure (allocations, descriptors) fails in turn. The call that meets it either does without,
 * or fails and leaves everything as it was: the objects and the ids that come next, free ranges and mappings of every IOAS, what
 * devices see, pins, descriptors. Then the same call succeeds, and the scenario goes on to its end; nothing leaks (issue 3, 6).
 */
#include "common.h"

#define TYPE 0xdeadbeefu
#define EVENTS 0xbeefbeefu

#define UNREACHED ((u64)1 << 40)

enum { NEEDS_PIN = 1, N_IDS = 20, GRID_PAGES = 24, MAX_STEPS = 100 };

/* The step that is to fail, and its how manieth point; MAX_STEPS: all succeed and tell how many points they have. */
static unsigned step_no, target;
static u64 nth, n_points[MAX_STEPS];

/* --- everything that can be seen from outside --- */

struct view {
	u32 next[4];                       /* ids that are given out next */
	long kinds[N_IDS][3];              /* what calls that change nothing answer to an id */
	u64 ranges[N_IDS][8];
	u32 n_ranges[N_IDS];
	u8 mapped[N_IDS][GRID_PAGES];      /* of an IOAS: 1 mapped, 2 writable too */
	u64 seen[N_DEVICES][2][GRID_PAGES]; /* by DMA, without PASID and with 1 */
	u32 pins[MEM_PAGES];
	unsigned n_files;
};

static void look_at_ioas(struct view *v, u32 id, u32 scratch)
{
	u64 to;

	for (u64 k = 0; k < GRID_PAGES; k++) {
		for (u32 write = 0; write < 2; write++) {
			u64 from = to = IOVA + k * PAGE;

			if (copy(&rig, scratch, id, UI_UAPI_MAP_READABLE | (write ? UI_UAPI_MAP_WRITEABLE : 0u) | (u32)FIXED, from, PAGE, &to))
				continue;
			v->mapped[id][k] = (u8)(1 + write);
			assert_int_equal(unmap(&rig, scratch, to, PAGE, NULL), 0);
		}
	}
}

static void look_at_id(struct view *v, u32 id, u32 scratch)
{
	struct ui_uapi_hwpt_get_dirty_bitmap bitmap = { .size = sizeof(bitmap), .hwpt_id = id };
	struct ui_uapi_hw_info info = { .size = sizeof(info), .dev_id = id };
	struct ui_uapi_iova_range list[4];
	u32 n = 4;

	memset(list, 0, sizeof(list));
	v->kinds[id][0] = ranges(&rig, id, list, &n, NULL);
	v->kinds[id][1] = call(&rig, UI_UAPI_HWPT_GET_DIRTY_BITMAP, &bitmap);
	v->kinds[id][2] = call(&rig, UI_UAPI_GET_HW_INFO, &info);
	memcpy(v->ranges[id], list, sizeof(list));
	v->n_ranges[id] = n;
	if (!v->kinds[id][0])
		look_at_ioas(v, id, scratch);
}

static void look(struct view *v)
{
	u32 scratch = ioas_new(&rig), more[3];

	memset(v, 0, sizeof(*v));
	v->next[0] = scratch;
	for (unsigned i = 0; i < 3; i++)
		more[i] = v->next[i + 1] = ioas_new(&rig);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(destroy(&rig, more[i]), 0);
	for (u32 id = 1; id < N_IDS; id++) {
		if (id != scratch)
			look_at_id(v, id, scratch);
	}
	assert_int_equal(destroy(&rig, scratch), 0);
	for (unsigned i = 0; i < N_DEVICES; i++) {
		for (u32 pasid = 0; pasid < 2; pasid++) {
			for (u64 k = 0; k < GRID_PAGES; k++) {
				if (dma_read(&rig, i, pasid, IOVA + k * PAGE, &v->seen[i][pasid][k], 8) != UI_DMA_OK)
					v->seen[i][pasid][k] = MAX;
			}
		}
	}
	for (unsigned i = 0; i < MEM_PAGES; i++) {
		while (v->pins[i] < 9 && check_refs(mem + i * PAGE, PAGE, v->pins[i]))
			v->pins[i]++;
	}
	for (unsigned fd = 0; fd < MAX_FDS; fd++)
		v->n_files += files[fd].ops != NULL;
}

static void assert_unchanged(const struct view *before, const char *what)
{
	static struct view now;

	look(&now);
	if (memcmp(before->next, now.next, sizeof(now.next)))
		fail_msg("%s, failed at %llu: ids %u and %u come next, not %u and %u", what, (unsigned long long)nth, now.next[0], now.next[1],
			 before->next[0], before->next[1]);
	if (memcmp(before->pins, now.pins, sizeof(now.pins)))
		fail_msg("%s: pins differ", what);
	if (memcmp(before->mapped, now.mapped, sizeof(now.mapped)))
		fail_msg("%s: mappings differ", what);
	if (memcmp(before->seen, now.seen, sizeof(now.seen)))
		fail_msg("%s: what devices see differs", what);
	if (before->n_files != now.n_files)
		fail_msg("%s: descriptors differ", what);
	if (memcmp(before, &now, sizeof(now)))
		fail_msg("%s: objects differ", what);
}

static bool arm(struct view *before)
{
	assert_true(step_no < MAX_STEPS);
	if (target == MAX_STEPS) {
		ui_inject_arm(UNREACHED);
		return false;
	}
	if (step_no != target)
		return false;
	look(before);
	ui_inject_arm(nth);
	return true;
}

/* True when the call failed. */
static bool disarm(long ret, bool armed, const struct view *before, const char *what)
{
	u64 left = ui_inject_left();

	ui_inject_arm(0);
	if (target == MAX_STEPS)
		n_points[step_no] = UNREACHED - left;
	step_no++;
	if (!ret || !armed || left)
		return false;
	if (ret != -ENOMEM && ret != -EMFILE)
		fail_msg("%s, failed at %llu, answers %ld", what, (unsigned long long)nth, ret);
	assert_unchanged(before, what);
	return true;
}

/* A call; the one that is to fail is done again. */
#define STEP(expr)                                                                                                        \
	do {                                                                                                              \
		static struct view before_;                                                                               \
		bool armed_ = arm(&before_);                                                                              \
		long ret_ = (expr);                                                                                       \
                                                                                                                          \
		if (disarm(ret_, armed_, &before_, #expr))                                                                \
			ret_ = (expr);                                                                                    \
		assert_int_equal(ret_, 0);                                                                                \
	} while (0)

/* --- calls --- */

static long try_ioas(u32 *id)
{
	struct ui_uapi_ioas_alloc cmd = { .size = sizeof(cmd) };
	long ret = call(&rig, UI_UAPI_IOAS_ALLOC, &cmd);

	*id = cmd.out_ioas_id;
	return ret;
}

static long try_bind(unsigned i)
{
	long ret = rig.binder.ops->bind(rig.binder.ctx, rig.dev[i], &rig.dev_id[i], &rig.bound[i]);

	if (ret)
		rig.bound[i] = NULL;
	return ret;
}

static long try_attach(unsigned i, u32 pasid, u32 pt)
{
	return attach(&rig, i, pasid, &pt);
}

static long try_map_file(u32 ioas, int fd, u64 iova)
{
	return map_file(&rig, ioas, RW | FIXED, fd, 0, 2 * PAGE, &iova);
}

static long try_copy(u32 dst, u32 src, u64 from, u64 length, u64 to)
{
	return copy(&rig, dst, src, RW | FIXED, from, length, &to);
}

static long try_anywhere(u32 ioas, const void *at, u64 length)
{
	u64 iova = 0;

	return map(&rig, ioas, RW, at, length, &iova);
}

static long try_huge(u32 ioas, u64 on)
{
	return huge_pages(&rig, ioas, on);
}

static long try_tracking(u32 hwpt, u32 on)
{
	struct ui_uapi_hwpt_set_dirty_tracking cmd = { .size = sizeof(cmd), .flags = on, .hwpt_id = hwpt };

	return call(&rig, UI_UAPI_HWPT_SET_DIRTY_TRACKING, &cmd);
}

static long try_bitmap(u32 hwpt, u64 iova, u64 length)
{
	static u64 bits[4];
	struct ui_uapi_hwpt_get_dirty_bitmap cmd = {
		.size = sizeof(cmd), .hwpt_id = hwpt, .iova = iova, .length = length, .page_size = PAGE, .data = (u64)(uintptr_t)bits
	};

	return call(&rig, UI_UAPI_HWPT_GET_DIRTY_BITMAP, &cmd);
}

static long try_change_process(void)
{
	struct ui_uapi_ioas_change_process cmd = { .size = sizeof(cmd) };

	return call(&rig, UI_UAPI_IOAS_CHANGE_PROCESS, &cmd);
}

static long try_info(u32 dev)
{
	u64 data[8];
	struct ui_uapi_hw_info cmd = { .size = sizeof(cmd), .dev_id = dev, .data_len = sizeof(data), .data_uptr = (u64)(uintptr_t)data };

	return call(&rig, UI_UAPI_GET_HW_INFO, &cmd);
}

static long try_vfio(u32 cmd, u64 iova, const void *at, u64 length)
{
	struct ui_uapi_vfio_map map = { .argsz = sizeof(map), .flags = 3, .vaddr = (u64)(uintptr_t)at, .iova = iova, .size = length };
	struct ui_uapi_vfio_unmap unmap = { .argsz = sizeof(unmap), .iova = iova, .size = length };

	return call(&rig, cmd, cmd == UI_UAPI_VFIO_IOMMU_MAP_DMA ? (void *)&map : (void *)&unmap);
}

static long try_vfio_info(void)
{
	u64 buf[32] = { sizeof(buf) };

	return call(&rig, UI_UAPI_VFIO_IOMMU_GET_INFO, buf);
}

static long try_vfio_ioas(u32 ioas)
{
	struct ui_uapi_vfio_ioas cmd = { .size = sizeof(cmd), .ioas_id = ioas, .op = UI_UAPI_VFIO_IOAS_SET };

	return call(&rig, UI_UAPI_VFIO_IOAS, &cmd);
}

static long try_fault_queue(u32 *id, int *fd)
{
	struct ui_uapi_fault_alloc cmd = { .size = sizeof(cmd) };
	long ret = call(&rig, UI_UAPI_FAULT_QUEUE_ALLOC, &cmd);

	*id = cmd.out_fault_id;
	*fd = (int)cmd.out_fault_fd;
	return ret;
}

static long try_faulting(u32 dev, u32 ioas, u32 flags, u32 fault, u32 *id)
{
	struct ui_uapi_hwpt_alloc cmd = {
		.size = sizeof(cmd), .flags = UI_UAPI_HWPT_FAULT_ID_VALID | flags, .dev_id = dev, .pt_id = ioas, .fault_id = fault
	};
	long ret = call(&rig, UI_UAPI_HWPT_ALLOC, &cmd);

	*id = cmd.out_hwpt_id;
	return ret;
}

static long try_viommu(u32 dev, u32 parent, bool with_data, u32 *id)
{
	u64 data[3] = { 1 };
	struct ui_uapi_viommu_alloc cmd = {
		.size = sizeof(cmd), .type = TYPE, .dev_id = dev, .hwpt_id = parent, .data_len = with_data ? sizeof(data) : 0,
		.data_uptr = (u64)(uintptr_t)data,
	};
	long ret = call(&rig, UI_UAPI_VIOMMU_ALLOC, &cmd);

	*id = cmd.out_viommu_id;
	return ret;
}

static long try_vdevice(u32 viommu, u32 dev, u32 *id)
{
	struct ui_uapi_vdevice_alloc cmd = { .size = sizeof(cmd), .viommu_id = viommu, .dev_id = dev, .virt_id = 0x99 };
	long ret = call(&rig, UI_UAPI_VDEVICE_ALLOC, &cmd);

	*id = cmd.out_vdevice_id;
	return ret;
}

static long try_events(u32 viommu, u32 *id, int *fd)
{
	struct ui_uapi_veventq_alloc cmd = { .size = sizeof(cmd), .viommu_id = viommu, .type = EVENTS, .veventq_depth = 2 };
	long ret = call(&rig, UI_UAPI_VEVENTQ_ALLOC, &cmd);

	*id = cmd.out_veventq_id;
	*fd = (int)cmd.out_veventq_fd;
	return ret;
}

static long try_hw_queue(u32 viommu, u32 index, u32 *id)
{
	struct ui_uapi_hw_queue_alloc cmd = {
		.size = sizeof(cmd), .viommu_id = viommu, .type = TYPE, .index = index, .nesting_parent_iova = IOVA, .length = PAGE,
	};
	long ret = call(&rig, UI_UAPI_HW_QUEUE_ALLOC, &cmd);

	*id = cmd.out_hw_queue_id;
	return ret;
}

static long try_access(u32 ioas, u32 flags, int *fd)
{
	struct test_cmd cmd = { .op = CREATE_ACCESS, .id = ioas, .w = { 0, flags } };
	long ret = test_call(&cmd);

	*fd = (int)cmd.w[0];
	return ret;
}

static long try_pin(int fd, u64 iova, u64 length, u32 *item)
{
	struct test_cmd cmd = { .op = ACCESS_PAGES, .id = (u32)fd, .u = { 1, iova, length, 0 } };
	long ret = test_call(&cmd);

	*item = cmd.w[1];
	return ret;
}

static long try_rw(int fd, u32 flags, u64 iova, u64 length)
{
	static u8 buf[4 * PAGE];

	return test_call(&(struct test_cmd){ .op = ACCESS_RW, .id = (u32)fd, .u = { iova, length, (u64)(uintptr_t)buf, flags } });
}

static long try_dmabuf(int *fd)
{
	long ret = test_w(DMABUF_GET, 0, 2 * PAGE, 0);

	*fd = (int)ret;
	return ret < 0 ? ret : 0;
}

/* --- scenarios --- */

static void areas(void)
{
	static const struct ui_uapi_iova_range list[] = { { IOVA, IOVA + 0xfffff } };
	int fd = ui_sys_memfd_create("sweep", 0);
	u32 a, b;

	assert_int_equal(ui_sys_ftruncate(fd, 2 * PAGE), 0);
	STEP(try_ioas(&a));
	STEP(map_at(&rig, a, mem, 4 * PAGE, IOVA));
	STEP(try_map_file(a, fd, IOVA + 8 * PAGE));
	STEP(test(ADD_RESERVED, a, 0x40000000, PAGE, 0));
	STEP(allow(&rig, a, list, 1));
	STEP(try_anywhere(a, mem + 4 * PAGE, 2 * PAGE));
	STEP(try_ioas(&b));
	STEP(try_copy(b, a, IOVA + PAGE, 2 * PAGE, IOVA + 2 * PAGE));
	STEP(try_huge(b, 0));
	STEP(unmap(&rig, a, IOVA, 4 * PAGE, NULL));
	STEP(unmap(&rig, b, 0, MAX, NULL));
	STEP(unmap(&rig, a, 0, MAX, NULL));
	STEP(try_map_file(a, fd, IOVA + 8 * PAGE));
	STEP(try_change_process());
	STEP(destroy(&rig, a));
	STEP(destroy(&rig, b));
	ui_sys_close(fd);
}

static void attachments(void)
{
	int fd = ui_sys_memfd_create("sweep", 0);
	u32 a, b, hwpt, second;

	assert_int_equal(ui_sys_ftruncate(fd, 2 * PAGE), 0);
	STEP(try_ioas(&a));
	STEP(try_ioas(&b));
	STEP(try_bind(0));
	STEP(map_at(&rig, a, mem, 4 * PAGE, IOVA));
	STEP(hwpt_new(&rig, rig.dev_id[0], a, UI_UAPI_HWPT_PASID | UI_UAPI_HWPT_DIRTY_TRACKING, &hwpt));
	STEP(try_attach(0, 0, hwpt));
	STEP(try_attach(0, 1, hwpt));
	STEP(map_at(&rig, a, mem + 4 * PAGE, 4 * PAGE, IOVA + 4 * PAGE));
	STEP(try_map_file(a, fd, IOVA + 16 * PAGE));
	STEP(try_copy(b, a, IOVA + PAGE, 6 * PAGE, IOVA + 8 * PAGE));
	STEP(hwpt_new(&rig, rig.dev_id[0], b, UI_UAPI_HWPT_PASID, &second));
	STEP(try_attach(0, 1, second));
	STEP(try_tracking(hwpt, 1));
	STEP(try_bitmap(hwpt, IOVA, 8 * PAGE));
	STEP(try_tracking(hwpt, 0));
	STEP(try_info(rig.dev_id[0]));
	STEP(try_bind(2));
	STEP(try_attach(2, 0, a));
	STEP(try_attach(2, 0, b));
	STEP(unmap(&rig, a, IOVA, 4 * PAGE, NULL));
	STEP(unmap(&rig, b, 0, MAX, NULL));
	detach(&rig, 0, 1);
	STEP(destroy(&rig, second));
	ui_sys_close(fd);
}

static void container(void)
{
	u32 a;

	STEP(try_ioas(&a));
	STEP(try_vfio_ioas(a));
	STEP(try_bind(0));
	STEP(call(&rig, UI_UAPI_VFIO_SET_IOMMU, (void *)(uintptr_t)UI_UAPI_VFIO_TYPE1));
	STEP(try_attach(0, 0, a));
	STEP(try_vfio(UI_UAPI_VFIO_IOMMU_MAP_DMA, IOVA, mem, 8 * PAGE));
	STEP(try_vfio_info());
	STEP(try_vfio(UI_UAPI_VFIO_IOMMU_MAP_DMA, IOVA + 8 * PAGE, mem + 8 * PAGE, 2 * PAGE));
	STEP(try_vfio(UI_UAPI_VFIO_IOMMU_UNMAP_DMA, IOVA + 2 * PAGE, NULL, 2 * PAGE));
	STEP(try_vfio(UI_UAPI_VFIO_IOMMU_UNMAP_DMA, IOVA + 5 * PAGE, NULL, PAGE));
	STEP(try_vfio(UI_UAPI_VFIO_IOMMU_UNMAP_DMA, IOVA, NULL, 10 * PAGE));
}

static void mock_devices(void)
{
	u32 entries[2][2] = { { 0, 1 }, { 1, 0 } }, a, b, parent, nested, hwpt, n = 2;
	struct mock_dev dev, second;

	STEP(try_ioas(&a));
	STEP(try_ioas(&b));
	STEP(map_at(&rig, a, mem, 4 * PAGE, IOVA));
	STEP(mock_domain(a, PASIDS, &dev));
	STEP(mock_domain(a, 0, &second));
	STEP(hwpt_new(&rig, dev.dev, a, UI_UAPI_HWPT_NEST_PARENT | UI_UAPI_HWPT_PASID, &parent));
	STEP(nested_new(dev.dev, parent, UI_UAPI_HWPT_PASID, &nested));
	STEP(test_w(MOCK_DOMAIN_REPLACE, dev.stdev, nested, 0));
	STEP(invalidate(nested, TYPE, entries, 8, &n));
	STEP(test_w(PASID_ATTACH, dev.stdev, 7, parent));
	STEP(test_w(PASID_REPLACE, dev.stdev, 7, nested));
	STEP(hwpt_new(&rig, dev.dev, b, UI_UAPI_HWPT_DIRTY_TRACKING | UI_UAPI_HWPT_PASID, &hwpt));
	STEP(map_at(&rig, b, mem + 4 * PAGE, 2 * PAGE, IOVA));
	STEP(test_w(MOCK_DOMAIN_REPLACE, dev.stdev, hwpt, 0));
	STEP(try_tracking(hwpt, 1));
	STEP(try_bitmap(hwpt, IOVA, 2 * PAGE));
	STEP(test_w(PASID_DETACH, dev.stdev, 7, 0));
	STEP(destroy(&rig, dev.stdev));
	STEP(destroy(&rig, nested));
	STEP(destroy(&rig, parent));
	STEP(destroy(&rig, second.stdev));
}

static void faults(void)
{
	struct test_cmd iopf = { .op = TRIGGER_IOPF };
	struct ui_uapi_pgfault rec;
	struct mock_dev dev;
	u32 a, fault, hwpt, other, response[2];
	int fd;

	STEP(try_ioas(&a));
	STEP(mock_domain(a, PASIDS, &dev));
	STEP(try_fault_queue(&fault, &fd));
	STEP(try_faulting(dev.dev, a, UI_UAPI_HWPT_PASID, fault, &hwpt));
	STEP(try_faulting(dev.dev, a, UI_UAPI_HWPT_PASID, fault, &other));
	STEP(test_w(MOCK_DOMAIN_REPLACE, dev.stdev, hwpt, 0));
	STEP(test_w(PASID_ATTACH, dev.stdev, 3, other));
	iopf.w[0] = dev.dev;
	iopf.w[2] = 5;
	/* Without memory it is answered at once: that is no failure of the call. */
	STEP(test_call(&iopf));
	if (files[fd].readable) {
		assert_int_equal(files[fd].ops->read(files[fd].obj, (u64)(uintptr_t)&rec, sizeof(rec), 0), sizeof(rec));
		response[0] = rec.cookie;
		response[1] = 0;
		assert_int_equal(files[fd].ops->write(files[fd].obj, (u64)(uintptr_t)response, 8, 0), 8);
	}
	STEP(test_w(PASID_DETACH, dev.stdev, 3, 0));
	STEP(test_w(MOCK_DOMAIN_REPLACE, dev.stdev, a, 0));
	STEP(destroy(&rig, hwpt));
	STEP(destroy(&rig, other));
	file_close(fd);
	STEP(destroy(&rig, fault));
}

static void virtual_iommus(void)
{
	u32 entry[3] = { 0, 0x99, 2 }, a, parent, viommu, vdevice, nested, events, first, second, n = 1;
	struct mock_dev dev;
	int fd;

	STEP(try_ioas(&a));
	STEP(mock_domain(a, 0, &dev));
	STEP(map_at(&rig, a, mem, 2 * PAGE, IOVA));
	STEP(hwpt_new(&rig, dev.dev, a, UI_UAPI_HWPT_NEST_PARENT, &parent));
	STEP(try_viommu(dev.dev, parent, false, &viommu));
	STEP(destroy(&rig, viommu));
	STEP(try_viommu(dev.dev, parent, true, &viommu));
	STEP(try_vdevice(viommu, dev.dev, &vdevice));
	STEP(nested_new(dev.dev, viommu, 0, &nested));
	STEP(test_w(MOCK_DOMAIN_REPLACE, dev.stdev, nested, 0));
	STEP(invalidate(viommu, TYPE, entry, 12, &n));
	STEP(try_events(viommu, &events, &fd));
	STEP(test_w(TRIGGER_VEVENT, 0, dev.dev, 0));
	STEP(try_hw_queue(viommu, 0, &first));
	STEP(try_hw_queue(viommu, 1, &second));
	STEP(destroy(&rig, second));
	STEP(destroy(&rig, first));
	STEP(unmap(&rig, a, IOVA, 2 * PAGE, NULL));
	STEP(test_w(MOCK_DOMAIN_REPLACE, dev.stdev, a, 0));
	file_close(fd);
	STEP(destroy(&rig, events));
	STEP(destroy(&rig, nested));
	STEP(destroy(&rig, vdevice));
	STEP(destroy(&rig, viommu));
	STEP(destroy(&rig, dev.stdev));
}

static void accesses(void)
{
	u32 a, b, item, hwpt;
	int fd, plain;

	STEP(try_ioas(&a));
	STEP(try_ioas(&b));
	STEP(map_at(&rig, a, mem, 4 * PAGE, IOVA));
	STEP(map_at(&rig, a, mem + 4 * PAGE, 4 * PAGE, IOVA + 4 * PAGE));
	STEP(map_at(&rig, b, mem, PAGE, IOVA));
	STEP(try_access(a, NEEDS_PIN, &fd));
	STEP(try_access(b, 0, &plain));
	STEP(try_pin(fd, IOVA + PAGE, 6 * PAGE, &item));
	STEP(try_pin(fd, IOVA, 8 * PAGE, &item));
	STEP(test_w(DESTROY_ACCESS_PAGES, (u32)fd, item, 0));
	STEP(try_rw(fd, 0, IOVA + 100, 3 * PAGE));
	STEP(try_rw(plain, 1, IOVA, 100));
	STEP(try_bind(0));
	STEP(hwpt_new(&rig, rig.dev_id[0], a, 0, &hwpt));
	STEP(unmap(&rig, a, IOVA, 4 * PAGE, NULL));
	STEP(try_pin(fd, IOVA + 4 * PAGE, PAGE, &item));
	STEP(test_w(ACCESS_REPLACE_IOAS, (u32)fd, b, 0));
	STEP(test_w(ACCESS_REPLACE_IOAS, (u32)plain, a, 0));
	file_close(fd);
	file_close(plain);
	STEP(destroy(&rig, b));
}

static void buffers(void)
{
	u32 a, hwpt;
	int fd;

	STEP(try_ioas(&a));
	STEP(try_bind(0));
	STEP(hwpt_new(&rig, rig.dev_id[0], a, 0, &hwpt));
	STEP(try_attach(0, 0, hwpt));
	STEP(try_dmabuf(&fd));
	STEP(try_map_file(a, fd, IOVA));
	STEP(try_copy(a, a, IOVA, PAGE, IOVA + 4 * PAGE));
	STEP(test_w(DMABUF_REVOKE, 0, (u32)fd, 1));
	STEP(unmap(&rig, a, IOVA, 2 * PAGE, NULL));
	STEP(test_w(DMABUF_REVOKE, 0, (u32)fd, 0));
	STEP(try_map_file(a, fd, IOVA));
	file_close(fd);
	STEP(unmap(&rig, a, 0, MAX, NULL));
}

/* A context of its own, which does not touch the one that is looked at. */
static long try_open(struct ui_iommufd *(*open)(void))
{
	struct ui_iommufd *ctx = open();

	if (ctx)
		ui_iommufd_close(ctx);
	return ctx ? 0 : -ENOMEM;
}

static struct ui_iommufd *open_plain(void)
{
	return ui_iommufd_open(&file_env);
}

static struct ui_iommufd *open_mock(void)
{
	return ui_mock_open(mock, &file_env);
}

static struct ui_iommufd *open_container(void)
{
	return ui_iommufd_open_container(&file_env);
}

static void contexts(void)
{
	STEP(try_open(open_plain));
	STEP(try_open(open_mock));
	STEP(try_open(open_container));
}

static long try_tie(struct ui_group_tie **tie)
{
	struct ui_device *const devs[] = { rig.dev[0], rig.dev[1] };

	return rig.binder.ops->tie_group(rig.binder.ctx, devs, 1, tie);
}

static void groups(void)
{
	struct ui_group_tie *tie;
	struct ui_bound *bound;

	STEP(try_tie(&tie));
	STEP(call(&rig, UI_UAPI_VFIO_SET_IOMMU, (void *)(uintptr_t)UI_UAPI_VFIO_TYPE1V2));
	STEP(rig.binder.ops->open_device(tie, rig.dev[0], &bound));
	STEP(try_vfio(UI_UAPI_VFIO_IOMMU_MAP_DMA, IOVA, mem, 8 * PAGE));
	STEP(try_vfio(UI_UAPI_VFIO_IOMMU_UNMAP_DMA, IOVA, NULL, 8 * PAGE));
	rig.binder.ops->close_device(bound);
	rig.binder.ops->untie_group(tie);
}

static u8 *away;

static int carry(void *arg)
{
	memcpy(away, mem + 2 * PAGE, 2 * PAGE);
	return 0;
}

static void moves(void)
{
	u32 a, hwpt;

	away = pages_new(2 * PAGE);
	STEP(try_ioas(&a));
	STEP(try_bind(0));
	STEP(hwpt_new(&rig, rig.dev_id[0], a, 0, &hwpt));
	STEP(try_attach(0, 0, hwpt));
	STEP(map_at(&rig, a, mem, 8 * PAGE, IOVA));
	STEP(map_at(&rig, a, mem + PAGE, 2 * PAGE, IOVA + 10 * PAGE));
	STEP(ui_iommufd_move_pages(rig.ctx, (u64)(uintptr_t)(mem + 2 * PAGE), 2 * PAGE, (u64)(uintptr_t)away, carry, NULL));
	STEP(unmap(&rig, a, 0, MAX, NULL));
	munmap(away, 2 * PAGE);
}

static const struct scenario {
	const char *name;
	void (*run)(void);
	u64 min_points; /* so that a scenario which ends early is noticed */
} scenarios[] = {
	{ "areas", areas, 20 },
	{ "attachments", attachments, 70 },
	{ "container", container, 20 },
	{ "mock devices", mock_devices, 40 },
	{ "faults", faults, 20 },
	{ "virtual IOMMUs", virtual_iommus, 30 },
	{ "accesses", accesses, 25 },
	{ "buffers", buffers, 15 },
	{ "contexts", contexts, 3 },
	{ "groups", groups, 8 },
	{ "moves", moves, 15 },
};

static void run_once(const struct scenario *s)
{
	setup(NULL);
	for (u64 i = 0; i < MEM_PAGES; i++)
		memcpy(mem + i * PAGE, &i, 8);
	recover_bad_accesses();
	step_no = 0;
	s->run();
	teardown(NULL);
}

static void sweep(void **state)
{
	const struct scenario *s = *state;
	unsigned n_steps;
	u64 n = 0;

	target = MAX_STEPS;
	run_once(s);
	n_steps = step_no;
	for (target = 0; target < n_steps; target++) {
		for (nth = 1; nth <= n_points[target]; nth++, n++)
			run_once(s);
	}
	print_message("%s: %u steps, %llu points\n", s->name, n_steps, (unsigned long long)n);
	assert_true(n >= s->min_points);
}

int main(void)
{
	struct CMUnitTest tests[ui_array_size(scenarios)];

	ui_log_set(UI_LOG_NONE, NULL, NULL);
	for (size_t i = 0; i < ui_array_size(scenarios); i++)
		tests[i] = (struct CMUnitTest){ scenarios[i].name, sweep, NULL, NULL, (void *)(uintptr_t)&scenarios[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
