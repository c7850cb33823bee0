/* SPDX-License-Identifier: MIT */
/*
 * Configuration space as a VFIO user sees it. The kernel's vfio-pci gives each field one of a few treatments: taken from
 * the device, kept virtually, hidden, dropped on write; here these are four arrays of bytes, filled once at BIND by a walk
 * over the function's capabilities, and a handful of fields whose writes have a meaning of their own.
 *
 * Bytes that belong to no shown capability are passed through raw, as the kernel does.
 */
#include "vfio/vfio_priv.h"

#include "base/bits.h"
#include "base/user.h"

#include <errno.h>
#include <string.h>

enum { OWNER_RAW = 0, OWNER_HEADER = 1, OWNER_FIRST_CAP = 2 };

/* What a program sees and may write of @n_bytes (at most 4) at @offset. */
static void field(struct vfio_cfg *c, unsigned offset, unsigned n_bytes, u32 virt, u32 write)
{
	for (unsigned i = 0; i < n_bytes; i++) {
		c->virt[offset + i] = (u8)(virt >> 8 * i);
		c->write[offset + i] = (u8)(write >> 8 * i);
	}
}

/* From here on these bytes are read from the function and not written, until fields say otherwise. */
static void area(struct vfio_cfg *c, unsigned offset, unsigned n_bytes, u8 owner)
{
	memset(c->owner + offset, owner, n_bytes);
	memset(c->virt + offset, 0, n_bytes);
	memset(c->write + offset, 0, n_bytes);
}

static void build_header(struct vfio_cfg *c, const struct ui_pci_model *model)
{
	area(c, 0, PCI_HEADER_BYTES, OWNER_HEADER);
	field(c, PCI_CFG_VENDOR, 4, ~0u, 0);
	field(c, PCI_CFG_COMMAND, 2, PCI_CMD_INTX_DISABLE, 0xffff);
	field(c, PCI_CFG_STATUS, 2, PCI_STATUS_CAP_LIST, 0);
	field(c, PCI_CFG_CACHE_LINE, 2, 0, 0xffff); /* and latency timer */
	field(c, PCI_CFG_BIST, 1, 0, 0xff);
	for (unsigned i = 0; i < UI_PCI_N_BARS; i++) {
		u64 mask = ~(model->bars[i].n_bytes - 1);
		bool is_64 = model->bars[i].n_bytes && model->bars[i].is_64;

		field(c, PCI_CFG_BAR0 + 4 * i, 4, ~0u, model->bars[i].n_bytes ? (u32)mask & ~0xfu : 0);
		if (is_64)
			field(c, PCI_CFG_BAR0 + 4 * ++i, 4, ~0u, (u32)(mask >> 32));
	}
	field(c, PCI_CFG_ROM, 4, ~0u, 0);
	field(c, PCI_CFG_CAPS, 1, 0xff, 0);
	field(c, PCI_CFG_INT_LINE, 2, 0xffff, 0x00ff); /* and pin */
}

static void build_pm(struct vfio_cfg *c, unsigned at)
{
	const unsigned pme = 0xf800; /* PME_Support */

	c->pm = (u16)at;
	field(c, at + PCI_PM_PMC, 2, pme, 0);
	ui_pci_put16(c->val + at + PCI_PM_PMC, ui_pci_get16(c->val + at + PCI_PM_PMC) & (u16)~pme);
	/* The power state is trapped: see pm_written(). */
	field(c, at + PCI_PM_CTRL, 2, PCI_PM_PME_ENABLE | PCI_PM_PME_STATUS,
	      0xffff ^ (PCI_PM_PME_ENABLE | PCI_PM_PME_STATUS | PCI_PM_STATE));
	ui_pci_put16(c->val + at + PCI_PM_CTRL, ui_pci_get16(c->val + at + PCI_PM_CTRL) & (u16)~(PCI_PM_PME_ENABLE | PCI_PM_PME_STATUS));
}

static unsigned msi_bytes(u16 ctrl)
{
	return 10u + (ctrl & PCI_MSI_64 ? 4 : 0) + (ctrl & PCI_MSI_PER_VECTOR_MASK ? 10 : 0);
}

