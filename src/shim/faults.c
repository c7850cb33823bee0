/* SPDX-License-Identifier: MIT */
#include "shim/faults.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "base/log.h"
#include "base/sys.h"
#include "base/user.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* Relaxed: settings. */
static _Atomic bool ignore_wait = true;
static _Atomic u32 verbose = 2;

/* What this thread wrote to its fail-nth; 0: nothing, or read back since. */
UI_SHIM_TLS u32 asked;

static bool is_number(const char *text, size_t n, pid_t number)
{
	char own[16];
	int len = snprintf(own, sizeof(own), "%d", number);

	return (size_t)len == n && !memcmp(text, own, n);
}

bool ui_faults_is_nth(const char *path)
{
	pid_t pid = ui_sys_getpid(), tid = ui_sys_gettid();
	size_t n;

	if (strcmp(ui_shim_desc()->kind, "mock") || strncmp(path, "/proc/", 6))
		return false;
	path += 6;
	n = strcspn(path, "/");
	if (n == 11 && !memcmp(path, "thread-self", n))
		return !strcmp(path + n, "/fail-nth");
	if (!(n == 4 && !memcmp(path, "self", n)) && !is_number(path, n, pid))
		return false;
	path += n;
	if (!strncmp(path, "/task/", 6)) {
		path += 6;
		n = strcspn(path, "/");
		return is_number(path, n, tid) && !strcmp(path + n, "/fail-nth");
	}
	return tid == pid && !strcmp(path, "/fail-nth");
}

/* The number of a file that is not a thread's says which it is. */
static unsigned index_of(enum ui_fault_file which)
{
	return which == UI_FAULT_NTH ? UI_FAULT_NTH + (unsigned)ui_sys_gettid() : which;
}

int ui_faults_open(enum ui_fault_file which, int flags)
{
	int ret;

	/* What is written may lie where nothing is. */
	ui_shim_lock();
	ret = ui_self_init();
	if (!ret)
		ret = ui_signals_init();
	ui_shim_unlock();
	return ret ? ret : ui_file_open(UI_FILE_FAULTS, index_of(which), flags);
}

/* Says how the last sweep step ended: scripts count by these lines. */
static void tell(u64 left)
{
	if (!asked || atomic_load_explicit(&ignore_wait, memory_order_relaxed))
		return;
	if (left)
		ui_log(UI_LOG_INFO, "fail-nth: %llu points reached", (unsigned long long)(asked - left));
	else if (atomic_load_explicit(&verbose, memory_order_relaxed))
		ui_log(UI_LOG_INFO, "fail-nth: point %u failed", asked);
	asked = 0;
}

s64 ui_faults_read(const struct ui_file *file, u64 uaddr, u64 n_bytes, u64 offset)
{
	char text[16];
	u64 len;

	if (file->index == UI_FAULT_IGNORE_WAIT) {
		len = (u64)snprintf(text, sizeof(text), "%c\n", atomic_load_explicit(&ignore_wait, memory_order_relaxed) ? 'Y' : 'N');
	} else if (file->index == UI_FAULT_VERBOSE) {
		len = (u64)snprintf(text, sizeof(text), "%u\n", atomic_load_explicit(&verbose, memory_order_relaxed));
	} else {
		u64 left = atomic_load_explicit(&ignore_wait, memory_order_relaxed) ? asked : ui_inject_left();

		if (file->index != index_of(UI_FAULT_NTH))
			return -EPERM;
		len = (u64)snprintf(text, sizeof(text), "%u\n", (unsigned)left);
		tell(left);
	}
	if (offset >= len)
		return 0;
	n_bytes = ui_min(n_bytes, len - offset);
	return ui_user_write(uaddr, text + offset, n_bytes) ? -EFAULT : (s64)n_bytes;
}

static bool parse_bool(const char *text, bool *out)
{
	*out = strchr("yYtT1", text[0]) != NULL;
	return text[0] && (*out || strchr("nNfF0", text[0]));
}

/* A number and nothing else but a newline. */
static bool parse_number(const char *text, u32 *out)
{
	char *end;
	unsigned long long n;

	if (text[0] < '0' || text[0] > '9')
		return false;
	n = strtoull(text, &end, 0);
	*out = (u32)n;
	return n == *out && (!end[0] || !strcmp(end, "\n"));
}

s64 ui_faults_write(const struct ui_file *file, u64 uaddr, u64 n_bytes)
{
	char text[32] = "";
	bool yes = false;
	u32 n = 0;

	if (n_bytes >= sizeof(text))
		return -EINVAL;
	if (ui_user_read(text, uaddr, n_bytes))
		return -EFAULT;
	if (file->index == UI_FAULT_IGNORE_WAIT ? !parse_bool(text, &yes) : !parse_number(text, &n))
		return -EINVAL;
	if (file->index == UI_FAULT_IGNORE_WAIT) {
		atomic_store_explicit(&ignore_wait, yes, memory_order_relaxed);
	} else if (file->index == UI_FAULT_VERBOSE) {
		atomic_store_explicit(&verbose, n, memory_order_relaxed);
	} else if (file->index != index_of(UI_FAULT_NTH)) {
		return -EPERM;
	} else {
		asked = n;
		ui_inject_arm(atomic_load_explicit(&ignore_wait, memory_order_relaxed) ? 0 : n);
	}
	return (s64)n_bytes;
}

void ui_faults_stat(struct stat *st)
{
	st->st_mode = S_IFREG | 0600;
	st->st_nlink = 1;
	st->st_size = 0;
	st->st_blocks = 0;
}
