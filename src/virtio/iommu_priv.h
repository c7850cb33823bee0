/* SPDX-License-Identifier: MIT */
/* Inside the virtio-iommu: iommu.c (the object, endpoints, configuration), request.c (requests), space.c (mappings), event.c. */
#ifndef UI_VIRTIO_IOMMU_PRIV_H
#define UI_VIRTIO_IOMMU_PRIV_H

#include "base/ivl.h"
#include "base/list.h"
#include "core/domain.h"
#include "virtio/iommu.h"
#include "virtio/marks.h"

#include <errno.h>

enum { VIOMMU_REQUESTS, VIOMMU_EVENTS, VIOMMU_N_QUEUES };

/* Of a request's tail. */
enum viommu_status {
	VIOMMU_S_OK,
	VIOMMU_S_IOERR,
	VIOMMU_S_UNSUPP,
	VIOMMU_S_DEVERR,
	VIOMMU_S_INVAL,
	VIOMMU_S_RANGE,
	VIOMMU_S_NOENT,
	VIOMMU_S_FAULT,
	VIOMMU_S_NOMEM,
};

enum { VIOMMU_MAP_READ = 1, VIOMMU_MAP_WRITE = 2, VIOMMU_MAP_MMIO = 4 };

struct viommu_event {
	u8 reason;
	u8 reserved[3];
	u32 flags, endpoint, reserved1;
	u64 address;
};
_Static_assert(sizeof(struct viommu_event) == 24, "5.13.6.9");

enum { VIOMMU_N_EVENTS = 64 };

/* An address space of a virtio domain: a table, and which MAP made what is in it. */
struct viommu_space {
	struct ui_list link;      /* in viommu_domain.spaces */
	u32 pasid;
	bool has_pasid;           /* false: the space that MAP and UNMAP of the standard mean */
	struct ui_domain *table;  /* paging */
	const struct ui_resv *resv;
	size_t n_resv;
	u8 granule_lg2;
	struct ui_marks maps;     /* in pages of the granule; what a mapping leads to stands in the table */
};

/* All but the lists is constant. */
struct viommu_domain {
	u32 id;
	bool bypass;              /* no spaces: identity */
	struct ui_iommu *iommu;   /* of its endpoints */
	struct ui_list endpoints;
	struct ui_list spaces;
};

struct viommu_endpoint {
	u32 id;
	struct ui_device *dev;
	struct ui_list link;          /* in domain->endpoints */
	struct viommu_domain *domain; /* NULL: not attached */
};

/* v.lock guards all that is not said to be constant. */
struct ui_virtio_iommu {
	struct ui_virtio v;
	struct ui_virtio_iommu_cfg cfg; /* constant, but for what `bypass` is after a system reset: cfg.bypass */
	bool bypass;                    /* the field of the configuration */
	struct ui_ivl endpoints;        /* by id: struct viommu_endpoint */
	struct ui_ivl domains;          /* by id: struct viommu_domain */

	pthread_mutex_t events_lock;    /* leaf; guards what follows */
	struct ui_ivl rids;             /* by RID: struct viommu_endpoint */
	struct viommu_event events[VIOMMU_N_EVENTS];
	unsigned first_event, n_events;
};

/* iommu.c. NULL: there is none. */
struct viommu_endpoint *ui_viommu_endpoint(const struct ui_virtio_iommu *vi, u32 id);
struct viommu_domain *ui_viommu_domain(const struct ui_virtio_iommu *vi, u32 id);
/* Attaches to domain @id, made if there is none, in place of what is attached. 0; -EINVAL the domain is not as @bypass says;
 * -EOPNOTSUPP it cannot take the endpoint; -ENOMEM; -EDEADLK: nothing is changed. */
int ui_viommu_attach(struct ui_virtio_iommu *vi, struct viommu_endpoint *ep, u32 id, bool bypass);
/* 0; -ENOMEM or -EDEADLK: still attached. */
int ui_viommu_detach(struct ui_virtio_iommu *vi, struct viommu_endpoint *ep);

/* space.c */
/* A space without mappings, for devices like @dev. 0 with *@out; or as ui_domain_create_paging(). */
int ui_viommu_space_create(const struct ui_virtio_iommu_cfg *cfg, struct ui_device *dev, u32 pasid, bool has_pasid, struct viommu_space **out);
/* Nothing is attached to its table. */
void ui_viommu_space_destroy(struct viommu_space *space);
/* The domain's space without PASID; NULL: it has none. */
struct viommu_space *ui_viommu_space_find(const struct viommu_domain *domain, u32 pasid, bool has_pasid);
enum viommu_status ui_viommu_map(const struct ui_virtio_iommu_cfg *cfg, struct viommu_space *space, u64 start, u64 last, u64 phys, u32 flags);
enum viommu_status ui_viommu_unmap(struct viommu_space *space, u64 start, u64 last);

/* request.c, event.c: ui_virtio_model.serve for each queue. */
unsigned ui_viommu_serve_requests(struct ui_virtio_iommu *vi, struct ui_virtq *q, unsigned budget);
unsigned ui_viommu_serve_events(struct ui_virtio_iommu *vi, struct ui_virtq *q, unsigned budget);
bool ui_viommu_has_events(struct ui_virtio_iommu *vi);
void ui_viommu_drop_events(struct ui_virtio_iommu *vi);

UI_ALWAYS_INLINE struct ui_virtio_iommu *ui_viommu_of(struct ui_virtio *v)
{
	return ui_container_of(v, struct ui_virtio_iommu, v);
}

UI_ALWAYS_INLINE enum viommu_status ui_viommu_status_of(int ret)
{
	switch (ret) {
	case 0:
		return VIOMMU_S_OK;
	case -ENOMEM:
	case -ENOSPC:
		return VIOMMU_S_NOMEM;
	case -EINVAL:
	case -EEXIST:
		return VIOMMU_S_INVAL;
	case -EOPNOTSUPP:
		return VIOMMU_S_UNSUPP;
	case -ERANGE:
		return VIOMMU_S_RANGE;
	default:
		return VIOMMU_S_DEVERR;
	}
}

#endif
