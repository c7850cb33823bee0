/* SPDX-License-Identifier: MIT */
/* DMA by message, to memory that a client mapped without a descriptor. The environment's wait is the client's turn. */
#include "common.h"

#include <pthread.h>
#include <stdatomic.h>

enum { IOVA = 0x40000, SIZE = 2 * PAGE };

struct peer {
	struct side s;
	u8 memory[SIZE];      /* the client's */
	bool old_qemu;        /* data begin 4 bytes earlier than they should */
	unsigned n_waits;
	enum { ANSWER, REFUSE, CUT, KEEP_SILENT, UNMAP, LEAVE_IT } turn;
	u16 kept;             /* the number of what was not answered */
};

static struct peer peer;

/* A request is there: the reply, sent. */
static void answer(struct peer *p)
{
	struct side *s = &p->s;
	struct { struct vu_head head; struct vu_dma_rw rw; u8 data[16]; } reply = { 0 };
	bool write = s->head.command == VU_DMA_WRITE;
	u8 *data = p->old_qemu ? (u8 *)&reply.rw + 12 : reply.data;
	u32 n_bytes;

	assert_int_equal(s->head.flags, VU_REQUEST);
	memcpy(&reply.rw, s->payload, sizeof(reply.rw));
	/* All of the count in the standard's layout, half of it in the old one. */
	n_bytes = p->old_qemu ? (u32)reply.rw.n_bytes : (u32)ui_min(reply.rw.n_bytes, 9);
	assert_true(n_bytes && n_bytes <= 8 && reply.rw.addr >= IOVA && reply.rw.addr + n_bytes <= IOVA + SIZE);
	assert_int_equal(s->n_bytes, sizeof(reply.rw) + (write ? n_bytes : 0));
	if (write)
		memcpy(p->memory + (reply.rw.addr - IOVA), s->payload + (p->old_qemu ? 12 : 16), n_bytes);
	else
		memcpy(data, p->memory + (reply.rw.addr - IOVA), n_bytes);
	reply.head = (struct vu_head){ s->head.id, s->head.command, (u32)sizeof(reply.head), VU_REPLY, 0 };
	reply.head.n_bytes += (u32)sizeof(reply.rw) + (write ? 0 : n_bytes);
	if (p->turn == REFUSE)
		reply.head = (struct vu_head){ s->head.id, s->head.command, sizeof(reply.head), VU_REPLY | VU_ERROR, ENODEV };
	if (p->turn == CUT)
		reply.head.n_bytes -= 1;
	send_raw(s, &reply, reply.head.n_bytes, NULL, 0);
}

static void wait(void *arg, const _Atomic u32 *word)
{
	struct peer *p = arg;

	p->n_waits++;
	if (p->turn == LEAVE_IT) {
		while (!atomic_load(word))
			ui_sys_yield();
		return;
	}
	assert_true(receive(&p->s));
	p->kept = p->s.head.id;
	if (p->turn == KEEP_SILENT)
		return;
	if (p->turn == UNMAP) {
		struct vu_dma_unmap unmap = { .argsz = sizeof(unmap), .iova = IOVA, .n_bytes = SIZE };

		/* A thread's own access is not to be waited for: the answer says so, but the call is over. */
		assert_int_equal(ask(&p->s, VU_DMA_UNMAP, &unmap, sizeof(unmap)), EDEADLK);
	} else {
		answer(p);
		assert_int_equal(ui_vu_run(p->s.vu), 0);
	}
	assert_true(atomic_load(word));
}

static void wake(void *arg, const _Atomic u32 *word)
{
}

static void kick(void *arg)
{
}

static int setup(void **state)
{
	const struct ui_vu_env env = { .wait = wait, .wake = wake, .kick = kick, .arg = &peer };

	memset(&peer, 0, sizeof(peer));
	side_open(&peer.s, &env);
	assert_int_equal(side_connect(&peer.s), 0);
	assert_int_equal(ask_version(&peer.s, capabilities), 0);
	assert_int_equal(map_region(&peer.s, IOVA, SIZE, 3, -1, 0), 0);
	for (unsigned i = 0; i < SIZE; i++)
		peer.memory[i] = (u8)(i * 7 + i / 256);
	*state = &peer;
	return 0;
}

static int teardown(void **state)
{
	side_close(&peer.s);
	return 0;
}

static void exchange(struct peer *p)
{
	u8 buf[40], put[40];

	assert_int_equal(dma_get(&p->s, IOVA + 3, buf, sizeof(buf)), UI_DMA_OK);
	assert_memory_equal(buf, p->memory + 3, sizeof(buf));
	memset(put, 0x5a, sizeof(put));
	assert_int_equal(dma_put(&p->s, IOVA + PAGE - 7, put, sizeof(put)), UI_DMA_OK);
	assert_memory_equal(put, p->memory + PAGE - 7, sizeof(put));
	assert_int_equal(p->memory[PAGE - 8], (u8)((PAGE - 8) * 7 + (PAGE - 8) / 256));
	assert_int_equal(dma_get(&p->s, IOVA + SIZE, buf, 1), UI_DMA_ABORT);
}

