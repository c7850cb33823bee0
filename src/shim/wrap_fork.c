/* SPDX-License-Identifier: MIT */
/*
 * The ways by which a descriptor gets into another process. Before it can, its owner begins to serve it (share.c). A
 * program without files of ours pays a load.
 */
#include "shim/mem.h"
#include "shim/real.h"
#include "shim/share.h"
#include "shim/shim.h"
#include "base/bits.h"
#include "base/safe.h"

#include <pty.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

static bool has_files(void)
{
	return ui_unlikely(ui_fd_highest() >= 0) && ui_shim_served() && !ui_self_borrowed() && !ui_shim_inside();
}

static void share(void)
{
	struct ui_shim_entry entry;

	if (ui_likely(!has_files()))
		return;
	ui_shim_enter(&entry);
	ui_share_all();
	ui_shim_leave(&entry);
}

struct forkpty {
	int *fd;
	char *name;
	const struct termios *term;
	const struct winsize *size;
};

static pid_t by_fork(const struct forkpty *unused)
{
	return REAL(fork)();
}

static pid_t by_Fork(const struct forkpty *unused)
{
	return REAL(_Fork)();
}

static pid_t by_forkpty(const struct forkpty *with)
{
	return REAL(forkpty)(with->fd, with->name, with->term, with->size);
}

static pid_t forked(pid_t (*real)(const struct forkpty *with), const struct forkpty *with)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS };
	struct ui_shim_entry entry;
	sigset_t mask, every;
	pid_t pid;

	if (ui_likely(!has_files()))
		return real(with);
	share();
	/* A handler that forks in between would wait for itself. No entry: atfork handlers are the program's code, whose
	 * own faults it may want to handle. */
	sigfillset(&every);
	for (unsigned i = 0; i < ui_array_size(faults); i++)
		sigdelset(&every, faults[i]);
	pthread_sigmask(SIG_SETMASK, &every, &mask);
	ui_remote_fork_begin();
	pid = real(with);
	ui_remote_fork_end(pid);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	/* The child lets go of what is its parent's; another thread may have used a file just before. */
	ui_shim_enter(&entry);
	if (pid > 0)
		ui_share_all();
	ui_shim_leave(&entry);
	return pid;
}

UI_EXPORT pid_t fork(void)
{
	return forked(by_fork, NULL);
}

UI_EXPORT pid_t _Fork(void);

UI_EXPORT pid_t _Fork(void)
{
	return forked(by_Fork, NULL);
}

UI_EXPORT int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attr,
			  char *const argv[], char *const envp[])
{
	share();
	return REAL(posix_spawn)(pid, path, actions, attr, argv, envp);
}

UI_EXPORT int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attr,
			   char *const argv[], char *const envp[])
{
	share();
	return REAL(posix_spawnp)(pid, file, actions, attr, argv, envp);
}

UI_EXPORT int forkpty(int *fd, char *name, const struct termios *term, const struct winsize *size)
{
	return forked(by_forkpty, &(struct forkpty){ fd, name, term, size });
}

UI_EXPORT int system(const char *command)
{
	share();
	return REAL(system)(command);
}

UI_EXPORT FILE *popen(const char *command, const char *type)
{
	share();
	return REAL(popen)(command, type);
}

#if defined(__x86_64__) || defined(__aarch64__)
/* vfork() returns twice on one stack, so what stands before it must be gone by then: called, then jumped on. */
extern __attribute__((visibility("hidden"))) void ui_shim_before_vfork(void);
extern __attribute__((visibility("hidden"))) pid_t (*ui_shim_real_vfork)(void);

pid_t (*ui_shim_real_vfork)(void);

void ui_shim_before_vfork(void)
{
	int saved = errno;

	ui_shim_real_vfork = REAL(vfork);
	share();
	errno = saved;
}
#endif

#if defined(__x86_64__)
__asm__(".text\n"
	".globl vfork\n"
	".type vfork, @function\n"
	"vfork:\n"
	"	.cfi_startproc\n"
	"	endbr64\n"
	"	subq $8, %rsp\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	call ui_shim_before_vfork\n"
	"	addq $8, %rsp\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	jmp *ui_shim_real_vfork(%rip)\n"
	"	.cfi_endproc\n"
	".size vfork, . - vfork\n");
#elif defined(__aarch64__)
__asm__(".text\n"
	".globl vfork\n"
	".type vfork, %function\n"
	"vfork:\n"
	"	.cfi_startproc\n"
	"	stp x29, x30, [sp, #-16]!\n"
	"	.cfi_adjust_cfa_offset 16\n"
	"	bl ui_shim_before_vfork\n"
	"	ldp x29, x30, [sp], #16\n"
	"	.cfi_adjust_cfa_offset -16\n"
	"	adrp x16, ui_shim_real_vfork\n"
	"	ldr x16, [x16, #:lo12:ui_shim_real_vfork]\n"
	"	br x16\n"
	"	.cfi_endproc\n"
	".size vfork, . - vfork\n");
#endif

/* --- sockets --- */

/* Shares the files of ours among the descriptors that @msg carries. */
static void share_carried(const struct msghdr *msg)
{
	struct ui_shim_entry entry;
	struct cmsghdr head;
	struct msghdr own;
	u64 at, end;
	int fd;

	ui_shim_enter(&entry);
	/* What the kernel will refuse is not for us to stumble over. */
	if (ui_safe_copy(&own, msg, sizeof(own)) || !own.msg_control)
		own.msg_controllen = 0;
	end = (u64)own.msg_control + own.msg_controllen;
	for (at = (u64)own.msg_control; end - at >= sizeof(head) && !ui_safe_copy(&head, (void *)at, sizeof(head));
	     at += CMSG_ALIGN(head.cmsg_len)) {
		if (head.cmsg_len < sizeof(head) || head.cmsg_len > end - at)
			break;
		for (u64 slot = at + CMSG_LEN(0); head.cmsg_level == SOL_SOCKET && head.cmsg_type == SCM_RIGHTS &&
		     slot + sizeof(fd) <= at + head.cmsg_len && !ui_safe_copy(&fd, (void *)slot, sizeof(fd)); slot += sizeof(fd)) {
			struct ui_file *file = ui_fd_get(fd);

			if (!file)
				continue;
			ui_share_file(file);
			ui_file_put(file);
		}
		if (CMSG_ALIGN(head.cmsg_len) >= end - at)
			break;
	}
	ui_shim_leave(&entry);
}

UI_EXPORT ssize_t sendmsg(int socket, const struct msghdr *msg, int flags)
{
	if (ui_unlikely(has_files()))
		share_carried(msg);
	return REAL(sendmsg)(socket, msg, flags);
}

UI_EXPORT int sendmmsg(int socket, struct mmsghdr *msgs, unsigned n, int flags)
{
	/* The kernel looks at no more than UIO_MAXIOV of them. */
	for (unsigned i = 0; ui_unlikely(has_files()) && i < ui_min(n, (unsigned)UIO_MAXIOV); i++)
		share_carried(&msgs[i].msg_hdr);
	return REAL(sendmmsg)(socket, msgs, n, flags);
}
