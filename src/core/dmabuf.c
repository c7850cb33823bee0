/* SPDX-License-Identifier: MIT */
#include "core/dmabuf.h"
#include "base/alloc.h"
#include "base/sys.h"
#include "core/internal.h"
#include "core/ioas_priv.h"

#include <errno.h>

/* A backing object that is (a part of) the memory. */
struct user {
	struct ui_list link;
	struct ui_pages *pages;
};

struct ui_dmabuf {
	u64 va, n_bytes; /* constant once laid */
	atomic_uint refs;
	pthread_mutex_t lock;
	bool laid, revoked;   /* lock */
	struct ui_list users; /* lock */
};

struct ui_dmabuf *ui_dmabuf_create(u64 n_bytes)
{
	struct ui_dmabuf *dmabuf = ui_zalloc(sizeof(*dmabuf));

	if (!dmabuf)
		return NULL;
	ui_assert(n_bytes && ui_is_aligned(n_bytes, UI_PAGE_BYTES));
	dmabuf->n_bytes = n_bytes;
	atomic_init(&dmabuf->refs, 1);
	pthread_mutex_init(&dmabuf->lock, NULL);
	ui_list_init(&dmabuf->users);
	return dmabuf;
}

void ui_dmabuf_lay(struct ui_dmabuf *dmabuf, u64 va)
{
	pthread_mutex_lock(&dmabuf->lock);
	dmabuf->va = va;
	dmabuf->laid = true;
	pthread_mutex_unlock(&dmabuf->lock);
}

u64 ui_dmabuf_bytes(const struct ui_dmabuf *dmabuf)
{
	return dmabuf->n_bytes;
}

struct ui_dmabuf *ui_dmabuf_get(struct ui_dmabuf *dmabuf)
{
	atomic_fetch_add_explicit(&dmabuf->refs, 1, memory_order_relaxed);
	return dmabuf;
}

void ui_dmabuf_put(struct ui_dmabuf *dmabuf)
{
	/* Release and acquire: what others did with it comes before its end. */
	if (atomic_fetch_sub_explicit(&dmabuf->refs, 1, memory_order_acq_rel) != 1)
		return;
	ui_assert(ui_list_empty(&dmabuf->users));
	if (dmabuf->laid)
		ui_sys_munmap((void *)(uintptr_t)dmabuf->va, dmabuf->n_bytes);
	pthread_mutex_destroy(&dmabuf->lock);
	ui_free(dmabuf);
}

int ui_dmabuf_pages(struct ui_dmabuf *dmabuf, struct ui_pages_set *set, u64 start, u64 n_bytes, bool writable, struct ui_pages **out)
{
	struct ui_pages_cfg cfg = { .addr = start, .n_bytes = n_bytes, .writable = writable, .dmabuf = dmabuf };
	struct user *user;
	int ret = 0;

	if (start >= dmabuf->n_bytes || n_bytes > dmabuf->n_bytes - start)
		return -EINVAL;
	user = ui_zalloc(sizeof(*user));
	if (!user)
		return -ENOMEM;
	pthread_mutex_lock(&dmabuf->lock);
	if (dmabuf->revoked || !dmabuf->laid) {
		ret = -ENODEV;
	} else {
		cfg.pa = dmabuf->va + start;
		user->pages = ui_pages_create(set, &cfg);
		ret = user->pages ? 0 : -ENOMEM;
	}
	if (!ret) {
		ui_dmabuf_get(dmabuf);
		ui_list_add_tail(&dmabuf->users, &user->link);
		*out = user->pages;
	}
	pthread_mutex_unlock(&dmabuf->lock);
	if (ret)
		ui_free(user);
	return ret;
}

void ui_dmabuf_pages_gone(struct ui_pages *pages)
{
	struct ui_dmabuf *dmabuf = pages->cfg.dmabuf;
	struct user *user = NULL;

	pthread_mutex_lock(&dmabuf->lock);
	ui_list_for_each(item, &dmabuf->users) {
		user = ui_container_of(item, struct user, link);
		if (user->pages == pages)
			break;
	}
	ui_list_del(&user->link);
	pthread_mutex_unlock(&dmabuf->lock);
	ui_free(user);
	ui_dmabuf_put(dmabuf);
}

/* The next area of @pages that is pinned, behind @node. Under set->moving (write) and set->lock. */
static struct ui_area *next_area(const struct ui_pages *pages, struct ui_ivm_node **node)
{
	u64 last = pages->cfg.pa + (pages->cfg.n_bytes - 1);
	struct ui_area *area;

	while ((*node = ui_ivm_next(&pages->set->bufs, pages->cfg.pa, last, *node))) {
		area = ui_container_of(ui_container_of(*node, struct ui_pin, node), struct ui_area, pin);
		/* One that is busy is in no domain; it comes into none any more. */
		if (area->pages == pages && !area->busy)
			return area;
	}
	return NULL;
}

/* Is the caller inside a section of a domain that has the pages? */
static bool self_inside(struct ui_pages *pages)
{
	struct ui_pages_set *set = pages->set;
	struct ui_ivm_node *node = NULL;
	struct ui_area *area;
	bool inside = false;

	pthread_rwlock_wrlock(&set->moving);
	pthread_mutex_lock(&set->lock);
	while (!inside && (area = next_area(pages, &node))) {
		for (size_t i = 0; i < area->ioas->n_domains; i++)
			inside |= ui_domain_self_inside(area->ioas->domains[i]);
	}
	pthread_mutex_unlock(&set->lock);
	pthread_rwlock_unlock(&set->moving);
	return inside;
}

/* As in a move of pages, everybody who changes tables or lists of domains is kept out. */
static void revoke(struct ui_pages *pages)
{
	struct ui_pages_set *set = pages->set;
	struct ui_ivm_node *node = NULL;
	struct ui_area *area;

	pthread_rwlock_wrlock(&set->moving);
	pthread_mutex_lock(&set->lock);
	/* Relaxed: readers hold set->moving. */
	atomic_store_explicit(&pages->revoked, true, memory_order_relaxed);
	while ((area = next_area(pages, &node))) {
		for (size_t i = 0; i < area->ioas->n_domains; i++)
			ui_domain_unmap(area->ioas->domains[i], area->start, area->start + (area->length - 1), UI_PT_SPLIT);
	}
	pthread_mutex_unlock(&set->lock);
	pthread_rwlock_unlock(&set->moving);
}

int ui_dmabuf_revoke(struct ui_dmabuf *dmabuf, bool revoked)
{
	bool inside = false;

	pthread_mutex_lock(&dmabuf->lock);
	if (revoked) {
		ui_list_for_each(item, &dmabuf->users)
			inside |= self_inside(ui_container_of(item, struct user, link)->pages);
	}
	if (!inside) {
		dmabuf->revoked = revoked;
		ui_list_for_each(item, &dmabuf->users) {
			if (revoked)
				revoke(ui_container_of(item, struct user, link)->pages);
		}
	}
	pthread_mutex_unlock(&dmabuf->lock);
	return inside ? -EDEADLK : 0;
}
