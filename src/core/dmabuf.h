/* SPDX-License-Identifier: MIT */
/*
 * Memory that is passed around as a descriptor, like a kernel's dma-buf: it is mapped into IOASes by MAP_FILE, any number of times and
 * in any number of contexts, and whoever exported it may revoke it, which takes it out of all domains.
 *
 * Threads: any. Lock order: an IOAS's domains_lock, dmabuf->lock, set->moving.
 */
#ifndef UI_CORE_DMABUF_H
#define UI_CORE_DMABUF_H

#include "core/pages.h"

struct ui_dmabuf;

/* Of whole pages, not revoked; its memory follows by ui_dmabuf_lay(), and until then nobody can map it. One reference. NULL
 * without memory. */
struct ui_dmabuf *ui_dmabuf_create(u64 n_bytes);
/* [@va, @va + n_bytes), page-aligned, is its memory from now on, mapped by the caller: the end of the object unmaps it. Once. */
void ui_dmabuf_lay(struct ui_dmabuf *dmabuf, u64 va);
u64 ui_dmabuf_bytes(const struct ui_dmabuf *dmabuf);
struct ui_dmabuf *ui_dmabuf_get(struct ui_dmabuf *dmabuf);
void ui_dmabuf_put(struct ui_dmabuf *dmabuf);
/*
 * True: it leaves all domains it is mapped in, for good, and nothing can reach it there when this returns; its areas stay in their
 * IOASes. False: it can be mapped anew. 0; -EDEADLK from inside a section of such a domain: nothing is changed.
 */
int ui_dmabuf_revoke(struct ui_dmabuf *dmabuf, bool revoked);
/* Backing object of [@start, @start + @n_bytes), which is not empty and does not wrap. 0 with one reference; -EINVAL beyond the end;
 * -ENODEV revoked; -ENOMEM. */
int ui_dmabuf_pages(struct ui_dmabuf *dmabuf, struct ui_pages_set *set, u64 start, u64 n_bytes, bool writable, struct ui_pages **out);

/* For pages.c: the backing object goes. */
void ui_dmabuf_pages_gone(struct ui_pages *pages);

#endif
