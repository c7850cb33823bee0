/* SPDX-License-Identifier: MIT */
/*
 * Backing objects: the memory behind areas of an IOAS, and which of its pages devices hold. An object is shared by the areas
 * that IOAS_COPY made from one another, in any IOAS of one set; each of its pages is held once however many areas, IOASes and
 * domains use it.
 *
 * Threads: reference counts are atomic, everything else is guarded by the set's lock. Lock order: an IOAS's locks, set->lock.
 */
#ifndef UI_CORE_PAGES_H
#define UI_CORE_PAGES_H

#include "base/ivl.h"
#include "base/ivm.h"
#include "base/types.h"
#include "core/account.h"

#include <pthread.h>
#include <stdatomic.h>

struct ui_dmabuf;
struct ui_pages;

/* How the pages of a set are made present and watched; @arg is the set's. */
struct ui_pages_ops {
	/* Makes [@pa, @pa + @n_bytes) present, for writing if @write. 0, -EFAULT, -ENOMEM. Locks of an IOAS may be held, not the set's. */
	int (*pin)(void *arg, u64 pa, u64 n_bytes, bool write);
	/* Copies between [@pa, @pa + @n_bytes) and @buf of ours. 0 or -EFAULT. As pin; NULL: no accesses. */
	int (*copy)(void *arg, u64 pa, void *buf, u64 n_bytes, bool write);
	/* Whole pages begin (@now) or stop being held; may be NULL. Called with the set's lock held: must not call back. */
	void (*held)(void *arg, const struct ui_pages *pages, u64 pa, u64 n_bytes, bool now);
	/* The object goes; may be NULL. */
	void (*release)(void *arg, struct ui_pages *pages);
};

/* Objects that share their owner: one user-API context. */
struct ui_pages_set {
	const struct ui_pages_ops *ops;
	void *arg;
	/* Read: tables of domains or lists of domains change. Write: pages move. Taken before an IOAS's area lock. */
	pthread_rwlock_t moving;
	pthread_mutex_t lock; /* short */
	struct ui_ivm held;   /* lock: pins of objects that can move, by the address where their pages were made */
	struct ui_ivm grips;  /* lock: what holds pages of such objects without an area: struct ui_grip, by the same */
	struct ui_ivm bufs;   /* lock: pins of dma-bufs, by address */
	struct ui_ivm moved;  /* lock: segments whose pages have moved, by the address where they are now */
};

struct ui_pages_cfg {
	u64 addr;      /* of the first byte as placement sees it: a user address, or an offset in a file */
	u64 pa;        /* of the first byte; a multiple of the page size away from @addr */
	u64 n_bytes;
	bool writable; /* mappings may be writable */
	bool file;     /* a page that is not there is -EINVAL, not -EFAULT; stays when the process changes */
	bool movable;  /* user memory: ui_ioas_move_pages() concerns it */
	bool remote;   /* user memory of another process, which somebody mapped for us at @pa */
	u8 page_lg2;   /* of a file: the size of the pages that it is mapped by; 0: as ever */
	int error;     /* not 0: what every attempt to pin returns */
	struct ui_dmabuf *dmabuf; /* it is (a part of) one's memory, see dmabuf.h; else NULL */
};

struct ui_pages {
	struct ui_pages_set *set;
	struct ui_pages_cfg cfg; /* constant */
	atomic_uint refs;
	atomic_bool revoked;     /* of a dma-buf: in no domain any more, for ever; set under set->moving (write), read under read */
	u8 account_mode;         /* enum ui_account_mode; constant */
	bool counted;            /* set->lock: within ui_pages_charge_to() */
	struct ui_payer *payer;  /* set->lock: pays for what is held; a reference; NULL: nobody */
	u64 n_held;              /* set->lock: pages held, each once */
	u64 n_whole;             /* set->lock: pins of the whole object */
	struct ui_ivl segs;      /* set->lock: page numbers (cfg.pa >> 12 onwards) to struct seg: further pins, moved pages */
};

