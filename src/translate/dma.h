/* SPDX-License-Identifier: MIT */
/*
 * Translation: from a device's access to memory or to a fault. Stage config -> TLB -> walk -> memory.
 *
 * A *translation instance* (ui_tr) belongs to one iommu and one memory object. A *port* (ui_dma) is one device's way in:
 * it carries the RID, a TLB of its own and the slot that says which address space it is working in. One thread at a time
 * uses a port; ports of one instance work in parallel.
 *
 * Sections. Between looking up an address and the last byte copied, a port is inside a section that names the stage
 * config it uses. Whoever takes something away (unmap, detach, invalidate) first changes tables or attachments, then
 * calls ui_tr_invalidate() or ui_tr_sync(), which return when every section that could have seen the old state has ended.
 * Sections of other configs are not waited for. Sections never block: file I/O, page requests and interrupts
 * happen outside.
 *
 * Order, and why it suffices: a port publishes its slot (seq_cst exchange), then reads the instance's epoch (seq_cst),
 * then reads attachments, TLB and tables. A changer writes, then increments the epoch (seq_cst), then reads the slots
 * (seq_cst). In the single order of these four, either the changer sees the slot and waits, or the port's epoch read comes
 * after the increment and so sees the change. For the same reason a port that reads the epoch it read before need not ask
 * the resolver again, nor look at the gate.
 */
#ifndef UI_TRANSLATE_DMA_H
#define UI_TRANSLATE_DMA_H

#include "base/types.h"
#include "pgtable/pgtable.h"
#include "translate/mem.h"
#include "translate/stats.h"

#include <stdatomic.h>

/* What became of a DMA. Never mixed with errno values. */
enum ui_dma_status {
	UI_DMA_OK,
	UI_DMA_BLOCKED,     /* no address space attached */
	UI_DMA_BAD_PASID,   /* PASID not supported, not enabled or out of range */
	UI_DMA_TRANSLATION, /* not mapped */
	UI_DMA_ADDR_SIZE,   /* address outside the address space, or an output address out of range */
	UI_DMA_ACCESS,      /* access flag fault */
	UI_DMA_PERMISSION,
	UI_DMA_MALFORMED,   /* a table or structure entry is invalid */
	UI_DMA_WALK_ABORT,  /* memory behind a table or structure failed */
	UI_DMA_ABORT,       /* memory behind a valid mapping failed */
	UI_DMA_N_STATUS,
};

const char *ui_dma_status_name(enum ui_dma_status status);

struct ui_fault {
	enum ui_dma_status reason;
	u32 rid;
	u32 pasid;
	bool has_pasid;
	u8 access;  /* UI_PROT_* wanted */
	u8 stage;   /* 1 or 2; 0: no table is to blame */
	u8 level;   /* of the entry, 0 the lowest */
	bool on_walk; /* stage 2 refused an access to a table of stage 1, at @ipa */
	bool walk_write; /* that access was to mark an entry, not to read it */
	u64 iova;   /* first byte refused */
	u64 ipa;    /* stage 2: its input address */
	u64 fetch_pa; /* UI_DMA_WALK_ABORT: of the entry that could not be read or marked */
	bool quiet;   /* of a stage that wants no report of what its tables refuse: ui_stage.quiet */
};

struct ui_dma_addr {
	u64 iova;
	u32 pasid;
	bool has_pasid; /* false: no PASID, which is not PASID 0 */
	bool priv;
};

enum ui_cfg_kind { UI_CFG_BLOCKED, UI_CFG_BYPASS, UI_CFG_TRANSLATE };

/* One stage. A table that uiommu writes is given as @pt (walked with direct loads); any other by @walk (through memory). */
struct ui_stage {
	const struct ui_pt *pt;
	struct ui_walk_cfg walk;
	bool present;
	bool no_device_walks; /* Arm stage 2: tables of stage 1 in what it makes device memory are refused (S2PTW) */
	bool quiet;           /* its faults carry it (Arm CD.R and STE.S2R, of which it is the contrary) */
};

/*
 * Stage 1 in two halves, of which bit 55 of an address selects one: a table for the first addresses (s1) and one for the last
 * (s1_upper, whose table is an `upper` one). An address that is in neither's range, or in a half that is not there, is
 * UI_DMA_TRANSLATION, the latter at level 3.
 */
enum {
	UI_HALVES = 1,           /* that is so */
	UI_HALVES_NO_LOWER = 2,  /* walks of s1 are disabled (EPD0) */
	UI_HALVES_NO_UPPER = 4,  /* of s1_upper (EPD1) */
	UI_HALVES_LOWER_TBI = 8, /* the lower half ignores the top byte of addresses (TBI0): bit 55 stands for all above it */
	UI_HALVES_UPPER_TBI = 16,
};

