/* SPDX-License-Identifier: MIT */
/*
 * Both halves joined by nothing but memory and a command queue: what the driver half writes the device half goes by, and what the
 * driver half says of changes is enough (promises 3, 7, 8; requirements.md D4, D7, D9, D10).
 */
#include "../models/smmuv3_common.h"

#include "core/driver.h"
#include "models/smmuv3/config.h"
#include "drivers/smmuv3/smmuv3.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

enum { SID_BITS = 20, N_DEVS = 2, N_SPACES = 3, VA = 0x12345000, SSID = 1500 };

static const u32 sids[N_DEVS] = { 0x108, 0x10a };
static const u8 pasid_bits[N_DEVS] = { 12, 0 };

static struct {
	struct ui_iommu *iommu;
	struct ui_smmuv3_sink sink;
	struct ui_smmuv3_drv_cfg cfg;
	void (*stored)(void *arg);                  /* NULL: nobody looks */
	struct ui_device *dev[N_DEVS];
	struct ui_dma *port[N_DEVS];                /* by core's own answers */
	struct ui_smmuv3_stream *stream[N_DEVS];    /* by the structures */
	struct ui_domain *space[N_SPACES];          /* of the random changes */
} joint;

static void submit(void *arg, const u64 *cmds, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		command(cmds[2 * i], cmds[2 * i + 1]);
}

static void sync_done(void *arg)
{
	/* Not of cmocka's: the driver half's lock is held. */
	ui_assert(rd(UI_SMMUV3_REG_CMDQ_CONS) == rig.cmd_prod && !rd(UI_SMMUV3_REG_GERROR));
}

static void stored(void *arg)
{
	if (joint.stored)
		joint.stored(NULL);
}

static int setup(void **state)
{
	u32 base_cfg;
	u64 base;

	memset(&joint, 0, sizeof(joint));
	rig_new(SID_BITS);
	rig_start();
	joint.iommu = ui_iommu_create(ui_driver_find("smmuv3"), rig.mem);
	assert_non_null(joint.iommu);
	ui_smmuv3_drv_cfg_init(&joint.cfg);
	joint.cfg.feat = rig.cfg.feat;
	joint.sink = (struct ui_smmuv3_sink){ .submit = submit, .sync = sync_done };
	joint.cfg.sink = &joint.sink;
	joint.cfg.stored = stored;
	joint.cfg.cd_leaf_lg2 = *state ? 6 : 10;
	assert_int_equal(ui_smmuv3_drv_configure(joint.iommu, &joint.cfg), 0);
	ui_smmuv3_drv_strtab(joint.iommu, &base, &base_cfg);
	rig_enable(0);
	wr(UI_SMMUV3_REG_CR0, 0xc);
	wr64(UI_SMMUV3_REG_STRTAB_BASE, base);
	wr(UI_SMMUV3_REG_STRTAB_BASE_CFG, base_cfg);
	wr(UI_SMMUV3_REG_CR0, 0xd);
	for (unsigned i = 0; i < N_DEVS; i++) {
		joint.dev[i] = ui_device_create(joint.iommu, &(struct ui_device_cfg){ .rid = sids[i], .pasid_bits = pasid_bits[i] });
		assert_non_null(joint.dev[i]);
		joint.port[i] = ui_device_port_open(joint.dev[i]);
		joint.stream[i] = ui_smmuv3_stream_open(rig.smmu, sids[i]);
		assert_non_null(joint.port[i]);
		assert_non_null(joint.stream[i]);
	}
	return 0;
}

static void detach_all(void)
{
	for (u32 pasid = 1; pasid < 1u << pasid_bits[0]; pasid++)
		assert_int_equal(ui_device_detach(joint.dev[0], pasid, true), 0);
	for (unsigned i = 0; i < N_DEVS; i++)
		assert_int_equal(ui_device_detach(joint.dev[i], 0, false), 0);
}

static int teardown(void **state)
{
	/* A test that failed left them as they were; why shows only after this. */
	detach_all();
	for (unsigned i = 0; i < N_SPACES; i++)
		ui_domain_destroy(joint.space[i]);
	for (unsigned i = 0; i < N_DEVS; i++) {
		ui_smmuv3_stream_close(joint.stream[i]);
		ui_dma_close(joint.port[i]);
		ui_device_destroy(joint.dev[i]);
	}
	ui_iommu_destroy(joint.iommu);
	rig_end();
	return 0;
}

static struct ui_domain *domain_new(unsigned flags)
{
	struct ui_domain *domain = NULL;

