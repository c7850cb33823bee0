/* SPDX-License-Identifier: MIT */
/* The request queue (5.13.6): requests are copied once, then decoded from the copy. */
#include "base/alloc.h"
#include "base/bits.h"
#include "virtio/iommu_priv.h"

#include <string.h>

enum { T_ATTACH = 1, T_DETACH, T_MAP, T_UNMAP, T_PROBE };
enum { ATTACH_BYPASS = 1 };
enum { HEAD_BYTES = 4, TAIL_BYTES = 4, LARGEST_BYTES = 72 };
enum { PROP_RESV_MEM = 1, PROP_HEAD_BYTES = 4 };

/* Little endian, as in memory; the device-readable parts, behind the head. */
struct attach {
	u32 domain, endpoint, flags;
	u8 reserved[4];
} __attribute__((packed));

struct detach {
	u32 domain, endpoint;
	u8 reserved[8];
} __attribute__((packed));

struct map {
	u32 domain;
	u64 start, last, phys;
	u32 flags;
} __attribute__((packed));

struct unmap {
	u32 domain;
	u64 start, last;
	u8 reserved[4];
} __attribute__((packed));

struct probe {
	u32 endpoint;
	u8 reserved[64];
} __attribute__((packed));

struct resv_mem {
	u16 type, length;
	u8 subtype, reserved[3];
	u64 start, last;
} __attribute__((packed));

_Static_assert(HEAD_BYTES + sizeof(struct attach) + TAIL_BYTES == 24 && HEAD_BYTES + sizeof(struct detach) + TAIL_BYTES == 24 &&
	       HEAD_BYTES + sizeof(struct map) + TAIL_BYTES == 40 && HEAD_BYTES + sizeof(struct unmap) + TAIL_BYTES == 32 &&
	       HEAD_BYTES + sizeof(struct probe) == LARGEST_BYTES && sizeof(struct resv_mem) == 24, "5.13.6");

union body {
	u8 bytes[LARGEST_BYTES - HEAD_BYTES];
	struct attach attach;
	struct detach detach;
	struct map map;
	struct unmap unmap;
	struct probe probe;
};

/* ---- The requests ---- */

static bool is_zero(const u8 *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes[i])
			return false;
	}
	return true;
}

static enum viommu_status do_attach(struct ui_virtio_iommu *vi, const struct attach *req)
{
	u32 known = ui_virtio_has(&vi->v, UI_VIOMMU_F_BYPASS_CONFIG) ? ATTACH_BYPASS : 0;
	struct viommu_endpoint *ep;

	if ((req->flags & ~known) || !is_zero(req->reserved, sizeof(req->reserved)))
		return VIOMMU_S_INVAL;
	ep = ui_viommu_endpoint(vi, req->endpoint);
	if (!ep)
		return VIOMMU_S_NOENT;
	if (req->domain < vi->cfg.domain_first || req->domain > vi->cfg.domain_last)
		return VIOMMU_S_RANGE;
	return ui_viommu_status_of(ui_viommu_attach(vi, ep, req->domain, req->flags & ATTACH_BYPASS));
}

static enum viommu_status do_detach(struct ui_virtio_iommu *vi, const struct detach *req)
{
	struct viommu_endpoint *ep = ui_viommu_endpoint(vi, req->endpoint);

	if (!ep)
		return VIOMMU_S_NOENT;
	if (!ep->domain || ep->domain->id != req->domain)
		return VIOMMU_S_INVAL;
	return ui_viommu_status_of(ui_viommu_detach(vi, ep));
}

/* The space that MAP and UNMAP of @domain change. */
static enum viommu_status find_space(struct ui_virtio_iommu *vi, u32 domain_id, struct viommu_space **space)
{
	const struct viommu_domain *domain = ui_viommu_domain(vi, domain_id);

	if (!domain)
		return VIOMMU_S_NOENT;
	*space = ui_viommu_space_find(domain, 0, false);
	return *space ? VIOMMU_S_OK : VIOMMU_S_INVAL;
}

static enum viommu_status do_map(struct ui_virtio_iommu *vi, const struct map *req)
{
	u32 known = VIOMMU_MAP_READ | VIOMMU_MAP_WRITE | (ui_virtio_has(&vi->v, UI_VIOMMU_F_MMIO) ? VIOMMU_MAP_MMIO : 0);
	struct viommu_space *space;
	enum viommu_status status;

	if (req->flags & ~known)
		return VIOMMU_S_INVAL;
	status = find_space(vi, req->domain, &space);
	return status ? status : ui_viommu_map(&vi->cfg, space, req->start, req->last, req->phys, req->flags);
}

static enum viommu_status do_unmap(struct ui_virtio_iommu *vi, const struct unmap *req)
{
	struct viommu_space *space;
	enum viommu_status status;

	if (!is_zero(req->reserved, sizeof(req->reserved)))
		return VIOMMU_S_INVAL;
	status = find_space(vi, req->domain, &space);
	return status ? status : ui_viommu_unmap(space, req->start, req->last);
}

