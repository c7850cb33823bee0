/* SPDX-License-Identifier: MIT */
/*
 * Most objects have one area and are pinned as a whole: that is a plain count. Parts, and pages that moved, are kept as segments
 * whose bounds are those of the parts, so that unpinning never has to cut one and needs no memory.
 */
#include "core/pages.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "base/rwlock.h"
#include "core/dmabuf.h"

#include <errno.h>

/*
 * Watching a range costs whoever watches memory in proportion to its length, which may be out of thin air: from this length on
 * it is made present before it is watched, too, which fails at the first page that is not there.
 */
#define TRY_FIRST_BYTES ((u64)8 << 30)

struct seg {
	u64 n;     /* pins besides those of the whole object */
	u64 moved; /* page number where the first page is now; 0: where it was */
	u64 start; /* page number where the first page was */
	struct ui_pages *pages;
	struct ui_ivm_node now; /* in set->moved while moved is not 0 */
};

void ui_pages_set_init(struct ui_pages_set *set, const struct ui_pages_ops *ops, void *arg)
{
	*set = (struct ui_pages_set){ .ops = ops, .arg = arg };
	ui_rwlock_init(&set->moving);
	pthread_mutex_init(&set->lock, NULL);
}

void ui_pages_set_fini(struct ui_pages_set *set)
{
	ui_assert(!set->held.root && !set->grips.root && !set->bufs.root);
	pthread_mutex_destroy(&set->lock);
	pthread_rwlock_destroy(&set->moving);
}

struct ui_pages *ui_pages_create(struct ui_pages_set *set, const struct ui_pages_cfg *cfg)
{
	struct ui_pages *pages = ui_zalloc(sizeof(*pages));

	if (!pages)
		return NULL;
	pages->set = set;
	pages->cfg = *cfg;
	atomic_init(&pages->refs, 1);
	return pages;
}

void ui_pages_set_payer(struct ui_pages *pages, struct ui_payer *payer, enum ui_account_mode mode)
{
	pages->payer = payer;
	pages->account_mode = (u8)mode;
}

struct ui_pages *ui_pages_get(struct ui_pages *pages)
{
	atomic_fetch_add_explicit(&pages->refs, 1, memory_order_relaxed);
	return pages;
}

void ui_pages_put(struct ui_pages *pages)
{
	/* Release and acquire: what others did with the object comes before its end. */
	if (atomic_fetch_sub_explicit(&pages->refs, 1, memory_order_acq_rel) != 1)
		return;
	ui_assert(!pages->n_whole && !pages->segs.n);
	if (pages->cfg.dmabuf)
		ui_dmabuf_pages_gone(pages);
	if (pages->set->ops->release)
		pages->set->ops->release(pages->set->arg, pages);
	ui_payer_put(pages->payer);
	ui_free(pages);
}

static u64 first_page(const struct ui_pages *pages, u64 offset)
{
	return (pages->cfg.pa + offset) >> UI_PAGE_LG2;
}

/* Pages [@start, @last], which lie at @at now. */
static void tell(struct ui_pages *pages, u64 start, u64 last, u64 at, bool now)
{
	struct ui_pages_set *set = pages->set;
	u64 n = last - start + 1;

	pages->n_held += now ? n : 0 - n;
	if (set->ops->held)
		set->ops->held(set->arg, pages, at << UI_PAGE_LG2, n << UI_PAGE_LG2, now);
}

static void tell_seg(struct ui_pages *pages, const struct ui_ivl_item *item, bool now)
{
	const struct seg *seg = item->ptr;

	tell(pages, item->start, item->last, seg->moved ? seg->moved : item->start, now);
}

