/* SPDX-License-Identifier: MIT */
/* A VFIO group: open once, tied to a container or an iommufd, giving out its devices. */
#include "vfio/group.h"

#include "base/alloc.h"
#include "base/bits.h"
#include "base/user.h"
#include "core/domain.h"
#include "vfio/vfio_priv.h"

#include <errno.h>
#include <string.h>

enum { NAME_BYTES = 4096, UUID_CHARS = 36 };

struct ui_vfio_group {
	const struct ui_vfio_member *members; /* constant */
	unsigned n;                           /* constant */

	/* Outermost of the VFIO locks, but never held while the environment is called for a device. */
	pthread_mutex_t lock;
	bool opened;                  /* lock */
	unsigned n_blocks;            /* lock: devices bound through their own files */
	struct ui_vfio_group_env env; /* constant while opened */
	struct ui_group_tie *tie;     /* lock; NULL: not set */
	struct ui_binder binder;      /* lock; while tied */
	void *token;                  /* lock; while tied: the environment's hold on it */
	unsigned n_open;              /* lock: devices that keep the tie */
};

struct ui_vfio_group *ui_vfio_group_create(const struct ui_vfio_member *members, unsigned n)
{
	struct ui_vfio_group *g = ui_zalloc(sizeof(*g));

	ui_assert(n);
	if (!g)
		return NULL;
	g->members = members;
	g->n = n;
	pthread_mutex_init(&g->lock, NULL);
	return g;
}

void ui_vfio_group_destroy(struct ui_vfio_group *g)
{
	if (!g)
		return;
	ui_assert(!g->opened && !g->n_blocks && !g->n_open);
	pthread_mutex_destroy(&g->lock);
	ui_free(g);
}

int ui_vfio_group_open(struct ui_vfio_group *g, const struct ui_vfio_group_env *env)
{
	int ret = 0;

	pthread_mutex_lock(&g->lock);
	if (g->opened || g->n_blocks) {
		ret = -EBUSY;
	} else {
		g->opened = true;
		g->env = *env;
	}
	pthread_mutex_unlock(&g->lock);
	return ret;
}

/* With the lock held and a tie. What it returns is to be put without. */
static void *untie(struct ui_vfio_group *g)
{
	g->binder.ops->untie_group(g->tie);
	g->tie = NULL;
	return g->token;
}

void ui_vfio_group_close(struct ui_vfio_group *g)
{
	struct ui_vfio_group_env env = g->env;
	void *token = NULL;

	pthread_mutex_lock(&g->lock);
	ui_assert(g->opened && !g->n_open);
	if (g->tie)
		token = untie(g);
	g->opened = false;
	pthread_mutex_unlock(&g->lock);
	if (token)
		env.tie_put(env.arg, token);
}

int ui_vfio_group_block(struct ui_vfio_group *g)
{
	int ret = 0;

	pthread_mutex_lock(&g->lock);
	if (g->opened)
		ret = -EBUSY;
	else
		g->n_blocks++;
	pthread_mutex_unlock(&g->lock);
	return ret;
}

void ui_vfio_group_unblock(struct ui_vfio_group *g)
{
	pthread_mutex_lock(&g->lock);
	g->n_blocks--;
	pthread_mutex_unlock(&g->lock);
}

bool ui_vfio_group_blocked(struct ui_vfio_group *g)
{
	bool blocked;

	pthread_mutex_lock(&g->lock);
	blocked = g->n_blocks;
	pthread_mutex_unlock(&g->lock);
	return blocked;
}

/* ---- GET_STATUS, SET_CONTAINER, UNSET_CONTAINER ---- */

/* Does anybody else own the devices' DMA? A trial claim tells. */
static bool owned(const struct ui_vfio_group *g)
{
	void *me = (void *)(uintptr_t)g;

	if (ui_device_claim(g->members[0].dev, me))
		return true;
	ui_device_release(g->members[0].dev, me);
	return false;
}

static long get_status(struct ui_vfio_group *g, u64 arg)
{
	struct ui_vfio_group_status status;

	if (ui_user_read(&status, arg, sizeof(status)))
		return -EFAULT;
	if (status.argsz < sizeof(status))
		return -EINVAL;
	pthread_mutex_lock(&g->lock);
	if (g->tie)
		status.flags = UI_VFIO_GROUP_VIABLE | UI_VFIO_GROUP_CONTAINER_SET;
	else
		status.flags = owned(g) ? 0 : UI_VFIO_GROUP_VIABLE;
	pthread_mutex_unlock(&g->lock);
	return ui_user_write(arg, &status, sizeof(status));
}

/* With the lock held. */
static int tie_to(struct ui_vfio_group *g, const struct ui_binder *binder, void *token, struct ui_device *const *devs)
{
	int ret = binder->ops->tie_group ? binder->ops->tie_group(binder->ctx, devs, g->n, &g->tie) : -EBADFD;

	if (ret) {
		g->tie = NULL;
		return ret;
	}
	g->binder = *binder;
	g->token = token;
	return 0;
}

