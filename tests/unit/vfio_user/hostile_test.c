/* SPDX-License-Identifier: MIT */
/* Clients that break the protocol: an errno or the end of their own connection, and nothing left behind. */
#include "common.h"

#include <time.h>

static void broken_streams_end(void **state)
{
	static const struct {
		u32 n_bytes, flags, sent;
	} cases[] = {
		{ 16, 0, 9 },                /* cut off in the header */
		{ 32, 0, 16 },               /* and after it */
		{ 32, 0, 31 },
		{ 15, 0, 16 },               /* shorter than itself */
		{ 0, 0, 16 },
		{ UI_VU_MAX_TRANSFER + 8192, 0, 16 },
		{ ~0u, 0, 16 },
		{ 16, 2, 16 },               /* neither request nor reply */
		{ 16, 0xf, 16 },
		{ 16, VU_REPLY, 16 },        /* to nothing */
		{ 48, VU_REPLY | VU_ERROR, 48 },
	};
	struct side *s = *state;
	unsigned before = open_fds();

	for (unsigned i = 0; i < ui_array_size(cases); i++) {
		struct vu_head head = { .command = VU_DMA_READ, .n_bytes = cases[i].n_bytes, .flags = cases[i].flags };
		u8 bytes[64] = { 0 };

		memcpy(bytes, &head, sizeof(head));
		send_raw(s, bytes, cases[i].sent, NULL, 0);
		/* Cut off: else the header says enough. */
		if (cases[i].n_bytes == 32 || cases[i].sent < 16)
			assert_int_equal(shutdown(s->client, SHUT_WR), 0);
		assert_int_equal(ui_vu_run(s->vu), -EPROTO);
		side_leave(s);
		assert_int_equal(open_fds(), before - 2);
		assert_int_equal(side_connect(s), 0);
		assert_int_equal(ask_version(s, capabilities), 0);
	}
	/* Between messages a client may go. */
	assert_int_equal(shutdown(s->client, SHUT_WR), 0);
	assert_int_equal(ui_vu_run(s->vu), -ECONNRESET);
}

static void messages_may_come_in_crumbs(void **state)
{
	struct side *s = *state;
	struct vu_region_rw rw = { PCI_CFG_VENDOR, UI_VFIO_CONFIG, 2 };
	struct vu_head head = { .id = 77, .command = VU_REGION_READ, .n_bytes = sizeof(head) + sizeof(rw) };
	u8 bytes[sizeof(head) + sizeof(rw)];

	memcpy(bytes, &head, sizeof(head));
	memcpy(bytes + sizeof(head), &rw, sizeof(rw));
	for (unsigned i = 0; i < sizeof(bytes); i++) {
		assert_false(receive(s));
		send_raw(s, bytes + i, 1, NULL, 0);
		assert_int_equal(ui_vu_run(s->vu), 0);
	}
	assert_true(receive(s));
	assert_int_equal(s->head.id, 77);
	assert_int_equal(s->n_bytes, sizeof(rw) + 2);
}

static void too_many_descriptors_end_it(void **state)
{
	struct side *s = *state;
	unsigned before = open_fds();
	struct vu_head head = { .command = VU_RESET, .n_bytes = sizeof(head) };
	int fds[UI_VU_MAX_FDS + 1];

	for (unsigned i = 0; i < ui_array_size(fds); i++)
		fds[i] = 0;
	send_raw(s, &head, sizeof(head), fds, ui_array_size(fds));
	assert_int_equal(ui_vu_run(s->vu), -EPROTO);
	side_leave(s);
	assert_int_equal(open_fds(), before - 2);
	/* Also when they come one by one, in a message that has no end. */
	assert_int_equal(side_connect(s), 0);
	for (unsigned i = 0; i < sizeof(head) - 1; i++) {
		send_raw(s, (u8 *)&head + i, 1, fds, 2);
		if (ui_vu_run(s->vu))
			break;
		assert_true(i < UI_VU_MAX_FDS / 2);
	}
	side_leave(s);
	assert_int_equal(open_fds(), before - 2);
}