/* The pages of @seg, up to page @last of where they were, are at page @moved now (0: where they were). */
static void seg_place(struct seg *seg, u64 last, u64 moved)
{
	struct ui_ivm *index = &seg->pages->set->moved;

	if (seg->moved)
		ui_ivm_erase(index, &seg->now);
	seg->moved = moved;
	if (!moved)
		return;
	seg->now.start = moved << UI_PAGE_LG2;
	seg->now.last = ((moved + (last - seg->start)) << UI_PAGE_LG2) | (UI_PAGE_BYTES - 1);
	ui_ivm_insert(index, &seg->now);
}

static struct seg *seg_new(struct ui_pages *pages, u64 start)
{
	struct seg *seg = ui_zalloc(sizeof(*seg));

	if (seg) {
		seg->pages = pages;
		seg->start = start;
	}
	return seg;
}

static void seg_free(struct seg *seg)
{
	if (seg)
		seg_place(seg, seg->start, 0);
	ui_free(seg);
}

/* A segment begins at @page if one contains it. */
static int cut_at(struct ui_pages *pages, u64 page)
{
	struct ui_ivl_item item;
	struct seg *old, *seg;
	int ret;

	if (!ui_ivl_meets(&pages->segs, page, page, &item) || item.start == page)
		return 0;
	seg = seg_new(pages, page);
	if (!seg)
		return -ENOMEM;
	old = item.ptr;
	seg->n = old->n;
	ui_ivl_set_last(&pages->segs, item.start, page - 1);
	ret = ui_ivl_insert(&pages->segs, page, item.last, seg);
	if (ret) {
		ui_ivl_set_last(&pages->segs, item.start, item.last);
		seg_free(seg);
		return ret;
	}
	if (old->moved) {
		seg_place(seg, item.last, old->moved + (page - item.start));
		seg_place(old, page - 1, old->moved);
	}
	return 0;
}

/* Segments that say nothing go. */
static void drop_empty(struct ui_pages *pages, u64 start, u64 last)
{
	struct ui_ivl_item item;

	for (bool more = ui_ivl_first(&pages->segs, start, &item); more && item.start <= last; more = ui_ivl_next(&pages->segs, &item)) {
		struct seg *seg = item.ptr;

		if (seg->n || seg->moved)
			continue;
		ui_ivl_erase(&pages->segs, item.start);
		seg_free(seg);
	}
}

/* Segments cover [@start, @last] exactly, new ones with nothing in them. */
static int cover(struct ui_pages *pages, u64 start, u64 last)
{
	struct ui_ivl_item item;
	int ret = cut_at(pages, start);

	if (!ret && last != ~(u64)0)
		ret = cut_at(pages, last + 1);
	for (u64 at = start; !ret; at = item.last + 1) {
		bool more = ui_ivl_meets(&pages->segs, at, last, &item);
		u64 end = more ? item.start - 1 : last;
		struct seg *seg;

		if (!more || item.start > at) {
			seg = seg_new(pages, at);
			ret = seg ? ui_ivl_insert(&pages->segs, at, end, seg) : -ENOMEM;
			if (ret)
				seg_free(seg);
		}
		if (!more || item.last >= last)
			break;
	}
	if (ret)
		drop_empty(pages, start, last);
	return ret;
}

static bool is_whole(const struct ui_pages *pages, u64 start, u64 last)
{
	return start == first_page(pages, 0) && last == first_page(pages, pages->cfg.n_bytes - 1);
}

static int count_whole(struct ui_pages *pages, u64 start, u64 last)
{
	struct ui_ivl_item item;
	u64 at = start;

	if (pages->n_whole++)
		return 0;
	for (bool more = ui_ivl_first(&pages->segs, at, &item); more; more = ui_ivl_next(&pages->segs, &item)) {
		if (item.start > at)
			tell(pages, at, item.start - 1, at, true);
		at = item.last + 1;
	}
	if (at <= last)
		tell(pages, at, last, at, true);
	return 0;
}

