/* SPDX-License-Identifier: MIT */
/*
 * Page tables: one table, many formats. This is what the layers above call; what a format supplies is in fmt.h.
 *
 * Threads: one writer at a time (map, unmap, dirty reads, dump: the caller's lock), any number of concurrent walkers,
 * which take no lock. A walker may still stand on a table page or hold a translation that unmap has just removed: unmap
 * gives the pages back in a gather list, and the caller frees it after the walkers that could have seen them are gone
 * (and after its TLB is clean).
 */
#ifndef UI_PGTABLE_H
#define UI_PGTABLE_H

#include "base/bits.h"
#include "base/list.h"
#include "base/types.h"

/* What an access wants, what a mapping grants. */
enum {
	UI_PROT_READ = 1,
	UI_PROT_WRITE = 2,
	UI_PROT_EXEC = 4,
	UI_PROT_PRIV = 8,  /* access: privileged; mapping: only for privileged accesses */
	/* Mapping: device memory type where the format has one. Access: of a walk's own, which must not meet such memory (Arm
	 * stage 2; others do not look). */
	UI_PROT_MMIO = 16,
};

/* Why a walk ended without an answer. */
enum ui_walk_status {
	UI_WALK_OK,
	UI_WALK_TRANSLATION, /* an entry on the way is not present */
	UI_WALK_ADDR_SIZE,   /* the input or an output address is outside the configured range */
	UI_WALK_ACCESS,      /* access flag clear where software keeps it */
	UI_WALK_PERMISSION,  /* present, does not grant the access */
	UI_WALK_RESERVED,    /* an entry has a reserved bit or value */
	UI_WALK_ABORT,       /* an entry could not be read or updated */
};

struct ui_walk {
	u64 oa;           /* output address of the exact input address */
	u8 leaf_lg2;      /* size of the leaf that answered, log2 bytes */
	u8 level;         /* level of the last entry looked at, 0 the lowest */
	bool dirty;       /* the leaf is (now) marked dirty, or the format has no dirty bit: a TLB may cache it writable */
	/* UI_PROT_* that the whole walk grants to accesses as privileged as this one (set for UI_WALK_PERMISSION too). With
	 * UI_PROT_PRIV only to privileged ones: a TLB refuses others. An unprivileged walk's answer says nothing of EXEC for
	 * privileged accesses: a TLB that serves both keeps them apart. */
	u8 prot;
	u8 memattr;       /* the format's memory attribute, raw */
};

/*
 * Where table pages live: memory that uiommu owns, so a direct pointer is always good: host address = pa + delta.
 * alloc returns zeroed memory of @n_bytes (a power of two), aligned to its size, or NULL.
 */
struct ui_pt_pages {
	void *(*alloc)(struct ui_pt_pages *pages, size_t n_bytes);
	void (*free)(struct ui_pt_pages *pages, void *page, size_t n_bytes);
	uintptr_t delta;
};

/* Table pages taken out by unmap, to be freed when nobody can stand on them. */
struct ui_pt_gather {
	/* Chained through entry 0 of the pages: a walker that still stands there sees entries that are not present, and the
	 * chain word, which is page-aligned and so not present in every format. Start zeroed; unmaps may share one. */
	void *first;
	u64 n_pages;
	bool cut; /* entries other than leaves were removed: a cache of upper levels must be told */
};

enum ui_pt_format {
	UI_PT_TOY,    /* tests: two levels of two entries, two page sizes */
	UI_PT_X86_64, /* 4 or 5 levels; VT-d first stage, `generic` */
	UI_PT_VTDSS,  /* VT-d second stage */
	UI_PT_ARM_S1, /* VMSAv8-64 stage 1 */
	UI_PT_ARM_S2,
	UI_PT_MOCK,   /* the kind mock: every power of two from 2 KiB to 4 MiB */
	UI_PT_MOCK_HUGE, /* the same: 4 KiB and 1 MiB */
	UI_PT_N_FORMATS,
};

