/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <unistd.h>

#include "guest.h"

uint32_t read32(struct dma *dma, unsigned offset)
{
	return *(volatile uint32_t *)(dma->registers + offset);
}

uint64_t read64(struct dma *dma, unsigned offset)
{
	return *(volatile uint64_t *)(dma->registers + offset);
}

void write32(struct dma *dma, unsigned offset, uint32_t value)
{
	*(volatile uint32_t *)(dma->registers + offset) = value;
}

void write64(struct dma *dma, unsigned offset, uint64_t value)
{
	*(volatile uint64_t *)(dma->registers + offset) = value;
}

void dma_reset(struct dma *dma)
{
	write32(dma, REG_CTRL, CTRL_RESET);
	write32(dma, REG_CTRL, CTRL_ENABLE);
}

static unsigned channel_register(const struct channel *channel, unsigned offset)
{
	return CHANNEL0 + channel->number * CHANNEL_BYTES + offset;
}

void channel_start(struct channel *channel, struct dma *dma, unsigned number, bool poll, void *page)
{
	memset(page, 0, PAGE);
	*channel = (struct channel){ .dma = dma, .number = number, .poll = poll, .ring = page,
				     .completions = (struct completion *)((struct descriptor *)page + RING) };
	write32(dma, channel_register(channel, CH_CTRL), 0);
	write64(dma, channel_register(channel, CH_RING_BASE), pci_iova(dma->pci, page));
	write32(dma, channel_register(channel, CH_RING_LG2), RING_LG2);
	write32(dma, channel_register(channel, CH_CTRL), CTRL_ENABLE | (poll ? CH_CTRL_POLL : 0));
}

uint64_t channel_submit(struct channel *channel, struct descriptor descriptor)
{
	uint64_t number = channel->tail++;
	struct completion *completion = &channel->completions[number % RING];

	memset(completion, 0, sizeof(*completion));
	descriptor.cookie = (uint16_t)number;
	descriptor.completion = pci_iova(channel->dma->pci, completion);
	channel->ring[number % RING] = descriptor;
	return number;
}

void channel_ring(struct channel *channel)
{
	volatile uint8_t *tail = channel->poll ? channel->dma->doorbells + channel->number * DOORBELL_BYTES
					       : channel->dma->registers + channel_register(channel, CH_TAIL);

	/* The device may run as soon as it sees the tail: release, so that the descriptors are in memory before. */
	__atomic_store_n((volatile uint64_t *)tail, channel->tail, __ATOMIC_RELEASE);
}

struct completion channel_wait(struct channel *channel, uint64_t number)
{
	struct completion *completion = &channel->completions[number % RING];

	for (int i = 0; i < 2000 && !__atomic_load_n(&completion->status, __ATOMIC_ACQUIRE); i++)
		usleep(1000);
	return *completion;
}

struct completion channel_run(struct channel *channel, struct descriptor descriptor)
{
	uint64_t number = channel_submit(channel, descriptor);

	channel_ring(channel);
	return channel_wait(channel, number);
}
