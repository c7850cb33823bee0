/* SPDX-License-Identifier: MIT */
/* The commands of vfio-user: most are calls of the VFIO device file in other clothes. */
#include "vfio_user/priv.h"

#include "base/alloc.h"
#include "base/bits.h"
#include "base/log.h"

#include <errno.h>
#include <string.h>

enum { MAX_IRQS = 256 };

static u64 addr(const void *at)
{
	return (u64)(uintptr_t)at;
}

/* An answer that is @n_bytes of @from. */
static int answer(struct vu_out **out, const void *from, u32 n_bytes)
{
	*out = ui_vu_out_new(n_bytes);
	if (!*out)
		return -ENOMEM;
	memcpy((*out)->payload, from, n_bytes);
	return 0;
}

/* ---- what the device is ---- */

static int get_info(struct ui_vu *vu, const u8 *payload, u32 n_bytes, struct vu_out **out)
{
	const u32 known = UI_VFIO_MIN(struct ui_vfio_info, num_irqs);
	struct ui_vfio_info info = { 0 };
	long ret;

	memcpy(&info, payload, known);
	if (info.argsz < known)
		return -EINVAL;
	info.argsz = known;
	ret = ui_vfio_ioctl(vu->vfio, UI_VFIO_GET_INFO, addr(&info));
	return ret ? (int)ret : answer(out, &info, known);
}

static int get_region_info(struct ui_vu *vu, const u8 *payload, u32 n_bytes, struct vu_out **out)
{
	struct ui_vfio_region_info info;
	int fd = -1;
	long ret;

	memcpy(&info, payload, sizeof(info));
	if (info.argsz < sizeof(info))
		return -EINVAL;
	ret = ui_vfio_ioctl(vu->vfio, UI_VFIO_GET_REGION_INFO, addr(&info));
	if (ret)
		return (int)ret;
	info.argsz = sizeof(info);
	if (info.flags & UI_VFIO_REGION_MMAP) {
		fd = vu->dev.bar_fds[info.index];
		info.offset = 0; /* now it is that in the descriptor */
		if (fd < 0)
			info.flags &= ~(u32)UI_VFIO_REGION_MMAP;
	}
	ret = answer(out, &info, sizeof(info));
	if (!ret)
		(*out)->fd = fd;
	return (int)ret;
}

static int get_irq_info(struct ui_vu *vu, const u8 *payload, u32 n_bytes, struct vu_out **out)
{
	struct ui_vfio_irq_info info;
	long ret;

	memcpy(&info, payload, sizeof(info));
	ret = ui_vfio_ioctl(vu->vfio, UI_VFIO_GET_IRQ_INFO, addr(&info));
	return ret ? (int)ret : answer(out, &info, sizeof(info));
}

/* ---- interrupts ---- */

/* Descriptors come beside the message: one for each interrupt, or none to take all away. */
static int set_irqs(struct ui_vu *vu, const u8 *payload, u32 n_bytes, struct vu_out **out)
{
	struct {
		struct ui_vfio_irq_set set;
		union {
			s32 fds[MAX_IRQS];
			u8 bools[MAX_IRQS];
		};
	} irqs;
	u32 rest = n_bytes - (u32)sizeof(irqs.set), type;

	memcpy(&irqs.set, payload, sizeof(irqs.set));
	type = irqs.set.flags & UI_VFIO_DATA_TYPES;
	if (irqs.set.argsz < sizeof(irqs.set) || irqs.set.count > MAX_IRQS)
		return -EINVAL;
	irqs.set.argsz = sizeof(irqs.set);
	if (type != UI_VFIO_DATA_EVENTFD && vu->n_fds)
		return -EINVAL;
	if (type == UI_VFIO_DATA_EVENTFD) {
		if (rest || (vu->n_fds && vu->n_fds != irqs.set.count))
			return -EINVAL;
		for (u32 i = 0; i < irqs.set.count; i++)
			irqs.fds[i] = vu->n_fds ? vu->fds[i] : -1;
		irqs.set.argsz += irqs.set.count * (u32)sizeof(irqs.fds[0]);
	} else if (type == UI_VFIO_DATA_BOOL) {
		if (rest != irqs.set.count)
			return -EINVAL;
		memcpy(irqs.bools, payload + sizeof(irqs.set), rest);
		irqs.set.argsz += rest;
	} else if (rest) {
		return -EINVAL;
	}
	return (int)ui_vfio_ioctl(vu->vfio, UI_VFIO_SET_IRQS, addr(&irqs));
}