/* Each command with payloads of all lengths, with descriptors and without: an answer each time. */
static void wrong_lengths_and_surplus_descriptors_are_answered(void **state)
{
	struct side *s = *state;
	unsigned before = open_fds();
	u8 payload[64];
	int fds[3] = { 0, 0, 0 };

	memset(payload, 0xff, sizeof(payload));
	for (u16 command = 0; command < 20; command++) {
		for (u32 n = 0; n <= sizeof(payload); n++) {
			if (command == VU_VERSION)
				continue;
			/* What is right as it is: a reset without a payload, and a question with room for any answer. */
			assert_int_equal(!ask(s, command, payload, n), (command == VU_RESET && !n) || (command == VU_GET_INFO && n >= 16 && n <= 24));
			assert_int_not_equal(ask_fds(s, command, payload, n, fds, 3), 0);
		}
	}
	assert_int_equal(ask(s, VU_RESET, NULL, 0), 0);
	assert_int_equal(open_fds(), before);
}

/* A client that only asks: at some point it is not heard any more, and goes on when it listens. */
static void answers_that_are_not_taken_do_not_pile_up(void **state)
{
	struct side *s = *state;
	struct vu_region_rw rw = { 0, DOORBELLS, 32 << 10 };
	unsigned asked = 0, answered = 0;
	u64 live;

	while (ui_vu_events(s->vu) & POLLIN) {
		send_message(s, VU_REGION_READ, VU_REQUEST, &rw, sizeof(rw), NULL, 0);
		assert_int_equal(ui_vu_run(s->vu), 0);
		assert_true(++asked < 4096);
	}
	assert_int_equal(ui_vu_events(s->vu), POLLOUT);
	live = ui_alloc_live();
	send_message(s, VU_REGION_READ, VU_REQUEST, &rw, sizeof(rw), NULL, 0);
	asked++;
	assert_int_equal(ui_vu_run(s->vu), 0);
	assert_int_equal(ui_alloc_live(), live);
	while (answered < asked) {
		/* Not receive(): an answer may be half there. */
		struct vu_head head;

		for (size_t n = 0; n < sizeof(head) + sizeof(rw) + rw.n_bytes;) {
			ssize_t got = recv(s->client, s->payload, sizeof(head) + sizeof(rw) + rw.n_bytes - n, MSG_DONTWAIT);

			if (got > 0)
				n += (size_t)got;
			else
				assert_int_equal(ui_vu_run(s->vu), 0);
		}
		answered++;
	}
	assert_int_equal(ui_vu_run(s->vu), 0);
	assert_int_equal(ui_vu_events(s->vu), POLLIN);
	assert_false(receive(s));
}

/* --- anything --- */

