/* SPDX-License-Identifier: MIT */
/*
 * Accesses, and what hardware reads by itself (ui_ioas_hold()), which pins in the same way. What an access pins it pins area by area:
 * the area counts it and stays until the count is 0, the area's object holds the pages.
 *
 * Lock order: access->lock, the locks of the IOAS (core/ioas.h).
 */
#include "core/access.h"
#include "base/alloc.h"
#include "base/sys.h"
#include "base/user.h"
#include "core/ioas_priv.h"

#include <errno.h>

/* What one look at the areas copies: the caller's memory is not touched while they are locked. */
enum { CHUNK_BYTES = 4096 };

/* How often the owner is asked to let go of everything when the access leaves its IOAS. It is a bug of the owner's if it does not. */
enum { ASK_MAX = 100 };

struct ui_access {
	const struct ui_access_ops *ops;
	void *arg;
	bool holds;                /* its pins forbid unmapping */
	pthread_mutex_t lock;
	struct ui_ioas *ioas;      /* lock */
	struct ui_ivm pins;        /* lock: struct pin, by iova */
	struct ui_access_link in;  /* ioas->lock: in ioas->accesses */
	pthread_mutex_t told_lock; /* leaf */
	pthread_cond_t told;       /* told_lock: n_telling is 0 */
	unsigned n_telling;        /* told_lock: threads that call ops->unmap */
};

/* A part of an area, pinned. */
struct piece {
	struct ui_area *area;
	struct ui_grip grip;
};

struct pin {
	struct ui_ivm_node node; /* what was asked for */
	size_t n;
	struct piece pieces[];
};

struct ui_access *ui_access_create(const struct ui_access_ops *ops, void *arg)
{
	struct ui_access *access = ui_zalloc(sizeof(*access));

	if (!access)
		return NULL;
	access->ops = ops;
	access->arg = arg;
	access->in.access = access;
	ui_list_init(&access->in.link);
	pthread_mutex_init(&access->lock, NULL);
	pthread_mutex_init(&access->told_lock, NULL);
	pthread_cond_init(&access->told, NULL);
	return access;
}

void ui_access_destroy(struct ui_access *access)
{
	if (!access)
		return;
	ui_assert(!access->ioas && !access->pins.root);
	pthread_mutex_lock(&access->told_lock);
	while (access->n_telling)
		pthread_cond_wait(&access->told, &access->told_lock);
	pthread_mutex_unlock(&access->told_lock);
	pthread_cond_destroy(&access->told);
	pthread_mutex_destroy(&access->told_lock);
	pthread_mutex_destroy(&access->lock);
	ui_free(access);
}

/* The access leaves the list meanwhile perhaps, but it is not destroyed while it is told. */
static void tell(struct ui_access *access, u64 iova, u64 length)
{
	access->ops->unmap(access->arg, iova, length);
	pthread_mutex_lock(&access->told_lock);
	if (!--access->n_telling)
		pthread_cond_broadcast(&access->told);
	pthread_mutex_unlock(&access->told_lock);
}

/* Under ioas->lock, where the access is still in the list. */
static void will_tell(struct ui_access *access)
{
	pthread_mutex_lock(&access->told_lock);
	access->n_telling++;
	pthread_mutex_unlock(&access->told_lock);
}

void ui_ioas_notify(struct ui_ioas *ioas, u64 iova, u64 length)
{
	struct ui_access_link here = { 0 };
	struct ui_access *access;
	struct ui_list *item;

	ui_list_init(&here.link);
	pthread_mutex_lock(&ioas->lock);
	/* In front of the first: then step by step behind each. */
	ui_list_add_tail(ioas->accesses.next, &here.link);
	while ((item = here.link.next) != &ioas->accesses) {
		ui_list_del(&here.link);
		ui_list_add_tail(item->next, &here.link);
		access = ui_container_of(item, struct ui_access_link, link)->access;
		if (!access || !access->ops->unmap)
			continue;
		will_tell(access);
		pthread_mutex_unlock(&ioas->lock);
		tell(access, iova, length);
		pthread_mutex_lock(&ioas->lock);
	}
	ui_list_del(&here.link);
	pthread_mutex_unlock(&ioas->lock);
}

