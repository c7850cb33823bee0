/* SPDX-License-Identifier: MIT */
/* Registers (chapter 6), creation and reset. */
#include "base/alloc.h"
#include "base/bits.h"
#include "models/smmuv3/priv.h"

#include <errno.h>
#include <string.h>

enum {
	AIDR_V3_2 = 0x02,
	GBPA_RESET = 0x1000, /* shareability as the access has it; not ABORT */
};

/* ---- Life ---- */

void ui_smmuv3_cfg_init(struct ui_smmuv3_cfg *cfg, unsigned sid_bits)
{
	*cfg = (struct ui_smmuv3_cfg){ .feat = {
		.s1p = 1, .s2p = 1, .ttf = UI_SMMUV3_TTF_AA64, .cohacc = 1, .httu = UI_SMMUV3_HTTU_AF_DIRTY, .asid16 = 1, .msi = 1,
		.vmid16 = 1, .cd2l = 1, .ttendian = UI_SMMUV3_TTENDIAN_LE, .stall_model = UI_SMMUV3_STALL_TERMINATE,
		.term_model = 1, .st_level = UI_SMMUV3_ST_LEVEL_2LVL,
		.sidsize = (u16)sid_bits, .ssidsize = 20, .eventqs = 19, .cmdqs = 19,
		.had = 1, .xnx = 1, .ril = 1, .bbml = 2,
		.oas = UI_SMMUV3_PS_48, .gran4k = 1, .gran16k = 1, .gran64k = 1,
	} };
}

/* No feature beyond what ui_smmuv3_cfg_init() gives, but for wider addresses; less is fine. CD.A has no part in it: a terminated
 * access is an aborted one. */
static bool is_modelled(const struct ui_smmuv3_feat *feat)
{
	struct ui_smmuv3_feat none = *feat;

	none.s1p = none.s2p = none.cohacc = none.asid16 = none.msi = none.vmid16 = none.cd2l = none.had = none.xnx = none.ril = 0;
	none.httu = none.st_level = none.sidsize = none.ssidsize = none.eventqs = none.cmdqs = none.bbml = 0;
	none.oas = none.gran4k = none.gran16k = none.gran64k = none.vax = none.ttf = none.ttendian = none.stall_model = 0;
	none.term_model = 0;
	return !memcmp(&none, &(struct ui_smmuv3_feat){ 0 }, sizeof(none)) && (feat->s1p || feat->s2p) && feat->s1p <= 1 &&
	       feat->s2p <= 1 && feat->ttf == UI_SMMUV3_TTF_AA64 && feat->httu <= UI_SMMUV3_HTTU_AF_DIRTY &&
	       feat->ttendian == UI_SMMUV3_TTENDIAN_LE && feat->stall_model == UI_SMMUV3_STALL_TERMINATE && feat->term_model == 1 &&
	       feat->st_level <= UI_SMMUV3_ST_LEVEL_2LVL && feat->sidsize <= 32 && feat->ssidsize <= 20 && feat->eventqs <= 19 &&
	       feat->cmdqs <= 19 && feat->bbml <= 2 && feat->oas <= UI_SMMUV3_PS_52 && feat->vax <= UI_SMMUV3_VAX_52 &&
	       (feat->gran4k || feat->gran16k || feat->gran64k);
}

static struct ui_stage_config *resolve_bypass(void *arg, u32 pasid, bool has_pasid, enum ui_dma_status *reason)
{
	struct ui_smmuv3 *smmu = arg;

	return &smmu->bypass;
}

static struct ui_stage_config *resolve_probed(void *arg, u32 pasid, bool has_pasid, enum ui_dma_status *reason)
{
	struct ui_smmuv3 *smmu = arg;

	return &smmu->probed.stages;
}

static bool open_ports(struct ui_smmuv3 *smmu)
{
	struct ui_dma **const ports[] = { &smmu->queues, &smmu->irq_port, &smmu->sync_port };

	smmu->tr = ui_tr_create(smmu->mem);
	if (!smmu->tr)
		return false;
	for (size_t i = 0; i < ui_array_size(ports); i++) {
		*ports[i] = ui_dma_open(smmu->tr, 0, resolve_bypass, smmu);
		if (!*ports[i])
			return false;
	}
	smmu->probe = ui_dma_open(smmu->tr, 0, resolve_probed, smmu);
	return smmu->probe && !ui_tr_tag_alloc(smmu->tr, &smmu->probe_tag);
}