static u64 random_next(u64 *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Numbers that mean something somewhere. */
static u64 number(u64 *seed)
{
	static const u64 some[] = { 0, 1, 2, 3, 4, 7, 8, 15, 16, 20, 24, 32, 33, 36, 48, PAGE, 2 * PAGE, 0x10000, 1 << 20, 0xffffffff,
				    (u64)1 << 40, (u64)1 << 47, (u64)1 << 63, ~(u64)0, ~(u64)0xfff };

	return random_next(seed) & 1 ? some[random_next(seed) % ui_array_size(some)] : random_next(seed) % 64;
}

static void random_message(struct side *s, u64 *seed, const int *fds)
{
	u32 words[16], n = (u32)(random_next(seed) % 17) * 4, flags = random_next(seed) % 8 ? 0 : VU_NO_REPLY;
	u16 command = (u16)(2 + random_next(seed) % 18);
	unsigned n_fds = random_next(seed) % 4 ? 0 : 1 + (unsigned)(random_next(seed) % 3);
	/* As long as it should be, mostly. */
	static const u8 right[20] = { 0, 0, 32, 24, 16, 32, 0, 16, 20, 16, 20, 0, 0, 0, 0, 32 };

	if (command < ui_array_size(right) && random_next(seed) % 4)
		n = right[command];
	for (unsigned i = 0; i < ui_array_size(words); i++)
		words[i] = (u32)(number(seed) >> (random_next(seed) % 4 ? 0 : 32));
	/* argsz, or the size of an access: mostly right, too. */
	if (random_next(seed) % 4)
		words[0] = n;
	if ((command == VU_REGION_READ || command == VU_REGION_WRITE) && random_next(seed) % 4)
		words[3] = command == VU_REGION_WRITE ? 4 : (u32)(random_next(seed) % 64);
	if (command == VU_DMA_MAP && random_next(seed) % 4) {
		words[1] = 1 + (u32)(random_next(seed) & 2);
		words[2] = words[3] = words[5] = words[7] = 0;
		words[4] = (u32)(random_next(seed) % 16) * PAGE;
		words[6] = (u32)(random_next(seed) % 4) * PAGE;
	}
	send_message(s, command, flags, words, n, fds + random_next(seed) % 3, n_fds);
}

static void whatever_comes_is_survived(void **state)
{
	struct side *s = *state;
	struct timespec now;
	u8 *seen, byte = 0;
	int fds[6] = { memory_new(4 * PAGE, &seen), eventfd(0, EFD_NONBLOCK), 0, 0, 0, 0 };
	unsigned before, maps = 0;
	u64 seed, live;

	signals_own();
	clock_gettime(CLOCK_REALTIME, &now);
	seed = (u64)now.tv_nsec | 1;
	print_message("seed 0x%llx\n", (unsigned long long)seed);
	fds[3] = fds[0];
	fds[4] = fds[1];
	fds[5] = s->bar_fd;
	side_leave(s);
	before = open_fds();
	live = ui_alloc_live();
	for (unsigned round = 0; round < 20; round++) {
		assert_int_equal(side_connect(s), 0);
		assert_int_equal(ask_version(s, capabilities), 0);
		for (unsigned i = 0; i < 500; i++) {
			random_message(s, &seed, fds);
			assert_int_equal(ui_vu_run(s->vu), 0);
			while (receive(s)) {
				maps += s->head.command == VU_DMA_MAP && !s->head.error;
				if (s->fd >= 0)
					close(s->fd);
			}
			dma_put(s, random_next(&seed) % 16 * PAGE, &byte, 1);
		}
		side_leave(s);
	}
	assert_int_equal(open_fds(), before);
	assert_int_equal(ui_alloc_live(), live);
	assert_true(maps);
	assert_int_equal(side_connect(s), 0);
	munmap(seen, 4 * PAGE);
	close(fds[0]);
	close(fds[1]);
}

/* --- and no memory --- */

static void session(struct side *s, int fd, int event)
{
	struct ui_vfio_irq_set set = { .argsz = sizeof(set), .flags = UI_VFIO_DATA_EVENTFD | UI_VFIO_ACTION_TRIGGER, .index = UI_VFIO_MSIX, .count = 1 };
	struct vu_dma_map map = { .argsz = sizeof(map), .flags = 3, .n_bytes = PAGE };
	struct vu_dma_unmap unmap = { .argsz = sizeof(unmap), .n_bytes = PAGE };
	struct vu_region_rw rw = { 0, UI_VFIO_CONFIG, 64 };
	u8 big[2 * PAGE] = { 0 }, payload[256];

	send_message(s, VU_VERSION, VU_REQUEST, payload, version_payload(payload, 0, capabilities), NULL, 0);
	send_message(s, VU_DMA_MAP, VU_REQUEST, &map, sizeof(map), &fd, 1);
	send_message(s, VU_SET_IRQS, VU_REQUEST, &set, sizeof(set), &event, 1);
	send_message(s, VU_REGION_READ, VU_REQUEST, &rw, sizeof(rw), NULL, 0);
	send_message(s, VU_REGION_WRITE, VU_REQUEST, big, sizeof(big), NULL, 0);
	send_message(s, VU_DMA_UNMAP, VU_REQUEST, &unmap, sizeof(unmap), NULL, 0);
}

static void a_failed_allocation_leaves_nothing_behind(void **state)
{
	struct side *s = *state;
	u8 *seen;
	int fd = memory_new(PAGE, &seen), event = eventfd(0, EFD_NONBLOCK);
	unsigned before, whole = 0;
	u64 live;

	side_leave(s);
	before = open_fds();
	live = ui_alloc_live();
	for (u64 n = 1; !whole; n++) {
		int ret;

		ui_inject_arm(n);
		ret = side_connect(s);
		if (ret)
			assert_int_equal(ret, -ENOMEM);
		if (!ret) {
			session(s, fd, event);
			ret = ui_vu_run(s->vu);
			whole = ui_inject_left() != 0;
			ui_inject_arm(0);
			assert_true(!ret || ret == -ENOMEM || ret == -EPROTO);
			while (receive(s)) {
			}
			side_leave(s);
		}
		assert_true(n < 200);
		assert_int_equal(open_fds(), before);
		assert_int_equal(ui_alloc_live(), live);
	}
	munmap(seen, PAGE);
	close(fd);
	close(event);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		connected(broken_streams_end),
		connected(messages_may_come_in_crumbs),
		connected(too_many_descriptors_end_it),
		connected(wrong_lengths_and_surplus_descriptors_are_answered),
		connected(answers_that_are_not_taken_do_not_pile_up),
		connected(whatever_comes_is_survived),
		connected(a_failed_allocation_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