/* The alignment has room for it, and it is in the list. 0; -EADDRINUSE. */
static int join(struct ui_access *access, struct ui_ioas *ioas)
{
	u64 alignment;
	int ret = 0;

	pthread_rwlock_wrlock(&ioas->domains_lock);
	pthread_mutex_lock(&ioas->lock);
	alignment = ui_ioas_wanted_alignment(ioas, access->ops->pins ? UI_PAGE_BYTES : 1, ioas->huge);
	if (alignment > ioas->alignment && !ui_ioas_areas_aligned(ioas, alignment))
		ret = -EADDRINUSE;
	if (!ret) {
		ui_list_add_tail(&ioas->accesses, &access->in.link);
		ioas->n_pinners += access->ops->pins;
		ioas->alignment = alignment;
	}
	pthread_mutex_unlock(&ioas->lock);
	pthread_rwlock_unlock(&ioas->domains_lock);
	return ret;
}

static void leave(struct ui_access *access, struct ui_ioas *ioas)
{
	pthread_rwlock_wrlock(&ioas->domains_lock);
	pthread_mutex_lock(&ioas->lock);
	ui_list_del(&access->in.link);
	ioas->n_pinners -= access->ops->pins;
	ioas->alignment = ui_ioas_wanted_alignment(ioas, 1, ioas->huge);
	pthread_mutex_unlock(&ioas->lock);
	pthread_rwlock_unlock(&ioas->domains_lock);
}

static struct ui_ioas *swap_ioas(struct ui_access *access, struct ui_ioas *ioas)
{
	struct ui_ioas *old;

	pthread_mutex_lock(&access->lock);
	old = access->ioas;
	access->ioas = ioas;
	pthread_mutex_unlock(&access->lock);
	return old;
}

static bool has_pins(struct ui_access *access)
{
	bool any;

	pthread_mutex_lock(&access->lock);
	any = access->pins.root != NULL;
	pthread_mutex_unlock(&access->lock);
	return any;
}

/* The owner unpins everything. Nothing can be pinned meanwhile. */
static void drop_all(struct ui_access *access)
{
	for (unsigned n = 0; n < ASK_MAX && (!n || has_pins(access)); n++) {
		if (n)
			ui_sys_yield();
		if (access->ops->unmap)
			access->ops->unmap(access->arg, 0, ~(u64)0);
	}
	ui_assert(!has_pins(access));
}

int ui_access_set_ioas(struct ui_access *access, struct ui_ioas *ioas)
{
	struct ui_ioas *old = access->ioas;
	int ret = 0;

	if (ioas == old)
		return 0;
	swap_ioas(access, NULL);
	if (ioas && old) {
		/* Only one list can have it: what can fail comes before the old one is left. */
		struct ui_access probe = { .ops = access->ops };

		ui_list_init(&probe.in.link);
		ret = join(&probe, ioas);
		if (ret) {
			swap_ioas(access, old);
			return ret;
		}
		drop_all(access);
		leave(access, old);
		ret = join(access, ioas);
		leave(&probe, ioas);
		ui_assert(!ret);
	} else if (ioas) {
		ret = join(access, ioas);
	} else {
		drop_all(access);
		leave(access, old);
	}
	if (!ret)
		swap_ioas(access, ioas);
	return ret;
}

static unsigned right(unsigned flags)
{
	return flags & UI_ACCESS_WRITE ? UI_PROT_WRITE : UI_PROT_READ;
}

/* May @area be read or written? 0; -EINVAL it is on its way out, or memory that no access reaches; -EPERM. */
static int check_area(const struct ui_area *area, unsigned flags)
{
	if (area->blocked || area->pages->cfg.dmabuf)
		return -EINVAL;
	return area->prot & right(flags) ? 0 : -EPERM;
}

static bool is_border(const struct ui_area *area, u64 iova)
{
	return ui_is_aligned(area->pages->cfg.addr + area->offset + (iova - area->start), UI_PAGE_BYTES);
}

