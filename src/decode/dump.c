/* SPDX-License-Identifier: MIT */
#include "decode/dump.h"

#include <uiommu/decode.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/sys.h"

#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
	MAX_SEGMENTS = 1 << 16, /* more program headers than any machine has pieces of memory */
	CACHE_PAGES = 64,
	CACHE_BYTES = 4096, /* of a page */
};

struct segment {
	u64 start, last; /* physical */
	u64 offset; /* of @start in the file */
};

/* A page of the file that was read: tables are read word by word. */
struct cached {
	u64 offset;
	size_t n_bytes; /* 0: none */
	char bytes[CACHE_BYTES];
};

struct uiommu_dump {
	int fd;
	u64 n_file_bytes;
	/* By @start; they do not overlap. */
	struct segment *segments;
	size_t n_segments;
	struct cached cache[CACHE_PAGES]; /* page n of the file stands at n % CACHE_PAGES */
};

static int read_at(int fd, void *buf, size_t n_bytes, u64 offset)
{
	for (size_t at = 0; at < n_bytes;) {
		ssize_t got = ui_sys_pread(fd, (char *)buf + at, n_bytes - at, offset + at);

		if (got == -EINTR)
			continue;
		if (got <= 0)
			return got ? (int)got : -ENODATA;
		at += (size_t)got;
	}
	return 0;
}

static struct uiommu_dump *dump_open(const char *path, char *err, size_t err_bytes)
{
	struct uiommu_dump *dump = ui_zalloc(sizeof(*dump));
	struct stat st;
	int ret = -ENOMEM;

	if (!dump)
		goto fail;
	dump->fd = ret = ui_sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
	if (ret < 0)
		goto fail;
	ret = ui_sys_fstat(dump->fd, &st);
	if (!ret && !S_ISREG(st.st_mode))
		ret = S_ISDIR(st.st_mode) ? -EISDIR : -ESPIPE;
	if (ret) {
		ui_sys_close(dump->fd);
		goto fail;
	}
	dump->n_file_bytes = (u64)st.st_size;
	return dump;
fail:
	ui_free(dump);
	snprintf(err, err_bytes, "%s: %s", path, ret == -ESPIPE ? "not a regular file" : strerror(-ret));
	return NULL;
}

void uiommu_dump_close(struct uiommu_dump *dump)
{
	if (!dump)
		return;
	ui_sys_close(dump->fd);
	ui_free(dump->segments);
	ui_free(dump);
}

struct uiommu_dump *uiommu_dump_open_raw(const char *path, uint64_t base, char *err, size_t err_bytes)
{
	struct uiommu_dump *dump = dump_open(path, err, err_bytes);
	u64 last = 0;

	if (!dump)
		return NULL;
	dump->segments = ui_calloc(1, sizeof(*dump->segments));
	if (!dump->segments) {
		snprintf(err, err_bytes, "%s: out of memory", path);
	} else if (!ui_range_last(base, dump->n_file_bytes, &last)) {
		snprintf(err, err_bytes, "%s: %s", path, dump->n_file_bytes ? "the addresses go beyond 2^64" : "empty");
	} else {
		dump->segments[0] = (struct segment){ base, last, 0 };
		dump->n_segments = 1;
		return dump;
	}
	uiommu_dump_close(dump);
	return NULL;
}

static int by_start(const void *a, const void *b)
{
	u64 x = ((const struct segment *)a)->start, y = ((const struct segment *)b)->start;

	return x < y ? -1 : x > y;
}

/* Where two say something of an address, the one that starts lower does. */
static void separate(struct uiommu_dump *dump)
{
	size_t n = 0;

	qsort(dump->segments, dump->n_segments, sizeof(*dump->segments), by_start);
	for (size_t i = 0; i < dump->n_segments; i++) {
		struct segment s = dump->segments[i];

		if (n && s.start <= dump->segments[n - 1].last) {
			u64 skip = dump->segments[n - 1].last - s.start;

			if (s.last <= dump->segments[n - 1].last)
				continue;
			s.start += skip + 1;
			s.offset += skip + 1;
		}
		dump->segments[n++] = s;
	}
	dump->n_segments = n;
}

/* One program header; those that hold nothing of the file are left out. */
static void add_segment(struct uiommu_dump *dump, const Elf64_Phdr *ph)
{
	u64 start = le64toh(ph->p_paddr), offset = le64toh(ph->p_offset), n_bytes = le64toh(ph->p_filesz), last;

	if (le32toh(ph->p_type) != PT_LOAD || offset >= dump->n_file_bytes)
		return;
	n_bytes = ui_min(n_bytes, dump->n_file_bytes - offset);
	if (ui_range_last(start, n_bytes, &last))
		dump->segments[dump->n_segments++] = (struct segment){ start, last, offset };
}

