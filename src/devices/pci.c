/* SPDX-License-Identifier: MIT */
/* The frame around a device model: life, lock, BAR accesses, MSI-X table, interrupt routing. */
#include "devices/pci_priv.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/sys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { MAX_YIELDS = 256 };

static _Thread_local char thread_mark;

static void hold(struct ui_pci *pci)
{
	atomic_store_explicit(&pci->holder, (uintptr_t)&thread_mark, memory_order_relaxed);
}

static void let_go(struct ui_pci *pci)
{
	atomic_store_explicit(&pci->holder, 0, memory_order_relaxed);
}

bool ui_pci_lock(struct ui_pci *pci)
{
	if (atomic_load_explicit(&pci->holder, memory_order_relaxed) == (uintptr_t)&thread_mark)
		return false;
	if (pthread_mutex_trylock(&pci->lock)) {
		atomic_fetch_add_explicit(&pci->n_queued, 1, memory_order_relaxed);
		pthread_mutex_lock(&pci->lock);
		atomic_fetch_sub_explicit(&pci->n_queued, 1, memory_order_relaxed);
	}
	hold(pci);
	return true;
}

void ui_pci_unlock(struct ui_pci *pci)
{
	let_go(pci);
	pthread_mutex_unlock(&pci->lock);
}

void ui_pci_leave(struct ui_pci *pci)
{
	if (pci->n_awaiting)
		return;
	pci->away = true;
	ui_pci_unlock(pci);
}

void ui_pci_leave_for_dma(struct ui_pci *pci)
{
	pci->away_for_dma = true;
	ui_pci_leave(pci);
}

void ui_pci_return(struct ui_pci *pci)
{
	if (!ui_pci_lock(pci)) {
		pci->away_for_dma = false; /* it did not leave */
		return;
	}
	pci->away = pci->away_for_dma = false;
	if (pci->n_awaiting)
		pthread_cond_broadcast(&pci->back);
}

void ui_pci_await(struct ui_pci *pci)
{
	pci->n_awaiting++;
	while (pci->away) {
		atomic_fetch_add_explicit(&pci->n_queued, 1, memory_order_relaxed);
		let_go(pci);
		pthread_cond_wait(&pci->back, &pci->lock);
		atomic_fetch_sub_explicit(&pci->n_queued, 1, memory_order_relaxed);
		hold(pci);
	}
	pci->n_awaiting--;
}

bool ui_pci_lock_still(struct ui_pci *pci)
{
	if (!ui_pci_lock(pci))
		return false;
	ui_pci_await(pci);
	return true;
}

/* What a model promises about itself; a broken promise is a programmer's error. */
static void model_check(const struct ui_pci_model *m, void *const bar_mem[UI_PCI_N_BARS])
{
	for (unsigned i = 0; i < UI_PCI_N_BARS; i++) {
		const struct ui_pci_bar *bar = &m->bars[i];

		if (!bar->n_bytes)
			continue;
		ui_assert(ui_is_pow2(bar->n_bytes) && bar->n_bytes >= 16);
		ui_assert(!bar->is_64 || (i + 1 < UI_PCI_N_BARS && !m->bars[i + 1].n_bytes));
		ui_assert(!bar->mappable || (bar->n_bytes >= UI_PAGE_BYTES && bar_mem && bar_mem[i]));
	}
	if (!m->n_msix)
		return;
	/* Table and pending bits are the frame's, so their BAR is never plain memory. */
	ui_assert(m->n_msix <= UI_PCI_MSIX_PBA_OFFSET / PCI_MSIX_ENTRY_BYTES && m->msix_bar < UI_PCI_N_BARS);
	ui_assert(!m->bars[m->msix_bar].mappable);
	ui_assert(m->bars[m->msix_bar].n_bytes >= UI_PCI_MSIX_PBA_OFFSET + (m->n_msix + 63u) / 64 * 8);
}

static void msix_reset(struct ui_pci *pci)
{
	for (unsigned i = 0; i < pci->model->n_msix; i++) {
		memset(&pci->msix_table[4 * i], 0, PCI_MSIX_ENTRY_BYTES);
		pci->msix_table[4 * i + 3] = PCI_MSIX_ENTRY_MASKED;
	}
	memset(pci->msix_pba, 0, (pci->model->n_msix + 63u) / 64 * 8);
}

