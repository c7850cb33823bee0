/* SPDX-License-Identifier: MIT */
/*
 * Streams: the way of a device's access. Configurations are cached until a command invalidates them, as the hardware may; each has a
 * tag of its own in the TLBs, so what a configuration translated goes with it.
 */
#include "base/alloc.h"
#include "base/bits.h"
#include "models/smmuv3/priv.h"

#include <string.h>

/* ---- The cache of configurations ---- */

static unsigned bucket_of(u64 who)
{
	return (unsigned)((who * 0x9e3779b97f4a7c15u) >> 54);
}

_Static_assert(UI_SMMUV3_CACHE_BUCKETS == 1 << (64 - 54), "bucket_of()");

/* In a section that resolves, or under cache_lock. */
static struct ui_smmuv3_cached_config *find(struct ui_smmuv3 *smmu, u64 who)
{
	/* Acquire, twice: partner is insert(). */
	struct ui_smmuv3_cached_config *c = atomic_load_explicit(&smmu->buckets[bucket_of(who)], memory_order_acquire);

	while (c && c->who != who)
		c = atomic_load_explicit(&c->next, memory_order_acquire);
	return c;
}

static void insert(struct ui_smmuv3 *smmu, struct ui_smmuv3_cached_config *c)
{
	struct ui_smmuv3_cached_config *_Atomic *bucket = &smmu->buckets[bucket_of(c->who)];

	atomic_store_explicit(&c->next, atomic_load_explicit(bucket, memory_order_relaxed), memory_order_relaxed);
	/* Release: partner is find(). */
	atomic_store_explicit(bucket, c, memory_order_release);
	ui_list_add_tail(&smmu->configs, &c->link);
}

static void take_out(struct ui_smmuv3 *smmu, struct ui_smmuv3_cached_config *c)
{
	struct ui_smmuv3_cached_config *_Atomic *at = &smmu->buckets[bucket_of(c->who)];

	while (atomic_load_explicit(at, memory_order_relaxed) != c)
		at = &atomic_load_explicit(at, memory_order_relaxed)->next;
	/* A reader that stands on it finds its way on: it keeps its link, and its memory until readers have ended. */
	atomic_store_explicit(at, atomic_load_explicit(&c->next, memory_order_relaxed), memory_order_release);
	ui_list_del(&c->link);
}

static void config_free(struct ui_smmuv3 *smmu, struct ui_smmuv3_cached_config *c)
{
	if (c->config.stages.tag)
		ui_tr_tag_free(smmu->tr, c->config.stages.tag);
	ui_free(c);
}

void ui_smmuv3_cache_drop(struct ui_smmuv3 *smmu, ui_smmuv3_match_fn match, const void *arg)
{
	struct ui_smmuv3_cached_config *first = NULL, *next;
	struct ui_list *item, *after;

	pthread_mutex_lock(&smmu->cache_lock);
	/* First: who has read structures before must not put them into the cache after. Partner is resolve_anew(). */
	atomic_fetch_add_explicit(&smmu->generation, 1, memory_order_release);
	for (item = smmu->configs.next; item != &smmu->configs; item = after) {
		struct ui_smmuv3_cached_config *c = ui_container_of(item, struct ui_smmuv3_cached_config, link);

		after = item->next;
		if (!match(c, arg))
			continue;
		take_out(smmu, c);
		c->dropped = first;
		first = c;
	}
	pthread_mutex_unlock(&smmu->cache_lock);
	/* Who is resolving, and has taken nothing from the cache yet, is waited for too. */
	for (; first; first = next) {
		next = first->dropped;
		ui_tr_sync(smmu->tr, &first->config.stages);
		config_free(smmu, first);
	}
}

/* ---- Resolving ---- */

static enum ui_dma_status reason_of(unsigned type)
{
	switch (type) {
	case UI_SMMUV3_C_BAD_SUBSTREAMID:
	case UI_SMMUV3_F_STREAM_DISABLED:
		return UI_DMA_BAD_PASID;
	case UI_SMMUV3_F_STE_FETCH:
	case UI_SMMUV3_F_CD_FETCH:
	case UI_SMMUV3_F_WALK_EABT:
		return UI_DMA_WALK_ABORT;
	case UI_SMMUV3_C_BAD_STE:
	case UI_SMMUV3_C_BAD_CD:
		return UI_DMA_MALFORMED;
	case UI_SMMUV3_F_TRANSLATION:
		return UI_DMA_TRANSLATION;
	case UI_SMMUV3_F_ADDR_SIZE:
		return UI_DMA_ADDR_SIZE;
	case UI_SMMUV3_F_ACCESS:
		return UI_DMA_ACCESS;
	case UI_SMMUV3_F_PERMISSION:
		return UI_DMA_PERMISSION;
	default:
		return UI_DMA_BLOCKED;
	}
}

