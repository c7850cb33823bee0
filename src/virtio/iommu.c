/* SPDX-License-Identifier: MIT */
/* The device as an object: configuration, endpoints, which of them is in which domain. */
#include "virtio/iommu.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "base/log.h"
#include "core/driver.h"
#include "virtio/iommu_priv.h"

#include <errno.h>
#include <string.h>

enum { TYPE_IOMMU = 23 };
enum { N_RESV_ROOM = 512 };

/* 5.13.4, little endian. */
struct config {
	u64 page_sizes;
	u64 input_start, input_last;
	u32 domain_first, domain_last;
	u32 probe_bytes;
	u8 bypass;
	u8 reserved[3];
};
_Static_assert(sizeof(struct config) == 40 && offsetof(struct config, bypass) == 36, "5.13.4");

/* ---- What is where ---- */

struct viommu_endpoint *ui_viommu_endpoint(const struct ui_virtio_iommu *vi, u32 id)
{
	struct ui_ivl_item item;

	return ui_ivl_meets(&vi->endpoints, id, id, &item) ? item.ptr : NULL;
}

struct viommu_domain *ui_viommu_domain(const struct ui_virtio_iommu *vi, u32 id)
{
	struct ui_ivl_item item;

	return ui_ivl_meets(&vi->domains, id, id, &item) ? item.ptr : NULL;
}

/* Endpoints without a domain bypass (5.13.6). The field counts whatever the driver accepted. */
static bool unattached_bypass(const struct ui_virtio_iommu *vi)
{
	if (vi->cfg.features & UI_BIT(UI_VIOMMU_F_BYPASS_CONFIG))
		return vi->bypass;
	return ui_virtio_has(&vi->v, UI_VIOMMU_F_BYPASS);
}

/* The state of an endpoint without a domain. 0; -ENOMEM, -EDEADLK: nothing is changed. */
static int let_go(struct ui_virtio_iommu *vi, struct viommu_endpoint *ep)
{
	if (unattached_bypass(vi))
		return ui_device_attach(ep->dev, 0, false, ui_domain_identity(ui_device_iommu(ep->dev)), true, NULL);
	return ui_device_detach(ep->dev, 0, false);
}

/* As let_go() where nobody can be told of an error: without memory the endpoint is blocked, which is safe. */
static void let_go_surely(struct ui_virtio_iommu *vi, struct viommu_endpoint *ep)
{
	int ret = let_go(vi, ep);

	if (!ret)
		return;
	ret = ui_device_detach(ep->dev, 0, false);
	ui_log(UI_LOG_WARN, "virtio-iommu: endpoint %#x cannot bypass, and is %s", ep->id, ret ? "as it was" : "blocked");
}

/* ---- Domains ---- */

static void domain_destroy(struct viommu_domain *domain)
{
	ui_list_for_each_safe(item, &domain->spaces)
		ui_viommu_space_destroy(ui_container_of(item, struct viommu_space, link));
	ui_free(domain);
}

/* In nobody's hands yet but the caller's. */
static int domain_create(const struct ui_virtio_iommu *vi, struct viommu_endpoint *ep, u32 id, bool bypass, struct viommu_domain **out)
{
	struct viommu_domain *domain = ui_zalloc(sizeof(*domain));
	struct viommu_space *space;
	int ret;

	if (!domain)
		return -ENOMEM;
	domain->id = id;
	domain->bypass = bypass;
	domain->iommu = ui_device_iommu(ep->dev);
	ui_list_init(&domain->endpoints);
	ui_list_init(&domain->spaces);
	if (!bypass) {
		ret = ui_viommu_space_create(&vi->cfg, ep->dev, 0, false, &space);
		if (ret) {
			ui_free(domain);
			return ret;
		}
		ui_list_add_tail(&domain->spaces, &space->link);
	}
	*out = domain;
	return 0;
}

/* The endpoint's core attachment is another already. With its last endpoint a domain ceases to exist. */
static void leave(struct ui_virtio_iommu *vi, struct viommu_endpoint *ep)
{
	struct viommu_domain *domain = ep->domain;

	if (!domain)
		return;
	ep->domain = NULL;
	ui_list_del(&ep->link);
	if (!ui_list_empty(&domain->endpoints))
		return;
	ui_ivl_erase(&vi->domains, domain->id);
	domain_destroy(domain);
}

