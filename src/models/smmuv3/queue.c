/* SPDX-License-Identifier: MIT */
/* Queues in memory (3.5), the event queue (7.2), errors (7.5), interrupts (3.18). */
#include "base/bits.h"
#include "base/safe.h"
#include "models/smmuv3/priv.h"

/* Its address names the thread. */
static _Thread_local char thread_marker;

/* ---- Queues ---- */

unsigned ui_smmuv3_queue_lg2(const struct ui_smmuv3_q *q)
{
	return (unsigned)ui_hw_get(&q->base, UI_SMMUV3_Q_BASE_LOG2SIZE);
}

u64 ui_smmuv3_queue_addr(const struct ui_smmuv3_q *q, u32 index, unsigned entry_bytes)
{
	unsigned lg2 = ui_smmuv3_queue_lg2(q);
	u64 table_bytes = (u64)entry_bytes << lg2;

	/* 6.3: a queue is aligned to its size; the address bits below are not looked at. */
	return (ui_hw_get_addr(&q->base, UI_SMMUV3_Q_BASE_ADDR) & ~(table_bytes - 1)) + (index & ui_mask_lg2(lg2)) * entry_bytes;
}

/* The index behind @index, wrap bit included. */
u32 ui_smmuv3_queue_next(const struct ui_smmuv3_q *q, u32 index)
{
	return (u32)((index + 1) & ui_mask_lg2(ui_smmuv3_queue_lg2(q) + 1));
}

static u32 index_of(const struct ui_smmuv3_q *q, u32 reg)
{
	return (u32)(reg & ui_mask_lg2(ui_smmuv3_queue_lg2(q) + 1));
}

static bool is_empty(const struct ui_smmuv3_q *q)
{
	return index_of(q, q->prod) == index_of(q, q->cons);
}

static bool is_full(const struct ui_smmuv3_q *q)
{
	return index_of(q, q->prod) == (index_of(q, q->cons) ^ (1u << ui_smmuv3_queue_lg2(q)));
}

/* RAM only: queues in registers, our own say, are an abort. */
bool ui_smmuv3_queue_read(struct ui_smmuv3 *smmu, u64 addr, u64 *words, unsigned n)
{
	const struct ui_dma_addr at = { .iova = addr };
	struct ui_mem_span span;
	bool ok;

	if (ui_dma_begin(smmu->queues, &at, UI_PROT_READ, n * 8, &span, NULL) != UI_DMA_OK)
		return false;
	ok = span.host && span.n_bytes >= n * 8 && !ui_safe_copy(words, span.host, n * 8);
	ui_dma_end(smmu->queues);
	return ok;
}

bool ui_smmuv3_queue_write(struct ui_smmuv3 *smmu, u64 addr, const u64 *words, unsigned n)
{
	const struct ui_dma_addr at = { .iova = addr };
	struct ui_mem_span span;
	bool ok;

	if (ui_dma_begin(smmu->queues, &at, UI_PROT_WRITE, n * 8, &span, NULL) != UI_DMA_OK)
		return false;
	ok = span.host && span.n_bytes >= n * 8 && !ui_safe_copy(span.host, words, n * 8);
	ui_dma_end(smmu->queues);
	return ok;
}

/* 7.2, 7.4: a record that finds no room is lost, and the overflow flag says so once software has acknowledged the last one. */
void ui_smmuv3_record(struct ui_smmuv3 *smmu, const u64 evt[UI_SMMUV3_EVT_WORDS])
{
	struct ui_smmuv3_q *q = &smmu->eventq;
	u32 overflow = (u32)UI_SMMUV3_REG(Q_PROD, OVFLG);
	bool was_empty = is_empty(q);

	if (!(atomic_load_explicit(&smmu->cr0, memory_order_relaxed) & UI_SMMUV3_REG(CR0, EVENTQEN)))
		return;
	/* 7.2.2: while an abort is not acknowledged, nothing is written. */
	if ((smmu->gerror ^ smmu->gerrorn) & UI_SMMUV3_REG(GERROR, EVENTQ_ABT_ERR))
		return;
	if (is_full(q)) {
		if (!((q->prod ^ q->cons) & overflow))
			q->prod ^= overflow;
		return;
	}
	if (!ui_smmuv3_queue_write(smmu, ui_smmuv3_queue_addr(q, q->prod, UI_SMMUV3_EVT_BYTES), evt, UI_SMMUV3_EVT_WORDS)) {
		ui_smmuv3_gerror(smmu, UI_SMMUV3_REG(GERROR, EVENTQ_ABT_ERR));
		return;
	}
	q->prod = ui_smmuv3_queue_next(q, q->prod) | (q->prod & overflow);
	if (was_empty)
		ui_smmuv3_raise(smmu, UI_SMMUV3_IRQ_EVENTQ);
}

/* ---- Errors and interrupts ---- */

/* 7.5: an error that is active stays so; it is signalled when it becomes active. */
void ui_smmuv3_gerror(struct ui_smmuv3 *smmu, u64 error)
{
	if ((smmu->gerror ^ smmu->gerrorn) & error)
		return;
	smmu->gerror ^= (u32)error;
	/* 3.18.2: an error of its own message is not told by a message. */
	if (error != UI_SMMUV3_REG(GERROR, MSI_GERROR_ABT_ERR))
		ui_smmuv3_raise(smmu, UI_SMMUV3_IRQ_GERROR);
}