static void build_msi(struct vfio_cfg *c, unsigned at)
{
	u16 ctrl = ui_pci_get16(c->val + at + PCI_MSI_CTRL);
	unsigned data = at + PCI_MSI_ADDR + (ctrl & PCI_MSI_64 ? 8 : 4);

	c->msi = (u16)at;
	field(c, at + PCI_MSI_CTRL, 1, 0xff, PCI_MSI_ENABLE | 7u << PCI_MSI_MME_SHIFT);
	field(c, at + PCI_MSI_ADDR, 4, ~0u, ~0u);
	if (ctrl & PCI_MSI_64)
		field(c, at + PCI_MSI_ADDR + 4, 4, ~0u, ~0u);
	field(c, data, 2, 0xffff, 0xffff);
	if (ctrl & PCI_MSI_PER_VECTOR_MASK) {
		field(c, data + 4, 4, 0, ~0u);
		field(c, data + 8, 4, 0, ~0u);
	}
}

static unsigned express_bytes(u16 flags)
{
	bool link = (flags >> 4 & 15) != PCI_EXP_TYPE_RCIEP;

	if ((flags & 15) == 1)
		return link ? 20 : 12;
	return link ? 60 : 44;
}

static void build_express(struct vfio_cfg *c, unsigned at)
{
	c->exp = (u16)at;
	field(c, at + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_FLR | PCI_EXP_DEVCTL_MPS | PCI_EXP_DEVCTL_MRRS, 0xffff ^ PCI_EXP_DEVCTL_PHANTOM);
	if ((ui_pci_get16(c->val + at + PCI_EXP_FLAGS) & 15) > 1)
		field(c, at + PCI_EXP_DEVCTL2, 2, 0, 0xffff ^ PCI_EXP_DEVCTL2_ARI);
}

/* Bytes of a standard capability, 0 for one that is hidden: those that no function here has, and those that the kernel
 * hides as well. */
static unsigned cap_bytes(const struct vfio_cfg *c, unsigned at, u8 id)
{
	switch (id) {
	case PCI_CAP_PM:
		return PCI_PM_BYTES;
	case PCI_CAP_MSI:
		return msi_bytes(ui_pci_get16(c->val + at + PCI_MSI_CTRL));
	case PCI_CAP_VENDOR:
		return c->val[at + 2];
	case PCI_CAP_PCIE:
		return express_bytes(ui_pci_get16(c->val + at + PCI_EXP_FLAGS));
	case PCI_CAP_MSIX:
		return PCI_MSIX_BYTES;
	default:
		return 0;
	}
}

static void build_caps(struct vfio_cfg *c)
{
	unsigned link = PCI_CFG_CAPS, at = c->val[PCI_CFG_CAPS];
	u8 owner = OWNER_FIRST_CAP;

	/* Bounded: a chain has no more capabilities than fit. */
	for (unsigned left = (PCI_CFG_STD_BYTES - PCI_HEADER_BYTES) / 4; at >= PCI_HEADER_BYTES && left; left--) {
		u8 id = c->val[at], next = c->val[at + 1];
		unsigned n_bytes = cap_bytes(c, at, id);

		if (!n_bytes || at + n_bytes > PCI_CFG_STD_BYTES) {
			c->val[link] = next;
			at = next;
			continue;
		}
		area(c, at, n_bytes, owner++);
		field(c, at + 1, 1, 0xff, 0);
		if (id == PCI_CAP_PM)
			build_pm(c, at);
		else if (id == PCI_CAP_MSI)
			build_msi(c, at);
		else if (id == PCI_CAP_PCIE)
			build_express(c, at);
		else if (id == PCI_CAP_VENDOR)
			memset(c->write + at + 2, 0xff, n_bytes - 2);
		link = at + 1;
		at = next;
	}
	if (!c->val[PCI_CFG_CAPS])
		c->val[PCI_CFG_STATUS] &= (u8)~PCI_STATUS_CAP_LIST;
}