static int enter(struct viommu_endpoint *ep, struct viommu_domain *domain)
{
	struct viommu_space *space = ui_viommu_space_find(domain, 0, false);
	struct ui_domain *to = space ? space->table : ui_domain_identity(domain->iommu);
	int ret = ui_device_attach(ep->dev, 0, false, to, true, domain);

	/* Core says so when the domain is of another iommu, with other tables: the status for that is UNSUPP. */
	return ret == -EINVAL ? -EOPNOTSUPP : ret;
}

int ui_viommu_attach(struct ui_virtio_iommu *vi, struct viommu_endpoint *ep, u32 id, bool bypass)
{
	struct viommu_domain *domain = ui_viommu_domain(vi, id);
	bool is_new = !domain;
	int ret;

	if (domain && domain->bypass != bypass)
		return -EINVAL;
	if (domain && ep->domain == domain)
		return 0;
	if (is_new) {
		ret = domain_create(vi, ep, id, bypass, &domain);
		if (ret)
			return ret;
		ret = ui_ivl_insert(&vi->domains, id, id, domain);
		if (ret) {
			domain_destroy(domain);
			return ret;
		}
	}
	ret = enter(ep, domain);
	if (ret && is_new) {
		ui_ivl_erase(&vi->domains, id);
		domain_destroy(domain);
	}
	if (ret)
		return ret;
	leave(vi, ep);
	ep->domain = domain;
	ui_list_add_tail(&domain->endpoints, &ep->link);
	return 0;
}

int ui_viommu_detach(struct ui_virtio_iommu *vi, struct viommu_endpoint *ep)
{
	int ret = let_go(vi, ep);

	if (!ret)
		leave(vi, ep);
	return ret;
}

/* ---- The model ---- */

static void config_read(struct ui_virtio *v, u32 offset, void *buf, u32 n_bytes)
{
	const struct ui_virtio_iommu *vi = ui_viommu_of(v);
	const struct config config = {
		.page_sizes = vi->cfg.page_sizes,
		.input_start = vi->cfg.input_start,
		.input_last = vi->cfg.input_last,
		.domain_first = vi->cfg.domain_first,
		.domain_last = vi->cfg.domain_last,
		.probe_bytes = vi->cfg.features & UI_BIT(UI_VIOMMU_F_PROBE) ? vi->cfg.probe_bytes : 0,
		.bypass = vi->bypass,
	};

	memcpy(buf, (const u8 *)&config + offset, n_bytes);
}

/* Every endpoint without a domain goes by what holds now. */
static void unattached_changed(struct ui_virtio_iommu *vi)
{
	struct ui_ivl_item item = { 0 };

	for (bool more = ui_ivl_first(&vi->endpoints, 0, &item); more; more = ui_ivl_next(&vi->endpoints, &item)) {
		struct viommu_endpoint *ep = item.ptr;

		if (!ep->domain)
			let_go_surely(vi, ep);
	}
}

/* 5.13.4: the field `bypass`, to 0 or 1, by a driver that knows it; all else is ignored. */
static void config_write(struct ui_virtio *v, u32 offset, const void *buf, u32 n_bytes)
{
	struct ui_virtio_iommu *vi = ui_viommu_of(v);
	const u32 at = offsetof(struct config, bypass);
	u8 val;

	if (!ui_virtio_has(v, UI_VIOMMU_F_BYPASS_CONFIG) || offset > at || offset + n_bytes <= at)
		return;
	val = ((const u8 *)buf)[at - offset];
	if (val > 1 || val == vi->bypass)
		return;
	vi->bypass = val;
	unattached_changed(vi);
}

static void negotiated(struct ui_virtio *v)
{
	/* The deprecated bypass begins here. */
	if (ui_virtio_has(v, UI_VIOMMU_F_BYPASS))
		unattached_changed(ui_viommu_of(v));
}

/* 5.13.5: no endpoint is attached; the field `bypass` stays. */
static void reset(struct ui_virtio *v)
{
	struct ui_virtio_iommu *vi = ui_viommu_of(v);
	struct ui_ivl_item item = { 0 };

	for (bool more = ui_ivl_first(&vi->endpoints, 0, &item); more; more = ui_ivl_next(&vi->endpoints, &item)) {
		let_go_surely(vi, item.ptr);
		leave(vi, item.ptr);
	}
	ui_viommu_drop_events(vi);
}

static unsigned serve(struct ui_virtio *v, unsigned n, unsigned budget)
{
	struct ui_virtio_iommu *vi = ui_viommu_of(v);

	return n == VIOMMU_REQUESTS ? ui_viommu_serve_requests(vi, &v->queues[n], budget) : ui_viommu_serve_events(vi, &v->queues[n], budget);
}