static bool is_enabled(const struct ui_smmuv3 *smmu, enum ui_smmuv3_irq irq)
{
	switch (irq) {
	case UI_SMMUV3_IRQ_EVENTQ:
		return smmu->irq_ctrl & UI_SMMUV3_REG(IRQ_CTRL, EVENTQ_IRQEN);
	case UI_SMMUV3_IRQ_GERROR:
		return smmu->irq_ctrl & UI_SMMUV3_REG(IRQ_CTRL, GERROR_IRQEN);
	case UI_SMMUV3_IRQ_PRIQ:
		return smmu->irq_ctrl & UI_SMMUV3_REG(IRQ_CTRL, PRIQ_IRQEN);
	case UI_SMMUV3_IRQ_CMD_SYNC:
		return true;
	}
	return false;
}

void ui_smmuv3_raise(struct ui_smmuv3 *smmu, enum ui_smmuv3_irq irq)
{
	if (is_enabled(smmu, irq))
		smmu->irqs |= (u8)(1u << irq);
}

void ui_smmuv3_irqs_off(struct ui_smmuv3 *smmu)
{
	u8 off = 0;

	for (unsigned irq = UI_SMMUV3_IRQ_EVENTQ; irq <= UI_SMMUV3_IRQ_GERROR; irq++)
		off |= (u8)(is_enabled(smmu, (enum ui_smmuv3_irq)irq) ? 0 : 1u << irq);
	smmu->irqs &= (u8)~off;
	/* Never by the sender itself: its accesses to our registers are refused. */
	while (smmu->sending & off)
		pthread_cond_wait(&smmu->sent, &smmu->lock);
}

bool ui_smmuv3_self_sending(struct ui_smmuv3 *smmu)
{
	uintptr_t self = (uintptr_t)&thread_marker;

	return atomic_load_explicit(&smmu->irq_sender, memory_order_relaxed) == self ||
	       atomic_load_explicit(&smmu->sync_sender, memory_order_relaxed) == self;
}

bool ui_smmuv3_send(struct ui_smmuv3 *smmu, struct ui_dma *port, _Atomic uintptr_t *sender, u64 addr, u32 data)
{
	const struct ui_dma_addr at = { .iova = addr };
	enum ui_dma_status status;

	/* Only the thread itself asks for its own mark. */
	atomic_store_explicit(sender, (uintptr_t)&thread_marker, memory_order_relaxed);
	status = ui_dma_write(port, &at, &data, sizeof(data), NULL, NULL);
	atomic_store_explicit(sender, 0, memory_order_relaxed);
	return status == UI_DMA_OK;
}

/* The message that stands for @irq, and the error that tells of its abort; false: it is a wired one. */
static bool message_of(const struct ui_smmuv3 *smmu, enum ui_smmuv3_irq irq, struct ui_smmuv3_msi *msi, u64 *error)
{
	switch (irq) {
	case UI_SMMUV3_IRQ_EVENTQ:
		*msi = smmu->eventq_msi;
		*error = UI_SMMUV3_REG(GERROR, MSI_EVENTQ_ABT_ERR);
		return msi->addr;
	case UI_SMMUV3_IRQ_GERROR:
		*msi = smmu->gerror_msi;
		*error = UI_SMMUV3_REG(GERROR, MSI_GERROR_ABT_ERR);
		return msi->addr;
	case UI_SMMUV3_IRQ_PRIQ:
	case UI_SMMUV3_IRQ_CMD_SYNC:
		break;
	}
	return false;
}

void ui_smmuv3_deliver(struct ui_smmuv3 *smmu)
{
	pthread_mutex_lock(&smmu->lock);
	if (smmu->delivering) {
		pthread_mutex_unlock(&smmu->lock);
		return;
	}
	smmu->delivering = true;
	while (smmu->irqs) {
		enum ui_smmuv3_irq irq = (enum ui_smmuv3_irq)__builtin_ctz(smmu->irqs);
		u32 n_resets = smmu->n_resets;
		struct ui_smmuv3_msi msi;
		bool is_message, ok = true;
		u64 error;

		smmu->irqs &= (u8)~(1u << irq);
		is_message = message_of(smmu, irq, &msi, &error);
		smmu->sending = (u8)(is_message ? 1u << irq : 0);
		pthread_mutex_unlock(&smmu->lock);
		if (is_message)
			ok = ui_smmuv3_send(smmu, smmu->irq_port, &smmu->irq_sender, msi.addr, msi.data);
		else if (smmu->cfg.irq)
			smmu->cfg.irq(smmu->cfg.arg, irq);
		pthread_mutex_lock(&smmu->lock);
		if (!ok && n_resets == smmu->n_resets)
			ui_smmuv3_gerror(smmu, error);
		smmu->sending = 0;
		pthread_cond_broadcast(&smmu->sent);
	}
	smmu->delivering = false;
	pthread_mutex_unlock(&smmu->lock);
}
