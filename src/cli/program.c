/* SPDX-License-Identifier: MIT */
#include "program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { NOT_FOUND = 127, NOT_POSSIBLE = 126, SCRIPT_DEPTH = 4, HEAD_BYTES = 256 };

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#else
#error "which e_machine do programs have here?"
#endif

struct check {
	char *err;
	size_t err_bytes;
};

static __attribute__((format(printf, 3, 4))) int fail(const struct check *check, int status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(check->err, check->err_bytes, fmt, ap);
	va_end(ap);
	return status;
}

static int usable(const struct check *check, const char *path, struct stat *st)
{
	if (stat(path, st))
		return fail(check, errno == ENOENT || errno == ENOTDIR ? NOT_FOUND : NOT_POSSIBLE, "%s: %s", path, strerror(errno));
	if (S_ISDIR(st->st_mode))
		return fail(check, NOT_POSSIBLE, "%s: is a directory", path);
	if (!S_ISREG(st->st_mode) || eaccess(path, X_OK))
		return fail(check, NOT_POSSIBLE, "%s: permission denied", path);
	return 0;
}

static int search(const struct check *check, const char *name, char *path, size_t path_bytes)
{
	const char *dir = getenv("PATH");
	int status = NOT_FOUND;
	struct stat st;

	if (!*name)
		return fail(check, NOT_FOUND, "the program's name is empty");
	if (strchr(name, '/')) {
		if ((size_t)snprintf(path, path_bytes, "%s", name) >= path_bytes)
			return fail(check, NOT_POSSIBLE, "the program's path is too long");
		return usable(check, path, &st);
	}
	for (dir = dir ? dir : "/bin:/usr/bin"; dir; dir = *dir ? dir + 1 : NULL) {
		size_t len = strcspn(dir, ":");
		int n = snprintf(path, path_bytes, "%.*s%s%s", (int)len, dir, len ? "/" : "./", name);

		dir += len;
		if (n < 0 || (size_t)n >= path_bytes)
			continue;
		if (!usable(check, path, &st))
			return 0;
		if (!stat(path, &st))
			status = NOT_POSSIBLE;
	}
	return status == NOT_FOUND ? fail(check, status, "%s: command not found", name) : status;
}

/* The kernel makes the loader ignore LD_PRELOAD for programs that gain rights. */
static int gains_rights(const struct check *check, const char *path)
{
	const char *what = NULL;
	struct stat st;

	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 || stat(path, &st))
		return 0;
	if (st.st_mode & S_ISUID && st.st_uid != getuid())
		what = "it is setuid";
	else if ((st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && st.st_gid != getgid())
		what = "it is setgid";
	else if (getuid() && getxattr(path, "security.capability", NULL, 0) > 0)
		what = "it has file capabilities";
	if (!what)
		return 0;
	return fail(check, NOT_POSSIBLE, "%s: cannot be served: %s, and the system preloads nothing into such programs", path, what);
}

static bool read_at(int fd, void *buf, size_t n_bytes, uint64_t offset)
{
	return offset <= INT64_MAX && pread(fd, buf, n_bytes, (off_t)offset) == (ssize_t)n_bytes;
}

static int check_loader(const struct check *check, const char *path, int fd, const Elf64_Phdr *phdr)
{
	char loader[HEAD_BYTES] = "";
	size_t n_bytes = phdr->p_filesz < sizeof(loader) - 1 ? phdr->p_filesz : sizeof(loader) - 1;

	if (!read_at(fd, loader, n_bytes, phdr->p_offset))
		return fail(check, NOT_POSSIBLE, "%s: is a damaged program", path);
	if (access(loader, X_OK))
		return fail(check, NOT_POSSIBLE, "%s: its loader %s is missing", path, loader);
	if (strstr(loader, "/ld-musl"))
		return fail(check, NOT_POSSIBLE, "%s: cannot be served: it uses another C library (%s) than uiommu", path, loader);
	return 0;
}