static void uncount_whole(struct ui_pages *pages, u64 start, u64 last)
{
	struct ui_ivl_item item;
	u64 at = start;

	if (--pages->n_whole)
		return;
	for (bool more = ui_ivl_first(&pages->segs, at, &item); more; more = ui_ivl_next(&pages->segs, &item)) {
		struct seg *seg = item.ptr;

		if (item.start > at)
			tell(pages, at, item.start - 1, at, false);
		at = item.last + 1;
		if (seg->n)
			continue;
		tell_seg(pages, &item, false);
		ui_ivl_erase(&pages->segs, item.start);
		seg_free(seg);
	}
	if (at <= last)
		tell(pages, at, last, at, false);
}

static int count(struct ui_pages *pages, u64 start, u64 last)
{
	struct ui_ivl_item item;
	int ret;

	if (is_whole(pages, start, last))
		return count_whole(pages, start, last);
	ret = cover(pages, start, last);
	if (ret)
		return ret;
	for (bool more = ui_ivl_first(&pages->segs, start, &item); more && item.start <= last; more = ui_ivl_next(&pages->segs, &item)) {
		struct seg *seg = item.ptr;

		if (!seg->n++ && !pages->n_whole)
			tell_seg(pages, &item, true);
	}
	return 0;
}

static void uncount(struct ui_pages *pages, u64 start, u64 last)
{
	struct ui_ivl_item item;

	if (is_whole(pages, start, last)) {
		uncount_whole(pages, start, last);
		return;
	}
	for (bool more = ui_ivl_first(&pages->segs, start, &item); more && item.start <= last; more = ui_ivl_next(&pages->segs, &item)) {
		struct seg *seg = item.ptr;

		ui_assert(seg->n);
		if (--seg->n || pages->n_whole)
			continue;
		tell_seg(pages, &item, false);
		ui_ivl_erase(&pages->segs, item.start);
		seg_free(seg);
	}
	drop_empty(pages, start, last);
}

/* Where the pins of the object's areas are found by address; NULL: nobody looks for them. */
static struct ui_ivm *pins_of(const struct ui_pages *pages)
{
	return pages->cfg.movable ? &pages->set->held : pages->cfg.dmabuf ? &pages->set->bufs : NULL;
}

static struct ui_ivm *grips_of(const struct ui_pages *pages)
{
	return pages->cfg.movable ? &pages->set->grips : NULL;
}

static void index_add(struct ui_ivm *index, u64 start, u64 last, struct ui_pin *pin)
{
	if (!index)
		return;
	pin->node.start = start << UI_PAGE_LG2;
	pin->node.last = (last << UI_PAGE_LG2) | (UI_PAGE_BYTES - 1);
	ui_ivm_insert(index, &pin->node);
}

static void index_del(struct ui_ivm *index, struct ui_pin *pin)
{
	if (index)
		ui_ivm_erase(index, &pin->node);
}

/* What the payer pays follows what is held, which was @before. 0; -ENOMEM. */
static int settle(struct ui_pages *pages, u64 before)
{
	u64 n[UI_ACCOUNT_N_MODES] = { 0 }, now = pages->n_held;

	if (!pages->payer || now == before)
		return 0;
	n[pages->account_mode] = now > before ? now - before : before - now;
	if (now > before)
		return ui_payer_charge(pages->payer, n);
	ui_payer_uncharge(pages->payer, n);
	return 0;
}

/* Pages [@start, @last] are held once more, and paid for. */
static int hold(struct ui_pages *pages, u64 start, u64 last)
{
	u64 before = pages->n_held;
	int ret = count(pages, start, last);

	if (ret)
		return ret;
	ret = settle(pages, before);
	if (ret)
		uncount(pages, start, last);
	return ret;
}

static int make_present(struct ui_pages *pages, u64 offset, u64 n_bytes, bool write)
{
	struct ui_pages_set *set = pages->set;
	int ret = 0;

	for (u64 done = 0; !ret && done < n_bytes;) {
		u64 pa, n = ui_pages_resolve(pages, offset + done, n_bytes - done, &pa);

		ret = set->ops->pin(set->arg, pa, n, write);
		done += n;
	}
	return ret;
}

