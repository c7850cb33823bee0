/* SPDX-License-Identifier: MIT */
/* What a program finds by path, through every family of calls; and that other paths are as ever. */
#include "stranger.h"

#include <dirent.h>
#include <dlfcn.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define BDF "/sys/bus/pci/devices/0000:01:00.0"
#define VFIO0 "/dev/vfio/devices/vfio0"

static void devices_open_by_every_call(void)
{
	int (*open_2)(const char *, int) = (int (*)(const char *, int))dlsym(RTLD_DEFAULT, "__open_2");
	int (*open64_2)(const char *, int) = (int (*)(const char *, int))dlsym(RTLD_DEFAULT, "__open64_2");
	int fds[] = { open("/dev/iommu", O_RDWR),
		      open64("/dev/iommu", O_RDWR),
		      openat(AT_FDCWD, "/dev/iommu", O_RDWR),
		      openat64(AT_FDCWD, "//dev/./iommu", O_RDWR),
		      open_2("/dev/../dev/iommu", O_RDWR),
		      open64_2("/dev/iommu", O_RDWR) };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		CHECK(fds[i] >= 0);
		CHECK(ioas_alloc(fds[i]) > 0);
		CHECK(!close(fds[i]));
	}
	CHECK(open("/dev/iommu", O_RDWR | O_CREAT | O_EXCL, 0600) == -1 && errno == EEXIST);
	CHECK(open("/dev/iommu", O_RDONLY | O_DIRECTORY) == -1 && errno == ENOTDIR);
	CHECK(open("/dev/iommu/", O_RDWR) == -1 && errno == ENOTDIR);
	CHECK(open("/dev/iommu/x", O_RDWR) == -1 && errno == ENOTDIR);
	CHECK(open("/dev/vfio/devices/vfio9", O_RDWR) == -1 && errno == ENOENT);
}

static void devices_look_like_character_devices(void)
{
	int (*xstat)(int, const char *, struct stat *) = (int (*)(int, const char *, struct stat *))dlsym(RTLD_DEFAULT, "__xstat");
	int (*fxstat)(int, int, struct stat *) = (int (*)(int, int, struct stat *))dlsym(RTLD_DEFAULT, "__fxstat");
	int fd = open(VFIO0, O_RDWR | O_CLOEXEC);
	struct stat path, here;
	struct statx stx;
	char dev[32] = "", want[32];
	FILE *file;

	CHECK(fd >= 0);
	CHECK(!stat(VFIO0, &path) && S_ISCHR(path.st_mode));
	CHECK(!fstat(fd, &here) && S_ISCHR(here.st_mode) && here.st_rdev == path.st_rdev);
	CHECK(!fstatat(fd, "", &here, AT_EMPTY_PATH) && S_ISCHR(here.st_mode) && here.st_rdev == path.st_rdev);
	CHECK(!xstat(1, VFIO0, &here) && S_ISCHR(here.st_mode) && !fxstat(1, fd, &here) && S_ISCHR(here.st_mode));
	CHECK(!statx(AT_FDCWD, VFIO0, 0, STATX_BASIC_STATS, &stx) && S_ISCHR(stx.stx_mode) && stx.stx_rdev_major == major(path.st_rdev));
	CHECK(!statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stx) && S_ISCHR(stx.stx_mode) && stx.stx_rdev_minor == minor(path.st_rdev));
	CHECK(!access("/dev/iommu", R_OK | W_OK) && access("/dev/iommu", X_OK) == -1 && errno == EACCES);
	file = fopen(BDF "/vfio-dev/vfio0/dev", "re");
	CHECK(file && fgets(dev, sizeof(dev), file) && !fclose(file));
	snprintf(want, sizeof(want), "%u:%u\n", major(path.st_rdev), minor(path.st_rdev));
	CHECK(!strcmp(dev, want));
	close(fd);
}

static bool listed(const char *path, const char *name)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	unsigned n = 0;

	CHECK(dir);
	while ((entry = readdir(dir)))
		n += !strcmp(entry->d_name, name);
	rewinddir(dir);
	while (n && (entry = readdir(dir)))
		n += !strcmp(entry->d_name, name) ? 10 : 0;
	CHECK(!closedir(dir));
	CHECK(n == 0 || n == 11);
	return n;
}