/* The areas of [@iova, @last] can be pinned: *@n of them. Under ioas->lock. */
static int check_pin(struct ui_ioas *ioas, u64 iova, u64 last, unsigned flags, size_t *n)
{
	struct ui_ivl_item item;
	u64 at = iova;

	*n = 0;
	for (bool more = ui_ivl_first(&ioas->areas, at, &item); more && item.start <= at; more = ui_ivl_next(&ioas->areas, &item)) {
		const struct ui_area *area = item.ptr;
		int ret;

		if (area->busy)
			break;
		if (!is_border(area, at) || (item.last < last && !is_border(area, item.last + 1)))
			return -EINVAL;
		ret = check_area(area, flags);
		if (ret)
			return ret;
		++*n;
		if (item.last >= last)
			return 0;
		at = item.last + 1;
	}
	return -ENOENT;
}

/* The pieces of a pin, whose areas cannot go from now on. Under ioas->lock. */
static void take_areas(struct ui_access *access, struct ui_ioas *ioas, struct pin *pin)
{
	struct ui_ivl_item item;
	u64 at = pin->node.start;

	for (size_t i = 0; i < pin->n; i++) {
		struct piece *piece = &pin->pieces[i];
		struct ui_area *area;

		ui_ivl_first(&ioas->areas, at, &item);
		area = item.ptr;
		piece->area = area;
		piece->grip.pages = area->pages;
		piece->grip.offset = area->offset + (at - item.start);
		piece->grip.n_bytes = ui_min(item.last, pin->node.last) - at + 1;
		area->n_accesses++;
		area->n_holds += access->holds;
		area->n_pinning++;
		at = item.last + 1;
	}
}

/* The areas have been pinned, or not (@gone): then nothing keeps them any more. */
static void settle_areas(struct ui_access *access, struct ui_ioas *ioas, struct pin *pin, bool pinning, bool gone)
{
	pthread_mutex_lock(&ioas->lock);
	for (size_t i = 0; i < pin->n; i++) {
		struct ui_area *area = pin->pieces[i].area;

		area->n_pinning -= pinning;
		area->n_accesses -= gone;
		area->n_holds -= gone && access->holds;
	}
	if (pinning)
		pthread_cond_broadcast(&ioas->pinned);
	pthread_mutex_unlock(&ioas->lock);
}

/* A pin of [@iova, @last] whose pages are not held yet. */
static int pin_new(struct ui_access *access, u64 iova, u64 last, unsigned flags, struct pin **out)
{
	struct ui_ioas *ioas = access->ioas;
	struct pin *pin = NULL;
	size_t n;
	int ret;

	pthread_mutex_lock(&ioas->lock);
	ret = check_pin(ioas, iova, last, flags, &n);
	if (!ret) {
		pin = ui_zalloc(sizeof(*pin) + n * sizeof(pin->pieces[0]));
		ret = pin ? 0 : -ENOMEM;
	}
	if (!ret) {
		pin->node.start = iova;
		pin->node.last = last;
		pin->n = n;
		take_areas(access, ioas, pin);
	}
	pthread_mutex_unlock(&ioas->lock);
	*out = pin;
	return ret;
}

static void ungrip(struct pin *pin, size_t n)
{
	while (n)
		ui_pages_ungrip(&pin->pieces[--n].grip);
}

/* All pieces, or none. */
static int grip(struct pin *pin, unsigned flags)
{
	for (size_t i = 0; i < pin->n; i++) {
		int ret = ui_pages_grip(&pin->pieces[i].grip, flags & UI_ACCESS_WRITE);

		if (ret) {
			ungrip(pin, i);
			return ret;
		}
	}
	return 0;
}

static void tell_runs(const struct pin *pin, ui_access_run_fn fn, void *arg)
{
	for (size_t i = 0; i < pin->n; i++) {
		const struct ui_grip *grip = &pin->pieces[i].grip;

		for (u64 done = 0; done < grip->n_bytes;) {
			u64 pa, n = ui_pages_resolve(grip->pages, grip->offset + done, grip->n_bytes - done, &pa);

			fn(arg, pa, ui_align_up(n, UI_PAGE_BYTES));
			done += n;
		}
	}
}