void ui_pages_set_init(struct ui_pages_set *set, const struct ui_pages_ops *ops, void *arg);
/* All objects are gone. */
void ui_pages_set_fini(struct ui_pages_set *set);

/* One reference; NULL without memory (then @cfg's resources stay the caller's). n_bytes > 0, no wrap. */
struct ui_pages *ui_pages_create(struct ui_pages_set *set, const struct ui_pages_cfg *cfg);
/* Before the first pin: @payer, whose reference goes over, pays for the pages that are held, from the first hold to the last. */
void ui_pages_set_payer(struct ui_pages *pages, struct ui_payer *payer, enum ui_account_mode mode);
/* Objects of @set, any of them more than once: @payer takes over what their payers have paid, but for mode NONE. 0; -ENOMEM it is over
 * its limit: nothing has changed. */
int ui_pages_charge_to(struct ui_pages_set *set, struct ui_pages **list, size_t n, struct ui_payer *payer);
struct ui_pages *ui_pages_get(struct ui_pages *pages);
void ui_pages_put(struct ui_pages *pages);

/* A part of an object while its pages are held. */
struct ui_pin {
	struct ui_ivm_node node; /* set->lock: in set->held if the object can move, in set->bufs if it is a dma-buf's */
};

/* A part of an object whose pages somebody holds who has no area: an access. */
struct ui_grip {
	struct ui_pin pin;       /* in set->grips instead of set->held */
	struct ui_pages *pages;
	u64 offset, n_bytes;
};

/* Holds the pages of a part of the object and makes them present. 0; -EFAULT, -EINVAL, -ENOMEM (RLIMIT_MEMLOCK, too): nothing is held. */
int ui_pages_pin(struct ui_pages *pages, u64 offset, u64 n_bytes, bool write, struct ui_pin *pin);
/* Undoes one ui_pages_pin() of the same part. Needs no memory. */
void ui_pages_unpin(struct ui_pages *pages, u64 offset, u64 n_bytes, struct ui_pin *pin);
/* The same with what @grip says. */
int ui_pages_grip(struct ui_grip *grip, bool write);
void ui_pages_ungrip(struct ui_grip *grip);
/* Copies between a part of the object and @buf, held or not. Under set->moving (read). 0; -EFAULT, -EINVAL, -ENOMEM. */
int ui_pages_copy(struct ui_pages *pages, u64 offset, void *buf, u64 n_bytes, bool write);
/* A pinned part becomes two at @cut bytes (a page's border): @pin and @second, each unpinned by itself from now on. 0; -ENOMEM. */
int ui_pages_split_pin(struct ui_pages *pages, u64 offset, u64 n_bytes, u64 cut, struct ui_pin *pin, struct ui_pin *second);
/* Where @offset lies now: its pa, and how many of @n_bytes follow without a break (at least 1). */
u64 ui_pages_resolve(struct ui_pages *pages, u64 offset, u64 n_bytes, u64 *pa);

/* Under set->lock: those pages of [@start, @last] (addresses of cfg.pa's kind, page-aligned, held) that now are in [@old, @old +
 * @n_bytes) are at the same place from @to on from now on. 0; -ENOMEM, nothing is changed. ui_pages_unmove() with the same arguments
 * takes it back. */
int ui_pages_move(struct ui_pages *pages, u64 start, u64 last, u64 old, u64 n_bytes, u64 to);
void ui_pages_unmove(struct ui_pages *pages, u64 start, u64 last, u64 old, u64 n_bytes, u64 to);
/* Under set->lock: the first run of pages in [@start, @last] that has not moved. False: none. */
bool ui_pages_unmoved(const struct ui_pages *pages, u64 start, u64 last, u64 *run_start, u64 *run_last);
/* A run of pages that have moved: they are at [now, now + (last - start)]. */
struct ui_moved {
	struct ui_pages *pages;
	u64 start, last, now;
	const struct ui_ivm_node *node; /* NULL: begin */
};
/* Under set->lock: the next run that meets [@old, @last], cut to it. False: none; @run->node is NULL at first. */
bool ui_pages_next_moved(const struct ui_pages_set *set, u64 old, u64 last, struct ui_moved *run);

#endif
