/* SPDX-License-Identifier: MIT */
/*
 * The owner's side of descriptors that several processes use: it listens, and serves each connection by a thread,
 * whose caller (base/user.h) is the client.
 *
 * Life of a shared file: the sharing holds a reference. The program's open file description, which is in all
 * processes that have the descriptor, holds an OFD lock; our own description of the same memfd gets that lock when
 * the last descriptor anywhere is gone.
 */
#include "shim/share.h"
#include "shim/bind.h"
#include "shim/objfile.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "base/log.h"
#include "base/sys.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/mman.h>

#define LOCK_AT ((off_t)1 << 62)

enum { N_PROVEN = 32, SLEEP_NS = 10000000 };

struct ui_client {
	struct ui_caller caller;
	_Atomic u32 refs; /* the thread's, and one for each range of memory (share_mem.c) */
	struct ui_line line;
	u64 proven[N_PROVEN]; /* the thread's: files that the client has shown its descriptor of */
	unsigned n_proven;
	struct ui_client *next; /* share.lock */
};

static struct {
	pthread_mutex_t lock;  /* inside the shim lock; outside ownfd.c's */
	_Atomic int listener;  /* ownfd.c; -1: nobody listens */
	u64 token;             /* lock: of the last round of listening, each has another; in a forked child the parent's at first */
	unsigned n_files;      /* lock */
	struct ui_client *clients; /* lock: with a thread */
} share = { .lock = PTHREAD_MUTEX_INITIALIZER, .listener = -1 };

static u64 parent; /* set by ui_share_forked() */

/* --- clients --- */

struct ui_client *ui_client_current(void)
{
	const struct ui_caller *caller = ui_caller();

	return caller ? (struct ui_client *)(uintptr_t)ui_container_of(caller, struct ui_client, caller) : NULL;
}

struct ui_client *ui_client_hold(struct ui_client *client)
{
	atomic_fetch_add_explicit(&client->refs, 1, memory_order_relaxed);
	return client;
}

void ui_client_put(struct ui_client *client)
{
	/* Release and acquire: what others did with it comes before its end. */
	if (atomic_fetch_sub_explicit(&client->refs, 1, memory_order_acq_rel) != 1)
		return;
	ui_line_close(&client->line);
	ui_free(client);
}

pid_t ui_client_pid(const struct ui_client *client)
{
	return client->caller.pid;
}

bool ui_client_alive(struct ui_client *client)
{
	return ui_line_alive(&client->line);
}

int ui_client_send(struct ui_client *client, const struct ui_msg *msg, int pass)
{
	return ui_msg_send(&client->line, msg, pass);
}

int ui_client_recv(struct ui_client *client, struct ui_msg *msg, int *passed)
{
	return ui_msg_recv(&client->line, msg, passed);
}

int ui_client_ask(struct ui_client *client, struct ui_msg *msg, int pass)
{
	int passed, ret = ui_client_send(client, msg, pass);

	if (!ret)
		ret = ui_client_recv(client, msg, &passed);
	if (!ret && passed >= 0)
		ui_sys_close(passed);
	return ret;
}

static int fd_get(const struct ui_caller *caller, int fd)
{
	const struct ui_client *client = ui_container_of(caller, struct ui_client, caller);
	/* Not under ownfd.c's lock: the kernel may wait for a client that is just becoming another program. */
	int got = fd < 0 || client->line.pidfd < 0 ? -EBADF : ui_sys_pidfd_getfd(client->line.pidfd, fd);

	/* The rest is about permissions, which no program expects to hear of. */
	return got < 0 && got != -EMFILE ? -EBADF : got;
}

static bool alive(const struct ui_caller *caller)
{
	return ui_client_alive((struct ui_client *)(uintptr_t)ui_container_of(caller, struct ui_client, caller));
}

/* --- calls --- */

static bool is_proven(const struct ui_client *client, u64 ino)
{
	for (unsigned i = 0; i < ui_min(client->n_proven, (unsigned)N_PROVEN); i++) {
		if (client->proven[i] == ino)
			return true;
	}
	return false;
}

/* The file that a call is for, with a reference. NULL: not ours, or the client has to show its descriptor
 * (*@prove). */
static struct ui_file *file_of(struct ui_client *client, const struct ui_msg *msg, int passed, bool *prove)
{
	struct ui_file *file = NULL;

