/* SPDX-License-Identifier: MIT */
/*
 * Configuration space as the function has it: three arrays of bytes (values, writable bits, reset values), built once
 * from the model, and what a write sets off.
 */
#include "devices/pci_priv.h"

#include <string.h>

/* Puts a field of @n_bytes: its reset value and the bits that a write changes. */
static void field(struct ui_pci *pci, unsigned offset, unsigned n_bytes, u32 reset, u32 writable)
{
	for (unsigned i = 0; i < n_bytes; i++) {
		pci->reset[offset + i] = (u8)(reset >> 8 * i);
		pci->wmask[offset + i] = (u8)(writable >> 8 * i);
	}
}

struct builder {
	struct ui_pci *pci;
	unsigned next;  /* free space for standard capabilities */
	unsigned link_at; /* where the last one (or the header) points to the next */
};

/* Appends a standard capability of @n_bytes; returns its offset. The space is dword-aligned and the models' few
 * capabilities always fit: what does not is a programmer's error. */
static u16 cap_add(struct builder *b, u8 id, unsigned n_bytes)
{
	unsigned at = b->next;

	ui_assert(at + n_bytes <= PCI_CFG_STD_BYTES);
	b->next = (at + n_bytes + 3) & ~3u;
	field(b->pci, b->link_at, 1, at, 0);
	field(b->pci, at, 1, id, 0);
	b->link_at = at + 1;
	return (u16)at;
}

static void build_header(struct ui_pci *pci)
{
	const struct ui_pci_model *m = pci->model;

	field(pci, PCI_CFG_VENDOR, 2, m->vendor, 0);
	field(pci, PCI_CFG_DEVICE, 2, m->device, 0);
	/* No BAR is I/O, so that bit stays 0. */
	field(pci, PCI_CFG_COMMAND, 2, 0, PCI_CMD_MEM | PCI_CMD_MASTER | PCI_CMD_PARITY | PCI_CMD_SERR | PCI_CMD_INTX_DISABLE);
	field(pci, PCI_CFG_STATUS, 2, PCI_STATUS_CAP_LIST, 0);
	field(pci, PCI_CFG_REVISION, 4, (u32)m->revision | m->class_code << 8, 0);
	field(pci, PCI_CFG_CACHE_LINE, 1, 0, 0xff);
	field(pci, PCI_CFG_SUBVENDOR, 4, (u32)m->subvendor | (u32)m->subdevice << 16, 0);
	field(pci, PCI_CFG_INT_LINE, 1, 0, 0xff);
	field(pci, PCI_CFG_INT_PIN, 1, m->pin, 0);
}

static void build_bars(struct ui_pci *pci)
{
	for (unsigned i = 0; i < UI_PCI_N_BARS; i++) {
		const struct ui_pci_bar *bar = &pci->model->bars[i];
		u64 mask = ~(bar->n_bytes - 1);
		u32 type = (bar->is_64 ? PCI_BAR_64 : 0) | (bar->prefetch ? PCI_BAR_PREFETCH : 0);

		if (!bar->n_bytes)
			continue;
		field(pci, PCI_CFG_BAR0 + 4 * i, 4, type, (u32)mask & ~0xfu);
		if (bar->is_64)
			field(pci, PCI_CFG_BAR0 + 4 * ++i, 4, 0, (u32)(mask >> 32));
	}
}

static void build_pm(struct builder *b)
{
	u16 at = b->pci->cap_pm = cap_add(b, PCI_CAP_PM, PCI_PM_BYTES);

	field(b->pci, at + PCI_PM_PMC, 2, 3, 0);
	/* Leaving D3hot keeps the state: a reset has its own door. D1 and D2 do not exist; config_write() refuses them. */
	field(b->pci, at + PCI_PM_CTRL, 2, PCI_PM_NO_SOFT_RESET, PCI_PM_STATE);
}

static void build_messages(struct builder *b)
{
	const struct ui_pci_model *m = b->pci->model;
	u16 at;

	if (m->n_msi_lg2 != 0xff) {
		at = b->pci->cap_msi = cap_add(b, PCI_CAP_MSI, PCI_MSI_64_BYTES);
		field(b->pci, at + PCI_MSI_CTRL, 2, (u32)m->n_msi_lg2 << PCI_MSI_MMC_SHIFT | PCI_MSI_64,
		      PCI_MSI_ENABLE | 7u << PCI_MSI_MME_SHIFT);
		field(b->pci, at + PCI_MSI_ADDR, 4, 0, ~3u);
		field(b->pci, at + PCI_MSI_ADDR + 4, 4, 0, ~0u);
		field(b->pci, at + PCI_MSI_ADDR + 8, 2, 0, 0xffff);
	}
	if (m->n_msix) {
		at = b->pci->cap_msix = cap_add(b, PCI_CAP_MSIX, PCI_MSIX_BYTES);
		field(b->pci, at + PCI_MSIX_CTRL, 2, m->n_msix - 1u, PCI_MSIX_FUNC_MASK | PCI_MSIX_ENABLE);
		field(b->pci, at + PCI_MSIX_TABLE, 4, m->msix_bar, 0);
		field(b->pci, at + PCI_MSIX_PBA, 4, (u32)m->msix_bar | UI_PCI_MSIX_PBA_OFFSET, 0);
	}
}