static bool wants(struct ui_virtio *v, unsigned n)
{
	return ui_viommu_has_events(ui_viommu_of(v));
}

static const struct ui_virtio_model model = {
	.name = "iommu",
	.type = TYPE_IOMMU,
	.n_queues = VIOMMU_N_QUEUES,
	.config_bytes = sizeof(struct config),
	.config_read = config_read,
	.config_write = config_write,
	.negotiated = negotiated,
	.reset = reset,
	.serve = serve,
	.own_queues = 1u << VIOMMU_EVENTS,
	.wants = wants,
};

/* ---- For the embedder ---- */

void ui_virtio_iommu_cfg_init(struct ui_virtio_iommu_cfg *cfg)
{
	*cfg = (struct ui_virtio_iommu_cfg){
		.features = UI_BIT(UI_VIOMMU_F_INPUT_RANGE) | UI_BIT(UI_VIOMMU_F_DOMAIN_RANGE) | UI_BIT(UI_VIOMMU_F_MAP_UNMAP) |
			    UI_BIT(UI_VIOMMU_F_PROBE) | UI_BIT(UI_VIOMMU_F_MMIO) | UI_BIT(UI_VIOMMU_F_BYPASS_CONFIG),
		.page_sizes = UI_BIT(12) | UI_BIT(21) | UI_BIT(30),
		.input_last = ui_mask_lg2(48),
		.domain_last = ~(u32)0,
		.probe_bytes = N_RESV_ROOM,
		.bypass = true,
		.phys_last = ui_mask_lg2(51),
		.queue_max = { 256, 64 },
	};
}

static bool cfg_is_good(const struct ui_virtio_iommu_cfg *cfg)
{
	const u64 both = UI_BIT(UI_VIOMMU_F_BYPASS) | UI_BIT(UI_VIOMMU_F_BYPASS_CONFIG);
	bool whole_input = !cfg->input_start && cfg->input_last == ~(u64)0;
	bool whole_domains = !cfg->domain_first && cfg->domain_last == ~(u32)0;

	if ((cfg->features >> (UI_VIOMMU_F_BYPASS_CONFIG + 1)) || (cfg->features & both) == both || !cfg->page_sizes)
		return false;
	if (cfg->input_start > cfg->input_last || cfg->domain_first > cfg->domain_last || cfg->probe_bytes > 65536)
		return false;
	return (whole_input || (cfg->features & UI_BIT(UI_VIOMMU_F_INPUT_RANGE))) &&
	       (whole_domains || (cfg->features & UI_BIT(UI_VIOMMU_F_DOMAIN_RANGE)));
}

int ui_virtio_iommu_create(const struct ui_virtio_iommu_cfg *cfg, struct ui_dma *port, struct ui_virtio_iommu **out)
{
	struct ui_virtio_iommu *vi;
	int ret;

	if (!cfg_is_good(cfg))
		return -EINVAL;
	vi = ui_zalloc(sizeof(*vi));
	if (!vi)
		return -ENOMEM;
	ret = ui_virtio_init(&vi->v, &model, cfg->features, port, cfg->queue_max);
	if (ret) {
		ui_free(vi);
		return ret;
	}
	vi->cfg = *cfg;
	vi->bypass = (cfg->features & UI_BIT(UI_VIOMMU_F_BYPASS_CONFIG)) && cfg->bypass;
	pthread_mutex_init(&vi->events_lock, NULL);
	*out = vi;
	return 0;
}

void ui_virtio_iommu_destroy(struct ui_virtio_iommu *vi)
{
	struct ui_ivl_item item;

	if (!vi)
		return;
	while (ui_ivl_first(&vi->endpoints, 0, &item))
		ui_virtio_iommu_remove(vi, (u32)item.start);
	ui_ivl_fini(&vi->endpoints);
	ui_ivl_fini(&vi->domains);
	ui_ivl_fini(&vi->rids);
	pthread_mutex_destroy(&vi->events_lock);
	ui_virtio_fini(&vi->v);
	ui_free(vi);
}

struct ui_virtio *ui_virtio_iommu_device(struct ui_virtio_iommu *vi)
{
	return &vi->v;
}

