/* SPDX-License-Identifier: MIT */
/* uiommu decode: what an SMMUv3's tables and queues in a memory dump say. */
#include <uiommu/decode.h>

#include "cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
	"usage: uiommu decode [OPTIONS] DUMP WHAT ADDRESS\n"
	"\n"
	"Prints an Arm SMMUv3's tables or queues, found in a memory dump. DUMP is an ELF core with physical addresses (QEMU's\n"
	"dump-guest-memory) or, with --base, memory as it was. WHAT lies at the physical ADDRESS:\n"
	"  strtab   stream table           ste   one of its entries\n"
	"  cdtab    context descriptors    cd    one of them\n"
	"  cmdq     command queue          eventq, priq   event and page request queue\n"
	"\n"
	"options:\n"
	"  -b, --base ADDRESS   DUMP is raw; physical address of its first byte\n"
	"      --log2size N     strtab: StreamID bits, 0 to 32; queues: log2 of their entries, 0 to 19\n"
	"      --split N        strtab: two levels, split at 6, 8 or 10 bits (default: linear)\n"
	"      --cds            strtab, ste: the context descriptors of the entries as well\n"
	"      --s1fmt FMT      cdtab: linear (default), 4k or 64k: the size of the leaves of two levels\n"
	"      --s1cdmax N      cdtab: SubstreamID bits, 0 to 20 (default: 0)\n"
	"      --prod N         queues: only the entries from CONS up to PROD, as the registers have them\n"
	"      --cons N\n"
	"      --idr LIST       IDR0 to IDR5, with commas: what is ILLEGAL on this SMMU (default: on one that can do all of\n"
	"                       SMMUv3.2)\n"
	"  -a, --all            fields that are zero and entries that are not valid, too\n"
	"  -j, --json           as JSON\n"
	"  -h, --help           this text\n"
	"\n"
	"examples:\n"
	"  uiommu decode vmcore strtab 0x40100000 --log2size 16 --split 8\n"
	"  uiommu decode --base 0x40000000 ram.bin ste 0x4010a200 --cds --json\n"
	"  uiommu decode vmcore eventq 0x40130000 --log2size 7 --cons 0x85 --prod 0x87\n"
	"\n"
	"Exit status: 0; 1 for a wrong option, a dump that cannot be read, or an address that is not in it.\n";

enum { FAILED = 1, OPT_LOG2SIZE = 256, OPT_SPLIT, OPT_CDS, OPT_S1FMT, OPT_S1CDMAX, OPT_PROD, OPT_CONS, OPT_IDR };

struct args {
	struct uiommu_decode what;
	int has_base, has_log2size, has_prod, has_cons;
	uint64_t base;
};

/* A number up to @max, in base 10, or in base 16 with 0x, up to @end. */
static int number(const char *text, const char *end, uint64_t max, uint64_t *val)
{
	char *stop;

	errno = 0;
	*val = strtoull(text, &stop, 0);
	/* strtoull takes signs and spaces, and 0-led numbers as octal. */
	if (text[0] < '0' || text[0] > '9' || (text[0] == '0' && text[1] >= '0' && text[1] <= '9'))
		return -1;
	return errno || stop != end || *val > max ? -1 : 0;
}

static int option_number(const char *option, uint64_t max, uint64_t *val)
{
	if (!number(optarg, optarg + strlen(optarg), max, val))
		return 0;
	return ui_cli_fail(FAILED, "--%s: \"%s\" is not a number from 0 to %llu", option, optarg, (unsigned long long)max);
}

static int option_unsigned(const char *option, uint64_t max, unsigned *to, int *has)
{
	uint64_t val = 0;
	int status = option_number(option, max, &val);

	*to = (unsigned)val;
	if (has)
		*has = 1;
	return status;
}

static int option_idr(struct args *args)
{
	const char *at = optarg;

	for (unsigned i = 0; i < 6; i++) {
		const char *end = at + strcspn(at, ",");
		uint64_t val;

		if (number(at, end, UINT32_MAX, &val) || !*end != (i == 5))
			return ui_cli_fail(FAILED, "--idr: \"%s\" is not six numbers of 32 bits with commas between", optarg);
		args->what.idr[i] = (uint32_t)val;
		at = end + 1;
	}
	args->what.has_idr = 1;
	return 0;
}

static int option_s1fmt(struct args *args)
{
	static const char *const names[] = { "linear", "4k", "64k" };

	for (unsigned i = 0; i < 3; i++) {
		if (!strcmp(optarg, names[i])) {
			args->what.s1fmt = i;
			return 0;
		}
	}
	return ui_cli_fail(FAILED, "--s1fmt: unknown format \"%s\"; known: linear, 4k, 64k", optarg);
}

