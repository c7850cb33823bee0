/* SPDX-License-Identifier: MIT */
/* A command that stays as its program's parent, and is in nobody's way. */
#ifndef UI_CLI_PARENT_H
#define UI_CLI_PARENT_H

/*
 * Runs @argv[0] as execvp(3) does, in a process of its own, and waits for its end. @usr1(@arg) is called upon SIGUSR1 to this process.
 * Other signals that are sent to this process, and not to the program as well, go to the program; when it is stopped from
 * the terminal, so is this process; when this process is killed, so is the program. Returns the exit status that a shell would
 * have; *@started says whether there was a program.
 */
int ui_cli_parent(char **argv, void (*usr1)(void *arg), void *arg, int *started);

#endif
