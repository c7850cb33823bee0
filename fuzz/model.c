/* SPDX-License-Identifier: MIT */
#include "model.h"

#include <errno.h>
#include <string.h>

struct space *model_space(struct world *w, u32 id)
{
	for (unsigned i = 0; id && i < N_SPACES; i++) {
		if (w->model.spaces[i].id == id)
			return &w->model.spaces[i];
	}
	return NULL;
}

struct hwpt *model_hwpt(struct world *w, u32 id)
{
	for (unsigned i = 0; id && i < N_HWPTS; i++) {
		if (w->model.hwpts[i].id == id)
			return &w->model.hwpts[i];
	}
	return NULL;
}

/* HWPTs that came by an attachment go with the last, and not all attachments are the model's. */
static void forget_stale(struct world *w, u32 id)
{
	struct hwpt *h = model_hwpt(w, id);

	if (h && h->automatic && h->mocked)
		h->id = 0;
}

void model_ioas_new(struct world *w, u32 id)
{
	forget_stale(w, id);
	CHECK(!model_space(w, id) && !model_hwpt(w, id));
	for (unsigned i = 0; i < N_SPACES; i++) {
		struct space *s = &w->model.spaces[i];

		if (!s->id) {
			*s = (struct space){ .id = id };
			return;
		}
	}
}

bool model_overlaps(const struct space *s, u64 iova, u64 length)
{
	u64 last = iova + (length - 1);

	for (unsigned i = 0; i < s->n; i++) {
		const struct area *a = &s->areas[i];

		if (a->iova <= last && iova <= a->iova + (a->length - 1))
			return true;
	}
	return false;
}

bool model_covers(const struct space *s, u64 iova, u64 length)
{
	for (unsigned i = 0; i < s->n && length; i++) {
		const struct area *a = &s->areas[i];
		u64 offset = iova - a->iova;

		if (iova < a->iova || offset >= a->length)
			continue;
		if (a->length - offset >= length)
			return true;
		length -= a->length - offset;
		iova += a->length - offset;
	}
	return !length;
}

static void add(struct space *s, const struct area *area)
{
	unsigned i = s->n;

	CHECK(!model_overlaps(s, area->iova, area->length));
	if (s->n == N_AREAS)
		s->lost = true;
	if (s->lost)
		return;
	for (; i && s->areas[i - 1].iova > area->iova; i--)
		s->areas[i] = s->areas[i - 1];
	s->areas[i] = *area;
	s->n++;
}

void model_drop(struct space *s, unsigned i)
{
	s->n--;
	memmove(&s->areas[i], &s->areas[i + 1], (s->n - i) * sizeof(s->areas[0]));
}

void model_mapped(struct world *w, u32 id, u64 iova, u64 length, u64 memory, u32 flags, bool may_write)
{
	struct space *s = model_space(w, id);
	struct area area = {
		.iova = iova, .length = length, .memory = memory, .read = flags & UI_UAPI_MAP_READABLE,
		.write = flags & UI_UAPI_MAP_WRITEABLE, .may_write = may_write
	};

	if (!s || s->lost)
		return;
	add(s, &area);
	model_compare(w, s);
}

void model_copied(struct world *w, const struct ui_uapi_ioas_copy *cmd)
{
	struct space *src = model_space(w, cmd->src_ioas_id), *dst = model_space(w, cmd->dst_ioas_id);
	u64 from = cmd->src_iova, to = cmd->dst_iova, left = cmd->length;
	struct area pieces[N_AREAS];
	unsigned n = 0;

	if (!dst)
		return;
	if (!src || src->lost || dst->lost) {
		dst->lost = true;
		return;
	}
	CHECK(model_covers(src, from, left));
	for (unsigned i = 0; i < src->n && left; i++) {
		const struct area *a = &src->areas[i];
		u64 offset = from - a->iova, length;

		if (from < a->iova || offset >= a->length)
			continue;
		length = a->length - offset < left ? a->length - offset : left;
		CHECK(!(cmd->flags & UI_UAPI_MAP_WRITEABLE) || a->may_write);
		pieces[n++] = (struct area){
			.iova = to, .length = length, .memory = a->memory + offset, .read = cmd->flags & UI_UAPI_MAP_READABLE,
			.write = cmd->flags & UI_UAPI_MAP_WRITEABLE, .may_write = a->may_write
		};
		from += length;
		to += length;
		left -= length;
	}
	/* Source and destination may be one. */
	for (unsigned i = 0; i < n; i++)
		add(dst, &pieces[i]);
	model_compare(w, dst);
}