	assert_int_equal(ui_domain_create_paging(joint.dev[0], flags, NULL, &domain), 0);
	return domain;
}

static void map(struct ui_domain *domain, u64 va, u64 pa, u64 n_bytes)
{
	assert_int_equal(ui_domain_map(domain, va, pa, n_bytes, UI_PROT_READ | UI_PROT_WRITE, 64), 0);
}

static void attach(unsigned i, struct ui_domain *domain)
{
	assert_int_equal(ui_device_attach(joint.dev[i], 0, false, domain, true, NULL), 0);
}

static void attach_pasid(u32 pasid, struct ui_domain *domain)
{
	assert_int_equal(ui_device_attach(joint.dev[0], pasid, true, domain, true, NULL), 0);
}

static void reaches(unsigned i, u64 iova, u32 ssid, bool ssv, u64 pa)
{
	u64 val = 0, mark = 0x1122334455667788 ^ pa ^ iova ^ ssid;

	*at(pa + 8) = mark;
	assert_int_equal(dma_read(joint.stream[i], iova + 8, ssid, ssv, &val), UI_DMA_OK);
	assert_true(val == mark);
	assert_int_equal(dma_write(joint.stream[i], iova + 16, ssid, ssv, ~mark), UI_DMA_OK);
	assert_true(*at(pa + 16) == ~mark);
}

static void refused(unsigned i, u64 iova, u32 ssid, bool ssv, enum ui_dma_status why)
{
	u64 val;

	assert_int_equal(dma_read(joint.stream[i], iova, ssid, ssv, &val), why);
}

/* D2, D4: a device's accesses go where its attachments say, without and with a SubstreamID. */
static void attachments_are_what_the_device_goes_by(void **state)
{
	struct ui_domain *a = domain_new(UI_DOMAIN_F_PASID), *b = domain_new(UI_DOMAIN_F_PASID), *s2 = domain_new(UI_DOMAIN_F_NEST_PARENT);

	map(a, VA, PAGES, PAGE);
	map(b, VA, PAGES + PAGE, PAGE);
	map(s2, VA, PAGES + 2 * PAGE, PAGE);
	refused(0, VA, 0, false, UI_DMA_BLOCKED);
	attach(0, a);
	attach(1, s2);
	reaches(0, VA, 0, false, PAGES);
	reaches(1, VA, 0, false, PAGES + 2 * PAGE);
	attach_pasid(SSID, b);
	attach_pasid(1, a);
	reaches(0, VA, SSID, true, PAGES + PAGE);
	reaches(0, VA, 1, true, PAGES);
	/* A leaf without it, no leaf for it, SubstreamID 0, and none at all for a device without. */
	refused(0, VA, 2, true, UI_DMA_MALFORMED);
	refused(0, VA, 3000, true, UI_DMA_BAD_PASID);
	refused(0, VA, 0, true, UI_DMA_BAD_PASID);
	refused(1, VA, 1, true, UI_DMA_BAD_PASID);
	attach(0, ui_domain_identity(joint.iommu));
	reaches(0, PAGES, 0, false, PAGES);
	reaches(0, VA, SSID, true, PAGES + PAGE);
	attach(0, ui_domain_blocked(joint.iommu));
	refused(0, PAGES, 0, false, UI_DMA_BAD_PASID);
	reaches(0, VA, SSID, true, PAGES + PAGE);
	detach_all();
	refused(0, VA, SSID, true, UI_DMA_BLOCKED);
	refused(1, VA, 0, false, UI_DMA_BLOCKED);
	ui_domain_destroy(a);
	ui_domain_destroy(b);
	ui_domain_destroy(s2);
}

/* ---- A reader after every store ---- */

enum { NOWHERE = 1, ABORTS = 2, BYPASSES = 3 };

static struct {
	struct ui_smmuv3_tables tables;
	u64 from[2], to[2]; /* without SubstreamID, and with SSID */
	unsigned n_stores, n_wrong;
} watch;

/* What the structures say now, past all caches: the table that translates, or one of the above. */
static u64 leads_to(bool ssv)
{
	struct ui_smmuv3_config c;
	u64 evt[UI_SMMUV3_EVT_WORDS];

	if (ui_smmuv3_config_read(&watch.tables, sids[0], ssv, ssv ? SSID : 0, &c, evt))
		return NOWHERE;
	if (c.stages.kind != UI_CFG_TRANSLATE)
		return c.stages.kind == UI_CFG_BYPASS ? BYPASSES : ssv ? NOWHERE : ABORTS;
	return c.stages.s2.present ? c.stages.s2.walk.top_pa : c.stages.s1.walk.top_pa;
}

