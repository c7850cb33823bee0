/* SPDX-License-Identifier: MIT */
/*
 * DMA by message: memory that the client mapped without a descriptor is registers of the memory object, and every access is a request to the client,
 * which the loop sends and whose reply it gets. Slow, and there so that nothing is out of reach.
 */
#include "vfio_user/priv.h"

#include "base/alloc.h"
#include "base/bits.h"
#include "base/log.h"
#include "translate/mem.h"

#include <errno.h>
#include <string.h>

enum { OLD_QEMU_DATA = 12, STANDARD_DATA = 16 };

/* With the lock held. */
static void end(struct ui_vu *vu, struct vu_call *call, enum vu_call_state state)
{
	call->state = state;
	/* Release: partner is whoever waits. */
	atomic_store_explicit(&call->word, 1, memory_order_release);
	vu->env.wake(vu->env.arg, &call->word);
}

void ui_vu_calls_fail(struct ui_vu *vu, const struct vu_region *region)
{
	pthread_mutex_lock(&vu->lock);
	for (unsigned i = 0; i < VU_N_CALLS; i++) {
		struct vu_call *call = &vu->calls[i];

		if (call->state == VU_CALL_WAITING && (!region || call->region == region))
			end(vu, call, VU_CALL_CANCELLED);
	}
	pthread_mutex_unlock(&vu->lock);
}

/* The call begun and its message queued, or NULL. With the lock held. */
static struct vu_call *begin(struct ui_vu *vu, const struct vu_region *r, u64 offset, unsigned n_bytes, bool write, u64 val)
{
	unsigned data = vu->dialect == VU_DIALECT_OLD_QEMU ? OLD_QEMU_DATA : STANDARD_DATA, i = 0;
	struct vu_dma_rw rw = { r->iova + offset, n_bytes };
	struct vu_call *call;
	struct vu_out *out;

	while (i < VU_N_CALLS && vu->calls[i].state != VU_CALL_FREE)
		i++;
	if (i == VU_N_CALLS || vu->dead || vu->silent || n_bytes > vu->max_call_bytes)
		return NULL;
	out = ui_vu_out_new((u32)sizeof(rw) + (write ? n_bytes : 0));
	if (!out)
		return NULL;
	call = &vu->calls[i];
	call->state = VU_CALL_WAITING;
	call->id = out->head.id = vu->next_id++;
	call->command = out->head.command = write ? VU_DMA_WRITE : VU_DMA_READ;
	call->n_bytes = n_bytes;
	call->region = r;
	atomic_store_explicit(&call->word, 0, memory_order_relaxed);
	memcpy(out->payload, &rw, sizeof(rw));
	if (write)
		memcpy(out->payload + data, &val, n_bytes);
	ui_vu_out_queue(vu, out);
	return call;
}

static bool exchange(struct vu_region *r, u64 offset, unsigned n_bytes, bool write, u64 *val)
{
	struct ui_vu *vu = r->vu;
	struct vu_call *call;
	bool ok, left;

	if (!vu->env.wait)
		return false;
	pthread_mutex_lock(&vu->lock);
	call = begin(vu, r, offset, n_bytes, write, *val);
	/* The end of the connection is the loop's to find. */
	if (call)
		ui_vu_out_flush(vu);
	left = call && vu->first;
	pthread_mutex_unlock(&vu->lock);
	if (!call)
		return false;
	if (left)
		vu->env.kick(vu->env.arg);
	vu->env.wait(vu->env.arg, &call->word);
	pthread_mutex_lock(&vu->lock);
	ok = call->state == VU_CALL_DONE;
	if (ok)
		*val = call->val;
	if (call->state == VU_CALL_WAITING) {
		/* Its answer may come yet: the number stays taken. */
		call->state = VU_CALL_ABANDONED;
		vu->silent = true;
		ui_log(UI_LOG_WARN, "vfio-user: %s: the client does not answer DMA at 0x%llx", vu->dev.name,
		       (unsigned long long)(r->iova + offset));
	} else {
		call->state = call->state == VU_CALL_CANCELLED ? VU_CALL_ABANDONED : VU_CALL_FREE;
	}
	pthread_mutex_unlock(&vu->lock);
	return ok;
}

static bool dma_read(void *arg, u64 offset, unsigned n_bytes, u64 *val)
{
	*val = 0;
	return exchange(arg, offset, n_bytes, false, val);
}

static bool dma_write(void *arg, u64 offset, unsigned n_bytes, u64 val)
{
	struct vu_region *r = arg;

	return r->writable && exchange(r, offset, n_bytes, true, &val);
}

const struct ui_mem_mmio_ops ui_vu_call_ops = { .read = dma_read, .write = dma_write };

/*
 * The data of a reply to a read of at most 8 bytes. An old QEMU's begin where the standard has 4 bytes of zeros, and it has 4 of zeros at the
 * end: what is not zero tells which, and that is remembered.
 */
static u64 data_of(struct ui_vu *vu, const u8 *payload, u32 n)
{
	static const u8 zeros[4];
	u64 val = 0;

	if (memcmp(payload + OLD_QEMU_DATA, zeros, sizeof(zeros)))
		vu->dialect = VU_DIALECT_OLD_QEMU;
	else if (memcmp(payload + OLD_QEMU_DATA + n, zeros, sizeof(zeros)))
		vu->dialect = VU_DIALECT_STANDARD;
	memcpy(&val, payload + (vu->dialect == VU_DIALECT_OLD_QEMU ? OLD_QEMU_DATA : STANDARD_DATA), n);
	return val;
}

/* The call that this answers, or NULL. With the lock held. */
static struct vu_call *answered(struct ui_vu *vu)
{
	for (unsigned i = 0; i < VU_N_CALLS; i++) {
		struct vu_call *call = &vu->calls[i];
		bool open = call->state == VU_CALL_WAITING || call->state == VU_CALL_CANCELLED || call->state == VU_CALL_ABANDONED;

		if (open && call->id == vu->head.id && call->command == vu->head.command)
			return call;
	}
	return NULL;
}

int ui_vu_call_reply(struct ui_vu *vu, const u8 *payload, u32 n_bytes)
{
	struct vu_call *call;
	bool fits;

	pthread_mutex_lock(&vu->lock);
	call = answered(vu);
	if (call && call->state != VU_CALL_WAITING) {
		call->state = call->state == VU_CALL_CANCELLED ? VU_CALL_FAILED : VU_CALL_FREE;
	} else if (call) {
		fits = call->command == VU_DMA_WRITE || n_bytes == sizeof(struct vu_dma_rw) + call->n_bytes;
		if (fits && !(vu->head.flags & VU_ERROR)) {
			if (call->command == VU_DMA_READ)
				call->val = data_of(vu, payload, call->n_bytes);
			end(vu, call, VU_CALL_DONE);
		} else {
			ui_log(UI_LOG_DEBUG, "vfio-user: %s: DMA by message failed: %u bytes of answer, errno %u", vu->dev.name, n_bytes,
			       vu->head.flags & VU_ERROR ? vu->head.error : 0);
			end(vu, call, VU_CALL_FAILED);
		}
	}
	pthread_mutex_unlock(&vu->lock);
	if (call)
		return 0;
	ui_log(UI_LOG_WARN, "vfio-user: %s: an answer to nothing: the client is cut off", vu->dev.name);
	return -EPROTO;
}