static int option(struct args *args, int opt)
{
	switch (opt) {
	case 'b':
		args->has_base = 1;
		return option_number("base", UINT64_MAX, &args->base);
	case OPT_LOG2SIZE:
		return option_unsigned("log2size", 32, &args->what.log2size, &args->has_log2size);
	case OPT_SPLIT:
		return option_unsigned("split", 10, &args->what.split, NULL);
	case OPT_S1FMT:
		return option_s1fmt(args);
	case OPT_S1CDMAX:
		return option_unsigned("s1cdmax", 20, &args->what.s1cdmax, NULL);
	case OPT_PROD:
		return option_unsigned("prod", UINT32_MAX, &args->what.prod, &args->has_prod);
	case OPT_CONS:
		return option_unsigned("cons", UINT32_MAX, &args->what.cons, &args->has_cons);
	case OPT_IDR:
		return option_idr(args);
	case OPT_CDS:
		args->what.flags |= UIOMMU_DECODE_CDS;
		return 0;
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
		fputs("try: uiommu decode --help\n", stderr);
		return FAILED;
	}
}

static int options(struct args *args, int argc, char **argv)
{
	static const struct option names[] = {
		{ "base", required_argument, NULL, 'b' },	    { "log2size", required_argument, NULL, OPT_LOG2SIZE },
		{ "split", required_argument, NULL, OPT_SPLIT },    { "cds", no_argument, NULL, OPT_CDS },
		{ "s1fmt", required_argument, NULL, OPT_S1FMT },    { "s1cdmax", required_argument, NULL, OPT_S1CDMAX },
		{ "prod", required_argument, NULL, OPT_PROD },	    { "cons", required_argument, NULL, OPT_CONS },
		{ "idr", required_argument, NULL, OPT_IDR },	    { "all", no_argument, NULL, 'a' },
		{ "json", no_argument, NULL, 'j' },		    { "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	char name[] = "uiommu decode", *first = argv[0];
	int opt, status = 0;

	argv[0] = name;
	while (!status && (opt = getopt_long(argc, argv, "b:ajh", names, NULL)) != -1)
		status = option(args, opt);
	argv[0] = first;
	return status;
}

/* WHAT and ADDRESS, and the options that WHAT needs. */
static int arguments(struct args *args, char **argv)
{
	static const char *const names[] = {
		[UIOMMU_DECODE_STRTAB] = "strtab", [UIOMMU_DECODE_STE] = "ste",	      [UIOMMU_DECODE_CDTAB] = "cdtab",
		[UIOMMU_DECODE_CD] = "cd",	   [UIOMMU_DECODE_CMDQ] = "cmdq",     [UIOMMU_DECODE_EVENTQ] = "eventq",
		[UIOMMU_DECODE_PRIQ] = "priq",
	};
	unsigned what = 0, n = sizeof(names) / sizeof(names[0]);
	int sized;

	while (what < n && strcmp(argv[1], names[what]) != 0)
		what++;
	if (what == n)
		return ui_cli_fail(FAILED, "decode: unknown \"%s\"; known: strtab, ste, cdtab, cd, cmdq, eventq, priq", argv[1]);
	args->what.what = (enum uiommu_decode_what)what;
	if (number(argv[2], argv[2] + strlen(argv[2]), UINT64_MAX, &args->what.addr))
		return ui_cli_fail(FAILED, "decode: \"%s\" is not an address", argv[2]);
	sized = what == UIOMMU_DECODE_STRTAB || what >= UIOMMU_DECODE_CMDQ;
	if (sized && !args->has_log2size)
		return ui_cli_fail(FAILED, "decode: %s needs --log2size", argv[1]);
	if (args->has_prod != args->has_cons)
		return ui_cli_fail(FAILED, "decode: --prod and --cons go together");
	args->what.has_range = args->has_prod;
	return 0;
}

int ui_cli_decode(int argc, char **argv)
{
	struct args args = { .base = 0 };
	struct uiommu_dump *dump;
	char err[1024], *text;
	int status;

	status = options(&args, argc, argv);
	if (!status && argc - optind != 3)
		status = ui_cli_fail(FAILED, "decode: which dump, what, and where? (uiommu decode --help)");
	if (!status)
		status = arguments(&args, argv + optind);
	if (status)
		return status;
	dump = args.has_base ? uiommu_dump_open_raw(argv[optind], args.base, err, sizeof(err)) :
			       uiommu_dump_open_elf(argv[optind], err, sizeof(err));
	if (!dump)
		return ui_cli_fail(FAILED, "%s", err);
	text = uiommu_decode(dump, &args.what, err, sizeof(err));
	uiommu_dump_close(dump);
	if (!text)
		return ui_cli_fail(FAILED, "%s: %s", argv[optind], err);
	if (fputs(text, stdout) == EOF || fflush(stdout) == EOF)
		status = ui_cli_fail(FAILED, "stdout: %s", strerror(errno));
	free(text);
	return status;
}
