/* SPDX-License-Identifier: MIT */
/*
 * Domains and attachments. A domain is exactly one translation and holds a table top, never a structure of the vendor's; an
 * attachment ties a device, with a PASID or without, to a domain.
 *
 * Threads: each domain has one writer at a time (the caller's lock: the IOAS's); attach, replace and detach of one device are
 * serialised by the device's group. DMA goes on all the while, lock-free.
 */
#ifndef UI_CORE_DOMAIN_H
#define UI_CORE_DOMAIN_H

#include "base/types.h"
#include "core/iommu.h"
#include "pgtable/pgtable.h"

enum ui_domain_kind {
	UI_DOMAIN_BLOCKED,  /* every DMA is refused */
	UI_DOMAIN_IDENTITY, /* iova = pa */
	UI_DOMAIN_PAGING,   /* a table that uiommu writes on map and unmap */
	UI_DOMAIN_NESTED,   /* a stage-1 table that the user writes, over a paging parent */
	UI_DOMAIN_PROCESS,  /* a process's own address space */
};

enum {
	UI_DOMAIN_F_DIRTY = 1,       /* dirty tracking can be read */
	UI_DOMAIN_F_NEST_PARENT = 2, /* nested domains may lie over it */
	UI_DOMAIN_F_PASID = 4,       /* may be attached with PASIDs */
};

struct ui_domain;

/* Data of the caller's for the driver half, as a call names it (base/user.h). n_bytes 0: none. */
struct ui_user_data {
	u32 type;
	u32 n_bytes;
	u64 uptr;
};

/* A paging domain as the kind makes them for @dev. @data: NULL: none. 0 with *@out; -EOPNOTSUPP flags or data the driver does not
 * have; -EINVAL malformed data; -EFAULT; -ENOMEM; -ENOSPC no tag left. */
int ui_domain_create_paging(struct ui_device *dev, unsigned flags, const struct ui_user_data *data, struct ui_domain **out);
/*
 * A nested domain: @s1 is a stage-1 table that the user writes, whose own addresses and outputs are @parent's inputs; NULL: stage 1
 * lets every address through. @parent: paging, made with UI_DOMAIN_F_NEST_PARENT, outlives the nested domain. Flags:
 * UI_DOMAIN_F_PASID. 0 with *@out; -EINVAL no such parent, or a geometry the format does not have; -ENOMEM; -ENOSPC. Called by
 * driver halves, which know how a user describes such a table: see ui_driver_ops.nested.
 */
int ui_domain_create_nested(struct ui_domain *parent, const struct ui_walk_cfg *s1, struct ui_domain **out);
/* A nested domain may be attached with PASIDs if @allowed, whatever its parent may. Before it is attached. */
void ui_domain_set_pasid(struct ui_domain *domain, bool allowed);
/* What the driver half keeps with a domain; it goes to ui_driver_ops.domain_gone at the end. */
void ui_domain_set_priv(struct ui_domain *domain, void *priv);
void *ui_domain_priv(const struct ui_domain *domain);
/* Of a nested domain; NULL for others. */
struct ui_domain *ui_domain_parent(const struct ui_domain *domain);
/* Nested domains: the user changed its stage-1 table for [@start, @last]. 0; -EDEADLK from inside a section of the domain. */
int ui_domain_invalidate(struct ui_domain *domain, u64 start, u64 last);
/* The iommu's one blocked and one identity domain; not to be destroyed. */
struct ui_domain *ui_domain_blocked(struct ui_iommu *iommu);
struct ui_domain *ui_domain_identity(struct ui_iommu *iommu);
/* No attachment is left. NULL is a no-op. */
void ui_domain_destroy(struct ui_domain *domain);

enum ui_domain_kind ui_domain_kind(const struct ui_domain *domain);
unsigned ui_domain_flags(const struct ui_domain *domain);
struct ui_iommu *ui_domain_iommu(const struct ui_domain *domain);
/* Leaf sizes, bit n = 2^n bytes; lowest bit: the granule. */
u64 ui_domain_page_sizes(const struct ui_domain *domain);
/* Addresses that can be mapped, inclusive. */
void ui_domain_aperture(const struct ui_domain *domain, u64 *start, u64 *last);

/* Paging domains only. Errors as ui_pt_ops.map: 0, -EEXIST, -ERANGE, -EINVAL, -ENOMEM. @max_lg2: no leaf larger than this (64: no limit). */
int ui_domain_map(struct ui_domain *domain, u64 iova, u64 pa, u64 length, unsigned prot, unsigned max_lg2);
/* Removes; when it returns no DMA can reach the pages any more (TLBs clean, sections drained, table pages freed).
 * Bytes removed; -EBUSY, -ENOMEM as ui_pt_ops.unmap; -EDEADLK from inside a section of this domain, nothing changed. */