/* How many program headers: beyond 65534 the first section header says. */
static int count_headers(struct uiommu_dump *dump, const Elf64_Ehdr *eh, u64 *n)
{
	Elf64_Shdr sh;
	int ret;

	*n = le16toh(eh->e_phnum);
	if (*n != PN_XNUM)
		return 0;
	ret = read_at(dump->fd, &sh, sizeof(sh), le64toh(eh->e_shoff));
	*n = ret ? 0 : le32toh(sh.sh_info);
	return ret;
}

static const char *read_headers(struct uiommu_dump *dump)
{
	Elf64_Ehdr eh;
	Elf64_Phdr ph;
	u64 n, at;

	if (read_at(dump->fd, &eh, sizeof(eh), 0) || memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0)
		return "not an ELF file; a raw dump needs the address of its first byte";
	if (eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_ident[EI_DATA] != ELFDATA2LSB || le16toh(eh.e_type) != ET_CORE ||
	    le16toh(eh.e_phentsize) != sizeof(ph))
		return "not an ELF core of 64 bits, little-endian";
	if (count_headers(dump, &eh, &n) || n > MAX_SEGMENTS)
		return "the number of its program headers makes no sense";
	dump->segments = ui_calloc(n + 1, sizeof(*dump->segments));
	if (!dump->segments)
		return "out of memory";
	for (u64 i = 0; i < n; i++) {
		if (__builtin_add_overflow(le64toh(eh.e_phoff), i * sizeof(ph), &at) || read_at(dump->fd, &ph, sizeof(ph), at))
			return "its program headers are cut off";
		add_segment(dump, &ph);
	}
	separate(dump);
	return dump->n_segments ? NULL : "holds no memory";
}

struct uiommu_dump *uiommu_dump_open_elf(const char *path, char *err, size_t err_bytes)
{
	struct uiommu_dump *dump = dump_open(path, err, err_bytes);
	const char *wrong;

	if (!dump)
		return NULL;
	wrong = read_headers(dump);
	if (wrong) {
		snprintf(err, err_bytes, "%s: %s", path, wrong);
		uiommu_dump_close(dump);
		return NULL;
	}
	return dump;
}

/* The segment that holds @addr, else the next one above, else NULL. */
static const struct segment *find(const struct uiommu_dump *dump, u64 addr)
{
	size_t low = 0, high = dump->n_segments;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (dump->segments[mid].last < addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low < dump->n_segments ? &dump->segments[low] : NULL;
}

/* As much as there is. */
static size_t read_some(int fd, char *buf, size_t n_bytes, u64 offset)
{
	size_t at = 0;

	while (at < n_bytes) {
		ssize_t got = ui_sys_pread(fd, buf + at, n_bytes - at, offset + at);

		if (got > 0)
			at += (size_t)got;
		else if (got != -EINTR)
			break;
	}
	return at;
}

/* As read_at(), but through the cache. */
static int read_cached(struct uiommu_dump *dump, char *to, size_t n_bytes, u64 offset)
{
	while (n_bytes) {
		u64 at = ui_align_down(offset, CACHE_BYTES), skip = offset - at;
		struct cached *page = &dump->cache[at / CACHE_BYTES % CACHE_PAGES];
		size_t n;

		if (!page->n_bytes || page->offset != at) {
			page->offset = at;
			page->n_bytes = read_some(dump->fd, page->bytes, CACHE_BYTES, at);
		}
		if (skip >= page->n_bytes)
			return -ENODATA;
		n = (size_t)ui_min(n_bytes, page->n_bytes - skip);
		memcpy(to, page->bytes + skip, n);
		to += n;
		offset += n;
		n_bytes -= n;
	}
	return 0;
}

bool ui_dump_read(struct uiommu_dump *dump, u64 addr, u64 *words, unsigned n_words)
{
	u64 left = (u64)n_words * sizeof(u64);
	char *to = (char *)words;

	while (left) {
		const struct segment *s = find(dump, addr);
		u64 n;

		if (!s || s->start > addr)
			return false;
		n = ui_min(left, s->last - addr + 1);
		if (!n || read_cached(dump, to, (size_t)n, s->offset + (addr - s->start)))
			return false;
		to += n;
		left -= n;
		addr += n;
	}
	for (unsigned i = 0; i < n_words; i++)
		words[i] = le64toh(words[i]);
	return true;
}

bool ui_dump_next(const struct uiommu_dump *dump, u64 addr, u64 *next)
{
	const struct segment *s = find(dump, addr);

	if (s)
		*next = ui_max(addr, s->start);
	return s;
}
