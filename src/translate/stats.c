/* SPDX-License-Identifier: MIT */
#include "translate/stats.h"
#include "base/bits.h"

#include <stddef.h>

struct ui_stats_row *ui_stats_row(struct ui_stats_dev *dev, u32 pasid, bool has_pasid)
{
	u32 want = pasid + 1;

	if (!has_pasid)
		return &dev->rows[UI_STATS_NO_PASID];
	/* A number that no PASID can have, in 20 bits or any. */
	if (ui_unlikely(!want))
		return &dev->rows[UI_STATS_OTHER];
	for (unsigned i = UI_STATS_NO_PASID + 1; i < UI_STATS_OTHER; i++) {
		u32 there = atomic_load_explicit(&dev->pasids[i], memory_order_relaxed);

		/* Who loses this against another thread finds that one's PASID there. */
		if (!there && atomic_compare_exchange_strong_explicit(&dev->pasids[i], &there, want, memory_order_relaxed,
								      memory_order_relaxed))
			return &dev->rows[i];
		if (there == want)
			return &dev->rows[i];
	}
	return &dev->rows[UI_STATS_OTHER];
}

const struct ui_stats_row *ui_stats_next(const struct ui_stats_dev *dev, unsigned *i)
{
	unsigned at = *i;

	if (at >= UI_STATS_ROWS)
		return NULL;
	/* The first free row ends those of PASIDs. */
	if (at > UI_STATS_NO_PASID && at < UI_STATS_OTHER && !atomic_load_explicit(&dev->pasids[at], memory_order_relaxed))
		at = UI_STATS_OTHER;
	*i = at + 1;
	return &dev->rows[at];
}

struct ui_stats_dev *ui_stats_device(struct ui_stats *stats, u32 n_devices, u32 rid)
{
	u64 want = UI_BIT(32) | rid;

	for (u32 i = 0; i < n_devices; i++) {
		struct ui_stats_dev *dev = &stats->devices[i];
		u64 there = ui_stats_get(&dev->whose);

		if (!there && atomic_compare_exchange_strong_explicit(&dev->whose, &there, want, memory_order_relaxed,
								      memory_order_relaxed))
			return dev;
		if (there == want)
			return dev;
	}
	return NULL;
}