struct ui_pci *ui_pci_create(const struct ui_pci_model *model, const char *options, u8 pasid_bits, struct ui_dma *port,
			     void *const bar_mem[UI_PCI_N_BARS], char *err, size_t err_bytes)
{
	struct ui_pci *pci;

	model_check(model, bar_mem);
	ui_assert(pasid_bits <= 20);
	snprintf(err, err_bytes, "out of memory");
	pci = ui_zalloc(sizeof(*pci));
	if (!pci)
		return NULL;
	pthread_mutex_init(&pci->lock, NULL);
	pthread_cond_init(&pci->back, NULL);
	pci->model = model;
	pci->pasid_bits = pasid_bits;
	pci->port = port;
	for (unsigned i = 0; i < UI_PCI_N_BARS; i++)
		pci->bar_mem[i] = bar_mem && model->bars[i].mappable ? bar_mem[i] : NULL;
	pci->msix_table = ui_calloc(model->n_msix, PCI_MSIX_ENTRY_BYTES);
	pci->msix_pba = ui_calloc((model->n_msix + 63u) / 64, 8);
	if (pci->msix_table && pci->msix_pba) {
		msix_reset(pci);
		ui_pci_config_build(pci);
		pci->created = !model->create(pci, options, &pci->state, err, err_bytes);
	}
	if (!pci->created) {
		ui_pci_destroy(pci);
		return NULL;
	}
	err[0] = 0;
	return pci;
}

void ui_pci_destroy(struct ui_pci *pci)
{
	if (!pci)
		return;
	ui_assert(!pci->claimed);
	if (pci->created)
		pci->model->destroy(pci->state);
	pthread_cond_destroy(&pci->back);
	pthread_mutex_destroy(&pci->lock);
	ui_free(pci->msix_table);
	ui_free(pci->msix_pba);
	ui_free(pci);
}

void ui_pci_set_env(struct ui_pci *pci, const struct ui_pci_env *env)
{
	if (!ui_pci_lock(pci))
		return;
	pci->env = *env;
	ui_pci_unlock(pci);
}

const struct ui_pci_model *ui_pci_model(const struct ui_pci *pci)
{
	return pci->model;
}

u8 ui_pci_pasid_bits(const struct ui_pci *pci)
{
	return pci->pasid_bits;
}

struct ui_dma *ui_pci_dma(struct ui_pci *pci)
{
	return pci->port;
}

void *ui_pci_bar_mem(struct ui_pci *pci, unsigned bar)
{
	return pci->bar_mem[bar];
}

void ui_pci_wake(struct ui_pci *pci)
{
	if (pci->env.wake)
		pci->env.wake(pci->env.arg);
}

/* ---- interrupts ---- */

static bool msi_on(const struct ui_pci *pci)
{
	return pci->cap_msi && (pci->cfg[pci->cap_msi + PCI_MSI_CTRL] & PCI_MSI_ENABLE);
}

static u16 msix_ctrl(const struct ui_pci *pci)
{
	return pci->cap_msix ? ui_pci_get16(pci->cfg + pci->cap_msix + PCI_MSIX_CTRL) : 0;
}

static void tell_pin(struct ui_pci *pci, bool level)
{
	pci->pin_sent = level;
	if (pci->claimed)
		pci->sink.intx(pci->sink.arg, level);
	else if (pci->env.intx)
		pci->env.intx(pci->env.arg, level);
}

void ui_pci_pin_update(struct ui_pci *pci)
{
	bool gated = (ui_pci_get16(pci->cfg + PCI_CFG_COMMAND) & PCI_CMD_INTX_DISABLE) || msi_on(pci) ||
		     (msix_ctrl(pci) & PCI_MSIX_ENABLE);
	bool level = pci->pin_raw && pci->model->pin && !gated;

	if (level != pci->pin_sent)
		tell_pin(pci, level);
}

void ui_pci_intx(struct ui_pci *pci, bool level)
{
	pci->pin_raw = level;
	ui_pci_pin_update(pci);
}

static void send_msg(struct ui_pci *pci, bool msix, unsigned vector)
{
	if (pci->claimed)
		pci->sink.msg(pci->sink.arg, msix, vector);
	else if (pci->env.msg)
		pci->env.msg(pci->env.arg, msix, vector);
}

