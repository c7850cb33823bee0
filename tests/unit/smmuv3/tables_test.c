/* SPDX-License-Identifier: MIT */
/* What attachments leave in memory, and the commands that go with it (requirements.md D1 to D10, D15). */
#include "common.h"

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

enum { ABORT = 0, BYPASS = 4, S1 = 5, S2 = 6, TERMINATE = 0, S1DSS_BYPASS = 1, SSID0 = 2 };

static int setup(void **state)
{
	drv_new();
	return 0;
}

static int teardown(void **state)
{
	drv_end();
	return 0;
}

static int attach(struct ui_device *dev, struct ui_domain *domain)
{
	return ui_device_attach(dev, 0, false, domain, true, NULL);
}

static int attach_pasid(struct ui_device *dev, u32 pasid, struct ui_domain *domain)
{
	return ui_device_attach(dev, pasid, true, domain, true, NULL);
}

static void detach(struct ui_device *dev)
{
	assert_int_equal(ui_device_detach(dev, 0, false), 0);
}

static void detach_pasid(struct ui_device *dev, u32 pasid)
{
	assert_int_equal(ui_device_detach(dev, pasid, true), 0);
}

/* D2: the words of each kind of STE, and of a CD. */
static void stes_come_from_domains(void **state)
{
	struct ui_device *dev;
	struct ui_domain *s1, *s2;
	u64 ste[8], cd[8];

	drv.cfg.feat.attr_types_ovr = 1;
	drv_configure();
	dev = device_new(0x108, 0);
	s1 = domain_new(dev, 0);
	s2 = domain_new(dev, UI_DOMAIN_F_NEST_PARENT);
	ste_read(0x108, ste);
	assert_true(ste[0] == 1 && !ste[1] && !ste[2] && !ste[3]);
	assert_int_equal(attach(dev, ui_domain_identity(drv.iommu)), 0);
	ste_read(0x108, ste);
	assert_true(ste[0] == 9 && ste[1] == (u64)1 << 44 && !ste[2] && !ste[3]);
	assert_int_equal(attach(dev, s2), 0);
	ste_read(0x108, ste);
	assert_true(ste[0] == 0xd && ste[1] == (u64)1 << 44);
	/* VMID 1; 48 bits from level 0 in 4K granules, write-back, inner shareable, 48 bits of output; AA64, PTW, R. */
	assert_true(ste[2] == ((u64)1 | (u64)(16 | 2 << 6 | 1 << 8 | 1 << 10 | 3 << 12 | 5 << 16) << 32 | (u64)1 << 51 | (u64)1 << 54 |
			       (u64)1 << 58));
	assert_true(ste[3] == ui_domain_table(s2)->top_pa);
	assert_int_equal(attach(dev, s1), 0);
	ste_read(0x108, ste);
	assert_true((ste[0] & ~ui_mask_range(51, 6)) == 0xb && ste[1] == (2 | 1 << 2 | 1 << 4 | 3 << 6) && !ste[2] && !ste[3]);
	assert_true(cd_read(0x108, 0, cd));
	assert_true(cd[0] == (16 | 1 << 8 | 1 << 10 | 3 << 12 | (u64)1 << 30 | (u64)1 << 31 | (u64)5 << 32 | (u64)1 << 41 | (u64)1 << 45 |
			      (u64)1 << 46 | (u64)1 << 47 | (u64)1 << 48));
	assert_true(cd[1] == ui_domain_table(s1)->top_pa && !cd[2] && cd[3] == 0x04ff44 && !cd[4] && !cd[5] && !cd[6] && !cd[7]);
	detach(dev);
	ste_read(0x108, ste);
	assert_true(ste[0] == 1 && !ste[1] && !ste[2] && !ste[3]);
	ui_domain_destroy(s1);
	ui_domain_destroy(s2);
	ui_device_destroy(dev);
}