s64 ui_domain_unmap(struct ui_domain *domain, u64 start, u64 last, enum ui_pt_partial partial);
/* Table lookup without access rights, as tools and the mock want it. 0 or -ENOENT; -EOPNOTSUPP for a nested domain
 * (ui_dma_translate() walks those). */
int ui_domain_lookup(struct ui_domain *domain, u64 iova, struct ui_walk *out);
/* Dirty state; see ui_pt_ops.dirty; any @start and @last, the calls of @fn are clipped to them. @fn is told of leaves in a row at once;
 * what it refuses, and what comes behind, stays dirty. Clearing cleans the TLBs before it
 * returns: bytes written meanwhile may show in this report only, bytes written later show in the next; so read the pages after it
 * returned, not in @fn. 0, @fn's negative return, -EOPNOTSUPP without UI_DOMAIN_F_DIRTY, -EDEADLK when clearing from inside a section. */
int ui_domain_read_dirty(struct ui_domain *domain, u64 start, u64 last, bool keep, int (*fn)(void *arg, u64 start, u64 last), void *arg);
/* 0; -ENOENT not mapped; -EOPNOTSUPP without UI_DOMAIN_F_DIRTY. */
int ui_domain_mark_dirty(struct ui_domain *domain, u64 iova);
/* Switching on starts with everything clean; on or off twice succeeds. 0; -EOPNOTSUPP; -EDEADLK. */
int ui_domain_set_dirty_tracking(struct ui_domain *domain, bool on);
bool ui_domain_dirty_tracking(const struct ui_domain *domain);

/*
 * Moving pages under live mappings: with the gate closed DMA waits outside; ui_domain_repoint() gives what is mapped in [@start, @last]
 * new output addresses from @pa on (holes stay holes, rights and dirty state stay what they are); then the gate opens. The gate
 * holds the domain's nested domains too; the thread that closed it opens it, soon, and nothing else changes the domain meanwhile.
 * gate_close: 0; -EDEADLK from inside a section. repoint: 0; -EINVAL unaligned, -ERANGE, -ENOMEM (a large leaf had to be split): then
 * every address still leads where it did.
 */
int ui_domain_gate_close(struct ui_domain *domain);
void ui_domain_gate_open(struct ui_domain *domain);
int ui_domain_repoint(struct ui_domain *domain, u64 start, u64 last, u64 pa);

/* A range of addresses that devices of a kind must not find mapped. */
struct ui_resv {
	u64 start, last;
	bool msi; /* the interrupt window */
};
/* Reserved ranges for @dev: *@n of them, owned by the iommu, constant. */
const struct ui_resv *ui_device_reserved(struct ui_device *dev, size_t *n);
struct ui_iommu *ui_device_iommu(const struct ui_device *dev);
u8 ui_device_pasid_bits(const struct ui_device *dev);
/* Dirty tracking possible on domains of this device. */
bool ui_device_dirty_capable(struct ui_device *dev);

/*
 * Attach. The attachment replaces what was there without a moment in which the device sees neither; when it returns no DMA goes by
 * the old answer. Devices that share a group attach together: this attaches them all, and "attached" is a state of the group.
 * @label is given back by ui_device_attached(). 0; on error nothing changed:
 * -EBUSY @replace is false and something is attached; -EINVAL the domain is another iommu's, the PASID is out of range, or the domain
 * was made without UI_DOMAIN_F_PASID; -EOPNOTSUPP the kind has no PASIDs; -ENOMEM; -EDEADLK from inside a section of
 * the domain attached before; or what the driver returned.
 */
int ui_device_attach(struct ui_device *dev, u32 pasid, bool has_pasid, struct ui_domain *domain, bool replace, void *label);
/* Nothing attached is a no-op. Afterwards the device is blocked there and no DMA goes by the old answer. 0; -EDEADLK from inside a
 * section of the domain attached, nothing changed. */
int ui_device_detach(struct ui_device *dev, u32 pasid, bool has_pasid);
/* The domain attached, or NULL; *@label may be NULL. */
struct ui_domain *ui_device_attached(struct ui_device *dev, u32 pasid, bool has_pasid, void **label);
/* True for a device and itself, too. */
bool ui_device_same_group(const struct ui_device *a, const struct ui_device *b);
/* Attachments with a PASID, of the group. */
unsigned ui_device_n_pasids(struct ui_device *dev);

/* Who owns the DMA of the device's group: one context at a time. -EBUSY when another does; the same owner may claim again, and
 * releases as often. */
int ui_device_claim(struct ui_device *dev, void *owner);
void ui_device_release(struct ui_device *dev, void *owner);

#endif