static long set_container(struct ui_vfio_group *g, u64 arg)
{
	struct ui_binder binder;
	struct ui_device **devs;
	void *token = NULL;
	int ret, known;
	s32 fd;

	if (ui_user_read(&fd, arg, sizeof(fd)))
		return -EFAULT;
	devs = ui_calloc(g->n, sizeof(*devs));
	if (!devs)
		return -ENOMEM;
	for (unsigned i = 0; i < g->n; i++)
		devs[i] = g->members[i].dev;
	ret = known = g->env.tie_get(g->env.arg, fd, &binder, &token);
	if (ret != -EBADF) {
		pthread_mutex_lock(&g->lock);
		/* A number that is no descriptor comes before this, one of something else after. */
		if (g->tie)
			ret = -EINVAL;
		else if (!known)
			ret = tie_to(g, &binder, token, devs);
		pthread_mutex_unlock(&g->lock);
	}
	if (ret && !known)
		g->env.tie_put(g->env.arg, token);
	ui_free(devs);
	return ret;
}

static long unset_container(struct ui_vfio_group *g)
{
	void *token = NULL;
	long ret = 0;

	pthread_mutex_lock(&g->lock);
	if (!g->tie)
		ret = -EINVAL;
	else if (g->n_open)
		ret = -EBUSY;
	else
		token = untie(g);
	pthread_mutex_unlock(&g->lock);
	if (token)
		g->env.tie_put(g->env.arg, token);
	return ret;
}

/* ---- GET_DEVICE_FD ---- */

/* The caller's string, which ends within a page's length: to be freed with ui_free(). 0; -EFAULT; -EINVAL too long; -ENOMEM. */
static int read_name(u64 arg, char **out)
{
	char *name = ui_zalloc(NAME_BYTES);
	int ret = name ? 0 : -ENOMEM;

	/* Page by page: what lies behind the end need not be there. */
	for (u64 done = 0, n; !ret; done += n) {
		n = ui_min(NAME_BYTES - done, UI_PAGE_BYTES - ((arg + done) & (UI_PAGE_BYTES - 1)));
		if (!n)
			ret = -EINVAL;
		else if (ui_user_read(name + done, arg + done, n))
			ret = -EFAULT;
		else if (memchr(name + done, 0, n))
			break;
	}
	if (ret)
		ui_free(name);
	else
		*out = name;
	return ret;
}

static bool is_uuid(const char *text)
{
	for (unsigned i = 0; i < UUID_CHARS; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? text[i] != '-' : !text[i] || !strchr("0123456789abcdefABCDEF", text[i]))
			return false;
	}
	return true;
}

/* Does "@text" name the device? 1; 0; -EINVAL: it does, with an option that is malformed, unknown or, as a token, not for it. */
static int match(const char *text, const char *name)
{
	static const char token[] = "vf_token=";
	size_t n = strlen(name);
	bool has_token = false;

	if (strncmp(text, name, n) || (text[n] && text[n] != ' '))
		return 0;
	for (text += n; *text;) {
		if (*text == ' ') {
			text++;
			continue;
		}
		if (has_token || strncmp(text, token, strlen(token)) || !is_uuid(text + strlen(token)))
			return -EINVAL;
		has_token = true;
		text += strlen(token) + UUID_CHARS;
	}
	/* No function here has virtual functions, or is one: there is nothing a token could open. */
	return has_token ? -EINVAL : 1;
}

static long get_device_fd(struct ui_vfio_group *g, u64 arg)
{
	char *text;
	int ret = read_name(arg, &text);
	unsigned i = 0;

	if (ret)
		return ret;
	for (i = 0; i < g->n && !ret; i++)
		ret = match(text, g->members[i].name);
	ui_free(text);
	if (ret <= 0)
		return ret ? ret : -ENODEV;
	pthread_mutex_lock(&g->lock);
	ret = g->tie ? 0 : -EINVAL;
	pthread_mutex_unlock(&g->lock);
	if (ret)
		return ret;
	return g->env.device_fd(g->env.arg, i - 1);
}

int ui_vfio_group_open_device(struct ui_vfio_group *g, unsigned i, struct ui_vfio **out, void **token)
{
	struct ui_vfio *v = ui_vfio_open(g->members[i].pci, g->members[i].dev, NULL, NULL);
	int ret = -EINVAL;

	if (!v)
		return -ENOMEM;
	v->group = g;
	pthread_mutex_lock(&g->lock);
	if (g->tie)
		ret = ui_vfio_open_tied(v, &g->binder, g->tie);
	if (!ret) {
		g->n_open += g->binder.ops->keeps_group;
		*token = g->token;
		g->env.tie_hold(g->env.arg, g->token);
	}
	pthread_mutex_unlock(&g->lock);
	if (ret)
		ui_vfio_close(v);
	else
		*out = v;
	return ret;
}

void ui_vfio_group_closed_device(struct ui_vfio_group *g)
{
	pthread_mutex_lock(&g->lock);
	ui_assert(g->n_open);
	g->n_open--;
	pthread_mutex_unlock(&g->lock);
}

bool ui_vfio_tied(const struct ui_vfio *v)
{
	return v->tied;
}

bool ui_vfio_keeps_group(const struct ui_vfio *v)
{
	return v->tied && v->binder.ops->keeps_group;
}

long ui_vfio_group_ioctl(struct ui_vfio_group *g, u32 cmd, u64 arg)
{
	switch (cmd) {
	case UI_VFIO_GROUP_GET_STATUS:
		return get_status(g, arg);
	case UI_VFIO_GROUP_SET_CONTAINER:
		return set_container(g, arg);
	case UI_VFIO_GROUP_UNSET_CONTAINER:
		return unset_container(g);
	case UI_VFIO_GROUP_GET_DEVICE_FD:
		return get_device_fd(g, arg);
	default:
		return -ENOTTY;
	}
}
