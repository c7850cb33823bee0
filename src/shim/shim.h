/* SPDX-License-Identifier: MIT */
/*
 * What the files of the preloaded library share. docs/shim.md tells the design: lifetimes, fork, signals, and the order of locks.
 */
#ifndef UI_SHIM_H
#define UI_SHIM_H

#include "base/ownfd.h"
#include "base/types.h"
#include "machine/desc.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

struct stat;
struct ui_iommufd;
struct ui_machine;
struct ui_machine_pci;
struct ui_object;
struct ui_vfio;
struct ui_vfio_group;

#define UI_EXPORT __attribute__((visibility("default")))
/* The preloaded library always has its place in the static TLS block: no allocation, safe in signal handlers. */
#define UI_SHIM_TLS static _Thread_local __attribute__((tls_model("initial-exec")))

/* A kernel-style result to libc's: the one place where the library's answers become errno. */
UI_ALWAYS_INLINE long ui_shim_ret(long ret)
{
	if (ui_unlikely(ret < 0 && ret >= -4095)) {
		errno = (int)-ret;
		return -1;
	}
	return ret;
}

/* --- main.c: the process --- */

/* True when UIOMMU_MACHINE holds a machine: otherwise everything passes through. */
bool ui_shim_served(void);
const struct ui_machine_desc *ui_shim_desc(void);
/* Where the command has counters for us (machine/counters.h), or NULL. */
const char *ui_shim_counters(void);

/*
 * The library is entered with every signal but SIGSEGV and SIGBUS blocked: as with a system call, a handler of the
 * program's runs before or after, never in between (where it could find a lock held, or longjmp away with it).
 */
struct ui_shim_entry {
	u64 mask;
	int cancel;
};
void ui_shim_enter(struct ui_shim_entry *entry);
void ui_shim_leave(const struct ui_shim_entry *entry);
/* True inside an entry: a libc call that the library's own work led to. */
bool ui_shim_inside(void);

void ui_shim_lock(void);
void ui_shim_unlock(void);
void ui_shim_lock_forked(void);

/* --- self.c: which process is this? --- */

/* Prepares the identity of this process; idempotent, under the shim lock. 0 or -ENOMEM. */
int ui_self_init(void);
/* To call before anything of this process's state is used: notices that a fork happened, by whatever means. */
void ui_self_check(void);
/* True in a child that shares this memory (vfork, CLONE_VM): it must not touch our tables. */
bool ui_self_borrowed(void);
/* Unlike that of any other process or program image, and 0 in its last bits, which share.c uses. Not 0. */
enum { UI_SELF_ROUND_BITS = 16 };
u64 ui_self_token(void);
/* Is @token this process's, whatever its last bits? */
bool ui_self_is(u64 token);

/* --- file.c, fdtab.c: open files --- */

/* OBJECT: objfile.c. FAULTS: faults.c. */
enum ui_file_kind { UI_FILE_IOMMU, UI_FILE_VFIO, UI_FILE_DIR, UI_FILE_OBJECT, UI_FILE_FAULTS, UI_FILE_CONTAINER, UI_FILE_GROUP };
enum ui_file_state {
	UI_FILE_FRESH,   /* nobody used it yet: whoever does first owns it */
	UI_FILE_OWNED,   /* its object lives in this process */
	UI_FILE_FOREIGN, /* its object lives, or lived, in another process */
};

struct ui_file_header;

struct ui_file {
	_Atomic u32 refs; /* descriptors and calls in progress; 0: free or being released */
	bool in_use;      /* shim lock */
	enum ui_file_kind kind;
	_Atomic enum ui_file_state state; /* changes under the shim lock; release, pairs with acquire in ui_file_ready() */
	_Atomic bool told;                /* FOREIGN: the log has a line about its owner's end */
	_Atomic bool shared;              /* OWNED: other processes may have it, and share.c holds a reference */
	_Atomic bool waited;              /* OWNED, shared: the end has begun in ui_share_last() */
	_Atomic int own;                  /* OWNED, shared: a descriptor of an open file description of our own (ownfd.c) */
	_Atomic u64 owner;                /* FOREIGN, without a header: the owner's token */
	unsigned index;                   /* VFIO: which device; GROUP: its number; DIR, FAULTS: which node */
	u64 ino;                          /* of the memfd or socket, to recognise a descriptor number that means something else by now */
	struct ui_file_header *header;    /* the shared page of the memfd; NULL for DIR */
	struct ui_iommufd *ctx;           /* IOMMU, CONTAINER, once OWNED */
	struct ui_vfio *vfio;             /* VFIO, once OWNED */
	struct ui_vfio_group *group;      /* GROUP, once OWNED */
	bool tied;                        /* shim lock; VFIO: opened through its group */
	struct ui_file *_Atomic bound;    /* VFIO: the iommufd or group it is bound by, kept as long as the binding */
	struct ui_object *object;         /* OBJECT */
};

/* The open file behind @fd with a reference, or NULL: not ours. Lock-free. */
struct ui_file *ui_fd_get(int fd);
/* As ui_fd_get(), and recognises descriptors that came by exec, SCM_RIGHTS or a way round us. */
struct ui_file *ui_fd_find(int fd);
/* Cheap hint without a reference. */
bool ui_fd_ours(int fd);
/* Ties @fd to @file, taking over the caller's reference; what stood there is let go. -EMFILE: number too large. */
int ui_fd_install(int fd, struct ui_file *file);
/* Takes @fd out of the table before it is closed; the reference is the caller's to put. NULL: not ours. ui_fd_taken()
 * follows once the kernel has closed it. */
