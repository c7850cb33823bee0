/* SPDX-License-Identifier: MIT */
/* Counters that outlive the processes that count: slots, who may have them, what a reader makes of them. */
#include "base/bits.h"
#include "machine/counters.h"

#include <uiommu/stats.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { N = 2, FIRST = 0x100, SECOND = 0x200 };

static struct uiommu_machine *machine;
static struct uiommu_stats *stats;
static struct ui_stats *slots[UI_COUNTERS_SLOTS];
static unsigned n_slots;

static int setup(void **state)
{
	char err[256];

	machine = uiommu_machine_new();
	uiommu_machine_add_device(machine, "dma,rid=0000:02:00.0", err, sizeof(err));
	uiommu_machine_add_device(machine, "dma,rid=0000:01:00.0", err, sizeof(err));
	stats = uiommu_stats_new(machine, err, sizeof(err));
	n_slots = 0;
	return !stats;
}

static int teardown(void **state)
{
	while (n_slots)
		ui_counters_leave(slots[--n_slots], N);
	uiommu_stats_free(stats);
	uiommu_machine_free(machine);
	return 0;
}

static struct ui_stats *join(void)
{
	u32 n_devices = 0;

	assert_int_equal(ui_counters_join(uiommu_stats_path(stats), &slots[n_slots], &n_devices), 0);
	assert_int_equal(n_devices, N);
	return slots[n_slots++];
}

static struct ui_stats_row *row(struct ui_stats *slot, u32 rid, u32 pasid, bool has_pasid)
{
	return ui_stats_row(ui_stats_device(slot, N, rid), pasid, has_pasid);
}

static void is_row(const struct uiommu_stats_row *got, const char *device, enum uiommu_stats_whose whose, u32 pasid, u64 dmas, u64 maps)
{
	assert_string_equal(got->device, device);
	assert_string_equal(got->type, "dma");
	assert_int_equal(got->whose, whose);
	assert_int_equal(got->pasid, pasid);
	assert_int_equal(got->counts.dmas, dmas);
	assert_int_equal(got->counts.maps, maps);
}

static struct uiommu_stats_table table_now(size_t n_rows)
{
	struct uiommu_stats_table table;

	assert_int_equal(uiommu_stats_read(stats, &table), 0);
	assert_int_equal(table.n_rows, n_rows);
	return table;
}

static void a_table_without_a_process_names_the_devices(void **state)
{
	struct uiommu_stats_table table = table_now(2);

	is_row(&table.rows[0], "0000:02:00.0", UIOMMU_STATS_NO_PASID, 0, 0, 0);
	is_row(&table.rows[1], "0000:01:00.0", UIOMMU_STATS_NO_PASID, 0, 0, 0);
	assert_int_equal(table.n_processes, 0);
	assert_int_equal(table.n_uncounted, 0);
	uiommu_stats_release(&table);
}

static void processes_are_summed_up(void **state)
{
	struct ui_stats *a = join(), *b = join();
	struct uiommu_stats_table table;

	assert_ptr_not_equal(a, b);
	ui_stats_count(&row(a, FIRST, 0, false)->dmas, 3);
	ui_stats_count(&row(b, SECOND, 7, true)->dmas, 4);
	ui_stats_count(&row(b, FIRST, 0, false)->dmas, 5);
	ui_stats_add(&row(b, FIRST, 0, false)->maps);
	ui_stats_count(&row(b, FIRST, 9, true)->dmas, 1);
	ui_stats_count(&row(a, FIRST, 0, true)->dmas, 2);
	ui_stats_count(&row(a, FIRST, 9, true)->dmas, 6);
	ui_stats_count(&ui_stats_device(a, N, FIRST)->rows[UI_STATS_OTHER].dmas, 8);
	ui_stats_add(&a->detached.unmaps);
	ui_stats_add(&b->detached.unmaps);
	table = table_now(6);
	is_row(&table.rows[0], "0000:02:00.0", UIOMMU_STATS_NO_PASID, 0, 0, 0);
	is_row(&table.rows[1], "0000:02:00.0", UIOMMU_STATS_PASID, 7, 4, 0);
	is_row(&table.rows[2], "0000:01:00.0", UIOMMU_STATS_NO_PASID, 0, 8, 1);
	is_row(&table.rows[3], "0000:01:00.0", UIOMMU_STATS_PASID, 0, 2, 0);
	is_row(&table.rows[4], "0000:01:00.0", UIOMMU_STATS_PASID, 9, 7, 0);
	is_row(&table.rows[5], "0000:01:00.0", UIOMMU_STATS_OTHER, 0, 8, 0);
	assert_int_equal(table.detached_unmaps, 2);
	assert_int_equal(table.n_processes, 2);
	uiommu_stats_release(&table);
}

