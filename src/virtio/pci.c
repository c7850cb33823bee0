/* SPDX-License-Identifier: MIT */
#include "virtio/pci.h"
#include "base/alloc.h"
#include "base/bits.h"

#include <stdio.h>
#include <string.h>

enum { VENDOR = 0x1af4, DEVICE_BASE = 0x1040, SUBDEVICE = 0x1100, CLASS_IOMMU = 0x080600 };
enum { TYPE_IOMMU = 23, CLASS_OTHER = 0xff0000 };
enum { NO_VECTOR = 0xffff };
enum { ISR_QUEUE = 1, ISR_CONFIG = 2 };

/* BAR 0. */
enum { COMMON_AT = 0, ISR_AT = 0x1000, DEVICE_AT = 0x2000, NOTIFY_AT = 0x3000, PART_BYTES = 0x1000, REGS_BYTES = 0x4000, NOTIFY_LG2 = 2 };
enum { MSIX_BAR = 1, MSIX_BYTES = 0x2000 };

/* 4.1.4.3 */
enum {
	C_DFSELECT = 0,
	C_DF = 4,
	C_GFSELECT = 8,
	C_GF = 12,
	C_CONFIG_VECTOR = 16,
	C_NUM_QUEUES = 18,
	C_STATUS = 20,
	C_GENERATION = 21,
	C_Q_SELECT = 22,
	C_Q_SIZE = 24,
	C_Q_VECTOR = 26,
	C_Q_ENABLE = 28,
	C_Q_NOTIFY_OFF = 30,
	C_Q_DESC = 32,
	C_Q_AVAIL = 40,
	C_Q_USED = 48,
	COMMON_BYTES = 56,
};

/* 4.1.4: types of capabilities. */
enum { CAP_COMMON = 1, CAP_NOTIFY, CAP_ISR, CAP_DEVICE, CAP_PCI_CFG, N_CAPS = 5 };
enum { CAP_BAR = 4, CAP_OFFSET = 8, CAP_LENGTH = 12, CAP_BYTES = 16, CAP_MORE_BYTES = 20 };

/* All under the function's lock, but for what is constant. */
struct virtio_pci {
	struct ui_pci_model model; /* constant */
	struct ui_pci_vendor_cap caps[N_CAPS];
	u8 cap_bytes[N_CAPS][CAP_MORE_BYTES - 2];
	struct ui_virtio *v;
	struct ui_pci *pci;
	u32 df_select, gf_select;
	u16 queue_select;
	u16 config_vector, queue_vector[UI_VIRTIO_N_QUEUES];
	u8 isr;
};

/* ---- Interrupts ---- */

static void interrupt(struct virtio_pci *p, u16 vector, u8 isr)
{
	unsigned n;

	if (ui_pci_irq_state(p->pci, &n) == UI_PCI_IRQ_MSIX) {
		if (vector < p->model.n_msix)
			ui_pci_msg(p->pci, vector);
		return;
	}
	p->isr |= isr;
	ui_pci_intx(p->pci, true);
}

/* Both come from step() or a register write: with the function's lock held. */
static void queue_irq(void *arg, unsigned queue)
{
	struct virtio_pci *p = arg;

	interrupt(p, p->queue_vector[queue], ISR_QUEUE);
}

static void config_irq(void *arg)
{
	struct virtio_pci *p = arg;

	interrupt(p, p->config_vector, ISR_CONFIG);
}

static void wake(void *arg)
{
	ui_pci_wake(((struct virtio_pci *)arg)->pci);
}

/* ---- Common configuration ---- */

static void put(u8 *image, unsigned at, u64 val, unsigned n_bytes)
{
	memcpy(image + at, &val, n_bytes);
}

static u32 feature_word(u64 features, u32 select)
{
	return select < 2 ? (u32)(features >> 32 * select) : 0;
}