	if (passed >= 0)
		file = ui_file_identify(passed);
	else if (is_proven(client, msg->ino))
		file = ui_file_by_ino(msg->ino);
	*prove = !file && passed < 0;
	if (file && passed >= 0)
		client->proven[client->n_proven++ % N_PROVEN] = file->ino;
	return file;
}

/* *@reply gets more than the result, and with it goes descriptor *@pass, for some. */
static s64 call(struct ui_file *file, const struct ui_msg *msg, struct ui_msg *reply, int *pass)
{
	bool write = msg->type == UI_MSG_WRITE;
	s64 ret;

	/* It may be on its way to become ours. */
	if (ui_file_ready(file) || ui_file_is_foreign(file))
		return -ENODEV;
	switch (msg->type) {
	case UI_MSG_IOCTL:
		ret = ui_bind_ioctl(file, file->own, (u32)msg->a, msg->b);
		break;
	case UI_MSG_READ:
	case UI_MSG_WRITE:
		if (file->kind == UI_FILE_OBJECT)
			ret = ui_object_transfer(file, msg->a, msg->b, write);
		else
			ret = write ? ui_bind_pwrite(file, (void *)(uintptr_t)msg->a, msg->b, msg->c) :
				      ui_bind_pread(file, (void *)(uintptr_t)msg->a, msg->b, msg->c);
		break;
	case UI_MSG_MMAP:
		if (file->kind == UI_FILE_IOMMU)
			ret = ui_share_region_new(file, msg, pass, &reply->b);
		else
			ret = ui_bind_mmap(file, msg->a, (int)msg->b, (int)msg->c, msg->d);
		break;
	default:
		ret = -ENOTTY;
	}
	ui_objects_settle();
	return ret;
}

/* Answers one message, and closes what came with it. Not 0: the conversation is over. */
static int serve(struct ui_client *client, const struct ui_msg *msg, int passed)
{
	struct ui_msg reply = { .type = UI_MSG_REPLY };
	struct ui_file *file = NULL;
	bool prove = false, munmap = msg->type == UI_MSG_MUNMAP;
	int pass = -1;

	if (!munmap)
		file = file_of(client, msg, passed, &prove);
	/* Before the answer: who hears it may count on what is free. */
	if (passed >= 0)
		ui_sys_close(passed);
	/* The number says enough: the client may have closed its descriptors before. */
	if (munmap) {
		reply.ret = ui_share_region_drop(client, msg->a);
	} else if (file) {
		const struct ui_caller *before = ui_caller_set(&client->caller);

		reply.ret = call(file, msg, &reply, &pass);
		reply.a = ui_object_take_byte();
		ui_caller_set(before);
		ui_file_put(file);
	} else {
		/* It did show it, but our table of descriptors is full: to ask again would not end. */
		reply.ret = passed == -EMFILE ? -EMFILE : -ENODEV;
		if (prove && passed != -EMFILE)
			reply.type = UI_MSG_PROVE;
	}
	return ui_client_send(client, &reply, pass);
}

/* The first message: does the client mean us? */
static int greet(struct ui_client *client)
{
	struct ui_msg msg, reply = { .type = UI_MSG_REPLY };
	int passed, ret = ui_client_recv(client, &msg, &passed);

	if (ret)
		return ret;
	if (passed >= 0)
		ui_sys_close(passed);
	if (msg.type != UI_MSG_HELLO || !ui_self_is(msg.a))
		return -ENODEV;
	return ui_client_send(client, &reply, -1);
}

/* A connection's thread. */
static void work(void *arg)
{
	struct ui_client *client = arg, **at;
	struct ui_msg msg;
	int passed, ret, pidfd = ui_sys_pidfd_open(client->caller.pid);

	if (pidfd >= 0)
		ui_ownfd_keep(pidfd, &client->line.pidfd);
	ret = greet(client);
	while (!ret) {
		ret = ui_client_recv(client, &msg, &passed);
		if (!ret)
			ret = serve(client, &msg, passed);
	}
	ui_share_regions_end(client);
	pthread_mutex_lock(&share.lock);
	for (at = &share.clients; *at != client; at = &(*at)->next)
		;
	*at = client->next;
	pthread_mutex_unlock(&share.lock);
	ui_client_put(client);
}

/* May we work for whoever connected? Others get no thread of ours. */
static bool is_welcome(int sock, pid_t *pid)
{
	u32 uid, own = ui_sys_geteuid();

	if (ui_sys_peer(sock, pid, &uid) || *pid <= 0)
		return false;
	if (own && uid != own)
		ui_log(UI_LOG_ERROR, "a descriptor of ours is used by a process of another user: refused");
	return !own || uid == own;
}

