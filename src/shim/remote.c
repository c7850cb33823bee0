/* SPDX-License-Identifier: MIT */
/*
 * The client's side of a descriptor whose object lives in another process. Each call in progress has a connection to
 * the owner to itself, so one that takes long stops no other; idle connections are kept. While the owner works for us
 * it may ask for something (a descriptor to be taken, memory to be handed over), which this thread does: it waits for
 * the answer anyway.
 */
#include "shim/share.h"
#include "shim/objfile.h"
#include "base/log.h"
#include "base/sys.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 64 };

struct connection {
	u64 owner;         /* lock to change; 0: free */
	bool busy;         /* lock */
	struct ui_line line;
	pid_t pid;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* short; inside nothing, around nothing but ownfd.c's */
static pthread_cond_t idle = PTHREAD_COND_INITIALIZER;   /* lock: a connection is not busy any more */
static struct connection connections[MAX_CONNECTIONS];
static _Atomic pid_t allowed;                            /* whom we allowed to read our memory last */

/* Who may read our memory where the kernel asks for it (Yama): the owner that we talk to. */
static void allow(pid_t owner)
{
	if (atomic_exchange(&allowed, owner) != owner)
		syscall(SYS_prctl, PR_SET_PTRACER, (unsigned long)owner, 0, 0, 0);
}

static void hang_up(struct connection *conn)
{
	ui_line_close(&conn->line);
	pthread_mutex_lock(&lock);
	conn->owner = 0;
	conn->busy = false;
	pthread_cond_broadcast(&idle);
	pthread_mutex_unlock(&lock);
}

/* Connects @conn, which is ours and busy. 0 or -ENODEV. */
static int dial(struct connection *conn, u64 owner)
{
	struct ui_msg msg = { .type = UI_MSG_HELLO, .a = owner };
	int sock, pidfd, ret, passed;
	char name[40];
	u32 uid;

	ui_share_address(owner, name);
	sock = ui_sys_local_socket(name, false);
	if (sock < 0)
		return -ENODEV;
	ret = ui_sys_peer(sock, &conn->pid, &uid);
	if (ret)
		ui_sys_close(sock);
	else
		ret = ui_ownfd_keep(sock, &conn->line.sock);
	/* It will see our memory and hand us descriptors. */
	if (ret || (uid && uid != ui_sys_geteuid()))
		return -ENODEV;
	/* Whoever listens there may be gone, and what answers be a copy of its socket in a child. */
	pidfd = ui_sys_pidfd_open(conn->pid);
	if (pidfd == -ESRCH)
		return -ENODEV;
	if (pidfd >= 0)
		ui_ownfd_keep(pidfd, &conn->line.pidfd);
	allow(conn->pid);
	ret = ui_msg_send(&conn->line, &msg, -1);
	if (!ret)
		ret = ui_msg_recv(&conn->line, &msg, &passed);
	return ret;
}

/* Under the lock: an idle connection to @owner, else a free one, else NULL. */
static struct connection *pick(u64 owner)
{
	struct connection *found = NULL, *spare = NULL;

	for (struct connection *conn = connections; conn < connections + MAX_CONNECTIONS; conn++) {
		if (conn->busy)
			continue;
		if (conn->owner == owner)
			return conn;
		if (!conn->owner)
			found = conn;
		else
			spare = conn;
	}
	return found ? found : spare;
}

/* A connection of one's own, made if need be (*@fresh). NULL: the owner is gone. */
static struct connection *take(u64 owner, bool *fresh)
{
	struct connection *conn;

