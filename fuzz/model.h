/* SPDX-License-Identifier: MIT */
/*
 * What must hold of a context, kept by the fuzzer's own list: which areas each IOAS has and from which memory, which HWPT stands on
 * which IOAS, what each device is attached to. Commands report what they changed; the model says what it thinks of that, and compares
 * itself with what devices see.
 */
#ifndef FUZZ_MODEL_H
#define FUZZ_MODEL_H

#include "core/domain.h"
#include "iommufd/iommufd.h"
#include "iommufd/uapi.h"

#include <stdio.h>
#include <stdlib.h>

#define PAGE UI_PAGE_BYTES
#define MAX (~(u64)0)

#define CHECK(cond)                                                                                                       \
	do {                                                                                                              \
		if (!(cond)) {                                                                                            \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #cond);                         \
			abort();                                                                                          \
		}                                                                                                         \
	} while (0)

/* The last device has no PASIDs: it can be attached with one, but never sends it. */
enum { N_DEVICES = 3, WITHOUT_PASIDS = 2, N_PASIDS = 3, N_SPACES = 6, N_AREAS = 32, N_HWPTS = 12 };

/* --- memory that commands name; the same in every run --- */

#define ARENA ((u64)0x500000000000)
/* Pages of the arena. What is not readable or writable stands between what is. */
enum { ARENA_PAGES = 32, HOLE_AT = 14, READONLY_AT = 16, SCRATCH_AT = 20 };
/* Behind it, aligned for large pages, and the file's pages as a mapping. */
#define BIG (ARENA + ((u64)4 << 20))
#define BIG_BYTES ((u64)4 << 20)
#define FILE_MAP (ARENA + ((u64)16 << 20))
enum { FILE_PAGES = 16 };

struct area {
	u64 iova, length;
	u64 memory;    /* an address of ours */
	bool read, write;
	bool may_write; /* what stands behind it */
};

struct space {
	u32 id;    /* 0: free */
	bool lost; /* too much for the model: not compared any more */
	bool small; /* huge pages are off: the container's calls may cut areas */
	unsigned n;
	struct area areas[N_AREAS]; /* by iova */
};

struct hwpt {
	u32 id; /* 0: free */
	struct space *space;
	bool automatic, nested, dirty, tracking, mocked;
};

struct model {
	struct space spaces[N_SPACES];
	struct hwpt hwpts[N_HWPTS];
	bool bound[N_DEVICES];
	struct hwpt *attached[N_DEVICES][N_PASIDS];
	struct hwpt unknown; /* what an attachment leads to that did not fit into hwpts */
	u32 container; /* the IOAS of the container's calls; 0: none */
	u64 value; /* the next to be written by a device */
};

struct world {
	struct ui_mem *mem;
	struct ui_iommu *iommu;
	struct ui_device *dev[N_DEVICES];
	struct ui_dma *port[N_DEVICES];
	struct ui_iommufd *ctx;
	struct ui_binder binder;
	struct ui_bound *bound[N_DEVICES];
	u32 dev_id[N_DEVICES];
	int fd; /* the file */
	bool mocked, nests;
	/* A container instead: each device a group of its own, the type that SET_IOMMU gave it (0: none). */
	bool contains, tracking;
	struct ui_group_tie *ties[N_DEVICES];
	unsigned type1;
	struct model model;
};

struct space *model_space(struct world *w, u32 id);
struct hwpt *model_hwpt(struct world *w, u32 id);

/* A command did what its name says. */
void model_ioas_new(struct world *w, u32 id);
void model_mapped(struct world *w, u32 id, u64 iova, u64 length, u64 memory, u32 flags, bool may_write);
void model_copied(struct world *w, const struct ui_uapi_ioas_copy *cmd);
void model_hwpt_new(struct world *w, u32 id, u32 pt, u32 flags, bool nested, bool automatic);
void model_destroyed(struct world *w, u32 id);
void model_attached(struct world *w, unsigned dev, u32 pasid, u32 hwpt, u32 pt);
void model_detached(struct world *w, unsigned dev, u32 pasid);

/* @ret is what unmapping [@iova, @last] of @id came to, @removed what it said of the bytes (on 0). @wants_some: nothing there is ENOENT. */
void model_unmapped(struct world *w, u32 id, u64 iova, u64 last, long ret, u64 removed, bool wants_some);
/* Area number @i goes. */
void model_drop(struct space *s, unsigned i);
/* An area that contains both @iova and @iova + 1 becomes two. */
void model_cut(struct space *s, u64 iova);
bool model_overlaps(const struct space *s, u64 iova, u64 length);
bool model_covers(const struct space *s, u64 iova, u64 length);

/* What devices see of @s is what the model has. */
void model_compare(struct world *w, struct space *s);
void model_compare_all(struct world *w);
/* What a device wrote is in the bitmap, until it was read and cleared, and again after the next write. */
void model_compare_dirty(struct world *w, struct hwpt *hwpt, unsigned area);

#endif