/* As cap_bytes(), for extended capabilities. PASID is hidden from user space: who wants one attaches with it. */
static unsigned ecap_bytes(const struct vfio_cfg *c, unsigned at, u16 id)
{
	switch (id) {
	case PCI_ECAP_AER:
		return 0x48;
	case PCI_ECAP_DSN:
		return 12;
	case PCI_ECAP_POWER:
	case PCI_ECAP_PRI:
		return 16;
	case PCI_ECAP_ARI:
	case PCI_ECAP_ATS:
	case PCI_ECAP_LTR:
		return 8;
	case PCI_ECAP_SRIOV:
		return 64;
	case PCI_ECAP_VENDOR:
	case PCI_ECAP_DVSEC:
		return at + 8 <= PCI_CFG_BYTES ? ui_pci_get32(c->val + at + 4) >> 20 : 0;
	default:
		return 0;
	}
}

static void build_ecaps(struct vfio_cfg *c)
{
	unsigned at = PCI_CFG_ECAPS, link = 0, shown = 0;
	u8 owner = 0x40;

	for (unsigned left = (PCI_CFG_BYTES - PCI_CFG_STD_BYTES) / 4; at >= PCI_CFG_ECAPS && left; left--) {
		u32 header = ui_pci_get32(c->val + at);
		unsigned next = header >> 20 & 0xffc, n_bytes = ecap_bytes(c, at, (u16)header);
		bool hidden = !n_bytes || at + n_bytes > PCI_CFG_BYTES;

		if (hidden && link) {
			ui_pci_put32(c->val + link, (ui_pci_get32(c->val + link) & 0xfffff) | next << 20);
			at = next;
			continue;
		}
		/* The first cannot be unlinked: what stays of it is the pointer to the next. */
		if (hidden)
			ui_pci_put32(c->val + at, next << 20);
		else
			shown++;
		area(c, at, hidden ? 4 : n_bytes, owner++);
		field(c, at, 4, ~0u, 0);
		if (!hidden && ((u16)header == PCI_ECAP_VENDOR || (u16)header == PCI_ECAP_DVSEC))
			memset(c->write + at + 4, 0xff, n_bytes - 4);
		link = at;
		at = next;
	}
	if (!shown)
		ui_pci_put32(c->val + PCI_CFG_ECAPS, 0);
}

void ui_vfio_config_build(struct ui_vfio *v)
{
	struct vfio_cfg *c = &v->cfg;

	memset(c, 0, sizeof(*c));
	memset(c->write, 0xff, sizeof(c->write));
	ui_pci_config_read(v->pci, 0, c->val, sizeof(c->val));
	build_header(c, ui_pci_model(v->pci));
	build_caps(c);
	build_ecaps(c);
}

/* ---- fields whose writes mean something; @pos and @n: the bytes just written ---- */

static bool wrote(unsigned pos, unsigned n, unsigned byte)
{
	return pos <= byte && byte < pos + n;
}

static void hw_put16(struct ui_vfio *v, unsigned at, u16 val)
{
	u8 raw[2];

	ui_pci_put16(raw, val);
	ui_pci_config_write(v->pci, at, raw, sizeof(raw));
}

static u16 hw_get16(struct ui_vfio *v, unsigned at)
{
	u8 raw[2];

	ui_pci_config_read(v->pci, at, raw, sizeof(raw));
	return ui_pci_get16(raw);
}

static void pm_written(struct ui_vfio *v, const u8 *buf, unsigned pos)
{
	unsigned at = v->cfg.pm + (unsigned)PCI_PM_CTRL;
	u16 ctrl = hw_get16(v, at);

	hw_put16(v, at, (u16)((ctrl & ~PCI_PM_STATE) | (buf[at - pos] & PCI_PM_STATE)));
}

/* The enable bit sticks only while SET_IRQS has MSI enabled, and no more messages than it allocated. */
static void msi_written(struct ui_vfio *v)
{
	struct vfio_cfg *c = &v->cfg;
	u16 ctrl = ui_pci_get16(c->val + c->msi + PCI_MSI_CTRL);

	if (v->irqs.type != UI_VFIO_MSI)
		ctrl &= (u16)~PCI_MSI_ENABLE;
	if ((ctrl >> PCI_MSI_MME_SHIFT & 7) > c->msi_lg2)
		ctrl = (u16)((ctrl & ~(7u << PCI_MSI_MME_SHIFT)) | (unsigned)c->msi_lg2 << PCI_MSI_MME_SHIFT);
	ui_pci_put16(c->val + c->msi + PCI_MSI_CTRL, ctrl);
	hw_put16(v, c->msi + (unsigned)PCI_MSI_CTRL, ctrl);
}