/*
 * A stage config: what an STE and CD, a PASID entry or an attachment boil down to for the walker. Immutable once a
 * resolver returns it, but for the gate; alive until the resolver has stopped returning it and ui_tr_sync() of it
 * returned 0.
 */
struct ui_stage_config {
	enum ui_cfg_kind kind;
	u32 tag;            /* from ui_tr_tag_alloc(), not 0 when @kind translates: what TLB entries carry */
	/* UI_CFG_TRANSLATE: at least one is present. */
	struct ui_stage s1; /* input: iova */
	struct ui_stage s2; /* input: ipa (the iova when there is no s1) */
	_Atomic u32 gate;   /* 0 open; else new sections wait outside: see ui_tr_gate_close() */
	u8 halves;          /* UI_HALVES and so on; 0: s1 serves all addresses */
	u8 in_bits;         /* without s1: an address of more bits is UI_DMA_ADDR_SIZE of stage 1; 0: none is (also with UI_CFG_BYPASS) */
	struct ui_stage s1_upper; /* with UI_HALVES; s1.present then says that there is a stage 1 at all */
	/* NULL, or where walks note log2 of the largest leaf met in the first stage, for ui_tr_invalidate_leaves(). Only grows. */
	_Atomic u32 *largest_leaf;
};

/* @iova as tables and TLBs know it. Ranges to invalidate may be given either way. */
UI_ALWAYS_INLINE u64 ui_cfg_untagged(const struct ui_stage_config *cfg, u64 iova)
{
	unsigned tbi = iova >> 55 & 1 ? UI_HALVES_UPPER_TBI : UI_HALVES_LOWER_TBI;

	return cfg->halves & tbi ? (u64)((s64)(iova << 8) >> 8) : iova;
}

/* Is @iova too large for a stage 1 that does not translate? */
UI_ALWAYS_INLINE bool ui_cfg_too_large(const struct ui_stage_config *cfg, u64 iova)
{
	return cfg->in_bits && (iova & ~ui_mask_lg2(cfg->in_bits));
}

/*
 * Says which stage config serves (rid, pasid). Called at the start of a section, lock-free, must not block. NULL with
 * *reason when there is none (UI_DMA_BLOCKED, UI_DMA_BAD_PASID, ...). A port may use an answer other than NULL again until
 * the instance's next change (ui_tr_sync() and all else that waits), so a new answer holds for certain only from then on.
 */
typedef struct ui_stage_config *(*ui_resolve_fn)(void *arg, u32 pasid, bool has_pasid, enum ui_dma_status *reason);

struct ui_tr;
struct ui_dma;

struct ui_tr *ui_tr_create(struct ui_mem *mem); /* NULL without memory; @mem outlives it */
void ui_tr_destroy(struct ui_tr *tr);           /* all ports closed, all tags freed */
struct ui_mem *ui_tr_mem(struct ui_tr *tr);
/* A tag that no live config and no TLB entry carries. 0 is never used. -ENOSPC when all are taken; -ENOMEM. */
int ui_tr_tag_alloc(struct ui_tr *tr, u32 *tag);
/* Takes the tag out of every TLB. No section can use its config any more: ui_tr_sync() returned. */
void ui_tr_tag_free(struct ui_tr *tr, u32 tag);

/*
 * Takes the range [@start, @last] of input addresses of @cfg out of every TLB and waits for the sections in @cfg that could
 * have used it. Call after the tables changed. 0; -EDEADLK when the calling thread itself is inside a section of @cfg
 * (nothing was waited for; check with ui_tr_self_inside() before changing anything).
 */
int ui_tr_invalidate(struct ui_tr *tr, struct ui_stage_config *cfg, u64 start, u64 last);
/*
 * As ui_tr_invalidate(), for whole leaves of which the range may name only a part: TLBs hold a large leaf in pieces, and all
 * pieces of every leaf of the first stage that meets the range go. For a config with @largest_leaf.
 */
int ui_tr_invalidate_leaves(struct ui_tr *tr, struct ui_stage_config *cfg, u64 start, u64 last);
/* As above for everything of the config, or of the instance. */
int ui_tr_invalidate_tag(struct ui_tr *tr, struct ui_stage_config *cfg);
int ui_tr_invalidate_all(struct ui_tr *tr);
/* Waits for the sections in @cfg (NULL: all) only. For a change of attachments: call after the resolver answers anew;
 * also waits for sections that are still resolving. */
int ui_tr_sync(struct ui_tr *tr, struct ui_stage_config *cfg);
bool ui_tr_self_inside(struct ui_tr *tr, struct ui_stage_config *cfg);
/*
 * Holds new sections of @cfg outside and waits for those inside, so that memory can be moved under a live mapping;
 * ui_tr_gate_open() lets them in. Short, never nested, never from inside a section (-EDEADLK).
 */