struct ui_file *ui_fd_take(int fd);
void ui_fd_taken(int fd);
/* @fd turned out to be (or became) something else: forget what stood there. */
void ui_fd_forget(int fd);
/* A number behind which @file is, or -1. */
int ui_fd_number(const struct ui_file *file);
/* Highest number that was ever installed. */
int ui_fd_highest(void);
struct ui_file *ui_file_hold(struct ui_file *file);
/* As ui_file_hold() when the file may be gone: then NULL. */
struct ui_file *ui_file_hold_live(struct ui_file *file);
/* The last reference ends the object. Inside an entry, no lock held. */
void ui_file_put(struct ui_file *file);
/* All files of this process. */
struct ui_file *ui_file_slot(unsigned i);
enum { UI_FILE_MAX = 1024 };

/* A new object with one reference. Under the shim lock. NULL: too many. */
struct ui_file *ui_file_alloc(enum ui_file_kind kind, unsigned index);
/* Releases what @file holds. Called by the last put. */
void ui_file_release(struct ui_file *file);
/* open(2) of a device or virtual directory: a descriptor or a negative errno. Inside an entry. */
int ui_file_open(enum ui_file_kind kind, unsigned index, int flags);
/* The same, but the file is ours alone: not in the table, with one reference. */
int ui_file_create(enum ui_file_kind kind, unsigned index, int flags, struct ui_file **out);
/* Such a file has got its object and belongs to this process from the beginning. */
void ui_file_begin(struct ui_file *file);
/* Ties the created file to its descriptor: @fd, or a negative errno and both are gone. */
int ui_file_publish(struct ui_file *file, int fd);
/* A further descriptor (close-on-exec) of an open file; -EBADF: it has none here. */
int ui_file_duplicate(struct ui_file *file);
/* @fd is not in the table: if it is one of our memfds, ties it to its file. A reference, or NULL. */
struct ui_file *ui_file_adopt(int fd);
/* Makes the object behind the descriptor exist here, or (FOREIGN) knows who has it. 0; -ENODEV: no such machine; -ENOMEM. */
int ui_file_ready(struct ui_file *file);
/* As ui_file_ready(), but a FOREIGN one is -ENODEV. */
int ui_file_own(struct ui_file *file);
/* Its object lives in another process: remote.c. Only after ui_file_ready(). */
bool ui_file_is_foreign(const struct ui_file *file);
/* The file of this process behind a descriptor that is not in the table, or with the memfd of that inode. A reference, or NULL. */
struct ui_file *ui_file_identify(int fd);
struct ui_file *ui_file_by_ino(u64 ino);
/* The file behind a number of whoever made the call in progress, with a reference. 0; -EBADF; -EBADFD: none of ours. */
int ui_fd_of_caller(int fd, struct ui_file **out);
/* Is @fd a descriptor of it? */
bool ui_file_is_behind(const struct ui_file *file, int fd);
/* FOREIGN: the token of the process that owns it, which may be gone. */
u64 ui_file_owner(const struct ui_file *file);
/* OWNED: from now on others find us by ui_share_token(). */
void ui_file_reachable(struct ui_file *file);
/* FRESH: whoever owns it first will have to serve others. */
void ui_file_expose(struct ui_file *file);
/* What we have mapped of the memfd is mapped by descriptor @fd from now on. 0 or -ENOMEM. */
int ui_file_remap(struct ui_file *file, int fd);
/* For the log. */
const char *ui_file_name(const struct ui_file *file, char buf[16]);
long ui_file_ioctl(struct ui_file *file, u32 cmd, u64 arg);
/* After a fork: what was in use belongs to the parent. */
void ui_file_forked(void);
/* Contexts that are open, one after the other: *@i starts at 0. A reference, or NULL at the end. */
struct ui_file *ui_file_next_context(unsigned *i);

/* --- worker.c: the thread that steps devices --- */

/* One more open file of @device of @machine; 0 or a negative errno. */
int ui_worker_start(struct ui_machine *machine, unsigned device);
/* One less; the last joins the thread. No lock held. */
void ui_worker_stop(unsigned device);
void ui_worker_forked(void);
/* @vfio has a descriptor that unmasks INTx, or (@on false) has none, or goes. */
void ui_worker_watch(unsigned device, struct ui_vfio *vfio, bool on);

/* --- thread.c: threads of the library's own --- */

/* Runs @fn(@arg) inside an entry on a thread of its own, which ends with it. Inside an entry. 0 or a negative errno. */
int ui_thread_start(void (*fn)(void *arg), void *arg);
void ui_threads_forked(void);
/* setuid() and its kind wait in libc for every thread to do the same, upon libc's signal 33: a thread that lives on must have it open. */
void ui_thread_answer_setxid(void);

/* --- pins.c, mem.c: memory in use by devices --- */

void ui_mem_forked(void);
/* As the kernel pins for an iommufd: a BAR's pages are refused, the others are made present. */
int ui_mem_pin(void *arg, u64 va, u64 n_bytes, bool write);
/* As its type1 driver: a BAR's pages, too. */
int ui_mem_pin_bars(void *arg, u64 va, u64 n_bytes, bool write);
void ui_mem_pinned(void *arg, u64 va, u64 n_bytes, bool now);
/* The calling thread ends and its stack goes: pages of it that devices use live on as copies. */
void ui_mem_thread_exit(void);

/* --- signals.c --- */

/* Installs our SIGSEGV and SIGBUS handler; idempotent, under the shim lock. */
int ui_signals_init(void);

/* --- wrap_dir.c, signals.c, heap.c, objfile.c: after a fork --- */

void ui_dirs_forked(void);
void ui_objects_forked(void);
void ui_signals_forked(void);

void ui_heap_forked(void);

/* --- log.c --- */

void ui_shim_log_init(const struct ui_machine_desc *desc);

#endif
