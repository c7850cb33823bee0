/* SPDX-License-Identifier: MIT */
/* uiommu walk: one access through an SMMUv3's tables in a memory dump, step by step. */
#include <uiommu/decode.h>

#include "cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
	"usage: uiommu walk [OPTIONS] --sid N --iova ADDRESS DUMP STRTAB\n"
	"\n"
	"Takes one access of a device through an Arm SMMUv3's tables in a memory dump, as the SMMU would, and tells each step: what was\n"
	"read where (stream table, context descriptor, page tables of stage 1, and of stage 2 behind each of them) and where the access\n"
	"ends; on a fault, which event is recorded and which field is why. DUMP is an ELF core with physical addresses (QEMU's\n"
	"dump-guest-memory) or, with --base, memory as it was. STRTAB is the stream table's physical address, or what STRTAB_BASE holds.\n"
	"\n"
	"options:\n"
	"  -b, --base ADDRESS   DUMP is raw; physical address of its first byte\n"
	"      --cfg N          the register STRTAB_BASE_CFG: size and levels of the stream table; instead of it:\n"
	"      --log2size N     StreamID bits, 0 to 32 (default: 16)\n"
	"      --split N        two levels, split at 6, 8 or 10 bits (default: linear)\n"
	"  -s, --sid N          StreamID of the device (of a PCI device mostly its bus, device and function)\n"
	"      --ssid N         SubstreamID (PASID) of the access, 0 to 0xfffff (default: it has none, which is not 0)\n"
	"  -i, --iova ADDRESS   the address\n"
	"      --access HOW     r (default), w or x (instruction fetch); with \",priv\" after it: privileged\n"
	"      --idr LIST       IDR0 to IDR5, with commas: what this SMMU can do (default: all of SMMUv3.2)\n"
	"  -a, --all            fields that are zero, too\n"
	"  -j, --json           as JSON\n"
	"  -h, --help           this text\n"
	"\n"
	"examples:\n"
	"  uiommu walk vmcore 0x40100000 --cfg 0x10210 --sid 0x10 --iova 0xfffff000\n"
	"  uiommu walk vmcore 0x40100000 --log2size 16 --split 8 --sid 0x10 --ssid 1 --iova 0x7f0000001000 --access w\n"
	"  uiommu walk --base 0x40000000 ram.bin 0x40100000 -s 8 -i 0x1000 --json | jq -r .result.why\n"
	"\n"
	"DUMP is only read: accessed flags and dirty states that the SMMU would set are told (\"would set\").\n"
	"\n"
	"Exit status: 0: the access reaches an address; 2: it faults or is terminated; 1: a wrong option, or a dump that cannot be read.\n";

enum { FAILED = 1, REFUSED = 2, OPT_CFG = 256, OPT_LOG2SIZE, OPT_SPLIT, OPT_SSID, OPT_ACCESS, OPT_IDR };

struct args {
	struct uiommu_walk what;
	int has_base, has_cfg, has_size, has_sid, has_iova;
	unsigned log2size, split;
	uint64_t base;
};

static int option_access(struct args *args)
{
	static const struct {
		const char *name;
		enum uiommu_walk_access access;
		int priv;
	} names[] = {
		{ "r", UIOMMU_WALK_READ, 0 }, { "w", UIOMMU_WALK_WRITE, 0 }, { "x", UIOMMU_WALK_EXEC, 0 }, { "r,priv", UIOMMU_WALK_READ, 1 },
		{ "w,priv", UIOMMU_WALK_WRITE, 1 }, { "x,priv", UIOMMU_WALK_EXEC, 1 },
	};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcmp(optarg, names[i].name)) {
			args->what.access = names[i].access;
			args->what.priv = names[i].priv;
			return 0;
		}
	}
	return ui_cli_fail(FAILED, "--access: unknown access \"%s\"; known: r, w, x, each with or without \",priv\"", optarg);
}

static int option_split(struct args *args)
{
	int status = ui_cli_unsigned("split", 10, &args->split, &args->has_size);

	if (!status && args->split && args->split != 6 && args->split != 8 && args->split != 10)
		return ui_cli_fail(FAILED, "--split: a stream table is split at 6, 8 or 10 bits");
	return status;
}

