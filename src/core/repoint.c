/* SPDX-License-Identifier: MIT */
/* Pages move under live mappings: the gate, and new output addresses for a range behind it. */
#include "core/internal.h"

#include <errno.h>

int ui_domain_gate_close(struct ui_domain *domain)
{
	struct ui_tr *tr = domain->iommu->tr;

	ui_assert(domain->kind == UI_DOMAIN_PAGING);
	if (ui_domain_self_inside(domain))
		return -EDEADLK;
	pthread_mutex_lock(&domain->lock);
	ui_assert(!domain->gated);
	domain->gated = true;
	ui_tr_gate_close(tr, &domain->cfg);
	ui_list_for_each(item, &domain->nested)
		ui_tr_gate_close(tr, &ui_container_of(item, struct ui_domain, link)->cfg);
	return 0;
}

void ui_domain_gate_open(struct ui_domain *domain)
{
	struct ui_tr *tr = domain->iommu->tr;

	ui_assert(domain->gated);
	ui_list_for_each(item, &domain->nested)
		ui_tr_gate_open(tr, &ui_container_of(item, struct ui_domain, link)->cfg);
	ui_tr_gate_open(tr, &domain->cfg);
	domain->gated = false;
	pthread_mutex_unlock(&domain->lock);
}

int ui_domain_repoint(struct ui_domain *domain, u64 start, u64 last, u64 pa)
{
	int ret;

	ui_assert(domain->kind == UI_DOMAIN_PAGING && domain->gated);
	if (start < domain->start || last > domain->last)
		return -ERANGE;
	ret = domain->pt.ops->repoint(&domain->pt, start, last, pa);
	if (!ret)
		ui_domain_flush(domain, start, last);
	return ret;
}
