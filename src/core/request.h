/* SPDX-License-Identifier: MIT */
/*
 * Page requests: recoverable faults that a device reports and somebody answers. A request goes to the handler of the domain that is
 * attached where the device met the fault; each group of requests is answered once, by its last one.
 */
#ifndef UI_CORE_REQUEST_H
#define UI_CORE_REQUEST_H

#include "core/domain.h"

struct ui_page_request {
	struct ui_device *dev;
	u32 pasid;
	bool has_pasid;
	bool last;     /* of its group */
	u32 group;     /* the device's number for it */
	u32 access;    /* UI_PROT_* */
	u64 iova;
	/* For the handler, set by core: the attachment it went by. Not the request's own PASID where a nested domain without PASID owns
	 * the table of PASIDs. */
	u32 at_pasid;
	bool at_has_pasid;
};

/* Values as on the wire of iommufd and of PCI's responses. */
enum ui_page_response { UI_PAGE_SUCCESS, UI_PAGE_INVALID };

/* A device's answer function: the group is done. Any thread; the end of the device and of its attachment waits for it. So it must not
 * attach, detach or ask what is attached; it may raise the next request. */
typedef void (*ui_page_answer_fn)(void *arg, u32 pasid, bool has_pasid, u32 group, enum ui_page_response code);
/* Who hears the answers to the requests of @dev; NULL: nobody. Set before the first request. */
void ui_device_set_page_answer(struct ui_device *dev, ui_page_answer_fn fn, void *arg);

/* What the owner of the device knows it by, for its page handlers: constant while one of them reports. NULL: nobody's. Not from a
 * handler. */
void ui_device_set_user(struct ui_device *dev, void *user);
void *ui_device_user(const struct ui_device *dev);

/* What takes the requests for a domain. @report may be called by several threads. */
struct ui_page_handler {
	/* 0: taken, ui_device_page_answer() follows for each group once its last request came; negative: not taken, core answers INVALID
	 * if it is the last of its group, whose others are forgotten. Short, and without a call back into the device's group. */
	int (*report)(void *arg, const struct ui_page_request *request);
	/* The attachment of @dev (with @pasid) ends or is replaced: groups outstanding are answered INVALID by the handler before this
	 * returns, and forgotten. */
	void (*detached)(void *arg, struct ui_device *dev, u32 pasid, bool has_pasid);
	void *arg;
};
/* Set before the domain is attached anywhere; NULL: none (requests are answered INVALID). @handler outlives the domain. */
void ui_domain_set_page_handler(struct ui_domain *domain, const struct ui_page_handler *handler);
const struct ui_page_handler *ui_domain_page_handler(const struct ui_domain *domain);

/* From a device, outside sections: never waits for the answer, which may come before this returns. */
void ui_device_page_request(const struct ui_page_request *request);
/* From a handler. */
void ui_device_page_answer(struct ui_device *dev, u32 pasid, bool has_pasid, u32 group, enum ui_page_response code);

#endif