void model_hwpt_new(struct world *w, u32 id, u32 pt, u32 flags, bool nested, bool automatic)
{
	struct hwpt *parent = model_hwpt(w, pt);
	struct space *s = nested ? (parent ? parent->space : NULL) : model_space(w, pt);

	forget_stale(w, id);
	CHECK(!model_hwpt(w, id) && !model_space(w, id));
	for (unsigned i = 0; i < N_HWPTS; i++) {
		struct hwpt *h = &w->model.hwpts[i];

		if (h->id)
			continue;
		*h = (struct hwpt){ .id = id, .space = s, .automatic = automatic, .nested = nested, .dirty = flags & UI_UAPI_HWPT_DIRTY_TRACKING };
		return;
	}
}

static bool attached_anywhere(const struct world *w, const struct hwpt *h)
{
	for (unsigned i = 0; i < N_DEVICES; i++) {
		for (unsigned p = 0; p < N_PASIDS; p++) {
			if (w->model.attached[i][p] == h)
				return true;
		}
	}
	return false;
}

void model_destroyed(struct world *w, u32 id)
{
	struct space *s = model_space(w, id);
	struct hwpt *h = model_hwpt(w, id);

	for (unsigned i = 0; s && i < N_HWPTS; i++) {
		struct hwpt *on = &w->model.hwpts[i];

		if (on->id && on->space == s && on->automatic)
			forget_stale(w, on->id);
		CHECK(!on->id || on->space != s);
	}
	if (w->model.container == id)
		w->model.container = 0;
	CHECK(!h || !attached_anywhere(w, h));
	for (unsigned i = 0; i < N_DEVICES; i++)
		CHECK(!w->bound[i] || w->dev_id[i] != id);
	if (s)
		s->id = 0;
	if (h)
		h->id = 0;
}

static void left(struct world *w, struct hwpt *h)
{
	if (h && h->automatic && !attached_anywhere(w, h))
		h->id = 0;
}

void model_attached(struct world *w, unsigned dev, u32 pasid, u32 hwpt, u32 pt)
{
	struct hwpt *before = w->model.attached[dev][pasid], *h = model_hwpt(w, hwpt);

	/* An IOAS leads to an HWPT that is there already, or to one of its own. */
	if (!h && model_space(w, pt)) {
		model_hwpt_new(w, hwpt, pt, 0, false, true);
		h = model_hwpt(w, hwpt);
	}
	if (!h)
		h = &w->model.unknown;
	w->model.attached[dev][pasid] = h;
	if (before != h)
		left(w, before);
	if (h->space)
		model_compare(w, h->space);
}

void model_detached(struct world *w, unsigned dev, u32 pasid)
{
	struct hwpt *before = w->model.attached[dev][pasid];

	w->model.attached[dev][pasid] = NULL;
	left(w, before);
}

void model_cut(struct space *s, u64 iova)
{
	for (unsigned i = 0; i < s->n; i++) {
		struct area *a = &s->areas[i], rest = *a;

		if (iova < a->iova || iova - a->iova >= a->length - 1)
			continue;
		a->length = iova - a->iova + 1;
		rest.iova += a->length;
		rest.memory += a->length;
		rest.length -= a->length;
		add(s, &rest);
		return;
	}
}

/* Whether the context still has what the model has there, by asking for a copy of it into an IOAS made for that. */
static bool still_there(struct world *w, const struct space *s, const struct area *a)
{
	struct ui_uapi_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct ui_uapi_ioas_copy copy = {
		.size = sizeof(copy), .flags = UI_UAPI_MAP_READABLE | UI_UAPI_MAP_FIXED_IOVA, .src_ioas_id = s->id, .length = a->length,
		.dst_iova = a->iova, .src_iova = a->iova
	};
	struct ui_uapi_destroy destroy = { .size = sizeof(destroy) };
	long ret;

	CHECK(!ui_iommufd_ioctl(w->ctx, UI_UAPI_IOAS_ALLOC, (u64)(uintptr_t)&ioas));
	copy.dst_ioas_id = destroy.id = ioas.out_ioas_id;
	ret = ui_iommufd_ioctl(w->ctx, UI_UAPI_IOAS_COPY, (u64)(uintptr_t)&copy);
	CHECK(!ui_iommufd_ioctl(w->ctx, UI_UAPI_DESTROY, (u64)(uintptr_t)&destroy));
	CHECK(!ret || ret == -ENOENT || ret == -EBUSY);
	return ret != -ENOENT;
}

