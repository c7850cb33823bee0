/* SPDX-License-Identifier: MIT */
/*
 * Attachments: which domain serves a device's DMA, with each PASID and without.
 *
 * Readers (ports at the start of a section) follow published pointers; writers hold the group's lock. A change is one store of a
 * complete attachment, so that a reader sees the old or the new one, never neither. Then ui_tr_sync() waits for the sections of the
 * old domain and for those that were still resolving: after it nobody uses the old attachment, and it is freed.
 */
#include "base/alloc.h"
#include "core/internal.h"

#include <errno.h>

struct ui_stage_config *ui_device_resolve(void *arg, u32 pasid, bool has_pasid, enum ui_dma_status *reason)
{
	const struct ui_device *dev = arg;
	struct ui_attachment *att = NULL;

	/* Acquire: pairs with the release stores in publish() and slot_make(). */
	if (!has_pasid) {
		att = atomic_load_explicit(&dev->group->no_pasid, memory_order_acquire);
	} else if (!dev->pasid_bits || pasid >> dev->pasid_bits) {
		*reason = UI_DMA_BAD_PASID;
		return NULL;
	} else {
		struct ui_pasid_leaf *leaf = atomic_load_explicit(&dev->group->pasids->leaves[pasid >> UI_PASID_LEAF_LG2], memory_order_acquire);

		if (leaf)
			att = atomic_load_explicit(&leaf->slots[pasid & ((1u << UI_PASID_LEAF_LG2) - 1)], memory_order_acquire);
	}
	if (!att || att->domain->kind == UI_DOMAIN_BLOCKED) {
		*reason = UI_DMA_BLOCKED;
		return NULL;
	}
	return &att->domain->cfg;
}

/* Can the group's devices be addressed so? Those without PASIDs never send one: they do not count. 0, -EOPNOTSUPP, -EINVAL. */
static int check_pasid(struct ui_group *group, u32 pasid)
{
	unsigned bits = UI_PASID_BITS;

	ui_list_for_each(item, &group->devices) {
		struct ui_device *dev = ui_container_of(item, struct ui_device, group_link);

		if (dev->pasid_bits && dev->pasid_bits < bits)
			bits = dev->pasid_bits;
	}
	if (!group->iommu->driver->pasid_bits)
		return -EOPNOTSUPP;
	return pasid >> bits ? -EINVAL : 0;
}

/* NULL when there is no slot yet. The PASID is within some device's range. */
static ui_attachment_slot *slot_find(struct ui_group *group, u32 pasid, bool has_pasid)
{
	struct ui_pasid_leaf *leaf;

	if (!has_pasid)
		return &group->no_pasid;
	if (!group->pasids || pasid >> UI_PASID_BITS)
		return NULL;
	/* Acquire: pairs with the release store in slot_make(), for page requests, which do not hold group->lock. */
	leaf = atomic_load_explicit(&group->pasids->leaves[pasid >> UI_PASID_LEAF_LG2], memory_order_acquire);
	return leaf ? &leaf->slots[pasid & ((1u << UI_PASID_LEAF_LG2) - 1)] : NULL;
}

/* A group without a device that has PASIDs gets a table with the first attachment all the same. */
static bool table_make(struct ui_group *group)
{
	struct ui_pasid_table *table = group->pasids ? group->pasids : ui_zalloc(sizeof(*table));

	pthread_mutex_lock(&group->requests);
	group->pasids = table;
	pthread_mutex_unlock(&group->requests);
	return table;
}

static ui_attachment_slot *slot_make(struct ui_group *group, u32 pasid, bool has_pasid)
{
	ui_attachment_slot *slot = slot_find(group, pasid, has_pasid);
	struct ui_pasid_leaf *leaf;

	if (slot)
		return slot;
	if (!table_make(group))
		return NULL;
	leaf = ui_zalloc(sizeof(*leaf));
	if (!leaf)
		return NULL;
	/* Release: pairs with the acquire load of the leaf in ui_device_resolve(). */
	atomic_store_explicit(&group->pasids->leaves[pasid >> UI_PASID_LEAF_LG2], leaf, memory_order_release);
	return slot_find(group, pasid, true);
}

static int tell_driver(struct ui_device *dev, u32 pasid, bool has_pasid, struct ui_domain *domain)
{
	return has_pasid && !dev->pasid_bits ? 0 : dev->iommu->driver->attach(dev, pasid, has_pasid, domain);
}

/* Tells the driver about every device of the group that can go by the attachment; on an error those told already are told what was before. */
static int driver_attach(struct ui_group *group, u32 pasid, bool has_pasid, struct ui_domain *domain, struct ui_domain *before)
{
	int ret;

	if (!group->iommu->driver->attach)
		return 0;
	ui_list_for_each(item, &group->devices) {
		ret = tell_driver(ui_container_of(item, struct ui_device, group_link), pasid, has_pasid, domain);
		if (!ret || !domain)
			continue;
		for (struct ui_list *back = item->prev; back != &group->devices; back = back->prev)
			tell_driver(ui_container_of(back, struct ui_device, group_link), pasid, has_pasid, before);
		return ret;
	}
	return 0;
}

