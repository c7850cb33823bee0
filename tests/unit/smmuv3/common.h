/* SPDX-License-Identifier: MIT */
/*
 * The driver half with a sink that writes down its commands, and a reader of its structures that shares nothing with src: positions
 * are numbers out of the specification (IHI 0070, 5.1 to 5.4).
 */
#ifndef TESTS_SMMUV3_DRV_COMMON_H
#define TESTS_SMMUV3_DRV_COMMON_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "core/domain.h"
#include "drivers/smmuv3/smmuv3.h"
#include "translate/mem.h"

enum { LOG_MAX = 8192 };

struct drv_rig {
	struct ui_mem *mem;
	struct ui_iommu *iommu;
	struct ui_smmuv3_drv_cfg cfg;
	struct ui_smmuv3_sink sink;
	char log[LOG_MAX]; /* commands since log_clear(), one a line */
	size_t n_log;
	unsigned n_syncs;
	bool open;        /* a batch without its sync */
};

static struct drv_rig drv;

static inline void log_submit(void *arg, const u64 *cmds, unsigned n)
{
	char text[160], *op;

	/* Not of cmocka's: the driver half's lock is held. */
	ui_assert(n && n <= UI_SMMUV3_BATCH);
	for (unsigned i = 0; i < n; i++) {
		const u64 *cmd = &cmds[i * UI_SMMUV3_CMD_WORDS];

		ui_assert(!ui_smmuv3_cmd_illegal(cmd, &drv.cfg.feat));
		ui_hw_print(ui_smmuv3_command(cmd), cmd, text, sizeof(text));
		/* The name says it already. */
		op = strstr(text, " Opcode=");
		ui_assert(op);
		memmove(op, op + 1 + strcspn(op + 1, " "), strlen(op + 1 + strcspn(op + 1, " ")) + 1);
		if (drv.n_log + strlen(text) + 2 < LOG_MAX)
			drv.n_log += (size_t)sprintf(drv.log + drv.n_log, "%s\n", text + strlen("CMD_"));
	}
	drv.open = true;
}

static inline void log_sync(void *arg)
{
	ui_assert(drv.open);
	drv.open = false;
	drv.n_syncs++;
}

static inline void log_clear(void)
{
	drv.n_log = 0;
	drv.log[0] = '\0';
	drv.n_syncs = 0;
}

static inline void log_is(const char *want)
{
	if (strcmp(drv.log, want))
		print_error("commands:\n%swanted:\n%s", drv.log, want);
	assert_string_equal(drv.log, want);
	log_clear();
}

/* The memory of an embedder, without any. */
static inline void drv_new(void)
{
	memset(&drv, 0, sizeof(drv));
	drv.mem = ui_mem_create();
	assert_non_null(drv.mem);
	drv.iommu = ui_iommu_create(ui_driver_find("smmuv3"), drv.mem);
	assert_non_null(drv.iommu);
	ui_smmuv3_drv_cfg_init(&drv.cfg);
	drv.sink = (struct ui_smmuv3_sink){ .submit = log_submit, .sync = log_sync };
	drv.cfg.sink = &drv.sink;
}

static inline void drv_configure(void)
{
	assert_int_equal(ui_smmuv3_drv_configure(drv.iommu, &drv.cfg), 0);
}

static inline void drv_end(void)
{
	ui_iommu_destroy(drv.iommu);
	ui_mem_destroy(drv.mem);
}

static inline struct ui_device *device_new(u32 rid, u8 pasid_bits)
{
	const struct ui_device_cfg cfg = { .rid = rid, .pasid_bits = pasid_bits };
	struct ui_device *dev = ui_device_create(drv.iommu, &cfg);

	assert_non_null(dev);
	return dev;
}

static inline struct ui_domain *domain_new(struct ui_device *dev, unsigned flags)
{
	struct ui_domain *domain = NULL;

	assert_int_equal(ui_domain_create_paging(dev, flags, NULL, &domain), 0);
	return domain;
}

/* ---- What lies in memory ---- */

static inline u64 bits(u64 word, unsigned high, unsigned low)
{
	return word >> low & (((u64)2 << (high - low)) - 1);
}

static inline u64 word_at(u64 pa)
{
	struct ui_mem_span span;
	u64 val;

	assert_true(ui_mem_resolve(drv.mem, pa, &span));
	memcpy(&val, span.host, sizeof(val));
	return val;
}

static inline void entry_at(u64 pa, u64 words[8])
{
	for (unsigned i = 0; i < 8; i++)
		words[i] = word_at(pa + i * 8);
}

/* False: there is none. */
static inline bool ste_read(u32 sid, u64 ste[8])
{
	u64 base, l1;
	u32 cfg;

	ui_smmuv3_drv_strtab(drv.iommu, &base, &cfg);
	assert_true((u64)sid >> (cfg & 63) == 0);
	if (!(cfg >> 16 & 3)) {
		entry_at(base + (u64)sid * 64, ste);
		return true;
	}
	assert_int_equal(cfg >> 6 & 31, 8);
	l1 = word_at(base + (u64)(sid >> 8) * 8);
	if (!bits(l1, 4, 0))
		return false;
	assert_int_equal(bits(l1, 4, 0), 9);
	assert_int_equal(bits(l1, 13, 6), 0); /* aligned to its size */
	entry_at((l1 & ~(u64)0x3fff) + (u64)(sid & 255) * 64, ste);
	return true;
}

/* False: there is no leaf for it. */
static inline bool cd_read(u32 sid, u32 ssid, u64 cd[8])
{
	u64 ste[8], table, l1;
	unsigned fmt, leaf;

	assert_true(ste_read(sid, ste));
	assert_int_equal(bits(ste[0], 3, 0), 0xb);
	table = ste[0] & 0xfffffffffffc0;
	fmt = (unsigned)bits(ste[0], 5, 4);
	assert_true((u64)ssid >> bits(ste[0], 63, 59) == 0);
	if (!fmt) {
		assert_int_equal(table & (((u64)64 << bits(ste[0], 63, 59)) - 1), 0);
		entry_at(table + (u64)ssid * 64, cd);
		return true;
	}
	leaf = fmt == 1 ? 6 : 10;
	l1 = word_at(table + (u64)(ssid >> leaf) * 8);
	if (!(l1 & 1))
		return false;
	assert_int_equal(bits(l1, leaf + 5, 1), 0);
	entry_at((l1 & 0xffffffffff000) + (u64)(ssid & ((1u << leaf) - 1)) * 64, cd);
	return true;
}

static inline unsigned ste_config(u32 sid)
{
	u64 ste[8];

	assert_true(ste_read(sid, ste));
	assert_true(ste[0] & 1);
	return (unsigned)bits(ste[0], 3, 1);
}

static inline unsigned ste_s1dss(u32 sid)
{
	u64 ste[8];

	assert_true(ste_read(sid, ste));
	return (unsigned)bits(ste[1], 1, 0);
}

/* The ASID of a CD; 0: it is not valid, or not there. */
static inline unsigned cd_asid(u32 sid, u32 ssid)
{
	u64 cd[8];

	return cd_read(sid, ssid, cd) && (cd[0] >> 31 & 1) ? (unsigned)bits(cd[0], 63, 48) : 0;
}

#endif