/* Reads the structures. NULL with *@reason, and stream->refused if there is something to record. */
static struct ui_smmuv3_cached_config *read_anew(struct ui_smmuv3_stream *stream, u32 ssid, bool ssv, enum ui_dma_status *reason)
{
	struct ui_smmuv3 *smmu = stream->smmu;
	struct ui_smmuv3_cached_config *c = ui_zalloc(sizeof(*c));

	*reason = UI_DMA_BLOCKED;
	if (!c)
		return NULL;
	stream->refused = ui_smmuv3_config_read(&smmu->tables, stream->sid, ssv, ssid, &c->config, stream->evt);
	if (stream->refused || c->config.stages.kind == UI_CFG_BLOCKED) {
		*reason = stream->reason = reason_of(stream->refused);
		if (c->config.quiet)
			stream->refused = 0;
		ui_free(c);
		return NULL;
	}
	c->config.stages.largest_leaf = &c->largest_leaf;
	c->who = ui_smmuv3_who(stream->sid, ssid, ssv);
	if (c->config.stages.kind == UI_CFG_TRANSLATE && ui_tr_tag_alloc(smmu->tr, &c->config.stages.tag)) {
		ui_free(c);
		return NULL;
	}
	return c;
}

static struct ui_stage_config *resolve_anew(struct ui_smmuv3_stream *stream, u32 ssid, bool ssv, enum ui_dma_status *reason)
{
	struct ui_smmuv3 *smmu = stream->smmu;

	for (;;) {
		/* Acquire: partner is ui_smmuv3_cache_drop(), which comes after the change that it was called for. */
		u64 generation = atomic_load_explicit(&smmu->generation, memory_order_acquire);
		struct ui_smmuv3_cached_config *c = read_anew(stream, ssid, ssv, reason), *other;

		if (!c) {
			/* Acquire: as above. What was refused may have been mended meanwhile. */
			if (generation != atomic_load_explicit(&smmu->generation, memory_order_acquire))
				continue;
			return NULL;
		}
		pthread_mutex_lock(&smmu->cache_lock);
		other = find(smmu, c->who);
		if (!other && generation == atomic_load_explicit(&smmu->generation, memory_order_relaxed)) {
			insert(smmu, c);
			other = c;
		}
		pthread_mutex_unlock(&smmu->cache_lock);
		if (other == c)
			return &c->config.stages;
		config_free(smmu, c);
		if (other)
			return &other->config.stages;
	}
}

/*
 * Of a stream. Where registers are: SMMUEN is set after the tables' place (release, acquire here); it is cleared before
 * they change, and then ui_smmuv3_cache_drop() waits for who may still read the old.
 */
static struct ui_stage_config *resolve(void *arg, u32 pasid, bool has_pasid, enum ui_dma_status *reason)
{
	struct ui_smmuv3_stream *stream = arg;
	struct ui_smmuv3 *smmu = stream->smmu;
	struct ui_smmuv3_cached_config *c;

	stream->refused = 0;
	if (!ui_smmuv3_enabled(atomic_load_explicit(&smmu->cr0, memory_order_acquire))) {
		/* Acquire: partner is the store in regs.c. */
		if (!(atomic_load_explicit(&smmu->gbpa, memory_order_acquire) & UI_SMMUV3_REG(GBPA, ABORT)))
			return &smmu->bypass;
		*reason = UI_DMA_BLOCKED;
		return NULL;
	}
	c = find(smmu, ui_smmuv3_who(stream->sid, pasid, has_pasid));
	return c ? &c->config.stages : resolve_anew(stream, pasid, has_pasid, reason);
}

/* ---- Faults ---- */

