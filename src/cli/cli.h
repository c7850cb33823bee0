/* SPDX-License-Identifier: MIT */
/* The uiommu command. Every subcommand is a file with one entry point; only public headers of the library are used. */
#ifndef UI_CLI_H
#define UI_CLI_H

#include <stdint.h>

/* @argv[0] is the subcommand's name. Returns the exit status. */
int ui_cli_run(int argc, char **argv);
int ui_cli_serve(int argc, char **argv);
int ui_cli_decode(int argc, char **argv);

int ui_cli_walk(int argc, char **argv);

/* A number up to @max from @text to @end, in base 10, or in base 16 with 0x. 0 or -1. */
int ui_cli_parse(const char *text, const char *end, uint64_t max, uint64_t *val);
/* Of getopt's optarg, as the argument of --@option: 0; 1, and a line on stderr. @has (may be NULL) becomes 1. */
int ui_cli_number(const char *option, uint64_t max, uint64_t *val);
int ui_cli_unsigned(const char *option, uint64_t max, unsigned *to, int *has);
/* Likewise for --idr: IDR0 to IDR5. */
int ui_cli_idr(uint32_t idr[6]);

/* "uiommu: " and one line to stderr; returns @status. */
int ui_cli_fail(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
