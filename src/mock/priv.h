/* SPDX-License-Identifier: MIT */
/*
 * What the files of the mock share: the test command, the mock's devices, and which pages are pinned.
 *
 * Lock order: an access's locks and ctx->attach come before those of core; mock->lock comes last and is short.
 */
#ifndef UI_MOCK_PRIV_H
#define UI_MOCK_PRIV_H

#include "base/bits.h"
#include "iommufd/ctx.h"
#include "mock/mock.h"

#include <stdatomic.h>

enum { MOCK_N_WORDS = 4 }; /* of a nested domain's TLB and of a device's cache */
enum { MOCK_CACHE_DEFAULT = 0x00baddad };
enum { MOCK_PASID_BITS = 20 };
#define MOCK_VEVENTQ_TYPE 0xbeefbeefu

/* The structure of IOMMU_TEST_CMD, whose layout is the kernel's. */
struct ui_mock_cmd {
	u32 size, op, id, __reserved;
	union {
		struct {
			u64 start, length;
		} add_reserved;
		struct {
			u32 out_stdev_id, out_hwpt_id, out_idev_id, dev_flags;
		} mock_domain;
		struct {
			u32 pt_id;
		} replace;
		struct {
			u64 iova, length, uptr;
		} check_map;
		struct {
			u64 length, uptr;
			u32 refs;
		} check_refs;
		struct {
			u32 out_access_fd, flags;
		} create_access;
		struct {
			u32 access_pages_id;
		} destroy_access_pages;
		struct {
			u32 flags, out_access_pages_id;
			u64 iova, length, uptr;
		} access_pages;
		struct {
			u64 iova, length, uptr;
			u32 flags;
		} access_rw;
		struct {
			u32 limit;
		} memory_limit;
		struct {
			u32 ioas_id;
		} access_replace_ioas;
		struct {
			u32 flags, __pad;
			u64 iova, length, page_size, uptr, out_nr_dirty;
		} dirty;
		struct {
			u32 id, word;
		} check_word;
		struct {
			u32 dev_id, pasid, grpid, perm;
			u64 addr;
		} iopf;
		struct {
			u32 dev_id;
		} vevent;
		struct {
			u32 pasid, pt_id;
		} pasid;
		struct {
			u32 length, open_flags;
		} dmabuf_get;
		struct {
			s32 fd;
			u32 revoked;
		} dmabuf_revoke;
	};
	u64 last;
};

static_assert(sizeof(struct ui_mock_cmd) == 72 && offsetof(struct ui_mock_cmd, last) == 64, "iommu_test_cmd");

union ui_mock_node; /* pins.c */

struct ui_mock {
	struct ui_mem *mem;
	struct ui_iommu *iommu;
	pthread_mutex_t lock;
	struct ui_list contexts; /* lock: struct ui_mock_ctx */
	struct ui_ids rids;      /* lock: of the devices */
};

/* A context, as the mock sees it; goes with it. */
struct ui_mock_ctx {
	struct ui_mock *mock;
	struct ui_iommufd *ctx;
	struct ui_iommufd_watch watch;
	struct ui_list link;       /* mock->lock */
	union ui_mock_node *pins; /* mock->lock: what the context pins, page by page */
};

/* A test command in progress. */
struct ui_mock_call {
	struct ui_mock_ctx *mctx;
	struct ui_iommufd *ctx;
	struct ui_mock_cmd cmd;
	u64 arg;        /* where it came from */
	u32 user_bytes; /* as the caller says */
};

/* Writes the structure back. 0 or -EFAULT. */
long ui_mock_respond(const struct ui_mock_call *call);

/*
 * The operations. Each answers as the ioctl does: 0 or a negative errno (the descriptor, for one that makes a dma-buf), on which nothing
 * has changed, and writes the structure back itself where it has something to say. Any thread.
 */

/* --- device.c: devices, each with an object of the context (SELFTEST), bound and attached --- */

struct ui_mock_dev {
	struct ui_obj obj; /* first: ids name it */
	struct ui_mock *mock;
	struct ui_device *dev;
	struct ui_bound *bound;
	u32 rid, flags;
	atomic_uint cache[MOCK_N_WORDS];
	bool fail_next; /* its group's lock: the next attachment with PASID 1024 is to fail */
};

long ui_mock_domain(struct ui_mock_call *call, u32 dev_flags);
long ui_mock_domain_replace(struct ui_mock_call *call);
long ui_mock_pasid_attach(struct ui_mock_call *call);
long ui_mock_pasid_replace(struct ui_mock_call *call);
long ui_mock_pasid_detach(struct ui_mock_call *call);
long ui_mock_pasid_check(struct ui_mock_call *call);
long ui_mock_check_cache(struct ui_mock_call *call);
long ui_mock_trigger_iopf(struct ui_mock_call *call);
long ui_mock_trigger_vevent(struct ui_mock_call *call);

/* --- driver.c: the driver half --- */

enum { MOCK_DEV_NO_DIRTY = 1, MOCK_DEV_PASID = 4 };

extern const struct ui_driver_ops ui_mock_driver;
/* Word @index of the nested @domain's TLB. */
u32 ui_mock_iotlb(const struct ui_domain *domain, u32 index);
/* The vIOMMU that @domain was made through, or NULL. */
struct ui_viommu *ui_mock_domain_viommu(const struct ui_domain *domain);

/* --- access.c --- */

long ui_mock_create_access(struct ui_mock_call *call);
long ui_mock_access_pages(struct ui_mock_call *call);
long ui_mock_destroy_access_pages(struct ui_mock_call *call);
long ui_mock_access_rw(struct ui_mock_call *call);
long ui_mock_access_replace_ioas(struct ui_mock_call *call);

/* --- check.c: looks at domains --- */

long ui_mock_check_map(struct ui_mock_call *call);
long ui_mock_check_iotlb(struct ui_mock_call *call);
long ui_mock_dirty(struct ui_mock_call *call);

/* --- pins.c: how often is a page pinned? --- */

void ui_mock_pins_init(struct ui_mock_ctx *mctx);
/* Nothing is pinned any more. */
void ui_mock_pins_fini(struct ui_mock_ctx *mctx);
long ui_mock_check_refs(struct ui_mock_call *call);

/* --- maps.c: which memory is behind an address? --- */

/* A range of addresses of a process, from /proc. */
struct ui_mock_vma {
	u64 start, end; /* not included */
	bool shared;
	u64 dev_major, dev_minor, ino;
	u64 offset; /* of @start in the file */
};

struct ui_mock_maps {
	struct ui_mock_vma *vma; /* by start */
	size_t n;
};

/* The memory of this process, or of the calling thread's caller (base/user.h). 0; -ENOMEM; -ENOENT: it cannot be read. */
int ui_mock_maps_read(struct ui_mock_maps *maps, bool of_caller);
void ui_mock_maps_free(struct ui_mock_maps *maps);
const struct ui_mock_vma *ui_mock_maps_find(const struct ui_mock_maps *maps, u64 addr);
/* Both are shared memory of one file, or one piece without a name. */
bool ui_mock_same_file(const struct ui_mock_vma *a, const struct ui_mock_vma *b);

/* Compares addresses of this process with addresses of the caller's. Start with zeros; @own and @caller are read when needed. */
struct ui_mock_compare {
	struct ui_mock_maps own, caller;
	bool read;
};

/* The same byte of the same memory? 0; -EINVAL it is not; -ENOMEM; -ENOENT. */
int ui_mock_same_byte(struct ui_mock_compare *cmp, u64 addr, u64 uaddr);
void ui_mock_compare_free(struct ui_mock_compare *cmp);

#endif
