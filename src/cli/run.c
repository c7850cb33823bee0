/* SPDX-License-Identifier: MIT */
/* uiommu run: checks everything, then becomes the program (with --stats: its parent), with the library preloaded and the machine
 * in the environment. */
#include <uiommu/machine.h>

#include "cli.h"
#include "options.h"
#include "parent.h"
#include "program.h"
#include "stats.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
	"usage: uiommu run [OPTIONS] [--] PROGRAM [ARGS]\n"
	"\n"
	"Runs PROGRAM, unmodified, on a machine with an IOMMU: it finds /dev/iommu, a /dev/vfio/devices/vfioN for every device,\n"
	"/dev/vfio/vfio with a /dev/vfio/GROUP for every group, and their files in /sys. Programs it starts find them too. Nothing\n"
	"else changes for it.\n"
	"\n"
	"options:\n"
	"  -d, --device SPEC    add a device (repeatable); SPEC is TYPE[,key=value]..., keys rid, pasid-bits, group.\n"
	"                       Without any: dma,rid=0000:01:00.0,pasid-bits=16\n"
	"  -m, --machine FILE   take the machine from a JSON file\n"
	"  -i, --iommu KIND     generic (default), vtd: Intel VT-d with nesting, smmuv3: Arm SMMUv3, or mock: what the kernel's\n"
	"                       own tests of iommufd talk to\n"
	"  -l, --log LEVEL      none, error, warn, fault (default: one line for every refused DMA), info, debug\n"
	"      --log-file FILE  append the log to FILE instead of stderr\n"
	"      --stats[=FORMAT[:FILE]]\n"
	"                       at the end, and upon SIGUSR1 to this command, say what each device and PASID did: DMAs, bytes,\n"
	"                       TLB hits and misses, walks, faults, maps. FORMAT: table (default) or json; FILE: not to stderr\n"
	"  -n, --dry-run        check everything and print the machine, but run nothing\n"
	"  -h, --help           this text\n"
	"\n"
	"examples:\n"
	"  uiommu run -- ls -l /dev/iommu /dev/vfio/devices\n"
	"  uiommu run --device dma,rid=0000:01:00.0,pasid-bits=16 -- ./my-driver\n"
	"  uiommu run --machine m.json --log-file dma.log -- qemu-system-x86_64 ... \\\n"
	"      -object iommufd,id=iommufd0 -device vfio-pci,host=0000:01:00.0,iommufd=iommufd0\n"
	"  uiommu run --stats=json:stats.json -- ./my-driver\n"
	"\n"
	"A machine file:\n"
	"  { \"iommu\": \"generic\",\n"
	"    \"log\": { \"level\": \"fault\", \"file\": \"dma.log\" },\n"
	"    \"devices\": [ { \"type\": \"dma\", \"rid\": \"0000:01:00.0\", \"pasid-bits\": 16 } ] }\n"
	"\n"
	"Exit status: the program's (with --stats 128+N when signal N ended it); 1 for a wrong option or machine, 126 if the\n"
	"program cannot be run this way (it is statically linked, setuid, ...), 127 if it is not found.\n";

enum { FAILED = 1, OPT_STATS = 256 };

struct run {
	struct ui_cli_machine m;
	struct ui_cli_stats stats;
	int dry;
};

static int option(struct run *run, int opt)
{
	bool known;
	int status = ui_cli_machine_option(&run->m, opt, optarg, &known);

	if (known)
		return status;
	switch (opt) {
	case OPT_STATS:
		return ui_cli_stats_option(&run->stats, optarg);
	case 'n':
		run->dry = 1;
		return 0;
	case 'h':
		fputs(help, stdout);
		exit(0);
	default:
		fputs("try: uiommu run --help\n", stderr);
		return FAILED;
	}
}

