/* SPDX-License-Identifier: MIT */
/*
 * A kind for tests that has everything: nested domains whose x86-64 tables are walked through the parent, virtual IOMMUs with shared
 * memory, events and hardware queues. And an environment whose descriptors are numbers of the test's own.
 */
#ifndef TEST_IOMMUFD_NEST_H
#define TEST_IOMMUFD_NEST_H

#include "common.h"

#include "base/sys.h"
#include "core/request.h"
#include "iommufd/ctx.h"

#include <pthread.h>

/* Types of the kind's, in the places where the user API has one. */
enum {
	T_HW_INFO = 0x4e57,
	T_NESTED = 0x4e01,
	T_INVALIDATE,
	T_VIOMMU,
	T_VINVALIDATE,
	T_EVENT,
	T_QUEUE,
};

struct nest_hwpt_data {
	u64 top_ipa;
	u32 flags; /* unknown ones: -EOPNOTSUPP */
	u32 pad;
};

struct nest_range {
	u64 start, last; /* start > last: -EINVAL */
};

struct nest_viommu_data {
	u32 in, out;
	u64 offset, n_bytes; /* of shared memory, whose first word is @in */
};

struct nest_forget {
	u64 virt_id; /* unknown: -ENODEV */
	u32 what;    /* 0: -EINVAL */
	u32 pad;
};

enum { BAD_VIRT_ID = 13, N_QUEUES = 2, SHARE_BYTES = 2 * PAGE };

/* What a test looks at. Changed under the locks that the driver is called with. */
struct nest_vdev {
	u32 forgotten; /* sum of what */
};

struct nest_viommu {
	struct ui_viommu *viommu;
	struct ui_hw_queue *queues[N_QUEUES];
};

static struct {
	struct ui_viommu *last_viommu;
	struct ui_hw_queue *last_queue;
	u64 last_vdev_sum;
	unsigned n_vdevs, n_queues, n_viommus, n_domains;
	int fail_attach; /* not 0: the next attach of a nested domain returns it */
	void (*invalidating)(void); /* called inside each invalidation of a nested domain */
} nest;

static inline int nest_paging(struct ui_device *dev, unsigned flags, const struct ui_user_data *data, struct ui_pt_cfg *cfg, u64 *start,
			      u64 *last)
{
	return ui_driver_find("generic")->paging(dev, flags & ~(unsigned)UI_DOMAIN_F_NEST_PARENT, data, cfg, start, last);
}

static inline int nest_domain(struct ui_domain *parent, struct ui_viommu *viommu, const struct ui_user_data *data,
			      struct ui_domain **out)
{
	struct ui_walk_cfg s1 = {
		.format = UI_PT_X86_64, .granule_lg2 = 12, .ia_bits = 48, .oa_bits = 52, .top_level = 3, .top_lg2 = 9, .write_protect = true,
	};
	struct nest_hwpt_data want;
	int ret;

	if (data->type != T_NESTED)
		return -EOPNOTSUPP;
	ret = ui_user_data_read(data, &want, 8, sizeof(want));
	if (ret)
		return ret;
	if (want.flags)
		return -EOPNOTSUPP;
	s1.top_pa = want.top_ipa;
	ret = ui_domain_create_nested(parent, &s1, out);
	if (ret)
		return ret;
	/* Not NULL only for those made through a vIOMMU. */
	ui_domain_set_priv(*out, viommu);
	nest.n_domains++;
	return 0;
}

static inline int nest_nested(struct ui_device *dev, struct ui_domain *parent, unsigned flags, const struct ui_user_data *data,
			      struct ui_domain **out)
{
	return nest_domain(parent, NULL, data, out);
}

static inline void nest_gone(struct ui_domain *domain)
{
	if (ui_domain_kind(domain) == UI_DOMAIN_NESTED)
		nest.n_domains--;
}

