/* SPDX-License-Identifier: MIT */
/* Messages between the processes that use a descriptor. */
#include "shim/share.h"
#include "base/sys.h"

#include <poll.h>
#include <stdio.h>

void ui_share_address(u64 token, char name[40])
{
	snprintf(name, 40, "uiommu-%016llx", (unsigned long long)token);
}

static bool has_now(struct ui_line *line, short events)
{
	int now;

	ui_ownfd_lock();
	now = ui_sys_poll_now(atomic_load(&line->sock), events);
	ui_ownfd_unlock();
	return now > 0;
}

/* Waits until the socket is ready. A copy of it in another process would keep the end from us: the process itself says so,
 * too. */
static int wait_for(struct ui_line *line, short events)
{
	int ret, sock;

	do {
		sock = atomic_load(&line->sock);
		ret = sock < 0 ? sock : ui_sys_wait_two(sock, events, atomic_load(&line->pidfd));
	} while (ret == -EINTR);
	return ret || !has_now(line, events) ? -ENODEV : 0;
}

/* The numbers are the library's only while none can move: what the program has put there meanwhile is not to be
 * written, or read. */
int ui_msg_send(struct ui_line *line, const struct ui_msg *msg, int pass)
{
	ssize_t n;
	int ret;

	do {
		ui_ownfd_lock();
		n = ui_sys_send_fd(atomic_load(&line->sock), msg, sizeof(*msg), pass);
		ui_ownfd_unlock();
		ret = n == -EAGAIN ? wait_for(line, POLLOUT) : 0;
	} while (n == -EAGAIN && !ret);
	return n == (ssize_t)sizeof(*msg) ? 0 : -ENODEV;
}

int ui_msg_recv(struct ui_line *line, struct ui_msg *msg, int *passed)
{
	ssize_t n;
	int ret;

	*passed = -1;
	do {
		ret = wait_for(line, POLLIN);
		if (ret)
			return ret;
		ui_ownfd_lock();
		n = ui_sys_recv_fd(atomic_load(&line->sock), msg, sizeof(*msg), passed);
		ui_ownfd_unlock();
	} while (n == -EAGAIN);
	if (n == (ssize_t)sizeof(*msg))
		return 0;
	if (*passed >= 0)
		ui_sys_close(*passed);
	*passed = -1;
	return -ENODEV;
}

int ui_msg_result(const struct ui_msg *msg)
{
	return msg->ret < -4095 || msg->ret > INT32_MAX ? -EIO : (int)msg->ret;
}

bool ui_line_alive(struct ui_line *line)
{
	bool alive;
	int now;

	ui_ownfd_lock();
	now = ui_sys_poll_now(atomic_load(&line->sock), POLLRDHUP);
	alive = now >= 0 && !(now & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) &&
		(line->pidfd < 0 || !ui_sys_readable_now(line->pidfd));
	ui_ownfd_unlock();
	return alive;
}

void ui_line_close(struct ui_line *line)
{
	ui_ownfd_close(&line->sock);
	ui_ownfd_close(&line->pidfd);
}
