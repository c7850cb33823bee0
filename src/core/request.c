/* SPDX-License-Identifier: MIT */
/*
 * Page requests on their way from a device to the handler of what is attached, and answers on their way back.
 *
 * A request looks its attachment up and hands itself over under group->requests; an attach or detach changes the slot under the same
 * lock. So once the slot has changed nothing reaches the old domain's handler any more, and `detached` finds all there is. Requests
 * are raised outside DMA sections: nobody waits for one with the lock held.
 */
#include "core/request.h"
#include "core/internal.h"

void ui_device_set_page_answer(struct ui_device *dev, ui_page_answer_fn fn, void *arg)
{
	dev->answer_fn = fn;
	dev->answer_arg = arg;
}

void ui_device_set_user(struct ui_device *dev, void *user)
{
	pthread_mutex_lock(&dev->group->requests);
	dev->user = user;
	pthread_mutex_unlock(&dev->group->requests);
}

void *ui_device_user(const struct ui_device *dev)
{
	return dev->user;
}

void ui_domain_set_page_handler(struct ui_domain *domain, const struct ui_page_handler *handler)
{
	domain->page_handler = handler;
}

const struct ui_page_handler *ui_domain_page_handler(const struct ui_domain *domain)
{
	return domain->page_handler;
}

/* Under group->requests: the domain that the request goes to, or NULL. */
static struct ui_domain *find_domain(struct ui_page_request *request)
{
	struct ui_device *dev = request->dev;
	struct ui_domain *domain = ui_group_domain(dev->group, request->pasid, request->has_pasid);

	request->at_pasid = request->pasid;
	request->at_has_pasid = request->has_pasid;
	if (domain || !request->has_pasid || !dev->iommu->driver->user_pasids)
		return domain;
	/* A nested domain without PASID brings the table of all PASIDs with it. */
	request->at_pasid = 0;
	request->at_has_pasid = false;
	domain = ui_group_domain(dev->group, 0, false);
	return domain && domain->kind == UI_DOMAIN_NESTED ? domain : NULL;
}

void ui_device_page_request(const struct ui_page_request *given)
{
	struct ui_page_request request = *given;
	struct ui_group *group = request.dev->group;
	const struct ui_page_handler *handler;
	struct ui_domain *domain;
	bool taken;

	pthread_mutex_lock(&group->requests);
	domain = find_domain(&request);
	handler = domain ? domain->page_handler : NULL;
	taken = handler && !handler->report(handler->arg, &request);
	pthread_mutex_unlock(&group->requests);
	/* A group is answered once: by its last request. */
	if (!taken && request.last)
		ui_device_page_answer(request.dev, request.pasid, request.has_pasid, request.group, UI_PAGE_INVALID);
}

void ui_device_page_answer(struct ui_device *dev, u32 pasid, bool has_pasid, u32 group, enum ui_page_response code)
{
	if (dev->answer_fn)
		dev->answer_fn(dev->answer_arg, pasid, has_pasid, group, code);
}

void ui_group_detached(struct ui_group *group, u32 pasid, bool has_pasid, const struct ui_page_handler *handler)
{
	if (!handler)
		return;
	ui_list_for_each(item, &group->devices)
		handler->detached(handler->arg, ui_container_of(item, struct ui_device, group_link), pasid, has_pasid);
}
