/* SPDX-License-Identifier: MIT */
/* Bit and log2 arithmetic that stays defined at the full 64-bit width. */
#ifndef UI_BASE_BITS_H
#define UI_BASE_BITS_H

#include "base/types.h"

#define UI_PAGE_LG2 12u
#define UI_PAGE_BYTES ((u64)1 << UI_PAGE_LG2)
#define UI_BIT(n) ((u64)1 << (n))

/* The low @lg2 bits set; @lg2 from 0 to 64. */
UI_ALWAYS_INLINE u64 ui_mask_lg2(unsigned lg2)
{
	return lg2 >= 64 ? ~(u64)0 : UI_BIT(lg2) - 1;
}

/* Bits @last down to @first set, both counted from 0. */
UI_ALWAYS_INLINE u64 ui_mask_range(unsigned last, unsigned first)
{
	return ui_mask_lg2(last + 1) & ~ui_mask_lg2(first);
}

/* The field of @val in bits @last to @first. */
UI_ALWAYS_INLINE u64 ui_field(u64 val, unsigned last, unsigned first)
{
	return (val >> first) & ui_mask_lg2(last - first + 1);
}

/* Index of the lowest set bit; 64 for 0. */
UI_ALWAYS_INLINE unsigned ui_ffs64(u64 val)
{
	return val ? (unsigned)__builtin_ctzll(val) : 64;
}

/* Index of the highest set bit; @val is not 0. */
UI_ALWAYS_INLINE unsigned ui_fls64(u64 val)
{
	return 63 - (unsigned)__builtin_clzll(val);
}

/* Smallest n with 2^n >= @val; 64 above 2^63; 0 for 0 and 1. */
UI_ALWAYS_INLINE unsigned ui_ceil_lg2(u64 val)
{
	return val <= 1 ? 0 : ui_fls64(val - 1) + 1;
}

UI_ALWAYS_INLINE u64 ui_align_down(u64 val, u64 align)
{
	return val & ~(align - 1);
}

/* Wraps to 0 above 2^64 - @align: callers check first. */
UI_ALWAYS_INLINE u64 ui_align_up(u64 val, u64 align)
{
	return (val + align - 1) & ~(align - 1);
}

UI_ALWAYS_INLINE bool ui_is_aligned(u64 val, u64 align)
{
	return !(val & (align - 1));
}

UI_ALWAYS_INLINE bool ui_is_pow2(u64 val)
{
	return val && !(val & (val - 1));
}

UI_ALWAYS_INLINE u64 ui_min(u64 a, u64 b)
{
	return a < b ? a : b;
}

UI_ALWAYS_INLINE u64 ui_max(u64 a, u64 b)
{
	return a > b ? a : b;
}

/* *@last = @start + @length - 1. False when @length is 0 or the range wraps. */
UI_ALWAYS_INLINE bool ui_range_last(u64 start, u64 length, u64 *last)
{
	return length && !__builtin_add_overflow(start, length - 1, last);
}

#endif