static void welcome(int sock)
{
	struct ui_client *client = NULL;
	pid_t pid;
	int ret;

	if (is_welcome(sock, &pid))
		client = ui_zalloc(sizeof(*client));
	if (!client) {
		ui_sys_close(sock);
		return;
	}
	client->refs = 1;
	client->line.sock = client->line.pidfd = -1;
	client->caller.pid = pid;
	client->caller.fd_get = fd_get;
	client->caller.alive = alive;
	ret = ui_ownfd_keep(sock, &client->line.sock);
	pthread_mutex_lock(&share.lock);
	if (!ret && atomic_load(&share.listener) >= 0) {
		ret = ui_thread_start(work, client);
		if (!ret) {
			client->next = share.clients;
			share.clients = client;
		}
	} else {
		ret = -ENODEV;
	}
	pthread_mutex_unlock(&share.lock);
	if (ret)
		ui_client_put(client);
}

/* --- listening --- */

static void accept_all(void *arg)
{
	int sock = 0, listener;

	while (sock >= 0 || sock == -EAGAIN || sock == -EINTR || sock == -ECONNABORTED) {
		listener = atomic_load(&share.listener);
		if (listener < 0)
			break;
		ui_sys_wait_two(listener, POLLIN, -1);
		/* As with messages: the number is ours only while it cannot move. */
		ui_ownfd_lock();
		sock = atomic_load(&share.listener) < 0 ? -EBADF : ui_sys_accept(share.listener);
		ui_ownfd_unlock();
		if (sock >= 0) {
			welcome(sock);
		} else if (sock == -EMFILE || sock == -ENFILE || sock == -ENOMEM) {
			ui_sys_sleep_ns(SLEEP_NS); /* those who wait for us wait on */
			sock = -EAGAIN;
		}
	}
}

u64 ui_share_token(void)
{
	u64 token;

	pthread_mutex_lock(&share.lock);
	token = share.token ? share.token : ui_self_token();
	pthread_mutex_unlock(&share.lock);
	return token;
}

/* Under the lock. */
static int begin_round(void)
{
	char name[40];
	int ret, fd;

	if (atomic_load(&share.listener) >= 0)
		return 0;
	/* A copy of the last round's socket, in a child, may still have its name. */
	share.token = ui_self_token() | ((share.token + 1) & ui_mask_lg2(UI_SELF_ROUND_BITS));
	ui_share_address(share.token, name);
	fd = ui_sys_local_socket(name, true);
	ret = fd < 0 ? fd : ui_ownfd_keep(fd, &share.listener);
	if (!ret)
		ret = ui_thread_start(accept_all, NULL);
	if (ret)
		ui_ownfd_close(&share.listener);
	if (ret)
		ui_log(UI_LOG_ERROR, "descriptors cannot be shared with other processes: error %d", -ret);
	return ret;
}

int ui_share_listen(void)
{
	int ret;

	pthread_mutex_lock(&share.lock);
	ret = begin_round();
	pthread_mutex_unlock(&share.lock);
	return ret;
}

/* One more file to serve. Counted with the same lock held: another one's end in between must not end the round. */
static int join(void)
{
	int ret;

	pthread_mutex_lock(&share.lock);
	ret = begin_round();
	share.n_files += !ret;
	pthread_mutex_unlock(&share.lock);
	return ret;
}

/* Under the lock, with no file left to serve. */
static void stop(void)
{
	ui_ownfd_lock();
	ui_sys_shutdown(share.listener);
	for (struct ui_client *client = share.clients; client; client = client->next)
		ui_sys_shutdown(client->line.sock);
	ui_ownfd_unlock();
	ui_ownfd_close(&share.listener);
}

static void leave(void)
{
	pthread_mutex_lock(&share.lock);
	if (!--share.n_files && atomic_load(&share.listener) >= 0)
		stop();
	pthread_mutex_unlock(&share.lock);
}

/* --- files --- */

static int lock_description(int fd, bool wait)
{
	struct flock range = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = LOCK_AT, .l_len = 1 };

	return ui_sys_fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, (unsigned long)&range);
}