/* Dirty tracking is the hardware's: HA and HD. */
static void dirty_tracking_is_in_the_cd(void **state)
{
	struct ui_device *dev;
	struct ui_domain *domain;
	u64 cd[8];

	drv_configure();
	dev = device_new(8, 0);
	domain = domain_new(dev, UI_DOMAIN_F_DIRTY);
	assert_int_equal(attach(dev, domain), 0);
	assert_true(cd_read(8, 0, cd));
	assert_int_equal(bits(cd[0], 43, 42), 3);
	detach(dev);
	ui_domain_destroy(domain);
	ui_device_destroy(dev);
}

/* D3: linear where one leaf would do, or where the SMMU has no two levels, and then of 1024 CDs at most. */
static void shapes_of_cd_tables(void **state)
{
	static const struct {
		u8 bits, leaf, two, fmt, max;
	} shapes[] = {
		{ 0, 10, 1, 0, 0 },  { 1, 10, 1, 0, 1 },  { 10, 10, 1, 0, 10 }, { 11, 10, 1, 2, 11 }, { 20, 10, 1, 2, 20 },
		{ 6, 6, 1, 0, 6 },   { 7, 6, 1, 1, 7 },   { 20, 6, 1, 1, 20 },  { 10, 10, 0, 0, 10 }, { 11, 10, 0, 0, 10 },
		{ 20, 10, 0, 0, 10 },
	};

	for (size_t i = 0; i < ui_array_size(shapes); i++) {
		u32 far = (1u << shapes[i].max) - 1;
		struct ui_device *dev;
		struct ui_domain *domain;
		u64 ste[8], cd[8];

		drv.cfg.feat.cd2l = shapes[i].two;
		drv.cfg.cd_leaf_lg2 = shapes[i].leaf;
		drv_configure();
		dev = device_new(8, shapes[i].bits);
		domain = domain_new(dev, UI_DOMAIN_F_PASID);
		assert_int_equal(attach(dev, domain), 0);
		ste_read(8, ste);
		assert_int_equal(bits(ste[0], 5, 4), shapes[i].fmt);
		assert_int_equal(bits(ste[0], 63, 59), shapes[i].max);
		assert_int_equal(cd_asid(8, 0), 1);
		if (shapes[i].bits) {
			/* Leaves come with their first use. */
			assert_int_equal(cd_read(8, far, cd), !shapes[i].fmt);
			assert_int_equal(attach_pasid(dev, far, domain), 0);
			assert_int_equal(cd_asid(8, far), 1);
			detach_pasid(dev, far);
			assert_int_equal(cd_asid(8, far), 0);
		}
		if (shapes[i].max < shapes[i].bits)
			assert_int_equal(attach_pasid(dev, far + 1, domain), -EINVAL);
		detach(dev);
		ui_domain_destroy(domain);
		ui_device_destroy(dev);
	}
}

/* 3.3.1: linear or in two levels; who has no neighbours has no STE. */
static void shapes_of_stream_tables(void **state)
{
	static const u8 linear[] = { 0, 4, 15, 20 };
	u64 base, ste[8];
	u32 cfg;

	for (size_t i = 0; i < ui_array_size(linear); i++) {
		struct ui_device *dev;

		drv.cfg.feat.st_level = linear[i] == 4;
		drv.cfg.feat.sidsize = linear[i];
		drv_configure();
		ui_smmuv3_drv_strtab(drv.iommu, &base, &cfg);
		assert_int_equal(cfg, linear[i] > 15 ? 15 : linear[i]);
		dev = device_new(0, 0);
		assert_int_equal(attach(dev, ui_domain_identity(drv.iommu)), 0);
		assert_int_equal(ste_config(0), BYPASS);
		if (linear[i])
			assert_int_equal(ste_config((1u << linear[i]) > 0x8000 ? 0x7fff : (1u << linear[i]) - 1), ABORT);
		detach(dev);
		ui_device_destroy(dev);
	}
	drv.cfg.feat.st_level = 1;
	drv.cfg.feat.sidsize = 32;
	drv_configure();
	ui_smmuv3_drv_strtab(drv.iommu, &base, &cfg);
	assert_int_equal(cfg, 25 | 8 << 6 | 1 << 16);
	for (u32 sid = 0x1ffff00; sid >= 0x100; sid >>= 8) {
		struct ui_device *dev;

		assert_false(ste_read(sid, ste));
		dev = device_new(sid, 0);
		assert_int_equal(ste_config(sid), ABORT);
		assert_int_equal(ste_config(sid ^ 0xff), ABORT);
		ui_device_destroy(dev);
	}
	/* Beyond the table: no such device. */
	assert_null(ui_device_create(drv.iommu, &(struct ui_device_cfg){ .rid = 0x2000000 }));
}