int ui_smmuv3_create(struct ui_mem *mem, const struct ui_smmuv3_cfg *cfg, struct ui_smmuv3 **out)
{
	struct ui_smmuv3 *smmu;

	if (!is_modelled(&cfg->feat))
		return -EINVAL;
	smmu = ui_zalloc(sizeof(*smmu));
	if (!smmu)
		return -ENOMEM;
	smmu->mem = mem;
	smmu->cfg = *cfg;
	ui_smmuv3_feat_to_idr(&cfg->feat, smmu->idr);
	pthread_mutex_init(&smmu->lock, NULL);
	pthread_mutex_init(&smmu->cache_lock, NULL);
	pthread_cond_init(&smmu->sent, NULL);
	ui_list_init(&smmu->configs);
	smmu->bypass.kind = UI_CFG_BYPASS;
	smmu->tables = (struct ui_smmuv3_tables){ .mem = mem, .feat = &smmu->cfg.feat };
	atomic_store_explicit(&smmu->gbpa, GBPA_RESET, memory_order_relaxed);
	if (!open_ports(smmu)) {
		ui_smmuv3_destroy(smmu);
		return -ENOMEM;
	}
	*out = smmu;
	return 0;
}

static bool any(const struct ui_smmuv3_cached_config *config, const void *arg)
{
	return true;
}

void ui_smmuv3_destroy(struct ui_smmuv3 *smmu)
{
	if (!smmu)
		return;
	if (smmu->tr)
		ui_smmuv3_cache_drop(smmu, any, NULL);
	ui_dma_close(smmu->queues);
	ui_dma_close(smmu->irq_port);
	ui_dma_close(smmu->sync_port);
	ui_dma_close(smmu->probe);
	if (smmu->probe_tag)
		ui_tr_tag_free(smmu->tr, smmu->probe_tag);
	if (smmu->tr)
		ui_tr_destroy(smmu->tr);
	pthread_cond_destroy(&smmu->sent);
	pthread_mutex_destroy(&smmu->cache_lock);
	pthread_mutex_destroy(&smmu->lock);
	ui_free(smmu);
}

/* Under lock. @cr0: what it becomes; without SMMUEN nothing of the tables is known any more. */
static void set_cr0(struct ui_smmuv3 *smmu, u32 cr0)
{
	u32 was = atomic_load_explicit(&smmu->cr0, memory_order_relaxed);

	/* Release: partner is resolve(), which reads the tables' place behind SMMUEN. */
	atomic_store_explicit(&smmu->cr0, cr0, memory_order_release);
	/* When this returns, accesses go by the new value, and nobody reads what was in force. */
	if (ui_smmuv3_enabled(was) != ui_smmuv3_enabled(cr0)) {
		ui_smmuv3_cache_drop(smmu, any, NULL);
		ui_tr_sync(smmu->tr, NULL);
	}
}

void ui_smmuv3_reset(struct ui_smmuv3 *smmu)
{
	ui_assert(!ui_tr_self_inside(smmu->tr, NULL));
	pthread_mutex_lock(&smmu->lock);
	smmu->n_resets++;
	set_cr0(smmu, 0);
	atomic_store_explicit(&smmu->gbpa, GBPA_RESET, memory_order_release);
	smmu->tables.strtab_base = 0;
	smmu->tables.strtab_cfg = 0;
	smmu->cr1 = smmu->cr2 = smmu->irq_ctrl = smmu->gerror = smmu->gerrorn = 0;
	smmu->cmdq = smmu->eventq = (struct ui_smmuv3_q){ 0 };
	smmu->eventq_msi = smmu->gerror_msi = (struct ui_smmuv3_msi){ 0 };
	smmu->irqs = 0;
	ui_smmuv3_irqs_off(smmu);
	pthread_mutex_unlock(&smmu->lock);
}

/* ---- Reading ---- */

/* The register that holds @offset, and which of its words of 32 bits; NULL: none. Page 0's copies of page 1's registers count. */
static const struct ui_smmuv3_reg *reg_at(u64 offset, unsigned *half)
{
	if (offset == 0xa8 || offset == 0xac || offset == 0xc8 || offset == 0xcc)
		offset += UI_SMMUV3_PAGE1;
	for (size_t i = 0; i < ui_smmuv3_n_regs; i++) {
		const struct ui_smmuv3_reg *reg = &ui_smmuv3_regs[i];

		if (offset >= reg->offset && offset < reg->offset + reg->n_bytes) {
			*half = (unsigned)(offset - reg->offset) / 4;
			return reg;
		}
	}
	return NULL;
}

