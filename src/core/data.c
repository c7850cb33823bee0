/* SPDX-License-Identifier: MIT */
/* Data of the caller's for a driver half: single structures, and arrays of entries. */
#include "base/bits.h"
#include "base/user.h"
#include "core/driver.h"

#include <errno.h>
#include <string.h>

int ui_user_data_read(const struct ui_user_data *data, void *dst, u32 min_bytes, u32 known_bytes)
{
	if (data->n_bytes < min_bytes || data->n_bytes > known_bytes)
		return -EINVAL;
	memset(dst, 0, known_bytes);
	return ui_user_read(dst, data->uptr, data->n_bytes);
}

int ui_user_data_write(const struct ui_user_data *data, const void *src, u32 n_bytes)
{
	return ui_user_write(data->uptr, src, ui_min(data->n_bytes, n_bytes));
}

int ui_user_array_read(const struct ui_user_array *array, u32 i, void *dst, u32 known_bytes)
{
	u64 at = array->uptr + (u64)i * array->entry_bytes;
	int ret = 0;

	if (array->entry_bytes > known_bytes)
		ret = ui_user_zeros(at + known_bytes, array->entry_bytes - known_bytes);
	memset(dst, 0, known_bytes);
	return ret ? ret : ui_user_read(dst, at, ui_min(array->entry_bytes, known_bytes));
}