/* A page that a file does not have is a bad length, not a bad address. */
static int error_of(const struct ui_pages *pages, int ret)
{
	return ret == -EFAULT && pages->cfg.file ? -EINVAL : ret;
}

static void unpin_in(struct ui_ivm *index, struct ui_pages *pages, u64 offset, u64 n_bytes, struct ui_pin *pin)
{
	u64 before;

	pthread_mutex_lock(&pages->set->lock);
	before = pages->n_held;
	index_del(index, pin);
	uncount(pages, first_page(pages, offset), first_page(pages, offset + n_bytes - 1));
	settle(pages, before);
	pthread_mutex_unlock(&pages->set->lock);
}

/* Much memory is made present before it is held; but what the limit would not let stay is not touched at all. */
static int try_first(struct ui_pages *pages, u64 offset, u64 n_bytes, u64 n_pages, bool write)
{
	u64 n[UI_ACCOUNT_N_MODES] = { 0 };
	int ret = 0;

	pthread_mutex_lock(&pages->set->lock);
	/* Where some is held already, that much is paid for: hold() knows. */
	if (pages->payer && !pages->n_held) {
		n[pages->account_mode] = n_pages;
		ret = ui_payer_charge(pages->payer, n);
		if (!ret)
			ui_payer_uncharge(pages->payer, n);
	}
	pthread_mutex_unlock(&pages->set->lock);
	return ret ? ret : make_present(pages, offset, n_bytes, write);
}

static int pin_in(struct ui_ivm *index, struct ui_pages *pages, u64 offset, u64 n_bytes, bool write, struct ui_pin *pin)
{
	u64 start = first_page(pages, offset), last = first_page(pages, offset + n_bytes - 1);
	struct ui_pages_set *set = pages->set;
	int ret = pages->cfg.error;

	if (ret)
		return ret;
	if (ui_inject_point())
		return -ENOMEM;
	if (pages->cfg.movable && n_bytes >= TRY_FIRST_BYTES)
		ret = try_first(pages, offset, n_bytes, last - start + 1, write);
	if (ret)
		return ret;
	pthread_mutex_lock(&set->lock);
	ret = hold(pages, start, last);
	if (!ret)
		index_add(index, start, last, pin);
	pthread_mutex_unlock(&set->lock);
	if (ret)
		return ret;
	ret = make_present(pages, offset, n_bytes, write);
	if (ret)
		unpin_in(index, pages, offset, n_bytes, pin);
	return error_of(pages, ret);
}

int ui_pages_pin(struct ui_pages *pages, u64 offset, u64 n_bytes, bool write, struct ui_pin *pin)
{
	return pin_in(pins_of(pages), pages, offset, n_bytes, write, pin);
}

void ui_pages_unpin(struct ui_pages *pages, u64 offset, u64 n_bytes, struct ui_pin *pin)
{
	unpin_in(pins_of(pages), pages, offset, n_bytes, pin);
}

int ui_pages_grip(struct ui_grip *grip, bool write)
{
	return pin_in(grips_of(grip->pages), grip->pages, grip->offset, grip->n_bytes, write, &grip->pin);
}

void ui_pages_ungrip(struct ui_grip *grip)
{
	unpin_in(grips_of(grip->pages), grip->pages, grip->offset, grip->n_bytes, &grip->pin);
}

int ui_pages_copy(struct ui_pages *pages, u64 offset, void *buf, u64 n_bytes, bool write)
{
	const struct ui_pages_ops *ops = pages->set->ops;
	int ret = pages->cfg.error;

	for (u64 done = 0; !ret && done < n_bytes;) {
		u64 pa, n = ui_pages_resolve(pages, offset + done, n_bytes - done, &pa);

		ret = ops->pin(pages->set->arg, pa, n, write);
		if (!ret)
			ret = ops->copy(pages->set->arg, pa, (u8 *)buf + done, n, write);
		done += n;
	}
	return error_of(pages, ret);
}