/* ---- registers ---- */

/* Where the VFIO device file has it. 0 or -EINVAL. */
static int place(u32 region, u64 offset, u32 n_bytes, u64 *pos)
{
	u64 last;

	if (region >= UI_VFIO_N_REGIONS || n_bytes > UI_VU_MAX_TRANSFER)
		return -EINVAL;
	if (n_bytes && (!ui_range_last(offset, n_bytes, &last) || last >> UI_VFIO_REGION_SHIFT))
		return -EINVAL;
	*pos = (u64)region << UI_VFIO_REGION_SHIFT | (offset & ui_mask_lg2(UI_VFIO_REGION_SHIFT));
	return 0;
}

static int region_read(struct ui_vu *vu, const u8 *payload, u32 n_bytes, struct vu_out **out)
{
	struct vu_region_rw rw;
	u64 pos;
	s64 n;
	int ret;

	memcpy(&rw, payload, sizeof(rw));
	ret = place(rw.region, rw.offset, rw.n_bytes, &pos);
	if (ret)
		return ret;
	*out = ui_vu_out_new((u32)sizeof(rw) + rw.n_bytes);
	if (!*out)
		return -ENOMEM;
	n = ui_vfio_pread(vu->vfio, (*out)->payload + sizeof(rw), rw.n_bytes, pos);
	if (n < 0)
		return (int)n;
	/* A read over the end of a region ends there. */
	rw.n_bytes = (u32)n;
	memcpy((*out)->payload, &rw, sizeof(rw));
	(*out)->n_bytes = (*out)->head.n_bytes = (u32)(sizeof((*out)->head) + sizeof(rw)) + rw.n_bytes;
	return 0;
}

static int region_write(struct ui_vu *vu, const u8 *payload, u32 n_bytes, struct vu_out **out)
{
	struct vu_region_rw rw;
	u64 pos;
	s64 n;
	int ret;

	memcpy(&rw, payload, sizeof(rw));
	if (rw.n_bytes != n_bytes - sizeof(rw))
		return -EINVAL;
	ret = place(rw.region, rw.offset, rw.n_bytes, &pos);
	if (ret)
		return ret;
	n = ui_vfio_pwrite(vu->vfio, payload + sizeof(rw), rw.n_bytes, pos);
	if (n < 0)
		return (int)n;
	rw.n_bytes = (u32)n;
	return answer(out, &rw, sizeof(rw));
}

/* Writes that a client collected; one that fails does not keep the others. */
static int write_multi(struct ui_vu *vu, const u8 *payload, u32 n_bytes, struct vu_out **out)
{
	struct vu_write_one one;
	u64 n, pos;
	int ret = 0;

	memcpy(&n, payload, sizeof(n));
	if (n > VU_MULTI_MAX || n_bytes - sizeof(n) != n * sizeof(one))
		return -EINVAL;
	for (u64 i = 0; i < n; i++) {
		s64 did = -EINVAL;

		memcpy(&one, payload + sizeof(n) + i * sizeof(one), sizeof(one));
		if (one.n_bytes <= sizeof(one.data) && !place(one.region, one.offset, one.n_bytes, &pos))
			did = ui_vfio_pwrite(vu->vfio, one.data, one.n_bytes, pos);
		if (did < 0 && !ret)
			ret = (int)did;
	}
	return ret;
}

static int reset(struct ui_vu *vu, const u8 *payload, u32 n_bytes, struct vu_out **out)
{
	return (int)ui_vfio_ioctl(vu->vfio, UI_VFIO_RESET, 0);
}

/* ---- all of them ---- */

enum { HEAD = sizeof(struct vu_head), NO_LIMIT = VU_MAX_MESSAGE - HEAD };

