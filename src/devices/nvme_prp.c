/* SPDX-License-Identifier: MIT */
/*
 * PRPs (NVM Express 1.4, 4.3): the two addresses of a command, and the lists they may lead to. All of a command's pages are known and
 * checked before a byte moves. A list is read as often as the length asks for and no more: one that leads to itself does no harm.
 */
#include "devices/nvme_priv.h"

enum { LIST_ENTRIES = 32, ENTRY_BYTES = 8 };

/* What became of an access to the host's memory. */
static u16 status_of(enum ui_dma_status status)
{
	return status == UI_DMA_OK ? NVME_OK : NVME_DATA_TRANSFER;
}

static u16 read_host(struct ui_nvme *c, u64 iova, void *buf, u64 n_bytes)
{
	return status_of(ui_dma_read(c->port, &(struct ui_dma_addr){ .iova = iova }, buf, n_bytes, NULL, NULL));
}

/* Appends @n pages. 0 or a status. */
static u16 add_pages(struct ui_nvme_prps *out, const u64 *pages, u64 n, unsigned page_lg2)
{
	for (u64 i = 0; i < n; i++) {
		if (pages[i] & ui_mask_lg2(page_lg2))
			return NVME_PRP_OFFSET;
		out->addr[out->n++] = pages[i];
	}
	return NVME_OK;
}

/* The @need pages after the first, at least two, from the list at @list. The last slot of a list's page leads on when more are needed. */
static u16 read_list(struct ui_nvme *c, u64 list, u64 need, struct ui_nvme_prps *out)
{
	u64 page_bytes = UI_BIT(c->page_lg2), entries[LIST_ENTRIES];

	if (list & (ENTRY_BYTES - 1))
		return NVME_PRP_OFFSET;
	while (need) {
		u64 slots = (page_bytes - (list & (page_bytes - 1))) / ENTRY_BYTES;
		u64 n = ui_min(ui_min(need, slots), LIST_ENTRIES);
		bool leads_on = n == slots && need > slots;
		u16 status = read_host(c, list, entries, n * ENTRY_BYTES);

		if (!status)
			status = add_pages(out, entries, n - leads_on, c->page_lg2);
		if (!status && leads_on && (entries[n - 1] & (page_bytes - 1)))
			status = NVME_PRP_OFFSET;
		if (status)
			return status;
		need -= n - leads_on;
		list = leads_on ? entries[n - 1] : list + n * ENTRY_BYTES;
	}
	return NVME_OK;
}

u16 ui_nvme_prp_resolve(struct ui_nvme *c, u64 prp1, u64 prp2, u64 n_bytes, struct ui_nvme_prps *out)
{
	u64 page_bytes = UI_BIT(c->page_lg2), first = page_bytes - (prp1 & (page_bytes - 1)), need;

	out->n = 0;
	out->n_bytes = n_bytes;
	if (prp1 & 3)
		return NVME_PRP_OFFSET;
	out->addr[out->n++] = prp1;
	if (n_bytes <= first)
		return NVME_OK;
	need = (n_bytes - first + page_bytes - 1) >> c->page_lg2;
	return need == 1 ? add_pages(out, &prp2, 1, c->page_lg2) : read_list(c, prp2, need, out);
}

/* The piece of the command's memory that starts at its byte @at: pages that follow each other count as one. */
static u64 piece(const struct ui_nvme *c, const struct ui_nvme_prps *prps, u64 at, u64 *iova)
{
	u64 page_bytes = UI_BIT(c->page_lg2), from_first = at + (prps->addr[0] & (page_bytes - 1));
	u64 i = from_first >> c->page_lg2, n = page_bytes - (from_first & (page_bytes - 1));

	*iova = ui_align_down(prps->addr[i], page_bytes) + (from_first & (page_bytes - 1));
	for (; i + 1 < prps->n && prps->addr[i + 1] == ui_align_down(prps->addr[i], page_bytes) + page_bytes; i++)
		n += page_bytes;
	return n;
}

u16 ui_nvme_prp_get(struct ui_nvme *c, const struct ui_nvme_prps *prps, u64 at, void *buf, u64 n_bytes)
{
	u16 status = NVME_OK;

	for (u64 done = 0, n; !status && done < n_bytes; done += n) {
		u64 iova;

		n = ui_min(piece(c, prps, at + done, &iova), n_bytes - done);
		status = read_host(c, iova, (u8 *)buf + done, n);
	}
	c->spent += n_bytes;
	return status;
}

u16 ui_nvme_prp_put(struct ui_nvme *c, const struct ui_nvme_prps *prps, u64 at, const void *buf, u64 n_bytes)
{
	u16 status = NVME_OK;

	for (u64 done = 0, n; !status && done < n_bytes; done += n) {
		struct ui_dma_addr to = { 0 };

		n = ui_min(piece(c, prps, at + done, &to.iova), n_bytes - done);
		status = status_of(ui_dma_write(c->port, &to, (const u8 *)buf + done, n, NULL, NULL));
	}
	c->spent += n_bytes;
	return status;
}

u16 ui_nvme_prp_answer(struct ui_nvme *c, const struct ui_nvme_sqe *sqe, const void *buf, u64 n_bytes)
{
	struct ui_nvme_prps *prps = &c->cur.prps;
	u16 status = ui_nvme_prp_resolve(c, sqe->prp1, sqe->prp2, n_bytes, prps);

	return status ? status : ui_nvme_prp_put(c, prps, 0, buf, n_bytes);
}