	pthread_mutex_lock(&lock);
	while (!(conn = pick(owner)))
		pthread_cond_wait(&idle, &lock);
	conn->busy = true;
	*fresh = conn->owner != owner;
	pthread_mutex_unlock(&lock);
	if (!*fresh) {
		allow(conn->pid);
		return conn;
	}
	ui_line_close(&conn->line);
	conn->line.sock = conn->line.pidfd = -1;
	conn->owner = owner;
	if (!dial(conn, owner))
		return conn;
	hang_up(conn);
	return NULL;
}

static void give_back(struct connection *conn)
{
	pthread_mutex_lock(&lock);
	conn->busy = false;
	pthread_cond_signal(&idle);
	pthread_mutex_unlock(&lock);
}

/* A descriptor whose header says what it is. */
static s64 receive_file(int fd)
{
	struct ui_file *file = fd < 0 ? NULL : ui_fd_find(fd);

	if (file)
		ui_file_put(file);
	else if (fd >= 0)
		ui_sys_close(fd);
	return file ? fd : -ENFILE;
}

/* Does what the owner asks for in the middle of a call. Not 0: the connection is over. */
static int oblige(struct connection *conn, struct ui_msg *ask, int passed)
{
	struct ui_msg answer = { .type = UI_MSG_DONE };

	switch (ask->type) {
	case UI_MSG_INSTALL:
		answer.ret = passed < 0 ? -EMFILE : ask->a == UI_GIVEN_FILE ? receive_file(passed) : ui_object_receive(passed, ask, conn->owner);
		break;
	case UI_MSG_DROP:
		ui_object_return((int)ask->a);
		break;
	case UI_MSG_MAP:
		answer.ret = ui_remote_map(&conn->line, ask);
		break;
	default:
		answer.ret = -ENODEV;
	}
	return ui_msg_send(&conn->line, &answer, -1);
}

/* Says it again, with the descriptor. */
static int show(struct connection *conn, const struct ui_file *file, const struct ui_msg *request)
{
	int fd = ui_fd_number(file);

	return fd < 0 ? -ENODEV : ui_msg_send(&conn->line, request, fd);
}

/* Runs the conversation to its end. 0 with @msg the reply and *@got a descriptor that came with it, or -1;
 * -ENODEV, *@heard: the owner has begun to work. */
static int converse(struct connection *conn, struct ui_file *file, struct ui_msg *msg, int *got, bool *heard)
{
	struct ui_msg request = *msg;
	int passed, ret = ui_msg_send(&conn->line, &request, -1);

	while (!ret) {
		ret = ui_msg_recv(&conn->line, msg, &passed);
		if (ret)
			break;
		*heard = true;
		if (msg->type == UI_MSG_REPLY) {
			*got = passed;
			return 0;
		}
		if (msg->type == UI_MSG_PROVE)
			ret = show(conn, file, &request);
		else
			ret = oblige(conn, msg, passed);
		if (passed >= 0 && msg->type != UI_MSG_INSTALL)
			ui_sys_close(passed);
	}
	return ret;
}

/* Takes the byte out of a queue's socket that said it is readable. */
static void take_byte(const struct ui_file *file)
{
	int fd = ui_sys_fcntl(ui_fd_number(file), F_DUPFD_CLOEXEC, 0);

	/* Another thread may have put something of the program's there. */
	if (fd >= 0 && ui_file_is_behind(file, fd))
		ui_sys_recv_nowait(fd, &(u8){ 0 }, 1);
	if (fd >= 0)
		ui_sys_close(fd);
}

static s64 call_for_fd(struct ui_file *file, struct ui_msg *msg, int *got)
{
	struct ui_msg request = *msg;
	struct connection *conn;
	bool fresh = false, heard = false;
	u64 owner = ui_file_owner(file);
	int ret = -ENODEV;

	*got = -1;
	request.ino = file->ino;
	/* A connection kept from before may be one that the owner has closed since: then another is tried. */
	while (ret && !fresh && !heard) {
		conn = owner ? take(owner, &fresh) : NULL;
		if (!conn)
			break;
		*msg = request;
		ret = converse(conn, file, msg, got, &heard);
		if (ret)
			hang_up(conn);
		else
			give_back(conn);
	}
	if (!ret && msg->a)
		take_byte(file);
	if (!ret)
		return msg->ret;
	if (!atomic_exchange(&file->told, true))
		ui_log(UI_LOG_ERROR, "%s: the process that used this descriptor first cannot be reached: it has ended, or did not see it go",
		       ui_file_name(file, (char[16]){ 0 }));
	return ret;
}

static s64 call(struct ui_file *file, struct ui_msg *msg)
{
	int got;
	s64 ret = call_for_fd(file, msg, &got);

	if (got >= 0)
		ui_sys_close(got);
	return ret;
}

long ui_remote_ioctl(struct ui_file *file, u32 cmd, u64 arg)
{
	struct ui_msg msg = { .type = UI_MSG_IOCTL, .a = cmd, .b = arg };

	return (long)call(file, &msg);
}

s64 ui_remote_transfer(struct ui_file *file, u64 uaddr, u64 n_bytes, u64 offset, bool write)
{
	struct ui_msg msg = { .type = write ? UI_MSG_WRITE : UI_MSG_READ, .a = uaddr, .b = n_bytes, .c = offset };

	return call(file, &msg);
}

long ui_remote_mmap(struct ui_file *file, u64 n_bytes, int prot, int flags, u64 offset)
{
	struct ui_msg msg = { .type = UI_MSG_MMAP, .a = n_bytes, .b = (u64)prot, .c = (u64)flags, .d = offset };

	return (long)call(file, &msg);
}

int ui_remote_mmap_region(struct ui_file *file, u64 n_bytes, int prot, int flags, u64 offset, int *fd, void **token)
{
	struct ui_msg msg = { .type = UI_MSG_MMAP, .a = n_bytes, .b = (u64)prot, .c = (u64)flags, .d = offset };
	s64 ret = call_for_fd(file, &msg, fd);

	*token = (void *)(uintptr_t)msg.b;
	if (ret || *fd >= 0)
		return (int)ret;
	ui_remote_munmap(file, *token);
	return -EMFILE;
}

void ui_remote_munmap(struct ui_file *file, void *token)
{
	struct ui_msg msg = { .type = UI_MSG_MUNMAP, .a = (u64)(uintptr_t)token };

	call(file, &msg);
}

/* Descriptors are closed by ownfd.c. */
void ui_remote_forked(void)
{
	lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	idle = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
	allowed = 0;
	for (size_t i = 0; i < MAX_CONNECTIONS; i++) {
		connections[i].owner = 0;
		connections[i].busy = false;
	}
}