static unsigned fault_event(const struct ui_fault *fault)
{
	switch (fault->reason) {
	case UI_DMA_TRANSLATION:
	case UI_DMA_MALFORMED:
		return UI_SMMUV3_F_TRANSLATION;
	case UI_DMA_ADDR_SIZE:
		return UI_SMMUV3_F_ADDR_SIZE;
	case UI_DMA_ACCESS:
		return UI_SMMUV3_F_ACCESS;
	case UI_DMA_PERMISSION:
		return UI_SMMUV3_F_PERMISSION;
	case UI_DMA_WALK_ABORT:
		return UI_SMMUV3_F_WALK_EABT;
	default:
		return 0;
	}
}

/* 7.3.13 to 7.3.16: what a walk ended with. */
static void record_walk(struct ui_smmuv3_stream *stream, const struct ui_fault *fault, unsigned type)
{
	u64 *evt = stream->evt;

	memset(evt, 0, sizeof(stream->evt));
	ui_hw_set(evt, UI_SMMUV3_EVT_Type, type);
	ui_hw_set(evt, UI_SMMUV3_EVT_StreamID, stream->sid);
	ui_hw_set(evt, UI_SMMUV3_EVT_SSV, fault->has_pasid);
	ui_hw_set(evt, UI_SMMUV3_EVT_SubstreamID, fault->has_pasid ? fault->pasid : 0);
	/* 7.3.12: a table of stage 1 that cannot be read is not the input address's fault, unlike the rest of stage 1's. */
	ui_hw_set(evt, UI_SMMUV3_EVT_CLASS,
		  fault->on_walk || (type == UI_SMMUV3_F_WALK_EABT && fault->stage == 1) ? UI_SMMUV3_CLASS_TT : UI_SMMUV3_CLASS_IN);
	if (type == UI_SMMUV3_F_WALK_EABT) {
		ui_hw_set_addr(evt, UI_SMMUV3_EVT_FetchAddr, fault->fetch_pa);
	} else if (fault->stage == 2) {
		ui_hw_set_addr(evt, UI_SMMUV3_EVT_IPA, fault->ipa);
	}
	ui_hw_set(evt, UI_SMMUV3_EVT_S2, fault->stage == 2);
	if (type == UI_SMMUV3_F_PERMISSION && fault->on_walk)
		ui_hw_set(evt, UI_SMMUV3_EVT_TTRnW, !fault->walk_write);
}

/* Which events tell of the access itself. */
static bool tells_access(unsigned type)
{
	return type == UI_SMMUV3_F_WALK_EABT || (type >= UI_SMMUV3_F_TRANSLATION && type <= UI_SMMUV3_F_PERMISSION);
}

static void fault_sink(void *arg, const struct ui_fault *fault)
{
	struct ui_smmuv3_stream *stream = arg;
	struct ui_smmuv3 *smmu = stream->smmu;
	/* A look that only asked may have left one behind; an access for the same reason asked again. */
	unsigned type = fault->stage || fault->reason != stream->reason ? 0 : stream->refused;
	bool read = !(fault->access & UI_PROT_WRITE);

	stream->refused = 0;
	if (!type && fault->stage) {
		type = fault_event(fault);
		/* 5.5 R, 5.2 S2R: only these four can be kept back. */
		if (fault->quiet && type != UI_SMMUV3_F_WALK_EABT)
			type = 0;
		if (type)
			record_walk(stream, fault, type);
	}
	/* Terminated by Config or GBPA, or the memory behind a translation failed: nothing is recorded. */
	if (!type)
		return;
	if (tells_access(type)) {
		ui_hw_set(stream->evt, UI_SMMUV3_EVT_InputAddr, fault->iova);
		ui_hw_set(stream->evt, UI_SMMUV3_EVT_RnW, read);
		ui_hw_set(stream->evt, UI_SMMUV3_EVT_InD, read && (fault->access & UI_PROT_EXEC));
		ui_hw_set(stream->evt, UI_SMMUV3_EVT_PnU, !!(fault->access & UI_PROT_PRIV));
	}
	pthread_mutex_lock(&smmu->lock);
	if (type != UI_SMMUV3_C_BAD_STREAMID || (smmu->cr2 & UI_SMMUV3_REG(CR2, RECINVSID)))
		ui_smmuv3_record(smmu, stream->evt);
	pthread_mutex_unlock(&smmu->lock);
	ui_smmuv3_deliver(smmu);
}

/* ---- Streams ---- */