/* A loader called by name ("ld-linux-x86-64.so.2 PROGRAM") names no other loader, but unlike static programs has a name. */
static bool is_loader(int fd, const Elf64_Phdr *dynamic)
{
	for (uint64_t at = 0; at + sizeof(Elf64_Dyn) <= dynamic->p_filesz; at += sizeof(Elf64_Dyn)) {
		Elf64_Dyn entry;

		if (!read_at(fd, &entry, sizeof(entry), dynamic->p_offset + at) || entry.d_tag == DT_NULL)
			break;
		if (entry.d_tag == DT_SONAME)
			return true;
	}
	return false;
}

static int check_elf(const struct check *check, const char *path, int fd, const Elf64_Ehdr *head)
{
	bool loader = false;

	if (head->e_ident[EI_CLASS] != ELFCLASS64 || head->e_ident[EI_DATA] != ELFDATA2LSB || head->e_machine != MACHINE)
		return fail(check, NOT_POSSIBLE, "%s: cannot be served: it is built for another processor (or for 32 bits) than uiommu", path);
	for (unsigned i = 0; i < head->e_phnum; i++) {
		Elf64_Phdr phdr;

		if (!read_at(fd, &phdr, sizeof(phdr), head->e_phoff + (uint64_t)i * head->e_phentsize))
			return fail(check, NOT_POSSIBLE, "%s: is a damaged program", path);
		if (phdr.p_type == PT_INTERP)
			return check_loader(check, path, fd, &phdr);
		if (phdr.p_type == PT_DYNAMIC)
			loader = head->e_type == ET_DYN && is_loader(fd, &phdr);
	}
	if (loader)
		return 0;
	return fail(check, NOT_POSSIBLE, "%s: cannot be served: it is statically linked, and nothing can be preloaded into such programs", path);
}

static int check_file(const struct check *check, const char *path, unsigned depth);

/* "#! INTERPRETER [ARG]" */
static int check_script(const struct check *check, const char *path, char *line, unsigned depth)
{
	char why[512];
	struct check inner = { why, sizeof(why) };
	struct stat st;
	int status;

	line[strcspn(line, "\n")] = 0;
	line += 2 + strspn(line + 2, " \t");
	line[strcspn(line, " \t")] = 0;
	if (!*line)
		return fail(check, NOT_POSSIBLE, "%s: names no interpreter after \"#!\"", path);
	if (depth == SCRIPT_DEPTH)
		return fail(check, NOT_POSSIBLE, "%s: too many interpreters of interpreters", path);
	status = usable(&inner, line, &st);
	if (status)
		status = NOT_POSSIBLE;
	else
		status = check_file(&inner, line, depth + 1);
	return status ? fail(check, status, "%s: its interpreter: %s", path, why) : 0;
}

static int check_file(const struct check *check, const char *path, unsigned depth)
{
	union {
		Elf64_Ehdr elf;
		char text[HEAD_BYTES];
	} head;
	int fd = open(path, O_RDONLY | O_CLOEXEC), status;
	ssize_t n;

	if (fd < 0) {
		/* Executable but not readable: it cannot be looked at, and the system preloads into it all the same. */
		return errno == EACCES ? gains_rights(check, path) : fail(check, NOT_POSSIBLE, "%s: %s", path, strerror(errno));
	}
	memset(&head, 0, sizeof(head));
	n = pread(fd, &head, sizeof(head) - 1, 0);
	if (n >= (ssize_t)sizeof(head.elf) && !memcmp(head.elf.e_ident, ELFMAG, SELFMAG)) {
		status = check_elf(check, path, fd, &head.elf);
		if (!status)
			status = gains_rights(check, path);
	} else if (n >= 2 && !memcmp(head.text, "#!", 2)) {
		status = check_script(check, path, head.text, depth);
	} else if (!depth && n >= 0 && !memchr(head.text, 0, (size_t)n)) {
		/* Text without "#!": execvp() gives it to the shell. */
		status = check_file(check, "/bin/sh", depth + 1);
	} else {
		status = fail(check, NOT_POSSIBLE, "%s: is not a program", path);
	}
	close(fd);
	return status;
}

int ui_program_check(const char *name, char *path, size_t path_bytes, char *err, size_t err_bytes)
{
	struct check check = { err, err_bytes };
	int status = search(&check, name, path, path_bytes);

	return status ? status : check_file(&check, path, 0);
}
