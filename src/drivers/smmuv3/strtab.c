/* SPDX-License-Identifier: MIT */
/*
 * The stream table (IHI 0070, 3.3.1, 5.1): linear, or in two levels, of which a second comes with the first device behind it. STEs of
 * devices that are not attached abort; StreamIDs that no device has ever had neighbours for have no STE at all.
 *
 * From stage 1 to stage 2, or to another stage 2, an STE changes in several words that both look at: written in place it would be
 * invalid in between, and accesses that come then would fail. So the leaf is copied, the copy changed, and the level-1 descriptor
 * turned, which is one word. A linear table cannot turn while the SMMU is on: there the STE is invalid for a moment.
 */
#include "drivers/smmuv3/priv.h"

#include "base/bits.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#define LEAF_BYTES ((size_t)UI_SMMUV3_STE_BYTES << UI_SMMUV3_SPLIT)

static bool two_level(const struct ui_smmuv3_drv *drv)
{
	return drv->cfg.feat.st_level && drv->cfg.feat.sidsize > UI_SMMUV3_SPLIT;
}

static void abort_all(u64 *stes, size_t n_bytes)
{
	for (size_t i = 0; i < n_bytes / sizeof(*stes); i += UI_SMMUV3_STE_WORDS)
		ui_smmuv3_make_abort(&stes[i]);
}

/* As many StreamIDs as there are, or as a table of the largest size has. */
int ui_smmuv3_strtab_init(struct ui_smmuv3_drv *drv)
{
	bool two = two_level(drv);
	unsigned most = two ? UI_SMMUV3_L1_MAX_LG2 + UI_SMMUV3_SPLIT : UI_ARENA_CHUNK_LG2 - 6;
	unsigned lg2 = (unsigned)ui_min(drv->cfg.feat.sidsize, most);
	size_t n_bytes = two ? (size_t)UI_SMMUV3_L1STD_BYTES << (lg2 - UI_SMMUV3_SPLIT) : (size_t)UI_SMMUV3_STE_BYTES << lg2;
	u64 cfg = 0;

	drv->strtab_bytes = ui_max(n_bytes, 64);
	drv->strtab = ui_arena_alloc(drv->arena, drv->strtab_bytes);
	if (!drv->strtab)
		return -ENOMEM;
	if (!two)
		abort_all(drv->strtab, n_bytes);
	ui_hw_set(&cfg, UI_SMMUV3_STRTAB_BASE_CFG_LOG2SIZE, lg2);
	ui_hw_set(&cfg, UI_SMMUV3_STRTAB_BASE_CFG_SPLIT, two ? UI_SMMUV3_SPLIT : 0);
	ui_hw_set(&cfg, UI_SMMUV3_STRTAB_BASE_CFG_FMT, two ? UI_SMMUV3_FMT_2LVL : UI_SMMUV3_FMT_LINEAR);
	drv->strtab_cfg = (u32)cfg;
	return 0;
}

static u64 *l1_of(const struct ui_smmuv3_drv *drv, u32 sid)
{
	return &drv->strtab[sid >> UI_SMMUV3_SPLIT];
}

static u64 *leaf_of(const struct ui_smmuv3_drv *drv, const u64 *l1)
{
	return ui_smmuv3_host(drv, ui_hw_get_addr(l1, UI_SMMUV3_L1STD_L2Ptr));
}

void ui_smmuv3_strtab_fini(struct ui_smmuv3_drv *drv)
{
	for (size_t i = 0; two_level(drv) && i < drv->strtab_bytes / sizeof(u64); i++)
		if (drv->strtab[i])
			ui_arena_free(drv->arena, leaf_of(drv, &drv->strtab[i]), LEAF_BYTES);
	ui_arena_free(drv->arena, drv->strtab, drv->strtab_bytes);
}

static u64 *ste_of(const struct ui_smmuv3_drv *drv, u32 sid)
{
	if (!two_level(drv))
		return &drv->strtab[(size_t)sid * UI_SMMUV3_STE_WORDS];
	return leaf_of(drv, l1_of(drv, sid)) + (sid & ui_mask_lg2(UI_SMMUV3_SPLIT)) * UI_SMMUV3_STE_WORDS;
}

/* Release: pairs with the load of whoever reads structures as hardware does. */
static void point_at(const struct ui_smmuv3_drv *drv, u32 sid, const u64 *leaf)
{
	u64 word = 0;

	ui_hw_set(&word, UI_SMMUV3_L1STD_Span, UI_SMMUV3_SPLIT + 1);
	ui_hw_set_addr(&word, UI_SMMUV3_L1STD_L2Ptr, ui_smmuv3_pa(drv, leaf));
	atomic_store_explicit((_Atomic u64 *)l1_of(drv, sid), word, memory_order_release);
}

int ui_smmuv3_ste_make(struct ui_smmuv3_drv *drv, u32 sid)
{
	u64 *leaf;

	if (!two_level(drv) || *l1_of(drv, sid))
		return 0;
	leaf = ui_arena_alloc(drv->arena, LEAF_BYTES);
	if (!leaf)
		return -ENOMEM;
	abort_all(leaf, LEAF_BYTES);
	point_at(drv, sid, leaf);
	/* That there was none may be known by heart (3.21.2). */
	ui_smmuv3_cfgi_ste(drv, sid, false);
	return 0;
}

static void ste_sync(void *arg)
{
	struct ui_smmuv3_client *client = arg;

	ui_smmuv3_cfgi_ste(client->drv, client->sid, true);
}

static void ste_stored(void *arg)
{
	struct ui_smmuv3_client *client = arg;

	if (client->drv->cfg.stored)
		client->drv->cfg.stored(client->drv->cfg.arg);
}

/* False: no memory, or nothing that could turn, and nothing changed. */
static bool turn(struct ui_smmuv3_client *client, const u64 *ste)
{
	struct ui_smmuv3_drv *drv = client->drv;
	u64 *old, *new;

	if (!two_level(drv))
		return false;
	new = ui_arena_alloc(drv->arena, LEAF_BYTES);
	if (!new)
		return false;
	old = leaf_of(drv, l1_of(drv, client->sid));
	memcpy(new, old, LEAF_BYTES);
	memcpy(new + (ste_of(drv, client->sid) - old), ste, UI_SMMUV3_STE_BYTES);
	point_at(drv, client->sid, new);
	ste_stored(client);
	/* The old leaf may be known by heart for any StreamID behind it. */
	ui_smmuv3_cfgi_all(drv);
	ui_arena_free(drv->arena, old, LEAF_BYTES);
	return true;
}

const u64 *ui_smmuv3_ste_find(const struct ui_smmuv3_client *client)
{
	return ste_of(client->drv, client->sid);
}

void ui_smmuv3_ste_install(struct ui_smmuv3_client *client, const u64 *ste)
{
	const struct ui_smmuv3_writer writer = {
		.used = ui_smmuv3_ste_used, .safe = ui_smmuv3_ste_safe, .sync = ste_sync, .stored = ste_stored, .arg = client,
	};
	u64 *entry = ste_of(client->drv, client->sid);

	if (!ui_smmuv3_entry_breaks(&writer, entry, ste) || !turn(client, ste))
		ui_smmuv3_entry_write(&writer, entry, ste);
	client->in_ste = ui_hw_get(ste, UI_SMMUV3_STE_Config) == UI_SMMUV3_CONFIG_S1;
}