static inline int nest_invalidate(struct ui_domain *domain, struct ui_user_array *array)
{
	struct nest_range range;
	int ret = 0;

	if (array->type != T_INVALIDATE || (array->n && array->entry_bytes != sizeof(range)))
		return -EINVAL;
	if (nest.invalidating)
		nest.invalidating();
	for (u32 i = 0; !ret && i < array->n; i++) {
		ret = ui_user_array_read(array, i, &range, sizeof(range));
		if (!ret)
			ret = range.start > range.last ? -EINVAL : ui_domain_invalidate(domain, range.start, range.last);
		array->n_done += !ret;
	}
	return ret;
}

static inline void nest_hw_info(struct ui_device *dev, struct ui_hw_info *out)
{
	static const u64 word = 0x123456789abcdef0;

	*out = (struct ui_hw_info){
		.type = T_HW_INFO, .data = &word, .data_bytes = sizeof(word),
		.capabilities = UI_UAPI_HW_CAP_PASID_EXEC | UI_UAPI_HW_CAP_PASID_PRIV,
	};
}

static inline int nest_attach(struct ui_device *dev, u32 pasid, bool has_pasid, struct ui_domain *domain)
{
	struct ui_viommu *viommu = domain && ui_domain_kind(domain) == UI_DOMAIN_NESTED ? ui_domain_priv(domain) : NULL;
	struct ui_vdevice *vdevice = ui_device_vdevice(dev);
	int ret = domain ? nest.fail_attach : 0;

	if (ret) {
		nest.fail_attach = 0;
		return ret;
	}
	return viommu && (!vdevice || vdevice->viommu != viommu) ? -ENOENT : 0;
}

static inline void nest_viommu_destroy(struct ui_viommu *viommu)
{
	nest.n_viommus--;
	ui_free(viommu->priv);
}

static inline int nest_viommu_nested(struct ui_viommu *viommu, struct ui_device *dev, unsigned flags, const struct ui_user_data *data,
				     struct ui_domain **out)
{
	return nest_domain(viommu->parent, viommu, data, out);
}

static inline int nest_viommu_invalidate(struct ui_viommu *viommu, struct ui_user_array *array)
{
	struct nest_forget entry;

	if (array->type != T_VINVALIDATE)
		return -EINVAL;
	for (u32 i = 0; i < array->n; i++) {
		int ret = ui_user_array_read(array, i, &entry, sizeof(entry));
		struct ui_vdevice *vdevice;

		if (ret || !entry.what)
			return ret ? ret : -EINVAL;
		vdevice = viommu->host->find(viommu, entry.virt_id);
		if (!vdevice)
			return -ENODEV;
		((struct nest_vdev *)vdevice->priv)->forgotten += entry.what;
		nest.last_vdev_sum = ((struct nest_vdev *)vdevice->priv)->forgotten;
		array->n_done++;
	}
	return 0;
}

static inline int nest_vdevice_init(struct ui_vdevice *vdevice)
{
	if (vdevice->virt_id == BAD_VIRT_ID)
		return -EIO;
	vdevice->priv = ui_zalloc(sizeof(struct nest_vdev));
	nest.n_vdevs += vdevice->priv != NULL;
	return vdevice->priv ? 0 : -ENOMEM;
}

static inline void nest_vdevice_gone(struct ui_vdevice *vdevice)
{
	nest.n_vdevs--;
	ui_free(vdevice->priv);
}

static inline bool nest_queue_known(struct ui_viommu *viommu, u32 type)
{
	return type == T_QUEUE;
}

static inline int nest_queue_init(struct ui_hw_queue *queue)
{
	struct nest_viommu *nv = queue->viommu->priv;

	if (queue->index >= N_QUEUES)
		return -EINVAL;
	if (nv->queues[queue->index])
		return -EEXIST;
	if (queue->index && !nv->queues[queue->index - 1])
		return -EIO;
	if (queue->index)
		queue->depends = nv->queues[queue->index - 1];
	nv->queues[queue->index] = queue;
	nest.last_queue = queue;
	nest.n_queues++;
	return 0;
}

static inline void nest_queue_gone(struct ui_hw_queue *queue)
{
	struct nest_viommu *nv = queue->viommu->priv;

	nv->queues[queue->index] = NULL;
	nest.n_queues--;
}

