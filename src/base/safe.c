/* SPDX-License-Identifier: MIT */
#include "base/safe.h"
#include "base/sys.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <ucontext.h>

#include "base/safe_arch.h"

#define FOR_EACH_WIDTH(m) m(1, u8) m(2, u16) m(4, u32) m(8, u64)

/* Addresses are numbers here: they may point at nothing, where C allows no arithmetic on pointers. */
/* One access of @width bytes at each side: a naturally aligned 1, 2, 4 or 8 never tears. */
static bool move_one(uintptr_t dst, uintptr_t src, size_t width)
{
	switch (width) {
#define CASE(n, type)                                                                                                     \
	case n: {                                                                                                         \
		type val;                                                                                                 \
		return !arch_load_##type((const void *)src, &val) && !arch_store_##type((void *)dst, val);                                      \
	}
		FOR_EACH_WIDTH(CASE)
#undef CASE
	}
	return false;
}

static size_t move_bytes(uintptr_t dst, uintptr_t src, size_t n_bytes)
{
	for (size_t i = 0; i < n_bytes; i++)
		if (!move_one(dst + i, src + i, 1))
			return i;
	return n_bytes;
}

/* Steps of 1, 2 and 4 bytes up to the next multiple of 8 of @dst, as far as @n_bytes goes. */
static size_t move_head(uintptr_t dst, uintptr_t src, size_t n_bytes)
{
	size_t done = 0;

	for (size_t w = 1; w < 8; w <<= 1) {
		if (!((dst + done) & w) || n_bytes - done < w)
			continue;
		if (!move_one(dst + done, src + done, w))
			return done;
		done += w;
	}
	return done;
}

static size_t move_tail(uintptr_t dst, uintptr_t src, size_t n_bytes)
{
	size_t done = 0;

	for (size_t w = 4; w; w >>= 1) {
		if (!(n_bytes & w))
			continue;
		if (!move_one(dst + done, src + done, w))
			return done;
		done += w;
	}
	return done;
}

size_t ui_safe_copy_some(void *dst, const void *src, size_t n_bytes)
{
	uintptr_t d = (uintptr_t)dst, s = (uintptr_t)src;
	size_t done = 0, words;

	if (n_bytes <= 8 && (n_bytes & (n_bytes - 1)) == 0) {
		if (!n_bytes || move_one(d, s, n_bytes))
			return n_bytes;
		return move_bytes(d, s, n_bytes);
	}
	/* What fails as a word is tried again by bytes, so that the count is exact even when a word straddles a page. */
	if (d & 7) {
		size_t head = move_head(d, s, n_bytes);

		if (n_bytes - head >= 8 && ((d + head) & 7))
			return head + move_bytes(d + head, s + head, n_bytes - head);
		done = head;
	}
	words = (n_bytes - done) / 8;
	if (words) {
		size_t left = arch_copy_words((void *)(d + done), (const void *)(s + done), words);

		done += (words - left) * 8;
		if (left)
			return done + move_bytes(d + done, s + done, n_bytes - done);
	}
	done += move_tail(d + done, s + done, n_bytes - done);
	if (done < n_bytes)
		done += move_bytes(d + done, s + done, n_bytes - done);
	return done;
}

int ui_safe_copy(void *dst, const void *src, size_t n_bytes)
{
	return ui_safe_copy_some(dst, src, n_bytes) == n_bytes ? 0 : -EFAULT;
}

static u64 rotate(u64 pattern, size_t n_bytes)
{
	unsigned bits = (unsigned)(n_bytes & 7) * 8;

	return bits ? pattern >> bits | pattern << (64 - bits) : pattern;
}

static size_t fill_bytes(uintptr_t dst, u64 pattern, size_t n_bytes)
{
	for (size_t i = 0; i < n_bytes; i++)
		if (arch_store_u8((void *)(dst + i), (u8)rotate(pattern, i)))
			return i;
	return n_bytes;
}

size_t ui_safe_fill_some(void *dst, u64 pattern, unsigned phase, size_t n_bytes)
{
	uintptr_t d = (uintptr_t)dst;
	u64 from = rotate(pattern, phase); /* little-endian: byte 0 first */
	size_t head = -d & 7, done, words;

	if (head > n_bytes)
		head = n_bytes;
	done = fill_bytes(d, from, head);
	if (done < head)
		return done;
	words = (n_bytes - done) / 8;
	if (words) {
		size_t left = arch_fill_words((void *)(d + done), rotate(from, done), words);

		done += (words - left) * 8;
		if (left)
			return done;
	}
	return done + fill_bytes(d + done, rotate(from, done), n_bytes - done);
}

