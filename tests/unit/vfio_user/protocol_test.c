/* SPDX-License-Identifier: MIT */
/* What a client that does everything right gets: VERSION, what the device is, registers, interrupts, reset, coming back. */
#include "common.h"

static void version_comes_first(void **state)
{
	static struct side s;

	side_open(&s, NULL);
	assert_int_equal(side_connect(&s), 0);
	send_message(&s, VU_RESET, VU_REQUEST, NULL, 0, NULL, 0);
	assert_int_equal(ui_vu_run(s.vu), -EPROTO);
	side_leave(&s);
	/* And comes once. */
	assert_int_equal(side_connect(&s), 0);
	assert_int_equal(ask_version(&s, capabilities), 0);
	send_message(&s, VU_VERSION, VU_REQUEST, "\0\0\0\0{}", 7, NULL, 0);
	assert_int_equal(ui_vu_run(s.vu), -EPROTO);
	side_close(&s);
}

/* devices-and-transports.md 5.2: QEMU takes no answer that is longer than its question, and insists on the NUL and on 0.0. */
static void version_is_answered(void **state)
{
	static const char qemu[] = "{\"capabilities\":{\"migration\":{\"pgsize\":4096,\"max_bitmap_size\":268435456},\"max_msg_fds\":16,"
				   "\"max_data_xfer_size\":1048576,\"pgsizes\":4096,\"max_dma_maps\":65535,\"write_multiple\":true}}";
	static struct side s;
	struct vu_version version;

	side_open(&s, NULL);
	assert_int_equal(side_connect(&s), 0);
	assert_int_equal(ask_version(&s, qemu), 0);
	assert_true(s.n_bytes > sizeof(version) && s.n_bytes <= sizeof(version) + sizeof(qemu));
	memcpy(&version, s.payload, sizeof(version));
	assert_int_equal(version.major, 0);
	assert_int_equal(version.minor, 0);
	assert_int_equal(s.payload[s.n_bytes - 1], 0);
	assert_non_null(strstr((char *)s.payload + sizeof(version), "\"max_msg_fds\":16"));
	side_close(&s);
}

static void other_versions_are_refused(void **state)
{
	static const char *const texts[] = { "{", "[1]", "{\"capabilities\":7}", "nothing", "\"{}\"" };
	static struct side s;
	u8 payload[256];

	side_open(&s, NULL);
	for (unsigned i = 0; i < ui_array_size(texts) + 2; i++) {
		u32 n = version_payload(payload, i == ui_array_size(texts), i < ui_array_size(texts) ? texts[i] : "{}");

		if (i == ui_array_size(texts) + 1)
			n--; /* its NUL is missing */
		assert_int_equal(side_connect(&s), 0);
		send_message(&s, VU_VERSION, VU_REQUEST, payload, n, NULL, 0);
		assert_int_equal(ui_vu_run(s.vu), -EPROTO);
		/* It says so before it hangs up. */
		assert_true(receive(&s));
		assert_true(s.head.flags & VU_ERROR);
		side_leave(&s);
	}
	assert_int_equal(side_connect(&s), 0);
	assert_int_equal(ask_version(&s, "{}"), 0);
	side_close(&s);
}

static void the_device_is_told(void **state)
{
	struct side *s = *state;
	struct ui_vfio_info info = { .argsz = 16 };
	struct ui_vfio_irq_info irq = { .argsz = sizeof(irq), .index = UI_VFIO_MSIX };

	assert_int_equal(ask(s, VU_GET_INFO, &info, 16), 0);
	assert_int_equal(s->n_bytes, 16);
	memcpy(&info, s->payload, 16);
	assert_int_equal(info.flags, UI_VFIO_INFO_RESET | UI_VFIO_INFO_PCI);
	assert_int_equal(info.num_regions, UI_VFIO_N_REGIONS);
	assert_int_equal(info.num_irqs, UI_VFIO_N_IRQS);
	info.argsz = 15;
	assert_int_equal(ask(s, VU_GET_INFO, &info, 16), EINVAL);

	assert_int_equal(ask(s, VU_GET_IRQ_INFO, &irq, sizeof(irq)), 0);
	memcpy(&irq, s->payload, sizeof(irq));
	assert_int_equal(irq.count, device(s)->model->n_msix);
	irq.index = UI_VFIO_N_IRQS;
	assert_int_equal(ask(s, VU_GET_IRQ_INFO, &irq, sizeof(irq)), EINVAL);
}

static struct ui_vfio_region_info region_info(struct side *s, u32 index)
{
	struct ui_vfio_region_info info = { .argsz = sizeof(info), .index = index };

	assert_int_equal(ask(s, VU_GET_REGION_INFO, &info, sizeof(info)), 0);
	assert_int_equal(s->n_bytes, sizeof(info));
	memcpy(&info, s->payload, sizeof(info));
	return info;
}