/* Fills @props, zero so far, of cfg.probe_bytes. */
static enum viommu_status do_probe(struct ui_virtio_iommu *vi, const struct probe *req, u8 *props)
{
	struct viommu_endpoint *ep = ui_viommu_endpoint(vi, req->endpoint);
	const struct ui_resv *resv;
	size_t n;

	if (!ep)
		return VIOMMU_S_NOENT;
	resv = ui_device_reserved(ep->dev, &n);
	if (n > vi->cfg.probe_bytes / sizeof(struct resv_mem))
		return VIOMMU_S_INVAL;
	for (size_t i = 0; i < n; i++) {
		const struct resv_mem prop = {
			.type = PROP_RESV_MEM, .length = sizeof(prop) - PROP_HEAD_BYTES, .subtype = resv[i].msi, .start = resv[i].start, .last = resv[i].last,
		};

		memcpy(props + i * sizeof(prop), &prop, sizeof(prop));
	}
	return VIOMMU_S_OK;
}

/* ---- Their way in and out ---- */

/* Bytes behind the head; 0: no such request, which is left unwritten. */
static u32 body_bytes(const struct ui_virtio_iommu *vi, u8 type)
{
	switch (type) {
	case T_ATTACH:
		return sizeof(struct attach);
	case T_DETACH:
		return sizeof(struct detach);
	case T_MAP:
		return sizeof(struct map);
	case T_UNMAP:
		return sizeof(struct unmap);
	case T_PROBE:
		return vi->cfg.features & UI_BIT(UI_VIOMMU_F_PROBE) ? sizeof(struct probe) : 0;
	default:
		return 0;
	}
}

static enum viommu_status dispatch(struct ui_virtio_iommu *vi, u8 type, const union body *body)
{
	switch (type) {
	case T_ATTACH:
		return do_attach(vi, &body->attach);
	case T_DETACH:
		return do_detach(vi, &body->detach);
	default:
		break;
	}
	/* Available once negotiated only. */
	if (!ui_virtio_has(&vi->v, UI_VIOMMU_F_MAP_UNMAP))
		return VIOMMU_S_UNSUPP;
	return type == T_MAP ? do_map(vi, &body->map) : do_unmap(vi, &body->unmap);
}

/* A request whose writable part is the tail alone, or longer. Returns the bytes written. */
static u32 answer(struct ui_virtq *q, const struct ui_virtq_chain *chain, enum viommu_status status)
{
	const u8 tail[TAIL_BYTES] = { (u8)status };

	return ui_virtq_write(q, chain, tail, sizeof(tail)) ? sizeof(tail) : 0;
}

/* The properties come before the tail; where there is less room, the tail is still the last thing there is. */
static u32 answer_probe(struct ui_virtio_iommu *vi, struct ui_virtq *q, const struct ui_virtq_chain *chain, enum viommu_status status,
			const struct probe *req)
{
	u32 props_bytes = (u32)ui_min(vi->cfg.probe_bytes, chain->writable_bytes - TAIL_BYTES);
	u32 n = props_bytes + TAIL_BYTES;
	u8 *out = ui_zalloc(n);
	bool ok;

	if (!out)
		return props_bytes ? 0 : answer(q, chain, VIOMMU_S_NOMEM);
	if (!status)
		status = props_bytes < vi->cfg.probe_bytes ? VIOMMU_S_INVAL : do_probe(vi, req, out);
	out[props_bytes] = (u8)status;
	ok = ui_virtq_write(q, chain, out, n);
	ui_free(out);
	return ok ? n : 0;
}

/* Serves one request and returns the bytes written: none where nothing tells the device what it is or where its tail is. */
static u32 serve(struct ui_virtio_iommu *vi, struct ui_virtq *q, const struct ui_virtq_chain *chain)
{
	u8 bytes[LARGEST_BYTES];
	u32 n = (u32)ui_min(chain->readable_bytes, sizeof(bytes)), n_body;
	enum viommu_status status = VIOMMU_S_OK;
	union body body;

	if (n < HEAD_BYTES || chain->writable_bytes < TAIL_BYTES)
		return 0;
	/* Nothing else to go by: all but PROBE have their tail at the start. */
	if (!ui_virtq_read(q, chain, bytes, n))
		return answer(q, chain, VIOMMU_S_IOERR);
	n_body = body_bytes(vi, bytes[0]);
	if (!n_body)
		return 0;
	if (n < HEAD_BYTES + n_body)
		status = VIOMMU_S_INVAL;
	else
		memcpy(&body, bytes + HEAD_BYTES, n_body);
	if (bytes[0] == T_PROBE)
		return answer_probe(vi, q, chain, status, &body.probe);
	return answer(q, chain, status ? status : dispatch(vi, bytes[0], &body));
}

unsigned ui_viommu_serve_requests(struct ui_virtio_iommu *vi, struct ui_virtq *q, unsigned budget)
{
	struct ui_virtq_chain chain;
	unsigned n = 0;

	for (; n < budget && ui_virtq_pop(q, &chain); n++)
		ui_virtq_push(q, &chain, serve(vi, q, &chain));
	return n;
}
