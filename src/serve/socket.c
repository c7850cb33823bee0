/* SPDX-License-Identifier: MIT */
#include "serve/socket.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Did a server that is gone leave it? */
static bool left_behind(const struct sockaddr_un *at)
{
	struct stat st;
	bool refused;
	int fd;

	if (lstat(at->sun_path, &st) || !S_ISSOCK(st.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	refused = fd >= 0 && connect(fd, (const struct sockaddr *)at, sizeof(*at)) && errno == ECONNREFUSED;
	if (fd >= 0)
		close(fd);
	return refused;
}

static int bind_private(int fd, const struct sockaddr_un *at)
{
	mode_t before = umask(0177);
	int ret = bind(fd, (const struct sockaddr *)at, sizeof(*at)) ? -errno : 0;

	umask(before);
	return ret;
}

int ui_socket_listen(const char *path, char *err, size_t err_bytes)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd, ret;

	if (!*path || strlen(path) >= sizeof(at.sun_path)) {
		snprintf(err, err_bytes, "%s: the name of a socket has 1 to %zu characters", path, sizeof(at.sun_path) - 1);
		return -1;
	}
	strcpy(at.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ret = fd < 0 ? -errno : bind_private(fd, &at);
	if (ret == -EADDRINUSE && left_behind(&at) && !unlink(path))
		ret = bind_private(fd, &at);
	if (!ret && listen(fd, 8))
		ret = -errno;
	if (!ret)
		return fd;
	snprintf(err, err_bytes, "%s: %s", path, strerror(-ret));
	if (fd >= 0)
		close(fd);
	return -1;
}
