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
	"Prints an Arm SMMUv3's tables or queues, or a page table, found in a memory dump. DUMP is an ELF core with physical addresses\n"
	"(QEMU's dump-guest-memory) or, with --base, memory as it was. WHAT lies at the physical ADDRESS:\n"
	"  strtab   stream table           ste   one of its entries\n"
	"  cdtab    context descriptors    cd    one of them\n"
	"  cmdq     command queue          eventq, priq   event and page request queue\n"
	"  pt       page table: what it maps, and with which rights\n"
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
	"      --format FORMAT  pt: arm-s1, arm-s2, x86-64, or vtd-ss (VT-d second stage)\n"
	"      --granule SIZE   pt: 4k (default), 16k or 64k: the smallest pages\n"
	"      --bits N         pt: input address bits (default: 48; for Arm, 64 - T0SZ)\n"
	"      --output-bits N  pt: output address bits, 32 to 52 (default: 48; for x86-64 and vtd-ss 52)\n"
	"      --levels N       pt: levels (default: as many as the bits need)\n"
	"      --upper          pt: TTB1's table: the addresses at the end\n"
	"      --start ADDRESS  pt: only what is mapped from here\n"
	"      --last ADDRESS   pt: up to here\n"
	"  -a, --all            fields that are zero and entries that are not valid, too\n"
	"  -j, --json           as JSON\n"
	"  -h, --help           this text\n"
	"\n"
	"examples:\n"
	"  uiommu decode vmcore strtab 0x40100000 --log2size 16 --split 8\n"
	"  uiommu decode --base 0x40000000 ram.bin ste 0x4010a200 --cds --json\n"
	"  uiommu decode vmcore eventq 0x40130000 --log2size 7 --cons 0x85 --prod 0x87\n"
	"  uiommu decode vmcore pt 0x42003000 --format arm-s1 --start 0xfff00000 --last 0xffffffff\n"
	"\n"
	"Exit status: 0; 1 for a wrong option, a dump that cannot be read, or an address that is not in it.\n";

enum { FAILED = 1, OPT_LOG2SIZE = 256, OPT_SPLIT, OPT_CDS, OPT_S1FMT, OPT_S1CDMAX, OPT_PROD, OPT_CONS, OPT_IDR,
       OPT_FORMAT, OPT_GRANULE, OPT_BITS, OPT_OUTPUT_BITS, OPT_LEVELS, OPT_UPPER, OPT_START, OPT_LAST };

struct args {
	struct uiommu_decode what;
	int has_base, has_log2size, has_prod, has_cons, has_format, has_output_bits;
	uint64_t base;
};

/* Which of @n @names the option's argument is; -1, and a line on stderr. @known: "unknown format; known: ...". */
static int option_name(const char *option, const char *const *names, int n, const char *known)
{
	for (int i = 0; i < n; i++) {
		if (!strcmp(optarg, names[i]))
			return i;
	}
	ui_cli_fail(FAILED, "--%s: unknown format \"%s\"; known: %s", option, optarg, known);
	return -1;
}

static int option_s1fmt(struct args *args)
{
	static const char *const names[] = { "linear", "4k", "64k" };
	int i = option_name("s1fmt", names, 3, "linear, 4k, 64k");

	args->what.s1fmt = (unsigned)i;
	return i < 0 ? FAILED : 0;
}

static int option_format(struct args *args)
{
	static const char *const names[] = {
		[UIOMMU_PT_ARM_S1] = "arm-s1", [UIOMMU_PT_ARM_S2] = "arm-s2", [UIOMMU_PT_X86_64] = "x86-64", [UIOMMU_PT_VTD_SS] = "vtd-ss",
	};
	int i = option_name("format", names, 4, "arm-s1, arm-s2, x86-64, vtd-ss");

	args->has_format = 1;
	args->what.format = (enum uiommu_pt_format)i;
	return i < 0 ? FAILED : 0;
}

static int option_granule(struct args *args)
{
	static const char *const names[] = { "4k", "16k", "64k" };
	int i = option_name("granule", names, 3, "4k, 16k, 64k");

	args->what.granule_lg2 = (unsigned)(12 + 2 * i);
	return i < 0 ? FAILED : 0;
}

