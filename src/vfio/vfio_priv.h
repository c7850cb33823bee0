/* SPDX-License-Identifier: MIT */
/*
 * Inside an open VFIO device. Locks, in the order they are taken: bind_lock, lock, the function's lock, irq_lock. The
 * function calls the sink with its lock held, so whoever holds irq_lock must not call the function.
 */
#ifndef UI_VFIO_PRIV_H
#define UI_VFIO_PRIV_H

#include "devices/pci.h"
#include "devices/pci_regs.h"
#include "vfio/uapi.h"
#include "vfio/vfio.h"

#include <pthread.h>
#include <stdatomic.h>

enum { VFIO_MAX_VECTORS = 256, VFIO_IRQ_NONE = UI_VFIO_N_IRQS };

/* The virtual configuration space. For each byte: what the program sees of it and may change. Guarded by lock. */
struct vfio_cfg {
	u8 val[PCI_CFG_BYTES];   /* virtual values */
	u8 virt[PCI_CFG_BYTES];  /* bits that come from @val; the others from the function */
	u8 write[PCI_CFG_BYTES]; /* bits that a write reaches */
	u8 owner[PCI_CFG_BYTES]; /* what a byte belongs to: an access never spans two */
	u16 pm, msi, exp;        /* offsets; 0: absent */
	u8 msi_lg2;              /* log2 of the MSI messages that were enabled last */
};

struct vfio_irqs {
	/* Guarded by irq_lock; written with lock held too, so that either suffices to read. */
	unsigned type;  /* UI_VFIO_INTX, MSI, MSIX or VFIO_IRQ_NONE */
	unsigned n_msi; /* MSI: vectors allocated */
	int vectors[VFIO_MAX_VECTORS]; /* MSI, MSI-X: eventfds, -1 none; ours */
	int intx;       /* eventfd of INTx, -1 none */
	int unmask;     /* eventfd that unmasks INTx, -1 none */
	int single[2];  /* ERR, REQ */
	bool masked;    /* INTx: by automask, by the program or by DisINTx */
	bool disabled;  /* INTx: DisINTx of the virtual COMMAND */
	bool level;     /* INTx: the function's line */
};

struct ui_vfio {
	struct ui_pci *pci;
	struct ui_device *dev;
	ui_vfio_binder_fn binder_fn;
	void *binder_arg;

	struct ui_vfio_group *group; /* set before the first ioctl; may be NULL */
	bool tied;                   /* constant: opened through the group, never by BIND */
	bool blocks;                 /* bind_lock: keeps the group from being opened */

	pthread_mutex_t bind_lock; /* guards binder, bound */
	struct ui_binder binder;
	struct ui_bound *bound;
	/* Set with release by BIND when all else is done; loaded with acquire by every other call. */
	_Atomic bool granted;

	pthread_mutex_t lock; /* guards cfg and changes of irqs */
	struct vfio_cfg cfg;

	pthread_mutex_t irq_lock; /* guards irqs */
	struct vfio_irqs irqs;
	void (*unmask_changed)(void *arg);
	void *unmask_arg;
};

/* vfio.c: for a device that comes through its group. 0; -EINVAL, -EBUSY, -ENOMEM. */
int ui_vfio_open_tied(struct ui_vfio *v, const struct ui_binder *binder, struct ui_group_tie *tie);
/* group.c: one that kept the group is closed. */
void ui_vfio_group_closed_device(struct ui_vfio_group *group);

/* info.c */
long ui_vfio_get_info(struct ui_vfio *v, u64 arg);
long ui_vfio_get_region_info(struct ui_vfio *v, u64 arg);
long ui_vfio_get_irq_info(struct ui_vfio *v, u64 arg);
long ui_vfio_feature(struct ui_vfio *v, u64 arg);
long ui_vfio_hot_reset_info(struct ui_vfio *v, u64 arg);
long ui_vfio_hot_reset(struct ui_vfio *v, u64 arg);
u32 ui_vfio_irq_count(struct ui_vfio *v, u32 index);

/* irq.c */
void ui_vfio_irqs_init(struct vfio_irqs *irqs);
void ui_vfio_irqs_disable(struct ui_vfio *v);
long ui_vfio_set_irqs(struct ui_vfio *v, u64 arg);
/* The virtual COMMAND's DisINTx; with lock held. */
void ui_vfio_intx_disable_bit(struct ui_vfio *v, bool disabled);
/* For ui_pci_claim(). */
void ui_vfio_sink_intx(void *arg, bool level);
void ui_vfio_sink_msg(void *arg, bool msix, unsigned vector);

/* eventfd.c: our own descriptor (its name: base/ownfd.h) for the program's eventfd @fd, or -EBADF, -EINVAL (not an eventfd). */
int ui_vfio_eventfd_get(int fd);
/* Closes; -1 is a no-op. */
void ui_vfio_eventfd_put(int fd);
/* Adds 1 without ever waiting; -1 is a no-op. */
void ui_vfio_eventfd_signal(int fd);
/* Takes the count; false when it was 0. Never waits. */
bool ui_vfio_eventfd_take(int fd);

/* config.c */
void ui_vfio_config_build(struct ui_vfio *v);
s64 ui_vfio_config_rw(struct ui_vfio *v, void *buf, u64 n_bytes, u64 pos, bool write);

#endif
