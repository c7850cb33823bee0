/* SPDX-License-Identifier: MIT */
/*
 * Directory streams over the virtual directories: what lies there for the kernel, then ours. A stream of ours is told from
 * libc's by its address.
 */
#include "shim/real.h"
#include "shim/shim.h"
#include "shim/vfs.h"
#include "base/alloc.h"

#include <string.h>

_Static_assert(sizeof(struct dirent) == sizeof(struct dirent64), "one layout for both");

struct stream {
	bool in_use;     /* lock */
	DIR *real;       /* the kernel's directory of the same name, or NULL */
	int fd;
	bool real_ended; /* one thread at a time uses a stream, as with libc's */
	long pos;
	unsigned next;
	const struct ui_vfs_node *dir;
	struct dirent entry;
};

enum { N_STREAMS = 64 };

static struct stream streams[N_STREAMS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct stream *ours(DIR *dir)
{
	uintptr_t offset = (uintptr_t)dir - (uintptr_t)streams;

	return offset < sizeof(streams) ? &streams[offset / sizeof(streams[0])] : NULL;
}

static DIR *open_stream(int fd, const struct ui_vfs_node *dir)
{
	struct ui_shim_entry entry;
	struct stream *found = NULL;

	ui_shim_enter(&entry);
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < N_STREAMS && !found; i++) {
		if (!streams[i].in_use)
			found = &streams[i];
	}
	if (found)
		*found = (struct stream){ .in_use = true, .fd = fd, .dir = dir };
	pthread_mutex_unlock(&lock);
	ui_shim_leave(&entry);
	if (!found) {
		errno = EMFILE;
		return NULL;
	}
	found->real = REAL(opendir)(dir->path);
	return (DIR *)found;
}

UI_EXPORT DIR *fdopendir(int fd)
{
	const struct ui_vfs_node *node = ui_vfs_of_fd(fd);

	return node ? open_stream(fd, node) : REAL(fdopendir)(fd);
}

UI_EXPORT DIR *opendir(const char *path)
{
	char out[UI_VFS_PATH_BYTES];
	const struct ui_vfs_node *node;
	enum ui_vfs_answer answer = ui_vfs_find(AT_FDCWD, path, true, &node, out);
	DIR *dir;
	int fd, saved;

	if (answer == UI_VFS_OTHER || answer == UI_VFS_PATH) {
		dir = REAL(opendir)(answer == UI_VFS_PATH ? out : path);
		if (dir)
			ui_fd_forget(REAL(dirfd)(dir));
		return dir;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	dir = fdopendir(fd);
	if (!dir) {
		saved = errno;
		close(fd);
		errno = saved;
	}
	return dir;
}

static bool is_ours(const struct stream *stream, const char *name)
{
	const char *mine;

	for (unsigned i = 0; ui_vfs_child(stream->dir, i, &mine); i++) {
		if (!strcmp(mine, name))
			return true;
	}
	return false;
}

static struct dirent *fill(struct stream *stream, const char *name, u8 type, u64 ino)
{
	struct dirent *entry = &stream->entry;

	memset(entry, 0, sizeof(*entry));
	entry->d_ino = ino;
	entry->d_off = ++stream->pos;
	entry->d_reclen = sizeof(*entry);
	entry->d_type = type;
	snprintf(entry->d_name, sizeof(entry->d_name), "%s", name);
	return entry;
}

static u8 type_of(const struct ui_vfs_node *node)
{
	switch (node->kind) {
	case UI_VFS_DIR:
		return DT_DIR;
	case UI_VFS_LINK:
		return DT_LNK;
	case UI_VFS_FILE:
	case UI_VFS_CONFIG:
	case UI_VFS_FAULTS:
		return DT_REG;
	default:
		return DT_CHR;
	}
}

UI_EXPORT struct dirent *readdir(DIR *dir)
{
	static const char *const dots[] = { ".", ".." };
	struct stream *stream = ours(dir);
	const struct ui_vfs_node *node;
	struct dirent *entry;
	const char *name;

	if (!stream)
		return REAL(readdir)(dir);
	while (stream->real && !stream->real_ended) {
		entry = REAL(readdir)(stream->real);
		if (!entry)
			stream->real_ended = true;
		else if (!is_ours(stream, entry->d_name))
			return fill(stream, entry->d_name, entry->d_type, entry->d_ino);
	}
	if (!stream->real && stream->next < 2)
		return fill(stream, dots[stream->next++], DT_DIR, 1);
	node = ui_vfs_child(stream->dir, stream->next - (stream->real ? 0 : 2), &name);
	if (!node)
		return NULL;
	stream->next++;
	return fill(stream, name, type_of(node), ui_vfs_index(node) + 1);
}

UI_EXPORT struct dirent64 *readdir64(DIR *dir)
{
	return (struct dirent64 *)readdir(dir);
}

UI_EXPORT void rewinddir(DIR *dir)
{
	struct stream *stream = ours(dir);

	if (!stream) {
		REAL(rewinddir)(dir);
		return;
	}
	if (stream->real)
		REAL(rewinddir)(stream->real);
	stream->real_ended = false;
	stream->next = 0;
	stream->pos = 0;
}

UI_EXPORT long telldir(DIR *dir)
{
	struct stream *stream = ours(dir);

	return stream ? stream->pos : REAL(telldir)(dir);
}

UI_EXPORT void seekdir(DIR *dir, long pos)
{
	struct stream *stream = ours(dir);

	if (!stream) {
		REAL(seekdir)(dir, pos);
		return;
	}
	rewinddir(dir);
	while (stream->pos < pos && readdir(dir))
		;
}

UI_EXPORT int dirfd(DIR *dir)
{
	struct stream *stream = ours(dir);

	return stream ? stream->fd : REAL(dirfd)(dir);
}

UI_EXPORT int closedir(DIR *dir)
{
	struct stream *stream = ours(dir);
	struct ui_shim_entry entry;
	int fd;

	if (!stream)
		return REAL(closedir)(dir);
	if (stream->real)
		REAL(closedir)(stream->real);
	fd = stream->fd;
	ui_shim_enter(&entry);
	pthread_mutex_lock(&lock);
	stream->in_use = false;
	pthread_mutex_unlock(&lock);
	ui_shim_leave(&entry);
	return close(fd);
}

void ui_dirs_forked(void)
{
	lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}