static const struct command {
	const char *name;
	int (*serve)(struct ui_vu *vu, const u8 *payload, u32 n_bytes, struct vu_out **out);
	u32 min, max; /* bytes of payload */
	unsigned n_fds; /* at most */
} commands[VU_N_COMMANDS] = {
	[VU_VERSION] = { "VERSION", ui_vu_version, sizeof(struct vu_version), 4096, 0 },
	[VU_DMA_MAP] = { "DMA_MAP", ui_vu_dma_map, sizeof(struct vu_dma_map), sizeof(struct vu_dma_map), 1 },
	[VU_DMA_UNMAP] = { "DMA_UNMAP", ui_vu_dma_unmap, sizeof(struct vu_dma_unmap), sizeof(struct vu_dma_unmap), 0 },
	[VU_GET_INFO] = { "DEVICE_GET_INFO", get_info, UI_VFIO_MIN(struct ui_vfio_info, num_irqs), sizeof(struct ui_vfio_info), 0 },
	[VU_GET_REGION_INFO] = { "DEVICE_GET_REGION_INFO", get_region_info, sizeof(struct ui_vfio_region_info), 4096, 0 },
	[VU_GET_IRQ_INFO] = { "DEVICE_GET_IRQ_INFO", get_irq_info, sizeof(struct ui_vfio_irq_info), sizeof(struct ui_vfio_irq_info), 0 },
	[VU_SET_IRQS] = { "DEVICE_SET_IRQS", set_irqs, sizeof(struct ui_vfio_irq_set), sizeof(struct ui_vfio_irq_set) + MAX_IRQS, UI_VU_MAX_FDS },
	[VU_REGION_READ] = { "REGION_READ", region_read, sizeof(struct vu_region_rw), sizeof(struct vu_region_rw), 0 },
	[VU_REGION_WRITE] = { "REGION_WRITE", region_write, sizeof(struct vu_region_rw), NO_LIMIT, 0 },
	[VU_RESET] = { "DEVICE_RESET", reset, 0, 0, 0 },
	[VU_WRITE_MULTI] = { "REGION_WRITE_MULTI", write_multi, sizeof(u64), NO_LIMIT, 0 },
};

static int serve(struct ui_vu *vu, const struct command *command, u32 n_bytes, struct vu_out **out)
{
	if (!command)
		return -EOPNOTSUPP;
	if (n_bytes < command->min || n_bytes > command->max || vu->n_fds > command->n_fds)
		return -EINVAL;
	return command->serve(vu, vu->in, n_bytes, out);
}

static void reply(struct ui_vu *vu, struct vu_out *out, int ret)
{
	out->head.id = vu->head.id;
	out->head.command = vu->head.command;
	out->head.flags = VU_REPLY | (ret ? VU_ERROR : 0);
	out->head.error = (u32)-ret;
	pthread_mutex_lock(&vu->lock);
	ui_vu_out_queue(vu, out);
	pthread_mutex_unlock(&vu->lock);
}

int ui_vu_dispatch(struct ui_vu *vu)
{
	u32 n_bytes = vu->head.n_bytes - HEAD, number = vu->head.command;
	const struct command *command = number < VU_N_COMMANDS && commands[number].serve ? &commands[number] : NULL;
	struct vu_out *out = NULL;
	int ret;

	if ((vu->head.flags & VU_TYPE) == VU_REPLY)
		return ui_vu_call_reply(vu, vu->in, n_bytes);
	/* Until both sides know what they speak there is nothing else to say. */
	if (vu->versioned != (number != VU_VERSION)) {
		ui_log(UI_LOG_WARN, "vfio-user: %s: %s: the client is cut off", vu->dev.name,
		       vu->versioned ? "a second VERSION" : "its first message is not VERSION");
		return -EPROTO;
	}
	ret = serve(vu, command, n_bytes, &out);
	if (ret)
		ui_log(UI_LOG_DEBUG, "vfio-user: %s: %s (%u): errno %d", vu->dev.name, command ? command->name : "unknown command", number, -ret);
	if (ret || (vu->head.flags & VU_NO_REPLY)) {
		ui_free(out);
		out = NULL;
	}
	if (!(vu->head.flags & VU_NO_REPLY)) {
		out = out ? out : ui_vu_out_new(0);
		if (!out)
			return -ENOMEM;
		reply(vu, out, ret);
	}
	return number == VU_VERSION && ret ? -EPROTO : 0;
}