void ui_pci_msg(struct ui_pci *pci, unsigned vector)
{
	u16 ctrl = msix_ctrl(pci);

	if (ctrl & PCI_MSIX_ENABLE) {
		if (vector >= pci->model->n_msix)
			return;
		/* Held back by a mask, or because a message is a memory write and those are off. */
		pci->msix_pba[vector / 64] |= UI_BIT(vector % 64);
		ui_pci_pending_flush(pci);
	} else if (msi_on(pci) && ui_pci_bus_master(pci)) {
		unsigned mme = pci->cfg[pci->cap_msi + PCI_MSI_CTRL] >> PCI_MSI_MME_SHIFT & 7;

		/* Fewer messages than vectors: the rest share the first. */
		send_msg(pci, false, mme < 6 && vector < 1u << mme && vector < 1u << pci->model->n_msi_lg2 ? vector : 0);
	}
}

enum ui_pci_irq_mode ui_pci_irq_state(const struct ui_pci *pci, unsigned *n_vectors)
{
	if (msix_ctrl(pci) & PCI_MSIX_ENABLE) {
		*n_vectors = pci->model->n_msix;
		return UI_PCI_IRQ_MSIX;
	}
	*n_vectors = msi_on(pci) ? 1u << (pci->cfg[pci->cap_msi + PCI_MSI_CTRL] >> PCI_MSI_MME_SHIFT & 7) : 1;
	return msi_on(pci) ? UI_PCI_IRQ_MSI : UI_PCI_IRQ_PIN;
}

/* Sends what was held back by a mask that is gone. */
void ui_pci_pending_flush(struct ui_pci *pci)
{
	u16 ctrl = msix_ctrl(pci);

	if (!(ctrl & PCI_MSIX_ENABLE) || (ctrl & PCI_MSIX_FUNC_MASK) || !ui_pci_bus_master(pci))
		return;
	for (unsigned word = 0; word < (pci->model->n_msix + 63u) / 64; word++) {
		for (u64 left = pci->msix_pba[word]; left; left &= left - 1) {
			unsigned vector = word * 64 + ui_ffs64(left);

			if (pci->msix_table[4 * vector + 3] & PCI_MSIX_ENTRY_MASKED)
				continue;
			pci->msix_pba[word] &= ~UI_BIT(vector % 64);
			send_msg(pci, true, vector);
		}
	}
}

bool ui_pci_claim(struct ui_pci *pci, const struct ui_pci_sink *sink)
{
	char err[768];
	bool free;

	if (!ui_pci_lock_still(pci))
		return false;
	free = !pci->claimed;
	if (free && pci->model->open && pci->model->open(pci->state, err, sizeof(err))) {
		ui_log(UI_LOG_ERROR, "%s", err);
		free = false;
	}
	if (free) {
		pci->sink = *sink;
		pci->claimed = true;
		tell_pin(pci, pci->pin_sent);
	}
	ui_pci_unlock(pci);
	return free;
}

void ui_pci_unclaim(struct ui_pci *pci)
{
	if (!ui_pci_lock_still(pci))
		return;
	pci->claimed = false;
	if (pci->model->close)
		pci->model->close(pci->state);
	ui_pci_unlock(pci);
}

int ui_pci_open(struct ui_pci *pci, char *err, size_t err_bytes)
{
	int ret;

	if (!pci->model->open)
		return 0;
	if (!ui_pci_lock_still(pci))
		return -EDEADLK;
	ret = pci->model->open(pci->state, err, err_bytes);
	ui_pci_unlock(pci);
	return ret;
}

void ui_pci_irq_mode(struct ui_pci *pci, enum ui_pci_irq_mode mode, unsigned n_msgs)
{
	u16 ctrl;

	if (!ui_pci_lock(pci))
		return;
	if (pci->cap_msi) {
		ctrl = ui_pci_get16(pci->cfg + pci->cap_msi + PCI_MSI_CTRL) & (u16) ~(PCI_MSI_ENABLE | 7u << PCI_MSI_MME_SHIFT);
		if (mode == UI_PCI_IRQ_MSI)
			ctrl = (u16)(ctrl | PCI_MSI_ENABLE | ui_ceil_lg2(n_msgs) << PCI_MSI_MME_SHIFT);
		ui_pci_put16(pci->cfg + pci->cap_msi + PCI_MSI_CTRL, ctrl);
	}
	if (pci->cap_msix) {
		ctrl = msix_ctrl(pci) & (u16) ~(PCI_MSIX_ENABLE | PCI_MSIX_FUNC_MASK);
		if (mode == UI_PCI_IRQ_MSIX)
			ctrl |= PCI_MSIX_ENABLE;
		msix_reset(pci);
		ui_pci_put16(pci->cfg + pci->cap_msix + PCI_MSIX_CTRL, ctrl);
	}
	ui_pci_pin_update(pci);
	ui_pci_unlock(pci);
}

