/* SPDX-License-Identifier: MIT */
/* What the page-table tests share: the geometries that every test runs over, table pages, and a model of a table. */
#ifndef UI_TEST_PGTABLE_COMMON_H
#define UI_TEST_PGTABLE_COMMON_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "pgtable/fmt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Table pages at small pas, whatever the host addresses are: tables must not mix the two, and must fit 32-bit formats. */
struct test_pages {
	struct ui_pt_pages pages;
	u8 *mem;
	u64 next;
	void *free_list[24];
	u64 live_bytes;
};

#define TEST_PAGES_BYTES ((u64)512 << 20)
#define TEST_PAGES_PA ((u64)1 << 20)

struct test_pages *test_pages_create(void);
void test_pages_destroy(struct test_pages *tp);

/* Every format in every geometry that matters; .pages is NULL. */
extern const struct ui_pt_cfg test_geometries[];
extern const size_t test_n_geometries;
const char *test_cfg_name(const struct ui_pt_cfg *cfg);
const struct ui_pt_instance *test_instance(enum ui_pt_format format);
struct ui_walk_cfg test_view(const struct ui_pt_cfg *cfg);

/*
 * The tests count addresses from 0. For a table of the last addresses these give it the addresses that it knows, and take them
 * back: ui_pt_init(), with ops that shift; and a foreign walk.
 */
int test_init(struct ui_pt *pt, const struct ui_pt_cfg *cfg);
enum ui_walk_status test_walk_table(const struct ui_walk_cfg *cfg, const struct ui_walk_mem *mem, u64 iova, unsigned access,
				    struct ui_walk *out);
/* Last address that can be mapped. */
u64 test_limit(const struct ui_pt_cfg *cfg);
/* Is @prot something that the format can express? */
bool test_prot_ok(enum ui_pt_format format, unsigned prot);
/* What a leaf made for @prot grants to an access with UI_PROT_PRIV or without in @access, from the formats' specifications. */
unsigned test_grants(enum ui_pt_format format, unsigned prot, unsigned access);

/* The model: the leaves that the table must have, sorted. */
struct model_leaf {
	u64 start, oa;
	unsigned lg2, prot;
	bool dirty;
};

struct model {
	const struct ui_pt_cfg *cfg;
	u64 sizes; /* allowed leaf sizes */
	struct model_leaf *leaf;
	size_t n, room;
	unsigned shift[UI_PT_MAX_LEVELS];
	unsigned n_levels;
	u64 top_bytes, table_bytes;
};

void model_init(struct model *m, const struct ui_pt_cfg *cfg, const struct ui_pt *pt);
void model_fini(struct model *m);
void model_copy(struct model *to, const struct model *from);
/* Largest leaf for @at in a mapping of [@iova, @last] to @oa, found by trying every size. */
unsigned model_leaf_lg2(u64 sizes, u64 iova, u64 last, u64 oa, u64 at);
int model_map(struct model *m, u64 iova, u64 oa, u64 length, unsigned prot);
s64 model_unmap(struct model *m, u64 start, u64 last, enum ui_pt_partial partial);
int model_repoint(struct model *m, u64 start, u64 last, u64 oa);
/* The leaf that holds @at, or NULL. */
struct model_leaf *model_find(const struct model *m, u64 at);
u64 model_table_bytes(const struct model *m);

/* Table against model: every leaf with address, size, rights and state; table bytes; nothing besides. */
void check_table(struct ui_pt *pt, const struct model *m);
/* Our walk and the foreign walk of the same table for one address; both must agree with the model. Marks nothing. */
void check_lookup(const struct ui_pt *pt, const struct model *m, u64 iova);
/* As a device: both must grant exactly what the model's leaf grants; the model's dirty state follows. */
void check_access(const struct ui_pt *pt, struct model *m, u64 iova, unsigned access);
/* Reads a table as foreign memory. */
struct ui_walk_mem test_walk_mem(const struct ui_pt *pt);

/* 64 random bits; the seed is printed by test_seed(), and taken from UIOMMU_TEST_SEED when that is set. */
void test_seed(void);
u64 test_rand(void);
u64 test_below(u64 n);

#endif
