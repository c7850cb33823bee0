/* SPDX-License-Identifier: MIT */
/*
 * The driver half of the mock: domains in the two mock formats, nested domains whose TLB is four words, a virtual IOMMU with memory
 * to share, events, and two hardware queues.
 */
#include "base/alloc.h"
#include "mock/priv.h"

#include <errno.h>

enum { HW_INFO_TYPE = 0xfeedbeef, HW_INFO_REG = 0xdeadbeef };
enum { HWPT_DATA_TYPE = 0xdead };
#define INVALIDATE_TYPE 0xdeadbeefu
#define VIOMMU_TYPE 0xdeadbeefu
#define HW_QUEUE_TYPE 0xdeadbeefu
enum { INVALIDATE_ALL = 1 };
enum { TABLE_DEFAULT, TABLE_HUGE };
enum { N_HW_QUEUES = 2 };
/* An attachment with this PASID makes the next one fail, once. */
enum { PASID_THAT_FAILS = 1024 };

#define APERTURE_START ((u64)1 << 24)
#define APERTURE_LAST (((u64)1 << 31) - 1)
enum { HUGE_IA_BITS = 63 };

struct hwpt_data {
	u32 iotlb, table_type;
};

enum { HWPT_DATA_MIN = 4 };

/* A nested domain's. */
struct nested {
	struct ui_viommu *viommu; /* made through it, or NULL */
	atomic_uint iotlb[MOCK_N_WORDS];
};

static int read_hwpt_data(const struct ui_user_data *data, struct hwpt_data *out)
{
	if (data->type != HWPT_DATA_TYPE)
		return -EOPNOTSUPP;
	return ui_user_data_read(data, out, HWPT_DATA_MIN, sizeof(*out));
}

