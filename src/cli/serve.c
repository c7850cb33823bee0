/* SPDX-License-Identifier: MIT */
/* uiommu serve: a vfio-user server, until a signal ends it. */
#include <uiommu/serve.h>

#include "cli.h"
#include "options.h"
#include "stats.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
	"usage: uiommu serve --socket PATH... [OPTIONS]\n"
	"\n"
	"Serves devices by vfio-user, for QEMU's vfio-user-pci or any other client. Each device has a socket of its own, a client at a\n"
	"time, and no memory but what its client passes. Prints what QEMU is to be told, and runs until SIGINT or SIGTERM.\n"
	"\n"
	"options:\n"
	"  -s, --socket PATH    where a device listens: give one for each device, in their order; or one in all, and the devices\n"
	"                       after the first listen at PATH.1, PATH.2 and so on. A socket that a dead server left is replaced.\n"
	"  -d, --device SPEC    add a device (repeatable); SPEC is TYPE[,key=value]..., keys as in uiommu run.\n"
	"                       Without any: dma,rid=0000:01:00.0,pasid-bits=16\n"
	"  -m, --machine FILE   take the machine from a JSON file\n"
	"  -i, --iommu KIND     generic (default) or vtd\n"
	"  -l, --log LEVEL      none, error, warn, fault (default: one line for every refused DMA), info, debug\n"
	"      --log-file FILE  append the log to FILE instead of stderr\n"
	"      --stats[=FORMAT[:FILE]]\n"
	"                       at the end, and upon SIGUSR1, say what each device did. FORMAT: table (default) or json; FILE: not\n"
	"                       to stderr\n"
	"  -h, --help           this text\n"
	"\n"
	"example:\n"
	"  uiommu serve --socket /tmp/disk.sock --device nvme,file=disk.img,size=1G &\n"
	"  qemu-system-x86_64 -machine q35,memory-backend=ram -m 1G -object memory-backend-memfd,id=ram,size=1G,share=on \\\n"
	"      -device '{\"driver\":\"vfio-user-pci\",\"socket\":{\"type\":\"unix\",\"path\":\"/tmp/disk.sock\"}}' ...\n"
	"\n"
	"Guest memory must be a shared file, as above: other memory is reached by messages, too slow for a disk.\n"
	"\n"
	"Exit status: 0 after SIGINT or SIGTERM; 1 for a wrong option, machine or socket.\n";

enum { FAILED = 1, OPT_STATS = 256, MAX_SOCKETS = 32 };

struct serve {
	struct ui_cli_machine m;
	struct ui_cli_stats stats;
	const char *sockets[MAX_SOCKETS];
	unsigned n_sockets; /* given */
	char *made[MAX_SOCKETS];
};

static int option(struct serve *serve, int opt)
{
	bool known;
	int status = ui_cli_machine_option(&serve->m, opt, optarg, &known);

	if (known)
		return status;
	switch (opt) {
	case 's':
		if (serve->n_sockets == MAX_SOCKETS)
			return ui_cli_fail(FAILED, "--socket: more than %d", MAX_SOCKETS);
		serve->sockets[serve->n_sockets++] = optarg;
		return 0;
	case OPT_STATS:
		return ui_cli_stats_option(&serve->stats, optarg);
	case 'h':
		fputs(help, stdout);
		exit(0);
	default:
		fputs("try: uiommu serve --help\n", stderr);
		return FAILED;
	}
}

