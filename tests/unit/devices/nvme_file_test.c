/* SPDX-License-Identifier: MIT */
/* The file behind the nvme namespace: options, making, locking, and files that are cut, full or gone (docs/nvme-device.md). */
#include "nvme_common.h"

#include "base/ownfd.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { MIB = 1 << 20 };

static char dir[200], err[768];

static int dir_make(void **state)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%s/nvme-test-XXXXXX", tmp ? tmp : "/tmp");
	return mkdtemp(dir) ? 0 : -1;
}

static const char *path_of(const char *name)
{
	static char path[300];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static int dir_remove(void **state)
{
	unlink(path_of("image"));
	return rmdir(dir);
}

static struct ui_nvme_file_options image_options(u64 size, bool read_only)
{
	struct ui_nvme_file_options o = { .size_bytes = size, .read_only = read_only };

	snprintf(o.path, sizeof(o.path), "%s", path_of("image"));
	return o;
}

static int try_open(u64 size, bool read_only, struct ui_nvme_image *image)
{
	const struct ui_nvme_file_options o = image_options(size, read_only);

	err[0] = 0;
	return ui_nvme_file_open(&o, image, err, sizeof(err));
}

static void image_open(struct ui_nvme_image *image)
{
	assert_int_equal(try_open(MIB, false, image), 0);
}

static void image_close(struct ui_nvme_image *image)
{
	image->ops->close(image->arg);
	unlink(path_of("image"));
}

static struct stat image_stat(void)
{
	struct stat st;

	assert_int_equal(stat(path_of("image"), &st), 0);
	return st;
}

/* ---- options ---- */

static void options(void **state)
{
	static const struct {
		const char *text, *path;
		u64 size;
		bool ro;
	} good[] = {
		{ "file=a", "a", 0, false },		    { "file=/x/y=z,size=64M", "/x/y=z", 64 << 20, false },
		{ "size=512,file=b,ro=off", "b", 512, false }, { "ro=on,file=b", "b", 0, true },
		{ "file=b,size=3K", "b", 3072, false },	    { "file=b,size=2T", "b", 2ull << 40, false },
		{ "file=b,size=1024", "b", 1024, false },
	};
	static const char *const bad[] = {
		"", "size=64M", "file=", "file=b,size=", "file=b,size=0", "file=b,size=513", "file=b,size=64MB", "file=b,size=M",
		"file=b,size=-1K", "file=b,size=99999999999999999999", "file=b,size=9999999999T", "file=b,size=9007199254740992K", "file=b,ro",
		"file=b,ro=yes", "file=b,ro=o", "file=b,what=1", "file=b,what", "file=b,,ro=on",
	};
	struct ui_nvme_file_options o;
	char path[600] = "file=";

	for (unsigned i = 0; i < ui_array_size(good); i++) {
		assert_int_equal(ui_nvme_file_parse(good[i].text, &o, err, sizeof(err)), 0);
		assert_string_equal(o.path, good[i].path);
		assert_int_equal(o.size_bytes, good[i].size);
		assert_int_equal(o.read_only, good[i].ro);
	}
	for (unsigned i = 0; i < ui_array_size(bad); i++) {
		err[0] = 0;
		assert_int_equal(ui_nvme_file_parse(bad[i], &o, err, sizeof(err)), -EINVAL);
		assert_true(!strncmp(err, "nvme: ", 6) && !strchr(err, '\n'));
	}
	memset(path + 5, 'p', sizeof(path) - 6);
	assert_int_equal(ui_nvme_file_parse(path, &o, err, sizeof(err)), -EINVAL);
}

/* ---- opening ---- */

static void a_missing_file_is_made_with_its_size_only_where_one_is_given(void **state)
{
	struct ui_nvme_image image;

	assert_int_equal(try_open(0, false, &image), -ENOENT);
	assert_non_null(strstr(err, "no such file"));
	assert_int_equal(try_open(MIB, true, &image), -ENOENT);
	assert_int_equal(access(path_of("image"), F_OK), -1);
	image_open(&image);
	assert_int_equal(image.n_bytes, MIB);
	assert_false(image.read_only);
	image.ops->close(image.arg);
	/* One that is there keeps its size; a part of a block at its end is not used. */
	assert_int_equal(truncate(path_of("image"), 5000), 0);
	image_open(&image);
	assert_int_equal(image.n_bytes, 4608);
	assert_int_equal(image_stat().st_size, 5000);
	image_close(&image);
}

static void what_is_no_image_is_refused_in_one_line(void **state)
{
	static const struct {
		const char *path;
		u64 size;
		bool read_only;
		int ret;
	} bad[] = {
		{ "/", 0, true, -EINVAL },	      { "/", 0, false, -EISDIR },	{ "/dev/null", 0, false, -EINVAL },
		{ "/proc/self/exe", 0, false, -ETXTBSY }, { "/proc/self/exe/x", MIB, false, -ENOTDIR },
		{ "/no such directory/x", MIB, false, -ENOENT },
	};
	struct ui_nvme_image image;
	int fd;

	for (unsigned i = 0; i < ui_array_size(bad); i++) {
		struct ui_nvme_file_options o = { .size_bytes = bad[i].size, .read_only = bad[i].read_only };

		snprintf(o.path, sizeof(o.path), "%s", bad[i].path);
		assert_int_equal(ui_nvme_file_open(&o, &image, err, sizeof(err)), bad[i].ret);
		assert_true(!strncmp(err, "nvme: ", 6) && strstr(err, bad[i].path) && !strchr(err, '\n'));
	}
	fd = open(path_of("image"), O_CREAT | O_WRONLY, 0666);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	assert_int_equal(try_open(0, false, &image), -EINVAL);
	assert_non_null(strstr(err, "less than one block"));
	unlink(path_of("image"));
}

static void a_second_user_is_told_that_it_is_in_use(void **state)
{
	struct ui_nvme_image first, second;

	image_open(&first);
	assert_int_equal(try_open(0, false, &second), -EBUSY);
	assert_non_null(strstr(err, "in use"));
	assert_int_equal(try_open(0, true, &second), -EBUSY);
	first.ops->close(first.arg);
	/* Readers share it. */
	assert_int_equal(try_open(0, true, &first), 0);
	assert_int_equal(try_open(0, true, &second), 0);
	assert_int_equal(try_open(0, false, &(struct ui_nvme_image){ 0 }), -EBUSY);
	second.ops->close(second.arg);
	image_close(&first);
}

/* ---- at work ---- */

static void data_reaches_the_file_and_holes_give_their_room_back(void **state)
{
	struct ui_nvme_image image;
	static u8 data[64 << 10], back[64 << 10];
	blkcnt_t before;

	image_open(&image);
	memset(data, 0x5a, sizeof(data));
	assert_int_equal(image.ops->write(image.arg, data, sizeof(data), 128 << 10), 0);
	assert_int_equal(image.ops->flush(image.arg), 0);
	assert_int_equal(image.ops->read(image.arg, back, sizeof(back), 128 << 10), 0);
	assert_memory_equal(back, data, sizeof(back));
	before = image_stat().st_blocks;
	if (image.ops->discard(image.arg, (128 << 10) + 512, (64 << 10) - 512) == -EOPNOTSUPP) {
		image_close(&image);
		skip();
	}
	assert_int_equal(image.ops->read(image.arg, back, sizeof(back), 128 << 10), 0);
	assert_memory_equal(back, data, 512);
	for (unsigned i = 512; i < sizeof(back); i++)
		assert_int_equal(back[i], 0);
	assert_true(image_stat().st_blocks < before);
	assert_int_equal(image_stat().st_size, MIB);
	image_close(&image);
}

/* Bad input of step 3: a truncated image. It must not grow again with zeros where data was. */
static void a_file_that_was_cut_fails_and_stays_cut(void **state)
{
	struct ui_nvme_image image;
	u8 data[1024] = { 1 };

	image_open(&image);
	assert_int_equal(truncate(path_of("image"), MIB / 2 + 512), 0);
	assert_int_equal(image.ops->read(image.arg, data, 1024, MIB / 2), -EIO);
	assert_int_equal(image.ops->read(image.arg, data, 512, MIB - 512), -EIO);
	assert_int_equal(image.ops->read(image.arg, data, 512, 0), 0);
	assert_int_equal(image.ops->write(image.arg, data, 512, MIB - 512), -EIO);
	assert_int_equal(image.ops->write(image.arg, data, 512, 0), -EIO);
	assert_int_equal(image.ops->discard(image.arg, 0, 512), -EIO);
	assert_int_equal(image_stat().st_size, MIB / 2 + 512);
	image_close(&image);
}

/* Bad input of step 3: an image beyond the limit on files. No signal, and nothing of the write is in it. */
static void a_write_beyond_the_limit_on_files_changes_nothing(void **state)
{
	struct rlimit was, low;
	struct ui_nvme_image image;
	u8 data[8192], back[8192];

	image_open(&image);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	low = was;
	low.rlim_cur = MIB / 2 + 4096;
	memset(data, 0x5a, sizeof(data));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
	assert_int_equal(image.ops->write(image.arg, data, 8192, MIB / 2), -EFBIG);
	assert_int_equal(image.ops->write(image.arg, data, 8192, MIB - 8192), -EFBIG);
	assert_int_equal(image.ops->write(image.arg, data, 4096, 0), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	assert_int_equal(image.ops->read(image.arg, back, 8192, MIB / 2), 0);
	for (unsigned i = 0; i < sizeof(back); i++)
		assert_int_equal(back[i], 0);
	image_close(&image);
}

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	close(fd);
	return ok;
}

/* A small file system of our own, where the machine allows that to a user. */
static bool small_fs(void)
{
	char users[40], groups[40];

	snprintf(users, sizeof(users), "0 %u 1", (unsigned)geteuid());
	snprintf(groups, sizeof(groups), "0 %u 1", (unsigned)getegid());
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS))
		return false;
	write_text("/proc/self/setgroups", "deny");
	return write_text("/proc/self/uid_map", users) && write_text("/proc/self/gid_map", groups) &&
	       !mount("none", dir, "tmpfs", 0, "size=100k");
}

