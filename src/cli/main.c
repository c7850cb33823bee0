/* SPDX-License-Identifier: MIT */
#include "cli.h"

#include <stdio.h>
#include <string.h>

static const char usage[] =
	"usage: uiommu COMMAND [OPTIONS]\n"
	"\n"
	"An IOMMU in user space: programs find /dev/iommu and VFIO devices, with no kernel module, hardware or root.\n"
	"\n"
	"commands:\n"
	"  run     run a program with an IOMMU and devices (uiommu run --help)\n"
	"  serve   serve devices by vfio-user, to QEMU and others (uiommu serve --help)\n"
	"  decode  print an SMMUv3's tables and queues, or page tables, from a memory dump (uiommu decode --help)\n"
	"  walk    tell what an SMMUv3 does with one access, step by step, from a memory dump (uiommu walk --help)\n"
	"\n"
	"try:\n"
	"  uiommu run -- ls -l /dev/iommu /dev/vfio/devices\n";

int main(int argc, char **argv)
{
	if (argc >= 2 && !strcmp(argv[1], "run"))
		return ui_cli_run(argc - 1, argv + 1);
	if (argc >= 2 && !strcmp(argv[1], "serve"))
		return ui_cli_serve(argc - 1, argv + 1);
	if (argc >= 2 && !strcmp(argv[1], "decode"))
		return ui_cli_decode(argc - 1, argv + 1);
	if (argc >= 2 && !strcmp(argv[1], "walk"))
		return ui_cli_walk(argc - 1, argv + 1);
	if (argc >= 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))) {
		fputs(usage, stdout);
		return 0;
	}
	if (argc >= 2 && !strcmp(argv[1], "--version")) {
		puts("uiommu " UIOMMU_VERSION);
		return 0;
	}
	if (argc < 2)
		fputs(usage, stderr);
	else
		ui_cli_fail(1, "unknown command \"%s\"; known: run, serve, decode, walk (uiommu --help)", argv[1]);
	return 1;
}
