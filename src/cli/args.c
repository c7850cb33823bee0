/* SPDX-License-Identifier: MIT */
/* What the commands have in common: options, and failing. */
#include "cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

int ui_cli_parse(const char *text, const char *end, uint64_t max, uint64_t *val)
{
	char *stop;

	errno = 0;
	*val = strtoull(text, &stop, 0);
	/* strtoull takes signs and spaces, and 0-led numbers as octal. */
	if (text[0] < '0' || text[0] > '9' || (text[0] == '0' && text[1] >= '0' && text[1] <= '9'))
		return -1;
	return errno || stop != end || *val > max ? -1 : 0;
}

int ui_cli_number(const char *option, uint64_t max, uint64_t *val)
{
	if (!ui_cli_parse(optarg, optarg + strlen(optarg), max, val))
		return 0;
	return ui_cli_fail(1, "--%s: \"%s\" is not a number from 0 to %llu", option, optarg, (unsigned long long)max);
}

int ui_cli_unsigned(const char *option, uint64_t max, unsigned *to, int *has)
{
	uint64_t val = 0;
	int status = ui_cli_number(option, max, &val);

	*to = (unsigned)val;
	if (has)
		*has = 1;
	return status;
}

int ui_cli_idr(uint32_t idr[6])
{
	const char *at = optarg;

	for (unsigned i = 0; i < 6; i++) {
		const char *end = at + strcspn(at, ",");
		uint64_t val;

		if (ui_cli_parse(at, end, UINT32_MAX, &val) || !*end != (i == 5))
			return ui_cli_fail(1, "--idr: \"%s\" is not six numbers of 32 bits with commas between", optarg);
		idr[i] = (uint32_t)val;
		at = end + 1;
	}
	return 0;
}
