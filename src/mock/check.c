/* SPDX-License-Identifier: MIT */
/* What a test may know about a domain: where its table leads, what its TLB holds; and marks that a device's writes would leave. */
#include "base/user.h"
#include "mock/priv.h"

#include <errno.h>

/* A HWPT of the mock's, for the length of the call. 0; -ENOENT; -EINVAL another kind's. */
static int get_hwpt(struct ui_mock_call *call, enum ui_obj_kind kind, struct ui_hwpt **out)
{
	struct ui_obj *obj = ui_obj_get(call->ctx, call->cmd.id, kind);
	struct ui_hwpt *hwpt = obj ? ui_container_of(obj, struct ui_hwpt, obj) : NULL;

	if (!hwpt)
		return -ENOENT;
	if (ui_domain_iommu(hwpt->domain) != call->mctx->mock->iommu) {
		ui_obj_put(call->ctx, obj);
		return -EINVAL;
	}
	*out = hwpt;
	return 0;
}

static int check_page(struct ui_hwpt *hwpt, struct ui_mock_compare *cmp, u64 iova, u64 uaddr)
{
	struct ui_walk walk;

	if (ui_user_probe(uaddr, 1, false))
		return -EFAULT;
	if (ui_ioas_lookup(hwpt->ioas->ioas, hwpt->domain, iova, &walk))
		return -EINVAL;
	return ui_mock_same_byte(cmp, walk.oa, uaddr);
}

static int check_pages(struct ui_hwpt *hwpt, u64 iova, u64 length, u64 uptr)
{
	u64 page = UI_BIT(ui_ffs64(ui_domain_page_sizes(hwpt->domain))), uptr_end;
	struct ui_mock_compare cmp = { .read = false };
	int ret = 0;

	if (!ui_is_aligned(iova | length | uptr, page) || __builtin_add_overflow(uptr, length, &uptr_end))
		return -EINVAL;
	for (u64 done = 0; !ret && done < length; done += page)
		ret = check_page(hwpt, &cmp, iova + done, uptr + done);
	ui_mock_compare_free(&cmp);
	return ret;
}

long ui_mock_check_map(struct ui_mock_call *call)
{
	struct ui_hwpt *hwpt;
	int ret = get_hwpt(call, UI_OBJ_HWPT, &hwpt);

	if (ret)
		return ret;
	ret = check_pages(hwpt, call->cmd.check_map.iova, call->cmd.check_map.length, call->cmd.check_map.uptr);
	ui_obj_put(call->ctx, &hwpt->obj);
	return ret;
}

long ui_mock_check_iotlb(struct ui_mock_call *call)
{
	u32 index = call->cmd.check_word.id;
	struct ui_hwpt *hwpt;
	int ret = get_hwpt(call, UI_OBJ_HWPT_NESTED, &hwpt);

	if (ret)
		return ret;
	if (index >= MOCK_N_WORDS || ui_mock_iotlb(hwpt->domain, index) != call->cmd.check_word.word)
		ret = -EINVAL;
	ui_obj_put(call->ctx, &hwpt->obj);
	return ret;
}

#define DIRTY_MAX_BITS UI_BIT(27)
enum { DIRTY_CHUNK_BYTES = 512 };

/* Marks the pages of the bits in @chunk, the first of which is for @iova. Returns how many bits are set. */
static u64 mark_chunk(struct ui_hwpt *hwpt, const u8 *chunk, u64 n_bits, u64 iova, u64 page)
{
	u64 n = 0;

	for (u64 i = 0; i < n_bits; i++) {
		if (!(chunk[i / 8] >> i % 8 & 1))
			continue;
		/* Where nothing is mapped for writing nothing becomes dirty. */
		ui_ioas_mark_dirty(hwpt->ioas->ioas, hwpt->domain, iova + i * page);
		n++;
	}
	return n;
}

static int mark(struct ui_hwpt *hwpt, struct ui_mock_cmd *cmd)
{
	u64 page = cmd->dirty.page_size, n_bits = cmd->dirty.length / page, n_set = 0;
	u8 chunk[DIRTY_CHUNK_BYTES];

	for (u64 done = 0; done < n_bits; done += DIRTY_CHUNK_BYTES * 8) {
		u64 n = ui_min(n_bits - done, DIRTY_CHUNK_BYTES * 8);

		if (ui_user_read(chunk, cmd->dirty.uptr + done / 8, (n + 7) / 8))
			return -EFAULT;
		n_set += mark_chunk(hwpt, chunk, n, cmd->dirty.iova + done * page, page);
	}
	cmd->dirty.out_nr_dirty = n_set;
	return 0;
}

long ui_mock_dirty(struct ui_mock_call *call)
{
	struct ui_mock_cmd *cmd = &call->cmd;
	u64 page = cmd->dirty.page_size;
	struct ui_hwpt *hwpt;
	int ret;

	if (!page || !cmd->dirty.length || cmd->dirty.iova % page || cmd->dirty.length % page || !cmd->dirty.uptr)
		return -EINVAL;
	ret = get_hwpt(call, UI_OBJ_HWPT, &hwpt);
	if (ret)
		return ret;
	if (!ui_domain_dirty_tracking(hwpt->domain))
		ret = -EINVAL;
	else if (cmd->dirty.length / page > DIRTY_MAX_BITS)
		ret = -EOVERFLOW;
	else
		ret = mark(hwpt, cmd);
	ui_obj_put(call->ctx, &hwpt->obj);
	return ret ? ret : ui_mock_respond(call);
}
