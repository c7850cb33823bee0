/* SPDX-License-Identifier: MIT */
/*
 * The machine's part of safe.c, its only includer: accesses that come back with an error when the machine refuses them.
 *
 *   arch_load_T, arch_store_T     one plain access; 0 or not
 *   arch_acquire_T, arch_release_T  ordered
 *   arch_cmpxchg_u64, arch_touch_u8 atomic read-modify-write
 *   arch_copy_words and so on     forward, 8 bytes at a time; return the words that are left
 *   arch_recover                  moves an interrupted access to its landing place
 *
 * Each group of instructions stands in the section ui_safe_table as {first, end, landing}, relative to the field itself.
 */
#ifndef UI_BASE_SAFE_ARCH_H
#define UI_BASE_SAFE_ARCH_H

#if defined(__x86_64__) || defined(__aarch64__)

struct recovery {
	s32 first, end, landing;
};

extern const struct recovery __start_ui_safe_table[] __attribute__((visibility("hidden")));
extern const struct recovery __stop_ui_safe_table[] __attribute__((visibility("hidden")));

#define RECOVER(first, end, landing)                                                                                      \
	".pushsection ui_safe_table,\"a\"\n\t"                                                                            \
	".balign 4\n\t"                                                                                                   \
	".long " first " - .\n\t"                                                                                         \
	".long " end " - .\n\t"                                                                                           \
	".long " landing " - .\n\t"                                                                                       \
	".popsection\n\t"

static bool find_landing(uintptr_t pc, uintptr_t *landing)
{
	for (const struct recovery *r = __start_ui_safe_table; r < __stop_ui_safe_table; r++) {
		if (pc < (uintptr_t)&r->first + (uintptr_t)(intptr_t)r->first ||
		    pc >= (uintptr_t)&r->end + (uintptr_t)(intptr_t)r->end)
			continue;
		*landing = (uintptr_t)&r->landing + (uintptr_t)(intptr_t)r->landing;
		return true;
	}
	return false;
}

#endif

#if defined(__x86_64__)

/* The handler sets rdx: every access keeps its error there. */
static bool arch_recover(void *ucontext)
{
	greg_t *regs = ((ucontext_t *)ucontext)->uc_mcontext.gregs;
	uintptr_t landing;

	if (!find_landing((uintptr_t)regs[REG_RIP], &landing))
		return false;
	regs[REG_RIP] = (greg_t)landing;
	regs[REG_RDX] = 1;
	return true;
}

#define ARCH_ACCESS(type, suffix, reg)                                                                                    \
	UI_ALWAYS_INLINE int arch_load_##type(const void *addr, type *val)                                                \
	{                                                                                                                 \
		long err = 0;                                                                                             \
		type got = 0;                                                                                             \
		__asm__ volatile("1: mov" suffix " (%[addr]), %[got]\n2:\n\t" RECOVER("1b", "2b", "2b")                   \
				 : "+d"(err), [got] "+" reg(got)                                                          \
				 : [addr] "r"(addr)                                                                       \
				 : "memory");                                                                             \
		*val = got;                                                                                               \
		return (int)err;                                                                                          \
	}                                                                                                                 \
	UI_ALWAYS_INLINE int arch_store_##type(void *addr, type val)                                                      \
	{                                                                                                                 \
		long err = 0;                                                                                             \
		__asm__ volatile("1: mov" suffix " %[val], (%[addr])\n2:\n\t" RECOVER("1b", "2b", "2b")                   \
				 : "+d"(err)                                                                              \
				 : [addr] "r"(addr), [val] reg(val)                                                       \
				 : "memory");                                                                             \
		return (int)err;                                                                                          \
	}
ARCH_ACCESS(u8, "b", "q")
ARCH_ACCESS(u16, "w", "r")
ARCH_ACCESS(u32, "l", "r")
ARCH_ACCESS(u64, "q", "r")
#undef ARCH_ACCESS

/* Every load of this machine acquires and every store releases. */
#define arch_acquire_u32 arch_load_u32
#define arch_acquire_u64 arch_load_u64
#define arch_release_u32 arch_store_u32
#define arch_release_u64 arch_store_u64

UI_ALWAYS_INLINE int arch_cmpxchg_u64(void *addr, u64 *expected, u64 desired)
{
	long err = 0;

	__asm__ volatile("1: lock cmpxchgq %[desired], (%[addr])\n2:\n\t" RECOVER("1b", "2b", "2b")
			 : "+d"(err), "+a"(*expected)
			 : [addr] "r"(addr), [desired] "r"(desired)
			 : "memory", "cc");
	return (int)err;
}

UI_ALWAYS_INLINE int arch_touch_u8(void *addr)
{
	long err = 0;

	__asm__ volatile("1: lock orb $0, (%[addr])\n2:\n\t" RECOVER("1b", "2b", "2b")
			 : "+d"(err)
			 : [addr] "r"(addr)
			 : "memory", "cc");
	return (int)err;
}

