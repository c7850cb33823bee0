/* SPDX-License-Identifier: MIT */
#include "translate/mem.h"
#include "base/alloc.h"
#include "translate/priv.h"

#include <errno.h>
#include <string.h>

struct region {
	u64 start, last;
	u8 *host; /* NULL: MMIO */
	const struct ui_mem_mmio_ops *ops;
	void *arg;
	bool writable;
};

/* Sorted and constant: a change makes a new map. */
struct map {
	struct map *next_retired;
	size_t n;
	struct region regions[];
};

struct ui_mem {
	_Atomic(struct map *) map; /* replaced under lock */
	pthread_mutex_t lock;      /* guards what follows; never held while anybody waits */
	struct map *retired;       /* sections may still read them */
	struct ui_list trs;
};

static struct map *map_new(size_t n)
{
	struct map *map = ui_zalloc(sizeof(*map) + n * sizeof(map->regions[0]));

	if (map)
		map->n = n;
	return map;
}

struct ui_mem *ui_mem_create(void)
{
	struct ui_mem *mem = ui_zalloc(sizeof(*mem));
	struct map *map = map_new(0);

	if (!mem || !map) {
		ui_free(map);
		ui_free(mem);
		return NULL;
	}
	atomic_init(&mem->map, map);
	pthread_mutex_init(&mem->lock, NULL);
	ui_list_init(&mem->trs);
	return mem;
}

struct ui_mem *ui_mem_create_process(void)
{
	const u64 start = 0x10000, end = (u64)1 << 47;
	struct ui_mem *mem = ui_mem_create();

	if (mem && ui_mem_add_ram(mem, start, end - start, (void *)(uintptr_t)start, true)) {
		ui_mem_destroy(mem);
		return NULL;
	}
	return mem;
}

static void free_maps(struct map *first)
{
	while (first) {
		struct map *map = first;

		first = map->next_retired;
		ui_free(map);
	}
}

static struct map *take_retired(struct ui_mem *mem)
{
	struct map *first = mem->retired;

	mem->retired = NULL;
	return first;
}

void ui_mem_destroy(struct ui_mem *mem)
{
	if (!mem)
		return;
	ui_assert(ui_list_empty(&mem->trs));
	free_maps(take_retired(mem));
	ui_free(atomic_load_explicit(&mem->map, memory_order_relaxed));
	pthread_mutex_destroy(&mem->lock);
	ui_free(mem);
}

void ui_mem_join(struct ui_mem *mem, struct ui_tr *tr)
{
	pthread_mutex_lock(&mem->lock);
	ui_list_add_tail(&mem->trs, &tr->in_mem);
	pthread_mutex_unlock(&mem->lock);
}

void ui_mem_leave(struct ui_mem *mem, struct ui_tr *tr)
{
	pthread_mutex_lock(&mem->lock);
	for (unsigned n = 0; tr->mem_pins; n++) {
		pthread_mutex_unlock(&mem->lock);
		ui_tr_relax(n);
		pthread_mutex_lock(&mem->lock);
	}
	ui_list_del(&tr->in_mem);
	pthread_mutex_unlock(&mem->lock);
}