struct cell {
	int ret;         /* of the last step */
	u8 config, dss;
};

/*
 * D4, D5: {blocked, identity, stage 1, stage 2} without PASID x {0, 1, 3} PASIDs, in both orders, as Linux's driver has it: first PASIDs
 * and then the other, and the other way round.
 */
static void the_matrix(void **state)
{
	enum { N_RID = 4, N_COUNT = 3 };
	static const unsigned counts[N_COUNT] = { 0, 1, 3 };
	static const u8 alone[N_RID] = { ABORT, BYPASS, S1, S2 };
	static const struct cell pasids_first[N_RID][N_COUNT] = {
		{ { 0, ABORT, 0 }, { 0, S1, TERMINATE }, { 0, S1, TERMINATE } },
		{ { 0, BYPASS, 0 }, { 0, S1, S1DSS_BYPASS }, { 0, S1, S1DSS_BYPASS } },
		{ { 0, S1, SSID0 }, { 0, S1, SSID0 }, { 0, S1, SSID0 } },
		{ { 0, S2, 0 }, { -EBUSY, S1, TERMINATE }, { -EBUSY, S1, TERMINATE } },
	};
	static const struct cell pasids_last[N_RID][N_COUNT] = {
		{ { 0, ABORT, 0 }, { 0, S1, TERMINATE }, { 0, S1, TERMINATE } },
		{ { 0, BYPASS, 0 }, { 0, S1, S1DSS_BYPASS }, { 0, S1, S1DSS_BYPASS } },
		{ { 0, S1, SSID0 }, { 0, S1, SSID0 }, { 0, S1, SSID0 } },
		{ { 0, S2, 0 }, { -EINVAL, S2, 0 }, { -EINVAL, S2, 0 } },
	};
	struct ui_domain *rids[N_RID], *space;
	struct ui_device *dev;

	drv_configure();
	dev = device_new(8, 12);
	space = domain_new(dev, UI_DOMAIN_F_PASID);
	rids[0] = ui_domain_blocked(drv.iommu);
	rids[1] = ui_domain_identity(drv.iommu);
	rids[2] = domain_new(dev, 0);
	rids[3] = domain_new(dev, UI_DOMAIN_F_NEST_PARENT);
	for (unsigned order = 0; order < 2; order++) {
		for (unsigned i = 0; i < N_RID * N_COUNT; i++) {
			unsigned rid = i / N_COUNT, n = counts[i % N_COUNT];
			const struct cell *want = order ? &pasids_last[rid][i % N_COUNT] : &pasids_first[rid][i % N_COUNT];
			int ret = 0;

			if (order)
				ret = attach(dev, rids[rid]);
			for (u32 pasid = 1; pasid <= n; pasid++)
				ret = attach_pasid(dev, pasid * 1000, space);
			if (!order)
				ret = attach(dev, rids[rid]);
			assert_int_equal(ret, want->ret);
			assert_int_equal(ste_config(8), want->config);
			assert_int_equal(ste_s1dss(8), want->dss);
			if (want->config == S1) {
				assert_int_equal(cd_asid(8, 0), rid == 2 ? 2 : 0);
				for (u32 pasid = 1; pasid <= n; pasid++)
					assert_int_equal(cd_asid(8, pasid * 1000), 1);
			}
			/* And back: the last PASID takes the CD table with it. */
			for (u32 pasid = 1; pasid <= n; pasid++)
				detach_pasid(dev, pasid * 1000);
			assert_int_equal(ste_config(8), want->ret == -EBUSY ? ABORT : alone[rid]);
			detach(dev);
			assert_int_equal(ste_config(8), ABORT);
		}
	}
	for (unsigned i = 2; i < N_RID; i++)
		ui_domain_destroy(rids[i]);
	ui_domain_destroy(space);
	ui_device_destroy(dev);
}

