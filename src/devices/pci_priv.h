/* SPDX-License-Identifier: MIT */
/* Inside a PCI function: shared by pci.c (frame, BARs, interrupts) and config.c (configuration space). */
#ifndef UI_DEVICES_PCI_PRIV_H
#define UI_DEVICES_PCI_PRIV_H

#include "base/bits.h"
#include "devices/pci.h"
#include "devices/pci_regs.h"

#include <pthread.h>
#include <stdatomic.h>

enum { UI_PCI_MSIX_PBA_OFFSET = 0x1000 };

struct ui_pci {
	const struct ui_pci_model *model;
	void *state;
	struct ui_dma *port;
	void *bar_mem[UI_PCI_N_BARS];
	u8 pasid_bits;
	bool created; /* create() returned: callbacks may be called */

	pthread_mutex_t lock; /* guards everything below; held around model callbacks */
	/* Who holds the lock: the address of a thread-local. Written under the lock; relaxed, since a thread only ever
	 * compares it with a value that nobody but itself stores. */
	_Atomic uintptr_t holder;

	u8 cfg[PCI_CFG_BYTES];    /* as the function has it */
	u8 wmask[PCI_CFG_BYTES];  /* bits that a write changes */
	u8 reset[PCI_CFG_BYTES];  /* reset values */
	u16 cap_pm, cap_msi, cap_msix, cap_exp, cap_pasid; /* offsets; 0: absent; constant */
	u16 cap_window; /* likewise: of the vendor capability with a window, and the window */
	u16 window;

	u32 *msix_table; /* n_msix entries of four words */
	u64 *msix_pba;
	bool pin_raw;  /* the model's level, whatever the gates say */
	bool pin_sent; /* the level last told */

	bool away;           /* step() has let go of the lock and will be back */
	bool away_for_dma;   /* in the middle of DMA: configuration space may change meanwhile */
	unsigned n_awaiting; /* threads in ui_pci_await(): it does not go again before them */
	pthread_cond_t back; /* with lock: away became false */
	/* Threads that stand at the lock or wait for the model to be back. Relaxed: who is overlooked waits for one more step. */
	_Atomic unsigned n_queued;

	struct ui_pci_env env;
	bool claimed;
	struct ui_pci_sink sink; /* while claimed */
};

/* False when this thread already holds the lock: a register access by the function's own DMA. */
bool ui_pci_lock(struct ui_pci *pci);
void ui_pci_unlock(struct ui_pci *pci);
/* As ui_pci_lock(), and no step is half-way. */
bool ui_pci_lock_still(struct ui_pci *pci);

/* config.c */
void ui_pci_config_build(struct ui_pci *pci);
void ui_pci_config_reset(struct ui_pci *pci);
bool ui_pci_mem_enabled(const struct ui_pci *pci);
bool ui_pci_in_d3(const struct ui_pci *pci);

/* pci.c; with the lock held. */
void ui_pci_pin_update(struct ui_pci *pci);
void ui_pci_pending_flush(struct ui_pci *pci);
void ui_pci_reset_locked(struct ui_pci *pci);

#endif