static void a_mappable_bar_comes_with_its_memory(void **state)
{
	struct side *s = *state;
	struct ui_vfio_region_info info = region_info(s, UI_VFIO_CONFIG);
	u32 *seen;

	assert_int_equal(info.size, PCI_CFG_BYTES);
	assert_int_equal(s->fd, -1);
	info = region_info(s, REGISTERS);
	assert_int_equal(info.flags, UI_VFIO_REGION_READ | UI_VFIO_REGION_WRITE);
	assert_int_equal(s->fd, -1);
	info = region_info(s, DOORBELLS);
	assert_int_equal(info.flags, UI_VFIO_REGION_READ | UI_VFIO_REGION_WRITE | UI_VFIO_REGION_MMAP);
	assert_int_equal(info.offset, 0);
	assert_true(s->fd >= 0);
	seen = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, (off_t)info.offset);
	assert_true(seen != MAP_FAILED);
	seen[5] = 0x12345678;
	assert_int_equal(read_number(s, DOORBELLS, 20, 4), 0x12345678);
	munmap(seen, info.size);
	close(s->fd);
}

static void registers_are_read_and_written(void **state)
{
	struct side *s = *state;
	struct vu_region_rw rw;

	assert_int_equal(read_number(s, UI_VFIO_CONFIG, PCI_CFG_VENDOR, 2), device(s)->model->vendor);
	/* QEMU reads it in one go. */
	assert_int_equal(region_read(s, UI_VFIO_CONFIG, 0, PCI_CFG_BYTES), 0);
	assert_int_equal(s->n_bytes, sizeof(rw) + PCI_CFG_BYTES);
	assert_int_equal(region_write(s, UI_VFIO_CONFIG, PCI_CFG_COMMAND, PCI_CMD_MEM | PCI_CMD_MASTER, 2), 0);
	memcpy(&rw, s->payload, sizeof(rw));
	assert_int_equal(rw.n_bytes, 2);
	assert_int_equal(read_number(s, UI_VFIO_CONFIG, PCI_CFG_COMMAND, 2), PCI_CMD_MEM | PCI_CMD_MASTER);
	/* What is in no region, or in none that there is. */
	assert_int_equal(region_read(s, UI_VFIO_CONFIG, PCI_CFG_BYTES, 1), EFAULT);
	assert_int_equal(region_read(s, UI_VFIO_N_REGIONS, 0, 4), EINVAL);
	assert_int_equal(region_read(s, 1, 0, 4), EINVAL);
	/* An offset that would be in the next region, as the device file counts. */
	assert_int_equal(region_read(s, UI_VFIO_CONFIG, (u64)1 << UI_VFIO_REGION_SHIFT, 4), EINVAL);
	assert_int_equal(region_read(s, REGISTERS, ~(u64)0, 4), EINVAL);
	assert_int_equal(region_read(s, REGISTERS, 0, UI_VU_MAX_TRANSFER + 1), EINVAL);
	/* Over the end it is short. */
	assert_int_equal(region_read(s, REGISTERS, device(s)->model->bars[REGISTERS].n_bytes - 4, 64), 0);
	assert_int_equal(s->n_bytes, sizeof(rw) + 4);
}

/* devices-and-transports.md 5.4: a posted write is never answered, and whoever reads later sees it. */
static void posted_writes_are_not_answered(void **state)
{
	struct side *s = *state;
	u8 payload[8 + 3 * sizeof(struct vu_write_one)] = { 3 };
	struct vu_write_one one = { .region = DOORBELLS, .n_bytes = 4 };
	u32 n = write_payload(payload, UI_VFIO_CONFIG, PCI_CFG_INT_LINE, 0x5a, 1);

	send_message(s, VU_REGION_WRITE, VU_NO_REPLY, payload, n, NULL, 0);
	/* Nor when it fails. */
	n = write_payload(payload, 1, 0, 0, 1);
	send_message(s, VU_REGION_WRITE, VU_NO_REPLY, payload, n, NULL, 0);
	memset(payload, 0, sizeof(payload));
	payload[0] = 3;
	for (unsigned i = 0; i < 3; i++) {
		one.offset = i * 8;
		memset(one.data, (int)i + 1, 4);
		memcpy(payload + 8 + i * sizeof(one), &one, sizeof(one));
	}
	send_message(s, VU_WRITE_MULTI, VU_NO_REPLY, payload, sizeof(payload), NULL, 0);
	assert_int_equal(read_number(s, UI_VFIO_CONFIG, PCI_CFG_INT_LINE, 1), 0x5a);
	assert_int_equal(read_number(s, DOORBELLS, 16, 4), 0x03030303);
	assert_false(receive(s));
	/* More, or fewer, than it says. */
	assert_int_equal(ask(s, VU_WRITE_MULTI, payload, sizeof(payload) - 1), EINVAL);
	payload[0] = 2;
	assert_int_equal(ask(s, VU_WRITE_MULTI, payload, sizeof(payload)), EINVAL);
	payload[0] = 3;
	assert_int_equal(ask(s, VU_WRITE_MULTI, payload, sizeof(payload)), 0);
}