static bool is_access(u64 offset, unsigned n_bytes)
{
	return (n_bytes == 4 || n_bytes == 8) && ui_is_aligned(offset, n_bytes) && offset < UI_SMMUV3_MMIO_BYTES;
}

/* Under lock. */
static u64 reg_value(const struct ui_smmuv3 *smmu, const struct ui_smmuv3_reg *reg)
{
	switch (reg->offset) {
	case UI_SMMUV3_REG_IDR0:
	case UI_SMMUV3_REG_IDR1:
	case UI_SMMUV3_REG_IDR2:
	case UI_SMMUV3_REG_IDR3:
	case UI_SMMUV3_REG_IDR4:
	case UI_SMMUV3_REG_IDR5:
		return smmu->idr[reg->offset / 4];
	case UI_SMMUV3_REG_AIDR:
		return AIDR_V3_2;
	case UI_SMMUV3_REG_CR0:
	case UI_SMMUV3_REG_CR0ACK:
		return atomic_load_explicit(&smmu->cr0, memory_order_relaxed);
	case UI_SMMUV3_REG_CR1:
		return smmu->cr1;
	case UI_SMMUV3_REG_CR2:
		return smmu->cr2;
	case UI_SMMUV3_REG_GBPA:
		return atomic_load_explicit(&smmu->gbpa, memory_order_relaxed);
	case UI_SMMUV3_REG_IRQ_CTRL:
	case UI_SMMUV3_REG_IRQ_CTRLACK:
		return smmu->irq_ctrl;
	case UI_SMMUV3_REG_GERROR:
		return smmu->gerror;
	case UI_SMMUV3_REG_GERRORN:
		return smmu->gerrorn;
	case UI_SMMUV3_REG_GERROR_IRQ_CFG0:
		return smmu->gerror_msi.addr;
	case UI_SMMUV3_REG_GERROR_IRQ_CFG1:
		return smmu->gerror_msi.data;
	case UI_SMMUV3_REG_GERROR_IRQ_CFG2:
		return smmu->gerror_msi.attr;
	case UI_SMMUV3_REG_STRTAB_BASE:
		return smmu->tables.strtab_base;
	case UI_SMMUV3_REG_STRTAB_BASE_CFG:
		return smmu->tables.strtab_cfg;
	case UI_SMMUV3_REG_CMDQ_BASE:
		return smmu->cmdq.base;
	case UI_SMMUV3_REG_CMDQ_PROD:
		return smmu->cmdq.prod;
	case UI_SMMUV3_REG_CMDQ_CONS:
		return smmu->cmdq.cons;
	case UI_SMMUV3_REG_EVENTQ_BASE:
		return smmu->eventq.base;
	case UI_SMMUV3_REG_EVENTQ_PROD:
		return smmu->eventq.prod;
	case UI_SMMUV3_REG_EVENTQ_CONS:
		return smmu->eventq.cons;
	case UI_SMMUV3_REG_EVENTQ_IRQ_CFG0:
		return smmu->eventq_msi.addr;
	case UI_SMMUV3_REG_EVENTQ_IRQ_CFG1:
		return smmu->eventq_msi.data;
	case UI_SMMUV3_REG_EVENTQ_IRQ_CFG2:
		return smmu->eventq_msi.attr;
	default:
		return 0;
	}
}

bool ui_smmuv3_read(struct ui_smmuv3 *smmu, u64 offset, unsigned n_bytes, u64 *val)
{
	const struct ui_smmuv3_reg *reg;
	unsigned half;

	if (!is_access(offset, n_bytes) || ui_smmuv3_self_sending(smmu))
		return false;
	*val = 0;
	reg = reg_at(offset, &half);
	if (!reg)
		return true;
	if (n_bytes > reg->n_bytes)
		return false;
	/* A thread that runs commands holds the lock and waits for sections. */
	ui_assert(!ui_tr_self_inside(smmu->tr, NULL));
	pthread_mutex_lock(&smmu->lock);
	*val = reg_value(smmu, reg);
	pthread_mutex_unlock(&smmu->lock);
	if (n_bytes == 4)
		*val = (u32)(*val >> (32 * half));
	return true;
}

