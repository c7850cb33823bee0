/* SPDX-License-Identifier: MIT */
/*
 * Which memory is behind an address, as /proc says: shared memory is known by device, inode and offset, whatever address it is
 * mapped at and in whatever process; private memory by its address alone.
 */
#include "base/alloc.h"
#include "base/sys.h"
#include "base/user.h"
#include "mock/priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

static int add(struct ui_mock_maps *maps, const struct ui_mock_vma *vma)
{
	/* The room doubles when it is full: at each power of two. */
	if (ui_is_pow2(maps->n) || !maps->n) {
		struct ui_mock_vma *grown = ui_realloc(maps->vma, (maps->n ? maps->n * 2 : 1) * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		maps->vma = grown;
	}
	maps->vma[maps->n++] = *vma;
	return 0;
}

/* A line, as its characters come. */
struct line {
	struct ui_mock_vma vma;
	unsigned field; /* 0 start, 1 end, 2 rights, 3 offset, 4 and 5 device, 6 inode, 7 the rest */
	unsigned column;
};

static void field_digit(struct line *line, u64 base, u64 digit)
{
	struct ui_mock_vma *vma = &line->vma;
	u64 *const fields[] = { &vma->start, &vma->end, NULL, &vma->offset, &vma->dev_major, &vma->dev_minor, &vma->ino };
	u64 *field = fields[line->field];

	*field = *field * base + digit;
}

static void take(struct line *line, char c)
{
	static const char ends[] = "-   :  "; /* what each field ends with */

	if (line->field == ui_array_size(ends) - 1)
		return;
	if (c == ends[line->field]) {
		line->field++;
		line->column = 0;
	} else if (line->field == 2) {
		if (line->column++ == 3)
			line->vma.shared = c == 's';
	} else if (c >= '0' && c <= '9') {
		field_digit(line, line->field == 6 ? 10 : 16, (u64)(c - '0'));
	} else if (c >= 'a' && c <= 'f') {
		field_digit(line, 16, (u64)(c - 'a') + 10);
	}
}

static int read_lines(struct ui_mock_maps *maps, int fd)
{
	struct line line = { .field = 0 };
	char buf[1024];
	ssize_t n;

	while ((n = ui_sys_read(fd, buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			if (buf[i] != '\n') {
				take(&line, buf[i]);
				continue;
			}
			if (add(maps, &line.vma))
				return -ENOMEM;
			line = (struct line){ .field = 0 };
		}
	}
	return n ? -ENOENT : 0;
}

int ui_mock_maps_read(struct ui_mock_maps *maps, bool of_caller)
{
	const struct ui_caller *caller = of_caller ? ui_caller() : NULL;
	char path[64] = "/proc/self/maps";
	int fd, ret;

	*maps = (struct ui_mock_maps){ .n = 0 };
	if (caller)
		snprintf(path, sizeof(path), "/proc/%d/maps", caller->pid);
	fd = ui_sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return -ENOENT;
	ret = read_lines(maps, fd);
	ui_sys_close(fd);
	if (ret)
		ui_mock_maps_free(maps);
	return ret;
}

void ui_mock_maps_free(struct ui_mock_maps *maps)
{
	ui_free(maps->vma);
	*maps = (struct ui_mock_maps){ .n = 0 };
}

const struct ui_mock_vma *ui_mock_maps_find(const struct ui_mock_maps *maps, u64 addr)
{
	size_t lo = 0, hi = maps->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (maps->vma[mid].end <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < maps->n && maps->vma[lo].start <= addr ? &maps->vma[lo] : NULL;
}

bool ui_mock_same_file(const struct ui_mock_vma *a, const struct ui_mock_vma *b)
{
	return a->shared && b->shared && a->dev_major == b->dev_major && a->dev_minor == b->dev_minor && a->ino == b->ino;
}

static int compare_read(struct ui_mock_compare *cmp)
{
	int ret = ui_mock_maps_read(&cmp->own, false);

	if (!ret)
		ret = ui_mock_maps_read(&cmp->caller, true);
	cmp->read = !ret;
	return ret;
}

int ui_mock_same_byte(struct ui_mock_compare *cmp, u64 addr, u64 uaddr)
{
	const struct ui_mock_vma *a, *b;
	int ret;

	if (addr == uaddr && !ui_caller())
		return 0;
	ret = cmp->read ? 0 : compare_read(cmp);
	if (ret)
		return ret;
	a = ui_mock_maps_find(&cmp->own, addr);
	b = ui_mock_maps_find(&cmp->caller, uaddr);
	if (!a || !b || !ui_mock_same_file(a, b))
		return -EINVAL;
	return a->offset + (addr - a->start) == b->offset + (uaddr - b->start) ? 0 : -EINVAL;
}

void ui_mock_compare_free(struct ui_mock_compare *cmp)
{
	ui_mock_maps_free(&cmp->own);
	ui_mock_maps_free(&cmp->caller);
}