struct ui_smmuv3_stream *ui_smmuv3_stream_open(struct ui_smmuv3 *smmu, u32 sid)
{
	struct ui_smmuv3_stream *stream = ui_zalloc(sizeof(*stream));

	if (!stream)
		return NULL;
	stream->smmu = smmu;
	stream->sid = sid;
	stream->dma = ui_dma_open(smmu->tr, sid, resolve, stream);
	if (!stream->dma) {
		ui_free(stream);
		return NULL;
	}
	ui_dma_set_fault_sink(stream->dma, fault_sink, stream);
	return stream;
}

void ui_smmuv3_stream_close(struct ui_smmuv3_stream *stream)
{
	if (!stream)
		return;
	ui_dma_close(stream->dma);
	ui_free(stream);
}

struct ui_dma *ui_smmuv3_stream_dma(struct ui_smmuv3_stream *stream)
{
	return stream->dma;
}

/* ---- What the caches hold ---- */

static bool same_config(const struct ui_smmuv3_config *a, const struct ui_smmuv3_config *b)
{
	return a->stages.kind == b->stages.kind && a->has_cd == b->has_cd && a->cd_index == b->cd_index &&
	       !memcmp(a->ste, b->ste, sizeof(a->ste)) && (!a->has_cd || !memcmp(a->cd, b->cd, sizeof(a->cd)));
}

/* Has the cache a configuration of @stream that the structures do not say any more? */
static bool config_is_old(struct ui_smmuv3_stream *stream, const struct ui_dma_addr *at, unsigned type,
			  const struct ui_smmuv3_config *now)
{
	struct ui_smmuv3 *smmu = stream->smmu;
	struct ui_smmuv3_cached_config *c;
	bool old;

	pthread_mutex_lock(&smmu->cache_lock);
	c = find(smmu, ui_smmuv3_who(stream->sid, at->pasid, at->has_pasid));
	old = c && (type || !same_config(&c->config, now));
	pthread_mutex_unlock(&smmu->cache_lock);
	return old;
}

/*
 * Under lock: translates by what the structures say now. No right is asked for, so that nothing is marked, and nothing remembered
 * by any cache; the walk tells which rights there are.
 */
static bool probe(struct ui_smmuv3 *smmu, const struct ui_dma_addr *at, struct ui_walk *w)
{
	const struct ui_dma_addr plain = { .iova = at->iova, .priv = at->priv };

	smmu->probed.stages.tag = smmu->probe_tag;
	return ui_dma_translate(smmu->probe, &plain, 0, w, NULL) == UI_DMA_OK;
}

enum ui_smmuv3_cached ui_smmuv3_stream_cached(struct ui_smmuv3_stream *stream, const struct ui_dma_addr *at, unsigned access)
{
	enum ui_smmuv3_cached ret = UI_SMMUV3_CACHE_GOOD;
	struct ui_smmuv3 *smmu = stream->smmu;
	struct ui_smmuv3_tables tables;
	u64 evt[UI_SMMUV3_EVT_WORDS];
	struct ui_walk had, now = { 0 };
	unsigned type, want = access | (at->priv ? UI_PROT_PRIV : 0);

	ui_assert(!ui_tr_self_inside(smmu->tr, NULL));
	pthread_mutex_lock(&smmu->lock);
	tables = smmu->tables;
	tables.only_look = true;
	if (!ui_smmuv3_enabled(atomic_load_explicit(&smmu->cr0, memory_order_relaxed))) {
		pthread_mutex_unlock(&smmu->lock);
		return ret;
	}
	type = ui_smmuv3_config_read(&tables, stream->sid, at->has_pasid, at->pasid, &smmu->probed, evt);
	if (config_is_old(stream, at, type, &smmu->probed)) {
		ret = UI_SMMUV3_CACHE_CONFIG;
	} else if (!type && smmu->probed.stages.kind == UI_CFG_TRANSLATE &&
		   ui_dma_translate(stream->dma, at, access, &had, NULL) == UI_DMA_OK) {
		bool found = probe(smmu, at, &now);

		if (!found || now.oa != had.oa || (want & ~(unsigned)now.prot & ~(unsigned)UI_PROT_PRIV))
			ret = UI_SMMUV3_CACHE_TLB;
	}
	pthread_mutex_unlock(&smmu->lock);
	return ret;
}