/* Under access->lock. */
static int pin_range(struct ui_access *access, u64 iova, u64 last, unsigned flags, struct pin **out)
{
	struct pin *pin;
	int ret;

	if (!access->ioas)
		return -ENOENT;
	ret = pin_new(access, iova, last, flags, &pin);
	if (ret)
		return ret;
	ret = grip(pin, flags);
	settle_areas(access, access->ioas, pin, true, ret != 0);
	if (ret) {
		ui_free(pin);
		return ret;
	}
	ui_ivm_insert(&access->pins, &pin->node);
	*out = pin;
	return 0;
}

int ui_access_pin(struct ui_access *access, u64 iova, u64 length, unsigned flags, ui_access_run_fn fn, void *arg)
{
	struct pin *pin;
	u64 last;
	int ret;

	ui_assert(access->ops->pins);
	if (!length)
		return -EINVAL;
	if (!ui_range_last(iova, length, &last))
		return -EOVERFLOW;
	pthread_mutex_lock(&access->lock);
	ret = pin_range(access, iova, last, flags, &pin);
	if (!ret && fn)
		tell_runs(pin, fn, arg);
	pthread_mutex_unlock(&access->lock);
	return ret;
}

/* Under access->lock. */
static struct pin *find_pin(struct ui_access *access, u64 iova, u64 last)
{
	struct ui_ivm_node *node = NULL;

	while ((node = ui_ivm_next(&access->pins, iova, last, node))) {
		if (node->start == iova && node->last == last)
			return ui_container_of(node, struct pin, node);
	}
	return NULL;
}

/* @pin is in no index any more. */
static void pin_free(struct ui_access *access, struct pin *pin)
{
	struct ui_ioas *ioas = pin->pieces[0].area->ioas;

	ungrip(pin, pin->n);
	settle_areas(access, ioas, pin, false, true);
	ui_free(pin);
}

void ui_access_unpin(struct ui_access *access, u64 iova, u64 length)
{
	struct pin *pin;

	pthread_mutex_lock(&access->lock);
	pin = find_pin(access, iova, iova + (length - 1));
	ui_assert(pin);
	ui_ivm_erase(&access->pins, &pin->node);
	pin_free(access, pin);
	pthread_mutex_unlock(&access->lock);
}

/* Up to CHUNK_BYTES, or to the end of an area: *@n of @n_bytes. */
static int copy_chunk(struct ui_ioas *ioas, u64 iova, void *buf, u64 n_bytes, unsigned flags, u64 *n)
{
	struct ui_ivl_item item;
	int ret = -ENOENT;

	pthread_rwlock_rdlock(&ioas->set->moving);
	pthread_mutex_lock(&ioas->lock);
	if (ui_ivl_meets(&ioas->areas, iova, iova, &item) && !((struct ui_area *)item.ptr)->busy)
		ret = check_area(item.ptr, flags);
	if (!ret) {
		const struct ui_area *area = item.ptr;

		*n = ui_min(n_bytes - 1, item.last - iova) + 1;
		ret = ui_pages_copy(area->pages, area->offset + (iova - item.start), buf, *n, flags & UI_ACCESS_WRITE);
	}
	pthread_mutex_unlock(&ioas->lock);
	pthread_rwlock_unlock(&ioas->set->moving);
	return ret;
}

static int rw(struct ui_ioas *ioas, u64 iova, u64 length, u64 uaddr, unsigned flags)
{
	u8 buf[CHUNK_BYTES];
	int ret = 0;

	for (u64 done = 0, n; !ret && done < length; done += n) {
		n = ui_min(length - done, CHUNK_BYTES);
		if (flags & UI_ACCESS_WRITE)
			ret = ui_user_read(buf, uaddr + done, n);
		if (!ret)
			ret = copy_chunk(ioas, iova + done, buf, n, flags, &n);
		if (!ret && !(flags & UI_ACCESS_WRITE))
			ret = ui_user_write(uaddr + done, buf, n);
	}
	return ret;
}

int ui_access_rw(struct ui_access *access, u64 iova, u64 length, u64 uaddr, unsigned flags)
{
	u64 last;
	int ret = -ENOENT;

	if (!length)
		return -EINVAL;
	if (!ui_range_last(iova, length, &last))
		return -EOVERFLOW;
	pthread_mutex_lock(&access->lock);
	if (access->ioas)
		ret = rw(access->ioas, iova, length, uaddr, flags);
	pthread_mutex_unlock(&access->lock);
	return ret;
}