int ui_pages_charge_to(struct ui_pages_set *set, struct ui_pages **list, size_t n, struct ui_payer *payer)
{
	u64 all[UI_ACCOUNT_N_MODES] = { 0 };
	int ret;

	pthread_mutex_lock(&set->lock);
	for (size_t i = 0; i < n; i++) {
		struct ui_pages *pages = list[i];

		if (pages->counted || !pages->payer || pages->payer == payer || pages->account_mode == UI_ACCOUNT_NONE)
			continue;
		pages->counted = true;
		all[pages->account_mode] += pages->n_held;
	}
	ret = ui_payer_charge(payer, all);
	for (size_t i = 0; i < n; i++) {
		struct ui_pages *pages = list[i];
		u64 paid[UI_ACCOUNT_N_MODES] = { 0 };

		if (!pages->counted)
			continue;
		pages->counted = false;
		if (ret)
			continue;
		paid[pages->account_mode] = pages->n_held;
		ui_payer_uncharge(pages->payer, paid);
		ui_payer_put(pages->payer);
		pages->payer = ui_payer_hold(payer);
	}
	pthread_mutex_unlock(&set->lock);
	return ret;
}

int ui_pages_split_pin(struct ui_pages *pages, u64 offset, u64 n_bytes, u64 cut, struct ui_pin *pin, struct ui_pin *second)
{
	u64 start = first_page(pages, offset), last = first_page(pages, offset + n_bytes - 1), middle = first_page(pages, offset + cut);
	int ret;

	pthread_mutex_lock(&pages->set->lock);
	ret = count(pages, start, middle - 1);
	if (!ret) {
		ret = count(pages, middle, last);
		if (ret)
			uncount(pages, start, middle - 1);
	}
	if (!ret) {
		uncount(pages, start, last);
		index_del(pins_of(pages), pin);
		index_add(pins_of(pages), start, middle - 1, pin);
		index_add(pins_of(pages), middle, last, second);
	}
	pthread_mutex_unlock(&pages->set->lock);
	return ret;
}

/* The page number where @page is now; *@end: the last page of its segment, or of the space between segments. */
static u64 where(const struct ui_pages *pages, u64 page, u64 *end)
{
	const struct seg *seg;
	struct ui_ivl_item item;

	*end = ~(u64)0;
	if (!ui_ivl_first(&pages->segs, page, &item))
		return page;
	if (item.start > page) {
		*end = item.start - 1;
		return page;
	}
	*end = item.last;
	seg = item.ptr;
	return seg->moved ? seg->moved + (page - item.start) : page;
}

u64 ui_pages_resolve(struct ui_pages *pages, u64 offset, u64 n_bytes, u64 *pa)
{
	u64 first = pages->cfg.pa + offset, page = first >> UI_PAGE_LG2, last = (first + n_bytes - 1) >> UI_PAGE_LG2, at, end;

	pthread_mutex_lock(&pages->set->lock);
	at = where(pages, page, &end);
	while (end < last) {
		u64 next_end, next = where(pages, end + 1, &next_end);

		if (next - at != end + 1 - page)
			break;
		end = next_end;
	}
	pthread_mutex_unlock(&pages->set->lock);
	*pa = at << UI_PAGE_LG2 | (first & (UI_PAGE_BYTES - 1));
	return end < last ? ((end + 1) << UI_PAGE_LG2) - first : n_bytes;
}

/* Does segment @item lie in [@old, @end] (page numbers) now? Segments never cross a border of a move. */
static bool seg_inside(const struct ui_ivl_item *item, u64 old, u64 end, u64 *now)
{
	const struct seg *seg = item->ptr;

	*now = seg->moved ? seg->moved : item->start;
	return *now >= old && *now <= end;
}