void model_unmapped(struct world *w, u32 id, u64 iova, u64 last, long ret, u64 removed, bool wants_some)
{
	struct space *s = model_space(w, id);
	u64 bytes = 0;
	bool cut = false;

	if (!s || s->lost)
		return;
	if (ret && ret != -ENOENT) {
		/* Something stopped it on the way. */
		for (unsigned i = s->n; i-- > 0;) {
			if (s->areas[i].iova >= iova && s->areas[i].iova <= last && !still_there(w, s, &s->areas[i]))
				model_drop(s, i);
		}
		model_compare(w, s);
		return;
	}
	for (unsigned i = 0; i < s->n && !cut;) {
		struct area *a = &s->areas[i];
		u64 end = a->iova + (a->length - 1);

		if (end < iova || a->iova > last) {
			i++;
			continue;
		}
		cut = a->iova < iova || end > last;
		if (cut)
			continue;
		bytes += a->length;
		model_drop(s, i);
	}
	if (ret)
		CHECK(cut || (!bytes && wants_some));
	else
		CHECK(!cut && removed == bytes && (bytes || !wants_some));
	model_compare(w, s);
}

/* --- the comparison with devices --- */

static enum ui_dma_status read8(struct world *w, unsigned dev, u32 pasid, u64 iova, u8 *val)
{
	struct ui_dma_addr at = { .iova = iova, .pasid = pasid, .has_pasid = pasid != 0 };

	return ui_dma_read(w->port[dev], &at, val, 1, NULL, NULL);
}

static enum ui_dma_status write8(struct world *w, unsigned dev, u32 pasid, u64 iova, u8 val)
{
	struct ui_dma_addr at = { .iova = iova, .pasid = pasid, .has_pasid = pasid != 0 };

	return ui_dma_write(w->port[dev], &at, &val, 1, NULL, NULL);
}

static u8 peek(u64 addr)
{
	return *(volatile u8 *)(uintptr_t)addr;
}

static void compare_byte(struct world *w, unsigned dev, u32 pasid, const struct area *a, u64 offset)
{
	u64 iova = a->iova + offset;
	u8 val = 0;

	if (a->read) {
		CHECK(read8(w, dev, pasid, iova, &val) == UI_DMA_OK);
		CHECK(val == peek(a->memory + offset));
	}
	val = (u8)++w->model.value;
	if (a->write) {
		CHECK(write8(w, dev, pasid, iova, val) == UI_DMA_OK);
		CHECK(val == peek(a->memory + offset));
	} else {
		CHECK(write8(w, dev, pasid, iova, val) != UI_DMA_OK);
	}
}

/* The first and the last byte of each area lead to its memory, the bytes next to it nowhere, unless they are another area's. */
static void compare_through(struct world *w, unsigned dev, u32 pasid, const struct space *s)
{
	u8 val;

	for (unsigned i = 0; i < s->n; i++) {
		const struct area *a = &s->areas[i];

		compare_byte(w, dev, pasid, a, 0);
		compare_byte(w, dev, pasid, a, a->length - 1);
		if (a->iova && !model_overlaps(s, a->iova - 1, 1))
			CHECK(read8(w, dev, pasid, a->iova - 1, &val) != UI_DMA_OK);
		if (a->iova + a->length && !model_overlaps(s, a->iova + a->length, 1))
			CHECK(read8(w, dev, pasid, a->iova + a->length, &val) != UI_DMA_OK);
	}
	for (u64 iova = 0x1000000; iova < 0x1000000 + 72 * PAGE; iova += 4 * PAGE) {
		if (!model_overlaps(s, iova, 1))
			CHECK(read8(w, dev, pasid, iova, &val) != UI_DMA_OK);
	}
}

