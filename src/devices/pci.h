/* SPDX-License-Identifier: MIT */
/*
 * A PCI function behind the IOMMU: what a device model implements (ui_pci_model) and what stands around it (ui_pci).
 * ui_pci keeps configuration space (capabilities, BAR registers, command), MSI-X table and interrupt routing, so that the next
 * device is one file: registers, step, reset.
 *
 * Threads: a function has one lock, held around every model callback; the model takes none, but its step() may let go of it around
 * file I/O: ui_pci_leave(). Nothing here starts a thread.
 * An access to the function's registers from inside its own model (a ring that points into its own BAR, say, where an
 * embedder made the BAR a piece of its memory object) is answered by nobody: false.
 */
#ifndef UI_DEVICES_PCI_H
#define UI_DEVICES_PCI_H

#include "base/types.h"
#include "translate/dma.h"

struct ui_pci;

enum { UI_PCI_N_BARS = 6 };

struct ui_pci_bar {
	u64 n_bytes;   /* power of two; 0: absent */
	bool is_64;    /* takes this index and the next */
	bool prefetch;
	bool mappable; /* plain memory without side effects: ui_pci_bar_mem() */
};

/* A vendor-specific capability (09h), constant but for its last four bytes where @window says so. */
struct ui_pci_vendor_cap {
	const u8 *bytes; /* as in configuration space, from the length (offset 2) on */
	u8 n_bytes;      /* with ID and next pointer: 3 to 64 */
	u8 n_writable;   /* bytes from offset 4 on that take writes, for the window */
	bool window;     /* the last four bytes are the model's: window_read(), window_write() */
};

struct ui_pci_model {
	const char *name; /* "dma" */
	u16 vendor, device, subvendor, subdevice;
	u8 revision;
	u32 class_code; /* 24 bits */
	struct ui_pci_bar bars[UI_PCI_N_BARS];
	u16 n_msix;     /* 0: none */
	u8 msix_bar;    /* table at 0, pending bits at 0x1000 (8 bytes aligned, more for large tables) */
	u8 n_msi_lg2;   /* log2 messages; 0xff: no MSI */
	u8 pin;         /* 0 none, 1 INTA */
	const struct ui_pci_vendor_cap *vendor_caps; /* n_vendor_caps of them */
	u8 n_vendor_caps;
	const char *const *option_keys; /* keys that @create takes in @options, NULL-terminated; NULL: none */
	/* Of those: keys that may stand alone ("ro" is "ro=on"), and names of files, which are made absolute where a description
	 * is read. As above. */
	const char *const *option_flags, *const *option_paths;

	/* 0 with *state; -EINVAL with a message for the user in @err (a bad option). @options: "key=value,..." of --device
	 * that the frame did not take; NULL or "" when none are left. */
	int (*create)(struct ui_pci *pci, const char *options, void **state, char *err, size_t err_bytes);
	void (*destroy)(void *state);
	/*
	 * Gets hold of what the function has outside the machine (the image of a disk, say) and lets it go again: @open before an
	 * owner gets the function, @close when it has none any more, or at the end. 0, or a negative errno with a line for the
	 * user in @err. Both may be NULL; both are called with the lock held; either may come twice.
	 */
	int (*open)(void *state, char *err, size_t err_bytes);
	void (*close)(void *state);
	void (*reset)(void *state);
	/* Registers: not called for mappable BARs nor the MSI-X BAR. @n_bytes 1, 2, 4, 8, naturally aligned. */
	u64 (*read)(void *state, unsigned bar, u64 offset, unsigned n_bytes);
	void (*write)(void *state, unsigned bar, u64 offset, unsigned n_bytes, u64 val);
	/* A capability's window was read, or written: @cap is the whole capability as it stands. Only with such capabilities. */
	u32 (*window_read)(void *state, const u8 *cap);
	void (*window_write)(void *state, const u8 *cap, u32 val);
	/* Does a bounded piece of work (at most about 64 KiB of DMA). True when there is more to do right away. */
	bool (*step)(void *state);
	/* True while step() must be called now and then although nothing wrote a register: a mapped doorbell is polled. */
	bool (*polls)(void *state);
};

/* The world around the function; all may be NULL. Called with the function's lock held, outside DMA sections. */
struct ui_pci_env {
	void (*intx)(void *arg, bool level);
	void (*msg)(void *arg, bool msix, unsigned vector);
	void (*wake)(void *arg); /* step() has something to do */
	void *arg;
};

/* @port: the function's DMA; stays the caller's. @bar_mem[n]: memory for mappable BAR n, page-aligned, stays the caller's.
 * NULL with a message in @err. @pasid_bits 0: no PASID capability. */
struct ui_pci *ui_pci_create(const struct ui_pci_model *model, const char *options, u8 pasid_bits, struct ui_dma *port,
			     void *const bar_mem[UI_PCI_N_BARS], char *err, size_t err_bytes);