struct ui_pt_cfg {
	enum ui_pt_format format;
	u8 granule_lg2;   /* 12; Arm also 14 and 16; mock 11, toy 4 */
	u8 ia_bits;       /* input address bits: 39, 48, 57, ... as the format allows */
	u8 oa_bits;       /* output address bits */
	bool sign_extend; /* x86 first stage: addresses are canonical, only the lower half is mapped */
	bool upper;       /* Arm stage 1: input addresses are the last 2^ia_bits ones (TTBR1), as devices send them */
	bool global;      /* Arm stage 1: leaves are not of one address space only (nG = 0) */
	bool dirty_track; /* mappings start clean; writes set the dirty state */
	/* Bit n: map may use leaves of 2^n bytes; 0: all the format has (ui_pt_init fills them in). Holds the granule and has no
	 * gaps. It binds map, not what is mapped already: for one call with smaller leaves, map through a copy of the ui_pt
	 * with fewer sizes and take its n_table_bytes over. */
	u64 page_sizes;
	struct ui_pt_pages *pages;
};

struct ui_pt;
struct ui_pt_dump_entry;

/* What happens when a range covers a part of a large leaf. */
enum ui_pt_partial {
	UI_PT_SPLIT,  /* the leaf is replaced by a table of smaller leaves, the rest stays mapped without a gap */
	UI_PT_REFUSE, /* -EBUSY, nothing is changed */
};

/*
 * Everything a format can do, instantiated from the algorithms. All addresses are bytes; ranges are start/last,
 * inclusive, granule-aligned.
 */
struct ui_pt_ops {
	const char *name;
	/* Maps [@iova, @iova + @length) to @oa onwards with the largest leaves that alignment and page_sizes allow.
	 * 0; -EEXIST when any part is mapped; -ERANGE outside ia/oa bits; -EINVAL unaligned or empty or a prot the
	 * format cannot express (neither read nor write; PRIV where there is no such bit); -ENOMEM. On error nothing was
	 * mapped at any moment, so no walker can have seen a part of it. @gather may be NULL: no format gives pages today. */
	int (*map)(struct ui_pt *pt, u64 iova, u64 oa, u64 length, unsigned prot, struct ui_pt_gather *gather);
	/* Removes what is mapped in the range; holes, and what lies outside the address space, are skipped. Returns the bytes
	 * removed, or -EBUSY (UI_PT_REFUSE), -ENOMEM (a split had no memory), -EINVAL (unaligned): then nothing was changed.
	 * Tables that are empty now go to @gather. */
	s64 (*unmap)(struct ui_pt *pt, u64 start, u64 last, enum ui_pt_partial partial, struct ui_pt_gather *gather);
	/*
	 * Gives what is mapped in the range new output addresses, @oa for @start and so on, in place: rights and dirty state stay,
	 * walkers see the old or the new page and never a gap. Leaves stay as large as the new alignment allows; those cut by an
	 * end are split. Holes are skipped. 0; -EINVAL, -ERANGE as map; -ENOMEM: leaves may be smaller, but no address changed.
	 */
	int (*repoint)(struct ui_pt *pt, u64 start, u64 last, u64 oa);
	/* Walks one address for an access of UI_PROT_*, with direct loads; sets accessed and dirty bits as the format
	 * does. An access without READ, WRITE and EXEC is a look-up: no right is checked, nothing is marked. Lock-free. */
	enum ui_walk_status (*walk)(const struct ui_pt *pt, u64 iova, unsigned access, struct ui_walk *out);
	/* Calls @fn(arg, start, last) for each dirty leaf that meets the range (clipped to it), in order, and makes it clean
	 * first unless @keep. A leaf that reaches out of the range is reported and stays dirty: else the mark of its other part
	 * would be lost. Stops at a negative return, and returns it. 0; -EINVAL; -EOPNOTSUPP without dirty_track. */
	int (*dirty)(struct ui_pt *pt, u64 start, u64 last, bool keep, int (*fn)(void *arg, u64 start, u64 last), void *arg);
	/* Marks the leaf at @iova dirty, as a device write would. 0; -ENOENT: no leaf there that may be written; -EOPNOTSUPP
	 * without dirty_track. */
	int (*mark_dirty)(struct ui_pt *pt, u64 iova);
	/* Calls @fn for every present entry, depth first: leaves and tables. Stops at a negative return. */
	int (*dump)(const struct ui_pt *pt, int (*fn)(void *arg, const struct ui_pt_dump_entry *entry), void *arg);
};

