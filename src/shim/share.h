/* SPDX-License-Identifier: MIT */
/*
 * Descriptors in use by several processes: the owner (share.c), which serves, and its clients (remote.c), which talk
 * to it. docs/shim.md tells how.
 */
#ifndef UI_SHIM_SHARE_H
#define UI_SHIM_SHARE_H

#include "shim/shim.h"
#include "base/user.h"

/* One message; a call is a conversation of them, begun by the client, which ends with the owner's REPLY. */
enum ui_msg_type {
	/* From the client. */
	UI_MSG_HELLO = 1, /* @a: the owner's token as the descriptor's header says */
	UI_MSG_IOCTL,     /* @a: number, @b: argument */
	UI_MSG_READ,      /* @a: address, @b: bytes, @c: offset, @d: not 0 for pread of a device, 0 for read of an object */
	UI_MSG_WRITE,
	UI_MSG_MMAP,      /* @a: bytes, @b: prot, @c: flags, @d: offset; of an iommufd REPLY brings the memory's descriptor and @b, its id */
	UI_MSG_MUNMAP,    /* @a: the id */
	/* From the owner, in the middle of a call; the client does it and answers with @ret. */
	UI_MSG_REPLY,     /* the end: @ret; @a: see ui_object_take_byte() */
	UI_MSG_PROVE,     /* say it again, with the descriptor */
	UI_MSG_INSTALL,   /* a descriptor for the program: @a: UI_GIVEN_*; @ret of the answer: the number */
	UI_MSG_DROP,      /* @a: a number that INSTALL gave */
	UI_MSG_MAP,       /* hand over [@a, @a + @b) (whole pages); PIECEs come first, then the answer; @c: for writing */
	/* From the client, in the middle of MAP; the owner answers with @ret. */
	UI_MSG_PIECE,     /* [@a, @a + @b): of inode @d on device @ino at offset @c; with its descriptor if there is one; @ret: PROT_* */
	UI_MSG_DONE,
};

enum {
	UI_GIVEN_FILE,   /* its header says what it is */
	UI_GIVEN_OBJECT, /* objfile.h; @b: bytes of memory, @c: it is a socket */
};

struct ui_msg {
	u32 type; /* enum ui_msg_type */
	s32 fd;   /* the client's number, for the log */
	u64 ino;  /* of the file that a call is for */
	u64 a, b, c, d;
	s64 ret;
};

/* A connection: descriptors of our own (ownfd.c), which may move to other numbers at any time. */
struct ui_line {
	_Atomic int sock;
	_Atomic int pidfd; /* of the process on the other side; -1: the kernel has none */
};

/* What the address of the process with @token is. */
void ui_share_address(u64 token, char name[40]);
/* Sends @msg with @pass (or -1). 0; -ENODEV: the other side is gone. */
int ui_msg_send(struct ui_line *line, const struct ui_msg *msg, int pass);
/* Receives one. *@passed as ui_sys_recv_fd(). 0; -ENODEV: the other side is gone, or does not keep to the form. */
int ui_msg_recv(struct ui_line *line, struct ui_msg *msg, int *passed);
/* The result that the other side says: 0 or more, or a negative errno, whatever it said. */
int ui_msg_result(const struct ui_msg *msg);
/* Is the other side there? */
bool ui_line_alive(struct ui_line *line);
void ui_line_close(struct ui_line *line);

/* --- share.c: the owner --- */

/* A client's connection; the caller of the calls that its thread serves. */
struct ui_client;
/* Of the call in progress on this thread; NULL: this process made it. */
struct ui_client *ui_client_current(void);
struct ui_client *ui_client_hold(struct ui_client *client);
void ui_client_put(struct ui_client *client);
/* Is its process still what it was when it connected: neither ended nor become another program? */
bool ui_client_alive(struct ui_client *client);
pid_t ui_client_pid(const struct ui_client *client);
/* In the middle of a call of @client's: asks it. 0 with its answer in @msg; -ENODEV. */
int ui_client_ask(struct ui_client *client, struct ui_msg *msg, int pass);
/* As above without waiting for an answer; and its next message, with a descriptor or -1. */
int ui_client_send(struct ui_client *client, const struct ui_msg *msg, int pass);
int ui_client_recv(struct ui_client *client, struct ui_msg *msg, int *passed);