static int option(struct args *args, int opt)
{
	switch (opt) {
	case 'b':
		args->has_base = 1;
		return ui_cli_number("base", UINT64_MAX, &args->base);
	case 's':
		return ui_cli_unsigned("sid", UINT32_MAX, &args->what.sid, &args->has_sid);
	case 'i':
		args->has_iova = 1;
		return ui_cli_number("iova", UINT64_MAX, &args->what.iova);
	case OPT_SSID:
		return ui_cli_unsigned("ssid", 0xfffff, &args->what.ssid, &args->what.has_ssid);
	case OPT_CFG:
		return ui_cli_unsigned("cfg", UINT32_MAX, &args->what.strtab_cfg, &args->has_cfg);
	case OPT_LOG2SIZE:
		return ui_cli_unsigned("log2size", 32, &args->log2size, &args->has_size);
	case OPT_SPLIT:
		return option_split(args);
	case OPT_ACCESS:
		return option_access(args);
	case OPT_IDR:
		args->what.has_idr = 1;
		return ui_cli_idr(args->what.idr);
	case 'a':
		args->what.flags |= UIOMMU_DECODE_ALL;
		return 0;
	case 'j':
		args->what.flags |= UIOMMU_DECODE_JSON;
		return 0;
	case 'h':
		fputs(help, stdout);
		exit(0);
	default:
		fputs("try: uiommu walk --help\n", stderr);
		return FAILED;
	}
}

static int options(struct args *args, int argc, char **argv)
{
	static const struct option names[] = {
		{ "base", required_argument, NULL, 'b' },	  { "cfg", required_argument, NULL, OPT_CFG },
		{ "log2size", required_argument, NULL, OPT_LOG2SIZE }, { "split", required_argument, NULL, OPT_SPLIT },
		{ "sid", required_argument, NULL, 's' },	  { "ssid", required_argument, NULL, OPT_SSID },
		{ "iova", required_argument, NULL, 'i' },	  { "access", required_argument, NULL, OPT_ACCESS },
		{ "idr", required_argument, NULL, OPT_IDR },	  { "all", no_argument, NULL, 'a' },
		{ "json", no_argument, NULL, 'j' },		  { "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	char name[] = "uiommu walk", *first = argv[0];
	int opt, status = 0;

	argv[0] = name;
	while (!status && (opt = getopt_long(argc, argv, "b:s:i:ajh", names, NULL)) != -1)
		status = option(args, opt);
	argv[0] = first;
	return status;
}

/* Do the options go together? Fills in the stream table's size. */
static int arguments(struct args *args, int argc, char **argv)
{
	if (argc != 2)
		return ui_cli_fail(FAILED, "walk: which dump, and where is the stream table? (uiommu walk --help)");
	if (ui_cli_parse(argv[1], argv[1] + strlen(argv[1]), UINT64_MAX, &args->what.strtab_base))
		return ui_cli_fail(FAILED, "walk: \"%s\" is not an address", argv[1]);
	if (!args->has_sid || !args->has_iova)
		return ui_cli_fail(FAILED, "walk: needs --sid and --iova: whose access, and to what address?");
	if (args->has_cfg && args->has_size)
		return ui_cli_fail(FAILED, "walk: --cfg says what --log2size and --split say: one or the other");
	/* 6.3.25: LOG2SIZE, SPLIT, FMT. */
	if (!args->has_cfg)
		args->what.strtab_cfg = args->log2size | args->split << 6 | (args->split ? 1u << 16 : 0);
	return 0;
}

int ui_cli_walk(int argc, char **argv)
{
	struct args args = { .log2size = 16 };
	struct uiommu_dump *dump;
	char err[1024], *text;
	int status, refused = 0;

	status = options(&args, argc, argv);
	if (!status)
		status = arguments(&args, argc - optind, argv + optind);
	if (status)
		return status;
	dump = args.has_base ? uiommu_dump_open_raw(argv[optind], args.base, err, sizeof(err)) :
			       uiommu_dump_open_elf(argv[optind], err, sizeof(err));
	if (!dump)
		return ui_cli_fail(FAILED, "%s", err);
	text = uiommu_walk(dump, &args.what, &refused, err, sizeof(err));
	uiommu_dump_close(dump);
	if (!text)
		return ui_cli_fail(FAILED, "%s: %s", argv[optind], err);
	status = refused ? REFUSED : 0;
	if (fputs(text, stdout) == EOF || fflush(stdout) == EOF)
		status = ui_cli_fail(FAILED, "stdout: %s", strerror(errno));
	free(text);
	return status;
}