struct ui_pt_dump_entry {
	u64 iova;     /* first input address under the entry */
	u64 entry;    /* raw */
	u64 oa;       /* leaf: output; table: pa of the next table */
	u8 level, lg2; /* lg2: input bytes under the entry */
	bool leaf, dirty, accessed;
	u8 prot;      /* leaf: UI_PROT_* after the tables above */
};

struct ui_pt {
	const struct ui_pt_ops *ops;
	struct ui_pt_cfg cfg;
	u64 top_pa;      /* pa of the top table; fixed for life */
	u8 top_level;
	u8 top_lg2;      /* log2 entries of the top table (concatenated stage-2 roots: more than one table) */
	uintptr_t delta; /* copy of cfg.pages->delta */
	u64 usual_end;   /* addresses below take the straight walk; 0: none do, this is no table of four levels of 4 KiB */
	u64 n_table_bytes;
};

/* 0; -EINVAL when the format does not have the geometry; -ENOMEM. */
int ui_pt_init(struct ui_pt *pt, const struct ui_pt_cfg *cfg);
/* Frees every table page at once: nobody walks any more. */
void ui_pt_fini(struct ui_pt *pt);
/* Frees what unmap or map gathered; @g is empty afterwards. */
void ui_pt_gather_free(struct ui_pt *pt, struct ui_pt_gather *g);
const struct ui_pt_ops *ui_pt_ops(enum ui_pt_format format);
/* Page sizes the format has with @cfg's granule and address bits, as a mask of bit n = 2^n bytes; 0 when it has no such
 * geometry. */
u64 ui_pt_page_sizes(const struct ui_pt_cfg *cfg);

/*
 * The walk of a table that somebody else wrote, or that lies behind another stage: reads entries through @mem.
 * Nothing in the table is trusted.
 */
struct ui_walk_mem {
	/* Reads the 8 bytes of the entry at @addr (an output address of this stage's table pointers: for a nested
	 * first stage an ipa, which the callee translates). Anything but UI_WALK_OK ends the walk with that status. */
	enum ui_walk_status (*load)(void *arg, u64 addr, u64 *entry);
	/* Compare and swap for accessed and dirty updates: UI_WALK_OK with *swapped. */
	enum ui_walk_status (*cmpxchg)(void *arg, u64 addr, u64 expected, u64 desired, bool *swapped);
	void *arg;
};

/* What a walker must know of a table: filled from a ui_pt, or from a structure that a guest wrote. */
struct ui_walk_cfg {
	enum ui_pt_format format;
	u8 granule_lg2, ia_bits, oa_bits;
	u8 top_level, top_lg2;
	bool sign_extend;
	bool upper;        /* the last 2^ia_bits addresses, not the first */
	bool set_accessed; /* the walker sets accessed bits (else a clear one is as the format says) */
	bool set_dirty;    /* the walker sets dirty bits; else a write to a clean page is as the format says */
	bool write_protect; /* x86: supervisor writes honour R/W = 0 (WPE) */
	u8 refused;         /* UI_PROT_*: accesses that ask for any of it are refused as a whole (VT-d: PRIV without SRE, EXEC without ERS) */
	/* Arm; of stage 1 but for the first two. Which field of an STE or CD each is: pgtable/arm.h. */
	bool no_access_fault; /* a clear access flag faults never (AFFD) */
	bool wide_64k;        /* 64 KiB: bits 15:12 of entries are address bits 51:48, whatever oa_bits; blocks of 4 TiB */
	bool no_table_attrs;  /* rights in table entries are ignored (HAD) */
	bool write_no_exec;   /* what may be written does not execute (WXN) */
	bool priv_no_user;    /* privileged accesses do not read or write what unprivileged ones may (PAN) */
	bool one_privilege;   /* EL2 without E2H, EL3: every access is privileged, AP[1] and PXN mean nothing */
	u64 page_sizes; /* x86, VT-d: leaves that the hardware has, bit n = 2^n bytes; others are reserved; 0: all */
	u64 reserved;   /* further bits that are reserved in every present entry (VT-d: 11 without snoop control, ...) */
	u64 top_pa;
};