/* Segments begin and end where the pages of [@first, @last] that are in [@old, @end] now do. */
static int cut_moved(struct ui_pages *pages, u64 first, u64 last, u64 old, u64 end)
{
	struct ui_ivl_item item;
	int ret = 0;

	for (u64 at = first; !ret && at <= last && ui_ivl_meets(&pages->segs, at, last, &item); at = item.last + 1) {
		const struct seg *seg = item.ptr;
		u64 now = seg->moved ? seg->moved : item.start, now_last = now + (item.last - item.start);

		if (now < old && now_last >= old)
			ret = cut_at(pages, item.start + (old - now));
		if (!ret && now <= end && now_last > end)
			ret = cut_at(pages, item.start + (end + 1 - now));
	}
	return ret;
}

/* Gives the segments of [@first, @last] that are in the @n pages from @from new places. */
static void place(struct ui_pages *pages, u64 first, u64 last, u64 from, u64 n, u64 to)
{
	struct ui_ivl_item item;
	u64 now;

	for (bool more = ui_ivl_first(&pages->segs, first, &item); more && item.start <= last; more = ui_ivl_next(&pages->segs, &item)) {
		if (!seg_inside(&item, from, from + (n - 1), &now))
			continue;
		now = to + (now - from);
		seg_place(item.ptr, item.last, now == item.start ? 0 : now);
	}
}

int ui_pages_move(struct ui_pages *pages, u64 start, u64 last, u64 old, u64 n_bytes, u64 to)
{
	u64 first = start >> UI_PAGE_LG2, end = last >> UI_PAGE_LG2, from = old >> UI_PAGE_LG2, n = n_bytes >> UI_PAGE_LG2;
	int ret = cover(pages, first, end);

	if (!ret)
		ret = cut_moved(pages, first, end, from, from + (n - 1));
	/* Segments that came home say nothing any more, but may have to go back: they stay until the pages are given up. */
	if (!ret)
		place(pages, first, end, from, n, to >> UI_PAGE_LG2);
	else
		drop_empty(pages, first, end);
	return ret;
}

void ui_pages_unmove(struct ui_pages *pages, u64 start, u64 last, u64 old, u64 n_bytes, u64 to)
{
	place(pages, start >> UI_PAGE_LG2, last >> UI_PAGE_LG2, to >> UI_PAGE_LG2, n_bytes >> UI_PAGE_LG2, old >> UI_PAGE_LG2);
	drop_empty(pages, start >> UI_PAGE_LG2, last >> UI_PAGE_LG2);
}

bool ui_pages_next_moved(const struct ui_pages_set *set, u64 old, u64 last, struct ui_moved *run)
{
	struct ui_ivm_node *node = ui_ivm_next(&set->moved, old, last, run->node);
	const struct seg *seg;
	u64 end;

	if (!node)
		return false;
	seg = ui_container_of(node, struct seg, now);
	run->node = node;
	run->pages = seg->pages;
	run->now = ui_max(node->start, old);
	end = ui_min(node->last, last);
	run->start = (seg->start << UI_PAGE_LG2) + (run->now - node->start);
	run->last = run->start + (end - run->now);
	return true;
}

bool ui_pages_unmoved(const struct ui_pages *pages, u64 start, u64 last, u64 *run_start, u64 *run_last)
{
	u64 at = start >> UI_PAGE_LG2, end = last >> UI_PAGE_LG2;
	struct ui_ivl_item item;

	for (bool more = ui_ivl_first(&pages->segs, at, &item); more && item.start <= end; more = ui_ivl_next(&pages->segs, &item)) {
		if (!((struct seg *)item.ptr)->moved)
			continue;
		if (item.start > at) {
			end = item.start - 1;
			break;
		}
		at = item.last + 1;
	}
	if (at > end)
		return false;
	*run_start = at << UI_PAGE_LG2;
	*run_last = (end << UI_PAGE_LG2) | (UI_PAGE_BYTES - 1);
	return true;
}
