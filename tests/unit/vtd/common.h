/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the kind `vtd` share: a guest whose memory is ours and reaches devices through a NEST_PARENT domain, and
 * a writer of first-stage tables that knows nothing of src.
 */
#ifndef TEST_VTD_COMMON_H
#define TEST_VTD_COMMON_H

#include "../core/common.h"

/* Bits of first-stage entries, and what an entry that hinders nobody says. */
enum { P = 1, RW_BIT = 2, US = 4, A_BIT = 0x20, D_BIT = 0x40, PS = 0x80, FREE = P | RW_BIT | US };

/* What IOMMU_HWPT_ALLOC and IOMMU_HWPT_INVALIDATE take, as linux/iommufd.h has them. */
struct vtd_s1_data {
	u64 flags, pgtbl_addr;
	u32 addr_width, __reserved;
};
struct vtd_inv_data {
	u64 addr, npages;
	u32 flags, __reserved;
};
enum { TYPE_VTD_S1 = 1, TYPE_INV_VTD_S1 = 0, SRE = 1, EAFE = 2, WPE = 4, LEAF = 1 };
#define ALL_PAGES (~(u64)0)

enum { GUEST_PAGES = 64 };
#define GUEST_GPA 0x100000u

struct guest {
	struct world w;
	struct ui_domain *parent;
	u8 mem[GUEST_PAGES][PAGE] __attribute__((aligned(4096)));
	unsigned n_used; /* pages that tables took */
};

static inline u64 gpa_of(unsigned page)
{
	return GUEST_GPA + (u64)page * PAGE;
}

static inline u64 *entry_of(struct guest *g, u64 gpa)
{
	return (u64 *)(void *)(g->mem[0] + (gpa - GUEST_GPA));
}

/* Zeroed page for a table or for data. */
static inline u64 guest_page(struct guest *g)
{
	ui_assert(g->n_used < GUEST_PAGES);
	memset(g->mem[g->n_used], 0, PAGE);
	return gpa_of(g->n_used++);
}

static inline void store_entry(struct guest *g, u64 gpa, u64 entry)
{
	__atomic_store_n(entry_of(g, gpa), entry, __ATOMIC_RELEASE);
}

static inline u64 load_entry(struct guest *g, u64 gpa)
{
	return __atomic_load_n(entry_of(g, gpa), __ATOMIC_ACQUIRE);
}

/* gpa of the entry for @iova at @level (1: pages of 4 KiB, 2: 2 MiB, 3: 1 GiB), with tables above made as needed. */
static inline u64 guest_entry(struct guest *g, u64 top, unsigned levels, u64 iova, unsigned level)
{
	for (unsigned l = levels;; l--) {
		u64 at = top + (iova >> (12 + 9 * (l - 1)) & 511) * 8;

		if (l == level)
			return at;
		if (!(load_entry(g, at) & P))
			store_entry(g, at, guest_page(g) | FREE);
		top = load_entry(g, at) & 0xffffffffff000ull;
	}
}

/* One page of 4 KiB; returns the gpa of its entry. */
static inline u64 guest_map(struct guest *g, u64 top, unsigned levels, u64 iova, u64 gpa, u64 bits)
{
	u64 at = guest_entry(g, top, levels, iova, 1);

	store_entry(g, at, gpa | bits);
	return at;
}

static inline bool guest_open(struct guest *g, unsigned parent_flags)
{
	memset(g, 0, sizeof(*g));
	return world_open(&g->w, ui_driver_find("vtd"), 20) &&
	       !ui_domain_create_paging(g->w.dev, UI_DOMAIN_F_NEST_PARENT | parent_flags, NULL, &g->parent) &&
	       !ui_domain_map(g->parent, GUEST_GPA, pa_of(g->mem), sizeof(g->mem), RW, 64);
}

static inline void guest_close(struct guest *g)
{
	ui_domain_destroy(g->parent);
	world_close(&g->w);
}

static inline int nested_data(struct guest *g, unsigned flags, const struct vtd_s1_data *s1, struct ui_domain **out)
{
	const struct ui_user_data data = { .type = TYPE_VTD_S1, .n_bytes = sizeof(*s1), .uptr = (uintptr_t)s1 };

	return ui_device_driver(g->w.dev)->nested(g->w.dev, g->parent, flags, &data, out);
}

static inline struct ui_domain *nested_new(struct guest *g, u64 top, unsigned levels, u64 flags)
{
	const struct vtd_s1_data s1 = { .flags = flags, .pgtbl_addr = top, .addr_width = levels == 5 ? 57 : 48 };
	struct ui_domain *out = NULL;

	ui_assert(!nested_data(g, UI_DOMAIN_F_PASID, &s1, &out));
	return out;
}

static inline int invalidate_n(struct ui_domain *domain, const struct vtd_inv_data *inv, u32 n, u32 *n_done)
{
	struct ui_user_array array = { .type = TYPE_INV_VTD_S1, .entry_bytes = sizeof(*inv), .n = n, .uptr = (uintptr_t)inv };
	int ret = ui_driver_find("vtd")->invalidate(domain, &array);

	if (n_done)
		*n_done = array.n_done;
	return ret;
}

static inline int invalidate(struct ui_domain *domain, u64 addr, u64 npages, u32 flags)
{
	const struct vtd_inv_data inv = { .addr = addr, .npages = npages, .flags = flags };

	return invalidate_n(domain, &inv, 1, NULL);
}

static inline enum ui_dma_status read_at(struct guest *g, struct ui_dma_addr where, u64 *val, struct ui_fault *fault)
{
	return ui_dma_read(g->w.dma, &where, val, sizeof(*val), NULL, fault);
}

static inline enum ui_dma_status write_at(struct guest *g, struct ui_dma_addr where, u64 val, struct ui_fault *fault)
{
	return ui_dma_write(g->w.dma, &where, &val, sizeof(val), NULL, fault);
}

static inline u64 next_random(u64 *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x * 0x2545f4914f6cdd1d;
}

#endif