/* D5: what goes with PASIDs besides. */
static void pasids_that_do_not_go(void **state)
{
	struct ui_device *dev;
	struct ui_domain *space, *other;

	drv_configure();
	dev = device_new(8, 5);
	space = domain_new(dev, UI_DOMAIN_F_PASID);
	other = domain_new(dev, UI_DOMAIN_F_PASID);
	assert_int_equal(attach_pasid(dev, 0, space), -EINVAL);
	assert_int_equal(attach_pasid(dev, 32, space), -EINVAL);
	assert_int_equal(attach_pasid(dev, 3, ui_domain_identity(drv.iommu)), -EOPNOTSUPP);
	assert_int_equal(ste_config(8), ABORT);
	/* Replace, by another and by none. */
	assert_int_equal(attach_pasid(dev, 31, space), 0);
	assert_int_equal(cd_asid(8, 31), 1);
	assert_int_equal(attach_pasid(dev, 31, other), 0);
	assert_int_equal(cd_asid(8, 31), 2);
	assert_int_equal(attach_pasid(dev, 31, ui_domain_blocked(drv.iommu)), 0);
	assert_int_equal(ste_config(8), ABORT);
	detach_pasid(dev, 31);
	ui_domain_destroy(space);
	ui_domain_destroy(other);
	ui_device_destroy(dev);
}

/* Paging domains as Linux's driver makes them: flags, stages. */
static void kinds_of_domains(void **state)
{
	const unsigned dirty = UI_DOMAIN_F_DIRTY, parent = UI_DOMAIN_F_NEST_PARENT, pasid = UI_DOMAIN_F_PASID;
	struct ui_domain *domain;
	struct ui_device *dev;

	drv_configure();
	dev = device_new(8, 5);
	assert_int_equal(ui_domain_create_paging(dev, parent | dirty, NULL, &domain), -EOPNOTSUPP);
	assert_int_equal(ui_domain_create_paging(dev, parent | pasid, NULL, &domain), -EOPNOTSUPP);
	for (unsigned flags = 0; flags < 8; flags++) {
		if ((flags & parent) && flags != parent)
			continue;
		domain = domain_new(dev, flags);
		assert_int_equal(ui_domain_table(domain)->cfg.format, flags == parent ? UI_PT_ARM_S2 : UI_PT_ARM_S1);
		ui_domain_destroy(domain);
	}
	ui_device_destroy(dev);
	/* Stage 2 alone. */
	drv.cfg.feat.s1p = 0;
	drv_configure();
	dev = device_new(8, 5);
	assert_int_equal(ui_domain_create_paging(dev, parent, NULL, &domain), -EOPNOTSUPP);
	assert_int_equal(ui_domain_create_paging(dev, pasid, NULL, &domain), -EOPNOTSUPP);
	domain = domain_new(dev, 0);
	assert_int_equal(attach(dev, domain), 0);
	assert_int_equal(ste_config(8), S2);
	detach(dev);
	ui_domain_destroy(domain);
	ui_device_destroy(dev);
	/* Stage 1 alone. */
	drv.cfg.feat.s1p = 1;
	drv.cfg.feat.s2p = 0;
	drv.cfg.feat.httu = 1;
	drv_configure();
	dev = device_new(8, 5);
	assert_int_equal(ui_domain_create_paging(dev, parent, NULL, &domain), -EOPNOTSUPP);
	assert_int_equal(ui_domain_create_paging(dev, dirty, NULL, &domain), -EOPNOTSUPP);
	ui_device_destroy(dev);
}