int ui_tr_gate_close(struct ui_tr *tr, struct ui_stage_config *cfg);
void ui_tr_gate_open(struct ui_tr *tr, struct ui_stage_config *cfg);

/* @resolve(@arg, ...) answers for this port. NULL without memory. */
struct ui_dma *ui_dma_open(struct ui_tr *tr, u32 rid, ui_resolve_fn resolve, void *arg);
void ui_dma_close(struct ui_dma *dma); /* not inside a section */
u32 ui_dma_rid(const struct ui_dma *dma);
/*
 * @fn(@arg, fault) gets every fault that ends a read, write, copy, fill, compare or begin of the port (not
 * ui_dma_translate(), which only asks). Called on the port's thread, outside sections, before the function returns. Set
 * before the first access; NULL: none.
 */
typedef void (*ui_fault_fn)(void *arg, const struct ui_fault *fault);
void ui_dma_set_fault_sink(struct ui_dma *dma, ui_fault_fn fn, void *arg);

/*
 * Memory access by the device. All bytes were moved when UI_DMA_OK; otherwise *@done of them (from the start; may be NULL), and
 * *@fault (may be NULL) says why the next was refused. Long accesses are cut into sections of at most 64 KiB. A range that
 * wraps is UI_DMA_ADDR_SIZE as a whole; 0 bytes are UI_DMA_OK without a look. @buf is the caller's: good for @n_bytes.
 * Bytes that lie in one aligned word of 2, 4 or 8 bytes on both sides, and are that word, never tear.
 */
enum ui_dma_status ui_dma_read(struct ui_dma *dma, const struct ui_dma_addr *at, void *buf, u64 n_bytes, u64 *done, struct ui_fault *fault);
enum ui_dma_status ui_dma_write(struct ui_dma *dma, const struct ui_dma_addr *at, const void *buf, u64 n_bytes, u64 *done, struct ui_fault *fault);
/* Source and destination may be in different address spaces. @fault->access says which side it was: UI_PROT_READ or
 * UI_PROT_WRITE. Bytes are copied upwards; what an overlap leaves is not defined. */
enum ui_dma_status ui_dma_copy(struct ui_dma *dma, const struct ui_dma_addr *src, const struct ui_dma_addr *dst, u64 n_bytes, u64 *done, struct ui_fault *fault);
/* Repeats the 8 bytes of @pattern, lowest first, from the start of the range. */
enum ui_dma_status ui_dma_fill(struct ui_dma *dma, const struct ui_dma_addr *dst, u64 pattern, u64 n_bytes, u64 *done, struct ui_fault *fault);
/* UI_DMA_OK with *@differs: the bytes at *@done are not equal; without: all are. */
enum ui_dma_status ui_dma_compare(struct ui_dma *dma, const struct ui_dma_addr *a, const struct ui_dma_addr *b, u64 n_bytes, bool *differs, u64 *done, struct ui_fault *fault);

/*
 * Handles: direct access. ui_dma_begin() enters a section and resolves the first contiguous piece of [iova, iova + n_bytes);
 * the span is good until ui_dma_end(), which must follow soon and on the same thread; no ui_dma_end() after anything but
 * UI_DMA_OK. RAM behind it may belong to a program: touch it with ui_safe_* only. An MMIO span tells what is there, and
 * only ui_dma_read() and so on access it. A write handle marks pages dirty, written or not. One handle per port at a time;
 * no other ui_dma_* call on the port in between. @n_bytes is at least 1 (0 counts as 1), and a piece has at most 64 KiB.
 */
enum ui_dma_status ui_dma_begin(struct ui_dma *dma, const struct ui_dma_addr *at, unsigned access, u64 n_bytes, struct ui_mem_span *span, struct ui_fault *fault);
void ui_dma_end(struct ui_dma *dma);

/*
 * One translation without touching the memory, for tools and tests: *@out as a walk (oa = pa). Fills the TLB like any other.
 */
enum ui_dma_status ui_dma_translate(struct ui_dma *dma, const struct ui_dma_addr *at, unsigned access, struct ui_walk *out, struct ui_fault *fault);

/*
 * Where the port counts, before the first access; else in memory of its own. One port at a time counts in @stats: false, and
 * nothing changed, when *@taken says that another does. It is the port's until ui_dma_close().
 */
bool ui_dma_set_stats(struct ui_dma *dma, struct ui_stats_dev *stats, atomic_bool *taken);

/* The sums over all PASIDs; what each counts stands in translate/stats.h. */
struct ui_dma_stats {
	u64 dmas, bytes, tlb_hits, tlb_misses, walks, nested_walks, faults;
};
/* A snapshot; any thread. */
void ui_dma_stats(const struct ui_dma *dma, struct ui_dma_stats *out);

#endif
