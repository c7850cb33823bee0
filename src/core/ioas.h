/* SPDX-License-Identifier: MIT */
/*
 * I/O address space: a list of areas (what was mapped, from where) kept in step with any number of paging domains, together with
 * what may not be mapped (reserved), where automatic placement looks (allowed), and the alignment that all of it keeps.
 *
 * Threads: every function may be called from any thread, but ui_ioas_destroy(). An unmap waits for DMA sections of this IOAS's
 * domains; calls for another IOAS do not wait for it.
 * Lock order: set->moving (read) comes after ioas->domains_lock and before ioas->lock; two IOASes are never locked at a time. Those
 * who would write the first two come before readers that come later (base/rwlock.h), so that maps in a row do not keep an attach out;
 * nobody holds either twice, and what is waited for with them held (DMA sections, accesses that are pinning) takes neither.
 */
#ifndef UI_CORE_IOAS_H
#define UI_CORE_IOAS_H

#include "base/types.h"
#include "core/pages.h"
#include "core/domain.h"

struct ui_ioas;

struct ui_iova_range {
	u64 start, last;
};

/* NULL without memory. @set outlives it. */
struct ui_ioas *ui_ioas_create(struct ui_pages_set *set);
/* Unmaps everything; no domain is left in it. NULL is a no-op. */
void ui_ioas_destroy(struct ui_ioas *ioas);

/* Bytes that iovas, lengths and memory offsets must be multiples of. */
u64 ui_ioas_alignment(struct ui_ioas *ioas);
/* What is not reserved, ascending and maximal: *@n ranges in *@out, for ui_free(). 0 or -ENOMEM. */
int ui_ioas_ranges(struct ui_ioas *ioas, struct ui_iova_range **out, size_t *n);
/* Takes the list over (and empties @allowed). 0; -EADDRINUSE meets reserved space: nothing is changed. */
int ui_ioas_allow(struct ui_ioas *ioas, struct ui_ivl *allowed);
/* Nothing can be mapped in [@start, @last] until ui_ioas_unreserve(@owner). Reservations may overlap. 0; -EADDRINUSE meets an area
 * or the allowed list; -ENOMEM. */
int ui_ioas_reserve(struct ui_ioas *ioas, u64 start, u64 last, const void *owner);
void ui_ioas_unreserve(struct ui_ioas *ioas, const void *owner);
/* Off: every leaf has the page size. 0; -EINVAL a domain and an area exist; -EADDRINUSE an area is not page-aligned. */
int ui_ioas_set_huge_pages(struct ui_ioas *ioas, bool on);
bool ui_ioas_huge_pages(struct ui_ioas *ioas);

/* A part of a backing object. */
struct ui_ioas_piece {
	struct ui_pages *pages;
	u64 offset, length;
};

/*
 * Maps @pieces one after the other, each an area of its own with a reference on its object; @prot: UI_PROT_READ, UI_PROT_WRITE.
 * @fixed: at *@iova; else *@iova is found. 0; -EINVAL alignment, reserved space (fixed); -EOVERFLOW; -EEXIST meets an area; -ENOSPC no
 * place; -EPERM writing wanted and an object is not writable; -EFAULT, -EINVAL (file), -ENOMEM from the memory. On error nothing is
 * mapped.
 */
int ui_ioas_map(struct ui_ioas *ioas, const struct ui_ioas_piece *pieces, size_t n, u64 *iova, bool fixed, unsigned prot);
/* The parts that [@iova, @iova + @length) is mapped to, with references. 0; -EINVAL empty; -EOVERFLOW; -ENOENT not covered;
 * -ENOMEM. Undone by ui_ioas_pieces_put(). */
int ui_ioas_pieces_get(struct ui_ioas *ioas, u64 iova, u64 length, struct ui_ioas_piece **pieces, size_t *n);
void ui_ioas_pieces_put(struct ui_ioas_piece *pieces, size_t n);

/*
 * Removes the areas in [@start, @last]: whole areas only, ascending. *@removed: bytes. 0 (also when there are none); -ENOENT an area
 * lies partly outside, -EBUSY one is being mapped, -EDEADLK the caller is inside a section of a domain: those before it are gone.
 */