/* D8, D15: 255 spaces with ASIDs of 8 bits, whatever the PASIDs; a tag is one for all devices, and no PASID. */
static void tags(void **state)
{
	struct ui_domain *spaces[256], *more, *parent;
	struct ui_device *dev, *peer;

	drv.cfg.feat.asid16 = drv.cfg.feat.vmid16 = 0;
	drv_configure();
	dev = device_new(8, 20);
	peer = device_new(9, 20);
	for (u32 i = 1; i < 256; i++) {
		spaces[i] = domain_new(dev, UI_DOMAIN_F_PASID);
		assert_int_equal(attach_pasid(dev, i << 12 | 0x801, spaces[i]), 0);
		assert_int_equal(attach_pasid(peer, i, spaces[i]), 0);
	}
	assert_int_equal(ui_domain_create_paging(dev, 0, NULL, &more), -ENOSPC);
	for (u32 i = 1; i < 256; i++) {
		assert_int_equal(cd_asid(8, i << 12 | 0x801), i);
		assert_int_equal(cd_asid(9, i), i);
	}
	/* VMIDs are numbers of their own. */
	parent = domain_new(dev, UI_DOMAIN_F_NEST_PARENT);
	for (u32 i = 1; i < 256; i++) {
		detach_pasid(dev, i << 12 | 0x801);
		detach_pasid(peer, i);
		ui_domain_destroy(spaces[i]);
	}
	more = domain_new(dev, 0);
	ui_domain_destroy(more);
	ui_domain_destroy(parent);
	ui_device_destroy(dev);
	ui_device_destroy(peer);
}

/* D7, D9, D10: commands of attach, replace and detach, in their order. */
static void commands_of_attachments(void **state)
{
	struct ui_device *dev;
	struct ui_domain *a, *b;

	drv_configure();
	dev = device_new(0x108, 12);
	a = domain_new(dev, UI_DOMAIN_F_PASID);
	b = domain_new(dev, UI_DOMAIN_F_PASID);
	log_is("CFGI_STE StreamID=0x108\nSYNC\n");
	/* First a leaf, then a CD that is not in force yet, then the STE: word 1, word 0. */
	assert_int_equal(attach(dev, a), 0);
	log_is("CFGI_CD StreamID=0x108\nSYNC\n"
	       "CFGI_CD StreamID=0x108 Leaf\nSYNC\nCFGI_CD StreamID=0x108 Leaf\nSYNC\n"
	       "CFGI_STE StreamID=0x108 Leaf\nSYNC\nCFGI_STE StreamID=0x108 Leaf\nSYNC\n");
	/* By another space: the leaf turns, and the ASID that nobody has any more is flushed. */
	assert_int_equal(attach(dev, b), 0);
	log_is("CFGI_CD_ALL StreamID=0x108\nSYNC\nTLBI_NH_ASID ASID=1\nSYNC\n");
	assert_int_equal(attach_pasid(dev, 5, b), 0);
	log_is("CFGI_CD SubstreamID=0x5 StreamID=0x108 Leaf\nSYNC\nCFGI_CD SubstreamID=0x5 StreamID=0x108 Leaf\nSYNC\n");
	/* The other user stays: nothing to flush. */
	assert_int_equal(attach(dev, ui_domain_identity(drv.iommu)), 0);
	log_is("CFGI_STE StreamID=0x108 Leaf\nSYNC\n"
	       "CFGI_CD StreamID=0x108 Leaf\nSYNC\nCFGI_CD StreamID=0x108 Leaf\nSYNC\n");
	detach_pasid(dev, 5);
	log_is("CFGI_CD SubstreamID=0x5 StreamID=0x108 Leaf\nSYNC\nCFGI_CD SubstreamID=0x5 StreamID=0x108 Leaf\nSYNC\n"
	       "CFGI_STE StreamID=0x108 Leaf\nSYNC\nCFGI_STE StreamID=0x108 Leaf\nSYNC\n"
	       "TLBI_NH_ASID ASID=2\nSYNC\n");
	detach(dev);
	log_is("CFGI_STE StreamID=0x108 Leaf\nSYNC\n");
	ui_domain_destroy(a);
	ui_domain_destroy(b);
	ui_device_destroy(dev);
	log_is("");
}