/* The mock's own words for the same: its devices have no ports. */
static void compare_mocked(struct world *w, struct hwpt *h)
{
	const struct space *s = h->space;

	for (unsigned i = 0; i < s->n; i++) {
		const struct area *a = &s->areas[i];
		u64 cmd[9] = { 72 | (u64)3 << 32, h->id, a->iova, a->length, a->memory };
		u64 beyond[9] = { 72 | (u64)3 << 32, h->id, a->iova + a->length, 2048, a->memory };
		long ret;

		/* An area without rights has no entry. */
		if (((a->iova | a->length | a->memory) & 2047) || (!a->read && !a->write))
			continue;
		ret = ui_iommufd_ioctl(w->ctx, UI_UAPI_TYPE | 0xa0, (u64)(uintptr_t)cmd);
		if (ret == -ENOENT && h->automatic) {
			h->id = 0;
			return;
		}
		CHECK(!ret);
		if (!model_overlaps(s, a->iova + a->length, 2048))
			CHECK(ui_iommufd_ioctl(w->ctx, UI_UAPI_TYPE | 0xa0, (u64)(uintptr_t)beyond) == -EINVAL);
	}
}

void model_compare(struct world *w, struct space *s)
{
	if (!s->id || s->lost)
		return;
	for (unsigned i = 0; i < N_DEVICES; i++) {
		for (unsigned p = 0; p < N_PASIDS; p++) {
			struct hwpt *h = w->model.attached[i][p];

			if (h && h->space == s && !h->nested && (!p || i != WITHOUT_PASIDS))
				compare_through(w, i, p, s);
		}
	}
	for (unsigned i = 0; i < N_HWPTS; i++) {
		struct hwpt *h = &w->model.hwpts[i];

		if (h->id && h->mocked && h->space == s)
			compare_mocked(w, h);
	}
}

void model_compare_all(struct world *w)
{
	u8 val;

	for (unsigned i = 0; i < N_SPACES; i++)
		model_compare(w, &w->model.spaces[i]);
	/* What is attached nowhere reaches nothing. */
	for (unsigned i = 0; i < N_DEVICES; i++) {
		for (unsigned p = 0; p < N_PASIDS; p++) {
			for (unsigned k = 0; !w->model.attached[i][p] && w->model.bound[i] && k < N_SPACES; k++) {
				const struct space *s = &w->model.spaces[k];

				if (s->id && s->n)
					CHECK(read8(w, i, p, s->areas[0].iova, &val) != UI_DMA_OK);
			}
		}
	}
}

/* Whether the page of @iova is dirty. */
static bool dirty(struct world *w, const struct hwpt *h, u64 iova, bool keep)
{
	u64 bits = 0;
	struct ui_uapi_hwpt_get_dirty_bitmap cmd = {
		.size = sizeof(cmd), .hwpt_id = h->id, .flags = keep ? UI_UAPI_DIRTY_BITMAP_NO_CLEAR : 0u, .iova = iova & ~(PAGE - 1),
		.length = PAGE, .page_size = PAGE, .data = (u64)(uintptr_t)&bits
	};

	CHECK(!ui_iommufd_ioctl(w->ctx, UI_UAPI_HWPT_GET_DIRTY_BITMAP, (u64)(uintptr_t)&cmd));
	return bits & 1;
}

void model_compare_dirty(struct world *w, struct hwpt *h, unsigned area)
{
	struct space *s = h->space;
	struct area *a;

	if (!s || !s->id || s->lost || !s->n || !h->dirty || h->nested)
		return;
	a = &s->areas[area % s->n];
	if (!a->write || (a->iova & (PAGE - 1)) || (a->length & (PAGE - 1)))
		return;
	for (unsigned i = 0; i < N_DEVICES; i++) {
		for (unsigned p = 0; p < N_PASIDS; p++) {
			u64 iova = a->iova + a->length - 1;

			if (w->model.attached[i][p] != h || (p && i == WITHOUT_PASIDS))
				continue;
			for (unsigned round = 0; round < 2; round++) {
				CHECK(write8(w, i, p, iova, (u8)++w->model.value) == UI_DMA_OK);
				CHECK(dirty(w, h, iova, true));
				CHECK(dirty(w, h, iova, false));
				CHECK(!dirty(w, h, iova, false));
			}
		}
	}
}
