/* SPDX-License-Identifier: MIT */
/* Mapping: finding a place, making areas, filling domains; and the parts that a copy shares. */
#include "core/ioas_priv.h"
#include "base/alloc.h"

#include <errno.h>

/* No leaf is larger on the hosts this is about, so no better alignment is worth asking for. */
#define PLACE_ALIGN_MAX UI_BIT(21)

/* The first place inside [@start, @last] that is neither reserved nor mapped. */
static bool place_in(const struct ui_ioas *ioas, u64 start, u64 last, const struct ui_ivl_want *want, u64 *iova)
{
	struct ui_iova_range hole;

	for (u64 at = start; ui_ioas_next_hole(ioas, at, last, &hole); at = hole.last + 1) {
		if (ui_ivl_find_gap(&ioas->areas, hole.start, hole.last, want, iova))
			return true;
		if (hole.last == last)
			break;
	}
	return false;
}

/* Automatic placement: iommufd's rule for the alignment, first fit ascending. 0; -EOVERFLOW, -EINVAL, -ENOSPC. */
static int place(const struct ui_ioas *ioas, u64 addr, u64 length, u64 *iova)
{
	const u64 first = UI_PAGE_BYTES, end = ~(u64)0 - UI_PAGE_BYTES;
	/* The last address of a gap is never a start: a single byte needs a gap of two. */
	struct ui_ivl_want want = { .length = ui_max(length, 2), .offset = addr & (UI_PAGE_BYTES - 1) };
	struct ui_ivl_item item;
	bool more;

	if (!length || length >= ~(u64)0 / 2)
		return -EOVERFLOW;
	want.align = UI_BIT(ui_ceil_lg2(length));
	if (addr)
		want.align = ui_min(want.align, UI_BIT(ui_ffs64(addr)));
	want.align = ui_min(want.align, PLACE_ALIGN_MAX);
	if (want.align < ioas->alignment)
		return -EINVAL;
	if (!ioas->allowed.n)
		return place_in(ioas, first, end, &want, iova) ? 0 : -ENOSPC;
	for (more = ui_ivl_first(&ioas->allowed, first, &item); more && item.start <= end;) {
		u64 start = ui_max(item.start, first), last = item.last;

		/* Ranges that touch are one. */
		while ((more = ui_ivl_next(&ioas->allowed, &item)) && item.start == last + 1)
			last = item.last;
		if (place_in(ioas, start, ui_min(last, end), &want, iova))
			return 0;
	}
	return -ENOSPC;
}

static int check_fixed(const struct ui_ioas *ioas, u64 iova, u64 length)
{
	u64 last;

	if (!ui_is_aligned(iova, ioas->alignment))
		return -EINVAL;
	if (!ui_range_last(iova, length, &last))
		return -EOVERFLOW;
	if (ui_ioas_is_reserved(ioas, iova, last))
		return -EINVAL;
	return ui_ivl_meets(&ioas->areas, iova, last, NULL) ? -EEXIST : 0;
}

static int area_insert(struct ui_ioas *ioas, const struct ui_ioas_piece *piece, u64 iova, unsigned prot)
{
	u64 addr = piece->pages->cfg.addr + piece->offset;
	struct ui_area *area;
	int ret;

	if ((prot & UI_PROT_WRITE) && !piece->pages->cfg.writable)
		return -EPERM;
	if (!ui_is_aligned((addr & (UI_PAGE_BYTES - 1)) | iova | piece->length, ioas->alignment))
		return -EINVAL;
	area = ui_zalloc(sizeof(*area));
	if (!area)
		return -ENOMEM;
	*area = (struct ui_area){
		.ioas = ioas,
		.pages = ui_pages_get(piece->pages),
		.start = iova,
		.length = piece->length,
		.offset = piece->offset,
		.prot = (u8)prot,
		.busy = ioas->n_domains != 0,
	};
	ret = ui_ivl_insert(&ioas->areas, iova, iova + (piece->length - 1), area);
	if (ret)
		ui_area_free(area);
	return ret;
}

void ui_area_free(struct ui_area *area)
{
	ui_assert(!area->pinned);
	ui_pages_put(area->pages);
	ui_free(area);
}