static void look(void *arg)
{
	watch.n_stores++;
	for (unsigned ssv = 0; ssv < 2; ssv++) {
		u64 now = leads_to(ssv);

		/* Nobody leaves from here: the driver half's lock is held. */
		if (now != watch.from[ssv] && now != watch.to[ssv] && !watch.n_wrong++)
			print_error("store %u, %s: from %#lx to %#lx by way of %#lx\n", watch.n_stores, ssv ? "SSID" : "no SSID",
				    (long)watch.from[ssv], (long)watch.to[ssv], (long)now);
	}
}

static u64 goal(const struct ui_domain *domain)
{
	switch (ui_domain_kind(domain)) {
	case UI_DOMAIN_PAGING:
		return ui_domain_table(domain)->top_pa;
	case UI_DOMAIN_IDENTITY:
		return BYPASSES;
	default:
		return ABORTS;
	}
}

/* Without PASID from each of @domains to each other. @disabled: what blocked looks like. */
static void all_pairs(struct ui_domain *const *domains, unsigned n, u64 disabled)
{
	for (unsigned i = 0; i < n * n; i++) {
		const u64 ends[2] = { goal(domains[i / n]), goal(domains[i % n]) };

		watch.from[0] = watch.to[0] = leads_to(false);
		watch.to[0] = ends[0] == ABORTS ? disabled : ends[0];
		attach(0, domains[i / n]);
		assert_true(leads_to(false) == watch.to[0]);
		watch.from[0] = watch.to[0];
		watch.to[0] = ends[1] == ABORTS ? disabled : ends[1];
		attach(0, domains[i % n]);
		assert_true(leads_to(false) == watch.to[0]);
	}
}

/* Promise 8, D7: no store of any replace shows anything but the old or the new; the other SubstreamID sees nothing at all. */
static void every_store_leaves_the_old_or_the_new(void **state)
{
	struct ui_domain *domains[6] = { ui_domain_blocked(joint.iommu), ui_domain_identity(joint.iommu), domain_new(UI_DOMAIN_F_PASID),
					 domain_new(UI_DOMAIN_F_PASID), domain_new(UI_DOMAIN_F_NEST_PARENT),
					 domain_new(UI_DOMAIN_F_NEST_PARENT) };

	memset(&watch, 0, sizeof(watch));
	watch.tables = (struct ui_smmuv3_tables){ .mem = rig.mem, .feat = &rig.cfg.feat };
	ui_smmuv3_drv_strtab(joint.iommu, &watch.tables.strtab_base, &watch.tables.strtab_cfg);
	attach(0, domains[2]);
	watch.from[1] = watch.to[1] = NOWHERE;
	joint.stored = look;
	all_pairs(domains, 6, ABORTS);
	/* The first PASID: the STE leads to a CD table then, and blocked is not an abort but an error. */
	joint.stored = NULL;
	attach(0, domains[0]);
	attach_pasid(SSID, domains[2]);
	joint.stored = look;
	watch.from[1] = watch.to[1] = goal(domains[2]);
	all_pairs(domains, 4, NOWHERE);
	watch.from[0] = watch.to[0] = leads_to(false);
	watch.to[1] = goal(domains[3]);
	attach_pasid(SSID, domains[3]);
	assert_true(leads_to(true) == goal(domains[3]));
	assert_int_equal(watch.n_wrong, 0);
	assert_in_range(watch.n_stores, 100, 1000);
	joint.stored = NULL;
	detach_all();
	for (unsigned i = 2; i < 6; i++)
		ui_domain_destroy(domains[i]);
}

/* ---- Replace under load ---- */

static struct {
	atomic_bool stop;
	atomic_ulong n_done[3], n_refused;
	atomic_int why;
} load;

/* Without SubstreamID, with one, and on the other device; each with a port of its own. */
static void *do_dma(void *arg)
{
	unsigned which = (unsigned)(uintptr_t)arg;
	struct ui_smmuv3_stream *stream = joint.stream[which == 2];
	enum ui_dma_status status;
	u64 val;

	/* Pairs with the release store of the end. */
	while (!atomic_load_explicit(&load.stop, memory_order_acquire)) {
		status = dma_read(stream, PAGES + 8 * (u64)(rand() % 512), which ? SSID : 0, which == 1, &val);
		if (status != UI_DMA_OK) {
			atomic_store_explicit(&load.why, (int)status, memory_order_relaxed);
			atomic_fetch_add_explicit(&load.n_refused, 1, memory_order_relaxed);
		}
		atomic_fetch_add_explicit(&load.n_done[which], 1, memory_order_relaxed);
	}
	return NULL;
}

