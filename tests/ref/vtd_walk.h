/* SPDX-License-Identifier: MIT */
/*
 * What a device behind VT-d gets under nested translation, worked out in the plainest way from the specification (revision 5,
 * chapters 3.6 to 3.9 and 9.7): one page at a time, one entry at a time, no cache. Shares nothing with src.
 */
#ifndef TEST_REF_VTD_WALK_H
#define TEST_REF_VTD_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ref_result { REF_OK, REF_NOT_PRESENT, REF_NO_PERMISSION, REF_RESERVED_BITS, REF_BAD_ADDRESS };

/* One page of the guest's memory, as the second stage shows it. */
struct ref_page {
	uint64_t gpa;
	uint8_t *bytes;   /* the reference's own copy */
	bool read, write; /* what the second stage grants */
	bool dirty;       /* written by the device or by a walk */
};

struct ref_nested {
	struct ref_page *pages;
	size_t n_pages;
	int levels; /* 4 or 5 */
	bool sre, wpe;
	uint64_t top; /* gpa of the first table */
};

struct ref_answer {
	enum ref_result result;
	int stage;      /* that refused; 0: none */
	bool on_walk;   /* the second stage refused an access to a first-stage entry */
	uint64_t gpa;   /* what the second stage was asked for last */
	uint8_t *bytes; /* REF_OK: where the access goes */
};

/* One access within a page; @write and @user as the request says. Marks entries and pages as hardware would. */
struct ref_answer ref_nested_access(struct ref_nested *nested, uint64_t iova, bool write, bool privileged);

#endif
