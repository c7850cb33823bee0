/* SPDX-License-Identifier: MIT */
/*
 * What the files of core share about their objects.
 *
 * Lock order: iommu->lock, group->lock, group->requests, domain->lock (parent's), then the locks inside translate and the arena, and
 * domain->rows_lock. None is ever taken by a DMA: its way in, ui_device_resolve(), reads published pointers only.
 */
#ifndef UI_CORE_INTERNAL_H
#define UI_CORE_INTERNAL_H

#include "base/list.h"
#include "core/arena.h"
#include "core/domain.h"
#include "core/driver.h"
#include "core/request.h"

#include <pthread.h>
#include <stdatomic.h>

enum { UI_ROW_LINKS = 4 };

/* The rows that count what is done to a domain, each as often as attachments say so: more than once only for a row of others. */
struct ui_row_links {
	struct ui_row_link {
		struct ui_stats_row *row; /* NULL: free */
		unsigned n;
	} link[UI_ROW_LINKS];
	struct ui_row_links *next; /* grows at the head; freed with the domain */
};

struct ui_domain {
	struct ui_iommu *iommu;
	enum ui_domain_kind kind;
	unsigned flags;
	struct ui_stage_config cfg; /* what resolvers answer with; constant once created, but for its gate */
	atomic_uint n_attached;
	pthread_mutex_t rows_lock; /* leaf: attaching takes it while the domain's gate may be shut, and maps inside sections */
	struct ui_row_links rows;  /* rows_lock */

	/* Paging. The caller's lock guards what is not constant: one writer. */
	struct ui_pt pt;
	struct ui_pt_pages pages;   /* the table's way to the arena */
	struct ui_pt_gather gather; /* taken out of the table, not yet freed */
	u64 start, last;            /* aperture */
	bool tracking;

	/* Recursive: held while the gate is closed, so that no nested domain comes to be that the gate does not hold. */
	pthread_mutex_t lock;
	struct ui_list nested; /* lock: the nested domains over this one */
	bool gated;            /* lock */

	void *priv; /* the driver half's */
	const struct ui_page_handler *page_handler; /* constant while attached; NULL: none */

	/* Nested. */
	struct ui_domain *parent;
	struct ui_list link; /* in parent->nested, under parent->lock */
};

struct ui_iommu {
	const struct ui_driver_ops *driver;
	struct ui_tr *tr;
	struct ui_arena arena;
	void *priv; /* the driver half's */
	struct ui_domain blocked, identity;
	struct ui_stats *stats;        /* set before the first device; NULL: devices have their own */
	u32 n_stats;                   /* likewise; room in stats */
	struct ui_stats_row *detached; /* likewise; in stats or own_detached */
	struct ui_stats_row own_detached;
	ui_fault_fn fault_fn; /* set before the first port opens */
	void *fault_arg;
	atomic_uint n_domains; /* created, not destroyed */
	pthread_mutex_t lock;
	struct ui_list devices, groups; /* lock */
};

/* The tie of a group's devices, with a PASID or without, to a domain. Immutable; replaced as a whole. */
struct ui_attachment {
	struct ui_domain *domain;
	void *label;
};

/* The release store of an attach or detach pairs with the acquire load of ui_device_resolve(). */
typedef _Atomic(struct ui_attachment *) ui_attachment_slot;

enum { UI_PASID_BITS = 20, UI_PASID_LEAF_LG2 = 10 };

struct ui_pasid_leaf {
	ui_attachment_slot slots[1 << UI_PASID_LEAF_LG2];
};

/* 20 bits of PASID in two steps; leaves come with the first attachment in them and stay as long as the group. */
struct ui_pasid_table {
	_Atomic(struct ui_pasid_leaf *) leaves[1 << (UI_PASID_BITS - UI_PASID_LEAF_LG2)];
};