static const struct ui_viommu_ops nest_viommu_ops = {
	.destroy = nest_viommu_destroy,
	.nested = nest_viommu_nested,
	.invalidate = nest_viommu_invalidate,
	.vdevice_init = nest_vdevice_init,
	.vdevice_gone = nest_vdevice_gone,
	.hw_queue_known = nest_queue_known,
	.hw_queue_init = nest_queue_init,
	.hw_queue_gone = nest_queue_gone,
};

/* A vIOMMU with nothing optional. */
static const struct ui_viommu_ops bare_viommu_ops = { .destroy = nest_viommu_destroy };

enum { T_VIOMMU_BARE = T_VIOMMU + 0x100 };

static inline bool nest_viommu_known(struct ui_device *dev, u32 type)
{
	return type == T_VIOMMU || type == T_VIOMMU_BARE;
}

static inline int nest_viommu_init(struct ui_viommu *viommu, struct ui_device *dev, const struct ui_user_data *data)
{
	struct nest_viommu_data want = { 0 };
	struct nest_viommu *nv;
	void *memory;
	int ret = 0;

	nv = ui_zalloc(sizeof(*nv));
	if (!nv)
		return -ENOMEM;
	if (data->n_bytes) {
		ret = ui_user_data_read(data, &want, 8, sizeof(want));
		if (!ret)
			ret = viommu->host->share(viommu, SHARE_BYTES, &memory, &want.offset);
		if (!ret) {
			*(u32 *)memory = want.in;
			want.out = want.in;
			want.n_bytes = SHARE_BYTES;
			ret = ui_user_data_write(data, &want, sizeof(want));
		}
	}
	if (ret) {
		ui_free(nv);
		return ret;
	}
	viommu->ops = viommu->type == T_VIOMMU ? &nest_viommu_ops : &bare_viommu_ops;
	viommu->priv = nv;
	nest.last_viommu = viommu;
	nest.n_viommus++;
	return 0;
}

static const struct ui_resv nest_resv[] = { { .start = 0xfee00000, .last = 0xfeefffff, .msi = true } };

static const struct ui_driver_ops nest_driver = {
	.name = "nest",
	.pasid_bits = 20,
	.dirty = true,
	.user_pasids = true,
	.resv = nest_resv,
	.n_resv = ui_array_size(nest_resv),
	.paging = nest_paging,
	.nested = nest_nested,
	.invalidate = nest_invalidate,
	.domain_gone = nest_gone,
	.hw_info = nest_hw_info,
	.attach = nest_attach,
	.viommu_known = nest_viommu_known,
	.viommu_init = nest_viommu_init,
};

/* --- descriptors --- */

enum { FD_FIRST = 1000, N_FDS = 16 };

struct fake_file {
	const struct ui_iommufd_file_ops *ops;
	void *obj; /* NULL: free */
	bool readable;
};

static struct {
	pthread_mutex_t lock;
	struct fake_file files[N_FDS]; /* lock */
	int error;                     /* not 0: file_new() gives it */
	unsigned n_dropped;
} fds = { .lock = PTHREAD_MUTEX_INITIALIZER };

static inline struct fake_file *fake_file(int fd)
{
	return &fds.files[fd - FD_FIRST];
}

static inline int fake_new(void *arg, const struct ui_iommufd_file_ops *ops, void *obj, u64 memory_bytes)
{
	int ret = -EMFILE;

	if (fds.error)
		return fds.error;
	if (ui_inject_point())
		return -ENOMEM;
	pthread_mutex_lock(&fds.lock);
	for (int i = 0; ret < 0 && i < N_FDS; i++) {
		if (fds.files[i].obj)
			continue;
		fds.files[i] = (struct fake_file){ .ops = ops, .obj = obj };
		ret = FD_FIRST + i;
	}
	pthread_mutex_unlock(&fds.lock);
	return ret;
}

static inline void fake_drop(void *arg, int fd)
{
	pthread_mutex_lock(&fds.lock);
	*fake_file(fd) = (struct fake_file){ 0 };
	fds.n_dropped++;
	pthread_mutex_unlock(&fds.lock);
}