static void common_image(struct virtio_pci *p, u8 image[COMMON_BYTES])
{
	struct ui_virtio_queue_setup setup;
	unsigned n = p->queue_select, n_queues = p->v->model->n_queues;
	bool enabled;

	ui_virtio_queue_get(p->v, n, &setup, &enabled);
	memset(image, 0, COMMON_BYTES);
	put(image, C_DFSELECT, p->df_select, 4);
	put(image, C_DF, feature_word(ui_virtio_offered(p->v), p->df_select), 4);
	put(image, C_GFSELECT, p->gf_select, 4);
	put(image, C_GF, feature_word(ui_virtio_features(p->v), p->gf_select), 4);
	put(image, C_CONFIG_VECTOR, p->config_vector, 2);
	put(image, C_NUM_QUEUES, n_queues, 2);
	put(image, C_STATUS, ui_virtio_status(p->v), 1);
	put(image, C_Q_SELECT, n, 2);
	put(image, C_Q_SIZE, setup.size, 2);
	put(image, C_Q_VECTOR, n < n_queues ? p->queue_vector[n] : NO_VECTOR, 2);
	put(image, C_Q_ENABLE, enabled, 2);
	put(image, C_Q_NOTIFY_OFF, n, 2);
	put(image, C_Q_DESC, setup.desc, 8);
	put(image, C_Q_AVAIL, setup.avail, 8);
	put(image, C_Q_USED, setup.used, 8);
}

static void set_half(u64 *addr, bool upper, u32 val)
{
	*addr = upper ? (u32)*addr | (u64)val << 32 : (*addr & ~(u64)0xffffffff) | val;
}

static void write_queue(struct virtio_pci *p, unsigned field, u32 val)
{
	struct ui_virtio_queue_setup setup;

	ui_virtio_queue_get(p->v, p->queue_select, &setup, NULL);
	switch (field & ~4u) {
	case C_Q_SIZE:
		setup.size = (u16)val;
		break;
	case C_Q_DESC:
		set_half(&setup.desc, field & 4, val);
		break;
	case C_Q_AVAIL:
		set_half(&setup.avail, field & 4, val);
		break;
	default:
		set_half(&setup.used, field & 4, val);
		break;
	}
	ui_virtio_queue_set(p->v, p->queue_select, &setup);
}

static void write_features(struct virtio_pci *p, u32 val)
{
	u64 features = ui_virtio_features(p->v);

	if (p->gf_select >= 2) {
		/* What is not zero there was never offered: FEATURES_OK will not come. */
		if (val)
			ui_virtio_set_features(p->v, ~(u64)0);
		return;
	}
	set_half(&features, p->gf_select, val);
	ui_virtio_set_features(p->v, features);
}

static u16 good_vector(const struct virtio_pci *p, u32 val)
{
	return val < p->model.n_msix ? (u16)val : NO_VECTOR;
}

/* Vectors and selectors, which are the transport's own, go with a reset. */
static void forget(struct virtio_pci *p)
{
	p->df_select = p->gf_select = 0;
	p->queue_select = 0;
	p->config_vector = NO_VECTOR;
	for (unsigned i = 0; i < UI_VIRTIO_N_QUEUES; i++)
		p->queue_vector[i] = NO_VECTOR;
	p->isr = 0;
	ui_pci_intx(p->pci, false);
}

static void write_status(struct virtio_pci *p, u32 val)
{
	ui_virtio_set_status(p->v, (u8)val);
	if (!(u8)val)
		forget(p);
}

/* One field, at its start and of its size. */
static void write_field(struct virtio_pci *p, unsigned field, u32 val)
{
	switch (field) {
	case C_DFSELECT:
		p->df_select = val;
		break;
	case C_GFSELECT:
		p->gf_select = val;
		break;
	case C_GF:
		write_features(p, val);
		break;
	case C_CONFIG_VECTOR:
		p->config_vector = good_vector(p, val);
		break;
	case C_STATUS:
		write_status(p, val);
		break;
	case C_Q_SELECT:
		p->queue_select = (u16)val;
		break;
	case C_Q_VECTOR:
		if (p->queue_select < UI_VIRTIO_N_QUEUES)
			p->queue_vector[p->queue_select] = good_vector(p, val);
		break;
	case C_Q_ENABLE:
		if (val == 1)
			ui_virtio_queue_enable(p->v, p->queue_select);
		break;
	case C_Q_SIZE:
	case C_Q_DESC:
	case C_Q_DESC + 4:
	case C_Q_AVAIL:
	case C_Q_AVAIL + 4:
	case C_Q_USED:
	case C_Q_USED + 4:
		write_queue(p, field, val);
		break;
	default:
		break;
	}
}

