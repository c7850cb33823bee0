/* SPDX-License-Identifier: MIT */
#include "base/user.h"
#include "base/bits.h"
#include "base/proc.h"
#include "base/safe.h"
#include "base/sys.h"

#include <errno.h>
#include <string.h>

/* The library may be preloaded, where other models allocate on first use. */
static _Thread_local __attribute__((tls_model("initial-exec"))) const struct ui_caller *current;

const struct ui_caller *ui_caller(void)
{
	return current;
}

const struct ui_caller *ui_caller_set(const struct ui_caller *caller)
{
	const struct ui_caller *before = current;

	current = caller;
	return before;
}

bool ui_user_capable(unsigned cap)
{
	return ui_proc_capable(current ? current->pid : 0, cap);
}

static void *here(u64 uaddr)
{
	return (void *)(uintptr_t)uaddr;
}

static bool gone(void)
{
	return current->alive && !current->alive(current);
}

int ui_user_read(void *dst, u64 uaddr, size_t n_bytes)
{
	int ret;

	if (ui_likely(!current))
		return ui_safe_copy(dst, here(uaddr), n_bytes);
	ret = ui_sys_process_read(current->pid, dst, uaddr, n_bytes);
	return !ret && gone() ? -EFAULT : ret;
}

int ui_user_write(u64 uaddr, const void *src, size_t n_bytes)
{
	if (ui_likely(!current))
		return ui_safe_copy(here(uaddr), src, n_bytes);
	return gone() ? -EFAULT : ui_sys_process_write(current->pid, uaddr, src, n_bytes);
}

int ui_user_fill(u64 uaddr, u8 byte, u64 n_bytes)
{
	u8 chunk[512];
	int ret = 0;

	if (ui_likely(!current))
		return ui_safe_fill(here(uaddr), byte * 0x0101010101010101ull, 0, n_bytes);
	memset(chunk, byte, sizeof(chunk));
	for (u64 done = 0; !ret && done < n_bytes; done += sizeof(chunk))
		ret = ui_user_write(uaddr + done, chunk, ui_min(n_bytes - done, sizeof(chunk)));
	return ret;
}

int ui_user_zeros(u64 uaddr, u64 n_bytes)
{
	u8 chunk[256];

	for (u64 done = 0, n; done < n_bytes; done += n) {
		n = ui_min(n_bytes - done, sizeof(chunk));
		if (ui_user_read(chunk, uaddr + done, n))
			return -EFAULT;
		for (u64 i = 0; i < n; i++) {
			if (chunk[i])
				return -E2BIG;
		}
	}
	return 0;
}

static int or_byte(u64 uaddr, u8 bits)
{
	u8 byte;

	if (ui_user_read(&byte, uaddr, 1))
		return -EFAULT;
	byte |= bits;
	return ui_user_write(uaddr, &byte, 1);
}

int ui_user_set_bits(u64 uaddr, u64 first, u64 last)
{
	u64 start = uaddr + first / 8, end = uaddr + last / 8;
	u8 head = (u8)(0xff << first % 8), tail = (u8)(0xff >> (7 - last % 8));
	int ret;

	if (start == end)
		return or_byte(start, head & tail);
	ret = or_byte(start, head);
	if (!ret)
		ret = ui_user_fill(start + 1, 0xff, end - start - 1);
	return ret ? ret : or_byte(end, tail);
}

/* One byte of each page, rewritten with itself for @write. */
static int probe_remote(u64 uaddr, u64 n_bytes, bool write)
{
	u64 at = uaddr, last;
	int ret = 0;
	u8 byte;

	if (!n_bytes)
		return 0;
	if (!ui_range_last(uaddr, n_bytes, &last))
		return -EFAULT;
	for (;;) {
		ret = ui_user_read(&byte, at, 1);
		if (!ret && write)
			ret = ui_user_write(at, &byte, 1);
		if (ret || (at | (UI_PAGE_BYTES - 1)) >= last)
			return ret;
		at = (at | (UI_PAGE_BYTES - 1)) + 1;
	}
}

int ui_user_probe(u64 uaddr, u64 n_bytes, bool write)
{
	return ui_likely(!current) ? ui_safe_probe(here(uaddr), n_bytes, write) : probe_remote(uaddr, n_bytes, write);
}

int ui_user_fd_get(int fd)
{
	int got;

	if (ui_likely(!current))
		return fd;
	got = current->fd_get ? current->fd_get(current, fd) : -EBADF;
	if (got < 0 || !gone())
		return got;
	ui_sys_close(got);
	return -EBADF;
}

void ui_user_fd_put(int fd, int got)
{
	if (got >= 0 && (current || got != fd))
		ui_sys_close(got);
}