static int mock_paging(struct ui_device *dev, unsigned flags, const struct ui_user_data *data, struct ui_pt_cfg *cfg,
		       u64 *aperture_start, u64 *aperture_last)
{
	struct hwpt_data want = { .table_type = TABLE_DEFAULT };
	int ret = data->n_bytes || data->type ? read_hwpt_data(data, &want) : 0;

	if (ret)
		return ret;
	*cfg = (struct ui_pt_cfg){ .oa_bits = 52, .dirty_track = (flags & UI_DOMAIN_F_DIRTY) != 0 };
	switch (want.table_type) {
	case TABLE_DEFAULT:
		cfg->format = UI_PT_MOCK;
		cfg->granule_lg2 = 11;
		cfg->ia_bits = 31;
		*aperture_start = APERTURE_START;
		*aperture_last = APERTURE_LAST;
		return 0;
	case TABLE_HUGE:
		cfg->format = UI_PT_MOCK_HUGE;
		cfg->granule_lg2 = 12;
		cfg->ia_bits = HUGE_IA_BITS;
		*aperture_start = 0;
		*aperture_last = ui_mask_lg2(HUGE_IA_BITS);
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

static int nested_new(struct ui_domain *parent, struct ui_viommu *viommu, unsigned flags, const struct ui_user_data *data,
		      struct ui_domain **out)
{
	struct hwpt_data want;
	struct nested *nested;
	int ret;

	if (flags & ~(unsigned)UI_DOMAIN_F_PASID)
		return -EOPNOTSUPP;
	ret = read_hwpt_data(data, &want);
	if (ret)
		return ret;
	nested = ui_zalloc(sizeof(*nested));
	if (!nested)
		return -ENOMEM;
	nested->viommu = viommu;
	for (unsigned i = 0; i < MOCK_N_WORDS; i++)
		atomic_init(&nested->iotlb[i], want.iotlb);
	/* There is no table to walk: what the parent maps is what devices reach. */
	ret = ui_domain_create_nested(parent, NULL, out);
	if (ret) {
		ui_free(nested);
		return ret;
	}
	ui_domain_set_pasid(*out, flags & UI_DOMAIN_F_PASID);
	ui_domain_set_priv(*out, nested);
	return 0;
}

static int mock_nested(struct ui_device *dev, struct ui_domain *parent, unsigned flags, const struct ui_user_data *data,
		       struct ui_domain **out)
{
	return nested_new(parent, NULL, flags, data, out);
}

static void mock_domain_gone(struct ui_domain *domain)
{
	ui_free(ui_domain_priv(domain));
}

u32 ui_mock_iotlb(const struct ui_domain *domain, u32 index)
{
	struct nested *nested = ui_domain_priv(domain);

	return atomic_load_explicit(&nested->iotlb[index], memory_order_relaxed);
}

struct ui_viommu *ui_mock_domain_viommu(const struct ui_domain *domain)
{
	const struct nested *nested = ui_domain_kind(domain) == UI_DOMAIN_NESTED ? ui_domain_priv(domain) : NULL;

	return nested ? nested->viommu : NULL;
}

/* One or all of the words become 0. */
static void clear_words(atomic_uint *words, bool all, u32 index)
{
	for (u32 i = 0; i < MOCK_N_WORDS; i++) {
		if (all || i == index)
			atomic_store_explicit(&words[i], 0, memory_order_relaxed);
	}
}

static int mock_invalidate(struct ui_domain *domain, struct ui_user_array *array)
{
	struct nested *nested = ui_domain_priv(domain);
	struct {
		u32 flags, iotlb_id;
	} entry;
	int ret;

	if (array->type != INVALIDATE_TYPE || (array->n && array->entry_bytes != sizeof(entry)))
		return -EINVAL;
	for (u32 i = 0; i < array->n; i++) {
		ret = ui_user_array_read(array, i, &entry, sizeof(entry));
		if (ret)
			return ret;
		if (entry.flags & ~(u32)INVALIDATE_ALL)
			return -EOPNOTSUPP;
		if (entry.iotlb_id >= MOCK_N_WORDS)
			return -EINVAL;
		clear_words(nested->iotlb, entry.flags & INVALIDATE_ALL, entry.iotlb_id);
		array->n_done++;
	}
	return 0;
}

static void mock_hw_info(struct ui_device *dev, struct ui_hw_info *out)
{
	static const struct {
		u32 flags, test_reg;
	} data = { .test_reg = HW_INFO_REG };

	*out = (struct ui_hw_info){
		.type = HW_INFO_TYPE, .data = &data, .data_bytes = sizeof(data), .capabilities = UI_UAPI_HW_CAP_ATS_NOT_SUPPORTED,
	};
}

static bool mock_dirty_capable(struct ui_device *dev)
{
	const struct ui_mock_dev *mdev = ui_device_priv(dev);

	return !(mdev->flags & MOCK_DEV_NO_DIRTY);
}

static int mock_attach(struct ui_device *dev, u32 pasid, bool has_pasid, struct ui_domain *domain)
{
	struct ui_viommu *viommu = domain ? ui_mock_domain_viommu(domain) : NULL;
	struct ui_mock_dev *mdev = ui_device_priv(dev);
	struct ui_vdevice *vdevice;

	if (has_pasid && pasid == PASID_THAT_FAILS) {
		bool fail = mdev->fail_next;

		mdev->fail_next = domain && !fail;
		if (domain && fail)
			return -ENOMEM;
	}
	if (!viommu)
		return 0;
	vdevice = ui_device_vdevice(dev);
	return vdevice && vdevice->viommu == viommu ? 0 : -ENOENT;
}

/* ---- virtual IOMMUs ---- */

struct viommu {
	pthread_mutex_t lock;
	struct ui_hw_queue *queues[N_HW_QUEUES]; /* lock */
};

struct viommu_data {
	u32 in_data, out_data;
	u64 out_mmap_offset, out_mmap_length;
};

enum { VIOMMU_DATA_MIN = 8, SHARE_PAGES = 2 };

struct viommu_entry {
	u32 flags, vdev_id, cache_id;
};

static bool mock_viommu_known(struct ui_device *dev, u32 type)
{
	return type == VIOMMU_TYPE;
}

static void viommu_destroy(struct ui_viommu *viommu)
{
	struct viommu *own = viommu->priv;

	pthread_mutex_destroy(&own->lock);
	ui_free(own);
}

static int viommu_nested(struct ui_viommu *viommu, struct ui_device *dev, unsigned flags, const struct ui_user_data *data,
			 struct ui_domain **out)
{
	return nested_new(viommu->parent, viommu, flags, data, out);
}

static int invalidate_one(struct ui_viommu *viommu, const struct viommu_entry *entry)
{
	struct ui_vdevice *vdevice;
	struct ui_mock_dev *mdev;

	if (entry->flags & ~(u32)INVALIDATE_ALL)
		return -EOPNOTSUPP;
	if (entry->cache_id >= MOCK_N_WORDS)
		return -EINVAL;
	vdevice = viommu->host->find(viommu, entry->vdev_id);
	if (!vdevice)
		return -EINVAL;
	mdev = ui_device_priv(vdevice->dev);
	clear_words(mdev->cache, entry->flags & INVALIDATE_ALL, entry->cache_id);
	return 0;
}

/* All entries are read before the first takes effect. */
static int viommu_invalidate(struct ui_viommu *viommu, struct ui_user_array *array)
{
	struct viommu_entry *entries;
	int ret = 0;

	if (array->type != INVALIDATE_TYPE)
		return -EINVAL;
	if (!array->n)
		return 0;
	entries = ui_calloc(array->n, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	for (u32 i = 0; !ret && i < array->n; i++)
		ret = ui_user_array_read(array, i, &entries[i], sizeof(*entries));
	for (u32 i = 0; !ret && i < array->n; i++) {
		ret = invalidate_one(viommu, &entries[i]);
		array->n_done += !ret;
	}
	ui_free(entries);
	return ret;
}

static bool hw_queue_known(struct ui_viommu *viommu, u32 type)
{
	return type == HW_QUEUE_TYPE;
}

/* Queue 1 stands on queue 0. */
static int hw_queue_init(struct ui_hw_queue *queue)
{
	struct viommu *own = queue->viommu->priv;
	int ret = 0;

	if (queue->index >= N_HW_QUEUES)
		return -EINVAL;
	pthread_mutex_lock(&own->lock);
	if (own->queues[queue->index])
		ret = -EEXIST;
	else if (queue->index && !own->queues[queue->index - 1])
		ret = -EIO;
	if (!ret) {
		queue->depends = queue->index ? own->queues[queue->index - 1] : NULL;
		own->queues[queue->index] = queue;
	}
	pthread_mutex_unlock(&own->lock);
	return ret;
}

static void hw_queue_gone(struct ui_hw_queue *queue)
{
	struct viommu *own = queue->viommu->priv;

	pthread_mutex_lock(&own->lock);
	own->queues[queue->index] = NULL;
	pthread_mutex_unlock(&own->lock);
}

static const struct ui_viommu_ops viommu_ops = {
	.destroy = viommu_destroy,
	.nested = viommu_nested,
	.invalidate = viommu_invalidate,
	.hw_queue_known = hw_queue_known,
	.hw_queue_init = hw_queue_init,
	.hw_queue_gone = hw_queue_gone,
};

/* The user's word comes back twice: in the answer, and at the beginning of memory that it may map. */
static int loop_back(struct ui_viommu *viommu, const struct ui_user_data *data)
{
	struct viommu_data d;
	void *memory;
	int ret = ui_user_data_read(data, &d, VIOMMU_DATA_MIN, sizeof(d));

	if (ret)
		return ret;
	d.out_data = d.in_data;
	d.out_mmap_length = SHARE_PAGES * UI_PAGE_BYTES;
	ret = viommu->host->share(viommu, d.out_mmap_length, &memory, &d.out_mmap_offset);
	if (ret)
		return ret;
	*(u32 *)memory = d.in_data;
	return ui_user_data_write(data, &d, sizeof(d));
}

static int mock_viommu_init(struct ui_viommu *viommu, struct ui_device *dev, const struct ui_user_data *data)
{
	struct viommu *own = ui_zalloc(sizeof(*own));
	int ret;

	if (!own)
		return -ENOMEM;
	ret = data->n_bytes ? loop_back(viommu, data) : 0;
	if (ret) {
		ui_free(own);
		return ret;
	}
	pthread_mutex_init(&own->lock, NULL);
	viommu->priv = own;
	viommu->ops = &viommu_ops;
	return 0;
}

const struct ui_driver_ops ui_mock_driver = {
	.name = "mock",
	.pasid_bits = MOCK_PASID_BITS,
	.user_pasids = true,
	.dirty = true,
	.paging = mock_paging,
	.nested = mock_nested,
	.invalidate = mock_invalidate,
	.domain_gone = mock_domain_gone,
	.hw_info = mock_hw_info,
	.dirty_capable = mock_dirty_capable,
	.attach = mock_attach,
	.viommu_known = mock_viommu_known,
	.viommu_init = mock_viommu_init,
};
