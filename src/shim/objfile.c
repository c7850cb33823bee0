/* SPDX-License-Identifier: MIT */
/*
 * What a program holds is the kernel's own descriptor, so poll, epoll, dup, fork and SCM_RIGHTS are the kernel's:
 *
 *	to be read or written	one end of a pair of local sockets. A byte waits in it while the object is readable; the send buffer of
 *				one that is never writable is full. Both ends stay with us as well (ownfd.c): the other to send
 *				the byte, a duplicate of the program's to take it back.
 *	neither			a memfd, always ready and refused by epoll, as files without poll are; with the object's memory, if any
 *
 * Reads and writes go to the object. Until the call that made a descriptor has ended the number answers as if it were
 * not open, and the object is not released: as in a kernel, which ties the number to the file at the very end.
 */
#include "shim/objfile.h"
#include "shim/share.h"
#include "base/alloc.h"
#include "base/sys.h"
#include "base/user.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

struct ui_object {
	const struct ui_iommufd_file_ops *ops;
	void *obj;
	u64 memory_bytes;
	struct ui_file *file;
	struct ui_file *context; /* ops->keeps: that of the context, which is followed until release; else NULL */
	dev_t dev;              /* with file->ino: of the socket or memfd */
	int fd;                 /* the number that the call was told */
	_Atomic int inner;      /* ownfd.c: a duplicate of the program's end, or -1 */
	_Atomic int outer;      /* ownfd.c: the other end, or -1 */
	bool readable;          /* ownfd.c's lock */
	bool foreign_socket;    /* of another process: it is a socket */
	bool dropped;           /* the thread of the call that made it, before it settles */
	_Atomic bool settled;   /* release in ui_objects_settle(), pairs with acquire in transfer and get */
	struct ui_object *next; /* objects_lock: all there are */
	struct ui_object *next_fresh;
};

/* Leaf but for ownfd.c's. */
static pthread_mutex_t objects_lock = PTHREAD_MUTEX_INITIALIZER;
static struct ui_object *objects; /* objects_lock */

/* Made by the call in progress on this thread; each with a reference on its file. */
UI_SHIM_TLS struct ui_object *fresh;
/* The call in progress on this thread made an object not readable whose descriptors only other processes have. */
UI_SHIM_TLS bool take_byte;

static bool has_poll(const struct ui_iommufd_file_ops *ops)
{
	return ops->read || ops->write;
}

/* A socket is not writable from a quarter of its send buffer on. What is sent to the other end stays there. */
static int fill(int fd)
{
	static const u8 nothing[256];
	int ret = ui_sys_shrink_sndbuf(fd);

	while (!ret && ui_sys_poll_now(fd, POLLOUT) > 0) {
		ssize_t n = ui_sys_send_nowait(fd, nothing, sizeof(nothing));

		ret = n < 0 && n != -EAGAIN ? (int)n : 0;
	}
	return ret;
}

/*
 * Both ends are the library's first, and then it is seen to it that they are: other threads may close any number
 * meanwhile.
 */
static int make_pair(struct ui_object *object)
{
	int ends[2], ret = ui_sys_socketpair(ends);
	u8 byte = 0;

	if (ret)
		return ret;
	ret = ui_ownfd_keep(ends[0], &object->inner);
	if (ret)
		ui_sys_close(ends[1]);
	else
		ret = ui_ownfd_keep(ends[1], &object->outer);
	if (!ret && (ui_sys_send_nowait(object->outer, &byte, 1) != 1 || ui_sys_recv_nowait(object->inner, &byte, 1) != 1))
		ret = -EMFILE;
	if (!ret && !object->ops->writable)
		ret = fill(object->inner);
	return ret ? ret : ui_sys_fcntl(object->inner, F_DUPFD_CLOEXEC, 0);
}

static int make_memory(const struct ui_object *object)
{
	int fd = ui_sys_memfd_create(object->ops->name, MFD_ALLOW_SEALING | MFD_CLOEXEC), ret;

	if (fd < 0)
		return fd;
	ret = ui_sys_ftruncate(fd, object->memory_bytes);
	/* Nobody may pull the memory away under the object. */
	if (!ret)
		ret = ui_sys_fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	if (ret)
		ui_sys_close(fd);
	return ret ? ret : fd;
}

/* The number of the program's descriptor, in the table. */
static int make_descriptor(struct ui_object *object)
{
	struct stat st, now;
	int fd, ret;

	if (ui_inject_point())
		return -ENOMEM;
	fd = has_poll(object->ops) ? make_pair(object) : make_memory(object);
	if (fd < 0)
		return fd;
	ret = ui_sys_fstat(object->inner >= 0 ? object->inner : fd, &st);
	if (!ret) {
		object->dev = st.st_dev;
		object->file->ino = st.st_ino;
		ret = ui_fd_install(fd, ui_file_hold(object->file));
		if (ret)
			ui_file_put(object->file);
	}
	if (ret) {
		ui_sys_close(fd);
		return ret;
	}
	/* Another thread has closed the number since: then that is what the program wanted. */
	if (ui_sys_fstat(fd, &now) || now.st_ino != st.st_ino || now.st_dev != st.st_dev)
		ui_fd_forget(fd);
	return fd;
}