/* Of page tables. */
static int option_pt(struct args *args, int opt)
{
	switch (opt) {
	case OPT_FORMAT:
		return option_format(args);
	case OPT_GRANULE:
		return option_granule(args);
	case OPT_BITS:
		return ui_cli_unsigned("bits", 64, &args->what.input_bits, NULL);
	case OPT_OUTPUT_BITS:
		return ui_cli_unsigned("output-bits", 64, &args->what.output_bits, &args->has_output_bits);
	case OPT_LEVELS:
		return ui_cli_unsigned("levels", 5, &args->what.levels, NULL);
	case OPT_UPPER:
		args->what.upper = 1;
		return 0;
	case OPT_START:
		args->what.has_window = 1;
		return ui_cli_number("start", UINT64_MAX, &args->what.start);
	case OPT_LAST:
		args->what.has_window = 1;
		return ui_cli_number("last", UINT64_MAX, &args->what.last);
	default:
		fputs("try: uiommu decode --help\n", stderr);
		return FAILED;
	}
}

static int option(struct args *args, int opt)
{
	switch (opt) {
	case 'b':
		args->has_base = 1;
		return ui_cli_number("base", UINT64_MAX, &args->base);
	case OPT_LOG2SIZE:
		return ui_cli_unsigned("log2size", 32, &args->what.log2size, &args->has_log2size);
	case OPT_SPLIT:
		return ui_cli_unsigned("split", 10, &args->what.split, NULL);
	case OPT_S1FMT:
		return option_s1fmt(args);
	case OPT_S1CDMAX:
		return ui_cli_unsigned("s1cdmax", 20, &args->what.s1cdmax, NULL);
	case OPT_PROD:
		return ui_cli_unsigned("prod", UINT32_MAX, &args->what.prod, &args->has_prod);
	case OPT_CONS:
		return ui_cli_unsigned("cons", UINT32_MAX, &args->what.cons, &args->has_cons);
	case OPT_IDR:
		args->what.has_idr = 1;
		return ui_cli_idr(args->what.idr);
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
		return option_pt(args, opt);
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
		{ "format", required_argument, NULL, OPT_FORMAT },  { "granule", required_argument, NULL, OPT_GRANULE },
		{ "bits", required_argument, NULL, OPT_BITS },	    { "output-bits", required_argument, NULL, OPT_OUTPUT_BITS },
		{ "levels", required_argument, NULL, OPT_LEVELS },  { "upper", no_argument, NULL, OPT_UPPER },
		{ "start", required_argument, NULL, OPT_START },    { "last", required_argument, NULL, OPT_LAST },
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
		[UIOMMU_DECODE_PRIQ] = "priq",	   [UIOMMU_DECODE_PT] = "pt",
	};
	unsigned what = 0, n = sizeof(names) / sizeof(names[0]);
	int sized;

	while (what < n && strcmp(argv[1], names[what]) != 0)
		what++;
	if (what == n)
		return ui_cli_fail(FAILED, "decode: unknown \"%s\"; known: strtab, ste, cdtab, cd, cmdq, eventq, priq, pt", argv[1]);
	args->what.what = (enum uiommu_decode_what)what;
	if (ui_cli_parse(argv[2], argv[2] + strlen(argv[2]), UINT64_MAX, &args->what.addr))
		return ui_cli_fail(FAILED, "decode: \"%s\" is not an address", argv[2]);
	sized = what == UIOMMU_DECODE_STRTAB || (what >= UIOMMU_DECODE_CMDQ && what <= UIOMMU_DECODE_PRIQ);
	if (sized && !args->has_log2size)
		return ui_cli_fail(FAILED, "decode: %s needs --log2size", argv[1]);
	if (args->has_prod != args->has_cons)
		return ui_cli_fail(FAILED, "decode: --prod and --cons go together");
	args->what.has_range = args->has_prod;
	if (what == UIOMMU_DECODE_PT && !args->has_format)
		return ui_cli_fail(FAILED, "decode: pt needs --format");
	if (!args->has_output_bits)
		args->what.output_bits = args->what.format == UIOMMU_PT_X86_64 || args->what.format == UIOMMU_PT_VTD_SS ? 52 : 48;
	return 0;
}

int ui_cli_decode(int argc, char **argv)
{
	struct args args = { .what = { .granule_lg2 = 12, .input_bits = 48, .last = UINT64_MAX } };
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
