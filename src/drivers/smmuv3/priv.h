/* SPDX-License-Identifier: MIT */
/*
 * What the files of the driver half of the SMMUv3 share.
 *
 * One lock, the driver half's, guards structures, tags, users and commands; it is the last of all locks. A *client* is a device
 * as the SMMU sees it: one StreamID (the device's RID), one STE, and a CD table that comes with its first use (D3).
 */
#ifndef UI_DRIVERS_SMMUV3_PRIV_H
#define UI_DRIVERS_SMMUV3_PRIV_H

#include "base/ids.h"
#include "drivers/smmuv3/entry.h"
#include "drivers/smmuv3/smmuv3.h"

#include <pthread.h>

enum {
	UI_SMMUV3_PA_BITS = 48,
	UI_SMMUV3_VA_BITS = 48,
	UI_SMMUV3_SPLIT = 8,        /* StreamID bits behind a level-1 descriptor */
	UI_SMMUV3_L1_MAX_LG2 = 17,  /* level-1 descriptors, at most */
	UI_SMMUV3_LINEAR_CD_LG2 = 10, /* CDs of a linear table, at most */
};

struct ui_smmuv3_drv {
	struct ui_arena *arena;
	struct ui_smmuv3_drv_cfg cfg; /* constant from the first device on */
	u64 *strtab;                  /* likewise: STEs, or level-1 descriptors */
	size_t strtab_bytes;
	u32 strtab_cfg;
	pthread_mutex_t lock;
	struct ui_ids asids, vmids;   /* lock: of struct ui_smmuv3_dom */
	u64 batch[UI_SMMUV3_BATCH * UI_SMMUV3_CMD_WORDS]; /* lock */
	unsigned n_batch;                                 /* lock */
};

/* A paging domain: what CDs and STEs are made from. */
struct ui_smmuv3_dom {
	struct ui_smmuv3_drv *drv;
	const struct ui_pt *pt;
	u8 stage;    /* 1 or 2 */
	u16 tag;     /* ASID or VMID */
	u32 n_users; /* lock: (client, PASID or none) that may translate by it; with none no TLB holds the tag (D10) */
};

struct ui_smmuv3_client {
	struct ui_smmuv3_drv *drv;
	u32 sid;
	u8 ssid_bits;
	u8 leaf_lg2;     /* CDs of a leaf, log2; 0: the table is linear */
	u64 *cds;        /* lock: CDs or level-1 CD descriptors; NULL before the first use */
	bool in_ste;     /* lock: the STE leads to the CD table */
	u32 n_ssids;     /* lock: valid CDs but CD 0 */
	struct ui_domain *domain; /* lock: without PASID; NULL: blocked */
};

/* The SMMU's address of memory of the arena, and back. */
UI_ALWAYS_INLINE u64 ui_smmuv3_pa(const struct ui_smmuv3_drv *drv, const void *host)
{
	return (uintptr_t)host + drv->arena->shift;
}

UI_ALWAYS_INLINE u64 *ui_smmuv3_host(const struct ui_smmuv3_drv *drv, u64 pa)
{
	return (u64 *)(uintptr_t)(pa - drv->arena->shift);
}

/* make.c: structures from domains; all 8 words. */
void ui_smmuv3_make_abort(u64 *ste);
void ui_smmuv3_make_bypass(const struct ui_smmuv3_drv *drv, u64 *ste);
void ui_smmuv3_make_s1(const struct ui_smmuv3_client *client, unsigned s1dss, u64 *ste);
void ui_smmuv3_make_s2(const struct ui_smmuv3_dom *dom, u64 *ste);
void ui_smmuv3_make_cd(const struct ui_smmuv3_dom *dom, u64 *cd);

/* strtab.c. 0; -ENOMEM. */
int ui_smmuv3_strtab_init(struct ui_smmuv3_drv *drv);
void ui_smmuv3_strtab_fini(struct ui_smmuv3_drv *drv);
/* Makes the STE of @sid, which aborts at first. 0; -ENOMEM. Under lock. */
int ui_smmuv3_ste_make(struct ui_smmuv3_drv *drv, u32 sid);
/* Under lock; for as long. */
const u64 *ui_smmuv3_ste_find(const struct ui_smmuv3_client *client);
/* The STE becomes @ste and is in force; never invalid on the way where the table has two levels and there is memory for a copy.
 * Under lock. */
void ui_smmuv3_ste_install(struct ui_smmuv3_client *client, const u64 *ste);

/* cdtab.c, under lock. */
void ui_smmuv3_cdtab_shape(struct ui_smmuv3_client *client);
void ui_smmuv3_cdtab_fini(struct ui_smmuv3_client *client);
/* The CD of @ssid, or NULL: there is no table for it yet. */
u64 *ui_smmuv3_cd_find(const struct ui_smmuv3_client *client, u32 ssid);
/* Likewise, making tables; NULL without memory. */
u64 *ui_smmuv3_cd_get(struct ui_smmuv3_client *client, u32 ssid);
/* The CD of @ssid, which has a table, becomes @cd and is in force; never invalid on the way where there is memory for a copy. */
void ui_smmuv3_cd_install(struct ui_smmuv3_client *client, u32 ssid, const u64 *cd);

/* command.c, under lock. Without a sink nothing happens. */
void ui_smmuv3_cmd_add(struct ui_smmuv3_drv *drv, const u64 *cmd);
/* CMD_SYNC; when it returns all that was added before has been done. */
void ui_smmuv3_cmd_sync(struct ui_smmuv3_drv *drv);
/* CFGI_ALL; CFGI_STE with @leaf; CFGI_CD; CFGI_CD_ALL; with a CMD_SYNC. */
void ui_smmuv3_cfgi_all(struct ui_smmuv3_drv *drv);
void ui_smmuv3_cfgi_ste(struct ui_smmuv3_drv *drv, u32 sid, bool leaf);
void ui_smmuv3_cfgi_cd(struct ui_smmuv3_drv *drv, u32 sid, u32 ssid, bool leaf);
void ui_smmuv3_cfgi_cd_all(struct ui_smmuv3_drv *drv, u32 sid);
/* Everything with the domain's tag leaves the TLBs; [@start, @last], granules, does; with a CMD_SYNC. */
void ui_smmuv3_tlbi_all(struct ui_smmuv3_dom *dom);
void ui_smmuv3_tlbi_range(struct ui_smmuv3_dom *dom, u64 start, u64 last);

/* attach.c: ui_driver_ops. */
int ui_smmuv3_attach(struct ui_device *dev, u32 pasid, bool has_pasid, struct ui_domain *domain);
/* domain.c: ui_driver_ops. */
int ui_smmuv3_paging(struct ui_device *dev, unsigned flags, const struct ui_user_data *data, struct ui_pt_cfg *cfg, u64 *aperture_start,
		     u64 *aperture_last);
int ui_smmuv3_domain_init(struct ui_domain *domain);
void ui_smmuv3_domain_gone(struct ui_domain *domain);
void ui_smmuv3_flush(struct ui_domain *domain, u64 start, u64 last);

#endif