int ui_object_receive(int fd, const struct ui_msg *msg, u64 owner)
{
	static const struct ui_iommufd_file_ops ops = { .name = "a queue" };
	struct ui_object *object = ui_zalloc(sizeof(*object));
	struct ui_file *file = NULL;
	struct stat st = { 0 };
	int ret = -ENOMEM;

	if (object && fd >= 0 && !ui_sys_fstat(fd, &st)) {
		*object = (struct ui_object){ .ops = &ops, .memory_bytes = msg->b, .foreign_socket = msg->c, .inner = -1, .outer = -1 };
		atomic_store_explicit(&object->settled, true, memory_order_release); /* pairs with live() */
		ui_shim_lock();
		file = ui_file_alloc(UI_FILE_OBJECT, 0);
		if (file) {
			object->file = file;
			object->dev = st.st_dev;
			file->ino = st.st_ino;
			file->object = object;
			file->owner = owner;
			atomic_store_explicit(&file->state, UI_FILE_FOREIGN, memory_order_release); /* pairs with ui_file_is_foreign() */
		}
		ui_shim_unlock();
		ret = file ? ui_fd_install(fd, file) : -ENFILE;
	}
	if (!ret)
		return fd;
	if (file)
		ui_file_put(file);
	else
		ui_free(object);
	if (fd >= 0)
		ui_sys_close(fd);
	return ret;
}

void ui_object_return(int fd)
{
	struct ui_file *file = ui_fd_get(fd);

	/* Another thread may have closed the number, or put something else there. */
	if (file && file->kind == UI_FILE_OBJECT && ui_file_is_foreign(file)) {
		ui_file_put(ui_fd_take(fd));
		ui_sys_close(fd);
		ui_fd_taken(fd);
	}
	if (file)
		ui_file_put(file);
}

bool ui_object_take_byte(void)
{
	bool take = take_byte;

	take_byte = false;
	return take;
}

bool ui_object_is_socket(const struct ui_file *file)
{
	return file->kind == UI_FILE_OBJECT && (has_poll(file->object->ops) || file->object->foreign_socket);
}

int ui_object_wait(struct ui_file *file)
{
	struct ui_object *object = file->object;

	/* What we keep of the program's end would keep it open. From now on clients take the byte back. */
	ui_ownfd_close(&object->inner);
	return ui_sys_wait_end(object->outer);
}

int ui_object_new(void *arg, const struct ui_iommufd_file_ops *ops, void *obj, u64 memory_bytes)
{
	struct ui_object *object;
	struct ui_file *file;

	object = ui_zalloc(sizeof(*object));
	if (!object)
		return -ENOMEM;
	*object = (struct ui_object){ .ops = ops, .obj = obj, .memory_bytes = memory_bytes, .inner = -1, .outer = -1 };
	ui_shim_lock();
	file = ui_file_alloc(UI_FILE_OBJECT, 0);
	if (file) {
		file->object = object;
		object->file = file;
		object->context = ops->keeps ? ui_file_hold(arg) : NULL;
		atomic_store_explicit(&file->state, UI_FILE_OWNED, memory_order_release); /* pairs with ui_file_ready() */
	}
	ui_shim_unlock();
	if (!file) {
		ui_free(object);
		return -ENFILE;
	}
	pthread_mutex_lock(&objects_lock);
	object->next = objects;
	objects = object;
	pthread_mutex_unlock(&objects_lock);
	object->fd = make_descriptor(object);
	if (object->fd >= 0) {
		struct ui_msg msg = { .a = UI_GIVEN_OBJECT, .b = memory_bytes, .c = has_poll(ops) };

		object->fd = ui_share_hand_over(object->fd, &msg);
	}
	if (object->fd < 0) {
		int ret = object->fd;

		object->dropped = true;
		ui_file_put(file);
		return ret;
	}
	object->next_fresh = fresh;
	fresh = object;
	return object->fd;
}

void ui_object_drop(void *arg, int fd)
{
	struct ui_object **at = &fresh, *object;
	struct ui_file *taken;

	while (*at && (*at)->fd != fd)
		at = &(*at)->next_fresh;
	object = *at;
	if (!object)
		return;
	*at = object->next_fresh;
	object->dropped = true;
	if (ui_caller()) {
		ui_share_take_back(fd);
		/* The object goes at once, its file when the client's number is gone. */
		pthread_mutex_lock(&objects_lock);
		object->obj = NULL;
		pthread_mutex_unlock(&objects_lock);
		ui_file_put(object->file);
		return;
	}
	/* Another thread may have closed the number, or put something else there. */
	taken = ui_fd_get(fd);
	if (taken == object->file) {
		ui_file_put(ui_fd_take(fd));
		ui_sys_close(fd);
		ui_fd_taken(fd);
	}
	if (taken)
		ui_file_put(taken);
	ui_file_put(object->file);
}

void ui_objects_settle(void)
{
	while (ui_unlikely(fresh)) {
		struct ui_object *object = fresh;

		fresh = object->next_fresh;
		atomic_store_explicit(&object->settled, true, memory_order_release); /* pairs with live() */
		ui_file_put(object->file);
	}
}

