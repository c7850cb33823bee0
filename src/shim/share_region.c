/* SPDX-License-Identifier: MIT */
/* Mappings of an iommufd descriptor that clients have: each keeps its vIOMMU busy and the context open, as one of
 * our own would. */
#include "shim/share.h"
#include "base/alloc.h"
#include "iommufd/iommufd.h"

struct mapped {
	u64 id;
	struct ui_client *client; /* whose connection it came by; only compared */
	pid_t pid;
	struct ui_file *file;     /* held */
	void *token;
	struct mapped *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* leaf */
static struct mapped *list; /* lock */
static u64 last_id;         /* lock */

static void let_go(struct mapped *mapped)
{
	ui_iommufd_munmap(mapped->file->ctx, mapped->token);
	ui_file_put(mapped->file);
	ui_free(mapped);
}

int ui_share_region_new(struct ui_file *file, const struct ui_msg *msg, int *fd, u64 *id)
{
	struct ui_client *client = ui_client_current();
	struct mapped *mapped = ui_zalloc(sizeof(*mapped));
	int ret = -ENOMEM;

	if (mapped)
		ret = ui_iommufd_mmap(file->ctx, msg->d, msg->a, (int)msg->b, (int)msg->c, fd, &mapped->token);
	if (ret) {
		ui_free(mapped);
		return ret;
	}
	mapped->client = client;
	mapped->pid = ui_client_pid(client);
	mapped->file = ui_file_hold(file);
	pthread_mutex_lock(&lock);
	mapped->id = *id = ++last_id;
	mapped->next = list;
	list = mapped;
	pthread_mutex_unlock(&lock);
	return 0;
}

/* Takes the first out of the list that is the client's: of any connection of its process with number @id, or of
 * this one. */
static struct mapped *take(const struct ui_client *client, u64 id)
{
	struct mapped **at = &list, *found;

	pthread_mutex_lock(&lock);
	while (*at && !(id ? (*at)->id == id && (*at)->pid == ui_client_pid(client) : (*at)->client == client))
		at = &(*at)->next;
	found = *at;
	if (found)
		*at = found->next;
	pthread_mutex_unlock(&lock);
	return found;
}

int ui_share_region_drop(struct ui_client *client, u64 id)
{
	struct mapped *mapped = id ? take(client, id) : NULL;

	if (mapped)
		let_go(mapped);
	return mapped ? 0 : -ENOENT;
}

void ui_share_regions_end(struct ui_client *client)
{
	struct mapped *mapped;

	while ((mapped = take(client, 0)) != NULL)
		let_go(mapped);
}

void ui_share_regions_forked(void)
{
	lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	list = NULL;
}