static void map(struct ui_domain *domain, u64 iova, u64 n_bytes)
{
	assert_int_equal(ui_domain_map(domain, iova, 0x40000000, n_bytes, UI_PROT_READ, 12), 0);
}

static void unmap(struct ui_domain *domain, u64 iova, u64 n_bytes)
{
	assert_true(ui_domain_unmap(domain, iova, iova + n_bytes - 1, UI_PT_SPLIT) == (s64)n_bytes);
}

/* D9: one list a domain, however many devices and PASIDs; none where nobody could have cached a thing (D10). */
static void commands_of_unmaps(void **state)
{
	struct ui_domain *s1, *s2;
	struct ui_device *dev, *peer;

	drv_configure();
	dev = device_new(8, 12);
	peer = device_new(9, 12);
	s1 = domain_new(dev, UI_DOMAIN_F_PASID);
	s2 = domain_new(dev, UI_DOMAIN_F_NEST_PARENT);
	map(s1, 0x10000, 0x2000);
	log_clear();
	unmap(s1, 0x11000, 0x1000);
	log_is("");
	assert_int_equal(attach(dev, s1), 0);
	assert_int_equal(attach_pasid(dev, 5, s1), 0);
	assert_int_equal(attach_pasid(dev, 6, s1), 0);
	assert_int_equal(attach(peer, s1), 0);
	log_clear();
	unmap(s1, 0x10000, 0x1000);
	log_is("TLBI_NH_VA ASID=1 Address=0x10000\nSYNC\n");
	/* 543 pages: 31, then 2^9. */
	map(s1, 0x200000, 0x21f000);
	unmap(s1, 0x200000, 0x21f000);
	log_is("TLBI_NH_VA NUM=30 ASID=1 TG=1 (4K) Address=0x200000\n"
	       "TLBI_NH_VA SCALE=9 ASID=1 TG=1 (4K) Address=0x21f000\nSYNC\n");
	detach(dev);
	detach_pasid(dev, 5);
	detach_pasid(dev, 6);
	log_clear();
	map(s1, 0x10000, 0x1000);
	unmap(s1, 0x10000, 0x1000);
	log_is("TLBI_NH_VA ASID=1 Address=0x10000\nSYNC\n");
	assert_int_equal(attach(peer, s2), 0);
	log_clear();
	map(s2, 0x10000, 0x5000);
	unmap(s2, 0x10000, 0x5000);
	log_is("TLBI_S2_IPA NUM=4 VMID=1 TG=1 (4K) Address=0x10000\nSYNC\n");
	detach(peer);
	log_is("CFGI_STE StreamID=0x9 Leaf\nSYNC\nCFGI_STE StreamID=0x9 Leaf\nSYNC\nTLBI_S12_VMALL VMID=1\nSYNC\n");
	/* From stage 2 to stage 1: the leaf of the stream table turns. */
	assert_int_equal(attach(peer, s2), 0);
	log_clear();
	assert_int_equal(attach(peer, s1), 0);
	log_is("CFGI_CD StreamID=0x9 Leaf\nSYNC\nCFGI_CD StreamID=0x9 Leaf\nSYNC\n"
	       "CFGI_STE_RANGE Range=31\nSYNC\nTLBI_S12_VMALL VMID=1\nSYNC\n");
	detach(peer);
	ui_domain_destroy(s1);
	ui_domain_destroy(s2);
	ui_device_destroy(dev);
	ui_device_destroy(peer);
}