static void directories_list_their_entries(void)
{
	int dir = open(BDF, O_RDONLY | O_DIRECTORY), fd;
	char buf[16] = "";
	struct stat st;
	DIR *stream;

	CHECK(listed("/dev/vfio/devices", "vfio0") && listed(BDF "/vfio-dev", "vfio0") && listed("/sys/bus/pci/devices", "0000:01:00.0"));
	CHECK(listed(BDF, "vendor") && !listed(BDF, "nothing"));
	/* Relative to an open directory. */
	CHECK(dir >= 0 && !fstat(dir, &st) && S_ISDIR(st.st_mode));
	fd = openat(dir, "vendor", O_RDONLY);
	CHECK(fd >= 0 && read(fd, buf, sizeof(buf)) == 7 && !strcmp(buf, "0x6975\n") && !close(fd));
	CHECK(!fstatat(dir, "vfio-dev/vfio0", &st, 0) && S_ISDIR(st.st_mode));
	CHECK(openat(dir, "nothing", O_RDONLY) == -1 && errno == ENOENT);
	stream = fdopendir(dir);
	CHECK(stream && dirfd(stream) == dir && readdir(stream) && !closedir(stream));
	CHECK(fcntl(dir, F_GETFD) == -1 && errno == EBADF);
}

static void links_lead_where_the_kernel_s_do(void)
{
	char buf[256] = "", *real;
	ssize_t n = readlink(BDF "/iommu_group", buf, sizeof(buf));
	struct stat st;

	CHECK(n > 0 && !strcmp(strrchr(buf, '/'), "/0"));
	CHECK(readlink(BDF "/vendor", buf, sizeof(buf)) == -1 && errno == EINVAL);
	CHECK(!lstat(BDF, &st) && S_ISLNK(st.st_mode) && !stat(BDF, &st) && S_ISDIR(st.st_mode));
	real = realpath(BDF "/subsystem", NULL);
	CHECK(real && !strcmp(real, "/sys/bus/pci"));
	free(real);
	real = canonicalize_file_name(BDF);
	CHECK(real && !strcmp(real, "/sys/devices/pci0000:01/0000:01:00.0"));
	free(real);
	CHECK(!stat(BDF "/iommu_group/devices/0000:01:00.0/vendor", &st) && S_ISREG(st.st_mode));
}

static void sysfs_files_are_read_only_and_true(void)
{
	uint8_t config[64];
	int fd = open(BDF "/config", O_RDONLY);

	CHECK(fd >= 0 && read(fd, config, sizeof(config)) == sizeof(config));
	CHECK(config[0] == 0x75 && config[1] == 0x69 && config[2] == 1);
	close(fd);
	CHECK(open(BDF "/vendor", O_WRONLY) == -1 && errno == EACCES);
	CHECK(!access(BDF "/vendor", R_OK) && access(BDF "/vendor", W_OK) == -1);
	CHECK(getxattr(BDF, "user.x", NULL, 0) == -1 && errno == ENODATA);
}

static void other_paths_are_as_ever(void)
{
	char buf[8];
	int fd = open("/dev/zero", O_RDONLY);
	struct stat st;

	CHECK(fd >= 0 && read(fd, buf, 8) == 8 && !fstat(fd, &st) && S_ISCHR(st.st_mode) && major(st.st_rdev) == 1 && !close(fd));
	CHECK(open("/dev/nothing", O_RDONLY) == -1 && errno == ENOENT);
	CHECK(open("", O_RDONLY) == -1 && errno == ENOENT);
	CHECK(stat("/dev/nothing", &st) == -1 && errno == ENOENT);
	CHECK(open(*(char *volatile *)&(char *){ NULL }, O_RDONLY) == -1 && errno == EFAULT);
	CHECK(opendir("/nothing") == NULL && errno == ENOENT);
	CHECK(realpath("/nothing", NULL) == NULL && errno == ENOENT);
}

int main(void)
{
	devices_open_by_every_call();
	devices_look_like_character_devices();
	directories_list_their_entries();
	links_lead_where_the_kernel_s_do();
	sysfs_files_are_read_only_and_true();
	other_paths_are_as_ever();
	return 0;
}