/* From here on the start-up cost of a string instruction is earned back. */
enum { STRING_WORDS = 48 };

UI_ALWAYS_INLINE size_t arch_copy_words(void *dst, const void *src, size_t words)
{
	long err = 0;
	u64 tmp = 0;

	if (words >= STRING_WORDS)
		__asm__ volatile("1: rep movsq\n2:\n\t" RECOVER("1b", "2b", "2b")
				 : "+d"(err), "+c"(words), "+S"(src), "+D"(dst)
				 :
				 : "memory");
	else
		__asm__ volatile("1: movq (%[src]), %[tmp]\n\t"
				 "movq %[tmp], (%[dst])\n\t"
				 "addq $8, %[src]\n\t"
				 "addq $8, %[dst]\n\t"
				 "decq %[words]\n\t"
				 "jnz 1b\n"
				 "2:\n\t" RECOVER("1b", "2b", "2b")
				 : "+d"(err), [words] "+r"(words), [src] "+r"(src), [dst] "+r"(dst), [tmp] "+r"(tmp)
				 :
				 : "memory", "cc");
	return words;
}

UI_ALWAYS_INLINE size_t arch_fill_words(void *dst, u64 val, size_t words)
{
	long err = 0;

	__asm__ volatile("1: rep stosq\n2:\n\t" RECOVER("1b", "2b", "2b")
			 : "+d"(err), "+c"(words), "+D"(dst)
			 : "a"(val)
			 : "memory");
	return words;
}

UI_ALWAYS_INLINE size_t arch_compare_words(const void *a, const void *b, size_t words)
{
	long err = 0;
	u64 tmp = 0;

	if (!words)
		return 0;
	__asm__ volatile("1: movq (%[a]), %[tmp]\n\t"
			 "cmpq %[tmp], (%[b])\n\t"
			 "jne 2f\n\t"
			 "addq $8, %[a]\n\t"
			 "addq $8, %[b]\n\t"
			 "decq %[words]\n\t"
			 "jnz 1b\n"
			 "2:\n\t" RECOVER("1b", "2b", "2b")
			 : "+d"(err), [words] "+r"(words), [a] "+r"(a), [b] "+r"(b), [tmp] "+r"(tmp)
			 :
			 : "memory", "cc");
	return words;
}

#elif defined(__aarch64__)

/* The handler sets x9: every access keeps its error there. */
static bool arch_recover(void *ucontext)
{
	mcontext_t *m = &((ucontext_t *)ucontext)->uc_mcontext;
	uintptr_t landing;

	if (!find_landing((uintptr_t)m->pc, &landing))
		return false;
	m->pc = landing;
	m->regs[9] = 1;
	return true;
}

#define ARCH_LOAD(name, type, insn, width)                                                                                \
	UI_ALWAYS_INLINE int name(const void *addr, type *val)                                                            \
	{                                                                                                                 \
		register long err __asm__("x9") = 0;                                                                      \
		type got = 0;                                                                                             \
		__asm__ volatile("1: " insn " %" width "[got], [%[addr]]\n2:\n\t" RECOVER("1b", "2b", "2b")               \
				 : "+r"(err), [got] "+r"(got)                                                             \
				 : [addr] "r"(addr)                                                                       \
				 : "memory");                                                                             \
		*val = got;                                                                                               \
		return (int)err;                                                                                          \
	}
#define ARCH_STORE(name, type, insn, width)                                                                               \
	UI_ALWAYS_INLINE int name(void *addr, type val)                                                                   \
	{                                                                                                                 \
		register long err __asm__("x9") = 0;                                                                      \
		__asm__ volatile("1: " insn " %" width "[val], [%[addr]]\n2:\n\t" RECOVER("1b", "2b", "2b")               \
				 : "+r"(err)                                                                              \
				 : [addr] "r"(addr), [val] "r"(val)                                                       \
				 : "memory");                                                                             \
		return (int)err;                                                                                          \
	}
ARCH_LOAD(arch_load_u8, u8, "ldrb", "w")
ARCH_LOAD(arch_load_u16, u16, "ldrh", "w")
ARCH_LOAD(arch_load_u32, u32, "ldr", "w")
ARCH_LOAD(arch_load_u64, u64, "ldr", "x")
ARCH_LOAD(arch_acquire_u32, u32, "ldar", "w")
ARCH_LOAD(arch_acquire_u64, u64, "ldar", "x")
ARCH_STORE(arch_store_u8, u8, "strb", "w")
ARCH_STORE(arch_store_u16, u16, "strh", "w")
ARCH_STORE(arch_store_u32, u32, "str", "w")
ARCH_STORE(arch_store_u64, u64, "str", "x")
ARCH_STORE(arch_release_u32, u32, "stlr", "w")
ARCH_STORE(arch_release_u64, u64, "stlr", "x")
#undef ARCH_LOAD
#undef ARCH_STORE