/* Without range invalidation pages go one by one, up to 512; batches hold 64 commands. */
static void commands_without_ranges(void **state)
{
	struct ui_domain *s1;
	struct ui_device *dev;

	drv.cfg.feat.ril = 0;
	drv_configure();
	dev = device_new(8, 0);
	s1 = domain_new(dev, 0);
	assert_int_equal(attach(dev, s1), 0);
	map(s1, 0x10000, 0x3000);
	log_clear();
	unmap(s1, 0x10000, 0x3000);
	log_is("TLBI_NH_VA ASID=1 Address=0x10000\nTLBI_NH_VA ASID=1 Address=0x11000\nTLBI_NH_VA ASID=1 Address=0x12000\nSYNC\n");
	map(s1, 0x400000, 0x200000);
	unmap(s1, 0x400000, 0x200000);
	assert_int_equal(drv.n_syncs, 1);
	log_clear();
	map(s1, 0x400000, 0x201000);
	unmap(s1, 0x400000, 0x201000);
	log_is("TLBI_NH_ASID ASID=1\nSYNC\n");
	detach(dev);
	ui_domain_destroy(s1);
	ui_device_destroy(dev);
}

/* Each allocation fails in turn: what was attached stays, and what memory there was comes back. */
static void without_memory_nothing_changes(void **state)
{
	struct ui_domain *a, *b;
	struct ui_device *dev;
	bool done = false;

	drv_configure();
	for (u64 n = 1; !done; n++) {
		ui_inject_arm(n);
		dev = ui_device_create(drv.iommu, &(struct ui_device_cfg){ .rid = (u32)n << 8, .pasid_bits = 12 });
		done = dev && ui_inject_left();
		ui_inject_arm(0);
		ui_device_destroy(dev);
	}
	dev = device_new(8, 12);
	for (done = false; !done;) {
		for (u64 n = 1; !done; n++) {
			ui_inject_arm(n);
			done = !ui_domain_create_paging(dev, UI_DOMAIN_F_PASID, NULL, &a);
			ui_inject_arm(0);
		}
	}
	b = domain_new(dev, UI_DOMAIN_F_PASID);
	assert_int_equal(attach(dev, b), 0);
	done = false;
	for (u64 n = 1; !done; n++) {
		ui_inject_arm(n);
		done = !attach_pasid(dev, 3000, a);
		ui_inject_arm(0);
		assert_int_equal(cd_asid(8, 3000), done ? 1 : 0);
		assert_int_equal(ste_config(8), S1);
	}
	done = false;
	for (u64 n = 1; !done; n++) {
		ui_inject_arm(n);
		/* A copy of the leaf is a help, not a need: a replace fails for core's own memory only. */
		done = !attach(dev, a);
		ui_inject_arm(0);
		assert_int_equal(cd_asid(8, 0), done ? 1 : 2);
	}
	detach(dev);
	detach_pasid(dev, 3000);
	ui_domain_destroy(a);
	ui_domain_destroy(b);
	ui_device_destroy(dev);
}

/* What it cannot drive it says at once. */
static void features_that_do_not_do(void **state)
{
	struct ui_smmuv3_drv_cfg cfg = drv.cfg;

	cfg.feat.s1p = cfg.feat.s2p = 0;
	assert_int_equal(ui_smmuv3_drv_configure(drv.iommu, &cfg), -EINVAL);
	cfg = drv.cfg;
	cfg.feat.gran4k = 0;
	assert_int_equal(ui_smmuv3_drv_configure(drv.iommu, &cfg), -EINVAL);
	cfg = drv.cfg;
	cfg.feat.oas = UI_SMMUV3_PS_44;
	assert_int_equal(ui_smmuv3_drv_configure(drv.iommu, &cfg), -EINVAL);
	cfg = drv.cfg;
	cfg.cd_leaf_lg2 = 9;
	assert_int_equal(ui_smmuv3_drv_configure(drv.iommu, &cfg), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(stes_come_from_domains), T(dirty_tracking_is_in_the_cd), T(shapes_of_cd_tables), T(shapes_of_stream_tables), T(the_matrix),
		T(pasids_that_do_not_go), T(kinds_of_domains), T(tags), T(commands_of_attachments), T(commands_of_unmaps),
		T(commands_without_ranges), T(without_memory_nothing_changes), T(features_that_do_not_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