/* Can paging domains for @dev do what the configuration promises? Tried with one. */
static int check_device(const struct ui_virtio_iommu *vi, struct ui_device *dev)
{
	struct ui_domain *domain;
	u64 start, last;
	bool good;
	int ret = ui_domain_create_paging(dev, 0, NULL, &domain);

	if (ret)
		return ret == -ENOMEM ? ret : -EINVAL;
	ui_domain_aperture(domain, &start, &last);
	good = start <= vi->cfg.input_start && last >= vi->cfg.input_last &&
	       ui_ffs64(ui_domain_page_sizes(domain)) <= ui_ffs64(vi->cfg.page_sizes);
	ui_domain_destroy(domain);
	return good ? 0 : -EINVAL;
}

/* Both indexes know it, or none. */
static int index_endpoint(struct ui_virtio_iommu *vi, struct viommu_endpoint *ep)
{
	u32 rid = ui_device_rid(ep->dev);
	int ret = ui_ivl_insert(&vi->endpoints, ep->id, ep->id, ep);

	if (ret)
		return ret;
	pthread_mutex_lock(&vi->events_lock);
	ret = ui_ivl_insert(&vi->rids, rid, rid, ep);
	pthread_mutex_unlock(&vi->events_lock);
	if (ret)
		ui_ivl_erase(&vi->endpoints, ep->id);
	return ret;
}

static void unindex_endpoint(struct ui_virtio_iommu *vi, struct viommu_endpoint *ep)
{
	pthread_mutex_lock(&vi->events_lock);
	ui_ivl_erase(&vi->rids, ui_device_rid(ep->dev));
	pthread_mutex_unlock(&vi->events_lock);
	ui_ivl_erase(&vi->endpoints, ep->id);
}

/* Devices of a group are attached together: as endpoints of their own they would lie. */
static bool shares_group(const struct ui_virtio_iommu *vi, const struct viommu_endpoint *ep)
{
	struct ui_ivl_item item = { 0 };

	for (bool more = ui_ivl_first(&vi->endpoints, 0, &item); more; more = ui_ivl_next(&vi->endpoints, &item)) {
		const struct viommu_endpoint *other = item.ptr;

		if (other != ep && ui_device_same_group(other->dev, ep->dev))
			return true;
	}
	return false;
}

/* The endpoint is in the indexes when its device first has an answer. */
static int add_locked(struct ui_virtio_iommu *vi, struct viommu_endpoint *ep)
{
	int ret = index_endpoint(vi, ep);

	if (ret)
		return ret;
	ret = shares_group(vi, ep) || ui_device_attached(ep->dev, 0, false, NULL) ? -EBUSY : let_go(vi, ep);
	if (ret)
		unindex_endpoint(vi, ep);
	return ret;
}

int ui_virtio_iommu_add(struct ui_virtio_iommu *vi, u32 id, struct ui_device *dev)
{
	struct viommu_endpoint *ep;
	int ret = check_device(vi, dev);

	if (ret)
		return ret;
	ret = ui_device_claim(dev, vi);
	if (ret)
		return ret;
	ep = ui_zalloc(sizeof(*ep));
	if (!ep) {
		ui_device_release(dev, vi);
		return -ENOMEM;
	}
	ep->id = id;
	ep->dev = dev;
	ui_list_init(&ep->link);
	pthread_mutex_lock(&vi->v.lock);
	ret = add_locked(vi, ep);
	pthread_mutex_unlock(&vi->v.lock);
	if (ret) {
		ui_free(ep);
		ui_device_release(dev, vi);
	}
	return ret;
}

void ui_virtio_iommu_remove(struct ui_virtio_iommu *vi, u32 id)
{
	struct viommu_endpoint *ep;
	int ret;

	pthread_mutex_lock(&vi->v.lock);
	ep = ui_viommu_endpoint(vi, id);
	if (ep) {
		ret = ui_device_detach(ep->dev, 0, false);
		ui_assert(!ret); /* not from inside a section */
		leave(vi, ep);
		unindex_endpoint(vi, ep);
		ui_device_release(ep->dev, vi);
		ui_free(ep);
	}
	pthread_mutex_unlock(&vi->v.lock);
}

void ui_virtio_iommu_system_reset(struct ui_virtio_iommu *vi)
{
	ui_virtio_set_status(&vi->v, 0);
	pthread_mutex_lock(&vi->v.lock);
	vi->bypass = (vi->cfg.features & UI_BIT(UI_VIOMMU_F_BYPASS_CONFIG)) && vi->cfg.bypass;
	unattached_changed(vi);
	pthread_mutex_unlock(&vi->v.lock);
}