/* Index of the first region that ends at @pa or above; map->n when there is none. */
UI_ALWAYS_INLINE size_t lower_bound(const struct map *map, u64 pa)
{
	size_t lo = 0, hi = map->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (map->regions[mid].last < pa)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

u8 *ui_mem_host_page(const struct ui_mem *mem, u64 pa, unsigned lg2, unsigned rights)
{
	/* Acquire: partner is publish(). */
	const struct map *map = atomic_load_explicit(&mem->map, memory_order_acquire);
	u64 first = pa & ~ui_mask_lg2(lg2);
	size_t i = lower_bound(map, first);
	const struct region *r = &map->regions[i];

	if (i == map->n || r->start > first || r->last < (first | ui_mask_lg2(lg2)) || !r->host)
		return NULL;
	return r->writable || !(rights & UI_PROT_WRITE) ? r->host + (first - r->start) : NULL;
}

bool ui_mem_resolve(const struct ui_mem *mem, u64 pa, struct ui_mem_span *span)
{
	/* Acquire: partner is publish(). */
	const struct map *map = atomic_load_explicit(&mem->map, memory_order_acquire);
	size_t i = lower_bound(map, pa);
	const struct region *r = &map->regions[i];

	if (i == map->n || r->start > pa)
		return false;
	span->host = r->host ? r->host + (pa - r->start) : NULL;
	span->ops = r->ops;
	span->arg = r->arg;
	span->offset = pa - r->start;
	span->n_bytes = r->last - pa + 1;
	if (!span->n_bytes) /* the region is the whole of 2^64 */
		span->n_bytes = ~(u64)0;
	span->writable = r->writable;
	return true;
}

/* Readers may stand on the old map until it leaves the retired list. */
static void publish(struct ui_mem *mem, struct map *map)
{
	struct map *old = atomic_load_explicit(&mem->map, memory_order_relaxed);

	/* Release: partner is ui_mem_resolve(). */
	atomic_store_explicit(&mem->map, map, memory_order_release);
	old->next_retired = mem->retired;
	mem->retired = old;
}

static bool all_quiet(struct ui_mem *mem)
{
	ui_list_for_each(pos, &mem->trs)
	{
		struct ui_tr *tr = ui_container_of(pos, struct ui_tr, in_mem);

		ui_tr_changed(tr);
		if (!ui_tr_quiet(tr))
			return false;
	}
	return true;
}

static int add(struct ui_mem *mem, u64 pa, u64 n_bytes, const struct region *region)
{
	struct region new = *region;
	struct map *map, *old;
	int ret = -EEXIST;
	size_t i;

	new.start = pa;
	if (!ui_range_last(pa, n_bytes, &new.last))
		return -EINVAL;
	pthread_mutex_lock(&mem->lock);
	old = atomic_load_explicit(&mem->map, memory_order_relaxed);
	i = lower_bound(old, new.start);
	if (i < old->n && old->regions[i].start <= new.last)
		goto out;
	ret = -ENOMEM;
	map = map_new(old->n + 1);
	if (!map)
		goto out;
	memcpy(map->regions, old->regions, i * sizeof(new));
	map->regions[i] = new;
	memcpy(map->regions + i + 1, old->regions + i, (old->n - i) * sizeof(new));
	publish(mem, map);
	/* An addition waits for nobody; what a section may still read is freed another time. */
	if (all_quiet(mem))
		free_maps(take_retired(mem));
	ret = 0;
out:
	pthread_mutex_unlock(&mem->lock);
	return ret;
}

int ui_mem_add_ram(struct ui_mem *mem, u64 pa, u64 n_bytes, void *host, bool writable)
{
	struct region r = { .host = host, .writable = writable };

	return host ? add(mem, pa, n_bytes, &r) : -EINVAL;
}

int ui_mem_add_mmio(struct ui_mem *mem, u64 pa, u64 n_bytes, const struct ui_mem_mmio_ops *ops, void *arg)
{
	struct region r = { .ops = ops, .arg = arg, .writable = true };

	return add(mem, pa, n_bytes, &r);
}

static bool self_inside(struct ui_mem *mem, uintptr_t mmio)
{
	ui_list_for_each(pos, &mem->trs)
	{
		struct ui_tr *tr = ui_container_of(pos, struct ui_tr, in_mem);

		if (ui_tr_self_inside(tr, NULL) || (mmio && ui_tr_self_in_mmio(tr, mmio)))
			return true;
	}
	return false;
}

/* Cleans and waits, an instance at a time; pinned ones stay in the list while the lock is open. */
static void drain(struct ui_mem *mem, uintptr_t mmio)
{
	pthread_mutex_lock(&mem->lock);
	ui_list_for_each(pos, &mem->trs)
	{
		struct ui_tr *tr = ui_container_of(pos, struct ui_tr, in_mem);

		tr->mem_pins++;
		pthread_mutex_unlock(&mem->lock);
		ui_tr_invalidate_all(tr);
		if (mmio)
			ui_tr_wait_mmio(tr, mmio);
		pthread_mutex_lock(&mem->lock);
		tr->mem_pins--;
	}
	pthread_mutex_unlock(&mem->lock);
}

int ui_mem_remove(struct ui_mem *mem, u64 pa)
{
	struct map *map, *old, *retired = NULL;
	uintptr_t mmio = 0;
	int ret = -ENOENT;
	size_t i;

	pthread_mutex_lock(&mem->lock);
	old = atomic_load_explicit(&mem->map, memory_order_relaxed);
	i = lower_bound(old, pa);
	if (i == old->n || old->regions[i].start != pa)
		goto out;
	if (!old->regions[i].host)
		mmio = ui_mem_mmio_key(old->regions[i].ops, old->regions[i].arg);
	ret = -EDEADLK;
	if (self_inside(mem, mmio))
		goto out;
	ret = -ENOMEM;
	map = map_new(old->n - 1);
	if (!map)
		goto out;
	memcpy(map->regions, old->regions, i * sizeof(map->regions[0]));
	memcpy(map->regions + i, old->regions + i + 1, (map->n - i) * sizeof(map->regions[0]));
	publish(mem, map);
	retired = take_retired(mem);
	ret = 0;
out:
	pthread_mutex_unlock(&mem->lock);
	if (!ret) {
		drain(mem, mmio);
		free_maps(retired);
	}
	return ret;
}