/* In a child, where no assertion may jump: the line that is not as it must be, or 0. */
static int full_disk(void)
{
#define MUST(is) do { if (!(is)) return __LINE__; } while (0)
	static u8 data[64 << 10], back[64 << 10];
	struct ui_nvme_image image;
	int ret = 0;
	u64 n = 0;

	MUST(!try_open(MIB, false, &image));
	memset(data, 0x5a, sizeof(data));
	for (; !ret && n < 16; n += !ret)
		ret = image.ops->write(image.arg, data, sizeof(data), n * sizeof(data));
	MUST(ret == -ENOSPC && n >= 1);
	MUST(!image.ops->read(image.arg, back, sizeof(back), n * sizeof(back)));
	for (unsigned i = 0; i < sizeof(back); i++)
		MUST(!back[i]);
	/* What is there can still be written, and room that is given back used. */
	MUST(!image.ops->write(image.arg, data, 4096, 0));
	MUST(!image.ops->discard(image.arg, 0, sizeof(data)));
	MUST(!image.ops->write(image.arg, data, sizeof(data), MIB / 2));
	image.ops->close(image.arg);
	return 0;
#undef MUST
}

/* Bad input of step 3: a full disk below an image with holes. What fits is there, what does not has left nothing. */
static void a_full_disk_takes_whole_writes_only(void **state)
{
	pid_t child = fork();
	int status, line;

	if (!child) {
		line = small_fs() ? full_disk() : -1;
		if (line > 0)
			fprintf(stderr, "line %d\n", line);
		_exit(line < 0 ? 77 : line > 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_true(WIFEXITED(status) && !WEXITSTATUS(status));
}

/* A program closed what is not its own: errors, and never another file. */
static void a_lost_descriptor_gives_errors(void **state)
{
	struct ui_nvme_image image;
	u8 data[512] = { 0 };

	image_open(&image);
	for (int fd = 3; fd < 4096; fd++) {
		if (ui_ownfd_is(fd))
			ui_ownfd_lost(fd);
	}
	assert_int_equal(image.ops->read(image.arg, data, 512, 0), -EBADF);
	assert_int_equal(image.ops->write(image.arg, data, 512, 0), -EBADF);
	assert_int_equal(image.ops->discard(image.arg, 0, 512), -EBADF);
	assert_int_equal(image.ops->flush(image.arg), -EBADF);
	image_close(&image);
}

/* ---- under a controller ---- */

static void a_controller_on_a_file(void **state)
{
	static struct host h;
	static u8 back[4096];
	char text[400];
	int fd;

	host_begin(&h);
	snprintf(text, sizeof(text), "file=%s,size=1M", path_of("image"));
	host_make_with(&h, &ui_nvme_model, text);
	nvme_up(&h);
	assert_int_equal(identify(&h, 0, 1), 0);
	assert_int_equal(mem_get(&h, DATA_AT, 8), 2048);
	scramble_at(&h, DATA_AT, 4096, 7);
	assert_int_equal(simple_io(&h, NVME_IO_WRITE, 100, 8, DATA_AT, 0), 0);
	assert_int_equal(command(&h, 1, (struct sqe){ .op = NVME_IO_FLUSH, .nsid = 1 }), 0);
	fd = open(path_of("image"), O_RDWR);
	assert_int_equal(pread(fd, back, 4096, 51200), 4096);
	assert_memory_equal(back, h.w.ram + DATA_AT, 4096);
	/* Cut under its feet: a status, and the rest goes on. */
	assert_int_equal(ftruncate(fd, 65536), 0);
	close(fd);
	assert_int_equal(STATUS(simple_io(&h, NVME_IO_READ, 1000, 1, DATA_AT, 0)), NVME_READ_ERROR);
	assert_int_equal(STATUS(simple_io(&h, NVME_IO_WRITE, 1000, 1, DATA_AT, 0)), NVME_WRITE_FAULT);
	assert_int_equal(simple_io(&h, NVME_IO_READ, 100, 8, DATA_AT + PAGE, 0), 0);
	assert_memory_equal(h.w.ram + DATA_AT, h.w.ram + DATA_AT + PAGE, 4096);
	assert_int_equal(nvme_read(&h, NVME_REG_CSTS), NVME_CSTS_RDY);
	host_close(&h);
	unlink(path_of("image"));
}

static void sink_intx(void *arg, bool level)
{
}

static void sink_msg(void *arg, bool msix, unsigned vector)
{
}

/* Open from the first owner to the last, and nobody's between. */
static void the_image_is_its_owners(void **state)
{
	const struct ui_pci_sink sink = { .intx = sink_intx, .msg = sink_msg };
	static struct host h;
	struct ui_nvme_image other;
	char text[400];

	host_begin(&h);
	snprintf(text, sizeof(text), "file=%s,size=1M", path_of("image"));
	host_make_with(&h, &ui_nvme_model, text);
	assert_int_equal(access(path_of("image"), F_OK), -1);
	for (unsigned i = 0; i < 2; i++) {
		assert_true(ui_pci_claim(h.w.pci, &sink));
		assert_int_equal(try_open(0, false, &other), -EBUSY);
		ui_pci_unclaim(h.w.pci);
		assert_int_equal(try_open(0, false, &other), 0);
		assert_false(ui_pci_claim(h.w.pci, &sink));
		/* Without an owner, as in a machine without VFIO: enabling says so. */
		nvme_enable(&h, CC_ON);
		assert_int_equal(nvme_read(&h, NVME_REG_CSTS), NVME_CSTS_CFS);
		other.ops->close(other.arg);
	}
	nvme_up(&h);
	host_close(&h);
	unlink(path_of("image"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options),
		cmocka_unit_test(a_missing_file_is_made_with_its_size_only_where_one_is_given),
		cmocka_unit_test(what_is_no_image_is_refused_in_one_line),
		cmocka_unit_test(a_second_user_is_told_that_it_is_in_use),
		cmocka_unit_test(data_reaches_the_file_and_holes_give_their_room_back),
		cmocka_unit_test(a_file_that_was_cut_fails_and_stays_cut),
		cmocka_unit_test(a_write_beyond_the_limit_on_files_changes_nothing),
		cmocka_unit_test(a_full_disk_takes_whole_writes_only),
		cmocka_unit_test(a_lost_descriptor_gives_errors),
		cmocka_unit_test(a_controller_on_a_file),
		cmocka_unit_test(the_image_is_its_owners),
	};

	return cmocka_run_group_tests_name("nvme_file", tests, dir_make, dir_remove);
}