static inline void fake_readable(void *arg, void *obj, bool now)
{
	pthread_mutex_lock(&fds.lock);
	for (int i = 0; i < N_FDS; i++) {
		if (fds.files[i].obj == obj)
			fds.files[i].readable = now;
	}
	pthread_mutex_unlock(&fds.lock);
}

static inline void fd_close(int fd)
{
	struct fake_file file;

	pthread_mutex_lock(&fds.lock);
	file = *fake_file(fd);
	*fake_file(fd) = (struct fake_file){ 0 };
	pthread_mutex_unlock(&fds.lock);
	file.ops->release(file.obj);
}

static inline s64 fd_read(int fd, void *buf, u64 n_bytes)
{
	return fake_file(fd)->ops->read(fake_file(fd)->obj, (u64)(uintptr_t)buf, n_bytes, 0);
}

static inline s64 fd_write(int fd, const void *buf, u64 n_bytes)
{
	return fake_file(fd)->ops->write(fake_file(fd)->obj, (u64)(uintptr_t)buf, n_bytes, 0);
}

static inline bool fd_readable(int fd)
{
	bool readable;

	pthread_mutex_lock(&fds.lock);
	readable = fake_file(fd)->readable;
	pthread_mutex_unlock(&fds.lock);
	return readable;
}

static const struct ui_iommufd_env fake_env = { .file_new = fake_new, .file_drop = fake_drop, .file_readable = fake_readable };

/* --- calls --- */

static inline u64 ptr(const void *p)
{
	return (u64)(uintptr_t)p;
}

static inline long nested_new(struct rig *rig, u32 dev_id, u32 pt, u32 flags, const struct nest_hwpt_data *data, u32 *id)
{
	struct ui_uapi_hwpt_alloc cmd = {
		.size = sizeof(cmd), .flags = flags, .dev_id = dev_id, .pt_id = pt, .data_type = T_NESTED, .data_len = sizeof(*data),
		.data_uptr = ptr(data)
	};
	long ret = call(rig, UI_UAPI_HWPT_ALLOC, &cmd);

	*id = cmd.out_hwpt_id;
	return ret;
}

static inline long nested_fault_new(struct rig *rig, u32 dev_id, u32 pt, u32 flags, const struct nest_hwpt_data *data, u32 fault, u32 *id)
{
	struct ui_uapi_hwpt_alloc cmd = {
		.size = sizeof(cmd), .flags = flags | UI_UAPI_HWPT_FAULT_ID_VALID, .dev_id = dev_id, .pt_id = pt, .data_type = T_NESTED,
		.data_len = sizeof(*data), .data_uptr = ptr(data), .fault_id = fault
	};
	long ret = call(rig, UI_UAPI_HWPT_ALLOC, &cmd);

	*id = cmd.out_hwpt_id;
	return ret;
}

static inline long invalidate(struct rig *rig, u32 id, u32 type, const void *entries, u32 entry_len, u32 *n)
{
	struct ui_uapi_hwpt_invalidate cmd = {
		.size = sizeof(cmd), .hwpt_id = id, .data_uptr = ptr(entries), .data_type = type, .entry_len = entry_len, .entry_num = *n
	};
	long ret = call(rig, UI_UAPI_HWPT_INVALIDATE, &cmd);

	*n = cmd.entry_num;
	return ret;
}

static inline long fault_new(struct rig *rig, u32 *id, int *fd)
{
	struct ui_uapi_fault_alloc cmd = { .size = sizeof(cmd) };
	long ret = call(rig, UI_UAPI_FAULT_QUEUE_ALLOC, &cmd);

	*id = cmd.out_fault_id;
	*fd = (int)cmd.out_fault_fd;
	return ret;
}

static inline long viommu_new(struct rig *rig, u32 dev_id, u32 hwpt, u32 type, struct nest_viommu_data *data, u32 *id)
{
	struct ui_uapi_viommu_alloc cmd = {
		.size = sizeof(cmd), .type = type, .dev_id = dev_id, .hwpt_id = hwpt, .data_len = data ? sizeof(*data) : 0,
		.data_uptr = ptr(data)
	};
	long ret = call(rig, UI_UAPI_VIOMMU_ALLOC, &cmd);

	*id = cmd.out_viommu_id;
	return ret;
}

