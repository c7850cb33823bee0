/* SPDX-License-Identifier: MIT */
#ifndef UI_SERVE_SOCKET_H
#define UI_SERVE_SOCKET_H

#include <stddef.h>

/*
 * Listens at @path: a descriptor that is close-on-exec and never waits, or -1 with a line for the user in @err. A socket there that nobody
 * listens at any more is replaced. Only the caller's user can connect. Changes the process's umask for a moment.
 */
int ui_socket_listen(const char *path, char *err, size_t err_bytes);

#endif