int ui_safe_fill(void *dst, u64 pattern, unsigned phase, size_t n_bytes)
{
	return ui_safe_fill_some(dst, pattern, phase, n_bytes) == n_bytes ? 0 : -EFAULT;
}

int ui_safe_compare(const void *a, const void *b, size_t n_bytes, size_t *at)
{
	uintptr_t x = (uintptr_t)a, y = (uintptr_t)b;
	size_t words = n_bytes / 8;

	/* Ends early at a difference or a failure; the bytes from there tell which. */
	size_t done = (words - arch_compare_words(a, b, words)) * 8;

	for (; done < n_bytes; done++) {
		u8 p, q;

		if (arch_load_u8((const void *)(x + done), &p) || arch_load_u8((const void *)(y + done), &q)) {
			*at = done;
			return -EFAULT;
		}
		if (p != q) {
			*at = done;
			return 1;
		}
	}
	return 0;
}

int ui_safe_load64(const void *addr, u64 *val)
{
	return arch_acquire_u64(addr, val) ? -EFAULT : 0;
}

int ui_safe_load32(const void *addr, u32 *val)
{
	return arch_acquire_u32(addr, val) ? -EFAULT : 0;
}

int ui_safe_store64(void *addr, u64 val)
{
	return arch_release_u64(addr, val) ? -EFAULT : 0;
}

int ui_safe_store32(void *addr, u32 val)
{
	return arch_release_u32(addr, val) ? -EFAULT : 0;
}

int ui_safe_cmpxchg64(void *addr, u64 *expected, u64 desired)
{
	u64 found = *expected;

	if (arch_cmpxchg_u64(addr, &found, desired))
		return -EFAULT;
	if (found == *expected)
		return 0;
	*expected = found;
	return 1;
}

int ui_safe_probe(void *addr, size_t n_bytes, bool write)
{
	uintptr_t at = (uintptr_t)addr, last;
	u8 val;

	if (!n_bytes)
		return 0;
	if (__builtin_add_overflow(at, n_bytes - 1, &last))
		return -EFAULT;
	for (;;) {
		if (write ? arch_touch_u8((void *)at) : arch_load_u8((const void *)at, &val))
			return -EFAULT;
		at = (at | 4095) + 1;
		if (!at || at > last)
			return 0;
	}
}

bool ui_safe_recover(int sig, const void *siginfo, void *ucontext)
{
	if (sig != SIGSEGV && sig != SIGBUS)
		return false;
	/* Somebody's kill() at such an instruction is not a failed access. */
	if (siginfo && ((const siginfo_t *)siginfo)->si_code <= 0)
		return false;
	return arch_recover(ucontext);
}

static struct sigaction chained[2]; /* SIGSEGV, SIGBUS; written before the handler is in place */

static void pass_on(int sig, siginfo_t *info, void *ucontext)
{
	const struct sigaction *to = &chained[sig == SIGBUS];
	struct sigaction dfl = { .sa_handler = SIG_DFL };

	if (to->sa_flags & SA_SIGINFO) {
		to->sa_sigaction(sig, info, ucontext);
	} else if (to->sa_handler == SIG_IGN && info->si_code <= 0) {
		return;
	} else if (to->sa_handler == SIG_DFL || to->sa_handler == SIG_IGN) {
		/* A failed access happens again on return and ends the process with its true address; a sent one does not. */
		sigaction(sig, &dfl, NULL);
		if (info->si_code <= 0)
			raise(sig);
	} else {
		to->sa_handler(sig);
	}
}

static void handler(int sig, siginfo_t *info, void *ucontext)
{
	int saved = errno;

	if (!ui_safe_recover(sig, info, ucontext))
		pass_on(sig, info, ucontext);
	errno = saved;
}

int ui_safe_install(void)
{
	static const int sigs[2] = { SIGSEGV, SIGBUS };
	static atomic_flag taken = ATOMIC_FLAG_INIT;

	if (atomic_flag_test_and_set_explicit(&taken, memory_order_acq_rel))
		return 0;
	for (int i = 0; i < 2; i++) {
		struct sigaction act;

		if (sigaction(sigs[i], NULL, &chained[i]))
			return -errno;
		act = chained[i];
		act.sa_flags = (act.sa_flags & (SA_ONSTACK | SA_RESTART | SA_NODEFER)) | SA_SIGINFO | SA_ONSTACK;
		act.sa_sigaction = handler;
		if (sigaction(sigs[i], &act, NULL))
			return -errno;
	}
	return 0;
}
