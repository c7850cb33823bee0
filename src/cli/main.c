/* SPDX-License-Identifier: MIT */
#include "cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
	"usage: uiommu COMMAND [OPTIONS]\n"
	"\n"
	"An IOMMU in user space: programs find /dev/iommu and VFIO devices, with no kernel module, hardware or root.\n"
	"\n"
	"commands:\n"
	"  run     run a program with an IOMMU and devices (uiommu run --help)\n"
	"  decode print an SMMUv3's tables and queues from a memory dump (uiommu decode --help)\n"
	"\n"
	"try:\n"
	"  uiommu run -- ls -l /dev/iommu /dev/vfio/devices\n";

int ui_cli_fail(int status, const char *fmt, ...)
{
	char line[8192];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	/* One line, whatever it quotes, and nothing that a terminal obeys. */
	for (char *c = line; *c; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	}
	fprintf(stderr, "uiommu: %s\n", line);
	return status;
}

int main(int argc, char **argv)
{
	if (argc >= 2 && !strcmp(argv[1], "run"))
		return ui_cli_run(argc - 1, argv + 1);
	if (argc >= 2 && !strcmp(argv[1], "decode"))
		return ui_cli_decode(argc - 1, argv + 1);
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
		ui_cli_fail(1, "unknown command \"%s\"; known: run, decode (uiommu --help)", argv[1]);
	return 1;
}