/* A description of our own of the memfd behind @fd, and the lock for the program's. */
static int own_description(struct ui_file *file, int fd)
{
	char path[32];
	int own, ret;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = ui_sys_openat(AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
	if (own < 0)
		return own;
	/* The number may mean something else by now. */
	ret = ui_file_is_behind(file, own) ? ui_ownfd_keep(own, &file->own) : (ui_sys_close(own), -EBADF);
	if (ret)
		return ret;
	ret = lock_description(fd, false);
	/* What we have mapped would keep the program's description. */
	if (!ret)
		ret = ui_file_remap(file, file->own);
	if (ret)
		ui_ownfd_close(&file->own);
	return ret;
}

void ui_share_file(struct ui_file *file)
{
	int fd, ret;

	if (file->kind == UI_FILE_DIR || file->kind == UI_FILE_FAULTS)
		return;
	/* Whoever uses it first will know. Before the state is looked at: see ui_file_ready(). */
	if (file->header)
		ui_file_expose(file);
	if (atomic_load(&file->state) != UI_FILE_OWNED)
		return;
	/* What has no descriptor, kept by a device that is bound to it, goes nowhere. */
	fd = ui_fd_number(file);
	if (fd < 0)
		return;
	/* The sharing's, before anybody can put it. */
	ui_file_hold(file);
	if (atomic_exchange(&file->shared, true)) {
		ui_file_put(file);
		return;
	}
	ret = join();
	if (!ret) {
		ui_file_reachable(file);
		ret = ui_object_is_socket(file) ? 0 : own_description(file, fd);
		if (ret)
			leave();
	}
	if (ret) {
		ui_log(UI_LOG_ERROR, "%s cannot be shared with other processes: error %d", ui_file_name(file, (char[16]){ 0 }), -ret);
		atomic_store(&file->shared, false);
		ui_file_put(file);
	}
}

void ui_share_all(void)
{
	for (unsigned i = 0; i < UI_FILE_MAX; i++) {
		struct ui_file *file = ui_file_slot(i);

		if (atomic_load_explicit(&file->shared, memory_order_relaxed) || !ui_file_hold_live(file))
			continue;
		ui_share_file(file);
		ui_file_put(file);
	}
}

int ui_share_hand_over(int fd, const struct ui_msg *what)
{
	struct ui_client *client = ui_client_current();
	struct ui_msg msg = what ? *what : (struct ui_msg){ .a = UI_GIVEN_FILE };
	struct ui_file *file, *now;
	int ret = -EMFILE;

	if (!client)
		return fd;
	msg.type = UI_MSG_INSTALL;
	file = ui_fd_get(fd);
	if (!file)
		return ret;
	ui_share_file(file);
	if (atomic_load(&file->shared) && ui_file_is_behind(file, fd))
		ret = ui_client_ask(client, &msg, fd);
	/* Another thread may have closed the number, or put something else there. */
	now = ui_fd_get(fd);
	if (now == file) {
		ui_file_put(ui_fd_take(fd));
		ui_sys_close(fd);
		ui_fd_taken(fd);
	}
	if (now)
		ui_file_put(now);
	ui_file_put(file);
	return ret ? ret : ui_msg_result(&msg);
}

void ui_share_take_back(int fd)
{
	struct ui_msg msg = { .type = UI_MSG_DROP, .a = (u64)fd };

	ui_client_ask(ui_client_current(), &msg, -1);
}

/* A thread for a file that only other processes have. */
static void wait_for_last(void *arg)
{
	struct ui_file *file = arg;
	int ret, own;

	do {
		own = atomic_load(&file->own);
		ret = ui_object_is_socket(file) ? ui_object_wait(file) : lock_description(own, true);
		/* The kernel takes the lock back when the number is another file's by then: ours has moved. */
	} while (ret == -EINTR || (ret == -EBADF && atomic_load(&file->own) != own));
	ui_file_put(file);
}

void ui_share_last(struct ui_file *file)
{
	bool gone;

	if (atomic_exchange(&file->waited, true))
		return;
	gone = !ui_object_is_socket(file) && !lock_description(file->own, false);
	/* A thread that cannot be had must not keep it for ever. */
	if (gone || ui_thread_start(wait_for_last, file))
		ui_file_put(file);
}

void ui_share_end(struct ui_file *file)
{
	if (!atomic_load(&file->shared))
		return;
	ui_ownfd_close(&file->own);
	leave();
}

u64 ui_share_parent(void)
{
	return parent;
}

/* Descriptors are closed by ownfd.c. */
void ui_share_forked(void)
{
	parent = share.token;
	share.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	atomic_store(&share.listener, -1);
	share.token = 0;
	share.n_files = 0;
	share.clients = NULL;
}