static int options(struct run *run, int argc, char **argv)
{
	static const struct option names[] = {
		{ "device", required_argument, NULL, 'd' }, { "machine", required_argument, NULL, 'm' },
		{ "iommu", required_argument, NULL, 'i' },  { "log", required_argument, NULL, 'l' },
		{ "log-file", required_argument, NULL, UI_CLI_OPT_LOG_FILE }, { "stats", optional_argument, NULL, OPT_STATS },
		{ "dry-run", no_argument, NULL, 'n' },      { "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	char name[] = "uiommu run", *first = argv[0];
	int opt, status = 0;

	argv[0] = name;
	while (!status && (opt = getopt_long(argc, argv, "+d:m:i:l:nh", names, NULL)) != -1)
		status = option(run, opt);
	argv[0] = first;
	return status;
}

/* The preloaded library lies beside the command: in the build tree, or where it was installed. */
static int find_library(char *out, size_t out_bytes)
{
	static const char *const places[] = { "src/shim/libuiommu-shim.so", "../" UIOMMU_LIBDIR "/uiommu/libuiommu-shim.so" };
	char self[PATH_MAX], tried[PATH_MAX + 128];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n < 0)
		return ui_cli_fail(FAILED, "/proc/self/exe: %s", strerror(errno));
	self[n] = 0;
	slash = strrchr(self, '/');
	*slash = 0;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		char *real;

		snprintf(tried, sizeof(tried), "%s/%s", self, places[i]);
		real = realpath(tried, NULL);
		if (!real)
			continue;
		n = snprintf(out, out_bytes, "%s", real);
		free(real);
		if (strpbrk(out, " :"))
			return ui_cli_fail(FAILED, "%s: the loader cannot preload from a path with a space or colon", out);
		return 0;
	}
	return ui_cli_fail(FAILED, "the preloaded library libuiommu-shim.so is missing (looked in %s/src/shim and %s/../%s/uiommu)",
			   self, self, UIOMMU_LIBDIR);
}

/* Puts @value before what the user's variable holds. */
static int prepend(const char *name, const char *value, char separator)
{
	const char *old = getenv(name);
	char *both = NULL;
	int ret;

	if (!old || !*old)
		return setenv(name, value, 1);
	if (asprintf(&both, "%s%c%s", value, separator, old) < 0)
		return -1;
	ret = setenv(name, both, 1);
	free(both);
	return ret;
}

static int environment(const struct run *run)
{
	char library[PATH_MAX], *text = uiommu_machine_text(run->m.machine);
	int status = find_library(library, sizeof(library));

	/* A program built with AddressSanitizer insists on being the first library, and takes our word that all is well. */
	if (!status && (!text || setenv(UIOMMU_MACHINE_ENV, text, 1) || prepend("LD_PRELOAD", library, ':') ||
			prepend("ASAN_OPTIONS", "verify_asan_link_order=0", ':')))
		status = ui_cli_fail(FAILED, "out of memory");
	if (!status && run->dry)
		puts(text);
	free(text);
	return status;
}

static void print_stats(void *run)
{
	ui_cli_stats_print(&((struct run *)run)->stats);
}

/* Stays, to tell in the end what the devices did. */
static int accompany(struct run *run, char **argv)
{
	int started, status = ui_cli_stats_begin(&run->stats, run->m.machine);

	if (status)
		return status;
	status = ui_cli_parent(argv, print_stats, run, &started);
	if (started)
		print_stats(run);
	uiommu_stats_free(run->stats.stats);
	return status;
}

static int execute(struct run *run, char **argv)
{
	char path[PATH_MAX], err[1024];
	int status;

	status = ui_cli_machine_settle(&run->m, "dma,rid=0000:01:00.0,pasid-bits=16");
	if (!status && !run->dry) {
		status = ui_program_check(argv[0], path, sizeof(path), err, sizeof(err));
		if (status)
			ui_cli_fail(status, "%s", err);
	}
	if (!status)
		status = environment(run);
	if (status || run->dry)
		return status;
	if (run->stats.wanted)
		return accompany(run, argv);
	ui_cli_stats_none();
	execvp(argv[0], argv);
	status = errno == ENOENT ? 127 : 126;
	return ui_cli_fail(status, "%s: %s", argv[0], strerror(errno));
}

int ui_cli_run(int argc, char **argv)
{
	struct run run = { .m.machine = uiommu_machine_new() };
	int status;

	if (!run.m.machine)
		return ui_cli_fail(FAILED, "out of memory");
	status = options(&run, argc, argv);
	if (!status && optind >= argc && !run.dry)
		status = ui_cli_fail(FAILED, "run: which program? (uiommu run --help)");
	if (!status)
		status = execute(&run, argv + optind);
	uiommu_machine_free(run.m.machine);
	return status;
}