/* An access of its own with one pin, whose areas stay. */
struct ui_ioas_hold {
	struct ui_access *access;
	struct pin *pin;
	u64 offset; /* of the first byte in its page */
};

static const struct ui_access_ops hold_ops = { .pins = true };

/* True when the pages of @pin lie one after the other; *@pa: where the first lies. */
static bool is_contiguous(const struct pin *pin, u64 *pa)
{
	u64 next = 0;

	for (size_t i = 0; i < pin->n; i++) {
		const struct ui_grip *grip = &pin->pieces[i].grip;
		u64 at;

		if (ui_pages_resolve(grip->pages, grip->offset, grip->n_bytes, &at) < grip->n_bytes || (i && at != next))
			return false;
		if (!i)
			*pa = at;
		next = at + grip->n_bytes;
	}
	return true;
}

static int hold_pin(struct ui_ioas_hold *hold, u64 start, u64 last, u64 *pa)
{
	struct ui_access *access = hold->access;
	int ret;

	pthread_mutex_lock(&access->lock);
	ret = pin_range(access, start, last, 0, &hold->pin);
	if (!ret && !is_contiguous(hold->pin, pa)) {
		ui_ivm_erase(&access->pins, &hold->pin->node);
		pin_free(access, hold->pin);
		ret = -EFAULT;
	}
	pthread_mutex_unlock(&access->lock);
	*pa += hold->offset;
	return ret;
}

static int hold_new(struct ui_ioas_hold *hold, struct ui_ioas *ioas, u64 start, u64 last, u64 *pa)
{
	int ret;

	hold->access = ui_access_create(&hold_ops, NULL);
	if (!hold->access)
		return -ENOMEM;
	hold->access->holds = true;
	ret = ui_access_set_ioas(hold->access, ioas);
	if (!ret) {
		ret = hold_pin(hold, start, last, pa);
		if (ret)
			ui_access_set_ioas(hold->access, NULL);
	}
	if (ret)
		ui_access_destroy(hold->access);
	return ret;
}

int ui_ioas_hold(struct ui_ioas *ioas, u64 iova, u64 length, struct ui_ioas_hold **out, u64 *pa)
{
	struct ui_ioas_hold *hold;
	u64 last;
	int ret;

	if (!length)
		return -EINVAL;
	if (!ui_range_last(iova, length, &last))
		return -EOVERFLOW;
	/* The pages up to the end of the last one: there is an address behind it. */
	if (last > ~(u64)0 - UI_PAGE_BYTES)
		return -ERANGE;
	hold = ui_zalloc(sizeof(*hold));
	if (!hold)
		return -ENOMEM;
	*pa = 0;
	hold->offset = iova & (UI_PAGE_BYTES - 1);
	ret = hold_new(hold, ioas, iova - hold->offset, last | (UI_PAGE_BYTES - 1), pa);
	if (ret)
		ui_free(hold);
	else
		*out = hold;
	return ret;
}

void ui_ioas_release(struct ui_ioas_hold *hold)
{
	struct ui_access *access = hold->access;

	pthread_mutex_lock(&access->lock);
	ui_ivm_erase(&access->pins, &hold->pin->node);
	pin_free(access, hold->pin);
	pthread_mutex_unlock(&access->lock);
	ui_access_set_ioas(access, NULL);
	ui_access_destroy(access);
	ui_free(hold);
}

u64 ui_ioas_hold_where(struct ui_ioas_hold *hold, u64 offset, u64 *pa)
{
	const struct pin *pin = hold->pin;
	u64 at = hold->offset + offset;

	for (size_t i = 0; i < pin->n; i++) {
		const struct ui_grip *grip = &pin->pieces[i].grip;

		if (at < grip->n_bytes)
			return ui_pages_resolve(grip->pages, grip->offset + at, grip->n_bytes - at, pa);
		at -= grip->n_bytes;
	}
	ui_assert(false);
}
