/* SPDX-License-Identifier: MIT */
#include "shim/kvm.h"
#include "base/sys.h"
#include "base/user.h"

#include <stdio.h>
#include <string.h>

/* KVM_DEV_VFIO_FILE, and its attributes; of old they were called GROUP, with the same numbers. */
enum { VFIO_FILE = 1, FILE_ADD = 1, FILE_DEL = 2 };

struct device_attr {
	u32 flags, group;
	u64 attr, addr;
};

/* The kernel has no limit; a VMM has one KVM device and a few files. */
enum { N_ADDED = 256 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* leaf */
static struct added {
	int kvm; /* the descriptor: nothing else tells one instance of the device from the next */
	const struct ui_file *file; /* without a reference: see ui_kvm_released() */
} added[N_ADDED]; /* lock */
static unsigned n_added; /* lock */
static _Atomic bool used;

bool ui_kvm_used(void)
{
	return atomic_load_explicit(&used, memory_order_relaxed);
}

static bool is_kvm_vfio(int fd)
{
	char path[32], link[32];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = ui_sys_readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		return false;
	link[n] = 0;
	return !strcmp(link, "anon_inode:kvm-vfio");
}

static long change(int kvm, const struct ui_file *file, bool add)
{
	unsigned at = 0;
	long ret = 0;

	pthread_mutex_lock(&lock);
	while (at < n_added && (added[at].kvm != kvm || added[at].file != file))
		at++;
	if (add && at < n_added)
		ret = -EEXIST;
	else if (add && n_added == N_ADDED)
		ret = -ENOMEM;
	else if (add)
		added[n_added++] = (struct added){ kvm, file };
	else if (at == n_added)
		ret = -ENOENT;
	else
		added[at] = added[--n_added];
	pthread_mutex_unlock(&lock);
	if (!ret)
		atomic_store_explicit(&used, true, memory_order_relaxed); /* for this thread, or those it tells of the call */
	return ret;
}

long ui_kvm_set_attr(int fd, u64 arg, long answer)
{
	struct device_attr attr;
	struct ui_file *file;
	int number;

	/* What the vfio device says to a file that it does not know. Any other KVM device has done by now what was asked of it. */
	if (answer != -EINVAL && answer != -ENOENT)
		return answer;
	if (ui_user_read(&attr, arg, sizeof(attr)) || attr.group != VFIO_FILE || (attr.attr != FILE_ADD && attr.attr != FILE_DEL) ||
	    !is_kvm_vfio(fd) || ui_user_read(&number, attr.addr, sizeof(number)))
		return answer;
	file = ui_fd_find(number);
	if (!file)
		return answer;
	if (file->kind == UI_FILE_VFIO || file->kind == UI_FILE_GROUP)
		answer = change(fd, file, attr.attr == FILE_ADD);
	ui_file_put(file);
	return answer;
}

static void drop(unsigned first, unsigned last, const struct ui_file *file)
{
	pthread_mutex_lock(&lock);
	for (unsigned i = n_added; i--;) {
		if (file ? added[i].file == file : (unsigned)added[i].kvm >= first && (unsigned)added[i].kvm <= last)
			added[i] = added[--n_added];
	}
	pthread_mutex_unlock(&lock);
}

void ui_kvm_closed(unsigned first, unsigned last)
{
	struct ui_shim_entry entry;

	if (ui_self_borrowed())
		return;
	ui_shim_enter(&entry);
	drop(first, last, NULL);
	ui_shim_leave(&entry);
}

void ui_kvm_released(const struct ui_file *file)
{
	if (ui_kvm_used())
		drop(0, 0, file);
}

/* The child's KVM is its parent's: it answers nothing to another process. */
void ui_kvm_forked(void)
{
	pthread_mutex_init(&lock, NULL);
	n_added = 0;
}
