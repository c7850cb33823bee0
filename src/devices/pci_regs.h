/* SPDX-License-Identifier: MIT */
/* PCI configuration space: offsets and bits, from PCI Express Base 5.0 chapter 7 and PCI Local Bus 3.0 chapter 6. */
#ifndef UI_DEVICES_PCI_REGS_H
#define UI_DEVICES_PCI_REGS_H

#include "base/types.h"

enum {
	PCI_CFG_BYTES = 4096,
	PCI_CFG_STD_BYTES = 256,
	PCI_HEADER_BYTES = 64,

	PCI_CFG_VENDOR = 0x00,
	PCI_CFG_DEVICE = 0x02,
	PCI_CFG_COMMAND = 0x04,
	PCI_CFG_STATUS = 0x06,
	PCI_CFG_REVISION = 0x08,
	PCI_CFG_CACHE_LINE = 0x0c,
	PCI_CFG_LATENCY = 0x0d,
	PCI_CFG_HEADER_TYPE = 0x0e,
	PCI_CFG_BIST = 0x0f,
	PCI_CFG_BAR0 = 0x10,
	PCI_CFG_SUBVENDOR = 0x2c,
	PCI_CFG_ROM = 0x30,
	PCI_CFG_CAPS = 0x34,
	PCI_CFG_INT_LINE = 0x3c,
	PCI_CFG_INT_PIN = 0x3d,
	PCI_CFG_ECAPS = 0x100,
};

enum {
	PCI_CMD_IO = 1 << 0,
	PCI_CMD_MEM = 1 << 1,
	PCI_CMD_MASTER = 1 << 2,
	PCI_CMD_PARITY = 1 << 6,
	PCI_CMD_SERR = 1 << 8,
	PCI_CMD_INTX_DISABLE = 1 << 10,
	PCI_STATUS_INTX = 1 << 3,
	PCI_STATUS_CAP_LIST = 1 << 4,
	PCI_BAR_64 = 4,
	PCI_BAR_PREFETCH = 8,
};

/* Standard capabilities. */
enum {
	PCI_CAP_PM = 0x01,
	PCI_CAP_MSI = 0x05,
	PCI_CAP_VENDOR = 0x09,
	PCI_CAP_PCIE = 0x10,
	PCI_CAP_MSIX = 0x11,
};

enum {
	PCI_PM_PMC = 2,
	PCI_PM_CTRL = 4,
	PCI_PM_STATE = 3,
	PCI_PM_STATE_D3HOT = 3,
	PCI_PM_NO_SOFT_RESET = 1 << 3,
	PCI_PM_PME_ENABLE = 1 << 8,
	PCI_PM_PME_STATUS = 1 << 15,
	PCI_PM_BYTES = 8,

	PCI_MSI_CTRL = 2,
	PCI_MSI_ENABLE = 1 << 0,
	PCI_MSI_MMC_SHIFT = 1, /* 3 bits: log2 of the messages the function has */
	PCI_MSI_MME_SHIFT = 4, /* 3 bits: log2 of the messages it may use */
	PCI_MSI_64 = 1 << 7,
	PCI_MSI_PER_VECTOR_MASK = 1 << 8,
	PCI_MSI_ADDR = 4,
	PCI_MSI_64_BYTES = 14,

	PCI_MSIX_CTRL = 2,
	PCI_MSIX_SIZE_MASK = 0x7ff,
	PCI_MSIX_FUNC_MASK = 1 << 14,
	PCI_MSIX_ENABLE = 1 << 15,
	PCI_MSIX_TABLE = 4,
	PCI_MSIX_PBA = 8,
	PCI_MSIX_BYTES = 12,
	PCI_MSIX_ENTRY_BYTES = 16,
	PCI_MSIX_ENTRY_CTRL = 12,
	PCI_MSIX_ENTRY_MASKED = 1,

	PCI_EXP_FLAGS = 2,
	PCI_EXP_DEVCAP = 4,
	PCI_EXP_DEVCTL = 8,
	PCI_EXP_DEVSTA = 0x0a,
	PCI_EXP_LNKCAP = 0x0c,
	PCI_EXP_LNKCTL = 0x10,
	PCI_EXP_LNKSTA = 0x12,
	PCI_EXP_DEVCAP2 = 0x24,
	PCI_EXP_DEVCTL2 = 0x28,
	PCI_EXP_LNKCAP2 = 0x2c,
	PCI_EXP_LNKCTL2 = 0x30,
	PCI_EXP_BYTES = 60,
	PCI_EXP_DEVCTL_MPS = 7 << 5,
	PCI_EXP_DEVCTL_PHANTOM = 1 << 9,
	PCI_EXP_DEVCTL_MRRS = 7 << 12,
	PCI_EXP_DEVCTL_FLR = 1 << 15,
	PCI_EXP_DEVCTL2_ARI = 1 << 5,
	PCI_EXP_TYPE_RCIEP = 9,
};
#define PCI_EXP_DEVCAP_FLR (1u << 28)

/* Extended capabilities. */
enum {
	PCI_ECAP_AER = 0x01,
	PCI_ECAP_DSN = 0x03,
	PCI_ECAP_POWER = 0x04,
	PCI_ECAP_VENDOR = 0x0b,
	PCI_ECAP_ARI = 0x0e,
	PCI_ECAP_ATS = 0x0f,
	PCI_ECAP_SRIOV = 0x10,
	PCI_ECAP_PRI = 0x13,
	PCI_ECAP_LTR = 0x18,
	PCI_ECAP_PASID = 0x1b,
	PCI_ECAP_DVSEC = 0x23,

	PCI_PASID_CAP = 4,
	PCI_PASID_CTRL = 6,
	PCI_PASID_ENABLE = 1 << 0,
	PCI_PASID_BYTES = 8,
};

/* Configuration space is bytes; its fields are little-endian. */
UI_ALWAYS_INLINE u16 ui_pci_get16(const u8 *at)
{
	return (u16)(at[0] | at[1] << 8);
}

UI_ALWAYS_INLINE u32 ui_pci_get32(const u8 *at)
{
	return (u32)ui_pci_get16(at) | (u32)ui_pci_get16(at + 2) << 16;
}

UI_ALWAYS_INLINE void ui_pci_put16(u8 *at, u16 val)
{
	at[0] = (u8)val;
	at[1] = (u8)(val >> 8);
}

UI_ALWAYS_INLINE void ui_pci_put32(u8 *at, u32 val)
{
	ui_pci_put16(at, (u16)val);
	ui_pci_put16(at + 2, (u16)(val >> 16));
}

#endif