static void express_written(struct ui_vfio *v)
{
	unsigned at = v->cfg.exp + (unsigned)PCI_EXP_DEVCTL;
	u16 ctl = ui_pci_get16(v->cfg.val + at), hw;
	unsigned mrrs = ctl >> 12 & 7, mps;

	if (ctl & PCI_EXP_DEVCTL_FLR) {
		ui_pci_put16(v->cfg.val + at, ctl & (u16)~PCI_EXP_DEVCTL_FLR);
		ui_pci_reset_restore(v->pci);
	}
	/* Read requests may become smaller, but not than the payload that the system chose. */
	hw = hw_get16(v, at);
	mps = hw >> 5 & 7;
	mrrs = mrrs < mps ? mps : mrrs;
	hw_put16(v, at, (u16)((hw & 0x8fff) | mrrs << 12));
}

static void written(struct ui_vfio *v, const u8 *buf, unsigned pos, unsigned n)
{
	struct vfio_cfg *c = &v->cfg;

	if (wrote(pos, n, PCI_CFG_COMMAND + 1))
		ui_vfio_intx_disable_bit(v, ui_pci_get16(c->val + PCI_CFG_COMMAND) & PCI_CMD_INTX_DISABLE);
	if (c->pm && wrote(pos, n, c->pm + (unsigned)PCI_PM_CTRL))
		pm_written(v, buf, pos);
	if (c->msi && wrote(pos, n, c->msi + (unsigned)PCI_MSI_CTRL))
		msi_written(v);
	if (c->exp && wrote(pos, n, c->exp + (unsigned)PCI_EXP_DEVCTL + 1))
		express_written(v);
}

/* ---- access ---- */

/* Bytes of one access at @pos: inside a dword and one capability, naturally aligned. */
static unsigned chunk(const struct vfio_cfg *c, unsigned pos, u64 left)
{
	unsigned n = 1;

	while (n < left && (pos + n) % 4 && c->owner[pos + n] == c->owner[pos])
		n++;
	if (n >= 4 && !(pos % 4))
		return 4;
	return n >= 2 && !(pos % 2) ? 2 : 1;
}

static void chunk_read(struct ui_vfio *v, u8 *buf, unsigned pos, unsigned n)
{
	ui_pci_config_read(v->pci, pos, buf, n);
	for (unsigned i = 0; i < n; i++)
		buf[i] = (u8)((buf[i] & ~v->cfg.virt[pos + i]) | (v->cfg.val[pos + i] & v->cfg.virt[pos + i]));
}

static void chunk_write(struct ui_vfio *v, const u8 *buf, unsigned pos, unsigned n)
{
	struct vfio_cfg *c = &v->cfg;
	u8 hw[4], changed = 0;

	ui_pci_config_read(v->pci, pos, hw, n);
	for (unsigned i = 0; i < n; i++) {
		u8 write = c->write[pos + i], virt = c->virt[pos + i];

		c->val[pos + i] = (u8)((c->val[pos + i] & ~(write & virt)) | (buf[i] & write & virt));
		hw[i] = (u8)((hw[i] & ~(write & ~virt)) | (buf[i] & write & ~virt));
		changed |= (u8)(write & ~virt);
	}
	if (changed)
		ui_pci_config_write(v->pci, pos, hw, n);
	written(v, buf, pos, n);
}

s64 ui_vfio_config_rw(struct ui_vfio *v, void *buf, u64 n_bytes, u64 pos, bool write)
{
	u64 done = 0;

	if (pos >= PCI_CFG_BYTES || n_bytes > PCI_CFG_BYTES - pos)
		return -EFAULT;
	while (done < n_bytes) {
		unsigned at = (unsigned)(pos + done);
		u64 user = (u64)(uintptr_t)buf + done; /* as in bar_rw() */
		u8 raw[4];
		unsigned n = chunk(&v->cfg, at, n_bytes - done);

		if (write && ui_user_read(raw, user, n))
			return -EFAULT;
		pthread_mutex_lock(&v->lock);
		if (write)
			chunk_write(v, raw, at, n);
		else
			chunk_read(v, raw, at, n);
		pthread_mutex_unlock(&v->lock);
		if (!write && ui_user_write(user, raw, n))
			return -EFAULT;
		done += n;
	}
	return (s64)done;
}
