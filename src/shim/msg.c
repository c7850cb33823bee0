/* SPDX-License-Identifier: MIT */
/* Messages between the processes that use a descriptor. */
#include "shim/share.h"
#include "base/sys.h"

#include <stdio.h>

void ui_share_address(u64 token, char name[40])
{
	snprintf(name, 40, "uiommu-%016llx", (unsigned long long)token);
}

int ui_msg_send(int sock, const struct ui_msg *msg, int pass)
{
	return ui_sys_send_fd(sock, msg, sizeof(*msg), pass) == (ssize_t)sizeof(*msg) ? 0 : -ENODEV;
}

int ui_msg_recv(int sock, int pidfd, struct ui_msg *msg, int *passed)
{
	ssize_t n;
	int ret;

	*passed = -1;
	/* A copy of the socket in another process would keep the end from us: the process itself says so, too. */
	do {
		ret = ui_sys_wait_two(sock, pidfd);
	} while (ret == -EINTR);
	if (ret || !ui_sys_readable_now(sock))
		return -ENODEV;
	n = ui_sys_recv_fd(sock, msg, sizeof(*msg), passed);
	if (n == (ssize_t)sizeof(*msg))
		return 0;
	if (*passed >= 0)
		ui_sys_close(*passed);
	*passed = -1;
	return -ENODEV;
}