static void build_express(struct builder *b)
{
	u16 at = b->pci->cap_exp = cap_add(b, PCI_CAP_PCIE, PCI_EXP_BYTES);
	u32 end_end_prefix = b->pci->pasid_bits ? 1u << 21 : 0; /* PASIDs travel in a prefix */

	field(b->pci, at + PCI_EXP_FLAGS, 2, 2, 0); /* version 2, endpoint */
	/* 256-byte payloads, extended tags, role-based errors, FLR. */
	field(b->pci, at + PCI_EXP_DEVCAP, 4, 1u | 1u << 5 | 1u << 15 | PCI_EXP_DEVCAP_FLR, 0);
	/* Reset: relaxed ordering, extended tags, no snoop, 512-byte reads. */
	field(b->pci, at + PCI_EXP_DEVCTL, 2, 1u << 4 | 1u << 8 | 1u << 11 | 2u << 12,
	      0xfu | 1u << 4 | PCI_EXP_DEVCTL_MPS | 1u << 8 | 1u << 11 | PCI_EXP_DEVCTL_MRRS | PCI_EXP_DEVCTL_FLR);
	field(b->pci, at + PCI_EXP_LNKCAP, 4, 1u | 1u << 4, 0); /* 2.5 GT/s, one lane */
	field(b->pci, at + PCI_EXP_LNKCTL, 2, 0, 0x3u | 1u << 3 | 1u << 6 | 1u << 7 | 1u << 8);
	field(b->pci, at + PCI_EXP_LNKSTA, 2, 1u | 1u << 4, 0);
	field(b->pci, at + PCI_EXP_DEVCAP2, 4, 1u << 4 | end_end_prefix, 0);
	field(b->pci, at + PCI_EXP_DEVCTL2, 2, 0, 1u << 4);
	field(b->pci, at + PCI_EXP_LNKCAP2, 4, 1u << 1, 0);
	field(b->pci, at + PCI_EXP_LNKCTL2, 2, 1, 0);
}

static void build_vendor(struct builder *b)
{
	const struct ui_pci_model *m = b->pci->model;

	for (unsigned n = 0; n < m->n_vendor_caps; n++) {
		const struct ui_pci_vendor_cap *cap = &m->vendor_caps[n];
		u16 at = cap_add(b, PCI_CAP_VENDOR, cap->n_bytes);

		for (unsigned i = 2; i < cap->n_bytes; i++)
			field(b->pci, at + i, 1, cap->bytes[i - 2], i >= 4 && i < 4u + cap->n_writable ? 0xff : 0);
		if (!cap->window)
			continue;
		ui_assert(!b->pci->cap_window && m->window_read && m->window_write);
		b->pci->cap_window = at;
		b->pci->window = (u16)(at + cap->n_bytes - 4);
	}
}

/* Does an access of @n bytes at @offset meet the window of a vendor capability? */
static bool meets_window(const struct ui_pci *pci, u32 offset, u32 n)
{
	return pci->cap_window && offset < pci->window + 4u && offset + n > pci->window;
}

static void window_fill(struct ui_pci *pci)
{
	u32 val = pci->model->window_read(pci->state, pci->cfg + pci->cap_window);

	memcpy(pci->cfg + pci->window, &val, sizeof(val));
}

/* The bytes written, the others as they were last seen. */
static void window_write(struct ui_pci *pci, u32 offset, const u8 *buf, u32 n)
{
	u32 val;

	for (u32 i = 0; i < n; i++) {
		if (offset + i >= pci->window && offset + i < pci->window + 4u)
			pci->cfg[offset + i] = buf[i];
	}
	memcpy(&val, pci->cfg + pci->window, sizeof(val));
	pci->model->window_write(pci->state, pci->cfg + pci->cap_window, val);
}

static void build_extended(struct ui_pci *pci)
{
	if (!pci->pasid_bits)
		return;
	pci->cap_pasid = PCI_CFG_ECAPS;
	field(pci, PCI_CFG_ECAPS, 4, PCI_ECAP_PASID | 1u << 16, 0);
	field(pci, PCI_CFG_ECAPS + PCI_PASID_CAP, 2, (u32)pci->pasid_bits << 8, 0);
	field(pci, PCI_CFG_ECAPS + PCI_PASID_CTRL, 2, 0, PCI_PASID_ENABLE);
}

