/* SPDX-License-Identifier: MIT */
/* What an NVMe namespace lies on: a seam of four functions, and the file behind `file=`. */
#ifndef UI_DEVICES_NVME_IMAGE_H
#define UI_DEVICES_NVME_IMAGE_H

#include "base/types.h"

/*
 * All return 0 or a negative errno; a short transfer is -EIO. Ranges lie inside the image. One call at a time, with the function's
 * lock held or away from it, outside DMA sections.
 */
struct ui_nvme_image_ops {
	int (*read)(void *arg, void *buf, u64 n_bytes, u64 offset);
	/* May stay in a volatile cache until flush(). */
	int (*write)(void *arg, const void *buf, u64 n_bytes, u64 offset);
	/* Everything that was written and discarded before is durable when it returns 0. */
	int (*flush)(void *arg);
	/* The range reads as zeros afterwards and takes no room. -EOPNOTSUPP: it cannot do that, and nothing changed. */
	int (*discard)(void *arg, u64 offset, u64 n_bytes);
	void (*close)(void *arg);
};

struct ui_nvme_image {
	const struct ui_nvme_image_ops *ops; /* NULL: closed */
	void *arg;
	u64 n_bytes;
	bool read_only;
	bool dirty;       /* something was written since the last flush() */
	bool sync_failed; /* a flush() failed: what it was about may be lost, so no later one can succeed */
};

/* What `--device nvme,...` says about it. */
struct ui_nvme_file_options {
	char path[512];
	u64 size_bytes; /* to make it with when it is missing; 0: it must be there */
	bool read_only;
};

/* "file=PATH,size=64M,ro=on" in any order. 0, or -EINVAL with one line for the user in @err. */
int ui_nvme_file_parse(const char *options, struct ui_nvme_file_options *out, char *err, size_t err_bytes);
/*
 * Opens the image, making it first where a size was given and it is missing, and locks it against everybody else (readers may
 * share one). 0, or a negative errno with one line for the user in @err; -EBUSY: somebody else has it.
 */
int ui_nvme_file_open(const struct ui_nvme_file_options *options, struct ui_nvme_image *image, char *err, size_t err_bytes);

#endif
