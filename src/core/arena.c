/* SPDX-License-Identifier: MIT */
#include "core/arena.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "base/sys.h"
#include "translate/mem.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define CHUNK_BYTES ((size_t)1 << UI_ARENA_CHUNK_LG2)

struct chunk {
	struct ui_list link;
	u8 *base;
};

/* CHUNK_BYTES, aligned to their size, zero; NULL when the system has no more. */
static u8 *chunk_map(void)
{
	u8 *raw = ui_sys_mmap(NULL, 2 * CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t head;

	if (ui_sys_is_err(raw))
		return NULL;
	head = (size_t)(ui_align_up((uintptr_t)raw, CHUNK_BYTES) - (uintptr_t)raw);
	if (head)
		ui_sys_munmap(raw, head);
	if (head < CHUNK_BYTES)
		ui_sys_munmap(raw + head + CHUNK_BYTES, CHUNK_BYTES - head);
	return raw + head;
}

static bool is_process_memory(struct ui_mem *mem, void *page)
{
	struct ui_mem_span span;

	return ui_mem_resolve(mem, (uintptr_t)page, &span) && span.host == page;
}

static void push(struct ui_arena *arena, void *page, unsigned lg2)
{
	void **head = &arena->free[lg2 - UI_ARENA_MIN_LG2];

	memcpy(page, head, sizeof(*head));
	*head = page;
}

/* Moves the front of the newest chunk up to @to, keeping what is skipped as free pages of the sizes its alignment gives. */
static void skip_to(struct ui_arena *arena, u8 *to)
{
	while (arena->next < to) {
		unsigned lg2 = ui_ffs64((uintptr_t)arena->next);
		unsigned room = ui_fls64((u64)(to - arena->next));

		if (lg2 > room)
			lg2 = room;
		push(arena, arena->next, lg2);
		arena->next += (size_t)1 << lg2;
	}
}

static bool grow(struct ui_arena *arena)
{
	struct chunk *chunk = ui_zalloc(sizeof(*chunk));

	if (!chunk)
		return false;
	chunk->base = ui_inject_point() ? NULL : chunk_map();
	if (!chunk->base) {
		ui_free(chunk);
		return false;
	}
	if (arena->regions && ui_mem_add_ram(arena->mem, (uintptr_t)chunk->base + arena->shift, CHUNK_BYTES, chunk->base, false)) {
		ui_sys_munmap(chunk->base, CHUNK_BYTES);
		ui_free(chunk);
		return false;
	}
	skip_to(arena, arena->end);
	arena->next = chunk->base;
	arena->end = chunk->base + CHUNK_BYTES;
	ui_list_add_tail(&arena->chunks, &chunk->link);
	return true;
}

int ui_arena_init(struct ui_arena *arena, struct ui_mem *mem, unsigned pa_bits)
{
	u8 *probe = chunk_map();

	if (!probe)
		return -ENOMEM;
	memset(arena, 0, sizeof(*arena));
	arena->mem = mem;
	arena->regions = !is_process_memory(mem, probe);
	arena->shift = arena->regions ? UI_BIT(pa_bits - 1) : 0;
	ui_sys_munmap(probe, CHUNK_BYTES);
	pthread_mutex_init(&arena->lock, NULL);
	ui_list_init(&arena->chunks);
	return 0;
}

void ui_arena_fini(struct ui_arena *arena)
{
	ui_assert(!arena->n_used_bytes);
	ui_list_for_each_safe(item, &arena->chunks) {
		struct chunk *chunk = ui_container_of(item, struct chunk, link);

		/* A region that could not be taken out (no memory for it) keeps its pages: better a leak than a dangling pointer. */
		if (!arena->regions || !ui_mem_remove(arena->mem, (uintptr_t)chunk->base + arena->shift))
			ui_sys_munmap(chunk->base, CHUNK_BYTES);
		ui_list_del(item);
		ui_free(chunk);
	}
	pthread_mutex_destroy(&arena->lock);
}

static void *carve(struct ui_arena *arena, unsigned lg2)
{
	size_t n_bytes = (size_t)1 << lg2;
	void **head = &arena->free[lg2 - UI_ARENA_MIN_LG2];
	u8 *page = *head;

	if (page) {
		memcpy(head, page, sizeof(*head));
		return page;
	}
	if (arena->next)
		page = (u8 *)ui_align_up((uintptr_t)arena->next, n_bytes);
	if (!page || page > arena->end || (size_t)(arena->end - page) < n_bytes) {
		if (!grow(arena))
			return NULL;
		page = arena->next;
	}
	skip_to(arena, page);
	arena->next += n_bytes;
	return page;
}

void *ui_arena_alloc(struct ui_arena *arena, size_t n_bytes)
{
	void *page;

	ui_assert(ui_is_pow2(n_bytes) && n_bytes >= (size_t)1 << UI_ARENA_MIN_LG2 && n_bytes <= CHUNK_BYTES);
	if (ui_inject_point())
		return NULL;
	pthread_mutex_lock(&arena->lock);
	page = carve(arena, ui_fls64(n_bytes));
	if (page)
		arena->n_used_bytes += n_bytes;
	pthread_mutex_unlock(&arena->lock);
	return page ? memset(page, 0, n_bytes) : NULL;
}

void ui_arena_free(struct ui_arena *arena, void *page, size_t n_bytes)
{
	pthread_mutex_lock(&arena->lock);
	arena->n_used_bytes -= n_bytes;
	push(arena, page, ui_fls64(n_bytes));
	pthread_mutex_unlock(&arena->lock);
}