void ui_pci_config_build(struct ui_pci *pci)
{
	struct builder b = { .pci = pci, .next = PCI_HEADER_BYTES, .link_at = PCI_CFG_CAPS };

	build_header(pci);
	build_bars(pci);
	build_pm(&b);
	build_messages(&b);
	build_express(&b);
	build_vendor(&b);
	build_extended(pci);
	memcpy(pci->cfg, pci->reset, sizeof(pci->cfg));
}

void ui_pci_config_reset(struct ui_pci *pci)
{
	memcpy(pci->cfg, pci->reset, sizeof(pci->cfg));
}

bool ui_pci_in_d3(const struct ui_pci *pci)
{
	return (pci->cfg[pci->cap_pm + PCI_PM_CTRL] & PCI_PM_STATE) == PCI_PM_STATE_D3HOT;
}

bool ui_pci_mem_enabled(const struct ui_pci *pci)
{
	return (pci->cfg[PCI_CFG_COMMAND] & PCI_CMD_MEM) && !ui_pci_in_d3(pci);
}

bool ui_pci_bus_master(const struct ui_pci *pci)
{
	return (pci->cfg[PCI_CFG_COMMAND] & PCI_CMD_MASTER) && !ui_pci_in_d3(pci);
}

bool ui_pci_pasid_enabled(const struct ui_pci *pci)
{
	return pci->cap_pasid && (pci->cfg[pci->cap_pasid + PCI_PASID_CTRL] & PCI_PASID_ENABLE);
}

void ui_pci_config_read(struct ui_pci *pci, u32 offset, void *buf, u32 n_bytes)
{
	u32 n = offset < PCI_CFG_BYTES ? (u32)ui_min(n_bytes, PCI_CFG_BYTES - offset) : 0;

	memset((u8 *)buf + n, 0xff, n_bytes - n);
	if (!n)
		return;
	if (!ui_pci_lock(pci)) {
		memset(buf, 0xff, n);
		return;
	}
	if (meets_window(pci, offset, n))
		window_fill(pci);
	memcpy(buf, pci->cfg + offset, n);
	/* Interrupt status says what the model wants, whether or not it may say so. */
	for (u32 i = 0; i < n; i++) {
		if (offset + i == PCI_CFG_STATUS && pci->pin_raw)
			((u8 *)buf)[i] |= PCI_STATUS_INTX;
	}
	ui_pci_unlock(pci);
}

/* D1 and D2 are not supported: a write of them leaves the power state alone. */
static u8 power_state(u8 old, u8 wanted)
{
	u8 state = wanted & PCI_PM_STATE;

	return (u8)((wanted & ~PCI_PM_STATE) | (state == 1 || state == 2 ? old & PCI_PM_STATE : state));
}

static bool sets_flr(const struct ui_pci *pci, u32 offset, const u8 *buf, u32 n)
{
	u32 at = pci->cap_exp + (u32)PCI_EXP_DEVCTL + 1;

	return offset <= at && at < offset + n && (buf[at - offset] & PCI_EXP_DEVCTL_FLR >> 8);
}

void ui_pci_config_write(struct ui_pci *pci, u32 offset, const void *buf, u32 n_bytes)
{
	u32 n = offset < PCI_CFG_BYTES ? (u32)ui_min(n_bytes, PCI_CFG_BYTES - offset) : 0;
	bool flr = false, was_master;

	if (!n || !ui_pci_lock(pci))
		return;
	if (!pci->away_for_dma || sets_flr(pci, offset, buf, n))
		ui_pci_await(pci);
	was_master = ui_pci_bus_master(pci);
	for (u32 i = 0; i < n; i++) {
		u32 at = offset + i;
		u8 val = (u8)((pci->cfg[at] & ~pci->wmask[at]) | (((const u8 *)buf)[i] & pci->wmask[at]));

		if (at == pci->cap_pm + (u32)PCI_PM_CTRL)
			val = power_state(pci->cfg[at], val);
		if (at == pci->cap_exp + (u32)PCI_EXP_DEVCTL + 1 && (val & PCI_EXP_DEVCTL_FLR >> 8)) {
			flr = true; /* reads as 0 */
			val &= (u8)~(PCI_EXP_DEVCTL_FLR >> 8);
		}
		pci->cfg[at] = val;
	}
	if (flr)
		ui_pci_reset_locked(pci);
	else if (meets_window(pci, offset, n))
		window_write(pci, offset, buf, n);
	ui_pci_pin_update(pci);
	ui_pci_pending_flush(pci);
	if (!was_master && ui_pci_bus_master(pci) && pci->env.wake)
		pci->env.wake(pci->env.arg);
	ui_pci_unlock(pci);
}
