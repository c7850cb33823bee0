/* SPDX-License-Identifier: MIT */
/* A vfio-user connection: life, the stream in, the stream out. */
#include "vfio_user/priv.h"

#include "base/alloc.h"
#include "base/bits.h"
#include "base/log.h"
#include "base/sys.h"
#include "core/domain.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

enum { MESSAGES_A_RUN = 64, IN_ROOM = 4096 };

/* ---- the device's way to the client's memory, where nobody says otherwise ---- */

struct ui_bound {
	struct ui_device *dev;
};

static int identity_bind(void *ctx, struct ui_device *dev, u32 *id, struct ui_bound **out)
{
	struct ui_bound *bound = ui_zalloc(sizeof(*bound));
	int ret = bound ? ui_device_claim(dev, bound) : -ENOMEM;

	if (ret) {
		ui_free(bound);
		return ret;
	}
	ret = ui_device_attach(dev, 0, false, ui_domain_identity(ui_device_iommu(dev)), true, NULL);
	if (ret) {
		ui_device_release(dev, bound);
		ui_free(bound);
		return ret;
	}
	bound->dev = dev;
	*id = 0;
	*out = bound;
	return 0;
}

static void identity_unbind(struct ui_bound *bound)
{
	ui_device_detach(bound->dev, 0, false);
	ui_device_release(bound->dev, bound);
	ui_free(bound);
}

static const struct ui_binder_ops identity = { .bind = identity_bind, .unbind = identity_unbind };

/* There is no descriptor to look for: the embedder said where to. */
static int binder_get(void *arg, int fd, struct ui_binder *out)
{
	const struct ui_vu *vu = arg;

	*out = vu->dev.binder;
	if (!out->ops)
		out->ops = &identity;
	return 0;
}

/* ---- life ---- */

static int device_take(struct ui_vu *vu)
{
	struct ui_vfio_bind bind = { .argsz = sizeof(bind) };
	long ret;

	vu->vfio = ui_vfio_open(vu->dev.pci, vu->dev.dev, binder_get, vu);
	if (!vu->vfio)
		return -ENOMEM;
	ret = ui_vfio_ioctl(vu->vfio, UI_VFIO_BIND, (u64)(uintptr_t)&bind);
	return ret == -EINVAL ? -EBUSY : (int)ret;
}

int ui_vu_create(const struct ui_vu_device *device, const struct ui_vu_env *env, int fd, struct ui_vu **out)
{
	struct ui_vu *vu = ui_zalloc(sizeof(*vu));
	int ret;

	if (!vu) {
		ui_sys_close(fd);
		return -ENOMEM;
	}
	vu->dev = *device;
	vu->env = *env;
	vu->fd = fd;
	vu->end = &vu->first;
	ui_list_init(&vu->regions);
	pthread_mutex_init(&vu->lock, NULL);
	vu->in_room = IN_ROOM;
	vu->in = ui_zalloc(IN_ROOM);
	ret = vu->in ? device_take(vu) : -ENOMEM;
	if (ret) {
		ui_vu_destroy(vu);
		return ret;
	}
	*out = vu;
	return 0;
}

static void fds_close(struct ui_vu *vu)
{
	for (unsigned i = 0; i < vu->n_fds; i++) {
		if (vu->fds[i] >= 0)
			ui_sys_close(vu->fds[i]);
	}
	vu->n_fds = 0;
}

void ui_vu_destroy(struct ui_vu *vu)
{
	if (!vu)
		return;
	pthread_mutex_lock(&vu->lock);
	vu->dead = true;
	pthread_mutex_unlock(&vu->lock);
	/* Whoever waits for the client holds up the device. */
	ui_vu_calls_fail(vu, NULL);
	if (vu->vfio)
		ui_vfio_close(vu->vfio);
	ui_vu_regions_remove(vu);
	fds_close(vu);
	while (vu->first) {
		struct vu_out *out = vu->first;

		vu->first = out->next;
		ui_free(out);
	}
	ui_sys_close(vu->fd);
	pthread_mutex_destroy(&vu->lock);
	ui_free(vu->in);
	ui_free(vu);
}

struct ui_vfio *ui_vu_vfio(struct ui_vu *vu)
{
	return vu->vfio;
}

int ui_vu_fd(const struct ui_vu *vu)
{
	return vu->fd;
}

unsigned ui_vu_n_regions(const struct ui_vu *vu)
{
	return vu->n_regions;
}

/* ---- out ---- */

struct vu_out *ui_vu_out_new(u32 n_bytes)
{
	struct vu_out *out = ui_zalloc(sizeof(*out) + n_bytes);

	if (!out)
		return NULL;
	out->fd = -1;
	out->n_bytes = out->head.n_bytes = (u32)sizeof(out->head) + n_bytes;
	return out;
}

