/* SPDX-License-Identifier: MIT */
/*
 * Eventfds that a program hands over. Kept as a descriptor of our own, since the program may close its one at once.
 *
 * A full counter: the kernel's own signal saturates; from user space a write to a counter at its limit waits unless the
 * descriptor is non-blocking, and that flag is the program's too. So a signal asks first. Another thread of the program
 * that fills the counter between the two calls stops nobody but itself and the thread that signals.
 */
#include "vfio/vfio_priv.h"

#include "base/ownfd.h"
#include "base/sys.h"
#include "base/user.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

int ui_vfio_eventfd_get(int fd)
{
	static const char kind[] = "anon_inode:[eventfd]";
	int theirs = ui_user_fd_get(fd), own;
	char path[40], link[sizeof(kind)];
	ssize_t n;

	own = ui_sys_fcntl(theirs, F_DUPFD_CLOEXEC, 3);
	ui_user_fd_put(fd, theirs);
	if (own < 0)
		return own;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", own);
	n = ui_sys_readlink(path, link, sizeof(link));
	if (n == (ssize_t)sizeof(kind) - 1 && !memcmp(link, kind, sizeof(kind) - 1))
		return ui_ownfd_hold(own);
	ui_sys_close(own);
	return -EINVAL;
}

void ui_vfio_eventfd_put(int fd)
{
	ui_ownfd_end(fd);
}

static bool can(int fd, short event)
{
	int events = ui_sys_poll_now(fd, event);

	return events > 0 && (events & event);
}

void ui_vfio_eventfd_signal(int fd)
{
	u64 one = 1;

	fd = ui_ownfd_at(fd);
	if (fd >= 0 && can(fd, POLLOUT))
		ui_sys_write(fd, &one, sizeof(one));
}

bool ui_vfio_eventfd_take(int fd)
{
	ssize_t n;
	u64 count;

	fd = ui_ownfd_at(fd);
	if (fd < 0)
		return false;
	n = ui_sys_read_nowait(fd, &count, sizeof(count));
	if (n == -EOPNOTSUPP && can(fd, POLLIN))
		n = ui_sys_read(fd, &count, sizeof(count));
	return n == (ssize_t)sizeof(count);
}