UI_ALWAYS_INLINE int arch_cmpxchg_u64(void *addr, u64 *expected, u64 desired)
{
	register long err __asm__("x9") = 0;
	u64 found = 0, wanted = *expected;
	u32 failed = 0;

	__asm__ volatile("1: ldaxr %x[found], [%[addr]]\n\t"
			 "cmp %x[found], %x[wanted]\n\t"
			 "b.ne 3f\n\t"
			 "stlxr %w[failed], %x[desired], [%[addr]]\n\t"
			 "cbnz %w[failed], 1b\n\t"
			 "b 2f\n"
			 "3: clrex\n"
			 "2:\n\t" RECOVER("1b", "2b", "2b")
			 : "+r"(err), [found] "+&r"(found), [failed] "+&r"(failed)
			 : [addr] "r"(addr), [wanted] "r"(wanted), [desired] "r"(desired)
			 : "memory", "cc");
	*expected = found;
	return (int)err;
}

UI_ALWAYS_INLINE int arch_touch_u8(void *addr)
{
	register long err __asm__("x9") = 0;
	u32 val = 0, failed = 0;

	__asm__ volatile("1: ldaxrb %w[val], [%[addr]]\n\t"
			 "stlxrb %w[failed], %w[val], [%[addr]]\n\t"
			 "cbnz %w[failed], 1b\n"
			 "2:\n\t" RECOVER("1b", "2b", "2b")
			 : "+r"(err), [val] "+&r"(val), [failed] "+&r"(failed)
			 : [addr] "r"(addr)
			 : "memory");
	return (int)err;
}

#else /* any other machine: a system call per access, and updates that other writers can slip between */

#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static bool arch_recover(void *ucontext)
{
	return false;
}

static int arch_transfer(long nr, void *local, void *remote, size_t n_bytes)
{
	struct iovec mine = { local, n_bytes }, theirs = { remote, n_bytes };
	int saved = errno;
	long got = syscall(nr, (long)ui_sys_getpid(), &mine, 1L, &theirs, 1L, 0L);

	errno = saved;
	return got == (long)n_bytes ? 0 : 1;
}

#define ARCH_ACCESS(type)                                                                                                 \
	UI_ALWAYS_INLINE int arch_load_##type(const void *addr, type *val)                                                \
	{                                                                                                                 \
		return arch_transfer(SYS_process_vm_readv, val, (void *)(uintptr_t)addr, sizeof(*val));                   \
	}                                                                                                                 \
	UI_ALWAYS_INLINE int arch_store_##type(void *addr, type val)                                                      \
	{                                                                                                                 \
		return arch_transfer(SYS_process_vm_writev, &val, addr, sizeof(val));                                     \
	}
ARCH_ACCESS(u8)
ARCH_ACCESS(u16)
ARCH_ACCESS(u32)
ARCH_ACCESS(u64)
#undef ARCH_ACCESS

#define arch_acquire_u32 arch_load_u32
#define arch_acquire_u64 arch_load_u64
#define arch_release_u32 arch_store_u32
#define arch_release_u64 arch_store_u64

static atomic_flag arch_update = ATOMIC_FLAG_INIT;

static int arch_cmpxchg_u64(void *addr, u64 *expected, u64 desired)
{
	u64 found = 0;
	int err;

	while (atomic_flag_test_and_set_explicit(&arch_update, memory_order_seq_cst))
		ui_sys_yield();
	err = arch_load_u64(addr, &found);
	if (!err && found == *expected)
		err = arch_store_u64(addr, desired);
	atomic_flag_clear_explicit(&arch_update, memory_order_seq_cst);
	*expected = found;
	return err;
}

static int arch_touch_u8(void *addr)
{
	u8 val;

	return arch_load_u8(addr, &val) || arch_store_u8(addr, val);
}

#endif

#if !defined(__x86_64__)

static size_t arch_copy_words(void *dst, const void *src, size_t words)
{
	uintptr_t d = (uintptr_t)dst, s = (uintptr_t)src;
	u64 val;

	for (; words; words--, d += 8, s += 8)
		if (arch_load_u64((const void *)s, &val) || arch_store_u64((void *)d, val))
			break;
	return words;
}

static size_t arch_fill_words(void *dst, u64 val, size_t words)
{
	uintptr_t d = (uintptr_t)dst;

	for (; words; words--, d += 8)
		if (arch_store_u64((void *)d, val))
			break;
	return words;
}

static size_t arch_compare_words(const void *a, const void *b, size_t words)
{
	uintptr_t x = (uintptr_t)a, y = (uintptr_t)b;
	u64 p, q;

	for (; words; words--, x += 8, y += 8)
		if (arch_load_u64((const void *)x, &p) || arch_load_u64((const void *)y, &q) || p != q)
			break;
	return words;
}

#endif

#endif