int ui_ioas_unmap(struct ui_ioas *ioas, u64 start, u64 last, u64 *removed);
/* Splits the area that contains both @iova and @iova + 1 between the two. 0 (also when there is none); -EINVAL unaligned, or huge
 * pages are on; -EBUSY it is being mapped; -ENOMEM. */
int ui_ioas_cut(struct ui_ioas *ioas, u64 iova);
/* Backing objects, each as often as an area uses it, with references. All zero: empty. */
struct ui_pages_list {
	struct ui_pages **pages;
	size_t n, room;
};
/* Adds the objects behind all areas, if they are files. 0; -EINVAL one is not a file's; -EBUSY one is being mapped; -ENOMEM. In any case
 * the list is for ui_pages_list_free(). */
int ui_ioas_list_files(struct ui_ioas *ioas, struct ui_pages_list *list);
void ui_pages_list_free(struct ui_pages_list *list);
/* Is something mapped at @iova? */
bool ui_ioas_is_mapped(struct ui_ioas *ioas, u64 iova);

/*
 * @domain gets all areas, now and in future. 0; -EINVAL its pages are larger than the page size; -EADDRINUSE areas or the allowed
 * list do not fit its alignment or aperture; -EFAULT, -EINVAL, -ENOMEM from the memory. On error nothing is changed.
 */
int ui_ioas_add_domain(struct ui_ioas *ioas, struct ui_domain *domain);
/* No device is attached to @domain any more, and it is destroyed next: its table is left as it is. */
void ui_ioas_remove_domain(struct ui_ioas *ioas, struct ui_domain *domain);
/* Leaf sizes that all domains have; all ones without a domain. */
u64 ui_ioas_page_sizes(struct ui_ioas *ioas);

/* As ui_domain_read_dirty() for a domain of the IOAS, up to the first iova that no area covers. @fn runs with the IOAS locked. */
int ui_ioas_read_dirty(struct ui_ioas *ioas, struct ui_domain *domain, u64 start, u64 last, bool keep,
		       int (*fn)(void *arg, u64 start, u64 last), void *arg);
int ui_ioas_set_dirty_tracking(struct ui_ioas *ioas, struct ui_domain *domain, bool on);
/* As ui_domain_mark_dirty() and ui_domain_lookup() for a domain of the IOAS, while nothing is mapped or unmapped there. */
int ui_ioas_mark_dirty(struct ui_ioas *ioas, struct ui_domain *domain, u64 iova);
int ui_ioas_lookup(struct ui_ioas *ioas, struct ui_domain *domain, u64 iova, struct ui_walk *out);

/*
 * Memory that hardware reads by itself: the pages of [@iova, @iova + @length) are pinned for reading and lie one after the other, and as
 * long as they are held no area that they touch can be unmapped (-EBUSY). The IOAS keeps page alignment meanwhile and outlives the hold.
 * 0 with *@hold, and in *@pa where @iova leads now: user memory may move (ui_ioas_move_pages()), so whoever reads it later asks
 * ui_ioas_hold_where(). -EINVAL empty, an area on its way out, pieces that do not meet at page borders, memory that cannot be pinned;
 * -EOVERFLOW it wraps; -ERANGE its whole pages do; -EADDRINUSE areas do not keep page alignment; -ENOENT a hole; -EPERM not readable;
 * -EFAULT not contiguous, or not present; -ENOMEM.
 */
struct ui_ioas_hold;
int ui_ioas_hold(struct ui_ioas *ioas, u64 iova, u64 length, struct ui_ioas_hold **hold, u64 *pa);
void ui_ioas_release(struct ui_ioas_hold *hold);
/* Where byte @offset of the held range lies now, and how many of its bytes follow without a break (at least 1). */
u64 ui_ioas_hold_where(struct ui_ioas_hold *hold, u64 offset, u64 *pa);

/*
 * Held pages of objects that can move, in [@old, @old + @n_bytes), go to @to: DMA to all domains concerned is held still, @move(@arg)
 * carries the bytes, and the mappings go on there. Page-aligned. Returns what @move returned; -ENOENT nothing is held there;
 * -ENOMEM, -EDEADLK: @move was not called. Unless 0 is returned nothing is changed.
 */
int ui_ioas_move_pages(struct ui_pages_set *set, u64 old, u64 n_bytes, u64 to, int (*move)(void *arg), void *arg);

#endif
