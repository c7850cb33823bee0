/* SPDX-License-Identifier: MIT */
/* How often each page is pinned: by context and address, put together by what is behind the addresses. */
#include "base/sys.h"
#include "base/user.h"
#include "mock/priv.h"

#include <errno.h>
#include <sys/mman.h>

/*
 * Pins per page of the process, in three steps of 12 bits each (35 bits of page number). Nodes come straight from the system: a
 * count must never be lost to an allocation that a test makes fail.
 */
enum { STEP_LG2 = 12, N_STEPS = 3 };

union ui_mock_node {
	union ui_mock_node *below[1 << STEP_LG2];
	u32 pins[1 << STEP_LG2];
};

static union ui_mock_node *node_new(void)
{
	void *node = ui_sys_mmap(NULL, sizeof(union ui_mock_node), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return ui_sys_is_err(node) ? NULL : node;
}

static void node_free(union ui_mock_node *node, unsigned step)
{
	for (unsigned i = 0; step && i < 1 << STEP_LG2; i++) {
		if (node->below[i])
			node_free(node->below[i], step - 1);
	}
	ui_sys_munmap(node, sizeof(*node));
}

/* The count of @page; NULL: no page there was ever pinned (@make: or no memory for it). */
static u32 *find_pins(struct ui_mock_ctx *mctx, u64 page, bool make)
{
	union ui_mock_node **at = &mctx->pins;

	for (unsigned step = N_STEPS; step-- > 0;) {
		if (!*at && make)
			*at = node_new();
		if (!*at)
			return NULL;
		if (step)
			at = &(*at)->below[page >> (step * STEP_LG2) & ui_mask_lg2(STEP_LG2)];
	}
	return &(*at)->pins[page & ui_mask_lg2(STEP_LG2)];
}

static void pinned(void *arg, u64 va, u64 n_bytes, bool now)
{
	struct ui_mock_ctx *mctx = arg;

	pthread_mutex_lock(&mctx->mock->lock);
	for (u64 page = va >> UI_PAGE_LG2, n = n_bytes >> UI_PAGE_LG2; n; page++, n--) {
		u32 *pins = find_pins(mctx, page, now);

		if (pins)
			*pins += now ? 1u : ~0u;
	}
	pthread_mutex_unlock(&mctx->mock->lock);
}

static void moved(void *arg, u64 old, u64 n_bytes, u64 to)
{
	struct ui_mock_ctx *mctx = arg;

	pthread_mutex_lock(&mctx->mock->lock);
	for (u64 i = 0; i < n_bytes >> UI_PAGE_LG2; i++) {
		u32 *from = find_pins(mctx, (old >> UI_PAGE_LG2) + i, false), *pins;

		pins = from && *from ? find_pins(mctx, (to >> UI_PAGE_LG2) + i, true) : NULL;
		if (!pins)
			continue;
		*pins += *from;
		*from = 0;
	}
	pthread_mutex_unlock(&mctx->mock->lock);
}

void ui_mock_pins_init(struct ui_mock_ctx *mctx)
{
	mctx->watch.pinned = pinned;
	mctx->watch.moved = moved;
}

void ui_mock_pins_fini(struct ui_mock_ctx *mctx)
{
	if (mctx->pins)
		node_free(mctx->pins, N_STEPS - 1);
}

/* Pins of the page of this process at @addr, by all contexts. Under mock->lock. */
static u32 count_at(struct ui_mock *mock, u64 addr)
{
	u32 n = 0;

	ui_list_for_each(item, &mock->contexts) {
		const u32 *pins = find_pins(ui_container_of(item, struct ui_mock_ctx, link), addr >> UI_PAGE_LG2, false);

		n += pins ? *pins : 0;
	}
	return n;
}

/* Pins of the caller's page at @uaddr, which lies in @vma: of shared memory wherever this process has it mapped. */
static u32 count(struct ui_mock *mock, const struct ui_mock_maps *own, const struct ui_mock_vma *vma, u64 uaddr)
{
	u64 offset = vma->offset + (uaddr - vma->start);
	u32 n = 0;

	if (!vma->shared)
		return ui_caller() ? 0 : count_at(mock, uaddr);
	for (size_t i = 0; i < own->n; i++) {
		const struct ui_mock_vma *v = &own->vma[i];

		if (ui_mock_same_file(v, vma) && offset >= v->offset && offset - v->offset < v->end - v->start)
			n += count_at(mock, v->start + (offset - v->offset));
	}
	return n;
}

static int check(struct ui_mock *mock, const struct ui_mock_compare *cmp, u64 uaddr, u64 n_pages, u32 refs)
{
	int ret = 0;

	pthread_mutex_lock(&mock->lock);
	for (; n_pages && !ret; uaddr += UI_PAGE_BYTES, n_pages--) {
		const struct ui_mock_vma *vma = ui_mock_maps_find(&cmp->caller, uaddr);

		if (!vma)
			ret = -EFAULT;
		else if (count(mock, &cmp->own, vma, uaddr) != refs)
			ret = -EIO;
	}
	pthread_mutex_unlock(&mock->lock);
	return ret;
}

long ui_mock_check_refs(struct ui_mock_call *call)
{
	u64 uptr = call->cmd.check_refs.uptr, length = call->cmd.check_refs.length;
	struct ui_mock_compare cmp = { .read = false };
	int ret;

	if (!ui_is_aligned(uptr | length, UI_PAGE_BYTES))
		return -EINVAL;
	if (ui_user_probe(uptr, length, false))
		return -EFAULT;
	ret = ui_mock_maps_read(&cmp.own, false);
	if (!ret)
		ret = ui_mock_maps_read(&cmp.caller, true);
	if (!ret)
		ret = check(call->mctx->mock, &cmp, uptr, length >> UI_PAGE_LG2, call->cmd.check_refs.refs);
	ui_mock_compare_free(&cmp);
	return ret;
}