static int set_irqs(struct side *s, u32 flags, u32 start, u32 count, const int *fds, unsigned n_fds)
{
	struct ui_vfio_irq_set set = { .argsz = sizeof(set), .flags = flags, .index = UI_VFIO_MSIX, .start = start, .count = count };

	return ask_fds(s, VU_SET_IRQS, &set, sizeof(set), fds, n_fds);
}

static u64 signals(int fd)
{
	u64 count = 0;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static void interrupts_come_by_eventfd(void **state)
{
	const u32 eventfds = UI_VFIO_DATA_EVENTFD | UI_VFIO_ACTION_TRIGGER, now = UI_VFIO_DATA_NONE | UI_VFIO_ACTION_TRIGGER;
	struct side *s = *state;
	unsigned before = open_fds();
	int fds[2] = { eventfd(0, EFD_NONBLOCK), eventfd(0, EFD_NONBLOCK) };

	/* QEMU's first: enabled, with none. */
	assert_int_equal(set_irqs(s, eventfds, 0, 1, NULL, 0), 0);
	assert_int_equal(set_irqs(s, eventfds, 0, 2, fds, 2), 0);
	assert_int_equal(set_irqs(s, now, 0, 2, NULL, 0), 0);
	assert_int_equal(signals(fds[0]), 1);
	assert_int_equal(signals(fds[1]), 1);
	/* As many as are named, and only where they belong. */
	assert_int_equal(set_irqs(s, eventfds, 0, 1, fds, 2), EINVAL);
	assert_int_equal(set_irqs(s, eventfds, 0, 2, fds, 1), EINVAL);
	assert_int_equal(set_irqs(s, now, 0, 2, fds, 2), EINVAL);
	assert_int_equal(set_irqs(s, eventfds, 0, 4096, NULL, 0), EINVAL);
	assert_int_equal(set_irqs(s, eventfds, 0, 1, &s->client, 1), EINVAL);
	/* None: taken away. */
	assert_int_equal(set_irqs(s, eventfds, 0, 2, NULL, 0), 0);
	assert_int_equal(set_irqs(s, now, 0, 2, NULL, 0), 0);
	assert_int_equal(signals(fds[0]), 0);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(set_irqs(s, now, 0, 0, NULL, 0), 0);
	assert_int_equal(open_fds(), before);
}

static void reset_is_a_reset_and_the_rest_unknown(void **state)
{
	static const u16 unknown[] = { 0, VU_GET_REGION_IO_FDS, VU_DMA_READ, VU_DMA_WRITE, 14, 16, 17, 18, 999, 0xffff };
	struct side *s = *state;

	assert_int_equal(ask(s, VU_RESET, NULL, 0), 0);
	for (unsigned i = 0; i < ui_array_size(unknown); i++)
		assert_int_equal(ask(s, unknown[i], NULL, 0), EOPNOTSUPP);
}

static void a_client_comes_back_to_a_fresh_device(void **state)
{
	struct side *s = *state;
	unsigned before;
	u8 *seen, byte;
	int fd = memory_new(PAGE, &seen);

	assert_int_equal(region_write(s, UI_VFIO_CONFIG, PCI_CFG_COMMAND, PCI_CMD_MASTER, 2), 0);
	assert_int_equal(map_region(s, 0, PAGE, 3, fd, 0), 0);
	assert_int_equal(dma_get(s, 0, &byte, 1), UI_DMA_OK);
	side_leave(s);
	before = open_fds();
	assert_int_equal(dma_get(s, 0, &byte, 1), UI_DMA_BLOCKED);
	assert_int_equal(side_connect(s), 0);
	assert_int_equal(ask_version(s, capabilities), 0);
	assert_int_equal(ui_vu_n_regions(s->vu), 0);
	assert_int_equal(read_number(s, UI_VFIO_CONFIG, PCI_CFG_COMMAND, 2), PCI_CMD_MEM);
	assert_int_equal(dma_get(s, 0, &byte, 1), UI_DMA_ABORT);
	assert_int_equal(open_fds(), before + 2);
	munmap(seen, PAGE);
	close(fd);
}

static void a_device_has_one_client(void **state)
{
	struct side *s = *state;
	struct side other = *s;

	assert_int_equal(side_connect(&other), -EBUSY);
	assert_int_equal(ask(s, VU_RESET, NULL, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_comes_first),
		cmocka_unit_test(version_is_answered),
		cmocka_unit_test(other_versions_are_refused),
		connected(the_device_is_told),
		connected(a_mappable_bar_comes_with_its_memory),
		connected(registers_are_read_and_written),
		connected(posted_writes_are_not_answered),
		connected(interrupts_come_by_eventfd),
		connected(reset_is_a_reset_and_the_rest_unknown),
		connected(a_client_comes_back_to_a_fresh_device),
		connected(a_device_has_one_client),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