void ui_pci_msix_mask(struct ui_pci *pci, unsigned vector, bool masked)
{
	if (vector >= pci->model->n_msix || !ui_pci_lock(pci))
		return;
	pci->msix_table[4 * vector + 3] = masked ? PCI_MSIX_ENTRY_MASKED : 0;
	ui_pci_pending_flush(pci);
	ui_pci_unlock(pci);
}

/* ---- BARs ---- */

/* One naturally aligned access to the MSI-X BAR: table entries take dwords (and two at once), pending bits are read-only. */
static u64 msix_read(struct ui_pci *pci, u64 offset, unsigned n_bytes)
{
	const u8 *from = NULL;
	u64 val = 0;

	if (offset < pci->model->n_msix * (u64)PCI_MSIX_ENTRY_BYTES)
		from = (const u8 *)pci->msix_table + offset;
	else if (offset >= UI_PCI_MSIX_PBA_OFFSET && offset < UI_PCI_MSIX_PBA_OFFSET + (pci->model->n_msix + 63u) / 64 * 8)
		from = (const u8 *)pci->msix_pba + (offset - UI_PCI_MSIX_PBA_OFFSET);
	if (from)
		memcpy(&val, from, n_bytes);
	return val;
}

static void msix_write(struct ui_pci *pci, u64 offset, unsigned n_bytes, u64 val)
{
	if (n_bytes < 4 || offset >= pci->model->n_msix * (u64)PCI_MSIX_ENTRY_BYTES)
		return;
	memcpy((u8 *)pci->msix_table + offset, &val, n_bytes);
	pci->msix_table[offset / PCI_MSIX_ENTRY_BYTES * 4] &= ~3u;
	pci->msix_table[offset / PCI_MSIX_ENTRY_BYTES * 4 + 3] &= PCI_MSIX_ENTRY_MASKED;
	ui_pci_pending_flush(pci);
}

/* Plain BAR memory may be mapped by a program that writes it meanwhile: single accesses, relaxed, since only the model
 * knows which words carry an order. */
static u64 mem_read(const void *at, unsigned n_bytes)
{
	switch (n_bytes) {
	case 1:
		return atomic_load_explicit((const _Atomic u8 *)at, memory_order_relaxed);
	case 2:
		return atomic_load_explicit((const _Atomic u16 *)at, memory_order_relaxed);
	case 4:
		return atomic_load_explicit((const _Atomic u32 *)at, memory_order_relaxed);
	default:
		return atomic_load_explicit((const _Atomic u64 *)at, memory_order_relaxed);
	}
}

static void mem_write(void *at, unsigned n_bytes, u64 val)
{
	switch (n_bytes) {
	case 1:
		atomic_store_explicit((_Atomic u8 *)at, (u8)val, memory_order_relaxed);
		break;
	case 2:
		atomic_store_explicit((_Atomic u16 *)at, (u16)val, memory_order_relaxed);
		break;
	case 4:
		atomic_store_explicit((_Atomic u32 *)at, (u32)val, memory_order_relaxed);
		break;
	default:
		atomic_store_explicit((_Atomic u64 *)at, val, memory_order_relaxed);
	}
}

static u64 one_read(struct ui_pci *pci, unsigned bar, u64 offset, unsigned n_bytes)
{
	if (pci->model->n_msix && bar == pci->model->msix_bar)
		return msix_read(pci, offset, n_bytes);
	if (pci->bar_mem[bar])
		return mem_read((u8 *)pci->bar_mem[bar] + offset, n_bytes);
	return pci->model->read(pci->state, bar, offset, n_bytes);
}

static void one_write(struct ui_pci *pci, unsigned bar, u64 offset, unsigned n_bytes, u64 val)
{
	if (pci->model->n_msix && bar == pci->model->msix_bar)
		msix_write(pci, offset, n_bytes, val);
	else if (pci->bar_mem[bar])
		mem_write((u8 *)pci->bar_mem[bar] + offset, n_bytes, val);
	else
		pci->model->write(pci->state, bar, offset, n_bytes, val);
}

