/* SPDX-License-Identifier: MIT */
/* The uiommu command. Every subcommand is a file with one entry point; only public headers of the library are used. */
#ifndef UI_CLI_H
#define UI_CLI_H

/* @argv[0] is the subcommand's name. Returns the exit status. */
int ui_cli_run(int argc, char **argv);
int ui_cli_decode(int argc, char **argv);

/* "uiommu: " and one line to stderr; returns @status. */
int ui_cli_fail(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