static unsigned field_bytes(unsigned field)
{
	if (field < C_CONFIG_VECTOR || field >= C_Q_DESC)
		return 4;
	return field == C_STATUS || field == C_GENERATION ? 1 : 2;
}

/* 4.1.3.1: fields are written whole; the halves of 64-bit ones are fields of their own. */
static void common_write(struct virtio_pci *p, unsigned at, unsigned n_bytes, u64 val)
{
	for (unsigned done = 0; done < n_bytes;) {
		unsigned field = at + done, n;

		if (field >= COMMON_BYTES)
			return;
		n = field_bytes(field);
		if (!ui_is_aligned(field, n) || n_bytes - done < n)
			return;
		write_field(p, field, (u32)(val >> 8 * done & ui_mask_lg2(8 * n)));
		done += n;
	}
}

/* ---- Registers ---- */

static u8 take_isr(struct virtio_pci *p)
{
	u8 isr = p->isr;

	p->isr = 0;
	ui_pci_intx(p->pci, false);
	return isr;
}

static u64 regs_read(void *state, unsigned bar, u64 offset, unsigned n_bytes)
{
	struct virtio_pci *p = state;
	unsigned at = offset & (PART_BYTES - 1);
	u8 image[COMMON_BYTES + 8] = { 0 };
	u64 val = 0;

	switch (offset & ~(u64)(PART_BYTES - 1)) {
	case COMMON_AT:
		if (at >= COMMON_BYTES)
			return 0;
		common_image(p, image);
		memcpy(&val, image + at, n_bytes);
		return val;
	case ISR_AT:
		return at ? 0 : take_isr(p);
	case DEVICE_AT:
		ui_virtio_config_read(p->v, at, &val, n_bytes);
		return val;
	default:
		return 0;
	}
}

static void regs_write(void *state, unsigned bar, u64 offset, unsigned n_bytes, u64 val)
{
	struct virtio_pci *p = state;
	unsigned at = offset & (PART_BYTES - 1);

	switch (offset & ~(u64)(PART_BYTES - 1)) {
	case COMMON_AT:
		common_write(p, at, n_bytes, val);
		break;
	case DEVICE_AT:
		ui_virtio_config_write(p->v, at, &val, n_bytes);
		break;
	case NOTIFY_AT:
		ui_virtio_notify(p->v, at >> NOTIFY_LG2);
		break;
	default:
		break;
	}
}

/* 4.1.4.9: a window into the registers through configuration space. False: it shows nothing. */
static bool window(const u8 *cap, u32 *offset, u32 *n_bytes)
{
	memcpy(offset, cap + CAP_OFFSET, 4);
	memcpy(n_bytes, cap + CAP_LENGTH, 4);
	return !cap[CAP_BAR] && (*n_bytes == 1 || *n_bytes == 2 || *n_bytes == 4) && ui_is_aligned(*offset, *n_bytes) && *offset < REGS_BYTES;
}

static u32 window_read(void *state, const u8 *cap)
{
	u32 offset, n_bytes;

	return window(cap, &offset, &n_bytes) ? (u32)regs_read(state, 0, offset, n_bytes) : 0;
}

static void window_write(void *state, const u8 *cap, u32 val)
{
	u32 offset, n_bytes;

	if (window(cap, &offset, &n_bytes))
		regs_write(state, 0, offset, n_bytes, val & ui_mask_lg2(8 * n_bytes));
}

/* ---- The function ---- */

