/* SPDX-License-Identifier: MIT */
#ifndef UI_BASE_TYPES_H
#define UI_BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

#define UI_ALWAYS_INLINE static inline __attribute__((always_inline))
#define UI_NOINLINE __attribute__((noinline))
#define UI_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#define ui_likely(x) __builtin_expect(!!(x), 1)
#define ui_unlikely(x) __builtin_expect(!!(x), 0)

#define ui_array_size(a) (sizeof(a) / sizeof((a)[0]))
#define ui_container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* A programmer's error: never reached by what a guest or program controls. */
#define ui_assert(cond) ((cond) ? (void)0 : ui_assert_failed(#cond, __FILE__, __LINE__))
_Noreturn void ui_assert_failed(const char *cond, const char *file, int line);

#endif
