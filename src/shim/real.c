/* SPDX-License-Identifier: MIT */
#include "shim/real.h"
#include "base/sys.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <sys/syscall.h>

struct ui_real ui_real;

/*
 * The memory calls are needed while dlsym() runs (it may allocate, and an allocator other than libc's calls mmap through
 * us): until they are found, the system calls themselves stand in.
 */
static void *early_mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	return (void *)syscall(SYS_mmap, addr, length, prot, flags, fd, offset);
}

static int early_munmap(void *addr, size_t length)
{
	return (int)syscall(SYS_munmap, addr, length);
}

static int early_madvise(void *addr, size_t length, int advice)
{
	return (int)syscall(SYS_madvise, addr, length, advice);
}

static void *early_mremap(void *old, size_t old_length, size_t new_length, int flags, ...)
{
	va_list ap;
	void *to;

	va_start(ap, flags);
	to = flags & MREMAP_FIXED ? va_arg(ap, void *) : NULL;
	va_end(ap);
	return (void *)syscall(SYS_mremap, old, old_length, new_length, flags, to);
}

void ui_real_init(void)
{
	static _Atomic int begun;
	int saved = errno;

	if (!begun++) {
		ui_real.mmap = early_mmap;
		ui_real.munmap = early_munmap;
		ui_real.madvise = early_madvise;
		ui_real.mremap = early_mremap;
	}
#define X(ret, name, args)                                                                                                 \
	{                                                                                                                  \
		void *found = dlsym(RTLD_NEXT, #name);                                                                     \
		if (found)                                                                                                 \
			*(void **)&ui_real.name = found;                                                                   \
	}
	UI_REAL_FUNCTIONS(X)
#undef X
	errno = saved;
}
