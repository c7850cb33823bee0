/* SPDX-License-Identifier: MIT */
/*
 * A vfio-user server in this process: the devices of a machine, each on a socket of its own, for any vfio-user client (QEMU's
 * vfio-user-pci, say). What `uiommu serve` does.
 */
#ifndef UIOMMU_SERVE_H
#define UIOMMU_SERVE_H

#include <uiommu/stats.h>

#ifdef __cplusplus
extern "C" {
#endif

struct uiommu_server;

/**
 * uiommu_server_start() - listen, and serve until uiommu_server_stop()
 * @machine: the devices; not changed until then
 * @sockets: a path for each of the devices, in their order. A socket that somebody left behind there is replaced; only the user who
 *	starts the server can connect.
 * @stats: of @machine, to count in; outlives the server. NULL: nobody asks
 *
 * Each device has a client at a time, its own iommu, and no memory but what its client passes: a client that breaks the protocol, or ends in
 * the middle, is its device's affair alone. Two threads per device work until the stop; they block all signals but SIGSEGV and SIGBUS, for
 * which the process gets a handler that passes on what it does not know. The log goes where @machine says. One server at a
 * time in a process.
 *
 * Return: 0 with *@out; -EINVAL with one line for the user in @err.
 */
int uiommu_server_start(const struct uiommu_machine *machine, const char *const *sockets, const struct uiommu_stats *stats,
			struct uiommu_server **out, char *err, size_t err_bytes);

/** uiommu_server_stop() - clients are cut off, sockets removed. NULL is a no-op */
void uiommu_server_stop(struct uiommu_server *server);

/**
 * uiommu_server_device_name() - which device the socket of number @i has: "0000:01:00.0"
 *
 * Return: a string that is valid as long as the server.
 */
const char *uiommu_server_device_name(const struct uiommu_server *server, unsigned i);

#ifdef __cplusplus
}
#endif

#endif