int ui_area_pin(struct ui_area *area)
{
	int ret = ui_pages_pin(area->pages, area->offset, area->length, area->prot & UI_PROT_WRITE, &area->pin);

	area->pinned = !ret;
	return ret;
}

void ui_area_unpin(struct ui_area *area)
{
	if (area->pinned)
		ui_pages_unpin(area->pages, area->offset, area->length, &area->pin);
	area->pinned = false;
}

int ui_area_map(struct ui_area *area, struct ui_domain *domain)
{
	unsigned max_lg2 = area->ioas->huge ? 64 : UI_PAGE_LG2;
	int ret = 0;

	/* No domain gets what was revoked. Relaxed: set->moving is held. */
	if (atomic_load_explicit(&area->pages->revoked, memory_order_relaxed))
		return 0;
	/* VFIO knows mappings that grant nothing: no table has an entry for that. */
	for (u64 done = 0; area->prot && done < area->length;) {
		u64 pa, n = ui_pages_resolve(area->pages, area->offset + done, area->length - done, &pa);

		ret = ui_domain_map(domain, area->start + done, pa, n, area->prot, max_lg2);
		if (ret) {
			if (done)
				ui_domain_unmap(domain, area->start, area->start + done - 1, UI_PT_SPLIT);
			break;
		}
		done += n;
	}
	return ret;
}

/* Takes the areas of a map that fails out of the index. Under ioas->lock. */
static struct ui_area *unlink_areas(struct ui_ioas *ioas, u64 iova, u64 length)
{
	struct ui_area *gone = NULL, *area;
	struct ui_ivl_item item;

	while (length && ui_ivl_meets(&ioas->areas, iova, iova + (length - 1), &item)) {
		area = ui_ivl_erase(&ioas->areas, item.start);
		area->busy = true;
		area->next = gone;
		gone = area;
	}
	return gone;
}

static void free_areas(struct ui_area *gone)
{
	struct ui_area *area;

	while ((area = gone)) {
		gone = area->next;
		ui_area_unpin(area);
		ui_area_free(area);
	}
}

/* Areas that are busy stay where they are: nobody else can have removed them. */
static void undo(struct ui_ioas *ioas, u64 iova, u64 length)
{
	struct ui_area *gone;

	pthread_rwlock_rdlock(&ioas->set->moving);
	pthread_mutex_lock(&ioas->lock);
	gone = unlink_areas(ioas, iova, length);
	pthread_mutex_unlock(&ioas->lock);
	pthread_rwlock_unlock(&ioas->set->moving);
	free_areas(gone);
}

/* Makes the areas; with a domain they are busy from now on. All or none. */
static int insert(struct ui_ioas *ioas, const struct ui_ioas_piece *pieces, size_t n, u64 length, u64 *iova, bool fixed, unsigned prot)
{
	struct ui_area *gone = NULL;
	u64 done = 0;
	int ret;

	pthread_mutex_lock(&ioas->lock);
	if (!length || !ui_is_aligned(length, ioas->alignment))
		ret = -EINVAL;
	else if (fixed)
		ret = check_fixed(ioas, *iova, length);
	else
		ret = place(ioas, pieces[0].pages->cfg.addr + pieces[0].offset, length, iova);
	for (size_t i = 0; !ret && i < n; i++) {
		ret = area_insert(ioas, &pieces[i], *iova + done, prot);
		done += ret ? 0 : pieces[i].length;
	}
	if (ret)
		gone = unlink_areas(ioas, *iova, done);
	pthread_mutex_unlock(&ioas->lock);
	free_areas(gone);
	return ret;
}

/* The next area of a map in progress. */
static struct ui_area *busy_area(struct ui_ioas *ioas, u64 iova)
{
	struct ui_ivl_item item;

	pthread_mutex_lock(&ioas->lock);
	if (!ui_ivl_first(&ioas->areas, iova, &item))
		item.ptr = NULL;
	pthread_mutex_unlock(&ioas->lock);
	return item.ptr;
}

/* All domains get the area, or none. Under set->moving (read) and ioas->lock. */
static int fill_area(struct ui_area *area)
{
	struct ui_ioas *ioas = area->ioas;

	for (size_t i = 0; i < ioas->n_domains; i++) {
		int ret = ui_area_map(area, ioas->domains[i]);

		if (!ret)
			continue;
		while (i-- > 0)
			ui_domain_unmap(ioas->domains[i], area->start, area->start + (area->length - 1), UI_PT_SPLIT);
		return ret;
	}
	return 0;
}