static void replaced_under_load(unsigned which, struct ui_domain *const *domains, unsigned n_domains)
{
	pthread_t thread;
	unsigned n;

	atomic_store(&load.stop, false);
	atomic_store(&load.n_done[which], 0);
	atomic_store(&load.n_refused, 0);
	assert_int_equal(pthread_create(&thread, NULL, do_dma, (void *)(uintptr_t)which), 0);
	for (n = 0; n < 300 || atomic_load_explicit(&load.n_done[which], memory_order_relaxed) < 5000; n++) {
		if (which == 1)
			attach_pasid(SSID, domains[n % n_domains]);
		else
			attach(which / 2, domains[n % n_domains]);
	}
	/* Release: pairs with the load of the thread. */
	atomic_store_explicit(&load.stop, true, memory_order_release);
	pthread_join(thread, NULL);
	if (atomic_load(&load.n_refused))
		fail_msg("%lu of %lu accesses refused, the last: %s", atomic_load(&load.n_refused), atomic_load(&load.n_done[which]),
			 ui_dma_status_name((enum ui_dma_status)atomic_load(&load.why)));
}

/* Promise 8: an access finds the old space or the new, in which the page is as well. */
static void replace_under_load_without_a_fault(void **state)
{
	struct ui_domain *spaces[4] = { domain_new(UI_DOMAIN_F_PASID), domain_new(UI_DOMAIN_F_PASID), ui_domain_identity(joint.iommu) };
	struct ui_domain *s2 = domain_new(UI_DOMAIN_F_NEST_PARENT), *other = domain_new(UI_DOMAIN_F_NEST_PARENT);
	struct ui_domain *with_s2[4] = { s2, spaces[0], other, s2 };

	spaces[3] = domain_new(UI_DOMAIN_F_PASID);
	for (unsigned i = 0; i < 4; i++)
		if (i != 2)
			map(spaces[i], PAGES, PAGES + i * PAGE, PAGE);
	map(s2, PAGES, PAGES, PAGE);
	map(other, PAGES, PAGES + PAGE, PAGE);
	/* A CD table for each device: of two levels, and of one CD. */
	attach(0, spaces[0]);
	attach(1, spaces[0]);
	attach_pasid(SSID, spaces[1]);
	replaced_under_load(0, spaces, 4);
	replaced_under_load(1, spaces, 2);
	replaced_under_load(2, spaces, 4);
	/* Stage 1 and 2, and another stage 2. */
	attach(1, s2);
	replaced_under_load(2, with_s2, 4);
	/* The first PASID comes and the last goes: the STE's up- and downgrade. */
	assert_int_equal(ui_device_detach(joint.dev[0], SSID, true), 0);
	attach(0, spaces[2]);
	{
		pthread_t thread;

		atomic_store(&load.stop, false);
		atomic_store(&load.n_done[0], 0);
		assert_int_equal(pthread_create(&thread, NULL, do_dma, (void *)0), 0);
		for (unsigned n = 0; n < 300 || atomic_load(&load.n_done[0]) < 5000; n++) {
			attach_pasid(SSID, spaces[n % 2]);
			assert_int_equal(ui_device_detach(joint.dev[0], SSID, true), 0);
		}
		atomic_store_explicit(&load.stop, true, memory_order_release);
		pthread_join(thread, NULL);
		assert_int_equal(atomic_load(&load.n_refused), 0);
	}
	detach_all();
	for (unsigned i = 0; i < 4; i++)
		if (i != 2)
			ui_domain_destroy(spaces[i]);
	ui_domain_destroy(s2);
	ui_domain_destroy(other);
}

/* ---- Nothing stale ---- */

enum { N_WINDOW = 24 };

static const u32 pasids[] = { 1, 5, 64, SSID };

static struct ui_domain *random_domain(void)
{
	switch (rand() % 8) {
	case 0:
		return ui_domain_blocked(joint.iommu);
	case 1:
		return ui_domain_identity(joint.iommu);
	default:
		return joint.space[rand() % N_SPACES];
	}
}

/* One page of 24 in a row, or one of 3 blocks of 2 MiB around them. */
static void random_map(void)
{
	struct ui_domain *domain = joint.space[rand() % N_SPACES];
	bool block = rand() % 4 == 0;
	u64 n_bytes = block ? 2 << 20 : PAGE;
	u64 va = block ? (u64)(rand() % 3) << 21 : ((u64)1 << 21) - 12 * PAGE + (u64)(rand() % N_WINDOW) * PAGE;

	if (rand() % 3)
		ui_domain_map(domain, va, PAGES + (u64)(rand() % 4) * (2 << 20), n_bytes, UI_PROT_READ | (rand() % 2 ? UI_PROT_WRITE : 0), 64);
	else
		assert_true(ui_domain_unmap(domain, va, va + n_bytes - 1, UI_PT_SPLIT) >= 0);
}

