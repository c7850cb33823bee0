/* SPDX-License-Identifier: MIT */
#include "fields.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "files.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define CMD_TEST (UI_UAPI_TYPE | 0xa0u)

/* Where most mappings meet, inside every kind's aperture. */
#define IOVA ((u64)0x1000000)

u8 input8(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

u64 input64(struct input *in)
{
	u64 val = 0;

	for (unsigned i = 0; i < 8; i++)
		val |= (u64)input8(in) << (8 * i);
	return val;
}

u32 input_id(struct input *in)
{
	u8 b = input8(in);

	return b < 0xf8 ? b % 16u : b < 0xff ? 1u << 31 : (u32)input64(in);
}

u64 input_iova(struct input *in)
{
	static const u64 odd[] = { 0, 1, PAGE, MAX, MAX - PAGE, MAX - PAGE + 1, (u64)1 << 47, ((u64)1 << 48) - PAGE, (u64)1 << 48,
				   (u64)1 << 57, 0xfee00000, 0xfed00000, 0x40000000, 0x200000, 0x7fffe000, (u64)1 << 63 };
	u8 b = input8(in);

	if (b < 0x80)
		return IOVA + (b & 0x3f) * PAGE;
	if (b < 0xc0)
		return IOVA + (b & 0x3f) * 0x800;
	if (b < 0xf0)
		return odd[b % ui_array_size(odd)];
	return b == 0xff ? input64(in) : IOVA + b;
}

u64 input_length(struct input *in)
{
	static const u64 odd[] = { 0, 1, 7, 0x7ff, 0x800, 0x1001, 0x200000, 0x400000, 0x40000000, (u64)1 << 40, (u64)1 << 63, MAX,
				   MAX - 1, MAX - PAGE, (u64)1 << 46, 16 };
	u8 b = input8(in);

	if (b < 0xa0)
		return (1 + b % 8u) * PAGE;
	if (b < 0xc0)
		return (1 + (b & 0x1f)) * 0x800ull;
	if (b < 0xf8)
		return odd[b % ui_array_size(odd)];
	return input64(in);
}

u64 input_memory(struct input *in)
{
	static const u64 odd[] = { 0, 1, MAX, MAX - 7, (u64)1 << 63, 0x7ffffffff000, FILE_MAP, FILE_MAP + FILE_PAGES * PAGE, BIG, BIG + 0x1000,
				   BIG + 0x200000, ARENA - PAGE, ARENA + ARENA_PAGES * PAGE, ARENA + ARENA_PAGES * PAGE - 8,
				   ARENA + HOLE_AT * PAGE - 8, ARENA + (READONLY_AT + 2) * PAGE - 4 };
	u8 b = input8(in);

	if (b < 0x80)
		return ARENA + (b % ARENA_PAGES) * PAGE;
	if (b < 0xa0)
		return ARENA + (b & 0x1f) * PAGE + 0x800;
	if (b < 0xe0)
		return ARENA + SCRATCH_AT * PAGE + (b & 0x3f) * 0x80;
	if (b < 0xff)
		return odd[b % ui_array_size(odd)];
	return input64(in);
}

static u64 input_type(struct input *in)
{
	static const u64 types[] = { 0, 1, 2, 3, 0xdead, 0xdeadbeef, 0xbeefbeef, 0xfeedbeef, 0xbadbeef, MAX };

	return types[input8(in) % ui_array_size(types)];
}

u64 input_any(struct input *in)
{
	u8 b = input8(in);

	switch (b & 15) {
	case 0: return 0;
	case 1: case 2: return input_iova(in);
	case 3: return input_length(in);
	case 4: return input_memory(in);
	case 5: return input_id(in) | (u64)input_id(in) << 32;
	case 6: return input_type(in);
	case 7: case 8: return input_iova(in) | (b >> 4) | 1; /* an entry of a table */
	case 9: return input_iova(in) | 0x87;
	case 10: return input8(in);
	case 11: return input8(in) | (u64)input8(in) << 32;
	case 12: return input_type(in) | input_type(in) << 32;
	case 13: return (u64)input8(in) << 32 | FILES_FIRST | (b >> 4);
	case 14: return input_memory(in) | (b >> 4) | 1;
	default: return input64(in);
	}
}

static u64 input_kind(struct world *w, struct input *in, char kind)
{
	u8 b;

	switch (kind) {
	case 'f': b = input8(in); return b < 0xf0 ? b & 15u : 1u << (b & 31);
	case 'm': b = input8(in); return b < 0xf0 ? (b & 6u) | (b & 1u) : b & 15u; /* of a map */
	case 'i': return input_id(in);
	case 'z': b = input8(in); return b < 0xfc ? 0 : b;
	case 'v': return input_iova(in);
	case 'l': return input_length(in);
	case 'p': return input_memory(in);
	case 'd': b = input8(in); return b < 0x80 ? (u64)w->fd : b < 0xf0 ? FILES_FIRST + b % N_FILES : MAX;
	case 'n': b = input8(in); return b < 0xfe ? b % 12u : (1u << 19) + (b & 1u);
	case 's': b = input8(in); return b < 0xc0 ? PAGE << (b & 3) >> (b >> 2 & 1) : UI_BIT(b & 63);
	case 't': return input_type(in);
	case 'e': b = input8(in); return b & 0x80 ? b & 0x7fu : b & 0x40 ? 24 : 8;
	case 'b': return input8(in) % 24u;
	default: return input_any(in);
	}
}

static void after_map(struct world *w, void *buf, long ret)
{
	const struct ui_uapi_ioas_map *cmd = buf;
	struct space *s = model_space(w, cmd->ioas_id);

	if (!ret)
		model_mapped(w, cmd->ioas_id, cmd->iova, cmd->length, cmd->user_va, cmd->flags, cmd->flags & UI_UAPI_MAP_WRITEABLE);
	else if (ret == -EEXIST && s && !s->lost)
		CHECK((cmd->flags & UI_UAPI_MAP_FIXED_IOVA) && model_overlaps(s, cmd->iova, cmd->length));
}

static void after_map_file(struct world *w, void *buf, long ret)
{
	const struct ui_uapi_ioas_map_file *cmd = buf;
	struct space *s = model_space(w, cmd->ioas_id);

	if (ret)
		return;
	/* Where a buffer of another kind lies only the library knows. */
	if (s && (cmd->fd != w->fd || cmd->start + cmd->length > FILE_PAGES * PAGE))
		s->lost = true;
	model_mapped(w, cmd->ioas_id, cmd->iova, cmd->length, FILE_MAP + cmd->start, cmd->flags, cmd->flags & UI_UAPI_MAP_WRITEABLE);
}

static void after_copy(struct world *w, void *buf, long ret)
{
	const struct ui_uapi_ioas_copy *cmd = buf;
	struct space *dst = model_space(w, cmd->dst_ioas_id);

	if (!ret)
		model_copied(w, cmd);
	else if (ret == -EEXIST && dst && !dst->lost)
		CHECK((cmd->flags & UI_UAPI_MAP_FIXED_IOVA) && model_overlaps(dst, cmd->dst_iova, cmd->length));
}

static void after_unmap(struct world *w, const struct ui_uapi_ioas_unmap *before, void *buf, long ret)
{
	const struct ui_uapi_ioas_unmap *cmd = buf;
	u64 iova = before->iova, length = before->length;
	bool all = !iova && length == MAX;

	if (all)
		model_unmapped(w, before->ioas_id, 0, MAX, ret, cmd->length, false);
	else if (length && length != MAX && iova != MAX && iova + (length - 1) >= iova)
		model_unmapped(w, before->ioas_id, iova, iova + (length - 1), ret, cmd->length, true);
	else
		CHECK(ret);
}

static void after_hwpt(struct world *w, void *buf, long ret)
{
	const struct ui_uapi_hwpt_alloc *cmd = buf;
	struct hwpt *h;

	if (ret)
		return;
	model_hwpt_new(w, cmd->out_hwpt_id, cmd->pt_id, cmd->flags, !model_space(w, cmd->pt_id), false);
	h = model_hwpt(w, cmd->out_hwpt_id);
	for (unsigned i = 0; h && !h->mocked && i < N_DEVICES; i++) {
		if (w->bound[i] && w->dev_id[i] == cmd->dev_id)
			return;
	}
	if (h)
		h->mocked = !h->nested;
}

static void after_option(struct world *w, void *buf, long ret)
{
	const struct ui_uapi_option *cmd = buf;
	struct space *s = model_space(w, cmd->object_id);

	if (!ret && s && cmd->option_id == UI_UAPI_OPTION_HUGE_PAGES && cmd->op == UI_UAPI_OPTION_OP_SET)
		s->small = !cmd->val64;
}

static void after_vfio_ioas(struct world *w, void *buf, long ret)
{
	const struct ui_uapi_vfio_ioas *cmd = buf;

	if (!ret && cmd->op != UI_UAPI_VFIO_IOAS_GET)
		w->model.container = cmd->op == UI_UAPI_VFIO_IOAS_SET ? cmd->ioas_id : 0;
}

/* A device of the mock's: its attachment may have made an HWPT. */
static void after_test(struct world *w, void *buf, long ret)
{
	const u32 *cmd = buf;
	u32 op = cmd[1], hwpt = op == 10 ? cmd[4] : cmd[5];
	struct hwpt *h;

	if (ret || (op != 2 && op != 12))
		return;
	if (!model_hwpt(w, hwpt) && model_space(w, cmd[2])) {
		model_hwpt_new(w, hwpt, cmd[2], 0, false, true);
		h = model_hwpt(w, hwpt);
		if (h)
			h->mocked = true;
	}
}

/* Fields: offset, bytes and what may stand there. */
static const struct row {
	u32 cmd;
	u8 n_bytes, min_bytes;
	struct {
		u8 at, n_bytes;
		char kind;
	} fields[9];
	void (*after)(struct world *w, void *buf, long ret);
} rows[] = {
	{ UI_UAPI_IOAS_MAP, 40, 40, { { 4, 4, 'm' }, { 8, 4, 'i' }, { 12, 4, 'z' }, { 16, 8, 'p' }, { 24, 8, 'l' }, { 32, 8, 'v' } }, after_map },
	{ UI_UAPI_IOAS_UNMAP, 24, 24, { { 4, 4, 'i' }, { 8, 8, 'v' }, { 16, 8, 'l' } }, NULL },
	{ UI_UAPI_IOAS_ALLOC, 12, 12, { { 4, 4, 'z' } }, NULL },
	{ UI_UAPI_HWPT_ALLOC, 48, 24,
	  { { 4, 4, 'f' }, { 8, 4, 'i' }, { 12, 4, 'i' }, { 20, 4, 'z' }, { 24, 4, 't' }, { 28, 4, 'e' }, { 32, 8, 'p' }, { 40, 4, 'i' } }, after_hwpt },
	{ UI_UAPI_IOAS_COPY, 40, 40, { { 4, 4, 'm' }, { 8, 4, 'i' }, { 12, 4, 'i' }, { 16, 8, 'l' }, { 24, 8, 'v' }, { 32, 8, 'v' } }, after_copy },
	{ UI_UAPI_IOAS_MAP_FILE, 40, 40, { { 4, 4, 'm' }, { 8, 4, 'i' }, { 12, 4, 'd' }, { 16, 8, 'l' }, { 24, 8, 'l' }, { 32, 8, 'v' } }, after_map_file },
	{ UI_UAPI_DESTROY, 8, 8, { { 4, 4, 'i' } }, NULL },
	{ UI_UAPI_HWPT_ALLOC, 48, 24, { { 4, 4, 'f' }, { 8, 4, 'i' }, { 12, 4, 'i' } }, after_hwpt },
	{ UI_UAPI_IOAS_ALLOW_IOVAS, 24, 24, { { 4, 4, 'i' }, { 8, 4, 'n' }, { 12, 4, 'z' }, { 16, 8, 'p' } }, NULL },
	{ UI_UAPI_IOAS_IOVA_RANGES, 32, 32, { { 4, 4, 'i' }, { 8, 4, 'n' }, { 12, 4, 'z' }, { 16, 8, 'p' } }, NULL },
	{ UI_UAPI_OPTION, 24, 24, { { 4, 4, 'f' }, { 8, 2, 'f' }, { 12, 4, 'i' }, { 16, 8, 'z' } }, after_option },
	{ UI_UAPI_VFIO_IOAS, 12, 12, { { 4, 4, 'i' }, { 8, 2, 'f' } }, after_vfio_ioas },
	{ UI_UAPI_GET_HW_INFO, 40, 32, { { 4, 4, 'z' }, { 8, 4, 'i' }, { 12, 4, 'e' }, { 16, 8, 'p' }, { 24, 4, 't' }, { 28, 4, 'z' } }, NULL },
	{ UI_UAPI_HWPT_SET_DIRTY_TRACKING, 16, 16, { { 4, 4, 'f' }, { 8, 4, 'i' } }, NULL },
	{ UI_UAPI_HWPT_GET_DIRTY_BITMAP, 48, 48,
	  { { 4, 4, 'i' }, { 8, 4, 'f' }, { 12, 4, 'z' }, { 16, 8, 'v' }, { 24, 8, 'l' }, { 32, 8, 's' }, { 40, 8, 'p' } }, NULL },
	{ UI_UAPI_HWPT_INVALIDATE, 32, 32, { { 4, 4, 'i' }, { 8, 8, 'p' }, { 16, 4, 't' }, { 20, 4, 'e' }, { 24, 4, 'n' }, { 28, 4, 'z' } }, NULL },
	{ UI_UAPI_FAULT_QUEUE_ALLOC, 16, 16, { { 4, 4, 'z' } }, NULL },
	{ UI_UAPI_VIOMMU_ALLOC, 40, 24, { { 4, 4, 'z' }, { 8, 4, 't' }, { 12, 4, 'i' }, { 16, 4, 'i' }, { 24, 4, 'e' }, { 32, 8, 'p' } }, NULL },
	{ UI_UAPI_VDEVICE_ALLOC, 24, 24, { { 4, 4, 'i' }, { 8, 4, 'i' }, { 16, 8, 'b' } }, NULL },
	{ UI_UAPI_IOAS_CHANGE_PROCESS, 8, 8, { { 4, 4, 'z' } }, NULL },
	{ UI_UAPI_VEVENTQ_ALLOC, 32, 28, { { 4, 4, 'z' }, { 8, 4, 'i' }, { 12, 4, 't' }, { 16, 4, 'n' }, { 28, 4, 'z' } }, NULL },
	{ UI_UAPI_HW_QUEUE_ALLOC, 40, 40, { { 4, 4, 'z' }, { 8, 4, 'i' }, { 12, 4, 't' }, { 16, 4, 'n' }, { 24, 8, 'v' }, { 32, 8, 'l' } }, NULL },
	{ UI_UAPI_IOAS_NOIOMMU_GET_PA, 40, 40, { { 4, 4, 'z' }, { 8, 4, 'i' }, { 16, 8, 'v' }, { 24, 8, 'l' } }, NULL },
	{ CMD_TEST, 72, 68, { { 4, 4, 'b' }, { 8, 4, 'i' }, { 16, 8, 'a' }, { 24, 8, 'a' }, { 32, 8, 'a' }, { 40, 8, 'a' } }, after_test },
	{ CMD_TEST, 72, 68, { { 4, 4, 'b' }, { 8, 4, 'i' }, { 16, 8, 'v' }, { 24, 8, 'l' }, { 32, 8, 'p' }, { 40, 8, 'z' } }, after_test },
	/* Of an access: the id is a descriptor. */
	{ CMD_TEST, 72, 68, { { 4, 4, 'b' }, { 8, 4, 'd' }, { 16, 8, 'v' }, { 24, 8, 'l' }, { 32, 8, 'p' }, { 40, 8, 'f' } }, after_test },
};

/* Puts the command where the caller would have it: in memory that is there, or less of it; a size less or more than ours. */
static u64 place(struct input *in, const struct row *row, u8 *buf, u32 *size)
{
	u8 how = input8(in);
	u64 at = ARENA + (READONLY_AT + 1) * PAGE;

	*size = row->n_bytes;
	if (how < 0xe0)
		return (u64)(uintptr_t)buf;
	switch (how & 7) {
	case 0: *size = row->min_bytes; break;
	case 1: *size = row->min_bytes - 1u; break;
	case 2: *size = row->n_bytes + 8u; break;
	case 3: *size = row->n_bytes + 9u; buf[row->n_bytes + 8] = 1; break;
	case 4: *size = input8(in) % 160u; break;
	case 5: /* the end of the memory inside it */
		memcpy(buf, size, sizeof(*size));
		memcpy((void *)(uintptr_t)(ARENA + HOLE_AT * PAGE - 8), buf, 8);
		return ARENA + HOLE_AT * PAGE - 8;
	default:
		/* What cannot be written gets no answer. */
		memcpy(buf, size, sizeof(*size));
		CHECK(!mprotect((void *)(uintptr_t)at, PAGE, PROT_READ | PROT_WRITE));
		memcpy((void *)(uintptr_t)at, buf, row->n_bytes);
		CHECK(!mprotect((void *)(uintptr_t)at, PAGE, PROT_READ));
		return at;
	}
	return (u64)(uintptr_t)buf;
}

void command(struct world *w, struct input *in, u8 which, u64 inject)
{
	const struct row *row = &rows[which % ui_array_size(rows)];
	u64 words[20] = { 0 }, at;
	u8 *buf = (u8 *)words, before[160];
	u32 size, full;
	long ret;

	for (unsigned i = 0; i < ui_array_size(row->fields) && row->fields[i].n_bytes; i++) {
		u64 val = input_kind(w, in, row->fields[i].kind);

		memcpy(buf + row->fields[i].at, &val, row->fields[i].n_bytes);
	}
	at = place(in, row, buf, &size);
	full = row->n_bytes;
	memcpy(buf, &size, sizeof(size));
	memcpy(before, buf, sizeof(before));
	ui_inject_arm(inject);
	ret = ui_iommufd_ioctl(w->ctx, row->cmd, at);
	ui_inject_arm(0);
	CHECK(ret > -4096);
	if (size < full && !ret) {
		/* What an old caller did not know was zero. */
		memset(buf + size, 0, full - size);
		memset(before + size, 0, full - size);
	}
	if (row->cmd == UI_UAPI_IOAS_ALLOC && !ret)
		model_ioas_new(w, ((struct ui_uapi_ioas_alloc *)words)->out_ioas_id);
	else if (row->cmd == UI_UAPI_DESTROY && !ret)
		model_destroyed(w, ((struct ui_uapi_destroy *)words)->id);
	else if (row->cmd == UI_UAPI_IOAS_UNMAP)
		after_unmap(w, (const void *)before, words, ret);
	else if (row->after)
		row->after(w, words, ret);
}

static void vfio_map(struct world *w, struct input *in)
{
	struct ui_uapi_vfio_map map = { .argsz = sizeof(map), .flags = input8(in) & 3u, .vaddr = input_memory(in), .iova = input_iova(in),
					.size = input_length(in) };
	u32 flags = (map.flags & UI_UAPI_VFIO_MAP_READ ? UI_UAPI_MAP_READABLE : 0u) |
		    (map.flags & UI_UAPI_VFIO_MAP_WRITE ? UI_UAPI_MAP_WRITEABLE : 0u);

	if (!ui_iommufd_ioctl(w->ctx, UI_UAPI_VFIO_IOMMU_MAP_DMA, (u64)(uintptr_t)&map))
		model_mapped(w, w->model.container, map.iova, map.size, map.vaddr, flags, flags & UI_UAPI_MAP_WRITEABLE);
}

static void vfio_unmap(struct world *w, struct input *in)
{
	struct ui_uapi_vfio_unmap unmap = { .argsz = sizeof(unmap) };
	struct space *s = model_space(w, w->model.container);
	u64 iova = 0, last = MAX;
	long ret;

	if (input8(in) < 0xf0) {
		unmap.iova = iova = input_iova(in);
		unmap.size = input_length(in);
		last = iova + (unmap.size - 1);
	} else {
		unmap.flags = UI_UAPI_VFIO_UNMAP_ALL_FLAG;
	}
	ret = ui_iommufd_ioctl(w->ctx, UI_UAPI_VFIO_IOMMU_UNMAP_DMA, (u64)(uintptr_t)&unmap);
	if (!s || s->lost || last < iova)
		return;
	if (!ret && s->small && !unmap.flags) {
		model_cut(s, last);
		if (iova)
			model_cut(s, iova - 1);
	} else if (ret && s->small) {
		s->lost = true;
	}
	model_unmapped(w, w->model.container, iova, last, ret, unmap.size, false);
}

void command_vfio(struct world *w, struct input *in)
{
	u8 what = input8(in);
	struct space *s = model_space(w, w->model.container);
	u64 info[32] = { 0 };

	switch (what & 7) {
	case 0: case 1: vfio_map(w, in); break;
	case 2: case 3: vfio_unmap(w, in); break;
	case 4:
		if (!ui_iommufd_ioctl(w->ctx, UI_UAPI_VFIO_SET_IOMMU, what >> 3 & 3) && s && (what >> 3 & 3) == UI_UAPI_VFIO_TYPE1)
			s->small = true;
		break;
	case 5:
		info[0] = what;
		ui_iommufd_ioctl(w->ctx, UI_UAPI_VFIO_IOMMU_GET_INFO, (u64)(uintptr_t)info);
		break;
	case 6: ui_iommufd_ioctl(w->ctx, UI_UAPI_VFIO_CHECK_EXTENSION, what >> 3); break;
	default: ui_iommufd_ioctl(w->ctx, UI_UAPI_TYPE | what, (u64)(uintptr_t)info); break;
	}
}