void ui_vu_out_queue(struct ui_vu *vu, struct vu_out *out)
{
	*vu->end = out;
	vu->end = &out->next;
	vu->n_queued += out->n_bytes;
}

int ui_vu_out_flush(struct ui_vu *vu)
{
	while (vu->first) {
		struct vu_out *out = vu->first;
		/* Header and payload lie side by side. */
		const u8 *from = (const u8 *)out + offsetof(struct vu_out, head);
		ssize_t n = ui_sys_send_fd(vu->fd, from + out->done, out->n_bytes - out->done, out->done ? -1 : out->fd);

		if (n == -EAGAIN)
			return 0;
		if (n < 0)
			return -ECONNRESET;
		out->done += (u32)n;
		if (out->done < out->n_bytes)
			continue;
		vu->n_queued -= out->n_bytes;
		vu->first = out->next;
		if (!vu->first)
			vu->end = &vu->first;
		ui_free(out);
	}
	return 0;
}

/* A client that asks and does not read its answers is not heard any more until it does. */
static bool clogged(const struct ui_vu *vu)
{
	return vu->n_queued > VU_MAX_QUEUED;
}

short ui_vu_events(struct ui_vu *vu)
{
	short events = 0;

	pthread_mutex_lock(&vu->lock);
	if (!clogged(vu))
		events |= POLLIN;
	if (vu->first)
		events |= POLLOUT;
	pthread_mutex_unlock(&vu->lock);
	return events;
}

/* ---- in ---- */

static int broken(const struct ui_vu *vu, const char *how)
{
	ui_log(UI_LOG_WARN, "vfio-user: %s: %s: the client is cut off", vu->dev.name, how);
	return -EPROTO;
}

/* The next piece of the message. 1; 0: nothing there now; or the end. */
static int receive(struct ui_vu *vu, void *to, u32 n_bytes)
{
	unsigned n_fds, room = UI_VU_MAX_FDS - vu->n_fds;
	ssize_t n = ui_sys_recv_fds(vu->fd, to, n_bytes, vu->fds + vu->n_fds, room, &n_fds);

	if (n == -EAGAIN)
		return 0;
	if (n < 0)
		return -ECONNRESET;
	if (n_fds > room)
		return broken(vu, "too many descriptors");
	vu->n_fds += n_fds;
	if (!n)
		return vu->in_done ? broken(vu, "its last message has no end") : -ECONNRESET;
	vu->in_done += (u32)n;
	return 1;
}

static int head_check(struct ui_vu *vu)
{
	u32 n_bytes = vu->head.n_bytes, type = vu->head.flags & VU_TYPE;
	u8 *more;

	if (n_bytes < sizeof(vu->head) || n_bytes > VU_MAX_MESSAGE)
		return broken(vu, "a message of impossible length");
	if (type != VU_REQUEST && type != VU_REPLY)
		return broken(vu, "a message of unknown type");
	if (n_bytes - sizeof(vu->head) <= vu->in_room)
		return 0;
	more = ui_realloc(vu->in, n_bytes);
	if (!more)
		return -ENOMEM;
	vu->in = more;
	vu->in_room = n_bytes;
	return 0;
}

/* Receives what there is of one message, and serves it when it is whole. 1: there may be more; 0: not now; or the end. */
static int message(struct ui_vu *vu)
{
	const u32 head = sizeof(vu->head);
	int ret;

	while (vu->in_done < head) {
		ret = receive(vu, (u8 *)&vu->head + vu->in_done, head - vu->in_done);
		if (ret <= 0)
			return ret;
		ret = vu->in_done == head ? head_check(vu) : 0;
		if (ret)
			return ret;
	}
	while (vu->in_done < vu->head.n_bytes) {
		ret = receive(vu, vu->in + (vu->in_done - head), vu->head.n_bytes - vu->in_done);
		if (ret <= 0)
			return ret;
	}
	ret = ui_vu_dispatch(vu);
	vu->in_done = 0;
	fds_close(vu);
	return ret ? ret : 1;
}

int ui_vu_run(struct ui_vu *vu)
{
	int ret = 1;
	bool full;

	for (unsigned i = 0; ret > 0 && i < MESSAGES_A_RUN; i++) {
		pthread_mutex_lock(&vu->lock);
		ret = ui_vu_out_flush(vu);
		full = clogged(vu);
		vu->silent = false;
		pthread_mutex_unlock(&vu->lock);
		if (!ret && !full)
			ret = message(vu);
	}
	/* At the end, too: the last answer may say why. */
	pthread_mutex_lock(&vu->lock);
	full = ui_vu_out_flush(vu);
	pthread_mutex_unlock(&vu->lock);
	if (ret < 0)
		return ret;
	return full ? -ECONNRESET : 0;
}