static void random_change(void)
{
	u32 pasid = pasids[rand() % (int)ui_array_size(pasids)];

	switch (rand() % 6) {
	case 0:
		ui_device_attach(joint.dev[rand() % N_DEVS], 0, false, random_domain(), true, NULL);
		break;
	case 1:
		ui_device_attach(joint.dev[0], pasid, true, random_domain(), true, NULL);
		break;
	case 2:
		if (rand() % 4 == 0)
			ui_device_detach(joint.dev[0], pasid, true);
		else if (rand() % 4 == 0)
			ui_device_detach(joint.dev[rand() % N_DEVS], 0, false);
		break;
	default:
		random_map();
		break;
	}
}

/* Both sides of one address, for a read and a write. @n_ok counts what is allowed. */
static void compare(unsigned i, const struct ui_dma_addr *where, unsigned *n_ok)
{
	for (unsigned access = UI_PROT_READ; access <= UI_PROT_WRITE; access++) {
		struct ui_walk core = { 0 }, device = { 0 };
		enum ui_dma_status want = ui_dma_translate(joint.port[i], where, access, &core, NULL);
		enum ui_dma_status got = ui_dma_translate(ui_smmuv3_stream_dma(joint.stream[i]), where, access, &device, NULL);

		assert_int_equal(ui_smmuv3_stream_cached(joint.stream[i], where, access), UI_SMMUV3_CACHE_GOOD);
		if ((want == UI_DMA_OK) != (got == UI_DMA_OK) || core.oa != device.oa)
			fail_msg("device %u, iova %#lx, %s %u: %s %#lx, structures say %s %#lx", i, (long)where->iova,
				 where->has_pasid ? "PASID" : "no PASID", where->pasid, ui_dma_status_name(want), (long)core.oa,
				 ui_dma_status_name(got), (long)device.oa);
		*n_ok += want == UI_DMA_OK;
	}
}

/*
 * Promise 7 with nothing but commands: after each of many random maps, unmaps, attaches and detaches every answer of the device's is
 * core's, from caches that hold nothing that tables and structures do not.
 */
static void nothing_stale_after_random_changes(void **state)
{
	const char *given = getenv("UIOMMU_TEST_SEED");
	unsigned seed = given ? (unsigned)strtoul(given, NULL, 0) : 20261121, n_ok = 0, n_all = 0;

	print_message("seed %u\n", seed);
	srand(seed);
	joint.space[0] = domain_new(UI_DOMAIN_F_PASID);
	joint.space[1] = domain_new(UI_DOMAIN_F_PASID);
	joint.space[2] = domain_new(UI_DOMAIN_F_NEST_PARENT);
	for (unsigned step = 0; step < 1200; step++) {
		random_change();
		for (unsigned i = 0; i < N_DEVS; i++) {
			for (unsigned k = 0; k <= (i ? 0 : ui_array_size(pasids)); k++) {
				struct ui_dma_addr where = { .has_pasid = k > 0, .pasid = k ? pasids[k - 1] : 0 };

				/* All pages now and then, else a few: entries have to live for a while. */
				for (unsigned page = 0; page < N_WINDOW; page += step % 16 ? 1 + (unsigned)rand() % 12 : 1) {
					where.iova = ((u64)1 << 21) + ((u64)page - 12) * PAGE + 8;
					compare(i, &where, &n_ok);
					n_all += 2;
				}
			}
		}
	}
	assert_in_range(n_ok, n_all / 5, n_all * 4 / 5);
}

/* The same with leaves of 64 CDs. */
#define T4K(name) { #name "_4k", name, setup, teardown, &leaves_4k }

int main(void)
{
	static char leaves_4k;
	const struct CMUnitTest tests[] = {
		T(attachments_are_what_the_device_goes_by), T4K(attachments_are_what_the_device_goes_by),
		T(every_store_leaves_the_old_or_the_new), T4K(every_store_leaves_the_old_or_the_new),
		T(replace_under_load_without_a_fault), T4K(replace_under_load_without_a_fault),
		T(nothing_stale_after_random_changes), T4K(nothing_stale_after_random_changes),
	};

	if (ui_safe_install())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