/* The largest naturally aligned access at @offset with at most @left bytes. */
static unsigned access_bytes(u64 offset, u32 left)
{
	unsigned n = 8;

	while (n > left || !ui_is_aligned(offset, n))
		n /= 2;
	return n;
}

static bool bar_begin(struct ui_pci *pci, unsigned bar, u64 offset, u32 n_bytes)
{
	u64 size = bar < UI_PCI_N_BARS ? pci->model->bars[bar].n_bytes : 0;

	if (offset > size || n_bytes > size - offset || !n_bytes || !ui_pci_lock(pci))
		return false;
	if (ui_pci_mem_enabled(pci))
		return true;
	ui_pci_unlock(pci);
	return false;
}

bool ui_pci_bar_read(struct ui_pci *pci, unsigned bar, u64 offset, void *buf, u32 n_bytes)
{
	if (!bar_begin(pci, bar, offset, n_bytes))
		return false;
	for (u32 done = 0, n; done < n_bytes; done += n) {
		u64 val;

		n = access_bytes(offset + done, n_bytes - done);
		val = one_read(pci, bar, offset + done, n);
		memcpy((u8 *)buf + done, &val, n);
	}
	ui_pci_unlock(pci);
	return true;
}

bool ui_pci_bar_write(struct ui_pci *pci, unsigned bar, u64 offset, const void *buf, u32 n_bytes)
{
	if (!bar_begin(pci, bar, offset, n_bytes))
		return false;
	for (u32 done = 0, n; done < n_bytes; done += n) {
		u64 val = 0;

		n = access_bytes(offset + done, n_bytes - done);
		memcpy(&val, (const u8 *)buf + done, n);
		one_write(pci, bar, offset + done, n, val);
	}
	ui_pci_unlock(pci);
	return true;
}

/* ---- reset and work ---- */

void ui_pci_reset_locked(struct ui_pci *pci)
{
	ui_pci_config_reset(pci);
	msix_reset(pci);
	pci->model->reset(pci->state);
	ui_pci_intx(pci, false);
}

void ui_pci_reset(struct ui_pci *pci)
{
	if (!ui_pci_lock_still(pci))
		return;
	ui_pci_reset_locked(pci);
	ui_pci_unlock(pci);
}

void ui_pci_reset_restore(struct ui_pci *pci)
{
	u8 saved[PCI_CFG_BYTES];

	if (!ui_pci_lock_still(pci))
		return;
	memcpy(saved, pci->cfg, sizeof(saved));
	/* Woken first: a function that sleeps cannot be reset. */
	if (pci->cap_pm)
		saved[pci->cap_pm + PCI_PM_CTRL] &= (u8)~PCI_PM_STATE;
	pci->model->reset(pci->state);
	memcpy(pci->cfg, saved, sizeof(saved));
	/* An operating system restores the table from its own copy: what is pending is lost, masks are kept. */
	memset(pci->msix_pba, 0, (pci->model->n_msix + 63u) / 64 * 8);
	ui_pci_intx(pci, false);
	ui_pci_unlock(pci);
}

bool ui_pci_step(struct ui_pci *pci)
{
	bool more;

	/* Steps follow each other closely, and a mutex knows no turns: without this a register access waits until all work is done. */
	for (unsigned i = 0; i < MAX_YIELDS && atomic_load_explicit(&pci->n_queued, memory_order_relaxed); i++)
		ui_sys_yield();
	if (!ui_pci_lock_still(pci))
		return false;
	more = ui_pci_bus_master(pci) && pci->model->step(pci->state);
	ui_pci_unlock(pci);
	return more;
}

bool ui_pci_polls(struct ui_pci *pci)
{
	bool polls;

	if (!pci->model->polls || !ui_pci_lock(pci))
		return false;
	polls = ui_pci_bus_master(pci) && pci->model->polls(pci->state);
	ui_pci_unlock(pci);
	return polls;
}

/* ---- models ---- */

extern const struct ui_pci_model ui_dma_model, ui_nvme_model;

static const struct ui_pci_model *const models[] = { &ui_dma_model, &ui_nvme_model };

const struct ui_pci_model *const *ui_pci_models(size_t *n)
{
	*n = ui_array_size(models);
	return models;
}

const struct ui_pci_model *ui_pci_model_find(const char *name)
{
	for (size_t i = 0; i < ui_array_size(models); i++) {
		if (!strcmp(models[i]->name, name))
			return models[i];
	}
	return NULL;
}
