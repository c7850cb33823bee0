/* SPDX-License-Identifier: MIT */
#include "parent.h"

#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOT_POSSIBLE = 126, NOT_FOUND = 127, KILLED = 128 };

/* What the program is to find as it was. */
struct before {
	sigset_t mask;
	struct sigaction chld, usr1, pipe;
};

/* In these a sender means the program. */
static const int passed_on[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR2 };

/* @set: those that are waited for. What the program ignores from the beginning (nohup(1) and the like) it ignores from us, too. */
static void prepare(struct before *before, sigset_t *set)
{
	const struct sigaction standard = { .sa_handler = SIG_DFL }, ignored = { .sa_handler = SIG_IGN };

	sigaction(SIGCHLD, &standard, &before->chld);
	sigaction(SIGUSR1, &standard, &before->usr1);
	/* A table that nobody reads must not cost the exit status. */
	sigaction(SIGPIPE, &ignored, &before->pipe);
	sigemptyset(set);
	sigaddset(set, SIGCHLD);
	sigaddset(set, SIGUSR1);
	for (size_t i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++)
		sigaddset(set, passed_on[i]);
	sigprocmask(SIG_BLOCK, set, &before->mask);
}

/* In the child. @to hears of a failure. */
static _Noreturn void become(char **argv, const struct before *before, pid_t parent, int to)
{
	int why;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(KILLED + SIGKILL);
	sigaction(SIGCHLD, &before->chld, NULL);
	sigaction(SIGUSR1, &before->usr1, NULL);
	sigaction(SIGPIPE, &before->pipe, NULL);
	sigprocmask(SIG_SETMASK, &before->mask, NULL);
	execvp(argv[0], argv);
	why = errno;
	while (write(to, &why, sizeof(why)) < 0 && errno == EINTR)
		;
	_exit(NOT_POSSIBLE);
}

/* The child, or -1 with errno. */
static pid_t start(char **argv, const struct before *before)
{
	pid_t self = getpid(), child;
	int fds[2], why;
	ssize_t n;

	if (pipe2(fds, O_CLOEXEC))
		return -1;
	child = fork();
	if (!child)
		become(argv, before, self, fds[1]);
	why = errno;
	close(fds[1]);
	do
		n = child < 0 ? 0 : read(fds[0], &why, sizeof(why));
	while (n < 0 && errno == EINTR);
	close(fds[0]);
	if (n > 0) {
		waitpid(child, NULL, 0);
		child = -1;
	}
	errno = why;
	return child;
}

/* The terminal sends to its whole foreground group, and so do stops from it. */
static bool same_group(pid_t child)
{
	return getpgid(child) == getpgrp();
}

/* What reached us but not the child. */
static void pass_on(const siginfo_t *info, pid_t child)
{
	if (info->si_code == SI_KERNEL ? !same_group(child) : info->si_pid != child)
		kill(child, info->si_signo);
}

/* The shell that started us sees that its command was stopped, and what wakes us goes on to the child. */
static void stopped(pid_t child, int sig)
{
	if ((sig != SIGTSTP && sig != SIGTTIN && sig != SIGTTOU) || !same_group(child))
		return;
	kill(getpid(), SIGTSTP);
	kill(child, SIGCONT);
}

/* True: the child has ended. */
static bool look(pid_t child, int *status)
{
	pid_t pid;

	while ((pid = waitpid(child, status, WNOHANG | WUNTRACED)) == child) {
		if (!WIFSTOPPED(*status))
			return true;
		stopped(child, WSTOPSIG(*status));
	}
	return false;
}

/* What a shell would say of it. */
static int ended(const char *name, int status)
{
	int sig;

	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	sig = WTERMSIG(status);
	if (sig != SIGINT && sig != SIGPIPE)
		ui_cli_fail(0, "%s: %s%s", name, strsignal(sig), WCOREDUMP(status) ? " (core dumped)" : "");
	return KILLED + sig;
}

int ui_cli_parent(char **argv, void (*usr1)(void *arg), void *arg, int *started)
{
	struct before before;
	siginfo_t info;
	sigset_t set;
	int status;
	pid_t child;

	prepare(&before, &set);
	child = start(argv, &before);
	*started = child > 0;
	if (child < 0) {
		status = errno == ENOENT ? NOT_FOUND : NOT_POSSIBLE;
		return ui_cli_fail(status, "%s: %s", argv[0], strerror(errno));
	}
	for (;;) {
		if (sigwaitinfo(&set, &info) < 0)
			continue;
		if (info.si_signo == SIGCHLD) {
			if (look(child, &status))
				return ended(argv[0], status);
		} else if (info.si_signo == SIGUSR1) {
			usr1(arg);
		} else {
			pass_on(&info, child);
		}
	}
}