static bool live(struct ui_object *object)
{
	/* Pairs with ui_objects_settle(). */
	return ui_likely(atomic_load_explicit(&object->settled, memory_order_acquire));
}

/* Under objects_lock: the object with @obj behind it. */
static struct ui_object *behind(const void *obj)
{
	struct ui_object *object = objects;

	while (object && object->obj != obj)
		object = object->next;
	return object;
}

void ui_object_readable(void *arg, void *obj, bool now)
{
	struct ui_object *object;
	u8 byte = 0;

	pthread_mutex_lock(&objects_lock);
	object = behind(obj);
	if (object) {
		ui_ownfd_lock();
		/* Readable once more: who waits for edges (EPOLLET) is told, and still one byte waits. */
		if (now && (object->inner >= 0 || !object->readable))
			ui_sys_send_nowait(object->outer, &byte, 1);
		if (object->readable && object->inner >= 0)
			ui_sys_recv_nowait(object->inner, &byte, 1);
		else if (object->readable && !now)
			take_byte = true;
		object->readable = now;
		ui_ownfd_unlock();
	}
	pthread_mutex_unlock(&objects_lock);
}

void *ui_object_get(void *arg, int fd, const struct ui_iommufd_file_ops *ops)
{
	struct ui_file *file;
	void *obj = NULL;

	if (ui_fd_of_caller(fd, &file))
		return NULL;
	if (file->kind == UI_FILE_OBJECT && !ui_file_own(file) && file->object->ops == ops && live(file->object))
		obj = file->object->obj;
	else
		ui_file_put(file);
	return obj;
}

void ui_object_put(void *arg, void *obj)
{
	struct ui_object *object;

	pthread_mutex_lock(&objects_lock);
	object = behind(obj);
	pthread_mutex_unlock(&objects_lock);
	/* Held, so it is still there. */
	if (object)
		ui_file_put(object->file);
}

struct ui_file *ui_object_by_ino(u64 ino)
{
	struct ui_file *file = NULL;

	pthread_mutex_lock(&objects_lock);
	for (struct ui_object *object = objects; object && !file; object = object->next) {
		if (object->file->ino == ino)
			file = ui_file_hold_live(object->file);
	}
	pthread_mutex_unlock(&objects_lock);
	return file;
}

struct ui_file *ui_object_identify(int fd)
{
	struct ui_file *file = NULL;
	struct stat st;

	if (ui_sys_fstat(fd, &st) || st.st_nlink > 1)
		return NULL;
	pthread_mutex_lock(&objects_lock);
	for (struct ui_object *object = objects; object && !file; object = object->next) {
		if (object->file->ino == st.st_ino && object->dev == st.st_dev)
			file = ui_file_hold_live(object->file);
	}
	pthread_mutex_unlock(&objects_lock);
	return file;
}

struct ui_file *ui_object_adopt(int fd)
{
	struct ui_shim_entry entry;
	struct ui_file *file;

	ui_shim_enter(&entry);
	file = ui_object_identify(fd);
	if (file && ui_fd_install(fd, ui_file_hold(file))) {
		ui_file_put(file);
		ui_file_put(file);
		file = NULL;
	}
	ui_shim_leave(&entry);
	return file;
}

s64 ui_object_transfer(struct ui_file *file, u64 uaddr, u64 n_bytes, bool write)
{
	struct ui_object *object = file->object;
	s64 (*op)(void *obj, u64 uaddr, u64 n_bytes, u64 offset) = write ? object->ops->write : object->ops->read;

	if (!live(object))
		return -EBADF;
	return op ? op(object->obj, uaddr, n_bytes, 0) : -EINVAL;
}

const char *ui_object_name(const struct ui_file *file)
{
	return file->object->ops->name;
}

u64 ui_object_bytes(const struct ui_file *file)
{
	return file->object->memory_bytes;
}

void ui_object_stat(const struct ui_file *file, struct stat *st)
{
	/* An anonymous inode has no type. */
	st->st_mode = S_IRUSR | S_IWUSR;
	st->st_nlink = 1;
	st->st_rdev = 0;
	st->st_size = (off_t)file->object->memory_bytes;
	st->st_blocks = 0;
}

void ui_object_release(struct ui_file *file)
{
	struct ui_object *object = file->object, **at = &objects;
	struct ui_file *context = object->context;

	pthread_mutex_lock(&objects_lock);
	while (*at && *at != object)
		at = &(*at)->next;
	if (*at)
		*at = object->next;
	pthread_mutex_unlock(&objects_lock);
	ui_ownfd_close(&object->inner);
	ui_ownfd_close(&object->outer);
	/* In a forked child the object is its parent's: there is nothing here to release. */
	if (!object->dropped && object->ops->release && atomic_load_explicit(&file->state, memory_order_acquire) == UI_FILE_OWNED)
		object->ops->release(object->obj);
	file->object = NULL;
	ui_free(object);
	if (context)
		ui_file_put(context);
}

void ui_objects_forked(void)
{
	objects_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	objects = NULL;
	fresh = NULL;
}
