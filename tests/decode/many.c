/* SPDX-License-Identifier: MIT */
/*
 * uiommu decode and uiommu walk without a process for each run: many. Reads lines of arguments with tabs between, the command first; for
 * each writes a line "STATUS BYTES BYTES" and what the command printed to stdout and to stderr. Ends with stdin.
 */
#include "cli/cli.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MAX_ARGS = 64 };

/* What was written to @fd, which is emptied. */
static char *taken(int fd, size_t *n_bytes)
{
	off_t end = lseek(fd, 0, SEEK_END);
	char *text = malloc((size_t)end + 1);

	*n_bytes = (size_t)end;
	if (!text || pread(fd, text, *n_bytes, 0) != end || ftruncate(fd, 0) || lseek(fd, 0, SEEK_SET))
		abort();
	return text;
}

static int run(char *line)
{
	char *argv[MAX_ARGS + 1];
	int argc = 0;

	for (char *arg = strsep(&line, "\t"); arg && argc < MAX_ARGS; arg = strsep(&line, "\t"))
		argv[argc++] = arg;
	argv[argc] = NULL;
	optind = 0;
	if (!strcmp(argv[0], "walk"))
		return ui_cli_walk(argc, argv);
	return ui_cli_decode(argc, argv);
}

int main(void)
{
	int outs[2] = { memfd_create("stdout", 0), memfd_create("stderr", 0) }, answer = dup(1), errors = dup(2);
	FILE *to = fdopen(answer, "w");
	size_t n_line = 0, n_bytes[2];
	char *line = NULL, *text[2];
	ssize_t n;

	if (outs[0] < 0 || outs[1] < 0 || !to || errors < 0 || dup2(outs[0], 1) < 0)
		return 1;
	while ((n = getline(&line, &n_line, stdin)) > 0) {
		int status;

		line[n - 1] = 0;
		/* A sanitizer's report, or a line of getopt's: only while a command runs. */
		if (dup2(outs[1], 2) < 0)
			return 1;
		status = run(line);
		fflush(stdout);
		if (dup2(errors, 2) < 0)
			return 1;
		for (unsigned i = 0; i < 2; i++)
			text[i] = taken(outs[i], &n_bytes[i]);
		fprintf(to, "%d %zu %zu\n", status, n_bytes[0], n_bytes[1]);
		for (unsigned i = 0; i < 2; i++) {
			fwrite(text[i], 1, n_bytes[i], to);
			free(text[i]);
		}
		fflush(to);
	}
	free(line);
	fclose(to);
	return 0;
}
