/* SPDX-License-Identifier: MIT */
/*
 * A machine description: which kind of IOMMU, which devices behind it, where the log goes. Plain data; it comes from the
 * command line and machine files, travels from the command to the preloaded library as one line of text, and is what a
 * machine is instantiated from (instance.h).
 *
 * The line: "key=value" settings separated by ';', devices as "device=SPEC" with the same SPEC as --device. In values the
 * characters ';', '%' and those below 0x20 stand as %XX.
 */
#ifndef UI_MACHINE_DESC_H
#define UI_MACHINE_DESC_H

#include "base/log.h"
#include "base/types.h"

enum { UI_MACHINE_MAX_DEVICES = 32, UI_MACHINE_MAX_GROUP = 9999 };

struct ui_machine_dev {
	char type[16];     /* a model's name */
	u32 rid;           /* segment 31:16, bus 15:8, devfn 7:0 */
	u8 pasid_bits;     /* 0 to 20 */
	u32 group;         /* devices with the same number are one IOMMU group; at most UI_MACHINE_MAX_GROUP */
	char options[640]; /* "key=value,..." for the model; "": none */
};

struct ui_machine_desc {
	char kind[16]; /* "generic", "mock", ... */
	enum ui_log_level log;
	char log_file[1024]; /* "": stderr */
	unsigned n_devices;
	struct ui_machine_dev devices[UI_MACHINE_MAX_DEVICES];
};

/*
 * All functions that can fail return 0 or -EINVAL with one line for the user, without a newline, in @err; the description
 * is then as it was. One thread at a time for a description.
 */

/* Kind generic, log level fault to stderr, no device. */
void ui_machine_desc_init(struct ui_machine_desc *desc);
/* @key: "iommu", "log", "log-file" or "device". */
int ui_machine_desc_set(struct ui_machine_desc *desc, const char *key, const char *value, char *err, size_t err_bytes);
/* @spec: "TYPE[,key=value]...". A missing rid is the first free of 0000:01:00.0, 0000:02:00.0, ...; missing pasid-bits: 16; a
 * missing group is the lowest number that no device before it has. Names of files in it become absolute. */
int ui_machine_desc_add(struct ui_machine_desc *desc, const char *spec, char *err, size_t err_bytes);
/* The canonical line. -EINVAL also when @text_bytes is too small; UI_MACHINE_TEXT_BYTES always suffices. */
int ui_machine_desc_print(const struct ui_machine_desc *desc, char *text, size_t text_bytes, char *err, size_t err_bytes);
int ui_machine_desc_parse(struct ui_machine_desc *desc, const char *text, char *err, size_t err_bytes);
enum { UI_MACHINE_TEXT_BYTES = 32 * (3 * 1024) };

/* "0000:01:00.0" (or "01:00.0") to a RID. 0 or -EINVAL. */
int ui_machine_rid_parse(const char *text, u32 *rid);
/* The reverse, 12 characters and a NUL. */
void ui_machine_rid_print(u32 rid, char text[13]);

/*
 * Adds what a machine file says (JSON, see uiommu-run(1)). @err says file, line and reason. In a library of its own
 * (machine_file), since it needs json-c, which the preloaded library must not.
 */
int ui_machine_desc_read(struct ui_machine_desc *desc, const char *path, char *err, size_t err_bytes);

#endif