struct ui_group {
	struct ui_iommu *iommu;
	u32 number;                    /* of ui_device_cfg; 0: never shared */
	struct ui_list link;           /* iommu->lock */
	pthread_mutex_t lock;
	struct ui_list devices;        /* lock */
	/* Around each change of a slot, and around a page request's look at one until its handler has it. After lock. */
	pthread_mutex_t requests;
	ui_attachment_slot no_pasid;   /* written under lock and requests */
	/* Set, under lock and requests, with the first device that has PASIDs, before its ports open, or the first attachment with one. */
	struct ui_pasid_table *pasids;
	unsigned n_pasids;             /* lock: attachments in pasids */
	void *owner;                   /* lock */
	unsigned n_claims;             /* lock */
};

struct ui_device {
	struct ui_iommu *iommu;
	struct ui_group *group;
	struct ui_list link;       /* iommu->lock */
	struct ui_list group_link; /* group->lock */
	char *name;
	u32 rid;
	u8 pasid_bits;
	void *priv; /* constant */
	void *half; /* the driver half's; constant */
	struct ui_vdevice *_Atomic vdevice; /* release in set, acquire in get: each other's partner */
	void *user;                         /* group->requests */
	ui_page_answer_fn answer_fn;        /* constant once requests come; NULL: nobody hears */
	void *answer_arg;
	struct ui_stats_dev *stats;    /* constant; in the iommu's block, or own_stats */
	atomic_bool stats_taken;       /* a port counts there: ui_dma_set_stats() */
	struct ui_stats_dev own_stats;
};

/* group.c. Joins or makes the group that @cfg asks for; NULL without memory or when it is attached already. iommu->lock is held. */
struct ui_group *ui_group_join(struct ui_device *dev, u32 number);
/* The last device frees the group. iommu->lock is held. */
void ui_group_leave(struct ui_device *dev);

/* attach.c: what is attached there, or NULL. Under group->lock or group->requests. */
struct ui_domain *ui_group_domain(struct ui_group *group, u32 pasid, bool has_pasid);

/* request.c: the attachment of the group's devices to the domain of @handler (NULL: none) has ended. Under group->lock. */
void ui_group_detached(struct ui_group *group, u32 pasid, bool has_pasid, const struct ui_page_handler *handler);

/* attach.c: the resolver of a device's ports (ui_resolve_fn). */
struct ui_stage_config *ui_device_resolve(void *dev, u32 pasid, bool has_pasid, enum ui_dma_status *reason);

/* fault.c: the fault sink of a device's ports. */
void ui_device_fault(void *dev, const struct ui_fault *fault);

/* domain.c. The parts every kind has, but for the config. 0; -ENOSPC. Undone by ui_domain_fini(). */
int ui_domain_init(struct ui_domain *domain, struct ui_iommu *iommu, enum ui_domain_kind kind, unsigned flags);
void ui_domain_fini(struct ui_domain *domain);

/*
 * stats.c: what is done to @domain counts for the devices of @group at that PASID, or not any more. 0; -ENOMEM, and nothing
 * changed. Under group->lock.
 */
int ui_domain_rows_enter(struct ui_domain *domain, struct ui_group *group, u32 pasid, bool has_pasid);
void ui_domain_rows_leave(struct ui_domain *domain, struct ui_group *group, u32 pasid, bool has_pasid);
/* No row is left. */
void ui_domain_rows_fini(struct ui_domain *domain);
enum ui_domain_event { UI_DOMAIN_MAPPED = 1, UI_DOMAIN_UNMAPPED = 2, UI_DOMAIN_INVALIDATED = 4 };
/* One of each of @events, a set of ui_domain_event. */
void ui_domain_count(struct ui_domain *domain, unsigned events);

/* True when the calling thread is inside a section of @domain or of a nested domain over it. */
bool ui_domain_self_inside(struct ui_domain *domain);
/* The range leaves every TLB, and sections that could have used it have ended; nested domains over @domain lose everything. */
void ui_domain_flush(struct ui_domain *domain, u64 start, u64 last);

#endif