static inline long vdevice_new(struct rig *rig, u32 viommu, u32 dev_id, u64 virt_id, u32 *id)
{
	struct ui_uapi_vdevice_alloc cmd = { .size = sizeof(cmd), .viommu_id = viommu, .dev_id = dev_id, .virt_id = virt_id };
	long ret = call(rig, UI_UAPI_VDEVICE_ALLOC, &cmd);

	*id = cmd.out_vdevice_id;
	return ret;
}

static inline long veventq_new(struct rig *rig, u32 viommu, u32 type, u32 depth, u32 *id, int *fd)
{
	struct ui_uapi_veventq_alloc cmd = { .size = sizeof(cmd), .viommu_id = viommu, .type = type, .veventq_depth = depth };
	long ret = call(rig, UI_UAPI_VEVENTQ_ALLOC, &cmd);

	*id = cmd.out_veventq_id;
	*fd = (int)cmd.out_veventq_fd;
	return ret;
}

static inline long hw_queue_new(struct rig *rig, u32 viommu, u32 type, u32 index, u64 iova, u64 length, u32 *id)
{
	struct ui_uapi_hw_queue_alloc cmd = {
		.size = sizeof(cmd), .viommu_id = viommu, .type = type, .index = index, .nesting_parent_iova = iova, .length = length
	};
	long ret = call(rig, UI_UAPI_HW_QUEUE_ALLOC, &cmd);

	*id = cmd.out_hw_queue_id;
	return ret;
}

/* --- a guest: an IOAS with a nesting parent, and a stage-1 table of three tables and a leaf table in its memory --- */

enum { GUEST_PAGES = 16, IPA = 0x1000000, IOVA = 0x5000, DATA_PAGE = 8 };
/* x86-64 entries: present, writable, user; accessed and dirty in leaves. */
enum { TABLE_BITS = 0x7, LEAF_BITS = 0x67 };

struct guest {
	u32 ioas, parent;
	u8 *mem; /* GUEST_PAGES at IPA: tables in pages 0 to 3; page i of the rest holds i */
};

static inline void guest_leaf(struct guest *guest, u64 iova, unsigned page)
{
	((u64 *)(void *)(guest->mem + 3 * PAGE))[iova / PAGE] = (IPA + (u64)page * PAGE) | LEAF_BITS;
}

/* Device @i is bound. */
static inline void guest_open(struct rig *rig, struct guest *guest, unsigned i)
{
	guest->mem = pages_new(GUEST_PAGES * PAGE);
	for (u64 k = 0; k < GUEST_PAGES; k++) {
		if (k < 3)
			*(u64 *)(void *)(guest->mem + k * PAGE) = (IPA + (k + 1) * PAGE) | TABLE_BITS;
		else if (k > 3)
			*(u64 *)(void *)(guest->mem + k * PAGE) = k;
	}
	guest_leaf(guest, IOVA, DATA_PAGE);
	guest->ioas = ioas_new(rig);
	assert_int_equal(map_at(rig, guest->ioas, guest->mem, GUEST_PAGES * PAGE, IPA), 0);
	assert_int_equal(hwpt_new(rig, rig->dev_id[i], guest->ioas, UI_UAPI_HWPT_NEST_PARENT, &guest->parent), 0);
}

static inline void guest_close(struct guest *guest)
{
	munmap(guest->mem, GUEST_PAGES * PAGE);
}

static const struct nest_hwpt_data guest_table = { .top_ipa = IPA };

/* The word that device @i finds at @iova, or minus what refused it. */
static inline long word_at(struct rig *rig, unsigned i, u32 pasid, u64 iova)
{
	u64 word = 0;
	enum ui_dma_status status = dma_read(rig, i, pasid, iova, &word, 8);

	return status ? -(long)status : (long)word;
}

#endif
