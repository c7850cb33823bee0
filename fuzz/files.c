/* SPDX-License-Identifier: MIT */
#include "files.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct file {
	const struct ui_iommufd_file_ops *ops; /* NULL: free */
	void *obj;
	unsigned refs; /* the descriptor's, and those of calls */
	bool open;
} files[N_FILES];

static void *regions[4];

static int file_new(void *arg, const struct ui_iommufd_file_ops *ops, void *obj, u64 memory_bytes)
{
	for (int i = 0; i < N_FILES; i++) {
		if (files[i].ops)
			continue;
		files[i] = (struct file){ .ops = ops, .obj = obj, .refs = 1, .open = true };
		return FILES_FIRST + i;
	}
	return -EMFILE;
}

static void file_drop(void *arg, int fd)
{
	struct file *f = &files[fd - FILES_FIRST];

	CHECK(f->open && f->refs == 1);
	*f = (struct file){ 0 };
}

static void file_readable(void *arg, void *obj, bool now)
{
}

static void put(struct file *f)
{
	struct file gone = *f;

	if (--f->refs)
		return;
	CHECK(!f->open);
	*f = (struct file){ 0 };
	gone.ops->release(gone.obj);
}

static void *file_get(void *arg, int fd, const struct ui_iommufd_file_ops *ops)
{
	struct file *f;

	if (fd < FILES_FIRST || fd >= FILES_FIRST + N_FILES)
		return NULL;
	f = &files[fd - FILES_FIRST];
	if (!f->open || f->ops != ops)
		return NULL;
	f->refs++;
	return f->obj;
}

static void file_put(void *arg, void *obj)
{
	for (unsigned i = 0; i < N_FILES; i++) {
		if (files[i].ops && files[i].obj == obj) {
			put(&files[i]);
			return;
		}
	}
	abort(); /* nobody got it */
}

void files_env(struct ui_iommufd_env *env)
{
	env->file_new = file_new;
	env->file_drop = file_drop;
	env->file_readable = file_readable;
	env->file_get = file_get;
	env->file_put = file_put;
}

static void file_close(struct file *f)
{
	f->open = false;
	put(f);
}

void file_use(struct world *w, struct input *in)
{
	u8 what = input8(in);
	struct file *f = &files[what % N_FILES];
	u64 at = input_memory(in), n_bytes = input8(in);
	s64 ret = 0;

	if (!f->ops)
		return;
	f->refs++;
	switch (what / N_FILES % 4) {
	case 0:
	case 1:
		n_bytes = n_bytes & 0x80 ? n_bytes : n_bytes * 8;
		ret = f->ops->read ? f->ops->read(f->obj, at, n_bytes, 0) : -EINVAL;
		CHECK(ret <= (s64)n_bytes);
		break;
	case 2:
		ret = f->ops->write ? f->ops->write(f->obj, at, n_bytes * 8, 0) : -EINVAL;
		CHECK(ret <= (s64)n_bytes * 8);
		break;
	default:
		if (n_bytes > 0x80)
			file_close(f);
		break;
	}
	put(f);
}

void files_close_all(void)
{
	for (unsigned i = 0; i < N_FILES; i++) {
		if (files[i].open)
			file_close(&files[i]);
	}
}

void region_use(struct world *w, struct input *in)
{
	u8 what = input8(in);
	void **region = &regions[what % 4];
	int fd;

	if (*region) {
		ui_iommufd_munmap(w->ctx, *region);
		*region = NULL;
		return;
	}
	/* The memory's descriptor stays the context's. */
	if (ui_iommufd_mmap(w->ctx, (what >> 2 & 7) * PAGE, (1 + (what >> 5 & 3)) * PAGE, PROT_READ | PROT_WRITE,
			    what & 0x80 ? MAP_PRIVATE : MAP_SHARED, &fd, region))
		*region = NULL;
}

void regions_unmap(struct world *w)
{
	for (unsigned i = 0; i < 4; i++) {
		if (regions[i])
			ui_iommufd_munmap(w->ctx, regions[i]);
		regions[i] = NULL;
	}
}
