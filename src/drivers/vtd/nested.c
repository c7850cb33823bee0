/* SPDX-License-Identifier: MIT */
/*
 * Nested domains of the kind `vtd`: first-stage tables (x86-64 format) that lie in the parent's address space and are
 * walked there, entry by entry.
 */
#include "drivers/vtd/vtd.h"

#include "base/bits.h"
#include "base/log.h"

#include <assert.h>
#include <errno.h>

/* IOMMU_HWPT_DATA_VTD_S1 and IOMMU_HWPT_INVALIDATE_DATA_VTD_S1. */
enum { DATA_VTD_S1 = 1, INVALIDATE_VTD_S1 = 0 };

enum { S1_SRE = 1 << 0, S1_EAFE = 1 << 1, S1_WPE = 1 << 2, S1_KNOWN = S1_SRE | S1_EAFE | S1_WPE };

/* struct iommu_hwpt_vtd_s1. */
struct vtd_s1 {
	u64 flags, pgtbl_addr;
	u32 addr_width, __reserved;
};

enum { INVALIDATE_LEAF = 1 << 0 };

/* struct iommu_hwpt_vtd_s1_invalidate. */
struct vtd_invalidate {
	u64 addr, npages;
	u32 flags, __reserved;
};

static_assert(sizeof(struct vtd_s1) == 24 && sizeof(struct vtd_invalidate) == 24, "as the user API has them");

/* What the hardware would refuse to walk; NULL: nothing. As with Linux such a domain can be made, but not attached. */
static const char *cannot_walk(const struct vtd_s1 *s1)
{
	if (s1->addr_width != UI_VTD_S1_BITS && s1->addr_width != UI_VTD_S1_BITS_5)
		return "no such address width";
	if (s1->flags & S1_EAFE)
		return "no extended accessed flag";
	if (s1->pgtbl_addr >> UI_VTD_GPA_BITS)
		return "the table lies outside the parent's address space";
	return NULL;
}

/* PASID entry fields SRE, WPE, FSPM and FSPTPTR; the low bits of the latter are no part of the address. */
static struct ui_walk_cfg walk_of(const struct vtd_s1 *s1)
{
	bool five = s1->addr_width == UI_VTD_S1_BITS_5;

	return (struct ui_walk_cfg){
		.format = UI_PT_X86_64,
		.granule_lg2 = UI_PAGE_LG2,
		.ia_bits = five ? UI_VTD_S1_BITS_5 : UI_VTD_S1_BITS,
		.oa_bits = UI_VTD_PA_BITS,
		.top_level = five ? 4 : 3,
		.top_lg2 = 9,
		.sign_extend = true,
		.set_accessed = true,
		.set_dirty = true,
		.write_protect = s1->flags & S1_WPE,
		.refused = (u8)(UI_PROT_EXEC | (s1->flags & S1_SRE ? 0 : UI_PROT_PRIV)),
		.page_sizes = UI_VTD_PAGE_SIZES,
		.top_pa = ui_align_down(s1->pgtbl_addr, UI_PAGE_BYTES),
	};
}

int ui_vtd_nested(struct ui_device *dev, struct ui_domain *parent, unsigned flags, const struct ui_user_data *data, struct ui_domain **out)
{
	struct ui_walk_cfg walk;
	struct vtd_s1 s1;
	int ret;

	if ((flags & ~(unsigned)UI_DOMAIN_F_PASID) || data->type != DATA_VTD_S1)
		return -EOPNOTSUPP;
	ret = ui_user_data_read(data, &s1, sizeof(s1), sizeof(s1));
	if (ret)
		return ret;
	if ((s1.flags & ~(u64)S1_KNOWN) || s1.__reserved)
		return -EOPNOTSUPP;
	walk = walk_of(&s1);
	ret = ui_domain_create_nested(parent, &walk, out);
	if (ret)
		return ret;
	ui_domain_set_pasid(*out, flags & UI_DOMAIN_F_PASID);
	ui_domain_set_priv(*out, (void *)(uintptr_t)cannot_walk(&s1));
	ui_log(UI_LOG_INFO, "device %s: nested domain, first stage of %u bits at %#llx%s%s", ui_device_name(dev), s1.addr_width,
	       (unsigned long long)s1.pgtbl_addr, s1.flags & S1_SRE ? ", privileged requests" : "", s1.flags & S1_WPE ? ", write protect" : "");
	return 0;
}

int ui_vtd_attach(struct ui_device *dev, u32 pasid, bool has_pasid, struct ui_domain *domain)
{
	const char *why;

	if (!domain || ui_domain_kind(domain) != UI_DOMAIN_NESTED)
		return 0;
	why = ui_domain_priv(domain);
	if (why) {
		ui_log(UI_LOG_WARN, "device %s: nested domain not attached: %s", ui_device_name(dev), why);
		return -EINVAL;
	}
	if (has_pasid)
		ui_log(UI_LOG_INFO, "device %s: nested domain attached, PASID %u", ui_device_name(dev), pasid);
	else
		ui_log(UI_LOG_INFO, "device %s: nested domain attached", ui_device_name(dev));
	return 0;
}

/*
 * The pages of one entry leave the TLBs. LEAF says that no entry above the leaves has changed: no cache holds those, so
 * it makes no difference. Nor do 0 pages any.
 */
static int invalidate_one(struct ui_domain *domain, const struct vtd_invalidate *inv)
{
	u64 last = ~(u64)0;

	if ((inv->flags & ~(u32)INVALIDATE_LEAF) || inv->__reserved)
		return -EOPNOTSUPP;
	if (!ui_is_aligned(inv->addr, UI_PAGE_BYTES) || (inv->npages == ~(u64)0 && inv->addr))
		return -EINVAL;
	if (!inv->npages)
		return 0;
	/* What reaches beyond the end of all addresses ends there. */
	if (inv->npages <= ~(u64)0 >> UI_PAGE_LG2 && !ui_range_last(inv->addr, inv->npages << UI_PAGE_LG2, &last))
		last = ~(u64)0;
	return ui_domain_invalidate(domain, inv->addr, last);
}

int ui_vtd_invalidate(struct ui_domain *domain, struct ui_user_array *array)
{
	struct vtd_invalidate inv;
	int ret = 0;

	array->n_done = 0;
	if (array->type != INVALIDATE_VTD_S1)
		return -EINVAL;
	if (array->n && array->entry_bytes != sizeof(inv))
		return -EINVAL;
	while (array->n_done < array->n) {
		ret = ui_user_array_read(array, array->n_done, &inv, sizeof(inv));
		if (!ret)
			ret = invalidate_one(domain, &inv);
		if (ret)
			return ret;
		array->n_done++;
	}
	return 0;
}