static void each_counter_arrives_under_its_name(void **state)
{
	struct ui_stats_row *from = row(join(), FIRST, 0, false);
	struct uiommu_stats_counts want = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 };
	struct uiommu_stats_table table;

	ui_stats_count(&from->dmas, 1);
	ui_stats_count(&from->bytes, 2);
	ui_stats_count(&from->tlb_hits, 3);
	ui_stats_count(&from->tlb_misses, 4);
	ui_stats_count(&from->walks, 5);
	ui_stats_count(&from->nested_walks, 6);
	ui_stats_count(&from->faults, 7);
	ui_stats_count(&from->maps, 8);
	ui_stats_count(&from->unmaps, 9);
	ui_stats_count(&from->invalidations, 10);
	table = table_now(2);
	assert_memory_equal(&table.rows[1].counts, &want, sizeof(want));
	uiommu_stats_release(&table);
}

/* In a child: takes a slot and counts one DMA in it; then says so and waits to be killed. */
static pid_t child(bool takes, int expected)
{
	int fds[2];
	pid_t pid;
	char byte;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (!pid) {
		struct ui_stats *slot = NULL;
		u32 n_devices;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (ui_counters_join(uiommu_stats_path(stats), &slot, &n_devices) != expected)
			_exit(1);
		if (takes)
			ui_stats_count(&row(slot, FIRST, 0, false)->dmas, 1);
		if (write(fds[1], "", 1) != 1)
			_exit(1);
		pause();
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &byte, 1), 1);
	close(fds[0]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void what_a_killed_process_counted_stays(void **state)
{
	struct uiommu_stats_table table;

	end(child(true, 0));
	end(child(true, 0));
	table = table_now(2);
	is_row(&table.rows[1], "0000:01:00.0", UIOMMU_STATS_NO_PASID, 0, 2, 0);
	assert_int_equal(table.n_processes, 2);
	uiommu_stats_release(&table);
}

static void the_slot_of_a_dead_process_goes_on_when_none_is_fresh(void **state)
{
	pid_t lives = child(true, 0), dies = child(true, 0);
	struct uiommu_stats_table table;

	while (n_slots < UI_COUNTERS_SLOTS - 2)
		join();
	/* This process counts in all the others, but a slot of one's own number is taken for that of an earlier program, so let another ask. */
	end(child(false, -EUSERS));
	end(dies);
	dies = child(true, 0);
	end(child(false, -EUSERS));
	table = table_now(2);
	is_row(&table.rows[1], "0000:01:00.0", UIOMMU_STATS_NO_PASID, 0, 3, 0);
	assert_int_equal(table.n_processes, UI_COUNTERS_SLOTS + 3);
	assert_int_equal(table.n_uncounted, 2);
	uiommu_stats_release(&table);
	end(lives);
	end(dies);
}

static void nothing_cuts_the_memory_off(void **state)
{
	int fd = open(uiommu_stats_path(stats), O_RDWR);
	struct stat st;

	assert_true(fd >= 0 && !fstat(fd, &st));
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(ftruncate(fd, st.st_size + 4096), -1);
	close(fd);
}

/* -ENOENT, and nothing is touched. */
static void refused(int fd)
{
	struct ui_stats *slot;
	u32 n_devices;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(ui_counters_join(path, &slot, &n_devices), -ENOENT);
}

static int sealed(const struct ui_counters_head *head, u64 n_bytes)
{
	int fd = memfd_create("other", MFD_ALLOW_SEALING);

	assert_int_equal(ftruncate(fd, (off_t)n_bytes), 0);
	if (head)
		assert_int_equal(pwrite(fd, head, sizeof(*head), 0), sizeof(*head));
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
	return fd;
}

static void what_is_not_ours_is_not_counted_in(void **state)
{
	int fds[5], fd = open(uiommu_stats_path(stats), O_RDWR);
	struct ui_counters_head head;
	struct ui_stats *slot;
	struct stat st;
	char path[64];
	u32 n_devices;

	assert_true(fd >= 0 && !fstat(fd, &st));
	assert_int_equal(pread(fd, &head, sizeof(head), 0), sizeof(head));
	close(fd);
	fds[0] = sealed(NULL, (u64)st.st_size);
	fds[1] = sealed(&head, (u64)st.st_size - 4096);
	fds[2] = sealed(&head, 4096);
	head.n_devices = ~0u;
	fds[3] = sealed(&head, (u64)st.st_size);
	head.n_devices = N;
	/* Right in all but the seals. */
	fds[4] = memfd_create("other", 0);
	assert_int_equal(ftruncate(fds[4], st.st_size), 0);
	assert_int_equal(pwrite(fds[4], &head, sizeof(head), 0), sizeof(head));
	for (size_t i = 0; i < ui_array_size(fds); i++) {
		refused(fds[i]);
		close(fds[i]);
	}
	/* Nothing is wrong with a copy. */
	fd = sealed(&head, (u64)st.st_size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(ui_counters_join(path, &slot, &n_devices), 0);
	ui_counters_leave(slot, n_devices);
	close(fd);
	assert_int_equal(ui_counters_join("/no/such/file", &slot, &n_devices), -ENOENT);
	assert_int_equal(ui_counters_join("/dev/null", &slot, &n_devices), -ENOENT);
}

/* A program may write anything into its slots: the reader prints wrong numbers then, and nothing else. */
static void a_reader_survives_any_content(void **state)
{
	int fd = open(uiommu_stats_path(stats), O_RDWR);
	struct uiommu_stats_table table;
	struct stat st;
	u8 *mem;

	assert_true(fd >= 0 && !fstat(fd, &st));
	mem = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(mem, MAP_FAILED);
	close(fd);
	memset(mem, 0xff, (size_t)st.st_size);
	table = table_now(2);
	uiommu_stats_release(&table);
	for (unsigned seed = 1; seed <= 3; seed++) {
		u64 x = seed;

		for (off_t i = 0; i < st.st_size; i++) {
			x = x * 6364136223846793005u + 1442695040888963407u;
			mem[i] = (u8)(x >> 56);
		}
		/* Every device of every slot is ours, with random PASIDs. */
		for (unsigned i = 0; i < UI_COUNTERS_SLOTS; i++) {
			u64 slot_bytes = ui_align_up(ui_counters_bytes(N), UI_PAGE_BYTES);
			struct ui_stats *slot = (struct ui_stats *)(void *)(mem + ui_align_up(sizeof(struct ui_counters_head), UI_PAGE_BYTES) + i * slot_bytes);

			for (unsigned at = 0; at < N; at++)
				atomic_store(&slot->devices[at].whose, UI_BIT(32) | FIRST);
		}
		assert_int_equal(uiommu_stats_read(stats, &table), 0);
		assert_true(table.n_rows > 10000);
		uiommu_stats_release(&table);
	}
	munmap(mem, (size_t)st.st_size);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_table_without_a_process_names_the_devices),
		TEST(processes_are_summed_up),
		TEST(each_counter_arrives_under_its_name),
		TEST(what_a_killed_process_counted_stays),
		TEST(the_slot_of_a_dead_process_goes_on_when_none_is_fresh),
		TEST(nothing_cuts_the_memory_off),
		TEST(what_is_not_ours_is_not_counted_in),
		TEST(a_reader_survives_any_content),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