void ui_pci_destroy(struct ui_pci *pci);
void ui_pci_set_env(struct ui_pci *pci, const struct ui_pci_env *env);
/* Gets what the function needs outside the machine, as an owner does, until one has come and gone, or the end. 0, or a negative
 * errno with a line for the user in @err. */
int ui_pci_open(struct ui_pci *pci, char *err, size_t err_bytes);
const struct ui_pci_model *ui_pci_model(const struct ui_pci *pci);

/* Configuration space, 4096 bytes, as the function has it. Any size; beyond the end reads 0xff and drops. */
void ui_pci_config_read(struct ui_pci *pci, u32 offset, void *buf, u32 n_bytes);
void ui_pci_config_write(struct ui_pci *pci, u32 offset, const void *buf, u32 n_bytes);
/* BAR contents. False: outside the BAR or memory decoding is off. */
bool ui_pci_bar_read(struct ui_pci *pci, unsigned bar, u64 offset, void *buf, u32 n_bytes);
bool ui_pci_bar_write(struct ui_pci *pci, unsigned bar, u64 offset, const void *buf, u32 n_bytes);
/* A function-level reset as hardware does it: configuration and registers return to their reset values. */
void ui_pci_reset(struct ui_pci *pci);
/* The same as an operating system does it: configuration and the MSI-X table are saved before and restored after. */
void ui_pci_reset_restore(struct ui_pci *pci);
/* One bounded piece of work; true when there is more to do right away. Nothing while bus mastering is off or in D3hot. */
bool ui_pci_step(struct ui_pci *pci);
/* True while step() must be called now and then although nobody called wake: a mapped doorbell is polled. */
bool ui_pci_polls(struct ui_pci *pci);
u8 ui_pci_pasid_bits(const struct ui_pci *pci);

/*
 * An owner in place of a driver: VFIO. While one has claimed the function, interrupts go to its sink instead of the
 * environment's, and it sets the interrupt mode as an operating system's kernel would, since a VFIO user never sees the
 * message registers.
 */
struct ui_pci_sink {
	/* As in ui_pci_env: with the function's lock held, outside DMA sections. Must not call the function. */
	void (*intx)(void *arg, bool level);
	void (*msg)(void *arg, bool msix, unsigned vector);
	void *arg;
};

enum ui_pci_irq_mode { UI_PCI_IRQ_PIN, UI_PCI_IRQ_MSI, UI_PCI_IRQ_MSIX };

/* False when somebody else holds the function, or what it needs outside the machine cannot be had (the log says why). @sink is
 * copied. Tells the sink the present level of INTx. */
bool ui_pci_claim(struct ui_pci *pci, const struct ui_pci_sink *sink);
/* After it returns the sink is not called any more. */
void ui_pci_unclaim(struct ui_pci *pci);
/* Sets the enable bits of MSI and MSI-X. @n_msgs: MSI messages to allow, rounded up to a power of two; MSI-X starts with
 * every vector masked and nothing pending. */
void ui_pci_irq_mode(struct ui_pci *pci, enum ui_pci_irq_mode mode, unsigned n_msgs);
/* Vector control of an MSI-X table entry. Unmasking a pending vector sends its message. */
void ui_pci_msix_mask(struct ui_pci *pci, unsigned vector, bool masked);

/* For models, from inside their callbacks. */
struct ui_dma *ui_pci_dma(struct ui_pci *pci);
void *ui_pci_bar_mem(struct ui_pci *pci, unsigned bar);
/* DMA is allowed: bus mastering is on and the function is not in D3hot. */
bool ui_pci_bus_master(const struct ui_pci *pci);
/* The enable bit of the PASID capability: without it the function must not use PASIDs. */
bool ui_pci_pasid_enabled(const struct ui_pci *pci);
void ui_pci_wake(struct ui_pci *pci);
/*
 * From step() only, around what may take long and touches neither the model's state nor memory by DMA: others get at registers
 * meanwhile. What changes configuration space, resets, opens or closes waits until the model is back, as does ui_pci_await(): for
 * register callbacks that must not meet a step half-way. It may let other register callbacks in.
 */
void ui_pci_leave(struct ui_pci *pci);
/* As ui_pci_leave(), around DMA that somebody must answer who may be waiting for the function himself: writes of configuration space do not wait. */
void ui_pci_leave_for_dma(struct ui_pci *pci);
void ui_pci_return(struct ui_pci *pci);
void ui_pci_await(struct ui_pci *pci);
/* How interrupts are sent just now, and with how many vectors. */
enum ui_pci_irq_mode ui_pci_irq_state(const struct ui_pci *pci, unsigned *n_vectors);
/* Message @vector if MSI-X or MSI is enabled by whoever owns the function, else nothing. */
void ui_pci_msg(struct ui_pci *pci, unsigned vector);
void ui_pci_intx(struct ui_pci *pci, bool level);

/* Built-in models by --device name; NULL for an unknown one. @n lists them. */
const struct ui_pci_model *ui_pci_model_find(const char *name);
const struct ui_pci_model *const *ui_pci_models(size_t *n);

#endif
