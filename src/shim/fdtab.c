/* SPDX-License-Identifier: MIT */
/*
 * The descriptor table: which numbers are ours. Lookups take no lock: the slot gives a file, its count is raised unless
 * it is 0, and the slot is looked at again; files are never freed, only used anew, so that the count may always be touched.
 */
#include "shim/shim.h"
#include "shim/share.h"
#include "base/log.h"

/* Numbers beyond cannot be ours: open() does not give them, dup2() to them is refused. Untouched pages cost nothing. */
enum { N_SLOTS = 1 << 20 };

/* Stands in the slot of a descriptor that is being closed: not ours any more, and not to be adopted. Never alive. */
static struct ui_file closing;

static struct ui_file *_Atomic slots[N_SLOTS]; /* release in install, pairs with acquire in get */
static struct ui_file files[UI_FILE_MAX];
static _Atomic int highest = -1;

bool ui_fd_ours(int fd)
{
	return (unsigned)fd < N_SLOTS && atomic_load_explicit(&slots[fd], memory_order_relaxed);
}

int ui_fd_highest(void)
{
	return atomic_load_explicit(&highest, memory_order_relaxed);
}

static bool hold_unless_dead(struct ui_file *file)
{
	u32 refs = atomic_load_explicit(&file->refs, memory_order_relaxed);

	do {
		if (!refs)
			return false;
		/* Acquire pairs with the release of alloc's store: the file's fields are those of this use. */
	} while (!atomic_compare_exchange_weak_explicit(&file->refs, &refs, refs + 1, memory_order_acquire, memory_order_relaxed));
	return true;
}

struct ui_file *ui_fd_get(int fd)
{
	struct ui_file *file;

	if ((unsigned)fd >= N_SLOTS)
		return NULL;
	for (;;) {
		file = atomic_load_explicit(&slots[fd], memory_order_acquire); /* pairs with ui_fd_install() */
		if (!file || !hold_unless_dead(file)) {
			if (!file || atomic_load_explicit(&slots[fd], memory_order_relaxed) == file)
				return NULL;
			continue;
		}
		if (ui_likely(atomic_load_explicit(&slots[fd], memory_order_relaxed) == file))
			break;
		ui_file_put(file);
	}
	ui_self_check();
	return file;
}

struct ui_file *ui_fd_find(int fd)
{
	struct ui_file *file = ui_fd_get(fd);

	return file || ui_fd_ours(fd) ? file : ui_file_adopt(fd);
}

struct ui_file *ui_fd_take(int fd)
{
	struct ui_file *file;

	if ((unsigned)fd >= N_SLOTS || !ui_fd_ours(fd))
		return NULL;
	file = atomic_exchange_explicit(&slots[fd], &closing, memory_order_acq_rel);
	return file == &closing ? NULL : file;
}

void ui_fd_taken(int fd)
{
	struct ui_file *expected = &closing;

	/* Unless another thread has got the number for something new meanwhile. */
	if ((unsigned)fd < N_SLOTS)
		atomic_compare_exchange_strong_explicit(&slots[fd], &expected, NULL, memory_order_acq_rel, memory_order_relaxed);
}

int ui_fd_install(int fd, struct ui_file *file)
{
	struct ui_file *old;
	int top = ui_fd_highest();

	if ((unsigned)fd >= N_SLOTS)
		return -EMFILE;
	while (top < fd && !atomic_compare_exchange_weak_explicit(&highest, &top, fd, memory_order_relaxed, memory_order_relaxed))
		;
	old = atomic_exchange_explicit(&slots[fd], file, memory_order_acq_rel); /* release pairs with ui_fd_get() */
	if (old && old != &closing)
		ui_file_put(old);
	return 0;
}

void ui_fd_forget(int fd)
{
	struct ui_shim_entry entry;
	struct ui_file *file;

	if (ui_likely(!ui_fd_ours(fd) && !ui_ownfd_maybe(fd)) || ui_self_borrowed())
		return;
	ui_shim_enter(&entry);
	/* The kernel gives no number twice: one of our own was closed past us. */
	if (ui_ownfd_is(fd))
		ui_ownfd_lost(fd);
	file = ui_fd_take(fd);
	ui_fd_taken(fd);
	if (file)
		ui_file_put(file);
	ui_shim_leave(&entry);
}

int ui_fd_number(const struct ui_file *file)
{
	int last = ui_fd_highest();

	for (int fd = 0; fd <= last; fd++) {
		if (atomic_load_explicit(&slots[fd], memory_order_relaxed) == file)
			return fd;
	}
	return -1;
}

struct ui_file *ui_file_slot(unsigned i)
{
	return &files[i];
}

struct ui_file *ui_file_hold(struct ui_file *file)
{
	atomic_fetch_add_explicit(&file->refs, 1, memory_order_relaxed);
	return file;
}

struct ui_file *ui_file_hold_live(struct ui_file *file)
{
	return hold_unless_dead(file) ? file : NULL;
}

void ui_file_put(struct ui_file *file)
{
	struct ui_shim_entry entry;
	u32 refs;

	/* Acquire and release: the last one sees what the others did before they let go. */
	refs = atomic_fetch_sub_explicit(&file->refs, 1, memory_order_acq_rel);
	if (ui_unlikely(refs == 2 && atomic_load_explicit(&file->shared, memory_order_relaxed))) {
		ui_shim_enter(&entry);
		ui_share_last(file);
		ui_shim_leave(&entry);
	}
	if (refs != 1)
		return;
	ui_shim_enter(&entry);
	ui_file_release(file);
	ui_shim_lock();
	file->in_use = false;
	ui_shim_unlock();
	ui_shim_leave(&entry);
}

struct ui_file *ui_file_alloc(enum ui_file_kind kind, unsigned index)
{
	struct ui_file *file = NULL;

	for (unsigned i = 0; i < UI_FILE_MAX && !file; i++) {
		if (!files[i].in_use)
			file = &files[i];
	}
	if (file) {
		file->in_use = true;
		file->kind = kind;
		file->index = index;
		file->told = false;
		file->shared = false;
		file->waited = false;
		file->own = -1;
		file->owner = 0;
		file->header = NULL;
		file->ctx = NULL;
		file->vfio = NULL;
		file->group = NULL;
		file->tied = false;
		file->bound = NULL;
		file->object = NULL;
		file->ino = 0;
		atomic_store_explicit(&file->state, UI_FILE_FRESH, memory_order_relaxed);
		atomic_store_explicit(&file->refs, 1, memory_order_release); /* pairs with hold_unless_dead() */
	}
	return file;
}

void ui_file_forked(void)
{
	for (unsigned i = 0; i < UI_FILE_MAX; i++) {
		struct ui_file *file = &files[i];

		/* Calls of the parent's other threads held references that nobody gives back here. That only keeps a foreign
		 * file's slot in use. */
		if (!file->in_use || atomic_load_explicit(&file->state, memory_order_relaxed) != UI_FILE_OWNED)
			continue;
		atomic_store_explicit(&file->state, UI_FILE_FOREIGN, memory_order_relaxed);
		file->owner = file->header ? 0 : ui_share_parent();
		/* The sharing's own reference. */
		if (file->shared && atomic_fetch_sub_explicit(&file->refs, 1, memory_order_relaxed) == 1)
			file->in_use = false;
		file->shared = file->waited = false;
	}
}