/*
 * Descriptor @fd of ours is for whoever made the call in progress: as it is, or (@msg, NULL for UI_GIVEN_FILE, says
 * what it is) sent to the client and closed here, where the sharing holds its file. The caller's number, or a
 * negative errno with @fd closed.
 */
int ui_share_hand_over(int fd, const struct ui_msg *msg);
/* The client closes number @fd that it got so and was never told about. */
void ui_share_take_back(int fd);

/* By which other processes reach this one: the current round of listening, or what there is before the first. */
u64 ui_share_token(void);
/* Begins to listen; idempotent. Whoever connects waits until files are there. 0 or a negative errno. */
int ui_share_listen(void);
/* Files that this process owns may get into another one from now on: it serves them. Inside an entry, no lock
 * held. */
void ui_share_all(void);
void ui_share_file(struct ui_file *file);
/* Only references of the sharing itself are left on @file: it goes if no process has it any more. */
void ui_share_last(struct ui_file *file);
/* Takes back what ui_share_file() did; the file is being released. */
void ui_share_end(struct ui_file *file);
/* In a forked child: the token of the parent that serves, or 0. */
u64 ui_share_parent(void);
void ui_share_forked(void);

/* --- share_region.c: what clients have mapped of an iommufd --- */

/* For UI_MSG_MMAP of the current client, and UI_MSG_MUNMAP of @client. *@fd is the context's. 0 or a negative
 * errno. */
int ui_share_region_new(struct ui_file *file, const struct ui_msg *msg, int *fd, u64 *id);
int ui_share_region_drop(struct ui_client *client, u64 id);
/* The connection by which they were made ends, and with it the client's process. */
void ui_share_regions_end(struct ui_client *client);
void ui_share_regions_forked(void);

/* --- share_mem.c: memory of clients, mapped here --- */

/* Maps [@va, @va + @n_bytes) (any bounds) of the current client's memory. 0 with *@at: where @va's byte is here; a
 * negative errno. */
int ui_share_map(u64 va, u64 n_bytes, bool write, u64 *at);
void ui_share_unmap(u64 at, u64 n_bytes);
/* 1: no page of the range is a client's. 0: its process lives, or ended after the pages were pinned; -EFAULT. */
int ui_share_check(u64 va, u64 n_bytes);
/* Pages begin or stop being held by mappings (ui_iommufd_env.pinned). False: they are not a client's. */
bool ui_share_pinned(u64 va, u64 n_bytes, bool now);
void ui_share_mem_forked(void);

/* --- remote.c: the client --- */

/* As the calls of bind.h, for a FOREIGN file. -ENODEV: its owner is gone. */
long ui_remote_ioctl(struct ui_file *file, u32 cmd, u64 arg);
s64 ui_remote_transfer(struct ui_file *file, u64 uaddr, u64 n_bytes, u64 offset, bool write);
long ui_remote_mmap(struct ui_file *file, u64 n_bytes, int prot, int flags, u64 offset);
/* The same for memory that the context shares: *@fd is to be mapped and closed, *@token for ui_remote_munmap()
 * later. */
int ui_remote_mmap_region(struct ui_file *file, u64 n_bytes, int prot, int flags, u64 offset, int *fd, void **token);
void ui_remote_munmap(struct ui_file *file, void *token);
void ui_remote_forked(void);

/* --- remote_mem.c: memory of this process for an owner --- */

/* Answers UI_MSG_MAP. 0 or a negative errno, also for the owner. */
int ui_remote_map(struct ui_line *line, const struct ui_msg *ask);
/* The program drops the contents of [@start, @last] (MADV_DONTNEED): what was made shared there becomes fresh
 * private memory. */
void ui_remote_drop(u64 start, u64 last);
/* Memory was made shared: ui_remote_drop() may have something to do. */
bool ui_remote_converted(void);
void ui_remote_mem_forked(void);
/* Around a fork by this thread; @pid as fork() gave it. Of no use to children that libc's fork() did not make. */
void ui_remote_fork_begin(void);
void ui_remote_fork_end(pid_t pid);

#endif