static int options(struct serve *serve, int argc, char **argv)
{
	static const struct option names[] = {
		{ "socket", required_argument, NULL, 's' },  { "device", required_argument, NULL, 'd' },
		{ "machine", required_argument, NULL, 'm' }, { "iommu", required_argument, NULL, 'i' },
		{ "log", required_argument, NULL, 'l' },     { "log-file", required_argument, NULL, UI_CLI_OPT_LOG_FILE },
		{ "stats", optional_argument, NULL, OPT_STATS }, { "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	char name[] = "uiommu serve", *first = argv[0];
	int opt, status = 0;

	argv[0] = name;
	while (!status && (opt = getopt_long(argc, argv, "s:d:m:i:l:h", names, NULL)) != -1)
		status = option(serve, opt);
	argv[0] = first;
	if (!status && optind < argc)
		status = ui_cli_fail(FAILED, "serve: unexpected \"%s\" (uiommu serve --help)", argv[optind]);
	return status;
}

/* One socket for each device. */
static int sockets(struct serve *serve)
{
	unsigned n = uiommu_machine_n_devices(serve->m.machine);

	if (!serve->n_sockets)
		return ui_cli_fail(FAILED, "serve: at which socket? (uiommu serve --help)");
	if (serve->n_sockets != 1 && serve->n_sockets != n)
		return ui_cli_fail(FAILED, "--socket: %u are given for %u device%s", serve->n_sockets, n, n == 1 ? "" : "s");
	for (unsigned i = serve->n_sockets; i < n; i++) {
		if (asprintf(&serve->made[i], "%s.%u", serve->sockets[0], i) < 0)
			return ui_cli_fail(FAILED, "out of memory");
		serve->sockets[i] = serve->made[i];
	}
	return 0;
}

/* A JSON string inside a shell's single quotes. */
static void print_quoted(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\''", stdout);
		else if ((unsigned char)*text < ' ')
			printf("\\u%04x", (unsigned)*text);
		else
			printf(*text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
	}
	putchar('"');
}

static void print_qemu(const struct serve *serve)
{
	puts("qemu-system-x86_64 -machine q35,memory-backend=ram -m SIZE -object memory-backend-memfd,id=ram,size=SIZE,share=on \\");
	for (unsigned i = 0; i < uiommu_machine_n_devices(serve->m.machine); i++) {
		fputs("    -device '{\"driver\":\"vfio-user-pci\",\"socket\":{\"type\":\"unix\",\"path\":", stdout);
		print_quoted(serve->sockets[i]);
		puts(i + 1 < uiommu_machine_n_devices(serve->m.machine) ? "}}' \\" : "}}'");
	}
	fflush(stdout);
}

/* Serves until a signal ends it. @wanted is blocked in this thread. */
static int execute(struct serve *serve, const sigset_t *wanted)
{
	struct uiommu_server *server;
	char err[1024];
	int sig;

	if (uiommu_server_start(serve->m.machine, serve->sockets, serve->stats.stats, &server, err, sizeof(err)))
		return ui_cli_fail(FAILED, "%s", err);
	print_qemu(serve);
	while ((sig = sigwaitinfo(wanted, NULL)) != SIGINT && sig != SIGTERM) {
		if (sig == SIGUSR1 && serve->stats.wanted)
			ui_cli_stats_print(&serve->stats);
	}
	/* A client's file may be one that never answers: who does not want to wait signals once more. */
	pthread_sigmask(SIG_UNBLOCK, wanted, NULL);
	uiommu_server_stop(server);
	if (serve->stats.wanted)
		ui_cli_stats_print(&serve->stats);
	return 0;
}

int ui_cli_serve(int argc, char **argv)
{
	struct serve serve = { .m.machine = uiommu_machine_new() };
	sigset_t wanted;
	int status;

	if (!serve.m.machine)
		return ui_cli_fail(FAILED, "out of memory");
	sigemptyset(&wanted);
	sigaddset(&wanted, SIGINT);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &wanted, NULL);
	status = options(&serve, argc, argv);
	if (!status)
		status = ui_cli_machine_settle(&serve.m, "dma,rid=0000:01:00.0,pasid-bits=16");
	if (!status)
		status = sockets(&serve);
	if (!status && serve.stats.wanted)
		status = ui_cli_stats_begin(&serve.stats, serve.m.machine);
	if (!status)
		status = execute(&serve, &wanted);
	uiommu_stats_free(serve.stats.stats);
	for (unsigned i = 0; i < MAX_SOCKETS; i++)
		free(serve.made[i]);
	uiommu_machine_free(serve.m.machine);
	return status;
}
