/* SPDX-License-Identifier: MIT */
/* Groups: devices that nothing isolates from one another. Attachments and ownership are a group's. */
#include "base/alloc.h"
#include "core/internal.h"

#include <errno.h>

static struct ui_group *group_find(struct ui_iommu *iommu, u32 number)
{
	ui_list_for_each(item, &iommu->groups) {
		struct ui_group *group = ui_container_of(item, struct ui_group, link);

		if (number && group->number == number)
			return group;
	}
	return NULL;
}

static struct ui_group *group_create(struct ui_iommu *iommu, u32 number)
{
	struct ui_group *group = ui_zalloc(sizeof(*group));

	if (!group)
		return NULL;
	group->iommu = iommu;
	group->number = number;
	pthread_mutex_init(&group->lock, NULL);
	pthread_mutex_init(&group->requests, NULL);
	ui_list_init(&group->devices);
	ui_list_add_tail(&iommu->groups, &group->link);
	return group;
}

static bool is_attached(struct ui_group *group)
{
	return group->n_pasids || atomic_load_explicit(&group->no_pasid, memory_order_relaxed);
}

static void group_free_if_empty(struct ui_group *group)
{
	if (!ui_list_empty(&group->devices))
		return;
	ui_assert(!is_attached(group) && !group->owner);
	ui_list_del(&group->link);
	for (size_t i = 0; group->pasids && i < ui_array_size(group->pasids->leaves); i++)
		ui_free(atomic_load_explicit(&group->pasids->leaves[i], memory_order_relaxed));
	ui_free(group->pasids);
	pthread_mutex_destroy(&group->requests);
	pthread_mutex_destroy(&group->lock);
	ui_free(group);
}

struct ui_group *ui_group_join(struct ui_device *dev, u32 number)
{
	struct ui_group *group = group_find(dev->iommu, number);
	bool ok = false;

	if (!group)
		group = group_create(dev->iommu, number);
	if (!group)
		return NULL;
	pthread_mutex_lock(&group->lock);
	if (is_attached(group))
		goto out; /* the newcomer would reach memory that nobody attached it to */
	pthread_mutex_lock(&group->requests);
	if (dev->pasid_bits && !group->pasids)
		group->pasids = ui_zalloc(sizeof(*group->pasids));
	pthread_mutex_unlock(&group->requests);
	ok = !dev->pasid_bits || group->pasids;
	if (ok)
		ui_list_add_tail(&group->devices, &dev->group_link);
out:
	pthread_mutex_unlock(&group->lock);
	if (ok)
		return group;
	group_free_if_empty(group);
	return NULL;
}

void ui_group_leave(struct ui_device *dev)
{
	pthread_mutex_lock(&dev->group->lock);
	ui_list_del(&dev->group_link);
	pthread_mutex_unlock(&dev->group->lock);
	group_free_if_empty(dev->group);
}

bool ui_device_same_group(const struct ui_device *a, const struct ui_device *b)
{
	return a->group == b->group;
}

int ui_device_claim(struct ui_device *dev, void *owner)
{
	struct ui_group *group = dev->group;
	int ret = 0;

	ui_assert(owner);
	pthread_mutex_lock(&group->lock);
	if (group->owner && group->owner != owner) {
		ret = -EBUSY;
	} else {
		group->owner = owner;
		group->n_claims++;
	}
	pthread_mutex_unlock(&group->lock);
	return ret;
}

void ui_device_release(struct ui_device *dev, void *owner)
{
	struct ui_group *group = dev->group;

	pthread_mutex_lock(&group->lock);
	ui_assert(group->owner == owner && group->n_claims);
	if (!--group->n_claims)
		group->owner = NULL;
	pthread_mutex_unlock(&group->lock);
}
