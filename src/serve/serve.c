/* SPDX-License-Identifier: MIT */
/* The server as a whole: include/uiommu/serve.h. */
#include <uiommu/serve.h>

#include "base/log.h"
#include "base/safe.h"
#include "base/sys.h"
#include "machine/counters.h"
#include "machine/public.h"
#include "serve/seat.h"
#include "serve/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct uiommu_server {
	unsigned n_sockets, n_seats; /* listening; being served */
	char log_file[sizeof(((struct ui_machine_desc *)NULL)->log_file)];
	struct ui_stats *counters; /* NULL: none */
	u32 n_counters;
	struct {
		char *path;
		int fd; /* -1 once it is the seat's */
	} sockets[UI_MACHINE_MAX_DEVICES];
	struct ui_seat seats[UI_MACHINE_MAX_DEVICES];
};

static void log_sink(void *arg, enum ui_log_level level, const char *line)
{
	const struct uiommu_server *server = arg;
	char out[600];
	int n = snprintf(out, sizeof(out), "uiommu: %s\n", line), fd = 2;
	size_t n_bytes = n < (int)sizeof(out) ? (size_t)n : sizeof(out) - 1;

	if (server->log_file[0])
		fd = ui_sys_openat(AT_FDCWD, server->log_file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		return;
	ui_sys_write(fd, out, n_bytes);
	if (server->log_file[0])
		ui_sys_close(fd);
}

static int sockets_listen(struct uiommu_server *server, unsigned n, const char *const *sockets, char *err, size_t err_bytes)
{
	for (unsigned i = 0; i < n; i++) {
		int fd = ui_socket_listen(sockets[i], err, err_bytes);

		if (fd < 0)
			return -EINVAL;
		server->sockets[i].fd = fd;
		server->n_sockets++;
		server->sockets[i].path = strdup(sockets[i]);
		if (!server->sockets[i].path) {
			snprintf(err, err_bytes, "out of memory");
			return -EINVAL;
		}
	}
	return 0;
}

static int seats_start(struct uiommu_server *server, const struct ui_machine_desc *desc, char *err, size_t err_bytes)
{
	for (unsigned i = 0; i < desc->n_devices; i++) {
		struct ui_machine *machine;
		int ret = ui_machine_create_apart(desc, i, server->counters, server->n_counters, &machine, err, err_bytes);

		if (ret)
			return -EINVAL;
		ret = ui_seat_start(&server->seats[i], machine, server->sockets[i].fd);
		server->sockets[i].fd = -1;
		if (ret) {
			snprintf(err, err_bytes, "the threads of a device: %s", strerror(-ret));
			return -EINVAL;
		}
		server->n_seats++;
	}
	return 0;
}

int uiommu_server_start(const struct uiommu_machine *machine, const char *const *sockets, const struct uiommu_stats *stats,
			struct uiommu_server **out, char *err, size_t err_bytes)
{
	struct uiommu_server *server = calloc(1, sizeof(*server));
	int ret = 0;

	if (!server) {
		snprintf(err, err_bytes, "out of memory");
		return -EINVAL;
	}
	strcpy(server->log_file, machine->desc.log_file);
	ui_log_set(machine->desc.log, log_sink, server);
	if (stats)
		ret = ui_counters_join(uiommu_stats_path(stats), &server->counters, &server->n_counters);
	if (!ret)
		ret = ui_safe_install();
	if (ret)
		snprintf(err, err_bytes, "%s", strerror(-ret));
	else
		ret = sockets_listen(server, machine->desc.n_devices, sockets, err, err_bytes);
	if (!ret)
		ret = seats_start(server, &machine->desc, err, err_bytes);
	if (ret) {
		uiommu_server_stop(server);
		return -EINVAL;
	}
	*out = server;
	return 0;
}

void uiommu_server_stop(struct uiommu_server *server)
{
	if (!server)
		return;
	/* First: who comes now finds nobody. */
	for (unsigned i = 0; i < server->n_sockets; i++) {
		if (server->sockets[i].path)
			unlink(server->sockets[i].path);
		free(server->sockets[i].path);
		if (server->sockets[i].fd >= 0)
			ui_sys_close(server->sockets[i].fd);
	}
	for (unsigned i = 0; i < server->n_seats; i++)
		ui_seat_stop(&server->seats[i]);
	if (server->counters)
		ui_counters_leave(server->counters, server->n_counters);
	ui_log_set(UI_LOG_WARN, NULL, NULL);
	free(server);
}

const char *uiommu_server_device_name(const struct uiommu_server *server, unsigned i)
{
	return server->seats[i].machine->devices[0].name;
}