void ui_pt_walk_cfg(const struct ui_pt *pt, struct ui_walk_cfg *out);
/* Walks as ui_pt_ops.walk does. A @cfg that no table can have (levels, granule, bits) is UI_WALK_RESERVED; an entry that changes
 * faster than it can be marked is UI_WALK_ABORT. */
enum ui_walk_status ui_walk_table(const struct ui_walk_cfg *cfg, const struct ui_walk_mem *mem, u64 iova, unsigned access,
				  struct ui_walk *out);

/* A table on the way of a walk, with all that the walk needs to know of the tables above it. */
struct ui_walk_at {
	u64 table; /* its address, as ui_walk_mem.load would be given it */
	u64 acc;   /* what the tables above leave of rights, in the format's own encoding */
	u8 level;
	u8 lg2;    /* log2 of the input bytes under the table; 0: none, a walk begins at the top */
};
/* As ui_walk_table(), from *@at on, which an earlier walk with this @cfg left for an address under the same table. *@at becomes
 * the last table looked at, with lg2 0 when there was none. */
enum ui_walk_status ui_walk_table_at(const struct ui_walk_cfg *cfg, const struct ui_walk_mem *mem, u64 iova, unsigned access,
				     struct ui_walk *out, struct ui_walk_at *at);

/* What one entry of a foreign table says, whoever asks: for tools. */
struct ui_walk_look {
	u64 iova, addr; /* ui_walk_scan(): the first input address under it; where it lies */
	u64 entry;
	/* UI_WALK_OK: a table or a leaf; UI_WALK_TRANSLATION: absent; UI_WALK_RESERVED, UI_WALK_ADDR_SIZE: as a walk finds it (the rest
	 * is told nevertheless); ui_walk_scan(): what ui_walk_mem.load said */
	enum ui_walk_status status;
	u64 oa;         /* leaf: output; table: address of the next */
	u64 acc;        /* what the tables down to and with this one leave of rights, in the format's encoding */
	u8 level, lg2;  /* lg2: input bytes under the entry */
	u8 prot;        /* leaf: UI_PROT_* that it grants, after the tables above, to an access as privileged as the one asked about */
	u8 memattr;     /* leaf */
	bool leaf, accessed, dirty, clean; /* clean: may be written, but a write must mark it first */
};

/* ui_walk_look.acc above the top. */
u64 ui_walk_look_start(const struct ui_walk_cfg *cfg);
/* @entry at @level under tables that leave @acc, for an access of UI_PROT_*. @cfg is one that walks accept. */
void ui_walk_look(const struct ui_walk_cfg *cfg, unsigned level, u64 entry, u64 acc, unsigned access, struct ui_walk_look *out);
/*
 * Calls @fn for every entry that is not absent and under which an address from @start to @last lies, depth first: tables, leaves, what
 * walks refuse, what cannot be read. Stops at a negative return, and returns it; a table that leads to itself ends with the levels, but
 * that may be after 2^48 calls. 0; -EINVAL: a walk with @cfg is UI_WALK_RESERVED. Nothing is marked.
 */
int ui_walk_scan(const struct ui_walk_cfg *cfg, const struct ui_walk_mem *mem, u64 start, u64 last,
		 int (*fn)(void *arg, const struct ui_walk_look *look), void *arg);

#endif
