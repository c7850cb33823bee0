/* SPDX-License-Identifier: MIT */
/* What the files of the IOAS share. */
#ifndef UI_CORE_IOAS_PRIV_H
#define UI_CORE_IOAS_PRIV_H

#include "core/ioas.h"
#include "base/bits.h"
#include "base/list.h"

struct ui_ioas_resv {
	u64 start, last;
	const void *owner;
};

struct ui_ioas {
	struct ui_pages_set *set;
	/* Read: an operation on areas from beginning to end. Write: the list of domains changes. */
	pthread_rwlock_t domains_lock;
	struct ui_domain **domains; /* domains_lock and set->moving: changed under write and read of them */
	size_t n_domains;
	unsigned n_pinners;        /* accesses that pin: both locks to change, one to read */
	pthread_mutex_t lock;
	pthread_cond_t pinned;     /* lock: an access has finished pinning an area */
	struct ui_list accesses;   /* lock: struct ui_access_link */
	struct ui_ivl areas;       /* lock: iova to struct ui_area */
	struct ui_ivl allowed;     /* lock */
	struct ui_ioas_resv *resv; /* lock: by start */
	struct ui_iova_range *resv_merged; /* lock: what resv covers, by start, neither touching nor overlapping */
	size_t n_resv, n_merged, resv_room; /* lock */
	u64 alignment;             /* both locks to change, one to read */
	bool huge;                 /* both locks to change, one to read */
};

/* A mapped interval; it remembers its exact extent for ever. */
struct ui_area {
	struct ui_ioas *ioas;
	struct ui_pages *pages;
	u64 start, length; /* ioas->lock */
	u64 offset;        /* in the object */
	u8 prot;
	bool busy;         /* ioas->lock and set->moving, read: on its way in or out, in no domain */
	bool pinned;       /* changed by whoever maps or unmaps it, or holds domains_lock for writing */
	bool blocked;      /* ioas->lock: somebody unmaps it as soon as no access has it pinned, so none may pin it any more */
	u32 n_pinning;     /* ioas->lock: accesses that are about to have it pinned, among n_accesses */
	struct ui_pin pin;
	union {
		struct {
			u32 n_accesses; /* ioas->lock: pins of accesses */
			u32 n_holds;    /* ioas->lock: those among them that forbid to unmap it */
		};
		struct ui_area *next; /* in a list of areas that are on their way out, when no access has any */
	};
};

/* In ioas->accesses: an access, or (NULL) the place where somebody who goes through the list has arrived. */
struct ui_access_link {
	struct ui_list link;
	struct ui_access *access;
};

/* Not in any list any more. */
void ui_area_free(struct ui_area *area);
/* Holds the area's pages. Not under ioas->lock. 0 or as ui_pages_pin(). */
int ui_area_pin(struct ui_area *area);
void ui_area_unpin(struct ui_area *area);
/* Under set->moving (read) and ioas->lock. On error nothing of it is mapped in the domain. */
int ui_area_map(struct ui_area *area, struct ui_domain *domain);

/* Accesses of the IOAS that pin are told that [@iova, @iova + @length) goes. Without locks. access.c */
void ui_ioas_notify(struct ui_ioas *ioas, u64 iova, u64 length);

/* Reserved space meets [@start, @last]. */
bool ui_ioas_is_reserved(const struct ui_ioas *ioas, u64 start, u64 last);
/* The alignment that a smallest page of @granule bytes besides what there is asks for, with huge pages @huge. */
u64 ui_ioas_wanted_alignment(const struct ui_ioas *ioas, u64 granule, bool huge);
/* All areas keep @alignment. */
bool ui_ioas_areas_aligned(const struct ui_ioas *ioas, u64 alignment);

/* The first stretch of [@at, @last] that is not reserved. False: none. */
bool ui_ioas_next_hole(const struct ui_ioas *ioas, u64 at, u64 last, struct ui_iova_range *hole);

#endif
