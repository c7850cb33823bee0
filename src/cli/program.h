/* SPDX-License-Identifier: MIT */
/* Can a program be run with a preloaded library? */
#ifndef UI_CLI_PROGRAM_H
#define UI_CLI_PROGRAM_H

#include <stddef.h>

/*
 * Finds @name as execvp(3) does and looks whether a library can be preloaded into it. 0 with its path in @path; else the exit
 * status for it, as shells have them (127 not found, 126 found but not possible), and one line for the user in @err.
 */
int ui_program_check(const char *name, char *path, size_t path_bytes, char *err, size_t err_bytes);

#endif
