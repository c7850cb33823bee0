/* SPDX-License-Identifier: MIT */
/*
 * Attach, replace and detach (D2 to D5, D9, D10). What a device may have at once is what Linux's driver lets it have:
 *
 *   without PASID    PASIDs may come   with PASIDs attached
 *   blocked          yes               CD table, S1DSS terminates; an abort STE again when the last is gone
 *   identity         yes               CD table, S1DSS bypasses; a bypass STE again when the last is gone
 *   stage 1          yes               CD table, S1DSS is substream 0: CD 0
 *   stage 2          -EINVAL           -EBUSY: an STE that translates with stage 2 has no CD table of ours
 *
 * Order: the domain's users are counted before anything leads there, so that no unmap is missed; whoever loses its last user is
 * flushed when nothing leads there any more, so that a tag without users is in no TLB.
 */
#include "drivers/smmuv3/priv.h"

#include "base/bits.h"

#include <errno.h>

static bool translates(const struct ui_domain *domain)
{
	return domain && ui_domain_kind(domain) == UI_DOMAIN_PAGING;
}

static struct ui_smmuv3_dom *dom_of(const struct ui_domain *domain)
{
	return translates(domain) ? ui_domain_priv(domain) : NULL;
}

static void put(struct ui_smmuv3_dom *dom)
{
	if (dom && !--dom->n_users)
		ui_smmuv3_tlbi_all(dom);
}

/* The STE as the client's attachments want it. */
static void make_ste(const struct ui_smmuv3_client *client, u64 *ste)
{
	const struct ui_smmuv3_dom *dom = dom_of(client->domain);
	bool identity = client->domain && ui_domain_kind(client->domain) == UI_DOMAIN_IDENTITY;

	if (dom && dom->stage == 2)
		ui_smmuv3_make_s2(dom, ste);
	else if (dom)
		ui_smmuv3_make_s1(client, UI_SMMUV3_S1DSS_SSID0, ste);
	else if (client->n_ssids)
		ui_smmuv3_make_s1(client, identity ? UI_SMMUV3_S1DSS_BYPASS : UI_SMMUV3_S1DSS_TERMINATE, ste);
	else if (identity)
		ui_smmuv3_make_bypass(client->drv, ste);
	else
		ui_smmuv3_make_abort(ste);
}

static void install_ste(struct ui_smmuv3_client *client)
{
	u64 ste[UI_SMMUV3_STE_WORDS];

	make_ste(client, ste);
	ui_smmuv3_ste_install(client, ste);
}

static void install_cd(struct ui_smmuv3_client *client, u32 ssid, const struct ui_smmuv3_dom *dom)
{
	u64 cd[UI_SMMUV3_CD_WORDS] = { 0 };

	if (dom)
		ui_smmuv3_make_cd(dom, cd);
	ui_smmuv3_cd_install(client, ssid, cd);
}

static int attach_rid(struct ui_smmuv3_client *client, struct ui_domain *domain)
{
	struct ui_smmuv3_dom *dom = dom_of(domain), *old = dom_of(client->domain);

	if (dom && dom->stage == 2 && client->n_ssids)
		return -EBUSY;
	if (dom && dom->stage == 1 && !ui_smmuv3_cd_get(client, 0))
		return -ENOMEM;
	if (dom)
		dom->n_users++;
	if (dom && dom->stage == 1)
		install_cd(client, 0, dom);
	client->domain = domain;
	install_ste(client);
	if ((!dom || dom->stage == 2) && ui_smmuv3_cd_find(client, 0))
		install_cd(client, 0, NULL);
	put(old);
	return 0;
}

/* The domain of a PASID, which its CD tells; NULL: none. */
static struct ui_smmuv3_dom *dom_of_ssid(const struct ui_smmuv3_client *client, u32 ssid)
{
	const u64 *cd = ui_smmuv3_cd_find(client, ssid);

	if (!cd || !ui_hw_get(cd, UI_SMMUV3_CD_V))
		return NULL;
	return ui_ids_find(&client->drv->asids, (u32)ui_hw_get(cd, UI_SMMUV3_CD_ASID));
}

static void detach_ssid(struct ui_smmuv3_client *client, u32 ssid)
{
	struct ui_smmuv3_dom *old = dom_of_ssid(client, ssid);

	if (!old)
		return;
	install_cd(client, ssid, NULL);
	if (!--client->n_ssids && !translates(client->domain))
		install_ste(client);
	put(old);
}

static int attach_ssid(struct ui_smmuv3_client *client, u32 ssid, struct ui_domain *domain)
{
	struct ui_smmuv3_dom *dom = dom_of(domain), *old;

	/* Stage 1 is what a CD can say, and nothing else: no identity either. */
	if (!dom)
		return -EOPNOTSUPP;
	if (dom->stage == 2 || (!client->in_ste && translates(client->domain)))
		return -EINVAL;
	if (!ui_smmuv3_cd_get(client, ssid))
		return -ENOMEM;
	old = dom_of_ssid(client, ssid);
	dom->n_users++;
	install_cd(client, ssid, dom);
	if (!old)
		client->n_ssids++;
	if (!client->in_ste)
		install_ste(client);
	put(old);
	return 0;
}

int ui_smmuv3_attach(struct ui_device *dev, u32 pasid, bool has_pasid, struct ui_domain *domain)
{
	struct ui_smmuv3_client *client = ui_device_half(dev);
	bool blocked = !domain || ui_domain_kind(domain) == UI_DOMAIN_BLOCKED;
	int ret = 0;

	/* CD 0 is that of accesses without PASID (D4). */
	if (has_pasid && (!pasid || pasid >> client->ssid_bits))
		return blocked ? 0 : -EINVAL;
	pthread_mutex_lock(&client->drv->lock);
	if (!has_pasid)
		ret = attach_rid(client, blocked ? NULL : domain);
	else if (blocked)
		detach_ssid(client, pasid);
	else
		ret = attach_ssid(client, pasid, domain);
	pthread_mutex_unlock(&client->drv->lock);
	return ret;
}