static int fill(struct ui_ioas *ioas, u64 iova, u64 length)
{
	struct ui_ivl_item item;
	u64 last = iova + (length - 1), filled = 0;
	bool more;
	int ret = 0;

	pthread_rwlock_rdlock(&ioas->set->moving);
	pthread_mutex_lock(&ioas->lock);
	for (more = ui_ivl_first(&ioas->areas, iova, &item); more && !ret && item.start <= last; more = ui_ivl_next(&ioas->areas, &item)) {
		ret = fill_area(item.ptr);
		if (!ret)
			filled = item.last - iova + 1;
	}
	for (size_t i = 0; ret && filled && i < ioas->n_domains; i++)
		ui_domain_unmap(ioas->domains[i], iova, iova + filled - 1, UI_PT_SPLIT);
	for (more = !ret && ui_ivl_first(&ioas->areas, iova, &item); more && item.start <= last; more = ui_ivl_next(&ioas->areas, &item))
		((struct ui_area *)item.ptr)->busy = false;
	pthread_mutex_unlock(&ioas->lock);
	pthread_rwlock_unlock(&ioas->set->moving);
	return ret;
}

static int pin_and_fill(struct ui_ioas *ioas, u64 iova, u64 length)
{
	int ret = 0;

	for (u64 done = 0; !ret && done < length;) {
		struct ui_area *area = busy_area(ioas, iova + done);

		done += area->length;
		ret = ui_area_pin(area);
	}
	if (!ret)
		ret = fill(ioas, iova, length);
	if (ret)
		undo(ioas, iova, length);
	return ret;
}

int ui_ioas_map(struct ui_ioas *ioas, const struct ui_ioas_piece *pieces, size_t n, u64 *iova, bool fixed, unsigned prot)
{
	u64 at = *iova, length = 0;
	int ret;

	for (size_t i = 0; i < n; i++)
		length += pieces[i].length;
	pthread_rwlock_rdlock(&ioas->domains_lock);
	ret = insert(ioas, pieces, n, length, &at, fixed, prot);
	if (!ret && ioas->n_domains)
		ret = pin_and_fill(ioas, at, length);
	pthread_rwlock_unlock(&ioas->domains_lock);
	if (!ret)
		*iova = at;
	return ret;
}

int ui_ioas_pieces_get(struct ui_ioas *ioas, u64 iova, u64 length, struct ui_ioas_piece **pieces, size_t *n)
{
	struct ui_ivl_item item;
	u64 last, at = iova;
	size_t room = 0;
	int ret = 0;
	bool more;

	*pieces = NULL;
	*n = 0;
	if (!length)
		return -EINVAL;
	if (!ui_range_last(iova, length, &last))
		return -EOVERFLOW;
	pthread_mutex_lock(&ioas->lock);
	for (more = ui_ivl_first(&ioas->areas, at, &item); !ret; more = ui_ivl_next(&ioas->areas, &item)) {
		struct ui_area *area = more ? item.ptr : NULL;
		struct ui_ioas_piece *grown = *pieces;

		if (!more || item.start > at || area->busy) {
			ret = -ENOENT;
			break;
		}
		if (*n == room) {
			room = room ? room * 2 : 1;
			grown = ui_realloc(*pieces, room * sizeof(*grown));
			if (!grown) {
				ret = -ENOMEM;
				break;
			}
			*pieces = grown;
		}
		grown[(*n)++] = (struct ui_ioas_piece){
			.pages = ui_pages_get(area->pages),
			.offset = area->offset + (at - item.start),
			.length = ui_min(item.last, last) - at + 1,
		};
		if (item.last >= last)
			break;
		at = item.last + 1;
	}
	pthread_mutex_unlock(&ioas->lock);
	if (ret)
		ui_ioas_pieces_put(*pieces, *n);
	return ret;
}

void ui_ioas_pieces_put(struct ui_ioas_piece *pieces, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ui_pages_put(pieces[i].pages);
	ui_free(pieces);
}