/* @att (NULL: nothing) becomes the answer, and @old is out of everybody's hands when this returns. */
static void publish(struct ui_group *group, ui_attachment_slot *slot, struct ui_attachment *att, struct ui_attachment *old)
{
	if (att)
		atomic_fetch_add_explicit(&att->domain->n_attached, 1, memory_order_relaxed);
	pthread_mutex_lock(&group->requests);
	/* Release: pairs with the acquire load of the slot in ui_device_resolve(). */
	atomic_store_explicit(slot, att, memory_order_release);
	pthread_mutex_unlock(&group->requests);
	if (!old)
		return;
	ui_tr_sync(group->iommu->tr, &old->domain->cfg);
	/* Release: pairs with the acquire load in ui_domain_destroy(). */
	atomic_fetch_sub_explicit(&old->domain->n_attached, 1, memory_order_release);
	ui_free(old);
}

static int attach_locked(struct ui_group *group, u32 pasid, bool has_pasid, const struct ui_attachment *want, bool replace)
{
	int ret = has_pasid ? check_pasid(group, pasid) : 0;
	struct ui_attachment *att, *old;
	const struct ui_page_handler *handler;
	ui_attachment_slot *slot;

	if (ret)
		return ret;
	slot = slot_make(group, pasid, has_pasid);
	if (!slot)
		return -ENOMEM;
	old = atomic_load_explicit(slot, memory_order_relaxed);
	if (old && !replace)
		return -EBUSY;
	if (old && ui_tr_self_inside(group->iommu->tr, &old->domain->cfg))
		return -EDEADLK;
	att = ui_zalloc(sizeof(*att));
	if (!att)
		return -ENOMEM;
	*att = *want;
	ret = ui_domain_rows_enter(att->domain, group, pasid, has_pasid);
	if (ret) {
		ui_free(att);
		return ret;
	}
	ret = driver_attach(group, pasid, has_pasid, att->domain, old ? old->domain : NULL);
	if (ret) {
		ui_domain_rows_leave(att->domain, group, pasid, has_pasid);
		ui_free(att);
		return ret;
	}
	if (old)
		ui_domain_rows_leave(old->domain, group, pasid, has_pasid);
	handler = old && old->domain != att->domain ? old->domain->page_handler : NULL;
	publish(group, slot, att, old);
	ui_group_detached(group, pasid, has_pasid, handler);
	if (has_pasid && !old)
		group->n_pasids++;
	return 0;
}

int ui_device_attach(struct ui_device *dev, u32 pasid, bool has_pasid, struct ui_domain *domain, bool replace, void *label)
{
	const struct ui_attachment want = { .domain = domain, .label = label };
	int ret;

	if (domain->iommu != dev->iommu || (has_pasid && dev->iommu->driver->pasid_bits && !(domain->flags & UI_DOMAIN_F_PASID)))
		return -EINVAL;
	pthread_mutex_lock(&dev->group->lock);
	ret = attach_locked(dev->group, pasid, has_pasid, &want, replace);
	pthread_mutex_unlock(&dev->group->lock);
	return ret;
}

int ui_device_detach(struct ui_device *dev, u32 pasid, bool has_pasid)
{
	struct ui_group *group = dev->group;
	const struct ui_page_handler *handler;
	struct ui_attachment *old = NULL;
	ui_attachment_slot *slot;
	int ret = 0;

	pthread_mutex_lock(&group->lock);
	slot = slot_find(group, pasid, has_pasid);
	if (slot)
		old = atomic_load_explicit(slot, memory_order_relaxed);
	if (!old)
		goto out;
	ret = ui_tr_self_inside(group->iommu->tr, &old->domain->cfg) ? -EDEADLK : 0;
	if (ret)
		goto out;
	handler = old->domain->page_handler;
	ui_domain_rows_leave(old->domain, group, pasid, has_pasid);
	publish(group, slot, NULL, old);
	ui_group_detached(group, pasid, has_pasid, handler);
	driver_attach(group, pasid, has_pasid, NULL, NULL);
	if (has_pasid)
		group->n_pasids--;
out:
	pthread_mutex_unlock(&group->lock);
	return ret;
}

struct ui_domain *ui_group_domain(struct ui_group *group, u32 pasid, bool has_pasid)
{
	ui_attachment_slot *slot = slot_find(group, pasid, has_pasid);
	struct ui_attachment *att = slot ? atomic_load_explicit(slot, memory_order_relaxed) : NULL;

	return att ? att->domain : NULL;
}

struct ui_domain *ui_device_attached(struct ui_device *dev, u32 pasid, bool has_pasid, void **label)
{
	struct ui_domain *domain = NULL;
	ui_attachment_slot *slot;

	pthread_mutex_lock(&dev->group->lock);
	slot = slot_find(dev->group, pasid, has_pasid);
	if (slot) {
		struct ui_attachment *att = atomic_load_explicit(slot, memory_order_relaxed);

		if (att && label)
			*label = att->label;
		domain = att ? att->domain : NULL;
	}
	pthread_mutex_unlock(&dev->group->lock);
	return domain;
}

unsigned ui_device_n_pasids(struct ui_device *dev)
{
	unsigned n;

	pthread_mutex_lock(&dev->group->lock);
	n = dev->group->n_pasids;
	pthread_mutex_unlock(&dev->group->lock);
	return n;
}
