/* SPDX-License-Identifier: MIT */
/*
 * The CD table of a client (IHI 0070, 3.3.2, 5.3): linear where one leaf would do or the SMMU has no two levels, else in two levels.
 * Table and leaves come with their first use.
 *
 * A CD that becomes another changes its ASID and its table at once, which are two words: written in place it would be
 * invalid in between, and accesses that come then would fail. So the leaf (or the linear table) is copied, the copy changed,
 * and the one word that points there turned: whoever reads finds the old CD or the new one.
 */
#include "drivers/smmuv3/priv.h"

#include "base/bits.h"

#include <stdatomic.h>
#include <string.h>

void ui_smmuv3_cdtab_shape(struct ui_smmuv3_client *client)
{
	const struct ui_smmuv3_drv_cfg *cfg = &client->drv->cfg;

	client->leaf_lg2 = 0;
	if (!cfg->feat.cd2l)
		client->ssid_bits = (u8)ui_min(client->ssid_bits, UI_SMMUV3_LINEAR_CD_LG2);
	else if (client->ssid_bits > cfg->cd_leaf_lg2)
		client->leaf_lg2 = cfg->cd_leaf_lg2;
}

/* Of the whole linear table, or of a leaf. */
static size_t block_bytes(const struct ui_smmuv3_client *client)
{
	return (size_t)UI_SMMUV3_CD_BYTES << (client->leaf_lg2 ? client->leaf_lg2 : client->ssid_bits);
}

/* What the STE points at; to be aligned to 64 bytes at least. */
static size_t top_bytes(const struct ui_smmuv3_client *client)
{
	if (!client->leaf_lg2)
		return block_bytes(client);
	return ui_max((size_t)UI_SMMUV3_L1CD_BYTES << (client->ssid_bits - client->leaf_lg2), 64);
}

static u64 *leaf_of(const struct ui_smmuv3_client *client, const u64 *l1cd)
{
	return *l1cd ? ui_smmuv3_host(client->drv, ui_hw_get_addr(l1cd, UI_SMMUV3_L1CD_L2Ptr)) : NULL;
}

/* Release: pairs with the load of whoever reads structures as hardware does. */
static void point_at(const struct ui_smmuv3_client *client, u64 *l1cd, const u64 *leaf)
{
	u64 word = 0;

	ui_hw_set(&word, UI_SMMUV3_L1CD_V, 1);
	ui_hw_set_addr(&word, UI_SMMUV3_L1CD_L2Ptr, ui_smmuv3_pa(client->drv, leaf));
	atomic_store_explicit((_Atomic u64 *)l1cd, word, memory_order_release);
}

void ui_smmuv3_cdtab_fini(struct ui_smmuv3_client *client)
{
	struct ui_arena *arena = client->drv->arena;

	if (!client->cds)
		return;
	for (u32 i = 0; client->leaf_lg2 && i < 1u << (client->ssid_bits - client->leaf_lg2); i++)
		if (client->cds[i])
			ui_arena_free(arena, leaf_of(client, &client->cds[i]), block_bytes(client));
	ui_arena_free(arena, client->cds, top_bytes(client));
	client->cds = NULL;
}

u64 *ui_smmuv3_cd_find(const struct ui_smmuv3_client *client, u32 ssid)
{
	u64 *block = client->cds;

	if (block && client->leaf_lg2)
		block = leaf_of(client, &client->cds[ssid >> client->leaf_lg2]);
	if (!block)
		return NULL;
	return &block[(client->leaf_lg2 ? ssid & ui_mask_lg2(client->leaf_lg2) : ssid) * UI_SMMUV3_CD_WORDS];
}

u64 *ui_smmuv3_cd_get(struct ui_smmuv3_client *client, u32 ssid)
{
	struct ui_arena *arena = client->drv->arena;
	u64 *l1cd, *leaf;

	if (!client->cds)
		client->cds = ui_arena_alloc(arena, top_bytes(client));
	if (!client->cds)
		return NULL;
	if (client->leaf_lg2) {
		l1cd = &client->cds[ssid >> client->leaf_lg2];
		if (!*l1cd) {
			leaf = ui_arena_alloc(arena, block_bytes(client));
			if (!leaf)
				return NULL;
			point_at(client, l1cd, leaf);
			/* That there was none may be known by heart (3.21.2). */
			ui_smmuv3_cfgi_cd(client->drv, client->sid, ssid, false);
		}
	}
	return ui_smmuv3_cd_find(client, ssid);
}

struct cd_sync {
	struct ui_smmuv3_client *client;
	u32 ssid;
};

static void cd_sync(void *arg)
{
	const struct cd_sync *s = arg;

	ui_smmuv3_cfgi_cd(s->client->drv, s->client->sid, s->ssid, true);
}

static void cd_stored(void *arg)
{
	const struct cd_sync *s = arg;

	if (s->client->drv->cfg.stored)
		s->client->drv->cfg.stored(s->client->drv->cfg.arg);
}

/* False: no memory, and nothing changed. */
static bool turn(struct ui_smmuv3_client *client, u32 ssid, const u64 *cd)
{
	u64 *l1cd = client->leaf_lg2 ? &client->cds[ssid >> client->leaf_lg2] : NULL;
	u64 *old = l1cd ? leaf_of(client, l1cd) : client->cds, ste[UI_SMMUV3_STE_WORDS];
	u64 *new = ui_arena_alloc(client->drv->arena, block_bytes(client));
	struct cd_sync where = { .client = client };

	if (!new)
		return false;
	memcpy(new, old, block_bytes(client));
	memcpy(new + (ui_smmuv3_cd_find(client, ssid) - old), cd, UI_SMMUV3_CD_BYTES);
	if (l1cd) {
		point_at(client, l1cd, new);
		cd_stored(&where);
		ui_smmuv3_cfgi_cd_all(client->drv, client->sid);
	} else {
		memcpy(ste, ui_smmuv3_ste_find(client), sizeof(ste));
		ui_hw_set_addr(ste, UI_SMMUV3_STE_S1ContextPtr, ui_smmuv3_pa(client->drv, new));
		client->cds = new;
		ui_smmuv3_ste_install(client, ste);
	}
	ui_arena_free(client->drv->arena, old, block_bytes(client));
	return true;
}

void ui_smmuv3_cd_install(struct ui_smmuv3_client *client, u32 ssid, const u64 *cd)
{
	struct cd_sync where = { .client = client, .ssid = ssid };
	const struct ui_smmuv3_writer writer = {
		.used = ui_smmuv3_cd_used, .sync = cd_sync, .stored = cd_stored, .arg = &where,
	};
	u64 *slot = ui_smmuv3_cd_find(client, ssid);

	if (!client->in_ste || !ui_smmuv3_entry_breaks(&writer, slot, cd) || !turn(client, ssid, cd))
		ui_smmuv3_entry_write(&writer, slot, cd);
}