/* ---- Writing ---- */

/* What of a register exists. */
static u64 implemented(const struct ui_smmuv3_reg *reg)
{
	return ~ui_hw_reserved(reg->fields, 0) & (reg->n_bytes == 8 ? ~(u64)0 : ~(u32)0);
}

static u64 clamp(u64 val, u32 field, u64 max)
{
	ui_hw_set(&val, field, ui_min(ui_hw_get(&val, field), max));
	return val;
}

/* What of CR1 cannot be written now. */
static u32 cr1_guarded(u32 cr0)
{
	u32 queues = (u32)(UI_SMMUV3_REG(CR1, QUEUE_IC) | UI_SMMUV3_REG(CR1, QUEUE_OC) | UI_SMMUV3_REG(CR1, QUEUE_SH));
	u32 tables = (u32)(UI_SMMUV3_REG(CR1, TABLE_IC) | UI_SMMUV3_REG(CR1, TABLE_OC) | UI_SMMUV3_REG(CR1, TABLE_SH));

	return (cr0 & (u32)(UI_SMMUV3_REG(CR0, CMDQEN) | UI_SMMUV3_REG(CR0, EVENTQEN)) ? queues : 0) |
	       (ui_smmuv3_enabled(cr0) ? tables : 0);
}

/* Under lock. */
static void write_control(struct ui_smmuv3 *smmu, const struct ui_smmuv3_reg *reg, u32 val)
{
	u32 cr0 = atomic_load_explicit(&smmu->cr0, memory_order_relaxed);
	u32 queues = (u32)(UI_SMMUV3_REG(CR0, CMDQEN) | UI_SMMUV3_REG(CR0, EVENTQEN));

	switch (reg->offset) {
	case UI_SMMUV3_REG_CR0:
		/* 6.3.9: the bits for what there is; CR0ACK follows at once. */
		set_cr0(smmu, val & (u32)(UI_SMMUV3_REG(CR0, SMMUEN) | queues));
		break;
	case UI_SMMUV3_REG_CR1:
		/* 6.3.11: each half is guarded by what uses it. */
		smmu->cr1 = (val & ~cr1_guarded(cr0)) | (smmu->cr1 & cr1_guarded(cr0));
		break;
	case UI_SMMUV3_REG_CR2:
		if (!(cr0 & (u32)UI_SMMUV3_REG(CR0, SMMUEN)))
			smmu->cr2 = val & (u32)(UI_SMMUV3_REG(CR2, RECINVSID) | UI_SMMUV3_REG(CR2, PTM));
		break;
	case UI_SMMUV3_REG_GBPA:
		if (!(val & UI_SMMUV3_REG(GBPA, UPDATE)))
			break;
		/* Release: partner is resolve(). Accesses that follow the write go by it. */
		atomic_store_explicit(&smmu->gbpa, val & ~(u32)UI_SMMUV3_REG(GBPA, UPDATE), memory_order_release);
		ui_tr_sync(smmu->tr, &smmu->bypass);
		break;
	case UI_SMMUV3_REG_IRQ_CTRL:
		smmu->irq_ctrl = val & (u32)(UI_SMMUV3_REG(IRQ_CTRL, GERROR_IRQEN) | UI_SMMUV3_REG(IRQ_CTRL, EVENTQ_IRQEN));
		ui_smmuv3_irqs_off(smmu);
		break;
	case UI_SMMUV3_REG_GERRORN:
		smmu->gerrorn = val;
		break;
	default:
		break;
	}
}

static void write_msi(const struct ui_smmuv3 *smmu, struct ui_smmuv3_msi *msi, u64 enable, u64 offset, u64 val)
{
	/* 6.3.17 and on: guarded by the enable bit of the interrupt; not there without IDR0.MSI. */
	if ((smmu->irq_ctrl & enable) || !smmu->cfg.feat.msi)
		return;
	switch (offset) {
	case 0:
		msi->addr = val;
		break;
	case 8:
		msi->data = (u32)val;
		break;
	default:
		msi->attr = (u32)val;
		break;
	}
}