static void add_cap(struct virtio_pci *p, unsigned n, u8 type, u32 offset, u32 length, unsigned n_bytes)
{
	u8 *bytes = p->cap_bytes[n];

	bytes[0] = (u8)n_bytes;
	bytes[1] = type;
	memcpy(bytes + CAP_OFFSET - 2, &offset, 4);
	memcpy(bytes + CAP_LENGTH - 2, &length, 4);
	p->caps[n] = (struct ui_pci_vendor_cap){ .bytes = bytes, .n_bytes = (u8)n_bytes };
}

static void build_caps(struct virtio_pci *p)
{
	const u32 multiplier = 1 << NOTIFY_LG2;

	add_cap(p, 0, CAP_COMMON, COMMON_AT, COMMON_BYTES, CAP_BYTES);
	add_cap(p, 1, CAP_NOTIFY, NOTIFY_AT, PART_BYTES, CAP_MORE_BYTES);
	memcpy(p->cap_bytes[1] + CAP_BYTES - 2, &multiplier, 4);
	add_cap(p, 2, CAP_ISR, ISR_AT, 1, CAP_BYTES);
	add_cap(p, 3, CAP_DEVICE, DEVICE_AT, p->v->model->config_bytes, CAP_BYTES);
	add_cap(p, 4, CAP_PCI_CFG, 0, 0, CAP_MORE_BYTES);
	p->caps[4].window = true;
	p->caps[4].n_writable = CAP_BYTES - CAP_BAR;
}

/* The model is a part of the instance, which is how it is found. */
static int create(struct ui_pci *pci, const char *options, void **state, char *err, size_t err_bytes)
{
	struct virtio_pci *p = ui_container_of(ui_pci_model(pci), struct virtio_pci, model);

	p->pci = pci;
	forget(p);
	*state = p;
	return 0;
}

static void destroy(void *state)
{
	struct virtio_pci *p = state;

	ui_virtio_set_env(p->v, &(struct ui_virtio_env){ 0 });
	ui_free(p);
}

static void reset(void *state)
{
	struct virtio_pci *p = state;

	ui_virtio_set_status(p->v, 0);
	forget(p);
}

static bool step(void *state)
{
	return ui_virtio_step(((struct virtio_pci *)state)->v);
}

struct ui_pci *ui_virtio_pci_create(struct ui_virtio *v, struct ui_dma *port, char *err, size_t err_bytes)
{
	struct virtio_pci *p = ui_zalloc(sizeof(*p));
	struct ui_pci *pci;

	if (!p) {
		snprintf(err, err_bytes, "out of memory");
		return NULL;
	}
	p->v = v;
	build_caps(p);
	p->model = (struct ui_pci_model){
		.name = v->model->name,
		.vendor = VENDOR,
		.device = (u16)(DEVICE_BASE + v->model->type),
		.subvendor = VENDOR,
		.subdevice = SUBDEVICE,
		.revision = 1,
		.class_code = v->model->type == TYPE_IOMMU ? CLASS_IOMMU : CLASS_OTHER,
		.bars = { [0] = { .n_bytes = REGS_BYTES }, [MSIX_BAR] = { .n_bytes = MSIX_BYTES } },
		.n_msix = (u16)(v->model->n_queues + 1),
		.msix_bar = MSIX_BAR,
		.n_msi_lg2 = 0xff,
		.pin = 1,
		.vendor_caps = p->caps,
		.n_vendor_caps = N_CAPS,
		.create = create,
		.destroy = destroy,
		.reset = reset,
		.read = regs_read,
		.write = regs_write,
		.window_read = window_read,
		.window_write = window_write,
		.step = step,
	};
	pci = ui_pci_create(&p->model, NULL, 0, port, NULL, err, err_bytes);
	if (!pci) {
		ui_free(p);
		return NULL;
	}
	ui_virtio_set_env(v, &(struct ui_virtio_env){ .queue_irq = queue_irq, .config_irq = config_irq, .wake = wake, .arg = p });
	return pci;
}