static void memory_without_a_descriptor_is_asked_for(void **state)
{
	exchange(*state);
}

/* devices-and-transports.md 5.5 */
static void the_older_layout_is_understood(void **state)
{
	struct peer *p = *state;

	p->old_qemu = true;
	exchange(p);
}

static void what_the_client_refuses_is_an_abort(void **state)
{
	struct peer *p = *state;
	u64 val = 1;

	p->turn = REFUSE;
	assert_int_equal(dma_get(&p->s, IOVA, &val, 8), UI_DMA_ABORT);
	assert_int_equal(dma_put(&p->s, IOVA, &val, 8), UI_DMA_ABORT);
	p->turn = CUT;
	assert_int_equal(dma_get(&p->s, IOVA, &val, 8), UI_DMA_ABORT);
	/* For as long as there is a connection, longer than there are numbers for calls. */
	p->turn = ANSWER;
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(dma_get(&p->s, IOVA, &val, 8), UI_DMA_OK);
}

static void a_silent_client_is_asked_once(void **state)
{
	struct peer *p = *state;
	struct vu_head late = { .command = VU_DMA_WRITE, .n_bytes = sizeof(late), .flags = VU_REPLY };
	u64 val = 1;

	p->turn = KEEP_SILENT;
	assert_int_equal(dma_put(&p->s, IOVA, &val, 8), UI_DMA_ABORT);
	assert_int_equal(p->n_waits, 1);
	assert_int_equal(dma_put(&p->s, IOVA, &val, 8), UI_DMA_ABORT);
	assert_int_equal(p->n_waits, 1);
	/* The answer that comes late is nobody's, but no offence; from then on it is asked again. */
	late.id = p->kept;
	send_raw(&p->s, &late, sizeof(late), NULL, 0);
	assert_int_equal(ui_vu_run(p->s.vu), 0);
	p->turn = ANSWER;
	assert_int_equal(dma_put(&p->s, IOVA, &val, 8), UI_DMA_OK);
	assert_memory_equal(p->memory, &val, 8);
	/* Once. */
	send_raw(&p->s, &late, sizeof(late), NULL, 0);
	assert_int_equal(ui_vu_run(p->s.vu), -EPROTO);
}

static void read_only_memory_is_not_even_asked_to_change(void **state)
{
	struct peer *p = *state;
	u64 val = 1;

	assert_int_equal(unmap_region(&p->s, IOVA, SIZE, 0), 0);
	assert_int_equal(map_region(&p->s, IOVA, SIZE, VU_DMA_MAP_READ, -1, 0), 0);
	assert_int_equal(dma_put(&p->s, IOVA, &val, 8), UI_DMA_ABORT);
	assert_int_equal(p->n_waits, 0);
	assert_int_equal(dma_get(&p->s, IOVA, &val, 8), UI_DMA_OK);
}

static void an_unmap_ends_the_call_under_way(void **state)
{
	struct peer *p = *state;
	u64 val = 1;

	p->turn = UNMAP;
	assert_int_equal(dma_get(&p->s, IOVA, &val, 8), UI_DMA_ABORT);
	assert_int_equal(p->n_waits, 1);
}

static void *reader(void *arg)
{
	u64 val;

	return dma_get(arg, IOVA, &val, 8) == UI_DMA_ABORT ? NULL : arg;
}

/* The thread that does DMA waits for the client when that ends. */
static void a_client_that_dies_is_waited_for_no_longer(void **state)
{
	struct peer *p = *state;
	pthread_t thread;
	void *failed;

	p->turn = LEAVE_IT;
	assert_int_equal(pthread_create(&thread, NULL, reader, &p->s), 0);
	while (!receive(&p->s))
		ui_sys_yield();
	side_leave(&p->s);
	pthread_join(thread, &failed);
	assert_null(failed);
}

static void nobody_to_wait_is_an_abort(void **state)
{
	struct side *s = *state;
	u64 val = 1;

	assert_int_equal(map_region(s, IOVA, SIZE, 3, -1, 0), 0);
	assert_int_equal(dma_get(s, IOVA, &val, 8), UI_DMA_ABORT);
	assert_int_equal(dma_put(s, IOVA, &val, 8), UI_DMA_ABORT);
	assert_false(receive(s));
}

#define talking(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		talking(memory_without_a_descriptor_is_asked_for),
		talking(the_older_layout_is_understood),
		talking(what_the_client_refuses_is_an_abort),
		talking(a_silent_client_is_asked_once),
		talking(read_only_memory_is_not_even_asked_to_change),
		talking(an_unmap_ends_the_call_under_way),
		talking(a_client_that_dies_is_waited_for_no_longer),
		connected(nobody_to_wait_is_an_abort),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