/* Under lock. */
static void write_queue(struct ui_smmuv3 *smmu, const struct ui_smmuv3_reg *reg, u64 val)
{
	u32 cr0 = atomic_load_explicit(&smmu->cr0, memory_order_relaxed);
	bool cmdq_on = cr0 & UI_SMMUV3_REG(CR0, CMDQEN), eventq_on = cr0 & UI_SMMUV3_REG(CR0, EVENTQEN);

	switch (reg->offset) {
	case UI_SMMUV3_REG_CMDQ_BASE:
		if (!cmdq_on)
			smmu->cmdq.base = clamp(val, UI_SMMUV3_Q_BASE_LOG2SIZE, smmu->cfg.feat.cmdqs);
		break;
	case UI_SMMUV3_REG_CMDQ_PROD:
		smmu->cmdq.prod = (u32)val;
		break;
	case UI_SMMUV3_REG_CMDQ_CONS:
		if (!cmdq_on)
			smmu->cmdq.cons = (u32)val;
		break;
	case UI_SMMUV3_REG_EVENTQ_BASE:
		if (!eventq_on)
			smmu->eventq.base = clamp(val, UI_SMMUV3_Q_BASE_LOG2SIZE, smmu->cfg.feat.eventqs);
		break;
	case UI_SMMUV3_REG_EVENTQ_PROD:
		if (!eventq_on)
			smmu->eventq.prod = (u32)val;
		break;
	case UI_SMMUV3_REG_EVENTQ_CONS:
		smmu->eventq.cons = (u32)val;
		break;
	default:
		break;
	}
}

/* Under lock. @val: all of the register. */
static void write_reg(struct ui_smmuv3 *smmu, const struct ui_smmuv3_reg *reg, u64 val)
{
	val &= implemented(reg);
	switch (reg->offset) {
	case UI_SMMUV3_REG_STRTAB_BASE:
	case UI_SMMUV3_REG_STRTAB_BASE_CFG:
		/* 6.3.23: guarded by SMMUEN. */
		if (ui_smmuv3_enabled(atomic_load_explicit(&smmu->cr0, memory_order_relaxed)))
			break;
		if (reg->offset == UI_SMMUV3_REG_STRTAB_BASE)
			smmu->tables.strtab_base = val;
		else
			smmu->tables.strtab_cfg = (u32)val;
		break;
	case UI_SMMUV3_REG_GERROR_IRQ_CFG0:
	case UI_SMMUV3_REG_GERROR_IRQ_CFG1:
	case UI_SMMUV3_REG_GERROR_IRQ_CFG2:
		write_msi(smmu, &smmu->gerror_msi, UI_SMMUV3_REG(IRQ_CTRL, GERROR_IRQEN), reg->offset - UI_SMMUV3_REG_GERROR_IRQ_CFG0, val);
		break;
	case UI_SMMUV3_REG_EVENTQ_IRQ_CFG0:
	case UI_SMMUV3_REG_EVENTQ_IRQ_CFG1:
	case UI_SMMUV3_REG_EVENTQ_IRQ_CFG2:
		write_msi(smmu, &smmu->eventq_msi, UI_SMMUV3_REG(IRQ_CTRL, EVENTQ_IRQEN), reg->offset - UI_SMMUV3_REG_EVENTQ_IRQ_CFG0, val);
		break;
	default:
		if (reg->offset >= UI_SMMUV3_REG_CMDQ_BASE)
			write_queue(smmu, reg, val);
		else
			write_control(smmu, reg, (u32)val);
		break;
	}
}

bool ui_smmuv3_write(struct ui_smmuv3 *smmu, u64 offset, unsigned n_bytes, u64 val)
{
	const struct ui_smmuv3_reg *reg;
	unsigned half;

	if (!is_access(offset, n_bytes) || ui_smmuv3_self_sending(smmu))
		return false;
	reg = reg_at(offset, &half);
	if (!reg)
		return true;
	if (n_bytes > reg->n_bytes)
		return false;
	ui_assert(!ui_tr_self_inside(smmu->tr, NULL));
	pthread_mutex_lock(&smmu->lock);
	if (n_bytes < reg->n_bytes) {
		u64 other = reg_value(smmu, reg) & ~((u64)~(u32)0 << (32 * half));

		val = other | (u64)(u32)val << (32 * half);
	}
	write_reg(smmu, reg, val);
	pthread_mutex_unlock(&smmu->lock);
	ui_smmuv3_consume(smmu);
	return true;
}
